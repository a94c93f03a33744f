"""The script that grades inside the sandbox: many checks, one exec, and no check able to speak for another.

The driver goes in through standard input, so that the checks are in no command line. It stops everything that the
agent left with the shell's own `kill` (a forked one would need a free pid), makes a folder that only root can read,
and runs each check in a session of its own with its output in a file there. Between two checks it kills what the last
one left: every process that was not there when grading began, except children of those that were (a database's
workers). Only when all checks are done does the driver print, each record with the lengths of what follows, so that no
output of a check can be taken for a record.
"""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass

OUTPUT_LIMIT = 8192
FILE_LIMIT = 1024 * 1024
MARK = "taskcal-check"
NOT_A_FILE = 3
ABSENT = 4

STOP_EVERYTHING = """{ kill -9 -1; kill -9 -1; } 2>/dev/null
tries=0
while [ $tries -lt 2000 ]; do
  tries=$((tries + 1))
  for p in /proc/[0-9]*; do
    read -r line <"$p/stat" && line=${line##*) } && line=${line#? } && [ "${line%% *}" = 1 ] && break 2
  done
done 2>/dev/null
"""
"""Kills all but the first process, then waits until that one has its own child again, or the sweeps would hunt it."""

PRELUDE = """umask 077
room={room}
mkdir -p /run && mkdir "$room" || exit 97
keep=" $$ "
for p in /proc/[0-9]*; do keep="$keep${{p#/proc/}} "; done
sweep() {{
  tries=0; again=1
  while [ $again = 1 ] && [ $tries -lt 50 ]; do
    again=0; tries=$((tries + 1))
    for p in /proc/[0-9]*; do
      p=${{p#/proc/}}
      case "$keep" in *" $p "*) continue ;; esac
      read -r line <"/proc/$p/stat" || continue
      line=${{line##*) }}; state=${{line%% *}}; line=${{line#? }}; up=${{line%% *}}
      [ "$state" = Z ] && continue
      case "$up" in 0|1|$$) ;; *) case "$keep" in *" $up "*) keep="$keep$p "; continue ;; esac ;; esac
      kill -9 "$p" && again=1
    done
  done
}} 2>/dev/null
check() {{
  ( umask 022; exec setsid sh "$room/$1.sh" ) >"$room/$1.out" 2>"$room/$1.err" </dev/null & pid=$!
  ( sleep "$2"; : >"$room/$1.late"; kill -9 -"$pid"; kill -9 "$pid" ) >/dev/null 2>&1 & watch=$!
  wait "$pid"; echo $? >"$room/$1.status"
  kill -9 "$watch"; wait "$watch"; sweep
}} 2>/dev/null
size() {{ set -- $(wc -c <"$1"); n=$1; [ "$n" -le "$limit" ] || n=$limit; }} 2>/dev/null
record() {{
  status=; late=0; [ -e "$room/$1.late" ] && late=1
  read -r status <"$room/$1.status"
  limit=$2; size "$room/$1.out"; out=$n; set -- "$1" "$2" "$3" $(wc -c <"$room/$1.out")
  limit={output_limit}; size "$room/$1.err"; err=$n
  printf '{mark} %s %s %s %s %s %s\\n' "$1" "${{status:-255}}" "$late" "$4" "$out" "$err"
  $3 -c "$out" "$room/$1.out"; tail -c "$err" "$room/$1.err"; printf '\\n'
}}
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One script for the driver to run; `whole` asks for the head of its output, up to 1 MiB, instead of the tail."""

    source: str
    timeout: float
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """What one job came to. `size` is the full length of its output in bytes, of which `stdout` may be a part."""

    status: int
    late: bool
    size: int
    stdout: bytes
    stderr: bytes

    @property
    def tail(self) -> str:
        """The last words, standard error first since it holds the reason; at most 200 characters on one line."""
        text = (self.stderr + b"\n" + self.stdout).decode(errors="replace")
        return " | ".join(line.strip() for line in text.splitlines() if line.strip())[-200:]


def read_file(path: str) -> str:
    """A job that prints a regular file, or ends with NOT_A_FILE or ABSENT; a link is followed, a pipe never opened."""
    place = shlex.quote(path)
    return f"""if [ -f {place} ]; then cat {place}
elif [ -e {place} ] || [ -L {place} ]; then exit {NOT_A_FILE}; else exit {ABSENT}; fi
"""


def read_answer(path: str) -> str:
    """As `read_file`, but a link is no answer: it could name a file that only the grader may read."""
    return f"[ ! -L {shlex.quote(path)} ] || exit {ABSENT}\n{read_file(path)}"


def drive(jobs: tuple[Job, ...], nonce: str, before: str) -> str:
    """The driver's text. `before` runs first: what stops the agent, where these are the sandbox's own checks."""
    room = f"/run/taskcal-{nonce}"
    parts = [before, PRELUDE.format(room=room, output_limit=OUTPUT_LIMIT, mark=MARK)]
    for index, job in enumerate(jobs):
        end = f"TASKCAL_{nonce}_{index}"
        parts.append(f"cat >\"$room/{index}.sh\" <<'{end}'\n{job.source}\n{end}\n")
    parts += [f"check {index} {math.ceil(job.timeout)}\n" for index, job in enumerate(jobs)]
    parts += [f"record {index} {_limit(job)} {'head' if job.whole else 'tail'}\n" for index, job in enumerate(jobs)]
    return "".join((*parts, 'rm -rf "$room"\nexit 0\n'))


def output_bound(jobs: tuple[Job, ...]) -> int:
    """Bytes that the driver can print for these jobs at most."""
    return sum(_limit(job) + OUTPUT_LIMIT + 200 for job in jobs)


def parse(output: bytes, count: int) -> tuple[Record, ...] | None:
    """The records of a driver's output, or None where they are not `count` whole ones."""
    records: list[Record] = []
    rest = output
    while rest and len(records) < count:
        line, _, rest = rest.partition(b"\n")
        fields = line.split()
        if len(fields) != 7 or fields[0] != MARK.encode() or not all(f.isdigit() for f in fields[1:]):
            return None
        index, status, late, size, out, err = (int(f) for f in fields[1:])
        if index != len(records) or len(rest) < out + err + 1:
            return None
        records.append(Record(status, bool(late), size, rest[:out], rest[out : out + err]))
        rest = rest[out + err + 1 :]
    return tuple(records) if len(records) == count else None


def _limit(job: Job) -> int:
    return FILE_LIMIT if job.whole else OUTPUT_LIMIT
