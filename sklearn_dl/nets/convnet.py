"""The three-layer convolutional net."""

import numpy as np

from sklearn_dl._checks import check_choice, check_dims, check_int, check_real
from sklearn_dl.nets.activations import ACTIVATIONS, check_activation
from sklearn_dl.nets.layers import Affine, BatchNorm, Conv, Dropout, GroupNorm, MaxPool
from sklearn_dl.nets.net import Net

__all__ = ["ThreeLayerConv"]


def num_groups(num_filters):
    """Return the most groups that leave at least four channels in each."""
    return max(g for g in range(1, max(1, num_filters // 4) + 1) if num_filters % g == 0)


class ThreeLayerConv(Net):
    """Net of a convolution and two affine layers.

    conv - [batchnorm | groupnorm] - activation - 2x2 max-pool - affine - activation - [dropout] - affine - softmax.

    Batch normalization is spatial, by channel. The convolution has stride 1 and keeps the image's
    size. An axis of one pixel is not pooled.

    Parameters
    ----------
    input_dim : tuple (C, H, W), default=(3, 32, 32)
        Shape of one image.
    num_filters : int, default=32
        Filters F of the convolution.
    filter_size : int, default=7
        Height and width of a filter; odd.
    hidden_dim : int, default=100
        Units of the hidden affine layer.
    num_classes : int, default=10
        Number of classes.
    activation : str, default='relu'
        After the convolution and the hidden affine layer: 'relu', 'leaky_relu', 'tanh', 'logistic', 'identity', 'gelu'
        or 'silu'.
    normalization : None, 'batchnorm' or 'groupnorm', default=None
        Normalization after the convolution. Group normalization takes the most groups that divide
        the filters and leave four in each.
    dropout_keep_ratio : float in (0, 1], default=1
        Probability that dropout, after the activation of the hidden layer, keeps a value; 1 is no dropout.
    head : str or Head, default='softmax'
        What the scores are compared with, see `Net`.
    reg : float, default=0.0
        Strength of the L2 penalty ``0.5 * reg * sum(W ** 2)`` over weights (not biases, gamma or beta). May be
        assigned.
    weight_scale : float, 'he' or 'xavier', default=1e-3
        Standard deviation of the first weights, or the scheme that gives it.
    dtype : dtype, default=numpy.float32
        Of the parameters and of all arithmetic: float32 or float64.
    seed : int, default=None
        Fixes every dropout mask, for gradient checks.
    random_state : int, RandomState or None, default=None
        Draws weights, layer by layer, then dropout masks. None is NumPy's global generator.

    Attributes
    ----------
    params : dict
        W1 (F, C, size, size), b1 (F,), [gamma1, beta1,] W2 (F · H//2 · W//2, hidden_dim), b2, W3
        (hidden_dim, classes), b3.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.nets import ThreeLayerConv
    >>> net = ThreeLayerConv((1, 8, 8), num_filters=4, filter_size=3, random_state=0)
    >>> net.loss(np.ones((5, 1, 8, 8))).shape
    (5, 10)
    """

    def __init__(
        self,
        input_dim=(3, 32, 32),
        num_filters=32,
        filter_size=7,
        hidden_dim=100,
        num_classes=10,
        *,
        activation="relu",
        normalization=None,
        dropout_keep_ratio=1,
        head="softmax",
        reg=0.0,
        weight_scale=1e-3,
        dtype=np.float32,
        seed=None,
        random_state=None,
    ):
        input_dim = check_dims("input_dim", input_dim, length=3)
        num_filters = check_int("num_filters", num_filters, low=1)
        filter_size = check_int("filter_size", filter_size, low=1)
        hidden_dim = check_int("hidden_dim", hidden_dim, low=1)
        num_classes = check_int("num_classes", num_classes, low=1)
        check_activation("activation", activation)
        check_choice("normalization", normalization, (None, "batchnorm", "groupnorm"))
        keep_ratio = check_real("dropout_keep_ratio", dropout_keep_ratio, low=0, high=1, boundaries="right")
        seed = None if seed is None else check_int("seed", seed, low=0)

        layers = [Conv(num_filters, filter_size)]
        if normalization == "batchnorm":
            layers.append(BatchNorm())
        elif normalization == "groupnorm":
            layers.append(GroupNorm(num_groups(num_filters)))
        activate = ACTIVATIONS[activation]
        layers += [activate(), MaxPool(), Affine(hidden_dim), activate()]
        if keep_ratio < 1:
            layers.append(Dropout(keep_ratio, seed))
        layers.append(Affine(num_classes))
        super().__init__(
            layers,
            input_dim,
            head=head,
            reg=reg,
            weight_scale=weight_scale,
            dtype=dtype,
            random_state=random_state,
        )
