"""The estimators' answers to bad parameters and files: an error whose message names argument and value.

Those to bad data are in test_bad_inputs_table.
"""

import re

import numpy as np
import pandas as pd
import pytest

from sklearn_dl import FullyConnectedRegressor, Softmax, TwoLayerNet, load
from sklearn_dl.augmentation import Cutout, HorizontalFlip, RandomCrop
from sklearn_dl.schedules import Cosine

from ._estimators import EVERY, all_classes, blobs, each_estimator, small

X, y = blobs(30)


# ---------------------------------------------------------------------- parameters of all

SHARED = {
    "learning_rate": [
        (-1, ValueError, "^learning_rate == -1"),
        (True, TypeError, "^learning_rate must be a number, got True"),
        ("big", ValueError, "^learning_rate must .* got 'big'"),
    ],
    "lr_decay": [(0, ValueError, "lr_decay == 0"), (np.inf, ValueError, "lr_decay must .* got inf")],
    "lr_schedule": [
        ("cosin", ValueError, "lr_schedule must be None, 'cosine', .*'reduce_on_plateau' or .* got 'cosin'"),
        (Cosine, TypeError, r"lr_schedule must be .* such as Cosine\(warmup=0\.1\), got <class"),
        (0.5, TypeError, r"lr_schedule must be .* got 0\.5"),
    ],
    "reg": [(-0.5, ValueError, r"reg == -0\.5"), (np.nan, ValueError, "reg .* nan")],
    "num_epochs": [
        (0, ValueError, "num_epochs == 0"),
        (2.5, TypeError, r"num_epochs must be an integer .* got 2\.5\.$"),
        ("all", ValueError, "num_epochs must be an integer of at least 1 or 'auto', got 'all'"),
        (None, TypeError, r"num_epochs must be an integer .* got None\.$"),
    ],
    "num_iters": [(0, ValueError, "num_iters == 0"), ("9", TypeError, "num_iters .* str")],
    "batch_size": [(0, ValueError, "batch_size == 0"), (True, TypeError, "batch_size .* True")],
    "shuffle": [(1, TypeError, "shuffle must be True or False, got 1")],
    "update_rule": [("Adam", ValueError, "update_rule must be one of 'sgd', .* got 'Adam'")],
    "optim_config": [
        ([0.9], TypeError, r"optim_config must be a dict or None, got \[0\.9\]"),
        ({"momentum": 0.9}, ValueError, r"optim_config\['momentum'\] is no constant .* 'adam'"),
        ({"beta1": 1.5}, ValueError, r"^optim_config\['beta1'\] must be in \[0, 1\), got 1\.5"),
        ({"epsilon": 0}, ValueError, r"^optim_config\['epsilon'\] must be positive, got 0"),
        ({"beta2": "high"}, TypeError, r"^optim_config\['beta2'\] must be a number, got 'high'"),
        ({"learning_rate": 1}, ValueError, "optim_config=.* set the parameter learning_rate"),
        ({"t": 3}, ValueError, r"optim_config\['t'\] is no constant"),
    ],
    # Those that adam ignores, too.
    "momentum": [(1.5, ValueError, r"momentum == 1\.5"), ("much", TypeError, "momentum .* str")],
    "decay_rate": [(-0.1, ValueError, r"decay_rate == -0\.1"), (np.nan, ValueError, "decay_rate .* nan")],
    "beta1": [(1, ValueError, "beta1 == 1"), (True, TypeError, "beta1 .* True")],
    "beta2": [(1.0, ValueError, r"beta2 == 1\.0"), ([0.9], TypeError, "beta2 .* list")],
    "epsilon": [
        (0, ValueError, "^epsilon == 0"),
        (np.inf, ValueError, "^epsilon .* inf"),
        (1e-35, ValueError, "^epsilon must be at least 1e-29 for float32 weights, .* got 1e-35"),
    ],
    "clip_norm": [
        (0, ValueError, r"clip_norm == 0, must be > 0\.0"),
        (np.inf, ValueError, "clip_norm must be a finite number, got inf"),
        ("1", TypeError, "clip_norm .* str"),
    ],
    "weight_scale": [
        (-1, ValueError, "weight_scale == -1"),
        ("kaiming", ValueError, "weight_scale must be a number of at least 0, 'he' or 'xavier', got 'kaiming'"),
        (None, ValueError, "weight_scale must .* got None"),
    ],
    "dtype": [
        ("float16", ValueError, "dtype must be one of 'auto', .* got 'float16'"),
        (np.float16, ValueError, "dtype must be one of 'auto', .* got <class 'numpy.float16'>"),
        (int, ValueError, "dtype must be one of 'auto', .* got <class 'int'>"),
        (None, ValueError, "dtype must be one of 'auto', .* got None"),
    ],
    "tol": [(-1e-3, ValueError, r"tol == -0\.001"), ("automatic", TypeError, "tol .* str")],
    "n_iter_no_change": [
        (0, ValueError, "n_iter_no_change == 0"),
        ("Auto", ValueError, "n_iter_no_change must be an integer of at least 1 or 'auto', got 'Auto'"),
    ],
    "early_stopping": [("yes", TypeError, "early_stopping must be True or False, got 'yes'")],
    "monitor": [("auc", ValueError, "monitor must be one of 'accuracy', 'loss', got 'auc'")],
    "validation_fraction": [
        (1.0, ValueError, r"validation_fraction == 1\.0"),
        (0, ValueError, "validation_fraction == 0"),
    ],
    "class_weight": [
        ("balance", ValueError, "class_weight must be .* 'balanced' or None, got 'balance'"),
        ([1, 2, 3], TypeError, r"class_weight must be a dict, .* got \[1, 2, 3\]"),
        ({0: -1.0}, ValueError, r"class_weight\[0\] == -1\.0"),
        ({0: "much"}, TypeError, r"class_weight\[0\] .* str"),
        ({0: np.nan}, ValueError, r"class_weight\[0\] must be a finite number, got nan"),
        ({"cat": 2.0}, ValueError, "class_weight={'cat': 2.0} has labels that are not among"),
        ({0: 0, 1: 0, 2: 0}, ValueError, "class_weight={.*} leaves no sample a weight above 0"),
    ],
    "random_state": [
        (-1, ValueError, "random_state=-1"),
        ("seed", ValueError, "random_state='seed'"),
        (np.random.default_rng(0), ValueError, r"random_state=Generator\(PCG64\)"),
    ],
    "verbose": [(-1, ValueError, "verbose == -1"), ("loud", TypeError, "verbose .* str")],
    "warm_start": [(0, TypeError, "warm_start must be True or False, got 0")],
    "checkpoint": [
        (3, TypeError, r"checkpoint must be the name of a file \(str or os.PathLike\) or None, got 3"),
        (b"run", TypeError, "checkpoint must be the name of a file .* got b'run'"),
        ("", ValueError, "checkpoint must be the name of a file, got ''"),
    ],
    "checkpoint_interval": [
        (-1, ValueError, "checkpoint_interval == -1"),
        (None, TypeError, "checkpoint_interval .* None"),
    ],
}
OWN = {
    "loss": [
        ("log_loss", ValueError, "loss must be one of 'softmax', 'hinge', got 'log_loss'"),
        (None, ValueError, "loss must be one of 'softmax', 'hinge', got None"),
    ],
    "label_smoothing": [
        (1, ValueError, "label_smoothing == 1, must be < 1"),
        (-0.1, ValueError, r"label_smoothing == -0\.1"),
        ("some", TypeError, "label_smoothing .* str"),
    ],
    "hidden_dim": [(0, ValueError, "hidden_dim == 0"), (2.0, TypeError, "hidden_dim .* float")],
    "hidden_dims": [
        (0, ValueError, "hidden_dims == 0"),
        (100.0, TypeError, r"hidden_dims must be an integer or a sequence of integers, got 100\.0"),
        (True, TypeError, "hidden_dims must be an integer or a sequence of integers, got True"),
        (None, TypeError, "hidden_dims must be an integer or a sequence of integers, got None"),
        ((5, 0), ValueError, r"hidden_dims\[1\] == 0"),
        ("ab", TypeError, "hidden_dims .* got 'ab'"),
        ({}, TypeError, "hidden_dims must be an integer or a sequence of integers, got {}"),
        ({5}, TypeError, "hidden_dims must be an integer or a sequence of integers, got .5."),
    ],
    "dropout_keep_ratio": [
        (0, ValueError, "dropout_keep_ratio == 0"),
        (1.1, ValueError, r"dropout_keep_ratio == 1\.1"),
    ],
    "activation": [
        ("sigmoid", ValueError, "activation must be one of .* 'sigmoid'.*'logistic'"),
        (3, ValueError, "activation must be one of .* 3"),
    ],
    "normalization": [("instance", ValueError, "normalization must be one of .* 'instance'")],
    "num_filters": [(0, ValueError, "num_filters == 0")],
    "filter_size": [
        (4, ValueError, "filter_size must be odd, .* got 4"),
        (-3, ValueError, "filter_size == -3"),
    ],
    "input_shape": [
        ((3, 4, 4), ValueError, r"input_shape=\(3, 4, 4\) does not fit X, .* 16 features"),
        ((4, 4), ValueError, r"input_shape must be 3 integers, got \(4, 4\)"),
        (16, TypeError, "input_shape must be 3 integers, got 16"),
        ((1, 4, 4.0), TypeError, r"input_shape\[2\] .* float"),
    ],
    "augmentation": [
        ("mirror", ValueError, "augmentation must be 'flip', 'crop', 'cutout', .* got 'mirror'"),
        (("flip", "mirror"), ValueError, r"augmentation\[1\] must be .* got 'mirror'"),
        ([HorizontalFlip], TypeError, r"augmentation\[0\] must be .* got <class"),
        (0.5, TypeError, r"augmentation must be .* got 0\.5"),
        (RandomCrop(4), ValueError, r"RandomCrop\(padding=4\) .* images of 4 x 4 pixels .* less than 4"),
        ("cutout", ValueError, r"Cutout\(size=8\) .* images of 4 x 4 pixels: size must be less than 4"),
        (("flip", Cutout(4)), ValueError, r"Cutout\(size=4\) .* size must be less than 4"),
    ],
}

OF_REGRESSORS = {
    "loss": [
        ("mse", ValueError, "loss must be one of 'squared_error', .* got 'mse'. Its name here is 'squared_error'"),
        (None, ValueError, "loss must be one of 'squared_error', .* got None"),
    ],
    "delta": [(0, ValueError, "delta == 0"), ("wide", TypeError, "delta .* str")],
    "monitor": [("accuracy", ValueError, "monitor must be one of 'r2', 'loss', got 'accuracy'")],
}

parameters = [
    pytest.param(cls, name, *case, id=f"{cls.__name__}-{name}-{case[0]}"[:60])
    for cls in EVERY
    for name in cls().get_params()
    for case in {**SHARED, **OWN, **(OF_REGRESSORS if cls is FullyConnectedRegressor else {})}[name]
]


@pytest.mark.parametrize(("cls", "name", "value", "error", "message"), parameters)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_parameter(cls, name, value, error, message, method):
    estimator = small(cls).set_params(**{name: value})
    arguments = {} if method == "fit" else all_classes(cls, 0, 1, 2)
    with pytest.raises(error, match=message):
        getattr(estimator, method)(X, y, **arguments)


# -------------------------------------------------------------------------------- divergence


@each_estimator
@pytest.mark.parametrize("rule", ["sgd", "sgd_momentum", "adam"])
def test_divergence(cls, rule, capsys):
    """A clear error, and no warning before it (they are errors here)."""
    estimator = small(cls, update_rule=rule, learning_rate=1e40, num_epochs=50, verbose=1)
    with pytest.raises(ValueError, match=r"learning_rate 1e\+40 is too large .* Lower it"):
        estimator.fit(X, y)
    assert "(Epoch 50)" not in capsys.readouterr().out


# ------------------------------------------------------------------------------ save and load


@each_estimator
def test_bad_files(cls, tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "nothing"))):
        cls.load(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        small(cls).fit(X, y).save(tmp_path / "nowhere" / "net")
    other = Softmax if cls is TwoLayerNet else TwoLayerNet
    small(other).fit(X, y).save(tmp_path / "net")
    with pytest.raises(ValueError, match=f"{other.__name__}.*{cls.__name__}"):
        cls.load(tmp_path / "net")
    (tmp_path / "text").write_text("no net")
    for read in (cls.load, load):
        with pytest.raises(ValueError, match="text"):
            read(tmp_path / "text")


@each_estimator
def test_frames_of_other_names(cls):
    frame = pd.DataFrame(X, columns=[f"a{i}" for i in range(16)])
    estimator = small(cls).fit(frame, y)
    with pytest.raises(ValueError, match=r"(?s)names should match.*unseen.*b0.*missing.*a0"):
        estimator.predict(frame.rename(columns={"a0": "b0"}))
