"""Runs and files of runs that are damaged: one line that names them, and the others go on."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas
import pytest
from recorded import inside, reading, record, record_filters, start

from mlproject import results
from mlproject.attribution import Attributions
from mlproject.attribution import files as attribution_files
from mlproject.commands.cli import main
from mlproject.motifs.meme import write_meme
from mlproject.motifs.tomtom import HEADER, format_tsv
from mlproject.report.build import build
from mlproject.report.content import ReportRequest
from mlproject.store import connect
from mlproject.store.exchange.exporting import export
from mlproject.store.results.recorded import HISTORY, read_matches, read_motifs, read_table
from mlproject.system.errors import UserError
from mlproject.system.hdf5 import require_plain

HISTORY_TEXT = "epoch,train_loss,val_loss\n1,0.5,0.6\n2,0.4,0.5\n"


@pytest.fixture(scope="module")
def store_folder(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Iterator[Path]:
    """A folder with a good run, one whose files are damaged, and a store of them."""
    with inside(tmp_path_factory.mktemp("damaged"), migrated_store) as folder:
        for arch in ("CNN-2", "CNN-25"):
            record_filters({"arch": arch}, reading(4))
        yield folder


@pytest.fixture
def damaged(store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a run with all files in a copy of the store, whose folder is the current one."""
    shutil.copytree(store_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    tracker = start({"arch": "CNN-10"})
    tracker.artifact("history.csv", lambda path: path.write_text(HISTORY_TEXT))
    tracker.artifact(
        "attributions/ism.h5", lambda path: attribution_files.write_attributions(path, FOUND, "ab")
    )
    layer = reading(4)
    stem = "filters/conv1"
    tracker.artifact(f"{stem}.meme", lambda path: write_meme(path, layer.motifs))
    tracker.artifact(f"{stem}_clipped.meme", lambda path: write_meme(path, layer.clipped))
    table = format_tsv(layer.matches)
    tracker.artifact("filters/conv1_matches.tsv", lambda path: path.write_text(table))
    tracker.metrics({"test_auroc": 0.9, "conv1/match_jaspar": 0.1, "conv1/match_relevant": 0.1})
    tracker.finish("FINISHED")
    return tracker.run_id


def stored(run_id: str, path: str) -> Path:
    """Return where an artifact lies in the store."""
    uri = connect().run(run_id).info.artifact_uri
    return Path(uri.removeprefix("file://")) / path


RNG = np.random.default_rng(0)
FOUND = Attributions(
    "ism",
    np.arange(3),
    np.array([0, 1, 0]),
    RNG.integers(0, 5, (3, 12)).astype(np.uint8),
    RNG.normal(size=(3, 12, 4)).astype(np.float32),
)

BAD_SPECS = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[1, 2]",
    "nested too deep": "[" * 3000,
    "an unknown name": '{"pools": 3}',
    "a wrong type": '{"pool1": "wide"}',
    "out of range": '{"dropout_dense": 1.5}',
    "a huge number": '{"units": 1' + "0" * 5000 + "}",
}


def test_a_run_with_a_bad_spec_is_named_and_the_others_are_read(damaged: str) -> None:
    store = connect()
    for text in BAD_SPECS.values():
        store.client.set_tag(damaged, "mlproject.spec", text)
        with pytest.warns(UserWarning, match=f"run `{damaged}` is left out: .*`mlproject.spec`"):
            frame = results.runs(store=store)
        assert sorted(frame["arch"]) == ["CNN-2", "CNN-25"]
        with pytest.raises(UserError, match=damaged) as caught:
            results.spec_of(damaged, store)
        assert len(str(caught.value).splitlines()) == 1
    done = export(store, Path("out"))
    assert len(done.added) == 2
    assert [damaged in line and len(line.splitlines()) == 1 for line in done.unreadable] == [True]


def test_report_and_export_name_a_run_that_cannot_be_read(
    damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    connect().client.set_tag(damaged, "mlproject.spec", "{")
    for arguments in (
        ["report", "--no-figures", "--no-record", "--out", "report"],
        ["export", "--out", "out"],
    ):
        main_ends_well(arguments)
        told = capsys.readouterr()
        assert [damaged in line for line in told.err.splitlines()] == [True]
    assert damaged in Path("report/README.md").read_text()
    assert len(pandas.read_csv("out/runs.csv")) == 2


def main_ends_well(arguments: list[str]) -> None:
    try:
        main(arguments)
    except SystemExit as ended:
        assert not ended.code


def test_metrics_with_the_names_of_columns_change_no_column(workplace: Path) -> None:
    names = ("run_id", "state", "pool1", "seed", "pool", "spec", "arch", "started", "inputs")
    record({"arch": "CNN-2"}, more=dict.fromkeys(names, 0.5))
    record({"arch": "CNN-25"})
    frame = results.counted(results.runs())
    assert list(frame["arch"]) == ["CNN-2", "CNN-25"]
    assert list(frame["pool1"]) == [2, 25]
    assert len(build(ReportRequest(figures=False), connect()).tables) > 3


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": _cut,
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
    "noise": lambda content: np.random.default_rng(0).bytes(len(content)),
    "something else": lambda content: b"<!DOCTYPE html>\n<p>Not Found</p>\n",
}
READERS: dict[str, Callable[[str], object]] = {
    "history.csv": results.history,
    "filters/conv1.meme": results.filters,
    "filters/conv1_clipped.meme": results.filters,
    "filters/conv1_matches.tsv": results.filters,
    "attributions/ism.h5": lambda run_id: results.attributions(run_id, "ism"),
}


@pytest.mark.parametrize("path", READERS)
def test_a_damaged_file_is_one_line_with_its_name_and_run(path: str, damaged: str) -> None:
    READERS[path](damaged)
    place = stored(damaged, path)
    whole = place.read_bytes()
    for change in DAMAGE.values():
        place.write_bytes(change(whole))
        with pytest.raises(UserError, match=path) as caught:
            READERS[path](damaged)
        text = str(caught.value)
        assert damaged in text
        assert len(text.splitlines()) == 1
        assert "/tmp" not in text
    place.unlink()
    with pytest.raises(UserError, match=path):
        READERS[path](damaged)


def test_a_report_goes_on_without_filters_that_are_damaged(damaged: str) -> None:
    stored(damaged, "filters/conv1_matches.tsv").write_text("no table\n")
    report = build(ReportRequest(), connect())
    assert [damaged in line for line in report.unreadable] == [True]
    assert report.atlases["synthetic"].networks == ("CNN-2", "CNN-25")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cut short"),
        ("epoch,train_loss\n1,0.5\n2,0.4", "cut short"),
        ("epoch,train_loss\n1,0.5\n2\n", "row 3 has 1 cell, not 2"),
        ("epoch,train_loss\n1,0.5,7\n", "row 2 has 3 cells"),
        ("step,train_loss\n1,0.5\n", "have `epoch`"),
        ("epoch,epoch\n1,2\n", "unique"),
        ("epoch,train_loss\n1,low\n", "`train_loss` must hold numbers"),
        ("epoch,train_loss\n1.5,0.5\n", "`epoch` must hold whole numbers"),
        ('epoch,train_loss\n"1,0.5\n', "unexpected end"),
    ],
)
def test_tables_are_read_strictly(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(Exception, match=message):
        read_table(path, HISTORY)


def test_matches_and_motifs_are_read_strictly(tmp_path: Path) -> None:
    good = "a\tb\t-3\t0.1\t0.2\t0.3\t4\tACGT\tACGT\t+"
    assert len(read_matches(f"{HEADER}{good}\n")) == 1
    for cells in (good[:-2], f"{good}\tx", good.replace("0.2", "nan"), good.replace("-3", "x")):
        with pytest.raises(ValueError, match="line 2"):
            read_matches(f"{HEADER}{cells}\n")
    with pytest.raises(ValueError, match="names of Tomtom's columns"):
        read_matches(f"{good}\n")
    (tmp_path / "a.meme").write_text("no motifs\n")
    with pytest.raises(ValueError, match="must start with"):
        read_motifs(tmp_path / "a.meme")


def test_the_profile_of_a_data_set_that_is_damaged_is_one_line(workplace: Path) -> None:
    tracker = start({"arch": "CNN-2"})
    tracker.input("train", "0" * 64, "s", "training", '{"relevant": 3}')
    tracker.metrics({"test_auroc": 0.9, "conv1/match_jaspar": 0.5})
    tracker.finish("FINISHED")
    with pytest.raises(UserError, match=tracker.run_id) as caught:
        results.relevant(results.runs().iloc[0])
    assert len(str(caught.value).splitlines()) == 1


def write_unsealed(path: Path) -> None:
    """Write attributions as version 1 did, without a SHA-256 that would notice any change."""
    sealed = path.with_name("sealed.h5")
    attribution_files.write_attributions(sealed, FOUND, "ab")
    with h5py.File(sealed, "r") as old, h5py.File(path, "w") as new:
        for name in old:
            old.copy(name, new)
        new.attrs.update(old.attrs)
        new.attrs["version"] = 1


CHANGES: dict[str, Callable[[h5py.File], object]] = {
    "no scores": lambda file: file.__delitem__("scores"),
    "another method": lambda file: file.attrs.__setitem__("method", "guess"),
    "a method of numbers": lambda file: file.attrs.__setitem__("method", [1, 2]),
    "a letter that is none": lambda file: file["codes"].__setitem__((0, 0), 9),
    "a score that is none": lambda file: file["scores"].__setitem__((0, 0, 0), np.nan),
    "fewer rows": lambda file: (file.__delitem__("scale"), file.create_dataset("scale", (2,), "f")),
    "a scale in 16 bits": lambda file: (
        file.__delitem__("scale"),
        file.create_dataset("scale", data=np.zeros(len(FOUND.codes), np.float16)),
    ),
    "a group": lambda file: (file.__delitem__("codes"), file.create_group("codes")),
    "texts": lambda file: (file.__delitem__("codes"), file.create_dataset("codes", data=["a"])),
    "a link": lambda file: file.__setitem__("x", h5py.SoftLink("/scores")),
    "another file": lambda file: file.__setitem__("x", h5py.ExternalLink("b.h5", "/scores")),
    "data elsewhere": lambda file: file.create_dataset(
        "x", (8,), "u1", external=[("/etc/hostname", 0, 8)]
    ),
    "petabytes": lambda file: file.create_dataset("x", (1 << 50,), "u1", chunks=(1 << 20,)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", CHANGES)
def test_attributions_that_nobody_wrote_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_unsealed(path)
    assert attribution_files.read_attributions(path).method == "ism"
    with h5py.File(path, "r+") as file:
        CHANGES[name](file)
    with pytest.raises(
        UserError, match=r"must be|link|another file|larger than|is damaged"
    ) as caught:
        attribution_files.read_attributions(path)
    assert len(str(caught.value).splitlines()) == 1


def test_flipped_bytes_of_attributions_never_end_in_a_traceback(tmp_path: Path) -> None:
    path, rng = tmp_path / "a.h5", np.random.default_rng(1)
    write_unsealed(path)
    whole, refused = path.read_bytes(), 0
    for _ in range(150):
        changed = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            changed[place] = rng.integers(256)
        path.write_bytes(changed)
        try:
            attribution_files.read_attributions(path)
        except UserError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1
    assert refused > 10


def test_hdf5_that_loops_in_itself_ends(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("a")
        group["a"] = group
        with pytest.raises(UserError, match="objects"):
            require_plain(file)


def test_the_hash_of_imported_weights_may_be_anything(damaged: str) -> None:
    client = connect().client
    client.set_tag(damaged, "mlproject.imported", "x")
    with pytest.raises(UserError, match="was imported without weights"):
        results.model(damaged)
    tracker = start({"arch": "CNN-50"})
    tracker.input("a", "0" * 64, "s", "training", json.dumps({"relevant": {}, "length": 3}))
    tracker.artifact("weights/best.weights.h5", lambda path: path.write_text("none"))
    tracker.tags({"mlproject.imported": "x", "mlproject.artifact_sha256": "[]"})
    tracker.finish("FINISHED")
    with pytest.raises(UserError, match="must say how long"):
        results.model(tracker.run_id)
