"""What the tests of the estimators share: small nets, small data, comparison to the bit."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import ClassifierMixin, is_classifier
from sklearn.preprocessing import StandardScaler

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, ThreeLayerConvNet, TwoLayerNet

SIZES = {
    Softmax: {},
    TwoLayerNet: {"hidden_dim": 8},
    FullyConnectedNet: {"hidden_dims": (8, 6)},
    ThreeLayerConvNet: {"num_filters": 4, "filter_size": 3, "hidden_dim": 8},
    FullyConnectedRegressor: {"hidden_dims": (8, 6)},
}
ESTIMATORS = [cls for cls in SIZES if issubclass(cls, ClassifierMixin)]
EVERY = list(SIZES)

each_estimator = pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
# Regressors, too, which take the labels of classifiers for quantities.
each_of_all = pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
each_hidden = pytest.mark.parametrize("cls", ESTIMATORS[1:], ids=lambda cls: cls.__name__)

NAMES = [f"pixel {i}" for i in range(16)]
FRAMES = {
    "pandas": lambda X: pd.DataFrame(X, columns=NAMES),
    "polars": lambda X: pl.DataFrame(X, schema=NAMES),
}
knows_polars = hasattr(StandardScaler().fit(FRAMES["polars"](np.eye(16))), "feature_names_in_")
each_library = pytest.mark.parametrize(
    "library",
    [
        "pandas",
        pytest.param(
            "polars",
            marks=pytest.mark.skipif(
                not knows_polars, reason="this scikit-learn does not see the names of this polars"
            ),
        ),
    ],
)

RULES = ("sgd", "sgd_momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")


def small(cls, **params):
    """Return a small, quick, seeded estimator that does not stop by itself, and plans nothing."""
    quick = {"num_epochs": 3, "batch_size": 16, "random_state": 0, "tol": None, "lr_schedule": None, "reg": 0.0}
    return cls(**{**quick, **SIZES[cls], **params})


def batchnorm(cls):
    """Return the parameter that turns batch normalization on, where there is one."""
    return {} if cls is Softmax else {"normalization": "batchnorm"}


def blobs(n_samples=50, n_classes=3, dtype=np.float32, seed=0, spread=1.0):
    """Return rows of 16 features, that is of images (1, 4, 4), around a centre for each class."""
    rng = np.random.RandomState(seed)
    y = np.arange(n_samples) % n_classes
    centres = rng.randn(n_classes, 16)
    return (centres[y] + spread * rng.randn(n_samples, 16)).astype(dtype), y


def quantities(n_samples=50, n_outputs=None, dtype=np.float32, seed=0):
    """Return rows of 16 features and numbers that depend on them, flat or a column for each output."""
    rng = np.random.RandomState(seed)
    X = rng.randn(n_samples, 16)
    y = 5 + 3 * X[:, [0, 3, 7]] + X[:, [1, 4, 8]] ** 2
    return X.astype(dtype), y[:, 0] if n_outputs is None else y[:, :n_outputs] * [1, 1e3, 1e-3][:n_outputs]


def images(n_samples=40, shape=(3, 4, 4), seed=0):
    """Return uint8 images of two classes, dark and bright."""
    rng = np.random.RandomState(seed)
    y = np.arange(n_samples) % 2
    X = rng.randint(0, 128, (n_samples, *shape)) + 127 * y[:, None, None, None]
    return X.astype(np.uint8), y


def learned(estimator):
    """Return the learned arrays and histories by name."""
    found = {**estimator.params_, **estimator.running_stats_}
    score = "acc" if is_classifier(estimator) else "r2"
    names = ["loss_history_", f"train_{score}_history_", f"val_{score}_history_", "n_iter_"]
    for name in names if is_classifier(estimator) else [*names, "y_mean_", "y_scale_"]:
        found[name] = np.asarray(getattr(estimator, name))
    return found


def assert_same(first, second, **tolerance):
    """Assert that two estimators have learned the same: to the bit, or to rtol and atol."""
    first, second = learned(first), learned(second)
    assert first.keys() == second.keys()
    for name in first:
        if tolerance:
            np.testing.assert_allclose(first[name], second[name], err_msg=name, **tolerance)
        else:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        assert first[name].dtype == second[name].dtype


def all_classes(cls, *labels):
    """Return the argument that the first `partial_fit` of a classifier needs, by name."""
    return {"classes": list(labels)} if issubclass(cls, ClassifierMixin) else {}


def methods_of(cls):
    """Return the names of the methods of a class that predict."""
    return [
        name for name in ("predict", "predict_proba", "predict_log_proba", "decision_function") if hasattr(cls(), name)
    ]


def weighing(cls, class_weight):
    """Return the parameter that weighs the classes, where there is one."""
    return {"class_weight": class_weight} if issubclass(cls, ClassifierMixin) else {}


def answers(estimator, X):
    """Return probabilities, or scores where there are none, or what a regressor predicts."""
    if not is_classifier(estimator):
        return estimator.predict(X)
    return (estimator.predict_proba if hasattr(estimator, "predict_proba") else estimator.decision_function)(X)


def assert_differ(first, second, X):
    """Assert that two estimators do not predict the same."""
    assert not np.array_equal(answers(first, X), answers(second, X))


# Parameters that make another net, and values that are not those of `small`.
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
