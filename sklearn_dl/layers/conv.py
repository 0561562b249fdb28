"""Convolution of a batch of images with a bank of filters."""

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._arrays import (
    Cache,
    as_floats,
    as_gradient,
    buffer,
    check_batch,
    check_no_overlap,
    check_shape,
    gradient_buffers,
    integer,
    output,
)
from sklearn_dl._checks import check_int
from sklearn_dl._threads import n_threads
from sklearn_dl.layers._activation import NO_ACTIVATION
from sklearn_dl.layers._images import image_shape, window_at
from sklearn_dl.layers._layer import Layer, names_of
from sklearn_dl.layers._registry import register

__all__ = ["Conv", "conv_backward_fast", "conv_backward_naive", "conv_forward_fast", "conv_forward_naive"]

# Elements of a padded channel: what an index of the kernels can count.
_LARGEST_PLANE = 2**31


class ConvCache(Cache):
    """x, w, stride, pad, shape of the output."""

    __slots__ = ()
    forward = "conv_forward_fast"


def conv_forward_fast(x, w, b, conv_param, *, out=None):
    """Convolve images with filters (cross-correlation, zero padding).

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
        Images.
    w : ndarray of shape (F, C, HH, WW)
        Filters.
    b : ndarray of shape (F,)
        Biases.
    conv_param : dict
        - stride : int >= 1, pixels between neighbouring windows, both ways.
        - pad : int >= 0, rows and columns of zeros around the image.
    out : ndarray of shape (N, F, HO, WO), optional
        Where to write the result; must not overlap the inputs.

    Returns
    -------
    out : ndarray of shape (N, F, HO, WO)
        ``out[n, f, i, j] = b[f] + sum(padded[n, :, i*stride:i*stride+HH, j*stride:j*stride+WW] *
        w[f])``, with ``HO = (H + 2*pad - HH) // stride + 1`` and WO likewise.
    cache : tuple
        What `conv_backward_fast` needs; holds references to the inputs.

    Raises
    ------
    ValueError
        If the batch is empty, the shapes do not fit together, the filter is larger than the
        padded image, or that is beyond 2**31 pixels.

    See Also
    --------
    conv_forward_naive : The same in loops, to read and to check against.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import conv_forward_fast
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> w = np.ones((1, 1, 2, 2))
    >>> out, cache = conv_forward_fast(x, w, np.zeros(1), {"stride": 2, "pad": 0})
    >>> out[0, 0]
    array([[10., 18.],
           [42., 50.]])
    """
    return forward(x, w, b, conv_param, out, NO_ACTIVATION)


def forward(x, w, b, conv_param, out, code):
    """Convolution and an activation, which costs less while a result is in registers or in the caches."""
    x, w, b, stride, pad, shape = check_conv(x, w, b, conv_param)
    out = output(out, shape, x.dtype)
    _ext.conv_forward(x, w, b, out, stride, pad, n_threads(), code)
    return out, ConvCache((x, w, stride, pad, shape))


def conv_backward_fast(dout, cache, *, out=None, need_dx=True):
    """Return the gradients of the convolution.

    Parameters
    ----------
    dout : ndarray of shape (N, F, HO, WO)
        Gradient of the loss with respect to the output.
    cache : tuple
        From `conv_forward_fast`.
    out : tuple of 3 ndarrays or None, optional
        Buffers for dx, dw and db; any of them may be None.
    need_dx : bool, default=True
        Whether to compute dx; the first layer of a net has no use for it.

    Returns
    -------
    dx : ndarray of shape (N, C, H, W), or None without `need_dx`
        Gradient with respect to x.
    dw : ndarray of shape (F, C, HH, WW)
        Gradient with respect to w.
    db : ndarray of shape (F,)
        Gradient with respect to b.

    See Also
    --------
    conv_backward_naive : The same in loops, to read and to check against.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import conv_backward_fast, conv_forward_fast
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> w = np.ones((1, 1, 2, 2))
    >>> out, cache = conv_forward_fast(x, w, np.zeros(1), {"stride": 2, "pad": 0})
    >>> dx, dw, db = conv_backward_fast(np.ones_like(out), cache)
    >>> dw[0, 0], db
    (array([[20., 24.], [36., 40.]]), array([4.]))
    """
    x, w, stride, pad, shape = ConvCache.check(cache)
    dout = as_gradient(dout, shape, x.dtype)
    dx, dw, db = gradient_buffers(out, x, w, w.shape[:1], need_dx)
    check_no_overlap("out for dx", dx, dout=dout)  # all checks come before the first write
    _ext.conv_backward_dw(x, dout, dw, db, stride, pad, n_threads())
    if not need_dx:
        return None, dw, db
    _ext.conv_backward_dx(dout, w, dx, stride, pad, n_threads())
    return dx, dw, db


def check_conv(x, w, b, conv_param):
    """Return x, w and b as arrays of one dtype, stride, pad and the shape of the result."""
    x, w, b = as_floats(x=x, w=w, b=b)
    check_batch("x", x, 4, "(N, C, H, W)")
    check_batch("w", w, 4, "(F, C, HH, WW)")
    if w.shape[1] != x.shape[1]:
        raise ValueError(f"w must have shape (F, C, HH, WW) with C = {x.shape[1]}, the channels of x, got {w.shape}.")
    check_shape("b", b, w.shape[:1], "(F,)")
    stride = integer(conv_param, "conv_param", "stride", 1)
    pad = integer(conv_param, "conv_param", "pad", 0)
    height, width = x.shape[2] + 2 * pad, x.shape[3] + 2 * pad
    if height * width > _LARGEST_PLANE:
        raise ValueError(
            f"conv_param['pad'] must leave a padded channel of at most {_LARGEST_PLANE} elements, got "
            f"{pad!r}, which makes it {height} x {width}."
        )
    # Any larger stride gives the same single window; the kernels' index arithmetic must not overflow.
    stride = min(stride, max(height, width))
    if w.shape[2] > height or w.shape[3] > width:
        raise ValueError(
            f"w must not be larger than the padded image, {height} x {width}, got filters of "
            f"{w.shape[2]} x {w.shape[3]}."
        )
    shape = (
        x.shape[0],
        w.shape[0],
        (height - w.shape[2]) // stride + 1,
        (width - w.shape[3]) // stride + 1,
    )
    return x, w, b, stride, pad, shape


class NaiveConvCache(Cache):
    """x, w, stride, pad, shape of the output."""

    __slots__ = ()
    forward = "conv_forward_naive"


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
    check_no_overlap("out", out, x=x, w=w, b=b)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    height, width = w.shape[2:]
    for n, f, i, j in np.ndindex(shape):
        out[n, f, i, j] = np.sum(padded[n][window_at(i, j, height, width, stride)] * w[f]) + b[f]
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
    dx, dw, db = gradient_buffers(out, x, w, w.shape[:1], need_dx)
    check_no_overlap("out for dx", dx, dout=dout)
    check_no_overlap("out for dw", dw, dout=dout, x=x)
    check_no_overlap("out for db", db, dout=dout, x=x)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dpadded = np.zeros_like(padded)
    dw.fill(0)
    db.fill(0)
    height, width = w.shape[2:]
    for n, f, i, j in np.ndindex(shape):
        window = window_at(i, j, height, width, stride)
        dpadded[n][window] += dout[n, f, i, j] * w[f]
        dw[f] += dout[n, f, i, j] * padded[n][window]
        db[f] += dout[n, f, i, j]
    if not need_dx:
        return None, dw, db
    np.copyto(dx, dpadded[:, :, pad : pad + x.shape[2], pad : pad + x.shape[3]])
    return dx, dw, db


@register
class Conv(Layer):
    """Convolution with square filters, stride 1, output as large as the input.

    Parameters
    ----------
    filters : int
        Number of filters.
    size : int
        Their height and width; odd.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, Conv, MaxPool, ReLU
    >>> net = Net([Conv(8, 3), ReLU(), MaxPool(), Affine(3)], (1, 6, 6), random_state=0)
    >>> net.params["W1"].shape, net.params["W2"].shape
    ((8, 1, 3, 3), (72, 3))
    """

    recordable = True
    starts_block = True

    def __init__(self, filters: int, size: int) -> None:
        self.filters = check_int("filters", filters, low=1)
        self.size = check_int("filter_size", size, low=1)
        if size % 2 == 0:
            raise ValueError(f"filter_size must be odd, so that padding keeps the image's size, got {size!r}.")
        self.param = {"stride": 1, "pad": size // 2}

    def build(self, in_shape, block, init):
        """Draw W (filters, C, size, size) and a zero b (filters,)."""
        channels, height, width = image_shape(self, in_shape)
        self.w, self.b = names_of(block, "W", "b")
        self.weight_names = (self.w,)
        area = self.size**2
        shape = (self.filters, channels, self.size, self.size)
        params = {
            self.w: init.weights(shape, channels * area, self.filters * area),
            self.b: init.constant(0, self.filters),
        }
        return (self.filters, height, width), params

    def forward(self, x, params, work, *, train, sample_weight):
        """Return (N, filters, H, W)."""
        return self._run(x, params, work, NO_ACTIVATION)

    def _run(self, x, params, work, code):
        """Return the output, after the activation of this number."""
        work["x_shape"] = x.shape
        out = buffer(work, "out", (len(x), self.filters, *x.shape[2:]), x.dtype)
        out, work["cache"] = forward(x, params[self.w], params[self.b], self.param, out, code)
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Write dW and db; return dx."""
        dx = self._dx_buffer(work, need_dx, dout.dtype)
        out = (dx, grads[self.w], grads[self.b])
        return conv_backward_fast(dout, work["cache"], out=out, need_dx=need_dx)[0]

    def to_onnx(self, graph, arrays, x, shape):
        """Add a convolution; in double, which onnxruntime has none in, what makes one."""
        w, b = arrays[self.w], arrays[self.b]
        stride, pad = self.param["stride"], self.param["pad"]
        height, width = ((size + 2 * pad - self.size) // stride + 1 for size in shape[1:])
        out_shape = (self.filters, height, width)
        if w.dtype == np.float32:
            x = graph.add("Conv", x, graph.constant(w), graph.constant(b), pads=[pad] * 4, strides=[stride] * 2)
            return x, out_shape
        # Two gathers make (N, C, size, height, size, width), the window of each output pixel.
        x = graph.add("Pad", x, graph.constant(np.array([0, 0, pad, pad] * 2, np.int64)))
        for axis, length in ((2, height), (4, width)):
            seen = np.arange(self.size)[:, None] + stride * np.arange(length)
            x = graph.add("Gather", x, graph.constant(seen), axis=axis)
        x = graph.add("Transpose", x, perm=[0, 1, 2, 4, 3, 5])
        x = graph.reshape(x, (w[0].size, height * width))
        x = graph.add("MatMul", graph.constant(w.reshape(self.filters, -1)), x)
        x = graph.add("Add", x, graph.constant(b[:, None]))
        return graph.reshape(x, out_shape), out_shape
