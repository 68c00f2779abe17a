"""Small valid files in HDF5 and MATLAB 5, of which the fuzzer changes one."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from seeds import LENGTH, Files

CLASSES = ("SRF", "YY1")
COUNTS = (("train", 9), ("valid", 3), ("test", 4))
OWNER = {"train_sha256": "0" * 64, "version": 1}


def written(make: Callable[[Path], None]) -> Callable[[], Files]:
    """Return what gives the HDF5 file that `make` writes."""

    def files() -> Files:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.h5"
            make(path)
            return {"a.h5": path.read_bytes()}

    return files


def own(path: Path) -> None:
    """Write a data set file with everything that it can have."""
    from mlproject.data.dataset import make_dataset
    from mlproject.data.split import SITE, Split
    from mlproject.data.writing import write
    from mlproject.motifs.pwm import Motif

    rng = np.random.default_rng(0)
    splits = {
        name: Split(
            rng.integers(0, 5, (count, LENGTH), np.uint8),
            rng.integers(0, 2, (count, 2), np.uint8),
            np.array([(0, 1, 3, 0, 1), (count - 1, 8, 3, 0, -1)], SITE),
        )
        for name, count in COUNTS
    }
    motif = Motif("MA0083.3", "SRF", np.eye(4)[[0, 2, 3]], 20.0)
    write(make_dataset(splits, CLASSES, {"SRF": ["MA0083"]}, [motif], {"files": {}}), path)


def plain(path: Path) -> None:
    """Write a data set file as docs/data.md has it: without a hash; packed."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for name, count in COUNTS:
            codes = rng.integers(0, 4, (count, LENGTH), np.uint8)
            file.create_dataset(f"{name}/codes", data=codes, compression="gzip")
            file[f"{name}/labels"] = rng.integers(0, 2, (count, 2), np.uint8)
        file.attrs["classes"] = json.dumps(CLASSES)


def released(path: Path, letters_last: bool = False) -> None:
    """Write one-hot sequences, in the layout of the paper's authors or of others."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for name, count in COUNTS:
            x = np.eye(4, dtype=np.float32)[rng.integers(0, 4, (count, LENGTH))]
            file[f"X_{name}"] = x if letters_last else x.transpose(0, 2, 1)
            file[f"Y_{name}"] = rng.integers(0, 2, (count, 2)).astype(np.float32)


def bundle(changed: str, matlab5: bool) -> Callable[[], Files]:
    """Return what gives DeepSEA's three files, the one to change first."""

    def files() -> Files:
        rng = np.random.default_rng(0)
        found = {}
        with tempfile.TemporaryDirectory() as folder:
            for split, count in COUNTS:
                path = Path(folder) / f"{split}.mat"
                x = np.eye(4, dtype=np.uint8)[rng.integers(0, 4, (count, LENGTH))]
                y = np.ones((count, 3), np.uint8)
                if split == changed and matlab5:
                    arrays = {f"{split}xdata": x.transpose(0, 2, 1), f"{split}data": y}
                    scipy.io.savemat(path, arrays)
                else:
                    with h5py.File(path, "w", userblock_size=512) as file:
                        x = x.transpose(1, 2, 0)
                        file.create_dataset(f"{split}xdata", data=x, compression="gzip")
                        file[f"{split}data"] = y.T
                found[path.name] = path.read_bytes()
        return {f"{changed}.mat": found.pop(f"{changed}.mat"), **found}

    return files


def attributions(path: Path) -> None:
    """Write attributions of three sequences."""
    from mlproject.attribution.files import write_attributions
    from mlproject.attribution.methods import Attributions

    rng = np.random.default_rng(0)
    rows = np.arange(3)
    codes = rng.integers(0, 5, (3, LENGTH), np.uint8)
    scores = rng.normal(size=(3, LENGTH, 4)).astype(np.float32)
    write_attributions(path, Attributions("saliency", rows, rows % 2, codes, scores), CLASSES)


def state(path: Path) -> None:
    """Write the state of a training."""
    from mlproject.network.checkpoint import TrainingState, write

    arrays = {"conv1/kernel": np.ones((3, 4, 2), np.float32), "conv1/bias": np.ones(2, np.float32)}
    write(
        path, TrainingState(arrays, arrays, arrays, [{"epoch": 1, "values": {"loss": 0.5}}]), OWNER
    )
