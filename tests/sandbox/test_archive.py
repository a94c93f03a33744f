"""Files on their way into a container: the same bytes for the same files, modes and links as they are."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from taskcal.core.task import FileCopy
from taskcal.sandbox.archive import files_digest, pack_context, pack_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a script, a secret, a nested file, an empty folder, and links."""
    root = tmp_path / "fixtures"
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "run.sh").write_text("echo hello\n")
    (root / "secret").write_text("s")
    (root / "sub" / "deep.txt").write_text("deep")
    (root / "link").symlink_to("sub/deep.txt")
    (root / "outside").symlink_to("/etc/passwd")
    (root / "loop").symlink_to(".")
    (root / "run.sh").chmod(0o755)
    (root / "secret").chmod(0o600)
    (root / "sub").chmod(0o700)
    return root


def pack(files: list[FileCopy]) -> bytes:
    with pack_files(files) as archive:
        return archive.read()


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as found:
        return {member.name: member for member in found}


def test_a_folder_arrives_whole(folder: Path) -> None:
    """Every file and folder below it, each once, under the destination and not under the folder's own name."""
    names = ["app", "app/link", "app/loop", "app/outside", "app/run.sh", "app/secret", "app/sub", "app/sub/deep.txt",
             "app/sub/empty"]  # fmt: skip
    for destination in ("/app", "/app/"):
        assert sorted(name.rstrip("/") for name in members(pack([FileCopy(destination, str(folder))]))) == names


def test_modes_are_kept_and_root_owns_all(folder: Path) -> None:
    """An executable stays one, a secret stays closed, and nothing belongs to a user of the host."""
    found = members(pack([FileCopy("/app", str(folder))]))
    modes = {name: found[name].mode for name in ("app/run.sh", "app/secret", "app/sub")}
    assert modes == {"app/run.sh": 0o755, "app/secret": 0o600, "app/sub": 0o700}
    assert {(one.uid, one.gid, one.uname, one.gname, one.mtime) for one in found.values()} == {(0, 0, "", "", 0)}


def test_contents_are_kept(folder: Path) -> None:
    """Byte for byte."""
    (folder / "bytes").write_bytes(bytes(range(256)) * 300)
    with tarfile.open(fileobj=io.BytesIO(pack([FileCopy("/a", str(folder / "bytes"))]))) as found:
        content = found.extractfile("a")
        assert content is not None
        assert content.read() == bytes(range(256)) * 300


def test_links_stay_links(folder: Path) -> None:
    """No link is followed: none can bring in a file from outside the folder, or go round in circles."""
    found = members(pack([FileCopy("/app", str(folder))]))
    links = {name: one.linkname for name, one in found.items() if one.issym()}
    assert links == {"app/link": "sub/deep.txt", "app/loop": ".", "app/outside": "/etc/passwd"}


def test_the_same_files_are_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """Whoever makes them, wherever, in whatever order and when: the digest can name an image."""
    first = pack([FileCopy("/app", str(folder))])
    other = tmp_path / "copy"
    for source in sorted(folder.rglob("*"), reverse=True):
        place = other / source.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            place.symlink_to(source.readlink())
        elif source.is_dir():
            place.mkdir(exist_ok=True)
        else:
            place.write_bytes(source.read_bytes())
    for source in (folder, *folder.rglob("*")):
        if not source.is_symlink():
            place = other / source.relative_to(folder)
            place.chmod(source.stat().st_mode)
            os.utime(place, (1, 1))
    assert pack([FileCopy("/app", str(other))]) == first
    assert files_digest([FileCopy("/app", str(other))]) == hashlib.sha256(first).hexdigest()


@pytest.mark.parametrize("change", ["content", "mode", "name", "destination", "link"])
def test_any_difference_is_another_digest(folder: Path, change: str) -> None:
    """What would be different in the container is different in the digest."""
    before = files_digest([FileCopy("/app", str(folder))])
    destination = "/srv" if change == "destination" else "/app"
    if change == "content":
        (folder / "run.sh").write_text("echo hullo\n")
    elif change == "mode":
        (folder / "run.sh").chmod(0o644)
    elif change == "name":
        (folder / "run.sh").rename(folder / "runs.sh")
    elif change == "link":
        (folder / "link").unlink()
        (folder / "link").symlink_to("secret")
    assert files_digest([FileCopy(destination, str(folder))]) != before


def test_pipes_and_sockets_are_left_out(folder: Path) -> None:
    """Reading one would wait for ever."""
    os.mkfifo(folder / "pipe")
    assert "app/pipe" not in members(pack([FileCopy("/app", str(folder))]))


def test_several_copies_keep_their_order(folder: Path) -> None:
    """A later copy lies over an earlier one, as it is written in the taskset."""
    copies = [FileCopy("/b", str(folder / "secret")), FileCopy("/a/deep/x", str(folder / "run.sh"))]
    assert list(members(pack(copies))) == ["b", "a/deep/x"]
    assert members(pack([])) == {}


def test_a_source_that_is_gone_is_an_error(folder: Path) -> None:
    """Never an archive that lacks a file."""
    with pytest.raises(FileNotFoundError):
        pack([FileCopy("/a", str(folder / "absent"))])


def test_long_and_foreign_names_arrive(folder: Path) -> None:
    """Names beyond a plain tar header's 100 bytes, and outside ASCII."""
    name = "ä" * 100
    (folder / name).write_text("x")
    assert f"app/{name}" in members(pack([FileCopy("/app", str(folder))]))


def test_a_build_receives_what_is_not_left_out(folder: Path) -> None:
    """Contents, modes and links as they are, root's; a second name of a file is a file, and a pipe is not sent."""
    (folder / "Dockerfile").write_text("FROM a")
    (folder / ".dockerignore").write_text("secret\nDockerfile\n")
    (folder / "again").hardlink_to(folder / "run.sh")
    os.mkfifo(folder / "pipe")
    archive = io.BytesIO()
    pack_context(folder, archive)
    found = members(archive.getvalue())
    assert sorted(found) == [".dockerignore", "Dockerfile", "again", "link", "loop", "outside", "run.sh", "sub",
                             "sub/deep.txt", "sub/empty"]  # fmt: skip
    assert (found["run.sh"].mode, found["link"].linkname, found["again"].isreg()) == (0o755, "sub/deep.txt", True)
    assert {(one.uid, one.gid, one.uname, one.gname) for one in found.values()} == {(0, 0, "", "")}
    with tarfile.open(fileobj=io.BytesIO(archive.getvalue())) as opened:
        content = opened.extractfile("again")
        assert content is not None
        assert content.read() == b"echo hello\n"
