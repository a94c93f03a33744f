"""Bounds: what is made to be large, or of nothing but mistakes, ends soon and with little memory."""

from __future__ import annotations

import re
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskcal.core.grading.grade import combine
from taskcal.core.rollout import CheckResult, Stop
from taskcal.errors import InputError, Problem
from taskcal.machine import host
from taskcal.taskset.load import load
from taskcal.taskset.merge import merge
from taskcal.taskset.prompts.template import Prompts
from taskcal.taskset.scope import Budget, Scope
from taskcal.yamlfile.nodes import Map
from taskcal.yamlfile.paths import Folder
from taskcal.yamlfile.problems import Problems
from taskcal.yamlfile.reader import parse_yaml
from tests.taskset.taskset_case import Yaml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


def test_a_thousand_mistakes_are_a_hundred_lines_and_a_number() -> None:
    """Nobody reads more, and memory stays bounded."""
    problems = Problems()
    for line in range(5_000):
        problems.add(Problem("f", line, "k", "m"))
    found = problems.in_file_order()
    assert len(found) == 101
    assert str(found[-1]) == "f: and 4900 more"


def test_fifty_thousand_unknown_keys_are_refused_with_bounded_memory(yaml: Yaml) -> None:
    """A file made of mistakes costs neither minutes nor gigabytes."""
    keys = "".join(f"  k{number}: 1\n" for number in range(50_000))
    tracemalloc.start()
    try:
        assert len(yaml.problems(f"taskset: t\nversion: 1\ntasks:\n- id: a\n{keys}")) == 101
        assert tracemalloc.get_traced_memory()[1] < 200 * 1024**2
    finally:
        tracemalloc.stop()


def test_what_tasks_inherit_is_bounded(yaml: Yaml) -> None:
    """Large defaults times many tasks are refused, not multiplied."""
    top = parse_yaml("base: {a: 1, b: 2, c: {d: 3}}\nover: {e: 4}\n", "f").top
    base, over = top["base"], top["over"]
    assert isinstance(base, Map)
    assert isinstance(over, Map)
    scope = Scope("f", Folder(yaml.folder), Problems(), Budget(values=7), Prompts(), {})
    assert list(merge(base, over, scope)) == ["a", "b", "c", "e"]
    assert merge(base, over, scope) is over
    assert ["f:2: over: inherits too much" in str(problem) for problem in scope.problems.in_file_order()] == [True]


KEYS = st.sampled_from(
    re.findall(
        r"\w+",
        "taskset version environments graders defaults tasks id prompt environment grader params variants checks name "
        "run weight file equals answer image build env files services extends from timeouts solutions wrong in x",
    )
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**30)
    | st.floats()
    | st.sampled_from(["a", "e", "/a", "{{ a }}", "{% if a %}", "..", "1", "2g", "15m", "rows.jsonl", "none", "é", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=15,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(environment=VALUES, grader=VALUES, variants=VALUES, extra=st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_structure_is_loaded_or_refused(
    tmp_path: Path, environment: object, grader: object, variants: object, extra: dict[str, object]
) -> None:
    """Nothing but InputError comes out, whatever stands where."""
    import yaml as pyyaml  # the fixture of this name is another thing

    task = {"id": "a", "prompt": "{{ a }}", "environment": environment, "grader": grader, "variants": variants}
    data = {"taskset": "t", "version": 1, "environments": {"e": environment}, "tasks": [task | extra], **extra}
    path = tmp_path / "any.yaml"
    path.write_text(pyyaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    try:
        load([path])
    except InputError as error:
        assert error.problems  # noqa: PT017  # either way is fine, but no other exception


@pytest.mark.parametrize("weights", [(1e-6, 1e6), (1e-6, 1e-6), (1e6, 1e6), (0, 1e-6)], ids=str)
def test_whatever_loads_can_be_graded(yaml: Yaml, weights: tuple[float, float]) -> None:
    """At the ends of what weights and `passing` may be, all met is 1 and passed, nothing met is 0 and not."""
    checks = "".join(f"  - {{name: a{w}{n}, run: x, required: true, weight: {w:f}}}\n" for n, w in enumerate(weights))
    task = yaml.task(f"prompt: p\npassing: 0.000001\ngrader:\n  checks:\n{checks.replace('  - ', '    - ')}")
    for score in (0.0, 1.0):
        results = [CheckResult(check.name, check.weight, score) for check in task.grader.checks]
        outcome = combine(results, Stop.FINISHED, task.passing)
        assert (outcome.reward, outcome.passed) == (score, score == 1.0)


KIB = 1024


@pytest.mark.parametrize("letter", ["a", "ä"], ids=["one byte", "two bytes"])
def test_one_param_is_bounded_in_bytes(yaml: Yaml, letter: str) -> None:
    """64 KiB fit, in whatever alphabet; one byte more is refused with the way out."""
    whole = letter * (64 * KIB // len(letter.encode()))
    assert yaml.task(f"prompt: p\nparams: {{x: {whole}}}").variants[0].params == {"x": whole}
    (message,) = yaml.task_problems(f"prompt: p\nparams: {{x: {whole}b}}")
    assert "params.x: longer than 64 KiB" in message
    assert "put it in a file" in message
    (message,) = yaml.task_problems(f"prompt: p\nvariants: {{x: [{whole}b]}}")
    assert "variants.x[0]: longer than 64 KiB" in message


@pytest.mark.parametrize("letter", ["a", "ä"], ids=["one byte", "two bytes"])
def test_all_params_of_a_variant_are_bounded_together(yaml: Yaml, letter: str) -> None:
    """Names and values, constants and the variant's own: 96 KiB fit, one byte more does not."""
    constant = letter * (48 * KIB // len(letter.encode()))
    own = constant[: (48 * KIB - len("nm")) // len(letter.encode())]
    text = "prompt: p\nparams: {n: %s}\nvariants:\n- {id: big, m: %s}\n- {id: small, m: 1}"
    assert len(yaml.task(text % (constant, own)).variants) == 2
    (message,) = yaml.task_problems(text % (constant, f"{own}b"))
    assert message.startswith("13: tasks[0].variants[0]: the params of a variant are longer than 96 KiB together")


def test_a_process_can_start_with_the_largest_params(yaml: Yaml) -> None:
    """What loads is what a script's environment holds."""
    texts = {"a": "x" * 64 * KIB, "b": "y" * (32 * KIB - 2)}
    params = yaml.task(f"prompt: p\nparams: {{a: {texts['a']}, b: {texts['b']}}}").variants[0].params
    done = host.run_program(
        ["env", *(f"{name}={value}" for name, value in params.items()), "sh", "-c", "echo $b"], seconds=60
    )
    assert done.last_line == texts["b"]


def test_a_product_that_is_too_large_is_one_problem(yaml: Yaml) -> None:
    """All its variants stand in one place, which is named once."""
    large = "ä" * (30 * KIB)
    (message,) = yaml.task_problems(f"prompt: p\nvariants: {{x: [{large}], y: [{large}], a: [1, 2], b: [1, 2]}}")
    assert "longer than 96 KiB together" in message
