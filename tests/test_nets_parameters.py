"""Parameters of nets, and copies of nets."""

import copy
import pickle

import numpy as np
import pytest

from sklearn_dl.nets import FullyConnected, Net
from sklearn_dl.nets.layers import Affine, BatchNorm, ReLU

from ._nets import assert_same, batch, copies, every_net, make


def test_params_are_copied_and_converted():
    net = FullyConnected([], 3, 2)
    for value in (np.arange(6.0), np.arange(6, dtype=np.float32)):
        for order in "CF":
            value = np.asarray(value.reshape(3, 2), order=order)
            net.params["W1"] = value
            value[:] += 1
            held = net.params["W1"]
            np.testing.assert_array_equal(held, value - 1)
            assert held.dtype == np.float32
            assert held.flags.c_contiguous
    net.params.update(b1=[1, 2])
    net.params |= {"W1": np.zeros((3, 2))}
    np.testing.assert_array_equal(net.loss(np.ones((1, 3))), [[1, 2]])


@pytest.mark.parametrize(
    ("assign", "error", "message"),
    [
        (lambda p: p.__setitem__("W1", np.zeros((2, 3))), ValueError, r"W1.*\(3, 2\).*\(2, 3\)"),
        (lambda p: p.__setitem__("b1", 0), ValueError, r"params\['b1'\] must have shape \(2,\)"),
        (lambda p: p.__setitem__("w1", 0), KeyError, r"no parameter 'w1', only W1, b1"),
        (lambda p: p.update({"W2": 0}), KeyError, "no parameter 'W2'"),
        (lambda p: p.__ior__({"W2": 0}), KeyError, "no parameter 'W2'"),
    ],
)
def test_params_refuse(assign, error, message):
    net = FullyConnected([], 3, 2, random_state=0)
    before = copies(net.params)
    with pytest.raises(error, match=message):
        assign(net.params)
    assert_same(net.params, before)


@every_net
@pytest.mark.parametrize(
    "through", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"]
)
def test_copies_are_equal_and_independent(cls, args, options, through):
    net = make(cls, args, options, reg=0.1)
    X, y = batch(net)
    net.loss(X, y)
    twin = through(net)
    assert type(twin) is cls
    before = copies({**net.params, **net.statistics})
    assert_same({**twin.params, **twin.statistics}, before)
    np.testing.assert_array_equal(twin.loss(X), net.loss(X))
    loss, grads = twin.loss(X, y)
    for value in twin.params.values():
        value += 1
    assert_same({**net.params, **net.statistics}, before)
    again, expected = net.loss(X, y)
    assert loss == again
    assert_same(grads, expected)
    with pytest.raises(KeyError):
        twin.params["W9"] = 0


def test_copies_go_on_with_the_same_dropout_masks():
    net = make(FullyConnected, ([50], 9, 5), {"dropout_keep_ratio": 0.5})
    X, y = batch(net)
    net.loss(X, y)
    twin = pickle.loads(pickle.dumps(net))
    losses = [net.loss(X, y)[0] for _ in range(3)]
    assert [twin.loss(X, y)[0] for _ in range(3)] == losses


def test_pickle_holds_no_buffers():
    net = FullyConnected([10], 20, 5)
    size = len(pickle.dumps(net))
    net.loss(np.ones((1000, 20)), np.zeros(1000, int))
    assert len(pickle.dumps(net)) == size


def test_layer_objects_may_stand_in_several_places():
    norm, relu = BatchNorm(), ReLU()
    layers = [Affine(4), norm, relu, Affine(3), norm, relu, Affine(2)]
    net, other = Net(layers, (5,)), Net(layers, (5,))
    assert {"gamma1", "gamma2"} < set(net.params)
    assert len(net.statistics) == 4
    before = copies(other.statistics)
    net.loss(*batch(net))
    assert_same(other.statistics, before)
