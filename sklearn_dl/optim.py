"""Update rules: from weights and their gradient to the next weights.

All have the same shape: ``next_w, config = rule(w, dw, config)``. The dict config holds the
constants of the rule, which take their defaults when absent, and its state, which the first call
adds and later ones update in place.

What a rule is, is stated here alone: `UPDATE_RULES` has its constants with their ranges and
defaults, its state, its step in place and the learning rates that estimators choose by themselves.
The checks of the Solver and of the estimators, their errors and the docstrings are made from it. To
add a rule, write its function and, below it, its step with a row of the table.
"""

import inspect
import math
import numbers
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._arrays import FLOAT32, FLOAT64, all_finite, as_floats, as_gradient, check_no_overlap, finite, output
from sklearn_dl._threads import n_threads

__all__ = ["clip_gradients"]  # and the rules, see `_rule`


# ------------------------------------------------------------------ constants


@dataclass(frozen=True)
class Constant:
    """A number that update rules take: its name, default and range.

    Parameters
    ----------
    name : str
    default : float
    low, high : float
    boundaries : {'both', 'left', 'neither'}
        Which of the two belong to the range.
    smallest : dict of dtype to float
        The smallest value that does not vanish in the arithmetic of a dtype.
    """

    name: str
    default: float
    low: float = 0.0
    high: float = math.inf
    boundaries: str = "both"
    smallest: Mapping = field(default_factory=dict)

    @property
    def range(self):
        """The range in words, as in "must be …"."""
        if self.high < math.inf:
            return f"in [{self.low:g}, {self.high:g}{')' if self.boundaries == 'left' else ']'}"
        return "positive" if self.boundaries == "neither" else f"a finite number of at least {self.low:g}"

    @property
    def kind(self):
        """The type, as docstrings have it."""
        if self.high < math.inf:
            return f"float {self.range}"
        return f"float above {self.low:g}" if self.boundaries == "neither" else "float"

    def check(self, value, label, dtype=None):
        """Return a value as a float that updates of weights of this dtype can work with.

        Parameters
        ----------
        value : object
        label : callable
            From the name of a constant to what the caller calls it, for errors.
        dtype : dtype, default=None
            Of the weights; None where it is not known.

        Raises
        ------
        TypeError, ValueError
            If it is no number, or out of range.
        """
        lowest, highest = self._limits[dtype]
        if type(value) is float and lowest <= value <= highest:
            return value
        # The double counts: the fraction just below 1 is 1 as a double.
        number = _as_float(value, label(self.name))
        if not lowest <= number <= highest:
            raise ValueError(f"{label(self.name)} must be {self._wanted(number, dtype)}, got {value!r}.")
        return number

    @cached_property
    def _limits(self):
        """The smallest and the largest value by dtype."""
        lowest = math.nextafter(self.low, math.inf) if self.boundaries == "neither" else self.low
        highest = math.nextafter(self.high, -math.inf) if self.boundaries != "both" else min(self.high, _LARGEST)
        limits = {None: (lowest, highest), FLOAT32: (lowest, highest), FLOAT64: (lowest, highest)}
        for dtype, smallest in self.smallest.items():
            # np.float32(1e-29) is below 1e-29, and large enough.
            limits[dtype] = min(smallest, float(dtype.type(smallest))), min(highest, float(np.finfo(dtype).max))
        return limits

    def _wanted(self, number, dtype):
        """Return what a number that is out of range must be."""
        if not math.isfinite(number):
            return "a finite number"
        lowest, highest = self._limits[None]
        if not lowest <= number <= highest:
            return self.range
        if number < self._limits[dtype][0]:
            smallest = number_text(self.smallest[dtype])
            return f"at least {smallest} for {dtype} weights, as smaller numbers vanish in the arithmetic"
        return f"at most {self._limits[dtype][1]:.3g}, the largest {dtype}"


_LARGEST = float(np.finfo(FLOAT64).max)


def _as_float(value, label):
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{label} must be a number, got {value!r}.")
    try:
        return float(value)
    except OverflowError:  # an int of more than 308 digits
        return math.inf


LEARNING_RATE = Constant("learning_rate", 1e-2)
MOMENTUM = Constant("momentum", 0.9, high=1.0)
DECAY_RATE = Constant("decay_rate", 0.99, high=1.0)
BETA1 = Constant("beta1", 0.9, high=1.0, boundaries="left")
BETA2 = Constant("beta2", 0.999, high=1.0, boundaries="left")
# adam multiplies epsilon by sqrt(1 - beta2**t), which is at least 1e-8. If the product is a denormal number, which the
# kernels take for zero, a gradient of zero gives 0 / 0.
EPSILON = Constant("epsilon", 1e-8, boundaries="neither", smallest={FLOAT32: 1e-29, FLOAT64: 1e-299})
CLIP_NORM = Constant("clip_norm", math.inf, boundaries="neither")

# In the order of the estimators' parameters.
CONSTANTS = (LEARNING_RATE, MOMENTUM, DECAY_RATE, BETA1, BETA2, EPSILON)


def in_config(name):
    """Return what an update rule's function calls a constant."""
    return f"config[{name!r}]"


def in_optim_config(name):
    """Return what the Solver calls a constant."""
    return f"optim_config[{name!r}]"


def number_text(number):
    """Return a number as one writes it: 1e-8, not 1e-08."""
    return f"{number:g}".replace("e-0", "e-")


# ---------------------------------------------------------------------- rules


@dataclass(frozen=True)
class UpdateRule:
    """What the library knows of an update rule.

    Parameters
    ----------
    name : str
        Of its function in this module.
    step : callable or None
        ``step(w, dw, config, reg)`` updates w and the state in place, with a config that `prepare` has completed, and
        returns the sum of the squares of the new w, nan if the state is not finite. None for a method that is given the
        loss of all samples, and makes its own steps.
    constants : dict of str to Constant
    arrays : tuple of str
        The state that is an array of the shape of w, zero at first.
    counts : bool
        Whether the state has ``t``, the number of updates so far.
    auto_rate, auto_rate_linear : float
        The estimators' learning rate 'auto' with and without hidden layers. A loss that is convex takes other steps.
    recordable : bool
        Whether a step is one kernel call, which a recording can make again.
    decoupled : bool
        Whether `reg` is a decay of the weights beside the loss, not the strength of a penalty that is part of it.
    """

    name: str
    step: Callable | None
    constants: Mapping
    arrays: tuple = ()
    counts: bool = False
    auto_rate: float = LEARNING_RATE.default
    auto_rate_linear: float = LEARNING_RATE.default
    recordable: bool = False
    decoupled: bool = False

    @property
    def full_batch(self):
        """Whether it takes the whole training set at once and chooses its steps itself."""
        return self.step is None

    @cached_property
    def _keys(self):
        return frozenset((*self.constants, *self.arrays, *(("t",) if self.counts else ())))

    def check(self, config, label, dtype=None):
        """Return all constants as floats: those that `config` holds, and the defaults of the others.

        Parameters
        ----------
        config : mapping
            Of constants, and nothing else.
        label : callable
            From the name of a constant to what the caller calls it, for errors.
        dtype : dtype, default=None
            Of the weights; None where it is not known.

        Raises
        ------
        TypeError, ValueError
            If a key is no constant of the rule, or a value not in its range.
        """
        for name in config:
            if name not in self.constants:
                known = ", ".join(self.constants) or "none"
                raise ValueError(f"{label(name)} is no constant of update_rule {self.name!r}, which has {known}.")
        return {
            name: constant.check(config[name], label, dtype) if name in config else constant.default
            for name, constant in self.constants.items()
        }

    def prepare(self, config, w):
        """Check the config of weights w, and add what it lacks: defaults and the state before the first update."""
        dtype = w.dtype
        for name, constant in self.constants.items():
            constant.check(config.setdefault(name, constant.default), in_config, dtype)
        for name in self.arrays:
            config[name] = _state_array(config.get(name), name, w)
        if self.counts:
            config["t"] = _updates(config)

    def step_in_place(self, w, dw, config, reg):
        """Update w and config, of which all that is there is known to be good.

        Returns
        -------
        squares : float
            The sum of the squares of the new w, which the penalty of the next loss is made of; nan if the state is not
            finite.
        """
        if not self._keys <= config.keys():
            self.prepare(config, w)
        return self.step(w, dw, config, reg)

    def overflowed(self, config):
        """Return the name of a state array that is not finite, None if all are."""
        return next((name for name in self.arrays if name in config and not all_finite(config[name])), None)


# By name, in the order of this module; the second holds the steps alone.
UPDATE_RULES = {}
in_place = {}


def _rule(function, *constants, **fields):
    """Return a decorator of a rule's step that enters the rule into the tables and completes its docstring.

    The other fields of the `UpdateRule` are given by name.
    """

    def enter(step):
        by_name = {constant.name: constant for constant in (LEARNING_RATE, *constants)}
        rule = UpdateRule(function.__name__, step, by_name, **fields)
        UPDATE_RULES[rule.name] = rule
        in_place[rule.name] = rule.step_in_place
        __all__.append(rule.name)
        _complete_docstring(function, rule)
        return step

    return enter


def overflowed_state(update_rule, configs):
    """Find state that is not finite.

    Where a rule squares a gradient to infinity, its weight does not move any more, while loss and scores stay finite:
    nothing else tells.

    Parameters
    ----------
    update_rule : str
    configs : dict of str to dict
        The config of each parameter.

    Returns
    -------
    parameter, state : str
        Both None if all is finite.
    """
    rule = UPDATE_RULES[update_rule]
    for parameter, config in configs.items():
        state = rule.overflowed(config)
        if state is not None:
            return parameter, state
    return None, None


# ------------------------------------------------- what the functions have in common

_PARAMETERS = """\
Parameters
----------
w : ndarray of any shape
    Weights.
dw : ndarray of the shape of w
    Gradient of the loss with respect to the weights.
config : dict, optional
{config}
out : ndarray of the shape of w, optional
    Where to write the result; w itself to update in place. Must not overlap dw or the state.
reg : float, default=0.0
    {reg}"""

_PENALTY = "L2 strength: ``reg * w`` is added to dw."
_DECAY = "Decay, of the weights only: they are multiplied by ``1 - learning_rate * reg``."

_ERRORS = """\
Raises
------
TypeError, ValueError
    If an array does not fit w, or a number is out of its range."""

_WARNS = """

Warns
-----
RuntimeWarning
    If the state is not finite, as after a dw that is too large to be squared: its weights do not move any more. As with
    NumPy's own arithmetic, ``np.errstate(over=...)`` turns it off, or into a FloatingPointError."""


def _complete_docstring(function, rule):
    if function.__doc__ is None:  # python -OO
        return
    text = inspect.cleandoc(function.__doc__)
    text = text.replace(
        "{parameters}",
        _PARAMETERS.format(config="\n".join(_config_lines(rule)), reg=_DECAY if rule.decoupled else _PENALTY),
    )
    function.__doc__ = text.replace("{errors}", _ERRORS + (_WARNS if rule.arrays else ""))


def _config_lines(rule):
    """Return what a docstring says of the keys of a rule's config."""
    lines = [
        f"    - {constant.name} : {constant.kind}, default {number_text(constant.default)}{_in_float32(constant)}."
        for constant in rule.constants.values()
    ]
    state = [f"{', '.join(rule.arrays)} : ndarray of the shape of w"] if rule.arrays else []
    state += ["t : int, updates so far"] if rule.counts else []
    return [*lines, f"    - {', and '.join(state)}; the state."] if state else lines


def _in_float32(constant):
    smallest = constant.smallest.get(FLOAT32)
    return "" if smallest is None else f"; at least {number_text(smallest)} for float32 weights"


def _update(name, w, dw, config, out, reg):
    """Check, and take one step of a rule; return out with the next weights, and the config."""
    rule = UPDATE_RULES[name]
    (w,) = as_floats(w=w)
    if config is None:
        config = {}
    elif not isinstance(config, dict):
        raise TypeError(f"config must be a dict or None, got {config!r}.")
    prepared = dict(config)  # the caller's gets what it lacks when all has been checked
    finite(reg, "reg")
    dw = as_gradient(dw, w.shape, w.dtype, "dw", "w")
    out = output(out, w.shape, w.dtype)
    rule.prepare(prepared, w)
    others = {"dw": dw}
    for name in rule.arrays:
        check_no_overlap(in_config(name), prepared[name], **others, w=w)
        others[in_config(name)] = prepared[name]
    check_no_overlap("out", out, **others)
    config.update(prepared)
    if out is not w:
        np.copyto(out, w)
    if math.isnan(rule.step(out, dw, config, reg)):
        _report_overflow(rule, dw, config)
    return out, config


def _report_overflow(rule, dw, config):
    """Warn, or raise, as NumPy does where a number overflows."""
    state, how = rule.overflowed(config), np.geterr()["over"]
    if state is None or how == "ignore":
        return
    message = (
        f"config[{state!r}] is no longer finite in {dw.dtype}: dw, or that of an earlier update, is too large for"
        f" {rule.name}. The largest magnitude in dw is {np.abs(dw).max():.3g}. Scale the data."
    )
    if how == "raise":
        raise FloatingPointError(message)
    warnings.warn(message, RuntimeWarning, stacklevel=4)


def _updates(config):
    t = config.get("t", 0)
    if not isinstance(t, (int, np.integer)) or isinstance(t, bool):
        raise TypeError(f"config['t'] must be an integer, the number of updates so far, got {t!r}.")
    if not 0 <= t < 2**62:
        raise ValueError(f"config['t'] must be a number of updates from 0 to 2**62 - 1, got {t!r}.")
    return t


def _state_array(state, name, w):
    """Return a state array as the kernels take it, zeros before the first update."""
    if state is None:
        return np.zeros_like(w)
    if not isinstance(state, np.ndarray):
        raise TypeError(f"config[{name!r}] must be an array, got {type(state).__name__}.")
    if state.shape != w.shape:
        raise ValueError(f"config[{name!r}] must have the shape of w, {w.shape}, got {state.shape}.")
    if state.dtype != w.dtype or not state.flags.carray:
        return np.require(state, w.dtype, ["C", "A", "W", "E"])
    return state


# -------------------------------------------------------------- the functions


def sgd(w, dw, config=None, *, out=None, reg=0.0):
    """Stochastic gradient descent: ``w - learning_rate * dw``.

    {parameters}

    Returns
    -------
    next_w : ndarray of the shape of w
        Updated weights.
    config : dict
        The given one, or a new one.

    {errors}

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.optim import sgd
    >>> next_w, config = sgd(np.array([1.0, 2.0]), np.array([10.0, 0.0]))
    >>> next_w
    array([0.9, 2. ])
    """
    return _update("sgd", w, dw, config, out, reg)


@_rule(sgd, auto_rate=0.1, auto_rate_linear=0.02, recordable=True)
def _step_sgd(w, dw, config, reg):
    return _ext.sgd(w, dw, config["learning_rate"], reg, n_threads())


def sgd_momentum(w, dw, config=None, *, out=None, reg=0.0):
    """Stochastic gradient descent with momentum.

    {parameters}

    Returns
    -------
    next_w : ndarray of the shape of w
        ``w + velocity`` with ``velocity = momentum * velocity - learning_rate * dw``.
    config : dict
        The given one, or a new one.

    {errors}

    Notes
    -----
    Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Sutskever,
    Martens, Dahl & Hinton, "On the importance of initialization and momentum in deep learning",
    ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.optim import sgd_momentum
    >>> w, config = sgd_momentum(np.array([1.0]), np.array([10.0]))
    >>> w, config = sgd_momentum(w, np.array([10.0]), config)
    >>> w, config["velocity"]
    (array([0.71]), array([-0.19]))
    """
    return _update("sgd_momentum", w, dw, config, out, reg)


@_rule(sgd_momentum, MOMENTUM, arrays=("velocity",), auto_rate=0.02, auto_rate_linear=0.02, recordable=True)
def _step_sgd_momentum(w, dw, config, reg):
    learning_rate, momentum = config["learning_rate"], config["momentum"]
    return _ext.sgd_momentum(w, dw, config["velocity"], learning_rate, momentum, reg, n_threads())


def nesterov(w, dw, config=None, *, out=None, reg=0.0):
    """Stochastic gradient descent with Nesterov's accelerated gradient.

    {parameters}

    Returns
    -------
    next_w : ndarray of the shape of w
        ``w + momentum * velocity - learning_rate * dw`` with ``velocity = momentum * velocity - learning_rate * dw``.
    config : dict
        The given one, or a new one.

    {errors}

    Notes
    -----
    Nesterov, "A method of solving a convex programming problem with convergence rate O(1/k^2)", 1983, in the form of
    Sutskever, Martens, Dahl & Hinton, "On the importance of initialization and momentum in deep learning", ICML 2013,
    whose look-ahead weights ``w + momentum * velocity`` are those that are kept: the gradient is always taken at w.
    MLPClassifier's ``nesterovs_momentum`` is the same. PyTorch's ``SGD(nesterov=True)`` is while the learning rate
    stays; its velocity has none in it, so that another learning rate acts on past gradients, too.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.optim import nesterov
    >>> w, config = nesterov(np.array([1.0]), np.array([10.0]))
    >>> w, config = nesterov(w, np.array([10.0]), config)
    >>> w.round(3), config["velocity"].round(3)
    (array([0.539]), array([-0.19]))
    """
    return _update("nesterov", w, dw, config, out, reg)


@_rule(nesterov, MOMENTUM, arrays=("velocity",), auto_rate=0.02, auto_rate_linear=0.02, recordable=True)
def _step_nesterov(w, dw, config, reg):
    learning_rate, momentum = config["learning_rate"], config["momentum"]
    return _ext.nesterov(w, dw, config["velocity"], learning_rate, momentum, reg, n_threads())


def adagrad(w, dw, config=None, *, out=None, reg=0.0):
    """AdaGrad: steps divided by the root of the sum of squared gradients so far.

    {parameters}

    Returns
    -------
    next_w : ndarray of the shape of w
        ``w - learning_rate * dw / (sqrt(cache) + epsilon)`` with ``cache = cache + dw**2``.
    config : dict
        The given one, or a new one.

    {errors}

    Notes
    -----
    Duchi, Hazan & Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 12 (2011).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.optim import adagrad
    >>> next_w, config = adagrad(np.array([1.0, 1.0]), np.array([10.0, -0.1]))
    >>> next_w.round(6)
    array([0.99, 1.01])
    """
    return _update("adagrad", w, dw, config, out, reg)


@_rule(adagrad, EPSILON, arrays=("cache",), auto_rate=0.02, auto_rate_linear=0.2, recordable=True)
def _step_adagrad(w, dw, config, reg):
    return _ext.adagrad(w, dw, config["cache"], config["learning_rate"], config["epsilon"], reg, n_threads())


def rmsprop(w, dw, config=None, *, out=None, reg=0.0):
    """RMSProp: steps divided by the root of a moving average of squared gradients.

    {parameters}

    Returns
    -------
    next_w : ndarray of the shape of w
        ``w - learning_rate * dw / (sqrt(cache) + epsilon)`` with ``cache = decay_rate * cache +
        (1 - decay_rate) * dw**2``.
    config : dict
        The given one, or a new one.

    {errors}

    Notes
    -----
    Tieleman & Hinton, "Lecture 6.5: RMSProp", Coursera: Neural networks for machine learning, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.optim import rmsprop
    >>> next_w, config = rmsprop(np.array([1.0, 1.0]), np.array([10.0, -0.1]))
    >>> next_w.round(6)
    array([0.9, 1.1])
    """
    return _update("rmsprop", w, dw, config, out, reg)


@_rule(rmsprop, DECAY_RATE, EPSILON, arrays=("cache",), auto_rate=1e-3, auto_rate_linear=0.01, recordable=True)
def _step_rmsprop(w, dw, config, reg):
    learning_rate, decay_rate, epsilon = config["learning_rate"], config["decay_rate"], config["epsilon"]
    return _ext.rmsprop(w, dw, config["cache"], learning_rate, decay_rate, epsilon, reg, n_threads())


def adam(w, dw, config=None, *, out=None, reg=0.0):
    """Adam: moving averages of gradients and of their squares, corrected for their start at zero.

    {parameters}

    Returns
    -------
    next_w : ndarray of the shape of w
        ``w - learning_rate * mt / (sqrt(vt) + epsilon)`` with ``m = beta1 * m + (1 - beta1) * dw``,
        ``v = beta2 * v + (1 - beta2) * dw**2``, ``mt = m / (1 - beta1**t)``,
        ``vt = v / (1 - beta2**t)``, where t counts this update, too.
    config : dict
        The given one, or a new one.

    {errors}

    Notes
    -----
    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1. The
    corrections are folded into the learning rate and epsilon, as the paper proposes at the end of
    its section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.optim import adam
    >>> next_w, config = adam(np.array([1.0, 1.0]), np.array([10.0, -0.1]))
    >>> next_w.round(6), config["t"]
    (array([0.99, 1.01]), 1)
    """
    return _update("adam", w, dw, config, out, reg)


def adamw(w, dw, config=None, *, out=None, reg=0.0):
    """Adam with decoupled weight decay: the weights shrink by a share of their own, whatever their gradients are.

    {parameters}

    Returns
    -------
    next_w : ndarray of the shape of w
        ``(1 - learning_rate * reg) * w - learning_rate * mt / (sqrt(vt) + epsilon)`` with mt and vt as in `adam`.
    config : dict
        The given one, or a new one.

    {errors}

    See Also
    --------
    adam : Adds ``reg * w`` to the gradient, of which large gradients leave little in a step.

    Notes
    -----
    Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2, with the decay multiplied by
    the learning rate as in PyTorch's AdamW.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.optim import adamw
    >>> next_w, config = adamw(np.array([1.0, 1.0]), np.array([10.0, -0.1]), reg=0.5)
    >>> next_w.round(6), config["t"]
    (array([0.985, 1.005]), 1)
    """
    return _update("adamw", w, dw, config, out, reg)


_ADAM = {"arrays": ("m", "v"), "counts": True, "auto_rate": 2e-3, "auto_rate_linear": 0.03, "recordable": True}


@_rule(adam, BETA1, BETA2, EPSILON, **_ADAM)
def _step_adam(w, dw, config, reg):
    return _adam(_ext.adam, w, dw, config, reg)


@_rule(adamw, BETA1, BETA2, EPSILON, **_ADAM, decoupled=True)
def _step_adamw(w, dw, config, reg):
    return _adam(_ext.adamw, w, dw, config, reg)


def _adam(kernel, w, dw, config, reg):
    learning_rate, epsilon = config["learning_rate"], config["epsilon"]
    t = config["t"] + 1
    squares = kernel(
        w, dw, config["m"], config["v"], t, learning_rate, config["beta1"], config["beta2"], epsilon, reg, n_threads()
    )
    config["t"] = t
    return squares


# L-BFGS, which takes the loss of all samples: see `sklearn_dl.training.lbfgs`.
UPDATE_RULES["lbfgs"] = UpdateRule("lbfgs", None, {})


# ------------------------------------------------------------------- clipping


def clip_gradients(gradients, clip_norm):
    """Scale gradients in place, where their Euclidean norm, all of them taken as one vector, is too large.

    Parameters
    ----------
    gradients : dict of str to ndarray
        The gradient of each parameter: float32 or float64, all of one dtype, C-contiguous.
    clip_norm : float
        The largest norm to leave as it is; larger ones become it.

    Returns
    -------
    norm : float
        What it was. Where it is infinite or nan, the gradients stay as they are.

    Raises
    ------
    TypeError, ValueError
        If clip_norm is not above 0, or a gradient is no such array.

    Notes
    -----
    Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, algorithm 1. As
    PyTorch's ``clip_grad_norm_``, without its 1e-6 in the denominator.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.optim import clip_gradients
    >>> gradients = {"W1": np.array([[3.0], [0.0]]), "b1": np.array([4.0])}
    >>> clip_gradients(gradients, 1.0)
    5.0
    >>> gradients["b1"]
    array([0.8])
    """
    return _ext.clip_gradients(list(gradients.values()), CLIP_NORM.check(clip_norm, str), n_threads())
