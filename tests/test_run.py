"""One run from the data to the record, with a real store, and what is left when it is cut off."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import FINISHED, TINY
from recorded import weights_of

from mlproject import results
from mlproject.architectures import make_spec
from mlproject.data import Split, make_dataset, make_synthetic, write
from mlproject.data.paper import CLASSES
from mlproject.motifs.meme import read_meme
from mlproject.run.checks import check_letter_case
from mlproject.run.context import RunResult, Settings
from mlproject.run.resuming import find_previous
from mlproject.run.run import run
from mlproject.store import Store, connect
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted

LOADS_ALONE = """
import sys
sys.modules["mlproject"] = None
import json, mlflow, numpy as np
x = np.eye(4, dtype=np.float32)[np.arange(5 * 150).reshape(5, 150) % 4]
mlflow.set_tracking_uri(sys.argv[1])
keras_scores = mlflow.keras.load_model(sys.argv[2]).predict(x, verbose=0)
pyfunc_scores = mlflow.pyfunc.load_model(sys.argv[2]).predict(x)
print(json.dumps([keras_scores.tolist(), np.asarray(pyfunc_scores).tolist()]))
"""


def runs_of(store: Store) -> list[Any]:
    """Return the runs of all experiments."""
    return [
        *store.client.search_runs([one.experiment_id for one in store.client.search_experiments()])
    ]


def test_a_run_records_parameters_metrics_and_tags_of_the_contract(
    finished: tuple[Path, RunResult],
) -> None:
    folder, result = finished
    found = connect(f"sqlite:///{folder}/mlflow.db").run(result.run_id)
    spec = make_spec(FINISHED)
    assert found.info.status == "FINISHED"
    assert found.data.params["pool1"] == "25"
    assert found.data.params["arch"] == "custom"
    assert {key: str(value) for key, value in spec.flat().items()}.items() <= (
        found.data.params.items()
    )
    wanted = {"train_loss", "val_loss", "val_auroc", "best_epoch", "best_val_loss", "test_loss"}
    wanted |= {"test_auroc", "test_aupr", "test_ap", "test_auroc/CEBPB", "test_aupr/CEBPB"}
    wanted |= {f"conv1/{name}" for name in ("match_jaspar", "match_relevant", "coverage", "dead")}
    wanted |= {"conv1/filters/CEBPB", "conv1/match_relevant_paper", "val_conv1/match_relevant"}
    wanted |= {
        "conv1/site_ap",
        "val_conv1/site_ap",
        "conv1/site_recall",
        "conv1/tf_site_ap/CEBPB",
        "conv1/ablation_max",
    }
    wanted |= {"baseline/test_auroc", "baseline/site_ap", "baseline/site_ap/CEBPB"}
    assert not any(name.startswith("baseline/test_auroc/") for name in found.data.metrics)
    wanted |= {f"time/{name}" for name in ("train", "interpret", "tracking", "total", "cpu")}
    assert wanted <= set(found.data.metrics)
    assert {"saliency/auroc", "saliency/aupr", "saliency/snr", "time/saliency"} <= (
        found.data.metrics.keys()
    )
    tags = found.data.tags
    assert make_spec(json.loads(tags["mlproject.spec"])) == spec
    assert tags["mlproject.spec_sha256"] == spec.spec_sha256(tags["mlproject.dataset_sha256"])
    assert tags["mlproject.train_sha256"] == spec.train_sha256(tags["mlproject.dataset_sha256"])
    assert {"mlproject.backend", "mlproject.device", "mlproject.metric_version"} <= set(tags)
    assert int(tags["mlproject.threads"]) >= 1
    assert "mlproject.heartbeat" in tags
    assert len(tags["mlflow.note.content"].splitlines()) >= 5
    assert found.inputs is not None
    assert found.inputs.dataset_inputs[0].dataset.digest == tags["mlproject.dataset_sha256"][:36]
    contexts = {one.tags[0].value for one in found.inputs.dataset_inputs}
    assert contexts == {"training", "validation", "testing"}


def test_each_epoch_is_a_point_of_the_curves(finished: tuple[Path, RunResult]) -> None:
    folder, result = finished
    client = connect(f"sqlite:///{folder}/mlflow.db").client
    for name in ("train_loss", "val_loss"):
        points = client.get_metric_history(result.run_id, name)
        assert [point.step for point in points] == [1, 2]


def test_a_run_leaves_the_artifacts_of_the_contract_and_nothing_else(
    finished: tuple[Path, RunResult], tmp_path: Path
) -> None:
    folder, result = finished
    store = connect(f"sqlite:///{folder}/mlflow.db")
    root = store.download(result.run_id, "", tmp_path)
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert found == {
        "spec.json",
        "history.csv",
        "test_per_class.csv",
        "baseline.csv",
        "card.html",
        "weights/best.weights.h5",
        "filters/conv1.png",
        "filters/conv1.pdf",
        "filters/conv1.meme",
        "filters/conv1_clipped.meme",
        "filters/conv1_matches.tsv",
        "filters/conv1_truth.csv",
        "filters/first_kernels.npz",
        "filters/conv1_importance.csv",
        "plots/history.png",
        "plots/roc.png",
        "plots/pr.png",
        "attributions/saliency.h5",
        "attributions/saliency_examples.csv",
        "attributions/saliency.png",
        "attributions/saliency.pdf",
    }
    assert not list((folder / "runs").iterdir())
    found = results.site_truth(result.run_id, store=store)
    assert list(found["filter"]) == list(range(6))
    assert set(found["motif"]) <= set(CLASSES)
    lost = results.importance(result.run_id, store=store)
    assert lost["auroc_loss"].mean() == pytest.approx(
        result.metrics["conv1/ablation_mean"], abs=1e-6
    )
    assert {f"auroc_loss/{name}" for name in CLASSES} <= set(lost)
    motifs = read_meme(root / "filters/conv1.meme")
    assert [motif.id for motif in motifs] == [f"filter{number}" for number in range(6)]
    clipped = read_meme(root / "filters/conv1_clipped.meme")
    assert all(motif.nsites == len(motif.pwm) for motif in clipped)


def test_layers_behind_a_pool_are_read_where_asked_and_marked(workplace: Path) -> None:
    spec = make_spec(TINY | {"layers": "conv1,conv2", "through_pool": "argmax", "epochs": 1})
    result = run(spec, Settings(quiet=True))
    assert {"conv1/site_ap", "conv2_argmax/match_jaspar", "val_conv2_argmax/match_jaspar"} <= set(
        result.metrics
    )
    assert not any(name.startswith(("conv2/", "conv2_argmax/site")) for name in result.metrics)
    store = connect()
    reading = results.filters(result.run_id, "conv2_argmax", store)
    assert len(reading.motifs) == 8
    assert (
        "conv2_argmax (approximate):" in store.run(result.run_id).data.tags["mlflow.note.content"]
    )
    card = store.download(result.run_id, "card.html", workplace / "got").read_text()
    assert "alignment, approximate" in card


def test_the_logged_model_loads_without_this_project_and_gives_the_same_scores(
    finished: tuple[Path, RunResult], tmp_path: Path
) -> None:
    folder, result = finished
    store = connect(f"sqlite:///{folder}/mlflow.db")
    command = [sys.executable, "-c", LOADS_ALONE, store.uri]
    answer = subprocess.run(
        [*command, f"models:/{store.logged_models(result.run_id)['model'].model_id}"],
        check=True,
        capture_output=True,
        text=True,
    )
    by_keras, by_pyfunc = json.loads(answer.stdout.splitlines()[-1])
    assert np.shape(by_keras) == (5, 12)
    np.testing.assert_allclose(by_keras, by_pyfunc, atol=1e-6)
    weights = store.download(result.run_id, "weights/best.weights.h5", tmp_path)
    from mlproject.network.build import build, predict

    model = build(make_spec(TINY), 150, 12)
    model.load_weights(weights)
    codes = (np.arange(5 * 150).reshape(5, 150) % 4).astype(np.uint8)
    np.testing.assert_allclose(predict(model, codes), by_keras, atol=1e-5)


def test_an_interrupted_run_is_killed_and_goes_on_to_the_weights_of_an_uninterrupted_one(
    workplace: Path, finished: tuple[Path, RunResult]
) -> None:
    spec, whole = make_spec(FINISHED), finished[1]
    epochs: list[int] = []
    stopping = Settings(
        quiet=True,
        should_stop=lambda: len(epochs) == 1,
        on_epoch=lambda epoch, values: epochs.append(epoch),
    )
    with pytest.raises(Interrupted, match="to go on: resume="):
        run(spec, stopping)
    store = connect()
    (killed,) = runs_of(store)
    assert killed.info.status == "KILLED"
    assert killed.data.tags["mlproject.failure"] == "interrupted by its caller after epoch 1"
    assert killed.data.metrics["train_loss"] > 0

    resumed = run(spec, Settings(quiet=True), find_previous(killed.info.run_id))
    assert store.run(killed.info.run_id).data.tags["mlproject.resumed_by"] == resumed.run_id
    history = store.client.get_metric_history(resumed.run_id, "train_loss")
    assert [point.step for point in history] == [1, 2]
    there = connect(f"sqlite:///{finished[0]}/mlflow.db")
    first = weights_of(store, resumed.run_id, workplace / "first")
    second = weights_of(there, whole.run_id, workplace / "second")
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    for name in ("test_auroc", "test_loss", "conv1/match_jaspar"):
        assert resumed.metrics[name] == whole.metrics[name]


def test_a_finished_run_and_a_foreign_one_cannot_be_resumed(
    finished: tuple[Path, RunResult], workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = connect()
    foreign = store.client.create_run("0").info.run_id
    with pytest.raises(UserError, match="has no spec"):
        find_previous(foreign)
    with pytest.raises(UserError, match="no run `nothing` in the tracking store"):
        find_previous("nothing")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{finished[0]}/mlflow.db")
    with pytest.raises(UserError, match="has finished"):
        find_previous(finished[1].run_id)


def test_ctrl_c_as_mlflow_run_sends_it_ends_the_process_with_the_epochs_kept(
    workplace: Path,
) -> None:
    options = TINY | {"epochs": 500, "patience": 0}
    arguments = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "mlproject", "train", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 2/"):
                break
        process.send_signal(signal.SIGSTOP)  # so that both arrive as one, however busy it is here
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        rest = process.stderr.read()
    assert process.returncode == 1
    assert "to go on: resume=" in rest
    assert "Traceback" not in rest
    (killed,) = runs_of(connect())
    assert killed.info.status == "KILLED"
    reason = killed.data.tags["mlproject.failure"]  # the kernel may deliver either first
    assert re.match("interrupted by SIG(INT|TERM) after epoch", reason)
    assert find_previous(killed.info.run_id).state.exists()


def test_a_run_that_fails_says_why_and_is_not_left_running(workplace: Path) -> None:
    spec = make_spec(TINY | {"learning_rate": 1e30})
    with pytest.raises(UserError, match="loss must stay finite"):
        run(spec, Settings(quiet=True))
    (failed,) = runs_of(connect())
    assert failed.info.status == "FAILED"
    assert "loss must stay finite" in failed.data.tags["mlproject.failure"]


def test_a_spec_that_does_not_fit_the_data_leaves_no_run(workplace: Path) -> None:
    with pytest.raises(UserError, match="`pool2` must not be wider than its input"):
        run(make_spec(TINY | {"pool1": 50, "pool2": 25}), Settings(quiet=True))
    assert not runs_of(connect())


def test_a_class_without_positives_is_missing_from_the_numbers_and_named(workplace: Path) -> None:
    whole = make_synthetic(workplace / "whole.h5", 0, 400, 150)
    labels = whole.test.labels.copy()
    labels[:, 2] = labels[0] = 0
    splits = {**whole.splits, "test": whole.test._replace(labels=labels, sites=None)}
    lacking = make_dataset(splits, whole.classes, whole.relevant, whole.motifs)
    write(lacking, workplace / "lacking.h5")
    options = {key: value for key, value in TINY.items() if key not in ("sequences", "length")}
    more = {"dataset": "lacking.h5", "attributions": "saliency", "attributed": 1}
    result = run(make_spec({**options, **more}), Settings(quiet=True))
    assert "test_auroc" in result.metrics
    assert "test_auroc/CEBPB" in result.metrics
    assert "test_auroc/FOSL1" not in result.metrics
    tags = connect().run(result.run_id).data.tags
    assert "not defined for FOSL1" in tags["mlflow.note.content"]
    assert "mlproject.attributions.saliency" in tags


def test_classes_that_differ_only_in_case_are_refused_where_the_store_takes_them_for_one(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = np.zeros((20, 200), dtype=np.uint8)
    labels = np.tile([[0, 1], [1, 0]], (10, 1)).astype(np.uint8)
    splits = {name: Split(codes, labels) for name in ("train", "valid", "test")}
    write(make_dataset(splits, ["sp1", "SP1"], {}), workplace / "case.h5")
    store = connect()
    store.uri = "mysql+pymysql://host/runs"
    monkeypatch.setattr("mlproject.run.run.connect", lambda: store)
    with pytest.raises(UserError, match="must differ in more than case"):
        run(make_spec({"dataset": "case.h5", "epochs": 1}), Settings(quiet=True))
    assert runs_of(store) == []
    for uri, notes in (("sqlite:///mlflow.db", 0), ("http://host", 1)):
        check_letter_case(uri, ["sp1", "SP1", "GATA1"], quiet=False)
        assert capsys.readouterr().err.count("note: ") == notes


def test_a_full_disk_ends_the_run_with_one_line_and_its_reason(workplace: Path) -> None:
    limit = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))\n"
        "from mlproject.commands.cli import main; main(sys.argv[1:])"
    )
    arguments = ["train", "--sequences", "600", "--epochs", "2", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", limit, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    (failed,) = runs_of(connect())
    assert failed.info.status == "FAILED"
    assert "File too large" in failed.data.tags["mlproject.failure"]
