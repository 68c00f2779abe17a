"""The environment variables that this program writes, and the only place that writes them.

Nothing is written at import. Libraries read most of these variables when they are imported, so this
module imports none of them.
"""

import logging
import os
import sys

from mlproject.system.errors import UserError
from mlproject.system.numbers import whole_number

MOST_THREADS = 1024  # with many more threads the backends crash

RUN_ID = "MLFLOW_RUN_ID"
THREADS = "TF_NUM_INTRAOP_THREADS"
THREAD_COUNTS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", THREADS,
    "TF_NUM_INTEROP_THREADS", "NPROC",
)  # fmt: skip
DEFAULTS = {
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "TF_CPP_MIN_LOG_LEVEL": "2",
}


def set_backend(backend: str) -> None:
    """Set the backend that Keras will import, and defaults for its memory and messages."""
    os.environ["KERAS_BACKEND"] = backend
    for name, value in DEFAULTS.items():
        if not os.environ.get(name):
            os.environ[name] = value


def set_threads(count: int) -> None:
    """Limit this process to `count` threads.

    Raises:
        UserError: the count is not from 1 to `MOST_THREADS`.
        RuntimeError: Keras is imported already, and its backend has read the variables.
    """
    if "keras" in sys.modules:
        raise RuntimeError("`set_threads` must come before the first import of keras")
    if not 1 <= count <= MOST_THREADS:
        raise UserError(f"`threads` must be from 1 to {MOST_THREADS}: got {count}")
    os.environ.update(thread_variables(count))


def thread_variables(count: int) -> dict[str, str]:
    """Return the environment variables that limit a new process to `count` threads.

    They apply to TensorFlow, JAX (XLA) and the BLAS libraries. XLA shares its `count` threads
    between operations. With one thread it does not split a single operation either.
    """
    flags = [
        flag for flag in os.environ.get("XLA_FLAGS", "").split() if "multi_thread_eigen" not in flag
    ]
    flags.append(f"--xla_cpu_multi_thread_eigen={str(count > 1).lower()}")
    return {"XLA_FLAGS": " ".join(flags), **dict.fromkeys(THREAD_COUNTS, str(count))}


def thread_count() -> int:
    """Return the number of threads of the backend: the number set, else one per processor core."""
    text = os.environ.get(THREADS, "")
    return whole_number(text) or os.cpu_count() or 1


def draw_to_files() -> None:
    """Make Matplotlib draw to files only. Call it before Matplotlib or Keras is imported.

    A notebook sets ``MPLBACKEND`` to a backend that may be missing here. Matplotlib's messages
    about its font cache and a read-only home folder are hidden, because they are no user errors.
    """
    os.environ["MPLBACKEND"] = "agg"
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def take_run_id() -> str | None:
    """Return the id of the run that ``mlflow run`` made for this process, and remove the variable.

    No later run of this process, and no child process, can adopt the run a second time.
    """
    return os.environ.pop(RUN_ID, None) or None
