"""Runs the checks in the sandbox and hands what they saw to `core.grade`.

`grader.sandbox: shared` grades where the agent worked, after its processes were killed; `fresh` in a container of the
image that receives the artifacts alone. Whose failure is what:

    a `run` check ends with another status than 0      score 0, with status and last words as the note
    a check is still running at its timeout            score 0, noted; what it left is killed
    a check `alone` ends or stops everything around it,  score 0, noted: it is there for the agent's code
      or prints no number
    a service has ended by the time it is asked        score 0 for its checks, with its last words
    `score: stdout`, status 0, last line not a score   lost at the grader, with the check and what it printed
    the grader's one script prints no scores           lost at the grader, likewise; 0 if it ran out of time
    a regular expression takes too long                score 0, noted
    the driver cannot run or does not finish, or the   score 0 for the checks that it should have run, where it is
    sandbox has died                                    certain that what ran in the sandbox did it (see `blame`); else
                                                        lost, at the grader or at the sandbox
    an artifact is missing, too large or hostile        its checks see nothing there; noted where they fail

A status of 126 or 127 is a score of 0 as well: it is as often the agent's missing program as the grader's.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from taskcal.blame import fault_inside
from taskcal.core.answer_number import final_text
from taskcal.core.grade import (
    FULL,
    FileState,
    Score,
    combine,
    failed,
    judge_answer,
    judge_file,
    shortened,
    text_to_match,
)
from taskcal.core.rollout import CheckResult
from taskcal.core.scores import NoScore, score_on_last_line, scores_on_last_line
from taskcal.core.task import AnswerProbe, FileProbe, GraderSandbox, RunProbe, ScoreBy
from taskcal.errors import GraderLost, SandboxLost
from taskcal.grading_driver import (
    ABSENT,
    ANSWER_JOB,
    NOT_A_FILE,
    SCRIPT_JOB,
    STOP_EVERYTHING,
    Batch,
    Record,
    batches,
    drive,
    output_bound,
    parse,
    seconds,
)
from taskcal.host import search_within
from taskcal.sandbox import ANSWER_FILE, ROOT_USER, Ending, Script
from taskcal.sandbox.scripts import make_way, start_again

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.core.rollout import Graded, Stop
    from taskcal.core.task import Check, Grader, Group
    from taskcal.sandbox import GradableSandbox

REGEX_SECONDS = 2.0
REGEX_TEXT = 1024 * 1024
KILLED = 137
SLACK_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What grading came to: the outcome, the agent's final message (None where it gave none), and a log to keep."""

    graded: Graded
    answer: str | None
    log: str


def grade(sandbox: GradableSandbox, group: Group, stop: Stop) -> Judgement:
    """Stop the agent, run every check, and combine. Raises GraderLost, or what the sandbox raises when it dies."""
    task = group.task
    grader, environment = group.grader, task.environment
    fresh = grader.sandbox is GraderSandbox.FRESH
    ended = sandbox.ended_services()
    notes = sandbox.freshen(grader.artifacts, grader.files) if fresh else _deliver(sandbox, grader)
    before = ("" if fresh else STOP_EVERYTHING) + start_again(environment.start, environment.ready)
    records: dict[str, Record] = {}
    for batch in batches(grader, task.timeouts.grader):
        records.update(_run(sandbox, batch, before if batch.first else "", grader.env))
    try:
        judged = _judged(sandbox, group, stop, records, notes)
    except GraderLost as lost:
        lost.log = _log((), records, notes)
        raise
    log = "".join(f"{words}\n" for words in ended) + judged.log
    return replace(judged, graded=replace(judged.graded, ended_services=ended), log=log)


def _judged(
    sandbox: GradableSandbox, group: Group, stop: Stop, records: Mapping[str, Record], notes: Sequence[str]
) -> Judgement:
    grader = group.grader
    answer = _answer(records[ANSWER_JOB])
    try:
        scripted = _scripted(records[SCRIPT_JOB], grader) if grader.run else {}
    except GraderLost as lost:
        scripted = dict.fromkeys((check.name for check in grader.checks), _blamed(sandbox, lost).value)
    judge = _Judge(sandbox, records, answer, scripted)
    results = tuple(_result(check, judge.score(check), notes) for check in grader.checks)
    return Judgement(combine(results, stop, group.task.passing), answer, _log(results, records, notes))


def _deliver(sandbox: GradableSandbox, grader: Grader) -> tuple[str, ...]:
    """Bring the grader's files where the agent was, after stopping it; where that fails, the checks will say why."""
    if grader.files:
        way = make_way(tuple(copy.destination for copy in grader.files))
        with contextlib.suppress(SandboxLost):
            sandbox.run(Script(STOP_EVERYTHING + way, SLACK_SECONDS, user=ROOT_USER, hidden=True))
            sandbox.put(grader.files)
    return ()


def _run(sandbox: GradableSandbox, batch: Batch, before: str, env: Mapping[str, str]) -> dict[str, Record]:
    """The records of a batch; all failed where the agent is to blame that there are none, else what was raised."""
    try:
        return _driven(sandbox, batch, before, env)
    except SandboxLost:
        words = _end_of_service(sandbox, batch.service) if batch.service else _fault(sandbox)
        if words is None:
            raise
        return _all_failed(batch, words)
    except GraderLost:
        words = None if batch.service else _fault(sandbox)
        if words is None:
            raise
        return _all_failed(batch, words)


def _driven(sandbox: GradableSandbox, batch: Batch, before: str, env: Mapping[str, str]) -> dict[str, Record]:
    script = Script(
        drive(batch.jobs, secrets.token_hex(8), before, runs_agents_code=batch.alone),
        timeout=seconds(batch.jobs) + SLACK_SECONDS,
        user=ROOT_USER,
        env={**sandbox.variables, **env, "TASKCAL_ANSWER_FILE": ANSWER_FILE},
        hidden=True,
        service=batch.service,
    )
    result = sandbox.run(script, limit=output_bound(batch.jobs))
    records = parse(result.stdout, len(batch.jobs)) if result.ok else None
    if batch.alone and records is None:
        return _all_failed(batch, f"it ended or stopped everything around it ({result.how})")
    if result.ending is not Ending.EXITED:
        raise GraderLost(f"grading did not finish ({result.ending.value}): {result.tail}")
    if records is None:
        where = f"service {batch.service}" if batch.service else "the sandbox"
        raise GraderLost(f"the checks could not run in {where} (exit {result.exit_code}): {result.tail}")
    return dict(zip(batch.names, records, strict=True))


def _end_of_service(sandbox: GradableSandbox, service: str) -> str | None:
    words = sandbox.service_ended(service)
    return None if words is None else f"service {service} had ended: {words}"


def _fault(sandbox: GradableSandbox) -> str | None:
    fault = fault_inside(sandbox)
    return None if fault is None else fault.words


def _all_failed(batch: Batch, note: str) -> dict[str, Record]:
    return dict.fromkeys(batch.names, Record(KILLED, late=False, size=0, stdout=b"", stderr=note.encode(), ran=False))


@dataclass(frozen=True, slots=True)
class _Judge:
    sandbox: GradableSandbox
    records: Mapping[str, Record]
    answer: str | None
    scripted: Mapping[str, float]

    def score(self, check: Check) -> Score:
        probe = check.probe
        if isinstance(probe, RunProbe):
            return self._score_run(check.name, probe, self.records[check.name])
        if isinstance(probe, FileProbe):
            state = file_state(self.records[check.name])
            return judge_file(probe, state, _matches(probe.matches, text_to_match(probe, state)))
        if isinstance(probe, AnswerProbe):
            return judge_answer(probe, self.answer, _matches(probe.matches, final_text(self.answer or "")))
        value = self.scripted[check.name]
        return FULL if value >= 1.0 else Score(value, "the grader's script says so")

    def _score_run(self, check: str, probe: RunProbe, record: Record) -> Score:
        try:
            return judge_run(probe, record)
        except GraderLost as error:
            if probe.alone:
                return failed(str(error))
            lost = GraderLost(f'the check "{check}" with `score: stdout` {error}')
            if probe.service:
                raise lost from error
            return _blamed(self.sandbox, lost)


def _blamed(sandbox: GradableSandbox, lost: GraderLost) -> Score:
    """A score of 0 where the agent is to blame that a script said nothing. Raises what was lost elsewhere."""
    words = _fault(sandbox)
    if words is None:
        raise lost
    return failed(words)


def judge_run(probe: RunProbe, record: Record) -> Score:
    """Judge what a script did. Raises GraderLost if it should have printed a score and did not."""
    if record.late:
        return failed(f"still running at its timeout: {record.tail}".rstrip(": "))
    if record.status != 0:
        return failed(f"exit {record.status}: {record.tail}".rstrip(": "))
    if probe.score is ScoreBy.EXIT:
        return FULL
    try:
        value = score_on_last_line(record.stdout.decode(errors="replace"))
    except NoScore as error:
        raise GraderLost(str(error)) from error
    return FULL if value >= 1.0 else Score(value, f"scored {value:g}: {record.tail}")


def file_state(record: Record) -> FileState:
    """What the driver's read of a file means; one that could not be read in time counts as no regular file."""
    if record.status == ABSENT:
        return FileState(exists=False)
    if record.status == NOT_A_FILE or record.late or record.status != 0:
        return FileState(exists=True)
    return FileState(exists=True, content=record.stdout, truncated=record.size > len(record.stdout))


def _matches(pattern: str | None, text: str | None) -> bool | None:
    return None if pattern is None or text is None else search_within(pattern, text[:REGEX_TEXT], REGEX_SECONDS)


def _answer(record: Record) -> str | None:
    content = file_state(record).content
    return None if content is None else content.decode(errors="replace")


def _scripted(record: Record, grader: Grader) -> dict[str, float]:
    if record.late or not record.ran:
        return {check.name: 0.0 for check in grader.checks}
    names = [check.name for check in grader.checks if _is_scripted(check)]
    try:
        return scores_on_last_line(record.stdout.decode(errors="replace"), names)
    except NoScore as error:
        raise GraderLost(f"the grader's script {error} (exit {record.status}): {record.tail or 'nothing'}") from error


def _is_scripted(check: Check) -> bool:
    return not isinstance(check.probe, RunProbe | FileProbe | AnswerProbe)


def _result(check: Check, score: Score, notes: Sequence[str]) -> CheckResult:
    note = "; ".join((score.note, *notes)) if score.value < 1.0 else score.note
    return CheckResult(check.name, check.weight, score.value, shortened(note), check.required)


def _log(results: Sequence[CheckResult], records: Mapping[str, Record], notes: Sequence[str]) -> str:
    """Each check's score and note, then all that is kept of what scripts printed; of files, only the last words."""
    lines = (f"{check.score:.3g}  {check.name}  {check.note}".rstrip() for check in results)
    names = {SCRIPT_JOB: "grader.run"}
    said = (
        f"--- {names.get(name, name)}\n{record.whole if name in names else record.tail}"
        for name, record in records.items()
        if record.whole and name != ANSWER_JOB
    )
    return "\n".join((*notes, *lines, *said)) + "\n"
