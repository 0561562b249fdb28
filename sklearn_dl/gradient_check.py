"""Numerical gradients, and checks of analytic gradients against them.

A difference over a step of 1e-5 needs double precision: x, and what f returns, must be float64 (or longdouble). Single
precision is refused, not converted, because f often looks at the array that x is a view of rather than at its argument.
"""

import numbers

import numpy as np

from sklearn_dl._checks import check_int, check_real


def rel_error(x, y):
    """Largest relative error between two arrays.

    Parameters
    ----------
    x, y : array-like of one shape
        What to compare: numbers of any type, complex ones and bool included. They are compared in float64, or in a
        wider type that one of them has.

    Returns
    -------
    error : float
        ``max(|x - y| / max(1e-8, |x| + |y|))``, of any finite numbers. nan where an element is nan or infinite.

    Raises
    ------
    TypeError
        If x or y does not hold numbers.
    ValueError
        If the shapes are not the same, or there are no elements.

    Examples
    --------
    >>> from sklearn_dl.gradient_check import rel_error
    >>> round(rel_error([1.0, 100.0], [1.0, 101.0]), 4)
    0.005
    """
    x, y = _as_double("x", x), _as_double("y", y)
    if x.shape != y.shape or x.size == 0:
        raise ValueError(f"x and y must be of one shape and not empty, got shapes {x.shape} and {y.shape}.")
    with np.errstate(invalid="ignore"):
        # Of quarters: the sum of two finite numbers may overflow.
        x, y = x / 4, y / 4
        return float(np.max(np.abs(x - y) / np.maximum(1e-8 / 4, np.abs(x) + np.abs(y))))


def eval_numerical_gradient(f, x, verbose=False, h=1e-5):
    """Gradient of a function with one value, by central differences.

    Parameters
    ----------
    f : callable
        Takes x, returns one number, computed in double precision.
    x : ndarray of float64
        Where to take the gradient. It is changed element by element while f is evaluated, and
        comes back as it was.
    verbose : bool, default=False
        Whether to print each partial derivative.
    h : float, default=1e-5
        Step.

    Returns
    -------
    grad : ndarray of the shape of x
        ``(f(x + h) - f(x - h)) / 2h`` for each element, where 2h is the step that is left after x + h and x - h are
        rounded. nan where f is not finite.

    Raises
    ------
    TypeError
        If x is no array of floats in double precision, or f does not return such a number.
    ValueError
        If h is not a positive number, or so small that x + h is x; if f returns several numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.gradient_check import eval_numerical_gradient
    >>> eval_numerical_gradient(lambda x: np.sum(x**2), np.array([1.0, 3.0])).round(6)
    array([2., 6.])
    """
    _check_point(x, h)
    grad = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        grad[i] = _slope(f, x, i, h)
        if verbose:
            print(i, grad[i])
    return grad


def eval_numerical_gradient_array(f, x, df, h=1e-5):
    """Gradient of a function with an array of values, given the gradient at its output.

    Parameters
    ----------
    f : callable
        Takes x, returns an array, computed in double precision.
    x : ndarray of float64
        Where to take the gradient. It is changed element by element while f is evaluated, and
        comes back as it was.
    df : array-like of the shape of f(x)
        Gradient of some loss with respect to f(x).
    h : float, default=1e-5
        Step.

    Returns
    -------
    grad : ndarray of the shape of x
        Gradient of that loss: ``sum(df * (f(x + h) - f(x - h))) / 2h`` for each element, 2h rounded as in
        `eval_numerical_gradient`. nan where f is not finite.

    Raises
    ------
    TypeError
        If x is no array of floats in double precision, f does not return such an array, or df does not hold real
        numbers.
    ValueError
        If df does not have the shape of f(x); if h is not a positive number, or so small that x + h is x.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.gradient_check import eval_numerical_gradient_array
    >>> x = np.array([1.0, 3.0])
    >>> eval_numerical_gradient_array(lambda x: x**2, x, np.array([1.0, 10.0])).round(6)
    array([ 2., 60.])
    """
    _check_point(x, h)
    df = _as_double("df", df, real=True)
    grad = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        above, below, step = _both_sides(f, x, i, h)
        if not above.shape == below.shape == df.shape:
            raise ValueError(f"df must have the shape of f(x), {above.shape}, got {df.shape}.")
        with np.errstate(over="ignore", invalid="ignore"):
            grad[i] = np.sum((above - below) * df) / step
    return grad


def grad_check_sparse(f, x, analytic_grad, num_checks=10, h=1e-5, *, random_state=None):
    """Compare an analytic gradient with numerical ones in a few random places, and print them.

    Parameters
    ----------
    f : callable
        Takes x, returns one number, computed in double precision.
    x : ndarray of float64
        Where the gradient was taken. It is changed while f is evaluated, and comes back as it was.
    analytic_grad : array-like of the shape of x
        What to check.
    num_checks : int, default=10
        Number of places.
    h : float, default=1e-5
        Step.
    random_state : int, RandomState or None, default=None
        Chooses the places; None is NumPy's global generator.

    Returns
    -------
    errors : ndarray of shape (num_checks,)
        Relative error in each place, as `rel_error` defines it.

    Raises
    ------
    TypeError
        If x is no array of floats in double precision, f does not return such a number, or analytic_grad does not hold
        real numbers.
    ValueError
        If x is empty or analytic_grad of another shape; if h is not a positive number, or so small that x + h is x; if
        f returns several numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.gradient_check import grad_check_sparse
    >>> x = np.array([1.0, 3.0])
    >>> errors = grad_check_sparse(lambda x: np.sum(x**2), x, 2 * x, 1, random_state=1)
    numerical: 6.000000 analytic: 6.000000, relative error: ...
    """
    _check_point(x, h)
    analytic_grad = _as_double("analytic_grad", analytic_grad, real=True)
    if analytic_grad.shape != x.shape:
        raise ValueError(f"analytic_grad must have the shape of x, {x.shape}, got {analytic_grad.shape}.")
    if x.size == 0:
        raise ValueError(f"x must have at least one element, got an empty array of shape {x.shape}.")
    num_checks = check_int("num_checks", num_checks, low=1)
    rng = _random(random_state)
    errors = np.empty(num_checks)
    for check in range(num_checks):
        i = tuple(rng.randint(n) for n in x.shape)
        numerical, analytic = _slope(f, x, i, h), analytic_grad[i]
        errors[check] = rel_error(numerical, analytic)
        print(f"numerical: {numerical:f} analytic: {analytic:f}, relative error: {errors[check]:e}")
    return errors


def check_net(net, X, y, *, h=1e-5, tol=1e-5, num_projections=3, random_state=0):
    """Check all gradients of a net, each by its projections on a few random directions.

    Two evaluations of the loss for each parameter and direction, however large the parameter is.

    Parameters
    ----------
    net : object
        With ``params``, a dict of float64 arrays, and ``loss(X, y)`` that returns the loss and a
        dict of gradients, and is the same function at each call (a fixed seed for dropout). The
        parameters are changed while the loss is evaluated, and come back as they were.
    X : ndarray of shape (N, …)
        Samples of a minibatch, as the net's loss takes them.
    y : ndarray of shape (N,)
        Their classes.
    h : float, default=1e-5
        Step.
    tol : float, default=1e-5
        Largest relative error allowed.
    num_projections : int, default=3
        Number of directions.
    random_state : int, RandomState or None, default=0
        Chooses the directions, which have elements of 1 and -1.

    Returns
    -------
    errors : dict
        Name of each parameter to its largest relative error. Differences that the loss, a float64,
        is too coarse to show do not count.

    Raises
    ------
    AssertionError
        Naming each parameter whose gradient is missing, of another shape, zero where the
        numerical one is not, or wrong by more than tol; and each gradient without a parameter. Also if the loss is not
        a finite number.
    ValueError
        If a parameter or the loss is not float64, where differences of this size drown in rounding errors; if two calls
        of ``loss(X, y)`` give different losses.

    Notes
    -----
    For a random direction u, ``(loss(p + h*u) - loss(p - h*u)) / 2h`` must be ``sum(grad * u)``.
    A step that takes some input of a relu past zero, or makes another pixel the maximum of its
    window, shows as an error, too: then a smaller h tells.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_dl.gradient_check import check_net
    >>> class Line:
    ...     params = {"slope": np.array([2.0])}
    ...     def loss(self, X, y):
    ...         residual = X @ self.params["slope"] - y
    ...         return 0.5 * residual @ residual, {"slope": X.T @ residual}
    >>> errors = check_net(Line(), np.array([[1.0], [2.0]]), np.array([1.0, 3.0]))
    >>> errors["slope"] < 1e-8
    True
    """
    h = _check_positive("h", h)
    tol = _check_positive("tol", tol)
    num_projections = check_int("num_projections", num_projections, low=1)
    for name, param in net.params.items():
        dtype = getattr(param, "dtype", type(param).__name__)
        if dtype != np.float64:
            raise ValueError(
                f"net must be float64 to be checked, got {dtype} for parameter {name!r}: make it with dtype=np.float64."
            )
    loss, grads = net.loss(X, y)
    dtype = np.asarray(loss).dtype
    if dtype in _SINGLE:
        raise ValueError(f"net must be float64 to be checked, got a loss of {dtype}: make it with dtype=np.float64.")
    if not np.isfinite(loss):
        raise AssertionError(f"the loss is {loss}, which has no gradient.")
    # The next evaluations may overwrite the arrays of this one.
    grads = {name: np.array(grad) for name, grad in grads.items()}
    again = net.loss(X, y)[0]
    if abs(again - loss) > _REPEATS * abs(loss):
        raise ValueError(
            f"net must have the same loss at each call, got {loss} and then {again}: give dropout a seed, so that it"
            " draws the same mask each time."
        )
    rng = _random(random_state)
    # Rounding of the loss makes the difference quotient wrong by some tens of eps * |loss| / h: batch normalization of
    # a constant multiplies it by 1 / sqrt(eps).
    floor = max(1e-8, 100 * np.finfo(np.float64).eps * abs(loss) / h / tol)
    errors, faults = {}, []
    for name, param in net.params.items():
        grad = grads.pop(name, None)
        if grad is None:
            faults.append(f"{name}: no gradient")
        elif grad.shape != param.shape:
            faults.append(f"{name}: gradient of shape {grad.shape}, parameter {param.shape}")
        else:
            pairs = [_project(net, X, y, param, grad, rng, h) for _ in range(num_projections)]
            numerical, analytic = np.array(pairs).T
            scale = np.maximum(np.abs(numerical) + np.abs(analytic), floor)
            with np.errstate(invalid="ignore"):
                errors[name] = float(np.max(np.abs(numerical - analytic) / scale))
            # Negated, so that NaN is a fault.
            if not errors[name] <= tol:
                what = "is all zero" if not grad.any() else f"is wrong by {errors[name]:.1e}"
                faults.append(f"{name}: gradient {what}, numerical {numerical}, got {analytic}")
    faults.extend(f"{name}: gradient of no parameter" for name in grads)
    if faults:
        raise AssertionError("; ".join(faults))
    return errors


def _project(net, X, y, param, grad, rng, h):
    """Numerical and analytic derivative of the loss in a random direction."""
    direction = rng.choice([-1.0, 1.0], size=param.shape)
    held = param.copy()
    try:
        np.add(held, h * direction, out=param)
        above = net.loss(X, y)[0]
        np.subtract(held, h * direction, out=param)
        below = net.loss(X, y)[0]
    finally:
        param[...] = held
    with np.errstate(over="ignore", invalid="ignore"):
        return (above - below) / (2 * h), np.sum(grad * direction)


def _slope(f, x, i, h):
    """Return the derivative of a function of one value by the element i of x."""
    above, below, step = _both_sides(f, x, i, h)
    if above.size != 1 or below.size != 1:
        raise ValueError(f"f must return one number, got an array of shape {above.shape}.")
    with np.errstate(over="ignore", invalid="ignore"):
        return (above.item() - below.item()) / step


def _both_sides(f, x, i, h):
    """Return f with h added to and taken from the element i of x, and the difference of the two elements."""
    held = x[i]
    with np.errstate(over="ignore", invalid="ignore"):
        high, low = held + h, held - h
        step = high - low
    if np.isfinite(held) and not 0 < step < np.inf:
        raise ValueError(f"h must be a step from x{list(i)} = {held} to other finite numbers, got {h}.")
    try:
        x[i] = high
        above = _value(f(x))
        x[i] = low
        below = _value(f(x))
    finally:
        x[i] = held
    return above, below, step


# Sums in another order differ by less, random losses by more: a share of the loss.
_REPEATS = 1e-9
_SINGLE = (np.dtype(np.float16), np.dtype(np.float32))


def _value(result):
    """Return what f has returned as an array of its own, in double precision."""
    try:
        values = np.array(result)
    except ValueError:  # rows of different lengths, a loss with its gradient
        values = np.array(None)
    if values.dtype.kind not in "biuf":
        got = type(result).__name__ if values.dtype.kind == "O" else values.dtype
        raise TypeError(f"f must return real numbers, got {got}.")
    if values.dtype.newbyteorder("=") in _SINGLE:
        raise TypeError(f"f must compute in double precision (float64), got {values.dtype}.")
    return values.astype(np.result_type(values.dtype, np.float64), copy=False)


def _as_double(name, values, *, real=False):
    """Return numbers as an array of float64, or of a wider type that they have."""
    values = np.asarray(values)
    if values.dtype.kind == "O" and all(isinstance(value, numbers.Real) for value in values.flat):
        values = values.astype(np.float64)  # integers beyond int64, fractions
    if values.dtype.kind not in ("biuf" if real else "biufc"):
        raise TypeError(f"{name} must be an array of {'real ' * real}numbers, got dtype {values.dtype}.")
    return values.astype(np.result_type(values.dtype, np.float64), copy=False)


def _check_positive(name, value):
    return check_real(name, value, low=0, boundaries="neither")


def _check_point(x, h):
    _check_positive("h", h)
    dtype = getattr(x, "dtype", type(x))
    if not isinstance(x, np.ndarray) or dtype.kind != "f":
        raise TypeError(f"x must be an array of floats in double precision (float64), got {dtype}.")
    if dtype.newbyteorder("=") in _SINGLE:
        raise TypeError(
            f"x must be an array of floats in double precision (float64), got {dtype}, in which differences over a step"
            f" of {h} drown in rounding: take x.astype(np.float64), and nets with dtype=np.float64."
        )
    if not x.flags.writeable:
        raise ValueError("x must be writeable: its elements are changed while f is evaluated.")


def _random(random_state):
    if random_state is None:
        return np.random
    if isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.RandomState(random_state)
