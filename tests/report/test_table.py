"""What a person sees at the end, rendered for real."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from rich.console import Console

from taskcal.core.rollout import Stop
from taskcal.core.settings import Metric
from taskcal.report.table import DETAILS, ROWS, final_lines, final_table
from tests.report.sample_run import (
    CHECKS,
    QUESTION,
    calibration,
    copied,
    counted,
    graded,
    lost,
    record,
    result_of,
    run_record,
    shop,
)

if TYPE_CHECKING:
    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.run import RunRecord

DASH = "\N{EN DASH}"
HOSTILE = "\x1b[31m[red]x[/red]\x1b]0;t\x07\n| </td> \u202eevil"


def rendered(calibrations: list[Calibration], width: int = 100, run: RunRecord | None = None) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None, _environ={})
    console.print(final_table(result_of(run or run_record(), calibrations)))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


GOLDEN = """\
shop-orders with agent simulated, groups of 8, seed 7, run 20250102-030405-ab12

 task                    n  success rate  reward  contrast  signal  verdict            sure  time
 ────────────────────────────────────────────────────────────────────────────────────────────────
 ship
   high-level            8    0 % [0~32]    0.70     0.000    47 %  too-hard, leaning  86 %   12s
   step-by-step          8  50 % [22~78]    0.85     0.023    97 %  in-band, likely    95 %   12s
 gone            0 +8 lost             ~       ~         ~       ~  unmeasured            ~     ~

success rate: passed / n [Wilson's 95 % interval]

ship/high-level  too-hard, leaning (86 %)
  why    passed 0 of 8; a true rate up to 32 % would still look like this; check 'tracking code is
         set' was never met
  try    measure it with a larger --group-size before acting on this; begin with check 'tracking
         code is set' (mean score 0.00): the prompt may not say enough for it
  claim  p < 0.05 with probability 86 %
  checks order is shipped 1.00, tracking code is set 0.00

gone  unmeasured
  why  sandbox: the container died
  try  raise the environment's memory, or lower --concurrency where the machine was short of it
  lost 8 (sandbox 8)

3 variants of 2 tasks: 1 in-band, 1 too-hard, 1 unmeasured. 1 likely; 1 verdict only leans. Expected
by the posteriors: 1.1 in-band, 0.9 too-hard, 0.0 too-easy.
The average success rate of these 2 variants is 25 % [12~46], within the band of 5 to 75 %; of 100
groups of 8, about 28 would teach nothing.
24 rollouts attempted, 16 graded, 8 lost and counted in no rate or reward (sandbox 8).
Keeping the one in-band variant: of 100 groups of 8, about 3 would teach nothing instead of 28; 8.3
rollouts per useful group instead of 11.1. By the posteriors none of them lies outside the band, and
their mean success rate is 50 %.
Prior: the default one, as fewer than 5 were measured.
Claims about the true success rate p of a variant: in-band, likely (1): 0.05 <= p <= 0.75, posterior
probability at least 95 %.
What is likely is right 95 times in 100 only if tasks are distributed as the default prior says. Of
1 likely verdict expect fewer than 0.1 to be wrong.
The only sure verdict rests on the prior: the default, Jeffreys' and the uniform one are not all as
sure.
Note: the agent is no model"""


def test_a_small_table() -> None:
    """The whole of it, as a person sees it at 100 columns."""
    full, half = graded(1, 1), graded(1, 0)
    rows = [
        calibration(record("gone"), [lost()] * 8),
        calibration(record("ship", "step-by-step"), [full] * 4 + [half] * 4),
        calibration(record("ship", "high-level"), [half] * 8),
    ]
    assert rendered(rows, run=run_record("the agent is no model")) == GOLDEN.replace("~", DASH)


def test_the_checkpoint_is_named() -> None:
    """The title says which version of the agent was measured, where one was given."""
    assert (
        "with agent simulated (step-1200), groups"
        in final_lines(result_of(replace(run_record(), agent_version="step-1200"), shop()))[0]
    )


def test_flagged_first_then_unmeasured_and_variants_together() -> None:
    """The order is that in which a person should look, and a task's variants stand under its name."""
    lines = rendered(shop()).splitlines()
    names = [line.split("  ")[0].strip() or line.split()[0] for line in lines[4:15]]
    assert names == [
        "ship-order", "high-level", "step-by-step", "merge-customers/many", "audit", "cancel-order", "restock",
        "close-account", "refund-order", "count-orders", "export-csv",
    ]  # fmt: skip


def test_each_flagged_task_says_why_and_what_to_try() -> None:
    """Below the table each flagged or unmeasured task has its why, what to try, the mean of each check, the lost."""
    text = rendered(shop(), 160)
    assert text.count("\n  why") == 6
    assert text.count("\n  claim") == 5
    assert text.count("\n  try") == 6
    assert "checks order is shipped 0.75, tracking code is set 0.00" in text
    assert "lost 8 (image 8)" in text


def test_a_lost_rollout_is_never_a_zero() -> None:
    """A task whose rollouts were all lost shows dashes, and how many were lost; no rate or reward of 0."""
    rows = [calibration(record("gone"), [lost()] * 8)]
    line = next(line for line in rendered(rows).splitlines() if line.startswith(" gone"))
    assert line.split() == ["gone", "0", "+8", "lost", *[DASH] * 5, "unmeasured", *[DASH] * 2]
    assert "Nothing was measured" in rendered(rows)
    assert "8 rollouts attempted, 0 graded, 8 lost and counted in no rate or reward (sandbox 8)" in rendered(rows)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160, 240])
def test_it_fits_the_terminal(width: int) -> None:
    """No line is wider than the terminal; the verdict is always there, n and the rate on all but the narrowest."""
    lines = rendered(shop(), width).splitlines()
    assert max(map(cell_len, lines)) <= width
    head = next(line for line in lines if line.startswith(" task"))
    assert {"task", "verdict"} <= set(head.split())
    assert width < 60 or {"n", "rate"} <= set(head.split())
    assert ("contrast" in head, "lowest check" in head) == (width >= 120, width >= 240)


def test_strangers_cannot_move_the_terminal() -> None:
    """Names, checks, reasons and notes reach the terminal as text: no escape, no markup, no line of their own."""
    checks = [(HOSTILE, 1.0)]
    rows = [
        calibration(record(HOSTILE, HOSTILE, checks), [graded(0, checks=checks)] * 8),
        calibration(record("other"), [lost(reason=HOSTILE)]),
    ]
    run = run_record(HOSTILE, taskset=HOSTILE)
    for text in (rendered(rows, 240, run), "\n".join(final_lines(result_of(run, rows)))):
        assert not set(text) & {"\x1b", "\x07", "\u202e"}
        assert "[red]x[/red] | </td> evil" in text
        assert not any(line.startswith("|") for line in text.splitlines())


def test_colour_is_an_addition() -> None:
    """With colour the words are the same as without, and NO_COLOR takes every colour away."""

    def written(environ: dict[str, str]) -> str:
        console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard", _environ=environ)
        with console.capture() as capture:
            console.print(final_table(result_of(run_record(), shop())))
        return capture.get()

    assert "\x1b[31mtoo-hard" in written({})
    assert "\x1b[31m" not in written({"NO_COLOR": "1"})
    console = Console(file=io.StringIO(), width=100, record=True, force_terminal=True, _environ={})
    console.print(final_table(result_of(run_record(), shop())))
    assert "\n".join(line.rstrip() for line in console.export_text().splitlines()) == rendered(shop())


def test_thousands_of_tasks_stay_readable() -> None:
    """Of 5,000 groups a screenful is shown, flagged ones first, and it is said how many are not."""
    flagged = calibration(record("hard"), [graded(0, 0)] * 8)
    fine = calibration(record("fine"), [graded(1, 1)] * 4 + [graded(0, 0)] * 4)
    rows = [_named(fine, f"fine-{n}") for n in range(4900)] + [_named(flagged, f"hard-{n}") for n in range(100)]
    for text in (rendered(rows), "\n".join(final_lines(result_of(run_record(), rows)))):
        assert f"… and {5000 - ROWS:,} more rows in report.md" in text
        assert f"… and {100 - DETAILS} more rows to look at in report.md" in text
        assert "fine-" not in text
        assert "5,000 tasks: 4,900 in-band, 100 too-hard." in text


def _named(like: Calibration, name: str) -> Calibration:
    return replace(like, group=record(name, checks=CHECKS))


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_a_row_says_what_there_is_to_it(width: int) -> None:
    """Beside the verdict, on every usual width: a more probable class, a partial signal, limits, losses, copies."""
    half, none, late = graded(1, 0), graded(0, 0), graded(0, 0, stop=Stop.TIMEOUT)
    rows = [
        counted(1, 15, task="torn"),
        calibration(record("partial"), [half] * 6 + [none] * 2),
        calibration(record("slow"), [late] * 5 + [graded(1, 1)] * 3),
        calibration(record("shaken"), [none] * 8 + [lost()]),
        _named(copied([graded(1, 1)] * 8, 4), "copied"),
    ]
    text = rendered(rows, width)
    for words in ("rather", "partial signal", "limits", "losses", "identical"):
        assert f"  {words}" in text.partition("success rate: passed")[0]
    assert "torn  in-band, leaning (44 %)\n  why   1 of 16 lies in the band, but too-hard" in text
    assert "partial  too-hard, leaning, partial signal 0.89 (86 %)" in text


def test_a_table_without_notes_has_no_column_for_them() -> None:
    """Where every row is what it looks like, the width is left to others."""
    assert "note" not in rendered([counted(2, 6)], 200)
    assert "note" in rendered([counted(1, 15)], 200)


def test_mean_rewards_come_first_where_the_band_is_about_them() -> None:
    """On a narrow terminal the column that the verdict is about stays."""
    settings = replace(QUESTION, metric=Metric.REWARD)
    row = calibration(record("a"), [graded(1, 0)] * 6 + [graded(0, 0)] * 2, settings=settings)
    head = rendered([row], 60, run_record(settings=settings)).partition(" task")[2].splitlines()[0]
    assert {"reward", "verdict"} <= set(head.split())
    assert "success" not in head


def test_plain_lines_say_the_same() -> None:
    """Where there is no terminal: a line for each group with all numbers, the reasons, and the closing sentences."""
    lines = final_lines(result_of(run_record("the agent is no model", interrupted=True), shop()))
    assert lines[2].split() == [
        "task", "n", "success", "rate", "reward", "contrast", "signal", "G", "90%", "verdict", "sure",
        "note", "time", "lowest", "check",
    ]  # fmt: skip
    assert "ship-order/high-level    8          0 % [0\N{EN DASH}32]" in lines[3]
    assert lines[-2:] == ["The run was interrupted: these are the rollouts until then.", "Note: the agent is no model"]


def test_cost_is_shown_where_it_is_known() -> None:
    """An agent that reports what it costs gets a column for it; the others get no column of dashes."""
    paid = calibration(record("a"), [graded(1, 1)] * 8, cost=0.25)
    assert "$2.00" in "\n".join(final_lines(result_of(run_record(), [paid])))
    assert "cost" not in "\n".join(final_lines(result_of(run_record(), shop())))


def test_a_run_without_tasks() -> None:
    """Nothing to show is no reason to fail."""
    assert "Nothing was measured" in rendered([])
    assert "Nothing was measured: no rollout was graded." in final_lines(result_of(run_record(), []))
