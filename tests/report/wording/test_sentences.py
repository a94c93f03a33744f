"""The sentences about a whole run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.rollout import Rollout, RolloutId, Stop
from taskcal.core.settings import CalibrationSettings, Metric
from taskcal.core.stats.clustered_mean import PooledMean
from taskcal.core.stats.prior import Counts
from taskcal.core.stats.rates import Interval
from taskcal.errors import Boundary
from taskcal.report.wording import sentences
from taskcal.report.wording.sentences import about_all
from tests.report.sample_run import (
    QUESTION,
    calibration,
    counted,
    graded,
    lost,
    record,
    result_of,
    rollouts,
    run_record,
    shop,
)

if TYPE_CHECKING:
    from taskcal.core.calibration.calibration import Calibration
    from taskcal.core.calibration.run_result import RunResult

DASH = "\N{EN DASH}"


def result(*rows: Calibration, settings: CalibrationSettings = QUESTION) -> RunResult:
    return result_of(run_record(settings=settings), rows)


def many(count: int, passed: int, failed: int, settings: CalibrationSettings = QUESTION) -> list[Calibration]:
    """So many tasks that are judged together."""
    groups = [record(f"t{number}") for number in range(count)]
    outcomes = [graded(1, 1)] * passed + [graded(0, 0)] * failed
    return list(calibrate(groups, [row for group in groups for row in rollouts(group, outcomes)], settings))


def test_the_headline_has_the_average_the_band_and_the_flat_share() -> None:
    """The guideline is about the taskset's average: where it lies, how sure that is, and how much teaches nothing."""
    known = result(*shop())

    def headline(rate: float, interval: Interval | None = None) -> str:
        these, like = PooledMean(rate, None, interval), PooledMean(rate, None, Interval(0.1, 0.9))
        summary = replace(known.summary, of_these=these, success_rate=like, flat_share=0.37)
        changed = replace(known)
        vars(changed)["summary"] = summary  # in the place where the cached property keeps it
        return sentences.headline(changed)

    assert headline(0.385) == (
        "The average success rate of these 9 variants is 38 %, within the band of 5 to 75 % "
        f"([10{DASH}90] for tasks like these); "
        "of 100 groups of 8, about 37 would teach nothing."
    )
    assert f"is 38 % [20{DASH}60], within the band" in headline(0.385, Interval(0.2, 0.6))
    assert f"is 38 % [20{DASH}80], within or above the band" in headline(0.385, Interval(0.2, 0.8))
    assert f"is 38 % [4{DASH}80], below, within or above the band" in headline(0.385, Interval(0.04, 0.8))
    assert f"is 4 % [2{DASH}6], below or within the band" in headline(0.04, Interval(0.02, 0.06))
    assert f"is 80 % [76{DASH}90], above the band" in headline(0.8, Interval(0.76, 0.9))
    assert "0 %, below the band" in headline(0.0)
    assert "100 %, above the band" in headline(1.0)


def test_the_headline_of_nothing() -> None:
    """Where nothing was graded there is no rate, and certainly not 0; nor is there anything to claim or to select."""
    nothing = result(calibration(record("a"), [lost()] * 8))
    assert about_all(nothing) == [
        "1 task: 1 unmeasured.",
        "Nothing was measured: no rollout was graded.",
        "8 rollouts attempted, 0 graded, 8 lost and counted in no rate or reward (sandbox 8).",
    ]
    assert about_all(result()) == ["0 tasks: none measured.", "Nothing was measured: no rollout was graded."]


def test_the_headline_of_mean_rewards() -> None:
    """Where the band is about rewards, the average that is held against it is theirs."""
    settings = replace(QUESTION, metric=Metric.REWARD)
    row = calibration(record("a"), [graded(1, 1)] * 4 + [graded(0, 0)] * 4, settings=settings)
    assert sentences.headline(result(row, settings=settings)).startswith(
        f"The average success rate of this task is 50 % [22{DASH}78], the average reward 0.50 [0.22{DASH}0.78], "
        "within or above the band of 0.05 to 0.75; "
    )


def test_verdicts_and_strengths_are_counted() -> None:
    """The counts add up to the rows, and where verdicts lean the posteriors say how many of each to expect."""
    assert sentences.counts(result(*shop())) == (
        "10 variants of 9 tasks: 4 in-band, 3 too-hard, 2 too-easy, 1 unmeasured. 3 likely; 6 verdicts only lean. "
        "Expected by the posteriors: 4.4 in-band, 2.6 too-hard, 2.0 too-easy."
    )
    assert sentences.counts(result(counted(0, 32), counted(2, 6))) == (
        "1 task: 1 in-band, 1 too-hard. 1 certified, 1 likely."
    )


def test_honest_denominators() -> None:
    """Attempted, graded, timed out, retried, lost by boundary, and how many verdicts these could change."""
    group = record("retried")
    again = [Rollout(RolloutId(group.id, 0, 0), lost()), Rollout(RolloutId(group.id, 0, 1), graded(1, 1))]
    rows = [
        calibration(record("slow"), [graded(0, 0, stop=Stop.TIMEOUT)] * 3 + [lost(Boundary.PROVIDER), lost()]),
        calibrate([group], again, QUESTION)[0],
    ]
    assert sentences.denominators(result(*rows)) == (
        "6 rollouts attempted, 4 graded (3 timed out), 1 attempt retried, "
        "2 lost and counted in no rate or reward (provider 1, sandbox 1); 1 verdict leans for them."
    )
    assert sentences.denominators(result(counted(4, 4))) == "8 rollouts attempted, 8 graded, none lost."


def test_a_cost_that_is_known_in_part_is_the_least() -> None:
    """The sum alone would pass for all that was spent, so it says how many rollouts are not in it."""
    paid = calibration(record("paid"), [graded(1, 1)] * 4, 0.25)
    assert sentences.denominators(result(paid)) == "4 rollouts attempted for $1.00, 4 graded, none lost."
    assert sentences.denominators(result(paid, counted(4, 4))) == (
        "12 rollouts attempted for at least $1.00 (8 of unknown cost), 12 graded, none lost."
    )


def test_what_a_selection_brings() -> None:
    """From signals of .466, .969 and .240 at G = 8 and the posterior of 4 of 8: .951 in band, mean .500."""
    assert sentences.selection(result(counted(0, 8), counted(4, 4), counted(8, 0))) == (
        "Keeping the one in-band task: of 100 groups of 8, about 3 would teach nothing instead of 44; "
        "8.3 rollouts per useful group instead of 14.3. "
        "By the posteriors none of them lies outside the band, and their mean success rate is 50 %."
    )
    several = sentences.selection(result(counted(0, 8), counted(1, 7), counted(6, 2)))
    assert several.startswith("Keeping the 2 in-band tasks: ")
    assert "By the posteriors about 0.7 of them lie outside the band" in several
    assert several.endswith("their mean success rate is 44 %.")


def test_no_selection_where_there_is_no_choice() -> None:
    """All in the band, or none: nothing is brought by keeping them."""
    assert sentences.selection(result(counted(4, 4), counted(3, 5))) == ""
    assert sentences.selection(result(counted(0, 8))) == ""
    single = replace(QUESTION, group_size=1)
    assert sentences.selection(result(counted(1, 1, single), counted(0, 4, single), settings=single)) == ""


def test_the_prior_is_named() -> None:
    """Default below five tasks, learned from there on, warm with the run that it comes from."""
    assert sentences.prior(result(counted(4, 4))) == "Prior: the default one, as fewer than 5 were measured."
    assert sentences.prior(result(*many(20, 4, 4))) == "Prior: learned from these 20 tasks."
    warmed = replace(QUESTION, earlier={record("a-task").id: Counts(4, 8)})
    rows = (counted(4, 4, warmed), counted(4, 4, task="b"), counted(4, 4, task="c"))
    run = replace(run_record(settings=warmed), prior_run="20250101-000000-1111")
    assert sentences.prior(result_of(run, rows)) == (
        "Prior: the default one, as fewer than 5 were measured for 2; warm, from run 20250101-000000-1111 for 1."
    )


def test_the_claims_are_told_with_their_terms() -> None:
    """Each different claim once; then when certified and likely ones hold, and how many likely ones to expect wrong."""
    rows = result(counted(0, 32), counted(2, 6), counted(1, 7))
    assert sentences.claimed(rows) == (
        "Claims about the true success rate p of a task: "
        "too-hard, certified (1): p < 0.10, wrong at most 5 % of the time; "
        "in-band, likely (1): 0.05 <= p <= 0.75, posterior probability at least 95 %."
    )
    assert sentences.terms(rows) == (
        "What is certified holds whatever the prior: per task, not adjusted for 3 tasks, if rollouts are independent "
        "and the agent does not change. "
        "What is likely is right 95 times in 100 only if tasks are distributed as the default prior says. "
        "Of 1 likely verdict expect fewer than 0.1 to be wrong."
    )
    assert (sentences.claimed(result(counted(1, 7))), sentences.terms(result(counted(1, 7)))) == ("", "")


def test_a_learned_prior_says_from_how_many_tasks() -> None:
    """Twenty tasks tell the prior little: a likely verdict says how many there were. Certified ones are not counted."""
    assert "as the learned prior says, estimated from 20 tasks. Of 20 likely verdicts" in sentences.terms(
        result(*many(20, 8, 0))
    )
    assert "likely" not in sentences.terms(result(counted(0, 40)))


def test_what_rests_on_the_prior_is_counted() -> None:
    """Sure verdicts that Jeffreys' or the uniform prior would leave open; certified ones rest on none."""
    rows = [counted(0, 24), counted(0, 32), counted(2, 6)]
    assert sentences.resting(result(*rows)).startswith(
        "1 of 3 sure verdicts rests on the prior: the default, Jeffreys'"
    )
    assert sentences.resting(result(*rows[1:])) == ""
    assert sentences.resting(result(rows[0])).startswith("The only sure verdict rests on the prior")


@pytest.mark.parametrize(
    ("stopped", "interrupted", "words"),
    [
        ("28 of the last 30 attempts were lost", False, "The run stopped early: 28 of the last 30 attempts were lost."),
        ("it cost \x1b[31m$5.", True, "The run stopped early: it cost $5."),
        ("", True, "The run was interrupted: these are the rollouts until then."),
        ("", False, ""),
    ],
)
def test_a_run_that_ended_early_says_so(stopped: str, *, interrupted: bool, words: str) -> None:
    """What stopped it is told in its own words, made harmless; an interrupted one is no complete one either."""
    assert sentences.run_ending(replace(run_record(interrupted=interrupted), stopped=stopped)) == words
