"""Python's garbage collector rests only while rows are read."""

from __future__ import annotations

import gc

import pytest

from taskcal.store.collector import pause_collector


def test_the_collector_goes_on_whatever_happens() -> None:
    """Also after an error, and after one pause inside another."""

    def read() -> None:
        with pause_collector():
            with pause_collector():
                pass
            assert not gc.isenabled()
            raise KeyboardInterrupt

    assert gc.isenabled()
    with pytest.raises(KeyboardInterrupt):
        read()
    assert gc.isenabled()
