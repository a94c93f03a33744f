"""Where the grader's files belong: at the places that the image's links lead to, but for links of the agent's."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from taskcal.core.task import FileCopy
from taskcal.sandbox.delivery import Destination
from tests.sandbox.artifacts.tree_case import Node, pristine

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.sandbox.engine.docker import DockerEngine

IMAGE = pristine(
    srv=Node(),
    srv__app=Node(),
    srv__app__inner=Node(link="/srv/other"),
    srv__other=Node(),
    app=Node(link="/srv/app"),
    tests=Node(link="app/tests"),
)
PLACE = Destination(cast("DockerEngine", None), IMAGE, "image", "container", "/")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/app/tests", "/srv/app/tests"),
        ("/tests", "/srv/app/tests"),
        ("/tests/deep", "/srv/app/tests/deep"),
        ("/app/inner/x", "/srv/app/inner/x"),  # the agent may have replaced that link
        ("/grader", "/grader"),
    ],
)
def test_a_folder_fills_the_place_that_a_link_leads_to(tmp_path: Path, path: str, place: str) -> None:
    """Under both names lies the same then, and neither is the agent's."""
    (found,) = PLACE.resolved([FileCopy(path, str(tmp_path))], ["/srv/app"])
    assert found.destination == place


def test_a_file_replaces_a_link(tmp_path: Path) -> None:
    """It does not overwrite what the link leads to, such as the program behind /usr/bin/python."""
    (tmp_path / "x").write_text("x")
    (found,) = PLACE.resolved([FileCopy("/tests", str(tmp_path / "x"))], ["/srv/app"])
    assert found.destination == "/tests"


@pytest.mark.parametrize("readable", [True, False])
def test_the_graders_files_are_shown_and_hidden(tmp_path: Path, readable: bool) -> None:
    """Only what arrived: folders of the image keep their modes."""
    (tmp_path / "it's").mkdir()
    (tmp_path / "it's" / "x").write_text("x")
    copies = [FileCopy("/grader/deep", str(tmp_path)), FileCopy("/srv/app", str(tmp_path))]
    names = PLACE.shown(copies, [], readable=readable).split()
    assert names[:3] == ["chmod", "go+rX" if readable else "go-rwx", "--"]
    assert {"/grader", "/grader/deep", "/srv/app"} & set(names) == {"/grader", "/grader/deep"}
    assert PLACE.shown(copies, [], readable=readable).count("/x") == 2
