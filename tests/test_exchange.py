"""Runs as folders and back: nothing is lost, nothing is done twice, nothing stays half."""

import gzip
import json
import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import psutil
import pytest
import yaml
from conftest import FINISHED
from recorded import inside, reading, record, record_filters, start

from mlproject import results
from mlproject.commands.cli import cli
from mlproject.names import Artifact, Tag
from mlproject.report.content import ReportRequest
from mlproject.report.recording import make_report
from mlproject.run.context import RunResult
from mlproject.store import Store, connect
from mlproject.store.exchange import folder as folders
from mlproject.store.exchange.exporting import export
from mlproject.store.exchange.folder import LIMIT, folders_of, read, read_all
from mlproject.store.exchange.importing import _digest, import_runs
from mlproject.store.transfer import RecordedRun
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted
from mlproject.system.processes import this_process


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, finished: tuple[Path, RunResult]) -> Path:
    """A folder with a store of one real run, exported to ``out`` and, with weights, ``heavy``."""
    with inside(tmp_path_factory.mktemp("trained"), finished[0] / "mlflow.db") as folder:
        shutil.copytree(finished[0] / "data", folder / "data")
        assert len(export(connect(), Path("out")).added) == 1
        assert len(export(connect(), Path("heavy"), weights=True).added) == 1
        return folder


@pytest.fixture
def elsewhere(workplace: Path, trained: Path) -> Path:
    """Another machine: an empty store, and the data set, which is the same everywhere."""
    shutil.copytree(trained / "data", workplace / "data")
    return workplace


def store_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def another(name: str, empty: Path) -> Store:
    """Return one more store in the current folder."""
    shutil.copy(empty, f"{name}.db")
    return connect(f"sqlite:///{Path.cwd() / f'{name}.db'}")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_imported_run_has_all_that_the_original_had(elsewhere: Path, trained: Path) -> None:
    here = connect()
    done = import_runs(here, trained / "out")
    there = connect(store_of(trained))
    original, copy = results.runs(store=there), results.runs(store=here)
    other = ["run_id", "imported", "inputs", "experiment_id"]
    pandas.testing.assert_frame_equal(original.drop(columns=other), copy.drop(columns=other))
    assert list(copy["run_id"]) == done.added
    assert copy["imported"].tolist() == [True]
    first, second = there.run(original.run_id[0]), here.run(copy.run_id[0])
    assert second.data.tags[Tag.IMPORTED] == first.info.run_id
    assert first.data.params == second.data.params
    assert first.data.tags["mlflow.note.content"] == second.data.tags["mlflow.note.content"]
    for name in ("train_loss", "val_auroc", "time/epoch"):
        one, two = (
            [
                (value.step, value.value, value.timestamp)
                for value in store.client.get_metric_history(run_id, name)
            ]
            for store, run_id in ((there, first.info.run_id), (here, second.info.run_id))
        )
        assert one == two
        assert [step for step, _, _ in one] == [1, 2]
    for table in (results.history, results.per_class):
        pandas.testing.assert_frame_equal(table(original.iloc[0], there), table(copy.iloc[0], here))
    mine, yours = (
        results.filters(row.iloc[0], "conv1", s) for row, s in ((original, there), (copy, here))
    )
    assert mine.matches == yours.matches
    assert all(np.array_equal(a.pwm, b.pwm) for a, b in zip(mine.motifs, yours.motifs, strict=True))
    assert results.relevant(original.iloc[0]) == results.relevant(copy.iloc[0])


def test_importing_twice_adds_nothing_and_exporting_again_changes_no_byte(
    elsewhere: Path, trained: Path
) -> None:
    store = connect()
    import_runs(store, trained / "out")
    again = import_runs(store, trained / "out")
    assert (again.added, again.completed, again.present) == ([], [], 1)
    assert len(results.runs()) == 1
    export(store, Path("copy"))
    assert contents(Path("copy")) == contents(trained / "out")
    assert len(export(store, Path("copy")).same) == 1
    assert contents(Path("copy")) == contents(trained / "out")


def test_a_sweep_takes_an_imported_run_for_done(
    elsewhere: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlproject.sweeps.dry_run import dry_run
    from mlproject.sweeps.earlier_runs import find_start
    from mlproject.sweeps.options import SweepOptions
    from mlproject.sweeps.task import CellTask, Outcome

    store = connect()
    run_id = import_runs(store, trained / "out").added[0]
    plan = {"base": FINISHED, "axes": {"arch": ["CNN-25"]}}
    Path("plan.yaml").write_text(yaml.safe_dump(plan))
    dry_run(Path("plan.yaml"), SweepOptions(Path(), workers=1))
    assert "1 cell, 1 done, 0 to do" in capsys.readouterr().out
    tags = store.run(run_id).data.tags
    spec, training, data = (
        tags[f"mlproject.{name}_sha256"] for name in ("spec", "train", "dataset")
    )
    job = CellTask(
        "token", "sweep", "", {}, spec, training, data, ".", store.uri, "0", "", {}, None, 1, False
    )
    claimed = find_start(store, job)
    assert isinstance(claimed, Outcome)
    assert claimed.run_id == run_id
    other = find_start(store, job._replace(spec_sha256="0" * 64))
    assert other is None, "weights that were not exported serve nobody again"


def test_weights_make_the_model_that_was_trained(elsewhere: Path, trained: Path) -> None:
    from mlproject.network.build import predict

    here = connect()
    run_id = import_runs(here, trained / "out").added[0]
    with pytest.raises(UserError, match="was imported without weights"):
        results.model(run_id)
    done = import_runs(here, trained / "heavy")
    assert (done.added, done.completed) == ([], [run_id])
    codes = np.random.default_rng(0).integers(0, 4, (20, 150), np.uint8)
    there = connect(store_of(trained))
    original = results.model(results.runs(store=there).run_id[0], there)
    assert np.array_equal(predict(results.model(run_id, here), codes), predict(original, codes))
    export(here, Path("copy"))
    assert not (next((Path("copy") / "runs").iterdir()) / Artifact.WEIGHTS).exists()
    export(here, Path("copy"), weights=True)
    assert contents(Path("copy")) == contents(trained / "heavy")
    export(here, Path("copy"))
    assert contents(Path("copy")) == contents(trained / "heavy"), "what is there stays"


def test_a_report_counts_imported_runs(workplace: Path, migrated_store: Path) -> None:
    for arch in ("CNN-2", "CNN-25"):
        record_filters({"arch": arch}, reading(10))
    export(connect(), Path("out"))
    import_runs(another("other", migrated_store), Path("out"), "elsewhere")
    report = make_report(ReportRequest(figures=False), Path("report"), record=False).report
    assert "2 of them were imported." in report.summary
    table = report.table("table1")
    assert table is not None
    assert dict(zip(table.frame["arch"], table.frame["n"], strict=True))["CNN-25"] == 1


def test_ctrl_c_waits_for_the_run_at_hand(workplace: Path, migrated_store: Path) -> None:
    for seed in range(3):
        record({"seed": seed})
    export(connect(), Path("out"))
    here = another("other", migrated_store)
    old = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted, match="SIGINT after 1 of 3 runs; start it again"):
        import_runs(
            here, Path("out"), "table1", progress=lambda name: os.kill(os.getpid(), signal.SIGINT)
        )
    for number, handler in zip((signal.SIGINT, signal.SIGTERM), old, strict=True):
        signal.signal(number, handler)
    assert list(results.runs(store=here)["state"]) == ["finished"]
    done = import_runs(here, Path("out"), "table1")
    assert (len(done.added), done.present) == (2, 1)
    assert list(results.runs(store=here)["state"]) == ["finished"] * 3


KILLED = """
import os, signal, sys
from pathlib import Path
from mlflow import MlflowClient
from mlproject.store.exchange.importing import _digest, import_runs
from mlproject.store import connect
done, log = 0, MlflowClient.log_inputs
def kill(*arguments, **named):
    global done
    done += 1
    if done == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return log(*arguments, **named)
MlflowClient.log_inputs = kill
import_runs(connect(sys.argv[1]), Path("out"), "table1")
"""


def test_a_killed_import_leaves_nothing_running_and_goes_on(
    workplace: Path, migrated_store: Path
) -> None:
    for seed in range(3):
        tracker = start({"seed": seed})
        tracker.input("train", "0" * 64, "s", "training", "{}")
        tracker.metrics({"test_auroc": 0.9 + seed / 100})
        tracker.finish("FINISHED")
    export(connect(), Path("out"))
    here = another("other", migrated_store)
    ended = subprocess.run([sys.executable, "-c", KILLED, here.uri], check=False)
    assert ended.returncode == -signal.SIGKILL
    experiment = here.find_experiment("table1") or ""
    begun = here.client.search_runs([experiment])
    assert sorted(run.info.status for run in begun) == ["FINISHED", "KILLED"]
    assert list(results.runs(store=here)["state"]) == ["finished"]
    done = import_runs(here, Path("out"), "table1")
    assert (len(done.added), len(done.completed), done.present) == (1, 1, 1)
    whole = results.runs(store=here)
    assert list(whole["state"]) == ["finished"] * 3
    assert sorted(whole["test_auroc"]) == [0.9, 0.91, 0.92]
    for run_id in whole["run_id"]:
        assert len(here.client.get_metric_history(run_id, "test_auroc")) == 1
        inputs = here.run(run_id).inputs
        assert inputs and len(inputs.dataset_inputs) == 1


def test_an_import_that_fails_half_way_leaves_no_run(workplace: Path, migrated_store: Path) -> None:
    record_filters({"seed": 0}, reading(3))
    export(connect(), Path("out"))
    here = another("other", migrated_store)
    Path("blocked").write_text("a file where the folder of the artifacts would be")
    experiment = here.client.create_experiment("table1", (workplace / "blocked").as_uri())
    for _ in range(2):
        with pytest.raises(UserError, match="the tracking store must accept imported runs") as e:
            import_runs(here, Path("out"), "table1")
        assert "\n" not in str(e.value)
        assert not here.client.search_runs([experiment])
    Path("blocked").unlink()
    assert len(import_runs(here, Path("out"), "table1").added) == 1
    assert list(results.runs(store=here)["state"]) == ["finished"]


def test_two_imports_do_not_make_the_same_run(workplace: Path, migrated_store: Path) -> None:
    record({"seed": 0}, 0.97)
    export(connect(), Path("out"))
    here = another("other", migrated_store)
    recorded = read_all(Path("out"))[0]
    parent = psutil.Process(os.getppid())
    rival = this_process()._replace(pid=parent.pid, started=parent.create_time())
    tags = {Tag.IMPORTED: recorded.run_id, "mlproject.process": str(rival)}
    experiment = here.experiment("table1")
    theirs = here.client.create_run(experiment, tags=tags).info.run_id
    with pytest.raises(UserError, match=f"another one is at work on .*{theirs}"):
        import_runs(here, Path("out"), "table1")
    assert [run.info.run_id for run in here.client.search_runs([experiment])] == [theirs]
    here.client.set_tag(theirs, "mlproject.process", str(rival._replace(pid=2**22 + 1)))
    assert import_runs(here, Path("out"), "table1").completed == [theirs]
    whole = results.runs(store=here)
    assert list(whole["state"]) == ["finished"]
    assert whole["test_auroc"].tolist() == [0.97]
    assert len(here.client.get_metric_history(whole.run_id[0], "test_auroc")) == 1


def test_the_recorded_reproduction_reads_and_hashes_as_ever() -> None:
    folder = Path(__file__).parents[1] / "docs" / "reproduction" / "koo_eddy_2019"
    table = pandas.read_csv(folder / "runs.csv")
    recorded = {folders.key_of(one): one for one in read_all(folder)}
    assert sorted(recorded) == sorted(name[: folders.KEY] for name in table["spec_sha256"])
    assert set(folders_of(folder)) <= set(folders_of(folder.parent))  # of all papers together
    for _, row in table.iterrows():
        tags = recorded[row["spec_sha256"][: folders.KEY]].tags
        assert tags["mlproject.train_sha256"] == row["train_sha256"]
    for one in recorded.values():
        assert all(list(part) == sorted(part) for part in one.inputs), "its digest would change"
    one = RecordedRun("1" * 32, "n", 1, 2, {"a": "b"}, {"c": "d"}, [{"name": "e"}], [], {"f": b"g"})
    assert _digest(one).startswith("3e76831b0f488ad7")


def _cut(folder: Path) -> None:
    path = folder / "filters" / "conv1.meme"
    path.write_bytes(path.read_bytes()[:-200])


def _other_spec(folder: Path) -> None:
    text = (folder / "run.json").read_text()
    (folder / "run.json").write_text(text.replace('\\"units\\": 16', '\\"units\\": 17'))


def _way_out(folder: Path) -> None:
    about = json.loads((folder / "run.json").read_text())
    about["files"]["../../../mlflow.db"] = "0" * 64
    (folder / "run.json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut, "filters/conv1.meme is not what was written"),
        (_other_spec, "a run must be what its hash says"),
        (_way_out, "leads out of it"),
        (lambda folder: (folder / "history.csv").unlink(), "history.csv"),
        (lambda folder: (folder / "run.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "run.json").unlink(), "run.json"),
        (lambda folder: folder.rename(folder.parent / "0123456789abcdef"), "has spec_sha256"),
    ],
)
def test_a_damaged_folder_is_one_clear_line_and_nothing_is_imported(
    workplace: Path, trained: Path, migrated_store: Path, damage: object, message: str
) -> None:
    shutil.copytree(trained / "out", "out")
    record({"seed": 9})
    export(connect(), Path("out"))
    damage(next((Path("out") / "runs").glob("*/filters")).parent)  # type: ignore[operator]
    here = another("other", migrated_store)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        import_runs(here, Path("out"), "table1")
    assert "\n" not in str(caught.value)
    assert str(Path("out") / "runs") in str(caught.value)
    assert len(results.runs(store=here)) == 0


def test_a_folder_that_is_no_export_is_named(workplace: Path) -> None:
    with pytest.raises(UserError, match="a folder that `export` wrote: nowhere"):
        import_runs(connect(), Path("nowhere"))


def test_without_a_finished_run_no_export_is_written(workplace: Path, migrated_store: Path) -> None:
    start({"seed": 0})
    with pytest.raises(UserError, match="writes finished runs: got none among 1 run found"):
        export(connect(), Path("out"))
    assert not Path("out").exists()


def test_exporting_adds_to_what_is_there_and_replaces_only_by_a_later_version(
    workplace: Path, migrated_store: Path
) -> None:
    record({"seed": 0}, 0.90)
    export(connect(), Path("out"))
    second = another("second", migrated_store)
    record({"seed": 0}, 0.91)
    record({"seed": 1}, 0.92)
    record({"seed": 2}, 0.93, status="KILLED")
    done = export(second, Path("out"))
    assert (len(done.added), len(done.updated), len(done.kept)) == (1, 0, 1)
    another("third", migrated_store)
    record({"seed": 0}, 0.95, version="2")
    assert len(export(connect(), Path("out")).updated) == 1
    table = pandas.read_csv("out/runs.csv")
    assert table["test_auroc"].tolist() == [0.95, 0.92]
    assert table["seed"].tolist() == [0, 1]
    assert table["metric_version"].tolist() == [2, 1]


def large(recorded: RecordedRun, size: int) -> RecordedRun:
    rng = np.random.default_rng(0)
    text = "".join(f"{value:.6f}\n" for value in rng.random(size // 9))
    return recorded._replace(files={**recorded.files, "filters/conv2.meme": text.encode()})


def test_a_large_run_is_packed_and_what_still_does_not_fit_is_left_out(
    workplace: Path, trained: Path
) -> None:
    recorded = read_all(trained / "out")[0]
    folder = Path("runs") / folders.key_of(recorded)

    def size() -> int:
        return sum(len(content) for content in contents(folder).values())

    assert folders.write(folder, large(recorded, 200_000)) == []
    assert size() <= LIMIT
    assert (folder / "filters" / "conv2.meme.xz").exists()
    assert (folder / "filters" / "conv1.meme").exists()
    assert read(folder) == large(recorded, 200_000)
    packed = folder / "filters" / "conv2.meme.xz"
    content = lzma.decompress(packed.read_bytes())
    (folder / "filters" / "conv2.meme.gz").write_bytes(gzip.compress(content))
    packed.rename(workplace / "away")
    assert read(folder) == large(recorded, 200_000)
    (workplace / "away").rename(packed)
    packed.write_bytes(packed.read_bytes()[:-50])
    with pytest.raises(UserError, match="is damaged"):
        read(folder)
    assert folders.write(folder, large(recorded, 900_000)) == [
        f"{folder.name}/filters/conv2.meme ({recorded.name})"
    ]
    assert size() <= LIMIT
    assert json.loads((folder / "run.json").read_text())["left_out"] == ["filters/conv2.meme"]
    assert read(folder) == recorded


def test_history_and_spec_are_left_out_after_all_other_files(
    workplace: Path, trained: Path
) -> None:
    recorded = read_all(trained / "out")[0]
    noise = np.random.default_rng(0).bytes(LIMIT).hex().encode()
    left_out = set()
    for size in range(LIMIT - 40_000, LIMIT, 1_000):  # bytes of the layer, packed
        files = {**recorded.files, "filters/conv2.meme": noise[: 2 * size]}
        left_out |= {*folders.write(Path("runs") / "one", recorded._replace(files=files))}
    assert left_out
    assert not [name for name in left_out if "history.csv" in name or "spec.json" in name]


def cell(parent: str, options: dict[str, object], status: str = "FINISHED") -> str:
    tracker = start(options)
    tracker.tags({Tag.PARENT: parent})
    tracker.metrics({"test_auroc": 0.9})
    tracker.finish(status)
    return tracker.run_id


def test_export_takes_runs_starts_of_ids_and_sweeps(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = connect().start("seeds", {Tag.SWEEP: "seeds"}, Path("runs"), "table1")
    cells = [cell(sweep.run_id, {"seed": seed}) for seed in (1, 2)]
    killed = cell(sweep.run_id, {"seed": 3}, "KILLED")
    sweep.finish("FINISHED")
    alone, again = record({"seed": 4}), record({"seed": 4})
    record({"seed": 5})
    for out, given in (("one", [alone[:12]]), ("all", [sweep.run_id, again])):
        cli.main(["export", *given, "--out", out], standalone_mode=False)
    assert {run.run_id for run in read_all(Path("one"))} == {alone}
    assert {run.run_id for run in read_all(Path("all"))} == {*cells, again}
    for given, message in (
        ([alone, killed], f"`export` writes finished runs: {killed} is killed"),
        ([alone, "--where", "seed = 4"], "`export` takes RUNS, or `--experiment` and `--where`"),
        ([alone, alone], "a run is given once"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            cli.main(["export", *given, "--out", "none"], standalone_mode=False)
    assert not Path("none").exists()
    capsys.readouterr()


def test_the_commands_say_what_they_did(
    workplace: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["import", "--from", str(trained / "out")], standalone_mode=False)
    cli.main(["import", "--from", str(trained / "out")], standalone_mode=False)
    cli.main(["export", "--out", "copy"], standalone_mode=False)
    assert capsys.readouterr().out.splitlines() == [
        "1 run imported, 0 were there",
        "0 runs imported, 1 were there",
        f"1 run added, 0 updated, 0 unchanged: {Path('copy') / 'runs.csv'}",
    ]
