"""What a cut-off run goes on from, and what is refused before a new run is made."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import psutil
import pytest
from conftest import TINY

import mlproject.run.run as running
from mlproject.architectures import make_spec
from mlproject.commands.cli import main
from mlproject.data import Split, make_dataset, write
from mlproject.names import Artifact
from mlproject.network import checkpoint
from mlproject.run.context import Settings
from mlproject.run.resuming import complete, find_previous, find_trained
from mlproject.run.run import run
from mlproject.store import connect, sync
from mlproject.store.journal import Journal
from mlproject.system.errors import UserError
from mlproject.system.interrupts import SIGNALS, Interrupted
from mlproject.system.processes import Process, this_process

OPTIONS = {name: value for name, value in TINY.items() if name not in ("sequences", "length")}
OPTIONS |= {"filters1": 2, "filters2": 0, "epochs": 2, "batch_size": 40}
QUIET = Settings(quiet=True)


def _write_data(seed: int) -> None:
    """Write random sequences of two classes to ``my.h5``: no motifs, few logos to draw."""
    rng = np.random.default_rng(seed)
    splits = {}
    for name, count in (("train", 80), ("valid", 40), ("test", 40)):
        codes = rng.integers(0, 4, (count, 50)).astype(np.uint8)
        splits[name] = Split(codes, (rng.random((count, 2)) < 0.5).astype(np.uint8))
    write(make_dataset(splits, ["one", "other"], {}), Path("my.h5"))


class Made(NamedTuple):
    """A folder with a data set, a run that was killed after its second epoch, a finished one."""

    folder: Path
    killed: str
    finished: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Made:
    folder = tmp_path_factory.mktemp("made")
    shutil.copy(migrated_store, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", "")
        patch.delenv("MLFLOW_TRACKING_URI")
        _write_data(0)
        spec = make_spec(OPTIONS | {"dataset": "my.h5"})
        epochs: list[int] = []
        stopping = Settings(
            quiet=True,
            should_stop=lambda: len(epochs) == 2,
            on_epoch=lambda epoch, values: epochs.append(epoch),
        )
        with pytest.raises(Interrupted):
            run(spec, stopping)
        (killed,) = connect().client.search_runs(["0"])
        done = run(spec, QUIET)
    return Made(folder, killed.info.run_id, done.run_id)


@pytest.fixture
def here(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """A copy of what was made, as current folder; artifacts of the store stay where they were."""
    folder = tmp_path / "copy"
    shutil.copytree(made.folder, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    before = [(number, signal.getsignal(number)) for number in SIGNALS]
    yield made._replace(folder=folder)
    for number, handler in before:
        signal.signal(number, handler)


def _count() -> int:
    return len(connect().client.search_runs(["0"]))


def _state(here: Made) -> Path:
    return here.folder / "runs" / here.killed / "artifacts" / Artifact.STATE


def _damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _resume_by_command(run_id: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["train", "--quiet", "--resume", run_id])
    return int(str(caught.value.code))


def _weights(run_id: str, folder: Path) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    with h5py.File(connect().download(run_id, "weights/best.weights.h5", folder / run_id)) as file:
        file.visititems(lambda _, one: found.append(one[()]) if hasattr(one, "dtype") else None)
    return found


def _disturbed(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function during which a signal comes."""

    def function(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    return function


def test_a_signal_after_the_last_batch_ends_a_run_that_goes_on_to_the_same_result(
    here: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    previous = find_previous(here.killed)
    with monkeypatch.context() as patch:
        patch.setattr(running, "read_filters", _disturbed(running.read_filters))
        with pytest.raises(Interrupted, match="to go on: resume="):
            run(previous.spec, QUIET, previous)
    newest = connect().client.search_runs(["0"], order_by=["attributes.start_time DESC"])[0]
    assert newest.info.status == "KILLED"
    assert newest.data.tags["mlproject.failure"] == "interrupted by SIGTERM"
    previous = find_previous(newest.info.run_id)
    done = run(previous.spec, QUIET, previous)
    client = connect().client
    for metric in ("train_loss", "val_loss", "test_auroc", "conv1/match_jaspar"):
        points = client.get_metric_history(done.run_id, metric)
        wanted = client.get_metric_history(here.finished, metric)
        assert [(one.step, one.value) for one in points] == [
            (one.step, one.value) for one in wanted
        ]
    ours, theirs = (_weights(one, here.folder) for one in (done.run_id, here.finished))
    assert all(map(np.array_equal, ours, theirs))


def test_a_damaged_state_gives_way_to_the_one_before_with_a_line(
    here: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    state = _state(here)
    assert find_previous(here.killed).state.resolve() == state.resolve()
    _damage(state)
    found = find_previous(here.killed)
    assert found.state.resolve() == checkpoint.earlier(state).resolve()
    assert len(checkpoint.read_history(found.state)) == 1
    assert "is damaged: the one before it is used" in capsys.readouterr().err


def _both_damaged(here: Made) -> None:
    _damage(_state(here))
    _damage(checkpoint.earlier(_state(here)))


def _other_data(here: Made) -> None:
    _write_data(1)


def _alive(here: Made) -> None:
    """Let the run be that of another process that is there: the one that started this one."""
    parent = psutil.Process(os.getppid())
    other = str(Process(this_process().host, parent.pid, parent.create_time()))
    client = connect().client
    client.update_run(here.killed, status="RUNNING")
    client.set_tag(here.killed, "mlproject.process", other)
    shutil.rmtree(here.folder / "runs" / here.killed)


def _resumed_elsewhere(here: Made) -> None:
    started = connect().start("x", {"mlproject.resumes": here.killed}, here.folder / "runs")
    assert started.flush()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_both_damaged, "must have an intact saved state"),
        (_other_data, "`resume` needs the data of run"),
        (_alive, "is alive; interrupt it first"),
        (_resumed_elsewhere, "must name a run that no other resumes"),
    ],
)
def test_a_resume_that_cannot_be_is_one_line_and_makes_no_run(
    here: Made,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Made], None],
    message: str,
) -> None:
    change(here)
    capsys.readouterr()
    before = _count()
    assert _resume_by_command(here.killed) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert _count() == before


def _interrupted(*_: object, **__: object) -> None:
    raise Interrupted("interrupted by SIGINT")


def test_a_run_that_lost_its_process_does_not_stay_running(
    here: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connect().client
    client.update_run(here.killed, status="RUNNING")
    gone = str(Process(this_process().host, 2**22 + 1, 1.0))
    client.set_tag(here.killed, "mlproject.process", gone)
    Journal(here.folder / "runs" / here.killed).own(gone)
    journal = here.folder / "runs" / here.killed / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if '"kind": "status"' not in line]
    journal.write_text("".join(kept), encoding="utf-8")
    monkeypatch.setattr(running, "record_inputs", _interrupted)
    previous = find_previous(here.killed)
    with pytest.raises(Interrupted):
        run(previous.spec, QUIET, previous)
    assert connect().run(here.killed).info.status == "KILLED"


@pytest.mark.parametrize(
    ("cut_off_at", "tagged", "resumable"),
    [
        ("atomic_file", False, "the first"),
        ("Tracker.tag_other", False, "the second"),
        ("fit", True, "the second"),
    ],
)
def test_of_two_runs_the_first_is_kept_until_the_second_can_be_resumed(
    here: Made, monkeypatch: pytest.MonkeyPatch, cut_off_at: str, tagged: bool, resumable: str
) -> None:
    ids: list[str] = []
    previous = find_previous(here.killed)
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(f"mlproject.run.stages.{cut_off_at}", _interrupted)
        run(previous.spec, Settings(quiet=True, on_start=ids.append), previous)
    store, root = connect(), here.folder / "runs"
    assert ("mlproject.resumed_by" in store.run(here.killed).data.tags) == tagged
    assert sync(root, store).failed == {}
    left = {"the first": here.killed, "the second": ids[0]}[resumable]
    assert [path.name for path in root.iterdir()] == [left]
    assert find_previous(left).run_id == left


def test_a_fetched_state_stays_as_long_as_its_process(here: Made) -> None:
    folder = here.folder / "runs" / here.killed
    shutil.rmtree(folder)
    store = connect()
    for owner, stays in ((str(this_process()), True), (f"{this_process().host}/4194305/1", False)):
        assert find_previous(here.killed).state.is_relative_to(folder)
        Journal(folder).own(owner)
        assert sync(folder.parent, store).failed == {}
        assert folder.exists() == stays


def test_a_run_that_had_finished_when_it_was_cut_off_is_delivered_instead(
    here: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    client = connect().client
    made = client.create_run("0", tags={"mlproject.spec": "{}"})
    journal = Journal(here.folder / "runs" / made.info.run_id)
    journal.artifacts.mkdir(parents=True, exist_ok=True)
    journal.append("metrics", values={"test_auroc": 0.75}, step=0, time=1)
    journal.append("status", status="FINISHED", time=2)
    before = _count()
    main(["train", "--quiet", "--resume", made.info.run_id])
    assert f"run {made.info.run_id}: test AUROC 0.7500" in capsys.readouterr().out
    assert client.get_run(made.info.run_id).info.status == "FINISHED"
    assert not journal.folder.exists()
    assert _count() == before
    assert complete(here.killed) is None


@pytest.mark.parametrize("name", ["weights/best.weights.h5", "history.csv"])
def test_damaged_weights_and_history_do_not_serve_again(here: Made, name: str) -> None:
    folder = here.folder / "reused"
    trained = find_trained(here.finished, folder)
    assert [epoch.epoch for epoch in trained.history] == [1, 2]
    store = connect()
    uri = store.run(here.finished).info.artifact_uri
    assert uri is not None
    path = Path(uri.removeprefix("file://")) / name
    content = path.read_bytes()
    try:
        _damage(path)
        with pytest.raises(UserError, match="is damaged, it has"):
            find_trained(here.finished, folder)
    finally:
        path.write_bytes(content)


def test_without_a_state_nothing_says_how_to_go_on(
    here: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "record_inputs", _interrupted)
    previous = find_previous(here.killed)
    with pytest.raises(Interrupted, match="it had not begun: start it again"):
        run(previous.spec, QUIET)
    with pytest.raises(Interrupted, match=f"to go on: resume={here.killed}"):
        run(previous.spec, QUIET, previous)
