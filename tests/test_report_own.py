"""The report on a user's own data: its axes, paired comparisons, and nothing of the paper."""

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pandas
import pytest
from recorded import record, start
from scipy import stats

from mlproject.commands.cli import main
from mlproject.report.build import build
from mlproject.report.content import ReportRequest
from mlproject.report.measure import Measure
from mlproject.report.sections.own_data import own_data
from mlproject.report.sections.user import user_table
from mlproject.store import connect

OWN = "e" * 64
AUROC = {(2, 0): 0.90, (2, 1): 0.91, (2, 2): 0.92, (25, 0): 0.93, (25, 1): 0.93, (25, 2): 0.96,
         (50, 0): 0.95}  # fmt: skip


def record_own(options: dict[str, object], auroc: float, relevant: float, data: str) -> None:
    """Record a finished run on data with two classes of a user."""
    tracker = start(options, data=data)
    values = {"test_auroc": auroc, "test_auroc/SRF": auroc, "test_auroc/mine": auroc}
    values |= {"conv1/match_jaspar": relevant + 0.1, "conv1/match_relevant": relevant}
    values |= {"conv1/match_null": 0.05, "conv1/match_null_relevant": 0.01, "time/total": 30.0}
    tracker.metrics(values)
    tracker.finish("FINISHED")


@pytest.fixture
def store(workplace: Path) -> Path:
    """A store with runs on a user's data: three pools, up to three seeds."""
    for (pool, seed), auroc in AUROC.items():
        options = {"dataset": "my peaks.h5", "pool1": pool, "seed": seed, "filters1": 12}
        record_own(options, auroc, pool / 100, OWN)
    return workplace


def test_settings_are_rows_with_mean_sd_and_the_null(store: Path) -> None:
    report = build(ReportRequest(figures=False), connect())
    table = report.table("own1_settings")
    assert table is not None
    assert [column.label for column in table.columns[:3]] == ["pool1", "n", "AUROC"]
    assert [(row["pool1"], row["n"]) for row in table.rows] == [("2", 3), ("25", 3), ("50", 1)]
    auroc = table.rows[0]["test_auroc"]
    assert isinstance(auroc, Measure)
    assert (auroc.mean, auroc.sd) == (pytest.approx(0.91), pytest.approx(0.01))
    assert table.rows[1]["conv1/match_null"].mean == pytest.approx(0.05)
    assert "match by chance" in table.markdown()


def test_any_two_settings_are_compared_paired_by_seed_and_corrected(store: Path) -> None:
    report = build(ReportRequest(figures=False), connect())
    table = report.table("own1_comparisons")
    assert table is not None
    rows = {(row["metric"], row["one"], row["other"]): row for row in table.rows}
    assert len(rows) == 9
    row = rows["AUROC", "pool1=2", "pool1=25"]
    pairs = np.array([[AUROC[pool, seed] for seed in range(3)] for pool in (25, 2)])
    expected = stats.ttest_rel(*pairs)
    interval = expected.confidence_interval(0.95)
    assert row["difference"] == pytest.approx(0.03)
    assert (row["low"], row["high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert row["p"] == pytest.approx(expected.pvalue)
    assert row["holm"] >= row["p"]
    single = rows["AUROC", "pool1=25", "pool1=50"]
    assert single["n"] == 1
    assert np.isnan(single["low"])


def test_numbers_are_reported_and_compared_by_their_own_scores(workplace: Path) -> None:
    for pool, r2 in ((2, 0.5), (10, 0.7)):
        for seed in (0, 1, 2):
            tracker = start({"dataset": "mpra.h5", "pool1": pool, "seed": seed}, data="f" * 64)
            own = r2 + seed / 100 * (1 if pool == 2 else 2)
            values = {"test_pearson": own + 0.1, "test_spearman": own, "test_r2": own}
            values |= {"test_r2/dev": own + 0.05, "test_r2/hk": own - 0.05, "test_mse": 1 - own}
            tracker.metrics(values | {"test_pearson/dev": 0.8, "test_pearson/hk": 0.6})
            tracker.metrics({"achievable/test_r2": 0.9, "baseline/test_r2": 0.6})
            tracker.metrics({"saliency/auroc": 0.98, "conv1/tf_site_ap": 0.8})
            tracker.finish("FINISHED")
    report = build(ReportRequest(figures=False), connect())
    settings, outputs = report.table("own1_settings"), report.table("own1_outputs")
    compared, runs = report.table("own1_comparisons"), report.table("runs")
    assert settings and outputs and compared and runs
    labels = [column.label for column in settings.columns]
    assert labels == [
        *("pool1", "n", "Pearson", "Spearman", "R²", "MSE", "R² at best", "R² of words"),
        *("site AP", "saliency AUROC"),
    ]
    assert "AUROC" not in outputs.markdown() + compared.markdown()
    assert [(row["setting"], row["name"]) for row in outputs.rows] == [
        ("pool1=2", "dev"), ("pool1=2", "hk"), ("pool1=10", "dev"), ("pool1=10", "hk")
    ]  # fmt: skip
    assert outputs.rows[0]["r2"].mean == pytest.approx(0.56)
    rows = {row["metric"]: row for row in compared.rows}
    assert set(rows) == {"Pearson", "R²"}
    assert rows["R²"]["difference"] == pytest.approx(0.21)
    assert "R²" in [column.label for column in runs.columns]
    assert "AUROC" not in [column.label for column in runs.columns]


def test_folds_of_a_data_set_are_one_table_paired_by_fold(workplace: Path) -> None:
    for fold in (1, 2, 3):
        for pool in (2, 10):
            options = {"dataset": "p.h5", "folds": 3, "fold": fold, "pool1": pool}
            auroc = 0.8 + fold / 50 + pool / 100 * (1 + fold / 100)
            record_own(options, auroc, 0.3, str(fold) * 64)
    report = build(ReportRequest(figures=False), connect())
    settings, compared = report.table("own1_settings"), report.table("own1_comparisons")
    assert settings and compared
    assert report.table("own2_settings") is None
    assert settings.title == "p.h5, 3 folds: settings"
    assert [(row["pool1"], row["n"]) for row in settings.rows] == [("2", 3), ("10", 3)]
    row = next(row for row in compared.rows if row["metric"] == "AUROC")
    assert (row["n"], row["difference"]) == (3, pytest.approx(0.0816))


def test_matches_with_several_motif_databases_are_neither_averaged_nor_compared(
    workplace: Path,
) -> None:
    matches = {"jaspar2016": 0.2, "jaspar2026": 0.6}
    for pool, seed, (motifs, relevant) in itertools.product((2, 25), (0, 1), matches.items()):
        options = {"dataset": "p.h5", "pool1": pool, "seed": seed, "motifs": motifs}
        record_own(options, 0.8 + pool / 1000 + seed / 100, relevant, OWN)
    report = build(ReportRequest(), connect())
    settings, compared = report.table("own1_settings"), report.table("own1_comparisons")
    assert settings and compared
    found = {(row["pool1"], row["motifs"]): row["conv1/match_relevant"] for row in settings.rows}
    assert {key: value.mean for key, value in found.items()} == {
        (pool, motifs): pytest.approx(relevant)
        for pool in ("2", "25")
        for motifs, relevant in matches.items()
    }
    pairs = {row["one"][-10:] + row["other"][-10:] for row in compared.rows
             if "match" in row["metric"]}  # fmt: skip
    assert pairs == {"jaspar2016" * 2, "jaspar2026" * 2}
    assert "Matches with different motif databases are not compared." in compared.notes
    for number, (motifs, relevant) in enumerate(matches.items(), 1):
        picture = report.pictures[f"own1_pool1_motifs{number}"]
        assert motifs in picture.title
        line = picture.figure.axes[0].lines[1]
        assert np.asarray(line.get_ydata()) == pytest.approx([relevant] * 2)


def test_tables_name_the_database_where_another_parameter_decides_it(workplace: Path) -> None:
    for pool, motifs in ((2, "jaspar2016"), (25, "jaspar2026")):
        record_own({"dataset": "p.h5", "pool1": pool, "motifs": motifs}, 0.9, 0.3, OWN)
    (data,) = own_data(build_frame())
    assert data.axes == ["pool1", "motifs"]
    table = user_table(build_frame(), ["pool1"], ["conv1/match_jaspar"])
    assert [(row["pool1"], row["motifs"]) for row in table.rows] == [
        (2, "jaspar2016"),
        (25, "jaspar2026"),
    ]
    assert not any("split" in note for note in table.notes)
    assert "Matches with different motif databases cannot be compared." in table.notes


def test_a_database_is_known_by_its_content_wherever_its_file_is(workplace: Path) -> None:
    written = [("a/own.meme", "MEME 1"), ("b/own.meme", "MEME 1"), ("b/own.meme", "MEME 2")]
    for seed, (path, text) in enumerate(written):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(text)
        options = {"dataset": "p.h5", "seed": seed, "motifs": f"jaspar2016,{path}"}
        record_own(options, 0.9, 0.3, OWN)
    (data,) = own_data(build_frame())
    first, second = (hashlib.sha256(text.encode()).hexdigest()[:8] for text in ("MEME 1", "MEME 2"))
    assert {name: len(group) for name, group in data.settings()} == {
        f"motifs=jaspar2016,own.meme ({first})": 2,
        f"motifs=jaspar2016,own.meme ({second})": 1,
    }
    table = user_table(build_frame(), ["arch"], ["conv1/match_jaspar"])
    assert [(row["motifs"], row["n"]) for row in table.rows] == [
        (f"jaspar2016,own.meme ({first})", 2),
        (f"jaspar2016,own.meme ({second})", 1),
    ]
    assert any("split by `motifs`, in which" in note for note in table.notes)


def test_nothing_of_the_paper_is_in_a_report_on_other_data(store: Path) -> None:
    report = build(ReportRequest(), connect())
    anchors = [part.anchor for part in report.parts]
    assert anchors[0] == "own"
    assert not {"pool", "synthetic", "invivo", "statements", "toy", "joint"} & set(anchors)
    assert not any("paper" in text or "Fig" in text for text in report.missing)
    assert "own1_pool1" in report.pictures
    record({"arch": "CNN-25"}, 0.97)
    both = [part.anchor for part in build(ReportRequest(figures=False), connect()).parts]
    assert {"own", "synthetic"} <= set(both)


def test_each_data_set_has_its_own_tables_and_the_command_writes_them(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_own({"dataset": "other.h5", "arch": "CNN-4"}, 0.8, 0.2, "f" * 64)
    frames = own_data(build_frame())
    assert [(one.title, one.axes) for one in frames] == [
        ("my peaks.h5", ["pool1"]),
        ("other.h5", []),
    ]
    main(["report", "--out", "out", "--no-record"])
    assert (store / "out" / "tables" / "own2_settings.csv").is_file()
    assert (store / "out" / "figures" / "own1_pool1.png").is_file()
    assert "Your data" in (store / "out" / "report.html").read_text()


def build_frame() -> pandas.DataFrame:
    from mlproject import results

    return results.counted(results.runs())
