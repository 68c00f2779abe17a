"""The state of a training: whose it is, the values of variables, and what a fault leaves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mlproject.data import Split
from mlproject.fields import TRAINING_VERSION, Group
from mlproject.network import backend, checkpoint
from mlproject.network.guard import DeviceFaultError
from mlproject.spec import RunSpec, without_later_defaults
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity

LARGEST_LOSS = 1000.0  # cross-entropy is at most 16 nats; the rest is the L2 term of wild weights


def check_version(spec: RunSpec) -> None:
    """Raise a `UserError` if a spec has another version of the training code."""
    if spec.training_version != TRAINING_VERSION:
        raise UserError(
            f"`training_version` must be {TRAINING_VERSION}, that of this program: got "
            f"{spec.training_version}; leave it out to train, or use the program of that version"
        )


def check_state(path: Path, spec: RunSpec, train: Split, valid: Split, task: str) -> None:
    """Raise a `UserError` if `fit` cannot resume from a state with these arguments."""
    check_version(spec)
    checkpoint.check_owner(path, owner(spec, train, valid, task))
    check_epochs(len(checkpoint.read_history(path)), spec)


def check_epochs(trained: int, spec: RunSpec) -> None:
    """Raise a `UserError` if more epochs are trained than a spec has."""
    if trained > spec.all_epochs:
        raise UserError(
            f"`epochs` must be at least the {quantity(trained, 'epoch')} already trained: "
            f"got {spec.epochs}"
        )


def corrupted(fault: DeviceFaultError, epoch: int, spec: RunSpec) -> UserError:
    """Return the error of a training whose epoch a device has corrupted twice."""
    if not fault.finite:
        return UserError(
            f"the loss must stay finite: {fault.element} is not finite "
            f"after epoch {epoch} with learning_rate={spec.learning_rate}; try a smaller rate"
        )
    return UserError(
        f"the device must compute reliably: it corrupted {fault.element} twice in epoch {epoch}; "
        "train on another device, such as the CPU (JAX_PLATFORMS=cpu)"
    )


def kernels_of(model: keras.Model) -> dict[str, np.ndarray]:
    """Return a copy of the kernels of each layer that has any, as one vector a layer."""
    found = {}
    for layer in model.layers:
        kernels = [one for one in layer.weights if one.name.endswith("kernel")]
        if kernels:
            found[layer.name] = np.concatenate([backend.value(one).ravel() for one in kernels])
    return found


def weight_summary(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Return the squares of each kernel, and its largest change in an epoch."""
    squares = {f"squares/{key}": float(np.vdot(one, one)) for key, one in after.items()}
    changes = {
        f"change/{key}": float(np.abs(one - before[key]).max()) for key, one in after.items()
    }
    return squares | changes


def owner(spec: RunSpec, train: Split, valid: Split, task: str) -> dict[str, Any]:
    """Return what must be the same for a training to be resumed from a state."""
    values = without_later_defaults(spec.flat(Group.NETWORK, Group.TRAINING))
    if spec.decay == "none" and not spec.fine_tune:
        del values["epochs"]
    shapes: dict[str, Any] = {"train": [*train.codes.shape], "valid": [*valid.codes.shape]}
    if task != "binary":
        shapes["task"] = task
    return {**values, **shapes, "classes": train.labels.shape[1], "backend": backend.name()}


def values_of(variables: list[keras.Variable]) -> dict[str, np.ndarray]:
    """Return copies of the values of variables by path."""
    return {one.path: backend.value(one) for one in variables}


def assign_saved(variables: list[keras.Variable], values: checkpoint.Arrays, path: Path) -> None:
    """Assign the values of the state at `path`; raise a `UserError` if it lacks a variable."""
    for variable in variables:
        value = values.get(variable.path)
        if value is None or value.shape != tuple(variable.shape):
            raise UserError(
                f"a saved state must have the network's variables: {path} lacks {variable.path} "
                f"of shape {tuple(variable.shape)}; start a new training"
            )
        variable.assign(value)
