"""Tasks: what y means. They stand between y as users have it and the targets that a net's head takes.

Tasks are values: they hold what was learned of y, and no estimator.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit, log_expit
from sklearn.utils.multiclass import type_of_target

from sklearn_dl import _ext
from sklearn_dl._arrays import all_finite
from sklearn_dl._checks import check_real
from sklearn_dl._inputs import check_labels, check_quantities

__all__ = ["Classification", "Multilabel", "Regression"]

# Targets that vary by less than this share of their size differ by rounding.
ROUNDING = 10 * np.finfo(np.float64).eps

# From targets that are larger, nothing can be learned: update rules square gradients, and float32 ends at 3e38.
LARGEST_TARGET = 1e18

# Squares of numbers of smaller exponents of two, and sums of these, are in the range of float64.
EXPONENTS = 400

# Beyond as many times the scale of y, a later part of it is on another scale.
FAR = 100


@dataclass(frozen=True)
class Classification:
    """Each sample has one of several classes; its target is the class's number.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        The labels, sorted.
    """

    classes: np.ndarray
    what: ClassVar[str] = "labels of shape (n_samples,)"

    @staticmethod
    def as_y(name, y, sample_weight=None):
        """Return y as an array of labels, checked as scikit-learn checks y."""
        return check_labels(name, y)

    @classmethod
    def of_labels(cls, y):
        """Return the task whose classes are those of y."""
        return cls(np.unique(y))

    @classmethod
    def of_classes(cls, classes):
        """Return the task of the classes that a user lists."""
        return cls(np.unique(check_labels("classes", classes)))

    @property
    def n_outputs(self):
        """How many scores a net has for it."""
        return len(self.classes)

    def encode(self, y, *, name="y", among="among classes"):
        """Return the targets of labels, an array of int of shape (n_samples,).

        Raises
        ------
        ValueError
            If a label is not one of the classes.
        """
        if y.dtype.kind == self.classes.dtype.kind != "O":
            targets = np.searchsorted(self.classes, y)
            if (self.classes.take(targets, mode="clip") == y).all():
                return targets
        unseen = np.setdiff1d(y, self.classes)
        if len(unseen):
            raise ValueError(f"{name} has labels {unseen}, which are not {among} {self.classes}.")
        return np.searchsorted(self.classes, y)

    def totals(self, targets, sample_weight):
        """Return the total weight of each class."""
        return np.bincount(targets, sample_weight, minlength=self.n_outputs)

    def class_weights(self, class_weight, totals):
        """Return one weight for each class.

        Parameters
        ----------
        class_weight : dict, 'balanced'
        totals : ndarray of shape (n_classes,)
            The total weight of each class so far.
        """
        if isinstance(class_weight, str):
            shares = np.divide(1, totals, out=np.zeros(len(totals)), where=totals > 0)
            return shares * totals.sum() / np.count_nonzero(totals)
        given = {label: check_real(f"class_weight[{label!r}]", weight, low=0) for label, weight in class_weight.items()}
        labels = self.classes.tolist()
        # As scikit-learn has it: labels that are not here do not matter, unless they are a slip for one that is.
        if len(given.keys() & set(labels)) < min(len(given), len(labels)):
            raise ValueError(f"class_weight={class_weight!r} has labels that are not among the classes {self.classes}.")
        return np.array([given.get(label, 1.0) for label in labels])

    # ---------------------------------------------------- from scores to answers

    def labels(self, scores):
        """Return the label of the highest score of each row."""
        return self.classes[scores.argmax(axis=1)]

    @staticmethod
    def decision(scores):
        """Return the scores; for two classes, the second's less the first's."""
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    @staticmethod
    def probabilities(scores, *, take_log=False):
        """Return the softmax of scores, or its logarithm; may overwrite the scores.

        In double precision whatever the net's: single would round small probabilities to zero.
        """
        scores = scores.astype(np.float64, copy=False)
        (_ext.log_softmax if take_log else _ext.softmax)(scores, scores)
        return scores


@dataclass(frozen=True)
class Multilabel:
    """Each sample has any number of several labels; its targets are an indicator for each.

    Parameters
    ----------
    n_outputs : int
        How many labels there are.
    label_smoothing : float in [0, 1), default=0.0
        By how much targets of 1 are lower; half of that is added to all.
    """

    n_outputs: int
    label_smoothing: float = 0.0
    what: ClassVar[str] = "indicators of shape (n_samples, n_labels)"

    @staticmethod
    def is_meant(y):
        """Return whether y, an array, sparse matrix or data frame, has a column for each of several labels."""
        return np.ndim(y) == 2 and y.shape[1] > 1

    @staticmethod
    def as_y(name, y, sample_weight=None):
        """Return y, indicators (n, k), as an array of int8, checked."""
        if issparse(y):
            y = y.toarray()
        y = np.asarray(y)
        kind = type_of_target(y, input_name=name)
        if kind != "multilabel-indicator":
            found = f"dtype {y.dtype}" if kind == "unknown" else kind
            labels = " Labels, one for each sample, are of shape (n_samples,)." if y.ndim > 1 else ""
            raise ValueError(
                f"{name} must be indicators, 0 or 1, of shape (n_samples, n_labels), got {found} of shape {y.shape}."
                f"{labels}"
            )
        if not np.isin(y, (0, 1)).all():
            raise ValueError(f"{name} must hold indicators, 0 or 1, got the values {np.unique(y)}.")
        return y.astype(np.int8)

    @classmethod
    def of_labels(cls, y):
        """Return the task of indicators y."""
        return cls(y.shape[1])

    @property
    def classes(self):
        """The numbers of the labels, which are the columns of y."""
        return np.arange(self.n_outputs)

    def encode(self, y, *, name="y", among="among classes"):
        """Return the targets of indicators, float64 (n_samples, n_labels).

        Raises
        ------
        ValueError
            If there are more or fewer columns than labels.
        """
        if y.shape[1] != self.n_outputs:
            raise ValueError(f"{name} has {y.shape[1]} labels, expected {self.n_outputs}.")
        return y * (1 - self.label_smoothing) + self.label_smoothing / 2

    # ---------------------------------------------------- from scores to answers

    @staticmethod
    def labels(scores):
        """Return the indicators of the labels whose probability is above 0.5."""
        return (scores > 0).astype(np.int64)

    @staticmethod
    def decision(scores):
        """Return the scores."""
        return scores

    @staticmethod
    def probabilities(scores, *, take_log=False):
        """Return the logistic function of scores, or its logarithm, in double precision whatever the net's."""
        return (log_expit if take_log else expit)(scores.astype(np.float64, copy=False))


@dataclass(frozen=True)
class Regression:
    """Each sample has one or many quantities; its targets are these less their mean, over their scale.

    Parameters
    ----------
    mean, scale : ndarray of float64 of shape (n_outputs,)
        Prediction = mean + scale * score; for the logarithmic scores of counts, scale * exp(score). A scale of 0 is
        that of an output that is always its mean.
    is_flat : bool
        Whether y is of shape (n,).
    takes_exp : bool
        Whether scores are logarithms.
    """

    mean: np.ndarray
    scale: np.ndarray
    is_flat: bool
    takes_exp: bool

    @staticmethod
    def as_y(name, y, sample_weight=None):
        """Return y as an array of float64 of shape (n,) or (n, n_outputs), checked as scikit-learn checks y.

        Samples of weight 0 get the y of one that counts: theirs means nothing, and need not be in range.
        """
        y = check_quantities(name, y)
        if sample_weight is None or sample_weight.all():
            return y
        y = y.copy()
        y[sample_weight == 0] = y[np.argmax(sample_weight)]
        return y

    @classmethod
    def of_quantities(cls, y, sample_weight, *, takes_exp, goes_on=False):
        """Return the task that y shows: mean and standard deviation of each output, or for counts the mean.

        Parameters
        ----------
        y : ndarray of float64 of shape (n,) or (n, n_outputs)
            As `as_y` returns it: samples of weight 0 have the y of one that counts.
        sample_weight : ndarray of float64 of shape (n,), or None
        takes_exp : bool
        goes_on : bool
            Whether more y may come: the scale of an output that is constant so far is then 1, else 0; that of counts
            which are all zero so far is 1, too.

        Raises
        ------
        ValueError
            If counts are negative, or all of them zero and no more will come, or y spans more than float64 holds.
        """
        columns = y.reshape(len(y), -1).T
        if not takes_exp:
            moments = [_mean_and_deviation(column, sample_weight) for column in columns]
            mean, scale = (np.array(values) for values in zip(*moments, strict=True))
        else:
            _check_counts("y", y)
            scale = np.array([_mean_and_deviation(column, sample_weight)[0] for column in columns])
            mean = np.zeros(len(scale))
            if not (scale.all() or goes_on):
                where = _in_column(np.argmin(scale), len(scale))
                raise ValueError(f"y must hold a number above 0 for loss='poisson', got only zeros{where}.")
        if goes_on:
            scale = np.where(scale == 0, 1.0, scale)
        return cls(mean, scale, y.ndim == 1, takes_exp)

    @property
    def n_outputs(self):
        """How many scores a net has for it."""
        return len(self.scale)

    def encode(self, y, *, name="y", among="among classes"):
        """Return the targets of quantities, float64 (n_samples, n_outputs).

        Raises
        ------
        ValueError
            If y has another shape than that which the task was learned of; if counts are negative; if an output that
            was constant then is not now.
        """
        if y.ndim != (1 if self.is_flat else 2) or y.size != len(y) * self.n_outputs:
            wanted = "(n_samples,)" if self.is_flat else f"(n_samples, {self.n_outputs})"
            raise ValueError(f"{name} must have the shape {wanted} that y had in the first fit, got {y.shape}.")
        if self.takes_exp:
            _check_counts(name, y)
        constant = self.scale == 0
        with np.errstate(over="ignore", invalid="ignore"):
            off = y.reshape(len(y), -1) - self.mean
            targets = off / np.where(constant, np.inf, self.scale)
        varies = constant & (np.abs(off) > 2 * ROUNDING * np.abs(self.mean))
        if varies.any():
            sample, output = np.argwhere(varies)[0]
            wanted, got = self.mean[output], y.reshape(len(y), -1)[sample, output]
            where = _in_column(output, self.n_outputs)
            raise ValueError(f"{name} must be {wanted:g}{where}, as all of y is, got {got:g}.")
        farthest = np.abs(targets).max()
        if not farthest <= LARGEST_TARGET:
            raise ValueError(
                f"{name} is up to {farthest:.2g} times the scale of y in the first fit, {self.scale}, away from its"
                f" mean, {self.mean}: {LARGEST_TARGET:g} is the most."
            )
        return targets

    def describe_other_scale(self, y, first):
        """Say that y is on another scale than that of the `first` part or fit, as a phrase; None if it is not."""
        targets = self.encode(y)
        if self.takes_exp:  # a single count is often many times the mean
            far = targets.mean(axis=0).max()
            return f"The mean of y is {far:.2g} times that of the first {first}" if far > FAR else None
        far = np.abs(targets).max()
        return f"y is up to {far:.2g} times its scale away from the mean of the first {first}" if far > FAR else None

    def quantities(self, scores):
        """Return predictions in y's own units, of y's shape, in float64; may overwrite the scores.

        Raises
        ------
        ValueError
            If one of them is beyond the largest float64.
        """
        scores = scores.astype(np.float64, copy=False)
        with np.errstate(over="ignore"):
            if self.takes_exp:
                np.exp(scores, out=scores)
            scores *= self.scale
            scores += self.mean
        if not all_finite(scores):
            raise ValueError(
                "Some predictions are larger than float64 holds: X holds values too large for the net, or y of the"
                f" training, of scale {self.scale.max():.3g}, did. Scale them."
            )
        return scores[:, 0] if self.is_flat else scores


def in_range_of_squares(*columns):
    """Return arrays (n,) or (n, n_outputs) over one power of two a column, so that squares do not overflow or vanish.

    By which R² does not change: not a bit of the numbers does. They are the same where they need not be changed.
    """
    largest = np.maximum.reduce([np.abs(values).max(axis=0, initial=0.0) for values in columns])
    exponent = np.frexp(largest)[1]
    far = np.abs(exponent) > EXPONENTS
    return [np.ldexp(values, np.where(far, -exponent, 0)) for values in columns] if far.any() else columns


def _in_column(i, n_columns):
    return "" if n_columns == 1 else f" in column {i}"


def _check_counts(name, y):
    if y.min() < 0:
        raise ValueError(f"{name} must be at least 0 for loss='poisson', got {y.min():g}.")


def _mean_and_deviation(y, sample_weight):
    """Return the mean and the standard deviation of numbers, 0 where they differ by no more than rounding.

    Of the sorted numbers, equal ones once with their total weight: so the order of the samples does not matter, and
    weights act as repetition does, to the last bit.
    """
    if sample_weight is not None:
        # By a power of two, so that they do not overflow when they are added, and no bit changes.
        sample_weight = np.ldexp(sample_weight, -np.frexp(sample_weight.max())[1])
    y, group = np.unique(y, return_inverse=True)
    weight = np.bincount(group, sample_weight)
    weight = weight / weight.sum()
    with np.errstate(over="ignore"):
        span = y[-1] - y[0]
    if not math.isfinite(span):
        raise ValueError(f"y must span less than float64 holds, got {y[0]:g} to {y[-1]:g}.")
    if span <= ROUNDING * max(abs(y[0]), abs(y[-1])):
        return float(y[0] + (weight * (y - y[0])).sum()), 0.0
    # As shares of the span, whose squares neither overflow nor vanish.
    share = (y - y[0]) / span
    mean = (weight * share).sum()
    return float(y[0] + span * mean), float(span * math.sqrt((weight * (share - mean) ** 2).sum()))
