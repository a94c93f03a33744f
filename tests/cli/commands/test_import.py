"""`taskcal import`: a table becomes a run that the other commands read, and lost stays lost all the way."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from taskcal.cli.main import app
from taskcal.core.verdict import Band
from taskcal.errors import RunFolderError, TaskcalError
from taskcal.store.run_folder import RunFolder, find

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import CommandLine

TERMINAL_BENCH = Path(__file__).parents[4] / "shared" / "data" / "results" / "terminal-bench"
TABLE = """\
task;score;status
ship;1;
ship;0;
ship;;provider
refund;0.5;
refund;NaN;the pod \x1b[31mwas evicted
refund;1;
count \x1b[2J;0;engine
"""
MAP = "task=task,reward=score,lost=status"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder, with a table in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(TABLE)
    return tmp_path


def call(*arguments: str) -> str:
    """What a command that ends well prints."""
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def refused(*arguments: str) -> str:
    """The one line of a command that is refused."""
    with pytest.raises(TaskcalError) as caught:
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    return str(caught.value)


def test_a_table_becomes_a_run(folder: Path) -> None:
    """Its folder is one that every command reads: record, groups and rollouts, and the notes say where it is from."""
    printed = call("import", "rows.csv", "--map", MAP, "-o", "runs/mine")
    run = find("mine", folder / "runs")
    record = run.record()
    assert (record.id, record.taskset, record.agent, record.engine) == ("mine", "rows", "imported", "imported")
    assert (record.group_size, record.band, record.taskset_files) == (3, Band(), ())
    said = "imported from rows.csv: 7 rows, 3 of them lost (task in task, reward in score, lost in status)"
    assert record.notes == (said,)
    assert said in printed
    assert [rollout.id.key for rollout in run.rollouts()][:3] == ["ship#0", "ship#1", "ship#2"]
    assert {path.name for path in run.path.iterdir()} == {
        "run.json", "taskset.json", "rollouts.jsonl", "calibration.json", "report.md", "lock",
    }  # fmt: skip
    assert [path.name for path in (folder / "runs").iterdir()] == ["mine"]


def test_lost_rows_have_no_reward_on_disk(folder: Path) -> None:
    """Not even the 0 that stood in the table."""
    call("import", "rows.csv", "--map", MAP, "-o", "out")
    rows = [json.loads(line) for line in (folder / "out" / "rollouts.jsonl").read_text().splitlines()]
    lost = [(row["boundary"], row["reason"]) for row in rows if row["outcome"] == "lost"]
    assert [place for place, _ in lost] == ["provider", "unknown", "engine"]
    assert not any("reward" in row for row in rows if row["outcome"] == "lost")
    tasks = json.loads((folder / "out" / "calibration.json").read_text())["tasks"]
    assert [(task["n"], task["lost"], task["verdict"]) for task in tasks] == [
        (2, 1, "in-band"),
        (2, 1, "in-band"),
        (0, 1, "unmeasured"),
    ]


def test_report_reads_it_again(folder: Path) -> None:
    """The same document from the folder alone, and the same rollouts against another band."""
    document = call("import", "rows.csv", "--map", MAP, "-o", "out", "--json")
    assert call("report", "out", "--json") == document
    assert (folder / "out" / "calibration.json").read_text() == document
    tasks = json.loads(call("report", "out", "--band", "0.6,0.9", "--json"))["tasks"]
    assert [task["verdict"] for task in tasks] == ["too-hard", "too-hard", "unmeasured"]


def test_an_import_cannot_be_resumed(folder: Path) -> None:
    """There is no taskset and no agent to go on with, and the error says what can be done."""
    call("import", "rows.csv", "--map", MAP, "-o", "runs/mine")
    for name in ("runs/mine", "mine", "last"):
        said = refused("run", "--resume", name)
        assert said == "run mine was imported and cannot be resumed; import its rows again with the new ones"
    assert (folder / "runs" / "mine" / "run.json").is_file()


def test_without_an_output_it_lies_below_runs(folder: Path) -> None:
    """Named like any other run, and the newest one; a configured folder, band and group size count here too."""
    (folder / "taskcal.yaml").write_text("runs: kept\nband: '0.1,0.6'\ngroup_size: 16\n")
    call("import", "rows.csv", "--map", MAP, "--taskset", "a set")
    (run,) = (folder / "kept").iterdir()
    assert "-a-set-" in run.name
    record = find(None, folder / "kept").record()
    assert (record.taskset, record.band, record.group_size) == ("a set", Band(0.1, 0.6), 16)
    call("import", "rows.csv", "--map", MAP, "-o", "out", "--band", "0.2,0.7", "-G", "4")
    record = RunFolder.open(folder / "out").record()
    assert (record.band, record.group_size) == (Band(0.2, 0.7), 4)


def test_a_folder_that_exists_is_left_alone(folder: Path) -> None:
    """Whatever is there, a run or not, stays as it is."""
    call("import", "rows.csv", "--map", MAP, "-o", "out")
    before = (folder / "out" / "rollouts.jsonl").read_bytes()
    for out in ("out", ".", "..", "rows.csv"):
        assert refused("import", "rows.csv", "--map", MAP, "-o", out).endswith(
            "File exists; choose another folder with -o"
        )
    assert (folder / "out" / "rollouts.jsonl").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["out", "rows.csv"]


def test_several_files_are_one_run(folder: Path) -> None:
    """One after the other, and the note bears any number of them."""
    for name in "abcd":
        (folder / f"{name}.jsonl").write_text('{"task": "x", "reward": 1}\n')
    call("import", *(f"{name}.jsonl" for name in "abcd"), "-o", "out")
    run = RunFolder.open(folder / "out")
    assert [rollout.id.key for rollout in run.rollouts()] == ["x#0", "x#1", "x#2", "x#3"]
    assert run.record().taskset == "a"
    assert run.record().notes[0].startswith("imported from a.jsonl, b.jsonl, c.jsonl and 1 more file: 4 rows, 0 of")


def test_rewards_of_another_range(folder: Path) -> None:
    """They are brought to 0 to 1, and every report says so."""
    (folder / "signed.csv").write_text("task,reward,agent\na,-1,m\na,1,m\na,0,n\n")
    printed = call("import", "signed.csv", "--reward-range", "-1,1", "--agent", "m", "-o", "out")
    assert "rewards from -1 to 1 were brought to 0 to 1" in printed
    assert "left out: 1 row of other agents" in printed
    task = json.loads((folder / "out" / "calibration.json").read_text())["tasks"][0]
    assert (task["rewards"], task["n"]) == ([0.0, 1.0], 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rows.csv", "./rows.csv"], "a file is given twice; each of its rows would count twice"),
        (["rows.csv", "--reward-range", "1,0"], "--reward-range 1,0: the lower end comes first"),
        (["rows.csv", "--reward-range", "0,nan"], "--reward-range 0,nan: the lower end comes first"),
        (["rows.csv", "--reward-range", "-1e308,1e308"], "--reward-range -1e308,1e308: the lower end comes first"),
        (["rows.csv", "--reward-range", "5"], "--reward-range 5: two numbers with a comma between them, such as -1,1"),
        (["rows.csv", "--delimiter", "::"], "--delimiter ::: must be one character, such as ; or tab"),
        (["rows.csv", "--delimiter", '"'], '--delimiter ": must be one character'),
        (["rows.csv", "--band", "1"], "--band 1: two numbers with a comma between them"),
    ],
)
def test_wrong_options_are_refused(folder: Path, arguments: list[str], message: str) -> None:
    """In one line, and nothing is written."""
    assert refused("import", *arguments, "-o", "out").startswith(message)
    assert not (folder / "out").exists()


@pytest.mark.parametrize("delimiter", ["tab", "\\t", "\t"])
def test_a_tab_can_be_typed(folder: Path, delimiter: str) -> None:
    """By its name too."""
    (folder / "a.csv").write_text("task\treward\ta;b\nx\t1\t\n")
    call("import", "a.csv", "--delimiter", delimiter, "-o", "out")
    assert len(list(RunFolder.open(folder / "out").rollouts())) == 1


def test_what_strangers_wrote_does_nothing_to_a_terminal(taskcal: CommandLine) -> None:
    """Control characters in names, reasons and columns are data, and never printed; errors end with 2 and one line."""
    done = taskcal("import", "rows.csv", "--map", MAP, "-o", "out")
    assert (done.code, done.err) == (0, "")
    assert "\x1b" not in done.out
    assert "\x1b" not in (taskcal.folder / "out" / "report.md").read_text()
    (taskcal.folder / "bad.csv").write_text("task,reward\nx,\x1b]0;owned\x07\n")
    for arguments in (["bad.csv"], ["rows.csv", "--delimiter", ","], ["nowhere.csv"]):
        done = taskcal("import", *arguments, "-o", "other")
        assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
        assert "\x1b" not in done.err
    assert not (taskcal.folder / "other").exists()


def test_a_failing_disk_leaves_no_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk in the middle of an import is one line, and nothing looks like a run afterwards."""

    def full(_: RunFolder, rollouts: Iterator[object]) -> None:
        assert next(iter(rollouts))
        raise RunFolderError("No space left on device")

    monkeypatch.setattr(RunFolder, "extend", full)
    assert refused("import", "rows.csv", "--map", MAP) == "No space left on device"
    assert list((folder / "runs").iterdir()) == []


@dataclass(frozen=True)
class Picture:
    """What a table says of a benchmark: counts of tasks, and the mean success rate of the measured ones."""

    lost: int
    unmeasured: int
    too_hard: int
    in_band: int
    too_easy: int
    mean: float


LOST_TAKEN_OUT = {
    "openhands": Picture(17, 0, 37, 13, 30, 0.4219),
    "swe-agent-mini": Picture(150, 4, 58, 8, 10, 0.1743),
    "droid": Picture(11, 1, 27, 13, 39, 0.5215),
}
LOST_AS_FAILED = {
    "openhands": Picture(0, 0, 37, 14, 29, 0.4125),
    "swe-agent-mini": Picture(0, 0, 62, 12, 6, 0.1275),
    "droid": Picture(0, 0, 28, 14, 38, 0.5050),
}
"""The same rows, a verdict that was not reached counted as failed."""
MOVED = {
    "openhands": {("too-easy", "in-band"): 1},
    "swe-agent-mini": {("unmeasured", "too-hard"): 4, ("too-easy", "in-band"): 4},
    "droid": {("unmeasured", "too-hard"): 1, ("too-easy", "in-band"): 1},
}
"""How many tasks get another verdict by that: from which, and to which."""


def results(agent: str) -> list[dict[str, Any]]:
    """Every result of an agent's five runs; a verdict that was not reached is null there."""
    if not TERMINAL_BENCH.is_dir():
        pytest.skip(f"the Terminal-Bench results are not here ({TERMINAL_BENCH})")
    files = sorted(TERMINAL_BENCH.glob(f"*_{agent}_*/*/results.json"))
    assert len(files) == 5
    return [result for file in files for result in json.loads(file.read_text())["results"]]


def picture(name: str, rows: list[dict[str, Any]]) -> tuple[Picture, dict[str, str]]:
    """The summary of rows that were imported, and each task's verdict."""
    Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shutil.rmtree(name, ignore_errors=True)
    call("import", f"{name}.jsonl", "--map", "task=task_id,reward=is_resolved", "-o", name)
    document = json.loads((Path(name) / "calibration.json").read_text())
    found = document["taskset"]
    assert (found["tasks"], found["graded"] + found["lost"]) == (80, 400)
    assert document["run"]["group_size"] == 5
    counts = {key: found[key] for key in ("lost", "unmeasured", "too_hard", "in_band", "too_easy")}
    verdicts = {task["id"]: task["verdict"] for task in document["tasks"]}
    return Picture(**counts, mean=round(found["mean_success_rate"], 4)), verdicts


@pytest.mark.parametrize("agent", LOST_TAKEN_OUT)
def test_terminal_bench_with_lost_taken_out(agent: str) -> None:
    """Fifteen real runs give the numbers that were counted from them by hand, to four digits."""
    rows = [{"task_id": row["task_id"], "is_resolved": row["is_resolved"]} for row in results(agent)]
    assert picture("true", rows)[0] == LOST_TAKEN_OUT[agent]


@pytest.mark.parametrize("agent", LOST_TAKEN_OUT)
def test_terminal_bench_lies_with_lost_counted_as_zero(agent: str) -> None:
    """Counted as failed, lost rollouts lower the mean success rate and move verdicts, each one towards too hard.

    For mini-swe-agent, of which 150 of 400 were lost, the mean falls by 27 %, from 0.1743 to 0.1275: four tasks of
    which nothing is known become too hard, and four that passed every time that they were measured look just right.
    For openhands it falls from 0.4219 to 0.4125, for droid from 0.5215 to 0.5050, with one and two tasks moved.
    """
    rows = [{"task_id": row["task_id"], "is_resolved": row["is_resolved"]} for row in results(agent)]
    true, verdicts = picture("true", rows)
    lie, false_verdicts = picture("lie", [{**row, "is_resolved": bool(row["is_resolved"])} for row in rows])
    assert lie == LOST_AS_FAILED[agent]
    moved = Counter(
        (verdicts[task], false_verdicts[task]) for task in verdicts if verdicts[task] != false_verdicts[task]
    )
    assert moved == MOVED[agent]
    assert lie.mean < true.mean
