"""CPU seconds of a training epoch, ours against plain Keras `model.fit` of the same network.

``KERAS_BACKEND=jax python benchmarks/training_epoch.py --arch CNN-25 --epochs 5``

One thread. Epochs of both alternate, so that other load on the machine hits both. The first epoch
of each, which compiles, does not count; validation is not part of an epoch here.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

from mlproject.threads import set_threads

set_threads(1)

import keras  # noqa: E402
import numpy as np  # noqa: E402

from mlproject import backend, training_pass  # noqa: E402
from mlproject.architectures import make_spec  # noqa: E402
from mlproject.data import Split  # noqa: E402
from mlproject.dna import one_hot  # noqa: E402
from mlproject.model import build  # noqa: E402
from mlproject.spec import RunSpec  # noqa: E402
from mlproject.training import train_epoch  # noqa: E402

SEQUENCES, LENGTH, CLASSES = 17_500, 200, 12

TrainEpoch = Callable[[int], object]


def ours(spec: RunSpec, split: Split) -> TrainEpoch:
    backend.prepare()
    model, optimizer = build(spec, LENGTH, CLASSES), adam(spec)
    optimizer.build(model.trainable_variables)
    steps = backend.make_steps(model, optimizer, training_pass.choose())
    return lambda epoch: train_epoch(steps, split, spec, epoch)


def plain(spec: RunSpec, split: Split) -> TrainEpoch:
    keras.utils.set_random_seed(0)
    model = build(spec, LENGTH, CLASSES)
    x, y = one_hot(split.codes), split.labels.astype(np.float32)
    model.compile(adam(spec), "binary_crossentropy")
    return lambda epoch: model.fit(x, y, batch_size=spec.batch_size, verbose=0)


def adam(spec: RunSpec) -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(spec.learning_rate, beta_1=spec.beta1, epsilon=spec.adam_epsilon)


def random_split() -> Split:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (SEQUENCES, LENGTH)).astype(np.uint8)
    return Split(codes, (rng.random((SEQUENCES, CLASSES)) < 0.2).astype(np.uint8))


def clock() -> np.ndarray:
    """Return CPU and wall seconds."""
    times = os.times()
    return np.array([times.user + times.system, time.perf_counter()])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arch", default="CNN-25")
    parser.add_argument("--epochs", type=int, default=5, help="epochs that count, of each")
    options = parser.parse_args()
    spec, split = make_spec({"arch": options.arch}), random_split()
    ways = {"ours": ours(spec, split), "model.fit": plain(spec, split)}
    seconds: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    for epoch in range(options.epochs + 1):
        for name, train in ways.items():
            before = clock()
            train(epoch + 1)
            seconds[name].append(clock() - before)
    medians = {
        name: [statistics.median(column) for column in zip(*rows[1:], strict=True)]
        for name, rows in seconds.items()
    }
    print(f"{options.arch} on {keras.backend.backend()}: one epoch of {SEQUENCES:,} x {LENGTH} nt,")
    print(f"batch {spec.batch_size}, one thread, median of {options.epochs}")
    print(f"{'':<10} {'CPU seconds':>11} {'wall seconds':>12} {'times as fast':>13}")
    for name, (cpu, wall) in medians.items():
        print(f"{name:<10} {cpu:>11.2f} {wall:>12.2f} {medians['model.fit'][0] / cpu:>13.2f}")


if __name__ == "__main__":
    main()
