"""How a grader and its checks are written in YAML."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from taskcal.taskset.fields import (
    Answer,
    Destination,
    Env,
    Files,
    Line,
    Model,
    Pattern,
    ScriptText,
    Seconds,
    Weight,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_CONDITIONS = ("exists", "absent", "equals", "contains", "matches")
ANSWER_CONDITIONS = ("equals", "contains", "matches", "number")
RUN_ONLY = ("score", "alone", "timeout", "service")
FILE_ONLY = (*FILE_CONDITIONS, "pointer")
WRITTEN = {"service": "in"}


class AnswerModel(Model):
    """A condition on the agent's final message."""

    equals: Answer | None = None
    contains: Answer | None = None
    matches: Pattern | None = None
    number: Annotated[float, Field(allow_inf_nan=False)] | None = None
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        given = self.model_fields_set
        if len(given.intersection(ANSWER_CONDITIONS)) != 1:
            raise ValueError(f"needs exactly one of {', '.join(ANSWER_CONDITIONS)}")
        if "tolerance" in given and "number" not in given:
            raise ValueError("tolerance goes with number only")
        return self


class CheckModel(Model):
    """One named weighted part of a grader: one of run, file and answer, or none where the grader's script scores it."""

    nullable: ClassVar[frozenset[str]] = frozenset({"equals"})

    name: Line
    weight: Weight = 1.0
    required: bool = False
    run: Annotated[ScriptText, Field(min_length=1)] | None = None
    score: Literal["exit", "stdout"] = "exit"
    timeout: Seconds | None = None
    alone: bool = False
    service: str = Field(default="", alias="in")
    file: Destination | None = None
    exists: Literal[True] | None = None
    absent: Literal[True] | None = None
    equals: object = None
    contains: str | None = None
    matches: Pattern | None = None
    pointer: Annotated[str, Field(pattern=r"^(/.*)?$")] | None = None
    answer: AnswerModel | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        mistakes = [*self._mistakes()]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def _mistakes(self) -> Iterator[str]:
        given = self.model_fields_set
        kinds = [kind for kind in ("run", "file", "answer") if kind in given]
        if len(kinds) > 1:
            yield f"has {' and '.join(kinds)}; a check judges by one of run, file, answer"
        if self.weight == 0 and not self.required:
            yield "weighs nothing and is not required, so it changes no reward; give it a weight, or required: true"
        for owner, keys in (("run", RUN_ONLY), ("file", FILE_ONLY)):
            if owner not in given:
                yield from (f"{WRITTEN.get(key, key)} goes with {owner} only" for key in keys if key in given)
        if "file" in given and len(given.intersection(FILE_CONDITIONS)) != 1:
            yield f"file needs exactly one of {', '.join(FILE_CONDITIONS)}"


class ArtifactModel(Model):
    """A path that a fresh grading sandbox receives; a bare path is the sandbox's."""

    path: Destination
    service: str = ""


def _artifact(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


ARTIFACT_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"path": {"type": "string"}, "service": {"type": "string"}},
            "required": ["path"],
            "additionalProperties": False,
        },
    ]
}
ArtifactField = Annotated[ArtifactModel, BeforeValidator(_artifact), WithJsonSchema(ARTIFACT_SCHEMA)]


class GraderModel(Model):
    """What judges the end state."""

    checks: Annotated[list[CheckModel], Field(min_length=1, max_length=500)]
    files: Files = Field(default_factory=dict)
    run: ScriptText = ""
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
