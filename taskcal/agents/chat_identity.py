"""Which weights answer: the same name may serve another checkpoint tomorrow, and rollouts of two are not one group.

The list of models also has the size of the context on many servers, which decides whether an answer that ends at a
limit has filled it.
"""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError

from taskcal.agents.proxy import HTTP, SOCKS, proxy_of
from taskcal.agents.trouble import retry_after
from taskcal.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskcal.agents.chat_spec import ChatSpec
    from taskcal.agents.proxy import Proxy

ASK_SECONDS = 5.0
TRIES = 3
LONGEST_WAIT = 10.0
MOST_BYTES = 4 * 1024 * 1024
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
    """What the replicas say that the model's name stands for, each different answer once; nothing where none says it.

    `missing` says that not one of them could be asked, and why; '' where one could.
    """

    served: tuple[Served, ...] = ()
    missing: str = ""


def identify(spec: ChatSpec, key: str, ask: Callable[[str, str], str | None] | None = None) -> Identity:
    """Ask all replicas. A server without such a list is no reason to stop: the first rollout will tell."""
    found: dict[Served, Served] = {}
    unreachable: list[str] = []
    for url in spec.base_urls:
        try:
            entry = served((ask or ask_models)(url, key) or "", spec.model)
        except MissingError as error:
            unreachable.append(str(error))
        else:
            if entry is not None:
                found[entry] = _smaller(found.get(entry, entry), entry)
    is_missing = len(unreachable) == len(spec.base_urls)
    return Identity(tuple(sorted(found.values())), "; ".join(unreachable) if is_missing else "")


def served(text: str, model: str) -> Served | None:
    """The model's entry in the body of `/v1/models`, or None."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    entries = body.get("data") if isinstance(body, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("id") == model:
            root = entry.get("root")
            return Served(model, root if isinstance(root, str) else "", _window(entry))
    return None


def _window(entry: Mapping[str, object]) -> int | None:
    """The size of a model's context, under the key that its server has for it."""
    sizes = (entry.get(key) for key in WINDOWS)
    return next((size for size in sizes if isinstance(size, int) and size >= LEAST_WINDOW), None)


def _smaller(first: Served, second: Served) -> Served:
    windows = [one.window for one in (first, second) if one.window is not None]
    return replace(first, window=min(windows, default=None))


def ask_models(base_url: str, key: str, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """The body of `/v1/models`, or None where the server has none to give; one that is busy or slow is asked again.

    Raises MissingError where nobody can be asked: no such host, nobody who listens, a certificate that is not trusted,
    a server that stays busy or silent. What it would have said is not known then, which is another thing than no list.
    """
    request = urllib.request.Request(f"{base_url}/models")  # noqa: S310 - http or https, as the agent file's check has it
    if key:
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    proxy = proxy_of(base_url)
    if proxy is not None and proxy.scheme in SOCKS:
        return None  # urllib does not speak it: the trial task is the first request then
    opener = _opener(proxy)
    place = base_url if proxy is None else f"{base_url} through {proxy}"
    problem = ""
    for number in range(TRIES):
        try:
            with opener.open(request, timeout=ASK_SECONDS) as answer:
                return str(answer.read(MOST_BYTES).decode(errors="replace"))
        except HTTPError as error:
            if error.code not in BUSY:
                return None
            problem = f"{place}: /models still answers {error.code} after {TRIES} tries"
            asked = retry_after({name.lower(): text for name, text in error.headers.items()}, datetime.now(UTC))
            sleep(min(LONGEST_WAIT, 2.0**number if asked is None else asked))
        except URLError as error:
            if not isinstance(error.reason, TimeoutError):
                raise MissingError(f"nothing answers at {place}: {error.reason}") from error
            problem = f"{place}: /models gave no answer within {ASK_SECONDS:g} s, {TRIES} times"
        except TimeoutError:
            problem = f"{place}: /models gave no answer within {ASK_SECONDS:g} s, {TRIES} times"
        except (OSError, HTTPException, ValueError):
            return None
    raise MissingError(problem)


def _opener(proxy: Proxy | None) -> urllib.request.OpenerDirector:
    """Opens a URL through one proxy, or without any, whatever the environment has for urllib."""
    ways = {} if proxy is None else dict.fromkeys(HTTP, proxy.url)
    return urllib.request.build_opener(urllib.request.ProxyHandler(ways))
