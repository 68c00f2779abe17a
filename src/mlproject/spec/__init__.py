"""What a run is: one frozen, validated, hashable object.

Users write flat names (``pool1=25``, ``filters3=128``). A `RunSpec` keeps the convolutions as a
tuple of `Block`: a network may have any number of them. `RunSpec.flat` gives flat names back.
"""

from mlproject.spec.block import Block
from mlproject.spec.notes import notes
from mlproject.spec.run_spec import (
    BLOCK_FIELDS,
    BUILDER_FIELDS,
    GENERATED_FIELDS,
    RunSpec,
    field_of,
    fields_of,
    without_later_defaults,
)

__all__ = [
    "BLOCK_FIELDS",
    "BUILDER_FIELDS",
    "GENERATED_FIELDS",
    "Block",
    "RunSpec",
    "field_of",
    "fields_of",
    "notes",
    "without_later_defaults",
]
