"""Files of the taskset as one tar archive: the same bytes for the same files, so that its digest can name an image."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from taskcal.file_tree import context_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskcal.core.task import FileCopy


def pack(files: Iterable[FileCopy]) -> bytes:
    """A tar archive to unpack at a container's root: modes kept, owned by root, no times. Raises OSError."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for copy in files:
            for path, name in _entries(Path(copy.source), copy.destination.lstrip("/")):
                _add(archive, path, name)
    return buffer.getvalue()


def pack_context(folder: Path, into: IO[bytes]) -> None:
    """Write what a build of a folder receives as a tar archive: modes and times kept, owned by root. Raises OSError."""
    with tarfile.open(fileobj=into, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in context_entries(folder):
            member = archive.gettarinfo(str(entry.path), entry.name)
            archive.inodes.clear()  # type: ignore[attr-defined]  # a hard link is a file of its own
            member.uid, member.gid, member.uname, member.gname = 0, 0, "", ""
            if not member.isreg():
                archive.addfile(member)
                continue
            with entry.path.open("rb") as file:
                archive.addfile(member, file)


def folder(path: str, mode: int) -> bytes:
    """A tar archive that makes one folder, root's, with a mode."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(path.lstrip("/"))
        member.type, member.mode = tarfile.DIRTYPE, mode
        archive.addfile(member)
    return buffer.getvalue()


def digest(archive: bytes) -> str:
    """SHA-256 of an archive, in hex."""
    return hashlib.sha256(archive).hexdigest()


def _entries(source: Path, destination: str) -> Iterator[tuple[Path, str]]:
    yield source, destination
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            yield path, f"{destination.rstrip('/')}/{path.relative_to(source).as_posix()}"


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    """Add a file, a folder or a link inside the copied folder as itself; anything else has no place in a taskset."""
    mode = path.lstat().st_mode
    member = tarfile.TarInfo(name)
    member.mode = stat.S_IMODE(mode)
    if stat.S_ISLNK(mode) and path.is_symlink():
        member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
        archive.addfile(member)
    elif stat.S_ISDIR(mode):
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    elif stat.S_ISREG(mode):
        content = path.read_bytes()
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
