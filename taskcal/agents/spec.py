"""What an agent file says, as frozen values; `taskcal.agents.agent_file` reads them from YAML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskcal.agents.chat.spec import ChatSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.core.task import Network


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; cached input costs as much as other input where nothing else is said."""

    input: float
    output: float
    cached_input: float | None = None


@dataclass(frozen=True, slots=True)
class SimulatedSpec:
    """Plays a solution with a probability: `success` maps task-id globs to it, the longest match wins."""

    name: str
    success: Mapping[str, float] = field(default_factory=lambda: {"*": 0.5})
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A shell command inside the sandbox. `timeout` (seconds) caps the task's own; None fields are the task's.

    `price` changes no rollout, so it is not part of the agent's digest (`repr=False`).
    """

    name: str
    run: str
    install: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    network: Network | None = None
    user: str | None = None
    workdir: str | None = None
    lost_pattern: str | None = None
    timeout: float | None = None
    price: Price | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PythonSpec:
    """A function `module:callable` in taskcal's own process.

    `folder` is the agent file's, where modules are looked for first. Neither it nor `price` is part of the agent's
    digest: the same file elsewhere is the same agent.
    """

    name: str
    call: str
    install: str = ""
    secrets: tuple[str, ...] = ()
    network: Network | None = None
    timeout: float | None = None
    price: Price | None = field(default=None, repr=False)
    folder: str = field(default="", repr=False)


AgentSpec = SimulatedSpec | CommandSpec | ChatSpec | PythonSpec
