"""What safety costs: rollouts graded shared and fresh, and without a network and with a list of hosts, as ratios.

Three kinds of tasks are graded both ways: one small file, a folder of 2,000 files (20 MB), and a service that stays up
into the grading. Each round runs all, interleaved; the ratio of whole rollouts is what counts.
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import tempfile
from pathlib import Path

CONCURRENCY = 2
GROUP = 6
ROUNDS = 3

TASKSET = """
taskset: bench
version: 1
environments:
  file: {image: "debian:bookworm-slim"}
  folder:
    image: "debian:bookworm-slim"
    setup: mkdir /work && cd /work && for i in $(seq 2000); do head -c 10000 /dev/urandom >$i; done
  service:
    image: "debian:bookworm-slim"
    services: {db: {image: "debian:bookworm-slim", command: sleep 1000}}
  hosts: {image: "debian:bookworm-slim", network: [example.org]}
tasks:
"""
KINDS = ("file", "folder", "service", "hosts")
TASK = """
  - id: {kind}-{where}
    prompt: Make the file /work/done.
    environment: {kind}
    grader: {{sandbox: {where}, {artifacts}checks: [{{name: it is there, run: test -e /work/done}}]}}
"""
AGENT = "agent: touch\nkind: command\nrun: mkdir -p /work; touch /work/done\n"


def tasks() -> str:
    """Each kind both ways."""
    both = (("shared", ""), ("fresh", "artifacts: [/work], "))
    return "".join(TASK.format(kind=kind, where=where, artifacts=text) for kind in KINDS for where, text in both)


def seconds(folder: Path) -> dict[str, float]:
    """Mean seconds of a rollout by task."""
    from taskcal.cli.main import app

    arguments = ["run", str(folder / "bench.yaml"), "--agent", str(folder / "agent.yaml"), "-G", str(GROUP), "-q"]
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as runs:
        app([*arguments, "-c", str(CONCURRENCY), "-o", runs], standalone_mode=False)
        text = next(Path(runs).glob("*/rollouts.jsonl")).read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert all(row["outcome"] == "graded" and row["passed"] for row in rows)
    names = {row["task"] for row in rows}
    return {name: statistics.mean(row["timing_s"]["total"] for row in rows if row["task"] == name) for name in names}


def main() -> None:
    """Measure in rounds and print the ratio of each kind."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bench.yaml").write_text(TASKSET + tasks())
        (folder / "agent.yaml").write_text(AGENT)
        seconds(folder)
        rounds = [seconds(folder) for _ in range(ROUNDS)]
    pairs = [(f"{kind}-shared", f"{kind}-fresh") for kind in KINDS]
    for plain, safe in [*pairs, ("file-shared", "hosts-shared")]:
        first, second = (statistics.median(found[name] for found in rounds) for name in (plain, safe))
        print(f"{plain} {first:.2f} s, {safe} {second:.2f} s a rollout, ratio {second / first:.2f}")


if __name__ == "__main__":
    main()
