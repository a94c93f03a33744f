"""Files of the taskset as one tar archive: the same bytes for the same files, so that its digest can name an image.

Archives are streams into a nameless file or a digest: memory may not have room for what a taskset brings.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from taskcal.machine.file_tree import context_entries

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from taskcal.core.task import FileCopy


@dataclass(frozen=True, slots=True)
class FileOwner:
    """Whose files are, by number; `alone` if others may do nothing with them, whatever their modes allow."""

    user: int = 0
    group: int = 0
    alone: bool = False


ROOT = FileOwner()


@contextlib.contextmanager
def pack_files(
    files: Iterable[FileCopy], *, without: Sequence[str] = (), owner: FileOwner = ROOT, folders: Sequence[str] = ()
) -> Iterator[io.BufferedRandom]:
    """A tar archive to unpack at a container's root: modes kept, root's unless said otherwise, no times.

    `without` are absolute paths of copied folders that are there already: they keep their modes and owners. `folders`
    are others to make first. Raises OSError.
    """
    known = {path.lstrip("/") for path in without}
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for made in folders:
                archive.addfile(_member(made.lstrip("/"), tarfile.DIRTYPE, 0o755, owner))
            _add_all(archive, files, known, owner)
        file.seek(0)
        yield file


def files_digest(files: Iterable[FileCopy]) -> str:
    """SHA-256, in hex, of the archive of files. Raises OSError."""
    sink = _Digest()
    with tarfile.open(fileobj=cast("IO[bytes]", sink), mode="w|", format=tarfile.PAX_FORMAT) as archive:
        _add_all(archive, files, frozenset(), ROOT)
    return sink.total.hexdigest()


class _Digest:
    """A stream of which only the digest is kept."""

    def __init__(self) -> None:
        self.total = hashlib.sha256()

    def write(self, block: bytes) -> int:
        self.total.update(block)
        return len(block)


def pack_context(
    folder: Path, into: IO[bytes], more: Mapping[str, bytes] | None = None, without: Container[str] = ()
) -> None:
    """Write what a build of a folder receives as a tar archive: modes and times kept, owned by root. Raises OSError.

    `more` are files that the folder does not have, by name; `without` names files to leave out.
    """
    with tarfile.open(fileobj=into, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in (more or {}).items():
            member = _member(name, tarfile.REGTYPE, 0o644, ROOT)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for entry in context_entries(folder):
            if entry.name in without:
                continue
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


def _add_all(archive: tarfile.TarFile, files: Iterable[FileCopy], known: Container[str], owner: FileOwner) -> None:
    for copy in files:
        for path, name in _entries(Path(copy.source), copy.destination.lstrip("/")):
            if name not in known:
                _add(archive, path, name, owner)


def _entries(source: Path, destination: str) -> Iterator[tuple[Path, str]]:
    yield source, destination
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            yield path, f"{destination.rstrip('/')}/{path.relative_to(source).as_posix()}"


def _member(name: str, kind: bytes, mode: int, owner: FileOwner) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, mode & ~0o077 if owner.alone else mode
    member.uid, member.gid = owner.user, owner.group
    return member


def _add(archive: tarfile.TarFile, path: Path, name: str, owner: FileOwner) -> None:
    """Add a file, a folder or a link inside the copied folder as itself; anything else has no place in a taskset."""
    mode = path.lstat().st_mode
    member = _member(name, tarfile.REGTYPE, stat.S_IMODE(mode), owner)
    if stat.S_ISLNK(mode) and path.is_symlink():
        member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
        archive.addfile(member)
    elif stat.S_ISDIR(mode):
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    elif stat.S_ISREG(mode):
        with path.open("rb") as file:
            member.size = os.fstat(file.fileno()).st_size
            archive.addfile(member, file)
