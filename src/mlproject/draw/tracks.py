"""Tracks: the contributions of a sequence as a logo, with the planted motifs below it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.patches
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlproject.attribution.truth import owners, sites_of
from mlproject.data import Dataset
from mlproject.draw.letters import draw_letters
from mlproject.draw.style import GREY, INK, OTHER_SITE, RULE, SITE, bare_axes
from mlproject.sequence import one_hot

LOWEST = 0.01
# Inches: width of a column, height of a track and of the strip of planted motifs; margins.
TRACK, STRIP, LEFT, TOP, BOTTOM, GAP = 0.42, 0.2, 0.14, 0.5, 0.06, 0.13


class Mark(NamedTuple):
    """A planted motif: columns `start` to `stop`, name, and whether the track's class owns it."""

    start: int
    stop: int
    name: str
    own: bool


class Track(NamedTuple):
    """One logo.

    Attributes:
        title: text above the logo, at the left.
        note: text above the logo, at the right.
        codes: (L,) the letters.
        contributions: (L,) their heights.
        marks: planted motifs in the strip below the logo; () = no strip.
        shaded: planted motifs whose columns are shaded.
        spread: (L,) standard deviations of the heights, drawn as a grey band; None = no band.
    """

    title: str
    note: str
    codes: np.ndarray
    contributions: np.ndarray
    marks: tuple[Mark, ...] = ()
    shaded: tuple[Mark, ...] = ()
    spread: np.ndarray | None = None


def marks(data: Dataset, sequence: int, targets: Sequence[int]) -> tuple[Mark, ...]:
    """Return the planted motifs of a test sequence; those of the classes `targets` are `own`."""
    mine = owners(data)
    return tuple(
        Mark(
            int(site["start"]),
            int(site["start"]) + int(site["width"]),
            data.motifs[site["motif"]].name or data.motifs[site["motif"]].id,
            bool(set(targets).intersection(mine[site["motif"]])),
        )
        for site in sites_of(data.test, np.array([sequence]))[0]
    )


def cropped(marks: Sequence[Mark], start: int, stop: int) -> tuple[Mark, ...]:
    """Return the marks that overlap a region, cut to it, in positions of the region."""
    return tuple(
        mark._replace(start=max(mark.start, start) - start, stop=min(mark.stop, stop) - start)
        for mark in marks
        if mark.start < stop and mark.stop > start
    )


def richest(contributions: np.ndarray, width: int) -> tuple[int, int]:
    """Return the region of `width` nt with the largest sum of absolute contributions.

    Of contributions (L,), it is the first position and the one after the last; of a sequence that
    is not longer than `width`, all.
    """
    if len(contributions) <= width:
        return 0, len(contributions)
    sums = np.convolve(np.abs(contributions), np.ones(width), "valid")
    start = int(np.argmax(sums))
    return start, start + width


def draw_track(axes: Axes, track: Track) -> None:
    """Draw letters as high as their contributions; the largest one sets the scale of the track.

    Letters with a negative contribution hang below the baseline. Letters below `LOWEST` of the
    largest are left out: they cannot be seen.
    """
    length = len(track.codes)
    top = float(np.abs(track.contributions).max(initial=0.0)) or 1.0
    heights = track.contributions / top
    draw_letters(axes, one_hot(track.codes[None])[0] * heights[:, None], 0.0, LOWEST)
    for mark in track.shaded:
        color = SITE if mark.own else OTHER_SITE
        axes.axvspan(
            mark.start - 0.5, mark.stop - 0.5, color=color, alpha=0.1, linewidth=0, zorder=0
        )
    low = min(0.0, float(heights.min(initial=0.0)))
    axes.axhline(0, color=RULE, linewidth=0.5, zorder=0)
    bare_axes(axes, (-0.5, length - 0.5), (low - 0.03, 1.03))
    if track.spread is not None:
        edges = np.arange(length + 1) - 0.5
        reach = np.append(track.spread, track.spread[-1:]) / top
        middle = np.append(heights, heights[-1:])
        axes.fill_between(
            edges, middle - reach, middle + reach, step="post", color=GREY, alpha=0.3,
            linewidth=0, zorder=0.5,
        )  # fmt: skip
    place: dict[str, Any] = {"y": 1.02, "transform": axes.transAxes, "va": "bottom"}
    axes.text(x=0, s=track.title, size=7, color=INK, weight="bold", **place)
    axes.text(x=1, s=track.note, size=6, color=GREY, ha="right", **place)


def draw_marks(axes: Axes, track: Track) -> None:
    """Draw the planted motifs as bars with their names, and the positions at both ends."""
    length = len(track.codes)
    for mark in track.marks:
        color = SITE if mark.own else OTHER_SITE
        box = (mark.start - 0.5, 0.72), mark.stop - mark.start, 0.2
        axes.add_patch(matplotlib.patches.Rectangle(*box, color=color, linewidth=0))
        axes.text(
            (mark.start + mark.stop - 1) / 2, 0.6, mark.name, size=6.5, ha="center", va="top",
            color=color if mark.own else GREY, weight="bold" if mark.own else "normal",
        )  # fmt: skip
    bare_axes(axes, (-0.5, length - 0.5), (0, 1))


def track_figure(
    columns: Sequence[Sequence[Track]],
    headings: Sequence[tuple[str, str]],
    title: str,
    subtitle: str,
    width: float = 7.2,
) -> Figure:
    """Draw columns of tracks side by side.

    Args:
        columns: the tracks of each column, equally many.
        headings: name and note of each column; () = no headings.
        title: text above all tracks.
        subtitle: the line below the title.
        width: of the figure, inches.
    """
    count = len(columns[0])
    strips = [bool(columns[0][row].marks) for row in range(count)]
    heads = 0.2 if headings else 0.0
    tall = TOP + heads + sum(TRACK + GAP + (STRIP if strip else 0.04) for strip in strips) + BOTTOM
    figure = Figure(figsize=(width, tall), facecolor="white")
    figure.text(LEFT / width, 1 - 0.07 / tall, title, size=9, color=INK, weight="bold", va="top")
    figure.text(LEFT / width, 1 - 0.25 / tall, subtitle, size=6.5, color=GREY, va="top")
    between = 0.22
    wide = (width - 2 * LEFT - between * (len(columns) - 1)) / len(columns)
    for number, tracks in enumerate(columns):
        left = (LEFT + number * (wide + between)) / width
        down = TOP
        if heads:
            name, note = headings[number]
            figure.text(left, 1 - down / tall, name, size=8, color=INK, weight="bold", va="top")
            right = left + wide / width
            figure.text(right, 1 - down / tall, note, size=6, color=GREY, ha="right", va="top")
            down += heads
        for track, strip in zip(tracks, strips, strict=True):
            down += GAP
            box = (left, 1 - (down + TRACK) / tall, wide / width, TRACK / tall)
            draw_track(figure.add_axes(box), track)
            down += TRACK
            if strip:
                box = (left, 1 - (down + STRIP) / tall, wide / width, STRIP / tall)
                draw_marks(figure.add_axes(box), track)
            down += STRIP if strip else 0.04
    return figure
