"""The paragraph for a paper, and the command that measures the same again."""

from __future__ import annotations

import io
import re
import shlex
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from typer.main import get_command

from taskcal.cli.main import app
from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.calibration.calibrate import calibrate
from taskcal.core.settings import CalibrationSettings, Metric, fixed_settings
from taskcal.core.stats.prior import Counts
from taskcal.core.verdict import Band
from taskcal.report.markdown import render_markdown
from taskcal.report.methods import methods
from taskcal.report.table import final_lines, final_table
from taskcal.report.wording.rerun_command import command
from tests.report.sample_run import (
    QUESTION,
    adaptive,
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

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]  # typer's group has them, its base not


def test_what_a_reader_of_a_paper_needs() -> None:
    """Tasks, agent, tool, seed, group size, passing, band, strengths, prior, intervals, what was lost, retries."""
    text = methods(result_of(run_record(), shop()))
    for words in (
        "We calibrated 10 variants of 9 tasks of the taskset shop-orders (SHA-256 aaaaaaaaaaaa) ",
        "for the agent simulated, using taskcal 0.1.0 and seed 7.",
        "Each had 8 to 31 rollouts in a fresh container each; one passed if its reward was at least 1.",
        "lies below, within or above 5 to 75 %",
        "certified where a test by betting, valid under any prior and at any stopping time, shows p < 0.10",
        "0.02 < p < 0.80 or p > 0.70 at an error of 5 %",
        "(per task, not adjusted for 9 tasks, if rollouts are independent and the agent does not change)",
        "which is right on average over tasks that are distributed as this prior says",
        "the prior 0.25 Beta(1, 100) + 0.60 Beta(1, 1) + 0.15 Beta(50, 1) is at least 95 %",
        "Wilson's 95 % score intervals",
        "clustered by task",
        "10 of 103 rollouts, lost to infrastructure after up to 2 further attempts, are in no rate",
        "selected tasks are posterior expectations",
    ):
        assert words in text


def test_the_version_of_the_agent_is_named() -> None:
    """What was measured is one checkpoint of an agent."""
    text = methods(result_of(replace(run_record(), agent_version="step-1200"), shop()))
    assert "for the agent simulated, version step-1200, using taskcal" in text


@pytest.mark.parametrize(
    ("band", "claims"),
    [
        (Band(0.99, 1.0), "shows p < 0.996 or p > 0.96 at"),
        (Band(0.0, 0.05), "shows p < 0.10 or p > 0.02 at"),
        (Band(0.0, 1.0), "shows any p at"),
        (Band(0.1, 0.9), "shows p < 0.15, 0.07 < p < 0.95 or p > 0.85 at"),
    ],
)
def test_only_claims_that_can_be_made_are_named(band: Band, claims: str) -> None:
    """No rate above 1 or below 0 is claimed, and no class that the band does not have."""
    assert claims in methods(result_of(run_record(settings=QUESTION.with_band(band)), []))


@pytest.mark.parametrize("settings", [QUESTION, adaptive(), replace(QUESTION, metric=Metric.REWARD)])
def test_it_is_a_paragraph_of_five_sentences(settings: CalibrationSettings) -> None:
    """One line that can be pasted, whatever was measured; also where nothing was."""
    for rows in ([counted(4, 4, settings)], []):
        text = methods(result_of(run_record(settings=settings), rows))
        assert "\n" not in text
        assert len(re.findall(r"\.(?: [A-Z]|$)", text)) == 5
        assert "None" not in text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (adaptive(), "until a class had a posterior probability of at least 95 %, judged in the order of launches"),
        (adaptive(Rule.CERTIFY), "until its class was certified, judged in the order of launches, at most 128 of each"),
        (adaptive(Rule.VALUE), "until another was worth less than 0.001 wrong verdicts"),
        (adaptive(Rule.NEVER, budget=400), "A budget of 400 rollouts was spent where they were worth most"),
    ],
)
def test_the_adaptive_rule_is_said(settings: CalibrationSettings, words: str) -> None:
    """How long each task went on, in which order it was judged, and that rates are posterior means."""
    text = methods(result_of(run_record(settings=settings), [counted(0, 19, settings)]))
    assert words in text
    assert "19 in all" in text
    assert "posterior means with equal-tailed 95 % intervals" in text
    assert "Wilson" not in text


def test_the_prior_is_said() -> None:
    """Learned from the taskset, or from an earlier run: a reader must know."""
    groups = [record(f"t{number}") for number in range(20)]
    learned = calibrate(groups, [row for group in groups for row in rollouts(group, [graded(1, 1)] * 8)], QUESTION)
    words = "a prior learned from these 20 tasks (nonparametric maximum likelihood, penalised towards a default; "
    assert words in methods(result_of(run_record(), learned))
    assert "no more likely verdicts were wrong, unless most tasks were close to an edge" in methods(
        result_of(run_record(), learned)
    )
    warmed = replace(QUESTION, earlier={record("a-task").id: Counts(4, 8)})
    run = replace(run_record(settings=warmed), prior_run="run-1")
    assert "a prior from run run-1, moved by as much as" in methods(result_of(run, [counted(4, 4, warmed)]))


def test_mean_rewards_are_never_likely() -> None:
    """Where the band is about rewards there is no posterior, and the paragraph mentions none for the verdict."""
    settings = replace(QUESTION, metric=Metric.REWARD)
    text = methods(result_of(run_record(settings=settings), [calibration(record("a"), [lost()])]))
    assert "as its mean reward lies below, within or above 0.05 to 0.75" in text
    assert "mean reward < 0.10, 0.02 < mean reward < 0.80 or mean reward > 0.70" in text
    assert "likely where" not in text


def test_a_report_can_end_with_it() -> None:
    """Asked for, it is the last thing on a terminal and in plain lines; a run that has just ended does without."""
    console = Console(file=io.StringIO(), width=100, color_system=None, _environ={})
    with console.capture() as capture:
        console.print(final_table(result_of(run_record(), shop()), with_methods=True))
    paragraph = f"Methods: {methods(result_of(run_record(), shop()))}"
    assert " ".join(capture.get().split()).endswith(paragraph)
    assert final_lines(result_of(run_record(), shop()), with_methods=True)[-1] == paragraph
    assert "Methods" not in "\n".join(final_lines(result_of(run_record(), shop())))


def test_strangers_add_nothing_to_it() -> None:
    """A taskset's name is text in it, on the terminal as on the page."""
    run = run_record(taskset="\x1b[31m<img src=x>`[l](http://e.example)\n# x" + "y" * 5000)
    text = methods(result_of(run, shop()))
    assert text.isprintable()
    assert text.endswith("posterior expectations.")
    assert "<img" not in render_markdown(result_of(run, shop()))


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        (QUESTION, ""),
        (fixed_settings(8, Band(0.1, 0.9)), "--band 0.1,0.9"),
        (replace(QUESTION, metric=Metric.REWARD, flat_tolerance=0.1), "--metric reward --flat-tolerance 0.1"),
        (CalibrationSettings(8, Design(rule=Rule.FIXED, error_rate=0.01)), "--error-rate 0.01"),
        (adaptive(), "--adaptive"),
        (adaptive(Rule.CERTIFY), "--adaptive --certify"),
        (adaptive(Rule.VALUE), "--adaptive --stop value"),
        (adaptive(Rule.NEVER, budget=400), "--adaptive --budget 400"),
        (adaptive(budget=400), "--adaptive --stop sure --budget 400"),
        (CalibrationSettings(8, Design(cap=32, error_rate=0.1)), "--adaptive --max-group-size 32 --error-rate 0.1"),
    ],
)
def test_the_command_asks_the_same_again(settings: CalibrationSettings, options: str) -> None:
    """Every option that is not at its default is in it, and the command line understands it."""
    line = command(run_record(settings=settings))
    assert line.startswith("taskcal run tasksets/shop.yaml --agent simulated --group-size 8 --seed 7")
    assert line.endswith(options)
    words = shlex.split(line)[2:]
    assert COMMANDS["run"].make_context("run", words).params["group_size"] == 8


def test_the_command_names_the_run_that_it_started_from() -> None:
    """A warm run is repeated from the same earlier run."""
    assert command(replace(run_record(), prior_run="run-1")).endswith("--prior run-1")
