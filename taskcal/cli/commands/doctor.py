"""`taskcal doctor`: what this machine has and lacks for running tasks, one line each, and the steps that bring it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from taskcal.core.plan import OperatorBounds

if TYPE_CHECKING:
    from taskcal.agents import Agent
    from taskcal.errors import MissingError
    from taskcal.runs.doctor import Diagnosis, Sign
    from taskcal.runs.preflight import Trial


def doctor(
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Bring what is missing. An engine that answers or is configured stays as it is."),
    ] = False,
    agent: Annotated[
        str | None, typer.Option("--agent", "-a", help="Also let this agent do one trivial task.", show_default=False)
    ] = None,
    set_: Annotated[
        list[str], typer.Option("--set", help="Override a key of the agent file: key=value.", metavar="KEY=VALUE")
    ] = [],  # noqa: B006 - typer's way to say: none given
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Look for what tasks need: engine, disk, base image, leftovers of dead runs; with --agent, one that works.

    With --fix, and only where no engine answers, on Debian or Ubuntu as root, it installs docker.io and starts dockerd.
    A missing base image is pulled or, where no registry answers, built with debootstrap. Exits with 3 and the commands
    to run where something needed is missing.
    """
    from taskcal.errors import MissingError

    chosen = None if agent is None else _choose(agent, set_)
    trouble, unreachable = _repair() if fix else (None, None)
    diagnosis = _examine(unreachable)
    if chosen is not None:
        diagnosis = replace(diagnosis, signs=(*diagnosis.signs, _try(chosen, diagnosis)))
    _show(diagnosis, as_json=as_json)
    if trouble is not None:
        raise trouble
    if diagnosis.remedy:
        raise MissingError(diagnosis.remedy)


def _show(diagnosis: Diagnosis, *, as_json: bool) -> None:
    from taskcal.cli.terminal.output import print_json

    if as_json:
        print_json(_as_json(diagnosis))
    else:
        typer.echo("\n".join(map(str, diagnosis.signs)))


def _repair() -> tuple[MissingError | None, MissingError | None]:
    """Repair. Returns why that failed and why no engine answered at last, so that the findings are printed first."""
    from taskcal.errors import MissingError
    from taskcal.machine import host
    from taskcal.machine.base_image import base_tar
    from taskcal.runs.doctor import repair
    from taskcal.sandbox.engine.docker import DockerEngine

    unreachable: MissingError | None = None

    def connect() -> DockerEngine:
        nonlocal unreachable
        unreachable = None
        try:
            return DockerEngine.connect()
        except MissingError as error:
            unreachable = error
            raise

    try:
        repair(connect, host, base_tar, lambda line: typer.echo(line, err=True))
    except MissingError as error:
        return error, unreachable
    return None, None


def _examine(unreachable: MissingError | None) -> Diagnosis:
    """Examine the machine. An engine that just did not answer is not asked again: each try may take eight seconds."""
    from taskcal.cli.options.connect import reach_engine
    from taskcal.errors import MissingError
    from taskcal.machine import host
    from taskcal.runs.doctor import examine, examine_without_engine
    from taskcal.sandbox.engine.sweep import leftovers

    if unreachable is not None:
        return examine_without_engine(unreachable, host.facts())
    try:
        engine = reach_engine()
    except MissingError as error:
        return examine_without_engine(error, host.facts())
    return examine(engine, leftovers(engine), host)


def _choose(name: str, overrides: list[str]) -> Agent:
    """The agent that is to be tried, before anything else takes time. Raises UsageError, InputError."""
    from taskcal.agents.choose import choose_agent
    from taskcal.cli.options.parse import read_pairs
    from taskcal.cli.terminal.output import redact_output

    agent = choose_agent(name, dict(read_pairs("--set", overrides)))
    redact_output(agent.redactor)
    return agent


def _try(agent: Agent, diagnosis: Diagnosis) -> Sign:
    """One trivial task, where the rest is in order."""
    from taskcal.cli.docker_runs import DockerRuns
    from taskcal.runs.doctor import Health, Sign
    from taskcal.runs.preflight import try_agent
    from taskcal.sandbox.engine.docker import DockerEngine

    if diagnosis.remedy:
        return Sign("agent", Health.UNKNOWN, f"{agent.name} was not tried: something above is missing")
    engine = DockerRuns(DockerEngine.connect())
    try:
        trial = try_agent(engine, agent, OperatorBounds(), None, lambda line: typer.echo(line, err=True))
    finally:
        engine.close()
    return sign_of(agent.name, trial)


def sign_of(name: str, trial: Trial) -> Sign:
    """What a trial says of the agent of that name; only one that does not work is in the way of every task."""
    from taskcal.runs.doctor import Health, Sign
    from taskcal.runs.preflight import Fitness

    match trial.fitness:
        case Fitness.WORKS:
            return Sign("agent", Health.OK, f"{name} {trial.words}")
        case Fitness.WEAK:
            return Sign("agent", Health.UNSURE, f"{name} {trial.words}; it may be made for something else")
        case Fitness.UNTRIED:
            return Sign("agent", Health.UNKNOWN, f"{name} was not tried: {trial.words}")
        case Fitness.FAILED | Fitness.BROKEN:
            return Sign("agent", Health.FAILED, f"{name}: {trial.words}", f"mend the agent {name}, and try it again")


def _as_json(diagnosis: Diagnosis) -> str:
    import json
    from dataclasses import asdict

    signs = [asdict(sign) for sign in diagnosis.signs]
    return json.dumps({"schema": "taskcal/doctor@1", "healthy": not diagnosis.remedy, "signs": signs}, indent=2) + "\n"
