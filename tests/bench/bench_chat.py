"""What 200 chat rollouts in flight at once cost, against 200 bare container lives and the model's own time.

A server of its own process answers each call after 2 seconds: two commands and a last word a rollout. The bare side is
as many create + start + exec + exec + exec + exec + remove cycles with the docker SDK (two commands, the answer, the
grading), plus three times 2 seconds that no client can save. The ratio is what counts; single figures depend on the
machine. Usage: `python tests/bench/bench_chat.py [ROLLOUTS]`.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

ANSWER_SECONDS = 2.0
COMMANDS = ("echo working", "touch /tmp/done")
TURNS = len(COMMANDS) + 1
TARGET = 1.3
GROUP_SIZE = 8
IMAGE = "debian:bookworm-slim"
PARALLEL_BARE = 8

HEAD = """
taskset: bench
version: 1
environments: {plain: {image: "debian:bookworm-slim", network: none, memory: 64m}}
defaults: {environment: plain}
tasks:
"""
TASK = """
  - id: task-NUMBER
    prompt: Make the file /tmp/done.
    grader: {checks: [{name: the file is there, run: test -e /tmp/done}]}
"""
AGENT = "agent: bench\nkind: chat\nbase_url: URL\nmodel: m\nsampling: {temperature: 1, top_p: 1, max_tokens: 100}\n"


def reply(request: Any) -> bytes:
    """The next answer of a conversation, by how many there have been."""
    turn = sum(message["role"] == "assistant" for message in request["messages"])
    message: dict[str, Any] = {"role": "assistant", "content": "done"}
    if turn < len(COMMANDS):
        function = {"name": "bash", "arguments": json.dumps({"command": COMMANDS[turn]})}
        message |= {"content": None, "tool_calls": [{"id": f"c{turn}", "type": "function", "function": function}]}
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}).encode()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one connection's requests, each after its time."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = head.partition("content-length:")[2].partition("\r\n")[0]
            body = json.loads(await reader.readexactly(int(length))) if length else None
            data = b"{}" if body is None else reply(body)
            await asyncio.sleep(0 if body is None else ANSWER_SECONDS)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
            await writer.drain()
    writer.close()


def server(told: Connection) -> None:
    """Run the server in a process of its own, and tell its port."""

    async def run() -> None:
        listening = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
        told.send(listening.sockets[0].getsockname()[1])
        await listening.serve_forever()

    asyncio.run(run())


def bare_cycle(client: docker.APIClient) -> None:
    """One container's life without taskcal, with as many execs as a rollout has."""
    host = client.create_host_config(network_mode="none", mem_limit="64m", nano_cpus=10**9, pids_limit=512)
    name = client.create_container(IMAGE, entrypoint=["sleep", "infinity"], host_config=host)["Id"]
    client.start(name)
    for command in (*COMMANDS, "echo done >/tmp/answer", "test -e /tmp/done"):
        client.exec_start(client.exec_create(name, ["sh", "-c", command])["Id"])
    client.remove_container(name, force=True, v=True)


def bare_seconds(rollouts: int) -> float:
    """Seconds for all bare cycles, at the parallelism that is quickest on two cores, and the model's time."""
    client = docker.APIClient(version="auto", max_pool_size=PARALLEL_BARE)
    begun = time.monotonic()
    with ThreadPoolExecutor(PARALLEL_BARE) as pool:
        list(pool.map(lambda _: bare_cycle(client), range(rollouts)))
    return time.monotonic() - begun + TURNS * ANSWER_SECONDS


def taskcal_seconds(folder: Path, rollouts: int, *more: str) -> float:
    """Seconds for the whole command, from options to report, in this process, with every rollout in flight at once."""
    from taskcal.cli.main import app

    arguments = [
        *("run", str(folder / "bench.yaml"), "--agent", str(folder / "agent.yaml"), "-G", str(GROUP_SIZE), "-q"),
        *("-c", str(rollouts), "-o", str(folder / "runs"), *more),
    ]
    begun = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()):
        app(arguments, standalone_mode=False)
    return time.monotonic() - begun


def passed(folder: Path) -> int:
    """How many rollouts of the newest run passed."""
    newest = max((folder / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    rows = (json.loads(line) for line in (newest / "rollouts.jsonl").read_text().splitlines())
    return sum(row.get("passed") is True for row in rows)


def peak_mebibytes() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, and print the ratio and the memory that a rollout takes."""
    rollouts = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=server, args=(there,), daemon=True)
    process.start()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tasks = (TASK.replace("NUMBER", str(number)) for number in range(rollouts // GROUP_SIZE))
        (folder / "bench.yaml").write_text(HEAD + "".join(tasks))
        (folder / "agent.yaml").write_text(AGENT.replace("URL", f"http://127.0.0.1:{here.recv()}/v1"))
        taskcal_seconds(folder, rollouts, "--task", "task-0")
        before, bare = peak_mebibytes(), bare_seconds(rollouts)
        ours = taskcal_seconds(folder, rollouts)
        memory = (peak_mebibytes() - before) / rollouts
        print(f"{rollouts} chat rollouts at once, {passed(folder)} passed: {ours:.1f} s; bare and model {bare:.1f} s")
        print(f"ratio {ours / bare:.2f} (target {TARGET}), at most {memory:.2f} MiB of taskcal's memory a rollout")
    process.terminate()
    sys.exit(ours / bare > TARGET)


if __name__ == "__main__":
    main()
