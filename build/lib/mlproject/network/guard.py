"""Bounds that the state of a training satisfies on any data; a violation is a device fault.

Some GPUs have overwritten weights in the middle of a training, without an error. After each launch
the state is compared with the previous state. With Adam, for each element:

* ``m^2 <= c v`` for the moments m and v, by the Cauchy-Schwarz inequality with
  ``c = (1 - beta1)^2 / (1 - beta2) / (1 - beta1^2 / beta2)``. So a step changes a weight by at most
  ``learning_rate * sqrt(c)`` times the bias correction.
* ``0 <= v <= g^2`` and ``|m| <= g`` for the largest gradient g so far (or v, m at the start).
* A moving average lies between the weighted means of its previous value and the lowest, or highest,
  batch statistic of the launch. A moving variance is not negative.
* All values are finite.

Source of Adam: Kingma & Ba, ICLR 2015; the first bound is a rigorous form of their section 2.1.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

SLACK = 0.01  # relative; sums of float32 over 1 / (1 - beta2) steps are good to 1e-4
TINY = 1e-30  # smaller squares lose digits
LARGEST = 1e30  # of a bound, so that its products stay below the largest float32
EPSILON = float(np.finfo(np.float32).eps)


class DeviceFaultError(RuntimeError):
    """The state of a training violates a bound that holds for every data set.

    Attributes:
        element: the variable and the index in it, such as ``conv1/kernel[3, 0, 17]``.
        finite: whether all values of the state are finite.
    """

    def __init__(self, element: str, finite: bool = True) -> None:
        super().__init__(f"the device changed {element} in a way that no training step can")
        self.element = element
        self.finite = finite


class LaunchExtremes(NamedTuple):
    """Extreme values over the steps of a launch, as tensors on the device.

    Attributes:
        largest: scalar, the maximum of all absolute gradients, and of the first moments and roots
            of second moments at the start of the epoch.
        lowest: the lowest batch statistic of each moving average, by element.
        highest: the highest batch statistic, likewise.
    """

    largest: Any
    lowest: list[Any]
    highest: list[Any]


class GuardedValues(NamedTuple):
    """Values of the variables that are checked, in the order of `Guard`'s lists."""

    weights: Sequence[Any]
    averages: Sequence[Any]
    first: Sequence[Any]
    second: Sequence[Any]


class Guard:
    """Checks the state of one model and its optimizer.

    Args:
        model: a built model; the moving averages are those of its batch norms.
        optimizer: built on the model's trainable variables. Bounds on moments and steps are known
            for Adam only. With another optimizer only the other bounds are checked.
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

    def select(
        self, weights: Sequence[Any], others: Sequence[Any], moments: Sequence[Any]
    ) -> GuardedValues:
        """Select the checked values from all values of a model and its optimizer."""
        return GuardedValues(
            weights,
            [others[number] for number in self.averages],
            [moments[number] for number in self.first],
            [moments[number] for number in self.second],
        )

    def begin(self, state: GuardedValues) -> Any:
        """Return `LaunchExtremes.largest` at the start of an epoch."""
        bounds = [ops.zeros(()), *(ops.max(ops.abs(one)) for one in state.first)]
        bounds += [ops.sqrt(ops.max(ops.maximum(one, 0.0))) for one in state.second]
        return ops.max(ops.stack(bounds))

    def reset(self, largest: Any, averages: Sequence[Any]) -> LaunchExtremes:
        """Return the extremes before the first step of a launch."""
        shapes = [ops.shape(one) for one in averages]
        low = [ops.full(shape, math.inf, "float32") for shape in shapes]
        return LaunchExtremes(largest, low, [-one for one in low])

    def update(
        self,
        extremes: LaunchExtremes,
        gradients: Sequence[Any],
        before: Sequence[Any],
        after: Sequence[Any],
    ) -> LaunchExtremes:
        """Return the extremes after one more step.

        Args:
            extremes: the extremes before the step.
            gradients: gradients of the weights in the step.
            before: the moving averages before the step.
            after: the moving averages after the step.
        """
        largest = ops.max(ops.stack([extremes.largest, *(ops.max(ops.abs(g)) for g in gradients)]))
        batch = [
            (new - momentum * old) / (1.0 - momentum)
            for momentum, old, new in zip(self.momenta, before, after, strict=True)
        ]
        low = [ops.minimum(one, new) for one, new in zip(extremes.lowest, batch, strict=True)]
        high = [ops.maximum(one, new) for one, new in zip(extremes.highest, batch, strict=True)]
        return LaunchExtremes(largest, low, high)

    def broken(
        self, before: GuardedValues, after: GuardedValues, extremes: LaunchExtremes, steps: Any
    ) -> Any:
        """Return whether any element violates a bound, a scalar bool tensor.

        Args:
            before: the state at the start of the launch; its moments are not read.
            after: the current state.
            extremes: extremes over the steps in between.
            steps: number of these steps.
        """
        return ops.any(
            ops.stack([ops.any(mask) for _, mask in self._masks(before, after, extremes, steps)])
        )

    def fault(
        self, before: GuardedValues, after: GuardedValues, extremes: LaunchExtremes, steps: int
    ) -> DeviceFaultError:
        """Return the error for the first element out of bounds; arguments as for `broken`."""
        groups = (after.weights, after.first, after.second, after.averages)
        finite = all(bool(ops.all(ops.isfinite(one))) for group in groups for one in group)
        for name, mask in self._masks(before, after, extremes, steps):
            places = np.argwhere(ops.convert_to_numpy(mask))
            if len(places):
                place = [int(one) for one in places[0]]
                return DeviceFaultError(f"{name}{place or ''}", finite)
        return DeviceFaultError("the result of the check itself", finite)

    def _masks(
        self, before: GuardedValues, after: GuardedValues, extremes: LaunchExtremes, steps: Any
    ) -> Iterator[tuple[str, Any]]:
        """Yield the name of each tensor and a mask of the elements that violate a bound.

        Each mask negates the condition that must hold, since comparisons with not-a-number are
        false.
        """
        steps = ops.cast(steps, "float32")
        largest = extremes.largest * (1 + SLACK)
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
            extremes.lowest, extremes.highest, strict=True,
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
        yield "the largest gradient", ops.logical_not(extremes.largest < math.inf)
