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
from taskcal.core.adaptive.planner import advance
from taskcal.core.adaptive.tables import Source
from taskcal.core.adaptive.task_state import Closed, Launch
from taskcal.core.stats import prior as priors
from taskcal.core.stats.certificate import Zone, bets, fortunes, fortunes_of_counts
from taskcal.core.stats.prior import FEWEST_TASKS, JEFFREYS, UNIFORM, Counts
from taskcal.core.stats.rates import DEFAULT_PRIOR, mean
from taskcal.core.verdict import Posterior, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.core.adaptive.task_state import Standing, TaskState
    from taskcal.core.settings import Question
    from taskcal.core.stats.certificate import Bets
    from taskcal.core.stats.prior import Prior
    from taskcal.core.verdict import Band


@dataclass(frozen=True, slots=True)
class Opinion:
    """What is thought of one task.

    `counts` are those that it rests on, `posterior` is None where they are empty. `likely` is the class that has at
    least 1 - error_rate of it, `certificate` the class that a guarantee holds for whatever the prior. `closed` says why
    an adaptive run gave the task no more; None where it was open, or in a fixed design.
    """

    counts: Counts
    posterior: Posterior | None
    likely: Verdict | None
    certificate: Verdict | None
    source: Source
    prior: Prior
    closed: Closed | None = None


def judge(tasks: Sequence[TaskState], question: Question) -> tuple[Opinion, ...]:
    """One opinion a task, in the given order."""
    return _after_stopping(tasks, question) if question.adaptive else _of_fixed_groups(tasks, question)


def judge_rewards(rewards: Sequence[Sequence[float]], question: Question) -> tuple[Opinion, ...]:
    """The same about mean rewards: there is no prior over all laws of a reward, so only certificates are sure."""
    four = _bets_around(question.band)
    return tuple(
        Opinion(
            counts=Counts(0, len(group)),
            posterior=None,
            likely=None,
            certificate=fortunes(four, group).certified(question.error_rate, _class_of(group, question)),
            source=Source.NONE,
            prior=DEFAULT_PRIOR,
        )
        for group in rewards
    )


def rejudge(opinion: Opinion, counts: Counts, question: Question) -> Opinion:
    """What would be thought of the same task, believed of it what is now, had these been its counts."""
    believed = _Believed(opinion.source, opinion.prior)
    return _judged(counts, believed, _bets_around(question.band), question)


def _class_of(rewards: Sequence[float], question: Question) -> Verdict | None:
    average = mean(rewards)
    return None if average is None else question.band.verdict(average)


def robust(opinion: Opinion, question: Question) -> bool | None:
    """Whether the default, Jeffreys' and the uniform prior all decide the same, if anything; None without counts."""
    if opinion.posterior is None:
        return None
    posteriors = (_posterior(prior, opinion.counts, question) for prior in OTHER_PRIORS)
    return {_decided(opinion.counts, one, question) for one in posteriors} == {opinion.likely}


OTHER_PRIORS: tuple[Prior, ...] = (DEFAULT_PRIOR, JEFFREYS, UNIFORM)


def _after_stopping(tasks: Sequence[TaskState], question: Question) -> tuple[Opinion, ...]:
    outlook = advance(tasks, 0, question.design)
    return tuple(
        _opinion(standing, outlook.beliefs.of(task).book.prior)
        for task, standing in zip(tasks, outlook.standings, strict=True)
    )


def _opinion(standing: Standing, prior: Prior) -> Opinion:
    return Opinion(
        counts=standing.counts,
        posterior=Posterior(*standing.posterior) if standing.counts.graded else None,
        likely=standing.likely,
        certificate=standing.certificate,
        source=standing.prior,
        prior=prior,
        closed=standing.closed,
    )


@cache
def _bets_around(band: Band) -> Bets:
    return bets(Zone.around(band))


@dataclass(frozen=True, slots=True)
class _Believed:
    source: Source
    prior: Prior


def _of_fixed_groups(tasks: Sequence[TaskState], question: Question) -> tuple[Opinion, ...]:
    counts = [_graded(task) for task in tasks]
    population = _population(counts, question)
    warm = _warm(tasks, counts, question)
    four = _bets_around(question.band)
    known: dict[tuple[Counts, Counts | None], Opinion] = {}
    for task, count in zip(tasks, counts, strict=True):
        if (count, task.earlier) not in known:
            believed = warm[task.earlier] if task.earlier else population
            known[count, task.earlier] = _judged(count, believed, four, question)
    return tuple(known[count, task.earlier] for task, count in zip(tasks, counts, strict=True))


def _graded(task: TaskState) -> Counts:
    passed = task.launches.count(Launch.PASSED)
    return Counts(passed, passed + task.launches.count(Launch.FAILED))


def _population(counts: Sequence[Counts], question: Question) -> _Believed:
    if not question.design.learn or sum(count.graded > 0 for count in counts) < FEWEST_TASKS:
        return _Believed(Source.DEFAULT, DEFAULT_PRIOR)
    return _Believed(Source.LEARNED, priors.learned(counts, question.design.edges))


def _warm(tasks: Sequence[TaskState], counts: Sequence[Counts], question: Question) -> Mapping[Counts, _Believed]:
    """The prior of each earlier count, by how far the agent has moved since."""
    pairs = [(task.earlier, now) for task, now in zip(tasks, counts, strict=True) if task.earlier]
    if not pairs:
        return {}
    memory = drift.remember([before for before, _ in pairs], question.design.edges)
    moves = drift.weigh(memory, pairs if question.design.learn else ())
    return {before: _Believed(Source.WARM, drift.warm(memory, moves, before)) for before in memory.known}


def _judged(counts: Counts, believed: _Believed, four: Bets, question: Question) -> Opinion:
    posterior = _posterior(believed.prior, counts, question)
    likely = _decided(counts, posterior, question)
    rather = likely or (question.band.verdict(counts.passed / counts.graded) if counts.graded else None)
    return Opinion(
        counts=counts,
        posterior=posterior,
        likely=likely,
        certificate=fortunes_of_counts(four, *counts).certified(question.error_rate, rather),
        source=believed.source,
        prior=believed.prior,
    )


def _posterior(prior: Prior, counts: Counts, question: Question) -> Posterior | None:
    return Posterior(*priors.class_probabilities(prior, counts, question.design.edges)) if counts.graded else None


def _decided(counts: Counts, posterior: Posterior | None, question: Question) -> Verdict | None:
    if posterior is None or counts.graded < question.design.first:
        return None
    return posterior.likeliest if posterior.highest >= 1 - question.error_rate else None
