"""Logos of all filters of a layer in one figure, laid out like Fig 2 of the paper."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.lines
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlproject.draw.letters import draw_letters, letter_heights
from mlproject.draw.style import GREY, INK, LABEL_COLORS, RULE
from mlproject.filters.reading import LayerReading, best_matches
from mlproject.motifs.pwm import Motif, reverse_complement

# Inches: a cell and its logo, the caption above it, a row of cells; margins, the strip's heading.
CELL, WIDTH, LOGO, CAPTION, ROW = 1.2, 1.07, 0.42, 0.13, 0.64
LEFT, TOP, BOTTOM, STRIP = 0.34, 0.5, 0.06, 0.3
LOWEST = 0.01  # bits; lower letters cannot be seen


class Label(NamedTuple):
    """The caption of a filter's logo: name and E-value of its match, and the kind of match.

    The kind is ``relevant``, ``other``, ``none`` (no match) or ``dead`` (the filter is never
    active); it selects the colour from `LABEL_COLORS`.
    """

    name: str
    evalue: str
    kind: str


def filter_labels(
    reading: LayerReading,
    targets_by_id: Mapping[str, Motif],
    relevant: Mapping[str, Sequence[str]],
) -> list[Label]:
    """Return the caption of each filter: its best relevant match, else its best match."""
    best = best_matches(reading, relevant)
    labels = []
    for motif in reading.motifs:
        found = best.get(motif.id)
        if motif.nsites == 0:
            labels.append(Label("dead", "", "dead"))
        elif found is None:
            labels.append(Label("no match", "", "none"))
        else:
            target = targets_by_id.get(found.match.target_id)
            name = (target.name if target else "") or found.match.target_id
            kind = "relevant" if found.classes else "other"
            labels.append(Label(name, format_evalue(found.match.e_value), kind))
    return labels


def format_evalue(value: float) -> str:
    """Return an E-value in its shortest form: ``3e-12``, ``0.04``."""
    if value >= 0.001 or value == 0:
        return f"{value:.2g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def logo_figure(
    reading: LayerReading,
    targets_by_id: Mapping[str, Motif],
    relevant: Mapping[str, Sequence[str]],
    truth: Sequence[Motif] = (),
    title: str = "",
) -> Figure:
    """Draw all filters of a layer on a common axis (0 to 2 bits) and the ground truth below them.

    Args:
        reading: the layer.
        targets_by_id: the motifs of the matches, by id.
        relevant: class -> ids; names of relevant matches are black, other names are grey.
        truth: ground-truth motifs, drawn with their reverse complements.
        title: text above the filters; a line with the counts follows it.
    """
    count, columns = len(reading.motifs), 6 if len(reading.motifs) <= 36 else 8
    rows, pairs = -(-count // columns), -(-len(truth) // columns)
    pair = ROW + LOGO + 0.04
    width = LEFT + columns * CELL - (CELL - WIDTH) + 0.06
    height = TOP + rows * ROW + (STRIP + pairs * pair if truth else 0.0) + BOTTOM
    figure = Figure(figsize=(width, height), facecolor="white")
    span = max(motif.width for motif in (*reading.motifs, *truth))
    labels = filter_labels(reading, targets_by_id, relevant)

    def cell(column: int, top: float) -> Axes:
        left = LEFT + column * CELL
        box = (left / width, 1 - (top + LOGO) / height, WIDTH / width, LOGO / height)
        return figure.add_axes(box)

    def write(top: float, text: str, size: float, color: str, weight: str = "normal") -> None:
        figure.text(
            LEFT / width, 1 - top / height, text, size=size, color=color, weight=weight, va="top"
        )

    write(0.08, title, 9, INK, "bold")
    write(0.26, summary(labels, any(relevant.values())), 6.5, GREY)
    for number, (motif, label) in enumerate(zip(reading.motifs, labels, strict=True)):
        row, column = divmod(number, columns)
        axes = cell(column, TOP + row * ROW + CAPTION)
        draw_logo(axes, motif.pwm, span, scale=column == 0)
        _caption(axes, label, number)
    if truth:
        top = TOP + rows * ROW + 0.06
        line = 1 - top / height
        figure.add_artist(
            matplotlib.lines.Line2D(
                [LEFT / width, 1 - 0.06 / width], [line, line], color=RULE, linewidth=0.6
            )
        )
        write(top + 0.06, "Ground truth, and below each motif its reverse complement", 6.5, GREY)
    for number, motif in enumerate(truth):
        row, column = divmod(number, columns)
        top = TOP + rows * ROW + STRIP + row * pair + CAPTION
        axes = cell(column, top)
        draw_logo(axes, motif.pwm, span, scale=column == 0)
        _caption(axes, Label(motif.name or motif.id, "", "relevant"))
        draw_logo(
            cell(column, top + LOGO + 0.06), reverse_complement(motif.pwm), span, scale=column == 0
        )
    return figure


def summary(labels: Sequence[Label], any_relevant: bool = True) -> str:
    """Return one line with the number of filters of each kind.

    Args:
        labels: the captions of the filters.
        any_relevant: whether the data set has relevant motifs.
    """
    kinds = Counter(label.kind for label in labels)
    if any_relevant:
        first = f"{kinds['relevant']} of {len(labels)} filters match a relevant motif (black)"
        texts = {"other": "only another motif (grey)", "none": "none", "dead": "dead"}
    else:
        first = f"{kinds['other']} of {len(labels)} filters match a motif"
        texts = {"none": "none", "dead": "dead"}
    parts = [f"{kinds[kind]} {text}" for kind, text in texts.items() if kinds[kind]]
    return " · ".join([first, *parts, "each with its best match and E-value"])


def draw_logo(axes: Axes, pwm: np.ndarray, span: int | None = None, scale: bool = True) -> None:
    """Draw a PWM (width, 4) as a logo of 0 to 2 bits, centred in `span` columns, with a `scale`."""
    draw_letters(axes, letter_heights(pwm), lowest=LOWEST)
    middle, half = (len(pwm) - 1) / 2, (span or len(pwm)) / 2
    axes.set(xlim=(middle - half, middle + half), ylim=(0, 2), xticks=[], yticks=[0, 1, 2])
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=RULE, linewidth=0.5)
    axes.spines["left"].set_visible(scale)
    axes.patch.set_visible(False)
    axes.tick_params(left=scale, labelleft=scale, length=1.5, width=0.5, pad=1, labelsize=5)
    axes.tick_params(color=RULE, labelcolor=GREY)
    if scale:
        axes.set_ylabel("bits", size=5.5, color=GREY, labelpad=1.5)


def _caption(axes: Axes, label: Label, number: int | None = None) -> None:
    name = label.name if len(label.name) <= 12 else label.name[:11] + "…"
    color, weight = LABEL_COLORS[label.kind], "bold" if label.kind == "relevant" else "normal"
    place: dict[str, Any] = {"y": 1.06, "transform": axes.transAxes}
    if number is not None:
        axes.text(x=0, s=str(number), size=5, color=GREY, **place)
    start = 0 if number is None else 0.13 if number < 100 else 0.17
    axes.text(x=start, s=name, size=6.5, color=color, weight=weight, **place)
    axes.text(x=1, s=label.evalue, size=5, color=GREY, ha="right", **place)
