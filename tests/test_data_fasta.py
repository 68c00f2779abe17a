"""Sequences of the user become a data set in which no sequence is in two splits."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from mlproject.commands.cli import main
from mlproject.data import read, write
from mlproject.data.dataset import make_dataset
from mlproject.data.labelled import collect
from mlproject.data.listing import alike, format_listing, listing
from mlproject.data.relevant import relevant_motifs, unmatchable
from mlproject.data.repeats import repeats
from mlproject.data.sources import parse_files
from mlproject.data.split import Split
from mlproject.sequence import decode, reverse_complement
from mlproject.system.errors import UserError

DATA = Path(__file__).parent / "data"
REAL = {name: [DATA / f"encode_h1_{name}.seq.gz"] for name in ("SRF", "USF1")}
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def other_strand(sequence: str) -> str:
    return sequence.translate(COMPLEMENT)[::-1]


def random_sequences(count: int, length: int = 20, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(row) for row in rng.choice([*"ACGT"], (count, length))]


def write_fasta(path: Path, sequences: list[str]) -> Path:
    path.write_text("".join(f">s{n}\n{text}\n" for n, text in enumerate(sequences)))
    return path


def exit_code(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code if isinstance(caught.value.code, int) else 1


def test_real_peaks_and_their_controls_become_a_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = ",".join(f"{name}={paths[0]}" for name, paths in REAL.items())
    main(["dataset", "fasta", "--files", files, "--out", "new/real.h5"])
    printed = capsys.readouterr()
    found = read(tmp_path / "new" / "real.h5")
    assert found.classes == ("SRF", "USF1")
    assert found.relevant == {"SRF": ("MA0083",), "USF1": ("MA0093",)}
    counts = [len(split.codes) for split in found.splits.values()]
    assert (sum(counts), counts[1:]) == (300, [30, 60])
    labels = np.concatenate([split.labels for split in found.splits.values()])
    assert labels.sum(axis=0).tolist() == [100, 100]
    assert (labels.sum(axis=1) == 0).sum() == 100
    assert "class\trelevant\ttrain\tvalid\ttest\tfiles" in printed.out
    assert f"sha256 {found.sha256}" in printed.out
    main(["dataset", "show", "new/real.h5"])
    assert capsys.readouterr().out == printed.out


def test_equal_sequences_and_reverse_complements_are_one_with_all_labels(tmp_path: Path) -> None:
    plain = random_sequences(30)
    mixed = [*plain[:5], *map(other_strand, plain[5:10]), *random_sequences(10, seed=1)]
    palindrome = "ACGTACGTACGTACGTACGT"
    one = write_fasta(tmp_path / "one.fa", [*plain, plain[0].lower(), palindrome])
    two = write_fasta(tmp_path / "two.fa", [*mixed, palindrome])
    pool = collect({"one": [one], "two": [two]}, [], None, "exact", None)
    assert (len(pool.sequences), pool.merged, pool.other_strand) == (41, 12, 5)
    assert pool.labels.sum(axis=0).tolist() == [31, 21]
    assert (pool.labels.sum(axis=1) == 2).sum() == 11
    canonical = {min(text, other_strand(text)) for text in pool.sequences}
    assert len(canonical) == len(pool.sequences)


def test_no_sequence_of_the_file_is_in_two_splits_on_either_strand(tmp_path: Path) -> None:
    plain = random_sequences(40, 6)
    path = write_fasta(tmp_path / "a.fa", [*plain, *map(other_strand, plain), *plain])
    other = write_fasta(tmp_path / "b.fa", random_sequences(40, 6, 7))
    main(["dataset", "fasta", "--files", f"a={path},b={other}", "--out", str(tmp_path / "c.h5")])
    splits = [
        {min(text, other_strand(text)) for text in decode(split.codes[:])}
        for split in read(tmp_path / "c.h5").splits.values()
    ]
    assert not splits[0] & splits[1] | splits[0] & splits[2] | splits[1] & splits[2]
    assert sum(map(len, splits)) == len(set().union(*splits))


def test_sequences_that_differ_only_in_case_or_in_ambiguous_letters_are_one(tmp_path: Path) -> None:
    plain = [f"{text}N{text[:5]}" for text in random_sequences(30)]
    other = [text.replace("N", "RYSWKMBDHV"[number % 10]) for number, text in enumerate(plain)]
    reverse = [other_strand(text.replace("N", "B")).lower() for text in plain[:10]]
    path = write_fasta(tmp_path / "a.fa", [*plain, *other, *reverse])
    pool = collect({"a": [path]}, [], None, "exact", None)
    assert pool.sequences == plain
    assert (pool.merged, pool.other_strand) == (40, 10)
    controls = write_fasta(tmp_path / "n.fa", random_sequences(30, 26, 5))
    main(["dataset", "fasta", "--files", f"a={path}", "--negatives", str(controls),
          "--out", str(tmp_path / "a.h5")])  # fmt: skip
    splits = [set(decode(split.codes[:])) for split in read(tmp_path / "a.h5").splits.values()]
    assert sum(map(len, splits)) == len(set().union(*splits)) == 60


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_and_sequences_are_read_whatever_their_marks_and_line_ends(
    tmp_path: Path, encoding: str, end: str
) -> None:
    own = random_sequences(4)
    text = "".join(f">s{n}{end}{one}{end}" for n, one in enumerate(own))
    (tmp_path / "a.fa").write_bytes(text.encode(encoding))
    (tmp_path / "files.tsv").write_bytes(f"SRF\ta.fa{end}".encode(encoding))
    files = parse_files(str(tmp_path / "files.tsv"))
    assert files == {"SRF": [tmp_path / "a.fa"]}
    assert collect(files, [], None, "exact", None).sequences == own


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("K562 CTCF", "K562_CTCF"), "'K562 CTCF' and 'K562_CTCF', both K562_CTCF; rename one"),
        (("x" * 151, "b"), "one line of at most 150 characters: got 151"),
        (("\u65e5", "\u672c"), "must differ in A-Za-z0-9"),
        (("K\u00e4se", "Ka\u0308se"), "more than the form of their accents: got 'K\u00e4se' and"),
    ],
)
def test_class_names_that_could_not_be_recorded_are_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], classes: tuple[str, str], message: str
) -> None:
    path = write_fasta(tmp_path / "a.fa", random_sequences(20))
    files = ",".join(f"{name}={path}" for name in classes)
    assert exit_code(["dataset", "fasta", "--files", files, "--out", str(tmp_path / "a.h5")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [one.name for one in tmp_path.iterdir()] == ["a.fa"]


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("drop", ["ACGTAC"]),
        ("centre", ["ACGTAC", "NACGTN", "CCAAAA", "GTTTTG", "NNANNN"]),
    ],
)
def test_lengths_are_made_equal_by_the_named_rule(
    tmp_path: Path, fit: str, expected: list[str]
) -> None:
    sequences = ["ACGTAC", "ACGT", "CCCCAAAACCC", "GGTTTTGG", "A"]
    path = write_fasta(tmp_path / "a.fa", sequences)
    pool = collect({"a": [path]}, [], 6, fit, None)  # type: ignore[arg-type]
    assert pool.sequences == expected
    assert pool.dropped == len(sequences) - len(expected)


def test_most_takes_the_first_of_each_file_in_turn_and_all_controls(tmp_path: Path) -> None:
    first, second = random_sequences(10), random_sequences(10, seed=3)
    files = {"a": [write_fasta(tmp_path / "1", first), write_fasta(tmp_path / "2", second)]}
    controls = write_fasta(tmp_path / "3", random_sequences(9, seed=4))
    pool = collect(files, [controls], None, "exact", 4)
    assert pool.sequences[:4] == [first[0], second[0], first[1], second[1]]
    assert (len(pool.sequences), int(pool.labels.sum())) == (13, 4)


def test_a_seed_gives_the_same_file_and_another_one_another_split(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "a.fa", random_sequences(40))
    for name, seed in (("1", "0"), ("2", "0"), ("3", "1")):
        out = str(tmp_path / name)
        main(["dataset", "fasta", "--files", f"a={path}", "--out", out, "--seed", seed])
    data = [(tmp_path / name).read_bytes() for name in "123"]
    assert data[0] == data[1] != data[2]


def test_letters_of_either_case_n_and_iupac_are_dna_over_several_lines(tmp_path: Path) -> None:
    text = ">x\nacgt\nNRYS\n\n>y comment\nAC\nGTAC\nGT\n"
    (tmp_path / "a.fa.gz").write_bytes(gzip.compress(text.encode()))
    pool = collect({"a": [tmp_path / "a.fa.gz"]}, [], None, "exact", None)
    assert pool.sequences == ["ACGTNNNN", "ACGTACGT"]


HEADER = "FoldID\tEventID\tseq\tBound\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">a\nACGU\n", r"line 2: must have the letters .* got 'U' at position 4; this is RNA"),
        (">a\nACGT\n>b\nMKLE\n", r"line 4: .* got 'L' at position 3; is it DNA\?"),
        (">a\nACGT\n>b\nACGTA\n", r"line 3: sequences must be equally long, 4 nt: got 5 nt"),
        (">a\nACGT\n>b\n>c\nACGT\n", "line 3: the sequence is empty"),
        (">a\n", "line 1: the sequence is empty"),
        ("ACGT\n", "line 1: a FASTA file starts with '>'"),
        ("", "holds no sequence"),
        (HEADER, "holds no sequence"),
        (HEADER + "A\tx\tACGT\n", "line 2: must have 4 columns, as the header: got 3"),
        (HEADER + "A\tx\tACGT\t2\n", "line 2: Bound must be 0 or 1: got '2'"),
        (HEADER + "A\tx\tACXT\t1\n", "line 2: must have the letters"),
        (HEADER + "A\tx\tACGT\t0\n", "class a has no sequence"),
    ],
)
def test_a_bad_file_gets_one_line_with_its_name_and_line_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    path = tmp_path / "bad.fa"
    path.write_text(text)
    out = tmp_path / "out.h5"
    assert exit_code(["dataset", "fasta", "--files", f"a={path}", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "bad.fa" in error
    with pytest.raises(UserError, match=message):
        collect({"a": [path]}, [], None, "exact", None)
    assert [one.name for one in tmp_path.iterdir()] == ["bad.fa"]


def test_a_damaged_gzip_file_is_told_with_its_line(tmp_path: Path) -> None:
    whole = gzip.compress("".join(f">{n}\nACGTACGTTTGACA{n}\n" for n in range(99)).encode())
    (tmp_path / "cut.fa.gz").write_bytes(whole[:-40])
    with pytest.raises(UserError, match=r"cut.fa.gz, line \d+: "):
        collect({"a": [tmp_path / "cut.fa.gz"]}, [], None, "exact", None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--files", "a"], "cannot read a: no such file"),
        (["--files", "a=missing.fa"], "cannot read missing.fa: no such file"),
        (["--files", "=x"], "`files` must be CLASS=FILE"),
        (["--valid", "0.5", "--test", "0.5"], "together below 1"),
        (["--relevant", "b=MA0083"], "of the classes a"),
        (["--relevant", "a=MA9999"], "no motif 'MA9999' in JASPAR 2016"),
        (["--relevant", "a=SRFF"], "did you mean SRF"),
        (["--release", "JASPAR1999"], "unknown JASPAR release"),
        (["--fit", "best"], "'best' is not one of"),
    ],
)
def test_a_bad_option_gets_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_fasta(tmp_path / "a.fa", random_sequences(20))
    given = [] if "--files" in arguments else ["--files", "a=a.fa"]
    assert exit_code(["dataset", "fasta", "--out", "x.h5", *given, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [one.name for one in tmp_path.iterdir()] == ["a.fa"]


def test_files_of_a_table_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "one.fa").touch()
    (tmp_path / "two,=.fa").touch()
    table = tmp_path / "files.tsv"
    table.write_text("# class\tfile\nSRF\tone.fa\nSRF\ttwo,=.fa\n\nYY1\tone.fa\n")
    one, two = tmp_path / "one.fa", tmp_path / "two,=.fa"
    assert parse_files(str(table)) == {"SRF": [one, two], "YY1": [one]}
    table.write_text("SRF one.fa\n")
    with pytest.raises(UserError, match="line 1: must be a class, a tab, a path"):
        parse_files(str(table))


def test_motifs_are_found_by_name_in_any_species_by_id_or_not_at_all() -> None:
    assert relevant_motifs(["gabpa", "SRF", "nothing"]) == {
        "gabpa": ("MA0062",),
        "SRF": ("MA0083",),
    }
    wanted = "SRF=,nothing=MA0466.2+MA0151+yy1"
    assert relevant_motifs(["SRF", "nothing"], wanted) == {
        "nothing": ("MA0466.2", "MA0151", "MA0095")
    }
    assert relevant_motifs(["SRF"], "none") == {}
    newer = relevant_motifs(["ZNF143", "SRF"], "auto", "JASPAR2022")
    assert newer["SRF"] == ("MA0083",)
    assert unmatchable({"a": ("MA0083", "MA0083.3", "MA0083.1", "MA1999")}) == [
        "MA0083.1",
        "MA1999",
    ]


def test_a_data_set_is_listed_class_by_class(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "a.fa", random_sequences(10))
    other = write_fasta(tmp_path / "n.fa", random_sequences(10, seed=2))
    out = str(tmp_path / "a.h5")
    files, none = f"SRF={path}", str(other)
    main(["dataset", "fasta", "--files", files, "--negatives", none, "--out", out])
    found = listing(read(tmp_path / "a.h5"))
    lines = [line.split("\t") for line in format_listing(found).splitlines()]
    assert lines[0] == ["class", "relevant", "train", "valid", "test", "files"]
    assert lines[1][:2] == ["SRF", "MA0083"]
    assert lines[1][-1] == "a.fa"
    assert sum(map(int, lines[1][2:5])) == sum(map(int, lines[2][2:5])) == 10
    assert lines[3] == ["(sequences)", "-", "14", "2", "4", "20 nt"]


def test_shuffled_negatives_keep_dinucleotides_and_stay_in_the_split_of_their_original(
    tmp_path: Path,
) -> None:
    path = write_fasta(tmp_path / "a.fa", random_sequences(60, 30))
    out = tmp_path / "a.h5"
    main(["dataset", "fasta", "--files", f"a={path}", "--negatives", "shuffle", "--out", str(out)])
    found = read(out)
    assert [len(split.codes) for split in found.splits.values()] == [84, 12, 24]

    def pairs(text: str) -> tuple[str, ...]:
        return tuple(sorted(text[place : place + 2] for place in range(len(text) - 1)))

    for split in found.splits.values():
        texts, labels = decode(split.codes[:]), np.asarray(split.labels)[:, 0]
        bound = [text for text, label in zip(texts, labels, strict=True) if label]
        other = [text for text, label in zip(texts, labels, strict=True) if not label]
        assert sorted(map(pairs, bound)) == sorted(map(pairs, other))
        assert set(bound).isdisjoint(other)


def test_sequences_of_the_test_files_make_the_test_split_and_are_in_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = random_sequences(50)
    held_out = [*random_sequences(10, seed=5), plain[3], other_strand(plain[4])]
    files = [write_fasta(tmp_path / f"{name}.fa", texts) for name, texts in (
        ("a", plain), ("b", random_sequences(50, seed=9)), ("t", held_out))]  # fmt: skip
    out = tmp_path / "a.h5"
    main(["dataset", "fasta", "--files", f"a={files[0]},b={files[1]}",
          "--test-files", f"b={files[2]}", "--out", str(out)])  # fmt: skip
    found = read(out)
    assert set(decode(found.test.codes[:])) == set(held_out)
    assert np.asarray(found.test.labels).sum(axis=0).tolist() == [0, 12]
    rest = [*decode(found.train.codes[:]), *decode(found.valid.codes[:])]
    assert len(rest) == 98
    assert not {min(one, other_strand(one)) for one in rest} & {
        min(one, other_strand(one)) for one in held_out
    }
    assert "2 sequences of the test files are left out" in capsys.readouterr().err


def test_an_existing_data_set_is_replaced_on_request_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_fasta(tmp_path / "a.fa", random_sequences(40))
    other = write_fasta(tmp_path / "b.fa", random_sequences(40, seed=4))
    out = tmp_path / "a.h5"
    out.write_text("mine")
    command = ["dataset", "fasta", "--files", f"a={path},b={other}", "--out", str(out)]
    assert exit_code(command) == 2
    assert "--force" in capsys.readouterr().err
    assert out.read_text() == "mine"
    for kept in (out, path):
        content = kept.read_bytes()
        assert exit_code([*command[:-1], str(kept), "--force"]) == 2
        assert "`--force` replaces data set files only: got" in capsys.readouterr().err
        assert kept.read_bytes() == content
    out.write_bytes(b"")
    main([*command, "--force"])
    assert read(out).classes == ("a", "b")
    main([*command[:-3], f"c={path},d={other}", "--out", str(out), "--force"])
    assert read(out).classes == ("c", "d")
    assert exit_code(["dataset", "h5", "--file", str(out), "--out", str(out), "--force"]) == 2
    assert "files to read and to write must differ" in capsys.readouterr().err


def test_names_that_are_nearly_equal_and_sequences_in_two_splits_get_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = np.random.default_rng(0).integers(0, 4, (8, 12)).astype(np.uint8)
    labels = np.array([[1, 0], [0, 1]] * 4, np.uint8)
    turned = reverse_complement(codes[:2])
    splits = {"train": Split(codes[:4], labels[:4]), "valid": Split(codes[4:6], labels[4:6]),
              "test": Split(np.concatenate([turned, codes[6:]]), labels[4:])}  # fmt: skip
    made = make_dataset(splits, ["SRF", "SFR"], {})
    assert repeats(made).shared == 2
    write(made, tmp_path / "a.h5")
    main(["dataset", "show", str(tmp_path / "a.h5")])
    notes = capsys.readouterr().err
    assert "classes SRF and SFR have nearly the same name" in notes
    assert "2 sequences are in more than one split" in notes
    assert alike(["YY1", "YY2", "Max", "MAX-"]) == [("Max", "MAX-")]


def test_many_names_that_are_nearly_equal_get_few_notes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = np.random.default_rng(0).integers(0, 4, (9, 12)).astype(np.uint8)
    names = [letter * 3 + end for letter in "abcdefghijkl" for end in ("", "-")]
    labels = np.eye(9, len(names), dtype=np.uint8)
    splits = {
        name: Split(codes[part::3], labels[part::3])
        for part, name in enumerate(("train", "valid", "test"))
    }
    write(make_dataset(splits, names, {}), tmp_path / "a.h5")
    main(["dataset", "show", str(tmp_path / "a.h5")])
    notes = capsys.readouterr().err
    assert notes.count("are they one class?") == 10
    assert "note: 2 more pairs of classes have nearly the same name" in notes
