"""What is refused before a run is recorded, and what is said then."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlproject.architectures import FIRST
from mlproject.data import Dataset
from mlproject.data.onehot import note_on_names
from mlproject.data.relevant import run_relevant, without_motif
from mlproject.data.split import blocks
from mlproject.fields import BLOCKS, VALUES
from mlproject.network.build import build
from mlproject.network.graph import convolution
from mlproject.network.memory import check_memory
from mlproject.network.protocol import LOWER_IS_BETTER
from mlproject.network.tasks import check_task, validation_scores
from mlproject.run.context import Previous, Settings, Source
from mlproject.run.motif_choice import check_motifs
from mlproject.run.resuming import check_previous
from mlproject.spec import RunSpec, notes
from mlproject.system.errors import UserError

LARGEST_VALUE = 1e12  # its square and that of a batch of errors stay finite in float32


def check_run(spec: RunSpec, data: Dataset, settings: Settings, source: Source) -> None:
    """Raise a `UserError` for a run that would fail later, before anything is recorded."""
    expected = settings.dataset_sha256
    if expected and data.sha256 != expected:
        raise UserError(
            f"`dataset` must stay as it was when the run was planned: {spec.dataset} had sha256 "
            f"{expected[:12]}, now {data.sha256[:12]}; restore the old data, or start again with "
            "the new"
        )
    check_task(spec, data.task, len(data.classes))
    _check_labels(data)
    if spec.monitor not in LOWER_IS_BETTER:  # losses are defined for any labels
        labels = np.asarray(data.valid.labels)
        validation_scores(labels, labels.astype(np.float32), data.task, spec.monitor)
    spec.map_lengths(data.length)
    relevant = run_relevant(spec, data)
    guessed = note_on_names(data.provenance.get("classes"))
    for note in (*notes(spec), guessed, without_motif(data.classes, relevant, spec.motifs)):
        if note and not settings.quiet:
            print(f"note: {note}", file=sys.stderr)
    check_motifs(spec, data)
    check_memory(spec, data.length, len(data.classes))
    if spec.model != BLOCKS:
        check_model(spec, data.length, len(data.classes), data.task)
    if isinstance(source, Previous):
        check_previous(source, spec, data)


def check_letter_case(uri: str, classes: Sequence[str], quiet: bool) -> None:
    """Refuse class names that differ only in case, if the tracking store takes them for one.

    MySQL and SQL Server compare the names of metrics without regard to case. Which database a
    server uses is unknown, so a note is printed.

    Raises:
        UserError: the store is such a database.
    """
    known: dict[str, str] = {}
    for name in classes:
        if (other := known.setdefault(name.casefold(), name)) == name:
            continue
        if uri.startswith(("mysql", "mssql")):
            raise UserError(
                "class names must differ in more than case for a store in MySQL or SQL Server, "
                f"which takes their metrics for one: got {other!r} and {name!r}; rename one, or "
                "set MLFLOW_TRACKING_URI to another store"
            )
        if uri.startswith("http") and not quiet:
            print(
                f"note: classes {other!r} and {name!r} differ only in case: a server with MySQL "
                "or SQL Server keeps the metrics of one of them",
                file=sys.stderr,
            )


def check_model(spec: RunSpec, length: int, classes: int, task: str) -> None:
    """Raise a `UserError` if a function makes no model that can train, or lacks the `layers`."""
    model = build(spec, length, classes, task)
    wanted = spec.layers.split(",")
    if len({name.casefold() for name in wanted}) < len(wanted):
        raise UserError(
            f"`layers` must differ in more than case, since files are named after them: got "
            f"{spec.layers}; rename a layer in the model"
        )
    for name in spec.layers.split(",") if spec.layers != FIRST else ():
        convolution(model, name)


def _check_labels(data: Dataset) -> None:
    """Raise a `UserError` if no class or output of the training split varies."""
    if data.task in VALUES:
        labels = np.asarray(data.train.labels)
        if np.abs(labels).max(initial=0) > LARGEST_VALUE:
            raise UserError(
                f"a value must be at most {LARGEST_VALUE:g}, since training computes its square: "
                f"got {np.abs(labels).max():g}; make the data set with `--transform standardise` "
                "or `log2`"
            )
        if not np.ptp(labels, axis=0).any():
            raise UserError(
                f"an output must vary: {', '.join(data.classes)[:200]} are constant in the "
                "training split"
            )
        return
    positives = sum(block.sum(axis=0, dtype=np.int64) for block in blocks(data.train.labels))
    count = len(data.train.labels)
    if not ((positives > 0) & (positives < count)).any():
        label = "1" if np.all(positives == count) else "one label" if np.any(positives) else "0"
        raise UserError(
            f"a class must have sequences with and without it: all {count:,} training sequences "
            f"have {label} in {', '.join(data.classes)[:200]}; make the data set again with "
            "negatives, such as `--negatives shuffle`"
        )


def check_writable(root: Path) -> None:
    """Raise a `UserError` if the folder of runs cannot be written."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise UserError(
            f"runs must be written to {root}: {error.strerror or error}; start in another folder"
        ) from error
