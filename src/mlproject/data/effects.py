"""Values and counts of generated sequences: sums of the effects of their sites."""

from typing import Any

import numpy as np

from mlproject.data.recipe import Recipe

LARGEST = 600.0  # of a rate's logarithm, beyond which the mean of rates overflows


def values_of(
    rng: np.random.Generator, recipe: Recipe, sites: np.ndarray, sequences: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the labels of sequences, float32 (sequences, 1), and what can be known of them.

    Args:
        rng: random numbers.
        recipe: effects, interactions and noise.
        sites: `SITE` records of the motifs that count.
        sequences: number of sequences.

    Returns:
        The labels, and ``achievable``: R2 and Pearson's correlation of the values without noise, or
        of the rates, on the last 0.2 of the sequences, the test split. No prediction from the
        sequence does better, but for chance.
    """
    plain = expected(recipe, sites, sequences)
    if recipe.labels == "value":
        noise = rng.standard_normal(sequences) * recipe.noise * plain.std()
        labels = (plain + noise).astype(np.float32)
    else:
        plain = np.exp(plain - max(plain.max() - LARGEST, 0.0))
        plain *= recipe.mean_count / plain.mean()
        labels = rng.poisson(plain).astype(np.float32)
    test = slice(sequences * 8 // 10, sequences)
    truth, best = labels[test].astype(np.float64), plain[test]
    spread = np.square(truth - truth.mean()).sum()
    found = {}
    if spread > 0 and best.std() > 0:
        found["r2"] = float(1 - np.square(truth - best).sum() / spread)
        found["pearson"] = float(np.corrcoef(truth, best)[0, 1])
    return labels[:, None], {"achievable": found}


def expected(recipe: Recipe, sites: np.ndarray, sequences: int) -> np.ndarray:
    """Return the sum of effects of each sequence, (sequences,).

    Each site of a motif adds its effect. Each pair of interacting motifs adds its own once, if the
    sequence has a site of both.
    """
    effects = np.array(recipe.sizes)
    total: np.ndarray = np.zeros(sequences)
    np.add.at(total, sites["sequence"], effects[sites["motif"]])
    for names, effect in recipe.pairs.items():
        both = np.ones(sequences, bool)
        for name in names:
            own = sites["sequence"][sites["motif"] == recipe.ids.index(name)]
            both &= np.bincount(own, minlength=sequences) > 0
        total += effect * both
    return total
