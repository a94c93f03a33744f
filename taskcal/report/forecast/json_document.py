"""The forecasts as JSON, for programs: every number that the table rounds; what is undefined is null."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from taskcal.report.forecast.words import advise_on_sizes

if TYPE_CHECKING:
    from taskcal.core.forecast.compare_designs import Simulation
    from taskcal.core.forecast.simulate import Forecast


def render(simulation: Simulation) -> str:
    """The document as text that ends with a newline."""
    return json.dumps(document(simulation), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def document(simulation: Simulation) -> dict[str, Any]:
    """Schema `taskcal/simulation@1`: rates and shares in [0, 1], seconds, US dollars."""
    population, terms, scale = simulation.population, simulation.terms, simulation.scale
    return {
        "schema": "taskcal/simulation@1",
        "population": {
            "name": population.name,
            "about": population.about,
            "mean_success_rate": population.average(population.rates),
        },
        "question": {
            "band": [terms.band.low, terms.band.high],
            "error_rate": terms.error_rate,
            "training_group_size": terms.training_group_size,
            "tasks": scale.tasks,
            "rollout_seconds": scale.seconds,
            "concurrency": scale.concurrency,
            "rollout_cost_usd": scale.cost_usd,
        },
        "designs": [_design(one, simulation) for one in simulation.forecasts],
        "smallest_fixed_group_size": simulation.enough,
        "advice": advise_on_sizes(simulation),
    }


def _design(one: Forecast, simulation: Simulation) -> dict[str, Any]:
    scale, adaptive = simulation.scale, one.plan.rule is not None
    return {
        "design": one.plan.name,
        "rule": one.plan.rule.value if one.plan.rule else None,
        "max_group_size": one.plan.limit,
        "rollouts_per_task": one.rollouts,
        "rollouts": scale.rollouts(one.rollouts),
        "seconds": scale.duration(one.rollouts),
        "cost_usd": scale.cost(one.rollouts),
        "decided": one.decided,
        "decided_wrong": one.decided_wrong,
        "wrong": one.wrong,
        "wrong_by_far": one.wrong_by_far,
        "good_lost": one.good_lost,
        "called_in_band": one.called_in_band,
        "signal": one.signal,
        "equal_fixed_group_size": {m.goal.value: m.group_size for m in simulation.matches(one)} if adaptive else {},
    }
