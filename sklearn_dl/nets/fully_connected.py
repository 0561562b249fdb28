"""The fully-connected net."""

import numpy as np

from sklearn_dl._checks import check_choice, check_dims, check_int, check_real
from sklearn_dl.nets.activations import ACTIVATIONS, check_activation
from sklearn_dl.nets.layers import Affine, BatchNorm, Dropout, LayerNorm
from sklearn_dl.nets.net import Net

__all__ = ["FullyConnected"]

NORMALIZATIONS = {"batchnorm": BatchNorm, "layernorm": LayerNorm}


class FullyConnected(Net):
    """{affine - [batchnorm | layernorm] - activation - [dropout]} x L - affine - softmax.

    Parameters
    ----------
    hidden_dims : int or sequence of int
        Sizes of the L hidden layers; an int is one layer, empty is a linear softmax classifier.
    input_dim : int, default=3072
        Number of inputs D.
    num_classes : int, default=10
        Number of classes C.
    activation : str, default='relu'
        Activation of each hidden layer: 'relu', 'leaky_relu', 'tanh', 'logistic', 'identity', 'gelu' or 'silu'.
    dropout_keep_ratio : float in (0, 1], default=1
        Probability of keeping a value; 1 is no dropout.
    normalization : None, 'batchnorm' or 'layernorm', default=None
        Normalization of each hidden layer.
    head : str or Head, default='softmax'
        What the scores are compared with, see `Net`.
    reg : float, default=0.0
        Strength of the L2 penalty ``0.5 * reg * sum(W ** 2)`` over weights (not biases, gamma or beta). May be
        assigned.
    weight_scale : float, 'he' or 'xavier', default=1e-2
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
        W1 (D, H1), b1 (H1,), gamma1, beta1, …, the last W (H, C) and b (C,).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.nets import FullyConnected
    >>> net = FullyConnected([20, 30], 15, 10, dtype=np.float64, random_state=0)
    >>> X, y = np.ones((2, 15)), np.array([3, 7])
    >>> loss, grads = net.loss(X, y)
    >>> f"{loss:.2f}", grads["W3"].shape
    ('2.30', (30, 10))
    """

    def __init__(
        self,
        hidden_dims,
        input_dim=3 * 32 * 32,
        num_classes=10,
        *,
        activation="relu",
        dropout_keep_ratio=1,
        normalization=None,
        head="softmax",
        reg=0.0,
        weight_scale=1e-2,
        dtype=np.float32,
        seed=None,
        random_state=None,
    ):
        hidden_dims = check_dims("hidden_dims", hidden_dims)
        input_dim = check_int("input_dim", input_dim, low=1)
        num_classes = check_int("num_classes", num_classes, low=1)
        check_activation("activation", activation)
        keep_ratio = check_real("dropout_keep_ratio", dropout_keep_ratio, low=0, high=1, boundaries="right")
        check_choice("normalization", normalization, (None, *NORMALIZATIONS))
        seed = None if seed is None else check_int("seed", seed, low=0)

        layers = []
        for units in hidden_dims:
            layers.append(Affine(units))
            if normalization is not None:
                layers.append(NORMALIZATIONS[normalization]())
            layers.append(ACTIVATIONS[activation]())
            if keep_ratio < 1:
                layers.append(Dropout(keep_ratio, seed))
        layers.append(Affine(num_classes))
        super().__init__(
            layers,
            (input_dim,),
            head=head,
            reg=reg,
            weight_scale=weight_scale,
            dtype=dtype,
            random_state=random_state,
        )
