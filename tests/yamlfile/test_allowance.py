"""What a stranger's taskset may cost before anything of it is read: files, build folders, patterns, services, links."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest

from taskcal.errors import InputError
from taskcal.machine import file_tree
from taskcal.taskset.load import load
from taskcal.yamlfile.allowance import MOST_BYTES, LoadAllowance
from taskcal.yamlfile.paths import Folder
from tests.taskset.taskset_case import Yaml

if TYPE_CHECKING:
    from pathlib import Path

HUGE = 30 * 1024**2
TOO_LARGE = "with these, all files: and build folders are larger than 2 GiB together"
TASKS = "graders: {g: {checks: [{name: a, answer: {equals: b}}]}}\ndefaults: {grader: g, environment: e0}\n"


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yaml:
    """Give a folder to write tasksets into, which is the current one, with a file of 30 MiB without a block on disk."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "img").mkdir()
    (tmp_path / "img" / "Dockerfile").write_text("FROM a\n")
    for path in (tmp_path / "huge", tmp_path / "img" / "huge"):
        path.touch()
        os.truncate(path, HUGE)
    return Yaml(tmp_path)


def whole(environments: str, more: str = "") -> str:
    """A taskset with these environments and a task."""
    return f"taskset: t\nversion: 1\nenvironments: {{{environments}}}\n{TASKS}tasks: [{{id: a, prompt: p{more}}}]\n"


def environments(text: str, count: int) -> str:
    return ", ".join(f"e{number}: {text.replace('#', str(number))}" for number in range(count))


MANY = MOST_BYTES // HUGE + 1


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (whole(f"e0: {{image: a, files: {{{', '.join(f'/d/{n}: huge' for n in range(MANY))}}}}}"), "environments.e0"),
        (whole(environments("{image: a, files: {/d: huge, /#: t.yaml}}", MANY)), f"environments.e{MANY - 1}.files"),
        (whole(environments("{image: a, files: {/d#: ./huge}}", MANY)), f"environments.e{MANY - 1}.files"),
        (
            whole("e0: {image: a}", f", grader: {{files: {{{', '.join(f'/d/{n}: img/' for n in range(MANY))}}}}}"),
            "tasks[0].grader.files",
        ),
    ],
    ids=["one place", "many places", "other names", "a grader's"],
)
def test_files_are_weighed_before_they_are_read(yaml: Yaml, text: str, place: str) -> None:
    """A file that is named often is as heavy as its copies, wherever they are named."""
    problems = yaml.problems(text)
    assert any(TOO_LARGE in one and place in one for one in problems), problems


def test_the_same_files_are_weighed_once(yaml: Yaml) -> None:
    """Environments that share a map of files, as by extends, share the archive; a folder is built once."""
    shared = environments("{image: a, files: {/d: huge}}", 2 * MANY)
    assert yaml.load(whole(shared)).tasks
    assert yaml.load(whole(environments("{build: img}", 2 * MANY))).tasks


def test_build_folders_are_weighed_too(yaml: Yaml) -> None:
    """What `.dockerignore` leaves out weighs nothing."""
    os.truncate(yaml.folder / "img" / "huge", MOST_BYTES + 1)
    assert any(TOO_LARGE in one for one in yaml.problems(whole("e0: {build: img}")))
    (yaml.folder / "img" / ".dockerignore").write_text("huge\n")
    assert yaml.load(whole("e0: {build: img}")).tasks


def test_a_dockerfile_is_of_a_size_that_people_write(yaml: Yaml) -> None:
    """It is read whole, several times."""
    os.truncate(yaml.folder / "img" / "Dockerfile", 1024**2 + 1)
    assert any("its Dockerfile is larger than 1 MiB: img" in one for one in yaml.problems(whole("e0: {build: img}")))


def test_all_files_of_a_load_are_weighed_together(yaml: Yaml) -> None:
    """Several tasksets that are loaded at once share what there is."""
    for name in ("one", "two"):
        half = ", ".join(f"/{name}/{number}: huge" for number in range(MANY // 2 + 1))
        text = whole(f"e0: {{image: a, files: {{{half}}}}}").replace("id: a", f"id: {name}")
        (yaml.folder / f"{name}.yaml").write_text(text)
        assert load([f"{name}.yaml"]).tasks
    with pytest.raises(InputError, match=rf"two\.yaml.*{TOO_LARGE}"):
        load(["one.yaml", "two.yaml"])


def test_files_are_counted_while_they_are_looked_at(tmp_path: Path) -> None:
    """A folder of very many files is not walked to its end."""
    for number in range(20):
        (tmp_path / f"f{number}").touch()
    folder = Folder(tmp_path.parent, LoadAllowance(entries=10))
    with pytest.raises(ValueError, match="files together; put them into an image"):
        folder.inside(tmp_path.name)


def test_many_patterns_for_many_names_are_refused(yaml: Yaml, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.dockerignore` of thousands of patterns is given up before it takes minutes."""
    monkeypatch.setattr(file_tree, "MOST_STEPS", 1000)
    (yaml.folder / "img" / ".dockerignore").write_text("".join(f"**/*a{number}\n" for number in range(100)))
    for number in range(20):
        (yaml.folder / "img" / f"file{number}").touch()
    assert any("too many patterns for so many files" in one for one in yaml.problems(whole("e0: {build: img}")))


WIDE = r"(?i)[\\x01-\\uffff][\\x02-\\uffff][\\x03-\\uffff]"
LATIN = "(?i)" + "[ -ÿ]" * 195


@pytest.mark.parametrize("pattern", [WIDE, LATIN])
@pytest.mark.parametrize("place", ["a named grader", "tasks", "tools", "answers", "params"])
def test_all_patterns_of_a_load_are_bounded_together(
    yaml: Yaml, monkeypatch: pytest.MonkeyPatch, pattern: str, place: str
) -> None:
    """Each is just within its own bound; the rest is refused without being compiled, wherever they stand."""
    monkeypatch.setattr("taskcal.taskset.load.LoadAllowance", partial(LoadAllowance, compiling=200_000))
    count = 20
    texts = [f'"{pattern}{number}"' for number in range(count)]
    checks = [f"{{name: c{number}, file: /x, matches: {text}}}" for number, text in enumerate(texts)]
    answers = [f"{{name: c{number}, answer: {{matches: {text}}}}}" for number, text in enumerate(texts)]
    tools = [
        f"{{name: t{number}, run: x, parameters: {{properties: {{a: {{pattern: {text}}}}}}}}}"
        for number, text in enumerate(texts)
    ]
    more = {
        "a named grader": "",
        "tasks": f", grader: {{checks: [{', '.join(checks)}]}}",
        "tools": f", tools: [{', '.join(tools)}]",
        "answers": f", grader: {{checks: [{', '.join(answers)}]}}",
        "params": f", variants: {{n: [{', '.join(map(str, range(count)))}]}}, "
        f'grader: {{checks: [{{name: a, file: /x, matches: "{pattern}{{{{ n }}}}"}}]}}',
    }[place]
    text = whole("e0: {image: a}", more)
    if place == "a named grader":
        text = text.replace("graders: {", f"graders: {{h: {{checks: [{', '.join(checks)}]}}, ")
    problems = yaml.problems(text)
    assert any("all regular expressions together take too long to compile" in one for one in problems), problems[:3]


def test_what_people_write_fits(yaml: Yaml) -> None:
    """Hundreds of plain patterns, and one costly pattern that many checks share."""
    plain = [f'{{name: c{n}, file: /x, matches: "^order {n}: [0-9]+ items? of [A-Z][a-z]+$"}}' for n in range(450)]
    shared = [f'{{name: d{n}, file: /y, matches: "{WIDE}"}}' for n in range(50)]
    assert yaml.load(whole("e0: {image: a}", f", grader: {{checks: [{', '.join(plain + shared)}]}}")).tasks


def test_too_many_services_are_one_problem(yaml: Yaml) -> None:
    """A thousand small ones fit into memory and CPUs, and into no engine."""
    text = whole(f"e0: {{image: a, services: {{{environments('{image: a, cpus: 0.01, memory: 6m, pids: 16}', 400)}}}}}")
    assert any("environments.e0.services: more than 32 entries" in one for one in yaml.problems(text))


@pytest.mark.parametrize("target", ["../outside.yaml", "{}/outside.yaml", "/etc/passwd", "again.yaml"])
def test_a_taskset_that_leads_elsewhere_is_not_read(yaml: Yaml, target: str) -> None:
    """A link in a cloned folder would show the keys of another file in messages; the file itself can be named."""
    folder = yaml.folder / "clone"
    folder.mkdir()
    (yaml.folder / "outside.yaml").write_text("taskset: t\nversion: 1\npassword: secret\n")
    (folder / "again.yaml").symlink_to("../outside.yaml")
    (folder / "t.yaml").symlink_to(target.format(yaml.folder))
    for path in ("clone/t.yaml", "clone", "clone/*.yaml"):
        with pytest.raises(InputError, match="a link that leaves its folder; name the file itself") as caught:
            load([path])
        assert "password" not in str(caught.value)
    with pytest.raises(InputError, match="password"):
        load(["outside.yaml"])


def test_a_link_to_a_neighbour_is_a_taskset(yaml: Yaml) -> None:
    """It leads nowhere else."""
    (yaml.folder / "real.yaml").write_text(whole("e0: {image: a}"))
    (yaml.folder / "link.yaml").symlink_to("real.yaml")
    assert load(["link.yaml"]).tasks
