"""The query API: typed columns, states, conditions, and what a run has left behind."""

import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from conftest import FINISHED, TINY
from recorded import inside, reading, record, record_filters, start

from mlproject import results
from mlproject.architectures import make_spec
from mlproject.run.context import RunResult
from mlproject.store import connect
from mlproject.store.results.conditions import Condition, parse
from mlproject.system.errors import UserError


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Path:
    """A folder with a store of five runs, entered for each test."""
    with inside(tmp_path_factory.mktemp("several"), migrated_store) as folder:
        record({"arch": "CNN-2"}, 0.95, 0.5)
        record({"arch": "CNN-10"}, 0.96, 0.8)
        record({"arch": "CNN-25"}, 0.97, 0.9)
        record({"arch": "CNN-1-1-100"}, 0.5, None, status="FAILED")
        record({"arch": "CNN-50"}, 0.95, 0.6, experiment="other")
        return folder


@pytest.fixture(autouse=True)
def _enter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "several" in request.fixturenames:
        monkeypatch.chdir(request.getfixturevalue("several"))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
        monkeypatch.delenv("MLFLOW_TRACKING_URI")


def test_each_run_is_a_row_with_typed_columns_of_the_contract(workplace: Path) -> None:
    record({"arch": "CNN-25", "seed": 3}, 0.97, 0.9)
    record({"arch": "CNN-1-1-100"}, 0.96, None)
    frame = results.runs()
    assert list(frame["arch"]) == ["CNN-25", "CNN-1-1-100"]
    assert list(frame["pool1"]) == [25, 1]
    assert {frame[name].dtype.name for name in ("pool1", "seed", "pool3")} == {"Int64"}
    assert {frame[name].dtype.name for name in ("l2", "test_auroc")} == {"float64"}
    assert frame["pool3"].isna().tolist() == [True, False]
    assert frame["conv1/match_relevant"].tolist()[0] == 0.9
    assert np.isnan(frame["conv1/match_relevant"].tolist()[1])
    assert frame["started"].dt.tz is not None
    assert frame["imported"].tolist() == [False, False]


def test_an_empty_server_gives_an_empty_table_with_columns(workplace: Path) -> None:
    frame = results.runs(where="pool1 > 3 and test_auroc > 0.5", arch="CNN-25")
    assert len(frame) == 0
    assert {"run_id", "state", "arch", "pool1", "seed"} <= set(frame)
    assert len(results.counted(frame)) == 0


def test_states_tell_failed_killed_resumed_and_duplicate_runs_from_those_that_count(
    workplace: Path,
) -> None:
    first = record({"arch": "CNN-2"})
    again = record({"arch": "CNN-2"})
    failed = record({"arch": "CNN-4"}, status="FAILED")
    killed = record({"arch": "CNN-10"}, status="KILLED")
    resumed = record({"arch": "CNN-50"}, status="KILLED")
    other = record({"arch": "CNN-2"}, version="2")
    imported = record({"arch": "CNN-100"})
    running = start({"arch": "CNN-1"})
    connect().client.set_tag(resumed, "mlproject.resumed_by", first)
    connect().client.set_tag(imported, "mlproject.imported", "1")
    frame = results.runs().set_index("run_id")
    assert frame["state"].to_dict() == {
        first: "finished",
        again: "duplicate",
        failed: "failed",
        killed: "killed",
        resumed: "resumed",
        other: "finished",
        imported: "finished",
        running.run_id: "running",
    }
    assert list(results.counted(results.runs())["run_id"]) == [first, other, imported]
    assert frame["imported"].to_dict()[imported]


def test_runs_that_are_not_ours_are_no_rows(workplace: Path) -> None:
    store = connect()
    store.client.create_run(store.experiment("table1"))
    record({"arch": "CNN-2"})
    assert len(results.runs("table1")) == 1


def test_pools_are_equal_for_runs_that_differ_in_their_seed_only(workplace: Path) -> None:
    for options in ({"seed": 0}, {"seed": 1}, {"seed": 2, "epochs": 20}):
        record(options)
    record({"seed": 3}, data="e" * 64)
    record({"seed": 4}, version="2")
    pools = list(results.runs()["replicates"])
    assert pools[0] == pools[1]
    assert len(set(pools)) == 4


@pytest.mark.parametrize(
    ("where", "archs"),
    [
        ("pool1 >= 10", ["CNN-10", "CNN-25"]),
        ("pool1 >= 10 and pool1 < 25", ["CNN-10"]),
        ("test_auroc > 0.955", ["CNN-10", "CNN-25"]),
        ("arch = CNN-2", ["CNN-2"]),
        ("arch != 'CNN-2' AND pool1 != 25", ["CNN-10"]),
        ("arch in (CNN-2, CNN-25)", ["CNN-2", "CNN-25"]),
        ("pool1 in (2, 10)", ["CNN-2", "CNN-10"]),
        ("pool3 > 0", []),
        ("imported = yes", []),
        ("conv1/match_relevant<=0.5", ["CNN-2"]),
        ("l2 = 1e-6", ["CNN-2", "CNN-10", "CNN-25"]),
    ],
)
def test_conditions_select_as_they_read(several: Path, where: str, archs: list[str]) -> None:
    found = results.counted(results.runs("table1", where))
    assert list(found["arch"]) == archs


def test_keywords_select_one_value_or_several(several: Path) -> None:
    assert list(results.runs(arch="CNN-10")["arch"]) == ["CNN-10"]
    assert list(results.runs(pool1=[2, 25])["arch"]) == ["CNN-2", "CNN-25"]
    assert list(results.runs(dataset="synthetic", pool1=10)["arch"]) == ["CNN-10"]
    assert list(results.runs("other")["arch"]) == ["CNN-50"]
    assert len(results.runs(["other", "table1"])) == len(results.runs()) == 5


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("pool >= 10", "no run has a column `pool`: did you mean .*pool1"),
        ("test_aurok > 1", "did you mean test_auroc"),
        ("pool1 >= ten", "`pool1` is a number"),
        ("arch > CNN-2", "`arch` is text, which has no order"),
        ("imported = maybe", "`imported` is true or false: got `imported = maybe`"),
        ("pool1", "`where` must be conditions"),
        ("pool1 > 1 or pool1 < 9", "`pool1` is a number"),
        ("__import__('os').system('true')", "`where` must be conditions"),
        ("pool1 in 1, 2", "needs `\\(a, b\\)`"),
    ],
)
def test_mistakes_in_conditions_are_named(several: Path, where: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        results.runs(where=where)


def test_an_unknown_experiment_names_the_nearest(several: Path) -> None:
    with pytest.raises(UserError, match=r"no experiment 'tabel1' .* did you mean table1"):
        results.runs("tabel1")


def test_conditions_are_read_with_their_signs_and_quotes() -> None:
    assert parse("") == []
    assert parse(" a >= 1 and b='x y' ") == [
        Condition("a", ">=", ("1",)),
        Condition("b", "=", ("x y",)),
    ]


def test_a_server_that_is_down_is_one_clear_line(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(UserError, match=f"the tracking store must be .*{address}") as error:
        results.runs()
    assert "\n" not in str(error.value)


def test_filters_come_back_as_they_were(workplace: Path) -> None:
    layer = reading(found=8)
    run_id = record_filters({"arch": "CNN-25"}, layer)
    back = results.filters(run_id, "conv1")
    assert (back.layer, back.alignment, back.starts) == ("conv1", "released", layer.starts)
    assert [motif.nsites for motif in back.motifs] == [motif.nsites for motif in layer.motifs]
    for one, other in zip(back.motifs, layer.motifs, strict=True):
        np.testing.assert_allclose(one.pwm, other.pwm, atol=1e-6)
    for one, other in zip(back.clipped, layer.clipped, strict=True):
        assert one.id == other.id
        np.testing.assert_allclose(one.pwm, other.pwm, atol=1e-12)
    assert [match[:3] for match in back.matches] == [match[:3] for match in layer.matches]
    np.testing.assert_allclose(
        [match.e_value for match in back.matches],
        [match.e_value for match in layer.matches],
        rtol=1e-5,
    )
    row = results.runs().iloc[0]
    assert results.filters(row).matches == back.matches
    assert results.relevant(row)["MEF2A"] == ("MA0052", "MA0660", "MA0773")


def test_a_run_without_filters_or_model_says_so(workplace: Path) -> None:
    run_id = record({"arch": "CNN-25"}, relevant=None)
    with pytest.raises(UserError, match=f"run `{run_id}` has no artifact `filters/conv2.meme`"):
        results.filters(run_id, "conv2")
    with pytest.raises(UserError, match=f"run `{run_id}` has logged no model"):
        results.model(run_id)
    with pytest.raises(UserError, match=r"run `0123` has no artifact .* not found"):
        results.history("0123")


def test_a_real_run_is_loaded_back_whole(
    finished: tuple[Path, RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlproject.network.build import predict

    folder, trained = finished
    monkeypatch.chdir(folder)
    row = results.counted(results.runs()).iloc[0]
    assert row["run_id"] == trained.run_id
    assert row["test_auroc"] == trained.metrics["test_auroc"]
    epochs = results.history(row)
    assert list(epochs["epoch"]) == [1, 2]
    assert {"train_loss", "val_loss", "val_auroc", "seconds"} <= set(epochs)
    assert results.per_class(row)["auroc"].mean() == pytest.approx(row["test_auroc"], abs=1e-9)
    assert len(results.filters(row).motifs) == TINY["filters1"]
    data = results.dataset(row)
    assert data.sha256 == row["dataset_sha256"]
    assert results.relevant(row) == {name: tuple(ids) for name, ids in data.relevant.items()}
    assert results.spec_of(row) == results.spec_of(trained.run_id) == make_spec(FINISHED)
    network = results.model(row)
    scores = predict(network, data.test.codes)
    from mlproject.network.evaluation import class_scores, metrics

    found = metrics(class_scores(data.test.labels, scores, data.classes))["test_auroc"]
    assert found == pytest.approx(row["test_auroc"], abs=1e-6)


def test_another_data_set_than_the_runs_is_refused(
    finished: tuple[Path, RunResult], workplace: Path
) -> None:
    folder, trained = finished
    shutil.copy(folder / "mlflow.db", workplace / "mlflow.db")
    shutil.copytree(folder / "data", workplace / "data")
    store = connect()
    store.client.set_tag(trained.run_id, "mlproject.dataset_sha256", "0" * 64)
    with pytest.raises(UserError, match="must have sha256 0000"):
        results.dataset(trained.run_id)


def test_runs_are_read_page_by_page(several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlproject.store.runs.PAGE", 2)
    assert list(results.runs()["arch"]) == ["CNN-2", "CNN-10", "CNN-25", "CNN-1-1-100", "CNN-50"]


def test_a_text_that_no_run_has_gets_a_warning_with_the_nearest(several: Path) -> None:
    with pytest.warns(UserWarning, match="no run has arch = CNN25: did you mean CNN-25"):
        assert not len(results.runs(arch="CNN25"))
    with pytest.warns(UserWarning, match="protocol = papr"):
        results.runs(where="protocol in (papr, released)")
    assert results.find(conditions=parse("arch = CNN-2 and pool1 > 3")).hints == ()


def test_the_start_of_an_id_names_a_run_wherever_an_id_does(several: Path) -> None:
    store = connect()
    start = results.runs().run_id.iloc[0][:10]
    found = store.full_id(start)
    assert found.startswith(start)
    assert store.run(start).info.run_id == found
    assert results.spec_of(start, store) == results.spec_of(found, store)
    assert store.full_id("0" * 8) == "0" * 8
    with pytest.raises(UserError, match="no run `00000000`"):
        store.run("0" * 8)


def test_a_start_that_several_runs_share_is_refused(
    several: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = connect()
    monkeypatch.setattr("mlproject.store.runs.SHORT_ID", re.compile("[0-9a-f]{0,31}"))
    with pytest.raises(UserError, match="the start of a run's id must be of one run"):
        store.full_id("")
