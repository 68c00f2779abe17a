"""From a model and data to trained weights and their history.

All random numbers depend on (seed, epoch) only, and the state is saved after each epoch. A resumed
training ends with the same weights as an uninterrupted one, bit by bit on the CPU of one machine.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras

from mlproject.data import Split
from mlproject.network import backend
from mlproject.network.averages import assign
from mlproject.network.protocol import Epoch, kept, reason_to_stop
from mlproject.network.trainer import Training
from mlproject.network.training_state import assign_saved, check_version
from mlproject.spec import RunSpec


class Fit(NamedTuple):
    """The result of a training.

    Attributes:
        history: all epochs, including those before a resumption.
        best_epoch: the epoch of the model's weights; 0 without a finished epoch.
        best_value: the monitored value of that epoch; NaN without a finished epoch.
        stopped: ``epochs``, ``patience`` or ``interrupted``.
    """

    history: list[Epoch]
    best_epoch: int
    best_value: float
    stopped: str


def fit(
    model: keras.Model,
    spec: RunSpec,
    train: Split,
    valid: Split,
    *,
    state_path: Path,
    task: str = "binary",
    resume: bool = False,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_fault: Callable[[str], None] = lambda element: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Fit:
    """Train a model, and load the weights of its best epoch into it.

    If the device corrupts the state, see `mlproject.network.guard`, the epoch is discarded and
    repeated once from the state before it.

    Args:
        model: as `mlproject.network.build.build` returns it for `spec`.
        spec: the protocol. A resumed training may differ in `epochs` only.
        train: the training split, in another order each epoch. With `spec.augment`, each sequence
            is reverse-complemented with a probability of one half.
        valid: the validation split; the best `spec.monitor` on it gives the best epoch.
        state_path: HDF5 file, written at the start and after each epoch.
        task: of the data.
        resume: continue from `state_path`; the model's weights are replaced.
        on_epoch: called after each new epoch, once its state is saved.
        on_fault: called with the corrupted element after a device fault.
        should_stop: called before each batch; true discards the unfinished epoch.

    Raises:
        UserError: the loss is not finite or too large; the device corrupts an epoch twice (the
            state before that epoch is kept); `state_path` cannot be written or resumed from; or
            `spec` has another version of the training code.
    """
    check_version(spec)
    backend.prepare()
    training = Training(model, spec, train, valid, state_path, should_stop, on_fault, task=task)
    if resume:
        training.resume()
    else:
        training.save()
    while (stopped := reason_to_stop(training.history, spec)) is None:
        if not training.epoch():
            stopped = "interrupted"
            break
        on_epoch(training.history[-1])
    if spec.weights == "best":
        assign_saved(model.weights, training.best, state_path)
    else:
        assign(model, training.last_measured())
    if not training.history:
        return Fit([], 0, math.nan, stopped)
    winner = kept(training.history, spec)
    return Fit(training.history, winner.epoch, winner.values[spec.monitor], stopped)
