"""Fields of a run's training and testing."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from mlproject.fields import (
    EVOAUG,
    TRAINING_VERSION,
    Epsilon,
    Momentum,
    MonitorName,
    Natural,
    Positive,
    PositiveFloat,
    Seed,
    testing_field,
    training_field,
)
from mlproject.spec.network import NetworkSpec


class TrainingSpec(NetworkSpec):
    """How the network is trained and tested."""

    init: Literal["glorot_uniform", "glorot_normal", "he_uniform", "he_normal"] = training_field(
        "glorot_uniform", "initial weights"
    )
    l2: Annotated[float, Field(ge=0.0, le=1000.0)] = training_field(
        1e-6, "l2 * sum(w^2) over convolution and dense weights"
    )
    bn_epsilon: Epsilon = training_field(1e-8, "epsilon of batch norm")
    bn_momentum: Momentum = training_field(0.99, "momentum of batch norm's moving averages")
    bn_averages: Literal["moving", "measured"] = training_field(
        "moving",
        "statistics of batch norm in validation and test: moving averages, or those measured on "
        "training sequences at the end of each epoch, better for small data",
        later=True,
    )
    batch_size: Positive = training_field(100, "sequences in a training step")
    learning_rate: PositiveFloat = training_field(1e-3, "learning rate")
    beta1: Momentum = training_field(0.95, "Adam's beta 1")
    adam_epsilon: Epsilon = training_field(1e-8, "Adam's epsilon")
    epochs: Positive = training_field(100, "most epochs to train")
    patience: Natural = training_field(
        20, "stop after so many epochs without a better `monitor`, 0 = never"
    )
    monitor: MonitorName = training_field(
        "val_loss",
        "score that chooses the best epoch: the lowest loss or error, the highest of the others; "
        "val_loss includes L2; `pooled`: over all classes together",
    )
    weights: Literal["best", "last"] = training_field(
        "best", "the epoch whose weights the run keeps", later=True
    )
    optimizer: Literal["adam", "adamw", "sgd"] = training_field("adam", "optimizer", later=True)
    weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = training_field(
        0.0, "decoupled weight decay of adamw", later=True
    )
    sgd_momentum: Momentum = training_field(0.9, "momentum of sgd", later=True)
    clip_norm: Annotated[float, Field(ge=0.0, le=1e6)] = training_field(
        0.0, "largest joint norm of all gradients, 0 = no limit", later=True
    )
    reduce_lr_factor: Annotated[float, Field(gt=0.0, le=1.0)] = training_field(
        1.0, "factor of the learning rate when `monitor` stagnates, 1 = never", later=True
    )
    reduce_lr_patience: Positive = training_field(
        5, "epochs without a better `monitor` before the learning rate is reduced", later=True
    )
    min_lr: Annotated[float, Field(ge=0.0, le=1.0)] = training_field(
        0.0, "smallest learning rate of a schedule", later=True
    )
    warmup: Natural = training_field(
        0, "epochs over which the learning rate rises linearly at the start", later=True
    )
    decay: Literal["none", "cosine"] = training_field(
        "none", "cosine: the learning rate falls to `min_lr` over `epochs`", later=True
    )
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = training_field(
        0.0,
        "share of each training label that is replaced by 1/2; multiclass: by 1/classes",
        later=True,
    )
    class_weight: Literal["none", "balanced"] = training_field(
        "none", "balanced: positives and negatives of a class have equal total weights", later=True
    )
    loss: Literal["auto", "poisson_multinomial"] = training_field(
        "auto",
        "auto: that of the data's task; poisson_multinomial, for counts: Poisson for the total and "
        "multinomial for the shares",
        later=True,
    )
    precision: Literal["float32", "bfloat16"] = training_field(
        "float32", "number format of layers; bfloat16 is for GPUs", later=True
    )
    augment: Literal["none", "reverse_complement", "evoaug"] = training_field(
        "none",
        "reverse_complement: each sequence on the other strand with a chance of 1/2; evoaug: "
        "`augment_most` of the `augmentations` on each sequence, then `fine_tune` epochs without",
        later=True,
    )
    augmentations: str = training_field(
        "deletion,insertion,translocation,reverse_complement,mutation,noise",
        f"augmentations of evoaug, comma-separated: {', '.join(EVOAUG)}",
        later=True,
    )
    augment_most: Annotated[int, Field(ge=1, le=len(EVOAUG))] = training_field(
        2, "augmentations applied to each sequence", later=True
    )
    mutation: Annotated[float, Field(ge=0.0, le=0.75)] = training_field(
        0.05, "share of letters that `mutation` changes", later=True
    )
    insertion: Natural = training_field(20, "most letters of an insertion", later=True)
    deletion: Natural = training_field(30, "most letters of a deletion", later=True)
    translocation: Natural = training_field(20, "most nt by which a sequence is rolled", later=True)
    inversion: Natural = training_field(20, "most letters of an inversion", later=True)
    noise: Annotated[float, Field(ge=0.0, le=10.0)] = training_field(
        0.3, "standard deviation of noise on one-hot sequences", later=True
    )
    shift: Natural = training_field(
        0, "most nt by which training sequences are moved; random letters fill the gap", later=True
    )
    fine_tune: Natural = training_field(
        0,
        "last epochs, without augmentation, from the best weights so far; 10 with evoaug",
        later=True,
    )
    fine_tune_lr: PositiveFloat = training_field(1e-4, "learning rate of these epochs", later=True)
    adversarial: Annotated[float, Field(ge=0.0, le=10.0)] = training_field(
        0.0,
        "adversarial training: largest change of each value of a sequence in the direction that "
        "raises the loss (0.05 is usual), 0 = none",
        later=True,
    )
    adversarial_steps: Annotated[int, Field(ge=1, le=1000)] = training_field(
        20, "gradient steps of this change", later=True
    )
    adversarial_rate: PositiveFloat = training_field(
        0.01, "size of each of these steps", later=True
    )
    seed: Seed = training_field(0, "seed of initial weights, order of batches and dropout")
    training_version: Annotated[int, Field(ge=1, le=TRAINING_VERSION)] = training_field(
        1, f"version of the training code; only {TRAINING_VERSION} can be trained", later=True
    )
    average: Literal["none", "reverse_complement"] = testing_field(
        "none", "test scores are the mean of both strands", later=True
    )

    @field_validator("augmentations", mode="after")
    @classmethod
    def _known_augmentations(cls, text: str) -> str:
        names = [name.strip() for name in text.split(",")]
        if not set(names) <= set(EVOAUG) or len(set(names)) < len(names):
            raise ValueError(f"must be different ones of {', '.join(EVOAUG)}: got {text!r}")
        return ",".join(names)

    @property
    def all_epochs(self) -> int:
        """Most epochs, fine-tuning included."""
        return self.epochs + self.fine_tune
