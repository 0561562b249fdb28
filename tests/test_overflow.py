"""Data on a scale that a dtype cannot hold: training learns, or says why it cannot; never neither."""

import re

import numpy as np
import pytest

from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.layers import batchnorm_forward, layernorm_forward, spatial_batchnorm_forward, spatial_groupnorm_forward
from sklearn_dl.nets import FullyConnected, Net
from sklearn_dl.nets.layers import Affine, ReLU
from sklearn_dl.solver import Solver

from ._estimators import ESTIMATORS, RULES, blobs, each_of_all, learned, small

X, y = blobs(64, dtype=np.float64)

# Every net with each of its normalizations.
NETS = [
    (Softmax, {}),
    *(
        (cls, {"normalization": kind})
        for cls in (TwoLayerNet, FullyConnectedNet)
        for kind in (None, "batchnorm", "layernorm")
    ),
    *((ThreeLayerConvNet, {"normalization": kind}) for kind in (None, "batchnorm", "groupnorm")),
]
# Some that are small, some that are large, some whose squares overflow, some whose sums do.
SCALES = {
    "float32": [1e-40, 1e-30, 1e-20, 1e-5, 1e5, 1e10, 1e15, 1e18, 1e19, 1e20, 1e22, 1e26, 1e30, 1e36, 5e37],
    "float64": [1e-310, 1e-200, 1e-150, 1e50, 1e100, 1e153, 1e154, 1e160, 1e200, 1e250, 1e300, 1e307],
}
each_net = pytest.mark.parametrize(
    ("cls", "params"), [pytest.param(*net, id=f"{net[0].__name__}-{net[1].get('normalization')}") for net in NETS]
)
each_scale = pytest.mark.parametrize(
    ("dtype", "scale"), [(dtype, scale) for dtype, scales in SCALES.items() for scale in scales]
)


def scaled(dtype, scale):
    with np.errstate(under="ignore"):
        return (X * scale).astype(dtype)


def first_weights(estimator):
    """Return what an estimator starts from."""
    still = type(estimator)(**{**estimator.get_params(), "learning_rate": 0, "num_epochs": 1})
    return still.fit(X.astype(np.float32 if estimator.dtype == "float32" else np.float64), y).params_


@each_net
@each_scale
@pytest.mark.parametrize("rule", RULES)
def test_training_learns_or_says_why_not(cls, params, dtype, scale, rule):
    estimator = small(cls, update_rule=rule, num_epochs=6, dtype=dtype, **params)
    before = first_weights(estimator)
    told = None
    try:
        estimator.fit(scaled(dtype, scale), y)
    except ValueError as error:
        told = str(error)
    if told is not None:
        assert scale > 1
        assert re.search("[Ss]cale X", told)
        return
    assert all(np.isfinite(value).all() for value in learned(estimator).values())
    rows = estimator.history_["loss"]
    moved = {name for name, value in estimator.params_.items() if not np.array_equal(value, before[name])}
    assert moved
    if scale > 1:
        assert {name for name in before if name.startswith("W")} <= moved
        assert rows[-1] < rows[0]


@each_of_all
@pytest.mark.parametrize("rule", ["adagrad", "rmsprop", "adam"])
@pytest.mark.parametrize(("dtype", "scale"), [("float32", 1e22), ("float64", 1e200)])
@pytest.mark.parametrize("reg", [0, 0.1])
@pytest.mark.parametrize("batch_size", [16, 64])
def test_the_error_names_state_parameter_and_remedy(cls, rule, dtype, scale, reg, batch_size):
    """And not the learning rate, which is not to blame; after any number of updates."""
    estimator = small(cls, update_rule=rule, reg=reg, dtype=dtype, batch_size=batch_size)
    state = ("v" if cls in ESTIMATORS else "[mv]") if rule == "adam" else "cache"
    message = (
        rf"^The state '{state}' that update_rule '{rule}' has for W1 became nan or infinite in {dtype} by update \d:"
        r" .*the largest magnitudes are X [\d.]+e\+\d+, W1 .*\. Scale X; another learning_rate does not help\.$"
    )
    with pytest.raises(ValueError, match=message):
        estimator.fit(scaled(dtype, scale), y)


@each_of_all
@pytest.mark.parametrize("method", ["fit", "warm fit", "partial_fit"])
def test_a_fitted_estimator_is_as_it_was(cls, method):
    estimator = small(cls, warm_start=method == "warm fit").fit(X.astype(np.float32), y)
    before = learned(estimator)
    with pytest.raises(ValueError, match="Scale X"):
        getattr(estimator, method.split()[-1])(scaled("float32", 1e22), (y + 1) % 3)
    for name, value in learned(estimator).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    assert estimator.predict(X.astype(np.float32)).shape == y.shape


def test_weights_that_made_the_gradients_large_are_told_of():
    """Where X is small, a rate so high that the first update makes large weights is to blame."""
    net = FullyConnected([16, 16], 16, 3, weight_scale="he", random_state=0)
    options = {"update_rule": "adam", "optim_config": {"learning_rate": 1e11}, "num_epochs": 9, "verbose": False}
    solver = Solver(net, {"X_train": X / 10, "y_train": y}, batch_size=16, **options)
    with pytest.raises(ValueError, match=r"^The state 'v' .*learning_rate 100000000000\.0 is too large") as error:
        solver.train()
    assert "does not help" not in str(error.value)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_weights_that_scores_do_not_show(value):
    """A unit whose weights are minus infinity is zero after relu."""

    class Spoilt(Net):
        def backprop(self, *args, **options):
            loss, grads = super().backprop(*args, **options)
            grads["b1"][1] = -value
            return loss, grads

    net = Spoilt([Affine(4), ReLU(), Affine(3)], 16, weight_scale="he", random_state=0)
    solver = Solver(net, {"X_train": abs(X), "y_train": y}, num_epochs=1, batch_size=64, verbose=False)
    with pytest.raises(ValueError, match=r"^b1 became nan or infinite by update 1"):
        solver.train()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("lr_schedule", [None, "linear"])
def test_a_decay_beyond_the_largest_number(rule, lr_schedule, dtype):
    net = FullyConnected([4], 16, 3, weight_scale="he", dtype=dtype, random_state=0)
    options = {"update_rule": rule, "lr_decay": 1e200, "num_epochs": 4, "verbose": False, "lr_schedule": lr_schedule}
    data = {"X_train": X, "y_train": y}
    before = {name: value.copy() for name, value in net.params.items()}
    Solver(net, data, optim_config={"learning_rate": 0}, **options).train()
    for name, value in net.params.items():
        np.testing.assert_array_equal(value, before[name])
    with pytest.raises(ValueError, match=r"learning_rate 0\.001 is too large"):
        Solver(net, data, optim_config={"learning_rate": 1e-3}, **options).train()


# ------------------------------------------------------------------- layers


@pytest.mark.parametrize(
    ("forward", "shape", "param"),
    [
        (batchnorm_forward, (4, 3), ({"mode": "train"},)),
        (layernorm_forward, (4, 3), ({},)),
        (spatial_batchnorm_forward, (2, 4, 3, 3), ({"mode": "train"},)),
        (spatial_groupnorm_forward, (2, 4, 3, 3), (2, {})),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.parametrize(("dtype", "scale"), [("float32", 1e15), ("float32", 1e30), ("float64", 1e150)])
def test_normalization_of_large_values(forward, shape, param, dtype, scale, rng):
    """Its variance is a double, so that float32 values of any size are normalized."""
    x = rng.randn(*shape)
    gamma, beta = np.ones(shape[1], dtype), np.zeros(shape[1], dtype)
    if forward is spatial_groupnorm_forward:
        gamma, beta = gamma.reshape(1, -1, 1, 1), beta.reshape(1, -1, 1, 1)
    tiny = [{**p, "eps": 1e-12} if isinstance(p, dict) else p for p in param]
    expected, _ = forward(x.astype(dtype), gamma, beta, *tiny)
    actual, _ = forward((x * scale).astype(dtype), gamma, beta, *tiny)
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("forward", "shape", "param"),
    [
        (batchnorm_forward, (4, 3), ({"mode": "train"},)),
        (layernorm_forward, (4, 3), ({},)),
        (spatial_batchnorm_forward, (2, 4, 3, 3), ({"mode": "train"},)),
        (spatial_groupnorm_forward, (2, 4, 3, 3), (2, {})),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_variance_that_overflows_gives_nan_and_not_zero(forward, shape, param, rng):
    x = rng.randn(*shape) * 1e200
    gamma, beta = np.ones(shape[1]), np.zeros(shape[1])
    if forward is spatial_groupnorm_forward:
        gamma, beta = gamma.reshape(1, -1, 1, 1), beta.reshape(1, -1, 1, 1)
    assert np.isnan(forward(x, gamma, beta, *param)[0]).all()


def test_losses_whose_sum_overflows_are_an_infinite_loss():
    net = Net([Affine(2)], (1,), dtype=np.float64)
    net.params["W1"][...] = [[1.5e308, -1.5e308]]
    # The largest loss there is, once in each of the batches that an evaluation is made of.
    one_wrong = np.zeros((600, 1))
    one_wrong[::256] = 1
    samples = one_wrong, np.ones(600, int)
    solver = Solver(net, dict(zip(("X_train", "y_train"), samples, strict=True)), num_train_samples=None, verbose=False)
    assert solver.evaluate_training_samples().loss == np.inf
