"""Prediction: a net's scores of rows that were not gathered for training."""

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._arrays import is_finite
from sklearn_dl._csr import CSR, as_given
from sklearn_dl._threads import ThreadTuner, hold_threads
from sklearn_dl.nets.net import predicts_through_loss
from sklearn_dl.training.batches import batches
from sklearn_dl.training.evaluation import EVALUATION_BATCH


def predict_scores(net, X, *, is_plain, check):
    """Return the net's scores of X, a bounded batch at a time.

    Parameters
    ----------
    net : Net
    X : array-like
    is_plain : bool
        Whether X is an array of the net's samples in which nothing but nan and infinity may be wrong.
    check : callable
        Returns X as an array or `CSR` of the net's samples, or raises an error that says what is wrong with it.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_outputs)
        In the net's dtype.

    Raises
    ------
    ValueError
        If a score is infinite or nan.
    """
    few = is_plain and len(X) <= EVALUATION_BATCH and X.dtype == net.dtype and is_finite(X)
    if few and not predicts_through_loss(net):
        # For a few rows, preparing batches would take as long as the arithmetic.
        scores = net.scores(X)
    else:
        scores = _scores_in_batches(net, X, is_plain, check)
    if not _ext.all_finite(scores, 1):
        raise ValueError(f"X holds values too large for the net: in {scores.dtype}, some scores are infinite or nan.")
    return scores


def _scores_in_batches(net, X, is_plain, check):
    with hold_threads(), np.errstate(over="ignore", invalid="ignore"):
        if not is_plain:
            X = check(X)
        is_sparse = type(X) is CSR
        if is_sparse:
            X = X.astype(net.dtype)
        through_loss = predicts_through_loss(net)
        work = net.workspace()
        scores = np.empty((len(X), net.num_classes), dtype=net.dtype)
        for part in batches(len(X), EVALUATION_BATCH, ThreadTuner()):
            batch = X[part]
            if not is_sparse:
                batch = np.ascontiguousarray(batch, dtype=net.dtype)
            # Checked a batch at a time, while it is in the cache.
            if is_plain and not is_finite(batch):
                check(X)
            scores[part] = net.loss(as_given(batch)) if through_loss else net.scores(batch, work)
    return scores
