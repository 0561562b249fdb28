"""What `fit` and `predict` do to X, y and weights before the solver sees them: functions on arrays."""

from contextlib import contextmanager

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, assert_all_finite, column_or_1d

from sklearn_dl import _ext
from sklearn_dl._threads import n_threads


@contextmanager
def named(name):
    """Let the errors of scikit-learn's checks, which speak of X and sample_weight, name the argument."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from error


def flatten_images(X):
    """Return images (n, C, H, W) as rows (n, C * H * W) and (C, H, W); anything else as it is and None."""
    if isinstance(X, (list, tuple)):
        with named("X"):
            X = np.asarray(X)
    if getattr(X, "ndim", 2) < 3:
        return X, None
    if X.ndim != 4 or 0 in X.shape:
        raise ValueError(
            "X must be rows (n_samples, n_features) or images (n_samples, C, H, W) that are not empty, got shape"
            f" {tuple(X.shape)}."
        )
    return X.reshape(len(X), -1), tuple(X.shape[1:])


def as_native(X):
    """Return numbers as the kernels read them: aligned and in this machine's byte order."""
    if X.dtype.kind not in "biuf":
        raise TypeError(f"X must hold numbers, got dtype {X.dtype}.")
    return np.require(X, X.dtype.newbyteorder("="), ["ALIGNED"])


def is_finite(X):
    """Return whether X holds neither nan nor infinity; False where only scikit-learn can tell."""
    plain = type(X) is np.ndarray and X.dtype in (np.float32, np.float64) and X.flags.c_contiguous and X.flags.aligned
    return plain and _ext.all_finite(X, n_threads())


def check_labels(name, labels):
    """Return an array (n,) of labels, checked as scikit-learn checks y."""
    with named(name):
        labels = column_or_1d(labels)
        assert_all_finite(labels)
        check_classification_targets(labels)
    return labels


def check_weights(name, sample_weight, X):
    """Return weights of the rows of X in float64, checked."""
    with named(name):
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not (np.isfinite(weights).all() and weights.any()):
        raise ValueError(f"{name} must hold finite numbers of at least 0, not all of them 0, got {weights}.")
    return weights


def merge_duplicates(X, y, sample_weight):
    """Return X, y, weights with equal (row, class) pairs merged into one of their total weight, sorted.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    y : ndarray of int of shape (n,)
    sample_weight : ndarray of float64 of shape (n,), or None

    Returns
    -------
    X, y : ndarray of shape (m, n_features), (m,)
    sample_weight : ndarray of shape (m,), or None where all weights are equal
    """
    first, group = canonical_order(X, y)
    return X[first], y[first], drop_uniform(np.bincount(group, weights=sample_weight))


def canonical_order(X, *columns):
    """Return which rows of (X, columns) there are, sorted, and which of these each row is.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    *columns : ndarray of shape (n,)

    Returns
    -------
    first : ndarray of int of shape (m,)
        The first row of each group of equal rows.
    group : ndarray of int of shape (n,)
    """
    parts = (np.ascontiguousarray(part.reshape(len(X), -1)).view(np.uint8) for part in (X, *columns))
    keys = np.hstack(list(parts))
    keys = keys.view(np.dtype((np.void, keys.shape[1]))).ravel()
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return first, group


def drop_uniform(sample_weight):
    """Return None in place of weights that are all the same."""
    return None if (sample_weight == sample_weight[0]).all() else np.asarray(sample_weight, float)
