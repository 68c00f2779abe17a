"""CPU milliseconds of a whole training step of a network, launched and updated in several ways.

    python benchmarks/step_candidates.py [NETWORK]

One thread, JAX. The ways take turns, medians of 7 rounds of 48 steps, without the guard's check of
the state after each eighth step.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from mlproject.system import startup

startup.prepare_keras("jax", 1)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from epochs import CLASSES, LENGTH, adam, random_split  # noqa: E402

from mlproject.architectures import ARCHITECTURES, make_spec  # noqa: E402
from mlproject.network import backend, fast_pass  # noqa: E402
from mlproject.network.build import build  # noqa: E402
from mlproject.network.guard import Guard  # noqa: E402
from mlproject.network.inputs import is_letters, one_hot_tensor  # noqa: E402
from mlproject.network.jax_steps import Programs, programs  # noqa: E402
from mlproject.network.loss import cross_entropy  # noqa: E402
from mlproject.network.step_parts import StepParts, variable_groups  # noqa: E402
from mlproject.network.training_tools import built_optimizer  # noqa: E402
from mlproject.spec import RunSpec  # noqa: E402

ROUNDS, STEPS, UNROLLED = 7, 48, (2, 4)

Launch = Callable[[Any, Any, Any], Any]


def launches(step: Any, many: Any, example: tuple[Any, ...]) -> dict[str, tuple[Launch, int]]:
    """Return ways to launch steps, and the batches of each launch."""

    def unrolled(count: int) -> Launch:
        def some(state: Any, codes: Any, labels: Any) -> Any:
            for number in range(count):
                state = step(state, codes[number], labels[number])
            return state

        return jax.jit(some, donate_argnums=0)

    def loop(state: Any, codes: Any, labels: Any) -> Any:
        return many(state, codes, labels, STEPS)

    compiled = jax.jit(step, donate_argnums=0)
    return {
        "one step (used)": (compiled, 1),
        "one step, compiled ahead": (compiled.lower(*example).compile(), 1),
        **{f"{count} steps, unrolled": (unrolled(count), count) for count in UNROLLED},
        f"a loop of {STEPS} steps": (jax.jit(loop, donate_argnums=0), STEPS),
    }


def program(spec: RunSpec) -> tuple[Programs, Any]:
    """Return the functions that train a network, and its first state."""
    model = build(spec, LENGTH, CLASSES)
    optimizer, (scores, _) = built_optimizer(spec, model), fast_pass.choose(model, is_letters(spec))
    guard = Guard(model, optimizer)
    parts = StepParts(model, optimizer, scores, cross_entropy, one_hot_tensor, None)
    compute = programs(parts, guard)
    groups = variable_groups(model, optimizer)
    values = [[one.value for one in group] for group in groups]
    return compute, (*values, jnp.zeros(()), compute.begin(guard.select(*values)))


def updates(spec: RunSpec, weights: list[Any]) -> dict[str, tuple[Callable[..., Any], Any]]:
    """Return ways to update all weights by Adam, with the state of each."""
    optimizer = adam(spec)
    optimizer.build([keras.Variable(one) for one in weights])

    def by_variable(state: Any, gradients: Any) -> Any:
        return optimizer.stateless_apply(state[1], gradients, state[0])

    def as_one(state: Any, gradients: Any) -> Any:
        values, first, second, count = state
        vector = jnp.concatenate([jnp.ravel(one) for one in gradients])
        first = spec.beta1 * first + (1 - spec.beta1) * vector
        second = 0.999 * second + 0.001 * vector * vector
        rate = spec.learning_rate * jnp.sqrt(1 - 0.999 ** (count + 1))
        rate = rate / (1 - spec.beta1 ** (count + 1))
        change = rate * first / (jnp.sqrt(second) + spec.adam_epsilon)
        ends = np.cumsum([one.size for one in values])[:-1]
        parts = zip(values, jnp.split(change, ends), strict=True)
        values = [one - part.reshape(one.shape) for one, part in parts]
        return values, first, second, count + 1

    nothing = jnp.zeros(sum(one.size for one in weights))
    return {
        "Adam, variable by variable (used)": (
            by_variable, (weights, [one.value for one in optimizer.variables]),
        ),
        "Adam of one vector": (as_one, (weights, nothing, nothing, jnp.zeros(()))),
    }  # fmt: skip


def copied(state: Any) -> Any:
    """Return a copy, since a launch replaces its state."""
    return jax.tree.map(jnp.array, state)


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "network", nargs="?", default="CNN-25", choices=ARCHITECTURES, metavar="NETWORK"
    )
    network = parser.parse_args().network
    spec = make_spec({"arch": network})
    backend.prepare()
    compute, state = program(spec)
    data = random_split(STEPS * spec.batch_size)
    shape = (STEPS, spec.batch_size, -1)
    codes, labels = (np.reshape(one, shape) for one in (data.codes, data.labels))
    example = (state, codes[0], labels[0])
    ways: dict[str, tuple[Callable[..., Any], Any]] = {}
    for name, (launch, count) in launches(compute.step, compute.many, example).items():

        def run(state: Any, launch: Launch = launch, count: int = count) -> Any:
            for first in range(0, STEPS, count):
                some = slice(first, first + count) if count > 1 else first
                state = launch(state, codes[some], labels[some])
            return state

        ways[name] = (run, state)
    gradients = [jnp.full_like(one, 1e-3) for one in state[0]]
    for name, (update, start) in updates(spec, state[0]).items():
        compiled = jax.jit(update, donate_argnums=0)

        def repeat(state: Any, compiled: Callable[..., Any] = compiled) -> Any:
            for _ in range(STEPS):
                state = compiled(state, gradients)
            return state

        ways[name] = (repeat, start)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, (run, start) in ways.items():
            begin = jax.block_until_ready(copied(start))
            before = time.process_time()
            jax.block_until_ready(run(begin))
            if number:  # the first round compiles
                times[name].append((time.process_time() - before) / STEPS * 1e3)
    print(f"{network}: CPU ms a step")
    for name, values in times.items():
        print(f"{name:<36} {statistics.median(values):7.2f}")


if __name__ == "__main__":
    main()
