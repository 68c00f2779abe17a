"""Filters against planted sites: windows, precision, recall, areas, all against slow versions."""

from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from mlproject.data import SITE
from mlproject.data.synthetic import generate
from mlproject.filters.baseline import log_odds
from mlproject.filters.scan import scan
from mlproject.filters.site_windows import Peaks, site_windows, window_of
from mlproject.filters.truth import FilterTruth, compare_to_sites, truth_rows, truth_scores
from mlproject.geometry import ReceptiveField


def planted(*rows: tuple[int, int, int, int, int]) -> np.ndarray:
    """Return sites from (sequence, start, width, motif, strand)."""
    return np.array(list(rows), SITE)


def overlap(position: int, field: ReceptiveField, start: int, width: int) -> int:
    first = position * field.step - field.left
    return min(first + field.width, start + width) - max(first, start)


def slow_owner(sites: np.ndarray, field: ReceptiveField, row: int, position: int) -> int:
    """Return the site that a position sees, the nearest if several (the left one of two), or -1."""
    centre = 2 * (position * field.step - field.left) + field.width
    seen = [
        (abs(2 * int(site["start"]) + int(site["width"]) - centre), int(site["start"]), number)
        for number, site in enumerate(sites)
        if site["sequence"] == row
        and 2 * overlap(position, field, int(site["start"]), int(site["width"]))
        >= min(field.width, int(site["width"]))
    ]
    return min(seen)[2] if seen else -1


@pytest.mark.parametrize(
    "field",
    [ReceptiveField(19, 9), ReceptiveField(3, 1), ReceptiveField(27, 13), ReceptiveField(8, 3, 2)],
)
def test_each_position_belongs_to_the_nearest_site_that_it_half_covers(
    field: ReceptiveField,
) -> None:
    data = generate(1, 60, 150)
    sites = data.train.sites
    assert sites is not None
    sequences, positions = len(data.train.codes), -(-150 // field.step)
    shuffled = np.random.default_rng(0).permutation(sites)
    found = site_windows(shuffled, field, positions, sequences)
    sequence, position = np.divmod(np.arange(sequences * positions), positions)
    window = window_of(found, sequence, position)
    owner = np.where(window >= 0, found.site[window], -1)
    for row in range(sequences):
        for place in range(positions):
            assert owner[row * positions + place] == slow_owner(shuffled, field, row, place)


def test_background_windows_are_as_long_as_a_site_has_positions_and_touch_none() -> None:
    found = site_windows(
        planted((0, 40, 10, 0, 1), (2, 0, 10, 0, 1)), ReceptiveField(19, 9), 100, 3
    )
    own, empty = found.site >= 0, found.site < 0
    lengths = found.stop - found.start
    # 20 positions have a field of 19 nt that covers 5 or more of 10 nt; at the margin 15.
    assert sorted(lengths[own]) == [15, 20]
    assert set(lengths[empty]) == {17}
    assert (found.start // 100 == (found.stop - 1) // 100).all()
    assert (np.diff(found.start) > 0).all()
    assert (found.stop[:-1] <= found.start[1:]).all()
    assert empty.sum() == 35 // 17 + 45 // 17 + 100 // 17 + 85 // 17


def test_no_sites_give_no_windows() -> None:
    assert not len(site_windows(planted(), ReceptiveField(19, 9), 100, 3).start)


def test_peaks_are_the_maxima_of_windows_whatever_the_batches() -> None:
    rng = np.random.default_rng(3)
    sites = planted((0, 3, 6, 0, 1), (1, 20, 6, 0, -1), (4, 24, 6, 0, 1))
    maps = rng.normal(size=(5, 30, 4)).astype(np.float32)
    found = site_windows(sites, ReceptiveField(7, 3), 30, 5)
    flat = maps.reshape(-1, 4)
    wanted = [flat[a:b].max(axis=0) for a, b in zip(found.start, found.stop, strict=True)]
    for size in (1, 2, 5):
        peaks = Peaks(found)
        passed = list(peaks.watch(maps[start : start + size] for start in range(0, 5, size)))
        assert np.array_equal(np.concatenate(passed), maps)
        assert np.array_equal(peaks.values, np.array(wanted))
    with pytest.raises(ValueError, match="windows of 5 sequences, activations of 4"):
        list(Peaks(found).watch([maps[:4]]))


def compare(
    maps: np.ndarray, sites: np.ndarray, names: list[str], field: ReceptiveField
) -> FilterTruth:
    peaks = Peaks(site_windows(sites, field, maps.shape[1], len(maps)))
    found = scan(peaks.watch(iter([maps])), released=0.5)
    return compare_to_sites(peaks, found.released, sites, names, field)


def test_all_numbers_are_those_of_a_slow_computation() -> None:
    rng = np.random.default_rng(5)
    data, field = generate(2, 100, 150), ReceptiveField(19, 9)
    sites = data.train.sites
    assert sites is not None
    count, names = len(data.train.codes), list(data.classes)
    maps = np.maximum(rng.normal(size=(count, 150, 3)), 0).astype(np.float32).round(1)
    maps[..., 2] = 0.0
    for site in sites[(sites["motif"] == 4) & (sites["strand"] < 0)]:
        maps[site["sequence"], min(int(site["start"]) + 9, 149), 1] += 9.0
    found = compare(maps, sites, names, field)
    bounds = site_windows(sites, field, 150, count)
    flat = maps.reshape(-1, 3)
    for number in range(3):
        peak = np.array([flat[a:b, number].max() for a, b in zip(*bounds[:2], strict=True)])
        active = np.argwhere(maps[..., number] > 0.5 * maps[..., number].max())
        owners = [slow_owner(sites, field, row, place) for row, place in active]
        assert found.calls[number] == len(active)
        for motif in range(len(names)):
            hits = [one for one in owners if one >= 0 and sites[one]["motif"] == motif]
            assert found.precision[number, motif] == pytest.approx(len(hits) / max(len(active), 1))
            for strand, sign in enumerate((1, -1)):
                own = (sites["motif"] == motif) & (sites["strand"] == sign)
                positive = np.isin(bounds.site, np.flatnonzero(own))
                other = np.isin(bounds.site, np.flatnonzero(sites["motif"] == motif)) & ~positive
                if not positive.any():
                    assert np.isnan(found.auroc[number, motif, strand])
                    continue
                truths, values = positive[~other], peak[~other]
                assert found.auroc[number, motif, strand] == pytest.approx(
                    roc_auc_score(truths, values)
                )
                assert found.average_precision[number, motif, strand] == pytest.approx(
                    average_precision_score(truths, values)
                )
                seen = len({one for one in hits if sites[one]["strand"] == sign})
                assert found.recall[number, motif, strand] == pytest.approx(seen / positive.sum())
                assert found.sites[motif, strand] == positive.sum()
    assert (found.motif[1], found.strand[1]) == (4, 1)
    assert truth_rows(found)[1]["motif"] == names[4]
    assert truth_rows(found)[1]["strand"] == "-"
    assert found.recall[1, 4, 1] == 1.0
    assert found.calls[2] == 0
    assert np.isnan(found.offset[2])
    assert truth_rows(found)[2]["recall"] == 0.0


def pwm_maps(codes: np.ndarray, matrix: np.ndarray, left: int) -> np.ndarray:
    """Return the scores of a matrix (width, 4) whose column `left` lies on each position."""
    maps = np.zeros(codes.shape, np.float32)
    for place in range(codes.shape[1]):
        first = place - left
        if 0 <= first <= codes.shape[1] - len(matrix):
            letters = codes[:, first : first + len(matrix)]
            maps[:, place] = matrix[np.arange(len(matrix)), letters].sum(axis=1)
    return np.maximum(maps, 0)


def test_a_filter_set_to_a_motif_finds_its_sites_and_no_others() -> None:
    data, field = generate(0, 1000, 200), ReceptiveField(19, 9)
    sites = data.test.sites
    assert sites is not None
    codes, srf = np.asarray(data.test.codes), data.classes.index("SRF")
    matrix = log_odds(data.motifs[srf])
    other = log_odds(data.motifs[data.classes.index("NFYB")])[::-1, ::-1]
    maps = np.stack([pwm_maps(codes, matrix, 9), pwm_maps(codes, other, 4)], axis=2)
    found = compare(maps, sites, list(data.classes), field)
    first, second = truth_rows(found)
    assert first["motif"] == "SRF"
    assert first["auroc"] > 0.999
    assert first["average_precision"] > 0.98
    assert first["precision"] > 0.95
    assert first["recall"] > 0.9
    assert first["in_place"] > 0.99
    assert first["offset"] == 9 - (len(matrix) - 1) / 2
    assert (second["motif"], second["strand"]) == ("NFYB", "-")
    assert second["offset"] == 4 - (len(other) - 1) / 2
    assert second["recall_either"] < 0.75 < second["recall"]


def test_scores_are_means_over_filters_and_over_the_best_filter_of_each_motif() -> None:
    sites = planted((0, 10, 5, 0, 1), (1, 10, 5, 1, 1))
    maps = np.zeros((3, 40, 3), np.float32)
    maps[0, 12, 0] = maps[1, 12, 1] = maps[2, 12, 2] = 1.0
    found = compare(maps, sites, ["A", "B c"], ReceptiveField(5, 2))
    values = truth_scores(found)
    assert found.average_precision[0, 0, 0] == found.average_precision[1, 1, 0] == 1.0
    assert values["tf_site_ap"] == values["tf_site_recall"] == values["tf_site_precision"] == 1.0
    assert values["tf_site_ap/A"] == values["tf_site_ap/B_c"] == 1.0
    assert values["site_recall"] == pytest.approx(2 / 3)
    assert values["site_precision"] == pytest.approx(2 / 3)
    assert values["site_in_place"] == 1.0
    assert found.calls.tolist() == [1, 1, 1]


def test_activations_are_streamed_a_batch_at_a_time() -> None:
    sites = planted((0, 10, 5, 0, 1), (5, 10, 5, 0, 1))
    alive: list[int] = []

    def batches() -> Iterator[np.ndarray]:
        for number in range(6):
            alive.append(number)
            yield np.full((1, 40, 2), number, np.float32)

    peaks = Peaks(site_windows(sites, ReceptiveField(5, 2), 40, 6))
    for number, _ in enumerate(peaks.watch(batches())):
        assert alive == list(range(number + 1))
    assert peaks.values.shape == (len(peaks.windows.start), 2)
