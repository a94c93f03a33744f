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
    setup: Seconds = 600.0
    grader: Seconds = 120.0
    wall: Seconds | None = None


class AttemptModel(Model):
    """What a solution and a wrong answer have in common."""

    hints = ATTEMPT_HINTS

    name: Line
    run: ScriptText = ""
    answer: Answer | None = None
    files: Files = Field(default_factory=dict)

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


class TaskModel(Model):
    """One problem with its grader."""

    hints = TASK_HINTS

    id: Id
    prompt: Annotated[str, Field(min_length=1)]
    environment: Raw
    grader: Raw
    tags: list[Tag] = Field(default_factory=list)
    params: Params = Field(default_factory=dict, max_length=200)
    variants: Raw = None
    tools: list[ToolModel] = Field(default_factory=list)
    mcp: list[McpModel] = Field(default_factory=list)
    max_parallel: Annotated[int, Field(ge=1)] | None = None
    timeouts: TimeoutsModel = Field(default_factory=TimeoutsModel)
    passing: Passing = 1.0
    external: Literal["stateful", "stateless"] | None = None
    solutions: list[SolutionModel] = Field(default_factory=list)
    wrong: list[WrongModel] = Field(default_factory=list)

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
    version: Literal[1]
    environments: dict[Id, RawMap] = Field(default_factory=dict)
    graders: dict[Id, RawMap] = Field(default_factory=dict)
    defaults: RawMap = Field(default_factory=dict)
    tasks: Annotated[list[RawMap], Field(min_length=1)]
