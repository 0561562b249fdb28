"""Max pooling."""

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._arrays import Cache, as_floats, as_gradient, buffer, check_batch, integer, output
from sklearn_dl._threads import n_threads


class MaxPoolCache(Cache):
    """Places of the maxima, shape and dtype of x."""

    __slots__ = ()
    forward = "max_pool_forward_fast"


def max_pool_forward_fast(x, pool_param, *, out=None, work=None):
    """Maximum over windows of each channel.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
        Images.
    pool_param : dict
        - pool_height, pool_width : int >= 1, size of the windows.
        - stride : int >= 1, pixels between neighbouring windows. Windows may overlap; rows and
          columns which no whole window covers are left out.
    out : ndarray of shape (N, C, HO, WO), optional
        Where to write the result; must not overlap x.
    work : dict, optional
        Keeps the places of the maxima between calls, so that they are not allocated anew.

    Returns
    -------
    out : ndarray of shape (N, C, HO, WO)
        With ``HO = (H - pool_height) // stride + 1`` and WO likewise.
    cache : tuple
        What `max_pool_backward_fast` needs.

    Raises
    ------
    ValueError
        If the batch is empty or the window is larger than the image.

    See Also
    --------
    max_pool_forward_naive : The same in loops, to read and to check against.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import max_pool_forward_fast
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
    >>> out, cache = max_pool_forward_fast(x, pool_param)
    >>> out[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    x, height, width, stride, shape = check_pool(x, pool_param)
    out = output(out, shape, x.dtype)
    argmax = buffer(work, "argmax", shape, np.int32)
    _ext.max_pool_forward(x, out, argmax, height, width, stride, n_threads())
    return out, MaxPoolCache((argmax, x.shape, x.dtype))


def max_pool_backward_fast(dout, cache, *, out=None):
    """Return the gradient of max pooling: to the first maximum of each window, row by row.

    Parameters
    ----------
    dout : ndarray of shape (N, C, HO, WO)
        Gradient of the loss with respect to the output.
    cache : tuple
        From `max_pool_forward_fast`.
    out : ndarray of shape (N, C, H, W), optional
        Where to write the result.

    Returns
    -------
    dx : ndarray of shape (N, C, H, W)
        Gradient with respect to x; where windows overlap, their gradients add up.

    See Also
    --------
    max_pool_backward_naive : The same in loops, to read and to check against.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import max_pool_backward_fast, max_pool_forward_fast
    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
    >>> out, cache = max_pool_forward_fast(x, pool_param)
    >>> max_pool_backward_fast(np.ones_like(out), cache)[0, 0]
    array([[0., 0.],
           [0., 1.]])
    """
    argmax, shape, dtype = MaxPoolCache.check(cache)
    dout = as_gradient(dout, argmax.shape, dtype)
    dx = output(out, shape, dtype)
    _ext.max_pool_backward(dout, argmax, dx, n_threads())
    return dx


def check_pool(x, pool_param):
    """Return x as a float array, the window's height, width and stride, and the result's shape."""
    (x,) = as_floats(x=x)
    check_batch("x", x, 4, "(N, C, H, W)")
    height = integer(pool_param, "pool_param", "pool_height", 1)
    width = integer(pool_param, "pool_param", "pool_width", 1)
    stride = integer(pool_param, "pool_param", "stride", 1)
    if height > x.shape[2] or width > x.shape[3]:
        raise ValueError(
            f"pool_param must not ask for a window larger than the images, {x.shape[2]} x "
            f"{x.shape[3]}, got {height} x {width}"
        )
    # There is one window for any stride from here on, but kernels compute with it.
    stride = min(stride, max(x.shape[2:]))
    shape = (*x.shape[:2], (x.shape[2] - height) // stride + 1, (x.shape[3] - width) // stride + 1)
    return x, height, width, stride, shape
