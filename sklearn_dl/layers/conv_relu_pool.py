"""Convolution, rectified linear unit and max pooling in one pass."""

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._arrays import (
    Cache,
    Held,
    as_gradient,
    buffer,
    check_no_overlap,
    gradient_buffers,
    integer,
    nested,
    output,
)
from sklearn_dl._threads import n_threads
from sklearn_dl.layers._layer import check_layer
from sklearn_dl.layers._registry import register
from sklearn_dl.layers.conv import Conv, check_conv, conv_backward_fast, conv_forward_fast
from sklearn_dl.layers.pool import MaxPool, max_pool_backward_fast, max_pool_forward_fast
from sklearn_dl.layers.relu import ReLU, relu_backward, relu_forward

__all__ = ["ConvReLUPool", "conv_relu_pool_backward", "conv_relu_pool_forward"]


class ConvReLUPoolCache(Cache):
    """Whether it was done in one pass, then what that needs, or the caches of the three and work."""

    __slots__ = ()
    forward = "conv_relu_pool_forward"


def conv_relu_pool_forward(x, w, b, conv_param, pool_param, *, out=None, work=None):
    """Convolution, relu, max pooling.

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
    pool_param : dict
        ``pool_height``, ``pool_width`` and ``stride``, as in `max_pool_forward_fast`.
    out : ndarray, optional
        Where to write the result; must not overlap the inputs.
    work : dict, optional
        Keeps what backward needs between calls, to reuse its memory.

    Returns
    -------
    out : ndarray of 4 axes
        Output of the pooling.
    cache : tuple
        What `conv_relu_pool_backward` needs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import conv_relu_pool_forward
    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> conv_param = {"stride": 1, "pad": 0}
    >>> pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
    >>> out, cache = conv_relu_pool_forward(
    ...     x, np.ones((1, 1, 1, 1)), np.zeros(1), conv_param, pool_param
    ... )
    >>> out
    array([[[[3.]]]])
    """
    if _halves(pool_param):
        x, w, b, stride, pad, shape = check_conv(x, w, b, conv_param)
        if min(shape[2:]) > 1:
            return _fused_forward(x, w, b, stride, pad, shape, out, work)
    check_no_overlap("out", out, x=x, w=w, b=b)
    a, conv_cache = conv_forward_fast(x, w, b, conv_param, out=Held(work, "conv"))
    a, relu_cache = relu_forward(a, out=a)
    out, pool_cache = max_pool_forward_fast(a, pool_param, out=out, work=nested(work, "pool"))
    return out, ConvReLUPoolCache((False, conv_cache, relu_cache, pool_cache, work))


def conv_relu_pool_backward(dout, cache, *, out=None, need_dx=True):
    """Return the gradients of the convolution-relu-pool sequence.

    Parameters
    ----------
    dout : ndarray of the shape of the forward output
        Gradient of the loss with respect to the output.
    cache : tuple
        From `conv_relu_pool_forward`.
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
    >>> from sklearn_dl.layers import conv_relu_pool_backward, conv_relu_pool_forward
    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> conv_param = {"stride": 1, "pad": 0}
    >>> pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
    >>> out, cache = conv_relu_pool_forward(
    ...     x, np.ones((1, 1, 1, 1)), np.zeros(1), conv_param, pool_param
    ... )
    >>> dx, dw, db = conv_relu_pool_backward(np.ones_like(out), cache)
    >>> dw.ravel(), db
    (array([3.]), array([1.]))
    """
    fused, *cache = ConvReLUPoolCache.check(cache)
    if fused:
        return _fused_backward(dout, *cache, out=out, need_dx=need_dx)
    conv_cache, relu_cache, pool_cache, work = cache
    da = max_pool_backward_fast(dout, pool_cache, out=Held(work, "da"))
    da = relu_backward(da, relu_cache, out=da)
    return conv_backward_fast(da, conv_cache, out=out, need_dx=need_dx)


def _halves(pool_param):
    """Return whether pooling is by 2 x 2 windows that do not overlap, which is done in one pass with the rest."""
    keys = ("pool_height", "pool_width", "stride")
    return [integer(pool_param, "pool_param", key, 1) for key in keys] == [2, 2, 2]


def _fused_forward(x, w, b, stride, pad, shape, out, work):
    """Convolve, clip and pool by 2 x 2 in one pass, which keeps only the place of the maximum of each window."""
    n_samples, filters, height, width = shape
    out = output(out, (n_samples, filters, height // 2, width // 2), x.dtype)
    argmax_cell = buffer(work, "argmax_cell", out.shape, np.dtype(np.uint8))
    _ext.conv_relu_pool_forward(x, w, b, out, argmax_cell, stride, pad, n_threads())
    return out, ConvReLUPoolCache((True, x, w, stride, pad, shape, argmax_cell, work))


def _fused_backward(dout, x, w, stride, pad, shape, argmax_cell, work, *, out, need_dx):
    dout = as_gradient(dout, argmax_cell.shape, x.dtype)
    dx, dw, db = gradient_buffers(out, x, w, w.shape[:1], need_dx)  # all checks come before the first write
    _ext.conv_relu_pool_backward_dw(x, dout, argmax_cell, dw, db, stride, pad, n_threads())
    if not need_dx:
        return None, dw, db
    dconv = buffer(work, "dconv", shape, x.dtype)
    _ext.relu_pool_backward(dout, argmax_cell, dconv, n_threads())
    _ext.conv_backward_dx(dconv, w, dx, stride, pad, n_threads())
    return dx, dw, db


@register
class ConvReLUPool(Conv):
    """Conv, ReLU and MaxPool in one pass; `Net` puts it in the place of the three.

    Parameters
    ----------
    conv : Conv
        The convolution.
    pool : MaxPool
        What follows its relu.

    Examples
    --------
    >>> from sklearn_dl.nets.layers import Conv, ConvReLUPool, MaxPool
    >>> ConvReLUPool(Conv(8, 3), MaxPool()).filters
    8
    """

    recordable = True

    def __init__(self, conv: Conv, pool: MaxPool) -> None:
        self.conv, self.pool = check_layer("conv", conv, Conv), check_layer("pool", pool, MaxPool)
        self.__dict__.update(conv.__dict__)

    def build(self, in_shape, block, init):
        """Draw W and b of the convolution."""
        shape, params = super().build(in_shape, block, init)
        return self.pool.build(shape, block, init)[0], params

    @property
    def fused(self):
        """Whether there is one pass: not where an axis has one pixel."""
        return _halves(self.pool.param)

    def forward(self, x, params, work, *, train, sample_weight):
        """Return (N, filters, H // 2, W // 2)."""
        out = buffer(work, "out", (len(x), *self.pool._out), x.dtype)
        if self.fused and not train:
            # For one image, the checks of the public function would take a quarter of the time of the arithmetic.
            stride, pad = self.param["stride"], self.param["pad"]
            _ext.conv_relu_pool_forward(x, params[self.w], params[self.b], out, None, stride, pad, n_threads())
            return out
        work["x_shape"] = x.shape
        out, work["cache"] = conv_relu_pool_forward(
            x,
            params[self.w],
            params[self.b],
            self.param,
            self.pool.param,
            out=out,
            # Not `work`: the cache refers to the dict it is given, a cycle, and arrays that outlive the net.
            work=work.setdefault("fused", {}),
        )
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Write dW and db; return dx."""
        dx = self._dx_buffer(work, need_dx, dout.dtype)
        out = (dx, grads[self.w], grads[self.b])
        return conv_relu_pool_backward(dout, work["cache"], out=out, need_dx=need_dx)[0]

    def to_onnx(self, graph, arrays, x, shape):
        """Add what the three layers do."""
        x, shape = super().to_onnx(graph, arrays, x, shape)
        x, shape = ReLU().to_onnx(graph, arrays, x, shape)
        return self.pool.to_onnx(graph, arrays, x, shape)
