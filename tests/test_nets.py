"""The nets: published numbers, gradients of whole nets, parameters, buffers, threads."""

import copy
import gc
import itertools
import math
import pickle
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sklearn_dl import FullyConnectedNet, TwoLayerNet, layers
from sklearn_dl.gradient_check import check_net, eval_numerical_gradient, rel_error
from sklearn_dl.losses import softmax_loss
from sklearn_dl.nets import FullyConnected, Net, ThreeLayerConv
from sklearn_dl.nets.layers import (
    Affine,
    BatchNorm,
    Conv,
    Dropout,
    GroupNorm,
    LayerNorm,
    MaxPool,
    ReLU,
)
from sklearn_dl.solver import Solver

CONV = {"num_filters": 4, "filter_size": 3, "hidden_dim": 6, "num_classes": 5}
NETS = [
    pytest.param(FullyConnected, ([7, 6], 9, 5), {"normalization": n}, id=f"fc-{n}")
    for n in (None, "batchnorm", "layernorm")
] + [
    pytest.param(ThreeLayerConv, ((2, 5, 4),), {**CONV, "normalization": n}, id=f"conv-{n}")
    for n in (None, "batchnorm", "groupnorm")
]
every_net = pytest.mark.parametrize(("cls", "args", "options"), NETS)


def lin(a, b, *shape):
    return np.linspace(a, b, math.prod(shape)).reshape(shape)


def make(cls, args, options, **more):
    """Return a net whose parameters are all far from zero, so that no gradient vanishes."""
    settings = {"weight_scale": "he", "dtype": np.float64, "random_state": 0, **options, **more}
    net = cls(*args, **settings)
    rng = np.random.RandomState(1)
    for name, value in net.params.items():
        if not name.startswith("W"):
            net.params[name] = value + 0.3 * rng.randn(*value.shape)
    return net


def batch(net, n=6, seed=2):
    rng = np.random.RandomState(seed)
    return rng.randn(n, *net.input_shape), rng.randint(net.num_classes, size=n)


def assert_same(actual, desired, **tolerances):
    """Compare dicts of arrays: to the bit, or within the tolerances of assert_allclose."""
    assert actual.keys() == desired.keys()
    for name, value in desired.items():
        if tolerances:
            np.testing.assert_allclose(actual[name], value, err_msg=name, **tolerances)
        else:
            np.testing.assert_array_equal(actual[name], value, err_msg=name)


def copies(arrays):
    return {name: value.copy() for name, value in arrays.items()}


# ------------------------------------------------------- published numbers


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


# ---------------------------------------------------------- first weights


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


# --------------------------------------------------------------- gradients

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


# ----------------------------------------------------------- sample weights


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


# -------------------------------------------------------- train, test modes


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


# --------------------------------------------------------------- parameters


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


# ------------------------------------------------------------------ buffers


@every_net
def test_gradients_of_loss_are_the_callers(cls, args, options):
    net = make(cls, args, options, reg=0.1)
    _, first = net.loss(*batch(net))
    kept = copies(first)
    net.loss(*batch(net, seed=3))
    assert_same(first, kept)
    for grad in first.values():
        grad[...] = 0
    _, again = make(cls, args, options, reg=0.1).loss(*batch(net))
    assert_same(again, kept)


@every_net
def test_inputs_are_not_modified(cls, args, options):
    net = make(cls, args, options)
    X, y = batch(net)
    weight = np.arange(1.0, 7)
    before = X.copy(), y.copy(), weight.copy()
    for array in (X, y, weight):
        array.setflags(write=False)
    net.loss(X, y, weight)
    net.loss(X)
    for array, old in zip((X, y, weight), before, strict=True):
        np.testing.assert_array_equal(array, old)


@every_net
def test_backprop_reuses_its_buffers(cls, args, options):
    net = make(cls, args, options)
    _, first = net.backprop(*batch(net))
    held = dict(first)
    for n in (6, 3, 6):
        _, grads = net.backprop(*batch(net, n))
        assert grads.keys() == held.keys()
        assert all(grads[name] is held[name] for name in held)


BIG_NETS = [
    pytest.param(lambda n=n: FullyConnected([256, 256], 512, normalization=n), id=f"fc-{n}")
    for n in (None, "batchnorm", "layernorm")
] + [
    pytest.param(lambda n=n: ThreeLayerConv((3, 16, 16), normalization=n), id=f"conv-{n}")
    for n in (None, "batchnorm", "groupnorm")
]


@pytest.mark.parametrize("make_net", BIG_NETS)
@pytest.mark.parametrize("weighted", [False, True])
def test_backprop_allocates_nothing(make_net, weighted):
    net = make_net()
    X, y = batch(net, 64)
    X = X.astype(np.float32)
    weight = np.linspace(1, 2, 64) if weighted else None

    def steps(times):
        for n in [64, 40, 64] * times:
            net.backprop(X[:n], y[:n], None if weight is None else weight[:n])

    steps(1)
    tracemalloc.start()
    try:
        steps(2)  # what they leave, and the next ones replace, must be traced, too
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        steps(10)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The smallest activations, 64 x 100 float32, are 25 kB.
    assert peak - before < 12_000
    assert after - before < 3_000


@every_net
def test_a_net_leaves_nothing_to_the_garbage_collector(cls, args, options):
    gc.disable()
    try:
        net = make(cls, args, options)
        net.loss(*batch(net))
        net.loss(batch(net)[0])
        buffers = [value for space in net._work for value in space.values() if isinstance(value, np.ndarray)]
        held = [weakref.ref(array) for array in (*buffers, *net.params.values())]
        assert len(held) > len(net.params)
        del net, buffers
        assert not any(ref() is not None for ref in held)
    finally:
        gc.enable()


@every_net
def test_batches_of_any_size_in_any_order(cls, args, options):
    net = make(cls, args, options)
    fresh = copy.deepcopy(net)
    for n in (6, 3, 6, 9, 1, 8):
        X, y = batch(net, n, seed=n)
        unused = copy.deepcopy(fresh)
        loss, grads = net.loss(X, y)
        expected_loss, expected = unused.loss(X, y)
        assert loss == expected_loss
        assert_same(grads, expected)


@every_net
def test_flattened_input(cls, args, options):
    net = make(cls, args, options)
    X, y = batch(net)
    flat = X.reshape(6, -1)
    np.testing.assert_array_equal(net.loss(flat), net.loss(X))
    loss, grads = net.loss(X, y)
    again, flat_grads = net.loss(flat, y)
    assert loss == again
    assert_same(flat_grads, grads)
    assert net.backprop(flat, y)[0] == pytest.approx(loss)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float32, ">f8", bool])
def test_input_of_any_real_dtype_and_layout(dtype):
    net = FullyConnected([6], 2 * 3 * 4, 5, random_state=0)
    X = (100 * np.random.RandomState(0).rand(10, 3, 4, 2)).astype(dtype)
    X = X[::2].transpose(0, 3, 1, 2)
    expected = net.loss(np.ascontiguousarray(X, dtype=np.float32).reshape(5, -1))
    np.testing.assert_array_equal(net.loss(X), expected)
    assert expected.dtype == np.float32


@every_net
def test_scores_from_several_threads(cls, args, options):
    net = make(cls, args, options)
    net.loss(*batch(net))
    batches = [batch(net, n, seed)[0] for seed, n in enumerate([1, 30, 7, 64] * 10)]
    expected = [net.scores(X) for X in batches]
    with ThreadPoolExecutor(4) as pool:
        for actual, want in zip(pool.map(net.scores, batches), expected, strict=True):
            np.testing.assert_array_equal(actual, want)


# --------------------------------------------------------------- custom nets


class TwoBlocks(Net):
    """What a user writes: a net in ten lines."""

    def __init__(self, num_classes, **options):
        layers = []
        for filters in (4, 6):
            layers += [Conv(filters, 3), BatchNorm(), ReLU(), MaxPool()]
        super().__init__([*layers, Affine(num_classes)], (1, 8, 8), **options)


def test_custom_net():
    net = TwoBlocks(3, weight_scale="he", dtype=np.float64, random_state=0)
    names = ["W1", "b1", "gamma1", "beta1", "W2", "b2", "gamma2", "beta2", "W3", "b3"]
    assert list(net.params) == names
    assert net.params["W3"].shape == (6 * 2 * 2, 3)
    assert net.num_classes == 3
    X, y = batch(net)
    check_net(net, X, y, h=1e-6, tol=2e-6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).loss(X), net.loss(X))


# --------------------------------------------------- what subclasses override


class Doubled(Net):
    """Twice the loss."""

    def loss(self, X, y=None, sample_weight=None):
        if y is None:
            return super().loss(X)
        loss, grads = super().loss(X, y, sample_weight)
        return 2 * loss, {name: 2 * grad for name, grad in grads.items()}


class WithoutWeights(Net):
    """A squared error of the scores, without weights of samples."""

    def loss(self, X, y=None):
        if y is None:
            return super().loss(X)
        _, grads = super().loss(X, y)
        return float(len(X)), {name: np.sign(grad) for name, grad in grads.items()}


class WithLasso(Net):
    """The sum of the absolute values as the penalty."""

    def penalty(self, squares=None):
        return self.reg * sum(np.abs(self.params[name]).sum() for name in self.weight_names)

    def loss(self, X, y=None, sample_weight=None):
        if y is None:
            return super().loss(X)
        loss, grads = self.backprop(self._check_X(X), y, sample_weight)
        slopes = {name: self.reg * np.sign(self.params[name]) for name in self.weight_names}
        return loss + self.penalty(), {name: grad + slopes.get(name, 0) for name, grad in grads.items()}


class Tripled(Net):
    """Prepares its input, in the method that `loss` calls for this."""

    def _check_X(self, X):
        return 3 * super()._check_X(X)


class Halved(Net):
    """Another data loss."""

    def backprop(self, X, y, sample_weight=None, total_weight=None):
        loss, grads = super().backprop(X, y, sample_weight, total_weight)
        return loss / 2, {name: grad / 2 for name, grad in grads.items()}


class LassoOfHalved(WithLasso, Halved):
    """Overrides loss and penalty nearer than backprop."""


class HalvedOfDoubled(Halved, Doubled):
    """Overrides backprop nearer than loss."""


class DoubledOfHalved(Doubled, Halved):
    """Overrides loss nearer than backprop."""


class Shifted(Net):
    def _forward(self, X, work, *, train, sample_weight=None):
        return super()._forward(X + 1, work, train=train, sample_weight=sample_weight)


class PenaltyAlone(Net):
    penalty = WithLasso.penalty


class PenaltyBelowLoss(Doubled):
    penalty = WithLasso.penalty


STATED = ([Affine(6), ReLU(), Affine(3)], (4,))
LINEAR = ([Affine(3)], (128,))


def state(cls, stated, dtype=np.float64):
    return cls(*stated, reg=0.1, weight_scale="he", dtype=dtype, random_state=0)


class Stranger:
    """A net with parameters and a loss, and nothing that could be taken in the loss's place."""

    def __init__(self, net, loss=None):
        self.params, self.dtype = net.params, net.dtype
        self.loss = loss or net.loss


def train(net, weight=None, n_samples=40):
    """Train a little; return the losses."""
    rng = np.random.RandomState(3)
    shape = np.prod(net.input_shape) if hasattr(net, "input_shape") else len(net.params["W1"])
    data = {"X_train": rng.randn(n_samples, shape), "y_train": rng.randint(3, size=n_samples)}
    solver = Solver(
        net, {**data, "sample_weight_train": weight}, num_epochs=2, batch_size=10, verbose=False, random_state=0
    )
    solver.train()
    return solver.loss_history


THROUGH_LOSS = [Doubled, WithoutWeights, WithLasso, Tripled, LassoOfHalved, DoubledOfHalved]
THROUGH_BACKPROP = [Net, Halved, HalvedOfDoubled, Shifted]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stated", [STATED, LINEAR], ids=["deep", "linear"])
@pytest.mark.parametrize("cls", THROUGH_LOSS)
def test_an_overridden_loss_is_trained_on(cls, stated, dtype):
    net, twin, plain = state(cls, stated, dtype), state(cls, stated, dtype), state(Net, stated, dtype)
    assert not net.takes_rows
    assert train(net) == train(Stranger(twin))
    assert_same(net.params, twin.params)
    train(plain)
    assert not np.array_equal(net.params["W1"], plain.params["W1"])
    # What it learned went down its own gradient.
    if cls is not WithoutWeights:
        check_net(state(cls, stated), *batch(net), h=1e-6)


@pytest.mark.parametrize("stated", [STATED, LINEAR], ids=["deep", "linear"])
def test_a_loss_put_on_the_object_is_trained_on(stated):
    net, twin = state(Net, stated), state(Doubled, stated)
    loss = net.loss

    def doubled(X, y=None):
        if y is None:
            return loss(X)
        value, grads = loss(X, y)
        return 2 * value, {name: 2 * grad for name, grad in grads.items()}

    net.loss = doubled
    assert train(net) == train(twin)
    assert_same(net.params, twin.params)


@pytest.mark.parametrize("stated", [STATED, LINEAR], ids=["deep", "linear"])
@pytest.mark.parametrize("cls", THROUGH_BACKPROP)
def test_an_overridden_backprop_is_trained_on(cls, stated):
    net, twin = state(cls, stated), state(cls, stated)
    assert net.takes_rows == (cls is Net and stated is LINEAR)
    # To rounding: the penalty is added in another place.
    np.testing.assert_allclose(train(net), train(Stranger(twin, Net.loss.__get__(twin))), rtol=1e-10)
    assert_same(net.params, twin.params, rtol=1e-9)


@pytest.mark.parametrize("cls", [*THROUGH_LOSS, *THROUGH_BACKPROP])
def test_weights_of_samples_with_what_is_overridden(cls):
    weight = np.linspace(0.5, 2, 40)
    net = state(cls, STATED)
    if cls is WithoutWeights:
        message = r"'sample_weight_train'\] needs a net .* argument sample_weight of its loss: WithoutWeights has none"
        with pytest.raises(ValueError, match=message):
            train(net, weight)
        return
    losses = train(net, weight)
    unweighted = state(cls, STATED)
    assert losses != train(unweighted)
    assert not np.array_equal(net.params["W1"], unweighted.params["W1"])
    # Weights that are all the same change nothing.
    np.testing.assert_allclose(train(state(cls, STATED), np.full(40, 2.0)), train(state(cls, STATED)), rtol=1e-9)


@pytest.mark.parametrize("cls", [PenaltyAlone, PenaltyBelowLoss])
def test_a_penalty_whose_gradient_is_not_known_is_refused(cls):
    net = state(cls, STATED)
    X, y = batch(net)
    assert net.loss(X).shape == (6, 3)
    for call in (lambda: net.loss(X, y), lambda: train(net)):
        with pytest.raises(TypeError, match=f"^{cls.__name__} overrides penalty, but not loss: override loss as well"):
            call()


class Warm(FullyConnected):
    """Predicts other scores than those that it is trained on."""

    def scores(self, X, work=None):
        return super().scores(X, work) / 2


class WarmLoss(FullyConnected):
    def loss(self, X, y=None, sample_weight=None):
        return super().loss(X) / 2 if y is None else super().loss(X, y, sample_weight)


class WarmScoresOfLoss(WarmLoss):
    def scores(self, X, work=None):
        return super().scores(X, work) / 4


class WarmLossOfScores(Warm):
    def loss(self, X, y=None, sample_weight=None):
        return super().loss(X) / 4 if y is None else super().loss(X, y, sample_weight)


@pytest.mark.parametrize(
    ("net_class", "factor"),
    [(FullyConnected, 1), (Warm, 2), (WarmLoss, 2), (WarmScoresOfLoss, 4), (WarmLossOfScores, 8)],
)
def test_estimators_predict_what_is_overridden(net_class, factor):
    estimator = type("Mine", (TwoLayerNet,), {"_net_class": net_class})(hidden_dim=5, num_epochs=2, random_state=0)
    X, y = np.random.RandomState(0).randn(300, 4).astype(np.float32), np.arange(300) % 3
    estimator.fit(X, y)
    expected = Net._forward(estimator._net, X, estimator._net.workspace(), train=False) / factor
    np.testing.assert_array_equal(estimator.decision_function(X), expected)
    accuracy = estimator.train_acc_history_[-1]
    assert accuracy == pytest.approx(estimator.score(X, y))


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


def test_layer_objects_may_stand_in_several_places():
    norm, relu = BatchNorm(), ReLU()
    layers = [Affine(4), norm, relu, Affine(3), norm, relu, Affine(2)]
    net, other = Net(layers, (5,)), Net(layers, (5,))
    assert {"gamma1", "gamma2"} < set(net.params)
    assert len(net.statistics) == 4
    before = copies(other.statistics)
    net.loss(*batch(net))
    assert_same(other.statistics, before)


# --------------------------------------------------------------- bad inputs


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
