"""Lengths, padding, receptive fields and multiply-adds of layers that read along a sequence.

`Window` holds the arithmetic of one convolution or pool; it needs integers only. `receptive_fields`
and `multiply_adds` read the layers of a Keras model, whatever its graph. This module imports
neither Keras nor numpy, so that a spec can be checked without them.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mlproject.system.errors import UserError, nearest

if TYPE_CHECKING:
    import keras

CONVOLUTIONS = {"Conv1D", "SeparableConv1D", "DepthwiseConv1D"}
POOLS = {"MaxPooling1D", "AveragePooling1D"}
PER_POSITION = {
    "Activation", "ActivityRegularization", "AlphaDropout", "Dense", "Dropout", "ELU",
    "GaussianDropout", "GaussianNoise", "Identity", "LeakyReLU", "PReLU", "ReLU", "Rescaling",
    "SpatialDropout1D",
}  # fmt: skip
FUNCTIONS = {
    "Abs", "Absolute", "Arctan", "Celu", "Clip", "Cos", "Cosh", "Elu", "Exp", "Exp2", "Expm1",
    "Gelu", "HardShrink", "HardSigmoid", "HardSilu", "HardTanh", "LeakyRelu", "Log", "Log10",
    "Log1p", "Log2", "LogSigmoid", "Reciprocal", "Relu", "Relu6", "Rsqrt", "Selu", "Sigmoid",
    "Silu", "Sin", "Sinh", "SoftShrink", "Softplus", "Softsign", "SparsePlus", "SparseSigmoid",
    "Sqrt", "Square", "Squareplus", "Tanh", "TanhShrink", "Threshold",
}  # fmt: skip
"""Operations of `keras.ops` that compute each value from one value."""
OVER_CHANNELS = {"BatchNormalization", "LayerNormalization", "Softmax", "Concatenate"}
MERGES = {"Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"}


class Window(NamedTuple):
    """The window of a convolution or pool that moves along a map.

    Attributes:
        size: positions that one output reads.
        stride: positions from one output's window to the next.
        padding: ``same``, ``valid`` or ``causal``, as Keras defines them.
        dilation: distance of neighbouring positions within the window.
    """

    size: int
    stride: int = 1
    padding: str = "same"
    dilation: int = 1

    @property
    def span(self) -> int:
        """Positions from the first one read to the last one read, both included."""
        return (self.size - 1) * self.dilation + 1

    def outputs(self, length: int) -> int:
        """Return the number of outputs over a map of `length` positions."""
        reached = length - self.span + 1 if self.padding == "valid" else length
        return -(-reached // self.stride)

    def pad(self, length: int) -> tuple[int, int]:
        """Return how many positions are added before and after a map of `length` positions."""
        if self.padding == "valid":
            return 0, 0
        if self.padding == "causal":
            return self.span - 1, 0
        missing = max((self.outputs(length) - 1) * self.stride + self.span - length, 0)
        return missing // 2, missing - missing // 2

    def start(self, output: Any, length: int) -> Any:
        """Return the position that an output reads first; below 0 it is padding.

        Args:
            output: the number of an output, or an array of such numbers.
            length: positions of the map.
        """
        return output * self.stride - self.pad(length)[0]


class ReceptiveField(NamedTuple):
    """Position p of a map sees `width` nt of the sequence, from nt ``p * step - left`` on."""

    width: int = 1
    left: int = 0
    step: int = 1

    def start(self, window: int) -> int:
        """Return the offset from ``p * step`` at which a centred window of `window` nt starts."""
        return (self.width - window) // 2 - self.left

    def through(self, window: Window, length: int) -> "ReceptiveField":
        """Return the field behind a convolution or pool over this map of `length` positions."""
        return ReceptiveField(
            self.width + (window.span - 1) * self.step,
            self.left + window.pad(length)[0] * self.step,
            self.step * window.stride,
        )


class Kernel(NamedTuple):
    """The weights of a convolution or dense layer, and where they are applied.

    Attributes:
        positions: outputs along the sequence; 1 for a dense layer.
        inputs: values that one output reads.
        filters: filters or units.
    """

    positions: int
    inputs: int
    filters: int

    @property
    def weights(self) -> int:
        """Number of weights, without a bias."""
        return self.inputs * self.filters

    @property
    def multiply_adds(self) -> int:
        """Multiplications of a forward pass over one sequence."""
        return self.positions * self.weights


def receptive_field(model: "keras.Model", layer: str) -> ReceptiveField:
    """Return the receptive field of a layer's output.

    Behind a pool the field covers every position that the output may come from.

    Raises:
        UserError: no such layer, or it has no receptive field; the message gives the reason.
    """
    fields = receptive_fields(model)
    if layer not in fields:
        raise UserError(f"unknown layer {layer!r}: {nearest(layer, fields)}")
    field = fields[layer]
    if isinstance(field, str):
        raise UserError(f"a layer must have a receptive field: {layer} has none, since {field}")
    return field


def receptive_fields(model: "keras.Model") -> dict[str, ReceptiveField | str]:
    """Return the receptive field of each layer's output, or the reason why it has none.

    The layers may form any graph. A layer that is called several times counts at its first call.
    """
    known: dict[int, ReceptiveField | str] = {}
    found: dict[str, ReceptiveField | str] = {}
    for operation in model.operations:
        own: ReceptiveField | str
        try:
            own = _behind(operation, known)
        except _NoFieldError as reason:
            own = str(reason)
        known |= {id(tensor): own for tensor in as_list(operation.output)}
        found[operation.name] = own
    return found


def window_of(layer: "keras.Layer") -> Window:
    """Return the window of a Keras convolution or pool over one axis."""
    if type(layer).__name__ in POOLS:
        return Window(layer.pool_size[0], layer.strides[0], layer.padding)
    return Window(layer.kernel_size[0], layer.strides[0], layer.padding, layer.dilation_rate[0])


def multiply_adds(model: "keras.Model") -> int:
    """Return the multiplications of the convolutions and dense layers for one sequence."""
    total = 0
    for layer in model.layers:
        shape = tuple(getattr(getattr(layer, "kernel", None), "shape", ()))
        if type(layer).__name__ in {"Conv1D", "Dense"}:
            positions = layer.output.shape[1] if len(layer.output.shape) == 3 else 1
            inputs = shape[0] * (shape[1] if len(shape) == 3 else 1)
            total += Kernel(positions, inputs, shape[-1]).multiply_adds
    return total


class _NoFieldError(ValueError):
    """The reason why a layer has no receptive field."""


def _behind(operation: Any, known: Mapping[int, ReceptiveField | str]) -> ReceptiveField:
    """Return the field of an operation's output from the fields of its inputs."""
    name, kind = operation.name, type(operation).__name__
    if kind == "InputLayer":
        return ReceptiveField()
    inputs = as_list(operation.input)
    if kind == "Concatenate" and _axes(operation) == [0]:
        return _known(inputs[0], known, name)  # a batch of both strands; the first is as given
    fields = [_known(tensor, known, name) for tensor in inputs]
    field, length, rank = fields[0], inputs[0].shape[1], len(inputs[0].shape)
    standard = (
        type(operation).__module__.startswith("keras.")
        and getattr(operation, "data_format", "channels_last") == "channels_last"
        and (kind not in OVER_CHANNELS or _axes(operation) in ([-1], [rank - 1]))
        and (kind != "Dense" or rank == 3)
    )
    if standard and kind in CONVOLUTIONS | POOLS:
        window = window_of(operation)
        if length is None and window.stride > 1:
            raise _NoFieldError(f"{name} has a stride, and the length of its input is not fixed")
        return field.through(window, length or 0)
    if standard and kind in MERGES:
        return _union(fields, name)
    if standard and kind in PER_POSITION | OVER_CHANNELS | FUNCTIONS:
        return field
    if standard and kind in {"ZeroPadding1D", "Cropping1D"}:
        added = operation.padding[0] if kind == "ZeroPadding1D" else -operation.cropping[0]
        return field._replace(left=field.left + added * field.step)
    raise _NoFieldError(f"{name} ({kind}) does not read a fixed window around each position")


def _known(tensor: Any, known: Mapping[int, ReceptiveField | str], name: str) -> ReceptiveField:
    field = known.get(id(tensor), f"{name} follows a layer that is called more than once")
    if isinstance(field, str):
        raise _NoFieldError(field)
    return field


def _union(fields: Sequence[ReceptiveField], name: str) -> ReceptiveField:
    """Return the smallest field that covers some fields of equal step."""
    if len({field.step for field in fields}) > 1:
        raise _NoFieldError(f"{name} joins maps of different strides")
    left = max(field.left for field in fields)
    right = max(field.width - field.left for field in fields)
    return ReceptiveField(left + right, left, fields[0].step)


def _axes(operation: Any) -> list[int]:
    return as_list(operation.axis)


def as_list(value: Any) -> list[Any]:
    """Return the inputs, outputs or axes of an operation as a list, one alone too."""
    return [*value] if isinstance(value, list | tuple) else [value]
