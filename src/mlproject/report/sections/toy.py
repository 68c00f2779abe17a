"""Fig 1 of the paper, computed: the information that a max-pool leaves to the second layer.

Source: Koo & Eddy, PLoS Comput Biol 15(12): e1007560, 2019, Fig 1: two filters of 7 nt that match
GTG and CAC, and a sequence with CACGTG, GTGCAC and CACNNNGTG.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mlproject.draw.style import BLUE, GREEN, GREY, INK, PALE, VERMILION, style_axes
from mlproject.report.content import Content
from mlproject.report.document import Picture
from mlproject.report.registry import section
from mlproject.sequence import encode, one_hot

FILTERS = {"filter 1": "NNGTGNN", "filter 2": "NNCACNN"}
PATTERNS = ("CACGTG", "GTGCAC", "CACNNNGTG")
STARTS = (7, 27, 46)
LENGTH, WIDTH = 60, 7
POOLS = (3, 20)
REACH, SHOWN = 5, 3  # windows that the classifier sees, that the figure shows
COLORS = {"filter 1": BLUE, "filter 2": VERMILION}


@section(160, "toy", drawn=True)
def toy_model(content: Content) -> Iterator[Picture]:
    """Draw the toy model."""
    caption = (
        "Computed: two filters that match GTG and CAC scan a sequence with three arrangements of "
        "these words, and their maps are max-pooled (white ticks: active positions). With a "
        "small pool a second layer can separate the arrangements, with a large one it cannot."
    )
    yield Picture("fig1", toy_figure(), "Fig 1. Toy model", caption)


class Maps(NamedTuple):
    """The activations of the first layer.

    Attributes:
        scan: (2, length) activations, 1 where all three letters of a filter match, else 0.
        pooled: (2, windows) their maximum in each window.
    """

    scan: np.ndarray
    pooled: np.ndarray


def toy_sequence() -> str:
    """Return 60 nt: the three patterns in a background that neither filter matches."""
    rng = np.random.default_rng(1)
    while True:
        letters = rng.choice(list("ACGT"), LENGTH)
        for start, pattern in zip(STARTS, PATTERNS, strict=True):
            for offset, letter in enumerate(pattern):
                if letter != "N":
                    letters[start + offset] = letter
        text = "".join(letters)
        if maps(text, 1).scan.sum() == 2 * len(PATTERNS):
            return text


def maps(sequence: str, pool: int) -> Maps:
    """Scan a sequence with both filters, zeros beyond its ends; ReLU above 2; max-pool."""
    x = np.pad(one_hot(encode([sequence]))[0], ((WIDTH // 2, WIDTH // 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, WIDTH, axis=0)
    kernels = one_hot(encode(list(FILTERS.values())))
    scores = np.einsum("plw,fwl->fp", windows, kernels)
    scan = np.maximum(scores - 2.0, 0.0)
    edges = range(0, len(sequence), pool)
    pooled = np.stack([scan[:, edge : edge + pool].max(axis=1) for edge in edges], axis=1)
    return Maps(scan, pooled)


def second_layer(pool: int) -> np.ndarray:
    """Return the mean pooled map of each pattern, its second-layer filter, (3, 2, 3).

    The mean is over all places of the pattern in the pool's window; the filter starts with the
    first active window.
    """
    found = np.zeros((len(PATTERNS), 2, SHOWN))
    for number, pattern in enumerate(PATTERNS):
        views = [_local(pattern, phase, pool, SHOWN) for phase in range(pool)]
        found[number] = np.mean(views, axis=0)
    return found


def best_accuracy(pool: int) -> float:
    """Return the largest accuracy with which the local pooled map identifies the pattern, 1/3 to 1.

    All places of each pattern in the pool's windows are equally likely and the background is
    inactive. The classifier sees `REACH` windows from the first active one, and of the patterns
    that give the same view it chooses the likeliest.
    """
    views: dict[bytes, np.ndarray] = {}
    for number, pattern in enumerate(PATTERNS):
        for phase in range(pool):
            key = _local(pattern, phase, pool, REACH).tobytes()
            views.setdefault(key, np.zeros(len(PATTERNS)))[number] += 1
    return float(sum(counts.max() for counts in views.values()) / (pool * len(PATTERNS)))


def _local(pattern: str, phase: int, pool: int, reach: int) -> np.ndarray:
    silent = "N" * (phase + 2 * pool) + pattern
    pooled = maps(silent + "N" * (pool * (reach + 2)), pool).pooled
    first = int(np.flatnonzero(pooled.any(axis=0))[0])
    return pooled[:, first : first + reach]


def toy_figure() -> Figure:
    """Draw the toy model for a small pool (A) and a large one (B), and every pool between (C)."""
    sequence = toy_sequence()
    figure = Figure(figsize=(7.0, 5.6), facecolor="white")
    grid = figure.add_gridspec(
        3, 1, height_ratios=(1, 1, 0.82), left=0.075, right=0.985, top=0.95, bottom=0.085,
        hspace=0.3,
    )  # fmt: skip
    for number, pool in enumerate(POOLS):
        row = grid[number].subgridspec(1, 2, width_ratios=(3.55, 1.5), wspace=0.05)
        axes = figure.add_subplot(row[0])
        _draw_maps(axes, sequence, pool)
        axes.set_title(
            f"{'AB'[number]}   max-pool of {pool}: {pool} nt of uncertainty",
            size=9, weight="bold", color=INK, loc="left",
        )  # fmt: skip
        _draw_second(figure.add_subplot(row[1]), pool)
    low = grid[2].subgridspec(1, 2, width_ratios=(1, 2.2), wspace=0.18)
    _draw_filters(figure.add_subplot(low[0]))
    _draw_curve(figure.add_subplot(low[1]))
    return figure


def _draw_maps(axes: Axes, sequence: str, pool: int) -> None:
    found = maps(sequence, pool)
    marked = {
        start + offset
        for start, pattern in zip(STARTS, PATTERNS, strict=True)
        for offset, letter in enumerate(pattern)
        if letter != "N"
    }
    for place, letter in enumerate(sequence):
        lit = place in marked
        axes.text(
            place, -0.45, letter, size=6.6, ha="center", va="center", family="monospace",
            color=GREEN if lit else PALE, weight="bold" if lit else "normal",
        )  # fmt: skip
    for start, pattern in zip(STARTS, PATTERNS, strict=True):
        middle = start + (len(pattern) - 1) / 2
        axes.text(middle, -1.15, pattern, size=6.5, ha="center", va="center", color=GREEN)
    for row, (name, color) in enumerate(COLORS.items()):
        bottom = 0.35 + 1.1 * (1 - row)
        axes.text(-1.2, bottom + 0.4, name, size=7, ha="right", va="center", color=color)
        for window, value in enumerate(found.pooled[row]):
            left = window * pool - 0.5
            width = min(pool, len(sequence) - window * pool)
            axes.add_patch(
                _box(left, bottom, width, 0.8, color if value else "white", 0.85 if value else 1)
            )
        for place in np.flatnonzero(found.scan[row]).tolist():
            axes.plot(
                [place], [bottom + 0.4], "|", color="white", markersize=6, markeredgewidth=1.4
            )
    axes.set(xlim=(-0.9, len(sequence) - 0.1), ylim=(-1.5, 2.4))
    axes.axis("off")


def _box(
    left: float, bottom: float, width: float, height: float, color: str, alpha: float
) -> Rectangle:
    return Rectangle(
        (left, bottom), width, height, facecolor=color, edgecolor=PALE, linewidth=0.6, alpha=alpha
    )


def _draw_second(axes: Axes, pool: int) -> None:
    filters = second_layer(pool)
    for number, (pattern, values) in enumerate(zip(PATTERNS, filters, strict=True)):
        left = number * 4.2
        for row, color in enumerate(COLORS.values()):
            for column in range(values.shape[1]):
                axes.add_patch(_box(left + column, 1.0 - row, 1, 0.9, "white", 1))
                axes.add_patch(
                    _box(left + column, 1.0 - row, 1, 0.9, color, float(values[row, column]))
                )
        axes.text(left + 1.5, -0.35, pattern, size=6.5, ha="center", va="center", color=GREEN)
    axes.text(5.7, 2.25, "second-layer filters", size=7, ha="center", color=GREY)
    axes.text(
        5.7, -0.95, f"separated: {100 * best_accuracy(pool):.0f} %", size=8, ha="center",
        va="center", color=INK, weight="bold",
    )  # fmt: skip
    axes.set(xlim=(-0.4, 11.8), ylim=(-1.5, 2.4))
    axes.axis("off")


def _draw_filters(axes: Axes) -> None:
    axes.text(
        0, 1.12, "First-layer filters", size=9, weight="bold", color=INK, transform=axes.transAxes
    )
    for row, (name, word) in enumerate(FILTERS.items()):
        weights = one_hot(encode([word]))[0].T
        top = 5.6 * (1 - row)
        for letter in range(4):
            axes.text(
                -0.9,
                top + 3 - letter,
                "ACGT"[letter],
                size=6.5,
                ha="center",
                va="center",
                color=GREY,
            )
            for column in range(WIDTH):
                shade = COLORS[name] if weights[letter, column] else "white"
                axes.add_patch(_box(column - 0.5, top + 2.55 - letter, 1, 0.9, shade, 0.85))
        label = f"{name}\n{word.strip('N')}"
        axes.text(WIDTH, top + 1.5, label, size=7, va="center", color=COLORS[name])
    axes.set(xlim=(-1.4, WIDTH + 3.6), ylim=(-0.8, 9.6))
    axes.axis("off")


def _draw_curve(axes: Axes) -> None:
    pools = np.arange(1, 41)
    axes.plot(pools, [best_accuracy(int(pool)) for pool in pools], color=INK, linewidth=1.5)
    axes.axhline(1 / 3, color=PALE, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.text(40, 1 / 3 - 0.06, "chance", size=7, color=GREY, ha="right")
    axes.text(
        40, 0.97, f"at best, by a second layer that sees {REACH} windows", size=7.5, color=GREY,
        ha="right",
    )  # fmt: skip
    for pool in POOLS:
        axes.plot([pool], [best_accuracy(pool)], "o", color=INK, markersize=4)
    axes.set_title(
        "C   patterns identified from their pooled map",
        size=9,
        weight="bold",
        color=INK,
        loc="left",
    )
    style_axes(axes, "Max-pool size (nt)", "Share correct", grid=False)
    axes.set(xlim=(0.5, 40.5), ylim=(0.25, 1.04))
