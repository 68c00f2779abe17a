"""Logos of several networks side by side, as Fig 2, 3, 4, S1 and S2 of the paper show them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from mlproject.interpret.filters import LayerReading, best_matches
from mlproject.interpret.logos import LABEL_COLORS, Label, filter_labels
from mlproject.motifs import Motif, reverse_complement
from mlproject.report.canvas import Canvas

INK, GREY = "#1F2933", "#66727F"
# Inches: a cell and its logo, a row of cells, the strip's rows; between blocks; margins, headings.
CELL, WIDTH, ROW, LOGO, STRIP, BETWEEN = 0.92, 0.74, 0.36, 0.27, 0.82, 0.2
LEFT, TOP, HEADING, BOTTOM, EDGE = 0.22, 0.32, 0.4, 0.02, 0.06


class Block(NamedTuple):
    """One network's layer.

    Attributes:
        title: stands above.
        reading: its filters.
        columns: logos in a row.
    """

    title: str
    reading: LayerReading
    columns: int = 3


def panel_figure(
    blocks: Sequence[Block],
    relevant: Mapping[str, Sequence[str]],
    targets: Sequence[Motif],
    truth: Sequence[Motif],
    title: str = "",
    truth_title: str = "Ground truth, and its reverse complement",
) -> Figure:
    """Draw the filters of each block, named where they match, and the ground truth below.

    Filters that match a relevant motif come first, by its name; then those that match another
    motif (grey), then those that match none; dead filters last, empty.

    Args:
        blocks: from left to right.
        relevant: class -> ids.
        targets: the motifs that matches name.
        truth: motifs of the strip below.
        title: stands above all.
        truth_title: stands above the strip.
    """
    known = {motif.id: motif for motif in targets}
    rows = max(-(-len(block.reading.motifs) // block.columns) for block in blocks)
    lefts, left = [], LEFT
    for block in blocks:
        lefts.append(left)
        left += block.columns * CELL + BETWEEN
    width = left - BETWEEN - CELL + WIDTH + EDGE
    per_row = balanced(len(truth), int((width - LEFT - EDGE + CELL - WIDTH) // CELL))
    top = TOP if title else 0.1
    body = top + HEADING + rows * ROW
    strips = -(-len(truth) // per_row) if truth else 0
    canvas = Canvas(width, body + (0.32 + strips * STRIP if truth else 0) + BOTTOM)
    motifs = [motif for block in blocks for motif in block.reading.motifs] + list(truth)
    span = max(motif.width for motif in motifs)

    def draw(motif: Motif, pwm: np.ndarray, x: float, y: float, label: Label | None) -> None:
        column = WIDTH / span
        canvas.logo(pwm, x + (WIDTH - motif.width * column) / 2, y + LOGO, column, LOGO)
        canvas.line(x, x + WIDTH, y + LOGO + 0.004)
        if label and label.kind in ("relevant", "other"):
            name = label.name if len(label.name) <= 9 else f"{label.name[:8]}…"
            canvas.text(
                x - 0.03, y + LOGO * 0.55, name, 4.8, LABEL_COLORS[label.kind], rotation=90,
                ha="right", weight="bold" if label.kind == "relevant" else "normal",
            )  # fmt: skip

    if title:
        canvas.text(0.06, 0.15, title, 9.5, INK, weight="bold")
    for block, start in zip(blocks, lefts, strict=True):
        labels = filter_labels(block.reading, known, relevant)
        counts = [sum(label.kind == kind for label in labels) for kind in ("relevant", "other")]
        canvas.text(start, top + 0.1, block.title, 8.5, INK, weight="bold")
        text = f"{len(labels)} filters: {counts[0]} relevant, {counts[1]} other match"
        canvas.text(start, top + 0.26, text, 6, GREY)
        for place, number in enumerate(order(block.reading, labels, relevant)):
            row, column = divmod(place, block.columns)
            motif = block.reading.motifs[number]
            x, y = start + column * CELL, top + HEADING + row * ROW
            draw(motif, motif.pwm, x, y, labels[number])
    if truth:
        canvas.line(0.06, width - EDGE, body + 0.03)
        canvas.text(LEFT, body + 0.15, truth_title, 6.5, GREY)
    for number, motif in enumerate(truth):
        row, column = divmod(number, per_row)
        x, y = LEFT + column * CELL, body + 0.3 + row * STRIP
        draw(motif, motif.pwm, x, y, Label(motif.name or motif.id, "", "relevant"))
        draw(motif, reverse_complement(motif.pwm), x, y + ROW, None)
    return canvas.finish()


def balanced(count: int, most: int) -> int:
    """Return how many of `count` things stand in a row of at most `most`, rows evenly full."""
    most = max(most, 1)
    return max(-(-count // max(-(-count // most), 1)), 1)


def order(
    reading: LayerReading, labels: Sequence[Label], relevant: Mapping[str, Sequence[str]]
) -> list[int]:
    """Return the filters' numbers in the order in which they are shown."""
    kinds = {"relevant": 0, "other": 1, "none": 2, "dead": 3}
    best = best_matches(reading, relevant)

    def key(number: int) -> tuple[int, str, float, int]:
        label, found = labels[number], best.get(f"filter{number}")
        named = found is not None
        name = (found.classes or (label.name,))[0] if found else ""
        return kinds[label.kind], name, found.match.e_value if named and found else 0.0, number

    return sorted(range(len(labels)), key=key)
