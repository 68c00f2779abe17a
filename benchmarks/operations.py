"""Where a training step's time goes: the operations of the compiled program, longest first.

``python benchmarks/operations.py [NETWORK]``: milliseconds of a step on a processor, one thread,
from a trace of 50 steps. On JAX a loop counts what is inside it as well. With ``--backend
tensorflow`` the calls that contain the operations are counted, too: ``step`` is all of a step.
"""

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arguments import at_least

from mlproject.architectures import ARCHITECTURES, make_spec
from mlproject.system.startup import prepare_keras

STEPS, WARM = 50, 5
OPERATION = {  # not JAX's own events, such as ThunkExecutor::Execute
    "jax": re.compile(r"[a-z_-]+(\.\d+)?"),
    "tensorflow": re.compile(r"_?[A-Z]\w+|step"),
}


@contextmanager
def traced(backend: str, folder: str) -> Iterator[None]:
    """Write a trace of the block to a folder."""
    if backend == "jax":
        import jax

        with jax.profiler.trace(folder):
            yield
        return
    import tensorflow as tf

    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=2)
    with tf.profiler.experimental.Profile(folder, options):
        yield


def trace(arch: str, backend: str) -> Counter[str]:
    """Return the nanoseconds of each operation of an epoch of `STEPS` steps."""
    import jax
    from epochs import ours, random_split

    spec = make_spec({"arch": arch})
    train = ours(spec)
    train(random_split(WARM * spec.batch_size), 1)
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        with traced(backend, folder):
            train(random_split(STEPS * spec.batch_size), 2)
        path = next(Path(folder).rglob("*.xplane.pb"))
        for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
            for line in plane.lines:
                for event in line.events:
                    name = event.name.rpartition(":")[2]
                    if OPERATION[backend].fullmatch(name):
                        found[name] += int(event.duration_ns)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "network", nargs="?", default="CNN-25", choices=ARCHITECTURES, metavar="NETWORK"
    )
    parser.add_argument("--most", type=at_least(1), default=25, help="operations to print")
    parser.add_argument("--backend", choices=list(OPERATION), default="jax")
    options = parser.parse_args()
    prepare_keras(options.backend, 1)
    found = trace(options.network, options.backend)
    print(f"{options.network}: ms of a step")
    for name, nanoseconds in found.most_common(options.most):
        print(f"{nanoseconds / STEPS / 1e6:8.3f}  {name}")


if __name__ == "__main__":
    main()
