"""Which user of an agent's file is another one than the task's."""

from __future__ import annotations

import pytest

from taskcal.core.user_override import UserOverride, override_of


@pytest.mark.parametrize(
    ("agent", "task"),
    [
        (None, None),
        (None, "nobody"),
        ("agent", "agent"),
        ("root", "0"),
        ("0:0", "root"),
        ("root:root", "0"),
        ("a:0", "a:root"),
    ],
)
def test_the_same_user_is_no_override(agent: str | None, task: str | None) -> None:
    """An agent without a user, and one that is written in another way."""
    assert override_of(agent, task) is None


@pytest.mark.parametrize(
    ("agent", "task", "words"),
    [
        ("root", "nobody", "root instead of nobody"),
        ("nobody", "root", "nobody instead of root"),
        ("0", None, "0 instead of the user of the image"),
        ("agent:0", "agent", "agent:0 instead of agent"),
    ],
)
def test_another_user_is_one(agent: str, task: str | None, words: str) -> None:
    """Also the group, and where the task leaves the user to its image, which only the engine knows."""
    found = override_of(agent, task)
    assert found == UserOverride(agent, task or "")
    assert found is not None
    assert found.words == words
