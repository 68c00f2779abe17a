"""The paper's networks and protocols as rows that state only their difference from a base.

A new network is a new row of `ARCHITECTURES`.

Source: Koo & Eddy, PLoS Comput Biol 15(12): e1007560, 2019, Methods and Table 1.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import ValidationError

from mlproject.fields import (
    BLOCKS,
    GENERATED,
    JASPAR_2016,
    TRAINING_VERSION,
    AlignmentName,
    Group,
    database_files,
)
from mlproject.parameters import ARGUMENT, field_info, field_names, is_argument, parse_value
from mlproject.spec import BLOCK_FIELDS, BUILDER_FIELDS, GENERATED_FIELDS, Block, RunSpec, fields_of
from mlproject.system.errors import UserError, nearest, short_repr
from mlproject.system.files import sha256_of

Options = Mapping[str, object]
ZOO = Path(__file__).parent / "network" / "zoo"
FINE_TUNED = 10  # epochs of fine-tuning after evoaug, as its authors take for DeepSTARR
FIRST = "first"  # `layers` of a model that is no chain of blocks: its first convolution

EXPONENTIAL: Options = MappingProxyType(
    {
        "filters1": 32, "kernel1": 19, "order": "dropout_pool", "output_l2": 0.0, "units": 512,
    }
)  # fmt: skip
DEEP: Options = MappingProxyType(
    {
        **EXPONENTIAL, "pool1": 1, "kernel2": 7, "pool2": 4, "pool_padding2": "valid",
        "dropout2": 0.2, "kernel3": 7, "padding3": "valid", "pool3": 4, "pool_padding3": "valid",
        "dropout3": 0.3, "kernel4": 3, "padding4": "valid", "pool4": 3, "dropout4": 0.4,
    }
)  # fmt: skip
BASE: Options = MappingProxyType(
    {"filters1": 30, "kernel1": 19, "pool1": 25, "filters2": 128, "kernel2": 5}
)

ARCHITECTURES: Mapping[str, Options] = MappingProxyType(
    {
        "CNN-1": {"pool1": 1},
        "CNN-2": {"pool1": 2},
        "CNN-4": {"pool1": 4},
        "CNN-10": {"pool1": 10},
        "CNN-25": {"pool1": 25},
        "CNN-50": {"pool1": 50},
        "CNN-100": {"pool1": 100},
        "CNN9-4": {"kernel1": 9, "pool1": 4, "window": 9},  # as the authors' cnn9_4.meme
        "CNN9-25": {"kernel1": 9, "pool1": 25, "window": 9},
        "CNN3-2": {"kernel1": 3, "pool1": 2},
        "CNN3-50": {"kernel1": 3, "pool1": 50},
        "CNN-50-2": {"pool1": 50, "pool_stride1": 2},
        "CNN-50-2-released": {"pool1": 50, "pool_stride1": 2, "filters2": 64, "units": 96},
        "CNN19-1-2": {"pool1": 2, "kernel2": 1},
        "CNN-25x60": {"pool1": 25, "filters1": 60},
        "CNN-25x90": {"pool1": 25, "filters1": 90},
        "CNN-25x120": {"pool1": 25, "filters1": 120},
        "EXP-CNN-2": {**EXPONENTIAL, "pool1": 2, "filters2": 124, "pool2": 50},
        "EXP-CNN-50": {**EXPONENTIAL, "pool1": 50, "filters2": 124, "pool2": 2},
        "EXP-CNN-deep": {
            **DEEP,
            "filters2": 48,
            "filters3": 96,
            "filters4": 128,
            "pool_padding4": "valid",
        },
        "EXP-CNN-local": {
            **EXPONENTIAL,
            "filters1": 24,
            "pool1": 50,
            "filters2": 48,
            "kernel2": 3,
            "pool2": 2,
            "dropout2": 0.2,
            "units": 96,
        },
        "EXP-CNN-dist": {
            **DEEP,
            "filters1": 24,
            "filters2": 32,
            "filters3": 48,
            "filters4": 64,
            "units": 96,
        },
        "CNN-1-1-100": {"pool1": 1, "pool2": 1, "filters3": 128, "kernel3": 5, "pool3": 100},
    }
)


def scored_alignments(own: AlignmentName) -> tuple[AlignmentName, ...]:
    """Return the alignments that a run scores, each once: `ALWAYS_SCORED`, and its own."""
    return tuple(dict.fromkeys((*ALWAYS_SCORED, own)))


class AlignmentRule(NamedTuple):
    """What an alignment sets unless the user does; see the fields of `RunSpec`."""

    threshold: float
    window: int


ALIGNMENTS: Mapping[AlignmentName, AlignmentRule] = MappingProxyType(
    {
        "released": AlignmentRule(0.5, 19),
        "paper": AlignmentRule(0.7, 0),
        "exponential": AlignmentRule(0.5, 20),
    }
)
ALWAYS_SCORED: tuple[AlignmentName, ...] = ("released", "paper")
"""The alignments of the first paper, which each run scores besides its own."""

PROTOCOLS: Mapping[str, Options] = MappingProxyType(
    {
        "released": {
            "init": "glorot_uniform",
            "learning_rate": 1e-3,
            "beta1": 0.95,
            "adam_epsilon": 1e-8,
            "bn_epsilon": 1e-8,
            "patience": 20,
            "monitor": "val_loss",
            "alignment": "released",
        },
        "paper": {
            "init": "he_normal",
            "learning_rate": 3e-4,
            "beta1": 0.9,
            "adam_epsilon": 1e-7,
            "bn_epsilon": 1e-3,
            "patience": 0,
            "monitor": "val_cross_entropy",
            "alignment": "paper",
        },
        "exponential": {
            "init": "glorot_uniform",
            "learning_rate": 1e-3,
            "beta1": 0.9,
            "adam_epsilon": 1e-7,
            "bn_epsilon": 1e-3,
            "patience": 20,
            "monitor": "val_aupr_pooled",
            "reduce_lr_factor": 0.2,
            "reduce_lr_patience": 5,
            "min_lr": 1e-7,
            "weights": "last",
            "alignment": "exponential",
        },
    }
)

DURATION = {"epochs": "{} epochs", "patience": "patience {}", "monitor": "monitor {}"}
"""Fields in which a spec may differ from a protocol and keep its name, and how that is written."""


def make_spec(options: Options) -> RunSpec:
    """Resolve what a user wrote into a spec: base, then protocol, then architecture, then options.

    Args:
        options: flat field names, and ``arch`` / ``protocol``; values as text or typed.

    Returns:
        The same spec for every way of writing it.

    Raises:
        UserError: unknown name (the nearest valid ones are listed), wrong type, out of range, or
            pools that do not fit.
    """
    for name in options:
        if name not in ("arch", "protocol") and field_info(name) is None:
            hint = nearest(name, [*field_names(), "arch", "protocol"])
            raise UserError(f"unknown parameter `{name}`: {hint}")
    own = {
        name: parse_value(name, value)
        for name, value in options.items()
        if name not in ("arch", "protocol")
    }
    arguments = {name: own.pop(name) for name in list(own) if is_argument(name)}
    protocol = _row(PROTOCOLS, "protocol", options.get("protocol", "released"))
    arch = _row(ARCHITECTURES, "arch", options.get("arch", "CNN-25"))
    version = {"training_version": TRAINING_VERSION}
    values: dict[str, Any] = {**BASE, **version, **protocol, **arch, **own}
    if rule := ALIGNMENTS.get(values["alignment"]):
        values = {**rule._asdict(), **values}
    if usual := GENERATED.get(values.get("dataset", "synthetic")):
        values = {**usual, **values}
    else:
        unused = [name for name in GENERATED_FIELDS if name in own]
        if unused:
            raise UserError(
                f"`{unused[0]}` is for generated data only, dataset={' or '.join(GENERATED)}: got "
                f"dataset={values['dataset']}; leave {', '.join(unused)} out"
            )
    if arguments:
        values["model_args"] = _with_arguments(values.get("model_args", "{}"), arguments)
    values = {**({"fine_tune": FINE_TUNED} if own.get("augment") == "evoaug" else {}), **values}
    flat_blocks = {name: values.pop(name) for name in list(values) if _of_block(name)}
    if (model := values.get("model", BLOCKS)) == BLOCKS:
        _refuse_arguments(values.get("model_args", "{}"))
        values["blocks"] = _blocks(flat_blocks)
    else:
        unused = [name for name in own if name in BUILDER_FIELDS or _of_block(name)]
        if unused or "arch" in options:
            raise UserError(
                f"`{[*unused, 'arch'][0]}` is for model={BLOCKS} only: got model={model}; "
                "`model_args` has the arguments of its function"
            )
        values = {name: value for name, value in values.items() if name not in BUILDER_FIELDS}
        values = {"layers": FIRST, **values, "blocks": ()}
        if "model_sha256" not in values and (":" in model or model_file(model).is_file()):
            values["model_sha256"] = sha256_of(model_file(model))
    try:
        made = RunSpec(**_with_file_hashes(values))
    except ValidationError as error:
        raise UserError(_one_line(error)) from error
    _check_training(made)
    return made


def _check_training(spec: RunSpec) -> None:
    """Raise a `UserError` for fine-tuning or folds that cannot be."""
    if spec.fine_tune and spec.fine_tune_lr > spec.learning_rate:
        raise UserError(
            f"`fine_tune_lr` must not exceed `learning_rate`, {spec.learning_rate:g}: got "
            f"{spec.fine_tune_lr:g}"
        )
    if spec.folds in (1, 2) or (spec.folds and spec.fold > spec.folds):
        raise UserError(
            f"`folds` must be 0, or 3 or more, and `fold` at most `folds`: got folds={spec.folds}, "
            f"fold={spec.fold}"
        )


def _with_file_hashes(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with the hashes of the MEME files of `motifs`, unless they have them."""
    files = database_files(values.get("motifs", JASPAR_2016))
    if not files or "motifs_sha256" in values:
        return values
    return {**values, "motifs_sha256": ",".join(map(sha256_of, files))}


def model_file(model: str) -> Path:
    """Return the file of a model's function: that of FILE.py:FUNCTION, or one of the zoo."""
    path, colon, _ = model.rpartition(":")
    return Path(path) if colon else ZOO / f"{model}.py"


def _refuse_arguments(text: str) -> None:
    """Raise a `UserError` if a network of blocks gets arguments of a function."""
    if text.strip() not in ("", "{}"):
        raise UserError(
            "`model_args` has the arguments of a model's function: give `model` too, such as "
            f"model=my_net.py:build; got {short_repr(text)}"
        )


def _with_arguments(text: str, arguments: Options) -> str:
    """Return the arguments of the model's function with single ones (``model_args.width``)."""
    try:
        given = dict(json.loads(text))
    except (TypeError, ValueError, RecursionError):
        return text  # the spec refuses it
    own = {name.removeprefix(ARGUMENT): value for name, value in arguments.items()}
    if twice := sorted(given.keys() & own):
        raise UserError(
            f"`{ARGUMENT}{twice[0]}` must not stand in `model_args` too: got {short_repr(text)}"
        )
    return json.dumps(given | own)


def _of_block(name: str) -> bool:
    """Return whether a known flat name is one of a block."""
    return name not in RunSpec.model_fields


def recorded_spec(values: Options) -> RunSpec:
    """Return the spec that an earlier run has recorded.

    A spec without a `training_version` was recorded before there was one: it is of version 1.

    Raises:
        UserError: as `make_spec`.
    """
    return make_spec({"training_version": 1, **values})


def arch_name(spec: RunSpec) -> str:
    """Return the paper's name of the network, that of its function, or ``custom``.

    A named network with another activation has both names: ``CNN-2, exponential``.
    """
    if spec.model != BLOCKS:
        return spec.model.rpartition(":")[2]
    rows = {name: _named_spec(name) for name in ARCHITECTURES}
    fields = fields_of(Group.NETWORK)
    for name, row in rows.items():
        if _same(spec, row, fields):
            return name
    others = tuple(name for name in fields if name != "activation")
    for name, row in rows.items():
        if _same(spec, row, others):
            return f"{name}, {spec.activation}"
    return "custom"


@lru_cache
def _named_spec(arch: str) -> RunSpec:
    return make_spec({"arch": arch})


def base_arch(arch: str) -> str:
    """Return the row of `ARCHITECTURES` that a network's name begins with, else the name."""
    return arch.partition(", ")[0]


def protocol_name(spec: RunSpec) -> str:
    """Return the preset whose fields the spec has, ``custom`` if it is neither.

    Other epochs, patience or monitor follow the name: ``released, 15 epochs, patience 5``. The
    window may be that of the protocol or that of the network's own row.
    """
    arch = base_arch(arch_name(spec))
    unused = (*(BUILDER_FIELDS if spec.model != BLOCKS else ()), *DURATION)
    for name, row in PROTOCOLS.items():
        plain = make_spec({"protocol": name})
        own = make_spec({"protocol": name, "arch": arch}) if arch in ARCHITECTURES else plain
        fields = tuple(field for field in (*row, "threshold") if field not in unused)
        if _same(spec, plain, fields) and spec.window in (plain.window, own.window):
            changed = [
                text.format(getattr(spec, field))
                for field, text in DURATION.items()
                if getattr(spec, field) != getattr(plain, field)
            ]
            return ", ".join([name, *changed])
    return "custom"


def printed_name(arch: str) -> str:
    """Return a network's name as the paper prints it: ``CNN-25x60`` is ``CNN-25 (60)``."""
    return re.sub(r"x(\d+)(?=$|,)", r" (\1)", arch)


def network_order(arch: str) -> tuple[int, str]:
    """Return the sort key of a network: the paper's order, then other networks by name."""
    names = list(ARCHITECTURES)
    base = base_arch(arch)
    return (names.index(base) if base in ARCHITECTURES else len(names)), arch


def preset_names(spec: RunSpec) -> dict[str, str]:
    """Return the names of the spec's network and protocol, as ``arch`` and ``protocol``."""
    return {"arch": arch_name(spec), "protocol": protocol_name(spec)}


def run_name(spec: RunSpec) -> str:
    """Return a name that people recognise: ``CNN-25 · seed 3``, ``CNN-4 · paper · seed 0``.

    A network without a name in the paper is named by its difference from CNN-25.
    """
    arch, protocol = arch_name(spec), protocol_name(spec)
    if spec.arguments:
        arch += " " + ", ".join(f"{name}={value}" for name, value in spec.arguments.items())
    if arch == "custom":
        base = make_spec({}).flat()
        own = [
            f"{name}={value}"
            for name, value in spec.flat(Group.NETWORK).items()
            if value != base.get(name)
        ]
        arch = " ".join(["CNN", *own]) if len(own) <= 4 else " ".join(["CNN", *own[:4], "…"])
    parts = [printed_name(arch), *([] if protocol == "released" else [protocol])]
    return " · ".join([*parts, f"seed {spec.seed}"])


def _same(one: RunSpec, other: RunSpec, fields: tuple[str, ...]) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in fields)


def _row(table: Mapping[str, Options], name: str, value: object) -> Options:
    if not isinstance(value, str) or value not in table:
        written = value if isinstance(value, str) else short_repr(value)
        raise UserError(f"unknown {name} {short_repr(value)}: {nearest(written, table)}")
    return table[value]


def _blocks(flat: dict[str, Any]) -> tuple[Block, ...]:
    """Assemble ``filters1 kernel1 ... poolN`` into blocks and fill in what the paper derives."""
    if flat.get("filters2") == 0:
        second = {"filters2", "kernel2"}
        if extra := sorted(set(flat) - second - {f"{key}1" for key in BLOCK_FIELDS}):
            raise UserError(f"`filters2=0` makes a network of one block: leave {extra[0]} out")
        flat = {name: value for name, value in flat.items() if name not in second}
    count = max(int(match[0]) for name in flat if (match := re.search(r"\d+$", name)))
    blocks: list[Block] = []
    for number in range(1, count + 1):
        row = {key: flat[f"{key}{number}"] for key in BLOCK_FIELDS if f"{key}{number}" in flat}
        if "filters" not in row:
            raise UserError(
                f"a network with block {count} needs `filters{number}`: give filters{number}"
            )
        row.setdefault("kernel", 5)
        if "pool" not in row:
            row["pool"] = _second_pool(number, count, blocks[0])
        row.setdefault("pool_stride", row["pool"])
        if row.get("pooling") == "attention" and row["pool_stride"] != row["pool"]:
            raise UserError(
                f"`pooling{number}=attention` needs windows that do not overlap: got "
                f"pool_stride{number}={row['pool_stride']}, pool{number}={row['pool']}"
            )
        if isinstance(row["pool"], int) and row["pool_stride"] > row["pool"]:
            raise UserError(
                f"`pool_stride{number}` must not exceed `pool{number}`, positions would be lost: "
                f"got pool_stride{number}={row['pool_stride']}, pool{number}={row['pool']}"
            )
        try:
            blocks.append(Block(**row))
        except ValidationError as error:
            raise UserError(_one_line(error, suffix=str(number))) from error
    return tuple(blocks)


def _second_pool(number: int, count: int, first: Block) -> int:
    """Return 100 / `pool_stride1`, which keeps the paper's two pools at 100 together."""
    if (number, count) != (2, 2):
        raise UserError(f"a network of {count} blocks needs every pool: give pool{number}")
    if 100 % first.pool_stride:
        works = " ".join(str(value) for value in range(1, 101) if 100 % value == 0)
        raise UserError(
            f"`pool2` defaults to 100 / `pool_stride1`, which must be an integer: "
            f"got pool_stride1={first.pool_stride} (by default pool1); "
            f"pools of {works} work, or give pool2 as well"
        )
    return 100 // first.pool_stride


def _one_line(error: ValidationError, suffix: str = "") -> str:
    first = error.errors()[0]
    if not first["loc"]:
        rule = first["msg"].removeprefix("Value error, ")
        return f"`layers` {rule}: got {short_repr(first['input']['layers'])}"
    name = f"{first['loc'][-1]}{suffix}"
    if first["type"] == "value_error":
        return f"`{name}`: {first['msg'].removeprefix('Value error, ')}"
    info = field_info(name)
    about = f" ({info.description})" if info else ""
    rule = first["msg"].replace("Input should be", "must be").replace("'", "")
    rule = re.sub(r"0\.0{5,}\d+", lambda found: f"{float(found[0]):g}", rule)
    return f"`{name}` {rule}: got {short_repr(first['input'])}{about}"
