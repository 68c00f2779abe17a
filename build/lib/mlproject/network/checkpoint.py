"""The state of a training in one HDF5 file: named arrays in groups, and the training's identity.

The file ends with its SHA-256. The previous state is kept beside it, and a training is resumed from
the previous state if the last one is damaged.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlproject.system.errors import UserError
from mlproject.system.files import atomic_hdf5, check_seal

if TYPE_CHECKING:
    import h5py

Arrays = Mapping[str, np.ndarray]


class TrainingState(NamedTuple):
    """The data from which a training is resumed.

    Attributes:
        weights: the network's weights after the last epoch, by name.
        best: the weights of the best epoch so far.
        optimizer: the optimizer's variables.
        history: one JSON object for each epoch.
    """

    weights: Arrays
    best: Arrays
    optimizer: Arrays
    history: list[dict[str, Any]]


GROUPS = ("weights", "best", "optimizer")


def earlier(path: Path) -> Path:
    """Return the path of the previous state."""
    return path.with_name(f"{path.stem}.before{path.suffix}")


def usable(path: Path) -> Path:
    """Return `path`, or `earlier(path)` where `path` is missing or damaged.

    Raises:
        UserError: both are missing or damaged.
    """
    try:
        check_seal(path)
        return path
    except UserError as error:
        try:
            check_seal(earlier(path))
        except UserError:
            raise UserError(
                f"a training must have an intact saved state: {error}, and no earlier one exists; "
                "start a new training"
            ) from error
        return earlier(path)


def write(path: Path, state: TrainingState, owner: Mapping[str, Any]) -> None:
    """Write a state atomically.

    Args:
        path: the file; an existing one is moved to `earlier(path)`.
        state: the arrays and the history.
        owner: identity of the training, flat JSON values; `read` refuses any other.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    with atomic_hdf5(path, keep=earlier(path), sealed=True) as file:
        for group in GROUPS:
            for name, values in getattr(state, group).items():
                file[f"{group}/{name}"] = values
        file["history"] = json.dumps(state.history)
        file.attrs["owner"] = json.dumps(dict(owner))


def read(path: Path, owner: Mapping[str, Any]) -> TrainingState:
    """Read the state that `write` wrote for the same training.

    Raises:
        UserError: the file is missing, damaged, or of another training; the message gives the first
            difference.
    """
    with _opened(path) as file:
        _check_owner(file, path, owner)
        history = _history(file)
        weights, best, optimizer = (_arrays(file[group]) for group in GROUPS)
    return TrainingState(weights, best, optimizer, history)


def check_owner(path: Path, owner: Mapping[str, Any]) -> None:
    """Raise a `UserError` if a state is damaged, or belongs to another training than `owner`."""
    with _opened(path) as file:
        _check_owner(file, path, owner)


def _check_owner(file: "h5py.File", path: Path, owner: Mapping[str, Any]) -> None:
    found = dict(json.loads(file.attrs["owner"]))
    for key in [*owner, *found]:
        if owner.get(key) != found.get(key):
            raise UserError(
                f"a saved state must be of the same training: {path} has {key}={found.get(key)}, "
                f"this one {key}={owner.get(key)}; make them equal, or start a new training"
            )


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the history of a state of any training.

    Raises:
        UserError: the file is missing or damaged.
    """
    with _opened(path) as file:
        return _history(file)


def _history(file: "h5py.File") -> list[dict[str, Any]]:
    history: list[dict[str, Any]] = json.loads(file["history"][()])
    if not isinstance(history, list) or not all(isinstance(epoch, dict) for epoch in history):
        raise ValueError("a history is a list of epochs")
    return history


@contextmanager
def _opened(path: Path) -> Iterator["h5py.File"]:
    from mlproject.system.hdf5 import hdf5_opened

    if not path.is_file():
        raise UserError(f"a training must have a saved state to resume from: {path} does not exist")
    check_seal(path)
    with hdf5_opened(path, "a saved state must be readable, else start a new training") as file:
        yield file


def _arrays(group: Any) -> dict[str, np.ndarray]:
    import h5py

    from mlproject.system.hdf5 import read_array

    arrays: dict[str, np.ndarray] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = read_array(item)

    group.visititems(visit)
    return arrays
