"""Sigmoid linear unit."""

from scipy.special import expit

from sklearn_dl._arrays import Cache
from sklearn_dl.layers import _activation
from sklearn_dl.layers._activation import Activation
from sklearn_dl.layers._registry import register

__all__ = ["SiLU", "silu_backward", "silu_forward"]


class SiLUCache(Cache):
    """The input."""

    __slots__ = ()
    forward = "silu_forward"


def silu_forward(x, *, out=None):
    """Multiply x by the logistic function of x.

    Parameters
    ----------
    x : ndarray of any shape
        Input.
    out : ndarray of the shape of x, optional
        Where to write the result; may be x itself.

    Returns
    -------
    out : ndarray of the shape of x
        ``x / (1 + exp(-x))``, also called swish.
    cache : tuple
        What `silu_backward` needs.

    Raises
    ------
    ValueError
        If x is empty.

    Notes
    -----
    Elfwing, Uchibe & Doya, "Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning", 2017, https://arxiv.org/abs/1702.03118.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import silu_forward
    >>> silu_forward(np.array([-1.0, 0.0, 2.0]))[0].round(3)
    array([-0.269,  0.   ,  1.762])
    """
    return _activation.forward(SiLU(), SiLUCache, x, out)


def silu_backward(dout, cache, *, out=None):
    """Return the gradient of the sigmoid linear unit.

    Parameters
    ----------
    dout : ndarray of any shape
        Gradient of the loss with respect to the output.
    cache : tuple
        From `silu_forward`.
    out : ndarray of the shape of dout, optional
        Where to write the result; may be dout itself.

    Returns
    -------
    dx : ndarray of the shape of dout
        ``dout * s * (1 + x * (1 - s))`` where ``s = 1 / (1 + exp(-x))``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import silu_backward, silu_forward
    >>> _, cache = silu_forward(np.array([-1.0, 0.0, 2.0]))
    >>> silu_backward(np.ones(3), cache).round(3)
    array([0.072, 0.5  , 1.091])
    """
    return _activation.backward(SiLU(), SiLUCache, dout, cache, out)


@register
class SiLU(Activation):
    """``x / (1 + exp(-x))``, also called swish.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, SiLU
    >>> Net([Affine(8), SiLU(), Affine(3)], (4,), random_state=0).layers[1]
    SiLU()
    """

    recordable = True
    compiled = True
    name = "silu"

    def function(self, x):
        """Return the output."""
        return x * expit(x)

    def slope(self, x):
        """Return the derivative."""
        return expit(x) * (1 + x * expit(-x))

    def to_onnx(self, graph, arrays, x, shape):
        """Add the product of x and its sigmoid."""
        return graph.add("Mul", x, graph.add("Sigmoid", x)), shape
