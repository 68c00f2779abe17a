"""The rules of a protocol as functions of the history: learning rate, best epoch, end.

Nothing here has a state, so a resumed training continues exactly as an undisturbed one.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import keras

from mlproject.spec import RunSpec

LOWER_IS_BETTER = ("val_loss", "val_cross_entropy", "val_mse", "val_deviance")
MIN_DELTA = 1e-4  # a smaller improvement counts as none for `reduce_lr_factor`, as in Keras


class Epoch(NamedTuple):
    """One pass over the training split.

    Attributes:
        epoch: its number, from 1.
        values: `train_loss` and `val_loss` (with the L2 term), `val_cross_entropy` (without it),
            `val_auroc` (mean over classes; absent if it is defined for none), and the monitored
            value.
        seconds: wall time.
        improved: whether its weights are the best so far.
        weights: by layer with a kernel, ``squares/conv1``: the sum of its squared weights at the
            end; ``change/conv1``: the largest change of one of them since the epoch's start.
    """

    epoch: int
    values: dict[str, float]
    seconds: float
    improved: bool
    weights: dict[str, float] = {}  # noqa: RUF012


def make_optimizer(spec: RunSpec) -> keras.optimizers.Optimizer:
    """Return the optimizer of a protocol, not yet built."""
    clip = spec.clip_norm or None
    if spec.optimizer == "sgd":
        return keras.optimizers.SGD(
            spec.learning_rate, momentum=spec.sgd_momentum, global_clipnorm=clip, name="sgd"
        )
    options = {"beta_1": spec.beta1, "epsilon": spec.adam_epsilon, "global_clipnorm": clip}
    if spec.optimizer == "adamw":
        return keras.optimizers.AdamW(
            spec.learning_rate, weight_decay=spec.weight_decay, name="adamw", **options
        )
    return keras.optimizers.Adam(spec.learning_rate, name="adam", **options)


def learning_rate(history: Sequence[Epoch], spec: RunSpec) -> float:
    """Return the learning rate of the epoch after `history`.

    `reduce_lr_factor` follows Keras' `ReduceLROnPlateau`.
    """
    if fine_tuned(history, spec) is not None:
        return spec.fine_tune_lr
    number = len(history) + 1
    rate = _reduced(history, spec)
    if number <= spec.warmup:
        return rate * number / spec.warmup
    if spec.decay == "cosine":
        share = (number - 1 - spec.warmup) / max(spec.epochs - spec.warmup, 1)
        return spec.min_lr + (rate - spec.min_lr) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
    return rate


def is_scheduled(spec: RunSpec) -> bool:
    """Return whether the learning rate changes from epoch to epoch."""
    return (
        spec.reduce_lr_factor < 1.0 or spec.warmup > 0 or spec.decay != "none" or spec.fine_tune > 0
    )


def fine_tuned(history: Sequence[Epoch], spec: RunSpec) -> int | None:
    """Return how many epochs of fine-tuning `history` has, None if that stage has not begun.

    It begins when the epochs before it are done, or show no improvement for `patience` epochs.
    """
    if not spec.fine_tune:
        return None
    best_value, best_number = -math.inf, 0
    for number, epoch in enumerate(history, 1):
        value = _sign(spec) * epoch.values[spec.monitor]
        if value > best_value:
            best_value, best_number = value, number
        if number >= spec.epochs or (spec.patience and number - best_number >= spec.patience):
            return len(history) - number
    return None


def improves(value: float, history: Sequence[Epoch], spec: RunSpec) -> bool:
    """Return whether a monitored value is better than those of all epochs of `history`."""
    sign = _sign(spec)
    return sign * value > max(
        (sign * one.values[spec.monitor] for one in history), default=-math.inf
    )


def best(history: Sequence[Epoch], spec: RunSpec) -> Epoch:
    """Return the epoch with the best monitored value, the first of equal ones."""
    return max(history, key=lambda epoch: _sign(spec) * epoch.values[spec.monitor])


def kept(history: Sequence[Epoch], spec: RunSpec) -> Epoch:
    """Return the epoch whose weights the run keeps: the best one, or the last one."""
    return best(history, spec) if spec.weights == "best" else history[-1]


def reason_to_stop(history: Sequence[Epoch], spec: RunSpec) -> str | None:
    """Return ``epochs`` or ``patience``, None if another epoch follows."""
    if spec.fine_tune:
        done = fine_tuned(history, spec)
        return "epochs" if done is not None and done >= spec.fine_tune else None
    if len(history) >= spec.epochs:
        return "epochs"
    if history and spec.patience and len(history) - best(history, spec).epoch >= spec.patience:
        return "patience"
    return None


def _sign(spec: RunSpec) -> float:
    return -1.0 if spec.monitor in LOWER_IS_BETTER else 1.0


def _reduced(history: Sequence[Epoch], spec: RunSpec) -> float:
    rate = spec.learning_rate
    if spec.reduce_lr_factor == 1.0:
        return rate
    top, waited, sign = -math.inf, 0, _sign(spec)
    for epoch in history:
        value = sign * epoch.values[spec.monitor]
        if value > top + MIN_DELTA:
            top, waited = value, 0
            continue
        waited += 1
        if waited >= spec.reduce_lr_patience:
            rate, waited = max(rate * spec.reduce_lr_factor, min(spec.min_lr, rate)), 0
    return rate
