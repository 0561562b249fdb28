"""Layers that usually go together, as one function each.

Those which a net runs in one pass have files of their own.
"""

from sklearn_dl import _ext
from sklearn_dl._arrays import Cache, Held, check_no_overlap, gradient_buffers, nested, output, outputs, required
from sklearn_dl.layers import affine, conv
from sklearn_dl.layers.affine import affine_backward, affine_forward
from sklearn_dl.layers.batchnorm import (
    batchnorm_backward_alt,
    batchnorm_forward,
    spatial_batchnorm_backward,
    spatial_batchnorm_forward,
)
from sklearn_dl.layers.conv import conv_backward_fast, conv_forward_fast
from sklearn_dl.layers.dropout import check_dropout, dropout_backward, dropout_forward
from sklearn_dl.layers.groupnorm import spatial_groupnorm_backward, spatial_groupnorm_forward
from sklearn_dl.layers.layernorm import layernorm_backward, layernorm_forward
from sklearn_dl.layers.pool import check_pool, max_pool_backward_fast, max_pool_forward_fast
from sklearn_dl.layers.relu import ReLU, relu_backward, relu_forward

__all__ = [
    "affine_norm_relu_dropout_backward",
    "affine_norm_relu_dropout_forward",
    "conv_norm_relu_pool_backward",
    "conv_norm_relu_pool_forward",
    "conv_relu_backward",
    "conv_relu_forward",
]


class HiddenCache(Cache):
    """Caches of the affine layer, of the normalization (its name before it) and of dropout, output of relu, work."""

    __slots__ = ()
    forward = "affine_norm_relu_dropout_forward"


class ConvReLUCache(Cache):
    """Cache of the convolution, the output, work."""

    __slots__ = ()
    forward = "conv_relu_forward"


class ConvNormReLUPoolCache(Cache):
    """Caches of the convolution, of the normalization (its name before it), of relu and of the pooling, work."""

    __slots__ = ()
    forward = "conv_norm_relu_pool_forward"


_DENSE_NORMS = {
    "batchnorm": (batchnorm_forward, batchnorm_backward_alt),
    "layernorm": (layernorm_forward, layernorm_backward),
}


def affine_norm_relu_dropout_forward(
    x,
    w,
    b,
    gamma,
    beta,
    norm_param,
    dropout_param,
    *,
    normalization="batchnorm",
    out=None,
    work=None,
):
    """Affine layer, normalization, relu, dropout: one hidden layer of a fully connected net.

    Parameters
    ----------
    x : ndarray of shape (N, ...)
        Samples of any shape with D elements each.
    w : ndarray of shape (D, M)
        Weights.
    b : ndarray of shape (M,)
        Biases.
    gamma, beta : ndarray of shape (M,) or None
        Scale and shift of the normalization; not looked at without one.
    norm_param : dict or None
        The bn_param of `batchnorm_forward` or ln_param of `layernorm_forward`.
    dropout_param : dict or None
        As in `dropout_forward`; no dropout with None.
    normalization : {'batchnorm', 'layernorm', None}, default='batchnorm'
        Which normalization.
    out : ndarray of shape (N, M), optional
        Where to write the result; must not overlap the inputs.
    work : dict, optional
        Keeps what backward needs between calls, to reuse its memory.

    Returns
    -------
    out : ndarray of shape (N, M)
        Output of the last of the layers.
    cache : tuple
        What `affine_norm_relu_dropout_backward` needs.

    Raises
    ------
    ValueError
        If normalization is none of the three, or as the single layers do.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import affine_norm_relu_dropout_forward
    >>> x, w, b = np.eye(2), np.array([[1.0], [-1.0]]), np.array([0.5])
    >>> out, cache = affine_norm_relu_dropout_forward(
    ...     x, w, b, np.ones(1), np.zeros(1), {"mode": "train"}, None
    ... )
    >>> out.round(3)
    array([[1.],
           [0.]])
    """
    norm_forward, _ = _norm(normalization, _DENSE_NORMS)
    norm_cache = dropout_cache = None
    if dropout_param is not None:
        check_dropout(dropout_param)
    _check_apart(out, norm_param if norm_forward else None, x=x, w=w, b=b)
    if norm_forward is None:
        h, affine_cache = affine.forward(x, w, b, out, ReLU.code())
    else:
        a, affine_cache = affine_forward(x, w, b, out=Held(work, "affine"))
        h, norm_cache = norm_forward(a, gamma, beta, norm_param, out=out, work=nested(work, "norm"))
        h, _ = relu_forward(h, out=h)
    # Relu's backward may look at its output instead of its input, and dropout may overwrite that:
    # what it sets to zero has no gradient for relu to let through.
    if dropout_param is not None:
        h, dropout_cache = dropout_forward(h, dropout_param, out=h, work=nested(work, "dropout"))
    return h, HiddenCache((affine_cache, normalization, norm_cache, h, dropout_cache, work))


def affine_norm_relu_dropout_backward(dout, cache, *, out=None, need_dx=True):
    """Return the gradients of the affine-normalization-relu-dropout sequence.

    Parameters
    ----------
    dout : ndarray of shape (N, M)
        Gradient of the loss with respect to the output.
    cache : tuple
        From `affine_norm_relu_dropout_forward`.
    out : tuple of 5 ndarrays or None, optional
        Buffers for dx, dw, db, dgamma and dbeta; any of them may be None.
    need_dx : bool, default=True
        Whether to compute dx; the first layer of a net has no use for it.

    Returns
    -------
    dx, dw, db : ndarray
        As from `affine_backward`.
    dgamma, dbeta : ndarray of shape (M,), or None without normalization
        Gradients with respect to gamma and beta.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import (
    ...     affine_norm_relu_dropout_backward,
    ...     affine_norm_relu_dropout_forward,
    ... )
    >>> x, w, b = np.eye(2), np.array([[1.0], [-1.0]]), np.array([0.5])
    >>> _, cache = affine_norm_relu_dropout_forward(
    ...     x, w, b, np.ones(1), np.zeros(1), {"mode": "train"}, None
    ... )
    >>> dx, dw, db, dgamma, dbeta = affine_norm_relu_dropout_backward(np.ones((2, 1)), cache)
    >>> dgamma.round(3), dbeta
    (array([1.]), array([1.]))
    """
    affine_cache, normalization, norm_cache, h, dropout_cache, work = HiddenCache.check(cache)
    x, _, w = affine_cache
    *affine_buffers, dgamma, dbeta = _five(out, x, w, w.shape[1:], need_dx)
    dh = Held(work, "dh")
    if dropout_cache is not None:
        dout = dropout_backward(dout, dropout_cache, out=dh)
    dout = relu_backward(dout, h, out=dh)
    if norm_cache is None:
        dgamma = dbeta = None
    else:
        norm_backward = _DENSE_NORMS[normalization][1]
        dout, dgamma, dbeta = norm_backward(dout, norm_cache, out=(Held(work, "da"), dgamma, dbeta))
    return *affine_backward(dout, affine_cache, out=tuple(affine_buffers), need_dx=need_dx), dgamma, dbeta


def conv_relu_forward(x, w, b, conv_param, *, out=None, work=None):
    """Convolution, then relu.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
        Images.
    w : ndarray of shape (F, C, HH, WW)
        Filters.
    b : ndarray of shape (F,)
        Biases.
    conv_param : dict
        ``stride`` and ``pad``, as in `conv_forward_fast`.
    out : ndarray of shape (N, F, HO, WO), optional
        Where to write the result; must not overlap the inputs.
    work : dict, optional
        Keeps what backward needs between calls, to reuse its memory.

    Returns
    -------
    out : ndarray of shape (N, F, HO, WO)
        Output of relu.
    cache : tuple
        What `conv_relu_backward` needs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import conv_relu_forward
    >>> x = np.array([[[[1.0, -1.0]]]])
    >>> out, cache = conv_relu_forward(
    ...     x, np.ones((1, 1, 1, 1)), np.zeros(1), {"stride": 1, "pad": 0}
    ... )
    >>> out
    array([[[[1., 0.]]]])
    """
    out, conv_cache = conv.forward(x, w, b, conv_param, out, ReLU.code())
    return out, ConvReLUCache((conv_cache, out, work))


def conv_relu_backward(dout, cache, *, out=None, need_dx=True):
    """Return the gradients of the convolution-relu pair.

    Parameters
    ----------
    dout : ndarray of shape (N, F, HO, WO)
        Gradient of the loss with respect to the output.
    cache : tuple
        From `conv_relu_forward`.
    out : tuple of 3 ndarrays or None, optional
        Buffers for dx, dw and db; any of them may be None.
    need_dx : bool, default=True
        Whether to compute dx; the first layer of a net has no use for it.

    Returns
    -------
    dx, dw, db : ndarray
        As from `conv_backward_fast`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import conv_relu_backward, conv_relu_forward
    >>> x = np.array([[[[1.0, -1.0]]]])
    >>> out, cache = conv_relu_forward(
    ...     x, np.ones((1, 1, 1, 1)), np.zeros(1), {"stride": 1, "pad": 0}
    ... )
    >>> dx, dw, db = conv_relu_backward(np.ones_like(out), cache)
    >>> dx, db
    (array([[[[1., 0.]]]]), array([1.]))
    """
    conv_cache, a, work = ConvReLUCache.check(cache)
    da = relu_backward(dout, a, out=Held(work, "da"))
    return conv_backward_fast(da, conv_cache, out=out, need_dx=need_dx)


def _groupnorm_forward(x, gamma, beta, gn_param, *, out=None, work=None):
    n_groups = required(gn_param, "norm_param", "G")
    return spatial_groupnorm_forward(x, gamma, beta, n_groups, gn_param, out=out, work=work)


_SPATIAL_NORMS = {
    "batchnorm": (spatial_batchnorm_forward, spatial_batchnorm_backward),
    "groupnorm": (_groupnorm_forward, spatial_groupnorm_backward),
}


def conv_norm_relu_pool_forward(
    x,
    w,
    b,
    gamma,
    beta,
    conv_param,
    norm_param,
    pool_param,
    *,
    normalization="batchnorm",
    out=None,
    work=None,
):
    """Convolution, normalization, relu, max pooling.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
        Images.
    w : ndarray of shape (F, C, HH, WW)
        Filters.
    b : ndarray of shape (F,)
        Biases.
    gamma, beta : ndarray or None
        Scale and shift, as in `spatial_batchnorm_forward` or `spatial_groupnorm_forward`; not
        looked at without a normalization.
    conv_param : dict
        ``stride`` and ``pad``, as in `conv_forward_fast`.
    norm_param : dict or None
        The bn_param of `spatial_batchnorm_forward`, or gn_param of `spatial_groupnorm_forward`, which
        then also holds G.
    pool_param : dict
        ``pool_height``, ``pool_width`` and ``stride``, as in `max_pool_forward_fast`.
    normalization : {'batchnorm', 'groupnorm', None}, default='batchnorm'
        Which normalization.
    out : ndarray, optional
        Where to write the result; must not overlap the inputs.
    work : dict, optional
        Keeps what backward needs between calls, to reuse its memory.

    Returns
    -------
    out : ndarray of 4 axes
        Output of the pooling.
    cache : tuple
        What `conv_norm_relu_pool_backward` needs.

    Raises
    ------
    ValueError
        If normalization is none of the three, or as the single layers do.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import conv_norm_relu_pool_forward
    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> w, b, gamma, beta = np.ones((1, 1, 1, 1)), np.zeros(1), np.ones(1), np.zeros(1)
    >>> conv_param = {"stride": 1, "pad": 0}
    >>> pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
    >>> out, cache = conv_norm_relu_pool_forward(
    ...     x, w, b, gamma, beta, conv_param, {"mode": "train"}, pool_param
    ... )
    >>> out.round(3)
    array([[[[1.342]]]])
    """
    norm_forward, _ = _norm(normalization, _SPATIAL_NORMS)
    norm_cache = None
    a, conv_cache = conv_forward_fast(x, w, b, conv_param, out=Held(work, "conv"))
    out = output(out, check_pool(a, pool_param)[-1], a.dtype)
    _check_apart(out, norm_param if norm_forward else None, x=x, w=w, b=b)
    if norm_forward is not None:
        check_no_overlap("out", out, gamma=gamma, beta=beta)
        a, norm_cache = norm_forward(a, gamma, beta, norm_param, out=Held(work, "h"), work=nested(work, "norm"))
    a, relu_cache = relu_forward(a, out=a)
    out, pool_cache = max_pool_forward_fast(a, pool_param, out=out, work=nested(work, "pool"))
    return out, ConvNormReLUPoolCache((conv_cache, normalization, norm_cache, relu_cache, pool_cache, work))


def conv_norm_relu_pool_backward(dout, cache, *, out=None, need_dx=True):
    """Return the gradients of the convolution-normalization-relu-pool sequence.

    Parameters
    ----------
    dout : ndarray of the shape of the forward output
        Gradient of the loss with respect to the output.
    cache : tuple
        From `conv_norm_relu_pool_forward`.
    out : tuple of 5 ndarrays or None, optional
        Buffers for dx, dw, db, dgamma and dbeta; any of them may be None.
    need_dx : bool, default=True
        Whether to compute dx; the first layer of a net has no use for it.

    Returns
    -------
    dx, dw, db : ndarray
        As from `conv_backward_fast`.
    dgamma, dbeta : ndarray of the shape of gamma, or None without normalization
        Gradients with respect to gamma and beta.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import conv_norm_relu_pool_backward, conv_norm_relu_pool_forward
    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> w, b, gamma, beta = np.ones((1, 1, 1, 1)), np.zeros(1), np.ones(1), np.zeros(1)
    >>> conv_param = {"stride": 1, "pad": 0}
    >>> pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
    >>> out, cache = conv_norm_relu_pool_forward(
    ...     x, w, b, gamma, beta, conv_param, {"mode": "train"}, pool_param
    ... )
    >>> dx, dw, db, dgamma, dbeta = conv_norm_relu_pool_backward(np.ones_like(out), cache)
    >>> dgamma.round(3), dbeta
    (array([1.342]), array([1.]))
    """
    conv_cache, normalization, norm_cache, relu_cache, pool_cache, work = ConvNormReLUPoolCache.check(cache)
    x, w, *_ = conv_cache
    *conv_buffers, dgamma, dbeta = _five(out, x, w, w.shape[:1], need_dx)
    dh = max_pool_backward_fast(dout, pool_cache, out=Held(work, "dh"))
    dh = relu_backward(dh, relu_cache, out=dh)
    if norm_cache is None:
        dgamma = dbeta = None
    else:
        norm_backward = _SPATIAL_NORMS[normalization][1]
        dh, dgamma, dbeta = norm_backward(dh, norm_cache, out=(Held(work, "da"), dgamma, dbeta))
    return *conv_backward_fast(dh, conv_cache, out=tuple(conv_buffers), need_dx=need_dx), dgamma, dbeta


def _norm(normalization, norms):
    if normalization is None:
        return None, None
    if normalization not in norms:
        raise ValueError(f"normalization must be one of {[*norms, None]}, got {normalization!r}.")
    return norms[normalization]


def _check_apart(out, norm_param, **inputs):
    """Raise unless what is written, `out` and running statistics, overlaps neither each other nor the inputs."""
    given = norm_param if isinstance(norm_param, dict) else {}
    written = out, given.get("running_mean"), given.get("running_var")
    names = "out", "norm_param['running_mean']", "norm_param['running_var']"
    _ext.check_apart((*written, *inputs.values()), (*names, *inputs), len(written))


def _five(out, x, w, b_shape, need_dx):
    """Return where the gradients go: all checks come before the first write, that of the normalization's."""
    buffers = outputs(out, ("dx", "dw", "db", "dgamma", "dbeta"))
    for name, a in zip(("dw", "db", "dgamma", "dbeta"), buffers[1:], strict=True):
        check_no_overlap(f"out for {name}", a, x=x, w=w)
    return *gradient_buffers(buffers[:3], x, w, b_shape, need_dx), *buffers[3:]
