"""The paper's networks and protocols as rows that state only their difference from a base.

A new network is a new row of `ARCHITECTURES`.

Source: Koo & Eddy, PLoS Comput Biol 15(12): e1007560, 2019, Methods and Table 1.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from mlproject.fields import AlignmentName

Options = Mapping[str, object]

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
