"""Whose fault it is when something breaks: the one table, which the documentation prints and the tests act out.

What the agent does is graded by the end state that it leaves, however it ended. What the agent cannot be blamed for is
lost. A doubt is in favor of the agent, but no agent escapes a failing grade by breaking its judge: every error between
its first command and the last record is decided in `execution.fault_attribution`. A test finds every place of the code
that raises a loss, and wants a row for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.rollout import Stop
from taskcal.errors import Boundary

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks, what becomes of the rollout (graded with a stop, or lost at a boundary), and why."""

    name: str
    what: str
    ends: Stop | Boundary
    why: str


BY_END_STATE = "its end state is graded"
ONCE = "a defect of the task, reported once"
OWN_WORD = "its own word: retried, and counted against the verdict's strength"
NO_MODEL = "no model answered: retried, then lost"

AGENT = (
    Fault("agent-timeout", "the agent still works at its timeout", Stop.TIMEOUT, BY_END_STATE),
    Fault("agent-crash", "the agent ends with a status other than 0", Stop.CRASHED, BY_END_STATE),
    Fault("agent-out-of-memory", "the agent needs more than its memory", Stop.OUT_OF_MEMORY, BY_END_STATE),
    Fault("agent-127", "the agent's script calls a program that is missing", Stop.CRASHED, "the agent has worked"),
    Fault("fork-bomb", "the agent takes every process id", Stop.CRASHED, "the limit stops it; grading gets more"),
    Fault("full-disk", "the agent fills its disk", Stop.CRASHED, "its own writes fail"),
    Fault("endless-output", "the agent prints without end", Stop.TIMEOUT, "only its log is cut, at 16 MiB"),
    Fault("ended-sandbox", "the agent ends its own container", Stop.CRASHED, "0 if it certainly did so"),
    Fault(
        "broken-judge",
        "what the agent left makes the engine or the grading fail",
        Stop.CRASHED,
        "0 if the same fails there again, and works twice in an untouched twin",
    ),
    Fault("tool-call", "a tool call holds what no program can take", Stop.FINISHED, "the model is answered"),
    Fault("max-turns", "a chat agent is out of turns", Stop.MAX_TURNS, BY_END_STATE),
    Fault("output-limit", "an answer is cut at an output limit", Stop.FINISHED, "the model is told to go on"),
    Fault("context-full", "the model's context is full", Stop.CONTEXT_FULL, BY_END_STATE),
    Fault("refused", "the model or its provider refuses the content", Stop.REFUSED, "it would in production too"),
)
GRADER = (
    Fault("check-crash", "a check ends with a status other than 0", Stop.FINISHED, "0: this is how a check fails"),
    Fault("check-hang", "a check still runs at its timeout", Stop.FINISHED, "0: the agent's work may be the reason"),
    Fault(
        "check-interpreter",
        "a check's program is missing, and the image or a solution has it",
        Stop.FINISHED,
        "0: the agent may have removed it or not installed it; the note has the shell's words",
    ),
    Fault("check-program", "a check's program is in no image and no solution", Boundary.GRADER, ONCE),
    Fault(
        "check-no-number",
        "a check with `score: stdout` prints no score, in an untouched sandbox neither",
        Boundary.GRADER,
        "the grader is broken",
    ),
    Fault(
        "grading", "grading cannot be carried out, and not by the agent's doing", Boundary.GRADER, "nothing was judged"
    ),
    Fault("script-crash", "the grader's script prints no scores", Boundary.GRADER, "the grader is broken"),
    Fault(
        "service-ended", "a service ends while the agent works", Stop.FINISHED, "0 for its checks; named in the report"
    ),
)
ENVIRONMENT = (
    Fault("image-missing", "an image is not here and cannot be pulled", Boundary.IMAGE, ONCE),
    Fault("image-unbuildable", "a Dockerfile is missing, fails or needs BuildKit", Boundary.IMAGE, ONCE),
    Fault("no-shell", "an image has no `sh`", Boundary.IMAGE, ONCE),
    Fault(
        "image-removed", "an image is removed during the run", Boundary.IMAGE, "it is made again for the next attempt"
    ),
    Fault("limits", "the engine refuses a limit, such as 8 of 2 CPUs", Boundary.SETUP, ONCE),
    Fault("user", "the agent's user does not exist, or cannot enter the workdir", Boundary.SETUP, ONCE),
    Fault("grading-tools", "an image lacks a program that grading needs", Boundary.SETUP, ONCE),
    Fault("setup", "`setup` fails", Boundary.SETUP, ONCE),
    Fault("start", "`start` fails, or `ready` never succeeds", Boundary.SETUP, ONCE),
    Fault("tools", "a task's tool or MCP server does not start", Boundary.SETUP, "a defect of the task"),
    Fault("service", "a service does not start, ends with an error, or is never ready", Boundary.SERVICE, ONCE),
    Fault("service-later", "a service ends in a later rollout, before the agent begins", Boundary.SERVICE, "retried"),
    Fault("way-out", "the connection to a list of allowed hosts ends", Boundary.SERVICE, "the agent reached nothing"),
)
OURS = (
    Fault("agent-install", "the agent's install script fails", Boundary.AGENT_INSTALL, "reported once"),
    Fault(
        "agent-missing", "the agent's own program is not in the image", Boundary.AGENT_INSTALL, "no agent has worked"
    ),
    Fault("provider", "the model's endpoint fails (no answer, 429, 5xx)", Boundary.PROVIDER, NO_MODEL),
    Fault("provider-200", "a 200 answer carries a provider's failure", Boundary.PROVIDER, NO_MODEL),
    Fault("provider-word", "an answer ends with an unknown finish reason", Boundary.PROVIDER, NO_MODEL),
    Fault("agent-gives-up", "a command agent reports a failure of its provider (75)", Boundary.PROVIDER, OWN_WORD),
    Fault("container-removed", "the container is removed from outside", Boundary.SANDBOX, "its end was not seen"),
    Fault("engine-restarted", "the engine stops or restarts", Boundary.ENGINE, "the run waits until it answers"),
    Fault("interrupted", "the run is stopped", Boundary.CANCELLED, "not recorded: a resume starts it again"),
    Fault("bug", "taskcal itself fails", Boundary.UNKNOWN, "no other rollout is affected"),
)
FAULTS = (*AGENT, *GRADER, *ENVIRONMENT, *OURS)


def rows(faults: tuple[Fault, ...] = FAULTS) -> Iterator[tuple[str, str, str]]:
    """The table for people: what happens, what becomes of the rollout, and why."""
    for fault in faults:
        graded = isinstance(fault.ends, Stop)
        yield fault.what, f"{'graded' if graded else 'lost'}: {fault.ends.value}", fault.why
