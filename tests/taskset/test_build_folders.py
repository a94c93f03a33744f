"""The folder that an image is built from: what it may hold, and what only matters if a build receives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.errors import InputError
from tests.taskset.taskset_case import Yaml
from tests.taskset.test_load import small

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


def test_what_a_build_leaves_out_may_lead_anywhere(yaml: Yaml) -> None:
    """A link in a folder that `.dockerignore` names is no escape from a build; among files to copy it is one."""
    (yaml.folder / "img" / ".venv" / "bin").mkdir(parents=True)
    (yaml.folder / "img" / ".venv" / "bin" / "python").symlink_to("/usr/bin/python3")
    (yaml.folder / "img" / ".dockerignore").write_text("**/.venv\n")
    text = small("t", "a").replace("{image: a}", "{build: img, services: {db: {build: img}}}")
    environment = yaml.load(text).tasks[0].environment
    assert environment.source.build == environment.services[0].source.build == str(yaml.folder / "img")
    with pytest.raises(InputError, match=r"holds a symlink that leaves the taskset's folder: img/\.venv/bin/python"):
        yaml.load(text.replace("{build: img, services", "{build: img, files: {/x: img}, services"))
    (yaml.folder / "img" / ".dockerignore").write_text("**/.venv\n!**/python\n")
    with pytest.raises(InputError, match=r"img/\.venv/bin/python"):
        yaml.load(text)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ("{build: folder}", "holds a symlink that leaves the taskset's folder: folder/inner"),
        ("{build: t.yaml}", "build: must be a folder with a Dockerfile in it, not a file: t.yaml"),
        ("{image: a, services: {db: {build: long}}}", "services.db.build: cannot be read: long: larger than 64 KiB"),
    ],
)
def test_a_folder_that_cannot_be_meant_is_refused(yaml: Yaml, environment: str, message: str) -> None:
    """No link that a build receives leaves the taskset's folder, and its patterns are of a size that people write."""
    for name in ("folder", "long"):
        (yaml.folder / name).mkdir()
    (yaml.folder / "folder" / "inner").symlink_to("/etc/passwd")
    (yaml.folder / "long" / ".dockerignore").write_text("x" * (64 * 1024 + 1))
    found = yaml.task_problems(f"prompt: p\nenvironment: {environment}")
    assert any(message in one for one in found), found
