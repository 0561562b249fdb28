"""Losses, against PyTorch, numerical gradients, and at the ends of the number range."""

import re

import numpy as np
import pytest

from sklearn_dl import losses
from sklearn_dl.gradient_check import eval_numerical_gradient, rel_error
from sklearn_dl.losses import (
    absolute_error,
    huber_loss,
    logistic_loss,
    poisson_loss,
    softmax_loss,
    squared_error,
    svm_loss,
)


def smoothed_loss(x, y, **options):
    return softmax_loss(x, y, label_smoothing=0.2, **options)


def narrow_huber_loss(x, y, **options):
    return huber_loss(x, y, delta=0.4, **options)


X = np.zeros((3, 4))

# Of labels; and of a target for each score.
LOSSES = pytest.mark.parametrize("loss", [softmax_loss, smoothed_loss, svm_loss])
POINTWISE = pytest.mark.parametrize(
    "loss", [logistic_loss, squared_error, absolute_error, huber_loss, narrow_huber_loss, poisson_loss]
)


def draw(rng, n=11, c=5, dtype=np.float64):
    return rng.randn(n, c).astype(dtype), rng.randint(c, size=n)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (9, 2), (50, 10), (200, 10), (17, 100)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.75])
def test_softmax_torch(torch, rng, shape, weighted, smoothing, dtype, tol):
    x, y = draw(rng, *shape, dtype)
    weights = rng.rand(len(x)) if weighted else None
    loss, dx = softmax_loss(x, y, sample_weight=weights, label_smoothing=smoothing)
    tensor = torch.tensor(x, requires_grad=True)
    each = torch.nn.functional.cross_entropy(tensor, torch.tensor(y), reduction="none", label_smoothing=smoothing)
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
    assert rel_error(dx, numerical) < (1e-6 if loss is smoothed_loss else 1e-7)  # of which some are nearly zero


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


def test_no_label_smoothing_is_the_plain_loss_to_the_bit(rng, dtype):
    for c in (3, 50):
        x, y = draw(rng, 11, c, dtype)
        plain, smoothed = softmax_loss(x, y), softmax_loss(x, y, label_smoothing=0.0)
        assert plain[0] == smoothed[0]
        np.testing.assert_array_equal(plain[1], smoothed[1])


def test_label_smoothing_is_the_loss_of_mixed_targets(rng):
    x, y = draw(rng)
    expected = 0.9 * softmax_loss(x, y)[0] + 0.1 / 5 * sum(softmax_loss(x, np.full(11, k))[0] for k in range(5))
    assert softmax_loss(x, y, label_smoothing=0.1)[0] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("smoothing", "error", "message"),
    [
        (1, ValueError, "label_smoothing == 1, must be < 1"),
        (-0.1, ValueError, "label_smoothing == -0.1, must be >= 0"),
        (np.nan, ValueError, "label_smoothing must be a finite number, got nan"),
        ("0.1", TypeError, "label_smoothing must be an instance of"),
        (None, TypeError, "label_smoothing must be an instance of"),
    ],
)
def test_bad_label_smoothing(smoothing, error, message):
    with pytest.raises(error, match=message):
        softmax_loss(X, [0, 1, 2], label_smoothing=smoothing)


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


# ------------------------------------------------- losses with a target for each score


def draw_targets(rng, loss, n=11, k=5, dtype=np.float64):
    """Draw scores and targets, some of which are the score."""
    x = rng.randn(n, k).astype(dtype)
    if loss is logistic_loss:
        return x, rng.choice([0, 1, 0.3], (n, k)).astype(dtype)
    if loss is poisson_loss:
        return x, rng.poisson(2, (n, k)).astype(dtype)
    return x, np.where(rng.rand(n, k) < 0.1, x, 2 * rng.randn(n, k)).astype(dtype)


@POINTWISE
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (9, 2), (50, 10), (17, 100)])
@pytest.mark.parametrize("weighted", [False, True])
def test_pointwise_torch(torch, loss, rng, shape, weighted, dtype, tol):
    functional = torch.nn.functional
    each = {
        logistic_loss: functional.binary_cross_entropy_with_logits,
        squared_error: lambda x, y, **options: functional.mse_loss(x, y, **options) / 2,
        absolute_error: functional.l1_loss,
        huber_loss: functional.huber_loss,
        narrow_huber_loss: lambda x, y, **options: functional.huber_loss(x, y, delta=0.4, **options),
        poisson_loss: functional.poisson_nll_loss,
    }[loss]
    x, y = draw_targets(rng, loss, *shape, dtype)
    weights = rng.rand(len(x)) if weighted else None
    value, dx = loss(x, y, sample_weight=weights)
    tensor = torch.tensor(x, requires_grad=True)
    shares = torch.tensor(np.full(len(x), 1 / len(x)) if weights is None else weights / weights.sum())
    expected = (each(tensor, torch.tensor(y), reduction="none").sum(axis=1) * shares).sum()
    expected.backward()
    np.testing.assert_allclose(value, expected.item(), **tol)
    np.testing.assert_allclose(dx, tensor.grad.numpy(), **tol)


@POINTWISE
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(11, 5), (1, 1), (40,)])
def test_numerical_gradient_of_pointwise(loss, weighted, shape, rng):
    x, y = draw_targets(rng, loss, *(*shape, 1)[:2])
    if loss is absolute_error:
        y = np.where(y == x, y + 1, y)  # there it has a kink
    x, y = x.reshape(shape), y.reshape(shape)
    weights = rng.rand(len(x)) if weighted else None
    _, dx = loss(x, y, sample_weight=weights)
    numerical = eval_numerical_gradient(lambda x: loss(x, y, sample_weight=weights)[0], x)
    assert dx.shape == shape
    assert rel_error(dx, numerical) < 1e-6


@POINTWISE
def test_weights_are_repetitions_in_pointwise(loss, rng, dtype, tol):
    x, y = draw_targets(rng, loss, 5, 4, dtype)
    counts = [2, 0, 1, 3, 1]
    value, dx = loss(x, y, sample_weight=counts)
    expected, expected_dx = loss(np.repeat(x, counts, axis=0), np.repeat(y, counts, axis=0))
    np.testing.assert_allclose(value, expected, **tol)
    np.testing.assert_allclose(np.repeat(dx, counts, axis=0), expected_dx * np.repeat(counts, counts)[:, None], **tol)
    assert not dx[1].any()


@POINTWISE
def test_dtypes_and_buffers_of_pointwise(loss, rng, dtype):
    x, y = draw_targets(rng, loss, dtype=dtype)
    x.flags.writeable = y.flags.writeable = False
    before = x.copy(), y.copy()
    value, dx = loss(x, y)
    assert type(value) is float
    assert dx.dtype == dtype
    np.testing.assert_array_equal((x, y), before)
    buffer = np.full_like(dx, np.nan)
    assert loss(x, y, out=buffer)[1] is buffer
    np.testing.assert_array_equal(buffer, dx)
    scores = x.copy()
    assert loss(scores, y, out=scores)[0] == value
    np.testing.assert_array_equal(scores, dx)
    for same in (np.asfortranarray(y), y.tolist(), np.repeat(y, 2, axis=0)[::2]):
        assert loss(x, same)[0] == pytest.approx(value, rel=1e-6)
    whole = np.clip(np.round(y), 0, 1)
    for targets in (whole.astype(np.uint8), whole.astype(bool), whole.astype(np.int64)):
        assert loss(x, targets)[0] == pytest.approx(loss(x, whole)[0], rel=1e-6)
    other = {np.float32: np.float64, np.float64: np.float32}[dtype]
    assert loss(x, y.astype(other))[1].dtype == np.float64


@POINTWISE
def test_one_output_takes_vectors(loss, rng, dtype):
    x, y = draw_targets(rng, loss, 11, 1, dtype)
    value, dx = loss(x, y)
    vector_value, vector_dx = loss(x[:, 0], y[:, 0], sample_weight=np.ones(11))
    assert vector_dx.shape == (11,)
    assert vector_value == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(vector_dx, dx[:, 0], rtol=1e-6)
    scores = x[:, 0].copy()
    assert loss(scores, y[:, 0], out=scores)[1] is scores
    np.testing.assert_array_equal(scores, dx[:, 0])


@POINTWISE
@pytest.mark.parametrize("scores", [[1e308, -1e308], [-1.7e308, 1.7e308], [0, 1e308], [1e-308, 80], [80, -800]])
@pytest.mark.parametrize("target", [0, 1])
def test_pointwise_is_finite_for_finite_scores(loss, scores, target, dtype):
    largest = np.finfo(dtype).max
    x = np.clip(np.array([scores] * 5), -largest, largest).astype(dtype)
    with np.errstate(all="warn", under="ignore"):
        value, dx = loss(x, np.full(x.shape, target))
    assert np.isfinite(value)
    if loss is not poisson_loss:
        assert value >= 0
        assert np.isfinite(dx).all()


def test_the_largest_poisson_loss(dtype):
    loss, dx = poisson_loss(np.array([800, 0], dtype), np.array([1, 1]))
    assert loss == np.finfo(np.float64).max / 2
    np.testing.assert_array_equal(dx, [np.inf, 0])
    loss, dx = poisson_loss(np.array([800, 0], dtype), np.array([1, 1]), sample_weight=[0, 1])
    assert loss == 1
    np.testing.assert_array_equal(dx, [0, 0])


@POINTWISE
def test_nan_scores_show_in_the_loss_of_pointwise(loss, rng, dtype):
    x, y = draw_targets(rng, loss, dtype=dtype)
    x[3, 2] = np.nan
    value, dx = loss(x, y)
    assert np.isnan(value)
    assert np.argwhere(np.isnan(dx)).tolist() == [[3, 2]]


@POINTWISE
def test_least_loss_is_at_the_target(loss):
    y = np.array([0.25, 0.75, 0.5])
    x = {logistic_loss: np.log(y / (1 - y)), poisson_loss: np.log(y)}.get(loss, y)
    value, dx = loss(x, y)
    np.testing.assert_allclose(dx, 0, atol=1e-16)
    for i in range(3):
        for step in (-0.01, 0.01):
            assert loss(x + step * np.eye(3)[i], y)[0] > value


@POINTWISE
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.zeros((0, 4)), np.zeros((0, 4))), ValueError, "x must not be empty|x .*empty"),
        ((np.zeros((2, 2, 2)), np.zeros((2, 2, 2))), ValueError, r"x must be \(N, K\), or \(N,\) .*\(2, 2, 2\)"),
        ((1.0, 1.0), ValueError, r"x must be \(N, K\), or \(N,\) for one output"),
        ((X, np.zeros(3)), ValueError, r"y must have shape that of x = \(3, 4\), got \(3,\)"),
        ((X, np.zeros((4, 3))), ValueError, r"y must have shape .*got \(4, 3\)"),
        ((np.zeros(3), np.zeros((3, 1))), ValueError, r"y must have shape .*got \(3, 1\)"),
        ((X.astype(complex), X), TypeError, "x must be an array of real numbers, got dtype complex128"),
        ((X, X.astype(str)), TypeError, "y must be an array of real numbers"),
        ((X, None), TypeError, "y must be an array of real numbers"),
    ],
)
def test_bad_input_of_pointwise(loss, arguments, error, message):
    with pytest.raises(error, match=message):
        loss(*arguments)


@POINTWISE
def test_bad_weights_of_pointwise(loss):
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(N,\) = \(3,\), got \(2,\)"):
        loss(X, X, sample_weight=[1, 2])
    with pytest.raises(ValueError, match="sample_weight must be finite, non-negative and not all zero"):
        loss(X, X, sample_weight=[1, -1, 1])


@POINTWISE
def test_bad_buffers_of_pointwise(loss, rng):
    for out in (np.zeros((4, 3)), np.zeros((3, 4), np.float32), np.zeros((4, 3)).T, X.tolist()):
        with pytest.raises((ValueError, TypeError), match="out must"):
            loss(X, X, out=out)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        (logistic_loss, 1.5, r"y must be in \[0, 1\], got values from 1\.5 to 1\.5"),
        (logistic_loss, -1, r"y must be in \[0, 1\], got values from -1\.0 to -1\.0"),
        (logistic_loss, np.nan, r"y must be in \[0, 1\], got values from nan"),
        (poisson_loss, -0.5, r"y must be at least 0, got values from -0\.5 to -0\.5"),
        (poisson_loss, np.nan, "y must be at least 0, got values from nan"),
    ],
)
def test_targets_out_of_range(loss, y, message):
    with pytest.raises(ValueError, match=message):
        loss(X, np.full(X.shape, y))


@pytest.mark.parametrize(
    ("delta", "error", "message"),
    [
        (0, ValueError, "delta == 0, must be > 0"),
        (-1, ValueError, "delta == -1, must be > 0"),
        (np.inf, ValueError, "delta must be a finite number, got inf"),
        ("1", TypeError, "delta must be an instance of"),
    ],
)
def test_bad_delta(delta, error, message):
    with pytest.raises(error, match=message):
        huber_loss(X, X, delta=delta)


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
