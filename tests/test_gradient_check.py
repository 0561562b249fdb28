"""The checkers: right gradients pass, planted wrong ones do not."""

import re

import numpy as np
import pytest

from sklearn_dl.gradient_check import (
    check_net,
    eval_numerical_gradient,
    eval_numerical_gradient_array,
    grad_check_sparse,
    rel_error,
)
from sklearn_dl.layers import affine_backward, affine_forward, softmax_loss
from sklearn_dl.nets import FullyConnected


class LinearNet:
    """Scores X W + b under softmax; spoil, if given, changes the gradients."""

    def __init__(self, spoil=None, dtype=np.float64):
        rng = np.random.RandomState(0)
        self.params = {"W": rng.randn(6, 4).astype(dtype), "b": rng.randn(4).astype(dtype)}
        self.spoil = spoil

    def loss(self, X, y):
        scores, cache = affine_forward(X, self.params["W"], self.params["b"])
        loss, dscores = softmax_loss(scores, y)
        _, dw, db = affine_backward(dscores, cache)
        grads = {"W": dw, "b": db}
        if self.spoil is not None:
            self.spoil(grads)
        return loss, grads


@pytest.fixture
def batch(rng):
    return rng.randn(8, 6), rng.randint(4, size=8)


def test_check_net_passes_right_gradients(batch):
    net = LinearNet()
    before = {name: p.copy() for name, p in net.params.items()}
    errors = check_net(net, *batch)
    assert errors.keys() == {"W", "b"}
    assert max(errors.values()) < 1e-7
    for name, p in before.items():
        np.testing.assert_array_equal(net.params[name], p)


def one_element(grads):
    grads["W"][2, 3] *= 1.01


def scaled(grads):
    grads["W"] *= 1.001


def zero(grads):
    grads["b"][:] = 0


def negative(grads):
    grads["b"] *= -1


def missing(grads):
    del grads["b"]


def too_many(grads):
    grads["c"] = grads["b"]


def nan(grads):
    grads["W"][0, 0] = np.nan


def transposed(grads):
    grads["W"] = grads["W"].T


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (one_element, r"^W: gradient is wrong by \d"),
        (scaled, r"^W: gradient is wrong by \d"),
        (zero, r"^b: gradient is all zero, numerical"),
        (negative, r"^b: gradient is wrong by \d"),
        (missing, r"^b: no gradient"),
        (too_many, r"^c: gradient of no parameter"),
        (nan, r"^W: gradient is wrong by nan"),
        (transposed, r"^W: gradient of shape \(4, 6\), parameter \(6, 4\)"),
    ],
)
def test_check_net_catches(spoil, message, batch):
    with pytest.raises(AssertionError, match=message):
        check_net(LinearNet(spoil), *batch)


def test_check_net_names_every_fault(batch):
    def spoil(grads):
        zero(grads)
        scaled(grads)

    with pytest.raises(AssertionError, match=r"W: gradient is wrong.*; b: gradient is all zero"):
        check_net(LinearNet(spoil), *batch)


def test_check_net_wants_float64(batch):
    message = r"net must be float64.*float32 for parameter 'W': make it with dtype=np\.float64\."
    with pytest.raises(ValueError, match=message):
        check_net(LinearNet(dtype=np.float32), *batch)


def test_check_net_wants_dropout_with_a_seed():
    X, y = np.random.RandomState(0).randn(6, 9), np.arange(6) % 3
    options = {"dropout_keep_ratio": 0.5, "weight_scale": "he", "dtype": np.float64, "random_state": 0}
    with pytest.raises(ValueError, match=r"^net must have the same loss at each call, .* give dropout a seed"):
        check_net(FullyConnected([20], 9, 3, **options), X, y)
    check_net(FullyConnected([20], 9, 3, seed=0, **options), X, y)


def test_check_net_restores_parameters_when_the_loss_raises(batch):
    net = LinearNet()
    before = net.params["W"].copy()
    calls = []
    loss = net.loss

    def failing(X, y):
        calls.append((net.params["W"] != before).any())
        if len(calls) == 3:
            raise RuntimeError("stop")
        return loss(X, y)

    net.loss = failing
    with pytest.raises(RuntimeError, match="stop"):
        check_net(net, *batch)
    assert calls[-1]
    np.testing.assert_array_equal(net.params["W"], before)


def test_numerical_gradients(rng):
    x = rng.randn(3, 4)
    before = x.copy()
    assert rel_error(eval_numerical_gradient(lambda x: np.sum(x**3), x), 3 * x**2) < 1e-7
    df = rng.randn(3, 4)
    numerical = eval_numerical_gradient_array(lambda x: x**3, x, df)
    assert rel_error(numerical, 3 * x**2 * df) < 1e-6
    np.testing.assert_array_equal(x, before)


def test_numerical_gradient_of_a_function_that_reuses_its_result(rng):
    x, buffer = rng.randn(3), np.empty(3)
    numerical = eval_numerical_gradient_array(lambda x: np.multiply(x, 2, out=buffer), x, np.ones(3))
    np.testing.assert_allclose(numerical, 2)


@pytest.mark.parametrize("wrong", [lambda g: 0 * g, lambda g: 1.1 * g, lambda g: -g])
def test_wrong_gradients_have_a_large_error(wrong, rng, capsys):
    x = rng.rand(3, 4) + 1
    right = 2 * x
    assert rel_error(wrong(right), eval_numerical_gradient(lambda x: np.sum(x**2), x)) > 0.01
    errors = grad_check_sparse(lambda x: np.sum(x**2), x, wrong(right), 5, random_state=0)
    assert errors.shape == (5,)
    assert errors.min() > 0.01


def test_sparse_check_prints_and_repeats(rng, capsys):
    x = rng.randn(50)
    first, second = (grad_check_sparse(lambda x: np.sum(x**2), x, 2 * x, 4, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.max() < 1e-6
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("numerical: ")
    errors = grad_check_sparse(lambda x: np.sum(x**2), x, 2 * x, 4, random_state=np.random.RandomState(3))
    np.testing.assert_array_equal(errors, first)
    np.random.seed(3)
    np.testing.assert_array_equal(grad_check_sparse(lambda x: np.sum(x**2), x, 2 * x, 4), first)


def test_verbose_prints_each_element(capsys):
    eval_numerical_gradient(lambda x: np.sum(x), np.zeros((2, 2)), verbose=True)
    assert [line.split(")")[0] for line in capsys.readouterr().out.splitlines()] == [
        "(0, 0",
        "(0, 1",
        "(1, 0",
        "(1, 1",
    ]


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (0, 0, 0),
        (1, 1, 0),
        (1, -1, 1),
        (1e-12, 0, 1e-4),
        ([1, 2], [1, 6], 0.5),
        (True, False, 1),
        ([True, True], [True, False], 1),
        (10**30, 3 * 10**30, 0.5),
        ([2**63, 1], [1, 1], 1),
        (1e308, -1e308, 1),
        (1.7e308, 1.7e308 / 3, 0.5),
        ([1e-310], [3e-310], 2e-302),
        (1 + 1j, 1 - 1j, 1 / np.sqrt(2)),
        (1e308 + 1e308j, -1e308 - 1e308j, 1),
        (np.longdouble(1), 3, 0.5),
    ],
)
def test_rel_error(x, y, expected):
    error = rel_error(x, y)
    assert error == pytest.approx(expected)
    assert type(error) is float


NUMBERS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", ">f4", "f8", "g", "c8", "c16", "O"]


@pytest.mark.parametrize("other", NUMBERS)
@pytest.mark.parametrize("dtype", NUMBERS)
def test_rel_error_in_double_precision(dtype, other):
    x, y = np.array([1, 100, 7]).astype(dtype), np.array([2, 120, 7]).astype(other)
    assert rel_error(x, y) == rel_error(y, x) == pytest.approx(1 / 3, rel=1e-15)
    assert rel_error(x, x) == 0


@pytest.mark.parametrize(
    ("x", "y"), [(np.nan, 1), (np.nan, np.nan), (np.inf, 1), (np.inf, np.inf), (np.inf, -np.inf), ([1, np.nan], [1, 1])]
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex128])
def test_rel_error_of_what_is_not_finite(x, y, dtype):
    assert np.isnan(rel_error(np.asarray(x, dtype), y))
    assert np.isnan(rel_error(y, np.asarray(x, dtype)))


@pytest.mark.parametrize("x", ["1", ["a", "b"], None, [{}], np.array(["2020"], "M8"), np.zeros(1, [("a", "i4")]), b"x"])
def test_rel_error_wants_numbers(x):
    with pytest.raises(TypeError, match=r"^x must be an array of numbers, got dtype"):
        rel_error(x, 1.0)
    with pytest.raises(TypeError, match=r"^y must be an array of numbers, got dtype"):
        rel_error(1.0, x)


def squares(x):
    return np.sum(x**2)


def gradients(x, f=squares, each=lambda x: x**2):
    """Return the gradient of the sum of squares at x by each function: of the sparse check, that it has no error."""

    def sparse():
        numbers = isinstance(x, np.ndarray) and x.dtype.kind == "f"
        right = 2 * x if numbers else np.ones(np.shape(x))
        return right * (1 + grad_check_sparse(f, x, right, 1).max())

    return {
        "each element": lambda: eval_numerical_gradient(f, x),
        "array": lambda: eval_numerical_gradient_array(each, x, np.ones(np.shape(x))),
        "sparse": sparse,
    }


FUNCTIONS = ["each element", "array", "sparse"]
POINTS = [
    *(
        np.array([1, 3]).astype(dtype)
        for dtype in ("?", "i1", "u1", "i4", "u8", "i8", "f2", "f4", ">f4", "c16", "O", "U1")
    ),
    [1.0, 3.0],
    1.0,
    None,
]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("x", POINTS, ids=str)
def test_points_that_are_no_arrays_in_double_precision(function, x):
    with pytest.raises(TypeError, match=r"^x must be an array of floats in double precision \(float64\), got "):
        gradients(x)[function]()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.longdouble, ">f8"])
def test_points_in_double_precision(function, dtype, capsys):
    x = np.array([[1, 3], [-2, 0.5]]).astype(dtype)
    before = x.copy()
    result = gradients(x)[function]()
    np.testing.assert_allclose(result, 2 * before, rtol=1e-9)
    assert result.dtype.itemsize == x.dtype.itemsize
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("returns", [np.float16, np.float32, ">f4"])
def test_functions_that_compute_in_single_precision(function, returns):
    def single(x):
        return np.asarray(squares(x)).astype(returns)

    def each(x):
        return (x**2).astype(returns)

    x = np.array([1.0, 3.0])
    with pytest.raises(TypeError, match=r"^f must compute in double precision \(float64\), got .?f"):
        gradients(x, single, each)[function]()
    np.testing.assert_array_equal(x, [1, 3])


@pytest.mark.parametrize("returns", ["?", "i1", "u1", "i8"])
def test_functions_that_return_integers(returns):
    x = np.array([1.0, 0.0])
    slopes = eval_numerical_gradient(lambda x: np.array(250 * (x[0] > 1)).astype(returns), x)
    wanted = float(np.array(250).astype(returns)) / 2e-5
    np.testing.assert_allclose(slopes, [wanted, 0])
    slopes = eval_numerical_gradient_array(lambda x: (250 * (x > 0)).astype(returns), x, np.uint8([1, 1]))
    np.testing.assert_allclose(slopes, [0, wanted])


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "f must return real numbers, got NoneType"),
        ("1", "f must return real numbers, got <U1"),
        (1j, "f must return real numbers, got complex128"),
        ((1.0, {"W1": np.ones(2)}), "f must return real numbers, got tuple"),
        ((1.0, np.ones(2)), "f must return real numbers, got tuple"),
    ],
)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_that_return_no_numbers(function, result, message):
    x = np.ones(2)
    with pytest.raises(TypeError, match=message):
        gradients(x, lambda x: result, lambda x: result)[function]()
    np.testing.assert_array_equal(x, 1)


@pytest.mark.parametrize("function", ["each element", "sparse"])
def test_functions_that_return_several_numbers(function):
    with pytest.raises(ValueError, match=r"f must return one number, got an array of shape \(2,\)"):
        gradients(np.ones(2), lambda x: x)[function]()
    assert gradients(np.ones(1), lambda x: x**2)[function]() == pytest.approx(2)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("value", "h"), [(1e22, 1e-5), (-1e12, 1e-5), (np.finfo(float).max, 1e-5), (1e300, 1.7e308), (1.0, 1e-17)]
)
def test_steps_that_are_lost_in_rounding(function, value, h):
    x = np.array([[0.0, 1.0], [value, 0.0]])
    before = x.copy()
    calls = {
        "each element": lambda: eval_numerical_gradient(np.sum, x, h=h),
        "array": lambda: eval_numerical_gradient_array(np.sum, x, 1, h=h),
        "sparse": lambda: grad_check_sparse(np.sum, x, x, 50, h=h, random_state=0),
    }
    with pytest.raises(ValueError, match=r"^h must be a step from x\[\d, \d\] = .* to other finite numbers, got"):
        calls[function]()
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("value", [1e6, -1e8, 1e10])
def test_steps_that_are_rounded(value):
    """The slope of a line is right, however coarse the steps that x can take."""
    x = np.array([value, 1.0])
    np.testing.assert_allclose(eval_numerical_gradient(lambda x: 3 * (x[0] - value), x), [3, 0], rtol=1e-6)
    start = x.copy()
    numerical = eval_numerical_gradient_array(lambda x: x - start, x, np.array([3.0, 5.0]))
    np.testing.assert_allclose(numerical, [3, 5], rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_points_that_are_not_finite(function, value, capsys):
    result = gradients(np.array([value]))[function]()
    assert np.isnan(result).all()
    result = eval_numerical_gradient(lambda x: x[0], np.array([1.0, value]))
    np.testing.assert_allclose(result, [1, np.nan])


def no_number_above(x):
    return np.where(x > 1, np.inf, np.where(x < 1, -1e308, x))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_values_that_overflow(function, capsys):
    x = np.ones(1)
    result = gradients(x, lambda x: no_number_above(x)[0], no_number_above)[function]()
    assert not np.isfinite(result).any()
    result = gradients(x, lambda x: np.sign(x[0] - 1) * 1e308, lambda x: np.sign(x - 1) * 1e308)[function]()
    assert not np.isfinite(result).any()
    assert not np.isfinite(gradients(x, lambda x: np.nan, lambda x: [np.nan])[function]()).any()


def test_read_only_points():
    x = np.ones(2)
    x.flags.writeable = False
    for call in gradients(x).values():
        with pytest.raises(ValueError, match=r"^x must be writeable"):
            call()


@pytest.mark.parametrize("df", [np.ones(3), np.ones((1, 3)), 1.0, np.ones((2, 3, 1)), np.ones((2, 2)), []])
def test_df_must_have_the_shape_of_the_values(df):
    message = rf"^df must have the shape of f\(x\), \(2, 3\), got {re.escape(str(np.shape(df)))}"
    with pytest.raises(ValueError, match=message):
        eval_numerical_gradient_array(lambda x: x, np.ones((2, 3)), df)


def test_values_must_have_one_shape():
    with pytest.raises(ValueError, match=r"^df must have the shape of f\(x\), \(3,\), got \(2,\)"):
        eval_numerical_gradient_array(lambda x: np.ones(3 if x[0] > 0 else 2), np.zeros(2), np.ones(2))


@pytest.mark.parametrize("dtype", ["?", "u1", "i8", "f2", "f4", "f8", ">f8", "g", "O"])
def test_df_and_analytic_gradients_of_any_dtype(dtype, capsys):
    x = np.array([1.0, 3.0])
    df = np.array([1, 0]).astype(dtype)
    np.testing.assert_allclose(eval_numerical_gradient_array(lambda x: x**2, x, df), [2, 0], rtol=1e-9)
    np.testing.assert_allclose(eval_numerical_gradient_array(lambda x: x**2, x, df.tolist()), [2, 0], rtol=1e-9)
    errors = grad_check_sparse(lambda x: x[0], x, df, 4)
    assert errors.max() < 1e-9
    assert errors.shape == (4,)


@pytest.mark.parametrize("wrong", [[1j, 1], ["a", "b"], [None, 1], [{}, 1]])
def test_df_and_analytic_gradients_that_are_no_numbers(wrong):
    with pytest.raises(TypeError, match=r"^df must be an array of real numbers, got dtype"):
        eval_numerical_gradient_array(lambda x: x, np.ones(2), np.array(wrong))
    with pytest.raises(TypeError, match=r"^analytic_grad must be an array of real numbers, got dtype"):
        grad_check_sparse(np.sum, np.ones(2), np.array(wrong))


def test_empty_points():
    assert eval_numerical_gradient(np.sum, np.ones((0, 3))).shape == (0, 3)
    with pytest.raises(ValueError, match=r"^x must have at least one element, got an empty array of shape \(0, 3\)"):
        grad_check_sparse(np.sum, np.ones((0, 3)), np.ones((0, 3)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, int, bool, complex, np.longdouble])
def test_check_net_wants_float64_of_every_parameter(dtype, batch):
    net = LinearNet()
    net.params["b"] = net.params["b"].astype(dtype)
    with pytest.raises(ValueError, match=f"net must be float64.*got {np.dtype(dtype)} for parameter 'b'"):
        check_net(net, *batch)
    net.params["b"] = [0.0] * 4
    with pytest.raises(ValueError, match=r"net must be float64.*got list for parameter 'b'"):
        check_net(net, *batch)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_check_net_wants_a_loss_in_double_precision(dtype, batch):
    net = LinearNet()
    loss = net.loss
    net.loss = lambda X, y: (dtype(loss(X, y)[0]), loss(X, y)[1])
    with pytest.raises(ValueError, match=f"net must be float64 to be checked, got a loss of {np.dtype(dtype)}"):
        check_net(net, *batch)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_check_net_wants_a_finite_loss(value, batch):
    net = LinearNet()
    loss = net.loss
    net.loss = lambda X, y: (value, loss(X, y)[1])
    with pytest.raises(AssertionError, match=f"the loss is {value}, which has no gradient"):
        check_net(net, *batch)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e308])
def test_check_net_does_not_pass_a_loss_that_overflows_beside(value, batch):
    net = LinearNet()
    loss, first = net.loss, net.params["W"].copy()
    sides = iter([value, -value] * 100)
    net.loss = lambda X, y: (
        loss(X, y)[0] if np.array_equal(net.params["W"], first) else np.float64(next(sides)),
        loss(X, y)[1],
    )
    with pytest.raises(AssertionError, match="W: gradient is wrong by"):
        check_net(net, *batch)


def test_sparse_check_wants_a_gradient_of_the_shape_of_x():
    with pytest.raises(ValueError, match=r"analytic_grad must have the shape of x, \(2,\).*\(3,\)"):
        grad_check_sparse(np.sum, np.zeros(2), np.zeros(3))


@pytest.mark.parametrize(
    ("x", "y", "shapes"),
    [
        (np.ones((2, 1)), np.ones((1, 2)), r"\(2, 1\) and \(1, 2\)"),
        (np.ones(2), 1.0, r"\(2,\) and \(\)"),
        ([], [], r"\(0,\) and \(0,\)"),
    ],
)
def test_rel_error_wants_one_shape(x, y, shapes):
    with pytest.raises(ValueError, match=f"x and y must be of one shape and not empty, .* {shapes}"):
        rel_error(x, y)


CHECKERS = {
    "each element": lambda **kw: eval_numerical_gradient(np.sum, np.ones(2), **kw),
    "array": lambda **kw: eval_numerical_gradient_array(np.sum, np.ones(2), 1, **kw),
    "sparse": lambda **kw: grad_check_sparse(np.sum, np.ones(2), np.ones(2), **kw),
    "net": lambda **kw: check_net(LinearNet(), np.ones((1, 6)), np.array([0]), **kw),
}


@pytest.mark.parametrize(
    ("checker", "arguments", "error", "message"),
    [
        *((c, {"h": 0}, ValueError, "h == 0, must be > 0") for c in CHECKERS),
        *((c, {"h": np.nan}, ValueError, "h must be a finite number, got nan") for c in CHECKERS),
        *((c, {"h": "small"}, TypeError, "h must be .*str") for c in CHECKERS),
        ("sparse", {"num_checks": 0}, ValueError, "num_checks == 0, must be >= 1"),
        ("sparse", {"num_checks": 2.0}, TypeError, "num_checks must be .*float"),
        ("net", {"num_projections": 0}, ValueError, "num_projections == 0, must be >= 1"),
        ("net", {"tol": 0}, ValueError, "tol == 0, must be > 0"),
        ("net", {"tol": np.inf}, ValueError, "tol must be a finite number, got inf"),
    ],
)
def test_bad_input(checker, arguments, error, message):
    with pytest.raises(error, match=message):
        CHECKERS[checker](**arguments)
