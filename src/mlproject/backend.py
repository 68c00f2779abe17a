"""The lines that TensorFlow and JAX each need: training steps, forward pass, gradient, coins.

Both backends keep weights, optimizer and the running loss on the device for a whole epoch: the host
waits for nothing between two steps. Sequences travel as one byte a letter.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

from mlproject.errors import UserError

COINS = 65_536
LAUNCH = 64  # batches; a multiple of what a launch costs in a step, and still an epoch's part

Forward = Callable[[np.ndarray], np.ndarray]
Gradient = Callable[..., tuple[np.ndarray, np.ndarray]]
TrainingPass = Callable[[keras.Model, Any], Any]


class Steps(Protocol):
    """The training steps of one epoch: `start`, `run` for some batches at a time, `finish`.

    Attributes:
        launch: how many batches the device takes at once: 1 on a processor, where a loop within a
            compiled program slows convolutions down; many on an accelerator, so that it never
            waits for the host between two steps.
    """

    launch: int

    def start(self) -> None:
        """Take weights and optimizer variables over from the model."""

    def run(self, codes: np.ndarray, labels: np.ndarray) -> None:
        """Train on up to `launch` batches.

        Args:
            codes: uint8 (batches, batch, length), see `mlproject.dna`.
            labels: uint8 (batches, batch, classes).
        """

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
    """Make equal programs give equal bits, and all 24 bits of a float32 count.

    TensorFlow picks deterministic kernels from here on. GPUs round the factors of products to 11
    bits (TensorFloat-32) unless told not to.
    """
    if name() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
        tensorflow.config.experimental.enable_tensor_float_32_execution(False)
    else:
        import jax

        jax.config.update("jax_default_matmul_precision", "highest")


def on_processor() -> bool:
    """Return whether the backend computes on the processor, not on an accelerator."""
    if name() == "jax":
        import jax

        return bool(jax.default_backend() == "cpu")
    import tensorflow

    return not tensorflow.config.list_physical_devices("GPU")


def make_steps(
    model: keras.Model, optimizer: keras.optimizers.Optimizer, scores: TrainingPass
) -> Steps:
    """Return the compiled training steps of a built model and optimizer.

    The loss is binary cross-entropy, mean over classes and sequences, plus the model's L2 terms.

    Args:
        model: whose weights are trained.
        optimizer: built on them.
        scores: (model, one-hot sequences) to scores, in training.
    """
    steps = _JaxSteps if name() == "jax" else _TensorFlowSteps
    return steps(model, optimizer, scores)


def coins(seed: Any, shape: tuple[int, ...], rate: float) -> Any:
    """Return bool of a shape, false with probability `rate`, from 16 random bits each.

    Args:
        seed: of the backend's stateless generator, as `keras.random.SeedGenerator.next` gives it.
        shape: of the result; the first dimension may be unknown to TensorFlow.
        rate: a multiple of 1 / `COINS`.
    """
    limit = round(rate * COINS)
    if name() == "jax":
        import jax

        count = math.prod(shape)
        words = jax.random.bits(seed, (-(-count // 2),), "uint32")
        bits = jax.lax.bitcast_convert_type(words, "uint16").reshape(-1)[:count]
        return bits.reshape(shape) >= limit
    import tensorflow as tf

    shape = tf.shape(tf.zeros(shape)) if None not in shape else shape
    count = tf.reduce_prod(shape)
    words = tf.random.stateless_uniform(
        [(count + 1) // 2], tf.cast(seed, tf.int32), None, None, tf.uint32
    )
    bits = tf.reshape(tf.bitcast(words, tf.uint16), [-1])[:count]
    return tf.reshape(bits, shape) >= tf.constant(limit, tf.uint16)


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
    launch = 1

    def __init__(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer, scores: TrainingPass
    ) -> None:
        import tensorflow as tf

        self._total = tf.Variable(0.0, trainable=False)
        variables = model.trainable_variables

        @tf.function(jit_compile=False)
        def step(codes: Any, labels: Any) -> None:
            with tf.GradientTape() as tape:
                loss = _cross_entropy(labels, scores(model, _one_hot(codes))) + sum(model.losses)
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            self._total.assign_add(loss * tf.cast(tf.shape(labels)[0], tf.float32))

        self._step = step

    def start(self) -> None:
        self._total.assign(0.0)

    def run(self, codes: np.ndarray, labels: np.ndarray) -> None:
        for batch in zip(codes, labels, strict=True):
            self._step(*batch)

    def finish(self) -> float:
        return float(self._total)


class _JaxSteps:
    def __init__(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer, scores: TrainingPass
    ) -> None:
        import jax

        self.launch = 1 if on_processor() else LAUNCH
        groups = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
        self._variables = groups

        def loss(trainable: Any, others: Any, codes: Any, labels: Any) -> tuple[Any, Any]:
            values = (*zip(groups[0], trainable, strict=True), *zip(groups[1], others, strict=True))
            with keras.StatelessScope(state_mapping=values) as scope:
                value = _cross_entropy(labels, scores(model, _one_hot(codes))) + sum(model.losses)
            return value, [scope.get_current_value(one) for one in groups[1]]

        def step(state: Any, codes: Any, labels: Any) -> Any:
            trainable, others, moments, total = state
            gradient = jax.value_and_grad(loss, has_aux=True)
            (value, others), gradients = gradient(trainable, others, codes, labels)
            trainable, moments = optimizer.stateless_apply(moments, gradients, trainable)
            return trainable, others, moments, total + value * labels.shape[0]

        def many(state: Any, codes: Any, labels: Any, count: Any) -> Any:
            def body(number: Any, state: Any) -> Any:
                return step(state, codes[number], labels[number])

            return jax.lax.fori_loop(0, count, body, state)

        self._step = jax.jit(step, donate_argnums=0)
        self._many = jax.jit(many, donate_argnums=0)
        self._state: Any = None

    def start(self) -> None:
        import jax.numpy as jnp

        copies = ([jnp.array(one.value) for one in group] for group in self._variables)
        self._state = (*copies, jnp.zeros(()))

    def run(self, codes: np.ndarray, labels: np.ndarray) -> None:
        if len(codes) == 1:
            self._state = self._step(self._state, codes[0], labels[0])
            return
        missing = self.launch - len(codes)
        padded = (np.pad(one, ((0, missing), (0, 0), (0, 0))) for one in (codes, labels))
        self._state = self._many(self._state, *padded, len(codes))

    def finish(self) -> float:
        *groups, total = self._state
        for variables, values in zip(self._variables, groups, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self._state = None
        return float(total)


def _one_hot(codes: Any) -> Any:
    return keras.ops.cast(codes[..., None] == np.arange(4, dtype=np.uint8), "float32")


def _cross_entropy(labels: Any, scores: Any) -> Any:
    labels = keras.ops.cast(labels, "float32")
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
