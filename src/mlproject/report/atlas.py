"""The atlas: for each factor, the filter of each network that matches it best, all aligned.

Every filter is turned to the strand of the factor's ground-truth motif and shifted onto it, so that
the columns of the motif that the filter has, or lacks, are visible.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from mlproject.draw.canvas import Canvas
from mlproject.draw.logos import format_evalue
from mlproject.draw.style import BAND, FAINT, GREY, INK, SMALLEST
from mlproject.draw.svg import placed
from mlproject.filters.reading import LayerReading, classes_of
from mlproject.motifs.pwm import Motif, information, reverse_complement
from mlproject.motifs.tomtom import Match

FLANK = 3
# Inches.
PAGE, GAP, ROW, LOGO, LEFT, TOP = 7.0, 0.06, 0.52, 0.32, 0.56, 0.36


class Entry(NamedTuple):
    """A filter in the atlas.

    Attributes:
        pwm: (width, 4), turned to the strand of the factor's motif.
        shift: column of the motif at which the filter starts.
        match: the match with a relevant motif.
        seed: of the filter's run.
        run_id: of the filter's run.
    """

    pwm: np.ndarray
    shift: int
    match: Match
    seed: int
    run_id: str


class Atlas(NamedTuple):
    """The best filters of some networks.

    Attributes:
        dataset: kind of the data set.
        networks: from left to right.
        motifs: class -> its motif, in order.
        entries: (class, network) -> filter; absent where no filter matches.
    """

    dataset: str
    networks: tuple[str, ...]
    motifs: dict[str, Motif]
    entries: dict[tuple[str, str], Entry]


def make_atlas(
    dataset: str,
    readings: Mapping[str, Sequence[tuple[int, str, LayerReading]]],
    relevant: Mapping[str, Sequence[str]],
    motifs: Mapping[str, Motif],
) -> Atlas:
    """Choose and align the best filter of each network for each factor.

    Args:
        dataset: kind of the data set.
        readings: network -> (seed, run id, reading) of each trial.
        relevant: class -> ids.
        motifs: class -> the motif to align to.
    """
    entries: dict[tuple[str, str], Entry] = {}
    for network, trials in readings.items():
        for seed, run_id, reading in trials:
            by_id = {motif.id: motif for motif in reading.motifs}
            for match in reading.matches:
                for name in classes_of(match.target_id, relevant):
                    known = entries.get((name, network))
                    if name in motifs and (known is None or match.e_value < known.match.e_value):
                        pwm, shift = aligned(by_id[match.query_id].pwm, motifs[name].pwm)
                        entries[name, network] = Entry(pwm, shift, match, seed, run_id)
    return Atlas(dataset, tuple(readings), dict(motifs), entries)


def aligned(pwm: np.ndarray, motif: np.ndarray) -> tuple[np.ndarray, int]:
    """Turn and shift a filter onto a motif.

    Args:
        pwm: (width, 4).
        motif: (columns, 4).

    Returns:
        The filter on the strand of the motif, and the column of the motif at which it starts. This
        place has the largest sum of products of both matrices, less 1/4 and weighted by
        information.
    """
    best: tuple[float, np.ndarray, int] = (-np.inf, pwm, 0)
    weighted = (motif - 0.25) * information(motif)[:, None]
    for turned in (pwm, reverse_complement(pwm)):
        values = (turned - 0.25) * information(turned)[:, None]
        for shift in range(1 - len(turned), len(motif)):
            first, last = max(shift, 0), min(shift + len(turned), len(motif))
            score = float((values[first - shift : last - shift] * weighted[first:last]).sum())
            if score > best[0]:
                best = score, turned, shift
    return best[1], best[2]


def atlas_figure(atlas: Atlas) -> Figure:
    """Draw the atlas: a row for each factor, the motif first, then a column for each network.

    The columns of the motif are shaded; the E-value is above each filter. The figure is at most
    `PAGE` inches wide.
    """
    columns, rows = len(atlas.networks) + 1, len(atlas.motifs)
    cell = min((PAGE - LEFT) / columns, 1.2)
    wide = cell - GAP
    canvas = Canvas(LEFT + columns * cell, TOP + rows * ROW + 0.04)
    for column, head in enumerate(["ground truth", *atlas.networks]):
        x = LEFT + column * cell + wide / 2
        color, weight = (INK, "bold") if column else (GREY, "normal")
        canvas.text(x, TOP - 0.16, head, 7.5, color, ha="center", weight=weight)
    widest = max((motif.width for motif in atlas.motifs.values()), default=1) + 2 * FLANK
    for row, (name, motif) in enumerate(atlas.motifs.items()):
        floor = TOP + row * ROW + 0.12 + LOGO
        canvas.text(LEFT - 0.1, floor - LOGO / 2, name, 7.5, INK, ha="right", weight="bold")
        for column, network in enumerate(["", *atlas.networks]):
            _draw(
                canvas, LEFT + column * cell, floor, wide, widest, motif,
                None if not network else atlas.entries.get((name, network)), not network,
            )  # fmt: skip
    return canvas.finish()


def _draw(
    canvas: Canvas,
    left: float,
    floor: float,
    wide: float,
    widest: int,
    motif: Motif,
    entry: Entry | None,
    truth: bool,
) -> None:
    step = wide / widest
    canvas.line(left, left + wide, floor + 0.006)
    start = left + (widest - motif.width) / 2 * step
    if truth:
        canvas.logo(motif.pwm, start, floor, step, LOGO)
    elif entry is None:
        canvas.text(left + wide / 2, floor - 0.12, "no match", SMALLEST, FAINT, ha="center")
    else:
        canvas.band(start, start + motif.width * step, floor - LOGO, floor, BAND)
        pwm, place = cut(entry, motif)
        canvas.logo(pwm, start + place * step, floor, step, LOGO)
        text = format_evalue(entry.match.e_value)
        canvas.text(left + wide, floor - LOGO - 0.06, text, SMALLEST, GREY, ha="right")


def cut(entry: Entry, motif: Motif) -> tuple[np.ndarray, int]:
    """Return the shown columns of a filter, and the column of the motif at which they start."""
    first = max(-FLANK - entry.shift, 0)
    last = min(motif.width + FLANK - entry.shift, len(entry.pwm))
    return entry.pwm[first:last], entry.shift + first


def atlas_cards(atlas: Atlas) -> list[dict[str, Any]]:
    """Return the logos of each factor and of each network's filter, for the page."""
    widest = max((motif.width for motif in atlas.motifs.values()), default=1) + 2 * FLANK
    cards = []
    for name, motif in atlas.motifs.items():
        start = (widest - motif.width) // 2
        found = []
        for network in atlas.networks:
            entry = atlas.entries.get((name, network))
            if entry is None:
                found.append({"network": network, "logo": Markup(""), "text": "no match"})
                continue
            pwm, place = cut(entry, motif)
            match = entry.match
            text = (
                f"{match.query_id.replace('filter', 'filter ')}, seed {entry.seed}, "
                f"E = {format_evalue(match.e_value)}"
            )
            label = f"{network}: {match.query_id} matches {name}"
            band = (start, start + motif.width)
            logo = placed(pwm, start + place, widest, label, band)
            found.append({"network": network, "logo": logo, "text": text})
        logo = placed(motif.pwm, start, widest, f"Motif of {name}", (0, 0))
        cards.append({"name": name, "id": motif.id, "logo": logo, "filters": found})
    return cards
