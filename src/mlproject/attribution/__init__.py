"""Attributions: the contribution of each letter of a sequence to a network's output.

The methods are imported at their first use: they need Keras, which reports do not load.
"""

from typing import TYPE_CHECKING, Any

from mlproject.attribution.result import Attributions
from mlproject.attribution.scores import Method

if TYPE_CHECKING:
    from mlproject.attribution.methods import METHODS, attribute

__all__ = ["METHODS", "Attributions", "Method", "attribute"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mlproject.attribution import methods

    return getattr(methods, name)
