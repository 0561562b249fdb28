"""Checks of an estimator's attributes that come from a file: each is what a fit can have left.

A file is written by anybody, and what it names becomes attributes of an estimator. So a name must be a parameter, an
attribute that `fit` learns, or one of the user's own, which hides nothing of the class; and what is learned must be of
the right type and fit the rest. The state of the training is checked by `sklearn_dl.training.archives`, the weights by
the net that is made for them.
"""

import inspect
import math

import numpy as np
from sklearn.base import is_classifier

from sklearn_dl._checks import check_dims, check_int
from sklearn_dl._estimator_state import published_fields

__all__ = ["check_estimator", "check_names"]


def check_names(cls, state):
    """Raise unless all keys of a state may be attributes of an estimator.

    Parameters
    ----------
    cls : type
        The estimator's class.
    state : dict

    Raises
    ------
    ValueError
        If a key is no str, is reserved, or is the name of something of the class, such as a method.
    """
    parameters = inspect.signature(cls).parameters
    for name in state:
        if not isinstance(name, str):
            raise ValueError(f"the names of attributes must be str, got {name!r:.80}.")
        if name in parameters or name in _LEARNED:
            continue
        if not name.isidentifier() or name.startswith("_") or hasattr(cls, name):
            raise ValueError(f"{name!r:.80} cannot be an attribute of {cls.__name__}.")


def check_estimator(estimator):
    """Raise unless the attributes of an estimator, with its net, are those that a fit can have left.

    Parameters
    ----------
    estimator : BaseNet
        Fitted or not.

    Raises
    ------
    AttributeError, TypeError, ValueError
        If one is missing, or is not what it must be. The message names it.
    """
    attributes = vars(estimator)
    if "params_" not in attributes:
        found = sorted(_LEARNED & attributes.keys() - {"_sklearn_version"})
        _require(not found, ", ".join(found), "absent, as params_ is")
        return
    n_features = _check_features(attributes)
    net = estimator._net
    _require(n_features == math.prod(net.input_shape), "n_features_in_", f"{net.input_shape}, the net's input")
    _check_args(estimator, net)
    for name, value in [*net.params.items(), *net.statistics.items()]:
        _require(np.isfinite(value).all(), name, "finite numbers")
    if is_classifier(estimator):
        _check_classes(attributes, net)
    else:
        _check_quantities(attributes, net)
    best = attributes["best_val_score_"]
    _require(best is None or isinstance(best, (float, np.floating)), "best_val_score_", "a float or None")


# What `fit` learns, the files of earlier releases included.
_LEARNED = {
    *published_fields("accuracy"),
    *published_fields("r2"),
    *("n_features_in_", "feature_names_in_", "input_shape_", "classes_", "y_mean_", "y_scale_", "best_val_score_"),
    *("_is_multilabel", "_class_totals", "_takes_exp", "_y_is_flat", "_net_args", "_random_state", "_state"),
    *("_optim_state", "_update_rule", "_schedule"),
    "_sklearn_version",
}


def _require(good, name, wanted):
    if not good:
        raise ValueError(f"{name} must be {wanted}.")


def _check_features(attributes):
    """Return the number of features."""
    n_features = check_int("n_features_in_", attributes["n_features_in_"], low=1)
    names = attributes.get("feature_names_in_")
    if names is not None:
        good = isinstance(names, np.ndarray) and names.shape == (n_features,) and names.dtype.kind == "O"
        _require(good and all(isinstance(name, str) for name in names), "feature_names_in_", "an array of str")
    return n_features


def _check_args(estimator, net):
    """Check what later fits compare with the net that its parameters describe."""
    shape = vars(estimator).get("input_shape_")
    if shape is not None:
        _require(check_dims("input_shape_", shape, length=3) == net.input_shape, "input_shape_", f"{net.input_shape}")
    _require(estimator._net_args["dtype"] == net.dtype.name, "dtype", "that of the net")
    _require(type(vars(estimator)["_random_state"]) is np.random.RandomState, "_random_state", "a RandomState")


def _check_classes(attributes, net):
    classes, n_outputs = attributes["classes_"], net.num_classes
    good = isinstance(classes, np.ndarray) and classes.shape == (n_outputs,)
    _require(good, "classes_", f"an array of {n_outputs} labels, as many as the net has outputs")
    several = attributes.get("_is_multilabel", False)
    _require(isinstance(several, bool), "_is_multilabel", "True or False")
    if several:
        _require(classes.dtype.kind in "iu" and (classes == np.arange(n_outputs)).all(), "classes_", "0, 1, 2, …")
    else:
        _require(np.array_equal(np.unique(classes), classes), "classes_", "sorted, each label once")
    heads = ("logistic",) if several else ("softmax", "hinge")
    _require(net.head.name in heads, "head", " or ".join(heads))
    totals = np.asarray(attributes["_class_totals"])
    good = totals.dtype.kind in "iuf" and totals.shape in ((), (n_outputs,)) and np.isfinite(totals).all()
    _require(good and (totals >= 0).all(), "_class_totals", "finite numbers of at least 0, one for each class")


def _check_quantities(attributes, net):
    n_outputs = net.num_classes
    for name in ("y_mean_", "y_scale_"):
        values = attributes[name]
        good = isinstance(values, np.ndarray) and values.shape == (n_outputs,) and values.dtype == np.float64
        _require(good and np.isfinite(values).all(), name, f"an array of {n_outputs} finite numbers of float64")
    _require((attributes["y_scale_"] >= 0).all(), "y_scale_", "at least 0")
    flat = attributes["_y_is_flat"]
    _require(isinstance(flat, bool) and not (flat and n_outputs > 1), "_y_is_flat", "whether y has one axis")
    takes_exp = attributes["_takes_exp"]
    good = isinstance(takes_exp, bool) and takes_exp == (net.head.link == "exp") and net.head.score_name == "r2"
    _require(good, "_takes_exp and head", "those of a regressor's loss")
