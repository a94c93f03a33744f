"""The command line's last word: known errors are lines that only show, with their exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from taskcal.cli.main import main

HEAD = "taskset: t\nversion: 1\ntasks:\n- id: a\n  prompt: p\n"
RED_IMAGE = HEAD + '  environment: {image: "\\e[31mred\\e]0;title\\a"}\n  grader: {checks: [{name: a, run: x}]}\n'
RED_CHECKS = (
    HEAD + '  environment: {image: a}\n  grader: {checks: [{name: "\\e[31mred\\e[2J"}, {name: "\\u202egnol"}]}\n'
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str, status: int = 2
) -> list[str]:
    """Call the command line; give the lines that it wrote."""
    monkeypatch.setattr(sys, "argv", ["taskcal", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status
    written = capsys.readouterr()
    return (written.out + written.err).removesuffix("\n").split("\n")


@pytest.mark.parametrize("text", [RED_IMAGE, RED_CHECKS], ids=["image", "checks"])
def test_a_strangers_taskset_does_nothing_to_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Colours, titles and reversed text in a message are gone; its words stay."""
    Path("t.yaml").write_text(text)
    (line,) = told(capsys, monkeypatch, "validate", "t.yaml")
    assert line.isprintable()
    assert "red" in line


def test_names_of_files_do_nothing_either(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A taskset's name is a stranger's text too, in warnings and in what is fine."""
    name = "\x1b[31mred.yaml"
    Path(name).write_text(HEAD + "  environment: {image: a}\n  grader: {checks: [{name: a, run: x}]}\n")
    lines = told(capsys, monkeypatch, "validate", name, status=0)
    assert [line.partition(":")[0] for line in lines] == ["warning", "warning", "warning", "red.yaml"]
    assert all(line.isprintable() for line in lines)


def test_every_problem_keeps_its_line_and_its_length(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several mistakes are several lines, and a long one is whole."""
    checks = ", ".join(f"{{name: {'long ' * 30}{number}, weight: 1}}" for number in range(5))
    Path("t.yaml").write_text(f"{HEAD}  environment: {{image: 1}}\n  grader: {{checks: [{checks}]}}\n")
    lines = told(capsys, monkeypatch, "validate", "t.yaml")
    assert len(lines) == 2
    assert len(lines[1]) > 700
    assert lines[1].endswith("needs one of run, file, answer")
