"""From a model and data to trained weights and their history.

All random numbers depend on (seed, epoch) only, and the state is saved after each epoch. A resumed
training ends with the same weights as an uninterrupted one, bit by bit on the CPU of one machine.
"""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from mlproject.data import Split
from mlproject.fields import TRAINING_VERSION, VALUES, Group
from mlproject.network import backend, checkpoint, fast_pass
from mlproject.network.averages import assign, measured_statistics
from mlproject.network.build import Predictor, predictor
from mlproject.network.epoch import seed_dropout, train_epoch
from mlproject.network.guard import DeviceFaultError
from mlproject.network.inputs import make_attack, make_inputs
from mlproject.network.loss import make_loss
from mlproject.network.protocol import (
    Epoch,
    fine_tuned,
    improves,
    is_scheduled,
    kept,
    learning_rate,
    make_optimizer,
    reason_to_stop,
)
from mlproject.network.steps import make_steps
from mlproject.network.tasks import data_loss, validation_scores
from mlproject.sequence import one_hot
from mlproject.spec import RunSpec, without_later_defaults
from mlproject.system.errors import UserError

LARGEST_LOSS = 1000.0  # cross-entropy is at most 16 nats; the rest is the L2 term of wild weights
CHECKED, CHECKED_TOLERANCE = (
    100,
    1e-3,
)  # sequences; the error of float32 through four layers is about 1e-5


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
        _assign(model.weights, training.best, state_path)
    else:
        assign(model, training.last_measured())
    if not training.history:
        return Fit([], 0, math.nan, stopped)
    winner = kept(training.history, spec)
    return Fit(training.history, winner.epoch, winner.values[spec.monitor], stopped)


class Tools(NamedTuple):
    """What is compiled for a training, and its optimizer.

    Attributes:
        optimizer: built on the model's weights.
        steps: compiled steps of the model; None if several models are trained together.
        scores: scores of validation sequences.
        check: check of these scores against those of the CPU.
    """

    optimizer: keras.optimizers.Optimizer
    steps: Any
    scores: Predictor
    check: Callable[[np.ndarray], None]

    @classmethod
    def of(
        cls, model: keras.Model, spec: RunSpec, train: Split, valid: Split, task: str
    ) -> "Tools":
        """Return the tools of a single training."""
        optimizer = built_optimizer(spec, model)
        scores, _ = fast_pass.choose(model)
        loss = make_loss(spec, train.labels, task)
        attack = make_attack(spec, model, loss)
        steps = make_steps(model, optimizer, scores, loss, make_inputs(spec), attack)
        check = score_check(valid, backend.host_forward(model), task)
        return cls(optimizer, steps, predictor(model), check)


def built_optimizer(spec: RunSpec, model: keras.Model) -> keras.optimizers.Optimizer:
    """Return the optimizer of a protocol, built on the weights of a model."""
    optimizer = make_optimizer(spec)
    optimizer.build(model.trainable_variables)
    return optimizer


class Training:
    """A running training: the model, its optimizer, its history, the best weights so far."""

    def __init__(
        self,
        model: keras.Model,
        spec: RunSpec,
        train: Split,
        valid: Split,
        state_path: Path,
        should_stop: Callable[[], bool],
        on_fault: Callable[[str], None],
        tools: Tools | None = None,
        task: str = "binary",
    ) -> None:
        self._task = task
        self.model, self.spec, self.train, self.valid = model, spec, train, valid
        self.history: list[Epoch] = []
        self.best: checkpoint.Arrays = _values(model.weights)
        self._measured: dict[str, np.ndarray] = {}
        self._should_stop, self._on_fault = should_stop, on_fault
        self._path, self._owner = state_path, _owner(spec, train, valid, task)
        tools = tools or Tools.of(model, spec, train, valid, task)
        self._optimizer, self._steps = tools.optimizer, tools.steps
        self._scores, self._check = tools.scores, tools.check

    def resume(self) -> None:
        """Load the saved state."""
        state = self._restore()
        self.history = [Epoch(**row) for row in state.history]
        _check_epochs(len(self.history), self.spec)
        self.best = state.best

    def save(self) -> None:
        """Write the state."""
        values = (_values(self.model.weights), self.best, _values(self._optimizer.variables))
        history = [one._asdict() for one in self.history]
        checkpoint.write(self._path, checkpoint.TrainingState(*values, history), self._owner)

    def epoch(self) -> bool:
        """Train, validate and save one more epoch; return False if it is interrupted."""
        number, started = self.begin(), time.perf_counter()
        kernels = kernels_of(self.model)
        try:
            found = self._train_and_score(number)
        except DeviceFaultError as fault:
            found = self._repeat(fault, number)
        if found is None:
            return False
        self.record(*found, kernels, time.perf_counter() - started)
        return True

    def begin(self) -> int:
        """Set learning rate and random generators of the next epoch; return its number."""
        number = len(self.history) + 1
        if fine_tuned(self.history, self.spec) == 0:
            self._start_fine_tuning()
        if is_scheduled(self.spec):
            self._optimizer.learning_rate.assign(learning_rate(self.history, self.spec))
        seed_dropout(self.model, self.spec.seed, number)
        return number

    @property
    def epoch_spec(self) -> RunSpec:
        """The spec of the next epoch: without augmentations in fine-tuning."""
        if fine_tuned(self.history, self.spec) is None:
            return self.spec
        return self.spec.model_copy(update={"augment": "none", "shift": 0})

    def _start_fine_tuning(self) -> None:
        """Go back to the best weights and forget the optimizer's moments."""
        _assign(self.model.weights, self.best, self._path)
        for one in self._optimizer.variables:
            if one is not self._optimizer._learning_rate:
                one.assign(np.zeros(one.shape, one.dtype))

    def score(self) -> np.ndarray:
        """Return the validation scores.

        Raises:
            DeviceFaultError: they differ from those of the CPU.
        """
        self._measured = self._measure(len(self.history) + 1)
        raw = _values([one for one in self.model.weights if one.path in self._measured])
        assign(self.model, self._measured)
        try:
            predicted = self._scores(self.valid.codes)
            self._check(predicted)
        finally:
            assign(self.model, raw)
        return predicted

    def evaluated(self) -> checkpoint.Arrays:
        """Return the weights with which the network was validated, and which a run keeps."""
        return _values(self.model.weights) | self._measured

    def last_measured(self) -> dict[str, np.ndarray]:
        """Return the statistics of batch norm for the last weights, also after a resumption."""
        return self._measured or (self._measure(len(self.history)) if self.history else {})

    def _measure(self, epoch: int) -> dict[str, np.ndarray]:
        """Return the statistics of batch norm that replace its averages, {} if none do."""
        if self.spec.bn_averages == "moving":
            return {}
        seed_dropout(self.model, self.spec.seed, epoch)
        return measured_statistics(self.model, self.train.codes, self.spec.batch_size)

    def record(
        self, loss: float, predicted: np.ndarray, kernels: Mapping[str, np.ndarray], seconds: float
    ) -> None:
        """Add an epoch to the history and save the state.

        Args:
            loss: training loss of the epoch.
            predicted: validation scores after it.
            kernels: the kernels before it.
            seconds: its duration.

        Raises:
            UserError: the loss is not finite or too large.
        """
        spec, number = self.spec, len(self.history) + 1
        labels = np.asarray(self.valid.labels)
        values = {"train_loss": loss, **self._validate(predicted, labels)}
        if is_scheduled(spec):
            values["learning_rate"] = learning_rate(self.history, spec)
        most = math.inf if self._task in VALUES else LARGEST_LOSS
        if not all(map(math.isfinite, values.values())) or loss > most:
            raise UserError(
                f"the loss must stay finite and below {most:g}: it is {loss:g} after epoch "
                f"{number} with learning_rate={spec.learning_rate}; try a smaller rate"
            )
        improved = improves(values[spec.monitor], self.history, spec)
        weights = _weight_summary(kernels, kernels_of(self.model))
        self.history.append(Epoch(number, values, seconds, improved, weights))
        if improved:
            self.best = self.evaluated()
        self.save()

    def _validate(self, scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Return the validation losses and scores of an epoch by name."""
        spec, task = self.spec, self._task
        loss = data_loss(labels, scores, task, spec.loss)
        penalty = sum(float(one) for one in self.model.losses)
        values = {"val_loss": loss + penalty}
        if task not in VALUES:
            values["val_cross_entropy"] = loss
        if math.isfinite(loss):
            values |= validation_scores(labels, scores, task, spec.monitor)
        return values

    def _train_and_score(self, number: int) -> tuple[float, np.ndarray] | None:
        """Return the training loss and the validation scores, None if interrupted."""
        loss = train_epoch(self._steps, self.train, self.epoch_spec, number, self._should_stop)
        return None if loss is None else (loss, self.score())

    def _repeat(self, fault: DeviceFaultError, number: int) -> tuple[float, np.ndarray] | None:
        self.go_back(fault)
        try:
            return self._train_and_score(number)
        except DeviceFaultError as again:
            self._on_fault(again.element)
            raise corrupted(again, number, self.spec) from again

    def go_back(self, fault: DeviceFaultError) -> None:
        """Report a fault and return to the state before the epoch that it has corrupted."""
        self._on_fault(fault.element)
        self._restore()
        self.begin()

    def _restore(self) -> checkpoint.TrainingState:
        state = checkpoint.read(self._path, self._owner)
        _assign(self.model.weights, state.weights, self._path)
        _assign(self._optimizer.variables, state.optimizer, self._path)
        return state


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
    checkpoint.check_owner(path, _owner(spec, train, valid, task))
    _check_epochs(len(checkpoint.read_history(path)), spec)


def _check_epochs(trained: int, spec: RunSpec) -> None:
    if trained > spec.all_epochs:
        raise UserError(
            f"`epochs` must be at least the {trained} epochs already trained: got {spec.epochs}"
        )


def score_check(
    valid: Split, reference: backend.Forward, task: str = "binary"
) -> Callable[[np.ndarray], None]:
    """Return a check of an accelerator's validation scores against those of the CPU.

    Args:
        valid: the validation split.
        reference: the forward pass on the CPU.
        task: of the data.
    """
    if backend.on_processor() or not len(valid.codes):
        return lambda scores: None
    codes, labels = valid.codes[:CHECKED], np.asarray(valid.labels[:CHECKED])

    def check(scores: np.ndarray) -> None:
        wanted = data_loss(labels, reference(one_hot(codes)), task)
        found = data_loss(labels, scores[:CHECKED], task)
        if not abs(found - wanted) <= CHECKED_TOLERANCE * (1 + abs(wanted)):
            raise DeviceFaultError(
                f"the loss of a fixed batch, {found:g} instead of {wanted:g}", math.isfinite(found)
            )

    return check


def corrupted(fault: DeviceFaultError, epoch: int, spec: RunSpec) -> UserError:
    """Return the error of a training whose epoch a device has corrupted twice."""
    if not fault.finite:
        return UserError(
            f"the loss must stay finite and below {LARGEST_LOSS:g}: {fault.element} is not finite "
            f"after epoch {epoch} with learning_rate={spec.learning_rate}; try a smaller rate"
        )
    return UserError(
        f"the device must compute reliably: it corrupted {fault.element} twice in epoch {epoch}; "
        "train on another device, such as the CPU (JAX_PLATFORMS=cpu)"
    )


def kernels_of(model: keras.Model) -> dict[str, np.ndarray]:
    """Return a copy of the kernel of each layer that has one."""
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    return {layer.name: backend.value(layer.kernel) for layer in layers}


def _weight_summary(
    before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]
) -> dict[str, float]:
    squares = {f"squares/{key}": float(np.vdot(one, one)) for key, one in after.items()}
    changes = {
        f"change/{key}": float(np.abs(one - before[key]).max()) for key, one in after.items()
    }
    return squares | changes


def _owner(spec: RunSpec, train: Split, valid: Split, task: str) -> dict[str, Any]:
    values = without_later_defaults(spec.flat(Group.NETWORK, Group.TRAINING))
    if spec.decay == "none" and not spec.fine_tune:
        del values["epochs"]
    shapes: dict[str, Any] = {"train": [*train.codes.shape], "valid": [*valid.codes.shape]}
    if task != "binary":
        shapes["task"] = task
    return {**values, **shapes, "classes": train.labels.shape[1], "backend": backend.name()}


def _values(variables: list[keras.Variable]) -> dict[str, np.ndarray]:
    return {one.path: backend.value(one) for one in variables}


def _assign(variables: list[keras.Variable], values: checkpoint.Arrays, path: Path) -> None:
    for variable in variables:
        value = values.get(variable.path)
        if value is None or value.shape != tuple(variable.shape):
            raise UserError(
                f"a saved state must have the network's variables: {path} lacks {variable.path} "
                f"of shape {tuple(variable.shape)}; start a new training"
            )
        variable.assign(value)
