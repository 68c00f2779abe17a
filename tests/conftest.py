"""What several test files need: an environment of their own, a tracking store, small specs.

Nothing that a user's shell or home folder sets may change what a test sees; what has to hold under
such settings is tested on purpose, in test_surroundings.py.
"""

import atexit
import json
import os
import shutil
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mlproject.run.context import RunResult

SETTINGS = (
    *("MLFLOW_", "KERAS_", "JAX_", "XLA_", "TF_", "MPL", "DASK_", "OPTUNA_", "XDG_", "GIT_"),
    *("PYTHONWARNINGS", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_", "CLICOLOR"),
    *("OMP_NUM_", "OPENBLAS_NUM_", "MKL_NUM_", "NPROC"),
)


def _own_environment() -> None:
    """Leave the user's settings out, and take a new home folder with a compilation cache in it.

    XLA takes seconds for each training step without a cache of compiled programs. All workers of
    pytest-xdist and the processes that tests start share one, as the workers of a sweep do.
    """
    backend = os.environ.get("KERAS_BACKEND")
    platform = os.environ.get("JAX_PLATFORMS")
    for name in [name for name in os.environ if name.upper().startswith(SETTINGS)]:
        del os.environ[name]
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ["MLPROJECT_TESTS"] = tempfile.mkdtemp(prefix="mlproject-tests-")
        atexit.register(shutil.rmtree, os.environ["MLPROJECT_TESTS"], ignore_errors=True)
    root = Path(os.environ["MLPROJECT_TESTS"])
    home = root / os.environ.get("PYTEST_XDIST_WORKER", "main")
    home.mkdir(exist_ok=True)
    os.environ |= {
        "KERAS_BACKEND": backend if backend in ("tensorflow", "jax") else "jax",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "PYTHONUSERBASE": site.getuserbase(),
        "HOME": str(home),
        "USERPROFILE": str(home),
        "KERAS_HOME": str(home / "keras"),
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": str(root / "matplotlib"),
        "JAX_COMPILATION_CACHE_DIR": str(root / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    if platform == "cpu":  # said where a GPU is there and is not to be used
        os.environ["JAX_PLATFORMS"] = platform
    if os.environ["KERAS_BACKEND"] == "jax":
        from mlproject.system.program_cache import keep_programs

        keep_programs()  # before the first test compiles: JAX's own cache is not safe to share
    if "PYTEST_XDIST_WORKER" not in os.environ:
        import matplotlib.font_manager  # noqa: F401, makes its cache before anybody waits for it


_own_environment()

PATIENCE = 3600.0  # seconds; ends what hangs, never what is slow

TINY = {
    "sequences": 600,
    "filters1": 6,
    "filters2": 8,
    "units": 16,
    "epochs": 2,
    "length": 150,
    "learning_rate": 0.01,
}
FINISHED = TINY | {"attributions": "saliency", "attributed": 6}  # of the fixture `finished`


def made_once(name: str, make: Callable[[Path], str]) -> tuple[Path, str]:
    """Return a folder that all workers of pytest-xdist share, and the text that `make` returned.

    The first worker that asks makes it, the others wait.
    """
    folder = Path(os.environ["MLPROJECT_TESTS"]) / name
    made, failed = folder / "made.txt", folder / "failed.txt"
    try:
        folder.mkdir()
    except FileExistsError:
        until = time.monotonic() + PATIENCE
        while not made.exists():
            if failed.exists() or time.monotonic() > until:
                raise AssertionError(f"another worker has not made {name}") from None
            time.sleep(0.1)
    else:
        try:
            (folder / "part.txt").write_text(make(folder))
        except BaseException:
            failed.touch()
            raise
        (folder / "part.txt").rename(made)
    return folder, made.read_text()


def _store_restored() -> Iterator[None]:
    """Undo what `connect` leaves in the process: MLflow's variables and its tracking store."""
    before = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
    yield
    if "mlflow" in sys.modules:
        sys.modules["mlflow"].set_tracking_uri(before.get("MLFLOW_TRACKING_URI", ""))
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        del os.environ[name]
    os.environ |= before


store_of_test = pytest.fixture(autouse=True)(_store_restored)
store_of_module = pytest.fixture(autouse=True, scope="module")(_store_restored)


@pytest.fixture(scope="session")
def migrated_store() -> Path:
    """An empty SQLite store with all tables, which take MLflow seconds to make."""
    from mlproject.store import connect

    def make(folder: Path) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("MLFLOW_TRACKING_URI", "")
            connect(f"sqlite:///{folder / 'mlflow.db'}")
        return ""

    return made_once("store", make)[0] / "mlflow.db"


@pytest.fixture(scope="session")
def finished(migrated_store: Path) -> tuple[Path, "RunResult"]:
    """A small run from end to end, `FINISHED`, and the folder with its store: for reading only."""
    from recorded import inside

    from mlproject.architectures import make_spec
    from mlproject.run.context import Settings
    from mlproject.run.run import RunResult, run

    def make(folder: Path) -> str:
        with inside(folder, migrated_store):
            return json.dumps(run(make_spec(FINISHED), Settings(quiet=True))._asdict())

    folder, content = made_once("finished", make)
    return folder, RunResult(**json.loads(content))


@pytest.fixture
def tracked(
    finished: tuple[Path, "RunResult"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, "RunResult"]:
    """The run of `finished`, whose store commands in the new current folder use."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{finished[0]}/mlflow.db")
    return finished


@pytest.fixture
def jax_settings() -> Iterator[Callable[[str, object], None]]:
    """A function that changes a setting of JAX until the end of the test."""
    import jax

    before = dict(jax.config.values)
    yield jax.config.update
    for name, value in before.items():
        if jax.config.values[name] != value:
            jax.config.update(name, value)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that a test starts; they and their descendants are killed at its end."""
    from sweep_processes import end_tree

    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        end_tree(process.pid)
        process.communicate()


@pytest.fixture
def workplace(tmp_path: Path, migrated_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with a tracking store in it, as a user's checkout has one."""
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return tmp_path
