"""A ready agent file for real: mini-swe-agent from its package, in a sandbox, with a scripted model beside it."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docker import scripted_model
from tests.docker.samples import rows

if TYPE_CHECKING:
    from tests.conftest import CommandLine, Ended
    from tests.docker.samples import Write

pytestmark = [pytest.mark.docker, pytest.mark.long]

AGENTS = Path(__file__).parents[2] / "tasksets" / "agents"
KEY = "sk-scripted-0123456789abcdef"
TASKSET = f"""
taskset: ready
version: 1
defaults:
  timeouts: {{agent: 3m, setup: 15m}}
  environment:
    image: debian:bookworm-slim
    workdir: /srv
    files: {{/etc/ssl/host-ca.crt: ca.crt, /etc/pip.conf: pip.conf}}   # whom this machine trusts, for the install step
    services:
      model:
        image: debian:bookworm-slim
        files: {{/srv/model.py: model.py}}
        setup: apt-get update -q && apt-get install -yq --no-install-recommends python3
        command:
          - python3
          - /srv/model.py
          - "8000"
          - {KEY}
          - echo hello >/srv/said; echo "my key is $OPENAI_API_KEY"
          - "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT; echo said it"
        ready: python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/')"
tasks:
  - id: say
    prompt: Write hello into /srv/said.
    grader:
      checks:
        - {{name: said, run: grep -qx hello /srv/said}}
        - {{name: answered, answer: {{contains: said it}}}}
"""


SETTINGS = ("--set", "env.MODEL=openai/scripted", "--set", "env.OPENAI_API_BASE=http://model:8000/v1")


@pytest.fixture(autouse=True)
def files(taskcal: CommandLine, write: Write) -> None:
    """Put the taskset with its model, and the ready agent file with another provider's key, into the folder."""
    authorities = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    shutil.copy(authorities, taskcal.folder / "ca.crt")
    shutil.copy(scripted_model.__file__, taskcal.folder / "model.py")
    write("pip.conf", "[global]\ncert = /etc/ssl/host-ca.crt\n")
    write("t.yaml", TASKSET)
    text = (AGENTS / "mini-swe-agent.yaml").read_text()
    write("agent.yaml", text.replace("secrets: [ANTHROPIC_API_KEY]", "secrets: [OPENAI_API_KEY]"))


def measured(taskcal: CommandLine, *options: str) -> Ended:
    return taskcal("run", "t.yaml", "-G", "1", "--no-preflight", "-a", "agent.yaml", *SETTINGS, *options, seconds=1500)


def test_mini_swe_agent_works(taskcal: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed once, it does the task; its turns, tokens and answer arrive, its key is stored nowhere."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    ended = measured(taskcal)
    assert ended.code == 0, ended.err
    (row,) = rows(taskcal.folder)
    assert (row["outcome"], row["stop"], row["reward"]) == ("graded", "finished", 1.0), row
    assert (row["turns"], row["answer"]) == (2, "said it\n")
    assert row["usage"] == {"input_tokens": 200, "cached_tokens": 80, "output_tokens": 20, "cost_usd": None}
    stored = [path for path in (taskcal.folder / "runs").rglob("*") if path.is_file()]
    assert KEY not in ended.out + ended.err
    # The taskset itself holds the scripted model's key; what the agent made of its own is what must not hold it.
    mine = [path for path in stored if path.name not in {"taskset.json", "run.json"}]
    assert not [path for path in mine if KEY.encode() in path.read_bytes()]
    assert any(b"my key is [OPENAI_API_KEY]" in path.read_bytes() for path in mine)


def test_mini_swe_agents_wrong_key_is_the_providers(taskcal: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is not accepted is lost with the provider's words, and is no failure of the agent."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-0123456789")
    ended = measured(taskcal, "--retries", "0")
    assert ended.code == 4, ended.out
    (row,) = rows(taskcal.folder)
    assert (row["outcome"], row["boundary"]) == ("lost", "provider"), row
    assert "Incorrect API key provided" in row["reason"]
