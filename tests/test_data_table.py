"""Tables of sequences with values are read, or refused in one line that says where and why."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlproject.commands.cli import main
from mlproject.data import Dataset, read
from mlproject.data.clusters import clusters
from mlproject.data.table_rows import Options, read_rows
from mlproject.data.table_values import suspected
from mlproject.sequence import decode, reverse_complement

RNG = np.random.default_rng(0)
LETTERS = np.array(list("ACGT"))


def sequences(count: int, length: int = 60) -> list[str]:
    return ["".join(row) for row in RNG.choice(LETTERS, (count, length))]


def write_table(path: Path, rows: list[list[str]], separator: str = "\t") -> Path:
    text = "\n".join(separator.join(row) for row in rows) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def convert(tmp_path: Path, file: Path, *options: str) -> Dataset:
    out = tmp_path / "out.h5"
    out.unlink(missing_ok=True)
    arguments = ["dataset", "table", "--out", str(out), "--file", str(file), *options]
    try:
        main([*arguments, "--relevant", "none"])
    except SystemExit as exit_:
        assert not exit_.code
    return read(out)


@pytest.mark.parametrize(
    ("name", "separator"), [("a.tsv", "\t"), ("a.csv", ","), ("a.txt", ";"), ("a.tsv.gz", "\t")]
)
def test_tables_of_each_form_give_the_same_data(name: str, separator: str, tmp_path: Path) -> None:
    texts = sequences(50)
    body = [[text.lower(), "x", str(n / 4), f"{-n}e-1"] for n, text in enumerate(texts)]
    file = write_table(tmp_path / name, [["seq", "note", "dev", "hk"], *body], separator)
    made = convert(tmp_path, file, "--sequence", "seq", "--columns", "dev,hk", "--units", "log2,")
    assert (made.task, made.classes, made.units) == ("regression", ("dev", "hk"), ("log2", ""))
    found: dict[str, Any] = {}
    for split in made.splits.values():
        assert split.labels.dtype == np.float32
        found |= dict(zip(decode(split.codes), split.labels.tolist(), strict=True))
    assert set(found) == set(texts)
    assert found[texts[7]] == pytest.approx([1.75, -0.7])
    assert len(made.test.codes) == pytest.approx(10, abs=2)


def test_a_cell_may_have_a_sequence_of_any_length(tmp_path: Path) -> None:
    long = "ACGT" * 40_000
    file = write_table(tmp_path / "a.tsv", [["sequence", "v"], [long, "1"]])
    rows, *_ = read_rows(file, Options("sequence", ("v",)))
    assert rows[0].sequence == long


def test_rows_are_split_by_a_column_or_by_chromosomes(tmp_path: Path) -> None:
    texts = sequences(30)
    where = ["train", "Validation", "TEST"]
    body = [[text, str(n), where[n % 3], f"chr{n % 5}"] for n, text in enumerate(texts)]
    file = write_table(tmp_path / "a.tsv", [["sequence", "y", "set", "chrom"], *body])
    made = convert(tmp_path, file, "--columns", "y", "--split", "set")
    assert decode(made.valid.codes) == texts[1::3]
    options = ["--chromosome", "chrom", "--valid", "chr1", "--test", "chr2,chr4"]
    made = convert(tmp_path, file, "--columns", "y", *options)
    assert decode(made.valid.codes) == texts[1::5]
    assert sorted(made.test.labels[:, 0].tolist()) == sorted([*range(2, 30, 5), *range(4, 30, 5)])


def test_missing_values_and_duplicates_are_dropped_and_averaged(tmp_path: Path) -> None:
    texts = sequences(20)
    body = [[text, str(n)] for n, text in enumerate(texts)]
    body += [[texts[3], "9"], [texts[3], "6"], [sequences(1)[0], "NA"]]
    file = write_table(tmp_path / "a.tsv", [["sequence", "y"], *body])
    made = convert(tmp_path, file, "--columns", "y", "--missing", "drop")
    found: dict[str, Any] = {}
    for split in made.splits.values():
        found |= dict(zip(decode(split.codes), split.labels[:, 0].tolist(), strict=True))
    assert len(found) == sum(len(split.codes) for split in made.splits.values()) == 20
    assert found[texts[3]] == 6.0
    first = convert(tmp_path, file, "--columns", "y", "--missing", "drop", "--duplicates", "first")
    assert 3.0 in np.concatenate([split.labels for split in first.splits.values()])


def test_rows_that_look_like_comments_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = [[f"#{n}" if n < 3 else f"r{n}", text, str(n)] for n, text in enumerate(sequences(20))]
    file = write_table(tmp_path / "a.tsv", [["id", "sequence", "y"], ["# a comment"], *body])
    made = convert(tmp_path, file, "--columns", "y")
    assert sum(len(split.codes) for split in made.splits.values()) == 17
    assert "note: 3 rows begin with #: left out\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([-999.0, -999.0, 0.5, -3.0], "-999 in 2 rows"),
        ([-1.0, -1.0, 0.0, 7.0], "-1 in 2 rows"),
        ([-9.0, -9.0, -8.0, 7.0], ""),
        ([-999.0, 0.0, 1.0, 2.0], ""),
        ([-9.0, -9.0, -9.0, -9.0], ""),
        ([-998.0, -998.0, 0.0, 2.0], ""),
    ],
)
def test_a_number_that_may_mean_no_value_gets_a_note(
    values: list[float], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = list(suspected(np.array([values, [5.0, 6.0, 7.0, 8.0]]).T, ["y", "z"]))
    assert len(found) == bool(word)
    if word:
        assert f"`y` is {word}, far below all others: if it means" in found[0]
        body = [[text, str(values[n % 4])] for n, text in enumerate(sequences(20))]
        file = write_table(tmp_path / "a.tsv", [["sequence", "y"], *body])
        convert(tmp_path, file, "--columns", "y")
        assert "note: `y` is " in capsys.readouterr().err


def test_sequences_come_from_a_fasta_by_name(tmp_path: Path) -> None:
    texts = sequences(12)
    fasta = tmp_path / "s.fa"
    fasta.write_text("".join(f">s{n} more\n{text}\n" for n, text in enumerate(texts)))
    file = write_table(
        tmp_path / "a.csv", [["id", "n"], *([f"s{n}", str(n)] for n in range(12))], ","
    )
    options = ["--fasta", str(fasta), "--name", "id", "--columns", "n", "--task", "counts"]
    made = convert(tmp_path, file, *options, "--valid", "0.3", "--test", "0.3")
    assert made.task == "counts"
    row = int(np.argmax(made.train.labels))
    assert decode(made.train.codes)[row] == texts[int(made.train.labels[row, 0])]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([f"{n / 8}" for n in range(30)], "got 30 different numbers in 30 rows, such as 0.125"),
        (["0", "0,5"] * 15, "got 2 different numbers in 30 rows, such as 0,5"),
        ([str(n) for n in range(30)], "got 30 different numbers in 30 rows, such as 0"),
    ],
)
@pytest.mark.parametrize("kind", ["table", "fasta"])
def test_measured_values_are_no_classes(
    kind: str, cells: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = sequences(30)
    if kind == "table":
        file = write_table(
            tmp_path / "a.tsv", [["sequence", "y"], *map(list, zip(texts, cells, strict=True))]
        )
        source = ["--file", str(file)]
    else:
        file = write_table(
            tmp_path / "v.tsv", [["id", "y"], *([f"s{n}", cell] for n, cell in enumerate(cells))]
        )
        source = ["--files", str(fasta_file(tmp_path / "a.fa", texts)), "--values", str(file)]
    with pytest.raises(SystemExit, match="2"):
        main(["dataset", kind, "--out", str(tmp_path / "o.h5"), *source, "--columns", "y",
              "--task", "multiclass"])  # fmt: skip
    (line,) = capsys.readouterr().err.splitlines()
    assert "`y` must have names of classes with task=multiclass" in line
    assert message in line
    assert line.endswith("measured values take --task regression")


def test_whole_numbers_of_many_sequences_each_are_classes(tmp_path: Path) -> None:
    body = [[text, str(n % 3)] for n, text in enumerate(sequences(30))]
    file = write_table(tmp_path / "a.tsv", [["sequence", "cluster"], *body])
    made = convert(tmp_path, file, "--columns", "cluster", "--task", "multiclass")
    assert made.classes == ("0", "1", "2")


def test_names_of_classes_become_exclusive_labels(tmp_path: Path) -> None:
    body = [[text, "liver" if n % 2 else "heart"] for n, text in enumerate(sequences(30))]
    file = write_table(tmp_path / "a.tsv", [["sequence", "cell"], *body])
    made = convert(tmp_path, file, "--columns", "cell", "--task", "multiclass")
    assert (made.task, made.classes) == ("multiclass", ("heart", "liver"))
    assert (made.train.labels.sum(axis=1) == 1).all()


@pytest.mark.parametrize("transform", ["log2", "log1p", "standardise"])
def test_values_are_transformed(transform: str, tmp_path: Path) -> None:
    texts = sequences(30)
    body = [[text, str(n + 1), "test" if n > 25 else "valid" if n > 20 else "train"]
            for n, text in enumerate(texts)]  # fmt: skip
    file = write_table(tmp_path / "a.tsv", [["sequence", "y", "set"], *body])
    options = ["--columns", "y", "--split", "set", "--transform", transform]
    found = convert(tmp_path, file, *options).test.labels[:, 0]
    plain, own = np.arange(27.0, 31.0), np.arange(1.0, 22.0)
    wanted = {
        "log2": np.log2(plain), "log1p": np.log2(plain + 1),
        "standardise": (plain - own.mean()) / own.std(),
    }  # fmt: skip
    np.testing.assert_allclose(found, wanted[transform], rtol=1e-6)


def quoted(rows: list[list[str]]) -> str:
    return "\n".join(",".join(f'"{cell}"' for cell in row) for row in rows) + "\n"


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("crlf.tsv", lambda text: text.replace("\n", "\r\n").encode()),
        ("excel.txt", lambda text: text.replace("\n", "\r\n").encode("utf-8-sig")),
        ("excel16.txt", lambda text: text.encode("utf-16")),
        ("packed.tsv.gz", lambda text: gzip.compress(text.replace("\n", "\r\n").encode())),
        ("bytes.tsv.xz", lambda text: lzma.compress(text.encode())),
        (
            "comments.tsv",
            lambda text: ("##source=x\n# made by\n#" + text + "\n\n# the end").encode(),
        ),
        ("quoted.csv", lambda text: quoted([r.split("\t") for r in text.splitlines()]).encode()),
    ],
)
def test_tables_as_they_lie_in_supplements_are_read(
    name: str, pack: Callable[[str], bytes], tmp_path: Path
) -> None:
    texts = sequences(30)
    texts[4] = "RYSWKMBDHVN" + texts[4][11:]  # letters of IUPAC
    rows = [["id, or name", "sequence", "y", "y (log2)"]]
    rows += [[f"e;{n}", text.lower() if n % 2 else text, "NA" if n == 9 else f"+{n}.5E-3", "nan"]
             for n, text in enumerate(texts)]  # fmt: skip
    file = tmp_path / name
    file.write_bytes(pack("\n".join("\t".join(row) for row in rows) + "\n"))
    made = convert(tmp_path, file, "--columns", "y", "--missing", "drop")
    found: dict[str, float] = {}
    for split in made.splits.values():
        found |= dict(zip(decode(split.codes), split.labels[:, 0].tolist(), strict=True))
    assert len(found) == 29
    assert found["N" * 11 + texts[4][11:]] == pytest.approx(0.0045)
    assert found[texts[29]] == pytest.approx(0.0295)


def fasta_file(path: Path, texts: list[str], first: int = 0) -> Path:
    path.write_text("".join(f">s{first + n} more\n{text}\n" for n, text in enumerate(texts)))
    return path


def test_fasta_files_take_their_values_from_a_table(tmp_path: Path) -> None:
    texts = sequences(40)
    one, two = (
        fasta_file(tmp_path / "1.fa", texts[:20]),
        fasta_file(tmp_path / "2.fa", texts[20:], 20),
    )
    body = [[f"s{n}", str(n / 8), str(-n)] for n in reversed(range(40))]
    values = write_table(tmp_path / "v.tsv", [["id", "dev", "hk"], *body])
    out = tmp_path / "o.h5"
    arguments = ["dataset", "fasta", "--out", str(out), "--files", f"{one},{two}", "--values"]
    main([*arguments, str(values), "--units", "log2,log2", "--relevant", "none", "--valid", "0.2"])
    made = read(out)
    assert (made.task, made.classes, made.units) == ("regression", ("dev", "hk"), ("log2", "log2"))
    found: dict[str, Any] = {}
    for split in made.splits.values():
        found |= dict(zip(decode(split.codes), split.labels.tolist(), strict=True))
    assert found == {text: [n / 8, -n] for n, text in enumerate(texts)}
    body = [["AB"[n % 2], f"s{n}"] for n in range(40)]
    kind = write_table(tmp_path / "k.csv", [["cell", "who"], *body], ",")
    main([*arguments, str(kind), "--name", "who", "--task", "multiclass", "--force"])
    assert (read(out).task, read(out).classes) == ("multiclass", ("A", "B"))


VALUES = "id\ty\ns0\t1\ns1\t2\ns2\t3\n"


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (VALUES + "s3\t3\n", [], "line 5: s.fa has no sequence 's3'"),
        ("id\ty\ns0\t1\n", [], "s.fa, line 3: v.tsv has no row for 's1', one of 2; missing=drop"),
        (VALUES + "s1\t9\n", [], "line 5: the sequence 's1' has a row already, line 3"),
        (VALUES.replace("\t2", "\ttwo"), [], "v.tsv, line 3: `y` must be a number: got 'two'"),
        (VALUES.replace("\t2", "\t"), [], "v.tsv, line 3: `y` has no value"),
        (VALUES, ["--columns", "z"], "no column 'z'"),
        (VALUES, ["--name", "name"], "no column 'name'"),
        (VALUES, ["--negatives", "shuffle"], "`--negatives` goes with classes of sequences"),
        (VALUES, ["--most", "5"], "`--most` goes with classes of sequences"),
        (VALUES, ["--files", "A=s.fa"], "`--files` must be FILE,FILE,... with `--values`"),
        (None, ["--task", "counts"], "`--task` goes with `--values`"),
        (None, ["--columns", "y"], "`--columns` goes with `--values`"),
        ("", [], "v.tsv: is empty"),
    ],
)
def test_values_that_do_not_fit_their_sequences_are_refused_in_one_line(
    text: str | None, options: list[str], words: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    fasta_file(Path("s.fa"), sequences(3))
    arguments = [
        "dataset",
        "fasta",
        "--out",
        "o.h5",
        "--files",
        "s.fa" if text is not None else "A=s.fa",
    ]
    if text is not None:
        Path("v.tsv").write_text(text)
        arguments += ["--values", "v.tsv"]
    with pytest.raises(SystemExit) as caught:
        main([*arguments, *options])
    error = capsys.readouterr().err
    assert caught.value.code == 2
    assert words in error
    assert error.count("\n") == 1
    assert not Path("o.h5").exists()


GOOD = "ACGTACGTAC" * 3
MISTAKES = [
    (f"{GOOD}\t1\n{GOOD}A\t2\n", [], "line 1: must be a header that names the columns: got a row"),
    (f"sequence\ty\n{GOOD}\t0,25\n", [], "got '0,25'; write a point for the comma"),
    (f"sequence,y\n{GOOD},0,25\n", [], "line 2: must have 2 columns, as the header: got 3"),
    (f"sequence\ty\n{GOOD}\t1e39\n", [], "line 2: `y` must be a number: got '1e39'"),
    (f"sequence\ty\n{GOOD}\t1_000\n", [], "line 2: `y` must be a number: got '1_000'"),
    ("sequence\ty\nNaN\t1\n", [], "line 2: `sequence` has no value"),
    ("sequence\ty\n\t1\n", [], "line 2: `sequence` has no value"),
    (f"sequence\ty\n{GOOD}\t#N/A\n", [], "line 2: `y` has no value"),
    (f"sequence\ty\n{GOOD.replace('T', 'U')}\t1\n", [], "got 'U' at position 4; this is RNA"),
    (f"sequence\ty\n{GOOD} {GOOD}\t1\n", [], "got ' ' at position 31"),
    ("# made by a program\n", [], "is empty"),
    ("", [], "is empty"),
    ("sequence\n", [], "must be a header of columns"),
    ("sequence\ty\n", [], "holds no row"),
    (f"seq\ty\n{GOOD}\t1\n", [], "no column 'sequence': did you mean seq?"),
    (f"sequence\ty\ty\n{GOOD}\t1\t2\n", [], "the header has 2 columns 'y'"),
    (f"sequence\ty\n{GOOD}\n", [], "line 2: must have 2 columns"),
    (f"sequence\ty\n{GOOD}\thigh\n", [], "line 2: `y` must be a number: got 'high'"),
    (f"sequence\ty\n{GOOD}\tinf\n", [], "line 2: `y` must be a number: got 'inf'"),
    (f"sequence\ty\n{GOOD}\tNA\n", [], "line 2: `y` has no value; missing=drop"),
    (f"sequence\ty\n{GOOD}\t-1\n", ["--task", "counts"], "`y` must be a number, 0 or more"),
    (f"sequence\ty\n{GOOD}\t2\n", ["--task", "binary"], "`y` must be 0 or 1: got '2'"),
    (f"sequence\ty\n{GOOD}U\t2\n", [], "this is RNA"),
    (f"sequence\ty\n{GOOD}\t2\n{GOOD}A\t2\n", [], "line 3: sequences must be equally long"),
    (f"sequence\ty\n{GOOD}\t2\n{GOOD}\t3\n", ["--duplicates", "refuse"], "line 2 comes again"),
    (f"sequence\ty\tset\n{GOOD}\t2\tall\n", ["--split", "set"], "must be train, valid or test"),
    (
        f"sequence\ty\tc\n{GOOD}\t2\t1\n",
        ["--chromosome", "c"],
        "`valid` must name chromosomes with",
    ),
    (
        f"sequence\ty\tc\n{GOOD}\t2\t1\n",
        ["--chromosome", "c", "--valid", "1", "--test", "1"],
        "`valid` and `test` must differ: got 1 in both",
    ),
    (
        f"sequence\ty\n{GOOD}\t1\n",
        ["--task", "binary", "--units", "mV"],
        "`units` are for task=reg",
    ),
    (f"sequence\ty\n{GOOD}\t2\n", ["--valid", "chr1"], "`valid` must be a share"),
    (f"sequence\ty\n{GOOD}\t2\n", [], "every split needs sequences"),
    (f"sequence\ty\n{GOOD}\t2\n", ["--name", "y"], "go together"),
    (f"sequence\ty\n{GOOD}\t2\n", ["--task", "counts", "--transform", "log2"], "`transform` is"),
]


@pytest.mark.parametrize(("text", "options", "words"), MISTAKES)
def test_a_table_that_cannot_be_read_is_refused_in_one_line(
    text: str, options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.tsv"
    file.write_text(text)
    out = tmp_path / "o.h5"
    with pytest.raises(SystemExit) as caught:
        main(
            ["dataset", "table", "--out", str(out), "--file", str(file), "--columns", "y", *options]
        )
    error = capsys.readouterr().err
    assert caught.value.code == 2
    assert words in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.tsv"]


def test_similar_sequences_are_one_cluster_and_others_are_not() -> None:
    codes = RNG.integers(0, 4, (300, 120)).astype(np.uint8)
    shifted = np.concatenate([codes[5, 40:], RNG.integers(0, 4, 40).astype(np.uint8)])
    mutated = codes[6].copy()
    mutated[60] = (mutated[60] + 1) % 4
    others = [shifted, mutated, reverse_complement(codes[7]), codes[8]]
    found = clusters(np.concatenate([codes, np.stack(others)]))
    assert len(np.unique(found)) == 300
    assert found[300:].tolist() == found[5:9].tolist()


def test_a_split_keeps_clusters_together(tmp_path: Path) -> None:
    texts = sequences(40)
    variants = [text[:30] + "ACGT"[n % 4] + text[31:] for n in range(4) for text in texts]
    file = write_table(tmp_path / "a.tsv", [["sequence", "y"], *([v, "1"] for v in variants)])
    made = convert(tmp_path, file, "--columns", "y")
    heads = [{text[:30] for text in decode(split.codes)} for split in made.splits.values()]
    assert not (heads[0] & heads[1] or heads[0] & heads[2] or heads[1] & heads[2])
    assert all(heads)
