"""Net: runs a list of layers forward and backward, and owns their parameters and buffers.

Two ways in. `Net.loss` is for people: it checks its input, adds the penalty, and returns gradients
that nothing overwrites. `Net.backprop` is for the solver: a step that allocates nothing, whose
gradients live until the next call and leave the penalty to the update rule, which reads the weights
anyway. A subclass may override either: `trains_through_loss` and `predicts_through_loss` tell which
way its training and its predictions must go.
"""

import copy
import inspect
import math
from functools import lru_cache

import numpy as np
from sklearn.utils import check_random_state

from sklearn_dl import _ext, _saving
from sklearn_dl._arrays import buffer, normalized_weights
from sklearn_dl._checks import check_dims, check_dtype, check_real, check_weight_scale
from sklearn_dl._csr import CSR, as_rows
from sklearn_dl._threads import n_threads
from sklearn_dl.layers._layer import Block, Initializer, Layer, Names
from sklearn_dl.layers.affine import forget_touched
from sklearn_dl.nets.fusion import fuse
from sklearn_dl.nets.heads import make_head
from sklearn_dl.nets.layers import Affine

__all__ = ["Net"]

MAX_DIMS = 31  # of a sample: NumPy 1 has arrays of up to 32 axes


def _check_layers(layers):
    """Raise unless this is a list of layer objects, and not of their classes, say."""
    if not isinstance(layers, (list, tuple)) or not layers:
        raise TypeError(f"layers must be a list of layer objects, got {layers!r}.")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"layers[{i}] must be a layer object, such as Affine(10), got {layer!r}.")


def check_input_shape(value):
    """Return the shape of one sample as a tuple."""
    shape = check_dims("input_shape", value)
    if not shape:
        raise ValueError("input_shape must hold at least one size, got ().")
    if len(shape) > MAX_DIMS:
        raise ValueError(f"input_shape must hold at most {MAX_DIMS} sizes, got {len(shape)}.")
    return shape


def _copy_layers(layers):
    """Return copies, because a layer learns its names: the caller's may stand twice in a list, or in two nets."""
    copies = []
    for i, layer in enumerate(layers):
        try:
            copies.append(copy.deepcopy(layer))
        except TypeError as error:
            raise TypeError(f"layers[{i}], {layer!r}, holds what cannot be copied: {error}.") from error
    return copies


def build_layers(layers, input_shape, init):
    """Build the layers of a net, in place; return the parameters, and the number of scores."""
    params, names = {}, Names()
    shape, block = input_shape, 0
    for i, layer in enumerate(layers):
        block += layer.starts_block
        built = layer.build(shape, Block(block, names, i), init)
        if not (isinstance(built, tuple) and len(built) == 2 and isinstance(built[0], tuple)):
            raise TypeError(
                f"layers[{i}], {layer!r}, must return (out_shape, params) from build, with a tuple for the shape, got"
                f" {built!r:.80}."
            )
        shape, new = built
        names.claim(layers, i, new)
        params.update(new)
    if len(shape) != 1:
        raise ValueError(
            f"layers must end with class scores, as Affine(num_classes) gives, got an output of shape {shape}."
        )
    return params, shape[0]


class StoredArrays(Initializer):
    """Parameters and statistics of a net that was stored: a net takes them in place of a `weight_scale`.

    Layers are given arrays of the shapes they ask for that take no memory. With these the stored ones are compared, so
    that sizes which somebody has written into a file cost nothing, and no weights are drawn to be thrown away.

    Parameters
    ----------
    params, statistics : dict of str to ndarray
    copies : bool, default=False
        Whether the net copies them, because others may write to them.
    """

    def __init__(self, params, statistics, *, copies=False):
        self.params, self.statistics, self.copies = params, statistics, copies

    def of_net(self, net):
        """Return self, for a net of this dtype and random state."""
        self.dtype, self.random_state = net.dtype, net.random_state
        return self

    def weights(self, shape, fan_in, fan_out):
        """Return zeros of the given shape."""
        return self.constant(0, shape)

    def constant(self, value, shape):
        """Return an array full of `value`."""
        return np.broadcast_to(self.dtype.type(value), shape)

    def put_into(self, net, params):
        """Make the stored arrays those of a net, whose layers have asked for `params`.

        Raises
        ------
        TypeError, ValueError
            If they are others.
        """
        arrays = [*self.params.values(), *self.statistics.values()]
        if len({id(value) for value in arrays}) < len(arrays):
            raise ValueError("one array stands for several parameters or statistics.")
        wanted = {"params": params, "statistics": net.statistics}
        for field, arrays in wanted.items():
            _check_arrays(field, getattr(self, field), arrays)
        own, statistics = (
            {name: self._as_own(getattr(self, field)[name]) for name in arrays} for field, arrays in wanted.items()
        )
        net.params = Params(own)
        for layer in net.layers:
            for name in layer.statistics_names:
                layer.statistics[name] = statistics[name]

    def _as_own(self, value):
        """Return an array for a net to write to; a copy of a memory map, whose file may change."""
        if self.copies or type(value) is not np.ndarray:
            return np.array(value, order="C")
        return np.require(value, requirements="CAW")


def _check_arrays(field, stored, wanted):
    """Raise unless the stored arrays have the names, shapes and dtypes of the wanted ones."""
    if stored.keys() != wanted.keys():
        got = f"{', '.join(stored)}"
        raise ValueError(f"{field} are {got:.200}, those of the layers {', '.join(wanted)}.")
    for name, like in wanted.items():
        value = stored[name]
        if not isinstance(value, np.ndarray) or value.shape != like.shape or value.dtype != like.dtype:
            got = f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)[:80]
            raise ValueError(f"{field}[{name!r}] must be {like.dtype} of shape {like.shape}, got {got}.")


def _own_arrays(params, dtype):
    """Return parameters that layers made as arrays of this dtype, of which no two are one array."""
    seen, own = set(), {}
    for name, value in params.items():
        value = np.require(value, dtype, "CAW")
        place = value.__array_interface__["data"][0]
        own[name] = value.copy() if place in seen else value
        seen.add(place)
    return own


class Params(dict):
    """Parameters by name.

    A value assigned is copied into the net's dtype and must have the shape of the one it replaces.
    """

    def __setitem__(self, name, value):
        if name not in self:
            raise KeyError(f"the net has no parameter {name!r}, only {', '.join(self)}.")
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
    input_shape : int or tuple of int
        Shape of one sample, D, (D,) or (C, H, W).
    head : str or Head, default='softmax'
        What the scores are compared with, and how: 'softmax' or 'hinge' (y are the numbers of classes), 'logistic' (y
        of the shape of the scores, in [0, 1]: labels that do not exclude each other), 'squared_error',
        'absolute_error', 'huber' or 'poisson' (y of the shape of the scores), or an object of `sklearn_dl.nets.heads`.
        May be assigned.
    reg : float, default=0.0
        Strength of the L2 penalty ``0.5 * reg * sum(W ** 2)`` over weights (not biases, gamma or beta). May be
        assigned.
    weight_scale : float, 'he' or 'xavier', default=1e-2
        Standard deviation of the first weights, or the scheme that gives it.
    dtype : dtype, default=numpy.float32
        Of the parameters and of all arithmetic: float32 or float64.
    random_state : int, RandomState or None, default=None
        Draws weights, layer by layer, then dropout masks. None is NumPy's global generator.

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
    takes_csr : bool
        Whether X may be a sparse matrix: the first layer is an affine one.
    takes_rows : bool
        Whether `backprop` takes a whole data set and the rows of a minibatch: a linear net of a few
        classes.

    Notes
    -----
    A subclass may override

    - ``loss(X, y=None, sample_weight=None)``: a `Solver` then trains on the loss and the gradients that it returns,
      the penalty's included. Without ``sample_weight`` in its signature, weights of samples are an error. Given
      weights are normalized within each minibatch.
    - ``backprop(X, y, sample_weight=None, total_weight=None)``: another data loss; a `Solver` and `loss` add the L2
      penalty. Arguments that are None are left out.
    - ``scores(X, work=None)``: what is predicted.

    Where a class overrides `loss`, and `backprop` or `scores` not as well or only in a class below, training, or
    prediction, goes through `loss`. An overridden `penalty` alone, whose gradient nobody knows, is an error of `loss`
    and of a `Solver`.

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
        head="softmax",
        reg=0.0,
        weight_scale=1e-2,
        dtype=np.float32,
        random_state=None,
    ):
        self.input_shape = check_input_shape(input_shape)
        self.head = head
        self.reg = reg
        self.dtype = check_dtype("dtype", dtype)
        self.random_state = check_random_state(random_state)
        if isinstance(weight_scale, StoredArrays):
            self._take_stored(layers, weight_scale)
            return
        weight_scale = check_weight_scale("weight_scale", weight_scale)
        init = Initializer(weight_scale, self.dtype, self.random_state)
        _check_layers(layers)
        self._layers = _copy_layers(layers)
        params, self.num_classes = build_layers(self._layers, self.input_shape, init)
        self.params = Params(_own_arrays(params, self.dtype))
        self._allocate()

    def _take_stored(self, layers, stored):
        """Do what the constructor does after `dtype`, with new layers and stored arrays."""
        self._layers = list(layers)
        params, self.num_classes = build_layers(self._layers, self.input_shape, stored.of_net(self))
        stored.put_into(self, params)
        self._allocate()

    def _allocate(self):
        """Set up what the layers imply: the steps that run, their work space, the gradients."""
        self.weight_names = [name for layer in self._layers for name in layer.weight_names]
        self._steps = fuse(self._layers)
        self._work = self.workspace()
        self._loss_work = {}
        self._is_linear = (
            [type(step) for step in self._steps] == [Affine]
            and not _overrides(self, "backprop", "_forward", *_PARTS_OF_LOSS)  # which may not know of rows
            and _ext.linear_takes(self.params[self._steps[0].w])
        )
        self._grads = {name: np.empty_like(value) for name, value in self.params.items()}

    def __getstate__(self):
        """Leave out what `_allocate` sets up."""
        allocated = ("_steps", "_work", "_loss_work", "_grads", "_is_linear")
        return {k: v for k, v in self.__dict__.items() if k not in allocated}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.__dict__.setdefault("_head", make_head("softmax"))  # of a pickle of 0.1.0
        self._allocate()

    @property
    def head(self):
        """What the scores are compared with, a `Head`; a name may be assigned."""
        return self._head

    @head.setter
    def head(self, value):
        self._head = make_head(value)

    @property
    def takes_rows(self):
        """Whether `backprop` takes a whole data set and the rows of a minibatch."""
        return self._is_linear and self._head.fuses_linear

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

    @property
    def varying_layers(self):
        """The layers that make the training loss depend on minibatches or draws, not on the parameters alone."""
        return tuple(layer for layer in self._layers if layer.varies)

    def _check_X(self, X):
        """Return X (N, …) in the net's dtype and input shape; a sparse matrix as `CSR`."""
        X = as_rows(X)
        if type(X) is CSR:
            self.check_takes_csr()
            if len(X) == 0 or X.n_columns != math.prod(self.input_shape):
                raise ValueError(
                    f"X must hold at least one sample of {math.prod(self.input_shape)} features, got a sparse matrix of"
                    f" shape {X.shape}."
                )
            return X.astype(self.dtype)
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
        return self._head.check_targets("y", y, n_samples, self.num_classes)

    @property
    def takes_csr(self):
        """Whether X may be a sparse matrix: the first layer is an affine one."""
        return vars(type(self._steps[0])).get("takes_csr", False)

    def check_takes_csr(self):
        """Raise TypeError unless the net takes sparse X."""
        if not self.takes_csr:
            raise TypeError(
                "Sparse data was passed for X, but only a net whose first layer is Affine takes it; this one begins"
                f" with {self._layers[0]!r}: give X.toarray()."
            )

    def _forward(self, X, work, *, train, sample_weight=None):
        if X.shape[1:] != self.input_shape and type(X) is not CSR:
            X = X.reshape(-1, *self.input_shape)
        for step, space in zip(self._steps, work, strict=True):
            X = step.forward(X, self.params, space, train=train, sample_weight=sample_weight)
        return X

    def workspace(self):
        """Return room for what layers compute on the way to the scores; for one thread at a time.

        Returns
        -------
        work : list of dict
            One for each step, empty at first.
        """
        return [{} for _ in self._steps]

    def scores(self, X, work=None):
        """Return the class scores of prepared samples in test mode; safe to call from several threads.

        Parameters
        ----------
        X : ndarray of shape (N, …) as input_shape says, or flattened, of the net's dtype, C-contiguous; or `CSR`
            Samples. Not checked.
        work : list of dict, default=None
            A `workspace`, to reuse buffers between calls. The next call with it overwrites the scores.

        Returns
        -------
        scores : ndarray of shape (N, num_classes)
            Of the net's dtype.
        """
        return self._forward(X, self.workspace() if work is None else work, train=False)

    def backprop(self, X, y, sample_weight=None, total_weight=None, rows=None):
        """Return data loss and its gradients, in buffers that the next call overwrites.

        Parameters
        ----------
        X : ndarray of shape (N, …) as input_shape says, or flattened, of the net's dtype, C-contiguous; or `CSR`
            Samples of a minibatch. Not checked.
        y : ndarray of shape (N,) or (N, num_classes)
            What the head takes: for 'softmax', classes 0 … num_classes - 1.
        sample_weight : ndarray of float64 of shape (N,), default=None
            Weights of the samples; they also count in batch statistics.
        total_weight : float, default=None
            What the weighted sum of the losses is divided by; the sum of the weights if None. The
            solver gives the mean weight of the whole training set times N, so that a step is
            unbiased: what repeating samples gives on average.
        rows : ndarray of intp of shape (N,), default=None
            For a net that `takes_rows`: the minibatch is these rows of X, which may then be real
            numbers of any dtype, of shape (any, D); y and the weights are those of the minibatch, as
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
        found = self._backprop(X, y, sample_weight, total_weight, rows)
        forget_touched(self._work[0])  # the caller may write to the gradients
        return found

    def _backprop(self, X, y, sample_weight=None, total_weight=None, rows=None):
        """Do what `backprop` does, for a caller that leaves zeros in the gradients zero."""
        y = np.asarray(y, np.int64) if self._head.takes_labels else np.ascontiguousarray(y, self.dtype)
        if total_weight is not None and not total_weight > 0:
            raise ValueError(f"total_weight must be positive, got {total_weight!r}.")
        total_weight = total_weight or 0.0
        if rows is not None:
            if not self.takes_rows:
                raise ValueError(
                    "rows are for nets that take them (takes_rows), which this one does not: give X[rows]."
                )
            return self._linear_backprop(X, rows, y, sample_weight, total_weight)
        scores = self._forward(X, self._work, train=True, sample_weight=sample_weight)
        # Not in the place of the scores: the last layer may need its output to go back.
        dout = buffer(self._loss_work, "dscores", scores.shape, scores.dtype)
        loss = self._head.loss(scores, y, sample_weight, dout, total_weight)
        for i in range(len(self._steps) - 1, -1, -1):
            dout = self._steps[i].backward(dout, self._grads, self._work[i], need_dx=i > 0)
        return loss, self._grads

    def _linear_backprop(self, X, rows, y, sample_weight, total_weight):
        (layer,), (work,) = self._steps, self._work
        w, b = self.params[layer.w], self.params[layer.b]
        dw, db = self._grads[layer.w], self._grads[layer.b]
        forget_touched(work)
        dscores = buffer(work, "out", (len(rows), self.num_classes), self.dtype)
        loss = self._head.loss_of_rows(X, rows, y, sample_weight, w, b, dscores, dw, db, n_threads(), total_weight)
        return loss, self._grads

    def penalty(self, squares=None):
        """Return ``0.5 * reg * sum(W ** 2)`` over the weights.

        Parameters
        ----------
        squares : dict of str to float, default=None
            The sum of squares of each weight, where they are known.

        Returns
        -------
        penalty : float
            Zero without `reg`.
        """
        return l2_penalty(self.reg, self.params, self.weight_names, squares)

    def loss(self, X, y=None, sample_weight=None):
        """Return scores in test mode, or the training loss and its gradients.

        Parameters
        ----------
        X : array-like of shape (N, …), or sparse matrix of shape (N, D)
            Samples of the net's input shape, or flattened. A sparse matrix is for nets whose first layer is affine.
        y : array-like of shape (N,) or (N, num_classes), default=None
            What the head takes: for 'softmax', classes 0 … num_classes - 1. Without it the net runs in test mode.
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
            If an argument has the wrong shape or type, or a class is not one of the net's; if a subclass overrides
            `penalty` and not `loss`.
        """
        X = self._check_X(X)
        if y is None:
            return self.scores(X)
        _check_penalty(self)
        y = self._check_y(y, len(X))
        if sample_weight is not None:
            sample_weight = normalized_weights(sample_weight, len(X))
        loss, grads = self.backprop(X, y, sample_weight)
        loss += self.penalty()
        grads = {name: grad.copy() for name, grad in grads.items()}
        for name in self.weight_names:
            grads[name] += grads[name].dtype.type(self.reg) * self.params[name]
        return loss, grads

    def save(self, path):
        """Save to one file of arrays and JSON, which `load` reads without running code from it.

        Parameters
        ----------
        path : str or path
            Written only once complete; an existing file is then replaced.

        Raises
        ------
        TypeError
            If the net or one of its layers is of a class that is not of this package: a file cannot bring code along.

        Examples
        --------
        >>> import os, tempfile
        >>> import numpy as np
        >>> from sklearn_dl.nets import FullyConnected
        >>> net, X = FullyConnected([8], 4, 3, random_state=0), np.ones((2, 4))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     net.save(os.path.join(folder, "net"))
        ...     twin = FullyConnected.load(os.path.join(folder, "net"))
        >>> bool((twin.loss(X) == net.loss(X)).all())
        True
        """
        _saving.save(self, path)

    @classmethod
    def load(cls, path):
        """Load what `save` wrote: layers, parameters, statistics, reg, dtype and random state.

        Parameters
        ----------
        path : str or path
            Name of the file.

        Returns
        -------
        net : Net
            Of the class that was saved.

        Raises
        ------
        ValueError
            If the file is damaged, of a newer version, or does not hold a net of this class.
        """
        return _saving.load(path, expected_class=cls)


def l2_penalty(reg, params, names, squares=None):
    """Return ``0.5 * reg * sum(W ** 2)`` over the parameters of these names; see `Net.penalty`."""
    if reg == 0:
        return 0.0
    if squares is None:
        squares = {name: _ext.sum_of_squares(params[name], n_threads()) for name in names}
    total = 0.0
    for name in names:  # sum() would add otherwise, from Python 3.12 on: a recorded step does as here
        total += squares[name]
    return 0.5 * reg * total


_PARTS_OF_LOSS = ("loss", "_check_X", "_check_y")


@lru_cache
def _class_of_this_package(cls):
    return next(base for base in cls.__mro__ if base.__module__.startswith("sklearn_dl."))


def _overrides(net, *names):
    """Return whether the object, or a class that is not of this package, has one of these methods of its own."""
    cls, on_itself = type(net), vars(net)
    ours = _class_of_this_package(cls)
    for name in names:  # noqa: SIM110 - in a generator it takes 4 percent of the prediction of a row
        if name in on_itself or getattr(cls, name) is not getattr(ours, name):
            return True
    return False


def _distance(net, name):
    """Return how far from the object a method is defined: -1 on itself, 0 in its class, then up the bases."""
    classes = type(net).__mro__
    return -1 if name in vars(net) else next(i for i, cls in enumerate(classes) if name in vars(cls))


def _goes_through_loss(net, other):
    """Return whether `loss` is overridden, and the method `other` is not, or only in a base of the class that does."""
    if not _overrides(net, *_PARTS_OF_LOSS):
        return False
    return not _overrides(net, other) or min(_distance(net, name) for name in _PARTS_OF_LOSS) < _distance(net, other)


def _check_penalty(net):
    """Raise if a penalty is overridden that `loss`, where it is defined, cannot know: its gradient would be missing."""
    if _overrides(net, "penalty") and _distance(net, "penalty") < _distance(net, "loss"):
        raise TypeError(
            f"{type(net).__name__} overrides penalty, but not loss: override loss as well, to return the loss with this"
            " penalty, and gradients that hold the penalty's."
        )


def trains_through_loss(net):
    """Return whether a `Net` must be trained on what its `loss` returns, not on what its `backprop` does.

    Raises
    ------
    TypeError
        If it overrides `penalty` alone.
    """
    _check_penalty(net)
    return _overrides(net, "penalty") or _goes_through_loss(net, "backprop")


def trains_on_head(net):
    """Return whether a `Net` is trained on what its head makes of its scores, and on nothing else."""
    return not _overrides(net, "backprop", "penalty", *_PARTS_OF_LOSS)


def predicts_through_loss(net):
    """Return whether a `Net` must predict what ``loss(X)`` returns, not what `scores` does."""
    return _goes_through_loss(net, "scores")


def loss_takes_weights(net):
    """Return whether `loss` of a net has an argument ``sample_weight``."""
    parameters = inspect.signature(net.loss).parameters.values()
    return any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters)
