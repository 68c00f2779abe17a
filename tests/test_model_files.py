"""The file of an own model: how it is named, and that nobody else's is executed unasked."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from test_training import TRAIN, VALID, planted

from mlproject import results
from mlproject.architectures import make_spec
from mlproject.commands.cli import main
from mlproject.data import make_dataset, write
from mlproject.network.build import build, predict
from mlproject.network.fast_pass import supports
from mlproject.network.saving import load_model, save_model
from mlproject.run.context import Settings
from mlproject.run.run import run
from mlproject.store import connect
from mlproject.store.exchange.exporting import export
from mlproject.store.exchange.importing import import_runs
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted

NET = """
import keras
from keras import layers

with open("executed.txt", "a") as file:
    file.write("x")

def helper():
    pass

def build(length, classes, width=5):
    x = inputs = keras.Input((length, 4))
    x = layers.Conv1D(6, width, padding="same", activation="relu", name="first")(x)
    x = layers.GlobalMaxPooling1D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x))

def any_length(length, classes):
    x = inputs = keras.Input((None, 4))
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalMaxPooling1D()(x)))

def unbuilt(length, classes):
    return keras.Sequential([layers.Flatten(), layers.Dense(classes)])

class Own(keras.Model):
    pass

def sequential(length, classes):
    end = layers.Dense(classes, activation="sigmoid")
    return keras.Sequential([keras.Input((length, 4)), layers.Flatten(), end])

def subclass(length, classes):
    inputs = keras.Input((length, 4))
    return Own(inputs, layers.Dense(classes, activation="sigmoid")(layers.Flatten()(inputs)))

constant = 3
"""


@pytest.mark.parametrize("name", ["sequential", "subclass"])
def test_a_sequential_model_and_one_of_an_own_class_become_a_graph_of_layers(
    net: Path, name: str
) -> None:
    model = build(make_spec({"model": f"net.py:{name}"}), 30, 2)
    assert type(model) is type(keras.Model(model.inputs, model.outputs))
    assert not supports(model)
    save_model(model, Path("model.keras"))
    loaded = predict(load_model(Path("model.keras")), VALID.codes)
    np.testing.assert_array_equal(loaded, predict(model, VALID.codes))


def test_a_dtype_policy_that_a_function_sets_ends_with_it(net: Path) -> None:
    setting = 'keras.config.set_dtype_policy("mixed_bfloat16")'
    net.write_text(NET.replace("x = inputs", f"{setting}\n    x = inputs"))
    model = build(make_spec({"model": "net.py:build"}), 30, 2)
    assert model.get_layer("first").compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


@pytest.fixture
def net(workplace: Path) -> Path:
    path = workplace / "net.py"
    path.write_text(NET)
    return path


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "net.py"}, "`model` must be FILE.py:FUNCTION, such as net.py:build: got"),
        ({"model": "net.py:"}, "such as net.py:build: got"),
        ({"model": "gone.py"}, "such as gone.py:build: got"),
        ({"model": ":build"}, "such as my_net.py:build: got"),
        ({"model": "net:build"}, "such as net.py:build: got"),
        ({"model": "Net work"}, r"a name of the zoo \(.*inception.*\), or FILE.py:FUNCTION: got"),
        ({"model": "inceptio"}, "unknown model 'inceptio': did you mean inception"),
        ({"model": "gone.py:build"}, "there is no 'gone.py'; give its path"),
        ({"model": "net.py:bild"}, "net.py must have a function bild: did you mean build"),
        ({"model": "net.py:constant"}, "must have a function constant: "),
        ({"model": "net.py:unbuilt"}, "sequential that begins with keras.Input.: got Sequential"),
        ({"model": "net.py:any_length"}, r"keras.Input\(\(length, 4\)\): got \[\(None, 4\)\]"),
        ({"model": "net.py:build", "dense": "3"}, "`dense` is for model=blocks only"),
        ({"model": "net.py:build", "attention": 1}, "`attention` is for model=blocks only"),
    ],
)
def test_a_model_that_is_written_wrongly_is_refused_with_the_remedy(
    net: Path, options: dict[str, object], says: str
) -> None:
    with pytest.raises(UserError, match=says) as caught:
        build(make_spec(options), 30, 2)
    assert "\n" not in str(caught.value)
    assert "pattern" not in str(caught.value)


def _command(*words: str) -> int:
    try:
        main([*words])
    except SystemExit as end:
        return int(str(end.code or 0))
    return 0


def test_a_file_is_executed_where_its_user_names_it_or_trusts_it_and_nowhere_else(
    net: Path, workplace: Path, migrated_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = {"train": TRAIN, "valid": VALID, "test": planted(100, 3)}
    relevant = {"AP1": ["MA0477"], "SP1": ["MA0079"]}
    write(make_dataset(splits, ["AP1", "SP1"], relevant), Path("data.h5"))
    options = {"model": "net.py:build", "model_args.width": 7, "dataset": "data.h5", "epochs": 2}
    spec = make_spec(options | {"batch_size": 64, "window": 7})

    def count() -> int:
        return len(connect().client.search_runs(["0"]))

    with pytest.raises(UserError, match="unknown layer 'second'"):
        run(make_spec(spec.flat() | {"layers": "second"}), Settings(quiet=True))
    assert count() == 0
    epochs: list[int] = []
    stopping = Settings(
        quiet=True,
        should_stop=lambda: bool(epochs),
        on_epoch=lambda epoch, values: epochs.append(epoch),
    )
    with pytest.raises(Interrupted):
        run(spec, stopping)
    whole = run(make_spec(spec.flat() | {"window": 9}), Settings(quiet=True))
    (killed,) = connect().client.search_runs(["0"], "attributes.status = 'KILLED'")
    executed = Path("executed.txt")
    executed.unlink()
    resume = ("train", "--quiet", "--resume", killed.info.run_id)
    for content in (NET + "\n# changed\n", None):
        net.unlink()
        if content:
            net.write_text(content)
            assert _command(*resume) == 2
            assert "resume with `--trust`" in capsys.readouterr().err
            assert (count(), executed.exists()) == (2, False)
    assert _command("train", "--trust") == 2
    assert "`--trust` is for `--resume`" in capsys.readouterr().err
    assert _command(*resume, "--trust") == 0
    assert count() == 3
    executed.unlink()

    (done,) = connect().client.search_runs(["0"], "tags.`mlproject.resumes` != ''")
    ends = [predict(results.model(one), VALID.codes) for one in (done.info.run_id, whole.run_id)]
    np.testing.assert_array_equal(ends[0], ends[1])
    net.write_text(NET)
    assert _command("interpret", done.info.run_id, "--method", "saliency", "--sequences", "5") == 0
    Path("two.fa").write_text(">a\n" + "ACGTT" * 6 + "\n")
    assert _command("predict", done.info.run_id, "--fasta", "two.fa", "--out", "p.tsv") == 0
    export(connect(), Path("out"), weights=True)
    shutil.copy(migrated_store, "there.db")
    there = connect(f"sqlite:///{workplace / 'there.db'}")
    added = import_runs(there, Path("out")).added
    for copied in added:
        found = results.model(copied, store=there)
        np.testing.assert_array_equal(predict(found, VALID.codes), ends[0])
    assert len(added) == 2
    assert not executed.exists()
