"""Max pooling."""

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._arrays import Cache, as_floats, as_gradient, buffer, check_batch, check_no_overlap, integer, output
from sklearn_dl._threads import n_threads
from sklearn_dl.layers._images import image_shape, window_at
from sklearn_dl.layers._layer import Layer
from sklearn_dl.layers._registry import register

__all__ = [
    "MaxPool",
    "max_pool_backward_fast",
    "max_pool_backward_naive",
    "max_pool_forward_fast",
    "max_pool_forward_naive",
]


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
        Keeps the places of the maxima between calls, to reuse their memory.

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
        Where to write the result; must not overlap dout.

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
            f"{x.shape[3]}, got {height} x {width}."
        )
    # Any larger stride gives the same single window; the kernels' index arithmetic must not overflow.
    stride = min(stride, max(x.shape[2:]))
    shape = (*x.shape[:2], (x.shape[2] - height) // stride + 1, (x.shape[3] - width) // stride + 1)
    return x, height, width, stride, shape


class NaiveMaxPoolCache(Cache):
    """x, height, width and stride of the windows, shape of the output."""

    __slots__ = ()
    forward = "max_pool_forward_naive"


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
    check_no_overlap("out", out, x=x)
    for n, c, i, j in np.ndindex(shape):
        out[n, c, i, j] = x[n, c][window_at(i, j, height, width, stride)[1:]].max()
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
        Where to write the result; must not overlap dout or x.

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
    check_no_overlap("out", dx, dout=dout, x=x)
    dx.fill(0)
    for n, c, i, j in np.ndindex(shape):
        window = x[n, c][window_at(i, j, height, width, stride)[1:]]
        row, column = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, i * stride + row, j * stride + column] += dout[n, c, i, j]
    return dx


@register
class MaxPool(Layer):
    """Max-pooling by 2 x 2; an axis one pixel long is left as it is.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, Conv, MaxPool, ReLU
    >>> net = Net([Conv(8, 3), ReLU(), MaxPool(), Affine(3)], (1, 6, 6), random_state=0)
    >>> net.params["W2"].shape  # 8 channels of 3 x 3 pixels
    (72, 3)
    """

    recordable = True

    def build(self, in_shape, block, init):
        """Halve height and width."""
        channels, height, width = image_shape(self, in_shape)
        self.param = {"pool_height": min(2, height), "pool_width": min(2, width), "stride": 2}
        self._out = (channels, max(1, height // 2), max(1, width // 2))
        return self._out, {}

    def forward(self, x, params, work, *, train, sample_weight):
        """Return (N, C, H // 2, W // 2)."""
        work["x_shape"] = x.shape
        out = buffer(work, "out", (len(x), *self._out), x.dtype)
        out, work["cache"] = max_pool_forward_fast(x, self.param, out=out, work=work)
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Return dx."""
        dx = self._dx_buffer(work, True, dout.dtype)
        return max_pool_backward_fast(dout, work["cache"], out=dx)

    def to_onnx(self, graph, arrays, x, shape):
        """Add the operator MaxPool."""
        window = [self.param["pool_height"], self.param["pool_width"]]
        stride = self.param["stride"]
        x = graph.add("MaxPool", x, kernel_shape=window, strides=[stride] * 2)
        height, width = ((size - extent) // stride + 1 for size, extent in zip(shape[1:], window, strict=True))
        return x, (shape[0], height, width)
