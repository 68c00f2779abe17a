"""Planted positions: which they are, and scores of importance on cases made by hand."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from recorded import record

from mlproject import results
from mlproject.attribution import METHODS, Attributions, patterns
from mlproject.attribution.files import write_arrays
from mlproject.attribution.truth import (
    PlantedScores,
    owners,
    planted,
    ranked,
    score,
    sites_of,
    summarise,
)
from mlproject.data import SITE, Dataset, Split, make_dataset
from mlproject.draw.output import save_figure
from mlproject.draw.pattern_logos import pattern_figure
from mlproject.draw.tracks import Mark, Track, cropped, marks, richest, track_figure
from mlproject.filters.reading import match_scores
from mlproject.motifs.databases import jaspar, jaspar_by_id
from mlproject.report.sections.truth import patterns_table
from mlproject.run.attributed_rows import drawn
from mlproject.run.attributions import check
from mlproject.system.errors import UserError

needs_modisco = pytest.mark.skipif(
    importlib.util.find_spec("modiscolite") is None, reason="needs the package modisco-lite"
)


def _data() -> Dataset:
    """Two classes with one motif each and a third whose motif is planted for nobody."""
    motifs = jaspar_by_id(["MA0058.3", "MA0083.3"])
    rows = [(2, 5, 10, 0, 1), (0, 20, 10, 0, -1), (0, 1, 16, 1, 1), (2, 25, 10, 0, 1)]
    sites = np.array(rows, SITE)
    codes = np.random.default_rng(0).integers(0, 4, (3, 40)).astype(np.uint8)
    labels = np.array([[1, 1, 0], [0, 0, 1], [1, 0, 0]], np.uint8)
    split = Split(codes, labels, sites)
    relevant = {"MAX": ("MA0058",), "SRF": ("MA0083.3",)}
    return make_dataset(
        {"train": split, "valid": split, "test": split}, ["MAX", "SRF", "none"], relevant, motifs
    )


def test_positions_of_the_motifs_of_a_rows_class_are_planted_and_no_others() -> None:
    data = _data()
    assert owners(data) == [(0,), (1,)]
    sequences, targets = np.array([0, 0, 2, 1]), np.array([0, 1, 0, 2])
    found = [np.flatnonzero(row).tolist() for row in _planted(data, sequences, targets)]
    assert found == [[*range(20, 30)], [*range(1, 17)], [*range(5, 15), *range(25, 35)], []]
    first = sites_of(data.test, np.array([2, 1, 0]))
    assert [site["start"].tolist() for site in first] == [[5, 25], [], [1, 20]]


def _planted(data: Dataset, sequences: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return planted(data.test, sequences, targets, owners(data))


def test_without_known_sites_nothing_is_planted_or_scored() -> None:
    split = Split(*_data().test[:2])
    covered = planted(split, np.array([0, 1]), np.array([0, 1]), [])
    assert not covered.any()
    truth = score(np.ones(covered.shape), covered)
    assert np.isnan(truth.auroc).all()
    assert summarise(truth, np.array([0, 1]), ["a", "b"]) == {}


def test_scores_are_those_of_a_case_counted_by_hand() -> None:
    covered = np.array([[True, True, False, False, False, False]])
    importance = np.array([[3.0, 1.0, 2.0, 0.0, 0.0, 0.0]])
    truth = score(importance, covered)
    # Of the 2 x 4 pairs only (1.0, 2.0) is in the wrong order.
    assert truth.auroc[0] == pytest.approx(7 / 8)
    # Precision 1 up to recall 1/2, then 1/2 and 2/3 as the second one comes after a wrong one.
    assert truth.aupr[0] == pytest.approx(0.5 * 1 + 0.5 * (1 / 2 + 2 / 3) / 2)
    # Mean 2 less mean 1/2, in standard deviations of (2, 0, 0, 0).
    assert truth.snr[0] == pytest.approx((2 - 0.5) / np.sqrt(0.75))


def test_a_perfect_a_constant_and_a_reversed_importance() -> None:
    covered = np.repeat(np.array([[True, False, False, False]]), 3, axis=0)
    truth = score(np.array([[1.0, 0, 0, 0.1], [2, 2, 2, 2], [0, 1, 1, 1.1]]), covered)
    assert truth.auroc.tolist() == [1.0, 0.5, 0.0]
    assert truth.aupr[0] == 1.0
    assert truth.snr[0] > 5
    assert np.isnan(truth.snr[1])


def test_the_mean_is_over_classes_and_leaves_out_those_without_planted_rows() -> None:
    nan = np.nan
    truth = PlantedScores(
        np.array([1.0, 0.5, 0.9, nan]),
        np.array([0.5, 0.5, 0.5, nan]),
        np.array([2.0, nan, 4.0, nan]),
    )
    values = summarise(truth, np.array([0, 0, 1, 2]), ["A a", "B", "C"])
    assert values["auroc/A_a"] == 0.75
    assert values["auroc"] == pytest.approx((0.75 + 0.9) / 2)
    assert values["snr/A_a"] == 2.0
    assert not any("/C" in name for name in values)


def test_marks_name_the_planted_motifs_and_tell_which_are_of_the_class() -> None:
    found = marks(_data(), 0, [1])
    assert found == (Mark(1, 17, "SRF", True), Mark(20, 30, "MAX", False))


def test_tracks_are_drawn_for_any_letters_and_heights(tmp_path: Path) -> None:
    codes = np.array([0, 1, 4, 3], np.uint8)
    shown = (Mark(0, 2, "SRF", True),)
    tracks = [
        Track("up and down", "note", codes, np.array([1.0, -2.0, 3.0, 0.0]), shown, shown),
        Track("nothing", "", codes, np.zeros(4)),
    ]
    figure = track_figure([tracks, tracks], [("one", "x"), ("two", "y")], "title", "line")
    (png,) = save_figure(figure, tmp_path / "tracks", ["png"])
    assert png.stat().st_size > 5000
    assert len(figure.axes) == 2 * 3


def test_a_long_sequence_is_shown_where_its_contributions_are_largest() -> None:
    heights = np.zeros(30)
    heights[[3, 12, 14]] = 1.0, -2.0, 1.5
    assert richest(heights, 5) == (10, 15)
    assert richest(heights, 30) == richest(heights, 99) == (0, 30)
    shown = (Mark(2, 6, "a", True), Mark(8, 12, "b", False), Mark(14, 20, "c", True))
    assert cropped(shown, 10, 15) == (Mark(0, 2, "b", False), Mark(4, 5, "c", True))


def _contributed(count: int, length: int = 100) -> Attributions:
    """Return scores that are the log-odds of two planted motifs, with noise."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (count, length)).astype(np.uint8)
    scores = rng.normal(0, 0.02, (count, length, 4)).astype(np.float32)
    motifs = jaspar_by_id(["MA0083.3", "MA0466.2"])
    for row in range(count):
        pwm = motifs[row % 2].pwm
        start = int(rng.integers(20, 60))
        place = slice(start, start + len(pwm))
        codes[row, place] = [rng.choice(4, p=column) for column in pwm]
        scores[row, place] += np.log2(pwm + 0.05) + 2
    return Attributions("deeplift", np.arange(count), np.arange(count) % 2, codes, scores)


@needs_modisco
@pytest.mark.parametrize("length", [100, pytest.param(101, marks=pytest.mark.slow)])
def test_modisco_finds_the_motifs_that_scores_hold_and_tomtom_names_them(
    tmp_path: Path, length: int
) -> None:
    found = _contributed(160, length)
    ohe, shap = write_arrays(tmp_path, found)
    patterns.find(ohe, shap, tmp_path / "modisco.h5", length)
    read = patterns.read(tmp_path / "modisco.h5", jaspar())
    relevant = {"SRF": ("MA0083",), "CEBPB": ("MA0466",), "MAX": ("MA0058",)}
    values = match_scores(read.reading, relevant)
    assert values["coverage"] == pytest.approx(2 / 3)
    assert {match.target_id for match in read.reading.matches} >= {"MA0083.3", "MA0466.2"}
    assert [len(one) for one in read.contributions] == [
        motif.width for motif in read.reading.motifs
    ]
    assert sum(motif.nsites for motif in read.reading.motifs) > 40
    figure = pattern_figure(read, {motif.id: motif for motif in jaspar()}, relevant, "title")
    assert len(figure.axes) == 2 * len(read.reading.motifs)


def test_modisco_takes_no_scores_of_the_letters_present_only() -> None:
    present = [name for name, method in METHODS.items() if not method.hypothetical]
    assert "ism_window" in present
    for name in present:
        with pytest.raises(UserError, match=f"`modisco` needs scores for every letter: {name} "):
            check(["ism", name, "modisco"])


@needs_modisco
def test_sequences_that_modisco_fails_on_are_a_mistake_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "ohe.npz").write_bytes(b"no arrays")
    with pytest.raises(UserError, match="TF-MoDISco found nothing to work on"):
        patterns.find(tmp_path / "ohe.npz", tmp_path / "shap.npz", tmp_path / "m.h5", 100)


def test_no_pattern_is_no_error(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "none.h5", "w") as file:
        file.attrs["window_size"] = 100
    read = patterns.read(tmp_path / "none.h5", jaspar())
    assert (len(read.reading.motifs), read.negative) == (0, 0)
    figure = pattern_figure(read, {}, {"SRF": ("MA0083",)}, "title")
    assert not figure.axes


def test_patterns_are_counted_with_the_word_of_the_task(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "none.h5", "w") as file:
        file.attrs["window_size"] = 100
    read = patterns.read(tmp_path / "none.h5", jaspar())
    for numbers, word in ((False, "classes"), (True, "outputs")):
        figure = pattern_figure(read, {}, {"dev": ("MA0083",)}, "title", numbers)
        assert f"match a motif of the {word} (black)" in figure.texts[1].get_text()


def test_the_report_puts_what_attributions_hold_beside_what_filters_hold(workplace: Path) -> None:
    measured = {"conv1/coverage": 1 / 12, "modisco/coverage": 1.0, "modisco/patterns": 12.0}
    record({"arch": "CNN-2"}, 0.97, 1 / 30, more=measured | {"modisco/match_relevant": 1.0})
    record({"arch": "CNN-2", "seed": 1, "attributions": "ism"}, more={"modisco/coverage": 0.5})
    record({"arch": "CNN-25"}, 0.97, 0.9)
    table = patterns_table(results.counted(results.runs()))
    assert table is not None
    (row,) = table.frame.to_dict("records")
    assert (row["network"], row["n"]) == ("CNN-2", 2)
    assert row["modisco/coverage"] == pytest.approx(0.75)
    assert row["conv1/coverage"] == pytest.approx(1 / 12)
    assert patterns_table(results.counted(results.runs(arch="CNN-25"))) is None


def test_sequences_to_attribute_are_drawn_evenly_over_the_classes() -> None:
    marked = np.zeros((40, 3), bool)
    marked[:30, 0] = marked[30:36, 1] = marked[[2, 38], 2] = True  # as a file sorted by class
    rows = drawn(marked, 9)
    assert rows.tolist() == [0, 1, 2, 3, 30, 31, 32, 33, 38]
    assert marked[rows].sum(axis=0).tolist() == [4, 4, 2]
    np.testing.assert_array_equal(drawn(marked, 9), rows)
    every = [*range(36), 38]
    assert drawn(marked, None).tolist() == drawn(marked, 1000).tolist() == every
    assert drawn(np.zeros((5, 2), bool), 3).tolist() == []


def test_sites_that_lower_a_number_are_found_by_size_and_those_of_a_class_by_sign() -> None:
    importance = np.full((2, 20), 0.1)
    importance[0, 4:8], importance[1, 4:8] = 2.0, -2.0
    covered = np.zeros((2, 20), bool)
    covered[:, 4:8] = True
    assert score(ranked(importance, "regression"), covered).auroc.tolist() == [1.0, 1.0]
    assert score(ranked(importance, "binary"), covered).auroc.tolist() == [1.0, 0.0]
