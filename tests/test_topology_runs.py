"""Every topology makes a complete run, which goes to another store and back without loss."""

import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest
from test_networks import BASE, TOPOLOGIES
from test_training import TRAIN, VALID, planted

from mlproject import results
from mlproject.architectures import make_spec
from mlproject.data import make_dataset, write
from mlproject.network.build import build, predict
from mlproject.network.saving import load_model, save_model
from mlproject.run.context import Settings
from mlproject.run.run import run
from mlproject.store import connect
from mlproject.store.exchange.exporting import export
from mlproject.store.exchange.importing import import_runs
from mlproject.store.model_loader import register_layers
from mlproject.store.models import LAYERS

QUICK = ("residual", "self-attention", "both strands")
MODELS: dict[str, dict[str, object]] = TOPOLOGIES | {"of the zoo": {"model": "inception"}}


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in MODELS]
)
def test_a_run_of_any_topology_is_interpreted_exported_and_imported(
    name: str, workplace: Path, migrated_store: Path
) -> None:
    relevant = {"AP1": ["MA0477"], "SP1": ["MA0079"]}
    splits = {"train": TRAIN, "valid": VALID, "test": planted(200, 3)}
    write(make_dataset(splits, ["AP1", "SP1"], relevant), Path("data.h5"))
    shape = MODELS[name] if "model" in MODELS[name] else BASE | MODELS[name]
    training = {"epochs": 1, "batch_size": 64, "window": 7, "dataset": "data.h5"}
    methods = "gradient_x_input,ism" if name == "recurrent" else "gradient_x_input,deeplift"
    spec = make_spec({**shape, **training, "attributions": methods, "attributed": 10})
    done = run(spec, Settings(quiet=True))
    layer = next(key for key in done.metrics if key.endswith("/match_jaspar")).split("/")[0]
    assert done.metrics[f"{layer}/ablation_mean"] == done.metrics[f"{layer}/ablation_mean"]
    assert done.metrics.get("deeplift/completeness_error", 0.0) < 1e-3
    here = connect()
    export(here, Path("out"), weights=True)
    shutil.copy(migrated_store, "there.db")
    there = connect(f"sqlite:///{Path.cwd() / 'there.db'}")
    copied = import_runs(there, Path("out")).added
    mine, yours = (results.runs(store=store) for store in (here, there))
    other = ["run_id", "imported", "inputs", "experiment_id"]
    pandas.testing.assert_frame_equal(mine.drop(columns=other), yours.drop(columns=other))
    one, two = (results.model(key, store=s) for key, s in ((done.run_id, here), (copied[0], there)))
    np.testing.assert_array_equal(predict(one, VALID.codes), predict(two, VALID.codes))


def test_loading_a_logged_model_leaves_the_layers_of_the_project(tmp_path: Path) -> None:
    """Models with attention are saved and loaded as before, in the process that loaded another."""
    register_layers(LAYERS.parent)
    model = build(make_spec(BASE | TOPOLOGIES["self-attention"]), 30, 2)
    save_model(model, tmp_path / "one.keras")
    save_model(load_model(tmp_path / "one.keras"), tmp_path / "two.keras")
    again = load_model(tmp_path / "two.keras")
    np.testing.assert_array_equal(predict(model, VALID.codes), predict(again, VALID.codes))
