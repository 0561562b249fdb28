"""What a training that went wrong has to blame: X, the first weights, or a setting that is far from usual.

Errors and warnings call the learning rate too large where nothing else is out of the ordinary.
"""

import math

import numpy as np

from sklearn_dl._arrays import largest_magnitude
from sklearn_dl.training.batches import batches
from sklearn_dl.training.evaluation import EVALUATION_BATCH

# Nets are made for values of about one. Raw pixels, up to 255, are trained on; a column beyond this needs scaling.
LARGE_X = 1e3
# Below, updates are so small that next to nothing is learned. Rare words of a text have larger values.
SMALL_X = 1e-2
# The largest first weight is larger with any of the schemes.
SMALL_WEIGHT = 1e-6
# How many times what X accounts for the loss of the first weights is at least where these are too large.
FAR_OFF = 1e3
# Differences that are rounding, as a share of a loss, or of the largest score.
SAME = 1e-6
# Beyond these, a net that has learned nothing is no wonder.
LARGE_RATE = 1.0
SMALL_RATE = 1e-6
SMALL_NORM = 1e-6
LARGE_EPSILON = 1.0
LARGE_REG = 1.0
LARGE_SMOOTHING = 0.9

# How many parameters an error about large numbers names.
SHOWN = 4


def magnitudes(solver):
    """Return the largest magnitude among the values of the training samples, as 'X', and of each parameter."""
    samples, largest = solver.train_samples, [0.0]
    for part in batches(len(samples.rows), EVALUATION_BATCH):
        X = samples.X[samples.rows[part]]
        largest.append(largest_magnitude(X.compact().data if samples.is_sparse else X))
    return {
        "X": float(np.max(largest)),
        **{name: largest_magnitude(values) for name, values in solver.state.params.items()},
    }


def describe(sizes):
    """Say how large the values of X and of the largest parameters are.

    Parameters
    ----------
    sizes : dict of str to float
        What `magnitudes` returns.
    """
    params = {name: size for name, size in sizes.items() if name != "X"}
    largest = sorted(params, key=params.get, reverse=True)[:SHOWN]  # a deep net has many
    shown = ["X", *(name for name in params if name in largest)]
    return f"the largest magnitudes are {', '.join(f'{name} {sizes[name]:.3g}' for name in shown)}"


def what_stands_out(solver):
    """Say in sentences, the remedy included, which of X, reg and the first weights is out of the ordinary.

    Parameters
    ----------
    solver : Solver
        After updates.

    Returns
    -------
    text : str or None
        None if none of them is.
    """
    size = magnitudes(solver)["X"]
    if not size <= LARGE_X:
        nan = "" if math.isfinite(size) else "nan or "
        rate = solver.optim_config.get("learning_rate", 0.0)
        both = (
            f", and learning_rate {rate} is large, too. Lower it, and scale X." if rate >= LARGE_RATE else ". Scale X."
        )
        return f"X holds {nan}very large values, up to {size:.3g}{both}"
    if size < SMALL_X:
        return f"the values of X are very small, up to {size:.3g} only. Scale X."
    if solver.trainee.reg > LARGE_REG:
        return f"reg={solver.trainee.reg:g} is too large. Lower it."
    # Those of an earlier training are not first any more.
    began, expected = solver.state.initial_loss, max(1.0, size) ** 2
    if solver.trainee.head.link == "exp" and size > 1:
        expected = math.inf  # the loss grows as the exponential of X
    if solver.epochs_before == 0 and abs(began) > FAR_OFF * expected:
        return f"the first weights are very large, of a loss of {began:.4g}. Lower weight_scale."
    return None


def what_was_too_large(solver):
    """Say in sentences, the remedy included, why too large steps were made.

    Parameters
    ----------
    solver : Solver
        After updates.

    Returns
    -------
    text : str
    """
    stands_out = what_stands_out(solver)
    if stands_out is not None:
        return stands_out
    causes = [f"learning_rate={rate:g}" for name, rate in solver.optim_config.items() if name == "learning_rate"]
    if solver.trainee.reg:  # which makes the loss without the penalty grow
        causes.append("reg")
    return f"{' or '.join(causes) or 'weight_scale'} is too large for this data and net. Lower it, or scale X."


def what_holds_back(solver):
    """Say in sentences, the remedy included, what keeps a net from learning anything.

    Parameters
    ----------
    solver : Solver
        After a training.

    Returns
    -------
    text : str or None
        None if nothing is so far from usual that it must.
    """
    stands_out = what_stands_out(solver)
    if stands_out is not None:
        return stands_out
    config, norm = solver.optim_config, solver.clip_norm
    rates = solver.learning_rate_history[solver.updates_before :]
    smoothing = getattr(solver.trainee.head, "label_smoothing", 0.0)
    weights = max((largest_magnitude(solver.state.params[name]) for name in solver.trainee.penalized), default=math.inf)
    if config.get("learning_rate", math.inf) < SMALL_RATE:
        return f"learning_rate={config['learning_rate']:g} is too small. Raise it."
    if rates and np.median(rates) < SMALL_RATE:
        return f"the learning rate fell to {rates[-1]:.3g} too soon, by lr_decay or lr_schedule. Let it fall less."
    if config.get("epsilon", 0.0) > LARGE_EPSILON:
        return f"epsilon={config['epsilon']:g} is too large. Lower it."
    if norm is not None and norm < SMALL_NORM:
        return f"clip_norm={norm:g} is too small. Raise it."
    if smoothing > LARGE_SMOOTHING:
        return f"label_smoothing={smoothing:g} is too large. Lower it."
    if weights < SMALL_WEIGHT:
        return f"the weights are next to zero, up to {weights:.3g}. Raise weight_scale."
    if _began_at_zero(solver):
        return "the first weights are so small that all scores were next to zero. Raise weight_scale."
    return None


def _began_at_zero(solver):
    """Return whether the loss of the first weights of a net with hidden layers is that of scores of zero."""
    if solver.epochs_before or len(solver.trainee.penalized) < 2:  # one layer learns from such weights as well
        return False
    samples, rows = solver.train_samples, solver.train_rows
    y = np.ascontiguousarray(samples.y[rows])
    weights = None if samples.sample_weight is None else np.ascontiguousarray(samples.sample_weight[rows])
    scores = np.zeros((len(y), solver.trainee.n_scores), solver.trainee.dtype)
    of_zero = solver.trainee.head.loss(scores, y, weights, None)
    return abs(solver.state.initial_loss - of_zero) <= SAME * abs(of_zero)
