"""The plots of a simulation as SVG: what a design gets wrong for what it takes, and what it does at each true rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from taskcal.core.forecast.simulate import forecast_rates, frontier
from taskcal.report.forecast.words import format_number, format_share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskcal.core.forecast.compare_designs import Simulation
    from taskcal.core.forecast.simulate import Forecast, RateForecast
    from taskcal.core.verdict import Band

POINTS = 60
FEWEST = 4
LABEL_HEIGHT, LABEL_WIDTH = 13.0, 125.0
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Ticks:
    """Values along an axis, and how they are written."""

    values: Sequence[float]
    text: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class PlotFrame:
    """A drawing area in a view of `width` by `height`, with margins for ticks; both scales map onto [0, 1]."""

    width: float
    height: float
    across: Callable[[float], float]
    up: Callable[[float], float]
    left: float = 52
    right: float = 22
    top: float = 12
    bottom: float = 40

    def at(self, x: float, y: float) -> Point:
        """A point of the view."""
        inner_width, inner_height = self.width - self.left - self.right, self.height - self.top - self.bottom
        return self.left + inner_width * self.across(x), self.height - self.bottom - inner_height * self.up(y)

    def path(self, points: Iterable[Point]) -> str:
        """The points of a line, of this frame's scales."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*point) for point in points))

    def svg(self, label: str, parts: Iterable[str]) -> str:
        """The whole drawing; `label` is what it shows, for those who cannot see it."""
        head = f'<svg viewBox="0 0 {self.width:g} {self.height:g}" role="img" aria-label="{escape(label)}">'
        return "\n".join([head, *parts, "</svg>"])


def errors_plot(simulation: Simulation) -> str:
    """The share of wrong verdicts against rollouts a task: all fixed group sizes as a line, adaptive designs as dots.

    The thin lines of adaptive designs lead through the same rule at other error rates or prices.
    """
    lines = {one.plan.name: frontier(one.plan, simulation.population, simulation.terms) for one in simulation.adaptive}
    shown = [*simulation.forecasts, *(one for line in lines.values() for one in line)]
    most = max([64.0, *(one.rollouts for one in shown)]) * 1.1
    sizes = [size for size in simulation.sizes if FEWEST <= size.group_size <= most]
    highest = max([0.01, *(size.wrong for size in sizes), *(one.wrong for one in simulation.forecasts)]) * 1.08
    frame = PlotFrame(
        720,
        400,
        across=lambda x: math.log(max(x, FEWEST) / FEWEST) / math.log(most / FEWEST),
        up=lambda y: min(1.0, y / highest),
    )
    parts = [*_grid(frame, Ticks(_doublings(most), format_number), Ticks(_steps(highest), format_share))]
    parts += _axes(frame, "rollouts a task (each step doubles them)", "wrong verdicts")
    parts.append(_line(frame, [(size.group_size, size.wrong) for size in sizes], "fixed"))
    for rank, line in enumerate(lines.values()):
        parts.append(_line(frame, [(one.rollouts, one.wrong) for one in line if one.wrong <= highest], f"rule{rank}"))
    parts += _marks(frame, simulation)
    return frame.svg("Share of wrong verdicts against rollouts a task, for fixed and adaptive designs", parts)


def rates_plot(one: Forecast, band: Band) -> str:
    """What a design says of tasks of each true rate: areas for the classes, full where sure, pale where leaning."""
    rates = _rates()
    found = forecast_rates(one.plan, rates)
    frame = PlotFrame(330, 190, across=_angle, up=lambda y: y, left=40, bottom=36)
    parts: list[str] = []
    floor = [0.0] * len(rates)
    for place, name in enumerate(("hard", "band", "easy")):
        for kind, height in (("sure", _sure), ("leaning", _leaning)):
            ceiling = [low + height(fate, place) for low, fate in zip(floor, found, strict=True)]
            outline = [*zip(rates, ceiling, strict=True), *reversed(list(zip(rates, floor, strict=True)))]
            parts.append(f'<polygon class="{name} {kind}" points="{frame.path(outline)}"/>')
            floor = ceiling
    parts += [_line(frame, [(edge, 0.0), (edge, 1.0)], "edge") for edge in (band.low, band.high)]
    ticks = Ticks([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0], format_share)
    parts += _grid(frame, ticks, Ticks([0.0, 0.5, 1.0], format_share))
    parts += _axes(frame, "true success rate", "")
    return frame.svg(f"{one.plan.name}: chance of each verdict by true success rate", parts)


def rollouts_plot(simulation: Simulation) -> str:
    """How many rollouts each adaptive design gives to a task, by its true rate."""
    rates = _rates()
    found = [forecast_rates(one.plan, rates) for one in simulation.adaptive]
    most = max([1.0, *(fate.rollouts for line in found for fate in line)]) * 1.08
    frame = PlotFrame(720, 260, across=_angle, up=lambda y: y / most)
    ticks = Ticks([0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0], format_share)
    parts = _grid(frame, ticks, Ticks(_steps(most), format_number))
    parts += _axes(frame, "true success rate", "rollouts a task")
    for rank, line in enumerate(found):
        points = [(rate, fate.rollouts) for rate, fate in zip(rates, line, strict=True)]
        parts.append(_line(frame, points, f"rule{rank} thick"))
    return frame.svg("Rollouts a task by its true success rate, for adaptive designs", parts)


def _marks(frame: PlotFrame, simulation: Simulation) -> list[str]:
    """A dot and a label for each design that was asked for: above its line, or for adaptive designs below theirs."""
    parts, taken = [], list[Point]()
    for one in sorted(simulation.forecasts, key=lambda one: one.rollouts):
        x, y = frame.at(one.rollouts, one.wrong)
        fixed = one.plan.rule is None
        kind = "fixed" if fixed else f"rule{simulation.adaptive.index(one)}"
        label = _free((x, y - 12 if fixed else y + 17), -LABEL_HEIGHT if fixed else LABEL_HEIGHT, taken)
        taken.append((x, label))
        left = x > frame.width - LABEL_WIDTH or (not fixed and x > frame.left + LABEL_WIDTH)
        at = f'x="{x - 7:.1f}" text-anchor="end"' if left else f'x="{x + 7:.1f}"'
        told = f"{one.plan.name}: {format_number(one.rollouts)} rollouts a task, {format_share(one.wrong)} wrong"
        parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{escape(told)}</title></circle>')
        parts.append(f'<text class="{kind}" {at} y="{label:.1f}">{escape(one.plan.name)}</text>')
    return parts


def _free(start: Point, step: float, taken: Sequence[Point]) -> float:
    """The first height from the start on, step by step, at which a label covers none of those taken."""
    x, y = start
    while any(abs(y - other) < LABEL_HEIGHT and abs(x - beside) < LABEL_WIDTH for beside, other in taken):
        y += step
    return y


def _grid(frame: PlotFrame, across: Ticks, up: Ticks) -> list[str]:
    return [*(_tick(frame, x, across.text) for x in across.values), *(_level(frame, y, up.text) for y in up.values)]


def _tick(frame: PlotFrame, value: float, text: Callable[[float], str]) -> str:
    x, ground = frame.at(value, 0.0)
    return f'<text class="tick" x="{x:.1f}" y="{ground + 16:.1f}" text-anchor="middle">{escape(text(value))}</text>'


def _level(frame: PlotFrame, value: float, text: Callable[[float], str]) -> str:
    start, end, y = frame.left, frame.width - frame.right, frame.at(0.0, value)[1]
    label = f'<text class="tick" x="{start - 6:g}" y="{y + 4:.1f}" text-anchor="end">{escape(text(value))}</text>'
    return f'<line class="grid" x1="{start:g}" y1="{y:.1f}" x2="{end:g}" y2="{y:.1f}"/>{label}'


def _axes(frame: PlotFrame, across: str, up: str) -> list[str]:
    middle = (frame.left + frame.width - frame.right) / 2
    texts = [f'<text class="axis" x="{middle:.1f}" y="{frame.height - 4:g}" text-anchor="middle">{across}</text>']
    if up:
        texts.append(f'<text class="axis" x="{frame.left:g}" y="{frame.top - 1:g}">{up}</text>')
    return texts


def _line(frame: PlotFrame, points: Sequence[Point], kind: str) -> str:
    return f'<polyline class="line {kind}" points="{frame.path(points)}"/>'


def _rates() -> list[float]:
    """Evenly spaced on the axis that `_angle` makes."""
    return [math.sin(math.pi / 2 * step / POINTS) ** 2 for step in range(POINTS + 1)]


def _angle(rate: float) -> float:
    """Stretches both ends, where the band's edges and most tasks lie."""
    return math.asin(math.sqrt(rate)) / (math.pi / 2)


def _doublings(most: float) -> list[float]:
    return [float(FEWEST * 2**power) for power in range(1 + int(math.log2(most / FEWEST)))]


def _steps(most: float) -> list[float]:
    """Round numbers from 0, about five of them."""
    rough = most / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * times for times in (1, 2, 5, 10) if unit * times >= rough)
    return [step * count for count in range(int(most / step) + 1)]


def _sure(fate: RateForecast, place: int) -> float:
    return fate.sure[place]


def _leaning(fate: RateForecast, place: int) -> float:
    return max(0.0, fate.verdicts[place] - fate.sure[place])
