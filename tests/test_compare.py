"""Runs side by side: what differs, by how much, with filters of each class and one sequence."""

import re
from pathlib import Path

import numpy as np
import pytest
from browsing import open_page
from recorded import inside, reading, record, record_filters

from mlproject import results
from mlproject.commands.cli import main
from mlproject.data.paper import CLASSES
from mlproject.draw.sequence_scores import Place, SequenceScores
from mlproject.draw.svg import signed
from mlproject.report.compare import (
    choose_runs,
    comparison_page,
    metric_rows,
    parameter_rows,
    write_comparison,
)
from mlproject.report.content import load_content
from mlproject.run.context import RunResult
from mlproject.system.errors import UserError


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> tuple[Path, list[str]]:
    """A folder with two runs with filters."""
    with inside(tmp_path_factory.mktemp("two"), migrated_store) as folder:
        runs = [
            record_filters({"arch": "CNN-2"}, reading(1), 0.95),
            record_filters({"arch": "CNN-25", "l2": 1e-5}, reading(12), 0.97),
        ]
        record({"arch": "CNN-10"}, 0.9)
        return folder, runs


@pytest.fixture(autouse=True)
def _enter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "two" in request.fixturenames:
        monkeypatch.chdir(request.getfixturevalue("two")[0])
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
        monkeypatch.delenv("MLFLOW_TRACKING_URI")


def test_only_what_differs_is_listed_and_metrics_have_their_differences(
    two: tuple[Path, list[str]],
) -> None:
    content = load_content()
    runs = choose_runs(content, [two[1][0][:12], two[1][1]])
    assert list(runs["run_id"]) == two[1]
    parameters = {row["name"]: row["values"] for row in parameter_rows(runs)}
    assert parameters == {
        "l2": ["1e-06", "1e-05"], "pool1": ["2", "25"], "pool_stride1": ["2", "25"],
        "pool2": ["50", "4"], "pool_stride2": ["50", "4"],
    }  # fmt: skip
    first, rest = metric_rows(runs)
    by_key = {row["key"]: row for row in first + rest}
    assert by_key["test_auroc"]["values"] == [0.95, 0.97]
    assert by_key["test_auroc"]["changes"] == [0.0, pytest.approx(0.02)]
    assert first[0]["key"] == "test_auroc"
    assert f"test_auroc/{CLASSES[0]}" in {row["key"] for row in rest}
    assert not {"pool1", "seconds", "spec"} & set(by_key)


def test_the_filters_of_each_class_stand_beside_its_motif(two: tuple[Path, list[str]]) -> None:
    content = load_content()
    page = comparison_page(content, choose_runs(content, two[1]))
    rows = re.findall(r'<tr data-class="([^"]+)">(.*?)</tr>', page, re.DOTALL)
    assert [name for name, _ in rows] == list(CLASSES)
    logos = {name: row.count("<svg") for name, row in rows}
    assert logos["Arid3a"] >= 3
    assert "no filter matches" in dict(rows)["YY1"]
    assert not re.search(r"""(src)=["']?(https?:|//)""", page)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (lambda ids: ids[:1], "takes 2 to 12 different runs"),
        (lambda ids: [ids[0], ids[0][:9]], "takes 2 to 12 different runs"),
        (lambda ids: [ids[0], "f" * 32], "no run of this project `ffff"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(
    two: tuple[Path, list[str]], chosen: object, message: str
) -> None:
    assert callable(chosen)
    with pytest.raises(UserError, match=message):
        choose_runs(load_content(), chosen(two[1]))


def test_contributions_stand_above_and_below_the_line() -> None:
    heights = np.zeros((3, 4))
    heights[0, 0], heights[2, 3] = 2.0, -1.0
    svg = str(signed(heights, "title", [(1, 2)], high=60))
    assert '<use href="#A" transform="matrix(9.6 0 0 40 0.2 0)"/>' in svg
    assert '<use href="#T" transform="matrix(9.6 0 0 20 20.2 40)"/>' in svg
    assert 'class="band" x="10" width="10"' in svg


def test_the_letters_of_a_sequence_get_the_contributions_of_each_run(
    finished: tuple[Path, RunResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlproject.run.recorded_scores import recorded_scores
    from mlproject.run.sequence_tracks import sequence_scores

    monkeypatch.chdir(finished[0])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    run_id = finished[1].run_id
    scores = sequence_scores([run_id], "saliency", 0)
    (heights,) = scores.heights.values()
    assert heights.shape[1] == 4
    assert (np.count_nonzero(heights, axis=1) <= 1).all()
    assert scores.classes
    assert set(scores.classes) <= set(CLASSES)
    found = recorded_scores(results.runs())
    assert found is not None
    recorded = results.attributions(run_id, "saliency")
    rows = np.flatnonzero(recorded.sequences == found.sequence)
    assert len(rows) == len(found.classes) == np.bincount(recorded.sequences).max()
    shown = found.heights[run_id]
    importance = recorded.importance[rows].sum(axis=0)
    first = found.first - 1
    np.testing.assert_allclose(shown.sum(axis=1), importance[first : first + len(shown)])
    plain = results.runs().assign(spec=[{"attributions": "none"}])
    assert recorded_scores(plain) is None


@pytest.mark.browser
def test_the_page_in_a_browser(two: tuple[Path, list[str]]) -> None:
    content = load_content()
    runs = choose_runs(content, two[1])
    rng = np.random.default_rng(0)
    heights = {
        run_id: rng.normal(size=(60, 1)) * np.eye(4)[rng.integers(0, 4, 60)] for run_id in two[1]
    }
    marks = (Place(5, 17, "MAX"), Place(30, 44, "SRF"))
    scores = SequenceScores(7, ("MAX", "SRF"), "DeepLIFT", 41, heights, marks)
    path = write_comparison(content, runs, two[0] / "compare.html", scores)
    with open_page(path) as page:
        assert page.get_log("browser") == []
        assert page.execute_script("return document.querySelectorAll('.track').length") == 2
        text = page.execute_script("return document.body.innerText")
        assert "MAX at 46, SRF at 71" in text
        assert "+0.02" in text


def test_the_command_writes_the_page(
    two: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["compare", two[1][0], two[1][1][:10], "--method", "none", "--out", "c.html", "--quiet"])
    assert capsys.readouterr().out == "2 runs: c.html\n"
    assert Path("c.html").read_text("ascii").startswith("<!DOCTYPE html>")
