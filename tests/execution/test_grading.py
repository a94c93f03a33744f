"""What the checks saw becomes a reward, or nobody's reward: which batch runs where, and whose failure is what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskcal.core.grading.grade import FULL, FileState, Score
from taskcal.core.rollout import Graded, Stop
from taskcal.core.task import (
    AnswerProbe,
    Check,
    FileCopy,
    FileProbe,
    Grader,
    Group,
    RunProbe,
    ScoreBy,
    ScriptedProbe,
)
from taskcal.errors import GraderLost, SandboxLost
from taskcal.execution.grading import end_agent, file_state, grade, judge_end_state, judge_run
from taskcal.execution.grading_driver import (
    ABSENT,
    ANSWER_JOB,
    NOT_A_FILE,
    SCRIPT_JOB,
    STOP_EVERYTHING,
    FileJob,
    JobRecord,
    ScriptJob,
    batches,
)
from taskcal.sandbox import ANSWER_FILE, Ending, ScriptResult
from taskcal.sandbox.scripts import exported
from tests.execution.grading_case import ANSWER, Told, grader, group
from tests.sandbox.fake_engine import record

BY_EXIT, BY_NUMBER = RunProbe("x"), RunProbe("x", score=ScoreBy.STDOUT)
NO_ANSWER = record(0, ABSENT)


def graded(one: Grader, *outputs: bytes) -> Graded:
    return grade(Told(list(outputs)), group(one), Stop.FINISHED).graded


def scores(one: Grader, *outputs: bytes) -> list[float]:
    return [check.score for check in graded(one, *outputs).checks]


def found(
    status: int = 0, out: bytes = b"", err: bytes = b"", *, late: bool = False, size: int | None = None
) -> JobRecord:
    return JobRecord(status, late, len(out) if size is None else size, out, err)


def test_what_can_share_an_exec_does() -> None:
    """The answer, the one script, files and plain checks together; then services; then what must be alone, last."""
    one = grader(
        RunProbe("a"),
        RunProbe("b", alone=True, timeout=5.0),
        RunProbe("c", service="db", timeout=7.0),
        FileProbe("/r.json"),
        AnswerProbe(equals="42"),
        ScriptedProbe(),
        RunProbe("d", service="db"),
        RunProbe("e", service="web"),
        run="score all",
    )
    shared, db, web, alone = batches(one, 30.0)
    assert (shared.service, shared.first) == ("", True)
    assert shared.names == (ANSWER_JOB, SCRIPT_JOB, "c0", "c3")
    assert shared.jobs == (
        FileJob(ANSWER_FILE, links=False),
        ScriptJob("score all", 30.0, limit=1024 * 1024, errors=1024 * 1024),
        ScriptJob("a", 30.0),
        FileJob("/r.json"),
    )
    assert (db.service, db.jobs, db.first) == ("db", (ScriptJob("c", 7.0), ScriptJob("d", 30.0)), False)
    assert (web.service, web.names) == ("web", ("c7",))
    assert (alone.service, alone.jobs, alone.first) == ("", (ScriptJob("b", 5.0),), False)


def test_the_agent_is_stopped_in_the_first_exec_only() -> None:
    """Services have no agent in them, and what `start` brought up again must not be killed a second time."""
    one = grader(RunProbe("a"), RunProbe("c", service="db"), RunProbe("b", alone=True))
    sandbox = Told([ANSWER + record(1), record(0), record(0)])
    grade(sandbox, group(one, start="serve"), Stop.FINISHED)
    assert [STOP_EVERYTHING in script.source for script in sandbox.scripts] == [True, False, False, False]
    assert ["serve" in script.source for script in sandbox.scripts] == [True, False, False, False]
    assert [script.service for script in sandbox.scripts] == ["", "", "db", ""]


@pytest.mark.parametrize(
    ("start", "ready", "seen"),
    [("serve", "", {}), ("serve $order", "ask", {"order": "12"}), ("serve", "ask ${order}", {"order": "12"})],
)
def test_what_is_started_again_sees_what_it_names(start: str, ready: str, seen: dict[str, str]) -> None:
    """As at its first start, beside the image's variables: no other param, and nothing of the grader's scripts."""
    one = Grader(grader(RunProbe("a")).checks, env={"KEY": "grader's"})
    sandbox, order = Told([ANSWER + record(1)]), {"order": 12, "other": 13}
    judged = group(one, start=start, ready=ready)
    grade(sandbox, Group(judged.task, replace(judged.variant, params=order)), Stop.FINISHED)
    assert sandbox.scripts[0].env == {**sandbox.check_variables().kept, **seen}
    assert ("unset order" in sandbox.scripts[0].source) is bool(seen)


def test_the_graders_files_arrive_when_the_agent_is_gone() -> None:
    """It never sees them, not even for a moment."""
    copies = (FileCopy("/grader/others.txt", "/t/others.txt"),)
    sandbox = Told([ANSWER])
    one = Grader((Check("a", AnswerProbe(equals="42")),), files=copies, env={"LEVEL": "3"})
    assert grade(sandbox, group(one), Stop.FINISHED).graded.passed
    assert sandbox.files == list(copies)
    assert sandbox.scripts[0].source == STOP_EVERYTHING
    driver = sandbox.scripts[1]
    given = exported({"order": "12", "LEVEL": "3", "TASKCAL_ANSWER_FILE": ANSWER_FILE})
    assert f"few() {{ :\n{exported(sandbox.check_variables().kept)}}}\ngiven() {{ few\n{given}}}" in driver.source
    assert (driver.env, driver.clean) == ({}, True)


def test_every_kind_of_check_is_scored() -> None:
    """By status, by number, by file, by answer and by the grader's script, each in its place."""
    one = grader(
        BY_EXIT, FileProbe("/a", absent=True), AnswerProbe(number=42), BY_NUMBER, ScriptedProbe(), run="score all"
    )
    output = ANSWER + record(1, 0, b'{"c4": 0.25}\n') + record(2, 1) + record(3, ABSENT) + record(4, 0, b"0.5\n")
    result = grade(Told([output]), group(one), Stop.TIMEOUT)
    assert [check.score for check in result.graded.checks] == [0.0, 1.0, 1.0, 0.5, 0.25]
    assert result.graded.reward == pytest.approx(0.55)
    assert (result.graded.stop, result.graded.passed, result.answer) == (Stop.TIMEOUT, False, "42\n")
    assert [check.note for check in result.graded.checks if check.score < 1] == [
        "exit 1",
        "scored 0.5: 0.5",
        "the grader's script says so",
    ]


def test_patterns_are_searched() -> None:
    """In files and in the answer, with Python's regular expressions."""
    one = grader(FileProbe("/a", matches=r"total: \d+"), AnswerProbe(matches="^4.$"), FileProbe("/b", matches="x"))
    output = ANSWER + record(1, 0, b"the total: 12") + record(2, 0, b"y")
    assert scores(one, output) == [1.0, 1.0, 0.0]


def test_no_answer_is_none() -> None:
    """Not an empty one; and one that is no text is read as far as it is."""
    one = grader(AnswerProbe(equals=""))
    result = grade(Told([NO_ANSWER]), group(one), Stop.FINISHED)
    assert (result.answer, result.graded.checks[0].note) == (None, "the agent gave no answer")
    assert grade(Told([record(0, 0, b"\xff")]), group(one), Stop.FINISHED).answer == "\N{REPLACEMENT CHARACTER}"
    assert grade(Told([record(0, 0)]), group(one), Stop.FINISHED).graded.passed


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (b"", r"the checks could not run in the sandbox \(exit 0\)"),
        (ANSWER, "could not run in the sandbox"),
        (ANSWER + record(1) + b"more", "could not run in the sandbox"),
        (ScriptResult(Ending.EXITED, 97, b"", b"no room"), r"could not run in the sandbox \(exit 97\): no room"),
        (ScriptResult(Ending.TIMED_OUT, None, b"", b"slow"), r"grading did not finish \(timed-out\): slow"),
        (ScriptResult(Ending.OUT_OF_MEMORY, None, b"", b""), r"grading did not finish \(out-of-memory\)"),
    ],
    ids=str,
)
def test_a_driver_that_fails_is_lost(output: bytes | ScriptResult, message: str) -> None:
    """Our side did not grade: there is no score, not even 0."""
    with pytest.raises(GraderLost, match=message):
        grade(Told([output]), group(grader(BY_EXIT)), Stop.FINISHED)


def test_breaking_or_hanging_the_grader_is_no_way_out() -> None:
    """A service that the agent crashed, and a script that its code hung, fail their checks and are not lost."""
    one = group(grader(RunProbe("x", service="db")))
    sandbox = Told([ANSWER, SandboxLost("not running")], last_words={"db": "segmentation fault"})
    checks = grade(sandbox, one, Stop.FINISHED).graded.checks
    assert [check.score for check in checks] == [0.0]
    assert "db had ended: segmentation fault" in checks[0].note
    late = graded(grader(ScriptedProbe(), run="score all"), ANSWER + record(1, 0, b'{"c0": 1}\n', late=True))
    assert late.reward == 0.0
    assert [check.note for check in late.checks] == ['the grader\'s script was still running at its timeout: {"c0": 1}']


def test_a_service_that_cannot_grade_is_named() -> None:
    """So that one knows where to look; and a sandbox that dies keeps its own boundary."""
    one = group(grader(RunProbe("x", service="db")))
    with pytest.raises(GraderLost, match="could not run in service db"):
        grade(Told([ANSWER, b""]), one, Stop.FINISHED)
    with pytest.raises(SandboxLost, match="gone"):
        grade(Told([ANSWER, SandboxLost("gone")]), one, Stop.FINISHED)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (record(1, 0, b"done\n"), "printed no scores"),
        (record(1, 1, b"", b"Traceback"), r"printed no scores \(exit 1\): Traceback"),
        (record(1, 0, b'{"c0": 2}\n'), r"must give 'c0' a number in \[0, 1\], true or false, not: 2 \(above 1\)"),
        (record(1, 0, b'{"c1": 1}\n'), "gave no score for 'c0'"),
    ],
)
def test_a_script_without_scores_is_lost(script: bytes, message: str) -> None:
    """It did not say what it is there to say, so nobody's work was judged."""
    with pytest.raises(GraderLost, match=message):
        graded(grader(ScriptedProbe(), run="score all"), ANSWER + script)


@pytest.mark.parametrize(
    ("probe", "seen", "score"),
    [
        (BY_EXIT, found(0, b"anything"), FULL),
        (BY_EXIT, found(1, b"", b"not shipped"), Score(0.0, "exit 1: not shipped")),
        (BY_EXIT, found(127), Score(0.0, "exit 127")),
        (BY_EXIT, found(137, late=True), Score(0.0, "still running at its timeout")),
        (BY_EXIT, found(0, b"almost", late=True), Score(0.0, "still running at its timeout: almost")),
        (BY_NUMBER, found(0, b"log\n1\n"), FULL),
        (BY_NUMBER, found(0, b"0.5\n"), Score(0.5, "scored 0.5: 0.5")),
        (BY_NUMBER, found(0, b"0\n"), Score(0.0, "scored 0: 0")),
        (BY_NUMBER, found(3, b"1\n"), Score(0.0, "exit 3: 1")),
        (BY_NUMBER, found(0, b"1\n", late=True), Score(0.0, "still running at its timeout: 1")),
    ],
)
def test_a_script_is_judged_by_how_it_ended(probe: RunProbe, seen: JobRecord, score: Score) -> None:
    """Another status than 0, and not ending in time, are a score of 0 with the last words, whatever was printed."""
    assert judge_run(probe, seen) == score


@pytest.mark.parametrize("out", [b"", b"good\n", b"nan\n", b"inf\n", b"-1\n", b"2\n", b"\xff"])
def test_a_number_that_is_none_is_lost(out: bytes) -> None:
    """A check that ended well and should have printed its score has not judged."""
    with pytest.raises(GraderLost, match=r"must end with a number in \[0, 1\], not: "):
        judge_run(BY_NUMBER, found(0, out))


def test_a_score_out_of_range_is_lost_with_its_check() -> None:
    """The reason names the check and what it printed; a check `alone` is 0 with the same words."""
    shared, alone = BY_NUMBER, RunProbe("x", score=ScoreBy.STDOUT, alone=True)
    reason = r'the check "c0" with `score: stdout` must end with a number in \[0, 1\], not: 85 \(above 1\)'
    with pytest.raises(GraderLost, match=reason):
        graded(grader(shared), ANSWER + record(1, 0, b"85\n"))
    result = grade(Told([ANSWER, record(0, 0, b"85\n")]), group(grader(alone)), Stop.FINISHED)
    assert [check.note for check in result.graded.checks] == ["must end with a number in [0, 1], not: 85 (above 1)"]


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (found(ABSENT), FileState(exists=False)),
        (found(NOT_A_FILE), FileState(exists=True)),
        (found(0, b"text"), FileState(exists=True, content=b"text")),
        (found(0, b""), FileState(exists=True, content=b"")),
        (found(0, b"te", size=4), FileState(exists=True, content=b"te", truncated=True)),
        (found(1, b"te"), FileState(exists=True)),
        (found(0, b"te", late=True), FileState(exists=True)),
    ],
)
def test_a_file_is_what_the_driver_read(seen: JobRecord, state: FileState) -> None:
    """Absent, there but no regular file, there whole, there cut off; what could not be read is no content."""
    assert file_state(seen) == state


def test_a_required_check_guards() -> None:
    """The guard's failure takes the reward of everything else."""
    one = Grader((Check("a", BY_EXIT), Check("guard", BY_EXIT, weight=0.0, required=True)))
    assert graded(one, ANSWER + record(1) + record(2, 1)).reward == 0.0
    assert graded(one, ANSWER + record(1) + record(2)).passed


def test_the_log_says_what_each_check_said() -> None:
    """Scores with their names, then the last words of those that spoke; never the answer, which is kept elsewhere."""
    one = grader(BY_EXIT, BY_EXIT)
    log = grade(Told([ANSWER + record(1, 1, b"", b"no row\n") + record(2)]), group(one), Stop.FINISHED).log
    assert log == "0  c0  exit 1: no row\n1  c1\n--- c0\nno row\n"


def test_the_log_keeps_all_that_the_graders_script_printed() -> None:
    """Also where it printed no scores, which is what a person then reads it for."""
    one = grader(ScriptedProbe(), run="score all")
    said = b"first word\n" + b"x\n" * 1000
    good = record(1, 0, said + b'{"c0": 1}\n', b"a warning\n")
    log = grade(Told([ANSWER + good]), group(one), Stop.FINISHED).log
    assert log == f'1  c0\n--- grader.run\na warning\n{said.decode()}{{"c0": 1}}\n'
    with pytest.raises(GraderLost, match="printed no scores") as lost:
        grade(Told([ANSWER + record(1, 3, said, b"oh no\n")]), group(one), Stop.FINISHED)
    assert lost.value.log == f"--- grader.run\noh no\n{said.decode()}"


def test_an_end_state_can_be_judged_again() -> None:
    """By the same checks to the same end, or by others: the agent is ended and the grader's files arrive once."""
    first = replace(grader(RunProbe("a"), RunProbe("b")), files=(FileCopy("/grader/others.txt", "others.txt"),))
    second = replace(first, checks=(replace(first.checks[0], weight=3.0), first.checks[1]))
    outputs = ANSWER + record(1, 0) + record(2, 1)
    sandbox = Told([outputs, outputs, outputs])
    state = end_agent(sandbox, group(first), Stop.MAX_TURNS)
    assert [copy.destination for copy in sandbox.files] == ["/grader/others.txt"]
    judged = judge_end_state(sandbox, state)
    assert (judged.graded.reward, judged.graded.stop) == (0.5, Stop.MAX_TURNS)
    assert judge_end_state(sandbox, state) == judged
    assert judge_end_state(sandbox, replace(state, group=group(second))).graded.reward == 0.75
    assert len(sandbox.files) == 1
