"""Activations in the last pass of products and convolutions: the same bits as the two kernels one after the other."""

import numpy as np
import pytest

from sklearn_dl import _ext

DTYPES = [np.float32, np.float64]
KINDS = list(_ext.activations)


def reals(*shape, dtype, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(dtype)


def weights(*shape, fan_in, dtype):
    """Return weights that give sums of order one: far out results are denormal, which products take for zero."""
    return reals(*shape, dtype=dtype, seed=1) / dtype(max(1, fan_in) ** 0.5)


def activated(x, kind):
    out = np.empty_like(x)
    _ext.activation_forward(x, out, _ext.activations[kind], 1)
    return out


# (N, D, M): a row or two, small products (less columns than lanes, whole panels and one more), products with few
# columns, packed ones with more than one inner block, and in halves of their inputs.
AFFINE = [
    (1, 40, 33),
    (2, 300, 70),
    (7, 20, 1),
    (7, 20, 3),
    (33, 20, 50),
    (65, 33, 100),
    (9, 200, 10),
    (50, 900, 11),
    (70, 300, 129),
    (130, 700, 200),
    (40, 1100, 60),
    (3, 0, 5),
    (0, 4, 5),
]


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", AFFINE)
def test_affine(dtype, kind, shape, n_threads):
    n, d, m = shape
    x, w, b = reals(n, d, dtype=dtype), weights(d, m, fan_in=d, dtype=dtype), reals(m, dtype=dtype, seed=2)
    for bias in (b, None):
        plain, room = np.empty((n, m), dtype), np.full(n * m + 64, 7, dtype)
        out = room[32 : 32 + n * m].reshape(n, m)
        _ext.affine_forward(x, w, bias, plain, 0, 1)
        _ext.affine_forward(x, w, bias, out, _ext.activations[kind], n_threads)
        np.testing.assert_array_equal(out, activated(plain, kind))
        np.testing.assert_array_equal(room[:32], 7)
        np.testing.assert_array_equal(room[-32:], 7)


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [300, 1100])
def test_affine_of_mostly_zeros(dtype, kind, d, n_threads):
    n, m = 70, 257
    x, w, b = reals(n, d, dtype=dtype), weights(d, m, fan_in=d, dtype=dtype), reals(m, dtype=dtype, seed=2)
    x[np.random.RandomState(3).rand(n, d) < 0.9] = 0
    plain, out = np.empty((n, m), dtype), np.empty((n, m), dtype)
    _ext.affine_forward(x, w, b, plain, 0, 1)
    _ext.affine_forward(x, w, b, out, _ext.activations[kind], n_threads)
    np.testing.assert_array_equal(out, activated(plain, kind))


# (C, H, W, F, filter, stride, pad): output rows that fill vectors (rows.h) and that do not, more taps than an inner
# block, strides, filters no multiple of the lanes.
CONVS = [
    (3, 8, 16, 5, 3, 1, 1),
    (3, 16, 32, 33, 3, 1, 1),
    (3, 7, 9, 5, 3, 1, 1),
    (30, 6, 6, 17, 3, 1, 1),
    (2, 11, 13, 20, 4, 2, 1),
    (1, 3, 3, 1, 3, 1, 0),
    (2, 8, 8, 40, 1, 1, 0),
]


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", CONVS)
def test_conv(dtype, kind, sizes, n_threads):
    c, h, w, f, filter_size, stride, pad = sizes
    x, b = reals(3, c, h, w, dtype=dtype), reals(f, dtype=dtype, seed=2)
    filters = weights(f, c, filter_size, filter_size, fan_in=c * filter_size**2, dtype=dtype)
    ho, wo = (h + 2 * pad - filter_size) // stride + 1, (w + 2 * pad - filter_size) // stride + 1
    for bias in (b, None):
        plain, room = np.empty((3, f, ho, wo), dtype), np.full(3 * f * ho * wo + 64, 7, dtype)
        out = room[32:-32].reshape(plain.shape)
        _ext.conv_forward(x, filters, bias, plain, stride, pad, 1)
        _ext.conv_forward(x, filters, bias, out, stride, pad, n_threads, _ext.activations[kind])
        np.testing.assert_array_equal(out, activated(plain, kind))
        np.testing.assert_array_equal(room[:32], 7)
        np.testing.assert_array_equal(room[-32:], 7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_do_not_depend_on_the_batch(dtype, kind):
    x, w, b = reals(65, 20, dtype=dtype), reals(20, 50, dtype=dtype, seed=1), reals(50, dtype=dtype, seed=2)
    whole = np.empty((65, 50), dtype)
    _ext.affine_forward(x, w, b, whole, _ext.activations[kind], 1)
    for rows in (slice(0, 1), slice(3, 5), slice(60, 65)):
        part = np.empty((rows.stop - rows.start, 50), dtype)
        _ext.affine_forward(x[rows], w, b, part, _ext.activations[kind], 1)
        np.testing.assert_array_equal(part, whole[rows])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_passes_through(kind):
    x, w = np.array([[np.nan, 1.0], [1.0, 2.0]]), np.ones((2, 40))
    out = np.empty((2, 40))
    _ext.affine_forward(x, w, None, out, _ext.activations[kind], 1)
    assert np.isnan(out[0]).all()
    assert np.isfinite(out[1]).all()


def test_bad_activation():
    x, w = np.ones((2, 3)), np.ones((3, 4))
    with pytest.raises(ValueError, match="activation must be one of"):
        _ext.affine_forward(x, w, None, np.empty((2, 4)), len(KINDS), 1)
    image = np.ones((1, 1, 4, 4))
    with pytest.raises(ValueError, match="activation must be one of"):
        _ext.conv_forward(image, image, None, np.empty((1, 1, 1, 1)), 1, 0, 1, -1)
