"""Try an environment once before its first rollout, so that its defects are reported once and never measured.

An environment that nobody can work in gives every agent a reward of 0, which looks like a hard task. So each prepared
image is opened once as a rollout opens it, with its services, `start` and `ready`. The agent's user must exist and be
able to enter its workdir, a small grading must work, services must still run after a moment, and `finish` runs at the
end. The result is shared by all groups with the same images and scripts: it costs one container per image.
"""

from __future__ import annotations

import contextlib
import secrets
import shlex
import time
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from taskcal.core.rollout import Lost
from taskcal.core.shell.script import interpreters
from taskcal.core.task import Grader, RunProbe
from taskcal.core.text.excerpt import excerpt
from taskcal.errors import LostError, SandboxLost, SetupLost
from taskcal.execution.grading_driver import (
    ABSENT,
    FileJob,
    ScriptJob,
    ScriptVariables,
    drive,
    output_bound,
    parse_records,
)
from taskcal.runs.images.prepare_group import lost_because, prepare_group
from taskcal.sandbox import ROOT_USER, TASKCAL_FOLDER, Script, ScriptEnding
from taskcal.sandbox.container import open_sandbox
from taskcal.sandbox.images.baking import named_params
from taskcal.sandbox.images.single_flight import SingleFlight
from taskcal.sandbox.interpreters import missing_programs
from taskcal.sandbox.sandbox_spec import SandboxSpec
from taskcal.sandbox.scripts import finish_script
from taskcal.sandbox.services import command_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from taskcal.agents import Agent
    from taskcal.core.plan import OperatorBounds
    from taskcal.core.task import Environment, Group
    from taskcal.sandbox import ScriptResult
    from taskcal.sandbox.container import DockerSandbox
    from taskcal.sandbox.engine.run_resources import RunScope
    from taskcal.sandbox.images.baking import Images, PreparedImages

SETTLED_SECONDS = 2.0
"""How long services are watched at least. One that misses its configuration ends sooner."""

SCRIPT_SECONDS = 30.0
NO_USER = ("unable to find user", "unable to find group", "uids and gids must be")
NO_ENTRY, NO_WRITE = 4, 5
NO_TMP = "no-tmp"

LIST_PROGRAMS = """IFS=:; for TASKCAL_DIR in $PATH; do for TASKCAL_FILE in "$TASKCAL_DIR"/*; do
  [ -f "$TASKCAL_FILE" ] && [ -x "$TASKCAL_FILE" ] && echo "${TASKCAL_FILE##*/}"
done; done
python3 -c 'import pkgutil, sys
for name in [*sys.builtin_module_names, *(one[1] for one in pkgutil.iter_modules())]: print("python3 -m " + name)' 2>&-
exit 0"""
MOST_PROGRAMS = 1024 * 1024
"""Bytes of the list of program names that are read; a Debian with a desktop has 40 KB."""

TRIAL = (
    ScriptJob("echo fine", 5.0),
    ScriptJob("exit 3", 5.0),
    FileJob(f"{TASKCAL_FOLDER}/none"),
    FileJob("/proc/self/status"),  # behind a link that root owns, in every container
    ScriptJob(LIST_PROGRAMS, SCRIPT_SECONDS, limit=MOST_PROGRAMS),
)
EXPECTED = (0, 3, ABSENT, 0, 0)
NEEDED = ("sh", "setsid", "stat", "sleep", "mkdir", "rm", "wc", "head", "tail")
"""The programs of an image that grading uses."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A working environment: warnings for its author, and the names of the programs on PATH.

    `programs` has an entry for the sandbox ('') and for each service that checks run in.
    """

    warnings: tuple[str, ...] = ()
    programs: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class ReadyGroup:
    """A group whose rollouts can start: its images, and what the probe of its environment found."""

    images: PreparedImages
    probe: ProbeResult


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is tried: an environment as it is opened, the agent's user, and what the grading needs there.

    `services` are those that checks run in, `places` the destinations of the grader's files, and `check_users` who runs
    checks, each with its service.
    """

    spec: SandboxSpec
    user: str | None
    services: tuple[str, ...]
    places: tuple[str, ...]
    check_users: tuple[tuple[str, str], ...]

    @property
    def key(self) -> Hashable:
        """Everything that can make one probe differ from another: the images, and the texts that run in them."""
        spec, images = self.spec, self.spec.images
        bare = replace(spec.environment, name="", setup="", files=())
        texts = " ".join((bare.start, bare.ready, bare.finish, *(_texts_of_services(bare))))
        params = tuple(sorted(named_params(texts, spec.params).items()))
        made = (images.sandbox, tuple(sorted(images.services.items())))
        return made, repr(bare), params, self.user, self.services, self.places, spec.artifacts, self.check_users


class Probes:
    """The probes of one run; each environment is tried once, whichever thread asks first."""

    def __init__(self, scope: RunScope) -> None:
        """Nothing has been tried yet."""
        self._scope = scope
        self._results: SingleFlight[ProbeResult] = SingleFlight()

    def try_environment(self, group: Group, images: PreparedImages, agent: Agent) -> ProbeResult:
        """Try the environment of a group with its images. Raises the LostError that every rollout would raise."""
        subject = _Subject(
            spec=_spec(group, images, agent, self._scope.run),
            user=agent.user or group.task.environment.user,
            services=tuple(sorted(_services_with_checks(group))),
            places=tuple(sorted({copy.destination for copy in group.grader.files})),
            check_users=tuple(sorted(_users_of_checks(group))),
        )
        found = self._results.get(subject.key, lambda: _try(self._scope, subject))
        _require_interpreters(group, found)
        return found


def ready_group(
    group: Group, images: Images, probes: Probes, agent: Agent, bounds: OperatorBounds
) -> ReadyGroup | Lost:
    """Prepare the images of a group and try its environment; or the reason why no rollout of it can run."""
    made = prepare_group(group, images, agent, bounds)
    if isinstance(made, Lost):
        return made
    try:
        return ReadyGroup(made, probes.try_environment(group, made, agent))
    except Exception as error:  # noqa: BLE001 - whatever broke, the other groups go on
        return lost_because(error)


def _require_interpreters(group: Group, found: ProbeResult) -> None:
    """Raise SetupLost if the first line of a script names an interpreter that its container does not have.

    The scripts of checks are left to `missing_programs`: a solution may bring what they need.
    """
    for need in interpreters(replace(group.task, grader=Grader(()))):
        present = found.programs.get(need.service)
        missing = [] if present is None else [one for one in need.programs if one.rpartition("/")[2] not in present]
        if missing:
            where = _image_of(need.service)
            raise SetupLost(f"{need.place} asks for {missing[0]} in its first line (#!), and {where} does not have it")


def _spec(group: Group, images: PreparedImages, agent: Agent, run: str) -> SandboxSpec:
    """An environment as rollouts open it. Its grading is in the same container, so that there is only one."""
    unique = f"{run}-probe-{secrets.token_hex(4)}"
    return replace(SandboxSpec.of(group, images, agent.network, f"{group.id}#probe", unique), fresh=False)


def _services_with_checks(group: Group) -> set[str]:
    probes = (check.probe for check in group.task.grader.checks)
    return {probe.service for probe in probes if isinstance(probe, RunProbe) and probe.service}


def _users_of_checks(group: Group) -> set[tuple[str, str]]:
    probes = (check.probe for check in group.task.grader.checks)
    return {(probe.service, probe.user) for probe in probes if isinstance(probe, RunProbe) and probe.user}


def _require_user(sandbox: DockerSandbox, service: str, user: str) -> None:
    """Raise SetupLost if a user that a check names cannot run a script there."""
    try:
        result = sandbox.run(Script("exit 0", SCRIPT_SECONDS, user=user, service=service, workdir="/", clean=True))
    except SandboxLost as error:
        if not any(words in str(error) for words in NO_USER):
            raise
        raise SetupLost(f"a check names the user {user}, which does not exist in {_image_of(service)}") from error
    if not result.ok:
        raise SetupLost(f"a check names the user {user}: {_why_no_shell(user, result)}")


def _texts_of_services(environment: Environment) -> Iterator[str]:
    for service in environment.services:
        yield " ".join((command_text(service), service.ready, *service.params))


def _try(scope: RunScope, subject: _Subject) -> ProbeResult:
    """Try it, once more if the container vanished, which is not the environment's doing."""
    try:
        return _try_once(scope, subject)
    except SandboxLost:
        return _try_once(scope, subject)


def _try_once(scope: RunScope, subject: _Subject) -> ProbeResult:
    services = subject.services
    sandbox = open_sandbox(scope, subject.spec)
    begun = time.monotonic()
    try:
        warnings = [*map(str, sandbox.check_variables().gone), *_enter_workdir(sandbox, subject.user)]
        _require_folders(sandbox, subject.places)
        for service in services:
            sandbox.require_service(service)
        for service, user in subject.check_users:
            _require_user(sandbox, service, user)
        programs = {service: _grade_trial(sandbox, service) for service in ("", *services)}
        if subject.spec.environment.services:
            time.sleep(max(0.0, begun + SETTLED_SECONDS - time.monotonic()))
            sandbox.require_services()
            for service in services:
                sandbox.require_service(service)
        warnings += _finish(sandbox, subject.spec.environment)
        return ProbeResult(tuple(warnings), MappingProxyType(programs))
    finally:
        sandbox.close()


def _require_folders(sandbox: DockerSandbox, places: Sequence[str]) -> None:
    """Raise SetupLost for a grader's file whose place lies below a file: it would take the place of that file."""
    for place in places:
        file = sandbox.file_above(place)
        if file is not None:
            raise SetupLost(f"grader.files: {place} lies below {file}, which is a file; choose a path in a folder")


def _enter_workdir(sandbox: DockerSandbox, user: str | None) -> Iterator[str]:
    """Enter the workdir as the agent; yield a warning if it is read-only. Raises SetupLost."""
    workdir = sandbox.workdir
    name = user or "of the image"
    tests = f"[ -w /tmp ] || echo {NO_TMP}; [ -w . ] || exit {NO_WRITE}; exit 0"
    source = f"cd -- {shlex.quote(workdir)} || exit {NO_ENTRY}; {tests}"
    result = sandbox.run(Script(source, SCRIPT_SECONDS, user=user, workdir="/"))
    if NO_TMP.encode() in result.stdout:
        yield f"the user {name} cannot write to /tmp"
    if result.exit_code == NO_WRITE:
        yield f"the user {name} cannot write to the workdir {workdir}"
    elif result.exit_code == NO_ENTRY:
        raise SetupLost(
            f"the user {name} cannot enter the workdir {workdir}; give it access in `setup` (chown, chmod), or name "
            f"another `workdir`"
        )
    elif not result.ok:
        raise SetupLost(_why_no_shell(name, result))


def _why_no_shell(name: str, result: ScriptResult) -> str:
    if any(words in result.tail for words in NO_USER):
        return (
            f"the user {name} does not exist in the image ({result.tail}); correct `user`, or create it in `setup` "
            f"(useradd --create-home NAME)"
        )
    return f"the user {name} cannot run a shell in the image ({result.how}): {result.tail}"


def _grade_trial(sandbox: DockerSandbox, service: str) -> frozenset[str]:
    """Grade three trifles where checks will run, and return the programs on PATH there. Raises SetupLost."""
    source = drive(TRIAL, secrets.token_hex(8), "", ScriptVariables(sandbox.check_variables(service).kept))
    script = Script(source, 3 * SCRIPT_SECONDS, user=ROOT_USER, hidden=True, service=service, clean=True)
    try:
        result = sandbox.run(script, limit=output_bound(TRIAL))
    except SandboxLost as error:
        if '"sh"' not in str(error):
            raise
        raise SetupLost(_no_shell(service)) from error
    records = parse_records(result.stdout, len(TRIAL)) if result.ok else None
    if records is None or tuple(record.status for record in records) != EXPECTED:
        tails = [record.tail for record in records or () if record.tail][:1]
        raise SetupLost(_why_no_grading(sandbox, service, tails[0] if tails else result.tail))
    return frozenset(records[-1].stdout.decode(errors="replace").splitlines())


def _why_no_grading(sandbox: DockerSandbox, service: str, said: str) -> str:
    where = _image_of(service)
    found: ScriptResult | None = None
    with contextlib.suppress(LostError):
        found = sandbox.run(Script(missing_programs(NEEDED), SCRIPT_SECONDS, ROOT_USER, service=service, clean=True))
    if found is not None and found.ok and (missing := found.stdout.decode().split()):
        return f"{where} has no {' and no '.join(missing)}, which grading needs; install it there"
    if '"sh"' in said:
        return _no_shell(service)
    return f"a trial grading does not work in {where} before any agent has touched it: {said or 'it printed nothing'}"


def _no_shell(service: str) -> str:
    return f"{_image_of(service)} has no `sh` on its PATH, which checks need; use an image with a shell there"


def _image_of(service: str) -> str:
    return f"the image of service {service}" if service else "the image"


def _finish(sandbox: DockerSandbox, environment: Environment) -> Iterator[str]:
    if not environment.finish.strip():
        return
    result = sandbox.run(finish_script(environment.finish, sandbox.variables))
    if not result.ok:
        how = "was still running after 60 s" if result.ending is ScriptEnding.TIMED_OUT else f"failed ({result.how})"
        said = excerpt((result.stdout + result.stderr).decode(errors="replace"))
        yield f"`finish` {how}: {said or 'it printed nothing'}"
