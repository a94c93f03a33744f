"""Threads of this process: what is submitted comes back, and no more runs at once than was asked for."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from taskcal.errors import UsageError
from taskcal.execution.local_threads import LocalThreads

LONG = 60.0
"""Seconds that no test waits: only a broken engine would let one pass."""


@dataclass
class Gate:
    """Work that says when it has begun and ends when it may."""

    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    may_end: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    lock: threading.Lock = field(default_factory=threading.Lock)
    now: int = 0
    most: int = 0

    def __call__(self, job: int, queued: float) -> int:
        """Count who is in here at the same time."""
        assert queued >= 0
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.begun.release()
        assert self.may_end.acquire(timeout=LONG)
        with self.lock:
            self.now -= 1
        return job


def double(job: int, queued: float) -> tuple[int, float]:
    return 2 * job, queued


def test_results_come_back() -> None:
    """Each job's result once, in the order in which they end, with the seconds that the job waited."""
    threads = LocalThreads(double, 2)
    for job in range(20):
        threads.submit(job)
    results = [threads.next(LONG) for _ in range(20)]
    threads.close(LONG)
    assert sorted(result[0] for result in results if result) == list(range(0, 40, 2))
    assert all(result[1] >= 0 for result in results if result)
    assert threads.next(0) is None


def test_nothing_finished_is_none() -> None:
    """With a job still running, waiting ends at its limit."""
    gate = Gate()
    threads = LocalThreads(gate, 1)
    threads.submit(1)
    assert gate.begun.acquire(timeout=LONG)
    assert threads.next(0) is None
    gate.may_end.release()
    assert threads.next(LONG) == 1
    threads.close(LONG)


def test_no_more_at_once_than_asked_for() -> None:
    """Of ten jobs for three threads three begin, and never more: the others wait for a thread."""
    gate = Gate()
    threads = LocalThreads(gate, 3)
    for job in range(10):
        threads.submit(job)
    assert all(gate.begun.acquire(timeout=LONG) for _ in range(3))
    assert not threads.free
    assert len(threads._threads) == 3
    gate.may_end.release(10)
    assert sorted(threads.next(LONG) or 0 for _ in range(10)) == list(range(10))
    threads.close(LONG)
    assert gate.most == 3


def test_free_says_whether_a_job_would_start_at_once() -> None:
    """Full with as many jobs as threads, and free again when a result was taken."""
    gate = Gate()
    threads = LocalThreads(gate, 2)
    found = [threads.free]
    for job in (1, 2):
        threads.submit(job)
        found.append(threads.free)
    gate.may_end.release(2)
    assert threads.next(LONG) in {1, 2}
    found.append(threads.free)
    threads.close(LONG)
    assert found == [True, True, False, True]


def test_an_idle_thread_is_used_again() -> None:
    """One job after the other needs one thread."""
    threads = LocalThreads(double, 8)
    for job in range(5):
        threads.submit(job)
        assert threads.next(LONG) is not None
    assert len(threads._threads) == 1
    threads.close(LONG)


@pytest.mark.parametrize("error", [UsageError("wrong"), KeyError("x"), KeyboardInterrupt()], ids=repr)
def test_errors_are_raised_where_results_are_asked_for(error: BaseException) -> None:
    """What a job raises ends no thread silently: the caller gets it, and the next job runs."""

    def work(job: int, _: float) -> int:
        if job == 0:
            raise error
        return job

    threads = LocalThreads(work, 1)
    threads.submit(0)
    with pytest.raises(type(error)) as caught:
        threads.next(LONG)
    assert caught.value is error
    assert threads.free
    threads.submit(1)
    assert threads.next(LONG) == 1
    threads.close(LONG)


def test_close_ends_idle_threads() -> None:
    """After it no thread of the engine is left."""
    threads = LocalThreads(double, 4)
    for job in range(4):
        threads.submit(job)
    threads.close(LONG)
    assert not any(thread.is_alive() for thread in threads._threads)


def test_close_does_not_wait_for_ever() -> None:
    """A job that does not end holds neither `close` nor, being a daemon's, the process."""
    gate = Gate()
    threads = LocalThreads(gate, 1)
    threads.submit(1)
    assert gate.begun.acquire(timeout=LONG)
    threads.close(0.0)
    assert [thread.daemon for thread in threads._threads if thread.is_alive()] == [True]
    gate.may_end.release()
    threads.close(LONG)
    assert not any(thread.is_alive() for thread in threads._threads)


def test_no_thread_before_the_first_job() -> None:
    """Making an engine starts nothing, and closing an unused one is harmless."""
    threads = LocalThreads(double, 4)
    assert threads._threads == []
    threads.close(LONG)
