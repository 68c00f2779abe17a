"""What the report computes: verdicts, effects, the toy model, alignments, fronts, tables."""

import math
import re

import numpy as np
import pandas
import pytest
from scipy import stats

from mlproject.architectures import ARCHITECTURES
from mlproject.motifs.databases import jaspar_by_id
from mlproject.motifs.pwm import reverse_complement
from mlproject.report.atlas import aligned
from mlproject.report.effects import correlation, effect, holm, verdict_of
from mlproject.report.measure import Measure
from mlproject.report.paper_statements import Side
from mlproject.report.published import (
    DATASETS,
    IN_VIVO,
    INCONSISTENCIES,
    SYNTHETIC,
    archs_of,
    printed,
    published,
)
from mlproject.report.sections.charts import pareto
from mlproject.report.sections.statements import paired
from mlproject.report.sections.toy import PATTERNS, best_accuracy, maps, second_layer, toy_sequence
from mlproject.report.table import Column, Table, published_column
from mlproject.report.verdicts import compare, joint

FIVE = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])


def trials(mean: float, sd: float) -> np.ndarray:
    """Return five numbers with this mean and this standard deviation, divided by five."""
    return mean + FIVE / FIVE.std() * sd


def test_the_interval_of_a_difference_is_that_of_scipys_welch_test() -> None:
    ours = np.array([0.91, 0.95, 0.93])
    found = compare(ours, (0.90, 0.02), 0.1)
    test = stats.ttest_ind(ours, trials(0.90, 0.02), equal_var=False)
    wanted = test.confidence_interval(0.90)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)
    assert found.difference == pytest.approx(0.03)
    assert (found.n, found.mean, found.sd) == pytest.approx((3, 0.93, ours.std(ddof=1)))


def test_a_published_sd_of_zero_is_taken_as_what_rounding_hides() -> None:
    found = compare([0.966, 0.966], (0.966, 0.0), 0.01)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0 < found.high
    assert found.high == pytest.approx(stats.t.ppf(0.95, 4) * 0.0005 / math.sqrt(5))


@pytest.mark.parametrize(
    ("values", "pair", "band", "verdict"),
    [
        ([0.970, 0.971, 0.972], (0.972, 0.001), 0.01, "agrees"),
        ([0.950, 0.951, 0.952], (0.972, 0.001), 0.01, "differs"),
        ([0.991, 0.992, 0.993], (0.972, 0.001), 0.01, "differs"),
        ([0.90, 0.99], (0.972, 0.001), 0.01, "cannot tell (n = 2)"),
        ([0.9611, 0.9615, 0.9629], (0.972, 0.001), 0.01, "cannot tell (n = 3)"),
        ([0.972], (0.972, 0.001), 0.01, "cannot tell (n = 1)"),
        ([], (0.972, 0.001), 0.01, "no runs"),
        ([0.97, 0.98], None, 0.01, ""),
    ],
)
def test_verdicts_follow_the_interval_and_the_band(
    values: list[float], pair: tuple[float, float] | None, band: float, verdict: str
) -> None:
    assert compare(values, pair, band).verdict == verdict


def test_published_numbers_are_the_papers_under_our_names() -> None:
    table = published()
    assert not table.duplicated(["dataset", "arch", "metric"]).any()
    assert set(table["arch"]) <= set(ARCHITECTURES)
    assert table["arch"].nunique() == 17
    assert len(archs_of(SYNTHETIC)) == 16
    assert len(archs_of(IN_VIVO)) == 13
    assert printed(SYNTHETIC, "CNN-25x120", "conv1/match_relevant") == (0.887, 0.025)
    assert printed(SYNTHETIC, "CNN-1-1-100", "conv3/match_jaspar") == (0.927, 0.020)
    assert printed(IN_VIVO, "CNN-1", "test_aupr") == (0.626, 0.0)
    assert printed(IN_VIVO, "CNN-1", "conv2/match_relevant") == (0.625, 0.030)
    assert printed(SYNTHETIC, "CNN-25", "test_aupr") is None


def test_inconsistencies_name_printed_cells() -> None:
    for note in INCONSISTENCIES:
        assert note.dataset in DATASETS
        for arch in note.archs:
            for metric in note.metrics:
                assert printed(note.dataset, arch, metric), note
    copied = next(note for note in INCONSISTENCIES if "copied" in note.text)
    for arch in copied.archs:
        for metric in copied.metrics:
            assert printed(SYNTHETIC, arch, metric) == printed(IN_VIVO, arch, metric)


def test_holms_correction_is_that_of_the_book() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, math.nan, 0.001]) == pytest.approx([0.5, math.nan, 0.002], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_verdicts_of_statements_follow_the_corrected_p() -> None:
    assert verdict_of(0.1, 0.04, 5) == "supported"
    assert verdict_of(-0.1, 0.04, 5) == "contradicted"
    assert verdict_of(0.1, 0.06, 5) == "cannot tell (n = 5)"
    assert verdict_of(0.9, math.nan, 1) == "cannot tell (n = 1)"
    assert verdict_of(math.nan, math.nan, 0) == "no runs"


def test_a_correlation_over_factors_does_not_grow_with_seeds() -> None:
    counts = np.array([1, 2, 2, 3, 4, 0, 1, 2, 3, 1, 2, 5], float)
    scores = np.linspace(0.9, 0.99, 12)[np.argsort(np.argsort(counts + np.arange(12) / 100))]
    found = correlation(counts, scores)
    assert found.p == pytest.approx(stats.spearmanr(counts, scores).pvalue)
    assert found.low < found.size < found.high <= 1
    assert math.isnan(correlation(np.ones(12), scores).size)
    weak = correlation(np.tile([0.0, 1.0], 6), np.arange(12.0))
    assert weak.low < 0 < weak.high


def test_cells_together_tell_what_each_alone_does_not() -> None:
    one = ([0.9717, 0.9727, 0.9737], (0.972, 0.002))
    assert (compare(*one, 0.01).low or 0.0) < 0
    found = joint([one] * 16)
    assert (found.cells, found.positive, found.negative) == (16, 16, 0)
    single = joint([one])
    assert found.z == pytest.approx(4 * single.z)
    assert found.p < 0.05 < single.p
    other = ([0.9703, 0.9713, 0.9723], (0.972, 0.002))
    assert joint([one, other]).z == pytest.approx(0, abs=1e-6)
    flat = stats.ttest_ind_from_stats(0.9727, 0.001, 3, 0.972, 0.002 * math.sqrt(5 / 4), 5, False)
    assert single.p == pytest.approx(flat.pvalue)


def test_an_effect_is_a_paired_t_test() -> None:
    one, two = np.array([0.9, 0.95, 0.93]), np.array([0.1, 0.3, 0.2])
    found = effect(dict(enumerate(one - two)))
    wanted = stats.ttest_rel(one, two).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.p == pytest.approx(stats.ttest_rel(one, two).pvalue)
    assert math.isnan(effect({0: 0.9}).p)
    assert effect({0: 0.5, 1: 0.5}).low < 0.5, "equal trials are not free of error"


def _frame(rows: list[tuple[str, int, float]]) -> pandas.DataFrame:
    frame = pandas.DataFrame(rows, columns=["arch", "seed", "x"])
    when = pandas.Timestamp("2026-01-01", tz="UTC")
    return frame.assign(
        replicates=frame["arch"], started=when, spec=[{} for _ in rows], metric_version="1"
    )


def test_sides_are_paired_over_the_seeds_and_networks_that_both_have() -> None:
    rows = [("CNN-1", 0, 0.1), ("CNN-2", 0, 0.3), ("CNN-25", 0, 0.9), ("CNN-50", 0, 0.7)]
    rows += [("CNN-1", 1, 0.2), ("CNN-25", 1, 1.0), ("CNN-25", 2, 0.5)]
    high, low = Side(("CNN-25", "CNN-50"), "x"), Side(("CNN-1", "CNN-2"), "x")
    found, used = paired(_frame(rows), high, low)
    assert found == pytest.approx({0: 0.8, 1: 0.8})
    assert used == ("CNN-25", "CNN-1")
    assert paired(_frame(rows[:1]), high, low) == ({}, ())


def test_the_toy_sequence_has_each_pattern_once_and_no_other_word() -> None:
    text = toy_sequence()
    assert len(text) == 60
    for pattern in PATTERNS:
        assert len(re.findall(f"(?={pattern.replace('N', '.')})", text)) == 1
    assert len(re.findall("(?=GTG|CAC)", text)) == 6


@pytest.mark.parametrize("pool", [1, 3, 7, 20])
def test_pooled_maps_are_where_the_words_are(pool: int) -> None:
    text = toy_sequence()
    found = maps(text, pool)
    for row, word in enumerate(("GTG", "CAC")):
        fires = {match.start() + 1 for match in re.finditer(f"(?={word})", text)}
        assert set(np.flatnonzero(found.scan[row])) == fires
        assert set(np.flatnonzero(found.pooled[row])) == {place // pool for place in fires}


def test_a_small_pool_keeps_the_arrangements_apart_and_a_large_one_does_not() -> None:
    assert [best_accuracy(pool) for pool in (1, 2, 3)] == [1.0, 1.0, 1.0]
    assert best_accuracy(20) < 0.45
    assert best_accuracy(200) == pytest.approx(1 / 3, abs=0.02)
    one, two, three = second_layer(3)
    np.testing.assert_array_equal(one, [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(two, [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(three, [[0, 0, 1], [1, 0, 0]])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("start", [0, 4, 8])
def test_a_filter_is_laid_onto_its_motif(start: int, turned: bool) -> None:
    (motif,) = jaspar_by_id(["MA0466.2"])
    pwm = np.full((19, 4), 0.25)
    pwm[start : start + motif.width] = motif.pwm[: 19 - start]
    given = reverse_complement(pwm) if turned else pwm
    found, shift = aligned(given, motif.pwm)
    assert shift == -start
    np.testing.assert_allclose(found, pwm)


def test_the_pareto_front_is_what_nothing_beats() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((40, 2)).round(1)
    wanted = [
        not any(
            other[0] >= one[0] and other[1] >= one[1] and tuple(other) != tuple(one)
            for other in points
        )
        for one in points
    ]
    assert pareto(points).tolist() == wanted


def _table() -> Table:
    cell = Measure(published=0.51234, published_sd=0.1, difference=-0.01, mark="a")
    empty = Measure(published=math.nan, published_sd=math.nan, difference=0.02, mark="")
    rows = [{"network": "CNN_1 & co", "x": cell}, {"network": "<b>", "x": empty}]
    columns = (
        Column("network", "network"),
        published_column("x", "AUROC"),
        Column("x", "Δ", "AUROC", 2, "difference", signed=True),
    )
    return Table("t", "A title, 5 %", rows, columns, ("^a^ Note `code`.",), ("make x",))


def test_a_table_says_the_same_in_every_format() -> None:
    table = _table()
    text = table.markdown()
    assert "| CNN_1 & co | 0.512 ± 0.100 <sup>a</sup> | −0.01 |" in text
    assert "| &lt;b> | — | +0.02 |" in text
    assert "<sup>a</sup> Note" in text
    assert "make x" in text
    page = table.html()
    assert '<th colspan="2" class="group">AUROC</th>' in page
    assert 'data-sort="0.51234">0.512 ± 0.100<sup>a</sup>' in page
    assert "&lt;b&gt;" in page
    latex = table.latex()
    assert r"CNN\_1 \& co & 0.512 $\pm$ 0.100\textsuperscript{a} & $-$0.01 \\" in latex
    assert r"\multicolumn{2}{c}{AUROC}" in latex
    assert r"\cmidrule(lr){2-3}" in latex
    assert r"\caption{A title, 5 \%}" in latex
    assert all(rule in latex for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert r"\textsuperscript{a} Note" in latex
    lines = table.csv().splitlines()
    assert lines[0] == "network,x,x sd,x published,x published sd,x difference,x mark"
    assert lines[1].endswith(",,,0.51234,0.1,-0.01,a")
