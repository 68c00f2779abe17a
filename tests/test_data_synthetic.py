"""Generated data are distributed as the paper describes, and the same seed gives the same."""

import math
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mlproject.architectures import make_spec
from mlproject.data import load, make_synthetic, read
from mlproject.data.dataset import Dataset
from mlproject.data.paper import FACTORS
from mlproject.data.recipes import make_recipe
from mlproject.data.split import Split
from mlproject.data.synthetic import generate
from mlproject.motifs.pwm import reverse_complement
from mlproject.system.errors import UserError

GOLDEN_SHA256 = "b5e58e728de6ca18c0387d68263ff2bc2a605b9d4e99b99fb2796675f6bf397a"
UNLIKELY = 1e-3


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return generate(seed=0)


def sites_of(split: Split) -> np.ndarray:
    assert split.sites is not None
    return split.sites


def rows(split: Split) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each sequence's number and sites."""
    sites = sites_of(split)
    bounds = np.searchsorted(sites["sequence"], np.arange(len(split.codes) + 1))
    for number in range(len(split.codes)):
        yield number, sites[bounds[number] : bounds[number + 1]]


def p_value(counts: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the chi-square p-value of counts, (..., k), under probabilities that sum to 1."""
    expected = counts.sum(axis=-1, keepdims=True) * np.broadcast_to(probabilities, counts.shape)
    possible = expected > 0
    assert not counts[~possible].any()
    statistic = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    return float(stats.chi2.sf(statistic, possible.sum() - counts[..., 0].size))


def test_sizes_and_names_are_the_papers(dataset: Dataset) -> None:
    sizes = {name: split.codes.shape for name, split in dataset.splits.items()}
    assert sizes == {"train": (17_500, 200), "valid": (2_500, 200), "test": (5_000, 200)}
    assert dataset.classes == (
        *("Arid3a", "CEBPB", "FOSL1", "Gabpa", "MAFK", "MAX"),
        *("MEF2A", "NFYB", "SP1", "SRF", "STAT1", "YY1"),
    )
    assert [motif.id for motif in dataset.motifs] == [factor.jaspar_id for factor in FACTORS]
    assert [motif.name for motif in dataset.motifs] == list(dataset.classes)
    assert dataset.relevant["MEF2A"] == ("MA0052", "MA0660", "MA0773")
    for name, motif in zip(dataset.classes, dataset.motifs, strict=True):
        assert motif.id.split(".")[0] in dataset.relevant[name]


@pytest.mark.parametrize("length", [200, 86])
def test_gaps_are_at_least_1_nt(length: int) -> None:
    for split in generate(seed=1, sequences=5000, length=length).splits.values():
        for _, sites in rows(split):
            end = 0
            for site in sites:
                assert site["start"] >= end + 1
                end = int(site["start"]) + int(site["width"])
            assert end <= length - 1


def test_labels_are_those_of_the_sites(dataset: Dataset) -> None:
    for split in dataset.splits.values():
        expected = np.zeros_like(split.labels)
        for number, sites in rows(split):
            for site in sites:
                expected[number, site["motif"]] = 1
        np.testing.assert_array_equal(split.labels, expected)


def test_sequences_have_1_to_5_motifs_as_often_as_released(dataset: Dataset) -> None:
    counts = Counter(len(sites) for split in dataset.splits.values() for _, sites in rows(split))
    assert set(counts) == {1, 2, 3, 4, 5}
    found = np.array([counts[number] for number in range(1, 6)])
    assert p_value(found, np.array([0.50, 0.25, 0.17, 0.05, 0.03])) > UNLIKELY
    assert math.isclose(sum(make_recipe("synthetic").probabilities), 1.0)


def test_the_24_pwms_are_equally_frequent_and_drawn_with_replacement(dataset: Dataset) -> None:
    sites = np.concatenate([sites_of(split) for split in dataset.splits.values()])
    pool = sites["motif"] * 2 + (sites["strand"] > 0)
    assert p_value(np.bincount(pool, minlength=24), np.full(24, 1 / 24)) > UNLIKELY
    pairs = [sites["motif"] for _, sites in rows(dataset.train) if len(sites) == 2]
    repeated = sum(bool(first == second) for first, second in pairs)
    found = np.array([repeated, len(pairs) - repeated])
    assert p_value(found, np.array([1 / 12, 11 / 12])) > UNLIKELY


def test_letters_outside_sites_are_uniform_and_independent(dataset: Dataset) -> None:
    codes, sites = dataset.train.codes, sites_of(dataset.train)
    outside = np.ones(codes.shape, bool)
    for site in sites:
        outside[site["sequence"], site["start"] : site["start"] + site["width"]] = False
    assert p_value(np.bincount(codes[outside], minlength=4), np.full(4, 0.25)) > UNLIKELY
    both = outside[:, :-1] & outside[:, 1:]
    pairs = (codes[:, :-1] * 4 + codes[:, 1:])[both]
    assert p_value(np.bincount(pairs, minlength=16), np.full(16, 1 / 16)) > UNLIKELY
    columns = np.stack([((codes == letter) & outside).sum(axis=0) for letter in range(4)], axis=1)
    assert p_value(columns, np.full(4, 0.25)) > UNLIKELY


def test_letters_of_sites_are_those_of_the_pwm_on_both_strands(dataset: Dataset) -> None:
    codes, sites = dataset.train.codes, sites_of(dataset.train)
    for index, motif in enumerate(dataset.motifs):
        for strand, pwm in ((1, motif.pwm), (-1, reverse_complement(motif.pwm))):
            own = sites[(sites["motif"] == index) & (sites["strand"] == strand)]
            assert len(own) > 1000
            letters = np.array(
                [codes[s["sequence"], s["start"] : s["start"] + s["width"]] for s in own]
            )
            counts = np.stack([(letters == letter).sum(axis=0) for letter in range(4)], axis=1)
            assert p_value(counts, pwm) > UNLIKELY / 24


def slow_starts(rng: np.random.Generator, widths: np.ndarray, length: int) -> np.ndarray:
    """Return starts as the released scheme draws them, again until rounded gaps fit."""
    free = length - widths.sum()
    while True:
        shares = rng.random(len(widths) + 1)
        gaps = np.rint(shares / shares.sum() * free).astype(int)
        if gaps.sum() == free and gaps.min() >= 1:
            return gaps[:-1].cumsum() + widths.cumsum() - widths


@pytest.mark.parametrize("number", [1, 2, 3])
def test_starts_are_distributed_as_the_released_scheme_draws_them(
    dataset: Dataset, number: int
) -> None:
    rng = np.random.default_rng(0)
    chosen = [sites for _, sites in rows(dataset.train) if len(sites) == number][:2000]
    fast = np.array([sites["start"] for sites in chosen])
    slow = np.array([slow_starts(rng, sites["width"].astype(int), 200) for sites in chosen])
    for column in range(number):
        assert stats.ks_2samp(fast[:, column], slow[:, column]).pvalue > UNLIKELY


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    contents = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        make_synthetic(tmp_path / name, seed, sequences=200, length=100)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1] != contents[2]
    assert read(tmp_path / "a").sha256 == generate(3, 200, 100).sha256
    assert read(tmp_path / "a").sha256 != read(tmp_path / "c").sha256


def test_the_data_of_a_seed_stay_what_they_were() -> None:
    """If this fails, raise VERSION: files of the old generator must not pass for new ones."""
    assert generate(seed=0, sequences=100, length=120).sha256 == GOLDEN_SHA256


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"length": 85}, "`length` must be at least 86 nt, room for 5 motifs of 16 nt"),
        ({"length": 0}, "got 0"),
        ({"sequences": 9}, "`sequences` must be at least 10, some for each split: got 9"),
        ({"seed": -1}, "`seed` must be 0 or more: got -1"),
    ],
)
def test_what_is_too_small_is_one_line(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        make_synthetic(tmp_path / "a.h5", **options)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sequences", [10, 11, 19, 1001])
def test_every_split_has_its_share(sequences: int) -> None:
    sizes = [len(split.codes) for split in generate(0, sequences, 100).splits.values()]
    assert sum(sizes) == sequences
    for size, share in zip(sizes, (0.7, 0.1, 0.2), strict=True):
        assert abs(size - share * sequences) < 1


def test_25_000_sequences_take_at_most_3_cpu_seconds(tmp_path: Path) -> None:
    before = os.times()
    make_synthetic(tmp_path / "a.h5")
    after = os.times()
    assert after.user + after.system - before.user - before.system < 3


SMALL: dict[str, Any] = {"sequences": 50, "length": 100}


def test_load_makes_a_data_set_once_and_reads_it_again(tmp_path: Path) -> None:
    spec = make_spec(SMALL)
    first = load(spec, tmp_path / "new")
    (path,) = (tmp_path / "new").iterdir()
    made = path.stat()
    again = load(spec, tmp_path / "new")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (made.st_mtime_ns, made.st_ino)
    assert first.sha256 == again.sha256 == generate(0, **SMALL).sha256
    for change in ({"data_seed": 1}, {"sequences": 60}, {"length": 101}):
        load(make_spec({**SMALL, **change}), tmp_path / "new")
    load(make_spec({**SMALL, "pool1": 4, "seed": 7}), tmp_path / "new")
    assert len(list((tmp_path / "new").iterdir())) == 4


@pytest.mark.parametrize("damage", ["cut short", "another"])
def test_load_makes_a_damaged_file_anew(tmp_path: Path, damage: str) -> None:
    spec = make_spec(SMALL)
    sha256 = load(spec, tmp_path).sha256
    (path,) = tmp_path.iterdir()
    if damage == "cut short":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        make_synthetic(path, seed=5, **SMALL)
    assert load(spec, tmp_path).sha256 == read(path).sha256 == sha256


def test_load_reads_a_file_by_its_path(tmp_path: Path) -> None:
    made = make_synthetic(tmp_path / "my.h5", 2, **SMALL)
    spec = make_spec({"dataset": str(tmp_path / "my.h5")})
    assert load(spec, tmp_path / "none").sha256 == made.sha256
    assert not (tmp_path / "none").exists()


def load_some(folder: Path) -> list[str]:
    return [load(make_spec({**SMALL, "data_seed": seed}), folder).sha256 for seed in range(8)]


def test_two_processes_may_load_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        first, second = pool.map(load_some, [tmp_path, tmp_path])
    assert first == second
    assert len(set(first)) == 8
    assert all(path.suffix == ".h5" for path in tmp_path.iterdir())
