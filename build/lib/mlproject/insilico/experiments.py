"""The experiments of `python -m mlproject embed`, as tables of effects with intervals."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from mlproject.insilico.embedding import (
    FORWARD,
    REVERSE,
    Embedder,
    apart,
    at_gap,
    by_copies,
    by_position,
    by_strand,
    interval,
    of_pair,
    on_strand,
    starts,
)

Row = dict[str, Any]

POSITIONS, COPIES, GAPS = 21, 5, 16
SPACED_PAIRS = 3


class Embedded(NamedTuple):
    """A motif that is embedded: its name and its letters, codes (N or 1, width)."""

    name: str
    letters: np.ndarray


class Effects(NamedTuple):
    """Tables, a row for each class and condition, with ``effect``, ``low`` and ``high`` (logit).

    Attributes:
        effects: of each motif in the middle, mean of both strands.
        strands: of each motif, by ``strand``.
        positions: of each motif, by ``start`` (nt, from 0), mean of both strands.
        copies: of each motif, by number of ``copies``.
        pairs: ``effect`` of two motifs together, ``first`` and ``second`` of each alone,
            ``interaction`` with its interval.
        spacing: interaction of some pairs, by ``gap`` (nt) and ``strands``.
    """

    effects: list[Row]
    strands: list[Row]
    positions: list[Row]
    copies: list[Row]
    pairs: list[Row]
    spacing: list[Row]


def experiment(
    embedder: Embedder,
    profiler: Embedder,
    motifs: Sequence[Embedded],
    classes: Sequence[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Effects:
    """Measure the effects of motifs, alone and in pairs.

    Args:
        embedder: with all backgrounds.
        profiler: with the backgrounds of positions, copies and spacings, of which there are many.
        motifs: the motifs, none wider than the backgrounds.
        classes: names of the classes.
        progress: called with the number of steps done and their total.
    """
    found = Effects([], [], [], [], [], [])
    couples = list(combinations(motifs, 2))
    total = 3 * len(motifs) + len(couples) + min(SPACED_PAIRS, len(couples))
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    for motif in motifs:
        strands = by_strand(embedder, motif.letters)
        named = {"motif": motif.name}
        found.effects.extend(_rows(named, classes, strands.mean(axis=0)))
        for strand, values in zip((FORWARD, REVERSE), strands, strict=True):
            found.strands.extend(_rows({**named, "strand": strand}, classes, values))
        step()
        short = _first(motif, len(profiler.backgrounds))
        places = starts(profiler.length, short.shape[1], POSITIONS)
        for start, values in zip(places, by_position(profiler, short, places), strict=True):
            found.positions.extend(_rows({**named, "start": int(start)}, classes, values))
        step()
        for copies, values in enumerate(by_copies(profiler, short, COPIES), 1):
            found.copies.extend(_rows({**named, "copies": copies}, classes, values))
        step()
    strength: list[tuple[float, int]] = []
    for number, (one, other) in enumerate(couples):
        if placed := apart(embedder.length, one.letters, other.letters):
            pair = of_pair(embedder, *placed)
            rows = _pair_rows({"motif": one.name, "other": other.name}, classes, pair)
            found.pairs.extend(rows)
            strength.append((max(abs(row["interaction"]) for row in rows), number))
        step()
    for _, number in sorted(strength, key=lambda one: (-one[0], one[1]))[:SPACED_PAIRS]:
        found.spacing.extend(_spacing(profiler, *couples[number], classes))
        step()
    return found


def _first(motif: Embedded, count: int) -> np.ndarray:
    """Return the letters for the first `count` backgrounds."""
    return motif.letters[:count]


def _rows(named: Row, classes: Sequence[str], values: np.ndarray) -> list[Row]:
    found = interval(values)
    return [
        {**named, "class": name, "effect": mean, "low": low, "high": high, "n": len(values)}
        for name, mean, low, high in zip(classes, *(one.tolist() for one in found), strict=True)
    ]


def _pair_rows(named: Row, classes: Sequence[str], pair: Any) -> list[Row]:
    both, first, second, inter = (
        interval(values) for values in (pair.both, pair.first, pair.second, pair.interaction)
    )
    return [
        {
            **named,
            "class": name,
            "effect": float(both.mean[number]),
            "first": float(first.mean[number]),
            "second": float(second.mean[number]),
            "interaction": float(inter.mean[number]),
            "low": float(inter.low[number]),
            "high": float(inter.high[number]),
            "n": len(pair.both),
        }
        for number, name in enumerate(classes)
    ]


def _spacing(
    profiler: Embedder, one: Embedded, other: Embedded, classes: Sequence[str]
) -> list[Row]:
    count = len(profiler.backgrounds)
    first, second = _first(one, count), _first(other, count)
    room = profiler.length - first.shape[1] - second.shape[1]
    gaps = np.unique(np.linspace(0, room, min(GAPS, room + 1)).round().astype(np.int64))
    rows: list[Row] = []
    for strands in ("++", "+-", "-+", "--"):
        turned = on_strand(first, strands[0]), on_strand(second, strands[1])
        for gap in gaps.tolist():
            pair = of_pair(profiler, *at_gap(profiler.length, *turned, gap))
            named = {"motif": one.name, "other": other.name, "strands": strands, "gap": gap}
            rows += _pair_rows(named, classes, pair)
    return rows


def first_places(effects: Sequence[Row], owners: dict[str, str]) -> dict[str, bool]:
    """Return for each class with a motif of its own whether that motif has the largest effect.

    Args:
        effects: rows of `Effects.effects`.
        owners: motif -> its class.
    """
    found: dict[str, bool] = {}
    for name in dict.fromkeys(owners.values()):
        rows = [row for row in effects if row["class"] == name]
        best = max(rows, key=lambda row: row["effect"])
        found[name] = owners.get(best["motif"]) == name
    return found
