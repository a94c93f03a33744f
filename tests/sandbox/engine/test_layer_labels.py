"""What is sent for a build so that its layers carry a label: files that the engine takes away again."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from taskcal.core.build.dockerignore import Ignored
from taskcal.sandbox.archive import pack_context
from taskcal.sandbox.engine.layer_labels import NAME, label_layers

if TYPE_CHECKING:
    from pathlib import Path

LABELS = {"taskcal.bake": "build", "token": "1"}
TEXT = "FROM a\nRUN x\n"


def sent(folder: Path) -> tuple[dict[str, bytes], str | None]:
    """The files of a build's context, and the name of its Dockerfile."""
    first, buffer = label_layers(folder, LABELS), io.BytesIO()
    pack_context(folder, buffer, first.files, first.left_out)
    with tarfile.open(fileobj=io.BytesIO(buffer.getvalue())) as archive:
        files = {one.name: archive.extractfile(one) for one in archive.getmembers() if one.isreg()}
        assert len(files) == len([one for one in archive.getmembers() if one.isreg()])
        return {name: file.read() for name, file in files.items() if file is not None}, first.dockerfile


@pytest.mark.parametrize(
    ("patterns", "name"),
    [
        (None, NAME),
        ("node_modules\n", "node_modules"),
        ("# said\n**/*.pyc\n", "taskcal.pyc"),
        ("/build/\n", "build"),
        ("f\n.git\n!.git/x\n", "f"),
        ("*\n!f\n", "taskcal"),
        ("Dockerfile\nnothing\n", "nothing"),
        ("", None),
        ("Dockerfile\n", None),
        ("!f\n", None),
        ("a/b\n", None),
    ],
)
def test_the_image_gets_the_folder_as_it_is(tmp_path: Path, patterns: str | None, name: str | None) -> None:
    """The engine leaves the folder's own files of it; a folder that offers no name is built as ever."""
    for file, text in (("Dockerfile", TEXT), ("f", "f"), (".dockerignore", patterns)):
        if text is not None:
            (tmp_path / file).write_text(text)
    files, dockerfile = sent(tmp_path)
    assert dockerfile == name
    ignored = Ignored(files.get(".dockerignore", b"").decode())
    if name is not None:
        assert files[name] == b'FROM a\nLABEL taskcal.bake="build" token="1"\nRUN x\n'
        removed = [one for one in (".dockerignore", name) if ignored.leaves_out(one)]
        assert name in removed
        files = {one: content for one, content in files.items() if one not in removed}
    own = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    own = {one: content for one, content in own.items() if not Ignored(patterns or "").leaves_out(one)}
    assert {one: files[one] for one in files if one in own} == own
    assert set(files) - set(own) <= {"Dockerfile"}
    assert name is None or set(files) == set(own)


@pytest.mark.parametrize("what", ["link", "nothing", "taken", "large", "pipe", "dangling", "folder"])
def test_a_folder_that_cannot_be_labelled_is_built_as_ever(tmp_path: Path, what: str) -> None:
    """The engine reports what is wrong with it."""
    if what == "link":
        (tmp_path / "other").write_text(TEXT)
        (tmp_path / "Dockerfile").symlink_to("other")
    elif what in {"pipe", "dangling", "folder"}:
        (tmp_path / "Dockerfile").write_text(TEXT)
        strange = tmp_path / ".dockerignore"
        if what == "pipe":
            os.mkfifo(strange)
        elif what == "dangling":
            strange.symlink_to("x")
        else:
            strange.mkdir()
    elif what != "nothing":
        (tmp_path / "Dockerfile").write_text(TEXT + "#" * (2**20 if what == "large" else 0))
        (tmp_path / (NAME if what == "taken" else "f")).touch()
    assert label_layers(tmp_path, LABELS).dockerfile is None


def test_an_engines_words_name_the_line_that_was_written(tmp_path: Path) -> None:
    """Not the one of the Dockerfile that it got."""
    (tmp_path / "Dockerfile").write_text("FROM a\nFROM b\nFETCH x\n")
    first = label_layers(tmp_path, LABELS)
    message = f"failed to parse {NAME}: dockerfile parse error on line 5: unknown instruction: FETCH"
    assert first.restore_names(message).startswith(
        "failed to parse Dockerfile: dockerfile parse error on line 3: unknown"
    )
