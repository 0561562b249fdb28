"""FullyConnectedRegressor: what it fits, y in its own units, one and many outputs, weights, ways to end."""

import pickle
import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, make_regression
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, PoissonRegressor, QuantileRegressor
from sklearn.metrics import mean_absolute_error, mean_poisson_deviance, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_dl
from sklearn_dl import FullyConnectedRegressor
from sklearn_dl.losses import absolute_error, huber_loss, poisson_loss, squared_error

LOSSES = {
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber_loss,
    "poisson": poisson_loss,
}
each_loss = pytest.mark.parametrize("loss", LOSSES)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def table(n=200, n_outputs=1, dtype=np.float64, seed=0):
    """Return features of unit variance and positive quantities, (n,) or (n, n_outputs), that depend on them."""
    rng = np.random.RandomState(seed)
    X = rng.randn(n, 5)
    y = np.exp(0.5 * X @ rng.randn(5, n_outputs) + 0.1 * rng.randn(n, n_outputs))
    return X.astype(dtype), y[:, 0] if n_outputs == 1 else y


def small(**params):
    """Return a small, quick, seeded regressor that does not stop by itself."""
    quick = {
        "hidden_dims": (8, 6),
        "num_epochs": 5,
        "batch_size": 16,
        "random_state": 0,
        "tol": None,
        "lr_schedule": None,
    }
    return FullyConnectedRegressor(**{**quick, **params})


# ---------------------------------------------------------------------- what is fitted


@each_loss
def test_the_optimum_of_each_loss_is_found(loss):
    """Without hidden layers and penalty, L-BFGS ends where scikit-learn's linear models do."""
    X, y = table(400)
    net = small(hidden_dims=(), loss=loss, update_rule="lbfgs", num_epochs=2000, tol=1e-9).fit(X, y)
    if loss == "squared_error":
        np.testing.assert_allclose(net.predict(X), LinearRegression().fit(X, y).predict(X), rtol=1e-5, atol=1e-5)
    elif loss == "poisson":
        other = PoissonRegressor(alpha=0, tol=1e-9, max_iter=1000).fit(X, y)
        np.testing.assert_allclose(net.predict(X), other.predict(X), rtol=1e-4)
    elif loss == "absolute_error":
        other = QuantileRegressor(alpha=0).fit(X, y)
        assert mean_absolute_error(y, net.predict(X)) < 1.01 * mean_absolute_error(y, other.predict(X))
    else:  # with a wide delta, the squared error
        wide = small(hidden_dims=(), loss="huber", delta=1e3, update_rule="lbfgs", num_epochs=2000, tol=1e-9).fit(X, y)
        np.testing.assert_allclose(wide.predict(X), LinearRegression().fit(X, y).predict(X), rtol=1e-5, atol=1e-5)
        assert not np.allclose(net.predict(X), wide.predict(X), rtol=1e-2)


@each_loss
@each_dtype
def test_deep_nets_learn(loss, dtype):
    X, y = table(600, dtype=dtype)
    net = small(loss=loss, num_epochs=60, learning_rate=0.01).fit(X[:400], y[:400])
    assert net.score(X[400:], y[400:]) > 0.8
    assert net.loss_curve_[-1] < net.loss_curve_[0]
    assert net.predict(X).dtype == np.float64


def test_huber_and_absolute_error_are_not_moved_by_outliers():
    X, y = table(400)
    spoilt = y.copy()
    spoilt[::20] += 500
    errors = {
        loss: mean_absolute_error(y, small(loss=loss, delta=0.05, num_epochs=40).fit(X, spoilt).predict(X))
        for loss in ("squared_error", "absolute_error", "huber")
    }
    assert errors["absolute_error"] < errors["squared_error"] / 3
    assert errors["huber"] < errors["squared_error"] / 3


def test_poisson_predicts_means_above_zero():
    rng = np.random.RandomState(0)
    X = rng.randn(500, 3)
    y = rng.poisson(np.exp(X[:, 0] + 1))
    net = small(loss="poisson", num_epochs=60, learning_rate=0.01).fit(X[:300], y[:300])
    mean = DummyRegressor().fit(X, y[:300].mean() * np.ones(500)).predict(X[300:])
    assert net.predict(1e2 * X).min() >= 0
    assert mean_poisson_deviance(y[300:], net.predict(X[300:])) < mean_poisson_deviance(y[300:], mean) / 2
    assert net.out_activation_ == "exp"


@each_loss
def test_the_loss_of_an_update_is_that_of_the_scaled_targets(loss):
    X, y = table(32)
    net = small(loss=loss, num_iters=1, num_epochs=1, batch_size=32).fit(X, y)
    start = small(loss=loss, num_iters=1, num_epochs=1, batch_size=32, learning_rate=0.0).fit(X, y)
    predicted = start.predict(X)
    scores = np.log(predicted / net.y_scale_) if loss == "poisson" else (predicted - net.y_mean_) / net.y_scale_
    targets = (y - net.y_mean_) / net.y_scale_
    expected, _ = LOSSES[loss](scores[:, None], targets[:, None])
    np.testing.assert_allclose(net.loss_history_[0], expected, rtol=1e-9)


# ----------------------------------------------------------------------- y's own units


@each_loss
@each_dtype
@pytest.mark.parametrize("unit", [2.0**-20, 2.0**23])
def test_units_of_y_change_nothing(loss, dtype, unit):
    """By a power of two, all that differs are exponents."""
    X, y = table(dtype=dtype)
    first, second = small(loss=loss).fit(X, y), small(loss=loss).fit(X, unit * y)
    np.testing.assert_array_equal(second.predict(X), unit * first.predict(X))
    np.testing.assert_array_equal(second.loss_history_, first.loss_history_)
    assert second.score(X, unit * y) == pytest.approx(first.score(X, y), rel=1e-12)


@each_dtype
def test_small_differences_of_large_numbers_are_learned(dtype):
    X, y = table(400, dtype=dtype)
    net = small(num_epochs=60, learning_rate=0.01).fit(X, 1e9 + y)
    assert r2_score(y, net.predict(X) - 1e9) > 0.9


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_ends_of_the_range(scale):
    X, y = table(100)
    y = y / y.max()
    net = small(num_epochs=30, learning_rate=0.01).fit(X, scale * y)
    assert r2_score(y, net.predict(X) / scale) > 0.5


def test_mean_and_scale():
    X, y = table(100, n_outputs=3)
    net = small().fit(X, y)
    np.testing.assert_allclose(net.y_mean_, y.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(net.y_scale_, y.std(axis=0), rtol=1e-12)
    weight = np.arange(100) % 3
    net = small().fit(X, y, sample_weight=weight)
    mean = np.average(y, axis=0, weights=weight)
    np.testing.assert_allclose(net.y_mean_, mean, rtol=1e-12)
    np.testing.assert_allclose(net.y_scale_, np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weight)), rtol=1e-12)
    net = small(loss="poisson").fit(X, y)
    assert (net.y_mean_ == 0).all()
    np.testing.assert_allclose(net.y_scale_, y.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 7.5, 1e-300, -3e12, 1e300])
def test_a_constant_y_is_predicted(value):
    X, _ = table(60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = small(num_epochs=20).fit(X, np.full(60, value))
    assert net.y_scale_ == 0
    np.testing.assert_allclose(net.predict(X), value, rtol=1e-15)
    rounding = (value or 1.0) * (1 + 1e-16 * (np.arange(60) % 10))
    net = small().fit(X, rounding)
    assert net.y_scale_ == 0
    np.testing.assert_allclose(net.predict(X), rounding, rtol=1e-14)
    assert net.loss_history_[-1] < 1
    y_val = value + X[:, 0] * (abs(value) or 1)
    wanted = re.escape(f"y_val must be {value:g}, as all of y is, got {y_val[0]:g}.")
    with pytest.raises(ValueError, match=wanted):
        small().fit(X, np.full(60, value), X_val=X, y_val=y_val)
    y_val[1:] = value
    small().fit(X, np.full(60, value), X_val=X, y_val=y_val, sample_weight_val=np.arange(60))


def test_an_output_is_constant_in_its_own_unit():
    X, y = table(60, n_outputs=2)
    net = small().fit(X, y * [1e12, 0])
    np.testing.assert_array_equal(net.predict(X)[:, 1], 0)
    with pytest.raises(ValueError, match=r"y_val must be 0 in column 1, as all of y is, got 0\.000"):
        net.fit(X, y * [1e12, 0], X_val=X, y_val=y * [1e12, 1e-3])


def test_what_is_constant_in_the_first_part_may_vary_later():
    X, y = table(100)
    parts = small(learning_rate=0.01).partial_fit(X[:1], y[:1])
    again = small(warm_start=True, learning_rate=0.01, num_epochs=60).fit(X, np.ones(100))
    fitted = small(learning_rate=0.01).fit(X, np.ones(100))
    for _ in range(60):
        parts.partial_fit(X, y)
        fitted.partial_fit(X, y)
    assert parts.y_scale_ == again.y_scale_ == fitted.y_scale_ == 1
    assert parts.score(X, y) > 0.7
    assert fitted.score(X, y) > 0.7
    assert again.fit(X, y).score(X, y) > 0.7


@each_loss
def test_coefficients_are_in_the_units_of_y(loss):
    X, y = table()
    for hidden_dims in ((), (8, 6)):
        net = small(hidden_dims=hidden_dims, loss=loss).fit(X, 1e6 * y)
        out = X
        for coef, intercept in zip(net.coefs_[:-1], net.intercepts_[:-1], strict=True):
            out = np.maximum(out @ coef + intercept, 0)
        out = (out @ net.coefs_[-1] + net.intercepts_[-1])[:, 0]
        np.testing.assert_allclose(np.exp(out) if loss == "poisson" else out, net.predict(X), rtol=1e-9)
        assert net.n_layers_ == len(hidden_dims) + 2
        assert net.n_outputs_ == 1
        with pytest.raises(ValueError, match="read-only"):
            net.coefs_[-1][0] = 0


# -------------------------------------------------------------------- shapes and types


def test_predictions_have_the_shape_of_y():
    X, y = table(60)
    flat, column = small().fit(X, y), small().fit(X, y[:, None])
    assert flat.predict(X).shape == (60,)
    assert column.predict(X).shape == (60, 1)
    np.testing.assert_array_equal(flat.predict(X), column.predict(X)[:, 0])
    X, y = table(60, n_outputs=3)
    assert small().fit(X, y).predict(X).shape == (60, 3)


@each_loss
def test_many_outputs(loss):
    X, y = table(600, n_outputs=3)
    y = y * [1e-6, 1.0, 1e6]
    net = small(loss=loss, num_epochs=60, learning_rate=0.01, hidden_dims=(30, 20)).fit(X[:400], y[:400])
    scores = r2_score(y[400:], net.predict(X[400:]), multioutput="raw_values")
    assert (scores > 0.7).all(), scores
    assert net.score(X[400:], y[400:]) == pytest.approx(scores.mean())
    assert net.train_r2_history_[-1] == pytest.approx(net.score(X[:400], y[:400]), abs=1e-9)


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint16, np.float16, np.float32, bool, object])
def test_any_numbers_are_taken(kind):
    X, y = table(60)
    y = np.minimum(np.round(y), 1 if kind is bool else 100)
    np.testing.assert_array_equal(small().fit(X, y.astype(kind)).predict(X), small().fit(X, y).predict(X))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full(20, np.nan), "Input y contains NaN"),
        (np.r_[np.inf, np.ones(19)], "Input y contains infinity"),
        (np.array(["a"] * 20), "y must hold numbers, got dtype <U1"),
        (np.ones((20, 2, 2)), "Found array with dim 3"),
        (np.ones(19), "inconsistent numbers of samples"),
        (np.r_[-1.7e308, 1.7e308, np.ones(18)], "y must span less than float64 holds"),
        (np.ones(20) * 1j, "Complex data not supported"),
    ],
)
def test_bad_targets(y, message):
    X, good = table(20)
    net = small().fit(X, good)
    before = net.predict(X)
    with pytest.raises(ValueError, match=message):
        net.fit(X, y)
    np.testing.assert_array_equal(net.predict(X), before)


def test_bad_counts():
    X, y = table(20)
    with pytest.raises(ValueError, match="y must be at least 0 for loss='poisson', got -1"):
        small(loss="poisson").fit(X, np.r_[-1.0, y[1:]])
    with pytest.raises(ValueError, match="y must hold a number above 0 for loss='poisson', got only zeros"):
        small(loss="poisson").fit(X, 0 * y)
    with pytest.raises(ValueError, match="y_val must be at least 0 for loss='poisson', got -1"):
        small(loss="poisson").fit(X, y, X_val=X, y_val=-np.ones(20))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"loss": "mse"}, ValueError, "loss must be one of 'squared_error', .*'poisson', got 'mse'"),
        ({"loss": "softmax"}, ValueError, "loss must be one of 'squared_error'"),
        ({"delta": 0}, ValueError, "delta == 0, must be > 0"),
        ({"monitor": "accuracy"}, ValueError, "monitor must be one of 'r2', 'loss', got 'accuracy'"),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        small(**params).fit(*table(20))


# ----------------------------------------------------------------- weights and endings


@each_loss
def test_weights_are_repetitions(loss):
    X, y = table(40)
    weight = np.arange(40) % 4
    weighted = small(loss=loss, batch_size=200, num_epochs=30).fit(X, y, sample_weight=weight)
    repeated = small(loss=loss, batch_size=200, num_epochs=30).fit(np.repeat(X, weight, 0), np.repeat(y, weight))
    np.testing.assert_array_equal(weighted.predict(X), repeated.predict(X))


@pytest.mark.parametrize("batch_size", [10, 100])
def test_what_has_no_weight_is_not_there_where_the_rest_is_constant(batch_size):
    X, y = table(60)
    weight = np.arange(60) < 20
    y = np.column_stack([np.where(weight, 7.5, y), y])
    net = small(batch_size=batch_size).fit(X, y, sample_weight=weight)
    assert net.y_scale_[0] == 0
    np.testing.assert_allclose(net.predict(X)[:, 0], 7.5, rtol=1e-15)
    alone = small(batch_size=batch_size).fit(X[:20], y[:20])
    np.testing.assert_allclose(net.y_mean_, alone.y_mean_)


@each_loss
@pytest.mark.parametrize("constant", [False, True])
def test_y_of_weight_zero_means_nothing(loss, constant):
    X, y = table(60, n_outputs=2)
    if constant:
        y[:] = [3.0, 4.0]
    weight = np.arange(60) % 3
    spoilt = np.where(weight[:, None] == 0, [-1e300, 1e300], y)
    options = {"loss": loss, "batch_size": 20, "shuffle": False}
    given = {"X_val": X, "y_val": y}
    plain, other = (small(**options).fit(X, z, sample_weight=weight, **given) for z in (y, spoilt))
    np.testing.assert_array_equal(other.predict(X), plain.predict(X))
    assert spoilt[0].tolist() == [-1e300, 1e300]
    parts = small(**options).partial_fit(X, y, sample_weight=weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts.partial_fit(X, spoilt, sample_weight=weight)


@pytest.mark.parametrize("unit", [2.0**-1070, 2.0**-1000, 2.0**1000, 2.0**1021])
def test_units_of_weights_change_nothing(unit):
    X, y = table(60)
    plain, scaled = (small(batch_size=20).fit(X, y, sample_weight=np.full(60, w)) for w in (1.0, unit))
    np.testing.assert_array_equal(plain.predict(X), scaled.predict(X))
    weight = 2.0 ** (np.arange(60) % 3)
    net = small().fit(X, y, sample_weight=1e300 * weight)
    np.testing.assert_allclose(net.y_mean_, np.average(y, weights=weight), rtol=1e-12)


def test_early_stopping_keeps_the_best_epoch():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    net = small(hidden_dims=100, early_stopping=True, num_epochs=300, tol=1e-4, learning_rate=0.01).fit(X, y)
    assert net.stop_reason_ == "no_improvement"
    assert net.best_epoch_ == np.argmin(net.history_["val_loss"]) + 1
    assert net.best_validation_score_ == net.val_r2_history_[net.best_epoch_]
    assert net.validation_scores_ == net.history_["val_r2"]
    val = slice(300, None)
    given = small(hidden_dims=100, monitor="r2").fit(X[:300], y[:300], X_val=X[val], y_val=y[val])
    assert given.score(X[val], y[val]) == pytest.approx(given.best_val_score_, abs=1e-9)
    assert given.best_val_score_ == max(given.val_r2_history_)
    without = small(num_epochs=1).fit(X, y)
    assert without.best_val_score_ is without.best_validation_score_ is without.validation_scores_ is None


def test_the_best_epoch_by_loss_where_r2_says_nothing():
    X, y = table(100)
    net = small(monitor="loss", num_epochs=4).fit(X, y, X_val=X, y_val=np.full(100, y.mean()))
    assert net.val_r2_history_ == [0.0] * 5
    assert net.history_["val_loss"][net.best_epoch_ - 1] == min(net.history_["val_loss"])


def test_a_best_r2_below_zero_is_the_best():
    X, y = table(100)
    net = small(monitor="r2", num_epochs=3).fit(X, y, X_val=X, y_val=-y)
    assert net.best_val_score_ == max(net.val_r2_history_) == net.val_r2_history_[net.best_epoch_] < 0
    assert net.score(X, -y) == pytest.approx(net.best_val_score_)
    assert pickle.loads(pickle.dumps(net)).best_val_score_ == net.best_val_score_


def test_squared_error_and_r2_choose_alike():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    options = {"hidden_dims": 30, "early_stopping": True, "num_epochs": 40}
    by_loss, by_score = (small(**options, monitor=monitor).fit(X, y) for monitor in ("loss", "r2"))
    assert by_loss.best_epoch_ == by_score.best_epoch_ > 0
    np.testing.assert_array_equal(by_loss.predict(X), by_score.predict(X))


# -------------------------------------------------------------------------- going on


def test_partial_fit_goes_on():
    X, y = table(400)
    whole = small(num_epochs=4, shuffle=False).fit(X, y)
    parts = small(shuffle=False)
    for _ in range(4):
        parts.partial_fit(X, y)
    np.testing.assert_array_equal(parts.predict(X), whole.predict(X))
    kept = parts.y_mean_
    parts.partial_fit(X[:50], y[:50] + 1)
    np.testing.assert_array_equal(parts.y_mean_, kept)
    with pytest.raises(ValueError, match=r"y must have the shape \(n_samples,\) that y had in the first fit"):
        parts.partial_fit(X, y[:, None])
    with pytest.raises(AttributeError):
        _ = small(update_rule="lbfgs").partial_fit


def test_partial_fit_warns_of_parts_on_another_scale():
    X, y = table(100)
    net = small().partial_fit(X, y)
    with pytest.warns(UserWarning, match="times its scale away from the mean of the first part"):
        net.partial_fit(X, 1e4 * y)


def test_partial_fit_compares_the_means_of_counts():
    """Of rare events, a single one is many times the mean."""
    X, _ = table(1000)
    y = np.zeros(1000)
    y[::500] = 1
    net = small(loss="poisson", batch_size=500).partial_fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.partial_fit(X, y[::-1])
    with pytest.warns(UserWarning, match=r"The mean of y is 5e\+02 times that of the first part"):
        net.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match=r"y must have the shape \(n_samples,\)"):
        net.partial_fit(X, np.ones((1000, 2)))


def test_a_first_part_without_counts():
    X, y = table(100)
    y = np.column_stack([np.round(y), np.round(y[::-1])])
    net = small(loss="poisson", learning_rate=0.01).partial_fit(X, y * [1, 0])
    np.testing.assert_allclose(net.y_scale_, [y[:, 0].mean(), 1.0])
    for _ in range(100):
        net.partial_fit(X, y)
    assert net.score(X, y) > 0.5
    with pytest.raises(ValueError, match="got only zeros in column 1"):
        small(loss="poisson").fit(X, y * [1, 0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_targets_too_far_to_be_learned_are_refused(dtype):
    X, y = table(40)
    net = small(dtype=dtype).fit(X, 1e-30 * y)
    before = net.predict(X)
    message = " is up to .* times the scale of y in the first fit, .* away from its mean, .*: 1e\\+18 is the most"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for scale in (1e-10, 1e300):
            with pytest.raises(ValueError, match="^y" + message):
                net.partial_fit(X, scale * y)
            with pytest.raises(ValueError, match="^y_val" + message):
                net.fit(X, 1e-30 * y, X_val=X, y_val=scale * y)
        with pytest.raises(ValueError, match="^y_val" + message):
            net.fit(X, y - 1.7e308 * (np.arange(40) % 2), X_val=X, y_val=np.full(40, 1.7e308))
    np.testing.assert_array_equal(net.predict(X), before)


def test_warm_start_keeps_the_scale():
    X, y = table(100)
    net = small(warm_start=True).fit(X, y)
    kept, epochs = net.y_scale_, net.n_iter_
    net.fit(X, 2 * y)
    assert net.n_iter_ == 2 * epochs
    np.testing.assert_array_equal(net.y_scale_, kept)
    with pytest.raises(ValueError, match="cannot change loss from 'squared_error' to 'huber'"):
        net.set_params(loss="huber").fit(X, y)
    net.set_params(loss="squared_error")
    with pytest.raises(ValueError, match=r"y must have the shape \(n_samples,\)"):
        net.fit(X, np.column_stack([y, y]))


def test_the_number_of_outputs_stays():
    X, y = table(60, n_outputs=3)
    net = small(warm_start=True).fit(X, y)
    for other in (y[:, :2], y[:, :1], y[:, 0]):
        for call in (net.fit, net.partial_fit):
            with pytest.raises(ValueError, match=r"^y must have the shape \(n_samples, 3\) .*, got"):
                call(X, other)
        with pytest.raises(ValueError, match=r"^y_val must have the shape \(n_samples, 3\) .*, got"):
            net.fit(X, y, X_val=X, y_val=other)


def test_warm_start_warns_of_another_scale():
    X, y = table(100)
    net = small(warm_start=True, num_epochs=2).fit(X, y)
    with pytest.warns(
        UserWarning, match=r"times its scale away from the mean of the first fit, whose .* warm_start keeps"
    ):
        net.fit(X, 1e4 * y)
    again = small(warm_start=True, num_epochs=2).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again.fit(X, np.append(1e4, y[1:]), sample_weight=np.arange(100) > 0)


def test_what_is_fitted_predicts_whatever_the_parameters_are_set_to():
    X, y = table(60)
    for trained, other in (("poisson", "squared_error"), ("squared_error", "poisson")):
        net = small(loss=trained).fit(X, y)
        predicted = net.predict(X)
        net.set_params(loss=other, delta=2.0)
        np.testing.assert_array_equal(net.predict(X), predicted)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).predict(X), predicted)


def test_scores_are_weighted():
    X, y = table(60, n_outputs=2)
    net, weight = small().fit(X, y), np.arange(60) % 4
    assert net.score(X, y, weight) == r2_score(y, net.predict(X), sample_weight=weight) != net.score(X, y)


def test_delta_may_change_from_fit_to_fit():
    X, y = table(100)
    net = small(loss="huber", delta=0.1, warm_start=True).fit(X, y)
    other = pickle.loads(pickle.dumps(net))
    net.fit(X, y)
    other.set_params(delta=5.0).fit(X, y)
    assert not np.array_equal(net.predict(X), other.predict(X))


@each_loss
def test_copies_predict_the_same(loss, tmp_path):
    for n_outputs in (1, 2):
        X, y = table(60, n_outputs=n_outputs)
        net = small(loss=loss, normalization="batchnorm").fit(X, y)
        net.save(tmp_path / "net")
        for other in (pickle.loads(pickle.dumps(net)), sklearn_dl.load(tmp_path / "net")):
            np.testing.assert_array_equal(other.predict(X), net.predict(X))
            np.testing.assert_array_equal(other.fit(X, y).predict(X), clone(net).fit(X, y).predict(X))
            assert other.train_r2_history_ == net.train_r2_history_


# ------------------------------------------------------------------------ around it


def test_in_pipelines_searches_and_meta_estimators():
    X, y = make_regression(300, 8, n_informative=4, noise=5, random_state=0)
    net = small(num_epochs=40, learning_rate=0.01)
    search = GridSearchCV(make_pipeline(StandardScaler(), net), {"fullyconnectedregressor__reg": [0, 1e-3]}, cv=3)
    assert search.fit(X, y).best_score_ > 0.8
    several = np.column_stack([y, y**2])
    for model in (MultiOutputRegressor(net), RegressorChain(net)):
        assert model.fit(X, several).predict(X).shape == (300, 2)
    assert TransformedTargetRegressor(net, func=np.cbrt, inverse_func=lambda z: z**3).fit(X, y).score(X, y) > 0.7


def test_what_a_regressor_lacks():
    net = small().fit(*table(20))
    for name in (
        "predict_proba",
        "decision_function",
        "classes_",
        "class_weight",
        "label_smoothing",
        "train_acc_history_",
    ):
        assert not hasattr(net, name)
    with pytest.raises(TypeError, match="class_weight"):
        FullyConnectedRegressor(class_weight="balanced")


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_same_bits_on_any_number_of_threads(loss):
    from threadpoolctl import threadpool_limits

    X, y = table(300, n_outputs=2, dtype=np.float32)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(small(loss=loss, hidden_dims=(50, 50)).fit(X, y).predict(X))
    np.testing.assert_array_equal(*found)
