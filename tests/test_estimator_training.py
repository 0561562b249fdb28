"""Training of the estimators: what is learned, number of updates, random numbers, output."""

import re

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from sklearn_dl import FullyConnectedNet, ThreeLayerConvNet, TwoLayerNet

from ._estimators import ESTIMATORS, assert_differ, assert_same, blobs, each_estimator, each_hidden, each_of_all, small


@each_estimator
def test_learned_attributes(cls):
    X, y = blobs()
    estimator = small(cls).fit(X, y)
    np.testing.assert_array_equal(estimator.classes_, [0, 1, 2])
    assert estimator.n_features_in_ == 16
    assert not hasattr(estimator, "feature_names_in_")
    assert estimator.n_iter_ == 3
    assert len(estimator.loss_history_) == 3 * 4  # 50 samples are four minibatches
    assert len(estimator.train_acc_history_) == 3 + 1  # before training as well
    assert estimator.train_acc_history_[-1] == pytest.approx(estimator.score(X, y))
    assert estimator.val_acc_history_ == []
    assert estimator.best_val_score_ is None
    assert estimator.running_stats_ == {}
    assert all(type(loss) is float for loss in estimator.loss_history_)
    assert ("input_shape_" in vars(estimator)) == (cls is ThreeLayerConvNet)


@each_hidden
def test_running_statistics(cls):
    X, y = blobs()
    estimator = small(cls, normalization="batchnorm").fit(X, y)
    depth = 2 if cls is FullyConnectedNet else 1
    assert set(estimator.running_stats_) == {f"running_{what}{i + 1}" for what in ("mean", "var") for i in range(depth)}
    assert all(value.any() for value in estimator.running_stats_.values())


@each_of_all
@pytest.mark.parametrize("num_iters", [1, 3, 4, 5, 12, 14])
def test_num_iters_is_exact(cls, num_iters):
    X, y = blobs()  # four minibatches an epoch
    # tol would stop at once, if it counted
    estimator = small(cls, num_iters=num_iters, num_epochs=1, tol=100.0, n_iter_no_change=1)
    estimator.fit(X, y)
    assert len(estimator.loss_history_) == num_iters
    assert estimator.n_iter_ == -(-num_iters // 4)


def test_num_iters_of_whole_epochs_are_those_epochs():
    X, y = blobs()
    assert_same(small(TwoLayerNet, num_iters=8).fit(X, y), small(TwoLayerNet, num_epochs=2).fit(X, y))


@each_of_all
def test_same_random_state_same_bits(cls, use_threads):
    X, y = blobs(120)
    params = {"dropout_keep_ratio": 0.7} if "dropout_keep_ratio" in cls().get_params() else {}
    use_threads(1)
    first = small(cls, **params).fit(X, y)
    assert_same(first, small(cls, **params).fit(X, y))
    assert_same(first, first.fit(X, y))
    assert_same(first, small(cls, **params, random_state=np.random.RandomState(0)).fit(X, y))
    use_threads(2)
    assert_same(first, small(cls, **params).fit(X, y))
    assert_differ(first, small(cls, **params, random_state=1).fit(X, y), X)


@each_of_all
def test_no_random_state_is_the_global_one(cls):
    X, y = blobs()
    np.random.seed(5)
    first = small(cls, random_state=None).fit(X, y)
    assert_differ(first, small(cls, random_state=None).fit(X, y), X)
    assert_same(first, small(cls, random_state=5).fit(X, y))


@each_of_all
def test_random_state_instance_goes_on(cls):
    X, y = blobs()
    rng = np.random.RandomState(0)
    first, second = (small(cls, random_state=rng).fit(X, y) for _ in range(2))
    assert_differ(first, second, X)


@each_of_all
@pytest.mark.parametrize("verbose", [0, False, 1, True, 2])
def test_verbose(cls, verbose, capsys):
    X, y = blobs()
    loud = small(cls, verbose=verbose, num_iters=11).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    score = r"acc: [01]\.\d{6}" if cls in ESTIMATORS else r"r2: -?\d\.\d{6}"
    epochs = [line for line in lines if re.fullmatch(rf"\(Epoch \d/3\) (loss: \S+; )?train {score}", line)]
    updates = [line for line in lines if re.fullmatch(r"\(Iteration \d+/11\) loss: \d\.\d{6}", line)]
    assert len(epochs) == (4 if verbose else 0)
    assert len(updates) == (2 if verbose == 2 else 0)
    ending = ["Training ended after epoch 3: all updates are done."] if verbose else []
    assert lines[len(epochs) + len(updates) :] == ending
    assert_same(loud, small(cls, num_iters=11).fit(X, y))


def test_balanced_is_scikit_learns():
    X, y = blobs(dtype=np.float64)
    y[:20] = 0
    balanced = small(TwoLayerNet, class_weight="balanced").fit(X, y)
    explicit = small(TwoLayerNet).fit(X, y, compute_sample_weight("balanced", y))
    assert_same(balanced, explicit, rtol=1e-9, atol=1e-12)
