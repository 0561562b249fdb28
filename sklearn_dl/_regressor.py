"""BaseNetRegressor: what makes a net that scikit-learn trains a regressor."""

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from sklearn_dl._base import BaseNet, takes_minibatches
from sklearn_dl._estimator_state import trained_apart, view
from sklearn_dl._inputs import as_array
from sklearn_dl._keywords import explain_keywords
from sklearn_dl._parameters import PLANNED_REGRESSION_RATE
from sklearn_dl._tasks import Regression
from sklearn_dl._warn import warn_caller
from sklearn_dl.nets.heads import HEADS, HuberHead


class BaseNetRegressor(MultiOutputMixin, RegressorMixin, BaseNet):
    """Base of the regressors; see `BaseNet`."""

    _planned_rate = PLANNED_REGRESSION_RATE
    _score_name = "r2"

    @property
    def _task(self):
        return Regression(self.y_mean_, self.y_scale_, self._y_is_flat, self._takes_exp)

    def _head(self):
        return HuberHead(self.delta) if self.loss == "huber" else HEADS[self.loss]()

    # ---------------------------------------------------------------- checks

    def _read_y(self, y):
        return as_array("y", y), {"multi_output": True, "y_numeric": True}

    def _check_training_data(self, X, y, sample_weight, *, reset):
        X, y, sample_weight = super()._check_training_data(X, y, sample_weight, reset=reset)
        return X, Regression.as_y("y", y, sample_weight), sample_weight

    def _learn_task(self, y, sample_weight, continuing, *, in_parts=False):
        if continuing:  # whose weights are for the y of the first fit
            self.y_scale_ = np.where(self.y_scale_ == 0, 1.0, self.y_scale_)  # what was constant may vary from now on
            keeps, first = ("partial_fit", "part") if in_parts else ("warm_start", "fit")
            other_scale = self._task.describe_other_scale(y, first)
            if other_scale is not None:
                warn_caller(
                    f"{other_scale}, whose mean and scale {keeps} keeps: scale y, or begin with another {first}."
                )
            return
        takes_exp, goes_on = self._head().link == "exp", in_parts or self.warm_start
        task = Regression.of_quantities(y, sample_weight, takes_exp=takes_exp, goes_on=goes_on)
        self.y_mean_, self.y_scale_, self._y_is_flat, self._takes_exp = task.mean, task.scale, task.is_flat, takes_exp

    def _learn_task_in_parts(self, y, sample_weight, continuing):
        self._learn_task(y, sample_weight, continuing, in_parts=True)

    def _in_units_of_y(self, letter, last):
        task = self._task
        if not task.takes_exp:
            return last * task.scale + (task.mean if letter == "b" else 0)
        return last + np.log(task.scale) if letter == "b" else last

    # -------------------------------------------------------------- training

    @available_if(takes_minibatches)
    @explain_keywords
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one epoch on a part of the data, continuing from the current state.

        Weights, the update rule's state and the learning rate's decay continue. `num_epochs`, `num_iters`, `tol` and
        `early_stopping` do not apply, but for the length of `lr_schedule`: `num_epochs` calls, or `num_iters` updates,
        counted from the last `fit`. Mean and scale of y are the first part's: it should be like the others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, with as many features in each call.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Quantities, of as many outputs in each call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
            The estimator itself.

        Raises
        ------
        ValueError
            If y has another shape than in the first call; if `lr_schedule` has come to its end. After any error, and
            after Ctrl-C, a fitted estimator is as it was.
        RuntimeError
            If the estimator is being trained already, in another thread.

        Warns
        -----
        UserWarning
            If y is more than 100 times the scale of the first part's y, `y_scale_`, away from its mean; with
            ``loss='poisson'``, if the mean of y is more than 100 times that of the first part.
        """
        with trained_apart(self, going_on=True) as twin:
            twin._partial_fit(X, y, sample_weight)
        return self

    # ------------------------------------------------------------ prediction

    @explain_keywords
    def predict(self, X):
        """Predict quantities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, with as many features as `fit` has seen.

        Returns
        -------
        y : ndarray of float64 of shape (n_samples,) or (n_samples, n_outputs)
            In the units and the shape of the y that `fit` was given.
        """
        fitted = view(self)
        scores = fitted._scores(X)
        return fitted._task.quantities(scores)

    @explain_keywords
    def score(self, X, y, sample_weight=None):
        """Return R², the coefficient of determination, of `predict` on X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, with as many features as `fit` has seen.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Quantities.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            The mean of all outputs' R², see `sklearn.metrics.r2_score`.
        """
        return super().score(X, as_array("y", y), as_array("sample_weight", sample_weight))
