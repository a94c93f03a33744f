"""The engine that a command works with, and what its choice has to report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from taskcal.sandbox.engine.docker import DockerEngine


def reach_engine(connections: int = 16) -> DockerEngine:
    """Connect; print what of Docker's own settings could not be read. Raises MissingError if no engine answers."""
    from taskcal.report.wording.sanitize import LONGEST_LINE, plain
    from taskcal.sandbox.engine.docker import DockerEngine

    engine = DockerEngine.connect(connections=connections)
    if engine.warning:
        typer.echo(plain(f"warning: {engine.warning}", LONGEST_LINE), err=True)
    return engine
