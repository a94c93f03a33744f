"""Which machine may be changed, and how, decided without touching one."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO

import pytest

from taskcal.errors import EngineLost, ImageLost, MissingError
from taskcal.machine import host
from taskcal.machine.base_image import BASE_IMAGE, BUILT_LABELS
from taskcal.machine.host import Daemon, Facts
from taskcal.runs.doctor import Health, examine, examine_without_engine, is_built, repair
from taskcal.sandbox.engine.docker_types import ImageInfo
from taskcal.sandbox.engine.sweep import Leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ROOT = Facts(root=True, debian=True, configured="", forbidden=False, user="root", command="/v/taskcal")
USER = replace(ROOT, root=False, user="ada")
PULLED = ImageInfo("sha256:1", {}, (), (), (), 1, 0.0)


class _FakeEngine:
    """An engine with some images, which a registry answers or not."""

    def __init__(self, *images: str, registry: bool = False) -> None:
        """Start with these images, all pulled."""
        self.product, self.version, self.architecture = "Docker", "20.10", "amd64"
        self.endpoint = "unix:///var/run/docker.sock"
        self.data_root: str | None = "/var/lib/docker"
        self.images = dict.fromkeys(images, PULLED)
        self.registry = registry
        self.full = False

    def image(self, name: str) -> ImageInfo | None:
        return self.images.get(name)

    def pull(self, name: str, timeout: int) -> None:
        if not self.registry:
            raise ImageLost(f"no such host within {timeout} s")
        self.images[name] = PULLED

    def import_image(self, tar: BinaryIO, tag: str, *, labels: Mapping[str, str], command: Sequence[str]) -> None:
        if self.full:
            raise EngineLost("no space left on device")
        self.images[tag] = ImageInfo(tar.read().decode(), labels, (), (), tuple(command), 1, 0.0)


@dataclass(frozen=True)
class _FakeDaemon(Daemon):
    """A daemon that ends at once, or goes on, without anybody waiting."""

    ended: bool = False

    def ended_within(self, seconds: float) -> bool:
        return self.ended and seconds > 0


@dataclass
class _FakeMachine:
    """A machine that writes down what is done to it; its engine answers at the `polls`th try after dockerd."""

    who: Facts
    engine: _FakeEngine | None = None
    programs: set[str] = field(default_factory=set)
    starts: _FakeEngine | None = None
    polls: int = 1
    log: list[str] = field(default_factory=list)
    daemon: _FakeDaemon | None = None
    free: int | None = 5 * 1024**3

    def connect(self) -> _FakeEngine:
        if "dockerd" in self.log:
            self.polls -= 1
            self.engine = self.starts if self.polls <= 0 else None
        if self.engine is None:
            raise MissingError("no container engine answers at x: refused; run `taskcal doctor --fix`, or start Docker")
        return self.engine

    def facts(self) -> Facts:
        return self.who

    def have(self, program: str) -> bool:
        return program in self.programs

    def free_bytes(self, path: str) -> int | None:
        return self.free if path else None

    def apt_install(self, packages: Sequence[str]) -> None:
        self.log.append(f"apt {' '.join(packages)}")
        self.programs |= {"debootstrap"}

    def start_dockerd(self, log: Path) -> Daemon:
        self.log.append("dockerd")
        return self.daemon or _FakeDaemon(log)

    @contextlib.contextmanager
    def build(self, architecture: str) -> Iterator[BinaryIO]:
        self.log.append(f"build {architecture}")
        yield io.BytesIO(b"root file system")

    def repair(self) -> list[str]:
        said: list[str] = []
        repair(self.connect, self, self.build, said.append)
        return said


def test_an_engine_that_answers_is_left_alone() -> None:
    """With an engine and its base image there, a repair does and says nothing, whoever asks."""
    for who in (ROOT, USER, replace(ROOT, configured="DOCKER_HOST=unix:///x")):
        machine = _FakeMachine(who, _FakeEngine(BASE_IMAGE))
        assert (machine.repair(), machine.log) == ([], [])


def test_root_on_debian_gets_an_engine() -> None:
    """Where none answers, the engine is installed, started, and waited for until it answers."""
    machine = _FakeMachine(ROOT, starts=_FakeEngine(BASE_IMAGE), polls=7)
    said = machine.repair()
    assert machine.log == ["apt docker.io debootstrap debian-archive-keyring", "dockerd"]
    assert said == ["engine: none answers; installing docker.io", "engine: starting dockerd"]


def test_an_installed_engine_is_only_started() -> None:
    """A dockerd that is there but not running is not installed again."""
    machine = _FakeMachine(ROOT, starts=_FakeEngine(BASE_IMAGE), programs={"dockerd"})
    machine.repair()
    assert machine.log == ["dockerd"]


@pytest.mark.parametrize(
    ("who", "remedy"),
    [
        (replace(ROOT, configured="DOCKER_HOST=tcp://far"), "DOCKER_HOST=tcp://far names, or unset it"),
        (replace(ROOT, debian=False), "install Docker or Podman"),
        (USER, r"run: sudo /v/taskcal doctor --fix && sudo usermod -aG docker ada, then log in again"),
        (replace(USER, forbidden=True), "run: sudo usermod -aG docker ada, then log in again"),
    ],
)
def test_without_the_rights_nothing_is_touched(who: Facts, remedy: str) -> None:
    """A configured engine, another system or a plain user: nothing is done, and the error says what to run; exit 3."""
    machine = _FakeMachine(who, starts=_FakeEngine(BASE_IMAGE))
    with pytest.raises(MissingError, match=remedy) as caught:
        machine.repair()
    assert machine.log == []
    assert caught.value.exit_code == 3


def test_a_daemon_that_dies_is_reported_with_its_reason(tmp_path: Path) -> None:
    """A dockerd that gives up is not waited for: the error carries the last line of its log and the log's place."""
    log = tmp_path / "log"
    log.write_text("starting\nfailed to start daemon: no iptables\n")
    machine = _FakeMachine(ROOT, programs={"dockerd"}, daemon=_FakeDaemon(log, ended=True))
    with pytest.raises(MissingError, match=f"gave up: failed to start daemon: no iptables; see {log}"):
        machine.repair()


def test_a_daemon_that_never_answers_is_given_up() -> None:
    """Waiting for an engine ends."""
    with pytest.raises(MissingError, match="did not answer within 60 s"):
        _FakeMachine(ROOT, programs={"dockerd"}).repair()


def test_the_base_image_is_pulled_where_a_registry_answers() -> None:
    """A registry comes first: nothing is built or installed, and the image carries no label of ours."""
    machine = _FakeMachine(ROOT, engine := _FakeEngine(registry=True))
    machine.repair()
    assert machine.log == []
    assert not is_built(engine.images[BASE_IMAGE])


def test_the_base_image_is_built_where_no_registry_answers() -> None:
    """Without a registry it is built for the engine's architecture, under the same name, labelled, with its command."""
    machine = _FakeMachine(ROOT, engine := _FakeEngine())
    said = machine.repair()
    image = engine.images[BASE_IMAGE]
    assert machine.log == ["apt debootstrap debian-archive-keyring", "build amd64"]
    assert (image.id, image.labels, image.command) == ("root file system", BUILT_LABELS, ("bash",))
    assert any("no such host" in line for line in said)


def test_an_image_that_arrives_meanwhile_is_not_replaced() -> None:
    """Somebody pulled the image while we were building it: theirs stays."""
    engine = _FakeEngine()
    machine = _FakeMachine(ROOT, engine, programs={"debootstrap"})

    @contextlib.contextmanager
    def slow(architecture: str) -> Iterator[BinaryIO]:
        with machine.build(architecture) as tar:
            engine.images[BASE_IMAGE] = PULLED
            yield tar

    repair(machine.connect, machine, slow, machine.log.append)
    assert engine.images[BASE_IMAGE] is PULLED


def test_a_user_is_told_how_to_get_the_base_image() -> None:
    """Without root the image cannot be built: the commands keep the engine that was chosen."""
    machine = _FakeMachine(replace(USER, configured="DOCKER_HOST=unix:///run/user/1/a b"), _FakeEngine())
    with pytest.raises(MissingError, match=r"sudo env DOCKER_HOST='unix:///run/user/1/a b' /v/taskcal doctor --fix"):
        machine.repair()
    assert machine.log == []


def test_an_engine_that_refuses_the_image_is_a_missing_thing() -> None:
    """The engine's own words reach the user, and the exit is 3, not that of a lost rollout."""
    machine = _FakeMachine(ROOT, engine := _FakeEngine(), programs={"debootstrap"})
    engine.full = True
    with pytest.raises(MissingError, match="no space left on device"):
        machine.repair()


def test_a_healthy_machine_in_four_lines() -> None:
    """Everything that was looked for is one line, and nothing needs to be run."""
    diagnosis = examine(_FakeEngine(BASE_IMAGE), Leftovers(), _FakeMachine(ROOT))
    assert [str(sign) for sign in diagnosis.signs] == [
        "engine      ok       Docker 20.10 at unix:///var/run/docker.sock",
        "disk        ok       5.0 GiB free at /var/lib/docker",
        f"base image  ok       {BASE_IMAGE}",
        "leftovers   none",
    ]
    assert diagnosis.remedy == ""


def test_a_built_base_image_is_named_as_one() -> None:
    """An image from debootstrap is never mistaken for a pulled one."""
    engine = _FakeEngine()
    engine.images[BASE_IMAGE] = replace(PULLED, labels={**BUILT_LABELS, "more": "1"})
    sign = examine(engine, Leftovers(), _FakeMachine(ROOT)).signs[2]
    assert sign.detail == f"{BASE_IMAGE} (built here with debootstrap)"


def test_what_is_needed_and_missing_has_a_remedy() -> None:
    """Too little disk and a missing base image each stop a run, so each says what to do; the first comes first."""
    diagnosis = examine(_FakeEngine(), Leftovers(), _FakeMachine(USER, free=2 * 1024**3 - 1))
    assert [sign.mark for sign in diagnosis.signs] == [Health.OK, Health.LOW, Health.MISSING, Health.NONE]
    assert diagnosis.remedy == diagnosis.signs[1].remedy
    assert f"docker pull {BASE_IMAGE}" in diagnosis.signs[2].remedy


def test_storage_that_cannot_be_seen_is_unknown() -> None:
    """A remote engine's disk is neither ok nor low, although this machine has a folder of that name."""
    engine = _FakeEngine(BASE_IMAGE)
    engine.endpoint = "tcp://far:2375"
    assert examine(engine, Leftovers(), _FakeMachine(ROOT)).signs[1].mark is Health.UNKNOWN
    assert examine(_FakeEngine(), Leftovers(), _FakeMachine(ROOT, free=None)).signs[1].mark is Health.UNKNOWN


def test_leftovers_are_named_but_harmless() -> None:
    """What a dead run left is counted, with the command that removes it, and stops nobody."""
    diagnosis = examine(_FakeEngine(BASE_IMAGE), Leftovers(("r",), ("a", "b"), ()), _FakeMachine(ROOT))
    assert diagnosis.signs[3].mark is Health.FOUND
    assert "2 containers" in diagnosis.signs[3].detail
    assert "taskcal clean" in diagnosis.signs[3].detail
    assert diagnosis.remedy == ""


def test_without_an_engine_the_rest_is_unknown() -> None:
    """The reason stands in the engine's line, the command in the remedy, and nothing else is claimed."""
    machine = _FakeMachine(ROOT)
    with pytest.raises(MissingError) as caught:
        machine.connect()
    diagnosis = examine_without_engine(caught.value, ROOT)
    assert [sign.mark for sign in diagnosis.signs] == [Health.MISSING, Health.UNKNOWN, Health.UNKNOWN, Health.UNKNOWN]
    assert diagnosis.signs[0].detail == "no container engine answers at x: refused"
    assert diagnosis.remedy == "run: /v/taskcal doctor --fix"


def test_the_command_never_touches_a_configured_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`doctor --fix` with a DOCKER_HOST that is dead, also as root: what was found, one line of what to do, exit 3."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/dead.sock")
    done = host.run_program([sys.executable, "-m", "taskcal", "doctor", "--fix"], seconds=60)
    lines = done.output.splitlines()
    assert done.status == 3
    assert sum(line.startswith("engine      missing") for line in lines) == 1
    assert sum("a configured engine is never changed" in line for line in lines) == 1
    assert len(lines) == 5


@pytest.mark.docker
def test_the_command_finds_the_real_engine() -> None:
    """`doctor --json` on a machine that is ready: valid JSON on its own, everything needed is there."""
    done = host.run_program([sys.executable, "-m", "taskcal", "doctor", "--json"], seconds=60)
    report = json.loads(done.output)
    assert done.status == 0
    assert report["healthy"] is True
    assert [sign["mark"] for sign in report["signs"][:1]] == ["ok"]
    assert [sign["name"] for sign in report["signs"]] == ["engine", "disk", "base image", "leftovers"]
