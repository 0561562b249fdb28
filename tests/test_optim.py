"""Update rules, against PyTorch where the definitions coincide, and their contract."""

import inspect
import math
import re
from copy import deepcopy
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from sklearn_dl import Softmax, TwoLayerNet, optim
from sklearn_dl.nets import FullyConnected
from sklearn_dl.solver import Solver

from ._estimators import blobs, small

# name: constants, their values in PyTorch, state
RULES = {
    "sgd": ({}, ("SGD", {}), ()),
    "sgd_momentum": ({"momentum": 0.8}, ("SGD", {"momentum": 0.8}), ("velocity",)),
    "nesterov": ({"momentum": 0.8}, ("SGD", {"momentum": 0.8, "nesterov": True}), ("velocity",)),
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
    "adamw": (
        {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3},
        ("AdamW", {"betas": (0.8, 0.95), "eps": 1e-3}),
        ("m", "v"),
    ),
}


@pytest.fixture(params=RULES)
def name(request):
    return request.param


@pytest.fixture
def rule(name):
    return getattr(optim, name)


def test_the_table_has_all_functions():
    functions = set(optim.__all__) - {"clip_gradients"}
    assert set(optim.UPDATE_RULES) - {"lbfgs"} == functions == set(optim.in_place) == set(RULES)
    assert all(rule.name == name for name, rule in optim.UPDATE_RULES.items())


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
    assert not name.startswith("adam") or config["t"] == 2
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
            "nesterov": {"learning_rate": 1e-2, "momentum": 0.9},
            "adagrad": {"learning_rate": 1e-2, "epsilon": 1e-8},
            "rmsprop": {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8},
            "adam": {"learning_rate": 1e-2, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
            "adamw": {"learning_rate": 1e-2, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
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
        ("sgd", {"learning_rate": 10**309}, ValueError, r"config\['learning_rate'\] .*got 10{309}\.$"),
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


# ------------------------------------------------------ the table of rules


def test_the_table_says_what_a_config_holds(rng, name, rule, dtype):
    row = optim.UPDATE_RULES[name]
    w, dw = draw(rng, dtype)
    _, config = rule(w, dw)
    assert {key: config[key] for key in row.constants} == {key: c.default for key, c in row.constants.items()}
    arrays = {key for key, value in config.items() if isinstance(value, np.ndarray)}
    assert arrays == set(row.arrays)
    assert set(config) == {*row.constants, *row.arrays, *(["t"] if row.counts else [])}


def test_docstrings_are_those_of_the_table(name, rule):
    lines = inspect.getdoc(rule).splitlines()
    assert "Raises" in lines
    assert "{" not in inspect.getdoc(rule)
    stated = {line.split(" : ")[0].strip("- "): line for line in lines if line.startswith("    - ")}
    row = optim.UPDATE_RULES[name]
    for constant in row.constants.values():
        assert constant.kind in stated[constant.name]
        default = re.search(r"default ([\d.e-]+[\de])", stated[constant.name])[1]
        assert float(default) == constant.default
    state = [*row.arrays, *(["t"] if row.counts else [])]
    assert all(any(f"{key}" in text for text in stated) for key in state)
    assert len(stated) == len(row.constants) + bool(state)


def test_steps_in_place_are_the_functions(rng, name, rule, dtype):
    """To the bit, from any config that the function has left or the caller begun."""
    w, _ = draw(rng, dtype)
    constants = RULES[name][0]
    expected, config = w.copy(), {"learning_rate": 0.1, **constants}
    actual, in_place = w.copy(), {"learning_rate": 0.1, **constants}
    for _ in range(3):
        dw = rng.randn(*w.shape).astype(dtype)
        rule(expected, dw, config, out=expected, reg=0.3)
        squares = optim.in_place[name](actual, dw, in_place, 0.3)
        np.testing.assert_array_equal(actual, expected)
        assert squares == pytest.approx((actual.astype(float) ** 2).sum())
    assert in_place.keys() == config.keys()


def test_steps_in_place_continue_from_state_alone(rng, name, rule):
    w, dw = draw(rng)
    first, config = rule(w, dw)
    constants = optim.UPDATE_RULES[name].constants
    state = {key: deepcopy(value) for key, value in config.items() if key not in constants}
    expected, _ = rule(first, dw, config)
    optim.in_place[name](first, dw, state, 0.0)
    np.testing.assert_array_equal(first, expected)


def test_a_rule_is_added_in_one_place():
    """Function and row, and Solver, estimators, errors and docstring know it."""

    def sign_descent(w, dw, config=None, *, out=None, reg=0.0):
        """Go by the sign of a mean gradient.

        {parameters}

        {errors}
        """
        return optim._update("sign_descent", w, dw, config, out, reg)

    @optim._rule(sign_descent, optim.MOMENTUM, arrays=("mean",), auto_rate=0.01, auto_rate_linear=0.02)
    def _step(w, dw, config, reg):
        config["mean"] += (1 - config["momentum"]) * (dw + reg * w - config["mean"])
        w -= config["learning_rate"] * np.sign(config["mean"])
        return float((w**2).sum())

    try:
        next_w, config = sign_descent(np.ones(3), np.array([2.0, 0, -3]))
        np.testing.assert_allclose(next_w, [0.99, 1, 1.01])
        assert set(config) == {"learning_rate", "momentum", "mean"}
        assert "- momentum : float in [0, 1], default 0.9." in sign_descent.__doc__
        X, y = blobs()
        for cls, rate in ((TwoLayerNet, 0.01), (Softmax, 0.02)):
            estimator = small(cls, update_rule="sign_descent", num_epochs=20).fit(X, y)
            assert estimator.score(X, y) > 0.9
            assert estimator.learning_rate_history_[0] == rate
            estimator.partial_fit(X, y)
        with pytest.raises(ValueError, match=r"^optim_config\['beta1'\] is no constant of update_rule 'sign_descent'"):
            small(TwoLayerNet, update_rule="sign_descent", optim_config={"beta1": 0.5}).fit(X, y)
    finally:
        del optim.UPDATE_RULES["sign_descent"], optim.in_place["sign_descent"]
        optim.__all__.remove("sign_descent")


# ------------------------------------- what passes the checks, and what does not

# Numbers at which a range may end, or a dtype.
ENDS = [
    *(0, 0.0, -0.0, 1, 1.0, -1, 0.5, 2.0, -5e-324, 10**309, -(10**309)),
    *(5e-324, 1e-310, 2.3e-308, 1e-299, math.nextafter(1e-299, 0), 1e-46, 1e-38, 1.2e-38, 1e-37, 1e-35),
    *(1e-29, math.nextafter(1e-29, 0), 9e-30, 1e-8, math.nextafter(1, 0), math.nextafter(1, 2), 1 - 2**-25),
    *(3.4e38, 3.5e38, 1e40, 1e300, 1.7e308, math.inf, -math.inf, math.nan),
    *(
        np.float32(1e-29),
        np.float32(1e-35),
        np.nextafter(np.float32(1), np.float32(0)),
        np.float32(1),
        np.float32(3e38),
    ),
    *(np.float16(0.5), np.float64(1e-35), np.int8(1), np.uint64(0), np.float32(np.inf), np.float16(np.nan)),
    *(Fraction(1, 3), 1 - Fraction(1, 10**30), Fraction(1, 10**400), Fraction(1, 10**35), np.longdouble(0.5)),
    *(1 - np.longdouble(2) ** -60, True, np.True_, None, "0.5", b"1", [0.5], np.array(0.5), 0.5j, Decimal("0.5")),
]
each_constant = pytest.mark.parametrize(
    ("name", "constant"), [(name, constant) for name, rule in optim.UPDATE_RULES.items() for constant in rule.constants]
)


def outcome(call):
    """Return what a call raises, None if nothing."""
    try:
        call()
    except (TypeError, ValueError) as error:
        return error
    return None


@each_constant
@pytest.mark.parametrize("value", ENDS, ids=repr)
def test_what_passes_the_check_never_fails_in_an_update(name, constant, value, dtype):
    """And gives no nan where a gradient is zero; what does not pass is refused by the function in the same words."""
    rule, dtype = optim.UPDATE_RULES[name], np.dtype(dtype)
    refused = outcome(lambda: rule.check({constant: value}, optim.in_config, dtype))
    w = np.array([1.0, -2.0, 0.0, 3e-5], dtype)
    config = {constant: value}
    gradients = np.array([[0, 1, -1e-3, 1e-30], [0, -1, 1e-20, 0], [0, 0, 0, 1]]).astype(dtype)
    with np.errstate(over="ignore"):  # of constants so large that the state overflows
        for dw in gradients:
            next_w = w.copy()
            failed = outcome(
                lambda dw=dw, next_w=next_w: getattr(optim, name)(next_w, dw, config, out=next_w, reg=1e-3)
            )
            assert (type(failed), str(failed)) == (type(refused), str(refused))
    if refused is None:
        zero, config = np.zeros_like(w), {constant: value}
        for _ in range(3):
            np.testing.assert_array_equal(getattr(optim, name)(w, zero, config)[0], w)
        assert not getattr(optim, name)(zero, zero, {constant: value}, reg=1e300)[0].any()
        checked = rule.check({constant: value}, optim.in_config, dtype)[constant]
        assert type(checked) is float
        assert checked == float(value)
    else:
        assert re.match(re.escape(f"config[{constant!r}] must be "), str(refused))
        assert str(refused).endswith(f"got {value!r}.")


@each_constant
@pytest.mark.parametrize("value", ENDS, ids=repr)
def test_the_solver_takes_what_its_updates_take(name, constant, value, dtype):
    """And calls a constant what its caller calls it."""
    net = FullyConnected([3], 2, 2, dtype=dtype, random_state=0)
    data = {"X_train": np.eye(2), "y_train": np.array([0, 1])}
    options = {"update_rule": name, "num_epochs": 1, "verbose": False}
    refused = outcome(lambda: optim.UPDATE_RULES[name].check({constant: value}, optim.in_config, np.dtype(dtype)))
    failed = outcome(lambda: Solver(net, data, optim_config={constant: value}, **options))
    assert type(failed) is type(refused)
    assert str(failed) == str(refused).replace("config[", "optim_config[")
    if refused is None:
        # A rate of 1e300 may end in an error, but in none of the constant.
        trained = outcome(Solver(net, data, optim_config={constant: value}, **options).train)
        assert trained is None or "optim_config" not in str(trained)


def test_a_net_of_two_dtypes_is_checked_for_the_narrower():
    class Mixed:
        def __init__(self):
            self.params = {"W": np.zeros((2, 2), np.float32), "b": np.zeros(2)}

        def loss(self, X, y=None):
            scores = X @ self.params["W"] + self.params["b"]
            return scores if y is None else (1.0, {"W": np.ones((2, 2), np.float32), "b": np.ones(2)})

    data = {"X_train": np.eye(2), "y_train": np.array([0, 1])}
    options = {"update_rule": "adam", "num_epochs": 1, "verbose": False}
    with pytest.raises(ValueError, match=r"^optim_config\['epsilon'\] must be at least 1e-29 for float32 weights"):
        Solver(Mixed(), data, optim_config={"epsilon": 1e-35}, **options)
    Solver(Mixed(), data, optim_config={"epsilon": 1e-29}, **options).train()


def test_unknown_constants_are_named():
    for name, rule in optim.UPDATE_RULES.items():
        with pytest.raises(
            ValueError, match=rf"^optim_config\['nesterov'\] is no constant of update_rule '{name}', which"
        ):
            rule.check({"nesterov": True}, optim.in_optim_config)


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


# ----------------------------------------------------- state that is not finite

WITH_STATE = [name for name, rule in optim.UPDATE_RULES.items() if rule.arrays]
SQUARES = [name for name in WITH_STATE if optim.UPDATE_RULES[name].arrays != ("velocity",)]
# Of a dtype: what can be squared, and what cannot.
LARGE = {np.float32: (1e18, 1e30), np.float64: (1e150, 1e200)}


@pytest.mark.parametrize("size", [1, 5, 5000])
@pytest.mark.parametrize("name", SQUARES)
def test_a_gradient_that_cannot_be_squared_is_told_of(name, rule, dtype, size, threads):
    small, large = LARGE[dtype]
    w, dw = np.ones(size, dtype), np.full(size, small, dtype)
    rule(w, dw)
    dw[-1] = -large
    config = {}
    with pytest.warns(RuntimeWarning) as told:
        next_w, _ = rule(w, dw, config)
    text = str(told[0].message)
    assert text.startswith(f"config[{optim.UPDATE_RULES[name].arrays[-1]!r}] is no longer finite in {np.dtype(dtype)}")
    assert f"The largest magnitude in dw is {large:.3g}." in text
    assert next_w[-1] == 1  # which no loss would show
    with pytest.warns(RuntimeWarning, match="dw, or that of an earlier update, is too large"):
        rule(w, np.ones_like(w), config)


@pytest.mark.parametrize("name", WITH_STATE)
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_gradients_that_are_not_finite_are_told_of(name, rule, dtype, value):
    with pytest.warns(RuntimeWarning, match="is no longer finite"):
        rule(np.ones(3, dtype), np.array([0, value, 1], dtype))


@pytest.mark.parametrize("name", SQUARES)
def test_overflow_goes_by_errstate_as_in_numpy(name, rule, dtype):
    w, dw = np.ones(3, dtype), np.full(3, LARGE[dtype][1], dtype)
    with np.errstate(over="ignore"):
        rule(w, dw)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="is no longer finite"):
        rule(w, dw)
    with np.errstate(over="raise"):
        rule(w, np.ones_like(w))


@pytest.mark.parametrize("name", WITH_STATE)
def test_steps_in_place_return_nan_for_state_that_is_not_finite(name, dtype, threads):
    w, dw = np.ones(9000, dtype), np.zeros(9000, dtype)
    assert optim.in_place[name](w, dw, {"learning_rate": 0.1}, 0.0) == 9000
    for position in (0, 2047, 2048, 8999):
        dw[:] = 0
        dw[position] = np.inf
        config = {"learning_rate": 0.1}
        assert np.isnan(optim.in_place[name](w.copy(), dw, config, 0.0))
        assert optim.UPDATE_RULES[name].overflowed(config) == optim.UPDATE_RULES[name].arrays[0]


def test_overflowed_state_names_parameter_and_array(rng):
    configs = {name: {} for name in ("W1", "b1", "W2")}
    assert optim.overflowed_state("adam", configs) == (None, None)
    for config in configs.values():
        optim.adam(*draw(rng), config)
    assert optim.overflowed_state("adam", configs) == (None, None)
    configs["b1"]["v"][3, 2] = np.inf
    assert optim.overflowed_state("adam", configs) == ("b1", "v")
    configs["b1"]["m"][0, 0] = np.nan
    assert optim.overflowed_state("adam", configs) == ("b1", "m")
    assert optim.overflowed_state("sgd", configs) == (None, None)


# ------------------------------------------------------------------- nesterov, decay and clipping in training


def test_nesterov_looks_ahead(rng):
    """In Nesterov's form the gradient is taken where the velocity leads; the weights kept here are these."""
    curvature, momentum, w = np.array([1.0, 5.0, 0.3]), 0.8, rng.randn(3)
    velocity, ahead, config = np.zeros(3), w.copy(), {"momentum": momentum}
    for rate in (0.1, 0.02, 0.15, 0.1):
        velocity = momentum * velocity - rate * curvature * (w + momentum * velocity)
        w = w + velocity
        config["learning_rate"] = rate
        ahead, config = optim.nesterov(ahead, curvature * ahead, config)
        np.testing.assert_allclose(ahead, w + momentum * velocity, rtol=1e-12)


def test_adamw_decays_weights_only(rng):
    """And the losses have no penalty, whichever way the updates are made."""
    data = {"X_train": rng.randn(20, 5), "y_train": rng.randint(3, size=20)}
    net = FullyConnected([4], 5, 3, reg=0.5, weight_scale="he", dtype=np.float64, random_state=0)
    before = {name: value.copy() for name, value in net.params.items()}
    options = {"update_rule": "adamw", "verbose": False, "num_epochs": 3, "batch_size": 20, "random_state": 0}
    bare = FullyConnected([4], 5, 3, weight_scale="he", dtype=np.float64, random_state=0)
    for name in bare.params:
        bare.params[name] = before[name]
    constants = {"learning_rate": 0.1, "epsilon": 1e300}  # no step, but the decay
    Solver(net, data, optim_config=constants, **options).train()
    for name, value in before.items():
        share = 0.95**3 if name in net.weight_names else 1
        np.testing.assert_allclose(net.params[name], share * value, rtol=1e-12, atol=1e-15)
    solver = Solver(bare, data, optim_config={"learning_rate": 0.0}, **options)
    solver.train()
    net.params.update(before)
    reported = Solver(net, data, optim_config={"learning_rate": 0.0}, **options)
    reported.train()
    assert reported.loss_history == solver.loss_history


def test_adamw_of_softmax_takes_reg_for_its_decay():
    X, y = blobs(dtype=np.float64)
    options = {"update_rule": "adamw", "learning_rate": 0.1, "epsilon": 1e300, "num_iters": 2, "weight_scale": 1.0}
    first, last = (small(Softmax, **options, reg=reg).fit(X, y).params_["W1"] for reg in (0.0, 0.5))
    np.testing.assert_allclose(last, 0.95**2 * first, rtol=1e-12)


def test_adamw_and_a_loss_of_ones_own(rng):
    class Own(FullyConnected):
        def loss(self, X, y=None, sample_weight=None):
            return super().loss(X, y, sample_weight)

    data = {"X_train": rng.randn(20, 5), "y_train": rng.randint(3, size=20)}
    with pytest.raises(ValueError, match=r"'adamw' decays weights beside the loss, but Own has .* reg=0.5 already"):
        Solver(Own([4], 5, 3, reg=0.5), data, update_rule="adamw")
    Solver(Own([4], 5, 3), data, update_rule="adamw", verbose=False, num_epochs=1).train()


def test_clip_gradients(torch, rng, dtype, tol):
    gradients = {"W1": rng.randn(5, 4).astype(dtype), "b1": rng.randn(4).astype(dtype)}
    tensors = [torch.zeros(g.shape, dtype=torch.tensor(g).dtype, requires_grad=True) for g in gradients.values()]
    for tensor, gradient in zip(tensors, gradients.values(), strict=True):
        tensor.grad = torch.tensor(gradient)
    expected = float(torch.nn.utils.clip_grad_norm_(tensors, 0.5))
    assert optim.clip_gradients(gradients, 0.5) == pytest.approx(expected, rel=1e-6)
    for tensor, gradient in zip(tensors, gradients.values(), strict=True):
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-5)
    with pytest.raises(ValueError, match="clip_norm must be positive, got 0"):
        optim.clip_gradients(gradients, 0)


def test_clipping_is_that_of_a_training_loop_in_pytorch(torch, rng):
    """With the penalty as weight_decay, which clip_grad_norm_ does not see."""
    X, y = rng.randn(20, 5), rng.randint(3, size=20)
    net = FullyConnected([4], 5, 3, reg=0.5, weight_scale="he", dtype=np.float64, random_state=0)
    w = {name: torch.tensor(value.copy(), requires_grad=True) for name, value in net.params.items()}
    groups = [
        {"params": [w["W1"], w["W2"]], "weight_decay": 0.5},
        {"params": [w["b1"], w["b2"]], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    norms = []
    for _ in range(5):
        optimizer.zero_grad()
        scores = torch.relu(torch.tensor(X) @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"]
        torch.nn.functional.cross_entropy(scores, torch.tensor(y)).backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(list(w.values()), 0.1)))
        optimizer.step()
    assert min(norms) > 0.1
    options = {"update_rule": "sgd_momentum", "optim_config": {"learning_rate": 0.1}, "clip_norm": 0.1}
    Solver(net, {"X_train": X, "y_train": y}, **options, verbose=False, num_iters=5, random_state=0).train()
    for name, value in w.items():
        np.testing.assert_allclose(net.params[name], value.detach().numpy(), rtol=1e-4)  # PyTorch's 1e-6 in it


def test_clipping_where_a_net_has_its_own_loss(rng):
    """To the weights of the library's nets, and without a change to the arrays that it returns."""
    returned = []

    class Own(FullyConnected):
        def loss(self, X, y=None, sample_weight=None):
            result = super().loss(X, y, sample_weight)
            if y is not None:
                returned.append((result[1], {name: grad.copy() for name, grad in result[1].items()}))
            return result

    data = {"X_train": rng.randn(20, 5), "y_train": rng.randint(3, size=20)}
    nets = [cls([4], 5, 3, dtype=np.float64, weight_scale="he", random_state=0) for cls in (FullyConnected, Own)]
    for net in nets:
        Solver(net, data, clip_norm=0.01, verbose=False, num_epochs=4, batch_size=8, random_state=0).train()
    for name, value in nets[0].params.items():
        np.testing.assert_allclose(nets[1].params[name], value, rtol=1e-12)
    assert len(returned) == 12
    assert all((grads[name] == kept[name]).all() for grads, kept in returned for name in grads)


@pytest.mark.parametrize("name", [name for name, rule in optim.UPDATE_RULES.items() if not rule.full_batch])
def test_a_buffer_that_is_the_gradient_or_the_state_is_refused_before_it_is_written(name):
    w, dw = np.arange(4.0), np.arange(4.0) + 1
    rule, arrays = getattr(optim, name), optim.UPDATE_RULES[name].arrays
    _, config = rule(w, dw)
    state = {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in config.items()}
    for label, buffer in (("dw", dw), *((f"config['{array}']", config[array]) for array in arrays)):
        before = buffer.copy()
        with pytest.raises(ValueError, match=re.escape(f"out must not overlap {label}.")):
            rule(w, dw, config, out=buffer)
        np.testing.assert_array_equal(buffer, before)
    for array in arrays:
        with pytest.raises(ValueError, match=re.escape(f"config['{array}'] must not overlap dw.")):
            rule(w, config[array], config)
    assert config.keys() == state.keys()
    for key, value in state.items():
        np.testing.assert_array_equal(config[key], value)
    np.testing.assert_array_equal(w, np.arange(4.0))
