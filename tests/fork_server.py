"""Commands of `taskcal` as processes that are forked from one that has everything loaded.

A command line that is tested from the outside is a process of its own: its own folder, variables, streams, signals and
exit code. Starting Python and loading scipy, docker and openai takes a second or two of each such process, which is
most of what a small run costs. This server loads them once and forks for each command. A child has what a new process
would have, but for the modules that are loaded already; what is loaded when is tested with processes that are new.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parent.parent
LIBRARIES = ("docker", "scipy.special", "jinja2", "rich.live")
STREAMS = 3
MOST_BYTES = 4 * 1024 * 1024
"""Bytes of a request: arguments, folder and variables."""


class ForkServer:
    """The side of the tests."""

    def __init__(self) -> None:
        """Start the server; it ends with this process."""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_BYTES)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
            cwd=ROOT,
            # One thread: what a library's threads hold at a fork is held for ever in the child.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()

    def run(
        self, arguments: Sequence[str], folder: Path, env: dict[str, str], stdin: str, seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end. Raises subprocess.TimeoutExpired after `seconds`, when it is killed."""
        mine, theirs = socket.socketpair()
        with contextlib.ExitStack() as stack:
            stack.enter_context(mine)
            given, out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(STREAMS))
            given.write(stdin.encode())
            given.seek(0)
            request = json.dumps([list(arguments), str(folder), env]).encode()
            with theirs:
                descriptors = [stream.fileno() for stream in (given, out, err)]
                socket.send_fds(self._socket, [request], [*descriptors, theirs.fileno()])
            mine.settimeout(seconds)
            answers = mine.makefile()
            process = int(answers.readline())
            try:
                code = int(answers.readline())
            except TimeoutError:
                os.kill(process, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), seconds) from None
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read().decode())
        return subprocess.CompletedProcess(list(arguments), code, *texts)

    def close(self) -> None:
        """End the server."""
        self._socket.close()
        self._process.wait()


def serve(requests: socket.socket) -> None:
    """Fork for each request, until the other side is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        data, descriptors, _, _ = socket.recv_fds(requests, MOST_BYTES, STREAMS + 1)
        if not data:
            return
        if os.fork() == 0:
            requests.close()
            _watch(json.loads(data), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _watch(request: list[Any], descriptors: list[int]) -> None:
    """Fork once more, and report the command's process and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, answers = descriptors
    process = os.fork()
    if process == 0:
        os.close(answers)
        _become(request, streams)
    os.write(answers, f"{process}\n".encode())
    _, status = os.waitpid(process, 0)
    os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(request: list[Any], streams: list[int]) -> None:
    """Be `python -m taskcal` with these arguments, in this folder, with these variables and streams."""
    arguments, folder, env = request
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.path[0] = folder
    sys.argv = ["taskcal", *arguments]
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        errors = "backslashreplace" if name == "stderr" else "strict"
        # They stay open as those of any process do, until it ends.
        setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors=errors))
        setattr(sys, f"__{name}__", getattr(sys, name))
    code = 0
    try:
        runpy.run_module("taskcal", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter itself ends
        sys.excepthook(*sys.exc_info())
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _load() -> None:
    import taskcal

    for module in pkgutil.walk_packages(taskcal.__path__, "taskcal."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    _load()
    serve(socket.socket(fileno=int(sys.argv[1])))
