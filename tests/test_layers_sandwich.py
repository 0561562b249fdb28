"""Sandwiches are their layers one after the other, on shapes where off-by-one errors show."""

from copy import deepcopy

import numpy as np
import pytest

from sklearn_dl import layers as f

pytestmark = pytest.mark.slow

# (N, C, H, W), (F, HH, WW)
IMAGES = [
    ((1, 1, 7, 6), (3, 3, 2)),
    ((3, 2, 9, 8), (4, 2, 3)),
    ((2, 3, 8, 11), (2, 1, 5)),
    ((5, 1, 6, 9), (6, 3, 3)),
]
# pool_height, pool_width, stride; the third leaves rows and columns out of any image
POOLS = [(2, 2, 2), (3, 3, 2), (2, 2, 3), (2, 3, 1)]

each_image = pytest.mark.parametrize(("shape", "filters"), IMAGES)
each_conv = pytest.mark.parametrize(
    "conv_param", [{"stride": s, "pad": p} for s, p in [(1, 0), (1, 1), (1, 3), (2, 0), (2, 2)]], ids=str
)
each_pool = pytest.mark.parametrize("pool", POOLS, ids=str)
each_dense = pytest.mark.parametrize(
    ("shape", "n_outputs"), [((1, 1), 1), ((1, 7), 5), ((3, 2, 3), 17), ((33, 4, 3, 1), 9)], ids=str
)
each_work = pytest.mark.parametrize("work", [False, True], ids=["fresh", "work"])


def draw_images(rng, shape, filters, dtype):
    n_filters, *size = filters
    x = rng.randn(*shape).astype(dtype)
    return x, rng.randn(n_filters, shape[1], *size).astype(dtype), rng.randn(n_filters).astype(dtype)


def fitting(pool, shape, filters, conv_param):
    """Return pool_param; cut the window to what the convolution leaves."""
    height, width = (
        min(window, (size + 2 * conv_param["pad"] - filter_size) // conv_param["stride"] + 1)
        for window, size, filter_size in zip(pool[:2], shape[2:], filters[1:], strict=True)
    )
    return {"pool_height": height, "pool_width": width, "stride": pool[2]}


def assert_close(actual, expected, tol):
    """Compare up to rounding, relative to the largest element of each array."""
    for a, e in zip(actual, expected, strict=True):
        if e is None:
            assert a is None
            continue
        assert (a.shape, a.dtype) == (e.shape, e.dtype)
        scale = max(1, np.abs(e).max())
        np.testing.assert_allclose(a / scale, e / scale, **tol)


def compose(steps, x, dout):
    """Output of single layers in a row, and their gradients: dx, then those of each layer.

    A step is forward, backward and the arguments after x.
    """
    caches = []
    for forward, _, args in steps:
        x, cache = forward(x, *deepcopy(args))
        caches.append(cache)
    d, grads = dout(x), []
    for (_, backward, _), cache in zip(reversed(steps), reversed(caches), strict=True):
        result = backward(d, cache)
        d, *rest = result if isinstance(result, tuple) else (result,)
        grads = [*rest, *grads]
    return x, [d, *grads]


def check(sandwich, steps, arrays, args, kwargs, work, tol):
    """Compare a sandwich to the steps; with work, at its second use, after another batch."""

    def draw(out):
        return np.random.RandomState(1).randn(*out.shape).astype(out.dtype)

    forward, backward = (getattr(f, f"{sandwich}_{way}") for way in ("forward", "backward"))
    x = arrays[0]
    expected, expected_grads = compose(steps, x, draw)
    if work:
        kwargs = {**kwargs, "work": {}}
        out, cache = forward(np.concatenate([x[::-1], x]), *arrays[1:], *deepcopy(args), **kwargs)
        backward(draw(out), cache)
    out, cache = forward(*arrays, *deepcopy(args), **kwargs)
    grads = backward(draw(out), cache)
    assert_close([out], [expected], tol)
    given = [g for g, a in zip(grads, arrays, strict=False) if a is not None]
    assert_close(given, expected_grads, tol)
    assert all(g is None for g in grads[len(given) :])


RELU = (f.relu_forward, f.relu_backward, ())


@each_image
@each_conv
@each_work
def test_conv_relu(rng, shape, filters, conv_param, work, dtype, tol):
    x, w, b = draw_images(rng, shape, filters, dtype)
    steps = [(f.conv_forward_fast, f.conv_backward_fast, (w, b, conv_param)), RELU]
    check("conv_relu", steps, (x, w, b), (conv_param,), {}, work, tol)


@each_image
@each_conv
@each_pool
@each_work
def test_conv_relu_pool(rng, shape, filters, conv_param, pool, work, dtype, tol):
    x, w, b = draw_images(rng, shape, filters, dtype)
    pool_param = fitting(pool, shape, filters, conv_param)
    steps = [
        (f.conv_forward_fast, f.conv_backward_fast, (w, b, conv_param)),
        RELU,
        (f.max_pool_forward_fast, f.max_pool_backward_fast, (pool_param,)),
    ]
    check("conv_relu_pool", steps, (x, w, b), (conv_param, pool_param), {}, work, tol)


@each_image
@each_conv
@each_pool
@pytest.mark.parametrize("normalization", ["batchnorm", "groupnorm", None])
def test_conv_norm_relu_pool(rng, shape, filters, conv_param, pool, normalization, dtype, tol):
    x, w, b = draw_images(rng, shape, filters, dtype)
    pool_param = fitting(pool, shape, filters, conv_param)
    gamma = beta = norm_param = None
    norm = []
    if normalization == "batchnorm":
        gamma, beta = rng.randn(2, len(w)).astype(dtype)
        norm_param = {"mode": "train", "eps": 0.1}
        norm = [(f.spatial_batchnorm_forward, f.spatial_batchnorm_backward, (gamma, beta, norm_param))]
    elif normalization == "groupnorm":
        gamma, beta = rng.randn(2, 1, len(w), 1, 1).astype(dtype)
        norm_param = {"G": len(w) // (2 if len(w) % 2 == 0 else 1), "eps": 0.1}
        args = (gamma, beta, norm_param["G"], norm_param)
        norm = [(f.spatial_groupnorm_forward, f.spatial_groupnorm_backward, args)]
    steps = [
        (f.conv_forward_fast, f.conv_backward_fast, (w, b, conv_param)),
        *norm,
        RELU,
        (f.max_pool_forward_fast, f.max_pool_backward_fast, (pool_param,)),
    ]
    args = (conv_param, norm_param, pool_param)
    for work in (False, True):
        check("conv_norm_relu_pool", steps, (x, w, b, gamma, beta), args, {"normalization": normalization}, work, tol)


@each_dense
@pytest.mark.parametrize("normalization", ["batchnorm", "layernorm", None])
@pytest.mark.parametrize("dropout", ["train", "test", None])
@each_work
def test_affine_norm_relu_dropout(rng, shape, n_outputs, normalization, dropout, work, dtype, tol):
    x, w = rng.randn(*shape).astype(dtype), rng.randn(np.prod(shape[1:]), n_outputs).astype(dtype)
    b, gamma, beta = rng.randn(3, n_outputs).astype(dtype)
    dropout_param = None if dropout is None else {"mode": dropout, "p": 0.6, "seed": 3}
    norm_param, norm = None, []
    if normalization is None:
        gamma = beta = None
    else:
        norm_param = {"mode": "train", "eps": 0.1}
        # The sandwich takes the closed form of the backward pass.
        backward = f.batchnorm_backward_alt if normalization == "batchnorm" else f.layernorm_backward
        norm = [(getattr(f, f"{normalization}_forward"), backward, (gamma, beta, norm_param))]
    steps = [(f.affine_forward, f.affine_backward, (w, b)), *norm, RELU]
    if dropout is not None:
        steps.append((f.dropout_forward, f.dropout_backward, (dropout_param,)))
    kwargs = {"normalization": normalization}
    check("affine_norm_relu_dropout", steps, (x, w, b, gamma, beta), (norm_param, dropout_param), kwargs, work, tol)


@each_dense
def test_affine_relu(rng, shape, n_outputs, dtype, tol):
    x, w = rng.randn(*shape).astype(dtype), rng.randn(np.prod(shape[1:]), n_outputs).astype(dtype)
    b = rng.randn(n_outputs).astype(dtype)
    steps = [(f.affine_forward, f.affine_backward, (w, b)), RELU]
    check("affine_relu", steps, (x, w, b), (), {}, False, tol)
