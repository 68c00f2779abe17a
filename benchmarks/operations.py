"""Where a training step's time goes: the operations of the compiled program, longest first.

``python benchmarks/operations.py [NETWORK]``: milliseconds of a step, JAX on a processor, one
thread, from a trace of 50 steps by `jax.profiler`. A loop counts what is inside it as well.
"""

import argparse
import os
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from mlproject.system.startup import prepare_keras

STEPS, WARM = 50, 5
ARENAS = "MALLOC_ARENA_MAX"  # in a trace, steps run in a thread, whose arena gives memory back
OPERATION = re.compile(r"[a-z_-]+(\.\d+)?")  # not JAX's own events, such as ThunkExecutor::Execute


def trace(arch: str) -> Counter[str]:
    """Return the nanoseconds of each operation of an epoch of `STEPS` steps."""
    import jax
    from epochs import ours, random_split

    from mlproject.architectures import make_spec

    spec = make_spec({"arch": arch})
    train = ours(spec)
    train(random_split(WARM * spec.batch_size), 1)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            train(random_split(STEPS * spec.batch_size), 2)
        path = next(Path(folder).rglob("*.xplane.pb"))
        for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
            for line in plane.lines:
                for event in line.events:
                    if OPERATION.fullmatch(event.name):
                        found[event.name] += int(event.duration_ns)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", nargs="?", default="CNN-25")
    parser.add_argument("--most", type=int, default=25, help="operations to print")
    options = parser.parse_args()
    if ARENAS not in os.environ:  # read when the process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, ARENAS: "1"})
    prepare_keras("jax", 1)
    found = trace(options.network)
    print(f"{options.network}: ms of a step; all operations {found.total() / STEPS / 1e6:.2f}")
    for name, nanoseconds in found.most_common(options.most):
        print(f"{nanoseconds / STEPS / 1e6:8.3f}  {name}")


if __name__ == "__main__":
    main()
