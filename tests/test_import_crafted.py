"""Folders that nobody has exported: each is one clear line, and nothing of it reaches the store."""

import gzip
import hashlib
import json
import lzma
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import ViewType
from recorded import inside, reading, record_filters

from mlproject.store import Store, connect
from mlproject.store.exchange import members
from mlproject.store.exchange.checks import is_key
from mlproject.store.exchange.exporting import export
from mlproject.store.exchange.folder import MOST_UNPACKED, read
from mlproject.store.exchange.importing import import_runs
from mlproject.system.errors import UserError

MEME = "filters/conv1.meme"
Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Iterator[Path]:
    """A folder with an exported run, and an empty store."""
    with inside(tmp_path_factory.mktemp("made"), migrated_store) as folder:
        record_filters({"arch": "CNN-25"}, reading(4))
        export(connect(), Path("out"))
        yield folder


@pytest.fixture(scope="module")
def empty(made: Path, migrated_store: Path) -> Store:
    shutil.copy(migrated_store, made / "empty.db")
    return connect(f"sqlite:///{made / 'empty.db'}")


@pytest.fixture
def crafted(made: Path, tmp_path: Path) -> Path:
    """A copy of the exported run's folder."""
    shutil.copytree(made / "out", tmp_path / "out")
    return next((tmp_path / "out" / "runs").iterdir())


def about(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def put(folder: Path, values: object) -> None:
    (folder / "run.json").write_text(json.dumps(values))


def with_about(**changes: object) -> Damage:
    def damage(folder: Path) -> None:
        put(folder, {**about(folder), "sha256": None, **changes})

    return damage


def with_tag(name: str, value: object) -> Damage:
    return _with_entry("tags", name, value)


def with_param(name: str, value: object) -> Damage:
    return _with_entry("params", name, value)


def with_file(name: str, content: bytes = b"text\n") -> Damage:
    """Add a file to the list; it is written where its name allows."""

    def damage(folder: Path) -> None:
        _with_entry("files", name, hashlib.sha256(content).hexdigest())(folder)
        with_content = folder / name.replace("\0", "")
        if ".." not in name and not name.startswith("/") and len(name) < 200:
            with_content.parent.mkdir(parents=True, exist_ok=True)
            if not with_content.exists():
                with_content.write_bytes(content)

    return damage


def _with_entry(part: str, name: str, value: object) -> Damage:
    def damage(folder: Path) -> None:
        values = about(folder)
        put(folder, {**values, "sha256": None, part: {**values[part], name: value}})

    return damage


def with_spec(**changes: object) -> Damage:
    def damage(folder: Path) -> None:
        spec = json.loads(about(folder)["tags"]["mlproject.spec"])
        with_tag("mlproject.spec", json.dumps({**spec, **changes}))(folder)

    return damage


def with_input(**changes: object) -> Damage:
    one = {"name": "n", "digest": "d", "source": "s", "profile": "", "context": "training"}
    return with_about(inputs=[{**one, **changes}])


def with_metrics(text: str) -> Damage:
    def damage(folder: Path) -> None:
        content = text.encode()
        (folder / "metrics.csv").write_bytes(content)
        _with_entry("files", "metrics.csv", hashlib.sha256(content).hexdigest())(folder)

    return damage


def with_value(row: str) -> Damage:
    return with_metrics(f"metric,step,time,value\n{row}\n")


def with_raw(content: bytes) -> Damage:
    return lambda folder: (folder / "run.json").write_bytes(content)


def with_packed(suffix: str, packed: bytes) -> Damage:
    def damage(folder: Path) -> None:
        (folder / MEME).unlink()
        (folder / f"{MEME}{suffix}").write_bytes(packed)

    return damage


def with_bomb(suffix: str) -> Damage:
    """Replace a file with one that unpacks to more than a run may have, of zeros."""
    size = MOST_UNPACKED + 1
    packed = gzip.compress(bytes(size), 1) if suffix == ".gz" else lzma.compress(bytes(size))
    assert len(packed) < size / 100
    return with_packed(suffix, packed)


def with_link(name: str, target: Path | str) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / name
        shutil.move(path, folder.parent.parent / "moved")
        path.symlink_to(target if str(target) != "moved" else folder.parent.parent / "moved")

    return damage


def with_fifo(folder: Path) -> None:
    (folder / MEME).unlink()
    os.mkfifo(folder / MEME)


def with_folder(folder: Path) -> None:
    (folder / MEME).unlink()
    (folder / MEME).mkdir()


def with_large_weights(folder: Path) -> None:
    with_file("weights/best.weights.h5")(folder)
    os.truncate(folder / "weights" / "best.weights.h5", members.MOST_WEIGHTS + 1)


def linked_run(folder: Path) -> None:
    shutil.move(folder, folder.parent.parent / "moved")
    folder.symlink_to(folder.parent.parent / "moved")


def _gzip(change: Callable[[bytearray], object]) -> bytes:
    packed = bytearray(gzip.compress(b"MEME version 4\n" * 50))
    change(packed)
    return bytes(packed)


LONG = "x" * 10_000
DEEP = b'{"tags": ' + b"[" * 200_000
TAG = "mlproject.note"
CRAFTED: dict[str, tuple[Damage, str]] = {
    "no JSON": (with_raw(b"{"), "cannot be read"),
    "nothing": (with_raw(b""), "cannot be read"),
    "a list": (with_raw(b"[]"), "must be an object"),
    "no UTF-8": (with_raw(b'{"name": "\xff\xfe\xfa"}'), "cannot be read"),
    "nested too deep": (with_raw(DEEP), "run.json cannot be read"),
    "a name twice": (with_raw(b'{"version": 1, "version": 1}'), "stands twice"),
    "a constant": (with_raw(b'{"started": NaN}'), "NaN is no number"),
    "too many digits": (with_raw(b'{"started": 1' + b"0" * 5000 + b"}"), "cannot be read"),
    "400,000 tags": (with_about(tags={f"t{n}": "" for n in range(400_000)}), "larger than"),
    "1,001 tags": (with_about(tags={f"t{n}": "" for n in range(1_001)}), "tags"),
    "version a text": (with_about(version="1"), "version"),
    "version true": (with_about(version=True), "version"),
    "a later version": (with_about(version=2), "version"),
    "an unknown name": (with_about(more=1), "more"),
    "run id a number": (with_about(run_id=7), "run_id"),
    "run id with SQL": (with_about(run_id="' OR '1'='1"), "run_id"),
    "name a list": (with_about(name=["x"]), "name"),
    "name empty": (with_about(name=""), "name"),
    "name too long": (with_about(name=LONG), "name"),
    "name of two lines": (with_about(name="a\nerror: b"), "one line"),
    "name with an escape": (with_about(name="\x1b[2J"), "control"),
    "started a text": (with_about(started="now"), "started"),
    "started negative": (with_about(started=-1), "started"),
    "started a float": (with_about(started=1e300), "started"),
    "started huge": (with_about(started=10**30), "started"),
    "ended too early": (with_about(ended=0), "before"),
    "tags a list": (with_about(tags=[]), "tags"),
    "tag a number": (with_tag(TAG, 3), TAG),
    "tag too long": (with_tag(TAG, "x" * 8_001), TAG),
    "tag with a null byte": (with_tag(TAG, "a\0b"), "null"),
    "tag half a letter": (with_tag(TAG, "\ud800"), TAG),
    "tag's name too long": (with_tag(f"mlproject.{LONG}", ""), "250"),
    "tag's name is a script": (with_tag("mlproject.<script>", ""), "letters"),
    "tag's name leads out": (with_tag("mlproject./../x", ""), "letters"),
    "tag of a process": (with_tag("mlproject.process", "x"), "no tag"),
    "tag of a resumed run": (with_tag("mlproject.resumed_by", "x"), "no tag"),
    "tag of a parent": (with_tag("mlflow.parentRunId", "x"), "no tag"),
    "metric version a text": (with_tag("mlproject.metric_version", "x"), "metric_version"),
    "network of two lines": (with_tag("mlproject.arch", "a\nb"), "one line"),
    "no spec": (with_tag("mlproject.spec", ""), "must be a spec"),
    "spec a list": (with_tag("mlproject.spec", "[1]"), "must be a spec"),
    "spec nested too deep": (with_tag("mlproject.spec", "[" * 7_000), "spec"),
    "spec with an unknown name": (with_spec(pool=3), "unknown parameter"),
    "spec with a wrong type": (with_spec(pool1=[3]), "pool1"),
    "spec out of range": (with_spec(beta1=1e300), "beta1"),
    "another spec": (with_spec(units=17), "must be what its hash says"),
    "another hash": (with_tag("mlproject.spec_sha256", "0" * 64), "must be what its hash says"),
    "another training": (with_tag("mlproject.train_sha256", "0" * 64), "has train_sha256"),
    "hash no hash": (with_tag("mlproject.dataset_sha256", "x"), "must be a SHA-256"),
    "parameter a number": (with_param("pool1", 25), "pool1"),
    "parameter too long": (with_param("pool1", "x" * 6_001), "pool1"),
    "parameter's name of two lines": (with_param("a\nb", ""), "letters"),
    "parameter's name leads out": (with_param("../a", ""), "letters"),
    "inputs a dictionary": (with_about(inputs={}), "inputs"),
    "input with more": (with_input(more=""), "more"),
    "input's digest too long": (with_input(digest="x" * 37), "digest"),
    "input's profile no JSON": (with_input(profile="{"), "profile|inputs"),
    "input's profile of numbers": (with_input(profile='{"relevant": {"A": [1]}}'), "relevant"),
    "input's profile too large": (with_input(profile='{"length": 1e12}'), "length"),
    "101 inputs": (with_about(inputs=[{}] * 101), "inputs"),
    "files a list": (with_about(files=["metrics.csv"]), "files"),
    "no metrics": (with_about(files={}), "must have metrics.csv"),
    "hash of capitals": (_with_entry("files", "history.csv", "A" * 64), "history.csv"),
    "path leads out": (with_file("../../../mlflow.db.csv"), "leads out of it"),
    "path leads out inside": (with_file("a/../../x.csv"), "leads out of it"),
    "path is absolute": (with_file("/etc/x.csv"), "leads out of it"),
    "path with a drive": (with_file("C:x.csv"), "no name"),
    "path of Windows": (with_file("a\\..\\x.csv"), "no name"),
    "path a device of Windows": (with_file("aux.csv"), "no name"),
    "path ends in a dot": (with_file("a./x.csv"), "no name"),
    "path with nothing in it": (with_file("a//x.csv"), "no name"),
    "path with a line break": (with_file("a\nb.csv"), "no name"),
    "path with a script": (with_file("<img src=x onerror=alert(1)>.csv"), "no name"),
    "path too long": (with_file("x/" * 150 + "a.csv"), "no name"),
    "path of a program": (with_file("run.sh"), "no file that `export` writes"),
    "path of a pickle": (with_file("model/model.pkl"), "no file that `export` writes"),
    "path of run.json": (with_file("run.json"), "must not have run.json"),
    "a file and a folder": (
        _with_entry("files", "metrics.csv/a.csv", "0" * 64),
        "a file and a folder",
    ),
    "a linked file": (with_link(MEME, "moved"), "is a link"),
    "a linked folder": (with_link("filters", "moved"), "is a link"),
    "a linked device": (with_link(MEME, "/dev/zero"), "is a link"),
    "a linked run.json": (with_link("run.json", "moved"), "is a link"),
    "a linked run": (linked_run, "is a link"),
    "a pipe": (with_fifo, "must be a file"),
    "a folder for a file": (with_folder, "must be a file"),
    "a missing file": (lambda folder: (folder / MEME).unlink(), "No such file"),
    "a cut file": (lambda folder: os.truncate(folder / MEME, 99), "not what was written"),
    "weights too large": (with_large_weights, "larger than"),
    "gzip bomb": (with_bomb(".gz"), "unpacks to more than"),
    "xz bomb": (with_bomb(".xz"), "unpacks to more than"),
    "gzip of a wrong CRC": (
        with_packed(".gz", _gzip(lambda data: data.__setitem__(-6, data[-6] ^ 1))),
        "incorrect data check",
    ),
    "gzip cut short": (with_packed(".gz", _gzip(lambda data: data.__delitem__(-12))), "damaged"),
    "gzip cut at its end": (
        with_packed(".gz", _gzip(lambda data: data.__delitem__(slice(-4, None)))),
        "cut short",
    ),
    "gzip of two": (with_packed(".gz", gzip.compress(b"a") * 2), "more stands behind"),
    "gzip of something else": (with_packed(".gz", gzip.compress(b"a")), "not what was written"),
    "gzip of nothing": (with_packed(".gz", b""), "cut short"),
    "zlib for gzip": (with_packed(".gz", zlib.compress(b"a")), "damaged"),
    "xz cut short": (with_packed(".xz", lzma.compress(b"a" * 99)[:-9]), "cut short"),
    "xz that is no xz": (with_packed(".xz", b"PK\3\4"), "damaged"),
    "metrics without a head": (with_metrics("a,1,1,1\n"), "line 1"),
    "metrics of nothing": (with_metrics(""), "line 1"),
    "metric with three cells": (with_value("a,1,1"), "4 cells"),
    "metric with a fraction of a step": (with_value("a,1.5,1,1"), "integers"),
    "metric with a negative step": (with_value("a,-1,1,1"), "a step must be"),
    "metric with a huge step": (with_value(f"a,{2**31},1,1"), "a step must be"),
    "metric with a step of 99 digits": (with_value(f"a,{'9' * 99},1,1"), "integers"),
    "metric with a huge time": (with_value(f"a,1,{10**14},1"), "between 1970 and 3000"),
    "metric before 1970": (with_value(f"a,1,{-(10**13)},1"), "between 1970 and 3000"),
    "metric not a number": (with_value("a,1,1,nan"), "finite"),
    "metric infinite": (with_value("a,1,1,inf"), "finite"),
    "metric too large": (with_value("a,1,1,1e999"), "finite"),
    "metric a text": (with_value("a,1,1,<b>"), "finite"),
    "metric's name too long": (with_value(f"{LONG},1,1,1"), "250"),
    "metric's name leads out": (with_value("../a,1,1,1"), "letters"),
    "metric's name empty": (with_value(",1,1,1"), "letters"),
    "metric twice": (with_value("a,1,1,1\na,1,1,1"), "stands twice"),
    "metric in quotes without end": (with_value('"a,1,1,1'), "line"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_folder_is_one_line_and_leaves_nothing(
    name: str, crafted: Path, empty: Store
) -> None:
    damage, message = CRAFTED[name]
    damage(crafted)
    with pytest.raises(UserError, match=message) as caught:
        import_runs(empty, crafted.parent.parent, "crafted")
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    assert crafted.name in text
    every = [one.experiment_id for one in empty.client.search_experiments()]
    assert not empty.client.search_runs(every, run_view_type=ViewType.ALL)


@pytest.mark.parametrize(
    ("one", "other"),
    [("x.csv", "X.csv"), ("a/x.csv", "A/x.csv"), ("é.csv", "e\u0301.csv"), ("x.csv", "x.csv.xz")],
)
def test_names_that_are_one_file_on_some_systems_are_refused(
    crafted: Path, one: str, other: str
) -> None:
    with_file(one)(crafted)
    with_file(other)(crafted)
    with pytest.raises(UserError, match=r"are one file on some systems|no name|no file that"):
        read(crafted)


def test_a_changed_run_json_is_noticed_by_its_own_hash(crafted: Path) -> None:
    text = (crafted / "run.json").read_text()
    assert read(crafted).tags["mlproject.backend"] == "tensorflow 2"
    (crafted / "run.json").write_text(text.replace("tensorflow 2", "tensorflow 3"))
    with pytest.raises(UserError, match=r"run\.json is not what was written"):
        read(crafted)


def test_a_run_json_of_an_earlier_version_has_no_hash_of_its_own(crafted: Path) -> None:
    before = read(crafted)
    values = about(crafted)
    del values["sha256"]
    put(crafted, values)
    assert read(crafted) == before


def test_packed_files_take_no_more_memory_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = lzma.compress(b"a", preset=9)
    assert members.unpacked(packed, ".xz", "a", 10) == b"a"
    monkeypatch.setattr(members, "MOST_MEMORY", 1 << 20)
    with pytest.raises(ValueError, match=r"[Mm]emory"):
        members.unpacked(packed, ".xz", "a", 10)


def test_names_are_those_that_mlflow_takes() -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.utils.validation import _validate_metric_name

    for name in ("a", "a/b", "conv1/match relevant", "a.b-c:d", "ä", "a//b", "/a", "a/", "./a",
                 "..", "a/../b", "", "a\nb", "<a>", "a'b", "..a", "a..", "a\n"):  # fmt: skip
        try:
            _validate_metric_name(name)
            taken = bool(name)
        except MlflowException:
            taken = False
        assert not is_key(name) or taken, name
        assert is_key(name) or not taken or name.endswith("\n"), name
