"""Docstrings of everything public: numpydoc's checks, scikit-learn's, and that one thing is told in one way."""

import importlib
import inspect
import pkgutil
import re
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import validate
from sklearn.utils._testing import assert_docstring_consistency, check_docstring_parameters

import sklearn_dl
from sklearn_dl import inspection, layers, losses, nets, optim, schedules
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor

from ._estimators import ESTIMATORS, blobs, each_estimator, small

# What is not asked for: where the quotes stand (GL01, GL02), returned values without a name (RT02), a second paragraph
# (ES01), other things to see (SA01).
NOT_ASKED = {"GL01", "GL02", "RT02", "ES01", "SA01"}
# Methods of layer objects, which the docstring of sklearn_dl.nets.layers describes for all of them.
CONTRACT = ("build", "forward", "backward", "to_onnx")
# Modules whose names do not begin with an underscore, and whose contents are sklearn_dl's own or inner parts.
ELSEWHERE = {"convnet", "fully_connected", "linear", "training"}


def public_modules():
    """Return the modules that the reference lists."""
    names = [m.name for m in pkgutil.iter_modules(sklearn_dl.__path__) if m.name[0] != "_" and m.name not in ELSEWHERE]
    return [
        sklearn_dl,
        *(importlib.import_module(f"sklearn_dl.{name}") for name in [*names, "nets.layers", "nets.heads"]),
    ]


def public_objects():
    """Return public classes and functions by their paths."""
    found = {}
    for module in public_modules():
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        for name in getattr(module, "__all__", own):
            value = getattr(module, name)
            if name[0] != "_" and (inspect.isclass(value) or inspect.isfunction(value)):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


def members(cls):
    """Return the public methods and properties of a class that are from this package, by name."""
    found = {}
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        member = getattr(member, "fn", member)  # of available_if
        inner = getattr(member, "__func__", member)
        inner = inner.fget if isinstance(inner, property) else getattr(inner, "func", inner)
        is_callable = inspect.isfunction(inspect.unwrap(inner)) if callable(inner) else False
        if name[0] != "_" and is_callable and inspect.unwrap(inner).__module__.startswith("sklearn_dl."):
            found[name] = member
    return found


OBJECTS = public_objects()
CLASSES = {path: value for path, value in OBJECTS.items() if inspect.isclass(value)}
MEMBERS = {f"{path}.{name}": member for path, cls in CLASSES.items() for name, member in members(cls).items()}
DESCRIPTORS = (property, cached_property)


def is_documented_by_its_class(path):
    """Return whether a property's class lists it among the attributes; a docstring of its own is then not asked for."""
    path, _, name = path.rpartition(".")
    return name in documented_attributes(CLASSES[path])


def told_by_a_base(path):
    """Return whether a base of a method's class says what it takes and returns: an override need not say it again."""
    path, _, name = path.rpartition(".")
    if name in CONTRACT and issubclass(CLASSES[path], nets.layers.Layer):
        return True
    bases = [vars(base).get(name) for base in CLASSES[path].__mro__[1:]]
    docs = [FunctionDoc(method) for method in bases if inspect.isfunction(method)]
    return any(doc["Parameters"] or doc["Returns"] for doc in docs)


def inherits_its_docstring(path):
    """Return whether a method of a head has none of its own, and that of `Head` describes it."""
    path, _, name = path.rpartition(".")
    head = nets.heads.Head
    return (
        issubclass(CLASSES[path], head) and not MEMBERS[f"{path}.{name}"].__doc__ and bool(getattr(head, name).__doc__)
    )


def unasked(path):
    """Return the codes that do not matter for this name."""
    if path in OBJECTS:
        return NOT_ASKED
    if isinstance(MEMBERS[path], DESCRIPTORS):
        return NOT_ASKED | {"EX01", "PR02", "GL08"}
    told = {"PR01", "RT01"} if told_by_a_base(path) and not parameters(path) else set()
    return NOT_ASKED | {"EX01"} | told | ({"GL08"} if inherits_its_docstring(path) else set())


@pytest.mark.parametrize("path", [*OBJECTS, *MEMBERS])
def test_numpydoc_finds_no_fault(path):
    if isinstance(MEMBERS.get(path), DESCRIPTORS) and is_documented_by_its_class(path):
        return
    faults = [f"{code}: {text}" for code, text in validate(path)["errors"] if code not in unasked(path)]
    assert faults == []


API = Path(__file__).resolve().parent.parent / "docs" / "api.rst"


@pytest.mark.skipif(not API.exists(), reason="the documentation's files are not part of an installation")
def test_modules_are_those_of_the_reference():
    listed = re.findall(r"^   (sklearn_dl[\w.]*)$", API.read_text(encoding="utf-8"), re.MULTILINE)
    assert {module.__name__ for module in public_modules()} == set(listed)


@pytest.mark.parametrize("method", CONTRACT)
def test_contract_of_layers_names_the_arguments(method):
    for cls in vars(nets.layers).values():
        if inspect.isclass(cls) and issubclass(cls, nets.layers.Layer) and hasattr(cls, method):
            arguments = re.search(rf"``{method}\((.*?)\)``", nets.layers.__doc__).group(1)
            assert re.findall(r"\w+", arguments) == list(inspect.signature(getattr(cls, method)).parameters)[1:]


def test_names_are_found():
    assert len(OBJECTS) > 80
    assert len(MEMBERS) > 100
    assert {"sklearn_dl.linear.Softmax", "sklearn_dl.losses.softmax_loss", "sklearn_dl.solver.Solver"} <= set(OBJECTS)
    wanted = {
        "sklearn_dl.linear.Softmax.fit",
        "sklearn_dl.linear.Softmax.load",
        "sklearn_dl.nets.net.Net.reg",
        "sklearn_dl.preprocessing.MeanSubtractor.transform",
    }
    assert wanted <= set(MEMBERS)


@pytest.mark.parametrize("path", [*OBJECTS, *MEMBERS])
def test_parameters_are_those_of_the_signature(path):
    """scikit-learn's check: all documented, in the order of the signature."""
    value = OBJECTS.get(path, MEMBERS.get(path))
    if isinstance(value, DESCRIPTORS):
        return
    value = getattr(value, "__func__", value)
    if inspect.isclass(value):
        if "__init__" in vars(value):
            assert check_docstring_parameters(value.__init__, ClassDoc(value)) == []
    else:
        assert check_docstring_parameters(value) == []


def parameters(path):
    value = OBJECTS.get(path, MEMBERS.get(path))
    value = getattr(value, "__func__", value)
    return (
        []
        if isinstance(value, DESCRIPTORS)
        else (ClassDoc if inspect.isclass(value) else FunctionDoc)(value)["Parameters"]
    )


TAKE_X = [
    path for path in [*OBJECTS, *MEMBERS] if any("X" in parameter.name.split(", ") for parameter in parameters(path))
]


@pytest.mark.parametrize("path", TAKE_X)
def test_x_is_described(path):
    """What it is, what shape it has, and what it holds."""
    for parameter in parameters(path):
        if "X" in parameter.name.split(", "):
            assert "array" in parameter.type or "DataFrame" in parameter.type
            assert "shape" in parameter.type + " ".join(parameter.desc)
            assert parameter.desc


def test_methods_that_take_x_are_found():
    names = {path.rpartition(".")[2] for path in TAKE_X}
    assert {"fit", "partial_fit", "predict", "predict_proba", "transform", "loss", "to_onnx", "check_accuracy"} <= names


# ------------------------------------------------------------------------------ attributes


def fitted_attributes(estimator):
    """Return the public names that end in an underscore; properties that raise AttributeError are absent."""
    return {name for name in dir(estimator) if name[-1] == "_" and name[0] != "_" and hasattr(estimator, name)}


def documented_attributes(cls):
    """Return the names under Attributes, several of which may share a line."""
    return {name for attribute in ClassDoc(cls)["Attributes"] for name in attribute.name.split(", ")}


@each_estimator
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}], ids=str)
def test_attributes_of_estimators(cls, params):
    X, y = blobs()
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(X.shape[1])])
    net = small(cls, **params).fit(frame, y)
    assert fitted_attributes(net) == documented_attributes(cls)
    rest = fitted_attributes(net) - {"feature_names_in_"}
    assert fitted_attributes(small(cls, **params).fit(X, y)) == rest
    assert fitted_attributes(small(cls)) == set()
    assert fitted_attributes(small(cls).partial_fit(X, y, classes=np.unique(y))) == rest


@pytest.mark.parametrize("transformer", [MeanSubtractor(), ImageReshaper(input_shape=(1, 4, 4))], ids=str)
def test_attributes_of_transformers(transformer):
    X, _ = blobs()
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(X.shape[1])])
    assert fitted_attributes(transformer.fit(frame)) == documented_attributes(type(transformer))


# ------------------------------------------------------------------------------ one thing, one text


def common(classes, section="Parameters"):
    """Return what all of them have."""
    return set.intersection(*({entry.name for entry in ClassDoc(cls)[section]} for cls in classes))


FULLY_CONNECTED = [sklearn_dl.TwoLayerNet, sklearn_dl.FullyConnectedNet]
RULES = [getattr(optim, name) for name in ("sgd", "sgd_momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")]
OWN = {"learning_rate", "lr_schedule", "reg", "batch_size", "tol", "weight_scale"}
CONSISTENT = {
    "estimators": {
        "objects": ESTIMATORS,
        # The others' defaults, or what they apply to, differ.
        "include_params": sorted(common(ESTIMATORS) - OWN),
        "include_attrs": sorted(common(ESTIMATORS, "Attributes")),
    },
    "fully connected": {
        "objects": FULLY_CONNECTED,
        "include_params": sorted(common(FULLY_CONNECTED) - {"learning_rate", "weight_scale"}),
        "include_attrs": sorted(common(FULLY_CONNECTED, "Attributes")),
    },
    "transformers": {
        "objects": [MeanSubtractor, ImageReshaper],
        "include_attrs": ["n_features_in_", "feature_names_in_"],
    },
    "nets": {
        "objects": [nets.Net, nets.FullyConnected, nets.ThreeLayerConv],
        "include_params": ["reg", "dtype", "random_state"],
    },
    "update rules": {"objects": RULES, "include_params": ["w", "dw", "out"], "include_returns": ["config"]},
    "losses": {"objects": [losses.softmax_loss, losses.svm_loss], "include_params": ["x", "y", "sample_weight", "out"]},
    "schedules": {"objects": [schedules.Cosine, schedules.Linear], "include_params": ["warmup", "final"]},
    **{
        display.__name__: {
            "objects": [display.from_estimator.__func__, display.plot],
            "include_params": sorted(inspect.signature(display.plot).parameters.keys() - {"self"}),
        }
        for display in (inspection.SweepDisplay, inspection.WeightsDisplay)
    },
    "curves": {
        "objects": [
            inspection.TrainingCurveDisplay.from_estimator.__func__,
            inspection.TrainingCurveDisplay.from_solver.__func__,
        ],
        "include_params": ["ax", "smoothing", "points_kw", "line_kw", "accuracy_kw"],
    },
    "convolutions": {
        "objects": [layers.conv_forward_naive, layers.conv_relu_forward, layers.conv_relu_pool_forward],
        "include_params": ["x", "w", "b", "conv_param"],
    },
    "backward functions": {
        "objects": [layers.conv_backward_fast, layers.conv_backward_naive, layers.conv_relu_backward],
        "include_params": ["dout", "out", "need_dx"],
    },
}


@pytest.mark.parametrize("case", CONSISTENT)
def test_one_thing_is_told_in_one_way(case):
    assert_docstring_consistency(**CONSISTENT[case])


def test_inconsistent_docstrings_are_found():
    def first(x):
        """Do one thing.

        Parameters
        ----------
        x : int
            One thing.
        """

    def second(x):
        """Do another.

        Parameters
        ----------
        x : int
            Another.
        """

    with pytest.raises(AssertionError, match="One thing"):
        assert_docstring_consistency([first, second], include_params=True)
