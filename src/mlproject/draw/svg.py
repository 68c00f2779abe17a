"""Logos and charts as inline SVG, small and sharp at any size.

The four letters stand once in a page (`glyphs`), as the outlines that logomaker uses; a logo refers
to them. A logo of 19 columns takes about 3 KB.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from mlproject.draw.logos import COLORS, FONT, heights

COLUMN, LOGO = 10.0, 44.0
LOWEST = 0.03
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 46, 12, 18, 38


class Line(NamedTuple):
    """A line of a chart.

    Attributes:
        points: (points, 2) x and y.
        color: as in CSS.
        label: shown where the mouse rests.
        dash: lengths, ``""`` = solid.
        width: px.
        key: what scripts find the line by, ``""`` = not at all.
    """

    points: np.ndarray
    color: str
    label: str
    dash: str = ""
    width: float = 1.5
    key: str = ""


class Scale(NamedTuple):
    """An axis: its name, its range and where its ticks are."""

    name: str
    low: float
    high: float
    ticks: tuple[float, ...]


@lru_cache
def glyphs() -> Markup:
    """Return the hidden SVG element that defines the letters, once for a page."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath

    names = {
        Path.MOVETO: "M",
        Path.LINETO: "L",
        Path.CURVE3: "Q",
        Path.CURVE4: "C",
        Path.CLOSEPOLY: "Z",
    }
    defined = []
    for letter, color in COLORS.items():
        path = TextPath((0, 0), letter, size=1, prop=FontProperties(family=FONT, weight="bold"))
        low, high = np.array(path.get_extents().get_points())
        commands = []
        for points, code in path.iter_segments():
            unit = (points.reshape(-1, 2) - low) / (high - low)
            unit[:, 1] = 1 - unit[:, 1]
            numbers = "" if code == Path.CLOSEPOLY else _numbers(unit.ravel(), 3)
            commands.append(names[Path.code_type(code)] + numbers)
        defined.append(f'<path id="{letter}" fill="{color}" d="{"".join(commands)}"/>')
    return Markup(
        '<svg width="0" height="0" class="hidden" aria-hidden="true"><defs>{}</defs></svg>'
    ).format(Markup("").join(Markup(path) for path in defined))


def logo(pwm: np.ndarray, left: float = 0.0, top: float = 0.0) -> Markup:
    """Return the letters of a logo, `COLUMN` wide each, 2 bits `LOGO` high."""
    parts = []
    for number, column in enumerate(heights(pwm)):
        floor = top + LOGO
        x = _numbers([left + number * COLUMN + 0.2], 1)
        for letter in np.argsort(column, kind="stable"):
            if column[letter] >= LOWEST:
                height = column[letter] / 2 * LOGO
                floor -= height
                place = f"{COLUMN - 0.4:g} 0 0 {_numbers([height], 2)} {x} {_numbers([floor], 1)}"
                parts.append(f'<use href="#{"ACGT"[letter]}" transform="matrix({place})"/>')
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
        start: where its first column stands.
        columns: width of the element.
        title: text for those who do not see the picture.
        band: columns from and to which the ground is shaded.
    """
    first, last = band
    shade = Markup('<rect class="band" x="{:g}" width="{:g}" y="0" height="{:g}" rx="2"/>').format(
        first * COLUMN, (last - first) * COLUMN, LOGO + 1
    )
    parts = [shade] if last > first else []
    parts += [logo(pwm, start * COLUMN), _baseline(0, columns, LOGO)]
    return _element(columns * COLUMN, LOGO + 2, title, Markup("").join(parts), "logo")


def pair(
    query: np.ndarray,
    target: np.ndarray | None,
    shift: int,
    overlap: tuple[int, int],
    span: tuple[int, int],
    title: str,
) -> Markup:
    """Return a filter's logo above that of the motif it matches, aligned.

    Args:
        query: (width, 4), the filter.
        target: (width, 4), the motif on the strand that matches; None: there is no match.
        shift: column of the filter above the motif's first column.
        overlap: columns of the filter from and to which the two are aligned.
        span: first and last + 1 column shown.
        title: text for those who do not see the picture.
    """
    first, last = span
    width, gap = (last - first) * COLUMN, 14.0
    parts = []
    if target is not None:
        start, stop = overlap
        parts.append(
            Markup('<rect class="band" x="{:g}" width="{:g}" y="0" height="{:g}" rx="2"/>').format(
                (start - first) * COLUMN, (stop - start) * COLUMN, 2 * LOGO + gap + 1
            )
        )
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
) -> Markup:
    """Return a line chart as an SVG element.

    Args:
        lines: drawn in this order.
        x: the horizontal axis.
        y: the vertical axis.
        title: text for those who do not see the picture.
        mark: where on the x axis a dashed line stands, and its label.
        size: px.
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
                key, dash, line.color, line.width, _numbers(place(line.points).ravel(), 1)
            )
            + Markup("<title>{}</title></polyline>").format(line.label)
        )
    return _element(width, height, title, Markup("").join(parts), "chart")


def nice_ticks(low: float, high: float, count: int = 5, integer: bool = False) -> tuple[float, ...]:
    """Return round numbers inside low..high, about `count` of them."""
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


def _baseline(start: float, stop: float, y: float) -> Markup:
    return _segment("base", (start * COLUMN, y + 0.5), (stop * COLUMN, y + 0.5))


def _segment(kind: str, start: tuple[float, float], end: tuple[float, float]) -> Markup:
    return Markup('<path class="{}" d="M{}L{}"/>').format(
        kind, _numbers(start, 1), _numbers(end, 1)
    )


def _text(kind: str, x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, escape(text)
    )


def _numbers(values: Sequence[float] | np.ndarray, digits: int) -> str:
    return " ".join(f"{value:.{digits}f}".rstrip("0").rstrip(".") or "0" for value in values)
