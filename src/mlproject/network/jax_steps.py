"""Training steps compiled by JAX, see `mlproject.network.steps`."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from mlproject.network.backend import on_processor, with_values
from mlproject.network.guard import Guard, GuardedValues, LaunchExtremes
from mlproject.network.step_parts import GUARDED, LAUNCH, StepParts, variable_groups


class Programs(NamedTuple):
    """What a step of JAX's training computes: functions of a state, not compiled yet.

    A state is: weights, other variables, the optimizer's variables, running loss, `LaunchExtremes`.
    """

    step: Callable[..., Any]
    many: Callable[..., Any]
    look: Callable[..., Any]
    begin: Callable[..., Any]
    copied: Callable[[GuardedValues], GuardedValues]


def programs(parts: StepParts, guard: Guard) -> Programs:
    """Return the functions that JAX compiles."""
    import jax
    import jax.numpy as jnp

    model, optimizer, scores, loss, inputs, attack = parts

    def value_of(trainable: Any, others: Any, x: Any, labels: Any) -> tuple[Any, Any]:
        with with_values(model, trainable, others) as scope:
            value = loss(labels, scores(model, x)) + sum(model.losses)
        return value, [scope.get_current_value(one) for one in model.non_trainable_variables]

    def step(state: Any, codes: Any, labels: Any) -> Any:
        trainable, others, moments, total, extremes = state
        before = guard.select(trainable, others, moments).averages
        x = inputs(codes)
        if attack is not None:
            with with_values(model, trainable, others):
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


class JaxSteps:
    """The steps of JAX: the state is a value that each call replaces."""

    def __init__(self, parts: StepParts) -> None:
        import jax

        self.launch = 1 if on_processor() else LAUNCH
        self._guard = Guard(parts.model, parts.optimizer)
        self.groups = variable_groups(parts.model, parts.optimizer)
        compute = programs(parts, self._guard)
        self._step = jax.jit(compute.step, donate_argnums=0)
        self._many = jax.jit(compute.many, donate_argnums=0)
        self._look, self._copied = jax.jit(compute.look), compute.copied
        self._begin = jax.jit(compute.begin)
        self._state: Any = None
        self._before: Any = None
        self._pending: Any = None
        self._count = 0

    def shared_with(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> "JaxSteps":
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
