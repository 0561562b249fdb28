"""Attributes by scikit-learn's names for them: shapes, meaning, and the tools that read them."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.feature_selection import RFE, RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet, load

from ._estimators import ESTIMATORS, assert_same, blobs, each_estimator, each_of_all, small

LINEAR = ["coef_", "intercept_"]
LAYERS = ["coefs_", "intercepts_", "n_layers_", "n_outputs_", "out_activation_"]
HISTORY = ["loss_curve_", "loss_", "best_loss_", "validation_scores_", "best_validation_score_"]
NAMES = {
    Softmax: [*LINEAR, *HISTORY],
    TwoLayerNet: [*LAYERS, *HISTORY],
    FullyConnectedNet: [*LAYERS, *HISTORY],
    ThreeLayerConvNet: HISTORY,
}
each_name = pytest.mark.parametrize(
    ("cls", "name"),
    [(cls, name) for cls in ESTIMATORS for name in NAMES[cls]],
    ids=lambda one: getattr(one, "__name__", one),
)
classes = pytest.mark.parametrize("n_classes", [2, 3, 5])


def equal(first, second):
    """Return whether two attributes are the same, to the bit."""
    if isinstance(first, list):
        return len(first) == len(second) and all(map(equal, first, second))
    both_nan = isinstance(first, float) and first != first and second != second
    return both_nan or np.array_equal(first, second)


@each_name
def test_absent_until_fitted(cls, name):
    net = small(cls)
    assert not hasattr(net, name)
    with pytest.raises(AttributeError, match=rf"^{cls.__name__} has no attribute '{name}' until it is fitted"):
        getattr(net, name)
    net.fit(*blobs())
    assert hasattr(net, name)
    assert not hasattr(clone(net), name)
    assert name not in vars(net)
    assert f"\n{name} : " in cls.__doc__ or f"\n    {name} : " in cls.__doc__


@each_name
def test_survives_copies_and_files(cls, name, tmp_path):
    net = small(cls, early_stopping=True).fit(*blobs())
    net.save(tmp_path / "net")
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), load(tmp_path / "net")):
        assert equal(getattr(other, name), getattr(net, name))


@each_name
def test_never_out_of_date(cls, name):
    """After training that continues, the same as of a copy that is made then."""
    X, y = blobs()
    net = small(cls, early_stopping=True, warm_start=True).fit(X, y)
    for train in (lambda: net.fit(X, y), lambda: net.partial_fit(X, y)):
        getattr(net, name)
        train()
        assert equal(getattr(net, name), getattr(pickle.loads(pickle.dumps(net)), name))


@each_estimator
def test_names_of_other_estimators_are_absent(cls):
    net = small(cls).fit(*blobs())
    assert {name for name in [*LINEAR, *LAYERS, *HISTORY] if hasattr(net, name)} == set(NAMES[cls])
    assert not hasattr(net, "t_")


# ---------------------------------------------------------------------------------------- linear


@classes
@pytest.mark.parametrize("fit_dtype", [np.float32, np.float64])
def test_coef_is_that_of_a_linear_model(n_classes, fit_dtype):
    X, y = blobs(n_classes=n_classes, dtype=fit_dtype)
    model, other = small(Softmax).fit(X, y), LogisticRegression().fit(X, y)
    assert model.coef_.shape == other.coef_.shape
    assert model.intercept_.shape == other.intercept_.shape
    assert model.coef_.dtype == model.intercept_.dtype == fit_dtype
    scores = X @ model.coef_.T + model.intercept_
    decision = model.decision_function(X)
    np.testing.assert_allclose(scores if n_classes > 2 else scores[:, 0], decision, rtol=1e-4, atol=1e-5)


def test_coef_of_images_is_of_their_rows():
    X, y = blobs()
    images = X.reshape(-1, 1, 4, 4)
    np.testing.assert_array_equal(small(Softmax).fit(images, y).coef_, small(Softmax).fit(X, y).coef_)


@classes
def test_coef_is_not_written_to(n_classes):
    X, y = blobs(n_classes=n_classes)
    model = small(Softmax).fit(X, y)
    before = model.predict_proba(X)
    for array in (model.coef_, model.intercept_):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        model.coef_ = 0
    np.testing.assert_array_equal(model.predict_proba(X), before)
    model.params_["W1"] *= 2  # of the net, as before
    assert not np.array_equal(model.predict_proba(X), before)


@pytest.fixture(scope="module", params=[load_iris, load_breast_cancer], ids=["iris", "breast cancer"])
def with_noise(request):
    """Return a standardized table with as many columns of noise, the first ones being the real."""
    X, y = request.param(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    return np.hstack([X, np.random.RandomState(0).randn(*X.shape)]), y


@pytest.mark.parametrize(
    "selector",
    [
        lambda model, n: SelectFromModel(model, max_features=n, threshold=-np.inf),
        lambda model, n: RFE(model, n_features_to_select=n),
        lambda model, n: RFECV(model, min_features_to_select=n, cv=2, step=0.5),
    ],
    ids=["SelectFromModel", "RFE", "RFECV"],
)
def test_feature_selection(selector, with_noise):
    X, y = with_noise
    n_real = X.shape[1] // 2
    found = selector(small(Softmax, num_epochs=30, reg=0.01), n_real).fit(X, y).get_support()
    assert found[:n_real].mean() > 0.7
    pipeline = make_pipeline(selector(small(Softmax, num_epochs=5), n_real), small(Softmax, num_epochs=30))
    assert pipeline.fit(X, y).score(X, y) > 0.9


def test_other_selections_still_work():
    X, y = load_iris(return_X_y=True)
    model = small(Softmax, num_epochs=20)
    assert SequentialFeatureSelector(model, n_features_to_select=1, cv=2).fit(X, y).get_support().sum() == 1
    assert permutation_importance(model.fit(X, y), X, y, n_repeats=2, random_state=0).importances_mean.argmax() in (
        2,
        3,
    )


# ------------------------------------------------------------------------------- fully connected


@classes
@pytest.mark.parametrize("hidden", [(), (7,), (7, 5), (4, 4, 4)])
def test_layers_have_the_shapes_of_mlpclassifier(n_classes, hidden):
    X, y = blobs(n_classes=n_classes)
    net = small(FullyConnectedNet, hidden_dims=hidden).fit(X, y)
    # A class more than two: of two, MLPClassifier makes one output.
    y_of_several = y if n_classes > 2 else np.append(y[:-1], 2)
    other = MLPClassifier(hidden, max_iter=200, tol=1, n_iter_no_change=1).fit(X, y_of_several)
    outputs = n_classes if n_classes > 2 else 2
    assert [coef.shape for coef in net.coefs_[:-1]] == [coef.shape for coef in other.coefs_[:-1]]
    assert net.coefs_[-1].shape == (*other.coefs_[-1].shape[:1], outputs)
    assert [intercept.shape[0] for intercept in net.intercepts_] == [coef.shape[1] for coef in net.coefs_]
    assert net.n_layers_ == other.n_layers_
    assert net.n_outputs_ == outputs
    assert net.out_activation_ == other.out_activation_ == "softmax"
    assert {coef.dtype for coef in net.coefs_} == {np.dtype(np.float32)}


@classes
@pytest.mark.parametrize("keep_ratio", [1.0, 0.5])
def test_layers_tell_what_the_net_computes(n_classes, keep_ratio):
    X, y = blobs(n_classes=n_classes, dtype=np.float64)
    net = small(FullyConnectedNet, hidden_dims=(7, 5), dropout_keep_ratio=keep_ratio).fit(X, y)
    values = X
    for coef, intercept in zip(net.coefs_[:-1], net.intercepts_[:-1], strict=True):
        values = np.maximum(values @ coef + intercept, 0)
    scores = values @ net.coefs_[-1] + net.intercepts_[-1]
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net.predict_proba(X), expected, rtol=1e-9)


@pytest.mark.parametrize("cls", [TwoLayerNet, FullyConnectedNet])
@pytest.mark.parametrize("normalization", ["batchnorm", "layernorm"])
def test_no_layers_where_they_do_not_tell_it(cls, normalization):
    net = small(cls, normalization=normalization).fit(*blobs())
    for name in ("coefs_", "intercepts_"):
        assert not hasattr(net, name)
        with pytest.raises(AttributeError, match=f"has no attribute '{name}' with normalization"):
            getattr(net, name)
    assert net.n_layers_ == (3 if cls is TwoLayerNet else 4)
    assert net.n_outputs_ == 3


def test_layers_are_not_written_to():
    net = small(TwoLayerNet).fit(*blobs())
    for array in (*net.coefs_, *net.intercepts_):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert net.params_["W1"].flags.writeable


# --------------------------------------------------------------------------------------- history


@each_of_all
def test_course_of_the_loss(cls):
    X, y = blobs()
    net = small(cls, warm_start=True).fit(X, y)
    net.fit(X, y).partial_fit(X, y)
    assert len(net.loss_curve_) == net.n_iter_ == 7
    assert net.loss_curve_ == net.history_["loss"]
    assert net.loss_ == net.loss_curve_[-1]
    assert net.best_loss_ == min(net.loss_curve_)
    net.loss_curve_.clear()
    assert len(net.history_["loss"]) == 7


@pytest.mark.parametrize("cls", [TwoLayerNet, FullyConnectedNet])
def test_loss_is_cross_entropy_and_penalty(cls):
    X, y = blobs(60, dtype=np.float64)
    net = small(cls, learning_rate=0, reg=0.5, batch_size=60).fit(X, y)
    penalty = 0.25 * sum((coef**2).sum() for coef in net.coefs_)
    assert net.loss_curve_ == pytest.approx([log_loss(y, net.predict_proba(X)) + penalty] * 3)


@each_estimator
def test_validation_scores(cls):
    X, y = blobs()
    plain = small(cls).fit(X, y)
    assert plain.validation_scores_ is plain.best_validation_score_ is None
    for net in (small(cls, early_stopping=True).fit(X, y), small(cls).fit(X, y, X_val=X, y_val=y)):
        assert net.validation_scores_ == net.history_["val_accuracy"] == net.val_acc_history_[1:]
        assert net.best_validation_score_ == net.best_val_score_


def test_the_same_in_mlpclassifier_and_here():
    """Which of the names MLPClassifier has; `t_` is the one that is left out."""
    X, y = blobs()
    with pytest.warns(UserWarning, match="Maximum iterations"):
        other = MLPClassifier((8,), max_iter=2, early_stopping=True).fit(X, y)
    net = small(TwoLayerNet, early_stopping=True).fit(X, y)
    learned = {name for name in dir(other) if name.endswith("_") and not name.startswith("_")}
    assert {name for name in learned if not hasattr(net, name)} == {"t_"}
    assert len(net.validation_scores_) == net.n_iter_
    assert len(other.validation_scores_) == other.n_iter_


def test_repr_shows_a_fitted_net():
    net = small(TwoLayerNet).fit(*blobs())
    assert "TwoLayerNet" in net._repr_html_()
    assert_same(net, small(TwoLayerNet).fit(*blobs()))
