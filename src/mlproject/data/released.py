"""The layout of the paper's released code: HDF5 with `X_train`, `Y_train`, ..., one-hot.

`model_train`, ..., the PWM that each sequence was drawn from, are not read: `models` rebuilds them
from planted sites.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlproject.data.dataset import SPLITS, Dataset, Split, blocks, make_dataset
from mlproject.data.paper import CLASSES, RELEVANT
from mlproject.motifs.pwm import Motif, reverse_complement
from mlproject.sequence import OTHER
from mlproject.system.errors import UserError
from mlproject.system.hdf5 import check_size, read_array

KEYS = tuple(f"{name}_{split}" for split in SPLITS for name in "XY")


def read(file: Any) -> Dataset:
    """Read an open HDF5 file that holds `KEYS`.

    Twelve columns of labels are taken for the paper's twelve factors, others are called class0,
    class1, ...; `provenance` says which.

    Raises:
        UserError: sequences that are not one-hot, labels that do not fit.
    """
    splits = {
        name: Split(_codes(file, f"X_{name}"), read_array(file[f"Y_{name}"])) for name in SPLITS
    }
    for name, split in splits.items():
        if split.labels.ndim != 2:
            raise UserError(f"`Y_{name}` must be (N, classes): got labels of {split.labels.shape}")
    columns = splits["train"].labels.shape[1]
    paper = columns == len(CLASSES)
    names = "the paper's, by the number of columns" if paper else "unknown, numbered"
    return make_dataset(
        splits,
        CLASSES if paper else [f"class{column}" for column in range(columns)],
        RELEVANT if paper else {},
        provenance={"source": "released layout", "classes": names, "letters": "taken for A C G T"},
    )


def _codes(file: Any, key: str) -> np.ndarray:
    """Return one-hot (N, 4, L), (N, L, 4) or either with axes of 1 as codes (N, L)."""
    array = file[key]
    check_size(array)
    axes = tuple(size for size in array.shape[1:] if size != 1)
    if len(axes) != 2 or 4 not in axes or array.dtype.kind not in "buif":
        raise UserError(
            f"`{key}` must be one-hot, (N, 4, L), (N, 4, L, 1) or (N, L, 4): got {array.shape} of "
            f"{array.dtype}"
        )
    letters, length = (1, axes[1]) if axes[0] == 4 else (2, axes[0])
    codes = np.empty((len(array), length), np.uint8)
    done = 0
    for block in blocks(array):
        values = block.reshape(-1, *axes)
        ones = values.sum(axis=letters)
        if not (((values == 0) | (values == 1)).all() and (ones <= 1).all()):
            raise UserError(
                f"`{key}` must be one-hot, at most a single 1 a position and 0 otherwise: "
                f"got something else within sequences {done} to {done + len(block) - 1}"
            )
        codes[done : done + len(block)] = np.where(ones, values.argmax(axis=letters), OTHER)
        done += len(block)
    return codes


def models(split: Split, motifs: Sequence[Motif]) -> np.ndarray:
    """Return what the released layout calls `model_*`: the PWM each sequence was drawn from.

    Args:
        split: its sites must be known.
        motifs: the data set's.

    Returns:
        (n, 4, L) float32: the motif's probabilities at planted positions, 0.25 elsewhere.
    """
    assert split.sites is not None
    (count, length), sites = split.codes.shape, split.sites
    model = np.full((count, 4, length), 0.25, np.float32)
    for index, motif in enumerate(motifs):
        for strand, pwm in ((1, motif.pwm), (-1, reverse_complement(motif.pwm))):
            planted = sites[(sites["motif"] == index) & (sites["strand"] == strand)]
            positions = planted["start"][:, None] + np.arange(motif.width)
            model[planted["sequence"][:, None], :, positions] = pwm
    return model
