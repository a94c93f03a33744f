"""What a run asks for, from every combination of options: the rule that results, or one line about what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.agents.builtin import Noop
from taskcal.agents.chat.agent import ChatAgent
from taskcal.agents.spec import ChatSpec, Price
from taskcal.cli.options.design import DesignOptions, check_cost, settings_of_design
from taskcal.core.adaptive.design import CAP, CERTIFIED_CAP, Design, Rule
from taskcal.core.rollout import GroupId
from taskcal.core.settings import CalibrationSettings, Metric, fixed_settings
from taskcal.core.stats.prior import Counts
from taskcal.core.verdict import Band
from taskcal.errors import UsageError
from taskcal.runs.request import Spending

PLAIN = fixed_settings(8)
ADAPTIVE = DesignOptions(adaptive=True)
NEEDING: dict[str, tuple[Any, str]] = {
    "max_group_size": (16, "--max-group-size"),
    "certify": (True, "--certify"),
    "budget": (100, "--budget"),
    "stop": ("sure", "--stop"),
}


def test_nothing_typed_is_a_fixed_run() -> None:
    """The question stays as the project has it."""
    assert settings_of_design(DesignOptions(), PLAIN) == PLAIN


@pytest.mark.parametrize(
    ("typed", "rule", "limit", "budget"),
    [
        ({}, Rule.POSTERIOR, CAP, None),
        ({"stop": "sure"}, Rule.POSTERIOR, CAP, None),
        ({"stop": "value"}, Rule.VALUE, CAP, None),
        ({"certify": True}, Rule.CERTIFY, CERTIFIED_CAP, None),
        ({"budget": 100}, Rule.NEVER, CAP, 100),
        ({"budget": 100, "stop": "sure"}, Rule.POSTERIOR, CAP, 100),
        ({"budget": 100, "stop": "value"}, Rule.VALUE, CAP, 100),
        ({"budget": 100, "certify": True}, Rule.CERTIFY, CERTIFIED_CAP, 100),
        ({"max_group_size": 16}, Rule.POSTERIOR, 16, None),
        ({"max_group_size": 16, "certify": True}, Rule.CERTIFY, 16, None),
        ({"max_group_size": 200, "budget": 9}, Rule.NEVER, 200, 9),
        ({"metric": "success"}, Rule.POSTERIOR, CAP, None),
        ({"prior": "last"}, Rule.POSTERIOR, CAP, None),
    ],
    ids=str,
)
def test_what_rule_results(typed: dict[str, Any], rule: Rule, limit: int, budget: int | None) -> None:
    """A budget alone is spent to its end; with a rule it is only a bound; a certificate may take twice as many."""
    found = settings_of_design(replace(ADAPTIVE, **typed), PLAIN).design
    assert (found.rule, found.limit, found.budget) == (rule, limit, budget)
    assert found.learn
    assert found.error_rate == 0.05


@given(
    certify=st.booleans(),
    stop=st.sampled_from([None, "sure", "value"]),
    budget=st.none() | st.integers(1, 9999),
    cap=st.none() | st.integers(4, 256),
    error_rate=st.none() | st.floats(1e-6, 0.5),
    tolerance=st.none() | st.floats(0, 1),
)
def test_every_combination_is_a_design_or_a_usage_error(
    certify: bool,
    stop: str | None,
    budget: int | None,
    cap: int | None,
    error_rate: float | None,
    tolerance: float | None,
) -> None:
    """Only two ways to stop at once are refused; all else is asked as typed, for the same group size and band."""
    typed = DesignOptions(True, error_rate, cap, certify, budget, stop, tolerance, "success", None)
    base = fixed_settings(6, Band(0.1, 0.9))
    if certify and stop:
        with pytest.raises(UsageError, match="choose one"):
            settings_of_design(typed, base)
        return
    found = settings_of_design(typed, base)
    assert found.adaptive
    assert (found.group_size, found.band) == (6, Band(0.1, 0.9))
    assert (found.design.budget, found.design.cap) == (budget, cap)
    assert found.error_rate == (error_rate or 0.05)
    assert found.flat_tolerance == (0.02 if tolerance is None else tolerance)
    assert (found.design.rule is Rule.NEVER) == (budget is not None and not certify and stop is None)


@pytest.mark.parametrize("name", NEEDING)
def test_what_goes_with_adaptive_is_refused_without_it(name: str) -> None:
    """It would change nothing of a fixed run, and whoever typed it expected that it does."""
    value, option = NEEDING[name]
    typed = replace(DesignOptions(), **{name: value})
    with pytest.raises(UsageError, match=f"^{option} goes with --adaptive; a fixed run takes --group-size of each$"):
        settings_of_design(typed, PLAIN)
    assert settings_of_design(replace(typed, adaptive=True), PLAIN).adaptive


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (replace(ADAPTIVE, certify=True, stop="sure"), "--certify and --stop each say when"),
        (replace(ADAPTIVE, stop="never"), "--stop never: must be one of sure, value"),
        (replace(ADAPTIVE, metric="rewards"), "--metric rewards: must be one of success, reward"),
        (replace(ADAPTIVE, metric="reward"), "--metric reward judges fixed groups; leave --adaptive out"),
        (DesignOptions(metric="pass"), "--metric pass: must be one of success, reward"),
    ],
)
def test_wrong_usage_is_one_line(typed: DesignOptions, message: str) -> None:
    """It names the option and what would be right."""
    with pytest.raises(UsageError) as caught:
        settings_of_design(typed, PLAIN)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_limit_of_cost_needs_a_price() -> None:
    """A chat's servers tell tokens: without a price every rollout would run, and the limit would never be reached."""
    spec = ChatSpec("mine", ("http://a/v1",), "qwen")
    with pytest.raises(UsageError, match=r"--max-cost needs a price in the file of the agent mine: price: \{input"):
        check_cost(Spending(cost_usd=1.0), ChatAgent(spec))
    check_cost(Spending(rollouts=5), ChatAgent(spec))
    check_cost(Spending(cost_usd=1.0), ChatAgent(replace(spec, price=Price(1.0, 2.0))))
    check_cost(Spending(cost_usd=1.0), Noop())


def test_a_fixed_run_takes_what_is_about_judging() -> None:
    """How sure, what counts as equal and which metric need no adaptive run; neither does an earlier one."""
    found = settings_of_design(DesignOptions(error_rate=0.01, flat_tolerance=0.0, metric="reward", prior="last"), PLAIN)
    assert (found.error_rate, found.flat_tolerance, found.metric) == (0.01, 0.0, Metric.REWARD)
    assert not found.adaptive


def test_a_resumed_run_asks_what_it_asked() -> None:
    """Where nothing is typed every part of the design stays, and what is typed replaces its part alone."""
    design = Design(Band(0.1, 0.9), 0.1, Rule.CERTIFY, cap=99, budget=500, learn=False)
    base = CalibrationSettings(8, design, 0.1, earlier={GroupId("a", ""): Counts(1, 2)})
    assert settings_of_design(DesignOptions(), base) == base
    assert settings_of_design(ADAPTIVE, base) == base
    larger = settings_of_design(DesignOptions(max_group_size=128, budget=900), base)
    assert larger == replace(base, design=replace(design, cap=128, budget=900))
    assert settings_of_design(DesignOptions(stop="value"), base).design.rule is Rule.VALUE
    with pytest.raises(UsageError, match="--metric reward"):
        settings_of_design(DesignOptions(metric="reward"), base)
