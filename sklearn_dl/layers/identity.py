"""Identity."""

import numpy as np

from sklearn_dl._arrays import Cache
from sklearn_dl.layers import _activation
from sklearn_dl.layers._activation import Activation
from sklearn_dl.layers._registry import register

__all__ = ["Identity", "identity_backward", "identity_forward"]


class IdentityCache(Cache):
    """The output."""

    __slots__ = ()
    forward = "identity_forward"


def identity_forward(x, *, out=None):
    """Copy x.

    Parameters
    ----------
    x : ndarray of any shape
        Input.
    out : ndarray of the shape of x, optional
        Where to write the result; may be x itself.

    Returns
    -------
    out : ndarray of the shape of x
        Equal to x.
    cache : tuple
        What `identity_backward` needs.

    Raises
    ------
    ValueError
        If x is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import identity_forward
    >>> identity_forward(np.array([-1.0, 0.0, 2.0]))[0].round(3)
    array([-1.,  0.,  2.])
    """
    return _activation.forward(Identity(), IdentityCache, x, out)


def identity_backward(dout, cache, *, out=None):
    """Return the gradient of the identity.

    Parameters
    ----------
    dout : ndarray of any shape
        Gradient of the loss with respect to the output.
    cache : tuple
        From `identity_forward`.
    out : ndarray of the shape of dout, optional
        Where to write the result; may be dout itself.

    Returns
    -------
    dx : ndarray of the shape of dout
        Equal to dout.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import identity_backward, identity_forward
    >>> _, cache = identity_forward(np.array([-1.0, 0.0, 2.0]))
    >>> identity_backward(np.ones(3), cache).round(3)
    array([1., 1., 1.])
    """
    return _activation.backward(Identity(), IdentityCache, dout, cache, out)


@register
class Identity(Activation):
    """Its input as it is: ``x``.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, Identity
    >>> Net([Affine(8), Identity(), Affine(3)], (4,), random_state=0).layers[1]
    Identity()
    """

    recordable = True
    compiled = True
    name = "identity"
    weight_scale = "xavier"

    def function(self, x):
        """Return the output."""
        return x

    def slope(self, x):
        """Return the derivative."""
        return np.ones_like(x)

    def _run_backward(self, dout, kept, dx):
        """Write dout to dx, unless it is there."""
        if dx is not dout:
            super()._run_backward(dout, kept, dx)

    def forward(self, x, params, work, *, train, sample_weight):
        """Return x."""
        return x

    def backward(self, dout, grads, work, *, need_dx):
        """Return dout."""
        return dout

    def to_onnx(self, graph, arrays, x, shape):
        """Add nothing."""
        return x, shape
