"""What a `Solver` trains and validates on: rows of a weight above 0, some of them set aside for `early_stopping`.

A training set that fits into one minibatch is put into canonical form: equal rows are merged, their weights added, and
the rest sorted, after the samples for `early_stopping` were set aside. Then weights act as repetition does to the last
bit, in float32 too, and the order of the rows does not matter. Where images are augmented, those that were merged share
their random changes. Larger sets keep their rows; a weight multiplies a sample's loss.

What is set aside are samples, not rows of X: of a row that occurs twice, one may be trained on and the other validated
on. A row of weight 2 is two samples, so that weights act as repetition does; with weights that are not whole numbers,
each row is one sample.

With `warm_start`, samples keep their side from fit to fit: else those that the net was trained on would be validated
on, and a net that has learned them by heart would score well. A sample is known again by its content, the bytes of its
row and its y, wherever it stands; only samples that no fit has seen are drawn.
"""

import hashlib
import math

import numpy as np

from sklearn_dl._csr import CSR
from sklearn_dl._inputs import canonical_order, drop_uniform, merge_duplicates

# Above this sum of weights, rows are not split into samples.
MANY = 1e6


def solver_data(
    X, y, sample_weight, class_weight, validation, *, batch_size, fraction, random_state, dtype, sides=None
):
    """Return the data of a `Solver`; sets of at most `batch_size` samples are merged, those of X in the net's dtype.

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
    dtype : dtype
        The net's. Samples are compared in it, so that X gives the bits that it would give converted beforehand.
    sides : Sides, default=None
        Those of earlier fits, which this one's samples are added to.

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
        with np.errstate(over="ignore"):  # the first loss will tell
            X = X if X.dtype == dtype else X.astype(dtype)
        if aside:
            return set_aside_and_merge(X, y, sample_weight, class_weight, fraction, random_state, sides)
        X, y, combined = merge_duplicates(X, y, combined)
        rows = None
    data = {"X_train": X, "y_train": y, "sample_weight_train": combined, "rows_train": rows}
    if validation is not None:
        data.update(zip(("X_val", "y_val", "sample_weight_val"), validation, strict=True))
    return set_aside(data, fraction, random_state, dtype, sides) if aside else data


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


def set_aside(data, fraction, random_state, dtype, sides=None):
    """Move a share of the training rows of a `Solver`'s data to the validation set.

    Parameters
    ----------
    data : dict
        With ``X_train``, ``y_train``, ``sample_weight_train`` and ``rows_train``; the last two may be None.
    fraction : float
    random_state : RandomState
    dtype : dtype
        The net's.
    sides : Sides, default=None

    Returns
    -------
    data : dict
        The same X with two sets of rows.
    """
    rows = data["rows_train"]
    rows = np.arange(len(data["X_train"])) if rows is None else rows
    X, y = data["X_train"], data["y_train"][rows]
    keys = None if sides is None else sample_keys(X, data["y_train"], rows, dtype)
    train, val = _split(rows, y, fraction, random_state, sides, keys)
    return {
        **data,
        "X_val": data["X_train"],
        "y_val": data["y_train"],
        "sample_weight_val": data["sample_weight_train"],
        "rows_train": train,
        "rows_val": val,
    }


def set_aside_and_merge(X, y, sample_weight, class_weight, fraction, random_state, sides=None):
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
    sides : Sides, default=None

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

    samples = np.repeat(np.arange(len(X)), counts)
    keys = None if sides is None else sample_keys(X, y, np.arange(len(X)), X.dtype)[samples]
    parts = _split(samples, y[samples], fraction, random_state, sides, keys)
    data = {}
    for name, part in zip(("train", "val"), parts, strict=True):
        counts = np.bincount(part, minlength=len(X))
        rows = np.flatnonzero(counts)
        merged = merge_duplicates(X[rows], y[rows], counts[rows] * weights[rows])
        data.update(zip((f"X_{name}", f"y_{name}", f"sample_weight_{name}"), merged, strict=True))
    return data


class Sides:
    """Which samples were trained on, and which were set aside, in the fits that went on from one another.

    Parameters
    ----------
    keys : dict of str to ndarray of uint64
        What an earlier one has for `keys`; empty before the first fit.

    Attributes
    ----------
    keys : dict of str to ndarray of uint64
        ``trained`` and ``validated``: the sorted keys of the samples, each as often as the sample occurred.
    """

    def __init__(self, keys):
        none = np.empty(0, np.uint64)
        self.keys = keys or {"trained": none, "validated": none}

    def of(self, keys):
        """Return which samples were trained on, and which were set aside, of those with these keys, as two masks."""
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        occurrence = np.empty(len(keys), np.intp)  # the number of each among its equals, from 0
        occurrence[order] = np.arange(len(keys)) - np.searchsorted(ordered, ordered)
        validated, trained = (self._count(name, keys) for name in ("validated", "trained"))
        is_validated = occurrence < validated
        return ~is_validated & (occurrence < validated + trained), is_validated

    def _count(self, name, keys):
        known = self.keys[name]
        return np.searchsorted(known, keys, "right") - np.searchsorted(known, keys, "left")

    def add(self, **keys):
        """Take note of samples that no fit had seen: the keys of those ``trained`` on and ``validated`` on."""
        self.keys = {name: np.sort(np.concatenate([self.keys[name], new])) for name, new in keys.items()}


def sample_keys(X, y, rows, dtype):
    """Return a number for each of these rows that is that of its content: the bytes of X in a dtype, and of y.

    Two of a million rows have the same number with a probability of 3e-8.
    """
    keys = np.empty(len(rows), np.uint64)
    y = np.ascontiguousarray(y) + 0  # of two zeros, the positive one
    for i, row in enumerate(rows):
        digest = hashlib.blake2b(y[row].tobytes(), digest_size=8, usedforsecurity=False)
        with np.errstate(over="ignore"):
            for part in _parts_of_row(X, row, dtype):
                digest.update(part)
        keys[i] = int.from_bytes(digest.digest(), "little")
    return keys


def _parts_of_row(X, row, dtype):
    """Return contiguous arrays that say what a row of an array or `CSR` holds, in a dtype, however it is stored."""
    if type(X) is not CSR:
        return [np.ascontiguousarray(X[row], dtype) + 0]
    stored = slice(*X.indptr[X.rows[row] : X.rows[row] + 2])
    order = np.argsort(X.indices[stored], kind="stable")
    columns, values = X.indices[stored][order].astype(np.int64), X.data[stored][order].astype(dtype)
    if len(columns):
        first = np.flatnonzero(np.diff(columns, prepend=-1))
        columns, values = columns[first], np.add.reduceat(values, first)
    return [columns[values != 0], values[values != 0]]


def _split(samples, y, fraction, random_state, sides=None, keys=None):
    """Return samples to train on and to validate on: those that have a side stay there, others are drawn."""
    n_val = math.ceil(fraction * len(samples))
    if sides is None:
        return _draw(samples, y, n_val, fraction, random_state)
    trained, validated = sides.of(keys)
    new = np.flatnonzero(~(trained | validated))
    n_val = min(max(n_val - np.count_nonzero(validated), 0), len(new))
    if n_val == 0 and not validated.any():
        raise ValueError(
            f"early_stopping with warm_start needs samples that were not trained on in an earlier fit, and all"
            f" {len(samples)} were: give X_val and y_val, or set early_stopping=False."
        )
    train, val = new[n_val:], new[:n_val]
    if 0 < n_val < len(new):
        train, val = _draw(new, y[new], n_val, fraction, random_state)
    sides.add(trained=keys[train], validated=keys[val])
    train, val = (np.concatenate([np.flatnonzero(known), more]) for known, more in ((trained, train), (validated, val)))
    if len(train) == 0:
        raise _none_to_train_on(fraction, len(samples))
    return samples[train], samples[val]


def _none_to_train_on(fraction, n_samples):
    return ValueError(
        f"validation_fraction={fraction} of n_samples={n_samples} (those of a weight above 0) leaves none to"
        " train on: lower it, or give X_val and y_val."
    )


def _draw(samples, y, n_val, fraction, random_state):
    """Return samples to train on and so many to validate on, stratified where the classes have enough."""
    from sklearn.model_selection import train_test_split  # three quarters of what importing sklearn_dl would take

    n_train = len(samples) - n_val
    if n_train == 0:
        raise _none_to_train_on(fraction, len(samples))
    can_stratify = False
    if y.ndim == 1:  # classes
        counts = np.bincount(y)
        counts = counts[counts > 0]
        can_stratify = counts.min() > 1 and len(counts) <= min(n_val, n_train)
    return train_test_split(samples, test_size=n_val, stratify=y if can_stratify else None, random_state=random_state)
