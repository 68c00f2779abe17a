"""How an epoch's cost grows with sequences, length, filters and classes: CNN-25 on JAX, one thread.

``python benchmarks/scale.py`` or ``python benchmarks/scale.py --axes classes filters``

Each point is a process of its own: CPU seconds of the second epoch, without validation, and the
largest memory of the process. The exponent is the slope from the point above, in logarithms: 1 is
growth in proportion.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time

import numpy as np
from arguments import at_least

BASE = {"sequences": 17_500, "length": 200, "filters": 30, "classes": 12}
AXES = {
    "sequences": (2_500, 20_000, 200_000, 2_000_000),
    "length": (50, 200, 2_000, 20_000),
    "filters": (8, 32, 128, 1_024),
    "classes": (1, 12, 200, 2_000),
}
FEWER = {"length": 2_500, "filters": 5_000, "classes": 17_500}  # sequences along the other axes
MIB = 2**20


def measure(sizes: dict[str, int]) -> None:
    """Print the CPU seconds of the second epoch and the process's largest memory in bytes."""
    from mlproject.system.startup import prepare_keras

    prepare_keras("jax", 1)
    from epochs import ours

    from mlproject.architectures import make_spec
    from mlproject.data import Split

    spec = make_spec({"arch": "CNN-25", "filters1": sizes["filters"], "pool2": 2})
    rng = np.random.default_rng(0)
    shape = (sizes["sequences"], sizes["length"])
    codes = rng.integers(0, 4, shape, dtype=np.uint8)
    labels = (rng.random((sizes["sequences"], sizes["classes"]), np.float32) < 0.2).view(np.uint8)
    split = Split(codes, labels)
    train = ours(spec, sizes["length"], sizes["classes"])
    train(split, 1)
    before = time.process_time()
    train(split, 2)
    seconds = time.process_time() - before
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    print(json.dumps([seconds, memory]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument("--most", type=at_least(1), default=10**9, help="leave larger points out")
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.point:
        measure(options.point)
        return
    points = {axis: [one for one in AXES[axis] if one <= options.most] for axis in options.axes}
    for axis, values in points.items():
        if not values:
            least = min(AXES[axis])
            parser.error(f"argument --most: must be {least} or more for {axis}: got {options.most}")
    for axis, values in points.items():
        sizes = BASE | {"sequences": FEWER.get(axis, BASE["sequences"])}
        others = ", ".join(f"{value:,} {name}" for name, value in sizes.items() if name != axis)
        print(f"\n| {axis} | CPU s an epoch | exponent | memory, MiB |   ({others})")
        print("|---|---|---|---|")
        last: tuple[int, float] | None = None
        for value in values:
            point = json.dumps(sizes | {axis: value})
            command = [sys.executable, __file__, "--point", point]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            seconds, memory = json.loads(done.stdout.splitlines()[-1])
            slope = math.log(seconds / last[1]) / math.log(value / last[0]) if last else math.nan
            exponent = "" if last is None else f"{slope:.2f}"
            print(f"| {value:,} | {seconds:.2f} | {exponent} | {memory / MIB:,.0f} |", flush=True)
            last = value, seconds


if __name__ == "__main__":
    main()
