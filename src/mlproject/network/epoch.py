"""One pass over the training split: order, batches and dropout, which follow from the seed."""

from collections.abc import Callable, Iterator

import keras
import numpy as np

from mlproject.data import Split
from mlproject.network.build import stream_seed
from mlproject.network.steps import Steps
from mlproject.sequence import reverse_complement
from mlproject.spec import RunSpec

TURNED = 1  # the stream of random numbers that decides which sequences are reverse-complemented


def train_epoch(
    steps: Steps,
    split: Split,
    spec: RunSpec,
    epoch: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> float | None:
    """Train one epoch.

    Args:
        steps: of the model to train.
        split: passed over once, in batches of `spec.batch_size`, the last may be smaller.
        spec: the protocol.
        epoch: its number, from 1; with `spec.seed` it determines the order.
        should_stop: asked before each launch of `steps`.

    Returns:
        The loss with its L2 term, mean over sequences; None if the epoch was interrupted.
    """
    order = np.random.default_rng([spec.seed, epoch]).permutation(len(split.codes))
    turned = np.zeros(len(order), bool)
    if spec.augment == "reverse_complement":
        turned = np.random.default_rng([spec.seed, epoch, TURNED]).random(len(order)) < 0.5
    steps.start()
    for start, stop, batch in _launches(len(order), spec.batch_size, steps.launch):
        if should_stop():
            return None
        rows = slice(start, stop)
        codes, labels = _rows(split, order[rows], turned[rows])
        steps.run(*(one.reshape(-1, batch, one.shape[-1]) for one in (codes, labels)))
    return steps.finish() / len(order)


def _launches(count: int, batch: int, launch: int) -> Iterator[tuple[int, int, int]]:
    """Yield start, stop and rows a batch of up to `launch` batches; the last may be smaller."""
    whole = count - count % batch
    for start in range(0, whole, batch * launch):
        yield start, min(start + batch * launch, whole), batch
    if whole < count:
        yield whole, count, count - whole


def _rows(split: Split, rows: np.ndarray, turned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return codes (rows, length) and labels (rows, classes), both uint8.

    The sequences that are `turned` come as the other strand reads them.
    """
    codes = split.codes[rows]
    if turned.any():
        codes = np.where(turned[:, None], reverse_complement(codes), codes)
    return codes, split.labels[rows]


def seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Start the random numbers of each dropout layer for an epoch of a run."""
    for layer in model.layers:
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign(np.array([stream_seed(seed, epoch, layer.name), 0]))
