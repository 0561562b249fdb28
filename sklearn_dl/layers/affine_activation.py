"""Affine layer and activation in one pass."""

from sklearn_dl.layers._activation import Activation
from sklearn_dl.layers._layer import check_layer
from sklearn_dl.layers._registry import register
from sklearn_dl.layers.affine import Affine

__all__ = ["AffineActivation"]


@register
class AffineActivation(Affine):
    """Affine and an activation in one pass; `Net` puts it in the place of the two.

    Parameters
    ----------
    affine : Affine
        The first of the two.
    activation : ReLU, LeakyReLU, Tanh, Logistic, GELU or SiLU
        The second.

    Examples
    --------
    >>> from sklearn_dl.nets.layers import Affine, AffineActivation, Tanh
    >>> AffineActivation(Affine(8), Tanh()).units
    8
    """

    recordable = True

    def __init__(self, affine: Affine, activation: Activation) -> None:
        self.affine = check_layer("affine", affine, Affine)
        if not (isinstance(activation, Activation) and activation.has_kernel()):
            raise TypeError(f"activation must be an activation of sklearn_dl.nets.layers itself, got {activation!r}.")
        self.activation = activation
        self.__dict__.update(affine.__dict__)

    def to_onnx(self, graph, arrays, x, shape):
        """Add what the two layers do."""
        x, shape = super().to_onnx(graph, arrays, x, shape)
        return self.activation.to_onnx(graph, arrays, x, shape)
