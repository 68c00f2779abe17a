"""The paper's synthetic data: JASPAR motifs of twelve factors planted in random DNA.

Source: Koo & Eddy, PLoS Comput Biol 15(12): e1007560, 2019, Methods. The numbers of motifs are
those of its released code.
"""

from pathlib import Path
from typing import Any

import numpy as np

from mlproject.data.dataset import SITE, SPLITS, Dataset, Split, make_dataset
from mlproject.data.layout import write
from mlproject.data.paper import CLASSES, FACTORS, RELEVANT
from mlproject.motifs.databases import JASPAR_2016, jaspar_by_id
from mlproject.motifs.pwm import Motif, reverse_complement
from mlproject.system.errors import UserError

VERSION = 1
COUNT_PROBABILITIES = (0.50, 0.25, 0.17, 0.05, 0.03)
MOST = len(COUNT_PROBABILITIES)
FEWEST_SEQUENCES = 10


def recipe(seed: int, sequences: int, length: int) -> dict[str, Any]:
    """Return all inputs of a generated data set. They become its provenance."""
    return {
        "source": "synthetic",
        "generator": VERSION,
        "release": JASPAR_2016,
        "seed": seed,
        "sequences": sequences,
        "length": length,
    }


def make_synthetic(out: Path, seed: int = 0, sequences: int = 25_000, length: int = 200) -> Dataset:
    """Generate a data set and write it to `out` atomically, see `generate`."""
    dataset = generate(seed, sequences, length)
    write(dataset, out)
    return dataset


def generate(seed: int = 0, sequences: int = 25_000, length: int = 200) -> Dataset:
    """Generate the paper's synthetic data.

    A sequence is uniform random DNA with 1 to 5 motifs (`COUNT_PROBABILITIES`). The motifs are
    drawn with replacement from the 24 PWMs of 12 factors and their reverse complements, and their
    letters from the PWM without pseudocounts. Gaps before, between and after motifs have at least
    1 nt. The rest of the length is divided among the gaps in proportion to uniform random numbers.
    A label is 1 if the factor's motif was planted on either strand.

    Args:
        seed: the same seed gives the same data.
        sequences: total number: 0.7 for training, 0.1 for validation, 0.2 for testing, in order.
            Sequences are independent draws, so each split is a random sample.
        length: nt per sequence.

    Raises:
        UserError: too few sequences for three splits, or no room for five of the widest motif.
    """
    motifs = jaspar_by_id([factor.jaspar_id for factor in FACTORS])
    widest = max(motif.width for motif in motifs)
    shortest = MOST * widest + MOST + 1
    if length < shortest:
        raise UserError(
            f"`length` must be at least {shortest} nt, room for {MOST} motifs of {widest} nt with "
            f"1 nt around each: got {length}"
        )
    if sequences < FEWEST_SEQUENCES:
        raise UserError(
            f"`sequences` must be at least {FEWEST_SEQUENCES}, some for each split: got {sequences}"
        )
    if seed < 0:
        raise UserError(f"`seed` must be 0 or more: got {seed}")
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (sequences, length), np.uint8)
    sites = _place(rng, motifs, sequences, length)
    _plant(rng, motifs, sites, codes)
    labels = np.zeros((sequences, len(CLASSES)), np.uint8)
    labels[sites["sequence"], sites["motif"]] = 1
    return make_dataset(
        _split(codes, labels, sites),
        CLASSES,
        RELEVANT,
        motifs,
        recipe(seed, sequences, length),
    )


def _place(
    rng: np.random.Generator, motifs: tuple[Motif, ...], sequences: int, length: int
) -> np.ndarray:
    """Draw the motifs and their positions. Return `SITE` records by sequence and start."""
    upper = np.cumsum(COUNT_PROBABILITIES[:-1])
    counts = 1 + np.searchsorted(upper, rng.random(sequences), side="right")[:, None]
    slots = np.arange(MOST)
    present = slots < counts
    motif = rng.integers(0, len(motifs), (sequences, MOST))
    strand = 1 - 2 * rng.integers(0, 2, (sequences, MOST))
    widths = np.array([each.width for each in motifs])
    width = np.where(present, widths[motif], 0)
    end = width.cumsum(axis=1)
    free = length - end[:, -1:] - (counts + 1)
    shares = (1.0 - rng.random((sequences, MOST + 1))) * (np.arange(MOST + 1) <= counts)
    shares = shares.cumsum(axis=1)
    before = np.rint(free * (shares / shares[:, -1:])).astype(np.int64)[:, :-1]
    start = before + (slots + 1) + (end - width)

    sequence, slot = present.nonzero()
    sites = np.empty(len(sequence), SITE)
    sites["sequence"] = sequence
    columns = {"start": start, "width": width, "motif": motif, "strand": strand}
    for name, values in columns.items():
        sites[name] = values[sequence, slot]
    return sites


def _plant(
    rng: np.random.Generator, motifs: tuple[Motif, ...], sites: np.ndarray, codes: np.ndarray
) -> None:
    """Draw the letters of the sites from their PWMs into `codes` (n, L)."""
    widest = max(motif.width for motif in motifs)
    upper = np.zeros((2, len(motifs), widest, 4))
    for index, motif in enumerate(motifs):
        for reverse, pwm in enumerate((motif.pwm, reverse_complement(motif.pwm))):
            upper[reverse, index, : motif.width] = pwm.cumsum(axis=1)
    backward = (sites["strand"] < 0).astype(np.intp)
    site, column = (np.arange(widest) < sites["width"][:, None]).nonzero()
    bounds = upper[backward[site], sites["motif"][site], column]
    drawn = rng.random(len(site)) * bounds[:, 3]
    letters = (drawn[:, None] >= bounds[:, :3]).sum(axis=1)
    codes[sites["sequence"][site], sites["start"][site] + column] = letters


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
