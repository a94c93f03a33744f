"""The script that grades inside the sandbox: many checks, one exec, and no check able to speak for another.

The driver goes in through standard input, so that the checks are in no command line. It has an environment of its own:
what the checks get is set for each of them, so that nothing in it reaches what the driver calls. It stops everything
that the agent left with the shell's own `kill` (a forked one would need a free pid), makes a folder that only root can
read, and runs each check in a session of its own with its output in a file there. Between two checks it kills what the
last one left: every process that was not there when grading began, except children of those that were (a database's
workers). Only when all checks are done does the driver print, each record with the lengths of what follows, so that no
output of a check can be taken for a record.
"""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from taskcal.core.shell.script import shebang_of, text_of
from taskcal.core.shell.shell_words import find_programs
from taskcal.core.task import FileProbe, RunProbe
from taskcal.core.text.excerpt import excerpts
from taskcal.sandbox import ANSWER_FILE
from taskcal.sandbox.scripts import exported

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskcal.core.task import Grader
    from taskcal.redact import Redactor

OUTPUT_LIMIT = 8192
FILE_LIMIT = 1024 * 1024
SCORES_LIMIT = 1024 * 1024
HEAD_LIMIT = 1024
"""Bytes of a long standard error that are kept from its beginning; the rest is its end."""
TAIL = 200
ANSWER_JOB = "\0answer"
SCRIPT_JOB = "\0script"
MARK = "taskcal-check"
FIRST_LINE = re.compile(rb"%s( [0-9]{1,18}){6}" % MARK.encode())
MOST_LINKS = 40
"""Links on the way to a file that is judged; the kernel follows as many."""
OTHER_USERS = {"su", "runuser", "setpriv", "sudo", "doas", "gosu", "su-exec", "chpst", "setuidgid"}
"""Programs that start another one as another user, and pass their environment on."""
NOT_A_FILE = 3
ABSENT = 4

OWN = "TASKCAL_"
"""What `@` stands for below: a prefix that no param can have, so that no variable here replaces a param in a check."""

STOP_EVERYTHING = """{ kill -9 -1; kill -9 -1; } 2>/dev/null
@tries=0
while [ $@tries -lt 20000 ]; do
  @tries=$((@tries + 1)); @count=0; @newborn=0
  for @p in /proc/[0-9]*; do
    @count=$((@count + 1)); [ "${@p#/proc/}" -gt $$ ] && @newborn=1
  done
  [ $@count$@newborn = 31 ] && break
done
""".replace("@", OWN)
"""Kills all but the first process, then waits until only that one, its new child and this shell are there.

The killed count against the pids limit until the first process has reaped them, and without its child it would start
one in the middle of the checks, where the sweeps would hunt it.
"""

PRELUDE = """umask 077
@setsid=$(command -v setsid); @sh=$(command -v sh)
@room={room}
mkdir "$@room" 2>/dev/null || {{ mkdir -p /run && mkdir "$@room"; }} || exit 97
@keep=" $$ "
for @p in /proc/[0-9]*; do @keep="$@keep${{@p#/proc/}} "; done
sweep() {{
  @tries=0; @again=1
  while [ $@again = 1 ] && [ $@tries -lt 50 ]; do
    @again=0; @tries=$((@tries + 1))
    for @p in /proc/[0-9]*; do
      @p=${{@p#/proc/}}
      case "$@keep" in *" $@p "*) continue ;; esac
      read -r @line <"/proc/$@p/stat" || continue
      @line=${{@line##*) }}; @state=${{@line%% *}}; @line=${{@line#? }}; @up=${{@line%% *}}
      [ "$@state" = Z ] && continue
      case "$@up" in 0|1|$$) ;; *) case "$@keep" in *" $@up "*) @keep="$@keep$@p "; continue ;; esac ;; esac
      kill -9 "$@p" && @again=1
    done
  done
}} 2>/dev/null
check() {{
  ( umask 022; "${{3:-given}}" 2>/dev/null; {own_imports}exec "$@setsid" "$@sh" "$@room/$1.sh" ) \\
    >"$@room/$1.out" 2>"$@room/$1.err" </dev/null & @pid=$!
  ( sleep "$2"; : >"$@room/$1.late"; kill -9 -"$@pid"; kill -9 "$@pid" ) >/dev/null 2>&1 & @watch=$!
  wait "$@pid"; echo $? >"$@room/$1.status"
  kill -9 "$@watch"; wait "$@watch"; sweep
}} 2>/dev/null
measure() {{ @size=0; [ ! -s "$1" ] || @size=$(wc -c <"$1"); @n=$@size; [ "$@n" -le "$2" ] || @n=$2; }} 2>/dev/null
record() {{
  @status=; @late=0; [ -e "$@room/$1.late" ] && @late=1
  read -r @status <"$@room/$1.status"
  measure "$@room/$1.err" "$3"; @err=$@n; @more=$((@size - @err))
  measure "$@room/$1.out" "$2"; @out=$@n
  printf '{mark} %s %s %s %s %s %s\\n' "$1" "${{@status:-255}}" "$@late" "$@size" "$@out" "$@err"
  [ "$@out" = 0 ] || tail -c "$@out" "$@room/$1.out"
  if [ "$@more" = 0 ]; then [ "$@err" = 0 ] || cat "$@room/$1.err"
  else head -c {head_limit} "$@room/$1.err"; tail -c $((@err - {head_limit})) "$@room/$1.err"; fi
  printf '\\n'
}}
facts() {{ stat -c "$1" "$2" 2>/dev/null; }}
locate() {{
  @rest=$1; @place=; @links=0; @from=
  while [ -n "$@rest" ]; do
    @part=${{@rest%%/*}}; @here=$@place
    case "$@rest" in */*) @rest=${{@rest#*/}} ;; *) @rest= ;; esac
    case "$@part" in
      ''|.) continue ;;
      ..) [ -d "$@place/" ] && @place=${{@place%/*}} && continue ;;
    esac
    @place=$@place/$@part
    [ -L "$@place" ] || continue
    @links=$((@links + 1)); [ $@links -le {most_links} ] && [ "$(facts %u "$@place")" = 0 ] || return 1
    movable "$@here" && @from=$@here/
    case "$@place" in /proc/self) @to=$$/ ;; *) @to=$(readlink -n "$@place" 2>/dev/null; echo /) ;; esac
    case "$@to" in /) return 1 ;; /*) @place= ;; *) @place=$@here ;; esac
    @rest=$@to$@rest
  done
}}
movable() {{
  @up=$1
  while :; do
    case "$(facts '%u %A' "$@up/.")" in "0 d"????-??-?|"0 d"????????[tT]) ;; *) return 0 ;; esac
    [ -n "$@up" ] || return 1
    @up=${{@up%/*}}
  done
}}
private() {{
  case "$@from $(facts '%h %u %A' "$@place")" in ' 1 '*) return 1 ;; *" 0 "-??????-??) return 0 ;; esac
  [ -n "$@from" ] || return 1
  @up=$@place
  while @up=${{@up%/*}}; [ -n "$@up" ] && [ "$@up/" != "$@from" ]; do
    case "$(facts '%u %A' "$@up")" in "0 d"????????[-T]) return 0 ;; esac
  done
  return 1
}}
file() {{
  @status=0; @n=0; @size=0; @copy=$@room/copy
  if [ -L "$2" ] && [ "$3" = nolink ]; then @status={absent}
  elif ! locate "$2" || private; then @status={not_a_file}
  elif [ -f "$@place" ]; then
    : >"$@copy"; [ ! -s "$@place" ] || head -c {read_limit} "$@place" >"$@copy"
    measure "$@copy" {file_limit}
  elif [ -e "$@place" ] || [ -L "$2" ]; then @status={not_a_file}
  else @status={absent}; fi
  printf '{mark} %s %s 0 %s %s 0\\n' "$1" "$@status" "$@size" "$@n"
  [ "$@n" = 0 ] || head -c "$@n" "$@copy"
  printf '\\n'
}}
""".replace("@", OWN)


@dataclass(frozen=True, slots=True)
class ScriptJob:
    """A script to run, for at most `timeout` seconds; the last `limit` bytes of its output come back.

    Of its standard error, first and last bytes come back, at most `errors`. What a `hiding` one calls does not get the
    params: only its own text reads them.
    """

    source: str
    timeout: float
    limit: int = OUTPUT_LIMIT
    errors: int = OUTPUT_LIMIT

    @property
    def hiding(self) -> bool:
        """Whether it is a shell script that starts programs as another user, who is to run what the agent wrote."""
        return shebang_of(self.source) is None and not OTHER_USERS.isdisjoint(find_programs(self.source))


@dataclass(frozen=True, slots=True)
class FileJob:
    """A regular file to read, up to 1 MiB, before any script runs; anything else at its path is never opened.

    It is copied before it is measured, since what is still written to could have another length by the time it is sent.

    Its path is walked step by step, through what each link holds. A link is followed only if root owns it, and not at
    all if `links` is False: a link of the agent's could lead to a file that only the grader may read. An agent can also
    rename a link of root's in a folder that it may change, and give a file a second name. So a file that only root can
    read is not read through such a link, nor if it has two names.
    """

    path: str
    links: bool = True


Job = ScriptJob | FileJob


@dataclass(frozen=True, slots=True)
class Given:
    """The environment of each script: the image's variables, and the grader's own, params among them."""

    image: Mapping[str, str]
    own: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """Checks that share one exec, in one container; `first` is set for the exec that stops the agent.

    One with a `user` is a single script, which that user runs without the driver.
    """

    service: str
    names: tuple[str, ...]
    jobs: tuple[Job, ...]
    first: bool = False
    alone: bool = False
    user: str = ""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What one job came to. `size` is the full length of its output in bytes, of which `stdout` may be a part.

    `ran` is False for one that could not be run, by the agent's doing. `shown` is standard error and output for people,
    without secrets.
    """

    status: int
    late: bool
    size: int
    stdout: bytes
    stderr: bytes
    ran: bool = True
    shown: tuple[str, str] | None = None

    def redacted(self, redactor: Redactor) -> JobRecord:
        """The same, but what is shown of it; judged is what was printed."""
        return replace(self, shown=redactor.together(*self._marked)) if redactor.secrets else self

    @property
    def tail(self) -> str:
        """First and last words, standard error first since it holds the reason; at most 200 characters on one line."""
        said = excerpts(*(self.shown or self._marked), TAIL)
        return " | ".join(part for part in said if part)

    @property
    def whole(self) -> str:
        """All that is kept of what it printed, standard error first."""
        return "\n".join(text for stream in self.shown or self._marked if (text := stream.rstrip("\n")))

    @property
    def _marked(self) -> tuple[str, str]:
        """Standard error and output as texts, each with a mark where the driver may have cut it."""
        errors, output = self.stderr.decode(errors="replace"), self.stdout.decode(errors="replace")
        if len(self.stderr) in {OUTPUT_LIMIT, SCORES_LIMIT}:
            head, tail = self.stderr[:HEAD_LIMIT], self.stderr[HEAD_LIMIT:]
            errors = f"{head.decode(errors='replace')}…\n…{tail.decode(errors='replace')}"
        return errors, f"…{output}" if self.size > len(self.stdout) else output


OWN_IMPORTS = "PYTHONSAFEPATH=${PYTHONSAFEPATH-1}; export PYTHONSAFEPATH; "
"""Keeps Python (3.11 on) from importing what lies in the folder where a check runs, which is the agent's to fill."""


def drive(
    jobs: tuple[Job, ...],
    nonce: str,
    before: str,
    given: Given,
    *,
    between: str = "",
    runs_agents_code: bool = False,
) -> str:
    """The driver's text. `before` runs first: what stops the agent, if these are the sandbox's own checks.

    `between` runs when the files have been read and before the first
    script. Only a script that is there to run the agent's code may import what lies in its folder.
    """
    room = f"/run/taskcal-{nonce}"
    prelude = PRELUDE.format(
        own_imports="" if runs_agents_code else OWN_IMPORTS,
        room=room,
        mark=MARK,
        head_limit=HEAD_LIMIT,
        file_limit=FILE_LIMIT,
        read_limit=FILE_LIMIT + 1,
        absent=ABSENT,
        not_a_file=NOT_A_FILE,
        most_links=MOST_LINKS,
    )
    scripts = [(index, job) for index, job in enumerate(jobs) if isinstance(job, ScriptJob)]
    files = [(index, job) for index, job in enumerate(jobs) if isinstance(job, FileJob)]
    lines = [
        *(f"file {index} {shlex.quote(job.path)} {'any' if job.links else 'nolink'}" for index, job in files),
        between.rstrip("\n"),
        *(line for index, job in scripts for line in _written(job, f"{room}/{index}", given.own)),
        *(f"check {index} {math.ceil(job.timeout)}{' few' if job.hiding else ''}" for index, job in scripts),
        *(f"record {index} {job.limit} {job.errors}" for index, job in scripts),
        f'rm -rf "${OWN}room"',
        "exit 0",
    ]
    texts = f"few() {{ :\n{exported(given.image)}}}\ngiven() {{ few\n{exported(given.own)}}}\n"
    return before + prelude + texts + "\n".join(lines) + "\n"


def _written(job: ScriptJob, path: str, own: Mapping[str, str]) -> Iterator[str]:
    """Lines that write a script to `path`.sh; one for another interpreter lies beside it, and that runs it.

    The params of one that hides them stand on its first line.
    """
    source = job.source
    shebang = shebang_of(source)
    if shebang is None:
        first = "".join(f"{name}={shlex.quote(text)}; " for name, text in own.items()) if job.hiding else ""
        yield f"printf %s {shlex.quote(first + source)} >{path}.sh"
    else:
        yield f"printf %s {shlex.quote(text_of(source))} >{path}.script"
        yield f"printf %s {shlex.quote(f'exec {shlex.join(shebang.command)} {path}.script')} >{path}.sh"


def seconds(jobs: tuple[Job, ...]) -> float:
    """How long the scripts of these jobs may take together."""
    return sum(job.timeout for job in jobs if isinstance(job, ScriptJob))


def output_bound(jobs: tuple[Job, ...]) -> int:
    """Bytes that the driver can print for these jobs at most."""
    return sum((FILE_LIMIT if isinstance(job, FileJob) else job.limit + job.errors) + 200 for job in jobs)


def parse_records(output: bytes, count: int) -> tuple[JobRecord, ...] | None:
    """The records of a driver's output by job, or None where they are not `count` whole ones, each job's once."""
    records: dict[int, JobRecord] = {}
    rest = output
    while rest:
        line, _, rest = rest.partition(b"\n")
        if not FIRST_LINE.fullmatch(line):
            return None
        index, status, late, size, out, err = (int(field) for field in line.split()[1:])
        if index in records or len(rest) < out + err + 1:
            return None
        records[index] = JobRecord(status, bool(late), size, rest[:out], rest[out : out + err])
        rest = rest[out + err + 1 :]
    return tuple(records[index] for index in range(count)) if set(records) == set(range(count)) else None


def batches(grader: Grader, timeout: float) -> tuple[Batch, ...]:
    """The execs of a grading: the sandbox's shared one first, then one for each service, then the checks alone."""
    shared: list[tuple[str, Job]] = [(ANSWER_JOB, FileJob(ANSWER_FILE, links=False))]
    if grader.run:
        shared.append((SCRIPT_JOB, ScriptJob(grader.run, timeout, limit=SCORES_LIMIT, errors=SCORES_LIMIT)))
    services: dict[str, list[tuple[str, Job]]] = {}
    alone: list[Batch] = []
    for check in grader.checks:
        if isinstance(check.probe, FileProbe):
            shared.append((check.name, FileJob(check.probe.path)))
        elif isinstance(check.probe, RunProbe):
            job = (check.name, ScriptJob(check.probe.script, check.probe.timeout or timeout))
            if check.probe.alone or check.probe.user:
                alone.append(
                    replace(_batch(check.probe.service, [job]), alone=check.probe.alone, user=check.probe.user)
                )
            else:
                (services.setdefault(check.probe.service, []) if check.probe.service else shared).append(job)
    return (
        _batch("", shared, first=True),
        *(_batch(service, jobs) for service, jobs in services.items()),
        *alone,
    )


def _batch(service: str, jobs: Sequence[tuple[str, Job]], *, first: bool = False) -> Batch:
    return Batch(service, tuple(name for name, _ in jobs), tuple(job for _, job in jobs), first)
