"""Elementwise kernels and the search for numbers that are not finite, against NumPy."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import draw, dtypes, run


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
