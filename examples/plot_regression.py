"""
Regression: losses, units and the epoch to keep
===============================================

A net for quantities is a net for classes with another loss at its end. Which loss decides what is
predicted: the mean, the median, or the mean of counts. What the quantities are measured in does not
matter, since the net learns their scale.
"""

# %%
# One input in the first two parts, so that the predictions can be drawn.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from _common import parse_arguments, print_heading, print_table, save_figure
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import PredictionErrorDisplay
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import FullyConnectedRegressor


def make_net(**params):
    """Return the regressor of this example."""
    return FullyConnectedRegressor(**{"tol": None, "random_state": 0, **params})


# %%
# Values that are far off
# -----------------------
# A sine, noise, and one value in eight that is wrong, and too large. The mean of such values, which the
# squared error predicts, lies above the sine everywhere. Their median hardly moves, and Huber's loss is
# near it: beyond ``delta`` an error counts by its size and not by its square.


def outliers(args, num_epochs):
    """Fit a sine with outliers by three losses."""
    print_heading("Values that are far off")
    rng = np.random.RandomState(0)
    x = np.sort(rng.uniform(-3, 3, 400))[:, None]
    truth = np.sin(x[:, 0])
    y = truth + 0.1 * rng.randn(400)
    y[rng.rand(400) < 1 / 8] += 4
    figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    ax.plot(x, y, ".", color="0.7", markersize=4, label="given")
    ax.plot(x, truth, "k--", linewidth=1, label="truth")
    rows = []
    for loss, delta in (("squared_error", 1.0), ("huber", 0.1), ("absolute_error", 1.0)):
        params = {"loss": loss, "delta": delta, "activation": "silu", "hidden_dims": (50, 50)}
        net = make_net(**params, num_epochs=num_epochs).fit(x, y)
        predicted = net.predict(x)
        ax.plot(x, predicted, label=loss)
        rows.append([loss, float(np.mean(predicted - truth)), float(np.abs(predicted - truth).mean())])
    ax.set(xlabel="x", ylabel="y", ylim=(-1.7, 7))
    ax.legend(loc="upper left", ncols=3)
    print_table(["loss", "mean error", "mean absolute error"], rows)
    save_figure(figure, args, "regression_outliers")


# %%
# Counts
# ------
# Counts are never negative, and vary more where they are large. With ``loss='poisson'`` the net predicts
# the logarithm of their mean, so that the mean itself is above zero, and large counts, which are far off
# by chance, weigh less than with the squared error.


def counts(args, num_epochs):
    """Fit counts by the Poisson loss and by the squared error."""
    print_heading("Counts")
    rng = np.random.RandomState(0)
    x = np.sort(rng.uniform(0, 1, 300))[:, None]
    mean = np.exp(4 * x[:, 0] - 2)
    y = rng.poisson(mean)
    figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    ax.plot(x, y, ".", color="0.7", markersize=4, label="given")
    ax.plot(x, mean, "k--", linewidth=1, label="mean")
    rows = []
    for loss in ("squared_error", "poisson"):
        predicted = make_net(loss=loss, hidden_dims=(20,), num_epochs=num_epochs).fit(x, y).predict(x)
        ax.plot(x, predicted, label=loss)
        rows.append([loss, float(predicted.min()), float(np.abs(predicted / mean - 1).mean())])
    ax.set(xlabel="x", ylabel="count")
    ax.legend()
    print_table(["loss", "least prediction", "mean relative error"], rows)
    save_figure(figure, args, "regression_counts")


# %%
# Units of y
# ----------
# How far diabetes has gone after a year, from ten measurements. The net is trained on y less its mean
# and over its standard deviation, whatever the unit. MLPRegressor is trained on y as it is.


def units(args, num_epochs):
    """Train on y in several units; return the split data."""
    print_heading("Units of y")
    X, y = load_diabetes(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    rows = []
    for unit in (1e-3, 1.0, 1e6):
        ours = make_net(hidden_dims=(50,), reg=0.1, num_epochs=num_epochs)
        theirs = MLPRegressor(hidden_layer_sizes=(50,), max_iter=num_epochs, random_state=0)
        scores = []
        for net in (ours, theirs):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # of MLPRegressor, which is not yet there
                model = make_pipeline(StandardScaler(), net).fit(X_train, unit * y_train)
            scores.append(model.score(X_test, unit * y_test))
        rows.append([f"{unit:g}", *scores])
    print_table(["unit", "R², here", "R², MLPRegressor"], rows)
    return X_train, X_test, y_train, y_test


# %%
# The epoch to keep
# -----------------
# On 248 samples and without a penalty the net goes on to learn the noise: the training loss falls, the
# validation loss soon turns. The weights of the epoch with the least validation loss are kept. For the
# squared error R² has its peak in the same epoch. On the right, what they predict for patients that
# nothing was chosen by; R² of these is lower than the best of a hundred on the validation set.


def epoch_to_keep(data, args, num_epochs):
    """Draw loss and R² by epoch, and the predictions of the best one."""
    print_heading("The epoch to keep")
    X_train, X_test, y_train, y_test = data
    scaler = StandardScaler().fit(X_train)
    X_fit, X_val, y_fit, y_val = train_test_split(scaler.transform(X_train), y_train, random_state=0)
    net = make_net(hidden_dims=(100, 100), num_epochs=num_epochs).fit(X_fit, y_fit, X_val=X_val, y_val=y_val)
    history = net.history_
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    axes[0].plot(history["epoch"], history["loss"], label="training")
    axes[0].plot(history["epoch"], history["val_loss"], label="validation")
    axes[0].set(xlabel="epoch", ylabel="loss, of y over its scale")
    axes[1].plot(history["epoch"], history["train_r2"], label="training")
    axes[1].plot(history["epoch"], history["val_r2"], label="validation")
    axes[1].set(xlabel="epoch", ylabel="R²")
    for ax in axes[:2]:
        ax.axvline(net.best_epoch_, color="k", linestyle="--", linewidth=1, label="kept")
        ax.legend()
    PredictionErrorDisplay.from_predictions(
        y_test, net.predict(scaler.transform(X_test)), kind="actual_vs_predicted", ax=axes[2]
    )
    print(f"  best epoch {net.best_epoch_} of {net.n_iter_}, validation R² {net.best_val_score_:.3f}")
    print(f"  test R² {net.score(scaler.transform(X_test), y_test):.3f}")
    save_figure(figure, args, "regression_training")


# %%
# All of it.


def main(argv=None):
    """Run the example."""
    args = parse_arguments(__doc__, argv)
    num_epochs = 3 if args.quick else 100
    outliers(args, num_epochs)
    counts(args, num_epochs)
    epoch_to_keep(units(args, num_epochs), args, num_epochs)


if __name__ == "__main__":
    main()
