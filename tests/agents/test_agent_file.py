"""Agent files: what they say, what is refused, and what `--set` overrides."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskcal.agents.agent_file import load_agent
from taskcal.agents.spec import CommandSpec, Price, SimulatedSpec
from taskcal.core.task import Network, NetworkMode
from taskcal.errors import InputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = """\
agent: mine
kind: command
timeout: 5m
run: ./agent
install: pip install mine
env: {LEVEL: 3}
secrets: [MY_KEY]
network: bridge
user: agent
workdir: /work
lost_pattern: rate limit
price: {input: 3, cached_input: 0.3, output: 15}
"""
PYTHON = """\
agent: mine
kind: python
call: my_agent:solve
secrets: [MY_KEY]
network: [localhost:80]
price: {input: 3, output: 15}
"""
CHAT = """\
agent: mine
kind: chat
base_url: http://one:8000/v1
model: qwen
sampling: {temperature: 0.7, seed: 11}
extra_body: {top_k: 20, stop: ["</end>"]}
finish_reasons: {EOS: stop}
price: {input: 3, output: 15}
"""
SIMULATED = 'agent: sim\nkind: simulated\nsuccess: {"*": 0.5, ship-order: 0.2}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> str:
    """Write an agent file and give its name."""
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    return "a.yaml"


def problems(folder: Path, text: str) -> list[str]:
    """Give the messages with which a file is refused."""
    with pytest.raises(InputError) as caught:
        load_agent(write(folder, text))
    return [str(problem) for problem in caught.value.problems]


def test_a_command_is_as_written(folder: Path) -> None:
    """Every key arrives, the timeout in seconds."""
    assert load_agent(write(folder, COMMAND)) == CommandSpec(
        name="mine",
        run="./agent",
        install="pip install mine",
        env={"LEVEL": "3"},
        secrets=("MY_KEY",),
        network=Network(NetworkMode.BRIDGE),
        user="agent",
        workdir="/work",
        lost_pattern="rate limit",
        timeout=300.0,
        price=Price(input=3.0, output=15.0, cached_input=0.3),
    )


def test_a_simulated_agent_is_as_written(folder: Path) -> None:
    """Probabilities by glob; without them, one half for every task."""
    assert load_agent(write(folder, SIMULATED)) == SimulatedSpec("sim", {"*": 0.5, "ship-order": 0.2})
    assert load_agent(write(folder, "agent: s\nkind: simulated\n")) == SimulatedSpec("s", {"*": 0.5})


@pytest.mark.parametrize("text", [COMMAND, SIMULATED, PYTHON, CHAT])
def test_a_spec_travels(folder: Path, text: str) -> None:
    """What a file of any kind says reaches another process unchanged, so that a rollout can run there."""
    spec = load_agent(write(folder, text))
    assert pickle.loads(pickle.dumps(spec)) == spec  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agent: a\nkind: command\n", "a.yaml:1: run: missing"),
        ("agent: a\n", "a.yaml:1: kind: missing; one of simulated, command"),
        ("agent: a\nkind: python\n", "a.yaml:1: call: missing"),
        (
            "agent: a\nkind: comand\n",
            'must be one of simulated, command, chat, python, not "comand", did you mean command?',
        ),
        ("agent: a\nkind: 5\n", "not the number 5"),
        ("kind: simulated\n", "agent: missing"),
        ("agent: a\nkind: simulated\nsuccess: {'*': 1.5}\n", 'a.yaml:3: success["*"]: must be at most 1'),
        ("agent: a\nkind: simulated\nsuccess: {'*': .nan}\n", "must be a finite number"),
        ("agent: a\nkind: simulated\nrun: x\n", "run: unknown key"),
        ("agent: a\nkind: command\ncmd: x\nrun: y\n", "a.yaml:3: cmd: unknown key, did you mean run?"),
        ("agent: a\nkind: command\nrun: y\ntimeout_sec: 5\n", "did you mean timeout?"),
        ("agent: a\nkind: command\nrun: y\nsecrets: [A=b]\n", "secrets[0]: must be a name that a shell accepts"),
        ("agent: a\nkind: command\nrun: y\nlost_pattern: '('\n", "lost_pattern: not a regular expression"),
        ("agent: a\nkind: command\nrun: y\nrun: z\n", "a.yaml:4: run: duplicate key, first on line 3"),
        ("agent: a/b\nkind: command\nrun: y\n", "agent: must begin with a letter or a digit"),
        ("agent: [\n", "not valid YAML"),
    ],
)
def test_mistakes_have_place_and_hint(folder: Path, text: str, message: str) -> None:
    """The errors are as good as a taskset's."""
    found = problems(folder, text)
    assert any(message in line for line in found), found


def test_all_mistakes_come_at_once(folder: Path) -> None:
    """Three mistakes, three lines."""
    assert len(problems(folder, "agent: a\nkind: command\nrun: 5\nuser: 'a b'\nwrkdir: /\n")) == 3


def test_a_missing_file_is_wrong_usage(folder: Path) -> None:
    """It is the command line that is wrong, not the file."""
    with pytest.raises(UsageError, match=r"absent.yaml: no such agent file"):
        load_agent(folder / "absent.yaml")


def test_set_overrides_any_single_value(folder: Path) -> None:
    """Text stays text also where it looks like a number; entries of maps are added or replaced."""
    given = {"timeout": "90s", "run": "true", "env.LEVEL": "0123", "env.NEW": "a: b", "network": "none", "agent": "7"}
    spec = load_agent(write(folder, COMMAND), given)
    assert isinstance(spec, CommandSpec)
    assert (spec.timeout, spec.run, spec.name) == (90.0, "true", "7")
    assert spec.env == {"LEVEL": "0123", "NEW": "a: b"}
    assert spec.network == Network()
    simulated = load_agent(write(folder, "agent: s\nkind: simulated\n"), {"success.ship.v1-*": "0.25"})
    assert simulated == SimulatedSpec("s", {"ship.v1-*": 0.25})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("timout", "5", "--set timout: unknown key, did you mean timeout?"),
        ("timeout", "soon", "--set timeout: must be a duration"),
        ("timeout.x", "5", "--set timeout.x: sets single values only"),
        ("env", "5", "--set env: sets single values only; write KEY=VALUE, or env.KEY=VALUE or price.KEY=VALUE"),
        ("secrets", "A", "--set secrets: sets single values only"),
        ("env.a-b", "5", "--set env.a-b: must be a name that a shell accepts"),
        ("run", "", "--set run: must not be empty"),
        ("run", "a\0b", "--set run: a NUL character"),
        ("kind", "simulatd", "did you mean simulated?"),
    ],
)
def test_a_wrong_override_is_wrong_usage(folder: Path, key: str, value: str, message: str) -> None:
    """The message names the option, not a line of the file."""
    with pytest.raises(UsageError) as caught:
        load_agent(write(folder, COMMAND), {key: value})
    assert message in str(caught.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(max_size=80) | st.text(alphabet="agentkidrun:*&{}[] \n'\"", max_size=60).map(SIMULATED.__add__),
    key=st.sampled_from(["success.a", "timeout", "agent", "kind"]),
    value=st.text(max_size=8),
)
def test_any_text_is_an_agent_or_refused(tmp_path: Path, text: str, key: str, value: str) -> None:
    """Nothing but the known errors comes out, whatever goes in."""
    path = tmp_path / "any.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        load_agent(path, {key: value})
    except (InputError, UsageError) as error:
        assert str(error)  # noqa: PT017  # either way is fine, but no other exception
