"""Rectified linear unit."""

import numpy as np

from sklearn_dl._arrays import as_floats, as_gradient, check_not_empty, output, refuse_cache
from sklearn_dl.layers._activation import Activation
from sklearn_dl.layers._registry import register

__all__ = ["ReLU", "relu_backward", "relu_forward"]


def relu_forward(x, *, out=None):
    """Set negative elements to zero.

    Parameters
    ----------
    x : ndarray of any shape
        Input.
    out : ndarray of the shape of x, optional
        Where to write the result; may be x itself.

    Returns
    -------
    out : ndarray of the shape of x
        ``max(x, 0)``.
    cache : ndarray
        What `relu_backward` needs: x (the result, where it has overwritten x).

    Raises
    ------
    ValueError
        If x is empty.

    Notes
    -----
    Nair & Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import relu_forward
    >>> relu_forward(np.array([-1.0, 0.0, 2.0]))[0]
    array([0., 0., 2.])
    """
    (x,) = as_floats(x=x)
    check_not_empty("x", x)
    out = output(out, x.shape, x.dtype)
    ReLU()._run_forward(x, out)
    return out, x


def relu_backward(dout, cache, *, out=None):
    """Return the gradient of the rectified linear unit.

    Parameters
    ----------
    dout : ndarray of any shape
        Gradient of the loss with respect to the output.
    cache : ndarray
        From `relu_forward`.
    out : ndarray of the shape of dout, optional
        Where to write the result; may be dout itself.

    Returns
    -------
    dx : ndarray of the shape of dout
        What dout is where the input was positive, zero elsewhere (at zero, too).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import relu_backward, relu_forward
    >>> _, cache = relu_forward(np.array([-1.0, 0.0, 2.0]))
    >>> relu_backward(np.array([5.0, 6.0, 7.0]), cache)
    array([0., 0., 7.])
    """
    if not isinstance(cache, np.ndarray) or cache.dtype.kind not in "biuf":
        refuse_cache("relu_forward", cache)
    (x,) = as_floats(cache=cache)
    dout = as_gradient(dout, x.shape, x.dtype, of="the forward output (cache is that of relu_forward)")
    dx = output(out, x.shape, x.dtype)
    ReLU()._run_backward(dout, x, dx)
    return dx


@register
class ReLU(Activation):
    """``max(0, x)``.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, ReLU
    >>> net = Net([Affine(8), ReLU(), Affine(3)], (4,), random_state=0)
    >>> len(net.layers)
    3
    """

    recordable = True
    compiled = True
    name = "relu"

    def function(self, x):
        """Return the output."""
        return np.where(x < 0, 0, x)

    def slope(self, x):
        """Return the derivative."""
        return np.where(x > 0, x.dtype.type(1), x.dtype.type(0))

    def to_onnx(self, graph, arrays, x, shape):
        """Add the operator Relu."""
        return graph.add("Relu", x), shape
