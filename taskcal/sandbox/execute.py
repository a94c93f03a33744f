"""One script in one container, and the truth about how it ended.

The engine's exit status is ambiguous: 137 comes from a script that was killed, from one that ran out of memory, and
from a container that was removed or died under the exec; the container's state may still say running for 300 ms. A
second exec tells at once: a dead container answers 126 or an error. So every status that a dying container can cause
is believed only after a probe, and the probe brings the kernel's count of out-of-memory kills with it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from taskcal.errors import SandboxLost
from taskcal.sandbox import ROOT_USER, Script, ScriptEnding, ScriptResult
from taskcal.sandbox.engine.stream import ExecCall, Tail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.sandbox import Sink
    from taskcal.sandbox.engine.docker import DockerEngine
    from taskcal.sandbox.engine.docker_types import ExecResult

PROBE_SECONDS = 20.0
PROBE_PAUSES = (0.2, 0.5, 1.0)
"""Seconds before another probe of a container that still runs."""
PROBE = """
for f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
  [ -r "$f" ] && while read -r name count; do [ "$name" = oom_kill ] && echo "$count"; done <"$f"
done
exit 0
"""

KILLED = 137
LONGEST_ARGUMENT = 100 * 1024
NOT_STARTED = 126


def execute(engine: DockerEngine, container: str, script: Script) -> ScriptResult:
    """Run a script with `sh` and classify its ending. Raises SandboxLost if the container died under it."""
    return conclude(engine, container, engine.exec(container, *script_command(script)), script.own)


def conclude(
    engine: DockerEngine, container: str, done: ExecResult, env: Mapping[str, str | None] = MappingProxyType({})
) -> ScriptResult:
    """Classify how a script ended; a look into the container has `env`. Raises SandboxLost if it died under it."""
    kills = _out_of_memory_kills(engine, container, env) if done.exit_code in {KILLED, NOT_STARTED} else 0
    return classify_ending(done, kills)


def script_command(
    script: Script, *, sink: Sink | None = None, errors: Sink | None = None, limit: int = 65536
) -> tuple[tuple[str, ...], ExecCall]:
    """A script as a command line and how to run it, from now until its timeout; `limit` is bytes of each stream."""
    stdin = through_stdin(script)
    call = ExecCall(
        deadline=time.monotonic() + script.timeout,
        stdout=Tail(limit),
        stderr=Tail(limit),
        user=script.user,
        workdir=script.workdir,
        env={**script.own, **script.env} if script.clean else script.env,
        stdin=stdin,
        sink=sink,
        errors=errors,
    )
    return ("sh",) if stdin is not None else ("sh", "-c", script.source), call


def script_to_retry(script: Script, done: ExecResult) -> Script | None:
    """The script to run after one that could not start: root's own again, a user's in `/` if its folder is gone."""
    if script.user == ROOT_USER:
        return script if could_not_start(done) else None
    return replace(script, workdir="/") if script.workdir is None and has_no_folder(done) else None


def has_no_folder(done: ExecResult) -> bool:
    """Whether a script could not start because the folder that it starts in is gone.

    An agent may remove its own, to make it anew: it goes on in `/` then, as a shell does whose folder is gone.
    """
    return could_not_start(done) and b"chdir" in done.stdout


def through_stdin(script: Script) -> bytes | None:
    """A script as standard input for `sh`, with an exit behind it, since no end of file comes; None for an argument.

    One that is too long for an argument becomes a group, which the shell reads whole before its commands can read what
    is left of standard input.
    """
    if script.hidden:
        return f"{script.source}\nexit\n".encode()
    if len(script.source.encode()) <= LONGEST_ARGUMENT:
        return None
    return f"{{ :\n{script.source}\n}} </dev/null\nexit\n".encode()


def classify_ending(done: ExecResult, out_of_memory_kills: int) -> ScriptResult:
    """How a script ended, given that its container is alive and how often the kernel killed in it for memory.

    None is a deadline. 137 with kills counted is out of memory; 137 without is the script's own doing (it was killed,
    or returned that status), which is an ordinary exit.
    """
    if done.exit_code is None:
        ending = ScriptEnding.TIMED_OUT
    elif done.exit_code == KILLED and out_of_memory_kills:
        ending = ScriptEnding.OUT_OF_MEMORY
    else:
        ending = ScriptEnding.EXITED
    code = done.exit_code if ending is ScriptEnding.EXITED else None
    return ScriptResult(ending, code, done.stdout, done.stderr, done.started)


def could_not_start(result: ExecResult | ScriptResult) -> bool:
    """Whether the engine could not start the shell. Neither the status nor the words count: a script can have both."""
    return result.exit_code == NOT_STARTED and not result.started


def _out_of_memory_kills(engine: DockerEngine, container: str, env: Mapping[str, str | None]) -> int:
    """Ask the container itself, as root. Raises SandboxLost if it does not answer as a living one does.

    What has killed the script may kill the probe as well, so that one in a running container is tried again: an agent
    that kills everything for a moment has crashed, and its sandbox lives.
    """
    for pause in (*PROBE_PAUSES, None):
        deadline = time.monotonic() + PROBE_SECONDS
        call = ExecCall(deadline=deadline, stdout=Tail(4096), stderr=Tail(4096), user=ROOT_USER, workdir="/", env=env)
        answer = engine.exec(container, ("sh", "-c", PROBE), call)
        if answer.exit_code == 0:
            return max((int(word) for word in answer.stdout.split() if word.isdigit()), default=0)
        if pause is None or not engine.is_running(container):
            break
        time.sleep(pause)
    said = (answer.stdout + answer.stderr).decode(errors="replace").strip()
    raise SandboxLost(f"the sandbox died while a script ran in it ({said or f'probe: {answer.exit_code}'})")
