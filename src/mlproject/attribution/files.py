"""Attributions as files: one compact HDF5 file, and the pair of arrays that TF-MoDISco reads."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlproject.attribution.result import Attributions
from mlproject.fields import ATTRIBUTIONS
from mlproject.sequence import OTHER, one_hot
from mlproject.system.errors import UserError, nearest
from mlproject.system.files import atomic_file, atomic_hdf5, check_seal, has_seal
from mlproject.system.hdf5 import hdf5_opened, read_array, require_plain

VERSION = 2
LARGEST = 1e18


def write_attributions(
    path: Path, found: Attributions, classes: Sequence[str], dataset_sha256: str = ""
) -> None:
    """Write attributions atomically, with the file's SHA-256 at its end.

    Data sets: ``sequences`` (rows of the test split), ``classes`` (numbers), ``codes`` (rows, L),
    ``scores`` (rows, L, 4) float16 and ``scale`` (rows,) float32, whose product are the scores.
    Attributes: ``method``, ``title``, ``class_names`` (JSON), ``hypothetical``, ``output``,
    ``dataset_sha256``, ``version``.

    Raises:
        UserError: the file cannot be written.
    """
    scale = np.abs(found.scores).max(axis=(1, 2), initial=0.0)
    scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
    arrays = {
        "sequences": found.sequences.astype(np.uint32),
        "classes": found.targets.astype(np.uint16),
        "codes": found.codes,
        "scale": scale,
        "scores": (found.scores / scale[:, None, None]).astype(np.float16),
    }
    from mlproject.attribution.methods import METHODS  # which need Keras

    method = METHODS[found.method]
    with atomic_hdf5(path, sealed=True) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip", shuffle=True)
        file.attrs.update(
            method=found.method,
            title=ATTRIBUTIONS[found.method],
            class_names=json.dumps(list(classes)),
            hypothetical=method.hypothetical,
            output="logit",
            dataset_sha256=dataset_sha256,
            version=VERSION,
        )


def read_attributions(path: Path) -> Attributions:
    """Read a file of `write_attributions`; scores have three digits.

    Files of version 1 have no SHA-256.

    Raises:
        UserError: the file cannot be read, is damaged, or does not hold attributions.
    """
    rule = f"{path} must be a file of attributions"
    sealed = has_seal(path)
    if sealed:
        check_seal(path)
    with hdf5_opened(path, rule) as file:
        if not sealed and file.attrs["version"] != 1:
            raise UserError(f"{rule}: its SHA-256 is missing, so it was damaged")
        require_plain(file)
        method = str(file.attrs["method"])
        if method not in ATTRIBUTIONS:
            raise UserError(f"{rule}: {nearest(method[:60], ATTRIBUTIONS)}")
        kinds = {"sequences": "u", "classes": "u", "codes": "u", "scale": "f", "scores": "f"}
        arrays = {name: np.asarray(read_array(file[name])) for name in kinds}
    rows, length = arrays["codes"].shape if arrays["codes"].ndim == 2 else (0, 0)
    shapes = dict.fromkeys(kinds, (rows,)) | {"codes": (rows, length), "scores": (rows, length, 4)}
    for name, array in arrays.items():
        if array.dtype.kind != kinds[name] or array.shape != shapes[name]:
            raise UserError(f"{rule}: `{name}` is {array.dtype} of {array.shape}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(f"{rule}: `{name}` has values that are no numbers")
    if arrays["codes"].dtype != np.uint8 or (arrays["codes"] > OTHER).any():
        raise UserError(f"{rule}: `codes` must be from 0 to {OTHER}")
    scale = arrays["scale"].astype(np.float64)
    if not ((scale > 0) & (scale < LARGEST)).all() or (np.abs(arrays["scores"]) > 1.001).any():
        raise UserError(
            f"{rule}: `scores` must be from -1 to 1 and `scale` above 0, {LARGEST:g} at most"
        )
    return Attributions(
        method,
        arrays["sequences"].astype(np.intp),
        arrays["classes"].astype(np.intp),
        arrays["codes"],
        arrays["scores"].astype(np.float32) * arrays["scale"][:, None, None],
    )


def write_arrays(folder: Path, found: Attributions) -> tuple[Path, Path]:
    """Write one-hot letters to ``ohe.npz`` and scores to ``shap.npz``, each `arr_0` (rows, 4, L).

    ``modisco motifs -s ohe.npz -a shap.npz`` and similar tools read these files.
    """
    paths = folder / "ohe.npz", folder / "shap.npz"
    arrays: tuple[np.ndarray, ...] = (
        one_hot(found.codes).astype(np.int8),
        found.scores.astype(np.float16),
    )
    for path, array in zip(paths, arrays, strict=True):
        with atomic_file(path) as file:
            np.savez_compressed(file, array.transpose(0, 2, 1))
    return paths
