"""A simulation as one HTML page that needs nothing beside itself: the table, the plots, and what to make of them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from taskcal.report.forecast.plot import errors_plot, rates_plot, rollouts_plot
from taskcal.report.forecast.words import about, advise_on_sizes, columns, forecast_legend, forecast_title, setting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskcal.core.forecast.compare_designs import Simulation

MOST_PANELS = 12

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #5b6570; --page: #ffffff; --rule: #d9dee3;
  --fixed: #6b7280; --rule0: #0072b2; --rule1: #b5540a; --rule2: #007a57;
  --hard: #d55e00; --band: #009e73; --easy: #56b4e9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ec; --dim: #9aa5b1; --page: #14181c; --rule: #333b43;
    --fixed: #a3adb8; --rule0: #5ab4f0; --rule1: #f0954a; --rule2: #3fcf9f; }
}
body { background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
p { margin: .3rem 0; overflow-wrap: anywhere; }
.dim, figcaption { color: var(--dim); }
.choice { font-weight: 600; }
.scroll { overflow-x: auto; } .scroll > svg { min-width: 34rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .25rem .55rem; text-align: right; border-bottom: 1px solid var(--rule); }
th { color: var(--dim); font-weight: 500; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg text.tick, svg text.axis { fill: var(--dim); font-size: 11px; }
.grid { stroke: var(--rule); stroke-width: 1; }
.line { fill: none; stroke-width: 1.3; }
.thick { stroke-width: 2.2; }
.rule0 { --of: var(--rule0); } .rule1 { --of: var(--rule1); } .rule2 { --of: var(--rule2); }
.fixed { --of: var(--fixed); }
.line { stroke: var(--of); } circle, svg text[class^=rule] { fill: var(--of); } .key { color: var(--of); }
.line.edge { stroke: var(--ink); stroke-dasharray: 3 3; }
.hard { fill: var(--hard); background: var(--hard); } .band { fill: var(--band); background: var(--band); }
.easy { fill: var(--easy); background: var(--easy); } .leaning { opacity: .4; }
.swatch { display: inline-block; width: .9em; height: .9em; border-radius: 2px; vertical-align: -.1em; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; font-size: .9rem; color: var(--dim); }
dd { margin: 0; }
"""


def render_html(simulation: Simulation) -> str:
    """The page."""
    first, *rest = advise_on_sizes(simulation)
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>taskcal simulate: {escape(forecast_title(simulation))}</title>",
            f"<style>{STYLE}</style>\n</head>\n<body>",
            f"<h1>{escape(forecast_title(simulation))}</h1>",
            *_paragraphs([about(simulation), *setting(simulation)], "dim"),
            *_paragraphs([first], "choice"),
            _table(simulation),
            *_paragraphs(rest, ""),
            *_errors(simulation),
            *_rates(simulation),
            *_rollouts(simulation),
            "</body>\n</html>\n",
        ]
    )


def _paragraphs(lines: Iterable[str], kind: str) -> list[str]:
    return [f'<p class="{kind}">{escape(line).replace(" %", "&nbsp;%")}</p>' for line in lines]


def _table(simulation: Simulation) -> str:
    shown = columns(simulation)
    head = "".join(f"<th>{escape(column.title)}</th>" for column in shown)
    rows = [
        "".join(f"<td>{escape(column.cell(one, simulation))}</td>" for column in shown) for one in simulation.forecasts
    ]
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    terms = "".join(f"<dt>{escape(name)}</dt><dd>{escape(means)}</dd>" for name, means in forecast_legend(shown))
    table = f"<table><tr>{head}</tr>\n{body}</table>"
    return f"{_scrolling(table)}\n<dl>{terms}</dl>"


def _scrolling(wide: str) -> str:
    return f'<div class="scroll">{wide}</div>'


def _errors(simulation: Simulation) -> list[str]:
    about = (
        "Grey: every fixed group size, which is no smooth line, since k/n meets the band's edges only at some sizes."
    )
    more = (
        " In colour: adaptive rules, and what they do when asked to be more or less sure."
        if simulation.adaptive
        else ""
    )
    return [
        "<h2>What it takes to be right</h2>",
        *_paragraphs([about + more], "dim"),
        _scrolling(errors_plot(simulation)),
    ]


def _rates(simulation: Simulation) -> list[str]:
    keys = ("hard", "too-hard"), ("band", "in-band"), ("easy", "too-easy")
    key = ", ".join(f'<span class="swatch {kind}"></span> {name}' for kind, name in keys)
    panels = [
        f"<figure>{rates_plot(one, simulation.terms.band)}<figcaption>{escape(one.plan.name)}</figcaption></figure>"
        for one in simulation.forecasts[:MOST_PANELS]
    ]
    return [
        "<h2>What is said of a task, by its true success rate</h2>",
        f'<p class="dim">Chances of each verdict: {key}; faint where it only leans. Dashed: the band.</p>',
        f'<div class="panels">{"".join(panels)}</div>',
    ]


def _rollouts(simulation: Simulation) -> list[str]:
    if not simulation.adaptive:
        return []
    names = [
        f'<span class="key rule{rank}">{escape(one.plan.name)}</span>' for rank, one in enumerate(simulation.adaptive)
    ]
    return [
        "<h2>Where an adaptive run spends its rollouts</h2>",
        f'<p class="dim">Near the edges of the band: {", ".join(names)}.</p>',
        _scrolling(rollouts_plot(simulation)),
    ]
