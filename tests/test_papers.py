"""A paper that is described by data: its tables, figures, statements and the page of its runs."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from recorded import inside, reading, record, start
from scipy import stats

from mlproject import results
from mlproject.architectures import make_spec
from mlproject.attribution import Attributions
from mlproject.attribution.examples import example_table
from mlproject.motifs.meme import write_meme
from mlproject.motifs.pwm import Motif, reverse_complement
from mlproject.motifs.tomtom import format_tsv
from mlproject.names import Artifact
from mlproject.report.build import build
from mlproject.report.content import ReportRequest
from mlproject.report.measure import Measure
from mlproject.report.papers.claims import equivalence, paired
from mlproject.report.papers.patterns import onto
from mlproject.report.papers.reading import paper_names, published_cells, read_paper
from mlproject.report.papers.runs import PaperRuns
from mlproject.report.reproduction import make_reproduction
from mlproject.report.verdicts import compare, rounded_sd
from mlproject.store import connect
from mlproject.store.exchange.exporting import export
from mlproject.system.errors import UserError

PAPER = "koo_ploenzke_2021"
TASK1 = {"dataset": "exponential", "protocol": "exponential"}
TASK3 = {"dataset": "codes", "protocol": "exponential", "monitor": "val_auroc"}
ZBED2 = {
    "dataset": "zbed2.h5",
    "protocol": "exponential",
    "monitor": "val_auroc",
    "model": "residualbind",
}
METHODS = ("gradient_x_input", "ism", "integrated_gradients", "deeplift")


def turned_pattern(seed: int) -> Motif:
    """Return a pattern that starts two columns later with seed 1, on the other strand."""
    letters = np.random.default_rng(3).integers(0, 4, 12)[2 * seed : 10 + 2 * seed]
    pwm = np.full((10, 4), 0.02) + 0.92 * np.eye(4)[letters]
    return Motif("pattern0", "", reverse_complement(pwm) if seed else pwm, 40)


def record_zbed2(activation: str, seed: int) -> None:
    """Record a run with examples of 100 nt that are largest at 30 to 40, and a pattern's match."""
    tracker = start({**ZBED2, "model_args.activation": activation, "seed": seed})
    codes = np.random.default_rng(0).integers(0, 4, (8, 100)).astype(np.uint8)
    scores = np.full((8, 100, 4), 0.01 * (seed + 1), np.float32)
    scores[:, 30:40] += 1.0
    found = Attributions("gradient_x_input_raw", np.arange(8) * 3, np.zeros(8, int), codes, scores)
    table = example_table(found, ["ZBED2"])
    path = Artifact.examples("gradient_x_input_raw")
    tracker.artifact(path, lambda file: table.to_csv(file, index=False))
    layer = reading(1)
    matches = format_tsv(layer.matches)
    tracker.artifact(Artifact.PATTERN_MATCHES, lambda file: file.write_text(matches))
    pattern = turned_pattern(seed)
    tracker.artifact(Artifact.PATTERNS, lambda file: write_meme(file, [pattern]))
    tracker.metrics({"test_auroc": 0.9 + seed / 100, "modisco/patterns": 3.0})
    tracker.finish("FINISHED")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Iterator[Path]:
    """A store with three trials of some cells of both tasks, and one run of another network."""
    with inside(tmp_path_factory.mktemp("papers"), migrated_store) as folder:
        for arch, low in (("EXP-CNN-2", 0.0), ("EXP-CNN-deep", 0.03)):
            for activation, relevant in (("relu", low), ("exponential", 0.95)):
                for seed in range(3):
                    options = {**TASK1, "arch": arch, "activation": activation, "seed": seed}
                    record(options, 0.97 + seed / 1000, relevant + seed / 100)
        for arch, bonus in (("EXP-CNN-local", 0.0), ("EXP-CNN-dist", 0.05)):
            for number, activation in enumerate(("relu", "exponential", "tanh", "elu")):
                for seed in range(3):
                    options = {**TASK3, "arch": arch, "activation": activation, "seed": seed}
                    more = {
                        f"{method}_probability/auroc": 0.7 + bonus + number / 50 + seed / 500
                        for method in METHODS
                    }
                    record(options, 0.9 - number / 100 - bonus, None, more=more)
        record({**TASK1, "arch": "EXP-CNN-2", "epochs": 7}, 0.5, 0.5)
        for activation in ("relu", "exponential"):
            for seed in range(2):
                record_zbed2(activation, seed)
        yield folder


def test_every_paper_can_be_read_and_each_cell_names_runs_that_can_be_trained() -> None:
    assert paper_names()[0] == "koo_eddy_2019"
    for name in paper_names()[1:]:
        paper = read_paper(name)
        tables = {table.name: table for table in paper.tables}
        for table in paper.tables:
            cells = published_cells(name, table)
            places = {(cell.metric, tuple(cell.options.items())) for cell in cells}
            assert len(places) == len(cells) > 0
            for cell in cells:
                make_spec(cell.options)
                assert not math.isnan(cell.value)
        for one in paper.statements:
            for options in (*one.high, *one.low):
                make_spec({**tables[one.table].runs, **options})
    with pytest.raises(UserError, match="unknown paper 'koo_ploenzke': did you mean"):
        read_paper("koo_ploenzke")


def test_plans_of_a_paper_have_a_cell_for_each_published_number() -> None:
    from mlproject.sweeps.plan import expand
    from mlproject.sweeps.plan_file import read_plan

    plans = Path(__file__).parents[1] / "sweeps"
    for table in read_paper(PAPER).tables:
        specs = [spec for _, spec in expand(read_plan(plans / f"exponential_{table.name}.yaml"))]
        free = {"attributions": "none", "attributed": 300}
        planned = {spec.model_copy(update=free) for spec in specs}
        for cell in published_cells(PAPER, table):
            assert make_spec(cell.options) in planned, cell.labels


def test_a_cell_takes_the_runs_that_differ_in_the_seed_only(store: Path) -> None:
    runs = PaperRuns(results.counted(results.runs()))
    options = {**TASK1, "arch": "EXP-CNN-2", "activation": "relu"}
    assert runs.by_seed(options, "conv1/match_relevant") == {0: 0.0, 1: 0.01, 2: 0.02}
    assert runs.by_seed({**options, "epochs": 7}, "conv1/match_relevant") == {0: 0.5}
    assert runs.by_seed({**options, "protocol": "released"}, "test_auroc") == {}


def test_a_seed_counts_once_and_other_motif_databases_do_not(workplace: Path) -> None:
    options = {**TASK3, "arch": "EXP-CNN-local", "activation": "relu", "seed": 0}
    for attributed, auroc in ((20, 0.5), (500, 0.6)):
        more = {"ism_probability/auroc": auroc}
        record({**options, "attributed": attributed}, relevant=None, more=more)
    record({**options, "motifs": "jaspar2026"}, relevant=None, more={"ism_probability/auroc": 0.9})
    runs = PaperRuns(results.counted(results.runs()))
    assert runs.by_seed(options, "ism_probability/auroc") == {0: 0.6}
    assert len(runs.of(options, "ism_probability/auroc")) == 1
    assert runs.of(options, "conv1/match_relevant").empty
    (hint,) = runs.unknown(["test_auroc", "ism_probability/auro"])
    assert hint.startswith("no run has the metric `ism_probability/auro`: did you mean")


def test_tables_have_verdicts_beside_the_published_numbers(store: Path) -> None:
    report = build(ReportRequest(paper=PAPER), connect())
    assert report.title.startswith("Koo & Ploenzke 2021, exponential activations")
    table = report.table("task1")
    assert table is not None
    rows = {(row["network"], row["activation"]): row for row in table.rows}
    found = rows["CNN-2", "exponential"]["value"]
    assert isinstance(found, Measure)
    assert (found.n, found.published) == (3, 0.96)
    assert found.mean == pytest.approx(0.96)  # the median
    assert found.verdict == "agrees"
    assert rows["CNN-50", "relu"]["value"].verdict == "no runs"
    assert {"task1", "task3"} <= set(report.pictures)


def test_groups_without_printed_numbers_stand_side_by_side(store: Path) -> None:
    report = build(ReportRequest(paper=PAPER), connect())
    table = report.table("zbed2")
    assert table is not None
    assert [(row["group"], row["n"]) for row in table.rows] == [("relu", 2), ("exponential", 2)]
    assert table.rows[1]["test_auroc"].mean == pytest.approx(0.905)
    assert "(2)" in table.rows[0]["patterns"]
    figure = report.pictures["zbed2"].figure
    assert figure is not None
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert len([text for text in texts if "of test sequence" in text]) == 2 * 4
    assert {"nt 1 to 80 of test sequence 0"} <= set(texts)


def test_the_first_patterns_of_all_trials_are_turned_and_shifted_onto_each_other(
    store: Path,
) -> None:
    figure = build(ReportRequest(paper=PAPER), connect()).pictures["zbed2_patterns"].figure
    assert figure is not None
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [f"seed {seed}  ·  40 seqlets" for seed in (0, 1)] * 2
    assert [axes.get_xlim() for axes in figure.axes] == [(-0.5, 11.5), (-2.5, 9.5)] * 2
    start, turned = onto(turned_pattern(1), turned_pattern(0))
    assert start == 2
    np.testing.assert_array_equal(turned.pwm[:8], turned_pattern(0).pwm[2:])


def test_statements_are_tested_on_the_runs(store: Path) -> None:
    table = build(ReportRequest(paper=PAPER, figures=False), connect()).table("statements")
    assert table is not None
    verdicts = {row["statement"]: row["verdict"] for row in table.rows}
    assert (
        verdicts["With an exponential activation the filters of CNN-2 become motifs."]
        == "supported"
    )
    same = next(text for text in verdicts if text.startswith("The test AUROC of CNN-2 is the same"))
    assert verdicts[same] == "supported"
    shifted = next(text for text in verdicts if text.startswith("Shifting and scaling a tanh"))
    assert verdicts[shifted] == "no runs"
    related = next(row for row in table.rows if row["relation"])
    assert related["n"] == 8
    assert related["effect"] < 0
    assert related["verdict"] == "supported"


def test_unknown_published_spread_leaves_our_own_interval_and_the_error_of_reading() -> None:
    values = [0.90, 0.94, 0.98]
    found = compare(values, (0.9, math.nan), 0.2, trials=10, reading=0.03)
    half = stats.t.ppf(0.95, 2) * np.std(values, ddof=1) / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((0.04 - half - 0.03, 0.04 + half + 0.03))


def test_medians_are_compared_with_their_own_standard_error() -> None:
    values = [0.90, 0.91, 0.98]
    found = compare(values, (0.9, math.nan), 0.2, median=True)
    half = stats.t.ppf(0.95, 2) * np.std(values, ddof=1) / math.sqrt(3) * math.sqrt(math.pi / 2)
    assert (found.mean, found.difference) == pytest.approx((0.91, 0.01))
    assert (found.low, found.high) == pytest.approx((0.01 - half, 0.01 + half))


def test_equal_trials_of_a_rounded_number_have_the_error_of_rounding() -> None:
    found = compare([0.5, 0.5, 0.5], (0.5, math.nan), 0.2, lowest_sd=rounded_sd(1 / 32))
    half = stats.t.ppf(0.95, 2) / 32 / math.sqrt(12) / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((-half, half))
    assert found.verdict == "agrees"


def test_equality_is_two_one_sided_tests_and_pairs_need_all_groups() -> None:
    assert paired([{0: 0.5, 1: 0.7}, {1: 0.9, 2: 0.1}], [{1: 0.3, 2: 0.4}]) == {
        1: pytest.approx(0.5)
    }
    assert equivalence({0: 0.001, 1: -0.001, 2: 0.0}, 0.01)[1] == "supported"
    assert equivalence({0: 0.101, 1: 0.099, 2: 0.1}, 0.01)[1] == "contradicted"
    assert equivalence({0: 0.03, 1: -0.03, 2: 0.0}, 0.01)[1] == "cannot tell (n = 3)"
    assert equivalence({0: 0.0}, 0.01)[1] == "cannot tell (n = 1)"
    assert equivalence({}, 0.01)[1] == "no runs"


def test_the_page_of_the_papers_runs_is_made_of_exported_files_alone(store: Path) -> None:
    export(connect(), Path("out"))
    (Path("out") / "notes.md").write_text("CNN-deep differs because of the moon.\n")
    paths = make_reproduction(Path("out"), PAPER)
    text = paths[0].read_text(encoding="utf-8")
    assert "# Koo & Ploenzke 2021: exponential activations in the first layer" in text
    assert (
        "**With an exponential activation the filters of CNN-2 become motifs.** Here: supported"
        in text
    )
    assert re.search(r"\| CNN-2 \| exponential \| 3 \| 0\.960 ± 0\.010 \| 0\.960 \|", text)
    assert "because of the moon" in text
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert {"figures/task1.png", "figures/task3.png", "figures/zbed2.png"} <= set(links)
    assert all((Path("out") / link).exists() for link in links)


GOOD = {
    "paper.yaml": """\
title: Two pools
subject: two sizes of the first max-pool
trials: 5
tables:
  - name: pools
    title: "Table 1. Share of filters that match"
    file: table1.csv
    runs: {dataset: synthetic, protocol: released}
    options: {arch: "{network}"}
    metric: conv1/match_relevant
    published: match
    published_sd: sd
    band: 0.05
statements:
  - text: The filters of CNN-25 match more motifs than those of CNN-2.
    table: pools
    metric: conv1/match_relevant
    high: [{arch: CNN-25}]
    low: [{arch: CNN-2}]
""",
    "table1.csv": "network,match,sd\nCNN-2,0.007,0.013\nCNN-25,0.980,0.027\n",
}
FAULTS = [
    ("table1.csv", "match", "matches", "has no column `match`: did you mean matches?"),
    ("table1.csv", "0.007", "half", "line 2: `match` must be a number: got 'half'"),
    ("table1.csv", "0.007", "inf", "line 2: `match` must be a number: got inf"),
    ("table1.csv", "0.013", "-0.013", "line 2: `sd` must be a number, 0 or more: got -0.013"),
    ("table1.csv", "CNN-25", "CNN-26", "line 3: unknown arch 'CNN-26'"),
    ("table1.csv", "CNN-25", "CNN-2", "line 3: another row has the same network and metric"),
    ("table1.csv", GOOD["table1.csv"], "network,match,sd\n", "must have at least one row"),
    ("table1.csv", GOOD["table1.csv"], "", "must be a readable CSV file"),
    ("table1.csv", "0.007", "0,0,0,0.007", "rows must have as many fields as the header"),
    ("paper.yaml", GOOD["paper.yaml"], "", "must be a valid dictionary"),
    ("paper.yaml", "band: 0.05", "band: -1", "`tables.0.band` must be greater than 0: got -1"),
    ("paper.yaml", "band: 0.05", "bond: 0.05", "`tables.0.band` is missing"),
    ("paper.yaml", "trials: 5", "trials: 1", "`trials` must be greater than or equal to 2"),
    ("paper.yaml", "trials: 5", "trials: 5\ntrials: 6", "`trials` is given twice"),
    ("paper.yaml", "title: Two", "title: [Two", "the paper must be YAML"),
    ("paper.yaml", "name: pools", "name: ../../evil", "`tables.0.name` must match pattern"),
    ("paper.yaml", "name: pools", "name: statements", "the name of a table of every report"),
    ("paper.yaml", "table: pools", "table: pool", "about the unknown table `pool`"),
    ("paper.yaml", '"{network}"', '"{network"', "is not closed"),
    ("paper.yaml", '"{network}"', "CNN-2", "must name a column"),
    ("paper.yaml", "    low: [{arch: CNN-2}]\n", "", "either `high` and `low`, or `related_to`"),
]


@pytest.fixture
def third(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a third paper."""
    monkeypatch.setattr("mlproject.report.papers.reading.FOLDER", tmp_path)
    folder = tmp_path / "two_pools"
    folder.mkdir()
    for name, text in GOOD.items():
        (folder / name).write_text(text)
    read_paper.cache_clear()
    return folder


def test_a_further_paper_is_a_folder(third: Path) -> None:
    assert paper_names() == ["koo_eddy_2019", "two_pools"]
    (table,) = read_paper("two_pools").tables
    assert [cell.value for cell in published_cells("two_pools", table)] == [0.007, 0.98]


@pytest.mark.parametrize(("file", "old", "new", "message"), FAULTS)
def test_a_fault_in_the_folder_of_a_paper_is_one_line_that_names_the_file(
    third: Path, file: str, old: str, new: str, message: str
) -> None:
    (third / file).write_text(GOOD[file].replace(old, new, 1))
    with pytest.raises(UserError) as found:
        read_paper("two_pools")
    assert str(found.value).startswith(str(third))
    assert message in str(found.value)
    assert "\n" not in str(found.value)


def test_a_folder_without_its_file_says_which_one_is_missing(third: Path) -> None:
    (third / "paper.yaml").unlink()
    with pytest.raises(UserError, match=r"needs the file .*paper\.yaml"):
        read_paper("two_pools")
