"""Filters made from known motifs, and scores that can be counted by hand."""

import numpy as np
import pytest

from mlproject.filters.align import Aligned
from mlproject.filters.reading import (
    LayerReading,
    best_matches,
    classes_of,
    filters_by_class,
    match_scores,
    read_layer,
)
from mlproject.motifs.databases import jaspar, jaspar_by_id
from mlproject.motifs.pwm import Motif, clip, reverse_complement
from mlproject.motifs.tomtom import Match

RELEVANT = {
    "CEBPB": ("MA0466",),
    "MEF2A": ("MA0052.3", "MA0660"),
    "Arid3a": ("MA0151", "MA0601"),
    "unknown": (),
}


def aligned(pwms: list[np.ndarray], nsites: list[int]) -> Aligned:
    stack = np.array(pwms)
    weights = np.array(nsites)[:, None] * np.ones(stack.shape[1])
    return Aligned(stack, np.array(nsites), weights, np.ones(len(pwms), np.float32))


def planted(motif: np.ndarray, start: int, window: int = 19, noise: float = 0.1) -> np.ndarray:
    """A filter that has learned a motif at column `start`, blurred."""
    pwm = np.full((window, 4), 0.25)
    pwm[start : start + len(motif)] = motif * (1 - noise) + noise * 0.25
    return pwm


def match(filter_id: str, target_id: str, evalue: float = 0.01) -> Match:
    return Match(filter_id, target_id, 0, evalue / 519, evalue, evalue, 10, "", "", "+")


def reading(count: int, matches: list[Match], dead: tuple[int, ...] = ()) -> LayerReading:
    flat = np.full((19, 4), 0.25)
    motifs = tuple(Motif(f"filter{n}", "", flat, 0.0 if n in dead else 9.0) for n in range(count))
    alive = tuple(motif for motif in motifs if motif.nsites)
    return LayerReading("conv1", "released", motifs, alive, (0,) * count, tuple(matches))


@pytest.fixture(scope="module")
def learned() -> LayerReading:
    cebpb, mef2a = (motif.pwm for motif in jaspar_by_id(["MA0466.2", "MA0052.3"]))
    noise = np.random.default_rng(0).dirichlet([30] * 4, size=19)
    pwms = [planted(cebpb, 6), np.full((19, 4), 0.25), planted(reverse_complement(mef2a), 1), noise]
    return read_layer("conv1", "released", aligned(pwms, [120, 0, 80, 50]), jaspar())


def test_filters_match_the_motifs_that_they_were_made_from(learned: LayerReading) -> None:
    best = best_matches(learned, RELEVANT)
    assert best["filter0"].match.target_id == "MA0466.2"
    assert best["filter0"].classes == ("CEBPB",)
    assert best["filter2"].match.target_id == "MA0052.3"
    assert best["filter2"].match.orientation == "-"
    assert all(found.e_value <= 0.1 for found in learned.matches)


def test_dead_filters_are_kept_but_not_matched(learned: LayerReading) -> None:
    assert [motif.id for motif in learned.motifs] == ["filter0", "filter1", "filter2", "filter3"]
    assert [motif.nsites for motif in learned.motifs] == [120, 0, 80, 50]
    assert [motif.id for motif in learned.clipped] == ["filter0", "filter2", "filter3"]
    assert "filter1" not in {found.query_id for found in learned.matches}
    assert match_scores(learned, RELEVANT)["dead"] == 1


def test_clipped_filters_are_what_tomtom_is_fed(learned: LayerReading) -> None:
    whole = {motif.id: motif for motif in learned.motifs}
    for motif in learned.clipped:
        start, stop = clip(whole[motif.id].pwm)
        assert learned.starts[int(motif.id.removeprefix("filter"))] == start
        assert motif.nsites == motif.width == stop - start
        np.testing.assert_allclose(motif.pwm, whole[motif.id].pwm[start:stop], atol=1e-4)
        np.testing.assert_allclose(motif.pwm, np.round(motif.pwm, 4), atol=1e-12)
        np.testing.assert_allclose(motif.pwm.sum(axis=1), 1, atol=1e-12)


def test_an_evalue_of_the_run_is_used() -> None:
    pwms = [planted(jaspar_by_id(["MA0466.2"])[0].pwm, 6)]
    strict = read_layer("conv1", "released", aligned(pwms, [9]), jaspar(), evalue=1e-4)
    assert strict.matches
    assert max(found.e_value for found in strict.matches) <= 1e-4


def test_ids_without_a_version_stand_for_every_version() -> None:
    assert classes_of("MA0466.2", RELEVANT) == ("CEBPB",)
    assert classes_of("MA0466.9", RELEVANT) == ("CEBPB",)
    assert classes_of("MA0052.3", RELEVANT) == ("MEF2A",)
    assert classes_of("MA0052.2", RELEVANT) == ()
    assert classes_of("MA04661.1", RELEVANT) == ()


def test_the_relevant_match_names_a_filter_even_if_another_is_better() -> None:
    found = reading(
        2,
        [
            match("filter0", "MA0999.1", 1e-9),
            match("filter0", "MA0466.2", 1e-3),
            match("filter0", "MA0466.1", 1e-4),
            match("filter1", "MA0998.1", 1e-2),
            match("filter1", "MA0999.1", 1e-5),
        ],
    )
    best = best_matches(found, RELEVANT)
    assert best["filter0"].match.target_id == "MA0466.1"
    assert best["filter1"].match.target_id == "MA0999.1"
    assert best["filter1"].classes == ()


def test_scores_count_filters_over_all_filters_of_the_layer() -> None:
    found = reading(
        8,
        [
            match("filter0", "MA0466.2"),
            match("filter0", "MA0466.1"),
            match("filter1", "MA0466.2"),
            match("filter1", "MA0660.1"),
            match("filter2", "MA0999.1"),
        ],
        dead=(3, 4),
    )
    assert match_scores(found, RELEVANT) == {
        "match_jaspar": 3 / 8,
        "match_relevant": 2 / 8,
        "coverage": 2 / 3,
        "dead": 2,
        "filters/CEBPB": 2,
        "filters/MEF2A": 1,
        "filters/Arid3a": 0,
    }
    assert filters_by_class(found, RELEVANT)["CEBPB"] == ["filter0", "filter1"]


@pytest.mark.parametrize("relevant", [{}, {"A": (), "B": ()}])
def test_without_relevant_motifs_nothing_is_said_about_relevance(
    relevant: dict[str, tuple[str, ...]],
) -> None:
    found = reading(4, [match("filter0", "MA0466.2")])
    assert match_scores(found, relevant) == {"match_jaspar": 1 / 4, "dead": 0}


def test_a_layer_without_any_site_has_no_match() -> None:
    flat = np.full((3, 19, 4), 0.25)
    found = read_layer("conv1", "paper", aligned(list(flat), [0, 0, 0]), jaspar())
    assert found.clipped == found.matches == ()
    expected = {"match_jaspar": 0.0, "match_relevant": 0.0, "coverage": 0.0, "dead": 3.0}
    assert match_scores(found, {"A": ("MA0466",)}) == {**expected, "filters/A": 0.0}


def test_class_names_become_metric_names() -> None:
    found = match_scores(reading(1, [match("filter0", "MA0466.2")]), {"CEBPB (K562)": ("MA0466",)})
    (name,) = (name for name in found if name.startswith("filters/"))
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/")
