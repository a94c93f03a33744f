"""Which engine is meant: every setting of the docker CLI, in its order, and one line for each that leads nowhere."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcal.errors import MissingError
from taskcal.machine.engine_endpoint import (
    DEFAULT_SOCKET,
    Certificates,
    EngineEndpoint,
    configured_engine,
    find_endpoint,
)

if TYPE_CHECKING:
    from pathlib import Path

FAR = "tcp://far:2376"


@dataclass(frozen=True)
class Settings:
    """A folder of Docker's settings."""

    folder: Path

    def current(self, name: object) -> None:
        """Choose the current context."""
        (self.folder / "config.json").write_text(json.dumps({"currentContext": name}))

    def context(self, name: str, *certificates: str, **engine: Any) -> Path:
        """Add a context whose docker endpoint is `engine`; gives the folder of its certificates."""
        number = hashlib.sha256(name.encode()).hexdigest()
        meta = self.folder / "contexts" / "meta" / number / "meta.json"
        meta.parent.mkdir(parents=True)
        meta.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": engine}}))
        stored = self.folder / "contexts" / "tls" / number / "docker"
        stored.mkdir(parents=True)
        for certificate in certificates:
            (stored / certificate).write_text("")
        return stored

    def find(self, **variables: str) -> EngineEndpoint:
        """The engine under these variables."""
        return find_endpoint({"DOCKER_CONFIG": str(self.folder), **variables})

    def refused(self, **variables: str) -> str:
        """The one line of a setting that leads nowhere."""
        with pytest.raises(MissingError) as caught:
            self.find(**variables)
        assert "\n" not in str(caught.value)
        assert caught.value.exit_code == 3
        return str(caught.value)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give an empty folder of settings, below a name that has a space."""
    folder = tmp_path / "docker settings"
    folder.mkdir()
    return Settings(folder)


def test_the_first_of_three_settings_wins(settings: Settings) -> None:
    """DOCKER_HOST before DOCKER_CONTEXT before the current context before the default socket; empty is not set."""
    assert settings.find() == EngineEndpoint()
    settings.context("here", Host="unix:///here.sock")
    settings.context("far", Host=FAR)
    settings.current("here")
    empty = {"DOCKER_HOST": "", "DOCKER_CONTEXT": ""}
    assert settings.find(**empty) == EngineEndpoint("unix:///here.sock", "currentContext=here")
    assert settings.find(DOCKER_CONTEXT="far") == EngineEndpoint(FAR, "DOCKER_CONTEXT=far")
    both = settings.find(DOCKER_CONTEXT="far", DOCKER_HOST="unix:///own.sock")
    assert (both.url, both.source) == ("unix:///own.sock", "DOCKER_HOST=unix:///own.sock")
    assert settings.find(DOCKER_CONTEXT="default") == EngineEndpoint()


def test_the_folder_is_that_of_the_home(settings: Settings) -> None:
    """~/.docker without DOCKER_CONFIG, and a home without it chooses nothing."""
    home = settings.folder.parent
    (home / ".docker").mkdir()
    Settings(home / ".docker").context("mine", Host=FAR)
    Settings(home / ".docker").current("mine")
    assert find_endpoint({"HOME": str(home)}).url == FAR
    assert find_endpoint({"HOME": str(settings.folder)}) == EngineEndpoint()


@pytest.mark.parametrize("name", ["", "default", None])
def test_no_current_context(settings: Settings, name: str | None) -> None:
    """An empty name and the name of the default are the default socket; so is a config.json without the key."""
    settings.current(name or "")
    if name is None:
        (settings.folder / "config.json").write_text('{"auths": {}}')
    assert settings.find() == EngineEndpoint()
    assert configured_engine({"DOCKER_CONFIG": str(settings.folder)}) == ""


BROKEN = ["{not json", "", "[1]", '{"currentContext": 3}', "\x00", "[" * 100_000]


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: text[:20])
def test_a_broken_config_chooses_nothing_and_is_reported(settings: Settings, text: str) -> None:
    """As for the docker CLI: what needs no credentials and no context goes on, with a warning of one line."""
    (settings.folder / "config.json").write_text(text)
    found = settings.find()
    assert found.url == DEFAULT_SOCKET
    assert found.warning.startswith(f"{settings.folder / 'config.json'}: ")
    assert "\n" not in found.warning
    settings.context("far", Host=FAR)
    assert settings.find(DOCKER_CONTEXT="far") == EngineEndpoint(FAR, "DOCKER_CONTEXT=far")
    assert settings.find(DOCKER_HOST=FAR).warning == ""


def test_a_context_that_does_not_exist(settings: Settings) -> None:
    """Not the default socket: those would be another machine's containers."""
    settings.current("gone")
    assert settings.refused() == (
        "currentContext=gone: there is no such Docker context; choose another with `docker context use`, or set "
        "DOCKER_HOST"
    )
    assert settings.refused(DOCKER_CONTEXT="../../etc").startswith("DOCKER_CONTEXT=../../etc: there is no such")


METAS = [*BROKEN[:3], "{}", '{"Endpoints": []}', '{"Endpoints": {"kubernetes": {}}}', '{"Endpoints": {"docker": 3}}',
         '{"Endpoints": {"docker": {"Host": 3}}}']  # fmt: skip


@pytest.mark.parametrize("text", METAS)
def test_a_broken_context_is_one_line(settings: Settings, text: str) -> None:
    """With the setting that chose it, the file, and what to do."""
    settings.context("far", Host=FAR)
    (meta,) = settings.folder.rglob("meta.json")
    meta.write_text(text)
    said = settings.refused(DOCKER_CONTEXT="far")
    assert said.startswith(f"DOCKER_CONTEXT=far: {meta}: ")
    assert said.endswith("; choose another Docker context, or set DOCKER_HOST")


@pytest.mark.parametrize(
    ("url", "forward"),
    [("ssh://me@far", "me@far"), ("ssh://far", "far"), ("SSH://me@far:2222", "-p 2222 me@far"), ("ssh://far/x", "far")],
)
def test_ssh_is_refused_with_the_way_around_it(settings: Settings, url: str, forward: str) -> None:
    """However it was chosen, before anything is started."""
    settings.context("far", Host=url)
    for variables, name in (({"DOCKER_HOST": url}, "DOCKER_HOST"), ({"DOCKER_CONTEXT": "far"}, "DOCKER_CONTEXT")):
        assert settings.refused(**variables) == (
            f"{name} names {url}, and taskcal does not speak ssh to an engine; forward its socket with `ssh -nNT -L "
            f"/tmp/docker.sock:/var/run/docker.sock {forward}` and set DOCKER_HOST=unix:///tmp/docker.sock"
        )


def test_certificates_of_a_context(settings: Settings) -> None:
    """Those that are stored; unchecked only if the context says so; a socket needs none."""
    stored = settings.context("whole", "ca.pem", "cert.pem", "key.pem", Host=FAR)
    ca, cert, key = (str(stored / name) for name in ("ca.pem", "cert.pem", "key.pem"))
    assert settings.find(DOCKER_CONTEXT="whole").certificates == Certificates(ca, cert, key, verify=True)
    only = settings.context("only", "ca.pem", Host=FAR, SkipTLSVerify=False)
    expected = Certificates(str(only / "ca.pem"), None, None, verify=True)
    assert settings.find(DOCKER_CONTEXT="only").certificates == expected
    settings.context("unchecked", Host=FAR, SkipTLSVerify=True)
    assert settings.find(DOCKER_CONTEXT="unchecked").certificates == Certificates(None, None, None, verify=False)
    settings.context("plain", Host=FAR)
    settings.context("socket", "ca.pem", Host="unix:///x")
    assert settings.find(DOCKER_CONTEXT="plain").certificates is None
    assert settings.find(DOCKER_CONTEXT="socket").certificates is None


def test_certificates_of_variables(settings: Settings) -> None:
    """DOCKER_CERT_PATH or DOCKER_TLS_VERIFY, for DOCKER_HOST alone; a context has its own."""
    folder = str(settings.folder)
    default = Certificates(f"{folder}/ca.pem", f"{folder}/cert.pem", f"{folder}/key.pem", verify=True)
    assert settings.find(DOCKER_HOST=FAR, DOCKER_TLS_VERIFY="1").certificates == default
    named = Certificates("/c/ca.pem", "/c/cert.pem", "/c/key.pem", verify=False)
    assert settings.find(DOCKER_HOST=FAR, DOCKER_CERT_PATH="/c").certificates == named
    assert settings.find(DOCKER_HOST=FAR, DOCKER_TLS_VERIFY="").certificates is None
    assert settings.find(DOCKER_HOST="unix:///x", DOCKER_TLS_VERIFY="1").certificates is None
    settings.context("plain", Host=FAR)
    assert settings.find(DOCKER_CONTEXT="plain", DOCKER_TLS_VERIFY="1").certificates is None


def test_a_configured_engine_has_a_name(settings: Settings) -> None:
    """`doctor --fix` leaves it alone, also one that leads nowhere."""
    settings.current("gone")
    variables = {"DOCKER_CONFIG": str(settings.folder)}
    assert configured_engine(variables) == "currentContext=gone"
    assert configured_engine({**variables, "DOCKER_CONTEXT": "x"}) == "DOCKER_CONTEXT=x"
    assert configured_engine({**variables, "DOCKER_CONTEXT": "x", "DOCKER_HOST": "y"}) == "DOCKER_HOST=y"
    assert configured_engine({**variables, "DOCKER_CONTEXT": "default"}) == ""


@given(st.text(), st.sampled_from(["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "HOME"]))
def test_no_setting_is_more_than_one_line(text: str, name: str) -> None:
    """Any text in any variable is an endpoint or a MissingError."""
    try:
        said = str(find_endpoint({"HOME": "/nowhere", name: text.replace("\0", "")}))
    except MissingError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1
