"""Models and weights in files: the same back, verified, and no code that comes with them is run."""

import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from mlproject.architectures import make_spec
from mlproject.network import backend
from mlproject.network.build import build, predict
from mlproject.network.saving import (
    check_sha256,
    load_model,
    load_weights,
    save_model,
    save_weights,
)
from mlproject.system.errors import UserError
from mlproject.system.files import sha256_of

SPEC = make_spec({"filters1": 4, "pool1": 5, "filters2": 0, "units": 8})
OTHER = make_spec({"filters1": 5, "pool1": 5, "filters2": 0, "units": 8})
CODES = (np.arange(3 * 30).reshape(3, 30) % 4).astype(np.uint8)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build(SPEC, 30, 2)


def test_a_model_gives_the_same_scores_when_it_is_read_again(
    model: keras.Model, tmp_path: Path
) -> None:
    save_model(model, tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(predict(again, CODES), predict(model, CODES))


def test_weights_are_the_same_when_they_are_read_again(model: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / "best.weights.h5"
    save_weights(model, path)
    again = build(SPEC.model_copy(update={"seed": 1}), 30, 2)
    load_weights(again, path, sha256_of(path))
    for one, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(backend.value(one), backend.value(other))
    assert list(tmp_path.iterdir()) == [path]


def test_no_flipped_bit_of_weights_is_accepted(model: keras.Model, tmp_path: Path) -> None:
    path = tmp_path / "best.weights.h5"
    save_weights(model, path)
    content, sha256 = path.read_bytes(), sha256_of(path)
    for bit in np.random.default_rng(0).integers(0, 8 * len(content), 400).tolist():
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(UserError, match="is damaged, it has"):
            check_sha256(path, sha256)


def test_weights_of_another_network_and_broken_ones_are_one_line(
    model: keras.Model, tmp_path: Path
) -> None:
    path = tmp_path / "best.weights.h5"
    save_weights(model, path)
    with pytest.raises(UserError, match="must be intact and of this network") as caught:
        load_weights(build(OTHER, 30, 2), path)
    assert "\n" not in str(caught.value)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="must be intact and of this network") as caught:
        load_weights(model, path)
    assert "\n" not in str(caught.value)


def _with_lambda(path: Path) -> None:
    """Save a model that would make a file when it is loaded with its code."""
    inputs = keras.Input((30, 4))
    mark = str(path.with_name("code_was_run"))
    outputs = keras.layers.Lambda(lambda x: (Path(mark).write_bytes(b""), x)[1])(inputs)
    keras.Model(inputs, outputs).save(path)
    Path(mark).unlink(missing_ok=True)


def _cut(path: Path) -> None:
    save_model(build(SPEC, 30, 2), path)
    path.write_bytes(path.read_bytes()[:2000])


def _another_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")


@pytest.mark.parametrize(
    "write", [_with_lambda, _cut, _another_zip, lambda path: path.write_bytes(b"")]
)
def test_a_broken_or_unsafe_model_is_one_line_and_runs_no_code(
    tmp_path: Path, write: object
) -> None:
    path = tmp_path / "model.keras"
    write(path)  # type: ignore[operator]
    keras.config.enable_unsafe_deserialization()  # as a user's own code may have done
    with pytest.raises(UserError, match="must be intact and contain no code") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "code_was_run").exists()


def test_a_missing_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        load_model(tmp_path / "none.keras")
