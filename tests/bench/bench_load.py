"""How long 5,000 tasks take to load: `python tests/bench/bench_load.py [TASKS]`; the promise is under 5 seconds."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from taskcal.taskset.load import load

HEAD = """\
taskset: many
version: 1
environments: {base: {image: "debian:bookworm-slim", workdir: /app}}
defaults: {environment: base, timeouts: {agent: 15m}}
tasks:
"""
TASK = """\
  - id: task-{number}
    tags: [bench]
    prompt: |
      Write {template} into /app/{number}.txt, and nothing else.
      Then tell what you did.
    params: {{order: {number}, code: ZX-{number}}}
    grader:
      checks:
        - {{name: file is there, weight: 0.3, run: test -s /app/{number}.txt}}
        - {{name: content is right, weight: 0.7, run: 'grep -qx "$code" /app/{number}.txt'}}
    solutions:
      - {{name: echo, run: 'echo "$code" > /app/{number}.txt'}}
"""


def write(folder: Path, tasks: int, template: str) -> Path:
    """Write a taskset of that many tasks, each with a prompt of its own."""
    path = folder / "many.yaml"
    body = "".join(TASK.format(number=number, template=template) for number in range(tasks))
    path.write_text(HEAD + body)
    return path


def main() -> None:
    """Print the seconds for prompts that are plain text, and for as many different templates."""
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    with tempfile.TemporaryDirectory() as folder:
        for kind, template in (("plain", "the code"), ("templates", "{{ code }}")):
            path = write(Path(folder), tasks, template)
            started = time.perf_counter()
            loaded = load([path])
            seconds = time.perf_counter() - started
            print(f"{kind}: {len(loaded.tasks)} tasks in {seconds:.2f} s")  # a script for people


if __name__ == "__main__":
    main()
