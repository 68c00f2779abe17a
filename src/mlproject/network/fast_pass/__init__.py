"""A faster forward pass in training, equal to the model's forward pass up to rounding."""

from mlproject.network.fast_pass.forward import choose, training_pass

__all__ = ["choose", "training_pass"]
