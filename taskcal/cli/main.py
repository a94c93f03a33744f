"""The command line's entry: assembles the commands, and turns known errors into one line and an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from taskcal import __version__
from taskcal.cli.commands.clean import clean
from taskcal.cli.commands.doctor import doctor
from taskcal.cli.commands.import_ import import_
from taskcal.cli.commands.init import init
from taskcal.cli.commands.report import report
from taskcal.cli.commands.run import run
from taskcal.cli.commands.schema import schema
from taskcal.cli.commands.shell import shell
from taskcal.cli.commands.show import show
from taskcal.cli.commands.simulate import simulate
from taskcal.cli.commands.validate import validate
from taskcal.cli.terminal.output import guarded_streams

if TYPE_CHECKING:
    from taskcal.errors import TaskcalError

app = typer.Typer(
    name="taskcal",
    help="Calibrate tasksets for reinforcement learning: which tasks succeed sometimes but not always.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = {
    "Prepare": (init, validate, schema, doctor, clean),
    "Measure": (simulate, shell, run),
    "Look and decide": (report, show),
    "From and to elsewhere": (import_,),
}

for _group, _functions in COMMANDS.items():
    for _function in _functions:
        app.command(_function.__name__.strip("_"), rich_help_panel=_group)(_function)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"taskcal {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Calibrate tasksets for reinforcement learning: which tasks succeed sometimes but not always."""


def _shown(error: Exception) -> str:
    """An error's lines for a terminal, on which the texts of strangers in them do nothing."""
    from taskcal.report.wording.sanitize import LONGEST_LINE, plain

    return "\n".join(plain(line, LONGEST_LINE) for line in str(error).split("\n"))


def main() -> None:
    """Run the command line; known errors end with their exit code and without a traceback."""
    with guarded_streams() as settle:
        status = settle(_run())
    sys.exit(status)


def _run() -> int:
    """Run the command that was typed; gives its exit code."""
    try:
        app(standalone_mode=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    except Exception as error:
        from taskcal.errors import TaskcalError

        if not isinstance(error, TaskcalError):
            raise
        sys.stderr.write(f"{_shown(error)}\n")
        return _code_of(error)
    return 0


def _code_of(error: TaskcalError) -> int:
    """An error's exit code; a command without rollouts, such as `shell` or `clean`, can end with a loss."""
    from taskcal.core.gate import Exit
    from taskcal.errors import EngineLost, LostError

    if isinstance(error, LostError):
        return int(Exit.NOTHING_CAN_RUN if isinstance(error, EngineLost) else Exit.TOO_MUCH_LOST)
    return error.exit_code
