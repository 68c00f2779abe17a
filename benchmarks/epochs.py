"""Ways to train one network for an epoch, and a process that does so whenever it is asked.

``python benchmarks/epochs.py jax ours`` is such a process, for `train.py`: it reads lines of
``{"arch": "CNN-25", "epoch": 1, "sequences": 17500}`` and answers each with the CPU seconds (user +
system) of that epoch.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mlproject.architectures import make_spec
from mlproject.data import Split
from mlproject.sequence import one_hot
from mlproject.spec import RunSpec
from mlproject.system.variables import set_threads

SEQUENCES, LENGTH, CLASSES = 17_500, 200, 12

TrainEpoch = Callable[[Split, int], object]


def ours(spec: RunSpec, length: int = LENGTH, classes: int = CLASSES) -> TrainEpoch:
    """Return our loop, as `mlproject.network.training.fit` runs it."""
    from mlproject.network import backend
    from mlproject.network.build import build
    from mlproject.network.epoch import train_epoch

    backend.prepare()
    steps = steps_of(spec, build(spec, length, classes))
    return lambda split, epoch: train_epoch(steps, split, spec, epoch)


def steps_of(spec: RunSpec, model: Any) -> Any:
    """Return the compiled steps that train a model: its pass, optimizer and inputs."""
    from mlproject.network import fast_pass
    from mlproject.network.inputs import is_letters, make_inputs
    from mlproject.network.steps import make_steps
    from mlproject.network.training_tools import built_optimizer

    scores, _ = fast_pass.choose(model, is_letters(spec))
    return make_steps(model, built_optimizer(spec, model), scores, inputs=make_inputs(spec))


def plain(spec: RunSpec) -> TrainEpoch:
    """Return `model.fit` of the same network on arrays in memory."""
    import keras

    from mlproject.network.build import build

    keras.utils.set_random_seed(0)
    model = build(spec, LENGTH, CLASSES)
    model.compile(adam(spec), "binary_crossentropy")
    arrays: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def train(split: Split, epoch: int) -> None:
        count = len(split.codes)
        if count not in arrays:
            arrays[count] = one_hot(split.codes), split.labels.astype(np.float32)
        model.fit(*arrays[count], batch_size=spec.batch_size, verbose=0)

    return train


WAYS: dict[str, Callable[[RunSpec], TrainEpoch]] = {"ours": ours, "unkept": ours, "fit": plain}


def adam(spec: RunSpec) -> Any:
    """Return Keras' optimizer of a spec."""
    import keras

    return keras.optimizers.Adam(spec.learning_rate, beta_1=spec.beta1, epsilon=spec.adam_epsilon)


def random_split(sequences: int = SEQUENCES) -> Split:
    """Return random sequences with random labels."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (sequences, LENGTH)).astype(np.uint8)
    return Split(codes, (rng.random((sequences, CLASSES)) < 0.2).astype(np.uint8))


def serve(way: str) -> None:
    """Train as each line of the standard input asks; keeps the network that was asked for last."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    arch, train = "", None
    splits: dict[int, Split] = {}
    for line in sys.stdin:
        wanted = json.loads(line)
        if train is None or wanted["arch"] != arch:
            arch, train = wanted["arch"], WAYS[way](make_spec({"arch": wanted["arch"]}))
        split = splits.setdefault(wanted["sequences"], random_split(wanted["sequences"]))
        before = time.process_time()
        train(split, wanted["epoch"])
        print(time.process_time() - before, file=answers, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("backend", choices=("tensorflow", "jax"))
    parser.add_argument("way", choices=WAYS)
    options = parser.parse_args()
    if options.way != "fit":
        from mlproject.system import startup

        if options.way == "unkept":
            startup.keep_memory = lambda: None
        startup.prepare_keras(options.backend, 1)
    else:
        set_threads(1)
        os.environ |= {"KERAS_BACKEND": options.backend, "TF_CPP_MIN_LOG_LEVEL": "2"}
    serve(options.way)


if __name__ == "__main__":
    main()
