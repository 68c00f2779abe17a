"""What a user wrote becomes a spec: base, protocol, architecture, options."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mlproject.architectures.blocks import assemble, one_line
from mlproject.architectures.models import hash_of_model
from mlproject.architectures.rows import ALIGNMENTS, ARCHITECTURES, BASE, PROTOCOLS, Options
from mlproject.fields import (
    BLOCKS,
    GENERATED,
    JASPAR_2016,
    TRAINING_VERSION,
    database_files,
    parse_arguments,
)
from mlproject.parameters import ARGUMENT, field_info, field_names, is_argument, parse_value
from mlproject.spec import BUILDER_FIELDS, GENERATED_FIELDS, RunSpec
from mlproject.system.errors import UserError, nearest, short_repr
from mlproject.system.files import sha256_of

FINE_TUNED = 10  # epochs of fine-tuning after evoaug, as its authors take for DeepSTARR
FIRST = "first"  # `layers` of a model that is no chain of blocks: its first convolution


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
        values["blocks"] = assemble(flat_blocks)
    else:
        unused = [name for name in own if name in BUILDER_FIELDS or _of_block(name)]
        if unused or "arch" in options:
            raise UserError(
                f"`{[*unused, 'arch'][0]}` is for model={BLOCKS} only: got model={model}; "
                "`model_args` has the arguments of its function"
            )
        values = {name: value for name, value in values.items() if name not in BUILDER_FIELDS}
        values = {"layers": FIRST, **values, "blocks": ()}
        if "model_sha256" not in values:
            values["model_sha256"] = hash_of_model(model)
    try:
        made = RunSpec(**_with_file_hashes(values))
    except ValidationError as error:
        raise UserError(one_line(error)) from error
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


def _refuse_arguments(text: str) -> None:
    """Raise a `UserError` if a network of blocks gets arguments of a function."""
    if text.strip() not in ("", "{}"):
        raise UserError(
            "`model_args` has the arguments of a model's function: give `model` too, such as "
            f"model=my_net.py:build; got {short_repr(text)}"
        )


def _with_arguments(text: str, arguments: Options) -> str:
    """Return the arguments of the model's function with single ones (``model_args.width``)."""
    given = parse_arguments(text)
    own = {name.removeprefix(ARGUMENT): value for name, value in arguments.items()}
    if twice := sorted(given.keys() & own):
        raise UserError(
            f"`{ARGUMENT}{twice[0]}` must not be in `model_args` too: got {short_repr(text)}"
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


def _row(table: Mapping[str, Options], name: str, value: object) -> Options:
    if not isinstance(value, str) or value not in table:
        written = value if isinstance(value, str) else short_repr(value)
        raise UserError(f"unknown {name} {short_repr(value)}: {nearest(written, table)}")
    return table[value]
