"""From scores of all four letters to one number a position."""

import numpy as np

from mlproject.sequence import one_hot


def centred(scores: np.ndarray) -> np.ndarray:
    """Return scores (..., 4) with mean 0 over the four letters of each position.

    One-hot sequences lie on a simplex, which a gradient leaves: its part that is common to the
    four letters says nothing about any change of letters and is noise.

    Source: Majdandzic, Rajesh & Koo, Genome Biol 24: 109, 2023.
    """
    return scores - scores.mean(axis=-1, keepdims=True)


def hypothetical(multipliers: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Return what each letter would contribute against a reference, in its shape (..., 4).

    Letter a at a position contributes multiplier[a] - sum over b of reference[b] * multiplier[b]:
    at the letter present, that is multiplier * (input - reference), summed over letters.

    Args:
        multipliers: slopes (..., 4), such as gradients.
        references: letter probabilities (..., 4).
    """
    return multipliers - (multipliers * references).sum(axis=-1, keepdims=True)


def contributions(scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the scores at the letters present, (N, L); 0 where the letter is not known.

    Args:
        scores: (N, L, 4).
        codes: (N, L) uint8.
    """
    return (scores * one_hot(codes)).sum(axis=-1)


def magnitude(scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return how large scores are whatever the letter: Euclidean norm, (N, L)."""
    return np.sqrt(np.square(scores).sum(axis=-1))
