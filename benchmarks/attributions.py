"""CPU seconds of every way to attribute: ``python benchmarks/attributions.py --arch CNN-25``.

100 random sequences of 200 nt, each for one class, one thread. The time holds the compilation of
each method; in silico mutagenesis is 60,000 forward passes besides those of the sequences
themselves, and may take 20 s for CNN-25.
"""

import argparse
import time

from mlproject.system.startup import prepare_keras

prepare_keras(threads=1)

import keras  # noqa: E402
import numpy as np  # noqa: E402

from mlproject.architectures import ARCHITECTURES, make_spec  # noqa: E402
from mlproject.attribution import METHODS, attribute  # noqa: E402
from mlproject.network.build import build  # noqa: E402

SEQUENCES, LENGTH, CLASSES = 100, 200, 12


def measure(model: keras.Model, method: str) -> float:
    """Return the processor seconds of one method."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (SEQUENCES, LENGTH)).astype(np.uint8)
    targets = rng.integers(0, CLASSES, SEQUENCES)
    start = time.process_time()
    attribute(model, method, codes, targets)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arch", nargs="+", default=["CNN-25"], choices=ARCHITECTURES)
    options = parser.parse_args()
    print(f"{SEQUENCES} sequences of {LENGTH} nt on {keras.backend.backend()}, CPU s, one thread")
    print(f"{'':<22}" + "".join(f"{arch:>10}" for arch in options.arch))
    models = [build(make_spec({"arch": arch}), LENGTH, CLASSES) for arch in options.arch]
    measure(models[0], "saliency")  # what a process does once
    for method in METHODS:
        seconds = [measure(model, method) for model in models]
        print(f"{method:<22}" + "".join(f"{value:>10.2f}" for value in seconds), flush=True)


if __name__ == "__main__":
    main()
