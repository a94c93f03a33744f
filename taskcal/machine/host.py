"""What only the operating system can do: other programs, packages, the engine's daemon, a search that can be stopped.

The one importer of `subprocess`, and a leaf: it knows nothing of tasks, images or engines beyond the daemon's name.
What may be done to a machine, and when, is decided in `taskcal.runs.doctor`; here it is only done.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import math
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.errors import MissingError
from taskcal.machine.engine_endpoint import configured_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_DOCKER_SOCKET = Path("/var/run/docker.sock")
_SEARCH_MEMORY = 2 * 1024**3
_SEARCH_WAIT = 60.0
_SEARCH = f"""
import json, re, resource, sys
cpu = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
resource.setrlimit(resource.RLIMIT_AS, ({_SEARCH_MEMORY}, {_SEARCH_MEMORY}))
pattern, text = json.load(sys.stdin)
try:
    found = re.search(pattern, text)
except re.error as error:
    print(error)
    sys.exit(2)
print("found" if found else "absent")
"""
_ANSWERS = {"found": True, "absent": False}


PID_FILES = (Path("/var/run/docker.pid"), Path("/var/run/docker/containerd/containerd.pid"))
DAEMONS = {"dockerd", "containerd"}


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended: its exit status (minus the signal's number where one killed it) and all that it printed."""

    status: int
    output: str

    @property
    def last_line(self) -> str:
        """The last line of output that says something; '' where it was silent."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides whether an engine may be installed here.

    `configured` is the setting that names an engine (`DOCKER_HOST=…`, or `currentContext=…` of a context), or '';
    `forbidden` says that Docker's socket is there but not ours to use; `command` is how to call this taskcal from any
    folder and as any user.
    """

    root: bool
    debian: bool
    configured: str
    forbidden: bool
    user: str
    command: str


@dataclass(frozen=True, slots=True)
class Daemon:
    """An engine's daemon that was just asked to start; its output is in `log` where it is our own child."""

    log: Path
    process: subprocess.Popen[bytes] | None = None

    def ended_within(self, seconds: float) -> bool:
        """Wait `seconds`, or less where the daemon gives up before; True when it did."""
        if self.process is None:
            time.sleep(seconds)
            return False
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.poll() is not None

    def complaint(self) -> str:
        """The last line of the log, which is where a daemon says why it gave up."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return Completed(0, text).last_line


def run_program(command: Sequence[str], *, seconds: float, stdin: str = "") -> Completed:
    """Run a program to its end, stdout and stderr together, in a session of its own and without a terminal.

    Output goes through a file, not a pipe, so that a daemon which an installer starts neither holds us up nor dies with
    it. Raises TimeoutError after `seconds`, with the program and its children killed, and MissingError where the
    program is not there.
    """
    with tempfile.TemporaryFile() as output:
        with _started(command, output.fileno(), stdin=subprocess.PIPE) as process:
            try:
                process.communicate(stdin.encode(), timeout=seconds)
            except subprocess.TimeoutExpired:
                raise TimeoutError(f"`{shlex.join(command)}` did not end within {seconds:g} s") from None
            finally:
                _kill_unless_ended(process)
        output.seek(0)
        return Completed(process.returncode, output.read().decode(errors="replace"))


def _started(command: Sequence[str], output: int, *, stdin: int) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; system folders are on its PATH, as dockerd and debootstrap need them."""
    try:
        return subprocess.Popen(  # noqa: S603 - every caller gives a list, so no shell reads it
            list(command),
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PATH": _search_path(), "DEBIAN_FRONTEND": "noninteractive"},
        )
    except FileNotFoundError:
        raise MissingError(f"{command[0]} is not installed on this machine: install it and try again") from None


def _kill_unless_ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _search_path() -> str:
    return os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS))


def have(program: str) -> bool:
    """Whether a program can be run; the system's own folders count also where PATH leaves them out."""
    return shutil.which(program, path=_search_path()) is not None


def is_root() -> bool:
    """Whether this process may change the machine."""
    return os.geteuid() == 0


def facts() -> Facts:
    """Look at the machine and the environment; changes nothing."""
    return Facts(
        root=is_root(),
        debian=_is_debian() and have("apt-get"),
        configured=configured_engine(os.environ),
        forbidden=_DOCKER_SOCKET.exists() and not os.access(_DOCKER_SOCKET, os.W_OK),
        user=getpass.getuser(),
        command=_own_command(),
    )


def _is_debian() -> bool:
    try:
        return platform.freedesktop_os_release().get("ID") in {"debian", "ubuntu"}
    except OSError:
        return False


def _own_command() -> str:
    script = Path(sys.executable).with_name("taskcal")
    return shlex.quote(str(script)) if script.exists() else f"{shlex.quote(sys.executable)} -m taskcal"


def free_bytes(path: str) -> int | None:
    """Bytes free where `path` lies; None where this machine has no such path or does not let us look."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def apt_install(packages: Sequence[str]) -> None:
    """Install Debian packages; raises MissingError with the commands where that did not work.

    A failing update alone is no failure: one broken third-party source must not stand between us and Debian's own.
    """
    wait_for_lock = ("-o", "DPkg::Lock::Timeout=120")
    try:
        run_program(["apt-get", *wait_for_lock, "-qq", "update"], seconds=300)
        done = run_program(["apt-get", *wait_for_lock, "-qq", "install", "-y", *packages], seconds=900)
    except TimeoutError as error:
        done = Completed(-1, str(error))
    if done.status != 0:
        wanted = f"apt-get update && apt-get install -y {shlex.join(packages)}"
        raise MissingError(f"apt-get could not install {' '.join(packages)} ({done.last_line}); run: {wanted}")


def is_stale(pid_file: Path) -> bool:
    """Whether a daemon's pid file names a process that is gone, dead and unreaped, or somebody else's.

    A daemon that was killed leaves its file, and the next one refuses to start while any process has that number.
    """
    try:
        pid = int(pid_file.read_text(encoding="utf-8"))
        name, _, after = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
    except (OSError, ValueError):
        return pid_file.exists()
    return after.split()[0] == "Z" or name.partition("(")[2] not in DAEMONS


def start_dockerd(log: Path) -> Daemon:
    """Ask systemd for Docker where it runs, else start `dockerd` detached with its output in `log`; does not wait.

    Raises MissingError where systemd refuses.
    """
    if Path("/run/systemd/system").exists():
        done = run_program(["systemctl", "start", "docker"], seconds=120)
        if done.status != 0:
            raise MissingError(f"systemctl could not start docker ({done.last_line}); see: journalctl -u docker -n 20")
        return Daemon(log)
    for pid_file in PID_FILES:
        if is_stale(pid_file):
            pid_file.unlink(missing_ok=True)
    with log.open("wb") as output:
        return Daemon(log, _started(["dockerd"], output.fileno(), stdin=subprocess.DEVNULL))


def search_within(pattern: str, text: str, seconds: float) -> bool | None:
    """Whether `pattern` (Python's `re`, unanchored) occurs in `text`; None where the answer took too long or too much.

    A separate process, because `re` cannot be stopped and patterns come from strangers. `seconds`, rounded up, are of
    its own CPU, so that a busy machine changes no answer; only beyond 30 times that, or a minute, is it given up. The
    caller cuts `text` to 1 MiB. Raises ValueError where `pattern` is no regular expression.
    """
    command = [sys.executable, "-I", "-S", "-c", _SEARCH, str(math.ceil(seconds))]
    try:
        done = run_program(
            command, seconds=max(seconds, min(30 * seconds, _SEARCH_WAIT)), stdin=json.dumps([pattern, text])
        )
    except TimeoutError:
        return None
    if done.status == 2:
        raise ValueError(f"not a regular expression: {done.last_line}")
    return _ANSWERS.get(done.last_line) if done.status == 0 else None
