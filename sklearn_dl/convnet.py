"""The convolutional classifier."""

import math

from sklearn_dl._checks import check_dims
from sklearn_dl._classifier import BaseNetClassifier
from sklearn_dl._inputs import transposed_hint
from sklearn_dl._parameters import Setting, documented, resolve_weight_scale
from sklearn_dl.nets import ThreeLayerConv
from sklearn_dl.preprocessing import guess_image_shape

__all__ = ["ThreeLayerConvNet"]


@documented(
    Setting("hidden_dim", "int", "Units of the hidden affine layer."),
    Setting(
        "normalization",
        "None, 'batchnorm' or 'groupnorm'",
        "Normalization after the convolution. With batch normalization, weights of the samples count in the batch"
        " statistics.",
    ),
)
class ThreeLayerConvNet(BaseNetClassifier):
    """Convolutional net.

    conv - [normalization] - activation - 2x2 max-pool - affine - activation - [dropout] - affine - softmax.

    X may be images (n_samples, C, H, W), or rows of their pixels, channel by channel. `input_shape` says what they are.
    Without it, rows of a square number of features are grey images, of three times a square colour images, and of any
    other number one row of pixels (1, 1, n_features), with a warning where these are more than 20 in at least 100 rows.
    Images that look like (n_samples, H, W, C), more than 4 in the first place and 1, 3 or 4 in the last, are an error.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    input_shape_ : tuple (C, H, W)
        Shape of one image.
    {attributes}

    See Also
    --------
    FullyConnectedNet : For rows of features.
    sklearn_dl.preprocessing.ImageReshaper : Between rows and images in a pipeline.
    sklearn_dl.augmentation : Flips, shifts and holes.
    sklearn_dl.schedules : Schedules of the learning rate.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_dl import ThreeLayerConvNet
    >>> X, y = load_digits(return_X_y=True)
    >>> net = ThreeLayerConvNet(num_filters=8, filter_size=3, num_epochs=5, random_state=0)
    >>> net.fit(X[:1000] / 16, y[:1000]).input_shape_
    (1, 8, 8)
    >>> net.score(X[1000:] / 16, y[1000:]) > 0.85
    True
    """

    _net_class = ThreeLayerConv

    def __init__(
        self,
        *,
        input_shape=None,
        num_filters=32,
        filter_size=7,
        hidden_dim=100,
        activation="relu",
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
        weight_scale="auto",
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
        normalization=None,
        dropout_keep_ratio=1.0,
        augmentation=None,
    ):
        self._keep(locals())

    def _net_config(self, n_features, n_classes):
        return {
            "input_dim": self.input_shape_,
            "num_filters": self.num_filters,
            "filter_size": self.filter_size,
            "hidden_dim": self.hidden_dim,
            "num_classes": n_classes,
            "activation": self.activation,
            "normalization": self.normalization,
            "dropout_keep_ratio": self.dropout_keep_ratio,
            "weight_scale": resolve_weight_scale(self.weight_scale, self.activation),
            "reg": self.reg,
        }

    def _as_parameter(self, argument, value):
        return ("input_shape", value) if argument == "input_dim" else super()._as_parameter(argument, value)

    def _takes_sparse(self):
        return False

    def _learn_input_shape(self, image_shape, n_features):
        stated = self.input_shape
        if stated is not None:
            stated = check_dims("input_shape", stated, length=3)
            if math.prod(stated) != n_features or image_shape not in (None, stated):
                raise ValueError(
                    f"input_shape={stated} does not fit X, which holds"
                    f" {f'{n_features} features' if image_shape is None else f'images {image_shape}'} a sample."
                    + transposed_hint(image_shape, stated)
                )
        self.input_shape_ = stated or image_shape or guess_image_shape(n_features)
