"""What a `Solver` trains and validates on: rows of a weight above 0, some of them set aside for `early_stopping`.

A training set that fits into one minibatch is put into canonical form: equal rows are merged, their weights added, and
the rest sorted, after the samples for `early_stopping` were set aside. Then weights act as repetition does to the last
bit, in float32 too, and the order of the rows does not matter. Where images are augmented, those that were merged share
their random changes. Larger sets keep their rows; a weight multiplies a sample's loss.

What is set aside are samples, not rows of X: of a row that occurs twice, one may be trained on and the other validated
on. A row of weight 2 is two samples, so that weights act as repetition does; with weights that are not whole numbers,
each row is one sample.
"""

import math

import numpy as np

from sklearn_dl._inputs import canonical_order, drop_uniform, merge_duplicates

# Above this sum of weights, rows are not split into samples.
MANY = 1e6


def solver_data(X, y, sample_weight, class_weight, validation, *, batch_size, fraction, random_state):
    """Return the data of a `Solver`; sets of at most `batch_size` samples are merged.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), or CSR
    y : ndarray of int of shape (n,), classes, or of float of shape (n, n_outputs)
    sample_weight : ndarray of float64 of shape (n,), or None
    class_weight : ndarray of float64 of shape (n_classes,), or None
        None unless y are classes.
    validation : tuple (X, y, sample_weight), or None
    batch_size : int
    fraction : float, or None
        Share of the samples to set aside where there is no `validation`; None: none.
    random_state : RandomState

    Returns
    -------
    data : dict
    """
    combined = sample_weight
    if class_weight is not None:
        combined = class_weight[y] if sample_weight is None else class_weight[y] * sample_weight
    rows = None if combined is None or combined.all() else np.flatnonzero(combined)
    if combined is not None and drop_uniform(combined if rows is None else combined[rows]) is None:
        combined = None
    aside = fraction is not None and validation is None
    if (len(X) if rows is None else len(rows)) <= batch_size:
        if rows is not None:
            X, y = X[rows], y[rows]
            sample_weight, combined = (None if w is None else w[rows] for w in (sample_weight, combined))
        if aside:
            return set_aside_and_merge(X, y, sample_weight, class_weight, fraction, random_state)
        X, y, combined = merge_duplicates(X, y, combined)
        rows = None
    data = {"X_train": X, "y_train": y, "sample_weight_train": combined, "rows_train": rows}
    if validation is not None:
        data.update(zip(("X_val", "y_val", "sample_weight_val"), validation, strict=True))
    return set_aside(data, fraction, random_state) if aside else data


def count_samples(X, sample_weight):
    """Return how many samples there are: a row of weight 2 is two, unless some weights are not whole numbers."""
    if sample_weight is None:
        return X.shape[0]
    return float(sample_weight.sum()) if _are_counts(sample_weight) else np.count_nonzero(sample_weight)


def _are_counts(weights):
    """Return whether weights are whole numbers that rows may be repeated by."""
    return bool(weights.max() <= MANY and (weights == np.floor(weights)).all() and weights.sum() <= MANY)


def n_training_rows(data):
    """Return how many rows the data of a `Solver` trains on."""
    rows = data.get("rows_train")
    return len(data["X_train"] if rows is None else rows)


def set_aside(data, fraction, random_state):
    """Move a share of the training rows of a `Solver`'s data to the validation set.

    Parameters
    ----------
    data : dict
        With ``X_train``, ``y_train``, ``sample_weight_train`` and ``rows_train``; the last two may be None.
    fraction : float
    random_state : RandomState

    Returns
    -------
    data : dict
        The same X with two sets of rows.
    """
    rows = data["rows_train"]
    rows = np.arange(len(data["X_train"])) if rows is None else rows
    train, val = _split(rows, data["y_train"][rows], fraction, random_state)
    return {
        **data,
        "X_val": data["X_train"],
        "y_val": data["y_train"],
        "sample_weight_val": data["sample_weight_train"],
        "rows_train": train,
        "rows_val": val,
    }


def set_aside_and_merge(X, y, sample_weight, class_weight, fraction, random_state):
    """Return the data of a `Solver`, both of its parts with duplicates merged.

    The order of the rows does not matter.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    y : ndarray of int of shape (n,), classes, or of float of shape (n, n_outputs)
    sample_weight : ndarray of float64 of shape (n,), or None
        Above 0.
    class_weight : ndarray of float64 of shape (n_classes,), or None
        None unless y are classes.
    fraction : float
    random_state : RandomState

    Returns
    -------
    data : dict
    """
    weights = np.ones(len(X)) if sample_weight is None else sample_weight
    if _are_counts(weights):
        repeats, weights = weights.astype(np.intp), np.ones(len(X))
    else:
        repeats = np.ones(len(X), np.intp)
        weights = np.ones(len(X)) if drop_uniform(weights) is None else weights
    if class_weight is not None:
        weights = weights * class_weight[y]
    order, group = canonical_order(X, y, weights)
    counts = np.bincount(group, weights=repeats).astype(np.intp)
    X, y, weights = X[order], y[order], weights[order]

    parts = _split(np.repeat(np.arange(len(X)), counts), np.repeat(y, counts, axis=0), fraction, random_state)
    data = {}
    for name, part in zip(("train", "val"), parts, strict=True):
        counts = np.bincount(part, minlength=len(X))
        rows = np.flatnonzero(counts)
        merged = merge_duplicates(X[rows], y[rows], counts[rows] * weights[rows])
        data.update(zip((f"X_{name}", f"y_{name}", f"sample_weight_{name}"), merged, strict=True))
    return data


def _split(samples, y, fraction, random_state):
    """Return samples to train on and to validate on, stratified where the classes have enough."""
    from sklearn.model_selection import train_test_split  # three quarters of what importing sklearn_dl would take

    n_val = math.ceil(fraction * len(samples))
    n_train = len(samples) - n_val
    if n_train == 0:
        raise ValueError(
            f"validation_fraction={fraction} of n_samples={len(samples)} (those of a weight above 0) leaves none to"
            " train on: lower it, or give X_val and y_val."
        )
    can_stratify = False
    if y.ndim == 1:  # classes
        counts = np.bincount(y)
        counts = counts[counts > 0]
        can_stratify = counts.min() > 1 and len(counts) <= min(n_val, n_train)
    return train_test_split(
        samples, test_size=fraction, stratify=y if can_stratify else None, random_state=random_state
    )
