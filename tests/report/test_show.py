"""A rollout as a person reads it: everything in its order, long outputs cut, and nothing that moves the terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskcal.agents.transcript import Message, Note, TokenUsage, ToolCall, ToolResult, TranscriptEntry
from taskcal.core.rollout import CheckResult, Graded, Lost, Stop, Timing, Usage
from taskcal.errors import Boundary
from taskcal.report.show import (
    LineStyle,
    StoredRollout,
    StoryLine,
    called,
    check_line,
    numbers,
    overview,
    rollout_ending,
    story,
)
from tests.store.store_case import FIRST, GROUP

ROLLOUT = replace(
    FIRST,
    answer="Done.",
    turns=2,
    usage=Usage(5210, 4096, 310, 0.021),
    timing=Timing(agent=41.2),
)
ENTRIES = (
    TranscriptEntry(0.0, Message("system", "Be brief.")),
    TranscriptEntry(0.0, Message("user", "Ship it.")),
    TranscriptEntry(1.2, Message("assistant", "I look.", "Where is it?")),
    TranscriptEntry(1.2, ToolCall("c1", "bash", '{"command": "ls -l\\ncat x"}')),
    TranscriptEntry(1.4, ToolResult("c1", "  indented\nlast", 0.2, 2)),
    TranscriptEntry(1.4, TokenUsage(812, 640, 31)),
    TranscriptEntry(2.0, Note("one call was tried again")),
    TranscriptEntry(3.5, Message("assistant", "Done.")),
)
RECORD = StoredRollout(ROLLOUT, GROUP, ENTRIES, "", "runs/run-1/rollouts/aa/ship/0")


def texts(record: StoredRollout, *, full: bool = False) -> list[str]:
    return [line.text.rstrip("─ ") for line in story(record, full=full)]


def test_a_rollout_is_read_from_top_to_bottom() -> None:
    """How it ended, what it took, prompt, turns with their calls and answers, and the checks."""
    assert texts(RECORD) == [
        "ship/easy#0  reward 0.7, not passed, finished",
        "2 turns, 5,210 tokens in (4,096 cached), 310 out, $0.0210, 41s",
        "── prompt",
        "Ship it.",
        "── system  0.0s",
        "Be brief.",
        "── turn 1  1.2s",
        "Where is it?",
        "I look.",
        "→ bash: ls -l",
        "  cat x",
        "← exit 2, 0.2s",
        "    indented",
        "  last",
        "[812 tokens in (640 cached), 31 out]",
        "[one call was tried again]",
        "── turn 2  3.5s",
        "Done.",
        "── checks",
        "0.7  a  (weight 1)  why",
        "",
        "files: runs/run-1/rollouts/aa/ship/0",
    ]


def test_tokens_that_no_server_counted_are_no_line() -> None:
    """Empty brackets would say that there is something."""
    entries = (TranscriptEntry(0.0, Message("assistant", "Done.")), TranscriptEntry(0.1, TokenUsage()))
    assert not any(line.startswith("[") for line in texts(replace(RECORD, entries=entries)))


@pytest.mark.parametrize(("width", "rule"), [(200, 72), (72, 72), (50, 50), (5, 10)])
def test_a_rule_is_no_wider_than_the_terminal(width: int, rule: int) -> None:
    """It would wrap and be two; on a wide one it is as wide as a text, and its name is never cut."""
    title = next(line for line in story(RECORD) if line.is_rule)
    assert title.at(width) == "── prompt ".ljust(rule, "─")
    assert StoryLine("text").at(width) == "text"


def test_an_answer_that_was_not_said_and_a_log_are_parts_of_their_own() -> None:
    """As a command agent leaves them."""
    found = texts(replace(RECORD, entries=(), log="working\n"))
    assert found[found.index("── agent.log") :][:4] == ["── agent.log", "working", "── answer", "Done."]


def test_a_lost_rollout_says_why() -> None:
    """It has no checks, and no reward is made up."""
    lost = replace(ROLLOUT, outcome=Lost(Boundary.PROVIDER, "no\nanswer"), answer=None, usage=Usage(), turns=None)
    found = texts(replace(RECORD, rollout=lost, entries=()))
    assert found[0] == "ship/easy#0  lost at provider: no answer"
    assert not any("checks" in line or "reward" in line for line in found)


def test_long_outputs_are_cut_in_the_middle_unless_all_is_wanted() -> None:
    """The beginning and the end of it, with how much is left out."""
    record = replace(RECORD, entries=(), log="\n".join(f"line {number}" for number in range(100)))
    cut, whole = texts(record), texts(record, full=True)
    assert "[… 60 lines left out; --full shows them …]" in cut
    assert [line for line in cut if line.startswith("line ")][-11:-9] == ["line 29", "line 90"]
    assert [line for line in whole if line.startswith("line ")] == [f"line {number}" for number in range(100)]


@pytest.mark.parametrize("evil", ["\x1b[2Jgone", "\x9b2J", "a\rb", "\x1b]0;title\x07", "\u202eright to left", "\ud800"])
def test_nothing_in_a_rollout_moves_the_terminal(evil: str) -> None:
    """Wherever it stands: prompt, messages, calls, outputs, log, answer, checks, names."""
    checks = (CheckResult(evil, 1.0, 0.0, evil),)
    rollout = replace(ROLLOUT, outcome=Graded(Stop.CRASHED, 0.0, passed=False, checks=checks), answer=evil)
    events = (Message("assistant", evil, evil), ToolCall(evil, evil, evil), ToolResult(evil, evil), Note(evil))
    record = StoredRollout(
        rollout,
        replace(GROUP, prompt=evil),
        tuple(TranscriptEntry(0.0, event) for event in events),
        evil,
        f"runs/{evil}",
    )
    for line in story(record, full=True):
        assert line.text.isprintable(), line.text
        assert "\ud800" not in line.text


@pytest.mark.parametrize(
    ("name", "arguments", "shown"),
    [
        ("bash", '{"command": "ls"}', "bash: ls"),
        ("bash", '{"command": "ls", "timeout": 5}', 'bash: ls  {"timeout": 5}'),
        ("ship", '{"order": 5}', 'ship {"order": 5}'),
        ("ship", "not json", "ship not json"),
        ("ship", "[1]", "ship [1]"),
        ("ship", '{"command": 5}', 'ship {"command": 5}'),
    ],
)
def test_a_call_is_written_as_a_person_would(name: str, arguments: str, shown: str) -> None:
    """A command without its quotes, anything else as the model wrote it."""
    assert called(ToolCall("c", name, arguments)) == shown


def test_a_list_has_a_line_for_each_rollout() -> None:
    """Its name, its reward, what it took; retries are told apart, and what passed from what did not."""
    passed = replace(ROLLOUT, outcome=Graded(Stop.FINISHED, 1.0, passed=True, checks=()))
    again = replace(ROLLOUT, id=replace(ROLLOUT.id, attempt=1), outcome=Lost(Boundary.ENGINE, "gone"), usage=Usage())
    lines = list(overview([passed, ROLLOUT, again]))
    assert [line.look for line in lines] == [LineStyle.GOOD, LineStyle.BAD, LineStyle.QUIET]
    assert lines[0].text.startswith("ship/easy#0  reward 1, passed, finished  2 turns, 5,210 tokens in")
    assert lines[2].text.startswith("ship/easy#0 attempt 1  lost at engine: gone")


def test_only_what_is_known_is_shown() -> None:
    """A rollout of an agent that reports nothing has no tokens, no turns and no cost."""
    assert numbers(replace(ROLLOUT, turns=1, usage=Usage(), timing=Timing())) == "1 turn"
    assert numbers(replace(ROLLOUT, turns=None, usage=Usage(output_tokens=5), timing=Timing())) == "5 out"
    assert rollout_ending(FIRST) == "reward 0.7, not passed, finished"
    guard = check_line(CheckResult("others", 0.0, 1.0, required=True))
    assert (guard.text, guard.look) == ("ok   others  (guard)", LineStyle.GOOD)
