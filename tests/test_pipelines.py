"""The estimators inside scikit-learn: pipelines, searches, workers, routed metadata, ensembles."""

import contextlib
import os
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import loguniform
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import FitFailedWarning, UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn_dl._ext import openmp

from sklearn_dl import Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor

from ._estimators import (
    FRAMES,
    NAMES,
    answers,
    assert_same,
    blobs,
    each_estimator,
    each_hidden,
    each_library,
    each_of_all,
    small,
)


@pytest.fixture(scope="module")
def digits():
    """Return 240 digits as uint8 rows."""
    X, y = load_digits(return_X_y=True)
    return X[:240].astype(np.uint8), y[:240]


def pipeline(cls, *steps, **params):
    """Return a pipeline that ends in a small net."""
    steps = [(type(step).__name__.lower(), step) for step in steps]
    return Pipeline([*steps, ("net", small(cls, **params))])


# ----------------------------------------------------------------------------------- pipelines


@each_estimator
@pytest.mark.parametrize("as_images", [False, True], ids=["rows", "images"])
def test_mean_subtractor_and_image_reshaper(cls, as_images, digits):
    X, y = digits
    data = X.reshape(-1, 1, 8, 8) if as_images else X
    layout = {"input_layout": "NCHW"} if as_images else {}
    model = pipeline(cls, MeanSubtractor(), ImageReshaper(**layout)).fit(data, y)
    by_hand = small(cls).fit(X - X.mean(axis=0, dtype=np.float64).astype(np.float32), y)
    assert_same(model["net"], by_hand, rtol=1e-4, atol=1e-6)
    assert model["net"].n_features_in_ == 64
    assert {value.dtype for value in model["net"].params_.values()} == {np.dtype(np.float32)}
    assert answers(model, data).shape == (240, 10)
    assert model.score(data, y) == np.mean(model.predict(data) == y)


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 6, 8), (2, 4, 6)])
def test_reshaper_tells_the_net_its_shape(shape):
    X, y = blobs(30)
    X = np.tile(X, 3)
    model = pipeline(ThreeLayerConvNet, ImageReshaper(input_shape=shape)).fit(X, y)
    assert model["net"].input_shape_ == shape
    assert_same(model["net"], small(ThreeLayerConvNet, input_shape=shape).fit(X, y))


@each_of_all
def test_images_channels_last(cls, digits):
    X, y = digits
    last = X.reshape(-1, 8, 8, 1)
    model = pipeline(cls, ImageReshaper(input_layout="NHWC"), MeanSubtractor(per="channel"))
    first = pipeline(cls, MeanSubtractor(per="channel", input_shape=(1, 8, 8)))
    assert_same(model.fit(last, y)["net"], first.fit(X, y)["net"])


@each_of_all
def test_standard_scaler(cls, digits):
    X, y = digits
    model = make_pipeline(StandardScaler(), small(cls, num_epochs=30)).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model[-1].params_["W1"].dtype == np.float64  # what StandardScaler makes of integers


@each_of_all
@each_library
def test_set_output(cls, library):
    X, y = blobs()
    frame = FRAMES[library](X)
    model = pipeline(cls, MeanSubtractor(), StandardScaler()).set_output(transform=library)
    model.fit(frame, y)
    np.testing.assert_array_equal(model["net"].feature_names_in_, NAMES)
    plain = pipeline(cls, MeanSubtractor(), StandardScaler()).fit(X, y)
    # the sums in StandardScaler depend on the memory's order, which is a frame's own
    np.testing.assert_allclose(answers(model, frame), answers(plain, X), rtol=1e-4)


def test_column_transformer():
    X, y = blobs(60)
    frame = pd.DataFrame(X[:, :3], columns=["a", "b", "c"])
    frame["kind"] = np.array(["x", "y", "z"])[y]
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), ["a", "b", "c"]), ("kinds", OneHotEncoder(), ["kind"])],
        sparse_threshold=0,
    )
    model = make_pipeline(columns, small(TwoLayerNet, num_epochs=60, learning_rate=0.02))
    assert model.fit(frame, y).score(frame, y) == 1


def test_partial_fit_through_steps():
    X, y = blobs(64)
    subtractor, net, whole = MeanSubtractor(), small(TwoLayerNet), small(TwoLayerNet)
    for start in range(0, 64, 16):
        part = X[start : start + 16], y[start : start + 16]
        transformed = subtractor.partial_fit(part[0]).transform(part[0])
        net.partial_fit(transformed, part[1], classes=[0, 1, 2])
        whole.partial_fit(transformed.reshape(-1, 1, 4, 4), part[1], classes=[0, 1, 2])
    assert_same(net, whole)


# ------------------------------------------------------------------------------------ searches

BACKENDS = {
    "loky": contextlib.nullcontext,
    "threading": lambda: joblib.parallel_config(backend="threading"),
}
each_backend = pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)


def scores(search):
    """Return everything in cv_results_ but the times."""
    return {
        name: value for name, value in search.cv_results_.items() if "time" not in name and not name.startswith("param")
    }


@each_backend
@each_of_all
def test_grid_search_does_not_depend_on_n_jobs(cls, backend, digits):
    X, y = digits
    grid = {
        "net__reg": [0, 0.1],
        "net__learning_rate": [0.001, 0.03],
        "meansubtractor__per": ["pixel"],
    }
    model = pipeline(cls, MeanSubtractor(), StandardScaler(), ImageReshaper())
    one, two = (
        GridSearchCV(model, grid, cv=2, n_jobs=n_jobs, return_train_score=True, error_score="raise")
        for n_jobs in (1, 2)
    )
    one.fit(X, y)
    with backend():
        two.fit(X, y)
    np.testing.assert_equal(scores(one), scores(two))
    assert one.best_params_ == two.best_params_
    assert len(np.unique(one.cv_results_["mean_train_score"])) > 1
    assert_same(one.best_estimator_["net"], two.best_estimator_["net"])
    np.testing.assert_array_equal(answers(one, X), answers(two, X))
    assert one.score(X, y) == two.score(X, y)


@pytest.mark.parametrize("resource", ["n_samples", "net__num_epochs"])
def test_halving_grid_search_does_not_depend_on_n_jobs(resource, digits):
    X, y = digits
    model = pipeline(ThreeLayerConvNet, MeanSubtractor(), ImageReshaper(), num_epochs=2)
    limits = {} if resource == "n_samples" else {"max_resources": 4, "min_resources": 1}
    one, two = (
        HalvingGridSearchCV(
            model,
            {"net__reg": [0, 0.1], "net__learning_rate": [0.001, 0.03]},
            resource=resource,
            cv=2,
            factor=2,
            random_state=0,
            n_jobs=n_jobs,
            error_score="raise",
            **limits,
        ).fit(X, y)
        for n_jobs in (1, 2)
    )
    np.testing.assert_equal(scores(one), scores(two))
    assert one.n_iterations_ > 1
    assert_same(one.best_estimator_["net"], two.best_estimator_["net"])


@each_backend
@each_estimator
@pytest.mark.parametrize("method", ["predict", "predict_log_proba"])
def test_cross_val_predict_does_not_depend_on_n_jobs(cls, method, backend, digits):
    X, y = digits
    images = X.reshape(-1, 1, 8, 8)
    model = pipeline(cls, MeanSubtractor())
    one = cross_val_predict(model, images, y, cv=3, method=method, n_jobs=1)
    with backend():
        two = cross_val_predict(model, images, y, cv=3, method=method, n_jobs=2)
    np.testing.assert_array_equal(one, two)


COUNT_THREADS = """
import sys

import joblib
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from sklearn_dl import Softmax
from sklearn_dl._threads import n_threads

def threads_in_worker(model, X, y):
    return n_threads()

X, y = load_iris(return_X_y=True)
net = Softmax(num_epochs=1, tol=None)
search = GridSearchCV(net, {"reg": [0, 1]}, cv=2, scoring=threads_in_worker, refit=False, n_jobs=2)
with joblib.parallel_config(backend=sys.argv[1]):
    search.fit(X, y)
print(n_threads(), int(max(search.cv_results_["mean_test_score"])))
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_workers_do_not_share_cpus(backend):
    """Two workers: together, they have no more threads than there are CPUs."""
    # In a process of its own, since tests may run with one thread.
    result = subprocess.run(
        [sys.executable, "-c", COUNT_THREADS, backend],
        env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    outside, in_worker = map(int, result.stdout.split())
    assert outside == (joblib.cpu_count() if openmp else 1)
    assert in_worker == (1 if backend == "threading" else max(1, outside // 2))


@pytest.mark.parametrize("resource", [None, "n_samples"])
def test_random_search_does_not_depend_on_n_jobs(resource, digits):
    X, y = digits
    settings = {"net__reg": loguniform(1e-3, 1), "net__learning_rate": [0.001, 0.03]}
    options = {"cv": 2, "random_state": 0, "error_score": "raise"}
    model = pipeline(TwoLayerNet, MeanSubtractor())
    if resource is None:
        one, two = (RandomizedSearchCV(model, settings, n_iter=4, n_jobs=n, **options) for n in (1, 2))
    else:
        one, two = (HalvingRandomSearchCV(model, settings, factor=2, n_jobs=n, **options) for n in (1, 2))
    np.testing.assert_equal(scores(one.fit(X, y)), scores(two.fit(X, y)))
    assert one.best_params_ == two.best_params_
    assert len(one.cv_results_["params"]) > 3


def test_search_over_what_the_net_is(digits):
    X, y = digits
    grid = [
        {"net": [small(Softmax)], "net__weight_scale": ["xavier", 0.1]},
        {"net": [small(TwoLayerNet)], "net__hidden_dim": [4, 9]},
        {"net": [small(TwoLayerNet)], "net__normalization": ["batchnorm", None]},
        {"net": [small(TwoLayerNet)], "net__optim_config": [{"beta1": 0.5}, None]},
        {"net": [small(ThreeLayerConvNet)], "net__input_shape": [(1, 8, 8), (4, 4, 4)]},
    ]
    model = Pipeline([("scale", MinMaxScaler()), ("net", small(Softmax))])
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 10


def test_search_over_update_rules_and_their_constants(digits):
    """One grid crosses them: a rule ignores the constants of others, as MLPClassifier does."""
    X, y = digits
    grid = {"update_rule": ["sgd", "sgd_momentum"], "momentum": [None, 0.5, 0.9]}
    search = GridSearchCV(small(TwoLayerNet), grid, cv=2, error_score="raise").fit(X, y)
    by_rule = {rule: [] for rule in grid["update_rule"]}
    for params, score in zip(search.cv_results_["params"], search.cv_results_["split0_test_score"], strict=True):
        by_rule[params["update_rule"]].append(score)
    none, half, default = by_rule["sgd_momentum"]
    assert none == default != half
    assert len(set(by_rule["sgd"])) == 1


def test_a_failing_candidate_is_scored_nan(digits):
    X, y = digits
    search = GridSearchCV(small(Softmax), {"learning_rate": [0.01, 1e40]}, cv=2)
    with (
        pytest.warns(UserWarning, match="test scores are non-finite"),
        pytest.warns(FitFailedWarning, match=r"learning_rate 1e\+40 is too large"),
    ):
        search.fit(X, y)
    assert np.isnan(search.cv_results_["mean_test_score"][1])
    assert search.best_params_ == {"learning_rate": 0.01}


def test_class_weight_where_a_fold_lacks_a_class():
    X, y = blobs(40)
    y[:3] = 3  # too few for five stratified folds
    model = small(TwoLayerNet, class_weight={0: 1.0, 1: 2.0, 2: 1.0, 3: 5.0})
    with pytest.warns(UserWarning, match="least populated class"):
        result = cross_validate(model, X, y, cv=StratifiedKFold(5), error_score="raise")
    assert np.isfinite(result["test_score"]).all()


def test_learning_curve_by_partial_fit(digits):
    X, y = digits
    arguments = {"train_sizes": [60, 120], "cv": 2, "n_jobs": 1, "error_score": "raise"}
    sizes, _, by_parts = learning_curve(small(Softmax), X, y, exploit_incremental_learning=True, **arguments)
    np.testing.assert_array_equal(sizes, [60, 120])
    assert by_parts.shape == (2, 2)


# -------------------------------------------------------------------------------- metadata


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
@each_estimator
def test_routed_weights(cls, digits):
    X, y = digits
    weight = np.arange(240) % 3 + 1.0
    net = small(cls).set_fit_request(sample_weight=True)
    scaler = StandardScaler().set_fit_request(sample_weight=True)
    model = Pipeline([("scale", scaler), ("net", net)])
    folds = list(StratifiedKFold(2).split(X, y))
    accuracy = get_scorer("accuracy").set_score_request(sample_weight=True)
    search = GridSearchCV(model, {"net__reg": [0, 0.1]}, cv=folds, scoring=accuracy, error_score="raise")
    search.fit(X, y, sample_weight=weight)
    train, test = folds[0]
    scaler = StandardScaler().fit(X[train], sample_weight=weight[train])
    by_hand = small(cls).fit(scaler.transform(X[train]), y[train], weight[train])
    expected = by_hand.score(scaler.transform(X[test]), y[test], weight[test])
    assert search.cv_results_["split0_test_score"][0] == expected


@pytest.mark.usefixtures("routing")
@each_estimator
def test_routed_validation_set(cls, digits):
    """X_val goes through the steps before the net, as X does."""
    X, y = digits
    X_val, y_val = X[200:], y[200:]
    net = small(cls).set_fit_request(X_val=True, y_val=True)
    model = Pipeline([("scale", StandardScaler()), ("net", net)], transform_input=["X_val"])
    model.fit(X[:200], y[:200], X_val=X_val, y_val=y_val)
    scaler = StandardScaler().fit(X[:200])
    by_hand = small(cls).fit(scaler.transform(X[:200]), y[:200], X_val=scaler.transform(X_val), y_val=y_val)
    assert_same(model["net"], by_hand)
    assert model.score(X_val, y_val) == by_hand.best_val_score_


@pytest.mark.usefixtures("routing")
def test_weights_that_nobody_asked_for_are_an_error(digits):
    X, y = digits
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        GridSearchCV(small(Softmax), {"reg": [0]}, cv=2).fit(X, y, sample_weight=y + 1)


def test_weights_by_the_name_of_the_step(digits):
    X, y = digits
    weight = np.arange(240) % 3 + 1.0
    model = pipeline(TwoLayerNet, MinMaxScaler()).fit(X, y, net__sample_weight=weight)
    scaled = MinMaxScaler().fit_transform(X)
    assert_same(model["net"], small(TwoLayerNet).fit(scaled, y, weight))


# ------------------------------------------------------------------- in other estimators' hands


@each_estimator
@pytest.mark.parametrize(
    "wrap",
    [
        lambda net: AdaBoostClassifier(net, n_estimators=2, random_state=0),
        lambda net: BaggingClassifier(net, n_estimators=2, random_state=0),
        lambda net: CalibratedClassifierCV(net, cv=2, ensemble=False),
        lambda net: OneVsRestClassifier(net),
        lambda net: StackingClassifier([("one", net), ("two", net)], cv=2),
        lambda net: VotingClassifier([("one", net), ("two", net)], voting="soft"),
    ],
    ids=["AdaBoost", "Bagging", "Calibrated", "OneVsRest", "Stacking", "Voting"],
)
def test_ensembles(cls, wrap):
    X, y = blobs(60)
    labels = np.array(["ant", "bee", "cat"])[y]
    ensemble = wrap(small(cls, num_epochs=20, learning_rate=0.02)).fit(X, labels)
    assert ensemble.score(X, labels) > 0.9
    assert answers(ensemble, X).shape == (60, 3)


@each_hidden
def test_permutation_importance(cls):
    X, y = blobs(60)
    X = np.hstack([X, np.zeros((60, 9), np.float32)])
    net = small(cls, num_epochs=20).fit(X, y)
    importances = permutation_importance(net, X, y, n_repeats=2, random_state=0).importances_mean
    assert importances[:16].max() > 0
    assert not importances[16:].any()
