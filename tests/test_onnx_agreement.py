"""Every meta-estimator that skl2onnx converts, with nets in it: predictions in ONNX are the same, or it is refused."""

import functools
import inspect
import itertools
import sys
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, RFECV, SelectFromModel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from sklearn_dl import Softmax, ThreeLayerConvNet, TwoLayerNet, _onnx_agreement, onnx
from sklearn_dl._onnx_agreement import KNOWN_FAULTS, MAX_ROWS, TOLERANCE, check_agreement
from sklearn_dl.onnx import LOWEST_OPSET, register_converters, to_onnx
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor

from ._estimators import ESTIMATORS, blobs, each_estimator, images, small
from ._onnx_models import assert_equal_predictions, onnxruntime, run, scores_by_column, skl2onnx

# ------------------------------------------------------------------------------------------------ the meta-estimators


def never(n_classes, dtype):
    return None


def always(message):
    return lambda n_classes, dtype: message


class Case(NamedTuple):
    """A setting of a meta-estimator: how it is made around a net, and what it is refused with, if it is."""

    cls: type
    make: callable
    refusal: callable = never
    n_classes: tuple = (2, 3)


def stacking(stack_method="auto", parts=lambda net: [net], final=LogisticRegression, **params):
    def make(net):
        named = [(f"part{i}", part) for i, part in enumerate(parts(net))]
        return StackingClassifier(named, final_estimator=final(), stack_method=stack_method, cv=2, **params)

    return make


def voting(parts=lambda net: [net, LogisticRegression()], **params):
    def make(net):
        named = [(f"part{i}", part) for i, part in enumerate(parts(net))]
        return VotingClassifier(named, **{"flatten_transform": False, "voting": "soft", **params})

    return make


def scaled(net):
    return make_pipeline(StandardScaler(), net)


def searched(net):
    return GridSearchCV(scaled(net), {}, cv=2)


def in_(cls, wrap=lambda net: net, **params):
    """Return a function that puts a net, or what it is wrapped into, into a meta-estimator."""
    return lambda net: cls(wrap(net), **params)


def two_columns(n_classes, dtype):
    return (
        "StackingClassifier cannot be converted .* two columns for the decision_function of two classes"
        if n_classes == 2
        else None
    )


def double(n_classes, dtype):
    return "AdaBoostClassifier cannot be converted: .* fails" if dtype == "f8" else None


bagging = functools.partial(in_, BaggingClassifier, n_estimators=2, random_state=0)
calibrated = functools.partial(in_, CalibratedClassifierCV, cv=2)

CASES = {
    "stacking": Case(StackingClassifier, stacking()),
    "stacking, passthrough": Case(StackingClassifier, stacking(passthrough=True)),
    "stacking, predict_proba": Case(StackingClassifier, stacking("predict_proba")),
    "stacking, scores": Case(StackingClassifier, stacking("decision_function"), two_columns),
    "stacking, scores, passthrough": Case(
        StackingClassifier, stacking("decision_function", passthrough=True), two_columns
    ),
    "stacking, scores of several": Case(
        StackingClassifier,
        stacking("decision_function", lambda net: [LogisticRegression(), net, searched(net)], passthrough=True),
        two_columns,
    ),
    "stacking, scores of a pipeline": Case(
        StackingClassifier, stacking("decision_function", lambda net: [scaled(net)]), two_columns
    ),
    "stacking, scores of bagged nets": Case(
        StackingClassifier, stacking("decision_function", lambda net: [bagging()(net)]), two_columns
    ),
    "stacking, labels": Case(StackingClassifier, stacking("predict"), always("stacks probabilities where")),
    "stacking, labels, passthrough": Case(
        StackingClassifier, stacking("predict", passthrough=True), always("stacks probabilities where")
    ),
    "stacking of all kinds": Case(
        StackingClassifier, stacking(parts=lambda net: [net, scaled(net), searched(net), "drop", LogisticRegression()])
    ),
    "stacking, a net last": Case(StackingClassifier, stacking(final=lambda: small(Softmax))),
    "voting, soft": Case(VotingClassifier, voting()),
    "voting, hard": Case(VotingClassifier, voting(voting="hard")),
    "voting, weights": Case(VotingClassifier, voting(weights=np.array([1.0, 3.0]))),
    "voting, hard, weights": Case(VotingClassifier, voting(weights=np.array([1.0, 3.0]), voting="hard")),
    "voting, weights in a list": Case(VotingClassifier, voting(weights=[1, 3]), always("a NumPy array")),
    "voting, dropped": Case(VotingClassifier, voting(lambda net: ["drop", net, scaled(net)])),
    "voting, dropped, weights": Case(
        VotingClassifier,
        voting(lambda net: ["drop", net, scaled(net)], weights=np.array([1.0, 2.0, 3.0])),
        always("weights of dropped estimators"),
    ),
    "voting, flattened": Case(VotingClassifier, voting(flatten_transform=True), always("flatten_transform=False")),
    "voting of all kinds": Case(
        VotingClassifier, voting(lambda net: [scaled(net), searched(net), calibrated()(net), bagging()(net)])
    ),
    "bagging": Case(BaggingClassifier, bagging()),
    "bagging, features": Case(BaggingClassifier, bagging(max_features=9)),
    "bagging, samples": Case(BaggingClassifier, bagging(max_samples=0.5, bootstrap=False)),
    "bagging, features drawn twice": Case(BaggingClassifier, bagging(bootstrap_features=True)),
    "bagging, features of pipelines": Case(BaggingClassifier, bagging(scaled, max_features=9)),
    "bagging, features of searches": Case(BaggingClassifier, bagging(searched, max_features=9)),
    "bagging, features of images": Case(
        BaggingClassifier, bagging(lambda net: make_pipeline(MeanSubtractor(), net), max_features=9)
    ),
    "bagging, features of bagging": Case(
        BaggingClassifier, bagging(bagging(bootstrap_features=True), bootstrap_features=True)
    ),
    "bagging, features of voting": Case(BaggingClassifier, bagging(voting(), max_features=9)),
    "bagging, labels": Case(BaggingClassifier, bagging(voting(voting="hard")), always("parts that have predict_proba")),
    "boosting": Case(AdaBoostClassifier, in_(AdaBoostClassifier, n_estimators=2, random_state=0), double),
    "one versus rest": Case(OneVsRestClassifier, in_(OneVsRestClassifier)),
    "one versus rest, pipelines": Case(OneVsRestClassifier, in_(OneVsRestClassifier, scaled)),
    "one versus one": Case(
        OneVsOneClassifier, in_(OneVsOneClassifier), always("OneVsOneClassifier cannot be converted")
    ),
    "calibrated": Case(CalibratedClassifierCV, calibrated()),
    "calibrated, one net": Case(CalibratedClassifierCV, calibrated(ensemble=False)),
    "calibrated, pipelines": Case(CalibratedClassifierCV, calibrated(scaled)),
    "calibrated, one pipeline": Case(CalibratedClassifierCV, calibrated(scaled, ensemble=False)),
    "calibrated, searches": Case(CalibratedClassifierCV, calibrated(searched)),
    "calibrated, bagging": Case(CalibratedClassifierCV, calibrated(bagging(max_features=9))),
    "calibrated, isotonic": Case(CalibratedClassifierCV, calibrated(method="isotonic"), always("isotonic")),
    "calibrated, isotonic, one net": Case(
        CalibratedClassifierCV, calibrated(method="isotonic", ensemble=False), always("isotonic")
    ),
    "search": Case(GridSearchCV, in_(GridSearchCV, param_grid={}, cv=2)),
    "search, pipelines": Case(GridSearchCV, searched),
    "search, bagging": Case(GridSearchCV, in_(GridSearchCV, bagging(max_features=9), param_grid={}, cv=2)),
    "search, not refitted": Case(
        GridSearchCV, in_(GridSearchCV, param_grid={}, cv=2, refit=False), always("best_estimator_")
    ),
    "threshold": Case(
        TunedThresholdClassifierCV, in_(TunedThresholdClassifierCV, cv=2), always("leaves out the threshold"), (2,)
    ),
    "pipeline": Case(Pipeline, scaled),
    "pipeline of pipelines": Case(Pipeline, lambda net: make_pipeline(scaled(MinMaxScaler()), scaled(net))),
    "pipeline, search last": Case(Pipeline, lambda net: make_pipeline(MinMaxScaler(), searched(net))),
    "pipeline, bagging last": Case(Pipeline, lambda net: scaled(bagging(max_features=9)(net))),
    "union": Case(
        FeatureUnion,
        lambda net: make_pipeline(make_union(StandardScaler(), MeanSubtractor(input_shape=(1, 4, 4))), net),
    ),
    "columns": Case(
        ColumnTransformer,
        lambda net: make_pipeline(
            ColumnTransformer(
                [("a", StandardScaler(), slice(5)), ("b", MinMaxScaler(), [7, 9])], remainder="passthrough"
            ),
            net,
        ),
    ),
    "chosen columns": Case(RFE, lambda net: make_pipeline(RFE(LogisticRegression(), n_features_to_select=9), net)),
    "chosen columns, validated": Case(
        RFECV, lambda net: make_pipeline(RFECV(LogisticRegression(), cv=2, step=15), net)
    ),
    "columns of a model": Case(
        SelectFromModel,
        lambda net: make_pipeline(SelectFromModel(LogisticRegression(), threshold=-np.inf, max_features=9), net),
    ),
}
if "temperature" in str(CalibratedClassifierCV._parameter_constraints["method"]):
    CASES["calibrated, temperature"] = Case(
        CalibratedClassifierCV, calibrated(method="temperature"), always("temperature")
    )

# Those without classes are in a test of their own, those of regressors in test_onnx_tasks.py.
OTHERS = {"MultiOutputClassifier"}
REGRESSORS = {
    "AdaBoostRegressor",
    "BaggingRegressor",
    "CastRegressor",
    "MultiOutputRegressor",
    "RANSACRegressor",
    "StackingRegressor",
    "VotingRegressor",
}


def test_every_meta_estimator_of_skl2onnx_is_here():
    """One that a new skl2onnx converts must be tried, and entered above."""
    from skl2onnx._supported_operators import sklearn_operator_name_map

    takes = {"estimator", "estimators", "base_estimator", "steps", "transformers", "transformer_list"}
    found = {cls.__name__ for cls in sklearn_operator_name_map if takes & set(inspect.signature(cls).parameters)}
    assert found == {case.cls.__name__ for case in CASES.values()} | OTHERS | REGRESSORS


@functools.cache
def fitted(name, cls, n_classes, labels, dtype):
    """Return a fitted model, the samples that it was fitted on, and more."""
    X, y = blobs(100, n_classes=n_classes, dtype=dtype, spread=0.5)
    y = (np.array(["b", "ä", "c"]) if labels == "str" else np.array([-3, 7, 2**20]))[y]
    model = CASES[name].make(small(cls, num_epochs=10, learning_rate=1e-2)).fit(X[:60], y[:60])
    return model, X[:60], X


QUICK = [
    (TwoLayerNet, 2, "int", "f4"),
    (TwoLayerNet, 3, "str", "f8"),
    (ThreeLayerConvNet, 3, "int", "f4"),
]


def settings():
    """Yield all cases with all nets and numbers of classes, and one net with all labels and dtypes."""
    data = [("int", "f4"), ("str", "f8"), ("int", "f8"), ("str", "f4")]
    for name, case in CASES.items():
        for cls, n_classes in itertools.product(ESTIMATORS, case.n_classes):
            for labels, dtype in data if cls is TwoLayerNet else data[:2]:
                quick = (cls, n_classes, labels, dtype) in QUICK
                id_ = f"{name}-{cls.__name__}-{n_classes}-{labels}-{dtype}"
                yield pytest.param(name, cls, n_classes, labels, dtype, marks=() if quick else pytest.mark.slow, id=id_)


each_setting = pytest.mark.parametrize(("name", "cls", "n_classes", "labels", "dtype"), list(settings()))


@each_setting
def test_meta_estimators(name, cls, n_classes, labels, dtype):
    model, X, more = fitted(name, cls, n_classes, labels, dtype)
    refusal = CASES[name].refusal(n_classes, dtype)
    if refusal:
        for sample in (X, X[:1]):
            with pytest.raises(ValueError, match=refusal):
                to_onnx(model, sample)
    else:
        assert_equal_predictions(model, to_onnx(model, X), more)
        register_converters()
        direct = skl2onnx.to_onnx(model, X[:1], options={id(model): {"zipmap": False}}, target_opset=18)
        assert_equal_predictions(model, direct, more)


AGREE = [name for name, case in CASES.items() if case.refusal is never]


@pytest.mark.parametrize("target_opset", [LOWEST_OPSET, skl2onnx.get_latest_tested_opset_version()])
@pytest.mark.parametrize("name", AGREE)
def test_opsets(name, target_opset):
    model, X, more = fitted(name, TwoLayerNet, 2, "int", "f4")
    onnx_model = to_onnx(model, X, target_opset=target_opset)
    assert {entry.domain: entry.version for entry in onnx_model.opset_import}[""] == target_opset
    for n_samples in (1, 100):
        assert_equal_predictions(model, onnx_model, more[:n_samples])


@pytest.mark.parametrize("labels", ["int", "str"])
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("wrap", [lambda net: net, searched], ids=["nets", "searches"])
@each_estimator
def test_several_outputs(cls, wrap, labels, n_outputs, dtype):
    X, y = blobs(dtype=dtype)
    Y = np.column_stack([y, (y + 1) % 2])[:, :n_outputs]
    model = MultiOutputClassifier(wrap(small(cls))).fit(X, np.array(["a", "b", "c"])[Y] if labels == "str" else Y)
    found, probabilities = run(to_onnx(model, X), X)
    np.testing.assert_array_equal(found, model.predict(X))
    for output, expected in zip(probabilities, model.predict_proba(X), strict=True):
        np.testing.assert_allclose(output, expected, atol=1e-6)


def test_several_outputs_of_pipelines_are_refused():
    X, y = blobs()
    model = MultiOutputClassifier(scaled(small(TwoLayerNet))).fit(X, np.column_stack([y, y % 2]))
    with pytest.raises(ValueError, match="MultiOutputClassifier cannot be converted"):
        to_onnx(model, X)


@pytest.mark.parametrize("constant", [False, True])
def test_several_labels_for_a_sample(constant, dtype):
    X, y = blobs(100, dtype=dtype)
    Y = np.eye(3, dtype=int)[y] | np.eye(3, dtype=int)[y // 2]
    if constant:
        Y[:, 1] = 1
        with pytest.warns(UserWarning, match="present in all training examples"):
            model = OneVsRestClassifier(small(TwoLayerNet)).fit(X, Y)
    else:
        model = OneVsRestClassifier(small(TwoLayerNet)).fit(X, Y)
    assert_equal_predictions(model, to_onnx(model, X), X)


# ---------------------------------------------------------------------------------------------------------- inputs


INTEGERS_AGREE = {
    "bagging",
    "bagging, features",
    "bagging, features drawn twice",
    "bagging, features of bagging",
    "bagging, features of voting",
    "bagging, samples",
    "boosting",
    "calibrated",
    "calibrated, bagging",
    "calibrated, one net",
    "chosen columns",
    "chosen columns, validated",
    "columns",
    "columns of a model",
    "one versus rest",
    "pipeline",
    "pipeline of pipelines",
    "pipeline, bagging last",
    "pipeline, search last",
    "search",
    "search, bagging",
    "search, pipelines",
    "union",
    "voting of all kinds",
    "voting, dropped",
    "voting, hard",
    "voting, hard, weights",
    "voting, soft",
    "voting, weights",
}


@pytest.mark.parametrize("name", CASES)
def test_integers(name):
    """Converters of meta-estimators declare that probabilities are of the type of X."""
    n_classes = CASES[name].n_classes[-1]
    X, y = blobs(100, n_classes=n_classes, spread=0.5)
    X = (10 * X).astype(np.int64)
    model = CASES[name].make(small(TwoLayerNet, num_epochs=10, weight_scale=1e-2)).fit(X, y)
    if name in INTEGERS_AGREE:
        assert_equal_predictions(model, to_onnx(model, X), X)
    else:
        with pytest.raises(ValueError, match="cannot be converted"):
            to_onnx(model, X)


IMAGES = {
    "stacking": stacking(parts=lambda net: [net, make_pipeline(MeanSubtractor(), net)]),
    "stacking, scores": stacking("decision_function", lambda net: [net, make_pipeline(MeanSubtractor(), net)]),
    "voting": voting(lambda net: [net, make_pipeline(MeanSubtractor(per="channel"), net)]),
    "voting, rows within": voting(
        lambda net: [
            net,
            make_pipeline(ImageReshaper(input_layout="NCHW", output_layout="rows"), StandardScaler(), net),
        ]
    ),
    "boosting": in_(AdaBoostClassifier, n_estimators=2, random_state=0),
    "one versus rest": in_(OneVsRestClassifier, lambda net: make_pipeline(MeanSubtractor(), net)),
    "calibrated": calibrated(lambda net: make_pipeline(MeanSubtractor(), net)),
    "search": in_(GridSearchCV, lambda net: make_pipeline(MeanSubtractor(), net), param_grid={}, cv=2),
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("cls", [TwoLayerNet, ThreeLayerConvNet])
def test_images(name, cls):
    X, y = blobs(60, spread=0.5)
    X = X.reshape(-1, 1, 4, 4)
    model = IMAGES[name](small(cls, num_epochs=10, learning_rate=1e-2)).fit(X, y)
    assert_equal_predictions(model, to_onnx(model, X), X)


def test_uint8_images_where_the_converters_take_them():
    X, y = images(60)
    for name in ("voting", "search"):
        model = IMAGES[name](small(ThreeLayerConvNet, weight_scale=1e-3)).fit(X, y)
        assert_equal_predictions(model, to_onnx(model, X), X)


def test_columns_of_a_data_frame():
    X, y = blobs(60)
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(16)])
    frame["sort"] = np.array(["u", "v", "w"])[y]
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), [f"pixel {i}" for i in range(16)]), ("sort", OneHotEncoder(), ["sort"])],
        sparse_threshold=0,
    )
    model = make_pipeline(columns, small(TwoLayerNet)).fit(frame, y)
    assert_equal_predictions(model, to_onnx(model, frame), frame)


def test_width_that_is_not_declared(dtype):
    from skl2onnx.common.data_types import guess_data_type

    X, y = blobs(dtype=dtype)
    register_converters()
    ((_, kind),) = guess_data_type(X)
    kind.shape = [None, None]
    for model in (small(TwoLayerNet), small(ThreeLayerConvNet), make_pipeline(MeanSubtractor(), small(Softmax))):
        model.fit(X, y)
        onnx_model = skl2onnx.convert_sklearn(
            model, initial_types=[("X", kind)], options={id(model): {"zipmap": False}}, target_opset=18
        )
        assert_equal_predictions(model, onnx_model, X)


@pytest.mark.parametrize(
    "name", ["pipeline", "bagging, features", "stacking", "calibrated, pipelines", "search, pipelines"]
)
def test_sample_that_the_model_refuses(name):
    model, X, _ = fitted(name, TwoLayerNet, 3, "str", "f8")
    with pytest.raises(ValueError, match=r"X has 15 features, but .* is expecting 16 features as input"):
        to_onnx(model, X[:, :15])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        to_onnx(model, np.where(X > 1, np.nan, X))


def test_step_with_several_outputs_is_refused():
    X, y = blobs()
    model = make_pipeline(KMeans(3, n_init=1, random_state=0), small(TwoLayerNet)).fit(X, y)
    with pytest.raises(ValueError, match=r"one array or the columns of a data frame, got inputs of sample shapes"):
        to_onnx(model, X)


# --------------------------------------------------------------------------------------------------------- options


def read_scores(outputs):
    """Return the scores as an array, and the option 'zipmap' that they came with."""
    if isinstance(outputs[1], list):
        return np.array([[row[label] for label in sorted(row)] for row in outputs[1]]), True
    if outputs[1].ndim == 1:
        return np.column_stack(outputs[1:]), "columns"
    return outputs[1], False


ENDS_IN_NET = ["search", "search, pipelines", "pipeline", "pipeline of pipelines", "pipeline, search last"]


def by_name(model, options):
    return options


def by_id(model, options):
    return {id(model): options}


def by_type(model, options):
    return {type(model): options}


@pytest.mark.parametrize("spell", [by_name, by_id, by_type])
@pytest.mark.parametrize("zipmap", [True, False, "columns"])
@pytest.mark.parametrize(
    "name", ["stacking", "voting, hard", "bagging, features", "calibrated, pipelines", *ENDS_IN_NET]
)
def test_zipmap(name, zipmap, spell):
    model, X, more = fitted(name, TwoLayerNet, 3, "str", "f4")
    outputs = run(to_onnx(model, X, options=spell(model, {"zipmap": zipmap})), more)
    scores, found = read_scores(outputs)
    assert found == zipmap
    np.testing.assert_array_equal(outputs[0], model.predict(more))
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(scores, model.predict_proba(more), atol=1e-5)


@pytest.mark.parametrize("spell", [by_name, by_id, by_type])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", ["stacking, a net last", "one versus rest", *ENDS_IN_NET])
def test_scores_in_place_of_probabilities(name, n_classes, spell):
    model, X, more = fitted(name, TwoLayerNet, n_classes, "int", "f4")
    labels, scores = run(to_onnx(model, X, options=spell(model, {"raw_scores": True})), more)
    np.testing.assert_array_equal(labels, model.predict(more))
    np.testing.assert_allclose(scores, scores_by_column(model.decision_function(more)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("spell", [by_name, by_id, by_type])
@pytest.mark.parametrize("name", ENDS_IN_NET)
def test_indices_in_place_of_labels(name, spell):
    model, X, more = fitted(name, TwoLayerNet, 3, "str", "f4")
    indices = run(to_onnx(model, X, options=spell(model, {"nocl": True})), more)[0]
    np.testing.assert_array_equal(model.classes_[indices], model.predict(more))


def test_options_of_a_part():
    X, y = blobs()
    model = scaled(small(TwoLayerNet)).fit(X, y)
    for options in ({id(model[-1]): {"raw_scores": True}}, {TwoLayerNet: {"raw_scores": True}}):
        _, scores = run(to_onnx(model, X, options=options), X)
        np.testing.assert_allclose(scores, model.decision_function(X), atol=1e-5)
    zipped = run(to_onnx(model, X, options={id(model[-1]): {"zipmap": True}}), X)[1]
    assert zipped[0].keys() == {0, 1, 2}
    voting_ = CASES["voting, soft"].make(small(TwoLayerNet)).fit(X, y)
    with pytest.raises(ValueError, match="predicts something else: predict_proba gives other numbers, by up to"):
        to_onnx(voting_, X, options={TwoLayerNet: {"raw_scores": True}})
    with pytest.raises(NameError, match="raw_scores"):
        to_onnx(voting_, X, options={"raw_scores": True})


SEARCHES = [
    RandomizedSearchCV(small(TwoLayerNet), {"random_state": [1]}, n_iter=1, cv=2),
    HalvingGridSearchCV(small(TwoLayerNet), {"random_state": [1, 2]}, cv=2, random_state=0),
    RandomizedSearchCV(scaled(small(TwoLayerNet)), {"twolayernet__random_state": [1]}, n_iter=1, cv=2),
]


@pytest.mark.parametrize("search", SEARCHES, ids=["random", "halving", "pipelines"])
def test_searches_that_skl2onnx_does_not_know(search):
    X, y = blobs(80)
    search = clone(search).fit(X, y)
    assert_equal_predictions(search, to_onnx(search, X), X)
    for spell in (by_name, by_id, by_type):
        zipped = run(to_onnx(search, X, options=spell(search, {"zipmap": True})), X)[1]
        assert zipped[0].keys() == {0, 1, 2}


# -------------------------------------------------------------------------------------------------------- refusals


# Codes are drawn: those that give two classes the same bits everywhere need no net.
UNKNOWN = {
    "ClassifierChain": (ClassifierChain, lambda y: np.eye(2, dtype=int)[y]),
    "FixedThresholdClassifier": (FixedThresholdClassifier, lambda y: y),
    "OutputCodeClassifier": (functools.partial(OutputCodeClassifier, random_state=0), lambda y: y),
    "SelfTrainingClassifier": (SelfTrainingClassifier, lambda y: np.where(np.arange(len(y)) < 4, -1, y)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_meta_estimators_that_skl2onnx_does_not_know_are_refused(name):
    cls, make_targets = UNKNOWN[name]
    X, y = blobs(n_classes=2)
    model = cls(small(TwoLayerNet)).fit(X, make_targets(y))
    with pytest.raises(
        ValueError,
        match=rf"{name} cannot be converted: .* Unable to find a shape calculator for type '<class '.*\.{name}'>'",
    ):
        to_onnx(model, X)


def test_a_model_that_needed_no_net_is_refused_alike():
    """Where targets are constant, meta-estimators do not fit the net that they were given."""
    X, y = blobs(n_classes=2)
    model = OutputCodeClassifier(small(TwoLayerNet), code_size=0.5, random_state=0).fit(X, y)
    assert not any(isinstance(part, TwoLayerNet) for part in model.estimators_)
    with pytest.raises(ValueError, match=r"OutputCodeClassifier cannot be converted: .* Unable to find"):
        to_onnx(model, X)


LARGE = {
    "stacking": [-3, 2**31],
    "voting, soft": [-3, 2**24 + 1],
    "voting, hard": [-(2**40), 1],
    "bagging": [0, 2**40],
    "boosting": [0, 2**40],
    "one versus rest": [-3, 2**24 + 1],
    "calibrated": [-3, 2**40],
    "voting of all kinds": [-3, 2**24 + 1],
}


@pytest.mark.parametrize("name", LARGE)
def test_labels_that_skl2onnx_changes_are_refused(name):
    X, y = blobs(n_classes=2, spread=0.5)
    model = CASES[name].make(small(TwoLayerNet, num_epochs=10, learning_rate=1e-2))
    for labels in (LARGE[name], np.array(LARGE[name], float)):
        model.fit(X, np.asarray(labels)[y])
        with pytest.raises(ValueError, match=r"skl2onnx converts its labels to (int|float)32"):
            to_onnx(model, X[:1])
    model.fit(X, np.array([3, 200], np.uint8)[y])
    with pytest.raises(ValueError, match=r"cannot be converted: skl2onnx .* fails with AttributeError"):
        to_onnx(model, X)


@pytest.mark.parametrize("name", ENDS_IN_NET)
def test_large_labels_of_nets(name):
    X, y = blobs(n_classes=2)
    model = CASES[name].make(small(TwoLayerNet)).fit(X, np.array([-3, 2**40])[y])
    assert_equal_predictions(model, to_onnx(model, X), X)


FAULTY = [
    "calibrated, isotonic",
    "calibrated, temperature",
    "threshold",
    "voting, dropped, weights",
    "voting, weights in a list",
    "voting, flattened",
    "stacking, labels",
    "stacking, scores",
    "bagging, labels",
    "voting, soft",
    "stacking",
]


@pytest.mark.parametrize(
    ("name", "fault"),
    # Not every scikit-learn has every setting.
    [pytest.param(*pair, id=pair[0]) for pair in zip(FAULTY, KNOWN_FAULTS, strict=True) if pair[0] in CASES],
)
def test_known_faults_are_still_there(name, fault, monkeypatch):
    """Once skl2onnx has mended one, its row can go."""
    X, y = blobs(60, n_classes=2, spread=3.0)
    labels = np.array([-3, 2**40]) if name in LARGE else np.arange(2)
    model = CASES[name].make(small(TwoLayerNet)).fit(X, labels[y])
    classes, has_fault, _ = fault
    assert isinstance(model, classes)
    assert has_fault(model)
    monkeypatch.setattr(_onnx_agreement, "KNOWN_FAULTS", [])
    with pytest.raises(ValueError, match="cannot be converted"):
        to_onnx(model, X)


def test_models_without_nets_convert_as_they_do_without():
    X, y = blobs(60, n_classes=2)
    calibrated_ = CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=2).fit(X, y)
    assert run(to_onnx(calibrated_, X), X)[1].shape == (60, 2)
    selector = RFE(LogisticRegression()).fit(X, y)
    assert run(to_onnx(selector, X), X, check_shapes=False)[0].shape == (60, 8)
    with pytest.raises(ValueError, match=r"VotingClassifier cannot be converted.*flatten_transform"):
        to_onnx(VotingClassifier([("a", LogisticRegression())], voting="soft").fit(X, y), X)


# ------------------------------------------------------------------------------------------------------ comparison


def test_what_a_converter_leaves_out_is_noticed(monkeypatch):
    model, X, _ = fitted("stacking, scores", TwoLayerNet, 3, "int", "f4")
    monkeypatch.setattr(onnx, "_wants_scores", lambda scope, container, estimator: False)
    with pytest.raises(ValueError, match=r"StackingClassifier .* predicts something else: predict_proba gives other"):
        to_onnx(model, X)


class Altered(ClassifierMixin, BaseEstimator):
    """A model with other methods."""

    def __init__(self, model, **methods):
        self.model, self.methods = model, methods

    def __getattr__(self, name):
        if name in ("predict", "predict_proba", "decision_function"):
            return self.methods.get(name, getattr(self.model, name))
        raise AttributeError(name)


ALTERATIONS = {
    "labels": ("predict", lambda y: np.where(np.arange(60) == 6, "b", y), "predict gives 1 other labels of 60"),
    "shape of labels": ("predict", lambda y: y[:, None], r"predict gives the shape \(60, 1\), ONNX \(60,\)"),
    "probabilities": (
        "predict_proba",
        lambda p: p + 3 * TOLERANCE,
        "predict_proba gives other numbers, by up to 0.0003",
    ),
    "one probability": (
        "predict_proba",
        lambda p: p + 0.5 * (np.arange(60) == 59)[:, None],
        "other numbers, by up to 0.5",
    ),
    "nan": ("predict_proba", lambda p: np.where(p > 0.5, np.nan, p), "predict_proba gives other numbers"),
    "shape of probabilities": ("predict_proba", lambda p: p[:, :2], r"gives the shape \(60, 2\), ONNX \(60, 3\)"),
    "several outputs": ("predict_proba", lambda p: [p, p], "predict_proba gives 2 arrays, ONNX 1"),
}


@pytest.fixture(scope="module")
def converted():
    X, y = blobs(60, spread=0.1)
    model = scaled(small(TwoLayerNet, num_epochs=20)).fit(X, np.array(["a", "b", "c"])[y])
    return model, to_onnx(model, X), X


@pytest.mark.parametrize("name", ALTERATIONS)
def test_difference_is_an_error(name, converted):
    model, onnx_model, X = converted
    method, alter, message = ALTERATIONS[name]
    check_agreement(Altered(model), onnx_model, X, {})
    altered = Altered(model, **{method: lambda X: alter(getattr(model, method)(X))})
    with pytest.raises(ValueError, match=f"Altered cannot be converted: .*predicts something else: .*{message}"):
        check_agreement(altered, onnx_model, X, {})


def test_rounding_is_no_difference(converted):
    model, onnx_model, X = converted
    check_agreement(Altered(model, predict_proba=lambda X: model.predict_proba(X) + TOLERANCE / 2), onnx_model, X, {})


def test_ties_are_no_difference():
    X, y = blobs()
    model = small(TwoLayerNet).fit(X, y)
    for name in ("W2", "b2"):
        model.params_[name][:] = 0
    onnx_model = model.to_onnx()
    check_agreement(Altered(model, predict=lambda X: model.predict(X) + 1), onnx_model, X, {})
    model.params_["b2"][0] = 1
    with pytest.raises(ValueError, match="50 other labels of 50"):
        check_agreement(Altered(model, predict=lambda X: model.predict(X) + 1), model.to_onnx(), X, {})


def test_rows_that_are_compared(converted):
    model, onnx_model, X = converted
    seen = []

    def predict(X):
        seen.append(X)
        return model.predict(X)

    for n_samples in (0, 1, MAX_ROWS, MAX_ROWS + 1, 5 * MAX_ROWS + 3):
        seen.clear()
        check_agreement(Altered(model, predict=predict), onnx_model, np.resize(X, (n_samples, 16)), {})
        assert [len(rows) for rows in seen] == ([min(n_samples, MAX_ROWS)] if n_samples else [])
    np.testing.assert_array_equal(seen[0], np.resize(X, (n_samples, 16))[:500:5])


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_pipeline(MeanSubtractor(input_shape=(1, 4, 4)), PCA(3)),
        lambda: make_pipeline(MeanSubtractor(input_shape=(1, 4, 4)), RFE(LogisticRegression())),
        lambda: make_union(MeanSubtractor(input_shape=(1, 4, 4)), StandardScaler()),
        lambda: RFE(small(Softmax), importance_getter=lambda net: np.abs(net.params_["W1"]).sum(axis=1)),
        lambda: SelectFromModel(small(Softmax), importance_getter=lambda net: np.abs(net.params_["W1"]).sum(axis=1)),
    ],
    ids=["components", "chosen", "union", "chosen by a net", "columns of a net"],
)
def test_transformers(make):
    X, y = blobs()
    model = make().fit(X, y)
    (found,) = run(to_onnx(model, X), X, check_shapes=False)  # which skl2onnx 1.18 takes from X
    np.testing.assert_allclose(found, model.transform(X), atol=1e-5)


def test_other_kinds_of_models():
    X, y = blobs()
    subtract = MeanSubtractor(input_shape=(1, 4, 4))
    regressor = make_pipeline(subtract, Ridge()).fit(X, y)
    np.testing.assert_allclose(run(to_onnx(regressor, X), X)[0][:, 0], regressor.predict(X), atol=1e-5)
    clusters = make_pipeline(subtract, KMeans(3, n_init=1, random_state=0)).fit(X)
    np.testing.assert_array_equal(run(to_onnx(clusters, X), X)[0], clusters.predict(X))
    other = make_pipeline(MeanSubtractor(input_shape=(1, 4, 4))).fit(X + 1)
    onnx_model = to_onnx(subtract.fit(X), X)
    with pytest.raises(ValueError, match="transform gives other numbers"):
        check_agreement(other, onnx_model, X, {})


def refuse_session(*args, **kwargs):
    raise RuntimeError("operator set not known")


@pytest.mark.parametrize("without", ["not installed", "too old"])
def test_comparison_without_onnxruntime(without, monkeypatch):
    model, X, more = fitted("stacking, scores", TwoLayerNet, 3, "int", "f4")
    boosting, doubles, _ = fitted("boosting", TwoLayerNet, 3, "str", "f8")
    with monkeypatch.context() as patch:
        if without == "not installed":
            patch.setitem(sys.modules, "onnxruntime", None)
        else:
            patch.setattr(onnxruntime, "InferenceSession", refuse_session)
        onnx_model = to_onnx(model, X)
        with pytest.raises(ValueError, match=r"AdaBoostClassifier cannot be converted: .* fails"):
            to_onnx(boosting, doubles)
        with pytest.warns(UserWarning, match=r"StackingClassifier in ONNX was not compared .*: .*ZipMap"):
            to_onnx(model, X, options={"zipmap": True})
        patch.setattr(onnx, "_wants_scores", lambda scope, container, estimator: False)
        with pytest.raises(ValueError, match="predicts something else"):
            to_onnx(model, X)
    assert_equal_predictions(model, onnx_model, more)
