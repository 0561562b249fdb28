"""Docstrings of the estimators list their parameters and attributes."""

import inspect
import re

from ._estimators import blobs, each_estimator, small


def documented(docstring, section):
    """Return {name: description} of a section of a numpydoc docstring."""
    lines = inspect.cleandoc(docstring).split("\n")
    start = lines.index(section) + 2
    found = {}
    for line, below in zip(lines[start:], [*lines[start + 1 :], ""], strict=True):
        if set(below) == {"-"}:
            break
        if line and not line.startswith(" "):
            names, _, kind = line.partition(" : ")
            found.update(dict.fromkeys(names.split(", "), kind))
    return found


@each_estimator
def test_class_docstring_is_the_signature(cls):
    kinds = documented(cls.__doc__, "Parameters")
    signature = inspect.signature(cls).parameters
    assert list(kinds) == list(signature)
    for name, kind in kinds.items():
        default = re.search(r"default=(.+)$", kind)[1]
        assert eval(default) == signature[name].default, name


@each_estimator
def test_class_docstring_lists_what_is_learned(cls):
    X, y = blobs()
    net = small(cls).fit(X, y)
    public = {name for name in dir(net) if re.fullmatch(r"[a-z].*_", name) and hasattr(net, name)}
    assert public | {"feature_names_in_"} == set(documented(cls.__doc__, "Attributes"))


@each_estimator
def test_method_docstrings_are_the_signatures(cls):
    methods = ["fit", "partial_fit", "predict", "predict_proba", "predict_log_proba"]
    for name in [*methods, "decision_function", "save", "load"]:
        method = getattr(cls, name)
        arguments = [arg for arg in inspect.signature(method).parameters if arg != "self"]
        assert list(documented(method.__doc__, "Parameters")) == arguments, name
