"""The two logged models of a run: ``model`` takes one-hot arrays, ``dna`` takes letters."""

import json
import logging
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import yaml
from mlflow.entities import LoggedModel, Run
from mlflow.models import Model, ModelSignature
from mlflow.tracking.context.registry import resolve_tags
from mlflow.types import ColSpec, Schema, TensorSpec

from mlproject.names import Tag

NETWORK, DNA = "model", "dna"
MOST_NAME = 180
LOADER = Path(__file__).with_name("model_loader.py")  # copied, not imported: see there
LAYERS = Path(__file__).parents[1] / "network" / "relative_attention.py"
SETTINGS, KERAS_FILE = "dna.json", "model.keras"


def log_models(
    client: mlflow.MlflowClient, run: Run, path: Path, content: Mapping[str, Any]
) -> None:
    """Log both models of a run, unless they are there; one that was cut off is completed.

    Args:
        client: of the store.
        run: the run.
        path: the ``.keras`` file.
        content: ``requirements``, and for letters ``classes``, ``average``, ``backend`` and
            ``example``; journals of earlier versions lack these, and get the first model only.

    Raises:
        UserError: the file is damaged.
        MlflowException: the store refuses a model.
    """
    known = models_of(client, run)
    wanted = [NETWORK, DNA] if content.get("classes") else [NETWORK]
    missing = [name for name in wanted if name not in known or known[name].status != "READY"]
    if not missing:
        return
    from mlproject.network.saving import load_model

    model = load_model(path)
    for name in missing:
        logged = known.get(name) or client.create_logged_model(
            run.info.experiment_id,
            _name(run, name),
            run.info.run_id,
            {**resolve_tags(), Tag.MODEL: name},
            dict(run.data.params),
        )
        arguments = _network(model, content) if name == NETWORK else _dna(model, path, content)
        linked = name in known
        kind = _linked(run.info.run_id) if linked else Model
        kind.log(
            artifact_path=None,
            model_id=logged.model_id,
            run_id=None if linked else run.info.run_id,
            pip_requirements=content["requirements"],
            **arguments,
        )


def models_of(client: mlflow.MlflowClient, run: Run) -> dict[str, LoggedModel]:
    """Return the logged models of a run: ``model`` and, in newer runs, ``dna``."""
    found = [
        client.get_logged_model(output.model_id)
        for output in (run.outputs.model_outputs if run.outputs else ())
    ]
    return {one.tags.get(Tag.MODEL, NETWORK): one for one in found}


def _linked(run_id: str) -> type[Model]:
    """Return MLflow's record of a model that is an output of the run already.

    `Model.log` with a `run_id` makes the model an output of the run, and MLflow's store refuses to
    do so twice.
    """

    class Linked(Model):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**{**settings, "run_id": run_id})

    return Linked


def _name(run: Run, kind: str) -> str:
    """Return the run's name in the letters that a model's name may have, and the kind."""
    name = re.sub(r"[^\w() =+-]+", "-", run.info.run_name or "").strip("- ")[:MOST_NAME]
    return f"{name} DNA" if kind == DNA and name else name or kind


class _Keras:
    """MLflow's flavour of Keras with a loader that sets the backend."""

    __name__ = "mlflow.keras"

    @staticmethod
    def save_model(path: str, settings: Mapping[str, Any], **arguments: Any) -> None:
        import mlflow.keras

        mlflow.keras.save_model(path=path, **arguments)
        folder = Path(path)
        _write_settings(folder / "data", settings)
        (folder / "code").mkdir()
        shutil.copy(LOADER, folder / "code" / LOADER.name)
        written = folder / "MLmodel"
        record = yaml.safe_load(written.read_text(encoding="utf-8"))
        record["flavors"]["python_function"] |= {
            "loader_module": LOADER.stem, "code": "code", "data": "data",
        }  # fmt: skip
        written.write_text(yaml.safe_dump(record), encoding="utf-8")


def _network(model: Any, content: Mapping[str, Any]) -> dict[str, Any]:
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *model.input_shape[1:]))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *model.output_shape[1:]))]),
    )
    settings = {"takes": "arrays", "backend": content.get("backend", "jax")}
    return {"flavor": _Keras, "model": model, "signature": signature, "settings": settings}


class _Dna:
    """MLflow's pyfunc flavour, on a folder that is made for it."""

    __name__ = "mlflow.pyfunc"

    @staticmethod
    def save_model(path: str, settings: Mapping[str, Any], keras: Path, **arguments: Any) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "network"
            folder.mkdir()
            shutil.copy(keras, folder / KERAS_FILE)
            _write_settings(folder, settings)
            logger = logging.getLogger("mlflow.pyfunc")
            level = logger.level
            logger.setLevel(logging.WARNING)  # it announces each check of an example
            try:
                mlflow.pyfunc.save_model(
                    path=path,
                    loader_module=LOADER.stem,
                    data_path=str(folder),
                    code_paths=[str(LOADER)],
                    **arguments,
                )
            finally:
                logger.setLevel(level)


def _dna(model: Any, path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    columns: list[ColSpec | TensorSpec] = [ColSpec("double", name) for name in content["classes"]]
    settings = {
        "takes": "dna",
        "backend": content["backend"],
        "classes": list(content["classes"]),
        "length": int(model.input_shape[1]),
        "average": content["average"],
    }
    signature = ModelSignature(Schema([ColSpec("string")]), Schema(columns))
    # MLflow leaves the check of such inputs to the model, which takes texts and arrays of codes;
    # no schema can say that. It is written to the file MLmodel.
    signature._is_signature_from_type_hint = True
    return {
        "flavor": _Dna,
        "keras": path,
        "signature": signature,
        "input_example": [content["example"]],
        "settings": settings,
    }


def _write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    text = json.dumps(settings, indent=1)
    (folder / SETTINGS).write_text(text, encoding="utf-8")
    shutil.copy(LAYERS, folder / LAYERS.name)
