"""A faster forward pass, equal to the model's forward pass up to rounding."""

from mlproject.network.fast_pass.choice import choose, choose_prediction, supports
from mlproject.network.fast_pass.forward import prediction_pass, training_pass
from mlproject.network.fast_pass.seeds import choose_together, seeds_pass

__all__ = [
    "choose",
    "choose_prediction",
    "choose_together",
    "prediction_pass",
    "seeds_pass",
    "supports",
    "training_pass",
]
