"""What is said of a spec before its training, and arguments and dilations that are refused."""

import re

import pytest

from mlproject.architectures import make_spec
from mlproject.spec import notes
from mlproject.system.errors import UserError


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"warmup": 5, "epochs": 2, "learning_rate": 0.01},
            "warmup=5 is above epochs=2: the learning rate ends at 0.004",
        ),
        ({"min_lr": 0.1, "decay": "cosine"}, "min_lr=0.1 is above learning_rate=0.001: .* rises"),
        ({"min_lr": 0.1, "reduce_lr_factor": 0.5}, "the rate is never reduced"),
        ({"min_lr": 1e-5}, "min_lr=1e-05 has no effect: it needs reduce_lr_factor below 1, or dec"),
        ({"weight_decay": 0.1}, "weight_decay=0.1 has no effect: it needs optimizer=adamw"),
        ({"sgd_momentum": 0.5}, "sgd_momentum=0.5 has no effect"),
        ({"units": 96, "dense": "64,32"}, "units=96 has no effect: dense=64,32 lists"),
        ({"attention_key": 8}, "attention_key=8 has no effect: it needs attention=1 or more"),
        ({"dilation_residual1": 2}, "dilation_residual1=2 has no effect: it needs residual1=1"),
    ],
)
def test_a_value_that_does_nothing_or_not_what_one_expects_is_noted_once(
    options: dict[str, object], says: str
) -> None:
    (note,) = notes(make_spec(options))
    assert re.search(says, note)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"protocol": "exponential"},
        {"warmup": 3, "epochs": 3},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"decay": "cosine", "min_lr": 1e-6},
        {"dense": "64,32"},
        {"residual1": 3, "dilation_residual1": 2, "attention": 1, "attention_heads": 2},
        {"augment": "evoaug", "augment_most": 3},
        {"model": "inception"},
    ],
)
def test_a_usual_spec_has_no_note(options: dict[str, object]) -> None:
    assert notes(make_spec(options)) == []


@pytest.mark.parametrize("text", ['{"width": 1, "width": 2}', '{"a": {"width": 1, "width": 2}}'])
def test_an_argument_that_stands_twice_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^`model_args` .* once: got 'width' twice"):
        make_spec({"model": "inception", "model_args": text})
    with pytest.raises(UserError, match="twice"):
        make_spec({"model": "inception", "model_args": text, "model_args.filters": 3})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"dilation1": 200}, "`dilation1` must be below the length of its map.*200 positions"),
        ({"dilation2": 8}, r"dilation2=8 on 8 positions"),
        (
            {"residual1": 9, "dilation_residual1": 2},
            "got 256 on 200 positions; take residual1=8 or fewer",
        ),
        ({"residual2": 100, "dilation_residual2": 1000}, "more than 10.9 on 8 positions"),
    ],
)
def test_weights_that_could_read_padding_only_are_refused(
    options: dict[str, object], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        make_spec(options).map_lengths(200)


@pytest.mark.parametrize(
    "options",
    [
        {"dilation1": 199},
        {"residual1": 8, "dilation_residual1": 2},
        {"residual1": 100},
        {"residual1": 20, "dilation_residual1": 5, "kernel_residual1": 1},
    ],
)
def test_dilations_within_the_map_are_taken(options: dict[str, object]) -> None:
    assert make_spec(options).map_lengths(200) == [200, 8, 2]
