"""One pass over the training split. The seed determines order, batches and dropout."""

from collections.abc import Callable, Iterator

import keras
import numpy as np

from mlproject.data import Split
from mlproject.network.initial import stream_seed
from mlproject.network.steps import Steps
from mlproject.sequence import reverse_complement
from mlproject.spec import RunSpec

STRANDS = 1  # random stream that selects the sequences to reverse-complement


def train_epoch(
    steps: Steps,
    split: Split,
    spec: RunSpec,
    epoch: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> float | None:
    """Train one epoch.

    Args:
        steps: compiled steps of the model to train.
        split: the training split; batches have `spec.batch_size` rows, the last one may be smaller.
        spec: the protocol.
        epoch: number of the epoch, from 1; with `spec.seed` it determines the order.
        should_stop: called before each launch of `steps`; true interrupts the epoch.

    Returns:
        The loss with its L2 term, mean over sequences; None if the epoch was interrupted.
    """
    order = np.random.default_rng([spec.seed, epoch]).permutation(len(split.codes))
    turned = np.zeros(len(order), bool)
    if spec.augment == "reverse_complement":
        turned = np.random.default_rng([spec.seed, epoch, STRANDS]).random(len(order)) < 0.5
    steps.start()
    for start, stop, batch in _launches(len(order), spec.batch_size, steps.launch):
        if should_stop():
            return None
        rows = slice(start, stop)
        codes, labels = _rows(split, order[rows], turned[rows])
        steps.run(*(one.reshape(-1, batch, one.shape[-1]) for one in (codes, labels)))
    return steps.finish() / len(order)


def _launches(count: int, batch: int, launch: int) -> Iterator[tuple[int, int, int]]:
    """Yield start, stop and batch size of up to `launch` batches; a smaller rest comes last."""
    full = count - count % batch
    for start in range(0, full, batch * launch):
        yield start, min(start + batch * launch, full), batch
    if full < count:
        yield full, count, count - full


def _rows(split: Split, rows: np.ndarray, turned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return codes (rows, length) and labels (rows, classes), both uint8.

    The sequences marked in `turned` are reverse-complemented.
    """
    codes = split.codes[rows]
    if turned.any():
        codes = np.where(turned[:, None], reverse_complement(codes), codes)
    return codes, split.labels[rows]


def seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the random generator of each dropout layer for an epoch of a run."""
    for layer in model.layers:
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign(np.array([stream_seed(seed, epoch, layer.name), 0]))
