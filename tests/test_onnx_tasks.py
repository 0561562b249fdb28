"""Regressors, several labels for a sample and the hinge loss in ONNX: alone, and in what skl2onnx converts."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import RANSACRegressor, Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl._onnx_agreement import check_agreement
from sklearn_dl.onnx import DEFAULT_OPSET, LOWEST_OPSET, register_converters, to_onnx

from ._estimators import blobs, quantities, small
from ._onnx_models import run, scores_by_column, skl2onnx
from .test_onnx_agreement import REGRESSORS, Altered

OPSETS = [LOWEST_OPSET, None, skl2onnx.get_latest_tested_opset_version()]


def scaled(net):
    return make_pipeline(StandardScaler(), net)


# ------------------------------------------------------------------------------------------------------- regressors


def assert_equal_quantities(model, onnx_model, X, rtol=1e-5):
    """Compare with predictions, whose outputs may each be of another size."""
    (found,) = run(onnx_model, X)
    expected = model.predict(X)
    columns = expected.reshape(len(X), -1)
    assert found.shape == columns.shape
    size = np.abs(columns).max(axis=0)
    np.testing.assert_allclose(found / size, columns / size, rtol=0, atol=rtol)


NETS = {
    "relu": {},
    "linear": {"hidden_dims": ()},
    "tanh, dropout": {"activation": "tanh", "dropout_keep_ratio": 0.5},
    "batchnorm": {"normalization": "batchnorm"},
    "absolute": {"loss": "absolute_error"},
    "huber": {"loss": "huber", "delta": 0.5},
    "poisson": {"loss": "poisson"},
}


@pytest.mark.parametrize("target_opset", OPSETS)
@pytest.mark.parametrize("n_outputs", [None, 1, 3])
@pytest.mark.parametrize("name", NETS)
def test_regressors(name, n_outputs, target_opset, dtype):
    X, y = quantities(dtype=dtype, n_outputs=n_outputs)
    model = small(FullyConnectedRegressor, **NETS[name]).fit(X, np.abs(y))
    onnx_model = model.to_onnx(X, target_opset=target_opset)
    (output,) = onnx_model.graph.output
    assert output.name == "variable"
    assert output.type.tensor_type.shape.dim[1].dim_value == (n_outputs or 1)
    for n_samples in (1, 7, 50):
        assert_equal_quantities(model, onnx_model, X[:n_samples], rtol=1e-5 if dtype == np.float32 else 1e-11)
    assert run(onnx_model, X[:0])[0].shape == (0, n_outputs or 1)
    assert run(onnx_model, X)[0].dtype == dtype


@pytest.mark.parametrize("kind", ["f4", "f8", "i1", "i4", "i8", "u1", "?"])
@pytest.mark.parametrize("net_dtype", ["float32", "float64"])
def test_input_dtypes_of_regressors(kind, net_dtype):
    X, y = quantities()
    X = np.abs(3 * X).astype(kind)
    model = small(FullyConnectedRegressor, dtype=net_dtype).fit(X, y)
    onnx_model = model.to_onnx(X)
    assert run(onnx_model, X)[0].dtype == (np.float64 if kind == "f8" else np.float32)
    assert_equal_quantities(model, onnx_model, X)


@pytest.mark.parametrize(("scale", "mean"), [(1e-12, 0), (1e-6, 1e-6), (1e6, -1e7), (1.0, 1e4), (1e20, 0)])
def test_units_of_quantities(scale, mean):
    X, y = quantities()
    model = scaled(small(FullyConnectedRegressor, num_epochs=20)).fit(X, mean + scale * y)
    assert_equal_quantities(model, to_onnx(model, X), X)


def test_means_that_are_many_times_the_scale():
    X, y = quantities(dtype=np.float32)
    model = small(FullyConnectedRegressor).fit(X, 1e8 + y)
    (found,) = run(model.to_onnx(X.astype(np.float64)), X.astype(np.float64))
    np.testing.assert_allclose(found[:, 0] - 1e8, model.predict(X) - 1e8, atol=1e-5)


def test_default_input_and_frames():
    X, y = quantities(dtype=np.float64)
    model = small(FullyConnectedRegressor).fit(X, y)
    assert_equal_quantities(model, model.to_onnx(), X)
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(16)])
    for regressor in (model, scaled(small(FullyConnectedRegressor))):
        regressor.fit(frame, y)
        onnx_model = to_onnx(regressor, frame)
        assert len(onnx_model.graph.input) == 16
        assert_equal_quantities(regressor, onnx_model, frame)


def pair(cls, **params):
    """Return a function that puts a net and a linear regression into an ensemble."""
    return lambda net: cls([("net", net), ("ridge", Ridge())], **params)


def dropping(**params):
    return lambda net: VotingRegressor([("none", "drop"), ("net", net), ("ridge", Ridge())], **params)


# Makes a model of a net, names the outputs it is for (None: flat), and the error of its conversion.
CASES = {
    "pipeline": (scaled, (None, 3), None),
    "search": (lambda net: GridSearchCV(scaled(net), {}, cv=2), (None, 3), None),
    "random search": (lambda net: RandomizedSearchCV(net, {"reg": [0.0]}, n_iter=1, cv=2), (None, 3), None),
    "transformed": (
        lambda net: TransformedTargetRegressor(net, transformer=StandardScaler()),
        (None, 3),
        "TransformedTargetRegressor cannot be converted: .* Unable to find a shape calculator",
    ),
    "voting": (pair(VotingRegressor), (None,), None),
    "voting, weights": (pair(VotingRegressor, weights=np.array([1.0, 3.0])), (None,), None),
    "voting, weights in a list": (pair(VotingRegressor, weights=[1, 3]), (None,), "a NumPy array"),
    "voting, dropped": (dropping(), (None,), None),
    "voting, dropped, weights": (
        dropping(weights=np.array([1.0, 2.0, 3.0])),
        (None,),
        "weights of dropped estimators",
    ),
    "voting of pipelines": (
        lambda net: VotingRegressor([("a", scaled(net)), ("b", GridSearchCV(net, {}, cv=2))]),
        (None,),
        None,
    ),
    "stacking": (pair(StackingRegressor, cv=2), (None,), None),
    "stacking, passthrough": (pair(StackingRegressor, cv=2, passthrough=True), (None,), None),
    "stacking, a net last": (
        pair(StackingRegressor, cv=2, final_estimator=small(FullyConnectedRegressor)),
        (None,),
        None,
    ),
    "bagging": (lambda net: BaggingRegressor(net, n_estimators=2, random_state=0), (None,), None),
    "bagging, features of pipelines": (
        lambda net: BaggingRegressor(scaled(net), n_estimators=2, max_features=9, random_state=0),
        (None,),
        None,
    ),
    "bagging, outputs": (
        lambda net: BaggingRegressor(net, n_estimators=2, random_state=0),
        (3,),
        r"BaggingRegressor cannot be converted: .* predict gives the shape \(\d+, 3\)",
    ),
    "boosting": (lambda net: AdaBoostRegressor(net, n_estimators=2, random_state=0), (None,), None),
    "inliers": (lambda net: RANSACRegressor(net, min_samples=30, max_trials=3, random_state=0), (None,), None),
    "each output": (MultiOutputRegressor, (3,), None),
    "each output, pipelines": (lambda net: MultiOutputRegressor(scaled(net)), (3,), None),
    "chain": (RegressorChain, (3,), "RegressorChain cannot be converted: .* Unable to find a shape calculator"),
}


def test_every_meta_estimator_of_regressors_is_here():
    made = {type(make(Ridge())).__name__ for make, _, _ in CASES.values()}
    assert REGRESSORS - made == {"CastRegressor"}  # skl2onnx's own, around a regressor of any kind


@pytest.mark.parametrize(
    ("name", "n_outputs"), [(name, n_outputs) for name, (_, shapes, _) in CASES.items() for n_outputs in shapes]
)
def test_meta_estimators_of_regressors(name, n_outputs, dtype):
    X, y = quantities(80, dtype=dtype, n_outputs=n_outputs)
    make, _, refusal = CASES[name]
    model = make(small(FullyConnectedRegressor)).fit(X, y)
    if refusal:
        for sample in (X, X[:1]):
            with pytest.raises(ValueError, match=refusal):
                to_onnx(model, sample)
        return
    assert_equal_quantities(model, to_onnx(model, X), X)
    register_converters()
    known = model.best_estimator_ if isinstance(model, RandomizedSearchCV) else model
    direct = skl2onnx.to_onnx(known, X[:1], target_opset=DEFAULT_OPSET)
    assert_equal_quantities(model, direct, X)


class Constant(RegressorMixin, BaseEstimator):
    """A model that predicts what it is given."""

    def __init__(self, predicted):
        self.predicted = predicted

    def predict(self, X):
        return self.predicted


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_difference_of_quantities_is_told_in_their_own_unit(scale):
    X, y = quantities(n_outputs=2)
    model = scaled(small(FullyConnectedRegressor)).fit(X, scale * y)
    onnx_model = to_onnx(model, X)
    predicted = model.predict(X)
    size = np.abs(predicted).max(axis=0)
    check_agreement(Constant(predicted + 3e-5 * size), onnx_model, X, {})
    for share in ([1e-3, 0], [0, 1e-3]):
        with pytest.raises(ValueError, match="predict gives other numbers"):
            check_agreement(Constant(predicted + share * size), onnx_model, X, {})


# --------------------------------------------------------------------------------------------------- several labels


def several_labels(n_samples=60, n_labels=3, dtype=np.float32):
    X, y = blobs(n_samples, n_classes=4, dtype=dtype)
    return X, np.array([[0, 1, 1], [1, 0, 1], [0, 0, 0], [1, 1, 0]])[y][:, :n_labels]


def assert_equal_labels(model, onnx_model, X, atol=1e-5, *, method="predict_proba"):
    labels, scores = run(onnx_model, X)
    np.testing.assert_array_equal(labels, model.predict(X))
    np.testing.assert_allclose(scores, scores_by_column(getattr(model, method)(X)), rtol=0, atol=atol)
    assert labels.dtype == np.int64


@pytest.mark.parametrize("target_opset", OPSETS)
@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("cls", [TwoLayerNet, FullyConnectedNet, ThreeLayerConvNet])
def test_several_labels(cls, n_labels, target_opset, dtype):
    X, y = several_labels(n_labels=n_labels, dtype=dtype)
    model = small(cls).fit(X, y)
    onnx_model = model.to_onnx(X, target_opset=target_opset)
    assert [output.name for output in onnx_model.graph.output] == ["label", "probabilities"]
    for n_samples in (1, 7, 60):
        assert_equal_labels(model, onnx_model, X[:n_samples], atol=1e-6 if dtype == np.float32 else 1e-12)
    labels, probabilities = run(onnx_model, X[:0])
    assert labels.shape == probabilities.shape == (0, n_labels)
    assert probabilities.dtype == dtype


@pytest.mark.parametrize("make", [scaled, lambda net: GridSearchCV(scaled(net), {}, cv=2)], ids=["pipeline", "search"])
@pytest.mark.parametrize("n_labels", [2, 3])
def test_several_labels_within(make, n_labels, dtype):
    X, y = several_labels(n_labels=n_labels, dtype=dtype)
    model = make(small(TwoLayerNet)).fit(X, y)
    assert_equal_labels(model, to_onnx(model, X), X)
    assert_equal_labels(model, to_onnx(model, X, options={"nocl": True}), X)
    assert_equal_labels(
        model, to_onnx(model, X, options={id(model): {"raw_scores": True}}), X, method="decision_function"
    )


@pytest.mark.parametrize("zipmap", [True, "columns"])
def test_zipmap_of_several_labels_is_refused(zipmap):
    X, y = several_labels()
    for model in (small(TwoLayerNet), scaled(small(TwoLayerNet))):
        with pytest.raises(ValueError, match="option zipmap needs one label for each sample"):
            to_onnx(model.fit(X, y), X, options={id(model): {"zipmap": zipmap}})


def test_chains_of_labels_are_refused():
    X, y = several_labels()
    model = ClassifierChain(small(TwoLayerNet)).fit(X, y)
    with pytest.raises(ValueError, match="ClassifierChain cannot be converted"):
        to_onnx(model, X)


def test_other_labels_of_several_are_noticed():
    X, y = several_labels()
    model = scaled(small(TwoLayerNet)).fit(X, y)
    onnx_model = to_onnx(model, X)
    with pytest.raises(ValueError, match="predict gives 180 other labels of 180"):
        check_agreement(Altered(model, predict=lambda X: 1 - model.predict(X)), onnx_model, X, {})


# -------------------------------------------------------------------------------------------------- the hinge loss


@pytest.mark.parametrize("target_opset", OPSETS)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("cls", [Softmax, TwoLayerNet, FullyConnectedNet, ThreeLayerConvNet])
def test_hinge(cls, n_classes, target_opset, dtype):
    X, y = blobs(n_classes=n_classes, dtype=dtype)
    model = small(cls, loss="hinge").fit(X, np.array([7, -3, 2**40])[y])
    onnx_model = model.to_onnx(X, target_opset=target_opset)
    assert_equal_labels(model, onnx_model, X, method="decision_function")
    assert_equal_labels(model, model.to_onnx(X, options={"raw_scores": False}), X, method="decision_function")
    assert run(onnx_model, X)[1].dtype == dtype


def hinge(cls, **params):
    """Return a function that puts a net into a meta-estimator."""
    return lambda net: cls(net, **params)


HINGE = {
    "pipeline": (scaled, None),
    "search": (lambda net: GridSearchCV(scaled(net), {}, cv=2), None),
    "calibrated": (hinge(CalibratedClassifierCV, cv=2), None),
    "stacking": (lambda net: StackingClassifier([("net", net)], cv=2), None),
    "voting": (
        lambda net: VotingClassifier([("a", net), ("b", scaled(net))], flatten_transform=False),
        None,
    ),
    "one versus rest": (OneVsRestClassifier, "OneVsRestClassifier cannot be converted: .* decision_function gives"),
    "one versus one": (OneVsOneClassifier, "OneVsOneClassifier cannot be converted"),
}


@pytest.mark.parametrize("name", HINGE)
def test_hinge_within(name, dtype):
    X, y = blobs(90, dtype=dtype)
    make, refusal = HINGE[name]
    model = make(small(TwoLayerNet, loss="hinge")).fit(X, y)
    if refusal:
        with pytest.raises(ValueError, match=refusal):
            to_onnx(model, X)
        return
    onnx_model = to_onnx(model, X)
    if name == "voting":
        np.testing.assert_array_equal(run(onnx_model, X)[0], model.predict(X))
    else:
        method = "predict_proba" if hasattr(model, "predict_proba") else "decision_function"
        assert_equal_labels(model, onnx_model, X, method=method)


def test_hinge_of_each_output():
    X, y = blobs()
    model = MultiOutputClassifier(small(TwoLayerNet, loss="hinge")).fit(X, np.column_stack([y, y % 2]))
    found, scores = run(to_onnx(model, X), X)
    np.testing.assert_array_equal(found, model.predict(X))
    for output, part in zip(scores, model.estimators_, strict=True):
        np.testing.assert_allclose(output, scores_by_column(part.decision_function(X)), atol=1e-5)
