"""Layer normalization."""

from sklearn_dl import _ext
from sklearn_dl._arrays import (
    Cache,
    as_floats,
    as_gradient,
    buffer,
    check_batch,
    check_shape,
    output,
    outputs,
    positive_eps,
)
from sklearn_dl._threads import n_threads
from sklearn_dl.layers._norm import Norm
from sklearn_dl.layers._registry import register

__all__ = ["LayerNorm", "layernorm_backward", "layernorm_forward"]


class LayerNormCache(Cache):
    """xhat, 1 / std, gamma."""

    __slots__ = ()
    forward = "layernorm_forward"


def layernorm_forward(x, gamma, beta, ln_param, *, out=None, work=None):
    """Normalize each sample over its features, then scale and shift the features.

    Parameters
    ----------
    x : ndarray of shape (N, D)
        Samples.
    gamma, beta : ndarray of shape (D,)
        Scale and shift.
    ln_param : dict
        - eps : float, default 1e-5, added to the variance.
    out : ndarray of shape (N, D), optional
        Where to write the result; must not overlap the inputs.
    work : dict, optional
        Keeps the normalized samples between calls, to reuse their memory.

    Returns
    -------
    out : ndarray of shape (N, D)
        ``gamma * (x - mean) / sqrt(var + eps) + beta``, mean and biased variance of each row.
    cache : tuple
        What `layernorm_backward` needs.

    Raises
    ------
    ValueError
        If the batch is empty, shapes do not fit together or eps is not positive.

    Notes
    -----
    Ba, Kiros & Hinton, "Layer normalization", arXiv:1607.06450 (2016).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import layernorm_forward
    >>> x = np.array([[1.0, 3.0], [0.0, 8.0]])
    >>> out, cache = layernorm_forward(x, np.ones(2), np.zeros(2), {})
    >>> out.round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    x, gamma, beta = as_floats(x=x, gamma=gamma, beta=beta)
    check_batch("x", x, 2, "(N, D)")
    check_shape("gamma", gamma, x.shape[1:], "(D,)")
    check_shape("beta", beta, x.shape[1:], "(D,)")
    eps = positive_eps(ln_param, "ln_param")
    out = output(out, x.shape, x.dtype)
    xhat = buffer(work, "xhat", x.shape, x.dtype)
    inv_std = buffer(work, "inv_std", x.shape[:1], x.dtype)
    _ext.layernorm_forward(x, gamma, beta, eps, out, xhat, inv_std, n_threads())
    return out, LayerNormCache((xhat, inv_std, gamma))


def layernorm_backward(dout, cache, *, out=None):
    """Return the gradients of layer normalization.

    Parameters
    ----------
    dout : ndarray of shape (N, D)
        Gradient of the loss with respect to the output.
    cache : tuple
        From `layernorm_forward`.
    out : tuple of 3 ndarrays or None, optional
        Buffers for dx, dgamma and dbeta; any of them may be None.

    Returns
    -------
    dx : ndarray of shape (N, D)
        ``(dxhat - mean(dxhat) - xhat * mean(dxhat * xhat)) / std`` with ``dxhat = dout * gamma``
        and means over the row.
    dgamma, dbeta : ndarray of shape (D,)
        Gradients with respect to gamma and beta.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import layernorm_backward, layernorm_forward
    >>> x = np.array([[1.0, 3.0], [0.0, 8.0]])
    >>> _, cache = layernorm_forward(x, np.ones(2), np.zeros(2), {})
    >>> dx, dgamma, dbeta = layernorm_backward(np.ones((2, 2)), cache)
    >>> dgamma.round(3), dbeta
    (array([-2.,  2.]), array([2., 2.]))
    """
    xhat, inv_std, gamma = LayerNormCache.check(cache)
    dout = as_gradient(dout, xhat.shape, xhat.dtype)
    dx, dgamma, dbeta = outputs(out, ("dx", "dgamma", "dbeta"))
    dx = output(dx, xhat.shape, xhat.dtype, "out for dx")
    dgamma = output(dgamma, gamma.shape, xhat.dtype, "out for dgamma")
    dbeta = output(dbeta, gamma.shape, xhat.dtype, "out for dbeta")
    _ext.layernorm_backward(dout, xhat, inv_std, gamma, dx, dgamma, dbeta, n_threads())
    return dx, dgamma, dbeta


@register
class LayerNorm(Norm):
    """Layer normalization of each row (N, D).

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, LayerNorm, ReLU
    >>> net = Net([Affine(8), LayerNorm(), ReLU(), Affine(3)], (4,), random_state=0)
    >>> net.params["gamma1"].shape
    (8,)
    """

    recordable = True
    _forward = staticmethod(layernorm_forward)
    _backward = staticmethod(layernorm_backward)

    def build(self, in_shape, block, init):
        """Make gamma one and beta zero."""
        if len(in_shape) != 1:
            raise ValueError(f"layers: LayerNorm needs rows (D,), but its input has shape {in_shape}.")
        return super().build(in_shape, block, init)

    def to_onnx(self, graph, arrays, x, shape):
        """Add normalization of each row."""
        return self._scale_and_shift_in_onnx(graph, arrays, self._standardize_in_onnx(graph, arrays, x, 1)), shape
