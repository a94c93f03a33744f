"""Numbers for people: rounded, but never to a certainty that nobody measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.rollout import GroupId
from taskcal.report.wording import formatting
from tests.core.core_case import counts


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "\N{EN DASH}"),
        (0, "0 %"),
        (1 / 200, "<1 %"),
        (1 / 150, "1 %"),
        (3 / 8, "38 %"),
        (198 / 200, "99 %"),
        (199 / 200, ">99 %"),
        (1, "100 %"),
    ],
)
def test_a_share_is_a_whole_percent(value: float | None, written: str) -> None:
    """Rounded, with signs of its own for what is nearly none or nearly all."""
    assert formatting.percent(value) == written


@given(all_of=st.integers(1, 10_000), part=st.integers(0, 10_000))
def test_only_none_and_all_are_written_so(all_of: int, part: int) -> None:
    """`0 %` is exactly 0 and `100 %` exactly 1, for every rate that a run can have."""
    share = min(part, all_of) / all_of
    assert (formatting.percent(share) == "0 %") == (share == 0)
    assert (formatting.percent(share) == "100 %") == (share == 1)


def test_the_ends_of_an_interval_follow_the_same_rule() -> None:
    """One failure among thousands leaves an interval that does not reach 100, one pass one that leaves 0."""
    assert formatting.rate(counts(4999, 1)) == ">99 % [>99\N{EN DASH}>99]"
    assert formatting.rate(counts(1, 4999)) == "<1 % [<1\N{EN DASH}<1]"
    assert formatting.rate(counts(8, 0)).endswith("\N{EN DASH}100]")


@given(st.lists(st.builds(GroupId, st.sampled_from("abc"), st.sampled_from(["", "1", "2"])), unique=True))
def test_tasks_and_variants_are_counted_in_one_way(groups: list[GroupId]) -> None:
    """Every group is a variant as soon as one task has variants; without them there are only tasks."""
    tasks = len({group.task for group in groups})
    text = formatting.extent(groups)
    assert text.endswith(f"{tasks} task{'s' * (tasks != 1)}")
    assert ("variant" in text) == any(group.variant for group in groups)
    if "variant" in text:
        assert text.startswith(f"{len(groups)} variant{'s' * (len(groups) != 1)} of ")
