"""Kernels of the activation functions: values, gradients, extremes, odd sizes."""

import numpy as np
import pytest
from scipy import special

from sklearn_dl import _ext

DTYPES = [np.float32, np.float64]
KINDS = list(_ext.activations)

# Of numbers that the kernels compute on in float64, from functions of NumPy and SciPy.
NAIVE = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x < 0, 0.01 * x, x),
    "tanh": np.tanh,
    "logistic": special.expit,
    "gelu": lambda x: x * special.ndtr(x),
    "silu": lambda x: x * special.expit(x),
}
NAIVE_SLOPES = {
    "identity": np.ones_like,
    "relu": lambda x: np.where(x > 0, 1.0, 0.0),
    "leaky_relu": lambda x: np.where(x > 0, 1.0, 0.01),
    "tanh": lambda x: 1 / np.cosh(x) ** 2,
    "logistic": lambda x: special.expit(x) * special.expit(-x),
    "gelu": lambda x: special.ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi),
    "silu": lambda x: special.expit(x) * (1 + x * special.expit(-x)),
}


def forward(kind, x, n_threads=1):
    out = np.full_like(x, 7)
    _ext.activation_forward(x, out, _ext.activations[kind], n_threads)
    return out


def backward(kind, dout, x, n_threads=1):
    kept = {"input": x, "output": forward(kind, x)}[_ext.activation_backward_takes[kind]]
    dx = np.full_like(x, 7)
    _ext.activation_backward(dout, kept, dx, _ext.activations[kind], n_threads)
    return dx


def spread(dtype, most):
    """Return numbers up to `most` of either sign: evenly spread ones, and of every magnitude."""
    rng = np.random.RandomState(0)
    small = 10.0 ** rng.uniform(-37, 1, 2000)
    x = np.concatenate([rng.uniform(-8, 8, 5000), rng.uniform(-most, most, 2000), small, -small, [0.0, -0.0]])
    return x.astype(dtype)


def units_off(got, expected):
    """Return by how many units in the last place `got` is off `expected`, float64 or better, at most."""
    unit = np.spacing(np.abs(expected).astype(got.dtype))
    return np.max(np.abs(got - expected) / unit.astype(np.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_right_to_a_few_units_in_the_last_place(kind):
    # Down to where results get denormal. SciPy's float64 functions are exact beside float32.
    x = spread(np.float32, 80 if kind != "gelu" else 12)
    assert units_off(forward(kind, x), NAIVE[kind](x.astype(np.float64))) <= (6 if kind == "gelu" else 4)


@pytest.mark.parametrize("kind", KINDS)
def test_values_in_float64(kind):
    x = spread(np.float64, 700 if kind != "gelu" else 36)
    got, expected = forward(kind, x), NAIVE[kind](x)
    # SciPy's own errors count, too: ndtr far down in the tail has some 1e-13.
    np.testing.assert_allclose(got, expected, rtol=2e-15 if kind != "gelu" else 4e-13, atol=0)
    middle = np.abs(x) < 1
    np.testing.assert_allclose(got[middle], expected[middle], rtol=2e-15, atol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_slopes(kind, dtype):
    x = spread(dtype, 80 if kind != "gelu" else 12)
    dout = np.random.RandomState(1).randn(x.size).astype(dtype)
    expected = dout * NAIVE_SLOPES[kind](x.astype(np.float64))
    eps = np.finfo(dtype).eps
    # A slope from the output, such as tanh's, is 1 less something; where gelu's and silu's cross zero, a difference.
    np.testing.assert_allclose(backward(kind, dout, x), expected, rtol=10 * eps, atol=8 * eps)


@pytest.mark.parametrize("kind", KINDS)
def test_slopes_are_differences_of_values(kind):
    x = np.linspace(-5, 5, 401) + 1e-3
    h = 1e-5
    differences = (forward(kind, x + h) - forward(kind, x - h)) / (2 * h)
    np.testing.assert_allclose(backward(kind, np.ones_like(x), x), differences, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_against_torch(torch, kind, dtype):
    functions = {
        "identity": lambda x: x * 1,
        "relu": torch.relu,
        "leaky_relu": torch.nn.functional.leaky_relu,
        "tanh": torch.tanh,
        "logistic": torch.sigmoid,
        "gelu": torch.nn.functional.gelu,
        "silu": torch.nn.functional.silu,
    }
    x = np.concatenate([np.linspace(-12, 12, 997), [0.0, -0.0, np.nan]]).astype(dtype)
    dout = np.random.RandomState(2).randn(x.size).astype(dtype)
    tensor = torch.tensor(x, requires_grad=True)
    expected = functions[kind](tensor)
    expected.backward(torch.tensor(dout))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(forward(kind, x), expected.detach().numpy(), rtol=4 * eps, atol=8 * eps)
    finite = np.isfinite(x)
    np.testing.assert_allclose(
        backward(kind, dout, x)[finite], tensor.grad.numpy()[finite], rtol=20 * eps, atol=10 * eps
    )


# At inf, -inf: as PyTorch has it, whose gelu and silu of minus infinity are nan.
LIMITS = {
    "identity": (np.inf, -np.inf),
    "relu": (np.inf, 0),
    "leaky_relu": (np.inf, -np.inf),
    "tanh": (1, -1),
    "logistic": (1, 0),
    "gelu": (np.inf, np.nan),
    "silu": (np.inf, np.nan),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite(kind, dtype):
    x = np.array([np.inf, -np.inf, np.nan, -np.nan], dtype)
    np.testing.assert_array_equal(forward(kind, x), np.array([*LIMITS[kind], np.nan, np.nan], dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_numbers(kind, dtype):
    most = np.finfo(dtype).max
    x = np.array([most, -most, 1e4, -1e4, 800, -800], dtype)
    eps = np.finfo(dtype).eps
    with np.errstate(under="ignore", over="ignore"):
        expected, slopes = NAIVE[kind](x.astype(np.float64)), NAIVE_SLOPES[kind](x.astype(np.float64))
    np.testing.assert_allclose(forward(kind, x), expected, rtol=eps, atol=0)
    np.testing.assert_allclose(backward(kind, np.ones_like(x), x), slopes, rtol=eps, atol=1e-38)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_denormal_numbers(kind, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.concatenate([np.arange(1, 200), -np.arange(1, 200), [2**20, -(2**20)]]).astype(dtype) * tiny
    expected = NAIVE[kind](x.astype(np.longdouble if dtype is np.float64 and kind == "leaky_relu" else np.float64))
    np.testing.assert_allclose(forward(kind, x).astype(float), expected.astype(float), rtol=0, atol=1.01 * float(tiny))
    assert np.all(np.signbit(forward(kind, -np.zeros(3, dtype))) == (kind != "logistic"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_denormal_results(dtype):
    # exp of these is denormal, or zero.
    low, high = (-103, -88) if dtype is np.float32 else (-745, -709)
    x = np.linspace(low, high, 500).astype(dtype)
    expected = special.expit(x.astype(np.longdouble))
    np.testing.assert_allclose(
        forward("logistic", x).astype(np.longdouble),
        expected,
        rtol=0,
        atol=1.01 * float(np.finfo(dtype).smallest_subnormal),
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_bits_depend_on_the_element_alone(kind, dtype, n_threads):
    n = 40_001
    x = np.random.RandomState(0).randn(n).astype(dtype) * 3
    dout = np.random.RandomState(1).randn(n).astype(dtype)
    whole, slopes = forward(kind, x), backward(kind, dout, x)
    kept = x if _ext.activation_backward_takes[kind] == "input" else whole
    for size in (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 4095, 4097, n):
        for start in {0, min(1, n - size), n - size}:
            part = slice(start, start + size)
            room = np.full(size + 64, 7, dtype)
            out = room[32 : 32 + size]
            _ext.activation_forward(x[part], out, _ext.activations[kind], n_threads)
            np.testing.assert_array_equal(out, whole[part])
            _ext.activation_backward(dout[part], kept[part], out, _ext.activations[kind], n_threads)
            np.testing.assert_array_equal(out, slopes[part])
            np.testing.assert_array_equal(room[:32], 7)
            np.testing.assert_array_equal(room[-32:], 7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_in_place(kind, dtype):
    x = np.random.RandomState(0).randn(5, 7, 3).astype(dtype)
    dout = np.random.RandomState(1).randn(5, 7, 3).astype(dtype)
    code, takes = _ext.activations[kind], _ext.activation_backward_takes[kind]
    out, dx = forward(kind, x), backward(kind, dout, x)
    kept = x.copy() if takes == "input" else out.copy()
    given = dout.copy()
    _ext.activation_backward(given, kept, given, code, 1)
    np.testing.assert_array_equal(given, dx)
    _ext.activation_backward(dout, kept, kept, code, 1)
    np.testing.assert_array_equal(kept, dx)
    _ext.activation_forward(x, x, code, 1)
    np.testing.assert_array_equal(x, out)


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_to_the_bit(dtype):
    x = np.array([-1, -0.0, 0, 2, np.nan, -np.inf, np.inf], dtype)
    out = forward("relu", x)
    np.testing.assert_array_equal(out, np.array([0, -0.0, 0, 2, np.nan, 0, np.inf], dtype))
    np.testing.assert_array_equal(np.signbit(out), [False, True, False, False, np.signbit(x[4]), False, False])
    np.testing.assert_array_equal(backward("relu", np.full(7, 3, dtype), x), np.array([0, 0, 0, 3, 0, 0, 3], dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_shape(kind, dtype):
    for shape in ((), (0,), (1,), (3, 5, 7)):
        x = np.asarray(np.random.RandomState(0).randn(*shape), dtype)
        assert forward(kind, x).tobytes() == forward(kind, x.ravel()).tobytes()
        assert backward(kind, x, x).tobytes() == backward(kind, x.ravel(), x.ravel()).tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_of_a_product_stays(kind, dtype):
    out = np.empty((1, 40), dtype)
    _ext.affine_forward(np.full((1, 40), np.nan, dtype), np.eye(40, dtype=dtype), None, out, _ext.activations[kind], 1)
    assert np.isnan(out).all()


def test_bad_arguments():
    x = np.zeros(3)
    for code in (-1, len(KINDS)):
        with pytest.raises(ValueError, match="activation must be one of"):
            _ext.activation_forward(x, np.zeros(3), code, 1)
        with pytest.raises(ValueError, match="activation must be one of"):
            _ext.activation_backward(x, x, np.zeros(3), code, 1)
    with pytest.raises(ValueError, match="kept must have the shape of dout"):
        _ext.activation_backward(x, np.zeros(4), np.zeros(3), 0, 1)
    with pytest.raises(ValueError, match="out must not overlap x"):
        _ext.activation_forward(x[:2], x[1:], 0, 1)
