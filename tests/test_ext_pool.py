"""Max pooling against NumPy."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import assert_close, draw, dtypes, run

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


@pytest.mark.parametrize("bad", [-1, 4, -(2**31), 2**31 - 1])
def test_max_pool_backward_refuses_indices_outside_the_plane(bad):
    argmax = np.full((1, 1, 1, 1), bad, np.int32)
    with pytest.raises(ValueError, match="argmax"):
        _ext.max_pool_backward(np.ones((1, 1, 1, 1)), argmax, np.empty((1, 1, 2, 2)), 1)
