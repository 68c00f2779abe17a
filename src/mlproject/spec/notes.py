"""What a user should know of a spec before the training: fields without effect, odd schedules."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mlproject.fields import BLOCKS
from mlproject.spec.block import Block
from mlproject.spec.run_spec import RunSpec

Condition = tuple[str, Callable[[RunSpec], bool]]

ATTENTION: Condition = ("attention=1 or more", lambda spec: spec.attention > 0)
ADVERSARIAL: Condition = ("adversarial above 0", lambda spec: spec.adversarial > 0)
EVOAUG: Condition = ("augment=evoaug", lambda spec: spec.augment == "evoaug")

NEEDS: Mapping[str, Condition] = MappingProxyType(
    {
        "attention_heads": ATTENTION,
        "attention_key": ATTENTION,
        "weight_decay": ("optimizer=adamw", lambda spec: spec.optimizer == "adamw"),
        "sgd_momentum": ("optimizer=sgd", lambda spec: spec.optimizer == "sgd"),
        "reduce_lr_patience": (
            "reduce_lr_factor below 1",
            lambda spec: spec.reduce_lr_factor < 1,
        ),
        "min_lr": (
            "reduce_lr_factor below 1, or decay=cosine",
            lambda spec: spec.reduce_lr_factor < 1 or spec.decay == "cosine",
        ),
        "augmentations": EVOAUG,
        "augment_most": EVOAUG,
        "adversarial_steps": ADVERSARIAL,
        "adversarial_rate": ADVERSARIAL,
        "backgrounds": ("embedded motifs", lambda spec: spec.embedded != "none"),
        "fine_tune_lr": ("fine_tune=1 or more", lambda spec: spec.fine_tune > 0),
    }
)
"""Field -> what it needs to have an effect."""


def notes(spec: RunSpec) -> list[str]:
    """Return sentences about values of a spec that do nothing, or not what one expects."""
    names = [name for name in NEEDS if spec.model == BLOCKS or name in spec.flat()]
    found = [
        f"{name}={getattr(spec, name)} has no effect: it needs {NEEDS[name][0]}"
        for name in names
        if getattr(spec, name) != RunSpec.model_fields[name].default and not NEEDS[name][1](spec)
    ]
    if spec.dense and spec.units != RunSpec.model_fields["units"].default:
        found.append(f"units={spec.units} has no effect: dense={spec.dense} lists the units")
    for number, block in enumerate(spec.blocks, 1):
        for name in ("kernel_residual", "dilation_residual"):
            value = getattr(block, name)
            if not block.residual and value != Block.model_fields[name].default:
                found.append(
                    f"{name}{number}={value} has no effect: it needs residual{number}=1 or more"
                )
    if spec.warmup > spec.epochs:
        found.append(
            f"warmup={spec.warmup} is above epochs={spec.epochs}: the learning rate ends at "
            f"{spec.learning_rate * spec.epochs / spec.warmup:g}, below learning_rate="
            f"{spec.learning_rate:g}"
        )
    if spec.min_lr > spec.learning_rate and NEEDS["min_lr"][1](spec):
        what = "rises" if spec.decay == "cosine" else "is never reduced"
        found.append(
            f"min_lr={spec.min_lr:g} is above learning_rate={spec.learning_rate:g}: the rate {what}"
        )
    return found
