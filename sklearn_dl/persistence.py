"""Save and load estimators and nets: one file of arrays and JSON, written atomically, read without pickle.

``sklearn_dl/_archive.py`` describes the format, and why it is not pickle.

Files of every release load in all later ones; tests/test_saved_models.py checks it.

Pipelines and searches can be stored without pickle by skops (``pip install "sklearn_dl[skops]"``), which loads what
its caller trusts. `SKOPS_TRUSTED` names what a fitted estimator of this package can hold: estimators and transformers,
and what their parameters can be set to (schedules, augmentations, layers, a NumPy dtype, a path)::

    skops.io.dump(pipeline, "model.skops")
    pipeline = skops.io.load("model.skops", trusted=SKOPS_TRUSTED)

Other types that ``skops.io.get_untrusted_types`` finds come from the rest of the pipeline.
"""

import os
import pathlib
import re

import numpy as np
import sklearn

from sklearn_dl import augmentation, preprocessing, schedules
from sklearn_dl._archive import read_archive, write_archive
from sklearn_dl._base import BaseNet
from sklearn_dl._callbacks import CALLBACKS
from sklearn_dl._estimator_files import check_estimator, check_names
from sklearn_dl._estimator_state import with_arrays
from sklearn_dl._saving import Kind, check_class, load, refusal, register, save
from sklearn_dl.convnet import ThreeLayerConvNet
from sklearn_dl.fully_connected import FullyConnectedNet, FullyConnectedRegressor, TwoLayerNet
from sklearn_dl.linear import Softmax
from sklearn_dl.nets import layers

__all__ = ["SKOPS_TRUSTED", "load", "read_archive", "save", "write_archive"]


def _estimator_classes():
    classes = (Softmax, TwoLayerNet, FullyConnectedNet, FullyConnectedRegressor, ThreeLayerConvNet)
    return {cls.__name__: cls for cls in classes}


def _skops_trusted():
    """Return the names, qualified, of what a fitted estimator of this package can hold."""
    modules = (preprocessing, schedules, augmentation, layers)
    public = [getattr(module, name) for module in modules for name in module.__all__]
    path = type(pathlib.Path())
    held = [np.dtype, path, *_estimator_classes().values(), *public]
    names = {f"{one.__module__}.{one.__qualname__}" for one in held}
    return tuple(sorted(names | {f"pathlib.{path.__qualname__}"}))  # as which most versions of Python know it


SKOPS_TRUSTED: tuple[str, ...] = _skops_trusted()


def _request_methods(estimator):
    names = (re.fullmatch(r"set_(\w+)_request", name) for name in dir(type(estimator)))
    return [match[1] for match in names if match]


def _get_requests(estimator):
    """Return what ``set_fit_request`` and the other request methods were given, by method."""
    routing = estimator.get_metadata_routing()
    return {method: dict(getattr(routing, method).requests) for method in _request_methods(estimator)}


def _set_requests(estimator, requests):
    with sklearn.config_context(enable_metadata_routing=True):
        for method in _request_methods(estimator):
            getattr(estimator, f"set_{method}_request")(**requests.get(method, {}))


def _estimator_to_tree(estimator):
    name = type(estimator).__name__
    if _estimator_classes().get(name) is not type(estimator):
        raise refusal(estimator)
    state = with_arrays(estimator.__getstate__(), estimator._score_name)
    state.pop(CALLBACKS, None)
    if isinstance(state["checkpoint"], os.PathLike):
        state["checkpoint"] = os.fspath(state["checkpoint"])
    tree = {"estimator": name, "state": state, "requests": {}}
    if "_metadata_request" in state:
        tree["state"] = {k: value for k, value in state.items() if k != "_metadata_request"}
        tree["requests"] = _get_requests(estimator)
    parameters = estimator.get_params(deep=False)

    def place(keys):
        # keys start with "state": nothing else in the tree can be refused
        role = "parameter" if keys[1] in parameters else "attribute"
        return f"{role} {keys[1]!s}" + "".join(f"[{key!r}]" for key in keys[2:]) + f" of {name}"

    return tree, place


def _is_estimator_tree(tree):
    kinds = {"estimator": str, "state": dict, "requests": dict}
    return isinstance(tree, dict) and all(isinstance(tree.get(field), kind) for field, kind in kinds.items())


def _estimator_from_tree(tree, expected_class, file, writer):
    name, classes = tree["estimator"], _estimator_classes()
    if name not in classes:
        raise ValueError(f"{file} holds an estimator of class {name!r:.80}; known are {', '.join(classes)} ({writer}).")
    check_class(classes[name], expected_class, file)
    estimator = classes[name]()
    try:
        check_names(classes[name], tree["state"])
        estimator.__setstate__(tree["state"])
        check_estimator(estimator)
        if tree["requests"]:
            _set_requests(estimator, tree["requests"])
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        reason = f"{error}" if isinstance(error, (TypeError, ValueError)) else f"{type(error).__name__}: {error}"
        raise ValueError(f"{file} does not hold a valid {name} ({writer}): {reason:.2000}") from error
    return estimator


register("estimator", Kind(BaseNet, _estimator_classes(), _estimator_to_tree, _is_estimator_tree, _estimator_from_tree))
