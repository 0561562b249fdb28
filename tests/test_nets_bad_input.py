"""Arguments, data and labels that nets refuse."""

import math

import numpy as np
import pytest

from sklearn_dl.nets import FullyConnected, Net, ThreeLayerConv
from sklearn_dl.nets.layers import Affine, Conv, Dropout, GroupNorm, LayerNorm, MaxPool

from ._nets import assert_same, copies


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: FullyConnected(5.0), TypeError, "hidden_dims must be an integer or a sequence.*got 5"),
        (lambda: FullyConnected("55"), TypeError, "hidden_dims must be.*got '55'"),
        (lambda: FullyConnected([5, 0]), ValueError, r"hidden_dims\[1\] == 0, must be >= 1"),
        (lambda: FullyConnected([2.5]), TypeError, r"hidden_dims\[0\]"),
        (lambda: FullyConnected([], 0), ValueError, "input_dim == 0"),
        (lambda: FullyConnected([], 5, -1), ValueError, "num_classes == -1"),
        (lambda: FullyConnected([], dropout_keep_ratio=0), ValueError, "dropout_keep_ratio == 0"),
        (lambda: FullyConnected([], dropout_keep_ratio=1.5), ValueError, "keep_ratio == 1.5"),
        (lambda: FullyConnected([], normalization="groupnorm"), ValueError, "'batchnorm'.*'group"),
        (lambda: FullyConnected([], normalization=3), ValueError, "normalization must.*got 3"),
        (lambda: FullyConnected([], reg=-1), ValueError, "reg == -1, must be >= 0"),
        (lambda: FullyConnected([], reg=math.nan), ValueError, "reg must be a finite.*nan"),
        (lambda: FullyConnected([], reg="1"), TypeError, "reg must be an instance of"),
        (lambda: FullyConnected([], weight_scale=-1), ValueError, "weight_scale == -1"),
        (lambda: FullyConnected([], weight_scale="she"), ValueError, "weight_scale must .*'she'"),
        (lambda: FullyConnected([], dtype=np.float16), ValueError, "dtype must be.*float16"),
        (lambda: FullyConnected([], dtype=None), ValueError, "dtype must be.*None"),
        (lambda: FullyConnected([], seed=1.5), TypeError, "seed must be.*float"),
        (lambda: FullyConnected([], random_state="a"), ValueError, "'a' cannot be used to seed"),
        (lambda: ThreeLayerConv((3, 32)), ValueError, r"input_dim must be 3 int.*\(3, 32\)"),
        (lambda: ThreeLayerConv(3), TypeError, "input_dim must be 3 integers, got 3"),
        (lambda: ThreeLayerConv((3, 0, 2)), ValueError, r"input_dim\[1\] == 0"),
        (lambda: ThreeLayerConv(num_filters=0), ValueError, "num_filters == 0"),
        (lambda: ThreeLayerConv(filter_size=4), ValueError, "filter_size must be odd.*got 4"),
        (lambda: ThreeLayerConv(filter_size=True), TypeError, "filter_size must.*True"),
        (lambda: ThreeLayerConv(hidden_dim=0), ValueError, "hidden_dim == 0"),
        (lambda: ThreeLayerConv(dropout_keep_ratio=0), ValueError, "dropout_keep_ratio == 0"),
        (lambda: ThreeLayerConv(dropout_keep_ratio=1.5), ValueError, "dropout_keep_ratio == 1.5"),
        (lambda: ThreeLayerConv(dropout_keep_ratio=None), TypeError, "dropout_keep_ratio must be"),
        (lambda: ThreeLayerConv(seed=-1), ValueError, "seed == -1"),
        (lambda: ThreeLayerConv(num_classes=0), ValueError, "num_classes == 0"),
        (lambda: ThreeLayerConv(normalization="layernorm"), ValueError, "'groupnorm'.*'layernorm"),
        (lambda: Net([Affine(3)], ()), ValueError, r"input_shape must.*got \(\)"),
        (lambda: Net([Conv(3, 3)], (3, 4, 4)), ValueError, r"layers must end.*\(3, 4, 4\)"),
        (lambda: Net([Conv(3, 3)], (3,)), ValueError, r"Conv needs images.*\(3,\)"),
        (lambda: Net([MaxPool()], (3,)), ValueError, r"MaxPool needs images.*\(3,\)"),
        (lambda: Net([GroupNorm(1)], (3,)), ValueError, r"GroupNorm needs images.*\(3,\)"),
        (lambda: Net([GroupNorm(2)], (3, 4, 4)), ValueError, "groups must divide the 3 channels.*got 2"),
        (lambda: Net([LayerNorm()], (3, 4, 4)), ValueError, r"LayerNorm needs rows.*\(3, 4, 4\)"),
        (lambda: Net([], (3,)), TypeError, r"layers must be a list of layer objects, got \[\]"),
        (lambda: Net(5, (3,)), TypeError, "layers must be a list of layer objects, got 5"),
        (lambda: Net([Affine(2), 3], (3,)), TypeError, r"layers\[1\] must be a layer object.*got 3"),
        (lambda: Net([Affine], (3,)), TypeError, r"layers\[0\] must be a layer object.*got <class"),
        (lambda: Affine(0), ValueError, "units == 0"),
        (lambda: Affine(2.5), TypeError, "units must be .*float"),
        (lambda: Affine("a"), TypeError, "units must be .*str"),
        (lambda: Conv(-1, 3), ValueError, "filters == -1"),
        (lambda: Conv(2, "a"), TypeError, "filter_size must be .*str"),
        (lambda: Conv(2, 4), ValueError, "filter_size must be odd.*got 4"),
        (lambda: Dropout(2), ValueError, "keep_ratio == 2"),
        (lambda: Dropout(0), ValueError, "keep_ratio == 0"),
        (lambda: Dropout(0.5, seed="a"), TypeError, "seed must be .*str"),
        (lambda: GroupNorm(0), ValueError, "groups == 0"),
    ],
)
def test_bad_construction(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("reg", "error", "message"),
    [
        (-1, ValueError, "reg == -1, must be >= 0"),
        ("a", TypeError, "reg must be .*str"),
        (math.inf, ValueError, "reg must be a finite number, got inf"),
    ],
)
def test_bad_reg_assigned(reg, error, message):
    net = FullyConnected([], reg=0.5)
    with pytest.raises(error, match=message):
        net.reg = reg
    assert net.reg == 0.5


@pytest.mark.parametrize("y", [None, np.zeros(2, int)], ids=["scores", "loss"])
@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros(48), ValueError, r"X must hold.*\(3, 4, 4\).*\(48,\)"),
        (np.zeros((2, 47)), ValueError, r"X must hold.*\(2, 47\)"),
        (np.zeros((2, 4, 4, 3)), ValueError, r"X must hold.*\(2, 4, 4, 3\)"),
        (np.zeros((0, 48)), ValueError, r"at least one sample.*\(0, 48\)"),
        (np.zeros((2, 0)), ValueError, r"X must hold.*\(2, 0\)"),
        (np.zeros((2, 48), complex), TypeError, "X must be an array of numbers.*complex128"),
        ([["a"] * 48] * 2, TypeError, "X must be an array of numbers.*<U1"),
    ],
)
def test_bad_X(X, y, error, message):
    with pytest.raises(error, match=message):
        ThreeLayerConv((3, 4, 4)).loss(X, y)


@pytest.mark.parametrize(
    ("y", "weight", "message"),
    [
        ([0, 1, 2], None, r"y must be 2 integers.*\(3,\)"),
        ([[0], [1]], None, r"y must be 2 integers.*\(2, 1\)"),
        ([0.0, 1.0], None, "y must be 2 integers.*float64"),
        ([0, 10], None, "y must hold integers from 0 to 9, got 0 to 10"),
        ([0, -1], None, "y must hold integers from 0 to 9, got -1 to 0"),
        ([0, 1], [1, 2, 3], r"^sample_weight must have shape.*\(2,\).*\(3,\)"),
        ([0, 1], [-1, 2], "^sample_weight must be.*non-negative.*-1"),
        ([0, 1], [0, 0], r"^sample_weight must be.*not all zero, got .*0\.0 to 0\.0"),
        ([0, 1], [1, math.nan], "^sample_weight must be finite.*got values from nan"),
    ],
)
@pytest.mark.parametrize("normalization", [None, "batchnorm"])
def test_bad_y_and_weights(y, weight, message, normalization):
    net = FullyConnected([4], 3, normalization=normalization)
    before = copies(net.statistics)
    with pytest.raises(ValueError, match=message):
        net.loss(np.ones((2, 3)), y, weight)
    assert_same(net.statistics, before)
