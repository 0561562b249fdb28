"""Continuing: warm_start and partial_fit."""

import copy
import re

import numpy as np
import pytest

from sklearn_dl import TwoLayerNet

from ._estimators import (
    ARCHITECTURE,
    RULES,
    all_classes,
    assert_same,
    batchnorm,
    blobs,
    each_estimator,
    each_hidden,
    each_of_all,
    learned,
    small,
)


@each_of_all
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("continued", ["warm_start", "partial_fit", "both"])
def test_going_on_is_one_long_fit(cls, rule, continued):
    """Weights, state of the rule, decay, random state and histories: all of them continue."""
    X, y = blobs()
    params = {"update_rule": rule, "lr_decay": 0.7, "learning_rate": 0.01, **batchnorm(cls)}
    whole = small(cls, num_epochs=4, **params).fit(X, y)
    parts = small(cls, num_epochs=2, warm_start=True, **params)
    if continued == "warm_start":
        parts.fit(X, y).fit(X, y)
    elif continued == "both":
        parts.fit(X, y).partial_fit(X, y).partial_fit(X, y)
    else:
        for _ in range(4):
            parts.partial_fit(X, y, **all_classes(cls, 2, 0, 1))
    assert_same(whole, parts)


@each_hidden
def test_going_on_with_dropout_is_one_long_fit(cls):
    X, y = blobs()
    whole = small(cls, num_epochs=4, dropout_keep_ratio=0.6).fit(X, y)
    parts = small(cls, num_epochs=2, dropout_keep_ratio=0.6, warm_start=True).fit(X, y)
    assert_same(whole, parts.fit(X, y))


@each_of_all
def test_without_warm_start_fit_starts_anew(cls):
    X, y = blobs()
    other_X, other_y = blobs(30, 2)
    estimator = small(cls).partial_fit(X, y, **all_classes(cls, 0, 1, 2, 3))
    assert_same(estimator.fit(other_X, other_y), small(cls).fit(other_X, other_y))


@each_of_all
def test_warm_start_continues_with_num_iters(cls):
    X, y = blobs()
    estimator = small(cls, num_iters=6, warm_start=True).fit(X, y)
    assert estimator.fit(X, y).n_iter_ == 4  # of four and two updates each
    assert len(estimator.loss_history_) == 12


@each_of_all
def test_what_may_change_between_fits(cls):
    X, y = blobs()
    estimator = small(cls, warm_start=True).fit(X, y)
    before = dict(learned(estimator))
    estimator.set_params(learning_rate=0, reg=0.3, batch_size=50, update_rule="sgd").fit(X, y)
    for name in estimator.params_:
        np.testing.assert_array_equal(estimator.params_[name], before[name])
    assert estimator.n_iter_ == 6
    # the penalty counts from now on
    assert estimator.loss_history_[-1] > estimator.loss_history_[-4]


@each_of_all
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_the_net_may_not_change(cls, method):
    X, y = blobs()
    estimator = small(cls, warm_start=True).fit(X, y)
    names = estimator.get_params().keys() & ARCHITECTURE.keys()
    for name in names:
        changed = copy.deepcopy(estimator).set_params(**{name: ARCHITECTURE[name]})
        if name == "input_shape":  # the given one, or that of rows of 16 features
            before, after = "(1, 4, 4)", "(1, 2, 8)"
        else:
            before, after = repr(estimator.get_params()[name]), repr(ARCHITECTURE[name])
        before = before.replace("auto", "float32")
        with pytest.raises(ValueError, match=re.escape(f"cannot change {name} from {before} to {after}.")):
            getattr(changed, method)(X, y)
        assert_same(changed, estimator)


def test_net_dtype_continues():
    X, y = blobs(dtype=np.float64)
    net = small(TwoLayerNet, warm_start=True).fit(X, y)
    assert net.fit(X.astype(np.float32), y).params_["W1"].dtype == np.float64


@each_estimator
@pytest.mark.parametrize("labels", [[1, 2, 3], [0, 1, 1], ["a", "b", "c"]])
def test_warm_start_wants_the_same_classes(cls, labels):
    X, y = blobs()
    estimator = small(cls, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"y must hold the classes of the first fit, \[0 1 2\]"):
        estimator.fit(X, np.array(labels)[y])


@each_estimator
def test_partial_fit_of_chunks_is_an_epoch(cls):
    X, y = blobs(64, dtype=np.float64)
    params = {"shuffle": False, "update_rule": "sgd_momentum"}
    whole = small(cls, num_epochs=1, **params).fit(X, y)
    parts = small(cls, **params)
    for start in range(0, 64, 16):
        parts.partial_fit(X[start : start + 16], y[start : start + 16], **all_classes(cls, 0, 1, 2))
    # not to the bit: a single minibatch is sorted first
    for name, value in whole.params_.items():
        np.testing.assert_allclose(parts.params_[name], value, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(parts.loss_history_, whole.loss_history_, rtol=1e-9)
    assert parts.n_iter_ == 4


@each_of_all
def test_partial_fit_is_one_epoch_whatever_fit_would_do(cls):
    X, y = blobs()
    plain = small(cls).partial_fit(X, y, **all_classes(cls, 0, 1, 2))
    busy = small(cls, num_epochs=9, num_iters=30, early_stopping=True, tol=100.0)
    assert_same(plain, busy.partial_fit(X, y, **all_classes(cls, 0, 1, 2)))
    assert plain.n_iter_ == 1
    assert plain.best_val_score_ is None


@each_estimator
def test_partial_fit_knows_classes_it_has_not_seen(cls):
    X, y = blobs()
    estimator = small(cls)
    for label in (0, 1, 2):  # one class at a time
        estimator.partial_fit(X[y == label], y[y == label], classes=np.arange(5))
    assert estimator.predict_proba(X).shape == (50, 5)
    with pytest.raises(ValueError, match=r"y has labels \[5\], .* classes \[0 1 2 3 4\]"):
        estimator.partial_fit(X, y + 3)


@each_estimator
def test_partial_fit_balances_over_all_calls(cls):
    X, y = blobs(90, dtype=np.float64)
    y[10:40] = 0
    weight = np.random.RandomState(0).randint(1, 4, 90)
    seen = np.bincount(y, weight)
    balanced = small(cls, class_weight="balanced")
    explicit = small(cls)
    for rows, totals in ((slice(0, 45), np.bincount(y[:45], weight[:45])), (slice(45, 90), seen)):
        balanced.partial_fit(X[rows], y[rows], classes=[0, 1, 2], sample_weight=weight[rows])
        explicit.partial_fit(X[rows], y[rows], classes=[0, 1, 2], sample_weight=(weight / totals[y])[rows])
    for name, value in balanced.params_.items():
        np.testing.assert_allclose(explicit.params_[name], value, rtol=1e-7, atol=1e-10)


@each_of_all
def test_best_score_outlives_partial_fit(cls):
    X, y = blobs(60)
    estimator = small(cls, early_stopping=True).fit(X, y)
    best = estimator.best_val_score_
    assert estimator.partial_fit(X, y).best_val_score_ == best


def test_warm_start_with_a_validation_set_does_not_end_worse_than_it_began():
    X, y = blobs(100, spread=3.0)
    net = TwoLayerNet(num_epochs=20, warm_start=True, random_state=0)
    before = net.fit(X, y, X_val=X, y_val=y).best_val_score_
    # Steps of this size only do harm.
    net.set_params(learning_rate=0.5, update_rule="sgd_momentum", num_epochs=2)
    assert net.fit(X, y, X_val=X, y_val=y).best_val_score_ >= before
    assert net.score(X, y) >= before


def test_histories_stay_in_step_when_a_later_fit_has_the_first_validation_set():
    X, y = blobs()
    net = TwoLayerNet(num_epochs=2, warm_start=True, random_state=0).fit(X, y)
    net.fit(X, y, X_val=X, y_val=y)
    assert len(net.train_acc_history_) == len(net.val_acc_history_) == 5
    assert np.isnan(net.val_acc_history_[:3]).all()
    assert np.isfinite(net.val_acc_history_[3:]).all()
