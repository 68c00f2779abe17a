"""What surrounds a process does not change what it computes, and what is missing gets one line."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from mlproject.system.errors import UserError
from mlproject.system.variables import MOST_THREADS, set_threads

REPORT = """
import sys
from mlproject.system.startup import prepare_keras
prepare_keras(sys.argv[1], 1)
import json, keras
print(json.dumps([
    keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format(),
    keras.config.dtype_policy().name, keras.backend.backend(),
    str(keras.ops.ones(1).dtype), str(keras.random.uniform((1,)).dtype),
]))
"""
SETTINGS = {
    "float16": {"floatx": "float16", "epsilon": 0.1, "backend": "torch"},
    "channels": {"image_data_format": "channels_first", "nnx_enabled": True},
    "refused": {"floatx": "float128", "epsilon": "x"},
}


def _run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_keras_json_and_jax_variables_change_no_number(
    backend: str, settings: str, tmp_path: Path
) -> None:
    if (backend, settings) == ("tensorflow", "channels"):
        pytest.skip("one of each kind is enough")
    for folder in (tmp_path / ".keras", tmp_path / "home"):
        folder.mkdir()
        (folder / "keras.json").write_text(json.dumps(SETTINGS[settings]), encoding="utf-8")
    done = _run(
        REPORT, backend, HOME=str(tmp_path), KERAS_HOME=str(tmp_path / "home"),
        JAX_ENABLE_X64="1", KERAS_MAX_EPOCHS="x",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found[:5] == ["float32", 1e-7, "channels_last", "float32", backend]
    assert all("float32" in name for name in found[5:])


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("JAX_PLATFORMS", "cuda", "error: JAX must find a device to compute on: with JAX_PLATFORM"),
        ("JAX_PLATFORMS", "abacus", "error: JAX must find a device to compute on: with"),
        ("JAX_ENABLE_X64", "maybe", "error: the Keras backend `jax` must start: it says"),
        ("KERAS_BACKEND", "abacus", "error: `KERAS_BACKEND` must be tensorflow or jax"),
    ],
)
def test_a_backend_that_cannot_start_is_one_line(
    workplace: Path, variable: str, value: str, message: str
) -> None:
    environment = {"KERAS_BACKEND": "jax", variable: value}
    code = "from mlproject.commands.cli import main; main(['train', '--sequences', '300'])"
    done = _run(code, **environment)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert [path.name for path in workplace.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize("count", [0, -1, MOST_THREADS + 1, 100_000])
def test_a_number_of_threads_that_no_machine_bears_is_refused(count: int) -> None:
    with pytest.raises((UserError, RuntimeError)) as caught:
        set_threads(count)
    if "keras" not in sys.modules:
        assert f"from 1 to {MOST_THREADS}: got {count}" in str(caught.value)


ALLOCATE = """
import ctypes, resource, sys, threading
from mlproject.system.startup import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
library, size = ctypes.CDLL(None), 200_000_000
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
library.memset.argtypes = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
found = []
def use():
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        place = library.malloc(size)
        library.memset(place, 1, size)
        library.free(place)
        found.append((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before))
thread = threading.Thread(target=use)
thread.start()
thread.join()
print(found[-1] * resource.getpagesize() / size)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_a_thread_takes_the_memory_that_it_has_freed_again() -> None:
    assert float(_run(ALLOCATE, "keep").stdout) < 0.01
    assert float(_run(ALLOCATE, "default").stdout) > 0  # huge pages have few faults
