"""Embedded motifs: effects of a scoring function whose beliefs are known."""

from pathlib import Path

import numpy as np
import pytest

from mlproject.draw.embedding import heat_figure, profile_figure, spacing_figure
from mlproject.draw.output import save_figure
from mlproject.insilico.embedding import (
    Embedder,
    Placed,
    apart,
    at_gap,
    by_copies,
    by_position,
    by_strand,
    embed,
    instances,
    interval,
    of_pair,
    on_strand,
    shuffled_backgrounds,
    starts,
    uniform_backgrounds,
)
from mlproject.insilico.experiments import Effects, Embedded, experiment, first_places
from mlproject.motifs.pwm import Motif
from mlproject.run.motif_choice import consensus_pwm
from mlproject.run.scoring import logit
from mlproject.sequence import decode, encode

LENGTH = 60
ONE, OTHER = "CACGTT", "GGGCGG"
CLASSES = ("one", "other", "both")


def believe(codes: np.ndarray) -> np.ndarray:
    """Logits: copies of ONE (forward only) count 2 up to twice, OTHER 1, both within 9 nt add 3."""
    found = np.zeros((len(codes), 3))
    for row, text in enumerate(decode(codes)):
        first, second = text.count(ONE), text.count(OTHER)
        found[row] = 2 * min(first, 2), second, 0
        if first and second and 0 <= text.find(OTHER) - text.find(ONE) - len(ONE) <= 9:
            found[row, 2] = 3
    return found


def letters(text: str) -> np.ndarray:
    return encode([text])


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    made = uniform_backgrounds(LENGTH, 40, 1)
    made[made == 2] = 0  # no G: neither motif occurs by chance
    return Embedder(believe, made)


def test_backgrounds_are_shuffles_of_evenly_spaced_sequences_and_the_same_each_time() -> None:
    codes = np.random.default_rng(0).integers(0, 4, (7, 30), np.uint8)
    made = shuffled_backgrounds(codes, 10)
    assert made.shape == (10, 30)
    for number, row in enumerate(made):
        own = codes[number % 7]
        pairs = (np.unique(4 * one[:-1] + one[1:], return_counts=True) for one in (row, own))
        for one, other in zip(*pairs, strict=True):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(made, shuffled_backgrounds(codes, 10))
    assert (made[0] != made[7]).any()  # two shuffles of one sequence
    assert [int(row[0]) for row in shuffled_backgrounds(codes, 2)] == [codes[0, 0], codes[6, 0]]


def test_the_letters_of_the_background_stay_where_a_motif_has_none() -> None:
    backgrounds = np.random.default_rng(0).integers(0, 4, (50, 12), np.uint8)
    letters = instances(consensus_pwm("TGNC"), 50)
    for strand, wanted in (("+", [3, 2, None, 1]), ("-", [2, None, 1, 0])):
        made = embed(backgrounds, [Placed(3, on_strand(letters, strand))])
        for column, letter in enumerate(wanted, 3):
            own = backgrounds[:, column] if letter is None else letter
            assert (made[:, column] == own).all()


def test_letters_are_the_most_probable_ones_or_drawn_by_their_probabilities() -> None:
    pwm = np.array([[0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0], [0, 0, 0.5, 0.5]])
    assert instances(pwm, 5).tolist() == [[3, 0, 2]]
    assert instances(consensus_pwm("TGANTCA"), 5).tolist() == [[3, 2, 0, 4, 3, 1, 0]]
    drawn = instances(pwm, 20_000, seed=0)
    assert drawn.shape == (20_000, 3)
    shares = np.stack([(drawn == code).mean(axis=0) for code in range(4)], axis=1)
    np.testing.assert_allclose(shares, pwm, atol=0.015)


def test_letters_are_written_at_their_place_on_their_strand() -> None:
    made = embed(np.zeros((2, 12), np.uint8), [Placed(1, letters("CCT")), Placed(8, letters("G"))])
    assert decode(made) == ["ACCTAAAAGAAA"] * 2
    assert decode(on_strand(letters("CCT"), "-")) == ["AGG"]
    assert starts(10, 4, 100).tolist() == list(range(7))
    assert starts(100, 10, 4).tolist() == [0, 30, 60, 90]


def test_the_interval_is_that_of_students_t() -> None:
    values = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [4.0, 5.0]])
    mean, low, high = interval(values)
    assert mean.tolist() == [2.5, 5.0]
    half = 3.182446 * np.sqrt(5 / 3) / 2  # t of 3 degrees of freedom, tables
    np.testing.assert_allclose([low[0], high[0]], [2.5 - half, 2.5 + half], rtol=1e-5)
    assert (low[1], high[1]) == (5.0, 5.0)


def test_effects_are_those_that_the_scoring_function_has(embedder: Embedder) -> None:
    one, other = letters(ONE), letters(OTHER)
    assert by_strand(embedder, one).mean(axis=1).tolist() == [[2, 0, 0], [0, 0, 0]]
    places = starts(LENGTH, len(ONE), 5)
    profile = by_position(embedder, one, places)
    assert profile.mean(axis=1).tolist() == [[1, 0, 0]] * 5  # the mean of both strands
    copies = by_copies(embedder, one, 5).mean(axis=1)
    assert copies[:, 0].tolist() == [2, 2, 4, 4, 4]  # every second copy is reversed
    near = of_pair(embedder, *at_gap(LENGTH, one, other, 4))
    assert near.interaction.mean(axis=0).tolist() == [0, 0, 3]
    assert near.both.mean(axis=0).tolist() == [2, 1, 3]
    far = of_pair(embedder, *at_gap(LENGTH, one, other, 20))
    assert not far.interaction.any()
    assert apart(LENGTH, one, np.zeros((1, 50), np.uint8)) is None
    long = by_copies(embedder, np.zeros((1, 25), np.uint8), 5)
    assert len(long) == 2  # three copies of 25 nt do not fit


def test_the_experiment_ranks_motifs_and_finds_the_pair_and_its_spacing(
    embedder: Embedder, tmp_path: Path
) -> None:
    motifs = [Embedded(text, letters(text)) for text in (ONE, OTHER, "TTTTTT")]
    seen: list[tuple[int, int]] = []
    few = Embedder(believe, embedder.backgrounds[:8])
    found = experiment(embedder, few, motifs, CLASSES, lambda *step: seen.append(step))
    assert seen == [(number, 15) for number in range(1, 16)]
    assert first_places(found.effects, {ONE: "one", OTHER: "other"}) == {"one": True, "other": True}
    assert first_places(found.effects, {ONE: "other", OTHER: "one"}) == {
        "other": False,
        "one": False,
    }
    strands = {(row["strand"], row["effect"]) for row in found.strands
               if (row["motif"], row["class"]) == (ONE, "one")}  # fmt: skip
    assert strands == {("+", 2.0), ("-", 0.0)}
    gaps = {row["gap"] for row in found.spacing if row["interaction"] and row["strands"] == "++"}
    assert max(gaps) <= 9 < max(row["gap"] for row in found.spacing)
    assert {(row["motif"], row["other"]) for row in found.spacing if row["interaction"]} == {
        (ONE, OTHER)
    }
    assert {row["n"] for row in found.effects} == {40}
    assert {row["n"] for row in found.positions} == {8}


def test_figures_of_effects_are_drawn_and_the_same_each_time(
    embedder: Embedder, tmp_path: Path
) -> None:
    motifs = [Embedded(text, letters(text)) for text in (ONE, OTHER)]
    found: Effects = experiment(embedder, embedder, motifs, CLASSES)
    for number in range(2):
        made = {
            "effects": heat_figure(found.effects, "effect", "t", "n", lambda row: row["motif"]),
            "copies": profile_figure(found.copies, "copies", "motif", "t", "n", "x", CLASSES),
            "spacing": spacing_figure(found.spacing, "t", "n"),
        }
        for name, figure in made.items():
            save_figure(figure, tmp_path / f"{name}{number}", ["png"])
    for name in made:
        one, other = ((tmp_path / f"{name}{n}.png").read_bytes() for n in (0, 1))
        assert one == other
    texts = {text.get_text() for text in made["effects"].axes[0].texts}
    assert {"1.0", "0.5"} <= texts  # the effect of ONE and of OTHER, mean of both strands


def test_iupac_letters_are_probabilities_and_logits_are_finite() -> None:
    pwm = consensus_pwm("ARN")
    assert pwm.tolist() == [[1, 0, 0, 0], [0.5, 0, 0.5, 0], [0.25] * 4]
    assert Motif("x", "", pwm, 1.0).width == 3
    np.testing.assert_allclose(logit(np.array([0.5, 0.0, 1.0])), [0, -16.118, 16.118], atol=0.01)
