"""A run's fields under the flat names that users write, and its hashes."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic.fields import FieldInfo as FieldDeclaration

from mlproject.fields import (
    BLOCKS,
    GENERATED,
    Group,
    canonical_sha256,
    declared,
    jaspar_names,
    parse_databases,
)
from mlproject.spec.block import Block
from mlproject.spec.interpretation import InterpretationSpec


class RunSpec(InterpretationSpec):
    """Everything that can change the result of a run.

    `mlproject.architectures.make_spec` builds one: it knows the presets and the derived values.
    """

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
