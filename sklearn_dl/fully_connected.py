"""Fully-connected classifiers and regressors."""

from sklearn_dl._checks import check_dims, check_int
from sklearn_dl._classifier import BaseNetClassifier
from sklearn_dl._names import LAYER_ATTRIBUTES, REGRESSOR_LAYER_ATTRIBUTES, LayerNames
from sklearn_dl._parameters import (
    LINEAR_RATES,
    PLANNED_REGRESSION_RATE,
    RATES,
    documented,
    learning_rate,
    resolve_weight_scale,
)
from sklearn_dl._regressor import BaseNetRegressor
from sklearn_dl.nets import FullyConnected

__all__ = ["FullyConnectedNet", "FullyConnectedRegressor", "TwoLayerNet"]


class _FullyConnected(LayerNames):
    """What estimators have in common whose net is fully connected."""

    _net_class = FullyConnected

    def _net_config(self, n_features, n_outputs):
        return {
            "hidden_dims": self._hidden_dims(),
            "input_dim": n_features,
            "num_classes": n_outputs,
            "activation": self.activation,
            "normalization": self.normalization,
            "dropout_keep_ratio": self.dropout_keep_ratio,
            "weight_scale": resolve_weight_scale(self.weight_scale, self.activation, linear=self._is_linear()),
            "reg": self.reg,
        }

    def _n_hidden(self):
        return len(self._hidden_dims())


@documented(attributes=LAYER_ATTRIBUTES)
class TwoLayerNet(_FullyConnected, BaseNetClassifier):
    """Net with one hidden layer: affine - activation - affine - softmax.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    FullyConnectedNet : With any number of hidden layers.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_dl import TwoLayerNet
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> net = TwoLayerNet(num_epochs=20, random_state=0).fit(X_train, y_train)
    >>> net.score(X_test, y_test) > 0.9
    True
    """

    def __init__(
        self,
        *,
        hidden_dim=100,
        activation="relu",
        loss="softmax",
        label_smoothing=0.0,
        learning_rate="auto",
        lr_decay=1.0,
        lr_schedule="auto",
        reg="auto",
        num_epochs="auto",
        num_iters=None,
        batch_size="auto",
        shuffle=True,
        update_rule="adam",
        optim_config=None,
        momentum=None,
        decay_rate=None,
        beta1=None,
        beta2=None,
        epsilon=None,
        clip_norm=None,
        weight_scale="auto",
        dtype="auto",
        tol="auto",
        n_iter_no_change="auto",
        early_stopping=False,
        validation_fraction=0.1,
        monitor="accuracy",
        class_weight=None,
        random_state=None,
        verbose=0,
        warm_start=False,
        checkpoint=None,
        checkpoint_interval=0,
        normalization=None,
        dropout_keep_ratio=1.0,
    ):
        self._keep(locals())

    def _hidden_dims(self):
        return (check_int("hidden_dim", self.hidden_dim, low=1),)

    def _as_parameter(self, argument, value):
        return ("hidden_dim", value[0]) if argument == "hidden_dims" else super()._as_parameter(argument, value)


class _OfAnyDepth(_FullyConnected):
    """The same, of those with the parameter `hidden_dims`."""

    def _hidden_dims(self):
        return check_dims("hidden_dims", self.hidden_dims)

    def _is_linear(self):
        return not self._hidden_dims()


@documented(learning_rate(f"{RATES}; without hidden layers {LINEAR_RATES}"), attributes=LAYER_ATTRIBUTES)
class FullyConnectedNet(_OfAnyDepth, BaseNetClassifier):
    """Net of any depth: {affine - [normalization] - activation - [dropout]} x L - affine - softmax.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    TwoLayerNet : With one hidden layer.
    FullyConnectedRegressor : For quantities.
    ThreeLayerConvNet : For images.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_dl import FullyConnectedNet
    >>> X, y = load_wine(return_X_y=True)
    >>> options = {"normalization": "batchnorm", "num_epochs": 30, "tol": None, "random_state": 0}
    >>> net = FullyConnectedNet(hidden_dims=(50, 50), **options)
    >>> make_pipeline(StandardScaler(), net).fit(X, y).score(X, y) > 0.95
    True
    """

    def __init__(
        self,
        *,
        hidden_dims=(100, 100),
        activation="relu",
        loss="softmax",
        label_smoothing=0.0,
        learning_rate="auto",
        lr_decay=1.0,
        lr_schedule="auto",
        reg="auto",
        num_epochs="auto",
        num_iters=None,
        batch_size="auto",
        shuffle=True,
        update_rule="adam",
        optim_config=None,
        momentum=None,
        decay_rate=None,
        beta1=None,
        beta2=None,
        epsilon=None,
        clip_norm=None,
        weight_scale="auto",
        dtype="auto",
        tol="auto",
        n_iter_no_change="auto",
        early_stopping=False,
        validation_fraction=0.1,
        monitor="accuracy",
        class_weight=None,
        random_state=None,
        verbose=0,
        warm_start=False,
        checkpoint=None,
        checkpoint_interval=0,
        normalization=None,
        dropout_keep_ratio=1.0,
    ):
        self._keep(locals())


@documented(
    learning_rate(f"{RATES}; without hidden layers {LINEAR_RATES}", planned=PLANNED_REGRESSION_RATE),
    attributes=REGRESSOR_LAYER_ATTRIBUTES,
    regressor=True,
)
class FullyConnectedRegressor(_OfAnyDepth, BaseNetRegressor):
    """Net of any depth for quantities: {affine - [normalization] - activation - [dropout]} x L - affine.

    y stays in its own units: the net is trained on y less its mean and over its standard deviation, which `fit` learns,
    and `predict` goes the way back.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    FullyConnectedNet : For classes.
    sklearn_dl.losses : The losses.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_dl import FullyConnectedRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> net = FullyConnectedRegressor(hidden_dims=20, num_epochs=30, tol=None, random_state=0)
    >>> model = make_pipeline(StandardScaler(), net).fit(X_train, y_train)
    >>> model.score(X_test, y_test) > 0.25
    True
    """

    def __init__(
        self,
        *,
        hidden_dims=(100, 100),
        activation="relu",
        loss="squared_error",
        delta=1.0,
        learning_rate="auto",
        lr_decay=1.0,
        lr_schedule="auto",
        reg="auto",
        num_epochs="auto",
        num_iters=None,
        batch_size="auto",
        shuffle=True,
        update_rule="adam",
        optim_config=None,
        momentum=None,
        decay_rate=None,
        beta1=None,
        beta2=None,
        epsilon=None,
        clip_norm=None,
        weight_scale="auto",
        dtype="auto",
        tol="auto",
        n_iter_no_change="auto",
        early_stopping=False,
        validation_fraction=0.1,
        monitor="loss",
        random_state=None,
        verbose=0,
        warm_start=False,
        checkpoint=None,
        checkpoint_interval=0,
        normalization=None,
        dropout_keep_ratio=1.0,
    ):
        self._keep(locals())
