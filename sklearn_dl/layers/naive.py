"""Convolution and max pooling in plain loops.

They say in the fewest words what the layers are, and the fast versions are tested against them.
"""

import numpy as np

from sklearn_dl._arrays import Cache, as_gradient, output, outputs
from sklearn_dl.layers.conv import check_conv
from sklearn_dl.layers.pool import check_pool


class NaiveConvCache(Cache):
    """x, w, stride, pad, shape of the output."""

    __slots__ = ()
    forward = "conv_forward_naive"


class NaiveMaxPoolCache(Cache):
    """x, height, width and stride of the windows, shape of the output."""

    __slots__ = ()
    forward = "max_pool_forward_naive"


def conv_forward_naive(x, w, b, conv_param, *, out=None):
    """Convolve images with filters, one output pixel at a time.

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

    Returns
    -------
    out : ndarray of shape (N, F, HO, WO)
        As from `conv_forward_fast`.
    cache : tuple
        What `conv_backward_naive` needs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import conv_forward_naive
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> w = np.ones((1, 1, 2, 2))
    >>> out, cache = conv_forward_naive(x, w, np.zeros(1), {"stride": 2, "pad": 0})
    >>> out[0, 0]
    array([[10., 18.],
           [42., 50.]])
    """
    x, w, b, stride, pad, shape = check_conv(x, w, b, conv_param)
    out = output(out, shape, x.dtype)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    for n, f, i, j in np.ndindex(shape):
        out[n, f, i, j] = np.sum(padded[n][_window(i, j, *w.shape[2:], stride)] * w[f]) + b[f]
    return out, NaiveConvCache((x, w, stride, pad, shape))


def conv_backward_naive(dout, cache, *, out=None, need_dx=True):
    """Return the gradients of the convolution, one output pixel at a time.

    Parameters
    ----------
    dout : ndarray of shape (N, F, HO, WO)
        Gradient of the loss with respect to the output.
    cache : tuple
        From `conv_forward_naive`.
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
    >>> from sklearn_dl.layers import conv_backward_naive, conv_forward_naive
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> w = np.ones((1, 1, 2, 2))
    >>> out, cache = conv_forward_naive(x, w, np.zeros(1), {"stride": 2, "pad": 0})
    >>> dx, dw, db = conv_backward_naive(np.ones_like(out), cache)
    >>> dw[0, 0], db
    (array([[20., 24.], [36., 40.]]), array([4.]))
    """
    x, w, stride, pad, shape = NaiveConvCache.check(cache)
    dout = as_gradient(dout, shape, x.dtype)
    dx, dw, db = outputs(out, ("dx", "dw", "db"), w=w, dout=dout)
    dw = output(dw, w.shape, x.dtype, "out for dw")
    db = output(db, w.shape[:1], x.dtype, "out for db")
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dpadded = np.zeros_like(padded)
    dw.fill(0)
    db.fill(0)
    for n, f, i, j in np.ndindex(shape):
        window = _window(i, j, *w.shape[2:], stride)
        dpadded[n][window] += dout[n, f, i, j] * w[f]
        dw[f] += dout[n, f, i, j] * padded[n][window]
        db[f] += dout[n, f, i, j]
    if not need_dx:
        return None, dw, db
    dx = output(dx, x.shape, x.dtype, "out for dx")
    np.copyto(dx, dpadded[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]])
    return dx, dw, db


def max_pool_forward_naive(x, pool_param, *, out=None):
    """Maximum over windows of each channel, one window at a time.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
        Images.
    pool_param : dict
        ``pool_height``, ``pool_width`` and ``stride``, as in `max_pool_forward_fast`.
    out : ndarray of shape (N, C, HO, WO), optional
        Where to write the result; must not overlap x.

    Returns
    -------
    out : ndarray of shape (N, C, HO, WO)
        As from `max_pool_forward_fast`.
    cache : tuple
        What `max_pool_backward_naive` needs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import max_pool_forward_naive
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
    >>> out, cache = max_pool_forward_naive(x, pool_param)
    >>> out[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    x, height, width, stride, shape = check_pool(x, pool_param)
    out = output(out, shape, x.dtype)
    for n, c, i, j in np.ndindex(shape):
        out[n, c, i, j] = x[n, c][_window(i, j, height, width, stride)[1:]].max()
    return out, NaiveMaxPoolCache((x, height, width, stride, shape))


def max_pool_backward_naive(dout, cache, *, out=None):
    """Return the gradient of max pooling, one window at a time.

    Parameters
    ----------
    dout : ndarray of shape (N, C, HO, WO)
        Gradient of the loss with respect to the output.
    cache : tuple
        From `max_pool_forward_naive`.
    out : ndarray of shape (N, C, H, W), optional
        Where to write the result; must not overlap dout.

    Returns
    -------
    dx : ndarray of shape (N, C, H, W)
        As from `max_pool_backward_fast`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import max_pool_backward_naive, max_pool_forward_naive
    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
    >>> out, cache = max_pool_forward_naive(x, pool_param)
    >>> max_pool_backward_naive(np.ones_like(out), cache)[0, 0]
    array([[0., 0.],
           [0., 1.]])
    """
    x, height, width, stride, shape = NaiveMaxPoolCache.check(cache)
    dout = as_gradient(dout, shape, x.dtype)
    dx = output(out, x.shape, x.dtype)
    dx.fill(0)
    for n, c, i, j in np.ndindex(shape):
        window = x[n, c][_window(i, j, height, width, stride)[1:]]
        row, column = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, i * stride + row, j * stride + column] += dout[n, c, i, j]
    return dx


def _window(i, j, height, width, stride):
    """Index of the window of output pixel (i, j) in an image (C, H, W)."""
    top, left = i * stride, j * stride
    return slice(None), slice(top, top + height), slice(left, left + width)
