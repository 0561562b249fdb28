"""The linear softmax classifier."""

from sklearn_dl._base import BaseNetClassifier
from sklearn_dl._checks import check_real
from sklearn_dl._parameters import shared_docs
from sklearn_dl.nets import FullyConnected

__all__ = ["Softmax"]


# A convex loss takes larger steps than a net with hidden layers.
LEARNING_RATES = {"sgd": 0.02, "sgd_momentum": 0.02, "adagrad": 0.2, "rmsprop": 0.01, "adam": 0.03}


@shared_docs(
    learning_rates=LEARNING_RATES,
    weight_scale="1e-3",
    reg_text="Strength of the L2 penalty ``reg * sum(W ** 2)``: without the half that the nets have, as in the\n"
    "        published tables of this classifier.",
)
class Softmax(BaseNetClassifier):
    """Linear softmax classifier (multinomial logistic regression), trained on minibatches.

    Parameters
    ----------
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

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
    _learning_rates = LEARNING_RATES

    def __init__(
        self,
        *,
        learning_rate="auto",
        lr_decay=1.0,
        lr_schedule=None,
        reg=0.0,
        num_epochs=100,
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
        weight_scale=1e-3,
        dtype="auto",
        tol=1e-4,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        monitor="accuracy",
        class_weight=None,
        random_state=None,
        verbose=0,
        warm_start=False,
    ):
        self._keep(locals())

    def _net_config(self, n_features, n_classes):
        return {
            "hidden_dims": (),
            "input_dim": n_features,
            "num_classes": n_classes,
            "weight_scale": self.weight_scale,
            "reg": 2 * check_real("reg", self.reg, low=0),
        }
