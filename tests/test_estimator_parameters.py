"""Parameters of the estimators: their effects, the constants of update rules, what scikit-learn asks of them."""

import copy

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_dl import TwoLayerNet

from ._estimators import ESTIMATORS, RULES, assert_differ, assert_same, blobs, each_estimator, small

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
    "clip_norm": ({}, 0.01),
    "weight_scale": ({}, 0.5),
    "activation": ({}, "tanh"),
    "loss": ({}, "hinge"),
    "label_smoothing": ({}, 0.2),
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

# test_verbose, test_warm_start_*, test_validation_sets, test_estimator_checkpoints
ELSEWHERE = {"verbose", "warm_start", "monitor", "checkpoint", "checkpoint_interval"}

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
    "nesterov": ["momentum"],
    "adagrad": ["epsilon"],
    "rmsprop": ["decay_rate", "epsilon"],
    "adam": ["beta1", "beta2", "epsilon"],
    "adamw": ["beta1", "beta2", "epsilon"],
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
    with pytest.raises(TypeError, match="takes its parameters by name"):
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
