"""Read an agent file, YAML with one of four kinds of agent, with the same care and error messages as a taskset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.agents.agent_models import KINDS, NO_SEED, ChatModel, PythonModel, SimulatedModel
from taskcal.agents.spec import ChatSpec, CommandSpec, Price, PythonSpec, Sampling, SimulatedSpec
from taskcal.errors import InputError, UsageError
from taskcal.yamlfile.mistakes import describe_value, validate_model
from taskcal.yamlfile.nodes import Map, spell
from taskcal.yamlfile.paths import Folder
from taskcal.yamlfile.problems import Problems, suggest
from taskcal.yamlfile.reader import parse_yaml, read_text
from taskcal.yamlfile.scalars import check_writable, read_scalar
from taskcal.yamlfile.schema import schema_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.agents.agent_models import AgentModel, AnyModel, PriceModel
    from taskcal.agents.spec import AgentSpec

NUMBERS = frozenset(
    {"timeout", "success", "price", "max_turns", "call_timeout", "sampling", "extra_body", "send_reasoning"}
)
"""Keys with numbers; all other single values are text, even if they look like numbers."""


def load_agent(path: str | Path, overrides: Mapping[str, str] | None = None) -> AgentSpec:
    """Read an agent file; `overrides` are the `--set key=value` of the command line, as `timeout` or `env.NAME`.

    Raises InputError with all mistakes of the file, UsageError if it does not exist or an override is wrong.
    """
    file, settings = str(path), overrides or {}
    if not Path(path).is_file():
        raise UsageError(f"{file}: no such agent file")
    problems = Problems()
    raw, mistakes = parse_yaml(read_text(Path(path), file), file)
    problems.extend(mistakes)
    kind = _kind(raw, file, settings, problems)
    if kind is None:
        _raise_overridden(problems, settings)
        raise InputError(problems.in_file_order())
    for key, text in settings.items():
        _override(raw, kind, key, text)
    model = validate_model(kind, raw, file, Folder(Path(path).parent), problems)
    _raise_overridden(problems, settings)
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
        return _chat_spec(model)
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
        price=_price(model.price),
    )


def _python_spec(model: PythonModel, folder: str) -> PythonSpec:
    return PythonSpec(
        name=model.agent,
        call=model.call,
        install=model.install,
        secrets=tuple(model.secrets),
        network=model.network,
        timeout=model.timeout,
        price=_price(model.price),
        folder=folder,
    )


def _chat_spec(model: ChatModel) -> ChatSpec:
    """The spec of a chat agent's file; `seed: none` becomes `sends_seed` False."""
    sampling = model.sampling
    sends_seed = sampling.seed != NO_SEED
    seed = sampling.seed if sends_seed else None
    return ChatSpec(
        name=model.agent,
        base_urls=tuple(dict.fromkeys(model.base_url)),
        model=model.model,
        api_key_env=model.api_key_env,
        system=model.system,
        max_turns=model.max_turns,
        tool_output=model.tool_output,
        call_timeout=model.call_timeout,
        sampling=Sampling(sampling.temperature, sampling.top_p, sampling.max_tokens, seed, sends_seed=sends_seed),
        send_reasoning=model.send_reasoning,
        extra_body=model.extra_body,
        finish_reasons=model.finish_reasons,
        price=_price(model.price),
        timeout=model.timeout,
    )


def _price(model: PriceModel | None) -> Price | None:
    """The price of an agent file, None if it has none."""
    return None if model is None else Price(model.input, model.output, model.cached_input)


def agent_schema() -> dict[str, object]:
    """Give the JSON Schema of agent files."""
    return schema_of(*KINDS.values())
