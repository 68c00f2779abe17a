"""Do TensorFlow and JAX train equally good networks? Test AUROC of both over several seeds.

``python benchmarks/backends.py --arch CNN-25 --seeds 3 --epochs 100``

Full synthetic data; each training in a process of its own, one thread. Takes minutes. A seed gives
the same initial weights on both backends.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from arguments import at_least

from mlproject.architectures import ARCHITECTURES
from mlproject.system.variables import thread_variables

BACKENDS = ("tensorflow", "jax")
LIMIT = 0.01


def train(arch: str, epochs: int, seed: int, folder: Path) -> dict[str, Any]:
    """Train one network."""
    from mlproject.architectures import make_spec
    from mlproject.data import load
    from mlproject.network.build import build, predict
    from mlproject.network.evaluation import class_scores, metrics
    from mlproject.network.training import fit

    spec = make_spec({"arch": arch, "epochs": epochs, "seed": seed})
    data = load(spec, folder)
    model = build(spec, data.length, len(data.classes))
    with tempfile.TemporaryDirectory() as scratch:
        result = fit(model, spec, data.train, data.valid, state_path=Path(scratch) / "state.h5")
    values = metrics(class_scores(data.test.labels, predict(model, data.test.codes), data.classes))
    times = os.times()
    return {
        "auroc": values["test_auroc"],
        "aupr": values["test_aupr"],
        "best": result.best_epoch,
        "epochs": len(result.history),
        "cpu": times.user + times.system,
    }


def in_process(backend: str, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--arch", options.arch, "--data", str(options.data)]
    done = subprocess.run(
        [*command, "--epochs", str(options.epochs), "--only-seed", str(seed)],
        env=os.environ | thread_variables(1) | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arch", default="CNN-25", choices=ARCHITECTURES, metavar="NETWORK")
    parser.add_argument(
        "--epochs", type=at_least(1), default=100, help="most epochs; patience as released"
    )
    parser.add_argument("--seeds", type=at_least(1), default=3, help="trainings a backend")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of data sets")
    parser.add_argument("--only-seed", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_seed is not None:
        print(json.dumps(train(options.arch, options.epochs, options.only_seed, options.data)))
        return
    compare(options)


def compare(options: argparse.Namespace) -> None:
    """Print the table of all trainings."""
    print(f"{options.arch}, at most {options.epochs} epochs, one thread")
    print(
        f"{'backend':<12} {'seed':>4} {'AUROC':>7} {'AUPR':>7} {'best of epochs':>14} {'CPU s':>6}"
    )
    means = {}
    for backend in BACKENDS:
        rows = []
        for seed in range(options.seeds):
            row = in_process(backend, options, seed)
            rows.append(row)
            best = f"{row['best']} of {row['epochs']}"
            numbers = f"{row['auroc']:>7.4f} {row['aupr']:>7.4f} {best:>14} {row['cpu']:>6.0f}"
            print(f"{backend:<12} {seed:>4} {numbers}", flush=True)
        means[backend] = statistics.mean(row["auroc"] for row in rows)
        print(f"{backend:<12} mean {means[backend]:>7.4f}")
    difference = abs(means["tensorflow"] - means["jax"])
    verdict = "within" if difference <= LIMIT else "NOT within"
    print(f"mean AUROC differs by {difference:.4f}, {verdict} {LIMIT}")
    sys.exit(difference > LIMIT)


if __name__ == "__main__":
    main()
