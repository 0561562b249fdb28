"""L-BFGS on small tables: a whole `fit` of TwoLayerNet beside MLPClassifier's, everyone on one CPU, in float64."""

import statistics
import warnings
from functools import partial

import numpy as np
from _report import number, print_table, times, write_json
from _rounds import interleave
from _small import one_cpu
from _workers import Workers

HIDDEN = 100
ALPHA = 1e-2  # MLPClassifier's, which is divided by the number of samples
MOST_ITERATIONS = 200
DATA = ("iris", "wine", "breast cancer", "two moons")
# Both end at a local minimum of their own.
WORSE = 0.03


def load(name):
    """Return X, standardised, and y."""
    from sklearn import datasets
    from sklearn.preprocessing import scale

    if name == "two moons":
        return datasets.make_moons(600, noise=0.2, random_state=0)
    X, y = getattr(datasets, f"load_{name.replace(' ', '_')}")(return_X_y=True)
    return scale(X), y


class Fit:
    """Fits one library's net to one table.

    Parameters
    ----------
    library : {'sklearn_dl', 'MLPClassifier'}
    name : str
        Of the table.
    """

    def __init__(self, library, name):
        from sklearn.neural_network import MLPClassifier

        from sklearn_dl import TwoLayerNet

        self.X, self.y = load(name)
        if library == "sklearn_dl":
            reg = ALPHA / len(self.X)
            self.net = TwoLayerNet(hidden_dim=HIDDEN, update_rule="lbfgs", reg=reg, num_epochs=MOST_ITERATIONS)
        else:
            self.net = MLPClassifier((HIDDEN,), solver="lbfgs", alpha=ALPHA, max_iter=MOST_ITERATIONS)

    def fit(self, seed, repeat=1):
        """Fit so often; return the iterations of the last, and its accuracy on these samples."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(repeat):
                self.net.set_params(random_state=seed).fit(self.X, self.y)
        return self.net.n_iter_, self.net.score(self.X, self.y)

    def cross_validate(self):
        """Return the mean accuracy of five folds."""
        from sklearn.model_selection import cross_val_score

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(cross_val_score(self.net.set_params(random_state=0), self.X, self.y, cv=5).mean())


def run(options):
    """Time the fits, print and write the results."""
    results = []
    with one_cpu(), Workers(1) as workers:
        for name in DATA[: 1 if options.quick else None]:
            fits = {library: workers.of(library).new(Fit, library, name) for library in ("sklearn_dl", "MLPClassifier")}
            learned = {library: fit.call("fit", 0) for library, fit in fits.items()}
            accuracies = {library: fit.call("cross_validate") for library, fit in fits.items()}
            if accuracies["sklearn_dl"] < accuracies["MLPClassifier"] - WORSE:
                raise RuntimeError(f"{name}: accuracies of {accuracies} in a cross-validation")
            measures = {library: partial(_turn, fit, options.seconds) for library, fit in fits.items()}
            seconds = interleave(measures, options.rounds)
            iterations = {library: count for library, (count, _) in learned.items()}
            results.append({"data": name, "seconds": seconds, "iterations": iterations, "accuracy": accuracies})
            print(f"timed: {name}", flush=True)
    _print(results)
    write_json(options.output, "lbfgs", {**options.record, "lbfgs": results})


def _turn(fit, seconds):
    """Return the mean seconds of a fit, over several first weights and about so many seconds."""
    taken = []
    while sum(taken) < seconds:
        taken.append(fit.time("fit", len(taken)))
    return float(np.mean(taken))


def _print(results):
    rows = []
    for r in results:
        ours, theirs = (r["seconds"][library] for library in ("sklearn_dl", "MLPClassifier"))
        each = [b / a for a, b in zip(ours, theirs, strict=True)]
        ratio = statistics.median(theirs) / statistics.median(ours)
        medians = [number(1e3 * statistics.median(seconds)) for seconds in (ours, theirs)]
        counts = [str(count) for count in r["iterations"].values()]
        shares = [f"{accuracy:.3f}" for accuracy in r["accuracy"].values()]
        rows.append(
            [r["data"], *medians, f"{times(ratio)} ({number(min(each))}-{number(max(each))})", *counts, *shares]
        )
    header = ["data", "sklearn_dl, ms", "MLPClassifier, ms", "how many times as fast"]
    header += ["iterations", "its iterations", "accuracy of 5 folds", "its accuracy"]
    print_table("L-BFGS, a whole fit, one CPU (median; least and most of a round)", header, rows)
