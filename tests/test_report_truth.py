"""The report's tables and figures of filters and attributions against the planted sites."""

import math
from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest
from recorded import inside, record

from mlproject import results
from mlproject.data.paper import CLASSES
from mlproject.report.build import build
from mlproject.report.content import ReportRequest
from mlproject.report.document import Report
from mlproject.report.published import IN_VIVO, SYNTHETIC
from mlproject.report.sections.printed import main_table
from mlproject.report.sections.truth import (
    MOTIFS,
    factor_sites_table,
    methods_of,
    methods_tables,
    patterns_table,
    sites_table,
)
from mlproject.report.sections.truth_figures import methods_figure, sites_figure
from mlproject.report.table import Table
from mlproject.store import connect

AREAS = {"CNN-2": (0.06, 0.08), "CNN-4": (0.12,), "CNN-25": (0.75, 0.79)}


def metrics(area: float, attributed: bool) -> dict[str, float]:
    values = {
        "conv1/site_ap": area,
        "conv1/site_auroc": 0.8,
        "conv1/site_precision": area,
        "conv1/site_recall": 0.6,
        "conv1/tf_site_ap": area + 0.1,
        "conv1/tf_site_recall": 0.7,
        "conv1/ablation_max": 0.02,
        "conv1/ablation_relevant": area,
        "baseline/test_auroc": 0.98,
        "baseline/site_ap": 0.88,
    }
    values |= {f"conv1/tf_site_ap/{name}": area + 0.1 for name in CLASSES}
    values |= {f"baseline/site_ap/{name}": 0.9 for name in CLASSES}
    values |= {f"baseline/test_auroc/{name}": 0.98 for name in CLASSES}
    if attributed:
        values |= {"saliency/auroc": 0.7 + area / 10, "saliency/aupr": 0.4, "saliency/snr": 2.0}
        values |= {"modisco/coverage": 0.75, "modisco/patterns": 14.0, "conv1/coverage": 0.5}
        values |= {"ism/auroc": 0.8 + area / 10, "saliency/auroc/CEBPB": 0.7}
    return values


@pytest.fixture(scope="module")
def counted(
    tmp_path_factory: pytest.TempPathFactory, migrated_store: Path
) -> Iterator[pandas.DataFrame]:
    with inside(tmp_path_factory.mktemp("truth"), migrated_store):
        for arch, areas in AREAS.items():
            for seed, area in enumerate(areas):
                more = metrics(area, attributed=seed == 0)
                record({"arch": arch, "seed": seed}, more=more)
        record({"arch": "CNN-50"})
        record({"arch": "CNN-1", "layers": "conv2"}, more={"conv2/site_ap": 0.5})
        yield results.counted(results.runs())


@pytest.fixture(scope="module")
def report(counted: pandas.DataFrame) -> Report:
    return build(ReportRequest(figures=False), connect())


def row(table: Table | None, name: str, column: str = "network") -> pandas.Series:
    assert table is not None
    found = table.frame[table.frame[column] == name]
    assert len(found) == 1
    return found.iloc[0]


def test_filters_have_a_row_for_each_network_and_the_motifs_as_ceiling(report: Report) -> None:
    table = report.table("truth_filters")
    assert table is not None
    assert list(table.frame["network"]) == ["CNN-2", "CNN-4", "CNN-25", "CNN-1", MOTIFS]
    assert list(table.frame["layer"]) == ["conv1", "conv1", "conv1", "conv2", ""]
    assert row(table, "CNN-1")["site_ap"] == 0.5
    found = row(table, "CNN-2")
    assert found["site_ap"] == pytest.approx(0.07)
    assert found["site_ap sd"] == pytest.approx(0.02 / math.sqrt(2))
    assert found["n"] == 2
    assert math.isnan(row(table, "CNN-4")["site_ap sd"])
    assert row(table, MOTIFS)["tf_site_ap"] == 0.88
    assert "0.070 ± 0.014" in table.markdown()


def test_factors_stand_beside_what_their_motif_reaches(report: Report) -> None:
    table = report.table("truth_factors")
    found = row(table, "SRF", "factor")
    assert found["CNN-25"] == pytest.approx(0.87)
    assert found["motif"] == 0.9


def test_attributions_have_a_table_for_each_score_with_a_column_for_each_method(
    counted: pandas.DataFrame, report: Report
) -> None:
    assert methods_of(counted) == ["ism", "saliency"]
    auroc = report.table("truth_attributions_auroc")
    assert row(auroc, "CNN-25")["ism"] == pytest.approx(0.875)
    assert row(auroc, "CNN-25")["n"] == 1
    assert "ism" not in {column.key for column in report.table("truth_attributions_snr").columns}  # type: ignore[union-attr]


def test_patterns_stand_beside_the_filters(report: Report) -> None:
    table = report.table("truth_patterns")
    assert row(table, "CNN-2")["modisco/coverage"] == 0.75
    assert row(table, "CNN-2")["conv1/coverage"] == 0.5
    assert table is not None
    assert "| CNN-2 | 1 | 0.500 | 0.750 | 14.0 |" in table.markdown()


def test_table_1_ends_with_the_motifs_alone_and_says_what_that_is(report: Report) -> None:
    table = report.table("table1")
    assert table is not None
    last = table.frame.iloc[-1]
    assert last["network"] == "PWM scan"
    assert last["test_auroc"] == 0.98
    assert last["test_auroc sd over classes"] == pytest.approx(0.0, abs=1e-12)
    assert any(note.startswith("PWM scan: no network") for note in table.notes)
    assert "| PWM scan | — | 0.980 |" in table.markdown()
    second = report.table("table2")
    assert second is not None
    assert "PWM scan" not in set(second.frame["network"])


def test_figures_are_drawn_where_there_are_two_pool_sizes(counted: pandas.DataFrame) -> None:
    for draw in (sites_figure, methods_figure):
        assert draw(counted) is not None
        assert draw(counted[counted["arch"] == "CNN-2"]) is None
    labels = sites_figure(counted).axes[0].get_legend_handles_labels()[1]  # type: ignore[union-attr]
    assert labels == ["best filter of each factor", "mean of all filters", MOTIFS]


def test_runs_that_know_nothing_of_the_truth_make_no_tables(counted: pandas.DataFrame) -> None:
    names = [
        name
        for name in counted
        if str(name).startswith(("conv", "baseline/", "saliency", "modisco"))
    ]
    plain = counted.drop(columns=[*names, "ism/auroc"])
    assert sites_table(plain) is None
    assert factor_sites_table(plain) is None
    assert methods_tables(plain) == []
    assert patterns_table(plain) is None
    assert sites_figure(plain) is None
    for kind in (SYNTHETIC, IN_VIVO):
        assert "PWM scan" not in set(main_table(plain, kind).frame["network"])
