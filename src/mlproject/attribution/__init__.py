"""Attributions: which letters of a sequence a network's answer rests on."""

from mlproject.attribution.methods import METHODS, Attributions, Method, attribute

__all__ = ["METHODS", "Attributions", "Method", "attribute"]
