"""How files arrive in a sandbox where an agent is or was: the grader's out of its reach, a solution's as its own.

The grader's files never join what the agent made. A folder of the image that they arrive in is put back first as the
image has it: content, modes and owners, without what the agent added. Left as the agent left them are the workdir and
all above it, since the work to be judged lies there, homes, and the folders that a system shares among programs.
"""

from __future__ import annotations

import os
import posixpath
import re
import secrets
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.core.shell.sandbox_paths import is_below, parent_folders, plain_path
from taskcal.errors import GraderLost
from taskcal.sandbox import ROOT_USER, Script, ScriptEnding
from taskcal.sandbox.archive import ROOT, FileOwner, pack_files
from taskcal.sandbox.scripts import clear_destinations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from taskcal.core.task import FileCopy
    from taskcal.sandbox import ScriptResult
    from taskcal.sandbox.engine.docker import DockerEngine
    from taskcal.sandbox.engine.docker_types import PathStat
    from taskcal.sandbox.engine.image_files import ImageFiles

    Run = Callable[[Script], ScriptResult]

SYSTEM = re.compile(
    r"/?|/(bin|boot|etc|home|lib\w*|media|mnt|opt|root|run|sbin|srv|tmp|usr|var)"
    r"|/usr/(bin|games|include|lib\w*|libexec|sbin|share|src)|/usr/local(/(bin|etc|games|include|lib|sbin|share|src))?"
    r"|/var/(backups|cache|lib|local|lock|log|mail|opt|run|spool|tmp|www)|/home/[^/]+|/etc/[^/]+\.d"
)
"""Folders that programs share; what an agent installs or configures lies there."""

MOST_LINKS = 40
"""Links that are followed on the way to a place, as many as the kernel follows."""

MOST_NAMES = 500
"""Names in one command."""

ROOT_ALONE = FileOwner(alone=True)
REMOVAL_SECONDS = 120.0
REMOVALS = 5
"""How often a removal may take that long: a folder of the image is removed file by file, since none can be renamed."""
COUNT_SECONDS = 60.0
MOST_LEFT = 100_000
"""So many files in the grader's way are the agent's doing, whatever this host's disk is like."""

IDS_SECONDS = 20.0
WHO = 'while read -r key id rest; do case $key in Uid:|Gid:) echo "$id" ;; esac; done </proc/self/status'


@dataclass(frozen=True, slots=True)
class Destination:
    """A container that files go to, the image that it was made from, and its workdir."""

    engine: DockerEngine
    image_files: ImageFiles
    image: str
    container: str
    workdir: str

    def is_open(self, folder: str) -> bool:
        """Whether a folder stays as the agent left it when files of the grader arrive in it."""
        work = plain_path(self.workdir)
        return folder == work or work.startswith(f"{folder}/") or SYSTEM.fullmatch(folder) is not None

    def resolved(self, files: Sequence[FileCopy], artifacts: Sequence[str]) -> tuple[FileCopy, ...]:
        """These files at the places that the image's links lead to, but for links in artifacts. Raises a LostError."""
        return tuple(replace(copy, destination=self._place_of(copy, artifacts)) for copy in files)

    def _place_of(self, copy: FileCopy, artifacts: Sequence[str]) -> str:
        path = plain_path(copy.destination)
        for _ in range(MOST_LINKS):
            ends = (path,) if Path(copy.source).is_dir() else ()  # a file replaces a link, a folder fills it
            steps = [step for step in (*parent_folders(path), *ends) if not is_below(step, artifacts)]
            links = ((step, _link(self.image_files.stat(self.image, step))) for step in steps)
            found = next(((step, leads_to) for step, leads_to in links if leads_to), None)
            if found is None:
                break
            path = plain_path(found[1] + path.removeprefix(found[0]))
        return path

    def restored(self, files: Sequence[FileCopy]) -> tuple[str, ...]:
        """The folders of the image that these files arrive in, none inside another. Raises a LostError."""
        wanted = {self._folder_of(path, is_folder=folder) for path, folder in self._pieces(files)}
        found = sorted(
            path for path in wanted if not self.is_open(path) and self.image_files.is_folder(self.image, path)
        )
        return tuple(path for path in found if not any(path.startswith(f"{other}/") for other in found))

    def way(self, files: Sequence[FileCopy], restored: Sequence[str]) -> str:
        """A script that removes what the agent left in the places of these files. Raises a LostError."""
        pieces = (path for path, _ in self._pieces(files))
        others = [path for path in pieces if not any(path.startswith(f"{one}/") for one in (*restored, "//"))]
        removals = tuple(dict.fromkeys((*restored, *others)))
        parents = dict.fromkeys(parent for path in removals for parent in parent_folders(path))
        links = {path: _link(self.image_files.stat(self.image, path)) for path in parents}
        folders = [path for path in removals if self.image_files.is_folder(self.image, path)]
        return clear_destinations(removals, links, nonce=secrets.token_hex(8), folders=folders)

    def restore(self, folders: Sequence[str]) -> None:
        """Put folders back, whose places are empty, as the image has them. Raises a LostError."""
        for path in folders:
            with self.image_files.archive(self.image, path) as archive:
                self.engine.files.put_archive(self.container, archive, at=posixpath.dirname(path))

    def put(self, files: Sequence[FileCopy], artifacts: Sequence[str] = ()) -> None:
        """Copy files for root's eyes only, in folders that are root's only. Raises OSError, LostError.

        A folder that the image has keeps its mode and owner, and so does one that an artifact has brought.
        """
        if not files:
            return
        kept = [path for path in _folders(files) if self.image_files.is_folder(self.image, path)]
        with pack_files(files, without=kept, owner=ROOT_ALONE, folders=self._made_above(files, artifacts)) as archive:
            self.engine.files.put_archive(self.container, archive)

    def shown(self, files: Sequence[FileCopy], artifacts: Sequence[str], *, readable: bool) -> str:
        """A script that lets every user read these files where they were put, or root alone."""
        files = self.resolved(files, artifacts)
        folders = [path for path in _folders(files) if not self.image_files.is_folder(self.image, path)]
        paths = [*self._made_above(files, artifacts), *folders, *_plain_files(files)]
        mode = "go+rX" if readable else "go-rwx"
        pieces = (paths[start : start + MOST_NAMES] for start in range(0, len(paths), MOST_NAMES))
        return "\n".join(f"chmod {mode} -- {shlex.join(piece)}" for piece in pieces) + "\n"

    def _made_above(self, files: Sequence[FileCopy], artifacts: Sequence[str]) -> list[str]:
        """The folders above these files that only they need: neither the image nor an artifact has them."""
        above = dict.fromkeys(parent for copy in files for parent in parent_folders(plain_path(copy.destination)))
        return [
            path
            for path in above
            if not (self.is_open(path) or is_below(path, artifacts) or self.image_files.stat(self.image, path))
        ]

    def _pieces(self, files: Sequence[FileCopy]) -> Iterator[tuple[str, bool]]:
        """The paths that are replaced whole, and whether each is a folder; of one for an open folder, its files."""
        for copy in files:
            path = plain_path(copy.destination)
            if not Path(copy.source).is_dir():
                yield path, False
            elif self.is_open(path):
                yield from ((posixpath.join(path, name), False) for name in _files_below(copy.source))
            else:
                yield path, True

    @staticmethod
    def _folder_of(path: str, *, is_folder: bool) -> str:
        return path if is_folder else posixpath.dirname(path)


def deliver(place: Destination, files: Sequence[FileCopy], run: Run, stop: str) -> str | None:
    """Bring the grader's files; `stop` is a script's beginning that stops the agent.

    Gives why no check can be run, if that is certainly the agent's doing. Raises GraderLost or what the sandbox raises.
    """
    restored = place.restored(files)
    way = stop + place.way(files, restored)
    removal = Script(way, REMOVAL_SECONDS, user=ROOT_USER, hidden=True, workdir="/", clean=True)
    for _ in range(REMOVALS):
        if run(removal).ending is not ScriptEnding.TIMED_OUT:
            break
        if _left_too_many(place, files, run, stop):
            return f"the agent left more than {MOST_LEFT:,} files where the grader's belong"
    else:
        minutes = REMOVALS * REMOVAL_SECONDS / 60
        raise GraderLost(f"what lay where the grader's files belong could not be removed in {minutes:.0f} minutes")
    place.restore(restored)
    place.put(files)
    return None


def _left_too_many(place: Destination, files: Sequence[FileCopy], run: Run, stop: str) -> bool:
    """Whether a removal that did not end still has so many files before it that the agent is to blame.

    If not, it goes on where it was: an agent gains nothing by leaving just too few.
    """
    paths = " ".join(f"'{path}'" for path in place.restored(files) or (plain_path(copy.destination) for copy in files))
    count = f"find {paths} 2>/dev/null | head -n {MOST_LEFT + 1} | wc -l"
    script = Script(f"{stop}{count}", COUNT_SECONDS, user=ROOT_USER, hidden=True, workdir="/", clean=True)
    left = run(script).stdout.strip()
    return left.isdigit() and int(left) > MOST_LEFT


def without_artifacts(folders: Sequence[str], artifacts: Sequence[str]) -> tuple[str, ...]:
    """The folders in which no artifact lies: what is declared as the agent's work stays the agent's."""
    return tuple(path for path in folders if not any(f"{one}/".startswith(f"{path}/") for one in artifacts))


def copy_as_user(engine: DockerEngine, container: str, files: Sequence[FileCopy], owner: FileOwner) -> None:
    """Copy files that a user could have made: they and the folders made for them are its own. Raises OSError."""

    def there(path: str) -> bool:
        return engine.files.path_stat(container, path) is not None

    above = dict.fromkeys(parent for copy in files for parent in parent_folders(plain_path(copy.destination)))
    made = [path for path in above if not there(path)]
    kept = [path for path in _folders(files) if there(path)]
    with pack_files(files, without=kept, owner=owner, folders=made) as archive:
        engine.files.put_archive(container, archive)


def user_ids(run: Run, user: str | None) -> FileOwner:
    """The numbers of a user (None the image's own) and its group; root's for a user that cannot be asked."""
    if user == ROOT_USER:
        return ROOT
    words = run(Script(WHO, IDS_SECONDS, user=user, workdir="/")).stdout.split()
    known = len(words) == 2 and all(map(bytes.isdigit, words))
    return FileOwner(int(words[0]), int(words[1])) if known else ROOT


def _folders(files: Sequence[FileCopy]) -> list[str]:
    """The paths of all folders that are copied."""
    return [
        posixpath.join(plain_path(copy.destination), name) if name else plain_path(copy.destination)
        for copy in files
        if Path(copy.source).is_dir()
        for name in ("", *_folders_below(copy.source))
    ]


def _folders_below(top: str) -> list[str]:
    return [
        path.relative_to(top).as_posix() for path in Path(top).rglob("*") if path.is_dir() and not path.is_symlink()
    ]


def _plain_files(files: Sequence[FileCopy]) -> list[str]:
    """The paths of all regular files that are copied."""
    return [
        posixpath.join(plain_path(copy.destination), name) if name else plain_path(copy.destination)
        for copy in files
        for name in (_files_below(copy.source) if Path(copy.source).is_dir() else [""])
        if not Path(copy.source, name).is_symlink()
    ]


def _files_below(top: str) -> Iterator[str]:
    for folder, folders, names in os.walk(top):
        links = (name for name in folders if Path(folder, name).is_symlink())
        yield from (Path(folder, name).relative_to(top).as_posix() for name in (*names, *links))


def _link(stat: PathStat | None) -> str:
    """Where the image's link at a path leads; '' for a path that must be a folder."""
    return stat.leads_to if stat is not None and not stat.is_folder else ""
