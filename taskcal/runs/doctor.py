"""What a machine needs before any task can run, and when it may be brought: decided here, apart from who does it.

A module of its own, above `sandbox` and below `cli`, because it is the one place that may change a machine: `host` and
`baseimage` do what they are told, and `cli.doctor` only prints. The decisions see the engine and the machine through
two small protocols, so that every case is tested without touching either.

The rule: an engine that answers is used as it is; one that somebody configured is never touched, answering or not; and
only root on Debian or Ubuntu gets an engine installed. An image that exists is never replaced.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from taskcal.errors import DockerSettingsError, ImageLost, LostError, MissingError
from taskcal.machine.base_image import BASE_IMAGE, BUILT_LABELS, PACKAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from taskcal.machine.host import Daemon, Facts
    from taskcal.sandbox.engine.docker_types import ImageInfo
    from taskcal.sandbox.engine.sweep import Leftovers

    Connect = Callable[[], "Engine"]
    Build = Callable[[str], AbstractContextManager[BinaryIO]]
    Say = Callable[[str], None]

LEAST_FREE = 2 * 1024**3
"""Bytes of the engine's disk below which no rollout starts."""

DAEMON_LOG = Path("/var/log/taskcal-dockerd.log")
CURRENT = "currentContext"
_PULL_SILENCE = 10
_POLL = 0.25
_POLLS = 240


class Engine(Protocol):
    """What is asked of a container engine; `DockerEngine` is one."""

    product: str
    version: str
    architecture: str

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        ...

    @property
    def data_root(self) -> str | None:
        """Its storage folder, where it says."""
        ...

    def image(self, name: str) -> ImageInfo | None:
        """The image of that name, or None."""
        ...

    def pull(self, name: str, timeout: int) -> None:
        """Fetch an image, giving up after `timeout` seconds of silence. Raises ImageLost."""
        ...

    def import_image(self, tar: BinaryIO, tag: str, *, labels: Mapping[str, str], command: Sequence[str]) -> None:
        """Make an image of a root file system."""
        ...


class Machine(Protocol):
    """What is asked of, and may be done to, the machine; the module `taskcal.machine.host` is one."""

    def facts(self) -> Facts:
        """Who we are and where."""
        ...

    def have(self, program: str) -> bool:
        """Whether a program is there."""
        ...

    def free_bytes(self, path: str) -> int | None:
        """Free space where `path` lies, or None."""
        ...

    def apt_install(self, packages: Sequence[str]) -> None:
        """Install Debian packages. Raises MissingError."""
        ...

    def start_dockerd(self, log: Path) -> Daemon:
        """Start Docker's daemon. Raises MissingError."""
        ...


class Health(StrEnum):
    """How one thing was found."""

    OK = "ok"
    MISSING = "missing"
    LOW = "low"
    NONE = "none"
    FOUND = "found"
    UNKNOWN = "unknown"
    UNSURE = "unsure"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that was looked for. A `remedy` says what to run, and is there only where no task can run without."""

    name: str
    mark: Health
    detail: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        """As one line of `taskcal doctor`."""
        return f"{self.name:<11} {self.mark:<8} {self.detail}".rstrip()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was looked for, in the order in which it is needed."""

    signs: tuple[Sign, ...]

    @property
    def remedy(self) -> str:
        """What to do first; '' where everything that is needed is there."""
        return next((sign.remedy for sign in self.signs if sign.remedy), "")


def reach(connect: Connect) -> Engine | MissingError:
    """The engine, or why there is none."""
    try:
        return connect()
    except MissingError as error:
        return error


def examine(engine: Engine, leftovers: Leftovers, machine: Machine) -> Diagnosis:
    """Look at an engine that answers; changes nothing."""
    found = Sign("engine", Health.OK, f"{engine.product} {engine.version} at {engine.endpoint}")
    return Diagnosis(
        (found, _disk(engine, machine), _base_image(engine, machine.facts()), _leftovers(leftovers)),
    )


def examine_without_engine(error: MissingError, facts: Facts) -> Diagnosis:
    """What can be said where no engine answers, and how to get one."""
    reason, _, _ = str(error).partition("; run ")
    unseen = (Sign(name, Health.UNKNOWN, "no engine to ask") for name in ("disk", "base image", "leftovers"))
    remedy = str(error) if isinstance(error, DockerSettingsError) else engine_remedy(facts)
    return Diagnosis((Sign("engine", Health.MISSING, reason, remedy), *unseen))


def _disk(engine: Engine, machine: Machine) -> Sign:
    folder = engine.data_root if engine.endpoint.startswith("unix:") else None
    free = machine.free_bytes(folder) if folder else None
    if free is None:
        return Sign("disk", Health.UNKNOWN, "the engine's storage cannot be seen from here")
    detail = f"{free / 1024**3:.1f} GiB free at {folder}"
    if free >= LEAST_FREE:
        return Sign("disk", Health.OK, detail)
    needed = f"{LEAST_FREE / 1024**3:g} GiB"
    return Sign("disk", Health.LOW, f"{detail}, {needed} are needed", f"free {needed} there; see: docker system df")


def _base_image(engine: Engine, facts: Facts) -> Sign:
    image = engine.image(BASE_IMAGE)
    if image is None:
        return Sign("base image", Health.MISSING, BASE_IMAGE, base_image_remedy(facts))
    return Sign("base image", Health.OK, f"{BASE_IMAGE}{' (built here with debootstrap)' if is_built(image) else ''}")


def is_built(image: ImageInfo) -> bool:
    """Whether an image comes from debootstrap on a machine like this one, and not from a registry."""
    return BUILT_LABELS.items() <= image.labels.items()


def _leftovers(leftovers: Leftovers) -> Sign:
    if not leftovers:
        return Sign("leftovers", Health.NONE)
    return Sign("leftovers", Health.FOUND, f"{leftovers}; `taskcal clean` removes them")


def engine_remedy(facts: Facts) -> str:
    """How to get an engine: the exact commands, or why taskcal will not."""
    if facts.configured:
        unset = "`docker context use default`" if facts.configured.startswith(CURRENT) else "unset it"
        return f"start the engine that {facts.configured} names, or {unset}: a configured engine is never changed"
    if facts.forbidden:
        return f"run: sudo usermod -aG docker {facts.user}, then log in again"
    if not facts.debian:
        return "install Docker or Podman with this system's package manager, and start it"
    if facts.root:
        return f"run: {facts.command} doctor --fix"
    return f"run: sudo {facts.command} doctor --fix && sudo usermod -aG docker {facts.user}, then log in again"


def base_image_remedy(facts: Facts) -> str:
    """How to get the base image; a configured engine stays the configured one under sudo, which forgets it."""
    name, _, value = facts.configured.partition("=")
    engine = f"env {name}={shlex.quote(value)} " if name else ""
    if name in {CURRENT, "DOCKER_CONTEXT"}:
        engine = f'env DOCKER_CONFIG="${{DOCKER_CONFIG:-$HOME/.docker}}" DOCKER_CONTEXT={shlex.quote(value)} '
    fix = f"{'' if facts.root else f'sudo {engine}'}{facts.command} doctor --fix"
    return f"run: docker pull {BASE_IMAGE}, or where no registry answers (needs debootstrap): {fix}"


def repair(connect: Connect, machine: Machine, build: Build, say: Say) -> None:
    """Bring the engine and the base image where they are missing; `say` hears each step before it is taken.

    Raises MissingError with the exact commands where we may not, and with the reason where a step failed.
    """
    found = reach(connect)
    if isinstance(found, DockerSettingsError):  # an engine may well run
        raise found
    engine = _start_engine(connect, machine, say) if isinstance(found, MissingError) else found
    try:
        if engine.image(BASE_IMAGE) is None:
            _bring_base_image(engine, machine, build, say)
    except LostError as lost:
        raise MissingError(f"the base image is missing, and the engine refused it: {lost}") from lost


def _start_engine(connect: Connect, machine: Machine, say: Say) -> Engine:
    facts = machine.facts()
    if facts.configured or not (facts.root and facts.debian):
        raise MissingError(f"no container engine answers; {engine_remedy(facts)}")
    if not machine.have("dockerd"):
        say("engine: none answers; installing docker.io")
        machine.apt_install(("docker.io", *PACKAGES))
        found = reach(connect)  # on some systems the package starts it
        if not isinstance(found, MissingError):
            return found
    say("engine: starting dockerd")
    return _wait_for(connect, machine.start_dockerd(DAEMON_LOG))


def _wait_for(connect: Connect, daemon: Daemon) -> Engine:
    deadline = time.monotonic() + _POLLS * _POLL  # one that hangs takes seconds for each look
    for _ in range(_POLLS):
        if time.monotonic() > deadline:
            break
        ended = daemon.ended_within(_POLL)
        found = reach(connect)
        if not isinstance(found, MissingError):
            return found
        if ended:
            raise MissingError(f"dockerd gave up: {daemon.complaint()}; see {daemon.log}")
    raise MissingError(f"dockerd did not answer within {_POLLS * _POLL:g} s; see {daemon.log}")


def _bring_base_image(engine: Engine, machine: Machine, build: Build, say: Say) -> None:
    say(f"base image: pulling {BASE_IMAGE}")
    try:
        engine.pull(BASE_IMAGE, _PULL_SILENCE)
    except ImageLost as lost:
        say(f"base image: {lost}")
    else:
        return
    facts = machine.facts()
    if not facts.root:
        raise MissingError(f"the base image is missing; {base_image_remedy(facts)}")
    if facts.debian and not machine.have("debootstrap"):
        say("base image: installing debootstrap")
        machine.apt_install(PACKAGES)
    say("base image: building it with debootstrap from Debian's archive, about 35 s")
    with build(engine.architecture) as tar:
        if engine.image(BASE_IMAGE) is None:  # one that arrived in the meantime is never replaced
            engine.import_image(tar, BASE_IMAGE, labels=BUILT_LABELS, command=("bash",))
