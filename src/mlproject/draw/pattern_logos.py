"""The patterns of TF-MoDISco as logos, each above its best match."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlproject.attribution.patterns import Patterns
from mlproject.draw.letters import draw_letters, letter_heights
from mlproject.draw.logos import filter_labels
from mlproject.draw.style import FAINT, GREY, INK, LABEL_COLORS, RULE, bare_axes
from mlproject.filters.reading import best_matches
from mlproject.motifs.pwm import Motif, reverse_complement
from mlproject.system.messages import quantity

COLUMNS = 3
# Inches: a cell, its two logos, the row of captions; margins.
CELL, WIDTH, LOGO, CAPTION, GAP, ROW = 2.36, 2.2, 0.5, 0.16, 0.06, 1.36
LEFT, TOP, BOTTOM = 0.12, 0.52, 0.06
FLANK = 4


def pattern_figure(
    found: Patterns,
    targets: Mapping[str, Motif],
    relevant: Mapping[str, Sequence[str]],
    title: str,
    numbers: bool = False,
) -> Figure:
    """Draw the mean contributions of each pattern, with its best match below it.

    Args:
        found: the patterns.
        targets: the motifs of the matches, by id.
        relevant: class -> ids; names of relevant matches are black, other names are grey.
        title: text above the patterns; a line with the counts follows it.
        numbers: whether the data have outputs that are numbers instead of classes.
    """
    reading = found.reading
    labels = filter_labels(reading, targets, relevant)
    best = best_matches(reading, relevant)
    rows = max(-(-len(labels) // COLUMNS), 1)
    width, tall = LEFT + COLUMNS * CELL, TOP + rows * ROW + BOTTOM
    figure = Figure(figsize=(width, tall), facecolor="white")
    kinds = [label.kind for label in labels]
    line = quantity(len(labels), "pattern")
    own = "outputs" if numbers else "classes"
    matching = kinds.count("relevant")
    line += f", {matching} match{'es' * (matching == 1)} a motif of the {own} (black)"
    line += f" · {kinds.count('other')} only another (grey) · {kinds.count('none')} none"
    line += " · contributions, and below the match with its E-value"
    figure.text(LEFT / width, 1 - 0.07 / tall, title, size=9, color=INK, weight="bold", va="top")
    figure.text(
        LEFT / width, 1 - 0.26 / tall, line,
        size=6.5, color=GREY, va="top",
    )  # fmt: skip
    for number, (motif, label) in enumerate(zip(reading.motifs, labels, strict=True)):
        row, column = divmod(number, COLUMNS)
        top = TOP + row * ROW + CAPTION
        boxes = [
            ((LEFT + column * CELL) / width, 1 - (down + LOGO) / tall, WIDTH / width, LOGO / tall)
            for down in (top, top + LOGO + GAP)
        ]
        upper, lower = (figure.add_axes(box) for box in boxes)
        span = (-0.5 - FLANK, motif.width - 0.5 + FLANK)
        _logo(upper, found.contributions[number], 0, span)
        if match := best.get(motif.id):
            pwm = targets[match.match.target_id].pwm
            turned = reverse_complement(pwm) if match.match.orientation == "-" else pwm
            _logo(lower, letter_heights(turned), -match.match.offset, span, 2.0)
        else:
            lower.set_axis_off()
        color = LABEL_COLORS[label.kind]
        place: dict[str, Any] = {"y": 1.05, "transform": upper.transAxes, "va": "bottom"}
        upper.text(x=0, s=label.name, size=7, color=color, weight="bold", **place)
        note = f"{label.evalue}  ·  " if label.evalue else ""
        note += quantity(round(motif.nsites), "seqlet")
        upper.text(x=1, s=note, size=5.5, color=FAINT, ha="right", **place)
    return figure


def _logo(
    axes: Axes, letters: np.ndarray, first: int, span: tuple[float, float], top: float | None = None
) -> None:
    high = top or float(letters.clip(min=0).sum(axis=1).max(initial=1e-9))
    low = min(0.0, float(letters.clip(max=0).sum(axis=1).min(initial=0.0)))
    columns = first + np.arange(len(letters))
    inside = (span[0] < columns) & (columns < span[1])
    draw_letters(axes, letters * inside[:, None], first, 0.01 * high)
    axes.axhline(0, color=RULE, linewidth=0.5, zorder=0)
    bare_axes(axes, span, (low, high))
