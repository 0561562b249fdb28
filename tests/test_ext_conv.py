"""Convolutions against NumPy in float64, alone and with relu and pooling."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import assert_close, draw, dtypes, run


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
