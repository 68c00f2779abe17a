"""What has to happen before Keras is imported: choose backend and threads, keep it quiet."""

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mlproject.errors import UserError
from mlproject.threads import set_threads

BACKENDS = ("tensorflow", "jax")


def prepare_keras(backend: str | None = None, threads: int | None = None) -> None:
    """Choose Keras' backend and the number of threads, and import it.

    Args:
        backend: ``tensorflow`` or ``jax``; default ``KERAS_BACKEND``, else tensorflow.
        threads: processor cores to use; default all.

    Raises:
        UserError: another backend, or one that is not installed.
    """
    backend = backend or os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend not in BACKENDS:
        raise UserError(f"`KERAS_BACKEND` must be {' or '.join(BACKENDS)}: got {backend!r}")
    os.environ["KERAS_BACKEND"] = backend
    if threads:
        set_threads(threads)
    try:
        wanted = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        if backend == "tensorflow" and wanted != "0":
            with _stderr_closed():
                importlib.import_module("tensorflow")
            # Each network has a few functions of its own, which it takes for one traced again.
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
        importlib.import_module("keras")
    except ImportError as error:
        raise UserError(
            f"the Keras backend `{backend}` must be installed: {error}; "
            f"pip install {backend}, or choose another"
        ) from error


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
