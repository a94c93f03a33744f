"""Whether a container still lives, and if not, whose doing that is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from taskcal.errors import EngineLost
from taskcal.sandbox import Condition

if TYPE_CHECKING:
    from taskcal.sandbox.engine.docker import DockerEngine

SETTLING_SECONDS = 0.4
"""For how long an engine may still call a dead container running."""

INSPECTION_SECONDS = 20.0
"""An inspection takes milliseconds, and seconds on a machine that is very busy."""


def condition_of(engine: DockerEngine, container: str) -> Condition:
    """How a container is; doubts are in favour of the agent. Raises EngineLost.

    An exit status proves nothing: a first process that the agent has patched can end with any, 137 too. So the engine
    has to remember that the container ended and that nobody had asked for it. One that was stopped remembers nothing.

    An engine that starts a process in a container holds on to it until that has started. What stops all processes there
    in a loop keeps it from ever starting: the engine answers everybody, but for this container.
    """
    try:
        state = engine.state(container, INSPECTION_SECONDS)
    except EngineLost:
        if not engine.lists(container):
            raise
        return Condition.STUCK
    if state is not None and state.running:
        time.sleep(SETTLING_SECONDS)
        state = engine.state(container, INSPECTION_SECONDS)
    if state is None or (not state.running and not state.exited):
        return Condition.GONE
    if state.running:
        return Condition.ALIVE
    if not engine.ended_unaided(container, state):
        return Condition.GONE
    return Condition.OUT_OF_MEMORY if state.out_of_memory else Condition.ENDED
