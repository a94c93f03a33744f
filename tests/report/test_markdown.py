"""The page for a reader, parsed by a real Markdown parser."""

from __future__ import annotations

import itertools
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

from taskcal.core.settings import fixed_settings
from taskcal.core.verdict import Band
from taskcal.report.markdown import render_markdown
from tests.report.sample_run import calibration, graded, lost, record, result_of, run_record, shop

if TYPE_CHECKING:
    from markdown_it.token import Token

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = "\x1b[31m[red]x</td>|`y` <img src=x> [l](http://e.example) ![i](http://e.example)\n# @you \u202eevil"


def kinds(text: str) -> list[str]:
    found: list[str] = []
    for token in PARSER.parse(text):
        found += [token.type, *(child.type for child in token.children or ())]
    return found


def cells(text: str) -> list[list[str]]:
    """The rows of the page's first table."""
    rows: list[list[str]] = []
    tokens: list[Token] = PARSER.parse(text)
    for before, token in itertools.pairwise(tokens):
        if before.type == "table_close":
            break
        if before.type == "tr_open":
            rows.append([])
        if before.type in {"td_open", "th_open"}:
            rows[-1].append("".join(child.content for child in token.children or ()))
    return rows


def test_the_numbers_of_a_known_run() -> None:
    """The first table has a row for each group, flagged first, with the numbers that its rollouts came to."""
    rows = cells(render_markdown(result_of(run_record(), shop())))
    assert rows[1] == [
        "ship-order/high-level", "8", "0 % [0\N{EN DASH}32]", "0.52", "0.092", "89 %", "9",
        "too-hard, leaning, partial signal 0.89", "", "86 %", "\N{EN DASH}", "12s",
    ]  # fmt: skip
    dash = "\N{EN DASH}"
    assert rows[7] == ["close-account", "0 +8 lost", dash, dash, dash, dash, dash, "unmeasured", "", dash, dash, dash]
    assert len(rows) == 11


def test_it_says_what_the_terminal_says() -> None:
    """Headline, verdict counts, losses by boundary, why, what to try, means of checks, notes, how it was measured."""
    text = render_markdown(result_of(run_record("the agent is no model", interrupted=True), shop()))
    for words in (
        "# Calibration of shop-orders with agent simulated\n",
        "The average success rate of these 9 variants is 39 % \\[31\N{EN DASH}48\\], within the band of 5 to 75 %",
        "4 in-band, 3 too-hard, 2 too-easy, 1 unmeasured",
        "103 rollouts attempted, 93 graded (8 timed out), 10 lost and counted in no rate or reward (image 8, ",
        "**The run was interrupted: these are the rollouts until then.**",
        "why: passed 0 of 8; a true rate up to 32 % would still look like this",
        "  - try: ",
        "| ship-order/high-level | tracking code is set | 0.3 | 0.00 |",
        "| refund-order | 2 | provider 1, sandbox 1 | 0 |",
        "- the agent is no model",
        "in brackets Wilson's 95 % interval",
        "  - claim: p &lt; 0.05 with probability 86 %",
        "## Methods\n\nWe calibrated 10 variants of 9 tasks of the taskset shop-orders",
        "docker 20.10 on linux",
        "taskcal run tasksets/shop.yaml --agent simulated --group-size 8 --seed 7\n",
    ):
        assert words in text


def test_strangers_add_nothing_to_the_page() -> None:
    """A hostile name, check, reason or note leaves the page's structure as a harmless one does."""

    def page(word: str) -> str:
        checks = [(word, 1.0), ("other", 1.0)]
        group = replace(record(word, word, checks), file=word)
        rows = [
            calibration(group, [graded(0, 1, checks=checks)] * 8),
            calibration(record("gone"), [lost(reason=word)] * 8),
        ]
        run = replace(
            run_record(word, taskset=word), agent=word, agent_version=word, engine=word, taskset_files=(word,)
        )
        return render_markdown(result_of(run, rows))

    hostile, tame = page(HOSTILE), page("word")
    structure = [kind for kind in kinds(hostile) if kind not in {"text", "text_special"}]
    assert structure == [kind for kind in kinds(tame) if kind not in {"text", "text_special"}]
    assert len(hostile.splitlines()) == len(tame.splitlines())
    assert not set(hostile) & {"\x1b", "\u202e"}
    assert "@you" not in hostile.partition("```sh")[0]


@pytest.mark.parametrize("word", ["```", "a; rm -rf /", "$(reboot)", "it's"])
def test_the_command_to_repeat_is_one_safe_command(word: str) -> None:
    """What is offered for copying cannot run anything else, nor end its block."""
    run = replace(run_record(), taskset_files=(word,), settings=fixed_settings(8, Band(0.1, 0.9)))
    block = render_markdown(result_of(run, shop())).partition("```sh\n")[2]
    command, fence = block.splitlines()[:2]
    assert fence == "```"
    assert "`" not in command
    assert command.endswith("--agent simulated --group-size 8 --seed 7 --band 0.1,0.9")
    assert len(shlex.split(command)) == 11


def test_empty_sections_are_left_out() -> None:
    """A run in which all went well has no headings without content."""
    fine = calibration(record("fine"), [graded(1, 1)] * 4 + [graded(0, 0)] * 4)
    text = render_markdown(result_of(run_record(), [fine]))
    headings = [line for line in text.splitlines() if line.startswith("#")]
    title = "# Calibration of shop-orders with agent simulated"
    assert headings == [title, "## Checks", "## How it was measured", "## Methods"]


def test_the_checkpoint_is_named() -> None:
    """Two reports of one agent file are of two agents: the version stands in the title and in the command to repeat."""
    text = render_markdown(result_of(replace(run_record(), agent_version="step-1200"), shop()))
    assert text.startswith("# Calibration of shop-orders with agent simulated (step-1200)\n")
    assert "| agent | simulated (step-1200) |" in text
    assert "--agent simulated --agent-version step-1200 --group-size 8" in text
