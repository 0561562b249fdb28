"""What people do with a classifier beyond fit and predict, with these estimators in it."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFECV, SequentialFeatureSelector
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, log_loss, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    TunedThresholdClassifierCV,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from sklearn_dl import FullyConnectedNet, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor

from ._estimators import answers, assert_same, blobs, each_estimator, each_library, small


@pytest.fixture(scope="module")
def digits():
    """Return 600 digits, 400 to train on and 200 to test: X_train, X_test, y_train, y_test."""
    X, y = load_digits(return_X_y=True)
    return train_test_split((X[:600] / 16).astype(np.float32), y[:600], test_size=200, stratify=y[:600], random_state=0)


# ----------------------------------------------------------------------------------------- searches


def test_halving_random_search_by_epochs(digits):
    X, _, y, _ = digits
    space = {"learning_rate": np.logspace(-5, -1, 9), "hidden_dim": [5, 20, 50], "reg": [0, 1e-3]}
    search = HalvingRandomSearchCV(
        small(TwoLayerNet), space, resource="num_epochs", max_resources=9, min_resources=1, cv=2, random_state=0
    ).fit(X, y)
    assert search.n_resources_ == [1, 3, 9]
    assert search.n_candidates_ == [9, 3, 1]
    assert search.best_estimator_.n_iter_ == 9
    assert search.best_score_ > 0.8


@each_estimator
def test_several_metrics_one_of_which_chooses(cls, digits):
    X, X_test, y, y_test = digits
    metrics = ["accuracy", "balanced_accuracy", "neg_log_loss", "roc_auc_ovr", "top_k_accuracy"]
    grid = {"num_epochs": [1, 12], "learning_rate": [1e-3, 1e-2]}
    search = GridSearchCV(small(cls), grid, scoring=metrics, refit="neg_log_loss", cv=2, error_score="raise").fit(X, y)
    results = search.cv_results_
    for metric in metrics:
        assert np.isfinite(results[f"mean_test_{metric}"]).all()
    assert search.best_index_ == np.argmax(results["mean_test_neg_log_loss"])
    assert search.score(X_test, y_test) == -log_loss(y_test, answers(search, X_test))


def test_one_candidate_chosen_by_a_rule_of_ones_own(digits):
    """The smallest net within one standard deviation of the best."""
    X, _, y, _ = digits

    def smallest(results):
        scores = results["mean_test_accuracy"]
        good = scores >= scores.max() - results["std_test_accuracy"][scores.argmax()]
        return int(np.flatnonzero(good)[np.argmin(results["param_hidden_dim"][good].astype(int))])

    grid = {"hidden_dim": [80, 40, 2]}
    net = small(TwoLayerNet, num_epochs=12)
    search = GridSearchCV(net, grid, scoring={"accuracy": "accuracy"}, refit=smallest, cv=3).fit(X, y)
    assert search.best_params_ == {"hidden_dim": 40}
    assert search.best_estimator_.params_["W1"].shape == (64, 40)


@each_library
def test_validation_curve_and_learning_curve(library, digits):
    X, _, y, _ = digits
    frame = pd.DataFrame(X) if library == "pandas" else pl.DataFrame(X)
    model = small(TwoLayerNet, num_epochs=10)
    arguments = {"cv": 3, "error_score": "raise"}
    _, by_reg = validation_curve(model, frame, y, param_name="reg", param_range=[0, 1], **arguments)
    assert by_reg[0].mean() > by_reg[1].mean() + 0.2
    sizes, _, by_size = learning_curve(
        model, frame, y, train_sizes=[30, 260], shuffle=True, random_state=0, **arguments
    )
    np.testing.assert_array_equal(sizes, [30, 260])
    assert by_size[1].mean() > by_size[0].mean() + 0.2


# ------------------------------------------------------------------------------------------ classes


@pytest.fixture(scope="module")
def rare():
    """Return two overlapping classes, one of them a twentieth, in training and test set."""
    X, y = make_classification(3000, 10, n_informative=4, weights=[0.95], class_sep=0.6, flip_y=0, random_state=0)
    return train_test_split(X.astype(np.float32), y, stratify=y, random_state=0)


@each_estimator
def test_balanced_weights_find_the_rare_class(cls, rare):
    X, X_test, y, y_test = rare
    plain, balanced = (
        small(cls, num_epochs=10, class_weight=weight).fit(X, y).predict(X_test) for weight in (None, "balanced")
    )
    assert balanced_accuracy_score(y_test, balanced) > balanced_accuracy_score(y_test, plain) + 0.05


def test_class_weight_is_searched_by_balanced_accuracy(rare):
    X, _, y, _ = rare
    grid = {"class_weight": [None, "balanced", {0: 1, 1: 5}]}
    scorer = make_scorer(balanced_accuracy_score, adjusted=True)
    search = GridSearchCV(small(TwoLayerNet), grid, scoring=scorer, cv=3, error_score="raise").fit(X, y)
    assert search.best_params_ == {"class_weight": "balanced"}


def test_tuned_threshold(rare):
    X, X_test, y, y_test = rare
    net = small(TwoLayerNet, num_epochs=10)
    tuned = TunedThresholdClassifierCV(net, scoring="balanced_accuracy", cv=3, random_state=0).fit(X, y)
    untuned = balanced_accuracy_score(y_test, net.fit(X, y).predict(X_test))
    assert balanced_accuracy_score(y_test, tuned.predict(X_test)) > untuned + 0.05
    assert tuned.best_threshold_ < 0.3


# -------------------------------------------------------------------------------- other hands


@pytest.mark.parametrize(
    "net",
    [
        TwoLayerNet(num_epochs=60, learning_rate=0.01, tol=None, random_state=0),
        FullyConnectedNet(num_epochs=40, lr_schedule=None, tol=None, random_state=0),
        ThreeLayerConvNet(num_filters=8, filter_size=3, learning_rate=0.005, num_epochs=60, tol=None, random_state=0),
    ],
    ids=lambda net: type(net).__name__,
)
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_betters_the_probabilities(net, method):
    """Of a net that has learned its training set by heart, wrong labels too, and is too sure of itself."""
    X, y = make_classification(3000, 16, n_informative=6, flip_y=0.3, random_state=0)
    X, X_test, y, y_test = train_test_split(X.astype(np.float32), y, train_size=600, random_state=0)
    # ensemble=False: the very same net, with corrected probabilities.
    calibrated = CalibratedClassifierCV(net, method=method, cv=3, ensemble=False).fit(X, y)
    raw = brier_score_loss(y_test, net.fit(X, y).predict_proba(X_test)[:, 1])
    assert brier_score_loss(y_test, calibrated.predict_proba(X_test)[:, 1]) < raw - 0.02


@each_estimator
def test_calibration_with_weights(cls):
    """A weight of zero is absence, all the way through."""
    # scikit-learn 1.6 cannot calibrate single-precision scores with weights, those of MLPClassifier neither.
    X, y = blobs(90, spread=3, dtype=np.float64)
    weight = np.tile([1.0, 1.0, 0.0], 30)[np.random.RandomState(0).permutation(90)]
    folds = [(np.arange(0, 45), np.arange(45, 90)), (np.arange(45, 90), np.arange(0, 45))]
    net = small(cls, num_epochs=10)
    weighted = CalibratedClassifierCV(net, cv=folds).fit(X, y, sample_weight=weight)
    kept = np.flatnonzero(weight)
    places = [[np.searchsorted(kept, np.intersect1d(part, kept)) for part in fold] for fold in folds]
    by_hand = CalibratedClassifierCV(net, cv=places).fit(X[kept], y[kept], sample_weight=weight[kept])
    np.testing.assert_allclose(answers(weighted, X), answers(by_hand, X), rtol=1e-3, atol=1e-5)
    plain = CalibratedClassifierCV(net, cv=folds).fit(X, y)
    assert np.abs(answers(plain, X) - answers(weighted, X)).max() > 0.02


def others():
    """Return two models that are no nets."""
    trees = HistGradientBoostingClassifier(max_iter=5, max_depth=3, random_state=0)
    return [("trees", trees), ("logistic", LogisticRegression(C=0.01, max_iter=500))]


@pytest.mark.parametrize("kind", ["stacking", "soft voting"])
def test_with_models_that_are_no_nets(kind, digits):
    X, X_test, y, y_test = digits
    convnet = make_pipeline(MeanSubtractor(), ImageReshaper(), small(ThreeLayerConvNet, num_epochs=5))
    models = [*others(), ("net", convnet)]
    names = np.array([f"digit {label}" for label in range(10)])
    if kind == "stacking":
        ensemble = StackingClassifier(models, TwoLayerNet(num_epochs=20, random_state=0), cv=3)
    else:
        ensemble = VotingClassifier(models, voting="soft")
    ensemble.fit(X, names[y])
    parts = [part.predict_proba(X_test) for part in ensemble.estimators_]
    probabilities = ensemble.predict_proba(X_test)
    if kind == "stacking":
        expected = ensemble.final_estimator_.predict_proba(np.hstack(parts))
    else:
        expected = np.mean(parts, axis=0)
    np.testing.assert_allclose(probabilities, expected)
    # The net was trained as it would have been alone.
    assert_same(ensemble.named_estimators_["net"][-1], convnet.fit(X, names[y])[-1])
    worst = min(part.score(X_test, y_test) for part in ensemble.estimators_)
    assert ensemble.score(X_test, names[y_test]) > max(worst, 0.85)


def test_wrappers_that_train_on_some_labels_or_several(digits):
    X, X_test, y, y_test = digits
    net = small(TwoLayerNet, num_epochs=20, hidden_dim=30)
    known = np.where(np.arange(len(y)) % 2, y, -1)
    assert SelfTrainingClassifier(net).fit(X, known).score(X_test, y_test) > 0.8
    several, several_test = (np.c_[labels % 2, labels > 4] for labels in (y, y_test))
    assert MultiOutputClassifier(net).fit(X, several).score(X_test, several_test) > 0.8
    assert ClassifierChain(net).fit(X, several).score(X_test, several_test) > 0.8


# ------------------------------------------------------------------------------------------ features


def test_features_that_matter_are_found():
    iris = load_iris(as_frame=True)
    X = StandardScaler().set_output(transform="pandas").fit_transform(iris.data)
    net = small(TwoLayerNet, num_epochs=20, learning_rate=0.02)
    selector = SequentialFeatureSelector(net, n_features_to_select=2, cv=3).fit(X, iris.target)
    assert all(name.startswith("petal") for name in selector.get_feature_names_out())
    importances = permutation_importance(net.fit(X, iris.target), X, iris.target, random_state=0).importances_mean
    assert X.columns[importances.argmax()].startswith("petal")
    curve = partial_dependence(net, X, ["petal length (cm)"], kind="average", grid_resolution=5)["average"]
    assert (np.diff(curve[0]) < 0).all()  # setosa's petals are the shortest


def test_recursive_elimination_by_the_first_weights():
    X, y = blobs(120, spread=0.5)
    X = np.hstack([X, np.random.RandomState(1).randn(120, 16).astype(np.float32)])
    selector = RFECV(
        small(TwoLayerNet, num_epochs=20, learning_rate=0.02, reg=0.01),
        importance_getter=lambda net: np.abs(net.params_["W1"]).sum(axis=1),
        step=4,
        cv=3,
    ).fit(X, y)
    kept = selector.ranking_[:16].mean()
    assert kept < selector.ranking_[16:].mean()
    assert selector.score(X, y) > 0.95


@each_library
@each_estimator
def test_columns_of_a_frame(cls, library):
    columns = {
        "length": np.r_[0.0:60.0],
        "width": np.r_[60.0:0.0:-1.0],
        "kind": np.array(["x", "y", "z"] * 20),
    }
    frame = (pd if library == "pandas" else pl).DataFrame(columns)
    y = np.array(["ant", "bee", "cat"] * 20)
    encoder = OneHotEncoder(sparse_output=False)
    steps = ColumnTransformer([("number", StandardScaler(), ["length", "width"]), ("kind", encoder, ["kind"])])
    model = make_pipeline(steps.set_output(transform=library), small(cls, num_epochs=60, learning_rate=0.02))
    model.fit(frame, y)
    names = ["number__length", "number__width", "kind__kind_x", "kind__kind_y", "kind__kind_z"]
    np.testing.assert_array_equal(model[-1].feature_names_in_, names)
    assert model.score(frame, y) == 1
    np.testing.assert_array_equal(model.predict(frame[::-1]), y[::-1])


@each_library
def test_predictions_next_to_their_rows(library):
    """A classifier as a transformer: stacking with set_output makes a frame of probabilities."""
    X, y = blobs(60)
    frame = (pd if library == "pandas" else pl).DataFrame({f"pixel {i}": X[:, i] for i in range(16)})
    stack = StackingClassifier([("net", small(TwoLayerNet))], passthrough=True, cv=2).set_output(transform=library)
    transformed = stack.fit(frame, y).transform(frame)
    assert list(transformed.columns)[:3] == [f"stackingclassifier_net{i}" for i in range(3)]
    np.testing.assert_array_equal(
        transformed[list(transformed.columns)[:3]].to_numpy(), stack.estimators_[0].predict_proba(frame)
    )
