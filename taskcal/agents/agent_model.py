"""What the files of all kinds of agents have in common, as the models that check them."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from taskcal.agents.spec import Price
from taskcal.yamlfile.fields import Id, Model, Seconds

Dollars = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class AgentModel(Model):
    """What every kind of agent has."""

    inner_maps: ClassVar[frozenset[str]] = frozenset()

    agent: Id
    """Name of the agent in reports."""
    timeout: Seconds | None = None
    """Longest time for the agent, such as 5m, at most the task's own. Default: the task's."""


class PriceModel(Model):
    """US dollars per million tokens."""

    input: Dollars
    """Price of a million input tokens, in US dollars."""
    output: Dollars
    """Price of a million output tokens, in US dollars."""
    cached_input: Dollars | None = None
    """Price of a million cached input tokens, in US dollars. Default: the price of input."""


def price_of(model: PriceModel | None) -> Price | None:
    """The price of an agent file, where it has one."""
    return None if model is None else Price(model.input, model.output, model.cached_input)
