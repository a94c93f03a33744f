"""One rollout: every failure becomes one boundary, and nothing is left behind."""

from __future__ import annotations

import pickle
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from taskcal import errors
from taskcal.agents import AgentResult, Attempt
from taskcal.agents.transcript import Note
from taskcal.core.plan import PlannedRollout
from taskcal.core.rollout import Graded, Lost, RolloutId, Stop, Usage
from taskcal.core.task import (
    AnswerProbe,
    Check,
    Environment,
    Grader,
    Group,
    ImageSource,
    Network,
    RunProbe,
    Task,
    Timeouts,
    Variant,
)
from taskcal.errors import Boundary, LostError, UsageError
from taskcal.execution import rollout
from taskcal.execution.logs import FileLogs
from taskcal.execution.rollout import agent_seconds, run_rollout
from taskcal.execution.workplace import RolloutJob, Workplace
from taskcal.redact import Redactor
from taskcal.sandbox import Script
from taskcal.sandbox.container import open_sandbox
from taskcal.sandbox.engine.docker_types import ExecResult
from taskcal.sandbox.engine.run_resources import RunScope
from taskcal.sandbox.images.baking import PreparedImages
from tests.sandbox.fake_engine import FakeEngine, as_engine

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.rollout import Outcome
    from taskcal.sandbox import Sandbox

LOSSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LostError)]
CHECKS = (
    Check("shipped", RunProbe("true"), 0.7),
    Check("said", AnswerProbe(equals="42"), 0.3),
)
BOX = Environment("box", ImageSource(image="debian:bookworm-slim"), finish="hand back")


@dataclass
class Typist:
    """An agent that runs one command, and then ends as it is told."""

    ends: BaseException | AgentResult = field(default_factory=lambda: AgentResult(Stop.FINISHED))
    name: str = "typist"
    about: str = ""
    missing: str = ""
    install: str = ""
    timeout: float | None = None
    network: Network | None = None
    attempts: list[Attempt] = field(default_factory=list)

    redactor: Redactor = field(default_factory=lambda: Redactor({"KEY": "hunter2"}))

    @property
    def user(self) -> str | None:
        """The environment's."""
        return None

    def refusal(self, task: Task) -> str | None:
        """Nothing: it attempts everything."""
        return None if task.id else "no task"

    def act(self, sandbox: Sandbox, attempt: Attempt) -> AgentResult:
        """Type, and end."""
        self.attempts.append(attempt)
        sandbox.run(Script("type", attempt.timeout), sink=attempt.log)
        attempt.account.turns, attempt.account.usage = 3, Usage(cost_usd=0.5)
        if isinstance(self.ends, BaseException):
            raise self.ends
        return self.ends


def task() -> Task:
    return Task("ship", (Variant("", {"order": 12}, "Ship it."),), BOX, Grader(CHECKS))


def planned(index: int = 0, attempt: int = 0) -> PlannedRollout:
    group = Group(task(), task().variants[0])
    return PlannedRollout(RolloutId(group.id, index, attempt), group)


def job(index: int = 0, attempt: int = 0, agent: str = "") -> RolloutJob:
    return RolloutJob("run-1", replace(planned(index, attempt), agent=agent), PreparedImages("box", {}), seed=7)


@dataclass
class Stage:
    """Where a rollout takes place."""

    folder: Path

    def workplace(self, engine: FakeEngine, agent: Typist) -> Workplace:
        """What its rollouts share."""
        return Workplace(
            open_sandbox=partial(open_sandbox, RunScope(as_engine(engine), "run-1")),
            agents={"": agent},
            logs=FileLogs(lambda rollout, name: self.folder / f"{rollout.index}.{rollout.attempt}.{name}"),
            cancelled=threading.Event(),
        )

    def outcome(self, engine: FakeEngine, agent: Typist | None = None) -> Outcome:
        """What comes of one rollout; whatever it is, nothing is left on the engine."""
        outcome = run_rollout(job(), self.workplace(engine, agent or Typist())).outcome
        assert engine.containers == set()
        return outcome


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Give a folder for logs."""
    return Stage(tmp_path)


def test_a_rollout_is_graded(stage: Stage) -> None:
    """Opened, acted in, graded, handed back, closed; the result holds what was found and what it cost."""
    engine, agent = FakeEngine(), Typist()
    found = run_rollout(job(), stage.workplace(engine, agent), queued=1.5)
    assert isinstance(found.outcome, Graded)
    assert (found.outcome.reward, found.outcome.passed, found.outcome.stop) == (1.0, True, Stop.FINISHED)
    assert [(check.name, check.score) for check in found.outcome.checks] == [("shipped", 1.0), ("said", 1.0)]
    assert (found.answer, found.turns, found.usage.cost_usd) == ("42", 3, 0.5)
    assert engine.calls[:4] == ["create", "start", "exec type", "grade"]
    finish, removal = engine.calls[4:]
    assert ("hand back" in finish, removal) == (True, "remove")
    assert found.timing.queue == 1.5
    assert found.timing.total >= found.timing.agent > 0
    assert found.started_at.endswith("+00:00")


def test_logs_are_written_as_it_happens(stage: Stage) -> None:
    """What the agent printed, and what each check said."""
    stage.outcome(FakeEngine(checks=[1]))
    assert (stage.folder / "0.0.agent.log").read_text() == "working\n"
    assert (stage.folder / "0.0.grader.log").read_text().splitlines() == ["0  shipped  exit 1", "1  said"]


def test_the_agent_gets_its_own_seed_and_time(stage: Stage) -> None:
    """The same seed for a retry; the shorter of the task's and the agent's time."""
    agent = Typist(timeout=5.0)
    workplace = stage.workplace(FakeEngine(), agent)
    for one in (job(), job(attempt=1), job(index=1)):
        run_rollout(one, workplace)
    first, again, other = (attempt.seed for attempt in agent.attempts)
    assert first == again != other
    assert agent.attempts[0].timeout == 5.0
    slow = replace(task(), timeouts=Timeouts(agent=3.0))
    assert agent_seconds(Group(slow, slow.variants[0]), agent) == 3.0
    assert agent_seconds(Group(slow, slow.variants[0]), Typist()) == 3.0


def test_params_reach_the_grader_and_never_the_agent(stage: Stage) -> None:
    """They hold expected values. What tells one attempt from another is in every script of the task."""
    engine = FakeEngine()
    stage.outcome(engine)
    agents, driver, finish = engine.environments
    assert {"order", "TASKCAL_ROLLOUT"}.isdisjoint({*agents, *driver})
    assert finish["order"] == "12"
    assert "command export order=12\ncommand export TASKCAL_ROLLOUT=run-1-" in engine.gradings[0]


@pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.__name__)
def test_every_loss_is_lost_at_its_boundary(stage: Stage, kind: type[LostError]) -> None:
    """Whichever part breaks, in whichever step: the rollout is lost there, with the reason on one line."""
    reason = kind("it broke\n  badly")
    for outcome in (
        stage.outcome(FakeEngine(), Typist(ends=reason)),
        stage.outcome(FakeEngine(raises={"create": reason})),
        stage.outcome(FakeEngine(raises={"start": reason})),
        stage.outcome(FakeEngine(raises={"grade": reason})),
    ):
        assert outcome == Lost(kind.boundary, "it broke badly", own_word=kind is errors.ReportedLost)


@pytest.mark.parametrize("error", [KeyError("x"), OSError("disk full"), RecursionError("deep")], ids=repr)
def test_anything_else_is_lost_at_unknown(stage: Stage, error: Exception) -> None:
    """A bug of ours in one rollout is named and ends no other one."""
    outcome = stage.outcome(FakeEngine(), Typist(ends=error))
    assert outcome == Lost(Boundary.UNKNOWN, f"{type(error).__name__}: {error}")


@pytest.mark.parametrize(
    "ends",
    [errors.ProviderLost("x" * 990 + " hunter2-hunter2"), OSError(f"{'y' * 980} {{'key': 'hunter2-hunter2'}}")],
)
def test_a_reason_holds_no_secret(stage: Stage, ends: Exception) -> None:
    """Nor what the cut at a thousand characters would leave of one."""
    outcome = stage.outcome(FakeEngine(), Typist(ends=ends, redactor=Redactor({"KEY": "hunter2-hunter2"})))
    assert isinstance(outcome, Lost)
    assert "hunter" not in outcome.reason
    with pytest.raises(UsageError, match=r"^the key \[KEY\] is refused$"):
        stage.outcome(FakeEngine(), Typist(ends=UsageError("the key hunter2 is refused")))


def test_a_log_holds_no_secret(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces, on either stream, or cut by the agent's end; taskcal's own lines come behind all of it."""

    def act(_: Sandbox, attempt: Attempt) -> AgentResult:
        assert attempt.errors is not None
        attempt.log(b"a very-se")
        attempt.errors(b"very-secret-key very")
        attempt.log(b"cret-key b ")
        attempt.errors(b"-secret-key very-sec")
        attempt.remark("very-secret-key is not used")
        attempt.transcript.add(Note("very-secret-key"))
        return AgentResult(Stop.FINISHED)

    agent = Typist(redactor=Redactor({"KEY": "very-secret-key"}))
    monkeypatch.setattr(agent, "act", act)
    run_rollout(job(), stage.workplace(FakeEngine(), agent))
    log = (stage.folder / "0.0.agent.log").read_text()
    assert log == "a [KEY] [KEY] b [KEY] [KEY][taskcal: [KEY] is not used]\n"
    assert "very" not in (stage.folder / "0.0.transcript.jsonl").read_text()


def test_wrong_usage_ends_the_run(stage: Stage) -> None:
    """A secret that is not set is no loss of one rollout: every other one would lack it too."""
    engine = FakeEngine()
    with pytest.raises(UsageError, match="no key"):
        run_rollout(job(), stage.workplace(engine, Typist(ends=UsageError("no key"))))
    assert engine.containers == set()


def test_a_stopped_run_loses_what_is_in_flight(stage: Stage) -> None:
    """Whatever breaks because the containers are taken away is cancelled, not the sandbox's failure."""
    engine = FakeEngine()
    workplace = stage.workplace(engine, Typist(ends=errors.SandboxLost("gone")))
    workplace.cancelled.set()
    assert run_rollout(job(), workplace).outcome == Lost(Boundary.CANCELLED, "the run was stopped")
    assert engine.calls == []
    workplace.cancelled.clear()
    stopping = Typist(ends=errors.SandboxLost("gone"))
    late = replace(workplace, agents={"": stopping})
    act = stopping.act

    def act_and_stop(sandbox: Sandbox, attempt: Attempt) -> AgentResult:
        late.cancelled.set()
        return act(sandbox, attempt)

    stopping.act = act_and_stop  # type: ignore[method-assign]  # an agent whose run is stopped while it acts
    assert run_rollout(job(), late).outcome == Lost(Boundary.CANCELLED, "gone")


@pytest.mark.parametrize("ended", [ExecResult(97, b"", b"no room"), ExecResult(0, b"nonsense", b""), None], ids=str)
def test_a_grading_that_cannot_be_read_is_lost(stage: Stage, ended: ExecResult | None) -> None:
    """Never a score of 0: the agent is not to blame for what the driver could not do."""
    outcome = stage.outcome(FakeEngine(grading=ended or ExecResult(None, b"", b"")))
    assert isinstance(outcome, Lost)
    assert outcome.boundary is Boundary.GRADER


def test_what_is_known_of_a_lost_rollout_is_kept(stage: Stage) -> None:
    """Where the grading broke, or the agent's own endpoint on the way, what was consumed is still paid for."""
    ungraded = FakeEngine(raises={"grade": errors.GraderLost("broken")}), Typist()
    unanswered = FakeEngine(), Typist(ends=errors.ProviderLost("overloaded"))
    for engine, agent in (ungraded, unanswered):
        found = run_rollout(job(), stage.workplace(engine, agent))
        assert isinstance(found.outcome, Lost)
        assert (found.turns, found.usage.cost_usd, found.answer) == (3, 0.5, None)


def test_closing_changes_no_outcome(stage: Stage) -> None:
    """Neither a failing `finish` nor an engine that does not remove takes a reward away."""
    engine = FakeEngine(raises={"remove": errors.EngineLost("busy")}, agent=ExecResult(1, b"", b"finish failed"))
    assert isinstance(stage.outcome(engine), Graded)


def test_a_kept_sandbox_is_kept(stage: Stage) -> None:
    """Where failures are kept to look into, the container stays under a name that is told."""
    engine = FakeEngine(checks=[1])
    workplace = replace(stage.workplace(engine, Typist()), keep=lambda _, graded: not graded.passed)
    run_rollout(job(), workplace)
    assert len(engine.containers) == 1
    (name,) = workplace.kept
    assert name.startswith("taskcal-kept-run-1-")
    assert f"rename {name}" in engine.calls


def test_a_log_is_bounded() -> None:
    """An agent that prints for ever fills no disk: the beginning is kept, and the cut is said once."""
    said: list[bytes] = []
    sink = rollout._bounded(said.append, limit=10)
    for _ in range(5):
        sink(b"abcd")
    assert b"".join(said) == b"abcdabcdab\n[taskcal: the rest of this log was cut off]\n"


def test_a_reason_is_one_bounded_line(stage: Stage) -> None:
    """It stands in tables and in JSON."""
    outcome = stage.outcome(FakeEngine(), Typist(ends=errors.EngineLost("line\n" * 1000)))
    assert isinstance(outcome, Lost)
    assert "\n" not in outcome.reason
    assert len(outcome.reason) == 1000


def test_a_job_travels(stage: Stage) -> None:
    """It can be pickled, and what comes of the copy is what comes of it: nothing in it belongs to one process."""
    sent = job(index=2, attempt=1)
    arrived = pickle.loads(pickle.dumps(sent))  # noqa: S301 - of this test
    assert arrived == sent
    agent = Typist()
    workplace = stage.workplace(FakeEngine(), agent)
    rows = [run_rollout(each, workplace) for each in (sent, arrived)]
    assert rows[0].id == rows[1].id == sent.planned.id
    assert rows[0].outcome == rows[1].outcome
    assert agent.attempts[0].seed == agent.attempts[1].seed == sent.rollout_seed


def test_a_planned_rollout_names_its_agent(stage: Stage) -> None:
    """One run can have several: each rollout is attempted by its own, with that one's secrets taken out of its log."""
    own, other = Typist(), Typist(ends=AgentResult(Stop.MAX_TURNS), redactor=Redactor({"WORK": "working"}))
    workplace = replace(stage.workplace(FakeEngine(), own), agents={"": own, "other": other})
    stops = [
        getattr(run_rollout(job(i, agent=name), workplace).outcome, "stop", None)
        for i, name in enumerate(("", "other"))
    ]
    assert stops == [Stop.FINISHED, Stop.MAX_TURNS]
    assert (stage.folder / "0.0.agent.log").read_text() == "working\n"
    assert (stage.folder / "1.0.agent.log").read_text() == "[WORK]\n"


def test_images_are_looked_up_where_the_rollout_is(stage: Stage) -> None:
    """Another worker's engine has other ids for the images that the driver made."""
    engine = FakeEngine()
    workplace = replace(stage.workplace(engine, Typist()), images=lambda _: PreparedImages("elsewhere", {}))
    run_rollout(job(), replace(workplace, keep=lambda *_: True))
    assert [name.startswith("elsewhere") for name in engine.containers] == [True]
