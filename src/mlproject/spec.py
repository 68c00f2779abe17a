"""What a run is: one frozen, validated, hashable object.

Users write flat names (``pool1=25``, ``filters3=128``). A `RunSpec` keeps the convolutions as a
tuple of `Block`: a network may have any number of them. `RunSpec.flat` gives flat names back.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, cast

from pydantic import Field, field_validator, model_validator
from pydantic.fields import FieldInfo as FieldDeclaration

from mlproject.fields import (
    ATTRIBUTIONS,
    BLOCKS,
    EVOAUG,
    FROM_DATA,
    GENERATED,
    JASPAR_2016,
    LAYERS_PATTERN,
    MILLION,
    MODEL_PATTERN,
    MOST_ARGUMENTS,
    TRAINING_VERSION,
    ActivationName,
    AlignmentName,
    Count,
    DropoutRate,
    Epsilon,
    Few,
    Frozen,
    Group,
    Momentum,
    MonitorName,
    Natural,
    Padding,
    Positive,
    PositiveFloat,
    Seed,
    canonical_sha256,
    data_field,
    declared,
    interpretation_field,
    jaspar_names,
    network_field,
    parse_databases,
    parse_methods,
    testing_field,
    training_field,
)
from mlproject.geometry import Kernel, Window
from mlproject.system.errors import UserError, short_repr


class Block(Frozen):
    """One convolution block: convolution, batch norm, activation, max-pool, dropout."""

    filters: Positive = network_field(..., "number of filters", fits=True)
    kernel: Positive = network_field(..., "filter width, nt of its input")
    stride: Positive = network_field(1, "step of the convolution", fits=True)
    pool: Positive = network_field(..., "max-pool window, 1 = none", fits=True)
    pool_stride: Positive = network_field(..., "step of the max-pool", fits=True)
    padding: Padding = network_field("same", "padding of the convolution", later=True, fits=True)
    dilation: Positive = network_field(1, "distance of neighbouring weights, nt", later=True)
    activation: ActivationName | None = network_field(
        None, "activation; by default `activation` in block 1, relu in later ones", later=True
    )
    pooling: Literal["max", "average", "attention"] = network_field(
        "max", "largest value, mean, or mean with softmax weights", later=True
    )
    pool_padding: Padding = network_field("same", "padding of the pooling", later=True, fits=True)
    dropout: DropoutRate | None = network_field(
        None, "dropout of the block; by default `dropout_conv`", later=True
    )
    residual: Few = network_field(0, "residual convolutions after the block's own", later=True)
    kernel_residual: Positive = network_field(3, "width of the residual convolutions", later=True)
    dilation_residual: Positive = network_field(
        1,
        "factor of the dilation from one residual convolution to the next; 2: 1, 2, 4, ...",
        later=True,
    )

    @property
    def convolution(self) -> Window:
        """The window of the convolution."""
        return Window(self.kernel, self.stride, self.padding, self.dilation)

    @property
    def max_pool(self) -> Window:
        """The window of the pooling."""
        if self.pool == 1:
            return Window(1)
        padding = "valid" if self.pooling == "attention" else self.pool_padding
        return Window(self.pool, self.pool_stride, padding)


class RunSpec(Frozen):
    """Everything that can change the result of a run.

    `mlproject.architectures.make_spec` builds one: it knows the presets and the derived values.
    """

    dataset: Annotated[str, Field(min_length=1)] = data_field(
        "synthetic", f"generated data, {', '.join(GENERATED)}, or the path of an HDF5 file"
    )
    sequences: Annotated[int, Field(ge=10, le=100 * MILLION)] = data_field(
        25_000, "generated data: number of sequences; by default as many as the paper has"
    )
    length: Positive = data_field(200, "generated data: nt a sequence", fits=True)
    data_seed: Seed = data_field(0, "generated data: seed of the generator")
    folds: Annotated[int, Field(ge=0, le=100)] = data_field(
        0,
        "0: the splits of the data; 3 or more: parts by chromosome, or by clusters of similar "
        "sequences, one for testing and the next for validation",
        later=True,
    )
    fold: Annotated[int, Field(ge=1, le=100)] = data_field(
        1, "the part to test on, from 1 to `folds`", later=True
    )
    model: Annotated[str, Field(pattern=MODEL_PATTERN)] = network_field(
        BLOCKS,
        "`blocks`: convolution blocks and dense layers by the parameters below; a file of "
        "`mlproject.network.zoo`; or FILE.py:FUNCTION, a function of yours",
        later=True,
    )
    model_args: str = network_field(
        "{}", "arguments of the model's function, a JSON object", later=True
    )
    model_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = network_field(
        "", "set by the program: SHA-256 of FILE.py", later=True
    )
    blocks: tuple[Block, ...] = network_field(..., "convolution blocks, first to last")
    units: Positive = network_field(512, "units of the dense layer")
    activation: ActivationName = network_field(
        "relu", "activation of the first convolution (deeper layers: relu)"
    )
    dropout_conv: DropoutRate = network_field(0.1, "dropout after each max-pool")
    dropout_dense: DropoutRate = network_field(0.5, "dropout after each dense layer")
    order: Literal["pool_dropout", "dropout_pool"] = network_field(
        "pool_dropout", "order of max-pool and dropout in a block", later=True
    )
    batch_norm: Literal["on", "off"] = network_field(
        "on", "batch norm before activations", later=True
    )
    attention: Few = network_field(
        0, "blocks of multi-head self-attention after the convolutions", later=True
    )
    attention_heads: Annotated[int, Field(ge=1, le=1024)] = network_field(
        4, "heads of each attention block", later=True
    )
    attention_key: Annotated[int, Field(ge=1, le=4096)] = network_field(
        32, "size of each head's queries and keys", later=True
    )
    recurrent: Annotated[int, Field(ge=0, le=16_384)] = network_field(
        0, "units of a bidirectional LSTM after the convolutions, 0 = none", later=True
    )
    head: Literal["flatten", "global_max", "global_average"] = network_field(
        "flatten", "how the map enters the dense layers", later=True
    )
    dense: Annotated[str, Field(pattern=r"^([1-9]\d{0,6}(,[1-9]\d{0,6}){0,19})?$")] = network_field(
        "", "units of several dense layers, comma-separated; empty: one of `units`", later=True
    )
    output_l2: Annotated[float, Field(ge=0.0, le=1000.0)] | None = network_field(
        None, "L2 factor of the output layer; by default `l2`", later=True
    )
    strands: Literal["single", "shared"] = network_field(
        "single",
        "`shared`: one network reads both strands, and their logits are averaged",
        later=True,
    )
    init: Literal["glorot_uniform", "glorot_normal", "he_uniform", "he_normal"] = training_field(
        "glorot_uniform", "initial weights"
    )
    l2: Annotated[float, Field(ge=0.0, le=1000.0)] = training_field(
        1e-6, "l2 * sum(w^2) over convolution and dense weights"
    )
    bn_epsilon: Epsilon = training_field(1e-8, "epsilon of batch norm")
    bn_momentum: Momentum = training_field(0.99, "momentum of batch norm's moving averages")
    bn_averages: Literal["moving", "measured"] = training_field(
        "moving",
        "statistics of batch norm in validation and test: moving averages, or those measured on "
        "training sequences at the end of each epoch, better for small data",
        later=True,
    )
    batch_size: Positive = training_field(100, "sequences a training step")
    learning_rate: PositiveFloat = training_field(1e-3, "Adam's learning rate")
    beta1: Momentum = training_field(0.95, "Adam's beta 1")
    adam_epsilon: Epsilon = training_field(1e-8, "Adam's epsilon")
    epochs: Positive = training_field(100, "most epochs to train")
    patience: Natural = training_field(
        20, "stop after so many epochs without a better `monitor`, 0 = never"
    )
    monitor: MonitorName = training_field(
        "val_loss",
        "its best value gives the best weights; losses are best at the lowest value, the others at "
        "the highest; val_loss includes L2; `pooled`: over all classes together",
    )
    weights: Literal["best", "last"] = training_field(
        "best", "the epoch whose weights the run keeps", later=True
    )
    optimizer: Literal["adam", "adamw", "sgd"] = training_field("adam", "optimizer", later=True)
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = training_field(
        0.0, "decoupled weight decay of adamw", later=True
    )
    sgd_momentum: Momentum = training_field(0.9, "momentum of sgd", later=True)
    clip_norm: Annotated[float, Field(ge=0.0, le=1e6)] = training_field(
        0.0, "largest norm of all gradients together, 0 = no limit", later=True
    )
    reduce_lr_factor: Annotated[float, Field(gt=0.0, le=1.0)] = training_field(
        1.0, "factor of the learning rate where `monitor` stagnates, 1 = never", later=True
    )
    reduce_lr_patience: Positive = training_field(
        5, "epochs without a better `monitor` before the learning rate is reduced", later=True
    )
    min_lr: Annotated[float, Field(ge=0.0, le=1.0)] = training_field(
        0.0, "smallest learning rate of a schedule", later=True
    )
    warmup: Natural = training_field(
        0, "epochs over which the learning rate rises linearly at the start", later=True
    )
    decay: Literal["none", "cosine"] = training_field(
        "none", "cosine: the learning rate falls to `min_lr` over `epochs`", later=True
    )
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = training_field(
        0.0, "share of each training label that is replaced by 1/2", later=True
    )
    class_weight: Literal["none", "balanced"] = training_field(
        "none", "balanced: positives and negatives of a class weigh the same in total", later=True
    )
    loss: Literal["auto", "poisson_multinomial"] = training_field(
        "auto",
        "auto: that of the data's task; poisson_multinomial, for counts: Poisson of the total and "
        "multinomial of the shares",
        later=True,
    )
    precision: Literal["float32", "bfloat16"] = training_field(
        "float32", "number format of layers; bfloat16 is for GPUs", later=True
    )
    augment: Literal["none", "reverse_complement", "evoaug"] = training_field(
        "none",
        "reverse_complement: each time on the other strand with a chance of one half; evoaug: "
        "`augment_most` of the `augmentations` on each sequence, then `fine_tune` epochs without",
        later=True,
    )
    augmentations: str = training_field(
        "deletion,insertion,translocation,reverse_complement,mutation,noise",
        f"augmentations of evoaug, comma-separated: {', '.join(EVOAUG)}",
        later=True,
    )
    augment_most: Annotated[int, Field(ge=1, le=len(EVOAUG))] = training_field(
        2, "augmentations of one sequence", later=True
    )
    mutation: Annotated[float, Field(ge=0.0, le=0.75)] = training_field(
        0.05, "share of letters that a mutation changes", later=True
    )
    insertion: Natural = training_field(20, "most letters of an insertion", later=True)
    deletion: Natural = training_field(30, "most letters of a deletion", later=True)
    translocation: Natural = training_field(20, "most nt by which a sequence is rolled", later=True)
    inversion: Natural = training_field(20, "most letters of an inversion", later=True)
    noise: Annotated[float, Field(ge=0.0, le=10.0)] = training_field(
        0.3, "standard deviation of noise on one-hot sequences", later=True
    )
    shift: Natural = training_field(
        0, "most nt by which training sequences are moved; random letters fill the gap", later=True
    )
    fine_tune: Natural = training_field(
        0, "epochs without augmentation at the end, from the best weights before", later=True
    )
    fine_tune_lr: PositiveFloat = training_field(1e-4, "learning rate of these epochs", later=True)
    adversarial: Annotated[float, Field(ge=0.0, le=10.0)] = training_field(
        0.0,
        "training on sequences moved uphill on the loss by at most this in each value (0.05 is "
        "usual), 0 = none",
        later=True,
    )
    adversarial_steps: Annotated[int, Field(ge=1, le=1000)] = training_field(
        20, "steps of this move", later=True
    )
    adversarial_rate: PositiveFloat = training_field(0.01, "size of such a step", later=True)
    average: Literal["none", "reverse_complement"] = testing_field(
        "none", "test scores are the mean of both strands", later=True
    )
    seed: Seed = training_field(0, "seed of weights, order of batches and dropout")
    training_version: Annotated[int, Field(ge=1, le=TRAINING_VERSION)] = training_field(
        1, f"version of the training code; only {TRAINING_VERSION} can be trained", later=True
    )
    layers: Annotated[str, Field(pattern=LAYERS_PATTERN)] = interpretation_field(
        "conv1", "layers whose filters are read, comma-separated", fits=True
    )
    through_pool: Literal["refuse", "argmax"] = interpretation_field(
        "refuse",
        "`layers` behind a pool or stride: `argmax` aligns them, approximately, by "
        "where the largest input came from",
        later=True,
    )
    alignment: AlignmentName = interpretation_field("released", "how activations become sites")
    threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = interpretation_field(
        0.5, "share of the maximum activation that makes a site"
    )
    window: Annotated[int, Field(ge=0, le=10_000)] = interpretation_field(
        19, "width of a filter's PWM, nt; 0 = the filter's size"
    )
    evalue: PositiveFloat = interpretation_field(0.1, "largest E-value of a Tomtom match")
    motifs: Annotated[str, Field(min_length=1, max_length=2000)] = interpretation_field(
        JASPAR_2016,
        "databases of known motifs, comma-separated: `jaspar2016` to `jaspar2026` (CORE "
        "vertebrates), `jaspar2026_plants` and so on, MEME files",
        later=True,
    )
    motifs_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64}(,[0-9a-f]{64})*)?$")] = (
        interpretation_field(
            "", "set by the program: SHA-256 of each MEME file of `motifs`", later=True
        )
    )
    relevant: Annotated[str, Field(min_length=1, max_length=5000)] = interpretation_field(
        FROM_DATA,
        "motifs of the classes: `data`, those of the data set; `auto`, by the factor's name in "
        "`motifs`; `none`; and exceptions CLASS=ID+NAME,CLASS=",
        later=True,
    )

    attributions: str = interpretation_field(
        "none", f"ways to attribute, comma-separated: {', '.join(ATTRIBUTIONS)}", later=True
    )
    attributed: Count = interpretation_field(
        300, "test sequences that are attributed, evenly over the classes", later=True
    )

    @property
    def methods(self) -> tuple[str, ...]:
        """The ways to attribute, `MODISCO` after the one that it is for."""
        return () if self.attributions == "none" else tuple(self.attributions.split(","))

    @field_validator("model_args", mode="after")
    @classmethod
    def _canonical_arguments(cls, text: str) -> str:
        try:
            values = json.loads(text)
            if not isinstance(values, dict) or len(text) > MOST_ARGUMENTS:
                raise ValueError
            return json.dumps(values, sort_keys=True, allow_nan=False)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"must be a JSON object of at most {MOST_ARGUMENTS:,} characters, such as "
                f'{{"width": 3}}: got {short_repr(text)}'
            ) from error

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the model's function."""
        return cast(dict[str, Any], json.loads(self.model_args))

    @field_validator("augmentations", mode="after")
    @classmethod
    def _known_augmentations(cls, text: str) -> str:
        names = [name.strip() for name in text.split(",")]
        if not set(names) <= set(EVOAUG) or len(set(names)) < len(names):
            raise ValueError(f"must be different ones of {', '.join(EVOAUG)}: got {text!r}")
        return ",".join(names)

    @property
    def all_epochs(self) -> int:
        """Most epochs, fine-tuning included."""
        return self.epochs + self.fine_tune

    @field_validator("attributions", mode="after")
    @classmethod
    def _known_methods(cls, text: str) -> str:
        return ",".join(parse_methods(text)) or "none"

    @field_validator("motifs", mode="after")
    @classmethod
    def _known_databases(cls, text: str) -> str:
        return ",".join(parse_databases(text))

    @model_validator(mode="after")
    def _layers_keep_positions(self) -> "RunSpec":
        names = self.layers.split(",")
        if len(set(names)) < len(names):
            raise ValueError("must name each convolution once")
        if self.model != BLOCKS:
            return self
        if not all(re.fullmatch(r"conv[1-9][0-9]?", name) for name in names):
            raise ValueError("must be conv1, conv2 and so on, comma-separated")
        plain = self.batch_norm == "on" and all(
            one.pooling == "max" and not one.residual for one in self.blocks
        )
        for number in self.layer_numbers:
            if number > len(self.blocks):
                raise ValueError(f"must name convolutions 1 to {len(self.blocks)} of the network")
            if self.through_pool == "refuse" and not self.keeps_positions(number):
                raise ValueError(
                    "must have no pooling or stride before it, for the position of an activation "
                    "is lost (through_pool=argmax aligns approximately)"
                )
            if not plain and not self.keeps_positions(number):
                raise ValueError(
                    "can be traced through max-pools with batch norm and without residual "
                    "convolutions only"
                )
        return self

    @property
    def layer_numbers(self) -> tuple[int, ...]:
        """The convolutions whose filters are read, counted from 1."""
        return tuple(int(name.removeprefix("conv")) for name in self.layers.split(","))

    @property
    def dense_units(self) -> tuple[int, ...]:
        """Units of the dense layers, first to last."""
        return tuple(map(int, self.dense.split(","))) if self.dense else (self.units,)

    def keeps_positions(self, number: int) -> bool:
        """Whether no pool or stride precedes convolution `number`, counted from 1."""
        return not any(block.pool > 1 or block.stride > 1 for block in self.blocks[: number - 1])

    def origin(self, number: int) -> int:
        """Return the last convolution, up to `number`, that no pool or stride precedes."""
        return max(one for one in range(1, number + 1) if self.keeps_positions(one))

    @property
    def generated(self) -> bool:
        """Whether the data set is generated from `data_seed`, `sequences` and `length`."""
        return self.dataset in GENERATED

    def flat(self, *groups: Group) -> dict[str, int | float | str]:
        """Return the spec under the flat names that users write: ``{"pool1": 25, ...}``.

        Args:
            groups: take the fields of these only; none: all.
        """
        values: dict[str, int | float | str] = {}
        for name in fields_of(*(groups or Group)):
            if name == "blocks":
                for number, block in enumerate(self.blocks, 1):
                    values |= {
                        f"{key}{number}": value
                        for key, value in block
                        if value != _later_default(f"{key}{number}")
                    }
                if len(self.blocks) == 1:
                    values["filters2"] = 0
            elif self._has(name):
                values[name] = getattr(self, name)
        return {name: value for name, value in values.items() if value is not None}

    def columns(self) -> dict[str, int | float | str]:
        """Return `flat`, and each argument of the model's function as ``model_args.NAME``."""
        arguments = {f"model_args.{name}": value for name, value in self.arguments.items()}
        plain = {name: one for name, one in arguments.items() if isinstance(one, int | float | str)}
        return self.flat() | plain

    def _has(self, name: str) -> bool:
        """Whether a field takes part: generated data and blocks have their own fields."""
        if name in GENERATED_FIELDS:
            return self.generated
        if name in FOLD_FIELDS:
            return self.folds > 0
        return self.model == BLOCKS or name not in BUILDER_FIELDS

    def train_sha256(self, dataset_sha256: str) -> str:
        """Return the hash of everything that determines the trained weights.

        Args:
            dataset_sha256: content hash of the data set; its path and generator do not count.
        """
        values = without_later_defaults(self.flat(Group.NETWORK, Group.TRAINING))
        if self.model_sha256:
            values["model"] = self.model.rpartition(":")[2]
        return canonical_sha256(values | {"dataset_sha256": dataset_sha256})

    def spec_sha256(self, dataset_sha256: str) -> str:
        """Return the hash of everything that determines a run's results."""
        values = without_later_defaults(self.flat(Group.TESTING, Group.INTERPRETATION))
        if self.motifs_sha256:
            hashes = iter(self.motifs_sha256.split(","))
            names = parse_databases(self.motifs)
            values["motifs"] = [
                name if name in jaspar_names() else next(hashes, "") for name in names
            ]
            del values["motifs_sha256"]
        return canonical_sha256(values | {"train_sha256": self.train_sha256(dataset_sha256)})

    def map_lengths(self, length: int) -> list[int]:
        """Return the length of the sequence and of the map that each block passes on.

        Raises:
            UserError: a filter is wider than the sequence, or a max-pool wider than its input.
        """
        lengths = [length]  # a model that is not made of blocks checks its input itself
        for number, block in enumerate(self.blocks, 1):
            if block.kernel > length:
                raise UserError(
                    f"`kernel{number}` must not be wider than the sequences: "
                    f"got kernel{number}={block.kernel} on {length} nt"
                )
            scanned = block.convolution.outputs(lengths[-1])
            if scanned < 1:
                raise UserError(
                    f"`kernel{number}` with padding{number}=valid must fit into its input: "
                    f"got {block.convolution.span} on a map of {lengths[-1]} positions"
                )
            if block.pool > scanned:
                raise UserError(
                    f"`pool{number}` must not be wider than its input: "
                    f"got pool{number}={block.pool} on a map of {scanned} positions "
                    f"(sequences of {length} nt); values from 1 to {scanned} work"
                )
            lengths.append(block.max_pool.outputs(scanned))
        return lengths

    def kernels(self, length: int, classes: int) -> list[Kernel]:
        """Return the kernels of the convolutions, the dense layers and the output, in that order.

        Attention and recurrence are not among them.

        Args:
            length: nt a sequence.
            classes: number of outputs.

        Raises:
            UserError: as `map_lengths`.
        """
        lengths, channels, found = self.map_lengths(length), 4, []
        for block, size in zip(self.blocks, lengths, strict=False):
            outputs = block.convolution.outputs(size)
            found.append(Kernel(outputs, block.kernel * channels, block.filters))
            channels = block.filters
            inner = Kernel(outputs, block.kernel_residual * channels, channels)
            found += [inner] * block.residual
        inputs = channels * (lengths[-1] if self.head == "flatten" else 1)
        for units in (*self.dense_units, classes):
            found.append(Kernel(1, inputs, units))
            inputs = units
        return found if self.model == BLOCKS else []


@lru_cache(maxsize=256)
def fields_of(*groups: Group) -> tuple[str, ...]:
    """Return the names of the fields of some groups, in the order of the spec."""
    fields = RunSpec.model_fields.items()
    return tuple(name for name, field in fields if declared(field)["group"] in groups)


BLOCK_FIELDS = tuple(Block.model_fields)
FOLD_FIELDS = ("folds", "fold")
GENERATED_FIELDS = tuple(
    name for name in fields_of(Group.DATA) if name not in ("dataset", *FOLD_FIELDS)
)
BUILDER_FIELDS = (
    *(name for name in fields_of(Group.NETWORK) if not name.startswith("model")),
    "init", "l2", "bn_epsilon", "bn_momentum", "precision",
)  # fmt: skip
"""Fields that only the builder of `blocks` reads."""


def without_later_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out later fields at their defaults, so that the hashes of earlier versions hold."""
    return {name: value for name, value in values.items() if value != _later_default(name)}


@lru_cache(maxsize=1024)
def _later_default(name: str) -> Any:
    """Return the default of a later field; for any other field a value that equals none."""
    field = field_of(name)
    return field.default if field is not None and declared(field)["later"] else object()


def field_of(name: str) -> FieldDeclaration | None:
    """Return the declaration of a flat field name, None if there is no such field."""
    match = re.fullmatch(rf"({'|'.join(BLOCK_FIELDS)})([1-9]\d?)", name)
    return Block.model_fields[match[1]] if match else RunSpec.model_fields.get(name)
