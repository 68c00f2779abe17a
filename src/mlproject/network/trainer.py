"""A running training: epoch after epoch, with its state saved after each."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np

from mlproject.data import Split
from mlproject.fields import VALUES
from mlproject.network import checkpoint
from mlproject.network.averages import assign, measured_statistics
from mlproject.network.epoch import seed_dropout, train_epoch
from mlproject.network.guard import DeviceFaultError
from mlproject.network.protocol import Epoch, fine_tuned, improves, is_scheduled, learning_rate
from mlproject.network.tasks import data_loss, validation_scores
from mlproject.network.training_state import (
    LARGEST_LOSS,
    assign_saved,
    check_epochs,
    corrupted,
    kernels_of,
    owner,
    values_of,
    weight_summary,
)
from mlproject.network.training_tools import Tools
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError


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
        self.best: checkpoint.Arrays = values_of(model.weights)
        self._measured: dict[str, np.ndarray] = {}
        self._should_stop, self._on_fault = should_stop, on_fault
        self._path, self._owner = state_path, owner(spec, train, valid, task)
        tools = tools or Tools.of(model, spec, train, valid, task)
        self._optimizer, self._steps = tools.optimizer, tools.steps
        self._scores, self._check = tools.scores, tools.check

    def resume(self) -> None:
        """Load the saved state."""
        state = self._restore()
        self.history = [Epoch(**row) for row in state.history]
        check_epochs(len(self.history), self.spec)
        self.best = state.best

    def save(self) -> None:
        """Write the state."""
        values = (values_of(self.model.weights), self.best, values_of(self._optimizer.variables))
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
        assign_saved(self.model.weights, self.best, self._path)
        for one in self._optimizer.variables:
            if one is not self._optimizer._learning_rate:
                one.assign(np.zeros(one.shape, one.dtype))

    def score(self) -> np.ndarray:
        """Return the validation scores.

        Raises:
            DeviceFaultError: they differ from those of the CPU.
        """
        self._measured = self._measure(len(self.history) + 1)
        raw = values_of([one for one in self.model.weights if one.path in self._measured])
        assign(self.model, self._measured)
        try:
            predicted = self._scores(self.valid.codes)
            self._check(predicted)
        finally:
            assign(self.model, raw)
        return predicted

    def evaluated(self) -> checkpoint.Arrays:
        """Return the weights with which the network was validated, and which a run keeps."""
        return values_of(self.model.weights) | self._measured

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
        weights = weight_summary(kernels, kernels_of(self.model))
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
        assign_saved(self.model.weights, state.weights, self._path)
        assign_saved(self._optimizer.variables, state.optimizer, self._path)
        return state
