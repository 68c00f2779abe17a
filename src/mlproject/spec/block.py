"""A convolution block of a network."""

from typing import Literal

from mlproject.fields import (
    ActivationName,
    DropoutRate,
    Few,
    Frozen,
    Padding,
    Positive,
    network_field,
)
from mlproject.geometry import Window


class Block(Frozen):
    """One convolution block: convolution, batch norm, activation, max-pool, dropout."""

    filters: Positive = network_field(..., "number of filters", fits=True)
    kernel: Positive = network_field(..., "filter width, positions of its input")
    stride: Positive = network_field(1, "step of the convolution", fits=True)
    pool: Positive = network_field(..., "max-pool window, 1 = none", fits=True)
    pool_stride: Positive = network_field(..., "step of the max-pool", fits=True)
    padding: Padding = network_field("same", "padding of the convolution", later=True, fits=True)
    dilation: Positive = network_field(
        1, "distance of neighbouring weights, positions; 1 = none", later=True
    )
    activation: ActivationName | None = network_field(
        None, "activation; by default `activation` in block 1, relu in later ones", later=True
    )
    pooling: Literal["max", "average", "attention"] = network_field(
        "max", "pooling: maximum, mean, or mean with softmax weights", later=True
    )
    pool_padding: Padding = network_field("same", "padding of the pooling", later=True, fits=True)
    dropout: DropoutRate | None = network_field(
        None, "dropout of the block; by default `dropout_conv`", later=True
    )
    residual: Few = network_field(0, "residual convolutions after the block's own", later=True)
    kernel_residual: Positive = network_field(3, "width of the residual convolutions", later=True)
    dilation_residual: Positive = network_field(
        1,
        "factor of the dilation from one residual convolution to the next; 2 gives 1, 2, 4, ...",
        later=True,
    )

    @property
    def convolution(self) -> Window:
        """The window of the convolution."""
        return Window(self.kernel, self.stride, self.padding, self.dilation)

    @property
    def max_pool(self) -> Window:
        """The window of the pooling."""
        if self.pool == 1:
            return Window(1)
        padding = "valid" if self.pooling == "attention" else self.pool_padding
        return Window(self.pool, self.pool_stride, padding)
