"""The keys of a project's configuration, as the model that checks `taskcal.yaml` and `[tool.taskcal]` alike."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator

from taskcal.cli.options import parse
from taskcal.core.gate import FailOn
from taskcal.errors import InputError, UsageError
from taskcal.yamlfile.fields import Model, Share
from taskcal.yamlfile.mistakes import describe_value, validate_model
from taskcal.yamlfile.nodes import Map
from taskcal.yamlfile.paths import Folder
from taskcal.yamlfile.problems import Problems
from taskcal.yamlfile.reader import parse_yaml
from taskcal.yamlfile.schema import schema_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from taskcal.yamlfile.schema import JsonSchema


def _fail_on(text: str) -> str:
    if text not in set(FailOn):
        raise ValueError(f"must be one of {', '.join(FailOn)}, not {describe_value(text)}")
    return text


def _band(text: object) -> str:
    """The option's own rule, so that the file is named and not the option."""
    if not isinstance(text, str):
        raise ValueError(f"must be text such as 0.05,0.75, not {describe_value(text)}")  # noqa: TRY004  # pydantic's protocol
    try:
        parse.read_band(text)
    except UsageError as error:
        raise ValueError(str(error).removeprefix("--band ")) from error
    return text


FailOnText = Annotated[str, AfterValidator(_fail_on), WithJsonSchema({"enum": [*FailOn]})]
BandText = Annotated[str, BeforeValidator(_band)]
PositiveCount = Annotated[int, Field(ge=1)]


class ConfigurationModel(Model):
    """Defaults of a project for all its runs; options of the command line win."""

    nullable: ClassVar[frozenset[str]] = frozenset(
        {"agent", "group_size", "concurrency", "retries", "fail_on", "max_lost", "band", "runs"}
    )

    agent: str | None = None
    """Agent to run: a built-in name, or an agent file relative to this file. Default: none."""
    group_size: PositiveCount | None = None
    """Number of rollouts of each variant. Default 8."""
    concurrency: PositiveCount | None = None
    """Maximum number of rollouts at the same time. Default: as many as this machine bears."""
    retries: Annotated[int, Field(ge=0)] | None = None
    """Number of further attempts for a rollout that was lost. Default 2."""
    fail_on: FailOnText | None = None
    """Result that makes a run exit with 1: never or flagged. Default never."""
    max_lost: Share | None = None
    """Share of lost rollouts, 0 to 1, above which a run exits with 4. Default 0.2."""
    band: BandText | None = None
    """Success rates of useful tasks: two fractions or percentages, such as 0.05,0.75. Default 0.05,0.75."""
    runs: str | None = None
    """Folder that runs are written into. Default: runs."""

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_nothing(cls, value: object) -> object:
        """A key without a value is more likely an unfinished edit than a wish for the default."""
        if value is None:
            raise ValueError("must have a value; leave out the key for the default")
        return value


def read_yaml_configuration(text: str, path: Path, file: str) -> ConfigurationModel:
    """Return the settings of the text of a `taskcal.yaml`; `file` is its name in messages. Raises InputError."""
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return ConfigurationModel()
    problems = Problems()
    top, mistakes = parse_yaml(text, file)
    problems.extend(mistakes)
    return _validated(top, path, file, problems)


def read_toml_configuration(table: Mapping[str, object], path: Path, file: str) -> ConfigurationModel:
    """Return the settings of a `[tool.taskcal]`, whose keys have no known line. Raises InputError."""
    top = Map(0)
    top.update(table)
    try:
        return _validated(top, path, file, Problems())
    except InputError as error:
        raise InputError(tuple(replace(problem, line=None) for problem in error.problems)) from error


def _validated(top: Map, path: Path, file: str, problems: Problems) -> ConfigurationModel:
    model = validate_model(ConfigurationModel, top, file, Folder(path.parent), problems)
    problems.raise_any()
    return model or ConfigurationModel()


def configuration_schema() -> JsonSchema:
    """Return the JSON Schema of `taskcal.yaml`."""
    return schema_of(ConfigurationModel)
