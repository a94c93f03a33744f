"""Which files of a folder a build receives, and a digest that changes with them and with nothing else."""

from __future__ import annotations

import os
import shutil
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskcal.machine import host
from taskcal.machine.file_tree import context_digest, context_entries, dockerfile_of, entries, tree_digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = st.text("abZ.-é ", min_size=1, max_size=4).filter(lambda name: name.strip(".") == name and name.strip() == name)
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map(tuple), st.binary(max_size=20), min_size=1, max_size=6
)
IGNORED = "left out"


def make(top: Path, tree: dict[tuple[str, ...], bytes]) -> list[Path]:
    """Write a tree; gives the files that found a place."""
    made = []
    for parts, content in tree.items():
        path = top.joinpath("kept", *parts)
        if any(parent.is_file() for parent in path.parents) or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        made.append(path)
    return made


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Give an empty build folder, again and again, that ignores one name."""

    def fresh() -> Path:
        top = tmp_path_factory.mktemp("room") / "img"
        top.mkdir()
        (top / "Dockerfile").write_text("FROM a\nCOPY . /\n")
        (top / ".dockerignore").write_text(f"**/{IGNORED}\n")
        return top

    return fresh


def fold(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("kept")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte more": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "another byte": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\xff\xfe"),
    "a program": lambda path: path.chmod(0o755),
    "gone": lambda path: path.unlink(),
    "another name": lambda path: path.rename(path.with_name(path.name + "x")),
    "a folder": fold,
    "a link": link,
    "one more": lambda path: path.with_name(path.name + "x").write_bytes(b""),
    "an empty folder more": lambda path: path.with_name(path.name + "x").mkdir(),
}


@pytest.mark.parametrize("change", CHANGES)
@settings(max_examples=8, deadline=None)
@given(tree=TREES, data=st.data())
def test_any_change_is_another_digest(
    room: Callable[[], Path], change: str, tree: dict[tuple[str, ...], bytes], data: st.DataObject
) -> None:
    """Of any file that a build receives: its content, its name, its kind, and whether it is a program."""
    top = room()
    victim = data.draw(st.sampled_from(make(top, tree)))
    before, whole = context_digest(top), tree_digest(top)
    CHANGES[change](victim)
    assert context_digest(top) != before
    assert tree_digest(top) != whole


def _checked_out_again(top: Path) -> Path:
    """A copy elsewhere, made in another order, by another person, at another time."""
    other = top.parent.parent / f"{top.parent.name}-again" / "deeper" / "renamed"
    for source in sorted(top.rglob("*"), reverse=True):
        place = other / source.relative_to(top)
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            place.symlink_to(source.readlink())
        elif source.is_dir():
            place.mkdir(exist_ok=True)
            place.chmod(0o700)
        else:
            shutil.copyfile(source, place)
            place.chmod(0o700 if os.access(source, os.X_OK) else 0o600)
            os.utime(place, (1, 1))
    return other


@settings(max_examples=15, deadline=None)
@given(tree=TREES, noise=st.binary(max_size=20))
def test_nothing_else_changes_it(room: Callable[[], Path], tree: dict[tuple[str, ...], bytes], noise: bytes) -> None:
    """Another place, order, owner, time and umask, and whatever `.dockerignore` leaves out."""
    top = room()
    first = make(top, tree)[0]
    first.chmod(0o755)
    (top / "link").symlink_to("kept")
    before, whole = context_digest(top), tree_digest(top)
    other = _checked_out_again(top)
    assert (context_digest(other), tree_digest(other)) == (before, whole)
    for folder in (top, first.parent):
        (folder / IGNORED).mkdir()
        (folder / IGNORED / "noise").write_bytes(noise)
        (folder / IGNORED / "link").symlink_to("/etc/passwd")
    assert context_digest(top) == before
    assert tree_digest(top) != whole


def test_a_file_is_its_content_and_its_kind(tmp_path: Path) -> None:
    """Its own name is not in it: where it arrives is told beside it."""
    for name, mode in (("a", 0o644), ("b", 0o600), ("c", 0o744)):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)
    assert tree_digest(tmp_path / "a") == tree_digest(tmp_path / "b") != tree_digest(tmp_path / "c")


def names(folder: Path) -> set[str]:
    return {entry.name for entry in context_entries(folder)}


def test_what_an_exception_brings_back(tmp_path: Path) -> None:
    """Also below a folder that is left out; the Dockerfile and the patterns are always sent."""
    for name in ("Dockerfile", "a/b/keep", "a/b/drop", "c/drop", "drop"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text("*\n!**/keep\n")
    assert names(tmp_path) == {"Dockerfile", ".dockerignore", "a/b/keep"}
    (tmp_path / ".dockerignore").write_text("a\nDockerfile\n")
    assert names(tmp_path) == {"Dockerfile", ".dockerignore", "c", "c/drop", "drop"}


def test_the_patterns_themselves_count_unless_they_leave_themselves_out(tmp_path: Path) -> None:
    """A build copies `.dockerignore` like any file; the Dockerfile counts always, since it is read."""
    (tmp_path / "Dockerfile").touch()
    digests = []
    for text in ("x", "x\n# said", ".dockerignore", ".dockerignore\n# said", "Dockerfile\n.dockerignore"):
        (tmp_path / ".dockerignore").write_text(text)
        digests.append(context_digest(tmp_path))
    assert digests[0] != digests[1] != digests[2] == digests[3] == digests[4]
    (tmp_path / "Dockerfile").write_text("FROM x")
    assert context_digest(tmp_path) != digests[4]


def test_the_engines_second_choice(tmp_path: Path) -> None:
    """`dockerfile` is read if there is no `Dockerfile`."""
    assert dockerfile_of(tmp_path) == tmp_path / "Dockerfile"
    (tmp_path / "dockerfile").touch()
    (tmp_path / ".dockerignore").write_text("*")
    assert dockerfile_of(tmp_path) == tmp_path / "dockerfile"
    assert names(tmp_path) == {"dockerfile", ".dockerignore"}
    (tmp_path / "Dockerfile").touch()
    assert dockerfile_of(tmp_path) == tmp_path / "Dockerfile"
    assert names(tmp_path) == {"Dockerfile", ".dockerignore"}


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe or a socket is left out, and a link is never followed."""
    before = tree_digest(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(tmp_path)
        made.bind(str(tmp_path / "socket"))
    assert tree_digest(tmp_path) == before
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "nowhere").symlink_to("/nowhere/at/all")
    assert {entry.name for entry in entries(tmp_path)} == {"loop", "nowhere"}
    assert tree_digest(tmp_path) != before


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Never a digest of what happened to be readable."""
    with pytest.raises(FileNotFoundError):
        tree_digest(tmp_path / "absent")
    with pytest.raises(FileNotFoundError):
        context_digest(tmp_path / "absent")
    (tmp_path / ".dockerignore").write_text("x" * (64 * 1024 + 1))
    with pytest.raises(OSError, match="larger than 64 KiB"):
        context_digest(tmp_path)


def test_a_deep_folder_is_walked_like_any_other(tmp_path: Path) -> None:
    """A stranger's folder may be deeper than calls can be nested."""
    top = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("a", dir_fd=top)
        below = os.open("a", os.O_RDONLY, dir_fd=top)
        os.close(top)
        top = below
    os.close(top)
    try:
        assert sum(1 for _ in entries(tmp_path)) == 1100
        assert tree_digest(tmp_path) != context_digest(tmp_path / "a")
    finally:  # what cleans up after tests nests its calls
        host.run_program(["rm", "-rf", str(tmp_path / "a")], seconds=60)
