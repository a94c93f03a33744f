"""Runs as processes that are watched, signalled and killed at seeded moments, and what they leave."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

from tests.conftest import environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import CommandLine

HEAD = """\
taskset: interrupted
version: 1
environments: {box: {image: "debian:bookworm-slim", setup: "sleep 1; : SETUP"}}
defaults:
  environment: box
  grader: {checks: [{name: half, run: test -e /tmp/half}, {name: whole, run: test -e /tmp/whole}]}
  solutions: [{name: all, run: "sleep 0.2; touch /tmp/half /tmp/whole"}]
  wrong: [{name: some, reward_at_most: 0.5, run: "sleep 0.2; touch /tmp/half"}]
tasks:
"""
VOLATILE = ("seconds", "timing", "cost_usd")


def taskset(tasks: int, setup: str) -> str:
    """So many tasks with an image that is baked for them; `setup` makes it another one."""
    return HEAD.replace("SETUP", setup) + "".join(f"  - {{id: task-{n}, prompt: Do it.}}\n" for n in range(tasks))


def start(taskcal: CommandLine, *arguments: str) -> subprocess.Popen[str]:
    """A call of taskcal that goes on; what it prints is in `out` and `err` of its folder."""
    with (taskcal.folder / "out").open("w") as out, (taskcal.folder / "err").open("w") as err:
        return subprocess.Popen(
            taskcal.command(*arguments), cwd=taskcal.folder, env=environment(), stdout=out, stderr=err, text=True
        )


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[str], folder: Path) -> None:
    """Until something is so; an error where the process ends before."""
    while not happened():
        assert process.poll() is None, (folder / "err").read_text()
        time.sleep(0.01)  # what is waited for is another process's doing


def an_agent_spoke(runs: Path) -> bool:
    """Whether the agent of any rollout has said something: its container is then in the middle of its life."""
    return any(log.stat().st_size for log in runs.glob("*/rollouts/*/*/*/agent.log"))


def stable(document: Any) -> list[dict[str, Any]]:
    """The tasks of a calibration without what depends on the moment."""
    return [{key: value for key, value in task.items() if key not in VOLATILE} for task in document["tasks"]]


def stored(runs: Path) -> list[Any]:
    """The whole rows of the only run below a folder; none where there is no run yet."""
    files = [file.with_name("rollouts.jsonl") for file in runs.glob("*/run.json")]
    text = files[0].read_text() if files else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
