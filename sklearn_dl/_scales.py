"""Detection of a validation set that was not transformed as the training set was.

The test: for each feature, the share of one set's values outside the range of the other's. For two random samples it is
small, whatever the distribution. Rejected: means and standard deviations, which are meaningless with heavy tails; a
distance of the distributions, which is about the same for a drift by one standard deviation and for a scale of 1 : 100.
"""

import numpy as np
from scipy.sparse import issparse

from sklearn_dl._csr import as_given
from sklearn_dl._warn import warn_caller

# So many rows and columns are looked at, evenly spaced; no more of a memory map is read.
_ROWS, _COLUMNS = 256, 1000
# With fewer values in one of the sets, too many of the other's are outside by chance.
_FEW = 20


def warn_of_other_scale(X, X_val):
    """Warn if X_val lies elsewhere than X in most of the features.

    Parameters
    ----------
    X, X_val : ndarray, CSR or sparse array of shape (n, n_features), (m, n_features)
        Finite real numbers.

    Warns
    -----
    UserWarning
        If it does.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        warns = is_on_other_scale(X, X_val)
    if warns:
        warn_caller(
            "X_val is on another scale than X: in most features, the values of one lie where the other has none. Was"
            " only one of them transformed? A Pipeline transforms X_val as it does X only if it is told so:"
            " Pipeline(..., transform_input=['X_val']), with metadata routing enabled and set_fit_request(X_val=True,"
            " y_val=True) on the net. Elsewhere, transform X_val by hand."
        )


def is_on_other_scale(X, X_val):
    """Return whether X_val lies elsewhere than X in most of the features: on another scale, or not centred as X is."""
    fewest = min(X.shape[0], X_val.shape[0])
    if fewest < _FEW:
        return False
    first, second, first_counts, second_counts = _informative(_sample(X), _sample(X_val))
    if not first.size:
        return False

    def apart(margin):
        """Return the mean over the features of the larger share of one set's values outside the other's range."""
        shares = _outside(first, second, first_counts, margin), _outside(second, first, second_counts, margin)
        return np.maximum(*shares).mean()

    # Drift moves values out of the range, but rarely by half of its length.
    if apart(0.5) > 0.5 + 1 / fewest:
        return True
    not_centred = max(_centred_but(first, second), _centred_but(second, first))
    return not_centred >= 0.8 and apart(0) > 0.5


def _sample(X):
    """Return some rows and columns of X in double precision."""
    rows, columns = (
        np.linspace(0, length - 1, min(length, most)).astype(np.intp)
        for length, most in zip(X.shape, (_ROWS, _COLUMNS), strict=True)
    )
    sample = as_given(X[rows])[:, columns]
    return (sample.toarray() if issparse(sample) else sample).astype(np.float64)


def _informative(first, second):
    """Return both without the features that say nothing, and which of their values count.

    A value that is the median of both sets, such as the 0 of counts and of the edges of images, says nothing about the
    scale and does not count. A feature with few other values is left out.
    """
    median = np.median(first, axis=0)
    median[median != np.median(second, axis=0)] = np.nan  # which no value is equal to
    first_counts, second_counts = first != median, second != median
    kept = np.minimum(first_counts.sum(axis=0), second_counts.sum(axis=0)) >= _FEW
    return first[:, kept], second[:, kept], first_counts[:, kept], second_counts[:, kept]


def _outside(values, others, counts, margin):
    """Return for each feature the share of values outside the range of the others, longer at each end by `margin`."""
    low, high = others.min(axis=0), others.max(axis=0)
    margin = margin * (high - low)
    outside = (values < low - margin) | (values > high + margin)
    return (outside & counts).sum(axis=0) / counts.sum(axis=0)


def _centred_but(values, others):
    """Return the share of features where `values` are centred and the others all have one sign."""
    centred = np.abs(values.mean(axis=0)) <= 0.3 * values.std(axis=0)
    one_sign = (others.min(axis=0) >= 0) | (others.max(axis=0) <= 0)
    return (centred & one_sign).mean()
