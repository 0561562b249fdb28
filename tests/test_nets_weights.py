"""First weights of the nets."""

import math

import numpy as np
import pytest

from sklearn_dl.nets import FullyConnected, Net, ThreeLayerConv
from sklearn_dl.nets.layers import Affine, Conv, GroupNorm, MaxPool, ReLU

from ._nets import assert_same, batch, make


def test_weights_are_drawn_layer_by_layer_from_the_global_generator():
    np.random.seed(231)
    net = FullyConnected([4, 3], 5, 2, normalization="batchnorm", weight_scale=0.1, dtype=float)
    after = np.random.rand()
    np.random.seed(231)
    assert_same(
        net.params,
        {
            "W1": 0.1 * np.random.randn(5, 4),
            "b1": np.zeros(4),
            "gamma1": np.ones(4),
            "beta1": np.zeros(4),
            "W2": 0.1 * np.random.randn(4, 3),
            "b2": np.zeros(3),
            "gamma2": np.ones(3),
            "beta2": np.zeros(3),
            "W3": 0.1 * np.random.randn(3, 2),
            "b3": np.zeros(2),
        },
    )
    assert np.random.rand() == after


def test_conv_weights_are_drawn_layer_by_layer():
    net = ThreeLayerConv((2, 7, 4), 8, 3, 6, 5, normalization="groupnorm", random_state=3)
    rng = np.random.RandomState(3)
    assert_same(
        net.params,
        {
            "W1": (1e-3 * rng.randn(8, 2, 3, 3)).astype(np.float32),
            "b1": np.zeros(8),
            "gamma1": np.ones((1, 8, 1, 1)),
            "beta1": np.zeros((1, 8, 1, 1)),
            "W2": (1e-3 * rng.randn(8 * 3 * 2, 6)).astype(np.float32),
            "b2": np.zeros(6),
            "W3": (1e-3 * rng.randn(6, 5)).astype(np.float32),
            "b3": np.zeros(5),
        },
    )
    assert {value.dtype for value in net.params.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("scheme", ["he", "xavier"])
def test_weight_schemes(scheme):
    expected = {
        "he": [2 / (3 * 25), 2 / (32 * 16), 2 / 200],
        "xavier": [2 / (28 * 25 + 7 * 25), 2 / (32 * 16 + 200), 2 / 300],
    }[scheme]
    if scheme == "xavier":
        expected[0] = 2 / ((3 + 32) * 25)
    net = ThreeLayerConv((3, 8, 8), 32, 5, 200, 100, weight_scale=scheme, random_state=0)
    for name, variance in zip(("W1", "W2", "W3"), expected, strict=True):
        assert net.params[name].std() == pytest.approx(math.sqrt(variance), rel=0.05)


@pytest.mark.parametrize(("num_filters", "groups"), [(1, 1), (4, 1), (6, 1), (7, 1), (8, 2), (12, 3), (32, 8)])
def test_group_norm_has_at_least_four_channels_in_a_group(num_filters, groups):
    net = make(ThreeLayerConv, ((1, 2, 2), num_filters, 1), {"normalization": "groupnorm"})
    reference = Net(
        [Conv(num_filters, 1), GroupNorm(groups), ReLU(), MaxPool()] + [Affine(100), ReLU(), Affine(10)],
        (1, 2, 2),
        dtype=np.float64,
    )
    reference.params.update(net.params)
    X, _ = batch(net)
    np.testing.assert_allclose(net.loss(X), reference.loss(X), rtol=1e-12)
