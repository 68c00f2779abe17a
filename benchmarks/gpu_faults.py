"""How often a GPU spoils the state of a training, by what differs in how it is run.

``KERAS_BACKEND=jax python benchmarks/gpu_faults.py --dataset FILE`` prints a line an arm: trainings
of CNN-25 with the protocol ``paper``, epochs, the faults that the guard on the state has found (see
`mlproject.network.guard`), and by how much the sums of squared weights of a seed differ from those
of the first arm. Each process has its arm's flags from its start. The trainings of an arm run
in several processes, one after the other: with a shared compilation cache all but the first read
their programs from it. ``--arms`` takes some of the arms; ``mps`` starts NVIDIA's MPS, runs 14
processes at a time, and ends it. ``processor``, which has to be asked for, is a reference where it
comes first. Without a GPU the other arms run on the processor as well.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

MPS = "nvidia-cuda-mps-control"
AT_ONCE = 14  # processes under MPS


class Arm(NamedTuple):
    """What an arm does otherwise: XLA's flags, a change by name (see `CHANGES`), JAX's platform."""

    flags: str = ""
    change: str = ""
    private_cache: bool = False
    mps: bool = False
    platform: str = ""


ARMS = {
    "as it was": Arm(),
    "private cache": Arm(private_cache=True),
    "no autotuning": Arm("--xla_gpu_autotune_level=0"),
    "deterministic ops": Arm("--xla_gpu_deterministic_ops=true"),
    "no priority fusion": Arm("--xla_disable_hlo_passes=priority-fusion"),
    "no CUDA graphs": Arm("--xla_gpu_enable_command_buffer="),
    "no donation": Arm(change="donation"),
    "one step a launch": Arm(change="launch"),
    "compiled copies": Arm(change="copies"),
    "shortened pass": Arm(change="pass"),
    "mps": Arm(mps=True),
    "processor": Arm(change="own pass", platform="cpu"),
}


def without_donation() -> None:
    """Let compiled functions leave their arguments' memory alone."""
    import jax

    compiled = jax.jit

    def jit(function: Callable[..., Any], **options: Any) -> Any:
        options.pop("donate_argnums", None)
        return compiled(function, **options)

    jax.jit = jit  # type: ignore[assignment]


def one_step_a_launch() -> None:
    """Let the device take one batch at a time."""
    from mlproject.network import jax_steps

    jax_steps.LAUNCH = 1


def compiled_copies() -> None:
    """Copy the state by one compiled function, at an epoch's start and at its end."""
    import jax
    import jax.numpy as jnp

    from mlproject.network import jax_steps, steps

    copied = jax.jit(lambda values: jax.tree.map(jnp.copy, values))

    class Copying(jax_steps.JaxSteps):
        def start(self) -> None:
            copies = copied([[one.value for one in group] for group in self.groups])
            now = self._guard.select(*copies)
            self._before = self._copied(now)
            self._state = (*copies, jnp.zeros(()), self._begin(now))
            self._count, self._pending = 0, None

        def finish(self) -> float:
            self._state = copied(self._state)
            return super().finish()

    steps.JaxSteps = Copying  # type: ignore[misc]


def shortened_pass() -> None:
    """Train with the pass of processors, as the first trainings on a GPU did."""
    from mlproject.network import fast_pass

    fast_pass.choose = lambda model, letters=False: (fast_pass.training_pass, "fast")


def own_pass() -> None:
    """Train with the pass of accelerators, the model's own, on a processor too."""
    from mlproject.network import fast_pass

    def own(model: Any, x: Any) -> Any:
        return model(x, training=True)

    fast_pass.choose = lambda model, letters=False: (own, "model")


CHANGES = {
    "own pass": own_pass,
    "donation": without_donation,
    "launch": one_step_a_launch,
    "copies": compiled_copies,
    "pass": shortened_pass,
}


def train(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train once; return epochs, spoilt elements, and sums of squared weights by epoch."""
    from mlproject.architectures import make_spec
    from mlproject.data import read
    from mlproject.network.build import build
    from mlproject.network.training import Epoch, fit
    from mlproject.system.errors import UserError

    data = read(Path(options.dataset))
    train, valid = (
        one._replace(codes=one.codes[: options.sequences], labels=one.labels[: options.sequences])
        for one in (data.train, data.valid)
    )
    choice = {"arch": options.arch, "protocol": "paper", "epochs": options.epochs, "patience": 0}
    spec = make_spec({**choice, "seed": seed})
    faults: list[str] = []
    history: list[Epoch] = []
    failure = ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            fit(
                build(spec, data.length, len(data.classes)), spec, train, valid,
                state_path=Path(folder) / "state.h5",
                on_epoch=history.append, on_fault=faults.append,
            )  # fmt: skip
        except UserError as error:
            failure = str(error)
    squares = [
        sum(value for name, value in one.weights.items() if name.startswith("squares/"))
        for one in history
    ]
    seconds = sorted(one.seconds for one in history)
    middle = seconds[len(seconds) // 2] if seconds else float("nan")
    return {"seed": seed, "faults": faults, "failure": failure, "squares": squares,
            "seconds": middle}  # fmt: skip


def serve(options: argparse.Namespace) -> None:
    """Be a process of an arm: train the seeds, print a line of JSON for each."""
    from mlproject.system.startup import prepare_keras

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    prepare_keras("jax")
    if change := ARMS[options.serve].change:
        CHANGES[change]()
    for seed in options.seeds:
        print(json.dumps(train(options, seed)), file=answers, flush=True)


@contextmanager
def mps_daemon(wanted: bool) -> Iterator[None]:
    """Run NVIDIA's MPS while the context lasts."""
    if not wanted:
        yield
        return
    subprocess.run([MPS, "-d"], check=True)
    try:
        yield
    finally:
        subprocess.run([MPS], input="quit\n", text=True, check=False)


def run_arm(name: str, options: argparse.Namespace, cache: Path) -> list[dict[str, Any]]:
    """Run the trainings of an arm in its processes; return what they say."""
    arm = ARMS[name]
    seeds = [*range(options.trainings)]
    count = min(AT_ONCE if arm.mps else options.processes, len(seeds))
    shares = [seeds[number::count] for number in range(count)]
    found: list[dict[str, Any]] = []
    with mps_daemon(arm.mps):
        running = []
        for number, share in enumerate(shares):
            folder = cache / (f"{name}-{number}" if arm.private_cache else name)
            command = [sys.executable, __file__, "--serve", name, "--dataset", options.dataset]
            command += ["--arch", options.arch, "--epochs", str(options.epochs)]
            command += ["--sequences", str(options.sequences), "--seeds", *map(str, share)]
            flags = f"{os.environ.get('XLA_FLAGS', '')} {arm.flags}".strip()
            settings = {
                "JAX_COMPILATION_CACHE_DIR": str(folder),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "XLA_FLAGS": flags,
            }
            if arm.platform:
                settings["JAX_PLATFORMS"] = arm.platform
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, env={**os.environ, **settings}
            )
            running.append(process)
            if not arm.mps:
                found += _answers(running.pop())
        for process in running:
            found += _answers(process)
    return found


def _answers(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    text, _ = process.communicate()
    if process.returncode:
        print(f"a process ended with code {process.returncode}", file=sys.stderr)
    return [json.loads(line) for line in text.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dataset", required=True, help="HDF5 file of `mlproject dataset`")
    parser.add_argument("--arch", default="CNN-25")
    parser.add_argument("--trainings", type=int, default=20, help="of each arm")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--sequences", type=int, default=10**9, help="the first of each split")
    parser.add_argument("--processes", type=int, default=4, help="of each arm, one after the other")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=[*ARMS][:-1])
    parser.add_argument("--serve", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--seeds", nargs="*", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options)
        return
    print(f"{'':<20} {'trainings':>9} {'epochs':>7} {'faults':>7} {'failed':>7} "
          f"{'largest gap':>12} {'s/epoch':>8} {'s':>6}")  # fmt: skip
    first: dict[int, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.arms:
            if ARMS[name].mps and not shutil.which(MPS):
                print(f"{name:<20} left out: there is no {MPS}")
                continue
            started = time.perf_counter()
            found = run_arm(name, options, Path(folder))
            gap = 0.0
            for one in found:
                wanted = first.setdefault(one["seed"], one["squares"])
                pairs = zip(one["squares"], wanted, strict=False)
                gap = max([gap, *(abs(a / b - 1) for a, b in pairs)])
            epochs = sum(len(one["squares"]) for one in found)
            faults = sum(len(one["faults"]) for one in found)
            failed = sum(bool(one["failure"]) for one in found)
            each = max((one["seconds"] for one in found), default=float("nan"))
            seconds = time.perf_counter() - started
            print(f"{name:<20} {len(found):>9} {epochs:>7} {faults:>7} {failed:>7} {gap:>12.2%} "
                  f"{each:>8.3f} {seconds:>6.0f}", flush=True)  # fmt: skip
            for one in found:
                for element in [*one["faults"], *filter(None, [one["failure"]])]:
                    print(f"  seed {one['seed']}: {element}")


if __name__ == "__main__":
    main()
