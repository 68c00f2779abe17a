"""The number of threads that a backend computes with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlproject.system.variables import set_threads, thread_variables

POOLS = {"tensorflow": "tf_Compute", "jax": "tf_XLAEigen"}
COUNT_POOL_THREADS = """
import sys
from pathlib import Path
from mlproject.system.variables import set_threads
set_threads(int(sys.argv[1]))
import keras, numpy
x = keras.ops.ones((500, 500))
numpy.asarray(keras.ops.matmul(x, x))
names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
print(names.count(sys.argv[2]))
"""


def test_variables_keep_other_flags_of_xla(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1 --xla_cpu_multi_thread_eigen=true")
    assert thread_variables(1)["XLA_FLAGS"] == "--xla_a=1 --xla_cpu_multi_thread_eigen=false"
    assert thread_variables(2)["XLA_FLAGS"] == "--xla_a=1 --xla_cpu_multi_thread_eigen=true"
    assert thread_variables(2)["OMP_NUM_THREADS"] == "2"


def test_threads_must_be_set_before_keras_is_there() -> None:
    import keras  # noqa: F401

    with pytest.raises(RuntimeError, match="before the first import of keras"):
        set_threads(1)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads thread names from /proc")
def test_the_backend_has_as_many_threads_as_asked_for() -> None:
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    count = str((os.cpu_count() or 1) + 1)
    done = subprocess.run(
        [sys.executable, "-c", COUNT_POOL_THREADS, count, POOLS[backend]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [count]
