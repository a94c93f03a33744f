"""Lists of allowed hosts in real containers: a sandbox without a network reaches what is listed, and nothing else."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from taskcal.core.network import AllowedHost, NetworkAccess
from taskcal.core.rollout import Graded, Lost
from taskcal.core.task import Network, NetworkMode, RunProbe
from taskcal.errors import Boundary, SetupLost
from taskcal.sandbox.egress.allowed_hosts import SandboxEgress
from taskcal.sandbox.egress.connect_host import connect_to_host as real
from taskcal.sandbox.engine.labels import RUN
from tests.agents.chat.openai_server import OpenAIServer
from tests.docker.conftest import left_on
from tests.docker.rooms import IMAGE, PLAIN, Typist, act, fresh, opened, rolled_out, task
from tests.docker.samples import TASKSET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskcal.sandbox.engine.run_resources import RunScope
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

NUMBERS = 750_000
DATA = b"".join(number.to_bytes(4, "big") for number in range(NUMBERS))
PERL = """use strict; use IO::Socket::INET; $SIG{PIPE} = "IGNORE";
my $data = pack "N*", 0 .. $ENV{NUMBERS} - 1;
sub to { IO::Socket::INET->new(PeerAddr => shift, Timeout => 5) }
sub ask { my ($s, $line) = @_; $s or return ""; print {$s} $line; $s->shutdown(1); local $/; my $got = <$s>; $got }
sub open_to { join " ", map { to($_) ? "open" : "closed" } @_ }
"""


class Answers(socketserver.StreamRequestHandler):
    """`get` sends the data, `put` says whether what came is the data, `slow` sends without end."""

    def handle(self) -> None:
        """Answer one line."""
        asked = self.rfile.readline().strip()
        with contextlib.suppress(OSError):
            if asked == b"get":
                self.wfile.write(DATA)
            elif asked == b"put":
                self.wfile.write(b"same" if self.rfile.read() == DATA else b"other")
            while asked == b"slow":
                self.wfile.write(DATA)


class Server(socketserver.ThreadingTCPServer):
    """Lets as many wait at its door as the test sends at once."""

    request_queue_size = 64
    daemon_threads = True


@pytest.fixture
def port() -> Iterator[int]:
    """Give the port of a server on this machine's loopback."""
    with Server(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    """Give an endpoint."""
    with OpenAIServer() as made:
        yield made


ASKS_A_MODEL = r"""
    agent: mine
    kind: command
    network: ["WHERE"]
    run: |
      cat >/tmp/ask <<'END'
      use strict; use IO::Socket::INET;
      my $model = IO::Socket::INET->new("WHERE") or exit 75;
      print {$model} "POST /v1/chat/completions HTTP/1.0\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
      $model->shutdown(1);
      local $/;
      exit(<$model> !~ /"content": "done"/);
      END
      perl /tmp/ask && touch /tmp/easy
"""


@dataclass(frozen=True)
class Connected(Typist):
    """A typist whose file lists hosts."""

    hosts: tuple[str, ...] = ()

    @property
    def network(self) -> Network:
        """The list."""
        return Network(NetworkMode.HOSTS, self.hosts)


def perl(source: str) -> str:
    """A script that runs this with a few words of its own."""
    return f"NUMBERS={NUMBERS} perl -e '{PERL}{source}'"


def test_what_is_listed_is_reached_and_nothing_else(scope: RunScope, tmp_path: Path, port: int) -> None:
    """Much data both ways, many connections beside one that nobody reads; there is no other network, whoever asks."""
    here = f"localhost:{port}"
    source = perl(
        f"""
        my $idle = to("{here}"); print {{$idle}} "slow\\n"; sysread($idle, my $first, 1);
        print ask(to("{here}"), "get\\n") eq $data ? "same" : "other", "\\n";
        print ask(to("{here}"), "put\\n$data"), "\\n";
        my @many = map {{ to("{here}") }} 1 .. 40; print {{$_}} "put\\n" for @many; $_->shutdown(1) for @many;
        print join(",", map {{ scalar <$_> }} @many), "\\n";
        print open_to("localhost:22", "127.0.1.1:80", "1.1.1.1:80", "example.org:80"), "\\n";
        """
    )
    agent = Connected(source=f"{source}; ls /sys/class/net", user="nobody", hosts=(here,))
    outcome = rolled_out(scope, tmp_path, task("true"), agent)
    assert isinstance(outcome, Graded), outcome
    said = (tmp_path / "agent.log").read_text().splitlines()
    assert said == ["same", "same", ",".join(["other"] * 40), "closed closed closed closed", "lo"]
    assert left_on(scope.engine, scope.run) == 0


def test_a_host_that_does_not_answer_is_said_in_the_log(scope: RunScope, tmp_path: Path) -> None:
    """The connection breaks as it would anywhere, and the reason, which only this side knows, is kept."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        gone = f"localhost:{listening.getsockname()[1]}"
    source = perl(f'print "<", ask(to("{gone}"), "get\\n"), ">\\n"')
    agent = Connected(source=source, hosts=(gone,))
    assert isinstance(rolled_out(scope, tmp_path, task("true"), agent), Graded)
    said = (tmp_path / "agent.log").read_text().splitlines()
    assert said == ["<>", f"[taskcal: {gone} could not be reached: [Errno 111] Connection refused]"]


def test_a_tasks_own_list_never_leads_here(scope: RunScope, port: int) -> None:
    """Whatever name has an address of this machine or its network, a taskset cannot reach it."""
    reach = NetworkAccess(NetworkMode.HOSTS, (AllowedHost("mine", port), AllowedHost("ours", port, trusted=True)))
    with contextlib.ExitStack() as stack:
        sandbox = stack.enter_context(opened(scope, task()))
        ways = stack.enter_context(contextlib.closing(SandboxEgress(scope.engine, IMAGE, scope.labels())))
        names = {"mine": "127.0.0.1", "ours": "127.0.0.1"}

        def connect_to_host(way: AllowedHost) -> socket.socket:
            return real(replace(way, host=names[way.host]))

        ways.open(sandbox.container, reach, connect_to_host)
        asks = "; ".join(f'print ask(to("127.0.1.{n}:{port}"), "get\\n") eq $data ? "same " : "none "' for n in (1, 2))
        assert act(sandbox, perl(asks)).stdout == b"none same "
        assert "is not a public address" in ways.remarks[0]


def test_names_stand_for_addresses_of_their_own(scope: RunScope) -> None:
    """Services keep theirs; two hosts may have one port."""
    reach = Network(NetworkMode.HOSTS, ("example.org", "example.net:443"))
    group = task(environment=replace(PLAIN, network=reach))
    with opened(scope, group) as sandbox:
        assert act(sandbox, "getent hosts example.org example.net").stdout.split() == [
            b"127.0.1.1", b"example.org", b"127.0.1.2", b"example.net",
        ]  # fmt: skip


def test_a_fresh_grading_has_the_tasks_own_network(scope: RunScope, tmp_path: Path, port: int) -> None:
    """What the agent's file lists is the agent's: checks in a clean container do not reach it."""
    check = RunProbe(perl(f'exit(to("localhost:{port}") ? 1 : 0)'))
    asks = perl(f'print ask(to("localhost:{port}"), "get\\n") eq $data ? "same" : "other"')
    agent = Connected(source=asks, hosts=(f"localhost:{port}",))
    outcome = rolled_out(scope, tmp_path, fresh(task(check), "/srv"), agent)
    assert (tmp_path / "agent.log").read_text() == "same"
    assert isinstance(outcome, Graded)
    assert outcome.reward == 1.0


def test_a_way_out_that_ends_is_no_failure_of_the_agent(scope: RunScope, tmp_path: Path, port: int) -> None:
    """Removed from outside while the agent works: lost, since the agent could reach nothing any more."""
    agent = Connected(source="echo up; sleep 3", hosts=(f"localhost:{port}",))
    outcomes: list[object] = []
    thread = threading.Thread(target=lambda: outcomes.append(rolled_out(scope, tmp_path, task("true"), agent)))
    thread.start()
    while not (log := tmp_path / "agent.log").exists() or not log.stat().st_size:
        assert thread.is_alive()
    for container in scope.engine.containers_labelled(f"{RUN}={scope.run}"):
        if scope.engine._api.inspect_container(container.id)["HostConfig"]["NetworkMode"] != "none":
            scope.engine.remove(container.id)
    thread.join()
    (lost,) = outcomes
    assert isinstance(lost, Lost)
    assert lost.boundary is Boundary.SERVICE
    assert "the way to the allowed hosts ended" in lost.reason


def test_a_port_that_is_taken_is_lost_at_setup(scope: RunScope) -> None:
    """With what the kernel said."""
    reach = NetworkAccess(NetworkMode.HOSTS, (AllowedHost("localhost", 80, trusted=True),))
    with opened(scope, task()) as sandbox:
        ways = [SandboxEgress(scope.engine, IMAGE, scope.labels()) for _ in range(2)]
        ways[0].open(sandbox.container, reach)
        with pytest.raises(SetupLost, match=r"127\.0\.0\.1:80: Address already in use"):
            ways[1].open(sandbox.container, reach)
        for one in ways:
            one.close()


def test_an_agent_reaches_a_model_on_this_machine(taskcal: CommandLine, write: Write, server: OpenAIServer) -> None:
    """A program in a sandbox without network talks to an endpoint on the operator's loopback, as its file allows."""
    write("tasks.yaml", TASKSET)
    where = f"localhost:{server.port}"
    write("agent.yaml", ASKS_A_MODEL.replace("WHERE", where))
    asked = ("run", "tasks.yaml", "-a", "agent.yaml", "-G", "2", "--task", "easy", "--json", "--allow-network")
    ended = taskcal(*asked, "hosts")
    assert ended.code == 0, ended.err
    assert (ended.json()["tasks"][0]["passed"], len(server.requests)) == (2, 2)
    assert f"lets every sandbox reach {where} beside" in " ".join(ended.json()["run"]["notes"])
    refused = taskcal(*asked, "none")
    assert "a list of hosts, and --allow-network is none" in refused.json()["tasks"][0]["reason"]
