"""The lines that TensorFlow and JAX each need their own: training step, forward pass, gradient.

Both backends keep weights, optimizer and the running loss on the device for a whole epoch: the host
waits for nothing between two steps.
"""

from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

from mlproject.errors import UserError

Forward = Callable[[np.ndarray], np.ndarray]
Gradient = Callable[..., tuple[np.ndarray, np.ndarray]]


class Steps(Protocol):
    """The training steps of one epoch: `start`, `step` for each batch, `finish`."""

    def start(self) -> None:
        """Take weights and optimizer variables over from the model."""

    def step(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        """Train on one-hot (batch, length, 4) and labels (batch, classes), both float32."""

    def finish(self) -> float:
        """Hand the variables back to the model; return the loss summed over sequences."""


def name() -> str:
    """Return the backend in use, ``tensorflow`` or ``jax``.

    Raises:
        UserError: Keras runs on a backend that has no lines here.
    """
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise UserError(
            f"`KERAS_BACKEND` must be tensorflow or jax: got {backend}; set it before the start"
        )
    return backend


def prepare() -> None:
    """Make equal programs give equal bits: TensorFlow picks deterministic kernels from here on."""
    if name() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def make_steps(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Steps:
    """Return the compiled training steps of a built model and optimizer.

    The loss is binary cross-entropy, mean over classes and sequences, plus the model's L2 terms.
    """
    steps = _JaxSteps if name() == "jax" else _TensorFlowSteps
    return steps(model, optimizer)


def forward(model: keras.Model) -> Forward:
    """Return the compiled forward pass: one-hot (batch, length, 4) to the model's output.

    It reads the weights anew at each call, so that it can be kept while the model trains.
    """
    return _jax_forward(model) if name() == "jax" else _tensorflow_forward(model)


def gradient(function: Callable[..., Any]) -> Gradient:
    """Return, compiled, the values of a function and their gradient.

    Args:
        function: tensors (batch, ...), of which the first is differentiated, to values (batch,)
            that each depend on their own row only.

    Returns:
        A function of float32 arrays that gives the values (batch,) and the gradient, shaped like
        the first array. It may keep the weights that the model has at its first call.
    """
    return _jax_gradient(function) if name() == "jax" else _tensorflow_gradient(function)


def value(variable: keras.Variable) -> np.ndarray:
    """Return a copy of a variable's value."""
    return np.array(keras.ops.convert_to_numpy(keras.ops.copy(variable)))


class _TensorFlowSteps:
    def __init__(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        import tensorflow as tf

        self._total = tf.Variable(0.0, trainable=False)
        variables = model.trainable_variables

        @tf.function(jit_compile=False)
        def step(inputs: Any, labels: Any) -> None:
            with tf.GradientTape() as tape:
                scores = model(inputs, training=True)
                loss = _cross_entropy(labels, scores) + sum(model.losses)
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            self._total.assign_add(loss * tf.cast(tf.shape(labels)[0], tf.float32))

        self._step = step

    def start(self) -> None:
        self._total.assign(0.0)

    def step(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        self._step(inputs, labels)

    def finish(self) -> float:
        return float(self._total)


class _JaxSteps:
    def __init__(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        import jax

        def loss(trainable: Any, others: Any, inputs: Any, labels: Any) -> tuple[Any, Any]:
            scores, others, losses = model.stateless_call(
                trainable, others, inputs, training=True, return_losses=True
            )
            return _cross_entropy(labels, scores) + sum(losses), others

        def step(state: Any, inputs: Any, labels: Any) -> Any:
            trainable, others, moments, total = state
            gradient = jax.value_and_grad(loss, has_aux=True)
            (value, others), gradients = gradient(trainable, others, inputs, labels)
            trainable, moments = optimizer.stateless_apply(moments, gradients, trainable)
            return trainable, others, moments, total + value * labels.shape[0]

        self._variables = (
            model.trainable_variables,
            model.non_trainable_variables,
            optimizer.variables,
        )
        self._step = jax.jit(step, donate_argnums=0)
        self._state: Any = None

    def start(self) -> None:
        import jax.numpy as jnp

        copies = ([jnp.array(one.value) for one in group] for group in self._variables)
        self._state = (*copies, jnp.zeros(()))

    def step(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        self._state = self._step(self._state, inputs, labels)

    def finish(self) -> float:
        *groups, total = self._state
        for variables, values in zip(self._variables, groups, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self._state = None
        return float(total)


def _cross_entropy(labels: Any, scores: Any) -> Any:
    return keras.ops.mean(keras.losses.binary_crossentropy(labels, scores))


def _tensorflow_forward(model: keras.Model) -> Forward:
    import tensorflow as tf

    @tf.function(jit_compile=False)
    def call(inputs: Any) -> Any:
        return model(inputs, training=False)

    return lambda inputs: call(inputs).numpy()


def _jax_forward(model: keras.Model) -> Forward:
    import jax

    @jax.jit
    def call(trainable: Any, others: Any, inputs: Any) -> Any:
        return model.stateless_call(trainable, others, inputs, training=False)[0]

    def run(inputs: np.ndarray) -> np.ndarray:
        groups = (model.trainable_variables, model.non_trainable_variables)
        return np.asarray(call(*([one.value for one in group] for group in groups), inputs))

    return run


def _tensorflow_gradient(function: Callable[..., Any]) -> Gradient:
    import tensorflow as tf

    @tf.function(jit_compile=False)
    def call(inputs: Any, *others: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            values = function(inputs, *others)
        return values, tape.gradient(values, inputs)

    def run(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, gradients = call(*map(tf.convert_to_tensor, arrays))
        return values.numpy(), gradients.numpy()

    return run


def _jax_gradient(function: Callable[..., Any]) -> Gradient:
    import jax

    def total(*arrays: Any) -> Any:
        values = function(*arrays)
        return values.sum(), values

    call = jax.jit(jax.grad(total, has_aux=True))

    def run(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gradients, values = call(*arrays)
        return np.asarray(values), np.asarray(gradients)

    return run
