"""``python -m mlproject doctor``: what this installation can do here, a line for each part."""

import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import click

from mlproject.commands.options import BACKEND
from mlproject.system import environment, variables
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity
from mlproject.system.program_cache import kept_folder
from mlproject.system.program_entries import time_and_size
from mlproject.system.startup import prepare_keras

ROOM = 2e9  # bytes: the data, the store and the artifacts of about a hundred runs
PACKAGES = ("keras", "mlflow", "optuna", "numpy", "scipy", "pyjaspar")
TESTED = (3, 11), (3, 13)
EXTRAS = {
    "tensorflow": ("tensorflow", "train on TensorFlow", "pip install tensorflow"),
    "jax": ("jax", "train on JAX", "pip install jax"),
    "CUDA for JAX": (
        "jax_cuda12_plugin", "train on NVIDIA GPUs with JAX", "pip install 'jax[cuda12]'"
    ),
    "modisco": ("modiscolite", "TF-MoDISco motifs", "make modisco"),
    "gp": ("torch", "the sampler `gp` of searches", "pip install -e '.[gp]'"),
}  # fmt: skip
"""Name -> module, what it is for, how to install it."""


class Finding(NamedTuple):
    """One line of the doctor.

    Attributes:
        part: what was looked at.
        text: what was found.
        advice: what to do; "" if all is well.
        needed: whether nothing works without it.
    """

    part: str
    text: str
    advice: str = ""
    needed: bool = True

    def line(self) -> str:
        """Return the finding as a line: ``ok``, ``--`` for what is optional, or ``!!``."""
        mark = "ok" if not self.advice else "!!" if self.needed else "--"
        return f"{mark}  {self.part}: {self.text}" + (f"; {self.advice}" if self.advice else "")


@click.command()
@BACKEND
@click.option("--device/--no-device", default=True, help="run the device's self-test [yes]")
def doctor(backend: str | None, device: bool) -> None:
    """Check versions, device, tracking store, disk, threads and extras; each line ok or what to do.

    Exit code 1: something that a run needs does not work.
    """
    failed = False
    for look in (versions, lambda: computing(backend, device), store, disk, threads, extras):
        for finding in look():
            print(finding.line(), flush=True)
            failed |= bool(finding.advice and finding.needed)
    sys.exit(int(failed))


def versions() -> Iterator[Finding]:
    """Yield the versions of Python and of the packages, and those that differ from the tested."""
    lowest, highest = TESTED
    advice = ""
    if not lowest <= sys.version_info[:2] <= highest:
        advice = "use Python 3.11, 3.12 or 3.13"
    yield Finding("Python", f"{platform.python_version()} on {platform.system()}", advice)
    found, absent = [], []
    for name in ("mlproject", *PACKAGES):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            absent.append(name)
    if "mlproject" in absent:  # a checkout works without being installed
        absent.remove("mlproject")
    advice = f"install {', '.join(absent)}: `make run` or `pip install .`" if absent else ""
    yield Finding("packages", ", ".join(found), advice)
    differing = [
        f"{name} {version} instead of {tested}"
        for name, tested in _constraints().items()
        if name in PACKAGES and (version := _version(name)) not in ("", tested)
    ]
    if differing:
        yield Finding(
            "tested versions", ", ".join(differing),
            "pip install -r requirements.txt -c constraints.txt has the tested ones", needed=False,
        )  # fmt: skip


def computing(backend: str | None, test: bool) -> Iterator[Finding]:
    """Yield what the backend computes on, its program cache, and the device's self-test."""
    try:
        prepare_keras(backend)
        import keras

        name = keras.backend.backend()
        text = f"{name} {environment.backend_version(name)} on {environment.device(name)}"
        yield Finding("device", text)
        if name == "jax":
            yield programs()
        if test:
            from mlproject.network.vouching import check_device

            started = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                check_device(Path(folder))
            seconds = time.perf_counter() - started
            yield Finding("self-test", f"computes as numpy and the processor do ({seconds:.0f} s)")
    except UserError as error:
        yield Finding("device", "cannot be used", str(error))


def programs() -> Finding:
    """Return where JAX's compiled programs are kept, or what prevents it."""
    part = "compiled programs"
    try:
        folder = kept_folder()
    except UserError as error:
        return Finding(part, "not kept", str(error), needed=False)
    if "://" in folder:
        return Finding(part, f"kept by JAX in {folder}")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"written")
        size = sum(time_and_size(path)[1] for path in Path(folder).iterdir())
    except OSError as error:
        advice = "make it writable, or make room; the programs in it are still read"
        text = f"{folder} cannot be written: {error.strerror}"
        return Finding(part, text, advice, needed=False)
    return Finding(part, f"{size / 1e6:.1f} MB in {folder}")


def store() -> Iterator[Finding]:
    """Yield whether the tracking store answers and can be written."""
    from mlproject.store import STORE_ERRORS, find_store, first_line

    try:
        found = find_store()
        if found is None:
            yield Finding("tracking store", "mlflow.db in this folder; the first run makes it")
            return
        experiments = found.client.search_experiments()
        found.client.set_experiment_tag(
            experiments[0].experiment_id, "mlproject.doctor", f"{time.time():.0f}"
        )
        yield Finding(
            "tracking store", f"{found.address} answers and can be written, "
            f"{quantity(len(experiments), 'experiment')}",
        )  # fmt: skip
    except UserError as error:
        yield Finding("tracking store", "cannot be used", str(error))
    except STORE_ERRORS as error:
        yield Finding(
            "tracking store", f"cannot be written: {first_line(error)}",
            "check its permissions, or set MLFLOW_TRACKING_URI",
        )  # fmt: skip


def disk() -> Iterator[Finding]:
    """Yield whether this folder can be written, and has room."""
    here = Path.cwd()
    try:
        with tempfile.TemporaryFile(dir=here):
            pass
    except OSError as error:
        yield Finding(
            "folder", f"{here} cannot be written: {error.strerror}", "start in another folder"
        )
        return
    free = shutil.disk_usage(here).free
    advice = f"make room: a hundred runs take about {ROOM / 1e9:.0f} GB" if free < ROOM else ""
    yield Finding("disk", f"{free / 1e9:.1f} GB free in {here}", advice, needed=False)


def threads() -> Iterator[Finding]:
    """Yield how many processor cores a run would use, of those that this process may use."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    used = variables.thread_count()
    advice = f"`--threads {cores}` uses those that this process may use" if used > cores else ""
    yield Finding("threads", f"{used}, on {cores} processor cores", advice, needed=False)


def extras() -> Iterator[Finding]:
    """Yield which optional packages are installed."""
    for name, (module, purpose, how) in EXTRAS.items():
        there = find_spec(module) is not None
        text = f"{'installed' if there else 'not installed'}, for: {purpose}"
        yield Finding(f"extra {name}", text, "" if there else how, needed=False)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _constraints() -> dict[str, str]:
    """Return package -> tested version, from the checkout's constraints.txt; {} elsewhere."""
    path = Path(__file__).resolve().parents[3] / "constraints.txt"
    try:
        return dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", path.read_text(encoding="utf-8")))
    except OSError:
        return {}
