"""Plots as SVG, written by hand: a figure with two axes, and lines, bands, bars and dots on it. Knows nothing of loads.

Colours are classes, which the page around it defines for light and for dark. What a shape means is in its `<title>`, which
browsers show on hovering and screen readers read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

import attrs

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 74, 14, 12, 44
TICKS_MAX = 6

Point = tuple[float, float]
Tick = tuple[float, str]


@attrs.frozen
class Scale:
    """From values to pixels, in a straight line or by the logarithm."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        if self.is_log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


@attrs.frozen
class Axis:
    """What a figure needs to know of one direction. Two ends that are the same are pulled apart."""

    label: str
    low: float
    high: float
    text: Callable[[float], str]
    is_log: bool = False
    ticks: tuple[Tick, ...] | None = None
    """None: round numbers."""

    def scale(self, start: float, end: float) -> Scale:
        if self.is_log:
            low = self.low if self.low > 0 else 1.0
            return Scale(low, self.high if self.high > low else low * 10, start, end, is_log=True)
        return Scale(self.low, self.high if self.high > self.low else self.low + 1, start, end)

    def marks(self) -> Sequence[Tick]:
        if self.ticks is not None:
            return self.ticks
        values = log_ticks(self.low, self.high) if self.is_log else linear_ticks(self.low, self.high)
        return [(value, self.text(value)) for value in values]


def linear_ticks(low: float, high: float) -> list[float]:
    """At most `TICKS_MAX` round numbers from `low` to `high`."""
    span = high - low if high > low else 1.0
    step = 10 ** math.floor(math.log10(span / TICKS_MAX))
    while span / step > TICKS_MAX:
        step *= 2.5 if round(step / 10 ** math.floor(math.log10(step)), 6) == 2 else 2
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten; in a narrow span also 2 and 5 times them."""
    low = low if low > 0 else 1.0
    high = high if high > low else low * 10
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 2.5 else (1,)
    return [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high * 1.0001]


class Figure:
    def __init__(self, x: Axis, y: Axis, *, title: str) -> None:
        """`title` says what is to be seen, for those who cannot see it."""
        self.x = x.scale(LEFT, WIDTH - RIGHT)
        self.y = y.scale(HEIGHT - BOTTOM, TOP)
        self._axes = [*_grid(y, self.y), *_x_axis(x, self.x), _y_label(y)]
        self._title = title
        self._shapes: list[str] = []

    def line(self, points: Iterable[Point], css: str, *, title: str = "", is_step: bool = False) -> None:
        """Through all points; `is_step`: level from each to the next one."""
        path: list[str] = []
        for x, y in points:
            at_x, at_y = f"{self.x(x):.1f}", f"{self.y(y):.1f}"
            if not path:
                path.append(f"M{at_x} {at_y}")
            else:
                path.append(f"H{at_x}V{at_y}" if is_step else f"L{at_x} {at_y}")
        if path:
            self._shapes.append(f'<path class="line {css}" d="{"".join(path)}">{_title(title)}</path>')

    def band(self, points: Sequence[tuple[float, float, float]], css: str, *, title: str = "") -> None:
        """Between the second and the third of each, over the first."""
        there = [f"{self.x(x):.1f} {self.y(low):.1f}" for x, low, _ in points]
        back = [f"{self.x(x):.1f} {self.y(high):.1f}" for x, _, high in reversed(points)]
        if len(points) > 1:
            self._shapes.append(f'<path class="band {css}" d="M{"L".join([*there, *back])}Z">{_title(title)}</path>')

    def bar(self, start: float, end: float, height: float, css: str, *, title: str = "") -> None:
        left, right, top = self.x(start), self.x(end), self.y(height)
        width, length = max(right - left, 1.5), HEIGHT - BOTTOM - top
        self._shapes.append(
            f'<rect class="bar {css}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{length:.1f}">'
            f"{_title(title)}</rect>"
        )

    def dot(self, x: float, y: float, css: str, *, title: str = "") -> None:
        self._shapes.append(
            f'<circle class="dot {css}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="4">{_title(title)}</circle>'
        )

    def rule(self, x: float, css: str, *, title: str = "") -> None:
        """A line from top to bottom."""
        at = f"{self.x(x):.1f}"
        self._shapes.append(f'<path class="rule {css}" d="M{at} {TOP}V{HEIGHT - BOTTOM}">{_title(title)}</path>')

    def text(self) -> str:
        head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self._title)}">'
        return "\n".join([head, *self._axes, *self._shapes, "</svg>"])


def _grid(axis: Axis, scale: Scale) -> list[str]:
    parts = []
    for value, label in axis.marks():
        at = scale(value)
        parts.append(f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    return parts


def _x_axis(axis: Axis, scale: Scale) -> list[str]:
    bottom = HEIGHT - BOTTOM
    parts = [f'<path class="axis" d="M{LEFT} {bottom}H{WIDTH - RIGHT}"/>']
    for value, label in axis.marks():
        at = scale(value)
        parts.append(f'<path class="axis" d="M{at:.1f} {bottom}v4"/>')
        anchor = "end" if at > WIDTH - RIGHT - 16 else "middle"
        parts.append(f'<text class="tick" x="{at:.1f}" y="{bottom + 17}" text-anchor="{anchor}">{escape(label)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="label" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(axis.label)}</text>')
    return parts


def _y_label(axis: Axis) -> str:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return (
        f'<text class="label" transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">'
        f"{escape(axis.label)}</text>"
    )


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""
