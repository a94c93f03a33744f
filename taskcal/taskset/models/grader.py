"""How a grader and its checks are written in YAML; `check_rules` knows which keys of a check go together."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from taskcal.taskset.models.check_schema import answer_schema, check_schema
from taskcal.taskset.models.hints import CHECK_HINTS, GRADER_HINTS
from taskcal.yamlfile.fields import (
    Answer,
    Destination,
    Env,
    Files,
    Line,
    Model,
    Number,
    Pattern,
    ScriptText,
    Seconds,
    Tolerance,
    User,
    Weight,
)
from taskcal.yamlfile.paths import check_below

if TYPE_CHECKING:
    from collections.abc import Iterator


POINTER = r"^(/([^~]|~[01])*)?$"
POINTER_SCHEMA = {
    "type": "string",
    "pattern": POINTER + r"|\{[{%]",
    "description": "a JSON pointer, or a template",
}


def _commands(script: str) -> str:
    """Refuse a script without a command: as a check it succeeds for all, and as the grader's it scores nothing."""
    lines = script.splitlines()
    if all(not line.strip() or line.lstrip().startswith("#") for line in lines):
        raise ValueError("holds no command, so it judges nothing" if script.strip() else "must not be empty")
    return script


def _commands_if_any(script: str) -> str:
    return _commands(script) if script else script


class AnswerModel(Model):
    """A condition on the agent's final message."""

    model_config = ConfigDict(json_schema_extra=answer_schema())
    hints = CHECK_HINTS

    equals: Answer | None = None
    contains: Annotated[Answer, Field(min_length=1)] | None = None
    matches: Annotated[Pattern, Field(min_length=1)] | None = None
    number: Number | None = None
    tolerance: Tolerance = 0


class CheckModel(Model):
    """One named weighted part of a grader: one of run, file and answer, or none if the grader's script scores it."""

    model_config = ConfigDict(json_schema_extra=check_schema())
    nullable: ClassVar[frozenset[str]] = frozenset({"equals"})
    hints = CHECK_HINTS

    name: Line
    weight: Weight = 1.0
    required: bool = False
    run: Annotated[ScriptText, AfterValidator(_commands), Field(json_schema_extra={"minLength": 1})] | None = None
    score: Literal["exit", "stdout"] = "exit"
    timeout: Seconds | None = None
    alone: bool = False
    service: str = Field(default="", alias="in")
    user: User | Literal[""] = ""
    file: Destination | None = None
    exists: Literal[True] | None = None
    absent: Literal[True] | None = None
    equals: object = None
    contains: Annotated[str, Field(min_length=1)] | None = None
    matches: Annotated[Pattern, Field(min_length=1)] | None = None
    pointer: Annotated[str, Field(pattern=POINTER), WithJsonSchema(POINTER_SCHEMA)] | None = None
    answer: AnswerModel | None = None


class ArtifactModel(Model):
    """A path that a fresh grading sandbox receives; a bare path is the sandbox's."""

    path: Destination
    service: str = ""
    exclude: Annotated[list[Annotated[str, AfterValidator(check_below)]], Field(max_length=100)] = Field(
        default_factory=list
    )


def _artifact(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


ARTIFACT_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "service": {"type": "string"},
                "exclude": {"type": "array", "items": {"type": "string"}, "maxItems": 100},
            },
            "required": ["path"],
            "additionalProperties": False,
        },
    ]
}
ArtifactField = Annotated[ArtifactModel, BeforeValidator(_artifact), WithJsonSchema(ARTIFACT_SCHEMA)]


class GraderModel(Model):
    """What judges the end state."""

    hints = GRADER_HINTS

    checks: Annotated[list[CheckModel], Field(min_length=1, max_length=500)]
    files: Files = Field(default_factory=dict)
    run: Annotated[ScriptText, AfterValidator(_commands_if_any)] = ""
    env: Env = Field(default_factory=dict)
    sandbox: Literal["shared", "fresh"] = "shared"
    processes: Literal["stop", "keep"] = "stop"
    artifacts: list[ArtifactField] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        mistakes = [*self._mistakes()]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def _mistakes(self) -> Iterator[str]:
        names = Counter(check.name for check in self.checks)
        yield from (f'two checks are named "{name}"' for name, count in names.items() if count > 1)
        if all(check.weight == 0 for check in self.checks):
            yield "no check has a weight above 0, so every reward would be 0"
        own = [check.run is not None or check.file is not None or check.answer is not None for check in self.checks]
        if not self.run:
            unjudged = (check.name for check, judged in zip(self.checks, own, strict=True) if not judged)
            yield from (f'the check "{name}" needs one of run, file, answer' for name in unjudged)
        elif all(own):
            yield "run scores no check: leave out run, file and answer in the checks that the script scores"
        if self.artifacts and self.sandbox == "shared":
            yield "artifacts go with sandbox: fresh only"
        if self.processes == "keep" and self.sandbox == "fresh":
            yield "processes: keep goes with sandbox: shared only, a fresh sandbox has no process of the agent"
