"""How many threads a process computes with. Imports no backend: it has to come before them."""

import os
import sys

from mlproject.system.errors import UserError

MOST_THREADS = 1024  # with many more the backends die of it


def thread_variables(count: int) -> dict[str, str]:
    """Return the environment variables that hold a new process to `count` threads.

    They cover TensorFlow, JAX (XLA) and the BLAS libraries. XLA shares its pool of `count` threads
    between operations; with one thread it does not split a single operation either.
    """
    flags = [
        flag for flag in os.environ.get("XLA_FLAGS", "").split() if "multi_thread_eigen" not in flag
    ]
    flags.append(f"--xla_cpu_multi_thread_eigen={str(count > 1).lower()}")
    names = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "NPROC",
    )
    return {"XLA_FLAGS": " ".join(flags), **dict.fromkeys(names, str(count))}


def set_threads(count: int) -> None:
    """Hold this process to `count` threads.

    Raises:
        UserError: the count is not from 1 to `MOST_THREADS`.
        RuntimeError: Keras is loaded already, and with it a backend that has read the variables.
    """
    if "keras" in sys.modules:
        raise RuntimeError("`set_threads` must come before the first import of keras")
    if not 1 <= count <= MOST_THREADS:
        raise UserError(f"`threads` must be from 1 to {MOST_THREADS}: got {count}")
    os.environ.update(thread_variables(count))
