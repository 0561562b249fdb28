"""Heads: what is at the end of a net. A head says what targets are, and gives loss, gradient and score.

A `Net` takes one by name or as an object: ``Net(..., head="huber")``, ``Net(..., head=HuberHead(delta=0.5))``. `Head`
is the contract, for heads of one's own. The heads of this module leave all arithmetic on scores to kernels, which
training records and replays.
"""

from __future__ import annotations

import inspect
import math
from typing import Any, ClassVar

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._checks import check_real

__all__ = [
    "HEADS",
    "AbsoluteErrorHead",
    "Head",
    "HingeHead",
    "HuberHead",
    "LogisticHead",
    "PoissonHead",
    "SoftmaxHead",
    "SquaredErrorHead",
]


class Head:
    """Base of the heads: loss and gradient of scores (N, C), and the score of predictions.

    A subclass sets the attributes `name`, `score_name` and `takes_labels` and implements the methods below. Heads of
    the same class are equal if their arguments are; a constructor keeps its arguments as attributes of the same names.

    Attributes
    ----------
    name : str
        By which `Net` knows it, as its ``head``.
    score_name : str
        What evaluations and histories call the score: 'accuracy' or 'r2'.
    link : str
        The function that makes predictions of scores: 'softmax', 'logistic', 'exp' or 'identity', the default.
    takes_labels : bool
        Whether targets are the numbers of classes, int64 (N,), and not numbers (N, C) of the net's dtype.
    recordable : bool
        Whether all arithmetic is left to kernels; a subclass says so itself.

    Examples
    --------
    The fourth power of the error, scored as other regressions are:

    >>> import numpy as np
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.heads import SquaredErrorHead
    >>> from sklearn_dl.nets.layers import Affine
    >>> class FourthPowerHead(SquaredErrorHead):
    ...     name, recordable = "fourth_power", False
    ...     def loss(self, scores, targets, sample_weight, dscores, total_weight=0.0):
    ...         weight = np.ones(len(scores)) if sample_weight is None else sample_weight
    ...         share, off = weight[:, None] / (total_weight or weight.sum()), scores - targets
    ...         if dscores is not None:
    ...             dscores[...] = share * 4 * off**3
    ...         return float((share * off**4).sum())
    >>> net = Net([Affine(1)], (4,), head=FourthPowerHead(), random_state=0)
    >>> loss, grads = net.loss(np.zeros((2, 4)), np.array([1.0, 3.0]))
    >>> loss, grads["b1"]
    (41.0, array([-56.], dtype=float32))
    """

    name: ClassVar[str]
    score_name: ClassVar[str]
    link: ClassVar[str] = "identity"
    takes_labels: ClassVar[bool]
    recordable: ClassVar[bool] = False

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that it was made with.

        Returns
        -------
        dict
            Their values by name.
        """
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments().items())
        return f"{type(self).__name__}({arguments})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Head) and type(self) is type(other) and self.arguments() == other.arguments()

    def __hash__(self) -> int:
        return hash(repr(self))

    def check_targets(self, name: str, y: Any, n_samples: int, n_scores: int | None) -> np.ndarray:
        """Return targets as an array.

        Parameters
        ----------
        name : str
            What errors call y.
        y : array-like
            Targets.
        n_samples : int
            How many there must be.
        n_scores : int or None
            Scores of a sample. None where the net does not tell.

        Returns
        -------
        ndarray of shape (N,) or (N, C)
            Integers if the head takes labels. Of any dtype: the net converts them.

        Raises
        ------
        ValueError
            If they have another shape or type than the head takes, or values out of range.
        """
        raise NotImplementedError

    def loss(
        self,
        scores: np.ndarray,
        targets: np.ndarray,
        sample_weight: np.ndarray | None,
        dscores: np.ndarray | None,
        total_weight: float = 0.0,
    ) -> float:
        """Return the weighted sum of the losses over `total_weight`, or if that is 0 over the sum of the weights.

        Parameters
        ----------
        scores : ndarray of float32 or float64 of shape (N, C)
            The net's output.
        targets : ndarray of shape (N,) or (N, C)
            As `check_targets` takes them: int64 if the head takes labels, else of the dtype of scores.
        sample_weight : ndarray of float64 of shape (N,), or None
            Weights of the samples; all one without.
        dscores : ndarray of the shape and dtype of scores, or None
            Where to write the gradient of the loss with respect to the scores.
        total_weight : float, default=0.0
            Weight of the minibatch, of which these samples may be a part.

        Returns
        -------
        float
            The loss.
        """
        raise NotImplementedError

    def new_tally(self, n_scores: int) -> np.ndarray:
        """Return room for what `judge` needs or notes besides the scores.

        Parameters
        ----------
        n_scores : int
            Scores of a sample, C.

        Returns
        -------
        ndarray
            Of a shape and dtype of the head's choice. Given to the methods below.
        """
        raise NotImplementedError

    def begin_tally(self, tally: np.ndarray, targets: np.ndarray, sample_weight: np.ndarray | None) -> None:
        """Prepare the tally, in place, for an evaluation.

        Parameters
        ----------
        tally : ndarray
            From `new_tally`.
        targets : ndarray of shape (N,) or (N, C)
            Those of all samples of the evaluation.
        sample_weight : ndarray of float64 of shape (N,), or None
            Weights of the samples; all one without.
        """
        raise NotImplementedError

    def judge(
        self, scores: np.ndarray, targets: np.ndarray, sample_weight: np.ndarray | None, tally: np.ndarray
    ) -> float:
        """Return what is added up over all batches to make the score.

        Parameters
        ----------
        scores : ndarray of float32 or float64 of shape (N, C)
            Scores of a batch.
        targets : ndarray of shape (N,) or (N, C)
            Its targets.
        sample_weight : ndarray of float64 of shape (N,), or None
            Weights of its samples; all one without.
        tally : ndarray
            From `begin_tally`; may be changed.

        Returns
        -------
        float
            A term of the sum that `score_terms` makes the score of; nan if one of the scores is not finite.
        """
        raise NotImplementedError

    def score_terms(self, tally: np.ndarray) -> tuple[float, float, bool]:
        """Say how the score of an evaluation, the higher the better, is made of the sum of what was judged.

        Parameters
        ----------
        tally : ndarray
            After the last `judge`.

        Returns
        -------
        offset, sign : float
            The score is offset + sign * sum.
        by_weight : bool
            Whether the sum is first divided by the total weight of the samples, without weights their number.
        """
        raise NotImplementedError

    @property
    def fuses_linear(self) -> bool:
        """Whether a method ``loss_of_rows`` does loss and gradients of a linear net at once."""
        return False

    def constant_loss(self, shares: np.ndarray) -> float:
        """Return the loss of the best scores that are the same for all samples, which no look at X has gone into.

        Parameters
        ----------
        shares : ndarray of float64 of shape (C,)
            Share of each class, by weight.

        Returns
        -------
        float
            The loss; nan where there are no classes, or it is not known.
        """
        return math.nan

    def n_predicted(self, tally: np.ndarray) -> int:
        """Return how many different classes were predicted.

        Parameters
        ----------
        tally : ndarray
            After the last `judge`.

        Returns
        -------
        int
            0 where there are no classes.
        """
        return 0


class _LabelsHead(Head):
    """Targets are the numbers of classes; the class of the highest score is predicted."""

    score_name = "accuracy"
    takes_labels = True

    def check_targets(self, name, y, n_samples, n_scores):
        y = np.asarray(y)
        if y.shape != (n_samples,) or y.dtype.kind not in "iu":
            raise ValueError(
                f"{name} must be {n_samples} integers, one for each sample, got {y.dtype} of shape {y.shape}."
            )
        if n_scores is not None and (y.min() < 0 or y.max() >= n_scores):
            raise ValueError(f"{name} must hold integers from 0 to {n_scores - 1}, got {y.min()} to {y.max()}.")
        return y

    def new_tally(self, n_scores):
        return np.zeros(n_scores, bool)

    def begin_tally(self, tally, targets, sample_weight):
        tally[:] = False

    def judge(self, scores, targets, sample_weight, tally):
        return _ext.judge_scores(scores, targets, sample_weight, tally)

    def score_terms(self, tally):
        return 0.0, 1.0, True

    def n_predicted(self, tally):
        return int(np.count_nonzero(tally))


class SoftmaxHead(_LabelsHead):
    """Softmax and cross-entropy: each sample has one of C classes.

    Parameters
    ----------
    label_smoothing : float in [0, 1), default=0.0
        Share of each label that goes to all classes alike; see `sklearn_dl.losses.softmax_loss`.

    Examples
    --------
    >>> from sklearn_dl.nets.heads import SoftmaxHead
    >>> SoftmaxHead(label_smoothing=0.1)
    SoftmaxHead(label_smoothing=0.1)
    """

    name = link = "softmax"
    recordable = True

    def __init__(self, label_smoothing=0.0):
        self.label_smoothing = check_real("label_smoothing", label_smoothing, low=0, high=1, boundaries="left")

    @property
    def fuses_linear(self):
        """Whether `loss_of_rows` is there; it knows no label smoothing."""
        return self.label_smoothing == 0

    def loss(self, scores, targets, sample_weight, dscores, total_weight=0.0):
        return _ext.softmax_loss(scores, targets, sample_weight, dscores, total_weight, self.label_smoothing)

    def constant_loss(self, shares):
        # The entropy of the smoothed shares, which are the best probabilities.
        smoothed = (1 - self.label_smoothing) * shares + self.label_smoothing / len(shares)
        smoothed = smoothed[smoothed > 0]
        return float(-(smoothed * np.log(smoothed)).sum())

    def loss_of_rows(self, *args):
        """Return the loss of a linear net on rows of X.

        Parameters
        ----------
        *args
            Those of ``sklearn_dl._ext.linear_softmax``.

        Returns
        -------
        float
            The loss.
        """
        return _ext.linear_softmax(*args)


class HingeHead(_LabelsHead):
    """The multiclass hinge loss: each sample has one of C classes. See `sklearn_dl.losses.svm_loss`.

    Its scores do not become probabilities.

    Examples
    --------
    >>> from sklearn_dl.nets.heads import HingeHead
    >>> HingeHead().score_name
    'accuracy'
    """

    name = "hinge"
    recordable = True

    def loss(self, scores, targets, sample_weight, dscores, total_weight=0.0):
        return _ext.hinge_loss(scores, targets, sample_weight, dscores, total_weight)

    def constant_loss(self, shares):
        # With a score of 1 for the m most frequent classes and 0 for the others: m - 1, and the number of classes more
        # for samples of the others.
        rest = 1 - np.sort(shares)[::-1].cumsum()
        return float((np.arange(len(shares)) + len(shares) * rest).min())


class _PointwiseHead(Head):
    """Targets are numbers, one for each score."""

    takes_labels = False
    # The least and the largest target that makes sense.
    low: ClassVar[float] = -np.inf
    high: ClassVar[float] = np.inf

    @property
    def width(self) -> float:
        """How far from the target the kernel's square ends, where it ends."""
        return 1.0

    def check_targets(self, name, y, n_samples, n_scores):
        y = np.asarray(y)
        if y.ndim == 1 and n_scores in (1, None):
            y = y[:, None]
        n_scores = y.shape[-1] if n_scores is None else n_scores
        if y.shape != (n_samples, n_scores) or y.dtype.kind not in "biuf":
            shape = f"({n_samples}, {n_scores})" + (f" or ({n_samples},)" if n_scores == 1 else "")
            raise ValueError(f"{name} must be numbers of shape {shape}, got {y.dtype} of shape {y.shape}.")
        if not np.isfinite(y).all():
            raise ValueError(f"{name} must be finite, it holds nan or infinity.")
        if y.min() < self.low or y.max() > self.high:
            limits = f"in [{self.low:g}, {self.high:g}]" if self.high < np.inf else f"at least {self.low:g}"
            raise ValueError(f"{name} must be {limits} for the head {self.name!r}, got {y.min():g} to {y.max():g}.")
        return y

    def loss(self, scores, targets, sample_weight, dscores, total_weight=0.0):
        return _ext.pointwise_loss(self.name, scores, targets, sample_weight, dscores, total_weight, self.width)


class LogisticHead(_PointwiseHead):
    """Sigmoid and cross-entropy of each score: labels that do not exclude each other, targets in [0, 1].

    See `sklearn_dl.losses.logistic_loss`. A label is predicted where its score is above 0; the accuracy is the share
    of the samples all of whose labels are right.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine
    >>> net = Net([Affine(3)], (4,), head="logistic", random_state=0)
    >>> loss, grads = net.loss(np.ones((2, 4)), np.array([[1, 0, 1], [0, 0, 1]]))
    >>> grads["W1"].shape
    (4, 3)
    """

    name = link = "logistic"
    score_name = "accuracy"
    recordable = True
    low, high = 0.0, 1.0

    def new_tally(self, n_scores):
        return np.zeros(0)

    def begin_tally(self, tally, targets, sample_weight):
        pass

    def judge(self, scores, targets, sample_weight, tally):
        return _ext.judge_indicators(scores, targets, sample_weight)

    def score_terms(self, tally):
        return 0.0, 1.0, True


class _RegressionHead(_PointwiseHead):
    """Targets are quantities; the score is R², the mean of all outputs'.

    An output whose targets are all alike counts as 0.
    """

    score_name = "r2"

    def new_tally(self, n_scores):
        return np.zeros(n_scores)

    def begin_tally(self, tally, targets, sample_weight):
        targets = targets.astype(np.float64)
        # Less one of them, so that equal targets are zeros whatever their mean is rounded to.
        off = targets - targets[0 if sample_weight is None else np.argmax(sample_weight)]
        off -= np.average(off, axis=0, weights=sample_weight)
        total = (off**2 if sample_weight is None else sample_weight[:, None] * off**2).sum(axis=0)
        varies = total >= np.finfo(np.float64).tiny  # of a smaller one the inverse is infinite
        tally[:] = np.divide(1 / len(total), total, out=np.zeros(len(total)), where=varies)

    def judge(self, scores, targets, sample_weight, tally):
        return _ext.judge_residuals(scores, targets, sample_weight, self.link == "exp", tally)

    def score_terms(self, tally):
        return np.count_nonzero(tally) / len(tally), -1.0, False


class SquaredErrorHead(_RegressionHead):
    """Half the squared error, which the mean of the targets minimizes; see `sklearn_dl.losses.squared_error`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine
    >>> net = Net([Affine(1)], (4,), head="squared_error", random_state=0)
    >>> loss, grads = net.loss(np.zeros((2, 4)), np.array([1.0, 3.0]))
    >>> loss, grads["b1"]
    (2.5, array([-2.], dtype=float32))
    """

    name = "squared_error"
    recordable = True


class AbsoluteErrorHead(_RegressionHead):
    """The absolute error, which the median of the targets minimizes; see `sklearn_dl.losses.absolute_error`.

    Examples
    --------
    >>> from sklearn_dl.nets.heads import AbsoluteErrorHead
    >>> AbsoluteErrorHead().score_name
    'r2'
    """

    name = "absolute_error"
    recordable = True


class HuberHead(_RegressionHead):
    """Huber's loss: half the squared error near the target, linear beyond; see `sklearn_dl.losses.huber_loss`.

    Parameters
    ----------
    delta : float, default=1.0
        How far from the target the square ends. Above 0.

    Examples
    --------
    >>> from sklearn_dl.nets.heads import HuberHead
    >>> HuberHead(delta=0.5)
    HuberHead(delta=0.5)
    """

    name = "huber"
    recordable = True

    def __init__(self, delta=1.0):
        self.delta = check_real("delta", delta, low=0, boundaries="neither")

    @property
    def width(self):
        """What the kernel calls delta."""
        return self.delta


class PoissonHead(_RegressionHead):
    """Negative log-likelihood of counts; see `sklearn_dl.losses.poisson_loss`.

    Scores are the logarithms of the predicted means, targets at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine
    >>> net = Net([Affine(1)], (4,), head="poisson", random_state=0)
    >>> X = np.ones((2, 4))
    >>> means = np.exp(net.loss(X))
    >>> means.shape
    (2, 1)
    """

    name, link = "poisson", "exp"
    recordable = True
    low = 0.0


HEADS: dict[str, type[Head]] = {
    cls.name: cls
    for cls in (
        SoftmaxHead,
        HingeHead,
        LogisticHead,
        SquaredErrorHead,
        AbsoluteErrorHead,
        HuberHead,
        PoissonHead,
    )
}


def make_head(head: str | Head) -> Head:
    """Return the head of this name, or the head itself.

    Raises
    ------
    TypeError, ValueError
        If it is neither.
    """
    if isinstance(head, Head):
        return head
    if not isinstance(head, str):
        raise TypeError(f"head must be one of {', '.join(map(repr, HEADS))} or a Head, got {head!r}.")
    if head not in HEADS:
        raise ValueError(f"head must be one of {', '.join(map(repr, HEADS))} or a Head, got {head!r}.")
    return HEADS[head]()
