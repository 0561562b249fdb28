"""Predictions of the estimators."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from ._estimators import ESTIMATORS, answers, batchnorm, blobs, each_estimator, each_of_all, methods_of, small


@each_estimator
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_predictions_agree(cls, n_classes, dtype):
    X, y = blobs(60, n_classes, dtype)
    labels = np.array(["ant", "bee", "cat", "dog", "elk"])[y]
    estimator = small(cls).fit(X, labels)
    probabilities = answers(estimator, X)
    assert probabilities.shape == (60, n_classes)
    assert probabilities.dtype == np.float64  # whatever the net computes in
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-14)
    log_probabilities = estimator.predict_log_proba(X)
    np.testing.assert_allclose(np.exp(log_probabilities), probabilities, rtol=1e-12)
    best = estimator.classes_[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(estimator.predict(X), best)
    assert estimator.score(X, labels) == np.mean(best == labels)
    scores = estimator.decision_function(X)
    assert scores.dtype == dtype
    eps = np.finfo(dtype).eps
    if n_classes == 2:
        assert scores.shape == (60,)
        np.testing.assert_array_equal(scores > 0, best == "bee")
        odds = log_probabilities[:, 1] - log_probabilities[:, 0]
        np.testing.assert_allclose(scores, odds, atol=100 * eps)
    else:
        shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
        expected = shifted / shifted.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(probabilities, expected, rtol=100 * eps)


@each_estimator
def test_log_probabilities_are_finite(cls, dtype):
    X, y = blobs(dtype=dtype)
    estimator = small(cls).fit(X, y)
    far = X * dtype(1e8)
    assert (answers(estimator, far) == 0).any()
    assert np.isfinite(estimator.predict_log_proba(far)).all()
    assert estimator.predict_log_proba(far).min() < -1e5


@each_of_all
def test_predictions_do_not_depend_on_batching(cls, dtype):
    X, y = blobs(600, dtype=dtype)
    estimator = small(cls, **batchnorm(cls)).fit(X[:50], y[:50])
    whole = answers(estimator, X)
    tolerance = {"rtol": 100 * np.finfo(dtype).eps, "atol": 0 if cls in ESTIMATORS else 10 * np.finfo(dtype).eps}
    for size in (1, 7, 256, 257):
        parts = [answers(estimator, X[i : i + size]) for i in range(0, 600, size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, **tolerance)
    order = np.random.RandomState(0).permutation(600)
    np.testing.assert_allclose(answers(estimator, X[order]), whole[order], **tolerance)


@each_of_all
def test_concurrent_predictions(cls):
    X, y = blobs(500)
    estimator = small(cls, **batchnorm(cls)).fit(X, y)
    expected = [answers(estimator, X[i:]) for i in range(24)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: answers(estimator, X[i:]), range(24)))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@each_of_all
def test_unfitted(cls):
    X, y = blobs()
    for method in methods_of(cls):
        with pytest.raises(NotFittedError, match=f"This {cls.__name__} instance is not fitted"):
            getattr(cls(), method)(X)
    with pytest.raises(NotFittedError):
        cls().score(X, y)


@each_estimator
def test_single_class(cls):
    X, _ = blobs()
    estimator = small(cls, early_stopping=True).fit(X, np.full(len(X), "only"))
    assert set(estimator.predict(X)) == {"only"}
    np.testing.assert_array_equal(answers(estimator, X), np.ones((len(X), 1)))
    np.testing.assert_array_equal(estimator.predict_log_proba(X), np.zeros((len(X), 1)))


@each_of_all
def test_one_sample(cls):
    X, y = blobs(1)
    estimator = small(cls).fit(X, y)
    assert estimator.predict(X) == y
    assert len(estimator.loss_history_) == 3
