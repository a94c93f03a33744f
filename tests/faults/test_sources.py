"""The table of faults is complete: every place of the code that raises a loss belongs to rows of it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from taskcal import errors
from tests.conftest import ROOT
from tests.faults.table import FAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = ROOT / "taskcal"
LOSSES = {
    kind.__name__: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.LostError)
}
LOSSES.pop("LostError")

SOURCES: dict[str, tuple[str, ...]] = {
    "agents/chat/endpoint.py ProviderLost": ("provider", "provider-200", "provider-word"),
    "agents/command.py AgentInstallLost": ("agent-missing",),
    "agents/command.py ReportedLost": ("agent-gives-up",),
    "agents/tools/mcp.py SetupLost": ("tools",),
    "agents/tools/mcp_process.py SetupLost": ("tools",),
    "agents/tools/path_programs.py SetupLost": ("tools",),
    "agents/tools/task_tools.py SetupLost": ("tools",),
    "runs/images/prepare_images.py Lost CANCELLED": ("interrupted",),
    "execution/fault_attribution.py GraderLost": ("grading",),
    "execution/fault_attribution.py SandboxLost": ("container-removed",),
    "execution/grading.py GraderLost": ("check-no-number", "script-crash"),
    "execution/rollout.py CancelledLost": ("interrupted",),
    "execution/rollout.py Lost UNKNOWN": ("bug",),
    "execution/run_checks.py GraderLost": ("grading",),
    "runs/images/missing_programs.py Lost GRADER": ("check-program",),
    "runs/images/prepare_group.py Lost SETUP": ("limits", "tools"),
    "runs/images/prepare_group.py Lost UNKNOWN": ("bug",),
    "runs/images/probe.py SetupLost": ("user", "grading-tools"),
    "sandbox/artifacts/fresh_container.py GraderLost": ("grading",),
    "sandbox/artifacts/safe_tar.py EngineLost": ("engine-restarted",),
    "sandbox/container.py SandboxLost": ("container-removed",),
    "sandbox/container.py SetupLost": ("start",),
    "sandbox/delivery.py GraderLost": ("grading",),
    "sandbox/egress/forwarding.py ServiceLost": ("way-out",),
    "sandbox/egress/forwarding.py SetupLost": ("way-out",),
    "sandbox/engine/building.py ImageLost": ("image-unbuildable",),
    "sandbox/engine/container_files.py EngineLost": ("engine-restarted",),
    "sandbox/engine/docker.py ImageLost": ("image-missing",),
    "sandbox/engine/docker_types.py ImageLost": ("image-missing", "image-unbuildable"),
    "sandbox/engine/error_translation.py EngineLost": ("engine-restarted",),
    "sandbox/engine/error_translation.py SandboxLost": ("container-removed",),
    "sandbox/engine/error_translation.py SetupLost": ("limits",),
    "sandbox/engine/image_files.py GraderLost": ("grading",),
    "sandbox/execute.py SandboxLost": ("container-removed",),
    "sandbox/images/baking.py AgentInstallLost": ("agent-install",),
    "sandbox/images/baking.py ImageLost": ("image-missing", "image-unbuildable", "image-removed", "no-shell"),
    "sandbox/images/baking.py SetupLost": ("setup", "user"),
    "sandbox/images/origin.py ImageLost": ("image-missing",),
    "sandbox/services.py ServiceLost": ("service", "service-later"),
}
"""Which rows of the table a module's losses are; a new raise fails the test until it has one."""


def places() -> Iterator[str]:
    """`module class` for every loss that is made, and `module Lost BOUNDARY` for outcomes that are made directly."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path == PACKAGE / "errors.py":
            continue
        module = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in LOSSES:
                    yield f"{module} {node.func.id}"
                elif node.func.id == "Lost" and node.args and isinstance(node.args[0], ast.Attribute):
                    boundary = node.args[0]
                    if isinstance(boundary.value, ast.Name) and boundary.value.id == "Boundary":
                        yield f"{module} Lost {boundary.attr}"


def test_every_loss_has_a_row() -> None:
    """The code makes exactly the losses that are listed here, and each leads to rows that exist."""
    assert sorted(set(places())) == sorted(SOURCES)
    known = {fault.name for fault in FAULTS}
    assert [name for names in SOURCES.values() for name in names if name not in known] == []


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if isinstance(fault.ends, errors.Boundary)], ids=lambda f: f.name
)
def test_every_row_of_a_loss_has_its_place(fault: object) -> None:
    """A row at a boundary is one that some place of the code can raise."""
    assert any(getattr(fault, "name", "") in names for names in SOURCES.values())
