"""How many tasks and variants there are: one wording and one number, from validate to the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import mostly_long

if TYPE_CHECKING:
    from tests.conftest import CommandLine

pytestmark = pytest.mark.docker

TASK = """\
  - id: {name}
    prompt: p
    environment: {{image: "debian:bookworm-slim"}}
    grader: {{checks: [{{name: a, run: test -f /a}}, {{name: b, run: test -f /b}}]}}
"""
VARIANTS = "    variants: {size: [1, 2, 3]}\n"
TASKSETS = {
    "1 task": TASK.format(name="a"),
    "2 tasks": TASK.format(name="a") + TASK.format(name="b"),
    "3 variants of 1 task": TASK.format(name="a") + VARIANTS,
    "4 variants of 2 tasks": TASK.format(name="a") + VARIANTS + TASK.format(name="b"),
}
"""Tasks without variants and with them; beside the latter a task without counts as one variant."""


@pytest.mark.parametrize("counted", mostly_long(TASKSETS, "4 variants of 2 tasks"))
def test_every_command_counts_alike(taskcal: CommandLine, counted: str) -> None:
    """Validate, a dry run, a fixed and an adaptive run, report, its Markdown, and a forecast from the run."""
    (taskcal.folder / "t.yaml").write_text(f"taskset: t\nversion: 1\ntasks:\n{TASKSETS[counted]}")
    assert taskcal("validate", "t.yaml").out.splitlines()[-1] == f"t.yaml: {counted}, ok"
    run = ("run", "t.yaml", "-a", "noop", "-G", "1", "-c", "2")
    dry = taskcal(*run, "--dry-run").out.splitlines()
    assert f"tasks        {counted}" in dry
    assert f"rollouts     {counted.split(maxsplit=1)[0]} ({counted}, 1 each)" in dry
    fixed = taskcal(*run)
    assert f"running {counted}, 1 rollout each" in fixed.err.splitlines()
    report = taskcal("report")
    for printed in (fixed.out, report.out):
        assert f"\n{counted}: {counted.split(maxsplit=1)[0]} earn nothing without an agent." in printed
    assert f"Methods: We calibrated {counted} of the taskset t " in taskcal("report", "--verbose").out
    (page,) = taskcal.folder.glob("runs/*/report.md")
    assert f"{counted}: {counted.split(maxsplit=1)[0]} too-hard." in page.read_text()
    assert f"of {counted} in run" in taskcal("simulate", "last", "-G", "8", "--rule", "none").out
    adaptive = taskcal("run", "t.yaml", "-a", "noop", "--adaptive", "--max-group-size", "4", "-c", "2")
    assert f"running {counted} adaptively, at most 4 rollouts each" in adaptive.err.splitlines()
