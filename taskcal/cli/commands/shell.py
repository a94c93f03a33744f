"""`taskcal shell`: the author's inner loop, a sandbox as the agent gets it, graded when the shell is left."""

from __future__ import annotations

from typing import Annotated

import typer


def shell(
    file: Annotated[str, typer.Argument(help="A taskset.", show_default=False)],
    task: Annotated[str, typer.Argument(help="A task, or task/variant.", show_default=False)],
    variant: Annotated[str | None, typer.Option("--variant", help="Which variant. (default: the first)")] = None,
    solution: Annotated[
        str | None, typer.Option("--solution", help="Play this solution or wrong answer first, then grade.")
    ] = None,
    allow_network: Annotated[str, typer.Option("--allow-network", help="none, hosts or bridge.")] = "bridge",
) -> None:
    """Open a shell in a task's sandbox, or run a script from standard input there; then grade, and print every check.

    What a script prints is shown on standard error, control characters as escapes. Exits with 0 when the task was
    graded, whatever the reward and the script's exit status, which is printed.
    """
    from taskcal.cli.open_shell import ShellOptions, open_shell

    raise typer.Exit(open_shell(ShellOptions(file, task, variant, solution, allow_network)))
