"""CPU seconds of training by the fast pass and by the model's own, on rows and own models.

    python benchmarks/fast_pass.py [--sequences 4000] [--backend jax]

One thread; both ways take turns, and each row shows the smallest of four epochs.
"""

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from arguments import at_least

from mlproject.system.variables import set_threads

set_threads(1)

LENGTH, CLASSES, EPOCHS = 200, 12, 5
OWN = Path(__file__).parents[1] / "sweeps" / "own_network.py"
ROWS: tuple[dict[str, object], ...] = (
    {}, {"strands": "shared"}, {"batch_norm": "off"}, {"attention": 1, "pool2": 1},
    {"dilation1": 2}, {"residual1": 3, "dilation_residual1": 2},
    {"arch": "EXP-CNN-2"}, {"arch": "EXP-CNN-50"}, {"arch": "EXP-CNN-deep"},
    {"arch": "EXP-CNN-local"}, {"arch": "EXP-CNN-dist"},
)  # fmt: skip
POOLS = (25, 10, 4)


def networks() -> dict[str, Callable[[], Any]]:
    """Return functions that build the networks, by name."""
    from mlproject.architectures import make_spec
    from mlproject.network.build import build

    found: dict[str, Callable[[], Any]] = {}
    for row in ROWS:
        name = ", ".join(f"{key}={value}" for key, value in row.items()) or "CNN-25"
        found[name] = partial(build, make_spec(row), LENGTH, CLASSES)
    for pool in POOLS:
        own = {"model": f"{OWN}:build", "model_args.pool": pool}
        name = f"own_network.py, pool={pool}"
        found[name] = partial(build, make_spec(own), LENGTH, CLASSES)
    return found


def main() -> None:
    """Print a line for each network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sequences", type=at_least(1), default=4_000)
    parser.add_argument("--backend", default="jax", choices=["jax", "tensorflow"])
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = options.backend
    from epochs import adam, random_split

    from mlproject.architectures import make_spec
    from mlproject.network import backend, fast_pass
    from mlproject.network.epoch import train_epoch
    from mlproject.network.steps import make_steps

    backend.prepare()
    spec, split = make_spec({}), random_split(options.sequences)
    passes: dict[str, Callable[[Any, Any], Any]] = {
        "own": lambda model, x: model(x, training=True),
        "fast": partial(fast_pass.training_pass, letters=True),
    }
    print(f"CPU s of {options.sequences:,} sequences on {options.backend}: own pass, fast, ratio")
    for name, make in networks().items():
        ways, seconds = {}, {way: [float("inf")] * EPOCHS for way in passes}
        for way, scores in passes.items():
            model, optimizer = make(), adam(spec)
            optimizer.build(model.trainable_variables)
            ways[way] = make_steps(model, optimizer, scores)
        for epoch in range(EPOCHS):
            for way, steps in ways.items():
                before = time.process_time()
                train_epoch(steps, split, spec, epoch + 1)
                seconds[way][epoch] = time.process_time() - before
        own, fast = (min(seconds[way][1:]) for way in passes)
        print(f"{name:<40} {own:.2f} {fast:.2f} {own / fast:.2f}", flush=True)


if __name__ == "__main__":
    main()
