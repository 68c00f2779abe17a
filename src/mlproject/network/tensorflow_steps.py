"""Training steps compiled by TensorFlow, see `mlproject.network.steps`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlproject.network.guard import Guard, GuardedValues, LaunchExtremes
from mlproject.network.step_parts import GUARDED, StepParts, variable_groups


class TensorFlowSteps:
    """The steps of TensorFlow: one call a batch, variables that stay in their place."""

    launch = 1

    def __init__(self, parts: StepParts) -> None:
        import tensorflow as tf

        model, optimizer, scores, loss, inputs, attack = parts
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


def _flat(extremes: LaunchExtremes) -> list[Any]:
    return [extremes.largest, *extremes.lowest, *extremes.highest]


def _extremes(values: Sequence[Any]) -> LaunchExtremes:
    half = len(values) // 2 + 1
    return LaunchExtremes(values[0], [*values[1:half]], [*values[half:]])


def _assign_all(variables: Sequence[Any], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
