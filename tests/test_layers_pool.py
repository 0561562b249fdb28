"""Max pooling, against the loops and against PyTorch."""

import numpy as np
import pytest

from sklearn_dl.layers import (
    max_pool_backward_fast,
    max_pool_backward_naive,
    max_pool_forward_fast,
    max_pool_forward_naive,
)

# (N, C, H, W), pool_height, pool_width, stride
SHAPES = [
    ((1, 1, 1, 1), 1, 1, 1),
    ((2, 3, 8, 8), 2, 2, 2),
    ((2, 3, 9, 7), 2, 2, 2),
    ((2, 1, 8, 8), 3, 3, 2),
    ((1, 2, 7, 10), 3, 2, 1),
    ((3, 2, 9, 9), 2, 3, 4),
    ((2, 2, 5, 6), 5, 6, 1),
    ((2, 2, 5, 6), 1, 1, 3),
    ((5, 33, 16, 17), 2, 2, 2),
]
FAST = max_pool_forward_fast, max_pool_backward_fast
NAIVE = max_pool_forward_naive, max_pool_backward_naive


def run(functions, x, height, width, stride):
    forward, backward = functions
    pool_param = {"pool_height": height, "pool_width": width, "stride": stride}
    out, cache = forward(x, pool_param)
    dout = np.random.RandomState(1).randn(*out.shape).astype(x.dtype)
    return out, dout, backward(dout, cache)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("shape", "height", "width", "stride"), SHAPES)
def test_fast_is_naive(rng, shape, height, width, stride, ties, dtype, threads):
    x = rng.randn(*shape).astype(dtype)
    if ties:
        x = np.sign(x)
    out, _, dx = run(FAST, x, height, width, stride)
    expected_out, _, expected_dx = run(NAIVE, x, height, width, stride)
    np.testing.assert_array_equal(out, expected_out)
    np.testing.assert_allclose(dx, expected_dx, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("shape", "height", "width", "stride"), SHAPES)
def test_torch(torch, rng, shape, height, width, stride, dtype, threads):
    x = rng.randn(*shape).astype(dtype)
    out, dout, dx = run(FAST, x, height, width, stride)
    tensor = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.max_pool2d(tensor, (height, width), stride)
    expected.backward(torch.tensor(dout))
    np.testing.assert_array_equal(out, expected.detach().numpy())
    np.testing.assert_allclose(dx, tensor.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("functions", [FAST, NAIVE], ids=["fast", "naive"])
@pytest.mark.parametrize("value", [0.0, -1.0, -np.inf])
def test_first_of_equal_maxima_gets_the_gradient(functions, value, dtype):
    x = np.full((1, 1, 4, 4), value, dtype)
    forward, backward = functions
    out, cache = forward(x, {"pool_height": 2, "pool_width": 2, "stride": 2})
    np.testing.assert_array_equal(out, np.full((1, 1, 2, 2), value))
    dx = backward(np.array([[[[1, 2], [3, 4]]]]), cache)
    np.testing.assert_array_equal(dx[0, 0], [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("functions", [FAST, NAIVE], ids=["fast", "naive"])
@pytest.mark.parametrize("stride", [10**12, 2**61, 2**70])
def test_stride_beyond_the_image(functions, stride, rng, dtype):
    x = rng.randn(2, 3, 5, 6).astype(dtype)
    out, _, dx = run(functions, x, 2, 3, stride)
    expected_out, _, expected_dx = run(functions, x, 2, 3, 6)
    assert out.shape == (2, 3, 1, 1)
    np.testing.assert_array_equal(out, expected_out)
    np.testing.assert_array_equal(dx, expected_dx)
