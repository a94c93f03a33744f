"""Work that many threads want: done once, and failed once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from taskcal.errors import ImageLost
from taskcal.sandbox.images.single_flight import SingleFlight

LONG = 60.0


def test_many_who_ask_get_what_one_made() -> None:
    """Eight threads at the same moment: one makes, all get the same value."""
    once: SingleFlight[object] = SingleFlight()
    made: list[object] = []
    together = threading.Barrier(8)

    def make() -> object:
        made.append(object())
        return made[-1]

    def ask() -> object:
        together.wait(LONG)
        return once.get("image", make)

    with ThreadPoolExecutor(8) as threads:
        found = {future.result(LONG) for future in [threads.submit(ask) for _ in range(8)]}
    assert found == set(made)
    assert len(made) == 1


def test_a_failure_is_made_once() -> None:
    """A broken image fails for everybody, and is not built again for each of them."""
    once: SingleFlight[str] = SingleFlight()
    tries: list[int] = []

    def fail() -> str:
        tries.append(1)
        raise ImageLost("no such folder")

    for _ in range(3):
        with pytest.raises(ImageLost, match="no such folder"):
            once.get("image", fail)
    assert len(tries) == 1


def test_keys_do_not_wait_for_each_other() -> None:
    """While one image is made, another can be: each waits for the other here, so a common lock would never end."""
    once: SingleFlight[str] = SingleFlight()
    together = threading.Barrier(2)

    def make(name: str) -> str:
        together.wait(LONG)
        return name

    with ThreadPoolExecutor(2) as threads:
        futures = [threads.submit(once.get, name, partial(make, name)) for name in ("a", "b")]
        assert [future.result(LONG) for future in futures] == ["a", "b"]


@pytest.mark.parametrize("value", [None, 0, "", ()])
def test_an_empty_value_is_a_value(value: object) -> None:
    """Whatever was made is kept, also what is false."""
    once: SingleFlight[object] = SingleFlight()
    assert once.get("key", lambda: value) == value
    assert once.get("key", lambda: "again") == value


def test_an_interrupt_is_no_failure() -> None:
    """Ctrl-C in the middle leaves nothing behind: who asks next makes it."""
    once: SingleFlight[str] = SingleFlight()

    def interrupted() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once.get("key", interrupted)
    assert once.get("key", lambda: "made") == "made"
