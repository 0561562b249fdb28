"""The checkers: right gradients pass, planted wrong ones do not."""

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
    with pytest.raises(ValueError, match=r"net must be float64.*float32 for parameter 'W'"):
        check_net(LinearNet(dtype=np.float32), *batch)


def test_check_net_restores_parameters_when_the_loss_raises(batch):
    net = LinearNet()
    before = net.params["W"].copy()
    calls = []
    loss = net.loss

    def failing(X, y):
        calls.append(X)
        if len(calls) == 2:
            raise RuntimeError("stop")
        return loss(X, y)

    net.loss = failing
    with pytest.raises(RuntimeError, match="stop"):
        check_net(net, *batch)
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
    [(0, 0, 0), (1, 1, 0), (1, -1, 1), (1e-12, 0, 1e-4), ([1, 2], [1, 6], 0.5)],
)
def test_rel_error(x, y, expected):
    assert rel_error(x, y) == pytest.approx(expected)


@pytest.mark.parametrize("x", [[1.0], np.array([1]), 1.0])
def test_point_must_be_a_float_array(x):
    for check in (
        lambda: eval_numerical_gradient(np.sum, x),
        lambda: eval_numerical_gradient_array(np.sum, x, 1),
        lambda: grad_check_sparse(np.sum, x, x),
    ):
        with pytest.raises(TypeError, match="x must be an array of floats"):
            check()


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
