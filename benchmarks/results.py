"""Time to read many runs as a typed table, against MLflow's bare search.

``python benchmarks/results.py [RUNS] [--repeats 7]`` makes a SQLite store in a temporary folder,
fills it with runs like ours (45 parameters, 90 metrics, 14 tags), and times both over the same
store, in turns. The first 300 runs are written by MLflow, the others are copies of their rows.
"""

import argparse
import gc
import json
import random
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
from arguments import at_least
from mlflow.entities import Metric, Param, RunTag

from mlproject import results
from mlproject.architectures import ARCHITECTURES, make_spec
from mlproject.data.paper import CLASSES
from mlproject.store import Store, connect

LIMIT = 1.3
WRITTEN = 300  # by MLflow, 0.1 s each
TABLES = ("runs", "params", "tags", "metrics", "latest_metrics")


def fill(store: Store, count: int) -> None:
    """Add finished runs of random numbers to a store, through the client."""
    rng = random.Random(0)
    experiment = store.experiment("many")
    names = [f"test_{kind}{end}" for kind in ("auroc", "aupr", "ap") for end in ("", *_ends())]
    names += [f"conv1/filters{end}" for end in _ends()]
    names += ["conv1/match_jaspar", "conv1/match_relevant", "conv1/coverage", "conv1/dead"]
    names += ["train_loss", "val_loss", "val_auroc", "best_epoch", "time/train", "time/total"]
    for number in range(count):
        arch = list(ARCHITECTURES)[number % len(ARCHITECTURES)]
        spec = make_spec({"arch": arch, "seed": number // len(ARCHITECTURES)})
        sha = "0" * 64
        tags = {
            "mlproject.arch": arch,
            "mlproject.protocol": "released",
            "mlproject.spec": json.dumps(spec.flat(), sort_keys=True),
            "mlproject.spec_sha256": spec.spec_sha256(sha),
            "mlproject.train_sha256": spec.train_sha256(sha),
            "mlproject.dataset_sha256": sha,
            "mlproject.backend": "tensorflow",
            "mlproject.device": "cpu",
            "mlproject.metric_version": "1",
        }
        run_id = store.client.create_run(experiment, run_name=arch).info.run_id
        store.client.log_batch(
            run_id,
            [Metric(name, rng.random(), number, 0) for name in names],
            [Param(key, str(value)) for key, value in spec.flat().items()],
            [RunTag(key, value) for key, value in tags.items()],
        )
        store.client.set_terminated(run_id)


def multiply(path: Path, count: int) -> None:
    """Copy the rows of a store's runs under new ids until it has `count` runs."""
    with closing(sqlite3.connect(path)) as database, database:
        (known,) = database.execute("SELECT count(*) FROM runs").fetchone()
        for number in range(1, -(-count // known)):
            most = min(known, count - number * known)
            chosen = f"SELECT run_uuid FROM runs ORDER BY rowid LIMIT {most}"
            for table in TABLES:
                rows = database.execute(f"SELECT * FROM {table} LIMIT 0")
                names = [one[0] for one in rows.description]
                key = f"substr(run_uuid, 1, 26) || '{number:06}'"
                values = ", ".join(key if name == "run_uuid" else name for name in names)
                database.execute(
                    f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} "
                    f"WHERE run_uuid IN ({chosen})"
                )


def _ends() -> list[str]:
    return [f"/{name}" for name in CLASSES]


def bare(client: mlflow.MlflowClient) -> list[Any]:
    """Return all runs of all experiments, page by page, as MLflow gives them."""
    ids = [one.experiment_id for one in client.search_experiments()]
    found: list[Any] = []
    token = None
    while True:
        page = client.search_runs(ids, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=at_least(1), nargs="?", default=300)
    parser.add_argument("--repeats", type=at_least(1), default=7)
    options = parser.parse_args()
    count = options.runs
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        store = connect(f"sqlite:///{path}")
        fill(store, min(count, WRITTEN))
        multiply(path, count)
        seconds: dict[str, list[float]] = {"search_runs": [], "results.runs": []}
        for repeat in range(options.repeats + 1):
            for name, values in seconds.items():
                gc.collect()
                started = time.perf_counter()
                got = bare(store.client) if name == "search_runs" else results.runs(store=store)
                if repeat:
                    values.append(time.perf_counter() - started)
                assert len(got) == count
                del got
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        ratio = statistics.median(
            ours / theirs
            for ours, theirs in zip(seconds["results.runs"], seconds["search_runs"], strict=True)
        )
        print(f"limit: {LIMIT} times the bare search; {count} runs, median of {options.repeats}")
        print(f"{'search_runs':>12} {'results.runs':>12} {'ratio':>6}")
        print(f"{medians['search_runs']:>10.2f} s {medians['results.runs']:>10.2f} s {ratio:>6.2f}")
