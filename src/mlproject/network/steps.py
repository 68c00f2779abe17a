"""Compiled training steps for TensorFlow and JAX, with the guard's checks of the state.

Both keep weights, optimizer and the running loss on the device for a complete epoch. The host waits
only for the guard's result, every few batches.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np

from mlproject.network.backend import name, on_processor
from mlproject.network.guard import Guard, GuardedValues, LaunchExtremes
from mlproject.network.inputs import Attack, Inputs, one_hot_tensor
from mlproject.network.loss import Loss, cross_entropy

GUARDED = 8  # batches between two checks of the state on a CPU
LAUNCH = 64  # batches; a launch costs much less than these, and they are a small part of an epoch

TrainingPass = Callable[[keras.Model, Any], Any]


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


def variable_groups(
    model: keras.Model, optimizer: keras.optimizers.Optimizer
) -> tuple[list[keras.Variable], list[keras.Variable], list[keras.Variable]]:
    """Return what a training changes: weights, the model's other variables, the optimizer's."""
    return model.trainable_variables, model.non_trainable_variables, optimizer.variables


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
    steps = _JaxSteps if name() == "jax" else _TensorFlowSteps
    return steps(model, optimizer, scores, loss, inputs, attack)


class _TensorFlowSteps:
    launch = 1

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        scores: TrainingPass,
        loss: Loss,
        inputs: Inputs,
        attack: Attack | None,
    ) -> None:
        import tensorflow as tf

        guard = self._guard = Guard(model, optimizer)
        variables = model.trainable_variables
        self.groups = variable_groups(model, optimizer)
        state = self._state()
        self._total = tf.Variable(0.0, trainable=False)
        self._extremes = [tf.Variable(one) for one in _flat(guard.reset(0.0, state.averages))]
        self._before = [tf.Variable(one) for one in (*state.weights, *state.averages)]
        self._count = 0

        @tf.function(jit_compile=False)
        def step(codes: Any, labels: Any) -> None:
            averages = [tf.identity(one) for one in self._state().averages]
            x = inputs(codes)
            if attack is not None:
                x = attack(x, labels)
            with tf.GradientTape() as tape:
                value = loss(labels, scores(model, x)) + sum(model.losses)
            gradients = tape.gradient(value, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
            self._total.assign_add(value * tf.cast(tf.shape(labels)[0], tf.float32))
            extremes = guard.update(
                _extremes(self._extremes), gradients, averages, self._state().averages
            )
            _assign_all(self._extremes, _flat(extremes))

        @tf.function(jit_compile=False)
        def broken(count: Any) -> Any:
            return guard.broken(self._earlier(), self._state(), _extremes(self._extremes), count)

        @tf.function(jit_compile=False)
        def remember(largest: Any) -> None:
            state = self._state()
            _assign_all(self._before, [*state.weights, *state.averages])
            _assign_all(self._extremes, _flat(guard.reset(largest, state.averages)))

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
        if not self._count:
            return
        if self._broken(self._count):
            extremes = _extremes(self._extremes)
            raise self._guard.fault(self._earlier(), self._state(), extremes, self._count)
        self._count = 0
        self._remember(self._extremes[0])

    def _state(self) -> GuardedValues:
        return self._guard.select(*([one.value for one in group] for group in self.groups))

    def _earlier(self) -> GuardedValues:
        count = len(self.groups[0])
        return GuardedValues(self._before[:count], self._before[count:], [], [])


class Programs(NamedTuple):
    """What a step of JAX's training computes: functions of a state, not compiled yet.

    A state is: weights, other variables, the optimizer's variables, running loss, `LaunchExtremes`.
    """

    step: Callable[..., Any]
    many: Callable[..., Any]
    look: Callable[..., Any]
    begin: Callable[..., Any]
    copied: Callable[[GuardedValues], GuardedValues]


def programs(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    scores: TrainingPass,
    loss: Loss,
    guard: Guard,
    inputs: Inputs = one_hot_tensor,
    attack: Attack | None = None,
) -> Programs:
    """Return the functions that JAX compiles; arguments as `make_steps`, and the guard."""
    import jax
    import jax.numpy as jnp

    groups = (model.trainable_variables, model.non_trainable_variables)

    def mapping(trainable: Any, others: Any) -> tuple[Any, ...]:
        return (*zip(groups[0], trainable, strict=True), *zip(groups[1], others, strict=True))

    def value_of(trainable: Any, others: Any, x: Any, labels: Any) -> tuple[Any, Any]:
        with keras.StatelessScope(state_mapping=mapping(trainable, others)) as scope:
            value = loss(labels, scores(model, x)) + sum(model.losses)
        return value, [scope.get_current_value(one) for one in groups[1]]

    def step(state: Any, codes: Any, labels: Any) -> Any:
        trainable, others, moments, total, extremes = state
        before = guard.select(trainable, others, moments).averages
        x = inputs(codes)
        if attack is not None:
            with keras.StatelessScope(state_mapping=mapping(trainable, others)):
                x = attack(x, labels)
        gradient = jax.value_and_grad(value_of, has_aux=True)
        (value, others), gradients = gradient(trainable, others, x, labels)
        trainable, moments = optimizer.stateless_apply(moments, gradients, trainable)
        after = guard.select(trainable, others, moments).averages
        extremes = guard.update(extremes, gradients, before, after)
        return trainable, others, moments, total + value * labels.shape[0], extremes

    def many(state: Any, codes: Any, labels: Any, count: Any) -> Any:
        def body(number: Any, state: Any) -> Any:
            return step(state, codes[number], labels[number])

        return jax.lax.fori_loop(0, count, body, state)

    def copied(state: GuardedValues) -> GuardedValues:
        weights, averages = ([jnp.array(one) for one in group] for group in state[:2])
        return GuardedValues(weights, averages, [], [])

    def look(before: GuardedValues, state: Any, count: Any) -> Any:
        now = guard.select(*state[:3])
        copies = copied(now)
        fresh = guard.reset(state[4].largest, now.averages)
        return guard.broken(before, now, state[4], count), copies, fresh

    def begin(state: GuardedValues) -> LaunchExtremes:
        return guard.reset(guard.begin(state), state.averages)

    return Programs(step, many, look, begin, copied)


class _JaxSteps:
    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        scores: TrainingPass,
        loss: Loss,
        inputs: Inputs,
        attack: Attack | None,
    ) -> None:
        import jax

        self.launch = 1 if on_processor() else LAUNCH
        guard = self._guard = Guard(model, optimizer)
        self.groups = variable_groups(model, optimizer)
        compute = programs(model, optimizer, scores, loss, guard, inputs, attack)
        self._step = jax.jit(compute.step, donate_argnums=0)
        self._many = jax.jit(compute.many, donate_argnums=0)
        self._look, self._copied = jax.jit(compute.look), compute.copied
        self._begin = jax.jit(compute.begin)
        self._state: Any = None
        self._before: Any = None
        self._pending: Any = None
        self._count = 0

    def shared_with(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> "_JaxSteps":
        """Return steps of a network that differs in its values only, by the same programs."""
        other = copy.copy(self)
        other.groups = variable_groups(model, optimizer)
        return other

    def start(self) -> None:
        import jax.numpy as jnp

        copies = [[jnp.array(one.value) for one in group] for group in self.groups]
        now = self._guard.select(*copies)
        self._before = self._copied(now)
        self._state = (*copies, jnp.zeros(()), self._begin(now))
        self._count, self._pending = 0, None

    def run(self, codes: np.ndarray, labels: np.ndarray) -> None:
        self._verify()
        count = len(codes)
        if count == 1:
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
        """Start a check of the state; `_verify` waits for the result when the next batches come."""
        *values, extremes = self._state
        broken, before, fresh = self._look(self._before, self._state, self._count)
        self._pending = (broken, self._before, extremes, self._count)
        self._before, self._state = before, (*values, fresh)
        self._count = 0

    def _verify(self) -> None:
        if self._pending is None:
            return
        broken, before, extremes, count = self._pending
        self._pending = None
        if broken:
            now = self._guard.select(*self._state[:3])
            raise self._guard.fault(before, now, extremes, count)


def _flat(extremes: LaunchExtremes) -> list[Any]:
    return [extremes.largest, *extremes.lowest, *extremes.highest]


def _extremes(values: Sequence[Any]) -> LaunchExtremes:
    half = len(values) // 2 + 1
    return LaunchExtremes(values[0], [*values[1:half]], [*values[half:]])


def _assign_all(variables: Sequence[Any], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
