"""The machine's own tools, called for real: nothing here changes the machine."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from taskcal.errors import MissingError
from taskcal.machine import host


def test_run_gives_status_and_both_outputs() -> None:
    """A failing program is a value: its status, and what it printed to either stream."""
    done = host.run_program(["sh", "-c", "echo out; echo err >&2; exit 7"], seconds=30)
    assert (done.status, done.output) == (7, "out\nerr\n")
    assert done.last_line == "err"


def test_run_feeds_stdin_and_decodes_what_is_no_text() -> None:
    """Input arrives whole, and bytes that are no UTF-8 do not raise."""
    assert host.run_program(["cat"], seconds=30, stdin="ä" * 100_000).output == "ä" * 100_000
    assert host.run_program(["printf", r"\377"], seconds=30).output == "\N{REPLACEMENT CHARACTER}"


def test_run_kills_the_children_too(tmp_path: Path) -> None:
    """At the limit nothing of the program survives: its child was killed with it, so it holds its lock no more."""
    lock = tmp_path / "lock"
    with pytest.raises(TimeoutError, match="did not end within"):
        host.run_program(["sh", "-c", f"flock {lock} sleep 300 & wait"], seconds=0.5)
    assert host.run_program(["flock", "--timeout", "20", str(lock), "echo", "free"], seconds=30).output == "free\n"


def test_run_does_not_wait_for_a_daemon() -> None:
    """A daemon that a program leaves behind neither blocks the call nor dies with it."""
    done = host.run_program(["sh", "-c", "sleep 300 & echo $!"], seconds=30)
    daemon = int(done.output)
    os.kill(daemon, 0)
    os.kill(daemon, 9)


def test_a_program_that_is_not_there_is_named() -> None:
    """What is missing is said by name, and nothing is run."""
    assert not host.have("no-such-program")
    with pytest.raises(MissingError, match="no-such-program is not installed"):
        host.run_program(["no-such-program"], seconds=1)


def test_system_folders_count_without_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon's folder is searched although a user's PATH leaves it out."""
    monkeypatch.setenv("PATH", "/nowhere")
    found = [name for folder in ("/usr/sbin", "/sbin") for name in os.listdir(folder)]  # noqa: PTH208 - names only
    assert any(host.have(name) for name in found)


def test_facts_name_a_configured_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_HOST, then DOCKER_CONTEXT, say that somebody chose an engine; empty ones do not."""
    monkeypatch.setenv("DOCKER_HOST", "")
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    assert host.facts().configured == ""
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert host.facts().configured == "DOCKER_CONTEXT=far"
    monkeypatch.setenv("DOCKER_HOST", "unix:///dead.sock")
    assert host.facts().configured == "DOCKER_HOST=unix:///dead.sock"


def test_own_command_runs_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that a remedy names works in any folder: it is an absolute path."""
    monkeypatch.chdir(tmp_path)
    assert Path(host.facts().command.split()[0]).is_absolute()


def test_free_bytes_of_a_path_that_is_not_here(tmp_path: Path) -> None:
    """Unknown is None and never 0."""
    assert host.free_bytes(str(tmp_path / "absent")) is None
    free = host.free_bytes(str(tmp_path))
    assert free is not None
    assert free > 0


def test_apt_failure_gives_the_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where apt-get fails, the error holds its own words and the commands to run by hand."""
    program = tmp_path / "apt-get"
    program.write_text("#!/bin/sh\necho E: no such package\nexit 100\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(MissingError, match=r"no such package\); run: apt-get update && apt-get install -y a b"):
        host.apt_install(("a", "b"))


def test_a_failing_update_does_not_stop_an_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One broken package source must not stand between us and a package that the others have."""
    program = tmp_path / "apt-get"
    program.write_text(f'#!/bin/sh\ncase "$*" in *update) exit 100;; esac\necho "$*" > {tmp_path}/installed\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    host.apt_install(("a", "b"))
    assert (tmp_path / "installed").read_text().endswith("install -y a b\n")


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="systemd starts Docker here, not we")
def test_a_daemon_that_gives_up_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An early death is noticed at once, with the last words of the log."""
    program = tmp_path / "dockerd"
    program.write_text("#!/bin/sh\necho starting\necho no iptables here >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    daemon = host.start_dockerd(tmp_path / "dockerd.log")
    assert daemon.ended_within(30)
    assert daemon.complaint() == "no iptables here"


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("b+", "abbbc", True),
        ("^b", "abbbc", False),
        (r"(?m)^total: \d+$", "items\ntotal: 42\n", True),
        ("\N{SNOWMAN}", "a \N{SNOWMAN} \ud800", True),
        ("", "", True),
    ],
)
def test_search_answers_as_re_does(pattern: str, text: str, *, expected: bool) -> None:
    """The separate process gives what `re.search` gives, for any text."""
    assert host.search_within(pattern, text, 30) is expected


def test_search_reads_a_whole_mebibyte() -> None:
    """The largest text that a check may see is searched to its end."""
    assert host.search_within("needle$", "x" * (2**20 - 6) + "needle", 30) is True


def test_a_catastrophic_pattern_is_stopped() -> None:
    """A pattern that would run for years has no answer instead of a wrong one."""
    assert host.search_within(r"(a+)+$", "a" * 64 + "b", 0.5) is None


def test_a_slow_start_is_not_a_slow_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the search waits for its turn; only its own work counts, so a match stays a match."""
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nsleep 1\nexec {shlex.quote(sys.executable)} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    assert host.search_within("a", "a", 0.5) is True


def test_a_search_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that does not get any CPU: the wait has an end of its own."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    assert host.search_within("a", "a", 0.02) is None


def test_a_broken_pattern_is_the_callers_mistake() -> None:
    """What is no regular expression is neither found nor absent."""
    with pytest.raises(ValueError, match="unterminated character set"):
        host.search_within("[", "text", 30)


def test_search_sees_nothing_of_the_callers_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module planted in the working folder is not imported by the search."""
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert host.search_within("a", "a", 30) is True


def test_pid_file_of_a_dead_daemon(tmp_path: Path) -> None:
    """One that names nobody, nothing, or another program is in the way of the next daemon; a missing one is not."""
    pid_file = tmp_path / "docker.pid"
    assert not host.is_stale(pid_file)
    for text in ("", "nonsense", str(2**22 + 1), str(os.getpid())):
        pid_file.write_text(text)
        assert host.is_stale(pid_file), text
