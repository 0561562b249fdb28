"""Steps of a net: fused layers, gradients that are not needed, rows gathered by the kernel."""

import pickle

import numpy as np
import pytest

from sklearn_dl import layers
from sklearn_dl.losses import softmax_loss
from sklearn_dl.nets import Net
from sklearn_dl.nets.layers import Affine, ReLU

from ._nets import assert_same, batch, make


class Watched(Affine):
    """Records whether its dx was wanted; is not fused with what follows it."""

    wanted = None

    def backward(self, dout, grads, work, *, need_dx):
        self.wanted.append((self.w, need_dx))
        return super().backward(dout, grads, work, need_dx=need_dx)


def test_the_first_dx_is_never_computed(monkeypatch):
    monkeypatch.setattr(Watched, "wanted", [])
    net = Net([Watched(4), ReLU(), Watched(3)], (5,))
    net.loss(*batch(net))
    assert Watched.wanted == [("W2", True), ("W1", False)]


def test_fused_layers_equal_separate_ones(monkeypatch):
    monkeypatch.setattr(Watched, "wanted", [])
    separate = make(Net, ([Watched(7), ReLU(), Watched(3)], (5,)), {})
    fused = make(Net, ([Affine(7), ReLU(), Affine(3)], (5,)), {})
    assert len(fused._steps) == len(separate._steps) - 1
    X, y = batch(fused)
    np.testing.assert_allclose(fused.loss(X), separate.loss(X), rtol=1e-12)
    (loss, grads), (expected_loss, expected) = fused.loss(X, y), separate.loss(X, y)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert_same(grads, expected, rtol=1e-10, atol=1e-15)


def test_a_net_computes_what_the_public_functions_do():
    """To the bit: the net calls some kernels past the functions' checks."""
    net = make(Net, ([Affine(7), ReLU(), Affine(3)], (5,)), {"reg": 0.3, "dtype": np.float32})
    X, y = batch(net)
    X = X.astype(np.float32)
    w1, b1, w2, b2 = (net.params[name] for name in ("W1", "b1", "W2", "b2"))
    hidden, hidden_cache = layers.affine_relu_forward(X, w1, b1)
    scores, scores_cache = layers.affine_forward(hidden, w2, b2)
    np.testing.assert_array_equal(net.loss(X), scores)
    expected_loss, dscores = softmax_loss(scores, y)
    dhidden, dw2, db2 = layers.affine_backward(dscores, scores_cache)
    _, dw1, db1 = layers.affine_relu_backward(dhidden, hidden_cache, need_dx=False)
    loss, grads = net.backprop(X, y)
    assert loss == expected_loss
    for name, expected in {"W1": dw1, "b1": db1, "W2": dw2, "b2": db2}.items():
        np.testing.assert_array_equal(grads[name], expected)


@pytest.mark.parametrize("source", [np.uint8, np.float32, np.float64])
def test_a_linear_net_takes_rows(source):
    net, gathering = (make(Net, ([Affine(3)], (2, 8, 8)), {"dtype": np.float32}) for _ in range(2))
    X, y = np.random.RandomState(0).randint(0, 9, (50, 128)).astype(source), np.arange(50) % 3
    rows, weight = np.random.RandomState(1).permutation(50)[:31], np.linspace(1, 2, 31)
    assert net.takes_rows
    for options in ({}, {"sample_weight": weight}, {"sample_weight": weight, "total_weight": 9.0}):
        loss, grads = net.backprop(X, y[rows], **options, rows=rows)
        expected_loss, expected = gathering.backprop(X[rows].astype(np.float32), y[rows], **options)
        assert loss == expected_loss
        for name in grads:
            np.testing.assert_array_equal(grads[name], expected[name])
    assert pickle.loads(pickle.dumps(net)).takes_rows


@pytest.mark.parametrize("layers", [[Affine(30)], [Affine(3), ReLU()], [Affine(4), Affine(3)], [ReLU()]])
def test_no_other_net_takes_rows(layers):
    net = Net(layers, (128,), dtype=np.float32)
    assert not net.takes_rows
    rows = np.arange(2)
    with pytest.raises(ValueError, match="rows are for nets that take them"):
        net.backprop(np.zeros((4, 128), np.float32), rows, rows=rows)
