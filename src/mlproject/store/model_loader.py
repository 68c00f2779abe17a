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
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

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
    """A network that takes DNA, letters or codes, and returns probabilities, a column a class."""

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
            data: texts of A, C, G, T and ambiguous letters, in any case: a list, an array, or a
                table of one column; or codes (n, length), A C G T = 0 1 2 3 and 4 for any other
                letter: an array of integers, a list of lists, or a table of `length` columns.
            params: ignored.

        Raises:
            MlflowException: another length or letter; in serving this is an HTTP status of 400.
        """
        codes = coded(data)
        if codes is None:
            letters = one_hot(sequences(data), self.length)
        else:
            letters = one_hot_codes(codes, self.length)
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
            raise WrongInputError(
                f"the input must have one column of sequences: got {data.shape[1]}"
            )
        data = data.iloc[:, 0]
    found = [data] if isinstance(data, str) else list(data)
    if not found or not all(isinstance(one, str) for one in found):
        raise WrongInputError(
            "the input must be a list of sequences, such as ['ACGT...'], or of rows of codes, "
            "such as [[0, 1, 2, 3, ...]]"
        )
    return found


def coded(data: Any) -> np.ndarray | None:
    """Return an array (n, length) of integers, or None for anything else."""
    if isinstance(data, pd.DataFrame | list | tuple | np.ndarray):
        try:
            found = np.asarray(data)
        except ValueError:  # rows of different lengths
            return None
        if found.ndim == 2 and found.size and np.issubdtype(found.dtype, np.integer):
            return found
    return None


def one_hot_codes(codes: np.ndarray, length: int) -> np.ndarray:
    """Return codes (N, length) as float32 (N, length, 4), zeros for the code 4.

    Raises:
        MlflowException: another length or code.
    """
    if codes.shape[1] != length:
        raise WrongInputError(f"codes must have the shape (sequences, {length}): got {codes.shape}")
    if codes.min() < 0 or codes.max() > len(LETTERS):
        wrong = codes[(codes < 0) | (codes > len(LETTERS))][0]
        raise WrongInputError(
            f"codes must be 0 to 3 for {LETTERS}, or 4 for another letter: got {wrong}"
        )
    return np.eye(5, 4, dtype=np.float32)[codes]


def one_hot(texts: list[str], length: int) -> np.ndarray:
    """Return sequences as float32 (N, length, 4), zeros for ambiguous letters.

    Raises:
        MlflowException: another length or letter.
    """
    for number, text in enumerate(texts, 1):
        if len(text) != length:
            raise WrongInputError(
                f"sequences must have {length} nt: got {len(text)} nt in sequence {number}"
            )
        wrong = [one for one in text.upper() if one not in LETTERS + AMBIGUOUS]
        if wrong:
            raise WrongInputError(
                f"sequences must have the letters {LETTERS}, N or IUPAC's: got {wrong[0]!r} at "
                f"position {text.upper().index(wrong[0]) + 1} of sequence {number}"
            )
    codes = np.array([[LETTERS.find(one) for one in text.upper()] for text in texts])
    return np.eye(5, 4, dtype=np.float32)[codes]


class WrongInputError(MlflowException):
    """Input that the model does not take; in serving the HTTP status 400 with this one line.

    MLflow's server would set all the data before the message of an error: the first message stays.
    """

    def __init__(self, line: str) -> None:
        super().__init__(line, error_code=INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        """The line."""
        return str(self.__dict__["line"])

    @message.setter
    def message(self, text: str) -> None:
        self.__dict__.setdefault("line", text)


def _load_pyfunc(path: str) -> Any:
    folder = Path(path)
    settings = json.loads((folder / DNA).read_text(encoding="utf-8"))
    set_backend(settings["backend"])
    if settings["takes"] == "dna":
        return DnaModel(folder, settings)
    register_layers(folder)
    from mlflow.keras import load

    return load._load_pyfunc(str(folder.parent))
