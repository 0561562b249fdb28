"""What 'auto' plans for fully-connected nets: schedule, learning rate, epochs, penalty, minibatches, end."""

import math
import warnings

import numpy as np
import pytest
from sklearn.preprocessing import scale

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, ThreeLayerConvNet, TwoLayerNet, load
from sklearn_dl._parameters import resolve_batch_size
from sklearn_dl.schedules import Cosine

from ._estimators import all_classes, assert_same, blobs

PLANNING = [TwoLayerNet, FullyConnectedNet, FullyConnectedRegressor]
RATES = {TwoLayerNet: 0.01, FullyConnectedNet: 0.005, FullyConnectedRegressor: 0.01}
PENALTIES = {TwoLayerNet: 4, FullyConnectedNet: 8, FullyConnectedRegressor: 8}
DIMS = {"hidden_dims": (8, 6)}
SIZES = {TwoLayerNet: {"hidden_dim": 8}, FullyConnectedNet: DIMS, FullyConnectedRegressor: DIMS}

each_planning = pytest.mark.parametrize("cls", PLANNING, ids=lambda cls: cls.__name__)


def untouched(cls, **params):
    """Return an estimator with its defaults but for the sizes and the seed."""
    return cls(**{**SIZES[cls], "random_state": 0, **params})


@each_planning
@pytest.mark.parametrize(("n_samples", "batch", "epochs"), [(20, 20, 600), (64, 64, 600), (65, 32, 200), (900, 32, 30)])
def test_the_plan_is_what_it_says(cls, n_samples, batch, epochs):
    """To the bit that of the numbers themselves."""
    X, y = blobs(n_samples)
    auto = untouched(cls)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        auto.fit(X, y)
    assert auto.n_iter_ == epochs
    assert len(auto.loss_history_) == epochs * math.ceil(n_samples / batch) >= 600
    plan = {"learning_rate": RATES[cls], "lr_schedule": Cosine(), "reg": PENALTIES[cls] / (n_samples + 30)}
    spelled = untouched(cls, **plan, num_epochs=epochs, batch_size=batch, tol=None)
    assert_same(auto, spelled.fit(X, y))
    assert auto.stop_reason_ == "num_epochs"


@each_planning
@pytest.mark.parametrize("activation", ["tanh", "logistic", "silu"])
def test_the_penalty_goes_by_the_slope_of_the_activation(cls, activation):
    X, y = blobs(70)
    net = untouched(cls, activation=activation, num_epochs=1).fit(X, y)
    assert net._net.reg == PENALTIES[cls] / (16 if activation == "logistic" else 1) / 100


@pytest.mark.parametrize(
    ("n_rows", "size"), [(1, 64), (64, 64), (65, 32), (2111, 32), (2112, 33), (8191, 127), (8192, 128), (10**6, 128)]
)
def test_batch_size_by_the_rows(n_rows, size):
    assert resolve_batch_size({"batch_size": "auto"}, n_rows) == {"batch_size": size}
    assert resolve_batch_size({"batch_size": 7}, n_rows) == {"batch_size": 7}


@each_planning
@pytest.mark.parametrize(
    "params",
    [
        {"update_rule": "sgd"},
        {"update_rule": "rmsprop"},
        {"update_rule": "lbfgs"},
        {"lr_schedule": None},
        {"learning_rate": 1e-3},
    ],
    ids=str,
)
def test_where_nothing_is_planned(cls, params):
    X, y = blobs(100)
    net = untouched(cls, num_epochs=3, **params)
    with pytest.warns(UserWarning, match="num_epochs=3"):  # tol is 1e-4
        net.fit(X, y)
    assert len(set(net.learning_rate_history_)) == 1 or net.update_rule == "lbfgs"
    assert net._net.reg == 0


@each_planning
def test_a_decay_is_a_schedule_of_its_own(cls):
    X, y = blobs(100)
    net = untouched(cls, lr_decay=0.5, num_epochs=3, tol=None).fit(X, y)
    rates = net.learning_rate_history_
    assert rates[-1] == rates[0] / 4
    assert net._net.reg == 0


@each_planning
def test_adamw_is_planned_without_a_decay(cls):
    X, y = blobs(100)
    net = untouched(cls, update_rule="adamw").fit(X, y)
    assert net.learning_rate_history_[-1] < 1e-6
    assert net._net.reg == 0


@pytest.mark.parametrize(
    "net",
    [
        FullyConnectedNet(hidden_dims=()),
        Softmax(),
        ThreeLayerConvNet(input_shape=(1, 4, 4), num_filters=2, filter_size=3, hidden_dim=4),
    ],
)
def test_nets_that_plan_nothing_take_auto_for_what_they_had(net):
    X, y = blobs(100)
    options = {"tol": None, "num_epochs": 3, "random_state": 0, "reg": 0.0}
    given = type(net)(**{**net.get_params(), **options, "lr_schedule": None}).fit(X, y)
    auto = type(net)(**{**net.get_params(), **options, "lr_schedule": "auto"}).fit(X, y)
    assert_same(given, auto)


@each_planning
def test_partial_fit_plans_nothing(cls):
    """How many samples and epochs there will be is not known."""
    X, y = blobs(100)
    net = untouched(cls)
    for _ in range(3):
        net.partial_fit(X, y, **all_classes(cls, 0, 1, 2))
    assert set(net.learning_rate_history_) == {0.002}
    assert net._net.reg == 0
    net.set_params(warm_start=True).fit(X, y)
    assert net._net.reg == PENALTIES[cls] / 130
    assert net.learning_rate_history_[-1] < 1e-6


@each_planning
def test_what_is_set_aside_is_not_trained_on(cls):
    X, y = blobs(200)
    net = untouched(cls, early_stopping=True, n_iter_no_change=1).fit(X, y)
    assert net._net.reg == PENALTIES[cls] / (180 + 30)
    assert net.stop_reason_ == "no_improvement"  # tol is 1e-4
    given = untouched(cls, early_stopping=True, num_epochs=1, tol=None).fit(X, y, X_val=X[:9], y_val=y[:9])
    assert given._net.reg == PENALTIES[cls] / 230


@each_planning
def test_num_iters_are_the_plans_length(cls):
    X, y = blobs(100)
    rates = untouched(cls, num_iters=50).fit(X, y).learning_rate_history_
    assert len(rates) == 50
    assert rates[25] == pytest.approx(rates[0] / 2)


@each_planning
def test_a_weight_of_two_is_two_samples_for_the_penalty(cls):
    X, y = blobs(40)
    weight = np.random.RandomState(0).randint(0, 3, 40)
    weighted = untouched(cls, num_epochs=3).fit(X, y, weight)
    assert weighted._net.reg == PENALTIES[cls] / (weight.sum() + 30)
    assert_same(untouched(cls, num_epochs=3).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight)), weighted)
    # Weights that are no counts: as many samples as there are rows, whatever the scale.
    for factor in (1e-3, 1.5):
        shares = untouched(cls, num_epochs=3).fit(X, y, factor * weight)
        assert shares._net.reg == PENALTIES[cls] / (np.count_nonzero(weight) + 30)


@each_planning
def test_warm_start_plans_each_fit(cls):
    X, y = blobs(100)
    net = untouched(cls, warm_start=True, num_epochs=5).fit(X, y)
    net.fit(X, y)
    rates = net.learning_rate_history_
    assert rates[20] == rates[0] > 100 * rates[19]


@each_planning
@pytest.mark.parametrize("name", ["lr_schedule", "reg", "batch_size", "tol"])
def test_other_words_are_refused(cls, name):
    with pytest.raises((TypeError, ValueError), match=f"^{name} "):
        untouched(cls, **{name: "automatic"}).fit(*blobs())


@each_planning
def test_saved_nets_keep_auto(cls, tmp_path):
    X, y = blobs(70)
    net = untouched(cls).fit(X, y)
    net.save(tmp_path / "net")
    loaded = load(tmp_path / "net")
    assert loaded.get_params() == net.get_params()
    assert_same(loaded.partial_fit(X, y), net.partial_fit(X, y))


@pytest.mark.parametrize("cls", [TwoLayerNet, FullyConnectedNet])
def test_probabilities_do_not_overfit(cls):
    """On labels that are noise by a third, the constant learning rate without a penalty is sure of what it learned."""
    rng = np.random.RandomState(0)
    X = rng.randn(400, 10)
    y = (X[:, 0] + rng.randn(400) > 0).astype(int)
    X = scale(X)
    losses = []
    for params in ({}, {"lr_schedule": None, "reg": 0.0, "batch_size": 64, "tol": None}):
        net = cls(random_state=0, **params).fit(X[:200], y[:200])
        losses.append(-net.predict_log_proba(X[200:])[np.arange(200), y[200:]].mean())
    assert losses[0] < 0.9 * losses[1]
