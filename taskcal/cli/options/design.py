"""How a run decides that it has enough, from what was typed: fixed groups or an adaptive design, and what to spend."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from taskcal.agents.chat.agent import ChatAgent
from taskcal.core.adaptive.design import Rule
from taskcal.core.settings import CalibrationSettings, Metric
from taskcal.errors import UsageError

if TYPE_CHECKING:
    from taskcal.agents import Agent
    from taskcal.core.adaptive.design import Design
    from taskcal.runs.request import Spending

STOPS = {"sure": Rule.POSTERIOR, "value": Rule.VALUE}


@dataclass(frozen=True, slots=True)
class DesignOptions:
    """The command line as typed; None is not given."""

    adaptive: bool = False
    error_rate: float | None = None
    max_group_size: int | None = None
    certify: bool = False
    budget: int | None = None
    stop: str | None = None
    flat_tolerance: float | None = None
    metric: str | None = None
    prior: str | None = None


def check_cost(spending: Spending, agent: Agent) -> None:
    """Raise UsageError where a limit of cost could not bind: a chat's servers tell tokens, and only a price is dollars.

    What another agent's program may tell is seen only when it runs.
    """
    if spending.cost_usd is not None and isinstance(agent, ChatAgent) and agent.spec.price is None:
        raise UsageError(
            f"--max-cost needs a price in the file of the agent {agent.name}: price: {{input: …, output: …}}, "
            "US dollars per million tokens"
        )


def settings_of_design(typed: DesignOptions, base: CalibrationSettings) -> CalibrationSettings:
    """What is asked, where `base` is what it was before anything was typed. Raises UsageError."""
    adaptive = typed.adaptive or base.adaptive
    _refuse_without_adaptive(typed, adaptive=adaptive)
    metric = _metric(typed.metric) if typed.metric else base.metric
    if adaptive and metric is Metric.REWARD:
        raise UsageError("--metric reward judges fixed groups; leave --adaptive out, or judge successes")
    return replace(
        base,
        design=_design(typed, base.design) if adaptive else replace(base.design, error_rate=_error_rate(typed, base)),
        flat_tolerance=base.flat_tolerance if typed.flat_tolerance is None else typed.flat_tolerance,
        metric=metric,
    )


def _design(typed: DesignOptions, base: Design) -> Design:
    return replace(
        base,
        error_rate=base.error_rate if typed.error_rate is None else typed.error_rate,
        rule=_rule(typed, base.rule),
        cap=base.cap if typed.max_group_size is None else typed.max_group_size,
        budget=base.budget if typed.budget is None else typed.budget,
    )


def _rule(typed: DesignOptions, before: Rule) -> Rule:
    """A budget without another rule is spent where it is worth most, on decided tasks too."""
    if typed.certify and typed.stop:
        raise UsageError("--certify and --stop each say when a task has had enough; choose one")
    if typed.certify:
        return Rule.CERTIFY
    if typed.stop is not None:
        if typed.stop not in STOPS:
            raise UsageError(f"--stop {typed.stop}: must be one of {', '.join(STOPS)}")
        return STOPS[typed.stop]
    if before is not Rule.FIXED:
        return before
    return Rule.POSTERIOR if typed.budget is None else Rule.NEVER


def _metric(text: str) -> Metric:
    if text not in set(Metric):
        raise UsageError(f"--metric {text}: must be one of {', '.join(Metric)}")
    return Metric(text)


def _error_rate(typed: DesignOptions, base: CalibrationSettings) -> float:
    return base.error_rate if typed.error_rate is None else typed.error_rate


def _refuse_without_adaptive(typed: DesignOptions, *, adaptive: bool) -> None:
    if adaptive:
        return
    needing = {"max_group_size", "certify", "budget", "stop"}
    given = [field.name for field in fields(typed) if field.name in needing and getattr(typed, field.name)]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} goes with --adaptive; a fixed run takes --group-size of each")
