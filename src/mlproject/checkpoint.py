"""The state of a training in one HDF5 file: named arrays in groups, and what they belong to."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlproject.errors import UserError
from mlproject.files import hdf5_written_whole

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


def write(path: Path, state: State, owner: Mapping[str, Any]) -> None:
    """Write a state, whole or not at all.

    Args:
        path: the file; an older state of that name is replaced.
        state: the arrays and the history.
        owner: what the training is, flat JSON values; `read` refuses another one.

    Raises:
        UserError: the folder cannot be written, the disk is full.
    """
    with hdf5_written_whole(path) as file:
        for group in GROUPS:
            for name, values in getattr(state, group).items():
                file[f"{group}/{name}"] = values
        file["history"] = json.dumps(state.history)
        file.attrs["owner"] = json.dumps(dict(owner))


def read(path: Path, owner: Mapping[str, Any]) -> State:
    """Read the state that `write` wrote for the same training.

    Raises:
        UserError: no such file, cut short, or of another training (the first difference is named).
    """
    with _opened(path) as file:
        found = json.loads(file.attrs["owner"])
        history = json.loads(file["history"][()])
        weights, best, optimizer = (_arrays(file[group]) for group in GROUPS)
    for key in [*owner, *found]:
        if owner.get(key) != found.get(key):
            raise UserError(
                f"a saved state must be of the same training: {path} has {key}={found.get(key)}, "
                f"this one {key}={owner.get(key)}; make them equal, or start anew"
            )
    return State(weights, best, optimizer, history)


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the history of a state, whatever training it belongs to.

    Raises:
        UserError: no such file, or cut short.
    """
    with _opened(path) as file:
        history: list[dict[str, Any]] = json.loads(file["history"][()])
    return history


@contextmanager
def _opened(path: Path) -> Iterator["h5py.File"]:
    import h5py

    if not path.is_file():
        raise UserError(f"a training must have a saved state to go on from: {path} does not exist")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UserError(
            f"a saved state must be readable: {path} is cut short or no state; start anew"
        ) from error


def _arrays(group: Any) -> dict[str, np.ndarray]:
    import h5py

    arrays: dict[str, np.ndarray] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    group.visititems(visit)
    return arrays
