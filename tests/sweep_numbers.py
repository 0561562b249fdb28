"""Fit nets to numbers at the ends of their dtypes: what goes wrong is an error or a warning, never silent.

``python tests/sweep_numbers.py --fits 6000``
    Draws estimators with their losses and normalizations, update rules and dtypes, and scales X, y, weights or a
    setting by powers of ten up to the ends of float64. Counts how the fits end, prints each that ends with numbers that
    are not finite, or with one prediction for all samples and a loss that has not fallen, and has said nothing; exits
    with 1 if there is one. Nets that have learned less than at scale 1, but something, are counted.
"""

import argparse
import collections
import random
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import is_classifier

if __package__ in (None, ""):  # run as a script
    sys.path.insert(0, str(Path(__file__).parent.parent))

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.optim import UPDATE_RULES

SIZES = {
    Softmax: {},
    TwoLayerNet: {"hidden_dim": 8},
    FullyConnectedNet: {"hidden_dims": (8, 6)},
    FullyConnectedRegressor: {"hidden_dims": (8, 6)},
    ThreeLayerConvNet: {"num_filters": 4, "filter_size": 3, "hidden_dim": 8},
}
VARIANTS = {
    Softmax: {"loss": ("softmax", "hinge")},
    TwoLayerNet: {"normalization": (None, "batchnorm", "layernorm")},
    FullyConnectedNet: {"normalization": (None, "batchnorm", "layernorm"), "loss": ("softmax", "hinge")},
    FullyConnectedRegressor: {
        "normalization": (None, "batchnorm", "layernorm"),
        "loss": ("squared_error", "absolute_error", "huber", "poisson"),
    },
    ThreeLayerConvNet: {"normalization": (None, "batchnorm", "groupnorm")},
}
SETTINGS = {
    "weight_scale": (-300, 300),
    "learning_rate": (-320, 300),
    "lr_decay": (-300, 300),
    "reg": (-300, 300),
    "clip_norm": (-320, 300),
}
# Up to this power of ten, a number is usual, and a net that has learned nothing in 30 epochs just needs more of them.
USUAL = 2
# What a score may lose before a net counts as one that has learned less.
LESS = 0.25
# By what share the loss of a net that has learned something has fallen, though it may predict one class so far.
FALLEN = 0.1


def draw(rng):
    """Return an estimator class, its parameters, which of its numbers is scaled, and the power of ten."""
    cls = rng.choice(list(SIZES))
    params = {name: rng.choice(values) for name, values in VARIANTS[cls].items()}
    params |= {"update_rule": rng.choice(list(UPDATE_RULES)), "dtype": rng.choice(("float32", "float64"))}
    scaled = rng.choice(("X", "X", "X", "y", "sample_weight", "X_val", *SETTINGS))
    if scaled == "y" and is_classifier(cls()):
        scaled = "X"
    if scaled == "weight_scale" and cls is Softmax:
        scaled = "learning_rate"
    low, high = SETTINGS.get(scaled, (-323, 307))
    while True:  # half within float32's range and its ends
        ends = (max(low, -46), min(high, 39)) if rng.random() < 0.5 else (low, high)
        exponent = rng.randint(*ends)
        if abs(exponent) > USUAL:
            return cls, params, scaled, exponent


def make_data(cls, loss):
    rng = np.random.RandomState(0)
    classes = np.arange(64) % 3
    X = 2 * rng.randn(3, 16)[classes] + rng.randn(64, 16)
    if is_classifier(cls()):
        return X, classes
    y = 5 + 3 * X[:, 0] + X[:, 1]
    return X, np.exp(y / 5) if loss == "poisson" else y


def fit(cls, params, scaled=None, exponent=0):
    """Fit once.

    Returns
    -------
    outcome : str
        'error', 'warning', 'fine', or 'silent' where what is wrong was not said.
    what : str
    score : float or None
    """
    X, y = make_data(cls, params.get("loss"))
    factor, fit_params = float(f"1e{exponent}"), {}
    with np.errstate(all="ignore"):
        if scaled == "X":
            X = X * factor
        elif scaled == "y":
            y = y * factor
        elif scaled == "sample_weight":
            fit_params["sample_weight"] = factor * (1 - np.random.RandomState(0).rand(len(X)) / 2)
        elif scaled == "X_val":
            fit_params.update(X_val=X * factor, y_val=y)
        elif scaled is not None:
            params = {**params, scaled: factor}
    quick = {"num_epochs": 30, "batch_size": 16, "random_state": 0, "tol": None, "lr_schedule": None, "reg": 0.0}
    estimator = cls(**{**quick, **SIZES[cls], **params})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            estimator.fit(X, y, **fit_params)
        except (TypeError, ValueError) as error:
            return "error", str(error), None
        wrong, score = judge(estimator, X, y)
    if caught:
        return "warning", str(caught[0].message), score
    return ("silent" if wrong else "fine"), ", ".join(wrong), score


def judge(estimator, X, y):
    """Return what is wrong with a fitted estimator, and its score."""
    wrong = [name for name, a in {**estimator.params_, **estimator.running_stats_}.items() if not np.isfinite(a).all()]
    wrong += ["losses"] if not np.isfinite(estimator.loss_history_).all() else []
    try:
        predicted, score = estimator.predict(X), estimator.score(X, y)
    except ValueError as error:
        return [*wrong, f"predict: {error}"], None
    if predicted.dtype.kind == "f" and not np.isfinite(predicted).all():
        wrong.append("predictions")
    if len(np.unique(predicted)) == 1 and not estimator.loss_history_[-1] < (1 - FALLEN) * estimator.loss_history_[0]:
        wrong.append("one prediction for all samples")
    return wrong, score if np.isfinite(score) else None


def run(n_fits, seed=0, out=sys.stdout):
    """Make so many fits; return how many were silently wrong."""
    rng, began = random.Random(seed), time.perf_counter()
    counts, unscaled = collections.Counter(), {}
    for _ in range(n_fits):
        cls, params, scaled, exponent = draw(rng)
        outcome, what, score = fit(cls, params, scaled, exponent)
        if outcome == "fine":
            key = cls, *params.items()
            if key not in unscaled:
                unscaled[key] = fit(cls, params)[2]
            if score is None or (unscaled[key] is not None and score < unscaled[key] - LESS):
                outcome = "learned less"
        counts[outcome] += 1
        if outcome == "silent":
            print(f"{cls.__name__}({params}), {scaled} at 1e{exponent}: {what:.300}", file=out)
    for outcome, count in sorted(counts.items()):
        print(f"{count:6d}  {outcome}", file=out)
    print(f"{n_fits} fits, {counts['silent']} silently wrong, {time.perf_counter() - began:.0f} s", file=out)
    return counts["silent"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--fits", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(min(run(options.fits, options.seed), 1))


if __name__ == "__main__":
    main()
