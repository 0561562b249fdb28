"""The four estimators: parameters, training, going on, what is learned."""

import copy
import inspect
import itertools
import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.utils.class_weight import compute_sample_weight

from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet, _base

from ._estimators import (
    ESTIMATORS,
    RULES,
    assert_differ,
    assert_same,
    batchnorm,
    blobs,
    each_estimator,
    each_hidden,
    learned,
    small,
)

# ---------------------------------------------------------------------------------- parameters

# Parameter -> (what else has to be set, a value that has to make a difference).
EFFECTS = {
    "learning_rate": ({}, 0.1),
    "lr_decay": ({}, 0.5),
    "lr_schedule": ({}, "cosine"),
    "reg": ({}, 0.5),
    "num_epochs": ({}, 4),
    "num_iters": ({}, 5),
    "batch_size": ({}, 10),
    "shuffle": ({}, False),
    "update_rule": ({}, "sgd"),
    "optim_config": ({}, {"beta1": 0.5}),
    "momentum": ({"update_rule": "sgd_momentum"}, 0.5),
    "decay_rate": ({"update_rule": "rmsprop"}, 0.5),
    "beta1": ({}, 0.5),
    "beta2": ({}, 0.5),
    "epsilon": ({}, 0.1),
    "weight_scale": ({}, 0.5),
    "dtype": ({}, "float64"),
    "tol": ({"num_epochs": 10, "n_iter_no_change": 2}, 100.0),
    "n_iter_no_change": ({"num_epochs": 10, "tol": 100.0}, 2),
    "early_stopping": ({}, True),
    "validation_fraction": ({"early_stopping": True}, 0.4),
    "class_weight": ({}, {0: 5.0}),
    "random_state": ({}, 1),
    "normalization": ({}, "batchnorm"),
    "dropout_keep_ratio": ({}, 0.5),
    "hidden_dim": ({}, 9),
    "hidden_dims": ({}, (8,)),
    "input_shape": ({}, (1, 2, 8)),
    "num_filters": ({}, 5),
    "filter_size": ({}, 1),
    "augmentation": ({}, "flip"),
}
ELSEWHERE = {"verbose", "warm_start", "monitor"}  # test_verbose, test_warm_start_*, test_validation_sets

effects = [
    pytest.param(cls, name, id=f"{cls.__name__}-{name}")
    for cls in ESTIMATORS
    for name in cls().get_params()
    if name not in ELSEWHERE
]


@pytest.mark.parametrize(("cls", "name"), effects)
def test_every_parameter_has_an_effect(cls, name):
    X, y = blobs()
    others, value = EFFECTS[name]
    before = small(cls, **others).fit(X, y)
    after = small(cls, **others).set_params(**{name: value}).fit(X, y)
    assert_differ(before, after, X)


@each_estimator
@pytest.mark.parametrize("rule", RULES)
def test_every_update_rule_learns(cls, rule):
    X, y = blobs(90, dtype=np.float64)
    estimator = small(cls, update_rule=rule, num_epochs=60)
    assert estimator.fit(X, y).score(X, y) > 0.95


@each_estimator
def test_parameters_are_kept_as_given(cls):
    given = {"learning_rate": np.float32(0.5), "optim_config": {"beta1": 0.5}, "random_state": 3}
    estimator = cls(**given)
    params = estimator.get_params()
    assert {name: params[name] for name in given} == given
    assert params["optim_config"] is given["optim_config"]
    copied = clone(estimator).get_params()
    assert copied == params
    estimator.set_params(num_epochs=7, batch_size=0)  # nothing is checked before fit
    assert (estimator.num_epochs, estimator.batch_size) == (7, 0)
    assert "num_epochs=7" in repr(estimator)
    assert "learning_rate" in repr(estimator)
    assert repr(cls()) == f"{cls.__name__}()"
    with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
        estimator.set_params(depth=3)


CONSTANTS = {
    "sgd": [],
    "sgd_momentum": ["momentum"],
    "adagrad": ["epsilon"],
    "rmsprop": ["decay_rate", "epsilon"],
    "adam": ["beta1", "beta2", "epsilon"],
}


@each_estimator
@pytest.mark.parametrize("rule", RULES)
def test_constants_of_the_update_rule(cls, rule):
    """A rule takes its own from the parameters, and ignores those of others."""
    X, y = blobs()
    values = {"momentum": 0.7, "decay_rate": 0.6, "beta1": 0.8, "beta2": 0.9, "epsilon": 0.1}
    estimator = small(cls, update_rule=rule, **values).fit(X, y)
    own = {name: values[name] for name in CONSTANTS[rule]}
    assert_same(estimator, small(cls, update_rule=rule, optim_config=own).fit(X, y))
    if len(own) > 1:  # one each way
        (name, value), *others = own.items()
        both = small(cls, update_rule=rule, optim_config=dict(others)).set_params(**{name: value})
        assert_same(estimator, both.fit(X, y))


@each_estimator
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_constant_given_twice(cls, method):
    X, y = blobs()
    estimator = small(cls, optim_config={"beta1": 0.5}, beta1=0.5)
    with pytest.raises(ValueError, match=r"beta1=0\.5 is also given as optim_config\['beta1'\]=0\.5"):
        getattr(estimator, method)(X, y)


@each_estimator
def test_the_constants_may_change_between_fits(cls):
    X, y = blobs()
    twins = [small(cls, update_rule="sgd_momentum", warm_start=True).fit(X, y) for _ in range(2)]
    twins[0].set_params(momentum=0.5).fit(X, y)
    twins[1].set_params(optim_config={"momentum": 0.5}).fit(X, y)
    assert_same(*twins)


@each_estimator
def test_parameters_are_keywords(cls):
    with pytest.raises(TypeError, match="positional"):
        cls(100)


@each_estimator
def test_fit_leaves_parameters_alone(cls):
    X, y = blobs()
    estimator = small(cls, optim_config={"beta1": 0.8}, class_weight={0: 2.0})
    before = copy.deepcopy(estimator.get_params())
    estimator.fit(X, y).predict(X)
    assert estimator.get_params() == before


def test_subclass_with_its_own_parameters():
    class Wide(TwoLayerNet):
        def __init__(self, *, width=3, random_state=None):
            super().__init__(hidden_dim=2 * width, num_epochs=2, random_state=random_state)
            self.width = width

    X, y = blobs()
    net = clone(Wide(width=5, random_state=0)).fit(X, y)
    assert net.params_["W1"].shape == (16, 10)
    assert set(net.get_params()) == {"width", "random_state"}


def documented(docstring, section):
    """Return {name: description} of a section of a numpydoc docstring."""
    lines = inspect.cleandoc(docstring).split("\n")
    start = lines.index(section) + 2
    found = {}
    for line, below in zip(lines[start:], [*lines[start + 1 :], ""], strict=True):
        if set(below) == {"-"}:
            break
        if line and not line.startswith(" "):
            names, _, kind = line.partition(" : ")
            found.update(dict.fromkeys(names.split(", "), kind))
    return found


@each_estimator
def test_class_docstring_is_the_signature(cls):
    kinds = documented(cls.__doc__, "Parameters")
    signature = inspect.signature(cls).parameters
    assert list(kinds) == list(signature)
    for name, kind in kinds.items():
        default = re.search(r"default=(.+)$", kind)[1]
        assert eval(default) == signature[name].default, name


@each_estimator
def test_class_docstring_lists_what_is_learned(cls):
    X, y = blobs()
    net = small(cls).fit(X, y)
    public = {name for name in dir(net) if re.fullmatch(r"[a-z].*_", name) and hasattr(net, name)}
    assert public | {"feature_names_in_"} == set(documented(cls.__doc__, "Attributes"))


@each_estimator
def test_method_docstrings_are_the_signatures(cls):
    methods = ["fit", "partial_fit", "predict", "predict_proba", "predict_log_proba"]
    for name in [*methods, "decision_function", "save", "load"]:
        method = getattr(cls, name)
        arguments = [arg for arg in inspect.signature(method).parameters if arg != "self"]
        assert list(documented(method.__doc__, "Parameters")) == arguments, name


# --------------------------------------------------------------------------- what the nets are


def initial(cls, X, y, **params):
    """Return the parameters that an estimator starts with."""
    return small(cls, learning_rate=0, **params).fit(X, y).params_


@each_estimator
def test_first_weights(cls):
    X, y = blobs()
    drawn = initial(cls, X, y, weight_scale=0.25)
    rng = np.random.RandomState(0)
    for name, value in drawn.items():
        if name.startswith("W"):
            expected = (0.25 * rng.randn(*value.shape)).astype(np.float32)
            np.testing.assert_array_equal(value, expected)
            fan_in, fan_out = (value[0].size, value[:, 0].size) if value.ndim == 4 else value.shape
            for scheme, scale in (
                ("he", np.sqrt(2 / fan_in)),
                ("xavier", np.sqrt(2 / (fan_in + fan_out))),
            ):
                scaled = initial(cls, X, y, weight_scale=scheme)[name]
                np.testing.assert_allclose(scaled, value * (scale / 0.25), rtol=1e-6)
        else:
            assert not value.any()


@each_estimator
def test_penalty(cls):
    X, y = blobs(dtype=np.float64)
    weights = initial(cls, X, y, weight_scale=0.3)
    squares = sum((w**2).sum() for name, w in weights.items() if name.startswith("W"))
    losses = [small(cls, weight_scale=0.3, reg=reg, num_iters=1).fit(X, y).loss_history_[0] for reg in (0, 0.1)]
    # Softmax's published tables have no half.
    factor = 1 if cls is Softmax else 0.5
    assert losses[1] - losses[0] == pytest.approx(factor * 0.1 * squares)


def test_softmax_finds_the_optimum_of_logistic_regression():
    X, y = blobs(60, dtype=np.float64)
    net = Softmax(reg=0.01, num_epochs=2000, batch_size=60, learning_rate=0.05, tol=None)
    net.set_params(lr_decay=0.998, random_state=0).fit(X, y)
    reference = LogisticRegression(C=1 / (2 * 0.01 * 60), tol=1e-8, max_iter=5000).fit(X, y)
    np.testing.assert_allclose(net.params_["W1"].T, reference.coef_, atol=1e-4)
    np.testing.assert_allclose(net.predict_proba(X), reference.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("hidden_dims", [(), [5], (4, 3, 2), np.array([4, 3])], ids=len)
def test_hidden_dims(hidden_dims):
    X, y = blobs()
    params = FullyConnectedNet(hidden_dims=hidden_dims, num_epochs=1).fit(X, y).params_
    sizes = [16, *hidden_dims, 3]
    shapes = [params[f"W{i + 1}"].shape for i in range(len(params) // 2)]
    assert shapes == list(itertools.pairwise(sizes))


def test_two_layer_net_is_a_fully_connected_net():
    X, y = blobs()
    two = small(TwoLayerNet, hidden_dim=7, normalization="batchnorm", dropout_keep_ratio=0.8)
    any_depth = small(FullyConnectedNet, hidden_dims=[7], normalization="batchnorm", dropout_keep_ratio=0.8)
    assert_same(two.fit(X, y), any_depth.fit(X, y))


# ------------------------------------------------------------------------------------ training


@each_estimator
def test_learned_attributes(cls):
    X, y = blobs()
    estimator = small(cls).fit(X, y)
    np.testing.assert_array_equal(estimator.classes_, [0, 1, 2])
    assert estimator.n_features_in_ == 16
    assert not hasattr(estimator, "feature_names_in_")
    assert estimator.n_iter_ == 3
    assert len(estimator.loss_history_) == 3 * 4  # 50 samples are four minibatches
    assert len(estimator.train_acc_history_) == 3 + 1  # before training as well
    assert estimator.train_acc_history_[-1] == pytest.approx(estimator.score(X, y))
    assert estimator.val_acc_history_ == []
    assert estimator.best_val_score_ is None
    assert estimator.running_stats_ == {}
    assert all(type(loss) is float for loss in estimator.loss_history_)
    assert ("input_shape_" in vars(estimator)) == (cls is ThreeLayerConvNet)


@each_hidden
def test_running_statistics(cls):
    X, y = blobs()
    estimator = small(cls, normalization="batchnorm").fit(X, y)
    depth = 2 if cls is FullyConnectedNet else 1
    assert set(estimator.running_stats_) == {f"running_{what}{i + 1}" for what in ("mean", "var") for i in range(depth)}
    assert all(value.any() for value in estimator.running_stats_.values())


@each_estimator
@pytest.mark.parametrize("num_iters", [1, 3, 4, 5, 12, 14])
def test_num_iters_is_exact(cls, num_iters):
    X, y = blobs()  # four minibatches an epoch
    # tol would stop at once, if it counted
    estimator = small(cls, num_iters=num_iters, num_epochs=1, tol=100.0, n_iter_no_change=1)
    estimator.fit(X, y)
    assert len(estimator.loss_history_) == num_iters
    assert estimator.n_iter_ == -(-num_iters // 4)


def test_num_iters_of_whole_epochs_are_those_epochs():
    X, y = blobs()
    assert_same(small(TwoLayerNet, num_iters=8).fit(X, y), small(TwoLayerNet, num_epochs=2).fit(X, y))


@each_estimator
def test_same_random_state_same_bits(cls, use_threads):
    X, y = blobs(120)
    params = {"dropout_keep_ratio": 0.7} if "dropout_keep_ratio" in cls().get_params() else {}
    use_threads(1)
    first = small(cls, **params).fit(X, y)
    assert_same(first, small(cls, **params).fit(X, y))
    assert_same(first, first.fit(X, y))
    assert_same(first, small(cls, **params, random_state=np.random.RandomState(0)).fit(X, y))
    use_threads(2)
    assert_same(first, small(cls, **params).fit(X, y))
    assert_differ(first, small(cls, **params, random_state=1).fit(X, y), X)


@each_estimator
def test_no_random_state_is_the_global_one(cls):
    X, y = blobs()
    np.random.seed(5)
    first = small(cls, random_state=None).fit(X, y)
    assert_differ(first, small(cls, random_state=None).fit(X, y), X)
    assert_same(first, small(cls, random_state=5).fit(X, y))


@each_estimator
def test_random_state_instance_goes_on(cls):
    X, y = blobs()
    rng = np.random.RandomState(0)
    first, second = (small(cls, random_state=rng).fit(X, y) for _ in range(2))
    assert_differ(first, second, X)


@each_estimator
@pytest.mark.parametrize("verbose", [0, False, 1, True, 2])
def test_verbose(cls, verbose, capsys):
    X, y = blobs()
    loud = small(cls, verbose=verbose, num_iters=11).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    epochs = [line for line in lines if re.fullmatch(r"\(Epoch \d/3\) (loss: \S+; )?train acc: [01]\.\d{6}", line)]
    updates = [line for line in lines if re.fullmatch(r"\(Iteration \d+/11\) loss: \d\.\d{6}", line)]
    assert len(epochs) == (4 if verbose else 0)
    assert len(updates) == (2 if verbose == 2 else 0)
    ending = ["Training ended after epoch 3: all updates are done."] if verbose else []
    assert lines[len(epochs) + len(updates) :] == ending
    assert_same(loud, small(cls, num_iters=11).fit(X, y))


# -------------------------------------------------------------------- stopping, validation set


@each_estimator
@pytest.mark.parametrize("n_iter_no_change", [1, 4])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_stops_when_mlpclassifier_does(cls, n_iter_no_change, early_stopping):
    X, y = blobs()
    shared = {
        "tol": 1e-3,
        "n_iter_no_change": n_iter_no_change,
        "early_stopping": early_stopping,
        "random_state": 0,
    }
    ours = small(cls, num_epochs=30, learning_rate=0, **shared).fit(X, y)
    theirs = MLPClassifier(learning_rate_init=1e-30, max_iter=30, **shared).fit(X, y)
    assert ours.n_iter_ == theirs.n_iter_ == n_iter_no_change + 2


@each_estimator
def test_early_stopping_waits_longer_where_an_epoch_is_one_update(cls):
    X, y = blobs()
    params = {"learning_rate": 0, "batch_size": 64, "num_epochs": 100, "tol": 0}
    estimator = small(cls, early_stopping=True, n_iter_no_change=2, **params)
    assert estimator.fit(X, y).n_iter_ == 50 + 2
    assert estimator.set_params(n_iter_no_change=60).fit(X, y).n_iter_ == 60 + 2
    assert estimator.set_params(early_stopping=False, n_iter_no_change=2).fit(X, y).n_iter_ == 4


@each_estimator
def test_tol_none_never_stops(cls):
    X, y = blobs()
    assert small(cls, learning_rate=0, num_epochs=15, n_iter_no_change=1).fit(X, y).n_iter_ == 15


def test_tol_is_measured_from_the_best_loss():
    X, y = blobs()
    estimator = small(TwoLayerNet, num_epochs=400, tol=0.01, n_iter_no_change=3, batch_size=50)
    losses = np.array(estimator.fit(X, y).loss_history_)  # one minibatch an epoch
    gains = np.minimum.accumulate(losses)[:-1] - losses[1:] > 0.01
    last_gain = np.flatnonzero(gains)[-1] + 2
    assert estimator.n_iter_ == last_gain + 3 + 1 < 400


@pytest.fixture
def data_seen(monkeypatch):
    """Return what solvers of the estimators were given."""
    seen = []

    class Spy(_base.Solver):
        def __init__(self, net, data, **kwargs):
            seen.append(data)
            super().__init__(net, data, **kwargs)

    monkeypatch.setattr(_base, "Solver", Spy)
    return seen


@each_estimator
@pytest.mark.parametrize("fraction", [0.1, 0.25])
def test_early_stopping_sets_a_stratified_share_aside(cls, fraction, data_seen):
    X, y = blobs(120)
    estimator = small(cls, early_stopping=True, validation_fraction=fraction).fit(X, y)
    (data,) = data_seen
    train, val = data["rows_train"], data["rows_val"]
    np.testing.assert_array_equal(np.sort(np.concatenate([train, val])), np.arange(120))
    np.testing.assert_array_equal(np.bincount(data["y_val"][val]), [40 * fraction] * 3)
    assert len(estimator.loss_history_) == 3 * -(-len(train) // 16)
    assert len(estimator.val_acc_history_) == estimator.n_iter_ + 1


def test_early_stopping_where_a_class_cannot_be_split(data_seen):
    X, y = blobs(40)
    y[0] = 7
    small(TwoLayerNet, early_stopping=True).fit(X, y)
    assert len(data_seen[0]["rows_val"]) == 4


def test_early_stopping_leaves_samples_of_no_weight_out(data_seen):
    X, y = blobs(60)
    weight = np.arange(60) % 2.0
    small(TwoLayerNet, early_stopping=True).fit(X, y, weight)
    rows = np.concatenate([data_seen[0]["rows_train"], data_seen[0]["rows_val"]])
    np.testing.assert_array_equal(np.sort(rows), np.arange(1, 60, 2))


@each_estimator
@pytest.mark.parametrize("early_stopping", [False, True])
def test_best_weights_are_kept(cls, early_stopping):
    X, y = blobs(60, spread=3)
    X_val, y_val = blobs(40, spread=3, seed=3)
    # batchnorm, because its running statistics belong to the weights
    params = {"early_stopping": early_stopping, "num_epochs": 20, **batchnorm(cls)}
    params["learning_rate"] = 0.05
    estimator = small(cls, **params).fit(X, y, X_val=X_val, y_val=y_val)
    history = estimator.val_acc_history_
    assert len(history) == estimator.n_iter_ + 1 == 21
    assert estimator.best_val_score_ == max(history)
    assert estimator.score(X_val, y_val) == pytest.approx(max(history))
    assert history[-1] < max(history)  # or the test would show nothing
    # of the best ones, the latest
    best = len(history) - 1 - np.argmax(history[::-1])
    again = small(cls, **{**params, "num_epochs": max(best, 1)}).fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_array_equal(estimator.predict_proba(X), again.predict_proba(X))


@each_estimator
def test_early_stopping_watches_the_given_validation_set(cls, data_seen):
    X, y = blobs(60)
    estimator = small(cls, early_stopping=True, learning_rate=0, tol=0, n_iter_no_change=2)
    estimator.set_params(num_epochs=30).fit(X, y, X_val=X[:20], y_val=y[:20])
    assert estimator.n_iter_ == 4
    assert data_seen[0]["rows_train"] is None  # nothing set aside
    assert len(data_seen[0]["X_val"]) == 20


@each_estimator
def test_early_stopping_can_end_num_iters(cls):
    X, y = blobs(60)
    estimator = small(cls, early_stopping=True, learning_rate=0, tol=0, n_iter_no_change=2)
    assert estimator.set_params(num_iters=500).fit(X, y).n_iter_ == 4


@each_estimator
def test_weights_of_the_validation_set_repeat_it(cls):
    X, y = blobs(60, spread=3)
    X_val, y_val = blobs(30, spread=3, seed=1)
    weight = np.arange(30) % 4
    weighted = small(cls).fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    repeated = small(cls).fit(X, y, X_val=np.repeat(X_val, weight, axis=0), y_val=np.repeat(y_val, weight))
    np.testing.assert_allclose(weighted.val_acc_history_, repeated.val_acc_history_, rtol=1e-12)
    np.testing.assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))


# -------------------------------------------------------------------------------- predictions


@each_estimator
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_predictions_agree(cls, n_classes, dtype):
    X, y = blobs(60, n_classes, dtype)
    labels = np.array(["ant", "bee", "cat", "dog", "elk"])[y]
    estimator = small(cls).fit(X, labels)
    probabilities = estimator.predict_proba(X)
    assert probabilities.shape == (60, n_classes)
    assert probabilities.dtype == np.float64  # whatever the net computes in
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-14)
    log_probabilities = estimator.predict_log_proba(X)
    np.testing.assert_allclose(np.exp(log_probabilities), probabilities, rtol=1e-12)
    best = estimator.classes_[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(estimator.predict(X), best)
    assert estimator.score(X, labels) == np.mean(best == labels)
    scores = estimator.decision_function(X)
    assert scores.dtype == dtype
    eps = np.finfo(dtype).eps
    if n_classes == 2:
        assert scores.shape == (60,)
        np.testing.assert_array_equal(scores > 0, best == "bee")
        odds = log_probabilities[:, 1] - log_probabilities[:, 0]
        np.testing.assert_allclose(scores, odds, atol=100 * eps)
    else:
        shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
        expected = shifted / shifted.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(probabilities, expected, rtol=100 * eps)


@each_estimator
def test_log_probabilities_are_finite(cls, dtype):
    X, y = blobs(dtype=dtype)
    estimator = small(cls).fit(X, y)
    far = X * dtype(1e8)
    assert (estimator.predict_proba(far) == 0).any()
    assert np.isfinite(estimator.predict_log_proba(far)).all()
    assert estimator.predict_log_proba(far).min() < -1e5


@each_estimator
def test_predictions_do_not_depend_on_batching(cls, dtype):
    X, y = blobs(600, dtype=dtype)
    estimator = small(cls, **batchnorm(cls)).fit(X[:50], y[:50])
    whole = estimator.predict_proba(X)
    tolerance = {"rtol": 100 * np.finfo(dtype).eps}
    for size in (1, 7, 256, 257):
        parts = [estimator.predict_proba(X[i : i + size]) for i in range(0, 600, size)]
        np.testing.assert_allclose(np.concatenate(parts), whole, **tolerance)
    order = np.random.RandomState(0).permutation(600)
    np.testing.assert_allclose(estimator.predict_proba(X[order]), whole[order], **tolerance)


@each_estimator
def test_concurrent_predictions(cls):
    X, y = blobs(500)
    estimator = small(cls, **batchnorm(cls)).fit(X, y)
    expected = [estimator.predict_proba(X[i:]) for i in range(24)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: estimator.predict_proba(X[i:]), range(24)))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@each_estimator
def test_unfitted(cls):
    X, y = blobs()
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        with pytest.raises(NotFittedError, match=f"This {cls.__name__} instance is not fitted"):
            getattr(cls(), method)(X)
    with pytest.raises(NotFittedError):
        cls().score(X, y)


@each_estimator
def test_single_class(cls):
    X, _ = blobs()
    estimator = small(cls, early_stopping=True).fit(X, np.full(len(X), "only"))
    assert set(estimator.predict(X)) == {"only"}
    np.testing.assert_array_equal(estimator.predict_proba(X), np.ones((len(X), 1)))
    np.testing.assert_array_equal(estimator.predict_log_proba(X), np.zeros((len(X), 1)))


@each_estimator
def test_one_sample(cls):
    X, y = blobs(1)
    estimator = small(cls, **batchnorm(cls)).fit(X, y)
    assert estimator.predict(X) == y
    assert len(estimator.loss_history_) == 3


# ------------------------------------------------------------------------------------ going on


@each_estimator
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("continued", ["warm_start", "partial_fit", "both"])
def test_going_on_is_one_long_fit(cls, rule, continued):
    """Weights, state of the rule, decay, random state and histories: all of them continue."""
    X, y = blobs()
    params = {"update_rule": rule, "lr_decay": 0.7, "learning_rate": 0.01, **batchnorm(cls)}
    whole = small(cls, num_epochs=4, **params).fit(X, y)
    parts = small(cls, num_epochs=2, warm_start=True, **params)
    if continued == "warm_start":
        parts.fit(X, y).fit(X, y)
    elif continued == "both":
        parts.fit(X, y).partial_fit(X, y).partial_fit(X, y)
    else:
        for _ in range(4):
            parts.partial_fit(X, y, classes=[2, 0, 1])
    assert_same(whole, parts)


@each_hidden
def test_going_on_with_dropout_is_one_long_fit(cls):
    X, y = blobs()
    whole = small(cls, num_epochs=4, dropout_keep_ratio=0.6).fit(X, y)
    parts = small(cls, num_epochs=2, dropout_keep_ratio=0.6, warm_start=True).fit(X, y)
    assert_same(whole, parts.fit(X, y))


@each_estimator
def test_without_warm_start_fit_starts_anew(cls):
    X, y = blobs()
    other_X, other_y = blobs(30, 2)
    estimator = small(cls).partial_fit(X, y, classes=[0, 1, 2, 3])
    assert_same(estimator.fit(other_X, other_y), small(cls).fit(other_X, other_y))


@each_estimator
def test_warm_start_continues_with_num_iters(cls):
    X, y = blobs()
    estimator = small(cls, num_iters=6, warm_start=True).fit(X, y)
    assert estimator.fit(X, y).n_iter_ == 4  # of four and two updates each
    assert len(estimator.loss_history_) == 12


@each_estimator
def test_what_may_change_between_fits(cls):
    X, y = blobs()
    estimator = small(cls, warm_start=True).fit(X, y)
    before = dict(learned(estimator))
    estimator.set_params(learning_rate=0, reg=0.3, batch_size=50, update_rule="sgd").fit(X, y)
    for name in estimator.params_:
        np.testing.assert_array_equal(estimator.params_[name], before[name])
    assert estimator.n_iter_ == 6
    # the penalty counts from now on
    assert estimator.loss_history_[-1] > estimator.loss_history_[-4]


ARCHITECTURE = {
    "hidden_dim": 5,
    "hidden_dims": (8,),
    "normalization": "batchnorm",
    "dropout_keep_ratio": 0.5,
    "num_filters": 3,
    "filter_size": 5,
    "input_shape": (1, 2, 8),
    "dtype": "float64",
}


@each_estimator
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_the_net_may_not_change(cls, method):
    X, y = blobs()
    estimator = small(cls, warm_start=True).fit(X, y)
    names = estimator.get_params().keys() & ARCHITECTURE.keys()
    for name in names:
        changed = copy.deepcopy(estimator).set_params(**{name: ARCHITECTURE[name]})
        with pytest.raises(ValueError, match=r"cannot change .* from .* to"):
            getattr(changed, method)(X, y)
        assert_same(changed, estimator)


def test_net_dtype_continues():
    X, y = blobs(dtype=np.float64)
    net = small(TwoLayerNet, warm_start=True).fit(X, y)
    assert net.fit(X.astype(np.float32), y).params_["W1"].dtype == np.float64


@each_estimator
@pytest.mark.parametrize("labels", [[1, 2, 3], [0, 1, 1], ["a", "b", "c"]])
def test_warm_start_wants_the_same_classes(cls, labels):
    X, y = blobs()
    estimator = small(cls, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"y must hold the classes of the first fit, \[0 1 2\]"):
        estimator.fit(X, np.array(labels)[y])


@each_estimator
def test_partial_fit_of_chunks_is_an_epoch(cls):
    X, y = blobs(64, dtype=np.float64)
    params = {"shuffle": False, "update_rule": "sgd_momentum"}
    whole = small(cls, num_epochs=1, **params).fit(X, y)
    parts = small(cls, **params)
    for start in range(0, 64, 16):
        parts.partial_fit(X[start : start + 16], y[start : start + 16], classes=[0, 1, 2])
    # not to the bit: a single minibatch is sorted first
    for name, value in whole.params_.items():
        np.testing.assert_allclose(parts.params_[name], value, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(parts.loss_history_, whole.loss_history_, rtol=1e-9)
    assert parts.n_iter_ == 4


@each_estimator
def test_partial_fit_is_one_epoch_whatever_fit_would_do(cls):
    X, y = blobs()
    plain = small(cls).partial_fit(X, y, classes=[0, 1, 2])
    busy = small(cls, num_epochs=9, num_iters=30, early_stopping=True, tol=100.0)
    assert_same(plain, busy.partial_fit(X, y, classes=[0, 1, 2]))
    assert plain.n_iter_ == 1
    assert plain.val_acc_history_ == []


@each_estimator
def test_partial_fit_knows_classes_it_has_not_seen(cls):
    X, y = blobs()
    estimator = small(cls)
    for label in (0, 1, 2):  # one class at a time
        estimator.partial_fit(X[y == label], y[y == label], classes=np.arange(5))
    assert estimator.predict_proba(X).shape == (50, 5)
    with pytest.raises(ValueError, match=r"y has labels \[5\], .* classes \[0 1 2 3 4\]"):
        estimator.partial_fit(X, y + 3)


@each_estimator
def test_partial_fit_balances_over_all_calls(cls):
    X, y = blobs(90, dtype=np.float64)
    y[10:40] = 0
    weight = np.random.RandomState(0).randint(1, 4, 90)
    seen = np.bincount(y, weight)
    balanced = small(cls, class_weight="balanced")
    explicit = small(cls)
    for rows, totals in ((slice(0, 45), np.bincount(y[:45], weight[:45])), (slice(45, 90), seen)):
        balanced.partial_fit(X[rows], y[rows], classes=[0, 1, 2], sample_weight=weight[rows])
        explicit.partial_fit(X[rows], y[rows], classes=[0, 1, 2], sample_weight=(weight / totals[y])[rows])
    for name, value in balanced.params_.items():
        np.testing.assert_allclose(explicit.params_[name], value, rtol=1e-7, atol=1e-10)


@each_estimator
def test_best_score_outlives_partial_fit(cls):
    X, y = blobs(60)
    estimator = small(cls, early_stopping=True).fit(X, y)
    best = estimator.best_val_score_
    assert estimator.partial_fit(X, y).best_val_score_ == best


# ------------------------------------------------------------------------------------- failing


def break_data(estimator, X, y, method, monkeypatch):
    X[3, 3] = np.nan
    getattr(estimator, method)(X, y)


def break_parameter(estimator, X, y, method, monkeypatch):
    estimator.set_params(learning_rate=-1)
    getattr(estimator, method)(X, y)


def diverge(estimator, X, y, method, monkeypatch):
    estimator.set_params(learning_rate=1e38, update_rule="adam")
    getattr(estimator, method)(X, y)


def interrupt(estimator, X, y, method, monkeypatch):
    def wait_for_it(solver, train_loss):
        raise KeyboardInterrupt

    monkeypatch.setattr(_base.Solver, "_end_epoch", wait_for_it)  # after the first epoch's updates
    getattr(estimator, method)(X, y)


FAILURES = {
    break_data: (ValueError, "Input X contains NaN"),
    break_parameter: (ValueError, "learning_rate == -1"),
    diverge: (ValueError, r"learning_rate 1e\+38 is too large"),
    interrupt: (KeyboardInterrupt, None),
}
each_failure = pytest.mark.parametrize("failure", FAILURES, ids=lambda f: f.__name__)


@each_estimator
@each_failure
@pytest.mark.parametrize("method", ["fit", "warm fit", "partial_fit"])
def test_failed_fit_leaves_the_estimator_as_it_was(cls, failure, method, monkeypatch):
    X, y = blobs(16)
    estimator = small(cls, warm_start=method == "warm fit", **batchnorm(cls)).fit(X, y)
    untouched = copy.deepcopy(estimator)
    error, message = FAILURES[failure]
    with monkeypatch.context() as patch, pytest.raises(error, match=message):
        failure(estimator, np.tile(X, (3, 1)), np.tile(y, 3), method.split()[-1], patch)
    assert_same(estimator, untouched)
    np.testing.assert_array_equal(estimator.predict_proba(X), untouched.predict_proba(X))
    # the state of the update rule too
    settings = untouched.get_params()
    estimator.set_params(**settings).partial_fit(X, y)
    assert_same(estimator, untouched.partial_fit(X, y))


@each_estimator
@each_failure
def test_failed_first_fit_leaves_it_unfitted(cls, failure, monkeypatch):
    X, y = blobs()
    estimator = small(cls)
    with pytest.raises(FAILURES[failure][0]):
        failure(estimator, X, y, "fit", monkeypatch)
    assert not [name for name in vars(estimator) if name.endswith("_") or name.startswith("_")]
    with pytest.raises(NotFittedError):
        estimator.predict(X)


# ---------------------------------------------------------------------------- pickle and copies


def by_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


@each_estimator
@pytest.mark.parametrize("copied", [by_pickle, copy.deepcopy, copy.copy])
@pytest.mark.parametrize("rule", ["sgd_momentum", "adam"])
def test_copies_go_on_as_the_original(cls, copied, rule):
    X, y = blobs()
    original = small(cls, update_rule=rule, reg=0.01, **batchnorm(cls)).fit(X, y)
    twin = copied(original)
    assert_same(twin, original)
    np.testing.assert_array_equal(twin.predict_proba(X), original.predict_proba(X))
    if copied is not copy.copy:  # which shares the random state
        before = original.predict_proba(X)
        twin.partial_fit(X, y)
        np.testing.assert_array_equal(original.predict_proba(X), before)
        assert_same(twin, original.partial_fit(X, y))


@each_estimator
@pytest.mark.parametrize("copied", [by_pickle, copy.deepcopy])
def test_copies_after_set_params(cls, copied):
    X, y = blobs()
    original = small(cls).fit(X, y)
    original.set_params(**{name: ARCHITECTURE[name] for name in original.get_params() if name in ARCHITECTURE})
    twin = copied(original)
    np.testing.assert_array_equal(twin.predict_proba(X), original.predict_proba(X))
    assert twin.get_params() == original.get_params()


@each_estimator
def test_unfitted_copies(cls):
    original = small(cls, class_weight={0: 2.0})
    for twin in (by_pickle(original), copy.deepcopy(original)):
        assert twin.get_params() == original.get_params()
        assert not hasattr(twin, "classes_")


@each_estimator
def test_clone_of_a_fitted_estimator_is_unfitted(cls):
    X, y = blobs()
    fitted = small(cls).fit(X, y)
    assert not hasattr(clone(fitted), "params_")
    assert_same(clone(fitted).fit(X, y), fitted)


@each_estimator
def test_learned_parameters_can_be_replaced(cls):
    X, y = blobs()
    estimator = small(cls).fit(X, y)
    for name, value in estimator.params_.items():
        estimator.params_[name] = np.zeros(value.shape)
    np.testing.assert_allclose(estimator.predict_proba(X), 1 / 3, rtol=1e-6)
    with pytest.raises(ValueError, match=r"params\['b1'\] must have shape"):
        estimator.params_["b1"] = np.zeros(99)


def test_balanced_is_scikit_learns():
    X, y = blobs(dtype=np.float64)
    y[:20] = 0
    balanced = small(TwoLayerNet, class_weight="balanced").fit(X, y)
    explicit = small(TwoLayerNet).fit(X, y, compute_sample_weight("balanced", y))
    assert_same(balanced, explicit, rtol=1e-9, atol=1e-12)


def test_warm_start_with_a_validation_set_does_not_end_worse_than_it_began():
    X, y = blobs(100, spread=3.0)
    net = TwoLayerNet(num_epochs=20, warm_start=True, random_state=0)
    before = net.fit(X, y, X_val=X, y_val=y).best_val_score_
    # Steps of this size only do harm.
    net.set_params(learning_rate=0.5, update_rule="sgd_momentum", num_epochs=2)
    assert net.fit(X, y, X_val=X, y_val=y).best_val_score_ >= before
    assert net.score(X, y) >= before


def test_histories_stay_in_step_when_a_later_fit_has_the_first_validation_set():
    X, y = blobs()
    net = TwoLayerNet(num_epochs=2, warm_start=True, random_state=0).fit(X, y)
    net.fit(X, y, X_val=X, y_val=y)
    assert len(net.train_acc_history_) == len(net.val_acc_history_) == 5
    assert np.isnan(net.val_acc_history_[:3]).all()
    assert np.isfinite(net.val_acc_history_[3:]).all()
