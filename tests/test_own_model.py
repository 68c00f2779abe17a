"""Models made by a function of the zoo or of the user's file."""

from importlib import import_module
from pathlib import Path

import keras
import numpy as np
import pytest
from optuna.distributions import IntDistribution
from test_training import TRAIN, VALID, after_calls, planted

from mlproject import results
from mlproject.architectures import arch_name, make_spec, protocol_name, run_name, zoo_names
from mlproject.attribution.deeplift import multipliers
from mlproject.commands.train import spec_options
from mlproject.data import Split, make_dataset, write
from mlproject.network import backend
from mlproject.network.build import build, predict
from mlproject.network.graph import joins_strands
from mlproject.network.training import fit
from mlproject.run.checks import check_model
from mlproject.run.context import Settings
from mlproject.run.run import run
from mlproject.sequence import one_hot
from mlproject.store import connect
from mlproject.sweeps.cells import DataSets, plan_cells
from mlproject.sweeps.plan_file import read_plan
from mlproject.sweeps.space import make_space
from mlproject.system.errors import UserError

LENGTH = 30
MINE = """
import keras
from keras import layers

def build(length, classes, width=5, end="sigmoid"):
    x = inputs = keras.Input((length, 4))
    x = layers.Conv1D(6, width, padding="same", activation="relu", name="first")(x)
    x = layers.GlobalMaxPooling1D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation=end)(layers.Dropout(0.1)(x)))

def named(length, classes):
    x = inputs = keras.Input((length, 4))
    x = layers.Conv1D(6, 5, padding="causal", activation="relu", name="logits")(x)
    x = layers.Dense(classes, name="probabilities")(layers.GlobalMaxPooling1D(name="strands")(x))
    return keras.Model(inputs, x)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_net.py"
    path.write_text(MINE)
    return path


@pytest.mark.parametrize("name", zoo_names())
def test_a_model_of_the_zoo_trains_and_resumes_to_equal_weights(name: str, tmp_path: Path) -> None:
    spec = make_spec({"model": name, "epochs": 2, "batch_size": 64, "learning_rate": 0.01})
    shortest = getattr(import_module(f"mlproject.network.zoo.{name}"), "SHORTEST", LENGTH)
    copies = -(-shortest // LENGTH)
    train, valid = (Split(np.tile(one.codes, (1, copies)), one.labels) for one in (TRAIN, VALID))
    ends = []
    for path, stop in ((tmp_path / "a.h5", None), (tmp_path / "b.h5", after_calls(9))):
        model = build(spec, LENGTH * copies, 2)
        fit(model, spec, train, valid, state_path=path, should_stop=stop or (lambda: False))
        if stop is not None:
            model = build(spec, LENGTH * copies, 2)
            fit(model, spec, train, valid, state_path=path, resume=True)
        ends.append([backend.value(one) for one in model.weights])
    if shortest > LENGTH:
        with pytest.raises(UserError, match=f"at least {shortest} nt: got {LENGTH}"):
            build(spec, LENGTH, 2)
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)
    assert arch_name(spec) == name


def test_the_content_of_the_file_and_the_arguments_determine_the_hash(file: Path) -> None:
    spec = make_spec({"model": f"{file}:build", "model_args": '{"width": 3}'})
    other = file.with_name("elsewhere.py")
    other.write_text(MINE)
    moved = make_spec({"model": f"{other}:build", "model_args": ' {"width":3}'})
    assert spec.train_sha256("x") == moved.train_sha256("x")
    assert make_spec({"model": f"{file}:build"}).train_sha256("x") != spec.train_sha256("x")
    assert make_spec(spec.flat()) == spec
    assert run_name(spec) == "build width=3 · seed 0"
    assert protocol_name(spec) == "released"
    other.write_text(MINE + "\n# changed\n")
    changed = make_spec({"model": f"{other}:build", "model_args": '{"width": 3}'})
    assert changed.train_sha256("x") != spec.train_sha256("x")
    with pytest.raises(UserError, match="must be the file that the run began with"):
        build(moved, LENGTH, 2)


def test_logits_become_probabilities_and_probabilities_stay(file: Path) -> None:
    for end in ("sigmoid", "linear"):
        spec = make_spec({"model": f"{file}:build", "model_args": f'{{"end": "{end}"}}'})
        scores = predict(build(spec, LENGTH, 2), VALID.codes)
        assert scores.min() > 0.0
        assert scores.max() < 1.0
        last = build(spec, LENGTH, 2).layers[-1]
        assert isinstance(last, keras.layers.Dense if end == "sigmoid" else keras.layers.Activation)


def test_initial_weights_follow_from_the_seed(file: Path) -> None:
    one, same, other = (
        build(make_spec({"model": f"{file}:build", "seed": seed}), LENGTH, 2) for seed in (1, 1, 2)
    )
    kernels = [backend.value(model.get_layer("first").kernel) for model in (one, same, other)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.h5"
    test = planted(200, 3)
    splits = {"train": TRAIN, "valid": VALID, "test": test}
    relevant = {"AP1": ["MA0477"], "SP1": ["MA0079"]}
    write(make_dataset(splits, ["AP1", "SP1"], relevant), path)
    return path


def test_a_run_of_an_own_model_has_its_file_its_filters_and_its_attributions(
    file: Path, data: Path, workplace: Path
) -> None:
    options = {
        "model": f"{file}:build", "dataset": str(data), "epochs": 2, "batch_size": 64,
        "attributions": "saliency,deeplift", "attributed": 20, "window": 7,
    }  # fmt: skip
    done = run(make_spec(options), Settings(quiet=True))
    store = connect()
    found = store.run(done.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.tags["mlproject.training_pass"] == "model"
    assert found.data.tags["mlproject.arch"] == "build"
    assert "first/match_jaspar" in done.metrics
    assert "first/ablation_mean" in done.metrics
    assert done.metrics["deeplift/completeness_error"] < 1e-3
    copy = store.download(done.run_id, "model.py", workplace / "copy")
    assert copy.read_text() == MINE
    file.unlink()
    (row,) = (one for _, one in results.runs().iterrows())
    assert results.first_layer(row) == "first"
    model = results.model(done.run_id)
    assert predict(model, VALID.codes[:3]).shape == (3, 2)


def test_layers_whose_files_would_be_one_on_some_systems_are_refused(file: Path) -> None:
    spec = make_spec({"model": f"{file}:named", "layers": "logits,Logits"})
    with pytest.raises(UserError, match="`layers` must differ in more than case"):
        check_model(spec, LENGTH, 2, "binary")


def test_a_layer_behind_a_pool_is_left_out_with_a_note(
    data: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = workplace / "pooled.py"
    deeper = (
        "x = layers.MaxPooling1D(2, name='p')(x)",
        "x = layers.Conv1D(4, 3, name='second')(x)",
        "x = layers.GlobalMaxPooling1D()(x)",
    )
    path.write_text(MINE.replace("x = layers.GlobalMaxPooling1D()(x)", "\n    ".join(deeper)))
    options = {
        "model": f"{path}:build",
        "dataset": str(data),
        "epochs": 1,
        "layers": "first,second",
    }
    done = run(make_spec(options), Settings(quiet=True))
    assert "first/match_jaspar" in done.metrics
    assert not any(name.startswith("second/") for name in done.metrics)
    assert "second follows p, a pool or a stride" in capsys.readouterr().err


def test_an_argument_can_be_given_alone_and_varied_by_a_plan(
    file: Path, data: Path, tmp_path: Path
) -> None:
    """Grids, searches, queries and the command line know ``model_args.width``."""
    whole = make_spec({"model": f"{file}:build", "model_args": '{"width": 3}'})
    assert make_spec({"model": f"{file}:build", "model_args.width": "3"}) == whole
    assert make_spec(spec_options(["--model", f"{file}:build", "--model-args.width", "3"])) == whole
    assert whole.columns()["model_args.width"] == 3
    with pytest.raises(UserError, match="must not be in `model_args` too"):
        make_spec({"model": f"{file}:build", "model_args": '{"width": 3}', "model_args.width": 5})
    base = f"base: {{model: '{file}:build', dataset: {data}}}\n"
    plan = tmp_path / "plan.yaml"
    plan.write_text(base + "axes: {model_args.width: {from: 3, to: 7, step: 2}}\n")
    cells = plan_cells(read_plan(plan), DataSets(tmp_path))
    assert [cell.spec.arguments for cell in cells] == [{"width": width} for width in (3, 5, 7)]
    assert cells[0].name == "build · model_args.width=3 · seed 0"
    plan.write_text(base + "axes: {seed: [0]}\nexclude: [{model_args.width: 3}]\n")
    with pytest.raises(UserError, match="`exclude` must name cells of the plan"):
        read_plan(plan)
    plan.write_text(
        base + "search: {space: {model_args.width: {from: 3, to: 9}}, "
        "objectives: {val_auroc: maximize}, trials: 2}\n"
    )
    searched = read_plan(plan)
    assert searched.search is not None
    space = make_space(searched, searched.search, DataSets(tmp_path))
    assert space.distributions == {"model_args.width": IntDistribution(3, 9)}


def test_names_of_the_projects_layers_may_be_the_users_too(file: Path) -> None:
    """Nothing is found by the names logits, probabilities, strands; causal padding has a rule."""
    model = build(make_spec({"model": f"{file}:named"}), LENGTH, 2)
    assert predict(model, VALID.codes[:3]).max() < 1
    assert not joins_strands(model)
    rng = np.random.default_rng(3)
    x, r = (one_hot(rng.integers(0, 4, (5, LENGTH)).astype(np.uint8)) for _ in range(2))
    select = np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 0]]
    scores, found = multipliers(model)(x, r, select)
    difference = scores - multipliers(model)(r, r, select)[0]
    total = (found * (x - r)).sum(axis=(1, 2))
    np.testing.assert_allclose(total, difference, atol=1e-3 * np.abs(difference).max())
