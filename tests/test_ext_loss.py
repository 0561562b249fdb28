"""The softmax loss against NumPy in float64."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import assert_close, draw, dtypes


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
