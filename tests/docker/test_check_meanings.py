"""Checks mean what they say, from the outside: right attempts are paid, wrong ones are not, and mistakes are lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker.samples import rows

if TYPE_CHECKING:
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

CASES = Path(__file__).parents[3] / "shared" / "cases"
"""Small inputs that failed in a review; they are read in place."""

SETTINGS = r"""
taskset: meanings
version: 1
environments: {box: {image: "debian:bookworm-slim", workdir: /work}}
defaults: {environment: box}
tasks:
  - id: settings
    prompt: Remove "debug" from /work/a.json and set the status to {{ status }} and the port to {{ port }}.
    variants: [{id: one, status: done.1, port: 80, ratio: 1.5}, {id: two, status: done-2, port: 443, ratio: 2}]
    grader:
      checks:
        - {name: debug is gone, file: /work/a.json, pointer: /debug, absent: true}
        - {name: status, file: /work/a.json, pointer: /status, matches: "^{{ status }}$"}
        - {name: port, file: /work/a.json, pointer: /port, equals: "{{ port }}"}
        - {name: ratio, answer: {number: "{{ ratio }}"}}
    solutions:
      - name: right
        answer: The ratio is **1.5**.
        run: 'echo "{\"status\": \"$status\", \"port\": $port}" > a.json'
    wrong:
      - {name: empty, run: "true"}
      - {name: no file, run: "rm -rf a.json", answer: "<think>1.5</think>15"}
      - {name: elsewhere, run: 'echo "{\"debug\": 1, \"x\": {\"status\": \"done.1\", \"port\": 80}}" > a.json'}
      - {name: pattern, run: 'echo "{\"debug\": 1, \"status\": \"doneX1\", \"port\": \"80\"}" > a.json'}
"""
SCORES = r"""
taskset: scores
version: 1
environments: {box: {image: "debian:bookworm-slim", workdir: /work}}
defaults: {environment: box, solutions: [{name: s, run: "touch 1"}]}
tasks:
  - {id: rounded, prompt: p, grader: {checks: [{name: a, score: stdout, run: echo 1.0000000000000002}]}}
  - {id: truth, prompt: p, grader: {run: 'echo "{\"a\": true, \"b\": 0.9999999999}"', checks: [{name: a}, {name: b}]}}
  - {id: alone, prompt: p, grader: {checks: [{name: a, alone: true, score: stdout, run: echo 85}, {name: b, run: ":"}]}}
  - {id: percent, prompt: p, grader: {checks: [{name: half, score: stdout, run: echo 50}]}}
  - {id: script, prompt: p, grader: {run: 'echo "{\"a\": 1, \"b\": \"1\"}"', checks: [{name: a}, {name: b}]}}
"""


def shell_reward(taskcal: CommandLine, file: str, task: str, solution: str) -> float:
    """The reward that `taskcal shell` prints for one of a task's attempts."""
    done = taskcal("shell", file, task, "--solution", solution)
    found = re.search(r"^reward ([0-9.]+)", done.out, re.MULTILINE)
    assert found, done
    return float(found[1])


@pytest.mark.parametrize(
    ("task", "solution", "reward"),
    [
        ("settings/one", "right", 1.0),
        ("settings/one", "no file", 0.0),
        ("settings/one", "elsewhere", 0.0),
        ("settings/one", "pattern", 0.0),
        ("settings/two", "right", 0.75),
    ],
)
def test_a_value_decides_only_where_the_check_points(
    taskcal: CommandLine, write: Write, task: str, solution: str, reward: float
) -> None:
    """Pointers, patterns, types and answers with each variant's own params; the second variant has another ratio."""
    write("t.yaml", SETTINGS)
    assert shell_reward(taskcal, "t.yaml", task, solution) == reward


def test_scores_are_numbers_and_a_mistake_names_its_check(taskcal: CommandLine, write: Write) -> None:
    """Rounding and booleans are graded; a score out of range or a text is lost, with the check and what it printed."""
    write("t.yaml", SCORES)
    taskcal("run", "t.yaml", "-a", "oracle", "-G", "1", "-c", "1", "--retries", "0", "-q")
    found = {row["task"]: row for row in rows(taskcal.folder)}
    assert {name: row.get("reward") for name, row in found.items()} == {
        "rounded": 1.0, "truth": 1.0, "alone": 0.5, "percent": None, "script": None,
    }  # fmt: skip
    assert found["percent"]["boundary"] == found["script"]["boundary"] == "grader"
    assert (
        'the check "half" with `score: stdout` must end with a number in [0, 1], not: 50' in found["percent"]["reason"]
    )
    assert "must give 'b' a number in [0, 1], true or false, not: the text \"1\"" in found["script"]["reason"]


def case(name: str) -> Path:
    if not CASES.is_dir():
        pytest.skip(f"the cases are not here ({CASES})")
    return CASES / name


@pytest.mark.parametrize(
    ("name", "solution", "reward"),
    [
        ("pointer-matches", "right", 1.0),
        ("pointer-matches", "elsewhere", 1 / 3),
        ("pointer-absent", "right", 1.0),
        ("pointer-absent", "kept", 0.0),
        ("pointer-absent", "file removed", 0.0),
    ],
)
def test_the_cases_with_a_pointer(taskcal: CommandLine, name: str, solution: str, reward: float) -> None:
    """What was paid wrongly is not, and what was refused wrongly is paid."""
    found = shell_reward(taskcal, str(case(name) / "t.yaml"), "t", solution)
    assert found == pytest.approx(reward, abs=0.01)


def test_the_case_of_rounding(taskcal: CommandLine) -> None:
    """No perfect rollout vanishes."""
    folder = case("score-rounding")
    ended = taskcal("run", str(folder / "tasks.yaml"), "-a", "oracle", "-G", "1", "-c", "1", "--retries", "0", "-q")
    assert ended.code == 0
    assert [row["reward"] for row in rows(taskcal.folder)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("json-rows/tasks.yaml", "rows.jsonl:2: gold: missing, and other rows have it"),
        (
            "equals-types/t.yaml",
            "t.yaml:12: tasks[0].grader.checks[1].equals: 1.10 is a number and would become the text",
        ),
    ],
)
def test_the_cases_that_are_refused(taskcal: CommandLine, name: str, message: str) -> None:
    """One line with the place and the way out, before anything runs."""
    ended = taskcal("validate", str(case(name)))
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
