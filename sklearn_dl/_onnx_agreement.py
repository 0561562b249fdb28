"""Refusal of ONNX models whose predictions differ from those of the models that they were converted from.

Meta-estimators and transformers around a net are converted by skl2onnx's own converters, some of which are wrong.
`refuse_known_faults` lists the faults that a few samples may not show; `check_agreement` runs the converted model, in
onnxruntime where that is installed and in onnx's own evaluator otherwise, and compares.
"""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import SelectorMixin
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.pipeline import Pipeline

MAX_ROWS = 100

# Rounding in float32 changes a probability by less, a wrong converter by more.
TOLERANCE = 1e-4


def fitted_parts(model):
    """Yield a fitted model and all fitted estimators that it holds."""
    yield model
    for child in _children(model):
        yield from fitted_parts(child)


def _children(model):
    for part in getattr(model, "calibrated_classifiers_", ()):  # these are not estimators
        yield part.estimator
    for name, value in vars(model).items():
        if name.endswith("_") or name in ("steps", "transformer_list"):
            yield from _find_estimators(value)


def _find_estimators(value):
    if isinstance(value, BaseEstimator):
        yield value
    elif isinstance(value, dict):
        yield from _find_estimators(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _find_estimators(item)


def predicting_parts(model):
    """Return a model and, each within the one before, what predicts for it: last steps and best estimators."""
    parts = [model]
    while isinstance(parts[-1], Pipeline) or hasattr(parts[-1], "best_estimator_"):
        parts.append(parts[-1].steps[-1][1] if isinstance(parts[-1], Pipeline) else parts[-1].best_estimator_)
    return parts


def gives_labels(model):
    """Return whether skl2onnx converts a model to labels and scores."""
    final = predicting_parts(model)[-1]
    return is_classifier(final) and not isinstance(final, SelectorMixin)  # which RFE around a classifier is, too


# ----------------------------------------------------------------------------------------------------- known faults


def refuse_known_faults(model):
    """Raise ValueError if a part of a fitted model is of a kind that skl2onnx is known to convert wrongly."""
    for part in fitted_parts(model):
        for classes, has_fault, fault in KNOWN_FAULTS:
            # Some hold the estimator that they cloned, too, which is not fitted.
            if isinstance(part, classes) and _is_fitted(part) and has_fault(part):
                raise ValueError(f"{type(part).__name__} cannot be converted to ONNX: {fault}.")


def _is_fitted(model):
    return any(name.endswith("_") for name in vars(model))


def _is_isotonic(model):
    return model.method == "isotonic"


def _is_temperature(model):
    return model.method == "temperature"


def _has_threshold(model):
    return True


def _has_weights_of_dropped(model):
    return model.weights is not None and any(part == "drop" for _, part in model.estimators)


def _has_weights_not_in_array(model):
    return model.weights is not None and not isinstance(model.weights, np.ndarray)


def _flattens(model):
    return bool(model.flatten_transform)


def _stacks_labels(model):
    return "predict" in model.stack_method_


def _stacks_scores_of_two_classes(model):
    return "decision_function" in model.stack_method_ and len(model.classes_) == 2


def _counts_labels(model):
    return not hasattr(model.estimators_[0], "predict_proba")


def _has_labels_beyond(limit):
    def has_fault(model):
        labels = np.asarray(model.classes_)
        return labels.dtype.kind in "iuf" and bool(np.any(np.abs(labels.astype(float)) > limit))

    return has_fault


VOTING = VotingClassifier, VotingRegressor

# Of skl2onnx 1.18 to 1.20. The tests fail once skl2onnx no longer has one of them.
KNOWN_FAULTS = [
    (CalibratedClassifierCV, _is_isotonic, "skl2onnx does not interpolate, as method='isotonic' does"),
    (CalibratedClassifierCV, _is_temperature, "skl2onnx does not know method='temperature'"),
    (TunedThresholdClassifierCV, _has_threshold, "skl2onnx leaves out the threshold"),
    (VOTING, _has_weights_of_dropped, "skl2onnx gives the weights of dropped estimators to others"),
    (VOTING, _has_weights_not_in_array, "skl2onnx takes weights only if they are a NumPy array"),
    (VotingClassifier, _flattens, "skl2onnx takes only flatten_transform=False, which leaves predictions as they are"),
    (StackingClassifier, _stacks_labels, "skl2onnx stacks probabilities where scikit-learn stacks what predict gives"),
    (
        StackingClassifier,
        _stacks_scores_of_two_classes,
        "skl2onnx stacks two columns for the decision_function of two classes, scikit-learn one",
    ),
    (BaggingClassifier, _counts_labels, "skl2onnx takes only parts that have predict_proba"),
    (
        (OneVsRestClassifier, VotingClassifier),
        _has_labels_beyond(2**24),
        "skl2onnx converts its labels to float32, which rounds integers above 2**24",
    ),
    (
        (AdaBoostClassifier, BaggingClassifier, CalibratedClassifierCV, OneVsOneClassifier, StackingClassifier),
        _has_labels_beyond(2**31 - 1),
        "skl2onnx converts its labels to int32, which ends at 2**31 - 1",
    ),
]


# ------------------------------------------------------------------------------------------------------- comparison


def check_agreement(model, onnx_model, X, options):
    """Raise ValueError if a converted model does not run, or does not predict what the model predicts.

    Parameters
    ----------
    model : estimator
        The fitted model.
    onnx_model : onnx.ModelProto
        What it was converted to.
    X : ndarray or DataFrame
        Samples, of which up to `MAX_ROWS` are compared, spread evenly.
    options : dict
        The options of what predicts for the model.

    Warns
    -----
    UserWarning
        If onnxruntime is not installed and the evaluator of onnx lacks an operator of the model.
    """
    X = X[:: max(1, len(X) // MAX_ROWS)][:MAX_ROWS]
    if len(X) == 0:
        return
    name = type(model).__name__
    expected = _expect(model, X, options)
    try:
        outputs = _run(onnx_model, X)
    except NotImplementedError as error:
        warnings.warn(f"{name} in ONNX was not compared with {name}, which needs onnxruntime: {error}", stacklevel=3)
        return
    except Exception as error:
        raise ValueError(f"{name} cannot be converted: the ONNX model made of it by skl2onnx fails: {error}") from error
    difference = _compare(expected, outputs)
    if difference:
        raise ValueError(
            f"{name} cannot be converted: the ONNX model made of it by skl2onnx predicts something else: {difference}."
            " Where X is float64, a sample of float32 may do."
            " To convert without this comparison, use skl2onnx.to_onnx after sklearn_dl.onnx.register_converters()."
        )


# ---------------------------------------------------------------------------------------------- what it should give


class _Expected(NamedTuple):
    """What an ONNX model should give: labels, unless it has none, and arrays of numbers from a method of the model."""

    labels: np.ndarray | None
    method: str | None
    arrays: list


def check_sample(model, X):
    """Raise what a model raises if X is not what it was fitted on, which says more than skl2onnx does."""
    if len(X):
        _expect(model, X[:1], {})


def _expect(model, X, options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the caller did not ask for predictions
        return _predict(model, X, options)


def _predict(model, X, options):
    if gives_labels(model):
        method = _score_method(model, options.get("raw_scores", False))
        scores = _as_list(getattr(model, method)(X)) if method else []
        return _Expected(_predict_labels(model, X, options.get("nocl", False)), method, scores)
    final = predicting_parts(model)[-1]
    method = "predict" if hasattr(final, "predict") and not isinstance(final, SelectorMixin) else "transform"
    return _Expected(None, method, [getattr(model, method)(X)])


def _score_method(model, raw_scores):
    """Return the name of the method that gives the scores of a model in ONNX; None if it has none."""
    methods = ("decision_function",) if raw_scores else ("predict_proba", "decision_function")
    return next((method for method in methods if hasattr(model, method)), None)


def _as_list(scores):
    if isinstance(scores, list):
        return scores
    return [np.column_stack([-scores, scores]) if scores.ndim == 1 else scores]


def _predict_labels(model, X, nocl):
    """Return the labels as ONNX has them: int64 or str, with the option 'nocl' their indices."""
    labels = np.asarray(model.predict(X))
    if nocl:
        labels = _find_indices(labels, model.classes_)
    return labels.astype(np.int64 if labels.dtype.kind in "biuf" else str)


def _find_indices(labels, classes):
    if isinstance(classes, list):
        return np.column_stack([np.searchsorted(*pair) for pair in zip(classes, labels.T, strict=True)])
    return labels if labels.ndim > 1 else np.searchsorted(classes, labels)  # indicators of several labels


# ------------------------------------------------------------------------------------------------ running the model


def _run(onnx_model, X):
    """Return the outputs of an ONNX model."""
    # Column by column: skl2onnx replaces some characters in their names.
    arrays = [X[[name]].to_numpy() for name in X.columns] if hasattr(X, "columns") else [X]
    inputs = onnx_model.graph.input
    feeds = {x.name: _as_input(array, x.type.tensor_type) for array, x in zip(arrays, inputs, strict=True)}
    try:
        import onnxruntime
    except ImportError:
        return _evaluate(onnx_model, feeds)
    try:
        _open_session(onnxruntime, _make_identity(onnx_model))
    except Exception:  # the operator sets are newer than onnxruntime
        return _evaluate(onnx_model, feeds)
    return _open_session(onnxruntime, onnx_model).run(None, feeds)


def _as_input(array, tensor_type):
    from onnx import TensorProto
    from onnx.helper import tensor_dtype_to_np_dtype

    if tensor_type.elem_type == TensorProto.STRING:
        return array.astype(str).astype(object)
    return np.ascontiguousarray(array, tensor_dtype_to_np_dtype(tensor_type.elem_type))


def _open_session(onnxruntime, onnx_model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(onnx_model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _make_identity(onnx_model):
    """Return a model that any runtime opens that knows the operator sets of another."""
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y])
    return helper.make_model(graph, opset_imports=onnx_model.opset_import, ir_version=onnx_model.ir_version)


def _evaluate(onnx_model, feeds):
    from onnx.reference import ReferenceEvaluator
    from onnx.shape_inference import infer_shapes

    infer_shapes(onnx_model, check_type=True)  # raises for types that do not fit, which the evaluator takes
    return ReferenceEvaluator(onnx_model).run(None, feeds)


# ---------------------------------------------------------------------------------------- comparison of the outputs
# Each _compare returns what differs, in words, or None.


def _compare(expected, outputs):
    if expected.labels is None:
        return _compare_arrays(expected.method, outputs[:1], expected.arrays, expected.method == "predict")
    difference = expected.method and _compare_arrays(expected.method, _read_scores(outputs), expected.arrays)
    return difference or _compare_labels(outputs[0], expected.labels, expected.method, expected.arrays)


def _read_scores(outputs):
    """Return the scores (n, n_classes) of each output of a classifier, in whatever form 'zipmap' has put them."""
    scores = outputs[1]
    if not isinstance(scores, list):
        return [scores if scores.ndim > 1 else np.column_stack(outputs[1:])]
    if isinstance(scores[0], dict):
        return [np.array([[row[label] for label in sorted(row)] for row in scores])]
    return scores


def _compare_arrays(method, found, expected, have_unit=False):
    if len(found) != len(expected):
        return f"{method} gives {len(expected)} arrays, ONNX {len(found)}"
    differences = (_compare_numbers(method, *pair, have_unit) for pair in zip(found, expected, strict=True))
    return next(filter(None, differences), None)


def _compare_numbers(method, found, expected, have_unit):
    found = np.asarray(found, float)
    expected = np.asarray(expected.toarray() if hasattr(expected, "toarray") else expected, float)
    if found.shape == (*expected.shape, 1):
        found = found[..., 0]
    if found.shape != expected.shape:
        return f"{method} gives the shape {expected.shape}, ONNX {found.shape}"
    # Quantities may be in thousandths or in millions, each output in its own unit.
    size = np.abs(expected).max(axis=0, initial=0) if have_unit else 1.0
    if np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE * size, equal_nan=True):
        return None
    return f"{method} gives other numbers, by up to {np.nanmax(np.abs(found - expected)):.2g}"


def _compare_labels(found, expected, method, scores):
    if found.shape != expected.shape:
        return f"predict gives the shape {expected.shape}, ONNX {found.shape}"
    wrong = found.astype(str) != expected.astype(str)
    if len(scores) == 1 and wrong.ndim == 1:
        wrong &= ~_are_ties(scores[0])
    elif len(scores) == 1 and scores[0].shape == wrong.shape:
        wrong &= ~_are_halves(method, scores[0])
    return f"predict gives {np.sum(wrong)} other labels of {wrong.size}" if wrong.any() else None


def _are_ties(scores):
    """Return for each row whether rounding may decide which of its classes is the first."""
    return np.ptp(np.sort(scores, axis=1)[:, -2:], axis=1) <= TOLERANCE


def _are_halves(method, scores):
    """Return for each of several labels whether rounding may decide whether a sample has it."""
    return np.abs(scores - (0.5 if method == "predict_proba" else 0.0)) <= TOLERANCE
