"""Estimators with untouched defaults beside MLPClassifier's: 5-fold cross-validation on scikit-learn's data sets."""

import statistics
import time
import warnings
from functools import partial

from _report import number, print_table, times, write_json
from _rounds import interleave
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import FullyConnectedNet, TwoLayerNet

DATA = {"iris": load_iris, "wine": load_wine, "breast cancer": load_breast_cancer, "digits": load_digits}
ESTIMATORS = (TwoLayerNet, FullyConnectedNet, MLPClassifier)


def accuracy(cls, data, random_state=0):
    """Return the mean accuracy over five folds, behind a StandardScaler.

    Parameters
    ----------
    cls : estimator class
    data : str
        A key of `DATA`.
    random_state : int, default=0
    """
    X, y = DATA[data](return_X_y=True)
    model = make_pipeline(StandardScaler(), cls(random_state=random_state))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # MLPClassifier's, after its 200 epochs
        return float(cross_val_score(model, X, y, cv=5).mean())


def run(options):
    """Cross-validate each estimator on each data set, with as many random states as rounds; print and write."""
    results = []
    for data in list(DATA)[: 1 if options.quick else None]:
        accuracies = {cls.__name__: [] for cls in ESTIMATORS}

        def measure(cls, data=data, accuracies=accuracies):
            found = accuracies[cls.__name__]
            start = time.perf_counter()
            found.append(accuracy(cls, data, random_state=len(found)))
            return time.perf_counter() - start

        seconds = interleave({cls.__name__: partial(measure, cls) for cls in ESTIMATORS}, options.rounds)
        results.append({"data": data, "accuracy": accuracies, "seconds": seconds})
    names = [cls.__name__ for cls in ESTIMATORS]
    print_table(
        f"Defaults: mean accuracy of {options.rounds} random states, seconds of a cross-validation (median)",
        ["data", *names, *(f"{name}, s" for name in names), *(f"MLPClassifier ÷ {name}" for name in names[:-1])],
        [_line(result, names) for result in results],
    )
    write_json(options.output, "defaults", {**options.record, "defaults": results})


def _line(result, names):
    seconds = {name: statistics.median(result["seconds"][name]) for name in names}
    return [
        result["data"],
        *(f"{statistics.mean(result['accuracy'][name]):.4f}" for name in names),
        *(number(seconds[name]) for name in names),
        *(times(seconds["MLPClassifier"] / seconds[name]) for name in names[:-1]),
    ]
