"""Affine layer and rectified linear unit in one pass."""

from sklearn_dl._arrays import Cache, Held
from sklearn_dl.layers import affine
from sklearn_dl.layers._registry import register
from sklearn_dl.layers.affine import Affine, affine_backward
from sklearn_dl.layers.affine_activation import AffineActivation
from sklearn_dl.layers.relu import ReLU, relu_backward

__all__ = ["AffineReLU", "affine_relu_backward", "affine_relu_forward"]


class AffineReLUCache(Cache):
    """Cache of the affine layer, the output, work."""

    __slots__ = ()
    forward = "affine_relu_forward"


def affine_relu_forward(x, w, b, *, out=None, work=None):
    """Affine layer, then relu.

    Parameters
    ----------
    x : ndarray of shape (N, ...)
        Samples of any shape with D elements each.
    w : ndarray of shape (D, M)
        Weights.
    b : ndarray of shape (M,)
        Biases.
    out : ndarray of shape (N, M), optional
        Where to write the result; must not overlap the inputs.
    work : dict, optional
        Keeps what backward needs between calls, to reuse its memory.

    Returns
    -------
    out : ndarray of shape (N, M)
        ``max(x.reshape(N, D) @ w + b, 0)``.
    cache : tuple
        What `affine_relu_backward` needs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import affine_relu_forward
    >>> out, cache = affine_relu_forward(np.eye(2), np.array([[1.0], [-1.0]]), np.array([0.5]))
    >>> out
    array([[1.5],
           [0. ]])
    """
    out, affine_cache = affine.forward(x, w, b, out, ReLU.code())
    return out, AffineReLUCache((affine_cache, out, work))


def affine_relu_backward(dout, cache, *, out=None, need_dx=True):
    """Return the gradients of the affine-relu pair.

    Parameters
    ----------
    dout : ndarray of shape (N, M)
        Gradient of the loss with respect to the output.
    cache : tuple
        From `affine_relu_forward`.
    out : tuple of 3 ndarrays or None, optional
        Buffers for dx, dw and db; any of them may be None.
    need_dx : bool, default=True
        Whether to compute dx; the first layer of a net has no use for it.

    Returns
    -------
    dx, dw, db : ndarray
        As from `affine_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import affine_relu_backward, affine_relu_forward
    >>> _, cache = affine_relu_forward(np.eye(2), np.array([[1.0], [-1.0]]), np.array([0.5]))
    >>> dx, dw, db = affine_relu_backward(np.ones((2, 1)), cache)
    >>> dw.ravel(), db
    (array([1., 0.]), array([1.]))
    """
    affine_cache, a, work = AffineReLUCache.check(cache)
    da = relu_backward(dout, a, out=Held(work, "da"))
    return affine_backward(da, affine_cache, out=out, need_dx=need_dx)


@register
class AffineReLU(AffineActivation):
    """`AffineActivation` of relu.

    Parameters
    ----------
    affine : Affine
        The layer that relu follows.

    Examples
    --------
    >>> from sklearn_dl.nets.layers import Affine, AffineReLU
    >>> AffineReLU(Affine(8)).units
    8
    """

    recordable = True
    takes_csr = True

    def __init__(self, affine: Affine) -> None:
        super().__init__(affine, ReLU())

    def to_onnx(self, graph, arrays, x, shape):
        """Add what the two layers do."""
        return super().to_onnx(graph, arrays, x, shape)
