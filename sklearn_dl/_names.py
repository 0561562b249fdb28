"""Learned attributes under the names that scikit-learn's linear models and `MLPClassifier` have for them.

Tools read them: `SelectFromModel` and `RFE` take `coef_`, plots of the loss `loss_curve_`. Each is computed from what
the estimator has learned when it is asked for, so that it cannot be out of date, and is not stored. Arrays are
read-only: what is written to them would be lost.

`t_` of MLPClassifier, the number of samples seen, has no counterpart, since samples of weight 0 and repeated ones are
not counted as in MLPClassifier; updates are ``len(loss_history_)``, epochs `n_iter_`.
"""

import functools

_HISTORY_ATTRIBUTES = """\
    loss_curve_ : list of float
        ``history_["loss"]``, as MLPClassifier names it: the mean loss of each epoch, penalty included.
    loss_ : float
        Its last entry.
    best_loss_ : float
        Its least entry; with `early_stopping`, too.
    validation_scores_ : list of float or None
        ``history_["val_{score}"]``: the validation {words} after each epoch; None without a validation set.
    best_validation_score_ : float or None
        The same as `best_val_score_`."""


def history_attributes(score, words):
    """Return what docstrings say of the histories, for a score called so, in words so."""
    return _HISTORY_ATTRIBUTES.format(score=score, words=words)


_COEFS = """\
    coefs_ : list of ndarray of shape (n_inputs, n_outputs)
        Weights of each affine layer, from the input on; as all of these attributes, not to be written to. Absent with
        `normalization`, where weights and intercepts alone do not tell what the net computes: see `params_`.{coefs}
    intercepts_ : list of ndarray of shape (n_outputs,)
        Biases of each affine layer; absent with `normalization`.
    n_layers_ : int
        Number of affine layers, and one for the input.
    n_outputs_ : int
        {n_outputs}
    out_activation_ : str
        {out_activation}"""

LAYER_ATTRIBUTES = _COEFS.format(
    coefs="",
    n_outputs="Number of scores: one for each class, also where there are two. MLPClassifier has a single one then.",
    out_activation="'softmax', also for two classes; 'logistic' for several labels; 'identity' with ``loss='hinge'``.",
)

REGRESSOR_LAYER_ATTRIBUTES = _COEFS.format(
    coefs=""" Those of the last layer,
        and its intercepts, are in the units of y, unlike in `params_`, and in float64.""",
    n_outputs="Number of outputs.",
    out_activation="'identity', or 'exp' with ``loss='poisson'``.",
)


def learned(function):
    """Decorate a method as an attribute that an estimator has once it is fitted."""

    @functools.wraps(function)
    def value(self):
        if "params_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no attribute {function.__name__!r} until it is fitted.")
        return function(self)

    return property(value)


def read_only(array):
    """Return a view that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


class HistoryNames:
    """MLPClassifier's names for the histories of training."""

    @learned
    def loss_curve_(self):
        """Return the mean loss of each epoch."""
        return list(self.history_["loss"])

    @learned
    def loss_(self):
        """Return the mean loss of the last epoch."""
        return self._of_curve(lambda curve: curve[-1])

    @learned
    def best_loss_(self):
        """Return the least mean loss of an epoch."""
        return self._of_curve(min)

    def _of_curve(self, function):
        if not self.history_["loss"]:
            raise AttributeError(f"{type(self).__name__} has no loss of an epoch yet: training ended in the first.")
        return function(self.history_["loss"])

    @learned
    def validation_scores_(self):
        """Return the validation score after each epoch, or None."""
        return None if self.best_val_score_ is None else list(self.history_[f"val_{self._score_name}"])

    @learned
    def best_validation_score_(self):
        """Return the best validation score, or None."""
        return self.best_val_score_


class LayerNames:
    """MLPClassifier's names for the layers of a fully-connected net."""

    @learned
    def coefs_(self):
        """Return the weights of each affine layer."""
        return self._affine("W", "coefs_")

    @learned
    def intercepts_(self):
        """Return the biases of each affine layer."""
        return self._affine("b", "intercepts_")

    @learned
    def n_layers_(self):
        """Return the number of affine layers, and one for the input."""
        return 1 + self._n_affine()

    @learned
    def n_outputs_(self):
        """Return the number of scores."""
        return self.params_[f"b{self._n_affine()}"].shape[0]

    @learned
    def out_activation_(self):
        """Return the name of the function that turns scores into predictions."""
        return self._net.head.link

    def _n_affine(self):
        return sum(name[0] == "W" for name in self.params_)

    def _affine(self, letter, attribute):
        if "gamma1" in self.params_:
            raise AttributeError(
                f"{type(self).__name__} has no attribute {attribute!r} with normalization, of which weights and"
                " intercepts alone do not tell what the net computes; all parameters are in params_."
            )
        arrays = [self.params_[f"{letter}{i}"] for i in range(1, 1 + self._n_affine())]
        arrays[-1] = self._in_units_of_y(letter, arrays[-1])
        return [read_only(array) for array in arrays]


class LinearNames:
    """The names that linear classifiers have for their weights."""

    @learned
    def coef_(self):
        """Return the weights of the features, (n_classes, n_features), or (1, n_features) for two classes."""
        return self._of_classes(self.params_["W1"].T)

    @learned
    def intercept_(self):
        """Return the biases, (n_classes,), or (1,) for two classes."""
        return self._of_classes(self.params_["b1"])

    def _of_classes(self, values):
        """Return values of each class; of two, the second's less the first's, as in `decision_function`."""
        return read_only(values[1:] - values[:1] if len(values) == 2 else values)
