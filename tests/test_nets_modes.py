"""Training and test mode: running statistics, dropout."""

import numpy as np
import pytest

from sklearn_dl import FullyConnectedNet
from sklearn_dl.nets import FullyConnected, ThreeLayerConv
from sklearn_dl.nets.layers import Affine, Dropout, ReLU

from ._nets import CONV, NETS, assert_same, batch, copies, every_net, make


@every_net
def test_test_mode_changes_nothing(cls, args, options):
    net = make(cls, args, options)
    X, y = batch(net)
    net.loss(X, y)
    before = copies({**net.params, **net.statistics})
    scores = net.loss(X)
    assert scores.shape == (6, 5)
    np.testing.assert_array_equal(net.loss(X), scores)
    assert_same({**net.params, **net.statistics}, before)
    # A sample's scores do not depend on those it is with.
    np.testing.assert_allclose(net.loss(X[:2]), scores[:2], rtol=1e-12)


@pytest.mark.parametrize(("cls", "args", "options"), [NETS[1], NETS[4]])
def test_running_statistics(cls, args, options):
    net = make(cls, args, options)
    first = copies(net.statistics)
    for name, value in first.items():
        np.testing.assert_array_equal(value, "var" in name, err_msg=name)
    X, y = batch(net)
    net.loss(X, y)
    # running = 0.9 * running + 0.1 * batch
    of_batch = {name: (value - 0.9 * first[name]) / 0.1 for name, value in net.statistics.items()}
    assert all(value.any() for value in of_batch.values())
    net.loss(X, y)
    expected = {name: 0.81 * first[name] + 0.19 * value for name, value in of_batch.items()}
    assert_same(net.statistics, expected, rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_deep_batchnorm_nets_begin_with_scores_like_those_of_training(dtype):
    X = np.random.RandomState(0).randn(200, 20)
    y = np.arange(200) % 3
    net = FullyConnected((50,) * 16, 20, 3, normalization="batchnorm", weight_scale="he", dtype=dtype, random_state=0)
    scores = net.loss(X)
    assert 0.01 < np.abs(scores).max() < 100
    for _ in range(3):
        net.loss(X, y)
    assert np.abs(net.loss(X)).max() < 100
    estimator = FullyConnectedNet(hidden_dims=(50,) * 16, normalization="batchnorm", num_epochs=2, random_state=0)
    assert np.isfinite(estimator.fit(X.astype(dtype), y).loss_history_).all()


def test_statistics_are_named_by_block():
    net = FullyConnected([4, 3], 5, 2, normalization="batchnorm")
    shapes = {name: value.shape for name, value in net.statistics.items()}
    assert shapes == {
        "running_mean1": (4,),
        "running_var1": (4,),
        "running_mean2": (3,),
        "running_var2": (3,),
    }
    assert FullyConnected([4], 5, 2, normalization="layernorm").statistics == {}


WITH_DROPOUT = [
    pytest.param(FullyConnected, ([50], 9, 5), {}, id="fc"),
    pytest.param(ThreeLayerConv, ((2, 5, 4),), {**CONV, "hidden_dim": 50}, id="conv"),
]

with_dropout = pytest.mark.parametrize(("cls", "args", "sizes"), WITH_DROPOUT)


@with_dropout
def test_dropout_masks_follow_random_state_and_seed(cls, args, sizes):
    def losses(**options):
        net = make(cls, args, {**sizes, "dropout_keep_ratio": 0.5, **options})
        X, y = batch(net)
        return [net.loss(X, y)[0] for _ in range(3)]

    free = losses()
    assert len(set(free)) == 3
    assert losses() == free
    assert len(set(losses(seed=4))) == 1
    assert losses(seed=4) != losses(seed=5)
    np.random.seed(6)
    first = losses(random_state=None)
    np.random.seed(6)
    assert losses(random_state=None) == first


@with_dropout
@pytest.mark.parametrize("seed", [None, 3])
def test_dropout_is_for_training_only(cls, args, sizes, seed):
    plain = make(cls, args, sizes)
    net = make(cls, args, {**sizes, "dropout_keep_ratio": 0.5, "seed": seed})
    X, y = batch(net)
    np.testing.assert_array_equal(net.loss(X), plain.loss(X))
    assert net.loss(X, y)[0] != plain.loss(X, y)[0]


@with_dropout
def test_no_dropout_layer_at_keep_ratio_one(cls, args, sizes):
    net, plain = make(cls, args, {**sizes, "dropout_keep_ratio": 1}), make(cls, args, sizes)
    assert net.layers == plain.layers
    state = net.random_state.get_state()[1].copy()
    loss, grads = net.loss(*batch(net))
    np.testing.assert_array_equal(net.random_state.get_state()[1], state)
    expected_loss, expected = plain.loss(*batch(net))
    assert loss == expected_loss
    assert_same(grads, expected)


def test_dropout_of_the_conv_net_follows_the_hidden_relu():
    net = ThreeLayerConv((1, 4, 4), dropout_keep_ratio=0.8, seed=4)
    assert net.layers[-4:] == (Affine(100), ReLU(), Dropout(0.8, seed=4), Affine(10))
