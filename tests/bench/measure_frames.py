"""Counts the calls between `taskcal run` and the bytes of an agent's exec, on the container engine of this machine.

    python -m tests.bench.measure_frames

Only frames of taskcal count. A rollout runs in a thread of its own, so the frames of the command are those from `run`
in `cli/commands/run.py` to the call that starts the thread, and those of the rollout are all of that thread.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import taskcal
from taskcal.cli.main import app

if TYPE_CHECKING:
    from types import FrameType

PACKAGE = str(Path(taskcal.__file__).parent)
ENTRY = "cli/commands/run.py:run"
STREAM = "sandbox/engine/stream.py"
TASKSET = """
taskset: frames
version: 1
environments: {plain: {image: "debian:bookworm-slim", network: none}}
tasks:
  - id: echo
    environment: plain
    prompt: Print anything.
    grader: {checks: [{name: anything, run: "true"}]}
"""
AGENT = "agent: echo\nkind: command\nrun: echo hello\n"


@dataclass
class Frames:
    """Calls, outermost first: from the command to the start of the last worker, and from there to the agent's exec."""

    command: list[str] = field(default_factory=list)
    rollout: list[str] = field(default_factory=list)

    def profile(self, frame: FrameType, event: str, function: object) -> None:
        """Look at each call of a C function; see `sys.setprofile`."""
        name = getattr(function, "__name__", "") if event == "c_call" else ""
        if name == "start_new_thread":
            chain = names(frame)
            if ENTRY in chain and chain[-1].startswith("execution/"):
                self.command = chain[chain.index(ENTRY) :]
        elif name == "recv" and frame.f_code.co_filename.endswith(STREAM):
            chain = names(frame)
            if any(entry.startswith("agents/") for entry in chain):
                self.rollout = min(self.rollout or chain, chain, key=len)


def names(frame: FrameType | None) -> list[str]:
    """The functions of taskcal on a stack, outermost first."""
    chain = []
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            chain.append(f"{os.path.relpath(frame.f_code.co_filename, PACKAGE)}:{frame.f_code.co_name}")
        frame = frame.f_back
    return chain[::-1]


def measure() -> Frames:
    """Run one rollout of a command agent. Raises SystemExit if the run fails."""
    frames = Frames()
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        Path("frames.yaml").write_text(TASKSET, encoding="utf-8")
        Path("echo.yaml").write_text(AGENT, encoding="utf-8")
        threading.setprofile(frames.profile)
        sys.setprofile(frames.profile)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                app(["run", "frames.yaml", "--agent", "echo.yaml", "-G", "1", "--no-preflight"], standalone_mode=False)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    return frames


if __name__ == "__main__":
    found = measure()
    for title, chain in (("run to the start of a thread", found.command), ("thread to an exec's bytes", found.rollout)):
        print(f"{title}: {len(chain)} frames")
        print("".join(f"    {entry}\n" for entry in chain), end="")
    print(f"together: {len(found.command) + len(found.rollout)}")
