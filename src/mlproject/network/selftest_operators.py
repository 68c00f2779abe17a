"""Single operators of a device, held against numpy."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import ops


class Kernel(NamedTuple):
    """One operator: on the device, and what numpy says of it.

    Attributes:
        name: as shown.
        compute: of the backend's tensors.
        inputs: arrays.
        wanted: what the result is.
        terms: of the longest sum in it; the tolerance follows from it.
    """

    name: str
    compute: Callable[..., Any]
    inputs: tuple[Any, ...]
    wanted: np.ndarray
    terms: int = 1


def kernels() -> list[Kernel]:
    """Return the operators that a device is tested with."""
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((257, 129)).astype(np.float32) for _ in range(2))
    maps = rng.standard_normal((8, 100, 30)).astype(np.float32)
    filters = rng.standard_normal((5, 30, 16)).astype(np.float32)
    whole = rng.standard_normal(1_000_003).astype(np.float32)
    rows = rng.integers(0, 257, 5000)
    windows = np.lib.stride_tricks.sliding_window_view(maps, 5, axis=1)
    convolved = np.einsum("bpcw,wcf->bpf", windows, filters, dtype=np.float64)
    return [
        Kernel("sqrt(512)", ops.sqrt, (np.float32(512),), np.sqrt(512)),
        Kernel("ones(4) + 1", lambda: ops.ones(4) + 1, (), np.full(4, 2)),
        Kernel("x + y", ops.add, (x, y), x + y),
        Kernel("x * y", ops.multiply, (x, y), x * y),
        Kernel("exp", ops.exp, (x,), np.exp(x.astype(np.float64)), 16),
        Kernel("where", lambda x, y: ops.where(x > 0, x, y), (x, y), np.where(x > 0, x, y)),
        Kernel("transpose", ops.transpose, (x,), x.T),
        Kernel("take", lambda x, rows: ops.take(x, rows, axis=0), (x, rows), x[rows]),
        Kernel("sum", ops.sum, (whole,), whole.sum(dtype=np.float64), len(whole)),
        Kernel("max", ops.max, (whole,), whole.max()),
        Kernel("matmul", lambda x, y: ops.matmul(x, ops.transpose(y)), (x, y),
               x.astype(np.float64) @ y.T, 129),
        Kernel("conv", lambda x, k: ops.conv(x, k, padding="valid"), (maps, filters), convolved,
               150),
        Kernel("max_pool", lambda x: ops.max_pool(x, 25, 25), (maps,),
               maps.reshape(8, 4, 25, 30).max(axis=2)),
    ]  # fmt: skip
