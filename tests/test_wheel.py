"""The wheel: it installs, brings its data files and the command, and works outside a checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a new environment that has this project's wheel.

    The packages that it requires come from the environment of the tests.
    """
    root = tmp_path_factory.mktemp("wheel")
    copy = root / "source"  # setuptools leaves files in the folder that it builds in
    shutil.copytree(
        ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = ["wheel", "--no-deps", "--wheel-dir", str(root), str(copy)]
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *build], check=True)
    (wheel,) = root.glob("mlproject-*.whl")
    venv.create(root / "env", with_pip=False)
    place = Path(sysconfig.get_path("purelib", vars={"base": str(root / "env")}))
    options = ["--quiet", "--no-deps", "--no-index", "--target", str(place), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options], check=True)
    others = [path for path in sys.path if path.endswith("site-packages")]
    (place / "packages.pth").write_text("\n".join(others))
    return root / "env" / ("Scripts" if os.name == "nt" else "bin")


def run(installed: Path, folder: Path, *words: str) -> str:
    """Run Python of the environment in another folder and return its output."""
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHONPATH", "MLFLOW"))
    }
    done = subprocess.run(
        [installed / "python", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_the_wheel_brings_the_command_and_its_data_files(installed: Path, tmp_path: Path) -> None:
    lists = "import importlib.metadata as m; print([*m.entry_points(name='mlproject')][0].value)"
    assert run(installed, tmp_path, "-c", lists).strip() == "mlproject.__main__:main"
    where = run(installed, tmp_path, "-c", "import mlproject; print(mlproject.__file__)")
    assert str(installed.parent) in where
    help_text = run(installed, tmp_path, "-m", "mlproject", "--help")
    assert "train" in help_text
    files = (
        "from mlproject.report.papers.reading import *; print(read_paper(paper_names()[1]).title)"
    )
    assert "Koo & Ploenzke 2021" in run(installed, tmp_path, "-c", files)
    out = run(installed, tmp_path, "-m", "mlproject", "train", "--help")
    assert "--pool1" in out
