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
from typing import Any

from mlproject.system.compilation_cache import write_whole_entries
from mlproject.system.errors import UserError, reason
from mlproject.system.threads import set_threads

BACKENDS = ("tensorflow", "jax")
OF_KERAS = ("KERAS_HOME", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h


def prepare_keras(backend: str | None = None, threads: int | None = None) -> None:
    """Choose Keras' backend and the number of threads, and import it.

    What ``~/.keras/keras.json`` and JAX's environment variables say of numbers does not count: the
    spec alone determines a run.

    Args:
        backend: ``tensorflow`` or ``jax``; default ``KERAS_BACKEND``, else `default_backend`.
        threads: processor cores to use; default all.

    Raises:
        UserError: another backend, one that is not installed or finds no device, too many threads.
    """
    backend = backend or os.environ.get("KERAS_BACKEND") or default_backend()
    if backend not in BACKENDS:
        raise UserError(f"`KERAS_BACKEND` must be {' or '.join(BACKENDS)}: got {backend!r}")
    os.environ["KERAS_BACKEND"] = backend
    draw_to_files()
    if threads is not None:
        set_threads(threads)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    keep_memory()
    try:
        with _no_settings():
            wanted = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
            if backend == "tensorflow" and wanted != "0":
                with _stderr_closed():
                    importlib.import_module("tensorflow")
                # Each network has some functions of its own, which it takes for one traced again.
                logging.getLogger("tensorflow").setLevel(logging.ERROR)
            importlib.import_module("keras")
        settle_keras()
        if backend == "jax":
            _settle_jax()
            _leave_tensorflow_out()
            write_whole_entries()
    except ImportError as error:
        raise UserError(
            f"the Keras backend `{backend}` must be installed: {error}; "
            f"pip install {backend}, or choose another"
        ) from error
    except UserError:
        raise
    except (ValueError, RuntimeError, AssertionError) as error:
        raise UserError(
            f"the Keras backend `{backend}` must start: it says '{reason(error)}'; look at its "
            "environment variables"
        ) from error


def settle_keras() -> None:
    """Set Keras' number format, data format and epsilon, whatever the user's settings are."""
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)


@contextmanager
def _no_settings() -> Iterator[None]:
    """Let Keras find no ``keras.json``, and none of the environment variables that say the same."""
    before = {name: os.environ.pop(name) for name in OF_KERAS if name in os.environ}
    os.environ["KERAS_HOME"] = os.path.join(os.devnull, "keras")
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]
        os.environ.update(before)


def _settle_jax() -> None:
    """Set what JAX computes with, and see that there is something to compute on.

    Raises:
        UserError: ``JAX_PLATFORMS`` names a platform that is not there.
    """
    import jax

    settings: dict[str, Any] = {
        "jax_enable_x64": False,
        "jax_default_prng_impl": "threefry2x32",
        "jax_threefry_partitionable": True,
        "jax_numpy_dtype_promotion": "standard",
        "jax_numpy_rank_promotion": "allow",
        "jax_random_seed_offset": 0,
        "jax_disable_jit": False,
        "jax_debug_nans": False,
        "jax_debug_infs": False,
    }
    for name, value in settings.items():
        jax.config.update(name, value)
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        named = os.environ.get("JAX_PLATFORMS", "")
        raise UserError(
            f"JAX must find a device to compute on: with JAX_PLATFORMS={named!r} it says "
            f"'{reason(error)}'; unset JAX_PLATFORMS, or set it to cpu"
        ) from error


def draw_to_files() -> None:
    """Let Matplotlib, which Keras imports too, open no window; call it before it is imported.

    A notebook names a backend in ``MPLBACKEND`` that may be missing here. What Matplotlib tells of
    its font cache, and of a home folder that it cannot write, is no mistake of the user's.
    """
    os.environ["MPLBACKEND"] = "agg"
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


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
