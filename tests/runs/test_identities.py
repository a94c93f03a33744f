"""What is asked of whom, as digests: the same wherever the files lie, another one as soon as anything is edited."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from taskcal.agents.builtin import Noop, Oracle
from taskcal.core.identity import changed_parts
from taskcal.runs.identities import Identities, gather_identities
from taskcal.taskset.load import load

if TYPE_CHECKING:
    from taskcal.agents import Agent

TASKSET = """\
taskset: shop
version: 1
environments:
  box:
    build: img
    setup: cat /seed
    files: {/seed: files/seed, /more: files}
    env: {A: 1, B: 2}
    services: {db: {image: "db:1", files: {/srv/seed: files/seed}, setup: echo}}
defaults: {environment: box}
tasks:
  - id: ship
    prompt: Ship {{ n }}.
    variants: {n: [1, 2]}
    grader: {files: {/grader/key: key}, checks: [{name: a, file: /a, exists: true}, {name: b, run: "true"}]}
    solutions: [{name: s, run: touch /a, files: {/tmp/s: play}}]
    wrong: [{name: w, reward_at_most: 0.5, run: "false"}]
  - id: refund
    prompt: Refund.
    grader: {checks: [{name: a, file: /a, exists: true}]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the taskset's folder, below the current one."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "old"
    for name, text in {
        "shop.yaml": TASKSET,
        "files/seed": "seed",
        "key": "key",
        "play": "play",
        "img/Dockerfile": "FROM a\nCOPY . /\n",
        "img/.dockerignore": ".venv\n",
        "img/run.sh": "echo",
    }.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    return made


def found(name: str = "old/shop.yaml", agent: Agent | None = None) -> Identities:
    return gather_identities(load([name]), agent or Oracle())


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_place_of_the_files_is_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Moved, copied, seen through a link, typed as a whole path, from another folder, in other words."""
    (folder / "img" / "link").symlink_to("run.sh")
    before = found()
    shutil.copytree(folder, "elsewhere/copy", symlinks=True)
    Path("link").symlink_to("elsewhere")
    for name in (
        str(folder / "shop.yaml"),
        "old/../old/./shop.yaml",
        "elsewhere/copy/shop.yaml",
        "link/copy/shop.yaml",
    ):
        assert _digests(found(name)) == _digests(before), name
    folder.rename("new")
    monkeypatch.chdir("new/img")
    assert _digests(found("../shop.yaml")) == _digests(before)


def _digests(known: Identities) -> tuple[object, ...]:
    return {group.id: group.parts for group in known.groups}, known.taskset_digest, known.agent_digest


@pytest.mark.parametrize(
    ("name", "old", "new", "ship", "refund"),
    [
        ("shop.yaml", "cat /seed", "cat  /seed", ["setup"], ["setup"]),
        ("shop.yaml", "A: 1", "A: 2", ["environment"], ["environment"]),
        ("shop.yaml", "A: 1, B: 2", "B: 2, A: 1", [], []),
        ("shop.yaml", "/seed: files/seed, /more: files", "/more: files, /seed: files/seed", [], []),
        ("shop.yaml", "n: [1, 2]", "n: [2, 1]", [], []),
        ("shop.yaml", "Ship {", "Send {", ["prompt"], []),
        ("shop.yaml", "taskset: shop", "# said\ntaskset: store", [], []),
        ("shop.yaml", "box", "room", [], []),
        ("shop.yaml", "setup: echo", "setup: ls", ["setup"], ["setup"]),
        ("shop.yaml", '"true"', '"false"', ["grader"], []),
        ("files/seed", "seed", "seeds", ["files"], ["files"]),
        ("key", "key", "keys", ["grader's files"], []),
        ("img/Dockerfile", "FROM a", "FROM b", ["build folder"], ["build folder"]),
        ("img/run.sh", "echo", "echo 1", ["build folder"], ["build folder"]),
        ("img/.dockerignore", ".venv", "run.sh", ["build folder"], ["build folder"]),
    ],
)
def test_an_edit_is_named_by_its_part(
    folder: Path, name: str, old: str, new: str, ship: list[str], refund: list[str]
) -> None:
    """Of each task that it concerns, and of no other."""
    before = {str(group.id): group.parts for group in found().groups}
    digest = found().taskset_digest
    edit(folder / name, old, new)
    now = {str(group.id): group.parts for group in found().groups}
    assert list(changed_parts(before["ship/1"], now["ship/1"])) == ship
    assert list(changed_parts(before["ship/2"], now["ship/2"])) == ship
    assert list(changed_parts(before["refund"], now["refund"])) == refund
    assert (found().taskset_digest == digest) is (not ship and not refund)


def test_a_program_is_another_file(folder: Path) -> None:
    """The one bit of a mode that every checkout keeps; the others come from the umask."""
    before = found().taskset_digest
    (folder / "img" / "run.sh").chmod(0o600)
    (folder / "files" / "seed").chmod(0o666)
    assert found().taskset_digest == before
    (folder / "img" / "run.sh").chmod(0o755)
    built = found().taskset_digest
    (folder / "files" / "seed").chmod(0o755)
    assert len({before, built, found().taskset_digest}) == 3


@pytest.mark.parametrize(("name", "old", "new"), [("shop.yaml", "touch /a", "touch /b"), ("play", "play", "game")])
def test_a_solution_is_the_agents_that_plays_it(folder: Path, name: str, old: str, new: str) -> None:
    """What is played makes the oracle another agent; no task is another one, and an agent that does nothing is not."""
    before, idle = found(), found(agent=Noop())
    edit(folder / name, old, new)
    assert found().taskset_digest == before.taskset_digest
    assert found().agent_digest != before.agent_digest
    assert found(agent=Noop()).agent_digest == idle.agent_digest


def test_what_cannot_be_read_spares_the_other_tasks(folder: Path) -> None:
    """It has a digest of its own, and its task is lost when it is prepared."""
    before = {group.id: group.parts for group in found().groups}
    taskset = load(["old/shop.yaml"])
    (folder / "key").unlink()
    now = {group.id: group.parts for group in gather_identities(taskset, Noop()).groups}
    assert [str(name) for name in before if before[name] != now[name]] == ["ship/1", "ship/2"]
