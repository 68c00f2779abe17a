"""Activation functions by name, each a chain of stock Keras layers.

A saved model therefore loads in safe mode and without this project. The modified functions are
those of Koo & Ploenzke, Nature Machine Intelligence 3, 258-266 (2021), with the constants of their
released code.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, get_args

from keras import layers

from mlproject.fields import ActivationName

Step = Callable[[str], Callable[[Any], Any]]


def activate(x: Any, activation: ActivationName, name: str) -> Any:
    """Return an activation of a map.

    Args:
        x: a Keras tensor.
        activation: its name, a key of `MODIFIED` or a Keras activation.
        name: prefix of the names of the layers; the last one is ``<name>_<activation>``.
    """
    if activation not in MODIFIED:
        return layers.Activation(activation, name=f"{name}_{activation}")(x)
    steps = MODIFIED[activation]
    for number, step in enumerate(steps, 1):
        last = number == len(steps)
        x = step(f"{name}_{activation}" if last else f"{name}_{activation}_{number}")(x)
    return x


def _scaled(factor: float, offset: float = 0.0) -> Step:
    return lambda name: layers.Rescaling(factor, offset, name=name)


def _stock(function: str) -> Step:
    return lambda name: layers.Activation(function, name=name)


def _cubed(name: str) -> Callable[[Any], Any]:
    return lambda x: layers.Multiply(name=name)([x, x, x])


MODIFIED: Mapping[str, tuple[Step, ...]] = MappingProxyType(
    {
        "shift_scale_relu": (_scaled(1.0, -0.2), _cubed, _stock("relu")),
        "shift_scale_tanh": (_scaled(1.0, -6.0), _stock("tanh"), _scaled(500.0, 500.0)),
        "shift_scale_sigmoid": (_scaled(1.0, -8.0), _stock("sigmoid"), _scaled(4000.0)),
        "exp_relu": (_scaled(0.1), _stock("exponential"), _scaled(1.0, -1.0), _stock("relu")),
        "shift_relu": (_scaled(1.0, -0.2), _stock("relu")),
        "shift_tanh": (_scaled(1.0, -6.0), _stock("tanh")),
        "shift_sigmoid": (_scaled(1.0, -8.0), _stock("sigmoid")),
        "scale_relu": (_cubed, _stock("relu")),
        "scale_tanh": (_stock("tanh"), _scaled(500.0, 500.0)),
        "scale_sigmoid": (_stock("sigmoid"), _scaled(4000.0)),
    }
)
"""Functions of x that Keras has no name for, as steps: shift, cube, squash, scale."""

assert set(MODIFIED) < set(get_args(ActivationName))
