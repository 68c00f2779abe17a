"""Reference sequences for attributions."""

import numpy as np

from mlproject.sequence import shuffle_dinucleotides
from mlproject.system.interrupts import check_interrupts

UNIFORM = 0.25


def shuffled(codes: np.ndarray, copies: int, rng: np.random.Generator) -> np.ndarray:
    """Return `copies` of each sequence with its dinucleotides shuffled, uint8 (N, copies, L).

    Equal sequences have equal copies.

    Args:
        codes: (N, L) uint8.
        copies: shuffled sequences for each.
        rng: random numbers.
    """
    different, owner = np.unique(codes, axis=0, return_inverse=True)
    made = np.empty((len(different), copies, codes.shape[1]), np.uint8)
    for sequence, own in zip(different, made, strict=True):
        check_interrupts()
        for number in range(copies):
            own[number] = shuffle_dinucleotides(sequence, rng)
    return made[owner.reshape(-1)]
