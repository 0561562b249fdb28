"""scikit-learn's own checks, on every estimator with its defaults and with other settings. No failure is expected."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.augmentation import HorizontalFlip
from sklearn_dl.schedules import Cosine

# Fewer epochs than the defaults, so that the checks, which fit some 60 times each, stay quick.
QUICK = {"num_epochs": 30}
CONV = {**QUICK, "num_filters": 8, "filter_size": 3, "hidden_dim": 32}

ESTIMATORS = [
    Softmax(),
    Softmax(**QUICK, update_rule="sgd_momentum", learning_rate=0.05),
    Softmax(**QUICK, update_rule="adagrad", weight_scale="xavier"),
    Softmax(**QUICK, early_stopping=True),
    Softmax(**QUICK, dtype="float32", class_weight="balanced"),
    Softmax(num_iters=100, dtype="float64", shuffle=False),
    Softmax(**QUICK, learning_rate=0.1, beta1=0.8, lr_schedule="one_cycle", reg=1e-3),
    Softmax(update_rule="lbfgs", reg=1e-3, tol=1e-6),
    Softmax(**QUICK, loss="hinge", learning_rate=0.1),
    TwoLayerNet(),
    TwoLayerNet(**QUICK, update_rule="sgd", learning_rate=0.1, reg=1e-3),
    TwoLayerNet(**QUICK, update_rule="sgd_momentum", learning_rate=0.05),
    TwoLayerNet(**QUICK, update_rule="nesterov", learning_rate=0.05, clip_norm=1.0, lr_schedule="inverse_scaling"),
    TwoLayerNet(update_rule="lbfgs", reg=1e-3),
    TwoLayerNet(**QUICK, dtype="float32", learning_rate=0.01),
    TwoLayerNet(**QUICK, normalization="batchnorm", learning_rate=0.01),
    TwoLayerNet(**QUICK, normalization="layernorm", learning_rate=0.01),
    TwoLayerNet(**QUICK, dropout_keep_ratio=0.7, learning_rate=0.01),
    TwoLayerNet(**QUICK, early_stopping=True, learning_rate=0.01),
    TwoLayerNet(**QUICK, learning_rate=0.01, beta2=0.99, lr_schedule=Cosine(warmup=0.1)),
    TwoLayerNet(hidden_dim=7),
    TwoLayerNet(**QUICK, label_smoothing=0.1, learning_rate=0.01),
    FullyConnectedNet(),
    FullyConnectedNet(hidden_dims=()),
    FullyConnectedNet(hidden_dims=7, dtype=np.float32),
    FullyConnectedNet(**QUICK, update_rule="adagrad", learning_rate=0.05),
    FullyConnectedNet(**QUICK, update_rule="rmsprop", lr_decay=0.98),
    FullyConnectedNet(**QUICK, update_rule="adamw", learning_rate=0.01, reg=0.1),
    FullyConnectedNet(**QUICK, update_rule="lbfgs", normalization="layernorm", early_stopping=True),
    FullyConnectedNet(**QUICK, normalization="batchnorm", learning_rate=0.01, reg=1e-3),
    FullyConnectedNet(**QUICK, normalization="layernorm", hidden_dims=(50, 40, 30)),
    FullyConnectedNet(**QUICK, dropout_keep_ratio=0.7, learning_rate=0.01),
    FullyConnectedNet(**QUICK, early_stopping=True, validation_fraction=0.2),
    FullyConnectedNet(**QUICK, dtype="float32", normalization="batchnorm"),
    FullyConnectedNet(**QUICK, hidden_dims=[20], class_weight="balanced", learning_rate=0.01),
    FullyConnectedNet(**QUICK, learning_rate=0.01, epsilon=1e-6, lr_schedule="reduce_on_plateau"),
    FullyConnectedNet(**QUICK, loss="hinge", learning_rate=0.01),
    FullyConnectedRegressor(),
    FullyConnectedRegressor(hidden_dims=(), num_epochs=200),
    FullyConnectedRegressor(**QUICK, loss="absolute_error", learning_rate=0.01),
    FullyConnectedRegressor(**QUICK, loss="huber", delta=0.5, learning_rate=0.01, activation="silu"),
    FullyConnectedRegressor(**QUICK, dtype="float32", update_rule="adamw", reg=0.1, learning_rate=0.01),
    FullyConnectedRegressor(**QUICK, early_stopping=True, learning_rate=0.01, lr_schedule="cosine"),
    FullyConnectedRegressor(**QUICK, normalization="layernorm", learning_rate=0.01),
    FullyConnectedRegressor(update_rule="lbfgs", reg=1e-3),
    ThreeLayerConvNet(),
    ThreeLayerConvNet(**CONV, update_rule="sgd_momentum", learning_rate=0.01),
    ThreeLayerConvNet(**CONV, normalization="batchnorm"),
    ThreeLayerConvNet(**CONV, normalization="groupnorm", learning_rate=0.01),
    ThreeLayerConvNet(**CONV, dropout_keep_ratio=0.7, learning_rate=0.01),
    ThreeLayerConvNet(**CONV, early_stopping=True, learning_rate=0.01),
    ThreeLayerConvNet(**CONV, dtype="float32", learning_rate=0.01),
    ThreeLayerConvNet(**CONV, num_iters=120, weight_scale="xavier", learning_rate=0.01),
    ThreeLayerConvNet(
        **CONV, update_rule="rmsprop", learning_rate=5e-3, decay_rate=0.9, lr_schedule="linear", reg=1e-3
    ),
    ThreeLayerConvNet(**CONV, learning_rate=0.01, augmentation=HorizontalFlip(p=0.2)),
]


# What parametrize_with_checks does, with a list: that of scikit-learn 1.6 hands pytest a generator, which pytest 9
# deprecates.
CHECKS = [
    pytest.param(
        model,
        check,
        id=f"{' '.join(str(estimator).split())}-{check.func.__name__}",
        marks=() if estimator.get_params() == type(estimator)().get_params() else pytest.mark.slow,
    )
    for estimator in ESTIMATORS
    for model, check in estimator_checks_generator(estimator)
]


@pytest.mark.parametrize("cls", [Softmax, TwoLayerNet, FullyConnectedNet, FullyConnectedRegressor, ThreeLayerConvNet])
def test_defaults_and_at_least_six_other_settings(cls):
    settings = [estimator.get_params() for estimator in ESTIMATORS if type(estimator) is cls]
    assert cls().get_params() in settings
    assert len(settings) >= 7


@pytest.mark.parametrize(("model", "check"), CHECKS)
def test_scikit_learn_checks(model, check):
    check(model)
