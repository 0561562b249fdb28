"""What the tests of nets share: a list of nets, nets with parameters far from zero, and comparisons."""

import numpy as np
import pytest

from sklearn_dl.nets import FullyConnected, ThreeLayerConv

CONV = {"num_filters": 4, "filter_size": 3, "hidden_dim": 6, "num_classes": 5}

NETS = [
    pytest.param(FullyConnected, ([7, 6], 9, 5), {"normalization": n}, id=f"fc-{n}")
    for n in (None, "batchnorm", "layernorm")
] + [
    pytest.param(ThreeLayerConv, ((2, 5, 4),), {**CONV, "normalization": n}, id=f"conv-{n}")
    for n in (None, "batchnorm", "groupnorm")
]

every_net = pytest.mark.parametrize(("cls", "args", "options"), NETS)


def make(cls, args, options, **more):
    """Return a net whose parameters are all far from zero, so that no gradient vanishes."""
    settings = {"weight_scale": "he", "dtype": np.float64, "random_state": 0, **options, **more}
    net = cls(*args, **settings)
    rng = np.random.RandomState(1)
    for name, value in net.params.items():
        if not name.startswith("W"):
            net.params[name] = value + 0.3 * rng.randn(*value.shape)
    return net


def batch(net, n=6, seed=2):
    rng = np.random.RandomState(seed)
    return rng.randn(n, *net.input_shape), rng.randint(net.num_classes, size=n)


def assert_same(actual, desired, **tolerances):
    """Compare dicts of arrays: to the bit, or within the tolerances of assert_allclose."""
    assert actual.keys() == desired.keys()
    for name, value in desired.items():
        if tolerances:
            np.testing.assert_allclose(actual[name], value, err_msg=name, **tolerances)
        else:
            np.testing.assert_array_equal(actual[name], value, err_msg=name)


def copies(arrays):
    return {name: value.copy() for name, value in arrays.items()}
