"""What a rollout costs beside its bare container: 80 rollouts against 80 create + start + exec + exec + remove cycles.

Both run on this machine in turns, at the same concurrency, with the same image, limits and network; the bare cycles use
the docker SDK directly. The ratio is what counts; single figures depend on the machine.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker

CONCURRENCY = 8
ROLLOUTS = 80
ROUNDS = 5
IMAGE = "debian:bookworm-slim"

TASKSET = """
taskset: bench
version: 1
environments: {plain: {image: "debian:bookworm-slim", network: none}}
defaults: {environment: plain}
tasks:
""" + "".join(
    f"""
  - id: task-{number}
    prompt: Make the file /tmp/done.
    grader: {{checks: [{{name: the file is there, run: test -e /tmp/done}}]}}
"""
    for number in range(ROLLOUTS // 8)
)
AGENT = "agent: touch\nkind: command\nrun: touch /tmp/done\n"


def bare_cycle(client: docker.APIClient) -> None:
    """One container's life without taskcal."""
    host = client.create_host_config(network_mode="none", mem_limit="2g", nano_cpus=10**9, pids_limit=512)
    name = client.create_container(IMAGE, entrypoint=["sleep", "infinity"], host_config=host)["Id"]
    client.start(name)
    for command in ("touch /tmp/done", "test -e /tmp/done"):
        client.exec_start(client.exec_create(name, ["sh", "-c", command])["Id"])
    client.remove_container(name, force=True, v=True)


def bare_seconds() -> float:
    """Seconds for all bare cycles."""
    client = docker.APIClient(version="auto", max_pool_size=CONCURRENCY)
    begun = time.monotonic()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(lambda _: bare_cycle(client), range(ROLLOUTS)))
    return time.monotonic() - begun


def taskcal_seconds(folder: Path) -> float:
    """Seconds for the whole command, from options to report, in this process."""
    from taskcal.cli.main import app

    arguments = [
        *("run", str(folder / "bench.yaml"), "--agent", str(folder / "agent.yaml"), "-G", "8", "-q"),
        *("-c", str(CONCURRENCY), "-o", str(folder / "runs")),
    ]
    begun = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()):
        app(arguments, standalone_mode=False)
    return time.monotonic() - begun


def main() -> None:
    """Measure in turns and print the ratio of each round and their median."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bench.yaml").write_text(TASKSET)
        (folder / "agent.yaml").write_text(AGENT)
        taskcal_seconds(folder)
        ratios = []
        for number in range(ROUNDS):
            bare, ours = bare_seconds(), taskcal_seconds(folder)
            ratios.append(ours / bare)
            print(f"round {number + 1}: bare {bare:.1f} s, taskcal {ours:.1f} s, ratio {ratios[-1]:.2f}")
    print(
        f"{ROLLOUTS} rollouts at concurrency {CONCURRENCY}: median ratio {statistics.median(ratios):.2f} (target 1.15)"
    )
    sys.exit(statistics.median(ratios) > 1.15)


if __name__ == "__main__":
    main()
