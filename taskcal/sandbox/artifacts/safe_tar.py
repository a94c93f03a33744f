"""A tar archive out of a container is a stranger's: what of it may go on into the container that grades.

Nothing is unpacked here and no link is followed: members are read one after the other and written anew.

    names           what lies below the artifact's own path, in folders that are kept; no `..`, no empty part
    files, folders  kept with content, modes, numeric owner and time; a file's setuid and setgid bits are taken away
    hard links      kept where they name a file that was kept
    symlinks        kept where they lead to a place inside the artifact, or where the image has the very same link;
                    written last, so that no member can be unpacked through one
    the rest        left out: devices, pipes, capabilities and other extended attributes
    bounds          an artifact past them is left out as a whole
"""

from __future__ import annotations

import posixpath
import tarfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, cast

from taskcal.core.shell.sandbox_paths import is_below
from taskcal.core.text.foreign_text import clip
from taskcal.errors import EngineLost, LostError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HEADER_ROOM = 1024 * 1024
"""Bytes that one member may take beside its content: names are short, and a header that is not is no name."""

END = bytes(2 * tarfile.BLOCKSIZE)
LATEST = 2**33
SHOWN = 3


class TooMuch(Exception):
    """An archive holds more than its bounds allow."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How many bytes and how many members an archive may hold."""

    size: int
    entries: int


@dataclass(frozen=True, slots=True)
class ArtifactPlace:
    """Where an artifact belongs: an absolute path without `.` or `..`.

    `reserved` are paths that something else will fill (another artifact, the grader's files): nothing of this one goes
    there. `folders` are paths that must be folders, or be missing (the workdir). `spared` are paths of which the
    image's own stays; they may be large, so they count within bounds of their own.
    """

    path: str
    reserved: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()

    def is_reserved(self, path: str) -> bool:
        """Whether a path is somebody else's."""
        return is_below(path, self.reserved) or self.is_spared(path)

    def is_spared(self, path: str) -> bool:
        """Whether the image's own stays at a path."""
        return is_below(path, self.spared)

    def must_be_folder(self, path: str) -> bool:
        """Whether something other than a folder at this path would stand in somebody's way."""
        others = (*self.reserved, *self.folders, *self.spared)
        return path in self.folders or any(other.startswith(f"{path}/") for other in others)


@dataclass
class Rewritten:
    """What became of an archive: bytes and members that it held, and what was left out and why."""

    size: int = 0
    entries: int = 0
    left_out: list[str] = field(default_factory=list)

    def leave(self, path: str, why: str) -> None:
        """Note that a member is left out; names are a stranger's, and are shown as Python writes them."""
        self.left_out.append(f"{clip(ascii(path)[1:-1], 80)} ({why})" if len(self.left_out) < SHOWN else "")

    @property
    def note(self) -> str:
        """What was left out, in one line; '' for nothing."""
        shown = ", ".join(self.left_out[:SHOWN])
        more = len(self.left_out) - SHOWN
        return f"left out: {shown}{f' and {more} more' if more > 0 else ''}" if shown else ""


def rewrite(
    source: IO[bytes],
    place: ArtifactPlace,
    bounds: ArchiveLimits,
    own_links: Callable[[], Mapping[str, str]],
    out: IO[bytes],
) -> Rewritten:
    """Read an artifact's archive and write what may be kept of it, as an archive for the container's root.

    `own_links` gives the links that the image itself has at this place (full path to target); it is asked only where
    a link leads out. Raises TooMuch, EngineLost if the archive breaks off, and LostError if this host cannot store it.
    """
    stream = _Bounded(source)
    try:
        with (
            tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as theirs,
            tarfile.open(fileobj=cast("IO[bytes]", _Stored(out)), mode="w", format=tarfile.PAX_FORMAT) as ours,
        ):
            writer = _Writer(place, ours)
            while (member := theirs.next()) is not None:
                theirs.members.clear()  # type: ignore[attr-defined]  # the stubs lack it; or it would keep every one
                writer.count(member, bounds)
                stream.allow(member.size)
                writer.add(member, theirs)
            stream.finish()
            writer.add_links(own_links)
            return writer.done
    except (tarfile.TarError, OSError) as error:
        raise EngineLost(f"the archive of {place.path} cannot be carried over: {error}") from error


PASSED = ArchiveLimits(8 * 1024**3, 500_000)
"""What may be read, and left behind, of the agent's copy of what is spared."""


class _Stored:
    """A file of this host's: that it cannot be written is nobody's doing who is judged by it."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def write(self, data: bytes) -> int:
        """Raises LostError."""
        try:
            return self._out.write(data)
        except OSError as error:
            raise LostError(f"an artifact cannot be stored on this host: {error.strerror or error}") from error

    def tell(self) -> int:
        """Where the next byte goes."""
        return self._out.tell()


class _Bounded:
    """A stream of which only so much can be read as its members' sizes promise, and that must end as an archive does.

    Python's reader takes an archive that breaks off between two members for one that ends there.
    """

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._left = HEADER_ROOM
        self._last = b""

    def allow(self, size: int) -> None:
        """The content of a member, and the header of the next, may be read now."""
        self._left = size + HEADER_ROOM

    def read(self, size: int) -> bytes:
        """Read at most so much. Raises TooMuch."""
        data = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise TooMuch
        self._last = (self._last + data)[-len(END) :]
        return data

    def finish(self) -> None:
        """Read what is left. Raises ReadError where the archive broke off."""
        while self.read(tarfile.RECORDSIZE):
            pass
        if self._last != END:
            raise tarfile.ReadError("it breaks off")


class _Writer:
    """Decides about one member after the other and writes those that are kept."""

    def __init__(self, place: ArtifactPlace, archive: tarfile.TarFile) -> None:
        self.done = Rewritten()
        self._passed = Rewritten()
        self._place = place
        self._archive = archive
        self._folders: set[str] = set()
        self._files: set[str] = set()
        self._links: list[tuple[str, tarfile.TarInfo]] = []

    def count(self, member: tarfile.TarInfo, bounds: ArchiveLimits) -> None:
        """Raise TooMuch before a member is read that does not fit in."""
        path = self._path(member.name)
        is_spared = path is not None and self._place.is_spared(path)
        done = self._passed if is_spared else self.done
        bounds = PASSED if is_spared else bounds
        done.entries += 1
        done.size += max(0, member.size)
        if done.entries > bounds.entries or done.size > bounds.size:
            raise TooMuch

    def add(self, member: tarfile.TarInfo, theirs: tarfile.TarFile) -> None:
        """Write a member, keep a link for later, or leave it out."""
        path = self._path(member.name)
        if path is None or not self._has_place(path):
            self.done.leave(path or member.name, "not in a folder of it")
        elif self._place.is_reserved(path):
            if member.isdir():
                self._folders.add(path)  # or each file in it would be noted as one without a folder
            return
        elif path in self._files or (path in self._folders and not member.isdir()):
            self.done.leave(path, "there twice")
        elif member.isdir():
            self._folders.add(path)
            self._archive.addfile(_plain(member, path, 0o3777))
        elif self._place.must_be_folder(path):
            self.done.leave(path, "where a folder has to be")
        elif member.isreg():
            self._files.add(path)
            self._archive.addfile(_plain(member, path, 0o1777), theirs.extractfile(member))
        elif member.islnk():
            self._add_hard_link(member, path)
        elif member.issym():
            self._links.append((path, member))
        else:
            self.done.leave(path, "no file, folder or link")

    def add_links(self, own_links: Callable[[], Mapping[str, str]]) -> None:
        """Write the symlinks that may be kept, behind everything else."""
        inside = {path: self._leads_inside(path, member.linkname) for path, member in self._links}
        own = own_links() if None in inside.values() else {}
        for path, member in self._links:
            target = inside[path]
            if own.get(path) == member.linkname or (target is not None and not is_below(target, own)):
                self._archive.addfile(_plain(member, path, 0o777))
            else:
                self.done.leave(path, "a link that leads out of it")

    def _path(self, name: str) -> str | None:
        """A member's full path: the engine's names begin with the last part of what was asked for."""
        parts = name.split("/")[1:]
        good = all(part not in ("", ".", "..") and "\0" not in part for part in parts)
        return "/".join((self._place.path, *parts)) if good else None

    def _has_place(self, path: str) -> bool:
        return path == self._place.path or posixpath.dirname(path) in self._folders

    def _add_hard_link(self, member: tarfile.TarInfo, path: str) -> None:
        target = self._path(member.linkname)
        if target not in self._files:
            self.done.leave(path, "a hard link to what is not in it")
            return
        self._files.add(path)
        self._archive.addfile(_plain(member, path, 0o1777, target.lstrip("/")))

    def _leads_inside(self, path: str, target: str) -> str | None:
        """Where in the artifact a link leads, or None where it may lead out.

        Going up is only believed at the beginning: behind another name, `..` would be the parent of wherever a link of
        that name leads.
        """
        parts = [part for part in target.split("/") if part not in ("", ".")]
        ups = next((count for count, part in enumerate(parts) if part != ".."), len(parts))
        if ".." in parts[ups:] or (target.startswith("/") and ups):
            return None
        folder = "/" if target.startswith("/") else posixpath.dirname(path)
        place = posixpath.normpath(posixpath.join(folder, *parts))
        return place if is_below(place, (self._place.path,)) else None


def _plain(member: tarfile.TarInfo, path: str, modes: int, target: str | None = None) -> tarfile.TarInfo:
    """A new header with what may be kept of another: no extended attributes, and no user by name."""
    made = tarfile.TarInfo(path.lstrip("/"))
    made.type = tarfile.REGTYPE if member.isreg() else member.type
    made.size = member.size if member.isreg() else 0
    made.mode = member.mode & modes
    made.uid, made.gid = member.uid, member.gid
    made.mtime = min(max(0, int(member.mtime)), LATEST)
    made.linkname = target if target is not None else member.linkname if member.issym() else ""
    return made
