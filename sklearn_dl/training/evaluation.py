"""Evaluation: accuracy and loss of a net on samples, in test mode."""

import math
from typing import NamedTuple

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._csr import as_given

# Rows in one forward pass when nothing is learned from them.
EVALUATION_BATCH = 256


class Evaluation(NamedTuple):
    """Weighted mean accuracy and loss, and how many classes were predicted.

    The loss has no penalty, and is nan where the net's loss is one of its own.
    """

    accuracy: float
    loss: float
    n_classes: int


# Where there is no validation set.
NO_EVALUATION = Evaluation(math.nan, math.nan, 0)


class NotFiniteError(ValueError):
    """Scores are nan or infinite."""


class Evaluator:
    """Evaluates a net on samples, batch by batch.

    Parameters
    ----------
    net : Net
        Anything with ``loss(X)``.
    samples : Samples
    with_loss : bool
        False where the net is not trained on softmax and cross-entropy: the loss is then nan.
    """

    def __init__(self, net, samples, *, with_loss):
        self.net, self.samples, self.with_loss = net, samples, with_loss
        self._predicted = np.zeros(0, bool)

    def evaluate(self, rows, batch_size=EVALUATION_BATCH):
        """Return the `Evaluation` of some rows.

        Raises
        ------
        NotFiniteError
            If a score is nan or infinite: argmax would call nan the best score, and a net that has diverged a good one.
        """
        self._predicted[:] = False
        numbers = np.array(list(self._numbers(rows, batch_size))).T
        (accuracy,), (loss,) = self.judge(numbers[None], rows)
        if math.isnan(accuracy):
            raise NotFiniteError
        return Evaluation(float(accuracy), float(loss), int(np.count_nonzero(self._predicted)))

    def judge(self, numbers, rows):
        """Return accuracies and losses of several evaluations of some rows.

        Parameters
        ----------
        numbers : ndarray of float64 of shape (evaluations, numbers of a batch, batches)
            What `_batch` returns of each.
        rows : ndarray of intp

        Returns
        -------
        accuracies, losses : ndarray of float64 of shape (evaluations,)
        """
        totals = np.add.accumulate(numbers, axis=2)[:, :, -1]  # one after the other, however many there are
        weight = len(rows) if self.samples.sample_weight is None else totals[:, 1]
        losses = totals[:, -1] / weight if self.with_loss else np.full(len(totals), math.nan)
        return totals[:, 0] / weight, losses

    def score_of(self, rows, monitor):
        """Say how the score of some rows is made of the numbers of their batches, see `_ext.Epochs`.

        Parameters
        ----------
        rows : ndarray of intp
        monitor : {'accuracy', 'loss'}

        Returns
        -------
        number, weight, total, sign : tuple
            The score is sign * sum of a number / sum of another (of total, where its place is -1).
        """
        weighted = self.samples.sample_weight is not None
        number, sign = (0, 1.0) if monitor == "accuracy" else (1 + weighted, -1.0)
        return number, 1 if weighted else -1, len(rows), sign

    def passes(self, rows, batch_size=EVALUATION_BATCH):
        """Return how to evaluate rows without Python, see `RecordedEvaluator`; None: not at all."""
        return None

    def _numbers(self, rows, batch_size):
        """Yield what `_batch` returns of each batch."""
        for start in range(0, len(rows), batch_size):
            yield self._batch(rows[start : start + batch_size])

    def _batch(self, rows):
        """Return the weight of the rows classified correctly, that of all (if they are weighted), the summed loss."""
        X, y, weight = self.samples.gather(rows)
        scores = np.ascontiguousarray(self._scores(X))
        if len(self._predicted) != scores.shape[1]:
            self._predicted = np.zeros(scores.shape[1], bool)
        numbers = [_ext.judge_scores(scores, y, weight, self._predicted)]
        if weight is not None:
            numbers.append(_ext.sum_of_weights(weight))
        if self.with_loss:
            numbers.append(_ext.softmax_loss(scores, y, weight, None, 1.0))  # over a total of one: the sum
        return numbers

    def _scores(self, X):
        return self.net.loss(as_given(X))
