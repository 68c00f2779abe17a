"""Compiled training steps for TensorFlow and JAX, with the guard's checks of the state.

Both keep weights, optimizer and the running loss on the device for a complete epoch. The host waits
only for the guard's result, every few batches.
"""

from typing import Protocol

import keras
import numpy as np

from mlproject.network.backend import name
from mlproject.network.inputs import Attack, Inputs, one_hot_tensor
from mlproject.network.jax_steps import JaxSteps
from mlproject.network.loss import Loss, cross_entropy
from mlproject.network.step_parts import StepParts, TrainingPass
from mlproject.network.tensorflow_steps import TensorFlowSteps


class Steps(Protocol):
    """The training steps of one epoch: `start`, `run` for some batches at a time, `finish`.

    Attributes:
        launch: number of batches in one call of the device. It is 1 on a CPU, where a loop within a
            compiled program slows convolutions down. On an accelerator it is large, so that the
            device never waits for the host between two steps.
    """

    launch: int

    def start(self) -> None:
        """Copy weights and optimizer variables from the model."""

    def run(self, codes: np.ndarray, labels: np.ndarray) -> None:
        """Train on up to `launch` batches.

        Args:
            codes: uint8 (batches, batch, length), see `mlproject.sequence`.
            labels: uint8 (batches, batch, classes).

        Raises:
            DeviceFaultError: the state violates a bound of `mlproject.network.guard`.
        """

    def finish(self) -> float:
        """Copy the variables back to the model; return the loss summed over sequences.

        Raises:
            DeviceFaultError: the state violates a bound; the model keeps its earlier variables.
        """


def make_steps(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    scores: TrainingPass,
    loss: Loss = cross_entropy,
    inputs: Inputs = one_hot_tensor,
    attack: Attack | None = None,
) -> Steps:
    """Return the compiled training steps of a built model and optimizer.

    Args:
        model: the model to train.
        optimizer: built on the trainable weights.
        scores: the forward pass in training, from model and one-hot sequences to scores.
        loss: (labels, scores) to the loss; the L2 terms of the model are added.
        inputs: from codes to one-hot sequences.
        attack: from one-hot sequences and labels to adversarial ones, None without.
    """
    steps = JaxSteps if name() == "jax" else TensorFlowSteps
    return steps(StepParts(model, optimizer, scores, loss, inputs, attack))
