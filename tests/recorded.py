"""Runs as a finished training leaves them, logged through the real tracker in milliseconds."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
import pytest

from mlproject.architectures import arch_name, make_spec, protocol_name
from mlproject.data.paper import CLASSES, FACTORS
from mlproject.filters.reading import LayerReading, match_scores
from mlproject.motifs.databases import jaspar, jaspar_by_id
from mlproject.motifs.meme import write_meme
from mlproject.motifs.pwm import Motif, clip, round_rows
from mlproject.motifs.tomtom import format_tsv, tomtom
from mlproject.store import Store, Tracker, connect

DATA = "d" * 64


@contextmanager
def inside(folder: Path, store: Path) -> Iterator[Path]:
    """Enter a folder with a copy of an empty store, as the fixture `workplace` does for a test."""
    shutil.copy(store, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID"):
            patch.setenv(name, "")
            patch.delenv(name)
        yield folder


def offer_run(store: Store, patch: pytest.MonkeyPatch, experiment_id: str = "0") -> str:
    """Make a run as ``mlflow run`` does in this checkout, and name it in the environment."""
    tags = {
        "mlflow.source.type": "PROJECT",
        "mlflow.source.name": Path(__file__).resolve().parents[1].as_uri(),
        "mlflow.project.entryPoint": "main",
    }
    run_id: str = store.client.create_run(experiment_id, tags=tags).info.run_id
    patch.setenv("MLFLOW_RUN_ID", run_id)
    return run_id


def start(
    options: Mapping[str, object], experiment: str = "table1", data: str = DATA, version: str = "1"
) -> Tracker:
    """Start a run with the tags of ours."""
    spec = make_spec(options)
    arch = arch_name(spec)
    tags = {
        "mlproject.arch": arch,
        "mlproject.protocol": protocol_name(spec),
        "mlproject.spec": json.dumps(spec.flat(), sort_keys=True),
        "mlproject.spec_sha256": spec.spec_sha256(data),
        "mlproject.train_sha256": spec.train_sha256(data),
        "mlproject.dataset_sha256": data,
        "mlproject.metric_version": version,
        "mlproject.backend": "tensorflow 2",
    }
    return connect().start(f"{arch} · seed {spec.seed}", tags, Path("runs"), experiment)


def record(
    options: Mapping[str, object],
    auroc: float = 0.97,
    relevant: float | None = 0.5,
    status: str = "FINISHED",
    more: Mapping[str, float] | None = None,
    **where: str,
) -> str:
    """Record a run with metrics and return its id; no filters if `relevant` is None."""
    tracker = start(options, **where)
    values = {"test_auroc": auroc, "test_aupr": auroc - 0.1, "time/total": 36.0}
    values |= {"best_val_auroc": auroc}
    values |= {f"test_auroc/{name}": auroc + (n - 5.5) / 1000 for n, name in enumerate(CLASSES)}
    if relevant is not None:
        values |= {"conv1/match_relevant": relevant, "conv1/match_jaspar": min(1, relevant + 0.1)}
        values |= {"val_conv1/match_relevant": relevant}
        values |= {f"conv1/filters/{name}": float(n % 3) for n, name in enumerate(CLASSES)}
    tracker.metrics(values | dict(more or {}))
    tracker.finish(status, "no reason" if status == "FAILED" else None)
    return tracker.run_id


def weights_of(store: Store, run_id: str, folder: Path) -> dict[str, np.ndarray]:
    """Return the best weights of a run by name; the file goes to `folder`."""
    arrays: dict[str, np.ndarray] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(store.download(run_id, "weights/best.weights.h5", folder)) as file:
        file.visititems(visit)
    return arrays


@lru_cache
def reading(found: int, filters: int = 14, seed: int = 0) -> LayerReading:
    """Return a layer whose first `found` filters are the paper's motifs, the others noise.

    The last filter is dead.
    """
    rng = np.random.default_rng(seed)
    truth = jaspar_by_id([factor.jaspar_id for factor in FACTORS])
    motifs = []
    for number in range(filters):
        pwm = rng.dirichlet(np.ones(4) * 4, size=19)
        if number < found:
            known = truth[number % len(truth)].pwm
            place = int(rng.integers(0, max(19 - len(known), 0) + 1))
            pwm[place : place + len(known)] = known[: 19 - place]
        dead = number == filters - 1
        motifs.append(Motif(f"filter{number}", "", pwm, 0.0 if dead else 100.0 + number))
    spans = [clip(motif.pwm) for motif in motifs]
    clipped = tuple(
        motif._replace(pwm=round_rows(motif.pwm[start:stop], 4), nsites=float(stop - start))
        for motif, (start, stop) in zip(motifs, spans, strict=True)
        if motif.nsites
    )
    starts = tuple(start if m.nsites else 0 for m, (start, _) in zip(motifs, spans, strict=True))
    matches = tuple(tomtom(clipped, jaspar()))
    return LayerReading("conv1", "released", tuple(motifs), clipped, starts, matches)


def record_filters(options: Mapping[str, object], layer: LayerReading, auroc: float = 0.97) -> str:
    """Record a finished run whose first layer is `layer`, with its artifacts and scores."""
    from mlproject.data.paper import RELEVANT

    tracker = start(options)
    stem = f"filters/{layer.layer}"
    tracker.artifact(f"{stem}.meme", lambda path: write_meme(path, layer.motifs))
    tracker.artifact(f"{stem}_clipped.meme", lambda path: write_meme(path, layer.clipped, 4))
    table = format_tsv(layer.matches)
    tracker.artifact(f"{stem}_matches.tsv", lambda path: path.write_text(table))
    values = {f"{layer.layer}/{key}": value for key, value in match_scores(layer, RELEVANT).items()}
    values |= {f"test_auroc/{name}": auroc for name in CLASSES}
    tracker.metrics(values | {"test_auroc": auroc, "test_aupr": auroc, "time/total": 36.0})
    tracker.finish("FINISHED")
    return tracker.run_id
