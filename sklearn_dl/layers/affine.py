"""Affine (fully connected) layer."""

import math

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
    output,
)
from sklearn_dl._checks import check_int
from sklearn_dl._csr import CSR
from sklearn_dl._threads import n_threads
from sklearn_dl.layers._activation import NO_ACTIVATION
from sklearn_dl.layers._layer import Layer, names_of
from sklearn_dl.layers._registry import register

__all__ = ["Affine", "affine_backward", "affine_forward"]


class AffineCache(Cache):
    """x, its rows, w."""

    __slots__ = ()
    forward = "affine_forward"


def affine_forward(x, w, b, *, out=None):
    """Multiply each sample, flattened to a row, by a weight matrix and add a bias.

    Parameters
    ----------
    x : ndarray of shape (N, ...)
        Samples of any shape with D elements each.
    w : ndarray of shape (D, M)
        Weights.
    b : ndarray of shape (M,)
        Biases.
    out : ndarray of shape (N, M), optional
        Where to write the result; must not overlap the inputs.

    Returns
    -------
    out : ndarray of shape (N, M)
        ``x.reshape(N, D) @ w + b``, float32 if all inputs are, else float64.
    cache : tuple
        What `affine_backward` needs; holds references to the inputs.

    Raises
    ------
    ValueError
        If the batch is empty or the shapes do not fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import affine_forward
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> out, cache = affine_forward(x, w=np.array([[1.0], [10.0]]), b=np.array([0.5]))
    >>> out
    array([[21.5],
           [43.5]])
    """
    return forward(x, w, b, out, NO_ACTIVATION)


def forward(x, w, b, out, code):
    """Affine layer and an activation, which costs less while a result is in registers or in the caches."""
    x, w, b = as_floats(x=x, w=w, b=b)
    check_batch("x", x, None, "(N, ...)")
    rows = x if x.ndim == 2 else x.reshape(x.shape[0], -1)
    n_inputs = rows.shape[1]
    if w.ndim != 2 or w.shape[0] != n_inputs or w.shape[1] == 0:
        raise ValueError(
            f"w must have shape (D, M) with D = {n_inputs}, the elements of a sample, and M at least 1, got {w.shape}."
        )
    check_shape("b", b, w.shape[1:], "(M,)")
    out = output(out, (rows.shape[0], w.shape[1]), x.dtype)
    _ext.affine_forward(rows, w, b, out, code, n_threads())
    return out, AffineCache((x, rows, w))


def affine_backward(dout, cache, *, out=None, need_dx=True):
    """Return the gradients of the affine layer.

    Parameters
    ----------
    dout : ndarray of shape (N, M)
        Gradient of the loss with respect to the output.
    cache : tuple
        From `affine_forward`.
    out : tuple of 3 ndarrays or None, optional
        Buffers for dx, dw and db; any of them may be None.
    need_dx : bool, default=True
        Whether to compute dx; the first layer of a net has no use for it.

    Returns
    -------
    dx : ndarray of the shape of x, or None without `need_dx`
        ``dout @ w.T``.
    dw : ndarray of shape (D, M)
        ``x.T @ dout``.
    db : ndarray of shape (M,)
        Sum of dout over the samples.

    Raises
    ------
    TypeError
        If cache is not from `affine_forward`.
    ValueError
        If dout does not have the shape of the output.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import affine_backward, affine_forward
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> out, cache = affine_forward(x, w=np.array([[1.0], [10.0]]), b=np.array([0.5]))
    >>> dx, dw, db = affine_backward(np.ones_like(out), cache)
    >>> dx, dw.ravel(), db
    (array([[ 1., 10.], [ 1., 10.]]), array([4., 6.]), array([2.]))
    """
    x, rows, w = AffineCache.check(cache)
    dout = as_gradient(dout, (rows.shape[0], w.shape[1]), x.dtype)
    dx, dw, db = gradient_buffers(out, x, w, w.shape[1:], need_dx)
    check_no_overlap("out for dx", dx, dout=dout)  # all checks come before the first write
    _ext.affine_backward_dw(rows, dout, dw, db, n_threads())
    if not need_dx:
        return None, dw, db
    _ext.affine_backward_dx(dout, w, dx.reshape(rows.shape), n_threads())
    return dx, dw, db


@register
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
    takes_csr = True
    starts_block = True

    def __init__(self, units: int) -> None:
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
        return self._run(x, params, work, NO_ACTIVATION)

    def _run(self, x, params, work, code):
        """Return the output, after the activation of this number."""
        w, b = params[self.w], params[self.b]
        rows = x if x.ndim == 2 else x.reshape(len(x), -1)
        out = buffer(work, "out", (len(x), w.shape[1]), x.dtype)
        if type(x) is CSR:
            _ext.csr_affine_forward(x.data, x.indices, x.indptr, x.rows, w, b, out, code, n_threads())
        else:
            _ext.affine_forward(rows, w, b, out, code, n_threads())
        work["cache"] = x.shape, rows, w
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Write dW and db; return dx in the shape of x."""
        x_shape, rows, w = work["cache"]
        threads = n_threads()
        if type(rows) is CSR:
            return _csr_backward(rows, dout, grads[self.w], grads[self.b], work, threads)
        forget_touched(work)
        _ext.affine_backward_dw(rows, dout, grads[self.w], grads[self.b], threads)
        if not need_dx:
            return None
        dx = buffer(work, "dx", rows.shape, dout.dtype)
        _ext.affine_backward_dx(dout, w, dx, threads)
        return dx if rows.shape == x_shape else dx.reshape(x_shape)

    def to_onnx(self, graph, arrays, x, shape):
        """Add a matrix product with a bias."""
        w = arrays[self.w]
        if len(shape) > 1:
            x = graph.add("Flatten", x, axis=1)
        return graph.add("Gemm", x, graph.constant(w), graph.constant(arrays[self.b])), w.shape[1:]


def forget_touched(work):
    """Take note that something else than a step on rows of a sparse matrix writes to dW."""
    if "touched" in work:
        work["touched"][0][0] = -1  # in place: a recorded step reads it


def _csr_backward(x, dout, dw, db, work, threads):
    """Write dW and db of rows of a sparse matrix, which have no dx.

    Of dW only those rows are written that the minibatch has columns for, and cleared those that the last one had:
    ``work["touched"]`` remembers them, with -1 in front where something else has written to dW.
    """
    if "touched" not in work:
        work["touched"] = np.full(len(dw) + 2, -1, np.int64), np.zeros(len(dw), bool)
    _ext.csr_affine_backward_dw(x.data, x.indices, x.indptr, x.rows, dout, dw, db, *work["touched"], threads)
