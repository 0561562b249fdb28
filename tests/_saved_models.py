"""Models as each release saved them, and the predictions that they must give in every later one.

``python tests/_saved_models.py write``
    At each release: stores the models of the installed version in tests/data/saved_models/<version>, to be committed.
``python tests/_saved_models.py check``
    Loads all models that are stored, and compares their predictions. Needs the run-time dependencies only.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.base import is_classifier

import sklearn_dl
from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, ThreeLayerConvNet, TwoLayerNet

FOLDER = Path(__file__).parent / "data" / "saved_models"
EXPECTED = "expected.npz"
QUICK = {"num_epochs": 2, "batch_size": 8, "random_state": 0}
# Models that came after a version, which has none of them.
LATER = {"0.1.0": {"several_labels", "hinge", "regressor", "several_outputs", "counts"}}
METHODS = ("predict", "predict_proba", "decision_function")


def _rows(dtype, n_features=5):
    return np.random.RandomState(0).randn(24, n_features).astype(dtype)


def _images(shape):
    return np.random.RandomState(0).randint(0, 256, (24, *shape)).astype(np.uint8)


def _fitted():
    """Return estimators by name, each with the X that it was fitted on."""
    classes = np.arange(24) % 3
    fits = {
        "softmax": (Softmax(update_rule="sgd", **QUICK), _rows("f4"), np.array(["ä", "b", "cc"])[classes]),
        "two_layer": (
            TwoLayerNet(hidden_dim=4, normalization="batchnorm", class_weight="balanced", **QUICK),
            _rows("f8"),
            classes > 1,
        ),
        "fully_connected": (
            FullyConnectedNet(hidden_dims=(4, 3), normalization="layernorm", dropout_keep_ratio=0.8, **QUICK),
            _rows("f4"),
            np.array(["x", "y", "z"], dtype=object)[classes],
        ),
        "convolution": (
            ThreeLayerConvNet(
                num_filters=2,
                filter_size=3,
                hidden_dim=4,
                normalization="batchnorm",
                early_stopping=True,
                weight_scale=1e-2,
                update_rule="sgd_momentum",
                optim_config={"momentum": 0.5},
                **QUICK,
            ),
            _images((1, 5, 4)),
            10 * classes,
        ),
        "groupnorm": (
            ThreeLayerConvNet(
                input_shape=(3, 4, 4),
                num_filters=8,
                filter_size=1,
                hidden_dim=3,
                normalization="groupnorm",
                weight_scale=1e-2,
                update_rule="rmsprop",
                **QUICK,
            ),
            _images((48,)),
            classes,
        ),
        "several_labels": (
            TwoLayerNet(hidden_dim=4, label_smoothing=0.1, activation="tanh", **QUICK),
            _rows("f4"),
            np.array([[0, 1], [1, 1], [0, 0]])[classes],
        ),
        "hinge": (FullyConnectedNet(hidden_dims=(4,), loss="hinge", **QUICK), _rows("f4"), classes > 1),
        "regressor": (FullyConnectedRegressor(hidden_dims=(4, 3), **QUICK), _rows("f4"), 5 + 1e3 * _rows("f8")[:, 0]),
        "several_outputs": (
            FullyConnectedRegressor(hidden_dims=(4,), loss="huber", delta=0.5, early_stopping=True, **QUICK),
            _rows("f8"),
            _rows("f8")[:, :2] * [1e3, 1e-3],
        ),
        "counts": (
            FullyConnectedRegressor(hidden_dims=(4,), loss="poisson", normalization="batchnorm", **QUICK),
            _rows("f4"),
            classes,
        ),
    }
    return {name: (estimator.fit(X, y), X) for name, (estimator, X, y) in fits.items()}


def write(folder):
    """Store the models of this version; a folder that exists stays as it is."""
    folder.mkdir(parents=True)
    expected = {}
    for name, (estimator, X) in _fitted().items():
        estimator.save(folder / f"{name}.model")
        expected[f"{name}.X"] = X
        for method in METHODS:
            if hasattr(estimator, method):
                answers = getattr(estimator, method)(X)
                # An array of objects would be stored as a pickle.
                expected[f"{name}.{method}"] = answers.astype(str) if answers.dtype.kind == "O" else answers
        expected[f"{name}.loss_history_"] = estimator.loss_history_
    np.savez_compressed(folder / EXPECTED, **expected)


def stored(folder=FOLDER):
    """Return the paths of all models stored in the subfolders of `folder`."""
    return sorted(folder.glob("*/*.model"))


def check(path):
    """Load one model, compare what it predicts, and train on; return it."""
    with np.load(path.parent / EXPECTED) as file:
        expected = {
            name: file[f"{path.stem}.{name}"]
            for name in ("X", *METHODS, "loss_history_")
            if f"{path.stem}.{name}" in file
        }
    X, losses = expected.pop("X"), expected.pop("loss_history_")
    model = sklearn_dl.load(path)
    for method, answers in expected.items():
        found = getattr(model, method)(X)
        if method == "predict" and is_classifier(model):
            np.testing.assert_array_equal(found.astype(str), answers.astype(str))
        else:  # kernels of other instruction sets sum in another order
            size = np.abs(answers).max(axis=0)
            np.testing.assert_allclose(found / size, answers / size, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(model.loss_history_, losses)
    model.partial_fit(X, model.predict(X))
    assert len(model.loss_history_) == len(losses) + 3
    return model


if __name__ == "__main__":
    if sys.argv[1:] == ["write"]:
        write(FOLDER / sklearn_dl.__version__)
    elif sys.argv[1:] == ["check"]:
        for path in stored():
            print(path.parent.name, check(path))
        assert stored(), f"no models in {FOLDER}"
    else:
        sys.exit(__doc__)
