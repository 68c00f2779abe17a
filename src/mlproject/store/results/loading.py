"""Load a run's recorded results from the tracking store: history, filters, model, data set."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from mlproject.fields import BLOCKS
from mlproject.filters.reading import LayerReading
from mlproject.motifs.databases import motifs_of
from mlproject.motifs.pwm import Motif
from mlproject.names import Artifact, Tag
from mlproject.store import Store, connect
from mlproject.store.results.described import Run, id_of, profile_of, spec_of
from mlproject.store.results.recorded import (
    HISTORY,
    IMPORTANCE,
    PER_CLASS,
    TRUTH,
    Columns,
    damage_as_user_error,
    downloaded,
    read_matches,
    read_motifs,
    read_table,
    read_text,
)
from mlproject.system.errors import UserError


def history(run: Run, store: Store | None = None) -> pandas.DataFrame:
    """Return a run's epochs: ``epoch``, ``train_loss``, ``val_loss``, ``val_auroc``, ...

    Args:
        run: its id, the start of its id, or its row of `mlproject.results.runs`.
        store: where it is; None: the store that ``MLFLOW_TRACKING_URI`` names.

    Raises:
        UserError: the store has no such run or the run no history.
    """
    return _table(run, Artifact.HISTORY, HISTORY, store)


def per_class(run: Run, store: Store | None = None) -> pandas.DataFrame:
    """Return a run's scores of every class on the test split; arguments as for `history`."""
    return _table(run, Artifact.PER_CLASS, PER_CLASS, store)


def site_truth(run: Run, layer: str = "conv1", store: Store | None = None) -> pandas.DataFrame:
    """Return each filter's detection of the planted motifs, a row for each filter of a layer.

    Columns as `mlproject.filters.truth.truth_rows` has them; arguments as for `filters`.
    """
    return _table(run, f"{Artifact.FILTERS}{layer}_truth.csv", TRUTH, store)


def kernels(run: Run, store: Store | None = None) -> Any:
    """Return the first layer's `mlproject.network.kernel_history.Kernels` after each epoch.

    Args:
        run: see `history`.
        store: see `history`.

    Raises:
        UserError: the run has not kept them.
    """
    from mlproject.network.kernel_history import load_kernels

    store = store or connect()
    with downloaded(store, id_of(run, store), Artifact.KERNELS) as path:
        return load_kernels(path)


def importance(run: Run, layer: str = "conv1", store: Store | None = None) -> pandas.DataFrame:
    """Return the loss of performance without each filter, a row for each filter of a layer.

    Columns as `mlproject.filters.ablation.ablation_rows` has them; arguments as for `filters`.
    """
    return _table(run, f"{Artifact.FILTERS}{layer}_importance.csv", IMPORTANCE, store)


def filters(run: Run, layer: str = "conv1", store: Store | None = None) -> LayerReading:
    """Return a layer's filters as motifs: position weight matrices, sites, matches.

    Args:
        run: its id, the start of its id, or its row of `mlproject.results.runs`.
        layer: ``conv1``.
        store: see `history`.

    Raises:
        UserError: the run has no such reading.
    """
    store = store or connect()
    run_id, stem = id_of(run, store), f"{Artifact.FILTERS}{layer}"
    with downloaded(store, run_id, f"{stem}.meme") as path:
        motifs = read_motifs(path)
    by_id = {motif.id: motif for motif in motifs}
    with downloaded(store, run_id, f"{stem}_clipped.meme") as path:
        clipped = read_motifs(path)
        for motif in clipped:
            if motif.id not in by_id or motif.width > by_id[motif.id].width:
                raise ValueError(f"`{motif.id}` is not a part of a motif of {stem}.meme")
    parts = {motif.id: motif for motif in clipped}
    with downloaded(store, run_id, f"{stem}_matches.tsv") as path:
        matches = read_matches(read_text(path))
        if unknown := {match.query_id for match in matches} - set(parts):
            raise ValueError(f"`{min(unknown)}` is not a motif of {stem}_clipped.meme")
    starts = tuple(
        _start(motif.pwm, parts[motif.id].pwm) if motif.id in parts else 0 for motif in motifs
    )
    alignment = str(spec_of(run, store).alignment)
    return LayerReading(layer, alignment, motifs, clipped, starts, matches)


def targets(run: Run, store: Store | None = None) -> tuple[Motif, ...]:
    """Return the motifs of a run's databases; if a file of theirs is gone, those that it matched.

    Args:
        run: see `history`.
        store: see `history`.

    Raises:
        UserError: a file is gone or has changed, and the run has no copy of its motifs.
    """
    store = store or connect()
    spec = spec_of(run, store)
    try:
        return motifs_of(spec)
    except UserError:
        with downloaded(store, id_of(run, store), Artifact.TARGETS) as path:
            return read_motifs(path)


def attributions(
    run: Run, method: str, store: Store | None = None, *, deviations: bool = False
) -> Any:
    """Return a method's `mlproject.attribution.Attributions` of a run's test sequences.

    Args:
        run: see `history`.
        method: one of `mlproject.attribution.METHODS`.
        store: see `history`.
        deviations: of a run that averages others: their standard deviations in place of the means.

    Raises:
        UserError: the run has no attributions of that method.
    """
    from mlproject.attribution.files import read_attributions

    store = store or connect()
    name = f"{Artifact.ATTRIBUTIONS}{method}{'_sd' if deviations else ''}.h5"
    with downloaded(store, id_of(run, store), name) as path:
        found = read_attributions(path)
        if found.method != method:
            raise ValueError(f"it is of the method {found.method}")
        return found


def model(run: Run, store: Store | None = None) -> Any:
    """Return the trained Keras model of a run: the logged model, or one built from its weights.

    A file that a function of the model was read from is never executed.

    Raises:
        UserError: the run has neither a logged model nor weights.
    """
    store = store or connect()
    run_id = id_of(run, store)
    found = store.run(run_id)
    if found.outputs and found.outputs.model_outputs:
        return store.keras_model(run_id)
    if Tag.IMPORTED not in found.data.tags:
        raise UserError(f"run `{run_id}` has logged no model: train it, or take another run")
    from mlproject.network.build import build
    from mlproject.network.saving import load_network, load_weights

    with tempfile.TemporaryDirectory() as folder:
        try:
            weights = store.download(run_id, Artifact.WEIGHTS, Path(folder))
        except UserError as error:
            raise UserError(
                f"run `{run_id}` was imported without weights: export it with `--weights` "
                "where it was trained, or train it again"
            ) from error
        shape = profile_of(found.inputs, run_id)
        if not shape.keys() >= {"length", "classes"}:
            raise UserError(f"run `{run_id}` must say how long its sequences are: it does not")
        spec = spec_of(run_id, store)
        if spec.model == BLOCKS:
            task = shape.get("task", "binary")
            network = build(spec, shape["length"], shape["classes"], task)
        else:
            network = load_network(store.download(run_id, Artifact.NETWORK, Path(folder)))
        with damage_as_user_error(f"the artifact `{Artifact.WEIGHTS}` of run `{run_id}`", weights):
            known = json.loads(found.data.tags.get(Tag.ARTIFACT_SHA256, "{}"))
            load_weights(network, weights, known.get(Artifact.WEIGHTS))
    return network


def dataset(
    run: Run, folder: Path = Path("data"), store: Store | None = None, path: Path | None = None
) -> Any:
    """Return the data set of a run: generated again, or read from its file.

    Args:
        run: see `history`.
        folder: where generated data sets are kept.
        store: see `history`.
        path: the current path of its file; None: the recorded path.

    Raises:
        UserError: the file does not exist, or its content differs from the run's data set.
    """
    from mlproject.data import load

    store = store or connect()
    found = load(spec_of(run, store), folder, path)
    run_id = id_of(run, store)
    wanted = store.run(run_id).data.tags.get(Tag.DATASET_SHA256)
    if found.sha256 != wanted:
        raise UserError(
            f"the data set of run `{run_id}` must have sha256 {wanted}: got {found.sha256}"
        )
    return found


def _table(run: Run, path: str, columns: Columns, store: Store | None) -> pandas.DataFrame:
    store = store or connect()
    with downloaded(store, id_of(run, store), path) as local:
        return read_table(local, columns)


def _start(pwm: np.ndarray, part: np.ndarray) -> int:
    """Return the column of `pwm` at which `part`, a rounded copy of some columns, starts."""
    places = range(len(pwm) - len(part) + 1)
    errors = [np.abs(pwm[start : start + len(part)] - part).max() for start in places]
    return int(np.argmin(errors))
