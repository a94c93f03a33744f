"""Mistakes: each is found, with its line, its path and a hint, and none is reported twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.taskset.taskset_case import Yaml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Yaml(tmp_path)


GRADER = "prompt: p\ngrader:\n  checks:\n"


def test_a_misspelt_key_is_named_with_its_place_and_the_right_word(yaml: Yaml) -> None:
    """The sentence of the promise, word for word."""
    head = "taskset: t\nversion: 1\ndefaults: {environment: {image: a}}\ntasks:\n"
    task = "  - {id: t%d, prompt: p, grader: {checks: [{name: a, run: x}]}}\n"
    last = "  - id: t3\n    prompt: p\n    grader:\n      checks:\n        - {name: a, run: x, weigth: 1}\n"
    (message,) = yaml.problems(head + "".join(task % number for number in range(3)) + last)
    assert message == "t.yaml:12: tasks[3].grader.checks[0].weigth: unknown key, did you mean weight?"


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("instruction", "did you mean prompt?"),
        ("question", "did you mean prompt?"),
        ("verifier", "did you mean grader?"),
        ("score", "did you mean grader?"),
        ("assert", "did you mean grader: {checks: […]}?"),
        ("scenario", "did you mean params?"),
        ("args", "did you mean params?"),
        ("matrix", "did you mean variants?"),
        ("threshold", "did you mean passing?"),
        ("epochs", "taskcal run --group-size N"),
        ("n_attempts", "taskcal run --group-size N"),
        ("num_generations", "taskcal run --group-size N"),
        ("timeout_sec", "did you mean timeouts: {agent: 15m, setup: 10m, grader: 2m}?"),
        ("dockerfile", "it goes into environment: {…}"),
        ("solution", "did you mean solutions?"),
        ("model", "taskcal run --agent FILE"),
        ("promt", "did you mean prompt?"),
        ("xyzzy", "known are id, prompt, environment"),
    ],
)
def test_the_hint_knows_the_words_of_the_neighbours(yaml: Yaml, key: str, hint: str) -> None:
    """Who comes from another harness is told our word for it."""
    (message,) = yaml.task_problems(f"prompt: p\n{key}: 1")
    assert message.startswith(f"11: tasks[0].{key}: unknown key")
    assert hint in message


@pytest.mark.parametrize(
    ("check", "hint"),
    [
        ("command: x", "did you mean run?"),
        ("regex: x, answer: {equals: a}", "did you mean matches?"),
        ("points: 3, run: x", "did you mean weight?"),
        ("expected: 3, run: x", "did you mean equals?"),
    ],
)
def test_checks_have_hints_of_their_own(yaml: Yaml, check: str, hint: str) -> None:
    """A check's neighbours' words are other ones than a task's."""
    assert any(hint in message for message in yaml.task_problems(f"{GRADER}    - {{name: a, {check}}}"))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("run: x, weight: .nan", "checks[0].weight: must be a finite number, not the number nan"),
        ("run: x, weight: .inf", "checks[0].weight: must be a finite number"),
        ("run: x, weight: -1", "checks[0].weight: must be at least 0, not the number -1"),
        ("run: x, weight: '1'", 'checks[0].weight: must be a number, not "1"'),
        ("run: x, weight: true", "checks[0].weight: must be a number, not true"),
        ("run: x, weight: 1.0e+308", "checks[0].weight: must be at most 1000000, not the number 1e+308"),
        ("run: x, weight: 1.0e-7", "checks[0].weight: must be 0, or from 0.000001 to 1000000"),
        ("run: x, weight: 0", "weighs nothing and is not required"),
        ("run: x, required: yes", 'checks[0].required: must be true or false, not "yes"'),
        ("run: 5", "checks[0].run: must be text, not the number 5; put it in quotes"),
        ("run: x, file: /a, exists: true", "has run and file; a check judges by one of run, file, answer"),
        ("weight: 1", 'grader: the check "a" needs one of run, file, answer'),
        ("file: /a", "file needs exactly one of exists, absent, equals, contains, matches"),
        ("file: /a, exists: true, absent: true", "file needs exactly one of"),
        ("file: /a, exists: false", "checks[0].exists: must be true, not false"),
        ("file: a, exists: true", 'checks[0].file: must be an absolute path in the container, not "a"'),
        ("file: /a/../b, exists: true", 'must not contain ".."'),
        ("file: /a, matches: '('", "checks[0].matches: not a regular expression"),
        ("file: /a, pointer: x, equals: 1", "checks[0].pointer: must be a JSON pointer"),
        ("answer: {}", "checks[0].answer: needs exactly one of equals, contains, matches, number"),
        ("answer: {equals: a, contains: b}", "needs exactly one of"),
        ("answer: {equals: a, tolerance: 1}", "tolerance goes with number only"),
        ("answer: {equals: a}, in: db", "in goes with run only"),
        ("file: /a, exists: true, score: stdout", "score goes with run only"),
        ("run: x, exists: true", "exists goes with file only"),
        ("run: x, score: json", 'checks[0].score: must be exit or stdout, not "json"'),
        ("run: x, timeout: soon", 'checks[0].timeout: must be a duration: "90s"'),
        ("run: x, in: db", 'checks[0].in: the environment has no service "db"'),
        ("run: x, name: ''", "duplicate key"),
    ],
)
def test_checks_that_cannot_be_meant_are_refused(yaml: Yaml, check: str, message: str) -> None:
    """Every rule about checks has a sentence of its own."""
    found = yaml.task_problems(f"{GRADER}    - {{name: a, {check}}}")
    assert any(message in one for one in found), found


@pytest.mark.parametrize(
    ("grader", "message"),
    [
        ("{checks: []}", "checks: must not be empty"),
        ("{}", "grader.checks: missing"),
        ("{checks: [{name: a, run: x}, {name: a, run: y}]}", 'two checks are named "a"'),
        ("{checks: [{name: a, run: x, weight: 0, required: true}]}", "no check has a weight above 0"),
        ("{run: x, checks: [{name: a, run: x}]}", "run scores no check"),
        ("{checks: [{name: a, run: x}], cases: []}", "cases: unknown key, grader cases are not available"),
        ("{checks: [{name: a, run: x}], artifacts: [/a]}", "artifacts go with sandbox: fresh only"),
        ("{checks: [{name: a, run: x}], sandbox: fresh, artifacts: [{service: db, path: /a}]}", 'no service "db"'),
        (
            "{checks: [{name: a, run: x}], sandbox: fresh, artifacts: [{path: /a, exclude: [../b]}]}",
            "must be a path below the artifact, such as .venv",
        ),
        (
            "{checks: [{name: a, run: x}], sandbox: fresh, artifacts: [{path: /a, exclude: [/a/b]}]}",
            "below the artifact",
        ),
        ("{checks: [{name: a, run: x}], sandbox: fresh, artifacts: [{path: /a, exclude: [.]}]}", "below the artifact"),
        ("{checks: [{name: a, file: /x, exists: true, user: agent}]}", "user goes with run only"),
        ("{checks: [{name: a, run: x}], env: {LD_PRELOAD: x}}", "LD_PRELOAD"),
        ("{extends: nothing}", 'extends: nothing is named "nothing"'),
        ("fils", 'grader: nothing is named "fils", did you mean files?'),
        ("[a]", "grader: must be a name or a map, not a list"),
    ],
)
def test_graders_that_cannot_be_meant_are_refused(yaml: Yaml, grader: str, message: str) -> None:
    """Also as a whole a grader has to make sense."""
    found = yaml.task_problems(f"prompt: p\ngrader: {grader}")
    if "extends: nothing" in grader or grader[0] != "{":
        assert any(message in one for one in found), found
    else:
        assert any(message in one for one in found if "grader" in one), found


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ("{}", "needs image: NAME, or build: FOLDER with a Dockerfile"),
        ("{image: a, build: dir}", "has both image and build"),
        ("{image: 'A B'}", 'image: not an image name: "A B"'),
        ("{image: a, memory: 1m}", 'memory: must be at least "6m"'),
        ("{image: a, memory: lots}", "memory: must be an amount of memory"),
        ("{image: a, cpus: 0}", "cpus: must be at least 0.01, not the number 0"),
        ("{image: a, cpus: 1.0e-10}", "cpus: must be at least 0.01, not the number 1e-10"),
        ("{image: a, services: {db: {image: b, cpus: 0.009}}}", "services.db.cpus: must be at least 0.01"),
        ("{image: a, pids: 8}", "pids: must be at least 16"),
        ("{image: a, network: host}", "network: must be none, bridge, or a list of allowed hosts"),
        ("{image: a, network: []}", "network: must be none, bridge, or a list of allowed hosts"),
        *(
            (f"{{image: a, network: ['{host}']}}", f'network: not a host: "{host}"; write NAME or NAME:PORT')
            for host in ("a b", "*.example.org", "a:0", "a:65536", "a:https", "https://a", "-a", "a..b", "::1")
        ),
        (f"{{image: a, network: [{'x' * 254}]}}", f'network: not a host: "{"x" * 60}"; write NAME'),
        ("{image: a, network: [7]}", 'network: not a host: "7"; write NAME or NAME:PORT'),
        ("{image: a, network: ['10.0.0.1:80']}", "network: a host is listed by its name, not by an address"),
        ("{image: a, env: {TASKCAL_X: 1}}", "TASKCAL_X is taskcal's or the loader's own"),
        ("{image: a, env: {LD_PRELOAD: x}}", "LD_PRELOAD is"),
        ("{image: a, env: {a-b: x}}", 'must be a name that a shell accepts (letters, digits, _), not "a-b"'),
        ("{image: a, env: {A: [1]}}", "env.A: must be one value"),
        ("{image: a, workdir: app}", 'workdir: must be an absolute path in the container, not "app"'),
        ("{image: a, user: 'a b'}", "user: must be a user"),
        ("{image: a, files: {/x: /etc/passwd}}", "must be relative to the taskset's folder"),
        ("{image: a, files: {/x: ../outside}}", 'files["/x"]: leaves the taskset\'s folder: ../outside'),
        ("{image: a, files: {/x: link}}", "leaves the taskset's folder: link"),
        ("{image: a, files: {/x: folder}}", "holds a symlink that leaves the taskset's folder: folder/inner"),
        ("{image: a, files: {/x: absent}}", "no such file or folder below the taskset's folder: absent"),
        ("{image: a, files: {x: t.yaml}}", "must be an absolute path in the container"),
        ("{image: a, files: {/x: ~/secret}}", "must be relative"),
        ("{build: ../outside}", "leaves the taskset's folder"),
        ("{image: a, services: {localhost: {image: a}}}", "localhost is the sandbox itself"),
        ("{image: a, services: {db: {image: a}, DB: {image: a}}}", "share one host name"),
        ("{image: a, services: {a: {image: a, port: 1}, b: {image: a, port: 1}}}", "share one port"),
        ("{image: a, services: {db: {imag: a}}}", "services.db.imag: unknown key, did you mean image?"),
        ("{image: a, services: {db: {image: a, command: [1]}}}", "command: must be a command line, or a list"),
        ("{image: a, dockerfile: x}", "did you mean build: FOLDER, where the Dockerfile lies?"),
        ("bxo", 'nothing is named "bxo", did you mean box?'),
    ],
)
def test_environments_that_cannot_be_meant_are_refused(yaml: Yaml, environment: str, message: str) -> None:
    """No path leaves the folder, no limit is senseless, no name is taken."""
    (yaml.folder.parent / "outside").write_text("x")
    (yaml.folder / "link").symlink_to(yaml.folder.parent / "outside")
    (yaml.folder / "folder").mkdir()
    (yaml.folder / "dir").mkdir()
    (yaml.folder / "folder" / "inner").symlink_to("/etc/passwd")
    found = yaml.task_problems(f"prompt: p\nenvironment: {environment}")
    assert any(message in one for one in found), found


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("prompt: 5", "10: tasks[0].prompt: must be text, not the number 5; put it in quotes"),
        ("tags: [a]", "9: tasks[0].prompt: missing"),
        ("prompt: ''", "prompt: must not be empty"),
        ("prompt: p\nid: two", "id: duplicate key, first on line 9"),
        ("prompt: p\npassing: 0", "passing: must be at least 0.000001, not the number 0"),
        ("prompt: p\npassing: 1.0e-10", "passing: must be at least 0.000001, not the number 1e-10"),
        ("prompt: p\npassing: 1.1", "passing: must be at most 1"),
        ("prompt: p\nmax_parallel: 0", "max_parallel: must be at least 1"),
        ("prompt: p\nexternal: both", "external: must be stateful or stateless"),
        ("prompt: p\ntimeouts: {agent: 0}", "timeouts.agent: must be a duration above 0 and at most 7 days"),
        ("prompt: p\ntimeouts: {agnt: 5}", "timeouts.agnt: unknown key, did you mean agent?"),
        ("prompt: p\nsolutions: [{name: a}]", "solutions[0]: needs run, answer, or both"),
        ("prompt: p\nsolutions: [{run: a}]", "solutions[0].name: missing"),
        ("prompt: p\nsolutions: [{name: a, run: x}, {name: a, run: x}]", "two solutions have the same name"),
        ("prompt: p\nwrong: [{name: a, run: x, reward_at_most: 2}]", "wrong[0].reward_at_most: must be at most 1"),
        ("prompt: p\nwrong: [{name: a, run: x, reward_at_most: .nan}]", "reward_at_most: must be a finite number"),
        ("prompt: p\nparams: {PATH: x}", "PATH means something to the shell or to taskcal"),
        ("prompt: p\nparams: {LD_PRELOAD: x}", "LD_PRELOAD means something"),
        ("prompt: p\nparams: {TASKCAL_ROLLOUT: x}", "TASKCAL_ROLLOUT means something"),
        ("prompt: p\nparams: {IFS: x}", "IFS means something"),
        ("prompt: p\nparams: {PS4: x}", "PS4 means something"),
        ("prompt: p\nparams: {a-b: x}", 'not "a-b"'),
        ("prompt: p\nparams: {a: [1]}", "params.a: must be one value"),
        ("prompt: p\nparams: {a: .nan}", "params.a: must be a finite number"),
        ("prompt: p\ntools: [{name: a b, run: x}]", "tools[0].name: must be letters, digits"),
        ("prompt: p {{ ordr }}\nparams: {order: 1}", "10: tasks[0].prompt: undefined name ordr, did you mean order?"),
        ("prompt: |\n  a\n  {{ b }}", "12: tasks[0].prompt: undefined name b; add it to params or variants"),
        ("prompt: |\n  a\n  {% if %}", "12: tasks[0].prompt: not a template"),
        ("prompt: '{% if a < 1 %}{% endif %}'\nparams: {a: x}", "prompt: cannot be rendered"),
    ],
)
def test_tasks_that_cannot_be_meant_are_refused(yaml: Yaml, task: str, message: str) -> None:
    """Every rule about tasks, with the line where it is known."""
    found = yaml.task_problems(task)
    assert any(message in one for one in found), found


@pytest.mark.parametrize("name", ["", "a/b", "a#1", "-a", "a b", "é", "x" * 101, ".."])
def test_ids_that_cannot_be_in_a_rollouts_name_are_refused(yaml: Yaml, name: str) -> None:
    """An id is part of `task/variant#index`, of folders and of the command line."""
    head = "taskset: t\nversion: 1\ndefaults: {environment: {image: a}, grader: {checks: [{name: a, run: x}]}}\n"
    (message,) = yaml.problems(f"{head}tasks: [{{id: '{name}', prompt: p}}]")
    assert "tasks[0].id: must begin with a letter or a digit" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("taskset: t\nversion: 2\ntasks: [{}]", "t.yaml:2: version: must be 1, not the number 2"),
        ("taskset: t\ntasks: [{}]", "version: missing"),
        ("taskset: t\nversion: 1\ntasks: []", "tasks: must not be empty"),
        ("taskset: t\nversion: 1\ntasks: {a: b}", "tasks: must be a list, not a map"),
        ("taskset: t\nversion: 1\ntasks: [a]", 'tasks[0]: must be a map (key: value), not "a"'),
        ("taskset: t\nversion: 1\ntsks: []", "tsks: unknown key, did you mean tasks?"),
        ("taskset: t\nversion: 1\nenvironments: []", "environments: must be a map"),
        ("taskset: t\nversion: 1\ndefaults: {id: x, variants: {}}", "defaults.id: belongs into a task"),
        ("taskset: t\nversion: 1\nthreshold: 1", "did you mean passing, in defaults or a task?"),
        ("taskset: t\nversion: 1\nenvironments: {a: {extends: b}, b: {extends: a}}", "extends itself"),
        ("taskset: t\nversion: 1\nenvironments: {a: {extends: a}}", "environments.a.extends: extends itself"),
        ("taskset: t\nversion: 1\nenvironments: {shop: {image: a}, b: {extends: shp}}", "did you mean shop?"),
    ],
)
def test_files_that_cannot_be_meant_are_refused(yaml: Yaml, text: str, message: str) -> None:
    """Also what no task uses is read and reported."""
    found = yaml.problems(text)
    assert any(message in one for one in found), found


def test_all_mistakes_come_at_once_in_file_order(yaml: Yaml) -> None:
    """One run of `validate` tells everything."""
    text = (
        "taskset: t\nversion: 1\nenvironments:\n  e: {image: a, pids: 1}\ndefaults: {environment: ee}\ntasks:\n"
        "  - id: a\n    prompt: '{{ x }}'\n    grader: {checks: [{name: a, run: x, weigth: 1}]}\n    epochs: 3\n"
    )
    assert [message.split(":")[1] for message in yaml.problems(text)] == ["4", "5", "8", "9", "10"]


def test_a_mistake_in_defaults_is_reported_once_and_where_it_stands(yaml: Yaml) -> None:
    """A thousand tasks inherit it, one line tells of it."""
    defaults = "{environment: {image: a, pids: 1}, timeouts: {agnt: 1}, grader: {}}"
    head = f"taskset: t\nversion: 1\ndefaults: {defaults}\ntasks:\n"
    tasks = "".join(f"  - {{id: t{number}, prompt: p, timeouts: {{setup: 5}}}}\n" for number in range(50))
    assert [message.split(": ")[1] for message in yaml.problems(head + tasks)] == [
        "defaults.environment.pids",
        "defaults.grader.checks",
        "defaults.timeouts.agnt",
    ]


def test_duplicate_ids_name_both_lines(yaml: Yaml) -> None:
    """The second is the mistake, the first is where to look."""
    head = "taskset: t\nversion: 1\ndefaults: {environment: {image: a}, grader: {checks: [{name: a, run: x}]}}\n"
    (message,) = yaml.problems(f"{head}tasks:\n  - {{id: a, prompt: p}}\n  - {{id: a, prompt: q}}\n")
    assert message == 't.yaml:6: tasks[1].id: another task has the id "a": t.yaml:5'
