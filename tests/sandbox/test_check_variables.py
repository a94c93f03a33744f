"""Which search paths lead to the agent: through links, by a parent, and back out of what an artifact excludes."""

from __future__ import annotations

import pytest

from taskcal.core.shell.search_paths import OWN_PATH
from taskcal.core.task import Artifact
from taskcal.sandbox.check_variables import check_variables
from tests.sandbox.artifacts.tree_case import Node, pristine

FOLDER = Node()
IMAGE = pristine(
    app=FOLDER,
    app__bin=FOLDER,
    app__venv=FOLDER,
    app__venv__bin=FOLDER,
    app__a=FOLDER,
    app__a__b=FOLDER,
    app__out=Node(link="/usr/bin"),
    app__venv__src=Node(link="../src"),
    opt=FOLDER,
    opt__in=Node(link="/app/bin"),
    opt__up=Node(link="../app"),
    opt__twice=Node(link="up"),
    opt__through=Node(link="/app/out"),
    opt__loop=Node(link="loop"),
    opt__apple=FOLDER,
    alias=Node(link="app"),
    usr=FOLDER,
    usr__bin=FOLDER,
    home=FOLDER,
    home__agent=Node(owner=1000),
    own=Node(owner=1000),
    own__bin=FOLDER,
    team=Node(group=50, mode=0o775),
    roots=Node(group=0, mode=0o775),
    tmp=Node(mode=0o777),
    lnk=Node(link="/own/bin", mode=0o777),
    plain=FOLDER,
)


def path_left(entry: str, *artifacts: Artifact, user: str = "agent", shared: bool = False) -> bool:
    """Whether an entry of PATH is left to checks."""
    given = {"PATH": f"/usr/bin:{entry}"}
    found = check_variables(IMAGE, "image", given, None if shared else artifacts, user)
    assert found.kept["PATH"] in {"/usr/bin", f"/usr/bin:{entry}"}
    assert (found.gone == ()) is (found.kept["PATH"] != "/usr/bin")
    return found.gone == ()


@pytest.mark.parametrize(
    ("entry", "left"),
    [
        ("/app/bin", False),
        ("/app", False),
        ("/app/not/there", False),
        ("//app/./bin/", False),
        ("/usr/../app/bin", False),
        ("/alias/bin", False),
        ("/opt/in", False),
        ("/opt/up/bin", False),
        ("/opt/twice/bin", False),
        ("/app/out", False),  # a link of the image's, which the agent may replace
        ("/opt/through", False),
        ("/proc/self/cwd/bin", False),
        ("/dev/shm/bin", False),
        ("/opt/apple", True),
        ("/apple", True),
        ("/opt/loop", True),
        ("/own/bin", True),
        ("/", True),
    ],
)
def test_what_leads_into_an_artifact_goes(entry: str, left: bool) -> None:
    """By whatever way, whether the artifact is named by its place or by a link to it."""
    assert path_left(entry, Artifact("/app")) is left
    assert path_left(entry, Artifact("/alias/")) is left


@pytest.mark.parametrize(
    ("entry", "left"),
    [
        ("/app/venv/bin", True),
        ("/app/venv", True),
        ("/alias/venv/bin", True),
        ("/app/a/b", True),
        ("/app", False),
        ("/app/a", False),
        ("/app/bin", False),
        ("/app/venv2", False),
        ("/app/venv/src", False),
    ],
)
def test_what_an_artifact_excludes_is_the_images(entry: str, left: bool) -> None:
    """And what lies around it, or what a link in it leads to, is the agent's."""
    assert path_left(entry, Artifact("/app", exclude=("venv", "a/b"))) is left


def test_an_artifact_inside_a_home_is_what_programs_read() -> None:
    """`~/.config` holds settings; a project in a home does not."""
    for artifact, left in (("/home/agent/.config", False), ("/home/agent/project", True), ("/home/agent/.x/y", False)):
        found = check_variables(IMAGE, "image", {"HOME": "/home/agent"}, [Artifact(artifact)], "agent")
        assert (found.kept["HOME"] == "/home/agent") is left, artifact


def test_nothing_arrives_without_an_artifact() -> None:
    """All of the image's variables are its own."""
    assert path_left("/app/bin")


@pytest.mark.parametrize(
    ("entry", "left"),
    [
        ("/own/bin", False),
        ("/own/not/there", False),
        ("/lnk", False),
        ("/tmp/bin", False),
        ("/team", False),
        ("/home/agent/bin", False),
        ("/roots", True),
        ("/plain", True),
        ("/plain/not/there", True),
        ("/app/bin", True),
    ],
)
def test_what_others_than_root_may_write_goes_from_a_shared_sandbox(entry: str, left: bool) -> None:
    """Also by a folder above it. An agent that is root may write everywhere, so nothing goes."""
    assert path_left(entry, shared=True) is left
    assert path_left(entry, shared=True, user="agent:agent") is left
    assert all(path_left(entry, shared=True, user=root) for root in ("", "0", "root", "0:0"))


def test_taskcals_own_path_follows_the_same_rule() -> None:
    """A usual folder is searched only if it is not the agent's."""
    found = check_variables(IMAGE, "image", {"PATH": "/opt/apple:/app/bin"}, [Artifact("/usr/bin")], "agent")
    usual = [one for one in OWN_PATH.split(":") if one != "/usr/bin"]
    assert found.own_path.split(":") == [*usual, "/opt/apple", "/app/bin"]
