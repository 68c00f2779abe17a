"""One figure of one test sequence: a row for each attribution method, a column for each run."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure

from mlproject import results
from mlproject.attribution import attribute
from mlproject.attribution.truth import sites_of
from mlproject.data import Dataset
from mlproject.draw.output import save_figure
from mlproject.draw.sequence_scores import Place, SequenceScores
from mlproject.draw.tracks import Mark, Track, cropped, marks, track_figure
from mlproject.fields import ATTRIBUTIONS, MODISCO, VALUES, parse_methods
from mlproject.names import Tag
from mlproject.network.build import predict
from mlproject.sequence import one_hot
from mlproject.store import connect
from mlproject.system.errors import UserError

FORMATS = ("png", "pdf")
SPAN, FLANK = 72, 5
LONGEST = 120  # nt of a page
MOTIFS, DETECTED = 3, 0.5


def draw_runs(
    run_ids: Sequence[str],
    methods: str,
    out: Path,
    sequence: int | None = None,
    region: tuple[int, int] | None = None,
) -> int:
    """Draw the contributions of one test sequence's letters to the logits of its classes.

    Args:
        run_ids: runs, a column each; all of the same data set.
        methods: names, comma-separated, a row each.
        out: PNG or PDF file.
        sequence: row of the test split; None: see `find_example`.
        region: first position, and the one after the last, from 0; None: around the planted motifs.

    Returns:
        The row of the sequence in the test split.

    Raises:
        UserError: a method or a run is unknown, the runs have different data sets, or the sequence
            does not exist.
    """
    names = [name for name in parse_methods(methods) if name != MODISCO]
    if out.suffix[1:] not in FORMATS:
        raise UserError(f"`--out` must end in .png or .pdf: got {out}")
    store = connect()
    run_ids = [store.full_id(run_id) for run_id in run_ids]
    data = results.dataset(run_ids[0], store=store)
    for run_id in run_ids[1:]:
        if store.run(run_id).data.tags.get(Tag.DATASET_SHA256) != data.sha256:
            raise UserError(f"runs must have one data set: {run_id} has another than {run_ids[0]}")
    models = [results.model(run_id, store) for run_id in run_ids]
    if sequence is None:
        sequence = find_example(data, models)
    targets = _targets(data, sequence)
    shown = marks(data, sequence, targets)
    start, stop = region or around(shown, data.length)
    if not 0 <= start < stop <= data.length:
        raise UserError(f"`--region` must lie within 1-{data.length}: got {start + 1}-{stop}")
    columns, headings = [], []
    for run_id, model in zip(run_ids, models, strict=True):
        seed = results.spec_of(run_id, store).seed
        columns.append(_column(model, seed, names, data, sequence, targets, (start, stop), shown))
        scores = predict(model, data.test.codes[sequence : sequence + 1])[0, targets]
        given = ", ".join(
            f"{data.classes[target]} {value:.2f}"
            for target, value in zip(targets, scores, strict=True)
        )
        headings.append((str(store.run(run_id).info.run_name), f"gives {given}"))
    figure = _figure(columns, headings, data, sequence, targets, (start, stop))
    save_figure(figure, out.with_suffix(""), [out.suffix[1:]])
    return sequence


def sequence_scores(
    run_ids: Sequence[str], method: str, sequence: int | None = None
) -> SequenceScores:
    """Return the contributions of one test sequence's letters to the logits of its classes.

    Args:
        run_ids: runs on one data set.
        method: name of the method.
        sequence: row of the test split; None: see `find_example`.

    Raises:
        UserError: see `draw_runs`.
    """
    store = connect()
    data = results.dataset(run_ids[0], store=store)
    models = [results.model(run_id, store) for run_id in run_ids]
    row = find_example(data, models) if sequence is None else sequence
    targets = _targets(data, row)
    shown = marks(data, row, targets)
    start, stop = around(shown, data.length) if shown else (0, min(data.length, LONGEST))
    codes = np.repeat(np.asarray(data.test.codes[row : row + 1]), len(targets), axis=0)
    heights = {}
    for run_id, model in zip(run_ids, models, strict=True):
        seed = results.spec_of(run_id, store).seed
        found = attribute(model, method, codes, np.array(targets), seed=seed)
        letters = found.importance.sum(axis=0)[start:stop, None] * one_hot(codes[0, start:stop])
        heights[run_id] = letters
    places = tuple(Place(one.start, one.stop, one.name) for one in cropped(shown, start, stop))
    names = tuple(data.classes[target] for target in targets)
    return SequenceScores(row, names, ATTRIBUTIONS[method], start + 1, heights, places)


def _targets(data: Dataset, sequence: int) -> list[int]:
    """Return the numbers of the classes of a test sequence.

    Raises:
        UserError: there is no such sequence, or it has no class.
    """
    if not 0 <= sequence < len(data.test.codes):
        raise UserError(
            f"`--sequence` must be a row of the test split, 0 to {len(data.test.codes) - 1}: "
            f"got {sequence}"
        )
    targets: list[int] = np.flatnonzero(data.test.labels[sequence]).tolist()
    if data.task in VALUES:
        targets = list(range(len(data.classes)))
    if not targets:
        raise UserError(f"test sequence {sequence} has no class: take another")
    return targets


def find_example(data: Dataset, models: Sequence[keras.Model]) -> int:
    """Return the first test sequence with three nearby motifs that every model detects.

    The motifs belong to three factors and lie within `SPAN` nt. A model detects a motif if it gives
    the factor more than `DETECTED`. Without such a sequence, return the first that has a class.
    """
    found = []
    rows = np.arange(len(data.test.codes))
    for sequence, own in zip(rows, sites_of(data.test, rows), strict=True):
        if len(own) != MOTIFS:
            continue
        wide = int((own["start"] + own["width"]).max()) - int(own["start"].min())
        if len(np.unique(own["motif"])) == MOTIFS and wide <= SPAN:
            found.append(int(sequence))
    labels = np.asarray(data.test.labels)
    if found:
        scores = np.min(
            [predict(model, data.test.codes[np.array(found)]) for model in models], axis=0
        )
        detected = ((scores > DETECTED) | (labels[found] == 0)).all(axis=1)
        if data.task in VALUES:  # the highest measured value: its effects are large
            return found[int(np.argmax(labels[found].sum(axis=1)))]
        if detected.any():
            return found[int(np.argmax(detected))]
    if data.task in VALUES:
        return int(np.argmax(labels.sum(axis=1)))
    return int(np.argmax(labels.any(axis=1)))


def around(shown: Sequence[Mark], length: int) -> tuple[int, int]:
    """Return the region that holds all marks; without any, the middle of the sequence."""
    if not shown:
        middle = length // 2
        return max(middle - SPAN // 2, 0), min(middle + SPAN // 2, length)
    first = min(mark.start for mark in shown) - FLANK
    last = max(mark.stop for mark in shown) + FLANK
    return max(first, 0), min(last, length)


def _column(
    model: keras.Model,
    seed: int,
    methods: Sequence[str],
    data: Dataset,
    sequence: int,
    targets: Sequence[int],
    region: tuple[int, int],
    shown: Sequence[Mark],
) -> list[Track]:
    start, stop = region
    codes = np.repeat(np.asarray(data.test.codes[sequence : sequence + 1]), len(targets), axis=0)
    moved = cropped(shown, start, stop)
    tracks = []
    for number, name in enumerate(methods, 1):
        found = attribute(model, name, codes, np.array(targets), seed=seed)
        heights = found.importance.sum(axis=0)[start:stop]
        below = moved if number == len(methods) else ()
        tracks.append(Track(ATTRIBUTIONS[name], "", codes[0, start:stop], heights, below, moved))
    return tracks


def _figure(
    columns: Sequence[Sequence[Track]],
    headings: Sequence[tuple[str, str]],
    data: Dataset,
    sequence: int,
    targets: Sequence[int],
    region: tuple[int, int],
) -> Figure:
    classes = " + ".join(data.classes[target] for target in targets)
    title = "Which letters does the answer rest on?"
    line = f"Test sequence {sequence}, nt {region[0] + 1} to {region[1]}: contributions to the "
    line += f"logits of {classes}."
    if data.test.sites is not None:
        line += " Planted motifs are shaded and named below."
    return track_figure(columns, headings, title, line, width=max(4.0 * len(columns) + 0.2, 6.4))
