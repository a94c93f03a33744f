"""The name of a baked image, and what its setup sees."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from taskcal.core.task import FileCopy, Limits, NetworkMode
from taskcal.machine import host
from taskcal.sandbox.archive import files_digest
from taskcal.sandbox.engine.run_resources import host_config
from taskcal.sandbox.images.baking import Recipe, bake_key, named_params, param_variables
from taskcal.sandbox.scripts import setup_script

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.core.task import Scalar

BASE = "sha256:" + "ab" * 32
RECIPE = Recipe(setup="apt-get install -y sqlite3", env={"A": "1", "B": "2"}, params={"order": "12"}, workdir="/app")
EMPTY = files_digest([])


def test_the_key_is_the_contents(tmp_path: Path) -> None:
    """24 hex digits, the same for the same recipe, whatever order its maps were written in."""
    key = bake_key(BASE, EMPTY, RECIPE)
    assert len(key) == 24
    assert set(key) <= set("0123456789abcdef")
    turned = replace(RECIPE, env={"B": "2", "A": "1"})
    assert bake_key(BASE, EMPTY, turned) == key
    (tmp_path / "seed.sql").write_text("x")
    copies = [FileCopy("/app/seed.sql", str(tmp_path / "seed.sql"))]
    assert bake_key(BASE, files_digest(copies), RECIPE) != key


@pytest.mark.parametrize(
    "changed",
    [
        {"setup": "apt-get install -y sqlite3 "},
        {"env": {"A": "1"}},
        {"env": {"A": "1", "B": "3"}},
        {"env": {"A": "1", "B2": ""}},
        {"params": {"order": "13"}},
        {"params": {}},
        {"workdir": None},
        {"workdir": "None"},
    ],
    ids=str,
)
def test_what_the_setup_may_read_is_in_the_key(changed: dict[str, object]) -> None:
    """Text, environment, params and workdir: one of them different, and it is another image."""
    assert bake_key(BASE, EMPTY, replace(RECIPE, **changed)) != bake_key(BASE, EMPTY, RECIPE)  # type: ignore[arg-type]  # by name


def test_another_base_is_another_image() -> None:
    """Base images are told by id, not by name: a tag may move."""
    assert bake_key(BASE, EMPTY, RECIPE) != bake_key(BASE.replace("ab", "cd"), EMPTY, RECIPE)


def test_what_the_setup_cannot_read_is_not() -> None:
    """How long it may take and how much memory it may use make no other image."""
    other = replace(RECIPE, timeout=1.0, limits=Limits(cpus=8))
    assert bake_key(BASE, EMPTY, other) == bake_key(BASE, EMPTY, RECIPE)


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("", set()),
        ("echo $order", {"order"}),
        ('echo "${order}" > /a', {"order"}),
        ("echo $orders $my_order $order2", set()),
        ("printenv code; : $order-$code", {"order", "code"}),
        ("python3 -c 'import os; os.environ[\"code\"]'", {"code"}),
    ],
)
def test_only_named_params_reach_the_setup(script: str, names: set[str]) -> None:
    """A param whose name stands in the text as a word; the others can make no two images differ unnoticed."""
    assert set(named_params(script, {"order": 12, "code": "ZX"})) == names


@pytest.mark.parametrize(
    ("value", "text"), [(12, "12"), (1.5, "1.5"), ("a 'b'", "a 'b'"), (True, "true"), (False, "false"), (None, "")]
)
def test_params_are_written_as_in_a_prompt(value: Scalar, text: str) -> None:
    """In YAML's spelling, and null as nothing."""
    assert param_variables({"name": value}) == {"name": text}


@pytest.mark.parametrize("setup", ["true", "cat <<EOF\nfor x in 'a\" `b\nEOF", "case x in (x) echo ;; esac"])
def test_a_setup_cannot_break_its_frame(setup: str) -> None:
    """Whatever quotes it holds, the whole is a script that a shell can read, with the setup in it as written."""
    script = setup_script(setup, ("/data", "/it's"))
    assert host.run_program(["sh", "-n"], seconds=30, stdin=script).output == ""
    assert shlex.quote(setup) in script
    assert shlex.join(["/data", "/it's"]) in script


def test_every_container_is_bounded() -> None:
    """No swap beyond the memory, processes counted, no new privileges, and a bound on logs and files."""
    found = host_config(Limits(cpus=1.5, memory=1 << 30, pids=64), str(NetworkMode.NONE))
    assert (found["mem_limit"], found["memswap_limit"], found["nano_cpus"], found["pids_limit"]) == (
        1 << 30,
        1 << 30,
        1_500_000_000,
        64,
    )
    assert found["network_mode"] == "none"
    assert found["security_opt"] == ["no-new-privileges"]
    assert found["log_config"]["Config"] == {"max-size": "1m", "max-file": "1"}
    assert found["ulimits"][0]["Name"] == "fsize"
    assert "privileged" not in found
