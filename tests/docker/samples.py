"""Small tasksets and agents for runs from the outside, and how to read what a run left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str, str], Path]

TASKSET = """
taskset: small
version: 1
environments: {plain: {image: "debian:bookworm-slim"}}
defaults: {environment: plain}
tasks:
  - id: easy
    prompt: Make the file /tmp/easy.
    grader: &grader {checks: [{name: it is there, run: "test -e /tmp/$name"}]}
    params: {name: easy}
    solutions: [{name: touch, run: "touch /tmp/$name"}]
  - id: hard
    prompt: Make the file /tmp/hard.
    grader: *grader
    params: {name: hard}
    solutions: [{name: touch, run: "touch /tmp/$name"}]
"""
SOLVES_EASY = "agent: half\nkind: command\nrun: touch /tmp/easy\n"


def task_of(document: Any, name: str) -> Any:
    """A calibrated task by its id."""
    return next(task for task in document["tasks"] if task["id"] == name)


def run_id(folder: Path) -> str:
    """The only run below a folder."""
    return next((folder / "runs").iterdir()).name


def rows(folder: Path) -> list[Any]:
    """The rollouts that the only run of a folder recorded."""
    return [json.loads(line) for line in next(folder.glob("runs/*/rollouts.jsonl")).read_text().splitlines()]
