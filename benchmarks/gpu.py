"""Seconds of a training epoch on a GPU, and what share of them the GPU is busy.

``KERAS_BACKEND=jax python benchmarks/gpu.py --epochs 7``; with ``--together 5`` seconds of an epoch
of so many seeds trained together, with validation and the saved state, against one by one.

Prints one line a network: ours and plain Keras `model.fit`, alternating, medians of wall seconds.
The first two epochs, which compile, do not count. The busy share is nvidia-smi's: the share of
time in which any kernel runs, sampled while our epochs run. Data are 17,500 random sequences of
200 nt; validation is not part of an epoch here.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from arguments import at_least
from epochs import CLASSES, LENGTH, SEQUENCES, ours, plain, random_split

from mlproject.architectures import ARCHITECTURES, make_spec
from mlproject.system.variables import set_threads

set_threads(1)

import keras  # noqa: E402

from mlproject.network.build import build  # noqa: E402
from mlproject.network.protocol import Epoch  # noqa: E402
from mlproject.network.together import Member, fit_together  # noqa: E402
from mlproject.network.training import fit  # noqa: E402

NETWORKS = ("CNN-1", "CNN-25", "CNN-50-2", "CNN-1-1-100")
SMI = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100"]


def device() -> str:
    """Return the GPU's name; end where there is none."""
    if keras.backend.backend() != "jax":
        sys.exit("this benchmark needs KERAS_BACKEND=jax")
    import jax

    found = jax.devices()[0]
    if found.platform != "gpu":
        sys.exit(f"this benchmark needs a GPU: JAX found {found.device_kind} only")
    return str(found.device_kind)


def measure(arch: str, epochs: int) -> list[float]:
    """Return wall seconds of an epoch, ours and `fit`'s, and the busy share of ours."""
    spec, split = make_spec({"arch": arch}), random_split()
    ways = [ours(spec), plain(spec)]
    seconds: list[list[float]] = [[], []]
    for epoch in range(epochs + 2):
        for way, kept in zip(ways, seconds, strict=True):
            before = time.perf_counter()
            way(split, epoch + 1)
            kept.append(time.perf_counter() - before)
    with subprocess.Popen(SMI, stdout=subprocess.PIPE, text=True) as watch:
        until, epoch = time.perf_counter() + 3.0, epochs + 2
        while time.perf_counter() < until:
            epoch += 1
            ways[0](split, epoch)
        watch.terminate()
        samples = [int(line) for line in (watch.stdout or [])]
    return [*(statistics.median(kept[2:]) for kept in seconds), statistics.mean(samples[5:])]


def together(arch: str, epochs: int, seeds: int) -> tuple[float, float]:
    """Return wall seconds of an epoch of all seeds: one by one, and together."""
    split, valid = random_split(), random_split(2_500)
    specs = [make_spec({"arch": arch, "seed": seed, "patience": 0}) for seed in range(seeds)]
    specs = [spec.model_copy(update={"epochs": epochs + 2}) for spec in specs]
    with tempfile.TemporaryDirectory() as folder:
        seconds = []

        def note(number: int, epoch: Epoch) -> None:
            if epoch.epoch > 2:
                seconds.append(epoch.seconds)

        model = build(specs[0], LENGTH, CLASSES)
        state = Path(folder) / "single.h5"
        done = fit(model, specs[0], split, valid, state_path=state)
        single = statistics.median(one.seconds for one in done.history[2:])
        group = [Member(spec, Path(folder) / f"{spec.seed}.h5") for spec in specs]
        fit_together(group, split, valid, on_epoch=note)
    return seeds * single, seeds * statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=at_least(1), default=7, help="epochs that count, of each")
    parser.add_argument(
        "--arch", nargs="+", default=NETWORKS, choices=ARCHITECTURES, metavar="NETWORK"
    )
    parser.add_argument(
        "--together", type=at_least(1), metavar="SEEDS", help="of one network at once"
    )
    options = parser.parse_args()
    if options.together:
        print(f"{device()}: one epoch of {options.together} seeds, median of {options.epochs}")
        print(f"{'':<12} {'one by one, s':>14} {'together, s':>12} {'times as fast':>14}")
        for arch in options.arch:
            single, shared = together(arch, options.epochs, options.together)
            print(
                f"{arch:<12} {single:>14.3f} {shared:>12.3f} {single / shared:>14.1f}", flush=True
            )
        return
    print(f"{device()}: one epoch of {SEQUENCES:,} x {LENGTH} nt, median of {options.epochs}")
    print(f"{'':<12} {'ours, s':>8} {'fit, s':>8} {'times as fast':>14} {'busy, %':>8}")
    for arch in options.arch:
        mine, fit, busy = measure(arch, options.epochs)
        print(f"{arch:<12} {mine:>8.3f} {fit:>8.3f} {fit / mine:>14.1f} {busy:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
