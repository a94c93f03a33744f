"""File checks and links: what root's links lead to is read, and nothing that an agent could have led there."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from taskcal.core.task import FileProbe
from tests.docker.rooms import act, judge, opened, task

if TYPE_CHECKING:
    from taskcal.sandbox.engine.run_resources import RunScope

pytestmark = pytest.mark.docker

FOLDERS = ("/pub", "/own", "/all")
"""Root's own folder, the agent's, and one of root's where everybody may make files but not move those of others."""

PLACES = """mkdir -m 755 /pub; mkdir -m 700 /box; mkdir -m 755 /own; mkdir -m 1777 /all
echo public >/pub/file; echo locked >/pub/locked; chmod 600 /pub/locked; echo boxed >/box/file
chown nobody /own; echo mine >/own/file; chown nobody /own/file; chmod 600 /own/file
"""
SECRET = {"/pub/locked": "locked", "/box/file": "boxed"}
OPEN = {"/pub/file": "public", "/own/file": "mine"}


@dataclass(frozen=True)
class Chain:
    """Links that lead from one to the next and then to a file; each has a path and an owner."""

    links: tuple[tuple[str, str], ...]
    file: str
    is_relative: bool

    @classmethod
    def draw(cls, number: int, chance: random.Random) -> Chain:
        """One to four links, most of them root's, in random folders."""
        count = chance.randint(1, 4)
        links = tuple(
            (f"{chance.choice(FOLDERS)}/{number}.{step}", chance.choice(("root", "root", "root", "nobody")))
            for step in range(count)
        )
        return cls(links, chance.choice([*SECRET, *OPEN]), chance.random() < 0.5)

    @property
    def script(self) -> str:
        """Makes the links."""
        paths = [path for path, _ in self.links]
        targets = [target for _, target in pairwise([*paths, self.file])]
        lines = [
            f"ln -s {'..' if self.is_relative else ''}{target} {path}; chown -h {owner} {path}"
            for (path, owner), target in zip(self.links, targets, strict=True)
        ]
        return "\n".join(lines) + "\n"

    @property
    def is_read(self) -> bool:
        """Whether no agent could have led it there: every link is root's, and none of them could have been moved."""
        owners = {owner for _, owner in self.links}
        return owners == {"root"} and (self.file in OPEN or not any(path.startswith("/own/") for path, _ in self.links))

    @property
    def words(self) -> str:
        """What the file holds."""
        return {**SECRET, **OPEN}[self.file]


def test_chains_of_links(scope: RunScope) -> None:
    """Of random chains, those that are root's alone are followed to their end, and no other one."""
    chance = random.Random(11)  # noqa: S311 - the same chains every time
    chains = [Chain.draw(number, chance) for number in range(80)]
    assert {chain.is_read for chain in chains} == {True, False}
    group = task(*(FileProbe(chain.links[0][0], contains=chain.words) for chain in chains))
    with opened(scope, group) as sandbox:
        assert act(sandbox, PLACES + "".join(chain.script for chain in chains), user="0").ok
        checks = judge(sandbox, group).graded.checks
    assert [bool(check.score) for check in checks] == [chain.is_read for chain in chains]


ODD = {
    "/pub/a": ("ln -s /own /pub/a", "/pub/a/file", True),
    "the work's folder led to the box": (
        "ln -s /own/d /pub/b; ln -s /box /own/d; chown -h nobody /own/d",
        "/pub/b/file",
        False,
    ),
    "up and down": ("mkdir /own/u; ln -s ../own/u/../file /pub/c", "/pub/c", True),
    "up from nowhere": ("ln -s ../own/none/../file /pub/d", "/pub/d", False),
    "a name that ends with a newline": ("printf mine >'/own/n\n'; ln -s '/own/n\n' /pub/e", "/pub/e", True),
    "round and round": ("ln -s f2 /pub/f1; ln -s f1 /pub/f2", "/pub/f1", False),
    "longer than the kernel follows": (
        "for i in $(seq 50); do ln -s g$((i+1)) /pub/g$i; done; ln -s ../own/file /pub/g51",
        "/pub/g1",
        False,
    ),
    "through a process": ("ln -s /proc/1/root/box/file /own/h; chown -h nobody /own/h", "/own/h", False),
    "to itself by /proc": ("ln -s /proc/self/root/own/file /pub/i", "/pub/i", True),
    "a pipe behind a link": ("mkfifo /own/p; ln -s /own/p /pub/j", "/pub/j", False),
    "a device behind a link": ("ln -s /dev/zero /pub/k", "/pub/k", False),
    "a second name of a locked file": ("ln /pub/locked /own/l", "/own/l", False),
    "a second name of an open file": ("ln /own/file /own/m", "/own/m", True),
    "a folder moved with its links": ("mkdir /own/q; ln -s /pub/locked /own/q/x; mv /own/q /own/r", "/own/r/x", False),
}


def test_odd_ways_to_a_file(scope: RunScope) -> None:
    """A way that root made is followed as the kernel would; any other is not, and nothing waits for a pipe."""
    scenes = list(ODD.values())
    group = task(*(FileProbe(path, matches="mine|locked") for _, path, _ in scenes))
    with opened(scope, group) as sandbox:
        assert act(sandbox, PLACES + "\n".join(script for script, _, _ in scenes), user="0").ok
        checks = judge(sandbox, group).graded.checks
    got = dict(zip(ODD, (bool(check.score) for check in checks), strict=True))
    assert got == {name: is_read for name, (_, _, is_read) in ODD.items()}
