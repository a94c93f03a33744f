"""The shell texts that surround a task's own scripts in the sandbox: setup, start, ready, and their second start.

Every variable here begins with TASKCAL_, a prefix that no param can have: what these texts assign would otherwise
replace a param of the same name in the task's scripts, which inherit it.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import TYPE_CHECKING

from taskcal.core.shell.sandbox_paths import parent_folders
from taskcal.core.shell.script import names_in_script, script_text
from taskcal.sandbox import ROOT_USER, Script
from taskcal.sandbox.images.setup_failure import UNBAKED
from taskcal.sandbox.interpreters import as_shell, stopping

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

READY_SECONDS = 60
NAME = re.compile(r"(?!OPTIND$)[A-Za-z_][A-Za-z0-9_]*")
"""What a shell can export; a value of OPTIND that is not a number would end it."""


def in_subshell(text: str, unset: Iterable[str] = ()) -> str:
    """A task's script in a subshell, as a part of a longer script that goes in through standard input.

    So its text is in no command line, which every process could read, and which a process keeps that `start` leaves
    behind. The text is one quoted word: an open quote in it is an error, where it would wait for more input otherwise.
    """
    names = " ".join(unset)
    return f"({f' unset {names};' if names else ''} eval {shlex.quote(as_shell(text))}\n)"


def start_script(start: str) -> str:
    """Run `start`, whose processes stay. The name of the file with its output is printed first, the output if it fails.

    The output goes to a file, or the exec would wait until the last process that stays has closed it.
    """
    return f"""TASKCAL_LOG=$(mktemp 2>/dev/null || echo /dev/null); echo "$TASKCAL_LOG"
{in_subshell(start)} >"$TASKCAL_LOG" 2>&1 </dev/null
TASKCAL_STATUS=$?; [ $TASKCAL_STATUS = 0 ] || {{ cat "$TASKCAL_LOG" >&2; exit $TASKCAL_STATUS; }}"""


def ready_script(ready: str) -> str:
    """Poll a command until it succeeds."""
    return f"while :; do {in_subshell(ready)} </dev/null && exit 0; sleep 0.1; done" if ready.strip() else "exit 0"


def finish_script(finish: str, env: Mapping[str, str]) -> Script:
    """The script that runs `finish`."""
    return Script(f"{in_subshell(finish)} </dev/null", READY_SECONDS, user=ROOT_USER, env=env, hidden=True)


def export_lines(variables: Mapping[str, str]) -> str:
    """Shell text that puts these into the environment of what the shell starts from here on.

    Unlike a plain `export`, one behind `command` ends no shell that refuses a name, as bash does with UID.
    """
    known = {name: value for name, value in variables.items() if NAME.fullmatch(name)}
    return "".join(f"command export {name}={shlex.quote(value)}\n" for name, value in known.items())


def start_again(start: str, ready: str, params: Iterable[str] = ()) -> str:
    """What `start` had started died with the agent's processes: run it again, at most 60 s, and do not judge it.

    Where the agent broke what `start` needs, the checks will find it broken; that is the agent's doing, not a lost
    rollout. `params` are those that one of the two names; the other one does not see them.
    """
    if not start.strip() and not ready.strip():
        return ""
    names = dict.fromkeys(params)
    others = {text: [name for name in names if not names_in_script(text, (name,))] for text in (start, ready)}
    return f"""( {in_subshell(start, others[start])} >/dev/null 2>&1 </dev/null
until {in_subshell(ready, others[ready])} >/dev/null 2>&1 </dev/null; do sleep 0.2; done ) >/dev/null 2>&1 &
TASKCAL_STARTED=$!
( sleep {READY_SECONDS}; kill -9 $TASKCAL_STARTED ) >/dev/null 2>&1 &
TASKCAL_WATCH=$!
{{ wait $TASKCAL_STARTED; kill -9 $TASKCAL_WATCH; wait $TASKCAL_WATCH; }} 2>/dev/null
"""


AWAY = """TASKCAL_AWAY=/.taskcal-{nonce}; TASKCAL_COUNT=0
away() {{
  [ -e "$1" ] || [ -L "$1" ] || return 0
  TASKCAL_DISK=; TASKCAL_COUNT=$((TASKCAL_COUNT + 1))
  if [ -d "$1" ] && [ ! -L "$1" ] && {{ [ -d "$TASKCAL_AWAY" ] || mkdir -m 700 "$TASKCAL_AWAY"; }}; then
    TASKCAL_DISK=$(stat -c %d "$TASKCAL_AWAY")
  fi
  [ -n "$TASKCAL_DISK" ] && [ "$TASKCAL_DISK" = "$(stat -c %d "${{1%/*}}/.")" ] &&
    mv -- "$1" "$TASKCAL_AWAY/$TASKCAL_COUNT" || rm -rf -- "$1"
}} 2>/dev/null
"""
"""Takes a place from what the agent left there. A folder is renamed, which takes no longer if it holds a million files.

It goes to a folder of root's with a name that nobody can guess, if that is on the same disk: `mv` would copy it to
another one, file by file.
"""


def clear_destinations(
    paths: Sequence[str], parents: Mapping[str, str], *, nonce: str, folders: Collection[str] = ()
) -> str:
    """Remove what the agent left at `paths`, and see that the folders above them are what the image has there.

    `parents` are these folders, from the top; the value is where a link of the image's leads, '' for a folder. A link
    of the agent's would divert what arrives below it, a file would stop it. `folders` are those of the image, which no
    kernel renames in a container: the engine's file system joins two folders there.
    """
    lines = [_only_the_link(path, leads_to) if leads_to else _only_a_folder(path) for path, leads_to in parents.items()]
    removals = (f"{'rm -rf --' if path in folders else 'away'} {shlex.quote(path)}" for path in paths)
    return AWAY.format(nonce=nonce) + "\n".join((*lines, *removals)) + "\n"


def _only_a_folder(path: str) -> str:
    place = shlex.quote(path)
    return f"[ -d {place} ] && [ ! -L {place} ] || {{ rm -f -- {place}; mkdir -p -- {place}; }} 2>/dev/null"


def _only_the_link(path: str, leads_to: str) -> str:
    place, target = shlex.quote(path), shlex.quote(leads_to)
    return (
        f'[ -L {place} ] && [ "$(readlink -f -- {place})" = {target} ] || '
        f"{{ away {place}; ln -s {target} {place}; }} 2>/dev/null"
    )


def clear_artifact_places(paths: Mapping[str, Sequence[str]], contents: Mapping[str, bytes], workdir: str) -> str:
    """Ready a fresh container for artifacts: what the image has in their places is removed, the workdir stays there.

    Each path comes with what below it is to stay. `contents` are small files to write first: they are shared with the
    agent's container, so their owner and mode are put back as well. A place that is a volume cannot be removed, and is
    emptied.
    """
    writes = (
        f"printf %s {shlex.quote(text.decode())} >{place}; chown 0:0 {place}; chmod 644 {place}"
        for path, text in contents.items()
        for place in [shlex.quote(path)]
    )
    removals = (_remove_around(path, spared) if spared else _remove(path) for path, spared in paths.items())
    return "\n".join((*writes, *removals, make_folder(workdir))) + "\n"


def _remove(path: str) -> str:
    place = shlex.quote(path)
    return f'rm -rf -- {place}; [ ! -e {place} ] || [ -z "$(ls -A {place})" ] || exit 1'


def _remove_around(path: str, spared: Sequence[str]) -> str:
    """Remove all below a path but what is spared, and the folders that lead there; a link of these is removed."""
    ways = [
        folder for one in spared for folder in parent_folders(one) if folder == path or folder.startswith(f"{path}/")
    ]
    lines = []
    for folder in dict.fromkeys(ways):
        place = shlex.quote(folder)
        kept = "|".join(shlex.quote(one) for one in dict.fromkeys((*spared, *ways)) if posixpath.dirname(one) == folder)
        lines.append(
            f"if [ -L {place} ] || [ ! -d {place} ]; then rm -f -- {place}; else\n"
            f"for TASKCAL_PATH in {place}/* {place}/.[!.]* {place}/..?*; do\n"
            f'case "$TASKCAL_PATH" in {kept}) ;; *) rm -rf -- "$TASKCAL_PATH" || exit 1 ;; esac; done; fi'
        )
    return "\n".join(lines)


def make_folder(path: str) -> str:
    """Make a folder where none is, also where something else is in its place."""
    place = shlex.quote(path)
    return f"[ -d {place} ] || {{ rm -f -- {place}; mkdir -p -- {place}; }}"


def setup_script(setup: str, places: tuple[str, ...]) -> str:
    """The setup, and then a look for files newer than its beginning in the places that a commit leaves out.

    A setup that is a shell script stops at its first failing line. What `sh -v` repeats of it on standard error says
    which line that was (`taskcal.sandbox.images.setup_failure`).

    The kernel's clock of files ticks every few milliseconds: without the short sleep a quick setup's files would be as
    old as the mark.
    """
    quoted = " ".join(shlex.quote(place) for place in places)
    return f"""TASKCAL_MARK=/.taskcal-mark; : >$TASKCAL_MARK; sleep 0.05 || sleep 1
printf '%s\\n' {shlex.quote(script_text(setup).removesuffix(chr(10)))} >/.taskcal-setup
{stopping(setup)} /.taskcal-setup </dev/null; TASKCAL_STATUS=$?; rm -f /.taskcal-setup
[ $TASKCAL_STATUS = 0 ] || exit $TASKCAL_STATUS
for TASKCAL_PLACE in {quoted}; do
  [ -d "$TASKCAL_PLACE" ] || continue
  TASKCAL_FOUND=$(find "$TASKCAL_PLACE" -newer $TASKCAL_MARK ! -type d 2>/dev/null | head -n 1)
  [ -z "$TASKCAL_FOUND" ] || {{
    echo "setup wrote $TASKCAL_FOUND, which lies under $TASKCAL_PLACE and {UNBAKED}"; exit 1; }}
done
rm -f $TASKCAL_MARK; exit 0
"""
