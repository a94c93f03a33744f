"""`taskcal simulate`: where a population comes from, which mistakes are told in a line, and what comes out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from taskcal.cli.commands.simulate import simulate
from taskcal.cli.options.populations import Measured, find_population
from taskcal.core.forecast.population import PRESETS
from taskcal.core.rollout import GroupId, Lost, Rollout, RolloutId, Timing, Usage
from taskcal.core.stats.prior import Counts, as_grid, fit_prior
from taskcal.core.stats.rates import DEFAULT_PRIOR
from taskcal.core.verdict import Band
from taskcal.errors import Boundary, RunFolderError, TaskcalError, UsageError
from taskcal.store.run_folder import RunFolder
from tests.store.store_case import GRADED, GROUP, RECORD

if TYPE_CHECKING:
    from collections.abc import Sequence

RUNS = Path("runs")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(*arguments: str) -> str:
    """What the command prints."""
    app = typer.Typer()
    app.command()(simulate)
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, TaskcalError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def document(*arguments: str) -> Any:
    return json.loads(said(*arguments, "--json"))


def written(history: Sequence[tuple[int, int]], cost: float | None = None) -> RunFolder:
    """A run of as many groups, each with so many passed of so many graded, and a lost rollout beside them."""
    groups = [replace(GROUP, id=GroupId(f"task-{number}", "")) for number in range(len(history))]
    folder = RunFolder.create(RUNS, RECORD, groups)
    for group, (passed, graded) in zip(groups, history, strict=True):
        for index in range(graded):
            outcome = replace(GRADED, passed=index < passed)
            folder.append(
                Rollout(RolloutId(group.id, index, 0), outcome, usage=Usage(cost_usd=cost), timing=Timing(total=30.0))
            )
        folder.append(Rollout(RolloutId(group.id, graded, 0), Lost(Boundary.ENGINE, "gone")))
    folder.close()
    return folder


def test_without_arguments_it_compares_the_usual_designs() -> None:
    """Four fixed sizes and three rules on the typical taskset: a row each, and the advice under them."""
    out = said()
    assert out.startswith("typical: a mixed taskset")
    rows = [line.split("  ")[0] for line in out.split("\n\n")[1].splitlines()]
    assert rows == [
        *("design", "fixed 8", "fixed 16", "fixed 32", "fixed 64"),
        *("posterior up to 64", "value up to 64", "certify up to 128"),
    ]
    assert "takes fixed groups of 31, or 17.9 rollouts a task with posterior up to 64" in out


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_one(name: str) -> None:
    """Its name is enough, its formula means the same and is told, for changing it."""
    found = find_population(name, RUNS)
    assert PRESETS[name].formula in found.about
    assert find_population(PRESETS[name].formula, RUNS).told == found.told


def test_options_say_what_is_compared() -> None:
    """Sizes, rules, limit, error rate, band, G and scale all reach the forecasts."""
    found = document(
        *(
            "uniform",
            "-G",
            "12",
            "--rule",
            "value",
            "--max-group-size",
            "32",
            "--error-rate",
            "0.1",
            "--band",
            "0.1,0.9",
        ),
        *("--training-group-size", "16", "--tasks", "50", "--seconds", "2m", "--concurrency", "4", "--cost", "0.5"),
    )
    assert [one["design"] for one in found["designs"]] == ["fixed 12", "value up to 32"]
    assert found["question"] == {
        "band": [0.1, 0.9],
        "error_rate": 0.1,
        "training_group_size": 16,
        "tasks": 50,
        "rollout_seconds": 120.0,
        "concurrency": 4,
        "rollout_cost_usd": 0.5,
    }
    assert (found["designs"][0]["rollouts"], found["designs"][0]["seconds"]) == (600, 18000)
    assert found["designs"][0]["cost_usd"] == 300


def test_a_learned_prior_changes_the_forecast() -> None:
    """On an adverse taskset the default prior errs, the learned one does not."""
    by_default, learned = (
        document("near-edge", "--rule", "posterior", "--prior", prior)["designs"][-1]
        for prior in ("default", "learned")
    )
    assert by_default["decided_wrong"] > 0.2
    assert learned["decided_wrong"] < 0.005


def test_a_history_becomes_a_population() -> None:
    """The grid that is learned from the run's counts, lost rollouts aside, and what its rollouts took."""
    history = [(0, 8), (8, 8), (3, 8), (4, 4)]
    written(history, cost=0.25)
    found = find_population("run-1", RUNS)
    expected = fit_prior([Counts(*pair) for pair in history], as_grid(DEFAULT_PRIOR, (0.05, 0.75)))
    points = found.population(Band())
    assert (points.rates, points.weights) == (expected.nodes, expected.weights)
    assert found.measured == Measured(tasks=4, seconds=30.0, concurrency=2, cost_usd=0.25, band=Band())
    assert find_population("last", RUNS) == find_population("runs/run-1", RUNS) == found


def test_a_runs_own_numbers_are_the_defaults() -> None:
    """Tasks, seconds, concurrency and cost of a run count unless others are typed."""
    written([(1, 2)] * 21, cost=0.25)
    settings = document("last", "--rule", "none", "--concurrency", "16")["question"]
    assert (settings["tasks"], settings["rollout_seconds"]) == (21, 30.0)
    assert (settings["concurrency"], settings["rollout_cost_usd"]) == (16, 0.25)


def test_a_small_history_is_said_to_be_small() -> None:
    """Under 20 tasks most of what is learned is the default prior, and the first line says so."""
    written([(1, 8)] * 3)
    assert "so few say little" in said("last", "--rule", "none").splitlines()[0]
    assert "so few" not in find_population("typical", RUNS).about


def test_a_file_holds_rates_or_counts() -> None:
    """Comments and empty lines aside; 0 and 1 are rates; as many tasks as lines."""
    Path("rates.txt").write_text("# true rates\n0\n0.5  # even\n\n1\n0.5\n")
    Path("counts.txt").write_text("3/8\n 0 / 8\n")
    rates, counts = find_population("rates.txt", RUNS), find_population("counts.txt", RUNS)
    assert (rates.population(Band()).rates, rates.measured.tasks) == ((0.0, 0.5, 1.0), 4)
    assert counts.told == (Counts(3, 8), Counts(0, 8))
    assert document("rates.txt", "--rule", "none")["population"]["mean_success_rate"] == 0.5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0.5\nhalf\n", "rates.txt:2: 'half' is no rate from 0 to 1 and no k/n"),
        ("50\n", "rates.txt:1: '50' is no rate"),
        ("nan\n", "rates.txt:1: 'nan' is no rate"),
        ("9/8\n", "rates.txt:1: 9/8: must be passed/graded"),
        ("0/0\n", "rates.txt:1: 0/0: must be passed/graded"),
        ("0.5\n1/2\n", "rates.txt: must hold one true rate a line, such as 0.35, or one k/n a line"),
        ("# nothing\n", "rates.txt: must hold one true rate a line"),
        ("".join(f"{number / 5000}\n" for number in range(2001)), "round them to three decimals"),
        ("0.5\n" * 300_000, "larger than 1,000,000 bytes"),
        ("\udcff\n", "not a text file"),
    ],
    ids=range(10),
)
def test_mistakes_in_a_file_name_its_line(text: str, told: str) -> None:
    """What is wrong, where, and what would be right."""
    Path("rates.txt").write_text(text, errors="surrogateescape")
    with pytest.raises(UsageError) as error:
        said("rates.txt")
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["typcal"], "did you mean typical"),
        (["no-such-run"], "no population; name a preset"),
        (["0.3*uniform(0,1)"], "population 0.3*uniform(0,1): the weights sum to 0.3, not to 1"),
        (["beta(" + "1" * 5000 + ",1)"], ": longer than 2,000 characters"),
        (["-G", "8,"], "--group-size 8,: whole numbers from 1 to 512"),
        (["-G", "513"], "--group-size 513: whole numbers from 1 to 512"),
        (["--rule", "luck"], "--rule luck: some of posterior, value, certify"),
        (["--prior", "mine"], "--prior mine: must be default or learned"),
        (["--prior", "learned", "--tasks", "4"], "a run learns its prior from 5 tasks on, these are 4"),
        (["--seconds", "soon"], "--seconds soon: must be a duration"),
        (["--band", "75,5"], "--band 75,5: both ends lie in [0, 1]"),
        (["-G", "8", "--rule", "none", "-o", "nowhere/page.html"], "--output nowhere/page.html: No such file"),
    ],
)
def test_mistakes_are_a_line_of_wrong_usage(arguments: list[str], told: str) -> None:
    """Exit code 2, one line, and no forecast of something that was not asked for."""
    with pytest.raises(UsageError) as error:
        said(*arguments)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


def test_runs_that_say_nothing_are_told() -> None:
    """A folder that is no run, and a run in which nothing was graded."""
    Path("empty").mkdir()
    with pytest.raises(RunFolderError, match="not a run's folder"):
        said("empty")
    written([(0, 0)])
    with pytest.raises(UsageError, match="nothing was graded in this run"):
        said("last")


def test_the_page_is_written_where_asked() -> None:
    """With -o there is a page, its name is printed, and with --json nothing but JSON is."""
    assert said("-G", "8", "--rule", "posterior", "-o", "a.html").endswith("plot: a.html\n")
    assert Path("a.html").read_text().startswith("<!DOCTYPE html>")
    assert document("-G", "8", "--rule", "none", "-o", "b.html")["schema"] == "taskcal/simulation@1"
    assert Path("b.html").exists()
