"""Runs the checks in the sandbox and hands what they saw to `core.grade`.

`grader.sandbox: shared` grades where the agent worked, after its processes were killed; `fresh` in a container of the
image that receives the artifacts alone. With `processes: keep` the shared grading ends only what the agent itself still
runs, and judges beside what it left (`taskcal.sandbox.processes`): this is stopped while the grader's files arrive and
files are read, and goes on for the scripts. Whose failure is what:

    a `run` check ends with another status than 0      score 0, with status and last words as the note
    a check is still running at its timeout            score 0, noted; what it left is killed
    a check `alone` ends or stops everything around it,  score 0, noted: it is there for the agent's code
      or prints no number, as one with a `user` may
    a service has ended by itself when it is asked     score 0 for its checks, with its last words
    `score: stdout`, status 0, last line not a score   as below: score 0 for it if an untouched sandbox gives a score,
                                                        else lost at the grader, with the check and what it printed
    the grader's one script prints no scores           likewise; 0 if it ran out of time
    a regular expression takes too long                score 0, noted
    anything else fails, from the delivery of the      score 0 for all checks of that sandbox, if what ran in it is to
    grader's files to the end of the last check         blame (see `taskcal.execution.fault_attribution`), else lost
    kept processes certainly leave no pid, memory or   they are ended, and the checks run without them, noted; `start`
      time for the checks                               runs again. Lost if it is not certain
    an artifact is missing, too large or hostile        its checks see nothing there; noted where they fail

A status of 126 or 127 is a score of 0 as well: it is as often the agent's missing program as the grader's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from taskcal.core.grading.answer_number import final_text
from taskcal.core.grading.grade import (
    FULL,
    FileState,
    Score,
    combine,
    judge_answer,
    judge_file,
    shorten_note,
    text_to_match,
    zero_score,
)
from taskcal.core.grading.scores import NoScore, score_on_last_line, scores_on_last_line
from taskcal.core.rollout import CheckResult
from taskcal.core.task import AnswerProbe, FileProbe, RunProbe, ScoreBy
from taskcal.errors import GraderLost
from taskcal.execution.fault_attribution import Worked, attribute_fault
from taskcal.execution.grading_driver import ABSENT, ANSWER_JOB, NOT_A_FILE, SCRIPT_JOB, JobRecord
from taskcal.execution.run_checks import Arrival, arrive, run_anew, run_checks
from taskcal.machine.host import search_within

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskcal.core.rollout import Graded, Stop
    from taskcal.core.task import Check, Grader, Group
    from taskcal.redact import Redactor
    from taskcal.sandbox import GradableSandbox

REGEX_SECONDS = 2.0
REGEX_TEXT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Judgement:
    """What grading came to: the outcome, the agent's final message (None where it gave none), and a log to keep."""

    graded: Graded
    answer: str | None
    log: str


@dataclass(frozen=True, slots=True)
class EndState:
    """What a sandbox is when its agent is done, with the grader in place: it can be judged, and judged again.

    `ended_services` has a sentence for each service that had ended with an error before the grader came.
    """

    group: Group
    stop: Stop
    arrival: Arrival
    ended_services: tuple[str, ...] = ()


def grade(sandbox: GradableSandbox, group: Group, stop: Stop, redactor: Redactor | None = None) -> Judgement:
    """End the agent, and judge what it left. Raises GraderLost, or what the sandbox raises when it dies."""
    return judge_end_state(sandbox, end_agent(sandbox, group, stop), redactor)


def end_agent(sandbox: GradableSandbox, group: Group, stop: Stop) -> EndState:
    """Bring the grader to where the checks run, after the agent is stopped. Raises a LostError.

    Where a shared grading has no files to bring, the first exec of the checks stops the agent: one of its own would
    cost every rollout 50 ms.
    """
    ended = sandbox.ended_services()
    return EndState(group, stop, arrive(sandbox, group.grader), ended)


def judge_end_state(sandbox: GradableSandbox, state: EndState, redactor: Redactor | None = None) -> Judgement:
    """Run every check, and combine. Raises GraderLost, or what the sandbox raises when it dies.

    `redactor` takes secrets out of what checks printed before it is cut for a note; whoever stores the rest redacts it.
    """
    group, ended = state.group, state.ended_services
    records, stopped = run_checks(sandbox, group, state.arrival.blocked)
    seen = _Seen(group, state.stop, _redact(records, redactor), state.arrival.notes + stopped, redactor)
    try:
        judged = _judge(seen)
    except GraderLost as lost:
        judged = _judge_again(sandbox, seen, lost)
    log = "".join(f"{words}\n" for words in ended) + judged.log
    return replace(judged, graded=replace(judged.graded, ended_services=ended), log=log)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What there is to judge; `excuse` says why the agent is to blame for scripts that print no score, if it is."""

    group: Group
    stop: Stop
    records: Mapping[str, JobRecord]
    notes: Sequence[str]
    redactor: Redactor | None = None
    excuse: str | None = None


def _redact(records: Mapping[str, JobRecord], redactor: Redactor | None) -> Mapping[str, JobRecord]:
    return records if redactor is None else {name: record.redacted(redactor) for name, record in records.items()}


def _judge_again(sandbox: GradableSandbox, seen: _Seen, lost: GraderLost) -> Judgement:
    """Judge although a script printed no score: 0 for it if the agent is to blame. Raises what was `lost` if it is not.

    A shell that agrees with everything prints no number, and neither does a grader that is broken.
    """

    def operation(box: GradableSandbox) -> Judgement:
        records = run_anew(box, seen.group, arrived=box is sandbox)
        return _judge(replace(seen, records=_redact(records, seen.redactor)))

    decided = attribute_fault(sandbox, operation)
    if decided is None:
        lost.log = _log((), seen.records, seen.notes)
        raise lost
    return decided.result if isinstance(decided, Worked) else _judge(replace(seen, excuse=decided.words))


def _judge(seen: _Seen) -> Judgement:
    """Judge what was seen. Raises GraderLost for a script that printed no score without an excuse."""
    group, stop, records, notes = seen.group, seen.stop, seen.records, seen.notes
    grader = group.grader
    answer = _answer(records[ANSWER_JOB])
    try:
        scripted = _scripted(records[SCRIPT_JOB], grader) if grader.run else {}
    except GraderLost:
        if seen.excuse is None:
            raise
        scripted = dict.fromkeys((check.name for check in grader.checks), zero_score(seen.excuse))
    scorer = _Scorer(records, answer, scripted, seen.excuse)
    results = tuple(_result(check, scorer.score(check), notes) for check in grader.checks)
    return Judgement(combine(results, stop, group.task.passing), answer, _log(results, records, notes))


@dataclass(frozen=True, slots=True)
class _Scorer:
    records: Mapping[str, JobRecord]
    answer: str | None
    scripted: Mapping[str, Score]
    excuse: str | None

    def score(self, check: Check) -> Score:
        probe = check.probe
        if isinstance(probe, RunProbe):
            return self._score_run(check.name, probe, self.records[check.name])
        if isinstance(probe, FileProbe):
            state = file_state(self.records[check.name])
            return judge_file(probe, state, _matches(probe.matches, text_to_match(probe, state)))
        if isinstance(probe, AnswerProbe):
            return judge_answer(probe, self.answer, _matches(probe.matches, final_text(self.answer or "")))
        return self.scripted[check.name]

    def _score_run(self, check: str, probe: RunProbe, record: JobRecord) -> Score:
        try:
            return judge_run(probe, record)
        except GraderLost as error:
            if probe.alone or probe.user:
                return zero_score(str(error))
            if self.excuse is None:
                raise GraderLost(f'the check "{check}" with `score: stdout` {error}') from error
            return zero_score(self.excuse)


def judge_run(probe: RunProbe, record: JobRecord) -> Score:
    """Judge what a script did. Raises GraderLost if it should have printed a score and did not."""
    if record.late:
        return zero_score(f"still running at its timeout: {record.tail}".rstrip(": "))
    if record.status != 0:
        return zero_score(f"exit {record.status}: {record.tail}".rstrip(": "))
    if probe.score is ScoreBy.EXIT:
        return FULL
    try:
        value = score_on_last_line(record.stdout.decode(errors="replace"))
    except NoScore as error:
        raise GraderLost(str(error)) from error
    return FULL if value >= 1.0 else Score(value, f"scored {value:g}: {record.tail}")


def file_state(record: JobRecord) -> FileState:
    """What the driver's read of a file means; one that could not be read in time counts as no regular file."""
    if record.status == ABSENT:
        return FileState(exists=False)
    if record.status == NOT_A_FILE or record.late or record.status != 0:
        return FileState(exists=True)
    return FileState(exists=True, content=record.stdout, truncated=record.size > len(record.stdout))


def _matches(pattern: str | None, text: str | None) -> bool | None:
    return None if pattern is None or text is None else search_within(pattern, text[:REGEX_TEXT], REGEX_SECONDS)


def _answer(record: JobRecord) -> str | None:
    content = file_state(record).content
    return None if content is None else content.decode(errors="replace")


def _scripted(record: JobRecord, grader: Grader) -> dict[str, Score]:
    names = [check.name for check in grader.checks if _is_scripted(check)]
    if record.late or not record.ran:
        what = "was still running at its timeout" if record.late else "did not run"
        return dict.fromkeys(names, zero_score(f"the grader's script {what}: {record.tail}".rstrip(": ")))
    try:
        scores = scores_on_last_line(record.stdout.decode(errors="replace"), names)
    except NoScore as error:
        raise GraderLost(f"the grader's script {error} (exit {record.status}): {record.tail or 'nothing'}") from error
    return {name: FULL if one >= 1.0 else Score(one, "the grader's script says so") for name, one in scores.items()}


def _is_scripted(check: Check) -> bool:
    return not isinstance(check.probe, RunProbe | FileProbe | AnswerProbe)


def _result(check: Check, score: Score, notes: Sequence[str]) -> CheckResult:
    note = "; ".join((score.note, *notes)) if score.value < 1.0 else score.note
    return CheckResult(check.name, check.weight, score.value, shorten_note(note), check.required)


def _log(results: Sequence[CheckResult], records: Mapping[str, JobRecord], notes: Sequence[str]) -> str:
    """Each check's score and note, then all that is kept of what scripts printed; of files, only the last words."""
    lines = (f"{check.score:.3g}  {check.name}  {check.note}".rstrip() for check in results)
    names = {SCRIPT_JOB: "grader.run"}
    said = (
        f"--- {names.get(name, name)}\n{record.whole if name in names else record.tail}"
        for name, record in records.items()
        if record.whole and name != ANSWER_JOB
    )
    return "\n".join((*notes, *lines, *said)) + "\n"
