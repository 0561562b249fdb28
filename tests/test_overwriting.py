"""Functions that write to the caller's arrays: what they refuse is as it was, and what they accept comes out right.

Held against all public functions with an argument `out`, found by their signatures: each array that a call writes to is
made to share memory with each other array of the call, in several ways, and each argument is replaced by bad ones.
"""

import copy
import functools
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import sklearn_dl
from sklearn_dl import layers, losses, optim

from ._kernels import read_only, strided


def r(*shape):
    return np.random.RandomState(len(shape)).randn(*shape)


def rows():
    return r(4, 3), r(3, 5), r(5)


def images():
    return r(2, 2, 5, 4), r(3, 2, 3, 3), r(3)


CONV, POOL = {"stride": 1, "pad": 1}, {"pool_height": 2, "pool_width": 2, "stride": 2}
PIXEL = {"pool_height": 1, "pool_width": 1, "stride": 1}


def batchnorm(mode="train", channels=5):
    return {
        "mode": mode,
        "eps": 1e-5,
        "momentum": 0.9,
        "running_mean": r(channels),
        "running_var": np.full(channels, 2.0),
    }


def dropout(mode="train"):
    return {"mode": mode, "p": 0.6, "rng": np.random.RandomState(5)}


def weighted(param, n_samples):
    return {**param, "sample_weight": np.arange(1.0, n_samples + 1)}


# Positional arguments of the forward functions, by what is special about the call. Arrays are new at each call.
FORWARD = {
    "affine_forward": {"rows": rows, "images": lambda: [r(4, 3, 2), r(6, 5), r(5)]},
    "affine_relu_forward": {"": rows},
    "conv_forward_fast": {"": lambda: [*images(), dict(CONV)]},
    "conv_forward_naive": {"": lambda: [*images(), dict(CONV)]},
    "conv_relu_forward": {"": lambda: [*images(), dict(CONV)]},
    "conv_relu_pool_forward": {
        "fused": lambda: [*images(), dict(CONV), dict(POOL)],
        "pixel": lambda: [*images(), dict(CONV), dict(PIXEL)],
    },
    "max_pool_forward_fast": {"": lambda: [r(2, 3, 4, 4), dict(POOL)]},
    "max_pool_forward_naive": {"": lambda: [r(2, 3, 4, 4), dict(POOL)]},
    "batchnorm_forward": {
        "train": lambda: [r(4, 5), r(5), r(5), batchnorm()],
        "test": lambda: [r(4, 5), r(5), r(5), batchnorm("test")],
        "weighted": lambda: [r(4, 5), r(5), r(5), weighted(batchnorm(), 4)],
        "first": lambda: [r(4, 5), r(5), r(5), {"mode": "train"}],
    },
    "spatial_batchnorm_forward": {
        "train": lambda: [r(2, 3, 2, 2), r(3), r(3), batchnorm(channels=3)],
        "test": lambda: [r(2, 3, 2, 2), r(3), r(3), batchnorm("test", 3)],
    },
    "layernorm_forward": {"": lambda: [r(4, 5), r(5), r(5), {"eps": 1e-5}]},
    "spatial_groupnorm_forward": {"": lambda: [r(2, 4, 2, 2), r(1, 4, 1, 1), r(1, 4, 1, 1), 2, {"eps": 1e-5}]},
    "dropout_forward": {mode: lambda mode=mode: [r(4, 5), dropout(mode)] for mode in ("train", "test")},
    "affine_norm_relu_dropout_forward": {
        "batchnorm": lambda: [*rows(), r(5), r(5), batchnorm(), dropout()],
        "test": lambda: [*rows(), r(5), r(5), batchnorm("test"), dropout("test")],
    },
    "conv_norm_relu_pool_forward": {
        "batchnorm": lambda: [*images(), r(3), r(3), dict(CONV), batchnorm(channels=3), dict(POOL)],
    },
    **{
        f"{name}_forward": {"": lambda: [r(4, 5)]}
        for name in ("relu", "leaky_relu", "tanh", "logistic", "gelu", "silu", "identity")
    },
}  # fmt: skip
# Other keyword arguments of theirs, each a call of its own.
OPTIONS = {
    "affine_norm_relu_dropout_forward": {
        "layernorm": (lambda: [*rows(), r(5), r(5), {"eps": 1e-5}, dropout()], {"normalization": "layernorm"}),
        "none": (lambda: [*rows(), None, None, None, dropout()], {"normalization": None}),
    },
    "conv_norm_relu_pool_forward": {
        "groupnorm": (
            lambda: [*images(), r(1, 3, 1, 1), r(1, 3, 1, 1), dict(CONV), {"G": 3}, dict(POOL)],
            {"normalization": "groupnorm"},
        ),
        "none": (lambda: [*images(), None, None, dict(CONV), None, dict(POOL)], {"normalization": None}),
    },
}
NEEDS_NO_DX = {
    "affine_backward", "affine_relu_backward", "conv_backward_fast", "conv_backward_naive", "conv_relu_backward",
    "conv_relu_pool_backward", "affine_norm_relu_dropout_backward", "conv_norm_relu_pool_backward",
}  # fmt: skip


def targets(values=(0, 1)):
    return np.resize(np.array(values, float), (4, 3))


LOSSES = {
    "softmax_loss": lambda: [r(4, 3), np.array([0, 2, 1, 2])],
    "svm_loss": lambda: [r(4, 3), np.array([0, 2, 1, 2])],
    **{
        name: lambda: [r(4, 3), targets()]
        for name in ("logistic_loss", "squared_error", "absolute_error", "huber_loss", "poisson_loss")
    },
}
RULES = [name for name, rule in optim.UPDATE_RULES.items() if not rule.full_batch]


def config_after_a_step(name):
    w = r(3, 4)
    return getattr(optim, name)(w, r(3, 4) + 0.5)[1]


def forward_calls():
    """Yield label, function and a maker of its arguments by name."""
    for name, variants in FORWARD.items():
        for label, make in variants.items():
            yield f"{name} {label}", getattr(layers, name), functools.partial(_named, name, make, {})
        for label, (make, options) in OPTIONS.get(name, {}).items():
            yield f"{name} {label}", getattr(layers, name), functools.partial(_named, name, make, options)


def _named(name, make, options):
    parameters = inspect.signature(getattr(layers, name)).parameters
    return {**dict(zip(parameters, make(), strict=False)), **options}


def forward_of(backward):
    if backward == "batchnorm_backward_alt":
        return "batchnorm_forward"
    return backward.replace("backward", "forward")


def backward_calls():
    for name in layers.__all__:
        if "backward" not in name:
            continue
        for label, forward, make in forward_calls():
            if forward.__name__ != forward_of(name):
                continue

            def arguments(forward=forward, make=make):
                out, cache = forward(**make())
                return {"dout": out + 1, "cache": cache}

            what = label.partition(" ")[2]
            yield f"{name} {what}", getattr(layers, name), arguments
            if name in NEEDS_NO_DX:
                yield (
                    f"{name} {what} without dx",
                    getattr(layers, name),
                    lambda arguments=arguments: {**arguments(), "need_dx": False},
                )


def other_calls():
    for name, make in LOSSES.items():
        for label, options in (("", {}), ("weighted", {"sample_weight": np.arange(1.0, 5)})):
            yield (
                f"{name} {label}",
                getattr(losses, name),
                lambda make=make, options=options: {**dict(zip("xy", make(), strict=True)), **copy.deepcopy(options)},
            )
    for name in RULES:
        yield f"{name} first", getattr(optim, name), lambda: {"w": r(3, 4), "dw": r(3, 4) + 1, "config": {}}
        yield (
            f"{name} later",
            getattr(optim, name),
            lambda name=name: {"w": r(3, 4), "dw": r(3, 4) + 1, "config": config_after_a_step(name), "reg": 0.1},
        )


CALLS = {label: (function, make) for calls in (forward_calls, backward_calls, other_calls)
         for label, function, make in calls()}  # fmt: skip


def public_functions():
    for module in pkgutil.walk_packages(sklearn_dl.__path__, "sklearn_dl."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            found = importlib.import_module(module.name)
            for name, value in vars(found).items():
                if not name.startswith("_") and inspect.isfunction(value) and value.__module__ == module.name:
                    yield value


def test_all_functions_with_buffers_are_here():
    internal = {"sklearn_dl.layers.affine.forward", "sklearn_dl.layers.conv.forward"}  # of checked arguments
    with_out = {f for f in public_functions() if {"out", "work"} & inspect.signature(f).parameters.keys()}
    names = {f"{f.__module__}.{f.__name__}" for f in with_out} - internal
    assert len(names) > 50
    missing = (
        names
        - {f"{f.__module__}.{f.__name__}" for f, _ in CALLS.values()}
        - {"sklearn_dl.layers.affine.forget_touched"}
    )
    assert not missing


# ------------------------------------------------------------------------------------- arrays of nested arguments


def walk(value, path=()):
    """Yield (path, leaf) of nested arguments, but for `work`, which is the function's own memory."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key != "work":
                yield from walk(item, (*path, key))
    elif isinstance(value, (tuple, list)):
        for i, item in enumerate(value):
            yield from walk(item, (*path, i))
    else:
        yield path, value


def arrays(arguments):
    return {path: leaf for path, leaf in walk(arguments) if isinstance(leaf, np.ndarray)}


def put(value, changes, path=()):
    """Return nested arguments with other leaves at some paths, the same objects elsewhere; dicts and lists are new."""
    if path in changes:
        return changes[path]
    if isinstance(value, dict):
        return {key: put(item, changes, (*path, key)) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        items = [put(item, changes, (*path, i)) for i, item in enumerate(value)]
        return type(value)._make(items) if hasattr(value, "_make") else type(value)(items)
    return value


def state(arguments):
    """Return all that nested arguments hold, to be compared."""
    held = {}
    for path, leaf in walk(arguments):
        if isinstance(leaf, np.ndarray):
            held[path] = leaf.dtype, leaf.shape, leaf.tobytes()
        elif isinstance(leaf, np.random.RandomState):
            held[path] = str(leaf.get_state(legacy=False))
        else:
            held[path] = repr(leaf)
    return held


def with_buffers(function, make):
    """Return arguments with buffers for all results, full of sevens."""
    arguments = make()
    results = function(**make())
    if "forward" in function.__name__:
        out = np.full_like(results[0], 7)
    elif function.__module__ == losses.__name__:
        out = np.full_like(results[1], 7)
    elif function.__module__ == optim.__name__:
        out = np.full_like(results[0], 7)
    elif isinstance(results, tuple):
        out = tuple(None if a is None else np.full_like(a, 7) for a in results)
    else:
        out = np.full_like(results, 7)
    return {**arguments, "out": out}


def results_of(function, arguments):
    """Return all numbers that a call returns; of a forward function, also the gradients by its cache."""
    returned = function(**arguments)
    if "forward" in function.__name__:
        out, cache = returned
        backward = getattr(layers, function.__name__.replace("forward", "backward"))
        # What is needed for the gradients is in the cache, whatever becomes of `out` afterwards.
        return [out.copy(), backward(np.ones_like(out), cache)]
    return returned


def numbers(results):
    return {path: np.array(leaf) for path, leaf in walk(results) if isinstance(leaf, (np.ndarray, float))}


def assert_equal(results, expected, what):
    assert results.keys() == expected.keys(), what
    for path, value in expected.items():
        np.testing.assert_allclose(results[path], value, rtol=1e-10, atol=1e-12, err_msg=f"{what}: {path}")


def refused(function, arguments, what):
    """Call a function; if it refuses the arguments, hold it to have left them alone, and return None."""
    before = state(arguments)
    try:
        return results_of(function, arguments)
    except (TypeError, ValueError):
        changed = [path for path, held in state(arguments).items() if before.get(path) != held]
        assert not changed, f"{what} was refused after {changed} had been written"
        return None


@functools.cache
def expectation(label):
    """Return the numbers that a call gives, the paths of its arrays, and those of the arrays that it writes to."""
    function, make = CALLS[label]
    arguments = with_buffers(function, make)
    before = {path: a.tobytes() for path, a in arrays(arguments).items()}
    function(**arguments)
    after = arrays(arguments)
    written = [path for path in before if before[path] != after[path].tobytes()]
    return numbers(results_of(function, with_buffers(function, make))), list(before), written


def sharing(first, second, step):
    """Return memory for two arrays, of which the second begins `step` bytes after the first."""
    room = np.zeros(step + max(first.nbytes, second.nbytes) + first.nbytes, np.uint8)
    begin = [room[: first.nbytes], room[step : step + second.nbytes]]
    return [place.view(a.dtype).reshape(a.shape) for place, a in zip(begin, (first, second), strict=True)]


def same_memory(arguments, array):
    """Return the paths of all arrays that are this one, in whatever shape."""
    where = array.__array_interface__["data"][0], array.nbytes
    return [p for p, a in arrays(arguments).items() if (a.__array_interface__["data"][0], a.nbytes) == where]


def overlapping(function, make, output, other):
    """Yield arguments whose arrays at two paths share memory, in several ways."""
    for step, swapped in ((0, False), (8, False), (8, True)):
        arguments = with_buffers(function, make)
        found = arrays(arguments)
        a, b = found[output], found[other]
        if step >= min(a.nbytes, b.nbytes) or output not in found:
            continue
        new_a, new_b = sharing(b, a, step)[::-1] if swapped else sharing(a, b, step)
        new_a[...] = a
        new_b[...] = b  # last: an input is to be good
        changes = {path: new_a.reshape(found[path].shape) for path in same_memory(arguments, a)}
        changes.update({path: new_b.reshape(found[path].shape) for path in same_memory(arguments, b)})
        yield put(arguments, changes)


@pytest.mark.parametrize("label", CALLS)
def test_arrays_that_share_memory(label):
    function, make = CALLS[label]
    expected, given, written = expectation(label)
    assert any(path[0] == "out" for path in written)
    for output in written:
        for other in given:
            if other == output or (other in written and str(other) < str(output)):
                continue
            for arguments in overlapping(function, make, output, other):
                what = f"{label}: {output}, which overlaps {other},"
                results = refused(function, arguments, what)
                if other in written or output[0] != "out":
                    assert results is None, f"{what} was accepted"
                elif results is not None:
                    assert_equal(numbers(results), expected, what)


# ---------------------------------------------------------------------------------------------------- bad arguments


def unaligned(a):
    copied = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    copied[...] = a
    return copied


SAME_VALUES = [strided, unaligned, read_only, lambda a: a.tolist(), lambda a: a.astype(a.dtype.newbyteorder())]
OTHER = [lambda a: a[None], lambda a: a.astype(complex), lambda a: a[:-1], lambda a: a[:0], lambda a: None,
         lambda a: -1 - np.abs(a), lambda a: np.full_like(a, np.nan if a.dtype.kind == "f" else 99)]  # fmt: skip
BAD_NUMBERS = [-1, 0, 99, 2.5, float("nan"), float("inf"), 2**70, "7", None, [1], np.ones(3)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # numbers that are not finite
@pytest.mark.parametrize("label", CALLS)
def test_bad_arguments(label):
    function, make = CALLS[label]
    expected, _, written = expectation(label)
    for path, leaf in walk(with_buffers(function, make)):
        if path[0] == "cache" or isinstance(leaf, (np.random.RandomState, bool)):
            continue
        is_array = isinstance(leaf, np.ndarray)
        bad = [*SAME_VALUES, *OTHER] if is_array else [lambda _, value=value: value for value in BAD_NUMBERS]
        for i, change in enumerate(bad):
            arguments = with_buffers(function, make)
            replacement = change(arrays(arguments)[path] if is_array else None)
            arguments = put(arguments, {path: replacement})
            what = f"{label}: {path} = {replacement!r}"
            results = refused(function, arguments, what)
            if path[0] == "out" and path in written and replacement is not None:
                assert results is None or i >= len(SAME_VALUES) + 5, f"{what} was accepted"
            elif is_array and i < len(SAME_VALUES) and results is not None:
                assert_equal(numbers(results), expected, what)
    arguments = make()
    for parameter, value in arguments.items():
        for key in value if isinstance(value, dict) else ():
            arguments = with_buffers(function, make)
            del arguments[parameter][key]
            refused(function, arguments, f"{label}: {parameter} without {key}")


def test_gradients_that_are_clipped_share_no_memory():
    shared = r(12)
    before = shared.copy()
    for second in (shared[:6], shared[1:7], shared[5:]):
        with pytest.raises(ValueError, match="must not overlap"):
            optim.clip_gradients({"W": shared[:6], "b": second}, 1e-3)
        np.testing.assert_array_equal(shared, before)
