"""A run's record on the local disk: written first, delivered to the tracking store afterwards.

A folder a run: ``journal.jsonl`` (one entry a line), ``artifacts/`` and ``delivered`` (the number
of entries that the store has). Entries carry their own times: delivering one twice changes nothing.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mlproject.process import parse_process

JOURNAL, DELIVERED, ARTIFACTS, OWNER = "journal.jsonl", "delivered", "artifacts", "owner"
SILENT_SECONDS = 600.0


class Entry(NamedTuple):
    """One thing that a run has to tell: its kind (params, metrics, ...) and its content."""

    kind: str
    content: dict[str, Any]


class Journal:
    """The record of one run in `folder`, which is made if it does not exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.artifacts = folder / ARTIFACTS
        self.artifacts.mkdir(parents=True, exist_ok=True)
        self._delivered = folder / DELIVERED

    @property
    def run_id(self) -> str:
        """The run's id in the tracking store: the folder's name."""
        return self.folder.name

    def append(self, kind: str, **content: Any) -> None:
        """Write one entry and push it to the disk."""
        line = json.dumps({"kind": kind, **content}, allow_nan=False)
        with (self.folder / JOURNAL).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> list[Entry]:
        """Return all entries; a last line cut off by a crash is left out."""
        path = self.folder / JOURNAL
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        records = (json.loads(line) for line in lines)
        return [Entry(record.pop("kind"), record) for record in records]

    def pending(self) -> list[Entry]:
        """Return the entries that the store does not have yet."""
        return self.entries()[self._count() :]

    def mark_delivered(self, entries: int) -> None:
        """Note that the store has the next `entries` pending entries."""
        count = self._count() + entries
        temporary = self._delivered.with_suffix(".tmp")
        temporary.write_text(str(count))
        temporary.replace(self._delivered)

    @property
    def status(self) -> str | None:
        """How the run has ended, None if it has not."""
        ends = [entry.content["status"] for entry in self.entries() if entry.kind == "status"]
        return ends[-1] if ends else None

    def own(self, process: str) -> None:
        """Note the process that writes the record."""
        (self.folder / OWNER).write_text(process)

    def is_live(self) -> bool:
        """Return whether somebody still writes the record.

        On this machine the owner must run; elsewhere the record was touched within ten minutes.
        """
        owner = self.folder / OWNER
        if self.status is not None or not owner.exists():
            return False
        process = parse_process(owner.read_text())
        if process and process.here:
            return not process.gone
        return time.time() - (self.folder / JOURNAL).stat().st_mtime < SILENT_SECONDS

    def remove(self) -> None:
        """Remove the record, once the store has everything; what is cut off can be done again."""
        shutil.rmtree(self.artifacts, ignore_errors=True)
        last = (JOURNAL, DELIVERED)
        for path in [one for one in self.folder.iterdir() if one.name not in last]:
            path.unlink()
        shutil.rmtree(self.folder)

    def _count(self) -> int:
        return int(self._delivered.read_text()) if self._delivered.exists() else 0


def journals(root: Path) -> Iterator[Journal]:
    """Yield the journals below `root`, in the order of their run ids."""
    for path in sorted(root.glob(f"*/{JOURNAL}")):
        yield Journal(path.parent)
