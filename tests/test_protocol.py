"""Schedules, best epochs and ends of a training, against Keras' own callbacks."""

import keras
import numpy as np
import pytest

from mlproject.architectures import make_spec
from mlproject.network.evaluation import pooled_area
from mlproject.network.loss import cross_entropy, make_loss
from mlproject.network.protocol import (
    Epoch,
    best,
    improves,
    kept,
    learning_rate,
    make_optimizer,
    reason_to_stop,
)

VALUES = [0.7, 0.8, 0.8, 0.80005, 0.79, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.2, 0.91]


def history(name: str, values: list[float] = VALUES) -> list[Epoch]:
    return [Epoch(number, {name: value}, 0.0, False) for number, value in enumerate(values, 1)]


@pytest.mark.parametrize(("monitor", "mode"), [("val_aupr", "max"), ("val_loss", "min")])
def test_the_rate_on_a_plateau_is_that_of_keras(monitor: str, mode: str) -> None:
    spec = make_spec(
        {"monitor": monitor, "reduce_lr_factor": 0.2, "reduce_lr_patience": 2, "min_lr": 1e-5}
    )
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(spec.learning_rate), "mse")
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor, factor=0.2, patience=2, mode=mode, min_lr=1e-5
    )
    callback.set_model(model)
    callback.on_train_begin()
    epochs = history(monitor)
    for number, epoch in enumerate(epochs):
        assert float(model.optimizer.learning_rate) == pytest.approx(
            learning_rate(epochs[:number], spec), rel=1e-6
        )
        callback.on_epoch_end(number, dict(epoch.values))
    assert learning_rate(epochs, spec) < spec.learning_rate


def test_warm_up_rises_linearly_and_cosine_decay_ends_at_the_smallest_rate() -> None:
    spec = make_spec({"warmup": 4, "decay": "cosine", "epochs": 14, "min_lr": 1e-4})
    rates = [learning_rate(history("val_loss", [1.0] * n), spec) for n in range(15)]
    assert rates[:4] == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3])
    assert rates[4] == pytest.approx(1e-3)
    assert rates[9] == pytest.approx((1e-3 + 1e-4) / 2)
    assert rates[14] == pytest.approx(1e-4)
    assert sorted(rates[4:], reverse=True) == rates[4:]


def test_the_best_epoch_is_the_first_with_the_best_monitored_value() -> None:
    high, low = make_spec({"monitor": "val_auroc"}), make_spec({})
    assert best(history("val_auroc"), high).epoch == 13
    assert best(history("val_auroc")[:12], high).epoch == 6
    assert best(history("val_loss"), low).epoch == 12
    assert improves(0.92, history("val_auroc"), high)
    assert not improves(0.91, history("val_auroc"), high)
    assert improves(0.1, history("val_loss"), low)
    last = make_spec({"weights": "last"})
    assert kept(history("val_loss"), last).epoch == 13
    assert kept(history("val_loss"), low).epoch == 12


def test_patience_counts_from_the_best_epoch() -> None:
    spec = make_spec({"monitor": "val_aupr", "patience": 5})
    assert reason_to_stop(history("val_aupr")[:10], spec) is None
    assert reason_to_stop(history("val_aupr")[:11], spec) == "patience"
    assert reason_to_stop(history("val_aupr"), make_spec({"epochs": 13})) == "epochs"


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "Adam"),
        ({"optimizer": "adamw", "weight_decay": 0.01}, "AdamW"),
        ({"optimizer": "sgd"}, "SGD"),
    ],
)
def test_the_optimizer_is_that_of_the_spec(options: dict[str, object], kind: str) -> None:
    optimizer = make_optimizer(make_spec({"clip_norm": 0.5, **options}))
    assert type(optimizer).__name__ == kind
    assert optimizer.global_clipnorm == 0.5
    assert make_optimizer(make_spec(options)).global_clipnorm is None


def test_smoothing_and_balance_weigh_the_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((40, 3)) < [0.1, 0.5, 0.9]).astype(np.uint8)
    scores = rng.uniform(0.05, 0.95, (40, 3)).astype(np.float32)
    slow = -np.where(labels == 1, np.log(scores), np.log(1 - scores))
    assert float(cross_entropy(labels, scores)) == pytest.approx(slow.mean(), rel=1e-5)
    assert make_loss(make_spec({}), labels) is cross_entropy

    share = labels.mean(axis=0)
    weights = np.where(labels == 1, 0.5 / share, 0.5 / (1 - share))
    balanced = make_loss(make_spec({"class_weight": "balanced"}), labels)
    assert float(balanced(labels, scores)) == pytest.approx((weights * slow).mean(), rel=1e-5)

    target = labels * 0.8 + 0.1
    smooth = -(target * np.log(scores) + (1 - target) * np.log(1 - scores))
    found = make_loss(make_spec({"label_smoothing": 0.2}), labels)(labels, scores)
    assert float(found) == pytest.approx(smooth.mean(), rel=1e-5)


def test_a_pooled_area_counts_all_classes_as_one() -> None:
    labels = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], np.uint8)
    perfect = labels * 0.8 + 0.1
    assert pooled_area(labels, perfect, "ROC") == pytest.approx(1.0)
    shifted = perfect + np.array([0.0, -0.09])  # each class alone is still perfect
    assert pooled_area(labels, shifted * [1.0, 0.1], "ROC") < 1.0
