"""Training steps of several networks at once that differ in their seed, in one program.

On an accelerator one network leaves most of the device idle. `jax.vmap` over the seeds makes each
of its operators one over all of them. On a processor there is nothing to gain, and batched products
are rounded otherwise: the seeds take their turns there, each by the program of a single training.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import keras
import numpy as np

from mlproject.network.backend import name, on_processor
from mlproject.network.guard import DeviceFaultError, Guard
from mlproject.network.inputs import Attack, Inputs, one_hot_tensor
from mlproject.network.jax_steps import programs
from mlproject.network.loss import Loss, cross_entropy
from mlproject.network.step_parts import LAUNCH, StepParts, TrainingPass, variable_groups
from mlproject.network.steps import Steps, make_steps

Batches = tuple[np.ndarray, np.ndarray]
Network = tuple[keras.Model, keras.optimizers.Optimizer]


class SeedSteps(Protocol):
    """Steps of one epoch of several networks: `start`, `run` some batches at a time, `finish`.

    Attributes:
        launch: how many batches the device takes at once, as `Steps.launch`.
    """

    launch: int

    def start(self, active: Sequence[bool]) -> None:
        """Take the variables over from the models; those that are not active stay as they are."""

    def run(self, batches: Sequence[Batches | None]) -> None:
        """Train each active network on its own batches, equally many and equally large."""

    def finish(self) -> list[float | DeviceFaultError | None]:
        """Hand the variables back to the models that no fault has hit.

        Returns:
            For each network the loss summed over sequences, the fault that spoilt its state, or
            None if it was not active.
        """


def make_seed_steps(
    networks: Sequence[Network],
    scores: TrainingPass,
    together: TrainingPass,
    loss: Loss = cross_entropy,
    inputs: Inputs = one_hot_tensor,
    attacks: Sequence[Attack | None] = (),
) -> SeedSteps:
    """Return the compiled steps of networks that differ in the values of their variables only.

    Args:
        networks: models with their optimizers, both built.
        scores: the pass of a single training, for a processor.
        together: the pass for several seeds in one program, on an accelerator.
        loss: (labels, scores) to the loss, as in `make_steps`.
        inputs: from codes to one-hot sequences.
        attacks: the attack of each network; () without.
    """
    chosen = attacks or [None] * len(networks)
    if name() == "jax" and not on_processor():
        return _AtOnce(networks, together, loss, inputs, chosen[0])
    return _InTurn(networks, scores, loss, inputs, chosen)


class _InTurn:
    def __init__(
        self,
        networks: Sequence[Network],
        scores: TrainingPass,
        loss: Loss,
        inputs: Inputs,
        attacks: Sequence[Attack | None],
    ) -> None:
        first = make_steps(*networks[0], scores, loss, inputs, attacks[0])
        share = getattr(first, "shared_with", None)
        others = [
            share(*one) if share else make_steps(*one, scores, loss, inputs, attack)
            for one, attack in zip(networks[1:], attacks[1:], strict=True)
        ]
        self._steps: list[Steps] = [first, *others]
        self.launch = first.launch
        self._faults: list[DeviceFaultError | None] = []
        self._active: list[bool] = []

    def start(self, active: Sequence[bool]) -> None:
        self._active, self._faults = [*active], [None] * len(active)
        for steps, wanted in zip(self._steps, active, strict=True):
            if wanted:
                steps.start()

    def run(self, batches: Sequence[Batches | None]) -> None:
        for number, found in enumerate(batches):
            if found is None or self._faults[number] is not None:
                continue
            try:
                self._steps[number].run(*found)
            except DeviceFaultError as fault:
                self._faults[number] = fault

    def finish(self) -> list[float | DeviceFaultError | None]:
        return [self._finish(number) for number in range(len(self._steps))]

    def _finish(self, number: int) -> float | DeviceFaultError | None:
        if not self._active[number] or self._faults[number] is not None:
            return self._faults[number]
        try:
            return self._steps[number].finish()
        except DeviceFaultError as fault:
            return fault


class _AtOnce:
    """All seeds in one program. What the slots of seeds that have stopped compute is thrown away.

    The first dimension of each value is the seed.
    """

    launch = LAUNCH

    def __init__(
        self,
        networks: Sequence[Network],
        scores: TrainingPass,
        loss: Loss,
        inputs: Inputs,
        attack: Attack | None,
    ) -> None:
        import jax

        self._guard = Guard(*networks[0])
        self._groups = [variable_groups(*one) for one in networks]
        parts = StepParts(*networks[0], scores, loss, inputs, attack)
        compute = programs(parts, self._guard)

        def one_step(active: Any, state: Any, codes: Any, labels: Any) -> Any:
            return _kept(active, compute.step(state, codes, labels), state)

        def many(active: Any, state: Any, codes: Any, labels: Any, count: Any) -> Any:
            return _kept(active, compute.many(state, codes, labels, count), state)

        self._step = jax.jit(jax.vmap(one_step), donate_argnums=1)
        self._many = jax.jit(jax.vmap(many, in_axes=(0, 0, 0, 0, None)), donate_argnums=1)
        self._look = jax.jit(jax.vmap(compute.look, in_axes=(0, 0, None)))
        self._begin = jax.jit(jax.vmap(compute.begin))
        self._copied = compute.copied
        self._active: list[bool] = []
        self._faults: list[DeviceFaultError | None] = []
        self._state: Any = None
        self._before: Any = None
        self._pending: Any = None

    def start(self, active: Sequence[bool]) -> None:
        import jax.numpy as jnp

        self._active, self._faults = [*active], [None] * len(active)
        stacked = [
            [jnp.stack([one.value for one in same]) for same in zip(*groups, strict=True)]
            for groups in zip(*self._groups, strict=True)
        ]
        now = self._guard.select(*stacked)
        self._before = self._copied(now)
        self._state = (*stacked, jnp.zeros(len(active)), self._begin(now))
        self._pending = None

    def run(self, batches: Sequence[Batches | None]) -> None:
        self._verify()
        some = next(one for one in batches if one is not None)
        codes, labels = (
            np.stack([np.zeros_like(some[part]) if one is None else one[part] for one in batches])
            for part in (0, 1)
        )
        active, count = np.array(self._active), codes.shape[1]
        if count == 1:
            self._state = self._step(active, self._state, codes[:, 0], labels[:, 0])
        else:
            missing = ((0, 0), (0, self.launch - count), (0, 0), (0, 0))
            padded = (np.pad(one, missing) for one in (codes, labels))
            self._state = self._many(active, self._state, *padded, count)
        *values, seen = self._state
        broken, before, fresh = self._look(self._before, self._state, count)
        self._pending = (broken, self._before, seen, count)
        self._before, self._state = before, (*values, fresh)

    def finish(self) -> list[float | DeviceFaultError | None]:
        self._verify()
        *groups, totals, _ = self._state
        self._state = self._before = None
        outcomes: list[float | DeviceFaultError | None] = []
        values = [[np.asarray(one) for one in group] for group in groups]
        for number, (wanted, fault) in enumerate(zip(self._active, self._faults, strict=True)):
            if not wanted or fault is not None:
                outcomes.append(fault)
                continue
            for variables, stacked in zip(self._groups[number], values, strict=True):
                for variable, one in zip(variables, stacked, strict=True):
                    variable.assign(one[number])
            outcomes.append(float(totals[number]))
        return outcomes

    def _verify(self) -> None:
        """Take out the seeds whose state breaks a bound; the others go on."""
        if self._pending is None:
            return
        broken, before, seen, count = self._pending
        self._pending = None
        for number in map(int, np.flatnonzero(np.asarray(broken))):
            if not self._active[number] or self._faults[number] is not None:
                continue
            values = (before, self._guard.select(*self._state[:3]), seen)
            earlier, now, saw = (_of_seed(one, number) for one in values)
            self._faults[number] = self._guard.fault(earlier, now, saw, count)


def _kept(active: Any, new: Any, old: Any) -> Any:
    """Return the new state of a seed that is active, else the old one."""
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda one, other: jnp.where(active, one, other), new, old)


def _of_seed(values: Any, number: int) -> Any:
    import jax

    return jax.tree.map(lambda one: one[number], values)
