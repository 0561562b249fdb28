"""Buffers: what is reused, what belongs to the caller, threads, batches of any size and dtype."""

import copy
import gc
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sklearn_dl.nets import FullyConnected, ThreeLayerConv

from ._nets import assert_same, batch, copies, every_net, make


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
