"""How the fields of a spec are declared: types, groups, and the canonical hash."""

import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo as FieldDeclaration

from mlproject.system.errors import UserError, nearest, short_repr

MILLION = 1_000_000
Positive = Annotated[int, Field(ge=1, le=MILLION)]
Few = Annotated[int, Field(ge=0, le=100)]
Natural = Annotated[int, Field(ge=0, le=MILLION)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Count = Annotated[int, Field(ge=1, le=100 * MILLION)]
DropoutRate = Annotated[float, Field(ge=0.0, le=0.99)]
Momentum = Annotated[float, Field(ge=0.0, le=0.9999)]  # float32 knows few numbers nearer to 1
Epsilon = Annotated[float, Field(ge=1e-30, le=1000.0)]  # float32 has it, and its square root
PositiveFloat = Annotated[float, Field(gt=0.0)]
MOST_ARGUMENTS = 2000
MOST_FOLDS = 100
TRAINING_VERSION = 2  # 2: initial weights from numpy
BLOCKS = "blocks"
MODEL_PATTERN = r"^([a-z][a-z0-9_]{0,60}|[^\n]{1,900}\.py:[A-Za-z_]\w{0,100})$"
LAYERS_PATTERN = r"^[A-Za-z0-9_.-]{1,100}(,[A-Za-z0-9_.-]{1,100}){0,99}$"
ATTRIBUTIONS: Mapping[str, str] = {
    "saliency": "Saliency",
    "gradient_x_input": "Gradient × input",
    "gradient_x_input_raw": "Gradient × input, not centred",
    "smoothgrad": "SmoothGrad × input",
    "integrated_gradients": "Integrated gradients",
    "expected_gradients": "Expected gradients",
    "deeplift": "DeepLIFT",
    "ism": "In silico mutagenesis",
    "ism_window": "Windowed mutagenesis",
    "gradient_x_input_probability": "Gradient × input of the probability",
    "integrated_gradients_probability": "Integrated gradients × input of the probability",
    "deeplift_probability": "DeepLIFT × input of the probability",
    "ism_probability": "In silico mutagenesis of the probability",
}  # name in commands and metrics -> title in figures and tables
MODISCO = "modisco"
GENERATED: Mapping[str, Mapping[str, int]] = {
    "synthetic": {"sequences": 25_000, "length": 200},
    "exponential": {"sequences": 30_000, "length": 200},
    "codes": {"sequences": 20_000, "length": 200},
    "mpra": {"sequences": 20_000, "length": 200},
    "mpra_interaction": {"sequences": 20_000, "length": 200},
    "accessibility": {"sequences": 20_000, "length": 200},
    "cell_types": {"sequences": 10_000, "length": 200},
    "grammar": {"sequences": 20_000, "length": 200},
}  # name of a recipe of generated data, a value of `dataset` -> its usual size
JASPAR_2016 = "jaspar2016"
JASPAR_RELEASES = (2014, 2016, 2018, 2020, 2022, 2024, 2026)
JASPAR_TAXA = ("plants", "insects", "nematodes", "fungi", "urochordates", "all")
FROM_DATA = "data"
AlignmentName = Literal["released", "paper", "exponential"]
ActivationName = Literal[
    "relu", "exponential", "elu", "softplus", "sigmoid", "tanh", "linear",
    "shift_scale_relu", "shift_scale_tanh", "shift_scale_sigmoid", "exp_relu",
    "shift_relu", "shift_tanh", "shift_sigmoid", "scale_relu", "scale_tanh", "scale_sigmoid",
]  # fmt: skip
Padding = Literal["same", "valid"]
MonitorName = Literal[
    "val_loss", "val_cross_entropy", "val_auroc", "val_aupr", "val_auroc_pooled", "val_aupr_pooled",
    "val_accuracy", "val_pearson", "val_spearman", "val_r2", "val_mse", "val_deviance",
]  # fmt: skip
TaskName = Literal["binary", "multiclass", "regression", "counts"]
TASKS: tuple[TaskName, ...] = ("binary", "multiclass", "regression", "counts")
VALUES: tuple[TaskName, ...] = ("regression", "counts")  # tasks whose labels are numbers


EVOAUG = (
    "deletion", "insertion", "translocation", "inversion", "reverse_complement", "mutation", "noise"
)  # fmt: skip
"""Augmentations of EvoAug, in the order in which they are applied."""


class Group(StrEnum):
    """The part of a run that a field belongs to."""

    DATA = "data"
    NETWORK = "network"
    TRAINING = "training"
    TESTING = "testing"
    INTERPRETATION = "interpretation"


def declare(
    group: Group, default: Any, description: str, *, later: bool = False, fits: bool = False
) -> Any:
    """Declare a field of the spec.

    Args:
        group: what it belongs to; hashes, queries and sweeps follow it.
        default: its value unless the user sets it; ``...`` for none.
        description: one line for users.
        later: the field came after the first recorded runs; at its default it enters no hash.
        fits: whether a value is valid depends on other fields.
    """
    extra: JsonDict = {"group": group.value, "later": later, "fits": fits}
    return Field(default, description=description, json_schema_extra=extra)


data_field = partial(declare, Group.DATA)
network_field = partial(declare, Group.NETWORK)
training_field = partial(declare, Group.TRAINING)
testing_field = partial(declare, Group.TESTING)
interpretation_field = partial(declare, Group.INTERPRETATION)


class Frozen(BaseModel):
    """A model of pydantic that is immutable, strict, and refuses unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    @field_validator("*", mode="after")
    @classmethod
    def _no_negative_zero(cls, value: Any) -> Any:
        return 0.0 if isinstance(value, float) and value == 0.0 else value


def declared(field: FieldDeclaration) -> dict[str, Any]:
    """Return what `declare` has noted of a field: ``group``, ``later`` and ``fits``."""
    return cast(dict[str, Any], field.json_schema_extra)


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
                f"unknown method {short_repr(name)}: {nearest(name, (*ATTRIBUTIONS, MODISCO))}"
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


def parse_arguments(text: str) -> dict[str, Any]:
    """Read the arguments of a model's function, a JSON object.

    Raises:
        UserError: it is no object, too long, or has a name twice.
    """
    twice: list[str] = []

    def as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice.extend(name for name in names if names.count(name) > 1)
        return dict(pairs)

    try:
        values = json.loads(text, object_pairs_hook=as_dict)
        if not isinstance(values, dict) or len(text) > MOST_ARGUMENTS:
            raise ValueError
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"`model_args` must be a JSON object of at most {MOST_ARGUMENTS:,} characters, such as "
            f'{{"width": 3}}: got {short_repr(text)}'
        ) from error
    if twice:
        raise UserError(
            f"`model_args` must have each argument once: got {short_repr(twice[0])} twice in "
            f"{short_repr(text)}"
        )
    return values


def jaspar_names() -> tuple[str, ...]:
    """Return the names of the JASPAR databases: ``jaspar2026``, ``jaspar2026_plants``, ..."""
    suffixes = ("", *(f"_{taxon}" for taxon in JASPAR_TAXA))
    return tuple(f"jaspar{year}{end}" for year in JASPAR_RELEASES for end in suffixes)


def parse_databases(text: str) -> tuple[str, ...]:
    """Read names of motif databases, comma-separated.

    Args:
        text: names of `jaspar_names`, in any case, and paths of MEME files.

    Raises:
        UserError: an unknown JASPAR release, an empty name, or a database given twice.
    """
    found: list[str] = []
    for name in (part.strip() for part in text.split(",")):
        own = name
        if re.fullmatch(r"(?i)jaspar\w*", name):
            own = name.lower()
            if own not in jaspar_names():
                raise UserError(f"unknown JASPAR release {name!r}: {nearest(own, jaspar_names())}")
        if not own:
            raise UserError(f"`motifs` must name databases or MEME files: got {text!r}")
        if own in found:
            raise UserError(f"a database is given once: got {own} twice in {text!r}")
        found.append(own)
    return tuple(found)


def database_files(text: str) -> tuple[Path, ...]:
    """Return the MEME files among the databases of `motifs`."""
    return tuple(Path(name) for name in parse_databases(text) if name not in jaspar_names())
