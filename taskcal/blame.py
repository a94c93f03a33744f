"""Whose doing it was that a sandbox cannot be used any more: what ran in it, or our side, which nobody may pay for.

An agent that breaks its judge must not get out of a failing grade by it, and an engine's fault must not become one. So
the agent is blamed only where that is certain: the engine says that the sandbox's first process ended of itself or at
its memory limit, or a small grading fails there, twice over, that goes well in a twin of the same image which nobody
has touched, or the kernel has killed in it for memory: an agent may take all of it for a moment and give it back, and
nothing outside ends a script in a sandbox that lives on.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.rollout import Stop
from taskcal.errors import LostError, SandboxLost
from taskcal.grading_driver import ABSENT, FileJob, Given, ScriptJob, drive, parse
from taskcal.sandbox import ROOM, ROOT_USER, Condition, Script
from taskcal.sandbox.execute import PROBE, could_not_start

if TYPE_CHECKING:
    from taskcal.sandbox import GradableSandbox

TRIAL = (ScriptJob("echo fine", 5.0), ScriptJob("exit 3", 5.0), FileJob(f"{ROOM}/none"))
TRIAL_SECONDS = 30.0
PIDS_PROBE = """{ kill -STOP -1; } 2>/dev/null
for TASKCAL_FILE in /sys/fs/cgroup/pids.events /sys/fs/cgroup/pids/pids.events; do
  [ -r "$TASKCAL_FILE" ] && while read -r TASKCAL_NAME TASKCAL_COUNT; do echo "$TASKCAL_COUNT"; done <"$TASKCAL_FILE"
done
exit 0
"""
"""Prints how often the kernel has refused a process for the limit. All is stopped first, or this may not get to run."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What ran in a sandbox broke it: how that counts as an agent's end, and in words."""

    stop: Stop
    words: str


STARVED = Fault(Stop.OUT_OF_MEMORY, "what ran in the sandbox had taken all of its memory")
USELESS = Fault(Stop.CRASHED, "no check can run in the sandbox, as the agent left it")
DEAD = {
    Condition.OUT_OF_MEMORY: Fault(Stop.OUT_OF_MEMORY, "what ran in the sandbox had ended it, at its memory limit"),
    Condition.ENDED: Fault(Stop.CRASHED, "what ran in the sandbox had ended it"),
}


def fault_inside(sandbox: GradableSandbox) -> Fault | None:
    """How what ran in a sandbox made it useless, where that is certain; else None, and our side is to blame."""
    try:
        if sandbox.condition() is Condition.ALIVE:
            if _is_useless(sandbox):
                return USELESS
            if _has_starved(sandbox):
                return STARVED
        return DEAD.get(sandbox.condition())
    except LostError:
        return None


def _is_useless(sandbox: GradableSandbox) -> bool:
    """Whether no check can run in it, though one can in its twin. Raises LostError."""
    with sandbox.twin() as twin:
        works = _can_judge(twin)
    try:
        return works and not _can_judge(sandbox)
    except SandboxLost:  # it has died by now, and how will be asked next
        return False


def _has_starved(sandbox: GradableSandbox) -> bool:
    """Whether the kernel has killed in it for memory. Raises LostError where it does not answer."""
    result = sandbox.run(Script(PROBE, TRIAL_SECONDS, user=ROOT_USER, hidden=True, clean=True))
    return result.ok and any(int(word) > 0 for word in result.stdout.split() if word.isdigit())


def is_crowded(sandbox: GradableSandbox) -> bool:
    """Whether what runs in a sandbox has come up against its limit of processes."""
    try:
        result = sandbox.run(Script(PIDS_PROBE, TRIAL_SECONDS, user=ROOT_USER, hidden=True, clean=True))
    except LostError:
        return False
    return could_not_start(result) or any(int(word) > 0 for word in result.stdout.split() if word.isdigit())


def _can_judge(sandbox: GradableSandbox) -> bool:
    """Whether a small grading gives what it must. Raises LostError where the sandbox or the engine is gone."""
    source = drive(TRIAL, secrets.token_hex(8), "", Given(sandbox.check_variables().kept))
    script = Script(source, TRIAL_SECONDS, user=ROOT_USER, hidden=True, clean=True)
    try:
        result = sandbox.run(script)
    except SandboxLost:
        if sandbox.condition() is Condition.ALIVE:
            return False
        raise
    records = parse(result.stdout, len(TRIAL)) if result.ok else None
    if records is None:
        return False
    fine, fails, absent = records
    return (fine.stdout, fine.status, fails.status, absent.status) == (b"fine\n", 0, 3, ABSENT)
