"""Elementwise kernels and the search for numbers that are not finite, against NumPy."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import draw, dtypes, run


@dtypes
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5, 7), (301, 1033)])
def test_scale_by_mask(shape, dtype):
    x = draw(dtype, *shape)
    mask = np.asarray(draw(np.float64, *shape, seed=2) > 0)
    (out,) = run(lambda out, t: _ext.scale_by_mask(x, mask, 1.25, out[0], t), out=[(shape, dtype)])
    np.testing.assert_array_equal(out, x * mask * dtype(1.25))
    in_place = np.array(x)
    _ext.scale_by_mask(in_place, mask, 1.25, in_place, 2)
    np.testing.assert_array_equal(in_place, out)


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
