"""Attributions of one test sequence that several runs have recorded, as plain data for a page."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas

from mlproject import results
from mlproject.attribution import Attributions
from mlproject.draw.sequence_scores import Place, SequenceScores
from mlproject.draw.tracks import cropped, marks
from mlproject.fields import ATTRIBUTIONS
from mlproject.run.sequence_tracks import LONGEST, around
from mlproject.sequence import one_hot


def recorded_scores(runs: pandas.DataFrame, home: Path = Path()) -> SequenceScores | None:
    """Return what runs have recorded of one sequence, None if they have none in common.

    The method is the one that most runs have, the sequence that with the most classes among those
    that all these runs have.

    Args:
        runs: rows of `mlproject.results.runs` on one data set.
        home: folder of ``data``.

    Raises:
        UserError: the data set of the runs or their attributions cannot be read.
    """
    named = [str(row["spec"].get("attributions", "none")).split(",") for _, row in runs.iterrows()]
    counts = Counter(name for names in named for name in names if name in ATTRIBUTIONS)
    if not counts or runs["dataset_sha256"].nunique() != 1:
        return None
    method = max(ATTRIBUTIONS, key=lambda name: counts[name])
    found: dict[str, Attributions] = {
        str(row["run_id"]): results.attributions(row, method)
        for (_, row), names in zip(runs.iterrows(), named, strict=True)
        if method in names
    }
    sequence = _common(found)
    if sequence is None:
        return None
    data = results.dataset(runs.iloc[0], home / "data")
    first = next(iter(found.values()))
    targets = first.targets[first.sequences == sequence].tolist()
    shown = marks(data, sequence, targets)
    start, stop = around(shown, data.length) if shown else (0, min(data.length, LONGEST))
    heights = {}
    for run_id, one in found.items():
        rows = one.sequences == sequence
        own = one._replace(codes=one.codes[rows], scores=one.scores[rows]).importance.sum(axis=0)
        heights[run_id] = own[start:stop, None] * one_hot(one.codes[rows][0, start:stop])
    places = tuple(Place(one.start, one.stop, one.name) for one in cropped(shown, start, stop))
    names = tuple(data.classes[target] for target in targets)
    return SequenceScores(sequence, names, ATTRIBUTIONS[method], start + 1, heights, places)


def _common(found: Mapping[str, Attributions]) -> int | None:
    """Return the sequence with the most rows among those that every run has, None without any."""
    common = set.intersection(*(set(one.sequences.tolist()) for one in found.values()))
    rows = Counter(next(iter(found.values())).sequences.tolist())
    return min(common, key=lambda sequence: (-rows[sequence], sequence), default=None)
