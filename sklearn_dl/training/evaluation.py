"""Evaluation: score and loss of a net on samples, in test mode."""

import math
from typing import NamedTuple

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._csr import as_given
from sklearn_dl.training.batches import batches

# Rows in one forward pass when nothing is learned from them.
EVALUATION_BATCH = 256


class Evaluation(NamedTuple):
    """Score, weighted mean loss, and how many classes were predicted.

    The score is what the net's head says, accuracy or R². The loss has no penalty, and is nan where the net's loss is
    one of its own.
    """

    score: float
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
    head : Head
        Judges the scores.
    samples : Samples
    with_loss : bool
        False where the net is not trained on the head's loss: the loss is then nan.
    """

    def __init__(self, net, head, samples, *, with_loss):
        self.net, self.head, self.samples, self.with_loss = net, head, samples, with_loss
        self._tally = self._begun = None  # the head's, and a copy of it as it was before the rows that it is for
        self._rows = None

    def evaluate(self, rows, batch_size=EVALUATION_BATCH):
        """Return the `Evaluation` of some rows.

        Raises
        ------
        NotFiniteError
            If a score is nan or infinite: argmax would call nan the best score, and a net that has diverged a good one.
        """
        if rows is not self._rows:
            self._rows, self._begun = rows, None
        if self._tally is not None:
            self._begin_tally()
        numbers = np.array(list(self._numbers(rows, batch_size))).T
        (score,), (loss,) = self.judge(numbers[None], rows)
        if math.isnan(score):
            raise NotFiniteError
        return Evaluation(float(score), float(loss), self.head.n_predicted(self._tally))

    def judge(self, numbers, rows):
        """Return scores and losses of several evaluations of some rows.

        Parameters
        ----------
        numbers : ndarray of float64 of shape (evaluations, numbers of a batch, batches)
            What `_batch` returns of each.
        rows : ndarray of intp
            Those of the last `evaluate`.

        Returns
        -------
        scores, losses : ndarray of float64 of shape (evaluations,)
        """
        totals = np.add.accumulate(numbers, axis=2)[:, :, -1]  # one after the other, however many there are
        weight = len(rows) if self.samples.sample_weight is None else totals[:, 1]
        losses = totals[:, -1] / weight if self.with_loss else np.full(len(totals), math.nan)
        offset, sign, by_weight = self.head.score_terms(self._tally)
        return offset + sign * (totals[:, 0] / (weight if by_weight else 1.0)), losses

    @property
    def is_ready(self):
        """Whether there was an `evaluate`."""
        return self._tally is not None

    def score_of(self, rows, monitor):
        """Say how the score of some rows is made of the numbers of their batches, see `_ext.Epochs`.

        Parameters
        ----------
        rows : ndarray of intp
            Those of the last `evaluate`.
        monitor : str
            The head's `score_name`, or 'loss'.

        Returns
        -------
        number, weight, total, sign, offset : tuple
            The score is offset + sign * sum of a number / sum of another (of total, where its place is -1).
        """
        weighted = self.samples.sample_weight is not None
        number, offset, sign, by_weight = 1 + weighted, 0.0, -1.0, True
        if monitor != "loss":
            number, (offset, sign, by_weight) = 0, self.head.score_terms(self._tally)
        if not by_weight:
            return number, -1, 1.0, sign, offset
        return number, 1 if weighted else -1, len(rows), sign, offset

    def passes(self, rows, batch_size=EVALUATION_BATCH):
        """Return how to evaluate rows without Python, see `RecordedEvaluator`; None: not at all."""
        return None

    def _begin_tally(self):
        """Prepare the tally for the rows; for those of the evaluation before, it is the same as it was then."""
        if self._begun is not None:
            self._tally[...] = self._begun
            return
        weight = self.samples.sample_weight
        targets = self.samples.y[self._rows]
        self.head.begin_tally(self._tally, targets, None if weight is None else weight[self._rows])
        self._begun = self._tally.copy()

    def _numbers(self, rows, batch_size):
        """Yield what `_batch` returns of each batch."""
        for part in batches(len(rows), batch_size):
            yield self._batch(rows[part])

    def _batch(self, rows):
        """Return what the head judged, the weight of the rows (if they are weighted), the summed loss."""
        X, y, weight = self.samples.gather(rows)
        scores = np.ascontiguousarray(self._scores(X))
        if self._tally is None or self._tally_of != scores.shape[1]:
            self._tally, self._tally_of = self.head.new_tally(scores.shape[1]), scores.shape[1]
            self._begun = None
            self._begin_tally()
        numbers = [self.head.judge(scores, y, weight, self._tally)]
        if weight is not None:
            numbers.append(_ext.sum_of_weights(weight))
        if self.with_loss:
            numbers.append(self.head.loss(scores, y, weight, None, 1.0))  # over a total of one: the sum
        return numbers

    def _scores(self, X):
        return self.net.loss(as_given(X))
