"""A run's record on the disk: cut off, damaged, of an earlier version, and read all the same."""

import json
from pathlib import Path

import pytest

from mlproject.store.entries import read_line, write_line
from mlproject.store.journal import Entry, Journal, journals
from mlproject.system.processes import this_process


def _metrics(step: int) -> dict[str, object]:
    return {"values": {"loss": 1 / step}, "step": step, "time": 7}


def _journal(folder: Path, lines: int = 3) -> Journal:
    journal = Journal(folder)
    for step in range(1, lines + 1):
        journal.append("metrics", **_metrics(step))
    return journal


def _steps(entries: list[Entry]) -> list[int]:
    return [entry.content["step"] for entry in entries]


def test_a_line_cut_off_by_a_crash_is_not_glued_to_the_next(tmp_path: Path) -> None:
    _journal(tmp_path / "run", 2)
    file = tmp_path / "run" / "journal.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    journal = Journal(tmp_path / "run")
    assert _steps(journal.entries()) == [1]
    journal.append("metrics", **_metrics(3))
    assert _steps(journal.entries()) == [1, 3]
    assert journal.damaged() == [2]


def test_a_line_that_lacks_only_its_end_counts(tmp_path: Path) -> None:
    journal = _journal(tmp_path / "run", 2)
    file = tmp_path / "run" / "journal.jsonl"
    file.write_bytes(file.read_bytes()[:-1])
    journal = Journal(tmp_path / "run")
    journal.append("metrics", **_metrics(3))
    assert _steps(journal.entries()) == [1, 2, 3]


def test_no_flipped_bit_of_a_line_is_believed() -> None:
    line = write_line("metrics", {"values": {"loss": 0.5}, "step": 1, "time": 2}).encode()
    assert read_line(line.decode()) == Entry(
        "metrics", {"values": {"loss": 0.5}, "step": 1, "time": 2}
    )
    for place in range(len(line)):
        for bit in range(8):
            flipped = bytearray(line)
            flipped[place] ^= 1 << bit
            assert read_line(flipped.decode("utf-8", "replace")) is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        "3",
        '"kind"',
        "{}",
        '{"kind": []}',
        '{"kind": "unheard_of"}',
        '{"kind": "metrics", "values": {"a": NaN}, "step": 1, "time": 2}',
        '{"kind": "metrics", "values": {"a": 1e999}, "step": 1, "time": 2}',
        '{"kind": "metrics", "values": [1], "step": 1, "time": 2}',
        '{"kind": "metrics", "values": {"a": 1.0}, "step": "1", "time": 2}',
        '{"kind": "artifact", "path": "../../elsewhere"}',
        '{"kind": "artifact", "path": "/etc/passwd"}',
        '{"kind": "status", "status": "DONE", "time": 2}',
        '{"kind": "metrics", "step": 1' + "0" * 5000 + "}",
        "[" * 100_000,
    ],
)
def test_lines_of_any_other_form_are_left_out(tmp_path: Path, line: str) -> None:
    journal = _journal(tmp_path / "run", 1)
    with (tmp_path / "run" / "journal.jsonl").open("a") as file:
        file.write(line + "\n")
    journal.append("metrics", **_metrics(2))
    assert _steps(Journal(tmp_path / "run").entries()) == [1, 2]
    assert Journal(tmp_path / "run").damaged() == [2]


def test_lines_and_counts_of_earlier_versions_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    lines = [json.dumps({"kind": "metrics", **_metrics(step)}) + "\n" for step in (1, 2, 3)]
    (folder / "journal.jsonl").write_text("".join(lines))
    (folder / "delivered").write_text("1")
    journal = Journal(folder)
    assert _steps(journal.pending()) == [2, 3]
    journal.append("metrics", **_metrics(4))
    journal.mark_delivered(journal.entries()[2])
    assert _steps(Journal(folder).pending()) == [4]


@pytest.mark.parametrize(
    "content", [b"", b" ", b"x", b"\xff\xfe", b"-1", b"99", b"9" * 5000, b"10 bytes 0", b"1 2 3"]
)
def test_where_it_is_unknown_what_arrived_all_is_sent_again(tmp_path: Path, content: bytes) -> None:
    journal = _journal(tmp_path / "run")
    journal.mark_delivered(journal.entries()[1])
    assert _steps(journal.pending()) == [3]
    (tmp_path / "run" / "delivered").write_bytes(content)
    assert _steps(Journal(tmp_path / "run").pending()) == [1, 2, 3]


def test_of_two_that_deliver_at_once_neither_marks_what_the_other_has_not_sent(
    tmp_path: Path,
) -> None:
    journal = _journal(tmp_path / "run", 3)
    one, other = (Journal(journal.folder) for _ in range(2))
    first, second = one.pending()[:2]
    other.mark_delivered(second)
    one.mark_delivered(first)
    assert _steps(one.pending()) == _steps(other.pending()) == [3]
    other.mark_delivered(other.pending()[-1])
    one.mark_delivered(second)
    assert one.pending() == []


def test_damage_to_what_has_arrived_holds_nothing_back_that_has_not(tmp_path: Path) -> None:
    journal = _journal(tmp_path / "run", 5)
    journal.mark_delivered(journal.entries()[2])
    file = tmp_path / "run" / "journal.jsonl"
    content = bytearray(file.read_bytes())
    content[content.index(b"\n")] ^= 4  # makes one line of the first two
    file.write_bytes(content)
    assert _steps(Journal(tmp_path / "run").pending()) == [4, 5]


def test_what_was_written_is_seen_by_a_journal_that_was_read_before(tmp_path: Path) -> None:
    reader = _journal(tmp_path / "run", 1)
    assert _steps(reader.entries()) == [1]
    Journal(tmp_path / "run").append("metrics", **_metrics(2))
    assert _steps(reader.entries()) == [1, 2]


@pytest.mark.parametrize("owner", ["", "nobody", "a/b/c", "h/99999999999999999999/1", "h/-1/nan"])
def test_a_damaged_owner_stops_nobody(tmp_path: Path, owner: str) -> None:
    journal = _journal(tmp_path / "run")
    journal.own(owner)
    assert isinstance(journal.is_live(), bool)


def test_a_run_lives_until_its_end_is_written(tmp_path: Path) -> None:
    journal = _journal(tmp_path / "run")
    journal.own(str(this_process()))
    assert journal.is_live()
    journal.append("status", status="KILLED", time=1)
    assert not journal.is_live()


def test_a_record_that_is_removed_leaves_only_what_was_refused(tmp_path: Path) -> None:
    journal = _journal(tmp_path / "run")
    (tmp_path / "run" / "reused" / "deep").mkdir(parents=True)
    journal.set_aside(journal.entries()[0], "too long")
    journal.remove()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["refused.jsonl"]
    assert list(journals(tmp_path)) == []


def test_to_look_at_a_journal_writes_nothing(tmp_path: Path) -> None:
    assert Journal(tmp_path / "none").entries() == []
    assert not (tmp_path / "none").exists()
