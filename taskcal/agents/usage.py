"""What a rollout consumed: read from the file that an agent may write, and turned into money.

`$TASKCAL_USAGE_FILE` (`/run/taskcal/usage.json`) is one JSON object; every key may be missing, others are ignored:

    {"input_tokens": 5210, "cached_tokens": 4096, "output_tokens": 310, "turns": 7, "cost_usd": 0.021}

`input_tokens` counts all input, `cached_tokens` the part of it that came out of the provider's cache. `cost_usd` is
what the agent's program says itself; a `price` in the agent file is taken instead. The file is the agent's and proves
nothing: one that cannot be read is noted in the rollout's log, and changes neither its reward nor its outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from taskcal.core.rollout import Usage
from taskcal.core.text import values
from taskcal.core.text.excerpt import excerpt
from taskcal.core.text.foreign_text import clip, parse_json
from taskcal.sandbox import ROOT_USER, USAGE_FILE, Script

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskcal.agents.spec import Price
    from taskcal.sandbox import Sandbox

MOST_BYTES = 64 * 1024
READ_SECONDS = 10.0
LONGEST_PROBLEM = 200
TOKENS_OF_A_PRICE = 1_000_000
LARGEST_COST = 1e6
READ = f"""[ -e {USAGE_FILE} ] || [ -L {USAGE_FILE} ] || exit 0
[ -f {USAGE_FILE} ] && [ ! -L {USAGE_FILE} ] || {{ echo 'no regular file' >&2; exit 1; }}
exec head -c {MOST_BYTES + 1} {USAGE_FILE}
"""


@dataclass(frozen=True, slots=True)
class Reported:
    """What an agent says that it consumed; `problem` says why nothing of it could be used."""

    usage: Usage = field(default_factory=Usage)
    turns: int | None = None
    problem: str = ""


def read_usage(sandbox: Sandbox) -> Reported:
    """Read the usage file of a rollout whose agent has ended. Raises SandboxLost or EngineLost."""
    result = sandbox.run(Script(READ, READ_SECONDS, user=ROOT_USER, clean=True), limit=MOST_BYTES + 1)
    if not result.ok:
        said = result.stderr.decode(errors="replace")
        return Reported(problem=excerpt(said, LONGEST_PROBLEM) or "it cannot be read")
    return parse_usage(result.stdout) if result.stdout.strip() else Reported()


def parse_usage(data: bytes) -> Reported:
    """What a usage file says, or why it says nothing that can be used."""
    if len(data) > MOST_BYTES:
        return Reported(problem=f"longer than {MOST_BYTES // 1024} KiB")
    try:
        return _reported(parse_json(data))
    except ValueError as error:
        return Reported(problem=clip(" ".join(str(error).split()), LONGEST_PROBLEM))


def _reported(row: object) -> Reported:
    if not isinstance(row, dict):
        raise values.RowError("must be one object")
    usage = Usage(
        input_tokens=values.or_none(values.count, row, "input_tokens"),
        cached_tokens=values.or_none(values.count, row, "cached_tokens"),
        output_tokens=values.or_none(values.count, row, "output_tokens"),
        cost_usd=values.or_none(_money, row, "cost_usd"),
    )
    if (usage.cached_tokens or 0) > (usage.input_tokens or 0):
        raise values.RowError("cached_tokens: more than input_tokens, of which they are a part")
    return Reported(usage, values.or_none(values.count, row, "turns"))


def _money(row: Mapping[str, Any], key: str) -> float:
    value = values.number(row, key)
    if not 0.0 <= value <= LARGEST_COST:
        raise values.RowError(f"{key}: must be from 0 to {LARGEST_COST:.0f}")
    return value


def cost(usage: Usage, price: Price) -> float | None:
    """US dollars for the tokens of a rollout; None where input or output were not counted."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = min(usage.cached_tokens or 0, usage.input_tokens)
    per_cached = price.input if price.cached_input is None else price.cached_input
    total = (usage.input_tokens - cached) * price.input + cached * per_cached + usage.output_tokens * price.output
    return total / TOKENS_OF_A_PRICE


def priced(usage: Usage, price: Price | None) -> Usage:
    """Usage with its cost by the agent file's price, where there is one and the tokens were counted."""
    worked_out = None if price is None else cost(usage, price)
    return usage if worked_out is None else replace(usage, cost_usd=worked_out)
