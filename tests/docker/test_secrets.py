"""An agent's key is found nowhere but in its own process: not on disk, not on the terminal, not at the engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.sandbox.labels import KEPT_PREFIX
from tests.docker.samples import rows, run_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskcal.sandbox.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

KEY = "sk-planted-5f0c2d7e91"
TASKSET = """
taskset: leaky
version: 1
tasks:
  - id: leak
    prompt: Say nothing.
    environment: {image: "debian:bookworm-slim", setup: touch /srv/baked}
    tools: [{name: tell, run: 'echo "told $word"', parameters: {properties: {word: {type: string}}}}]
    grader:
      checks:
        - {name: note, run: "cat /tmp/leak; cat /tmp/leak >&2; exit 1"}
        - {name: answer, answer: {equals: something else}}
        - {name: file, file: /tmp/leak, equals: something else}
"""
AGENT = r"""
agent: leaky
kind: command
secrets: [PLANTED_KEY]
install: test -z "$PLANTED_KEY" && env >/srv/installed-with
run: |
  test -n "$PLANTED_KEY" || exit 9
  echo "whole $PLANTED_KEY"; echo "err $PLANTED_KEY" >&2
  for i in $(seq ${#PLANTED_KEY}); do printf %s "$(printf %s "$PLANTED_KEY" | cut -c$i)"; sleep 0.01; done
  tell --word "$PLANTED_KEY"; tell --wrod "$PLANTED_KEY"
  echo "$PLANTED_KEY" >/tmp/leak
  echo "the key is $PLANTED_KEY" >"$TASKCAL_ANSWER_FILE"
  printf '{"turns": "%s", "%s": 1}' "$PLANTED_KEY" "$PLANTED_KEY" >"$TASKCAL_USAGE_FILE"
"""


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the key, planted in the environment."""
    monkeypatch.setenv("PLANTED_KEY", KEY)
    return KEY


def at_engine(engine: DockerEngine, run: str, images: Iterator[str]) -> str:
    """All that the engine tells of a run's kept container, of each process that was run in it, and of images."""
    client: Any = engine._client
    kept = [one.id for one in engine.containers_labelled("taskcal.run") if one.name.startswith(f"{KEPT_PREFIX}{run}")]
    assert kept
    facts = [client.inspect_container(container) for container in kept]
    execs = [client.exec_inspect(name) for one in facts for name in one["ExecIDs"] or ()]
    told = [(client.inspect_image(image), client.history(image)) for image in images]
    return json.dumps([facts, execs, told])


def stored(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in (folder / "runs").rglob("*") if path.is_file()}


def test_a_planted_key_is_found_nowhere(taskcal: CommandLine, write: Write, engine: DockerEngine, secret: str) -> None:
    """Printed whole and in pieces, handed to a tool, written into answer, usage and files, and into a check's note."""
    write("t.yaml", TASKSET)
    write("agent.yaml", AGENT)
    try:
        ended = taskcal("run", "t.yaml", "-G", "1", "--no-preflight", "-a", "agent.yaml", "--keep-failed")
        assert ended.code == 0, ended.err
        (row,) = rows(taskcal.folder)
        assert (row["outcome"], row["stop"], row["answer"]) == ("graded", "finished", "the key is [PLANTED_KEY]\n")
        record = json.loads(stored(taskcal.folder)[f"runs/{run_id(taskcal.folder)}/run.json"])
        assert secret not in at_engine(engine, record["id"], iter(record["images"].values()))
    finally:
        taskcal("clean", "--kept")
    shown = taskcal("show", "leak#0", "--full")
    assert secret not in ended.out + ended.err + shown.out + shown.err
    found = stored(taskcal.folder)
    assert [name for name, content in found.items() if secret.encode() in content] == []
    log = next(content for name, content in found.items() if name.endswith("agent.log"))
    assert log.count(b"[PLANTED_KEY]") >= 4
    assert "told [PLANTED_KEY]" in shown.out
