"""Logistic function."""

from scipy.special import expit

from sklearn_dl._arrays import Cache
from sklearn_dl.layers import _activation
from sklearn_dl.layers._activation import Activation
from sklearn_dl.layers._registry import register

__all__ = ["Logistic", "logistic_backward", "logistic_forward"]


class LogisticCache(Cache):
    """The output."""

    __slots__ = ()
    forward = "logistic_forward"


def logistic_forward(x, *, out=None):
    """Take the logistic function, also called sigmoid.

    Parameters
    ----------
    x : ndarray of any shape
        Input.
    out : ndarray of the shape of x, optional
        Where to write the result; may be x itself.

    Returns
    -------
    out : ndarray of the shape of x
        ``1 / (1 + exp(-x))``, from 0 to 1.
    cache : tuple
        What `logistic_backward` needs.

    Raises
    ------
    ValueError
        If x is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import logistic_forward
    >>> logistic_forward(np.array([-1.0, 0.0, 2.0]))[0].round(3)
    array([0.269, 0.5  , 0.881])
    """
    return _activation.forward(Logistic(), LogisticCache, x, out)


def logistic_backward(dout, cache, *, out=None):
    """Return the gradient of the logistic function.

    Parameters
    ----------
    dout : ndarray of any shape
        Gradient of the loss with respect to the output.
    cache : tuple
        From `logistic_forward`.
    out : ndarray of the shape of dout, optional
        Where to write the result; may be dout itself.

    Returns
    -------
    dx : ndarray of the shape of dout
        ``dout * y * (1 - y)`` where y is the output.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import logistic_backward, logistic_forward
    >>> _, cache = logistic_forward(np.array([-1.0, 0.0, 2.0]))
    >>> logistic_backward(np.ones(3), cache).round(3)
    array([0.197, 0.25 , 0.105])
    """
    return _activation.backward(Logistic(), LogisticCache, dout, cache, out)


@register
class Logistic(Activation):
    """``1 / (1 + exp(-x))``, also called sigmoid.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, Logistic
    >>> Net([Affine(8), Logistic(), Affine(3)], (4,), random_state=0).layers[1]
    Logistic()
    """

    recordable = True
    compiled = True
    name = "logistic"
    weight_scale = "xavier"
    steepest = 0.25

    def function(self, x):
        """Return the output."""
        return expit(x)

    def slope(self, x):
        """Return the derivative."""
        return expit(x) * expit(-x)

    def to_onnx(self, graph, arrays, x, shape):
        """Add the operator Sigmoid."""
        return graph.add("Sigmoid", x), shape
