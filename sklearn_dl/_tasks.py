"""Tasks: what y means. They stand between y as users have it and the targets that a net's head takes.

Tasks are values: they hold what was learned of y, and no estimator.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from sklearn_dl import _ext
from sklearn_dl._checks import check_real
from sklearn_dl._inputs import check_labels

__all__ = ["Classification"]


@dataclass(frozen=True)
class Classification:
    """Each sample has one of several classes; its target is the class's number.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        The labels, sorted.
    """

    classes: np.ndarray

    @staticmethod
    def check_y(y):
        """Raise unless y, an array, holds labels."""
        # Integers do. So many that scikit-learn warns of them are found without counting, in a tenth of the time.
        if y.dtype.kind not in "iu" or int(y.max()) - int(y.min()) >= len(y) // 2:
            check_classification_targets(y)

    @staticmethod
    def as_y(name, y):
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
