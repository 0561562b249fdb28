"""Update rules, against PyTorch where the definitions coincide, and their contract."""

import re
from copy import deepcopy

import numpy as np
import pytest

from sklearn_dl import optim

# name: constants, their values in PyTorch, state
RULES = {
    "sgd": ({}, ("SGD", {}), ()),
    "sgd_momentum": ({"momentum": 0.8}, ("SGD", {"momentum": 0.8}), ("velocity",)),
    "adagrad": ({"epsilon": 1e-3}, ("Adagrad", {"eps": 1e-3}), ("cache",)),
    "rmsprop": (
        {"decay_rate": 0.9, "epsilon": 1e-3},
        ("RMSprop", {"alpha": 0.9, "eps": 1e-3}),
        ("cache",),
    ),
    "adam": (
        {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3},
        ("Adam", {"betas": (0.8, 0.95), "eps": 1e-3}),
        ("m", "v"),
    ),
}


@pytest.fixture(params=RULES)
def name(request):
    return request.param


@pytest.fixture
def rule(name):
    return getattr(optim, name)


def draw(rng, dtype=np.float64, shape=(7, 5)):
    return rng.randn(*shape).astype(dtype), rng.randn(*shape).astype(dtype)


@pytest.mark.parametrize("reg", [0, 0.3])
def test_torch(torch, rng, name, rule, reg, dtype, tol, threads):
    constants, (torch_name, torch_constants), _ = RULES[name]
    w, _ = draw(rng, dtype)
    tensor = torch.tensor(w, requires_grad=True)
    optimizer = getattr(torch.optim, torch_name)([tensor], lr=0.1, weight_decay=reg, **torch_constants)
    config = {"learning_rate": 0.1, **constants}
    for _ in range(5):
        dw = rng.randn(*w.shape).astype(dtype)
        w, config = rule(w, dw, config, reg=reg)
        tensor.grad = torch.tensor(dw)
        optimizer.step()
        np.testing.assert_allclose(w, tensor.detach().numpy(), **tol)


def test_pure_by_default(rng, rule):
    w, dw = draw(rng)
    before = w.copy(), dw.copy()
    w.flags.writeable = dw.flags.writeable = False
    next_w, _ = rule(w, dw)
    assert not np.shares_memory(next_w, w)
    np.testing.assert_array_equal((w, dw), before)


def test_out(rng, rule, dtype):
    w, dw = draw(rng, dtype)
    expected, _ = rule(w, dw, reg=0.1)
    assert expected.dtype == dtype
    buffer = np.full_like(w, np.nan)
    assert rule(w, dw, reg=0.1, out=buffer)[0] is buffer
    np.testing.assert_array_equal(buffer, expected)
    assert rule(w, dw, reg=0.1, out=w)[0] is w
    np.testing.assert_array_equal(w, expected)


def test_config_is_completed_and_state_updated_in_place(rng, name, rule):
    w, dw = draw(rng)
    config = {"learning_rate": 0.1}
    first, returned = rule(w, dw, config)
    assert returned is config
    states = RULES[name][2]
    held = {key: config[key] for key in states}
    second, _ = rule(first, dw, config)
    assert all(config[key] is held[key] for key in states)
    assert name != "adam" or config["t"] == 2
    explicit = {"learning_rate": 0.1, **{key: np.zeros_like(w) for key in states}}
    _, explicit = rule(w, dw, explicit)
    np.testing.assert_array_equal(rule(first, dw, explicit)[0], second)


def test_default_constants(rng, name, rule):
    w, dw = draw(rng)
    _, config = rule(w, dw)
    constants = {k: v for k, v in config.items() if k not in (*RULES[name][2], "t")}
    assert (
        constants
        == {
            "sgd": {"learning_rate": 1e-2},
            "sgd_momentum": {"learning_rate": 1e-2, "momentum": 0.9},
            "adagrad": {"learning_rate": 1e-2, "epsilon": 1e-8},
            "rmsprop": {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8},
            "adam": {"learning_rate": 1e-2, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
        }[name]
    )


def test_state_of_another_dtype_or_layout_is_taken_over(rng, name, rule):
    w, dw = draw(rng, np.float32)
    states = {key: np.full(w.shape, 0.5, np.float32) for key in RULES[name][2]}
    expected, _ = rule(w, dw, deepcopy(states))
    foreign = {key: np.asfortranarray(s.astype(np.float64)) for key, s in states.items()}
    actual, config = rule(w, dw, foreign)
    np.testing.assert_array_equal(actual, expected)
    assert all(config[key].dtype == np.float32 for key in states)


def test_any_shape_and_layout(rng, rule):
    for shape in [(), (1,), (3, 4, 5), (2, 3, 4, 5)]:
        w, dw = np.asarray(rng.randn(*shape)), np.asarray(rng.randn(*shape))
        expected, _ = rule(w.ravel(), dw.ravel(), reg=0.1)
        actual, _ = rule(w.copy("F"), dw.copy("F"), reg=0.1)
        assert actual.shape == shape
        np.testing.assert_allclose(actual.ravel(), expected, rtol=1e-14)


def test_threads_do_not_change_a_bit(rng, rule, use_threads, dtype):
    w, dw = draw(rng, dtype, (300, 331))
    results = []
    for n_threads in (1, 2, 3):
        use_threads(n_threads)
        next_w, config = rule(w, dw, reg=0.1)
        results.append(rule(next_w, dw, config, reg=0.1)[0])
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


W = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("rule", "arguments", "error", "message"),
    [
        ("sgd", {"dw": np.zeros(6)}, ValueError, r"dw must have the shape of w, \(2, 3\).*\(6,\)"),
        ("sgd", {"dw": W.astype(complex)}, TypeError, r"dw must be .*complex128"),
        ("sgd", {"w": "weights"}, TypeError, r"w must be an array of real numbers"),
        ("sgd", {"reg": -1}, ValueError, r"reg must be a finite number of at least 0, got -1"),
        ("sgd", {"reg": "l2"}, TypeError, r"reg must be a number, got 'l2'"),
        ("sgd", {"learning_rate": None}, TypeError, r"config\['learning_rate'\] .*got None"),
        ("adagrad", {"epsilon": "1"}, TypeError, r"config\['epsilon'\] must be a number, got '1'"),
        ("sgd", {"reg": np.nan}, ValueError, r"reg must be a finite .*got nan"),
        ("sgd", {"out": np.zeros((3, 2))}, ValueError, r"out must be .*\(2, 3\), got .*\(3, 2\)"),
        ("adam", {"out": W.astype(np.float32)}, ValueError, r"out must be .*float64.*float32"),
        ("sgd", {"learning_rate": -0.1}, ValueError, r"config\['learning_rate'\] must .*-0\.1"),
        ("sgd_momentum", {"momentum": 2}, ValueError, r"config\['momentum'\] must .*got 2"),
        ("sgd_momentum", {"velocity": np.zeros(3)}, ValueError, r"config\['velocity'\].*\(3,\)"),
        ("adagrad", {"epsilon": 0}, ValueError, r"config\['epsilon'\] must be positive, got 0"),
        ("adagrad", {"cache": 0.0}, TypeError, r"config\['cache'\] must be an array, got float"),
        ("rmsprop", {"decay_rate": -1}, ValueError, r"config\['decay_rate'\] must .*got -1"),
        ("adam", {"beta1": 1}, ValueError, r"config\['beta1'\] must be in \[0, 1\), got 1"),
        ("adam", {"beta2": 1.0}, ValueError, r"config\['beta2'\] must be in \[0, 1\), got 1\.0"),
        ("adam", {"t": -1}, ValueError, r"config\['t'\] must be .*got -1"),
        ("adam", {"t": 2**70}, ValueError, r"config\['t'\] must be .*got 1180591620717411303424"),
        ("adam", {"t": True}, TypeError, r"config\['t'\] must be an integer, .*got True"),
        ("adam", {"t": 1.0}, TypeError, r"config\['t'\] must be an integer, .*got 1\.0"),
        ("sgd", {"reg": np.inf}, ValueError, r"reg must be a finite .*got inf"),
        ("sgd", {"learning_rate": np.inf}, ValueError, r"config\['learning_rate'\] .*got inf"),
        ("sgd", {"learning_rate": np.nan}, ValueError, r"config\['learning_rate'\] .*got nan"),
        ("sgd", {"learning_rate": 10**309}, ValueError, r"config\['learning_rate'\] .*got 10{309}$"),
        ("rmsprop", {"epsilon": np.inf}, ValueError, r"config\['epsilon'\] must be .*got inf"),
        ("rmsprop", {"epsilon": -1e-8}, ValueError, r"config\['epsilon'\] must be .*got -1e-08"),
    ],
)
def test_bad_input(rule, arguments, error, message):
    arguments = {"w": W, "dw": W, **arguments}
    call = {key: arguments.pop(key) for key in ("w", "dw", "out", "reg") if key in arguments}
    with pytest.raises(error, match=message):
        getattr(optim, rule)(**call, config=arguments)


@pytest.mark.parametrize("config", [[1], 0.1, "sgd", ()])
def test_config_of_wrong_type(rule, config):
    with pytest.raises(TypeError, match=rf"config must be a dict or None, got {re.escape(repr(config))}"):
        rule(W, W, config)


@pytest.mark.parametrize("name", ["adagrad", "rmsprop", "adam"])
@pytest.mark.parametrize(("dtype", "smallest"), [(np.float32, 1e-29), (np.float64, 1e-299)])
def test_smallest_epsilon(name, rule, dtype, smallest):
    """What is accepted does not vanish, whatever adam makes of it; what would is refused."""
    w, dw = np.ones(5, dtype), np.zeros(5, dtype)
    config = {"epsilon": smallest, **({"beta2": np.nextafter(1, 0)} if name == "adam" else {})}
    np.testing.assert_array_equal(rule(w, dw, config)[0], w)
    message = rf"config\['epsilon'\] must be at least {smallest} for {np.dtype(dtype)} weights, .*got 1e-310"
    with pytest.raises(ValueError, match=message):
        rule(w, dw, {"epsilon": 1e-310})
