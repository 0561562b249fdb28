"""The table of the estimators' parameters: rows, docstrings, checks, spellings, and what 'auto' stands for."""

import inspect
import pickle
import re
from collections import OrderedDict, UserDict
from fractions import Fraction

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_class_weight_classifiers

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, ThreeLayerConvNet, TwoLayerNet, load, optim
from sklearn_dl._parameters import SETTINGS, documented, resolve_lengths
from sklearn_dl.nets import FullyConnected, Net
from sklearn_dl.nets.layers import Affine, ReLU

from ._estimators import ESTIMATORS, RULES, assert_same, blobs, each_estimator, learned, small

X, y = blobs()

# The defaults that differ from one estimator to another.
OWN_DEFAULTS = {"weight_scale", "lr_schedule", "reg", "batch_size", "tol"}
# Checked by the net that they describe.
OF_THE_NET = {"normalization", "dropout_keep_ratio", "num_filters", "filter_size"}

each_parameter = pytest.mark.parametrize(
    ("cls", "name"),
    [pytest.param(cls, name, id=f"{cls.__name__}-{name}") for cls in ESTIMATORS for name in cls().get_params()],
)


# ------------------------------------------------------------------ the table


def test_the_table_has_the_parameters_of_all_estimators():
    assert set(SETTINGS) == {name for cls in [*ESTIMATORS, FullyConnectedRegressor] for name in cls().get_params()}
    assert all(setting.name == name for name, setting in SETTINGS.items())
    assert {name for name, setting in SETTINGS.items() if setting.check is None} == OF_THE_NET


def test_estimators_have_the_same_defaults():
    defaults = {}
    for cls in ESTIMATORS:
        for name, value in cls().get_params().items():
            defaults.setdefault(name, set()).add(repr(value))
    assert {name for name, values in defaults.items() if len(values) > 1} <= OWN_DEFAULTS


@each_parameter
def test_defaults_pass_their_check(cls, name):
    if SETTINGS[name].check is not None:
        SETTINGS[name].check(name, cls().get_params()[name])


@each_estimator
def test_docstrings_are_filled(cls):
    text = inspect.getdoc(cls)
    assert not re.search(r"\{[a-z_]+\}", text)
    assert max(map(len, text.splitlines())) <= 120


@each_estimator
def test_docstrings_say_what_update_rules_take(cls):
    text = " ".join(inspect.getdoc(cls).split())
    attributes = ["auto_rate_linear"] if cls is Softmax else ["auto_rate"]
    if cls is FullyConnectedNet:
        attributes.append("auto_rate_linear")
    for name, rule in optim.UPDATE_RULES.items():
        assert repr(name) in text
        assert rule.full_batch or all(f"{getattr(rule, attribute):g} for {name}" in text for attribute in attributes)
        for constant in rule.constants.values():
            assert constant.name == "learning_rate" or f"{constant.name} : {constant.kind}, default=None" in text


def test_the_constants_of_all_rules_are_parameters():
    names = {name for rule in optim.UPDATE_RULES.values() for name in rule.constants}
    assert names == {constant.name for constant in optim.CONSTANTS}
    assert all(names <= set(cls().get_params()) for cls in ESTIMATORS)


def test_a_class_without_docstring_stays_without():
    class Bare(TwoLayerNet):
        pass

    Bare.__doc__ = None
    assert documented()(Bare).__doc__ is None


# ---------------------------------------- constants are called what the user calls them


@each_estimator
@pytest.mark.parametrize("rule", ["adagrad", "rmsprop", "adam"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("dtype", ["auto", "float32", np.float32])
def test_epsilon_is_checked_for_the_dtype_of_the_net(cls, rule, method, dtype):
    arguments = {} if method == "fit" else {"classes": [0, 1, 2]}
    wanted = "must be at least 1e-29 for float32 weights, as smaller numbers vanish in the arithmetic, got 1e-35"
    for given, called in (
        ({"epsilon": 1e-35}, "epsilon"),
        ({"optim_config": {"epsilon": 1e-35}}, "optim_config['epsilon']"),
    ):
        estimator = small(cls, update_rule=rule, dtype=dtype, **given)
        with pytest.raises(ValueError, match=f"^{re.escape(f'{called} {wanted}')}"):
            getattr(estimator, method)(X, y, **arguments)
        assert not hasattr(estimator, "params_")
        estimator.set_params(dtype="float64")
        getattr(estimator, method)(X, y, **arguments)
    # float64 data is computed in float64 by itself.
    getattr(small(cls, update_rule=rule, epsilon=1e-35), method)(X.astype(np.float64), y, **arguments)


@each_estimator
def test_epsilon_is_checked_again_for_a_net_that_is_trained_on(cls):
    estimator = small(cls, warm_start=True).fit(X, y)
    before = learned(estimator)
    estimator.set_params(epsilon=1e-35)
    with pytest.raises(ValueError, match=r"^epsilon must be at least 1e-29 for float32 weights"):
        estimator.fit(X.astype(np.float64), y)  # the net stays in float32
    for name, value in learned(estimator).items():
        np.testing.assert_array_equal(value, before[name])


@each_estimator
@pytest.mark.parametrize("rule", RULES)
def test_constants_of_other_rules_are_checked_for_their_range_alone(cls, rule):
    values = {"momentum": 2, "decay_rate": 2, "beta1": 1, "beta2": 1, "epsilon": 0}
    for name, value in values.items():
        with pytest.raises(ValueError, match=f"^{name} == {value}"):
            small(cls, update_rule=rule, **{name: value}).fit(X, y)
    if "epsilon" not in optim.UPDATE_RULES[rule].constants:
        small(cls, update_rule=rule, epsilon=1e-35).fit(X, y)


@each_estimator
@pytest.mark.parametrize("rule", RULES)
def test_each_constant_in_optim_config_is_named_there(cls, rule):
    for name in optim.UPDATE_RULES[rule].constants:
        if name == "learning_rate":
            continue
        estimator = small(cls, update_rule=rule, optim_config={name: -1})
        with pytest.raises(ValueError, match=rf"^optim_config\['{name}'\] must be .*, got -1\.$"):
            estimator.fit(X, y)


@each_estimator
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_constant_that_is_taken_back_is_the_default_again(cls, method):
    twins = [small(cls, update_rule="sgd_momentum", momentum=0.5, warm_start=True).fit(X, y) for _ in range(2)]
    getattr(twins[0].set_params(momentum=None), method)(X, y)
    getattr(twins[1].set_params(momentum=0.9), method)(X, y)
    assert_same(*twins)


# ------------------------------------------------------------------ spellings

# Each parameter as written in Python, and in other words that mean the same.
SPELLINGS = {
    "learning_rate": (0.25, [np.float64(0.25), np.float32(0.25), np.float16(0.25)]),
    "lr_decay": (0.5, [np.float32(0.5), np.float64(0.5)]),
    "lr_schedule": ("cosine", [np.str_("cosine")]),
    "reg": (1.0, [1, np.float32(1), np.int64(1)]),
    "num_epochs": (2, [np.int64(2), np.uint8(2), np.int32(2)]),
    "num_iters": (5, [np.int64(5), np.uint16(5)]),
    "batch_size": (16, [np.int64(16), np.uint8(16)]),
    "shuffle": (False, [np.False_]),
    "update_rule": ("rmsprop", [np.str_("rmsprop")]),
    "optim_config": (
        {"beta1": 0.5},
        [{np.str_("beta1"): np.float32(0.5)}, OrderedDict(beta1=0.5), UserDict(beta1=0.5)],
    ),
    "beta1": (0.0, [0, np.int64(0), np.float32(0)]),
    "beta2": (0.5, [np.float64(0.5), np.float32(0.5), Fraction(1, 2)]),
    "epsilon": (0.125, [np.float32(0.125), np.float16(0.125)]),
    "momentum": (1.0, [1, np.int8(1)]),
    "decay_rate": (0.5, [np.float32(0.5)]),
    "clip_norm": (0.125, [np.float32(0.125), Fraction(1, 8)]),
    "loss": ("hinge", [np.str_("hinge")]),
    "label_smoothing": (0.125, [np.float32(0.125), Fraction(1, 8)]),
    "weight_scale": (0.125, [np.float32(0.125), np.float64(0.125)]),
    "dtype": (
        "float64",
        [np.float64, np.dtype("float64"), np.dtype(float), "f8", "double", float, np.str_("float64"), "<f8"],
    ),
    "tol": (1.0, [1, np.float32(1), np.int64(1)]),
    "n_iter_no_change": (4, [np.int64(4), np.uint8(4)]),
    "early_stopping": (True, [np.True_]),
    "validation_fraction": (0.25, [np.float32(0.25)]),
    "monitor": ("loss", [np.str_("loss")]),
    "class_weight": (
        {0: 2.0, 1: 1.0},
        [
            {np.int64(0): np.float32(2), np.int8(1): 1},
            dict(zip(np.arange(2), np.array([2.0, 1.0]), strict=True)),
            UserDict({0: 2, 1: 1}),
        ],
    ),
    "random_state": (3, [np.int64(3), np.uint32(3)]),
    "verbose": (0, [False, np.False_, np.int64(0)]),
    "warm_start": (True, [np.True_]),
    "checkpoint": (None, []),  # test_estimator_checkpoints
    "checkpoint_interval": (1.0, [1, np.float32(1), np.int64(1)]),
    "hidden_dim": (5, [np.int64(5), np.uint8(5)]),
    "hidden_dims": ((5,), [5, np.int64(5), [5], np.array([5]), np.array([5], np.uint8), (np.int32(5),), range(5, 6)]),
    "activation": ("tanh", [np.str_("tanh")]),
    "normalization": ("batchnorm", [np.str_("batchnorm")]),
    "dropout_keep_ratio": (0.5, [np.float32(0.5)]),
    "num_filters": (3, [np.int64(3)]),
    "filter_size": (1, [np.int64(1)]),
    "input_shape": ((1, 2, 8), [[1, 2, 8], np.array([1, 2, 8]), (np.int64(1), 2, 8)]),
    "augmentation": (("flip",), ["flip", ["flip"], np.str_("flip")]),
}
# What `save` and skops refuse: types that neither NumPy nor this package has.
ONLY_PICKLED = (OrderedDict, UserDict, range, Fraction)


SPELLED = [
    pytest.param(cls, name, SPELLINGS[name][0], other, id=f"{cls.__name__}-{name}-{other!r}"[:70])
    for cls in ESTIMATORS
    for name in cls().get_params()
    for other in SPELLINGS[name][1]
]
each_spelling = pytest.mark.parametrize(("cls", "name", "plain", "other"), SPELLED)
each_trusted_spelling = pytest.mark.parametrize(
    ("cls", "name", "plain", "other"), [case for case in SPELLED if not isinstance(case.values[3], ONLY_PICKLED)]
)


@each_spelling
def test_other_spellings_mean_the_same(cls, name, plain, other, tmp_path):
    estimator = small(cls).set_params(**{name: other})
    assert getattr(estimator, name) is other
    copied = clone(estimator)
    assert type(getattr(copied, name)) is type(other)
    copied.fit(X, y)
    assert_same(copied, small(cls).set_params(**{name: plain}).fit(X, y))
    assert_same(pickle.loads(pickle.dumps(copied)), copied)
    if isinstance(other, ONLY_PICKLED):
        with pytest.raises(TypeError, match=f"parameter {name} of {cls.__name__} cannot be saved"):
            copied.save(tmp_path / "net")
        return
    copied.save(tmp_path / "net")
    loaded = load(tmp_path / "net")
    assert type(getattr(loaded, name)) is type(other)
    np.testing.assert_equal(getattr(loaded, name), other)
    assert_same(loaded.partial_fit(X, y), copied.partial_fit(X, y))


@each_trusted_spelling
def test_other_spellings_go_through_skops(cls, name, plain, other):
    io = pytest.importorskip("skops.io", reason="skops is not installed")
    from sklearn_dl.persistence import SKOPS_TRUSTED

    estimator = small(cls).set_params(**{name: other}).fit(X, y)
    loaded = io.loads(io.dumps(estimator), trusted=SKOPS_TRUSTED)
    np.testing.assert_equal(getattr(loaded, name), other)
    assert_same(loaded, estimator)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("hidden_dims", [7, (7,), [5, 4], (5, 5)]),
        ("hidden_dims", np.array([3, 4])),
        ("hidden_dims", [7, np.array([5, 4])]),
        ("dtype", [np.float32, np.dtype("float64"), "float32", "auto"]),
        ("learning_rate", ["auto", *np.logspace(-3, -1, 2)]),
        ("update_rule", np.array(["sgd", "adam"])),
        ("num_epochs", ["auto", np.int64(3)]),
        ("n_iter_no_change", ["auto", np.int64(3)]),
    ],
)
def test_searches_over_spellings(name, values):
    search = GridSearchCV(small(FullyConnectedNet, num_epochs=2), {name: values}, cv=2, error_score="raise")
    search.fit(X, y)
    assert len(search.cv_results_["params"]) == len(values)
    assert search.best_estimator_.predict(X).shape == y.shape


@pytest.mark.parametrize("value", [np.array(0.5), np.array([0.5]), 0.5j, "0.5"])
@pytest.mark.parametrize("name", ["learning_rate", "reg", "tol", "beta1", "validation_fraction"])
def test_numbers_that_are_no_scalars_are_named(name, value):
    with pytest.raises((TypeError, ValueError), match=rf"^{name} (must be|==)"):
        small(TwoLayerNet, early_stopping=True, **{name: value}).fit(X, y)


@each_estimator
@pytest.mark.parametrize("generator", [np.random.default_rng(0), np.random.PCG64(0), np.random.SeedSequence(0)])
def test_generators_of_the_new_kind_are_refused_as_by_scikit_learn(cls, generator):
    with pytest.raises(ValueError, match=r"(?s)^random_state=.*cannot be used to seed a numpy\.random\.RandomState"):
        small(cls, random_state=generator).fit(X, y)


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (FullyConnectedNet, "hidden_dims", lambda: iter([5, 4])),
        (FullyConnectedNet, "hidden_dims", lambda: (dim for dim in (5, 4))),
        (FullyConnectedNet, "hidden_dims", lambda: map(int, "54")),
        (ThreeLayerConvNet, "input_shape", lambda: iter([1, 4, 4])),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_can_be_read_once_is_no_parameter(cls, name, value, method):
    """A net of no hidden layers would come of it."""
    net = small(cls).set_params(**{name: value()})
    with pytest.raises(TypeError, match=f"^{name} must be a sequence, such as a tuple, got <"):
        getattr(net, method)(X, y, **({"classes": [0, 1, 2]} if method == "partial_fit" else {}))


@pytest.mark.parametrize("hidden_dims", [5, np.int64(5), [5], np.array([5]), (5,)])
def test_nets_take_the_same_spellings(hidden_dims):
    nets = [FullyConnected(dims, 16, 3, random_state=0) for dims in (hidden_dims, (5,))]
    for name, value in nets[0].params.items():
        np.testing.assert_array_equal(value, nets[1].params[name])


@pytest.mark.parametrize("input_shape", [4, np.int64(4), [4], (4,)])
@pytest.mark.parametrize("dtype", [np.float64, "float64", np.dtype("f8"), float])
def test_any_net_takes_the_same_spellings(input_shape, dtype):
    net = Net([Affine(8), ReLU(), Affine(3)], input_shape, dtype=dtype, random_state=0)
    assert net.input_shape == (4,)
    assert net.params["W1"].dtype == np.float64


# ----------------------------------------------------------------- what 'auto' is


def test_lengths_of_auto():
    auto = {"num_epochs": "auto", "n_iter_no_change": "auto", "tol": "auto"}
    others = {"reg": 0.5, "batch_size": 20, "update_rule": "adam", "planned": False, "early_stopping": False}
    params = {**auto, **others}
    large, single = {"num_epochs": 100, "n_iter_no_change": 10}, {"num_epochs": 1000, "n_iter_no_change": 50}
    for n_rows, lengths in ((None, large), (21, large), (20, single), (3, single)):
        assert resolve_lengths(params, n_rows) == {**lengths, "tol": 1e-4, **others}
    full = {**params, "update_rule": "lbfgs"}
    assert resolve_lengths(full, 999) == {**full, **single, "tol": 1e-4}
    given = {**others, "num_epochs": 7, "n_iter_no_change": 3, "tol": None}
    assert resolve_lengths(given, 20) == given


@each_estimator
def test_sets_of_one_minibatch_get_more_epochs(cls):
    """Which of the two it is goes by the samples that are trained on; what is given is taken as given."""
    still = {"learning_rate": 0, "num_epochs": "auto", "batch_size": 50}
    for n_samples, params, epochs in (
        (50, {"tol": None}, 1000),
        (51, {"tol": None}, 100),
        (55, {"tol": None, "early_stopping": True}, 1000),
        (50, {"tol": None, "num_epochs": 100}, 100),
        (50, {"tol": 1e-6}, 50 + 2),
        (51, {"tol": 1e-6}, 10 + 2),
        (50, {"tol": 1e-6, "n_iter_no_change": 10}, 10 + 2),
        (51, {"tol": 1e-6, "n_iter_no_change": 50}, 50 + 2),
    ):
        data = blobs(n_samples)
        estimator = small(cls, **{**still, **params}, dtype="float64")
        if cls is ThreeLayerConvNet and params.get("tol", 0) is None:
            estimator.set_params(num_filters=1, hidden_dim=1)
        assert estimator.fit(*data).n_iter_ == epochs, (n_samples, params)


@each_estimator
def test_weights_decide_how_many_samples_there_are(cls):
    data = blobs(60)
    still = small(cls, learning_rate=0, num_epochs="auto", tol=1e-3, batch_size=50)
    weight = np.ones(60)
    assert still.fit(*data, sample_weight=weight).n_iter_ == 12
    weight[::3] = 0
    assert still.fit(*data, sample_weight=weight).n_iter_ == 52


@each_estimator
def test_larger_sets_train_as_with_the_numbers(cls):
    data = blobs(80)
    params = {"num_epochs": "auto", "batch_size": 64, "tol": 1e-2}
    assert_same(
        small(cls, **params).fit(*data), small(cls, **{**params, "num_epochs": 100}, n_iter_no_change=10).fit(*data)
    )


@each_estimator
def test_partial_fit_is_one_epoch_whatever_the_size(cls):
    estimator = small(cls, num_epochs="auto", batch_size=64).partial_fit(X, y, classes=[0, 1, 2])
    assert estimator.n_iter_ == len(estimator.loss_history_) == 1


@each_estimator
def test_a_schedule_of_parts_is_as_long_as_auto_says(cls):
    estimator = small(cls, num_epochs="auto", lr_schedule="cosine", batch_size=64)
    for _ in range(100):
        estimator.partial_fit(X, y, classes=[0, 1, 2])
    assert estimator.learning_rate_history_[-1] < 0.01 * estimator.learning_rate_history_[0]
    with pytest.raises(ValueError, match="lr_schedule='cosine' has come to its end, that of num_epochs=100: to go on"):
        estimator.partial_fit(X, y)


@each_estimator
def test_a_schedule_spans_what_auto_says(cls):
    estimator = small(cls, num_epochs="auto", lr_schedule="linear", batch_size=64)
    if cls is ThreeLayerConvNet:
        estimator.set_params(num_filters=1, hidden_dim=2)
    rates = estimator.fit(X, y).learning_rate_history_
    assert len(rates) == 1000
    assert rates[500] == pytest.approx(rates[0] / 2, rel=1e-2)


@pytest.mark.parametrize("rule", RULES)
def test_without_hidden_layers_the_net_is_the_linear_one(rule):
    """With Softmax's learning rates and first weights, to the bit."""
    params = {"update_rule": rule, "num_epochs": 5}
    assert_same(
        FullyConnectedNet(hidden_dims=(), random_state=0, tol=None, **params).fit(X, y),
        Softmax(random_state=0, tol=None, **params).fit(X, y),
    )
    # The penalties differ by their factor, a decay does not.
    assert_same(
        FullyConnectedNet(hidden_dims=(), random_state=0, tol=None, reg=0.5, **params).fit(X, y),
        Softmax(random_state=0, tol=None, reg=0.5 if rule == "adamw" else 0.25, **params).fit(X, y),
    )


@pytest.mark.parametrize("hidden_dims", [(), [], np.array([], int)])
def test_without_hidden_layers_iris_is_learned(hidden_dims):
    data = load_iris(return_X_y=True)
    nets = FullyConnectedNet(hidden_dims=hidden_dims, random_state=0), Softmax(random_state=0)
    scores = [make_pipeline(StandardScaler(), net.set_params(tol=None)).fit(*data).score(*data) for net in nets]
    assert scores[0] == scores[1] > 0.96


def test_weight_scale_auto_goes_by_the_hidden_layers():
    pairs = [
        (small(Softmax, weight_scale="auto"), small(Softmax, weight_scale=1e-3)),
        (small(FullyConnectedNet), small(FullyConnectedNet, weight_scale="he")),
        (small(FullyConnectedNet, hidden_dims=()), small(FullyConnectedNet, hidden_dims=(), weight_scale=1e-3)),
        (small(TwoLayerNet, weight_scale="auto"), small(TwoLayerNet, weight_scale="he")),
        (small(ThreeLayerConvNet, weight_scale="auto"), small(ThreeLayerConvNet, weight_scale="he")),
    ]
    for auto, given in pairs:
        assert_same(auto.fit(X, y), given.fit(X, y))
    he = small(FullyConnectedNet, hidden_dims=(), weight_scale="he").fit(X, y)
    assert not np.array_equal(he.params_["W1"], pairs[2][0].params_["W1"])


# ------------------------------------------------------ defaults on sets of a few rows


@pytest.mark.parametrize(
    "estimator",
    [
        *(TwoLayerNet(hidden_dim=units) for units in (1, 2, 4, 5, 6, 7, 8, 20)),
        *(TwoLayerNet(hidden_dim=7, update_rule=rule) for rule in RULES),
        *(FullyConnectedNet(hidden_dims=dims) for dims in ((), 5, (7, 7), (10, 10, 10))),
        Softmax(),
        ThreeLayerConvNet(num_filters=2, filter_size=3, hidden_dim=4),
    ],
    ids=lambda estimator: " ".join(repr(estimator).split()),
)
def test_class_weights_prevail_on_fifty_rows(estimator):
    check_class_weight_classifiers(type(estimator).__name__, estimator)


@pytest.mark.parametrize("cls", [TwoLayerNet, FullyConnectedNet])
def test_thirty_rows_of_iris_are_enough(cls):
    """With 7 hidden units: 100 updates left .68 of the others right, MLPClassifier's 200 leave .75."""
    features, labels = load_iris(return_X_y=True)
    scaled = StandardScaler().fit_transform(features)
    sizes = {"hidden_dim": 7} if cls is TwoLayerNet else {"hidden_dims": 7}
    scores = []
    for seed in range(5):
        order = np.random.RandomState(seed).permutation(150)
        train, test = order[:30], order[30:]
        scores.append(
            cls(**sizes, random_state=seed).fit(scaled[train], labels[train]).score(scaled[test], labels[test])
        )
    assert np.mean(scores) > 0.9
