"""Posteriors under fixed priors and under one learned from the taskset, against tables made by other means."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.stats import posterior, prior
from taskcal.core.stats.posterior_table import CLASSES, posterior_table
from taskcal.core.stats.prior import JEFFREYS, UNIFORM, Counts
from taskcal.core.stats.rates import DEFAULT_PRIOR
from taskcal.core.verdict import Band
from tests.core.forecast.population_case import population
from tests.core.stats.oracles import mixed_group_chance

BAND = (0.05, 0.75)
NOTHING = Counts(0, 0)

ROWS = """
0 1 .282314 .660017 .057669 .097500 .840000 .062500 .500272 .460323 .039405 .191210 .607239 .458248
0 4 .491354 .508080 .000567 .226219 .772804 .000977 .739131 .260543 .000326 .061850 .410144 .252295
0 8 .642551 .357447 .000002 .369751 .630246 .000004 .856025 .143974 .000001 .029483 .287338 .158760
0 16 .803385 .196615 .000000 .581880 .418120 .000000 .938923 .061077 .000000 .015162 .181375 .100468
0 24 .885280 .114720 .000000 .722610 .277390 .000000 .968947 .031053 .000000 .011240 .132846 .079947
0 32 .931083 .068917 .000000 .815974 .184026 .000000 .982835 .017165 .000000 .009436 .104874 .069229
0 64 .989752 .010248 .000000 .964352 .035648 .000000 .997755 .002245 .000000 .006580 .056986 .050113
1 8 .149158 .850755 .000087 .071211 .928682 .000107 .257224 .742691 .000085 .162562 .654912 .611018
1 16 .344072 .655928 .000000 .207772 .792228 .000000 .563166 .436834 .000000 .067926 .460051 .353141
1 32 .646306 .353694 .000000 .496350 .503650 .000000 .851365 .148635 .000000 .027391 .286165 .180441
2 8 .019317 .979310 .001372 .008361 .990296 .001343 .023573 .975106 .001322 .295408 .843779 .863156
3 8 .001549 .987054 .011397 .000643 .989363 .009995 .001419 .988571 .010010 .399657 .930124 .939587
4 8 .000080 .941267 .058653 .000033 .951039 .048927 .000063 .950685 .049252 .500121 .954657 .959083
5 8 .000003 .799574 .200424 .000001 .834273 .165726 .000002 .831187 .168811 .601228 .930124 .938314
6 8 .000000 .528924 .471076 .000000 .600677 .399323 .000000 .580910 .419090 .708199 .843779 .856555
7 8 .000000 .216633 .783367 .000000 .300339 .699661 .000000 .236072 .763928 .835542 .654912 .626746
8 8 .000000 .029258 .970742 .000000 .075085 .924915 .000000 .025542 .974458 .954799 .287338 .240047
4 4 .000000 .117306 .882693 .000000 .237304 .762695 .000000 .109995 .890004 .912992 .410144 .354106
12 16 .000000 .519873 .480127 .000000 .573886 .426114 .000000 .568963 .431037 .723965 .866378 .879316
13 16 .000000 .294502 .705498 .000000 .353018 .646982 .000000 .339024 .660976 .784220 .781390 .794339
14 16 .000000 .119214 .880786 .000000 .163702 .836298 .000000 .138058 .861942 .852428 .652007 .640044
15 16 .000000 .028547 .971453 .000000 .050113 .949887 .000000 .027956 .972044 .924817 .460051 .395976
16 16 .000000 .002225 .997775 .000000 .007517 .992483 .000000 .001781 .998219 .975446 .181375 .158323
3 64 .510141 .489859 .000000 .409987 .590013 .000000 .684037 .315963 .000000 .042691 .342998 .277919
48 64 .000000 .509686 .490314 .000000 .538019 .461981 .000000 .537851 .462149 .742459 .890032 .894213
55 64 .000000 .017011 .982989 .000000 .021714 .978286 .000000 .021023 .978977 .850540 .697576 .705334
"""
TABLE = {
    (int(k), int(n)): [float(value) for value in rest] for k, n, *rest in map(str.split, ROWS.strip().splitlines())
}
"""k, n: below, inside, above the band under Jeffreys, uniform and the default mixture; mean under the default; signal
at G = 8 under Jeffreys and the default. Computed with scipy.stats, not with this code.
"""
TEN_TASKS = [Counts(*one) for one in [(0, 8)] * 3 + [(1, 8), (4, 8), (8, 8), (0, 16), (2, 16), (12, 16), (16, 16)]]


@pytest.mark.parametrize(("passed", "graded"), TABLE)
def test_posteriors_are_the_tables(passed: int, graded: int) -> None:
    """Six digits of the class probabilities under three priors, of the posterior mean, and of the signal."""
    found: list[float | None] = []
    for one in (JEFFREYS, UNIFORM, DEFAULT_PRIOR):
        found += posterior.class_probabilities(one, Counts(passed, graded), BAND)
    found += [posterior.posterior_mean(DEFAULT_PRIOR, Counts(passed, graded))]
    found += [mixed_group_chance(one, Counts(passed, graded), 8) for one in (JEFFREYS, DEFAULT_PRIOR)]
    assert found == pytest.approx(TABLE[passed, graded], abs=1.1e-6)


def test_a_learned_prior_is_the_tables() -> None:
    """Ten tasks: six digits of the masses that EM gives to the classes, and of posteriors under it."""
    learned = prior.fit_prior(TEN_TASKS, prior.as_grid(DEFAULT_PRIOR, BAND))
    assert len(learned.nodes) == 53
    assert posterior.class_probabilities(learned, NOTHING, BAND) == pytest.approx(
        (0.332720, 0.395236, 0.272045), abs=1e-6
    )
    hard = [posterior.class_probabilities(learned, Counts(*one), BAND)[0] for one in [(0, 8), (1, 8), (0, 16), (2, 16)]]
    easy = [
        posterior.class_probabilities(learned, Counts(*one), BAND)[2] for one in [(8, 8), (12, 16), (16, 16), (4, 8)]
    ]
    assert hard == pytest.approx([0.841423, 0.275814, 0.925642, 0.143365], abs=1e-6)
    assert easy == pytest.approx([0.975657, 0.413757, 0.998327, 0.053089], abs=1e-6)


def test_the_grid_is_no_edge_of_the_band() -> None:
    """Whatever the band, no node lies on its edges; the grid holds the mixture's own classes."""
    for band in [BAND, (0.1, 0.9), (0.2125, 0.3), (0.0, 1.0)]:
        grid = prior.as_grid(DEFAULT_PRIOR, band)
        assert not {*band} & {*grid.nodes}
        exact = posterior.class_probabilities(DEFAULT_PRIOR, Counts(0, 0), band)
        assert posterior.class_probabilities(grid, NOTHING, band) == pytest.approx(exact, abs=1e-12)


def test_nothing_learned_is_the_base() -> None:
    """Without counts, or from tasks that were never graded, the prior stays what it was."""
    base = prior.as_grid(DEFAULT_PRIOR, BAND)
    assert prior.fit_prior([NOTHING] * 50, base).weights == pytest.approx(base.weights)


def test_what_was_learned_fits_better() -> None:
    """Tasks near an edge, which the default mixture hardly knows, are no longer taken for too hard."""
    base = prior.as_grid(DEFAULT_PRIOR, BAND)
    counts = [Counts(k, 20) for k in (1, 1, 2, 2, 2, 3, 3, 4)] * 25
    learned = prior.fit_prior(counts, base)
    inside = [posterior.class_probabilities(one, NOTHING, BAND)[1] for one in (base, learned)]
    assert inside[1] > 0.85 > inside[0]
    assert posterior.class_probabilities(base, Counts(0, 19), BAND)[0] > 0.95
    assert posterior.class_probabilities(learned, Counts(0, 19), BAND)[0] < 0.7


@given(graded=st.integers(0, 64), share=st.floats(0, 1))
def test_the_lattice_is_the_posterior(graded: int, share: float) -> None:
    """What is added up backwards from the last row is what the formula says at each k of n, for both kinds of prior."""
    passed = round(share * graded)
    for which in (LATTICE, GRID_LATTICE):
        one, rows = which
        direct = posterior.class_probabilities(one, Counts(passed, graded), BAND)
        assert rows.right[graded][passed] == pytest.approx(direct, abs=1e-9)
        best, chance = rows.best(passed, graded)
        assert best is CLASSES[direct.index(max(direct))]
        assert chance == pytest.approx(max(direct))
        if 0 < graded < rows.cap:
            assert rows.passing[graded][passed] == pytest.approx(posterior.posterior_mean(one, Counts(passed, graded)))


GRID = prior.as_grid(DEFAULT_PRIOR, BAND)
LATTICE = (DEFAULT_PRIOR, posterior_table(DEFAULT_PRIOR, 64, Band()))
GRID_LATTICE = (GRID, posterior_table(GRID, 64, Band()))


def test_with_a_zone_either_class_is_right_in_it() -> None:
    """At 0 of n, "too hard" is right below .08, and "in band" above .02: Beta(1, n + 1) has closed forms for both."""
    rows = posterior_table(UNIFORM, 40, Band(), zone=0.03)
    for n in (0, 8, 40):
        hard, inside, easy = rows.right[n][0]
        assert hard == pytest.approx(1 - 0.92 ** (n + 1))
        assert inside == pytest.approx(0.98 ** (n + 1) - 0.22 ** (n + 1))
        assert easy == pytest.approx(0.28 ** (n + 1))


def test_a_grid_says_nearly_what_the_mixture_does() -> None:
    """Mean, interval and signal on 53 nodes are near the exact ones; without counts they are None."""
    for counts in [Counts(0, 8), Counts(3, 8), Counts(12, 16), Counts(64, 64)]:
        assert posterior.posterior_mean(GRID, counts) == pytest.approx(
            posterior.posterior_mean(DEFAULT_PRIOR, counts), abs=3e-3
        )
        signals = [mixed_group_chance(one, counts, 8) for one in (GRID, DEFAULT_PRIOR)]
        assert signals[0] == pytest.approx(signals[1], abs=6e-3)
        rough, exact = posterior.credible_interval(GRID, counts), posterior.credible_interval(DEFAULT_PRIOR, counts)
        assert rough is not None
        assert exact is not None
        assert (rough.low, rough.high) == pytest.approx((exact.low, exact.high), abs=0.015)
    for one in (GRID, DEFAULT_PRIOR):
        assert posterior.posterior_mean(one, NOTHING) is None
        assert posterior.credible_interval(one, NOTHING) is None


@pytest.mark.parametrize("band", [BAND, (0.99, 1.0), (0.0, 0.01), (0.5, 0.505), (0.0, 1.0)])
def test_a_learned_prior_begins_with_tasks_on_the_edges(band: tuple[float, float]) -> None:
    """0.8 tasks on each edge of the band, half on either side and within 2 % of it; none on an edge at 0 or 1."""
    for tasks in (5, 50, 200, 5000):
        grid, plain = prior.cautious_prior(band, tasks), prior.as_grid(DEFAULT_PRIOR, band)
        assert math.fsum(grid.weights) == pytest.approx(1)
        share = prior.ON_EDGE / prior.base_weight(tasks)
        inner = [edge for edge in band if 0 < edge < 1]
        for edge in inner:
            at = grid.edges.index(edge)
            assert max(edge - grid.edges[at - 1], grid.edges[at + 1] - edge) <= 0.02 * min(edge, 1 - edge) + 1e-12
        inside = posterior.class_probabilities(plain, NOTHING, band)
        expected = [(1 - share * len(inner)) * chance for chance in inside]
        expected = [expected[0] + share / 2 * (band[0] > 0), expected[1] + share / 2 * len(inner), expected[2]]
        assert list(posterior.class_probabilities(grid, NOTHING, band))[:2] == pytest.approx(expected[:2])


def test_the_base_weighs_less_per_task_as_tasks_become_more() -> None:
    """Ten tasks up to fifty, then sqrt(2 T): 20 for 200, so that its share still vanishes."""
    assert [prior.base_weight(tasks) for tasks in (5, 50, 200, 5000)] == pytest.approx([10, 10, 20, 100])


def test_a_fitted_population_explains_itself() -> None:
    """The quadrature of a population is a grid like any other: its classes are the shares that it was drawn with."""
    below, _, above = posterior.class_probabilities(population("i"), NOTHING, BAND)
    assert (below, above) == pytest.approx((0.3 + 0.5 * (1 - 0.95**1.5), 0.2 + 0.5 * 0.25**1.5), abs=1e-9)
