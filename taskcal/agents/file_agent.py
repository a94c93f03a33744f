"""What a command and a Python function share: secrets that their file names, and usage that lies in a file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from taskcal.agents.usage import add_cost, read_usage
from taskcal.errors import UsageError
from taskcal.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskcal.agents import Attempt
    from taskcal.agents.spec import CommandSpec, Price, PythonSpec
    from taskcal.core.task import Network, Task
    from taskcal.sandbox import Sandbox


@dataclass(frozen=True, kw_only=True)
class FileAgent:
    """The base of agents that a file describes: everything but `act`. `missing` is not part of the agent's digest."""

    spec: CommandSpec | PythonSpec
    about: str = ""
    missing: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The name in its file."""
        return self.spec.name

    @property
    def install(self) -> str:
        """The file's install step."""
        return self.spec.install

    @property
    def timeout(self) -> float | None:
        """The file's cap."""
        return self.spec.timeout

    @property
    def network(self) -> Network | None:
        """The file's network."""
        return self.spec.network

    @property
    def user(self) -> str | None:
        """The environment's."""
        return None

    def refusal(self, task: Task) -> str | None:  # noqa: ARG002 - the protocol's
        """Each can attempt every task."""
        return None

    @cached_property
    def redactor(self) -> Redactor:
        """Of the file's secrets."""
        return Redactor({name: os.environ[name] for name in self.spec.secrets if os.environ.get(name)})


def report_usage(sandbox: Sandbox, attempt: Attempt, price: Price | None) -> None:
    """Copy the usage file into the attempt's account, or note in its log why the file cannot be used."""
    report = read_usage(sandbox)
    if report.problem:
        attempt.remark(f"usage.json is not used: {report.problem}")
    attempt.account.turns, attempt.account.usage = report.turns, add_cost(report.usage, price)


def read_secrets(names: tuple[str, ...], host: Mapping[str, str]) -> dict[str, str]:
    """The values of named variables of the host. Raises UsageError for one that is not set."""
    missing = [name for name in names if not host.get(name)]
    if missing:
        raise UsageError(
            f"the agent needs the secret {missing[0]}, which is not set; run `export {missing[0]}=…` first"
        )
    return {name: host[name] for name in names}
