"""What has to happen before Keras is imported: choose backend and threads, keep it quiet."""

import ctypes
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from mlproject.errors import UserError
from mlproject.threads import set_threads

BACKENDS = ("tensorflow", "jax")
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h


def prepare_keras(backend: str | None = None, threads: int | None = None) -> None:
    """Choose Keras' backend and the number of threads, and import it.

    Args:
        backend: ``tensorflow`` or ``jax``; default ``KERAS_BACKEND``, else `default_backend`.
        threads: processor cores to use; default all.

    Raises:
        UserError: another backend, or one that is not installed.
    """
    backend = backend or os.environ.get("KERAS_BACKEND") or default_backend()
    if backend not in BACKENDS:
        raise UserError(f"`KERAS_BACKEND` must be {' or '.join(BACKENDS)}: got {backend!r}")
    os.environ["KERAS_BACKEND"] = backend
    if threads:
        set_threads(threads)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    keep_memory()
    try:
        wanted = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        if backend == "tensorflow" and wanted != "0":
            with _stderr_closed():
                importlib.import_module("tensorflow")
            # Each network has a few functions of its own, which it takes for one traced again.
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
        importlib.import_module("keras")
        if backend == "jax":
            _leave_tensorflow_out()
    except ImportError as error:
        raise UserError(
            f"the Keras backend `{backend}` must be installed: {error}; "
            f"pip install {backend}, or choose another"
        ) from error


def default_backend() -> str:
    """Return ``jax``, which trains faster on a processor, unless only TensorFlow has the GPU.

    benchmarks/README.md has the figures. JAX sees NVIDIA's GPUs through a plugin, which is
    installed by ``pip install "jax[cuda12]"``; without it, TensorFlow may.
    """
    plugin = any(find_spec(f"jax_cuda{version}_plugin") for version in (12, 13))
    return "tensorflow" if Path("/dev/nvidiactl").exists() and not plugin else "jax"


def keep_memory() -> None:
    """Let the C library keep memory that arrays leave, for the next ones (glibc only).

    Else each step of a wide network asks the system for its megabytes anew.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_THRESHOLD, 1 << 30)
    mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
    mallopt(M_TOP_PAD, 1 << 28)


def _leave_tensorflow_out() -> None:
    """Spare seconds: Keras looks for TensorFlow's types in what it saves, and so would load it."""
    from keras.src.utils import module_utils

    module_utils.tensorflow._available = False


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """Keep what TensorFlow prints while it loads, which no setting of its own turns off, unseen."""
    sys.stderr.flush()
    saved = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nothing)
