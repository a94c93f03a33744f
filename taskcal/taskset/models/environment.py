"""How an environment and its services are written in YAML."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator

from taskcal.core.task import Network
from taskcal.taskset.models.hints import ENVIRONMENT_HINTS, SERVICE_HINTS
from taskcal.yamlfile.fields import (
    BuildFolder,
    Cpus,
    Destination,
    Env,
    Files,
    Image,
    Memory,
    Model,
    NetworkField,
    ParamName,
    ScriptText,
    User,
    check_script,
)


def _service_name(name: str) -> str:
    allowed = name.isascii() and name.replace("-", "").replace("_", "").isalnum() and name[0].isalnum()
    if not allowed or len(name) > 63:
        raise ValueError(f'must be a host name of letters, digits and "-", not "{name[:60]}"')
    if name.lower().startswith("localhost"):
        raise ValueError("localhost is the sandbox itself; choose another name")
    return name


def _command(value: object) -> tuple[str, ...] | str:
    if isinstance(value, str) and value:
        return check_script(value)
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise ValueError("must be a command line, or a list of its words (numbers in quotes)")


MOST_SERVICES = 32
"""A sandbox starts them all, and each is a container."""
COMMAND_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Command = Annotated[tuple[str, ...] | str, PlainValidator(_command), WithJsonSchema(COMMAND_SCHEMA)]
ServiceName = Annotated[str, AfterValidator(_service_name)]


class ContainerModel(Model):
    """What a sandbox and a service have in common."""

    image: Image | None = None
    """Image to start from, such as python:3.12; give this or build."""
    build: BuildFolder | None = None
    """Folder with a Dockerfile, relative to the taskset; give this or image."""
    env: Env = Field(default_factory=dict)
    """Environment variables of the container, by name. Default: none."""
    files: Files = Field(default_factory=dict)
    """Files to copy in: absolute destination to source next to the taskset. Default: none."""
    setup: ScriptText = ""
    """Script that prepares the image, run once as root, then frozen. Default: none."""
    ready: ScriptText = ""
    """Script that is tried until it succeeds, for at most 60 s. Default: none."""
    cpus: Cpus = 1.0
    """CPU limit of the container in cores, at least 0.01. Default 1."""
    memory: Memory = 2 * 1024**3
    """Memory limit of the container, such as 512m, 2g or a number of bytes. Default 2g."""
    pids: Annotated[int, Field(ge=16, le=4_194_304)] = 512
    """Maximum number of processes in the container, at least 16. Default 512."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.image is None and self.build is None:
            raise ValueError("needs image: NAME, or build: FOLDER with a Dockerfile")
        if self.image is not None and self.build is not None:
            raise ValueError("has both image and build; keep one (write null to drop an inherited one)")
        return self


class ServiceModel(ContainerModel):
    """A side container; `port` is what it listens on, for the check that no two services collide.

    `params` are the params that its image reads from its environment.
    """

    hints = SERVICE_HINTS

    command: Command | None = None
    """Command of the container: a line or a list of words. Default: the image's own."""
    params: list[ParamName] = Field(default_factory=list, max_length=200)
    """Names of the params that the image reads from its environment. Default: none."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """TCP port of the service, to check that no two services share one. Default: unknown."""


class EnvironmentModel(ContainerModel):
    """What the sandbox is made of."""

    hints = ENVIRONMENT_HINTS

    workdir: Destination | None = None
    """Working directory of the agent and the scripts, an absolute path. Default: the image's own."""
    user: User | None = None
    """User that the agent runs as: NAME, UID, NAME:GROUP or UID:GID. Default: the image's own."""
    network: NetworkField = Network()
    """Network access: none, bridge (everything), or a list of allowed hosts. Default: none."""
    start: ScriptText = ""
    """Script that runs before the agent in every rollout; its processes stay. Default: none."""
    finish: ScriptText = ""
    """Script that runs after grading in every rollout, whatever happened. Default: none."""
    services: Annotated[dict[ServiceName, ServiceModel], Field(max_length=MOST_SERVICES)] = Field(default_factory=dict)
    """Containers next to the sandbox in its network, by host name; at most 32. Default: none."""

    @model_validator(mode="after")
    def _services_differ(self) -> Self:
        seen: dict[object, str] = {}
        for name, service in self.services.items():
            for mark in (name.lower(), service.port):
                if mark is not None and mark in seen:
                    shared = "one port" if isinstance(mark, int) else "one host name"
                    raise ValueError(f"the services {seen[mark]} and {name} share {shared}; they run in one network")
                seen[mark] = name
        return self
