"""Memory and speed of large data: ``python benchmarks/data_streaming.py [deepsea|training]``.

`deepsea`: generated bundles are converted; beside it, what h5py needs to read ``trainxdata`` in
blocks and nothing else. `training`: the same network is trained for some hundred steps on few and
on many sequences, in the file and in memory. Each number comes from a process of its own under
``/usr/bin/time -v`` (Debian and Ubuntu: package ``time``). Seconds are the processor's. One thread.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

TIME = "/usr/bin/time"
SOURCE = Path(__file__).parent.parent / "src"
TEST_ROWS = 40_000
SHAPE = (270_000, 1000)
FEW = 2_000
STEPS = 300
WARM = 20


class Cost(NamedTuple):
    """What a process needed."""

    seconds: float
    mebibytes: float
    output: str


def run(*arguments: str) -> Cost:
    """Run Python with `arguments` and return processor seconds, peak memory and output."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": str(SOURCE), "TF_CPP_MIN_LOG_LEVEL": "2"}
    with tempfile.NamedTemporaryFile("r") as report:
        command = [TIME, "-v", "-o", report.name, sys.executable, *arguments]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, env=environment, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{arguments} failed")
        lines = dict(line.strip().rpartition(": ")[::2] for line in report)
    seconds = float(lines["User time (seconds)"]) + float(lines["System time (seconds)"])
    return Cost(seconds, int(lines["Maximum resident set size (kbytes)"]) / 1024, done.stdout)


def deepsea(folder: Path) -> None:
    from deepsea_files import write_hdf5, write_matlab5

    write_matlab5(folder / "valid.mat", "valid", 2000)
    write_matlab5(folder / "test.mat", "test", TEST_ROWS)
    reading = (
        "import h5py, sys\n"
        "with h5py.File(sys.argv[1]) as file:\n"
        "    x = file['trainxdata']\n"
        "    for row in range(0, x.shape[2], 16384): x[:, :, row : row + 16384]\n"
    )
    print(f"{'train.mat':<34} {'h5py reads':>11} {'conversion':>11} {'peak memory':>12}")
    for rows, chunks in (
        (100_000, (1, 4, 8192)),
        (400_000, (1, 4, 8192)),
        (400_000, (8, 4, 65536)),
        (400_000, None),
    ):
        repeat = chunks[2] * max(16384 // chunks[2], 1) if chunks else 16384
        write_hdf5(folder / "train.mat", "train", rows, chunks=chunks, repeat=repeat)
        read = run("-c", reading, str(folder / "train.mat")).seconds
        out = str(folder / "out.h5")
        made = run("-m", "mlproject", "dataset", "deepsea", "--folder", str(folder), "--out", out)
        kind = f"chunks {chunks}, deflated" if chunks else "contiguous"
        times = f"{read:>9.1f} s {made.seconds:>9.1f} s"
        print(f"{rows:>7,} {kind:<26} {times} {made.mebibytes:>8.0f} MiB", flush=True)


def write_random(path: Path, rows: int) -> None:
    """Write a data set of random sequences; the other splits have 1,000 sequences each."""
    from mlproject.data.writing import new_dataset_file

    rng = np.random.default_rng(0)
    counts = {"train": rows, "valid": 1000, "test": 1000}
    with new_dataset_file(
        path, SHAPE[1], counts, [f"class{n}" for n in range(12)], {}, {}
    ) as target:
        for split in target.splits.values():
            for start in range(0, len(split.codes), 10_000):
                count = min(10_000, len(split.codes) - start)
                block = slice(start, start + count)
                split.codes[block] = rng.integers(0, 4, (count, SHAPE[1]), np.uint8)
                split.labels[block] = rng.integers(0, 2, (count, 12), np.uint8)


def train(path: str, where: str) -> None:
    """Train for `STEPS` steps in the order of an epoch and print milliseconds a step."""
    from mlproject.system.startup import prepare_keras

    prepare_keras("tensorflow", 1)
    from epochs import steps_of

    from mlproject.architectures import make_spec
    from mlproject.data import read
    from mlproject.network import backend
    from mlproject.network.build import build, predict

    data = read(Path(path))
    split = data.train
    if where == "memory":
        split = split._replace(codes=split.codes[:], labels=split.labels[:])
    spec = make_spec({})
    backend.prepare()
    model = build(spec, data.length, len(data.classes))
    steps = steps_of(spec, model)
    rng = np.random.default_rng([spec.seed, 1])
    orders = [rng.permutation(len(split.codes)) for _ in range(1 + 100 * STEPS // len(split.codes))]
    order = np.concatenate(orders)[: (WARM + STEPS) * spec.batch_size]
    steps.start()
    for number, start in enumerate(range(0, len(order), spec.batch_size)):
        if number == WARM:
            processor, clock = time.process_time(), time.perf_counter()
        rows = order[start : start + spec.batch_size]
        steps.run(split.codes[rows][None], split.labels[rows][None])
    steps.finish()
    count = number + 1 - WARM
    print(
        f"{1000 * (time.process_time() - processor) / count:.2f} "
        f"{1000 * (time.perf_counter() - clock) / count:.2f}"
    )
    predict(model, data.valid.codes)


def training(folder: Path) -> None:
    few, many = folder / "few.h5", folder / "many.h5"
    write_random(few, FEW)
    write_random(many, SHAPE[0])
    print(f"{'sequences of 1,000 nt':<28} {'ms a step':>10} {'wall':>8} {'peak memory':>12}")
    for name, path, where in (
        (f"{FEW:,}", few, "memory"),
        (f"{SHAPE[0]:,} in the file", many, "file"),
        (f"{SHAPE[0]:,} in memory", many, "memory"),
        (f"{SHAPE[0]:,} in the file", many, "file"),
        (f"{SHAPE[0]:,} in memory", many, "memory"),
    ):
        cost = run(__file__, "train", str(path), where)
        step, wall = map(float, cost.output.split())
        print(f"{name:<28} {step:>10.2f} {wall:>8.2f} {cost.mebibytes:>8.0f} MiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", nargs="?", choices=PARTS, help="default: both")
    part = parser.parse_args().part
    for name in [part] if part else PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Path(folder))


PARTS = {"deepsea": deepsea, "training": training}

if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        train(*sys.argv[2:4])
    else:
        main()
