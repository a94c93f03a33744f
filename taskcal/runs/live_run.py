"""A run in progress: its request, its folder, and its resources on the engine."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskcal.core.rollout import GroupId, Rollout
    from taskcal.core.run import RunRecord
    from taskcal.execution.listener import Listener, SignalGuard
    from taskcal.execution.local_threads import LocalThreads
    from taskcal.runs.engine import RunOnEngine, SandboxEngine
    from taskcal.runs.request import Request
    from taskcal.sandbox.images.baking import PreparedImages
    from taskcal.store.run_folder import RunFolder


@dataclass
class Run:
    """A run while it happens. Its steps change `request`, `record`, `images` and `stopped`.

    `recorded` is what earlier processes put on disk, and the losses of groups that cannot be prepared. `images` has
    every group that can be measured, once they are prepared. `pools` are the threads that must end before the run does,
    `kept` the names of containers that are left for a person, and `stopped` is why it ended early.
    """

    request: Request
    engine: SandboxEngine
    on_engine: RunOnEngine
    folder: RunFolder
    record: RunRecord
    listener: Listener
    guard: SignalGuard
    recorded: list[Rollout] = field(default_factory=list)
    images: dict[GroupId, PreparedImages] = field(default_factory=dict)
    pools: list[LocalThreads[Any, Any]] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    kept: list[str] = field(default_factory=list)
    stopped: str = ""

    def close(self) -> None:
        """Give up the folder's lock and the engine's connections."""
        self.folder.close()
        self.engine.close()
