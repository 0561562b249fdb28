"""Every kernel refuses arrays that it cannot work with, whichever argument they are, and has then written nothing."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import read_only, strided

RELU = _ext.activations["relu"]


def f(*shape):
    """Return numbers in single precision, which every instruction set has `linear_softmax` for."""
    return r(*shape).astype(np.float32)


def r(*shape):
    return np.random.RandomState(0).rand(*shape) + 0.1


def ints(*numbers):
    return np.array(numbers, np.int64)


def labels():
    return ints(0, 2, 1, 2)


def cells(*shape, dtype=np.uint8):
    return np.random.RandomState(1).randint(0, 4, shape).astype(dtype)


def flags(*shape):
    return np.random.RandomState(2).rand(*shape) < 0.5


def csr():
    """Return data, indices, indptr of (3, 5) and numbers of two rows."""
    return r(6), ints(0, 4, 1, 2, 2, 3), ints(0, 2, 5, 6), ints(2, 0)


X, W, OUT = (2, 3, 6, 8), (4, 3, 3, 3), (2, 4, 6, 8)  # of a convolution with a pad of 1
HALF = (2, 4, 3, 4)
IMAGES = (4, 6, 2, 3)

# Arguments that are accepted, new ones at each call. All arrays that are written to are filled with other numbers than
# they will have.
CALLS = {
    "affine_forward": lambda: [r(4, 5), r(5, 3), r(3), r(4, 3), RELU, 1],
    "affine_backward_dx": lambda: [r(4, 3), r(5, 3), r(4, 5), 1],
    "affine_backward_dw": lambda: [r(4, 5), r(4, 3), r(5, 3), r(3), 1],
    "csr_affine_forward": lambda: [*csr(), r(5, 3), r(3), r(2, 3), RELU, 1],
    "csr_affine_backward_dw": lambda: [*csr(), r(2, 3), r(5, 3), r(3), ints(1, 4, 0, 0, 0, 0, 0), np.arange(5) == 4, 1],
    "conv_forward": lambda: [r(*X), r(*W), r(4), r(*OUT), 1, 1, 1],
    "conv_backward_dx": lambda: [r(*OUT), r(*W), r(*X), 1, 1, 1],
    "conv_backward_dw": lambda: [r(*X), r(*OUT), r(*W), r(4), 1, 1, 1],
    "conv_relu_pool_forward": lambda: [r(*X), r(*W), r(4), r(*HALF), cells(*HALF) + np.uint8(9), 1, 1, 1],
    "conv_relu_pool_backward_dw": lambda: [r(*X), r(*HALF), cells(*HALF), r(*W), r(4), 1, 1, 1],
    "relu_pool_backward": lambda: [r(*HALF), cells(*HALF), r(*OUT), 1],
    "max_pool_forward": lambda: [r(*OUT), r(*HALF), cells(*HALF, dtype=np.int32) - np.int32(9), 2, 2, 2, 1],
    "max_pool_backward": lambda: [r(*HALF), cells(*HALF, dtype=np.int32), r(*OUT), 1],
    "activation_forward": lambda: [r(4, 5) - 0.5, r(4, 5), RELU, 1],
    "activation_backward": lambda: [r(4, 5), r(4, 5) - 0.5, 9 + r(4, 5), RELU, 1],
    "scale_by_mask": lambda: [r(4, 5), flags(4, 5), 2.0, r(4, 5), 1],
    "all_finite": lambda: [r(4, 5), 1],
    "batchnorm_forward": lambda: [
        *(r(*IMAGES), r(6), r(6), r(4), 1e-5, 9 + r(*IMAGES), 9 + r(*IMAGES), 9 + r(6), 9 + r(6), 9 + r(6), 1)
    ],
    "batchnorm_backward": lambda: [r(*IMAGES), r(*IMAGES), r(6), r(6), r(4), 9 + r(*IMAGES), 9 + r(6), 9 + r(6), 1],
    "batchnorm_test": lambda: [r(*IMAGES), r(6), r(6), r(6), r(6), 1e-5, 9 + r(*IMAGES), 1],
    "update_average": lambda: [r(5), 2 * r(5), 0.5],
    "weight_shares": lambda: [r(5), 9 + r(5)],
    "layernorm_forward": lambda: [r(4, 5), r(5), r(5), 1e-5, 9 + r(4, 5), 9 + r(4, 5), 9 + r(4), 1],
    "layernorm_backward": lambda: [r(4, 5), r(4, 5), r(4), r(5), 9 + r(4, 5), 9 + r(5), 9 + r(5), 1],
    "groupnorm_forward": lambda: [r(*IMAGES), r(6), r(6), 1e-5, 9 + r(*IMAGES), 9 + r(*IMAGES), 9 + r(4, 2), 1],
    "groupnorm_backward": lambda: [r(*IMAGES), r(*IMAGES), r(4, 2), r(6), 9 + r(*IMAGES), 9 + r(6), 9 + r(6), 1],
    "softmax_loss": lambda: [r(4, 3), labels(), r(4), 9 + r(4, 3)],
    "hinge_loss": lambda: [r(4, 3), labels(), r(4), 9 + r(4, 3)],
    "pointwise_loss": lambda: ["huber", r(4, 3), 2 * r(4, 3), r(4), 9 + r(4, 3)],
    "judge_scores": lambda: [r(4, 3), labels(), r(4), np.zeros(3, bool)],
    "judge_indicators": lambda: [r(4, 3), r(4, 3), r(4)],
    "judge_residuals": lambda: [r(4, 3), r(4, 3), r(4), True, r(3)],
    "sum_of_weights": lambda: [r(4)],
    "softmax": lambda: [r(4, 3), r(4, 3)],
    "log_softmax": lambda: [r(4, 3), r(4, 3)],
    "sgd": lambda: [r(5), r(5), 0.1, 0.1, 1],
    "sgd_momentum": lambda: [r(5), r(5), r(5), 0.1, 0.9, 0.1, 1],
    "nesterov": lambda: [r(5), r(5), r(5), 0.1, 0.9, 0.1, 1],
    "adagrad": lambda: [r(5), r(5), r(5), 0.1, 1e-8, 0.1, 1],
    "rmsprop": lambda: [r(5), 2 * r(5), r(5), 0.1, 0.9, 1e-8, 0.1, 1],
    "adam": lambda: [r(5), 2 * r(5), r(5), r(5), 3, 0.1, 0.9, 0.99, 1e-8, 0.1, 1],
    "adamw": lambda: [r(5), 2 * r(5), r(5), r(5), 3, 0.1, 0.9, 0.99, 1e-8, 0.1, 1],
    "sum_of_squares": lambda: [r(4, 5), 1],
    "gather_rows": lambda: [r(4, 5), ints(3, 0), r(2, 5), r(5), 1],
    "gather_items": lambda: [r(4), ints(3, 0), r(2)],
    "draw_mask": lambda: [np.random.MT19937(0), 0.5, flags(4, 5)],
    "shuffle_rows": lambda: [np.random.MT19937(0), np.arange(9)],
    "linear_takes": lambda: [r(200, 3)],
    "linear_softmax": lambda: [
        *(f(5, 150), ints(3, 0, 1, 4), labels(), r(4), f(150, 3), f(3), f(4, 3), f(150, 3), f(3), 1)
    ],
}  # fmt: skip
NO_KERNELS = {"Epochs", "Program", "activations", "activation_backward_takes", "debug", "isa", "isas", "max_threads",
              "check_apart", "openmp", "spoil_recording"}  # fmt: skip

# One array of any shape, of which there is nothing to compare the shape with.
ANY_SHAPE = {"all_finite", "draw_mask", "sum_of_squares"}
# Those whose first argument may be of any dtype of real numbers.
ANY_DTYPE = {"gather_rows", "linear_softmax"}


def unaligned(a):
    if a.itemsize == 1:
        return None
    copied = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    copied[...] = a
    return copied


WRONG = {
    "dtype": lambda a: a.astype(np.float16),
    "complex": lambda a: a.astype(np.complex64),
    "byte order": lambda a: a.astype(a.dtype.newbyteorder()) if a.itemsize > 1 else None,
    "strides": strided,
    "alignment": unaligned,
    "axes": lambda a: a[None],
    "no array": lambda a: a.tolist(),
}


def arrays_of(arguments):
    return {i: a for i, a in enumerate(arguments) if isinstance(a, np.ndarray)}


def bytes_of(arguments):
    return {i: a.tobytes() for i, a in arrays_of(arguments).items()}


def written_by(name):
    """Return which arguments a call that is accepted changes."""
    arguments = CALLS[name]()
    before = bytes_of(arguments)
    getattr(_ext, name)(*arguments)
    after = bytes_of(arguments)
    return [i for i in before if before[i] != after[i]]


def assert_refused(name, arguments, what):
    before = bytes_of(arguments)
    try:
        getattr(_ext, name)(*arguments)
    except (TypeError, ValueError, IndexError):
        assert bytes_of(arguments) == before, f"{name} has written something before it refused {what}"
    else:
        raise AssertionError(f"{name} has accepted {what}")


def test_all_kernels_are_here():
    assert {*CALLS, *NO_KERNELS, "clip_gradients"} == set(_ext.__all__)


@pytest.mark.parametrize("name", CALLS)
def test_arrays_of_another_kind(name):
    for i in arrays_of(CALLS[name]()):
        for kind, change in WRONG.items():
            arguments = CALLS[name]()
            arguments[i] = change(arguments[i])
            is_taken = (kind == "axes" and name in ANY_SHAPE) or (kind == "dtype" and name in ANY_DTYPE and i == 0)
            if arguments[i] is not None and not is_taken:
                assert_refused(name, arguments, f"{kind} of argument {i}")
    for i in written_by(name):
        arguments = CALLS[name]()
        arguments[i] = read_only(arguments[i])
        assert_refused(name, arguments, f"argument {i}, which is read-only")


def sharing(first, second):
    """Return copies of two arrays that share memory: the second begins one item after the first, if that is so long."""
    step = 8 if first.nbytes > 8 else 0
    room = np.zeros(first.nbytes + 8 + second.nbytes, np.uint8)
    places = [room[: first.nbytes], room[step : step + second.nbytes]]
    return [place.view(a.dtype).reshape(a.shape) for place, a in zip(places, (first, second), strict=True)]


@pytest.mark.parametrize("name", CALLS)
def test_outputs_that_overlap_another_array(name):
    for i in written_by(name):
        for j in arrays_of(CALLS[name]()).keys() - {i}:
            for output_first in (True, False):
                arguments = CALLS[name]()
                output, other = arguments[i], arguments[j]
                if output_first:
                    arguments[i], arguments[j] = sharing(output, other)
                else:
                    arguments[j], arguments[i] = sharing(other, output)
                arguments[i][...] = output
                arguments[j][...] = other  # last: an input is to be good
                assert_refused(name, arguments, f"argument {i}, which overlaps argument {j}")


@pytest.mark.parametrize("bad", [-1, 48, -(2**31), 2**31 - 1])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_maximum_outside_of_its_plane(bad, n_threads):
    for where in (0, 40, -1):
        arguments = CALLS["max_pool_backward"]()
        arguments[1].flat[where] = bad
        assert_refused("max_pool_backward", [*arguments[:-1], n_threads], f"an index of {bad}")


@pytest.mark.parametrize("touched", [(6,), (2**40,), (1, 5), (1, -1), (2, 0, -(2**62))])
def test_rows_of_dw_that_there_are_not(touched):
    arguments = CALLS["csr_affine_backward_dw"]()
    arguments[7][: len(touched)] = touched
    assert_refused("csr_affine_backward_dw", arguments, f"touched that begins with {touched}")


def test_flags_in_disorder_are_not_written_past():
    """Every column is new, whatever was listed: the flags say so, and the list has room for all columns once."""
    arguments = CALLS["csr_affine_backward_dw"]()
    room = np.full(20, 77)
    arguments[7] = room[:7]
    arguments[7][:] = 0
    arguments[8][:] = False
    _ext.csr_affine_backward_dw(*arguments)
    assert arguments[7][0] == 3
    assert (room[7:] == 77).all()


def test_clipped_gradients():
    gradients = [r(3, 4), r(5)]
    for bad in (r(5).astype(np.float32), strided(r(5)), read_only(r(5)), unaligned(r(5)), [1.0], gradients[0][1]):
        given = [*gradients, bad]
        before = [np.array(g) for g in given]
        with pytest.raises((TypeError, ValueError), match=r"gradients\[2\] must"):
            _ext.clip_gradients(given, 1e-3, 1)
        for one, other in zip(given, before, strict=True):
            np.testing.assert_array_equal(one, other)


def test_integers_by_either_of_their_names():
    """What C calls long long is int64, too."""
    for name in CALLS:
        expected, arguments = CALLS[name](), CALLS[name]()
        for i, a in arrays_of(arguments).items():
            if a.dtype == np.int64:
                arguments[i] = a.view(np.longlong)
        if name == "linear_takes" or all(a.dtype.char != "q" for a in arrays_of(arguments).values()):
            continue
        result = getattr(_ext, name)(*arguments)
        assert result == getattr(_ext, name)(*expected)
        assert bytes_of(arguments) == bytes_of(expected)
