"""A fit that fails leaves the estimator as it was."""

import copy

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from sklearn_dl import _base

from ._estimators import answers, assert_same, batchnorm, blobs, each_of_all, small


def break_data(estimator, X, y, method, monkeypatch):
    X[3, 3] = np.nan
    getattr(estimator, method)(X, y)


def break_parameter(estimator, X, y, method, monkeypatch):
    estimator.set_params(learning_rate=-1)
    getattr(estimator, method)(X, y)


def diverge(estimator, X, y, method, monkeypatch):
    estimator.set_params(learning_rate=1e38, update_rule="adam")
    getattr(estimator, method)(X, y)


def interrupt(estimator, X, y, method, monkeypatch):
    def wait_for_it(solver, train_loss):
        raise KeyboardInterrupt

    monkeypatch.setattr(_base.Solver, "_end_epoch", wait_for_it)  # after the first epoch's updates
    getattr(estimator, method)(X, y)


FAILURES = {
    break_data: (ValueError, "Input X contains NaN"),
    break_parameter: (ValueError, "learning_rate == -1"),
    diverge: (ValueError, r"learning_rate 1e\+38 is too large"),
    interrupt: (KeyboardInterrupt, None),
}

each_failure = pytest.mark.parametrize("failure", FAILURES, ids=lambda f: f.__name__)


@each_of_all
@each_failure
@pytest.mark.parametrize("method", ["fit", "warm fit", "partial_fit"])
def test_failed_fit_leaves_the_estimator_as_it_was(cls, failure, method, monkeypatch):
    X, y = blobs(16)
    estimator = small(cls, warm_start=method == "warm fit", **batchnorm(cls)).fit(X, y)
    untouched = copy.deepcopy(estimator)
    error, message = FAILURES[failure]
    with monkeypatch.context() as patch, pytest.raises(error, match=message):
        failure(estimator, np.tile(X, (3, 1)), np.tile(y, 3), method.split()[-1], patch)
    assert_same(estimator, untouched)
    np.testing.assert_array_equal(answers(estimator, X), answers(untouched, X))
    # the state of the update rule too
    settings = untouched.get_params()
    estimator.set_params(**settings).partial_fit(X, y)
    assert_same(estimator, untouched.partial_fit(X, y))


@each_of_all
@each_failure
def test_failed_first_fit_leaves_it_unfitted(cls, failure, monkeypatch):
    X, y = blobs()
    estimator = small(cls)
    with pytest.raises(FAILURES[failure][0]):
        failure(estimator, X, y, "fit", monkeypatch)
    assert not [name for name in vars(estimator) if name.endswith("_") or name.startswith("_")]
    with pytest.raises(NotFittedError):
        estimator.predict(X)
