"""Programs that nobody wrote: none earns anything in a fresh sandbox, none is lost, none hangs or fills the host."""

from __future__ import annotations

import resource
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from taskcal.core.rollout import Graded
from tests.docker.rooms import outcome
from tests.faults.search import NOBODY, ROOT, Program, program
from tests.faults.test_tamper import FRESH, SHARED, secret

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.task import GraderSandbox
    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker

FEW, BLOCK, MANY = 2, 25, 502
"""Programs of each kind: in make test, in one of the long tests, and in all of them."""
SIDE_BY_SIDE = 4
LONGEST = 180.0
"""Seconds of a rollout: 20 of the program, and for each check its 3, where every one of them runs into its limit."""
MOST_MEMORY = 512 * 1024
"""KiB by which taskcal may grow while it plays a block."""


def wrong(scope: RunScope, folder: Path, tried: Program, where: GraderSandbox) -> str:
    """What is wrong with the rollout of a program; '' for one that was graded as it deserves."""
    folder.mkdir()
    begun = time.monotonic()
    found = outcome(scope, folder, secret(folder, where, tried.user), tried.source, tried.user)
    if not isinstance(found, Graded):
        return f"lost: {found}"
    if found.reward > 0 and not (where is SHARED and tried.pays_shared):
        return f"earned {found.reward}: {[check for check in found.checks if check.score]}"
    return f"took {time.monotonic() - begun:.0f} s" if time.monotonic() - begun > LONGEST else ""


@pytest.mark.parametrize(
    ("first", "count"),
    [(0, FEW), *(pytest.param(first, BLOCK, marks=pytest.mark.long) for first in range(FEW, MANY, BLOCK))],
)
@pytest.mark.parametrize("user", [NOBODY, ROOT])
@pytest.mark.parametrize("where", [FRESH, SHARED])
def test_no_program_earns_or_escapes(
    scope: RunScope, tmp_path: Path, where: GraderSandbox, user: str, first: int, count: int
) -> None:
    """The seed in a failure gives the program again: `tests.faults.search.program(seed, user)`."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def play(seed: int) -> str:
        return wrong(scope, tmp_path / str(seed), program(seed, user), where)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        seeds = range(first, first + count)
        found = {seed: words for seed, words in zip(seeds, threads.map(play, seeds), strict=True) if words}
    assert found == {}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY
