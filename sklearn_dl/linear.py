"""The linear softmax classifier."""

from sklearn_dl._checks import check_real
from sklearn_dl._classifier import BaseNetClassifier
from sklearn_dl._names import LinearNames
from sklearn_dl._parameters import LINEAR_RATES, documented, learning_rate, reg, resolve_weight_scale
from sklearn_dl.nets import FullyConnected
from sklearn_dl.optim import UPDATE_RULES

__all__ = ["Softmax"]


@documented(
    learning_rate(LINEAR_RATES),
    reg(
        "Strength of the L2 penalty ``reg * sum(W ** 2)``: without the half that the nets have, as in the published"
        " tables of this classifier."
    ),
)
class Softmax(LinearNames, BaseNetClassifier):
    """Linear softmax classifier (multinomial logistic regression), trained on minibatches.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) for two classes
        Weights of the features, as `LogisticRegression` has them: ``X @ coef_.T + intercept_`` is `decision_function`.
        Computed from `params_`, not to be written to.
    intercept_ : ndarray of shape (n_classes,), or (1,) for two classes
        Biases.
    {attributes}

    See Also
    --------
    TwoLayerNet : With one hidden layer.
    sklearn.linear_model.LogisticRegression : The same model with other solvers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_dl import Softmax
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), Softmax(random_state=0)).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    _net_class = FullyConnected

    def __init__(
        self,
        *,
        loss="softmax",
        label_smoothing=0.0,
        learning_rate="auto",
        lr_decay=1.0,
        lr_schedule=None,
        reg=0.0,
        num_epochs="auto",
        num_iters=None,
        batch_size=64,
        shuffle=True,
        update_rule="adam",
        optim_config=None,
        momentum=None,
        decay_rate=None,
        beta1=None,
        beta2=None,
        epsilon=None,
        clip_norm=None,
        weight_scale=1e-3,
        dtype="auto",
        tol=1e-4,
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
    ):
        self._keep(locals())

    def _is_linear(self):
        return True

    def _takes_multilabel(self):
        return False

    def _net_config(self, n_features, n_classes):
        return {
            "hidden_dims": (),
            "input_dim": n_features,
            "num_classes": n_classes,
            "weight_scale": resolve_weight_scale(self.weight_scale, linear=True),
            # The decay of 'adamw' is no penalty.
            "reg": check_real("reg", self.reg, low=0) * (1 if UPDATE_RULES[self.update_rule].decoupled else 2),
        }
