"""Batch, layer and group normalization against NumPy in float64."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import assert_close, draw, dtypes, run

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
