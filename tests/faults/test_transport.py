"""Thousands of ways in which a model's endpoint can answer, made up by seeds: bounded time and memory for each."""

from __future__ import annotations

import pytest

from tests.agents.chat.test_hostile_endpoint import FEW, MOST_BYTES, attack

BLOCK = 500


@pytest.mark.long
@pytest.mark.parametrize("first", range(FEW, FEW + 10 * BLOCK, BLOCK))
def test_whatever_a_server_makes_up_is_bounded(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer, or a failure with its reason, and the next request is well."""
    monkeypatch.setattr("taskcal.agents.chat.openai_caller.MOST_BYTES", MOST_BYTES)
    attack(range(first, first + BLOCK))
