"""`interpret` on a real run with a real store: what it adds, what it leaves alone."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import TINY
from recorded import inside, record, start

from mlproject import results
from mlproject.architectures import make_spec
from mlproject.attribution import METHODS, Method, attribute
from mlproject.commands.cli import main
from mlproject.data import load
from mlproject.fields import ATTRIBUTIONS, Group
from mlproject.network import backend
from mlproject.network.build import build
from mlproject.run.attributed_rows import Choice
from mlproject.run.finished_run import interpret_run
from mlproject.spec import fields_of
from mlproject.store import connect, sync
from mlproject.store.journal import JOURNAL
from mlproject.system.environment import requirements
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted

DATA = "0" * 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Iterator[Path]:
    """A folder with one finished run of a small network, not trained."""
    with inside(tmp_path_factory.mktemp("interpreted"), migrated_store) as place:
        spec = make_spec(TINY)
        data = load(spec, Path("data"))
        tracker = start(TINY, data=data.sha256)
        tracker.model(build(spec, data.length, len(data.classes)), requirements(backend.name()))
        tracker.finish("FINISHED")
        yield place


def _interrupted(model: keras.Model, codes: np.ndarray, *_: object, **__: object) -> np.ndarray:
    os.kill(os.getpid(), signal.SIGINT)
    return np.zeros((*codes.shape, 4), np.float32)


def _with_ism(function: Callable[..., np.ndarray]) -> dict[str, Method]:
    """Return the methods with another function for `ism`."""
    return dict(METHODS) | {"ism": Method(function)}


@pytest.fixture
def done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The run's id, in its folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    return str(results.runs().run_id[0])


def _exit_code(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code if isinstance(caught.value.code, int) else 1


def test_interpret_adds_to_a_finished_run_and_leaves_the_rest_as_it_was(
    done: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = connect().run(done)
    arguments = ["interpret", done, "--method", "gradient_x_input,ism_window", "--sequences", "12"]
    main([*arguments, "--classes", "CEBPB,SRF"])
    told = capsys.readouterr()
    assert told.out.startswith(f"run {done}: gradient_x_input ")
    assert "gradient_x_input: " in told.err
    after = connect().run(done)
    assert after.info.status == "FINISHED"
    assert after.info.end_time == before.info.end_time
    assert before.data.metrics.items() <= after.data.metrics.items()
    added = set(after.data.metrics) - set(before.data.metrics)
    assert {"gradient_x_input/auroc", "ism_window/snr", "time/ism_window"} <= added
    assert "ism_window/auroc" in results.runs().columns
    classes = {name.split("/")[2] for name in added if name.count("/") == 2}
    assert classes <= {"CEBPB", "SRF"}
    tag = json.loads(after.data.tags["mlproject.attributions.ism_window"])
    assert tag == {"sequences": 12, "above": None, "classes": ["CEBPB", "SRF"]}
    assert not list(Path("runs").iterdir())
    found = results.attributions(done, "gradient_x_input")
    data = results.dataset(done)
    assert np.array_equal(found.codes, data.test.codes[found.sequences])
    assert (data.test.labels[found.sequences, found.targets] == 1).all()
    assert {data.classes[target] for target in found.targets} <= {"CEBPB", "SRF"}
    assert len(np.unique(found.sequences)) <= 12


def test_the_metrics_are_the_same_whenever_they_are_computed(done: str) -> None:
    first, again = (interpret_run(done, "deeplift", Choice(6), quiet=True) for _ in range(2))
    assert "deeplift/snr" in first.metrics
    for name, value in first.metrics.items():
        if not name.startswith("time/"):
            assert again.metrics[name] == pytest.approx(value, abs=1e-5)
    assert again.undelivered is None
    assert connect().run(done).data.metrics["deeplift/auroc"] == again.metrics["deeplift/auroc"]


def test_above_takes_the_classes_that_the_network_is_sure_of(done: str) -> None:
    model, data = results.model(done), results.dataset(done)
    from mlproject.network.build import predict

    scores = predict(model, data.test.codes)
    above = float(np.quantile(scores, 0.99))
    sequences, targets = Choice(None, above).rows([model], data)
    wanted = {(row, column) for row, column in np.argwhere(scores > above).tolist()}
    assert set(zip(sequences.tolist(), targets.tolist(), strict=True)) == wanted
    with pytest.raises(UserError, match="none has a score above 1"):
        Choice(None, 1.0).rows([model], data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no run `nothing` in the tracking store"),
        (["RUN", "--method", "salience"], "unknown method 'salience': did you mean saliency"),
        (["RUN", "--method", "modisco"], "`modisco` works on the scores of the method before it"),
        (["RUN", "--method", "ism_window,modisco"], "needs one with scores for every letter"),
        (["RUN", "--method", "ism,ism"], "got ism twice"),
        (["RUN", "--classes", "SRFF"], "unknown class 'SRFF': did you mean SRF"),
        (["RUN", "--sequences", "0"], "--sequences"),
        (["RUN", "--above", "2"], "--above"),
        (["RUN", "--dataset", "missing.h5"], "missing.h5, no such file"),
        (["UNFINISHED"], "results can be added to finished runs only"),
        (["WITHOUT_MODEL"], "has logged no model"),
        (["FOREIGN"], "must be one of this project"),
    ],
)
def test_a_mistake_gets_one_line_and_exit_code_2_and_adds_nothing(
    done: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    names = {"RUN": done}
    if arguments[0] == "UNFINISHED":
        names["UNFINISHED"] = start({"arch": "CNN-1"}).run_id
    elif arguments[0] == "WITHOUT_MODEL":
        data = connect().run(done).data.tags["mlproject.dataset_sha256"]
        names["WITHOUT_MODEL"] = record({**TINY, "seed": 7}, data=data)
    elif arguments[0] == "FOREIGN":
        names["FOREIGN"] = connect().client.create_run("0").info.run_id
    shutil.rmtree("runs", ignore_errors=True)
    before = connect().run(done).data.metrics
    capsys.readouterr()
    words = [names.get(word, word) for word in arguments]
    assert _exit_code(["interpret", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert connect().run(done).data.metrics == before
    assert not list(Path("runs").glob("*"))


def test_ctrl_c_keeps_the_methods_that_are_done_and_nothing_of_the_one_under_way(
    done: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mlproject.attribution.methods.METHODS", _with_ism(_interrupted))
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted, match="SIGINT"):
        interpret_run(done, "gradient_x_input_raw,ism,smoothgrad", Choice(4), quiet=True)
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), handlers, strict=True):
        signal.signal(number, handler)
    found = connect().run(done)
    assert found.info.status == "FINISHED"
    assert "gradient_x_input_raw/auroc" in found.data.metrics
    assert not {"ism/auroc", "smoothgrad/auroc", "time/ism"} & set(found.data.metrics)
    names = {path.stem for path in connect().download(done, "attributions", tmp_path).iterdir()}
    assert "gradient_x_input_raw" in names
    assert not {"ism", "smoothgrad"} & names
    assert not list(Path("runs").iterdir())


def test_what_a_killed_process_had_recorded_is_delivered_by_sync_or_the_next_interpretation(
    done: str,
) -> None:
    store = connect()
    ended = store.run(done).info.end_time
    for number, deliver in enumerate(("sync", "amend")):
        tracker = store.amend(done, Path("runs"))
        tracker.metrics({f"killed/{deliver}": float(number)})
        with pytest.raises(UserError, match="another process adds to run"):
            store.amend(done, Path("runs"))
        (Path("runs") / done / "owner").write_text("elsewhere")
        for name in (JOURNAL, "owner"):
            os.utime(Path("runs") / done / name, (0, 0))
        if deliver == "sync":
            assert sync(Path("runs"), store).runs == [done]
        else:
            store.amend(done, Path("runs")).close()
        assert not (Path("runs") / done).exists()
        found = store.run(done)
        assert found.data.metrics[f"killed/{deliver}"] == number
        assert (found.info.status, found.info.end_time) == ("FINISHED", ended)


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Iterator[list[str]]:
    """The ids of a sweep and of its runs, two folds of three, none trained."""
    with inside(tmp_path_factory.mktemp("folds"), migrated_store):
        sweep = connect().start("folds", {"mlproject.sweep": "folds"}, Path("runs"), "table1")
        sweep.finish("FINISHED")
        ids = [sweep.run_id]
        for fold in (1, 3):
            options = {**TINY, "sequences": 90, "folds": 3, "fold": fold}
            spec = make_spec(options)
            data = load(spec, Path("data"))
            tracker = start(options, data=data.sha256)
            keras.utils.set_random_seed(fold)
            model = build(spec, data.length, len(data.classes))
            tracker.model(model, requirements(backend.name()))
            tracker.tags({"mlflow.parentRunId": sweep.run_id})
            tracker.finish("FINISHED")
            ids.append(tracker.run_id)
        yield ids


def test_attributions_of_folds_are_averaged_over_the_networks_on_the_sequences_of_all_folds(
    folds: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, *ids = folds
    main(["interpret", sweep, "--method", "gradient_x_input", "--sequences", "20", "--quiet"])
    made = capsys.readouterr().out.split()[1].rstrip(":")
    found = connect().run(made)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "mean of 2 · custom · seed 0"
    assert found.data.tags["mlproject.mean_of"].split() == ids
    mean = results.attributions(made, "gradient_x_input")
    deviations = results.attributions(made, "gradient_x_input", deviations=True)
    tests = [results.dataset(run_id).test for run_id in ids]
    codes = np.concatenate([np.asarray(test.codes) for test in tests])
    labels = np.concatenate([np.asarray(test.labels) for test in tests])
    assert 54 < len(codes) < 66
    assert (mean.codes == codes[mean.sequences]).all()
    assert (labels[mean.sequences, mean.targets] == 1).all()
    assert mean.sequences.max() >= len(tests[0].codes)
    single = np.stack(
        [
            attribute(results.model(run_id), "gradient_x_input", mean.codes, mean.targets).scores
            for run_id in ids
        ]
    )
    size = np.abs(single).max()
    np.testing.assert_allclose(mean.scores, single.mean(axis=0), atol=2e-3 * size)
    np.testing.assert_allclose(deviations.scores, single.std(axis=0, ddof=1), atol=2e-3 * size)
    assert 0.3 < found.data.metrics["gradient_x_input/auroc"] < 0.7
    assert sweep not in set(results.runs().run_id)


def test_folds_are_pooled_and_seeds_of_other_data_are_not_averaged(
    folds: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    from mlproject.run.pooling import pool_runs

    pooled = pool_runs([folds[0]])
    assert len(pooled.sequences) == 2
    assert 54 < sum(pooled.sequences) < 66
    assert 0 < pooled.values["pooled_auroc"] < 1
    other = record({**TINY, "sequences": 90}, data="a" * 64)
    for words, message in (
        ([folds[1], other], "must have sha256"),
        ([folds[1], folds[1][:12]], "a run is given once"),
    ):
        assert _exit_code(["interpret", *words]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_tracks_draws_runs_side_by_side(
    done: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "tracks.png"
    main(["tracks", done, done, "--method", "saliency,ism", "--out", str(out), "--region", "1-60"])
    assert out.stat().st_size > 10_000
    assert "test sequence" in capsys.readouterr().out
    for arguments, message in (
        (["--region", "x"], "`--region` is written FROM-TO"),
        (["--region", "²-5"], "`--region` is written FROM-TO"),
        (["--region", f"1-{'9' * 5000}"], "`--region` is written FROM-TO"),
        (["--region", "1-999"], "`--region` must lie within"),
        (["--sequence", "99999"], "`--sequence` must be a row"),
        (["--out", "x.gif"], "`--out` must end in .png or .pdf"),
    ):
        assert _exit_code(["tracks", done, *arguments]) == 2
        assert message in capsys.readouterr().err


def test_attributions_are_part_of_the_interpretation_and_old_hashes_hold() -> None:
    plain, asked = make_spec({}), make_spec({"attributions": "saliency, deeplift,modisco"})
    assert asked.attributions == "saliency,deeplift,modisco"
    assert asked.methods == ("saliency", "deeplift", "modisco")
    assert plain.methods == ()
    assert asked.train_sha256(DATA) == plain.train_sha256(DATA)
    assert asked.spec_sha256(DATA) != plain.spec_sha256(DATA)
    assert make_spec({"attributions": "none"}).spec_sha256(DATA) == plain.spec_sha256(DATA)
    assert {"attributions", "attributed"} <= set(fields_of(Group.INTERPRETATION))
    with pytest.raises(UserError, match="`attributions`: unknown method 'lime'"):
        make_spec({"attributions": "lime"})
    assert METHODS.keys() == set(ATTRIBUTIONS)
