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
        "nesterov": (w + 0.9 * velocity - lr * g, velocity),
        "adagrad": (w - lr * g / (np.sqrt(adagrad) + 1e-8), adagrad),
        "rmsprop": (w - lr * g / (np.sqrt(rmsprop) + 1e-8), rmsprop),
        "adam": (w - lr * mhat / (np.sqrt(vhat) + 1e-8), m, v),
    }


CONSTANTS = {
    "sgd": (),
    "sgd_momentum": (0.9,),
    "nesterov": (0.9,),
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


@dtypes
@pytest.mark.parametrize("shape", [(1,), (7, 5), (150, 391)])
@pytest.mark.parametrize("decay", [0, 0.3])
def test_adamw_is_adam_of_weights_that_have_shrunk(shape, decay, dtype):
    lr = 0.02
    w, dw = draw(dtype, *shape), draw(dtype, *shape, seed=1)
    m, v = (np.abs(draw(dtype, *shape, seed=seed)) for seed in (2, 3))
    wide_w, wide_dw, *state = (a.astype(np.float64) for a in (w, dw, m, v))
    expected = reference_rules(wide_w, wide_dw, state, lr)["adam"]
    expected = (expected[0] - lr * decay * wide_w, *expected[1:])

    def step(out, n_threads):
        squares = _ext.adamw(out[0], dw, *out[1:], 6, lr, 0.9, 0.999, 1e-8, decay, n_threads)
        assert squares == _ext.sum_of_squares(out[0], 1)

    for actual, want in zip(run(step, out=[w, m, v]), expected, strict=True):
        assert_close(actual, want, dtype, 5)


def test_a_decay_of_any_size_leaves_no_nan():
    for dtype in (np.float32, np.float64):
        w, dw, m, v = (np.zeros(3, dtype) for _ in range(4))
        _ext.adamw(w, dw, m, v, 1, 1e300, 0.9, 0.999, 1e-8, 1e300, 1)
        assert not w.any()


@dtypes
@pytest.mark.parametrize("shapes", [[(1,)], [(7, 5), (5,)], [(150, 391), (391,), (391, 10), (10,)]])
def test_clip_gradients(shapes, dtype):
    gradients = [draw(dtype, *shape, seed=i) for i, shape in enumerate(shapes)]
    wide = [gradient.astype(np.float64) for gradient in gradients]
    norm = np.sqrt(sum((gradient**2).sum() for gradient in wide))
    for share in (0.01, 0.99, 1.01, 100):
        norms = []

        def clip(out, n_threads, most=share * norm, norms=norms):
            norms.append(_ext.clip_gradients(list(out), most, n_threads))

        got = run(clip, out=gradients)
        assert norms[0] == norms[1] == pytest.approx(norm, rel=1e-13)
        for actual, before, want in zip(got, gradients, wide, strict=True):
            if share < 1:
                assert_close(actual, share * want, dtype, 2)
            else:
                np.testing.assert_array_equal(actual, before)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_gradients_that_are_not_finite_are_not_clipped(value):
    gradients = [np.array([3.0, value]), np.array([4.0])]
    norm = _ext.clip_gradients(gradients, 1.0, 1)
    assert not np.isfinite(norm)
    np.testing.assert_array_equal(gradients[0], [3.0, value])
    np.testing.assert_array_equal(gradients[1], [4.0])


def test_what_cannot_be_clipped():
    assert _ext.clip_gradients([], 1.0, 1) == 0
    for gradients, error, message in (
        ([None], TypeError, r"gradients\[0\] must be an array, got NoneType"),
        ([np.ones(2), np.ones(2, np.float32)], TypeError, r"gradients\[1\] must be float64"),
        ([np.ones(2, int)], TypeError, r"gradients\[0\] must be float32 or float64"),
        ([np.ones((4, 4)).T[:2]], ValueError, r"gradients\[0\] must be"),
    ):
        with pytest.raises(error, match=message):
            _ext.clip_gradients(gradients, 1.0, 1)
    gradients = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"gradients\[1\] must not overlap gradients\[0\]"):
        _ext.clip_gradients([gradients, gradients[1]], 1.0, 1)
    np.testing.assert_array_equal(gradients, 1)
    with pytest.raises(ValueError, match="most must be at least 0"):
        _ext.clip_gradients([np.ones(2)], np.nan, 1)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_denormals_are_flushed_in_kernels_only(n_threads):
    tiny = np.float32(1e-40)
    w, dw, v = np.ones(100_000, np.float32), np.zeros(100_000, np.float32), np.ones(100_000, np.float32)
    m = np.full_like(w, tiny)
    _ext.adam(w, dw, m, v, 900, 1e-3, 0.9, 0.999, 1e-8, 0, n_threads)
    assert not m.any()
    assert (np.full(100, tiny) * dw.dtype.type(0.5)).all(), "the thread's floating-point mode was not restored"
