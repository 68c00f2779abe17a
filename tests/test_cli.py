"""The command line: mistakes get one line and exit code 2, and leave nothing behind."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from recorded import offer_run, record
from sqlalchemy.exc import OperationalError

from mlproject.architectures import make_spec
from mlproject.commands.cli import main
from mlproject.commands.options import experiment_of
from mlproject.commands.sweep import plan_experiment
from mlproject.commands.train import check_resumed, print_result
from mlproject.data import Split, make_dataset, make_synthetic, write
from mlproject.run.context import RunResult
from mlproject.store import Store, connect
from mlproject.system.errors import UserError

GOLDEN = Path(__file__).parent / "golden" / "tomtom.meme"


def _exit_code(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code if isinstance(caught.value.code, int) else 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--pol1", "25"], "unknown parameter `pol1`: did you mean pool1"),
        (["train", "--lr", "0.1"], "unknown parameter `lr`: did you mean learning_rate"),
        (["train", "--resum", "x"], "unknown parameter `resum`: did you mean resume"),
        (["train", "--pool1", "7"], "pools of 1 2 4 5 10 20 25 50 100 work"),
        (["train", "--pool1", "x"], "`pool1` must be an integer: got 'x'"),
        (["train", "--pool1"], "`--pool1` needs a value"),
        (["train", "--pool1=4", "--pool1=2"], "`--pool1` is given twice: 4 and 2"),
        (["train", "pool1=25"], "options are written `--name value`: got 'pool1=25'"),
        (["train", "--arch", "CNN25"], "unknown arch 'CNN25': did you mean CNN-25"),
        (["train", "--backend", "torch"], "'torch' is not one of 'tensorflow', 'jax'"),
        (["train", "--dataset", "missing.h5"], "missing.h5"),
        (["train", "--length", "20"], "`length`"),
        (["trian"], "No such command 'trian'. (Did you mean one of: 'train'"),
        (["dataset", "sintetic"], "Did you mean 'synthetic'?"),
        (["dataset", "synthetic", "--sequences", "3", "--out", "x.h5"], "`sequences`"),
        (["match", "missing.meme"], "missing.meme"),
        (["match", str(GOLDEN), "--evalue", "0"], "`evalue`"),
    ],
)
def test_a_mistake_gets_one_line_exit_code_2_and_leaves_nothing_behind(
    workplace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    before = sorted(path.name for path in workplace.iterdir())
    assert _exit_code(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert sorted(path.name for path in workplace.iterdir() if path.name != "data") == before
    assert not connect().client.search_runs(["0"])


def test_the_run_that_mlflow_made_is_told_why_it_failed(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = offer_run(connect(), monkeypatch)
    assert _exit_code(["train", "--pool1", "7"]) == 2
    run = connect().run(run_id)
    assert run.info.status == "FAILED"
    assert "pools of 1 2 4 5" in run.data.tags["mlproject.failure"]


def test_dataset_writes_a_file_that_train_can_read(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main_options = ["--seed", "3", "--sequences", "100", "--length", "150", "--out", "my.h5"]
    cli_code = subprocess.run(
        [sys.executable, "-m", "mlproject", "dataset", "synthetic", *main_options], check=False
    ).returncode
    assert cli_code == 0
    again = make_synthetic(workplace / "again.h5", 3, 100, 150)
    assert (workplace / "my.h5").read_bytes() == (workplace / "again.h5").read_bytes()
    assert again.length == 150


def test_match_prints_the_table_and_writes_the_same(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = str(GOLDEN)
    main(["match", query])
    printed = capsys.readouterr().out
    main(["match", query, "--out", "table.tsv"])
    assert (workplace / "table.tsv").read_text() == printed
    assert printed.startswith("Query_ID\tTarget_ID\tOptimal_offset\tp-value\tE-value\tq-value")


OUTPUTS = [
    ("match", "none.meme", "--out", "taken/t.tsv"),
    ("dataset", "fasta", "--files", "A=none.fa", "--out", "taken/o.h5"),
    ("dataset", "synthetic", "--out", "taken/deeper/o.h5"),
    ("atlas", "--out", "taken/a.html"),
    ("compare", "none", "none", "--out", "folder"),
    ("tracks", "none", "--out", "taken/t.png"),
    ("report", "--out", "taken"),
    ("export", "--out", "taken"),
    ("predict", "none", "--bed", "b", "--genome", "g", "--bedgraph", "taken"),
    ("variants", "none", "--vcf", "v", "--genome", "g", "--out", "o", "--vcf_out", "taken/v"),
]


@pytest.mark.parametrize("arguments", OUTPUTS, ids=" ".join)
def test_an_output_that_cannot_be_written_is_refused_before_any_work(
    arguments: tuple[str, ...], workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "taken").touch()
    (workplace / "folder").mkdir()
    with pytest.raises(SystemExit, match="2"):
        main([*arguments])
    message = capsys.readouterr().err
    assert re.fullmatch(r"error: cannot write \S+: .* is not a (file|folder)\n", message)


@pytest.mark.parametrize("command", ["report", "export", "match", "atlas"])
def test_an_empty_name_of_an_output_is_not_the_current_folder(
    command: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list(workplace.iterdir())
    with pytest.raises(SystemExit, match="2"):
        main([command, "--out", ""])
    assert capsys.readouterr().err.startswith("error: `--out` must be a path")
    assert list(workplace.iterdir()) == before


@pytest.mark.parametrize("other", ["query.meme", "known.meme"])
def test_an_output_never_replaces_an_input(
    other: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("query.meme", "known.meme"):
        shutil.copy(GOLDEN, name)
    with pytest.raises(SystemExit, match="2"):
        main(["match", "query.meme", "--motifs", "known.meme", "--out", other])
    assert f"got {other} twice" in capsys.readouterr().err
    assert Path(other).read_bytes() == GOLDEN.read_bytes()
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "none", "--fasta", other, "--out", f"./{other}"])
    assert f"got {other} twice" in capsys.readouterr().err


def test_a_python_without_the_packages_is_told_how_to_set_up(tmp_path: Path) -> None:
    source = Path(__file__).parent.parent / "src"
    done = subprocess.run(
        [sys.executable, "-S", "-E", str(source), "train"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "make run" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_resumed_run_names_only_what_the_user_gave_and_what_differs() -> None:
    spec = make_spec({"pool1": 4, "epochs": 100, "padding1": "valid"})
    check_resumed(
        "r", spec, {"epochs": "100", "pool1": "4", "protocol": "released", "units": "512"}
    )
    with pytest.raises(UserError) as caught:
        check_resumed("r", spec, {"epochs": "5", "pool1": "4", "attention": "1", "arch": "CNN-2"})
    text = str(caught.value)
    assert "epochs=5 (the run has 100)" in text
    assert "attention=1 (the run has 0)" in text
    assert "arch=CNN-2 (the run has" in text
    assert "pool1" not in text


def test_data_without_both_labels_of_any_class_are_refused_before_training(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = np.random.default_rng(0).integers(0, 4, (30, 60))
    split = Split(codes, np.ones((30, 1)))
    write(make_dataset(dict.fromkeys(("train", "valid", "test"), split), ["SRF"], {}), Path("a.h5"))
    assert _exit_code(["train", "--dataset", "a.h5"]) == 2
    error = capsys.readouterr().err
    assert "all 30 training sequences have 1 in SRF" in error
    assert "--negatives shuffle" in error
    assert not connect().client.search_runs(["0"])


@pytest.mark.parametrize(
    "error",
    [
        MlflowException(
            "API request failed with error code 503", error_code=TEMPORARILY_UNAVAILABLE
        ),
        OperationalError("SELECT", {}, Exception("server closed the connection")),
    ],
)
def test_a_store_that_goes_away_during_a_command_is_one_line(
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def away(_: Store) -> None:
        raise error

    monkeypatch.setattr(Store, "links", away)
    assert _exit_code(["check", "--links"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: the tracking store must be readable and writable: ")
    assert printed.count("\n") == 1


def test_check_prints_the_addresses_of_experiments_with_the_columns_that_matter(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record({"arch": "CNN-2"}, experiment="mine")
    connect().client.create_experiment("of somebody else")
    main(["check", "--links"])
    (line,) = capsys.readouterr().out.splitlines()
    found = connect().client.get_experiment_by_name("mine")
    assert found is not None
    assert line == (
        f"runs of mine: http://127.0.0.1:5000/#/experiments/{found.experiment_id}/runs"
        "?workflowType=machine_learning&viewStateShareKey=mlproject"
    )
    view = json.loads(found.tags["mlflow.sharedViewState.mlproject"])
    assert {"params.`arch`", "metrics.`test_auroc`"} <= set(view["selectedColumns"])


def test_the_end_of_a_run_is_a_summary_one_line_or_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = RunResult(
        "a" * 32, {"test_auroc": 0.9, "test_aupr": 0.8, "test_ap": 0.8}, None, "CNN-2",
        ("Found: SRF (3). Not found: YY1.", "conv1: 5 of 30 filters match JASPAR 2016.", "Test."),
        ("SRF",), ("YY1",), (), "/here/card.html", "http://ui/run", "http://ui/runs",
    )  # fmt: skip
    print_result(result)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"run {'a' * 32}: test AUROC 0.9000, AUPR 0.8000, AP 0.8000"
    assert lines[1:3] == list(result.lines[:2])
    assert lines[3] == "card: /here/card.html"
    assert "http://ui/run " in lines[4]
    assert "http://ui/runs" in lines[5]
    assert lines[6].startswith("next: python -m mlproject interpret aaaaaaaa ")
    print_result(result._replace(metrics={"test_auroc": 0.52}))
    assert "next: " not in capsys.readouterr().out
    print_result(result, quiet=True)
    assert capsys.readouterr().out.splitlines() == lines[:1]
    in_default = result._replace(url="http://ui/#/experiments/0/runs/a")
    for launched, told in ((False, 0), (True, 1)):
        print_result(in_default, launched=launched)
        assert capsys.readouterr().err.count("experiment Default") == told
    print_result(result, as_json=True)
    assert RunResult(**json.loads(capsys.readouterr().out)).metrics == result.metrics


def test_an_experiment_is_named_after_plan_or_data_unless_the_user_or_mlflow_says_otherwise(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine.yaml").write_text("base: {sequences: 100}\naxes: {seed: [0, 1]}\n")
    assert plan_experiment(None, Path("mine.yaml")) == "mine"
    assert plan_experiment("other", Path("mine.yaml")) == "other"
    tracker = connect().start("mine", {"mlproject.sweep": "mine"}, Path("runs"))
    tracker.finish("KILLED", "interrupted")
    assert plan_experiment(None, Path("mine.yaml")) is None
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "theirs")
    assert experiment_of(None, "data") is None
    assert experiment_of("given", "data") == "given"


@pytest.mark.parametrize("module", ["mlproject.commands.sync", "mlproject.spec"])
def test_ctrl_c_while_modules_are_imported_gives_one_line(module: str) -> None:
    code = f"""
import os, runpy, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs of a shell

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
sys.argv[1:] = ["--help"]
runpy.run_module("mlproject", run_name="__main__", alter_sys=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "interrupted\n")
