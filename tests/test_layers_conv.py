"""conv, against the loops and against PyTorch."""

import numpy as np
import pytest

from sklearn_dl.layers import conv_backward_fast, conv_backward_naive, conv_forward_fast, conv_forward_naive

# (N, C, H, W), (F, HH, WW), stride, pad
SHAPES = [
    ((1, 1, 1, 1), (1, 1, 1), 1, 0),
    ((1, 1, 4, 4), (1, 3, 3), 1, 1),
    ((2, 3, 4, 4), (3, 4, 4), 2, 1),
    ((2, 3, 7, 9), (5, 3, 3), 1, 0),
    ((2, 2, 9, 7), (3, 5, 3), 1, 2),
    ((3, 1, 8, 5), (2, 2, 5), 1, 3),
    ((1, 4, 11, 6), (7, 3, 2), 3, 1),
    ((2, 3, 10, 10), (4, 4, 2), 2, 3),
    ((2, 5, 5, 5), (2, 1, 1), 2, 0),
    ((2, 3, 5, 5), (2, 5, 5), 1, 0),
    ((2, 2, 3, 3), (3, 2, 2), 4, 1),
    ((3, 3, 13, 13), (9, 7, 7), 1, 3),
]
LARGE = [
    ((5, 3, 32, 32), (32, 7, 7), 1, 3),
    ((4, 3, 31, 31), (25, 3, 3), 2, 1),
    ((3, 17, 16, 15), (33, 3, 3), 1, 1),
    ((2, 16, 14, 14), (8, 5, 5), 1, 2),
]


def draw(rng, shape, filters, dtype):
    n_filters, *size = filters
    x = rng.randn(*shape).astype(dtype)
    w = (rng.randn(n_filters, shape[1], *size) / np.sqrt(shape[1] * np.prod(size))).astype(dtype)
    return x, w, rng.randn(n_filters).astype(dtype)


def run(forward, backward, x, w, b, stride, pad):
    out, cache = forward(x, w, b, {"stride": stride, "pad": pad})
    dout = np.random.RandomState(1).randn(*out.shape).astype(x.dtype)
    return out, *backward(dout, cache)


@pytest.mark.parametrize(("shape", "filters", "stride", "pad"), SHAPES)
def test_fast_is_naive(rng, shape, filters, stride, pad, dtype, tol, threads):
    arrays = draw(rng, shape, filters, dtype)
    fast = run(conv_forward_fast, conv_backward_fast, *arrays, stride, pad)
    naive = run(conv_forward_naive, conv_backward_naive, *arrays, stride, pad)
    for f, n in zip(fast, naive, strict=True):
        np.testing.assert_allclose(f, n, **tol)


@pytest.mark.parametrize(("shape", "filters", "stride", "pad"), SHAPES + LARGE)
def test_torch(torch, rng, shape, filters, stride, pad, dtype, tol, threads):
    x, w, b = draw(rng, shape, filters, dtype)
    out, *grads = run(conv_forward_fast, conv_backward_fast, x, w, b, stride, pad)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    expected = torch.nn.functional.conv2d(*tensors, stride=stride, padding=pad)
    expected.backward(torch.tensor(np.random.RandomState(1).randn(*out.shape).astype(dtype)))
    np.testing.assert_allclose(out, expected.detach().numpy(), **tol)
    for grad, tensor in zip(grads, tensors, strict=True):
        scale = np.abs(tensor.grad.numpy()).max()
        np.testing.assert_allclose(grad / scale, tensor.grad.numpy() / scale, **tol)


def test_output_sees_zeros_outside_the_image():
    x, w = np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3))
    out, _ = conv_forward_fast(x, w, np.zeros(1), {"stride": 1, "pad": 2})
    np.testing.assert_array_equal(out[0, 0], [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]])


@pytest.mark.parametrize("stride", [11, 10**12, 2**61, 2**70])
def test_stride_beyond_the_image(rng, stride, dtype):
    """One window, whatever the stride: as with the stride that reaches the end of the padding."""
    arrays = draw(rng, (2, 3, 6, 5), (4, 3, 2), dtype)
    for functions in ((conv_forward_fast, conv_backward_fast), (conv_forward_naive, conv_backward_naive)):
        results = run(*functions, *arrays, stride, 2)
        assert results[0].shape == (2, 4, 1, 1)
        for result, expected in zip(results, run(*functions, *arrays, 10, 2), strict=True):
            np.testing.assert_array_equal(result, expected)
