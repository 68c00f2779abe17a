"""Loader of a logged model. A copy travels with the model; it needs Keras, MLflow and pandas only.

MLflow calls `_load_pyfunc`. The Keras backend is set before Keras is imported: the one that trained
the model, else one that is installed.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException

DNA, MODEL, LAYERS = "dna.json", "model.keras", "relative_attention.py"
REGISTERED = "mlproject>RelativeAttention"
BACKENDS = ("jax", "tensorflow", "torch")
LETTERS, AMBIGUOUS = "ACGT", "NRYSWKMBDHV"


def set_backend(recorded: str) -> None:
    """Choose the Keras backend, unless the user or an earlier import of Keras has done so."""
    if "keras" in sys.modules or os.environ.get("KERAS_BACKEND"):
        return
    names = [recorded, *BACKENDS]
    found = [name for name in names if importlib.util.find_spec(name) is not None]
    os.environ["KERAS_BACKEND"] = found[0] if found else recorded


def register_layers(folder: Path) -> None:
    """Make the layers of this project known to Keras, if the model comes with their code.

    Where the project itself has made them known, its own are used.
    """
    import keras

    path = folder / LAYERS
    if path.is_file() and keras.saving.get_registered_object(REGISTERED) is None:
        loader = importlib.util.spec_from_file_location("mlproject_layers", path)
        assert loader is not None
        assert loader.loader is not None
        module = importlib.util.module_from_spec(loader)
        sys.modules["mlproject_layers"] = module
        loader.loader.exec_module(module)


class DnaModel:
    """A network that takes DNA as letters and returns a column of probabilities for each class."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        import keras

        register_layers(folder)
        self.classes: list[str] = settings["classes"]
        self.length: int = settings["length"]
        self.both: bool = settings["average"]
        self.model = keras.saving.load_model(folder / MODEL, compile=False, safe_mode=True)

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return the probabilities of sequences, a row each.

        Args:
            data: a table of one column, a list or an array of texts of A, C, G, T and ambiguous
                letters, in any case.
            params: ignored.

        Raises:
            MlflowException: another length or letter; in serving this is an HTTP status of 400.
        """
        letters = one_hot(sequences(data), self.length)
        scores = self._scores(letters)
        if self.both:
            scores = (scores + self._scores(letters[:, ::-1, ::-1])) / 2
        return pd.DataFrame(scores.astype(np.float64), columns=self.classes)

    def _scores(self, letters: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict(letters, verbose=0))


def sequences(data: Any) -> list[str]:
    """Return the texts of a table of one column, of a list or of an array.

    Raises:
        MlflowException: something else.
    """
    if isinstance(data, pd.DataFrame):
        if data.shape[1] != 1:
            raise _wrong(f"the input must have one column of sequences: got {data.shape[1]}")
        data = data.iloc[:, 0]
    found = [data] if isinstance(data, str) else list(data)
    if not found or not all(isinstance(one, str) for one in found):
        raise _wrong("the input must be a list of sequences, such as ['ACGT...']")
    return found


def one_hot(texts: list[str], length: int) -> np.ndarray:
    """Return sequences as float32 (N, length, 4), zeros for ambiguous letters.

    Raises:
        MlflowException: another length or letter.
    """
    for number, text in enumerate(texts, 1):
        if len(text) != length:
            raise _wrong(
                f"sequences must have {length} nt: got {len(text)} nt in sequence {number}"
            )
        wrong = [one for one in text.upper() if one not in LETTERS + AMBIGUOUS]
        if wrong:
            raise _wrong(
                f"sequences must have the letters {LETTERS}, N or IUPAC's: got {wrong[0]!r} at "
                f"position {text.upper().index(wrong[0]) + 1} of sequence {number}"
            )
    codes = np.array([[LETTERS.find(one) for one in text.upper()] for text in texts])
    return np.eye(5, 4, dtype=np.float32)[codes]


def _wrong(message: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(message)


def _load_pyfunc(path: str) -> Any:
    folder = Path(path)
    settings = json.loads((folder / DNA).read_text(encoding="utf-8"))
    set_backend(settings["backend"])
    if settings["takes"] == "dna":
        return DnaModel(folder, settings)
    register_layers(folder)
    from mlflow.keras import load

    return load._load_pyfunc(str(folder.parent))
