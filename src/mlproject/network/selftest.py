"""The self-test of a device: does it compute what numpy and the processor do?

Some versions of JAX compute wrongly on some graphics processors, without an error: jax-ml/jax#40633
has ``ones(4) + 1`` give 513 and normal numbers that are not numbers, from kernels of one operator.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from mlproject.architectures import make_spec
from mlproject.data import Split
from mlproject.network import backend, fast_pass
from mlproject.network.build import build
from mlproject.network.epoch import seed_dropout, train_epoch
from mlproject.network.guard import DeviceFaultError
from mlproject.network.inputs import is_letters
from mlproject.network.memory import lacks_memory
from mlproject.network.selftest_operators import Kernel, kernels
from mlproject.network.steps import make_steps
from mlproject.network.training_tools import built_optimizer
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError, reason

NETWORKS = ("CNN-2", "CNN-25")
LENGTH, CLASSES = 200, 12
ROUNDING = 2.0**-24  # of float32, relative
TERMS = 20_000  # in a sum of a gradient: 100 sequences x 200 nt
# Rounding errors of n terms add up to about sqrt(n) of one; ten layers of sums follow each other.
STEP_TOLERANCE = 10 * TERMS**0.5 * ROUNDING  # 8e-5, relative; TensorFloat-32 is off by 5e-4
STEPS = 200
REPEATED_TOLERANCE = 0.01  # of kernels' squares where the device adds up in any order
BETA2 = 0.999  # Keras' default, which no spec changes
VARIABLE = 65_537  # elements of a variable that is assigned to


def differences() -> Iterator[str]:
    """Yield each thing that the device computes wrongly: nothing on a sound one.

    Raises:
        UserError: the device has no memory left.
    """
    backend.prepare()
    yield from _guarded("operators", _kernel_differences)
    yield from _guarded("random numbers", _random_differences)
    yield from _guarded("assignment", _assignment_differences)
    for arch in NETWORKS:
        yield from _guarded(f"training {arch}", partial(_training_differences, arch))


def _guarded(what: str, part: Callable[[], Iterator[str]]) -> Iterator[str]:
    """Yield a part's differences; an error of the device is one, but for lack of memory.

    Raises:
        UserError: the device has no memory left.
    """
    try:
        yield from part()
    except DeviceFaultError as fault:
        yield f"{what}: {fault}"
    except RuntimeError as error:
        if lacks_memory(error):
            raise UserError(
                "the self-test of a device needs some of its memory: there is none left; end the "
                "processes that hold it, or set XLA_PYTHON_CLIENT_PREALLOCATE=false for them"
            ) from error
        yield f"{what}: {reason(error)[:200]}"


def _kernel_differences() -> Iterator[str]:
    """Compare each operator alone and compiled; alone in two orders, as a kernel may leave dirt."""
    tested = kernels()
    ways: list[tuple[str, Callable[..., Any], list[Kernel]]] = [
        ("one operator at a time", lambda function: function, tested),
        ("compiled", backend.compiled, tested),
        ("one operator at a time", lambda function: function, tested[::-1]),
    ]
    for way, prepare, order in ways:
        for name, compute, inputs, wanted, terms in order:
            tensors = [ops.convert_to_tensor(one) for one in inputs]
            found = np.asarray(ops.convert_to_numpy(prepare(compute)(*tensors)))
            scale = float(np.abs(wanted).max())
            tolerance = 4 * terms**0.5 * ROUNDING * max(scale, terms**0.5)
            yield from _difference(f"{name}, {way},", found, np.asarray(wanted), tolerance)


def _random_differences() -> Iterator[str]:
    """Hold random numbers against their distributions, and against those of the processor."""
    count = 10_000
    far = 6 / count**0.5  # standard errors
    draws: dict[str, tuple[Callable[[], Any], float, float]] = {
        "normal": (lambda: keras.random.normal((count,), seed=7), 0.0, 1.0),
        "uniform": (lambda: keras.random.uniform((count,), seed=7), 0.5, 12**-0.5),
        "randint": (lambda: keras.random.randint((count,), 0, 101, seed=7), 50.0, 29.15),
    }
    for name, (draw, mean, spread) in draws.items():
        found = np.asarray(ops.convert_to_numpy(draw()), np.float64)
        moments = np.array([found.mean(), found.std()])
        wanted = np.array([mean, spread])
        yield from _difference(f"mean and spread of {name}", moments, wanted, far * spread)
        with backend.host():
            expected = np.asarray(ops.convert_to_numpy(draw()), np.float64)
        yield from _difference(f"{name} numbers", found, expected, 1e-4 * spread)


def _assignment_differences() -> Iterator[str]:
    """Assign the outcome of steps, which overwrite their input where they can, to a variable."""
    variable = keras.Variable(np.zeros(VARIABLE, np.float32), name="assigned")
    step = backend.overwriting(lambda x: x * 0.5 + 3.0)
    wanted = np.zeros(VARIABLE, np.float32)
    wanted[::3] = 1.0
    variable.assign(wanted)
    for _ in range(20):
        value = ops.copy(variable.value)
        for _ in range(3):
            value = step(value)
            wanted = wanted * np.float32(0.5) + np.float32(3.0)
        variable.assign(value)
        del value
        step(ops.ones(VARIABLE))  # takes the memory that has become free
        yield from _difference("a variable assigned to", backend.value(variable), wanted, 1e-5)


def _difference(
    name: str, found: np.ndarray, wanted: np.ndarray, tolerance: float
) -> Iterator[str]:
    if found.shape != wanted.shape:
        yield f"{name} gave shape {found.shape} instead of {wanted.shape}"
        return
    wrong = np.argwhere(~(np.abs(found - wanted) <= tolerance))
    if len(wrong):
        place = tuple(int(one) for one in wrong[0])
        yield f"{name} gave {found[place]:g} instead of {wanted[place]:g}"


class _Outcome(NamedTuple):
    loss: float
    weights: dict[str, np.ndarray]
    moments: dict[str, np.ndarray]


class _Network:
    """A network that is trained from the same start, on random sequences, as often as asked."""

    def __init__(self, arch: str, place: AbstractContextManager[Any]) -> None:
        self.spec, self._place = make_spec({"arch": arch}), place
        rng = np.random.default_rng(0)
        codes = rng.integers(0, 4, (100 * self.spec.batch_size, LENGTH)).astype(np.uint8)
        self._split = Split(codes, (rng.random((len(codes), CLASSES)) < 0.2).astype(np.uint8))
        with place:
            self._model = build(self.spec, LENGTH, CLASSES)
            self._optimizer = built_optimizer(self.spec, self._model)
            scores, _ = fast_pass.choose(self._model, is_letters(self.spec))
            self._steps = make_steps(self._model, self._optimizer, scores)
        self._variables = [*self._model.weights, *self._optimizer.variables]
        self.start = _values(self._variables)

    def train(self, steps: int) -> _Outcome:
        """Train for some steps of a batch, up to 100 an epoch."""
        loss = None
        with self._place:
            for variable in self._variables:
                variable.assign(self.start[variable.path])
            codes, labels, *_ = self._split
            for epoch in range(1, -(-steps // 100) + 1):
                seed_dropout(self._model, self.spec.seed, epoch)
                count = min(steps, 100) * self.spec.batch_size
                split = Split(codes[:count], labels[:count])
                loss = train_epoch(self._steps, split, self.spec, epoch)
        assert loss is not None
        return _Outcome(loss, _values(self._model.weights), _values(self._optimizer.variables))


def _training_differences(arch: str) -> Iterator[str]:
    network = _Network(arch, nullcontext())
    found = network.train(1)
    if not backend.on_processor():
        yield from _step_differences(arch, found, _Network(arch, backend.host()).train(1))
    yield from _adam_differences(arch, network.spec, network.start, found)
    if arch == NETWORKS[-1]:
        yield from _repeat_differences(arch, network)


def _step_differences(arch: str, found: _Outcome, wanted: _Outcome) -> Iterator[str]:
    """Compare loss, moving averages and gradients of a step with the processor's."""
    if not abs(found.loss - wanted.loss) <= STEP_TOLERANCE * wanted.loss:
        yield f"the loss of a step of {arch} was {found.loss:g} instead of {wanted.loss:g}"
    here, there = found.weights | found.moments, wanted.weights | wanted.moments
    for path in here:
        if "/moving_" not in path and not path.endswith("_momentum"):
            continue
        size = float(np.linalg.norm(there[path]))
        apart = float(np.linalg.norm(here[path] - there[path])) / max(size, 1e-30)
        if not apart <= STEP_TOLERANCE:
            yield f"a step of {arch} gave {path} {apart:.0e} of its norm off the processor's"


def _adam_differences(
    arch: str, spec: RunSpec, start: Mapping[str, np.ndarray], found: _Outcome
) -> Iterator[str]:
    """Compute from its moments what the first step of Adam does to each weight."""
    rate = spec.learning_rate * (1 - BETA2) ** 0.5 / (1 - spec.beta1)
    for path, weights in found.weights.items():
        first = found.moments.get(f"adam/{path.replace('/', '_')}_momentum")
        second = found.moments.get(f"adam/{path.replace('/', '_')}_velocity")
        if first is None or second is None:
            continue
        wanted = start[path] - rate * first / (np.sqrt(second) + spec.adam_epsilon)
        tolerance = 1e-4 * spec.learning_rate + 2 * ROUNDING
        yield from _difference(f"{path} after a step of {arch}", weights, wanted, tolerance)


def _repeat_differences(arch: str, network: _Network) -> Iterator[str]:
    """Train twice; an accelerator may add up in any order, and so differ by rounding alone."""
    first, second = (network.train(STEPS).weights for _ in range(2))
    tolerance = 0.0 if backend.on_processor() else REPEATED_TOLERANCE
    for path, one in first.items():
        if path.endswith("/kernel"):
            squares, again = (float(np.vdot(x, x)) for x in (one, second[path]))
            if not abs(squares - again) <= tolerance * squares:
                yield f"{STEPS} steps of {arch} gave {path} squares of {squares:g}, then {again:g}"


def _values(variables: list[keras.Variable]) -> dict[str, np.ndarray]:
    return {one.path: backend.value(one) for one in variables}
