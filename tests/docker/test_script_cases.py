"""Small inputs whose scripts were once misunderstood, each with its right outcome; they are read in place."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker.samples import rows

if TYPE_CHECKING:
    from tests.conftest import CommandLine

CASES = Path(__file__).parents[3] / "shared" / "cases"

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(not CASES.is_dir(), reason="the inputs lie beside this repository"),
]


def test_a_masked_setup_is_unmeasured_and_warned_about(taskcal: CommandLine) -> None:
    """The reason names the first line that failed; a test that decides nothing is a warning."""
    shutil.copytree(CASES / "setup-masked", taskcal.folder, dirs_exist_ok=True)
    assert "the result of `test -f /work/never` is not used" in taskcal("validate", "tasks.yaml").out
    taskcal("run", "tasks.yaml", "-a", "oracle", "-G", "1", "-q")
    (row,) = rows(taskcal.folder)
    assert (row["outcome"], row["boundary"]) == ("lost", "setup")
    assert "failed at its line 1 (cp /nonexistent/data.csv /work/data.csv)" in row["reason"]


def test_checks_in_perl_and_bash_are_passed(taskcal: CommandLine) -> None:
    """Each is run by what its first line names."""
    shutil.copytree(CASES / "shebang", taskcal.folder, dirs_exist_ok=True)
    ended = taskcal("run", "tasks.yaml", "-a", "oracle", "-G", "1", "-q")
    assert ended.code == 0, ended.err
    assert [row["reward"] for row in rows(taskcal.folder)] == [1.0]
