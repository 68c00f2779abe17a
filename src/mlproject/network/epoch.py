"""One pass over the training split. The seed determines order, batches and dropout."""

from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np

from mlproject.data import Split
from mlproject.network.augment import Augmentation
from mlproject.network.guard import DeviceFaultError
from mlproject.network.initial import stream_seed
from mlproject.network.seed_steps import SeedSteps
from mlproject.network.steps import Steps
from mlproject.spec import RunSpec


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
    order = _Order(split, spec, epoch)
    steps.start()
    for start, stop, batch in _launches(len(split.codes), spec.batch_size, steps.launch):
        if should_stop():
            return None
        steps.run(*order.batches(start, stop, batch))
    return steps.finish() / len(split.codes)


def train_epochs_together(
    steps: SeedSteps,
    split: Split,
    specs: Sequence[RunSpec],
    epochs: Sequence[int | None],
    should_stop: Callable[[], bool] = lambda: False,
) -> list[float | DeviceFaultError | None] | None:
    """Train an epoch of several networks that differ in their seed, all at the same time.

    Args:
        steps: compiled steps of the networks.
        split: the training split; each network passes over it in its own order.
        specs: specs of the networks.
        epochs: number of each network's epoch; None for one that has stopped.
        should_stop: called before each launch of `steps`; true interrupts the epoch.

    Returns:
        The loss of each as `train_epoch` returns it, or the fault that spoilt it, or None where it
        has stopped; None if the epoch was interrupted.
    """
    orders = [
        None if epoch is None else _Order(split, spec, epoch)
        for spec, epoch in zip(specs, epochs, strict=True)
    ]
    steps.start([order is not None for order in orders])
    for start, stop, batch in _launches(len(split.codes), specs[0].batch_size, steps.launch):
        if should_stop():
            return None
        steps.run(
            [None if order is None else order.batches(start, stop, batch) for order in orders]
        )
    losses = steps.finish()
    return [one / len(split.codes) if isinstance(one, float) else one for one in losses]


class _Order:
    """The order of one epoch of one seed, and its augmentations."""

    def __init__(self, split: Split, spec: RunSpec, epoch: int) -> None:
        self._split = split
        self._order = np.random.default_rng([spec.seed, epoch]).permutation(len(split.codes))
        self._augmentation = Augmentation(spec, epoch, *split.codes.shape)

    def batches(self, start: int, stop: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return codes (batches, batch, length) and labels (batches, batch, classes)."""
        rows = slice(start, stop)
        chosen = self._order[rows]
        codes = self._augmentation.apply(self._split.codes[chosen], rows)
        labels = self._split.labels[chosen]
        shape = (-1, batch)
        return codes.reshape(*shape, codes.shape[-1]), labels.reshape(*shape, labels.shape[-1])


def _launches(count: int, batch: int, launch: int) -> Iterator[tuple[int, int, int]]:
    """Yield start, stop and batch size of up to `launch` batches; a smaller rest comes last."""
    full = count - count % batch
    for start in range(0, full, batch * launch):
        yield start, min(start + batch * launch, full), batch
    if full < count:
        yield full, count, count - full


def seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the random generator of each dropout layer for an epoch of a run."""
    for layer in model.layers:
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign(np.array([stream_seed(seed, epoch, layer.name), 0]))
