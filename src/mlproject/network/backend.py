"""Code that differs between TensorFlow and JAX: forward pass, gradient, settings.

`jax_steps`, `tensorflow_steps` and `random_bits` differ too.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import keras
import numpy as np

from mlproject.system.errors import UserError

Forward = Callable[[Any], Any]
Scores = Callable[[keras.Model, Any], Any]
Gradient = Callable[..., tuple[np.ndarray, np.ndarray]]


def name() -> str:
    """Return the backend in use, ``tensorflow`` or ``jax``.

    Raises:
        UserError: Keras runs on another backend.
    """
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise UserError(
            f"`KERAS_BACKEND` must be tensorflow or jax: got {backend}; set it before the start"
        )
    return backend


def prepare() -> None:
    """Make computations reproducible bit by bit, with the full 24 bits of float32.

    TensorFlow uses deterministic kernels from this call on. TensorFloat-32, with which GPUs round
    the factors of products to 11 bits, is switched off.
    """
    if name() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
        tensorflow.config.experimental.enable_tensor_float_32_execution(False)
    else:
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")


def on_processor() -> bool:
    """Return whether the backend computes on the CPU, not on an accelerator."""
    if name() == "jax":
        import jax

        return bool(jax.default_backend() == "cpu")
    import tensorflow

    return not tensorflow.config.list_physical_devices("GPU")


def host() -> AbstractContextManager[Any]:
    """Return a context in which tensors are made, and computed with, on the CPU."""
    if name() == "jax":
        import jax

        return jax.default_device(jax.devices("cpu")[0])
    import tensorflow as tf

    device: AbstractContextManager[Any] = tf.device("/CPU:0")
    return device


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of tensors as one program."""
    if name() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    program: Callable[..., Any] = tf.function(function, jit_compile=False)
    return program


def overwriting(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function of one tensor as a program that may write the result in its place."""
    if name() == "jax":
        import jax

        return jax.jit(function, donate_argnums=0)
    return compiled(function)


def input_gradient(function: Callable[[Any], Any], x: Any) -> Any:
    """Return the gradient of a scalar function of a tensor, within a compiled program."""
    if name() == "jax":
        import jax

        return jax.grad(function)(x)
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return tape.gradient(value, x)


def forward(model: keras.Model, scores: Scores | None = None) -> Forward:
    """Return the compiled forward pass: one-hot (batch, length, 4) to the model's output.

    Each call reads the current weights, so the function stays valid while the model trains.

    Args:
        model: any.
        scores: the pass to compile. Default: the model's own.
    """
    return forwards([model], scores)[0]


def forwards(models: Sequence[keras.Model], scores: Scores | None = None) -> list[Forward]:
    """Return `forward`, by one pass, of models that differ in the values of their weights only.

    JAX compiles it once for all of them.
    """
    if name() == "jax":
        return _jax_forwards(models, scores or _own)
    return [_tensorflow_forward(model, scores or _own) for model in models]


def host_forward(model: keras.Model) -> Forward:
    """Return the forward pass as `forward` does, computed on the CPU."""
    return host_forwards([model])[0]


def host_forwards(models: Sequence[keras.Model]) -> list[Forward]:
    """Return the forward passes as `forwards` does, computed on the CPU."""
    if name() == "jax":
        import jax

        return _jax_forwards(models, _own, jax.devices("cpu")[0])
    return [_tensorflow_host_forward(model) for model in models]


def with_values(model: keras.Model, trainable: Any, others: Any) -> keras.StatelessScope:
    """Return the context in which a model's variables have other values, in their order, on JAX."""
    pairs = zip(model.trainable_variables, trainable, strict=True)
    more = zip(model.non_trainable_variables, others, strict=True)
    return keras.StatelessScope(state_mapping=[*pairs, *more])


def gradient(function: Callable[..., Any]) -> Gradient:
    """Return a compiled function that computes the values of a function and their gradient.

    Args:
        function: from tensors (batch, ...) to values (batch,). Each value depends on its own row
            only. The gradient is taken with respect to the first tensor.

    Returns:
        A function from float32 arrays to the values (batch,) and the gradient, of the shape of the
        first array. It may keep the weights of the model at its first call.
    """
    return _jax_gradient(function) if name() == "jax" else _tensorflow_gradient(function)


def value(variable: keras.Variable) -> np.ndarray:
    """Return a copy of a variable's value."""
    return np.array(keras.ops.convert_to_numpy(keras.ops.copy(variable)))


def _own(model: keras.Model, x: Any) -> Any:
    return model(x, training=False)


def _tensorflow_forward(model: keras.Model, scores: Scores) -> Forward:
    import tensorflow as tf

    @tf.function(jit_compile=False)
    def call(inputs: Any) -> Any:
        return scores(model, inputs)

    return lambda inputs: keras.tree.map_structure(np.asarray, call(inputs))


def _tensorflow_host_forward(model: keras.Model) -> Forward:
    import tensorflow as tf

    def on_host(inputs: np.ndarray) -> np.ndarray:
        with tf.device("/CPU:0"):
            return np.asarray(model(tf.convert_to_tensor(inputs), training=False))

    return on_host


def _jax_forwards(
    models: Sequence[keras.Model], scores: Scores, place: Any = None
) -> list[Forward]:
    import jax

    @jax.jit
    def call(trainable: Any, others: Any, inputs: Any) -> Any:
        with with_values(models[0], trainable, others):
            return scores(models[0], inputs)

    def run(model: keras.Model, inputs: np.ndarray) -> Any:
        groups = (model.trainable_variables, model.non_trainable_variables)
        values = [[one.value for one in group] for group in groups]
        if place is None:
            return keras.tree.map_structure(np.asarray, call(*values, inputs))
        values = [[np.asarray(one) for one in group] for group in values]
        with jax.default_device(place):
            return np.asarray(call(*jax.device_put((*values, inputs), place)))

    return [partial(run, model) for model in models]


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
