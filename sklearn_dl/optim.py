"""Update rules: from weights and their gradient to the next weights.

All have the same shape: ``next_w, config = rule(w, dw, config)``. The dict config holds the
constants of the rule, which take their defaults when absent, and its state, which the first call
adds and later ones update in place.
"""

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._arrays import FLOAT32, FLOAT64, as_floats, as_gradient, finite, output, real
from sklearn_dl._threads import n_threads

__all__ = ["adagrad", "adam", "rmsprop", "sgd", "sgd_momentum"]

# Below these, epsilon vanishes among the denormal numbers: adam multiplies it by sqrt(1 - beta2**t), which
# is at least 1e-8. Where a gradient is zero, too, zero is then divided by zero.
_SMALLEST_EPSILON = {FLOAT32: 1e-29, FLOAT64: 1e-299}


def sgd(w, dw, config=None, *, out=None, reg=0.0):
    """Stochastic gradient descent: ``w - learning_rate * dw``.

    Parameters
    ----------
    w : ndarray of any shape
        Weights.
    dw : ndarray of the shape of w
        Gradient of the loss with respect to the weights.
    config : dict, optional
        - learning_rate : float, default 1e-2.
    out : ndarray of the shape of w, optional
        Where to write the result; w itself to update in place.
    reg : float, default=0.0
        L2 strength: ``reg * w`` is added to dw.

    Returns
    -------
    next_w : ndarray of the shape of w
        Updated weights.
    config : dict
        The given one, or a new one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.optim import sgd
    >>> next_w, config = sgd(np.array([1.0, 2.0]), np.array([10.0, 0.0]))
    >>> next_w
    array([0.9, 2. ])
    """
    w, dw, config = _prepare(w, dw, config, out, reg)
    _step_sgd(w, dw, config, reg)
    return w, config


def _step_sgd(w, dw, config, reg):
    return _ext.sgd(w, dw, config["learning_rate"], reg, n_threads())


def sgd_momentum(w, dw, config=None, *, out=None, reg=0.0):
    """Stochastic gradient descent with momentum.

    Parameters
    ----------
    w : ndarray of any shape
        Weights.
    dw : ndarray of the shape of w
        Gradient of the loss with respect to the weights.
    config : dict, optional
        - learning_rate : float, default 1e-2.
        - momentum : float in [0, 1], default 0.9.
        - velocity : ndarray of the shape of w, the state.
    out : ndarray of the shape of w, optional
        Where to write the result; w itself to update in place.
    reg : float, default=0.0
        L2 strength: ``reg * w`` is added to dw.

    Returns
    -------
    next_w : ndarray of the shape of w
        ``w + velocity`` with ``velocity = momentum * velocity - learning_rate * dw``.
    config : dict
        The given one, or a new one.

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
    w, dw, config = _prepare(w, dw, config, out, reg)
    _step_sgd_momentum(w, dw, config, reg)
    return w, config


def _step_sgd_momentum(w, dw, config, reg):
    momentum = _constant(config, "momentum", 0.9)
    velocity = _state(config, "velocity", w)
    return _ext.sgd_momentum(w, dw, velocity, config["learning_rate"], momentum, reg, n_threads())


def adagrad(w, dw, config=None, *, out=None, reg=0.0):
    """AdaGrad: steps divided by the root of the sum of squared gradients so far.

    Parameters
    ----------
    w : ndarray of any shape
        Weights.
    dw : ndarray of the shape of w
        Gradient of the loss with respect to the weights.
    config : dict, optional
        - learning_rate : float, default 1e-2.
        - epsilon : float, default 1e-8; at least 1e-29 for float32 weights.
        - cache : ndarray of the shape of w, the state.
    out : ndarray of the shape of w, optional
        Where to write the result; w itself to update in place.
    reg : float, default=0.0
        L2 strength: ``reg * w`` is added to dw.

    Returns
    -------
    next_w : ndarray of the shape of w
        ``w - learning_rate * dw / (sqrt(cache) + epsilon)`` with ``cache = cache + dw**2``.
    config : dict
        The given one, or a new one.

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
    w, dw, config = _prepare(w, dw, config, out, reg)
    _step_adagrad(w, dw, config, reg)
    return w, config


def _step_adagrad(w, dw, config, reg):
    epsilon = _epsilon(config, w.dtype)
    cache = _state(config, "cache", w)
    return _ext.adagrad(w, dw, cache, config["learning_rate"], epsilon, reg, n_threads())


def rmsprop(w, dw, config=None, *, out=None, reg=0.0):
    """RMSProp: steps divided by the root of a moving average of squared gradients.

    Parameters
    ----------
    w : ndarray of any shape
        Weights.
    dw : ndarray of the shape of w
        Gradient of the loss with respect to the weights.
    config : dict, optional
        - learning_rate : float, default 1e-2.
        - decay_rate : float in [0, 1], default 0.99.
        - epsilon : float, default 1e-8; at least 1e-29 for float32 weights.
        - cache : ndarray of the shape of w, the state.
    out : ndarray of the shape of w, optional
        Where to write the result; w itself to update in place.
    reg : float, default=0.0
        L2 strength: ``reg * w`` is added to dw.

    Returns
    -------
    next_w : ndarray of the shape of w
        ``w - learning_rate * dw / (sqrt(cache) + epsilon)`` with ``cache = decay_rate * cache +
        (1 - decay_rate) * dw**2``.
    config : dict
        The given one, or a new one.

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
    w, dw, config = _prepare(w, dw, config, out, reg)
    _step_rmsprop(w, dw, config, reg)
    return w, config


def _step_rmsprop(w, dw, config, reg):
    decay = _constant(config, "decay_rate", 0.99)
    epsilon = _epsilon(config, w.dtype)
    cache = _state(config, "cache", w)
    return _ext.rmsprop(w, dw, cache, config["learning_rate"], decay, epsilon, reg, n_threads())


def adam(w, dw, config=None, *, out=None, reg=0.0):
    """Adam: moving averages of gradients and of their squares, corrected for their start at zero.

    Parameters
    ----------
    w : ndarray of any shape
        Weights.
    dw : ndarray of the shape of w
        Gradient of the loss with respect to the weights.
    config : dict, optional
        - learning_rate : float, default 1e-2.
        - beta1 : float in [0, 1), default 0.9, decay of m.
        - beta2 : float in [0, 1), default 0.999, decay of v.
        - epsilon : float, default 1e-8; at least 1e-29 for float32 weights.
        - m, v : ndarray of the shape of w, and t : int, updates so far; the state.
    out : ndarray of the shape of w, optional
        Where to write the result; w itself to update in place.
    reg : float, default=0.0
        L2 strength: ``reg * w`` is added to dw.

    Returns
    -------
    next_w : ndarray of the shape of w
        ``w - learning_rate * mt / (sqrt(vt) + epsilon)`` with ``m = beta1 * m + (1 - beta1) * dw``,
        ``v = beta2 * v + (1 - beta2) * dw**2``, ``mt = m / (1 - beta1**t)``,
        ``vt = v / (1 - beta2**t)``, where t counts this update, too.
    config : dict
        The given one, or a new one.

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
    w, dw, config = _prepare(w, dw, config, out, reg)
    _step_adam(w, dw, config, reg)
    return w, config


def _step_adam(w, dw, config, reg):
    beta1 = _constant(config, "beta1", 0.9, below_one=True)
    beta2 = _constant(config, "beta2", 0.999, below_one=True)
    epsilon = _epsilon(config, w.dtype)
    m, v = _state(config, "m", w), _state(config, "v", w)
    config["t"] = t = _updates(config) + 1
    return _ext.adam(w, dw, m, v, t, config["learning_rate"], beta1, beta2, epsilon, reg, n_threads())


# The rules in place, for who has arrays and a config with a learning rate that are known to be good: each updates w and
# config and returns the sum of the squares of the new w, which the penalty of the next loss is made of.
in_place = {
    "sgd": _step_sgd,
    "sgd_momentum": _step_sgd_momentum,
    "adagrad": _step_adagrad,
    "rmsprop": _step_rmsprop,
    "adam": _step_adam,
}


def _prepare(w, dw, config, out, reg):
    """Check what all rules share; return out, holding w and to be updated in place, dw, config."""
    (w,) = as_floats(w=w)
    if config is None:
        config = {}
    elif not isinstance(config, dict):
        raise TypeError(f"config must be a dict or None, got {config!r}")
    finite(config.setdefault("learning_rate", 1e-2), "config", "learning_rate")
    finite(reg, "reg")
    dw = as_gradient(dw, w.shape, w.dtype, "dw", "w")
    out = output(out, w.shape, w.dtype)
    if out is not w:
        np.copyto(out, w)
    return out, dw, config


def _constant(config, key, default, below_one=False):
    value = config.setdefault(key, default)
    if not 0 <= real(value, "config", key) <= 1 or (below_one and value == 1):
        interval = "[0, 1)" if below_one else "[0, 1]"
        raise ValueError(f"config[{key!r}] must be in {interval}, got {value!r}")
    return value


def _epsilon(config, dtype):
    value = config.setdefault("epsilon", 1e-8)
    if finite(value, "config", "epsilon") == 0:
        raise ValueError(f"config['epsilon'] must be positive, got {value!r}")
    if value < _SMALLEST_EPSILON[dtype]:
        raise ValueError(
            f"config['epsilon'] must be at least {_SMALLEST_EPSILON[dtype]} for {dtype} weights, as smaller "
            f"numbers vanish in the arithmetic, got {value!r}"
        )
    return value


def _updates(config):
    t = config.get("t", 0)
    if not isinstance(t, (int, np.integer)) or isinstance(t, bool):
        raise TypeError(f"config['t'] must be an integer, the number of updates so far, got {t!r}")
    if not 0 <= t < 2**62:
        raise ValueError(f"config['t'] must be a number of updates from 0 to 2**62 - 1, got {t!r}")
    return t


def _state(config, key, w):
    """Return the state array, zeros at the first call."""
    state = config.get(key)
    if state is None:
        state = config[key] = np.zeros_like(w)
    elif not isinstance(state, np.ndarray):
        raise TypeError(f"config[{key!r}] must be an array, got {type(state).__name__}")
    elif state.shape != w.shape:
        raise ValueError(f"config[{key!r}] must have the shape of w, {w.shape}, got {state.shape}")
    if state.dtype != w.dtype or not state.flags.carray:
        state = config[key] = np.require(state, w.dtype, ["C", "A", "W", "E"])
    return state
