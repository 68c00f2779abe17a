"""The figure of a method's attributions: one sequence of each class as a track."""

import numpy as np
from matplotlib.figure import Figure

from mlproject.attribution.averaging import Averaged
from mlproject.attribution.truth import PlantedScores
from mlproject.draw.tracks import Track, cropped, marks, richest, track_figure
from mlproject.fields import ATTRIBUTIONS
from mlproject.run.context import RunContext

MOST_TRACKS, SPAN = 12, 200


def attribution_figure(context: RunContext, averaged: Averaged, truth: PlantedScores) -> Figure:
    """Draw one row of each class: the row with the median AUROC."""
    data, found = context.data, averaged.mean
    chosen = []
    for target in np.unique(found.targets):
        rows = np.flatnonzero(found.targets == target)
        values = np.nan_to_num(truth.auroc[rows], nan=-1.0)
        chosen.append(int(rows[np.argsort(values, kind="stable")[len(rows) // 2]]))
    tracks, importance = [], found.importance
    for row in chosen[:MOST_TRACKS]:
        name, sequence = data.classes[found.targets[row]], found.sequences[row]
        area = truth.auroc[row]
        note = f"test sequence {sequence}" + (f" · AUROC {area:.2f}" if np.isfinite(area) else "")
        heights = importance[row]
        start, stop = richest(heights, SPAN)
        if stop - start < len(heights):
            note = f"nt {start + 1} to {stop} of {note}"
        shown = cropped(marks(data, sequence, [int(found.targets[row])]), start, stop)
        spread = None if averaged.spread is None else averaged.spread[row, start:stop]
        letters = found.codes[row, start:stop]
        tracks.append(Track(name, note, letters, heights[start:stop], shown, spread=spread))
    title = f"{context.name} · {ATTRIBUTIONS[found.method]}"
    line = "For each class the attributed sequence with the median AUROC. "
    line += "Planted motifs are marked, those of the class in purple."
    if data.test.sites is None:
        line = "One sequence for each class; the positions of motifs are unknown."
    if averaged.spread is not None:
        line += f" Grey: one standard deviation over {averaged.models} networks to each side."
    return track_figure([tracks], [], title, line)
