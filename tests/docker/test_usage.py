"""What an agent says that it consumed, read out of a real sandbox, whatever lies where the file should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.agents import UsageSoFar
from taskcal.agents.command import CommandAgent
from taskcal.agents.spec import CommandSpec, Price
from taskcal.core.rollout import Stop, Usage
from tests.docker.rooms import opened
from tests.docker.shop import attempt, shop

if TYPE_CHECKING:
    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        ('ln -s /etc/shadow "$TASKCAL_USAGE_FILE"', "no regular file"),
        ('ln -s /nowhere "$TASKCAL_USAGE_FILE"', "no regular file"),
        ('mkfifo "$TASKCAL_USAGE_FILE"', "no regular file"),
        ('mkdir "$TASKCAL_USAGE_FILE"', "no regular file"),
        ('head -c 70000 /dev/zero | tr "\\0" x >"$TASKCAL_USAGE_FILE"', "longer than 64 KiB"),
        ('echo "{" >"$TASKCAL_USAGE_FILE"', "Expecting property name"),
    ],
)
def test_what_is_no_usage_is_a_line_in_the_log(scope: RunScope, run: str, problem: str) -> None:
    """The rollout is graded all the same, and quickly."""
    log: list[bytes] = []
    group = shop(user="nobody")
    asked = attempt(group, log)
    with opened(scope, group) as sandbox:
        assert CommandAgent(CommandSpec("a", run)).act(sandbox, asked).stop is Stop.FINISHED
    assert asked.account == UsageSoFar()
    assert f"[taskcal: usage.json is not used: {problem}".encode() in b"".join(log)


def test_usage_is_read_and_priced(scope: RunScope) -> None:
    """Also of an agent that is killed for its time."""
    said = '{"input_tokens": 2000000, "cached_tokens": 1000000, "output_tokens": 1000000, "turns": 3}'
    spec = CommandSpec("a", f"echo '{said}' >\"$TASKCAL_USAGE_FILE\"; sleep 600", price=Price(3.0, 15.0, 0.3))
    group = shop()
    asked = attempt(group, [], timeout=2.0)
    with opened(scope, group) as sandbox:
        assert CommandAgent(spec).act(sandbox, asked).stop is Stop.TIMEOUT
    assert asked.account == UsageSoFar(3, Usage(2_000_000, 1_000_000, 1_000_000, 18.3))
