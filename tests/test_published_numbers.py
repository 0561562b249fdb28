"""Numbers from a published set of course notebooks on these nets.

The random ones come from np.random.seed(231) and draws in the published order. The published
gradient checks, on the same shapes and seed, are in test_layers_contract.py.
"""

import numpy as np
import pytest

from sklearn_dl import layers, optim


def lin(a, b, *shape):
    return np.linspace(a, b, np.prod(shape)).reshape(shape)


@pytest.fixture
def seed231():
    np.random.seed(231)


def statistics(x, axis):
    return x.mean(axis=axis), x.std(axis=axis)


def test_affine():
    out, _ = layers.affine_forward(lin(-0.1, 0.5, 2, 4, 5, 6), lin(-0.2, 0.3, 120, 3), lin(-0.3, 0.1, 3))
    expected = [[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]]
    np.testing.assert_allclose(out, expected, rtol=1e-8)


def test_relu():
    out, _ = layers.relu_forward(lin(-0.5, 0.5, 3, 4))
    expected = [0] * 6 + [0.04545455, 0.13636364, 0.22727273, 0.31818182, 0.40909091, 0.5]
    np.testing.assert_allclose(out.ravel(), expected, rtol=1e-7)


@pytest.mark.usefixtures("seed231")
def test_softmax():
    x = 0.001 * np.random.randn(50, 10)
    loss, _ = layers.softmax_loss(x, np.random.randint(10, size=50))
    assert loss == pytest.approx(2.3025458445007376, rel=1e-14)


@pytest.mark.usefixtures("seed231")
def test_dropout():
    x = np.random.randn(500, 500) + 10
    for p, mean, zeros in [
        (0.25, 10.014059116977283, 0.749784),
        (0.4, 9.977917658761159, 0.600796),
        (0.7, 9.987811912159426, 0.30074),
    ]:
        out, _ = layers.dropout_forward(x, {"mode": "train", "p": p})
        assert out.mean() == pytest.approx(mean, rel=1e-13)
        assert (out == 0).mean() == pytest.approx(zeros, rel=1e-12)
        assert layers.dropout_forward(x, {"mode": "test", "p": p})[0].mean() == x.mean()


@pytest.mark.usefixtures("seed231")
def test_batchnorm():
    X, W1, W2 = np.random.randn(200, 50), np.random.randn(50, 60), np.random.randn(60, 3)
    a = layers.relu_forward(X @ W1)[0] @ W2
    mean, std = statistics(a, 0)
    np.testing.assert_allclose(mean, [-2.3814598, -13.18038246, 1.91780462], rtol=1e-7)
    np.testing.assert_allclose(std, [27.18502186, 34.21455511, 37.68611762], rtol=1e-8)
    out, _ = layers.batchnorm_forward(a, np.ones(3), np.zeros(3), {"mode": "train"})
    np.testing.assert_allclose(statistics(out, 0), [[0] * 3, [1] * 3], atol=1e-7)


@pytest.mark.parametrize("kind", ["naive", "fast"])
def test_conv(kind):
    out, _ = getattr(layers, f"conv_forward_{kind}")(
        lin(-0.1, 0.5, 2, 3, 4, 4),
        lin(-0.2, 0.3, 3, 3, 4, 4),
        lin(-0.1, 0.2, 3),
        {"stride": 2, "pad": 1},
    )
    expected = [
        [[-0.08759809, -0.10987781], [-0.18387192, -0.2109216]],
        [[0.21027089, 0.21661097], [0.22847626, 0.23004637]],
        [[0.50813986, 0.54309974], [0.64082444, 0.67101435]],
    ]
    np.testing.assert_allclose(out[0], expected, rtol=1e-7)


@pytest.mark.parametrize("kind", ["naive", "fast"])
def test_max_pool(kind):
    out, _ = getattr(layers, f"max_pool_forward_{kind}")(
        lin(-0.3, 0.4, 2, 3, 4, 4), {"pool_height": 2, "pool_width": 2, "stride": 2}
    )
    expected = [
        [[-0.26315789, -0.24842105], [-0.20421053, -0.18947368]],
        [[-0.14526316, -0.13052632], [-0.08631579, -0.07157895]],
        [[-0.02736842, -0.01263158], [0.03157895, 0.04631579]],
    ]
    np.testing.assert_allclose(out[0], expected, rtol=1e-6)


@pytest.mark.usefixtures("seed231")
def test_spatial_batchnorm():
    x = 4 * np.random.randn(2, 3, 4, 5) + 10
    mean, std = statistics(x, (0, 2, 3))
    np.testing.assert_allclose(mean, [9.33463814, 8.90909116, 9.11056338], rtol=1e-8)
    np.testing.assert_allclose(std, [3.61447857, 3.19347686, 3.5168142], rtol=1e-8)
    out, _ = layers.spatial_batchnorm_forward(x, np.ones(3), np.zeros(3), {"mode": "train"})
    np.testing.assert_allclose(statistics(out, (0, 2, 3)), [[0] * 3, [1] * 3], atol=1e-6)


@pytest.mark.usefixtures("seed231")
def test_spatial_groupnorm():
    x = 4 * np.random.randn(2, 6, 4, 5) + 10
    mean, std = statistics(x.reshape(4, -1), 1)
    np.testing.assert_allclose(mean, [9.72505327, 8.51114185, 8.9147544, 9.43448077], rtol=1e-8)
    np.testing.assert_allclose(std, [3.67070958, 3.09892597, 4.27043622, 3.97521327], rtol=1e-8)
    ones, zeros = np.ones((1, 6, 1, 1)), np.zeros((1, 6, 1, 1))
    out, _ = layers.spatial_groupnorm_forward(x, ones, zeros, 2, {})
    np.testing.assert_allclose(statistics(out.reshape(4, -1), 1), [[0] * 4, [1] * 4], atol=1e-6)


@pytest.mark.parametrize(
    ("rule", "config", "first_row", "last", "state", "state_ends"),
    [
        (
            "sgd_momentum",
            {"learning_rate": 1e-3, "velocity": (0.6, 0.9)},
            [0.1406, 0.20738947, 0.27417895, 0.34096842, 0.40775789],
            1.4096,
            "velocity",
            (0.5406, 0.8096),
        ),
        (
            "rmsprop",
            {"learning_rate": 1e-2, "cache": (0.6, 0.9)},
            [-0.39223849, -0.34037513, -0.28849239, -0.23659121, -0.18467247],
            0.59576619,
            "cache",
            (0.5976, 0.8926),
        ),
        (
            "adam",
            {"learning_rate": 1e-2, "m": (0.6, 0.9), "v": (0.7, 0.5), "t": 5},
            [-0.40094747, -0.34836187, -0.29577703, -0.24319299, -0.19060977],
            0.59801459,
            "m",
            (0.48, 0.85),
        ),
    ],
)
def test_update_rules(rule, config, first_row, last, state, state_ends):
    config = {k: lin(*v, 4, 5) if isinstance(v, tuple) else v for k, v in config.items()}
    next_w, config = getattr(optim, rule)(lin(-0.4, 0.6, 4, 5), lin(-0.6, 0.4, 4, 5), config)
    np.testing.assert_allclose(next_w[0], first_row, rtol=1e-6)
    np.testing.assert_allclose(next_w[-1, -1], last, rtol=1e-6)
    np.testing.assert_allclose(config[state].ravel()[[0, -1]], state_ends, rtol=1e-6)
