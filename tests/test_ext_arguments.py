"""Arguments that kernels refuse."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import z


def refuse_writes(a):
    a.flags.writeable = False
    return a


RELU = _ext.activations["relu"]
shared, one, six = z((4, 4)), z((1, 1, 1, 1)), z((2, 6, 2))


def conv(w=(1, 1, 2, 2), out=(1, 1, 2, 2), stride=1, pad=0):
    return z((1, 1, 3, 3)), z(w), None, z(out), stride, pad, 1


REFUSED = {
    "other dtype": (TypeError, "w must be", "affine_forward", z((2, 3)), z((3, 2), "f4")),
    "integers": (TypeError, "x must be", "activation_forward", z(3, int), z(3, int), RELU, 1),
    "not an array": (TypeError, "x", "activation_forward", [1.0], z(1), RELU, 1),
    "none": (TypeError, "x", "activation_forward", None, z(1), RELU, 1),
    "byte order": (TypeError, "x must be", "activation_forward", z(3, ">f8"), z(3), RELU, 1),
    "axes": (ValueError, "x must have 2 axes", "affine_forward", z(3), z((3, 2))),
    "order": (ValueError, "x must be C-contiguous", "activation_forward", z((3, 3)).T, z((3, 3)), RELU, 1),
    "unaligned": (
        ValueError,
        "x must be C-contiguous and aligned",
        "activation_forward",
        np.frombuffer(bytes(25), np.float64, 3, 1),
        z(3),
        RELU,
        1,
    ),
    "read-only": (ValueError, "out must be writeable", "activation_forward", z(3), refuse_writes(z(3)), RELU, 1),
    "shape": (ValueError, "out must have the shape of x", "activation_forward", z((2, 3)), z((3, 2)), RELU, 1),
    "inner": (ValueError, "w must have length 3", "affine_forward", z((2, 3)), z((2, 2))),
    "threads": (ValueError, "n_threads", "activation_forward", z(3), z(3), RELU, 0),
    "overlap": (ValueError, "overlap", "activation_forward", shared.ravel()[1:], shared.ravel()[:-1], RELU, 1),
    "overlap dx": (ValueError, "dx must not overlap", "affine_backward_dx", shared, z((4, 4)), shared, 1),
    "stride": (ValueError, "stride", "conv_forward", *conv(stride=0)),
    "pad": (ValueError, "pad", "conv_forward", *conv(pad=-1)),
    "filter": (ValueError, "fit into", "conv_forward", *conv(w=(1, 1, 4, 2))),
    "conv out": (ValueError, "out must have length 2", "conv_forward", *conv(out=(1, 1, 3, 3))),
    "channels": (ValueError, "w must have length 1", "conv_forward", *conv(w=(1, 2, 2, 2))),
    "window": (ValueError, "window", "max_pool_forward", z((1, 1, 3, 3)), one, None, 4, 1, 1, 1),
    "window size": (ValueError, "at least 1", "max_pool_forward", z((1, 1, 3, 3)), one, None, 0, 1, 1, 1),
    "argmax": (TypeError, "argmax must be int32", "max_pool_backward", one, one.astype("i8"), z((1, 1, 2, 2)), 1),
    "label": (ValueError, r"y must be in \[0, 3\), got 3", "softmax_loss", z((1, 3)), np.array([3]), None, None),
    "negative label": (ValueError, "y must be", "softmax_loss", z((1, 3)), np.array([-1]), None, None),
    "weight": (ValueError, "sample_weight", "softmax_loss", z((1, 3)), np.array([0]), np.array([-1.0]), None),
    "weight sum": (ValueError, "sample_weight", "softmax_loss", z((1, 3)), np.array([0]), z(1), None),
    "no rows": (ValueError, "empty", "softmax_loss", z((0, 3)), z(0, np.int64), None, None),
    "no columns": (ValueError, "column", "softmax", z((2, 0)), z((2, 0))),
    "no batch": (ValueError, "empty", "batchnorm_test", z((0, 3)), z(3), z(3), z(3), z(3), 0.1, z((0, 3)), 1),
    "no channels": (ValueError, "axes", "batchnorm_test", z(3), z(3), z(3), z(3), z(3), 0.1, z(3), 1),
    "groups": (ValueError, "divisor", "groupnorm_forward", six, z(6), z(6), 0.1, six.copy(), six.copy(), z((2, 4)), 1),
    "step": (ValueError, "t must", "adam", z(2), z(2), z(2), z(2), 0, 0.1, 0.9, 0.99, 1e-8, 0, 1),
    "beta": (ValueError, "beta2", "adam", z(2), z(2), z(2), z(2), 1, 0.1, 0.9, 1.0, 1e-8, 0, 1),
    "state": (ValueError, "velocity must have the shape", "sgd_momentum", z(2), z(2), z(3), 0.1, 0.9, 0, 1),
    "state is w": (ValueError, "w must not overlap state", "adagrad", shared, z((4, 4)), shared, 0.1, 1e-8, 0, 1),
    "X": (TypeError, "X must hold real numbers", "gather_rows", z((2, 2), complex), z(1, np.intp), z((1, 2)), None, 1),
    "argmax_cell": (TypeError, "argmax_cell", "relu_pool_backward", one, one, z((1, 1, 2, 2)), 1),
    "pooled": (ValueError, "dout must have length 2", "relu_pool_backward", one, one.astype("u1"), z((1, 1, 4, 2)), 1),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_arguments(case):
    error, message, kernel, *args = REFUSED[case]
    if kernel == "affine_forward":
        args = [*args, None, z((2, 2)), False, 1]
    with pytest.raises(error, match=message):
        getattr(_ext, kernel)(*args)
