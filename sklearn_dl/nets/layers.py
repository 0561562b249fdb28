"""Layer objects: they bind parameter names and buffers to the functions of `sklearn_dl.layers`.

No arithmetic happens here. A layer knows the names of its parameters, what shape it makes of its
input, and which function to call; the buffers live in a ``work`` dict that the caller owns, so that
one layer can serve a training step and several concurrent predictions. Affine layers call their
kernels themselves, and so does a convolution that predicts: on small nets the checks of the public
functions, of arrays that the net has made, take as long as the arithmetic.

The contract (shapes without the batch axis N):

``build(in_shape, block, init)``
    Names the parameters after the block they stand in, returns ``(out_shape, params)``.
``forward(x, params, work, *, train, sample_weight)``
    Returns the output; keeps what backward needs in ``work``.
``backward(dout, grads, work, *, need_dx)``
    Writes the gradients of the layer's parameters into the arrays of ``grads``, returns dx or None.
    May overwrite dout.
"""

import math

import numpy as np

from sklearn_dl import _ext
from sklearn_dl import layers as f
from sklearn_dl._arrays import buffer
from sklearn_dl._checks import check_int, check_real
from sklearn_dl._threads import n_threads

__all__ = [
    "Affine",
    "AffineReLU",
    "BatchNorm",
    "Conv",
    "ConvReLUPool",
    "Dropout",
    "GroupNorm",
    "LayerNorm",
    "MaxPool",
    "ReLU",
]


class Layer:
    """What every layer object offers; parameterless by default."""

    starts_block = False  # a block: a layer with weights and what follows it, up to the next such
    weight_names = ()  # the parameters that the L2 penalty applies to
    statistics_names = ()  # running statistics, kept in `statistics`
    # Whether forward and backward leave all arithmetic to kernels, so that a recording of these can replace a step. A
    # subclass, which may do more, has to say so again: it is not inherited.
    recordable = False

    def build(self, in_shape, block, init):
        """Return the output's shape and the parameters, named after their block."""
        return in_shape, {}

    def _dx_buffer(self, work, need_dx, dtype):
        return buffer(work, "dx", work["x_shape"], dtype) if need_dx else None


class Affine(Layer):
    """``x @ W + b`` with `units` outputs; x of any shape is flattened to rows."""

    recordable = True
    starts_block = True
    relu = False  # whether one follows, see AffineReLU

    def __init__(self, units):
        self.units = check_int("units", units, low=1)

    def build(self, in_shape, block, init):
        """Draw W (D, units) and a zero b (units,)."""
        self.w, self.b = f"W{block}", f"b{block}"
        self.weight_names = (self.w,)
        fan_in = math.prod(in_shape)
        params = {
            self.w: init.weights((fan_in, self.units), fan_in, self.units),
            self.b: init.constant(0, self.units),
        }
        return (self.units,), params

    def forward(self, x, params, work, *, train, sample_weight):
        """Return (N, units)."""
        w = params[self.w]
        rows = x if x.ndim == 2 else x.reshape(len(x), -1)
        out = buffer(work, "out", (len(x), w.shape[1]), x.dtype)
        _ext.affine_forward(rows, w, params[self.b], out, self.relu, n_threads())
        work["cache"] = x.shape, rows, w, out
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Write dW and db; return dx in the shape of x."""
        x_shape, rows, w, out = work["cache"]
        threads = n_threads()
        if self.relu:
            _ext.relu_backward(dout, out, dout, threads)
        _ext.affine_backward_dw(rows, dout, grads[self.w], grads[self.b], threads)
        if not need_dx:
            return None
        dx = buffer(work, "dx", rows.shape, dout.dtype)
        _ext.affine_backward_dx(dout, w, dx, threads)
        return dx if rows.shape == x_shape else dx.reshape(x_shape)


class AffineReLU(Affine):
    """Affine and ReLU in one pass; `Net` puts it in the place of the two."""

    recordable = True
    relu = True

    def __init__(self, affine):
        self.__dict__.update(affine.__dict__)


class ReLU(Layer):
    """``max(0, x)``."""

    recordable = True

    def forward(self, x, params, work, *, train, sample_weight):
        """Return the output, of the shape of x."""
        work["x_shape"] = x.shape
        out, work["cache"] = f.relu_forward(x, out=buffer(work, "out", x.shape, x.dtype))
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Return dx."""
        return f.relu_backward(dout, work["cache"], out=self._dx_buffer(work, True, dout.dtype))


class Dropout(Layer):
    """Inverted dropout, which keeps a share `keep_ratio` of the values.

    With `seed`, every mask of this layer is the same draw (for gradient checks).
    """

    recordable = True

    def __init__(self, keep_ratio, seed=None):
        self.keep_ratio = check_real("keep_ratio", keep_ratio, low=0, high=1, boundaries="right")
        self.seed = None if seed is None else check_int("seed", seed, low=0)

    def build(self, in_shape, block, init):
        """Take the net's random state for the masks."""
        self.rng = init.random_state
        return in_shape, {}

    def forward(self, x, params, work, *, train, sample_weight):
        """Return the masked output in training, x itself otherwise."""
        if not train:
            return x
        work["x_shape"] = x.shape
        param = {"mode": "train", "p": self.keep_ratio, "rng": self.rng}
        if self.seed is not None:
            param["seed"] = self.seed
        out = buffer(work, "out", x.shape, x.dtype)
        out, work["cache"] = f.dropout_forward(x, param, out=out, work=work)
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Return dx."""
        return f.dropout_backward(dout, work["cache"], out=self._dx_buffer(work, True, dout.dtype))


class _Norm(Layer):
    """A normalization with a scale gamma and a shift beta, both of `_param_shape`."""

    def build(self, in_shape, block, init):
        """Make gamma one and beta zero."""
        self.gamma, self.beta = f"gamma{block}", f"beta{block}"
        shape = self._param_shape(in_shape)
        return in_shape, {
            self.gamma: init.constant(1, shape),
            self.beta: init.constant(0, shape),
        }

    def _param_shape(self, in_shape):
        return in_shape[0]

    def forward(self, x, params, work, *, train, sample_weight):
        """Return the normalized output, of the shape of x."""
        work["x_shape"] = x.shape
        out, work["cache"] = self._call_forward(
            x,
            params[self.gamma],
            params[self.beta],
            self._param(train, sample_weight),
            out=buffer(work, "out", x.shape, x.dtype),
            work=work,
        )
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Write dgamma and dbeta; return dx."""
        dx = self._dx_buffer(work, True, dout.dtype)
        out = (dx, grads[self.gamma], grads[self.beta])
        return self._backward(dout, work["cache"], out=out)[0]

    def _call_forward(self, x, gamma, beta, param, **buffers):
        return self._forward(x, gamma, beta, param, **buffers)

    def _param(self, train, sample_weight):
        return {}


class BatchNorm(_Norm):
    """Batch normalization of features (N, D) or, for images, of channels (N, C, H, W)."""

    recordable = True

    def build(self, in_shape, block, init):
        """Make gamma one, beta zero, and running statistics that start at zero."""
        self._forward, self._backward = (
            (f.batchnorm_forward, f.batchnorm_backward_alt)
            if len(in_shape) == 1
            else (f.spatial_batchnorm_forward, f.spatial_batchnorm_backward)
        )
        self.statistics_names = (f"running_mean{block}", f"running_var{block}")
        self.statistics = {name: init.constant(0, in_shape[0]) for name in self.statistics_names}
        return super().build(in_shape, block, init)

    def _param(self, train, sample_weight):
        mean, var = (self.statistics[name] for name in self.statistics_names)
        param = {"mode": "train" if train else "test", "running_mean": mean, "running_var": var}
        if train and sample_weight is not None:
            param["sample_weight"] = sample_weight
        return param


class LayerNorm(_Norm):
    """Layer normalization of each row (N, D)."""

    recordable = True

    def build(self, in_shape, block, init):
        """Make gamma one and beta zero."""
        if len(in_shape) != 1:
            raise ValueError(f"layers: LayerNorm needs rows (D,), but its input has shape {in_shape}.")
        return super().build(in_shape, block, init)

    _forward = staticmethod(f.layernorm_forward)
    _backward = staticmethod(f.layernorm_backward)


class GroupNorm(_Norm):
    """Group normalization of images (N, C, H, W) in `groups` groups of channels."""

    recordable = True
    _backward = staticmethod(f.spatial_groupnorm_backward)

    def __init__(self, groups):
        self.groups = check_int("groups", groups, low=1)

    def build(self, in_shape, block, init):
        """Make gamma one and beta zero."""
        channels = _image_shape(self, in_shape)[0]
        if channels % self.groups:
            raise ValueError(f"groups must divide the {channels} channels of the layer's input, got {self.groups}.")
        return super().build(in_shape, block, init)

    def _param_shape(self, in_shape):
        return (1, in_shape[0], 1, 1)

    def _call_forward(self, x, gamma, beta, param, **buffers):
        return f.spatial_groupnorm_forward(x, gamma, beta, self.groups, param, **buffers)


def _image_shape(layer, in_shape):
    """Return `in_shape` if it is that of an image."""
    if len(in_shape) != 3:
        raise ValueError(f"layers: {type(layer).__name__} needs images (C, H, W), but its input has shape {in_shape}.")
    return in_shape


class Conv(Layer):
    """Convolution with square filters of odd size, stride 1, output as large as the input."""

    recordable = True
    starts_block = True

    def __init__(self, filters, size):
        self.filters = check_int("filters", filters, low=1)
        self.size = check_int("filter_size", size, low=1)
        if size % 2 == 0:
            raise ValueError(f"filter_size must be odd, so that padding keeps the image's size, got {size!r}.")
        self.param = {"stride": 1, "pad": size // 2}

    def build(self, in_shape, block, init):
        """Draw W (filters, C, size, size) and a zero b (filters,)."""
        channels, height, width = _image_shape(self, in_shape)
        self.w, self.b = f"W{block}", f"b{block}"
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
        work["x_shape"] = x.shape
        out = buffer(work, "out", (len(x), self.filters, *x.shape[2:]), x.dtype)
        out, work["cache"] = f.conv_forward_fast(x, params[self.w], params[self.b], self.param, out=out)
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Write dW and db; return dx."""
        dx = self._dx_buffer(work, need_dx, dout.dtype)
        out = (dx, grads[self.w], grads[self.b])
        return f.conv_backward_fast(dout, work["cache"], out=out, need_dx=need_dx)[0]


class MaxPool(Layer):
    """Max-pooling by 2 x 2; an axis one pixel long is left as it is."""

    recordable = True

    def build(self, in_shape, block, init):
        """Halve height and width."""
        channels, height, width = _image_shape(self, in_shape)
        self.param = {"pool_height": min(2, height), "pool_width": min(2, width), "stride": 2}
        self._out = (channels, max(1, height // 2), max(1, width // 2))
        return self._out, {}

    def forward(self, x, params, work, *, train, sample_weight):
        """Return (N, C, H // 2, W // 2)."""
        work["x_shape"] = x.shape
        out = buffer(work, "out", (len(x), *self._out), x.dtype)
        out, work["cache"] = f.max_pool_forward_fast(x, self.param, out=out, work=work)
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Return dx."""
        dx = self._dx_buffer(work, True, dout.dtype)
        return f.max_pool_backward_fast(dout, work["cache"], out=dx)


class ConvReLUPool(Conv):
    """Conv, ReLU and MaxPool in one pass; `Net` puts it in the place of the three."""

    recordable = True

    def __init__(self, conv, pool):
        self.__dict__.update(conv.__dict__)
        self.pool = pool
        self.fused = (pool.param["pool_height"], pool.param["pool_width"]) == (2, 2)

    def forward(self, x, params, work, *, train, sample_weight):
        """Return (N, filters, H // 2, W // 2)."""
        out = buffer(work, "out", (len(x), *self.pool._out), x.dtype)
        if self.fused and not train:
            # For one image, checks of the public function would take as long as a quarter of the arithmetic.
            stride, pad = self.param["stride"], self.param["pad"]
            _ext.conv_relu_pool_forward(x, params[self.w], params[self.b], out, None, stride, pad, n_threads())
            return out
        work["x_shape"] = x.shape
        out, work["cache"] = f.conv_relu_pool_forward(
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
        return f.conv_relu_pool_backward(dout, work["cache"], out=out, need_dx=need_dx)[0]


class Initializer:
    """Draws first parameters: weights at a scale, layer by layer, in the layers' order.

    `weight_scale` is the standard deviation, or 'he' (sqrt(2 / fan_in), He et al. 2015) or 'xavier'
    (sqrt(2 / (fan_in + fan_out)), Glorot & Bengio 2010).
    """

    def __init__(self, weight_scale, dtype, random_state):
        self.weight_scale = weight_scale
        self.dtype = dtype
        self.random_state = random_state

    def weights(self, shape, fan_in, fan_out):
        """Draw weights of the given shape."""
        scale = self.weight_scale
        if scale == "he":
            scale = math.sqrt(2 / fan_in)
        elif scale == "xavier":
            scale = math.sqrt(2 / (fan_in + fan_out))
        return (scale * self.random_state.randn(*shape)).astype(self.dtype)

    def constant(self, value, shape):
        """Return an array filled with `value`."""
        return np.full(shape, value, dtype=self.dtype)
