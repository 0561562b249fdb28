"""Arrays of all layers, before and after the arithmetic: checks, conversion, buffers.

The functions here run a few times in every call of every layer, so the usual case (C-contiguous
float arrays of one dtype) is decided from flags alone, and everything else is left to a slow path.
"""

from typing import NamedTuple

import numpy as np

from sklearn_dl import _ext
from sklearn_dl._threads import n_threads

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)

# Types, not the abstract numbers.Real, which takes ten times as long to check.
_INTEGER = (int, np.integer)
_REAL = (float, int, np.floating, np.integer)
_LARGEST = float(np.finfo(FLOAT64).max)

# Bits of ``ndarray.flags.num``: reading it takes a quarter of the time of reading the flags by name.
_C_ALIGNED = 0x001 | 0x100
_C_ALIGNED_WRITEABLE = _C_ALIGNED | 0x400


def as_floats(**arrays):
    """Return the arrays as C-contiguous arrays of one dtype: float32 if all are, else float64."""
    dtype = None
    for a in arrays.values():
        if type(a) is not np.ndarray or a.flags.num & _C_ALIGNED != _C_ALIGNED:
            break
        if dtype is None:
            dtype = a.dtype
            if dtype not in (FLOAT32, FLOAT64):
                break
        elif a.dtype != dtype:
            break
    else:
        return arrays.values()
    return _convert(arrays)


def _convert(arrays):
    arrays = {name: np.asarray(a) for name, a in arrays.items()}
    for name, a in arrays.items():
        if a.dtype.kind not in "biuf":
            raise TypeError(f"{name} must be an array of real numbers, got dtype {a.dtype}.")
    # By size, not by comparison, so that byte-swapped float32 stays single precision.
    single = all(a.dtype.kind == "f" and a.dtype.itemsize == 4 for a in arrays.values())
    dtype = FLOAT32 if single else FLOAT64
    return [np.require(a, dtype, ["C", "A", "E"]) for a in arrays.values()]


def as_gradient(dout, shape, dtype, name="dout", of="the forward output"):
    """Return dout as a C-contiguous array of the shape and dtype of what it is the gradient of."""
    if type(dout) is not np.ndarray or dout.dtype != dtype or dout.flags.num & _C_ALIGNED != _C_ALIGNED:
        dout = np.asarray(dout)
        if dout.dtype.kind not in "biuf":
            raise TypeError(f"{name} must be an array of real numbers, got dtype {dout.dtype}.")
        dout = np.require(dout, dtype, ["C", "A", "E"])
    if dout.shape != shape:
        raise ValueError(f"{name} must have the shape of {of}, {shape}, got {dout.shape}.")
    return dout


def is_finite(a):
    """Return whether a is a C-contiguous array of floats that holds neither nan nor infinity; False of all else."""
    plain = type(a) is np.ndarray and a.dtype in (FLOAT32, FLOAT64) and a.flags.num & _C_ALIGNED == _C_ALIGNED
    return plain and _ext.all_finite(a, n_threads())


def largest_magnitude(a):
    """Return the largest magnitude in an array of numbers, 0 of none, nan if there is one, without a copy."""
    # As numbers of Python, where it has them: the least int8 has no magnitude in int8.
    return max(abs(a.max(initial=0).item()), abs(a.min(initial=0).item()))


# Elements of an array that are looked at together where it is not copied as a whole.
_PART = 2**18


def all_finite(a):
    """Return whether an array of numbers holds neither nan nor infinity; it is looked at a few rows at a time."""
    if a.dtype.kind in "biu" or is_finite(a):
        return True
    if a.ndim == 0:
        return bool(np.isfinite(a))
    rows = max(1, _PART // max(1, a.size // max(1, len(a))))
    return all(np.isfinite(a[start : start + rows]).all() for start in range(0, len(a), rows))


def as_rows_in_pieces(X):
    """Return numbers (n, …) as kernels gather rows of them, (n, D): native, aligned, each row in one piece.

    It shares X's memory unless X is of another byte order or layout: then X is copied, in its own dtype. Rejected:
    gathering such rows value by value. Rows of a Fortran-ordered array of 20,000 x 3,072 float32 took 19 times as long.
    """
    native = X.dtype.newbyteorder("=")
    if X.dtype != native or not X.flags.aligned:
        X = np.array(X, native, order="C")
    X = X.reshape(len(X), -1)
    return X if X.shape[1] < 2 or X.strides[1] == X.itemsize else np.ascontiguousarray(X)


def check_batch(name, x, ndim, axes):
    """Raise unless x has ndim axes (at least 2 where ndim is None) and is not empty."""
    if (x.ndim < 2 if ndim is None else x.ndim != ndim) or x.size == 0:
        kind = "an empty array" if x.size == 0 else "an array"
        raise ValueError(f"{name} must be {axes} with at least one element, got {kind} of shape {x.shape}.")


def check_not_empty(name, x):
    """Raise unless x has an element."""
    if x.size == 0:
        raise ValueError(f"{name} must have at least one element, got an empty array of shape {x.shape}.")


def check_shape(name, a, shape, axes):
    """Raise unless a has exactly this shape; axes says in words where the shape comes from."""
    if a.shape != shape:
        raise ValueError(f"{name} must have shape {axes} = {shape}, got {a.shape}.")


def output(out, shape, dtype, name="out"):
    """Return out if a result of this shape and dtype can be written there; allocate if None."""
    if out is None:
        return np.empty(shape, dtype)
    if type(out) is Held:
        return buffer(out.work, out.name, shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array or None, got {type(out).__name__}.")
    if out.shape != shape or out.dtype != dtype or out.flags.num & _C_ALIGNED_WRITEABLE != _C_ALIGNED_WRITEABLE:
        raise ValueError(
            f"{name} must be a writeable C-contiguous {dtype} array of shape {shape}, got "
            f"{out.dtype} of shape {out.shape}, C-contiguous: {out.flags.c_contiguous}, "
            f"writeable: {out.flags.writeable}."
        )
    return out


class Held(NamedTuple):
    """Stands for an ``out`` kept in the dict work under name, where the caller does not know its shape."""

    work: dict | None
    name: str


def outputs(out, names, **inputs):
    """Return one buffer (or None) for each of several gradients; none overlaps another, or one of the inputs."""
    if out is None:
        return (None,) * len(names)
    if not isinstance(out, tuple) or len(out) != len(names):
        got = f"{len(out)} of them" if isinstance(out, tuple) else type(out).__name__
        raise ValueError(f"out must be a tuple of {len(names)} buffers ({', '.join(names)}), got {got}.")
    for i, a in enumerate(out):
        check_no_overlap(f"out for {names[i]}", a, **dict(zip(names[:i], out, strict=False)), **inputs)
    return out


def gradient_buffers(out, x, w, b_shape, need_dx):
    """Return where the gradients of a layer's input, weights and bias go: given buffers that fit, or new arrays.

    None overlaps another, or the weights, which dx is computed from at last.
    """
    dx, dw, db = outputs(out, ("dx", "dw", "db"), w=w)
    dx = output(dx, x.shape, x.dtype, "out for dx") if need_dx else None
    return dx, output(dw, w.shape, x.dtype, "out for dw"), output(db, b_shape, x.dtype, "out for db")


def check_no_overlap(name, a, **others):
    """Raise if an array that will be written overlaps one of the others, by name; what is no array overlaps nothing."""
    _ext.check_apart((a, *others.values()), (name, *others))


def buffer(work, name, shape, dtype):
    """Return scratch memory of this shape, kept in the dict work (if there is one) under name.

    What is held is reused when dtype and trailing axes fit and it is long enough: the last, smaller
    batch of an epoch takes the leading rows of the buffer of the others.
    """
    if work is None:
        return np.empty(shape, dtype)
    held = work.get(name)
    if held is not None and held.dtype == dtype:
        if held.shape == shape:
            return held
        if held.shape[1:] == shape[1:] and held.shape[0] > shape[0]:
            return held[: shape[0]]
    work[name] = held = np.empty(shape, dtype)
    return held


class Cache(tuple):
    """What a forward function hands to its backward function; each forward function has a subclass of its own."""

    __slots__ = ()
    forward: str  # name of the forward function

    @classmethod
    def check(cls, cache):
        """Return `cache` if it is of this class."""
        if type(cache) is not cls:
            refuse_cache(cls.forward, cache)
        return cache


def refuse_cache(forward, value):
    """Raise the error of a backward function that was not given the cache of its forward function."""
    if isinstance(value, Cache):
        got = f"that of {value.forward}"
    elif isinstance(value, np.ndarray):
        got = f"an array of {value.dtype} of shape {value.shape}"
    else:
        got = "None" if value is None else f"an object of type {type(value).__name__}"
    raise TypeError(f"cache must be the one that {forward} returned, got {got}.")


def nested(work, name):
    """Return the part of work that belongs to one layer of a composition (None without work)."""
    return None if work is None else work.setdefault(name, {})


def required(params, params_name, key):
    """Return params[key], or say which key is missing from which dict."""
    value = optional(params, params_name, key, None)
    if value is None:
        raise ValueError(f"{params_name} must hold {key!r}, got {params!r}.")
    return value


def optional(params, params_name, key, default):
    """Return params[key], or default if it is absent."""
    if not isinstance(params, dict):
        raise TypeError(f"{params_name} must be a dict, got {params!r}.")
    return params.get(key, default)


def real(value, *name):
    """Return value if it is a real number; name is that of the argument, or of a dict and a key."""
    if not isinstance(value, _REAL) or isinstance(value, bool):
        raise TypeError(f"{_label(name)} must be a number, got {value!r}.")
    return value


def finite(value, *name):
    """Return value if it is a finite real number of at least 0; name as in `real`."""
    # By comparison, which an int beyond the largest float survives.
    if not 0 <= real(value, *name) <= _LARGEST:
        raise ValueError(f"{_label(name)} must be a finite number of at least 0, got {value!r}.")
    return value


def _label(name):
    return name[0] if len(name) == 1 else f"{name[0]}[{name[1]!r}]"


def integer(params, params_name, key, low):
    """Return the integer params[key], at least low."""
    value = required(params, params_name, key)
    if not isinstance(value, _INTEGER) or isinstance(value, bool):
        raise TypeError(f"{params_name}[{key!r}] must be an integer, got {value!r}.")
    if value < low:
        raise ValueError(f"{params_name}[{key!r}] must be at least {low}, got {value!r}.")
    return int(value)


def train_mode(params, params_name):
    """Return whether params['mode'] is 'train' (True) or 'test' (False)."""
    mode = required(params, params_name, "mode")
    if mode not in ("train", "test"):
        raise ValueError(f"{params_name}['mode'] must be 'train' or 'test', got {mode!r}.")
    return mode == "train"


def positive_eps(params, params_name):
    """Return params['eps'], 1e-5 if absent."""
    eps = optional(params, params_name, "eps", 1e-5)
    if not real(eps, params_name, "eps") > 0:
        raise ValueError(f"{params_name}['eps'] must be positive, got {eps!r}.")
    return eps


def normalized_weights(sample_weight, n_samples, name="sample_weight"):
    """Return float64 weights that sum to one."""
    weights = checked_weights(sample_weight, n_samples, name)
    return weights / weights.sum()


def checked_weights(sample_weight, n_samples, name="sample_weight", rows=None):
    """Return the weights as a C-contiguous float64 array, the given one if it is one.

    Those of `rows` (None: all) must be usable.
    """
    try:
        weights = np.asarray(sample_weight)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} must be (N,) real numbers, got {sample_weight!r}.") from error
    if weights.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be (N,) real numbers, got {sample_weight!r}.")
    weights = np.require(weights, FLOAT64, ["C", "A", "E"])
    check_shape(name, weights, (n_samples,), "(N,)")
    used = weights if rows is None else weights[rows]
    if not (used.min() >= 0 and 0 < used.sum() < np.inf):
        raise ValueError(
            f"{name} must be finite, non-negative and not all zero, got values from {used.min()} to {used.max()}."
        )
    return weights
