"""How long `taskcal --help` takes, beside a bare typer app with as many commands, and what it loads.

Run by `make bench`. Times are wall clock in seconds, best and median of 7 after a warm-up that compiles; the two
programs take turns, so that a busy moment hits both.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 7
COMMANDS = 17
LIMIT = 0.25
HEAVY = ("docker", "scipy", "numpy", "requests")
TASKCAL = [sys.executable, "-m", "taskcal", "--help"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def bare_app() -> str:
    """A program with nothing but typer and its commands: what cannot be undercut with this library."""
    commands = (f"@app.command()\ndef command{number}(flag: bool = False) -> None: ..." for number in range(COMMANDS))
    return "\n".join(["import typer", "app = typer.Typer()", *commands, "app()"])


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    return time.perf_counter() - started


def loaded(command: list[str]) -> set[str]:
    """The top-level packages that a Python program imports, as its own `-X importtime` lists them."""
    timed = [command[0], "-X", "importtime", *command[1:]]
    done = subprocess.run(timed, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def line(name: str, times: list[float]) -> str:
    return f"{name:<22} best {min(times):.3f} s, median {statistics.median(times):.3f} s"


def main() -> int:
    """Measure and print; 1 where something heavy was loaded."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bare.py"
        script.write_text(bare_app())
        programs = {"taskcal --help": TASKCAL, f"bare typer, {COMMANDS} cmds": [sys.executable, str(script), "--help"]}
        for command in programs.values():
            seconds(command)
        times: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(ROUNDS):
            for name, command in programs.items():
                times[name].append(seconds(command))
    print("\n".join(line(name, measured) for name, measured in times.items()))
    heavy = sorted(loaded(TASKCAL) & set(HEAVY))
    verdict = "met" if min(times["taskcal --help"]) < LIMIT else "missed"
    print(f"target {LIMIT} s: {verdict}; heavy packages loaded: {', '.join(heavy) or 'none'}")
    return 1 if heavy else 0


if __name__ == "__main__":
    sys.exit(main())
