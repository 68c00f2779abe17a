"""Folds of a data set: other splits of the same sequences, so that each is tested once."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mlproject.data.clusters import clusters
from mlproject.data.dataset import Dataset, make_dataset
from mlproject.data.split import SPLITS, Split
from mlproject.system.errors import UserError


def refold(data: Dataset, folds: int, fold: int) -> Dataset:
    """Return a data set whose test split is one of `folds` parts, and its validation the next part.

    Sequences of one chromosome stay together if the data set knows where they lie, else those of
    one cluster of similar sequences, see `mlproject.data.clusters`. Groups are dealt out by size,
    the largest first, each to the part that is smallest so far: the same for every fold.

    Args:
        data: all its splits together are dealt out anew.
        folds: number of parts, 3 or more.
        fold: the part to test on, from 1.

    Raises:
        UserError: there are fewer groups than parts.
    """
    splits = [data.splits[name] for name in SPLITS]
    codes = np.concatenate([split.codes[:] for split in splits])
    labels = np.concatenate([np.asarray(split.labels[:]) for split in splits])
    windows = None
    if all(name in data.windows and (data.windows[name]["chrom"] != b"").all() for name in SPLITS):
        windows = np.concatenate([data.windows[name] for name in SPLITS])
    if windows is None:
        group, what = clusters(codes), "clusters of similar sequences"
    else:
        group = np.unique(windows["chrom"], return_inverse=True)[1].reshape(-1)
        what = "chromosomes"
    part = _dealt(group, folds, what)
    chosen = {"test": fold - 1, "valid": fold % folds}
    role = {name: part == number for name, number in chosen.items()}
    role["train"] = ~(role["test"] | role["valid"])
    sites = _joined_sites(splits)
    made = make_dataset(
        {name: _part(codes, labels, sites, role[name]) for name in SPLITS},
        data.classes, data.relevant, data.motifs,
        {**data.provenance, "folds": folds, "fold": fold, "groups": what},
        data.task, data.units,
    )  # fmt: skip
    if windows is None:
        return made
    return replace(made, windows={name: windows[role[name]] for name in SPLITS})


def tested(data: Dataset) -> set[bytes]:
    """Return what tells the test sequences of folds apart: letters, and places where known.

    A genome has equal sequences at several places, which are in several folds.
    """
    rows = [row.tobytes() for row in data.test.codes[:]]
    windows = data.windows.get("test")
    if windows is None:
        return set(rows)
    return {row + place.tobytes() for row, place in zip(rows, windows, strict=True)}


def tested_together(folds: Sequence[Dataset]) -> Dataset:
    """Return a data set whose test split holds the test sequences of several folds.

    Args:
        folds: data sets of `refold` that are tested on different sequences.

    Raises:
        UserError: they have other classes or motifs, or share a test sequence.
    """
    first = folds[0]
    for other in folds[1:]:
        if (other.classes, other.task, other.length, len(other.motifs)) != (
            first.classes, first.task, first.length, len(first.motifs)
        ):  # fmt: skip
            raise UserError("folds must be of one data set: got other classes, lengths or motifs")
    tests = [fold.test for fold in folds]
    seen: set[bytes] = set()
    for fold in folds:
        own = tested(fold)
        if own & seen:
            raise UserError(
                f"folds must be tested on different sequences: got {len(own & seen):,} twice"
            )
        seen |= own
    test = Split(
        np.concatenate([one.codes[:] for one in tests]),
        np.concatenate([np.asarray(one.labels[:]) for one in tests]),
        _joined_sites(tests),
    )
    made = make_dataset(
        {"train": first.train, "valid": first.valid, "test": test},
        first.classes, first.relevant, first.motifs,
        {**first.provenance, "fold": [fold.provenance.get("fold") for fold in folds]},
        first.task, first.units,
    )  # fmt: skip
    if any("test" not in fold.windows for fold in folds):
        return made
    return replace(made, windows={"test": np.concatenate([f.windows["test"] for f in folds])})


def _joined_sites(splits: Sequence[Split]) -> np.ndarray | None:
    """Return the sites of splits one after another, None if those of one are unknown."""
    parts, start = [], 0
    for split in splits:
        if split.sites is None:
            return None
        own = np.array(split.sites)
        own["sequence"] += np.uint32(start)
        parts.append(own)
        start += len(split.codes)
    return np.concatenate(parts)


def _dealt(group: np.ndarray, folds: int, what: str) -> np.ndarray:
    """Return the part of each sequence, from 0."""
    _, first, sizes = np.unique(group, return_index=True, return_counts=True)
    if len(sizes) < folds:
        raise UserError(f"`folds` must be at most the number of {what}, {len(sizes)}: got {folds}")
    part, filled = np.empty(len(sizes), np.int64), np.zeros(folds, np.int64)
    for number in np.lexsort([first, -sizes]):
        part[number] = np.argmin(filled)
        filled[part[number]] += sizes[number]
    return part[np.unique(group, return_inverse=True)[1].reshape(-1)]


def _part(
    codes: np.ndarray, labels: np.ndarray, sites: np.ndarray | None, chosen: np.ndarray
) -> Split:
    own = None
    if sites is not None:
        place = np.cumsum(chosen) - 1
        own = sites[chosen[sites["sequence"]]]
        own["sequence"] = place[own["sequence"]]
    return Split(codes[chosen], labels[chosen], own)
