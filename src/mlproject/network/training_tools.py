"""What is compiled for a training: its steps, its scores, and the check of these."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from mlproject.data import Split
from mlproject.network import backend, fast_pass
from mlproject.network.build import Predictor, predictor
from mlproject.network.guard import DeviceFaultError
from mlproject.network.inputs import is_letters, make_attack, make_inputs
from mlproject.network.loss import make_loss
from mlproject.network.protocol import make_optimizer
from mlproject.network.steps import make_steps
from mlproject.network.tasks import data_loss
from mlproject.sequence import one_hot
from mlproject.spec import RunSpec

CHECKED = 100  # sequences
CHECKED_TOLERANCE = 1e-3  # the error of float32 through four layers is about 1e-5


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
        scores, _ = fast_pass.choose(model, is_letters(spec))
        loss = make_loss(spec, train.labels, task)
        attack = make_attack(spec, model, loss)
        steps = make_steps(model, optimizer, scores, loss, make_inputs(spec), attack)
        check = score_check(valid, backend.host_forward(model), task)
        call = backend.forward(model, fast_pass.choose_prediction(model))
        return cls(optimizer, steps, predictor(model, call=call), check)


def built_optimizer(spec: RunSpec, model: keras.Model) -> keras.optimizers.Optimizer:
    """Return the optimizer of a protocol, built on the weights of a model."""
    optimizer = make_optimizer(spec)
    optimizer.build(model.trainable_variables)
    return optimizer


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
