"""Which weights answer: the same name may serve another checkpoint tomorrow, and rollouts of two are not one group.

The list of models also has the size of the context on many servers, which decides whether an answer that ends at a
limit has filled it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from taskcal.agents.chat.provider_errors import retry_after
from taskcal.agents.chat.proxy import proxy_of
from taskcal.agents.chat.transport import HttpRequest, Transport
from taskcal.agents.chat.wire import Late, NoAnswer, Unreachable
from taskcal.core.text.foreign_text import parse_json
from taskcal.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskcal.agents.spec import ChatSpec

ASK_SECONDS = 5.0
TRIES = 3
LONGEST_WAIT = 10.0
MOST_BYTES = 4 * 1024 * 1024
LONGEST_ROOT = 1024
WINDOWS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""vLLM and SGLang; OpenRouter and Together; Groq; Mistral and LM Studio."""
LEAST_WINDOW = 256
"""Tokens; a smaller number is not a context's size."""
BUSY = frozenset({429, 502, 503, 504, 529})
"""A server that loads its model, or has too much to do; other errors are those of one that has no such list."""


@dataclass(frozen=True, slots=True, order=True)
class Served:
    """A model as an endpoint's list has it; `root` is the path or name of its weights, '' if the list has none.

    `window` is the size of its context in tokens, None if the list has none. It is not part of what the agent is.
    """

    id: str
    root: str = ""
    window: int | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """The models that the replicas list under the model's name, each different entry once; empty if none lists it.

    `missing` is the reason why no replica could be reached; '' if at least one could.
    """

    served: tuple[Served, ...] = ()
    missing: str = ""


def identify_model(spec: ChatSpec, key: str, ask: Callable[[str, str], str | None] | None = None) -> Identity:
    """Ask all replicas for their models. A server without such a list is fine: the first rollout shows if it works."""
    entries: dict[Served, Served] = {}
    unreachable: list[str] = []
    for url in spec.base_urls:
        try:
            entry = find_model((ask or ask_models)(url, key) or "", spec.model)
        except MissingError as error:
            unreachable.append(str(error))
        else:
            if entry is not None:
                entries[entry] = _smaller(entries.get(entry, entry), entry)
    is_missing = len(unreachable) == len(spec.base_urls)
    return Identity(tuple(sorted(entries.values())), "; ".join(unreachable) if is_missing else "")


def find_model(text: str, model: str) -> Served | None:
    """The model's entry in the body of `/v1/models`, or None."""
    try:
        body = parse_json(text)
    except ValueError:
        return None
    entries = body.get("data") if isinstance(body, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("id") == model:
            return Served(model, _root(entry.get("root")), _window(entry))
    return None


def _root(value: object) -> str:
    """The path or name of the weights; a text that can be neither is none."""
    is_name = isinstance(value, str) and len(value) <= LONGEST_ROOT and value.isprintable()
    return str(value) if is_name else ""


def _window(entry: Mapping[str, object]) -> int | None:
    """The size of a model's context, under the key that its server has for it."""
    sizes = (entry.get(key) for key in WINDOWS)
    return next((size for size in sizes if isinstance(size, int) and size >= LEAST_WINDOW), None)


def _smaller(first: Served, second: Served) -> Served:
    windows = [entry.window for entry in (first, second) if entry.window is not None]
    return replace(first, window=min(windows, default=None))


def ask_models(base_url: str, key: str, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """The body of `/v1/models`, or None if the server has none to give; one that is busy or slow is asked again.

    Raises MissingError if nobody can be asked: no such host, nobody who listens, a certificate that is not trusted,
    a server that stays busy or silent. What it would have said is not known then, which is another thing than no list.
    """
    transport = Transport()
    try:
        return _ask(transport, base_url, key, sleep)
    finally:
        transport.close()


def _ask(transport: Transport, base_url: str, key: str, sleep: Callable[[float], None]) -> str | None:
    proxy = proxy_of(base_url)
    place = base_url if proxy is None else f"{base_url} through {proxy}"
    problem = ""
    for number in range(TRIES):
        try:
            answer = transport.send(HttpRequest(f"{base_url}/models", key), ASK_SECONDS, MOST_BYTES)
        except Late:
            problem = f"{place}: /models gave no answer within {ASK_SECONDS:g} s, {TRIES} times"
            continue
        except Unreachable as error:
            raise MissingError(f"nothing answers at {place}: {error}") from error
        except NoAnswer:
            return None
        if answer.status not in BUSY:
            return answer.text if answer.is_success else None
        problem = f"{place}: /models still answers {answer.status} after {TRIES} tries"
        wait = retry_after(answer.headers, datetime.now(UTC))
        sleep(min(LONGEST_WAIT, 2.0**number if wait is None else wait))
    raise MissingError(problem)
