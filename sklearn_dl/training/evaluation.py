"""Evaluation: accuracy and loss of a net on samples, in test mode."""

import math
from typing import NamedTuple

import numpy as np

from sklearn_dl import _ext

# Rows in one forward pass when nothing is learned from them.
EVALUATION_BATCH = 256


class Evaluation(NamedTuple):
    """Weighted mean accuracy and loss, and how many classes were predicted.

    The loss has no penalty, and is nan where the net's loss is one of its own.
    """

    accuracy: float
    loss: float
    n_classes: int


class NotFiniteError(ValueError):
    """Scores are nan or infinite."""


def evaluate(net, samples, rows, batch_size=EVALUATION_BATCH, *, with_loss=True):
    """Return the `Evaluation` of a net on some rows.

    Parameters
    ----------
    net : Net
        Anything with ``loss(X)``.
    samples : Samples
    rows : ndarray of int
    batch_size : int
    with_loss : bool, default=True
        False where the net is not trained on softmax and cross-entropy: the loss is then nan.

    Raises
    ------
    NotFiniteError
        If a score is nan or infinite: argmax would call nan the best score, and a net that has diverged a good one.
    """
    correct = np.empty(len(rows), dtype=bool)
    total = 0.0 if with_loss else math.nan
    predicted = set()
    for start in range(0, len(rows), batch_size):
        X, y, weight = samples.gather(rows[start : start + batch_size])
        scores = net.loss(X)
        if not np.isfinite(scores).all():
            raise NotFiniteError
        best = scores.argmax(axis=1)
        np.equal(best, y, out=correct[start : start + batch_size])
        predicted.update(np.unique(best).tolist())
        if with_loss:
            # Over a total of one: the weighted sum.
            total += _ext.softmax_loss(scores, y.astype(np.int64, copy=False), weight, None, 1.0)
    weights = None if samples.sample_weight is None else samples.sample_weight[rows]
    accuracy = float(correct.mean() if weights is None else np.average(correct, weights=weights))
    return Evaluation(accuracy, total / (len(rows) if weights is None else float(weights.sum())), len(predicted))
