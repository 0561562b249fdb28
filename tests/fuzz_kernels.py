"""Call all compiled kernels with random arguments, good and bad: ``python tests/fuzz_kernels.py --calls 1000000``.

Sizes go from none to a few hundred, arrays begin anywhere and end where their memory ends or where a guard begins. A
third of the calls is spoilt: another dtype, shape, order, number or label, or two arrays in the same memory. Held
against each call:

- what is refused, by one of `REFUSALS`, is as it was;
- inputs, and what lies around all arrays, are as they were;
- two threads give the bits of one;
- good arguments give what NumPy gives in float64.

``--sanitize`` does it in a build of its own that reports what C must not do, and ends at the first report: by gcc's
sanitizers of addresses and of those kinds of undefined behaviour that gcc compiles in less than minutes, with the
bounds checks of debug builds. ``--sanitize address,undefined`` has all kinds. ``--sanitize thread`` looks for races
between two threads of Python, in a build without OpenMP, whose own threads ThreadSanitizer does not understand.

``--isa all`` goes through the instruction sets of this machine. A failure prints its seed and number: ``--seed S
--first NUMBER --calls 1`` repeats it.
"""

import argparse
import collections
import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from sklearn_dl import FullyConnectedNet, ThreeLayerConvNet, _ext, _threads

THREADS = object()  # stands for the number of threads among the arguments
NO_KERNELS = {"Epochs", "Program", "activations", "activation_backward_takes", "check_apart", "debug", "isa", "isas",
              "max_threads", "openmp", "spoil_recording"}  # fmt: skip
REFUSALS = (TypeError, ValueError, IndexError, OverflowError)  # the last of Python's numbers too large for C
TOLERANCE = {np.float32: 1e-4, np.float64: 1e-11}
GUARD = 64


class Draw:
    """Random sizes and arrays of one call; remembers which of the arrays are written."""

    def __init__(self, rng):
        self.rng = rng
        self.dtype = (np.float32, np.float64)[rng.integers(2)]
        self.special = rng.random() < 0.1
        self.large = rng.random() < 0.05  # enough work for two threads
        self.written = []

    def size(self, low=0, most=40):
        kind = self.rng.random()
        if kind < 0.04:
            return low
        if kind < 0.2:
            return max(low, 1)
        return int(self.rng.integers(2, 300 if self.large and most == 40 else most + 1))

    def one_of(self, *values):
        return values[self.rng.integers(len(values))]

    def maybe(self, value, p=0.5):
        return value if self.rng.random() < p else None

    def real(self, *shape, dtype=None):
        a = self.rng.standard_normal(shape).astype(dtype or self.dtype)
        if self.special and a.size:
            where = self.rng.integers(a.size, size=3)
            a.flat[where] = self.rng.choice([np.nan, np.inf, -np.inf, 1e-310, -1e-42, 3e38, -0.0, 1e30], size=3)
        return a

    def positive(self, *shape, dtype=None):
        return np.abs(self.real(*shape, dtype=dtype)) + (dtype or self.dtype)(0.1)

    def integers(self, low, high, *shape, dtype=np.int64):
        return self.rng.integers(low, max(high, low + 1), size=shape).astype(dtype)

    def out(self, *shape, dtype=None):
        """Return an array that the call fills."""
        dtype = dtype or self.dtype
        return self.state(np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 99, dtype))

    def state(self, a):
        """Return an array that the call writes to."""
        self.written.append(a)
        return a

    def weights(self, n):
        return self.maybe(self.positive(n, dtype=np.float64) if not self.special else np.ones(n))

    def activation(self):
        return int(self.rng.integers(len(_ext.activations)))


class Call(collections.namedtuple("Call", "arguments expected pack", defaults=(None, None))):
    """Arguments of a kernel, what they hold after it (by number; "result": what is returned), how they are given."""


def activate(x, code):
    """Return an activation of float64 numbers and its slope."""
    name = {number: name for name, number in _ext.activations.items()}[code]
    if name == "identity":
        return x, np.ones_like(x)
    if name == "relu":
        return np.maximum(x, 0), (x > 0) * 1.0
    if name == "leaky_relu":
        return np.where(x > 0, x, 0.01 * x), np.where(x > 0, 1, 0.01)
    if name == "tanh":
        return np.tanh(x), 1 - np.tanh(x) ** 2
    from scipy.special import expit, ndtr

    if name == "logistic":
        return expit(x), expit(x) * (1 - expit(x))
    if name == "silu":
        return x * expit(x), expit(x) * (1 + x * (1 - expit(x)))
    assert name == "gelu"
    return x * ndtr(x), ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def wide(*arrays):
    return [None if a is None else a.astype(np.float64) for a in arrays]


# ------------------------------------------------------------------------------------------------ products


def affine_forward(g):
    n, d, m = g.size(), g.size(), g.size()
    x, w, b, code = g.real(n, d), g.real(d, m), g.maybe(g.real(m)), g.activation()

    def expected():
        x_, w_, b_ = wide(x, w, b)
        return {3: activate(x_ @ w_ + (0 if b is None else b_), code)[0]}

    return Call([x, w, b, g.out(n, m), code, THREADS], expected)


def affine_backward_dx(g):
    n, d, m = g.size(), g.size(), g.size()
    dout, w = g.real(n, m), g.real(d, m)
    return Call([dout, w, g.out(n, d), THREADS], lambda: {2: wide(dout)[0] @ wide(w)[0].T})


def affine_backward_dw(g):
    n, d, m = g.size(), g.size(), g.size()
    x, dout, db = g.real(n, d), g.real(n, m), g.maybe(g.out(m))
    return Call(
        [x, dout, g.out(d, m), db, THREADS],
        lambda: {2: wide(x)[0].T @ wide(dout)[0], 3: wide(dout)[0].sum(axis=0)},
    )


def csr(g):
    """Return data, indices, indptr and rows of a CSR matrix, the rows as a dense matrix, and its columns."""
    n_rows, d, n = g.size(1), g.size(1), g.size()
    index = g.one_of(np.int32, np.int64)
    counts = g.integers(0, min(d, 9) + 1, n_rows)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(index)
    indices = np.concatenate([np.sort(g.rng.choice(d, size=count, replace=False)) for count in counts] or [[]]).astype(
        index
    )
    data, rows = g.real(len(indices)), g.integers(0, n_rows, n, dtype=np.intp)
    dense = np.zeros((n_rows, d))
    dense[np.repeat(np.arange(n_rows), counts), indices] = data
    return data, indices, indptr, rows, dense[rows], d


def csr_affine_forward(g):
    data, indices, indptr, rows, dense, d = csr(g)
    m = g.size()
    w, b, code = g.real(d, m), g.maybe(g.real(m)), g.activation()

    def expected():
        return {6: activate(dense @ wide(w)[0] + (0 if b is None else wide(b)[0]), code)[0]}

    return Call([data, indices, indptr, rows, w, b, g.out(len(rows), m), code, THREADS], expected)


def csr_affine_backward_dw(g):
    data, indices, indptr, rows, dense, d = csr(g)
    m = g.size()
    dout, db = g.real(len(rows), m), g.maybe(g.out(m))
    touched = g.state(np.full(d + 2, -1, np.int64))
    return Call(
        [data, indices, indptr, rows, dout, g.out(d, m), db, touched, g.state(np.zeros(d, bool)), THREADS],
        lambda: {5: dense.T @ wide(dout)[0], 6: wide(dout)[0].sum(axis=0)},
    )


# ------------------------------------------------------------------------------------------------ images


def images(g, pooled=1):
    """Return x, w, shape of the output, stride and pad of a convolution."""
    n, c, f = g.size(most=5), g.size(1, 9), g.size(1, 20)
    h, w = (g.size(1, g.one_of(9, 32)) for _ in range(2))
    stride, pad = g.one_of(1, 1, 2, 3), g.one_of(0, 1, 1, 2, 5)
    hh, ww = (min(g.one_of(1, 2, 3, 3, 5, 7), size + 2 * pad) for size in (h, w))
    ho, wo = (h + 2 * pad - hh) // stride + 1, (w + 2 * pad - ww) // stride + 1
    return g.real(n, c, h, w), g.real(f, c, hh, ww), (n, f, ho // pooled, wo // pooled), stride, pad


def windows(x, w, stride, pad):
    padded = np.pad(wide(x)[0], ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    return np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], (2, 3))[:, :, ::stride, ::stride]


def convolve(x, w, b, stride, pad):
    out = np.tensordot(windows(x, w, stride, pad), wide(w)[0], ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
    return out if b is None else out + wide(b)[0][:, None, None]


def convolve_back(dout, w, shape, stride, pad):
    n, c, h, width = shape
    dx = np.zeros((n, c, h + 2 * pad, width + 2 * pad))
    ho, wo = dout.shape[2:]
    for i, j in np.ndindex(w.shape[2:]):
        part = np.tensordot(dout, wide(w)[0][:, :, i, j], ((1,), (0,))).transpose(0, 3, 1, 2)
        dx[:, :, i : i + stride * ho : stride, j : j + stride * wo : stride] += part
    return dx[:, :, pad : pad + h, pad : pad + width]


def filters_back(x, w, dout, stride, pad):
    return np.tensordot(dout, windows(x, w, stride, pad), ((0, 2, 3), (0, 2, 3)))


def conv_forward(g):
    x, w, shape, stride, pad = images(g)
    b, code = g.maybe(g.real(len(w))), g.activation()
    return Call(
        [x, w, b, g.out(*shape), stride, pad, THREADS, code],
        lambda: {3: activate(convolve(x, w, b, stride, pad), code)[0]},
    )


def conv_backward_dx(g):
    x, w, shape, stride, pad = images(g)
    dout = g.real(*shape)
    return Call(
        [dout, w, g.out(*x.shape), stride, pad, THREADS],
        lambda: {2: convolve_back(wide(dout)[0], w, x.shape, stride, pad)},
    )


def conv_backward_dw(g):
    x, w, shape, stride, pad = images(g)
    dout, db = g.real(*shape), g.maybe(g.out(len(w)))
    return Call(
        [x, dout, g.out(*w.shape), db, stride, pad, THREADS],
        lambda: {2: filters_back(x, w, wide(dout)[0], stride, pad), 3: wide(dout)[0].sum(axis=(0, 2, 3))},
    )


def halves(a):
    """Return the 2 x 2 windows of planes as a last axis."""
    ho, wo = a.shape[2] // 2, a.shape[3] // 2
    a = a[:, :, : 2 * ho, : 2 * wo].reshape(*a.shape[:2], ho, 2, wo, 2)
    return a.transpose(0, 1, 2, 4, 3, 5).reshape(*a.shape[:2], ho, wo, 4)


def spread(dout, cell, ho, wo):
    """Return the gradient of the convolution's output, given that of the pooled and which cell won."""
    dconv = np.zeros((*dout.shape[:2], ho, wo))
    for which in range(4):
        i, j = divmod(which, 2)
        there = dconv[:, :, i : 2 * dout.shape[2] : 2, j : 2 * dout.shape[3] : 2]
        there += np.where(cell == which, wide(dout)[0], 0)
    return dconv


def conv_relu_pool_forward(g):
    x, w, shape, stride, pad = images(g, 2)
    b = g.maybe(g.real(len(w)))
    cell = g.maybe(g.out(*shape, dtype=np.uint8), 0.8)
    return Call(
        [x, w, b, g.out(*shape), cell, stride, pad, THREADS],
        lambda: {3: np.maximum(halves(convolve(x, w, b, stride, pad)).max(axis=-1), 0)},
    )


def conv_relu_pool_backward_dw(g):
    x, w, shape, stride, pad = images(g, 2)
    ho, wo = ((size + 2 * pad - extent) // stride + 1 for size, extent in zip(x.shape[2:], w.shape[2:], strict=True))
    dout, cell, db = g.real(*shape), g.integers(0, 5, *shape, dtype=np.uint8), g.maybe(g.out(len(w)))

    def expected():
        dconv = spread(dout, cell, ho, wo)
        return {3: filters_back(x, w, dconv, stride, pad), 4: dconv.sum(axis=(0, 2, 3))}

    return Call([x, dout, cell, g.out(*w.shape), db, stride, pad, THREADS], expected)


def relu_pool_backward(g):
    n, c, ho, wo = g.size(most=5), g.size(most=9), g.size(), g.size()
    shape = n, c, ho // 2, wo // 2
    dout, cell = g.real(*shape), g.integers(0, 5, *shape, dtype=np.uint8)
    return Call([dout, cell, g.out(n, c, ho, wo), THREADS], lambda: {2: spread(dout, cell, ho, wo)})


def pooling(g):
    n, c, h, w = g.size(most=5), g.size(most=9), g.size(1), g.size(1)
    ph, pw, stride = min(g.one_of(1, 2, 2, 3), h), min(g.one_of(1, 2, 2, 3), w), g.one_of(1, 2, 2, 3)
    return (n, c, h, w), (ph, pw, stride), (n, c, (h - ph) // stride + 1, (w - pw) // stride + 1)


def max_pool_forward(g):
    in_shape, (ph, pw, stride), shape = pooling(g)
    x, argmax = g.real(*in_shape), g.maybe(g.out(*shape, dtype=np.int32), 0.8)

    def expected():
        seen = np.lib.stride_tricks.sliding_window_view(x, (ph, pw), (2, 3))[:, :, ::stride, ::stride]
        return {1: seen.max(axis=(4, 5))}

    return Call([x, g.out(*shape), argmax, ph, pw, stride, THREADS], expected)


def max_pool_backward(g):
    in_shape, _, shape = pooling(g)
    area = in_shape[2] * in_shape[3]
    dout, argmax = g.real(*shape), g.integers(0, area, *shape, dtype=np.int32)

    def expected():
        dx = np.zeros((*shape[:2], area))
        for n, c in np.ndindex(shape[:2]):
            np.add.at(dx[n, c], argmax[n, c].ravel(), dout[n, c].ravel())
        return {2: dx.reshape(in_shape)}

    return Call([dout, argmax, g.out(*in_shape), THREADS], expected)


# ------------------------------------------------------------------------------------------------ elementwise


def any_shape(g):
    return tuple(g.size() for _ in range(g.one_of(0, 1, 1, 2, 2)))


def activation_forward(g):
    x, code = g.real(*any_shape(g)), g.activation()
    return Call([x, g.out(*x.shape), code, THREADS], lambda: {1: activate(wide(x)[0], code)[0]})


def activation_backward(g):
    code = g.activation()
    dout = g.real(*any_shape(g))
    x = g.real(*dout.shape)
    name = next(name for name, number in _ext.activations.items() if number == code)
    takes_output = _ext.activation_backward_takes[name] == "output"
    kept = activate(wide(x)[0], code)[0].astype(g.dtype) if takes_output else x
    return Call(
        [dout, kept, g.out(*dout.shape), code, THREADS],
        lambda: {2: wide(dout)[0] * activate(wide(x)[0], code)[1]},
    )


def scale_by_mask(g):
    x = g.real(*any_shape(g))
    mask = g.rng.random(x.shape) < 0.5
    return Call([x, mask, 1.25, g.out(*x.shape), THREADS], lambda: {3: x * mask * 1.25})


def all_finite(g):
    x = g.real(*any_shape(g))
    return Call([x, THREADS], lambda: {"result": np.isfinite(x).all()})


# ------------------------------------------------------------------------------------------------ normalization


def channels(g):
    """Return the shape of samples with channels, and the shape that vectors of channels are spread to."""
    n, c = g.size(1), g.size(1)
    shape = (n, c) if g.rng.random() < 0.5 else (min(n, 6), min(c, 12), g.size(1, 12), g.size(1, 12))
    return shape, (-1, *[1] * (len(shape) - 2)), (0, *range(2, len(shape)))


def shares_of(weight, n):
    return np.full(n, 1 / n) if weight is None else weight / weight.sum()


def batchnorm_forward(g):
    shape, column, axes = channels(g)
    n, c = shape[:2]
    x, gamma, beta, weight = g.real(*shape), g.real(c), g.real(c), g.weights(n)
    statistics = [g.out(c) for _ in range(3)]

    def expected():
        wide_x, pixels = wide(x)[0], np.prod(shape[2:])
        share = shares_of(weight, n).reshape(-1, *[1] * (len(shape) - 1)) / pixels
        mean = (share * wide_x).sum(axis=axes)
        var = (share * (wide_x - mean.reshape(column)) ** 2).sum(axis=axes)
        inv_std = 1 / np.sqrt(var + 0.1)
        xhat = (wide_x - mean.reshape(column)) * inv_std.reshape(column)
        out = xhat * wide(gamma)[0].reshape(column) + wide(beta)[0].reshape(column)
        return dict(enumerate((out, xhat, mean, var, inv_std), 5))

    return Call([x, gamma, beta, weight, 0.1, g.out(*shape), g.out(*shape), *statistics, THREADS], expected)


def batchnorm_backward(g):
    shape, column, axes = channels(g)
    n, c = shape[:2]
    dout, xhat, inv_std, gamma, weight = g.real(*shape), g.real(*shape), g.positive(c), g.real(c), g.weights(n)

    def expected():
        dout_, xhat_, pixels = *wide(dout, xhat), np.prod(shape[2:])
        share = shares_of(weight, n).reshape(-1, *[1] * (len(shape) - 1)) / pixels
        dgamma, dbeta = (dout_ * xhat_).sum(axis=axes), dout_.sum(axis=axes)
        scale = (wide(gamma)[0] * wide(inv_std)[0]).reshape(column)
        dx = scale * (dout_ - share * (dbeta.reshape(column) + xhat_ * dgamma.reshape(column)))
        return {5: dx, 6: dgamma, 7: dbeta}

    return Call([dout, xhat, inv_std, gamma, weight, g.out(*shape), g.out(c), g.out(c), THREADS], expected)


def batchnorm_test(g):
    shape, column, _ = channels(g)
    c = shape[1]
    x, gamma, beta, mean, var = g.real(*shape), g.real(c), g.real(c), g.real(c), g.positive(c)

    def expected():
        x_, *rest = wide(x, gamma, beta, mean, var)
        gamma_, beta_, mean_, var_ = (a.reshape(column) for a in rest)
        return {6: gamma_ * (x_ - mean_) / np.sqrt(var_ + 0.1) + beta_}

    return Call([x, gamma, beta, mean, var, 0.1, g.out(*shape), THREADS], expected)


def update_average(g):
    average, batch = g.state(g.real(*any_shape(g))), None
    batch = g.state(g.real(*average.shape))
    before = wide(average, batch)
    return Call([average, batch, 0.75], lambda: {0: 0.75 * before[0] + 0.25 * before[1]})


def weight_shares(g):
    weight = g.positive(g.size(1), dtype=np.float64)
    return Call([weight, g.out(len(weight), dtype=np.float64)], lambda: {1: weight / weight.sum()})


def normalized(x, gamma, beta, axes):
    x = wide(x)[0]
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    inv_std = 1 / np.sqrt(var + 0.1)
    return (x - mean) * inv_std, inv_std


def normalized_back(dout, xhat, inv_std, gamma, axes):
    dxhat = dout * gamma
    mean = dxhat.mean(axis=axes, keepdims=True)
    return inv_std * (dxhat - mean - xhat * (dxhat * xhat).mean(axis=axes, keepdims=True))


def layernorm_forward(g):
    n, d = g.size(), g.size(1)
    x, gamma, beta = g.real(n, d), g.real(d), g.real(d)

    def expected():
        xhat, inv_std = normalized(x, gamma, beta, 1)
        return {4: xhat * wide(gamma)[0] + wide(beta)[0], 5: xhat, 6: inv_std[:, 0]}

    return Call([x, gamma, beta, 0.1, g.out(n, d), g.out(n, d), g.out(n), THREADS], expected)


def layernorm_backward(g):
    n, d = g.size(), g.size(1)
    dout, xhat, inv_std, gamma = g.real(n, d), g.real(n, d), g.positive(n), g.real(d)

    def expected():
        dout_, xhat_, inv_std_, gamma_ = wide(dout, xhat, inv_std, gamma)
        dx = normalized_back(dout_, xhat_, inv_std_[:, None], gamma_, 1)
        return {4: dx, 5: (dout_ * xhat_).sum(axis=0), 6: dout_.sum(axis=0)}

    return Call([dout, xhat, inv_std, gamma, g.out(n, d), g.out(d), g.out(d), THREADS], expected)


def grouped(g):
    groups, per_group = g.size(1, 5), g.size(1, 6)
    return (g.size(1, 6), groups * per_group, g.size(1, 12), g.size(1, 12)), groups, (1, -1, 1, 1)


def groupnorm_forward(g):
    shape, groups, column = grouped(g)
    n, c = shape[:2]
    x, gamma, beta = g.real(*shape), g.real(c), g.real(c)

    def expected():
        xhat, inv_std = normalized(x.reshape(n, groups, -1), gamma, beta, 2)
        xhat = xhat.reshape(shape)
        return {4: xhat * wide(gamma)[0].reshape(column) + wide(beta)[0].reshape(column), 5: xhat, 6: inv_std[..., 0]}

    return Call([x, gamma, beta, 0.1, g.out(*shape), g.out(*shape), g.out(n, groups), THREADS], expected)


def groupnorm_backward(g):
    shape, groups, column = grouped(g)
    n, c = shape[:2]
    dout, xhat, inv_std, gamma = g.real(*shape), g.real(*shape), g.positive(n, groups), g.real(c)

    def expected():
        dout_, xhat_, inv_std_, gamma_ = wide(dout, xhat, inv_std, gamma)
        in_groups = [a.reshape(n, groups, -1) for a in (dout_ * gamma_.reshape(column), xhat_)]
        dx = normalized_back(*in_groups, inv_std_[..., None], 1, 2).reshape(shape)
        return {4: dx, 5: (dout_ * xhat_).sum(axis=(0, 2, 3)), 6: dout_.sum(axis=(0, 2, 3))}

    return Call([dout, xhat, inv_std, gamma, g.out(*shape), g.out(c), g.out(c), THREADS], expected)


# ------------------------------------------------------------------------------------------------ losses


def softmax_of(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def mean_loss(weight, n, losses, gradient):
    """Return what a loss returns, and its gradient."""
    share = shares_of(weight, n)
    return {"result": (share * losses).sum(), 3: share[:, None] * gradient}


def labelled(g):
    n, c = g.size(1), g.size(1)
    return n, c, g.real(n, c), g.integers(0, c, n), g.weights(n)


def softmax_loss(g):
    n, c, scores, y, weight = labelled(g)
    smoothing = g.one_of(0.0, 0.3)

    def expected():
        p, target = softmax_of(wide(scores)[0]), (1 - smoothing) * np.eye(c)[y] + smoothing / c
        return mean_loss(weight, n, -(target * np.log(p)).sum(axis=1), p - target)

    return Call([scores, y, weight, g.maybe(g.out(n, c), 0.8), 0.0, smoothing], expected)


def hinge_loss(g):
    n, c, scores, y, weight = labelled(g)

    def expected():
        rows = np.arange(n)
        margins = scores - scores[rows, y][:, None] + 1
        margins[rows, y] = 0
        gradient = (margins > 0).astype(float)
        gradient[rows, y] = -gradient.sum(axis=1)
        return mean_loss(weight, n, np.maximum(margins, 0).sum(axis=1), gradient)

    return Call([scores, y, weight, g.maybe(g.out(n, c), 0.8)], expected)


POINTWISE = {
    "logistic": lambda s, y: (np.logaddexp(0, s) - y * s, 1 / (1 + np.exp(-s)) - y),
    "squared_error": lambda s, y: ((s - y) ** 2 / 2, s - y),
    "absolute_error": lambda s, y: (np.abs(s - y), np.sign(s - y)),
    "huber": lambda s, y: (
        np.where(np.abs(s - y) > 0.75, 0.75 * (np.abs(s - y) - 0.375), (s - y) ** 2 / 2),
        np.clip(s - y, -0.75, 0.75),
    ),
    "poisson": lambda s, y: (np.exp(s) - y * s, np.exp(s) - y),
}


def pointwise_loss(g):
    kind, n, k = g.one_of(*POINTWISE), g.size(1), g.size(1)
    scores, y, weight = g.real(n, k), g.real(n, k), g.weights(n)

    def expected():
        losses, gradient = POINTWISE[kind](*wide(scores, y))
        both = mean_loss(weight, n, losses.sum(axis=1), gradient)
        return {"result": both["result"], 4: both[3]}

    return Call([kind, scores, y, weight, g.maybe(g.out(n, k), 0.8), 0.0, 0.75], expected)


def weight_of(weight, n):
    return np.ones(n) if weight is None else weight


def judge_scores(g):
    n, c, scores, y, weight = labelled(g)
    predicted = g.state(np.zeros(c, bool))

    def expected():
        best = scores.argmax(axis=1)
        return {"result": weight_of(weight, n)[best == y].sum(), 3: np.isin(np.arange(c), best)}

    return Call([scores, y, weight, predicted], expected)


def judge_indicators(g):
    n, k = g.size(1), g.size(1)
    scores, y, weight = g.real(n, k), g.integers(0, 2, n, k, dtype=g.dtype), g.weights(n)
    return Call(
        [scores, y, weight],
        lambda: {"result": weight_of(weight, n)[((scores > 0) == (y > 0.5)).all(axis=1)].sum()},
    )


def judge_residuals(g):
    n, k, take_exp = g.size(1), g.size(1), g.one_of(False, True)
    scores, y, weight, scale = g.real(n, k), g.real(n, k), g.weights(n), g.positive(k, dtype=np.float64)

    def expected():
        s, y_ = wide(scores, y)
        squares = scale * (y_ - (np.exp(s) if take_exp else s)) ** 2
        return {"result": (weight_of(weight, n) * squares.sum(axis=1)).sum()}

    return Call([scores, y, weight, take_exp, scale], expected)


def sum_of_weights(g):
    weight = g.positive(g.size(), dtype=np.float64)
    return Call([weight], lambda: {"result": weight.sum()})


def softmax(g):
    scores = g.real(g.size(), g.size(1))
    return Call([scores, g.out(*scores.shape)], lambda: {1: softmax_of(wide(scores)[0])})


def log_softmax(g):
    scores = g.real(g.size(), g.size(1))
    return Call([scores, g.out(*scores.shape)], lambda: {1: np.log(softmax_of(wide(scores)[0]))})


# ------------------------------------------------------------------------------------------------ update rules


def rule(name, n_states, constants, t=()):
    """Return what draws a call of an update rule."""

    def draw(g):
        w, dw = g.state(g.real(*any_shape(g))), None
        dw = g.real(*w.shape)
        states = [g.state(g.positive(*w.shape)) for _ in range(n_states)]
        before = wide(w, dw, *states)
        reg = g.one_of(0.0, 0.3)

        def expected():
            after = updated(name, before[0], before[1], before[2:], reg)
            found = {0: after[0], "result": (after[0] ** 2).sum()}
            return {**found, **dict(enumerate(after[1:], 2))}

        return Call([w, dw, *states, *t, 0.02, *constants, reg, THREADS], expected)

    return draw


def updated(name, w, dw, states, reg):
    """Return the next weights and state, at the constants of `RULES` and a learning rate of 0.02."""
    g, rate, s = dw + reg * w, 0.02, states
    if name == "sgd":
        return [w - rate * g]
    if name in ("sgd_momentum", "nesterov"):
        v = 0.9 * s[0] - rate * g
        return [w + v if name == "sgd_momentum" else w + 0.9 * v - rate * g, v]
    if name in ("adagrad", "rmsprop"):
        cache = s[0] + g * g if name == "adagrad" else 0.99 * s[0] + 0.01 * g * g
        return [w - rate * g / (np.sqrt(cache) + 1e-8), cache]
    if name == "adamw":
        g, w = dw, w * (1 - rate * reg)
    m, v = 0.9 * s[0] + 0.1 * g, 0.999 * s[1] + 0.001 * g * g
    return [w - rate * (m / (1 - 0.9**6)) / (np.sqrt(v / (1 - 0.999**6)) + 1e-8), m, v]


RULES = {
    "sgd": rule("sgd", 0, ()),
    "sgd_momentum": rule("sgd_momentum", 1, (0.9,)),
    "nesterov": rule("nesterov", 1, (0.9,)),
    "adagrad": rule("adagrad", 1, (1e-8,)),
    "rmsprop": rule("rmsprop", 1, (0.99, 1e-8)),
    "adam": rule("adam", 2, (0.9, 0.999, 1e-8), (6,)),
    "adamw": rule("adamw", 2, (0.9, 0.999, 1e-8), (6,)),
}


def clip_gradients(g):
    gradients = [g.state(g.real(*any_shape(g))) for _ in range(g.size(1, 5))]
    before, most = wide(*gradients), g.one_of(0.5, 1e6)

    def expected():
        norm = np.sqrt(sum((a**2).sum() for a in before))
        scale = most / norm if norm > most else 1
        return {"result": norm, **{i: a * scale for i, a in enumerate(before)}}

    return Call([*gradients, most, THREADS], expected, lambda *a: (list(a[:-2]), *a[-2:]))


def sum_of_squares(g):
    w = g.real(*any_shape(g))
    return Call([w, THREADS], lambda: {"result": (wide(w)[0] ** 2).sum()})


# ------------------------------------------------------------------------------------------------ data and draws


def source(g, n, d):
    dtype = g.one_of(np.uint8, np.float32, np.float64)
    return g.integers(0, 256, n, d, dtype=np.uint8) if dtype is np.uint8 else g.real(n, d, dtype=dtype)


def gather_rows(g):
    n, d, rows = g.size(1), g.size(), g.size()
    x, indices, mean = source(g, n, d), g.integers(0, n, rows, dtype=np.intp), g.maybe(g.real(d))
    return Call(
        [x, indices, g.out(rows, d), mean, THREADS],
        lambda: {2: wide(x)[0][indices] - (0 if mean is None else wide(mean)[0])},
    )


def gather_items(g):
    n, rows = g.size(1), g.size()
    items = g.integers(0, 99, n) if g.rng.random() < 0.5 else g.real(n, dtype=np.float64)
    indices = g.integers(0, n, rows, dtype=np.intp)
    return Call([items, indices, g.out(rows, dtype=items.dtype)], lambda: {2: items[indices]})


class Generator(int):
    """Stands for a new bit generator of this seed."""


def draw_mask(g):
    seed, mask = Generator(g.rng.integers(99)), g.state(np.zeros(any_shape(g), bool))
    return Call([seed, 0.5, mask], lambda: {2: np.random.RandomState(int(seed)).random_sample(mask.shape) < 0.5})


def shuffle_rows(g):
    seed, rows = Generator(g.rng.integers(99)), g.state(np.arange(g.size()))

    def expected():
        shuffled = np.arange(len(rows))
        np.random.RandomState(int(seed)).shuffle(shuffled)
        return {1: shuffled}

    return Call([seed, rows], expected)


def linear_takes(g):
    return Call([g.real(g.size(), g.size())])


def linear_softmax(g):
    d, m, n, stored = g.one_of(g.size(1), 150, 784), g.size(1, 12), g.size(1), g.size(1)
    x, indices, y = source(g, stored, d), g.integers(0, stored, n, dtype=np.intp), g.integers(0, m, n)
    w, b, weight = g.real(d, m), g.maybe(g.real(m)), g.weights(n)
    db = g.maybe(g.out(m))
    if x.dtype == np.uint8:
        w *= g.dtype(0.001)  # of scores far apart, single precision does not tell losses apart

    def expected():
        rows = wide(x)[0][indices]
        p = softmax_of(rows @ wide(w)[0] + (0 if b is None else wide(b)[0]))
        share = shares_of(weight, n)
        dscores = share[:, None] * (p - np.eye(m)[y])
        return {
            "result": -(share * np.log(p[np.arange(n), y])).sum(),
            6: dscores,
            7: rows.T @ dscores,
            8: dscores.sum(axis=0),
        }

    return Call([x, indices, y, weight, w, b, g.out(n, m), g.out(d, m), db, THREADS], expected)


KERNELS = {
    function.__name__: function
    for function in (
        affine_forward, affine_backward_dx, affine_backward_dw, csr_affine_forward, csr_affine_backward_dw,
        conv_forward, conv_backward_dx, conv_backward_dw, conv_relu_pool_forward, conv_relu_pool_backward_dw,
        relu_pool_backward, max_pool_forward, max_pool_backward, activation_forward, activation_backward,
        scale_by_mask, all_finite, batchnorm_forward, batchnorm_backward, batchnorm_test, update_average, weight_shares,
        layernorm_forward, layernorm_backward, groupnorm_forward, groupnorm_backward, softmax_loss, hinge_loss,
        pointwise_loss, judge_scores, judge_indicators, judge_residuals, sum_of_weights, softmax, log_softmax,
        clip_gradients, sum_of_squares, gather_rows, gather_items, draw_mask, shuffle_rows, linear_takes,
        linear_softmax,
    )
} | RULES  # fmt: skip


# ------------------------------------------------------------------------------------------------ spoilt arguments


def strided(a):
    return np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim and a.size > 1 else None


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def longer(a):
    return np.concatenate([a, a[:1]]) if a.ndim and len(a) else None


def unaligned(a):
    moved = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    moved[...] = a
    return moved if a.itemsize > 1 else None


def with_strange_values(rng):
    def change(a):
        a = a.copy()
        if a.size and a.dtype != bool:
            strange = [-1, 2**31 - 1, -(2**31), 2**62] if a.dtype.kind == "i" else [0, 4, 5, 255]
            if a.dtype.kind == "f":
                strange = [np.nan, np.inf, -1.0, 1e30]
            fitting = [value for value in strange if a.dtype.kind == "f" or abs(value) <= np.iinfo(a.dtype).max]
            a.flat[rng.integers(a.size)] = fitting[rng.integers(len(fitting))]
        return a

    return change


CHANGES = [
    lambda a: a.astype(np.float64 if a.dtype == np.float32 else np.float32),
    lambda a: a.astype(np.int16),
    lambda a: a.astype(a.dtype.newbyteorder()),
    lambda a: a[None],
    lambda a: a[:-1] if a.ndim else None,
    lambda a: a[..., :0] if a.ndim else None,
    lambda a: None,
    lambda a: a.tolist(),
    longer,
    strided,
    read_only,
    unaligned,
]
NUMBERS = [-1, 0, 1, 7, 2**31 - 1, 2**40, -(2**62), 0.5, float("nan"), float("inf")]


def spoil(arguments, rng):
    """Return arguments one of which is another, and which two are to share memory: their numbers and the distance."""
    arguments = list(arguments)
    arrays = [i for i, a in enumerate(arguments) if isinstance(a, np.ndarray)]
    kind = rng.random()
    if kind < 0.3 and len(arrays) > 1:
        i, j = rng.choice(arrays, size=2, replace=False)
        return arguments, (i, j, int(rng.choice([0, 0, 1, 3])))
    if kind < 0.4:
        numbers = [i for i, a in enumerate(arguments) if isinstance(a, (int, float)) and not isinstance(a, Generator)]
        if numbers:
            arguments[rng.choice(numbers)] = NUMBERS[rng.integers(len(NUMBERS))]
            return arguments, None
    i = rng.choice(arrays)
    changes = [*CHANGES, *[with_strange_values(rng)] * 4]
    arguments[i] = changes[rng.integers(len(changes))](arguments[i])
    return arguments, None


# ------------------------------------------------------------------------------------------------ calls


def place(a, rng, guarded):
    """Return a copy of an array that begins anywhere, and the memory around it."""
    kept = isinstance(a, np.ndarray) and a.flags.c_contiguous and a.flags.aligned and a.flags.writeable
    if not kept:
        return a, None
    offset = int(rng.integers(8)) * a.itemsize
    offset += -offset % max(a.dtype.alignment, 1)
    front, back = (GUARD + offset, GUARD) if guarded else (offset, 0)
    room = np.full(front + a.nbytes + back, 0xFF, np.uint8)  # nan, for floats
    copied = room[front : front + a.nbytes].view(a.dtype).reshape(a.shape)
    copied[...] = a
    return copied, (room, front, a.nbytes)


def place_together(first, second, distance):
    """Return copies of two arrays of which one begins so many items after the other."""
    step = distance * max(first.itemsize, second.itemsize)
    room = np.zeros(step + max(first.nbytes, second.nbytes), np.uint8)
    a = room[: first.nbytes].view(first.dtype).reshape(first.shape)
    b = room[step : step + second.nbytes].view(second.dtype).reshape(second.shape)
    a[...] = first
    b[...] = second
    return a, b


def held(arguments):
    return [a.tobytes() if isinstance(a, np.ndarray) else None for a in arguments]


def attempt(name, call, arguments, shared, n_threads, rng, guarded):
    """Make a call; return what it returned or which error it raised, what the arguments hold, and the arguments."""
    placed = [place(a, rng, guarded) for a in arguments]
    memory = [around for _, around in placed if around is not None]
    placed = [a for a, _ in placed]
    if shared is not None:
        i, j, distance = shared
        placed[i], placed[j] = place_together(arguments[i], arguments[j], distance)
    given = [
        n_threads if a is THREADS else np.random.RandomState(int(a))._bit_generator if isinstance(a, Generator) else a
        for a in placed
    ]
    before = held(given)
    try:
        result = getattr(_ext, name)(*(call.pack(*given) if call.pack else given))
    except REFUSALS as error:
        result = type(error)
    if isinstance(result, type):
        assert held(given) == before, f"{name} has written something before it raised {result.__name__}"
    for room, front, nbytes in memory:
        assert (room[:front] == 0xFF).all(), f"{name} has written before an array"
        assert (room[front + nbytes :] == 0xFF).all(), f"{name} has written behind an array"
    return result, held(given), before, given


def compare(name, call, result, given, dtype):
    """Hold a call against what NumPy gives."""
    for i, expected in call.expected().items():
        actual = result if i == "result" else given[i]
        if actual is None:
            continue
        expected = np.asarray(expected, np.float64)
        # What was summed up may be larger than the sum.
        real = [a for a in call.arguments if isinstance(a, np.ndarray) and a.dtype.kind == "f" and np.isfinite(a).all()]
        scale = max(np.abs(a.astype(np.float64)).max(initial=1) for a in [expected, *real])
        wrong = np.abs(np.asarray(actual, np.float64) - expected) > 5 * TOLERANCE[dtype] * scale
        wrong |= np.isnan(np.asarray(actual, np.float64))
        assert not wrong.any(), f"{name}: {i} is {np.asarray(actual)[wrong][:3]}, not {expected[wrong][:3]}"


def bits(result):
    return np.float64(result).tobytes() if isinstance(result, float) else result


def make_case(seed, number, guarded=True):
    """Make a call, with one thread and with two; return the kernel's name, the number of calls, if it was accepted."""
    rng = np.random.default_rng([seed, number])
    name = list(KERNELS)[number % len(KERNELS)]
    g = Draw(rng)
    with np.errstate(all="ignore"):
        call = KERNELS[name](g)
        spoilt, shared = rng.random() < 0.35, None
        arguments = call.arguments
        if spoilt:
            arguments, shared = spoil(arguments, rng)
        counts = (1, 2) if any(a is THREADS for a in arguments) else (1,)
        outcomes = [attempt(name, call, arguments, shared, n, np.random.default_rng(number), guarded) for n in counts]
        result, after, before, given = outcomes[0]
        for other in outcomes[1:]:
            assert bits(other[0]) == bits(result), f"{name} returns {result} with one thread, {other[0]} with two"
            assert other[1] == after, f"{name}: bits depend on the number of threads"
        refused = isinstance(result, type)
        written = {i for i, a in enumerate(call.arguments) if any(a is w for w in g.written)}
        if not refused and shared is None:
            for i, (one, two) in enumerate(zip(before, after, strict=True)):
                assert i in written or one == two, f"{name} has written to argument {i}"
        if not spoilt and not g.special and not refused and call.expected:
            compare(name, call, result, given, g.dtype)
    return name, len(counts), not refused


def train(seed):
    """Train a small net of random layers by recorded calls, with one thread and with two; compare the bits."""
    rng = np.random.default_rng(seed)
    dtype, n = (np.float32, np.float64)[rng.integers(2)], int(rng.integers(8, 60))
    rules = list(RULES)
    common = {
        "update_rule": rules[rng.integers(len(rules))],
        "batch_size": int(rng.integers(2, 20)),
        "num_epochs": 2,
        "tol": None,
        "random_state": 0,
        "dtype": dtype,
        "learning_rate": 1e-3,
    }
    if rng.random() < 0.5:
        make = FullyConnectedNet
        X = rng.standard_normal((n, int(rng.integers(1, 30)))).astype(dtype)
        norms = (None, "batchnorm", "layernorm")
        common.update(hidden_dims=[int(rng.integers(1, 20))], normalization=norms[rng.integers(3)])
    else:
        make = ThreeLayerConvNet
        X = rng.standard_normal((n, 2, 8, int(rng.integers(2, 10)))).astype(dtype)
        common.update(num_filters=int(rng.integers(1, 9)), hidden_dim=int(rng.integers(1, 9)), filter_size=3)
    y = np.arange(n) % 3
    probabilities, before = [], _threads._held.value
    for n_threads in (1, 2):
        _threads._held.value = n_threads
        probabilities.append(make(**common).fit(X, y).predict_proba(X).tobytes())
    _threads._held.value = before
    assert probabilities[0] == probabilities[1], "bits of training depend on the number of threads"


def run(seed, first, calls, guarded=True, trace=None):
    """Make cases until so many kernel calls are made; return how many calls and accepted ones of each kernel."""
    made, accepted, done, number = collections.Counter(), collections.Counter(), 0, first
    while done < calls:
        if trace is not None:
            os.pwrite(trace, f"{number:12d}\n".encode(), 0)
        try:
            name, count, was_accepted = make_case(seed, number, guarded)
            if number % 2000 == 1999:
                train(number)
        except BaseException:
            print(f"seed {seed}, number {number}, {_ext.isa}", file=sys.stderr)
            raise
        made[name] += count
        accepted[name] += count * was_accepted
        done += count
        number += 1
    return made, accepted


# ------------------------------------------------------------------------------------------------ the command

ROOT = Path(__file__).resolve().parents[1]
SANITIZERS = "address,bounds,float-cast-overflow,integer-divide-by-zero,shift,signed-integer-overflow"


def sanitized(kinds):
    """Build the kernels with sanitizers and bounds checks, in a folder of their own; return the environment for it."""
    folder = ROOT / "build" / ("races" if kinds == "thread" else "sanitized")
    env = {**os.environ, "SKLEARN_DL_SANITIZE": kinds, "SKLEARN_DL_DEBUG": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if kinds == "thread":
        env["SKLEARN_DL_NO_OPENMP"] = "1"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
    subprocess.run([*pip, "--target", str(folder), str(ROOT)], env=env, check=True)
    compiler = os.environ.get("CC", "gcc")
    library = "libtsan.so" if kinds == "thread" else "libasan.so" if "address" in kinds else "libubsan.so"
    runtime = subprocess.run([compiler, f"-print-file-name={library}"], capture_output=True, text=True, check=True)
    return {
        "PYTHONPATH": str(folder),
        "LD_PRELOAD": runtime.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",  # Python leaves memory to the end of the process
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "TSAN_OPTIONS": "halt_on_error=1:abort_on_error=1",
    }


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000, help="kernel calls for each instruction set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--isa", default="", help="an instruction set, or 'all' for all of this machine")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--sanitize", nargs="?", default="", const=SANITIZERS, help="which of gcc's, if not the usual")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def work(options):
    """Make the calls of one process."""
    begun = time.perf_counter()
    trace = os.open(os.environ["FUZZ_TRACE"], os.O_RDWR | os.O_CREAT) if options.worker else None
    python_threads = 2 if options.sanitize == "thread" else 1
    with ThreadPoolExecutor(python_threads) as pool:
        parts = pool.map(
            lambda i: run(
                options.seed + 1000 * i, options.first, options.calls // python_threads, not options.sanitize, trace
            ),
            range(python_threads),
        )
        made, accepted = (sum(counts, collections.Counter()) for counts in zip(*parts, strict=True))
    assert all(accepted[name] for name in made) or options.calls < 10_000, "a kernel has refused all arguments"
    print(
        f"{_ext.isa}{', bounds checks' if _ext.debug else ''}: {made.total():,} calls of {len(made)} kernels, of which"
        f" {accepted.total():,} were accepted, in {time.perf_counter() - begun:.0f} s (seed {options.seed})",
        flush=True,
    )


def main():
    warnings.simplefilter("ignore")  # of the nets that are trained, which learn little
    options = options_of(None)
    if options.worker or (not options.sanitize and options.jobs == 1 and options.isa in ("", _ext.isa)):
        work(options)
        return
    env = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}
    if options.sanitize:
        env.update(sanitized(options.sanitize))
    isas = list(_ext.isas) if options.isa == "all" else [options.isa or _ext.isa]
    jobs = [(isa, part) for isa in isas for part in range(options.jobs if len(isas) == 1 else 1)]
    calls = options.calls // (options.jobs if len(isas) == 1 else 1)
    running, failed = {}, []
    while jobs or running:
        while jobs and len(running) < options.jobs:
            isa, part = jobs.pop(0)
            seed = options.seed + part
            trace = ROOT / "build" / f"fuzz-{isa}-{seed}"
            trace.parent.mkdir(exist_ok=True)
            command = [sys.executable, __file__, "--worker", f"--calls={calls}", f"--seed={seed}"]
            command += [f"--first={options.first}", f"--sanitize={options.sanitize}"]
            process = subprocess.Popen(command, env={**env, "SKLEARN_DL_ISA": isa, "FUZZ_TRACE": str(trace)})
            running[process] = isa, seed, trace
        time.sleep(0.1)
        for process in [process for process in running if process.poll() is not None]:
            isa, seed, trace = running.pop(process)
            if process.returncode:
                number = trace.read_text().strip() if trace.exists() else "none"
                failed.append(f"{isa}, seed {seed}, number {number}: exit status {process.returncode}")
            trace.unlink(missing_ok=True)
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
