"""Gathering rows, against NumPy's indexing."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import draw, dtypes, run


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
