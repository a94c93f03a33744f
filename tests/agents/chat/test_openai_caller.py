"""One try over a real connection: what comes back is an answer or a failure with its reason, and always in time."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.chat.messages import Reply
from taskcal.agents.chat.openai_caller import OpenAICaller
from taskcal.agents.chat.provider_errors import TIMED_OUT, UNREACHABLE, Action, Failure, classify_failure
from tests.agents.chat.openai_server import OpenAIServer, Step, completion, dead_url, fails, says

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": "hü"}],
    "seed": 7,
    "tools": [{"type": "function"}],
    "top_k": 2,
}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Give an endpoint."""
    with OpenAIServer() as made:
        yield made


@pytest.fixture
def caller() -> Iterator[Callable[..., OpenAICaller]]:
    """Open connections to an endpoint, closed at the end."""
    made: list[OpenAICaller] = []

    def connect(*urls: str) -> OpenAICaller:
        made.append(OpenAICaller(urls, "sk-secret"))
        return made[-1]

    yield connect
    for one in made:
        one.close()


def failure(outcome: Reply | Failure) -> Failure:
    """What went wrong."""
    assert isinstance(outcome, Failure)
    return outcome


def test_the_body_arrives_as_it_is(server: OpenAIServer, caller: Callable[..., OpenAICaller]) -> None:
    """Every key that was put into it and none else, with the key of the endpoint in its header."""
    outcome = caller(server.url).post(0, BODY, 10.0)
    assert isinstance(outcome, Reply)
    assert outcome.content == "done"
    assert server.requests == [BODY]
    assert server.keys == ["Bearer sk-secret"]


def test_errors_come_with_status_code_and_words(server: OpenAIServer, caller: Callable[..., OpenAICaller]) -> None:
    """One try only: whether to go on is not decided here."""
    server.script(fails(429, "slow down", "rate_limit_exceeded", retry_after="3"), says("never asked"))
    assert caller(server.url).post(0, BODY, 10.0) == Failure(429, "rate_limit_exceeded", "slow down", 3.0)
    assert len(server.requests) == 1


def test_a_stalled_answer_ends_in_time(server: OpenAIServer, caller: Callable[..., OpenAICaller]) -> None:
    """Headers and half a body, and then nothing; and nothing at all."""
    for sent in (20, 0):
        server.script(Step(body=completion({"content": "never"}), sends=sent, ends="stalled"))
        assert failure(caller(server.url).post(0, BODY, 0.3)).code == TIMED_OUT


def test_an_answer_that_drips_ends_in_time(caller: Callable[..., OpenAICaller]) -> None:
    """A byte now and then keeps every single read alive, and is no answer all the same."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not stop.wait(0.02):
                    connection.sendall(b" ")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        outcome = caller(f"http://127.0.0.1:{listening.getsockname()[1]}/v1").post(0, BODY, 0.3)
        stop.set()
        thread.join()
    assert failure(outcome).code == TIMED_OUT


def test_a_torn_answer_is_a_failure(server: OpenAIServer, caller: Callable[..., OpenAICaller]) -> None:
    """A connection that closes in the middle of the body, or before it."""
    for sent in (20, 0):
        server.script(Step(body=completion({"content": "never"}), sends=sent, ends="torn"))
        assert failure(caller(server.url).post(0, BODY, 10.0)).code == UNREACHABLE


def test_nobody_there_is_a_failure(caller: Callable[..., OpenAICaller]) -> None:
    """With the system's own words, not only that it was a connection error."""
    found = failure(caller(dead_url()).post(0, BODY, 10.0))
    assert found.code == UNREACHABLE
    assert "refused" in found.message


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 999 ?\r\n\r\n",
        b"\x16\x03\x01",
    ],
)
def test_what_is_no_http_is_a_failure(caller: Callable[..., OpenAICaller], answer: bytes) -> None:
    """A port where something else listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def speak() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=speak, daemon=True)
        thread.start()
        found = failure(caller(f"http://127.0.0.1:{listening.getsockname()[1]}/v1").post(0, BODY, 10.0))
        thread.join()
    assert classify_failure(found) is Action.RETRY


def test_a_web_page_is_a_failure(server: OpenAIServer, caller: Callable[..., OpenAICaller]) -> None:
    """Status 200, and no JSON."""
    server.script(Step(body="<html>Welcome</html>"))
    assert "not JSON" in failure(caller(server.url).post(0, BODY, 10.0)).message


def test_a_redirect_that_loses_the_request_names_the_address(
    server: OpenAIServer, caller: Callable[..., OpenAICaller]
) -> None:
    """301 and its kin make a GET of a POST: what comes then is no answer, and base_url has to change."""
    server.script(Step(301, headers={"Location": f"{server.url}/models"}))
    found = failure(caller(server.url).post(0, BODY, 10.0))
    assert (found.status, found.message) == (301, f"it redirects to {server.url}/models; write that into base_url")
    assert classify_failure(found) is Action.LOST


def test_replicas_are_called_by_number(caller: Callable[..., OpenAICaller]) -> None:
    """Each has its own address; they share one pool of connections."""
    with OpenAIServer(says("first")) as first, OpenAIServer(says("second")) as second:
        both = caller(first.url, second.url)
        outcomes = [both.post(number, BODY, 10.0) for number in (0, 1, 1)]
    assert [outcome.content for outcome in outcomes if isinstance(outcome, Reply)] == ["first", "second", "second"]


def test_text_of_any_script_survives(server: OpenAIServer, caller: Callable[..., OpenAICaller]) -> None:
    """There and back."""
    text = "ü €\N{GRINNING FACE}\u2028\x00"
    server.script(says(text))
    outcome = caller(server.url).post(0, {**BODY, "messages": [{"role": "user", "content": text}]}, 10.0)
    assert isinstance(outcome, Reply)
    assert outcome.content == text
    assert json.loads(json.dumps(server.requests[0]["messages"][0]["content"])) == text
