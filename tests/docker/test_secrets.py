"""An agent's key is found nowhere but in its own process: not on disk, not on the terminal, not at the engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from taskcal.sandbox.engine.labels import KEPT_PREFIX
from tests.docker.samples import rows, run_id
from tests.planted import traces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskcal.sandbox.engine.docker import DockerEngine
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

pytestmark = pytest.mark.docker

KEY = "sk-planted-5f0c2d7e91/Ab+Zy0918273645"
TASKSET = """
taskset: leaky
version: 1
environments: {box: {image: "debian:bookworm-slim", setup: touch /srv/baked}}
defaults: {environment: box, prompt: Say nothing.}
tasks:
  - id: leak
    tools:
      - name: tell
        run: |
          echo "told $word"
          for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$file; echo; done | grep -v /bin/tell >/tmp/processes
        parameters: {properties: {word: {type: string}}}
    grader:
      checks:
        - {name: note, run: "cat /tmp/leak; cat /tmp/leak >&2; exit 1"}
        - {name: answer, answer: {equals: something else}}
        - {name: file, file: /tmp/leak, equals: something else}
        - {name: in no command line, run: '! grep -F "$(cat /tmp/leak)" /tmp/processes'}
  - id: lost
    grader: {checks: [{name: score, run: "base64 /tmp/leak; cat /tmp/leak; true", score: stdout}]}
"""
AGENT = r"""
agent: leaky
kind: command
secrets: [PLANTED_KEY]
install: test -z "$PLANTED_KEY" && env >/srv/installed-with
run: |
  test -n "$PLANTED_KEY" || exit 9
  echo "whole $PLANTED_KEY"; echo "err $PLANTED_KEY" >&2
  for i in $(seq ${#PLANTED_KEY}); do printf %s "$(printf %s "$PLANTED_KEY" | cut -c$i)"; done
  printf 'user name:%s and more of it, so that it is broken' "$PLANTED_KEY" | base64
  printf %s "$PLANTED_KEY" | base64 -w 8; printf %s "$PLANTED_KEY" | od -An -tx1
  printf %s "$PLANTED_KEY" | sed 's|/|%2f|g; s|+|\\u002b|g'
  [ -z "$TASKCAL_TOOLS" ] || { tell --word "$PLANTED_KEY"; tell --wrod "$PLANTED_KEY"; }
  echo "$PLANTED_KEY" >/tmp/leak
  echo "the key is $PLANTED_KEY" >"$TASKCAL_ANSWER_FILE"
  printf '{"turns": "%s", "%s": 1}' "$PLANTED_KEY" "$PLANTED_KEY" >"$TASKCAL_USAGE_FILE"
"""

CUTS = range(1, 37, 5)
WRITTEN = {
    "plain": "cat /tmp/leak",
    "json": "sed 's|/|\\\\/|g' /tmp/leak",
    "url": "sed 's|/|%2F|g; s|+|%2B|g' /tmp/leak",
    "hex": "od -An -v -tx1 /tmp/leak | tr -d ' \\n'",
    "od": "od -An -v -tx1 /tmp/leak",
    "base64": "{ printf user:; cat /tmp/leak; } | base64 -w 0",
    "lines": "{ printf user:; cat /tmp/leak; } | base64 -w 20",
}
"""How a check prints the key, which the agent left in a file without a line's end."""

PADDING = "head -c {} /dev/zero | tr '\\0' x"
LEAVES = """
agent: leaves
kind: command
secrets: [PLANTED_KEY]
run: |
  printf %s "$PLANTED_KEY" >/tmp/leak
  for n in 3 13 23 33; do @pad >/tmp/file$n; cat /tmp/leak >>/tmp/file$n; done
  @pads; cat /tmp/leak; kill -9 $$
""".replace("@pads", PADDING.format(70000)).replace("@pad", PADDING.format("$((60 - n))"))
"""Its files hold the key where a note cuts them; its own end cuts its last words."""


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the key, planted in the environment."""
    monkeypatch.setenv("PLANTED_KEY", KEY)
    return KEY


def at_engine(engine: DockerEngine, run: str, images: Iterator[str]) -> str:
    """All that the engine tells of a run's kept containers, of each process that was run in them, and of images."""
    client: Any = engine._api
    kept = [one.id for one in engine.containers_labelled("taskcal.run") if one.name.startswith(f"{KEPT_PREFIX}{run}")]
    assert kept
    facts = [client.inspect_container(container) for container in kept]
    execs = [client.exec_inspect(name) for one in facts for name in one["ExecIDs"] or ()]
    told = [(client.inspect_image(image), client.history(image)) for image in images]
    return json.dumps([facts, execs, told, [client.top(container) for container in kept]])


def stored(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in (folder / "runs").rglob("*") if path.is_file()}


def test_a_planted_key_is_found_nowhere(taskcal: CommandLine, write: Write, engine: DockerEngine, secret: str) -> None:
    """Printed whole, in pieces and encoded, handed to a tool, in answer, usage and files, in a note and a reason."""
    write("t.yaml", TASKSET)
    write("agent.yaml", AGENT)
    try:
        ended = taskcal("run", "t.yaml", "-G1", "--no-preflight", "-a", "agent.yaml", "--keep-failed", "--retries", "0")
        assert ended.code == 0, ended.err
        row, lost = sorted(rows(taskcal.folder), key=lambda row: row["task"])
        assert (row["outcome"], row["stop"], row["answer"]) == ("graded", "finished", "the key is [PLANTED_KEY]\n")
        assert row["checks"][-1]["score"] == 1.0
        assert lost["reason"].endswith("must end with a number in [0, 1], not: [PLANTED_KEY]")
        record = json.loads(stored(taskcal.folder)[f"runs/{run_id(taskcal.folder)}/run.json"])
        assert secret not in at_engine(engine, record["id"], iter(record["images"].values()))
    finally:
        taskcal("clean", "--kept")
    shown = taskcal("show", "leak#0", "--full")
    assert traces((ended.out + ended.err + shown.out + shown.err).encode(), secret) == []
    found = stored(taskcal.folder)
    assert {name: parts for name, content in found.items() if (parts := traces(content, secret))} == {}
    log = next(content for name, content in found.items() if "/leak-" in name and name.endswith("agent.log"))
    assert log.count(b"[PLANTED_KEY]") >= 8
    assert "told [PLANTED_KEY]" in shown.out


def cutting_checks() -> Iterator[tuple[str, str]]:
    """Checks whose output is cut within the key: at the end of a note, at the driver's bounds, between two streams."""
    for name, written in WRITTEN.items():
        for at in CUTS:
            note, output, head = (PADDING.format(size - at) for size in (200, 8192, 1024))
            yield f"note {name} {at}", f"{written}; {note}"
            yield f"output {name} {at}", f"{written}; {output}"
            yield f"head {name} {at}", f"{{ {head}; {written}; {PADDING.format(9000)}; }} >&2"
            half = f"{written} >/tmp/written; head -c {at} /tmp/written"
            rest = f"tail -c +{at + 1} /tmp/written"
            yield f"error first {name} {at}", f"{{ {half}; }} >&2; {rest}"
            yield f"output first {name} {at}", f"{half}; {rest} >&2"


@pytest.mark.long
def test_a_key_is_found_nowhere_wherever_it_is_cut(taskcal: CommandLine, write: Write, secret: str) -> None:
    """By a check's note, the driver's bounds, a quoted file, a lost grader, a tool's bound or the agent's own end."""
    checks = [{"name": name, "run": f"{source}; exit 1", "weight": 1} for name, source in cutting_checks()]
    files = [{"name": f"file {n}", "file": f"/tmp/file{n}", "equals": "b"} for n in (3, 13, 23, 33)]
    tasks: list[dict[str, Any]] = [{"id": "cut", "grader": {"checks": [*checks, *files]}}]
    tasks += (
        {"id": f"lost{n}", "grader": {"checks": [{"name": "s", "run": f"cat /tmp/file{n}", "score": "stdout"}]}}
        for n in (3, 13, 23, 33)
    )
    defaults = {"environment": "box", "prompt": "Say nothing."}
    box = {"image": "debian:bookworm-slim"}
    document = {"taskset": "cut", "version": 1, "environments": {"box": box}, "defaults": defaults, "tasks": tasks}
    write("t.yaml", json.dumps(document))
    write("agent.yaml", LEAVES)
    ended = taskcal("run", "t.yaml", "-G", "1", "--no-preflight", "-a", "agent.yaml", "--retries", "0")
    assert len(rows(taskcal.folder)) == 5, ended.err
    found = {name: traces(content, secret) for name, content in stored(taskcal.folder).items()}
    assert {name: parts for name, parts in found.items() if parts} == {}
    assert traces((ended.out + ended.err).encode(), secret) == []
