"""Check before training whether a network fits into the machine's memory."""

from mlproject.fields import BLOCKS
from mlproject.sequence import LETTERS
from mlproject.spec import RunSpec
from mlproject.system.memory import require_memory

FLOAT = 4
COPIES = 5  # weights, best weights, gradient, two moments of Adam
PREDICTED = 500  # sequences of a batch in prediction
NO_MEMORY = "RESOURCE_EXHAUSTED", "OUT_OF_MEMORY", "out of memory"  # of XLA, CUDA, TensorFlow


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error says that the machine or the device has no memory left."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in NO_MEMORY)


def check_memory(spec: RunSpec, length: int, classes: int) -> None:
    """Raise a `UserError` if a run needs more memory than the machine has.

    Args:
        spec: the run.
        length: nt a sequence.
        classes: number of outputs.
    """
    if spec.model != BLOCKS:
        return
    needed = least_bytes(spec, length, classes)
    require_memory(needed, "a network", "take fewer filters, units or sequences a batch")


def least_bytes(spec: RunSpec, length: int, classes: int) -> int:
    """Return the least memory of a run: weights, maps of one batch, PWMs of the filters."""
    *convolutions, dense, output = spec.kernels(length, classes)
    parameters = sum(one.weights for one in (*convolutions, dense, output))
    values = len(LETTERS) * length + sum(one.positions * one.filters for one in convolutions)
    pwms = sum(
        spec.blocks[number - 1].filters * max(spec.window, spec.blocks[number - 1].kernel)
        for number in spec.layer_numbers
    )
    rows = max(2 * spec.batch_size, PREDICTED)  # a gradient is as large as its map
    maps = rows * (max(values, dense.filters) + classes)
    return FLOAT * (COPIES * parameters + maps) + 8 * 5 * pwms
