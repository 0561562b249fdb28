"""Heads: what stands behind a net's scores. A head says what targets are, and gives loss, gradient and score.

A net is given one by name or as an object. `Head` is the contract; the library's own heads leave all arithmetic on
scores to kernels, which training records and replays.
"""

from __future__ import annotations

import inspect
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

    A subclass states `name`, `score_name` and `takes_labels`, and implements the methods below. Heads are equal whose
    class and arguments are.
    """

    # By which `Net(head=…)` knows it.
    name: ClassVar[str]
    # What evaluations and histories call the score: 'accuracy' or 'r2'.
    score_name: ClassVar[str]
    # Whether targets are the numbers of classes, int64 (N,), and not numbers (N, C) of the net's dtype.
    takes_labels: ClassVar[bool]
    # Whether all arithmetic is left to kernels; a subclass says so itself.
    recordable: ClassVar[bool] = False

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that it was made with."""
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
        n_samples : int
        n_scores : int or None
            None where the net does not tell.

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
        total: float = 0.0,
    ) -> float:
        """Return the weighted sum of the losses over `total`, or if that is 0 over the sum of the weights.

        Parameters
        ----------
        scores : ndarray of float32 or float64 of shape (N, C)
        targets : ndarray of shape (N,) or (N, C)
            Not checked.
        sample_weight : ndarray of float64 of shape (N,), or None
        dscores : ndarray of the shape and dtype of scores, or None
            Where to write the gradient.
        total : float, default=0.0
        """
        raise NotImplementedError

    def new_tally(self, n_scores: int) -> np.ndarray:
        """Return room for what `judge` needs or notes besides the scores."""
        raise NotImplementedError

    def begin_tally(self, tally: np.ndarray, targets: np.ndarray, sample_weight: np.ndarray | None) -> None:
        """Prepare the tally, in place, for an evaluation of samples with these targets."""
        raise NotImplementedError

    def judge(
        self, scores: np.ndarray, targets: np.ndarray, sample_weight: np.ndarray | None, tally: np.ndarray
    ) -> float:
        """Return what is added up over all batches to make the score; nan if a score is not finite."""
        raise NotImplementedError

    def score_terms(self, tally: np.ndarray) -> tuple[float, float, bool]:
        """Return offset, sign and by_weight of the score of an evaluation, the higher the better.

        It is offset + sign * (sum of what was judged), this sum divided by the total weight of the samples (their
        number without weights) if by_weight.
        """
        raise NotImplementedError

    @property
    def fuses_linear(self) -> bool:
        """Whether `loss_of_rows` does loss and gradients of a linear net at once."""
        return False

    def n_predicted(self, tally: np.ndarray) -> int:
        """Return how many classes were predicted, 0 where there are none."""
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

    name = "softmax"
    recordable = True

    def __init__(self, label_smoothing=0.0):
        self.label_smoothing = check_real("label_smoothing", label_smoothing, low=0, high=1, boundaries="left")

    @property
    def fuses_linear(self):
        """Whether `loss_of_rows` is there; it knows no label smoothing."""
        return self.label_smoothing == 0

    def loss(self, scores, targets, sample_weight, dscores, total=0.0):
        return _ext.softmax_loss(scores, targets, sample_weight, dscores, total, self.label_smoothing)

    def loss_of_rows(self, *args):
        """Return the loss of a linear net on rows of X, see `sklearn_dl._ext.linear_softmax`."""
        return _ext.linear_softmax(*args)


class HingeHead(_LabelsHead):
    """The multiclass hinge loss: each sample has one of C classes. There are no probabilities.

    Examples
    --------
    >>> from sklearn_dl.nets.heads import HingeHead
    >>> HingeHead().score_name
    'accuracy'
    """

    name = "hinge"
    recordable = True

    def loss(self, scores, targets, sample_weight, dscores, total=0.0):
        return _ext.hinge_loss(scores, targets, sample_weight, dscores, total)


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

    def loss(self, scores, targets, sample_weight, dscores, total=0.0):
        return _ext.pointwise_loss(self.name, scores, targets, sample_weight, dscores, total, self.width)


class LogisticHead(_PointwiseHead):
    """Sigmoid and cross-entropy of each score alone: labels that do not exclude each other, targets in [0, 1].

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

    name = "logistic"
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
    predicts_exp: ClassVar[bool] = False

    def new_tally(self, n_scores):
        return np.zeros(n_scores)

    def begin_tally(self, tally, targets, sample_weight):
        targets = targets.astype(np.float64)
        off = targets - np.average(targets, axis=0, weights=sample_weight)
        total = (off**2 if sample_weight is None else sample_weight[:, None] * off**2).sum(axis=0)
        tally[:] = np.divide(1 / len(total), total, out=np.zeros(len(total)), where=total > 0)

    def judge(self, scores, targets, sample_weight, tally):
        return _ext.judge_residuals(scores, targets, sample_weight, self.predicts_exp, tally)

    def score_terms(self, tally):
        return np.count_nonzero(tally) / len(tally), -1.0, False


class SquaredErrorHead(_RegressionHead):
    """Half the squared error, whose least has the mean."""

    name = "squared_error"
    recordable = True


class AbsoluteErrorHead(_RegressionHead):
    """The absolute error, whose least has the median."""

    name = "absolute_error"
    recordable = True


class HuberHead(_RegressionHead):
    """Huber's loss: half the squared error near the target, the absolute error beyond.

    Parameters
    ----------
    delta : float, default=1.0
        How far from the target the square ends.
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
    """Negative log-likelihood of counts; scores are the logarithms of the predicted means, targets at least 0."""

    name = "poisson"
    recordable = True
    low = 0.0
    predicts_exp = True


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
