"""The forward pass in training, with less work than the model's own."""

from mlproject.network.fast_pass.network import choose, training_pass

__all__ = ["choose", "training_pass"]
