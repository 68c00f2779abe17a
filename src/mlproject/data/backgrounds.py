"""Backgrounds of generated data: DNA into which motifs are planted."""

from pathlib import Path

import numpy as np

from mlproject.data.genome import Genome, open_genome
from mlproject.data.recipe import Recipe
from mlproject.sequence import OTHER, shuffle_dinucleotides
from mlproject.system.errors import UserError
from mlproject.system.interrupts import check_interrupts

MOST_DRAWS = 100  # windows tried for each one that is taken


def background(rng: np.random.Generator, recipe: Recipe, sequences: int, length: int) -> np.ndarray:
    """Return uint8 codes (sequences, length) of the recipe's background, without N.

    Raises:
        UserError: the genome cannot be read, or has too few windows without N.
    """
    if recipe.background == "uniform":
        if recipe.gc == 0.5:
            return rng.integers(0, 4, (sequences, length), np.uint8)
        weak = (1 - recipe.gc) / 2
        bounds = np.cumsum([weak, recipe.gc / 2, recipe.gc / 2])
        return np.searchsorted(bounds, rng.random((sequences, length)), "right").astype(np.uint8)
    with open_genome(Path(recipe.genome)) as genome:
        found = _windows(rng, genome, sequences, length)
    return shuffled(rng, found) if recipe.background == "shuffled" else found


def shuffled(rng: np.random.Generator, codes: np.ndarray) -> np.ndarray:
    """Return each sequence of codes (n, L) with its dinucleotides shuffled."""
    found = np.empty_like(codes)
    for row, sequence in enumerate(codes):
        check_interrupts()
        found[row] = shuffle_dinucleotides(sequence, rng)
    return found


def _windows(rng: np.random.Generator, genome: Genome, sequences: int, length: int) -> np.ndarray:
    names = [name for name, size in genome.sizes.items() if size >= length]
    if not names:
        raise UserError(
            f"`genome` must have sequences of at least {length} nt: the longest of {genome.path} "
            f"has {max(genome.sizes.values())} nt"
        )
    room = np.array([genome.sizes[name] - length + 1 for name in names])
    found = np.empty((sequences, length), np.uint8)
    done = 0
    for _ in range(MOST_DRAWS * sequences):
        if done == sequences:
            return found
        check_interrupts()
        number = int(rng.choice(len(names), p=room / room.sum()))
        start = int(rng.integers(room[number]))
        codes = genome.codes(names[number], start, start + length)
        if codes.max() < OTHER:
            found[done] = codes
            done += 1
    if done == sequences:
        return found
    raise UserError(f"`genome` must have windows of {length} nt without N: {genome.path} has few")
