"""Stopping by itself, and validation sets."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from sklearn_dl import TwoLayerNet, _base

from ._estimators import ESTIMATORS, answers, batchnorm, blobs, each_estimator, each_of_all, small


@each_of_all
@pytest.mark.parametrize("n_iter_no_change", [1, 4])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_stops_when_mlpclassifier_does(cls, n_iter_no_change, early_stopping):
    X, y = blobs()
    shared = {
        "tol": 1e-3,
        "n_iter_no_change": n_iter_no_change,
        "early_stopping": early_stopping,
        "random_state": 0,
    }
    ours = small(cls, num_epochs=30, learning_rate=0, **shared).fit(X, y)
    theirs = MLPClassifier(learning_rate_init=1e-30, max_iter=30, **shared).fit(X, y)
    assert ours.n_iter_ == theirs.n_iter_ == n_iter_no_change + 2


@each_of_all
def test_early_stopping_waits_longer_where_an_epoch_is_one_update(cls):
    X, y = blobs()
    params = {"learning_rate": 0, "batch_size": 64, "num_epochs": 100, "tol": 0}
    estimator = small(cls, early_stopping=True, n_iter_no_change=2, **params)
    assert estimator.fit(X, y).n_iter_ == 50 + 2
    assert estimator.set_params(n_iter_no_change=60).fit(X, y).n_iter_ == 60 + 2
    assert estimator.set_params(early_stopping=False, n_iter_no_change=2).fit(X, y).n_iter_ == 4


@each_of_all
def test_tol_none_never_stops(cls):
    X, y = blobs()
    assert small(cls, learning_rate=0, num_epochs=15, n_iter_no_change=1).fit(X, y).n_iter_ == 15


def test_tol_is_measured_from_the_best_loss():
    X, y = blobs()
    estimator = small(TwoLayerNet, num_epochs=400, tol=0.01, n_iter_no_change=3, batch_size=50)
    losses = np.array(estimator.fit(X, y).loss_history_)  # one minibatch an epoch
    gains = np.minimum.accumulate(losses)[:-1] - losses[1:] > 0.01
    last_gain = np.flatnonzero(gains)[-1] + 2
    assert estimator.n_iter_ == last_gain + 3 + 1 < 400


@pytest.fixture
def data_seen(monkeypatch):
    """Return what solvers of the estimators were given."""
    seen = []

    class Spy(_base.Solver):
        def __init__(self, net, data, **kwargs):
            seen.append(data)
            super().__init__(net, data, **kwargs)

    monkeypatch.setattr(_base, "Solver", Spy)
    return seen


@each_estimator
@pytest.mark.parametrize("fraction", [0.1, 0.25])
def test_early_stopping_sets_a_stratified_share_aside(cls, fraction, data_seen):
    X, y = blobs(120)
    estimator = small(cls, early_stopping=True, validation_fraction=fraction).fit(X, y)
    (data,) = data_seen
    train, val = data["rows_train"], data["rows_val"]
    np.testing.assert_array_equal(np.sort(np.concatenate([train, val])), np.arange(120))
    np.testing.assert_array_equal(np.bincount(data["y_val"][val]), [40 * fraction] * 3)
    assert len(estimator.loss_history_) == 3 * -(-len(train) // 16)
    assert len(estimator.val_acc_history_) == estimator.n_iter_ + 1


def test_early_stopping_where_a_class_cannot_be_split(data_seen):
    X, y = blobs(40)
    y[0] = 7
    small(TwoLayerNet, early_stopping=True).fit(X, y)
    assert len(data_seen[0]["rows_val"]) == 4


def test_early_stopping_leaves_samples_of_no_weight_out(data_seen):
    X, y = blobs(60)
    weight = np.arange(60) % 2.0
    small(TwoLayerNet, early_stopping=True).fit(X, y, weight)
    rows = np.concatenate([data_seen[0]["rows_train"], data_seen[0]["rows_val"]])
    np.testing.assert_array_equal(np.sort(rows), np.arange(1, 60, 2))


@each_of_all
@pytest.mark.parametrize("early_stopping", [False, True])
def test_best_weights_are_kept(cls, early_stopping):
    X, y = blobs(60, spread=3)
    X_val, y_val = blobs(40, spread=3, seed=3)
    # batchnorm, because its running statistics belong to the weights
    params = {"early_stopping": early_stopping, "num_epochs": 20, **batchnorm(cls)}
    params["learning_rate"] = 0.05
    params["monitor"] = "accuracy" if cls in ESTIMATORS else "r2"
    estimator = small(cls, **params).fit(X, y, X_val=X_val, y_val=y_val)
    history = estimator.val_acc_history_ if cls in ESTIMATORS else estimator.val_r2_history_
    assert len(history) == estimator.n_iter_ + 1 == 21
    assert estimator.best_val_score_ == max(history)
    assert estimator.score(X_val, y_val) == pytest.approx(max(history))
    assert history[-1] < max(history)  # or the test would show nothing
    # of the best ones, the latest
    best = len(history) - 1 - np.argmax(history[::-1])
    again = small(cls, **{**params, "num_epochs": max(best, 1)}).fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_array_equal(answers(estimator, X), answers(again, X))


@each_of_all
def test_early_stopping_watches_the_given_validation_set(cls, data_seen):
    X, y = blobs(60)
    estimator = small(cls, early_stopping=True, learning_rate=0, tol=0, n_iter_no_change=2)
    estimator.set_params(num_epochs=30).fit(X, y, X_val=X[:20], y_val=y[:20])
    assert estimator.n_iter_ == 4
    assert data_seen[0]["rows_train"] is None  # nothing set aside
    assert len(data_seen[0]["X_val"]) == 20


@each_of_all
def test_early_stopping_can_end_num_iters(cls):
    X, y = blobs(60)
    estimator = small(cls, early_stopping=True, learning_rate=0, tol=0, n_iter_no_change=2)
    assert estimator.set_params(num_iters=500).fit(X, y).n_iter_ == 4


@each_of_all
def test_weights_of_the_validation_set_repeat_it(cls):
    X, y = blobs(60, spread=3)
    X_val, y_val = blobs(30, spread=3, seed=1)
    weight = np.arange(30) % 4
    weighted = small(cls).fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    repeated = small(cls).fit(X, y, X_val=np.repeat(X_val, weight, axis=0), y_val=np.repeat(y_val, weight))
    column = "val_accuracy" if cls in ESTIMATORS else "val_r2"
    np.testing.assert_allclose(weighted.history_[column], repeated.history_[column], rtol=1e-12)
    np.testing.assert_array_equal(answers(weighted, X), answers(repeated, X))
