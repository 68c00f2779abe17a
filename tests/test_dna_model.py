"""The logged model that takes DNA: by itself, served, and where TensorFlow is not installed."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import PATIENCE, TINY
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from mlflow.types import ColSpec, Schema

from mlproject import results
from mlproject.architectures import make_spec
from mlproject.data import load
from mlproject.data.paper import CLASSES
from mlproject.network.build import predict
from mlproject.run.context import RunResult
from mlproject.sequence import decode
from mlproject.sequence import one_hot as codes_to_letters
from mlproject.store import connect
from mlproject.store.model_loader import coded, one_hot, one_hot_codes, sequences

ALONE = """
import json, os, sys
sys.modules |= {name: None for name in ("mlproject", "tensorflow")}
os.environ.pop("KERAS_BACKEND", None)
import mlflow, numpy as np
texts = json.loads(sys.argv[3])
dna = mlflow.pyfunc.load_model(sys.argv[1]).predict(texts)
letters = np.array([["ACGT".find(one) for one in text] for text in texts])
arrays = mlflow.pyfunc.load_model(sys.argv[2]).predict(np.eye(5, 4, dtype=np.float32)[letters])
print(json.dumps([list(dna.columns), dna.values.tolist(), arrays.tolist()]))
"""


def test_letters_become_what_the_network_was_trained_on() -> None:
    texts = ["ACGTN", "acgtr"]
    codes = np.array([[0, 1, 2, 3, 4]] * 2, np.uint8)
    np.testing.assert_array_equal(one_hot(texts, 5), codes_to_letters(codes))
    table = pd.DataFrame({"any": texts})
    for data in (texts, np.array(texts), table, table["any"]):
        assert sequences(data) == texts
    assert sequences("ACGT") == ["ACGT"]
    for data in (codes, codes.tolist(), pd.DataFrame(codes)):
        found = coded(data)
        assert found is not None
        np.testing.assert_array_equal(one_hot_codes(found, 5), codes_to_letters(codes))
    for data in (texts, table, [[0, 1], [2]], "ACGT", [0, 1]):
        assert coded(data) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (["ACGT"], "sequences must have 5 nt: got 4 nt in sequence 1"),
        (["ACGTA", "ACGUA"], "got 'U' at position 4 of sequence 2"),
        ([], "must be a list of sequences"),
        ([5], "must be a list of sequences"),
        (pd.DataFrame({"a": ["A"], "b": ["C"]}), "must have one column of sequences: got 2"),
    ],
)
def test_wrong_input_gets_one_line_that_a_server_answers_with_400(
    data: object, message: str
) -> None:
    with pytest.raises(MlflowException, match=message) as caught:
        one_hot(sequences(data), 5)
    assert caught.value.get_http_status_code() == 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([[0, 1, 2]], r"codes must have the shape \(sequences, 5\): got \(1, 3\)"),
        ([[0, 1, 2, 3, 5]], "codes must be 0 to 3 for ACGT, or 4 for another letter: got 5"),
        ([[0, 1, 2, 3, -1]], "got -1"),
    ],
)
def test_wrong_codes_get_one_line(codes: list[list[int]], message: str) -> None:
    with pytest.raises(MlflowException, match=message):
        one_hot_codes(np.array(codes), 5)


def test_both_models_of_a_run_load_alone_without_tensorflow_and_are_served(
    finished: tuple[Path, RunResult], tmp_path: Path
) -> None:
    folder, result = finished
    store = connect(f"sqlite:///{folder}/mlflow.db")
    models = store.logged_models(result.run_id)
    assert set(models) == {"model", "dna"}
    codes = np.asarray(load(make_spec(TINY), folder / "data").test.codes[:3])
    texts = decode(codes)
    wanted = predict(results.model(result.run_id, store), codes)
    paths = {
        name: mlflow.artifacts.download_artifacts(
            one.artifact_location, dst_path=str(tmp_path / name), tracking_uri=store.uri
        )
        for name, one in models.items()
    }
    command = [sys.executable, "-c", ALONE, paths["dna"], paths["model"], json.dumps(texts)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    columns, dna, arrays = json.loads(answer.stdout.splitlines()[-1])
    assert columns == list(CLASSES)
    np.testing.assert_allclose(dna, wanted, atol=1e-5)
    np.testing.assert_allclose(arrays, wanted, atol=1e-5)
    for path in paths.values():
        assert "mlproject" not in (Path(path) / "requirements.txt").read_text()
    model = mlflow.pyfunc.load_model(paths["dna"])
    schema = model.metadata.get_input_schema()

    def serve(inputs: object) -> dict:
        body = json.dumps({"inputs": inputs})
        served = scoring_server.invocations(body, "application/json", model, schema)
        return dict(json.loads(served.response))

    rows = serve([text.lower() for text in texts])["predictions"]
    assert [list(row) for row in rows] == [list(CLASSES)] * 3
    np.testing.assert_allclose([[*row.values()] for row in rows], wanted, atol=1e-5)
    for given in (codes, codes.tolist(), pd.DataFrame(codes), np.array(texts)):
        np.testing.assert_allclose(model.predict(given), wanted, atol=1e-5)
    assert serve(codes.tolist())["predictions"] == rows
    assert schema == Schema([ColSpec("string")])
    example = json.loads((Path(paths["dna"]) / "serving_input_example.json").read_text())
    assert example == {"inputs": texts[:1]}
    wrong: tuple[tuple[object, str], ...]
    wrong = ((["ACGT"], "must have 150 nt"), (["U" * 150], "got 'U' at position 1"), ({}, "a list"))
    for inputs, message in wrong:
        with pytest.raises(MlflowException, match=message) as caught:
            serve(inputs)
        assert caught.value.get_http_status_code() == 400
        assert "\n" not in json.loads(caught.value.serialize_as_json())["message"]


@pytest.mark.slow
def test_mlflow_models_serve_answers_over_http(
    finished: tuple[Path, RunResult],
    started: list[subprocess.Popen[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, result = finished
    store = connect(f"sqlite:///{folder}/mlflow.db")
    codes = np.asarray(load(make_spec(TINY), folder / "data").test.codes[:2])
    texts, wanted = decode(codes), predict(results.model(result.run_id, store), codes)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"models:/{store.logged_models(result.run_id)['dna'].model_id}"
    monkeypatch.setenv("PYTHONPATH", "")
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", uri]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"MLFLOW_TRACKING_URI": store.uri, "PATH": programs}
    environment.pop("KERAS_BACKEND")
    with (tmp_path / "log.txt").open("w") as log:
        started.append(
            subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                text=True,
                env=environment,
                cwd=tmp_path,
                start_new_session=True,
            )
        )
    address = f"http://127.0.0.1:{port}"
    until = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError), urllib.request.urlopen(f"{address}/ping", timeout=PATIENCE) as one:
            assert one.status == 200
            break
        assert started[0].poll() is None, (tmp_path / "log.txt").read_text()
        assert time.monotonic() < until
        time.sleep(0.5)

    def answer(content: object) -> tuple[int, str]:
        request = urllib.request.Request(
            f"{address}/invocations", json.dumps(content).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    for inputs in (texts, codes.tolist()):
        status, text = answer({"inputs": inputs})
        rows = json.loads(text)["predictions"]
        assert (status, [list(row) for row in rows]) == (200, [list(CLASSES)] * 2)
        np.testing.assert_allclose([[*row.values()] for row in rows], wanted, atol=1e-5)
    for inputs, message in (
        (["ACGT"], "sequences must have 150 nt: got 4 nt in sequence 1"),
        (["U" * 150], "or IUPAC's: got 'U' at position 1 of sequence 1"),
        ([[0, 1]], "codes must have the shape (sequences, 150): got (1, 2)"),
    ):
        status, text = answer({"inputs": inputs})
        assert (status, "\n" in text) == (400, False)
        assert json.loads(text)["message"].endswith(message)
