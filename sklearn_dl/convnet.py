"""The convolutional classifier."""

import math

from sklearn_dl._base import BaseNetClassifier
from sklearn_dl._checks import check_dims
from sklearn_dl._parameters import shared_docs
from sklearn_dl.nets import ThreeLayerConv
from sklearn_dl.preprocessing import guess_image_shape

__all__ = ["ThreeLayerConvNet"]


@shared_docs(weight_scale="'he'")
class ThreeLayerConvNet(BaseNetClassifier):
    """Convolutional net: conv - [normalization] - relu - 2x2 max-pool - affine - relu - affine - softmax.

    X may be images (n_samples, C, H, W), or rows of their pixels, channel by channel. What a row holds is said by
    `input_shape`. Without it, a square number of features is a grey image, three times a square a colour image, and any
    other number one row of pixels (1, 1, n_features).

    Parameters
    ----------
    input_shape : tuple (C, H, W), default=None
        Shape of one image; see above.
    num_filters : int, default=32
        Number of filters of the convolution.
    filter_size : int, default=7
        Their height and width; odd.
    hidden_dim : int, default=100
        Units of the hidden affine layer.
    {shared_parameters}
    normalization : None, 'batchnorm' or 'groupnorm', default=None
        Normalization after the convolution. With batch normalization, weights of the samples count in the batch
        statistics.
    augmentation : None, 'flip', 'crop', 'cutout', augmentation or sequence of these, default=None
        Random changes to the images of each minibatch in training, in this order: objects of `sklearn_dl.augmentation`,
        such as ``RandomCrop(padding=2)``, or names of them with their defaults.

    Attributes
    ----------
    input_shape_ : tuple (C, H, W)
        Shape of one image.
    {shared_attributes}

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
        weight_scale="he",
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
        normalization=None,
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
            "normalization": self.normalization,
            "weight_scale": self.weight_scale,
            "reg": self.reg,
        }

    def _learn_input_shape(self, image_shape, n_features):
        stated = self.input_shape
        if stated is not None:
            stated = check_dims("input_shape", stated, length=3)
            if math.prod(stated) != n_features or image_shape not in (None, stated):
                raise ValueError(
                    f"input_shape={stated} does not fit X, which holds"
                    f" {f'{n_features} features' if image_shape is None else f'images {image_shape}'} a sample."
                )
        self.input_shape_ = stated or image_shape or guess_image_shape(n_features)
