"""Who made a container: the labels that let a later command find what a dead run left, and nothing else.

A process id alone names nobody: two machines, or two CI containers, can share one engine and both have a pid 12. So a
run is told by the kernel's boot id, the pid namespace, the pid and the start time of its process, and only a run whose
boot id and namespace are ours can be known to be dead.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN = "taskcal.run"
BAKE = "taskcal.bake"
BUILT = "build"
"""The value of BAKE on every layer of an image that is built from a folder."""
BUILDING = "taskcal.building"
"""On the mark of a build that is under way."""
BASE = "taskcal.base"
BOOT = "taskcal.boot"
NAMESPACE = "taskcal.pidns"
PID = "taskcal.pid"
STARTED = "taskcal.started"
ROLLOUT = "taskcal.rollout"
KEPT_PREFIX = "taskcal-kept-"
"""How a container is named that a person asked to keep: labels cannot be added to a running container."""


@dataclass(frozen=True, slots=True)
class RunOwner:
    """The process that made something; all fields are text as the kernel writes them, '' where it does not say."""

    boot: str
    namespace: str
    pid: str
    started: str

    @classmethod
    def here(cls) -> RunOwner:
        """This process."""
        return cls(boot_id(), pid_namespace(), str(os.getpid()), start_time(str(os.getpid())))

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> RunOwner:
        """Who the labels name."""
        return cls(*(labels.get(name, "") for name in (BOOT, NAMESPACE, PID, STARTED)))

    def labels(self, run: str) -> dict[str, str]:
        """The labels of everything that this process makes for a run."""
        return {RUN: run, BOOT: self.boot, NAMESPACE: self.namespace, PID: self.pid, STARTED: self.started}

    def is_dead(self) -> bool:
        """Whether it is certain that the process is gone: only for a process of this boot and this namespace."""
        return self._is_ours() and start_time(self.pid) != self.started

    def is_alive(self) -> bool:
        """Whether it is certain that the process is there: likewise."""
        return self._is_ours() and start_time(self.pid) == self.started

    def _is_ours(self) -> bool:
        return (self.boot, self.namespace) == (boot_id(), pid_namespace()) and "" not in (self.boot, self.namespace)


BLANK = dict.fromkeys((RUN, BOOT, NAMESPACE, PID, STARTED, ROLLOUT), "")
"""Commit copies a container's labels; these overwrite them, or cleaning a run would delete the images it baked."""


def boot_id() -> str:
    """The kernel's id of this boot."""
    return _read("/proc/sys/kernel/random/boot_id")


def pid_namespace() -> str:
    """The pid namespace of this process, as `pid:[4026531836]`."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def start_time(pid: str) -> str:
    """When a process started, in clock ticks since boot; '' where there is no such process."""
    after_name = _read(f"/proc/{pid}/stat").rpartition(")")[2].split() if pid.isdecimal() else []
    return after_name[19] if len(after_name) > 19 else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
