"""What a run ran on: versions, processor, git commit."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from mlproject.names import Tag

BACKENDS = {"tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow_cpu"), "jax": ("jax",)}


def backend_version(backend: str) -> str:
    """Return the installed version of a Keras backend, '' if it is not installed."""
    for name in BACKENDS.get(backend, (backend,)):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def requirements(backend: str) -> list[str]:
    """Return what a logged model needs to be loaded: pip requirements with versions."""
    names = ("keras", "numpy", "mlflow")
    pins = [f"{name}=={metadata.version(name)}" for name in names]
    return [*pins, f"{backend}=={backend_version(backend)}"]


def device(backend: str) -> str:
    """Return the model name of the GPU that the backend computes on, else of the processor."""
    if backend == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            details = tf.config.experimental.get_device_details(gpus[0])
            return str(details.get("device_name", "GPU"))
    if backend == "jax":
        import jax

        if jax.default_backend() != "cpu":
            return str(jax.devices()[0].device_kind)
    return processor()


def processor() -> str:
    """Return the processor's model name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def threads() -> int:
    """Return the number of threads that the backend computes with: as told, else one a core."""
    text = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    return (int(text) if text.isdigit() else 0) or os.cpu_count() or 1


def git_tags(folder: Path) -> dict[str, str]:
    """Return commit and dirty flag of the checkout around `folder`; {} outside git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return {}
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {
        Tag.COMMIT: commit,
        Tag.GIT_DIRTY: str(bool(changes)).lower(),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
