"""What a run is: one frozen, validated, hashable object.

Users write flat names (``pool1=25``, ``filters3=128``). A `RunSpec` keeps the convolutions as a
tuple of `Block`: a network may have any number of them. `RunSpec.flat` gives flat names back.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mlproject.system.errors import UserError, nearest, shown

MILLION = 1_000_000

Positive = Annotated[int, Field(ge=1, le=MILLION)]
Natural = Annotated[int, Field(ge=0, le=MILLION)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=1, le=100 * MILLION)]
DropoutRate = Annotated[float, Field(ge=0.0, le=0.99)]
Momentum = Annotated[float, Field(ge=0.0, le=0.9999)]  # float32 knows few numbers nearer to 1
Epsilon = Annotated[float, Field(ge=1e-30, le=1000.0)]  # float32 has it, and its square root
PositiveFloat = Annotated[float, Field(gt=0.0)]

MOST_DIGITS = 60  # characters of a number

BLOCK_FIELDS = ("filters", "kernel", "stride", "pool", "pool_stride")
GENERATED_FIELDS = ("sequences", "length", "data_seed")
NETWORK_FIELDS = ("blocks", "units", "activation", "dropout_conv", "dropout_dense")
TESTING_FIELDS = ("average",)
LATER_FIELDS = (
    "augment", "average", "through_pool", "attributions", "attributed", "training_version",
)  # fmt: skip
TRAINING_VERSION = 2  # 2: initial weights from numpy
INTERPRETATION_FIELDS = (
    "layers", "through_pool", "alignment", "threshold", "window", "evalue", "attributions",
    "attributed",
)  # fmt: skip
ATTRIBUTIONS = (
    "saliency", "gradient_x_input", "gradient_x_input_raw", "smoothgrad", "integrated_gradients",
    "expected_gradients", "deeplift", "ism", "ism_window",
)  # fmt: skip
MODISCO = "modisco"

AlignmentName = Literal["released", "paper"]

TYPE_NAMES: dict[type, str] = {int: "an integer", float: "a number", str: "a text"}


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    @field_validator("*", mode="after")
    @classmethod
    def _no_negative_zero(cls, value: Any) -> Any:
        return 0.0 if isinstance(value, float) and value == 0.0 else value


class Block(_Frozen):
    """One convolution block: convolution, batch norm, activation, max-pool, dropout."""

    filters: Positive = Field(description="number of filters")
    kernel: Positive = Field(description="filter width, nt of its input")
    stride: Positive = Field(1, description="step of the convolution")
    pool: Positive = Field(description="max-pool window, 1 = none")
    pool_stride: Positive = Field(description="step of the max-pool")


class RunSpec(_Frozen):
    """Everything that can change the result of a run.

    `mlproject.architectures.make_spec` builds one: it knows the presets and the derived values.
    """

    dataset: Annotated[str, Field(min_length=1)] = Field(
        "synthetic", description="`synthetic`, or the path of an HDF5 file"
    )
    sequences: Annotated[int, Field(ge=10, le=100 * MILLION)] = Field(
        25_000, description="synthetic data: number of sequences"
    )
    length: Positive = Field(200, description="synthetic data: nt a sequence")
    data_seed: Seed = Field(0, description="synthetic data: seed of the generator")
    blocks: Annotated[tuple[Block, ...], Field(min_length=1)]
    units: Positive = Field(512, description="units of the dense layer")
    activation: Literal["relu", "exponential", "elu", "softplus", "sigmoid", "tanh"] = Field(
        "relu", description="activation of the first convolution (deeper layers: relu)"
    )
    dropout_conv: DropoutRate = Field(0.1, description="dropout after each max-pool")
    dropout_dense: DropoutRate = Field(0.5, description="dropout after the dense layer")
    init: Literal["glorot_uniform", "glorot_normal", "he_uniform", "he_normal"] = Field(
        "glorot_uniform", description="initial weights"
    )
    l2: Annotated[float, Field(ge=0.0, le=1000.0)] = Field(
        1e-6, description="l2 * sum(w^2) over convolution and dense weights"
    )
    bn_epsilon: Epsilon = Field(1e-8, description="epsilon of batch norm")
    bn_momentum: Momentum = Field(0.99, description="momentum of batch norm's moving averages")
    batch_size: Positive = Field(100, description="sequences a training step")
    learning_rate: PositiveFloat = Field(1e-3, description="Adam's learning rate")
    beta1: Momentum = Field(0.95, description="Adam's beta 1")
    adam_epsilon: Epsilon = Field(1e-8, description="Adam's epsilon")
    epochs: Positive = Field(100, description="most epochs to train")
    patience: Natural = Field(
        20, description="stop after so many epochs without a better `monitor`, 0 = never"
    )
    monitor: Literal["val_loss", "val_cross_entropy"] = Field(
        "val_loss", description="its lowest value gives the best weights; val_loss includes L2"
    )
    augment: Literal["none", "reverse_complement"] = Field(
        "none", description="training also on the other strand, each time with a chance of one half"
    )
    average: Literal["none", "reverse_complement"] = Field(
        "none", description="test scores are the mean of both strands"
    )
    seed: Seed = Field(0, description="seed of weights, order of batches and dropout")
    training_version: Annotated[int, Field(ge=1, le=TRAINING_VERSION)] = Field(
        1, description=f"version of the training code; only {TRAINING_VERSION} can be trained"
    )
    layers: Annotated[str, Field(pattern=r"^conv[1-9][0-9]?(,conv[1-9][0-9]?)*$")] = Field(
        "conv1", description="layers whose filters are read, comma-separated"
    )
    through_pool: Literal["refuse", "argmax"] = Field(
        "refuse",
        description="`layers` behind a pool or stride: `argmax` aligns them, approximately, by "
        "where the largest input came from",
    )
    alignment: AlignmentName = Field("released", description="how activations become sites")
    threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.5, description="share of the maximum activation that makes a site"
    )
    window: Annotated[int, Field(ge=0, le=10_000)] = Field(
        19, description="width of a filter's PWM, nt; 0 = the filter's size"
    )
    evalue: PositiveFloat = Field(0.1, description="largest E-value of a Tomtom match")

    attributions: str = Field(
        "none", description=f"ways to attribute, comma-separated: {', '.join(ATTRIBUTIONS)}"
    )
    attributed: Count = Field(300, description="test sequences that are attributed")

    @property
    def methods(self) -> tuple[str, ...]:
        """The ways to attribute, `MODISCO` after the one that it is for."""
        return () if self.attributions == "none" else tuple(self.attributions.split(","))

    @field_validator("attributions", mode="after")
    @classmethod
    def _known_methods(cls, text: str) -> str:
        return ",".join(parse_methods(text)) or "none"

    @model_validator(mode="after")
    def _layers_keep_positions(self) -> "RunSpec":
        if len(set(self.layer_numbers)) < len(self.layer_numbers):
            raise ValueError("must name each convolution once")
        for number in self.layer_numbers:
            if number > len(self.blocks):
                raise ValueError(f"must name convolutions 1 to {len(self.blocks)} of the network")
            if self.through_pool == "refuse" and not self.keeps_positions(number):
                raise ValueError(
                    "must have no pooling or stride before it, for the position of an activation "
                    "is lost (through_pool=argmax aligns approximately)"
                )
        return self

    @property
    def layer_numbers(self) -> tuple[int, ...]:
        """The convolutions whose filters are read, counted from 1."""
        return tuple(int(name.removeprefix("conv")) for name in self.layers.split(","))

    def keeps_positions(self, number: int) -> bool:
        """Whether no pool or stride precedes convolution `number`, counted from 1."""
        return not any(block.pool > 1 or block.stride > 1 for block in self.blocks[: number - 1])

    @property
    def generated(self) -> bool:
        """Whether the data set is generated from `data_seed`, `sequences` and `length`."""
        return self.dataset == "synthetic"

    def flat(self) -> dict[str, int | float | str]:
        """Return the spec under the flat names that users write: ``{"pool1": 25, ...}``."""
        values: dict[str, int | float | str] = {}
        for name in type(self).model_fields:
            if name == "blocks":
                for number, block in enumerate(self.blocks, 1):
                    values |= {f"{key}{number}": getattr(block, key) for key in BLOCK_FIELDS}
                if len(self.blocks) == 1:
                    values["filters2"] = 0
            elif self.generated or name not in GENERATED_FIELDS:
                values[name] = getattr(self, name)
        return values

    def train_sha256(self, dataset_sha256: str) -> str:
        """Return the hash of all that determines the trained weights.

        Args:
            dataset_sha256: content hash of the data set; its path and generator do not count.
        """
        ignored = {"dataset", *GENERATED_FIELDS, *INTERPRETATION_FIELDS, *TESTING_FIELDS}
        values = without_later_defaults(self.flat())
        values = {key: value for key, value in values.items() if key not in ignored}
        return canonical_sha256(values | {"dataset_sha256": dataset_sha256})

    def spec_sha256(self, dataset_sha256: str) -> str:
        """Return the hash of all that determines the run's results: training, test, filters."""
        names = (*INTERPRETATION_FIELDS, *TESTING_FIELDS)
        values = without_later_defaults({name: getattr(self, name) for name in names})
        return canonical_sha256(values | {"train_sha256": self.train_sha256(dataset_sha256)})

    def map_lengths(self, length: int) -> list[int]:
        """Return the length of the sequence and of the map that each block passes on.

        Raises:
            UserError: a filter is wider than the sequence, or a max-pool wider than its input.
        """
        lengths = [length]
        for number, block in enumerate(self.blocks, 1):
            if block.kernel > length:
                raise UserError(
                    f"`kernel{number}` must not be wider than the sequences: "
                    f"got kernel{number}={block.kernel} on {length} nt"
                )
            scanned = -(-lengths[-1] // block.stride)
            if block.pool > scanned:
                raise UserError(
                    f"`pool{number}` must not be wider than its input: "
                    f"got pool{number}={block.pool} on a map of {scanned} positions "
                    f"(sequences of {length} nt); values from 1 to {scanned} work"
                )
            lengths.append(-(-scanned // block.pool_stride))
        return lengths


class FieldInfo(NamedTuple):
    """What a user may write for one flat name."""

    kind: type[int] | type[float] | type[str]
    description: str


@lru_cache(maxsize=1024)
def field_info(name: str) -> FieldInfo | None:
    """Return type and description of a flat field name, None if there is no such field."""
    match = re.fullmatch(rf"({'|'.join(BLOCK_FIELDS)})([1-9]\d?)", name)
    if match:
        return FieldInfo(int, Block.model_fields[match[1]].description or "")
    field = RunSpec.model_fields.get(name)
    if field is None or name == "blocks":
        return None
    kinds: dict[object, type[int] | type[float]] = {int: int, float: float}
    return FieldInfo(kinds.get(field.annotation, str), field.description or "")


def field_names() -> list[str]:
    """Return the flat names of all fields, those of blocks for the first three."""
    names: list[str] = []
    for name in RunSpec.model_fields:
        blocks = [f"{key}{number}" for number in (1, 2, 3) for key in BLOCK_FIELDS]
        names += blocks if name == "blocks" else [name]
    return names


def parse_value(name: str, value: object) -> int | float | str:
    """Turn what a user wrote for field `name` (text, or a YAML value) into the field's type.

    Raises:
        UserError: the value has another type; integers refuse booleans and ``25.0``.
    """
    info = field_info(name)
    assert info is not None, name
    if isinstance(value, str) and info.kind is not str:
        pattern = r"[+-]?\d+" if info.kind is int else r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
        if re.fullmatch(pattern, value.strip()) and len(value) <= MOST_DIGITS:
            value = info.kind(value)
    if isinstance(value, int) and abs(value) >= 2**63:
        raise UserError(f"`{name}` must be below 2^63: got {shown(value)} ({info.description})")
    if isinstance(value, info.kind) and not isinstance(value, bool):
        return value
    if info.kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise UserError(
        f"`{name}` must be {TYPE_NAMES[info.kind]}: got {shown(value)} ({info.description})"
    )


def without_later_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the fields that earlier versions did not have, at their defaults: hashes hold."""
    fields = RunSpec.model_fields
    return {
        name: value
        for name, value in values.items()
        if name not in LATER_FIELDS or value != fields[name].default
    }


def canonical_sha256(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of canonical JSON: sorted keys, no spaces, finite numbers."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def parse_methods(text: str) -> tuple[str, ...]:
    """Read ``none`` or names of `ATTRIBUTIONS`, comma-separated, `MODISCO` after one of them.

    Raises:
        UserError: a name that is none, one given twice, `MODISCO` with nothing to work on.
    """
    names = () if text == "none" else tuple(name.strip() for name in text.split(","))
    for number, name in enumerate(names):
        if name not in (*ATTRIBUTIONS, MODISCO):
            raise UserError(
                f"unknown method {shown(name)}: {nearest(name, (*ATTRIBUTIONS, MODISCO))}"
            )
        if name in names[:number]:
            raise UserError(f"a method is given once: got {name} twice in {text!r}")
    at = names.index(MODISCO) if MODISCO in names else None
    if at is not None and (at == 0 or names[at - 1] == "ism_window"):
        raise UserError(
            f"`{MODISCO}` works on the scores of the method before it, such as deeplift,{MODISCO}, "
            f"and needs one with scores for every letter: got {text!r}"
        )
    return names
