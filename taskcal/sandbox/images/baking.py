"""Images: found, pulled or built, and baked. A setup that costs a minute costs it once, not once a rollout.

A baked image is named by what went into it: the base image's id, the bytes and modes of the files, the text of the
setup, the environment's variables and workdir, and those params that the setup's text names. The other params do not
reach the setup, so they cannot make one image differ from another unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from taskcal.core.identity import SANDBOX, ImageOrigin
from taskcal.core.shell.script import names_in_script
from taskcal.core.task import Environment, ImageSource, Limits, NetworkMode, as_text
from taskcal.errors import AgentInstallLost, ImageLost, SetupLost
from taskcal.machine.base_image import BASE_IMAGE
from taskcal.sandbox import ROOT_USER, Script
from taskcal.sandbox.archive import files_digest, pack_files
from taskcal.sandbox.engine.building import BuildBounds
from taskcal.sandbox.engine.labels import BAKE, BASE, BLANK, BUILDING, BUILT
from taskcal.sandbox.engine.run_resources import FIRST_PROCESS, RunScope, host_config
from taskcal.sandbox.engine.sweep import sweep_layers
from taskcal.sandbox.execute import execute
from taskcal.sandbox.images.build_failure import explain_build, here
from taskcal.sandbox.images.entrypoint import entrypoint_remark
from taskcal.sandbox.images.origin import origin_of_build
from taskcal.sandbox.images.setup_failure import setup_failure
from taskcal.sandbox.images.single_flight import SingleFlight
from taskcal.sandbox.scripts import setup_script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskcal.core.task import FileCopy, Scalar, Service
    from taskcal.sandbox.engine.docker import DockerEngine
    from taskcal.sandbox.engine.docker_types import ImageInfo

PULL_SECONDS = 30
UNBOUND = BuildBounds()
BAKING = 3
"""How images are baked; a higher number leaves those alone that were baked otherwise."""
DOCTOR = "run `taskcal doctor --fix`, which pulls or builds it"
LOST_PLACES = "/dev/shm"  # noqa: S108 - named because a commit leaves it out, not used as a scratch folder


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is baked onto a base image; `env` and `params` are what the setup may read."""

    setup: str
    files: tuple[FileCopy, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None
    limits: Limits = field(default_factory=Limits)
    timeout: float = 600.0


@dataclass(frozen=True, slots=True)
class PreparedImages:
    """Everything that a rollout of one group starts from: image ids, the sandbox's and by service name."""

    sandbox: str
    services: Mapping[str, str]
    gateway: str = ""
    """Of the container that carries connections to allowed hosts; '' where there are none."""
    origins: Mapping[str, ImageOrigin] = field(default_factory=dict)
    """What the images go back to, by container: SANDBOX, or a service's name."""
    untouched: str = ""
    """The task's own image, if an agent's `install` made the sandbox's from it."""
    user: str = ""
    """The USER of the sandbox's image; '' for root."""

    @property
    def fresh(self) -> str:
        """The image of a fresh grading: nothing in it is the agent's."""
        return self.untouched or self.sandbox

    @property
    def ids(self) -> dict[str, str]:
        """The image of each container, by the same names."""
        return {SANDBOX: self.sandbox, **self.services}


@dataclass(frozen=True, slots=True)
class ImageMemory:
    """The images that were made, and the failures of those that could not be, for everything that one call does."""

    sources: SingleFlight[ImageInfo] = field(default_factory=SingleFlight)
    origins: SingleFlight[ImageOrigin] = field(default_factory=SingleFlight)
    contents: SingleFlight[str] = field(default_factory=SingleFlight)
    """The digests of the files that are baked, each read once."""
    baked: SingleFlight[str] = field(default_factory=SingleFlight)


class Images:
    """The images of one run; safe to ask from many threads, and each image is made once."""

    def __init__(
        self, scope: RunScope, *, network: bool, log: Callable[[str], None], memory: ImageMemory | None = None
    ) -> None:
        """`network` says whether builds and setups may reach one; `log` gets a line about each step that takes time.

        `memory` is shared with whoever made images before, so that a Dockerfile that fails is built once.
        """
        self._scope = scope
        self._network = network
        self._log = log
        self._memory = memory or ImageMemory()
        self._local_base = False
        self._lock = threading.Lock()
        self.remarks: tuple[str, ...] = ()
        """What a person should know about these images, each sentence once."""

    def prepare(
        self, environment: Environment, params: Mapping[str, Scalar], timeout: float, most: BuildBounds = UNBOUND
    ) -> PreparedImages:
        """The images of an environment and its services. Raises ImageLost, SetupLost or EngineLost.

        Each build and each setup may take `timeout` seconds, and a build the memory and CPUs of `most`.
        """

        def made(part: Environment | Service) -> str:
            return self.bake(self.find(part.source, replace(most, seconds=timeout)), recipe_for(part, params, timeout))

        services = {service.name: made(service) for service in environment.services}
        images = PreparedImages(made(environment), services, user=self.find(environment.source).user)
        sources = {SANDBOX: environment.source, **{service.name: service.source for service in environment.services}}
        if not environment.start.strip():
            self._remark(environment.source)
        return replace(images, origins={name: self.origin(source) for name, source in sources.items()})

    def _remark(self, source: ImageSource) -> None:
        """Report once what an image would start by itself."""
        text = entrypoint_remark(source.image or here(source.build or ""), self.find(source))
        with self._lock:
            new = bool(text) and text not in self.remarks
            self.remarks += (text,) if new else ()
        if new:
            self._log(text)

    def gateway(self) -> str:
        """The image of the container that carries connections to allowed hosts. Raises ImageLost."""
        return self.find(ImageSource(image=BASE_IMAGE)).id

    def find(self, source: ImageSource, most: BuildBounds = UNBOUND) -> ImageInfo:
        """A base image: there already, or pulled, or built within the bounds of who asked first. Raises ImageLost."""
        found = self._memory.sources.get(
            source, lambda: self._build(source, most) if source.build else self._pull(source)
        )
        self._local_base = self._local_base or BASE in found.labels
        return found

    def origin(self, source: ImageSource) -> ImageOrigin:
        """What the image of a source goes back to; it is there, or made, first. Raises ImageLost or EngineLost."""
        found = self.find(source)
        if not source.build:
            return ImageOrigin({source.image or "": found.id})
        return self._memory.origins.get(
            source, lambda: origin_of_build(Path(source.build or ""), found.id, self._image_id)
        )

    def _image_id(self, name: str) -> str | None:
        found = self._scope.engine.image(name)
        return None if found is None else found.id

    @property
    def local_base(self) -> bool:
        """Whether an image of this run goes back to a base image that was built on this machine, not pulled."""
        return self._local_base

    def install(self, image: str, script: str, timeout: float) -> str:
        """The id of an image with an agent's install script applied. Raises AgentInstallLost."""
        base = self._scope.engine.image(image)
        if base is None:
            raise ImageLost(f"image {image} is gone")
        try:
            return self.bake(base, Recipe(setup=script, timeout=timeout))
        except SetupLost as error:
            raise AgentInstallLost(f"the agent's install failed: {error}") from error

    def bake(self, base: ImageInfo, recipe: Recipe) -> str:
        """The id of an image with a recipe applied; the base's own where the recipe is empty. Raises SetupLost."""
        if not recipe.setup.strip() and not recipe.files:
            return base.id
        contents = self._memory.contents.get(recipe.files, lambda: files_digest(recipe.files))
        key = bake_key(base.id, contents, recipe)
        return self._memory.baked.get(key, lambda: self._bake(base, recipe, contents, key))

    def _pull(self, source: ImageSource) -> ImageInfo:
        name = source.image or ""
        found = self._scope.engine.image(name)
        if found is None:
            self._log(f"pulling {name}")
            self._fetch(name)
            found = self._scope.engine.image(name)
        if found is None:
            raise ImageLost(f"image {name} is not there after pulling it")
        return found

    def _fetch(self, name: str) -> None:
        try:
            self._scope.engine.pull(name, PULL_SECONDS)
        except ImageLost as error:
            how = DOCTOR if name == BASE_IMAGE else "build it, or pull it where a registry answers"
            raise ImageLost(f"image {name} is not here and cannot be pulled; {how} ({error})") from error

    def _build(self, source: ImageSource, most: BuildBounds) -> ImageInfo:
        folder = source.build or ""
        self._log(f"building {here(folder)}")
        lines: deque[str] = deque(maxlen=1000)  # a RUN may print for as long as it runs
        try:
            return self._built(folder, replace(most, network=self._network), lines.append)
        except ImageLost as error:
            sweep_layers(self._scope.engine)
            if any(line.endswith(f"FROM {BASE_IMAGE}\n") for line in lines) and not self._has(BASE_IMAGE):
                raise ImageLost(f"{here(folder)} builds on {BASE_IMAGE}, which is not here; {DOCTOR}") from error
            raise ImageLost(explain_build(Path(folder), str(error), lines)) from error

    def _built(self, folder: str, bounds: BuildBounds, log: Callable[[str], None]) -> ImageInfo:
        """Build, and name what was built while a mark keeps others from removing it."""
        engine = self._scope.engine
        with engine.builder.mark({**self._scope.labels(), BUILDING: BUILT}):
            found = engine.image(engine.builder.build(folder, bounds, labels={BAKE: BUILT}, log=log))
            if found is None:
                raise ImageLost(f"building {folder}: the image is gone")
            engine.name_image(found.id, f"taskcal/built:{found.id.removeprefix('sha256:')[:24]}")
            return found

    def _has(self, name: str) -> bool:
        return self._scope.engine.image(name) is not None

    def _bake(self, base: ImageInfo, recipe: Recipe, contents: str, key: str) -> str:
        tag = f"taskcal/baked:{key}"
        if (found := self._scope.engine.image(tag)) is not None:
            self._scope.engine.name_image(found.id, tag)  # `clean --images-over` spares what was used lately
            return found.id
        self._log(f"baking {' '.join(recipe.setup.split())[:60] or 'files'}")
        engine = self._scope.engine
        mode = NetworkMode.BRIDGE if self._network else NetworkMode.NONE
        container = engine.create(
            base.id,
            host_config(recipe.limits, self._scope.network_mode(mode)),
            **_idling(base),
            labels=self._scope.labels("bake"),
            environment=dict(recipe.env),
            working_dir=recipe.workdir,
        )
        try:
            with pack_files(recipe.files) as archive:
                if hashlib.file_digest(archive, "sha256").hexdigest() != contents:
                    raise SetupLost("its files changed while they were read; run it again")
                archive.seek(0)
                engine.files.put_archive(container, archive)
            start_idle(engine, container)
            self._set_up(container, recipe, base.volumes)
            return engine.commit(container, tag, base, {**BLANK, BAKE: key})
        finally:
            engine.remove(container)

    def _set_up(self, container: str, recipe: Recipe, volumes: tuple[str, ...]) -> None:
        source = setup_script(recipe.setup, (*volumes, LOST_PLACES))
        script = Script(source, recipe.timeout, user=ROOT_USER, env=recipe.params, hidden=True)
        result = execute(self._scope.engine, container, script)
        if not result.ok:
            raise SetupLost(setup_failure(recipe.setup, result))


NO_SHELL = "the image has no `sh` on its PATH, which every sandbox needs; build on one with a shell, or correct PATH"


def start_idle(engine: DockerEngine, container: str) -> None:
    """Start a container whose first process is taskcal's. Raises ImageLost for an image without a shell."""
    try:
        engine.start(container)
    except SetupLost as error:
        if '"sh"' in str(error) and "not found" in str(error):
            raise ImageLost(NO_SHELL) from error
        if "unable to find" in str(error):
            raise SetupLost(f"{error}; correct USER in the image's Dockerfile, or create that user there") from error
        raise


def _idling(base: ImageInfo) -> dict[str, list[str]]:
    """How a container that is to be committed passes its time.

    A commit cannot empty what the container has: for an image without an entrypoint, the first process must be the
    command, or a service that is baked from it would idle for ever instead of running its own.
    """
    if base.entrypoint:
        return {"entrypoint": list(FIRST_PROCESS), "command": []}
    return {"entrypoint": [""], "command": list(FIRST_PROCESS)}


def recipe_for(part: Environment | Service, params: Mapping[str, Scalar], timeout: float) -> Recipe:
    """What is baked for an environment or for one of its services, which has no workdir of its own."""
    return Recipe(
        setup=part.setup,
        files=part.files,
        env=part.env,
        params=named_params(part.setup, params),
        workdir=part.workdir if isinstance(part, Environment) else None,
        limits=part.limits,
        timeout=timeout,
    )


def named_params(script: str, params: Mapping[str, Scalar]) -> dict[str, str]:
    """Those params that a script's text names, as environment variables."""
    variables = param_variables(params)
    return {name: variables[name] for name in names_in_script(script, variables)}


def param_variables(params: Mapping[str, Scalar]) -> dict[str, str]:
    """Params as scripts see them, written as in a prompt: true and false in YAML's spelling, null as nothing."""
    return {name: as_text(value) for name, value in params.items()}


def bake_key(base: str, contents: str, recipe: Recipe) -> str:
    """24 hex digits of SHA-256 over all that decides what the baked image holds; `contents` is its files' digest."""
    parts = [BAKING, base, contents, recipe.setup, recipe.workdir, sorted(recipe.env.items())]
    text = json.dumps([*parts, sorted(recipe.params.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:24]
