"""Threads of this process: a rollout spends its time waiting for containers and models, not for Python.

The threads are daemons, so that a second Ctrl-C ends the process without waiting for any of them; `ThreadPoolExecutor`
would join them at exit.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


class LocalThreads(Generic[Job, Result]):
    """Runs `work(job, seconds queued)` on up to `size` threads."""

    def __init__(self, work: Callable[[Job, float], Result], size: int) -> None:
        """Start no thread yet; each starts with the first job that needs it."""
        self._work = work
        self._size = size
        self._jobs: queue.SimpleQueue[tuple[Job, float] | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Result | _Raised] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._in_flight = 0

    @property
    def free(self) -> bool:
        """Whether another job can start at once."""
        return self._in_flight < self._size

    def submit(self, planned: Job) -> None:
        """Start a job, or keep it until a thread is free."""
        self._in_flight += 1
        if len(self._threads) < min(self._in_flight, self._size):
            self._threads.append(threading.Thread(target=self._loop, daemon=True))
            self._threads[-1].start()
        self._jobs.put((planned, time.monotonic()))

    def next(self, timeout: float) -> Result | None:
        """The next result, or None after `timeout` seconds without one. Raises what the job raised."""
        try:
            result = self._results.get(timeout=timeout)
        except queue.Empty:
            return None
        self._in_flight -= 1
        if isinstance(result, _Raised):
            raise result.error
        return result

    def close(self, timeout: float) -> bool:
        """Let idle threads end, wait up to `timeout` seconds for those in a job, and say whether all have ended."""
        deadline = time.monotonic() + timeout
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _loop(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, submitted = item
            try:
                self._results.put(self._work(job, time.monotonic() - submitted))
            except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asks for results
                self._results.put(_Raised(error))
