"""Products of affine layers against NumPy in float64: forward, dx, dw; dense and sparse."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import assert_close, draw, dtypes, run

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


@dtypes
def test_affine_with_no_outputs(dtype):
    out = np.empty((3, 0), dtype)
    _ext.affine_forward(draw(dtype, 3, 64), np.empty((64, 0), dtype), None, out, False, 1)
    assert out.shape == (3, 0)
