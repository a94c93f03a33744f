"""A run while it happens: what was asked, where it is stored, and what it has on the engine."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskcal.cli.terminal.interrupts import Interrupts
    from taskcal.cli.terminal.progress import Progress
    from taskcal.core.run import RunRecord
    from taskcal.runs.request import Request
    from taskcal.sandbox.engine.run_resources import RunScope
    from taskcal.sandbox.images.baking import ImageMemory
    from taskcal.store.run_folder import RunFolder


@dataclass
class Run:
    """A run while it happens: what was asked, where it is stored, and what it has on the engine."""

    request: Request
    scope: RunScope
    folder: RunFolder
    record: RunRecord
    progress: Progress
    interrupts: Interrupts
    memory: ImageMemory
    cancelled: threading.Event = field(default_factory=threading.Event)
    kept: list[str] = field(default_factory=list)
    stopped: str = ""
