"""Does the cheaper pass of training give equally good networks? Ours against the model's own.

``KERAS_BACKEND=jax python benchmarks/passes.py``, and with ``--epochs 100 --patience 20`` the
protocol in full. A seed's two trainings have the same start and the same batches; the dropout
differs, which ours draws from other bits. Means of a number may differ by at most 2 pooled
standard deviations.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mlproject.system.startup import prepare_keras

prepare_keras(threads=1)

import keras  # noqa: E402
from arguments import at_least  # noqa: E402

from mlproject.architectures import ARCHITECTURES, make_spec  # noqa: E402
from mlproject.data import Dataset, load  # noqa: E402
from mlproject.filters.align import align  # noqa: E402
from mlproject.filters.reading import match_scores, read_layer  # noqa: E402
from mlproject.filters.scan import scan  # noqa: E402
from mlproject.geometry import receptive_field  # noqa: E402
from mlproject.motifs.databases import jaspar  # noqa: E402
from mlproject.network import fast_pass, training  # noqa: E402
from mlproject.network.build import activations, build, maximum_possible_activation, predict  # noqa: E402
from mlproject.network.evaluation import class_scores, metrics  # noqa: E402
from mlproject.spec import RunSpec  # noqa: E402

PASSES: dict[str, Callable[[keras.Model, Any], Any]] = {
    "ours": partial(fast_pass.training_pass, letters=True),
    "the model's own": lambda model, sequences: model(sequences, training=True),
}
NUMBERS = (
    "train_loss", "val_loss", "test_auroc", "match_jaspar", "match_relevant", "coverage",
)  # fmt: skip
LIMIT = 2.0


def train(spec: RunSpec, data: Dataset, scores_of: Callable[..., Any]) -> dict[str, float]:
    """Return the last epoch's losses, and AUROC and filters of the best weights."""
    fast_pass.choose = lambda model, letters=False: (scores_of, "chosen")
    fast_pass.choose_prediction = lambda model: None
    model = build(spec, data.length, len(data.classes))
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state.h5"
        fitted = training.fit(model, spec, data.train, data.valid, state_path=state)
    codes = data.test.codes
    values = dict(fitted.history[-1].values)
    values |= metrics(class_scores(data.test.labels, predict(model, codes), data.classes))
    possible = maximum_possible_activation(model, "conv1")
    found = scan(activations(model, "conv1", codes), released=spec.threshold, possible=possible)
    field = receptive_field(model, "conv1")
    aligned = align(found, "released", codes, field, spec.window)
    reading = read_layer("conv1", "released", aligned, jaspar(), spec.evalue)
    return values | match_scores(reading, data.relevant)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arch", default="CNN-25", choices=ARCHITECTURES, metavar="NETWORK")
    parser.add_argument("--epochs", type=at_least(1), default=10)
    parser.add_argument("--patience", type=int, default=0)
    parser.add_argument("--seeds", type=at_least(2), default=3)
    options = parser.parse_args()
    print(
        f"{options.arch} on {keras.backend.backend()}, at most {options.epochs} epochs, one thread"
    )
    print(f"{'':<24}" + "".join(f"{name:>15}" for name in NUMBERS))
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in PASSES}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            chosen = {"epochs": options.epochs, "patience": options.patience, "seed": seed}
            spec = make_spec({"arch": options.arch, **chosen})
            data = load(spec, Path(folder))
            for name, scores_of in PASSES.items():
                row = train(spec, data, scores_of)
                rows[name].append(row)
                numbers = "".join(f"{row[number]:>15.5f}" for number in NUMBERS)
                print(f"{f'{name}, {seed}':<24}{numbers}", flush=True)
    sys.exit(not compare(*rows.values()))


def compare(ours: list[dict[str, float]], own: list[dict[str, float]]) -> bool:
    """Print means and how far apart they are, and return whether all are near enough."""
    columns = [[[row[name] for row in rows] for name in NUMBERS] for rows in (ours, own)]
    means = [[*map(statistics.mean, column)] for column in columns]
    for name, values in zip(PASSES, means, strict=True):
        print(f"{f'{name}, mean':<24}" + "".join(f"{value:>15.5f}" for value in values))
    apart = []
    for first, second in zip(*columns, strict=True):
        pooled = ((statistics.variance(first) + statistics.variance(second)) / 2) ** 0.5
        difference = abs(statistics.mean(first) - statistics.mean(second))
        apart.append(difference / pooled if pooled else float(difference > 0))
    print(f"{'apart, pooled sd':<24}" + "".join(f"{value:>15.2f}" for value in apart))
    good = max(apart) <= LIMIT
    print(f"all within {LIMIT:g} pooled sd" if good else f"NOT all within {LIMIT:g} pooled sd")
    return good


if __name__ == "__main__":
    main()
