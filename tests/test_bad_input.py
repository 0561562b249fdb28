"""The estimators' answers to bad input: an error whose message names argument and value."""

import re

import numpy as np
import pandas as pd
import pytest

from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet, load
from sklearn_dl.augmentation import Cutout, HorizontalFlip, RandomCrop
from sklearn_dl.schedules import Cosine

from ._estimators import blobs, each_estimator, small

X, y = blobs(30)
ONES = np.ones(30)
IMAGES = X.reshape(30, 1, 4, 4)


def changed(array, value):
    """Return a copy in which one element is another."""
    array = np.array(array)
    array[(3,) * array.ndim] = value  # somewhere inside
    return array


def table(*cases):
    """Parametrize over cases that start with a name."""
    return [pytest.param(*case[1:], id=case[0]) for case in cases]


# ---------------------------------------------------------------------- parameters of all four

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

parameters = [
    pytest.param(cls, name, *case, id=f"{cls.__name__}-{name}-{case[0]}"[:60])
    for cls in (Softmax, TwoLayerNet, FullyConnectedNet, ThreeLayerConvNet)
    for name in cls().get_params()
    for case in {**SHARED, **OWN}[name]
]


@pytest.mark.parametrize(("cls", "name", "value", "error", "message"), parameters)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_parameter(cls, name, value, error, message, method):
    estimator = small(cls).set_params(**{name: value})
    arguments = {} if method == "fit" else {"classes": [0, 1, 2]}
    with pytest.raises(error, match=message):
        getattr(estimator, method)(X, y, **arguments)


# ------------------------------------------------------------------------- arguments of fit

ARGUMENTS = table(
    ("X nan", {"X": changed(X, np.nan)}, ValueError, "Input X contains NaN"),
    ("X inf", {"X": changed(X, np.inf)}, ValueError, "Input X contains infinity"),
    (
        "X nan in images",
        {"X": changed(IMAGES[:, 0], np.nan)[:, None]},
        ValueError,
        "X contains NaN",
    ),
    ("X None", {"X": None}, ValueError, "Expected 2D array, got scalar array.*None"),
    ("X 1-D", {"X": X[:, 0]}, ValueError, "Expected 2D array, got 1D array"),
    ("X 3-D", {"X": X.reshape(30, 4, 4)}, ValueError, r"X must be rows .* got shape \(30, 4, 4\)"),
    ("X 5-D", {"X": X[:, :, None, None, None]}, ValueError, r"X must .* \(30, 16, 1, 1, 1\)"),
    ("X without samples", {"X": X[:0], "y": y[:0]}, ValueError, "0 sample"),
    ("X without features", {"X": X[:, :0]}, ValueError, r"0 feature\(s\) \(shape=\(30, 0\)\)"),
    ("X no images", {"X": IMAGES[:0], "y": y[:0]}, ValueError, r"X must .* \(0, 1, 4, 4\)"),
    ("X without channels", {"X": IMAGES[:, :0]}, ValueError, r"X must .* \(30, 0, 4, 4\)"),
    ("X strings", {"X": X.astype(str)}, ValueError, "arrays of bytes/strings"),
    ("X complex", {"X": X + 1j}, ValueError, "Complex data not supported"),
    ("X dates", {"X": X.astype("M8[s]")}, TypeError, r"X must hold numbers, got dtype datetime64"),
    ("X ragged", {"X": [[1, 2], [3]], "y": [0, 1]}, ValueError, "X: .*inhomogeneous"),
    ("y None", {"y": None}, ValueError, "requires y to be passed, but the target y is None"),
    ("y short", {"y": y[:-1]}, ValueError, r"inconsistent numbers of samples: \[30, 29\]"),
    (
        "y 2-D",
        {"y": np.column_stack([y, y])},
        ValueError,
        r"y must be (labels of shape \(n_samples,\)|indicators), .* \(30, 2\)",
    ),
    ("y continuous", {"y": y + 0.5}, ValueError, "Unknown label type: continuous"),
    ("y nan", {"y": changed(y.astype(float), np.nan)}, ValueError, "Input y contains NaN"),
    (
        "y missing",
        {"y": np.array([1, "a", None] * 10, object)},
        ValueError,
        "y must have a label for each sample, got None for 10 of them",
    ),
    ("y nan objects", {"y": np.array(["b", "a", np.nan] * 10, object)}, ValueError, "y must have .* got nan for 10 "),
    (
        "y mixed",
        {"y": np.array([1, "a", 2] * 10, object)},
        TypeError,
        "y must hold either strings or numbers, got 'a' and 1",
    ),
    (
        "y objects",
        {"y": y.astype(object)},
        TypeError,
        r"y holds numbers, but its dtype is object: convert it, as by y\.astype",
    ),
    ("y lists", {"y": [[0], [1, 2], []] * 10}, ValueError, "y holds a list of labels .* MultiLabelBinarizer"),
    ("y sets", {"y": [{0}, {1, 2}, set()] * 10}, ValueError, "y holds a set of labels .* MultiLabelBinarizer"),
    ("weight negative", {"sample_weight": -ONES}, ValueError, "sample_weight: Negative values"),
    ("weight nan", {"sample_weight": changed(ONES, np.nan)}, ValueError, "sample_weight.* NaN"),
    ("weight short", {"sample_weight": ONES[1:]}, ValueError, r"sample_weight.*\(29,\).*\(30,\)"),
    ("weight 2-D", {"sample_weight": X}, ValueError, "sample_weight: .* must be 1D array"),
    ("weight strings", {"sample_weight": ["a"] * 30}, ValueError, "sample_weight: .*'a'"),
    (
        "weight zero",
        {"sample_weight": 0 * ONES},
        ValueError,
        "sample_weight.*(at least one non-zero|not all of them 0)",
    ),
    ("weight nan for all", {"sample_weight": np.nan}, ValueError, "sample_weight must .* nan"),
)
VALIDATION = table(
    ("no y_val", {"y_val": None}, ValueError, "y_val is None: X_val and y_val must be given"),
    ("no X_val", {"X_val": None}, ValueError, "X_val is None: X_val and y_val must be given"),
    (
        "weight alone",
        {"X_val": None, "y_val": None, "sample_weight_val": ONES},
        ValueError,
        "sample_weight_val was given without X_val and y_val",
    ),
    ("X_val nan", {"X_val": changed(X, np.nan)}, ValueError, "X_val: Input X contains NaN"),
    ("X_val features", {"X_val": X[:, 1:]}, ValueError, "X_val: X has 15 features, .* 16"),
    ("X_val empty", {"X_val": X[:0], "y_val": y[:0]}, ValueError, "X_val: .* 0 sample"),
    ("X_val 3-D", {"X_val": X.reshape(30, 4, 4)}, ValueError, r"X_val: .* \(30, 4, 4\)"),
    ("y_val short", {"y_val": y[1:]}, ValueError, r"y_val must have shape \(30,\), .* \(29,\)"),
    ("y_val unseen", {"y_val": y + 1}, ValueError, r"y_val has labels \[3\], .* \[0 1 2\]"),
    ("y_val strings", {"y_val": y.astype(str)}, ValueError, r"y_val has labels \['0' '1' '2'\]"),
    ("y_val nan", {"y_val": np.full(30, np.nan)}, ValueError, "y_val: Input contains NaN"),
    ("y_val continuous", {"y_val": y + 0.5}, ValueError, "y_val: Unknown label type"),
    ("y_val tuples", {"y_val": [(0,), (1, 2), ()] * 10}, ValueError, "y_val holds a tuple of .* MultiLabelBinarizer"),
    ("y_val 2-D", {"y_val": np.eye(3)[y]}, ValueError, r"y_val: .* \(30, 3\)"),
    ("weight short", {"sample_weight_val": ONES[1:]}, ValueError, r"sample_weight_val: .*\(29,\)"),
    ("weight negative", {"sample_weight_val": -ONES}, ValueError, "sample_weight_val: Negative"),
    (
        "weight zero",
        {"sample_weight_val": 0 * ONES},
        ValueError,
        "sample_weight_val.*(at least one non-zero|not all of them 0)",
    ),
)


@each_estimator
@pytest.mark.parametrize(("arguments", "error", "message"), ARGUMENTS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_training_data(cls, arguments, error, message, method):
    extra = {} if method == "fit" else {"classes": [0, 1, 2]}
    with pytest.raises(error, match="(?s)" + message):
        getattr(small(cls), method)(**{"X": X, "y": y, **extra, **arguments})


@each_estimator
@pytest.mark.parametrize(("arguments", "error", "message"), VALIDATION)
def test_bad_validation_data(cls, arguments, error, message):
    with pytest.raises(error, match="(?s)" + message):
        small(cls).fit(X, y, **{"X_val": X, "y_val": y, **arguments})


@each_estimator
@pytest.mark.parametrize(
    ("data", "params", "message"),
    table(
        ("one sample", (X[:1], y[:1]), {}, r"validation_fraction=0\.1 .*n_samples=1 "),
        ("all set aside", (X, y), {"validation_fraction": 0.99}, r"=0\.99 .*n_samples=30 "),
        ("one of weight", (X, y, np.arange(30) == 3), {}, r"validation_fraction=0\.1 .*n_samples=1 "),
    ),
)
def test_nothing_left_to_train_on(cls, data, params, message):
    with pytest.raises(ValueError, match=message):
        small(cls, early_stopping=True, **params).fit(*data)


# ----------------------------------------------------------------- arguments of partial_fit


@each_estimator
@pytest.mark.parametrize(
    ("classes", "message"),
    table(
        ("missing", None, "classes must be given in the first call of partial_fit"),
        ("too few", [0, 1], r"y has labels \[2\], which are not among classes \[0 1\]"),
        ("none", [], r"y has labels \[0 1 2\], which are not among classes \[\]"),
        ("strings", ["a", "b"], r"y has labels \[0 1 2\], .* \['a' 'b'\]"),
        ("continuous", [0.5, 1.5], "classes: Unknown label type: continuous"),
        ("number", 3, r"classes: .* shape \(\)"),
        ("string", "012", r"classes: .* shape \(\)"),
        ("nested", [[0, 1], [2, 3]], r"classes: .* shape \(2, 2\)"),
        ("nan", [0, 1, np.nan], "classes: Input contains NaN"),
        ("mixed", [0, "a", None], "classes must have a label for each sample, got None for 1 of them"),
    ),
)
def test_bad_classes(cls, classes, message):
    with pytest.raises(ValueError, match=message):
        small(cls).partial_fit(X, y, classes=classes)


@each_estimator
@pytest.mark.parametrize(
    ("arguments", "message"),
    table(
        ("late label", {"y": y + 1}, r"y has labels \[3\], .* classes \[0 1 2\]"),
        ("late string", {"y": y.astype(str)}, r"y has labels \['0' '1' '2'\], .* \[0 1 2\]"),
        ("other classes", {"classes": [0, 1]}, r"classes=\[0 1\] is not the same .* \[0 1 2\]"),
        ("features", {"X": X[:, 1:]}, "X has 15 features, .* expecting 16"),
    ),
)
def test_bad_second_part(cls, arguments, message):
    estimator = small(cls).partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=message):
        estimator.partial_fit(**{"X": X, "y": y, **arguments})


# -------------------------------------------------------------------------------- predictions


@each_estimator
@pytest.mark.parametrize(
    ("bad", "error", "message"),
    table(
        ("features", X[:, 1:], ValueError, "X has 15 features, but .* expecting 16"),
        ("image of other size", IMAGES[:, :, 1:], ValueError, "X has 12 features, .* 16"),
        ("one row", X[0], ValueError, "Expected 2D array, got 1D array"),
        ("one image", IMAGES[0], ValueError, r"X must be .* got shape \(1, 4, 4\)"),
        ("no rows", X[:0], ValueError, "0 sample"),
        ("nan", changed(X, np.nan), ValueError, "X contains NaN"),
        ("None", None, ValueError, "Expected 2D array"),
        ("strings", X.astype(str), ValueError, "arrays of bytes/strings"),
        ("dates", X.astype("M8[s]"), TypeError, "X must hold numbers, got dtype datetime64"),
        ("too large", X * np.float64(1e300), ValueError, "X holds values too large .* float32"),
    ),
)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "decision_function", "score"])
def test_bad_data_to_predict(cls, bad, error, message, method):
    estimator = small(cls).fit(X, y)
    arguments = (bad, y) if method == "score" else (bad,)
    with pytest.raises(error, match=message):
        getattr(estimator, method)(*arguments)


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
