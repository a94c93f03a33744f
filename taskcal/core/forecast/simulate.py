"""Forecast the verdicts, rollouts and errors of a design on a taskset with assumed true rates, by exact sums.

A rule that depends only on k and n ends at few counts, and the number of ways to each of them does not depend on the
rate. Once these are counted, the outcome at a rate p is a sum of ways * p^k (1-p)^(n-k), and the outcome on a
population is the average of that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

from taskcal.core.adaptive.design import Design, Rule, likely_class
from taskcal.core.adaptive.tables import certified_table, make_tables
from taskcal.core.stats.certificate import Zone
from taskcal.core.stats.posterior_table import CLASSES, Triple, posterior_table
from taskcal.core.stats.prior import PriorSource
from taskcal.core.stats.rates import DEFAULT_PRIOR
from taskcal.core.stats.signal import mixed_chance
from taskcal.core.verdict import Band, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskcal.core.forecast.population import Population
    from taskcal.core.stats.posterior_table import PosteriorTable, StoppingTable
    from taskcal.core.stats.prior import Prior

LARGEST = 512
"""The most rollouts a task: no plan that anybody follows has more. (The ways to half of 1,030 are beyond any float.)"""

PRICE = 0.001
"""In wrong verdicts a rollout: what `value` takes a rollout to cost, as adaptive runs do."""

HARD, IN_BAND = CLASSES.index(Verdict.TOO_HARD), CLASSES.index(Verdict.IN_BAND)


@dataclass(frozen=True, slots=True)
class Terms:
    """What all designs are compared under: the prior that verdicts rest on, and the G that signal is computed for."""

    band: Band = field(default_factory=Band)
    error_rate: float = 0.05
    prior: Prior = DEFAULT_PRIOR
    training_group_size: int = 8


class PlanEnding(NamedTuple):
    """Counts at which a design ends, the ways to get there, the verdict then, and whether it is sure of it."""

    passed: int
    graded: int
    ways: float
    verdict: Verdict
    sure: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A design, written out. `rule` is None for a fixed group size; no task gets more than `limit` rollouts."""

    rule: Rule | None
    limit: int
    endings: tuple[PlanEnding, ...]

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"fixed {self.limit}" if self.rule is None else f"{self.rule} up to {self.limit}"


@dataclass(frozen=True, slots=True)
class RateForecast:
    """What a plan does at one true rate: mean rollouts, and the chances of a sure and of any verdict, by CLASSES."""

    rollouts: float
    sure: Triple
    verdicts: Triple


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a plan does to a population: `rollouts` is a task's mean, all others are shares, of all tasks unless said.

    `decided` got a sure verdict; `wrong` is every verdict, sure or leaning, of another class than the true rate's,
    `wrong_by_far` only where the rate lies beyond the certificates' zone around an edge too. `good_lost` are in the
    band and called too hard. Of the decided `decided_wrong` are wrong, of groups of those called in-band `signal` are
    mixed; None where there are none.
    """

    plan: Plan
    rollouts: float
    decided: float
    decided_wrong: float | None
    wrong: float
    wrong_by_far: float
    good_lost: float
    called_in_band: float
    signal: float | None


def fixed_plan(size: int, terms: Terms) -> Plan:
    """Exactly so many rollouts of every task, 1 to LARGEST."""
    judge = VerdictRule(posterior_table(terms.prior, size, terms.band), terms)
    return Plan(None, size, tuple(judge.ending(k, size, math.comb(size, k)) for k in range(size + 1)))


def adaptive_plan(rule: Rule, terms: Terms, limit: int | None = None, price: float = PRICE) -> Plan:
    """A rule that is read from the prior, up to LARGEST rollouts a task; without a limit up to the rule's own."""
    design = Design(terms.band, terms.error_rate, rule, limit, price=price)
    certified = certified_table(design)
    tables = make_tables(terms.prior, PriorSource.DEFAULT, design, certified)
    judge = VerdictRule(tables.posteriors, terms, certified if rule is Rule.CERTIFY else None)
    return Plan(rule, design.limit, tuple(judge.ending(*stop) for stop in _stops(tables.table)))


@dataclass(frozen=True, slots=True)
class VerdictRule:
    """The verdict of k of n as in reports: the likely class, else that of k/n, which only leans.

    With a table of certificates only certified verdicts are sure.
    """

    posteriors: PosteriorTable
    terms: Terms
    certified: StoppingTable | None = None

    def verdict(self, passed: int, graded: int) -> tuple[Verdict, bool]:
        """The verdict, and whether it is sure."""
        best, chance = self.posteriors.best(passed, graded)
        likely = likely_class(best, chance, graded, self.terms.error_rate)
        verdict = self.terms.band.stated(likely, passed / graded)
        if self.certified is None:
            return verdict, likely is not None
        certificate = self.certified.cells[graded][passed]
        return certificate or verdict, certificate is not None

    def ending(self, passed: int, graded: int, ways: int) -> PlanEnding:
        """The verdict at the end of a plan."""
        return PlanEnding(passed, graded, float(ways), *self.verdict(passed, graded))


def forecast_rates(plan: Plan, rates: Sequence[float]) -> tuple[RateForecast, ...]:
    """What a plan does at each of these true rates, 0 and 1 included."""
    slots = [(e.passed, e.graded, e.ways, CLASSES.index(e.verdict), e.sure) for e in plan.endings]
    return tuple(_forecast_rate(slots, plan.limit, rate) for rate in rates)


def forecast(plan: Plan, population: Population, terms: Terms) -> Forecast:
    """What a plan does to a population, without chance: its forecasts at the population's rates, averaged."""
    by_rate, average = forecast_rates(plan, population.rates), population.average
    wrong, far = zip(*(_wrongs(rate, terms.band) for rate in population.rates), strict=True)
    in_band = [float(terms.band.verdict(rate) is Verdict.IN_BAND) for rate in population.rates]
    mixed = [mixed_chance(rate, terms.training_group_size) for rate in population.rates]
    kept = [outcome.verdicts[IN_BAND] for outcome in by_rate]
    decided = average([sum(outcome.sure) for outcome in by_rate])
    surely_wrong = average([_sum(outcome.sure, at) for outcome, at in zip(by_rate, wrong, strict=True)])
    return Forecast(
        plan=plan,
        rollouts=average([outcome.rollouts for outcome in by_rate]) if plan.rule else float(plan.limit),
        decided=decided,
        decided_wrong=_share(surely_wrong, decided),
        wrong=average([_sum(outcome.verdicts, at) for outcome, at in zip(by_rate, wrong, strict=True)]),
        wrong_by_far=average([_sum(outcome.verdicts, at) for outcome, at in zip(by_rate, far, strict=True)]),
        good_lost=average([outcome.verdicts[HARD] * good for outcome, good in zip(by_rate, in_band, strict=True)]),
        called_in_band=average(kept),
        signal=_share(average(list(map(mul, kept, mixed))), average(kept)),
    )


ERROR_RATES = (0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
PRICES = (0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002)


def frontier(plan: Plan, population: Population, terms: Terms) -> tuple[Forecast, ...]:
    """What an adaptive plan's rule does when it is asked for more or less: at other error rates, or other prices.

    Empty for a fixed group size.
    """
    rule = plan.rule
    if rule is None:
        return ()
    if rule is Rule.VALUE:
        plans = [adaptive_plan(rule, terms, plan.limit, price) for price in PRICES]
    else:
        plans = [adaptive_plan(rule, replace(terms, error_rate=rate), plan.limit) for rate in ERROR_RATES]
    return tuple(forecast(variant, population, terms) for variant in plans)


def _wrongs(rate: float, band: Band) -> tuple[Triple, Triple]:
    """Which of CLASSES are wrong at this rate (1, else 0), and which also where the certificates' zone lets them be."""
    zone, truth = Zone.around(band), band.verdict(rate)
    near = (rate < zone.a1, zone.a0 < rate < zone.b1, rate > zone.b0)
    hard, inside, easy = (float(truth is not verdict) for verdict in CLASSES)
    return (hard, inside, easy), (hard * (not near[0]), inside * (not near[1]), easy * (not near[2]))


def _sum(chances: Triple, weights: Triple) -> float:
    return math.fsum(map(mul, chances, weights))


def _share(part: float, whole: float) -> float | None:
    return min(1.0, part / whole) if whole else None


def _forecast_rate(slots: Sequence[tuple[int, int, float, int, bool]], limit: int, rate: float) -> RateForecast:
    pass_, fail = powers(rate, limit), powers(1.0 - rate, limit)
    rollouts, sure, verdicts = 0.0, [0.0] * len(CLASSES), [0.0] * len(CLASSES)
    for passed, graded, ways, verdict, is_sure in slots:
        chance = ways * pass_[passed] * fail[graded - passed]
        rollouts += chance * graded
        verdicts[verdict] += chance
        if is_sure:
            sure[verdict] += chance
    return RateForecast(rollouts, (sure[0], sure[1], sure[2]), (verdicts[0], verdicts[1], verdicts[2]))


def powers(base: float, most: int) -> list[float]:
    """base^0 to base^most; 0^0 is 1."""
    return [base**power for power in range(most + 1)]


def _stops(table: StoppingTable) -> Iterator[tuple[int, int, int]]:
    """Every k of n at which the rule ends, with the number of ways there that did not end before."""
    here = [1]
    for n in range(table.cap + 1):
        yield from ((k, n, ways) for k, ways in enumerate(here) if ways and table.stops(k, n))
        going = [0 if table.stops(k, n) else ways for k, ways in enumerate(here)]
        here = [stay + step for stay, step in zip([*going, 0], [0, *going], strict=True)]
