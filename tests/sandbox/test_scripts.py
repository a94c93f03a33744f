"""The shell texts around a task's own scripts: valid for any text, silent, and out of the way of params."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from taskcal.machine import host
from taskcal.sandbox.processes import end_others
from taskcal.sandbox.scripts import (
    clear_artifact_places,
    clear_destinations,
    export_lines,
    ready_script,
    start_again,
    start_script,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("start", "ready"), [("serve &", "curl x"), ("serve", ""), ("", "true"), ("a 'b'\n# c", "d # e")]
)
def test_what_start_started_is_started_again(start: str, ready: str) -> None:
    """Valid for a shell also where the task's text ends with a comment, and silent: nothing of it is a record."""
    text = start_again(start, ready)
    assert host.run_program(["sh", "-n"], seconds=30, stdin=text).output == ""
    assert [part for part in (start, ready) if part not in shlex.split(text, posix=True)] == []
    assert len(re.findall(r">/dev/null 2>&1 </dev/null", text)) == 2
    assert start_again("", " \n") == ""


@pytest.mark.parametrize("text", ["", "# only a comment", "true # and why", "a 'b'"])
def test_any_text_fits_its_frame(text: str) -> None:
    """A start or ready that is empty, or ends with a comment, leaves a script that a shell can read."""
    for script in (start_script(text), ready_script(text), start_again(text, text, {"LANG": "C"})):
        assert host.run_program(["sh", "-n"], seconds=30, stdin=script).output == ""


def test_way_is_made_for_odd_names() -> None:
    """Quotes and spaces in a destination stay in it."""
    links = {"/grader": "", "/grader/it's here": "/else where"}
    script = clear_destinations(("/grader/it's here/a b", "/x", "/y"), links, nonce="ab", folders=["/y"])
    assert host.run_program(["sh", "-n"], seconds=30, stdin=script).output == ""
    assert "away /x\nrm -rf -- /y\n" in script
    assert "TASKCAL_AWAY=/.taskcal-ab;" in script


def left(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_the_way_is_cleared_around_what_is_spared(tmp_path: Path) -> None:
    """What an artifact excludes stays, at any depth and with any name; all else goes, hidden names too."""
    app, outside = tmp_path / "a b", tmp_path / "outside"
    for name in ("it's/keep/x", "it's/go/x", "keep*/y", "keepsake", ".hidden", "..odd", "sub/z"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text("x")
    (outside / "deep").mkdir(parents=True)
    (app / "link").symlink_to(outside)
    spared = [f"{app}/{name}" for name in ("it's/keep", "keep*", "link/deep", "not/there")]
    text = clear_artifact_places({str(app): spared}, {}, str(tmp_path))
    assert host.run_program(["sh"], seconds=30, stdin=text).output == ""
    assert left(app) == ["it's", "it's/keep", "it's/keep/x", "keep*", "keep*/y"]
    assert left(outside) == ["deep"]


def test_exported_variables_reach_what_is_started() -> None:
    """As they are, and a name that a shell refuses stops nothing."""
    values = {"UID": "7", "PLAIN": "it's\n$HOME `x`", "a.b": "c", "OPTIND": "no number", "LAST": "1"}
    text = export_lines(values) + 'printf "%s|" "$PLAIN" "$LAST"; sh -c \'printf "%s|" "$PLAIN" "$LAST"\''
    for shell in ("sh", "bash"):
        found = host.run_program([shell, "-c", "exec 2>/dev/null\n" + text], seconds=30).output
        assert found == f"{values['PLAIN']}|1|" * 2, shell


@pytest.mark.parametrize("pids", [[], ["1", "12"], ["1", "; reboot"]])
def test_other_processes_are_ended_by_a_script_that_a_shell_reads(pids: list[str]) -> None:
    """Only numbers are believed."""
    text = end_others(pids)
    assert host.run_program(["sh", "-n"], seconds=30, stdin=text).output == ""
    assert "reboot" not in text
