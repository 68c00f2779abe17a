"""Motifs as matrices of letter probabilities, (width, 4), letters in the order A C G T."""

from typing import NamedTuple

import numpy as np

INFORMATIVE = 0.5
"""A column with more information than this, in bits, is part of a filter's motif."""


class Motif(NamedTuple):
    """One motif.

    Attributes:
        id: unique name, without spaces (``MA0466.2``, ``filter0``).
        name: second name, ``""`` if the motif has none (``CEBPB``).
        pwm: (width, 4) float64, letter probabilities A C G T; each row sums to 1.
        nsites: number of sites from which the probabilities were counted.
    """

    id: str
    name: str
    pwm: np.ndarray
    nsites: float

    @property
    def width(self) -> int:
        """Number of columns, nt."""
        return len(self.pwm)

    @property
    def consensus(self) -> str:
        """The most probable letter of each column; of equally probable letters the first."""
        return "".join("ACGT"[letter] for letter in self.pwm.argmax(axis=1))


def reverse_complement(pwm: np.ndarray) -> np.ndarray:
    """Return the reverse complement of a motif (width, 4)."""
    return pwm[::-1, ::-1]


def information(pwm: np.ndarray) -> np.ndarray:
    """Return the information content of each column, (width,), 0 to 2 bits.

    Source: I = 2 + sum p log2 p, the paper's logo height (uniform background).
    """
    return 2.0 + np.sum(pwm * np.log2(np.where(pwm > 0.0, pwm, 1.0)), axis=-1)


def clip(pwm: np.ndarray, bits: float = INFORMATIVE, flank: int = 3) -> tuple[int, int]:
    """Return the informative part of a filter as ``(start, stop)`` columns.

    Args:
        pwm: (width, 4).
        bits: a column with more than this is informative.
        flank: columns kept on each side, as far as the filter has them.

    Returns:
        The range from the first to the last informative column, with flanks. All columns if none is
        informative. Source: the rule of the paper's released code.
    """
    informative = np.flatnonzero(information(pwm) > bits)
    if not len(informative):
        return 0, len(pwm)
    first, last = int(informative[0]), int(informative[-1])
    return max(first - flank, 0), min(last + 1 + flank, len(pwm))


def round_rows(pwm: np.ndarray, decimals: int) -> np.ndarray:
    """Return (width, 4), rounded so that every row still sums to 1.

    Values are rounded down, and the missing units go to the letters with the largest remainders. No
    value changes by 10^-decimals or more.
    """
    scaled = np.asarray(pwm, dtype=np.float64) * 10**decimals
    units = np.floor(scaled)
    order = np.argsort(units - scaled, axis=1, kind="stable")
    missing = np.rint(10**decimals - units.sum(axis=1)).astype(int)
    np.put_along_axis(
        units,
        order,
        np.take_along_axis(units, order, axis=1) + (np.arange(4) < missing[:, None]),
        axis=1,
    )
    return units / 10**decimals
