"""Update rules against NumPy in float64."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import assert_close, draw, dtypes, run


def reference_rules(w, g, s, lr):
    """New (w, *state) of each rule, from gradient g and state arrays s."""
    velocity = 0.9 * s[0] - lr * g
    adagrad = s[0] + g * g
    rmsprop = 0.99 * s[0] + 0.01 * g * g
    m, v = 0.9 * s[0] + 0.1 * g, 0.999 * s[1] + 0.001 * g * g
    mhat, vhat = m / (1 - 0.9**6), v / (1 - 0.999**6)
    return {
        "sgd": (w - lr * g,),
        "sgd_momentum": (w + velocity, velocity),
        "adagrad": (w - lr * g / (np.sqrt(adagrad) + 1e-8), adagrad),
        "rmsprop": (w - lr * g / (np.sqrt(rmsprop) + 1e-8), rmsprop),
        "adam": (w - lr * mhat / (np.sqrt(vhat) + 1e-8), m, v),
    }


CONSTANTS = {
    "sgd": (),
    "sgd_momentum": (0.9,),
    "adagrad": (1e-8,),
    "rmsprop": (0.99, 1e-8),
    "adam": (0.9, 0.999, 1e-8),
}


@dtypes
@pytest.mark.parametrize("rule", CONSTANTS)
@pytest.mark.parametrize("shape", [(1,), (7, 5), (150, 391)])
@pytest.mark.parametrize("reg", [0, 0.3])
def test_update_rule(rule, shape, reg, dtype):
    lr = 0.02
    w, dw = draw(dtype, *shape), draw(dtype, *shape, seed=1)
    state = [np.abs(draw(dtype, *shape, seed=2 + i)) for i in range(2)]
    wide = [a.astype(np.float64) for a in (w, dw, *state)]
    expected = reference_rules(wide[0], wide[1] + reg * wide[0], wide[2:], lr)[rule]
    state = state[: len(expected) - 1]
    sums = []

    def step(out, n_threads):
        t = (6,) if rule == "adam" else ()
        result = getattr(_ext, rule)(out[0], dw, *out[1:], *t, lr, *CONSTANTS[rule], reg, n_threads)
        sums.append(result)

    got = run(step, out=[w, *state])
    for actual, want in zip(got, expected, strict=True):
        assert_close(actual, want, dtype, 5)
    squares = (got[0].astype(np.float64) ** 2).sum()
    assert sums[0] == sums[1] == pytest.approx(squares, rel=1e-13)
    assert _ext.sum_of_squares(got[0], 1) == _ext.sum_of_squares(got[0], 2) == sums[0]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_denormals_are_flushed_in_kernels_only(n_threads):
    tiny = np.float32(1e-40)
    w, dw, v = np.ones(100_000, np.float32), np.zeros(100_000, np.float32), np.ones(100_000, np.float32)
    m = np.full_like(w, tiny)
    _ext.adam(w, dw, m, v, 900, 1e-3, 0.9, 0.999, 1e-8, 0, n_threads)
    assert not m.any()
    assert (np.full(100, tiny) * dw.dtype.type(0.5)).all(), "the thread's floating-point mode was not restored"
