"""A check whose program exists nowhere makes a task unmeasured; a program that somebody can bring does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.docker.samples import rows

if TYPE_CHECKING:
    from tests.conftest import CommandLine
    from tests.docker.samples import Write

HEAD = """
taskset: programs
version: 1
environments:
  box: {image: "debian:bookworm-slim", workdir: /work}
  served: {extends: box, services: {db: {image: "debian:bookworm-slim", command: sleep 99}}}
defaults: {environment: box, timeouts: {agent: 20s, grader: 10s}}
tasks:
"""
BRING = "printf '#!/bin/sh\\necho hi\\n' >/usr/local/bin/greet; chmod +x /usr/local/bin/greet"
SOLUTION = "solutions: [{name: s, run: 'echo 3 >f'}]"

MISSING = {
    "alone": ("grader: {checks: [{name: a, run: jq .x f}]}", SOLUTION, "the check 'a' needs `jq`"),
    "in an expansion": ("grader: {checks: [{name: a, run: 'test \"$(jq .x f)\" = 3'}]}", SOLUTION, "needs `jq`"),
    "behind a pipe": ("grader: {checks: [{name: a, run: cat f | jq .x}]}", SOLUTION, "needs `jq`"),
    "printing a score": (
        "grader: {checks: [{name: a, score: stdout, run: jq .x f || echo 0}]}",
        SOLUTION,
        "needs `jq`",
    ),
    "in the grader's script": (
        "grader: {run: python9 /x.py, checks: [{name: a}]}",
        SOLUTION,
        "the grader's script needs",
    ),
    "in a service": (
        "environment: served\n    grader: {checks: [{name: a, run: jq ., in: db}]}",
        SOLUTION,
        "needs `jq`",
    ),
    "behind what the solution does": (
        "grader: {checks: [{name: a, run: grep -q 3 f && jq .x f}]}",
        SOLUTION,
        "needs `jq`",
    ),
    "in a shell's text": ("grader: {checks: [{name: a, run: 'sh -c \"jq .x f\"'}]}", SOLUTION, "needs `jq`"),
    "by another program": ("grader: {checks: [{name: a, run: echo f | xargs jq .x}]}", SOLUTION, "needs `jq`"),
    "by its path": ("grader: {checks: [{name: a, run: /usr/bin/jq .x f}]}", SOLUTION, "needs `jq`"),
    "silenced": ("grader: {checks: [{name: a, run: jq .x f 2>/dev/null | grep -q 3}]}", SOLUTION, "needs `jq`"),
    "looked for first": ("grader: {checks: [{name: a, run: command -v jq && jq .x f}]}", SOLUTION, "needs `jq`"),
    "without a solution": ("grader: {checks: [{name: a, run: greet}]}", "", "the task has none"),
}
PRESENT = {
    "a solution brings it": ("grader: {checks: [{name: a, run: greet}]}", f'solutions: [{{name: s, run: "{BRING}"}}]'),
    "one of two brings it": (
        "grader: {checks: [{name: a, run: greet}]}",
        f'solutions: [{{name: no, run: "true"}}, {{name: s, run: "{BRING}"}}]',
    ),
    "another way is taken": (
        "grader: {checks: [{name: a, run: jq .x f || grep -q 3 f}]}",
        SOLUTION,
    ),
    "another way is taken in silence": (
        "grader: {checks: [{name: a, run: 'if command -v jq; then jq . f; else grep -q 3 f; fi'}]}",
        SOLUTION,
    ),
    "a solution brings it, and the check refuses the rest": (
        "grader: {checks: [{name: a, run: command -v greet && greet | grep nothing}]}",
        f'solutions: [{{name: s, run: "{BRING}"}}]',
    ),
    "it is never called": ("grader: {checks: [{name: a, run: 'test -e f && { false || jq .; }; true'}]}", ""),
    "it is only looked for": ("grader: {checks: [{name: a, run: '! command -v jq'}]}", ""),
    "the agent writes it": ("grader: {checks: [{name: a, run: ./count f}]}", ""),
    "it is text": ("grader: {checks: [{name: a, run: 'echo \"a; jq b\"'}]}", ""),
}


def named(name: str) -> str:
    """A case's name as a task's id."""
    return name.replace(" ", "-").replace("'", "").replace(",", "")


def test_only_a_program_that_exists_nowhere_costs_a_task(taskcal: CommandLine, write: Write) -> None:
    """Each task of `MISSING` is lost once, at the grader, with the program's name; each of `PRESENT` is measured."""
    cases = {named(name): (grader, solutions) for name, (grader, solutions, _) in MISSING.items()}
    cases |= {named(name): parts for name, parts in PRESENT.items()}
    tasks = (
        f"  - id: {name}\n    prompt: x\n    {grader}\n    {solutions}\n" for name, (grader, solutions) in cases.items()
    )
    write("tasks.yaml", HEAD + "".join(tasks))
    done = taskcal("run", "tasks.yaml", "-a", "noop", "-G", "2", "-c", "4")
    assert done.code == 0, done.err
    recorded = rows(taskcal.folder)
    lost = {row["task"]: row for row in recorded if row["outcome"] == "lost"}
    assert {name: row["boundary"] for name, row in lost.items()} == {named(name): "grader" for name in MISSING}
    assert {name: words for name, (_, _, words) in MISSING.items() if words not in lost[named(name)]["reason"]} == {}
    assert sorted(row["task"] for row in recorded) == sorted([*map(named, MISSING), *2 * [*map(named, PRESENT)]])


def test_an_agent_that_removes_the_program_is_graded(taskcal: CommandLine, write: Write) -> None:
    """What the image has and the agent takes away is a 0 with the shell's words beside it."""
    write(
        "tasks.yaml",
        f"{HEAD}  - id: t\n    prompt: x\n    grader: {{checks: [{{name: a, run: sort f}}]}}\n    {SOLUTION}\n",
    )
    write("agent.yaml", "agent: vandal\nkind: command\nrun: rm /usr/bin/sort; echo 3 >f\n")
    done = taskcal("run", "tasks.yaml", "-a", "agent.yaml", "-G", "1")
    assert done.code == 0, done.err
    (row,) = rows(taskcal.folder)
    assert (row["outcome"], row["reward"]) == ("graded", 0.0)
    assert "sort: not found" in row["checks"][0]["note"]
