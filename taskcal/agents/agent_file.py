"""An agent file is YAML for people, read with the same care as a taskset and with the same quality of mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from taskcal.agents.agent_hints import AGENT_HINTS
from taskcal.agents.agent_model import AgentModel, PriceModel, price_of
from taskcal.agents.chat.model import ChatModel, chat_spec
from taskcal.agents.spec import CommandSpec, PythonSpec, SimulatedSpec
from taskcal.errors import InputError, UsageError
from taskcal.yamlfile.fields import Destination, Env, EnvName, NetworkField, Pattern, ScriptText, Share, User
from taskcal.yamlfile.mistakes import describe_value, validate_model
from taskcal.yamlfile.nodes import Map, spell
from taskcal.yamlfile.paths import Folder
from taskcal.yamlfile.problems import Problems, suggest
from taskcal.yamlfile.reader import parse_yaml, read_text
from taskcal.yamlfile.scalars import check_writable, read_scalar
from taskcal.yamlfile.schema import schema_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.agents.spec import AgentSpec


class SimulatedModel(AgentModel):
    """An agent that plays a solution with a probability."""

    inner_maps: ClassVar[frozenset[str]] = frozenset({"success"})
    hints = AGENT_HINTS

    kind: Literal["simulated"]
    """Kind of agent: simulated."""
    success: Annotated[dict[str, Share], Field(min_length=1)] = Field(default_factory=lambda: {"*": 0.5})
    """Probability of a solution, 0 to 1, by task or pattern of tasks. Default {"*": 0.5}."""


class CommandModel(AgentModel):
    """An agent that is a shell command inside the sandbox."""

    inner_maps: ClassVar[frozenset[str]] = frozenset({"env", "price"})
    hints = AGENT_HINTS

    kind: Literal["command"]
    """Kind of agent: command."""
    run: Annotated[ScriptText, Field(min_length=1)]
    """Script that is the agent, run in the sandbox with the prompt in its environment."""
    install: ScriptText = ""
    """Script that installs the agent into the task's image, run once as root. Default: none."""
    env: Env = Field(default_factory=dict)
    """Environment variables of the agent, by name. Default: none."""
    secrets: list[EnvName] = Field(default_factory=list)
    """Names of variables of this machine that the agent gets. Default: none."""
    network: NetworkField | None = None
    """Network access of the agent: none, bridge or a list of hosts. Default: the task's."""
    user: User | None = None
    """User that runs the agent. Default: the task's."""
    workdir: Destination | None = None
    """Working directory of the agent, an absolute path. Default: the task's."""
    lost_pattern: Pattern | None = None
    """Regular expression of output that means that the provider failed. Default: none."""
    price: PriceModel | None = None
    """Price of tokens, to compute costs from usage. Default: unknown."""


def _call(text: str) -> str:
    module, colon, function = text.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *function.split("."))):
        raise ValueError(f'must be module:function, not "{text[:60]}"')
    return text


class PythonModel(AgentModel):
    """An agent that is a Python function."""

    inner_maps: ClassVar[frozenset[str]] = frozenset({"price"})

    kind: Literal["python"]
    """Kind of agent: python."""
    call: Annotated[str, AfterValidator(_call)]
    """Function that is the agent, as module:function, importable next to this file."""
    install: ScriptText = ""
    """Script that installs the agent into the task's image, run once as root. Default: none."""
    secrets: list[EnvName] = Field(default_factory=list)
    """Names of variables of this machine that the agent gets. Default: none."""
    network: NetworkField | None = None
    """Network access of the agent: none, bridge or a list of hosts. Default: the task's."""
    price: PriceModel | None = None
    """Price of tokens, to compute costs from usage. Default: unknown."""


AnyModel = SimulatedModel | CommandModel | ChatModel | PythonModel
KINDS: Mapping[str, type[AnyModel]] = {
    "simulated": SimulatedModel,
    "command": CommandModel,
    "chat": ChatModel,
    "python": PythonModel,
}
NUMBERS = frozenset(
    {"timeout", "success", "price", "max_turns", "call_timeout", "sampling", "extra_body", "send_reasoning"}
)
"""Keys with numbers; all other single values are text, also where they look like numbers."""


def load_agent(path: str | Path, overrides: Mapping[str, str] | None = None) -> AgentSpec:
    """Read an agent file; `overrides` are the `--set key=value` of the command line, as `timeout` or `env.NAME`.

    Raises InputError with all mistakes of the file, UsageError where it does not exist or an override is wrong.
    """
    file, given = str(path), overrides or {}
    if not Path(path).is_file():
        raise UsageError(f"{file}: no such agent file")
    problems = Problems()
    raw, mistakes = parse_yaml(read_text(Path(path), file), file)
    problems.extend(mistakes)
    kind = _kind(raw, file, given, problems)
    if kind is None:
        _raise_overridden(problems, given)
        raise InputError(problems.in_file_order())
    for key, text in given.items():
        _override(raw, kind, key, text)
    model = validate_model(kind, raw, file, Folder(Path(path).parent), problems)
    _raise_overridden(problems, given)
    problems.raise_any()
    if model is None:
        raise InputError(problems.in_file_order())
    return _spec(model, str(Path(path).resolve().parent))


def _kind(raw: Map, file: str, overrides: Mapping[str, str], problems: Problems) -> type[AnyModel] | None:
    name = overrides.get("kind", raw.get("kind"))
    if isinstance(name, str) and name in KINDS:
        return KINDS[name]
    if name is None:
        message = f"missing; one of {', '.join(KINDS)}"
    else:
        message = f"must be one of {', '.join(KINDS)}, not {describe_value(name)}{suggest(str(name), KINDS)}"
    problems.at(file, raw.at("kind"), message)
    return None


def _override(raw: Map, kind: type[AgentModel], key: str, text: str) -> None:
    """Put the value of one `--set` where it belongs; raises UsageError."""
    top, dot, rest = key.partition(".")
    if top not in kind.known_keys():
        raise UsageError(f"--set {key}: unknown key{suggest(top, kind.known_keys())}")
    if bool(dot) != (top in kind.inner_maps) or top == "secrets":
        places = " or ".join(f"{name}.KEY=VALUE" for name in sorted(kind.inner_maps))
        raise UsageError(f"--set {key}: sets single values only; write KEY=VALUE, or {places}")
    target = raw
    if dot:
        inner = raw.get(top)
        target = inner if isinstance(inner, Map) else Map(raw.line, raw, top)
        raw[top] = target
    target[rest or top] = _value(key, top, text)


def _value(key: str, top: str, text: str) -> object:
    try:
        check_writable(text)
        return read_scalar(text) if top in NUMBERS else text
    except ValueError as error:
        raise UsageError(f"--set {key}: {error}") from error


def _raise_overridden(problems: Problems, overrides: Mapping[str, str]) -> None:
    """A mistake in a value of the command line is not the file's: it has no line there."""
    names = {spell(key.split(".", 1)): key for key in overrides}
    for problem in problems.in_file_order():
        if problem.key in names:
            raise UsageError(f"--set {names[problem.key]}: {problem.message}")


def _spec(model: AnyModel, folder: str) -> AgentSpec:
    if isinstance(model, SimulatedModel):
        return SimulatedSpec(model.agent, model.success, model.timeout)
    if isinstance(model, PythonModel):
        return _python_spec(model, folder)
    if isinstance(model, ChatModel):
        return chat_spec(model)
    return CommandSpec(
        name=model.agent,
        run=model.run,
        install=model.install,
        env=model.env,
        secrets=tuple(model.secrets),
        network=model.network,
        user=model.user,
        workdir=model.workdir,
        lost_pattern=model.lost_pattern,
        timeout=model.timeout,
        price=price_of(model.price),
    )


def _python_spec(model: PythonModel, folder: str) -> PythonSpec:
    return PythonSpec(
        name=model.agent,
        call=model.call,
        install=model.install,
        secrets=tuple(model.secrets),
        network=model.network,
        timeout=model.timeout,
        price=price_of(model.price),
        folder=folder,
    )


def agent_schema() -> dict[str, object]:
    """Give the JSON Schema of agent files."""
    return schema_of(*KINDS.values())
