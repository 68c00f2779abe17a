"""The environment of a run: versions, device, git commit."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

from mlproject.names import Tag

PACKAGES = {"tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow_cpu"), "jax": ("jax",)}
BACKENDS = tuple(PACKAGES)


def backend_version(backend: str) -> str:
    """Return the installed version of a Keras backend, "" if it is not installed."""
    for name in PACKAGES.get(backend, (backend,)):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def requirements(backend: str) -> list[str]:
    """Return the pip requirements, with versions, for loading a logged model."""
    names = ("keras", "numpy", "mlflow")
    pins = [f"{name}=={metadata.version(name)}" for name in names]
    return [*pins, f"{backend}=={backend_version(backend)}"]


def device(backend: str) -> str:
    """Return the model name of the backend's GPU, else of the processor."""
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


def git_tags(folder: Path) -> dict[str, str]:
    """Return the tags for commit and dirty flag of the checkout of `folder`; {} outside git."""
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
