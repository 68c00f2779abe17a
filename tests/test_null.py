"""The null of motif matching: shuffled filters keep all but the order of their columns."""

import numpy as np
import pytest

from mlproject.filters.align import Aligned
from mlproject.filters.null import SHUFFLES, null_scores, shuffled
from mlproject.filters.reading import read_layer
from mlproject.motifs.databases import jaspar, jaspar_by_id
from mlproject.motifs.pwm import Motif, information
from mlproject.motifs.tomtom import tomtom


def aligned(pwms: list[np.ndarray], dead: int = 0) -> Aligned:
    width = max(map(len, pwms))
    filled = np.full((len(pwms) + dead, width, 4), 0.25)
    for number, pwm in enumerate(pwms):
        filled[number, : len(pwm)] = pwm
    sites = np.array([50] * len(pwms) + [0] * dead)
    return Aligned(filled, sites, sites[:, None] * np.ones(width), np.ones(len(sites), np.float32))


def test_a_shuffle_moves_the_columns_between_the_first_and_the_last_informative_one() -> None:
    flank = np.full((3, 4), 0.25) + np.linspace(0, 0.03, 3)[:, None] * [1, -1, 1, -1]
    core = jaspar_by_id(["MA0466.2"])[0].pwm
    motif = Motif("f", "", np.concatenate([flank, core, flank]), 1.0)
    informative = np.flatnonzero(information(motif.pwm) > 0.5)
    first, last = informative[0], informative[-1]
    orders = [shuffled(motif, number).pwm for number in range(20)]
    for pwm in orders:
        np.testing.assert_array_equal(pwm[:first], motif.pwm[:first])
        np.testing.assert_array_equal(pwm[last + 1 :], motif.pwm[last + 1 :])
        assert sorted(map(tuple, pwm)) == sorted(map(tuple, motif.pwm))
    assert len({pwm.tobytes() for pwm in orders}) == 20
    np.testing.assert_array_equal(shuffled(motif, 3).pwm, orders[3])


def test_the_null_is_the_share_of_shuffled_filters_that_match() -> None:
    known = jaspar_by_id(["MA0466.2", "MA0083.3", "MA0139.1"])
    letter = np.tile([[0.01, 0.01, 0.97, 0.01]], (9, 1))  # its order means nothing
    targets = [*jaspar(), Motif("G", "", letter, 100.0)]
    relevant = {"SRF": ("MA0083",), "poly": ("G",)}
    reading = read_layer(
        "conv1", "released", aligned([*(m.pwm for m in known), letter], 1), targets
    )
    matched = {match.query_id for match in reading.matches}
    assert matched == {"filter0", "filter1", "filter2", "filter3"}
    found = null_scores(reading, targets, relevant)
    hits, relevant_hits = 0, 0
    for place, motif in enumerate(reading.clipped):
        for number in range(SHUFFLES):
            matches = tomtom([shuffled(motif, SHUFFLES * place + number)], targets)
            hits += bool(matches)
            relevant_hits += any(m.target_id.split(".")[0] in ("MA0083", "G") for m in matches)
    count = 5 * SHUFFLES  # with the dead filter
    assert found == {"match_null": hits / count, "match_null_relevant": relevant_hits / count}
    assert found["match_null"] == pytest.approx(0.2, abs=0.1)  # the filter of one letter always
    assert found == null_scores(reading, targets, relevant)
    assert set(null_scores(reading, targets, {})) == {"match_null"}
    dead = read_layer(
        "conv1", "released", aligned([letter], 0)._replace(nsites=np.array([0])), targets
    )
    assert null_scores(dead, targets, {}) == {"match_null": 0.0}
