"""The first questions to an engine, asked of a real server that hangs at each of them in turn."""

from __future__ import annotations

import gc
import hashlib
import json
import socket
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from taskcal.errors import MissingError
from taskcal.sandbox.engine import connection, docker
from taskcal.sandbox.engine.docker import DockerEngine
from tests.conftest import environment, mostly_long
from tests.sandbox.engine.engine_server import ANSWERS, engine_server

if TYPE_CHECKING:
    from collections.abc import Iterator

ASKED = ("version", "info", "containers/json", "networks")
TASKSET = """\
taskset: t
version: 1
tasks:
  - {id: a, prompt: p, environment: {image: a}, grader: {checks: [{name: a, run: x}]}, solutions: [{name: s, run: x}]}
"""
NO_ADDRESSES = (
    "nonsense://x", "npipe:////x", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "tcp://:x", "tcp://[::1", "fd://", "x",
    "/var/run/x", "unix:///a\nb", f"tcp://{'a' * 70}:1", "tcp://127.0.0.1:1/\u2603",
)  # fmt: skip
COMMANDS = {
    "run": ("run", "t.yaml", "-a", "oracle"),
    "shell": ("shell", "t.yaml", "a"),
    "doctor": ("doctor",),
    "clean": ("clean",),
}


@pytest.fixture
def short() -> Iterator[Path]:
    """Give a folder with a short name, as sockets need it."""
    with tempfile.TemporaryDirectory(prefix="taskcal-") as folder:
        yield Path(folder)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an engine have half a second."""
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(docker, "ANSWER_SECONDS", 0.5)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("known", range(len(ASKED)))
def test_an_engine_that_hangs_anywhere_is_reported(short: Path, monkeypatch: pytest.MonkeyPatch, known: int) -> None:
    """At once or after any number of answers: one line with its address."""
    with engine_server(short / "s", *ASKED[:known]) as server:
        monkeypatch.setenv("DOCKER_HOST", server.address)
        with pytest.raises(MissingError) as caught:
            DockerEngine.connect()
    assert str(caught.value) == (
        f"the container engine at {server.address} did not answer within 0.5 s; restart it, or set DOCKER_HOST to "
        "another"
    )
    assert caught.value.exit_code == 3


@pytest.mark.usefixtures("hurried")
def test_an_engine_that_hangs_before_tls_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that takes connections and never answers the handshake hangs in the same words."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DOCKER_HOST", f"https://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(MissingError, match="did not answer within"):
            DockerEngine.connect()


@pytest.mark.usefixtures("hurried")
def test_an_engine_that_drips_is_reported(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then is no answer, though it renews the limit of a socket."""
    with engine_server(short / "s", "version") as server:
        server.drips = True
        monkeypatch.setenv("DOCKER_HOST", server.address)
        with pytest.raises(MissingError, match="did not answer within"):
            DockerEngine.connect()


def test_an_engine_that_refuses_work_ends_a_command_with_three(short: Path) -> None:
    """Without rollouts there is nothing to lose: one line, and the exit code of a missing engine."""
    with engine_server(short / "s", *ASKED, status=500) as server:
        done = subprocess.run(
            [sys.executable, "-m", "taskcal", "clean", "--images"],
            env={**environment(), "DOCKER_HOST": server.address},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (3, "listing volumes: not allowed\n")


@pytest.mark.usefixtures("hurried")
def test_an_engine_that_answers_is_connected(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it reports of itself is known; later calls have the long limit; one that stops answering is noticed."""
    with engine_server(short / "s", *ANSWERS) as server:
        monkeypatch.setenv("DOCKER_HOST", server.address)
        engine = DockerEngine.connect()
        assert (engine.version, engine.product, engine.data_root) == ("1.0", "Docker", "/var/lib/docker")
        assert engine._api.timeout == connection.CALL_SECONDS
        assert engine.endpoint == server.address
        assert engine.answers()
        server.answers = ()
        assert not engine.answers()
        engine.close()


def test_an_engine_that_refuses_questions_is_one(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy before the socket that allows little does not hang."""
    with engine_server(short / "s", "version", status=403) as server:
        monkeypatch.setenv("DOCKER_HOST", server.address)
        engine = DockerEngine.connect()
        assert (engine.version, engine.data_root) == ("1.0", None)
        engine.close()


@pytest.mark.parametrize("chosen", ["DOCKER_CONTEXT", "currentContext"])
def test_a_context_is_followed_by_every_connection(short: Path, monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    """Also by those that are opened for one long call."""
    meta = short / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": "mine", "Endpoints": {"docker": {"Host": f"unix://{short}/s"}}}))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(short))
    if chosen == "DOCKER_CONTEXT":
        monkeypatch.setenv(chosen, "mine")
    else:
        (short / "config.json").write_text('{"currentContext": "mine"}')
    with engine_server(short / "s", *ANSWERS) as server:
        engine = DockerEngine.connect()
        monkeypatch.setenv("DOCKER_CONTEXT", "gone")
        with engine._client.with_timeout(5) as client:
            assert client.version()["Version"] == "1.0"
        assert engine.endpoint == server.address
        engine.close()


@pytest.mark.parametrize("name", mostly_long(COMMANDS, "run"))
@pytest.mark.parametrize("known", [0, pytest.param(1, marks=pytest.mark.long)])
def test_every_command_reports_it(short: Path, name: str, known: int) -> None:
    """After eight seconds, with exit code 3 and one line that names the address; nothing is on disk."""
    (short / "t.yaml").write_text(TASKSET)
    with engine_server(short / "s", *ASKED[:known]) as server:
        done = subprocess.run(
            [sys.executable, "-m", "taskcal", *COMMANDS[name]],
            cwd=short, env={**environment(), "DOCKER_HOST": server.address}, input="", capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 3, done.stderr
    hangs = f"did not answer within {connection.ANSWER_SECONDS} s"
    (line,) = [line for line in (done.stdout + done.stderr).splitlines() if hangs in line]
    assert server.address in line
    assert len(done.stderr.splitlines()) == 1
    assert not (short / "runs").exists()


@pytest.mark.parametrize(
    "settings",
    [
        "[]", "5", "null", '"x"', "[" * 100_000, '{"HttpHeaders": 5}', '{"proxies": 5}', '{"proxies": []}',
        '{"auths": {"registry": 5}}', '{"HttpHeaders": {"X": 5}}',
    ],
)  # fmt: skip
def test_settings_that_the_sdk_cannot_use_are_named(
    short: Path, monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    """The SDK reads config.json even if DOCKER_HOST is set; a value of another type is one line that names the file."""
    (short / "config.json").write_text(settings)
    monkeypatch.setenv("DOCKER_CONFIG", str(short))
    with engine_server(short / "s", *ANSWERS) as server:
        monkeypatch.setenv("DOCKER_HOST", server.address)
        with pytest.raises(MissingError) as caught:
            DockerEngine.connect()
    assert str(caught.value).startswith(f"{short / 'config.json'}: Docker's settings cannot be used (")
    assert "\n" not in str(caught.value)


def test_a_repair_starts_no_engine_for_settings_that_cannot_be_used(short: Path) -> None:
    """Also as root: an engine may run, and the remedy is the file, not an installation."""
    (short / "config.json").write_text("[]")
    done = subprocess.run(
        [sys.executable, "-m", "taskcal", "doctor", "--fix"],
        env={**environment(), "DOCKER_HOST": "", "DOCKER_CONFIG": str(short)}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert (done.returncode, line.startswith(f"{short / 'config.json'}: ")) == (3, True), done.stderr


@pytest.mark.long  # it waits for the whole patience
def test_a_repair_asks_an_engine_that_hangs_once(short: Path) -> None:
    """The diagnosis after `doctor --fix` knows that it hangs, so the command ends as soon as any other."""
    with engine_server(short / "s") as server:
        done = subprocess.run(
            [sys.executable, "-m", "taskcal", "doctor", "--fix"],
            env={**environment(), "DOCKER_HOST": server.address}, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        asked = list(server.asked)
    assert (done.returncode, asked) == (3, ["version"]), done.stderr
    assert f"did not answer within {connection.ANSWER_SECONDS} s" in done.stdout


def test_an_address_that_takes_no_connection(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port without a server, and a folder's socket that is gone, are no engine; the setting is named."""
    with socket.socket() as free, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the SDK leaves a socket open that cannot connect
        free.bind(("127.0.0.1", 0))
        closed = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        for address in (closed, f"unix://{short}/none", *NO_ADDRESSES):
            monkeypatch.setenv("DOCKER_HOST", address)
            with pytest.raises(MissingError, match="no container engine answers at") as caught:
                DockerEngine.connect()
            assert " ".join(address.split()) in str(caught.value)
            assert "\n" not in str(caught.value)
        del caught
        gc.collect()
