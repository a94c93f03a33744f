"""What is asked: tasksets, tasks and their graders, as frozen values that everything else reads.

The YAML edge (`taskcal.taskset`) makes these and refuses what is wrong, so nothing here validates again. Durations are
seconds, memory is bytes, host paths are absolute strings, container paths are absolute POSIX strings.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from taskcal.core.rollout import GroupId

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskcal.core.tool import McpServer, Tool

Scalar = str | int | float | bool | None


def as_text(value: Scalar) -> str:
    """Write a param as prompts show it and scripts receive it: true and false in lower case, null as nothing."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class FileCopy:
    """A file or folder of the taskset (`source`, on the host) that is copied to `destination` (in the container)."""

    destination: str
    source: str


class NetworkMode(StrEnum):
    """What a sandbox may reach."""

    NONE = "none"
    BRIDGE = "bridge"
    HOSTS = "hosts"


@dataclass(frozen=True, slots=True)
class Network:
    """A network mode, with the allowed hosts where the mode is `hosts`."""

    mode: NetworkMode = NetworkMode.NONE
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageSource:
    """Where an image comes from: exactly one of a name and a folder with a Dockerfile is set."""

    image: str | None = None
    build: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container may use: CPUs, bytes of memory, processes."""

    cpus: float = 1.0
    memory: int = 2 * 1024**3
    pids: int = 512


@dataclass(frozen=True, slots=True)
class Service:
    """A side container in the sandbox's network namespace, known there by `name`.

    `params` are names of params that its image reads, beside those that its scripts and its command name.
    """

    name: str
    source: ImageSource
    command: tuple[str, ...] | str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    files: tuple[FileCopy, ...] = ()
    setup: str = ""
    ready: str = ""
    limits: Limits = field(default_factory=Limits)
    params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Environment:
    """What the sandbox is made of. `setup` is baked into the image; start, ready and finish run in every rollout."""

    name: str
    source: ImageSource
    workdir: str | None = None
    user: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    network: Network = field(default_factory=Network)
    limits: Limits = field(default_factory=Limits)
    files: tuple[FileCopy, ...] = ()
    setup: str = ""
    start: str = ""
    ready: str = ""
    finish: str = ""
    services: tuple[Service, ...] = ()


class ScoreBy(StrEnum):
    """How a `run` check scores: by its exit status, or by the number on its last line of output."""

    EXIT = "exit"
    STDOUT = "stdout"


@dataclass(frozen=True, slots=True)
class RunProbe:
    """Judge by a script. `service` names the container it runs in ('' is the sandbox); `timeout` None is the task's.

    With a `user` it runs as that user, without params, and alone.
    """

    script: str
    score: ScoreBy = ScoreBy.EXIT
    timeout: float | None = None
    alone: bool = False
    service: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class FileProbe:
    """Judge a file of the sandbox by exactly one condition: on its whole text, or on the value at a JSON `pointer`."""

    path: str
    exists: bool = False
    absent: bool = False
    equals: object = None
    has_equals: bool = False
    contains: str | None = None
    matches: str | None = None
    pointer: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerProbe:
    """Judge the agent's final message by exactly one of the conditions."""

    equals: str | None = None
    contains: str | None = None
    matches: str | None = None
    number: float | None = None
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class ScriptedProbe:
    """The score stands under this check's name in what the grader's one script prints."""


Probe = RunProbe | FileProbe | AnswerProbe | ScriptedProbe


@dataclass(frozen=True, slots=True)
class Check:
    """One named weighted part of a grader. A `required` check that is not met makes the reward 0."""

    name: str
    probe: Probe
    weight: float = 1.0
    required: bool = False


class GraderSandbox(StrEnum):
    """Where grading happens: in the agent's own sandbox, or in a fresh one that receives the artifacts."""

    SHARED = "shared"
    FRESH = "fresh"


class Processes(StrEnum):
    """What becomes of the processes that the agent leaves: ended before the checks, or part of what they judge."""

    STOP = "stop"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A path that a fresh grading sandbox receives, from the sandbox or from a service.

    `exclude` are relative paths below it of which the image's own stays.
    """

    path: str
    service: str = ""
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grader:
    """What judges the end state. `files` arrive only after the agent has stopped."""

    checks: tuple[Check, ...]
    files: tuple[FileCopy, ...] = ()
    run: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    sandbox: GraderSandbox = GraderSandbox.SHARED
    artifacts: tuple[Artifact, ...] = ()
    processes: Processes = Processes.STOP


@dataclass(frozen=True, slots=True)
class Solution:
    """A way to reach `passing`: a script, a final answer, or both; its files arrive before it runs."""

    name: str
    run: str = ""
    answer: str | None = None
    files: tuple[FileCopy, ...] = ()


@dataclass(frozen=True, slots=True)
class WrongAnswer:
    """Something that looks like an attempt and must earn at most `reward_at_most`."""

    name: str
    reward_at_most: float
    run: str = ""
    answer: str | None = None
    files: tuple[FileCopy, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that the agent, the setup and each check of the grader may take.

    `agent` is working time; `wall` bounds it together with what an agent waits for a model's rate limits and for
    failed calls, which is not its own. None leaves that to taskcal.
    """

    agent: float = 900.0
    setup: float = 600.0
    grader: float = 120.0
    wall: float | None = None


class External(StrEnum):
    """What a task with network meets outside, as its author declares it."""

    STATEFUL = "stateful"
    STATELESS = "stateless"


@dataclass(frozen=True, slots=True)
class Variant:
    """One task with one set of params: `id` is '' for a task without variants, `prompt` is rendered.

    `params` holds the task's constants too; a variant's own value wins. `checks` is None if no check's value names one.
    """

    id: str
    params: Mapping[str, Scalar]
    prompt: str
    checks: tuple[Check, ...] | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One problem, written at `file`:`line`. A rollout is graded by `Group.grader`; here it is the first variant's."""

    id: str
    variants: tuple[Variant, ...]
    environment: Environment
    grader: Grader
    tags: tuple[str, ...] = ()
    timeouts: Timeouts = field(default_factory=Timeouts)
    passing: float = 1.0
    solutions: tuple[Solution, ...] = ()
    wrong: tuple[WrongAnswer, ...] = ()
    tools: tuple[Tool, ...] = ()
    mcp: tuple[McpServer, ...] = ()
    max_parallel: int | None = None
    external: External | None = None
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """One variant of one task: what is run G times and compared with itself."""

    task: Task
    variant: Variant

    @property
    def id(self) -> GroupId:
        """The group's name."""
        return GroupId(self.task.id, self.variant.id)

    @property
    def grader(self) -> Grader:
        """The task's grader, with the variant's own checks."""
        checks = self.variant.checks
        return self.task.grader if checks is None else replace(self.task.grader, checks=checks)


@dataclass(frozen=True, slots=True)
class Taskset:
    """A named collection of tasks, from one YAML file or from several; task ids are unique in it."""

    name: str
    tasks: tuple[Task, ...]
    files: tuple[str, ...] = ()

    def groups(self) -> Iterator[Group]:
        """Every variant of every task, in file order."""
        return (Group(task, variant) for task in self.tasks for variant in task.variants)
