"""Generated data: motifs planted in DNA by one of `mlproject.data.recipes.RECIPES`.

Source of the first recipe: Koo & Eddy, PLoS Comput Biol 15(12): e1007560, 2019, Methods. The
numbers of motifs are those of its released code.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlproject.data.backgrounds import background, shuffled
from mlproject.data.dataset import Dataset, make_dataset
from mlproject.data.effects import values_of
from mlproject.data.paper import FACTORS
from mlproject.data.placing import place, plant
from mlproject.data.recipe import Recipe
from mlproject.data.recipes import make_recipe
from mlproject.data.split import SPLITS, Split
from mlproject.data.writing import write
from mlproject.fields import GENERATED, VALUES
from mlproject.motifs.databases import jaspar, jaspar_by_id
from mlproject.motifs.pwm import Motif
from mlproject.system.errors import UserError
from mlproject.system.memory import require_memory

VERSION = 1
FEWEST_SEQUENCES = 10
PAPER = "synthetic"  # the recipe of the first paper
CODE = "code"  # the class of recipes with one
OUTPUT = "activity"  # of recipes with values
Settings = Mapping[str, str]


def provenance(
    name: str, seed: int, sequences: int, length: int, settings: Settings | None = None
) -> dict[str, Any]:
    """Return all inputs of a generated data set."""
    made = make_recipe(name, settings)
    found: dict[str, Any] = {
        "source": name,
        "generator": VERSION,
        "release": made.release,
        "seed": seed,
        "sequences": sequences,
        "length": length,
    }
    plain = name == PAPER and made == make_recipe(PAPER)
    return found if plain else {**found, "recipe": made.model_dump()}


def make_synthetic(
    out: Path,
    seed: int = 0,
    sequences: int | None = None,
    length: int | None = None,
    name: str = PAPER,
    settings: Settings | None = None,
) -> Dataset:
    """Generate a data set and write it to `out` atomically, see `generate`."""
    dataset = generate(seed, sequences, length, name, settings)
    write(dataset, out)
    return dataset


def generate(
    seed: int = 0,
    sequences: int | None = None,
    length: int | None = None,
    name: str = PAPER,
    settings: Settings | None = None,
) -> Dataset:
    """Generate a data set by a recipe.

    In the first paper's recipe a sequence is uniform random DNA with 1 to 5 motifs. The motifs are
    drawn with replacement from the 24 PWMs of 12 factors and their reverse complements, and their
    letters from the PWM without pseudocounts. Gaps before, between and after motifs have at least
    1 nt. The rest of the length is divided among the gaps in proportion to uniform random numbers.
    A label is 1 if the factor's motif was planted on either strand.

    Args:
        seed: the same seed gives the same data.
        sequences: total number: 0.7 for training, 0.1 for validation, 0.2 for testing, in order.
            Sequences are independent draws, so each split is a random sample. None: the recipe's.
        length: nt per sequence. None: the recipe's.
        name: the recipe.
        settings: fields of the recipe that differ from its row, as text.

    Raises:
        UserError: an unknown recipe or setting, too few sequences for three splits, no room for
            the motifs, or a background that cannot be read.
    """
    recipe = make_recipe(name, settings)
    sequences = GENERATED[name]["sequences"] if sequences is None else sequences
    length = GENERATED[name]["length"] if length is None else length
    motifs = jaspar_by_id(recipe.ids, recipe.release)
    _check_sizes(recipe, motifs, seed, sequences, length)
    rng = np.random.default_rng(seed)
    core = len(motifs)
    if recipe.decoys:
        motifs = (*motifs, *_decoys(rng, recipe, motifs))
    codes = background(rng, recipe, sequences, length)
    negative = np.zeros(sequences, bool)
    if recipe.negatives:
        chosen = rng.permutation(sequences)[: round(recipe.negatives * sequences)]
        negative[chosen] = True
    sites = _positives(rng, recipe, motifs[:core], negative, length)
    if len(decoys := _negatives(rng, recipe, motifs, negative, length)):
        sites = np.concatenate([sites, decoys])
        sites = sites[np.argsort(sites["sequence"], kind="stable")]
    plant(rng, motifs, sites, codes, recipe.sharpness)
    if recipe.negative_kind == "shuffled" and negative.any():
        codes[negative], sites = _shuffled_negatives(rng, codes, sites, negative)
    classes, relevant = _classes(recipe, motifs[:core])
    if unknown := sorted(set(recipe.own_relevant) - set(classes)):
        raise UserError(f"`relevant` must name classes, {', '.join(classes)}: got {unknown[0]}")
    known = sites[sites["motif"] < core]
    labels = np.zeros((sequences, len(classes)), np.uint8)
    further: dict[str, Any] = {}
    if recipe.task in VALUES:
        labels, further = values_of(rng, recipe, known, sequences)
    elif recipe.labels == "code":
        labels[:, 0] = ~negative
    else:
        labels[known["sequence"], known["motif"]] = 1
    if recipe.label_noise:
        labels ^= rng.random(labels.shape) < recipe.label_noise
    return make_dataset(
        _split(codes, labels, sites),
        classes,
        {**relevant, **recipe.own_relevant},
        motifs,
        provenance(name, seed, sequences, length, settings) | further,
        recipe.task,
    )


def _check_sizes(
    recipe: Recipe, motifs: tuple[Motif, ...], seed: int, sequences: int, length: int
) -> None:
    widest, most = max(motif.width for motif in motifs), recipe.most
    around = most + 1 if recipe.gaps == "apart" else 1
    if recipe.distances:
        around = (most - 1) * recipe.distances[1] + 1
    if length < (shortest := most * widest + around):
        gap = "1 nt around each" if recipe.gaps == "apart" else "their gaps"
        raise UserError(
            f"`length` must be at least {shortest} nt, room for {most} motifs of {widest} nt with "
            f"{gap}: got {length}"
        )
    if sequences < FEWEST_SEQUENCES:
        raise UserError(
            f"`sequences` must be at least {FEWEST_SEQUENCES}, some for each split: got {sequences}"
        )
    require_memory(sequences * length, "generated data", "take fewer or shorter sequences")
    if seed < 0:
        raise UserError(f"`seed` must be 0 or more: got {seed}")


def _decoys(rng: np.random.Generator, recipe: Recipe, core: tuple[Motif, ...]) -> tuple[Motif, ...]:
    """Draw motifs of the release that do not count; look-alikes of the core are among them."""
    others = [motif for motif in jaspar(recipe.release) if motif.id not in recipe.ids]
    if len(others) < recipe.decoys:
        raise UserError(f"`decoys` must be at most {len(others)}: got {recipe.decoys}")
    chosen = np.sort(rng.choice(len(others), recipe.decoys, replace=False))
    return tuple(others[number] for number in chosen)


def _positives(
    rng: np.random.Generator,
    recipe: Recipe,
    motifs: tuple[Motif, ...],
    negative: np.ndarray,
    length: int,
) -> np.ndarray:
    """Return the sites of sequences that follow the recipe, and of those shuffled later."""
    rows = np.arange(len(negative))
    if recipe.negative_kind != "shuffled":
        rows = np.flatnonzero(~negative)
    sites = place(rng, recipe, motifs, len(rows), length, pool=len(motifs))
    sites["sequence"] = rows[sites["sequence"]]
    return sites


def _negatives(
    rng: np.random.Generator,
    recipe: Recipe,
    motifs: tuple[Motif, ...],
    negative: np.ndarray,
    length: int,
) -> np.ndarray:
    """Return the sites of negatives that have motifs of their own."""
    rows = np.flatnonzero(negative)
    if not len(rows) or recipe.negative_kind not in ("decoys", "scrambled"):
        return np.zeros(0)
    first = len(motifs) - recipe.decoys if recipe.labels == "present" else 0
    pool = motifs[first:]
    sites = place(rng, recipe, pool, len(rows), length, pool=len(pool), rules=False)
    sites["sequence"] = rows[sites["sequence"]]
    sites["motif"] += first
    return sites


def _shuffled_negatives(
    rng: np.random.Generator, codes: np.ndarray, sites: np.ndarray, negative: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the shuffled negatives, and the sites of the other sequences."""
    return shuffled(rng, codes[negative]), sites[~negative[sites["sequence"]]]


def _classes(
    recipe: Recipe, motifs: tuple[Motif, ...]
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Return the classes, and the ids of the motifs of each."""
    known = {factor.jaspar_id: factor for factor in FACTORS}
    names, ids = [], []
    for motif in motifs:
        factor = known.get(motif.id)
        names.append(factor.name if factor else motif.name or motif.id)
        ids.append(factor.relevant if factor else (motif.id.partition(".")[0],))
    if recipe.labels == "code":
        return (CODE,), {CODE: tuple(dict.fromkeys(one for group in ids for one in group))}
    if recipe.task in VALUES:
        acting = {motif.id for motif, one in zip(motifs, recipe.sizes, strict=True) if one}
        acting |= {one for pair in recipe.pairs for one in pair}
        groups = [group for motif, group in zip(motifs, ids, strict=True) if motif.id in acting]
        return (OUTPUT,), {OUTPUT: tuple(dict.fromkeys(one for own in groups for one in own))}
    names = [
        name if names.count(name) == 1 else f"{name}_{motif.id}"
        for name, motif in zip(names, motifs, strict=True)
    ]
    return tuple(names), dict(zip(names, ids, strict=True))


def _split(codes: np.ndarray, labels: np.ndarray, sites: np.ndarray) -> dict[str, Split]:
    count = len(codes)
    bounds = (0, count * 7 // 10, count * 8 // 10, count)
    splits = {}
    for name, start, stop in zip(SPLITS, bounds[:-1], bounds[1:], strict=True):
        first, last = np.searchsorted(sites["sequence"], (start, stop))
        own = sites[first:last].copy()
        own["sequence"] -= start
        splits[name] = Split(codes[start:stop], labels[start:stop], own)
    return splits
