"""Logos and charts as inline SVG, small and sharp at any size.

A page defines the four letters once (`letters.svg_letters`); logos refer to them. A logo of 19
columns takes about 3 KB.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from mlproject.draw.letters import FILL, letter_heights, stack_letters, svg_numbers

COLUMN, LOGO = 10.0, 44.0
LOWEST = 0.03
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 46, 12, 18, 38


class Line(NamedTuple):
    """A line of a chart.

    Attributes:
        points: (points, 2) x and y.
        color: as in CSS.
        label: the tooltip.
        dash: lengths, ``""`` = solid.
        width: px.
        key: the name by which scripts find the line, ``""`` = none.
    """

    points: np.ndarray
    color: str
    label: str
    dash: str = ""
    width: float = 1.5
    key: str = ""


class Scale(NamedTuple):
    """An axis: name, range and places of the ticks."""

    name: str
    low: float
    high: float
    ticks: tuple[float, ...]


def logo(pwm: np.ndarray, left: float = 0.0, top: float = 0.0) -> Markup:
    """Return the letters of a PWM (width, 4): columns are `COLUMN` wide, 2 bits `LOGO` high."""
    parts = []
    for letter, number, bottom, height in stack_letters(letter_heights(pwm), LOWEST):
        x = svg_numbers((left + (number + (1 - FILL) / 2) * COLUMN,), 1)
        y = svg_numbers((top + LOGO - (bottom + height) / 2 * LOGO,), 1)
        size = f"{FILL * COLUMN:g} 0 0 {svg_numbers((height / 2 * LOGO,), 2)}"
        parts.append(f'<use href="#{letter}" transform="matrix({size} {x} {y})"/>')
    return Markup("".join(parts))


def single(pwm: np.ndarray, title: str, columns: int | None = None) -> Markup:
    """Return one logo as an SVG element, centred in `columns` columns."""
    span = columns or len(pwm)
    letters = logo(pwm, (span - len(pwm)) / 2 * COLUMN)
    return _element(span * COLUMN, LOGO + 2, title, letters + _baseline(0, span, LOGO), "logo")


def placed(pwm: np.ndarray, start: int, columns: int, title: str, band: tuple[int, int]) -> Markup:
    """Return one logo as an SVG element of `columns` columns, from column `start` on.

    Args:
        pwm: (width, 4).
        start: column of the element at which the logo starts.
        columns: width of the element.
        title: the alternative text.
        band: first and last + 1 shaded column.
    """
    first, last = band
    parts = [_band(first, last, LOGO + 1)] if last > first else []
    parts += [logo(pwm, start * COLUMN), _baseline(0, columns, LOGO)]
    return _element(columns * COLUMN, LOGO + 2, title, Markup("").join(parts), "logo")


def signed(
    heights: np.ndarray, title: str, bands: Sequence[tuple[int, int]] = (), high: float = 60.0
) -> Markup:
    """Return the contributions of a sequence's letters as an SVG element.

    Args:
        heights: (positions, 4); negative letters hang below the line. The largest column fills the
            element.
        title: the alternative text.
        bands: first and last + 1 shaded position of each planted motif.
        high: height of the element, px.
    """
    above = float(heights.clip(min=0).sum(axis=1).max(initial=0.0))
    below = float(-heights.clip(max=0).sum(axis=1).min(initial=0.0))
    unit = high / max(above + below, 1e-12)
    zero = above * unit
    parts = [_band(first, last, high) for first, last in bands]
    for letter, number, bottom, height in stack_letters(heights, (above + below) * LOWEST / 4):
        x = svg_numbers(((number + (1 - FILL) / 2) * COLUMN,), 1)
        y = svg_numbers((zero - (bottom + height) * unit,), 1)
        size = f"{FILL * COLUMN:g} 0 0 {svg_numbers((height * unit,), 2)}"
        parts.append(Markup(f'<use href="#{letter}" transform="matrix({size} {x} {y})"/>'))
    parts.append(_baseline(0, len(heights), zero))
    return _element(len(heights) * COLUMN, high + 2, title, Markup("").join(parts), "track")


def pair(
    query: np.ndarray,
    target: np.ndarray | None,
    shift: int,
    overlap: tuple[int, int],
    span: tuple[int, int],
    title: str,
) -> Markup:
    """Return a filter's logo above the aligned logo of its matching motif.

    Args:
        query: (width, 4), the filter.
        target: (width, 4), the motif on the matching strand; None = no match.
        shift: column of the filter at which the motif starts.
        overlap: first and last + 1 column of the filter that are aligned with the motif.
        span: first and last + 1 column shown.
        title: the alternative text.
    """
    first, last = span
    width, gap = (last - first) * COLUMN, 14.0
    parts = []
    if target is not None:
        start, stop = overlap
        parts.append(_band(start - first, stop - first, 2 * LOGO + gap + 1))
    parts += [logo(query, -first * COLUMN), _baseline(-first, len(query) - first, LOGO)]
    if target is not None:
        top = LOGO + gap
        parts.append(logo(target, (shift - first) * COLUMN, top))
        parts.append(_baseline(shift - first, shift + len(target) - first, top + LOGO))
    return _element(width, 2 * LOGO + gap + 2, title, Markup("").join(parts), "logo")


def chart(
    lines: Sequence[Line],
    x: Scale,
    y: Scale,
    title: str,
    mark: tuple[float, str] | None = None,
    size: tuple[int, int] = (440, 300),
    cells: Sequence[tuple[float, float, float, float, str]] = (),
) -> Markup:
    """Return a line chart as an SVG element.

    Args:
        lines: in the order of drawing.
        x: the horizontal axis.
        y: the vertical axis.
        title: the alternative text.
        mark: x of a dashed line, and its label.
        size: px.
        cells: left, bottom, right, top and colour of rectangles behind the lines.
    """
    width, height = size
    bottom, right = height - MARGIN_BOTTOM, width - MARGIN_RIGHT

    def place(points: np.ndarray) -> np.ndarray:
        unit = (points - [x.low, y.low]) / [x.high - x.low or 1, y.high - y.low or 1]
        return unit * [right - MARGIN_LEFT, MARGIN_TOP - bottom] + [MARGIN_LEFT, bottom]

    parts = []
    for tick in x.ticks:
        (at, _), text = place(np.array([tick, y.low])), f"{tick:g}"
        parts.append(_segment("grid", (at, MARGIN_TOP), (at, bottom)))
        parts.append(_text("tick", at, bottom + 15, text, "middle"))
    for tick in y.ticks:
        (_, at), text = place(np.array([x.low, tick])), f"{tick:g}"
        parts.append(_segment("grid", (MARGIN_LEFT, at), (right, at)))
        parts.append(_text("tick", MARGIN_LEFT - 6, at + 3.5, text, "end"))
    parts.append(_text("axis", (MARGIN_LEFT + right) / 2, height - 5, x.name, "middle"))
    parts.append(_text("axis", 0, 10, y.name, "start"))
    shades: dict[str, list[str]] = {}
    for left, low, right_end, top, color in cells:
        (x1, y1), (x2, y2) = place(np.array([[left, low], [right_end, top]]))
        path = f"M{x1:.1f} {y1:.1f}H{x2:.1f}V{y2:.1f}H{x1:.1f}Z"
        shades.setdefault(color, []).append(path)
    for color, paths in shades.items():
        parts.append(Markup('<path fill="{}" d="{}"/>').format(color, "".join(paths)))
    if mark:
        at = place(np.array([mark[0], y.low]))[0]
        parts.append(_segment("mark", (at, MARGIN_TOP), (at, bottom)))
        parts.append(_text("tick", at, MARGIN_TOP - 5, mark[1], "middle"))
    for line in lines:
        if len(line.points) == 1:
            x_dot, y_dot = place(line.points)[0]
            dot = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3.5" fill="{}"/>')
            parts.append(dot.format(x_dot, y_dot, line.color))
        key = Markup(' data-key="{}"').format(line.key) if line.key else ""
        dash = Markup(' stroke-dasharray="{}"').format(line.dash) if line.dash else ""
        parts.append(
            Markup('<polyline class="line"{}{} stroke="{}" stroke-width="{}" points="{}">').format(
                key, dash, line.color, line.width, svg_numbers(place(line.points).ravel(), 1)
            )
            + Markup("<title>{}</title></polyline>").format(line.label)
        )
    return _element(width, height, title, Markup("").join(parts), "chart")


def nice_ticks(low: float, high: float, count: int = 5, integer: bool = False) -> tuple[float, ...]:
    """Return about `count` round numbers from `low` to `high`."""
    from matplotlib.ticker import MaxNLocator

    steps = MaxNLocator(count, integer=integer, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    slack = 1e-9 * max(abs(low), abs(high), 1e-9)
    return tuple(float(f"{step:.6g}") for step in steps if low - slack <= step <= high + slack)


def _element(width: float, height: float, title: str, content: Markup, kind: str) -> Markup:
    return (
        Markup('<svg class="{}" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">').format(
            kind, width, height, title
        )
        + content
        + Markup("</svg>")
    )


def _band(first: float, last: float, height: float) -> Markup:
    return Markup('<rect class="band" x="{:g}" width="{:g}" y="0" height="{:g}" rx="2"/>').format(
        first * COLUMN, (last - first) * COLUMN, height
    )


def _baseline(start: float, stop: float, y: float) -> Markup:
    return _segment("base", (start * COLUMN, y + 0.5), (stop * COLUMN, y + 0.5))


def _segment(kind: str, start: tuple[float, float], end: tuple[float, float]) -> Markup:
    return Markup('<path class="{}" d="M{}L{}"/>').format(
        kind, svg_numbers(start, 1), svg_numbers(end, 1)
    )


def _text(kind: str, x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, escape(text)
    )
