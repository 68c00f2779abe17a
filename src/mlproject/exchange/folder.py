"""A finished run as a folder: text that shows in a diff, every file under its SHA-256.

``run.json`` (name, times, tags, parameters, data sets, hashes of the files), ``metrics.csv`` (every
value of every metric) and the run's artifacts under their own paths; what would not fit otherwise
is packed (``.xz``; ``.gz`` is read too).
"""

import csv
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mlproject.architectures import recorded_spec
from mlproject.errors import UserError
from mlproject.tracking import Told, Value

LIMIT = 150_000
VERSION = 1
RUN, METRICS, RUNS = "run.json", "metrics.csv", "runs"
WEIGHTS = "weights/best.weights.h5"
KEY = 16
_PACKED = {".xz": lzma.decompress, ".gz": gzip.decompress}
_BROKEN = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
)


def key_of(told: Told) -> str:
    """Return the name of a run's folder: the start of its spec's hash."""
    return told.tags["mlproject.spec_sha256"][:KEY]


def write(folder: Path, told: Told) -> list[str]:
    """Write a run as `folder`, whole or not at all, in place of an older one.

    Returns:
        What was left out because the run would be larger than `LIMIT` bytes (weights aside): the
        smallest file that is enough, else the largest and so on.

    Raises:
        UserError: the folder cannot be written.
    """
    stored, missing = _packed(_contents(told))
    new = folder.with_name(f".{folder.name}.partial")
    old = folder.with_name(f".{folder.name}.old")
    try:
        for path in (new, old):
            shutil.rmtree(path, ignore_errors=True)
        for name, content in stored.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if folder.exists():
            os.rename(folder, old)
        os.rename(new, folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        for path in (new, old):
            shutil.rmtree(path, ignore_errors=True)
    return [f"{folder.name}/{name} ({told.name})" for name in missing]


def read(folder: Path) -> Told:
    """Read what `write` wrote.

    Raises:
        UserError: a file is missing or not what was written, or the spec has another hash.
    """
    try:
        about = json.loads((folder / RUN).read_text(encoding="utf-8"))
        if about["version"] != VERSION:
            raise UserError(
                f"a run must be of version {VERSION}: {folder / RUN} has {about['version']}; "
                "bring the project up to date"
            )
        files = {name: _file(folder, name, sha256) for name, sha256 in about["files"].items()}
        rows = csv.reader(io.StringIO(files.pop(METRICS).decode()))
        values = [Value(row[0], int(row[1]), int(row[2]), float(row[3])) for row in list(rows)[1:]]
        told = Told(
            str(about["run_id"]),
            str(about["name"]),
            int(about["started"]),
            int(about["ended"]),
            dict(about["tags"]),
            dict(about["params"]),
            list(about["inputs"]),
            values,
            files,
        )
        _check(told, folder)
    except UserError:
        raise
    except (*_BROKEN, AttributeError) as error:
        raise UserError(
            f"a run's folder must be as `export` wrote it: {folder} is damaged "
            f"({type(error).__name__}: {error}); take it anew from where it came, or remove it"
        ) from error
    return told


def read_all(root: Path) -> list[Told]:
    """Read all runs below ``root/runs``, in the order of their start.

    Raises:
        UserError: no such folder, or a run that is damaged.
    """
    if not (root / RUNS).is_dir():
        raise UserError(
            f"`--from` must be a folder that `export` wrote: {root} has no folder {RUNS}"
        )
    folders = [
        path
        for path in sorted((root / RUNS).iterdir())
        if path.is_dir() and not path.name.startswith(".")
    ]
    return sorted((read(path) for path in folders), key=lambda told: (told.started, key_of(told)))


def _check(told: Told, folder: Path) -> None:
    spec = recorded_spec(json.loads(told.tags["mlproject.spec"]))
    found = spec.spec_sha256(told.tags["mlproject.dataset_sha256"])
    if found != told.tags["mlproject.spec_sha256"] or not found.startswith(folder.name):
        raise UserError(
            f"a run must be what its hash says: the spec in {folder} has spec_sha256 "
            f"{found[:KEY]}, not {told.tags['mlproject.spec_sha256'][:KEY]}; "
            "take it anew from where it came"
        )


def _file(folder: Path, name: str, sha256: str) -> bytes:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"the path {name!r} leads out of it")
    for suffix, unpack in _PACKED.items():
        if (packed := folder / f"{name}{suffix}").exists():
            content = unpack(packed.read_bytes())
            break
    else:
        content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{name} is not what was written")
    return content


def _contents(told: Told) -> dict[str, bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Value._fields)
    writer.writerows(
        (one.metric, one.step, one.time, repr(float(one.value))) for one in told.metrics
    )
    artifacts = {name: told.files[name] for name in told.files if name not in (RUN, METRICS)}
    about: dict[str, Any] = {
        "version": VERSION,
        **{name: getattr(told, name) for name in ("run_id", "name", "started", "ended")},
        **{name: getattr(told, name) for name in ("tags", "params", "inputs")},
    }
    return {METRICS: text.getvalue().encode(), **artifacts, RUN: _json(about)}


def _json(values: Mapping[str, Any]) -> bytes:
    text = json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _packed(contents: dict[str, bytes]) -> tuple[dict[str, bytes], list[str]]:
    """Return the files as they are stored, ``run.json`` with their hashes, and what is left out."""
    about = json.loads(contents.pop(RUN))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    weights = {name: contents.pop(name) for name in [WEIGHTS] if name in contents}
    stored, missing = dict(contents), []
    run = _json({**about, "files": hashes})

    def size() -> int:
        return len(run) + sum(len(content) for content in stored.values())

    for name in sorted(contents, key=lambda name: len(contents[name]), reverse=True):
        if size() <= LIMIT:
            break
        stored[f"{name}.xz"] = lzma.compress(stored.pop(name), preset=9 | lzma.PRESET_EXTREME)
    while (over := size() - LIMIT) > 0:
        droppable = [name for name in stored if name.removesuffix(".xz") != METRICS]
        enough = [name for name in droppable if len(stored[name]) >= over]
        few = min(enough, key=lambda name: len(stored[name]), default="")
        name = few or max(droppable, key=lambda name: len(stored[name]))
        del stored[name], hashes[name.removesuffix(".xz")]
        missing.append(name.removesuffix(".xz"))
    about |= {"files": hashes} | ({"left_out": sorted(missing)} if missing else {})
    return {**stored, **weights, RUN: _json(about)}, missing
