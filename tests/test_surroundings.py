"""Settings of shell and home folder do not change a run; a shared cache stays whole."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import FINISHED
from recorded import weights_of

from mlproject.run.context import RunResult
from mlproject.store import connect

KERAS_JSON = {
    "floatx": "float16",
    "image_data_format": "channels_first",
    "epsilon": 0.01,
    "backend": "torch",
}
STRANGE = {
    "LC_ALL": "C",
    "TZ": "Asia/Kathmandu",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",  # as a notebook's shell has it
    "JAX_ENABLE_X64": "1",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "KERAS_MAX_EPOCHS": "1",
    "COLUMNS": "20",
    "NO_COLOR": "1",
}
COMPILE = """
import resource
from mlproject.system.startup import prepare_keras
prepare_keras("jax")
import jax
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))  # what a full disk does, at a known place
print(jax.jit(lambda x: x * 2)(21))
"""


def test_a_strange_shell_home_and_folder_train_the_same_weights(
    workplace: Path, migrated_store: Path, finished: tuple[Path, RunResult]
) -> None:
    strange, home = workplace / "elsewhere é" / "two words", workplace / "home"
    for folder in (strange, home / ".keras"):
        folder.mkdir(parents=True)
    shutil.copy(migrated_store, strange / "mlflow.db")
    (home / ".keras" / "keras.json").write_text(json.dumps(KERAS_JSON))
    environment = os.environ | STRANGE | {"HOME": str(home)}
    for name in ("KERAS_HOME", "MLFLOW_TRACKING_URI", "JAX_COMPILATION_CACHE_DIR"):
        environment.pop(name, None)
    arguments = [part for key, value in FINISHED.items() for part in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "mlproject", "train", "--quiet", *arguments]
    for folder in (home / ".keras", home):
        folder.chmod(0o555)
    try:
        subprocess.run(command, check=True, cwd=strange, env=environment)
    finally:
        home.chmod(0o755)
    there, here = (connect(f"sqlite:///{folder}/mlflow.db") for folder in (finished[0], strange))
    [run] = here.client.search_runs([one.experiment_id for one in here.client.search_experiments()])
    assert run.info.status == "FINISHED"
    plain = weights_of(there, finished[1].run_id, workplace / "plain")
    other = weights_of(here, run.info.run_id, workplace / "other")
    assert plain.keys() == other.keys()
    assert {array.dtype.name for array in other.values()} == {"float32"}
    assert all(np.array_equal(plain[name], other[name]) for name in plain)


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_an_entry_that_cannot_be_written_is_left_out_without_a_warning(tmp_path: Path) -> None:
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert (done.stdout.split(), done.stderr) == (["42"], "")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    limitless = COMPILE.replace("(500, 500)", "(-1, -1)")
    subprocess.run([sys.executable, "-c", limitless], check=True, env=environment)
    assert list((tmp_path / "cache").glob("processor-*/*-program"))
