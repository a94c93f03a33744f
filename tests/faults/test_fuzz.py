"""Hostile and damaged input, by the thousand: a message and an exit code, and never a crash, a hang or much memory."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT, environment
from tests.faults.fuzz import CASES

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = {"tasksets": 50, "agents": 30, "rows": 100, "runs": 20}
MANY = {"tasksets": 100_000, "agents": 10_000, "rows": 10_000, "runs": 10_000}
BLOCK = 2_500


def blocks() -> Iterator[object]:
    """All of the many, in pieces that may run side by side."""
    for kind, count in MANY.items():
        for first in range(0, count, BLOCK):
            yield pytest.param(kind, first, BLOCK, id=f"{kind}-{first}", marks=pytest.mark.long)


def wrong(kind: str, first: int, count: int) -> dict[int, str]:
    """What went wrong, by the seed of its case; -1 counts the exit codes."""
    command = [sys.executable, "-m", "tests.faults.fuzz", kind, str(first), str(count)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(json.loads(line) for line in done.stdout.splitlines())


def test_each_kind_is_tried() -> None:
    """No kind of input is forgotten in one of the lists."""
    assert set(FEW) == set(MANY) == set(CASES)


@pytest.mark.parametrize(("kind", "first", "count"), [*((kind, 0, count) for kind, count in FEW.items()), *blocks()])
def test_hostile_input(kind: str, first: int, count: int) -> None:
    """Each is taken or refused in words that only show, within 10 s of processor time and 1 GiB for all of them."""
    found = wrong(kind, first, count)
    codes = json.loads(found.pop(-1))
    assert found == {}
    assert sum(codes.values()) == count
    assert {"0", "2"} <= set(codes), codes
