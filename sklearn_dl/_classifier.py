"""BaseNetClassifier: what makes a net that scikit-learn trains a classifier."""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from sklearn_dl._base import BaseNet, takes_minibatches
from sklearn_dl._estimator_state import trained_apart, view
from sklearn_dl._inputs import check_labels, check_weights, kind_of_labels, read_labels
from sklearn_dl._keywords import explain_keywords
from sklearn_dl._tasks import Classification, Multilabel
from sklearn_dl.nets.heads import HingeHead, LogisticHead, SoftmaxHead


def _has_probabilities(estimator):
    """Return True, or raise AttributeError where scores do not become probabilities."""
    loss = estimator._net.head.name if "_net" in vars(estimator) else estimator.loss
    if loss == "hinge":
        raise AttributeError("loss='hinge' has no probabilities: set loss='softmax', or use decision_function.")
    return True


class BaseNetClassifier(ClassifierMixin, BaseNet):
    """Base of the classifiers; see `BaseNet`."""

    # Whether y was indicators of several labels when it was learned.
    _is_multilabel = False

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        one_label = self.loss == "hinge" or self.class_weight is not None  # what they need
        tags.classifier_tags.multi_label = self._takes_multilabel() and not one_label
        return tags

    def _takes_multilabel(self):
        """Return whether y may be indicators of several labels."""
        return True

    @property
    def _task(self):
        if self._is_multilabel:
            return Multilabel(len(self.classes_), self.label_smoothing)
        return Classification(self.classes_)

    def _head(self):
        if self.loss == "softmax":
            return LogisticHead() if self._is_multilabel else SoftmaxHead(self.label_smoothing)
        if self._is_multilabel:
            raise ValueError("loss='hinge' needs one label for each sample: with several labels, set loss='softmax'.")
        if self.label_smoothing:
            raise ValueError(f"label_smoothing={self.label_smoothing} needs loss='softmax', got loss='hinge'.")
        return HingeHead()

    # ---------------------------------------------------------------- checks

    def _read_y(self, y):
        y = y if issparse(y) else read_labels("y", y)
        several = Multilabel.is_meant(y)
        if several and not self._takes_multilabel():
            raise ValueError(
                f"y must be labels of shape (n_samples,), got shape {tuple(y.shape)}: {type(self).__name__} takes one"
                " label for each sample. TwoLayerNet takes several, and MultiOutputClassifier fits one model for each."
            )
        return y, {"multi_output": several}

    def _check_training_data(self, X, y, sample_weight, *, reset):
        X, y, sample_weight = super()._check_training_data(X, y, sample_weight, reset=reset)
        if Multilabel.is_meant(y):
            y = Multilabel.as_y("y", y)
        # Integers are labels. So many that scikit-learn warns of them are found without counting, ten times as fast.
        elif y.dtype.kind not in "iu" or int(y.max()) - int(y.min()) >= len(y) // 2:
            check_classification_targets(y)
        return X, y, sample_weight

    def _learn_task(self, y, sample_weight, continuing):
        task = (Multilabel if Multilabel.is_meant(y) else Classification).of_labels(y)
        if continuing:
            before, now = self._task.what, task.what
            if before == now:
                before, now = self.classes_, task.classes
            if not np.array_equal(before, now):
                raise ValueError(f"With warm_start, y must hold the classes of the first fit, {before}, got {now}.")
        self._learn_classes(task)

    def _learn_task_in_parts(self, y, sample_weight, continuing, *, classes):
        given = None if classes is None else Classification.of_classes(classes)
        is_multilabel = Multilabel.is_meant(y)
        if continuing:
            if given is not None and not np.array_equal(given.classes, self.classes_):
                raise ValueError(
                    f"classes={given.classes} is not the same as in the first call of partial_fit, {self.classes_}."
                )
            if is_multilabel != self._is_multilabel:
                what = Multilabel.what if is_multilabel else Classification.what
                raise ValueError(f"y must be {self._task.what}, as in the first call of partial_fit, got {what}.")
            return
        if is_multilabel:
            task = Multilabel.of_labels(y)
            if given is not None and not np.array_equal(given.classes, task.classes):
                raise ValueError(
                    f"classes must be the numbers of y's {task.n_outputs} columns, {task.classes}, or None, got"
                    f" {given.classes}."
                )
        elif given is None:
            raise ValueError(
                "classes must be given in the first call of partial_fit: all labels that y will ever hold."
            )
        else:
            task = given
        self._learn_classes(task)

    def _learn_classes(self, task):
        self._is_multilabel = isinstance(task, Multilabel)
        self.classes_ = task.classes
        self._class_totals = 0.0

    def _weigh_classes(self, targets, sample_weight):
        if self._is_multilabel:
            if self.class_weight is not None:
                raise ValueError(
                    f"class_weight={self.class_weight!r} needs one label for each sample: with several labels, give"
                    " sample_weight."
                )
            return None
        self._class_totals = self._class_totals + self._task.totals(targets, sample_weight)
        if self.class_weight is None:
            return None
        class_weight = self._task.class_weights(self.class_weight, self._class_totals)
        used = np.unique(targets if sample_weight is None else targets[sample_weight > 0])
        if not class_weight[used].any():
            raise ValueError(f"class_weight={self.class_weight!r} leaves no sample a weight above 0.")
        with np.errstate(over="ignore", invalid="ignore"):
            total = (class_weight * self._task.totals(targets, sample_weight)).sum()
        if not 0 < total < np.inf:
            raise ValueError(
                f"class_weight={self.class_weight!r} and the samples' weights must make a finite total above 0, got"
                f" {total:g}: give weights nearer to 1."
            )
        return class_weight

    # -------------------------------------------------------------- training

    @available_if(takes_minibatches)
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
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels, or indicators of several labels for a sample.
        classes : array-like of shape (n_classes,), default=None
            All labels that any call will bring. Required in the first call, unless y has a column for each label.
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
        RuntimeError
            If the estimator is being trained already, in another thread.
        """
        with trained_apart(self, going_on=True) as twin:
            twin._partial_fit(X, y, sample_weight, classes=classes)
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
        y : ndarray of shape (n_samples,), or of int of shape (n_samples, n_labels)
            The label of the highest score. Of several labels, 1 for those of a probability above 0.5, else 0.
        """
        fitted = view(self)
        scores = fitted._scores(X)
        return fitted._task.labels(scores)

    @explain_keywords
    def decision_function(self, X):
        """Return the raw scores, of which the softmax (of several labels, the logistic function) makes probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)
            Rows or images, with as many features as `fit` has seen.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            For two classes, the second's score less the first's. Of several labels, also of two: (n_samples, n_labels).
        """
        fitted = view(self)
        scores = fitted._scores(X)
        return fitted._task.decision(scores)

    @available_if(_has_probabilities)
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
            In the order of `classes_`. Of several labels, that of each: rows do not add up to one.
        """
        fitted = view(self)
        scores = fitted._scores(X)
        return fitted._task.probabilities(scores)

    @available_if(_has_probabilities)
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
        fitted = view(self)
        scores = fitted._scores(X)
        return fitted._task.probabilities(scores, take_log=True)

    def _check_kind(self, labels):
        """Raise ValueError for labels of another kind than those of the classes, which would equal none of them."""
        if len(labels) and hasattr(self, "classes_") and not self._is_multilabel:
            ours, theirs = kind_of_labels(labels), kind_of_labels(self.classes_)
            if ours != theirs:
                raise ValueError(
                    f"Mix of label input types: y holds {ours}, the classes that fit has seen are {theirs}."
                )

    @explain_keywords
    def score(self, X, y, sample_weight=None):
        """Return the accuracy of `predict` on X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, C, H, W)
            Rows or images, with as many features as `fit` has seen.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels, or indicators of several labels for a sample.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            Share of the samples, by weight, whose label is predicted; of several labels, all of whose labels are.
        """
        y = y if issparse(y) else read_labels("y", y)
        if np.ndim(y) == 1:
            y = check_labels("y", y)
            self._check_kind(y)
        if sample_weight is not None:
            sample_weight = check_weights("sample_weight", sample_weight, np.broadcast_to(0.0, np.shape(y)[:1]))
        return super().score(X, y, sample_weight)
