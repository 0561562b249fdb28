"""BaseNetClassifier: what makes a net that scikit-learn trains a classifier."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from sklearn_dl._base import BaseNet
from sklearn_dl._estimator_state import unchanged_on_error
from sklearn_dl._inputs import as_array, check_weights
from sklearn_dl._keywords import explain_keywords
from sklearn_dl._tasks import Classification
from sklearn_dl.optim import UPDATE_RULES


def _takes_minibatches(estimator):
    """Return True, or raise AttributeError where `partial_fit` makes no sense."""
    rule = UPDATE_RULES.get(estimator.update_rule) if isinstance(estimator.update_rule, str) else None
    if rule is not None and rule.full_batch:
        raise AttributeError(
            f"partial_fit needs an update rule that takes minibatches; update_rule={rule.name!r} takes all samples at"
            " once."
        )
    return True


class BaseNetClassifier(ClassifierMixin, BaseNet):
    """Base of the classifiers; see `BaseNet`."""

    _task_class = Classification

    @property
    def _task(self):
        return Classification(self.classes_)

    def _learn_task(self, y, continuing):
        task = Classification.of_labels(y)
        if continuing and not np.array_equal(task.classes, self.classes_):
            raise ValueError(
                f"With warm_start, y must hold the classes of the first fit, {self.classes_}, got {task.classes}."
            )
        self.classes_ = task.classes
        self._class_totals = 0.0

    def _learn_task_in_parts(self, continuing, *, classes):
        given = None if classes is None else Classification.of_classes(classes).classes
        if continuing:
            if given is not None and not np.array_equal(given, self.classes_):
                raise ValueError(
                    f"classes={given} is not the same as in the first call of partial_fit, {self.classes_}."
                )
            return
        if given is None:
            raise ValueError(
                "classes must be given in the first call of partial_fit: all labels that y will ever hold."
            )
        self.classes_ = given
        self._class_totals = 0.0

    def _check_weights(self, X, targets, sample_weight):
        if sample_weight is not None:
            sample_weight = check_weights("sample_weight", sample_weight, X)
        self._class_totals = self._class_totals + self._task.totals(targets, sample_weight)
        if self.class_weight is None:
            return sample_weight, None
        class_weight = self._task.class_weights(self.class_weight, self._class_totals)
        used = np.unique(targets if sample_weight is None else targets[sample_weight > 0])
        if not class_weight[used].any():
            raise ValueError(f"class_weight={self.class_weight!r} leaves no sample a weight above 0.")
        return sample_weight, class_weight

    # -------------------------------------------------------------- training

    @available_if(_takes_minibatches)
    @explain_keywords
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch on a part of the data, continuing from the current state.

        Weights, the update rule's state and the learning rate's decay continue. `num_epochs`, `num_iters`, `tol` and
        `early_stopping` do not apply, but for the length of `lr_schedule`: `num_epochs` calls, or `num_iters` updates,
        counted from the last `fit`. ``class_weight='balanced'`` balances the classes' totals over all calls so far.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)
            Rows or images, with as many features in each call.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that any call will bring. Required in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError
            If the first call has no `classes`, a later one other ones, or y has a label that is not among them; if
            `lr_schedule` has come to its end. After any error, and after Ctrl-C, a fitted estimator is as it was.
        """
        with unchanged_on_error(self, in_place=True):
            self._partial_fit(X, y, sample_weight, classes=classes)
        return self

    # ------------------------------------------------------------ prediction

    @explain_keywords
    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)
            Rows or images, with as many features as `fit` has seen.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The label of the highest score.
        """
        scores = self._scores(X)
        return self._task.labels(scores)

    @explain_keywords
    def decision_function(self, X):
        """Return the raw scores, from which the softmax makes probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)
            Rows or images, with as many features as `fit` has seen.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            For two classes, the second's score less the first's.
        """
        scores = self._scores(X)
        return self._task.decision(scores)

    @explain_keywords
    def predict_proba(self, X):
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)
            Rows or images, with as many features as `fit` has seen.

        Returns
        -------
        probabilities : ndarray of float64 of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        scores = self._scores(X)
        return self._task.probabilities(scores)

    @explain_keywords
    def predict_log_proba(self, X):
        """Return the logarithms of the probabilities; finite where `predict_proba` rounds to zero.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)
            Rows or images, with as many features as `fit` has seen.

        Returns
        -------
        log_probabilities : ndarray of float64 of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        scores = self._scores(X)
        return self._task.probabilities(scores, take_log=True)

    @explain_keywords
    def score(self, X, y, sample_weight=None):
        """Return the accuracy of `predict` on X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)
            Rows or images, with as many features as `fit` has seen.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            Share of the samples, by weight, whose label is predicted.
        """
        return super().score(X, as_array("y", y), as_array("sample_weight", sample_weight))
