"""The state of a training in one HDF5 file: named arrays in groups, and what they belong to.

The file ends with its SHA-256, and the state before the last is kept beside it: a damaged file is
never gone on from, the one before it is.
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


class State(NamedTuple):
    """What a training goes on from.

    Attributes:
        weights: the network's weights after the last epoch, by name.
        best: the weights of the best epoch so far.
        optimizer: the optimizer's variables.
        history: one JSON object an epoch.
    """

    weights: Arrays
    best: Arrays
    optimizer: Arrays
    history: list[dict[str, Any]]


GROUPS = ("weights", "best", "optimizer")


def earlier(path: Path) -> Path:
    """Return where the state before the last is kept."""
    return path.with_name(f"{path.stem}.before{path.suffix}")


def usable(path: Path) -> Path:
    """Return `path`, or `earlier(path)` where `path` is missing or damaged.

    Raises:
        UserError: neither can be used.
    """
    try:
        check_seal(path)
        return path
    except UserError as error:
        try:
            check_seal(earlier(path))
        except UserError:
            raise UserError(
                f"a training must have a saved state that is whole: {error}, and there is no "
                "earlier one; start anew"
            ) from error
        return earlier(path)


def write(path: Path, state: State, owner: Mapping[str, Any]) -> None:
    """Write a state, whole or not at all.

    Args:
        path: the file; an older state of that name becomes `earlier(path)`.
        state: the arrays and the history.
        owner: what the training is, flat JSON values; `read` refuses another one.

    Raises:
        UserError: the folder cannot be written, the disk is full.
    """
    with atomic_hdf5(path, keep=earlier(path), sealed=True) as file:
        for group in GROUPS:
            for name, values in getattr(state, group).items():
                file[f"{group}/{name}"] = values
        file["history"] = json.dumps(state.history)
        file.attrs["owner"] = json.dumps(dict(owner))


def read(path: Path, owner: Mapping[str, Any]) -> State:
    """Read the state that `write` wrote for the same training.

    Raises:
        UserError: no such file, damaged, or of another training (the first difference is named).
    """
    with _opened(path) as file:
        _check_owner(file, path, owner)
        history = _history(file)
        weights, best, optimizer = (_arrays(file[group]) for group in GROUPS)
    return State(weights, best, optimizer, history)


def check_owner(path: Path, owner: Mapping[str, Any]) -> None:
    """Raise a `UserError` where a state is damaged, or is not of the training `owner`."""
    with _opened(path) as file:
        _check_owner(file, path, owner)


def _check_owner(file: "h5py.File", path: Path, owner: Mapping[str, Any]) -> None:
    found = dict(json.loads(file.attrs["owner"]))
    for key in [*owner, *found]:
        if owner.get(key) != found.get(key):
            raise UserError(
                f"a saved state must be of the same training: {path} has {key}={found.get(key)}, "
                f"this one {key}={owner.get(key)}; make them equal, or start anew"
            )


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the history of a state, whatever training it belongs to.

    Raises:
        UserError: no such file, or damaged.
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
        raise UserError(f"a training must have a saved state to go on from: {path} does not exist")
    check_seal(path)
    with hdf5_opened(path, "a saved state must be readable, else start anew") as file:
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
