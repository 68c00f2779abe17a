"""A run's journal on the local disk: written first, delivered to the tracking store afterwards.

Each run has a folder with ``journal.jsonl`` (one entry a line, each with a checksum),
``artifacts/``, ``delivered`` (how much the store has) and ``owner`` (the process that writes).
Entries carry their times, so that a second delivery of an entry changes nothing. Lines that were
cut off or damaged are skipped.
"""

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from mlproject.store.entries import Entry, digest, read_line, write_line
from mlproject.system.processes import is_alive, parse_process

JOURNAL, DELIVERED, ARTIFACTS, OWNER = "journal.jsonl", "delivered", "artifacts", "owner"
REFUSED, ORIGIN = "refused.jsonl", "origin.json"


class _Line(NamedTuple):
    """A line of the journal: where it ends (bytes), its entry (None: cut off or damaged)."""

    end: int
    entry: Entry | None


class Journal:
    """The journal of one run in `folder`, which is made when the first entry is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.artifacts = folder / ARTIFACTS
        self._delivered = folder / DELIVERED
        self._lines: list[_Line] = []
        self._lock = threading.RLock()

    @property
    def run_id(self) -> str:
        """The run's id in the tracking store: the folder's name."""
        return self.folder.name

    def append(self, kind: str, **content: Any) -> None:
        """Write one entry and sync it to the disk; a line that was cut off is closed first."""
        self.extend([Entry(kind, content)])

    def extend(self, entries: Iterable[Entry]) -> None:
        """Write entries and sync them to the disk together."""
        self._write(
            self.folder / JOURNAL, [write_line(entry.kind, entry.content) for entry in entries]
        )

    def set_aside(self, entry: Entry, reason: str) -> None:
        """Keep an entry that the store refused, with the reason, in ``refused.jsonl``."""
        content = {**entry.content, "why": reason}
        self._write(self.folder / REFUSED, [write_line(entry.kind, content)])

    def entries(self) -> list[Entry]:
        """Return all entries; lines that were cut off or damaged are skipped."""
        return [line.entry for line in self._read_lines() if line.entry is not None]

    def pending(self) -> list[Entry]:
        """Return the entries that the store does not have yet."""
        return [line.entry for line in self._pending_lines() if line.entry is not None]

    def damaged(self) -> list[int]:
        """Return the numbers, from 1, of lines that were cut off or damaged."""
        return [number for number, line in enumerate(self._read_lines(), 1) if line.entry is None]

    def mark_delivered(self, last: Entry) -> None:
        """Record that the store has all entries up to `last`, an entry of this journal.

        If another process has delivered more in the meantime, its mark stays.
        """
        lines = self._pending_lines()
        if lines and last.end >= lines[0].end:
            self._set_delivered(last.end)

    def mark_undelivered(self) -> None:
        """Record that the store has no entry."""
        self._set_delivered(0)

    @property
    def status(self) -> str | None:
        """The status with which the run ended, None if it has not ended."""
        ends = [entry.content["status"] for entry in self.entries() if entry.kind == "status"]
        return ends[-1] if ends else None

    def own(self, process: str) -> None:
        """Record the process that writes the journal."""
        self.artifacts.mkdir(parents=True, exist_ok=True)
        (self.folder / OWNER).write_text(process, "utf-8")

    def touch(self) -> None:
        """Give a sign of life to other machines that see the folder."""
        with suppress(OSError):
            os.utime(self.folder / OWNER)

    def disown(self) -> None:
        """Record that no process writes the journal; this works on a full disk too."""
        with suppress(OSError):
            (self.folder / OWNER).unlink()

    @property
    def owner(self) -> str:
        """The process that writes the journal or wrote it last, "" if unknown."""
        try:
            return (self.folder / OWNER).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def set_origin(self, origin: Mapping[str, Any]) -> None:
        """Record the store where the run was made, and the facts that `Store.recreate` needs."""
        (self.folder / ORIGIN).write_text(json.dumps(dict(origin)))

    @property
    def origin(self) -> dict[str, Any]:
        """The values of `set_origin`, {} if unknown."""
        try:
            found = json.loads((self.folder / ORIGIN).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def rename(self, run_id: str) -> "Journal":
        """Move the journal to another run, in which no entry is delivered yet."""
        self.mark_undelivered()
        return Journal(self.folder.rename(self.folder.with_name(run_id)))

    def is_live(self) -> bool:
        """Return whether a process still writes the journal.

        An owner on this machine must be running. An owner elsewhere must have written an entry, or
        called `touch`, within ten minutes.
        """
        if self.status is not None or not (self.folder / OWNER).exists():
            return False
        last_sign = 0.0
        for name in (JOURNAL, OWNER):
            with suppress(OSError):
                last_sign = max(last_sign, (self.folder / name).stat().st_mtime)
        return is_alive(parse_process(self.owner), last_sign)

    def refused_files(self) -> set[Path]:
        """Return the files that the store refused: this folder has the only copy."""
        found = set()
        with suppress(OSError):
            for line in (self.folder / REFUSED).read_text("utf-8", "replace").splitlines():
                with suppress(ValueError, TypeError, KeyError, RecursionError):
                    entry = json.loads(line)
                    artifact = entry["kind"] == "artifact"
                    found.add((self.artifacts if artifact else self.folder) / entry["path"])
        return found

    def remove(self) -> None:
        """Remove the journal after its delivery; a removal that was cut off can be repeated.

        Entries and files that the store refused stay.
        """
        last = {self.folder / name for name in (JOURNAL, DELIVERED, REFUSED)}
        kept = self.refused_files()
        for path in sorted(self.folder.rglob("*"), reverse=True):  # files before their folder
            if path.is_dir() and not path.is_symlink():
                with suppress(OSError):  # a file in it stays
                    path.rmdir()
            elif path not in last and path not in kept:
                path.unlink(missing_ok=True)
        for name in (DELIVERED, JOURNAL):
            (self.folder / name).unlink(missing_ok=True)
        if not (self.folder / REFUSED).exists():
            self.folder.rmdir()

    def _write(self, path: Path, lines: list[str]) -> None:
        self.artifacts.mkdir(parents=True, exist_ok=True)
        with self._lock, path.open("a+b") as file:
            end = file.seek(0, os.SEEK_END)
            closed = True
            if end:
                file.seek(end - 1)
                closed = file.read(1) == b"\n"
            content = "".join(f"{line}\n" for line in lines).encode()
            file.write((b"" if closed else b"\n") + content)
            file.flush()
            os.fsync(file.fileno())

    def _read_lines(self) -> list[_Line]:
        """Return all complete lines; a call reads only the lines added since the last call."""
        with self._lock:
            try:
                with (self.folder / JOURNAL).open("rb") as file:
                    start = self._lines[-1].end if self._lines else 0
                    if file.seek(0, os.SEEK_END) < start:
                        self._lines, start = [], 0
                    file.seek(start)
                    content = file.read()
            except FileNotFoundError:
                return []
            for text in content.split(b"\n")[:-1]:
                start += len(text) + 1
                entry = read_line(text.decode("utf-8", "replace"))
                self._lines.append(_Line(start, entry and entry._replace(end=start)))
            return list(self._lines)

    def _pending_lines(self) -> list[_Line]:
        """Return the lines that the store does not have.

        If ``delivered`` is empty or damaged, all lines are returned: sending them again is safe.
        """
        lines = self._read_lines()
        try:
            words = self._delivered.read_text(encoding="utf-8").split()
            number = int(words[0])
        except (OSError, ValueError, IndexError):
            return lines
        if len(words) == 1:  # as earlier versions wrote it: a number of lines
            return lines[number:] if 0 <= number <= len(lines) else lines
        right = words[1:] == ["bytes", digest(words[0])] and lines and number <= lines[-1].end
        return [line for line in lines if line.end > number] if right else lines

    def _set_delivered(self, end: int) -> None:
        temporary = self._delivered.with_suffix(".tmp")
        temporary.write_text(f"{end} bytes {digest(str(end))}")
        temporary.replace(self._delivered)


def journals(root: Path) -> Iterator[Journal]:
    """Yield the journals below `root`, in the order of their run ids."""
    for path in sorted(root.glob(f"*/{JOURNAL}")):
        yield Journal(path.parent)
