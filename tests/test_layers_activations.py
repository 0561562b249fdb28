"""Activations: kernels against NumPy and PyTorch, at the ends of the range, in place, in the pass of other layers."""

import inspect

import numpy as np
import pytest
from scipy import sparse, special

from sklearn_dl import _ext, layers
from sklearn_dl.gradient_check import check_net
from sklearn_dl.layers import _activation
from sklearn_dl.nets import Net, fusion
from sklearn_dl.nets.activations import ACTIVATIONS
from sklearn_dl.nets.layers import (
    LAYERS,
    Affine,
    AffineActivation,
    AffineReLU,
    Conv,
    ConvActivation,
    ConvReLUPool,
    Dropout,
    Identity,
    MaxPool,
    ReLU,
    Tanh,
)

NAMES = ["gelu", "identity", "leaky_relu", "logistic", "relu", "silu", "tanh"]
each_name = pytest.mark.parametrize("name", NAMES)

SHAPES = [(), (1,), (7,), (17,), (3, 5, 7), (2, 3, 4, 5), (1031,), (40_003,)]

# Of values of order one: a few units in the last place.
CLOSE = {np.float32: {"rtol": 2e-6, "atol": 2e-7}, np.float64: {"rtol": 4e-15, "atol": 4e-16}}


def forward_of(name):
    return getattr(layers, f"{name}_forward")


def backward_of(name):
    return getattr(layers, f"{name}_backward")


def draw(shape, dtype, scale=3.0, seed=0):
    return np.asarray(scale * np.random.RandomState(seed).randn(*shape), dtype)


def exact(function, x, dtype):
    """Return what NumPy gives in double precision, rounded."""
    return np.asarray(function(np.asarray(x, np.float64)), dtype)


def test_the_activations_are_these():
    assert sorted(ACTIVATIONS) == NAMES
    assert {cls.name for cls in ACTIVATIONS.values()} == set(NAMES)
    assert set(ACTIVATIONS) == set(_ext.activations)


# ------------------------------------------------------- kernels against NumPy


@each_name
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernels_are_what_numpy_gives(name, shape, dtype, threads):
    x, dout = draw(shape, dtype), draw(shape, dtype, 1.0, 1)
    out, cache = forward_of(name)(x)
    np.testing.assert_allclose(out, exact(ACTIVATIONS[name]().function, x, dtype), **CLOSE[dtype])
    slope = ACTIVATIONS[name]().slope(x.astype(np.float64))
    expected = np.asarray(dout * slope, dtype)
    # In the output, a slope of almost nothing is the difference of almost equal numbers.
    np.testing.assert_allclose(
        backward_of(name)(dout, cache), expected, rtol=CLOSE[dtype]["rtol"], atol=2e-6 if dtype == np.float32 else 4e-15
    )


@each_name
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_torch(name, shape, torch, dtype, threads):
    names = {"logistic": torch.sigmoid, "tanh": torch.tanh, "identity": lambda x: x}
    function = names.get(name) or getattr(torch.nn.functional, name)
    x, dout = draw(shape, dtype), draw(shape, dtype, 1.0, 1)
    out, cache = forward_of(name)(x)
    tensor = torch.tensor(x, requires_grad=True)
    expected = function(tensor)
    expected.backward(torch.tensor(dout))
    tolerance = {"rtol": 3e-6, "atol": 2e-6} if dtype == np.float32 else {"rtol": 1e-13, "atol": 1e-14}
    np.testing.assert_allclose(out, expected.detach().numpy(), **tolerance)
    np.testing.assert_allclose(backward_of(name)(dout, cache), tensor.grad.numpy(), **tolerance)


@each_name
def test_the_slope_is_the_derivative_of_the_function(name):
    """Of what NumPy computes, which the kernels are compared to."""
    x = np.linspace(-6, 6, 1000)  # without zero
    h = 1e-6
    function = ACTIVATIONS[name]().function
    numerical = (function(x + h) - function(x - h)) / (2 * h)
    np.testing.assert_allclose(ACTIVATIONS[name]().slope(x), numerical, atol=1e-8)


@each_name
def test_far_from_zero(name, dtype):
    """No overflow on the way, and limits as they should be; float32 to 3e38."""
    info = np.finfo(dtype)
    x = np.array([-info.max, -1e4, -200, -info.tiny, 0, info.tiny, 200, 1e4, info.max], dtype)
    out, cache = forward_of(name)(x)
    dx = backward_of(name)(np.ones_like(x), cache)
    assert np.isfinite(out).all()
    limits = {
        "tanh": (-1, 1),
        "logistic": (0, 1),
        "identity": (x[1], x[7]),
        "leaky_relu": (dtype(0.01) * x[1], x[7]),
    }
    np.testing.assert_allclose([out[1], out[7]], limits.get(name, (0, x[7])), rtol=1e-6, atol=1e-12)
    slopes = {"tanh": (0, 0), "logistic": (0, 0), "identity": (1, 1), "leaky_relu": (0.01, 1)}
    np.testing.assert_allclose([dx[1], dx[7]], slopes.get(name, (0, 1)), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(out[4], 0.5 if name == "logistic" else 0)


@each_name
def test_nan_stays_nan(name, dtype):
    x = np.full(11, np.nan, dtype)
    out, _ = forward_of(name)(x)
    assert np.isnan(out).all()


@each_name
def test_infinity(name, dtype):
    out, _ = forward_of(name)(np.array([-np.inf, np.inf], dtype))
    limits = {"tanh": [-1, 1], "logistic": [0, 1], "identity": [-np.inf, np.inf], "leaky_relu": [-np.inf, np.inf]}
    limits |= {"relu": [0, np.inf], "gelu": [np.nan, np.inf], "silu": [np.nan, np.inf]}
    np.testing.assert_array_equal(out, np.array(limits[name], dtype))


@each_name
def test_an_element_does_not_depend_on_its_place(name, dtype, threads):
    """Not on whether it is in a whole vector, either."""
    x, dout = draw((1003,), dtype), draw((1003,), dtype, 1.0, 1)
    out, cache = forward_of(name)(x)
    dx = backward_of(name)(dout, cache)
    for n in (1, 2, 5, 15, 400):
        part, part_cache = forward_of(name)(x[-n:])
        np.testing.assert_array_equal(part, out[-n:])
        np.testing.assert_array_equal(backward_of(name)(dout[-n:], part_cache), dx[-n:])


@each_name
def test_logistic_and_tanh_stay_within_their_limits(name, dtype):
    x = np.linspace(-40, 40, 100_001).astype(dtype)
    out, cache = forward_of(name)(x)
    dx = backward_of(name)(np.ones_like(x), cache)
    if name in ("logistic", "tanh"):
        assert out.min() >= (0 if name == "logistic" else -1)
        assert out.max() <= 1
        assert dx.min() >= 0
    np.testing.assert_allclose(dx, exact(ACTIVATIONS[name]().slope, x, dtype), atol=1e-6)


def test_small_tails_are_not_rounded_away():
    """Near zero, and far in the tails of gelu, relative errors stay small."""
    x = np.array([-30.0, -20, -10, -5, -1e-10])
    np.testing.assert_allclose(layers.gelu_forward(x)[0], x * special.ndtr(x), rtol=1e-12)
    np.testing.assert_allclose(layers.silu_forward(x)[0], x * special.expit(x), rtol=1e-13)
    np.testing.assert_allclose(layers.logistic_forward(x)[0], special.expit(x), rtol=1e-13)
    x = np.array([1e-300, -1e-20, 1e-9, 1e-3])
    np.testing.assert_allclose(layers.tanh_forward(x)[0], np.tanh(x), rtol=1e-14)


@pytest.mark.parametrize("name", ["identity", "leaky_relu", "tanh"])
def test_the_sign_of_zero(name, dtype):
    x = np.array([0.0, -0.0] * 9, dtype)
    np.testing.assert_array_equal(np.signbit(forward_of(name)(x)[0]), np.signbit(x))


# ----------------------------------------------------------------------- in place


@each_name
def test_in_place(name, dtype):
    x, dout = draw((4, 5), dtype), draw((4, 5), dtype, 1.0, 1)
    expected, expected_cache = forward_of(name)(x)
    expected_dx = backward_of(name)(dout, expected_cache)
    kept = x.copy()
    out, cache = forward_of(name)(kept, out=kept)
    assert out is kept
    np.testing.assert_array_equal(out, expected)
    dx = backward_of(name)(dout, cache, out=dout)
    assert dx is dout
    np.testing.assert_array_equal(dx, expected_dx)


@each_name
def test_the_result_is_an_array_of_its_own(name, dtype):
    x = draw((4, 5), dtype)
    out, cache = forward_of(name)(x)
    dx = backward_of(name)(x, cache)
    assert not np.shares_memory(out, x)
    assert not np.shares_memory(dx, x)


@each_name
def test_empty_arrays_are_refused(name):
    with pytest.raises(ValueError, match=r"^x must have at least one element, got an empty array of shape \(3, 0\)"):
        forward_of(name)(np.ones((3, 0)))


# ------------------------------------------------- in one pass with an affine layer or a convolution


def pair(stated, input_shape, dtype):
    """Return a net with activations in the passes of other layers, and one with each layer by itself."""
    options = {"weight_scale": "he", "dtype": dtype, "random_state": 0}
    fused, apart = (Net(stated, input_shape, **options) for _ in range(2))
    apart._steps = list(apart._layers)
    apart._work = apart.workspace()
    for net in (fused, apart):
        net.params["b1"] = np.linspace(-1, 1, len(net.params["b1"]))
    return fused, apart


def assert_same_results(fused, apart, X, tol):
    y = np.arange(X.shape[0]) % 3
    np.testing.assert_allclose(fused.loss(X), apart.loss(X), **tol)
    (loss, grads), (expected_loss, expected) = fused.loss(X, y), apart.loss(X, y)
    np.testing.assert_allclose(loss, expected_loss, **tol)
    for grad in expected:
        np.testing.assert_allclose(grads[grad], expected[grad], **tol, err_msg=grad)


@each_name
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 3), (33, 65, 17), (64, 200, 100), (9, 1500, 31)], ids=str)
def test_one_pass_is_what_two_are(name, shape, dtype, tol, threads):
    n_samples, n_inputs, n_units = shape
    fused, apart = pair([Affine(n_units), ACTIVATIONS[name](), Affine(3)], (n_inputs,), dtype)
    assert len(fused._steps) == 2
    assert_same_results(fused, apart, draw((n_samples, n_inputs), dtype, 1.0), tol)


@each_name
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 2, 7, 3), (9, 3, 16, 17)], ids=str)
@pytest.mark.parametrize("end", [[Affine(3)], [MaxPool(), Affine(3)], [Conv(2, 3), Tanh(), Affine(3)]], ids=str)
def test_one_pass_of_a_convolution(name, shape, end, dtype, tol, threads):
    fused, apart = pair([Conv(5, 3), ACTIVATIONS[name](), *end], shape[1:], dtype)
    assert len(fused._steps) < len(apart._steps)
    assert_same_results(fused, apart, draw(shape, dtype, 1.0), tol)


@each_name
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 3), (33, 65, 17), (64, 500, 100)], ids=str)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_one_pass_of_rows_of_a_sparse_matrix(name, shape, index, dtype, tol, threads):
    n_samples, n_inputs, n_units = shape
    X = sparse.random(n_samples, n_inputs, density=0.2, format="csr", dtype=dtype, random_state=0)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    layers = [Affine(n_units), ACTIVATIONS[name](), Affine(3)]
    fused, apart = pair(layers, (n_inputs,), dtype)
    assert len(fused._steps) == 2
    assert_same_results(fused, apart, X, tol)
    dense, _ = pair(layers, (n_inputs,), dtype)
    np.testing.assert_allclose(fused.loss(X), dense.loss(X.toarray()), **tol)


@each_name
def test_training_and_prediction_compute_the_same_scores(name, dtype, rng):
    """Though training may keep what activations are computed from, and prediction does not."""
    net = Net([Affine(9), ACTIVATIONS[name](), Affine(3)], (5,), weight_scale="he", dtype=dtype, random_state=0)
    X = rng.randn(7, 5).astype(dtype)
    work = net.workspace()
    trained = net._forward(X, work, train=True)
    np.testing.assert_array_equal(trained, net.scores(X))


def test_what_is_fused():
    for name, cls in ACTIVATIONS.items():
        affine, conv = AffineActivation(Affine(4), cls()), ConvActivation(Conv(4, 3), cls())
        assert fusion.fuse([Affine(4), cls(), cls(), Affine(3)]) == [affine, cls(), Affine(3)]
        steps = fusion.fuse([Conv(4, 3), cls(), MaxPool(), Conv(4, 3), cls(), Affine(4), cls()])
        pooled = [ConvReLUPool(Conv(4, 3), MaxPool())] if name == "relu" else [conv, MaxPool()]
        assert steps == [*pooled, conv, affine]


class Shifted(Tanh):
    """A subclass, which may compute something else."""


def test_one_pass_is_of_the_librarys_own_layers():
    assert [type(step) for step in fusion.fuse([Affine(4), Shifted()])] == [Affine, Shifted]
    for wrong in (Shifted(), Dropout(0.5), Tanh, "tanh", None):
        with pytest.raises(TypeError, match=r"^activation must be an activation of sklearn_dl.nets.layers itself, got"):
            AffineActivation(Affine(4), wrong)
    with pytest.raises(TypeError, match=r"^affine must be a layer of class Affine itself"):
        AffineActivation(AffineReLU(Affine(4)), Tanh())
    with pytest.raises(TypeError, match=r"^conv must be a layer of class Conv itself"):
        ConvActivation(ConvActivation(Conv(4, 3), Tanh()), Tanh())
    assert Shifted.code() is None


# -------------------------------------------------- a new one: by NumPy, without a kernel


class Softsign(_activation.Activation):
    name = "softsign"

    def function(self, x):
        return x / (1 + np.abs(x))

    def slope(self, x):
        return 1 / (1 + np.abs(x)) ** 2


@pytest.mark.parametrize("end", [[], [Softsign()]])
def test_what_a_class_states_in_numpy_trains(end, rng):
    net = Net(
        [Softsign(), Affine(5), Softsign(), Affine(3), *end], (4,), weight_scale="he", dtype=float, random_state=0
    )
    check_net(net, rng.randn(7, 4), rng.randint(3, size=7))
    assert Softsign.code() is None
    assert len(net._steps) == len(net.layers)


@each_name
def test_all_of_the_librarys_have_kernels(name):
    cls = ACTIVATIONS[name]
    assert cls.code() == _ext.activations[name]
    assert cls.takes_output() is (_ext.activation_backward_takes[name] == "output")
    assert vars(cls)["recordable"] is True
    assert LAYERS[cls.__name__] is cls


@each_name
def test_functions_are_documented_alike(name):
    for function in (forward_of(name), backward_of(name)):
        assert list(inspect.signature(function).parameters)[-1] == "out"


def test_the_identity_takes_no_work(rng):
    net = Net([Identity(), Affine(3)], (4,), random_state=0)
    X = rng.randn(5, 4).astype(np.float32)
    layer = net.layers[0]
    assert layer.forward(X, {}, {}, train=True, sample_weight=None) is X
    assert layer.backward(X, {}, {}, need_dx=True) is X


def test_relu_may_be_given_its_output_for_its_input():
    x = np.array([-1.0, 0.0, 2.0])
    out, cache = layers.relu_forward(x)
    assert cache is x
    np.testing.assert_array_equal(layers.relu_backward(x, out), layers.relu_backward(x, cache))
    assert ReLU.takes_output()
