"""Affine layer and activation in one pass."""

from sklearn_dl.layers._activation import Activated, Activation, check_activation
from sklearn_dl.layers._layer import check_layer
from sklearn_dl.layers._registry import register
from sklearn_dl.layers.affine import Affine

__all__ = ["AffineActivation"]


@register
class AffineActivation(Activated, Affine):
    """Affine and an activation in one pass; `Net` puts it in the place of the two.

    Parameters
    ----------
    affine : Affine
        The first of the two.
    activation : ReLU, LeakyReLU, Tanh, Logistic, Identity, GELU or SiLU
        The second.

    Examples
    --------
    >>> from sklearn_dl.nets.layers import Affine, AffineActivation, Tanh
    >>> AffineActivation(Affine(8), Tanh()).units
    8
    """

    recordable = True
    takes_csr = True

    def __init__(self, affine: Affine, activation: Activation) -> None:
        self.affine = check_layer("affine", affine, Affine)
        self.activation = check_activation(activation)
        self.__dict__.update(affine.__dict__)

    def to_onnx(self, graph, arrays, x, shape):
        """Add what the two layers do."""
        x, shape = super().to_onnx(graph, arrays, x, shape)
        return self.activation.to_onnx(graph, arrays, x, shape)
