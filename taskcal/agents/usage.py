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
from taskcal.core.text.excerpt import excerpt
from taskcal.core.text.foreign_text import clip, parse_json
from taskcal.sandbox import ROOT_USER, USAGE_FILE, Script
from taskcal.store.rollout_rows import UsageRow
from taskcal.store.typed_json import Count, RowError, RowReader

if TYPE_CHECKING:
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


class StatedUsage(UsageRow):
    """What the file may hold."""

    turns: Count | None = None


USAGE: RowReader[StatedUsage] = RowReader(StatedUsage)


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The usage that an agent reports; `problem` is the reason if the report could not be used."""

    usage: Usage = field(default_factory=Usage)
    turns: int | None = None
    problem: str = ""


def read_usage(sandbox: Sandbox) -> UsageReport:
    """Read the usage file of a rollout whose agent has ended. Raises SandboxLost or EngineLost."""
    result = sandbox.run(Script(READ, READ_SECONDS, user=ROOT_USER, clean=True), limit=MOST_BYTES + 1)
    if not result.ok:
        stderr = result.stderr.decode(errors="replace")
        return UsageReport(problem=excerpt(stderr, LONGEST_PROBLEM) or "it cannot be read")
    return parse_usage(result.stdout) if result.stdout.strip() else UsageReport()


def parse_usage(data: bytes) -> UsageReport:
    """The content of a usage file, or the reason why it cannot be used."""
    if len(data) > MOST_BYTES:
        return UsageReport(problem=f"longer than {MOST_BYTES // 1024} KiB")
    try:
        return _report_of(parse_json(data))
    except ValueError as error:
        return UsageReport(problem=clip(" ".join(str(error).split()), LONGEST_PROBLEM))


def _report_of(row: object) -> UsageReport:
    if not isinstance(row, dict):
        raise RowError("must be one object")
    stated = USAGE.convert(row)
    if (stated.cached_tokens or 0) > (stated.input_tokens or 0):
        raise RowError("cached_tokens: more than input_tokens, of which they are a part")
    if not 0.0 <= (stated.cost_usd or 0.0) <= LARGEST_COST:
        raise RowError(f"cost_usd: must be from 0 to {LARGEST_COST:.0f}")
    usage = Usage(stated.input_tokens, stated.cached_tokens, stated.output_tokens, stated.cost_usd)
    return UsageReport(usage, stated.turns)


def cost(usage: Usage, price: Price) -> float | None:
    """US dollars for the tokens of a rollout; None if input or output tokens were not counted."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = min(usage.cached_tokens or 0, usage.input_tokens)
    per_cached = price.input if price.cached_input is None else price.cached_input
    total = (usage.input_tokens - cached) * price.input + cached * per_cached + usage.output_tokens * price.output
    return total / TOKENS_OF_A_PRICE


def add_cost(usage: Usage, price: Price | None) -> Usage:
    """Usage with its cost by the agent file's price, if it has one and the tokens were counted."""
    worked_out = None if price is None else cost(usage, price)
    return usage if worked_out is None else replace(usage, cost_usd=worked_out)
