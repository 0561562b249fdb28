"""Kernels of small nets: products without packing, draws, labels, running statistics, evaluation."""

import numpy as np
import pytest

from sklearn_dl import _ext

DTYPES = [np.float32, np.float64]
TOLERANCES = {np.float32: 1e-5, np.float64: 1e-13}


def guarded(shape, dtype):
    """Return an array to write to, and the memory around it, of which nothing else may be written."""
    size = int(np.prod(shape))
    room = np.full(size + 64, 7, dtype)
    return room[32 : 32 + size].reshape(shape), room


def assert_only_inside(room):
    np.testing.assert_array_equal(room[:32], 7)
    np.testing.assert_array_equal(room[-32:], 7)


def reals(*shape, dtype, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(dtype)


# As few columns as a vector has no lanes for, whole vectors and panels of every instruction set, and one more.
COLUMNS = [1, 2, 3, 5, 8, 10, 15, 16, 17, 20, 31, 32, 33, 50, 64, 100]


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("m", COLUMNS)
@pytest.mark.parametrize(("n", "d"), [(3, 1), (7, 20), (32, 20), (65, 33), (129, 256), (300, 64)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_products(dtype, n, d, m, n_threads):
    x, w, b = reals(n, d, dtype=dtype), reals(d, m, dtype=dtype, seed=1), reals(m, dtype=dtype, seed=2)
    dout = reals(n, m, dtype=dtype, seed=3)
    out, out_room = guarded((n, m), dtype)
    dw, dw_room = guarded((d, m), dtype)
    dx, dx_room = guarded((n, d), dtype)
    wide_x, wide_w, wide_dout = (a.astype(np.float64) for a in (x, w, dout))
    tolerance = {"rtol": 0, "atol": TOLERANCES[dtype] * max(n, d, m)}

    for relu in (False, True):
        _ext.affine_forward(x, w, b, out, relu, n_threads)
        expected = wide_x @ wide_w + b
        np.testing.assert_allclose(out, expected.clip(0) if relu else expected, **tolerance)
    _ext.affine_forward(x, w, None, out, False, n_threads)
    np.testing.assert_allclose(out, wide_x @ wide_w, **tolerance)
    _ext.affine_backward_dw(x, dout, dw, None, n_threads)
    np.testing.assert_allclose(dw, wide_x.T @ wide_dout, **tolerance)
    _ext.affine_backward_dx(dout, w, dx, n_threads)
    np.testing.assert_allclose(dx, wide_dout @ wide_w.T, **tolerance)
    for room in (out_room, dw_room, dx_room):
        assert_only_inside(room)


@pytest.mark.parametrize("m", COLUMNS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_depend_on_nothing_else(dtype, m):
    x, w, b = reals(40, 30, dtype=dtype), reals(30, m, dtype=dtype, seed=1), reals(m, dtype=dtype, seed=2)
    whole = np.empty((40, m), dtype)
    _ext.affine_forward(x, w, b, whole, True, 1)
    for rows in (slice(0, 1), slice(3, 5), slice(7, 20), slice(1, 40)):
        part = np.empty((len(x[rows]), m), dtype)
        _ext.affine_forward(x[rows], w, b, part, True, 2)
        np.testing.assert_array_equal(part, whole[rows])


@pytest.mark.parametrize("n_classes", [1, 2, 3, 10, 16, 17, 32, 33, 100])
@pytest.mark.parametrize("n", [1, 5, 16, 37])
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_loss(dtype, n, n_classes):
    scores = 10 * reals(n, n_classes, dtype=dtype)
    y = np.random.RandomState(1).randint(0, n_classes, n)
    weight = np.random.RandomState(2).rand(n) + 0.1
    dscores, room = guarded(scores.shape, dtype)
    loss = _ext.softmax_loss(scores, y, weight, dscores, 0)

    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    probabilities = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    share = weight / weight.sum()
    expected = share @ (np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(n), y])
    probabilities[np.arange(n), y] -= 1
    np.testing.assert_allclose(loss, expected, rtol=TOLERANCES[dtype], atol=1e-12)
    np.testing.assert_allclose(dscores, share[:, None] * probabilities, atol=TOLERANCES[dtype])
    assert_only_inside(room)
    assert _ext.softmax_loss(scores, y, weight, None, 0) == loss
    assert _ext.softmax_loss(scores, y, weight, scores, 0) == loss
    np.testing.assert_array_equal(scores, dscores)


@pytest.mark.parametrize("n_classes", [3, 40])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_softmax_loss_of_what_is_not_finite(bad, dtype, n_classes):
    for column in (0, 2):
        scores = reals(20, n_classes, dtype=dtype)
        scores[13, column] = bad
        assert np.isnan(_ext.softmax_loss(scores, np.ones(20, np.int64), None, scores, 0))
        assert np.isnan(scores[13]).any()
        assert np.isfinite(np.delete(scores, 13, axis=0)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_scores_far_apart(dtype):
    scores = np.zeros((18, 4), dtype)
    scores[:, 0] = -np.finfo(dtype).max
    scores[5, 0] = -np.inf
    loss = _ext.softmax_loss(scores, np.ones(18, np.int64), None, scores, 0)
    assert loss == pytest.approx(np.log(3))
    np.testing.assert_array_equal(scores[:, 0], 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_judge_scores(dtype, weighted):
    scores = reals(50, 4, dtype=dtype)
    scores[7] = 1  # the first of equal scores is the best
    y = np.random.RandomState(1).randint(0, 3, 50)
    weight = np.random.RandomState(2).rand(50) if weighted else None
    predicted = np.zeros(4, bool)
    found = _ext.judge_scores(scores, y, weight, predicted)
    best = scores.argmax(axis=1)
    assert found == pytest.approx((np.ones(50) if weight is None else weight)[best == y].sum())
    np.testing.assert_array_equal(predicted, np.isin(np.arange(4), best))
    for bad in (np.nan, np.inf, -np.inf):
        scores[3, 2] = bad
        assert np.isnan(_ext.judge_scores(scores, y, weight, predicted))


@pytest.mark.parametrize("keep_ratio", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(0,), (1,), (7, 9), (3, 4, 50)])
def test_draw_mask(shape, keep_ratio):
    ours, theirs = np.random.RandomState(3), np.random.RandomState(3)
    mask = np.empty(shape, bool)
    _ext.draw_mask(ours._bit_generator, keep_ratio, mask)
    np.testing.assert_array_equal(mask, theirs.rand(*shape) < keep_ratio)
    assert ours.rand() == theirs.rand()


@pytest.mark.parametrize("dtype", DTYPES)
def test_update_average(dtype):
    average, batch = reals(37, dtype=dtype), reals(37, dtype=dtype, seed=1)
    expected = average * dtype(0.9) + batch * dtype(1 - 0.9)
    _ext.update_average(average, batch, 0.9)
    np.testing.assert_array_equal(average, expected)


def test_weights():
    weight = np.random.RandomState(0).rand(20)
    shares = np.empty(20)
    _ext.weight_shares(weight, shares)
    np.testing.assert_allclose(shares, weight / weight.sum(), rtol=1e-14)
    assert _ext.sum_of_weights(weight) == pytest.approx(weight.sum())


@pytest.mark.parametrize("items", [np.arange(10), np.linspace(0, 1, 10)])
def test_gather_items(items):
    indices, out = np.array([3, 3, 9, 0]), np.empty(4, items.dtype)
    _ext.gather_items(items, indices, out)
    np.testing.assert_array_equal(out, items[indices])
    with pytest.raises(IndexError, match=r"indices must be in \[0, 10\), got 10"):
        _ext.gather_items(items, np.array([3, 10, 1, 1]), out)
    with pytest.raises(TypeError, match="items must be int64 or float64"):
        _ext.gather_items(items.astype(np.float32), indices, out)
    with pytest.raises(ValueError, match="out must have length 4"):
        _ext.gather_items(items, indices, out[:3])
