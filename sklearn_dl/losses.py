"""Losses: from scores and labels to the mean loss and its gradient with respect to the scores."""

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._arrays import as_floats, check_batch, check_shape, normalized_weights, output

_LARGEST = float(np.finfo(np.float64).max)


def softmax_loss(x, y, *, sample_weight=None, out=None):
    """Softmax and cross-entropy.

    Parameters
    ----------
    x : ndarray of shape (N, C)
        Scores.
    y : ndarray of shape (N,)
        Labels, integers from 0 to C - 1.
    sample_weight : array-like of shape (N,), optional
        Weights of the samples; all one without.
    out : ndarray of shape (N, C), optional
        Where to write the gradient; may be x itself.

    Returns
    -------
    loss : float
        ``-log(softmax(x)[i, y[i]])``, averaged over the samples with their weights. Finite
        for any finite scores: beyond the largest float64 it is that number.
    dx : ndarray of shape (N, C)
        ``(softmax(x) - onehot(y)) / N``, or the sample's share of the weights in place of 1/N.

    Raises
    ------
    TypeError
        If y does not hold integers.
    ValueError
        If the batch is empty, shapes do not fit together, or a label or weight is out of range.

    Notes
    -----
    Computed from scores less the largest of their row (Goodfellow, Bengio & Courville, "Deep
    learning", section 4.1).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.losses import softmax_loss
    >>> loss, dx = softmax_loss(np.array([[0.0, 0.0], [0.0, np.log(3)]]), np.array([0, 1]))
    >>> round(loss, 4), dx
    (0.4904, array([[-0.25 ,  0.25 ], [ 0.125, -0.125]]))
    """
    x, y, weights, dx = _prepare(x, y, sample_weight, out)
    return _ext.softmax_loss(x, y, weights, dx), dx


def svm_loss(x, y, *, sample_weight=None, out=None):
    """Multiclass hinge loss with margin 1.

    Parameters
    ----------
    x : ndarray of shape (N, C)
        Scores.
    y : ndarray of shape (N,)
        Labels, integers from 0 to C - 1.
    sample_weight : array-like of shape (N,), optional
        Weights of the samples; all one without.
    out : ndarray of shape (N, C), optional
        Where to write the gradient; may be x itself.

    Returns
    -------
    loss : float
        ``sum(max(0, x[i, j] - x[i, y[i]] + 1) for j != y[i])``, averaged over the samples with
        their weights. Finite for any finite scores: beyond the largest float64 it is that number.
    dx : ndarray of shape (N, C)
        Its gradient.

    Raises
    ------
    TypeError
        If y does not hold integers.
    ValueError
        If the batch is empty, shapes do not fit together, or a label or weight is out of range.

    Notes
    -----
    Weston & Watkins, "Support vector machines for multi-class pattern recognition", ESANN 1999.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.losses import svm_loss
    >>> loss, dx = svm_loss(np.array([[3.0, 2.5, 0.0], [0.0, 0.0, 4.0]]), np.array([0, 2]))
    >>> loss, dx
    (0.25, array([[-0.5,  0.5,  0. ], [ 0. ,  0. ,  0. ]]))
    """
    x, y, weights, dx = _prepare(x, y, sample_weight, out)
    n_samples, n_classes = x.shape
    bad = y[(y < 0) | (y >= n_classes)]
    if bad.size:
        raise ValueError(f"y must be in [0, {n_classes}), got {bad[0]}")
    share = 1 / n_samples if weights is None else weights[:, None]
    rows = np.arange(n_samples)
    with np.errstate(over="ignore"):
        margins = np.maximum(0, x.astype(np.float64) - x[rows, y][:, None] + 1)
        margins[rows, y] = 0
        loss = float(np.sum(np.minimum(margins, _LARGEST) * share))
    np.greater(margins, 0, out=dx, casting="unsafe")
    dx[rows, y] = 0 - dx.sum(axis=1)
    np.multiply(dx, share, out=dx, casting="same_kind")
    # Not the other way round, which would hide NaN.
    return (_LARGEST if loss > _LARGEST else loss), dx


def _prepare(x, y, sample_weight, out):
    """Check the arguments; return scores, labels, weights (or None) and where dx goes."""
    (x,) = as_floats(x=x)
    check_batch("x", x, 2, "(N, C)")
    n_samples = x.shape[0]
    y = np.asarray(y)
    if y.dtype.kind not in "iu":
        raise TypeError(f"y must hold integers, the indices of the classes, got dtype {y.dtype}")
    check_shape("y", y, (n_samples,), "(N,)")
    y = np.ascontiguousarray(y, np.int64)
    weights = None if sample_weight is None else normalized_weights(sample_weight, n_samples)
    return x, y, weights, output(out, x.shape, x.dtype)
