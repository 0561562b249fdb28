"""Net: runs a list of layers forward and backward, and owns their parameters and buffers.

Two ways in. `Net.loss` is for people: it checks its input, adds the penalty, and returns gradients
that nothing overwrites. `Net.backprop` is for the solver: a step that allocates nothing, whose
gradients live until the next call and leave the penalty to the update rule, which has the weights
in its hands anyway.
"""

import copy
import math

import numpy as np
from sklearn.utils import check_random_state

from sklearn_dl import _ext
from sklearn_dl._arrays import buffer, normalized_weights
from sklearn_dl._checks import check_dims, check_dtype, check_real, check_weight_scale
from sklearn_dl._threads import n_threads
from sklearn_dl.nets.layers import Affine, AffineReLU, Conv, ConvReLUPool, Initializer, Layer, MaxPool, ReLU

__all__ = ["Net"]


def _fuse(layers):
    """Replace runs of layers by one layer that does them in fewer passes."""
    steps = []
    for layer in layers:
        steps.append(layer)
        kinds = [type(step) for step in steps]
        if kinds[-2:] == [Affine, ReLU]:
            steps[-2:] = [AffineReLU(steps[-2])]
        elif kinds[-3:] == [Conv, ReLU, MaxPool]:
            steps[-3:] = [ConvReLUPool(steps[-3], steps[-1])]
    return steps


def _check_layers(layers):
    """Raise unless this is a list of layer objects, and not of their classes, say."""
    if not isinstance(layers, (list, tuple)) or not layers:
        raise TypeError(f"layers must be a list of layer objects, got {layers!r}.")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"layers[{i}] must be a layer object, such as Affine(10), got {layer!r}.")


class Params(dict):
    """Parameters by name.

    A value assigned is copied into the net's dtype and must have the shape of the one it replaces.
    """

    def __setitem__(self, name, value):
        if name not in self:
            raise KeyError(f"the net has no parameter {name!r}, only {', '.join(self)}")
        old = self[name]
        value = np.array(value, dtype=old.dtype, order="C")
        if value.shape != old.shape:
            raise ValueError(f"params[{name!r}] must have shape {old.shape}, got {value.shape}.")
        super().__setitem__(name, value)

    def update(self, *args, **kwargs):
        """Assign several."""
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def __ior__(self, other):
        self.update(other)
        return self

    def __reduce__(self):
        return Params, (dict(self),)


class Net:
    """A net stated as a list of layers.

    Parameters
    ----------
    layers : list of layer objects (`sklearn_dl.nets.layers`)
        From the input to the class scores.
    input_shape : tuple of int
        Shape of one sample, (D,) or (C, H, W).
    reg : float, default=0.0
        Strength of the L2 penalty ``0.5 * reg * sum(W ** 2)`` over weights (not biases, gamma or
        beta). May be assigned.
    weight_scale : float, 'he' or 'xavier', default=1e-2
        Standard deviation of the first weights, or the scheme that gives it.
    dtype : dtype, default=numpy.float32
        float32 or float64: of the parameters and of all arithmetic.
    random_state : int, RandomState or None, default=None
        Draws weights and dropout masks; None is NumPy's global generator.

    Attributes
    ----------
    params : dict of str to ndarray
        The parameters. Every entry may be assigned.
    weight_names : list of str
        Names of the parameters that the penalty applies to.
    statistics : dict of str to ndarray
        Running statistics of batch normalization; empty without it.
    random_state : RandomState
        Where dropout masks are drawn from.
    takes_rows : bool
        Whether `backprop` takes a whole data set and the rows of a minibatch: a linear net of a few
        classes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.nets import Net
    >>> from sklearn_dl.nets.layers import Affine, Dropout, ReLU
    >>> net = Net([Affine(8), ReLU(), Dropout(0.5), Affine(3)], (4,), random_state=0)
    >>> sorted(net.params)
    ['W1', 'W2', 'b1', 'b2']
    >>> net.loss(np.ones((2, 4))).shape
    (2, 3)
    """

    def __init__(
        self,
        layers,
        input_shape,
        *,
        reg=0.0,
        weight_scale=1e-2,
        dtype=np.float32,
        random_state=None,
    ):
        self.input_shape = check_dims("input_shape", input_shape)
        if not self.input_shape:
            raise ValueError("input_shape must hold at least one size, got ().")
        self.reg = reg
        self.dtype = check_dtype("dtype", dtype)
        self.random_state = check_random_state(random_state)
        weight_scale = check_weight_scale("weight_scale", weight_scale)
        init = Initializer(weight_scale, self.dtype, self.random_state)
        _check_layers(layers)
        # Copies, because a layer learns its names: the caller's may stand twice in a list, or in
        # two nets.
        self._layers = [copy.copy(layer) for layer in layers]
        params = {}
        shape, block = self.input_shape, 0
        for layer in self._layers:
            block += layer.starts_block
            shape, new = layer.build(shape, block, init)
            params.update(new)
        if len(shape) != 1:
            raise ValueError(
                f"layers must end with class scores, as Affine(num_classes) gives, got an output of shape {shape}."
            )
        (self.num_classes,) = shape
        self.params = Params(params)
        self._allocate()

    def _allocate(self):
        """Set up what the layers imply: the steps that run, their work space, the gradients."""
        self.weight_names = [name for layer in self._layers for name in layer.weight_names]
        self._steps = _fuse(self._layers)
        self._work = self.workspace()
        kinds = [type(step) for step in self._steps]
        self.takes_rows = (
            kinds == [Affine]
            and type(self).backprop is Net.backprop  # one that a subclass wrote may not know of rows
            and _ext.linear_takes(self.params[self._steps[0].w])
        )
        self._grads = {name: np.empty_like(value) for name, value in self.params.items()}

    def __getstate__(self):
        """Leave out the buffers."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_steps", "_work", "_grads", "takes_rows")}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._allocate()

    @property
    def reg(self):
        """Strength of the L2 penalty; what is assigned must be finite and at least 0."""
        return self._reg

    @reg.setter
    def reg(self, value):
        self._reg = check_real("reg", value, low=0)

    @property
    def layers(self):
        """The layers as stated, from the input to the class scores."""
        return tuple(self._layers)

    @property
    def statistics(self):
        """Running statistics of batch normalization, the arrays themselves."""
        return {name: layer.statistics[name] for layer in self._layers for name in layer.statistics_names}

    def _check_X(self, X):
        """Return X (N, …) in the net's dtype and input shape."""
        X = np.asarray(X)
        if X.dtype.kind not in "biuf":
            raise TypeError(f"X must be an array of numbers, got dtype {X.dtype}.")
        wanted = self.input_shape
        fits = X.ndim >= 2 and len(X) > 0
        if fits and (X.ndim == 2 or len(wanted) == 1):
            fits = X.size == len(X) * math.prod(wanted)
        elif fits:
            # As many pixels in another layout, say (H, W, C), would be another image.
            fits = X.shape[1:] == wanted
        if not fits:
            raise ValueError(
                f"X must hold at least one sample of shape {wanted}, or flattened, got an array of shape {X.shape}."
            )
        return np.ascontiguousarray(X.reshape(len(X), *wanted), dtype=self.dtype)

    def _check_y(self, y, n_samples):
        y = np.asarray(y)
        if y.shape != (n_samples,) or y.dtype.kind not in "iu":
            raise ValueError(f"y must be {n_samples} integers, one for each sample, got {y.dtype} of shape {y.shape}.")
        if y.min() < 0 or y.max() >= self.num_classes:
            raise ValueError(f"y must hold integers from 0 to {self.num_classes - 1}, got {y.min()} to {y.max()}.")
        return y

    def _forward(self, X, work, *, train, sample_weight=None):
        if X.shape[1:] != self.input_shape:
            X = X.reshape(-1, *self.input_shape)
        for step, space in zip(self._steps, work, strict=True):
            X = step.forward(X, self.params, space, train=train, sample_weight=sample_weight)
        return X

    def workspace(self):
        """Return room for what layers compute on the way to the scores; for one thread at a time.

        Returns
        -------
        work : list of dict
        """
        return [{} for _ in self._steps]

    def scores(self, X, work=None):
        """Class scores of prepared samples in test mode; safe to call from several threads.

        Parameters
        ----------
        X : ndarray of shape (N, …) as input_shape says, or flattened, of the net's dtype, C-contiguous
        work : list of dict, default=None
            A `workspace`, for who calls several times. The next call with it overwrites the scores.

        Returns
        -------
        scores : ndarray of shape (N, num_classes)
        """
        return self._forward(X, self.workspace() if work is None else work, train=False)

    def backprop(self, X, y, sample_weight=None, total_weight=None, rows=None):
        """Return data loss and its gradients, in buffers that the next call overwrites.

        Parameters
        ----------
        X : ndarray of shape (N, …) as input_shape says, or flattened, of the net's dtype, C-contiguous
        y : ndarray of int of shape (N,)
        sample_weight : ndarray of float64 of shape (N,), default=None
        total_weight : float, default=None
            What the weighted sum of the losses is divided by; the sum of the weights if None. The
            solver gives the mean weight of the whole training set times N, so that a step is
            unbiased: what repeating samples gives on average.
        rows : ndarray of intp of shape (N,), default=None
            For a net that `takes_rows`: the minibatch is these rows of X, which may then be uint8,
            float32 or float64 of shape (any, D); y and the weights are those of the minibatch, as
            without. To the same bits as with X[rows], and faster: the minibatch is read from memory
            once.

        Returns
        -------
        loss : float
            Weighted mean loss, without the penalty.
        grads : dict of str to ndarray
            Its gradients, without the penalty's. Overwritten by the next call.

        Raises
        ------
        ValueError
            If total_weight is not positive, or rows are given to a net that does not take them.
        """
        y = np.asarray(y, np.int64)
        if total_weight is not None and not total_weight > 0:
            raise ValueError(f"total_weight must be positive, got {total_weight!r}.")
        total = 0.0 if total_weight is None else total_weight
        if rows is not None:
            if not self.takes_rows:
                raise ValueError(
                    "rows are for nets that take them (takes_rows), which this one does not: give X[rows]."
                )
            return self._linear_backprop(X, rows, y, sample_weight, total)
        scores = self._forward(X, self._work, train=True, sample_weight=sample_weight)
        # The scores are not needed again: their gradient takes their place.
        loss, dout = _ext.softmax_loss(scores, y, sample_weight, scores, total), scores
        for i in range(len(self._steps) - 1, -1, -1):
            dout = self._steps[i].backward(dout, self._grads, self._work[i], need_dx=i > 0)
        return loss, self._grads

    def _linear_backprop(self, X, rows, y, sample_weight, total):
        (layer,), (work,) = self._steps, self._work
        w, b = self.params[layer.w], self.params[layer.b]
        dw, db = self._grads[layer.w], self._grads[layer.b]
        dscores = buffer(work, "out", (len(rows), self.num_classes), self.dtype)
        return _ext.linear_softmax(X, rows, y, sample_weight, w, b, dscores, dw, db, n_threads(), total), self._grads

    def penalty(self, squares=None):
        """Return ``0.5 * reg * sum(W ** 2)`` over the weights.

        Parameters
        ----------
        squares : dict of str to float, default=None
            The sum of squares of each weight, for who knows them already.

        Returns
        -------
        penalty : float
        """
        if self.reg == 0:
            return 0.0
        if squares is None:
            squares = {name: _ext.sum_of_squares(self.params[name], n_threads()) for name in self.weight_names}
        total = 0.0
        for name in self.weight_names:  # sum() would add otherwise, from Python 3.12 on: a recorded step does as here
            total += squares[name]
        return 0.5 * self.reg * total

    def loss(self, X, y=None, sample_weight=None):
        """Scores in test mode, or the training loss and its gradients.

        Parameters
        ----------
        X : array-like of shape (N, …)
            Samples of the net's input shape, or flattened.
        y : array-like of int of shape (N,), default=None
            Classes 0 … num_classes - 1. Without it the net runs in test mode.
        sample_weight : array-like of shape (N,), default=None
            Weights of the samples; they also count in batch statistics.

        Returns
        -------
        scores : ndarray of shape (N, num_classes)
            If y is None.
        loss, grads : float, dict of str to ndarray
            Otherwise: the weighted mean loss with the penalty, and the gradient of every parameter.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong shape or type, or a class is not one of the net's.
        """
        X = self._check_X(X)
        if y is None:
            return self.scores(X)
        y = self._check_y(y, len(X))
        if sample_weight is not None:
            sample_weight = normalized_weights(sample_weight, len(X))
        loss, grads = self.backprop(X, y, sample_weight)
        loss += self.penalty()
        grads = {name: grad.copy() for name, grad in grads.items()}
        for name in self.weight_names:
            grads[name] += grads[name].dtype.type(self.reg) * self.params[name]
        return loss, grads
