"""Finding the one net, or the one search, inside pipelines, meta-estimators and other wrappers.

A wrapper is any object that fits, predicts or transforms. What it has learned is in the attributes that are not
constructor parameters, whatever they are called. scikit-learn's meta-estimators train copies of their parameters, which
say nothing of what was learned. Only where parameters are fitted in place (pipelines, frozen estimators, classes of the
user's own) are they looked into as well, once the wrapper is fitted.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sklearn_dl._base import BaseNet

# Attributes that some wrappers compute instead of storing them.
COMPUTED = ("best_estimator_", "estimator_", "estimators_")


@dataclass(frozen=True)
class Kind:
    """What is looked for.

    Parameters
    ----------
    name, plural : str
    wanted : str
        What the argument must be, for the error where there is none.
    matches : callable
        Whether an object is one, fitted or not.
    is_fitted : callable
        Whether such an object is fitted.
    """

    name: str
    plural: str
    wanted: str
    matches: Callable
    is_fitted: Callable


def find_net(estimator, name="estimator"):
    """Return the fitted net in an estimator or in what wraps it; raise if there is none or more than one."""
    return _find(estimator, NET, name)


def find_search(estimator):
    """Return the fitted search in an estimator or in what wraps it; raise if there is none or more than one."""
    return _find(estimator, SEARCH, "estimator")


def _find(estimator, kind, argument):
    found = _fitted_parts(estimator, kind) if _is_estimator(estimator) else {}
    if not found:
        raise _nothing_found(estimator, kind, argument)
    if len(found) > 1:
        paths = [f"{argument}{path}" for path in found]
        listed = ", ".join(paths[:3]) + (", …" if len(paths) > 3 else "")
        raise ValueError(
            f"{argument} {type(estimator).__name__} holds {len(found)} fitted {kind.plural}, of which one can be drawn:"
            f" pass one of {listed}."
        )
    return next(iter(found.values()))


def _nothing_found(estimator, kind, argument):
    """Return the error that says why there is no fitted net or search."""
    end = _end(estimator)
    holder = next((value for value in (end, estimator) if _is_estimator(value) and _holds(value, kind)), None)
    if holder is None or (holder is not end and _is_fitted(holder)):
        return TypeError(f"{argument} must be {kind.wanted}, got {end!r:.80}.")
    name = type(holder).__name__
    if not _is_fitted(holder):
        return NotFittedError(f"{argument} {name} is not fitted yet.")
    if _has_results(holder) and not getattr(holder, "refit", True):
        return ValueError(
            f"{argument} {name} was run with refit={holder.refit!r}: it holds no fitted net. Use refit=True."
        )
    return ValueError(
        f"{argument} {name} is fitted, but keeps no fitted {kind.name}: it fits copies and discards them. Fit a"
        f" {kind.name} on its own to draw it."
    )


def _end(estimator):
    """Return the last step of a pipeline, the best estimator of a search, an estimator itself otherwise."""
    if getattr(estimator, "best_estimator_", None) is not None:
        return _end(estimator.best_estimator_)
    return _end(estimator.steps[-1][1]) if _is_pipeline(estimator) else estimator


# Looking into objects ---------------------------------------------------------------------------


def _fitted_parts(value, kind, path="", seen=None):
    """Return the fitted nets or searches in a value by where they are, such as '.estimators_[0]'."""
    seen = {} if seen is None else seen
    if id(value) in seen:
        return {}
    seen[id(value)] = value  # kept alive: another object might get its id
    if kind.matches(value):
        return {path: value} if kind.is_fitted(value) else {}
    for parts in _parts_by_priority(value):
        found = {}
        for name, part in parts.items():
            found |= _fitted_parts(part, kind, path + name, seen)
        if found:
            return found
    return {}


def _parts_by_priority(value):
    """Yield what a value consists of; later parts count only where those before hold nothing."""
    if not _is_estimator(value):
        yield _items(value)
    elif _is_pipeline(value):
        if _is_fitted(value):
            *transformers, end = _steps(value).items()
            yield dict([end])
            yield dict(transformers)
    else:
        learned, params = _attributes(value)
        if ".best_estimator_" in learned:
            yield {".best_estimator_": learned[".best_estimator_"]}
        if ".estimators_" in learned:
            learned.pop(".estimator_", None)  # what they were copied from
        yield learned
        if not isinstance(value, MetaEstimatorMixin) and _is_fitted(value):
            yield params


def _holds(value, kind, seen=None):
    """Return whether a value is, or has anywhere, a net or search, fitted or not."""
    seen = {} if seen is None else seen
    if id(value) in seen:
        return False
    seen[id(value)] = value
    if kind.matches(value):
        return True
    if _is_pipeline(value):
        parts = _steps(value)
    elif _is_estimator(value):
        learned, params = _attributes(value)
        parts = learned | params
    else:
        parts = _items(value)
    return any(_holds(part, kind, seen) for part in parts.values())


def _items(value):
    """Return what a container holds, by access path; nothing for anything else."""
    if isinstance(value, Mapping):
        return {f"[{key!r}]": item for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype == object:
        return {f"[{', '.join(map(str, place))}]": item for place, item in np.ndenumerate(value)}
    if isinstance(value, (list, tuple)):
        return {f"[{i}]": item for i, item in enumerate(value)}
    return {}


def _attributes(estimator):
    """Return what an estimator has learned, and its parameters, by access path."""
    values = dict(getattr(estimator, "__dict__", {}))
    for name in COMPUTED:
        if name not in values and getattr(estimator, name, None) is not None:
            values[name] = getattr(estimator, name)
    names = inspect.signature(type(estimator)).parameters if isinstance(estimator, BaseEstimator) else ()
    learned = {f".{name}": value for name, value in values.items() if name not in names}
    params = {f".{name}": value for name, value in values.items() if name in names}
    return learned, params


def _steps(pipeline):
    """Return the steps of a pipeline, but for nets before the last: they do not transform, so are never fitted."""
    last = len(pipeline.steps) - 1
    steps = enumerate(step for _, step in pipeline.steps)
    return {f".steps[{i}][1]": step for i, step in steps if i == last or not NET.matches(step)}


def _is_pipeline(value):
    return _is_estimator(value) and bool(getattr(value, "steps", None))


def _is_estimator(value):
    methods = ("fit", "predict", "predict_proba", "transform")
    return not isinstance(value, type) and any(hasattr(type(value), method) for method in methods)


def _is_fitted(value):
    if not isinstance(value, BaseEstimator) or not hasattr(value, "fit"):
        return any(name[-1] == "_" != name[0] for name in getattr(value, "__dict__", {}))
    try:
        check_is_fitted(value)
    except NotFittedError:
        return False
    return True


# Nets and searches ------------------------------------------------------------------------------


def _is_search(value):
    if not _is_estimator(value):
        return False
    # Thresholds are tuned by an estimator that has the rest, too.
    if hasattr(value, "refit") and hasattr(value, "estimator") and not hasattr(value, "thresholds"):
        return True
    results = getattr(value, "cv_results_", None)  # RFECV, RidgeCV and others have some of their own
    return isinstance(results, Mapping) and "params" in results


def _has_results(value):
    # trials_ first: the cv_results_ of Optuna's search raises KeyError where a trial has failed.
    return hasattr(value, "trials_") or hasattr(value, "cv_results_")


NET = Kind(
    "net",
    "nets",
    "a fitted net of sklearn_dl, or a fitted pipeline, search or other estimator that holds one",
    lambda value: isinstance(value, BaseNet),
    lambda net: hasattr(net, "params_"),
)
SEARCH = Kind(
    "search",
    "searches",
    "a fitted search such as GridSearchCV",
    _is_search,
    _has_results,
)
