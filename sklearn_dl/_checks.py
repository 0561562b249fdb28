"""Checks of scalar parameters, one vocabulary for nets, solver and estimators.

Each returns the value as a plain Python object or raises TypeError / ValueError naming the
parameter, the value and what is accepted. scikit-learn's `check_scalar` does the range; it lets nan
and bool through, which these do not.
"""

import math
import numbers
from collections.abc import Mapping, Set

import numpy as np
from sklearn.utils.validation import check_scalar

DTYPES = {"float32": np.dtype(np.float32), "float64": np.dtype(np.float64)}


def check_real(name, value, *, low=None, high=None, boundaries="both"):
    """Return `value` as a finite float within the given range."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a number, got {value!r}.")
    limits = {"min_val": low, "max_val": high, "include_boundaries": boundaries}
    check_scalar(value, name, numbers.Real, **limits)
    try:
        number = float(value)
    except OverflowError:  # an int of more than 308 digits
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {value!r}.")
    if type(value) is not float:
        check_scalar(number, name, numbers.Real, **limits)  # the fraction just below 1 is 1 as a double
    return number


def check_int(name, value, *, low=None):
    """Return `value` as an int not below `low`."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer, got {value!r}.")
    check_scalar(value, name, numbers.Integral, min_val=low)
    return int(value)


def check_bool(name, value):
    """Return `value` as a bool; 0 and 1 are not."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def check_choice(name, value, choices, others=None):
    """Return `value` if it is one of `choices`; the error says which of `others`, see `name_here`, is ours."""
    if not any(value is c or (isinstance(value, str) and value == c) for c in choices):
        listed = ", ".join(repr(c) for c in choices)
        spellings = {_bare(choice): choice for choice in choices if choice is not None}
        raise ValueError(
            f"{name} must be one of {listed}, got {value!r}.{name_here(value, {**spellings, **(others or {})})}"
        )
    return value


def name_here(value, others):
    """Return a sentence that says what is called here what other libraries call `value`, or nothing.

    Parameters
    ----------
    value : object
    others : dict
        Our names by those of other libraries, these in lower case and without ``_`` and ``-``.
    """
    if not (value is None or isinstance(value, str)):
        return ""
    other = _bare(value)
    return f" Its name here is {others[other]!r}." if other in others else ""


def _bare(name):
    """Return a name as all its spellings have it in common: in lower case, without ``_``, ``-`` and blanks."""
    return str(name).lower().replace("_", "").replace("-", "").replace(" ", "")


def check_dims(name, value, *, length=None):
    """Return `value`, a sequence of integers of at least 1, as a tuple; of any `length`, also one integer."""
    if length is None and isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return (check_int(name, value, low=1),)
    wanted = "an integer or a sequence of" if length is None else f"{length}"
    if isinstance(value, (str, bytes, Mapping, Set)) or not np.iterable(value):  # these have no order
        raise TypeError(f"{name} must be {wanted} integers, got {value!r}.")
    dims = tuple(check_int(f"{name}[{i}]", v, low=1) for i, v in enumerate(value))
    if length is not None and len(dims) != length:
        raise ValueError(f"{name} must be {wanted} integers, got {value!r}.")
    return dims


def check_dtype(name, value):
    """Return numpy's float32 or float64 dtype."""
    try:
        # NumPy takes None for float64.
        dtype = np.dtype("V" if value is None else value)
    except (TypeError, ValueError):
        dtype = np.dtype("V")
    if dtype not in DTYPES.values():
        raise ValueError(f"{name} must be float32 or float64, got {value!r}.")
    return dtype


def check_weight_scale(name, value):
    """Return `value` if it is a number of at least 0 or the name of a scheme."""
    if isinstance(value, str) and value in ("he", "xavier"):
        return value
    if isinstance(value, str) or value is None:
        raise ValueError(f"{name} must be a number of at least 0, 'he' or 'xavier', got {value!r}.")
    return check_real(name, value, low=0)


def check_fields(instance, check, *names, **limits):
    """Replace fields of a frozen dataclass by what `check` makes of them."""
    for name in names:
        value = check(f"{name} of {type(instance).__name__}", getattr(instance, name), **limits)
        object.__setattr__(instance, name, value)
