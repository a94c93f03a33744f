"""Warnings: what a valid taskset should be told all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from taskcal.core.task import Taskset
from taskcal.taskset.advice.advice import warnings
from tests.taskset.taskset_case import Yaml

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
prompt: p
solutions: [{name: s, run: x}]
wrong: [{name: w, run: x}]
"""


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


def advice(yaml: Yaml, text: str) -> list[str]:
    """Give the warnings about one task."""
    return [str(problem) for problem in warnings(Taskset("t", (yaml.task(text),)))]


def test_a_good_task_has_no_warnings(yaml: Yaml) -> None:
    """Two checks, a solution, a wrong answer, no network: nothing to say."""
    assert advice(yaml, GOOD) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt: p\nwrong: [{name: w, run: x}]", "no solution"),
        ("prompt: p\nsolutions: [{name: w, run: x}]", "no wrong answer"),
        (GOOD + "environment: {image: a, network: bridge}", "say external: stateful or external: stateless"),
        (GOOD + "grader: {sandbox: fresh, checks: [{name: a, run: x}, {name: b, run: x}]}", "fresh without artifacts"),
        (
            GOOD + "grader: {checks: [{name: a, run: x}, {name: b, run: x, weight: 0, required: true}]}",
            "1 weighted check, where two to four serve best: rewards are all or nothing",
        ),
        (
            GOOD + f"grader: {{checks: [{', '.join(f'{{name: c{n}, run: x}}' for n in range(5))}]}}",
            "5 weighted checks, where two to four serve best: each says little",
        ),
    ],
)
def test_each_weakness_has_one_warning_with_its_place(yaml: Yaml, text: str, message: str) -> None:
    """Guards do not count as checks; the line is the task's."""
    (found,) = advice(yaml, text)
    assert found.startswith("t.yaml:9: one: ")
    assert message in found


FRESH = "grader: {sandbox: fresh, artifacts: [%s], checks: [{name: a, run: x}, {name: b, run: x}]}\n"
SOURCE = "environment: {image: a, env: {PYTHONPATH: '/app/src:/srv/lib', DATA: /app}}\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (FRESH % "/app", ["PYTHONPATH without /app/src: it leads into the artifact /app; exclude: [src] there keeps"]),
        (FRESH % "/out", []),
        (FRESH % "{path: /app, exclude: [src]}", []),
        ("", []),
    ],
)
def test_a_search_path_that_checks_lose_is_named(yaml: Yaml, text: str, found: list[str]) -> None:
    """With what would keep it; in a shared sandbox the image decides, which is not read here."""
    told = advice(yaml, GOOD + SOURCE + text)
    assert len(told) == len(found)
    assert all(words in one for words, one in zip(found, told, strict=True))


def test_a_dockerfile_says_which_search_paths_there_are(yaml: Yaml, tmp_path: Path) -> None:
    """As far as ENV shows them."""
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "Dockerfile").write_text("FROM a\nENV PATH=/app/.venv/bin:$PATH\n")
    (told,) = advice(yaml, GOOD + "environment: {build: img}\n" + FRESH % "/app")
    assert "checks get PATH without /app/.venv/bin" in told


def test_relative_search_paths_are_named_where_the_agent_is_not_root(yaml: Yaml) -> None:
    """Any user can write where they lead."""
    source = "environment: {image: a, user: %s, env: {NODE_PATH: 'lib:/tmp/x:/usr/lib'}}\n"
    told = advice(yaml, GOOD + source % "agent")
    assert [one.partition("without ")[2].partition(":")[0] for one in told] == ["lib", "/tmp/x"]
    assert advice(yaml, GOOD + source % "root") == []
