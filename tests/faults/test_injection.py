"""What tasksets and agents say reaches a person as text: it moves no terminal and adds nothing to a page."""

from __future__ import annotations

import json
import os
import re
import threading
from typing import TYPE_CHECKING

import pytest

from tests.docker.samples import run_id
from tests.faults.terminal import on_a_terminal

if TYPE_CHECKING:
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = [pytest.mark.docker, pytest.mark.long]  # `make test-faults`; the table, tampering and one kill are quick

ACTS = {
    "colour": "\x1b[31mred",
    "link": "\x1b]8;;http://evil.test\x07click\x1b]8;;\x07",
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "title": "\x1b]0;owned\x1b\\",
    "answerback": "\x1b[6n",
    "8-bit": "\x9b2J",
    "return": "\rOVERWRITTEN",
    "backspace": "\b" * 9,
    "bidi": "\u202egnp.exe\u2066",
    "bell": "\a",
    "line separator": "\u2028",
}
MEANS = {
    "html": "<img src=x onerror=alert(1)>",
    "script": "</script><script>alert(1)</script>",
    "markdown": "[click](javascript:alert(1)) ![x](http://evil.test/x.png)",
    "table": "| a | b |",
    "heading": "\n# Heading\n",
    "fence": "\n```\n",
    "mention": "@everyone http://evil.test www.evil.test",
    "rich": "[bold red]markup[/bold red] [link=http://evil.test]x[/link]",
    "workflow": "\n::error file=x::owned\n${{ secrets.TOKEN }}",
    "json": '"}], "verdict": "in-band", "x": [{"',
    "template": "{{ 7 * 7 }} {% raw %}",
}
SAID = " ".join((*ACTS.values(), *MEANS.values()))
NAME = " ".join(word.strip() for name, word in MEANS.items() if name not in {"template", "heading", "fence"})
OCTAL = "".join(f"\\{byte:03o}" for byte in SAID.encode())
AGENT = f"""\
agent: hostile
kind: command
run: |
  printf '{OCTAL}' >/tmp/said; cat /tmp/said; cp /tmp/said /run/taskcal/answer; cp /tmp/said /run/taskcal/usage.json
  test "$TASKCAL_PROMPT" != "lose it" || exit 75
"""
TASKS = f"""\
taskset: hostile
version: 1
environments: {{box: {{image: "debian:bookworm-slim"}}}}
defaults: {{environment: box}}
tasks:
  - id: graded
    prompt: "{{{{ word }}}}"
    params: {{word: {json.dumps(NAME)}}}
    grader: {{checks: [{{name: {json.dumps(NAME[:100])}, run: cat /tmp/said >&2; exit 1}}]}}
  - id: lost
    prompt: lose it
    grader: {{checks: [{{name: a, run: "true"}}]}}
  - id: broken
    prompt: x
    environment: {{extends: box, setup: "printf '{OCTAL.replace(chr(92), chr(92) * 2)}'; exit 1"}}
    grader: {{checks: [{{name: a, run: "true"}}]}}
"""


def is_text(text: str) -> bool:
    """Whether every character only shows."""
    return all(line.isprintable() for line in text.split("\n"))


def check_markdown(page: str) -> None:
    """No mark-up of a stranger's is left in a page; what is written in the code of the commands is a shell's."""
    outside = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    assert is_text(page)
    assert not re.search(r"<(?!br>|/?(details|summary|sub)>)\w", outside)
    assert not re.search(r"(?<!\\)\]\((javascript|http://evil)", outside)
    assert not re.search(r"^# Heading|^::error", page, re.MULTILINE)
    assert "@everyone" not in outside
    assert "http://evil" not in outside


def test_nothing_of_it_acts(taskcal: CommandLine, write: Write) -> None:
    """In every output and every file of a run, its report and its rollouts: all is printable, JSON is JSON."""
    write("tasks.yaml", TASKS)
    write("agent.yaml", AGENT)
    ran = taskcal("run", "tasks.yaml", "-a", "agent.yaml", "-G", "1", "--retries", "0")
    run = run_id(taskcal.folder)
    shown = [taskcal("show", run), *(taskcal("show", run, f"{task}#0") for task in ("graded", "lost", "broken"))]
    documents = [
        taskcal("report", run, "--json"),
        taskcal("show", run, "--json"),
        taskcal("show", run, "graded#0", "--json"),
    ]
    for ended in (ran, taskcal("report", run), *shown, *documents):
        assert is_text(ended.out + ended.err), ended
    assert "click" in shown[1].out
    assert len(documents[0].json()["tasks"]) == 3
    assert [json.loads(ended.out) for ended in documents]
    pages = {path.name: path.read_text() for path in (taskcal.folder / "runs" / run).iterdir() if path.is_file()}
    assert [name for name, page in pages.items() if not is_text(page)] == []
    check_markdown(pages["report.md"])
    for name, page in pages.items():
        if name.endswith(".html"):
            assert not re.search(r"<img src=x|<script>alert", page)


def test_no_terminal_is_moved(taskcal: CommandLine, write: Write) -> None:
    """The live table and the final one draw with their own sequences; none of a stranger's is among them."""
    write("tasks.yaml", TASKS)
    write("agent.yaml", AGENT)
    drawn: list[bytes] = []
    with on_a_terminal(taskcal.command("run", "tasks.yaml", "-a", "agent.yaml", "-G", "1"), taskcal.folder) as ends:
        process, line = ends
        reader = threading.Thread(target=drain, args=(line, drawn))
        reader.start()
        process.wait(timeout=120)
        reader.join(timeout=60)
    screen = b"".join(drawn)
    assert b"graded" in screen
    for what, sequence in ACTS.items():
        if what not in {"line separator", "bell", "backspace"}:
            assert sequence.encode() not in screen, what
    assert b"]8;" not in screen
    assert b"\a" not in screen


def drain(line: int, into: list[bytes]) -> None:
    """Read a terminal's other end until nobody writes any more."""
    try:
        while chunk := os.read(line, 65536):
            into.append(chunk)
    except OSError:
        return
