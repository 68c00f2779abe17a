"""Predictions for a user's sequences and intervals, by one network and by several."""

import io
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from conftest import TINY

from mlproject import results
from mlproject.architectures import make_spec
from mlproject.commands.cli import main
from mlproject.data import load
from mlproject.network.build import predict
from mlproject.run.context import RunResult
from mlproject.run.ensemble import Ensemble, load_ensemble
from mlproject.run.prediction import predict_bed, predict_fasta
from mlproject.run.scoring import logit_score
from mlproject.sequence import decode
from mlproject.system.errors import UserError

LENGTH = 8


def share_of(letter: int, scale: float) -> object:
    return lambda codes: (
        scale * np.stack([(codes == letter).mean(axis=1), (codes == 4).mean(axis=1)], axis=1)
    )


SCORES = (share_of(0, 1.0), share_of(0, 0.5))


def ensemble(networks: int) -> Ensemble:
    own = SCORES[:networks]
    return Ensemble(tuple("ab"[:networks]), ("A", "N"), LENGTH, own, own)  # type: ignore[arg-type]


def table(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def test_sequences_get_the_mean_and_the_standard_deviation_of_the_networks(tmp_path: Path) -> None:
    path = tmp_path / "x.fa"
    path.write_text(">one first\nAAAA\nCCCC\n>two\nacgtnnnn\n>\nGGGGGGGG\n")
    out = io.StringIO()
    assert predict_fasta(ensemble(2), path, out).rows == 3
    rows = table(out.getvalue())
    assert rows[0] == ["name", "A", "N", "A_sd", "N_sd"]
    assert [row[0] for row in rows[1:]] == ["one", "two", "sequence3"]
    assert rows[1][1:3] == ["0.375", "0"]
    assert float(rows[1][3]) == pytest.approx(0.25 / np.sqrt(2), rel=1e-5)  # of 0.5 and 0.25
    assert rows[2][1:3] == ["0.09375", "0.375"]
    alone = io.StringIO()
    predict_fasta(ensemble(1), path, alone)
    assert table(alone.getvalue())[1] == ["one", "0.5", "0"]


def test_sequences_of_another_length_are_refused_cut_or_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.fa"
    path.write_text(">a\nCCAAAAAAAACC\n>b\nAAAA\n>c\nAAAACCCC\n")
    with pytest.raises(UserError, match="line 1: sequences must be equally long, 8 nt: got 12"):
        predict_fasta(ensemble(1), path, io.StringIO())
    out = io.StringIO()
    predict_fasta(ensemble(1), path, out, "centre")
    assert [row[1:] for row in table(out.getvalue())[1:]] == [
        ["1", "0"],
        ["0.5", "0.5"],
        ["0.5", "0"],
    ]
    out = io.StringIO()
    done = predict_fasta(ensemble(1), path, out, "drop")
    assert done.rows == 1
    assert done.notes == ["2 sequences of another length than 8 nt are left out"]


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    path = tmp_path / "g.fa"
    path.write_text(f">chr1\n{'C' * 20}{'A' * 20}\n>chr2\n{'A' * 12}\n")
    return path


def test_intervals_get_a_window_around_their_summit_or_middle(tmp_path: Path, genome: Path) -> None:
    bed = tmp_path / "x.bed"
    bed.write_text("chr1\t14\t26\nchr1\t0\t4\nchr9\t1\t5\nchr2\t2\t10\nchr2\t6\t6\n")
    out = io.StringIO()
    done = predict_bed(ensemble(1), bed, genome, out, bedgraph=tmp_path / "tracks")
    assert table(out.getvalue()) == [
        ["chrom", "start", "end", "interval", "A", "N"],
        ["chr1", "16", "24", "chr1:14-26", "0.5", "0"],
        ["chr2", "2", "10", "chr2:2-10", "1", "0"],
    ]
    assert done.rows == 2
    assert done.notes == [
        "1 interval has 0 nt: left out",
        "1 interval is left out: the genome lacks the chromosome",
        "1 window leaves its chromosome: left out",
    ]
    track = (tmp_path / "tracks" / "A.bedGraph").read_text()
    assert table(track) == [["chr1", "16", "24", "0.5"], ["chr2", "2", "10", "1"]]
    peaks = tmp_path / "x.narrowPeak"
    peaks.write_text("chr1\t10\t30\tp\t1\t.\t1\t1\t1\t15\n")
    out = io.StringIO()
    predict_bed(ensemble(1), peaks, genome, out)
    assert table(out.getvalue())[1][:3] == ["chr1", "21", "29"]
    bed.write_text("chr1\t0\t4\n")
    with pytest.raises(UserError, match="must be a window of 8 nt within a chromosome"):
        predict_bed(ensemble(1), bed, genome, io.StringIO())


def test_networks_of_other_tasks_are_not_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {"a": {}, "b": {"task": "binary"}, "c": {"task": "multiclass"}}
    place = "mlproject.run.ensemble"
    run = SimpleNamespace(inputs=None)
    monkeypatch.setattr(f"{place}.connect", lambda: SimpleNamespace(run=lambda _: run))
    monkeypatch.setattr(f"{place}.member_runs", lambda store, ids: tuple(ids))
    monkeypatch.setattr(f"{place}.profile_of", lambda inputs, run_id: tasks[run_id])
    monkeypatch.setattr(f"{place}.predictor", lambda model, batch: None)
    monkeypatch.setattr(f"{place}.logit_score", lambda model: None)
    for name, made in {
        "model": SimpleNamespace(input_shape=(None, 8, 4)),
        "per_class": {"name": ["A", "B"]},
        "spec_of": SimpleNamespace(average="none"),
    }.items():
        monkeypatch.setattr(f"mlproject.results.{name}", lambda *_, made=made: made)
    assert load_ensemble(["a", "b"]).run_ids == ("a", "b")
    with pytest.raises(UserError, match=r"length of sequences and task: a has 2 .*, multiclass"):
        load_ensemble(["a", "c"])


def test_outputs_that_are_no_probabilities_have_no_logits() -> None:
    inputs = keras.Input((8, 4))
    outputs = keras.layers.Reshape((1,))(keras.layers.Dense(1)(keras.layers.Flatten()(inputs)))
    model = keras.Model(inputs, outputs)
    model.set_weights([np.full((32, 1), 0.5), np.zeros(1)])
    score = logit_score(model)
    with pytest.raises(UserError, match="or give probabilities: got outputs from 4 to 4; end it"):
        score(np.zeros((3, 8), np.uint8))
    model.set_weights([np.full((32, 1), 1 / 16), np.zeros(1)])
    np.testing.assert_allclose(score(np.zeros((3, 8), np.uint8)), 0.0, atol=1e-5)


def test_an_interval_shorter_than_half_a_step_has_a_window(tmp_path: Path, genome: Path) -> None:
    bed = tmp_path / "x.bed"
    bed.write_text("chr1\t10\t30\nchr1\t18\t22\nchr1\t16\t21\n")
    out = io.StringIO()
    predict_bed(ensemble(1), bed, genome, out, step=8)
    assert [row[1:4] for row in table(out.getvalue())[1:]] == [
        ["10", "18", "chr1:10-30"],
        ["18", "26", "chr1:10-30"],
        ["16", "24", "chr1:18-22"],
        ["16", "24", "chr1:16-21"],
    ]


def test_each_class_has_a_column_and_a_file_of_its_own(tmp_path: Path, genome: Path) -> None:
    own = ensemble(2)._replace(classes=("A", "A_sd"))
    assert own.columns == ["A", "A_sd", "A_sd_", "A_sd_sd"]
    (tmp_path / "x.bed").write_text("chr1\t10\t30\n")
    own = ensemble(1)._replace(classes=("ctcf", "CTCF"))
    predict_bed(own, tmp_path / "x.bed", genome, io.StringIO(), bedgraph=tmp_path / "tracks")
    names = {path.name.casefold() for path in (tmp_path / "tracks").iterdir()}
    assert names == {"ctcf.bedgraph", "ctcf_.bedgraph"}


def test_bedgraph_is_sorted_and_without_overlaps(tmp_path: Path, genome: Path) -> None:
    bed = tmp_path / "x.bed"
    bed.write_text("chr2\t0\t12\nchr1\t18\t24\nchr1\t14\t26\nchr1\t14\t26\n")
    folder = tmp_path / "tracks"
    out = io.StringIO()
    predict_bed(ensemble(1), bed, genome, out, step=3, bedgraph=folder)
    windows = {tuple(row[:3]): float(row[4]) for row in table(out.getvalue())[1:]}
    rows = [
        (c, int(s), int(e), float(v)) for c, s, e, v in table((folder / "A.bedGraph").read_text())
    ]
    assert rows == sorted(rows)
    assert {c for c, *_ in rows} == {"chr1", "chr2"}
    for (chromosome, _, end, _), (after, start, _, _) in pairwise(rows):
        assert chromosome != after or end <= start
    for chromosome, start, _, value in rows:
        first = start + 1 - LENGTH // 2  # 3 nt around the centre of a window
        assert windows[chromosome, str(first), str(first + LENGTH)] == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs `--fasta`, or `--bed`"),
        (["--fasta", "a", "--bed", "b"], "give one of them"),
        (["--bed", "b"], "`--bed` needs `--genome`"),
        (["--fasta", "a", "--step", "5"], "go with `--bed`"),
        (["--fasta", "nowhere.fa"], "cannot read nowhere.fa"),
    ],
)
def test_a_bad_option_gets_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "0" * 32, *arguments])
    assert message in capsys.readouterr().err


def test_the_command_gives_the_scores_of_the_test(
    tracked: tuple[Path, RunResult], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, result = tracked
    codes = np.asarray(load(make_spec(TINY), folder / "data").test.codes[:7])
    text = "".join(f">s{n}\n{one}\n" for n, one in enumerate(decode(codes)))
    Path("x.fa").write_text(text)
    main(["predict", result.run_id[:10], "--fasta", "x.fa", "--out", "p.tsv"])
    assert capsys.readouterr().out == "p.tsv: 7 rows\n"
    rows = table(Path("p.tsv").read_text())
    wanted = predict(results.model(result.run_id), codes)
    np.testing.assert_allclose(np.array([row[1:] for row in rows[1:]], float), wanted, rtol=1e-4)
    main(["predict", result.run_id, "--fasta", "x.fa"])
    assert table(capsys.readouterr().out) == rows
