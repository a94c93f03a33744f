"""One rollout as a person reads it in a terminal: what was asked, said, done and found, turn by turn.

Everything in a rollout was written by strangers, the model among them: no line here does anything to a terminal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from taskcal.agents.transcript import Message, Note, TokenUsage, ToolCall, ToolResult
from taskcal.core.rollout import Graded, Rollout, Usage
from taskcal.report.wording import formatting
from taskcal.report.wording.sanitize import plain, reason, verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskcal.agents.transcript import Event, TranscriptEntry
    from taskcal.core.group_record import GroupRecord
    from taskcal.core.rollout import CheckResult

FIRST_LINES, LAST_LINES = 30, 10
"""Lines of one output that are shown from its beginning and its end, unless all are asked for."""
WIDTH = 72
BAR = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
CALLS, ANSWERS = "\N{RIGHTWARDS ARROW}", "\N{LEFTWARDS ARROW}"


class LineStyle(Enum):
    """How a line is to look; what that means is the terminal's business."""

    PLAIN = "plain"
    TITLE = "title"
    QUIET = "quiet"
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class StoryLine:
    """One line to print; a rule is drawn behind its text as far as there is room."""

    text: str
    look: LineStyle = LineStyle.PLAIN
    is_rule: bool = False

    def at(self, width: int) -> str:
        """The line on a terminal of so many cells."""
        return self.text + BAR * (min(width, WIDTH) - len(self.text)) if self.is_rule else self.text


@dataclass(frozen=True, slots=True)
class StoredRollout:
    """All that a run's folder holds of one attempt; `log` is what the agent printed, `place` its folder."""

    rollout: Rollout
    group: GroupRecord
    entries: Sequence[TranscriptEntry]
    log: str
    place: str


def story(record: StoredRollout, *, full: bool = False) -> Iterator[StoryLine]:
    """The whole rollout: how it ended, the prompt, the turns, the agent's log, its answer, the checks."""
    rollout = record.rollout
    yield StoryLine(f"{_name(rollout)}  {rollout_ending(rollout)}", _look(rollout))
    yield StoryLine(numbers(rollout) or "nothing is known of what it took", LineStyle.QUIET)
    yield from _part("prompt", record.group.prompt, full=True)
    yield from _turns(_after_prompt(record), full=full)
    if record.log.strip():
        yield from _part("agent.log", record.log, full=full)
    if rollout.answer is not None and not _was_said(record):
        yield from _part("answer", rollout.answer, full=full)
    if isinstance(rollout.outcome, Graded):
        yield from (StoryLine(plain(words), LineStyle.BAD) for words in rollout.outcome.ended_services)
        yield _title("checks")
        yield from map(check_line, rollout.outcome.checks)
    yield StoryLine("")
    yield StoryLine(f"files: {plain(record.place)}", LineStyle.QUIET)


def overview(rollouts: Iterable[Rollout]) -> Iterator[StoryLine]:
    """A line for each rollout, to find the one to read."""
    for rollout in rollouts:
        yield StoryLine(f"{_name(rollout)}  {rollout_ending(rollout)}  {numbers(rollout)}".rstrip(), _look(rollout))


def _name(rollout: Rollout) -> str:
    return plain(rollout.id.key) + (f" attempt {rollout.id.attempt}" if rollout.id.attempt else "")


def rollout_ending(rollout: Rollout) -> str:
    """`reward 0.70, not passed, timeout`, or why it was lost."""
    outcome = rollout.outcome
    if isinstance(outcome, Graded):
        return f"reward {outcome.reward:.3g}, {'passed' if outcome.passed else 'not passed'}, {outcome.stop.value}"
    return f"lost at {outcome.boundary.value}: {reason(outcome.reason)}"


def numbers(rollout: Rollout) -> str:
    """`7 turns, 5,210 tokens in (4,096 cached), 310 out, $0.021, 41s`; only what is known."""
    turns = None if rollout.turns is None else f"{rollout.turns} turn{'s' * (rollout.turns != 1)}"
    cost = None if rollout.usage.cost_usd is None else formatting.money(rollout.usage.cost_usd)
    seconds = formatting.format_duration(rollout.timing.agent) if rollout.timing.agent else None
    return ", ".join(part for part in (turns, *_tokens(rollout.usage), cost, seconds) if part)


def _tokens(usage: Usage) -> Iterator[str]:
    if usage.input_tokens is not None:
        cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
        yield f"{usage.input_tokens:,} tokens in{cached}"
    if usage.output_tokens is not None:
        yield f"{usage.output_tokens:,} out"


def check_line(check: CheckResult) -> StoryLine:
    """A check with its score, its part in the reward and what it noted."""
    role = "guard" if check.required and not check.weight else f"weight {check.weight:g}"
    mark = "ok" if check.score >= 1.0 else f"{check.score:.2g}"
    note = f"  {plain(check.note)}" if check.note else ""
    return StoryLine(
        f"{mark:<5}{plain(check.name)}  ({role}){note}", LineStyle.GOOD if check.score >= 1.0 else LineStyle.BAD
    )


def _look(rollout: Rollout) -> LineStyle:
    if isinstance(rollout.outcome, Graded):
        return LineStyle.GOOD if rollout.outcome.passed else LineStyle.BAD
    return LineStyle.QUIET


def _was_said(record: StoredRollout) -> bool:
    """Whether the answer is the last thing in the transcript that the agent said."""
    said = [entry.event for entry in record.entries if isinstance(entry.event, Message)]
    return bool(said) and said[-1].role == "assistant" and said[-1].content == record.rollout.answer


def _after_prompt(record: StoredRollout) -> Iterator[TranscriptEntry]:
    """The entries without the prompt, which is shown already."""
    prompt = Message("user", record.group.prompt)
    return (entry for entry in record.entries if entry.event != prompt)


def _turns(entries: Iterable[TranscriptEntry], *, full: bool) -> Iterator[StoryLine]:
    turn = 0
    for entry in entries:
        event = entry.event
        if isinstance(event, Message) and event.role == "assistant":
            turn += 1
            yield _title(f"turn {turn}", formatting.format_duration(entry.t))
        elif isinstance(event, Message):
            yield _title(plain(event.role), formatting.format_duration(entry.t))
        yield from _event(event, full=full)


def _event(event: Event, *, full: bool) -> Iterator[StoryLine]:
    if isinstance(event, Message):
        if event.reasoning:
            yield from _text(event.reasoning, LineStyle.QUIET, full=full)
        yield from _text(event.content, full=full)
    elif isinstance(event, ToolCall):
        yield from _text(called(event), LineStyle.TITLE, full=full, mark=CALLS)
    elif isinstance(event, ToolResult):
        status = "" if event.exit_code in {0, None} else f"exit {event.exit_code}, "
        yield StoryLine(f"{ANSWERS} {status}{formatting.format_duration(event.seconds)}", LineStyle.QUIET)
        yield from _text(event.content, full=full, mark=" ")
    elif isinstance(event, Note):
        yield StoryLine(f"[{plain(event.text, 2000)}]", LineStyle.QUIET)
    elif isinstance(event, TokenUsage):
        said = ", ".join(_tokens(Usage(event.input_tokens, event.cached_tokens, event.output_tokens)))
        if said:
            yield StoryLine(f"[{said}]", LineStyle.QUIET)


def called(call: ToolCall) -> str:
    """A call as a person would write it: a command alone, or the tool's name with its arguments."""
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = None
    if isinstance(arguments, dict) and isinstance(arguments.get("command"), str):
        rest = {name: value for name, value in arguments.items() if name != "command"}
        return f"{call.name}: {arguments['command']}" + (f"  {json.dumps(rest, ensure_ascii=False)}" if rest else "")
    return f"{call.name} {call.arguments}"


def _part(name: str, text: str, *, full: bool) -> Iterator[StoryLine]:
    yield _title(name)
    yield from _text(text, full=full)


def _title(name: str, beside: str = "") -> StoryLine:
    return StoryLine(f"{BAR * 2} {name}{f'  {beside}' if beside else ''} ", LineStyle.TITLE, is_rule=True)


def _text(text: str, look: LineStyle = LineStyle.PLAIN, *, full: bool, mark: str = "") -> Iterator[StoryLine]:
    """A text's lines, the middle of a long one left out; `mark` stands before the first, and room for it before all."""
    lines = text.rstrip("\n").splitlines()
    for number, line in enumerate(lines):
        if not full and len(lines) > FIRST_LINES + LAST_LINES and number == FIRST_LINES:
            yield StoryLine(
                f"[… {len(lines) - FIRST_LINES - LAST_LINES} lines left out; --full shows them …]", LineStyle.QUIET
            )
        if full or number < FIRST_LINES or number >= len(lines) - LAST_LINES or len(lines) <= FIRST_LINES + LAST_LINES:
            lead = f"{mark if number == 0 else ' ' * len(mark)} " if mark else ""
            yield StoryLine(lead + verbatim(line, 100_000 if full else 2000), look)
