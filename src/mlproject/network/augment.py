"""Augmentations of sequences in training, on codes: the same on every backend and device.

All random numbers of an epoch are drawn at its start from (seed, epoch), so that the batches do not
depend on how many are made at a time, and a resumed training sees the same ones.

Source: EvoAug, Lee, Tang, Toneyan & Koo, Genome Biol 24: 105, 2023. Its sequences grow by what is
inserted; these keep their length: an insertion pushes letters out at both ends, a deletion draws
random letters in. Noise is marked here and added in the training step, see `NOISY`.
"""

from collections.abc import Callable, Mapping

import numpy as np

from mlproject.fields import EVOAUG
from mlproject.sequence import OTHER, reverse_complement
from mlproject.spec import RunSpec

STRANDS, EVOLVED, SHIFTED = 1, 2, 3  # random streams of an epoch
POOL = (
    1 << 16
)  # random letters and places that the sequences of an epoch take at places of their own
NOISY = 8  # is added to the codes of a sequence that gets noise

Change = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Augmentation:
    """The augmentations of one epoch."""

    def __init__(self, spec: RunSpec, epoch: int, count: int, length: int) -> None:
        """Draw the random numbers of an epoch.

        Args:
            spec: `augment`, `augmentations` and their sizes, `shift`.
            epoch: its number, from 1.
            count: number of sequences, in the order of the epoch.
            length: nt a sequence.
        """
        self._spec, self._length = spec, length
        self._turned = np.zeros(count, bool)
        if spec.augment == "reverse_complement":
            rng = np.random.default_rng([spec.seed, epoch, STRANDS])
            self._turned = rng.random(count) < 0.5
        self._shift: np.ndarray | None = None
        if spec.shift:
            rng = np.random.default_rng([spec.seed, epoch, SHIFTED])
            self._shift = rng.integers(-spec.shift, spec.shift + 1, count)
        self._evolved = spec.augment == "evoaug"
        if self._evolved or spec.shift:
            rng = np.random.default_rng([spec.seed, epoch, EVOLVED])
            names = spec.augmentations.split(",")
            ranks = rng.random((count, len(names))).argsort(axis=1).argsort(axis=1)
            chosen = (ranks < spec.augment_most) & self._evolved
            self._chosen = dict(zip(names, chosen.T, strict=True))
            self._sizes = rng.random((count, len(EVOAUG)), np.float32)
            self._places = rng.random((count, len(EVOAUG)), np.float32)
            self._starts = rng.integers(0, POOL, count)
            letters = rng.integers(0, 4, POOL, np.uint8)
            self._letters = np.resize(letters, POOL + length)
            self._fresh = np.lib.stride_tricks.sliding_window_view(self._letters, length)
            self._spots = rng.integers(0, length, POOL)

    def apply(self, codes: np.ndarray, rows: slice) -> np.ndarray:
        """Return the sequences of some places of the epoch's order, augmented.

        Args:
            codes: uint8 (n, length), the sequences of the places `rows`. They are not changed.
            rows: places in the order of the epoch.
        """
        if (turned := self._turned[rows]).any():
            codes = _turned_where(turned, codes)
        if not self._evolved and self._shift is None:
            return codes
        starts = self._starts[rows]
        if self._shift is not None:
            codes = shifted(codes, self._shift[rows], self._fresh[starts])
        if not self._evolved:
            return codes
        codes = codes.copy()
        for number, (name, change) in enumerate(CHANGES.items()):
            if name not in self._chosen:
                continue
            own = np.flatnonzero(self._chosen[name][rows])
            most = min(int(getattr(self._spec, name, 0)), self._length)
            size = self._sizes[rows, number][own]
            if name == "translocation":  # to the left or to the right
                amount = np.floor(size * (2 * most + 1)).astype(np.int64) - most
            else:
                amount = np.floor(size * (most + 1)).astype(np.int64)
            place = self._places[rows, number][own]
            fresh = self._fresh[(starts[own] + 7919 * (number + 1)) % POOL]
            codes[own] = change(codes[own], amount, place, fresh)
        if "mutation" in self._chosen:
            self._mutate(codes, rows)
        if "noise" in self._chosen:
            codes[self._chosen["noise"][rows]] += np.uint8(NOISY)
        return codes

    def _mutate(self, codes: np.ndarray, rows: slice) -> None:
        """Draw the letters of some places again, so that `mutation` of all letters change."""
        own = np.flatnonzero(self._chosen["mutation"][rows])
        count = min(round(self._spec.mutation / 0.75 * self._length), self._length)
        pool = self._starts[rows][own, None] + np.arange(count)
        places = self._spots[(pool + 104_729) % POOL]
        letters = self._letters[(pool + 224_737) % POOL]
        codes[own[:, None], places] = np.where(codes[own[:, None], places] == OTHER, OTHER, letters)


def shifted(codes: np.ndarray, by: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Return sequences (n, L) moved to the right by `by` (n,); `fresh` (n, L) fills the gap."""
    source = np.arange(codes.shape[1]) - by[:, None]
    return _taken(codes, source, fresh)


def inserted(
    codes: np.ndarray, size: np.ndarray, place: np.ndarray, fresh: np.ndarray
) -> np.ndarray:
    """Insert `size` random letters; half of the surplus leaves at each end.

    Args:
        codes: (n, L) uint8.
        size: (n,) nt.
        place: (n,) from 0 to 1, where.
        fresh: (n, L) random letters.
    """
    start = np.floor(place * (codes.shape[1] + 1)).astype(np.int64)[:, None]
    size = size[:, None]
    grown = np.arange(codes.shape[1]) + size // 2
    source = np.where(grown < start, grown, np.where(grown < start + size, -1, grown - size))
    return _taken(codes, source, fresh)


def deleted(
    codes: np.ndarray, size: np.ndarray, place: np.ndarray, fresh: np.ndarray
) -> np.ndarray:
    """Delete `size` letters; random ones fill both ends. Arguments as `inserted`."""
    length = codes.shape[1]
    start = np.floor(place * (length - size + 1)).astype(np.int64)[:, None]
    size = size[:, None]
    left = np.arange(length) - size // 2
    source = np.where(left < start, left, left + size)
    return _taken(codes, source, fresh)


def translocated(
    codes: np.ndarray, size: np.ndarray, place: np.ndarray, fresh: np.ndarray
) -> np.ndarray:
    """Roll each sequence by `size`; what leaves at one end comes in at the other."""
    source = np.arange(codes.shape[1]) - size[:, None] % codes.shape[1]
    return _taken(codes, source, _taken(codes, source + codes.shape[1], codes))


def inverted(
    codes: np.ndarray, size: np.ndarray, place: np.ndarray, fresh: np.ndarray
) -> np.ndarray:
    """Replace `size` letters by their reverse complement. Arguments as `inserted`."""
    length = codes.shape[1]
    start = np.floor(place * (length - size + 1)).astype(np.int64)[:, None]
    stop = start + size[:, None]
    columns = np.arange(length)
    inside = (columns >= start) & (columns < stop)
    turned = reverse_complement(codes)  # turned[:, j] belongs to column length - 1 - j
    source = np.where(inside, length - 1 - (start + stop - 1 - columns), -1)
    return _taken(turned, source, codes)


def turned_over(
    codes: np.ndarray, size: np.ndarray, place: np.ndarray, fresh: np.ndarray
) -> np.ndarray:
    """Return the reverse complements of the sequences for which `place` is below 1/2."""
    return _turned_where(place < 0.5, codes)


def _turned_where(turned: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the sequences, those of `turned` (n,) as their reverse complements."""
    found = codes.copy()
    found[turned] = reverse_complement(codes[turned])
    return found


def _taken(codes: np.ndarray, source: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Return `codes` at the columns `source`, int64, or `fresh` where these lie outside."""
    known = source.view(np.uint64) < codes.shape[1]  # a negative number becomes a large one
    flat = source + np.arange(len(codes))[:, None] * codes.shape[1]
    return np.where(known, codes.reshape(-1).take(flat, mode="clip"), fresh)


CHANGES: Mapping[str, Change] = {
    "deletion": deleted,
    "insertion": inserted,
    "translocation": translocated,
    "inversion": inverted,
    "reverse_complement": turned_over,
}
