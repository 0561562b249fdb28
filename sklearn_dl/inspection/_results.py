"""The results of a parameter search as a table over two of its parameters."""

import numbers
import pickle
import re
from collections import Counter
from collections.abc import Mapping

import joblib
import numpy as np

from sklearn_dl.inspection._axes import shorten
from sklearn_dl.inspection._nets import find_search

PREFIX = "mean_test_"
# Characters of a label; where such labels would be the same; where those would be, too, they are numbered.
SHORT, LONG = 24, 60


class Default:
    """Stands for a parameter that a candidate leaves at the estimator's own value."""

    def __repr__(self):
        return "(default)"


DEFAULT = Default()


def sweep_table(estimator, param_x, param_y, metric):
    """Return the arguments of SweepDisplay for a fitted search, or what wraps one."""
    search = find_search(estimator)
    candidates, results = _candidates(search)
    metric = _choose_metric(search, results, metric)
    scores = np.asarray(results[PREFIX + metric], dtype=np.float64)
    if np.isnan(scores).all():
        raise ValueError("estimator holds no score: all fits of the search have failed.")
    names = sorted({name for candidate in candidates for name in candidate})
    columns = {name: distinct([candidate.get(name, DEFAULT) for candidate in candidates]) for name in names}
    # A halving search writes what it gives to each candidate among the parameters that it searches over.
    resource = getattr(search, "resource", None)
    varying = [name for name in names if len(columns[name][0]) > 1 and name != resource]
    param_x, param_y = _choose_params(param_x, param_y, names, varying)
    (x_values, x_place), (y_values, y_place) = columns[param_x], columns[param_y]
    table, best = _best_scores(scores, results.get("iter"), (y_place, x_place), (len(y_values), len(x_values)))
    chosen = _choice(search, metric)
    if chosen is not None and not np.isnan(scores[chosen]):
        best = y_place[chosen], x_place[chosen]
    scoring = getattr(search, "scoring", None)
    name = scoring if metric == "score" and isinstance(scoring, str) else metric
    return {
        "scores": table,
        "x_values": x_values,
        "y_values": y_values,
        "param_x": param_x,
        "param_y": param_y,
        "score_name": f"mean test {name}",
        "best": best,
        "best_over": [name for name in varying if name not in (param_x, param_y)],
    }


def _candidates(search):
    """Return the parameters of each candidate, and the columns of results."""
    trials = getattr(search, "trials_", None)
    if trials is not None:  # Optuna's: without parameters in cv_results_, and a KeyError where a trial has failed
        values = [np.nan if trial.value is None else trial.value for trial in trials]
        # The value of a trial that was pruned is from fewer epochs, as that of an earlier round is.
        rounds = [trial.state.name == "COMPLETE" for trial in trials]
        return [dict(trial.params) for trial in trials], {f"{PREFIX}score": values, "iter": rounds}
    results = search.cv_results_
    if not (isinstance(results, Mapping) and "params" in results and any(key.startswith(PREFIX) for key in results)):
        held = ", ".join(map(repr, results)) if isinstance(results, Mapping) else f"a {type(results).__name__}"
        raise ValueError(
            f"cv_results_ of estimator {type(search).__name__} must hold 'params' and scores such as '{PREFIX}score',"
            f" it holds {held}. Pass scores and values to SweepDisplay itself."
        )
    plain = [
        {key: value.item() if isinstance(value, np.generic) else value for key, value in candidate.items()}
        for candidate in results["params"]
    ]
    return plain, results


def _choose_metric(search, results, metric):
    """Return the name of the scores to show: by default the only ones, or those that the search has chosen by."""
    known = sorted(name.removeprefix(PREFIX) for name in results if name.startswith(PREFIX))
    if metric is None:
        refit = getattr(search, "refit", None)
        defaults = [name for name in ("score", refit) if isinstance(name, str) and name in known]
        metric = known[0] if len(known) == 1 else next(iter(defaults), None)
    if metric not in known:
        raise ValueError(f"metric must be one of {known}, got {metric!r}.")
    return metric


def _choice(search, metric):
    """Return the index of the candidate that the search has chosen; None if it has not, or by another metric."""
    refit = getattr(search, "refit", None)
    by_another = getattr(search, "multimetric_", False) and metric != refit and not callable(refit)
    return None if by_another else getattr(search, "best_index_", None)


def _best_scores(scores, rounds, places, shape):
    """Return a table with the best score of each cell, and the cell of the best one of all."""
    # A later round of a halving search used more resources: its scores rank above all earlier ones.
    # Of equal scores the first candidate wins, as in best_index_.
    rounds = np.zeros(len(scores)) if rounds is None else np.asarray(rounds)
    table, best = np.full(shape, np.nan), None
    for i in np.lexsort((-np.arange(len(scores)), scores, rounds)):
        if not np.isnan(scores[i]):
            best = places[0][i], places[1][i]
            table[best] = scores[i]
    return table, best


def _choose_params(param_x, param_y, names, varying):
    for argument, name in (("param_x", param_x), ("param_y", param_y)):
        if name is not None and name not in names:
            raise ValueError(f"{argument} must be one of {names}, got {name!r}.")
    if param_x is not None and param_x == param_y:
        raise ValueError(f"param_x and param_y must differ, got {param_x!r} for both.")
    missing = (param_x is None) + (param_y is None)
    others = [name for name in varying if name not in (param_x, param_y)]
    if missing and len(others) != missing:
        hint = "" if len(varying) > 1 else " A map is of two; the scores over one are a column of cv_results_."
        raise ValueError(
            f"param_x and param_y must be given unless exactly two parameters vary; "
            f"got param_x={param_x!r}, param_y={param_y!r}, and those that vary are {varying}.{hint}"
        )
    others = iter(others)
    return (
        next(others) if param_x is None else param_x,
        next(others) if param_y is None else param_y,
    )


# Values -----------------------------------------------------------------------------------------


def distinct(values):
    """Return the distinct values, and for each value its number among them.

    Numbers are sorted; anything else stays in order of appearance, which is the user's own. The default is last.
    """
    found = {}
    for value in values:
        found.setdefault(_key(value), value)
    keys = [key for key, value in found.items() if value is not DEFAULT]
    if all(is_number(found[key]) and key == found[key] for key in keys):
        keys.sort()
    keys += [key for key, value in found.items() if value is DEFAULT]
    place = {key: i for i, key in enumerate(keys)}
    return [found[key] for key in keys], [place[_key(value)] for value in values]


def is_number(value):
    """Return whether a value is a real number, and not a bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _key(value):
    """Return something hashable that is the same for equal values: they may be lists, arrays, estimators, layers."""
    if is_number(value) and value == value:
        return value
    try:
        return joblib.hash(value)
    except (pickle.PicklingError, TypeError, AttributeError):  # a lambda, a class in a function, an open file
        return id(value)


def labels_of(values):
    """Return a short label for each of the values; longer ones, or numbers, where short ones would be the same."""
    numeric = iter(_number_labels([value for value in values if is_number(value)]))
    texts = [next(numeric) if is_number(value) else None for value in values]

    def describe(as_text, longest):
        return [
            shorten(_tidy(as_text(value)), longest) if text is None else text
            for text, value in zip(texts, values, strict=True)
        ]

    for as_text, longest in ((_name, SHORT), (_name, LONG), (repr, LONG)):
        labels = describe(as_text, longest)
        if len(set(labels)) == len(labels):
            return labels
    return _numbered(describe(_name, SHORT))


def _numbered(labels):
    """Return labels with a number behind those that are not unique."""
    counts, seen = Counter(labels), Counter()
    numbered = []
    for label in labels:
        seen[label] += 1
        numbered.append(f"{label} ({seen[label]})" if counts[label] > 1 else label)
    return numbered


def _number_labels(values):
    """Return numbers in as few digits, from three on, as tell them apart; whole ones below a million in full."""
    for digits in range(3, 18):
        labels = [
            f"{value:.0f}" if abs(value) < 10**6 and value == int(value) else f"{float(value):.{digits}g}"
            for value in values
        ]
        if len(set(labels)) == len(labels):
            return labels
    return [str(value) for value in values]


def _name(value):
    return value if isinstance(value, str) else getattr(value, "__name__", None) or repr(value)


def _tidy(text):
    """Return text in one line, with objects that have no repr of their own by the name of their class."""
    text = re.sub(r"<(?:[\w.]+ )??(?:[\w<>]+\.)*([\w<>]+)(?: object)? at 0x[0-9a-fA-F]+>", r"\1", text)
    return " ".join(text.split())
