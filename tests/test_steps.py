"""A training step as a whole: it allocates nothing, and computes what the loops compute."""

import resource
import sys
import tracemalloc

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sklearn_dl import optim
from sklearn_dl._threads import hold_threads
from sklearn_dl.layers import (
    affine_backward,
    affine_forward,
    conv_backward_naive,
    conv_forward_naive,
    max_pool_backward_naive,
    max_pool_forward_naive,
    relu_backward,
    relu_forward,
    softmax_loss,
)
from sklearn_dl.nets import FullyConnected, ThreeLayerConv
from sklearn_dl.solver import Solver

STEPS = 1000
BATCH = 128
# Every activation and weight of these nets takes more; the loss history of so many steps takes less.
LEAST_ARRAY = 120_000


@pytest.fixture(autouse=True)
def one_thread():
    """Leave the other core to others: threads wait for each other a thousand times over where it is busy."""
    with threadpool_limits(1, user_api="openmp"), hold_threads():
        yield


def fully_connected(normalization=None, dropout_keep_ratio=1):
    return FullyConnected(
        [256, 256],
        256,
        256,
        normalization=normalization,
        dropout_keep_ratio=dropout_keep_ratio,
        reg=1e-3,
        random_state=0,
    )


def convolutional(normalization=None):
    return ThreeLayerConv(
        (3, 16, 16), 16, 3, 256, 256, normalization=normalization, reg=1e-3, weight_scale=1e-2, random_state=0
    )


NETS = {
    "affine": (fully_connected, {}),
    "batchnorm": (fully_connected, {"normalization": "batchnorm"}),
    "layernorm": (fully_connected, {"normalization": "layernorm"}),
    "dropout": (fully_connected, {"dropout_keep_ratio": 0.5}),
    "conv": (convolutional, {}),
    "conv batchnorm": (convolutional, {"normalization": "batchnorm"}),
    "conv groupnorm": (convolutional, {"normalization": "groupnorm"}),
}


def solver_of(net, update_rule, dtype, weighted):
    rng = np.random.RandomState(0)
    size = int(np.prod(net.input_shape))
    data = {"X_train": rng.randint(0, 255, (256, size)).astype(dtype), "y_train": rng.randint(0, 256, 256)}
    if weighted:
        data["sample_weight_train"] = rng.rand(256) + 0.5
    config = {"learning_rate": 1e-6}
    return Solver(net, data, update_rule=update_rule, optim_config=config, batch_size=BATCH, random_state=0)


def steps(solver, count):
    rows = np.arange(256)
    for i in range(count):
        solver._step(rows[:BATCH] if i % 2 else rows[BATCH:])


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(
    ("update_rule", "dtype", "weighted"), [("sgd", np.uint8, False), ("adam", np.float32, True)], ids=["sgd", "adam"]
)
def test_steps_allocate_no_array(net, update_rule, dtype, weighted):
    make, options = NETS[net]
    solver = solver_of(make(**options), update_rule, dtype, weighted)
    steps(solver, 8)
    count = STEPS if make is fully_connected else STEPS // 10  # convolutions take longer
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        steps(solver, count)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < LEAST_ARRAY


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted on Linux")
@pytest.mark.parametrize("net", NETS)
def test_steps_touch_no_fresh_memory(net):
    make, options = NETS[net]
    solver = solver_of(make(**options), "adam", np.uint8, weighted=False)
    steps(solver, 50)
    count = STEPS if make is fully_connected else STEPS // 10
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    steps(solver, count)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < count / 5  # one array allocated again would be thirty faults a step


def test_an_allocation_would_be_seen(monkeypatch):
    solver = solver_of(fully_connected(), "sgd", np.uint8, weighted=False)
    steps(solver, 8)
    gather = solver.train_samples.gather
    monkeypatch.setattr(
        solver.train_samples, "gather", lambda rows: tuple(np.copy(a) for a in gather(rows)[:2]) + (None,)
    )
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        steps(solver, 2)
        assert tracemalloc.get_traced_memory()[1] - before > LEAST_ARRAY
    finally:
        tracemalloc.stop()


# --------------------------------------------------------------------------- against the loops


def naive_forward_backward(params, X, y, convolves):
    """Return data loss and gradients of [conv - relu - pool -] affine - relu - affine, by the slow layers."""
    grads = {}
    first = 2 if convolves else 1
    out = X
    if convolves:
        conv_param, pool_param = {"stride": 1, "pad": 1}, {"pool_height": 2, "pool_width": 2, "stride": 2}
        out, conv = conv_forward_naive(out, params["W1"], params["b1"], conv_param)
        out, conv_relu = relu_forward(out)
        out, pool = max_pool_forward_naive(out, pool_param)
    out, affine = affine_forward(out, params[f"W{first}"], params[f"b{first}"])
    out, relu = relu_forward(out)
    scores, last = affine_forward(out, params[f"W{first + 1}"], params[f"b{first + 1}"])
    loss, dout = softmax_loss(scores, y)
    dout, grads[f"W{first + 1}"], grads[f"b{first + 1}"] = affine_backward(dout, last)
    dout, grads[f"W{first}"], grads[f"b{first}"] = affine_backward(relu_backward(dout, relu), affine)
    if convolves:
        dout = relu_backward(max_pool_backward_naive(dout, pool), conv_relu)
        _, grads["W1"], grads["b1"] = conv_backward_naive(dout, conv)
    return loss, grads


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-10)])
@pytest.mark.parametrize("update_rule", ["sgd", "sgd_momentum", "adam"])
@pytest.mark.parametrize("convolves", [False, True])
def test_a_hundred_steps_are_those_of_the_loops(convolves, update_rule, dtype, tolerance):
    reg = 1e-2
    shared = {"num_classes": 3, "reg": reg, "weight_scale": 0.3, "dtype": dtype, "random_state": 0}
    if convolves:
        net = ThreeLayerConv((2, 6, 6), 3, 3, 5, **shared)
    else:
        net = FullyConnected([7], 11, **shared)
    rng = np.random.RandomState(1)
    X, y = rng.randn(24, *net.input_shape).astype(dtype), rng.randint(0, 3, 24)
    params = {name: value.copy() for name, value in net.params.items()}
    configs = {name: {"learning_rate": 1e-2} for name in params}
    config = {"learning_rate": 1e-2}
    solver = Solver(
        net,
        {"X_train": X, "y_train": y},
        update_rule=update_rule,
        optim_config=config,
        batch_size=6,
        num_iters=100,
        shuffle=False,
        verbose=False,
    )
    solver.train()
    losses = []
    for i in range(100):
        rows = slice(i % 4 * 6, i % 4 * 6 + 6)
        loss, grads = naive_forward_backward(params, X[rows], y[rows], convolves)
        losses.append(
            loss + 0.5 * reg * sum(float(np.sum(params[name].astype(float) ** 2)) for name in net.weight_names)
        )
        for name in params:
            if name in net.weight_names:
                grads[name] = grads[name] + dtype(reg) * params[name]
            params[name], _ = getattr(optim, update_rule)(params[name], grads[name], configs[name])
    assert losses[-1] < 0.9 * losses[0]
    np.testing.assert_allclose(solver.loss_history, losses, rtol=tolerance)
