"""`taskcal run`: measure every task G times in containers of its own, and print what is known of it then."""

from __future__ import annotations

from typing import Annotated

import typer

HARD = "Bounds for what a task may ask for"
CHOICE = "Which tasks"
OUTPUT = "Output"
ADAPTIVE = "As few rollouts as can be"
SPEND = "Bounds for what this call may spend"


def run(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Tasksets: files, folders or globs.", show_default=False, metavar="FILES..."),
    ] = None,
    group_size: Annotated[
        int | None, typer.Option("--group-size", "-G", help="Rollouts of each task variant. (default: 8)", min=1)
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option("--agent", "-a", help="noop, oracle, simulated, or a file. (default: $TASKCAL_AGENT)"),
    ] = None,
    agent_version: Annotated[
        str | None,
        typer.Option("--agent-version", help="What the name does not say, such as step-1200.", metavar="VERSION"),
    ] = None,
    no_preflight: Annotated[
        bool,
        typer.Option(
            "--no-preflight", envvar="TASKCAL_NO_PREFLIGHT", help="Do not try a new agent on a trivial task first."
        ),
    ] = False,
    set_: Annotated[
        list[str], typer.Option("--set", help="Override a key of the agent file: key=value.", metavar="KEY=VALUE")
    ] = [],  # noqa: B006 - typer's way to say: none given
    task: Annotated[
        list[str], typer.Option("--task", help="A task, task/variant, or a glob.", rich_help_panel=CHOICE)
    ] = [],  # noqa: B006
    param: Annotated[
        list[str], typer.Option("--param", help="Variants with this param: name=value.", rich_help_panel=CHOICE)
    ] = [],  # noqa: B006
    tag: Annotated[list[str], typer.Option("--tag", help="Tasks with this tag.", rich_help_panel=CHOICE)] = [],  # noqa: B006
    limit: Annotated[
        int | None, typer.Option("--limit", help="The first N of the chosen tasks.", min=1, rich_help_panel=CHOICE)
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", "-c", help="Rollouts at a time. (default: from the machine)", min=1)
    ] = None,
    retries: Annotated[
        int | None, typer.Option("--retries", help="Further attempts at a lost rollout. (default: 2)", min=0)
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of the run. (default: random, recorded)", min=0)
    ] = None,
    band: Annotated[
        str | None,
        typer.Option(
            "--band",
            help="Success rates worth training on; 5,75 is in percent. (default: 0.05,0.75)",
            metavar="LOW,HIGH",
        ),
    ] = None,
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", help="never, or flagged: exit 1 then. (default: never)", metavar="WHAT")
    ] = None,
    max_lost: Annotated[
        float | None,
        typer.Option("--max-lost", help="Share of lost rollouts beyond which to exit 4. (default: 0.2)", min=0, max=1),
    ] = None,
    allow_network: Annotated[
        str,
        typer.Option(
            "--allow-network",
            help="none, hosts (lists of them) or bridge; builds and setup have a network with bridge alone.",
            rich_help_panel=HARD,
        ),
    ] = "bridge",
    max_memory: Annotated[str | None, typer.Option("--max-memory", help="Such as 4g.", rich_help_panel=HARD)] = None,
    max_cpus: Annotated[float | None, typer.Option("--max-cpus", help="Such as 2.", rich_help_panel=HARD)] = None,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Stop at each task when its verdict is sure.", rich_help_panel=ADAPTIVE)
    ] = False,
    error_rate: Annotated[
        float | None,
        typer.Option(
            "--error-rate",
            help="How often a sure verdict may be wrong. (default: 0.05)",
            min=1e-6,
            max=0.5,
            rich_help_panel=ADAPTIVE,
        ),
    ] = None,
    max_group_size: Annotated[
        int | None,
        typer.Option(
            "--max-group-size",
            help="Most rollouts of a task. (default: 64; to certify 128)",
            min=4,
            max=256,
            rich_help_panel=ADAPTIVE,
        ),
    ] = None,
    certify: Annotated[
        bool,
        typer.Option("--certify", help="Stop only where a guarantee holds for any prior.", rich_help_panel=ADAPTIVE),
    ] = False,
    stop: Annotated[
        str | None,
        typer.Option(
            "--stop",
            help="sure, or value: when another rollout is not worth it. (default: sure)",
            metavar="WHEN",
            rich_help_panel=ADAPTIVE,
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option("--budget", help="So many rollouts, where they are worth most.", min=1, rich_help_panel=ADAPTIVE),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            "--prior", help="Start from an earlier calibration of these tasks.", metavar="RUN", rich_help_panel=ADAPTIVE
        ),
    ] = None,
    flat_tolerance: Annotated[
        float | None,
        typer.Option("--flat-tolerance", help="Rewards this close count as equal. (default: 0.02)", min=0, max=1),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="What the band is about: success, or reward. (default: success)")
    ] = None,
    max_rollouts: Annotated[
        int | None, typer.Option("--max-rollouts", help="Attempts, retries among them.", min=1, rich_help_panel=SPEND)
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(
            "--max-cost",
            help="US dollars, by the agent file's price or as the agent reports.",
            min=0,
            rich_help_panel=SPEND,
        ),
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option("--time-limit", help="Start nothing after this, such as 2h.", rich_help_panel=SPEND)
    ] = None,
    max_tasks: Annotated[
        int | None, typer.Option("--max-tasks", help="Refuse a larger choice of variants.", min=1, rich_help_panel=HARD)
    ] = None,
    allow_image: Annotated[
        list[str],
        typer.Option("--allow-image", help="A glob of allowed images; `build` allows folders.", rich_help_panel=HARD),
    ] = [],  # noqa: B006
    untrusted: Annotated[
        bool, typer.Option("--untrusted", help="The taskset is a stranger's: see README.", rich_help_panel=HARD)
    ] = False,
    resume: Annotated[
        str | None, typer.Option("--resume", help="Go on with a run (a folder, an id, or last).", metavar="RUN")
    ] = None,
    extend: Annotated[
        bool, typer.Option("--extend", help="With --resume: allow a larger --group-size, --max-group-size or --budget.")
    ] = False,
    keep_failed: Annotated[
        bool, typer.Option("--keep-failed", help="Leave one failed container per task variant, to look into.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would run; needs no engine.", rich_help_panel=OUTPUT)
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the calibration as JSON and nothing else.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=OUTPUT)] = False,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="Folder that holds runs. (default: runs)", rich_help_panel=OUTPUT)
    ] = None,
) -> None:
    """Measure tasksets: every task GROUP-SIZE times, each in a container of its own, graded by its checks.

    Exits with 0 when done, 1 where --fail-on found something, 2 for wrong usage, 3 when nothing can run, 4 when nothing
    was graded or too much was lost, 130 when interrupted.
    """
    from pathlib import Path

    from taskcal.cli.options.configuration import Configuration, find_configuration
    from taskcal.cli.options.design import DesignOptions
    from taskcal.cli.options.parse import read_duration
    from taskcal.cli.options.request import RunOptions, resolve_request
    from taskcal.cli.options.resume_options import fill_from_run
    from taskcal.core.plan import Selection
    from taskcal.runs.request import Spending
    from taskcal.runs.untrusted import UntrustedOptions

    configured = Configuration() if untrusted else find_configuration(Path.cwd())
    seconds = None if time_limit is None else read_duration("--time-limit", time_limit)
    design = DesignOptions(adaptive, error_rate, max_group_size, certify, budget, stop, flat_tolerance, metric, prior)
    given = RunOptions(
        files=tuple(files or ()),
        agent=agent,
        agent_version=agent_version,
        preflight=not no_preflight,
        overrides=tuple(set_),
        selection=Selection(tuple(task), (), tuple(tag), limit),
        params=tuple(param),
        group_size=group_size,
        concurrency=concurrency,
        retries=retries,
        seed=seed,
        band=band,
        fail_on=fail_on,
        max_lost=max_lost,
        allow_network=allow_network,
        max_memory=max_memory,
        max_cpus=max_cpus,
        keep_failed=keep_failed,
        as_json=as_json,
        quiet=quiet,
        out=out,
        resume=resume,
        extend=extend,
        design=design,
        strangers=UntrustedOptions(max_tasks, tuple(allow_image), untrusted),
        spending=Spending(max_rollouts, max_cost, seconds),
    )
    request = resolve_request(fill_from_run(given, configured), configured)
    if dry_run:
        from taskcal.cli.commands.dry_run import describe_request

        return typer.echo(describe_request(request))
    from taskcal.cli.measure import measure

    raise typer.Exit(measure(request))
