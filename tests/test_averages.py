"""Batch norm's statistics measured again: equal to numpy's, and without an effect on training."""

from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import TINY

from mlproject.architectures import make_spec
from mlproject.data import Dataset, make_synthetic
from mlproject.network import backend
from mlproject.network.averages import measured_statistics
from mlproject.network.build import build
from mlproject.network.training import fit
from mlproject.sequence import one_hot

SHAPE = {name: value for name, value in TINY.items() if name not in ("sequences", "length")}
SHAPE |= {"filters1": 3, "filters2": 0, "units": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_synthetic(tmp_path_factory.mktemp("data") / "a.h5", 1, 300, 150)


def test_the_statistics_are_those_of_the_activations_and_the_model_stays(data: Dataset) -> None:
    model = build(make_spec(SHAPE), data.length, len(data.classes))
    before = [backend.value(one) for one in model.weights]
    found = measured_statistics(model, data.train.codes, 70)
    for one, other in zip(model.weights, before, strict=True):
        assert np.array_equal(backend.value(one), other)
    layer = model.get_layer("conv1_bn")
    inputs = keras.Model(model.input, layer.input)(one_hot(data.train.codes[:]))
    whole = keras.ops.convert_to_numpy(inputs).astype(np.float64)
    np.testing.assert_allclose(found[layer.moving_mean.path], whole.mean((0, 1)), atol=1e-4)
    np.testing.assert_allclose(found[layer.moving_variance.path], whole.var((0, 1)), rtol=1e-3)


def test_measuring_changes_validation_and_kept_weights_but_no_step_of_the_training(
    data: Dataset, tmp_path: Path
) -> None:
    histories, kept = {}, {}
    for choice in ("moving", "measured"):
        spec = make_spec({**SHAPE, "bn_averages": choice, "epochs": 3, "weights": "last"})
        model = build(spec, data.length, len(data.classes))
        fitted = fit(model, spec, data.train, data.valid, state_path=tmp_path / f"{choice}.h5")
        histories[choice] = fitted.history
        kept[choice] = {one.path: backend.value(one) for one in model.weights}
    for one, other in zip(histories["moving"], histories["measured"], strict=True):
        assert one.values["train_loss"] == other.values["train_loss"]
        assert one.values["val_loss"] != other.values["val_loss"]
    assert histories["measured"][0].values["val_loss"] < histories["moving"][0].values["val_loss"]
    differ = {
        name
        for name, value in kept["moving"].items()
        if not np.array_equal(value, kept["measured"][name])
    }
    assert differ
    assert all("moving_" in name for name in differ)


def test_a_resumed_training_ends_with_the_same_statistics(data: Dataset, tmp_path: Path) -> None:
    ends = []
    for epochs in ((3,), (2, 3)):
        path = tmp_path / f"{len(epochs)}.h5"
        for number, most in enumerate(epochs):
            spec = make_spec({**SHAPE, "bn_averages": "measured", "epochs": most})
            model = build(spec, data.length, len(data.classes))
            fit(model, spec, data.train, data.valid, state_path=path, resume=number > 0)
        ends.append([backend.value(one) for one in model.weights])
    for one, other in zip(*ends, strict=True):
        assert np.array_equal(one, other)
