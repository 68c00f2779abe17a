"""Training and testing on both strands: off unless asked for, and then what the words say."""

from pathlib import Path

import keras
import numpy as np
import pytest

from mlproject.architectures import make_spec, recorded_spec
from mlproject.data import Split
from mlproject.network.augment import Augmentation
from mlproject.network.build import build, predict
from mlproject.network.training import fit
from mlproject.sequence import reverse_complement
from mlproject.spec import RunSpec, without_later_defaults
from mlproject.system.errors import UserError

DATA = "0" * 64
SMALL = {"filters1": 4, "filters2": 0, "units": 8, "pool1": 10, "epochs": 2, "learning_rate": 0.01}


def random_split(count: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    return Split(
        rng.integers(0, 4, (count, 60), np.uint8), rng.integers(0, 2, (count, 2), np.uint8)
    )


def trained(spec: RunSpec, folder: Path) -> keras.Model:
    model = build(spec, 60, 2)
    fit(model, spec, random_split(250, 0), random_split(50, 1), state_path=folder / "state.h5")
    return model


def test_fields_added_later_change_no_hash_at_their_defaults() -> None:
    base = recorded_spec({})
    same = recorded_spec({"augment": "none", "average": "none"})
    assert base.train_sha256(DATA) == same.train_sha256(DATA)
    assert base.spec_sha256(DATA) == same.spec_sha256(DATA)
    later = {
        "augment",
        "average",
        "through_pool",
        "attributions",
        "attributed",
        "attention",
        "decay",
    }
    assert not later & without_later_defaults(base.flat()).keys()
    assert recorded_spec(without_later_defaults(base.flat())) == base


def test_augmenting_changes_the_training_and_averaging_only_the_test() -> None:
    base = make_spec({})
    augmented = make_spec({"augment": "reverse_complement"})
    averaged = make_spec({"average": "reverse_complement"})
    assert augmented.train_sha256(DATA) != base.train_sha256(DATA)
    assert averaged.train_sha256(DATA) == base.train_sha256(DATA)
    assert averaged.spec_sha256(DATA) != base.spec_sha256(DATA)
    assert make_spec(augmented.flat()) == augmented
    with pytest.raises(
        UserError, match="`augment` must be none, reverse_complement or evoaug: got 'yes'"
    ):
        make_spec({"augment": "yes"})


def test_a_turned_sequence_is_its_reverse_complement_with_its_labels() -> None:
    split = random_split(20, 2)
    rows = np.array([3, 9, 4])
    augmentation = Augmentation(make_spec({"augment": "reverse_complement"}), 1, 20, 60)
    turned = augmentation._turned[4:7]
    assert turned.any() and not turned.all()
    expected = split.codes[rows].copy()
    expected[turned] = reverse_complement(expected[turned])
    np.testing.assert_array_equal(augmentation.apply(split.codes[rows], slice(4, 7)), expected)


def test_about_half_of_an_epoch_is_turned_another_half_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[np.ndarray] = []
    apply = Augmentation.apply

    def spying(self: Augmentation, codes: np.ndarray, rows: slice) -> np.ndarray:
        seen.append(self._turned[rows])
        return apply(self, codes, rows)

    monkeypatch.setattr(Augmentation, "apply", spying)
    trained(make_spec({**SMALL, "augment": "reverse_complement"}), tmp_path)
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:])
    assert 100 < first.sum() < 150
    assert 100 < second.sum() < 150
    assert (first != second).any()
    again = seen.copy()
    seen.clear()
    trained(make_spec({**SMALL, "augment": "reverse_complement"}), tmp_path)
    np.testing.assert_array_equal(np.concatenate(seen), np.concatenate(again))


def test_averaged_scores_are_the_mean_of_both_strands_and_the_same_for_both(
    tmp_path: Path,
) -> None:
    model = trained(make_spec(SMALL), tmp_path)
    codes = random_split(70, 5).codes
    both = predict(model, codes, 32, average="reverse_complement")
    other = reverse_complement(codes)
    mean = (predict(model, codes) + predict(model, other)) / 2
    np.testing.assert_allclose(both, mean, atol=1e-6)
    np.testing.assert_allclose(both, predict(model, other, average="reverse_complement"), atol=1e-6)
    assert np.abs(both - predict(model, codes)).max() > 1e-3
