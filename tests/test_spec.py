"""The spec: written in any way it is the same, and nothing wrong gets in."""

import math

import pytest
from pydantic import ValidationError

from mlproject.architectures import (
    ARCHITECTURES,
    PROTOCOLS,
    arch_name,
    make_spec,
    network_order,
    printed_name,
    protocol_name,
    recorded_spec,
    run_name,
)
from mlproject.fields import TRAINING_VERSION, canonical_sha256
from mlproject.parameters import field_info, field_names
from mlproject.report.published import published
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError

DATA = "0" * 64


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_architecture_keeps_its_name_and_is_rebuilt_from_its_flat_form(arch: str) -> None:
    spec = make_spec({"arch": arch})
    assert arch_name(spec) == arch
    assert make_spec(spec.flat()) == spec
    assert make_spec({key: str(value) for key, value in spec.flat().items()}) == spec


def test_architectures_are_distinct() -> None:
    hashes = {make_spec({"arch": arch}).train_sha256(DATA) for arch in ARCHITECTURES}
    assert len(hashes) == len(ARCHITECTURES)


def test_small_filters_of_9_nt_are_read_as_wide_as_they_are_and_recorded_runs_as_they_were() -> (
    None
):
    for arch in ("CNN9-4", "CNN9-25"):
        spec = make_spec({"arch": arch})
        assert (spec.window, protocol_name(spec), arch_name(spec)) == (9, "released", arch)
        wide = make_spec({"arch": arch, "window": 19})
        assert (wide.window, protocol_name(wide), arch_name(wide)) == (19, "released", arch)
        assert wide.train_sha256(DATA) == spec.train_sha256(DATA)
        assert recorded_spec(wide.flat()) == wide
        assert protocol_name(make_spec({"arch": arch, "window": 11})) == "custom"
    assert make_spec({"arch": "CNN3-2"}).window == make_spec({"arch": "CNN3-50"}).window == 19
    assert protocol_name(make_spec({"arch": "CNN-2", "window": 9})) == "custom"


@pytest.mark.parametrize("arch", sorted({*published()["arch"], "CNN-50-2-released"}))
def test_pools_of_each_network_of_the_paper_leave_two_positions_of_200_and_ten_of_1000(
    arch: str,
) -> None:
    spec = make_spec({"arch": arch})
    assert spec.map_lengths(200)[-1] == 2
    assert spec.map_lengths(1000)[-1] == 10


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"pool1": "25"}, {"arch": "CNN-25"}),
        ({}, {"arch": "CNN-25", "pool2": 4, "protocol": "released"}),
        ({"arch": "CNN-25", "pool1": 50}, {"arch": "CNN-50"}),
        ({"l2": "-0.0"}, {"l2": 0}),
        ({"learning_rate": "1e-3"}, {"learning_rate": 0.001}),
        ({"protocol": "paper", **PROTOCOLS["released"]}, {"protocol": "released"}),
        ({"arch": "CNN-50-2", "pool_stride1": 50}, {"pool1": 50}),
    ],
)
def test_equal_specs_have_equal_hashes_however_they_are_written(one: dict, other: dict) -> None:
    assert make_spec(one) == make_spec(other)
    assert make_spec(one).spec_sha256(DATA) == make_spec(other).spec_sha256(DATA)


@pytest.mark.parametrize(
    ("spec", "trained", "whole"),
    [
        (recorded_spec({}), "b322b750ad564fb4", "f1c949bcf9a6b313"),
        (make_spec({}), "2e8f3eb64b74512b", "3de03e578a281640"),
    ],
)
def test_the_hashes_of_the_default_run_hold_for_ever(
    spec: RunSpec, trained: str, whole: str
) -> None:
    assert spec.train_sha256(DATA).startswith(trained)
    assert spec.spec_sha256(DATA).startswith(whole)


def test_a_recorded_spec_without_a_training_version_is_of_the_first() -> None:
    first, now = recorded_spec({}), make_spec({})
    assert (first.training_version, now.training_version) == (1, TRAINING_VERSION)
    assert recorded_spec(first.flat()) == make_spec(first.flat()) == first
    assert recorded_spec(now.flat()) == make_spec(now.flat()) == now
    assert first.train_sha256(DATA) != now.train_sha256(DATA)


def test_only_what_changes_the_weights_changes_the_training_hash() -> None:
    base = make_spec({})
    other_window = make_spec({"window": 15})
    assert base.train_sha256(DATA) == other_window.train_sha256(DATA)
    assert base.spec_sha256(DATA) != other_window.spec_sha256(DATA)
    assert base.train_sha256(DATA) != make_spec({"seed": 1}).train_sha256(DATA)
    assert base.train_sha256(DATA) != base.train_sha256("1" * 64)
    moved = make_spec({"dataset": "elsewhere.h5"})
    assert base.train_sha256(DATA) == moved.train_sha256(DATA)


def test_presets_are_recognised_and_overridden() -> None:
    assert protocol_name(make_spec({})) == "released"
    assert protocol_name(make_spec({"protocol": "paper"})) == "paper"
    assert protocol_name(make_spec({"protocol": "paper", "beta1": 0.5})) == "custom"
    paper = make_spec({"protocol": "paper"})
    assert (paper.alignment, paper.threshold, paper.window) == ("paper", 0.7, 0)
    mixed = make_spec({"alignment": "paper", "threshold": 0.6})
    assert (mixed.init, mixed.threshold, mixed.window) == ("glorot_uniform", 0.6, 0)
    assert arch_name(make_spec({"units": 64})) == "custom"
    assert printed_name("CNN-25x60") == "CNN-25 (60)"
    assert printed_name("CNN-1-1-100") == "CNN-1-1-100"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"arch": "CNN-25x60", "seed": 3}, "CNN-25 (60) · seed 3"),
        ({"arch": "CNN-4", "protocol": "paper"}, "CNN-4 · paper · seed 0"),
        ({"beta1": 0.5}, "CNN-25 · custom · seed 0"),
        ({"kernel1": 11, "units": 64}, "CNN kernel1=11 units=64 · seed 0"),
        ({"filters2": 0}, "CNN filters2=0 · seed 0"),
    ],
)
def test_a_run_has_a_name_that_tells_it_from_others(options: dict, name: str) -> None:
    assert run_name(make_spec(options)) == name


def test_a_network_may_have_one_block_or_four() -> None:
    one = make_spec({"filters2": 0})
    assert len(one.blocks) == 1
    assert make_spec(one.flat()) == one
    four = {f"pool{number}": 2 for number in (1, 2, 3, 4)} | {"filters3": 16, "filters4": 8}
    spec = make_spec(four)
    assert spec.map_lengths(200) == [200, 100, 50, 25, 13]
    assert make_spec(spec.flat()) == spec


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pol1": 7}, "unknown parameter `pol1`: did you mean pool1"),
        ({"arch": "CNN25"}, "unknown arch 'CNN25': did you mean CNN-25"),
        ({"protocol": "papr"}, "unknown protocol 'papr': did you mean paper"),
        ({"pool1": 7}, "got pool_stride1=7 (by default pool1); pools of 1 2 4 5 10 20 25 50 100"),
        ({"pool1": "25.0"}, "`pool1` must be an integer: got '25.0'"),
        ({"pool1": 25.0}, "`pool1` must be an integer: got 25.0"),
        ({"pool1": True}, "`pool1` must be an integer: got True"),
        ({"l2": "nan"}, "`l2` must be a number: got 'nan'"),
        ({"l2": math.inf}, "`l2` must be a finite number: got inf"),
        ({"pool1": 0}, "`pool1` must be greater than or equal to 1: got 0"),
        ({"dropout_conv": 1.5}, "`dropout_conv` must be less than or equal to 0.99: got 1.5"),
        ({"init": "zeros"}, "`init` must be glorot_uniform"),
        ({"alignment": "best"}, "`alignment` must be released, paper or exponential: got 'best'"),
        ({"filters3": 8}, "a network of 3 blocks needs every pool: give pool2"),
        ({"filters2": 0, "pool2": 5}, "`filters2=0` makes a network of one block"),
        ({"pool_stride1": 30}, "`pool_stride1` must not exceed `pool1`"),
        ({"layers": "conv3"}, "`layers` must name convolutions 1 to 2"),
        ({"layers": "conv2"}, "`layers` must have no pooling or stride before it"),
        ({"dataset": "my.h5", "length": 100}, "`length` is for generated data only"),
    ],
)
def test_a_mistake_gets_one_line_that_says_what_to_do(options: dict, message: str) -> None:
    with pytest.raises(UserError) as caught:
        make_spec(options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pool_wider_than_its_input_is_refused_with_what_works() -> None:
    with pytest.raises(UserError, match=r"pool2=25 on a map of 2 positions .* from 1 to 2 work"):
        make_spec({"pool1": 100, "pool2": 25}).map_lengths(200)


def test_a_spec_cannot_be_changed() -> None:
    spec = make_spec({})
    with pytest.raises(ValidationError):
        setattr(spec, "seed", 1)  # noqa: B010, mypy would refuse the assignment
    with pytest.raises(ValidationError):
        RunSpec(blocks=spec.blocks, color="red")  # type: ignore[call-arg]


def test_every_field_has_a_type_and_a_description() -> None:
    for name in field_names():
        info = field_info(name)
        assert info is not None
        assert info.description, name
    assert set(make_spec({}).flat()) <= set(field_names())


def test_canonical_hash_refuses_what_json_cannot_say() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_sha256({"a": math.nan})


def test_names_of_protocols_and_networks_say_what_differs() -> None:
    def names(**options: object) -> tuple[str, str]:
        spec = make_spec(options)
        return arch_name(spec), protocol_name(spec)

    assert names(epochs=15) == ("CNN-25", "released, 15 epochs")
    assert names(protocol="paper", patience=5, monitor="val_auroc") == (
        "CNN-25",
        "paper, patience 5, monitor val_auroc",
    )
    assert names(arch="CNN-2", activation="exponential")[0] in ("CNN-2, exponential", "EXP-CNN-2")
    assert names(arch="CNN-25x60", activation="tanh")[0] == "CNN-25x60, tanh"
    assert printed_name("CNN-25x60, tanh") == "CNN-25 (60), tanh"
    assert network_order("CNN-2, tanh")[0] == network_order("CNN-2")[0]
    assert names(arch="CNN-2", activation="tanh", units=64)[0] == "custom"
    assert run_name(make_spec({"arch": "CNN-2", "activation": "tanh"})) == "CNN-2, tanh · seed 0"
