"""Temporary folders: gone at the end, and after a kill gone with the next one of their kind."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from taskcal.machine.draft_folders import draft_folder

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from taskcal.machine.draft_folders import draft_folder
with draft_folder(Path(sys.argv[1]), "draft-") as folder:
    (folder / "large").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_draft_is_gone_at_the_end(tmp_path: Path) -> None:
    """However it ends."""

    def broken() -> None:
        with draft_folder(tmp_path, "draft-") as folder:
            (folder / "file").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next(tmp_path: Path) -> None:
    """One of a living process stays, and so do a person's folders and links of a similar name."""
    mine = [tmp_path / "draft-of-a-letter", tmp_path / "draft-"]
    for folder in mine:
        folder.mkdir()
    (tmp_path / "draft-abcdefgh").symlink_to(mine[0])
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        held = tmp_path / process.stdout.readline().strip()
        with draft_folder(tmp_path, "draft-"):
            assert (held / "large").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert held.exists()
    with draft_folder(tmp_path, "draft-"):
        assert not held.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["draft-", "draft-abcdefgh", "draft-of-a-letter"]
