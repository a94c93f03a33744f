"""Params in the values of checks: each variant has its own checks, and a mistake names the value and the variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jsonschema
import pytest

from taskcal.core.rollout import Stop
from taskcal.core.task import Group, Taskset, Variant
from taskcal.execution.grading import grade
from taskcal.taskset.advice.advice import warnings
from taskcal.taskset.models.schema import taskset_schema
from taskcal.taskset.prompts.check_templates import build_grader, with_checks
from taskcal.taskset.prompts.template import Prompts
from taskcal.taskset.scope import Budget, Scope
from taskcal.taskset.shared_parts import Located
from taskcal.yamlfile.allowance import LoadAllowance
from taskcal.yamlfile.paths import Folder
from taskcal.yamlfile.problems import Problems
from taskcal.yamlfile.reader import parse_yaml
from tests.execution.grading_case import Told
from tests.sandbox.fake_engine import record
from tests.taskset.taskset_case import HEAD, Yaml

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.task import Task


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


def probe(yaml: Yaml, check: str, params: str = "n: 42, f: 1.5, s: a.b, b: true, digits: '7', none: null") -> object:
    """The probe of one check in a task with these params."""
    task = yaml.task(f"prompt: p\nparams: {{{params}}}\ngrader: {{checks: [{{name: a, {check}}}]}}")
    return task.grader.checks[0].probe


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
        ("answer: {number: $order}", 'must be a number, not "$order"; a param is written "{{ name }}" here'),
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
    numbers, items = ", ".join(map(str, range(30))), ", ".join(["1"] * 100_000)
    text = (
        f"prompt: p\nvariants: {{n: [{numbers}]}}\ngrader:\n  checks:\n  - {{name: a, file: /a, pointer: '', equals: "
    )
    assert any("too many variants" in one for one in yaml.task_problems(f"{text}['{{{{ n }}}}', {items}]}}"))


def test_a_pattern_of_each_variant_is_paid_for(yaml: Yaml) -> None:
    """The allowance of a load counts what compiling costs: a range of 65,280 characters, not its twelve letters."""
    raw = parse_yaml(r"checks: [{name: a, file: /a, matches: '[\u0100-\uffff]{{ n }}'}]", "t.yaml").top
    for compiling, fits in ((9_600, True), (9_000, False)):
        problems = Problems()
        folder = Folder(yaml.folder, LoadAllowance(compiling=compiling))
        scope = Scope("t.yaml", folder, problems, Budget(), Prompts(), {})
        draft = build_grader(raw, "g", scope)
        assert draft is not None
        variant = with_checks("t", Variant("", {"n": 1}, "p"), Located(raw, draft), scope)
        assert (variant is not None, problems.count() == 0) == (fits, fits)


def test_the_values_of_one_grader_that_take_params_are_bounded(yaml: Yaml) -> None:
    """Each costs a millisecond to compile, as in a prompt."""
    items = ", ".join(f"'{{{{ n }}}}{number}'" for number in range(1_001))
    grader = f"{{checks: [{{name: a, file: /a, pointer: '', equals: [{items}]}}]}}"
    (message,) = yaml.task_problems(f"prompt: p\nparams: {{n: 1}}\ngrader: {grader}")
    assert "more than 1,000 values of one grader take params" in message


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


def test_a_template_in_a_solutions_answer_is_a_warning(yaml: Yaml) -> None:
    """It is plain text there, and a script can write the answer; braces without a param's name are meant."""
    (message,) = told(yaml, "run: x", answer="is {{ n }}")
    assert message.startswith('"s": {{ }} is plain text in answer; write a param in run')
    assert told(yaml, "run: x", answer="is {{ m }}") == []


@pytest.mark.parametrize("answer", ["$n", "${n}", "is $n."])
def test_a_shell_variable_in_a_solutions_answer_is_a_warning(yaml: Yaml, answer: str) -> None:
    """An answer is no script: `$n` would be the answer itself, and other dollars are meant."""
    (message,) = told(yaml, "run: x", answer=answer)
    assert message.startswith('"s": $n is plain text in answer; write a param in run')
    assert told(yaml, "run: x", answer="$5 or $m") == []


def test_a_template_in_a_script_is_a_warning(yaml: Yaml) -> None:
    """Scripts are never templates; braces of other programs are left alone."""
    assert told(yaml, "run: 'test {{ n }} = 1'") == [
        'check "a": run is a script and not a template; write "$n" for {{ n }}'
    ]
    assert told(yaml, "run: 'podman ps --format {{.n}} {{ m }}'") == []


def test_a_template_in_a_variable_is_a_warning(yaml: Yaml) -> None:
    """Variables take no params, and scripts have the params already."""
    grader = "grader: {env: {A: '{{ n }}', B: '{{ m }}'}, checks: [{name: a, run: x}, {name: b, run: x}]}"
    task = yaml.task(
        f"prompt: p\nparams: {{n: 1}}\nsolutions: [{{name: s, run: x}}]\nwrong: [{{name: w, run: x}}]\n{grader}"
    )
    assert [problem.message for problem in warnings(Taskset("t", (task,)))] == [
        "grader.env.A: {{ n }} is plain text there; every script has $n already"
    ]


def told(yaml: Yaml, check: str, answer: str = "x") -> list[str]:
    """The warnings about a good task's check and its solution's answer."""
    task: Task = yaml.task(
        f"prompt: p\nparams: {{n: 1}}\nsolutions: [{{name: s, answer: '{answer}'}}]\nwrong: [{{name: w, run: x}}]\n"
        f"grader: {{checks: [{{name: a, {check}}}, {{name: b, run: x}}]}}"
    )
    return [problem.message for problem in warnings(Taskset("t", (task,)))]


@pytest.mark.parametrize(
    ("check", "good"),
    [
        *(({"answer": {"number": n, "tolerance": n}}, True) for n in (1, 1.5, "{{ n }}", "{% if a %}1{% endif %}")),
        ({"answer": {"number": "42"}}, False),
        ({"answer": {"number": 1, "tolerance": -1}}, False),
        ({"file": "/{{ n }}", "pointer": "{{ n }}", "exists": True}, True),
        ({"file": "/a", "pointer": "/{{ n }}", "equals": "{{ n }}"}, True),
        ({"file": "/a", "pointer": "", "exists": True}, True),
        ({"file": "/a", "pointer": "x", "exists": True}, False),
        ({"file": "/a", "pointer": "/a~1b~0c/0", "exists": True}, True),
        ({"file": "/a", "pointer": "/a~2b", "exists": True}, False),
    ],
)
def test_an_editor_accepts_templates(check: dict[str, object], *, good: bool) -> None:
    """The JSON Schema takes what the loader takes: numbers and pointers, or templates, and no other text."""
    task = {"id": "t", "prompt": "p", "environment": "e", "grader": {"checks": [{"name": "a", **check}]}}
    validator = jsonschema.Draft202012Validator(taskset_schema())
    assert validator.is_valid({"taskset": "t", "version": 1, "tasks": [task]}) == good
