"""Keras models and weights in files: written atomically, read in safe mode, verified."""

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras

from mlproject.network.relative_attention import RelativeAttention
from mlproject.system.errors import UserError, reason
from mlproject.system.files import atomic_file, sha256_of
from mlproject.system.hdf5 import require_plain
from mlproject.system.hdf5_heaps import require_sound_heaps
from mlproject.system.startup import settle_keras

WEIGHTS, CONFIG = "model.weights.h5", "config.json"
MEGABYTE = 1 << 20
MOST_UNPACKED, MOST_CONFIG = 4096 * MEGABYTE, 16 * MEGABYTE
OWN = RelativeAttention.__module__
UNSAFE = ("Lambda", "TFSMLayer", "__lambda__", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")


def save_model(model: keras.Model, path: Path) -> None:
    """Write a model as a ``.keras`` file, atomically.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    with atomic_file(path) as file:
        file.write(_saved(model))


def save_weights(model: keras.Model, path: Path) -> None:
    """Write weights as a ``.weights.h5`` file, atomically.

    The file is made in memory first, since HDF5 crashes the process on a full disk.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    with zipfile.ZipFile(io.BytesIO(_saved(model))) as archive, atomic_file(path) as file:
        file.write(archive.read(WEIGHTS))


def load_model(path: Path) -> keras.Model:
    """Read a ``.keras`` file that has only Keras layers, in safe mode, without running its code.

    Raises:
        UserError: the file is damaged, or contains code.
    """
    settle_keras()
    try:
        _require_layers_only(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise UserError(
            f"a Keras model must be intact and contain no code: {path} cannot be loaded "
            f"({reason(error)})"
        ) from error


def save_network(model: keras.Model, path: Path) -> None:
    """Write the layers of a model and how they are connected, without weights, as JSON."""
    with atomic_file(path) as file:
        file.write(model.to_json().encode())


def load_network(path: Path) -> keras.Model:
    """Read a model from the JSON of `save_network` with new weights, without running its code.

    Raises:
        UserError: the file is damaged, or contains code.
    """
    settle_keras()
    try:
        if path.stat().st_size > MOST_CONFIG:
            raise ValueError(f"it is larger than {MOST_CONFIG:,} bytes")
        config = json.loads(path.read_bytes())
        _require_known_layers(config)
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        if not isinstance(model, keras.Model):
            raise TypeError("it is no model")
    except Exception as error:
        raise UserError(
            f"a Keras model must be intact and contain no code: {path.name} cannot be loaded "
            f"({reason(error)})"
        ) from error
    return model


def load_weights(model: keras.Model, path: Path, sha256: str | None = None) -> None:
    """Load the weights of a ``.weights.h5`` file into a model.

    Args:
        model: a model with the same layers.
        path: the file.
        sha256: the expected SHA-256 of the file, None if unknown.

    Raises:
        UserError: the file is damaged, or belongs to another network.
    """
    check_sha256(path, sha256)
    try:
        require_sound_heaps(path)
        with h5py.File(path, "r") as file:
            require_plain(file, 16 * model.count_params() + MEGABYTE)
        model.load_weights(path)
    except Exception as error:
        raise UserError(
            f"weights must be intact and of this network: {path} cannot be loaded ({reason(error)})"
        ) from error


def check_sha256(path: Path, sha256: str | None) -> None:
    """Raise a `UserError` if a file has another SHA-256 than the recorded one, if any."""
    if sha256 is not None and (found := sha256_of(path)) != sha256:
        raise UserError(
            f"a file must have its recorded SHA-256: {path} is damaged, it has {found[:12]}, "
            f"not {sha256[:12]}"
        )


def _saved(model: Any) -> bytes:
    from keras.src.saving import saving_lib

    target = io.BytesIO()
    saving_lib.save_model(model, target)
    return target.getvalue()


def _require_layers_only(path: Path) -> None:
    """Refuse a ``.keras`` file that is too large, or has other layers than those of Keras.

    Raises:
        ValueError: the file is refused.
        Exception: of `zipfile`, `json` or `h5py` if the file is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_UNPACKED:
            raise ValueError(f"it unpacks to more than {MOST_UNPACKED:,} bytes")
        if archive.getinfo(CONFIG).file_size > MOST_CONFIG:
            raise ValueError(f"its {CONFIG} is larger than {MOST_CONFIG:,} bytes")
        config = json.loads(archive.read(CONFIG))
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(archive.extract(WEIGHTS, folder))
            require_sound_heaps(weights)
            with h5py.File(weights, "r") as file:
                require_plain(file, MOST_UNPACKED)
    _require_known_layers(config)


def _require_known_layers(config: Any) -> None:
    """Raise a `ValueError` if the config of a model has other layers than those of Keras."""
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            name, module = part.get("class_name"), part.get("module")
            known = module is None or module == OWN or str(module).split(".")[0] == "keras"
            if name in UNSAFE or not known:
                raise ValueError(f"it has a layer {module or ''}.{name}, which may run code")
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
