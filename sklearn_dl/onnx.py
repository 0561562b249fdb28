"""Export to ONNX: nets, transformers and the pipelines they stand in, to run without Python or this package.

`to_onnx` converts any fitted estimator or pipeline; each estimator has it as a method, too. skl2onnx does the
conversion, with the converters that `register_converters` teaches it. A net is translated layer by layer, by the
``to_onnx`` of each.

onnx and skl2onnx are imported when something is converted: ``pip install "sklearn_dl[onnx]"``.
"""

import math

import numpy as np
from scipy.sparse import issparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted

from sklearn_dl._base import BaseNet
from sklearn_dl._checks import check_int
from sklearn_dl._classifier import BaseNetClassifier
from sklearn_dl._estimator_inputs import check_image_shape
from sklearn_dl._onnx_agreement import (
    check_agreement,
    check_sample,
    fitted_parts,
    gives_labels,
    predicting_parts,
    refuse_known_faults,
)
from sklearn_dl.layers._registry import LAYERS
from sklearn_dl.persistence import _estimator_classes
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor

__all__ = ["DEFAULT_OPSET", "LOWEST_OPSET", "register_converters", "to_onnx"]

DEFAULT_OPSET = 18
LOWEST_OPSET = 13

_INPUT_DTYPES = [np.dtype(kind) for kind in ("f4", "f8", "i1", "i4", "i8", "u1", "?")]

_OWN = (BaseNet, ImageReshaper, MeanSubtractor)

ZIPMAPS = ("SklearnZipMap", "SklearnZipMapColumns")

_CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [True, False],
    "raw_scores": [True, False],
}


def _import_skl2onnx():
    try:
        import onnx  # noqa: F401
        import skl2onnx
    except ImportError as error:
        raise ImportError('ONNX export requires onnx and skl2onnx: pip install "sklearn_dl[onnx]".') from error
    return skl2onnx


def to_onnx(model, X=None, *, options=None, target_opset=None):
    """Convert a fitted estimator or pipeline to an ONNX model.

    Parameters
    ----------
    model : estimator
        A classifier, regressor or transformer of this package, or a pipeline, search or other meta-estimator that
        skl2onnx knows, with such in it.
    X : ndarray, sparse matrix or DataFrame, default=None
        Samples as the model will be given them (dense: it takes no sparse ones). The first one gives the dtype and the
        shape. If `model` is a pipeline or another meta-estimator, predictions are compared on up to 100 of them, spread
        evenly: give some dozens. An array makes one input ``X`` of any number of rows, a pandas DataFrame one input for
        each column. None, for a net of this package only, is rows ``(n, n_features_in_)`` in the dtype that the net
        computes in.
    options : dict, default=None
        Options of skl2onnx's converters, such as ``{"zipmap": False}``, ``{"net__raw_scores": True}``,
        ``{id(net): {"nocl": True}}`` or ``{TwoLayerNet: {"nocl": True}}``. Those of a pipeline or search hold for the
        classifier that it ends in, too. See Notes.
    target_opset : int or dict, default=None
        Version of the ONNX operator set, from `LOWEST_OPSET`, 13, to what the installed skl2onnx knows. None is
        `DEFAULT_OPSET`, 18, which runs in onnxruntime 1.18 and later. A dict gives the version of each operator domain,
        such as ``{"": 18, "ai.onnx.ml": 3}``.

    Returns
    -------
    onnx_model : onnx.ModelProto
        Of a classifier, with the outputs ``label`` (n,) and ``probabilities`` (n, n_classes), whose columns are in the
        order of `classes_`; of several labels, both are (n, n_labels). Of a regressor, with the output ``variable``
        (n, n_outputs), which is (n, 1) for a single one. ``onnx.save(onnx_model, path)`` writes it to a file.

    Raises
    ------
    ImportError
        If onnx or skl2onnx is not installed.
    sklearn.exceptions.NotFittedError
        If `model` is not fitted.
    TypeError, ValueError
        If an argument is not as described, X does not have the features that the model was fitted on, or a net has a
        layer that cannot be converted; ValueError, too, if skl2onnx does not convert a part of the model, or not
        so that the ONNX model predicts the same.

    Warns
    -----
    UserWarning
        If the ONNX model of a meta-estimator could not be run, and so was not compared: onnxruntime is not installed,
        and onnx's own evaluator lacks an operator.

    See Also
    --------
    register_converters : For skl2onnx's own ``to_onnx`` and ``convert_sklearn``.

    Notes
    -----
    A net computes in its own dtype in ONNX, too; dropout is off, and batch normalization uses the running statistics.
    Probabilities, and what a regressor predicts, are double for double X and float for everything else. Labels are
    int64, also those of bool and float classes, or strings. An ONNX model does not check X: it takes nan, for example,
    which `predict` refuses.

    Unlike skl2onnx, this function takes the option `zipmap` to be False unless told otherwise. With True, probabilities
    are a list of dicts, which ONNX does not have for double X. With `raw_scores`, `decision_function` takes the place
    of the probabilities, in two columns ``-s, s`` for two classes; with ``loss='hinge'``, it always does.

    What stands around a net is converted by skl2onnx's own converters, some of which are wrong. The result is therefore
    run, in onnxruntime or else in onnx's own evaluator, and refused unless labels are equal and other numbers agree
    within 1e-4, relative or absolute; what regressors predict within 1e-4 of each output's largest. Settings that
    skl2onnx is known to convert wrongly are refused whatever X is: isotonic calibration and tuned thresholds, for
    example. To convert without any of this, call `register_converters`, then ``skl2onnx.to_onnx``. Of a search other
    than GridSearchCV, the best estimator is converted.

    onnxruntime has no convolution in double: that of a float64 net is written as gathering and a matrix product,
    which needs ``filter_size ** 2`` times the memory of the images.

    Examples
    --------
    >>> import numpy as np
    >>> from onnxruntime import InferenceSession
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_dl import TwoLayerNet
    >>> from sklearn_dl.onnx import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> X = X.astype(np.float32)
    >>> model = make_pipeline(StandardScaler(), TwoLayerNet(random_state=0)).fit(X, y)
    >>> session = InferenceSession(to_onnx(model, X).SerializeToString())
    >>> labels, probabilities = session.run(None, {"X": X})
    >>> bool((labels == model.predict(X)).all()), probabilities.shape
    (True, (150, 3))
    """
    skl2onnx = _import_skl2onnx()
    register_converters()
    if target_opset is None:
        target_opset = DEFAULT_OPSET
    if not isinstance(target_opset, dict):
        _check_opset(target_opset)
    if not (options is None or isinstance(options, dict)):
        raise TypeError(f"options must be a dict or None, got {options!r}.")
    check_is_fitted(model)
    if X is None:
        if not isinstance(model, BaseNet):
            raise ValueError(f"X is None: a sample must be given to convert a {type(model).__name__}.")
        X = np.zeros((1, model.n_features_in_), model._net.dtype)
    elif not hasattr(X, "columns"):
        X = _some_dense_rows(X) if issparse(X) else np.asarray(X)
        if X.dtype.kind in "biuf" and X.dtype not in _INPUT_DTYPES:
            accepted = ", ".join(dtype.name for dtype in _INPUT_DTYPES)
            raise TypeError(f"X must have a dtype that skl2onnx takes for an input, {accepted}, got {X.dtype}.")
    model, options = _unwrap_search(model, options or {})
    # Not one empty dict: skl2onnx would share it among objects that change it.
    options = _share_options(model, _by_key(model, options)) or None
    if isinstance(model, _OWN) or not any(isinstance(part, _OWN) for part in fitted_parts(model)):
        return _convert(skl2onnx, model, X[:1], options, target_opset)
    refuse_known_faults(model)
    check_sample(model, X)
    onnx_model = _convert(skl2onnx, model, X[:1], options, target_opset)
    check_agreement(model, onnx_model, X, (options or {}).get(id(predicting_parts(model)[-1]), {}))
    return onnx_model


def _some_dense_rows(X):
    """Return the rows of a sparse matrix that are compared; ONNX models take dense ones."""
    return X.tocsr()[np.linspace(0, X.shape[0] - 1, min(X.shape[0], 100)).astype(np.intp)].toarray()


def _unwrap_search(model, options):
    """Return a search's best estimator, with the options of the search, unless skl2onnx knows the search itself."""
    if not hasattr(model, "best_estimator_") and hasattr(model, "cv_results_"):
        raise ValueError(f"{type(model).__name__} cannot be converted: with refit=False it has no best_estimator_.")
    if type(model) is GridSearchCV or not hasattr(model, "best_estimator_"):
        return model, options
    best = model.best_estimator_
    own_keys = (id(model), type(model))
    return best, {id(best) if key in own_keys else key: value for key, value in options.items()}


def _by_key(model, options):
    """Return options by the id or the type of estimators, which skl2onnx does not take together with names."""
    if not any(isinstance(key, str) for key in options):
        return options
    from skl2onnx.common.utils_sklearn import _process_options

    return {key: value for key, value in _process_options(model, options).items() if not isinstance(key, str)}


def _share_options(model, options):
    """Give a model and what predicts for it the same options of classifiers, with 'zipmap' False unless it is set.

    skl2onnx hands some from a pipeline to its last step, and drops others.
    """
    if not gives_labels(model):
        return options
    parts = predicting_parts(model)
    own = [{**options.get(type(part), {}), **options.get(id(part), {})} for part in parts]
    told = {name: value for part in own for name, value in part.items() if name in _CLASSIFIER_OPTIONS}
    shared = {"zipmap": False, **told}
    return {**options, **{id(part): {**part_options, **shared} for part, part_options in zip(parts, own, strict=True)}}


def _convert(skl2onnx, model, sample, options, target_opset):
    """Convert a model. Errors from inside skl2onnx do not always say that it cannot."""
    try:
        return skl2onnx.to_onnx(model, sample, options=options, target_opset=target_opset)
    except (TypeError, ValueError, NameError):  # of the input, of the net, of the options
        raise
    except Exception as error:
        raise ValueError(
            f"{type(model).__name__} cannot be converted: skl2onnx {skl2onnx.__version__} fails with"
            f" {type(error).__name__}: {error}"
        ) from error


def register_converters():
    """Teach skl2onnx to convert the estimators and transformers of this package.

    After this, ``skl2onnx.to_onnx`` and ``skl2onnx.convert_sklearn`` take them, alone and within pipelines and other
    meta-estimators, classifiers with the options 'zipmap', 'nocl', 'output_class_labels' and 'raw_scores'. These
    functions do not compare predictions as `to_onnx` does, which calls this one by itself.

    Raises
    ------
    ImportError
        If onnx or skl2onnx is not installed.

    See Also
    --------
    to_onnx : Registers and converts.

    Examples
    --------
    >>> import numpy as np
    >>> import skl2onnx
    >>> from sklearn_dl import Softmax
    >>> from sklearn_dl.onnx import register_converters
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32), [0, 0, 1, 1]
    >>> register_converters()
    >>> onnx_model = skl2onnx.to_onnx(Softmax(random_state=0).fit(X, y), X[:1], options={"zipmap": False})
    >>> [output.name for output in onnx_model.graph.output]
    ['label', 'probabilities']
    """
    register = _import_skl2onnx().update_registered_converter
    for name, cls in _estimator_classes().items():
        if issubclass(cls, BaseNetClassifier):
            register(cls, f"SklearnDl{name}", _set_classifier_types, _convert_classifier, options=_CLASSIFIER_OPTIONS)
        else:
            register(cls, f"SklearnDl{name}", _set_regressor_type, _convert_regressor)
    register(MeanSubtractor, "SklearnDlMeanSubtractor", _set_difference_type, _convert_mean_subtractor)
    register(ImageReshaper, "SklearnDlImageReshaper", _set_layout_type, _convert_image_reshaper)


def _check_opset(version):
    """Return the version of the operator set, if it is one that the converters write."""
    return check_int("target_opset", version, low=LOWEST_OPSET)


class _Graph:
    """Adds nodes and constants to a skl2onnx container, under names of their own."""

    def __init__(self, scope, container):
        self.opset = _check_opset(container.target_opset_onnx)
        self._scope = scope
        self._container = container

    def add(self, op, *inputs, output=None, **attributes):
        """Add an operator; return the name of its output, a new one unless given."""
        output = output or self._scope.get_unique_variable_name(op.lower())
        name = self._scope.get_unique_operator_name(op)
        self._container.add_node(op, list(inputs), [output], name=name, **attributes)
        return output

    def constant(self, values):
        """Add an array of numbers or of str; return its name."""
        values = np.asarray(values)
        name = self._scope.get_unique_variable_name("constant")
        content = values.ravel() if values.dtype.kind in "biuf" else [str(value).encode() for value in values.flat]
        self._container.add_initializer(name, _element_type(values.dtype), values.shape, content)
        return name

    def cast(self, x, dtype, *, output=None):
        """Add a cast to a NumPy dtype."""
        return self.add("Cast", x, output=output, to=_element_type(dtype))

    def reshape(self, x, shape):
        """Give each sample this shape."""
        return self.add("Reshape", x, self.constant(np.array([0, *shape], np.int64)))

    def mean(self, x, axis):
        """Add the mean over one axis, which stays, of length 1."""
        if self.opset < 18:
            return self.add("ReduceMean", x, axes=[axis], keepdims=1)
        return self.add("ReduceMean", x, self.constant(np.array([axis], np.int64)), keepdims=1)


def _element_type(dtype):
    """Return ONNX's number of a NumPy dtype."""
    from onnx import TensorProto
    from onnx.helper import np_dtype_to_tensor_dtype

    dtype = np.dtype(dtype)
    return np_dtype_to_tensor_dtype(dtype) if dtype.kind in "biuf" else TensorProto.STRING


def _numpy_dtype(variable):
    """Return the NumPy dtype of a variable of skl2onnx that holds numbers."""
    from onnx.helper import tensor_dtype_to_np_dtype

    dtype = tensor_dtype_to_np_dtype(variable.type.to_onnx_type().tensor_type.elem_type)
    if dtype.kind not in "biuf":
        raise TypeError(f"X must hold numbers, got {variable.type}.")
    return dtype


def _sample_shape(operator):
    """Return the shape of one sample that an operator gets."""
    shapes = [tuple(variable.type.shape or (None, None))[1:] for variable in operator.inputs]
    if len(shapes) > 1 and any(len(shape) != 1 for shape in shapes):
        raise ValueError(f"X must be one array or the columns of a data frame, got inputs of sample shapes {shapes}.")
    if any(_is_undeclared(*pair) for pair in zip(operator.inputs, shapes, strict=True)):
        return (operator.raw_operator.n_features_in_,)
    shape = shapes[0] if len(shapes) == 1 else (sum(shape[0] for shape in shapes),)
    if None in shape:
        raise ValueError(f"X must have samples of known shape, got {shape}.")
    return shape


def _is_undeclared(variable, shape):
    """Return whether the width of rows is not known, or not to be relied upon.

    What lies between has no shape from most meta-estimators, no width from some transformers and a wrong one from the
    feature selection of skl2onnx 1.18.
    """
    return len(shape) == 1 and (shape[0] is None or not variable.is_root)


def _read_input(graph, operator, dtype):
    """Return the name of all that an operator gets in one array of this dtype."""
    columns = [graph.cast(variable.full_name, dtype) for variable in operator.inputs]
    return columns[0] if len(columns) == 1 else graph.add("Concat", *columns, axis=1)


def _translate(graph, net, x, shape):
    """Add the layers of a net; return the name of the scores."""
    arrays = {**net.params, **net.statistics}
    if shape != net.input_shape:
        x, shape = graph.reshape(x, net.input_shape), net.input_shape
    for layer in net.layers:
        # Not an inherited method: a subclass may compute something else.
        if "to_onnx" not in vars(type(layer)):
            known = ", ".join(sorted(LAYERS))
            raise ValueError(
                f"A layer {type(layer).__name__} cannot be converted to ONNX; known are {known}, and layers whose class"
                " defines to_onnx."
            )
        x, shape = layer.to_onnx(graph, arrays, x, shape)
    return x


# -------------------------------------------------------------------------------------------------- converters
# What skl2onnx calls: the types of an operator's outputs first, then the nodes that compute them.


def _set_classifier_types(operator):
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    estimator = operator.raw_operator
    _check_samples(operator)
    n_rows = operator.inputs[0].get_first_dimension()
    labels = _labels(operator.scope_inst, estimator)
    kind = Int64TensorType if labels.dtype.kind == "i" else StringTensorType
    label, probabilities = operator.outputs
    label.set_type(kind([n_rows, len(labels)] if estimator._is_multilabel else [n_rows]))
    _set_real_type(probabilities, [n_rows, len(labels)])
    zipped = any(reader.type in ZIPMAPS for reader in probabilities.operators_inputs_)
    if zipped and estimator._is_multilabel:
        raise ValueError("The option zipmap needs one label for each sample, and y had several: set it to False.")
    if _numpy_dtype(probabilities) == np.float64 and any(
        reader.type == "SklearnZipMap" for reader in probabilities.operators_inputs_
    ):
        raise ValueError(
            'The option zipmap=True needs float X, not double: ONNX has no dicts of doubles. Set {"zipmap": False}.'
        )


def _set_regressor_type(operator):
    _check_samples(operator)
    (variable,) = operator.outputs
    _set_real_type(variable, [operator.inputs[0].get_first_dimension(), len(operator.raw_operator.y_scale_)])


def _check_samples(operator):
    """Raise ValueError unless samples have the shape, and TypeError unless the type, that a net takes."""
    estimator = operator.raw_operator
    shape = _sample_shape(operator)
    if len(shape) not in (1, 3) or math.prod(shape) != estimator.n_features_in_:
        raise ValueError(
            f"X must be rows of {estimator.n_features_in_} features or images of as many pixels, as"
            f" {type(estimator).__name__} was fitted on, got samples of shape {shape}."
        )
    check_image_shape(estimator, shape if len(shape) == 3 else None)
    _input_dtype(operator)  # raises for strings


def _set_real_type(variable, shape):
    """Make an output double where it has been declared so, as for double X, and float elsewhere."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    # Converters of meta-estimators declare the type of X, which may be one of integers.
    kind = DoubleTensorType if isinstance(variable.type, DoubleTensorType) else FloatTensorType
    variable.set_type(kind(shape))


def _labels(scope, estimator):
    """Return the labels as ONNX can give them: int64 or str."""
    from skl2onnx.common.utils_classifier import get_label_classes

    classes = get_label_classes(scope, estimator)
    if classes.dtype.kind not in "biuf":
        return classes.astype(str)
    labels = classes.astype(np.int64)
    if not np.array_equal(labels, classes):
        raise ValueError(f"Labels in ONNX are int64 or strings, got the classes {classes}.")
    return labels


def _convert_classifier(scope, operator, container):
    estimator = operator.raw_operator
    net = estimator._net
    graph = _Graph(scope, container)
    scores = _add_net(graph, operator)
    label, probabilities = operator.outputs
    if estimator._is_multilabel:
        positive = graph.add("Greater", scores, graph.constant(np.zeros(1, net.dtype)))
        graph.cast(positive, np.int64, output=label.full_name)
    else:
        best = graph.add("ArgMax", scores, axis=1, keepdims=0)
        graph.add("Gather", graph.constant(_labels(scope, estimator)), best, output=label.full_name)
    dtype = _numpy_dtype(probabilities)
    if net.head.link != "identity" and not _wants_scores(scope, container, estimator):
        precise = graph.cast(scores, np.result_type(dtype, net.dtype))
        result = graph.add("Sigmoid", precise) if estimator._is_multilabel else graph.add("Softmax", precise, axis=1)
    elif net.num_classes == 2 and not estimator._is_multilabel:
        # skl2onnx's convention, on which its CalibratedClassifierCV relies.
        result = graph.add("MatMul", scores, graph.constant(np.array([[1, -1], [-1, 1]], net.dtype)))
    else:
        result = scores
    graph.cast(result, dtype, output=probabilities.full_name)


def _convert_regressor(scope, operator, container):
    estimator = operator.raw_operator
    graph = _Graph(scope, container)
    # In double, as predict: the mean may be many times the scale.
    scores = graph.cast(_add_net(graph, operator), np.float64)
    if estimator._net.head.link == "exp":
        scores = graph.add("Exp", scores)
    scaled = graph.add("Mul", scores, graph.constant(estimator.y_scale_))
    quantities = graph.add("Add", scaled, graph.constant(estimator.y_mean_))
    (variable,) = operator.outputs
    graph.cast(quantities, _numpy_dtype(variable), output=variable.full_name)


def _add_net(graph, operator):
    """Add an estimator's net; return the name of its scores."""
    net = operator.raw_operator._net
    return _translate(graph, net, _read_input(graph, operator, net.dtype), _sample_shape(operator))


def _wants_scores(scope, container, estimator):
    """Return whether `decision_function` takes the place of the probabilities.

    The option 'raw_scores' may have been given to the estimator or to a pipeline or search that ends in it, by the user
    or by the converter of a meta-estimator. skl2onnx hands it on to the last step of a pipeline at the top only.
    """
    models = [operator.raw_operator for operator in scope.operators.values()]
    asked = (_has_raw_scores(scope, container, model) for model in models if predicting_parts(model)[-1] is estimator)
    return any(asked) or any(
        predicting_parts(part)[-1] is estimator for model in models for part in _scored_parts(model)
    )


def _has_raw_scores(scope, container, model):
    # Converters set options on the container, parsers on the scope.
    for source in (container, scope):
        options = source.get_options(model, fail=False) or {}
        if "raw_scores" in options:
            return options["raw_scores"]
    return False


def _scored_parts(model):
    """Return the parts of a meta-estimator whose `decision_function` it calls.

    Their converters set 'raw_scores' on parts that have this option, which searches have not.
    """
    if isinstance(model, CalibratedClassifierCV):
        return [part.estimator for part in model.calibrated_classifiers_]
    if isinstance(model, StackingClassifier):
        pairs = zip(model.estimators_, model.stack_method_, strict=True)
        return [part for part, method in pairs if method == "decision_function"]
    return []


def _tensor_type(operator, dtype, sample_shape):
    from skl2onnx.common.data_types import guess_data_type

    n_rows = operator.inputs[0].get_first_dimension()
    ((_, kind),) = guess_data_type(np.empty((0, *sample_shape), dtype))
    kind.shape = [n_rows, *sample_shape]
    return kind


def _input_dtype(operator):
    return np.result_type(*(_numpy_dtype(variable) for variable in operator.inputs))


def _set_difference_type(operator):
    shape = _sample_shape(operator)
    operator.raw_operator._check_features(np.empty((0, *shape)), ("rows", "NCHW"))
    dtype = np.float64 if _input_dtype(operator) == np.float64 else np.float32
    operator.outputs[0].set_type(_tensor_type(operator, dtype, shape))


def _convert_mean_subtractor(scope, operator, container):
    model = operator.raw_operator
    graph = _Graph(scope, container)
    # The precisions of MeanSubtractor.transform.
    dtype = np.result_type(_input_dtype(operator), np.float32)
    mean = np.repeat(model.mean_, model.n_features_in_ // len(model.mean_)).astype(dtype)
    x = _read_input(graph, operator, dtype)
    difference = graph.add("Sub", x, graph.constant(mean.reshape(_sample_shape(operator))))
    (output,) = operator.outputs
    graph.cast(difference, _numpy_dtype(output), output=output.full_name)


def _set_layout_type(operator):
    model = operator.raw_operator
    model._check_features(np.empty((0, *_sample_shape(operator))), (model.input_layout,))
    channels, height, width = model.input_shape_
    shape = {
        "rows": (model.n_features_in_,),
        "NCHW": (channels, height, width),
        "NHWC": (height, width, channels),
    }[model.output_layout]
    operator.outputs[0].set_type(_tensor_type(operator, _input_dtype(operator), shape))


def _convert_image_reshaper(scope, operator, container):
    model = operator.raw_operator
    graph = _Graph(scope, container)
    x = _read_input(graph, operator, _input_dtype(operator))
    if model.input_layout == "NHWC":
        x = graph.add("Transpose", x, perm=[0, 3, 1, 2])
    elif model.input_layout == "rows":
        x = graph.reshape(x, model.input_shape_)
    if model.output_layout == "NHWC":
        x = graph.add("Transpose", x, perm=[0, 2, 3, 1])
    elif model.output_layout == "rows":
        x = graph.add("Flatten", x, axis=1)
    graph.add("Identity", x, output=operator.outputs[0].full_name)
