"""The result for one task: how its rollouts ended, its rates, what a group would teach, the verdict, the cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcal.core.rollout import Stop
from taskcal.core.verdict import Strength

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.core.calibration.check_means import CheckMean
    from taskcal.core.calibration.doubt import Doubt
    from taskcal.core.calibration.posterior_verdict import PosteriorVerdict
    from taskcal.core.group_record import GroupRecord
    from taskcal.core.stats.prior import Counts
    from taskcal.core.stats.rates import Interval
    from taskcal.core.verdict import Posterior, Verdict


@dataclass(frozen=True, slots=True)
class ServiceEnds:
    """How many graded rollouts a service failed in while the agent worked, and the sentence of the first."""

    rollouts: int
    example: str


@dataclass(frozen=True, slots=True)
class RolloutCounts:
    """How the rollouts of one group ended. Of several attempts at one index only the last counts, except where noted.

    `missing` counts the rollouts of an incomplete fixed group that have no outcome yet. `retried` counts all attempts
    but first ones. `lost_by` maps boundaries to lost rollouts. `own_word` counts the attempts, retried ones too, that
    were lost because the agent's command reported a failure of its provider. `identical` is the size of the largest set
    of equal transcripts. `limited` is whether over half of the failures ran out of time or memory. `opening` counts
    the rollouts that every task of an adaptive run has before anything is decided.
    """

    graded: int
    passed: int
    lost: int
    missing: int
    retried: int
    stops: Mapping[Stop, int]
    lost_by: Mapping[str, int]
    own_word: int
    identical: int
    limited: bool
    services: ServiceEnds
    opening: Counts

    @property
    def timed_out(self) -> int:
        """Graded rollouts in which the agent ran out of time."""
        return self.stops.get(Stop.TIMEOUT, 0)

    @property
    def crashed(self) -> int:
        """Graded rollouts in which the agent crashed or ran out of memory."""
        return self.stops.get(Stop.CRASHED, 0) + self.stops.get(Stop.OUT_OF_MEMORY, 0)


@dataclass(frozen=True, slots=True)
class TaskRates:
    """Rates and means in [0, 1] over the graded rollouts; None if there are none.

    `interval` is Wilson's for a fixed group, the posterior's after adaptive stopping, where the success rate k/n is
    biased and `posterior_mean` is not.
    """

    success_rate: float | None
    interval: Interval | None
    posterior_mean: float | None
    mean_reward: float | None


@dataclass(frozen=True, slots=True)
class Learning:
    """What training on groups of this task would see; None if nothing was graded.

    `rewards` are in [0, 1], in the order of the rollouts' indices. `contrast` is their population variance, `signal`
    the chance that the rewards of a group are not all equal.
    """

    rewards: tuple[float, ...]
    contrast: float | None
    contrast_unbiased: float | None
    signal: float | None
    signal_unbiased: float | None
    recommended_group_size: int | None


@dataclass(frozen=True, slots=True)
class TaskJudgement:
    """The verdict on a task and its strength, with the posterior verdict that they rest on.

    `robust` is whether other priors decide the same; None for a leaning verdict. `reason` says why nothing was
    measured, else it is ''.
    """

    verdict: Verdict
    strength: Strength | None
    doubts: tuple[Doubt, ...]
    basis: PosteriorVerdict
    robust: bool | None
    reason: str

    @property
    def posterior(self) -> Posterior | None:
        """The probability of each class."""
        return self.basis.posterior

    @property
    def certificate(self) -> Verdict | None:
        """The verdict, if it is certified: a guarantee that doubts undo, or for another class, is not reported."""
        return self.verdict if self.strength is Strength.CERTIFIED else None

    @property
    def chance_wrong(self) -> float | None:
        """The posterior probability that the rate lies in another class than the verdict's."""
        chance = self.posterior.of(self.verdict) if self.posterior else None
        return None if chance is None else 1.0 - chance


@dataclass(frozen=True, slots=True)
class TaskCost:
    """What the rollouts took.

    `seconds` is the mean of the graded rollouts' totals. `usd` is the sum over all attempts, lost ones too, since they
    were paid for; None if no attempt reported its cost. `unknown` counts the rollouts in which the agent acted and did
    not report it, so that the cost is at least `usd`.
    """

    seconds: float | None
    usd: float | None
    unknown: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """The result for one group."""

    group: GroupRecord
    counts: RolloutCounts
    rates: TaskRates
    learning: Learning
    judgement: TaskJudgement
    checks: tuple[CheckMean, ...]
    cost: TaskCost

    @property
    def partial_signal(self) -> bool:
        """Whether rewards vary although nothing passed: too hard, and yet something to learn from."""
        return self.counts.graded > 0 and self.counts.passed == 0 and bool(self.learning.contrast)
