"""Every combination of a check's keys is honoured, each key with an effect of its own, or refused at a key's line."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import jsonschema
import pytest

from taskcal.core.grading.grade import FileState, combine, judge_answer, judge_file, text_to_match
from taskcal.core.rollout import CheckResult, Stop
from taskcal.core.task import AnswerProbe, Check, FileProbe, Grader, RunProbe
from taskcal.errors import GraderLost
from taskcal.execution.grading import judge_run
from taskcal.execution.grading_driver import JobRecord, batches
from taskcal.taskset.models.grader import AnswerModel, CheckModel
from taskcal.taskset.models.schema import taskset_schema
from taskcal.taskset.prompts.check_templates import GraderDraft, build_grader
from taskcal.taskset.prompts.template import Prompts
from taskcal.taskset.scope import Budget, Scope
from taskcal.yamlfile.nodes import Map, Seq
from taskcal.yamlfile.paths import Folder
from taskcal.yamlfile.problems import Problems

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

CHECK: Mapping[str, object] = {
    "run": "x", "file": "/a", "answer": None, "exists": True, "absent": True, "equals": "x", "contains": "x",
    "matches": "^x", "pointer": "/k", "score": "stdout", "timeout": 5, "alone": True, "in": "db", "user": "agent",
    "required": True, "weight": 0.5,
}  # fmt: skip
ANSWER: Mapping[str, object] = {"equals": "7", "contains": "7", "matches": "7$", "number": 7, "tolerance": 2}
CONDITIONS = {"exists", "absent", "equals", "contains", "matches"}
WEIGHING = {"required", "weight"}
FOR_RUN, FOR_FILE = {"score", "timeout", "alone", "in", "user"}, CONDITIONS | {"pointer"}
REMEDY = re.compile(r"; (leave out|add|keep|write|give|name) |: split it")

VALIDATOR = jsonschema.Draft202012Validator(taskset_schema())

NO_FILE, NOT_A_FILE = FileState(exists=False), FileState(exists=True)
TEXTS = (
    "x",
    "xx",
    "yx",
    "y",
    "",
    '{"k": "x"}',
    '{"k": "xx"}',
    '{"k": "yx"}',
    '{"k": "y"}',
    '{"x": 1}',
    '{"j": "x"}',
    "[]",
)
STATES = (NO_FILE, NOT_A_FILE, *(FileState(exists=True, content=text.encode()) for text in TEXTS))
ANSWERS = (None, "", "7", "is 7", "77", "8", "6.0", "-7", "7 7", "7!")
RECORDS = tuple(
    JobRecord(status, late=False, size=len(out), stdout=out, stderr=b"")
    for status in (0, 1)
    for out in (b"", b"0\n", b"1\n", b"0.5\n")
)


def subsets(keys: Collection[str], most: int = 99) -> Iterator[frozenset[str]]:
    sizes = range(min(len(keys), most) + 1)
    return (frozenset(some) for size in sizes for some in itertools.combinations(sorted(keys), size))


def read(folder: Path, keys: Collection[str], answer: Collection[str] = ("equals",)) -> GraderDraft | list[str]:
    """Give the grader of one check with these keys, each on a line of its own, or the messages that refuse it."""
    raw = Map(1)
    raw["checks"] = checks = Seq(2, raw, "checks")
    raw["run"] = "" if {"run", "file", "answer"} & {*keys} else "score all"
    check = Map(10, checks, 0)
    check["name"] = "one"
    for line, key in enumerate(key for key in CHECK if key in keys):
        check[key], check.lines[key] = CHECK[key], 10 + line
    if "answer" in keys:
        check["answer"] = inner = Map(check.lines["answer"], check, "answer")
        for key in answer:
            inner[key], inner.lines[key] = ANSWER[key], inner.line
    checks.append(check)
    checks.lines.append(10)
    scope = Scope("t.yaml", Folder(folder), Problems(), Budget(), Prompts(), {})
    draft = build_grader(raw, "g", scope)
    return [str(problem) for problem in scope.problems.found()] if draft is None else draft


def is_sensible(keys: Collection[str]) -> bool:
    """Whether a person would know what the combination means."""
    kinds = {"run", "file", "answer"} & {*keys}
    return (
        len(kinds) <= 1
        and ("run" in kinds or not FOR_RUN & {*keys})
        and ("file" in kinds or not FOR_FILE & {*keys})
        and ("file" not in kinds or len(CONDITIONS & {*keys}) == 1)
    )


def check_of(draft: GraderDraft | list[str]) -> Check:
    assert isinstance(draft, GraderDraft), draft
    return draft.grader.checks[0]


def test_the_table_knows_every_key() -> None:
    """A new key of a check must be tried here with all others."""
    assert {*CHECK, "name"} == set(CheckModel.known_keys())
    assert set(ANSWER) == set(AnswerModel.known_keys())


def test_every_combination_is_accepted_or_refused_with_file_line_key_and_remedy(tmp_path: Path) -> None:
    """What makes sense loads; of the rest each message names a key that is there, and a way out.

    All subsets of the 13 keys that decide what is judged, and all of at most four keys with the two that weigh it.
    """
    weighing = (keys for keys in subsets(CHECK, most=4) if WEIGHING & keys)
    for keys in (*subsets(CHECK.keys() - WEIGHING), *weighing):
        found = read(tmp_path, keys)
        assert isinstance(found, GraderDraft) == is_sensible(keys), (keys, found)
        for message in found if isinstance(found, list) else ():
            match = re.match(r"t\.yaml:(\d+): checks\[0\]\.(\w+): ", message)
            assert match, message
            assert match[2] in keys, message
            assert int(match[1]) == 10 + [key for key in CHECK if key in keys].index(match[2])
            assert REMEDY.search(message), message


def is_valid(check: object) -> bool:
    task = {"id": "t", "grader": {"checks": [check]}}
    return bool(VALIDATOR.is_valid({"taskset": "t", "version": 1, "tasks": [task]}))


def test_an_editor_marks_the_combinations_that_are_refused() -> None:
    """The JSON Schema has the same rules: all subsets of five keys, all answers, and a guard without a weight."""
    for keys in subsets(CHECK.keys() - WEIGHING, most=5):
        check = {key: {"equals": "7"} if key == "answer" else CHECK[key] for key in keys}
        assert is_valid({"name": "one", **check}) == is_sensible(keys), keys
    for keys in subsets(ANSWER):
        sensible = len(keys - {"tolerance"}) == 1 and ("tolerance" not in keys or "number" in keys)
        assert is_valid({"name": "one", "answer": {key: ANSWER[key] for key in keys}}) == sensible, keys
    assert not is_valid({"name": "one", "answer": {"equals": None}})
    assert not is_valid({"name": "one", "run": "x", "weight": 0})
    assert is_valid({"name": "one", "run": "x", "weight": 0, "required": True})


@pytest.mark.parametrize("value", [None, [1], {"a": 1}])
def test_an_editor_marks_what_no_text_equals(value: object) -> None:
    """Null, lists and maps are values of JSON, which needs a pointer; the whole document is never absent."""
    check = {"name": "one", "file": "/a", "equals": value}
    assert not is_valid(check)
    assert is_valid({**check, "pointer": ""})
    assert not is_valid({"name": "one", "file": "/a", "pointer": "", "absent": True})


def test_every_key_of_a_file_check_changes_what_is_paid(tmp_path: Path) -> None:
    """Any two combinations differ in the score of some state, and each can be met and missed."""
    seen: dict[tuple[float, ...], frozenset[str]] = {}
    for keys in filter(is_sensible, subsets(["file", *sorted(FOR_FILE)])):
        if "file" in keys:
            probe = check_of(read(tmp_path, keys)).probe
            assert isinstance(probe, FileProbe)
            scores = tuple(judge_file(probe, state, searched(probe, state)).value for state in STATES)
            assert {*scores} == {0.0, 1.0}, keys
            assert seen.setdefault(scores, keys) == keys
    assert len(seen) == 10


def searched(probe: FileProbe, state: FileState) -> bool | None:
    text = text_to_match(probe, state)
    return None if probe.matches is None or text is None else re.search(probe.matches, text) is not None


def test_every_key_of_an_answer_changes_what_is_paid(tmp_path: Path) -> None:
    """One condition each, tolerance only with a number; every other subset is refused at the answer's line."""
    seen: dict[tuple[float, ...], frozenset[str]] = {}
    for keys in subsets(ANSWER):
        found = read(tmp_path, {"answer"}, keys)
        sensible = len(keys - {"tolerance"}) == 1 and ("tolerance" not in keys or "number" in keys)
        assert isinstance(found, GraderDraft) == sensible, (keys, found)
        if isinstance(found, list):
            assert all(message.startswith("t.yaml:10: checks[0].answer") for message in found), found
            assert all(REMEDY.search(message) for message in found), found
            continue
        probe = check_of(found).probe
        assert isinstance(probe, AnswerProbe)
        tried = [None if one is None else re.search(probe.matches or "", one) is not None for one in ANSWERS]
        scores = tuple(judge_answer(probe, one, match).value for one, match in zip(ANSWERS, tried, strict=True))
        assert seen.setdefault(scores, keys) == keys
    assert len(seen) == 5


def test_every_key_of_a_run_check_changes_how_it_runs_or_scores(tmp_path: Path) -> None:
    """Where it runs, with whom, for how long, and what its output means: 32 combinations, 32 behaviours."""
    seen: dict[object, frozenset[str]] = {}
    for keys in subsets(sorted(FOR_RUN)):
        draft = read(tmp_path, keys | {"run"})
        probe = check_of(draft).probe
        assert isinstance(probe, RunProbe)
        assert isinstance(draft, GraderDraft)
        (batch,) = (batch for batch in batches(draft.grader, 60.0) if "one" in batch.names)
        timeout = getattr(batch.jobs[batch.names.index("one")], "timeout", None)
        behaviour = (batch.service, batch.user, batch.alone, timeout, *(outcome(probe, record) for record in RECORDS))
        assert seen.setdefault(behaviour, keys) == keys
    assert len(seen) == 32


def outcome(probe: RunProbe, record: JobRecord) -> float | None:
    try:
        return judge_run(probe, record).value
    except GraderLost:
        return None


def test_required_and_weight_change_the_reward(tmp_path: Path) -> None:
    """Each of the four combinations gives other rewards beside a check of weight 1, whatever the check judges by."""
    for kind in ({"run"}, {"file", "exists"}, {"answer"}, set()):
        seen = set()
        for keys in subsets(["required", "weight"]):
            check = check_of(read(tmp_path, kind | keys))
            result = CheckResult("one", check.weight, 0.0, required=check.required)
            rewards = (
                combine([replace(result, score=mine), CheckResult("other", 1.0, theirs)], Stop.FINISHED, 1.0).reward
                for mine, theirs in itertools.product((0.0, 1.0), repeat=2)
            )
            seen.add(tuple(rewards))
        assert len(seen) == 4


@pytest.mark.parametrize("key", sorted({*CHECK} - {"equals"}))
def test_a_null_is_a_key_that_was_not_given(tmp_path: Path, key: str) -> None:
    """Null drops a key; only `equals: null` means something, and that in JSON."""
    base = {"run"} if key == "file" else {"file", "equals"}
    raw = Map(1)
    raw["checks"] = checks = Seq(2, raw, "checks")
    check = Map(10, checks, 0)
    check.update({"name": "one", **{name: CHECK[name] for name in base}, key: None})
    checks.append(check)
    scope = Scope("t.yaml", Folder(tmp_path), Problems(), Budget(), Prompts(), {})
    draft = build_grader(raw, "g", scope)
    assert isinstance(draft, GraderDraft), scope.problems.found()
    assert draft.grader == Grader((check_of(read(tmp_path, base)),))
