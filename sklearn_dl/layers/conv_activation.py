"""Convolution and activation in one pass."""

from sklearn_dl.layers._activation import Activated, Activation, check_activation
from sklearn_dl.layers._layer import check_layer
from sklearn_dl.layers._registry import register
from sklearn_dl.layers.conv import Conv

__all__ = ["ConvActivation"]


@register
class ConvActivation(Activated, Conv):
    """Conv and an activation in one pass; `Net` puts it in the place of the two.

    Parameters
    ----------
    conv : Conv
        The first of the two.
    activation : ReLU, LeakyReLU, Tanh, Logistic, Identity, GELU or SiLU
        The second.

    Examples
    --------
    >>> from sklearn_dl.nets.layers import Conv, ConvActivation, SiLU
    >>> ConvActivation(Conv(8, 3), SiLU()).filters
    8
    """

    recordable = True

    def __init__(self, conv: Conv, activation: Activation) -> None:
        self.conv = check_layer("conv", conv, Conv)
        self.activation = check_activation(activation)
        self.__dict__.update(conv.__dict__)

    def to_onnx(self, graph, arrays, x, shape):
        """Add what the two layers do."""
        x, shape = super().to_onnx(graph, arrays, x, shape)
        return self.activation.to_onnx(graph, arrays, x, shape)
