"""What a sandbox promises: bounds, an honest ending, and nothing left."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import docker
import docker.utils
import pytest

from taskcal.core.task import FileCopy, ImageSource, Limits, Network, NetworkMode, Service
from taskcal.errors import ImageLost, LostError, SandboxLost, ServiceLost, SetupLost
from taskcal.sandbox import Script, ScriptEnding
from taskcal.sandbox.images.baking import Images
from tests.docker.rooms import IMAGE, PLAIN, act, judge, opened, task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker


def inspected(container: str) -> dict[str, Any]:
    client = docker.APIClient(version="auto", **docker.utils.kwargs_from_env())
    try:
        return dict(client.inspect_container(container))
    finally:
        client.close()


def test_bounds_of_a_container(scope: RunScope) -> None:
    """A stranger's task gets no network, no new privileges, no added capability, no mount of the host, and limits."""
    limits = Limits(cpus=0.5, memory=64 * 1024**2, pids=32)
    with opened(scope, task(environment=replace(PLAIN, limits=limits))) as sandbox:
        facts = inspected(sandbox.container)
    host = facts["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert not host["Privileged"]
    assert not host["CapAdd"]
    assert not host["Binds"]
    assert [mount for mount in facts["Mounts"] if mount["Type"] == "bind"] == []
    assert (host["Memory"], host["MemorySwap"]) == (limits.memory, limits.memory)
    assert (host["NanoCpus"], host["PidsLimit"]) == (500_000_000, 32)
    assert host["LogConfig"]["Config"]["max-size"] == "1m"


def test_status_and_streams(scope: RunScope) -> None:
    """A script's status, standard output and standard error come back as they are."""
    with opened(scope, task()) as sandbox:
        result = act(sandbox, "echo out; echo err >&2; exit 3")
    assert (result.ending, result.exit_code) == (ScriptEnding.EXITED, 3)
    assert (result.stdout, result.stderr) == (b"out\n", b"err\n")


def test_hidden_script_is_in_no_command_line(scope: RunScope) -> None:
    """A hidden script goes in through standard input: no process shows it, and it needs no end of file."""
    source = "for p in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$p; done 2>/dev/null; : needle"
    with opened(scope, task()) as sandbox:
        hidden = sandbox.run(Script(source, 20.0, hidden=True))
        shown = sandbox.run(Script(source, 20.0))
    assert b"needle" not in hidden.stdout
    assert b"needle" in shown.stdout


def test_out_of_memory_is_told_from_a_kill(scope: RunScope) -> None:
    """Both end with 137; only one was the kernel's doing."""
    small = replace(PLAIN, limits=Limits(memory=32 * 1024**2))
    with opened(scope, task(environment=small)) as sandbox:
        killed = act(sandbox, "kill -9 $$")
        hungry = act(sandbox, "exec perl -e '$x = q(a) x 200_000_000; sleep 1'")
    assert (killed.ending, killed.exit_code) == (ScriptEnding.EXITED, 137)
    assert hungry.ending is ScriptEnding.OUT_OF_MEMORY


def test_timeout(scope: RunScope) -> None:
    """A script that does not end is left at its deadline, and says so."""
    with opened(scope, task()) as sandbox:
        result = act(sandbox, "sleep 60", timeout=0.5)
    assert (result.ending, result.exit_code) == (ScriptEnding.TIMED_OUT, None)


def test_container_removed_under_a_script(scope: RunScope) -> None:
    """The engine answers 137 without an error then; taskcal says that the sandbox was lost."""
    with opened(scope, task()) as sandbox:
        started = threading.Event()

        def remove() -> None:
            started.wait(20)
            scope.engine.remove(sandbox.container)

        thread = threading.Thread(target=remove)
        thread.start()
        with pytest.raises(SandboxLost):
            sandbox.run(Script("echo started; sleep 60", 30.0), sink=lambda _: started.set())
        thread.join()


def test_stopping_everything_spares_the_sandbox(scope: RunScope) -> None:
    """The first process survives `kill -9 -1`, also where a fork bomb has taken every pid."""
    few = replace(PLAIN, limits=Limits(pids=24))
    with opened(scope, task("true", environment=few)) as sandbox:
        act(sandbox, "i=0; while [ $i -lt 60 ]; do sleep 1000 >/dev/null 2>&1 & i=$((i+1)); done", timeout=10)
        graded = judge(sandbox, task("test $(ls -d /proc/[0-9]* | wc -l) -lt 15", environment=few)).graded
    assert graded.passed


def test_closing_is_quick_to_repeat(scope: RunScope) -> None:
    """Closing twice, and closing what is gone, is harmless."""
    with opened(scope, task()) as sandbox:
        scope.engine.remove(sandbox.container)
        sandbox.close()
        sandbox.close()


def test_setup_is_baked_once(scope: RunScope, tmp_path: Path) -> None:
    """Files and setup become an image that later rollouts share; modes are kept and only named params decide."""
    (tmp_path / "tool").write_text("#!/bin/sh\necho tool\n")
    (tmp_path / "tool").chmod(0o755)
    environment = replace(
        PLAIN,
        files=(FileCopy("/opt/tool", str(tmp_path / "tool")),),
        setup=f'/opt/tool >/made && echo "$word" >>/made # {scope.run}',
    )
    said: list[str] = []
    images = Images(scope, network=False, log=said.append)
    one = images.prepare(environment, {"word": "x", "other": 1}, 60)
    two = images.prepare(environment, {"word": "x", "other": 2}, 60)
    other = images.prepare(environment, {"word": "y", "other": 1}, 60)
    assert one == two
    assert one != other
    assert [line.partition(" ")[0] for line in said] == ["baking", "baking"]
    with opened(scope, task(environment=environment, params={"word": "x"})) as sandbox:
        assert act(sandbox, "cat /made; stat -c %a /opt/tool").stdout == b"tool\nx\n755\n"
    for image in (one.sandbox, other.sandbox):
        scope.engine.remove_image(image)


def test_baked_image_carries_no_label_of_a_run(scope: RunScope) -> None:
    """Cleaning a run by label must not reach the images that it baked."""
    images = Images(scope, network=False, log=lambda _: None)
    made = images.prepare(replace(PLAIN, setup=f": {scope.run}"), {}, 60)
    info = scope.engine.image(made.sandbox)
    assert info is not None
    assert info.labels["taskcal.run"] == ""
    assert info.labels["taskcal.bake"] != ""
    scope.engine.remove_image(made.sandbox)


@pytest.mark.parametrize(
    ("setup", "says"),
    [
        ("echo broken; exit 4", "exit 4.*broken"),
        ("echo data >/dev/shm/lost", "/dev/shm/lost.*cannot be baked"),
    ],
)
def test_setup_that_cannot_be_baked(scope: RunScope, setup: str, says: str) -> None:
    """A failing setup, and one that writes where a commit does not look, is lost with the reason."""
    with pytest.raises(SetupLost, match=says):
        Images(scope, network=False, log=lambda _: None).prepare(replace(PLAIN, setup=f"{setup} # {scope.run}"), {}, 60)


def test_missing_image(scope: RunScope) -> None:
    """An image that is nowhere is lost at the image, with its name."""
    nowhere = replace(PLAIN, source=ImageSource(image="taskcal-test.invalid/nothing:1"))
    with pytest.raises(ImageLost, match="taskcal-test"):
        Images(scope, network=False, log=lambda _: None).prepare(nowhere, {}, 60)


def test_unbuildable_image(scope: RunScope, write: Callable[[str, str], Path]) -> None:
    """A Dockerfile that fails is lost at the image, with the last words of the build."""
    folder = write("image/Dockerfile", f"FROM {IMAGE}\nRUN echo last words && false\n").parent
    with pytest.raises(ImageLost, match="last words"):
        Images(scope, network=False, log=lambda _: None).find(ImageSource(build=str(folder)))


def test_service_shares_the_namespace(scope: RunScope) -> None:
    """A service is reached by its name under network none, and the agent has no shell in it."""
    source = ImageSource(image=IMAGE)
    listen = "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>5,LocalPort=>7001,ReuseAddr=>1) or die; "
    listen += 'while($c=$s->accept){print $c "hello\\n"; close $c}\''
    ask = "perl -MIO::Socket::INET -e '$c=IO::Socket::INET->new(PeerAddr=>\"db:7001\") or exit 1; print <$c>'"
    db = Service("db", source, command=listen, env={"WORD": "secret"}, ready="perl -e1")
    with opened(scope, task(environment=replace(PLAIN, services=(db,)))) as sandbox:
        answer = act(sandbox, f"i=0; until {ask} || [ $i -gt 50 ]; do i=$((i+1)); sleep 0.1; done; env")
        inside = sandbox.run(Script("echo $WORD", 10.0, service="db"))
    assert b"hello\n" in answer.stdout
    assert b"secret" not in answer.stdout
    assert inside.stdout == b"secret\n"


def test_service_that_dies(scope: RunScope) -> None:
    """A service that ends before it is ready is lost at the service, with its last lines."""
    dead = Service("db", ImageSource(image=IMAGE), command="echo cannot start; exit 1", ready="true && sleep 1")
    with (
        pytest.raises(ServiceLost, match=r"db.*cannot start"),
        opened(scope, task(environment=replace(PLAIN, services=(dead,)))),
    ):
        pass


def test_start_and_ready(scope: RunScope) -> None:
    """`start` leaves processes behind without holding up the rollout, and `ready` is waited for."""
    environment = replace(PLAIN, start="(sleep 0.3; touch /up; sleep 1000) &", ready="test -e /up")
    with opened(scope, task(environment=environment)) as sandbox:
        assert act(sandbox, "test -e /up").ok


def test_start_that_fails(scope: RunScope) -> None:
    """A start that fails is our side's fault, with what it said."""
    with (
        pytest.raises(SetupLost, match="no such thing"),
        opened(scope, task(environment=replace(PLAIN, start="echo no such thing; exit 1"))),
    ):
        pass


def test_network_is_the_runs_own_bridge(scope: RunScope) -> None:
    """Two rollouts with network cannot reach each other."""
    environment = replace(PLAIN, network=Network(NetworkMode.BRIDGE))
    listen = "perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>5,LocalPort=>7001) or die; $s->accept' &"
    with opened(scope, task(environment=environment)) as one, opened(scope, task(environment=environment)) as other:
        act(one, f"({listen}) >/dev/null 2>&1")
        address = act(one, "hostname -i").stdout.decode().strip()
        connect = (
            f"perl -MIO::Socket::INET -e 'IO::Socket::INET->new(PeerAddr=>\"{address}:7001\",Timeout=>2) or exit 7'"
        )
        assert act(one, f"i=0; until {connect}; do i=$((i+1)); [ $i -lt 20 ] || exit 1; sleep 0.1; done").ok
        act(one, f"({listen}) >/dev/null 2>&1")
        assert act(other, connect).exit_code == 7


def test_engine_errors_are_ours(scope: RunScope) -> None:
    """What the SDK raises is translated, so that no caller needs to know it."""
    with pytest.raises(LostError):
        scope.engine.start("no-such-container")
