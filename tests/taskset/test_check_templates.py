"""Params in the values of checks: each variant has its own checks, and a mistake names the value and the variant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.core.grade import resolve_pointer
from taskcal.core.rollout import Stop
from taskcal.core.task import Group, Taskset
from taskcal.grading import grade
from taskcal.taskset.advice import warnings
from taskcal.taskset.schema import taskset_schema
from taskcal.taskset.template import TemplateMistake
from taskcal.taskset.value_template import Target, ValueTemplates
from tests.fake_engine import record
from tests.grading_case import Told
from tests.taskset.taskset_case import HEAD, Yaml

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.task import Scalar, Task

PARAMS: dict[str, Scalar] = {"n": 42, "f": 1.5, "s": "a.b", "b": True, "none": None, "path": "x/y~z", "digits": "7"}


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


def render(text: str, target: Target = Target.TEXT, **params: Scalar) -> Scalar:
    return ValueTemplates().compile(text, target).render(PARAMS | params)


def probe(yaml: Yaml, check: str, params: str = "n: 42, f: 1.5, s: a.b, b: true, digits: '7', none: null") -> object:
    """The probe of one check in a task with these params."""
    task = yaml.task(f"prompt: p\nparams: {{{params}}}\ngrader: {{checks: [{{name: a, {check}}}]}}")
    return task.grader.checks[0].probe


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        ("{{ n }}", Target.TEXT, 42),
        ("{{ f }}", Target.TEXT, 1.5),
        ("{{ b }}", Target.TEXT, True),
        ("{{ none }}", Target.TEXT, None),
        ("{{ digits|int }}", Target.TEXT, 7),
        ("{{ n if b else s }}", Target.TEXT, 42),
        ("{{ other|default(n) }}", Target.TEXT, 42),
        ("#{{ n }}", Target.TEXT, "#42"),
        ("{{ n }} ", Target.TEXT, "42 "),
        ("{{ b }}/{{ none }}", Target.TEXT, "true/"),
        ("{% if b %}yes{% else %}no{% endif %}", Target.TEXT, "yes"),
        ("{# text #} {{ n }}", Target.TEXT, "{# text #} 42"),
        ('{{ "{{" }}', Target.TEXT, "{{"),
        ("{% raw %}{{ n }}{% endraw %}", Target.TEXT, "{{ n }}"),
        ("{{ s }}", Target.PATTERN, r"a\.b"),
        ("^{{ s }}+$", Target.PATTERN, r"^a\.b+$"),
        ("{{ n }}", Target.PATTERN, "42"),
        ("/k/{{ path }}/0", Target.POINTER, "/k/x~1y~0z/0"),
        ("{{ path }}", Target.POINTER, "x/y~z"),
    ],
)
def test_params_are_written_as_their_place_needs_it(text: str, target: Target, value: Scalar) -> None:
    """One expression keeps its type; in a pattern a param is its own text, in a pointer it is one key."""
    assert render(text, target) == value
    assert type(render(text, target)) is type(value)


@given(text=st.text(max_size=50), around=st.sampled_from(["{}", "^{}$", "a{}b", "[{}]"]))
def test_a_param_in_a_pattern_matches_itself_only(text: str, around: str) -> None:
    """Whatever a param holds, the pattern that it stands in compiles and finds it."""
    pattern = str(render(around.format("{{ s }}"), Target.PATTERN, s=text))
    assert pattern == around.format(re.escape(text))
    if around in ("^{}$", "a{}b"):
        assert re.search(pattern, around.strip("^$").format(text))


@given(key=st.text(max_size=50))
def test_a_param_in_a_pointer_is_one_key(key: str) -> None:
    """Slashes and tildes of a param lead nowhere else."""
    assert resolve_pointer({"k": {key: "found"}}, str(render("/k/{{ s }}", Target.POINTER, s=key))) == "found"


@pytest.mark.parametrize(
    "text", ["{{ n", "{{ n.x }}", "{{ n * 9 }}", "{% for x in s %}{% endfor %}", "{{ n }}\r", "{{ n }}" * 1_001]
)
def test_a_value_is_bounded_as_a_prompt_is(text: str) -> None:
    """Loops, attributes and arithmetic are refused, and so is what could be made large."""
    with pytest.raises(TemplateMistake):
        ValueTemplates().compile(text, Target.TEXT)


@pytest.mark.parametrize("text", ["{{ [n, n] }}", "{{ (n, s) }}", "{{ s }}" * 100])
def test_a_value_is_one_bounded_scalar(text: str) -> None:
    """A list of references could be printed as gigabytes."""
    with pytest.raises(ValueError, match=r"must be one value|longer than 1 MiB"):
        render(text, s="x" * 50_000)


@pytest.mark.parametrize(
    ("check", "attribute", "value"),
    [
        ("file: '/a/{{ s }}', exists: true", "path", "/a/a.b"),
        ("file: /a, equals: '{{ n }}'", "equals", 42),
        ("file: /a, pointer: /x, equals: '{{ n }}'", "equals", 42),
        ("file: /a, pointer: /x, equals: '{{ none }}'", "equals", None),
        ("file: /a, pointer: /x, equals: {k: ['{{ n }}', 'x{{ b }}', 1]}", "equals", {"k": [42, "xtrue", 1]}),
        ("file: /a, pointer: '/{{ s }}', exists: true", "pointer", "/a.b"),
        ("file: /a, contains: '{{ n }}'", "contains", "42"),
        ("file: /a, matches: '{{ s }}$'", "matches", r"a\.b$"),
        ("answer: {equals: '{{ n }}'}", "equals", "42"),
        ("answer: {contains: 'is {{ n }}'}", "contains", "is 42"),
        ("answer: {matches: '{{ s }}'}", "matches", r"a\.b"),
        ("answer: {number: '{{ n }}'}", "number", 42),
        ("answer: {number: '{{ digits }}'}", "number", 7),
        ("answer: {number: 1, tolerance: '{{ f }}'}", "tolerance", 1.5),
    ],
)
def test_every_value_of_a_file_or_answer_takes_params(yaml: Yaml, check: str, attribute: str, value: object) -> None:
    """Numbers stay numbers for JSON, text where text is needed; a number may come as the text of a CSV cell."""
    found = getattr(probe(yaml, check), attribute)
    assert (found, type(found)) == (value, type(value))


def test_each_variant_has_its_own_checks(yaml: Yaml) -> None:
    """What a rollout is graded by is its group's grader; checks without params are shared."""
    task = yaml.task(
        "prompt: p\nvariants: [{id: one, n: 1}, {id: two, n: 2}]\ngrader:\n  checks:\n"
        "    - {name: a, answer: {number: '{{ n }}'}}\n    - {name: b, file: /a, exists: true}"
    )
    groups = [Group(task, variant) for variant in task.variants]
    assert [getattr(group.grader.checks[0].probe, "number", None) for group in groups] == [1, 2]
    assert groups[0].grader.checks[1] is groups[1].grader.checks[1]
    assert task.grader == groups[0].grader
    rewards = [reward(group, b"2\n") for group in groups]
    assert rewards == [0.5, 1.0]


def reward(group: Group, answer: bytes) -> float:
    output = record(0, 0, answer) + record(1, 0, b"")
    return grade(Told([output]), group, Stop.FINISHED).graded.reward


def test_a_grader_without_params_is_one_for_all(yaml: Yaml) -> None:
    """A thousand variants of a grader with plain values cost nothing more."""
    task = yaml.task("prompt: p\nvariants: {n: [1, 2]}")
    assert [variant.checks for variant in task.variants] == [None, None]
    assert Group(task, task.variants[1]).grader is task.grader


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("file: /a, equals: '{{ ordr }}'", "14: tasks[0].grader.checks[0].equals: undefined name ordr in the task one"),
        ("file: /a, equals: '{{ ordr }}'", "did you mean order?"),
        ("file: /a, equals: '{{ x'", "equals: not a template"),
        ("file: /a, equals: '{{ x'", 'for the text {{ itself write {{ "{{" }}'),
        ("file: /a, equals: '{{ none }}'", "equals: null is a value of JSON; add pointer"),
        ("file: /a, pointer: /x, equals: {'{{ order }}': 1}", "equals: a key cannot be a template, only a value"),
        ("file: /a, contains: '{{ none }}'", "contains: must not be empty"),
        ("file: '{{ up }}/x', exists: true", 'file: must not contain ".."'),
        ("file: '{{ text }}', exists: true", 'file: must be an absolute path in the container, not "abc"'),
        ("file: /a, pointer: '{{ text }}', exists: true", "pointer: must be a JSON pointer"),
        ("file: /a, matches: '({{ text }}'", "matches: not a regular expression"),
        ("file: /a, matches: '{{ long }}'", "matches: a regular expression of more than 1,000 characters"),
        ("answer: {number: '{{ text }}'}", 'answer.number: must be a number, not "abc" (in one)'),
        ("answer: {number: '{{ none }}'}", "answer.number: cannot be rendered: must be a number, not null"),
        ("answer: {number: '{{ yes }}'}", "answer.number: must be a number"),
        ("answer: {number: 1, tolerance: '{{ minus }}'}", "answer.tolerance: must be at least 0"),
        ("answer: {number: '{{ order }}', equals: x}", "answer: needs exactly one of"),
        ("file: /a, equals: x, pointer: '{{ order }}', answer: {number: '{{ order }}'}", "has file and answer"),
    ],
)
def test_a_mistake_in_a_value_names_its_place(yaml: Yaml, check: str, message: str) -> None:
    """The rules for plain values hold for rendered ones, at the line of the value."""
    params = f"order: 1, none: null, up: /.., text: abc, yes: true, minus: -1, long: {'x' * 1001}"
    found = yaml.task_problems(
        f"prompt: p\nparams: {{{params}}}\ngrader:\n  checks:\n    - {{name: a, {check}}}\n    - {{name: b, run: x}}"
    )
    assert any(message in one for one in found), found


def test_a_variant_with_a_wrong_value_is_named(yaml: Yaml) -> None:
    """The first variant whose value does not fit, and the one that lacks the param."""
    grader = "{checks: [{name: a, answer: {number: '{{ n }}'}}]}"
    task = f"prompt: p\nvariants: [{{id: one, n: 1}}, {{id: two, %s}}]\ngrader: {grader}"
    (message,) = yaml.task_problems(task % "n: abc")
    assert message == '12: tasks[0].grader.checks[0].answer.number: must be a number, not "abc" (in one/two)'
    (message,) = yaml.task_problems(task % "nn: 1")
    assert "undefined name n in the task one in the variant two, did you mean nn?" in message


def test_a_shared_grader_is_filled_in_for_each_task(yaml: Yaml) -> None:
    """One grader, two tasks, two values; a task without the param is named."""
    text = HEAD.replace("graders:\n", "graders:\n  sum: {checks: [{name: a, answer: {number: '{{ n }}'}}]}\n")
    tasks = yaml.load(
        f"{text}  - {{id: a, prompt: p, grader: sum, params: {{n: 1}}}}\n"
        f"  - {{id: b, prompt: p, grader: sum, params: {{n: 2}}}}\n"
    ).tasks
    assert [getattr(task.grader.checks[0].probe, "number", None) for task in tasks] == [1, 2]
    (message,) = yaml.problems(f"{text}  - {{id: a, prompt: p, grader: sum}}\n")
    assert message.startswith("t.yaml:6: graders.sum.checks[0].answer.number: undefined name n in the task a")


def test_what_all_values_hold_together_is_bounded(yaml: Yaml) -> None:
    """A thousand variants of a value of half a megabyte are refused before they fill the memory."""
    numbers = ", ".join(map(str, range(1_000)))
    text = f"prompt: p\nvariants: {{n: [{numbers}]}}\ngrader: {{checks: [{{name: a, file: /a, equals: '%s'}}]}}"
    assert any("too many variants" in one for one in yaml.task_problems(text % f"{{{{ n }}}}{'x' * 500_000}"))


def test_a_large_value_is_not_copied_for_each_variant(yaml: Yaml) -> None:
    """What is copied on the way to a param counts, however little of it is filled in."""
    numbers, items = ", ".join(map(str, range(300))), ", ".join(["1"] * 20_000)
    text = (
        f"prompt: p\nvariants: {{n: [{numbers}]}}\ngrader:\n  checks:\n  - {{name: a, file: /a, pointer: '', equals: "
    )
    assert any("too many variants" in one for one in yaml.task_problems(f"{text}['{{{{ n }}}}', {items}]}}"))


@pytest.mark.parametrize(
    ("check", "key"),
    [
        ("file: /a, equals: 'order $n'", "equals"),
        ("file: /a, equals: {x: '${n}'}, pointer: ''", "equals"),
        ("file: /a, contains: '${n}'", "contains"),
        ("file: /a, matches: '^$n'", "matches"),
        ("file: /a/$n, exists: true", "file"),
        ("file: /a, pointer: /$n, exists: true", "pointer"),
        ("answer: {equals: $n}", "equals"),
        ("answer: {matches: 'n=$n'}", "matches"),
    ],
)
def test_a_shell_variable_in_a_value_is_a_warning(yaml: Yaml, check: str, key: str) -> None:
    """Only scripts have `$name`; the warning says how to write it here. Other names and scripts are left alone."""
    assert told(yaml, check) == [f'check "a": {key} is not a script, so $n is text there; write {{{{ n }}}}']
    assert told(yaml, check.replace("$n", "$m").replace("${n}", "${m}")) == []
    assert told(yaml, "run: 'test $n = 1'") == told(yaml, r"file: /a, matches: 'costs \$n'") == []


def told(yaml: Yaml, check: str) -> list[str]:
    """The warnings about a good task's check."""
    task: Task = yaml.task(
        "prompt: p\nparams: {n: 1}\nsolutions: [{name: s, run: x}]\nwrong: [{name: w, run: x}]\n"
        f"grader: {{checks: [{{name: a, {check}}}, {{name: b, run: x}}]}}"
    )
    return [problem.message for problem in warnings(Taskset("t", (task,)))]


def test_an_editor_accepts_a_template_for_a_number() -> None:
    """The JSON Schema takes numbers and templates, and no other text."""
    schema = taskset_schema()
    for value, good in ((1, True), (1.5, True), ("{{ n }}", True), ("{% if a %}1{% endif %}", True), ("42", False)):
        task = {
            "id": "t",
            "prompt": "p",
            "environment": "e",
            "grader": {"checks": [{"name": "a", "answer": {"number": value, "tolerance": value}}]},
        }
        validator = jsonschema.Draft202012Validator(schema)
        assert validator.is_valid({"taskset": "t", "version": 1, "tasks": [task]}) == good
