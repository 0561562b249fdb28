"""Group normalization of images."""

import math

import numpy as np

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
from sklearn_dl._checks import check_int
from sklearn_dl._threads import n_threads
from sklearn_dl.layers._images import image_shape
from sklearn_dl.layers._norm import Norm
from sklearn_dl.layers._registry import register

__all__ = ["GroupNorm", "spatial_groupnorm_backward", "spatial_groupnorm_forward"]


class GroupNormCache(Cache):
    """xhat, 1 / std, gamma."""

    __slots__ = ()
    forward = "spatial_groupnorm_forward"


def spatial_groupnorm_forward(x, gamma, beta, G, gn_param, *, out=None, work=None):
    """Normalize each sample over groups of channels, then scale and shift each channel.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
        Images.
    gamma, beta : ndarray of shape (1, C, 1, 1)
        Scale and shift.
    G : int
        Number of groups, a divisor of C. With 1 all channels are normalized together, with C each
        alone.
    gn_param : dict
        - eps : float, default 1e-5, added to the variance.
    out : ndarray of shape (N, C, H, W), optional
        Where to write the result; must not overlap the inputs.
    work : dict, optional
        Keeps the normalized images between calls, to reuse their memory.

    Returns
    -------
    out : ndarray of shape (N, C, H, W)
        ``gamma * (x - mean) / sqrt(var + eps) + beta``, mean and biased variance over the C / G
        channels of a group and their pixels, for each sample.
    cache : tuple
        What `spatial_groupnorm_backward` needs.

    Raises
    ------
    ValueError
        If the batch is empty, shapes do not fit together, C is not divisible by G or eps is not
        positive.

    Notes
    -----
    Wu & He, "Group normalization", ECCV 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import spatial_groupnorm_forward
    >>> x = np.arange(16.0).reshape(1, 4, 2, 2)
    >>> gamma, beta = np.ones((1, 4, 1, 1)), np.zeros((1, 4, 1, 1))
    >>> out, cache = spatial_groupnorm_forward(x, gamma, beta, 2, {})
    >>> out.reshape(2, 8).mean(axis=1).round(3), out.reshape(2, 8).std(axis=1).round(3)
    (array([0., 0.]), array([1., 1.]))
    """
    x, gamma, beta = as_floats(x=x, gamma=gamma, beta=beta)
    check_batch("x", x, 4, "(N, C, H, W)")
    n_channels = x.shape[1]
    check_shape("gamma", gamma, (1, n_channels, 1, 1), "(1, C, 1, 1)")
    check_shape("beta", beta, (1, n_channels, 1, 1), "(1, C, 1, 1)")
    if not isinstance(G, (int, np.integer)) or isinstance(G, bool):
        raise TypeError(f"G must be an integer, got {G!r}.")
    if G < 1 or n_channels % G:
        raise ValueError(f"G must divide the number of channels, {n_channels}, got {G!r}.")
    eps = positive_eps(gn_param, "gn_param")
    out = output(out, x.shape, x.dtype)
    xhat = buffer(work, "xhat", x.shape, x.dtype)
    inv_std = buffer(work, "inv_std", (x.shape[0], G), x.dtype)
    scale, shift = gamma.reshape(-1), beta.reshape(-1)
    _ext.groupnorm_forward(x, scale, shift, eps, out, xhat, inv_std, n_threads())
    return out, GroupNormCache((xhat, inv_std, gamma))


def spatial_groupnorm_backward(dout, cache, *, out=None):
    """Return the gradients of group normalization.

    Parameters
    ----------
    dout : ndarray of shape (N, C, H, W)
        Gradient of the loss with respect to the output.
    cache : tuple
        From `spatial_groupnorm_forward`.
    out : tuple of 3 ndarrays or None, optional
        Buffers for dx, dgamma and dbeta; any of them may be None.

    Returns
    -------
    dx : ndarray of shape (N, C, H, W)
        ``(dxhat - mean(dxhat) - xhat * mean(dxhat * xhat)) / std`` with ``dxhat = dout * gamma``
        and means over the group.
    dgamma, dbeta : ndarray of shape (1, C, 1, 1)
        Gradients with respect to gamma and beta.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import spatial_groupnorm_backward, spatial_groupnorm_forward
    >>> x = np.arange(16.0).reshape(1, 4, 2, 2)
    >>> gamma, beta = np.ones((1, 4, 1, 1)), np.zeros((1, 4, 1, 1))
    >>> _, cache = spatial_groupnorm_forward(x, gamma, beta, 2, {})
    >>> dx, dgamma, dbeta = spatial_groupnorm_backward(np.ones_like(x), cache)
    >>> dbeta.ravel()
    array([4., 4., 4., 4.])
    """
    xhat, inv_std, gamma = GroupNormCache.check(cache)
    dout = as_gradient(dout, xhat.shape, xhat.dtype)
    dx, dgamma, dbeta = outputs(out, ("dx", "dgamma", "dbeta"))
    dx = output(dx, xhat.shape, xhat.dtype, "out for dx")
    dgamma = output(dgamma, gamma.shape, xhat.dtype, "out for dgamma")
    dbeta = output(dbeta, gamma.shape, xhat.dtype, "out for dbeta")
    _ext.groupnorm_backward(
        dout,
        xhat,
        inv_std,
        gamma.reshape(-1),
        dx,
        dgamma.reshape(-1),
        dbeta.reshape(-1),
        n_threads(),
    )
    return dx, dgamma, dbeta


@register
class GroupNorm(Norm):
    """Group normalization of images (N, C, H, W).

    Parameters
    ----------
    groups : int
        Number of groups of channels, a divisor of C.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, Conv, GroupNorm, ReLU
    >>> net = Net([Conv(8, 3), GroupNorm(2), ReLU(), Affine(3)], (1, 6, 6), random_state=0)
    >>> net.params["gamma1"].shape
    (1, 8, 1, 1)
    """

    recordable = True
    _backward = staticmethod(spatial_groupnorm_backward)

    def __init__(self, groups: int) -> None:
        self.groups = check_int("groups", groups, low=1)

    def build(self, in_shape, block, init):
        """Make gamma one and beta zero."""
        channels = image_shape(self, in_shape)[0]
        if channels % self.groups:
            raise ValueError(f"groups must divide the {channels} channels of the layer's input, got {self.groups}.")
        return super().build(in_shape, block, init)

    def _param_shape(self, in_shape):
        return (1, in_shape[0], 1, 1)

    def _call_forward(self, x, gamma, beta, param, **buffers):
        return spatial_groupnorm_forward(x, gamma, beta, self.groups, param, **buffers)

    def to_onnx(self, graph, arrays, x, shape):
        """Add normalization of each group of channels."""
        groups = graph.reshape(x, (self.groups, math.prod(shape) // self.groups))
        groups = self._standardize_in_onnx(graph, arrays, groups, 2)
        return self._scale_and_shift_in_onnx(graph, arrays, graph.reshape(groups, shape)), shape
