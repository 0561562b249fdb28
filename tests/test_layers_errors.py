"""Bad input: the error names the argument, what was given, and what would be right."""

# ruff: noqa: B008 - the defaults are good arrays, which no function may change.

import numpy as np
import pytest

from sklearn_dl import layers as f

CONV = {"stride": 1, "pad": 1}
POOL = {"pool_height": 2, "pool_width": 2, "stride": 2}
TRAIN = {"mode": "train"}
DROPOUT = {"mode": "train", "p": 0.5}


def z(*shape):
    return np.zeros(shape)


def affine(x=z(2, 3), w=z(3, 4), b=z(4)):
    f.affine_forward(x, w, b)


def conv(x=z(2, 3, 5, 5), w=z(4, 3, 3, 3), b=z(4), **conv_param):
    for function in (f.conv_forward_naive, f.conv_forward_fast):
        function(x, w, b, {**CONV, **conv_param})


def conv_param(param):
    f.conv_forward_fast(z(2, 3, 5, 5), z(4, 3, 3, 3), z(4), param)


def pool(x=z(2, 3, 4, 5), **pool_param):
    for function in (f.max_pool_forward_naive, f.max_pool_forward_fast):
        function(x, {**POOL, **pool_param})


def batchnorm(x=z(4, 3), gamma=z(3), beta=z(3), **bn_param):
    f.batchnorm_forward(x, gamma, beta, {**TRAIN, **bn_param})


def spatial_batchnorm(x=z(4, 3, 2, 2), gamma=z(3), beta=z(3), **bn_param):
    f.spatial_batchnorm_forward(x, gamma, beta, {**TRAIN, **bn_param})


def layernorm(x=z(4, 3), gamma=z(3), beta=z(3), **ln_param):
    f.layernorm_forward(x, gamma, beta, ln_param)


def groupnorm(x=z(2, 6, 2, 2), gamma=z(1, 6, 1, 1), beta=z(1, 6, 1, 1), G=2, **gn_param):
    f.spatial_groupnorm_forward(x, gamma, beta, G, gn_param)


def relu(x):
    f.relu_forward(x)


def dropout(x=z(2, 3), **dropout_param):
    f.dropout_forward(x, {**DROPOUT, **dropout_param})


def hidden(**kwargs):
    f.affine_norm_relu_dropout_forward(z(2, 3), z(3, 4), z(4), z(4), z(4), TRAIN, None, **kwargs)


def convolutional(norm_param=TRAIN, **kwargs):
    f.conv_norm_relu_pool_forward(z(2, 3, 5, 5), z(4, 3, 3, 3), z(4), z(4), z(4), CONV, norm_param, POOL, **kwargs)


BAD = [
    # function, its arguments, error, message
    (affine, {"x": z(0, 3)}, ValueError, r"x must be \(N, \.\.\.\).*empty.*\(0, 3\)"),
    (affine, {"x": z(3)}, ValueError, r"x must be \(N, \.\.\.\).*\(3,\)"),
    (affine, {"x": 1.0}, ValueError, r"x must be .*shape \(\)"),
    (affine, {"x": z(2, 0), "w": z(0, 4)}, ValueError, r"x must be .*empty"),
    (affine, {"w": z(3, 0), "b": z(0)}, ValueError, r"w must .*M at least 1, got \(3, 0\)"),
    (relu, {"x": z(0, 3)}, ValueError, r"x must have at least one element.*\(0, 3\)"),
    (relu, {"x": "ab"}, TypeError, r"x must be an array of real numbers, got .*U2"),
    (affine, {"x": z(2, 2, 2)}, ValueError, r"w must have shape \(D, M\) with D = 4.*\(3, 4\)"),
    (affine, {"w": z(3)}, ValueError, r"w must have shape .*got \(3,\)"),
    (affine, {"b": z(5)}, ValueError, r"b must have shape \(M,\) = \(4,\), got \(5,\)"),
    (affine, {"b": z(1, 4)}, ValueError, r"b must have shape .*got \(1, 4\)"),
    (affine, {"x": np.array([["a"]])}, TypeError, r"x must be an array of real numbers, got .*U1"),
    (affine, {"w": z(3, 4).astype(complex)}, TypeError, r"w must be .*got dtype complex128"),
    (affine, {"b": None}, TypeError, r"b must be .*got dtype object"),
    (conv, {"x": z(3, 5, 5)}, ValueError, r"x must be \(N, C, H, W\).*\(3, 5, 5\)"),
    (conv, {"x": z(0, 3, 5, 5)}, ValueError, r"x must be \(N, C, H, W\).*empty"),
    (conv, {"w": z(4, 3, 3)}, ValueError, r"w must be \(F, C, HH, WW\).*\(4, 3, 3\)"),
    (conv, {"w": z(4, 2, 3, 3)}, ValueError, r"w must .*C = 3.*got \(4, 2, 3, 3\)"),
    (conv, {"w": z(4, 3, 8, 3)}, ValueError, r"w must not be larger .*7 x 7.*got .*8 x 3"),
    (conv, {"w": z(4, 3, 3, 6), "pad": 0}, ValueError, r"w must not be larger .*5 x 5.*3 x 6"),
    (conv, {"b": z(3)}, ValueError, r"b must have shape \(F,\) = \(4,\), got \(3,\)"),
    (conv, {"stride": 0}, ValueError, r"conv_param\['stride'\] must be at least 1, got 0"),
    (conv, {"stride": 1.0}, TypeError, r"conv_param\['stride'\] must be an integer, got 1\.0"),
    (conv, {"stride": True}, TypeError, r"conv_param\['stride'\] must be an integer, got True"),
    (conv, {"pad": -1}, ValueError, r"conv_param\['pad'\] must be at least 0, got -1"),
    (conv, {"pad": "same"}, TypeError, r"conv_param\['pad'\] must be an integer, got 'same'"),
    (conv, {"pad": 23168}, ValueError, r"conv_param\['pad'\] .*got 23168, .* 46341 x 46341"),
    (conv, {"pad": 2**70}, ValueError, r"conv_param\['pad'\] .*got 1180591620717411303424, "),
    (conv_param, {"param": None}, TypeError, r"conv_param must be a dict, got None"),
    (conv_param, {"param": {"stride": 1}}, ValueError, r"conv_param must hold 'pad', got \{'str"),
    (conv_param, {"param": {"pad": 1}}, ValueError, r"conv_param must hold 'stride', got \{'pad"),
    (pool, {"x": z(2, 3)}, ValueError, r"x must be \(N, C, H, W\).*\(2, 3\)"),
    (pool, {"x": z(2, 0, 4, 4)}, ValueError, r"x must be \(N, C, H, W\).*empty"),
    (pool, {"pool_height": 5}, ValueError, r"pool_param must not .*larger.*4 x 5, got 5 x 2"),
    (pool, {"pool_width": 0}, ValueError, r"pool_param\['pool_width'\] must be at least 1, got 0"),
    (pool, {"stride": None}, ValueError, r"pool_param must hold 'stride', got \{'pool_height': 2"),
    (batchnorm, {"x": z(4, 3, 1)}, ValueError, r"x must be \(N, D\).*\(4, 3, 1\)"),
    (batchnorm, {"x": z(0, 3)}, ValueError, r"x must be \(N, D\).*empty"),
    (batchnorm, {"gamma": z(4)}, ValueError, r"gamma must have shape \(D,\) = \(3,\), got \(4,\)"),
    (batchnorm, {"beta": z(3, 1)}, ValueError, r"beta must have shape \(D,\) .*got \(3, 1\)"),
    (batchnorm, {"mode": "eval"}, ValueError, r"bn_param\['mode'\] must be 'train' or.*'eval'"),
    (batchnorm, {"eps": 0}, ValueError, r"bn_param\['eps'\] must be positive, got 0"),
    (batchnorm, {"eps": np.nan}, ValueError, r"bn_param\['eps'\] must be positive, got nan"),
    (batchnorm, {"momentum": 1.5}, ValueError, r"bn_param\['momentum'\] must be in .*got 1\.5"),
    (batchnorm, {"running_mean": z(4)}, ValueError, r"bn_param\['running_mean'\] .*got \(4,\)"),
    (batchnorm, {"running_var": [0] * 3}, TypeError, r"bn_param\['running_var'\] .*\[0, 0, 0\]"),
    (batchnorm, {"sample_weight": [1, 2]}, ValueError, r"\['sample_weight'\] .*\(4,\), got \(2,\)"),
    (batchnorm, {"sample_weight": z(4)}, ValueError, r"\['sample_weight'\] must .*not all zero, got .*0\.0 to 0"),
    (batchnorm, {"sample_weight": [1, 1, 1, -1]}, ValueError, r"\['sample_weight'\] .*from -1\.0"),
    (batchnorm, {"sample_weight": [1, 1, 1, np.nan]}, ValueError, r"\['sample_weight'\] must .*from nan"),
    (batchnorm, {"sample_weight": ["a", "b"]}, TypeError, r"\['sample_weight'\] .*\['a', 'b'\]"),
    (batchnorm, {"sample_weight": [[1], []]}, ValueError, r"\['sample_weight'\] .*\[\[1\], \[\]\]"),
    (spatial_batchnorm, {"x": z(4, 3)}, ValueError, r"x must be \(N, C, H, W\).*\(4, 3\)"),
    (spatial_batchnorm, {"gamma": z(1, 3, 1, 1)}, ValueError, r"gamma must have shape \(C,\)"),
    (
        batchnorm,
        {"momentum": None},
        TypeError,
        r"bn_param\['momentum'\] must be a number, got None",
    ),
    (batchnorm, {"eps": True}, TypeError, r"bn_param\['eps'\] must be a number, got True"),
    (layernorm, {"x": z(3)}, ValueError, r"x must be \(N, D\).*\(3,\)"),
    (layernorm, {"gamma": z(4)}, ValueError, r"gamma must have shape \(D,\) .*got \(4,\)"),
    (layernorm, {"eps": -1}, ValueError, r"ln_param\['eps'\] must be positive, got -1"),
    (groupnorm, {"x": z(2, 6)}, ValueError, r"x must be \(N, C, H, W\).*\(2, 6\)"),
    (groupnorm, {"gamma": z(6)}, ValueError, r"gamma must have shape \(1, C, 1, 1\) .*got \(6,\)"),
    (groupnorm, {"G": 4}, ValueError, r"G must divide the number of channels, 6, got 4"),
    (groupnorm, {"G": 0}, ValueError, r"G must divide the number of channels, 6, got 0"),
    (groupnorm, {"G": 2.0}, TypeError, r"G must be an integer, got 2\.0"),
    (groupnorm, {"eps": 0}, ValueError, r"gn_param\['eps'\] must be positive, got 0"),
    (dropout, {"p": 0}, ValueError, r"dropout_param\['p'\].* must be in \(0, 1\], got 0"),
    (dropout, {"p": 1.5}, ValueError, r"dropout_param\['p'\].* must be in \(0, 1\], got 1\.5"),
    (dropout, {"p": "0.5"}, TypeError, r"dropout_param\['p'\] must be a number, got '0\.5'"),
    (dropout, {"mode": "Train"}, ValueError, r"dropout_param\['mode'\] must be .*got 'Train'"),
    (dropout, {"x": z(0, 3)}, ValueError, r"x must have at least one element.*\(0, 3\)"),
    (dropout, {"seed": "a"}, TypeError, r"dropout_param\['seed'\] must be an integer .*got 'a'"),
    (dropout, {"seed": 1.5}, TypeError, r"dropout_param\['seed'\] must be an integer .*got 1\.5"),
    (dropout, {"seed": -1}, ValueError, r"dropout_param\['seed'\] must be an integer .*got -1"),
    (dropout, {"rng": 3}, TypeError, r"dropout_param\['rng'\] must be .*RandomState, got 3"),
    (dropout, {"rng": np.random.default_rng(0)}, TypeError, r"\['rng'\] .*Generator\(PCG64\)"),
    (hidden, {"normalization": "groupnorm"}, ValueError, r"normalization must .*'groupnorm'"),
    (convolutional, {"normalization": "layernorm"}, ValueError, r"normalization must .*'layern"),
    (convolutional, {"norm_param": None}, TypeError, r"bn_param must be a dict, got None"),
    (convolutional, {"normalization": "groupnorm"}, ValueError, r"norm_param must hold 'G'"),
]


@pytest.mark.parametrize(("function", "arguments", "error", "message"), BAD)
def test_bad_input(function, arguments, error, message):
    with pytest.raises(error, match=message):
        function(**arguments)


@pytest.mark.parametrize(
    ("function", "param", "missing"),
    [
        (lambda p: f.batchnorm_forward(z(2, 3), z(3), z(3), p), "bn_param", "mode"),
        (lambda p: f.dropout_forward(z(2, 3), p), "dropout_param", "p"),
        (lambda p: f.max_pool_forward_fast(z(1, 1, 2, 2), p), "pool_param", "pool_height"),
    ],
)
def test_missing_key(function, param, missing):
    with pytest.raises(ValueError, match=f"{param} must hold '{missing}', got {{}}"):
        function({})


SQUARE, IMAGE = np.ones((3, 3)), np.ones((2, 2, 3, 3))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (f.affine_forward, (SQUARE, np.eye(3), z(3))),
        (f.affine_relu_forward, (SQUARE, np.eye(3), z(3))),
        (f.batchnorm_forward, (SQUARE, z(3), z(3), {"mode": "train"})),
        (f.layernorm_forward, (SQUARE, z(3), z(3), {})),
        (f.spatial_batchnorm_forward, (IMAGE, z(2), z(2), {"mode": "train"})),
        (f.spatial_groupnorm_forward, (IMAGE, z(1, 2, 1, 1), z(1, 2, 1, 1), 1, {})),
        (f.conv_forward_fast, (IMAGE, np.ones((2, 2, 3, 3)), z(2), CONV)),
        (f.conv_forward_naive, (IMAGE, np.ones((2, 2, 3, 3)), z(2), CONV)),
        (f.max_pool_forward_fast, (IMAGE, {"pool_height": 1, "pool_width": 1, "stride": 1})),
        (f.max_pool_forward_naive, (IMAGE, {"pool_height": 1, "pool_width": 1, "stride": 1})),
    ],
)
def test_out_that_overlaps_the_input(function, arguments):
    x = arguments[0].copy()
    with pytest.raises(ValueError, match="out must not overlap x"):
        function(x, *arguments[1:], out=x)
    np.testing.assert_array_equal(x, arguments[0])


@pytest.mark.parametrize(
    ("forward", "backward", "arguments"),
    [
        (f.affine_forward, f.affine_backward, (SQUARE, np.eye(3), z(3))),
        (f.affine_relu_forward, f.affine_relu_backward, (SQUARE, np.eye(3), z(3))),
        (f.conv_forward_fast, f.conv_backward_fast, (IMAGE, np.ones((2, 2, 3, 3)), z(2), CONV)),
        (f.conv_forward_naive, f.conv_backward_naive, (IMAGE, np.ones((2, 2, 3, 3)), z(2), CONV)),
        (f.conv_relu_pool_forward, f.conv_relu_pool_backward, (IMAGE, np.ones((2, 2, 3, 3)), z(2), CONV, POOL)),
    ],
)
def test_gradients_that_overlap(forward, backward, arguments):
    x, w = arguments[:2]
    out, cache = forward(*arguments)
    shared = np.zeros(2 * max(x.size, w.size))
    dx, dw = shared[: x.size].reshape(x.shape), shared[1 : 1 + w.size].reshape(w.shape)
    kept = w.copy()
    with pytest.raises(ValueError, match="out for dw must not overlap dx"):
        backward(out, cache, out=(dx, dw, None))
    with pytest.raises(ValueError, match="out for dw must not overlap w"):
        backward(out, cache, out=(None, w, None))
    assert not shared.any()
    np.testing.assert_array_equal(w, kept)


FILTERS, PIXEL = np.ones((2, 2, 3, 3)), {"pool_height": 1, "pool_width": 1, "stride": 1}
BACKWARD = {
    "affine": (f.affine_forward, f.affine_backward, (SQUARE, np.eye(3), z(3))),
    "affine relu": (f.affine_relu_forward, f.affine_relu_backward, (SQUARE, np.eye(3), z(3))),
    "conv": (f.conv_forward_fast, f.conv_backward_fast, (IMAGE, FILTERS, z(2), CONV)),
    "conv naive": (f.conv_forward_naive, f.conv_backward_naive, (IMAGE, FILTERS, z(2), CONV)),
    "conv relu": (f.conv_relu_forward, f.conv_relu_backward, (IMAGE, FILTERS, z(2), CONV)),
    "conv relu pool": (f.conv_relu_pool_forward, f.conv_relu_pool_backward, (IMAGE, FILTERS, z(2), CONV, POOL)),
    "conv relu pixel": (f.conv_relu_pool_forward, f.conv_relu_pool_backward, (IMAGE, FILTERS, z(2), CONV, PIXEL)),
    "batchnorm": (f.batchnorm_forward, f.batchnorm_backward, (SQUARE, np.ones(3), z(3), TRAIN)),
    "batchnorm alt": (f.batchnorm_forward, f.batchnorm_backward_alt, (SQUARE, np.ones(3), z(3), TRAIN)),
    "batchnorm test": (f.batchnorm_forward, f.batchnorm_backward, (SQUARE, np.ones(3), z(3), {"mode": "test"})),
    "layernorm": (f.layernorm_forward, f.layernorm_backward, (SQUARE, np.ones(3), z(3), {})),
    "groupnorm": (
        f.spatial_groupnorm_forward,
        f.spatial_groupnorm_backward,
        (IMAGE, np.ones((1, 2, 1, 1)), z(1, 2, 1, 1), 1, {}),
    ),
}


def of_backward(name):
    """Return dout, the cache, and buffers for the gradients, full of sevens."""
    forward, backward, arguments = BACKWARD[name]
    out, cache = forward(
        *(dict(a) if isinstance(a, dict) else a.copy() if hasattr(a, "copy") else a for a in arguments)
    )
    return out.copy(), cache, [np.full_like(gradient, 7) for gradient in backward(out.copy(), cache)]


@pytest.mark.parametrize("name", BACKWARD)
def test_all_buffers_of_gradients_are_checked_before_one_is_written(name):
    backward = BACKWARD[name][1]
    dout, cache, good = of_backward(name)
    given = dout.copy()
    for i, gradient in enumerate(good):
        begun = np.concatenate([dout.ravel(), z(gradient.size)])  # the gradient begins within dout
        within = begun[1 : 1 + gradient.size].reshape(gradient.shape)
        bad = {"shape": gradient[None], "dtype": gradient.astype(np.float32), "list": gradient.tolist()}
        for kind, buffer in bad.items():
            buffers = [*good[:i], buffer, *good[i + 1 :]]
            with pytest.raises((TypeError, ValueError), match="out for d"):
                backward(dout, cache, out=tuple(buffers))
            assert all((buffer == 7).all() for buffer in good), kind
        # A function that begins with a copy of dout may write over it.
        if name.startswith(("affine relu", "conv relu")):
            continue
        with pytest.raises(ValueError, match=r"(out for )?d\w+ must not overlap dout"):
            backward(begun[: dout.size].reshape(dout.shape), cache, out=(*good[:i], within, *good[i + 1 :]))
        assert all((buffer == 7).all() for buffer in good)
        np.testing.assert_array_equal(begun[: dout.size], dout.ravel())
    np.testing.assert_array_equal(dout, given)


@pytest.mark.parametrize("mode", ["train", "test"])
@pytest.mark.parametrize("backward", [f.batchnorm_backward, f.batchnorm_backward_alt])
def test_gradients_of_batchnorm_over_what_they_are_computed_from(backward, mode):
    gamma, x = np.ones(3), np.random.RandomState(0).randn(5, 3)
    out, cache = f.batchnorm_forward(x, gamma, z(3), {"mode": mode})
    for buffers in ((None, gamma, None), (None, None, gamma)):
        with pytest.raises(ValueError, match="must not overlap gamma"):
            backward(out, cache, out=buffers)
    np.testing.assert_array_equal(gamma, np.ones(3))
    expected, dout = backward(out, cache)[0], out.copy()
    assert backward(dout, cache, out=(dout, None, None))[0] is dout
    np.testing.assert_array_equal(dout, expected)


def test_gradient_of_naive_pooling_over_what_it_is_computed_from():
    x = np.random.RandomState(0).randn(2, 3, 4, 4)
    out, cache = f.max_pool_forward_naive(x, PIXEL)
    for buffer, name in ((x, "x"), (out, "dout")):
        before = buffer.copy()
        with pytest.raises(ValueError, match=f"out must not overlap {name}"):
            f.max_pool_backward_naive(out, cache, out=buffer)
        np.testing.assert_array_equal(buffer, before)
