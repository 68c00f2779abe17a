"""Motifs embedded in background sequences: what a network believes about them.

The effect of a motif is the mean difference of a class's logit between backgrounds with and
without the motif. Backgrounds have no motifs of their own but for chance, so that the effect is
the motif's alone.

Source: global importance analysis, Koo et al., PLoS Comput Biol 17(5): e1008925, 2021.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.stats import t as student

from mlproject.data.rows import Rows
from mlproject.sequence import OTHER, reverse_complement, shuffle_dinucleotides
from mlproject.system.interrupts import check_interrupts

CONFIDENCE = 0.95
FORWARD, REVERSE = "+", "-"

Score: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""From codes (N, L) to logits (N, classes)."""


class Interval(NamedTuple):
    """Means with their 95 % confidence intervals, each array (..., classes)."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Placed(NamedTuple):
    """Letters at a place.

    Attributes:
        start: first position, from 0.
        letters: codes (N, width), a row for each background, or (1, width) for all.
    """

    start: int
    letters: np.ndarray


def shuffled_backgrounds(codes: Rows, count: int, seed: int = 0) -> np.ndarray:
    """Return sequences with the dinucleotides of given ones in another order.

    Args:
        codes: (sequences, L). `count` evenly spaced ones are shuffled, each several times if there
            are fewer.
        count: number of backgrounds.
        seed: of the shuffles.

    Returns:
        uint8 (count, L).
    """
    rng = np.random.default_rng(seed)
    rows = np.linspace(0, len(codes) - 1, min(count, len(codes))).round().astype(np.int64)
    found = np.empty((count, codes.shape[1]), np.uint8)
    for number in range(count):
        if number % 100 == 0:
            check_interrupts()
        found[number] = shuffle_dinucleotides(np.asarray(codes[rows[number % len(rows)]]), rng)
    return found


def uniform_backgrounds(length: int, count: int, seed: int = 0) -> np.ndarray:
    """Return random sequences, each letter with probability 1/4, uint8 (count, length)."""
    return np.random.default_rng(seed).integers(0, 4, (count, length), dtype=np.uint8)


def instances(pwm: np.ndarray, count: int, seed: int | None = None) -> np.ndarray:
    """Return sequences of a motif.

    Args:
        pwm: (width, 4).
        count: number of sequences.
        seed: draw each letter by its probability; None: the most probable letters, and `OTHER`
            where all four are equally probable.

    Returns:
        uint8 (1, width) for the most probable letters, else (count, width).
    """
    if seed is None:
        most = np.where((pwm == pwm[:, :1]).all(axis=1), OTHER, pwm.argmax(axis=1))
        return most[None].astype(np.uint8)
    drawn = np.random.default_rng(seed).random((count, len(pwm), 1))
    return (drawn > np.cumsum(pwm, axis=1)[:, :3]).sum(axis=2).astype(np.uint8)


def embed(backgrounds: np.ndarray, placed: Sequence[Placed]) -> np.ndarray:
    """Return a copy of the backgrounds (N, L) with letters written over them, except `OTHER`."""
    made = backgrounds.copy()
    for start, letters in placed:
        place = slice(start, start + letters.shape[1])
        made[:, place] = np.where(letters == OTHER, made[:, place], letters)
    return made


def on_strand(letters: np.ndarray, strand: str) -> np.ndarray:
    """Return letters (N, width) as they are, or their reverse complements."""
    return letters if strand == FORWARD else reverse_complement(letters)


def centre(length: int, width: int) -> int:
    """Return the start of letters in the middle of a sequence."""
    return (length - width) // 2


def interval(values: np.ndarray) -> Interval:
    """Return the mean over the first axis with its interval, by Student's t.

    Args:
        values: (N, ...), N at least 2.
    """
    count = len(values)
    mean = values.mean(axis=0, dtype=np.float64)
    error = values.std(axis=0, ddof=1, dtype=np.float64) / np.sqrt(count)
    half = float(student.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    return Interval(mean, mean - half, mean + half)


class Embedder:
    """Effects of letters in a fixed set of backgrounds.

    Attributes:
        backgrounds: codes (N, L).
    """

    def __init__(self, score: Score, backgrounds: np.ndarray) -> None:
        self.backgrounds = backgrounds
        self._score = score
        self._plain = score(backgrounds)

    @property
    def length(self) -> int:
        """L, nt."""
        return self.backgrounds.shape[1]

    def effect(self, *placed: Placed) -> np.ndarray:
        """Return the change of each background's logits, (N, classes)."""
        return self._score(embed(self.backgrounds, placed)) - self._plain


def by_strand(embedder: Embedder, letters: np.ndarray) -> np.ndarray:
    """Return the effect of letters in the middle, forward and reverse, (2, N, classes)."""
    start = centre(embedder.length, letters.shape[1])
    return np.stack(
        [
            embedder.effect(Placed(start, on_strand(letters, strand)))
            for strand in (FORWARD, REVERSE)
        ]
    )


def starts(length: int, width: int, most: int) -> np.ndarray:
    """Return up to `most` evenly spaced starts, from the first possible one to the last."""
    last = length - width
    return np.unique(np.linspace(0, last, min(most, last + 1)).round().astype(np.int64))


def by_position(embedder: Embedder, letters: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the effect at each start, mean of both strands, (places, N, classes)."""
    return np.stack(
        [
            np.mean(
                [
                    embedder.effect(Placed(int(start), on_strand(letters, strand)))
                    for strand in (FORWARD, REVERSE)
                ],
                axis=0,
            )
            for start in places
        ]
    )


def by_copies(embedder: Embedder, letters: np.ndarray, most: int) -> np.ndarray:
    """Return the effect of 1 to `most` copies, evenly spaced, (copies, N, classes).

    Copies alternate between the strands; as many are tried as fit without touching.
    """
    width = letters.shape[1]
    found = []
    for count in range(1, most + 1):
        step = embedder.length / count
        if step < width:
            break
        placed = [
            Placed(int((number + 0.5) * step - width / 2), on_strand(letters, "+-"[number % 2]))
            for number in range(count)
        ]
        found.append(embedder.effect(*placed))
    return np.stack(found)


class Pair(NamedTuple):
    """The effects of two motifs in the same backgrounds, each (N, classes)."""

    both: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @property
    def interaction(self) -> np.ndarray:
        """Effect of both less the effects of each alone, (N, classes)."""
        return self.both - self.first - self.second


def of_pair(embedder: Embedder, first: Placed, second: Placed) -> Pair:
    """Return the effects of two motifs at their places."""
    return Pair(embedder.effect(first, second), embedder.effect(first), embedder.effect(second))


def apart(length: int, first: np.ndarray, second: np.ndarray) -> tuple[Placed, Placed] | None:
    """Place two motifs at a third and two thirds of a sequence; None if they do not fit."""
    left = length // 3 - first.shape[1] // 2
    right = 2 * length // 3 - second.shape[1] // 2
    if left < 0 or left + first.shape[1] > right or right + second.shape[1] > length:
        return None
    return Placed(left, first), Placed(right, second)


def at_gap(length: int, first: np.ndarray, second: np.ndarray, gap: int) -> tuple[Placed, Placed]:
    """Place two motifs in the middle of a sequence, `gap` nt between them."""
    left = centre(length, first.shape[1] + gap + second.shape[1])
    return Placed(left, first), Placed(left + first.shape[1] + gap, second)
