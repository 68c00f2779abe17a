"""Whether a network can fit into this machine's memory, before anything is trained."""

from contextlib import suppress
from pathlib import Path

import psutil

from mlproject.spec import RunSpec
from mlproject.system.errors import UserError

FLOAT = 4
COPIES = 5  # weights, best weights, gradient, two moments of Adam
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
PREDICTED = 500  # sequences of a batch without a gradient


def check_memory(spec: RunSpec, length: int, classes: int) -> None:
    """Raise a `UserError` where training and reading a network need more than the machine has.

    Args:
        spec: what to run.
        length: nt a sequence.
        classes: number of outputs.
    """
    needed, present = least_bytes(spec, length, classes), machine_bytes()
    if needed > present:
        raise UserError(
            f"a network must fit into memory: this one needs at least {_gb(needed)} and the "
            f"machine has {_gb(present)}; take fewer filters, units or sequences a batch"
        )


def least_bytes(spec: RunSpec, length: int, classes: int) -> int:
    """Return what a run takes at least: its weights, the maps of one batch, its filters' PWMs."""
    lengths = spec.map_lengths(length)
    parameters, positions, channels, motifs = 0, 4 * length, 4, 0
    for number, (block, before) in enumerate(zip(spec.blocks, lengths, strict=False), 1):
        parameters += block.kernel * channels * block.filters
        channels = block.filters
        positions += -(-before // block.stride) * channels
        if number in spec.layer_numbers:
            motifs += channels * max(spec.window, block.kernel)
    parameters += lengths[-1] * channels * spec.units + spec.units * classes
    rows = max(2 * spec.batch_size, PREDICTED)  # a gradient is as large as its map
    maps = rows * (max(positions, spec.units) + classes)
    return FLOAT * (COPIES * parameters + maps) + 8 * 5 * motifs


def machine_bytes() -> int:
    """Return the memory that this process may have: the machine's, or its container's."""
    present = [psutil.virtual_memory().total]
    for path in LIMITS:
        with suppress(OSError, ValueError):
            present.append(int(Path(path).read_text(encoding="ascii")))
    return min(present)


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count < 1e15 else "more than a million GB"
