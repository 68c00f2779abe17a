"""Logos of several networks side by side, as Fig 2, 3, 4, S1 and S2 of the paper show them.

Every figure is as wide as a printed page, and its smallest text is readable in print.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from mlproject.draw.canvas import Canvas, fitted
from mlproject.draw.logos import Label, filter_labels
from mlproject.draw.style import GREY, INK, LABEL_COLORS, SMALLEST
from mlproject.filters.reading import LayerReading, best_matches
from mlproject.motifs.pwm import Motif, reverse_complement

PAGE = 7.0
COLUMNS = 9
BESIDE = 4
# Inches: a cell and its logo, a row of cells, its name, the strip's rows; between blocks; margins.
CELL, WIDTH, ROW, LOGO, NAME, STRIP, BETWEEN = 0.738, 0.68, 0.445, 0.27, 0.11, 0.76, 0.16
LEFT, TOP, HEADING, BOTTOM = 0.06, 0.32, 0.54, 0.02


class Block(NamedTuple):
    """A layer of a network: the title above it, and its filters."""

    title: str
    reading: LayerReading


def panel_figure(
    blocks: Sequence[Block],
    relevant: Mapping[str, Sequence[str]],
    targets: Sequence[Motif],
    truth: Sequence[Motif],
    title: str = "",
    truth_title: str = "Ground truth, and its reverse complement",
) -> Figure:
    """Draw the filters of each block with the names of their matches, and the ground truth below.

    Filters that match a relevant motif come first, in the order of its name; then filters that
    match another motif (grey), then filters without a match; dead filters come last, empty. Up to
    four blocks stand side by side, more blocks in several bands.

    Args:
        blocks: from left to right.
        relevant: class -> ids.
        targets: the motifs of the matches.
        truth: motifs of the strip below.
        title: text above the figure.
        truth_title: text above the strip.

    Returns:
        A figure `PAGE` inches wide.
    """
    known = {motif.id: motif for motif in targets}
    band = balanced(len(blocks), BESIDE)
    bands = [blocks[start : start + band] for start in range(0, len(blocks), band)]
    columns = [shares([len(one.reading.motifs) for one in row], COLUMNS) for row in bands]
    rows = [
        max(-(-len(one.reading.motifs) // wide) for one, wide in zip(row, wides, strict=True))
        for row, wides in zip(bands, columns, strict=True)
    ]
    per_row = balanced(len(truth), COLUMNS)
    top = TOP if title else 0.06
    body = top + sum(HEADING + one * ROW for one in rows)
    strips = -(-len(truth) // per_row) if truth else 0
    canvas = Canvas(PAGE, body + (0.3 + strips * STRIP if truth else 0) + BOTTOM)
    motifs = [motif for block in blocks for motif in block.reading.motifs] + list(truth)
    span = max(motif.width for motif in motifs)

    def draw(motif: Motif, pwm: np.ndarray, x: float, y: float, label: Label | None) -> None:
        column = WIDTH / span
        canvas.logo(pwm, x + (WIDTH - motif.width * column) / 2, y + LOGO, column, LOGO)
        canvas.line(x, x + WIDTH, y + LOGO + 0.004)
        if label and label.kind in ("relevant", "other"):
            weight = "bold" if label.kind == "relevant" else "normal"
            name = fitted(label.name, SMALLEST, WIDTH, weight)
            canvas.text(
                x + WIDTH / 2, y - NAME / 2, name, SMALLEST, LABEL_COLORS[label.kind],
                ha="center", weight=weight,
            )  # fmt: skip

    if title:
        canvas.text(LEFT, 0.15, title, 9.5, INK, weight="bold")
    for row, wides, height in zip(bands, columns, rows, strict=True):
        start, between = LEFT, _between(wides)
        for block, wide in zip(row, wides, strict=True):
            labels = filter_labels(block.reading, known, relevant)
            counts = [sum(label.kind == kind for label in labels) for kind in ("relevant", "other")]
            canvas.text(start, top + 0.1, block.title, 8.5, INK, weight="bold")
            text = f"{counts[0]} relevant, {counts[1]} other of {len(labels)}"
            canvas.text(start, top + 0.27, text, SMALLEST, GREY)
            for place, number in enumerate(order(block.reading, labels, relevant)):
                down, right = divmod(place, wide)
                motif = block.reading.motifs[number]
                x, y = start + right * CELL, top + HEADING + down * ROW
                draw(motif, motif.pwm, x, y, labels[number])
            start += wide * CELL + between
        top += HEADING + height * ROW
    if truth:
        canvas.line(LEFT, PAGE - LEFT, body)
        canvas.text(LEFT, body + 0.1, truth_title, SMALLEST + 0.5, GREY)
    for number, motif in enumerate(truth):
        down, right = divmod(number, per_row)
        x, y = LEFT + right * CELL, body + 0.32 + down * STRIP
        draw(motif, motif.pwm, x, y, Label(motif.name or motif.id, "", "relevant"))
        draw(motif, reverse_complement(motif.pwm), x, y + LOGO + 0.04, None)
    return canvas.finish()


def _between(wides: Sequence[int]) -> float:
    """Return the space between blocks that fills the page, at most 3 x `BETWEEN`."""
    if len(wides) < 2:
        return 0.0
    free = PAGE - 2 * LEFT - sum(wides) * CELL + CELL - WIDTH
    return max(min(free / (len(wides) - 1), 3 * BETWEEN), 0.0)


def shares(counts: Sequence[int], columns: int) -> list[int]:
    """Distribute columns over blocks of `counts` filters so that the longest block is shortest.

    Blocks of equal length get the same width, so that some columns may stay unused.
    """
    wides = [1] * len(counts)
    while sum(wides) < columns:
        rows = [-(-count // wide) for count, wide in zip(counts, wides, strict=True)]
        longest = [number for number, one in enumerate(rows) if one == max(rows)]
        if sum(wides) + len(longest) > columns:
            break
        for number in longest:
            wides[number] += 1
    return wides


def balanced(count: int, most: int) -> int:
    """Return the length of rows of at most `most` that divides `count` most evenly."""
    most = max(most, 1)
    return max(-(-count // max(-(-count // most), 1)), 1)


def order(
    reading: LayerReading, labels: Sequence[Label], relevant: Mapping[str, Sequence[str]]
) -> list[int]:
    """Return the numbers of the filters in the order of drawing."""
    kinds = {"relevant": 0, "other": 1, "none": 2, "dead": 3}
    best = best_matches(reading, relevant)

    def key(number: int) -> tuple[int, str, float, int]:
        label, found = labels[number], best.get(f"filter{number}")
        named = found is not None
        name = (found.classes or (label.name,))[0] if found else ""
        return kinds[label.kind], name, found.match.e_value if named and found else 0.0, number

    return sorted(range(len(labels)), key=key)
