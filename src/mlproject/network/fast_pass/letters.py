"""Convolutions of letters, added from tables of what three neighbouring letters contribute.

Three letters of 19 x 4 x 30 weights have 125 values, the unknown letter included. A table holds
their sums for each filter, so that a position of the map is the sum of 7 rows of tables instead of
a product with 76 numbers. One sequence is computed at a time, since its map then stays in the
processor's cache. For JAX only. The sequences must be one-hot: noise would be read as letters.
"""

from typing import Any

from keras import ops

from mlproject.geometry import Window
from mlproject.network import backend
from mlproject.network.fast_pass.convolution import with_plain_gradients
from mlproject.network.fast_pass.pool import LOWEST, first_places
from mlproject.sequence import LETTERS

TOGETHER = 3  # letters of a row: tables of four exceed the second cache of many processors
KINDS = len(LETTERS) + 1  # the unknown letter contributes nothing
LANES = 16  # float32 numbers in the longest register of a processor
LEAST_FILTERS = 16  # fewer leave registers empty
LEAST_WIDTH = 7  # a narrower map is as fast by a product
MOST_IN_TURN = 100  # positions of a window; more would take seconds to compile


def is_cheaper(kernel: Any, before_pool: bool) -> bool:
    """Return whether a convolution of letters is cheaper from tables.

    Args:
        kernel: (width, 4, filters).
        before_pool: whether the maxima of windows are wanted, not the map.
    """
    width, _, filters = kernel.shape
    wide = before_pool or width >= LEAST_WIDTH
    return wide and filters >= LEAST_FILTERS and backend.name() == "jax"


def convolve_letters(x: Any, kernel: Any) -> Any:
    """Return the convolution, padded to ``same``.

    Args:
        x: (batch, positions, 4), one-hot, zeros for an unknown letter.
        kernel: (width, 4, filters).

    Returns:
        (batch, positions, filters). The gradients are those of the plain convolution.
    """
    return with_plain_gradients(_from_tables)(x, kernel)


def _from_tables(x: Any, kernel: Any) -> Any:
    from jax import lax

    tables, rows = _tables(kernel), _rows(x, kernel)
    filters, positions = kernel.shape[2], x.shape[1]
    return lax.map(lambda row: _map_of(tables, row, positions)[:, :filters], rows)


def maxima_and_places(x: Any, kernel: Any, window: int, kept: Any = None) -> tuple[Any, Any]:
    """Return the maxima of a convolution before a max-pool, and their places in the windows.

    Args:
        x: as for `convolve_letters`.
        kernel: (width, 4, filters).
        window: positions a window of the pool, which is also its stride, padded to ``same``.
        kept: the values that dropout keeps for the pool, (batch, positions, filters), bool.

    Returns:
        The maxima (batch, windows, filters), `LOWEST` if nothing is kept, and the places of the
        first of equal ones, int32.
    """
    from jax import lax

    filters, positions = kernel.shape[2], x.shape[1]
    before, after = Window(window, window).pad(positions)
    tables, rows = _tables(kernel), _rows(x, kernel)
    behind = tables.shape[2] - filters
    known = [] if kept is None else [ops.pad(kept, [[0, 0], [0, 0], [0, behind]])]

    def of_sequence(one: tuple[Any, ...]) -> tuple[Any, Any]:
        def padded_map() -> Any:
            y = _map_of(tables, one[0], positions)
            y = ops.where(one[1], y, LOWEST) if known else y
            return ops.pad(y, [[before, after], [0, 0]], constant_values=-float("inf"))

        def nothing() -> Any:
            return ops.zeros((positions + before + after, tables.shape[2]))

        # Row numbers are never negative, so that the map is always computed. XLA, which does not
        # know this, cannot compute it again for each place of a window.
        y = lax.cond(one[0][0] >= 0, padded_map, nothing)
        y = ops.reshape(y, (-1, window, y.shape[1]))
        if window > MOST_IN_TURN:
            maxima = ops.max(y, axis=1)
            return maxima, first_places(y[None], maxima[None])[0]
        maxima, first = y[:, 0], ops.zeros_like(y[:, 0], dtype="int32")
        for number in range(1, window):
            first = ops.where(y[:, number] > maxima, number, first)
            maxima = ops.maximum(maxima, y[:, number])
        return maxima, first

    maxima, places = lax.map(of_sequence, (rows, *known))
    return maxima[..., :filters], places[..., :filters]


def _tables(kernel: Any) -> Any:
    """Return the sums of each three letters, (tables, 125, numbers of a row)."""
    (width, letters, filters), (count, wide) = kernel.shape, _size(kernel)
    edges = [[0, count * TOGETHER - width], [0, KINDS - letters], [0, wide - filters]]
    weights = ops.reshape(ops.pad(kernel, edges), (count, TOGETHER, KINDS, -1))
    sums = weights[:, 0]
    for place in range(1, TOGETHER):
        longer = sums[:, :, None] + weights[:, place][:, None]
        sums = ops.reshape(longer, (count, -1, weights.shape[3]))
    return sums


def _size(kernel: Any) -> tuple[int, int]:
    """Return the number of tables and of numbers in their rows.

    XLA's code for 2 or 3 tables, and for rows of 16 numbers, is twice as slow as for more.
    """
    width, _, filters = kernel.shape
    count = -(-width // TOGETHER)
    return count if count == 1 else max(count, 4), max(filters + -filters % LANES, 2 * LANES)


def _rows(x: Any, kernel: Any) -> Any:
    """Return the row of the tables for each position of the padded sequences, int32."""
    _, positions, letters = x.shape
    count, _ = _size(kernel)
    before = (kernel.shape[0] - 1) // 2
    codes = letters - sum(x[:, :, n] * float(letters - n) for n in range(letters))
    edges = [[0, 0], [before, count * TOGETHER - before]]
    codes = ops.pad(codes, edges, constant_values=float(letters))
    starts = positions + (count - 1) * TOGETHER
    rows = sum(
        codes[:, place : place + starts] * float(KINDS ** (TOGETHER - 1 - place))
        for place in range(TOGETHER)
    )
    return ops.cast(rows, "int32")


def _map_of(tables: Any, row: Any, positions: int) -> Any:
    """Return the map of one sequence, (positions, numbers of a row)."""
    parts = (
        table.at[row[number * TOGETHER : number * TOGETHER + positions]].get(mode="clip")
        for number, table in enumerate(tables)
    )
    return sum(parts)
