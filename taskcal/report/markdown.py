"""`report.md`: the calibration for a reader of the run's folder, a pull request or a job's summary page.

Every name, reason and note passes through `markdown_safe`, so that a stranger's taskset cannot add a link, a row or a
mention of its own.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from taskcal.core.summary import summarise
from taskcal.core.verdict import Band, Verdict
from taskcal.report import explain, figures, order
from taskcal.report.clean import markdown_safe, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskcal.core.calibrate import Calibration
    from taskcal.core.run import RunRecord

SENTENCE = 600

LEGEND = """\
`n` counts graded rollouts; lost ones stand beside it and count in no rate or reward. The bracket is the 95 % interval
of the success rate, in percent. Contrast is the population variance of the reward inside a group: 0 means nothing to
learn from. Signal is the chance that a group of {size} is mixed, so that a group-relative update is not zero. A verdict
is likely where its class has a posterior probability of at least 95 %, else it leans; `sure` is that probability."""

COLUMNS: tuple[tuple[str, str, Callable[[Calibration], str]], ...] = (
    ("task", "---", lambda c: markdown_safe(str(c.group.id))),
    ("n", "---:", figures.sample),
    ("success rate", "---:", figures.rate),
    ("mean reward", "---:", lambda c: figures.decimal(c.mean_reward)),
    ("contrast", "---:", lambda c: figures.decimal(c.contrast, 3)),
    ("signal", "---:", lambda c: figures.percent(c.signal)),
    ("verdict", "---", figures.verdict),
    ("sure", "---:", figures.sure),
    ("mean time", "---:", lambda c: figures.duration(c.seconds)),
)


def render_markdown(run: RunRecord, calibrations: Sequence[Calibration]) -> str:
    """The whole page; it ends in a newline and holds every group, however many there are."""
    rows = [row for rows in order.by_task(calibrations) for row in rows]
    summary = summarise(calibrations, run.question)
    parts = [
        f"# Calibration of {markdown_safe(run.taskset)}",
        _safe(explain.headline(summary, run)),
        _safe(explain.counts(calibrations, summary)),
        _safe(explain.losses(calibrations)),
        "**The run was interrupted**: these are the rollouts until then." if run.interrupted else "",
        _table([(name, rule) for name, rule, _ in COLUMNS], ([cell(row) for *_, cell in COLUMNS] for row in rows)),
        LEGEND.format(size=run.group_size),
        *_troubles(calibrations),
        *_checks(rows),
        *_losses(rows),
        *_notes(run),
        *_method(run),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _troubles(calibrations: Sequence[Calibration]) -> list[str]:
    troubled = order.troubled(calibrations)
    flagged = [row for row in troubled if row.verdict is not Verdict.UNMEASURED]
    unmeasured = [row for row in troubled if row.verdict is Verdict.UNMEASURED]
    return [*_section("Flagged", map(_trouble, flagged)), *_section("Unmeasured", map(_trouble, unmeasured))]


def _trouble(row: Calibration) -> str:
    place = f" ({markdown_safe(row.group.file)}, line {row.group.line})" if row.group.file else ""
    lines = [f"- **{markdown_safe(str(row.group.id))}**: {figures.verdict(row)}{place}"]
    lines += [f"  - why: {text}" for text in [_safe(explain.why(row))] if text]
    lines += [f"  - try: {text}" for text in [_safe(explain.advice(row))] if text]
    return "\n".join(lines)


def _checks(rows: Sequence[Calibration]) -> list[str]:
    """Folded away: with a thousand tasks this is the longest part by far."""
    cells = [
        [
            markdown_safe(str(row.group.id)),
            markdown_safe(check.name),
            f"{check.weight:g}",
            figures.decimal(check.mean_score),
        ]
        for row in rows
        for check in row.checks
    ]
    table = _table([("task", "---"), ("check", "---"), ("weight", "---:"), ("mean score", "---:")], cells)
    return ["## Checks", "<details><summary>Mean score of every check</summary>", table, "</details>"] if cells else []


def _losses(rows: Sequence[Calibration]) -> list[str]:
    cells = [
        [markdown_safe(str(row.group.id)), str(row.lost), figures.tally(row.lost_by), str(row.retried)]
        for row in rows
        if row.lost or row.retried
    ]
    heads = [("task", "---"), ("lost", "---:"), ("at", "---"), ("retries", "---:")]
    return ["## Lost and retried", _table(heads, cells)] if cells else []


def _notes(run: RunRecord) -> list[str]:
    return _section("Notes", (f"- {_safe(note)}" for note in run.notes))


def _method(run: RunRecord) -> list[str]:
    facts = (
        ("group size", str(run.group_size)),
        ("band", figures.band(run.band)),
        ("agent", run.agent),
        ("seed", str(run.seed)),
        ("interval", "Wilson's score interval at 95 %"),
        ("taskset", f"{', '.join(run.taskset_files)} (SHA-256 {run.taskset_digest[:12]})"),
        ("started", f"{run.started_at}, took {figures.duration(run.seconds)}"),
        ("concurrency, retries", f"{run.concurrency}, {run.retries}"),
        ("engine", f"{run.engine} on {run.host}"),
        ("taskcal", run.version),
        ("run", run.id),
    )
    table = _table([("what", "---"), ("value", "---")], ([name, _safe(value)] for name, value in facts))
    return ["## How it was measured", table, "To measure it again:", f"```sh\n{_command(run)}\n```"]


def _command(run: RunRecord) -> str:
    """One line without a backtick, whatever the names are: it stands in a fenced block."""
    words = ["taskcal", "run", *run.taskset_files, "--agent", run.agent_source or run.agent]
    words += ["--group-size", str(run.group_size), "--seed", str(run.seed)]
    if run.band != Band():
        words += ["--band", f"{run.band.low:g},{run.band.high:g}"]
    return " ".join(shlex.quote(plain(word).replace("`", "'")) for word in words)


def _section(title: str, items: Iterable[str]) -> list[str]:
    lines = list(items)
    return [f"## {title}", "\n".join(lines)] if lines else []


def _table(heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    lines = [[name for name, _ in heads], [rule for _, rule in heads], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _safe(text: str) -> str:
    return markdown_safe(text, SENTENCE)
