"""A run while it happens: what was asked, where it is stored, and what it has on the engine."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskcal.cli.interrupts import Interrupts
    from taskcal.cli.options import Request
    from taskcal.cli.progress import Progress
    from taskcal.core.run import RunRecord
    from taskcal.sandbox.images import ImageMemory
    from taskcal.sandbox.scope import RunScope
    from taskcal.store import RunFolder


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
