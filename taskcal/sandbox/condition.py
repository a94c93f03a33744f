"""Whether a container still lives, and if not, whose doing that is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from taskcal.sandbox import Condition

if TYPE_CHECKING:
    from taskcal.sandbox.docker import DockerEngine

SETTLING_SECONDS = 0.4
"""For how long an engine may still call a dead container running."""

FROM_OUTSIDE = {137, 143, 255}
"""How a first process ends that a person, an engine's shutdown or its crash has ended."""


def condition_of(engine: DockerEngine, container: str) -> Condition:
    """How a container is; doubts are in favour of the agent. Raises EngineLost."""
    state = engine.state(container)
    if state is not None and state.running:
        time.sleep(SETTLING_SECONDS)
        state = engine.state(container)
    if state is None or (not state.running and not state.exited):
        return Condition.GONE
    if state.running:
        return Condition.ALIVE
    if state.out_of_memory and engine.ended_unaided(container, state):
        return Condition.OUT_OF_MEMORY
    return Condition.GONE if state.exit_code in FROM_OUTSIDE else Condition.ENDED
