"""Networks and protocols as rows, the specs that they make, and their names."""

from mlproject.architectures.models import model_file, trust, trusted_file, zoo_names
from mlproject.architectures.naming import (
    arch_name,
    base_arch,
    network_order,
    preset_names,
    printed_name,
    protocol_name,
    run_name,
)
from mlproject.architectures.presets import FIRST, make_spec, recorded_spec
from mlproject.architectures.rows import (
    ALIGNMENTS,
    ALWAYS_SCORED,
    ARCHITECTURES,
    PROTOCOLS,
    AlignmentRule,
    scored_alignments,
)

__all__ = [
    "ALIGNMENTS",
    "ALWAYS_SCORED",
    "ARCHITECTURES",
    "FIRST",
    "PROTOCOLS",
    "AlignmentRule",
    "arch_name",
    "base_arch",
    "make_spec",
    "model_file",
    "network_order",
    "preset_names",
    "printed_name",
    "protocol_name",
    "recorded_spec",
    "run_name",
    "scored_alignments",
    "trust",
    "trusted_file",
    "zoo_names",
]
