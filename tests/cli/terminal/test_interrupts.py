"""Signals end a run in good order: nothing is cut in two, and what was switched off stays so."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from taskcal.cli.terminal.interrupts import SIGNALS, Interrupts

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Put every handler back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_interrupts(number: signal.Signals) -> None:
    """Like Ctrl-C, and afterwards everything is as it was."""
    before = [signal.getsignal(one) for one in SIGNALS]
    with pytest.raises(KeyboardInterrupt), Interrupts():
        os.kill(os.getpid(), number)
    assert [signal.getsignal(one) for one in SIGNALS] == before


def test_what_is_held_is_not_cut_in_two() -> None:
    """A signal that comes in the middle is raised behind it, once."""
    done: list[str] = []

    def write(interrupts: Interrupts) -> None:
        with interrupts.held():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("whole")

    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            write(interrupts)
        with interrupts.held():
            done.append("goes on")
    assert done == ["whole", "goes on"]


def test_an_error_in_what_is_held_is_the_one_that_is_told() -> None:
    """A full disk is what a person must hear of, also where Ctrl-C came at the same time."""

    def write(interrupts: Interrupts) -> None:
        with interrupts.held():
            os.kill(os.getpid(), signal.SIGINT)
            raise OSError("full")

    with Interrupts() as interrupts, pytest.raises(OSError, match="full"):
        write(interrupts)


def test_a_signal_that_is_switched_off_stays_so() -> None:
    """`nohup` is there to outlive a terminal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interrupts():
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
