"""Gradients of whole nets, against numerical ones; weights of samples."""

import itertools

import numpy as np
import pytest

from sklearn_dl.gradient_check import check_net
from sklearn_dl.nets import FullyConnected, Net, ThreeLayerConv
from sklearn_dl.nets.layers import Affine, BatchNorm, Conv, Dropout, GroupNorm, LayerNorm, MaxPool, ReLU

from ._nets import CONV, assert_same, batch, copies, every_net, make

FC_CASES = list(
    itertools.product(
        ([], [7], [7, 6], [7, 6, 5], [7, 6, 8, 5]),
        (None, "batchnorm", "layernorm"),
        (1, 0.7),
        (0, 0.3),
    )
)

CONV_CASES = [
    *itertools.product([(2, 5, 4)], [1, 3, 5, 7], (None, "batchnorm", "groupnorm"), (0, 0.3)),
    *itertools.product([(1, 1, 6), (3, 7, 3), (2, 4, 1)], [3], (None, "batchnorm"), (0.3,)),
]


def check_both_dtypes(cls, args, options):
    """Check float64 gradients numerically, and float32 gradients against float64 ones."""
    net = make(cls, args, options)
    X, y = batch(net)
    check_net(net, X, y, h=1e-6, tol=2e-6)
    single = make(cls, args, options, dtype=np.float32)
    single.params.update(net.params)
    loss, grads = single.loss(X, y)
    assert isinstance(loss, float)
    expected_loss, expected = net.loss(X.astype(np.float32), y)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert {grad.dtype for grad in grads.values()} == {np.dtype(np.float32)}
    assert_same(grads, expected, rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize(("hidden", "normalization", "keep", "reg"), FC_CASES)
def test_gradients_of_fully_connected(hidden, normalization, keep, reg):
    options = {"normalization": normalization, "dropout_keep_ratio": keep, "seed": 5, "reg": reg}
    check_both_dtypes(FullyConnected, (hidden, 9, 5), options)


@pytest.mark.parametrize(("shape", "size", "normalization", "reg"), CONV_CASES)
def test_gradients_of_three_layer_conv(shape, size, normalization, reg):
    options = {**CONV, "filter_size": size, "normalization": normalization, "reg": reg}
    check_both_dtypes(ThreeLayerConv, (shape,), options)


@pytest.mark.parametrize("normalization", [None, "batchnorm", "groupnorm"])
@pytest.mark.parametrize("keep", [0.5, 0.7])
def test_gradients_of_three_layer_conv_with_dropout(normalization, keep):
    options = {**CONV, "normalization": normalization, "dropout_keep_ratio": keep, "seed": 5, "reg": 0.3}
    check_both_dtypes(ThreeLayerConv, ((2, 5, 4),), options)


def test_gradients_of_a_net_of_all_layers():
    layers = [Conv(8, 3), GroupNorm(2), ReLU(), Conv(3, 1), BatchNorm(), ReLU(), MaxPool()]
    layers += [Affine(7), LayerNorm(), ReLU(), Dropout(0.6, seed=1), Affine(6), BatchNorm()]
    layers += [ReLU(), Affine(4)]
    check_both_dtypes(Net, (layers, (2, 5, 7)), {"reg": 0.1})


def test_penalty_is_on_weights_only():
    net = make(FullyConnected, ([4], 3, 2), {"normalization": "layernorm"})
    X, y = batch(net)
    loss, grads = net.loss(X, y)
    net.reg = 0.4
    penalized, with_reg = net.loss(X, y)
    W1, W2 = net.params["W1"], net.params["W2"]
    assert net.penalty() == pytest.approx(0.2 * ((W1**2).sum() + (W2**2).sum()))
    assert penalized == pytest.approx(loss + net.penalty())
    assert net.weight_names == ["W1", "W2"]
    for name in net.weight_names:
        grads[name] += 0.4 * net.params[name]
    assert_same(with_reg, grads, rtol=1e-12)


@every_net
def test_weights_act_as_repetition(cls, args, options, dtype, tol):
    net, repeating = (make(cls, args, options, dtype=dtype) for _ in range(2))
    X, y = batch(net)
    weight = np.array([1, 3, 0, 2, 1, 1])
    loss, grads = net.loss(X, y, weight)
    expected_loss, expected = repeating.loss(np.repeat(X, weight, 0), np.repeat(y, weight))
    assert loss == pytest.approx(expected_loss, rel=1e-5 if dtype == np.float32 else 1e-12)
    assert_same(grads, expected, **tol)
    assert_same(net.statistics, repeating.statistics, **tol)


@every_net
def test_total_weight_is_what_the_losses_are_divided_by(cls, args, options):
    net = make(cls, args, options)
    X, y = batch(net)
    weight = np.array([0.5, 1, 2, 0, 1, 0.5])
    loss, grads = net.backprop(X, y, weight)
    grads = copies(grads)
    scaled, scaled_grads = net.backprop(X, y, weight, total_weight=2.5)
    assert scaled == pytest.approx(2 * loss)
    assert_same(scaled_grads, {k: 2 * g for k, g in grads.items()}, rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match="total_weight must be positive, got 0"):
        net.backprop(X, y, weight, total_weight=0)
