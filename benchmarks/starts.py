"""What a start costs: CPU seconds of a run of one epoch, and of compilation in it, twice in turn.

``python benchmarks/starts.py``: the first start of a network finds no compiled programs, the second
those of the first. 2,500 synthetic sequences, one thread, JAX.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mlproject.architectures import ARCHITECTURES

RUN = """
import collections, json, os, sys
from mlproject.system.startup import prepare_keras
def cpu(): return sum(os.times()[:4])
prepare_keras("jax", 1)
import jax
seconds = {"start": cpu()}
parts = collections.Counter()
jax.monitoring.register_event_duration_secs_listener(
    lambda name, value, **_: parts.update({name.rpartition("/")[2]: value}))
from mlproject.architectures import make_spec
from mlproject.run.context import Settings
from mlproject.run.run import run
run(make_spec({"arch": sys.argv[1], "epochs": 1, "sequences": 2500}), Settings(quiet=True))
seconds |= {"run": cpu() - seconds["start"], "compile": parts["backend_compile_duration"]}
print(json.dumps(seconds))
"""


def measure(arch: str, cache: Path, folder: Path) -> dict[str, float]:
    """Return the CPU seconds of one run in a new process, and the seconds of compilation in it."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "MPLCONFIGDIR": str(folder.parent)}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", RUN, arch],
        check=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--arch", nargs="+", default=["CNN-25", "CNN-1", "CNN-1-1-100"], choices=ARCHITECTURES,
        metavar="NETWORK",
    )  # fmt: skip
    options = parser.parse_args()
    print("network      start  imports     run  compilation  programs on disk")
    with tempfile.TemporaryDirectory() as name:
        measure("CNN-50", Path(name) / "other", Path(name) / "run")  # makes the data and the store
        for arch in options.arch:
            cache = Path(name) / arch
            for start in ("first", "second"):
                found = measure(arch, cache, Path(name) / "run")
                size = sum(path.stat().st_size for path in cache.rglob("*-program"))
                print(
                    f"{arch:<12} {start:<6} {found['start']:>7.2f} {found['run']:>7.2f} "
                    f"{found['compile']:>12.2f} {size / 1e3:>14.0f} kB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
