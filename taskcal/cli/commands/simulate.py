"""`taskcal simulate`: what fixed and adaptive designs would take and get wrong, before any rollout is paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from taskcal.cli.options.populations import Measured
    from taskcal.core.forecast.compare_designs import Scale, Simulation
    from taskcal.core.forecast.population import Population
    from taskcal.core.forecast.simulate import Plan, Terms
    from taskcal.core.stats.prior import Grid
    from taskcal.core.verdict import Band

DESIGNS = "Designs"
PRICE = "What it takes"
OUTPUT = "Output"


def simulate(
    population: Annotated[
        str,
        typer.Argument(
            help="typical, uniform, u-shaped, hard-heavy, middling, near-edge; a formula, such as "
            "'0.3*uniform(0,0.01)+0.7*beta(1,1.5)'; a file with a true rate or a k/n a line; or a run (its folder, its "
            "id, last)."
        ),
    ] = "typical",
    group_size: Annotated[
        str,
        typer.Option(
            "--group-size", "-G", help="Fixed: rollouts of every task.", metavar="N,N,…", rich_help_panel=DESIGNS
        ),
    ] = "8,16,32,64",
    rule: Annotated[
        str,
        typer.Option(
            help="Adaptive: posterior, value, certify, or none.", metavar="RULE,RULE,…", rich_help_panel=DESIGNS
        ),
    ] = "posterior,value,certify",
    max_group_size: Annotated[
        int | None,
        typer.Option(
            help="Adaptive: the most of one task. (default: 64, to certify 128)",
            min=1,
            max=512,
            rich_help_panel=DESIGNS,
        ),
    ] = None,
    error_rate: Annotated[
        float | None,
        typer.Option(
            help="How often a sure verdict may be wrong. (default: 0.05)", min=0.001, max=0.5, rich_help_panel=DESIGNS
        ),
    ] = None,
    band: Annotated[
        str | None,
        typer.Option(
            help="Success rates worth training on; 5,75 is in percent. (default: 0.05,0.75, or the run's)",
            metavar="LOW,HIGH",
            rich_help_panel=DESIGNS,
        ),
    ] = None,
    prior: Annotated[
        str,
        typer.Option(
            help="default: the prior of a run of few tasks; learned: as many tasks teach it, at best.",
            rich_help_panel=DESIGNS,
        ),
    ] = "default",
    training_group_size: Annotated[
        int | None,
        typer.Option(help="The G that signal is for. (default: 8)", min=2, max=1000, rich_help_panel=DESIGNS),
    ] = None,
    tasks: Annotated[
        int | None,
        typer.Option(help="Tasks. (default: 200, or as many as the file or run has)", min=1, rich_help_panel=PRICE),
    ] = None,
    seconds: Annotated[
        str | None,
        typer.Option(
            help="What a rollout takes on average, such as 90s. (default: 60, or the run's)",
            metavar="DURATION",
            rich_help_panel=PRICE,
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            "--concurrency", "-c", help="Rollouts at a time. (default: 8, or the run's)", min=1, rich_help_panel=PRICE
        ),
    ] = None,
    cost: Annotated[
        float | None,
        typer.Option(help="US dollars a rollout. (default: the run's, if it has any)", min=0, rich_help_panel=PRICE),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON and nothing else.", rich_help_panel=OUTPUT)
    ] = False,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="Write this HTML page, with plots.", metavar="FILE", rich_help_panel=OUTPUT
        ),
    ] = None,
    runs: Annotated[
        str | None, typer.Option(help="Folder that holds runs. (default: runs)", rich_help_panel=OUTPUT)
    ] = None,
) -> None:
    """Forecast what fixed and adaptive designs take and get wrong on a taskset, to choose G before paying.

    Exact sums over all outcomes, no chance. True success rates are assumed, or learned from a run.
    """
    from dataclasses import replace
    from pathlib import Path

    from taskcal.cli.options.configuration import find_configuration
    from taskcal.cli.options.parse import read_band
    from taskcal.cli.options.populations import find_population
    from taskcal.core.forecast.compare_designs import compare_designs
    from taskcal.core.forecast.simulate import Terms
    from taskcal.core.verdict import Band

    configured = find_configuration(Path.cwd())
    assumed = find_population(population, Path(runs or configured.runs or "runs"))
    edges = read_band(band) if band else assumed.measured.band or Band()
    found = assumed.population(edges)
    scale = _scale(assumed.measured, (tasks, seconds, concurrency, cost))
    terms = Terms(edges, error_rate or 0.05, training_group_size=training_group_size or 8)
    terms = replace(terms, prior=_prior(prior, found, scale.tasks, edges) or terms.prior)
    plans = [*_fixed(group_size, terms), *_adaptive(rule, max_group_size, terms)]
    simulation = compare_designs(found, plans, terms, scale)
    if output:
        _write(Path(output), simulation)
    _show(simulation, as_json=as_json)
    if output and not as_json:
        typer.echo(f"plot: {output}")


def _scale(measured: Measured, given: tuple[int | None, str | None, int | None, float | None]) -> Scale:
    """What was typed before what a run measured before the defaults."""
    from taskcal.core.forecast.compare_designs import Scale
    from taskcal.errors import UsageError
    from taskcal.yamlfile.quantities import parse_duration

    tasks, seconds, concurrency, cost = given
    try:
        duration = parse_duration(seconds) if seconds else measured.seconds or 60.0
    except ValueError as error:
        raise UsageError(f"--seconds {seconds}: {error}") from error
    return Scale(
        tasks or measured.tasks or 200,
        duration,
        concurrency or measured.concurrency or 8,
        measured.cost_usd if cost is None else cost,
    )


def _prior(name: str, population: Population, tasks: int, band: Band) -> Grid | None:
    """The prior to judge by; None is the default one."""
    from taskcal.core.forecast.population import learned_prior
    from taskcal.core.stats.prior import FEWEST_TASKS
    from taskcal.errors import UsageError

    if name == "default":
        return None
    if name != "learned":
        raise UsageError(f"--prior {name}: must be default or learned")
    if tasks < FEWEST_TASKS:
        raise UsageError(f"--prior learned: a run learns its prior from {FEWEST_TASKS} tasks on, these are {tasks}")
    return learned_prior(population, tasks, band)


def _fixed(text: str, terms: Terms) -> list[Plan]:
    from taskcal.core.forecast.simulate import LARGEST, fixed_plan
    from taskcal.errors import UsageError

    sizes = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if not all(1 <= size <= LARGEST for size in sizes):
        raise UsageError(f"--group-size {text}: whole numbers from 1 to {LARGEST} with commas between, such as 8,16,32")
    return [fixed_plan(size, terms) for size in dict.fromkeys(sizes)]


def _adaptive(text: str, limit: int | None, terms: Terms) -> list[Plan]:
    from taskcal.core.adaptive.design import Rule
    from taskcal.core.forecast.simulate import adaptive_plan
    from taskcal.errors import UsageError

    rules = {rule.value: rule for rule in (Rule.POSTERIOR, Rule.VALUE, Rule.CERTIFY)}
    named = [] if text.strip() == "none" else [part.strip() for part in text.split(",")]
    if not set(named) <= set(rules):
        raise UsageError(f"--rule {text}: some of {', '.join(rules)} with commas between, or none")
    return [adaptive_plan(rules[name], terms, limit) for name in dict.fromkeys(named)]


def _write(path: Path, simulation: Simulation) -> None:
    from taskcal.errors import UsageError
    from taskcal.report.forecast.html import render_html

    try:
        path.write_text(render_html(simulation), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--output {path}: {error.strerror or error}") from error


def _show(simulation: Simulation, *, as_json: bool) -> None:
    """JSON, the table on a terminal, or plain lines elsewhere."""
    import sys

    from taskcal.cli.terminal.output import print_json
    from taskcal.report.forecast import json_document, table

    if as_json:
        print_json(json_document.render(simulation))
    elif sys.stdout.isatty():
        from rich.console import Console

        Console(file=sys.stdout).print(table.ForecastTable(simulation))
    else:
        typer.echo("\n".join(table.forecast_lines(simulation)))
