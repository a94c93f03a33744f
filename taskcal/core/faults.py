"""Whose fault it is when something breaks: the one table of it, which the documentation prints and the tests act out.

What the agent does is graded by the end state that it leaves, however it ended; what the agent cannot be blamed for is
lost. A doubt is in favour of the agent, but no agent gets out of a failing grade by breaking its judge: `taskcal.blame`
has the rule for a sandbox that died.
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


BY_END_STATE = "what it has left behind is graded"
ONCE = "the task's; once for all its rollouts"

FAULTS = (
    Fault("agent-timeout", "the agent is still working at its timeout", Stop.TIMEOUT, BY_END_STATE),
    Fault("agent-crash", "the agent ends with another status than 0", Stop.CRASHED, BY_END_STATE),
    Fault("agent-out-of-memory", "the agent needs more than its memory", Stop.OUT_OF_MEMORY, BY_END_STATE),
    Fault("fork-bomb", "the agent takes every process id", Stop.CRASHED, "its limit stops it; the grader gets room"),
    Fault("full-disk", "the agent fills the container's disk", Stop.CRASHED, "its own writes fail, and it is graded"),
    Fault("endless-output", "the agent prints without end", Stop.TIMEOUT, "its log is cut at 16 MiB, nothing else"),
    Fault("ended-sandbox", "the agent ends its own container", Stop.CRASHED, "certainly its doing: no check can pass"),
    Fault("broken-judge", "the agent makes its container useless", Stop.CRASHED, "0: a check runs in a twin only"),
    Fault("max-turns", "a chat agent is out of turns", Stop.MAX_TURNS, BY_END_STATE),
    Fault("context-full", "the model's context is full", Stop.CONTEXT_FULL, BY_END_STATE),
    Fault("refused", "the model or its provider refuses the content", Stop.REFUSED, "it would in use as well"),
    Fault("check-crash", "a check ends with another status than 0", Stop.FINISHED, "0: that is how a check says no"),
    Fault("check-hang", "a check still runs at its timeout", Stop.FINISHED, "0: the agent's work may be why"),
    Fault("check-interpreter", "a check's program is missing", Stop.FINISHED, "0: the agent may have removed it"),
    Fault("check-no-number", "a check of `score: stdout` prints no number", Boundary.GRADER, "a broken grader"),
    Fault("script-crash", "the grader's one script prints no scores", Boundary.GRADER, "a broken grader"),
    Fault("setup", "the environment's `setup` fails", Boundary.SETUP, ONCE),
    Fault("start", "`start` fails, or `ready` does not succeed", Boundary.SETUP, "the task's"),
    Fault("service", "a service ends, or is not ready in time", Boundary.SERVICE, "the task's"),
    Fault("service-ended", "a service ends while the agent works", Stop.FINISHED, "0 for its checks; its last words"),
    Fault("way-out", "the way to a list of allowed hosts ends", Boundary.SERVICE, "the agent could reach nothing"),
    Fault("image-missing", "an image is not there and cannot be pulled", Boundary.IMAGE, ONCE),
    Fault("image-unbuildable", "a Dockerfile fails", Boundary.IMAGE, ONCE),
    Fault("image-removed", "an image goes while the run needs it", Boundary.IMAGE, "the next attempt has a new one"),
    Fault("agent-install", "the agent's install script fails", Boundary.AGENT_INSTALL, ONCE),
    Fault("agent-missing", "the agent's command is missing", Boundary.AGENT_INSTALL, "no model was asked"),
    Fault("provider", "the model's endpoint fails, or the agent says so", Boundary.PROVIDER, "no model answered"),
    Fault("container-removed", "the container is removed from outside", Boundary.SANDBOX, "nobody saw its end"),
    Fault("engine-restarted", "the engine stops or is restarted", Boundary.ENGINE, "the run waits until it answers"),
    Fault("interrupted", "the run is stopped", Boundary.CANCELLED, "not recorded: a resume begins it anew"),
    Fault("bug", "taskcal itself fails", Boundary.UNKNOWN, "one rollout's failure ends no other one"),
)


def rows(faults: tuple[Fault, ...] = FAULTS) -> Iterator[tuple[str, str, str]]:
    """The table for people: what happens, what becomes of the rollout, and why."""
    for fault in faults:
        graded = isinstance(fault.ends, Stop)
        yield fault.what, f"{'graded' if graded else 'lost'}: {fault.ends.value}", fault.why
