"""BaseNetRegressor: what makes a net that scikit-learn trains a regressor."""

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from sklearn_dl._base import BaseNet, takes_minibatches
from sklearn_dl._estimator_state import unchanged_on_error
from sklearn_dl._inputs import as_array, warn_caller
from sklearn_dl._keywords import explain_keywords
from sklearn_dl._tasks import Regression
from sklearn_dl.nets.heads import HEADS, HuberHead

# Beyond as many standard deviations of the first part, y of a later part of partial_fit is on another scale.
FAR = 100


class BaseNetRegressor(MultiOutputMixin, RegressorMixin, BaseNet):
    """Base of the regressors; see `BaseNet`."""

    _score_name = "r2"

    @property
    def _task(self):
        return Regression(self.y_mean_, self.y_scale_, self._y_is_flat, self._trained_loss == "poisson")

    def _head(self):
        return HuberHead(self.delta) if self.loss == "huber" else HEADS[self.loss]()

    def _as_parameter(self, argument, value):
        return ("loss", value) if argument == "head" else super()._as_parameter(argument, value)

    # ---------------------------------------------------------------- checks

    def _read_y(self, y):
        return as_array("y", y), {"multi_output": True, "y_numeric": True}

    def _check_training_data(self, X, y, sample_weight, *, reset):
        X, y, sample_weight = super()._check_training_data(X, y, sample_weight, reset=reset)
        return X, Regression.as_y("y", y), sample_weight

    def _learn_task(self, y, sample_weight, continuing, *, goes_on=False, first="fit", keeps="warm_start"):
        if continuing:  # whose weights are for the y of the first fit
            self.y_scale_ = np.where(self.y_scale_ == 0, 1.0, self.y_scale_)  # what was constant may vary from now on
            self._warn_of_another_scale(y, sample_weight, first, keeps)
            return
        self._trained_loss = str(self.loss)
        task = Regression.of_quantities(
            y, sample_weight, takes_exp=self._trained_loss == "poisson", goes_on=goes_on or self.warm_start
        )
        self.y_mean_, self.y_scale_, self._y_is_flat = task.mean, task.scale, task.is_flat

    def _learn_task_in_parts(self, y, sample_weight, continuing):
        self._learn_task(y, sample_weight, continuing, goes_on=True, first="part", keeps="partial_fit")

    def _warn_of_another_scale(self, y, sample_weight, first, keeps):
        """Warn of a y that the mean and the scale that training goes on with are not for."""
        off = np.abs(self._task.encode(y))
        far = (off if sample_weight is None else off[sample_weight > 0]).max()
        if far > FAR:
            warn_caller(
                f"y is up to {far:.2g} standard deviations from the mean of the first {first}, whose mean and scale"
                f" {keeps} keeps: begin with a {first} like the others, or scale y."
            )

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
        counted from the last `fit`. Mean and scale of y are the first part's: it should be like
        the others.

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

        Warns
        -----
        UserWarning
            If y is more than 100 standard deviations of the first part's y away from its mean.
        """
        with unchanged_on_error(self, in_place=True):
            self._partial_fit(X, y, sample_weight)
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
        scores = self._scores(X)
        return self._task.quantities(scores)

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
