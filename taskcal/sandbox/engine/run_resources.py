"""What one run shares on the engine: its labels, and its own bridge for containers that may reach a network."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from taskcal.core.shell.search_paths import OWN_PATH
from taskcal.core.task import Limits, NetworkMode
from taskcal.sandbox.engine.image_files import ImageFiles
from taskcal.sandbox.engine.labels import ROLLOUT, RUN, RunOwner
from taskcal.sandbox.engine.sweep import sweep_run

if TYPE_CHECKING:
    from taskcal.sandbox.engine.docker import DockerEngine

IDLE = f"""PATH={OWN_PATH}:$PATH; TASKCAL_SLEEP=$(command -v sleep); unset LD_PRELOAD LD_AUDIT LD_LIBRARY_PATH
while :; do "$TASKCAL_SLEEP" 100000 & wait $!; done"""
FIRST_PROCESS = ("sh", "-c", IDLE)
"""Reaps every orphan and survives `kill -9 -1` from an exec, also at a full pids limit.

It looks for its `sleep` once, before anybody has touched the image, and loads nothing that a variable names: what it
starts anew after a check has killed everything must not be the agent's.
"""

DROPPED = ["NET_RAW", "MKNOD"]
"""Capabilities that no container of a rollout has."""

LARGEST_FILE = 8 * 1024**3
"""Bytes of one file in a sandbox: its disk is the host's, and the engine has no quota for it."""


class RunScope:
    """One run on one engine; everything that it makes carries the run's labels."""

    def __init__(self, engine: DockerEngine, run: str) -> None:
        """Begin a run; nothing is made on the engine yet."""
        self.engine = engine
        self.run = run
        self._owner = RunOwner.here()
        self._lock = threading.Lock()
        self._has_network = False
        self.image_files = ImageFiles(engine, self._unstarted)

    def labels(self, rollout: str = "") -> dict[str, str]:
        """The labels for a container of this run."""
        return {**self._owner.labels(self.run), **({ROLLOUT: rollout} if rollout else {})}

    def network_mode(self, mode: NetworkMode) -> str:
        """What the engine is told: `none`, or the run's own bridge, made when the first container needs it.

        A list of hosts is no network either: what is on it is carried (`taskcal.sandbox.egress.forwarding`).
        Where it could not be made, the next container tries again; an engine that went while it made it may have it.
        """
        if mode is not NetworkMode.BRIDGE:
            return "none"
        name = f"taskcal-{self.run}"
        with self._lock:
            if not self._has_network and not self.engine.networks_labelled(f"{RUN}={self.run}"):
                self.engine.create_network(name, self.labels())
            self._has_network = True
        return name

    def _unstarted(self, image: str) -> str:
        """A container of an image that nothing ever runs in."""
        host = host_config(Limits(), "none")
        return self.engine.create(image, host, entrypoint=list(FIRST_PROCESS), command=[], labels=self.labels())

    def close(self) -> None:
        """Remove everything that the run still has on the engine."""
        sweep_run(self.engine, self.run)


def host_config(limits: Limits, network: str) -> dict[str, Any]:
    """The bounds of any container that runs a stranger's code. Memory and swap together are the memory limit."""
    return {
        "network_mode": network,
        "mem_limit": limits.memory,
        "memswap_limit": limits.memory,
        "nano_cpus": int(limits.cpus * 1e9),
        "pids_limit": limits.pids,
        "security_opt": ["no-new-privileges"],
        "ulimits": [{"Name": "fsize", "Soft": LARGEST_FILE, "Hard": LARGEST_FILE}],
        "log_config": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
    }
