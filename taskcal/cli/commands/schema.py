"""`taskcal schema`: the JSON Schema of the YAML files that people write, for editors."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003  # typer reads the annotations when the command is declared
from typing import Annotated

import typer


class SchemaKind(StrEnum):
    """Which kind of file the schema is for."""

    TASKSET = "taskset"
    AGENT = "agent"
    CONFIG = "config"


def schema(
    kind: Annotated[
        SchemaKind, typer.Argument(help="The kind of file: taskset, agent or config.")
    ] = SchemaKind.TASKSET,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write this file instead of printing.")] = None,
) -> None:
    """Print the JSON Schema of taskset files, agent files, or taskcal.yaml (config)."""
    from taskcal.cli.terminal.output import print_json

    text = schema_text(kind)
    if output is None:
        print_json(text)
        return
    write_text(output, text)
    typer.echo(f"{output}: put this into the first line of a {kind} file beside it:")
    typer.echo(f"# yaml-language-server: $schema={output.name}")


def schema_text(kind: SchemaKind) -> str:
    """Give the JSON text of the schema of one kind of file."""
    import json

    from taskcal.agents.agent_file import agent_schema
    from taskcal.cli.options.configuration_file import configuration_schema
    from taskcal.taskset.models.schema import taskset_schema

    schemas = {
        SchemaKind.TASKSET: taskset_schema,
        SchemaKind.AGENT: agent_schema,
        SchemaKind.CONFIG: configuration_schema,
    }
    return json.dumps(schemas[kind](), indent=2, ensure_ascii=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file; raises UsageError where that is not possible."""
    from taskcal.errors import UsageError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
