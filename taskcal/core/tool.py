"""What a task offers its agent beside a shell: commands of its own, and MCP servers, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Tool:
    """A named command that a task offers its agent; `parameters` is a JSON Schema object."""

    name: str
    run: str
    description: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class McpServer:
    """A script that starts an MCP server in the sandbox; its tools are offered as a task's own are."""

    name: str
    run: str
