"""CPU seconds of a training epoch: ours, plain Keras `model.fit`, and what the arithmetic costs.

``python benchmarks/train.py``, or ``python benchmarks/train.py --arch all --ways ours/jax``

Each way is a process of its own with one thread. They take turns, epoch by epoch, so that other
load on the machine hits all alike; only one works at a time. A few steps of each, which compile,
come first. Validation is not part of an epoch here. "Limit" is the arithmetic of all convolutions
and dense layers (forward and both gradients, without that of the first layer's input), at the rate
of a float32 matrix product of numpy's that is measured in turns with the epochs. OPENBLAS_CORETYPE
and OPENBLAS_L2_SIZE change it: leave them unset, but set ``OPENBLAS_CORETYPE=Haswell`` beside
``--xla_cpu_max_isa=AVX2``, so that numpy's products use AVX2 only, too. "Memory" is the time
to move what a step must read and write, at the rate at which numpy adds one to an array as large as
the largest map (`moved` counts the bytes). The ways ``unkept/...`` are ours without
`mlproject.system.startup.keep_memory`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from mlproject.system.variables import set_threads

set_threads(1)

import numpy as np  # noqa: E402
from arguments import at_least  # noqa: E402
from epochs import CLASSES, LENGTH, SEQUENCES  # noqa: E402
from threadpoolctl import threadpool_info  # noqa: E402

from mlproject.architectures import ARCHITECTURES, make_spec  # noqa: E402

WAYS = ("ours/jax", "ours/tensorflow", "fit/tensorflow", "fit/jax")
UNKEPT = ("unkept/jax", "unkept/tensorflow")
YARDSTICK = "fit/tensorflow"
LIMIT, MEMORY = "limit", "memory"
WARM = 300
SIZE, PRODUCTS, SUMS = 1024, 20, 400
MAP_PASSES, WEIGHT_PASSES = 6, 10
OVERLAPPING, PLAIN = "CNN-50-2", "CNN-2"


class Way(NamedTuple):
    """A process that trains one way when it is asked."""

    name: str
    process: subprocess.Popen[str]
    log: Path

    def epoch(self, arch: str, number: int, sequences: int = SEQUENCES) -> float:
        """Train an epoch and return its CPU seconds, user + system."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin and stdout
        print(json.dumps({"arch": arch, "epoch": number, "sequences": sequences}), file=stdin)
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            sys.exit(f"{self.log.read_text()}{self.name} ended while it trained {arch}")
        return float(answer)


@contextmanager
def started(name: str, folder: Path) -> Iterator[Way]:
    """Start a way; it ends with the context. What it prints goes to a file in `folder`."""
    kind, _, backend = name.partition("/")
    command = [sys.executable, str(Path(__file__).with_name("epochs.py")), backend, kind]
    log, pipe = folder / f"{backend}-{kind}.log", subprocess.PIPE
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True) as process,
    ):
        yield Way(name, process, log)
        assert process.stdin
        process.stdin.close()


def operations(arch: str, length: int = LENGTH, classes: int = CLASSES) -> int:
    """Return the floating-point operations of training on one sequence, products only."""
    spec = make_spec({"arch": arch})
    first, *others = (2 * kernel.multiply_adds for kernel in spec.kernels(length, classes))
    return 2 * first + 3 * sum(others)


def moved(arch: str, length: int = LENGTH, classes: int = CLASSES) -> tuple[int, int]:
    """Return the bytes that an epoch must read and write, and the bytes of the largest map.

    A layer's map of a batch is written and read, read again in the backward pass, its gradient
    written, and read for the gradients of the kernel and of the input. A weight is read in both
    passes and its gradient written; Adam reads four values for it and writes three.
    """
    spec = make_spec({"arch": arch})
    kernels = spec.kernels(length, classes)
    maps = [4 * spec.batch_size * kernel.positions * kernel.filters for kernel in kernels]
    weights = 4 * sum(kernel.weights for kernel in kernels)
    steps = SEQUENCES // spec.batch_size
    return steps * (MAP_PASSES * sum(maps) + WEIGHT_PASSES * weights), max(maps)


def memory_rate(size: int) -> float:
    """Return bytes a CPU second that a sum of arrays of `size` bytes reads and writes."""
    source = np.zeros(size // 4, np.float32)
    target = np.empty_like(source)
    before = time.process_time()
    for _ in range(SUMS):
        np.add(source, 1, out=target)
    return SUMS * 2 * size / (time.process_time() - before)


def product_rate() -> float:
    """Return operations a CPU second of a float32 matrix product."""
    left, right = np.random.default_rng(0).random((2, SIZE, SIZE), np.float32)
    before = time.process_time()
    for _ in range(PRODUCTS):
        left @ right
    return PRODUCTS * 2 * SIZE**3 / (time.process_time() - before)


def kernels() -> str:
    """Return for which processor numpy's matrix products are compiled, as SkylakeX (AVX-512)."""
    found = {str(one.get("architecture")) for one in threadpool_info()}
    return ", ".join(sorted(found))


def measure(ways: Sequence[Way], arch: str, epochs: int) -> dict[str, list[float]]:
    """Return CPU seconds of each epoch by way, and those of the arithmetic and of memory."""
    for way in ways:
        way.epoch(arch, 1, WARM)
    names = (*(way.name for way in ways), LIMIT, MEMORY)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    total, largest = moved(arch)
    for number in range(1, epochs + 1):
        seconds[LIMIT].append(SEQUENCES * operations(arch) / product_rate())
        seconds[MEMORY].append(total / memory_rate(largest))
        for way in ways:
            seconds[way.name].append(way.epoch(arch, number))
    return seconds


def table(arch: str, seconds: dict[str, list[float]]) -> list[str]:
    """Return the lines that say how long each way took."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    rate = SEQUENCES * operations(arch) / medians[LIMIT] / 1e9
    speed = moved(arch)[0] / medians[MEMORY] / 1e9
    heads = f"{'CPU s':>7} {'min':>7} {'max':>7} {'fit (TF) / it':>14} {'/ limit':>8} {'/ both':>8}"
    lines = [f"{arch:<16} {heads}"]
    for name, value in medians.items():
        against = f"{medians[YARDSTICK] / value:.2f}" if YARDSTICK in medians else ""
        span = f"{min(seconds[name]):>7.2f} {max(seconds[name]):>7.2f}"
        limit, both = (value / one for one in (medians[LIMIT], medians[LIMIT] + medians[MEMORY]))
        lines.append(f"{name:<16} {value:>7.2f} {span} {against:>14} {limit:>8.2f} {both:>8.2f}")
    return [
        *lines,
        f"limit: {operations(arch) / 1e6:.1f} Mflop a sequence, {rate:.0f} GFLOP/s; "
        f"memory: {speed:.0f} GB/s; both: limit + memory",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--arch", nargs="+", default=["CNN-25", "CNN-1"], choices=[*ARCHITECTURES, "all"],
        metavar="NETWORK", help="or all",
    )  # fmt: skip
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS + UNKEPT)
    parser.add_argument("--epochs", type=at_least(1), default=5, help="that count, of each")
    options = parser.parse_args()
    names = list(ARCHITECTURES) if "all" in options.arch else options.arch
    print(f"an epoch of {SEQUENCES:,} x {LENGTH} nt in CPU seconds, one thread")
    print(f"median of {options.epochs}, {os.cpu_count()} cores, products of numpy: {kernels()}\n")
    costs: dict[str, float] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ways = [stack.enter_context(started(name, folder)) for name in options.ways]
        for arch in names:
            seconds = measure(ways, arch, options.epochs)
            costs[arch] = statistics.median(seconds[options.ways[0]])
            print("\n".join(table(arch, seconds)), flush=True)
    if {OVERLAPPING, PLAIN} <= costs.keys():
        ratio = costs[OVERLAPPING] / costs[PLAIN]
        print(f"{OVERLAPPING} / {PLAIN}: {ratio:.2f} (limit 2), {options.ways[0]}")


if __name__ == "__main__":
    main()
