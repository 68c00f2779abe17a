"""Ablation: the loss of AUROC without a filter, by hand and by brute force."""

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mlproject.architectures import make_spec
from mlproject.filters import ablation
from mlproject.filters.ablation import ablate, ablation_rows, ablation_scores, auroc
from mlproject.network.backend import forward
from mlproject.network.build import build
from mlproject.network.graph import activation_output
from mlproject.run.model_parts import network_parts
from mlproject.sequence import encode, one_hot

SMALL = {"filters1": 3, "kernel1": 5, "pool1": 5, "filters2": 4, "pool2": 4, "units": 8}


def reader() -> keras.Model:
    """Return a network whose first class reads AAA alone, the second CCC, by a filter each."""
    spec = make_spec({"filters1": 3, "kernel1": 3, "pool1": 20, "filters2": 0, "units": 2})
    model = build(spec, 20, 2)
    kernel = np.zeros((3, 4, 3), np.float32)
    kernel[:, 0, 0] = kernel[:, 1, 1] = kernel[:, 2, 2] = 1.0
    model.get_layer("conv1").set_weights([kernel])
    model.get_layer("dense").set_weights([np.eye(3, 2, dtype=np.float32)])
    model.get_layer("output").set_weights([np.eye(2, dtype=np.float32), np.full(2, -2.5)])
    return model


def test_a_filter_that_one_class_alone_reads_is_lost_to_that_class_alone() -> None:
    texts = ["AAA", "CCC", "AAACCC", "GTG"]
    codes = encode([f"{text:T<12}TGTGTGTG" for text in texts for _ in range(3)])
    labels = np.array([[int("AAA" in text), int("CCC" in text)] for text in texts for _ in "123"])
    found = ablate(network_parts(reader(), "conv1"), "conv1", codes, labels, ("A", "C"))
    assert found.intact.tolist() == [1.0, 1.0]
    assert found.loss.tolist() == [[0.5, 0.0], [0.0, 0.5], [0.0, 0.0]]
    assert [found.drives(number) for number in range(3)] == [["A"], ["C"], []]
    assert found.sequences == 12
    rows = ablation_rows(found)
    assert rows[0] == {
        "filter": 0, "auroc_loss": 0.25, "drives": "A", "auroc_loss/A": 0.5, "auroc_loss/C": 0.0
    }  # fmt: skip
    values = ablation_scores(found, [0])
    assert values["ablation_mean"] == pytest.approx(0.5 / 3)
    assert values["ablation_max"] == 0.25
    assert values["ablation_driven"] == pytest.approx(2 / 3)
    assert values["ablation_relevant"] == 0.5
    assert "ablation_relevant" not in ablation_scores(found, None)


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_ablation_is_what_replacing_the_map_gives(layer: str) -> None:
    rng = np.random.default_rng(0)
    model = build(make_spec(SMALL), 40, 3)
    for norm in ("conv1_bn", "conv2_bn", "dense_bn"):
        weights = model.get_layer(norm).get_weights()
        model.get_layer(norm).set_weights([rng.normal(size=w.shape) ** 2 + 0.1 for w in weights])
    codes = rng.integers(0, 4, (60, 40), np.uint8)
    labels = (rng.random((60, 3)) < 0.4).astype(np.uint8)
    found = ablate(network_parts(model, layer), layer, codes, labels, ("A", "B", "C"))
    output = activation_output(model, layer)
    maps = forward(keras.Model(model.inputs, output))(one_hot(codes))
    rest = forward(keras.Model(output, model.output))

    def areas(maps: np.ndarray) -> np.ndarray:
        scores = rest(maps)
        return np.array([roc_auc_score(*pair) for pair in zip(labels.T, scores.T, strict=True)])

    pairs = labels.sum(axis=0) * (1 - labels.astype(int)).sum(axis=0)
    np.testing.assert_allclose(found.intact, areas(maps), rtol=0, atol=1.5 / pairs.min())
    for number in range(maps.shape[2]):
        changed = maps.copy()
        changed[..., number] = maps[..., number].mean()
        wanted = areas(maps) - areas(changed)
        np.testing.assert_allclose(found.loss[number], wanted, atol=0.003)
    assert np.abs(found.loss).max() > 0.01


def test_where_all_sequences_cost_too_much_fewer_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "FEWEST", 20)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (60, 40), np.uint8)
    labels = (rng.random((60, 3)) < 0.4).astype(np.uint8)
    model = build(make_spec(SMALL), 40, 3)
    few = ablate(network_parts(model, "conv1"), "conv1", codes, labels, ("A", "B", "C"), budget=1.0)
    rows = np.linspace(0, 59, 20).round().astype(int)
    assert few.sequences == 20
    same = ablate(
        network_parts(model, "conv1"), "conv1", codes[rows], labels[rows], ("A", "B", "C")
    )
    assert np.array_equal(few.loss, same.loss)


def test_a_class_of_one_label_has_no_loss_and_does_not_count() -> None:
    labels = np.array([[1, 0], [1, 1], [1, 0]])
    assert np.isnan(auroc(labels, np.array([[1.0, 0.0], [2.0, 1.0], [3.0, 1.0]]))[0])
    assert auroc(labels, np.array([[1.0, 0.0], [2.0, 1.0], [3.0, 1.0]]))[1] == 0.75
    codes = encode(["AAATTTTTTTTTTTTTTTTT", "TTTTTTTTTTTTTTTTTTTT"])
    found = ablate(
        network_parts(reader(), "conv1"), "conv1", codes, np.array([[1, 1], [0, 1]]), ("A", "C")
    )
    assert found.mean.tolist() == [0.5, 0.0, 0.0]
    assert ablation_rows(found)[0]["auroc_loss/C"] == ""
