"""Bounds that the state of a training keeps on any data: a device that breaks one is at fault.

Some graphics processors have overwritten weights in the middle of a training, without an error.
After each launch the state is compared with the one before. With Adam, for each element:

* ``m^2 <= c v`` for the moments m and v, by the Cauchy-Schwarz inequality with
  ``c = (1 - beta1)^2 / (1 - beta2) / (1 - beta1^2 / beta2)``. So a step changes a weight by at most
  ``learning_rate * sqrt(c)`` times the bias correction.
* ``0 <= v <= g^2`` and ``|m| <= g`` for the largest gradient g so far (or v, m at the start).
* A moving average lies between the earlier one and the extreme batch statistics of the launch, each
  with its weight; a moving variance is not negative.
* Everything is finite.

Source of Adam: Kingma & Ba, ICLR 2015; the first bound is a rigorous form of their section 2.1.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

SLACK = 0.01  # relative; sums of float32 over 1 / (1 - beta2) steps are good to 1e-4
TINY = 1e-30  # squares below lose digits
LARGEST = 1e30  # a bound, so that products with it stay below the largest float32
EPSILON = float(np.finfo(np.float32).eps)


class DeviceFaultError(RuntimeError):
    """The state of a training broke a bound that holds for every data set.

    Attributes:
        element: the variable and the place within it, such as ``conv1/kernel[3, 0, 17]``.
        finite: whether what stands there is a number.
    """

    def __init__(self, element: str, finite: bool = True) -> None:
        super().__init__(f"the device changed {element} in a way that no training step can")
        self.element = element
        self.finite = finite


class Seen(NamedTuple):
    """What the steps of a launch saw, as tensors on the device.

    Attributes:
        largest: the largest absolute gradient, and first moment and root of a second moment at the
            start of the epoch; scalar.
        lowest: the lowest batch statistic of each moving average, by element.
        highest: the highest.
    """

    largest: Any
    lowest: list[Any]
    highest: list[Any]


class State(NamedTuple):
    """Values of the variables of a training, in the order of `Guard`'s lists."""

    weights: Sequence[Any]
    averages: Sequence[Any]
    first: Sequence[Any]
    second: Sequence[Any]


class Guard:
    """Checks the state of one model and its optimizer.

    Args:
        model: built; its batch norms have the moving averages.
        optimizer: built on the model's trainable variables. Only Adam's moments and steps have
            known bounds; with another optimizer the rest is checked.
    """

    def __init__(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        norms = [one for one in model.layers if isinstance(one, keras.layers.BatchNormalization)]
        pairs = [(norm, kind) for norm in norms for kind in ("moving_mean", "moving_variance")]
        others = [id(one) for one in model.non_trainable_variables]
        self.averages = [others.index(id(getattr(norm, kind))) for norm, kind in pairs]
        self.momenta = [float(norm.momentum) for norm, _ in pairs]
        self._positive = [kind == "moving_variance" for _, kind in pairs]
        self._names = [one.path for one in model.trainable_variables]
        self._average_names = [getattr(norm, kind).path for norm, kind in pairs]
        paths = [one.path for one in optimizer.variables]
        self.first = [number for number, path in enumerate(paths) if path.endswith("_momentum")]
        self.second = [number for number, path in enumerate(paths) if path.endswith("_velocity")]
        self.step_bound, self._ratio = math.inf, math.inf
        if type(optimizer) is not keras.optimizers.Adam:
            self.first, self.second = [], []
            return
        beta1, beta2 = float(optimizer.beta_1), float(optimizer.beta_2)
        self._ratio = (1 - beta1) ** 2 / (1 - beta2) / (1 - beta1**2 / beta2)
        steps = np.arange(1, 10_001)
        correction = np.sqrt(1 - beta2**steps) / (1 - beta1**steps)
        sums = np.sqrt((1 - (beta1**2 / beta2) ** steps) * self._ratio)
        self.step_bound = min(
            float(optimizer.learning_rate) * float((correction * sums).max()), LARGEST
        )

    def state(self, weights: Sequence[Any], others: Sequence[Any], moments: Sequence[Any]) -> State:
        """Pick the watched values out of all values of a model and its optimizer."""
        return State(
            weights,
            [others[number] for number in self.averages],
            [moments[number] for number in self.first],
            [moments[number] for number in self.second],
        )

    def begin(self, state: State) -> Any:
        """Return `Seen.largest` at the start of an epoch."""
        bounds = [ops.zeros(()), *(ops.max(ops.abs(one)) for one in state.first)]
        bounds += [ops.sqrt(ops.max(ops.maximum(one, 0.0))) for one in state.second]
        return ops.max(ops.stack(bounds))

    def forget(self, seen: Any, averages: Sequence[Any]) -> Seen:
        """Return what a launch has seen before its first step."""
        shapes = [ops.shape(one) for one in averages]
        low = [ops.full(shape, math.inf, "float32") for shape in shapes]
        return Seen(seen, low, [-one for one in low])

    def see(
        self, seen: Seen, gradients: Sequence[Any], before: Sequence[Any], after: Sequence[Any]
    ) -> Seen:
        """Return what is seen after one more step.

        Args:
            seen: until then.
            gradients: of the weights.
            before: the moving averages before the step.
            after: those after it.
        """
        largest = ops.max(ops.stack([seen.largest, *(ops.max(ops.abs(g)) for g in gradients)]))
        batch = [
            (new - momentum * old) / (1.0 - momentum)
            for momentum, old, new in zip(self.momenta, before, after, strict=True)
        ]
        low = [ops.minimum(one, new) for one, new in zip(seen.lowest, batch, strict=True)]
        high = [ops.maximum(one, new) for one, new in zip(seen.highest, batch, strict=True)]
        return Seen(largest, low, high)

    def broken(self, before: State, after: State, seen: Seen, steps: Any) -> Any:
        """Return whether any element breaks a bound, a scalar bool tensor.

        Args:
            before: the state when the launch began; its moments are not read.
            after: the state now.
            seen: by the steps in between.
            steps: how many there were.
        """
        return ops.any(
            ops.stack([ops.any(mask) for _, mask in self._masks(before, after, seen, steps)])
        )

    def fault(self, before: State, after: State, seen: Seen, steps: int) -> DeviceFaultError:
        """Return the error that names the first element out of bounds; arguments as `broken`."""
        groups = (after.weights, after.first, after.second, after.averages)
        finite = all(bool(ops.all(ops.isfinite(one))) for group in groups for one in group)
        for name, mask in self._masks(before, after, seen, steps):
            places = np.argwhere(ops.convert_to_numpy(mask))
            if len(places):
                place = [int(one) for one in places[0]]
                return DeviceFaultError(f"{name}{place or ''}", finite)
        return DeviceFaultError("its answer whether the state is good", finite)

    def _masks(
        self, before: State, after: State, seen: Seen, steps: Any
    ) -> Iterator[tuple[str, Any]]:
        """Yield the name of each tensor and where it breaks a bound.

        A comparison with not-a-number is false, so each bound is written as what must hold.
        """
        steps = ops.cast(steps, "float32")
        largest = seen.largest * (1 + SLACK)
        for name, old, new in zip(self._names, before.weights, after.weights, strict=True):
            bound = steps * (self.step_bound * (1 + SLACK) + 2 * EPSILON * ops.abs(old))
            change = ops.abs(new - old)
            good = ops.logical_and(change <= bound, change < math.inf)
            yield name, ops.logical_not(good)
        for name, m, v in zip(self._names, after.first, after.second, strict=bool(after.first)):
            good = ops.logical_and(
                ops.square(m) <= (1 + SLACK) * self._ratio * v + TINY, ops.abs(m) <= largest
            )
            yield f"the first moment of {name}", ops.logical_not(good)
            good = ops.logical_and(v >= 0.0, v <= ops.square(largest) + TINY)
            yield f"the second moment of {name}", ops.logical_not(good)
        rows = zip(
            self._average_names, self.momenta, self._positive, before.averages, after.averages,
            seen.lowest, seen.highest, strict=True,
        )  # fmt: skip
        for name, momentum, positive, old, new, low, high in rows:
            kept = momentum**steps
            slack = SLACK * (ops.abs(old) + ops.maximum(ops.abs(low), ops.abs(high))) + TINY
            good = ops.logical_and(
                new >= kept * old + (1 - kept) * low - slack,
                new <= kept * old + (1 - kept) * high + slack,
            )
            if positive:
                good = ops.logical_and(good, new >= 0.0)
            yield name, ops.logical_not(good)
        yield "the largest gradient", ops.logical_not(seen.largest < math.inf)
