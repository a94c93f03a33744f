"""Loading: the whole of a taskset as written comes out as values, and several files are one taskset."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from taskcal.core.task import (
    AnswerProbe,
    Artifact,
    External,
    FileProbe,
    Network,
    NetworkMode,
    RunProbe,
    ScoreBy,
    ScriptedProbe,
)
from taskcal.errors import InputError, UsageError
from taskcal.taskset.load import load
from tests.taskset.taskset_case import Yaml

if TYPE_CHECKING:
    from pathlib import Path


FULL = """\
taskset: shop
version: 1
environments:
  shop:
    build: images/shop
    workdir: /app
    user: agent:staff
    env: {TZ: UTC, PORT: 8080, DEBUG: true}
    network: [API.example.org, "a-b.example.net:443"]
    cpus: 0.5
    memory: 512m
    pids: 64
    files: {/app/seed.sql: fixtures/seed.sql}
    setup: make seed
    start: ./serve &
    ready: curl -f localhost
    finish: ./hand-back
    services:
      db: {image: "postgres:16", command: [postgres, -c, fsync=off], env: {PW: x}, memory: 256m, cpus: 2, port: 5432,
           files: {/init.sql: fixtures/seed.sql}, setup: echo, ready: pg_isready}
      cache: {build: images/shop, command: redis}
defaults: {environment: shop, timeouts: {agent: 15m, setup: 10m}, passing: 0.9, tags: [sql]}
tasks:
  - id: ship
    prompt: Ship {{ order }} ({{ detail }}).
    params: {order: 12, code: ZX-9}
    variants: {detail: [step-by-step, high-level]}
    tools: [{name: lookup, description: Look up, run: ./lookup, parameters: {type: object}}]
    max_parallel: 2
    external: stateful
    timeouts: {grader: 30s, wall: 2h}
    grader:
      files: {/grader/others.txt: fixtures/others.txt}
      env: {LEVEL: 3}
      run: ./score
      sandbox: fresh
      artifacts: [/app, {service: db, path: /data}]
      checks:
        - {name: scripted, weight: 2}
        - {name: run, run: test 1, score: stdout, timeout: 60s, alone: true, in: db, required: true}
        - {name: file, file: /app/r.json, pointer: /total, equals: {a: [1, null]}}
        - {name: nothing, file: /app/r.json, pointer: /x, equals: null}
        - {name: answer, answer: {number: 42, tolerance: 0.5}}
    solutions: [{name: sql, run: ./solve, answer: done, files: {/s.sql: fixtures/seed.sql}}]
    wrong: [{name: lazy, reward_at_most: 0.5, answer: done}]
"""


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


@pytest.fixture
def shop(yaml: Yaml) -> Yaml:
    """Give a folder with what FULL names."""
    (yaml.folder / "images" / "shop").mkdir(parents=True)
    (yaml.folder / "fixtures").mkdir()
    for name in ("seed.sql", "others.txt"):
        (yaml.folder / "fixtures" / name).write_text("x")
    return yaml


def test_the_environment_is_as_written(shop: Yaml) -> None:
    """Image, limits in bytes, network, scripts and absolute sources."""
    environment = shop.load(FULL).tasks[0].environment
    assert (environment.name, environment.source.build) == ("shop", str(shop.folder / "images/shop"))
    assert (environment.workdir, environment.user) == ("/app", "agent:staff")
    assert environment.env == {"TZ": "UTC", "PORT": "8080", "DEBUG": "true"}
    assert environment.network == Network(NetworkMode.HOSTS, ("api.example.org", "a-b.example.net:443"))
    assert (environment.limits.cpus, environment.limits.memory, environment.limits.pids) == (0.5, 512 * 1024**2, 64)
    assert environment.files[0].source == str(shop.folder / "fixtures/seed.sql")
    assert (environment.setup, environment.finish) == ("make seed", "./hand-back")


def test_services_are_as_written(shop: Yaml) -> None:
    """A command is a line or its words; limits are the service's own."""
    db, cache = shop.load(FULL).tasks[0].environment.services
    assert (db.name, db.source.image, db.command) == ("db", "postgres:16", ("postgres", "-c", "fsync=off"))
    assert (db.limits.memory, db.ready, db.setup) == (256 * 1024**2, "pg_isready", "echo")
    assert (cache.name, cache.command) == ("cache", "redis")


def test_the_grader_is_as_written(shop: Yaml) -> None:
    """Every kind of check becomes its probe; a JSON null is a value to compare with."""
    grader = shop.load(FULL).tasks[0].grader
    assert [check.probe for check in grader.checks] == [
        ScriptedProbe(),
        RunProbe("test 1", ScoreBy.STDOUT, 60.0, alone=True, service="db"),
        FileProbe("/app/r.json", pointer="/total", equals={"a": [1, None]}, has_equals=True),
        FileProbe("/app/r.json", pointer="/x", equals=None, has_equals=True),
        AnswerProbe(number=42.0, tolerance=0.5),
    ]
    assert (grader.checks[0].weight, grader.checks[1].required) == (2.0, True)
    assert (grader.run, grader.env) == ("./score", {"LEVEL": "3"})
    assert grader.artifacts == (Artifact("/app"), Artifact("/data", "db"))


def test_the_rest_of_a_task_is_as_written(shop: Yaml) -> None:
    """Defaults fill in, key by key; the task's own words win."""
    task = shop.load(FULL).tasks[0]
    assert (task.timeouts.agent, task.timeouts.setup, task.timeouts.grader, task.timeouts.wall) == (900, 600, 30, 7200)
    assert (task.passing, task.tags, task.max_parallel, task.external) == (0.9, ("sql",), 2, External.STATEFUL)
    assert (task.solutions[0].answer, task.solutions[0].files[0].destination) == ("done", "/s.sql")
    assert (task.wrong[0].reward_at_most, task.wrong[0].run) == (0.5, "")
    assert (task.tools[0].name, dict(task.tools[0].parameters)) == ("lookup", {"type": "object"})
    assert (task.file, task.line) == ("t.yaml", 24)
    assert [(variant.id, variant.prompt) for variant in task.variants] == [
        ("step-by-step", "Ship 12 (step-by-step)."),
        ("high-level", "Ship 12 (high-level)."),
    ]
    assert task.variants[0].params == {"order": 12, "code": "ZX-9", "detail": "step-by-step"}


def small(name: str, task: str) -> str:
    """Write a taskset of one task."""
    return (
        f"taskset: {name}\nversion: 1\ntasks:\n  - id: {task}\n    prompt: p\n    environment: {{image: a}}\n"
        "    grader: {checks: [{name: a, run: x}]}\n"
    )


def test_several_files_are_one_taskset(yaml: Yaml) -> None:
    """Names are joined, tasks stay in the order of the files, and each knows its own."""
    yaml.load(small("one", "a"), "1.yaml")
    yaml.load(small("two", "b"), "2.yaml")
    taskset = load(["2.yaml", "1.yaml", "./2.yaml"])
    assert (taskset.name, taskset.files) == ("two+one", ("2.yaml", "1.yaml"))
    assert [(task.id, task.file) for task in taskset.tasks] == [("b", "2.yaml"), ("a", "1.yaml")]


def test_folders_and_globs_take_only_tasksets(yaml: Yaml) -> None:
    """Agent files, other YAML and folders inside are left alone."""
    (yaml.folder / "sub").mkdir()
    for name, task in (("a.yaml", "a"), ("b.yml", "b"), ("sub/c.yaml", "c")):
        (yaml.folder / name).write_text(small(task, task))
    (yaml.folder / "agent.yaml").write_text("agent: x\nkind: simulated\n")
    (yaml.folder / "notes.txt").write_text("taskset: no\n")
    assert load(["."]).files == ("a.yaml", "b.yml")
    assert load(["*.yaml"]).files == ("a.yaml",)
    assert load(["**/*.y*ml"]).files == ("a.yaml", "b.yml", "sub/c.yaml")


@pytest.mark.parametrize("path", ["absent.yaml", "no/*.yaml", "empty", "x" * 5000, "a\0b", "/dev/null"])
def test_paths_without_a_taskset_are_wrong_usage(yaml: Yaml, path: str) -> None:
    """What does not exist, matches nothing or holds nothing is said at once, not skipped."""
    (yaml.folder / "empty").mkdir()
    with pytest.raises(UsageError):
        load([path])


def test_no_path_at_all_is_wrong_usage() -> None:
    """An empty list is not an empty taskset."""
    with pytest.raises(UsageError, match="no taskset given"):
        load([])


def test_the_same_id_in_two_files_names_both_places(yaml: Yaml) -> None:
    """Ids are unique over all files of a run."""
    yaml.load(small("one", "a"), "1.yaml")
    yaml.load(small("two", "a"), "2.yaml")
    with pytest.raises(InputError, match=r'2\.yaml:4: tasks\[0\]\.id: another task has the id "a": 1\.yaml:4'):
        load(["1.yaml", "2.yaml"])


def test_mistakes_of_all_files_come_at_once(yaml: Yaml) -> None:
    """One broken file does not hide the mistakes of the next."""
    (yaml.folder / "1.yaml").write_text("taskset: [")
    (yaml.folder / "2.yaml").write_text(small("two", "a").replace("prompt", "promt"))
    with pytest.raises(InputError) as caught:
        load(["1.yaml", "2.yaml"])
    assert {problem.file for problem in caught.value.problems} == {"1.yaml", "2.yaml"}


def test_shared_environments_and_graders_are_one_object(yaml: Yaml) -> None:
    """By name, from defaults and written once: five thousand tasks hold one environment."""
    text = (
        "taskset: t\nversion: 1\nenvironments: {e: {image: a}}\ngraders: {g: {checks: [{name: a, run: x}]}}\n"
        "defaults: {grader: g, environment: {extends: e, cpus: 2}}\n"
        "tasks:\n  - {id: a, prompt: p}\n  - {id: b, prompt: p}\n  - {id: c, prompt: p, environment: e}\n"
    )
    a, b, c = yaml.load(text).tasks
    assert a.environment is b.environment
    assert a.grader is b.grader is c.grader
    assert (a.environment.limits.cpus, c.environment.limits.cpus) == (2, 1)
    assert (a.environment.name, c.environment.name) == ("defaults.environment", "e")


def test_extends_adds_key_by_key(yaml: Yaml) -> None:
    """Maps merge, lists and values replace, a null takes away; chains work."""
    text = (
        "taskset: t\nversion: 1\nenvironments:\n  base: {image: a, env: {A: 1, B: 2}, network: [x.org]}\n"
        "  more: {extends: base, env: {B: 3}, network: [y.org, z.org]}\n"
        "  built: {extends: more, image: null, build: dir}\n"
        "defaults: {grader: {checks: [{name: a, run: x}]}}\n"
        "tasks: [{id: a, prompt: p, environment: {extends: built, env: {C: 4}}}]\n"
    )
    (yaml.folder / "dir").mkdir()
    environment = yaml.load(text).tasks[0].environment
    assert environment.env == {"A": "1", "B": "3", "C": "4"}
    assert environment.network.hosts == ("y.org", "z.org")
    assert environment.source.image is None
    assert environment.source.build == os.fspath(yaml.folder / "dir")


def test_null_means_that_a_key_was_not_given(yaml: Yaml) -> None:
    """An empty `setup:` is the default, not an error about nothing."""
    task = yaml.task("prompt: p\nmax_parallel: null\nsolutions:\nparams: {a: null}")
    assert (task.max_parallel, task.solutions) == (None, ())
    assert task.variants[0].params == {"a": None}


def test_the_taskset_knows_where_it_lies_through_a_symlinked_folder(yaml: Yaml, tmp_path: Path) -> None:
    """A folder that is itself reached through a symlink is no escape."""
    real = tmp_path / "real"
    real.mkdir()
    (real / "seed").write_text("x")
    (tmp_path / "link").symlink_to(real)
    (real / "t.yaml").write_text(small("t", "a").replace("{image: a}", "{image: a, files: {/seed: seed}}"))
    assert load(["link/t.yaml"]).tasks[0].environment.files[0].source == str(real / "seed")
    assert yaml.folder == tmp_path
