"""Tomtom against the real program's output, against a brute force one, and at its edges."""

import csv
import itertools
import math
import os
from pathlib import Path

import numpy as np
import pytest

from mlproject.motifs.databases import databases, jaspar
from mlproject.motifs.meme import read_meme, write_meme
from mlproject.motifs.pwm import Motif, reverse_complement
from mlproject.motifs.tomtom import Match, format_tsv, match_files, tomtom
from mlproject.store.results.recorded import read_matches
from mlproject.system.errors import UserError

GOLDEN = Path(__file__).parent / "golden"
REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
MODELS = ("cnn_2", "cnn_2_1", "cnn_10", "cnn3_2")
needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="../shared/reference is not beside the repository"
)

Row = dict[str, str]


def printed(path: Path) -> list[Row]:
    """Return the rows of a Tomtom table; 4.12 has other words in the header than 5."""
    with path.open() as file:
        header, *rows = csv.reader(file, delimiter="\t")
    names = [name.lstrip("#").replace(" ", "_") for name in header]
    return [dict(zip(names, row, strict=True)) for row in rows]


def assert_equal_to_printed(matches: list[Match], rows: list[Row], consensus: bool) -> None:
    assert [(m.query_id, m.target_id) for m in matches] == [
        (row["Query_ID"], row["Target_ID"]) for row in rows
    ]
    for match, row in zip(matches, rows, strict=True):
        assert abs(math.log10(match.p_value / float(row["p-value"]))) < 0.001
        assert abs(math.log10(match.e_value / float(row["E-value"]))) < 0.001
        assert 0.45 < match.q_value / float(row["q-value"]) < 1.2
        assert str(match.offset) == row["Optimal_offset"]
        assert str(match.overlap) == row["Overlap"]
        assert match.orientation == row["Orientation"]
        assert match.query_consensus == row["Query_consensus"]
        if consensus:
            assert match.target_consensus == row["Target_consensus"]


def slow_tomtom(query: Motif, targets: list[Motif]) -> dict[str, tuple[float, int, int, str]]:
    """Return (p-value, offset, overlap, orientation) by target: loops and enumeration."""

    def prepared(motif: Motif) -> list[list[float]]:
        rows = [[value / sum(row) for value in row] for row in motif.pwm.tolist()]
        n = motif.nsites
        return [[(value * n + 0.025) / (n + 0.1) for value in row] for row in rows]

    def other_strand(rows: list[list[float]]) -> list[list[float]]:
        return [row[::-1] for row in rows[::-1]]

    columns = prepared(query)
    strands = {(motif.id, "+"): prepared(motif) for motif in targets}
    strands |= {(name, "-"): other_strand(rows) for (name, _), rows in strands.items()}
    distances = {
        key: [[-math.dist(column, row) for row in rows] for column in columns]
        for key, rows in strands.items()
    }
    total = sum(len(rows) for rows in strands.values())
    medians = []
    for number in range(len(columns)):
        ordered = sorted(itertools.chain(*(table[number] for table in distances.values())))
        medians.append((ordered[total // 2 - 1] + ordered[-(-total // 2) - 1]) / 2)
    shifted = {
        key: [[value - medians[i] for value in table[i]] for i in range(len(columns))]
        for key, table in distances.items()
    }
    values = list(itertools.chain(*itertools.chain(*shifted.values())))
    low = math.floor(max(values) - 1 if max(values) == min(values) else min(values))
    scale = math.floor(100 / (max(values) - low))
    off = -low * scale
    integers = {
        key: [[math.floor((value - low) * scale + 0.5) for value in row] for row in table]
        for key, table in shifted.items()
    }

    def alignments(length: int) -> list[list[tuple[int, int]]]:
        pairs = []
        for offset in range(1 - len(columns), length):
            pairs.append([(i, i + offset) for i in range(len(columns)) if 0 <= i + offset < length])
        return pairs

    def below(span: list[int], score: int) -> float:
        draws = [list(itertools.chain(*(table[i] for table in integers.values()))) for i in span]
        rest = off * (len(columns) - len(span))
        fewer = sum(sum(draw) + rest < score for draw in itertools.product(*draws))
        return fewer / total ** len(span)

    answer = {}
    for motif in targets:
        best = (-1, 0, 0, "+")
        for sign in "+-":
            table = integers[motif.id, sign]
            for pairs in alignments(motif.width):
                score = sum(table[i][j] for i, j in pairs) + off * (len(columns) - len(pairs))
                if (score, len(pairs)) > best[:2]:
                    best = (score, len(pairs), pairs[0][1] - pairs[0][0], sign)
        score, overlap, offset, sign = best
        product = 1.0
        for pairs in alignments(motif.width):
            product *= below([i for i, _ in pairs], score) ** 2
        answer[motif.id] = (1 - product, offset, overlap, sign)
    return answer


def random_motif(rng: np.random.Generator, name: str, width: int) -> Motif:
    pwm = rng.dirichlet(np.ones(4) * 0.5, size=width)
    return Motif(name, "", pwm, float(rng.integers(1, 60)))


def everything(queries: list[Motif], targets: list[Motif] | tuple[Motif, ...]) -> list[Match]:
    return tomtom(queries, targets, evalue=math.inf)


def test_the_golden_filters_have_the_matches_that_the_real_tomtom_printed() -> None:
    matches = tomtom(read_meme(GOLDEN / "tomtom.meme"), jaspar())
    assert_equal_to_printed(matches, printed(GOLDEN / "tomtom.tsv"), consensus=True)


@needs_reference
@pytest.mark.parametrize("model", MODELS)
def test_published_filters_have_the_matches_that_the_real_tomtom_printed(model: str) -> None:
    """Consensus letters of targets are compared with the MEME file, whose rounding decides ties."""
    queries = read_meme(REFERENCE / f"tomtom/{model}_clip.meme")
    rows = printed(REFERENCE / f"tomtom/{model}.tomtom.txt")
    assert_equal_to_printed(tomtom(queries, jaspar()), rows, consensus=False)
    database = read_meme(REFERENCE / "JASPAR_CORE_2016_vertebrates.meme")
    assert_equal_to_printed(tomtom(queries, database), rows, consensus=True)


@pytest.mark.parametrize("seed", range(12))
def test_all_statistics_equal_brute_force_on_tiny_databases(seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = [random_motif(rng, f"t{i}", int(rng.integers(1, 4))) for i in range(2)]
    query = random_motif(rng, "q", 1 + seed % 4)
    slow = slow_tomtom(query, targets)
    matches = everything([query], targets)
    assert len(matches) == len(targets)
    for match in matches:
        p_value, *rest = slow[match.target_id]
        assert match.p_value == pytest.approx(p_value, rel=1e-9, abs=1e-12)
        assert match.e_value == pytest.approx(p_value * len(targets), rel=1e-9, abs=1e-12)
        assert [match.offset, match.overlap, match.orientation] == rest


def test_small_p_values_survive() -> None:
    """MA0083.3 with itself: less than 1 - p could hold, more than 1 draw of all there are."""
    (motif,) = [motif for motif in jaspar() if motif.id == "MA0083.3"]
    first = tomtom([motif], jaspar())[0]
    assert (first.target_id, first.offset, first.overlap) == ("MA0083.3", 0, 16)
    assert 12108.0**-16 < first.p_value < 1e-40


def test_known_motifs_find_themselves() -> None:
    for motif in jaspar()[::40]:
        places = {m.target_id: (m.offset, m.overlap) for m in tomtom([motif], jaspar())}
        assert places[motif.id] == (0, motif.width)


def test_a_query_read_from_the_other_strand_matches_alike() -> None:
    queries = read_meme(GOLDEN / "tomtom.meme")
    turned = [query._replace(pwm=reverse_complement(query.pwm)) for query in queries]
    found, other = tomtom(queries, jaspar()), tomtom(turned, jaspar())
    p_values = {(m.query_id, m.target_id): m.p_value for m in found}
    assert p_values == pytest.approx({(m.query_id, m.target_id): m.p_value for m in other})
    signs = {(m.query_id, m.target_id): m.orientation for m in other}
    differ = sum(m.orientation != signs[m.query_id, m.target_id] for m in found)
    assert differ >= 0.8 * len(found)


def test_a_query_has_the_same_matches_alone_and_among_others() -> None:
    queries = read_meme(GOLDEN / "tomtom.meme")
    alone = [match for query in queries for match in tomtom([query], jaspar())]
    assert tomtom(queries, jaspar()) == alone


def test_matches_are_sorted_and_evalue_only_cuts() -> None:
    queries = list(read_meme(GOLDEN / "tomtom.meme"))
    matches = everything(queries, jaspar())
    assert len(matches) == len(queries) * 519
    order = [query.id for query in queries]
    keys = [(order.index(m.query_id), m.e_value) for m in matches]
    assert keys == sorted(keys)
    assert [m for m in matches if m.e_value <= 0.1] == tomtom(queries, jaspar())


def test_ties_go_to_the_forward_strand_and_then_by_id() -> None:
    motif = jaspar()[0]
    turned = motif._replace(pwm=reverse_complement(motif.pwm))
    targets = [turned._replace(id="a"), motif._replace(id="c"), motif._replace(id="b")]
    found = [(m.target_id, m.orientation) for m in everything([motif], targets)]
    assert found == [("b", "+"), ("c", "+"), ("a", "-")]
    palindrome = Motif("palindrome", "", np.eye(4)[[0, 1, 2, 3]], 20)
    (match,) = everything([motif], [palindrome])
    assert match.orientation == "+"


def test_q_values_are_benjamini_hochberg_over_a_querys_targets() -> None:
    matches = everything(list(read_meme(GOLDEN / "tomtom.meme"))[:1], jaspar())
    for rank, match in enumerate(matches, start=1):
        later = [m.p_value * 519 / i for i, m in enumerate(matches[rank - 1 :], start=rank)]
        assert match.q_value == pytest.approx(min(later))


def test_nsites_weigh_the_pseudocount() -> None:
    query = read_meme(GOLDEN / "tomtom.meme")[0]
    few, many = (everything([query._replace(nsites=n)], jaspar())[0] for n in (1.0, 1000.0))
    assert few.p_value > 2 * many.p_value


def test_a_flat_filter_has_one_hit_and_no_sites_are_as_good_as_flat() -> None:
    """The real program has this hit, too: a dead filter must not be given to it."""
    flat = Motif("flat", "", np.full((19, 4), 0.25), 19)
    (match,) = tomtom([flat], jaspar())
    assert match.target_id == "MA0615.1"
    assert match.e_value == pytest.approx(0.0074, abs=0.0001)
    sharp = flat._replace(pwm=np.eye(4)[np.zeros(19, int)], nsites=0.0)
    assert [m[1:] for m in tomtom([sharp], jaspar())] == [match[1:]]


WIDE = random_motif(np.random.default_rng(0), "wide", 60)
ONE = Motif("one", "", np.array([[0.7, 0.1, 0.1, 0.1]]), 20)
FLAT = Motif("flat", "", np.full((7, 4), 0.25), 7)


@pytest.mark.parametrize(
    ("query", "targets"),
    [
        (ONE, jaspar()),
        (WIDE, jaspar()),
        (WIDE, (ONE,)),
        (WIDE, (WIDE,)),
        (ONE, (ONE,)),
        (ONE, (WIDE,)),
        (FLAT, (FLAT,)),
        (FLAT, (FLAT, ONE)),
        (FLAT, (WIDE, ONE, FLAT)),
        (jaspar()[0], jaspar()[:1]),
    ],
    ids=lambda value: value.id if isinstance(value, Motif) else str(len(value)),
)
def test_odd_queries_and_databases_are_well_behaved(
    query: Motif, targets: tuple[Motif, ...]
) -> None:
    matches = everything([query], targets)
    assert {match.target_id for match in matches} == {motif.id for motif in targets}
    widths = {motif.id: motif.width for motif in targets}
    for match in matches:
        length = widths[match.target_id]
        assert 0.0 <= match.p_value <= 1.0
        assert 0.0 <= match.q_value <= 1.0
        assert match.e_value == match.p_value * len(targets)
        assert 1 <= match.overlap <= min(query.width, length)
        expected = min(match.offset + query.width, length) - max(match.offset, 0)
        assert match.overlap == expected
        assert (len(match.query_consensus), len(match.target_consensus)) == (query.width, length)


def test_one_column_against_one_column_by_hand() -> None:
    """2 strands, A or T: half of the null scores reach the best one, on either strand."""
    (match,) = everything([ONE], (ONE,))
    assert match == Match("one", "one", 0, 0.75, 0.75, 0.75, 1, "A", "A", "+")


def test_no_query_has_no_match_and_no_target_is_an_error() -> None:
    assert tomtom([], jaspar()) == []
    with pytest.raises(UserError, match="at least 1 target"):
        tomtom([ONE], [])


@pytest.mark.parametrize("evalue", [0.0, -0.1, math.nan])
def test_an_evalue_that_is_not_above_0_is_refused(evalue: float) -> None:
    with pytest.raises(UserError, match=r"`evalue` must be above 0: got (0|-0.1|nan);"):
        tomtom([ONE], [ONE], evalue)


def test_the_table_is_tomtom_5s() -> None:
    match = Match("q", "MA0001.1", -2, 5.77555e-11, 2.9975e-08, 0.25, 11, "AC", "GT", "-")
    assert format_tsv([]).splitlines() == [
        "Query_ID\tTarget_ID\tOptimal_offset\tp-value\tE-value\tq-value\tOverlap\t"
        "Query_consensus\tTarget_consensus\tOrientation"
    ]
    assert format_tsv([match]).splitlines()[1:] == [
        "q\tMA0001.1\t-2\t5.77555e-11\t2.9975e-08\t0.25\t11\tAC\tGT\t-"
    ]


def test_match_files_takes_jaspar_or_a_file_as_targets(tmp_path: Path) -> None:
    query = GOLDEN / "tomtom.meme"
    assert match_files(query) == format_tsv(tomtom(read_meme(query), jaspar()), jaspar())
    write_meme(tmp_path / "targets.meme", jaspar()[:60])
    targets = databases(str(tmp_path / "targets.meme"))
    table = match_files(query, str(tmp_path / "targets.meme"), 5.0)
    assert table == format_tsv(tomtom(read_meme(query), targets, 5.0), targets)
    assert table.splitlines()[0].endswith("\tOrientation\tTarget_name")
    assert len(read_matches(table)) == table.count("\n") - 1
    assert len(table.splitlines()) > 1


def test_thirty_filters_take_less_than_3_cpu_seconds() -> None:
    queries = [motif._replace(id=f"filter{i}") for i, motif in enumerate(jaspar()[:30])]
    before = os.times()
    tomtom(queries, jaspar())
    after = os.times()
    assert after.user + after.system - before.user - before.system < 3.0


@pytest.mark.slow
def test_memelite_finds_the_same_pairs_and_p_values() -> None:
    """Its defaults approximate: exact ones, and the pseudocount by hand (about 90 s to compile)."""
    memelite = pytest.importorskip("memelite", reason="memelite is not installed")

    def prepared(motif: Motif) -> np.ndarray:
        return ((motif.pwm * motif.nsites + 0.025) / (motif.nsites + 0.1)).T.copy()

    rng = np.random.default_rng(3)
    queries = [random_motif(rng, f"r{i}", int(rng.integers(3, 25))) for i in range(20)]
    queries += read_meme(GOLDEN / "tomtom.meme")
    known = [prepared(motif) for motif in jaspar()]
    exact = {"n_target_bins": None, "n_median_bins": 100_000}
    p_values = memelite.tomtom([prepared(query) for query in queries], known, **exact)[0]
    expected = {
        (query.id, motif.id): p_value
        for query, row in zip(queries, p_values, strict=True)
        for motif, p_value in zip(jaspar(), row, strict=True)
        if p_value * 519 <= 0.1
    }
    matches = tomtom(queries, jaspar())
    assert {(m.query_id, m.target_id) for m in matches} == set(expected)
    for match in matches:
        ratio = match.p_value / expected[match.query_id, match.target_id]
        assert abs(math.log10(ratio)) < 0.01
