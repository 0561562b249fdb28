"""Published numbers of the nets."""

import math

import numpy as np
import pytest

from sklearn_dl.gradient_check import eval_numerical_gradient, rel_error
from sklearn_dl.nets import FullyConnected, ThreeLayerConv


def lin(a, b, *shape):
    return np.linspace(a, b, math.prod(shape)).reshape(shape)


def test_published_two_layer():
    net = FullyConnected([50], 5, 7, weight_scale=1e-3, dtype=np.float64)
    net.params["W1"] = lin(-0.7, 0.3, 5, 50)
    net.params["b1"] = lin(-0.1, 0.9, 50)
    net.params["W2"] = lin(-0.3, 0.4, 50, 7)
    net.params["b2"] = lin(-0.9, 0.1, 7)
    X = lin(-5.5, 4.5, 5, 3).T
    expected = [11.53165108, 12.2917344, 13.05181771, 13.81190102, 14.57198434, 15.33206765]
    np.testing.assert_allclose(net.loss(X)[0], [*expected, 16.09215096], rtol=1e-9)
    y = np.array([0, 5, 1])
    loss, _ = net.loss(X, y)
    assert loss == pytest.approx(3.4702243556, rel=1e-10)
    weights = [net.params[name] for name in ("W1", "W2")]
    net.reg = 1.0
    assert net.loss(X, y)[0] == pytest.approx(loss + 0.5 * sum((w**2).sum() for w in weights))


@pytest.mark.parametrize(("normalization", "expected"), [(None, 2.300479089768492), ("batchnorm", 2.2611955101340957)])
def test_published_fully_connected(normalization, expected):
    np.random.seed(231)
    X, y = np.random.randn(2, 15), np.random.randint(10, size=2)
    net = FullyConnected([20, 30], 15, 10, weight_scale=5e-2, dtype=np.float64, normalization=normalization)
    loss, grads = net.loss(X, y)
    assert loss == pytest.approx(expected, rel=1e-13)
    if normalization is None:
        for name, grad in grads.items():
            numerical = eval_numerical_gradient(lambda _: net.loss(X, y)[0], net.params[name])
            assert rel_error(numerical, grad) < (1e-4 if name == "W2" else 1e-6), name


def test_published_three_layer_conv():
    np.random.seed(231)
    X, y = np.random.randn(50, 3, 32, 32), np.random.randint(10, size=50)
    net = ThreeLayerConv()
    loss, _ = net.loss(X, y)
    assert loss == pytest.approx(math.log(10), abs=1e-3)
    net.reg = 0.5
    assert net.loss(X, y)[0] > loss + 0.1
