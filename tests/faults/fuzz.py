"""Many hostile inputs in one process: `python -m tests.faults.fuzz KIND FIRST COUNT` prints what went wrong, by seed.

Every case calls the command line as it is, in this process. It must end with an exit code of taskcal's own, print
nothing that moves a terminal, and stay within `SECONDS` of processor time; the whole process must stay within `MEMORY`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from taskcal.cli.main import main
from taskcal.errors import TaskcalError
from tests.conftest import ROOT
from tests.faults import nasty
from tests.faults.folders import calibrated_run, check_numbers, check_page, check_plan
from tests.faults.wrong import Wrong

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 10.0
BLOCKED_SECONDS = 300.0
MEMORY = 1024**3
CODES = {0, 1, 2, 3, 4}
TASKSETS = ("shop", "machine", "repo", "webshop")


@dataclass(frozen=True)
class Called:
    """How a call of the command line ended."""

    code: int
    out: str
    err: str


def call(*arguments: str) -> Called:
    """Call taskcal in this process. Raises Wrong for a code or an output that must not be, and whatever escapes it."""
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["taskcal", *arguments]
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    done = Called(code if isinstance(code, int) else -1, out.getvalue(), err.getvalue())
    if done.code not in CODES:
        raise Wrong(f"exit {code!r}: {done.err[-500:]}")
    loud = [line for line in (done.out + done.err).split("\n") if not line.isprintable()]
    if loud:
        raise Wrong(f"printed {loud[0][:200]!r}")
    if done.code and not done.err.strip() and not done.out.strip():
        raise Wrong(f"exit {done.code} without a word")
    return done


def taskset_case(folder: Path, dice: random.Random) -> int:
    """A mutated example, looked at by `run --dry-run` or by `validate`."""
    text = (folder / f"{dice.choice(TASKSETS)}.yaml").read_text()
    (folder / "case.yaml").write_bytes(nasty.yaml_text(text, dice))
    if dice.random() < 0.2:
        return call("validate", str(folder / "case.yaml")).code
    return call("run", str(folder / "case.yaml"), "--agent", "oracle", "--dry-run").code


def agent_case(folder: Path, dice: random.Random) -> int:
    """A mutated agent file of any kind."""
    text = dice.choice((*AGENTS, *(path.read_text() for path in sorted((folder / "agents").glob("*.yaml")))))
    (folder / "agent.yaml").write_bytes(nasty.yaml_text(text, dice))
    return call("run", str(folder / "shop.yaml"), "--agent", str(folder / "agent.yaml"), "--dry-run").code


def rows_case(folder: Path, dice: random.Random) -> int:
    """Mutated tables of somebody's rewards, imported."""
    name, data = dice.choice(TABLES)
    for _ in range(dice.randint(1, 4)):
        data = dice.choice((nasty.damaged, nasty.damaged_lines, nasty.json_value))(data, dice)
    (folder / name).write_bytes(data)
    options = dice.choice(((), ("--map", "task=task,reward=score.a"), ("--reward-range", "-1,1"), ("--delimiter", ";")))
    shutil.rmtree(folder / "out", ignore_errors=True)
    return call("import", str(folder / name), "-o", str(folder / "out" / "run"), *options).code


COMMAND = """\
agent: a
kind: command
run: |
  claude -p x
install: npm i
env: {A: b}
secrets: [KEY]
network: bridge
user: agent
workdir: /app
timeout: 5m
lost_pattern: 'overloaded|rate'
price: {input: 3, output: 15}
"""
CHAT = """\
agent: b
kind: chat
base_url: http://127.0.0.1:1/v1
model: m
system: be good
max_turns: 5
tool_output: 16k
sampling: {temperature: 1, top_p: 0.9, max_tokens: 100}
price: {input: 1, cached_input: 0.1, output: 2}
"""
AGENTS = (COMMAND, CHAT, "agent: c\nkind: python\ncall: tests.faults.wrong:idle\nnetwork: none\n")
ROWS = [
    {"task": f"t{n % 3}", "variant": "v", "score": {"a": n % 2}, "reward": n / 10, "lost": None, "stop": "timeout"}
    for n in range(10)
]
TABLES = (
    ("rows.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS).encode()),
    ("rows.csv", ("task,reward,agent,cost\n" + "".join(f'"t,{n % 3}",0.{n},x,1\n' for n in range(10))).encode()),
    ("rows.csv", ("task;reward;lost\n" + "".join(f"t{n};1,0;no\n" for n in range(10))).encode()),
)


def run_case(folder: Path, dice: random.Random) -> int:
    """A run's folder that a disk, a crash or an editor changed: reported, shown and planned to be resumed."""
    whole, run = folder / "whole", folder / "case"
    if not whole.exists():
        calibrated_run(whole)
        call("report", str(whole), "--json")
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(whole, run)
    is_meant = dice.random() < 0.5  # without checksums whatever can be true is believed
    for name in dice.sample(("run.json", "taskset.json", "rollouts.jsonl"), dice.choice((1, 1, 2))):
        data = (run / name).read_bytes()
        data = re.sub(rb',\s*"crc32": "\w+"', b"", data) if is_meant else data
        change = dice.choice((nasty.damaged, nasty.damaged_lines, nasty.json_value))
        (run / name).write_bytes(change(data, dice))
    reported = call("report", str(run), "--json")
    if reported.code == 0 and not is_meant:
        check_numbers(json.loads(reported.out), json.loads((whole / "calibration.json").read_text()))
    if reported.code == 0:
        check_page((run / "report.md").read_text())
    call("report", str(run))
    call("show", str(run))
    if call("run", "--resume", str(run), "--dry-run").code == 0:
        with contextlib.suppress(TaskcalError):
            check_plan(run)
    return reported.code


CASES: dict[str, Callable[[Path, random.Random], int]] = {
    "tasksets": taskset_case,
    "agents": agent_case,
    "rows": rows_case,
    "runs": run_case,
}


def prepare(folder: Path) -> None:
    """Make a folder of examples, with what they name."""
    shutil.copytree(ROOT / "tasksets", folder, dirs_exist_ok=True)
    (folder / "taskcal.yaml").write_text("")
    os.environ.update({"KEY": "k", "OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"})


def expired(*_: object) -> NoReturn:
    """Raise where a case needs too much processor time."""
    raise Wrong(f"more than {SECONDS:g} s of processor time")


def bound() -> None:
    """Bound this process: memory, and the time of a case that waits for something that never comes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGVTALRM, expired)


def run(kind: str, first: int, count: int) -> dict[int, str]:
    """Run cases by their seeds; gives what went wrong, by seed, and the number of each exit code at -1."""
    codes: Counter[int] = Counter()
    wrong: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        folder = Path(name)
        prepare(folder)
        for seed in range(first, first + count):
            faulthandler.dump_traceback_later(BLOCKED_SECONDS, exit=True)
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
            try:
                codes[CASES[kind](folder, random.Random(f"{kind} {seed}"))] += 1  # noqa: S311 - not for secrets
            except (Exception, RecursionError) as error:  # noqa: BLE001 - that is what is looked for
                wrong[seed] = f"{type(error).__name__}: {error}"
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    faulthandler.cancel_dump_traceback_later()
    return {**wrong, -1: json.dumps(codes)}


if __name__ == "__main__":
    bound()
    for seed, what in run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).items():
        sys.stdout.write(f"{json.dumps([seed, what])}\n")
