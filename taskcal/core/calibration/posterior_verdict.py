"""What the counts of a whole taskset say of each task: the chance of each class, and whether that decides it.

From five measured tasks on the prior is learned from the taskset itself, since one that was chosen before can be wrong
about all of it at once; this holds for fixed groups as for adaptive ones. After adaptive stopping a task is judged by
the counts at which it was decided: under a fixed prior nothing that ended later can then change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from taskcal.core.adaptive import drift
from taskcal.core.adaptive.design import likely_class
from taskcal.core.adaptive.planner import plan_next
from taskcal.core.adaptive.task_state import Closed, Launch
from taskcal.core.stats import prior as priors
from taskcal.core.stats.certificate import Zone, e_values, e_values_of_counts, recommended_bets
from taskcal.core.stats.posterior import class_probabilities
from taskcal.core.stats.prior import FEWEST_TASKS, JEFFREYS, UNIFORM, Counts, PriorSource
from taskcal.core.stats.rates import DEFAULT_PRIOR, mean
from taskcal.core.verdict import Posterior, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.core.adaptive.task_state import TaskHistory, TaskState
    from taskcal.core.settings import CalibrationSettings
    from taskcal.core.stats.certificate import Bets
    from taskcal.core.stats.prior import Prior
    from taskcal.core.verdict import Band


@dataclass(frozen=True, slots=True)
class PosteriorVerdict:
    """What is thought of one task.

    `counts` are those that it rests on, `posterior` is None where they are empty. `likely` is the class that has at
    least 1 - error_rate of it, `certificate` the class that a guarantee holds for whatever the prior. `closed` says why
    an adaptive run gave the task no more; None where it was open, or in a fixed design.
    """

    counts: Counts
    posterior: Posterior | None
    likely: Verdict | None
    certificate: Verdict | None
    source: PriorSource
    prior: Prior
    closed: Closed | None = None


def judge_counts(tasks: Sequence[TaskHistory], settings: CalibrationSettings) -> tuple[PosteriorVerdict, ...]:
    """One opinion a task, in the given order."""
    return _after_stopping(tasks, settings) if settings.adaptive else _of_fixed_groups(tasks, settings)


def judge_rewards(rewards: Sequence[Sequence[float]], settings: CalibrationSettings) -> tuple[PosteriorVerdict, ...]:
    """The same about mean rewards: there is no prior over all laws of a reward, so only certificates are sure."""
    four = _bets_around(settings.band)
    return tuple(
        PosteriorVerdict(
            counts=Counts(0, len(group)),
            posterior=None,
            likely=None,
            certificate=e_values(four, group).certified_class(settings.error_rate, _class_of(group, settings)),
            source=PriorSource.NONE,
            prior=DEFAULT_PRIOR,
        )
        for group in rewards
    )


def rejudge(opinion: PosteriorVerdict, counts: Counts, settings: CalibrationSettings) -> PosteriorVerdict:
    """What would be thought of the same task, believed of it what is now, had these been its counts."""
    believed = _Believed(opinion.source, opinion.prior)
    return _judged(counts, believed, _bets_around(settings.band), settings)


def _class_of(rewards: Sequence[float], settings: CalibrationSettings) -> Verdict | None:
    average = mean(rewards)
    return None if average is None else settings.band.verdict(average)


def agrees_across_priors(opinion: PosteriorVerdict, settings: CalibrationSettings) -> bool | None:
    """Whether the default, Jeffreys' and the uniform prior all decide the same, if anything; None without counts."""
    if opinion.posterior is None:
        return None
    posteriors = (_posterior(prior, opinion.counts, settings) for prior in OTHER_PRIORS)
    return {_decided(opinion.counts, one, settings) for one in posteriors} == {opinion.likely}


OTHER_PRIORS: tuple[Prior, ...] = (DEFAULT_PRIOR, JEFFREYS, UNIFORM)


def _after_stopping(tasks: Sequence[TaskHistory], settings: CalibrationSettings) -> tuple[PosteriorVerdict, ...]:
    planner_state = plan_next(tasks, 0, settings.design)
    return tuple(
        _opinion(state, planner_state.tables.of(task).tables.prior)
        for task, state in zip(tasks, planner_state.states, strict=True)
    )


def _opinion(state: TaskState, prior: Prior) -> PosteriorVerdict:
    return PosteriorVerdict(
        counts=state.counts,
        posterior=Posterior(*state.posterior) if state.counts.graded else None,
        likely=state.likely,
        certificate=state.certificate,
        source=state.prior,
        prior=prior,
        closed=state.closed,
    )


@cache
def _bets_around(band: Band) -> Bets:
    return recommended_bets(Zone.around(band))


@dataclass(frozen=True, slots=True)
class _Believed:
    source: PriorSource
    prior: Prior


def _of_fixed_groups(tasks: Sequence[TaskHistory], settings: CalibrationSettings) -> tuple[PosteriorVerdict, ...]:
    counts = [_graded(task) for task in tasks]
    population = _population(counts, settings)
    warm = _warm(tasks, counts, settings)
    four = _bets_around(settings.band)
    known: dict[tuple[Counts, Counts | None], PosteriorVerdict] = {}
    for task, count in zip(tasks, counts, strict=True):
        if (count, task.earlier) not in known:
            believed = warm[task.earlier] if task.earlier else population
            known[count, task.earlier] = _judged(count, believed, four, settings)
    return tuple(known[count, task.earlier] for task, count in zip(tasks, counts, strict=True))


def _graded(task: TaskHistory) -> Counts:
    passed = task.launches.count(Launch.PASSED)
    return Counts(passed, passed + task.launches.count(Launch.FAILED))


def _population(counts: Sequence[Counts], settings: CalibrationSettings) -> _Believed:
    if not settings.design.learn or sum(count.graded > 0 for count in counts) < FEWEST_TASKS:
        return _Believed(PriorSource.DEFAULT, DEFAULT_PRIOR)
    return _Believed(PriorSource.LEARNED, priors.learn_prior(counts, settings.design.edges))


def _warm(
    tasks: Sequence[TaskHistory], counts: Sequence[Counts], settings: CalibrationSettings
) -> Mapping[Counts, _Believed]:
    """The prior of each earlier count, by how far the agent has moved since."""
    pairs = [(task.earlier, now) for task, now in zip(tasks, counts, strict=True) if task.earlier]
    if not pairs:
        return {}
    memory = drift.earlier_posteriors([before for before, _ in pairs], settings.design.edges)
    moves = drift.weigh_moves(memory, pairs if settings.design.learn else ())
    return {before: _Believed(PriorSource.WARM, drift.warm_prior(memory, moves, before)) for before in memory.known}


def _judged(counts: Counts, believed: _Believed, four: Bets, settings: CalibrationSettings) -> PosteriorVerdict:
    posterior = _posterior(believed.prior, counts, settings)
    likely = _decided(counts, posterior, settings)
    preferred = settings.band.stated(likely, counts.passed / counts.graded) if counts.graded else None
    return PosteriorVerdict(
        counts=counts,
        posterior=posterior,
        likely=likely,
        certificate=e_values_of_counts(four, *counts).certified_class(settings.error_rate, preferred),
        source=believed.source,
        prior=believed.prior,
    )


def _posterior(prior: Prior, counts: Counts, settings: CalibrationSettings) -> Posterior | None:
    return Posterior(*class_probabilities(prior, counts, settings.design.edges)) if counts.graded else None


def _decided(counts: Counts, posterior: Posterior | None, settings: CalibrationSettings) -> Verdict | None:
    if posterior is None:
        return None
    first = settings.design.first
    return likely_class(posterior.likeliest, posterior.highest, counts.graded, settings.error_rate, first)
