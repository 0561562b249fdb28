"""Validation sets and weights on their way through pipelines and searches, by scikit-learn's metadata routing."""

import inspect

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_dl import ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor

from ._estimators import ESTIMATORS, assert_same, each_library, each_of_all, small

NAMES = [f"pixel {i}" for i in range(64)]
WEIGHT, WEIGHT_VAL = 1.0 + np.arange(160) % 3, 1.0 + np.arange(80) % 2


@pytest.fixture(scope="module")
def digits():
    """Return 160 digits to train on and 80 to validate on: uint8 rows."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.uint8)
    return X[:160], y[:160], X[160:240], y[160:240]


@pytest.fixture(autouse=True)
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def requesting(cls, **params):
    """Return a net that asks for everything, and stops early."""
    options = {"early_stopping": True, "num_epochs": 8, "n_iter_no_change": 2, "tol": 0, "learning_rate": 0.02}
    net = small(cls, **{**options, **params})
    net.set_fit_request(sample_weight=True, X_val=True, y_val=True, sample_weight_val=True)
    return net.set_score_request(sample_weight=True)


def unweighted(steps):
    """Let the steps ask for no weights, where they could."""
    return [step.set_fit_request(sample_weight=False) if hasattr(step, "set_fit_request") else step for step in steps]


def pipeline(steps, net):
    steps = [(f"step{i}", step) for i, step in enumerate(unweighted(steps))]
    return Pipeline([*steps, ("net", net)], transform_input=["X_val"])


def accuracy(model, X, y, weight):
    return np.average(model.predict(X) == y, weights=weight)


def assert_validated(net, accuracy_now):
    """Assert that the net has the weights of its best epoch, and that there were better and worse ones."""
    assert net.best_val_score_ == max(net.val_acc_history_) == pytest.approx(accuracy_now)
    assert len(set(net.val_acc_history_)) > 1
    assert net.history_["val_accuracy"] == net.val_acc_history_[1:]


KINDS = {
    "uint8 rows": lambda X: X,
    "float64 rows": lambda X: X.astype(np.float64),
    "lists": lambda X: X.tolist(),
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
    "uint8 images": lambda X: X.reshape(-1, 1, 8, 8),
    "float32 images": lambda X: X.reshape(-1, 1, 8, 8).astype(np.float32),
}
STEPS = {
    "nothing": lambda layout: [],
    "MeanSubtractor": lambda layout: [MeanSubtractor()],
    "MeanSubtractor, ImageReshaper": lambda layout: [MeanSubtractor(), ImageReshaper(input_layout=layout)],
    "ImageReshaper": lambda layout: [ImageReshaper(input_layout=layout)],
    "StandardScaler": lambda layout: [StandardScaler()],
}


@pytest.mark.parametrize("cls", [TwoLayerNet, ThreeLayerConvNet])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", STEPS)
def test_through_a_pipeline(cls, kind, steps, digits):
    """The same as transforming by hand, to the bit; early stopping watches the set, and the best weights are kept."""
    if steps == "StandardScaler" and "images" in kind:
        kind = "uint8 rows"  # StandardScaler takes rows only
    make, layout = KINDS[kind], "NCHW" if "images" in kind else "rows"
    X, y, X_val, y_val = digits
    X, X_val = make(X), make(X_val)
    options = {"sample_weight": WEIGHT, "y_val": y_val, "sample_weight_val": WEIGHT_VAL}
    model = pipeline(STEPS[steps](layout), requesting(cls)).fit(X, y, X_val=X_val, **options)
    X_by_hand, X_val_by_hand = X, X_val
    for step in STEPS[steps](layout):
        X_by_hand = step.fit_transform(X_by_hand)
        X_val_by_hand = step.transform(X_val_by_hand)
    by_hand = requesting(cls).fit(X_by_hand, y, X_val=X_val_by_hand, **options)
    assert_same(model["net"], by_hand)
    assert_validated(model["net"], accuracy(model, X_val, y_val, WEIGHT_VAL))


@each_of_all
def test_early_stopping_watches_the_validation_set(cls, digits):
    X, y, X_val, y_val = digits
    options = {"X_val": X_val, "y_val": np.roll(y_val, 1)}  # labels that cannot be learned
    model = pipeline([StandardScaler()], requesting(cls, num_epochs=100)).fit(X, y, **options)
    assert 3 <= model["net"].n_iter_ < 100


@each_library
def test_names_of_features_reach_the_net(library, digits):
    X, y, X_val, y_val = digits
    make = KINDS[library]
    steps = [MeanSubtractor(), StandardScaler()]
    model = pipeline(steps, requesting(TwoLayerNet)).set_output(transform=library)
    model.fit(make(X), y, X_val=make(X_val), y_val=y_val)
    np.testing.assert_array_equal(model["net"].feature_names_in_, NAMES)
    assert_validated(model["net"], model.score(make(X_val), y_val))
    with pytest.raises(ValueError, match=r"(?s)^X_val: The feature names should match"):
        model["net"].fit(make(X), y, X_val=make(X_val)[NAMES[::-1]], y_val=y_val)


def test_columns_of_several_kinds(digits):
    X, y, X_val, y_val = digits

    def frame(X):
        table = pd.DataFrame(X, columns=NAMES)
        table["brightness"] = np.where(X.mean(axis=1) > 5, "bright", "dark")
        return table

    scaler = StandardScaler().set_fit_request(sample_weight=False)
    columns = ColumnTransformer([("numbers", scaler, NAMES), ("words", OneHotEncoder(), ["brightness"])])
    model = Pipeline([("columns", columns), ("net", requesting(TwoLayerNet))], transform_input=["X_val"])
    model.fit(frame(X), y, X_val=frame(X_val), y_val=y_val, sample_weight=WEIGHT)
    assert model["net"].n_features_in_ == 66
    assert_validated(model["net"], model.score(frame(X_val), y_val))


# ------------------------------------------------------------------------------------ searches


@pytest.mark.parametrize(("cls", "n_jobs"), [*((cls, 1) for cls in ESTIMATORS), (TwoLayerNet, 2)])
def test_through_a_search(cls, n_jobs, digits):
    """Weights are cut into folds, validation sets are not; each fold's transformer transforms them."""
    X, y, X_val, y_val = digits
    validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": WEIGHT_VAL}
    folds = list(StratifiedKFold(2).split(X, y))
    search = GridSearchCV(
        pipeline([StandardScaler()], requesting(cls)),
        {"net__reg": [0, 0.5]},
        cv=folds,
        scoring=get_scorer("accuracy").set_score_request(sample_weight=True),
        error_score="raise",
        n_jobs=n_jobs,
    )
    search.fit(X, y, sample_weight=WEIGHT, **validation)
    train, test = folds[0]
    scaler = StandardScaler().fit(X[train])
    by_hand = requesting(cls).fit(
        scaler.transform(X[train]), y[train], WEIGHT[train], **{**validation, "X_val": scaler.transform(X_val)}
    )
    expected = accuracy(by_hand, scaler.transform(X[test]), y[test], WEIGHT[test])
    assert search.cv_results_["split0_test_score"][0] == expected
    assert_validated(search.best_estimator_["net"], accuracy(search, X_val, y_val, WEIGHT_VAL))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_through_cross_validation_of_data_frames(library, digits):
    X, y, X_val, y_val = digits
    make = KINDS[library]
    result = cross_validate(
        pipeline([MeanSubtractor()], requesting(TwoLayerNet)),
        make(X),
        y,
        cv=2,
        params={"X_val": make(X_val), "y_val": y_val, "sample_weight_val": WEIGHT_VAL},
        error_score="raise",
        return_estimator=True,
    )
    for model in result["estimator"]:
        assert_validated(model["net"], accuracy(model, make(X_val), y_val, WEIGHT_VAL))


def test_a_search_cuts_a_validation_set_as_long_as_the_data(digits):
    """As the docstring of fit says."""
    X, y, _, _ = digits
    folds = list(StratifiedKFold(2).split(X, y))
    result = cross_validate(
        requesting(TwoLayerNet), X, y, cv=folds, params={"X_val": X, "y_val": y}, return_estimator=True
    )
    for net, (train, _) in zip(result["estimator"], folds, strict=True):
        assert_validated(net, accuracy(net, X[train], y[train], None))


def test_search_without_a_pipeline(digits):
    X, y, X_val, y_val = digits
    search = GridSearchCV(requesting(TwoLayerNet), {"reg": [0, 0.5]}, cv=2, error_score="raise")
    search.fit(X, y, X_val=X_val, y_val=y_val)
    assert_validated(search.best_estimator_, search.score(X_val, y_val))


# ------------------------------------------------------------------------------------ requests

METADATA = {
    "fit": ["sample_weight", "X_val", "y_val", "sample_weight_val"],
    "partial_fit": ["classes", "sample_weight"],
    "score": ["sample_weight"],
}


@each_of_all
@pytest.mark.parametrize("method", METADATA)
def test_each_argument_can_be_requested(cls, method):
    set_request = getattr(cls(), f"set_{method}_request")
    names = [name for name in METADATA[method] if name != "classes" or cls in ESTIMATORS]
    assert set(inspect.signature(set_request).parameters) - {"self"} == set(names)
    for name in names:
        net = getattr(cls(), f"set_{method}_request")(**{name: True})
        assert getattr(net.get_metadata_routing(), method).requests[name] is True


@pytest.mark.parametrize("name", METADATA["fit"])
def test_what_nobody_asked_for_is_an_error(name, digits):
    X, y, X_val, y_val = digits
    given = {"sample_weight": WEIGHT, "X_val": X_val, "y_val": y_val, "sample_weight_val": WEIGHT_VAL}
    net = requesting(TwoLayerNet).set_fit_request(**{name: None})
    with pytest.raises(UnsetMetadataPassedError, match=rf"\[{name}\] are passed but are not explicitly set"):
        pipeline([StandardScaler()], net).fit(X, y, **given)


def test_a_validation_set_by_another_name(digits):
    X, y, X_val, y_val = digits
    net = requesting(TwoLayerNet).set_fit_request(X_val="holdout", y_val="holdout_labels")
    # Pipeline goes by the net's own name for it.
    model = Pipeline([("mean", MeanSubtractor()), ("net", net)], transform_input=["X_val"])
    model.fit(X, y, holdout=X_val, holdout_labels=y_val)
    assert_validated(model["net"], model.score(X_val, y_val))
