"""What `taskcal report` costs on 100,000 imported rollouts: `python tests/bench/bench_report.py [--baseline TASKCAL]`.

TASKCAL is the program of another checkout, such as `../main/.venv/bin/taskcal`. Both import the same table of 6,250
tasks with 16 rollouts each, and report it in turns, so that a busy moment hits both. Promises beside commit 50ccef9: at
most 0.65 of the processor's time, and no more memory at its peak.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

TASKS, GROUP_SIZE, ROUNDS = 6_250, 16, 3
LEVELS = (0.0, 0.25, 0.5, 0.75)
HERE = str(Path(sys.executable).with_name("taskcal"))


@dataclass(frozen=True)
class Cost:
    """What one command took: seconds of the processor, seconds on the clock, and MiB of memory at its peak."""

    process: float
    wall: float
    memory: float


def write_table(path: Path, tasks: int) -> None:
    """Write a row for each rollout; each task has a rate of its own, and its failures earn something."""
    chance = random.Random(tasks)  # noqa: S311 - a seeded example
    with path.open("w") as file:
        for task in range(tasks):
            rate = chance.random()
            for _ in range(GROUP_SIZE):
                reward = 1.0 if chance.random() < rate else chance.choice(LEVELS)
                row = {"task": f"task-{task}", "reward": reward, "check.a": float(reward > 0.5), "check.b": reward}
                row |= {"seconds": round(chance.uniform(5, 300), 2), "cost": round(chance.uniform(0.001, 0.1), 4)}
                file.write(json.dumps(row) + "\n")


def measure(command: list[str], folder: Path) -> Cost:
    """Run a command in a folder; the kernel counts its time and memory. Raises RuntimeError if it fails."""
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(command[0], command)  # noqa: S606 - there is no shell
    _, status, used = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with status {os.waitstatus_to_exitcode(status)}")
    return Cost(used.ru_utime + used.ru_stime, time.perf_counter() - started, used.ru_maxrss / 1024)


def best(costs: list[Cost]) -> Cost:
    """The least time, and the median of the memory."""
    memory = statistics.median(cost.memory for cost in costs)
    return Cost(min(cost.process for cost in costs), min(cost.wall for cost in costs), memory)


def line(name: str, cost: Cost) -> str:
    return f"{name:<20} {cost.process:6.2f} s of the processor, {cost.wall:6.2f} s wall, {cost.memory:6.1f} MiB"


def main() -> None:
    """Print each measurement, and the ratios if there is a baseline."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--baseline", metavar="TASKCAL", help="the program of another checkout")
    arguments.add_argument("--tasks", type=int, default=TASKS)
    chosen = arguments.parse_args()
    programs = {"here": HERE} | ({"baseline": str(Path(chosen.baseline).absolute())} if chosen.baseline else {})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_table(folder / "table.jsonl", chosen.tasks)
        imports = {n: measure([program, "import", "table.jsonl", "-o", n], folder) for n, program in programs.items()}
        reports: dict[str, list[Cost]] = {name: [] for name in programs}
        for _ in range(ROUNDS):
            for name, program in programs.items():
                reports[name].append(measure([program, "report", name], folder))
    costs = {name: best(rounds) for name, rounds in reports.items()}
    print(f"{chosen.tasks:,} tasks x {GROUP_SIZE}, best of {ROUNDS} reports")
    for name in programs:
        print(line(f"import, {name}", imports[name]))
        print(line(f"report, {name}", costs[name]))
    if chosen.baseline:
        now, before = costs["here"], costs["baseline"]
        print(f"report: {now.process / before.process:.2f} of the baseline's time (at most 0.65)")
        print(f"report: {now.memory / before.memory:.2f} of the baseline's memory (at most 1)")


if __name__ == "__main__":
    main()
