"""Models of a function that a run could not train, store or read: one line each, before the run."""

import json
from pathlib import Path

import pytest

from mlproject.architectures import make_spec
from mlproject.commands.cli import main
from mlproject.network.build import build
from mlproject.system.errors import UserError

LENGTH = 30
MODELS = """
import keras
from keras import layers

def build(length, classes, width=5, end="sigmoid"):
    x = inputs = keras.Input((length, 4))
    x = layers.Conv1D(6, width, padding="same", activation="relu", name="first")(x)
    x = layers.GlobalMaxPooling1D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation=end)(layers.Dropout(0.1)(x)))

def two_outputs(length, classes):
    x = keras.Input((length, 4))
    y = layers.Dense(classes)(layers.Flatten()(x))
    return keras.Model(x, [y, y])

def wrong_length(length, classes):
    x = keras.Input((length + 1, 4))
    return keras.Model(x, layers.Dense(classes)(layers.Flatten()(x)))

def fails(length, classes):
    raise ValueError("no such thing\\nsecond line")

def nothing(length, classes):
    return None

def lambdas(length, classes):
    x = inputs = keras.Input((length, 4))
    x = layers.Lambda(lambda y: y * 2.0)(x)
    return keras.Model(inputs, layers.Dense(classes)(layers.Flatten()(x)))

def twice(length, classes):
    x = inputs = keras.Input((length, 4))
    shared = layers.Conv1D(4, 3, padding="same", name="shared")
    x = layers.Concatenate()([shared(x), shared(x[:, ::-1])])
    return keras.Model(inputs, layers.Dense(classes)(layers.Flatten()(x)))

def nested(length, classes):
    x = inputs = keras.Input((length, 4))
    x = keras.Sequential([layers.Conv1D(4, 3), layers.Flatten()], name="trunk")(x)
    return keras.Model(inputs, layers.Dense(classes)(x))

def ends_in_softmax(length, classes):
    x = inputs = keras.Input((length, 4))
    return keras.Model(inputs, layers.Dense(classes, "softmax")(layers.Flatten()(x)))

def ends_in_parts(length, classes):
    x = inputs = keras.Input((length, 4))
    x = layers.Flatten()(x)
    parts = [layers.Dense(1, "sigmoid")(x) for _ in range(classes)]
    return keras.Model(inputs, layers.Concatenate()(parts))

def exits(length, classes):
    raise SystemExit(3)

def relu(values):
    return values * values

def copied(length, classes):
    x = inputs = keras.Input((length, 4))
    layer = layers.Dense(4, activation=relu, name="original")
    x = layers.Flatten()(type(layer).from_config(layer.get_config())(x))
    return keras.Model(inputs, layers.Dense(classes)(x))

def with_part(length, classes, part):
    regulariser = type("Reg", (keras.regularizers.Regularizer,), {"__call__": lambda self, x: 0.0})
    parts = {
        "named as of Keras": {"activation": relu},
        "lambda": {"activation": lambda values: values},
        "regulariser": {"kernel_regularizer": regulariser()},
        "float16": {"dtype": "float16"},
        "none": {},
    }
    x = inputs = keras.Input((length, 4))
    x = layers.Conv1D(4, 3, name="motifs", **parts[part])(x)
    return keras.Model(inputs, layers.Dense(classes)(layers.Flatten()(x)))

class Square(layers.Layer):
    def call(self, values):
        return values * values

def square(values):
    return values * values

def orthogonal(shape, dtype=None):
    return keras.ops.zeros(shape, dtype)

def recurrent(length, classes, part, both=False):
    parts = {
        "named as of Keras": {"activation": relu},
        "initialiser of Keras' name": {"recurrent_initializer": orthogonal},
        "function": {"recurrent_activation": square},
        "lambda": {"activation": lambda values: values},
        "layer": {"activation": Square(name="square")},
    }
    x = inputs = keras.Input((length, 4))
    layer = layers.GRU(4, name="memory", **parts[part])
    x = layers.Bidirectional(layer)(x) if both else layer(x)
    return keras.Model(inputs, layers.Dense(classes)(x))

def ends_in_operation(length, classes):
    x = inputs = keras.Input((length, 4))
    return keras.Model(inputs, keras.ops.sigmoid(layers.Dense(classes)(layers.Flatten()(x))))

text = "no function"
"""

WITH_PART: dict[str, object] = {"model": "{}:with_part"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_net.py"
    path.write_text(MODELS)
    return path


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "{}:two_outputs"}, r"one output of shape \(2,\), .*: got \[\(2,\), \(2,\)\]"),
        ({"model": "{}:wrong_length"}, r"one input of shape \(30, 4\)"),
        ({"model": "{}:fails"}, r"ValueError: no such thing' in line \d+$"),
        ({"model": "{}:nothing"}, "must return a keras.Model"),
        ({"model": "{}:missing"}, "have a function missing"),
        ({"model": "{}:text"}, "must have a function text"),
        ({"model": "{}:build", "model_args": '{{"depth": 3}}'}, "unexpected keyword argument"),
        ({"model": "{}:build", "model_args": "[3]"}, "JSON object"),
        ({"model_args.width": 3}, "give `model` too"),
        ({"model": "{}:lambdas"}, r"layers of Keras only.*lambda"),
        (WITH_PART | {"model_args.part": "named as of Keras"}, "motifs has the activation relu"),
        (WITH_PART | {"model_args.part": "lambda"}, "motifs has the activation <lambda>"),
        (WITH_PART | {"model_args.part": "regulariser"}, "motifs has the kernel_regularizer Reg"),
        (WITH_PART | {"model_args.part": "float16"}, "got motifs in float16"),
        ({"model": "{}:ends_in_operation"}, r'use layers.Activation\("sigmoid"\)$'),
        ({"model": "{}:copied"}, "original has the activation relu"),
        ({"model": "{}:twice"}, "shared is called 2 times"),
        ({"model": "{}:nested"}, "the model trunk inside it"),
        ({"model": "{}:ends_in_softmax"}, r"got dense \(softmax\)"),
        ({"model": "{}:ends_in_parts"}, r"must end in a layer of logits.*Concatenate"),
        ({"model": "{}:exits"}, "SystemExit"),
        ({"model": "{}:build", "model_args": '{{"width": NaN}}'}, "JSON object"),
        ({"model": "{}x.py:build"}, "there is no"),
        ({"model": "resnet9000"}, "unknown model 'resnet9000'"),
        ({"model": "{}:build", "pool1": 3}, "`pool1` is for model=blocks only"),
        ({"model": "{}:build", "arch": "CNN-2"}, "`arch` is for model=blocks only"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_used_is_refused_in_one_line(
    options: dict[str, object], says: str, file: Path
) -> None:
    filled = {
        key: value.format(file) if isinstance(value, str) else value
        for key, value in options.items()
    }
    with pytest.raises(UserError, match=says) as caught:
        build(make_spec(filled), LENGTH, 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "both", "says"),
    [
        ("named as of Keras", False, "memory has the activation relu"),
        ("named as of Keras", True, "memory has the activation relu"),
        ("initialiser of Keras' name", True, "memory has the recurrent_initializer orthogonal"),
        ("function", False, "memory has the recurrent_activation square"),
        ("function", True, "memory has the recurrent_activation square"),
        ("lambda", True, "memory has the activation <lambda>"),
        ("layer", False, r"got square \(Square\)"),
        ("layer", True, r"got square \(Square\)"),
    ],
)
def test_an_own_activation_of_a_recurrent_layer_is_refused_in_one_line(
    part: str, both: bool, says: str, file: Path
) -> None:
    options = {"model": f"{file}:recurrent", "model_args.part": part, "model_args.both": both}
    with pytest.raises(UserError, match=says) as caught:
        build(make_spec(options), LENGTH, 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("axes: {model_args.part: [none, lambda], seed: [0, 1]}",
         "cell with_part · model_args.part=lambda · seed 0: `model`: "),
        ("search: {space: {model: ['FILE:with_part', 'FILE:nothing']}, trials: 2, "
         "objectives: {val_auroc: maximize}}", "plan plan, cell nothing · seed 0: `model`: "),
    ],
)  # fmt: skip
def test_a_dry_run_refuses_what_a_run_would_refuse(
    rest: str, says: str, file: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = {"sequences": 50, "length": 150, "model": f"{file}:with_part", "model_args.part": "none"}
    plan = workplace / "plan.yaml"
    plan.write_text(f"base: {json.dumps(base)}\n{rest.replace('FILE', str(file))}\n")
    with pytest.raises(SystemExit) as end:
        main(["sweep", str(plan), "--dry-run"])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not (workplace / "runs").exists()


def test_a_dry_run_builds_each_different_model_once(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = workplace / "my_net.py"
    path.write_text(MODELS + '\nprint("loaded")\n')
    base = {"sequences": 50, "length": 150, "model": f"{path}:build"}
    plan = workplace / "plan.yaml"
    axes = {"model_args.width": [3, 5], "seed": [0, 1, 2]}
    plan.write_text(json.dumps({"base": base, "axes": axes}))
    main(["sweep", str(plan), "--dry-run"])
    out = capsys.readouterr().out
    assert out.count("loaded") == 2
    assert "6 cells, 0 done, 6 to do" in out
