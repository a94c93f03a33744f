"""Where files may be put in a container: nowhere that they would silently vanish from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.taskset.taskset_case import Yaml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


@pytest.mark.parametrize(
    ("destination", "folder"),
    [
        ("/proc/a", "/proc"),
        ("/sys", "/sys"),
        ("/dev/shm/a", "/dev"),
        ("//dev/a", "/dev"),
        ("/./run//taskcal/a", "/run/taskcal"),
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        "environment: {image: a, files: {%s: t.yaml}}",
        "environment: {image: a, services: {db: {image: b, files: {%s: t.yaml}}}}",
        "grader: {checks: [{name: a, run: x}], files: {%s: t.yaml}}",
        "solutions: [{name: a, run: x, files: {%s: t.yaml}}]",
        "wrong: [{name: a, run: x, files: {%s: t.yaml}}]",
    ],
)
def test_files_cannot_go_where_they_would_vanish(yaml: Yaml, place: str, destination: str, folder: str) -> None:
    """Wherever files are listed, a folder of the kernel, of the container or of taskcal is refused with the reason."""
    (message,) = yaml.task_problems(f"prompt: p\n{place % destination}")
    assert f"nothing can be put below {folder}, which is" in message
    assert message.endswith("choose another place")


def test_files_may_go_beside_what_is_reserved(yaml: Yaml) -> None:
    """Only whole names count: /development is not /dev, and the rest of /run is free."""
    task = yaml.task("prompt: p\nenvironment: {image: a, files: {/development/a: t.yaml, /run/task: t.yaml}}")
    assert [file.destination for file in task.environment.files] == ["/development/a", "/run/task"]
