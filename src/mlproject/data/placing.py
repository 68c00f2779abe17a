"""Motifs and their places in generated sequences."""

from collections.abc import Sequence

import numpy as np

from mlproject.data.recipe import Recipe
from mlproject.data.split import SITE
from mlproject.motifs.pwm import Motif, reverse_complement
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity

MOST_DRAWS = 1000


def place(
    rng: np.random.Generator,
    recipe: Recipe,
    motifs: Sequence[Motif],
    sequences: int,
    length: int,
    *,
    pool: int,
    rules: bool = True,
) -> np.ndarray:
    """Draw the motifs and their positions. Return `SITE` records by sequence and start.

    Args:
        rng: random numbers.
        recipe: numbers of motifs, strands, gaps, order and spacing.
        motifs: the motifs.
        sequences: number of sequences.
        length: nt a sequence.
        pool: motifs are drawn from the first `pool` ones.
        rules: whether `order` and `spacing` hold.

    Raises:
        UserError: the motifs do not fit into the sequences.
    """
    upper = np.cumsum(recipe.probabilities[:-1])
    counts = recipe.fewest + np.searchsorted(upper, rng.random(sequences), side="right")[:, None]
    slots = np.arange(recipe.most)
    present = slots < counts
    motif = _drawn(rng, recipe, pool, (sequences, recipe.most))
    if recipe.labels == "kind":
        motif = np.repeat(motif[:, :1], recipe.most, axis=1)
    both = recipe.strands == "both"
    strand = 1 - 2 * rng.integers(0, 2, motif.shape) if both else np.ones(motif.shape, np.int64)
    widths = np.array([each.width for each in motifs])
    least = counts[:, 0] + 1 if recipe.gaps == "apart" else np.ones(sequences, np.int64)
    distances = recipe.distances if rules else None
    if distances:
        least = (counts[:, 0] - 1) * distances[1]
    for _ in range(MOST_DRAWS):
        total = np.where(present, widths[motif], 0).sum(axis=1)
        wide = np.flatnonzero(total + least > length)
        if not len(wide):
            break
        drawn = _drawn(rng, recipe, pool, (len(wide), recipe.most))
        motif[wide] = drawn[:, :1] if recipe.labels == "kind" else drawn
    else:
        raise UserError(
            f"`length` must leave room for {quantity(recipe.most, 'motif')} and their gaps: "
            f"got {length}"
        )
    if rules and recipe.order == "listed":
        motif = np.sort(np.where(present, motif, len(motifs)), axis=1) % len(motifs)
    width = np.where(present, widths[motif], 0)
    end = width.cumsum(axis=1)
    free = length - end[:, -1:]
    if distances:
        before = _spaced(rng, counts, free, distances, recipe.most)
    elif recipe.gaps == "free":
        before = _free(rng, counts, free, recipe.most)
    else:
        before = _apart(rng, counts, free, recipe.most)
    sequence, slot = present.nonzero()
    sites = np.empty(len(sequence), SITE)
    sites["sequence"] = sequence
    start = before + (end - width)
    columns = {"start": start, "width": width, "motif": motif, "strand": strand}
    for name, values in columns.items():
        sites[name] = values[sequence, slot]
    return sites


def plant(
    rng: np.random.Generator,
    motifs: Sequence[Motif],
    sites: np.ndarray,
    codes: np.ndarray,
    sharpness: float = 1.0,
) -> None:
    """Draw the letters of the sites from powers of their PWMs into `codes` (n, L)."""
    if not len(sites):
        return
    widest = max(motif.width for motif in motifs)
    upper = np.zeros((2, len(motifs), widest, 4))
    for index, motif in enumerate(motifs):
        own = motif.pwm if sharpness == 1.0 else motif.pwm**sharpness
        for reverse, pwm in enumerate((own, reverse_complement(own))):
            upper[reverse, index, : motif.width] = pwm.cumsum(axis=1)
    backward = (sites["strand"] < 0).astype(np.intp)
    site, column = (np.arange(widest) < sites["width"][:, None]).nonzero()
    bounds = upper[backward[site], sites["motif"][site], column]
    drawn = rng.random(len(site)) * bounds[:, 3]
    letters = (drawn[:, None] >= bounds[:, :3]).sum(axis=1)
    codes[sites["sequence"][site], sites["start"][site] + column] = letters


def _drawn(
    rng: np.random.Generator, recipe: Recipe, pool: int, shape: tuple[int, int]
) -> np.ndarray:
    if recipe.repeats == "none":
        return np.argsort(rng.random((shape[0], pool)), axis=1)[:, : shape[1]]
    if recipe.imbalance == 1.0:
        return rng.integers(0, pool, shape)
    weights = recipe.imbalance ** -(np.arange(pool) / max(pool - 1, 1))
    return rng.choice(pool, shape, p=weights / weights.sum())


def _apart(rng: np.random.Generator, counts: np.ndarray, free: np.ndarray, most: int) -> np.ndarray:
    """Return the free nt before each motif: 1 nt a gap, and the rest in random proportions."""
    shares = (1.0 - rng.random((len(counts), most + 1))) * (np.arange(most + 1) <= counts)
    shares = shares.cumsum(axis=1)
    rest = free - (counts + 1)
    before = np.rint(rest * (shares / shares[:, -1:])).astype(np.int64)[:, :-1]
    return before + np.arange(1, most + 1)


def _free(rng: np.random.Generator, counts: np.ndarray, free: np.ndarray, most: int) -> np.ndarray:
    """Return the free nt before each motif: rounded random proportions, drawn until they fit."""
    gaps = np.zeros((len(counts), most + 1), np.int64)
    left = np.arange(len(counts))
    while len(left):
        shares = rng.random((len(left), most + 1)) * (np.arange(most + 1) <= counts[left])
        drawn = np.rint(free[left] * (shares / shares.sum(axis=1, keepdims=True))).astype(np.int64)
        fits = drawn.sum(axis=1) == free[left, 0]
        gaps[left[fits]] = drawn[fits]
        left = left[~fits]
    return gaps.cumsum(axis=1)[:, :-1]


def _spaced(
    rng: np.random.Generator,
    counts: np.ndarray,
    free: np.ndarray,
    distances: tuple[int, int],
    most: int,
) -> np.ndarray:
    """Return the free nt before each motif: distances by the rule, the group anywhere."""
    gaps = rng.integers(distances[0], distances[1] + 1, (len(counts), most))
    gaps *= (np.arange(most) > 0) & (np.arange(most) < counts)
    room = free[:, 0] - gaps.sum(axis=1)
    return gaps.cumsum(axis=1) + rng.integers(0, room + 1)[:, None]
