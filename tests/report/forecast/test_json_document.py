"""A simulation as JSON: numbers as they are, null for what does not exist, and nothing that JSON does not know."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.report.forecast.json_document import render
from tests.report.forecast.simulation_case import HOSTILE, empty, hostile, simulation

if TYPE_CHECKING:
    from taskcal.core.forecast.compare_designs import Simulation


def read(found: Simulation) -> Any:
    return json.loads(render(found), parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))


def test_every_number_of_the_table_is_there_unrounded() -> None:
    """Rollouts, seconds, dollars and shares of the default design, and the fixed groups that equal it."""
    document = read(simulation(cost=0.02))
    found = document["designs"][2]
    assert document["schema"] == "taskcal/simulation@1"
    assert (found["design"], found["rule"], found["max_group_size"]) == ("posterior up to 64", "posterior", 64)
    assert found["rollouts_per_task"] == pytest.approx(17.936, abs=6e-4)
    assert found["seconds"] == pytest.approx(200 * found["rollouts_per_task"] * 60 / 8)
    assert found["cost_usd"] == pytest.approx(0.02 * found["rollouts"])
    assert found["equal_fixed_group_size"] == {"wrong": 42, "decided": 254}
    assert document["designs"][0]["equal_fixed_group_size"] == {}
    assert document["smallest_fixed_group_size"] == 31


def test_what_is_undefined_is_null() -> None:
    """Never a zero, never NaN."""
    (found,) = read(empty())["designs"]
    assert (found["decided_wrong"], found["signal"], found["cost_usd"], found["rule"]) == (None, None, None, None)


def test_a_strangers_name_stays_as_it_is() -> None:
    """JSON has its own escapes: the name comes back whole."""
    assert read(hostile())["population"]["name"] == HOSTILE
