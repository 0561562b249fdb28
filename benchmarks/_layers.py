"""The layers and update rules one by one: sklearn_dl against loops or plain NumPy, and PyTorch.

sklearn_dl is called as its nets call it, with ``out=`` buffers and a ``work`` dict. What is plain
is written as the formula reads, allocating as it goes; for convolution and pooling it is
sklearn_dl's public loops, in float64 only, because they take minutes. Convolution has two more ways
in NumPy: by im2col and by strides. Results are compared before anything is timed.
"""

import inspect
import re
import statistics
from dataclasses import dataclass
from functools import partial

import numpy as np
from _report import milliseconds, print_table, times, write_json
from _rounds import interleave, per_call
from _rows import SEED
from _workers import Absent, Workers
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import log_softmax

TURN = 0.1  # seconds of a turn: to wake threads that slept takes up to a few milliseconds
TOLERANCES = {"float32": 1e-4, "float64": 1e-9}  # relative to the largest value
REG = 1e-3
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Case:
    """A layer or update rule at one size.

    Parameters
    ----------
    kind : str
        Name of the method that each library has for it.
    dtype : str
    x : tuple of int
        Shape of the input, or of the weights to update.
    w : tuple of int, default=()
        Shape of the weights.
    stride, pad : int
    need_dx : bool, default=True
        Whether the gradient of x is computed: a net's first layer does without.
    groups : int, default=0
        Of a group normalization.
    """

    kind: str
    dtype: str
    x: tuple
    w: tuple = ()
    stride: int = 1
    pad: int = 0
    need_dx: bool = True
    groups: int = 0

    @property
    def name(self):
        """What the table calls it."""
        name = f"{self.kind} {_shape(self.x)}"
        if self.w:
            name += f" * {_shape(self.w)}"
        if self.kind == "conv":
            name += f" stride {self.stride} pad {self.pad}"
        if self.groups:
            name += f" G {self.groups}"
        return name if self.need_dx else f"{name} (no dx)"

    @property
    def out_shape(self):
        """Shape of the layer's result."""
        if self.kind == "conv":
            size = [(n + 2 * self.pad - k) // self.stride + 1 for n, k in zip(self.x[2:], self.w[2:], strict=True)]
            return (self.x[0], self.w[0], *size)
        if self.kind == "max_pool":
            return (*self.x[:2], self.x[2] // 2, self.x[3] // 2)
        return (self.x[0], self.w[1]) if self.kind == "affine" else self.x

    def draw(self, *shape):
        """Return normal random numbers, the same for each library that asks in the same order."""
        rng = np.random.RandomState(SEED)
        rng.seed(SEED + sum(shape))
        return rng.standard_normal(shape).astype(self.dtype)

    @property
    def inputs(self):
        """The arrays x and dout."""
        return self.draw(*self.x), self.draw(*self.out_shape, 1)[..., 0]

    @property
    def scale(self):
        """The arrays gamma and beta of a normalization: one value for each feature or channel."""
        return self.draw(self.x[1]) + 1, self.draw(self.x[1], 1)[:, 0]


def _shape(shape):
    return f"({','.join(map(str, shape))})"


UPDATE_RULES = ("sgd", "sgd_momentum", "adagrad", "rmsprop", "adam")

CASES = (
    # The published sizes.
    Case("conv", "float64", (100, 3, 31, 31), (25, 3, 3, 3), stride=2, pad=1),
    Case("max_pool", "float64", (100, 3, 32, 32)),
    # Those of the nets, and two ordinary deeper layers.
    Case("conv", "float32", (100, 3, 31, 31), (25, 3, 3, 3), stride=2, pad=1),
    Case("conv", "float32", (50, 3, 32, 32), (32, 3, 7, 7), pad=3, need_dx=False),
    Case("conv", "float32", (50, 32, 16, 16), (64, 32, 3, 3), pad=1),
    Case("conv", "float32", (50, 64, 16, 16), (64, 64, 3, 3), pad=1),
    Case("max_pool", "float32", (100, 3, 32, 32)),
    Case("max_pool", "float32", (50, 32, 32, 32)),
    Case("affine", "float32", (200, 3072), (3072, 10), need_dx=False),
    Case("affine", "float32", (100, 3072), (3072, 100), need_dx=False),
    Case("affine", "float32", (256, 3072), (3072, 200), need_dx=False),
    Case("affine", "float32", (256, 200), (200, 200)),
    Case("affine", "float32", (50, 8192), (8192, 500)),
    Case("affine", "float64", (256, 200), (200, 200)),
    Case("batchnorm", "float32", (256, 200)),
    Case("batchnorm", "float64", (256, 200)),
    Case("batchnorm_alt", "float32", (256, 200)),
    Case("batchnorm_alt", "float64", (256, 200)),
    Case("layernorm", "float32", (256, 200)),
    Case("spatial_batchnorm", "float32", (50, 32, 32, 32)),
    Case("spatial_groupnorm", "float32", (50, 32, 32, 32), groups=8),
    Case("softmax_loss", "float32", (200, 10)),
    *(Case(rule, "float32", (4_096_000,)) for rule in UPDATE_RULES),
    *(Case(rule, "float32", (3072, 200)) for rule in ("sgd", "adam")),
    Case("adam", "float64", (4_096_000,)),
)

QUICK_CASES = (
    Case("conv", "float64", (2, 3, 7, 7), (4, 3, 3, 3), stride=2, pad=1),
    Case("conv", "float64", (2, 2, 8, 7), (3, 2, 3, 2), stride=2),
    Case("max_pool", "float64", (2, 3, 8, 8)),
    Case("conv", "float32", (2, 3, 8, 8), (4, 3, 7, 7), pad=3, need_dx=False),
    Case("max_pool", "float32", (2, 3, 8, 8)),
    Case("affine", "float32", (5, 12), (12, 3)),
    Case("affine", "float32", (5, 12), (12, 3), need_dx=False),
    Case("batchnorm", "float32", (6, 4)),
    Case("batchnorm_alt", "float32", (6, 4)),
    Case("layernorm", "float32", (6, 4)),
    Case("spatial_batchnorm", "float32", (3, 4, 5, 5)),
    Case("spatial_groupnorm", "float32", (3, 4, 5, 5), groups=2),
    Case("softmax_loss", "float32", (6, 4)),
    *(Case(rule, "float64", (30,)) for rule in UPDATE_RULES),
)


class Library:
    """What the libraries have in common: passes of a case, by name, that can be called and timed.

    A method for each kind of case returns a dict: name of the pass -> function of no arguments that
    runs it and returns its results. `finish` turns those into arrays of one layout.
    """

    library = label = ""

    @staticmethod
    def supports(case):
        """Return whether the library is asked for this case."""
        return True

    def prepare(self, case):
        """Set a case up; return the names of its passes."""
        self.case = case
        method = "update" if case.kind in UPDATE_RULES else case.kind
        self.passes = getattr(self, method)(case)
        return list(self.passes)

    def results(self, name):
        """Run a pass and return its results as arrays."""
        return [np.array(self.finish(name, r)) for r in self.passes[name]() if r is not None]

    def finish(self, name, result):
        """Return one result as an array in sklearn_dl's layout."""
        return result

    def repeat(self, name, count):
        """Run a pass so many times."""
        run = self.passes[name]
        for _ in range(count):
            run()


class Ours(Library):
    """sklearn_dl's functions, writing to buffers."""

    library = label = "sklearn_dl"

    def __init__(self, threads):
        from sklearn_dl import layers, losses, optim

        self.layers, self.losses, self.optim = layers, losses, optim

    def _pair(self, name, forward_arguments, dout, out_shape, grads, *, suffix="", alternative="", need_dx=True):
        """Return the passes of a pair of functions; `grads` are arrays like the gradients."""
        forward = getattr(self.layers, f"{name}_forward{suffix}")
        buffers = {"out": np.empty(out_shape, dout.dtype)}
        if "work" in inspect.signature(forward).parameters:
            buffers["work"] = {}
        forward = partial(forward, *forward_arguments, **buffers)
        cache = forward()[1]
        out = tuple(np.empty_like(g) for g in grads)
        options = {"out": out if len(out) > 1 else out[0]}
        if not need_dx:
            options = {"out": (None, *out[1:]), "need_dx": False}
        backward = partial(getattr(self.layers, f"{name}_backward{suffix}{alternative}"), dout, cache, **options)
        return {
            "forward": lambda: forward()[:1],
            "backward": backward if len(out) > 1 else lambda: (backward(),),
        }

    def conv(self, case):
        x, dout = case.inputs
        w, b = case.draw(*case.w), case.draw(case.w[0])
        param = {"stride": case.stride, "pad": case.pad}
        return self._pair(
            "conv",
            (x, w, b, param),
            dout,
            dout.shape,
            (x, w, b),
            suffix="_fast",
            need_dx=case.need_dx,
        )

    def max_pool(self, case):
        x, dout = case.inputs
        param = {"pool_height": 2, "pool_width": 2, "stride": 2}
        return self._pair("max_pool", (x, param), dout, dout.shape, (x,), suffix="_fast")

    def affine(self, case):
        x, dout = case.inputs
        w, b = case.draw(*case.w), case.draw(case.w[1])
        return self._pair("affine", (x, w, b), dout, dout.shape, (x, w, b), need_dx=case.need_dx)

    def batchnorm(self, case, name="batchnorm", alternative=""):
        x, dout = case.inputs
        gamma, beta = case.scale
        arguments = (x, gamma, beta, {"mode": "train"})
        return self._pair(name, arguments, dout, x.shape, (x, gamma, beta), alternative=alternative)

    def batchnorm_alt(self, case):  # the backward pass that training runs
        return self.batchnorm(case, alternative="_alt")

    def spatial_batchnorm(self, case):
        return self.batchnorm(case, "spatial_batchnorm")

    def layernorm(self, case):
        x, dout = case.inputs
        gamma, beta = case.scale
        return self._pair("layernorm", (x, gamma, beta, {}), dout, x.shape, (x, gamma, beta))

    def spatial_groupnorm(self, case):
        x, dout = case.inputs
        gamma, beta = (a.reshape(1, -1, 1, 1) for a in case.scale)
        arguments = (x, gamma, beta, case.groups, {})
        return self._pair("spatial_groupnorm", arguments, dout, x.shape, (x, gamma, beta))

    def softmax_loss(self, case):
        x, _ = case.inputs
        y = np.arange(len(x)) % x.shape[1]
        return {"loss and gradient": partial(self.losses.softmax_loss, x, y, out=np.empty_like(x))}

    def update(self, case):
        w, dw = case.inputs
        rule = getattr(self.optim, case.kind)
        config = {"learning_rate": LEARNING_RATE}
        return {"update": lambda: rule(w, dw, config, out=w, reg=REG)[:1]}

    def finish(self, name, result):
        return np.ravel(result) if self.case.groups and np.shape(result)[:1] == (1,) else result


class Plain(Library):
    """Loops for convolution and pooling, NumPy for the rest."""

    library = "plain"
    label = "loops, NumPy"

    def __init__(self, threads):
        from sklearn_dl import layers

        self.layers = layers

    @staticmethod
    def supports(case):
        """Return whether it ends in reasonable time."""
        return case.kind not in ("conv", "max_pool") or case.dtype == "float64"

    def conv(self, case):
        from sklearn_dl.layers.conv import NaiveConvCache  # made by hand: the loops of forward take minutes

        x, dout = case.inputs
        w, b = case.draw(*case.w), case.draw(case.w[0])
        param = {"stride": case.stride, "pad": case.pad}
        cache = NaiveConvCache((x, w, case.stride, case.pad, dout.shape))
        return {
            "forward": lambda: self.layers.conv_forward_naive(x, w, b, param)[:1],
            "backward": lambda: self.layers.conv_backward_naive(dout, cache, need_dx=case.need_dx),
        }

    def max_pool(self, case):
        x, dout = case.inputs
        param = {"pool_height": 2, "pool_width": 2, "stride": 2}
        cache = self.layers.max_pool_forward_naive(x, param)[1]
        return {
            "forward": lambda: self.layers.max_pool_forward_naive(x, param)[:1],
            "backward": lambda: (self.layers.max_pool_backward_naive(dout, cache),),
        }

    def affine(self, case):
        x, dout = case.inputs
        w, b = case.draw(*case.w), case.draw(case.w[1])
        return {
            "forward": lambda: (x @ w + b,),
            "backward": lambda: (
                dout @ w.T if case.need_dx else None,
                x.T @ dout,
                dout.sum(axis=0),
            ),
        }

    def batchnorm(self, case):
        x, dout = case.inputs
        return self._norm(x, dout, *case.scale, statistics=0, parameters=0)

    batchnorm_alt = batchnorm

    def layernorm(self, case):
        x, dout = case.inputs
        return self._norm(x, dout, *case.scale, statistics=1, parameters=0)

    def spatial_batchnorm(self, case):
        x, dout = case.inputs
        scale = (a[:, None, None] for a in case.scale)
        return self._norm(x, dout, *scale, statistics=(0, 2, 3), parameters=(0, 2, 3))

    def spatial_groupnorm(self, case):
        x, dout = (a.reshape(len(a), case.groups, -1, *a.shape[2:]) for a in case.inputs)
        scale = (a.reshape(case.groups, -1, 1, 1) for a in case.scale)
        return self._norm(x, dout, *scale, statistics=(2, 3, 4), parameters=(0, 3, 4))

    def _norm(self, x, dout, gamma, beta, *, statistics, parameters):
        """Return the passes of a normalization: axes of its statistics, of gamma and beta."""

        def normalize():
            mean = x.mean(axis=statistics, keepdims=True)
            std = np.sqrt(x.var(axis=statistics, keepdims=True) + 1e-5)
            return (x - mean) / std, std

        xhat, std = normalize()

        def backward():
            dxhat = dout * gamma
            mean = dxhat.mean(axis=statistics, keepdims=True)
            slope = (dxhat * xhat).mean(axis=statistics, keepdims=True)
            dx = (dxhat - mean - xhat * slope) / std
            return dx, (dout * xhat).sum(axis=parameters), dout.sum(axis=parameters)

        return {"forward": lambda: (gamma * normalize()[0] + beta,), "backward": backward}

    def softmax_loss(self, case):
        x, _ = case.inputs
        rows = np.arange(len(x))
        y = rows % x.shape[1]

        def run():
            logs = log_softmax(x, axis=1)
            dx = np.exp(logs)
            dx[rows, y] -= 1
            return -logs[rows, y].mean(), dx / len(x)

        return {"loss and gradient": run}

    def update(self, case):
        self.w, dw = case.inputs
        rule = getattr(self, f"_{case.kind}")
        self.v = np.zeros_like(dw)
        self.m = np.zeros_like(dw)
        self.t = 0

        def run():
            self.w = self.w + rule(dw + REG * self.w)
            return (self.w,)

        return {"update": run}

    def _sgd(self, dw):
        return -LEARNING_RATE * dw

    def _sgd_momentum(self, dw):
        self.v = 0.9 * self.v - LEARNING_RATE * dw
        return self.v

    def _adagrad(self, dw):
        self.v = self.v + dw**2
        return -LEARNING_RATE * dw / (np.sqrt(self.v) + 1e-8)

    def _rmsprop(self, dw):
        self.v = 0.99 * self.v + 0.01 * dw**2
        return -LEARNING_RATE * dw / (np.sqrt(self.v) + 1e-8)

    def _adam(self, dw):
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * dw
        self.v = 0.999 * self.v + 0.001 * dw**2
        m = self.m / (1 - 0.9**self.t)
        v = self.v / (1 - 0.999**self.t)
        return -LEARNING_RATE * m / (np.sqrt(v) + 1e-8)

    def finish(self, name, result):
        case = self.case
        if not case.groups:
            return result
        return result.ravel() if name == "backward" and result.ndim == 2 else result.reshape(case.x)


class NumpyConv(Library):
    """Convolution by matrix products in NumPy: of windows with filters, in a way that a subclass has."""

    def __init__(self, threads):
        """Do nothing: NumPy's threads are those of the process."""

    @staticmethod
    def supports(case):
        """Return whether it is a convolution."""
        return case.kind == "conv"

    def conv(self, case):
        x, dout = case.inputs
        w, b = case.draw(*case.w), case.draw(case.w[0])
        self.stride, self.pad = case.stride, case.pad
        windows = self.windows(x, w)
        return {
            "forward": lambda: (self.forward(self.windows(x, w), w) + b[:, None, None],),
            "backward": lambda: (
                self.dx(dout, w, x.shape) if case.need_dx else None,
                self.dw(dout, windows),
                dout.sum(axis=(0, 2, 3)),
            ),
        }

    def padded(self, x):
        """Return images with zeros around them."""
        around = (self.pad, self.pad)
        return np.pad(x, ((0, 0), (0, 0), around, around))

    def inside(self, x):
        """Return images without what is around them."""
        return x[:, :, self.pad : x.shape[2] - self.pad, self.pad : x.shape[3] - self.pad]


class Im2col(NumpyConv):
    """By im2col: each window copied into a column, one matrix product, and columns added up on the way back."""

    library = "im2col"
    label = "NumPy, im2col"

    def parts(self, padded):
        """Yield each place in a window, and the pixels of all windows that are at this place: a view."""
        height, width = (self.stride * (size - 1) + 1 for size in self.case.out_shape[2:])
        for i, j in np.ndindex(self.case.w[2:]):
            yield i, j, padded[:, :, i : i + height : self.stride, j : j + width : self.stride]

    def windows(self, x, w):
        """Return the columns (C * HH * WW, N * HO * WO)."""
        n, _, *size = self.case.out_shape
        columns = np.empty((*w.shape[1:], n, *size), x.dtype)
        for i, j, pixels in self.parts(self.padded(x)):
            columns[:, i, j] = pixels.swapaxes(0, 1)
        return columns.reshape(w[0].size, -1)

    def forward(self, windows, w):
        """Return filters times columns."""
        n, filters, *size = self.case.out_shape
        return (w.reshape(filters, -1) @ windows).reshape(filters, n, *size).swapaxes(0, 1)

    def dw(self, dout, windows):
        """Return the gradient of the filters."""
        return (_filters_first(dout) @ windows.T).reshape(self.case.w)

    def dx(self, dout, w, shape):
        """Return the gradient of the images."""
        n, filters, *size = dout.shape
        columns = (w.reshape(filters, -1).T @ _filters_first(dout)).reshape(*w.shape[1:], n, *size)
        dx = self.padded(np.zeros(shape, dout.dtype))
        for i, j, pixels in self.parts(dx):
            pixels += columns[:, i, j].swapaxes(0, 1)
        return self.inside(dx)


def _filters_first(dout):
    return dout.swapaxes(0, 1).reshape(dout.shape[1], -1)


class Strides(NumpyConv):
    """By strides: windows are views of the image, which a tensor product sums over; no loop, and no way back."""

    library = "strides"
    label = "NumPy, strides"

    def windows(self, x, w):
        """Return a view (N, C, HO, WO, HH, WW)."""
        return sliding_window_view(self.padded(x), w.shape[2:], axis=(2, 3))[:, :, :: self.stride, :: self.stride]

    def forward(self, windows, w):
        """Return the sums over the windows."""
        return np.tensordot(windows, w, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)

    def dw(self, dout, windows):
        """Return the gradient of the filters."""
        return np.tensordot(dout, windows, axes=((0, 2, 3), (0, 2, 3)))

    def dx(self, dout, w, shape):
        """Return the gradient of the images: dout, spread by the stride, convolved with the filters mirrored."""
        sides = np.array(w.shape[2:])
        reached = self.stride * (np.array(dout.shape[2:]) - 1) + 1
        missed = np.array(shape[2:]) + 2 * self.pad - sides + 1 - reached  # rows that no window begins at
        spread = np.zeros((*dout.shape[:2], *(reached + missed + 2 * (sides - 1))), dout.dtype)
        top, left = sides - 1
        spread[:, :, top : top + reached[0] : self.stride, left : left + reached[1] : self.stride] = dout
        windows = sliding_window_view(spread, w.shape[2:], axis=(2, 3))
        dx = np.tensordot(windows, w[:, :, ::-1, ::-1], axes=((1, 4, 5), (0, 2, 3))).transpose(0, 3, 1, 2)
        return self.inside(dx)


class Torch(Library):
    """PyTorch's functions, backward through autograd, as training runs them."""

    library = "torch"
    label = "PyTorch"

    def __init__(self, threads):
        import torch

        torch.set_num_threads(threads)
        self.torch = torch
        self.f = torch.nn.functional

    def _passes(self, forward, dout, inputs):
        dout = self.torch.from_numpy(dout)
        out = forward()
        return {
            "forward": lambda: (forward(),),
            "backward": lambda: self.torch.autograd.grad(out, inputs, dout, retain_graph=True),
        }

    def _leaf(self, array, needs_gradient=True):
        return self.torch.from_numpy(array).requires_grad_(needs_gradient)

    def conv(self, case):
        x, dout = case.inputs
        x = self._leaf(x, case.need_dx)
        w, b = self._leaf(case.draw(*case.w)), self._leaf(case.draw(case.w[0]))
        inputs = (x, w, b) if case.need_dx else (w, b)
        return self._passes(lambda: self.f.conv2d(x, w, b, stride=case.stride, padding=case.pad), dout, inputs)

    def max_pool(self, case):
        x, dout = case.inputs
        x = self._leaf(x)
        return self._passes(lambda: self.f.max_pool2d(x, 2), dout, (x,))

    def affine(self, case):
        x, dout = case.inputs
        x = self._leaf(x, case.need_dx)
        w = self._leaf(np.ascontiguousarray(case.draw(*case.w).T))
        b = self._leaf(case.draw(case.w[1]))
        inputs = (x, w, b) if case.need_dx else (w, b)
        return self._passes(lambda: self.f.linear(x, w, b), dout, inputs)

    def _norm(self, case, forward):
        x, dout = case.inputs
        inputs = [self._leaf(a) for a in (x, *case.scale)]
        return self._passes(lambda: forward(*inputs), dout, inputs)

    def batchnorm(self, case):
        return self._norm(
            case,
            lambda x, gamma, beta: self.f.batch_norm(x, None, None, gamma, beta, training=True),
        )

    spatial_batchnorm = batchnorm_alt = batchnorm

    def layernorm(self, case):
        return self._norm(case, lambda x, gamma, beta: self.f.layer_norm(x, x.shape[1:], gamma, beta))

    def spatial_groupnorm(self, case):
        return self._norm(case, lambda x, gamma, beta: self.f.group_norm(x, case.groups, gamma, beta))

    def softmax_loss(self, case):
        x, _ = case.inputs
        y = self.torch.from_numpy(np.arange(len(x)) % x.shape[1])
        x = self._leaf(x)

        def run():
            loss = self.f.cross_entropy(x, y)
            return loss, *self.torch.autograd.grad(loss, x)

        return {"loss and gradient": run}

    def update(self, case):
        w, dw = case.inputs
        optim = self.torch.optim
        rules = {
            "sgd": partial(optim.SGD, fused=True),
            "sgd_momentum": partial(optim.SGD, momentum=0.9, fused=True),
            "adagrad": partial(optim.Adagrad, eps=1e-8, fused=True),
            "rmsprop": optim.RMSprop,
            "adam": partial(optim.Adam, fused=True),
        }
        w = self._leaf(w)
        w.grad = self.torch.from_numpy(dw)
        optimizer = rules[case.kind]([w], lr=LEARNING_RATE, weight_decay=REG)

        def run():
            optimizer.step()
            return (w,)

        return {"update": run}

    def finish(self, name, result):
        result = result.detach().numpy()
        if self.case.kind == "affine" and result.shape == self.case.w[::-1]:
            return result.T
        return result


LIBRARIES = (Ours, Plain, Im2col, Strides, Torch)


class ResultsDiffer(Exception):
    """Two libraries did not compute the same thing."""


def require_equal(case, name, results):
    """Compare the results of the libraries; return the largest error as a share of the values.

    Parameters
    ----------
    case : Case
    name : str
        The pass.
    results : dict of str to list of ndarray

    Raises
    ------
    ResultsDiffer
        If one is not what the first is, within the dtype's tolerance.
    """
    (first, reference), *others = results.items()
    worst = 0.0
    for label, arrays in others:
        if [a.shape for a in arrays] != [a.shape for a in reference]:
            shapes = [a.shape for a in arrays], [a.shape for a in reference]
            raise ResultsDiffer(f"{case.name}, {name}: {label} and {first} have shapes {shapes}")
        for a, b in zip(arrays, reference, strict=True):
            error = np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)
            worst = max(worst, float(error))
            if not error <= TOLERANCES[case.dtype]:
                raise ResultsDiffer(f"{case.name}, {name}: {label} is off {first} by {error:.2g}")
    return worst


def time_case(libraries, case, rounds):
    """Check and time the passes of one case.

    Returns
    -------
    results : list of dict
        One for each pass; empty if there is nothing to check it against.
    """
    able = {cls: library for cls, library in libraries.items() if cls.supports(case)}
    if len(able) < 2:
        print(f"left out, nothing to check it against: {case.name} {case.dtype}")
        return []
    names = {cls: library.call("prepare", case) for cls, library in able.items()}
    results = []
    for name in next(iter(names.values())):
        found = {cls.label: library.call("results", name) for cls, library in able.items()}
        error = require_equal(case, name, found)
        seconds, measures = {}, {}
        for cls, library in able.items():
            once = library.time("repeat", name, 1)
            if once > 1:  # loops: not worth a turn in every round
                more = [library.time("repeat", name, 1) for _ in range(2)]
                seconds[cls.label] = [once, *more]
            else:
                measures[cls.label] = per_call(library, "repeat", name, seconds=TURN)
        seconds.update(interleave(measures, rounds))
        results.append(
            {
                "case": case.name,
                "dtype": case.dtype,
                "pass": name,
                "error": error,
                "seconds": seconds,
            }
        )
    return results


def run(options):
    """Time the layers, print and write the results."""
    cases = [case for case in (QUICK_CASES if options.quick else CASES) if re.search(options.rows, case.name)]
    libraries, results = {}, []
    with Workers(options.threads) as workers:
        for cls in LIBRARIES:
            try:
                libraries[cls] = workers.of(cls.library).new(cls, options.threads)
            except Absent as absent:
                print(f"{cls.label}: absent, {absent}")
        for case in cases:
            results += time_case(libraries, case, options.rounds)
            print(f"timed: {case.name} {case.dtype}", flush=True)
    labels = [cls.label for cls in LIBRARIES if cls in libraries]
    print_table(
        "Milliseconds of a call (median), and how many times as fast sklearn_dl is",
        ["layer", "dtype", "pass", *labels, *(f"{label} ÷ sklearn_dl" for label in labels[1:])],
        [_line(result, labels) for result in results],
    )
    write_json(options.output, "layers", {**options.record, "layers": results})


def _line(result, labels):
    medians = {label: statistics.median(s) for label, s in result["seconds"].items()}
    ours = medians.get(Ours.label)
    return [
        result["case"],
        result["dtype"],
        result["pass"],
        *(milliseconds(medians.get(label)) for label in labels),
        *(times(medians[k] / ours if k in medians and ours else None) for k in labels[1:]),
    ]
