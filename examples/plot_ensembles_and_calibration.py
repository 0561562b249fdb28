"""
Ensembles and calibrated probabilities
======================================

A net is a classifier among others: it votes with trees, it is stacked under a linear model, and its
probabilities are corrected by what scikit-learn has for it.

Run it with ``--cifar10 FOLDER`` for photographs in place of digits.
"""

# %%
# The models to combine: a convolutional net, trees and a linear model.

import matplotlib.pyplot as plt
import numpy as np
from _common import load_data, parse_arguments, print_heading, print_table, save_figure
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.ensemble import ExtraTreesClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import FullyConnectedNet, ThreeLayerConvNet
from sklearn_dl.preprocessing import ImageReshaper

SETTINGS = {
    "digits": {"num_samples": 1000, "num_epochs": 15, "hidden_dims": (200, 200), "filter_size": 3},
    "cifar10": {"num_samples": 2000, "num_epochs": 5, "hidden_dims": (100, 100), "filter_size": 5},
}


def make_models(data, settings):
    """Return the models by name; all take rows of pixels."""
    images = ImageReshaper(input_shape=data.X.shape[1:])
    net = ThreeLayerConvNet(
        num_filters=16,
        filter_size=settings["filter_size"],
        num_epochs=settings["num_epochs"],
        tol=None,
        random_state=0,
    )
    return {
        "convolutional net": make_pipeline(StandardScaler(), images, net),
        "trees": ExtraTreesClassifier(100, random_state=0),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)),
    }


# %%
# Voting and stacking
# -------------------
# Voting takes the mean of the models' probabilities. Stacking learns how to combine them, from
# probabilities that each model gives for samples it was not trained on.


def ensembles(data, args, settings, X, y):
    """Compare the models with a vote and a stack of them."""
    print_heading("Voting and stacking")
    models = make_models(data, settings)
    named = list(models.items())
    candidates = {
        **models,
        "vote": VotingClassifier(named, voting="soft"),
        "stack": StackingClassifier(named, LogisticRegression(max_iter=500), cv=3, n_jobs=2),
    }
    X_test = data.X_test.reshape(len(data.X_test), -1).astype(np.float64)
    rows = []
    for name, model in candidates.items():
        probabilities = model.fit(X, y).predict_proba(X_test)
        accuracy = float(np.mean(model.classes_[probabilities.argmax(axis=1)] == data.y_test))
        rows.append([name, accuracy, log_loss(data.y_test, probabilities)])
    print_table(["model", "test accuracy", "log loss"], rows)
    figure, axes = plt.subplots(1, 2, figsize=(10, 3), sharey=True, layout="constrained")
    names, *columns = zip(*rows, strict=True)
    for ax, values, title in zip(axes, columns, ("test accuracy", "log loss on the test set"), strict=True):
        bars = ax.barh(names, values, color=["C0"] * len(models) + ["C1"] * 2)
        ax.bar_label(bars, fmt=" %.3f")
        ax.margins(x=0.15)
        ax.set_title(title)
    axes[0].invert_yaxis()
    save_figure(figure, args, "ensembles_scores")


# %%
# Calibration
# -----------
# A net that knows its training set by heart is too sure of itself, the more so where labels are
# wrong: here a quarter of them. The question is whether a digit is even (a photograph of every other
# class). Of samples that the net gives a probability of 0.9, far fewer than nine in ten are.
# `CalibratedClassifierCV` corrects that by what the net says of samples it was not trained on.


def calibration(data, args, settings, X, y):
    """Draw how often an answer is right by its probability, before and after calibration."""
    print_heading("Calibration")
    rng = np.random.RandomState(0)
    X_test = data.X_test.reshape(len(data.X_test), -1).astype(np.float64)
    even = np.unique(data.y)[::2]
    y, y_test = (np.isin(labels, even) ^ (rng.rand(len(labels)) < 0.25) for labels in (y, data.y_test))
    net = FullyConnectedNet(
        hidden_dims=settings["hidden_dims"], num_epochs=2 * settings["num_epochs"], tol=None, random_state=0
    )
    model = make_pipeline(StandardScaler(), net)
    candidates = {
        "net": model,
        "sigmoid": CalibratedClassifierCV(model, method="sigmoid", cv=3),
        "isotonic": CalibratedClassifierCV(model, method="isotonic", cv=3),
    }
    figure, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
    rows = []
    for name, candidate in candidates.items():
        probabilities = candidate.fit(X, y).predict_proba(X_test)[:, 1]
        CalibrationDisplay.from_predictions(y_test, probabilities, n_bins=6, strategy="quantile", name=name, ax=ax)
        accuracy = float(np.mean((probabilities > 0.5) == y_test))
        rows.append([name, accuracy, brier_score_loss(y_test, probabilities)])
    print_table(["probabilities", "test accuracy", "Brier score"], rows)
    ax.set(xlabel="probability of being even", ylabel="share that is")
    save_figure(figure, args, "ensembles_calibration")


# %%
# All of it.


def main(argv=None):
    """Run the example."""
    args = parse_arguments(__doc__, argv)
    data = load_data(args)
    settings = SETTINGS[data.name]
    if args.quick:
        settings = {**settings, "num_samples": 200, "num_epochs": 2}
    # Double precision: single-precision probabilities in a vote do not sum to one as exactly as metrics want them to.
    X = data.X.reshape(len(data.X), -1)[: settings["num_samples"]].astype(np.float64)
    y = data.y[: len(X)]
    ensembles(data, args, settings, X, y)
    calibration(data, args, settings, X, y)


if __name__ == "__main__":
    main()
