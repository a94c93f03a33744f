"""`taskcal init`: what it writes is right, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskcal.agents.agent_file import load_agent
from taskcal.agents.spec import SimulatedSpec
from taskcal.cli.commands.init import init
from taskcal.errors import UsageError
from taskcal.taskset.advice.advice import warnings
from taskcal.taskset.load import load


def test_the_taskset_is_valid_and_has_no_weakness(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two tasks, two checks each, proofs for both, two variants; the next commands are printed."""
    init(tmp_path / "mine")
    taskset = load([tmp_path / "mine"])
    assert warnings(taskset) == ()
    assert [(len(task.grader.checks), len(task.variants)) for task in taskset.tasks] == [(2, 2), (2, 1)]
    assert [variant.id for variant in taskset.tasks[0].variants] == ["with-hint", "without-hint"]
    printed = capsys.readouterr().out
    assert f"taskcal validate {tmp_path}/mine/taskset.yaml" in printed
    assert f"taskcal run {tmp_path}/mine/taskset.yaml --agent {tmp_path}/mine/agent.yaml --group-size 8" in printed


def test_the_agent_runs_at_once(tmp_path: Path) -> None:
    """It is simulated: no key, no network, no cost."""
    init(tmp_path)
    assert load_agent(tmp_path / "agent.yaml") == SimulatedSpec("half-good", {"*": 0.5, "make-script": 0.8})


def test_the_modelines_name_the_schemas_beside_them(tmp_path: Path) -> None:
    """An editor finds the schema without a network."""
    init(tmp_path)
    for name in ("taskset", "agent"):
        first = (tmp_path / f"{name}.yaml").read_text().splitlines()[0]
        assert first == f"# yaml-language-server: $schema={name}.schema.json"
        assert (tmp_path / f"{name}.schema.json").read_text().startswith("{")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Where one of the files is there already, none is written."""
    (tmp_path / "agent.yaml").write_text("mine")
    with pytest.raises(UsageError, match=r"agent.yaml exists already"):
        init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["agent.yaml"]


def test_a_place_that_cannot_be_written_is_wrong_usage(tmp_path: Path) -> None:
    """A file where the folder should be is told as such."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match=r"cannot be made"):
        init(Path(tmp_path / "file"))
