"""Certificates: claims about a rate that hold for any prior and any stopping rule, by e-values.

An e-value is the wealth of a player who bets at fair odds against "the mean is at least tau" (or at most). If that is
true, the wealth seldom grows. This holds for any rewards in [0, 1], at every moment, without a prior or a horizon.

A certificate excludes errors larger than a zone around an edge of the band, not the class at the exact edge. With the
default zone, too-hard means p < 0.10, in-band 0.02 < p < 0.80, too-easy p > 0.70, each wrong at most 5 % of the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.stats.posterior_table import StoppingTable
from taskcal.core.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskcal.core.verdict import Band

NODES = 32
"""Points that stand for the uniform part of a bet; its closed form knows only 0 and 1, and underflows near n = 600."""


@dataclass(frozen=True, slots=True)
class Bet:
    """A mixture of alternatives q against a boundary tau: (weight, q) atoms, all on one side of tau."""

    tau: float
    atoms: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Zone:
    """The gaps around both edges of the band in which either class counts as right: a0 < low < a1, b0 < high < b1."""

    a0: float = 0.02
    a1: float = 0.10
    b0: float = 0.70
    b1: float = 0.80

    @classmethod
    def around(cls, band: Band) -> Zone:
        """The zone of any band, as wide as the default zone if there is room. An edge at 0 or 1 has no class beyond it.

        No end of a zone reaches 0 or 1, which would leave nothing to bet against. In a band narrower than 0.2 the two
        zones overlap: at a rate between them both outer classes would be wrong, together up to 8.5 % of the time.
        """
        low, high = band.low, band.high
        inner = 0.05 if high - low >= 0.2 else max(0.05, 0.6 * (high - low))
        return cls(
            a0=max(low - 0.03, 0.4 * low),
            a1=min(low + inner, 1 - 0.4 * (1 - low)) if low > 0 else 0.0,
            b0=max(high - inner, 0.4 * high) if high < 1 else 1.0,
            b1=min(high + 0.05, 1 - 0.4 * (1 - high)),
        )


@dataclass(frozen=True, slots=True)
class Bets:
    """The four bets of a certificate; the name is what a large e-value proves of the mean."""

    below_a1: Bet
    above_a0: Bet
    below_b1: Bet
    above_b0: Bet


@dataclass(frozen=True, slots=True)
class LogEValues:
    """Natural logarithms of the four e-values."""

    below_a1: float
    above_a0: float
    below_b1: float
    above_b0: float

    def certified_class(self, error_rate: float, preferred: Verdict | None = None) -> Verdict | None:
        """The class whose pair of e-values reaches 1/error_rate (Ville 1939), or None.

        After a few hundred rollouts a rate within a zone proves two classes; then `preferred` is returned if it is one.
        """
        needed = -math.log(error_rate)
        pairs = {
            Verdict.TOO_HARD: (self.below_a1, self.below_b1),
            Verdict.TOO_EASY: (self.above_b0, self.above_a0),
            Verdict.IN_BAND: (self.above_a0, self.below_b1),
        }
        certified = [verdict for verdict, pair in pairs.items() if min(pair) >= needed]
        return preferred if preferred in certified else next(iter(certified), None)


NEVER_SHOWN = Bet(0.5, ())
"""Its e-value never grows: a rate below 0 or above 1 cannot be shown."""

ALWAYS_SHOWN = Bet(0.5, ((math.inf, 0.5),))
"""Its e-value is infinite: that a rate lies in [0, 1] needs no evidence."""


def make_bet(tau: float, points: Sequence[tuple[float, float]], spread: float, to: float, nodes: int = NODES) -> Bet:
    """A bet with (weight, q) `points`, and a weight of `spread` uniform between tau and `to`, by mid-points."""
    uniform = ((spread / nodes, tau + (to - tau) * (j + 0.5) / nodes) for j in range(nodes)) if spread else ()
    return Bet(tau, (*points, *uniform))


def recommended_bets(zone: Zone | None = None, nodes: int = NODES) -> Bets:
    """The recommended four.

    A point at the far end makes runs of failures (successes) as cheap as a test of the extreme, one at the other end
    of the zone what Wald's test is (1945), the uniform part keeps all in between from being hopeless (Robbins 1970).
    """
    z = zone or Zone()
    low, high = z.a1 > 0, z.b0 < 1
    return Bets(
        below_a1=make_bet(z.a1, ((0.45, 0.0), (0.50, z.a0)), 0.05, 0.0, nodes) if low else NEVER_SHOWN,
        above_a0=make_bet(z.a0, ((0.50, z.a1),), 0.50, 1.0, nodes) if low else ALWAYS_SHOWN,
        below_b1=make_bet(z.b1, ((0.50, z.b0),), 0.50, 0.0, nodes) if high else ALWAYS_SHOWN,
        above_b0=make_bet(z.b0, ((0.45, 1.0), (0.50, z.b1)), 0.05, 1.0, nodes) if high else NEVER_SHOWN,
    )


def log_e_value(bet: Bet, rewards: Sequence[float]) -> float:
    """The log of sum_j w_j prod_i [x_i q_j/tau + (1 - x_i)(1 - q_j)/(1 - tau)] over rewards x; 0 without any.

    Each factor is 1 + lambda_j (x_i - tau), so that the sum is a test supermartingale under every law whose mean is on
    tau's other side (Waudby-Smith and Ramdas 2024, section 4; Howard et al. 2021). Raises ValueError outside [0, 1].
    """
    if not all(0.0 <= reward <= 1.0 for reward in rewards):
        raise ValueError("a bet's rewards must lie in [0, 1]: rescale them by the range they are known to have")
    tau = bet.tau
    return _log_sum(
        math.log(weight) + sum(_log(x * q / tau + (1 - x) * (1 - q) / (1 - tau)) for x in rewards)
        for weight, q in bet.atoms
    )


def log_e_value_of_counts(bet: Bet, passed: float, graded: int) -> float:
    """The same for `passed` rewards of 1 and the rest 0, where the order cannot matter: a ratio of likelihoods.

    The sum of partial rewards may stand for `passed`: still valid, but a weaker bet than on the rewards themselves.
    """
    failed = graded - passed
    return _log_sum(
        math.log(weight) + _times(passed, _log(q / bet.tau)) + _times(failed, _log((1 - q) / (1 - bet.tau)))
        for weight, q in bet.atoms
    )


def e_values(four: Bets, rewards: Sequence[float]) -> LogEValues:
    """All four e-values of rewards in [0, 1]: for the mean reward, or with zeros and ones for the success rate."""
    return _each(four, lambda bet: log_e_value(bet, rewards))


def e_values_of_counts(four: Bets, passed: float, graded: int) -> LogEValues:
    """All four e-values of k of n."""
    return _each(four, lambda bet: log_e_value_of_counts(bet, passed, graded))


def certificate_table(four: Bets, cap: int, error_rate: float) -> StoppingTable:
    """Where the first certificate of a task's success rate is reached, for every k of n up to the cap.

    Every e-value rises or falls with k, and its boundary moves by at most one pass a rollout: one step of each finds
    the whole table.
    """
    needed = -math.log(error_rate)
    most_hard = _boundary(cap, lambda k, n: min(_at(four.below_a1, k, n), _at(four.below_b1, k, n)) >= needed)
    most_band = _boundary(cap, lambda k, n: _at(four.below_b1, k, n) >= needed)
    fewest_band = _boundary(cap, lambda k, n: _at(four.above_a0, k, n) < needed)
    fewest_easy = _boundary(cap, lambda k, n: min(_at(four.above_b0, k, n), _at(four.above_a0, k, n)) < needed)

    def cell(k: int, n: int) -> Verdict | None:
        if k <= most_hard[n]:
            return Verdict.TOO_HARD
        if k > fewest_easy[n]:
            return Verdict.TOO_EASY
        return Verdict.IN_BAND if fewest_band[n] < k <= most_band[n] else None

    return StoppingTable(tuple(tuple(cell(k, n) for k in range(n + 1)) for n in range(cap + 1)))


def _boundary(cap: int, holds: Callable[[int, int], bool]) -> list[int]:
    """For each n the largest k at which it holds, -1 for none; it must hold up to some k, which grows with n."""
    boundary, k = [], -1
    for n in range(cap + 1):
        while k < n and holds(k + 1, n):
            k += 1
        boundary.append(k)
    return boundary


_at = log_e_value_of_counts


def _each(four: Bets, e_value: Callable[[Bet], float]) -> LogEValues:
    return LogEValues(e_value(four.below_a1), e_value(four.above_a0), e_value(four.below_b1), e_value(four.above_b0))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _times(count: float, value: float) -> float:
    return count * value if count else 0.0


def _log_sum(values: Iterable[float]) -> float:
    """The log of the sum of exponentials, without overflow."""
    logs = list(values)
    top = max(logs, default=-math.inf)
    if math.isinf(top):
        return top
    return top + math.log(math.fsum(math.exp(value - top) for value in logs))
