"""A chat agent with its surroundings, for every test that wants one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.agents.chat.chat_case import ChatCase, chat_case
from tests.agents.fake_sandbox import as_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def case() -> Iterator[ChatCase]:
    """Give an agent, its endpoint, its sandbox and its clock."""
    made = chat_case()
    assert as_sandbox(made.sandbox)
    yield made
    made.close()
