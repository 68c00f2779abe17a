"""Alleles in their genomic context, and the difference that they make to a network."""

from collections.abc import Sequence

import numpy as np

from mlproject.insilico.embedding import Score
from mlproject.sequence import OTHER, reverse_complement


def window(letters: np.ndarray, first: int, start: int, end: int) -> np.ndarray:
    """Return codes from `start` to `end` of a chromosome, `OTHER` outside of the known letters.

    Args:
        letters: codes of the chromosome from `first` on.
        first: position of the first code, from 0.
        start: first position, may be negative.
        end: position after the last one.
    """
    found = np.full(end - start, OTHER, np.uint8)
    low, high = max(start, first), min(end, first + len(letters))
    if low < high:
        found[low - start : high - start] = letters[low - first : high - first]
    return found


def fits(length: int, allele: int) -> bool:
    """Return whether an allele of so many letters lies within a window of `length`."""
    return length // 2 + allele <= length


def allele_window(left: np.ndarray, allele: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return a sequence whose allele starts in the middle.

    The left flank of two alleles is the same. The right flank starts after the reference allele, so
    that the letters behind an insertion move to the right, and those behind a deletion to the left.

    Args:
        left: codes before the variant, (length // 2,).
        allele: codes of the allele.
        right: codes after the reference allele, (length - length // 2,) or more.

    Returns:
        uint8 (length,), length twice that of `left`, and 1 more if `right` is longer.
    """
    rest = len(right) - len(allele)
    return np.concatenate([left, allele, right[:rest]])


def differences(
    scores: Sequence[Score], reference: np.ndarray, alternative: np.ndarray
) -> np.ndarray:
    """Return the differences of logits, alternative less reference, mean of both strands.

    Args:
        scores: from codes to logits, one for each network.
        reference: codes (variants, L).
        alternative: codes (variants, L).

    Returns:
        float64 (networks, variants, classes).
    """
    found = []
    for score in scores:
        strands = [
            score(turn(alternative)).astype(np.float64) - score(turn(reference))
            for turn in (np.asarray, reverse_complement)
        ]
        found.append((strands[0] + strands[1]) / 2)
    return np.stack(found)
