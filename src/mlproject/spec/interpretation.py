"""Fields of a run's interpretation: filters, motifs, attributions, embedded motifs."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlproject.fields import (
    ATTRIBUTIONS,
    BLOCKS,
    FROM_DATA,
    JASPAR_2016,
    LAYERS_PATTERN,
    AlignmentName,
    Count,
    PositiveFloat,
    interpretation_field,
    parse_databases,
    parse_methods,
)
from mlproject.spec.training import TrainingSpec
from mlproject.system.errors import short_repr


class InterpretationSpec(TrainingSpec):
    """How filters are read and predictions attributed."""

    layers: Annotated[str, Field(pattern=LAYERS_PATTERN)] = interpretation_field(
        "conv1", "layers whose filters are read, comma-separated", fits=True
    )
    through_pool: Literal["refuse", "argmax"] = interpretation_field(
        "refuse",
        "`layers` behind a pool or stride: `argmax` aligns them, approximately, by "
        "where the largest input came from",
        later=True,
    )
    alignment: AlignmentName = interpretation_field(
        "released",
        "how activations become sites: as in the first paper's code, in its text, or in the second "
        "paper",
    )
    threshold: Annotated[float, Field(gt=0.0, lt=1.0)] = interpretation_field(
        0.5, "share of the maximum activation above which a position is a site; 0.7 with `paper`"
    )
    window: Annotated[int, Field(ge=0, le=10_000)] = interpretation_field(
        19,
        "width of a filter's PWM, nt; 0 = that of the filter, as with `paper`; 20 with "
        "`exponential`",
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
        "motifs of the classes: `data`, those of the data set; `auto`, those in `motifs` with the "
        "name of the class; `none`; then exceptions, CLASS=ID+NAME,CLASS=",
        later=True,
    )

    attributions: str = interpretation_field(
        "none",
        f"attribution methods, comma-separated: {', '.join(ATTRIBUTIONS)}; `modisco` after one of "
        "these",
        later=True,
    )
    attributed: Count = interpretation_field(
        300, "number of test sequences to attribute, evenly over the classes", later=True
    )
    embedded: Annotated[str, Field(min_length=1, max_length=2000)] = interpretation_field(
        "none",
        "motifs to embed in sequences without motifs, comma-separated: classes, factors, ids, "
        "letters, filters (`filter3`); `auto`, the motif of each class",
        later=True,
    )
    backgrounds: Annotated[int, Field(ge=10, le=100_000)] = interpretation_field(
        100, "number of sequences in which each of these motifs is embedded", later=True
    )

    @property
    def methods(self) -> tuple[str, ...]:
        """The ways to attribute, `MODISCO` after the one that it is for."""
        return () if self.attributions == "none" else tuple(self.attributions.split(","))

    @field_validator("attributions", mode="after")
    @classmethod
    def _known_methods(cls, text: str) -> str:
        return ",".join(parse_methods(text)) or "none"

    @field_validator("embedded", mode="after")
    @classmethod
    def _no_files(cls, text: str) -> str:
        items = [item.strip() for item in text.split(",")]
        if wrong := [item for item in items if re.search(r"[/\\]|\.(meme|txt|gz)$", item)]:
            raise ValueError(
                f"takes no file: got {short_repr(wrong[0])}; give the file to `motifs`, and name "
                "its motifs here"
            )
        return ",".join(items)

    @field_validator("motifs", mode="after")
    @classmethod
    def _known_databases(cls, text: str) -> str:
        return ",".join(parse_databases(text))

    @model_validator(mode="after")
    def _layers_keep_positions(self) -> Self:
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
