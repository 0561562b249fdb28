"""Inverted dropout."""

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._arrays import (
    Cache,
    as_floats,
    as_gradient,
    buffer,
    check_not_empty,
    output,
    real,
    required,
    train_mode,
)
from sklearn_dl._checks import check_int, check_real
from sklearn_dl._threads import n_threads
from sklearn_dl.layers._layer import Layer
from sklearn_dl.layers._registry import register

__all__ = ["Dropout", "dropout_backward", "dropout_forward"]

# Numbers drawn at a time: few enough that NumPy's allocator keeps the memory.
PIECE = 4096


class DropoutCache(Cache):
    """mask (None in test mode), p, shape and dtype of the output."""

    __slots__ = ()
    forward = "dropout_forward"


def dropout_forward(x, dropout_param, *, out=None, work=None):
    """Zero elements at random, and scale up the others so that the expectation stays.

    Parameters
    ----------
    x : ndarray of any shape
        Input.
    dropout_param : dict
        - mode : 'train' or 'test'. In test mode the layer is the identity.
        - p : float in (0, 1], the probability of *keeping* an element.
        - seed : int, optional. Reseeds the draw, so that repeated calls give one mask.
        - rng : RandomState, optional. Where to draw from without a seed. With neither, NumPy's
          global generator.
    out : ndarray of the shape of x, optional
        Where to write the result; may be x itself.
    work : dict, optional
        Keeps the mask between calls, to reuse its memory.

    Returns
    -------
    out : ndarray of the shape of x
        In train mode ``x * (rand(*x.shape) < p) / p``, in test mode x.
    cache : tuple
        What `dropout_backward` needs.

    Raises
    ------
    ValueError
        If x is empty, or mode or p are missing, or mode, p or seed out of range.
    TypeError
        If p, seed or rng is of the wrong type.

    Notes
    -----
    Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, "Dropout: a simple way to prevent
    neural networks from overfitting", JMLR 15 (2014). Dividing by p while training ("inverted"
    dropout) leaves nothing to do when predicting.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import dropout_forward
    >>> out, cache = dropout_forward(np.ones(8), {"mode": "train", "p": 0.5, "seed": 0})
    >>> out
    array([0., 0., 0., 0., 2., 0., 2., 0.])
    """
    (x,) = as_floats(x=x)
    check_not_empty("x", x)
    keep_ratio, rng = check_dropout(dropout_param)
    out = output(out, x.shape, x.dtype)
    if rng is None:
        np.copyto(out, x)
        return out, DropoutCache((None, keep_ratio, x.shape, x.dtype))
    _ext.check_apart((out, x), ("out", "x"), may_be=1)  # before anything is drawn
    mask = buffer(work, "mask", x.shape, np.bool_)
    _draw_mask(rng, dropout_param.get("seed") is None, keep_ratio, mask)
    _ext.scale_by_mask(x, mask, 1 / keep_ratio, out, n_threads())
    return out, DropoutCache((mask, keep_ratio, x.shape, x.dtype))


def check_dropout(dropout_param):
    """Return the probability of keeping, and the generator to draw from, None in test mode."""
    keep_ratio = required(dropout_param, "dropout_param", "p")
    if not 0 < real(keep_ratio, "dropout_param", "p") <= 1:
        raise ValueError(f"dropout_param['p'], the probability of keeping, must be in (0, 1], got {keep_ratio!r}.")
    return keep_ratio, _source(dropout_param) if train_mode(dropout_param, "dropout_param") else None


def _source(dropout_param):
    """Return the generator to draw from."""
    seed = dropout_param.get("seed")
    if seed is not None:
        try:
            return np.random.RandomState(seed)
        except (TypeError, ValueError) as error:
            raise type(error)(f"dropout_param['seed'] must be an integer from 0 to 2**32 - 1, got {seed!r}.") from error
    rng = dropout_param.get("rng")
    if rng is None:
        return np.random.mtrand._rand
    if not isinstance(rng, np.random.RandomState):
        raise TypeError(f"dropout_param['rng'] must be a numpy.random.RandomState, got {rng!r}.")
    return rng


def _draw_mask(rng, varies, keep_ratio, mask):
    """Fill the mask by ``rand(*mask.shape) < keep_ratio``; `varies`: whether the next draw will be another one."""
    if varies and type(rng) is np.random.RandomState:
        _ext.draw_mask(rng._bit_generator, keep_ratio, mask)
        return
    if varies:
        _ext.spoil_recording()  # a recording cannot repeat the draws of a class of the caller's own
    mask = mask.reshape(-1)
    # In pieces: one draw of all would allocate an array in every step.
    for start in range(0, len(mask), PIECE):
        piece = mask[start : start + PIECE]
        np.less(rng.random_sample(len(piece)), keep_ratio, out=piece)


def dropout_backward(dout, cache, *, out=None):
    """Return the gradient of dropout: the mask of the forward pass, applied to dout.

    Parameters
    ----------
    dout : ndarray of any shape
        Gradient of the loss with respect to the output.
    cache : tuple
        From `dropout_forward`.
    out : ndarray of the shape of dout, optional
        Where to write the result; may be dout itself.

    Returns
    -------
    dx : ndarray of the shape of dout
        ``dout * mask / p`` in train mode, dout in test mode.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.layers import dropout_backward, dropout_forward
    >>> _, cache = dropout_forward(np.ones(8), {"mode": "train", "p": 0.5, "seed": 0})
    >>> dropout_backward(np.arange(8), cache)
    array([ 0.,  0.,  0.,  0.,  8.,  0., 12.,  0.])
    """
    mask, keep_ratio, shape, dtype = DropoutCache.check(cache)
    dout = as_gradient(dout, shape, dtype)
    dx = output(out, shape, dtype)
    if mask is None:
        np.copyto(dx, dout)
    else:
        _ext.scale_by_mask(dout, mask, 1 / keep_ratio, dx, n_threads())
    return dx


@register
class Dropout(Layer):
    """Inverted dropout.

    Parameters
    ----------
    keep_ratio : float in (0, 1]
        Probability of keeping a value.
    seed : int, default=None
        Makes every mask of this layer the same draw, for gradient checks. Layers with one seed and as many values draw
        one mask. Without it, masks are drawn from the net's random state.

    Examples
    --------
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, Dropout, ReLU
    >>> net = Net([Affine(8), ReLU(), Dropout(0.5), Affine(3)], (4,), random_state=0)
    >>> net.layers[2]
    Dropout(0.5)
    """

    recordable = True
    varies = True

    def __init__(self, keep_ratio: float, seed: int | None = None) -> None:
        self.keep_ratio = check_real("keep_ratio", keep_ratio, low=0, high=1, boundaries="right")
        self.seed = None if seed is None else check_int("seed", seed, low=0)

    def build(self, in_shape, block, init):
        """Take the net's random state for the masks."""
        self.rng = init.random_state
        return in_shape, {}

    def forward(self, x, params, work, *, train, sample_weight):
        """Return the masked output in training, x itself otherwise."""
        if not train:
            return x
        work["x_shape"] = x.shape
        param = {"mode": "train", "p": self.keep_ratio, "rng": self.rng}
        if self.seed is not None:
            param["seed"] = self.seed
        out = buffer(work, "out", x.shape, x.dtype)
        out, work["cache"] = dropout_forward(x, param, out=out, work=work)
        return out

    def backward(self, dout, grads, work, *, need_dx):
        """Return dx."""
        return dropout_backward(dout, work["cache"], out=self._dx_buffer(work, True, dout.dtype))

    def to_onnx(self, graph, arrays, x, shape):
        """Add nothing: predictions are made without dropout."""
        return x, shape
