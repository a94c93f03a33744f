"""Each fault as a task that has it: the agent runs the prompt as a script, and the task brings what breaks."""

from __future__ import annotations

import textwrap

from tests.faults.attempts import PATCH

AGENT = 'agent: obedient\nkind: command\nrun: exec sh -c "$TASKCAL_PROMPT"\n'
WORKS = "touch /tmp/done"
HUNGRY = "exec perl -e '$x = q(a) x 400_000_000; sleep 1'"
ENDS_ITSELF = f"perl -e '{PATCH.replace(chr(39), chr(34))}'; kill -9 -1"
SHORT = "timeouts: {agent: 2s}"
SCORED = "grader: {run: exit 1, checks: [{name: a}]}"


# A service that ends when the agent calls it, and not before.
ANSWER = "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 7001, Listen => 1); $s->accept'"
CALL = "perl -MIO::Socket::INET -e 'sleep 1 until IO::Socket::INET->new(q(127.0.0.1:7001))'"


IN_DB = 'grader: {checks: [{name: a, run: "true", in: db}]}'


def serving(command: str) -> str:
    """An environment with a service."""
    service = f'{{image: "debian:bookworm-slim", command: "{command}", ready: "true && sleep 1"}}'
    return f"environment: {{extends: box, services: {{db: {service}}}}}\n"


SCENES = {
    "agent-timeout": (f"{WORKS}; echo at work; sleep 60", SHORT),
    "agent-crash": (f"{WORKS}; echo last words; exit 9", ""),
    "agent-out-of-memory": (f"{WORKS}; {HUNGRY}", "environment: {extends: box, memory: 64m}"),
    "fork-bomb": (f"{WORKS}; while :; do sleep 60 >/dev/null 2>&1 & done", "environment: {extends: box, pids: 64}"),
    "full-disk": (f"{WORKS}; cat /dev/zero >/run/taskcal/x", ""),
    "endless-output": (f"{WORKS}; exec yes", SHORT),
    "ended-sandbox": (f"{WORKS}; {ENDS_ITSELF}", ""),
    "broken-judge": (f"{WORKS}; rm /usr/bin/sh /usr/bin/dash", ""),
    "check-crash": (WORKS, "grader: {checks: [{name: a, run: kill -SEGV $$}]}"),
    "check-hang": (WORKS, "grader: {checks: [{name: a, run: sleep 60}]}"),
    "check-interpreter": (f"{WORKS}; rm /usr/bin/sort", "grader: {checks: [{name: a, run: sort /tmp/done}]}"),
    "check-program": (WORKS, "grader: {checks: [{name: a, run: no-such-program /grader/x}]}"),
    "check-no-number": (WORKS, "grader: {checks: [{name: a, run: echo perhaps, score: stdout}]}"),
    "script-crash": (WORKS, SCORED),
    "setup": (WORKS, "environment: {extends: box, setup: echo broken; exit 3}"),
    "start": (WORKS, "environment: {extends: box, start: echo broken; exit 3}"),
    "service": (WORKS, serving("echo last words; exit 1")),
    "service-ended": (f"{CALL}; sleep 2", serving(f"{ANSWER}; echo bye") + IN_DB),
    "image-missing": (WORKS, "environment: {image: 'taskcal-test.invalid/nothing:1'}"),
    "image-unbuildable": (WORKS, "environment: {build: broken}"),
    "agent-127": (f"{WORKS}; echo at work; no-such-program", ""),
    "agent-gives-up": ("echo overloaded; exit 75", ""),
    "service-later": (WORKS, serving("case $TASKCAL_ROLLOUT in *probe*) sleep 99 ;; *) exit 7 ;; esac")),
    "container-removed": ("echo up; sleep 60", "timeouts: {agent: 90s}"),
}  # fmt: skip

HEAD = """\
taskset: faults
version: 1
environments: {box: {image: "debian:bookworm-slim"}}
defaults: {environment: box, timeouts: {agent: 20s, grader: 2s}, grader: {checks: [{name: a, run: test -e /tmp/done}]}}
tasks:
"""


def taskset() -> str:
    """All scenes as one taskset."""
    return HEAD + "".join(_task(name, prompt, rest) for name, (prompt, rest) in SCENES.items())


def _task(name: str, prompt: str, rest: str) -> str:
    script = textwrap.indent(prompt, " " * 6)
    return f"  - id: {name}\n    prompt: |\n{script}\n{textwrap.indent(rest, ' ' * 4)}\n"
