"""`taskcal init`: a small taskset that runs at once, to be changed into one's own."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotations when the command is declared
from typing import Annotated

import typer

TASKSET = """\
# yaml-language-server: $schema=taskset.schema.json
taskset: first-steps                      # its name in reports
version: 1                                # of this format

environments:                             # what the agent works in; tasks name one
  shell:
    image: debian:bookworm-slim           # or build: FOLDER, with a Dockerfile in it
    workdir: /work
    # setup: apt-get update && apt-get install -y jq     # once, then frozen into an image
    # files: {/work/input.csv: fixtures/input.csv}       # destination: source below this file

defaults:                                 # whatever tasks have in common, except id and variants
  environment: shell
  timeouts: {agent: 5m}

tasks:
  - id: sum-of-numbers
    tags: [shell]
    # Params fill in the prompt, and reach scripts as environment variables: $last, $sum. The agent does not see those.
    prompt: |
      Write the sum of all whole numbers from 1 to {{ last }} into the file /work/sum.txt.
      {% if hint == "with-hint" %}There is a formula for it: n * (n + 1) / 2.{% endif %}
    params: {last: 100, sum: 5050}
    variants: {hint: [with-hint, without-hint]}     # two variants; each is measured on its own
    grader:
      checks:                             # two to four, so that the reward has steps between 0 and 1
        - {name: the file is there, weight: 0.2, file: /work/sum.txt, exists: true}
        - {name: the sum is right, weight: 0.8, run: 'test "$(cat sum.txt)" = "$sum"'}
    solutions:                            # prove that the task can be done: each must pass
      - {name: formula, run: 'echo $((last * (last + 1) / 2)) > sum.txt'}
    wrong:                                # prove that the grader notices: each must stay at or under its bound
      - {name: off by one, reward_at_most: 0.2, run: 'echo $((last * (last - 1) / 2)) > sum.txt'}
      - {name: only says so, reward_at_most: 0, answer: The sum is 5050.}

  - id: make-script
    tags: [shell, scripts]
    prompt: |
      Write a shell script /work/hello.sh that prints "hello NAME" for the name that is its first argument.
      It must be executable.
    grader:
      checks:
        - {name: it is executable, weight: 0.3, run: test -x hello.sh}
        # This check runs what the agent wrote, so it runs alone, and last.
        - {name: it greets, weight: 0.7, alone: true, timeout: 10s, run: 'test "$(./hello.sh Ada)" = "hello Ada"'}
    solutions:
      - name: printf
        run: |
          printf '#!/bin/sh\\necho "hello $1"\\n' > hello.sh
          chmod +x hello.sh
    wrong:
      - name: always greets the same
        reward_at_most: 0.3
        run: |
          printf '#!/bin/sh\\necho "hello World"\\n' > hello.sh
          chmod +x hello.sh
"""
AGENT = """\
# yaml-language-server: $schema=agent.schema.json
agent: half-good                          # its name in reports
kind: simulated                           # plays a task's own solutions, with this probability; costs nothing
success: {"*": 0.5, make-script: 0.8}     # task id or glob: probability

# A real agent is a command that runs inside the sandbox:
#
# agent: my-agent
# kind: command
# install: pip install my-agent           # once per image
# run: my-agent --prompt-file "$TASKCAL_PROMPT_FILE"
# secrets: [MY_API_KEY]                   # names of your variables that it may see
# network: bridge
"""


def init(
    folder: Annotated[Path, typer.Argument(help="The folder to write into; made if it does not exist.")],
) -> None:
    """Write a small commented taskset, and an agent file that runs at once."""
    from taskcal.cli.commands.schema import SchemaKind, schema_text, write_text

    contents = {
        folder / "taskset.yaml": TASKSET,
        folder / "agent.yaml": AGENT,
        folder / "taskset.schema.json": schema_text(SchemaKind.TASKSET),
        folder / "agent.schema.json": schema_text(SchemaKind.AGENT),
    }
    _prepare(folder, contents)
    for path, text in contents.items():
        write_text(path, text)
        typer.echo(f"wrote {path}")
    typer.echo(_next_steps(folder))


def _prepare(folder: Path, contents: dict[Path, str]) -> None:
    """Make the folder; raises UsageError where that fails or a file would be overwritten."""
    from taskcal.errors import UsageError

    for path in contents:
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} exists already; choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made: {error.strerror}") from error


def _next_steps(folder: Path) -> str:
    import shlex

    taskset, agent = (shlex.quote(str(folder / name)) for name in ("taskset.yaml", "agent.yaml"))
    return f"next:\n  taskcal validate {taskset}\n  taskcal run {taskset} --agent {agent} --group-size 8"
