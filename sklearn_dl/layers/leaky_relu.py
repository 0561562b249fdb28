"""Leaky rectified linear unit."""

import numpy as np

from sklearn_dl._arrays import Cache
from sklearn_dl.layers import _activation
from sklearn_dl.layers._activation import Activation
from sklearn_dl.layers._registry import register

__all__ = ["LeakyReLU", "leaky_relu_backward", "leaky_relu_forward"]

NEGATIVE_SLOPE = 0.01


class LeakyReLUCache(Cache):
    """The output."""

    __slots__ = ()
    forward = "leaky_relu_forward"


def leaky_relu_forward(x, *, out=None):
    """Multiply the negative elements by 0.01.

    Parameters
    ----------
    x : ndarray of any shape
        Input.
    out : ndarray of the shape of x, optional
        Where to write the result; may be x itself.

    Returns
    -------
    out : ndarray of the shape of x
        Equal to x where it is positive, ``0.01 * x`` elsewhere.
    cache : tuple
        What `leaky_relu_backward` needs.

    Raises
    ------
    ValueError
        If x is empty.

    Notes
    -----
    Maas, Hannun & Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import leaky_relu_forward
    >>> leaky_relu_forward(np.array([-1.0, 0.0, 2.0]))[0].round(3)
    array([-0.01,  0.  ,  2.  ])
    """
    return _activation.forward(LeakyReLU(), LeakyReLUCache, x, out)


def leaky_relu_backward(dout, cache, *, out=None):
    """Return the gradient of the leaky rectified linear unit.

    Parameters
    ----------
    dout : ndarray of any shape
        Gradient of the loss with respect to the output.
    cache : tuple
        From `leaky_relu_forward`.
    out : ndarray of the shape of dout, optional
        Where to write the result; may be dout itself.

    Returns
    -------
    dx : ndarray of the shape of dout
        What dout is where the input was positive, ``0.01 * dout`` elsewhere (at zero, too).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import leaky_relu_backward, leaky_relu_forward
    >>> _, cache = leaky_relu_forward(np.array([-1.0, 0.0, 2.0]))
    >>> leaky_relu_backward(np.ones(3), cache).round(3)
    array([0.01, 0.01, 1.  ])
    """
    return _activation.backward(LeakyReLU(), LeakyReLUCache, dout, cache, out)


@register
class LeakyReLU(Activation):
    """The input where it is positive, 0.01 times it elsewhere.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, LeakyReLU
    >>> Net([Affine(8), LeakyReLU(), Affine(3)], (4,), random_state=0).layers[1]
    LeakyReLU()
    """

    recordable = True
    compiled = True
    name = "leaky_relu"

    def function(self, x):
        """Return the output."""
        return np.where(x > 0, x, x.dtype.type(NEGATIVE_SLOPE) * x)

    def slope(self, x):
        """Return the derivative."""
        return np.where(x > 0, x.dtype.type(1), x.dtype.type(NEGATIVE_SLOPE))

    def to_onnx(self, graph, arrays, x, shape):
        """Add the operator LeakyRelu."""
        return graph.add("LeakyRelu", x, alpha=NEGATIVE_SLOPE), shape
