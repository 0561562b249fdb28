"""Losses, against PyTorch, numerical gradients, and at the ends of the number range."""

import re

import numpy as np
import pytest

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
