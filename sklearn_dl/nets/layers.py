"""Layer objects: they bind parameter names and buffers to the functions of `sklearn_dl.layers`.

No arithmetic happens here. A layer knows the names of its parameters, what shape it makes of its
input, and which function to call; the buffers live in a ``work`` dict that the caller owns, so that
one layer can serve a training step and several concurrent predictions. Affine layers call their
kernels themselves, and so does a convolution that predicts: on small nets the checks of the public
functions, of arrays that the net has made, take as long as the arithmetic.

The contract (shapes without the batch axis N):

``build(in_shape, block, init)``
    Returns ``(out_shape, params)``. The names of the parameters, and those of running statistics (kept in the dict
    ``statistics``, listed in ``statistics_names``), come from ``block.names("scale", "shift")``: kind and number of the
    block, as in "scale1", for the second such layer of a block "scale1_2", and so on. ``block`` is an int, so that a
    layer that numbers its names itself, ``f"scale{block}"``, works too, once in each block. A name that two layers
    use, or that is a parameter and a statistic, is an error of `Net`. ``init.weights`` and ``init.constant`` make
    first parameters in the net's dtype, ``init.random_state`` is the net's generator.
``forward(x, params, work, *, train, sample_weight)``
    Returns the output; keeps what backward needs in ``work``, a dict of this layer alone. Must not change x.
``backward(dout, grads, work, *, need_dx)``
    Writes the gradients of the layer's parameters into the arrays of ``grads``, returns dx or None.
    May overwrite dout.

A net copies the layers that it is given, with all that they hold (`copy.deepcopy`): one object may stand in several
places of a list, and in several nets, without sharing parameters, statistics or anything else. A constructor keeps its
arguments as attributes of the same names: see `Layer`.

Examples
--------
A layer that scales its features:

>>> import numpy as np
>>> from sklearn_dl.nets import Net
>>> from sklearn_dl.nets.layers import Affine, Layer
>>> class Scale(Layer):
...     def __init__(self, start=1.0):
...         self.start = start
...     def build(self, in_shape, block, init):
...         (self.scale,) = block.names("scale")
...         return in_shape, {self.scale: init.constant(self.start, in_shape)}
...     def forward(self, x, params, work, *, train, sample_weight):
...         work["x"], work["scale"] = x, params[self.scale]
...         return x * work["scale"]
...     def backward(self, dout, grads, work, *, need_dx):
...         grads[self.scale][...] = (dout * work["x"]).sum(axis=0)
...         return dout * work["scale"]
>>> net = Net([Affine(3), Scale(), Scale(start=2.0)], (4,), random_state=0)
>>> list(net.params), net.layers[2]
(['W1', 'b1', 'scale1', 'scale1_2'], Scale(start=2.0))
"""

import math

from sklearn_dl import _ext
from sklearn_dl import layers as f
from sklearn_dl._arrays import buffer
from sklearn_dl._checks import check_int, check_real
from sklearn_dl._threads import n_threads
from sklearn_dl.nets.layer import Initializer, Layer, names_of

__all__ = [
    "Affine",
    "AffineReLU",
    "BatchNorm",
    "Conv",
    "ConvReLUPool",
    "Dropout",
    "GroupNorm",
    "Initializer",
    "Layer",
    "LayerNorm",
    "MaxPool",
    "ReLU",
]


class Affine(Layer):
    """``x @ W + b``; x of any shape is flattened to rows.

    Parameters
    ----------
    units : int
        Number of outputs.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, ReLU
    >>> net = Net([Affine(8), ReLU(), Affine(3)], (4,), random_state=0)
    >>> {name: array.shape for name, array in net.params.items()}
    {'W1': (4, 8), 'b1': (8,), 'W2': (8, 3), 'b2': (3,)}
    """

    recordable = True
    starts_block = True
    relu = False  # whether one follows, see AffineReLU

    def __init__(self, units):
        self.units = check_int("units", units, low=1)

    def build(self, in_shape, block, init):
        """Draw W (D, units) and a zero b (units,)."""
        self.w, self.b = names_of(block, "W", "b")
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


def _check_layer(name, layer, cls):
    """Return a layer of this class itself: a subclass may compute something else."""
    if type(layer) is not cls:
        raise TypeError(f"{name} must be a layer of class {cls.__name__} itself, got {layer!r}.")
    return layer


class AffineReLU(Affine):
    """Affine and ReLU in one pass; `Net` puts it in the place of the two.

    Parameters
    ----------
    affine : Affine
        The layer that relu follows.

    Examples
    --------
    >>> from sklearn_dl.nets.layers import Affine, AffineReLU
    >>> AffineReLU(Affine(8)).relu
    True
    """

    recordable = True
    relu = True

    def __init__(self, affine):
        self.affine = _check_layer("affine", affine, Affine)
        self.__dict__.update(affine.__dict__)


class ReLU(Layer):
    """``max(0, x)``.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, ReLU
    >>> net = Net([Affine(8), ReLU(), Affine(3)], (4,), random_state=0)
    >>> len(net.layers)
    3
    """

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
    """Inverted dropout.

    Parameters
    ----------
    keep_ratio : float in (0, 1]
        Probability of keeping a value.
    seed : int, default=None
        Makes every mask of this layer the same draw, for gradient checks. Layers with one seed and as many values draw
        one mask. Without it, masks are drawn from the net's random state.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, Dropout, ReLU
    >>> net = Net([Affine(8), ReLU(), Dropout(0.5), Affine(3)], (4,), random_state=0)
    >>> net.layers[2]
    Dropout(0.5)
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

    _statistics = ()  # kinds of running statistics, each with what it begins at

    def build(self, in_shape, block, init):
        """Make gamma one and beta zero."""
        kinds = [kind for kind, _ in self._statistics]
        names = names_of(block, "gamma", "beta", *kinds)
        (self.gamma, self.beta), self.statistics_names = names[:2], names[2:]
        first = zip(self.statistics_names, self._statistics, strict=True)
        self.statistics = {name: init.constant(value, in_shape[0]) for name, (_, value) in first}
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
    """Batch normalization of features (N, D) or, for images, of channels (N, C, H, W).

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, BatchNorm, ReLU
    >>> net = Net([Affine(8), BatchNorm(), ReLU(), Affine(3)], (4,), random_state=0)
    >>> sorted(net.statistics)
    ['running_mean1', 'running_var1']
    """

    # A net that is not trained yet leaves its activations as they are.
    _statistics = (("running_mean", 0), ("running_var", 1))

    recordable = True

    def build(self, in_shape, block, init):
        """Make gamma one, beta zero, a running mean of zero and a running variance of one."""
        if len(in_shape) == 1:
            self._forward, self._backward = f.batchnorm_forward, f.batchnorm_backward_alt
        elif len(in_shape) == 3:
            self._forward, self._backward = f.spatial_batchnorm_forward, f.spatial_batchnorm_backward
        else:
            raise ValueError(
                f"layers: BatchNorm needs rows (D,) or images (C, H, W), but its input has shape {in_shape}."
            )
        return super().build(in_shape, block, init)

    def _param(self, train, sample_weight):
        mean, var = (self.statistics[name] for name in self.statistics_names)
        param = {"mode": "train" if train else "test", "running_mean": mean, "running_var": var}
        if train and sample_weight is not None:
            param["sample_weight"] = sample_weight
        return param


class LayerNorm(_Norm):
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

    def build(self, in_shape, block, init):
        """Make gamma one and beta zero."""
        if len(in_shape) != 1:
            raise ValueError(f"layers: LayerNorm needs rows (D,), but its input has shape {in_shape}.")
        return super().build(in_shape, block, init)

    _forward = staticmethod(f.layernorm_forward)
    _backward = staticmethod(f.layernorm_backward)


class GroupNorm(_Norm):
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

    def __init__(self, filters, size):
        self.filters = check_int("filters", filters, low=1)
        self.size = check_int("filter_size", size, low=1)
        if size % 2 == 0:
            raise ValueError(f"filter_size must be odd, so that padding keeps the image's size, got {size!r}.")
        self.param = {"stride": 1, "pad": size // 2}

    def build(self, in_shape, block, init):
        """Draw W (filters, C, size, size) and a zero b (filters,)."""
        channels, height, width = _image_shape(self, in_shape)
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

    def __init__(self, conv, pool):
        self.conv, self.pool = _check_layer("conv", conv, Conv), _check_layer("pool", pool, MaxPool)
        self.__dict__.update(conv.__dict__)

    def build(self, in_shape, block, init):
        """Draw W and b of the convolution."""
        shape, params = super().build(in_shape, block, init)
        return self.pool.build(shape, block, init)[0], params

    @property
    def fused(self):
        """Whether there is one pass: not where an axis has one pixel."""
        return (self.pool.param["pool_height"], self.pool.param["pool_width"]) == (2, 2)

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
