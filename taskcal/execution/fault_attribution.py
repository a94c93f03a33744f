"""Whose doing it was that something failed between an agent's first command and the last record of its rollout.

An agent that breaks its judge must not get out of a failing grade by it, and an engine's fault must not become one. So
every error of a sandbox, of the engine or of grading comes here with the operation that failed, whatever that was: a
delivery, a read, a script. The agent is to blame, and is graded 0, if all of this holds:

    the engine answers, and the container still lives
    the operation fails again here; if it works now, its result counts, since a process that kills and stops all others
                        in a loop misses once in a while, and a second try costs a right solution nothing
    it works in a twin  twice: a sandbox of the same environment, services and `start` included, where no agent was

or if the engine remembers that the container ended of itself or at its memory limit, or the kernel has killed in it for
memory: an agent may take all of it for a moment and give it back. All else is ours, and lost. Errors of the model's
provider, of this host and of a stopped run never come here: an agent cannot cause them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from taskcal.core.rollout import Stop
from taskcal.errors import EngineLost, GraderLost, LostError, SandboxLost, UsageError
from taskcal.execution.grading_driver import ABSENT, FileJob, ScriptJob, ScriptVariables, drive, parse_records
from taskcal.sandbox import ROOT_USER, TASKCAL_FOLDER, Condition, Script
from taskcal.sandbox.execute import PROBE, could_not_start

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskcal.sandbox import GradableSandbox

Result = TypeVar("Result")
Operation: TypeAlias = "Callable[[GradableSandbox], Result]"
"""Something done to a sandbox that can be done again, to this one and to another."""

TRIAL = (ScriptJob("echo fine", 5.0), ScriptJob("exit 3", 5.0), FileJob(f"{TASKCAL_FOLDER}/none"))
TRIAL_SECONDS = 30.0
PIDS_PROBE = """{ kill -STOP -1; } 2>/dev/null
for TASKCAL_FILE in /sys/fs/cgroup/pids.events /sys/fs/cgroup/pids/pids.events; do
  [ -r "$TASKCAL_FILE" ] && while read -r TASKCAL_NAME TASKCAL_COUNT; do echo "$TASKCAL_COUNT"; done <"$TASKCAL_FILE"
done
exit 0
"""
"""Prints how often the kernel has refused a process for the limit. All is stopped first, or this may not get to run."""


@dataclass(frozen=True, slots=True)
class AgentFault:
    """What ran in a sandbox broke it: how that counts as an agent's end, and in words."""

    stop: Stop
    words: str


STARVED = AgentFault(Stop.OUT_OF_MEMORY, "what ran in the sandbox had taken all of its memory")
USELESS = AgentFault(Stop.CRASHED, "no check can run in the sandbox, as the agent left it")
DEAD = {
    Condition.OUT_OF_MEMORY: AgentFault(
        Stop.OUT_OF_MEMORY, "what ran in the sandbox had ended it, at its memory limit"
    ),
    Condition.ENDED: AgentFault(Stop.CRASHED, "what ran in the sandbox had ended it"),
}


@dataclass(frozen=True, slots=True)
class Worked(Generic[Result]):
    """An operation that had failed works now, so that its result counts."""

    result: Result


def try_in(sandbox: GradableSandbox, operation: Operation[Result], service: str = "") -> Result | AgentFault:
    """The result of an operation on a sandbox in which an agent has acted, or why the agent is to blame that it fails.

    `operation` can be carried out again, there and in a twin; `service` names the container that it is about, if that
    is not the sandbox's own. Raises what it raised if the agent is not to blame.
    """
    try:
        return operation(sandbox)
    except Exception as error:
        decided = attribute_fault(sandbox, operation, service) if is_disputed(error) else None
        if decided is None:
            raise
        return decided.result if isinstance(decided, Worked) else decided


def attribute_fault(
    sandbox: GradableSandbox, operation: Operation[Result], service: str = ""
) -> AgentFault | Worked[Result] | None:
    """Whether the agent is to blame for a failed operation, or it works now; None for all else, which is our side's."""
    try:
        condition = sandbox.condition(service)
        if condition is Condition.STUCK:  # no second try could say more
            return USELESS if _works_untouched(sandbox, grade_trifles) else None
        if condition is Condition.ALIVE:
            # A small grading that fails says the same as the operation, and sooner if that runs into its timeout.
            failing: Operation[object] = partial(grade_trifles, service=service)
            if _works(failing, sandbox):
                worked = _try(operation, sandbox)
                if worked is not None:
                    return worked
                failing = operation
            is_useless = _works_untouched(sandbox, failing)
            if sandbox.condition(service) is Condition.ALIVE:
                return USELESS if is_useless else STARVED if _has_starved(sandbox, service) else None
        return DEAD.get(sandbox.condition(service))
    except (LostError, OSError):
        return None


def is_disputed(error: Exception) -> bool:
    """Whether an agent may have caused an error: one of the sandbox, the engine or grading, or an unforeseen one.

    What taskcal cannot digest may be something that the agent made.
    """
    if isinstance(error, LostError):
        return isinstance(error, EngineLost | SandboxLost | GraderLost)
    return not isinstance(error, UsageError | OSError | MemoryError)


def start_a_shell(user: str | None) -> Operation[None]:
    """What an agent's tools and scripts need, as an operation: a process of its user (None is the image's)."""

    def operation(sandbox: GradableSandbox) -> None:
        result = sandbox.run(Script("exit 0", TRIAL_SECONDS, user=user))
        if not result.ok:
            raise SandboxLost(f"no shell could be started ({result.how}): {result.tail}")

    return operation


def grade_trifles(sandbox: GradableSandbox, service: str = "") -> None:
    """The smallest grading, as an operation. Raises GraderLost, or what the sandbox raises."""
    source = drive(TRIAL, secrets.token_hex(8), "", ScriptVariables(sandbox.check_variables(service).kept))
    result = sandbox.run(Script(source, TRIAL_SECONDS, user=ROOT_USER, hidden=True, service=service, clean=True))
    records = parse_records(result.stdout, len(TRIAL)) if result.ok else None
    if records is None:
        raise GraderLost(f"a small grading did not work ({result.how}): {result.tail}")
    fine, fails, absent = records
    if (fine.stdout, fine.status, fails.status, absent.status) != (b"fine\n", 0, 3, ABSENT):
        raise GraderLost("a small grading came to nonsense")


def _try(operation: Operation[Result], sandbox: GradableSandbox) -> Worked[Result] | None:
    """What an operation comes to; None if it fails in a way that an agent may have caused. Raises what else it does."""
    try:
        return Worked(operation(sandbox))
    except Exception as error:
        if not is_disputed(error):
            raise
        return None


def _works(operation: Operation[object], sandbox: GradableSandbox) -> bool:
    return _try(operation, sandbox) is not None


def _works_untouched(sandbox: GradableSandbox, operation: Operation[object]) -> bool:
    """Whether an operation works in an untouched twin, twice over. Raises LostError if there can be none."""
    with sandbox.twin() as twin:
        return _works(operation, twin) and _works(operation, twin)


def _has_starved(sandbox: GradableSandbox, service: str) -> bool:
    """Whether the kernel has killed in it for memory. Raises LostError if it does not answer."""
    result = sandbox.run(Script(PROBE, TRIAL_SECONDS, user=ROOT_USER, hidden=True, service=service, clean=True))
    return result.ok and any(int(word) > 0 for word in result.stdout.split() if word.isdigit())


def is_crowded(sandbox: GradableSandbox) -> bool:
    """Whether what runs in a sandbox has come up against its limit of processes."""
    try:
        result = sandbox.run(Script(PIDS_PROBE, TRIAL_SECONDS, user=ROOT_USER, hidden=True, clean=True))
    except LostError:
        return False
    return could_not_start(result) or any(int(word) > 0 for word in result.stdout.split() if word.isdigit())
