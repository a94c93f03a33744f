"""An endpoint that means harm gets a bounded time, bounded memory and no second address, whatever it sends."""

from __future__ import annotations

import re
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.chat.messages import MOST_CALLS, Reply
from taskcal.agents.chat.openai_caller import OpenAICaller
from taskcal.agents.chat.provider_errors import TIMED_OUT, UNREACHABLE, Failure
from tests.agents.chat.hostile_server import MODES, HostileServer, invented

if TYPE_CHECKING:
    from collections.abc import Iterable

BODY = {"model": "m", "messages": []}
SECONDS = 0.2
PATIENCE = 20.0
"""Seconds that a call may take on a busy machine; without a deadline it would take for ever."""
MOST_BYTES = 1024 * 1024
MOST_MEMORY = 100 * 1024 * 1024
AT_ONCE = 8
FEW = 30

FAILURES: dict[str, tuple[int | None, str, str]] = {
    "an error without an end": (500, "", "xxx"),
    "an error that drips": (500, "", "x"),
    "interim answers without an end": (200, "", "an answer of more than 256 KiB"),
    "interim answers that drip": (None, TIMED_OUT, "no complete answer within 0.2 s"),
    "a status line without an end": (None, UNREACHABLE, ""),
    "a header that drips": (None, TIMED_OUT, "no complete answer within 0.2 s"),
    "headers without an end": (None, UNREACHABLE, ""),
    "a body that drips": (None, TIMED_OUT, "no complete answer within 0.2 s"),
    "a body without an end": (200, "", "an answer of more than 1 MiB"),
    "chunks without an end": (200, "", "an answer of more than 1 MiB"),
    "an extension of a chunk without an end": (None, UNREACHABLE, ""),
    "trailers without an end": (None, UNREACHABLE, ""),
    "a length that never comes": (None, TIMED_OUT, "no complete answer within 0.2 s"),
    "a compressed bomb": (200, "", "the body is compressed (gzip), which was not asked for"),
    "a bomb in a bomb": (200, "", "the body is compressed (gzip, gzip), which was not asked for"),
    "a compressed error": (500, "", ""),
    "more values than memory": (200, "", "not JSON"),
    "deep JSON": (200, "", "not JSON"),
    "a redirect": (307, "", "it redirects to http://127.0.0.1:1/v1; write that into base_url"),
    "a redirect to a GET": (303, "", "it redirects to /stop?now=1; write that into base_url"),
    "a redirect to nowhere": (301, "", "it redirects to"),
    "a wait of a week": (429, "", ""),
    "a wait that is no number": (429, "", ""),
    "escapes in an error": (401, "", ""),
    "a reset": (None, UNREACHABLE, ""),
    "nothing": (None, UNREACHABLE, "Server disconnected without sending a response"),
    "silence": (None, TIMED_OUT, "no complete answer within 0.2 s"),
}


@pytest.fixture(autouse=True)
def _small_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound answers so that the tests are quick."""
    monkeypatch.setattr("taskcal.agents.chat.openai_caller.MOST_BYTES", MOST_BYTES)


@pytest.mark.parametrize("mode", MODES)
def test_every_known_way_ends_as_what_it_is(mode: str) -> None:
    """In an answer of at most 128 calls, or in a failure with its reason."""
    status, code, words = FAILURES.get(mode, (None, "", ""))
    has_end = code != TIMED_OUT and mode != "an error that drips"
    with HostileServer(MODES[mode]) as server:
        caller = OpenAICaller((server.url,), "sk-secret")
        found = caller.post(0, BODY, PATIENCE if has_end else SECONDS)
        caller.close()
    if isinstance(found, Reply):
        assert mode not in FAILURES
        assert len(found.calls) + found.left_out in {0, 300, 5000}
        assert len(found.calls) <= MOST_CALLS
        return
    assert (found.status, found.code) == (status, code)
    assert re.search(f"^{re.escape(words)}", found.message)


def test_whatever_a_server_makes_up_is_bounded() -> None:
    """The first of the ways of which `tests/faults` tries thousands."""
    attack(range(FEW))


def attack(seeds: Iterable[int]) -> None:
    """Ask servers that make their answers up, some at once: in time, in little memory, and a good one after each."""
    tracemalloc.start()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(_attack_once, seeds))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MOST_MEMORY


def _attack_once(seed: int) -> None:
    """One connection pool meets one way to answer, then a good server at the same address."""
    with HostileServer(invented(seed)) as server:
        caller = OpenAICaller((server.url,), "sk-secret")
        begun = time.monotonic()
        outcomes = [caller.post(0, BODY, SECONDS)]
        assert time.monotonic() - begun < PATIENCE, seed
        server.play = MODES["an answer"]
        server.cut()  # one that goes on sending answers for ever would be the next request's as well
        outcomes += [caller.post(0, BODY, PATIENCE) for _ in range(2)]
        caller.close()
    first = outcomes[0]
    assert isinstance(first, Failure) or len(first.calls) <= MOST_CALLS, seed
    assert isinstance(outcomes[-1], Reply), (seed, outcomes)
