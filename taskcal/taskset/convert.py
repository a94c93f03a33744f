"""Validated models become the frozen values of `core.task`, which nothing behind this edge checks again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskcal.core.task import (
    AnswerProbe,
    Artifact,
    Check,
    Environment,
    FileCopy,
    FileProbe,
    Grader,
    GraderSandbox,
    ImageSource,
    Limits,
    Probe,
    Processes,
    RunProbe,
    ScoreBy,
    ScriptedProbe,
    Service,
    Solution,
    Timeouts,
    WrongAnswer,
)
from taskcal.core.tool import McpServer, Tool
from taskcal.yamlfile.nodes import to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.taskset.models.environment import ContainerModel, EnvironmentModel, ServiceModel
    from taskcal.taskset.models.grader import CheckModel, GraderModel
    from taskcal.taskset.models.taskset import SolutionModel, TimeoutsModel, WrongModel
    from taskcal.taskset.models.tool import McpModel, ToolModel


def environment(model: EnvironmentModel, name: str) -> Environment:
    """Give the environment called `name`."""
    return Environment(
        name=name,
        source=_source(model),
        workdir=model.workdir,
        user=model.user,
        env=model.env,
        network=model.network,
        limits=_limits(model),
        files=_files(model.files),
        setup=model.setup,
        start=model.start,
        ready=model.ready,
        finish=model.finish,
        services=tuple(_service(key, service) for key, service in model.services.items()),
    )


def _service(name: str, model: ServiceModel) -> Service:
    return Service(
        name=name,
        source=_source(model),
        command=model.command,
        env=model.env,
        files=_files(model.files),
        setup=model.setup,
        ready=model.ready,
        limits=_limits(model),
        params=tuple(model.params),
    )


def _source(model: ContainerModel) -> ImageSource:
    return ImageSource(image=model.image, build=model.build)


def _limits(model: ContainerModel) -> Limits:
    return Limits(cpus=model.cpus, memory=model.memory, pids=model.pids)


def _files(files: Mapping[str, str]) -> tuple[FileCopy, ...]:
    return tuple(FileCopy(destination, source) for destination, source in files.items())


def grader(model: GraderModel) -> Grader:
    """Give the grader."""
    return Grader(
        checks=tuple(map(check, model.checks)),
        files=_files(model.files),
        run=model.run,
        env=model.env,
        sandbox=GraderSandbox(model.sandbox),
        processes=Processes(model.processes),
        artifacts=tuple(
            Artifact(artifact.path, artifact.service, tuple(artifact.exclude)) for artifact in model.artifacts
        ),
    )


def check(model: CheckModel) -> Check:
    """Give one check."""
    return Check(model.name, _probe(model), model.weight, model.required)


def _probe(model: CheckModel) -> Probe:
    if model.run is not None:
        return RunProbe(model.run, ScoreBy(model.score), model.timeout, model.alone, model.service, model.user)
    if model.file is not None:
        return _file_probe(model, model.file)
    if model.answer is not None:
        answer = model.answer
        return AnswerProbe(answer.equals, answer.contains, answer.matches, answer.number, answer.tolerance)
    return ScriptedProbe()


def _file_probe(model: CheckModel, path: str) -> FileProbe:
    return FileProbe(
        path=path,
        exists=bool(model.exists),
        absent=bool(model.absent),
        equals=to_plain(model.equals),
        has_equals="equals" in model.model_fields_set,
        contains=model.contains,
        matches=model.matches,
        pointer=model.pointer,
    )


def timeouts(model: TimeoutsModel) -> Timeouts:
    """Give the timeouts, in seconds."""
    return Timeouts(model.agent, model.setup, model.grader, model.wall)


def solution(model: SolutionModel) -> Solution:
    """Give one solution."""
    return Solution(model.name, model.run, model.answer, _files(model.files))


def wrong_answer(model: WrongModel) -> WrongAnswer:
    """Give one wrong answer."""
    return WrongAnswer(model.name, model.reward_at_most, model.run, model.answer, _files(model.files))


def tool(model: ToolModel) -> Tool:
    """Give one tool; its parameters in plain dicts and lists."""
    parameters = {key: to_plain(value) for key, value in model.parameters.items()}
    return Tool(model.name, model.run, model.description, parameters)


def mcp_server(model: McpModel) -> McpServer:
    """Give one MCP server."""
    return McpServer(model.name, model.run)
