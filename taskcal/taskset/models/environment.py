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
    build: BuildFolder | None = None
    env: Env = Field(default_factory=dict)
    files: Files = Field(default_factory=dict)
    setup: ScriptText = ""
    ready: ScriptText = ""
    cpus: Cpus = 1.0
    memory: Memory = 2 * 1024**3
    pids: Annotated[int, Field(ge=16, le=4_194_304)] = 512

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
    params: list[ParamName] = Field(default_factory=list, max_length=200)
    port: Annotated[int, Field(ge=1, le=65535)] | None = None


class EnvironmentModel(ContainerModel):
    """What the sandbox is made of."""

    hints = ENVIRONMENT_HINTS

    workdir: Destination | None = None
    user: User | None = None
    network: NetworkField = Network()
    start: ScriptText = ""
    finish: ScriptText = ""
    services: Annotated[dict[ServiceName, ServiceModel], Field(max_length=MOST_SERVICES)] = Field(default_factory=dict)

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
