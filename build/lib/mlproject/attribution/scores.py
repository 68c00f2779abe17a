"""An attribution method, and its scores: from all four letters to one number a position."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from mlproject.sequence import one_hot


def centred(scores: np.ndarray) -> np.ndarray:
    """Return scores (..., 4) with mean 0 over the four letters of each position.

    One-hot sequences lie on a simplex. A gradient has a component orthogonal to it, common to the
    four letters. That component is noise, since no replacement of letters moves along it.

    Source: Majdandzic, Rajesh & Koo, Genome Biol 24: 109, 2023.
    """
    return scores - scores.mean(axis=-1, keepdims=True)


def hypothetical(multipliers: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Return the contribution of each letter against a reference, (..., 4).

    Letter a at a position contributes multiplier[a] - sum over b of reference[b] * multiplier[b]:
    For the letter present this is multiplier * (input - reference), summed over letters.

    Args:
        multipliers: slopes (..., 4), such as gradients.
        references: letter probabilities (..., 4).
    """
    return multipliers - (multipliers * references).sum(axis=-1, keepdims=True)


def contributions(scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the scores of the letters present, (N, L); 0 where the letter is unknown.

    Args:
        scores: (N, L, 4).
        codes: (N, L) uint8.
    """
    return (scores * one_hot(codes)).sum(axis=-1)


def magnitude(scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the Euclidean norm of the scores over the four letters, (N, L)."""
    return np.sqrt(np.square(scores).sum(axis=-1))


class Method(NamedTuple):
    """An attribution method.

    Attributes:
        function: from a model, codes (N, L) and classes (N,) to scores (N, L, 4).
        reading: from scores and codes to one importance for each position, (N, L).
        options: further arguments of `function`.
        random: whether it needs random numbers.
        hypothetical: whether letters that are not present have scores.
    """

    function: Callable[..., np.ndarray]
    reading: Callable[[np.ndarray, np.ndarray], np.ndarray] = contributions
    options: Mapping[str, Any] = {}
    random: bool = False
    hypothetical: bool = True
