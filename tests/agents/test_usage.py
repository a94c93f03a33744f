"""What a rollout consumed: an untrusted file read strictly, and the arithmetic of its cost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.agents.spec import Price
from taskcal.agents.usage import MOST_BYTES, READ, UsageReport, add_cost, cost, parse_usage, read_usage
from taskcal.core.rollout import Usage
from taskcal.machine import host
from taskcal.sandbox import ScriptEnding, ScriptResult
from tests.agents.fake_sandbox import FakeSandbox

PRICE = Price(input=3.0, output=15.0, cached_input=0.3)


def test_every_key_arrives() -> None:
    """Tokens, turns and the agent's own idea of the cost; keys that are not known are passed over."""
    row = {"input_tokens": 5210, "cached_tokens": 4096, "output_tokens": 310, "turns": 7, "cost_usd": 0.021, "x": []}
    assert parse_usage(json.dumps(row).encode()) == UsageReport(Usage(5210, 4096, 310, 0.021), turns=7)
    assert parse_usage(b'{"turns": 3, "cached_tokens": null}') == UsageReport(turns=3)
    assert parse_usage(b"{}") == UsageReport()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "must be one object"),
        ("", "Expecting value"),
        ('{"input_tokens": -1}', "input_tokens: must be a whole number from 0"),
        ('{"input_tokens": 1.0}', "input_tokens: must be a whole number from 0"),
        ('{"input_tokens": true}', "input_tokens: must be a whole number from 0"),
        ('{"output_tokens": "5"}', "output_tokens: must be a whole number from 0"),
        ('{"turns": 9007199254740993}', "turns: must be a whole number from 0"),
        ('{"input_tokens": 1, "cached_tokens": 2}', "cached_tokens: more than input_tokens"),
        ('{"cost_usd": NaN}', "cost_usd: must be a number"),
        ('{"cost_usd": 1e7}', "cost_usd: must be from 0 to 1000000"),
        ('{"cost_usd": -0.1}', "cost_usd: must be from 0"),
        ("[" * 50_000, "nests deeper than 100 levels"),
        ("9" * 10_000, "digits"),
        (" " * (MOST_BYTES + 1), "longer than 64 KiB"),
    ],
)
def test_what_is_not_strict_is_not_used(text: str, problem: str) -> None:
    """Nothing of a bad file counts, and the problem says which part is bad."""
    found = parse_usage(text.encode())
    assert (found.usage, found.turns) == (Usage(), None)
    assert problem in found.problem


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,0123456789turns ', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Whatever the agent wrote, no error comes out."""
    found = parse_usage(data)
    assert found.problem or found.usage.input_tokens is None or found.usage.input_tokens >= 0


def test_a_missing_file_is_no_problem() -> None:
    """Most agents write none."""
    assert read_usage(FakeSandbox()) == UsageReport()


def test_a_file_that_cannot_be_read_is_a_problem() -> None:
    """A link or a folder is not followed, and one that never ends is given up."""
    found = read_usage(FakeSandbox(usage=ScriptResult(ScriptEnding.EXITED, 1, b"", b"no regular file\n")))
    assert found.problem == "no regular file"
    assert (
        read_usage(FakeSandbox(usage=ScriptResult(ScriptEnding.TIMED_OUT, None, b"{", b""))).problem
        == "it cannot be read"
    )


def test_the_reading_is_a_script_that_a_shell_reads() -> None:
    """It is valid for `sh`."""
    assert host.run_program(["sh", "-n"], seconds=30, stdin=READ).output == ""


def test_cost_is_by_the_million_and_cached_input_is_a_part_of_the_input() -> None:
    """1,000,000 input of which 400,000 cached, 100,000 output, at 3, 0.30 and 15: 1.80 + 0.12 + 1.50 dollars."""
    assert cost(Usage(1_000_000, 400_000, 100_000), PRICE) == pytest.approx(3.42)
    assert cost(Usage(1_000_000, None, 0), PRICE) == pytest.approx(3.0)
    assert cost(Usage(1_000_000, 400_000, 0), Price(3.0, 15.0)) == pytest.approx(3.0)
    assert cost(Usage(10, 20, 0), PRICE) == pytest.approx(10 * 0.3 / 1e6)


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=5), Usage(output_tokens=5)])
def test_tokens_that_were_not_counted_have_no_cost(usage: Usage) -> None:
    """Unknown is not free."""
    assert cost(usage, PRICE) is None
    assert add_cost(usage, PRICE) == usage


def test_a_price_comes_before_what_the_agent_says() -> None:
    """The file's price where tokens were counted, else the agent's own figure."""
    assert add_cost(Usage(1_000_000, 0, 0, cost_usd=99.0), PRICE).cost_usd == pytest.approx(3.0)
    assert add_cost(Usage(cost_usd=99.0), PRICE).cost_usd == 99.0
    assert add_cost(Usage(1_000_000, 0, 0, cost_usd=99.0), None).cost_usd == 99.0
