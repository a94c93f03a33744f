"""Small tasksets for the tests of the loader."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.errors import InputError
from taskcal.taskset.load import load

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.task import Task, Taskset

HEAD = """\
taskset: small
version: 1
environments:
  box: {image: "debian:bookworm-slim"}
graders:
  files: {checks: [{name: a, file: /a, exists: true}, {name: b, run: "true"}]}
defaults: {environment: box, grader: files}
tasks:
"""


class Yaml:
    """Writes tasksets into a folder of its own and loads them from there, under short names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, text: str, name: str = "t.yaml") -> Taskset:
        """Load `text` as a whole file."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return load([name])

    def task(self, text: str) -> Task:
        """Load one task, written from the column of its keys, with an id and the defaults of HEAD."""
        return self.load(HEAD + _item(text)).tasks[0]

    def problems(self, text: str) -> list[str]:
        """Give the messages of a whole file that must be refused."""
        with pytest.raises(InputError) as caught:
            self.load(text)
        return [str(problem) for problem in caught.value.problems]

    def task_problems(self, text: str) -> list[str]:
        """Give the messages of one task, without `t.yaml:` in front; its id stands on line 9."""
        return [problem.removeprefix("t.yaml:") for problem in self.problems(HEAD + _item(text))]


def _item(text: str) -> str:
    lines = text.strip("\n").splitlines()
    return "  - id: one\n" + "".join(f"    {line}\n" for line in lines)
