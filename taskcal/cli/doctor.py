"""`taskcal doctor`: what this machine has and lacks for running tasks, one line each, and the steps that bring it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from taskcal.doctor import Diagnosis
    from taskcal.errors import MissingError


def doctor(
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Bring what is missing. An engine that answers or is configured stays as it is."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Look for what tasks need: engine, disk, base image, leftovers of dead runs.

    With --fix, and only where no engine answers, on Debian or Ubuntu as root, it installs docker.io and starts dockerd.
    A missing base image is pulled or, where no registry answers, built with debootstrap. Exits with 3 and the commands
    to run where something needed is missing.
    """
    from taskcal.errors import MissingError

    trouble = _repair() if fix else None
    diagnosis = _examine()
    typer.echo(_as_json(diagnosis) if as_json else "\n".join(str(sign) for sign in diagnosis.signs))
    if trouble is not None:
        raise trouble
    if diagnosis.remedy:
        raise MissingError(diagnosis.remedy)


def _repair() -> MissingError | None:
    """Repair, and hand an error back instead of raising it, so that what was found is printed first."""
    from taskcal import host
    from taskcal.baseimage import base_tar
    from taskcal.doctor import repair
    from taskcal.errors import MissingError
    from taskcal.sandbox.docker import DockerEngine

    try:
        repair(DockerEngine.connect, host, base_tar, lambda line: typer.echo(line, err=True))
    except MissingError as error:
        return error
    return None


def _examine() -> Diagnosis:
    from taskcal import host
    from taskcal.doctor import examine, examine_without_engine
    from taskcal.errors import MissingError
    from taskcal.sandbox.docker import DockerEngine
    from taskcal.sandbox.sweep import leftovers

    try:
        engine = DockerEngine.connect()
    except MissingError as error:
        return examine_without_engine(error, host.facts())
    return examine(engine, leftovers(engine), host)


def _as_json(diagnosis: Diagnosis) -> str:
    import json
    from dataclasses import asdict

    signs = [asdict(sign) for sign in diagnosis.signs]
    return json.dumps({"schema": "taskcal/doctor@1", "healthy": not diagnosis.remedy, "signs": signs}, indent=2)
