"""Model and data to trained weights and their history.

Everything random follows from (seed, epoch), and each epoch's end is saved: a training that was
interrupted goes on to the same weights, bit for bit on one machine's CPU, as one that was not.
"""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from mlproject import backend, checkpoint, training_pass
from mlproject.data import Split
from mlproject.dna import reverse_complement
from mlproject.errors import UserError
from mlproject.evaluation import mean_auroc
from mlproject.model import predictor, stream_seed
from mlproject.spec import (
    GENERATED_FIELDS,
    INTERPRETATION_FIELDS,
    TESTING_FIELDS,
    RunSpec,
    without_later_defaults,
)

SMALLEST_PROBABILITY = 1e-7  # Keras clips so as well
LARGEST_LOSS = 1000.0  # cross-entropy is at most 16 nats; the rest is the L2 term of wild weights
TURNED = 1  # the stream of random numbers that says which sequences are turned

_not_of_the_training = {
    "dataset",
    "epochs",
    *GENERATED_FIELDS,
    *INTERPRETATION_FIELDS,
    *TESTING_FIELDS,
}


class Epoch(NamedTuple):
    """One pass over the training split.

    Attributes:
        epoch: its number, from 1.
        values: `train_loss` and `val_loss` (with the L2 term), `val_cross_entropy` (without it),
            `val_auroc` (mean over classes; absent if it is defined for none).
        seconds: wall time.
        improved: whether its weights are the best so far.
    """

    epoch: int
    values: dict[str, float]
    seconds: float
    improved: bool


class Fit(NamedTuple):
    """How a training ended.

    Attributes:
        history: all epochs, those before a resumption too.
        best_epoch: the epoch whose weights the model holds; 0 if none was finished.
        best_value: the monitored value of that epoch; NaN if none was finished.
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
    resume: bool = False,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Fit:
    """Train a model; on return it holds the weights of its best epoch.

    Args:
        model: as `mlproject.model.build` returns it for `spec`.
        spec: the protocol. Only `epochs` may differ from that of a state to go on from.
        train: trained on, in another order each epoch; with `spec.augment` also, each sequence with
            a chance of one half, as the other strand reads it.
        valid: the lowest `spec.monitor` on it gives the best epoch.
        state_path: HDF5 file, written at the start and after each epoch.
        resume: go on from `state_path`, whatever weights the model has.
        on_epoch: called after each new epoch, when its state is saved.
        should_stop: asked before each batch; if true, the unfinished epoch is thrown away.

    Raises:
        UserError: the loss is no longer finite or absurd (the state before that epoch is kept), or
            `state_path` cannot be written, or cannot be resumed from.
    """
    backend.prepare()
    optimizer = keras.optimizers.Adam(
        spec.learning_rate, beta_1=spec.beta1, epsilon=spec.adam_epsilon, name="adam"
    )
    optimizer.build(model.trainable_variables)
    owner = _owner(spec, train, valid)
    history: list[Epoch] = []
    best: checkpoint.Arrays = _values(model.weights)
    if resume:
        state = checkpoint.read(state_path, owner)
        history = [Epoch(**row) for row in state.history]
        _check_epochs(len(history), spec)
        best = state.best
        _assign(model.weights, state.weights, state_path)
        _assign(optimizer.variables, state.optimizer, state_path)

    def save() -> None:
        state = checkpoint.State(
            _values(model.weights),
            best,
            _values(optimizer.variables),
            [one._asdict() for one in history],
        )
        checkpoint.write(state_path, state, owner)

    if not resume:
        save()
    steps = backend.make_steps(model, optimizer, training_pass.choose())
    scores = predictor(model)
    while (stopped := _stopped(history, spec)) is None:
        number, started = len(history) + 1, time.perf_counter()
        _seed_dropout(model, spec.seed, number)
        loss = train_epoch(steps, train, spec, number, should_stop)
        if loss is None:
            stopped = "interrupted"
            break
        values = {
            "train_loss": loss,
            **_validate(model, scores(valid.codes), np.asarray(valid.labels)),
        }
        if not all(map(math.isfinite, values.values())) or loss > LARGEST_LOSS:
            raise UserError(
                f"the loss must stay finite and below {LARGEST_LOSS:g}: it is {loss:g} after epoch "
                f"{number} with learning_rate={spec.learning_rate}; try a smaller one"
            )
        improved = not history or values[spec.monitor] < _best(history, spec).values[spec.monitor]
        history.append(Epoch(number, values, time.perf_counter() - started, improved))
        if improved:
            best = _values(model.weights)
        save()
        on_epoch(history[-1])
    _assign(model.weights, best, state_path)
    if not history:
        return Fit(history, 0, math.nan, stopped)
    winner = _best(history, spec)
    return Fit(history, winner.epoch, winner.values[spec.monitor], stopped)


def check_state(path: Path, spec: RunSpec, train: Split, valid: Split) -> None:
    """Raise a `UserError` where `fit` could not go on from a state with these arguments."""
    checkpoint.check_owner(path, _owner(spec, train, valid))
    _check_epochs(len(checkpoint.read_history(path)), spec)


def _check_epochs(trained: int, spec: RunSpec) -> None:
    if trained > spec.epochs:
        raise UserError(
            f"`epochs` must be at least the {trained} epochs already trained: got {spec.epochs}"
        )


def train_epoch(
    steps: backend.Steps,
    split: Split,
    spec: RunSpec,
    epoch: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> float | None:
    """Train one epoch.

    Args:
        steps: of the model to train.
        split: passed over once, in batches of `spec.batch_size`, the last may be smaller.
        spec: the protocol.
        epoch: its number, from 1; with `spec.seed` it determines the order.
        should_stop: asked before each launch of `steps`.

    Returns:
        The loss with its L2 term, mean over sequences; None if the epoch was interrupted.
    """
    order = np.random.default_rng([spec.seed, epoch]).permutation(len(split.codes))
    turned = np.zeros(len(order), bool)
    if spec.augment == "reverse_complement":
        turned = np.random.default_rng([spec.seed, epoch, TURNED]).random(len(order)) < 0.5
    steps.start()
    for start, stop, batch in _launches(len(order), spec.batch_size, steps.launch):
        if should_stop():
            return None
        rows = slice(start, stop)
        codes, labels = _rows(split, order[rows], turned[rows])
        steps.run(*(one.reshape(-1, batch, one.shape[-1]) for one in (codes, labels)))
    return steps.finish() / len(order)


def _launches(count: int, batch: int, launch: int) -> Iterator[tuple[int, int, int]]:
    """Yield start, stop and rows a batch of up to `launch` batches; the last may be smaller."""
    whole = count - count % batch
    for start in range(0, whole, batch * launch):
        yield start, min(start + batch * launch, whole), batch
    if whole < count:
        yield whole, count, count - whole


def _rows(split: Split, rows: np.ndarray, turned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return codes (rows, length) and labels (rows, classes), both uint8.

    The sequences that are `turned` come as the other strand reads them.
    """
    codes = split.codes[rows]
    if turned.any():
        codes = np.where(turned[:, None], reverse_complement(codes), codes)
    return codes, split.labels[rows]


def _validate(model: keras.Model, scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    cross_entropy = binary_cross_entropy(labels, scores)
    penalty = sum(float(loss) for loss in model.losses)
    values = {"val_loss": cross_entropy + penalty, "val_cross_entropy": cross_entropy}
    if math.isfinite(cross_entropy):
        auroc = mean_auroc(labels, scores)
        values |= {} if auroc is None else {"val_auroc": auroc}
    return values


def binary_cross_entropy(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean binary cross-entropy of labels and scores (n, classes), nats."""
    scores = np.clip(scores.astype(np.float64), SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return float(-np.log(np.where(labels == 1, scores, 1 - scores)).mean())


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    for layer in model.layers:
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign(np.array([stream_seed(seed, epoch, layer.name), 0]))


def _best(history: list[Epoch], spec: RunSpec) -> Epoch:
    return min(history, key=lambda epoch: epoch.values[spec.monitor])


def _stopped(history: list[Epoch], spec: RunSpec) -> str | None:
    """Return why no further epoch follows, None if one does."""
    if len(history) >= spec.epochs:
        return "epochs"
    if history and spec.patience and len(history) - _best(history, spec).epoch >= spec.patience:
        return "patience"
    return None


def _owner(spec: RunSpec, train: Split, valid: Split) -> dict[str, Any]:
    values = without_later_defaults(spec.flat())
    values = {key: value for key, value in values.items() if key not in _not_of_the_training}
    shapes = {"train": [*train.codes.shape], "valid": [*valid.codes.shape]}
    return {**values, **shapes, "classes": train.labels.shape[1], "backend": backend.name()}


def _values(variables: list[keras.Variable]) -> dict[str, np.ndarray]:
    return {one.path: backend.value(one) for one in variables}


def _assign(variables: list[keras.Variable], values: checkpoint.Arrays, path: Path) -> None:
    for variable in variables:
        value = values.get(variable.path)
        if value is None or value.shape != tuple(variable.shape):
            raise UserError(
                f"a saved state must have the network's variables: {path} lacks {variable.path} "
                f"of shape {tuple(variable.shape)}; start anew"
            )
        variable.assign(value)
