"""What the training steps of both backends share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from mlproject.network.inputs import Attack, Inputs
from mlproject.network.loss import Loss

GUARDED = 8  # batches between two checks of the state on a CPU
LAUNCH = 64  # batches; a launch costs much less than these, and they are a small part of an epoch

TrainingPass = Callable[[keras.Model, Any], Any]


class StepParts(NamedTuple):
    """What a training step is made of: the arguments of `mlproject.network.steps.make_steps`."""

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    scores: TrainingPass
    loss: Loss
    inputs: Inputs
    attack: Attack | None


def variable_groups(
    model: keras.Model, optimizer: keras.optimizers.Optimizer
) -> tuple[list[keras.Variable], list[keras.Variable], list[keras.Variable]]:
    """Return what a training changes: weights, the model's other variables, the optimizer's."""
    return model.trainable_variables, model.non_trainable_variables, optimizer.variables
