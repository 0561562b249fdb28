"""Every kernel against NumPy in float64, on read-only inputs, with one thread and two, whose bits must agree."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from sklearn_dl import _ext

DTYPES = [np.float32, np.float64]
# Of the largest value that could have been summed up.
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-14}

z = np.zeros

dtypes = pytest.mark.parametrize("dtype", DTYPES)


def draw(dtype, *shape, seed=0):
    """Normal numbers in a read-only array."""
    a = np.asarray(np.random.RandomState(seed).randn(*shape), dtype)
    a.flags.writeable = False
    return a


def run(call, out):
    """Run ``call(buffers, n_threads)`` with one thread and with two; return the buffers.

    `out` describes them: (shape, dtype), then they hold nan or 99 before the call, or an array to
    copy, for state that is updated in place.
    """
    results = []
    for n_threads in (1, 2):
        buffers = []
        for spec in out:
            if isinstance(spec, np.ndarray):
                buffers.append(spec.copy())
            else:
                shape, dtype = spec
                fill = np.nan if np.dtype(dtype).kind == "f" else 99
                buffers.append(np.full(shape, fill, dtype))
        call(buffers, n_threads)
        results.append(buffers)
    for one, other in zip(results[0], results[-1], strict=True):
        assert one.tobytes() == other.tobytes(), "bits depend on the number of threads"
    return results[0]


def assert_close(actual, expected, dtype, scale=None):
    assert actual.dtype == dtype
    scale = np.abs(expected).max(initial=1) if scale is None else scale
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


# --- affine ---------------------------------------------------------------------------------------

# N, D, M: narrow and wide outputs, one row, one column, several inner blocks, edges of every tile.
PRODUCTS = [
    (1, 1, 1),
    (1, 300, 17),
    (3, 7, 5),
    (5, 513, 9),
    (67, 129, 10),
    (70, 300, 50),
    (41, 1030, 37),
    (6, 16, 700),
    (130, 64, 1),
    (200, 257, 3),
]


@dtypes
@pytest.mark.parametrize(("n", "d", "m"), PRODUCTS)
@pytest.mark.parametrize("relu", [False, True])
def test_affine_forward(n, d, m, relu, dtype):
    x, w, b = draw(dtype, n, d), draw(dtype, d, m, seed=1), draw(dtype, m, seed=2)
    expected = x.astype(np.float64) @ w + b
    for bias in (b, None):
        (out,) = run(
            lambda out, t, bias=bias: _ext.affine_forward(x, w, bias, out[0], relu, t),
            out=[((n, m), dtype)],
        )
        want = expected if bias is not None else expected - b
        assert_close(out, np.maximum(want, 0) if relu else want, dtype, 10 * np.sqrt(d))


@dtypes
@pytest.mark.parametrize("m", [1, 3, 10, 16, 50, 300])
@pytest.mark.parametrize("d", [600, 1500])
def test_affine_forward_row_does_not_depend_on_batch(d, m, dtype):
    n = 37
    x, w, b = draw(dtype, n, d), draw(dtype, d, m, seed=1), draw(dtype, m, seed=2)
    together = np.empty((n, m), dtype)
    _ext.affine_forward(x, w, b, together, False, 1)
    for rows in (1, 2, 5, 6, 7, 20):
        for start in (0, n - rows):
            part = np.empty((rows, m), dtype)
            _ext.affine_forward(x[start : start + rows], w, b, part, False, 2)
            assert part.tobytes() == together[start : start + rows].tobytes()


@dtypes
@pytest.mark.parametrize(("n", "d", "m"), [(1, 3072, 400), (41, 1030, 37), (97, 2049, 400), (1100, 1024, 20)])
@pytest.mark.parametrize("density", [1, 0.2])
def test_affine_forward_does_not_depend_on_threads(n, d, m, density, dtype):
    """Dense and sparse, on an even and an odd number of threads, more of them than CPUs."""
    x, w, b = draw(dtype, n, d).copy(), draw(dtype, d, m, seed=1), draw(dtype, m, seed=2)
    x[np.random.RandomState(3).rand(n, d) >= density] = 0
    expected = np.maximum(x.astype(np.float64) @ w + b, 0)
    out = [np.full((n, m), np.nan, dtype) for _ in range(5)]
    for i, result in enumerate(out):
        _ext.affine_forward(x, w, b, result, True, i + 1)
        assert result.tobytes() == out[0].tobytes()
    assert_close(out[0], expected, dtype, 10 * np.sqrt(d))


@dtypes
@pytest.mark.parametrize(("n", "d", "m"), PRODUCTS)
def test_affine_backward(n, d, m, dtype):
    x, w, dout = draw(dtype, n, d), draw(dtype, d, m, seed=1), draw(dtype, n, m, seed=2)
    (dx,) = run(lambda out, t: _ext.affine_backward_dx(dout, w, out[0], t), out=[((n, d), dtype)])
    assert_close(dx, dout.astype(np.float64) @ w.T, dtype, 10 * np.sqrt(m))
    dw, db = run(
        lambda out, t: _ext.affine_backward_dw(x, dout, *out, t),
        out=[((d, m), dtype), ((m,), dtype)],
    )
    assert_close(dw, x.astype(np.float64).T @ dout, dtype, 10 * np.sqrt(n))
    assert_close(db, dout.sum(axis=0, dtype=np.float64), dtype, 10 * np.sqrt(n))
    without_bias = np.empty_like(dw)
    _ext.affine_backward_dw(x, dout, without_bias, None, 1)
    assert without_bias.tobytes() == dw.tobytes()


# Rows and columns of the sparse left factor, columns of the product: one block of inner indices and several, parts that
# do not fill, columns that are no whole panels or vectors, more rows than are listed at a time.
SPARSE_PRODUCTS = [(13, 5, 700), (33, 70, 700), (40, 300, 701), (20, 600, 1003), (30, 1100, 400), (1100, 9, 1500)]


@dtypes
@pytest.mark.parametrize(("rows", "inner", "columns"), SPARSE_PRODUCTS)
def test_affine_with_zeros(rows, inner, columns, dtype):
    """Leaving zeros out changes no bit: one row alone is computed with them."""
    a, b = draw(dtype, rows, inner).copy(), draw(dtype, inner, columns, seed=1)
    a[np.random.RandomState(2).rand(rows, inner) < 0.6] = 0
    a[rows // 2] = 0
    a[0, 0] = -0.0
    bias = draw(dtype, columns, seed=3)
    exact = a.astype(np.float64) @ b
    turned_a, turned_b = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    products = [
        (lambda a, out, t: _ext.affine_forward(a, b, bias, out, True, t), np.maximum(exact + bias, 0)),
        (lambda a, out, t: _ext.affine_backward_dx(a, turned_b, out, t), exact),
    ]
    for multiply, expected in products:
        (out,) = run(lambda out, t, multiply=multiply: multiply(a, out[0], t), out=[(exact.shape, dtype)])
        assert_close(out, expected, dtype, 10 * np.sqrt(inner))
        for i in (0, rows // 2, rows - 1):
            alone = np.empty((1, columns), dtype)
            multiply(a[i : i + 1], alone, 1)
            assert alone.tobytes() == out[i].tobytes()
    (dw,) = run(lambda out, t: _ext.affine_backward_dw(b, turned_a, out[0], None, t), out=[((columns, rows), dtype)])
    assert_close(dw, exact.T, dtype, 10 * np.sqrt(inner))
    for i in (0, rows // 2, rows - 1):
        alone = np.empty((columns, 1), dtype)
        _ext.affine_backward_dw(b, turned_a[:, [i]], alone, None, 1)
        assert alone.tobytes() == dw[:, i].tobytes()


@dtypes
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("at", [(0, 0), (3, 650), (299, 699)])
def test_affine_with_zeros_keeps_what_is_not_finite(value, at, dtype):
    """Zero times infinity is nan."""
    a, b = draw(dtype, 20, 300).copy(), draw(dtype, 300, 700, seed=1).copy()
    a[np.random.RandomState(2).rand(20, 300) < 0.6] = 0
    b[at] = value
    with np.errstate(invalid="ignore"):
        expected = a @ b
    for n_threads in (1, 2):
        out, dx, dw = np.empty((20, 700), dtype), np.empty((20, 700), dtype), np.empty((700, 20), dtype)
        _ext.affine_forward(a, b, None, out, False, n_threads)
        _ext.affine_backward_dx(a, np.ascontiguousarray(b.T), dx, n_threads)
        _ext.affine_backward_dw(b, np.ascontiguousarray(a.T), dw, None, n_threads)
        for got in (out, dx, dw.T):
            np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
            np.testing.assert_array_equal(np.isinf(got), np.isinf(expected))


def test_affine_of_nothing():
    """No rows: dw is a sum of nothing."""
    empty, dw, db = np.empty((0, 5)), np.ones((5, 3)), np.ones(3)
    _ext.affine_backward_dw(empty, np.empty((0, 3)), dw, db, 2)
    assert not dw.any()
    assert not db.any()
    _ext.affine_forward(empty, dw, db, np.empty((0, 3)), True, 2)


# --- convolution ----------------------------------------------------------------------------------


def taps(x, w_shape, out_shape, stride, pad):
    """Yield (filter row, filter column, view of the padded image that this tap sees)."""
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    for i in range(w_shape[2]):
        for j in range(w_shape[3]):
            rows = slice(i, i + stride * (out_shape[2] - 1) + 1, stride)
            columns = slice(j, j + stride * (out_shape[3] - 1) + 1, stride)
            yield i, j, (slice(None), slice(None), rows, columns), padded


CONVS = [
    # x, filters (F, HH, WW), stride, pad
    ((1, 1, 1, 1), (1, 1, 1), 1, 0),
    ((2, 3, 5, 4), (2, 5, 4), 1, 0),
    ((3, 3, 8, 9), (5, 3, 3), 1, 1),
    ((2, 3, 13, 11), (17, 7, 7), 1, 3),
    ((2, 4, 10, 7), (33, 2, 3), 1, 0),
    ((5, 3, 31, 31), (25, 3, 3), 2, 1),
    ((2, 2, 9, 10), (8, 3, 2), 3, 2),
    ((2, 3, 7, 8), (4, 2, 2), 3, 0),
    ((2, 2, 6, 6), (3, 1, 1), 2, 0),
    # A stride beyond the padded image.
    ((2, 2, 7, 1), (3, 1, 1), 4, 0),
    ((2, 3, 9, 2), (4, 3, 3), 5, 1),
    ((1, 2, 2, 9), (3, 2, 3), 6, 1),
    ((1, 2, 3, 3), (3, 3, 3), 1, 5),
    ((1, 1, 4, 300), (3, 2, 5), 1, 2),
    ((2, 40, 9, 9), (12, 3, 3), 1, 1),
    ((9, 8, 16, 16), (16, 3, 3), 1, 1),
    # Few taps or channels, along rows: filters that make uneven tiles, rows that do not fill vectors.
    ((3, 3, 32, 32), (17, 5, 5), 1, 2),
    ((2, 6, 20, 33), (9, 3, 3), 2, 1),
    ((2, 5, 12, 30), (4, 2, 2), 2, 3),
    ((1, 7, 16, 16), (8, 3, 3), 1, 1),
    ((2, 2, 16, 16), (6, 1, 1), 1, 0),
]


@dtypes
@pytest.mark.parametrize(("x_shape", "filters", "stride", "pad"), CONVS)
def test_conv(x_shape, filters, stride, pad, dtype):
    n, c, h, w = x_shape
    f, hh, ww = filters
    out_shape = (n, f, (h + 2 * pad - hh) // stride + 1, (w + 2 * pad - ww) // stride + 1)
    x, weights, b = draw(dtype, *x_shape), draw(dtype, f, c, hh, ww, seed=1), draw(dtype, f, seed=2)
    dout = draw(dtype, *out_shape, seed=3)

    expected = np.zeros(out_shape)
    expected_dx, expected_dw = None, np.zeros(weights.shape)
    for i, j, view, padded in taps(x, weights.shape, out_shape, stride, pad):
        if expected_dx is None:
            expected_dx = np.zeros_like(padded)
        tap = weights[:, :, i, j].astype(np.float64)
        expected += np.einsum("nchw,fc->nfhw", padded[view], tap)
        expected_dx[view] += np.einsum("nfhw,fc->nchw", dout, tap)
        expected_dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, padded[view])
    expected_dx = expected_dx[:, :, pad : pad + h, pad : pad + w]

    for bias in (b, None):
        (out,) = run(
            lambda out, t, bias=bias: _ext.conv_forward(x, weights, bias, out[0], stride, pad, t),
            out=[(out_shape, dtype)],
        )
        want = expected + (0 if bias is None else bias[:, None, None])
        assert_close(out, want, dtype, 10 * np.sqrt(c * hh * ww))
    (dx,) = run(
        lambda out, t: _ext.conv_backward_dx(dout, weights, out[0], stride, pad, t),
        out=[(x_shape, dtype)],
    )
    assert_close(dx, expected_dx, dtype, 10 * np.sqrt(f * hh * ww))
    dw, db = run(
        lambda out, t: _ext.conv_backward_dw(x, dout, *out, stride, pad, t),
        out=[(weights.shape, dtype), ((f,), dtype)],
    )
    assert_close(dw, expected_dw, dtype, 10 * np.sqrt(dout[:, 0].size))
    assert_close(db, dout.sum(axis=(0, 2, 3), dtype=np.float64), dtype)


# --- pooling --------------------------------------------------------------------------------------

POOLS = [
    # x, ph, pw, stride
    ((1, 1, 1, 1), 1, 1, 1),
    ((2, 3, 8, 8), 2, 2, 2),
    ((2, 3, 9, 35), 2, 2, 2),
    ((3, 2, 7, 9), 3, 2, 1),
    ((2, 2, 11, 10), 2, 3, 3),
    ((2, 2, 10, 10), 3, 3, 2),
    ((7, 11, 32, 32), 2, 2, 2),
]


def windows(x, ph, pw, stride):
    """Return x's windows as (N, C, HO, WO, ph * pw) and the plane index of each cell."""
    view = np.lib.stride_tricks.sliding_window_view
    planes = np.arange(x.shape[2] * x.shape[3]).reshape(x.shape[2:])
    cells = view(x, (ph, pw), (2, 3))[:, :, ::stride, ::stride]
    where = view(planes, (ph, pw))[::stride, ::stride]
    return cells.reshape(*cells.shape[:4], -1), where.reshape(*where.shape[:2], -1)


@dtypes
@pytest.mark.parametrize(("shape", "ph", "pw", "stride"), POOLS)
@pytest.mark.parametrize("kind", ["normal", "ties", "nan"])
def test_max_pool(shape, ph, pw, stride, kind, dtype):
    x = draw(dtype, *shape)
    if kind != "normal":
        x = np.round(x)
    if kind == "nan":
        x[draw(np.float64, *shape, seed=1) > 1] = np.nan
    cells, where = windows(x, ph, pw, stride)
    best = cells.argmax(axis=-1)  # the first nan, else the first maximum: as the kernel should
    expected = np.take_along_axis(cells, best[..., None], -1)[..., 0]
    expected_at = np.take_along_axis(np.broadcast_to(where, cells.shape), best[..., None], -1)[..., 0]
    out, argmax = run(
        lambda out, t: _ext.max_pool_forward(x, *out, ph, pw, stride, t),
        out=[(expected.shape, dtype), (expected.shape, np.int32)],
    )
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(argmax, expected_at)
    without = np.empty_like(out)
    _ext.max_pool_forward(x, without, None, ph, pw, stride, 1)
    np.testing.assert_array_equal(without, expected)

    dout = draw(dtype, *out.shape, seed=2)
    (dx,) = run(lambda out, t: _ext.max_pool_backward(dout, argmax, out[0], t), out=[(shape, dtype)])
    expected_dx = np.zeros((shape[0] * shape[1], shape[2] * shape[3]))
    planes = np.arange(len(expected_dx))[:, None]
    np.add.at(
        expected_dx,
        (planes, argmax.reshape(len(planes), -1)),
        dout.reshape(len(planes), -1).astype(np.float64),
    )
    assert_close(dx, expected_dx.reshape(shape), dtype)


@dtypes
@pytest.mark.parametrize(("x_shape", "filters", "stride", "pad"), CONVS)
def test_conv_relu_pool(x_shape, filters, stride, pad, dtype):
    """The fused layer gives what its parts give one after the other."""
    n, c, h, w = x_shape
    f, hh, ww = filters
    ho, wo = (h + 2 * pad - hh) // stride + 1, (w + 2 * pad - ww) // stride + 1
    x, weights, b = draw(dtype, *x_shape), draw(dtype, f, c, hh, ww, seed=1), draw(dtype, f, seed=2)
    pooled_shape = (n, f, ho // 2, wo // 2)
    dout = draw(dtype, *pooled_shape, seed=3)

    conv = np.empty((n, f, ho, wo), dtype)
    argmax = np.empty(pooled_shape, np.int32)
    expected, dconv, dw, db = map(np.empty_like, (dout, conv, weights, b))
    _ext.conv_forward(x, weights, b, conv, stride, pad, 1)
    relu = np.maximum(conv, 0)
    if ho > 1 and wo > 1:
        _ext.max_pool_forward(relu, expected, argmax, 2, 2, 2, 1)
        _ext.max_pool_backward(dout, argmax, dconv, 1)
        dconv *= conv > 0
    else:
        dconv[:] = 0
    _ext.conv_backward_dw(x, dconv, dw, db, stride, pad, 1)

    out, argmax_cell = run(
        lambda out, t: _ext.conv_relu_pool_forward(x, weights, b, *out, stride, pad, t),
        out=[(pooled_shape, dtype), (pooled_shape, np.uint8)],
    )
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(argmax_cell == 4, out == 0)
    without = np.empty_like(out)
    _ext.conv_relu_pool_forward(x, weights, b, without, None, stride, pad, 1)
    np.testing.assert_array_equal(without, expected)
    (got,) = run(lambda out, t: _ext.relu_pool_backward(dout, argmax_cell, out[0], t), out=[(conv.shape, dtype)])
    np.testing.assert_array_equal(got, dconv)
    got = run(
        lambda out, t: _ext.conv_relu_pool_backward_dw(x, dout, argmax_cell, *out, stride, pad, t),
        out=[(weights.shape, dtype), (b.shape, dtype)],
    )
    for actual, want in zip(got, (dw, db), strict=True):
        assert_close(actual, want, dtype, 10 * np.sqrt(dout[:, 0].size + 1))


@pytest.mark.parametrize("bad", [-1, 4, -(2**31), 2**31 - 1])
def test_max_pool_backward_refuses_indices_outside_the_plane(bad):
    argmax = np.full((1, 1, 1, 1), bad, np.int32)
    with pytest.raises(ValueError, match="argmax"):
        _ext.max_pool_backward(np.ones((1, 1, 1, 1)), argmax, np.empty((1, 1, 2, 2)), 1)


# --- elementwise ----------------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5, 7), (301, 1033)])
def test_elementwise(shape, dtype):
    x, dout = draw(dtype, *shape), draw(dtype, *shape, seed=1)
    mask = np.asarray(draw(np.float64, *shape, seed=2) > 0)
    (out,) = run(lambda out, t: _ext.relu_forward(x, out[0], t), out=[(shape, dtype)])
    np.testing.assert_array_equal(out, np.maximum(x, 0))
    (dx,) = run(lambda out, t: _ext.relu_backward(dout, x, out[0], t), out=[(shape, dtype)])
    np.testing.assert_array_equal(dx, np.where(x > 0, dout, 0))
    (out,) = run(lambda out, t: _ext.scale_by_mask(x, mask, 1.25, out[0], t), out=[(shape, dtype)])
    np.testing.assert_array_equal(out, x * mask * dtype(1.25))
    in_place = np.array(dout)
    _ext.relu_backward(in_place, x, in_place, 2)
    np.testing.assert_array_equal(in_place, dx)


@dtypes
def test_relu_keeps_nan(dtype):
    x = np.full(40, np.nan, dtype)
    _ext.relu_forward(x, x, 1)
    assert np.isnan(x).all()
    w = np.eye(40, dtype=dtype)
    out = np.empty((1, 40), dtype)
    _ext.affine_forward(x[None], w, None, out, True, 1)
    assert np.isnan(out).all()


@dtypes
@pytest.mark.parametrize("size", [0, 1, 40, 5000, 70_001])
def test_all_finite(size, dtype):
    largest = np.full(size, np.finfo(dtype).max, dtype)
    for n_threads in (1, 2):
        assert _ext.all_finite(largest, n_threads) is True
        for at in {0, size // 2, size - 1} if size else ():
            for value in (np.nan, np.inf, -np.inf):
                x = largest.copy()
                x[at] = value
                assert _ext.all_finite(x, n_threads) is False


# --- normalisation --------------------------------------------------------------------------------

NORMED = [(1, 1), (5, 3), (40, 70), (301, 129), (2, 3, 5), (3, 4, 8, 9), (6, 12, 32, 31)]


@dtypes
@pytest.mark.parametrize("shape", NORMED)
@pytest.mark.parametrize("weighted", [False, True])
def test_batchnorm(shape, weighted, dtype):
    eps = 1e-5
    n, c = shape[:2]
    spread = (c,) + (1,) * (len(shape) - 2)
    x = draw(dtype, *shape) * 3 + dtype(100)
    x.flags.writeable = False
    gamma, beta, dout = draw(dtype, c, seed=1), draw(dtype, c, seed=2), draw(dtype, *shape, seed=3)
    weight = np.random.RandomState(4).randint(0, 3, n).astype(np.float64) if weighted else None
    if weighted:
        weight[0] = 2
    repeats = np.ones(n, int) if weight is None else weight.astype(int)
    others = (0, *range(2, len(shape)))

    wide = x.astype(np.float64)
    repeated = wide.repeat(repeats, axis=0)
    mean, var = repeated.mean(axis=others), repeated.var(axis=others)
    xhat = (wide - mean.reshape(spread)) / np.sqrt(var + eps).reshape(spread)
    got = run(
        lambda out, t: _ext.batchnorm_forward(x, gamma, beta, weight, eps, *out, t),
        out=[(shape, dtype), (shape, dtype), ((c,), dtype), ((c,), dtype), ((c,), dtype)],
    )
    inv_std = 1 / np.sqrt(var + eps)
    out = gamma.reshape(spread) * xhat + beta.reshape(spread)
    # Single precision loses nothing to the offset: statistics and x - mean are formed in double.
    scale = None if dtype == np.float32 else 10 * np.abs(x).max()
    for actual, expected in zip(got, (out, xhat, mean, var, inv_std), strict=True):
        assert_close(actual, expected, dtype, scale)

    dbeta = dout.sum(axis=others, dtype=np.float64)
    dgamma = (dout * xhat).sum(axis=others)
    share = (repeats / repeats.sum()).reshape(n, *(1,) * (len(shape) - 1))
    share = share / np.prod(shape[2:])
    dx = (dout - share * (dbeta.reshape(spread) + xhat * dgamma.reshape(spread))) * (gamma * inv_std).reshape(spread)
    xhat, inv_std = xhat.astype(dtype), inv_std.astype(dtype)
    got = run(
        lambda out, t: _ext.batchnorm_backward(dout, xhat, inv_std, gamma, weight, *out, t),
        out=[(shape, dtype), ((c,), dtype), ((c,), dtype)],
    )
    for actual, expected in zip(got, (dx, dgamma, dbeta), strict=True):
        assert_close(actual, expected, dtype, max(10 * inv_std.max(), np.abs(expected).max()))
    in_place = np.array(dout)
    _ext.batchnorm_backward(in_place, xhat, inv_std, gamma, weight, in_place, *got[1:], 2)
    np.testing.assert_array_equal(in_place, got[0])

    mean, var = mean.astype(dtype), var.astype(dtype)
    (test,) = run(
        lambda out, t: _ext.batchnorm_test(x, gamma, beta, mean, var, eps, out[0], t),
        out=[(shape, dtype)],
    )
    wide = (wide - mean.reshape(spread)) / np.sqrt(var.astype(np.float64) + eps).reshape(spread)
    assert_close(test, wide * gamma.reshape(spread) + beta.reshape(spread), dtype)


def test_batchnorm_does_not_cancel():
    """Spread 1 around a million: the float32 inputs still tell 16 values a unit apart."""
    x = (1e6 + np.random.RandomState(0).randint(-3, 4, (512, 3))).astype(np.float32)
    out, xhat = np.empty_like(x), np.empty_like(x)
    mean, var, inv_std, gamma, beta = np.ones((5, 3), np.float32)
    _ext.batchnorm_forward(x, gamma, beta, None, 1e-5, out, xhat, mean, var, inv_std, 1)
    np.testing.assert_allclose(var, x.astype(np.float64).var(axis=0), rtol=1e-6)
    np.testing.assert_allclose(xhat.mean(axis=0, dtype=np.float64), 0, atol=1e-6)


def grouped(a, groups):
    return a.reshape(len(a), groups, -1)


@dtypes
@pytest.mark.parametrize(
    ("shape", "groups"),
    [((1, 2), 1), ((5, 3), 1), ((40, 70), 1), ((301, 129), 1)]
    + [((1, 2, 2), 1), ((3, 6, 4, 5), 2), ((3, 6, 4, 5), 6), ((9, 12, 17, 31), 3)],
)
def test_layernorm_and_groupnorm(shape, groups, dtype):
    eps = 1e-5
    n, c = shape[:2]
    spread = (c,) + (1,) * (len(shape) - 2)
    x, dout = draw(dtype, *shape), draw(dtype, *shape, seed=1)
    gamma, beta = draw(dtype, c, seed=2), draw(dtype, c, seed=3)
    if len(shape) == 2:
        forward, backward, stat = _ext.layernorm_forward, _ext.layernorm_backward, (n,)
    else:
        forward, backward, stat = _ext.groupnorm_forward, _ext.groupnorm_backward, (n, groups)
    rows = grouped(x.astype(np.float64), groups)
    inv_std = 1 / np.sqrt(rows.var(axis=2) + eps)
    xhat = ((rows - rows.mean(axis=2, keepdims=True)) * inv_std[..., None]).reshape(shape)
    got = run(
        lambda out, t: forward(x, gamma, beta, eps, *out, t),
        out=[(shape, dtype), (shape, dtype), (stat, dtype)],
    )
    expected = (
        gamma.reshape(spread) * xhat + beta.reshape(spread),
        xhat,
        inv_std.reshape(stat),
    )
    for actual, want in zip(got, expected, strict=True):
        assert_close(actual, want, dtype)

    others = (0, *range(2, len(shape)))
    dxhat = dout * gamma.reshape(spread).astype(np.float64)
    g, h = grouped(dxhat, groups), grouped(xhat, groups)
    dx = g - g.mean(axis=2, keepdims=True) - h * (g * h).mean(axis=2, keepdims=True)
    dx = (dx * inv_std[..., None]).reshape(shape)
    dgamma, dbeta = (dout * xhat).sum(axis=others), dout.sum(axis=others, dtype=np.float64)
    xhat, inv_std = xhat.astype(dtype), inv_std.reshape(stat).astype(dtype)
    got = run(
        lambda out, t: backward(dout, xhat, inv_std, gamma, *out, t),
        out=[(shape, dtype), ((c,), dtype), ((c,), dtype)],
    )
    for actual, want in zip(got, (dx, dgamma, dbeta), strict=True):
        assert_close(actual, want, dtype, max(10 * inv_std.max(), np.abs(want).max()))
    in_place = np.array(dout)
    backward(in_place, xhat, inv_std, gamma, in_place, *got[1:], 2)
    np.testing.assert_array_equal(in_place, got[0])


# --- losses ---------------------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize(("n", "c"), [(1, 1), (1, 10), (7, 3), (60, 101)])
@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_loss(n, c, weighted, dtype):
    scores = draw(dtype, n, c) * 5
    y = np.random.RandomState(1).randint(c, size=n)
    weight = np.random.RandomState(2).rand(n) + 0.1 if weighted else None
    share = np.ones(n) / n if weight is None else weight / weight.sum()
    wide = scores.astype(np.float64)
    log_p = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    d = np.full(scores.shape, np.nan, dtype)
    loss = _ext.softmax_loss(scores, y, weight, d)
    assert loss == pytest.approx(-(share * log_p[np.arange(n), y]).sum(), rel=2e-6, abs=1e-12)
    assert _ext.softmax_loss(scores, y, weight, None) == pytest.approx(loss, rel=1e-12, abs=1e-15)
    assert_close(d, share[:, None] * (np.exp(log_p) - np.eye(c)[y]), dtype)
    doubled = np.empty_like(d)
    total = (n if weight is None else weight.sum()) / 2
    assert _ext.softmax_loss(scores, y, weight, doubled, total) == pytest.approx(2 * loss)
    assert_close(doubled, 2 * d, dtype)
    out = np.empty_like(scores)
    _ext.softmax(scores, out)
    assert_close(out, np.exp(log_p), dtype)
    _ext.log_softmax(scores, out)
    assert_close(out, log_p, dtype)
    _ext.softmax(scores, scores)
    assert_close(scores, np.exp(log_p), dtype)


@dtypes
def test_softmax_loss_is_finite_for_finite_scores(dtype):
    big = np.finfo(dtype).max
    scores = np.array([[big, -big, 0], [-big, -big, -big], [0, -big, big]], dtype)
    d = np.empty_like(scores)
    for y in range(3):
        loss = _ext.softmax_loss(scores, np.full(3, y), None, d)
        assert np.isfinite(loss)
        assert np.isfinite(d).all()


# --- update rules ---------------------------------------------------------------------------------


def reference_rules(w, g, s, lr):
    """New (w, *state) of each rule, from gradient g and state arrays s."""
    velocity = 0.9 * s[0] - lr * g
    adagrad = s[0] + g * g
    rmsprop = 0.99 * s[0] + 0.01 * g * g
    m, v = 0.9 * s[0] + 0.1 * g, 0.999 * s[1] + 0.001 * g * g
    mhat, vhat = m / (1 - 0.9**6), v / (1 - 0.999**6)
    return {
        "sgd": (w - lr * g,),
        "sgd_momentum": (w + velocity, velocity),
        "adagrad": (w - lr * g / (np.sqrt(adagrad) + 1e-8), adagrad),
        "rmsprop": (w - lr * g / (np.sqrt(rmsprop) + 1e-8), rmsprop),
        "adam": (w - lr * mhat / (np.sqrt(vhat) + 1e-8), m, v),
    }


CONSTANTS = {
    "sgd": (),
    "sgd_momentum": (0.9,),
    "adagrad": (1e-8,),
    "rmsprop": (0.99, 1e-8),
    "adam": (0.9, 0.999, 1e-8),
}


@dtypes
@pytest.mark.parametrize("rule", CONSTANTS)
@pytest.mark.parametrize("shape", [(1,), (7, 5), (150, 391)])
@pytest.mark.parametrize("reg", [0, 0.3])
def test_update_rule(rule, shape, reg, dtype):
    lr = 0.02
    w, dw = draw(dtype, *shape), draw(dtype, *shape, seed=1)
    state = [np.abs(draw(dtype, *shape, seed=2 + i)) for i in range(2)]
    wide = [a.astype(np.float64) for a in (w, dw, *state)]
    expected = reference_rules(wide[0], wide[1] + reg * wide[0], wide[2:], lr)[rule]
    state = state[: len(expected) - 1]
    sums = []

    def step(out, n_threads):
        t = (6,) if rule == "adam" else ()
        result = getattr(_ext, rule)(out[0], dw, *out[1:], *t, lr, *CONSTANTS[rule], reg, n_threads)
        sums.append(result)

    got = run(step, out=[w, *state])
    for actual, want in zip(got, expected, strict=True):
        assert_close(actual, want, dtype, 5)
    squares = (got[0].astype(np.float64) ** 2).sum()
    assert sums[0] == sums[1] == pytest.approx(squares, rel=1e-13)
    assert _ext.sum_of_squares(got[0], 1) == _ext.sum_of_squares(got[0], 2) == sums[0]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_denormals_are_flushed_in_kernels_only(n_threads):
    tiny = np.float32(1e-40)
    w, dw, v = np.ones(100_000, np.float32), np.zeros(100_000, np.float32), np.ones(100_000, np.float32)
    m = np.full_like(w, tiny)
    _ext.adam(w, dw, m, v, 900, 1e-3, 0.9, 0.999, 1e-8, 0, n_threads)
    assert not m.any()
    assert (np.full(100, tiny) * dw.dtype.type(0.5)).all(), "the thread's floating-point mode was not restored"


# --- data -----------------------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("source", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize(("n", "d", "rows"), [(1, 1, 1), (9, 33, 0), (9, 33, 20), (50, 3072, 40)])
def test_gather_rows(n, d, rows, source, dtype):
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, (n, d)).astype(source)
    X.flags.writeable = False
    indices, mean = rng.randint(0, n, rows), draw(dtype, d)
    for m in (None, mean):
        (out,) = run(
            lambda out, t, m=m: _ext.gather_rows(X, indices, out[0], m, t),
            out=[((rows, d), dtype)],
        )
        expected = X[indices].astype(dtype)
        np.testing.assert_array_equal(out, expected if m is None else expected - m)


@pytest.mark.parametrize("bad", [-1, 3, 2**40])
def test_gather_rows_checks_indices_before_it_writes(bad):
    out = np.zeros((2, 2))
    with pytest.raises(IndexError, match="indices"):
        _ext.gather_rows(np.ones((3, 2)), np.array([0, bad]), out, None, 1)
    assert not out.any()


# --- a linear classifier --------------------------------------------------------------------------


def place(a, offset):
    """Copy an array to an address `offset` items past a multiple of 64 bytes."""
    room = np.empty(a.nbytes + 64 + offset * a.itemsize, np.uint8)
    start = -room.ctypes.data % 64 + offset * a.itemsize
    placed = room[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    placed[...] = a
    return placed


def linear_case(n, d, m, source, dtype, offset=0):
    """Return rows to gather, indices, labels and weights of a linear classifier."""
    rng = np.random.RandomState(0)
    X = place(rng.randint(0, 9, (n + 5, d)).astype(source), offset)
    w, b = draw(dtype, d, m, seed=1) / 50, draw(dtype, m, seed=2)
    return X, rng.randint(0, n + 5, n), rng.randint(0, m, n), w, b


# N, D, C, dtype: all of those that the instruction set takes.
LINEAR = [
    (n, d, m, dtype)
    for n, d, m in [(1, 128, 2), (25, 129, 3), (200, 1100, 5), (50, 3072, 10), (131, 2055, 11)]
    for dtype in DTYPES
    if _ext.linear_takes(z((d, m), dtype))
]


@pytest.mark.parametrize("source", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize(("n", "d", "m", "dtype"), LINEAR)
@pytest.mark.parametrize("offset", [0, 1, 4])
def test_linear_softmax_is_what_its_parts_are(n, d, m, source, dtype, offset):
    X, indices, y, w, b = linear_case(n, d, m, source, dtype, offset)
    weight = np.random.RandomState(3).rand(n) + 0.1
    x, scores, dw, db = (np.empty(shape, dtype) for shape in [(n, d), (n, m), (d, m), m])
    _ext.gather_rows(X, indices, x, None, 1)
    for bias, weights, total in [(b, None, 0), (None, weight, 0), (b, weight, 7.5), (b, None, 3)]:
        _ext.affine_forward(x, w, bias, scores, False, 1)
        loss = _ext.softmax_loss(scores, y, weights, scores, total)
        _ext.affine_backward_dw(x, scores, dw, db, 1)
        for n_threads in (1, 2, 3, 5):
            got = [np.full_like(a, np.nan) for a in (scores, dw, db)]
            if bias is None:
                got[2] = None
            assert _ext.linear_softmax(X, indices, y, weights, w, bias, *got, n_threads, total) == loss
            for one, other in zip(got, (scores, dw, None if bias is None else db), strict=True):
                np.testing.assert_array_equal(one, other)


@dtypes
def test_linear_takes_few_classes(dtype):
    def takes(d, m):
        return _ext.linear_takes(np.zeros((d, m), dtype))

    assert not any(takes(3072, m) for m in (1, 17, 100))
    assert not takes(1, 3)
    if dtype == np.float32:
        assert takes(128, 3)
    y, w, dw, dscores = z(2, np.int64), z((9, 100), dtype), z((9, 100), dtype), z((2, 100), dtype)
    with pytest.raises(ValueError, match="linear_takes"):
        _ext.linear_softmax(z((2, 9)), y, y, None, w, None, dscores, dw, None, 1)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": z((4, 100), "f4")}, ValueError, "X must have length 128"),
        ({"X": z((4, 128), int)}, TypeError, "X must be uint8"),
        ({"indices": np.array([0, 4, 1])}, IndexError, r"indices must be in \[0, 4\), got 4"),
        ({"indices": z(0, np.intp), "y": z(0, np.int64)}, ValueError, "indices must not be empty"),
        ({"y": np.array([0, 3, 1])}, ValueError, r"y must be in \[0, 3\), got 3"),
        ({"y": np.array([0, 1])}, ValueError, "y must have length 3"),
        ({"sample_weight": z(3)}, ValueError, "sample_weight must have a positive"),
        ({"b": z(2, "f4")}, ValueError, "b must have length 3"),
        ({"dscores": z((2, 3), "f4")}, ValueError, "dscores must have length 3"),
        ({"dw": z((128, 3))}, TypeError, "dw must be float32"),
        ({"n_threads": 0}, ValueError, "n_threads"),
        ({"total": -1.0}, ValueError, "total must be positive"),
        ({"total": float("nan")}, ValueError, "total must be positive"),
    ],
)
def test_linear_softmax_checks_before_it_writes(change, error, message):
    args = {"X": z((4, 128), "f4"), "indices": np.array([0, 3, 1]), "y": np.array([0, 2, 1]), "sample_weight": None}
    args |= {"w": z((128, 3), "f4"), "b": z(3, "f4"), "dscores": z((3, 3), "f4"), "dw": z((128, 3), "f4")}
    args |= {"db": z(3, "f4"), "n_threads": 1, "total": 0.0, **change}
    with pytest.raises(error, match=message):
        _ext.linear_softmax(*args.values())
    assert not any(args[name].any() for name in ("dscores", "dw", "db"))


def test_linear_softmax_refuses_overlap():
    X, indices, y, w, b = linear_case(8, 128, 3, np.float32, np.float32)
    dscores, dw, db = (np.zeros(shape, np.float32) for shape in [(8, 3), (128, 3), 3])
    for outputs in [(dscores, w, db), (dscores, dw, b), (dscores, dw, dscores.ravel()[:3]), (dscores, dw, dw[1])]:
        for a in outputs:
            a.flags.writeable = True
        with pytest.raises(ValueError, match="must not overlap"):
            _ext.linear_softmax(X, indices, y, None, w, b, *outputs, 1)


# --- bad arguments --------------------------------------------------------------------------------


def refuse_writes(a):
    a.flags.writeable = False
    return a


shared, one, six = z((4, 4)), z((1, 1, 1, 1)), z((2, 6, 2))


def conv(w=(1, 1, 2, 2), out=(1, 1, 2, 2), stride=1, pad=0):
    return z((1, 1, 3, 3)), z(w), None, z(out), stride, pad, 1


REFUSED = {
    "other dtype": (TypeError, "w must be", "affine_forward", z((2, 3)), z((3, 2), "f4")),
    "integers": (TypeError, "x must be", "relu_forward", z(3, int), z(3, int), 1),
    "not an array": (TypeError, "x", "relu_forward", [1.0], z(1), 1),
    "none": (TypeError, "x", "relu_forward", None, z(1), 1),
    "byte order": (TypeError, "x must be", "relu_forward", z(3, ">f8"), z(3), 1),
    "axes": (ValueError, "x must have 2 axes", "affine_forward", z(3), z((3, 2))),
    "order": (ValueError, "x must be C-contiguous", "relu_forward", z((3, 3)).T, z((3, 3)), 1),
    "unaligned": (
        ValueError,
        "x must be C-contiguous and aligned",
        "relu_forward",
        np.frombuffer(bytes(25), np.float64, 3, 1),
        z(3),
        1,
    ),
    "read-only": (ValueError, "out must be writeable", "relu_forward", z(3), refuse_writes(z(3)), 1),
    "shape": (ValueError, "out must have the shape of x", "relu_forward", z((2, 3)), z((3, 2)), 1),
    "inner": (ValueError, "w must have length 3", "affine_forward", z((2, 3)), z((2, 2))),
    "threads": (ValueError, "n_threads", "relu_forward", z(3), z(3), 0),
    "overlap": (ValueError, "overlap", "relu_forward", shared.ravel()[1:], shared.ravel()[:-1], 1),
    "overlap dx": (ValueError, "dx must not overlap", "affine_backward_dx", shared, z((4, 4)), shared, 1),
    "stride": (ValueError, "stride", "conv_forward", *conv(stride=0)),
    "pad": (ValueError, "pad", "conv_forward", *conv(pad=-1)),
    "filter": (ValueError, "fit into", "conv_forward", *conv(w=(1, 1, 4, 2))),
    "conv out": (ValueError, "out must have length 2", "conv_forward", *conv(out=(1, 1, 3, 3))),
    "channels": (ValueError, "w must have length 1", "conv_forward", *conv(w=(1, 2, 2, 2))),
    "window": (ValueError, "window", "max_pool_forward", z((1, 1, 3, 3)), one, None, 4, 1, 1, 1),
    "window size": (ValueError, "at least 1", "max_pool_forward", z((1, 1, 3, 3)), one, None, 0, 1, 1, 1),
    "argmax": (TypeError, "argmax must be int32", "max_pool_backward", one, one.astype("i8"), z((1, 1, 2, 2)), 1),
    "label": (ValueError, r"y must be in \[0, 3\), got 3", "softmax_loss", z((1, 3)), np.array([3]), None, None),
    "negative label": (ValueError, "y must be", "softmax_loss", z((1, 3)), np.array([-1]), None, None),
    "weight": (ValueError, "sample_weight", "softmax_loss", z((1, 3)), np.array([0]), np.array([-1.0]), None),
    "weight sum": (ValueError, "sample_weight", "softmax_loss", z((1, 3)), np.array([0]), z(1), None),
    "no rows": (ValueError, "empty", "softmax_loss", z((0, 3)), z(0, np.int64), None, None),
    "no columns": (ValueError, "column", "softmax", z((2, 0)), z((2, 0))),
    "no batch": (ValueError, "empty", "batchnorm_test", z((0, 3)), z(3), z(3), z(3), z(3), 0.1, z((0, 3)), 1),
    "no channels": (ValueError, "axes", "batchnorm_test", z(3), z(3), z(3), z(3), z(3), 0.1, z(3), 1),
    "groups": (ValueError, "divisor", "groupnorm_forward", six, z(6), z(6), 0.1, six.copy(), six.copy(), z((2, 4)), 1),
    "step": (ValueError, "t must", "adam", z(2), z(2), z(2), z(2), 0, 0.1, 0.9, 0.99, 1e-8, 0, 1),
    "beta": (ValueError, "beta2", "adam", z(2), z(2), z(2), z(2), 1, 0.1, 0.9, 1.0, 1e-8, 0, 1),
    "state": (ValueError, "velocity must have the shape", "sgd_momentum", z(2), z(2), z(3), 0.1, 0.9, 0, 1),
    "state is w": (ValueError, "w must not overlap state", "adagrad", shared, z((4, 4)), shared, 0.1, 1e-8, 0, 1),
    "X": (TypeError, "X must be uint8", "gather_rows", z((2, 2), int), z(1, np.intp), z((1, 2)), None, 1),
    "argmax_cell": (TypeError, "argmax_cell", "relu_pool_backward", one, one, z((1, 1, 2, 2)), 1),
    "pooled": (ValueError, "dout must have length 2", "relu_pool_backward", one, one.astype("u1"), z((1, 1, 4, 2)), 1),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_arguments(case):
    error, message, kernel, *args = REFUSED[case]
    if kernel == "affine_forward":
        args = [*args, None, z((2, 2)), False, 1]
    with pytest.raises(error, match=message):
        getattr(_ext, kernel)(*args)


# --- the instruction set --------------------------------------------------------------------------


def import_with(isa):
    """Import the kernels in a fresh process with SKLEARN_DL_ISA set."""
    return subprocess.run(
        [sys.executable, "-c", "from sklearn_dl import _ext; print(_ext.isa)"],
        env={**os.environ, "SKLEARN_DL_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("isa", _ext.isas)
def test_isa_can_be_forced(isa):
    assert import_with(isa).stdout.strip() == isa


def test_unknown_isa():
    result = import_with("avx1024")
    assert result.returncode != 0
    assert "ImportError: SKLEARN_DL_ISA must be one of ['baseline'" in result.stderr


def test_information():
    assert _ext.isa in _ext.isas
    assert isinstance(_ext.openmp, bool)
    assert _ext.max_threads() >= 1


@dtypes
def test_affine_with_no_outputs(dtype):
    out = np.empty((3, 0), dtype)
    _ext.affine_forward(draw(dtype, 3, 64), np.empty((64, 0), dtype), None, out, False, 1)
    assert out.shape == (3, 0)


@pytest.mark.parametrize("stride", [30_000, 2**61, 2**63 - 1])
def test_conv_strides_beyond_the_image_are_all_the_same(stride):
    x, w, dout = draw(np.float64, 1, 3, 8, 8), draw(np.float64, 2, 3, 3, 3), draw(np.float64, 1, 2, 1, 1)
    results = []
    for s in (10, stride):
        out, dx, dw = np.empty((1, 2, 1, 1)), np.empty(x.shape), np.empty(w.shape)
        _ext.conv_forward(x, w, None, out, s, 1, 1)
        _ext.conv_backward_dx(dout, w, dx, s, 1, 1)
        _ext.conv_backward_dw(x, dout, dw, None, s, 1, 1)
        results.append((out, dx, dw))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_conv_sizes_that_overflow_are_refused():
    x, w, out = draw(np.float64, 1, 1, 8, 8), draw(np.float64, 1, 1, 3, 3), np.empty((1, 1, 1, 1))
    with pytest.raises(ValueError, match=r"pad must leave an image that fits into memory, got 2147483644"):
        _ext.conv_forward(x, w, None, out, 2**32, 2**31 - 4, 1)


def test_conv_without_channels_is_refused():
    x, w, dout = np.empty((2, 0, 4, 4)), np.empty((3, 0, 3, 3)), np.ones((2, 3, 2, 2))
    with pytest.raises(ValueError, match=r"x must have at least one channel, got shape \(2, 0, 4, 4\)"):
        _ext.conv_backward_dw(x, dout, w, np.empty(3), 1, 0, 1)


# --- debug builds ---------------------------------------------------------------------------------


def test_bounds_checks_are_on_in_debug_builds_only():
    script = "from sklearn_dl._ext._kernels import check_index; check_index(1, 2); print('inside'); check_index(2, 2)"
    result = subprocess.run([sys.executable, "-uc", script], capture_output=True, text=True, check=False)
    assert result.stdout == "inside\n"
    if _ext.debug:
        assert result.returncode == -signal.SIGABRT
        assert "kernel assertion failed: i >= 0 && i < n" in result.stderr
    else:
        assert result.returncode == 0
