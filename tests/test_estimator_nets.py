"""The nets of the estimators: first weights, penalty, architecture."""

import itertools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, TwoLayerNet

from ._estimators import assert_same, blobs, each_of_all, small


def initial(cls, X, y, **params):
    """Return the parameters that an estimator starts with."""
    return small(cls, learning_rate=0, **params).fit(X, y).params_


@each_of_all
def test_first_weights(cls):
    X, y = blobs()
    drawn = initial(cls, X, y, weight_scale=0.25)
    rng = np.random.RandomState(0)
    for name, value in drawn.items():
        if name.startswith("W"):
            expected = (0.25 * rng.randn(*value.shape)).astype(np.float32)
            np.testing.assert_array_equal(value, expected)
            fan_in, fan_out = (value[0].size, value[:, 0].size) if value.ndim == 4 else value.shape
            for scheme, scale in (
                ("he", np.sqrt(2 / fan_in)),
                ("xavier", np.sqrt(2 / (fan_in + fan_out))),
            ):
                scaled = initial(cls, X, y, weight_scale=scheme)[name]
                np.testing.assert_allclose(scaled, value * (scale / 0.25), rtol=1e-6)
        else:
            assert not value.any()


@each_of_all
def test_penalty(cls):
    X, y = blobs(dtype=np.float64)
    weights = initial(cls, X, y, weight_scale=0.3)
    squares = sum((w**2).sum() for name, w in weights.items() if name.startswith("W"))
    losses = [small(cls, weight_scale=0.3, reg=reg, num_iters=1).fit(X, y).loss_history_[0] for reg in (0, 0.1)]
    # Softmax's published tables have no half.
    factor = 1 if cls is Softmax else 0.5
    assert losses[1] - losses[0] == pytest.approx(factor * 0.1 * squares)


def test_softmax_finds_the_optimum_of_logistic_regression():
    X, y = blobs(60, dtype=np.float64)
    net = Softmax(reg=0.01, num_epochs=2000, batch_size=60, learning_rate=0.05, tol=None)
    net.set_params(lr_decay=0.998, random_state=0).fit(X, y)
    reference = LogisticRegression(C=1 / (2 * 0.01 * 60), tol=1e-8, max_iter=5000).fit(X, y)
    np.testing.assert_allclose(net.params_["W1"].T, reference.coef_, atol=1e-4)
    np.testing.assert_allclose(net.predict_proba(X), reference.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("hidden_dims", [(), [5], (4, 3, 2), np.array([4, 3])], ids=len)
def test_hidden_dims(hidden_dims):
    X, y = blobs()
    params = FullyConnectedNet(hidden_dims=hidden_dims, num_epochs=1).fit(X, y).params_
    sizes = [16, *hidden_dims, 3]
    shapes = [params[f"W{i + 1}"].shape for i in range(len(params) // 2)]
    assert shapes == list(itertools.pairwise(sizes))


def test_two_layer_net_is_a_fully_connected_net():
    X, y = blobs()
    two = small(TwoLayerNet, hidden_dim=7, normalization="batchnorm", dropout_keep_ratio=0.8)
    any_depth = small(FullyConnectedNet, hidden_dims=[7], normalization="batchnorm", dropout_keep_ratio=0.8)
    assert_same(two.fit(X, y), any_depth.fit(X, y))


@pytest.mark.parametrize("cls", [TwoLayerNet, FullyConnectedNet, FullyConnectedRegressor])
def test_batch_normalization_of_single_samples_is_refused(cls):
    X, y = blobs(12)
    net = small(cls, normalization="batchnorm", batch_size=1)
    with pytest.raises(ValueError, match=r"BatchNorm\(\) needs .* at least 2 .* batch_size=1 and n_samples=12"):
        net.fit(X, y)
    net.set_params(normalization="layernorm").fit(X, y)
    net.set_params(normalization="batchnorm", batch_size=2).fit(X, y)
