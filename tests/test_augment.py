"""Augmentations: each against an obvious slow version, drawn from (seed, epoch) alone."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mlproject.architectures import make_spec
from mlproject.data import Split
from mlproject.fields import EVOAUG
from mlproject.network import augment, backend
from mlproject.network.augment import NOISY, Augmentation
from mlproject.network.build import build
from mlproject.network.inputs import make_attack, make_inputs, one_hot_tensor
from mlproject.network.loss import cross_entropy
from mlproject.network.protocol import Epoch, fine_tuned, learning_rate, reason_to_stop
from mlproject.network.training import fit
from mlproject.sequence import one_hot, reverse_complement
from mlproject.system.errors import UserError

LENGTH, COUNT = 30, 40
RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 4, (COUNT, LENGTH)).astype(np.uint8)
FRESH = np.full((COUNT, LENGTH), 9, np.uint8)  # no letter: to see where random letters come in
SMALL: dict[str, Any] = {
    "filters1": 4, "kernel1": 7, "pool1": 10, "filters2": 4, "pool2": 3, "units": 6,
    "batch_size": 16, "patience": 0, "learning_rate": 0.01,
}  # fmt: skip


def random_split(seed: int, count: int = 70) -> Split:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (count, LENGTH)).astype(np.uint8)
    return Split(codes, (codes[:, :1] > 1).astype(np.uint8))


def cut(letters: list[int], left: int) -> list[int]:
    """Return `LENGTH` letters from place `left` on; 9 where there are none."""
    return [letters[n] if 0 <= n < len(letters) else 9 for n in range(left, left + LENGTH)]


def slow(name: str, row: list[int], size: int, place: float) -> list[int]:
    """Return one augmented sequence, letter by letter."""
    if name == "insertion":
        start = int(place * (LENGTH + 1))
        return cut(row[:start] + [9] * size + row[start:], size // 2)
    start = int(place * (LENGTH - size + 1))
    if name == "deletion":
        return cut(row[:start] + row[start + size :], -(size // 2))
    if name == "inversion":
        inside = [3 - letter for letter in reversed(row[start : start + size])]
        return row[:start] + inside + row[start + size :]
    if name == "translocation":
        return [row[(n - size) % LENGTH] for n in range(LENGTH)]
    return [3 - letter for letter in reversed(row)] if place < 0.5 else row


@pytest.mark.parametrize("name", augment.CHANGES)
def test_each_change_is_the_slow_one(name: str) -> None:
    size, place = RNG.integers(0, 13, COUNT), RNG.random(COUNT).astype(np.float32)
    if name == "translocation":
        size -= 6
    found = augment.CHANGES[name](CODES, size, place, FRESH)
    for row in range(COUNT):
        wanted = slow(name, CODES[row].tolist(), int(size[row]), float(place[row]))
        assert found[row].tolist() == wanted


def test_a_shift_moves_and_random_letters_fill_the_gap() -> None:
    by = RNG.integers(-5, 6, COUNT)
    found = augment.shifted(CODES, by, FRESH)
    for row in range(COUNT):
        assert found[row].tolist() == cut(CODES[row].tolist(), -int(by[row]))


def augmented(epoch: int = 1, part: int = COUNT, **options: Any) -> np.ndarray:
    """Return the augmented sequences of an epoch, made `part` at a time."""
    spec = make_spec({"augment": "evoaug", "seed": 5, **options})
    made = Augmentation(spec, epoch, COUNT, LENGTH)
    parts = [slice(start, min(start + part, COUNT)) for start in range(0, COUNT, part)]
    return np.concatenate([made.apply(CODES[rows], rows) for rows in parts])


def test_augmentations_depend_on_seed_and_epoch_and_not_on_batches() -> None:
    whole = augmented()
    np.testing.assert_array_equal(augmented(part=7), whole)
    assert (augmented(epoch=2) != whole).any()
    assert (augmented(seed=6) != whole).any()
    assert whole.shape == CODES.shape
    assert set(np.unique(whole % NOISY)) == {0, 1, 2, 3}


def test_each_sequence_gets_as_many_augmentations_as_asked_for() -> None:
    options = {"augmentations": ",".join(EVOAUG)}
    for most in (1, 2, len(EVOAUG)):
        made = Augmentation(
            make_spec({"augment": "evoaug", "augment_most": most, **options}), 1, COUNT, LENGTH
        )
        assert (sum(made._chosen.values()) == most).all()


def test_a_mutation_changes_its_share_of_letters_and_leaves_n_alone() -> None:
    codes = np.tile(CODES, (100, 10))
    codes[:, 7] = 4
    spec = make_spec({"augment": "evoaug", "augmentations": "mutation", "mutation": 0.15})
    found = Augmentation(spec, 1, *codes.shape).apply(codes, slice(0, len(codes)))
    assert (found != codes).mean() == pytest.approx(0.14, abs=0.015)  # some places come twice
    assert (found[:, 7] == 4).all()


def test_noise_marks_whole_sequences_and_is_added_on_the_device() -> None:
    spec = make_spec({"augment": "evoaug", "augmentations": "noise,mutation", "augment_most": 1})
    codes = np.tile(CODES, (5, 4))
    marked = Augmentation(spec, 1, *codes.shape).apply(codes, slice(0, len(codes)))
    noisy = marked[:, 0] >= NOISY
    assert 0.3 < noisy.mean() < 0.7
    assert ((marked >= NOISY) == noisy[:, None]).all()
    inputs = make_inputs(spec)
    x, again = (np.asarray(keras.ops.convert_to_numpy(inputs(marked))) for _ in range(2))
    np.testing.assert_array_equal(x, again)
    added = x - one_hot(marked % NOISY)
    assert not added[~noisy].any()
    assert added[noisy].std() == pytest.approx(0.3, rel=0.03)
    assert abs(added[noisy].mean()) < 0.01
    assert make_inputs(make_spec({})) is one_hot_tensor


def test_an_attack_raises_the_loss_within_its_bound() -> None:
    spec = make_spec({**SMALL, "adversarial": 0.05, "adversarial_steps": 5})
    model, split = build(spec, LENGTH, 1), random_split(3)
    attack = make_attack(spec, model, cross_entropy)
    assert attack is not None
    x = one_hot(split.codes)

    def attacked(start: Any, labels: Any) -> Any:
        return attack(start, labels)

    found = np.asarray(backend.compiled(attacked)(x, split.labels))
    assert np.abs(found - x).max() <= 0.05 + 1e-6
    assert np.abs(found - x).max() > 0.04
    losses = [float(cross_entropy(split.labels, model(one, training=False))) for one in (x, found)]
    assert losses[1] > losses[0]


def history(values: list[float]) -> list[Epoch]:
    return [Epoch(n, {"val_loss": value}, 1.0, True) for n, value in enumerate(values, 1)]


def test_fine_tuning_begins_after_the_epochs_or_without_improvement() -> None:
    spec = make_spec({"fine_tune": 2, "epochs": 5, "patience": 2, "fine_tune_lr": 1e-5})
    assert fine_tuned(history([3, 2]), spec) is None
    assert fine_tuned(history([3, 2, 2.5]), spec) is None
    stopped = history([3, 2, 2.5, 2.4])
    assert fine_tuned(stopped, spec) == 0
    assert learning_rate(stopped, spec) == 1e-5
    assert learning_rate(stopped[:3], spec) == 1e-3
    assert reason_to_stop(history([3, 2, 2.5, 2.4, 1]), spec) is None
    assert reason_to_stop(history([3, 2, 2.5, 2.4, 1, 1]), spec) == "epochs"
    assert fine_tuned(history([5, 4, 3, 2, 1]), spec) == 0
    assert make_spec({"augment": "evoaug"}).fine_tune == 10
    with pytest.raises(UserError, match="`fine_tune_lr` must not exceed `learning_rate`"):
        make_spec({"fine_tune": 1, "fine_tune_lr": 0.1})
    with pytest.raises(UserError, match="`augmentations`: must be different ones"):
        make_spec({"augmentations": "mutation,mutation"})


@pytest.mark.parametrize("stop", [7, 17])
def test_a_run_with_both_stages_resumes_bit_for_bit(stop: int, tmp_path: Path) -> None:
    options = {"augment": "evoaug", "augmentations": ",".join(EVOAUG), "shift": 3}
    spec = make_spec({**SMALL, **options, "epochs": 2, "fine_tune": 2})
    train, valid = random_split(1), random_split(2)

    def run(path: Path, **more: Any) -> tuple[Any, keras.Model]:
        model = build(spec, LENGTH, 1)
        return fit(model, spec, train, valid, state_path=path, **more), model

    whole, first = run(tmp_path / "a.h5")
    assert len(whole.history) == 4
    assert [one.values["learning_rate"] for one in whole.history] == [0.01, 0.01, 1e-4, 1e-4]
    calls = iter(range(1000))
    cut_off, _ = run(tmp_path / "b.h5", should_stop=lambda: next(calls) > stop)
    assert cut_off.stopped == "interrupted"
    resumed, second = run(tmp_path / "b.h5", resume=True)
    assert [one.values for one in resumed.history] == [one.values for one in whole.history]
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_originals_are_not_changed() -> None:
    before = CODES.copy()
    augmented()
    np.testing.assert_array_equal(CODES, before)
    assert (reverse_complement(reverse_complement(CODES)) == CODES).all()
