"""CPU milliseconds of ways to compute the parts of a training step: what is used, what is not.

    python benchmarks/candidates.py

One thread, JAX, a batch of 100 sequences of 200 nt and 30 filters of 19 nt. The ways of a part take
turns; medians of 9. Each way's result is compared with that of the part's first.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from mlproject.system import startup

startup.prepare_keras("jax", 1)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from jax import lax  # noqa: E402
from keras import ops  # noqa: E402

from mlproject.network import backend  # noqa: E402
from mlproject.network.fast_pass import wide_pool  # noqa: E402
from mlproject.network.fast_pass.convolution import convolve  # noqa: E402
from mlproject.network.fast_pass.letters import convolve_letters  # noqa: E402
from mlproject.network.fast_pass.pool import padded, window_max  # noqa: E402
from mlproject.network.fast_pass.winograd import convolve_winograd  # noqa: E402
from mlproject.network.random_bits import threefry_words  # noqa: E402

BATCH, LENGTH, FILTERS, WIDTH = 100, 200, 30, 19
DEEPER = 128  # filters
WORDS = 620_000
OVERLAP_STEP = 2
FEW, MOST_IN_TURN = 2, 4  # places of a pool whose maxima are searched in turn, as used and tried
TOGETHER = 4  # positions in one row of a product of windows
ROUNDS, CALLS = 9, 15

Part = dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]


def windows(x: Any, positions: int) -> Any:
    """Return rows of letters that the filters see from so many neighbouring positions."""
    before = (WIDTH - 1) // 2
    pieces = -(-(positions + WIDTH - 1) // positions)
    total = LENGTH + (pieces - 1) * positions
    x = jnp.pad(x, [[0, 0], [before, total - LENGTH - before], [0, 0]])
    x = x.reshape(BATCH, total // positions, positions * 4)
    rows = [x[:, first : first + LENGTH // positions] for first in range(pieces)]
    return jnp.concatenate(rows, axis=-1).reshape(-1, pieces * positions * 4)


def product(x: Any, kernel: Any) -> Any:
    """Return the convolution as a product of windows."""
    rows = windows(x, TOGETHER)
    longer = rows.shape[1] // 4
    copies = [
        jnp.pad(kernel, [[at, longer - WIDTH - at], [0, 0], [0, 0]]) for at in range(TOGETHER)
    ]
    factor = jnp.stack(copies, axis=2).reshape(rows.shape[1], -1)
    return (rows @ factor).reshape(BATCH, LENGTH, FILTERS)


def gradient_by_product(x: Any, upstream: Any) -> Any:
    """Return the gradient of the kernel as a product of windows."""
    rows = windows(x, TOGETHER)
    found = upstream.reshape(-1, TOGETHER * FILTERS).T @ rows
    found = found.reshape(TOGETHER, FILTERS, -1, 4)
    return sum(found[at, :, at : at + WIDTH] for at in range(TOGETHER)).transpose(1, 2, 0)


def three_letters(x: Any, kernel: Any) -> Any:
    """Return the convolution from three letters: the fourth is one less their sum."""
    ends = [[0, 0], [(WIDTH - 1) // 2, WIDTH // 2], [0, 0]]
    constant = ops.conv(jnp.pad(jnp.ones((1, LENGTH, 1)), ends), kernel[:, 3:], padding="valid")
    return convolve(x[..., :3], kernel[:, :3] - kernel[:, 3:]) + constant


def gradient_of_one_sequence(x: Any, upstream: Any) -> Any:
    """Return the gradient of the kernel from all sequences in a row, which swaps no axes."""
    before, more = (WIDTH - 1) // 2, WIDTH - 1
    x = jnp.pad(x, [[0, 0], [before, more - before], [0, 0]]).reshape(-1, 4)
    x = jnp.pad(x, [[0, more], [0, 0]]).T[:, :, None]
    upstream = jnp.pad(upstream, [[0, 0], [0, more], [0, 0]]).reshape(-1, 1, FILTERS)
    return ops.conv(x, upstream, padding="valid").transpose(1, 0, 2)


def of_map(
    maxima: Callable[[Any, int], Any], convolution: Callable[..., Any] = convolve
) -> Callable[..., Any]:
    """Return a function of the maxima of the map, and mean and variance of each filter's map."""

    def pooled(x: Any, kernel: Any, pool: int) -> tuple[Any, Any, Any]:
        y = convolution(x, kernel)
        mean = y.mean((0, 1))
        variance = jnp.square(y - lax.stop_gradient(mean)).mean((0, 1))
        return maxima(y, pool), mean, variance

    return pooled


def reductions(y: Any, pool: int) -> Any:
    return window_max(y, pool, pool)


def in_turn(y: Any, pool: int) -> Any:
    return window_max(y, pool, pool, stored=True)


def overlapping(y: Any, pool: int) -> Any:
    return window_max(y, pool, OVERLAP_STEP, stored=True)


def in_one_expression(y: Any, pool: int) -> Any:
    """Return `overlapping` without a loop, and with the gradient of JAX."""
    maxima = window_max(padded(y, pool, OVERLAP_STEP)[0], OVERLAP_STEP, OVERLAP_STEP, stored=True)
    covered, number = 1, pool // OVERLAP_STEP
    while covered < number:
        distance = min(covered, number - covered)
        maxima = jnp.maximum(maxima[:, :-distance], maxima[:, distance:])
        covered += distance
    return maxima


def block(pool: int, pooled: Callable[..., Any]) -> Callable[..., Any]:
    """Return the gradient of a convolution block by its kernel."""

    def value(kernel: Any, x: Any, upstream: Any) -> Any:
        maxima, mean, variance = pooled(x, kernel, pool)
        return (jax.nn.relu((maxima - mean) * lax.rsqrt(variance + 1e-3)) * upstream).sum()

    return jax.grad(value)


def parts() -> dict[str, Part]:
    """Return the ways to compute each part, with their arguments."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (BATCH, LENGTH))
    x = jnp.asarray(np.eye(4, dtype=np.float32)[codes])
    kernel = jnp.asarray(rng.standard_normal((WIDTH, 4, FILTERS)), jnp.float32)
    upstream = jnp.asarray(rng.standard_normal((BATCH, LENGTH, FILTERS)), jnp.float32)
    key = jnp.array([123, 456], jnp.uint32)

    def plain(x: Any, kernel: Any) -> Any:
        return ops.conv(x, kernel, padding="same")

    def gradient(x: Any, upstream: Any) -> Any:
        return jax.vjp(lambda kernel: plain(x, kernel), kernel)[1](upstream)[0]

    found: dict[str, Part] = {
        f"{WORDS:,} random words": {
            "jax.random.bits": (lambda key: jax.random.bits(key, (WORDS,), "uint32"), (key,)),
            "unrolled (used)": (lambda key: threefry_words(key, WORDS), (key,)),
        },
        "convolution of letters": {
            "plain": (plain, (x, kernel)),
            "of pairs": (convolve, (x, kernel)),
            "tables of three letters (used)": (convolve_letters, (x, kernel)),
            "product of windows": (product, (x, kernel)),
            "three letters and a constant": (three_letters, (x, kernel)),
        },
        "gradient of its kernel": {
            "of the convolution (used)": (gradient, (x, upstream)),
            "product of windows": (gradient_by_product, (x, upstream)),
            "one long sequence": (gradient_of_one_sequence, (x, upstream)),
        },
    }
    for pool in (2, 4, 10, 25, 100):
        pooled = jnp.asarray(rng.standard_normal((BATCH, LENGTH // pool, FILTERS)), jnp.float32)
        used = "places in turn, from tables" if pool == FEW else "windows, from tables"
        pooling: dict[str, Callable[..., Any]] = {
            "reductions": of_map(reductions),
            "windows": wide_pool.pooled,
            "windows, from tables": partial(wide_pool.pooled, letters=True),
        }
        if pool <= MOST_IN_TURN:
            pooling["places in turn"] = of_map(in_turn)
            pooling["places in turn, from tables"] = of_map(in_turn, convolve_letters)
        ways: Part = {
            name + " (used)" * (name == used): (block(pool, way), (kernel, x, pooled))
            for name, way in pooling.items()
        }
        found[f"block with a pool of {pool}"] = ways
    for channels in (FILTERS, DEEPER):
        found |= deeper(rng, channels, plain)
    each = jnp.asarray(rng.standard_normal((BATCH, LENGTH // OVERLAP_STEP, FILTERS)), jnp.float32)
    for pool in (4, 50):
        found[f"pool of {pool}, step of {OVERLAP_STEP}"] = {
            "one expression": (block(pool, of_map(in_one_expression)), (kernel, x, each)),
            "a loop (used)": (block(pool, of_map(overlapping)), (kernel, x, each)),
        }
    return found


def deeper(rng: np.random.Generator, channels: int, plain: Callable[..., Any]) -> dict[str, Part]:
    """Return the ways to convolve a map with `DEEPER` filters of five positions."""
    x, kernel, upstream = (
        jnp.asarray(rng.standard_normal(shape), jnp.float32)
        for shape in ((BATCH, LENGTH, channels), (5, channels, DEEPER), (BATCH, LENGTH, DEEPER))
    )
    ways = {"plain": plain, "Winograd's method (used)": convolve_winograd}

    def gradients(way: Callable[..., Any]) -> Callable[..., Any]:
        def both(x: Any, kernel: Any, upstream: Any) -> Any:
            return jnp.concatenate([jnp.ravel(one) for one in jax.vjp(way, x, kernel)[1](upstream)])

        return both

    name = f"convolution of {channels} channels"
    return {
        name: {way: (compute, (x, kernel)) for way, compute in ways.items()},
        f"gradients of the {name}": {
            way: (gradients(compute), (x, kernel, upstream)) for way, compute in ways.items()
        },
    }


def main() -> None:
    """Print a line for each way."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    backend.prepare()
    print("CPU ms a batch")
    for part, ways in parts().items():
        compiled = {name: (jax.jit(way), arguments) for name, (way, arguments) in ways.items()}
        results = [np.asarray(way(*arguments)) for way, arguments in compiled.values()]
        for one in results[1:]:
            np.testing.assert_allclose(
                one, results[0], rtol=1e-3, atol=1e-4 * abs(results[0]).max()
            )
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, (way, arguments) in compiled.items():
                before = time.process_time()
                for _ in range(CALLS):
                    result = way(*arguments)
                result.block_until_ready()
                times[name].append((time.process_time() - before) / CALLS * 1e3)
        for name, values in times.items():
            print(f"{part:<40} {name:<32} {statistics.median(values):7.2f}", flush=True)


if __name__ == "__main__":
    main()
