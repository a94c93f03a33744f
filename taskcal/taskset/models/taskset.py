"""How a taskset and its tasks are written in YAML; environments and graders are resolved before, see `merge`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from taskcal.taskset.models.hints import ATTEMPT_HINTS, TASK_HINTS, TASKSET_HINTS
from taskcal.taskset.models.tool import McpModel, ToolModel
from taskcal.yamlfile.fields import (
    Answer,
    Files,
    Id,
    Line,
    Model,
    ParamName,
    ParamValue,
    Passing,
    ScriptText,
    Seconds,
    Share,
    Tag,
    with_written,
)

Raw = Annotated[object, WithJsonSchema({})]
Params = Annotated[dict[ParamName, ParamValue], BeforeValidator(with_written)]
RawMap = Annotated[dict[str, object], WithJsonSchema({"type": "object"})]


class TimeoutsModel(Model):
    """How long each part of a rollout may take."""

    agent: Seconds = 900.0
    """Longest time for the agent, such as 15m or a number of seconds. Default 15m."""
    setup: Seconds = 600.0
    """Longest time for setup and for installing the agent, such as 10m. Default 10m."""
    grader: Seconds = 120.0
    """Longest time for each script of the grader, such as 2m. Default 2m."""
    wall: Seconds | None = None
    """Longest time for the agent with all waiting for a provider, such as 30m. Default: agent plus 1h."""


class AttemptModel(Model):
    """What a solution and a wrong answer have in common."""

    hints = ATTEMPT_HINTS

    name: Line
    """Name of the attempt in reports, one line, unique within its list."""
    run: ScriptText = ""
    """Script that makes the attempt, run as the agent's user. Default: none."""
    answer: Answer | None = None
    """Final message to grade, at most 1 MiB of text without params. Default: none."""
    files: Files = Field(default_factory=dict)
    """Files for the script: destination in the sandbox to source next to the taskset. Default: none."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not self.run and self.answer is None:
            raise ValueError("needs run, answer, or both")
        return self


class SolutionModel(AttemptModel):
    """A way to reach `passing`."""


class WrongModel(AttemptModel):
    """Something that looks like an attempt and must earn at most `reward_at_most`."""

    reward_at_most: Share = 0.0
    """Highest reward, 0 to 1, that the grader may give to this attempt. Default 0."""


class TaskModel(Model):
    """One problem with its grader."""

    hints = TASK_HINTS

    id: Id
    """Name of the task, unique in the run."""
    prompt: Annotated[str, Field(min_length=1)]
    """Text that the agent gets; {{ name }} inserts a param."""
    environment: Raw
    """Environment of the task: the name of a shared one, or a map."""
    grader: Raw
    """Grader of the task: the name of a shared one, or a map."""
    tags: list[Tag] = Field(default_factory=list)
    """Words to select tasks by with --tag. Default: none."""
    params: Params = Field(default_factory=dict, max_length=200)
    """Constants for the prompt and the scripts, by name; at most 200. Default: none."""
    variants: Raw = None
    """Params that differ: a map of lists (all combinations), a list of maps, or {from: FILE}. Default: none."""
    tools: list[ToolModel] = Field(default_factory=list)
    """Commands that the agent is offered as tools. Default: none."""
    mcp: list[McpModel] = Field(default_factory=list)
    """MCP servers inside the sandbox whose tools the agent is offered. Default: none."""
    max_parallel: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of rollouts of this task at the same time. Default: no limit of its own."""
    timeouts: TimeoutsModel = Field(default_factory=TimeoutsModel)
    """Time limits for the parts of a rollout."""
    passing: Passing = 1.0
    """Minimum reward for a rollout to count as passed, above 0 and at most 1. Default 1."""
    external: Literal["stateful", "stateless"] | None = None
    """Kind of systems that a task with network uses: stateful or stateless. Default: not declared."""
    solutions: list[SolutionModel] = Field(default_factory=list)
    """Attempts that must reach the passing reward. Default: none."""
    wrong: list[WrongModel] = Field(default_factory=list)
    """Attempts that must stay at or below their reward_at_most. Default: none."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for kind, names in (
            ("solutions", [solution.name for solution in self.solutions]),
            ("wrong answers", [wrong.name for wrong in self.wrong]),
            ("tools", [tool.name for tool in self.tools]),
            ("MCP servers", [server.name for server in self.mcp]),
        ):
            if len(names) != len(set(names)):
                raise ValueError(f"two {kind} have the same name")
        return self


class TasksetModel(Model):
    """The top of a file."""

    hints = TASKSET_HINTS

    taskset: Id
    """Name of the taskset in reports."""
    version: Literal[1]
    """Version of the taskset format; always 1."""
    environments: dict[Id, RawMap] = Field(default_factory=dict)
    """Environments by name, for tasks to share. Default: none."""
    graders: dict[Id, RawMap] = Field(default_factory=dict)
    """Graders by name, for tasks to share. Default: none."""
    defaults: RawMap = Field(default_factory=dict)
    """Keys that every task inherits, all but id and variants. Default: none."""
    tasks: Annotated[list[RawMap], Field(min_length=1)]
    """Tasks of the file, at least one."""
