"""Attributions: the contribution of each letter of a sequence to a network's output."""

from mlproject.attribution.methods import METHODS, Attributions, Method, attribute

__all__ = ["METHODS", "Attributions", "Method", "attribute"]
