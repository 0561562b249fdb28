"""Losses, against PyTorch, numerical gradients, and at the ends of the number range."""

import re

import numpy as np
import pytest

from sklearn_dl import losses
from sklearn_dl.gradient_check import eval_numerical_gradient, rel_error
from sklearn_dl.losses import softmax_loss, svm_loss

LOSSES = pytest.mark.parametrize("loss", [softmax_loss, svm_loss])


def draw(rng, n=11, c=5, dtype=np.float64):
    return rng.randn(n, c).astype(dtype), rng.randint(c, size=n)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (9, 2), (50, 10), (200, 10), (17, 100)])
@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_torch(torch, rng, shape, weighted, dtype, tol):
    x, y = draw(rng, *shape, dtype)
    weights = rng.rand(len(x)) if weighted else None
    loss, dx = softmax_loss(x, y, sample_weight=weights)
    tensor = torch.tensor(x, requires_grad=True)
    each = torch.nn.functional.cross_entropy(tensor, torch.tensor(y), reduction="none")
    shares = torch.tensor(np.full(len(x), 1 / len(x)) if weights is None else weights)
    expected = (each * shares / shares.sum()).sum()
    expected.backward()
    np.testing.assert_allclose(loss, expected.item(), **tol)
    np.testing.assert_allclose(dx, tensor.grad.numpy(), **tol)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (9, 2), (50, 10)])
def test_svm_torch(torch, rng, shape, dtype, tol):
    x, y = draw(rng, *shape, dtype)
    loss, dx = svm_loss(x, y)
    tensor = torch.tensor(x, requires_grad=True)
    # PyTorch divides by the number of classes.
    expected = shape[1] * torch.nn.functional.multi_margin_loss(tensor, torch.tensor(y))
    expected.backward()
    np.testing.assert_allclose(loss, expected.item(), **tol)
    np.testing.assert_allclose(dx, tensor.grad.numpy(), **tol)


def test_softmax_at_the_published_draw():
    """Scores of 0.001 * randn as in a net that has learnt nothing; bound of the published check."""
    np.random.seed(231)
    x = 0.001 * np.random.randn(50, 10)
    y = np.random.randint(10, size=50)
    loss, dx = softmax_loss(x, y)
    np.testing.assert_allclose(loss, 2.3025458445007376, rtol=1e-12)
    assert rel_error(eval_numerical_gradient(lambda x: softmax_loss(x, y)[0], x), dx) < 1e-7


@LOSSES
@pytest.mark.parametrize("weighted", [False, True])
def test_numerical_gradient(loss, weighted, rng):
    x, y = draw(rng)
    weights = rng.rand(len(x)) if weighted else None
    _, dx = loss(x, y, sample_weight=weights)
    numerical = eval_numerical_gradient(lambda x: loss(x, y, sample_weight=weights)[0], x)
    assert rel_error(dx, numerical) < 1e-7


@LOSSES
def test_weights_are_repetitions(loss, rng, dtype, tol):
    x, y = draw(rng, 5, 4, dtype)
    counts = [2, 0, 1, 3, 1]
    value, dx = loss(x, y, sample_weight=counts)
    expected, expected_dx = loss(np.repeat(x, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(value, expected, **tol)
    np.testing.assert_allclose(np.repeat(dx, counts, axis=0), expected_dx * np.repeat(counts, counts)[:, None], **tol)
    assert not dx[1].any()


@LOSSES
def test_dtypes_and_buffers(loss, rng, dtype):
    x, y = draw(rng, dtype=dtype)
    x.flags.writeable = y.flags.writeable = False
    before = x.copy()
    value, dx = loss(x, y)
    assert type(value) is float
    assert dx.dtype == dtype
    np.testing.assert_array_equal(x, before)
    buffer = np.full_like(dx, np.nan)
    assert loss(x, y, out=buffer)[1] is buffer
    np.testing.assert_array_equal(buffer, dx)
    scores = x.copy()
    assert loss(scores, y, out=scores)[0] == value
    np.testing.assert_array_equal(scores, dx)
    for labels in (y.astype(np.uint8), y.astype(np.int32), list(y), np.repeat(y, 2)[::2]):
        assert loss(x, labels)[0] == value


@LOSSES
@pytest.mark.parametrize(
    "scores",
    [
        [1e308, -1e308],
        [-1e308, 1e308],
        [-1.7e308, 1.7e308],
        [1e308, 1e308],
        [-1e308, -1e308],
        [0, 1e308],
        [1e-308, 800],
        [710, -800],
    ],
)
@pytest.mark.parametrize("label", [0, 1])
def test_finite_for_finite_scores(loss, scores, label, dtype):
    largest = np.finfo(dtype).max
    x = np.clip(np.array([scores] * 3), -largest, largest).astype(dtype)
    with np.errstate(all="warn", under="ignore"):
        value, dx = loss(x, np.full(3, label))
    assert np.isfinite(value)
    assert value >= 0
    assert np.all(np.isfinite(dx))
    np.testing.assert_allclose(dx.sum(axis=1), 0, atol=1e-6)


@LOSSES
def test_nan_scores_show_in_the_loss(loss, rng, dtype):
    x, y = draw(rng, dtype=dtype)
    x[3] = np.nan
    assert np.isnan(loss(x, y)[0])


def test_softmax_of_equal_scores_is_the_logarithm_of_the_number_of_classes():
    loss, dx = softmax_loss(np.full((3, 10), 7.0), [0, 5, 9])
    np.testing.assert_allclose(loss, np.log(10), rtol=1e-15)
    assert np.all(dx.argmin(axis=1) == [0, 5, 9])


X = np.zeros((3, 4))


@LOSSES
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.zeros((0, 4)), np.zeros(0, int)), ValueError, r"x must be \(N, C\).*empty"),
        ((np.zeros(4), [0]), ValueError, r"x must be \(N, C\).*\(4,\)"),
        ((X, [0, 1]), ValueError, r"y must have shape \(N,\) = \(3,\), got \(2,\)"),
        ((X, [[0], [1], [2]]), ValueError, r"y must have shape .*got \(3, 1\)"),
        ((X, [0.0, 1.0, 2.0]), TypeError, r"y must hold integers.*float64"),
        ((X, [True, False, True]), TypeError, r"y must hold integers.*bool"),
        ((X, ["a", "b", "c"]), TypeError, r"y must hold integers.*U1"),
        ((X, [0, 4, 1]), ValueError, r"y must be in \[0, 4\), got 4"),
        ((X, [0, -1, 1]), ValueError, r"y must be in \[0, 4\), got -1"),
    ],
)
def test_bad_input(loss, arguments, error, message):
    with pytest.raises(error, match=message):
        loss(*arguments)


@LOSSES
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"sample_weight must have shape \(N,\) = \(3,\), got \(2,\)"),
        ([0, 0, 0], r"sample_weight must be finite, non-negative and not all zero, got .*0\.0 to 0\.0"),
        ([1, -1, 1], r"sample_weight must be .*got values from -1\.0 to 1\.0"),
        ([1, np.inf, 1], r"sample_weight must be finite.*got values from 1\.0 to inf"),
        ([1, np.nan, 1], r"sample_weight must be finite.*got values from nan"),
        ([[1], [2, 3], [4]], r"sample_weight must be \(N,\) real.*got \[\[1\], \[2, 3\], \[4\]\]"),
    ],
)
def test_bad_weights(loss, weights, message):
    with pytest.raises(ValueError, match=message):
        loss(X, [0, 1, 2], sample_weight=weights)


@LOSSES
@pytest.mark.parametrize("weights", ["ab", ["1", "2", "3"], [1, 2, 3j]])
def test_weights_that_are_no_numbers(loss, weights):
    message = f"sample_weight must be (N,) real numbers, got {weights!r}"
    with pytest.raises(TypeError, match=re.escape(message)):
        loss(X, [0, 1, 2], sample_weight=weights)


# ------------------------------------------------- losses of linear classifiers

LINEAR = pytest.mark.parametrize(
    "name", ["softmax_loss_naive", "softmax_loss_vectorized", "svm_loss_naive", "svm_loss_vectorized"]
)
NAMES = pytest.mark.parametrize("name", ["softmax", "svm"])
SHAPES = pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 3, 2), (7, 1, 4), (11, 5, 3), (17, 33, 10), (3, 2, 100), (200, 64, 1)]
)


def linear(rng, n, d, c, dtype=np.float64):
    """Draw W, X and y."""
    return rng.randn(d, c).astype(dtype), rng.randn(n, d).astype(dtype), rng.randint(c, size=n)


@NAMES
@SHAPES
@pytest.mark.parametrize("reg", [0, 0.3])
def test_naive_and_vectorized_are_the_same(name, shape, reg, rng, dtype, tol):
    arguments = *linear(rng, *shape, dtype), reg
    (loss, dW), (fast_loss, fast_dW) = (
        getattr(losses, f"{name}_loss_{kind}")(*arguments) for kind in ("naive", "vectorized")
    )
    assert type(loss) is type(fast_loss) is float
    assert dW.dtype == fast_dW.dtype == dtype
    assert dW.shape == fast_dW.shape == arguments[0].shape
    np.testing.assert_allclose(loss, fast_loss, **tol)
    np.testing.assert_allclose(dW, fast_dW, **tol)


@LINEAR
@SHAPES
@pytest.mark.parametrize("reg", [0, 0.3])
def test_numerical_gradients_of_linear_losses(name, shape, reg, rng):
    loss = getattr(losses, name)
    W, X, y = linear(rng, *shape)
    W, X = W[:, :10], X[:, :10]
    W, y = W[: X.shape[1]], np.minimum(y, W.shape[1] - 1)
    _, dW = loss(W, X, y, reg)
    assert rel_error(dW, eval_numerical_gradient(lambda W: loss(W, X, y, reg)[0], W)) < 1e-6


@LINEAR
def test_linear_losses_by_their_formulas(name, rng, dtype, tol):
    W, X, y = linear(rng, 11, 6, 4, dtype)
    of_scores = softmax_loss if name.startswith("softmax") else svm_loss
    data_loss, dscores = of_scores(X.astype(np.float64) @ W.astype(np.float64), y)
    for reg in (0, 5e-6, 0.25, np.float32(2), 3):
        loss, dW = getattr(losses, name)(W, X, y, reg)
        np.testing.assert_allclose(loss, data_loss + float(reg) * np.sum(W.astype(np.float64) ** 2), **tol)
        np.testing.assert_allclose(dW, X.T @ dscores + 2 * float(reg) * W, **tol)


@LINEAR
def test_linear_losses_of_a_classifier_that_knows_nothing(name):
    """The course's first check: log C, or C - 1, with small weights."""
    rng = np.random.RandomState(0)
    W, X, y = 1e-4 * rng.randn(65, 10), rng.randn(50, 65), rng.randint(10, size=50)
    loss, _ = getattr(losses, name)(W, X, y, 5e-6)
    assert loss == pytest.approx(np.log(10) if name.startswith("softmax") else 9, rel=1e-3)


@LINEAR
def test_gradient_descent_on_a_linear_loss(name, rng):
    centres = 3 * rng.randn(3, 5)
    y = np.arange(60) % 3
    X = np.column_stack([centres[y] + rng.randn(60, 5), np.ones(60)])
    W = np.zeros((6, 3))
    for _ in range(100):
        W -= 0.1 * getattr(losses, name)(W, X, y, 1e-3)[1]
    assert ((X @ W).argmax(axis=1) == y).mean() > 0.95


@LINEAR
def test_arguments_of_linear_losses_stay_as_they_are(name, rng, dtype):
    W, X, y = linear(rng, 7, 5, 4, dtype)
    before = W.copy(), X.copy(), y.copy()
    for array in (W, X, y):
        array.flags.writeable = False
    expected_loss, expected = getattr(losses, name)(W, X, y, 0.1)
    for a, b in zip((W, X, y), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.shares_memory(expected, W)
    wide = np.repeat(X, 2, axis=1)[:, ::2]
    for arguments in ((np.asfortranarray(W), wide, list(y), 0.1), (W, np.asfortranarray(X), y.astype(np.uint8), 0.1)):
        loss, dW = getattr(losses, name)(*arguments)
        assert loss == pytest.approx(expected_loss, rel=1e-6)
        np.testing.assert_allclose(dW, expected, rtol=1e-5, atol=1e-7)


@LINEAR
@pytest.mark.parametrize(
    ("of_W", "of_X"), [("f4", "f8"), ("f8", "f4"), ("f8", "u1"), ("f4", "u1"), ("i8", "i4"), ("f2", "f4")]
)
def test_linear_losses_of_other_dtypes_compute_in_float64(name, of_W, of_X, rng):
    W, X = rng.randint(-3, 4, (5, 4)).astype(of_W), rng.randint(0, 9, (7, 5)).astype(of_X)
    y = np.arange(7) % 4
    loss, dW = getattr(losses, name)(W, X, y, 0.1)
    assert dW.dtype == np.float64
    expected_loss, expected = getattr(losses, name)(W.astype(float), X.astype(float), y, 0.1)
    assert loss == expected_loss
    np.testing.assert_array_equal(dW, expected)


@LINEAR
def test_linear_losses_at_the_ends_of_the_number_range(name, dtype):
    large = {np.float32: 1e37, np.float64: 1e307}[dtype]
    X, y = np.ones((3, 1), dtype), np.array([0, 0, 0])
    for row in ([-large, large], [large, -large], [-large, 0], [0, -large]):
        loss, dW = getattr(losses, name)(np.array([row], dtype), X, y, 0)
        assert np.isfinite(loss)
        assert np.isfinite(dW).all()
    for W, bad in ((np.array([[0, 1]], dtype), X * np.nan), (np.array([[0, np.nan]], dtype), X)):
        assert np.isnan(getattr(losses, name)(W, bad, y, 0)[0])


@LINEAR
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"W": np.zeros((3, 4))}, ValueError, r"W must have shape \(D, C\) with D = 5, the columns of X, got \(3, 4\)"),
        ({"W": np.zeros((4, 5))}, ValueError, r"W must have shape \(D, C\) with D = 5, the columns of X, got \(4, 5\)"),
        ({"W": np.zeros(5)}, ValueError, r"W must be \(D, C\).*\(5,\)"),
        ({"W": np.zeros((5, 0))}, ValueError, r"W must be \(D, C\).*empty"),
        ({"W": np.zeros((5, 4), complex)}, TypeError, "W must be an array of real numbers, got dtype complex128"),
        ({"W": None}, TypeError, "W must be an array of real numbers"),
        ({"X": np.zeros((0, 5))}, ValueError, r"X must be \(N, D\).*empty"),
        ({"X": np.zeros((2, 5, 1))}, ValueError, r"X must be \(N, D\).*\(2, 5, 1\)"),
        ({"X": "images"}, TypeError, "X must be an array of real numbers"),
        ({"y": [0]}, ValueError, r"y must have shape \(N,\) = \(2,\), got \(1,\)"),
        ({"y": [[0], [1]]}, ValueError, r"y must have shape .*got \(2, 1\)"),
        ({"y": [0.0, 1.0]}, TypeError, "y must hold integers.*float64"),
        ({"y": [0, 4]}, ValueError, r"y must be in \[0, 4\), got 4"),
        ({"y": [-1, 0]}, ValueError, r"y must be in \[0, 4\), got -1"),
        ({"reg": -1}, ValueError, "reg == -1, must be >= 0"),
        ({"reg": np.nan}, ValueError, "reg must be a finite number, got nan"),
        ({"reg": "1"}, TypeError, "reg must be an instance of"),
        ({"reg": None}, TypeError, "reg must be an instance of"),
    ],
)
def test_bad_input_of_linear_losses(name, change, error, message):
    good = {"W": np.zeros((5, 4)), "X": np.zeros((2, 5)), "y": [0, 3], "reg": 0.1}
    with pytest.raises(error, match=message):
        getattr(losses, name)(**{**good, **change})


@NAMES
def test_threads_do_not_change_a_bit_of_linear_losses(name, use_threads, rng, dtype):
    W, X, y = linear(rng, 2000, 300, 10, dtype)
    results = []
    for n_threads in (1, 2, 3):
        use_threads(n_threads)
        results.append(getattr(losses, f"{name}_loss_vectorized")(W, X, y, 0.1))
    for loss, dW in results[1:]:
        assert loss == results[0][0]
        np.testing.assert_array_equal(dW, results[0][1])
