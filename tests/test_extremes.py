"""Numbers at the ends of what dtypes hold: a net that learns, or an error or a warning that names the cause."""

import contextlib
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.metrics import r2_score

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.nets import FullyConnected, Net
from sklearn_dl.nets.layers import Affine, BatchNorm, Conv, ReLU
from sklearn_dl.solver import Solver
from sklearn_dl.training import _program

from ._estimators import EVERY, RULES, answers, batchnorm, blobs, each_of_all, quantities, small
from ._recorded import dense
from ._solvers import make

X, y = blobs(64, dtype=np.float64, spread=0.3)
DENSE = [cls for cls in EVERY if cls not in (Softmax, ThreeLayerConvNet)]


def told(train):
    """Return the texts of the errors and warnings of a training."""
    texts = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            train()
        except ValueError as error:
            texts.append(str(error))
    return texts + [str(warning.message) for warning in caught]


def learns(cls, X, y=y, **params):
    """Return whether a net learns of X whatever its scale, as a linear one may of classes that lie apart."""
    return fit(cls, X, y, dtype="float32", **params).score(X, y) > 0.9


def fit(cls, X=X, y=y, **params):
    return small(cls, **{"num_epochs": 30, **params}).fit(X, y)


# ------------------------------------------------------------------------------------------------------ X


@each_of_all
@pytest.mark.parametrize("rule", [*RULES, "lbfgs"])
@pytest.mark.parametrize("scale", [1e5, 1e20, 1e30, 1e38, 1e60])
def test_large_X_is_to_blame_and_not_the_learning_rate(cls, rule, scale):
    texts = told(lambda: fit(cls, X * scale, update_rule=rule, dtype="float32"))
    for text in texts:
        assert "Scale X" in text
        assert "learning_rate 0" not in text
        assert "learning_rate=" not in text
    assert texts or scale == 1e5 or learns(cls, X * scale, update_rule=rule)


@each_of_all
@pytest.mark.parametrize("rule", [*RULES, "lbfgs"])
@pytest.mark.parametrize("scale", [1e-310, 1e-40, 1e-20, 1e-8])
def test_X_so_small_that_nothing_is_learned_is_named(cls, rule, scale):
    with np.errstate(under="ignore"):
        small_X = (X * scale).astype(np.float32)
    texts = told(lambda: fit(cls, small_X, update_rule=rule))
    if not texts:
        assert small(cls, num_epochs=30, update_rule=rule).fit(small_X, y).score(small_X, y) > 0.3
    for text in texts:
        assert "X are very small, up to" in text or "X is constant" in text
        assert "too large" not in text


@each_of_all
def test_sparse_X_of_any_scale(cls):
    if cls is ThreeLayerConvNet:
        return
    for scale, text in ((1e-12, "very small"), (1e20, "large")):
        rows = (X * scale).astype(np.float32)
        texts = told(lambda rows=rows: fit(cls, sparse.csr_array(rows)))
        assert texts or learns(cls, rows)
        assert all(text in one for one in texts)


@each_of_all
@pytest.mark.parametrize("method", ["predict", "decision_function", "predict_proba"])
def test_scores_that_overflow_are_no_prediction(cls, method):
    net = fit(cls, dtype="float32")
    if not hasattr(net, method):
        return
    with pytest.raises(ValueError, match="X holds values too large for the net: in float32, some scores are infinite"):
        getattr(net, method)(X * 1e200)


@each_of_all
def test_values_of_one_row_among_many(cls):
    """The row that is to blame may be any."""
    wide = np.tile(X, (40, 1))
    wide[-1] = 1e25
    labels, params = np.tile(y, 40), {"num_epochs": 3, "batch_size": 64}
    texts = told(lambda: fit(cls, wide, labels, dtype="float32", **params))
    assert texts or learns(cls, wide, labels, **params)
    assert all("Scale X" in text and "1e+25" in text for text in texts)


@each_of_all
def test_a_validation_set_alone(cls):
    net = small(cls, dtype="float32")
    with (
        pytest.warns(UserWarning, match="X_val is on another scale"),
        pytest.raises(ValueError, match="validation") as e,
    ):
        net.fit(X, y, X_val=X * 1e200, y_val=y)
    assert "X of the validation set holds nan or very large values, X of the training set does not" in str(e.value)


# --------------------------------------------------------------------------------------- batch normalization


@pytest.mark.parametrize("cls", [TwoLayerNet, FullyConnectedNet, ThreeLayerConvNet])
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_running_statistics_that_one_value_has_spoilt(cls, rule):
    """Training goes well, minibatch by minibatch, and nothing is predicted."""
    spoilt = X.copy()
    spoilt[3, 3] = 1e25
    [text] = told(lambda: fit(cls, spoilt, update_rule=rule, num_epochs=60, normalization="batchnorm"))
    assert "running mean and variance of batch normalization" in text
    assert "X holds very large values, up to 1e+25. Scale X." in text
    assert not told(lambda: fit(cls, X, update_rule=rule, num_epochs=60, normalization="batchnorm"))


def test_digits_by_minibatches_of_one():
    X, y = load_digits(return_X_y=True)
    net = FullyConnectedNet(normalization="batchnorm", batch_size=1, random_state=0)
    with pytest.raises(
        ValueError, match=r"^BatchNorm\(\) needs minibatches of at least 2 .* and n_samples=1797: .*layer"
    ):
        net.fit(X / 16, y)


@pytest.mark.parametrize("cls", DENSE)
@pytest.mark.parametrize("n", [33, 49])
def test_a_last_minibatch_of_one_is_warned_of_before_training(cls, n):
    with pytest.warns(UserWarning, match=rf"^The last minibatch .* n_samples={n} at batch_size=16: BatchNorm") as said:
        small(cls, **batchnorm(cls)).fit(X[:n], y[:n])
    assert [warning.filename for warning in said] == [__file__]
    small(cls, **batchnorm(cls)).fit(X[: n + 1], y[: n + 1])
    small(cls, **batchnorm(cls), num_iters=2).fit(X[:n], y[:n])  # which end before it


@pytest.mark.parametrize("cls", DENSE)
def test_parts_of_one(cls):
    net = small(cls, **batchnorm(cls)).fit(X, y)
    before = answers(net, X)
    with pytest.raises(ValueError, match="n_samples=1"):
        net.partial_fit(X[:1], y[:1])
    np.testing.assert_array_equal(answers(net, X), before)


@pytest.mark.parametrize(("size", "alone"), [(2, False), (1, True)])
def test_images_have_pixels_to_normalize_over(size, alone):
    """Of images of one pixel, there is one value of a channel."""
    net = Net([Conv(2, 1), BatchNorm(), ReLU(), Affine(3)], (1, size, size), weight_scale="he", random_state=0)
    images = np.random.RandomState(0).randn(12, 1, size, size)
    with pytest.raises(ValueError, match="BatchNorm") if alone else contextlib.nullcontext():
        Solver(net, {"X_train": images, "y_train": y[:12]}, batch_size=1, num_epochs=1, verbose=False).train()


def test_no_other_layer_minds():
    for kind in (None, "layernorm"):
        net = FullyConnected([4], 8, 4, normalization=kind, weight_scale="he", random_state=0)
        make(net, batch_size=1, num_epochs=1).train()


# -------------------------------------------------------------------------------------------------- settings


@each_of_all
@pytest.mark.parametrize("weight_scale", [1e300, 1e38, 1e15])
def test_first_weights_too_large(cls, weight_scale):
    texts = told(lambda: fit(cls, weight_scale=weight_scale, dtype="float32"))
    assert texts
    for text in texts:
        assert "Lower weight_scale" in text
        assert "learning_rate" not in text


EXTREMES = {
    "learning_rate": {"learning_rate": 1e-30},
    "lr_decay": {"lr_decay": 1e-30, "learning_rate": 1e-5},
    "epsilon": {"update_rule": "adam", "epsilon": 1e30},
    "clip_norm": {"update_rule": "sgd", "clip_norm": 1e-30},
    "weight_scale": {"weight_scale": 0.0, "update_rule": "sgd", "learning_rate": 1e-5},
    "reg": {"reg": 1e5, "update_rule": "adam"},
}


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize("name", EXTREMES)
def test_settings_that_let_nothing_be_learned_are_named(cls, name):
    if name == "weight_scale" and cls is Softmax:
        return  # begins at next to nothing, and learns
    texts = told(lambda: fit(cls, **EXTREMES[name]))
    learned = fit(cls, num_epochs=30).score(X, y)
    if not texts:  # as chance may have it
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert fit(cls, **EXTREMES[name]).score(X, y) > 0.4 * learned
    for text in texts:
        assert name in text


def test_a_penalty_beyond_the_dtype():
    for rule in ("sgd", "adam"):
        [text] = told(lambda rule=rule: fit(TwoLayerNet, reg=1e30, update_rule=rule))
        assert "reg=1e+30 is too large" in text
        assert "learning_rate" not in text


# --------------------------------------------------------------------------------------------- quantities


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
@pytest.mark.parametrize("exponent", [-1040, -700, 700, 1000])
def test_the_unit_of_quantities(loss, exponent):
    """A power of two: not a bit of R² differs but for what subnormal numbers round."""
    X, y = quantities(60, dtype=np.float64)
    y = np.exp(y / 8)
    plain, scaled = (
        small(FullyConnectedRegressor, loss=loss, num_epochs=20).fit(X, v) for v in (y, np.ldexp(y, exponent))
    )
    expected = plain.score(X, y)
    assert expected == r2_score(y, plain.predict(X))
    np.testing.assert_allclose(scaled.score(X, np.ldexp(y, exponent)), expected, rtol=0 if exponent > -1000 else 1e-6)


def test_outputs_of_very_different_units():
    X, y = quantities(60, 3, np.float64)
    net = small(FullyConnectedRegressor, num_epochs=20).fit(X, y * [1e-300, 1, 1e300])
    assert net.score(X, y * [1e-300, 1, 1e300]) == pytest.approx(
        small(FullyConnectedRegressor, num_epochs=20).fit(X, y).score(X, y)
    )


def test_predictions_beyond_float64_are_an_error():
    X, y = quantities(60, dtype=np.float64)
    net = small(FullyConnectedRegressor, num_epochs=20).fit(X, y * 1e306)
    with pytest.raises(ValueError, match=r"^Some predictions .* larger than float64 holds"):
        net.predict(X * 1e5)
    counts = small(FullyConnectedRegressor, loss="poisson", num_epochs=20).fit(X, np.exp(y / 8))
    with pytest.raises(ValueError, match=r"^Some predictions .* larger than float64 holds"):
        counts.predict(1e5 * X)


# ---------------------------------------------------------------------------------------------------- weights


@each_of_all
@pytest.mark.parametrize("weight", [2.0**-1070, 2.0**1023])
def test_the_unit_of_weights(cls, weight):
    """Whose sum may be beyond the largest number."""
    plain = small(cls).fit(X, y, sample_weight=np.ones(64))
    scaled = small(cls).fit(
        X, y, sample_weight=np.full(64, weight), X_val=X, y_val=y, sample_weight_val=np.full(64, weight)
    )
    np.testing.assert_array_equal(scaled.loss_history_, plain.loss_history_)
    assert scaled.score(X, y, np.full(64, weight)) == pytest.approx(scaled.score(X, y))


def test_all_weight_on_one_class_is_no_failure_to_learn():
    """The loss of a constant prediction is then next to nothing, and no net gets as far."""
    weight = np.where(y == 0, 1e39, 1.0)
    assert not told(lambda: small(TwoLayerNet, num_epochs=30).fit(X, y, sample_weight=weight))


# ------------------------------------------------------------------------------------- compiled epochs, too


@pytest.mark.parametrize("growth", [1e3, 1e9])
def test_the_cause_is_the_same_in_compiled_epochs(growth, monkeypatch):
    """Of which the error is that of the step-by-step run, to the letter."""

    def train():
        net = dense(Affine(8), BatchNorm(), ReLU())()
        rng = np.random.RandomState(0)
        data = {"X_train": 1e4 * rng.randn(37, *net.input_shape), "y_train": rng.randint(0, 4, 37)}
        options = {"batch_size": 8, "num_epochs": 60, "verbose": False, "random_state": 0, "lr_decay": growth}
        with pytest.raises(ValueError, match=r"X holds very large values, up to .*\. Scale X\.$") as error:
            Solver(net, data, optim_config={"learning_rate": 1e-4}, **options).train()
        return str(error.value)

    compiled = train()
    monkeypatch.setattr(_program, "enabled", False)
    assert train() == compiled
