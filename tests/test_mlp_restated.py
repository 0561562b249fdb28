"""What scikit-learn's own tests of MLPClassifier and MLPRegressor ask, asked of the nets here.

`restates` names the tests of ``sklearn/neural_network/tests/test_mlp.py`` that a test here stands for, and
`WITHOUT_COUNTERPART` those that have none, with the reason; together they are all of that file.
"""

import ast
import itertools
import warnings
from importlib.util import find_spec
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from scipy.special import expit
from sklearn.datasets import (
    load_digits,
    load_iris,
    make_classification,
    make_multilabel_classification,
    make_regression,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import log_loss, mean_squared_error, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import minmax_scale, scale

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, TwoLayerNet
from sklearn_dl.nets.activations import ACTIVATIONS
from sklearn_dl.schedules import InverseScaling, ReduceOnPlateau

RESTATED = {}

WITHOUT_COUNTERPART = {
    "test_lbfgs_classification_maxfun": "lbfgs has no limit of evaluations beside num_epochs, that of iterations",
    "test_lbfgs_regression_maxfun": "the same",
    "test_mlp_diverging_loss": "a loss that is not finite is an error here: test_losses_stay_finite",
}


def restates(*names):
    """Say which of scikit-learn's tests a test stands for."""

    def note(test):
        for name in names:
            RESTATED.setdefault(name, []).append(test.__name__)
        return test

    return note


def theirs():
    """Return the names of scikit-learn's tests, or None where they are not installed."""
    package = find_spec("sklearn.neural_network")
    path = Path(package.origin).parent / "tests" / "test_mlp.py"
    if not path.exists():
        return None
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_of_scikit_learn_is_answered():
    names = theirs()
    if names is None:
        pytest.skip("scikit-learn was installed without its tests")
    assert len(names) > 30
    assert names - RESTATED.keys() == WITHOUT_COUNTERPART.keys() & names
    assert not RESTATED.keys() & WITHOUT_COUNTERPART.keys()


NETS = [FullyConnectedNet, FullyConnectedRegressor]
each_net = pytest.mark.parametrize("cls", NETS, ids=lambda cls: cls.__name__)
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
not_converged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_IRIS, Y_IRIS = load_iris(return_X_y=True)


def digits(n_classes, n=200):
    """Return the first images of some digits, each pixel from 0 to 1."""
    X, y = load_digits(n_class=n_classes, return_X_y=True)
    return minmax_scale(X[:n]), y[:n]


def noisy_plane():
    """Return a regression of ten features, with noise as large as what can be learned."""
    X, y = make_regression(n_samples=200, n_features=10, bias=20.0, noise=100.0, random_state=7)
    return X, scale(y)


def several_labels():
    return make_multilabel_classification(n_samples=50, random_state=0)


# ------------------------------------------------------------------------------ steps, gradients and penalties


@restates("test_alpha")
@each_net
def test_a_larger_penalty_makes_smaller_weights(cls):
    X, y = digits(2, 100)
    sizes = [
        [np.abs(w).sum() for w in cls(hidden_dims=10, reg=reg, tol=None, random_state=1).fit(X, y).coefs_]
        for reg in (0, 0.01, 0.1)
    ]
    assert all(larger > smaller for pair in itertools.pairwise(sizes) for larger, smaller in zip(*pair, strict=True))


@restates("test_fit")
def test_one_step_by_hand():
    """Of one sample, two logistic units and the second of two classes, whose score leads by ``h @ W2 + b2``."""
    x, eta, alpha = np.array([0.6, 0.8, 0.7]), 0.1, 0.1
    W1, b1 = np.array([[0.1, 0.2], [0.3, 0.1], [0.5, 0.0]]), np.array([0.1, 0.1])
    W2, b2 = np.array([0.1, 0.2]), 1.0
    settings = {"activation": "logistic", "update_rule": "sgd", "learning_rate": eta, "reg": alpha, "random_state": 1}
    net = TwoLayerNet(hidden_dim=2, **settings).set_params(learning_rate=0).partial_fit([x], [0], classes=[0, 1])
    for name, value in {"W1": W1, "b1": b1, "W2": np.c_[[0, 0], W2], "b2": [0, b2]}.items():
        net.params_[name][...] = value
    net.set_params(learning_rate=eta).partial_fit([x], [0])

    hidden = expit(x @ W1 + b1)
    p = expit(hidden @ W2 + b2)  # of the wrong class, so also the gradient of its score
    dhidden = p * W2 * hidden * (1 - hidden)
    np.testing.assert_allclose(net.coefs_[0], W1 - eta * (np.outer(x, dhidden) + alpha * W1), rtol=1e-12)
    np.testing.assert_allclose(net.intercepts_[0], b1 - eta * dhidden, rtol=1e-12)
    np.testing.assert_allclose(net.coefs_[1][:, 1], W2 - eta * (p * hidden + alpha * W2), rtol=1e-12)
    np.testing.assert_allclose(net.coefs_[1][:, 0], eta * p * hidden, rtol=1e-12)
    np.testing.assert_allclose(net.intercepts_[1], [eta * p, b2 - eta * p], rtol=1e-12)
    # As scikit-learn's test has worked it out, to its three decimals.
    np.testing.assert_allclose([hidden[0], hidden[1], p], [0.679, 0.574, 0.765], atol=5e-4)


def losses_of(net, X, y):
    """Return the loss of what is predicted, by scikit-learn's metrics."""
    if hasattr(net, "classes_"):
        return log_loss(y, net.predict_proba(X))
    return mean_squared_error(y, net.predict(X)) / 2 / net.y_scale_[0] ** 2


@restates("test_gradient")
@each_activation
@pytest.mark.parametrize(
    ("cls", "n_classes"), [(FullyConnectedNet, 2), (FullyConnectedNet, 3), (FullyConnectedRegressor, 3)]
)
def test_a_step_is_the_gradient_of_the_loss(activation, cls, n_classes):
    X = np.random.RandomState(42).rand(5, 10)
    y = np.arange(5) % n_classes
    settings = {"hidden_dims": (4, 3), "activation": activation, "reg": 0, "update_rule": "sgd", "lr_schedule": None}
    net = cls(**settings, warm_start=True, learning_rate=0, num_epochs=1, tol=None, random_state=1).fit(X, y)
    numerical = {}
    for name, values in net.params_.items():
        numerical[name] = np.empty_like(values)
        for cell in np.ndindex(values.shape):
            before = values[cell]
            values[cell] = before + 1e-5
            above = losses_of(net, X, y)
            values[cell] = before - 1e-5
            numerical[name][cell] = (above - losses_of(net, X, y)) / 2e-5
            values[cell] = before
    before = {name: values.copy() for name, values in net.params_.items()}
    net.set_params(learning_rate=1).fit(X, y)
    for name, gradient in numerical.items():
        np.testing.assert_allclose(before[name] - net.params_[name], gradient, atol=1e-7, err_msg=name)


# ------------------------------------------------------------------------------ lbfgs


@restates("test_lbfgs_classification")
@each_activation
@pytest.mark.parametrize("n_classes", [2, 3])
def test_lbfgs_learns_digits(activation, n_classes):
    X, y = digits(n_classes)
    net = TwoLayerNet(hidden_dim=50, activation=activation, update_rule="lbfgs", num_epochs=150, random_state=1)
    net.fit(X[:150], y[:150])
    assert net.score(X[:150], y[:150]) > 0.95
    predicted = net.predict(X[150:])
    assert (predicted.shape, predicted.dtype.kind) == ((50,), y.dtype.kind)


@restates("test_lbfgs_regression")
@each_activation
def test_lbfgs_learns_a_plane_and_its_noise(activation):
    X, y = noisy_plane()
    settings = {"hidden_dims": 50, "activation": activation, "update_rule": "lbfgs", "tol": 1e-3}
    net = FullyConnectedRegressor(**settings, num_epochs=200, random_state=1).fit(X, y)
    # A plane cannot fit the noise, as nets with an activation do.
    assert net.score(X, y) > (0.80 if activation == "identity" else 0.98)
    assert net.score(X, y) < (0.90 if activation == "identity" else 1)


@restates("test_lbfgs_regression", "test_multioutput_regression")
def test_lbfgs_learns_several_outputs():
    X, y = make_regression(n_samples=200, n_targets=5, random_state=11)
    net = FullyConnectedRegressor(hidden_dims=50, update_rule="lbfgs", num_epochs=200, tol=1e-2, random_state=1)
    assert net.fit(X, y).score(X, y) > 0.9
    assert net.predict(X).shape == (200, 5)


@each_net
def test_lbfgs_ends_at_num_epochs_and_says_so(cls):
    X, y = digits(3, 150)
    net = cls(hidden_dims=50, update_rule="lbfgs", num_epochs=5, tol=0, random_state=1)
    with pytest.warns(ConvergenceWarning, match="num_epochs=5"):
        net.fit(X, y)
    assert net.n_iter_ == 5


# ------------------------------------------------------------------------------ several labels


@restates("test_multilabel_classification")
def test_several_labels_by_lbfgs():
    X, y = several_labels()
    settings = {"hidden_dim": 50, "activation": "logistic", "reg": 1e-5 / 50, "update_rule": "lbfgs"}
    assert TwoLayerNet(**settings, num_epochs=150, tol=1e-4, random_state=0).fit(X, y).score(X, y) > 0.97


@restates("test_multilabel_classification")
def test_several_labels_in_parts():
    X, y = several_labels()
    settings = {"hidden_dim": 50, "activation": "logistic", "update_rule": "nesterov", "learning_rate": 0.2}
    net = TwoLayerNet(**settings, random_state=0)
    for _ in range(100):
        net.partial_fit(X, y, classes=np.arange(5))
    assert net.score(X, y) > 0.9


@not_converged
@restates("test_multilabel_classification")
def test_several_labels_with_early_stopping():
    X, y = several_labels()
    net = FullyConnectedNet(early_stopping=True, random_state=0).fit(X, y)
    assert len(net.validation_scores_) == net.n_iter_
    assert set(np.unique(net.predict(X))) == {0, 1}


@restates("test_predict_proba_multilabel")
def test_probabilities_of_several_labels():
    X, y = several_labels()
    net = TwoLayerNet(hidden_dim=30, reg=0, update_rule="lbfgs", random_state=0).fit(X, y)
    probabilities = net.predict_proba(X)
    assert probabilities.shape == y.shape
    np.testing.assert_array_equal(probabilities > 0.5, y)
    np.testing.assert_array_equal(net.predict(X), y)
    assert np.abs(probabilities.sum(axis=1) - 1).max() > 0.5  # each label has one of its own
    np.testing.assert_allclose(net.predict_log_proba(X), np.log(probabilities), rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------------------ probabilities


@not_converged
@restates("test_predict_proba_binary", "test_predict_proba_multiclass")
@pytest.mark.parametrize(("n_classes", "n"), [(2, 50), (3, 10)])
def test_probabilities(n_classes, n):
    X, y = digits(n_classes, n)
    net = TwoLayerNet(hidden_dim=5, activation="logistic", random_state=1).fit(X, y)
    probabilities, logarithms = net.predict_proba(X), net.predict_log_proba(X)
    assert probabilities.shape == (n, n_classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(logarithms, np.log(probabilities))
    np.testing.assert_array_equal(probabilities.argmax(axis=1), logarithms.argmax(axis=1))
    if n_classes == 2:
        assert roc_auc_score(y, probabilities[:, 1]) == 1


# ------------------------------------------------------------------------------ in parts, and going on


@restates("test_partial_fit_classes_error")
def test_other_classes_in_a_later_part():
    net = TwoLayerNet(update_rule="sgd", random_state=0).partial_fit([[3, 2]], [0], classes=[0, 1])
    with pytest.raises(ValueError, match="classes"):
        net.partial_fit([[3, 2]], [0], classes=[1, 2])


@not_converged
@restates("test_partial_fit_classification")
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_hundred_parts_are_a_hundred_epochs(n_classes):
    X, y = digits(n_classes)
    settings = {"update_rule": "nesterov", "learning_rate": 0.2, "reg": 1e-5 / 200, "random_state": 1}
    whole = TwoLayerNet(**settings, num_epochs=100, tol=0).fit(X, y)
    parts = TwoLayerNet(**settings)
    for _ in range(whole.n_iter_):
        parts.partial_fit(X, y, classes=np.unique(y))
    np.testing.assert_array_equal(parts.params_["W1"], whole.params_["W1"])
    assert parts.score(X, y) > 0.95


@restates("test_partial_fit_regression")
@pytest.mark.parametrize("rule", ["sgd", "sgd_momentum", "nesterov"])
def test_a_hundred_parts_are_a_hundred_epochs_of_regression(rule):
    X, y = noisy_plane()
    settings = {"hidden_dims": 100, "update_rule": rule, "learning_rate": 0.01 if rule != "sgd" else 0.1}
    whole = FullyConnectedRegressor(**settings, batch_size=200, num_epochs=100, tol=None, random_state=1).fit(X, y)
    parts = FullyConnectedRegressor(**settings, batch_size=200, random_state=1)
    for _ in range(100):
        parts.partial_fit(X, y)
    np.testing.assert_array_equal(parts.predict(X), whole.predict(X))
    assert parts.score(X, y) > 0.65


@restates("test_partial_fit_unseen_classes")
def test_a_class_that_comes_later():
    net = TwoLayerNet(random_state=0)
    net.partial_fit([[1], [2], [3]], ["a", "b", "c"], classes=["a", "b", "c", "d"])
    net.partial_fit([[4]], ["d"])
    assert net.score([[1], [2], [3], [4]], ["a", "b", "c", "d"]) > 0
    assert net.predict_proba([[1]]).shape == (1, 4)


@restates("test_partial_fit_errors")
def test_parts_that_cannot_be_learned():
    X, y = [[3, 2], [1, 6]], [1, 0]
    for classes in ([2], None):
        with pytest.raises(ValueError, match="classes"):
            TwoLayerNet(update_rule="sgd").partial_fit(X, y, classes=classes)
    for cls in (TwoLayerNet, *NETS):
        assert not hasattr(cls(update_rule="lbfgs"), "partial_fit")


@restates("test_learning_rate_warmstart")
def test_schedules_go_on_with_warm_start():
    X, y = [[3, 2], [1, 6], [5, 6], [-2, -4]], [1, 1, 1, 0]
    net = TwoLayerNet(hidden_dim=4, update_rule="nesterov", learning_rate=0.1, num_epochs=1, tol=None, warm_start=True)
    assert set(net.fit(X, y).fit(X, y).learning_rate_history_) == {0.1}
    # MLPClassifier counts samples: four an epoch.
    net.set_params(lr_schedule=InverseScaling(0.25, rate=4), warm_start=False).fit(X, y)
    net.set_params(warm_start=True).fit(X, y).fit(X, y)
    np.testing.assert_allclose(net.learning_rate_history_, [0.1, 0.1 / 5**0.25, 0.1 / 9**0.25])


@restates("test_warm_start")
def test_warm_start_with_other_classes():
    thirds = np.repeat([0, 1, 2], [40, 40, 70])
    settings = {"hidden_dims": 2, "update_rule": "lbfgs", "warm_start": True, "tol": 1e-2, "random_state": 42}
    net = FullyConnectedNet(**settings).fit(X_IRIS, Y_IRIS).fit(X_IRIS, Y_IRIS).fit(X_IRIS, thirds)
    before = net.predict_proba(X_IRIS)
    for labels in ([0, 1], [0, 1, 3], [0, 1, 2, 3], [0, 1, 2, 3, 4]):
        y = np.resize(labels, len(X_IRIS))
        with pytest.raises(ValueError, match=r"warm_start, y must hold the classes of the first fit, \[0 1 2\], got"):
            net.fit(X_IRIS, y)
        np.testing.assert_array_equal(net.predict_proba(X_IRIS), before)


@restates("test_warm_start")
def test_warm_start_with_other_outputs():
    net = FullyConnectedRegressor(hidden_dims=2, warm_start=True, num_epochs=1, tol=None).fit(X_IRIS, X_IRIS[:, :2])
    for y in (X_IRIS, X_IRIS[:, 0]):
        with pytest.raises(ValueError, match=r"y must have the shape \(n_samples, 2\)"):
            net.fit(X_IRIS, y)


@restates("test_warm_start_full_iteration")
@each_net
def test_warm_start_trains_for_num_epochs_again(cls):
    net = cls(hidden_dims=2, update_rule="nesterov", warm_start=True, num_epochs=3, tol=None, random_state=0)
    assert net.fit(scale(X_IRIS), Y_IRIS).n_iter_ == 3
    assert net.fit(scale(X_IRIS), Y_IRIS).n_iter_ == 6  # of both fits


@restates("test_mlp_warm_start_no_convergence")
@each_net
@pytest.mark.parametrize("rule", ["nesterov", "adam", "lbfgs"])
def test_warm_start_ends_at_num_epochs(cls, rule):
    settings = {"update_rule": rule, "lr_schedule": None, "tol": 0, "n_iter_no_change": 10_000}
    net = cls(**settings, warm_start=True, num_epochs=10, random_state=0)
    for num_epochs, done in ((10, 10), (20, 30)):
        with pytest.warns(ConvergenceWarning, match=f"num_epochs={num_epochs}"):
            net.set_params(num_epochs=num_epochs).fit(scale(X_IRIS), Y_IRIS)
        assert net.n_iter_ == done


@restates("test_mlp_warm_start_with_early_stopping")
@each_net
def test_warm_start_with_early_stopping(cls):
    net = cls(num_epochs=10, warm_start=True, early_stopping=True, n_iter_no_change=100, random_state=0, tol=None)
    first = len(net.fit(X_IRIS, Y_IRIS).validation_scores_)
    assert len(net.set_params(num_epochs=20).fit(X_IRIS, Y_IRIS).validation_scores_) == first + 20


@not_converged
@restates("test_mlp_partial_fit_after_fit")
@each_net
def test_parts_after_a_fit_with_early_stopping(cls):
    """scikit-learn refuses this; here early_stopping is for fit."""
    net = cls(early_stopping=True, num_epochs=5, random_state=0).fit(X_IRIS, Y_IRIS)
    assert net.best_val_score_ is not None
    assert net.partial_fit(X_IRIS, Y_IRIS).n_iter_ == 6


@restates("test_mlp_loading_from_joblib_partial_fit")
def test_a_loaded_net_learns_another_value(tmp_path):
    net = FullyConnectedRegressor(hidden_dims=42, learning_rate=0.01, tol=None, num_epochs=200, random_state=42)
    net.fit([[1], [2], [3]], [3.0, 4.0, 5.0])
    joblib.dump(net, tmp_path / "net")
    loaded = joblib.load(tmp_path / "net")
    for _ in range(400):
        loaded.partial_fit([[2]], [1.0])
    np.testing.assert_allclose(loaded.predict([[2]]), 1, rtol=1e-4)
    np.testing.assert_allclose(net.predict([[2]]), 4, rtol=1e-2)


@restates("test_mlp_loading_from_joblib_partial_fit")
def test_a_net_of_a_single_sample_learns_another_value():
    net = FullyConnectedRegressor(hidden_dims=42, learning_rate=0.01, random_state=42).fit([[2]], [4])
    assert net.predict([[2]]) == 4
    for _ in range(400):
        net.partial_fit([[2]], [1])
    np.testing.assert_allclose(net.predict([[2]]), 1, rtol=1e-4)


# ------------------------------------------------------------------------------ the end of training


@restates("test_tolerance")
@each_net
def test_a_large_tol_ends_training(cls):
    net = cls(tol=0.5, num_epochs=3000, update_rule="nesterov", random_state=0).fit([[3, 2], [1, 6]], [1, 0])
    assert net.n_iter_ < 3000
    assert net.stop_reason_ == "no_improvement"


@restates("test_adaptive_learning_rate")
def test_a_reduced_learning_rate_and_the_end():
    """Where MLPClassifier's 'adaptive' ends by the rate, here num_epochs does: see the page about it."""
    schedule = ReduceOnPlateau(patience=10, min_gain=0.5)
    settings = {"update_rule": "nesterov", "learning_rate": 1e-3, "lr_schedule": schedule, "num_epochs": 100}
    net = TwoLayerNet(**settings, reg=0, tol=None, random_state=0).fit([[3, 2], [1, 6]], [1, 0])
    assert net.n_iter_ == 100
    assert net.learning_rate_history_[-1] < 1e-6


@restates("test_n_iter_no_change")
@pytest.mark.parametrize("n", [2, 5, 10, 50, 100])
def test_epochs_without_improvement(n):
    X, y = digits(2, 100)
    net = TwoLayerNet(tol=0.01, num_epochs=3000, update_rule="nesterov", n_iter_no_change=n, random_state=0).fit(X, y)
    assert net.n_iter_ < 3000
    best, without = np.inf, 0
    for loss in net.loss_curve_:
        without = without + 1 if loss > best - 0.01 else 0
        best = min(best, loss)
    assert without == n + 1


@restates("test_n_iter_no_change_inf")
def test_no_limit_of_epochs_without_improvement():
    X, y = digits(2, 100)
    net = TwoLayerNet(tol=None, n_iter_no_change=1, num_epochs=300, learning_rate=0, random_state=0).fit(X, y)
    assert net.n_iter_ == 300


@not_converged
@restates("test_early_stopping")
@each_net
def test_early_stopping(cls):
    X, y = digits(2, 100)
    tol = 0.2
    settings = {"tol": tol, "num_epochs": 3000, "update_rule": "nesterov", "batch_size": 20, "random_state": 0}
    score = "accuracy" if cls is FullyConnectedNet else "r2"
    net = cls(**settings, early_stopping=True, monitor=score).fit(X, y)
    assert net.n_iter_ == len(net.validation_scores_) < 3000
    assert isinstance(net.validation_scores_, list)
    assert max(net.validation_scores_) == net.best_validation_score_
    assert max(net.validation_scores_[-2:]) < net.best_validation_score_ + tol
    net = cls(**settings).fit(X, y)
    assert net.validation_scores_ is net.best_validation_score_ is None
    assert net.best_loss_ == min(net.loss_curve_)


@restates("test_early_stopping_stratified")
def test_the_share_set_aside_is_stratified():
    X, y = scale(X_IRIS), np.repeat([0, 1, 2], [100, 30, 20])
    net = FullyConnectedNet(early_stopping=True, validation_fraction=0.1, num_epochs=1, tol=None, random_state=0)
    shares = []

    def counting(*arrays, **options):
        parts = train_test_split(*arrays, **options)
        shares.append(np.bincount(y[parts[1]]).tolist())
        return parts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn.model_selection.train_test_split", counting)
        net.fit(X, y)
    assert shares == [[10, 3, 2]]


@not_converged
@restates("test_early_stopping_stratified")
def test_a_class_of_one_sample_is_not_stratified():
    """scikit-learn refuses it."""
    X, y = [[1, 2], [2, 3], [3, 4], [4, 5]], [0, 0, 0, 1]
    assert FullyConnectedNet(early_stopping=True, random_state=0).fit(X, y).best_val_score_ is not None


@not_converged
@restates("test_mlp_early_stopping_string_labels")
def test_early_stopping_with_labels_of_text():
    X, y = make_classification(n_samples=200, n_features=10, n_classes=3, n_informative=5, random_state=42)
    labels = np.array(["class_a", "class_b", "class_c"], dtype=object)[y]
    net = FullyConnectedNet(early_stopping=True, num_epochs=50, random_state=42).fit(X, labels)
    assert len(net.validation_scores_) == net.n_iter_
    assert np.isfinite(net.validation_scores_).all()


@not_converged
@restates("test_minimum_input_sample_size")
def test_too_few_samples_to_set_some_aside():
    """A single sample has no R², but a loss, by which training stops where nothing else is said."""
    X, y = make_regression(n_samples=2, n_features=5, random_state=0)
    net = FullyConnectedRegressor(early_stopping=True, monitor="r2", random_state=0)
    with pytest.raises(ValueError, match="monitor='r2' needs at least 2 validation samples, got 1: give more"):
        net.fit(X, y)
    assert net.set_params(monitor="loss").fit(X, y).best_epoch_ is not None
    with pytest.raises(ValueError, match=r"validation_fraction=0\.1 of n_samples=1 .* leaves none to train on"):
        net.fit(X[:1], y[:1])


@restates("test_mlp_sample_weight_with_early_stopping")
@each_net
def test_weights_of_one_with_early_stopping(cls):
    X, y = make_regression(n_samples=100, n_features=2, n_informative=2, random_state=42)
    y = y if cls is FullyConnectedRegressor else y > 0
    settings = {"early_stopping": True, "tol": 1e-2, "learning_rate": 0.01, "batch_size": 10, "num_epochs": 200}
    nets = [cls(**settings, random_state=42).fit(X, y, sample_weight=weight) for weight in (None, np.ones(100))]
    np.testing.assert_array_equal(nets[0].coefs_[0], nets[1].coefs_[0])
    assert nets[0].validation_scores_ == nets[1].validation_scores_


# ------------------------------------------------------------------------------ data


@restates("test_shuffle")
@each_net
def test_order_of_the_samples(cls):
    X, y = make_regression(n_samples=50, n_features=5, random_state=0)
    y = y if cls is FullyConnectedRegressor else y > 0
    settings = {"hidden_dims": 1, "num_epochs": 1, "batch_size": 1, "tol": None, "random_state": 0}
    twice = {shuffle: [cls(**settings, shuffle=shuffle).fit(X, y).coefs_[0] for _ in "12"] for shuffle in (True, False)}
    for first, second in twice.values():
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(twice[True][0], twice[False][0])


@restates("test_sparse_matrices")
@each_net
@pytest.mark.parametrize("container", [scipy.sparse.csr_matrix, scipy.sparse.csr_array])
def test_sparse_and_dense_X(cls, container):
    X, y = digits(2, 50)
    net = cls(hidden_dims=15, update_rule="lbfgs", num_epochs=10, tol=None, random_state=1)
    dense = net.fit(X, y).predict(X)
    np.testing.assert_allclose(net.predict(container(X)), dense, rtol=1e-9)
    np.testing.assert_allclose(net.fit(container(X), y).predict(container(X)), dense, rtol=1e-7, atol=1e-9)


@restates("test_mlp_classifier_dtypes_casting")
def test_single_and_double_precision_of_a_classifier():
    X, y = load_digits(n_class=3, return_X_y=True)
    settings = {"hidden_dims": (5, 3), "tol": 1e-1, "random_state": 1}
    single, double = (FullyConnectedNet(**settings).fit(X[:300].astype(dtype), y[:300]) for dtype in ("f", "d"))
    probabilities = double.predict_proba(X[300:])
    np.testing.assert_array_equal(single.predict(X[300:].astype("f")), double.predict(X[300:]))
    np.testing.assert_allclose(single.predict_proba(X[300:].astype("f")), probabilities, rtol=1e-2, atol=1e-4)


@restates("test_mlp_regressor_dtypes_casting")
def test_single_and_double_precision_of_a_regressor():
    X, y = load_digits(n_class=2, return_X_y=True)
    settings = {"hidden_dims": (5, 3), "num_epochs": 20, "tol": None, "random_state": 1}
    single, double = (FullyConnectedRegressor(**settings).fit(X[:300].astype(dtype), y[:300]) for dtype in ("f", "d"))
    np.testing.assert_allclose(single.predict(X[300:].astype("f")), double.predict(X[300:]), rtol=1e-2, atol=1e-3)


@restates("test_mlp_param_dtypes")
@each_net
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_have_the_dtype_of_X(cls, dtype):
    X, y = load_digits(n_class=2, return_X_y=True)
    net = cls(hidden_dims=(5, 3), num_epochs=3, tol=None, random_state=1).fit(X.astype(dtype), y)
    assert {array.dtype for array in net.params_.values()} == {np.dtype(dtype)}
    assert net.coefs_[0].dtype == net.intercepts_[0].dtype == dtype
    if cls is FullyConnectedRegressor:  # in the units of y, which may need it
        assert net.coefs_[-1].dtype == net.predict(X.astype(dtype)).dtype == np.float64
    else:
        assert net.coefs_[-1].dtype == dtype


@restates("test_preserve_feature_names")
@each_net
def test_names_of_features_with_early_stopping(cls):
    frame = pd.DataFrame(np.random.RandomState(0).randn(10, 2), columns=["colname_a", "colname_b"])
    y = pd.Series(np.full(10, 1), name="colname_y")
    net = cls(early_stopping=True, validation_fraction=0.2, num_epochs=3, tol=None, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fit(frame, y).predict(frame)
    assert net.feature_names_in_.tolist() == ["colname_a", "colname_b"]


@restates("test_nonfinite_params")
def test_values_near_the_largest_number():
    rng = np.random.RandomState(0)
    X = np.finfo(np.float64).max * rng.uniform(size=(10, 2))
    with pytest.raises(ValueError, match=r"X holds nan or very large values.* Scale X"):
        FullyConnectedRegressor(random_state=0).fit(X, rng.standard_normal(10))


@each_net
def test_losses_stay_finite(cls):
    settings = {"hidden_dims": 100, "activation": "identity", "update_rule": "nesterov", "learning_rate": 10}
    net = cls(**settings, early_stopping=True, num_epochs=200, random_state=0)
    with pytest.raises(ValueError, match="learning_rate"), np.errstate(all="ignore"):
        net.fit(1e3 * X_IRIS, Y_IRIS)
    assert not hasattr(net, "params_")


@restates("test_verbose_sgd")
@each_net
def test_verbose(cls, capsys):
    settings = {"update_rule": "nesterov", "num_epochs": 2, "tol": None, "verbose": 10, "hidden_dims": 2}
    net = cls(**settings, random_state=0).fit([[3, 2], [1, 6]], [1, 0])
    assert capsys.readouterr().out.count("loss") >= 2
    net.partial_fit([[3, 2], [1, 6]], [1, 0])
    assert "loss" in capsys.readouterr().out


# ------------------------------------------------------------------------------ the Poisson loss


@restates("test_mlp_vs_poisson_glm_equivalent")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("hidden_dims", [(), (1,)])
def test_poisson_without_hidden_layers_is_the_linear_model(seed, hidden_dims):
    X = np.linspace(0, 1, 100)
    y = np.random.default_rng(seed).poisson(np.exp(X + 1))
    X = X.reshape(-1, 1)
    linear = PoissonRegressor(alpha=0, tol=1e-7).fit(X, y).predict(X)
    settings = {"hidden_dims": hidden_dims, "activation": "identity", "update_rule": "lbfgs", "tol": 1e-7}
    net = FullyConnectedRegressor(loss="poisson", **settings, num_epochs=1000, random_state=seed).fit(X, y)
    np.testing.assert_allclose(net.predict(X), linear, rtol=1e-4)
    squares = FullyConnectedRegressor(loss="squared_error", **settings, num_epochs=1000, random_state=seed).fit(X, y)
    assert not np.allclose(squares.predict(X), linear, rtol=1e-4)
