"""What a forecast comes to in words and numbers, the same in a terminal, on a page and in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from taskcal.core.forecast.compare_designs import Goal
from taskcal.core.stats.posterior_table import CLASSES
from taskcal.core.stats.prior import FEWEST_TASKS
from taskcal.core.stats.rates import DEFAULT_PRIOR
from taskcal.core.stats.signal import mixed_chance
from taskcal.core.verdict import Verdict
from taskcal.report.wording import formatting
from taskcal.report.wording.sanitize import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from taskcal.core.forecast.compare_designs import Match, Simulation
    from taskcal.core.forecast.simulate import Forecast

ABOUT = 400


@dataclass(frozen=True, slots=True)
class ForecastColumn:
    """One column of the forecasts. Where room is short, those of the highest rank go first."""

    title: str
    cell: Callable[[Forecast, Simulation], str]
    rank: int
    means: str = ""


def columns(simulation: Simulation) -> list[ForecastColumn]:
    """The columns of the table; no cost where none is known."""
    return [column for column in COLUMNS if column.title != "cost" or simulation.scale.cost_usd is not None]


def format_share(value: float | None) -> str:
    """`4.5 %`, with a decimal below ten; what is nearly none or nearly all never rounds to it."""
    if value is None or round(1000 * value) >= 100 or value == 0:
        return formatting.percent(value)
    return f"{format_number(100 * value)} %" if value >= 0.0005 else "<0.1 %"


def format_number(value: float) -> str:
    """`17.9`, and `8` for what is whole."""
    return f"{value:.1f}".removesuffix(".0")


def times(ratio: float) -> str:
    """`2.3`, `14`."""
    return f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.2g}"


def _lost(one: Forecast, simulation: Simulation) -> str:
    return format_number(one.good_lost * simulation.scale.tasks)


COLUMNS = (
    ForecastColumn("design", lambda one, _: one.plan.name, 0),
    ForecastColumn("per task", lambda one, _: format_number(one.rollouts), 1, "rollouts of a task, on average"),
    ForecastColumn("rollouts", lambda one, all_: f"{all_.scale.rollouts(one.rollouts):,.0f}", 10),
    ForecastColumn("time", lambda one, all_: formatting.format_duration(all_.scale.duration(one.rollouts)), 5),
    ForecastColumn("cost", lambda one, all_: formatting.money(all_.scale.cost(one.rollouts)), 6),
    ForecastColumn(
        "decided",
        lambda one, _: format_share(one.decided),
        3,
        "tasks with a sure verdict (likely; to certify, certified)",
    ),
    ForecastColumn(
        "decided wrong", lambda one, _: format_share(one.decided_wrong), 4, "of these verdicts, the wrong ones"
    ),
    ForecastColumn("wrong", lambda one, _: format_share(one.wrong), 2, "tasks with a wrong verdict, sure or leaning"),
    ForecastColumn(
        "far wrong", lambda one, _: format_share(one.wrong_by_far), 9, "wrong, and not because the rate is near an edge"
    ),
    ForecastColumn("good lost", _lost, 8, "tasks in the band called too-hard"),
    ForecastColumn(
        "signal",
        lambda one, _: format_share(one.signal),
        7,
        "mixed groups, if only what is called in-band is trained on",
    ),
)


def forecast_title(simulation: Simulation) -> str:
    """The name of what was assumed, which may come from anybody."""
    return plain(simulation.population.name)


def about(simulation: Simulation) -> str:
    """What was assumed."""
    return plain(simulation.population.about, ABOUT)


def setting(simulation: Simulation) -> list[str]:
    """The taskset as it is assumed, and what a rollout takes."""
    population, terms, scale = simulation.population, simulation.terms, simulation.scale
    verdicts = [terms.band.verdict(rate) for rate in population.rates]
    classes = [population.average([float(one is verdict) for one in verdicts]) for verdict in CLASSES]
    mixed = [mixed_chance(rate, terms.training_group_size) for rate in population.rates]
    inside = population.average([p * (one is Verdict.IN_BAND) for p, one in zip(mixed, verdicts, strict=True)])
    known = "the default prior" if terms.prior is DEFAULT_PRIOR else "a prior learned from the taskset"
    kept = f"; of the in-band tasks' groups {format_share(inside / classes[1])}" if classes[1] else ""
    parts = ", ".join(f"{format_share(part)} {verdict}" for part, verdict in zip(classes, CLASSES, strict=True))
    effort = f"{formatting.format_duration(scale.seconds)} a rollout, {scale.concurrency} at a time"
    judged = f"a verdict is sure from {100 * (1 - terms.error_rate):g} % on, under {known}"
    return [
        f"True rates: {parts} (the band is {formatting.percent_band(terms.band)}).",
        f"Of groups of {terms.training_group_size}, {format_share(population.average(mixed))} are mixed{kept}.",
        f"{formatting.many(scale.tasks, 'task')}, {effort}; {judged}.",
    ]


def forecast_legend(shown: Iterable[ForecastColumn]) -> list[tuple[str, str]]:
    """The columns that do not explain themselves, with what they mean."""
    return [(column.title, column.means) for column in shown if column.means]


def advise_on_sizes(simulation: Simulation) -> list[str]:
    """What to choose for the error rate asked for, what each adaptive design equals, and a warning where one is due."""
    return [_choice(simulation), *(_equals(one, simulation) for one in simulation.adaptive), *_warning(simulation)]


def _choice(simulation: Simulation) -> str:
    target, size, best = format_share(simulation.terms.error_rate), simulation.enough, simulation.cheapest
    fixed = f"fixed groups of {size or f'more than {simulation.sizes[-1].group_size}'}"
    start = f"At most {target} wrong, sure or leaning, takes {fixed}"
    if best is None:
        return f"{start}{'; no adaptive design here gets there' if simulation.adaptive else ''}."
    return (
        f"{start}, or {format_number(best.rollouts)} rollouts a task with {best.plan.name}{_gain(size, best.rollouts)}."
    )


def _gain(size: int | None, rollouts: float) -> str:
    if size is None or not rollouts:
        return ""
    fewer = size / rollouts
    return f": {times(fewer)} times fewer" if fewer >= 1.05 else ": not fewer"


GOALS = MappingProxyType(
    {
        Goal.WRONG: "to be wrong as seldom ({})",
        Goal.DECIDED: "to decide as many ({})",
        Goal.GUARANTEE: "for the same guarantee (wrong by far in at most {}, whatever the rate)",
    }
)


def _equals(one: Forecast, simulation: Simulation) -> str:
    """How many rollouts fixed groups need to equal a design, and how many times as many that is."""
    values = {Goal.WRONG: one.wrong, Goal.DECIDED: one.decided, Goal.GUARANTEE: simulation.terms.error_rate}
    largest = simulation.sizes[-1].group_size
    told = [
        f"{_needs(match, one, largest)} {GOALS[match.goal].format(format_share(values[match.goal]))}"
        for match in simulation.matches(one)
    ]
    return (
        f"{one.plan.name} takes {format_number(one.rollouts)} rollouts a task; fixed groups take {', and '.join(told)}."
    )


def _needs(match: Match, one: Forecast, largest: int) -> str:
    if match.group_size is None:
        return f"more than {largest}"
    many = f", {times(match.group_size / one.rollouts)} times as many," if one.rollouts else ""
    return f"{match.group_size}{many}"


def _warning(simulation: Simulation) -> Iterator[str]:
    worst = simulation.misjudged
    if worst is None:
        return
    claim = format_share(simulation.terms.error_rate)
    yield (
        f"Note: this taskset is unlike what the prior expects: with {worst.plan.name}, "
        f"{format_share(worst.decided_wrong)} of the sure verdicts are wrong, more than {claim}."
    )
    if simulation.terms.prior is DEFAULT_PRIOR:
        yield f"Runs of {FEWEST_TASKS} tasks or more learn their prior: --prior learned says what that can bring."
