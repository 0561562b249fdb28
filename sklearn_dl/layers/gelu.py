"""Gaussian error linear unit."""

import math

import numpy as np
from scipy.special import ndtr

from sklearn_dl._arrays import Cache
from sklearn_dl.layers import _activation
from sklearn_dl.layers._activation import Activation
from sklearn_dl.layers._registry import register

__all__ = ["GELU", "gelu_backward", "gelu_forward"]


class GELUCache(Cache):
    """The input."""

    __slots__ = ()
    forward = "gelu_forward"


def gelu_forward(x, *, out=None):
    """Multiply x by the standard normal distribution function of x.

    Parameters
    ----------
    x : ndarray of any shape
        Input.
    out : ndarray of the shape of x, optional
        Where to write the result; may be x itself.

    Returns
    -------
    out : ndarray of the shape of x
        ``x * Phi(x)``, where Phi is the cumulative distribution function of the standard normal distribution.
    cache : tuple
        What `gelu_backward` needs.

    Raises
    ------
    ValueError
        If x is empty.

    Notes
    -----
    Hendrycks & Gimpel, "Gaussian error linear units (GELUs)", 2016, https://arxiv.org/abs/1606.08415. This is
    the exact function, not its approximation by tanh.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import gelu_forward
    >>> gelu_forward(np.array([-1.0, 0.0, 2.0]))[0].round(3)
    array([-0.159,  0.   ,  1.954])
    """
    return _activation.forward(GELU(), GELUCache, x, out)


def gelu_backward(dout, cache, *, out=None):
    """Return the gradient of the Gaussian error linear unit.

    Parameters
    ----------
    dout : ndarray of any shape
        Gradient of the loss with respect to the output.
    cache : tuple
        From `gelu_forward`.
    out : ndarray of the shape of dout, optional
        Where to write the result; may be dout itself.

    Returns
    -------
    dx : ndarray of the shape of dout
        ``dout * (Phi(x) + x * phi(x))``, where phi is the density of the standard normal distribution.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import gelu_backward, gelu_forward
    >>> _, cache = gelu_forward(np.array([-1.0, 0.0, 2.0]))
    >>> gelu_backward(np.ones(3), cache).round(3)
    array([-0.083,  0.5  ,  1.085])
    """
    return _activation.backward(GELU(), GELUCache, dout, cache, out)


@register
class GELU(Activation):
    """``x * Phi(x)``, where Phi is the cumulative distribution function of the standard normal distribution.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, GELU
    >>> Net([Affine(8), GELU(), Affine(3)], (4,), random_state=0).layers[1]
    GELU()
    """

    recordable = True
    compiled = True
    name = "gelu"

    def function(self, x):
        """Return the output."""
        return x * ndtr(x)

    def slope(self, x):
        """Return the derivative."""
        return ndtr(x) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)

    def to_onnx(self, graph, arrays, x, shape):
        """Add the function, by the operator Erf."""
        dtype = next(iter(arrays.values())).dtype
        half, one, root = (graph.constant(np.array(value, dtype)) for value in (0.5, 1, math.sqrt(2)))
        erf = graph.add("Div", x, root)
        if dtype == np.float64:  # for which onnxruntime has no Erf
            erf = graph.cast(graph.add("Erf", graph.cast(erf, np.float32)), dtype)
        else:
            erf = graph.add("Erf", erf)
        return graph.add("Mul", graph.add("Mul", half, x), graph.add("Add", one, erf)), shape
