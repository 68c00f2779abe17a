"""The lines that TensorFlow and JAX each need: training steps, forward pass, gradient, coins.

Both backends keep weights, optimizer and the running loss on the device for a whole epoch: the host
waits for nothing between two steps. Sequences travel as one byte a letter.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import keras
import numpy as np

from mlproject.errors import UserError
from mlproject.guard import Guard, Seen, State

COINS = 65_536
GUARDED = 8  # batches between two looks at the state on a processor, where a look costs 4 % of one
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

        Raises:
            DeviceFaultError: the state breaks a bound of `mlproject.guard`.
        """

    def finish(self) -> float:
        """Hand the variables back to the model; return the loss summed over sequences.

        Raises:
            DeviceFaultError: the state breaks a bound; the model keeps its earlier variables.
        """


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


def host_forward(model: keras.Model) -> Forward:
    """Return the forward pass as `forward` does, computed on the processor."""
    if name() == "jax":
        import jax

        host = jax.devices("cpu")[0]

        @jax.jit
        def call(variables: Any, inputs: Any) -> Any:
            return model.stateless_call(*variables, inputs, training=False)[0]

        def run(inputs: np.ndarray) -> np.ndarray:
            groups = (model.trainable_variables, model.non_trainable_variables)
            values = [[np.asarray(one.value) for one in group] for group in groups]
            with jax.default_device(host):
                return np.asarray(call(*jax.device_put((values, inputs), host)))

        return run
    import tensorflow as tf

    def on_host(inputs: np.ndarray) -> np.ndarray:
        with tf.device("/CPU:0"):
            return np.asarray(model(tf.convert_to_tensor(inputs), training=False))

    return on_host


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

        guard = self._guard = Guard(model, optimizer)
        variables = model.trainable_variables
        self.groups = (variables, model.non_trainable_variables, optimizer.variables)
        state = self._state()
        self._total = tf.Variable(0.0, trainable=False)
        self._seen = [tf.Variable(one) for one in _flat(guard.forget(0.0, state.averages))]
        self._before = [tf.Variable(one) for one in (*state.weights, *state.averages)]
        self._count = 0

        @tf.function(jit_compile=False)
        def step(codes: Any, labels: Any) -> None:
            averages = [tf.identity(one) for one in self._state().averages]
            with tf.GradientTape() as tape:
                loss = _cross_entropy(labels, scores(model, _one_hot(codes))) + sum(model.losses)
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            self._total.assign_add(loss * tf.cast(tf.shape(labels)[0], tf.float32))
            seen = guard.see(_seen(self._seen), gradients, averages, self._state().averages)
            _assign_all(self._seen, _flat(seen))

        @tf.function(jit_compile=False)
        def broken(count: Any) -> Any:
            return guard.broken(self._earlier(), self._state(), _seen(self._seen), count)

        @tf.function(jit_compile=False)
        def remember(largest: Any) -> None:
            state = self._state()
            _assign_all(self._before, [*state.weights, *state.averages])
            _assign_all(self._seen, _flat(guard.forget(largest, state.averages)))

        self._step, self._broken, self._remember = step, broken, remember

    def start(self) -> None:
        self._total.assign(0.0)
        self._count = 0
        self._remember(self._guard.begin(self._state()))

    def run(self, codes: np.ndarray, labels: np.ndarray) -> None:
        for batch in zip(codes, labels, strict=True):
            self._step(*batch)
        self._count += len(codes)
        if self._count >= GUARDED:
            self._check()

    def finish(self) -> float:
        self._check()
        return float(self._total)

    def _check(self) -> None:
        if self._count and self._broken(self._count):
            seen = _seen(self._seen)
            raise self._guard.fault(self._earlier(), self._state(), seen, self._count)
        self._count = 0
        self._remember(self._seen[0])

    def _state(self) -> State:
        return self._guard.state(*([one.value for one in group] for group in self.groups))

    def _earlier(self) -> State:
        count = len(self.groups[0])
        return State(self._before[:count], self._before[count:], [], [])


class _JaxSteps:
    def __init__(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer, scores: TrainingPass
    ) -> None:
        import jax
        import jax.numpy as jnp

        self.launch = 1 if on_processor() else LAUNCH
        guard = self._guard = Guard(model, optimizer)
        groups = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
        self.groups = groups

        def loss(trainable: Any, others: Any, codes: Any, labels: Any) -> tuple[Any, Any]:
            values = (*zip(groups[0], trainable, strict=True), *zip(groups[1], others, strict=True))
            with keras.StatelessScope(state_mapping=values) as scope:
                value = _cross_entropy(labels, scores(model, _one_hot(codes))) + sum(model.losses)
            return value, [scope.get_current_value(one) for one in groups[1]]

        def step(state: Any, codes: Any, labels: Any) -> Any:
            trainable, others, moments, total, seen = state
            before = guard.state(trainable, others, moments).averages
            gradient = jax.value_and_grad(loss, has_aux=True)
            (value, others), gradients = gradient(trainable, others, codes, labels)
            trainable, moments = optimizer.stateless_apply(moments, gradients, trainable)
            after = guard.state(trainable, others, moments).averages
            seen = guard.see(seen, gradients, before, after)
            return trainable, others, moments, total + value * labels.shape[0], seen

        def many(state: Any, codes: Any, labels: Any, count: Any) -> Any:
            def body(number: Any, state: Any) -> Any:
                return step(state, codes[number], labels[number])

            return jax.lax.fori_loop(0, count, body, state)

        def copied(state: State) -> State:
            weights, averages = ([jnp.array(one) for one in group] for group in state[:2])
            return State(weights, averages, [], [])

        def look(before: State, state: Any, count: Any) -> Any:
            now = guard.state(*state[:3])
            copies = copied(now)
            fresh = guard.forget(state[4].largest, now.averages)
            return guard.broken(before, now, state[4], count), copies, fresh

        self._step = jax.jit(step, donate_argnums=0)
        self._many = jax.jit(many, donate_argnums=0)
        self._look, self._copied = jax.jit(look), copied
        self._state: Any = None
        self._before: Any = None
        self._pending: Any = None
        self._count = 0

    def start(self) -> None:
        import jax
        import jax.numpy as jnp

        copies = [[jnp.array(one.value) for one in group] for group in self.groups]
        now = self._guard.state(*copies)
        self._before = self._copied(now)
        seen = jax.jit(lambda state: self._guard.forget(self._guard.begin(state), state.averages))
        self._state = (*copies, jnp.zeros(()), seen(now))
        self._count, self._pending = 0, None

    def run(self, codes: np.ndarray, labels: np.ndarray) -> None:
        self._verify()
        count = len(codes)
        if self.launch == 1:
            for batch in zip(codes, labels, strict=True):
                self._state = self._step(self._state, *batch)
        elif count == 1:
            self._state = self._step(self._state, codes[0], labels[0])
        else:
            missing = ((0, self.launch - count), (0, 0), (0, 0))
            padded = (np.pad(one, missing) for one in (codes, labels))
            self._state = self._many(self._state, *padded, count)
        self._count += count
        if self._count >= GUARDED or self.launch > 1:
            self._check()

    def finish(self) -> float:
        self._verify()
        if self._count:
            self._check()
            self._verify()
        *groups, total, _ = self._state
        for variables, values in zip(self.groups, groups, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self._state = self._before = None
        return float(total)

    def _check(self) -> None:
        """Have the state looked at; the answer is awaited when the host has the next batches."""
        *values, seen = self._state
        broken, before, fresh = self._look(self._before, self._state, self._count)
        self._pending = (broken, self._before, seen, self._count)
        self._before, self._state = before, (*values, fresh)
        self._count = 0

    def _verify(self) -> None:
        if self._pending is None:
            return
        broken, before, seen, count = self._pending
        self._pending = None
        if broken:
            now = self._guard.state(*self._state[:3])
            raise self._guard.fault(before, now, seen, count)


def _flat(seen: Seen) -> list[Any]:
    return [seen.largest, *seen.lowest, *seen.highest]


def _seen(values: Sequence[Any]) -> Seen:
    half = len(values) // 2 + 1
    return Seen(values[0], [*values[1:half]], [*values[half:]])


def _assign_all(variables: Sequence[Any], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


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
