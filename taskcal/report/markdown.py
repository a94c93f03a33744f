"""`report.md`: the calibration for a reader of the run's folder, a pull request or a job's summary page.

Every name, reason and note passes through `markdown_safe`, so that a stranger's taskset cannot add a link, a row or a
mention of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.verdict import Verdict
from taskcal.report.methods import LONGEST, methods
from taskcal.report.wording import explain, formatting, ordering
from taskcal.report.wording.caveats import note
from taskcal.report.wording.claims import claim, is_robust
from taskcal.report.wording.rerun_command import command
from taskcal.report.wording.sanitize import markdown_safe
from taskcal.report.wording.sentences import SENTENCE, about_all, run_ending
from taskcal.report.wording.stopping import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.calibration.run_result import RunResult
    from taskcal.core.run import RunRecord
    from taskcal.core.settings import CalibrationSettings

FIXED = """\
`n` counts graded rollouts; lost ones stand beside it and count in no rate or reward. The success rate is the share that
passed, in brackets Wilson's 95 % interval, in percent."""

ADAPTIVE = """\
`passed` is of the rollouts that the verdict rests on; late ones were graded after it, lost ones count in no rate or
reward. How many there are depends on what was seen, which biases the share that passed: the success rate is the
posterior mean, in brackets the 95 % interval of the posterior, in percent."""

LEGEND = """\
{rates}

Contrast is the population variance of the reward inside a group: 0 means nothing to learn from. Signal is the
chance that the rewards of a group of {size} are not all equal, so that a group-relative update is not zero; `G for
90 %` is the smallest group of which nine in ten are so. A verdict is certified
where a guarantee holds whatever the prior, likely where its class has a posterior probability of at least {sure:g} %,
else it leans; `sure` is that probability, `robust` says whether default, Jeffreys' and uniform prior all decide the
same."""


def _columns(settings: CalibrationSettings) -> tuple[tuple[str, str, Callable[[Calibration], str]], ...]:
    """Title, alignment and content."""
    adaptive = settings.adaptive
    return (
        ("task", "---", lambda c: markdown_safe(str(c.group.id))),
        ("passed", "---:", formatting.fraction) if adaptive else ("n", "---:", formatting.sample),
        ("success rate", "---:", formatting.posterior_rate if adaptive else formatting.rate),
        ("mean reward", "---:", lambda c: formatting.decimal(c.rates.mean_reward)),
        ("contrast", "---:", lambda c: formatting.decimal(c.learning.contrast, 3)),
        ("signal", "---:", lambda c: formatting.percent(c.learning.signal)),
        ("G for 90 %", "---:", formatting.recommended),
        ("verdict", "---", formatting.full_verdict),
        ("note", "---", lambda c: note(c, settings)),
        ("sure", "---:", formatting.sure),
        ("robust", "---", _robust),
        ("mean time", "---:", lambda c: formatting.format_duration(c.cost.seconds)),
    )


def render_markdown(result: RunResult) -> str:
    """The whole page; it ends in a newline and holds every group, however many there are."""
    rows = [row for rows in ordering.by_task(result.calibrations) for row in rows]
    columns = _columns(result.settings)
    counts, headline, *others = about_all(result)
    run = result.record
    parts = [
        f"# Calibration of {markdown_safe(run.taskset)} with agent {markdown_safe(formatting.agent(run))}",
        _safe(headline),
        _safe(counts),
        f"**{_safe(run_ending(result.record))}**" if run_ending(result.record) else "",
        "\n".join(f"- {_safe(sentence)}" for sentence in others),
        _table([(name, rule) for name, rule, _ in columns], ([cell(row) for *_, cell in columns] for row in rows)),
        _legend(result.settings),
        *_looked_into(result),
        *_checks(rows),
        *_losses(rows),
        *_notes(result.record),
        *_method(result),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _legend(settings: CalibrationSettings) -> str:
    rates = ADAPTIVE if settings.adaptive else FIXED
    return LEGEND.format(rates=rates, size=settings.group_size, sure=100 * (1 - settings.error_rate))


def _robust(row: Calibration) -> str:
    found = is_robust(row)
    return formatting.DASH if found is None else ("yes" if found else "no")


def _looked_into(result: RunResult) -> list[str]:
    sections: dict[str, list[str]] = {"Flagged": [], "Unmeasured": [], "In the band, with doubts": []}
    tasks = result.measured
    for row in ordering.needing_a_look(result):
        sections[_section_of(row.judgement.verdict)].append(_reasons(row, result.settings, tasks))
    return [part for title, items in sections.items() for part in _section(title, items)]


def _section_of(verdict: Verdict) -> str:
    if verdict is Verdict.UNMEASURED:
        return "Unmeasured"
    return "In the band, with doubts" if verdict is Verdict.IN_BAND else "Flagged"


def _reasons(row: Calibration, settings: CalibrationSettings, tasks: int) -> str:
    place = f" ({markdown_safe(row.group.file)}, line {row.group.line})" if row.group.file else ""
    lines = [f"- **{markdown_safe(str(row.group.id))}**: {formatting.full_verdict(row)}{place}"]
    parts = (
        ("why", explain.why(row, settings)),
        ("try", explain.advise(row, settings)),
        ("claim", claim(row, settings, tasks)),
    )
    return "\n".join([*lines, *(f"  - {label}: {_safe(text)}" for label, text in parts if text)])


def _checks(rows: Sequence[Calibration]) -> list[str]:
    """Folded away: with a thousand tasks this is the longest part by far."""
    cells = [
        [
            markdown_safe(str(row.group.id)),
            markdown_safe(check.name),
            f"{check.weight:g}",
            formatting.decimal(check.mean_score),
            markdown_safe(check.note),
        ]
        for row in rows
        for check in row.checks
    ]
    heads = [("task", "---"), ("check", "---"), ("weight", "---:"), ("mean score", "---:"), ("commonest note", "---")]
    table = _table(heads, cells)
    return ["## Checks", "<details><summary>Mean score of every check</summary>", table, "</details>"] if cells else []


def _losses(rows: Sequence[Calibration]) -> list[str]:
    cells = [
        [
            markdown_safe(str(row.group.id)),
            str(row.counts.lost),
            formatting.list_counts(row.counts.lost_by),
            str(row.counts.retried),
        ]
        for row in rows
        if row.counts.lost or row.counts.retried
    ]
    heads = [("task", "---"), ("lost", "---:"), ("at", "---"), ("retries", "---:")]
    return ["## Lost and retried", _table(heads, cells)] if cells else []


def _notes(run: RunRecord) -> list[str]:
    return _section("Notes", (f"- {_safe(note)}" for note in run.notes))


def _method(result: RunResult) -> list[str]:
    facts = (
        ("design", _design(result.record)),
        ("band", formatting.band_of(result.settings)),
        ("agent", formatting.agent(result.record)),
        ("seed", str(result.record.seed)),
        ("taskset", f"{', '.join(result.record.taskset_files)} (SHA-256 {result.record.taskset_digest[:12]})"),
        ("started", f"{result.record.started_at}, took {formatting.format_duration(result.record.seconds)}"),
        ("concurrency, retries", f"{result.record.concurrency}, {result.record.retries}"),
        ("engine", f"{result.record.engine} on {result.record.host}"),
        ("taskcal", result.record.version),
        ("run", result.record.id),
    )
    table = _table([("what", "---"), ("value", "---")], ([name, _safe(value)] for name, value in facts))
    again = f"```sh\n{command(result.record)}\n```"
    paragraph = markdown_safe(methods(result), LONGEST)
    repeated = ["To measure it again:", again] if result.record.provenance.is_repeatable else []
    return ["## How it was measured", table, *repeated, "## Methods", paragraph]


def _design(run: RunRecord) -> str:
    if not run.settings.adaptive:
        return f"groups of {run.group_size}"
    design = run.settings.design
    return f"adaptive, {RULES[design.rule]}, at most {design.limit} rollouts; signal of groups of {run.group_size}"


def _section(title: str, items: Iterable[str]) -> list[str]:
    lines = list(items)
    return [f"## {title}", "\n".join(lines)] if lines else []


def _table(heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    lines = [[name for name, _ in heads], [rule for _, rule in heads], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _safe(text: str) -> str:
    return markdown_safe(text, SENTENCE)
