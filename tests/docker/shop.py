"""A task with tools, and what a command agent says that uses them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from taskcal.agents import Attempt
from taskcal.agents.command import CommandAgent
from taskcal.agents.spec import CommandSpec
from taskcal.agents.transcript import Transcript
from taskcal.core.rollout import Stop
from taskcal.core.task import Group
from taskcal.core.tool import McpServer
from tests.docker.rooms import PLAIN, opened, task

if TYPE_CHECKING:
    from taskcal.core.tool import Tool
    from taskcal.sandbox.engine.run_resources import RunScope


def shop(*tools: Tool, server: str = "", user: str | None = None) -> Group:
    """A group whose task offers these."""
    group = task(environment=replace(PLAIN, workdir="/srv", user=user))
    servers = (McpServer("counter", server),) if server else ()
    made = replace(group.task, tools=tools, mcp=servers)
    return Group(made, made.variants[0])


def attempt(group: Group, log: list[bytes], lines: list[bytes] | None = None, timeout: float = 60.0) -> Attempt:
    transcript = Transcript((lines if lines is not None else []).append)
    return Attempt(group, 7, timeout, log.append, transcript)


def said(scope: RunScope, group: Group, run: str, lines: list[bytes] | None = None) -> str:
    """What a command agent prints that runs this, both streams as one: two of them come in no order."""
    log: list[bytes] = []
    with opened(scope, group) as sandbox:
        acted = CommandAgent(CommandSpec("a", f"exec 2>&1\n{run}")).act(sandbox, attempt(group, log, lines))
        assert acted.stop is Stop.FINISHED, b"".join(log)
    return b"".join(log).decode()
