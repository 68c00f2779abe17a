"""The start of Keras: choose the backend, fix its settings, hide its import messages."""

import ctypes
import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlproject.system import variables
from mlproject.system.environment import BACKENDS
from mlproject.system.errors import UserError, reason
from mlproject.system.program_cache import keep_programs
from mlproject.system.streams import hidden_stderr

KERAS_VARIABLES = (
    "KERAS_HOME",
    "KERAS_MAX_EPOCHS",
    "KERAS_MAX_STEPS_PER_EPOCH",
    "KERAS_NNX_ENABLED",
)
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8  # glibc's malloc.h


def prepare_keras(backend: str | None = None, threads: int | None = None) -> None:
    """Import Keras with a backend and a number of threads. Call it before the first Keras import.

    Number formats in ``~/.keras/keras.json`` and in JAX's environment variables are ignored,
    because the spec alone determines a run.

    Args:
        backend: ``tensorflow`` or ``jax``. Default: ``KERAS_BACKEND``, else `default_backend`.
        threads: processor cores to use. Default: all.

    Raises:
        UserError: the backend is unknown, not installed or finds no device; too many threads.
    """
    backend = backend or os.environ.get("KERAS_BACKEND") or default_backend()
    if backend not in BACKENDS:
        raise UserError(f"`KERAS_BACKEND` must be {' or '.join(BACKENDS)}: got {backend!r}")
    variables.set_backend(backend)
    variables.draw_to_files()
    if threads is not None:
        variables.set_threads(threads)
    keep_memory()
    try:
        with _without_keras_settings():
            if backend == "tensorflow" and os.environ["TF_CPP_MIN_LOG_LEVEL"] != "0":
                with hidden_stderr():
                    importlib.import_module("tensorflow")
                # TensorFlow mistakes the functions of a second network for repeated tracing.
                logging.getLogger("tensorflow").setLevel(logging.ERROR)
            importlib.import_module("keras")
        settle_keras()
        if backend == "jax":
            _settle_jax()
            _hide_tensorflow()
            keep_programs()
    except ImportError as error:
        raise UserError(
            f"the Keras backend `{backend}` must be installed: {error}; "
            f"pip install {backend}, or choose another"
        ) from error
    except UserError:
        raise
    except (ValueError, RuntimeError, AssertionError) as error:
        raise UserError(
            f"the Keras backend `{backend}` must start: it says '{reason(error)}'; check its "
            "environment variables"
        ) from error


def settle_keras() -> None:
    """Set Keras' number format, data format and epsilon, regardless of the user's settings."""
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)


@contextmanager
def _without_keras_settings() -> Iterator[None]:
    """Hide ``keras.json`` and the environment variables of Keras while it is imported."""
    before = {name: os.environ.pop(name) for name in KERAS_VARIABLES if name in os.environ}
    os.environ["KERAS_HOME"] = os.path.join(os.devnull, "keras")
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]
        os.environ.update(before)


def _settle_jax() -> None:
    """Set JAX's number formats and random generator, and check that it finds a device.

    Raises:
        UserError: ``JAX_PLATFORMS`` names a platform that is not available.
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


def default_backend() -> str:
    """Return ``tensorflow`` if only TensorFlow can use the GPU, else ``jax``.

    JAX trains faster on a processor: benchmarks/README.md has the timings. JAX needs a plugin for
    NVIDIA's GPUs: ``pip install "jax[cuda12]"``.
    """
    plugin = any(find_spec(f"jax_cuda{version}_plugin") for version in (12, 13))
    return "tensorflow" if Path("/dev/nvidiactl").exists() and not plugin else "jax"


def keep_memory() -> None:
    """Let the C library (glibc only) keep freed memory for the next arrays.

    Otherwise each training step of a wide network requests its memory from the system again. Large
    steps run in a thread of JAX: all threads share one heap, since that of a thread has 64 MB.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_ARENA_MAX, 1)
    mallopt(M_MMAP_THRESHOLD, 1 << 30)
    mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
    mallopt(M_TOP_PAD, 1 << 28)


def _hide_tensorflow() -> None:
    """Save seconds: stop Keras from importing TensorFlow when it saves a model."""
    from keras.src.utils import module_utils

    module_utils.tensorflow._available = False
