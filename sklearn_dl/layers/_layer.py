"""Base of the layer objects: their arguments, names that no two layers of a net share, first parameters."""

from __future__ import annotations

import copy
import inspect
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from sklearn_dl._arrays import buffer

__all__ = ["Block", "Initializer", "Layer", "Names", "OnnxGraph", "check_layer", "names_of"]

Shape = tuple[int, ...]  # of one sample
Arrays = Mapping[str, np.ndarray]  # parameters, gradients or statistics by name
Work = dict[str, Any]  # what one layer keeps from forward to backward

# Where pickles and skops files of every release look for layers.
PUBLIC_MODULE = "sklearn_dl.nets.layers"


class OnnxGraph(Protocol):
    """The ONNX graph that a layer's `to_onnx` adds to. Arrays in it go by names of type str.

    Shapes are those of one sample.
    """

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator; return the name of its output."""

    def constant(self, values: Any) -> str:
        """Add an array of numbers; return its name."""

    def cast(self, x: str, dtype: DTypeLike) -> str:
        """Add a cast to a NumPy dtype."""

    def reshape(self, x: str, shape: Shape) -> str:
        """Give each sample this shape."""

    def mean(self, x: str, axis: int) -> str:
        """Add the mean over one axis, which stays, of length 1."""


class Layer:
    """What every layer object offers; parameterless by default.

    The arguments of a constructor are kept as attributes of the same names. By these a layer prints, compares, clones
    (`sklearn.base.clone`) and is saved. A layer that keeps them elsewhere works in a net, but is equal to itself alone
    and cannot be saved.

    Examples
    --------
    >>> from sklearn_dl.nets.layers import Affine, Dropout
    >>> Dropout(0.5, seed=3), Dropout(0.5, seed=3) == Dropout(0.5, seed=4)
    (Dropout(0.5, seed=3), False)
    >>> Affine(10).arguments()
    {'units': 10}
    """

    starts_block: bool = False  # a block: a layer with weights and what follows it, up to the next such
    weight_names: Sequence[str] = ()  # the parameters that the L2 penalty applies to
    statistics_names: Sequence[str] = ()  # running statistics, kept in `statistics`
    # Whether forward and backward leave all arithmetic to kernels, so that a recording of these can replace a step. A
    # subclass, which may do more, has to say so again: it is not inherited.
    recordable: ClassVar[bool] = False
    # Whether forward takes a `CSR`, rows of a sparse matrix, and backward without `need_dx` knows of it. Not inherited.
    takes_csr: ClassVar[bool] = False

    # Whether in training the output for a sample depends on more than the sample and the parameters: on the others of
    # the minibatch, or on draws.
    varies: ClassVar[bool] = False
    # Whether a minibatch of a single sample says nothing to it in training.
    needs_two: bool = False

    statistics: dict[str, np.ndarray]

    def build(self, in_shape: Shape, block: Block, init: Initializer) -> tuple[Shape, dict[str, np.ndarray]]:
        """Return the output's shape and the parameters; see the contract in `sklearn_dl.nets.layers`.

        Parameters
        ----------
        in_shape : tuple of int
            Shape of the input, without the batch axis.
        block : Block
            The number of the block, an int with a method ``names``.
        init : Initializer
            Makes first parameters.

        Returns
        -------
        out_shape : tuple of int
            Shape of the output, without the batch axis.
        params : dict of str to ndarray
            The parameters by name.
        """
        return in_shape, {}

    def forward(
        self, x: np.ndarray, params: Arrays, work: Work, *, train: bool, sample_weight: np.ndarray | None
    ) -> np.ndarray:
        """Return the output; must not change x.

        Parameters
        ----------
        x : ndarray of shape (N, …)
            Input.
        params : dict of str to ndarray
            All parameters of the net.
        work : dict
            Of this layer alone: buffers, and what backward needs.
        train : bool
            Whether this is a training step, of which backward follows, or a prediction.
        sample_weight : ndarray of float64 of shape (N,) or None
            Weights of the samples in statistics of the batch.

        Returns
        -------
        out : ndarray of shape (N, …)
            The output.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method forward.")

    def backward(self, dout: np.ndarray, grads: Arrays, work: Work, *, need_dx: bool) -> np.ndarray | None:
        """Write the gradients of the parameters into `grads` and return that of x; may overwrite dout.

        Parameters
        ----------
        dout : ndarray of the shape of the output
            Gradient of the loss with respect to the output.
        grads : dict of str to ndarray
            Where to write the gradients of the parameters.
        work : dict
            The one that the forward pass was given.
        need_dx : bool
            Whether dx is needed: not by the first layer.

        Returns
        -------
        dx : ndarray of the shape of x or None
            Gradient with respect to x.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method backward.")

    def to_onnx(self, graph: OnnxGraph, arrays: Arrays, x: str, shape: Shape) -> tuple[str, Shape]:
        """Add to an ONNX graph what the layer does in prediction.

        Not inherited: a subclass, which may compute something else, has to define it again.

        Parameters
        ----------
        graph : OnnxGraph
            Has ``add(op, *inputs, **attributes)``, ``constant(values)``, ``cast(x, dtype)``, ``reshape(x, shape)`` and
            ``mean(x, axis)``, each of which returns the name of its result.
        arrays : dict of str to ndarray
            Parameters and statistics of the net.
        x : str
            Name of the input.
        shape : tuple of int
            Shape of one sample of the input.

        Returns
        -------
        out : str
            Name of the output.
        out_shape : tuple of int
            Shape of one sample of it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method to_onnx.")

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments.

        Returns
        -------
        arguments : dict of str to object
            By name. ``type(layer)(**layer.arguments())`` is an equal layer.

        Raises
        ------
        TypeError
            If the constructor has an argument that is no attribute of the layer, or ``*args`` or ``**kwargs``.
        """
        names = _parameters(type(self))
        missing = [name for name in names if not hasattr(self, name)]
        if missing:
            raise TypeError(
                f"{type(self).__name__} must keep its constructor's arguments as attributes of the same names,"
                f" got none for {', '.join(missing)}."
            )
        return {name: getattr(self, name) for name in names}

    def _arguments_if_kept(self):
        try:
            return self.arguments()
        except TypeError:
            return None

    def __repr__(self):
        arguments = self._arguments_if_kept()
        if arguments is None:
            return f"{type(self).__name__}(...)"
        parameters = _parameters(type(self))
        shown = []
        for name, value in arguments.items():
            default = parameters[name].default
            if default is inspect.Parameter.empty and parameters[name].kind is not inspect.Parameter.KEYWORD_ONLY:
                shown.append(repr(value))
            elif not _equal(value, default):
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __eq__(self, other):
        if type(other) is not type(self):
            return NotImplemented
        arguments = self._arguments_if_kept()
        if self is other or arguments is None:
            return self is other
        return _equal(arguments, other._arguments_if_kept())

    def __hash__(self):
        # Arguments may be lists.
        return hash(type(self))

    def __sklearn_clone__(self):
        arguments = self._arguments_if_kept()
        return copy.deepcopy(self) if arguments is None else type(self)(**copy.deepcopy(arguments))

    def _dx_buffer(self, work: Work, need_dx: bool, dtype: DTypeLike) -> np.ndarray | None:
        return buffer(work, "dx", work["x_shape"], dtype) if need_dx else None


def _parameters(cls):
    """Return the parameters of a constructor by name."""
    if cls.__init__ is object.__init__:
        return {}
    _, *parameters = inspect.signature(cls.__init__).parameters.values()
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"the constructor of {cls.__name__} must name its arguments, got {parameter}.")
    return {parameter.name: parameter for parameter in parameters}


def _equal(a, b):
    """Return whether two arguments are equal, arrays and containers of them included."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return type(a) is type(b) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, dict) and type(a) is type(b):
        return a.keys() == b.keys() and all(_equal(value, b[key]) for key, value in a.items())
    return a is b or bool(a == b)


class Names:
    """The names of a net's parameters and statistics, and which of its layers has each."""

    def __init__(self) -> None:
        self._owners: dict[str, int] = {}  # name -> index of the layer
        self._counts: dict[tuple, int] = {}  # kinds and block -> the last count that was taken

    def reserve(self, names: Iterable[str], owner: int) -> None:
        """Give names that are free to a layer."""
        self._owners.update(dict.fromkeys(names, owner))

    def next_free(self, kinds: tuple[str, ...], block: int) -> tuple[str, ...]:
        """Return names of which none is taken: names stay taken, so that the search goes on where it ended."""
        first = self._counts.get((kinds, block), 0) + 1
        for count in itertools.count(first):
            ending = f"{block}" if count == 1 else f"{block}_{count}"
            names = tuple(f"{kind}{ending}" for kind in kinds)
            if not any(name in self._owners for name in names):
                self._counts[kinds, block] = count
                return names
        raise AssertionError("count has no end.")

    def claim(self, layers: Sequence[Layer], i: int, params: Arrays) -> None:
        """Raise unless all names that ``layers[i]`` uses are its own."""
        names = [*params, *layers[i].statistics_names]
        for name in names:
            owner = self._owners.setdefault(name, i)
            if owner != i:
                raise ValueError(
                    f"layers[{i}], {layers[i]!r}, takes the name {name!r}, which layers[{owner}], {layers[owner]!r},"
                    " has: get names from block.names in build."
                )
            if names.count(name) > 1:
                raise ValueError(f"layers[{i}], {layers[i]!r}, takes the name {name!r} twice.")
        for name in layers[i].weight_names:
            if name not in params:
                raise ValueError(
                    f"layers[{i}], {layers[i]!r}, has {name!r} in weight_names, which is none of its parameters."
                )


class Block(int):
    """The number of the block that a layer stands in, which also gives the layer its names.

    Parameters
    ----------
    number : int
        1 for the first layer with weights and what follows it, 0 for what stands before it.
    taken : Names
        The names of the net.
    owner : int
        Index of the layer.
    """

    _taken: Names
    _owner: int

    def __new__(cls, number: int, taken: Names, owner: int) -> Block:
        block = super().__new__(cls, number)
        block._taken, block._owner = taken, owner
        return block

    def __reduce__(self):
        return int, (int(self),)

    def names(self, *kinds: str) -> tuple[str, ...]:
        """Return a name for each kind of array, which no other layer of the net has.

        Parameters
        ----------
        *kinds : str
            Such as 'gamma' and 'beta'.

        Returns
        -------
        names : tuple of str
            The kinds and the block's number: 'gamma1', 'beta1'. Where one of them is taken, all get the first free
            ending of _2, _3, …: 'gamma1_2', 'beta1_2'.
        """
        names = self._taken.next_free(kinds, int(self))
        self._taken.reserve(names, self._owner)
        return names


def names_of(block: int, *kinds: str) -> tuple[str, ...]:
    """Return what ``block.names`` does; of a block that a layer's build made up itself, kind and block."""
    return block.names(*kinds) if isinstance(block, Block) else tuple(f"{kind}{block}" for kind in kinds)


class Initializer:
    """Makes first parameters: draws weights at a scale, layer by layer, in the layers' order.

    Parameters
    ----------
    weight_scale : float, 'he' or 'xavier'
        The standard deviation, or sqrt(2 / fan_in) [He et al. 2015], or sqrt(2 / (fan_in + fan_out)) [Glorot & Bengio
        2010].
    dtype : dtype
        Of the parameters.
    random_state : RandomState
        What weights are drawn from.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.nets.layers import Initializer
    >>> init = Initializer("he", np.float32, np.random.RandomState(0))
    >>> init.weights((2, 3), fan_in=2, fan_out=3).shape, init.constant(0, 3)
    ((2, 3), array([0., 0., 0.], dtype=float32))
    """

    def __init__(self, weight_scale: float | str, dtype: np.dtype, random_state: np.random.RandomState) -> None:
        self.weight_scale = weight_scale
        self.dtype = dtype
        self.random_state = random_state

    def weights(self, shape: Shape, fan_in: int, fan_out: int) -> np.ndarray:
        """Draw weights.

        Parameters
        ----------
        shape : tuple of int
            Their shape.
        fan_in, fan_out : int
            Inputs of each output, outputs of each input.

        Returns
        -------
        weights : ndarray of the shape
            In the dtype of the parameters.
        """
        scale: Any = self.weight_scale
        if scale == "he":
            scale = math.sqrt(2 / fan_in)
        elif scale == "xavier":
            scale = math.sqrt(2 / (fan_in + fan_out))
        with np.errstate(over="ignore"):  # training tells of infinite weights
            return (scale * self.random_state.randn(*shape)).astype(self.dtype)

    def constant(self, value: float, shape: int | Shape) -> np.ndarray:
        """Return an array filled with one value.

        Parameters
        ----------
        value : float
            The value.
        shape : int or tuple of int
            Shape of the array.

        Returns
        -------
        array : ndarray of the shape
            In the dtype of the parameters.
        """
        return np.full(shape, value, dtype=self.dtype)


_L = TypeVar("_L", bound=Layer)


# Set afterwards: with ``__module__`` in the class body, Python 3.13 looks for its source there.
for _class in (Layer, Initializer):
    _class.__module__ = PUBLIC_MODULE


def check_layer(name: str, layer: _L, cls: type[_L]) -> _L:
    """Return a layer of this class itself: a subclass may compute something else."""
    if type(layer) is not cls:
        raise TypeError(f"{name} must be a layer of class {cls.__name__} itself, got {layer!r}.")
    return layer
