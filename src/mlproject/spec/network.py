"""Fields of a run's data and network, and the sizes that follow from them."""

import json
from typing import Annotated, Any, Literal, cast

from pydantic import Field, field_validator

from mlproject.fields import (
    BLOCKS,
    GENERATED,
    MILLION,
    MODEL_PATTERN,
    MOST_FOLDS,
    ActivationName,
    DropoutRate,
    Few,
    Frozen,
    Positive,
    Seed,
    data_field,
    network_field,
    parse_arguments,
)
from mlproject.geometry import Kernel
from mlproject.spec.block import Block
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity


class NetworkSpec(Frozen):
    """What the data and the network of a run are."""

    dataset: Annotated[str, Field(min_length=1)] = data_field(
        "synthetic", f"generated data: {', '.join(GENERATED)}; or the path of an HDF5 file"
    )
    sequences: Annotated[int, Field(ge=10, le=100 * MILLION)] = data_field(
        25_000, "generated data: number of sequences; by default that of the recipe"
    )
    length: Positive = data_field(200, "generated data: length of the sequences, nt", fits=True)
    data_seed: Seed = data_field(0, "generated data: seed of the generator")
    folds: Annotated[int, Field(ge=0, le=MOST_FOLDS)] = data_field(
        0,
        "cross-validation: number of parts, 3 or more, by chromosome or by clusters of similar "
        "sequences; 0: the splits of the data set",
        later=True,
    )
    fold: Annotated[int, Field(ge=1, le=MOST_FOLDS)] = data_field(
        1, "part to test on, from 1 to `folds`; the next one is for validation", later=True
    )
    model: Annotated[str, Field(pattern=MODEL_PATTERN)] = network_field(
        BLOCKS,
        "`blocks`: convolution blocks and dense layers by the parameters below; the name of a file "
        "of `mlproject.network.zoo`; or FILE.py:FUNCTION, a function of yours",
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
        "relu", "activation of the first convolution; deeper ones have relu"
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
        "flatten",
        "what the dense layers get: all positions, or the maximum or mean over positions",
        later=True,
    )
    dense: Annotated[str, Field(pattern=r"^([1-9]\d{0,6}(,[1-9]\d{0,6}){0,19})?$")] = network_field(
        "", "units of several dense layers, comma-separated; empty: one of `units`", later=True
    )
    output_l2: Annotated[float, Field(ge=0.0, le=1000.0)] | None = network_field(
        None, "L2 factor of the output layer; by default `l2`", later=True
    )
    strands: Literal["single", "shared"] = network_field(
        "single",
        "`shared`: the network reads both strands and averages their logits",
        later=True,
    )

    @field_validator("model_args", mode="after")
    @classmethod
    def _canonical_arguments(cls, text: str) -> str:
        return json.dumps(parse_arguments(text), sort_keys=True, allow_nan=False)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the model's function."""
        return cast(dict[str, Any], json.loads(self.model_args))

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
            _check_dilations(block, number, lengths[-1])
            scanned = block.convolution.outputs(lengths[-1])
            if scanned < 1:
                raise UserError(
                    f"`kernel{number}` with padding{number}=valid must fit into its input: "
                    f"got {block.convolution.span} on a map of {quantity(lengths[-1], 'position')}"
                )
            if block.pool > scanned:
                raise UserError(
                    f"`pool{number}` must not be wider than its input: "
                    f"got pool{number}={block.pool} on a map of {quantity(scanned, 'position')} "
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


def _check_dilations(block: Block, number: int, length: int) -> None:
    """Raise a `UserError` if a convolution's weights lie further apart than its map is long."""
    if block.padding == "same" and block.kernel > 1 and block.dilation >= length:
        raise UserError(
            f"`dilation{number}` must be below the length of its map, or all weights but one read "
            f"padding only: got dilation{number}={block.dilation} on {quantity(length, 'position')}"
        )
    inner = block.convolution.outputs(length)
    largest = block.dilation_residual ** max(block.residual - 1, 0)
    if block.kernel_residual > 1 and largest >= max(inner, 1) and largest > 1:
        shown = f"{largest:,}" if largest < 10**9 else "more than 10^9"
        raise UserError(
            f"`dilation_residual{number}` to the power of `residual{number}` - 1 must be below the "
            f"length of the map, or all weights but one read padding only: got {shown} on {inner} "
            f"positions; take residual{number}={_most_residual(block, inner)} or fewer, or a "
            "smaller factor"
        )


def _most_residual(block: Block, length: int) -> int:
    """Return the largest number of residual convolutions whose dilations fit into a map."""
    count = 1
    while block.dilation_residual**count < length:
        count += 1
    return count
