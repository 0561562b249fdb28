"""Batch, layer and group normalization, against PyTorch and against their definitions."""

from copy import deepcopy

import numpy as np
import pytest

from sklearn_dl.layers import (
    batchnorm_backward,
    batchnorm_backward_alt,
    batchnorm_forward,
    layernorm_backward,
    layernorm_forward,
    spatial_batchnorm_backward,
    spatial_batchnorm_forward,
    spatial_groupnorm_backward,
    spatial_groupnorm_forward,
)

DENSE = [(1, 1), (1, 5), (2, 3), (7, 1), (33, 17), (256, 200)]
IMAGES = [(1, 1, 1, 1), (1, 2, 3, 4), (2, 6, 4, 5), (5, 4, 7, 3), (8, 32, 16, 16)]


def draw(rng, shape, dtype, n=None):
    x = (3 * rng.randn(*shape) + 10).astype(dtype)
    n = shape[1] if n is None else n
    return x, rng.rand(n).astype(dtype) + 0.5, rng.randn(n).astype(dtype)


def torch_results(torch, function, arrays, dout):
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    out = function(*tensors)
    out.backward(torch.tensor(dout))
    return [out.detach().numpy(), *(t.grad.numpy() for t in tensors)]


def assert_close(actual, expected, tol):
    """Compare to the precision of the largest element: dx is a difference of larger numbers."""
    for a, e in zip(actual, expected, strict=True):
        scale = max(1, np.abs(e).max())
        np.testing.assert_allclose(a.reshape(e.shape) / scale, e / scale, **tol)


@pytest.mark.parametrize("mode", ["train", "test"])
@pytest.mark.parametrize("shape", [*DENSE[2:], *IMAGES[1:]], ids=str)
def test_batchnorm_torch(torch, rng, shape, mode, dtype, tol, threads):
    x, gamma, beta = draw(rng, shape, dtype)
    dout = rng.randn(*shape).astype(dtype)
    mean, var = rng.randn(shape[1]).astype(dtype), (rng.rand(shape[1]) + 1).astype(dtype)
    torch_mean = torch.tensor(mean)

    def function(x, gamma, beta):
        return torch.nn.functional.batch_norm(
            x, torch_mean, torch.tensor(var), gamma, beta, training=mode == "train", momentum=0.2
        )

    expected = torch_results(torch, function, (x, gamma, beta), dout)
    bn_param = {"mode": mode, "momentum": 0.8, "running_mean": mean, "running_var": var}
    spatial = x.ndim == 4
    forward = spatial_batchnorm_forward if spatial else batchnorm_forward
    out, cache = forward(x, gamma, beta, bn_param)
    backwards = [spatial_batchnorm_backward] if spatial else [batchnorm_backward]
    for backward in backwards + ([] if spatial else [batchnorm_backward_alt]):
        assert_close([out, *backward(dout, cache)], expected, tol)
    np.testing.assert_allclose(mean, torch_mean.numpy(), **tol)


@pytest.mark.parametrize("shape", [s for s in DENSE if s[1] > 1], ids=str)
def test_layernorm_torch(torch, rng, shape, dtype, tol, threads):
    arrays = draw(rng, shape, dtype)
    dout = rng.randn(*shape).astype(dtype)
    out, cache = layernorm_forward(*arrays, {})
    expected = torch_results(
        torch,
        lambda x, gamma, beta: torch.nn.functional.layer_norm(x, shape[1:], gamma, beta),
        arrays,
        dout,
    )
    assert_close([out, *layernorm_backward(dout, cache)], expected, tol)


@pytest.mark.parametrize(
    ("shape", "G"),
    [(s, g) for s in IMAGES for g in (1, 2, 3, s[1]) if s[1] % g == 0 and s != (1, 1, 1, 1)],
    ids=str,
)
def test_groupnorm_torch(torch, rng, shape, G, dtype, tol, threads):
    x, gamma, beta = draw(rng, shape, dtype)
    dout = rng.randn(*shape).astype(dtype)
    per_channel = 1, shape[1], 1, 1
    out, cache = spatial_groupnorm_forward(x, gamma.reshape(per_channel), beta.reshape(per_channel), G, {})
    expected = torch_results(
        torch,
        lambda x, gamma, beta: torch.nn.functional.group_norm(x, G, gamma, beta),
        (x, gamma, beta),
        dout,
    )
    assert_close([out, *spatial_groupnorm_backward(dout, cache)], expected, tol)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_batch_of_one_value_gives_beta_and_no_gradient(rng, shape, dtype):
    x, gamma, beta = draw(rng, shape, dtype)
    bn_param = {"mode": "train"}
    forward = spatial_batchnorm_forward if x.ndim == 4 else batchnorm_forward
    backward = spatial_batchnorm_backward if x.ndim == 4 else batchnorm_backward
    out, cache = forward(x, gamma, beta, bn_param)
    np.testing.assert_array_equal(out.ravel(), beta)
    dx, dgamma, dbeta = backward(np.ones_like(x), cache)
    np.testing.assert_allclose(dx, 0, atol=1e-4)
    np.testing.assert_array_equal(dgamma, 0)
    np.testing.assert_array_equal(dbeta, 1)
    np.testing.assert_array_equal(bn_param["running_var"], 0)


def test_layernorm_of_one_feature_gives_beta_and_no_gradient(rng, dtype):
    x, gamma, beta = draw(rng, (4, 1), dtype)
    out, cache = layernorm_forward(x, gamma, beta, {})
    np.testing.assert_array_equal(out, np.broadcast_to(beta, x.shape))
    dx, dgamma, _ = layernorm_backward(x, cache)
    np.testing.assert_allclose(dx, 0, atol=1e-2 if dtype == np.float32 else 1e-10)
    np.testing.assert_array_equal(dgamma, 0)


def test_spatial_is_dense_with_pixels_as_samples(rng):
    x, gamma, beta = draw(rng, (3, 4, 5, 2), np.float64)
    dout = rng.randn(*x.shape)
    spatial_param, dense_param = {"mode": "train"}, {"mode": "train"}
    out, cache = spatial_batchnorm_forward(x, gamma, beta, spatial_param)

    def rows(a):
        return a.transpose(0, 2, 3, 1).reshape(-1, 4)

    dense_out, dense_cache = batchnorm_forward(rows(x), gamma, beta, dense_param)
    np.testing.assert_allclose(rows(out), dense_out, rtol=1e-12)
    dx, *grads = spatial_batchnorm_backward(dout, cache)
    dense_dx, *dense_grads = batchnorm_backward(rows(dout), dense_cache)
    np.testing.assert_allclose(rows(dx), dense_dx, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(grads, dense_grads, rtol=1e-12)
    for key in ("running_mean", "running_var"):
        np.testing.assert_allclose(spatial_param[key], dense_param[key], rtol=1e-12)


def test_groupnorm_of_one_group_is_layernorm_of_the_image(rng):
    x = rng.randn(3, 4, 5, 2)
    ones, zeros = np.ones((1, 4, 1, 1)), np.zeros((1, 4, 1, 1))
    out, _ = spatial_groupnorm_forward(x, ones, zeros, 1, {"eps": 0.1})
    flat, _ = layernorm_forward(x.reshape(3, -1), np.ones(40), np.zeros(40), {"eps": 0.1})
    np.testing.assert_allclose(out.reshape(3, -1), flat, rtol=1e-12)


@pytest.mark.parametrize("weights", [None, [1, 0, 2, 0.5, 3]], ids=["plain", "weighted"])
@pytest.mark.parametrize("mode", ["train", "test"])
def test_closed_form_is_the_graph(rng, mode, weights):
    x, gamma, beta = draw(rng, (5, 7), np.float64)
    bn_param = {"mode": mode, "running_mean": x[0].copy(), "running_var": x[1].copy(), "sample_weight": weights}
    _, cache = batchnorm_forward(x, gamma, beta, bn_param)
    dout = rng.randn(5, 7)
    graph, closed = batchnorm_backward(dout, cache), batchnorm_backward_alt(dout, cache)
    for g, c in zip(graph, closed, strict=True):
        np.testing.assert_allclose(g, c, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("image", [(), (2, 3)], ids=["dense", "spatial"])
def test_weights_are_repetitions(rng, image, dtype, tol):
    counts = np.array([1, 3, 0, 2, 1])
    x, gamma, beta = draw(rng, (5, 4, *image), dtype)
    dout = rng.randn(*x.shape).astype(dtype)
    forward = spatial_batchnorm_forward if image else batchnorm_forward
    backward = spatial_batchnorm_backward if image else batchnorm_backward_alt
    repeated_param = {"mode": "train"}
    repeated_out, repeated_cache = forward(np.repeat(x, counts, axis=0), gamma, beta, repeated_param)
    bn_param = {"mode": "train", "sample_weight": counts}
    out, cache = forward(x, gamma, beta, bn_param)
    np.testing.assert_allclose(np.repeat(out, counts, axis=0), repeated_out, **tol)
    for key in ("running_mean", "running_var"):
        np.testing.assert_allclose(bn_param[key], repeated_param[key], **tol)
    # Of a weighted loss, dout holds the gradients times the weights.
    per_sample = counts.reshape(-1, *[1] * (x.ndim - 1)).astype(dtype)
    dx, *grads = backward(dout * per_sample, cache)
    repeated_dx, *repeated_grads = backward(np.repeat(dout, counts, axis=0), repeated_cache)
    summed = np.zeros_like(dx)
    np.add.at(summed, np.repeat(np.arange(5), counts), repeated_dx)
    assert_close([dx, *grads], [summed, *repeated_grads], tol)


def test_running_statistics(rng, dtype, tol):
    x, gamma, beta = draw(rng, (6, 3), dtype)
    bn_param = {"mode": "train", "momentum": 0.75}
    batchnorm_forward(x, gamma, beta, bn_param)
    np.testing.assert_allclose(bn_param["running_mean"], 0.25 * x.mean(axis=0), **tol)
    np.testing.assert_allclose(bn_param["running_var"], 0.25 * x.var(axis=0), **tol)
    held = bn_param["running_mean"], bn_param["running_var"]
    batchnorm_forward(x, gamma, beta, bn_param)
    assert bn_param["running_mean"] is held[0]
    assert bn_param["running_var"] is held[1]
    np.testing.assert_allclose(held[0], (1 - 0.75**2) * x.mean(axis=0), **tol)
    before = deepcopy(bn_param)
    out, _ = batchnorm_forward(x, gamma, beta, {**bn_param, "mode": "test"})
    expected = gamma * (x - held[0]) / np.sqrt(held[1] + 1e-5) + beta
    np.testing.assert_allclose(out, expected, **tol)
    np.testing.assert_array_equal(held[0], before["running_mean"])


def test_test_mode_without_running_statistics_takes_zeros():
    bn_param = {"mode": "test", "eps": 4.0}
    out, _ = batchnorm_forward(np.ones((2, 3)), np.ones(3), np.zeros(3), bn_param)
    np.testing.assert_array_equal(out, 0.5)
    np.testing.assert_array_equal(bn_param["running_var"], np.zeros(3))


def test_float32_statistics_of_a_large_offset_batch(rng):
    """Sums in float32 would lose the variance of pixels around 1000."""
    x = (rng.randn(100_000, 2) + 1000).astype(np.float32)
    out, _ = batchnorm_forward(x, np.ones(2, np.float32), np.zeros(2, np.float32), {"mode": "train"})
    np.testing.assert_allclose(out.mean(axis=0, dtype=np.float64), 0, atol=1e-3)
    np.testing.assert_allclose(out.std(axis=0, dtype=np.float64), 1, atol=1e-3)
