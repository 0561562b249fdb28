"""
Demo: two nets, tuned in a pipeline
===================================

Handwritten digits, a pipeline that centres them and makes images of them, `GridSearchCV` over a
`TwoLayerNet` and a `ThreeLayerConvNet`, the best of both on the test set, and pictures of what they
learned. This is what ``make demo`` runs.
"""

# %%
# Everything from scikit-learn is used as with any other classifier.

import argparse
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from _common import print_heading, print_table, save_figure
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, ParameterGrid, train_test_split
from sklearn.pipeline import Pipeline

from sklearn_dl import ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.inspection import SweepDisplay, TrainingCurveDisplay, WeightsDisplay
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor

# Raw pixels, 0 to 16, have a larger range than the default first weights are made for.
TWO_LAYER_NET = Pipeline(
    [
        ("center", MeanSubtractor()),
        (
            "net",
            TwoLayerNet(weight_scale=1e-2, reg=1e-2, num_epochs=100, early_stopping=True, random_state=0),
        ),
    ]
)
CONV_NET = Pipeline(
    [
        ("center", MeanSubtractor()),
        ("images", ImageReshaper(input_shape=(1, 8, 8))),
        (
            "net",
            ThreeLayerConvNet(
                filter_size=5,
                hidden_dim=50,
                weight_scale=6e-2,
                reg=1e-3,
                num_epochs=50,
                early_stopping=True,
                n_iter_no_change=4,
                random_state=0,
            ),
        ),
    ]
)

SEARCHES = {
    "TwoLayerNet": (
        TWO_LAYER_NET,
        {"net__hidden_dim": [20, 50, 100], "net__learning_rate": [1e-3, 3e-3, 1e-2]},
    ),
    "ThreeLayerConvNet": (
        CONV_NET,
        {"net__num_filters": [8, 16, 32], "net__learning_rate": [1e-3, 3e-3, 1e-2]},
    ),
}


# %%
# Searching, with progress shown
# ------------------------------
# `GridSearchCV` hands all candidates to its workers at once and is silent until the last one is
# done. Here they go one by one, the folds of each side by side, and each score is printed as soon
# as it is there.


class TellingSearch(GridSearchCV):
    """GridSearchCV that prints a line for each candidate as it is done."""

    def _run_search(self, evaluate_candidates):
        candidates = list(ParameterGrid(self.param_grid))
        for i, params in enumerate(candidates, 1):
            start = time.perf_counter()
            results = evaluate_candidates([params])
            seconds = time.perf_counter() - start
            score = results["mean_test_score"][-1]
            print(
                f"  {i:2}/{len(candidates)}  {score:.3f}  {describe(params)}  ({seconds:.1f} s)",
                flush=True,
            )


def describe(params):
    """Return parameters as text, without the name of the pipeline's step."""
    return ", ".join(f"{name.removeprefix('net__')}={value:g}" for name, value in params.items())


def run_searches(X, y, searches):
    """Fit a search for each net; return them by name."""
    fitted = {}
    for name, (pipeline, grid) in searches.items():
        print_heading(f"{name}: accuracy in 4-fold cross-validation")
        fitted[name] = TellingSearch(pipeline, grid, cv=4, n_jobs=2).fit(X, y)
    return fitted


# %%
# The scores
# ----------


def print_scores(searches, X_test, y_test):
    """Print the three best candidates of each net, and the test accuracy of the best."""
    print_heading("Scores")
    rows = []
    for name, search in searches.items():
        results = search.cv_results_
        for place, i in enumerate(np.argsort(results["rank_test_score"], kind="stable")[:3]):
            mean, std = results["mean_test_score"][i], results["std_test_score"][i]
            accuracy = f"{mean:.3f} \N{PLUS-MINUS SIGN} {std:.3f}"
            test = f"{search.score(X_test, y_test):.3f}" if place == 0 else ""
            seconds = results["mean_fit_time"][i]
            rows.append([name, describe(results["params"][i]), accuracy, seconds, test])
    print_table(["net", "parameters", "accuracy", "seconds a fit", "test accuracy"], rows)


# %%
# The pictures
# ------------


def draw(searches, args):
    """Save the maps of the searches, the weights and the courses of training."""
    print_heading("Pictures")
    figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    for (name, search), ax in zip(searches.items(), axes, strict=True):
        SweepDisplay.from_estimator(search, param_x="net__learning_rate", ax=ax)
        ax.set_title(name)
    save_figure(figure, args, "demo_sweeps")
    for name, search in searches.items():
        stem = "demo_two_layer_net" if name == "TwoLayerNet" else "demo_conv_net"
        save_figure(WeightsDisplay.from_estimator(search).figure_, args, f"{stem}_weights")
        display = TrainingCurveDisplay.from_estimator(search)
        display.figure_.suptitle(f"{name}, {describe(search.best_params_)}")
        save_figure(display.figure_, args, f"{stem}_training")


# %%
# All of it.


def main(argv=None):
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        type=Path,
        default=Path("demo-output"),
        help="where the pictures go (default: %(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="few samples, epochs and candidates: only to see it run")
    args = parser.parse_args(argv)

    start = time.perf_counter()
    X, y = load_digits(return_X_y=True)
    # As a camera gives them: MeanSubtractor makes float32 of uint8.
    X = X.astype(np.uint8)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
    searches = SEARCHES
    if args.quick:
        X_train, y_train = X_train[:200], y_train[:200]
        searches = {
            name: (
                clone(pipeline).set_params(net__num_epochs=2, net__tol=None),
                {key: values[:2] for key, values in grid.items()},
            )
            for name, (pipeline, grid) in searches.items()
        }
    print(f"Digits: {len(X_train)} images of 8 x 8 to train on, {len(X_test)} to test")
    fitted = run_searches(X_train, y_train, searches)
    print_scores(fitted, X_test, y_test)
    draw(fitted, args)
    print(f"\nDone in {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
