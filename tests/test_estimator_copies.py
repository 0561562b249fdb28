"""Pickles, copies and clones of the estimators."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from sklearn_dl import FullyConnectedRegressor

from ._estimators import (
    ARCHITECTURE,
    ESTIMATORS,
    answers,
    assert_same,
    batchnorm,
    blobs,
    each_estimator,
    each_of_all,
    quantities,
    small,
)


def by_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


@each_of_all
@pytest.mark.parametrize("copied", [by_pickle, copy.deepcopy, copy.copy])
@pytest.mark.parametrize("rule", ["sgd_momentum", "adam"])
def test_copies_go_on_as_the_original(cls, copied, rule):
    X, y = blobs()
    original = small(cls, update_rule=rule, reg=0.01, **batchnorm(cls)).fit(X, y)
    twin = copied(original)
    assert_same(twin, original)
    np.testing.assert_array_equal(answers(twin, X), answers(original, X))
    if copied is not copy.copy:  # which shares the random state
        before = answers(original, X)
        twin.partial_fit(X, y)
        np.testing.assert_array_equal(answers(original, X), before)
        assert_same(twin, original.partial_fit(X, y))


@each_of_all
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_training_goes_on_from_a_mapped_file_and_leaves_it_as_it_is(cls, mode, tmp_path):
    """As in a worker of joblib, which maps the large arrays of what it is given."""
    X, y = blobs()
    original = small(cls, update_rule="adam", **batchnorm(cls)).fit(X, y)
    path = tmp_path / "net.joblib"
    joblib.dump(original, path)
    before = path.read_bytes()
    mapped = joblib.load(path, mmap_mode=mode)
    np.testing.assert_array_equal(answers(mapped, X), answers(original, X))
    assert_same(mapped.partial_fit(X, y), original.partial_fit(X, y))
    assert path.read_bytes() == before


@each_of_all
@pytest.mark.parametrize("copied", [by_pickle, copy.deepcopy])
def test_copies_after_set_params(cls, copied):
    X, y = blobs()
    original = small(cls).fit(X, y)
    original.set_params(**{name: ARCHITECTURE[name] for name in original.get_params() if name in ARCHITECTURE})
    twin = copied(original)
    np.testing.assert_array_equal(answers(twin, X), answers(original, X))
    assert twin.get_params() == original.get_params()


@each_of_all
def test_unfitted_copies(cls):
    original = small(cls, **({"class_weight": {0: 2.0}} if cls in ESTIMATORS else {"delta": 2.0}))
    for twin in (by_pickle(original), copy.deepcopy(original)):
        assert twin.get_params() == original.get_params()
        assert not hasattr(twin, "params_")


@each_of_all
def test_clone_of_a_fitted_estimator_is_unfitted(cls):
    X, y = blobs()
    fitted = small(cls).fit(X, y)
    assert not hasattr(clone(fitted), "params_")
    assert_same(clone(fitted).fit(X, y), fitted)


@each_estimator
def test_learned_parameters_can_be_replaced(cls):
    X, y = blobs()
    estimator = small(cls).fit(X, y)
    for name, value in estimator.params_.items():
        estimator.params_[name] = np.zeros(value.shape)
    np.testing.assert_allclose(estimator.predict_proba(X), 1 / 3, rtol=1e-6)
    with pytest.raises(ValueError, match=r"params\['b1'\] must have shape"):
        estimator.params_["b1"] = np.zeros(99)


def test_learned_parameters_of_a_regressor_can_be_replaced():
    X, y = quantities(n_outputs=2)
    estimator = small(FullyConnectedRegressor).fit(X, y)
    for name, value in estimator.params_.items():
        estimator.params_[name] = np.zeros(value.shape)
    np.testing.assert_array_equal(estimator.predict(X), np.tile(estimator.y_mean_, (len(X), 1)))
