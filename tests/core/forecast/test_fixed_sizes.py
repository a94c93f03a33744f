"""The fixed group that is as good: counted out, and held to an independent program's table."""

from __future__ import annotations

import pytest

from taskcal.core.forecast.fixed_sizes import size_as_good
from taskcal.core.stats.prior import as_grid
from taskcal.core.stats.rates import DEFAULT_PRIOR, at_most
from taskcal.core.verdict import Band
from tests.core.forecast.population_case import binomial, fixed_error, population

BAND = Band()


@pytest.mark.parametrize(
    ("name", "wrong", "size"),
    [("i", 0.0449, 42), ("i", 0.0334, 64), ("i", 0.1075, 8), ("ii", 0.0664, 64)],
)
def test_the_smallest_group_that_is_wrong_as_seldom(name: str, wrong: float, size: int) -> None:
    """On known populations: 42 for the 4.49 % of the default adaptive rule, and the table's sizes at their errors."""
    grid = population(name)
    found = size_as_good([grid], BAND, wrong + 5e-5)
    assert found is not None
    assert found <= size
    assert fixed_error(grid, found) <= wrong + 5e-5
    assert all(fixed_error(grid, n) > wrong + 5e-5 for n in range(max(1, found - 3), found))


def test_no_size_may_be_good_enough() -> None:
    """Errors that no group of the sizes looked at has, and tasks of which there are none."""
    assert size_as_good([DEFAULT_PRIOR], BAND, 0.0, 32) is None
    assert size_as_good([], BAND, 0.5) is None


def test_many_priors_are_averaged() -> None:
    """A mixture stands for its grid, and each task's prior counts once: also where the same one comes twice."""
    grid, flat = as_grid(DEFAULT_PRIOR, (BAND.low, BAND.high)), population("i")
    assert size_as_good([DEFAULT_PRIOR], BAND, 0.05) == size_as_good([grid, DEFAULT_PRIOR, grid], BAND, 0.05)
    assert size_as_good([flat] * 3, BAND, 0.0449) == size_as_good([flat], BAND, 0.0449)


@pytest.mark.parametrize("rate", [0.0, 0.03, 0.5, 1.0])
def test_the_chance_of_at_most_so_many(rate: float) -> None:
    """The sum of the binomial chances; none at all below none, and certain at n."""
    for passed in range(-1, 9):
        expected = sum(binomial(k, 8, rate) for k in range(passed + 1))
        assert at_most(passed, 8, rate) == pytest.approx(expected, abs=1e-12)
