"""A container engine for whole runs that has no containers, and people who watch and interrupt."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskcal.agents import AgentResult
from taskcal.agents.command import CommandAgent
from taskcal.core.adaptive.design import Design, Rule
from taskcal.core.gate import Gate
from taskcal.core.identity import SANDBOX, ImageOrigin
from taskcal.core.plan import OperatorBounds
from taskcal.core.rollout import Graded, Rollout, RolloutId, Stop
from taskcal.core.settings import fixed_settings
from taskcal.core.shell.search_paths import CheckVariables, sift_variables
from taskcal.core.task import Taskset
from taskcal.execution.grading_driver import ABSENT
from taskcal.runs.images.probe import ProbeResult, ReadyGroup
from taskcal.runs.request import Request
from taskcal.sandbox import Condition, Script, ScriptEnding, ScriptResult
from taskcal.sandbox.images.baking import PreparedImages
from tests.core.core_case import task
from tests.sandbox.fake_engine import JOB, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from taskcal.agents import Attempt
    from taskcal.core.adaptive.planner import PlannerState
    from taskcal.core.rollout import GroupId, Lost
    from taskcal.core.settings import CalibrationSettings
    from taskcal.core.task import Artifact, FileCopy, Group
    from taskcal.errors import LostError
    from taskcal.sandbox import Sandbox, Sink
    from taskcal.sandbox.engine.stream import AttachedExec
    from taskcal.sandbox.sandbox_spec import SandboxSpec

ADAPTIVE = Design(rule=Rule.POSTERIOR, cap=16)


@dataclass(frozen=True)
class Worker(CommandAgent):
    """An agent that types one command, and that may be broken, so that it is tried first."""

    def act(self, sandbox: Sandbox, attempt: Attempt) -> AgentResult:
        """Work."""
        sandbox.run(Script("work", attempt.timeout), sink=attempt.log)
        return AgentResult(Stop.FINISHED)


def make_request(runs: Path, agent: Worker, settings: CalibrationSettings | None = None) -> Request:
    """Two tasks, of which each is run four times unless the settings say otherwise, two at a time."""
    return Request(
        taskset=Taskset("shop", (task("ship"), task("refund")), ("shop.yaml",)),
        agent=agent,
        agent_source="worker.yaml",
        settings=settings or fixed_settings(4),
        gate=Gate(),
        bounds=OperatorBounds(),
        concurrency=2,
        retries=0,
        seed=7,
        runs=runs,
        keep_failed=False,
        as_json=False,
        quiet=False,
        preflight=False,
    )


@dataclass
class FakeRuns:
    """An engine; `passes` says which rollouts succeed, by key.

    `raises` is what opening a sandbox raises, `refuses` what removing a run raises. `unprepared` are the groups, by
    name, that have no images.
    """

    passes: Callable[[str], bool] = lambda _: True
    raises: LostError | None = None
    refuses: LostError | None = None
    unprepared: Mapping[str, Lost] = field(default_factory=dict)
    name: str = "fake 1.0"
    data_root: str | None = None
    opened: Counter[str] = field(default_factory=Counter)
    left: set[str] = field(default_factory=set)
    """The sandboxes that are there, by key."""
    ended: list[str] = field(default_factory=list)
    """The runs that were removed."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answers(self) -> bool:
        """It is there."""
        return True

    def image_id(self, name: str) -> str | None:
        """It has the one image."""
        return "sha256:1" if name == "debian:bookworm-slim" else None

    def begin(self, run: str) -> FakeRun:
        """A run."""
        return FakeRun(self, run)

    def close(self) -> None:
        """Nothing is connected."""


@dataclass
class FakeRun:
    """One run on it."""

    engine: FakeRuns
    run: str
    remarks: tuple[str, ...] = ("the image has an entrypoint",)
    local_base: bool = False

    def preparation(self, *_: object, anew: bool = False) -> FakeRun:
        """A pass over groups, remembered or not."""
        assert not anew
        return self

    def prepare(self, group: Group) -> ReadyGroup | Lost:
        """The one image for every group."""
        if str(group.id) in self.engine.unprepared:
            return self.engine.unprepared[str(group.id)]
        origin = ImageOrigin({"debian:bookworm-slim": "sha256:1"})
        return ReadyGroup(PreparedImages("sha256:1", {}, origins={SANDBOX: origin}), ProbeResult())

    def open_sandbox(self, spec: SandboxSpec) -> FakeSandbox:
        """A sandbox."""
        with self.engine.lock:
            self.engine.opened[spec.rollout] += 1
            if self.engine.raises is not None:
                raise self.engine.raises
            self.engine.left.add(spec.rollout)
        return FakeSandbox(self.engine, spec.rollout)

    def close(self) -> None:
        """Remove all that is left."""
        self.engine.ended.append(self.run)
        self.engine.left.clear()
        if self.engine.refuses is not None:
            raise self.engine.refuses


@dataclass
class FakeSandbox:
    """A sandbox whose checks succeed if the engine passes its rollout."""

    engine: FakeRuns
    key: str
    variables: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def egress(self) -> FakeSandbox:
        """It reaches nothing."""
        return self

    def check(self) -> None:
        """No way to a host has ended."""

    def run(
        self, script: Script, *, sink: Sink | None = None, errors: Sink | None = None, limit: int = 65536
    ) -> ScriptResult:
        """The agent's script prints a word; a grading prints what the driver would."""
        del errors, limit
        jobs = len(set(JOB.findall(script.source.encode())))
        passed = self.engine.passes(self.key)
        checks = b"".join(record(index, 0 if passed else ABSENT) for index in range(1, jobs))
        output = record(0, ABSENT) + checks if jobs else b"worked\n"
        if sink is not None:
            sink(output)
        return ScriptResult(ScriptEnding.EXITED, 0, output, b"")

    def service_ended(self, name: str) -> str | None:
        """It has no services."""
        raise AssertionError(name)

    def ended_services(self) -> tuple[str, ...]:
        """None."""
        return ()

    def copy_in(self, files: Sequence[FileCopy], user: str | None) -> None:
        """Nothing is brought."""
        raise AssertionError(files, user)

    def show(self, files: Sequence[FileCopy], *, readable: bool) -> None:
        """Nothing is shown."""
        raise AssertionError(files, readable)

    def deliver(self, files: Sequence[FileCopy], stop: str) -> str | None:
        """Nothing is delivered."""
        raise AssertionError(files, stop)

    def move_to_fresh_container(self, artifacts: Sequence[Artifact], files: Sequence[FileCopy]) -> tuple[str, ...]:
        """No grading is fresh here."""
        raise AssertionError(artifacts, files)

    def check_variables(self, service: str = "") -> CheckVariables:
        """None."""
        return sift_variables({"LANG": service or "C"}, None)

    def condition(self, service: str = "") -> Condition:
        """It lives."""
        del service
        return Condition.ALIVE

    def twin(self) -> AbstractContextManager[FakeSandbox]:
        """No failure is disputed here."""
        raise AssertionError(self.key)

    def terminal(self, env: Mapping[str, str]) -> AbstractContextManager[AttachedExec]:
        """No person comes here."""
        raise AssertionError(env)

    def finish(self) -> None:
        """Nothing to hand back."""

    def keep(self) -> str:
        """Leave it."""
        return f"kept-{self.key}"

    def close(self) -> None:
        """Remove it."""
        with self.engine.lock:
            self.engine.left.discard(self.key)


@dataclass
class Watcher:
    """Hears of a run, and interrupts it after so many results are on disk."""

    patience: int | None = None
    events: list[str] = field(default_factory=list)
    looks: int = 0

    def __enter__(self) -> object:
        self.events.append("enter")
        return self

    def __exit__(self, *_: object) -> None:
        self.events.append("exit")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """A signal that came meanwhile is raised at the end."""
        yield
        if self.patience is not None:
            self.patience -= 1
            if self.patience == 0:
                raise KeyboardInterrupt

    def log(self, message: str) -> None:
        """A line."""
        self.events.append(f"log {message}")

    def warn(self, message: str) -> None:
        """A line that must be seen."""
        self.events.append(f"warn {message}")

    def begin(self, groups: Sequence[GroupId], group_size: int, retries: int = 0) -> None:
        """So much to do."""
        self.events.append(f"begin {len(groups)} x {group_size}, {retries} retries")

    def begin_adaptive(self, groups: Sequence[GroupId], design: Design, retries: int = 0) -> None:
        """At most so much to do."""
        self.events.append(f"begin {len(groups)}, at most {design.limit}, {retries} retries")

    def look(self, planner_state: PlannerState) -> None:
        """The planner has looked."""
        assert planner_state.states
        self.looks += 1

    def started(self, rollout: RolloutId) -> None:
        """One runs."""
        self.events.append(f"started {rollout.key}")

    def finished(self, rollout: Rollout) -> None:
        """One has ended."""
        how = "lost" if not isinstance(rollout.outcome, Graded) else "passed" if rollout.outcome.passed else "failed"
        self.events.append(f"{how} {rollout.id.key}")
