"""Folds: each sequence is tested once, similar ones and those of a chromosome stay together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlproject.architectures import make_spec
from mlproject.data import Dataset, load
from mlproject.data import folds as kind
from mlproject.data.clusters import clusters
from mlproject.data.dataset import make_dataset
from mlproject.data.folds import refold
from mlproject.data.split import WINDOW
from mlproject.data.synthetic import generate
from mlproject.sequence import reverse_complement
from mlproject.sweeps.plan import Plan, expand
from mlproject.system.errors import UserError


@pytest.fixture(scope="module")
def data() -> Dataset:
    return generate(0, 120, 120)


def test_each_sequence_is_tested_once_with_its_labels_and_sites(data: Dataset) -> None:
    known = {}
    for split in data.splits.values():
        for row in range(len(split.codes)):
            sites = split.sites[split.sites["sequence"] == row]  # type: ignore[index]
            known[split.codes[row].tobytes()] = (
                split.labels[row].tolist(), sites[["start", "motif", "strand"]].tolist()
            )  # fmt: skip
    tested: list[bytes] = []
    for fold in range(1, 6):
        made = refold(data, 5, fold)
        assert sum(len(split.codes) for split in made.splits.values()) == 120
        assert made.sha256 != data.sha256
        tested += [row.tobytes() for row in made.test.codes]
        following = refold(data, 5, fold % 5 + 1)
        assert {r.tobytes() for r in made.valid.codes} == {
            r.tobytes() for r in following.test.codes
        }
        for split in made.splits.values():
            for row in range(len(split.codes)):
                sites = split.sites[split.sites["sequence"] == row]  # type: ignore[index]
                found = (split.labels[row].tolist(), sites[["start", "motif", "strand"]].tolist())
                assert found == known[split.codes[row].tobytes()]
    assert sorted(tested) == sorted(known)


def test_copies_of_a_sequence_stay_in_one_part(data: Dataset) -> None:
    changed = {name: split._replace(sites=None) for name, split in data.splits.items()}
    mutated = changed["train"].codes[:12].copy()
    mutated[:, 60] = (mutated[:, 60] + 1) % 4
    changed["test"] = changed["test"]._replace(
        codes=np.concatenate([changed["test"].codes, mutated]),
        labels=np.concatenate([changed["test"].labels, changed["train"].labels[:12]]),
    )
    made = refold(make_dataset(changed, data.classes, {}), 4, 2)
    heads = [{row[:60].tobytes() for row in split.codes} for split in made.splits.values()]
    assert not (heads[0] & heads[1] or heads[0] & heads[2] or heads[1] & heads[2])


def test_chromosomes_stay_together_where_they_are_known(data: Dataset) -> None:
    windows = {}
    for name, split in data.splits.items():
        windows[name] = np.zeros(len(split.codes), WINDOW)
        windows[name]["chrom"] = [f"chr{row % 4}" for row in range(len(split.codes))]
    placed = replace(data, windows=windows)
    chromosomes = [set(part["chrom"]) for part in refold(placed, 3, 1).windows.values()]
    assert sum(map(len, chromosomes)) == 4
    with pytest.raises(UserError, match="`folds` must be at most the number of chromosomes, 4"):
        refold(placed, 5, 1)


def test_equal_sequences_on_two_chromosomes_are_pooled_and_one_fold_twice_is_not(
    data: Dataset,
) -> None:
    windows, splits = {}, {}
    for name, split in data.splits.items():
        codes = np.asarray(split.codes).copy()
        codes[0] = 1
        splits[name] = split._replace(codes=codes, sites=None)
        windows[name] = np.zeros(len(codes), WINDOW)
        windows[name]["chrom"] = f"chr_{name}"
        windows[name]["start"] = np.arange(len(codes)) * 500
    placed = replace(make_dataset(splits, data.classes, {}), windows=windows)
    folds = [refold(placed, 3, fold) for fold in (1, 2, 3)]
    assert len(kind.tested_together(folds).test.codes) == 120
    with pytest.raises(UserError, match="must be tested on different sequences"):
        kind.tested_together([folds[0], folds[1], folds[0]])


def test_equal_sequences_without_a_word_of_known_letters_are_one_cluster() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (6, 60), dtype=np.uint8)
    codes[:, ::10] = 4
    codes[3], codes[4] = codes[0], reverse_complement(codes[1])
    found = clusters(codes)
    assert found[0] == found[3]
    assert found[1] == found[4]
    assert len(set(found.tolist())) == 4


def test_a_plan_with_folds_has_a_cell_for_each(tmp_path: Path) -> None:
    plan = Plan.model_validate(
        {"name": "a", "base": {"folds": 3, "sequences": 60}, "axes": {"pool1": [2, 4]}}
    )
    found = [(spec.blocks[0].pool, spec.fold) for _, spec in expand(plan)]
    assert found == [(2, 1), (2, 2), (2, 3), (4, 1), (4, 2), (4, 3)]
    hashes = {load(spec, tmp_path).sha256 for _, spec in expand(plan)}
    assert len(hashes) == 3


@pytest.mark.parametrize("options", [{"folds": 2}, {"folds": 3, "fold": 4}])
def test_folds_that_cannot_be_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(UserError, match="`folds` must be 0, or 3 or more"):
        make_spec(options)
    assert "folds" not in make_spec({}).flat()
