"""From codes to the one-hot sequences of a training step: with noise, or adversarial.

Source of the adversarial training: projected gradient descent, Madry et al., ICLR 2018.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from mlproject.network import backend, random_bits
from mlproject.network.augment import NOISY
from mlproject.network.loss import Loss
from mlproject.spec import RunSpec

Inputs = Callable[[Any], Any]
Attack = Callable[[Any, Any], Any]


def one_hot_tensor(codes: Any) -> Any:
    """Return uint8 codes (batch, L) as float32 (batch, L, 4), zeros for code 4."""
    return ops.cast(codes[..., None] == np.arange(4, dtype=np.uint8), "float32")


def make_inputs(spec: RunSpec) -> Inputs:
    """Return the function from codes to one-hot sequences, with noise where codes are marked.

    The seed of a batch's noise is a checksum of its codes, so the noise depends on (seed, epoch)
    like these, and needs no state of its own.
    """
    if spec.augment != "evoaug" or "noise" not in spec.augmentations.split(",") or not spec.noise:
        return one_hot_tensor

    def inputs(codes: Any) -> Any:
        marked = codes >= NOISY
        x = one_hot_tensor(ops.where(marked, codes - np.uint8(NOISY), codes))
        batch, length = codes.shape
        weights = np.random.default_rng(0).integers(1, 2**31, (batch, length)).astype(np.int32)
        seed = ops.sum(ops.cast(codes, "int32") * weights)
        noise = random_bits.normal(seed, tuple(x.shape)) * np.float32(spec.noise)
        return x + noise * ops.cast(marked[:, :, None], "float32")

    return inputs


def is_letters(spec: RunSpec) -> bool:
    """Return whether the sequences of a training step are one-hot: no noise, not adversarial."""
    return make_inputs(spec) is one_hot_tensor and not spec.adversarial


def make_attack(spec: RunSpec, model: keras.Model, loss: Loss) -> Attack | None:
    """Return the function that moves sequences uphill on the loss, None without `adversarial`.

    It takes `adversarial_steps` steps of `adversarial_rate` along the sign of the gradient, and
    stays within `adversarial` of each value. The network is in its state of prediction.
    """
    if not spec.adversarial:
        return None
    most, rate = np.float32(spec.adversarial), np.float32(spec.adversarial_rate)

    def attack(x: Any, labels: Any) -> Any:
        def value(tried: Any) -> Any:
            return loss(labels, model(tried, training=False))

        def climb(_: Any, tried: Any) -> Any:
            tried = tried + rate * ops.sign(backend.input_gradient(value, tried))
            return ops.clip(tried, x - most, x + most)

        return ops.stop_gradient(ops.fori_loop(0, spec.adversarial_steps, climb, x))

    return attack
