"""Write and read a finished run as a folder of text files, each verified by its SHA-256.

The folder has ``run.json`` (name, times, tags, parameters, data sets, hashes of the files and of
itself), ``metrics.csv`` (every value of every metric) and the run's artifacts under their paths.
Large files are packed with xz; gzip is read too.
"""

import hashlib
import json
import lzma
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlproject.names import Artifact, Tag
from mlproject.store.exchange.checks import METRICS, RUN, VERSION, About, about_of
from mlproject.store.exchange.members import MEGABYTE, plain, stored
from mlproject.store.exchange.metrics_csv import format_values, parse_values
from mlproject.store.transfer import RecordedRun
from mlproject.system.errors import UserError

LIMIT = 110_000
KEPT = METRICS, Artifact.SPEC, Artifact.HISTORY  # left out after all others
MOST_JSON, MOST_UNPACKED = 4 * MEGABYTE, 64 * MEGABYTE
RUNS = "runs"
KEY = 16


def key_of(run: RecordedRun) -> str:
    """Return the name of a run's folder: the start of its spec's hash."""
    return run.tags[Tag.SPEC_SHA256][:KEY]


def write(folder: Path, run: RecordedRun) -> list[str]:
    """Write a run to `folder` atomically; an older run in it is replaced.

    Returns:
        The files that were left out to keep the run below `LIMIT` bytes, weights not counted: the
        smallest file that suffices, else the largest files; history and spec after all others.

    Raises:
        ValueError: `read` would refuse the run.
        UserError: the folder cannot be written.
    """
    files = _contents(run)
    metrics = files[METRICS]
    contents, missing = _packed(files)
    parse_values(metrics, about_of(contents[RUN]).started)
    new, old = _aside(folder, "partial"), _aside(folder, "old")
    try:
        recover(folder)
        shutil.rmtree(new, ignore_errors=True)
        for name, content in contents.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if folder.exists():
            os.rename(folder, old)
        os.rename(new, folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        with suppress(OSError):
            recover(folder)
    return [f"{folder.name}/{name} ({run.name})" for name in missing]


def recover(folder: Path) -> None:
    """Restore the older run if its replacement was cut off; otherwise remove it."""
    old = _aside(folder, "old")
    if not folder.exists() and old.exists():
        os.rename(old, folder)
    shutil.rmtree(old, ignore_errors=True)


def read(folder: Path) -> RecordedRun:
    """Read a folder that `write` wrote.

    Raises:
        UserError: a file is missing, changed or not allowed, a value has the wrong type or is out
            of range, or the hash of the spec differs.
    """
    try:
        if folder.is_symlink():
            raise ValueError("it is a link, which is not followed")
        content = plain(folder, RUN, MOST_JSON)
        about = about_of(content)
        if about.sha256 and about.sha256 != _own_sha256(json.loads(content)):
            raise ValueError(f"{RUN} is not what was written")
        if folder.name != about.tags[Tag.SPEC_SHA256][:KEY]:
            raise ValueError(f"its run has spec_sha256 {about.tags[Tag.SPEC_SHA256][:KEY]}")
        files, room = {}, MOST_UNPACKED
        for name, sha256 in about.files.items():
            files[name] = stored(folder, name, sha256, room)
            room -= len(files[name]) if name != Artifact.WEIGHTS else 0
        return _recorded(about, files)
    except (OSError, ValueError, MemoryError) as error:
        reason = " ".join(f"{error}".split()) or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            reason = f"{Path(error.filename or folder).name}: {error.strerror}"
        raise UserError(
            f"a run's folder must be as `export` wrote it: {' '.join(str(folder).split())} is "
            f"damaged ({reason}); copy it again from its source, or remove it"
        ) from error


def folders_of(root: Path) -> list[Path]:
    """Return the folders of the runs below ``root/runs``, or below ``root/*/runs``, by name.

    Raises:
        UserError: the folder does not exist or cannot be read.
    """
    try:
        places = [root / RUNS] if (root / RUNS).is_dir() else sorted(root.glob(f"*/{RUNS}"))
        paths = [path for place in places for path in sorted(place.iterdir())]
    except OSError as error:
        raise UserError(f"cannot read {root / RUNS}: {error.strerror or error}") from error
    if not places:
        raise UserError(
            "`--from` and `--reproduction` take a folder that `export` wrote: "
            f"{root} has no folder {RUNS}"
        )
    return [path for path in paths if path.is_dir() and not path.name.startswith(".")]


def read_all(root: Path) -> list[RecordedRun]:
    """Read all runs below `root`, see `folders_of`, ordered by start.

    Raises:
        UserError: the folder does not exist, or a run is damaged.
    """
    return sorted(
        (read(path) for path in folders_of(root)), key=lambda run: (run.started, key_of(run))
    )


def _aside(folder: Path, kind: str) -> Path:
    return folder.with_name(f".{folder.name}.{kind}")


def _recorded(about: About, files: dict[str, bytes]) -> RecordedRun:
    values = parse_values(files.pop(METRICS), about.started)
    inputs = [one.model_dump() for one in about.inputs]
    return RecordedRun(
        about.run_id, about.name, about.started, about.ended, about.tags, about.params, inputs,
        values, files,
    )  # fmt: skip


def _own_sha256(values: Mapping[str, Any]) -> str:
    """Return the hash of ``run.json`` without its own hash."""
    rest = {name: value for name, value in values.items() if name != "sha256"}
    return hashlib.sha256(_json(rest)).hexdigest()


def _contents(run: RecordedRun) -> dict[str, bytes]:
    artifacts = {name: run.files[name] for name in run.files if name not in (RUN, METRICS)}
    about: dict[str, Any] = {
        "version": VERSION,
        **{name: getattr(run, name) for name in ("run_id", "name", "started", "ended")},
        **{name: getattr(run, name) for name in ("tags", "params", "inputs")},
    }
    return {METRICS: format_values(run.metrics), **artifacts, RUN: _json(about)}


def _json(values: Mapping[str, Any]) -> bytes:
    text = json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _packed(contents: dict[str, bytes]) -> tuple[dict[str, bytes], list[str]]:
    """Return the stored files, with their hashes in ``run.json``, and the names left out.

    Raises:
        ValueError: a file that must not be left out is too large.
    """
    about = json.loads(contents.pop(RUN))
    weights = {name: contents.pop(name) for name in [Artifact.WEIGHTS] if name in contents}
    missing = [name for name, content in contents.items() if len(content) > MOST_UNPACKED // 4]
    stored = {name: content for name, content in contents.items() if name not in missing}
    if METRICS in missing:
        raise ValueError(f"{METRICS} is larger than {MOST_UNPACKED // 4:,} bytes")
    hashes = {
        name: hashlib.sha256(content).hexdigest() for name, content in {**stored, **weights}.items()
    }
    size_of_run = len(_json({**about, "files": hashes, "sha256": "0" * 64}))

    def size() -> int:
        return size_of_run + sum(len(content) for content in stored.values())

    for name in sorted(stored, key=lambda name: len(contents[name]), reverse=True):
        if size() <= LIMIT:
            break
        stored[f"{name}.xz"] = lzma.compress(stored.pop(name), preset=9 | lzma.PRESET_EXTREME)
    while (over := size() - LIMIT) > 0:
        droppable = [name for name in stored if name.removesuffix(".xz") not in KEPT]
        droppable = droppable or [name for name in stored if name.removesuffix(".xz") != METRICS]
        if not droppable:
            raise ValueError(f"{RUN} and {METRICS} would be larger than {LIMIT:,} bytes")
        enough = [name for name in droppable if len(stored[name]) >= over]
        few = min(enough, key=lambda name: len(stored[name]), default="")
        name = few or max(droppable, key=lambda name: len(stored[name]))
        del stored[name], hashes[name.removesuffix(".xz")]
        missing.append(name.removesuffix(".xz"))
    about |= {"files": hashes} | ({"left_out": sorted(missing)} if missing else {})
    about["sha256"] = _own_sha256(about)
    return {**stored, **weights, RUN: _json(about)}, missing


def partial_folders(root: Path) -> Iterator[Path]:
    """Yield the folders of runs whose replacement was cut off."""
    for path in (root / RUNS).glob(".*.old"):
        yield path.with_name(path.name[1 : -len(".old")])
