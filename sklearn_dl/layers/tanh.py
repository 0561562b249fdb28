"""Hyperbolic tangent."""

import numpy as np

from sklearn_dl._arrays import Cache
from sklearn_dl.layers import _activation
from sklearn_dl.layers._activation import Activation
from sklearn_dl.layers._registry import register

__all__ = ["Tanh", "tanh_backward", "tanh_forward"]


class TanhCache(Cache):
    """The output."""

    __slots__ = ()
    forward = "tanh_forward"


def tanh_forward(x, *, out=None):
    """Take the hyperbolic tangent.

    Parameters
    ----------
    x : ndarray of any shape
        Input.
    out : ndarray of the shape of x, optional
        Where to write the result; may be x itself.

    Returns
    -------
    out : ndarray of the shape of x
        ``tanh(x)``, from -1 to 1.
    cache : tuple
        What `tanh_backward` needs.

    Raises
    ------
    ValueError
        If x is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import tanh_forward
    >>> tanh_forward(np.array([-1.0, 0.0, 2.0]))[0].round(3)
    array([-0.762,  0.   ,  0.964])
    """
    return _activation.forward(Tanh(), TanhCache, x, out)


def tanh_backward(dout, cache, *, out=None):
    """Return the gradient of the hyperbolic tangent.

    Parameters
    ----------
    dout : ndarray of any shape
        Gradient of the loss with respect to the output.
    cache : tuple
        From `tanh_forward`.
    out : ndarray of the shape of dout, optional
        Where to write the result; may be dout itself.

    Returns
    -------
    dx : ndarray of the shape of dout
        ``dout * (1 - tanh(x) ** 2)``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import tanh_backward, tanh_forward
    >>> _, cache = tanh_forward(np.array([-1.0, 0.0, 2.0]))
    >>> tanh_backward(np.ones(3), cache).round(3)
    array([0.42 , 1.   , 0.071])
    """
    return _activation.backward(Tanh(), TanhCache, dout, cache, out)


@register
class Tanh(Activation):
    """``tanh(x)``.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, Tanh
    >>> Net([Affine(8), Tanh(), Affine(3)], (4,), random_state=0).layers[1]
    Tanh()
    """

    recordable = True
    compiled = True
    name = "tanh"
    weight_scale = "xavier"

    def function(self, x):
        """Return the output."""
        return np.tanh(x)

    def slope(self, x):
        """Return the derivative."""
        return 1 - np.tanh(x) ** 2

    def to_onnx(self, graph, arrays, x, shape):
        """Add the operator Tanh."""
        return graph.add("Tanh", x), shape
