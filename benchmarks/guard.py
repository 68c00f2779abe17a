"""What the guard on the state costs: CPU seconds of an epoch with it and without, in turns.

``python benchmarks/guard.py`` and ``python benchmarks/guard.py --backend tensorflow``
"""

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from mlproject.system.variables import set_threads

set_threads(1)

from arguments import at_least  # noqa: E402
from epochs import TrainEpoch, ours, random_split  # noqa: E402

from mlproject.architectures import ARCHITECTURES, make_spec  # noqa: E402


def compiled_steps() -> Any:
    """Return the module of the backend's steps."""
    from mlproject.network import backend

    return import_module(f"mlproject.network.{backend.name()}_steps")


def training(arch: str, guarded: bool) -> TrainEpoch:
    """Return our loop of a network, with the guard or with one that checks nothing."""
    from keras import ops

    from mlproject.network import guard

    class Blind(guard.Guard):
        def update(self, extremes: guard.LaunchExtremes, *_: Sequence[Any]) -> guard.LaunchExtremes:
            return extremes

        def broken(self, *_: Any) -> Any:
            return ops.zeros((), "bool")

    compiled_steps().Guard = guard.Guard if guarded else Blind
    return ours(make_spec({"arch": arch}))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--arch", nargs="+", default=["CNN-25", "CNN-1"], choices=ARCHITECTURES, metavar="NETWORK"
    )
    parser.add_argument("--backend", default="jax", choices=["jax", "tensorflow"])
    parser.add_argument("--epochs", type=at_least(1), default=9)
    parser.add_argument("--sequences", type=at_least(1), default=8_000)
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = options.backend
    split = random_split(options.sequences)
    print(f"CPU s of {options.sequences:,} sequences on {options.backend}: medians of turns")
    for arch in options.arch:
        seconds: dict[bool, list[float]] = {True: [], False: []}
        ways = {guarded: training(arch, guarded) for guarded in seconds}
        every = compiled_steps().GUARDED
        for epoch in range(options.epochs + 1):
            for guarded, train in ways.items():
                compiled_steps().GUARDED = every if guarded else 10**9
                before = time.process_time()
                train(split, epoch + 1)
                seconds[guarded].append(time.process_time() - before)
        with_it, without = (statistics.median(seconds[way][1:]) for way in (True, False))
        print(f"{arch:<8} {with_it:.3f} with, {without:.3f} without: {with_it / without - 1:+.1%}")


if __name__ == "__main__":
    main()
