"""Affine layer and relu, against PyTorch."""

import numpy as np
import pytest

from sklearn_dl import layers

SHAPES = [
    ((1, 1), 1),
    ((1, 7), 3),
    ((5, 1), 4),
    ((3, 4, 5, 6), 7),
    ((2, 300), 10),
    ((33, 65), 17),
    ((40, 3, 32, 32), 50),
    ((200, 129), 31),
]


@pytest.mark.parametrize("relu", [False, True], ids=["affine", "affine-relu"])
@pytest.mark.parametrize(("shape", "n_outputs"), SHAPES)
def test_affine_torch(torch, rng, shape, n_outputs, relu, dtype, tol, threads):
    n_inputs = np.prod(shape[1:])
    x = rng.randn(*shape).astype(dtype)
    w = (rng.randn(n_inputs, n_outputs) / np.sqrt(n_inputs)).astype(dtype)
    b = rng.randn(n_outputs).astype(dtype)
    dout = rng.randn(shape[0], n_outputs).astype(dtype)
    name = "affine_relu" if relu else "affine"
    out, cache = getattr(layers, f"{name}_forward")(x, w, b)
    grads = getattr(layers, f"{name}_backward")(dout, cache)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    expected = tensors[0].flatten(1) @ tensors[1] + tensors[2]
    if relu:
        expected = torch.relu(expected)
    expected.backward(torch.tensor(dout))
    np.testing.assert_allclose(out, expected.detach().numpy(), **tol)
    for grad, tensor in zip(grads, tensors, strict=True):
        np.testing.assert_allclose(grad, tensor.grad.numpy(), **tol)


@pytest.mark.parametrize("shape", [(), (1,), (17,), (3, 5, 7), (2, 3, 4, 5), (1031,)])
def test_relu_torch(torch, rng, shape, dtype, threads):
    x = np.asarray(rng.randn(*shape), dtype)
    dout = np.asarray(rng.randn(*shape), dtype)
    out, cache = layers.relu_forward(x)
    tensor = torch.tensor(x, requires_grad=True)
    expected = torch.relu(tensor)
    expected.backward(torch.tensor(dout))
    np.testing.assert_array_equal(out, expected.detach().numpy())
    np.testing.assert_array_equal(layers.relu_backward(dout, cache), tensor.grad.numpy())


def test_relu_lets_nan_and_infinity_through(dtype):
    out, _ = layers.relu_forward(np.array([np.nan, np.inf, -np.inf, -0.0], dtype))
    np.testing.assert_array_equal(out, [np.nan, np.inf, 0, 0])
