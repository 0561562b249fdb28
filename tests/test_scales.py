"""A validation set that was not transformed as the training set was: a warning; and none for honest sets."""

import warnings

import numpy as np
import pytest
import scipy.sparse
import sklearn
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from sklearn_dl import TwoLayerNet
from sklearn_dl._scales import _COLUMNS, _ROWS, is_on_other_scale
from sklearn_dl.preprocessing import MeanSubtractor

from ._estimators import each_of_all, images, small

TABLES = {
    "breast cancer": load_breast_cancer().data,
    "wine": load_wine().data,
    "iris": load_iris().data,
    "digits": load_digits().data,
    "diabetes": load_diabetes(scaled=False).data,
}
SCALED = {**TABLES, "diabetes, scaled": load_diabetes().data}
each_table = pytest.mark.parametrize("name", TABLES)
SCALERS = [StandardScaler(), MinMaxScaler(), RobustScaler(), PowerTransformer(), QuantileTransformer(n_quantiles=20)]


def splits(X, n_val, times=10):
    for seed in range(times):
        order = np.random.RandomState(seed).permutation(len(X))
        yield X[order[n_val:]], X[order[:n_val]]


# ------------------------------------------------------------------------------ what was forgotten


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("n_val", [20, 40, 75])
@pytest.mark.parametrize("transformer", [*SCALERS, Normalizer()], ids=lambda one: type(one).__name__)
def test_forgotten(name, n_val, transformer):
    for X, X_val in splits(SCALED[name], n_val, 2):
        assert is_on_other_scale(transformer.fit_transform(X), X_val)
        assert not is_on_other_scale(transformer.transform(X), transformer.transform(X_val))


@each_table
@pytest.mark.parametrize("n_val", [20, 75])
@pytest.mark.parametrize("transformer", [MeanSubtractor(), StandardScaler(with_std=False), PCA()], ids=str)
def test_forgotten_mean(name, n_val, transformer):
    for X, X_val in splits(TABLES[name], n_val):
        assert is_on_other_scale(transformer.fit_transform(X), X_val)
        assert not is_on_other_scale(transformer.transform(X), transformer.transform(X_val))


@each_table
@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), MaxAbsScaler()], ids=str)
def test_forgotten_in_the_training_set(name, scaler):
    """Where what was transformed is X_val."""
    for X, X_val in splits(TABLES[name], 75):
        assert is_on_other_scale(X, scaler.fit(X).transform(X_val))


@pytest.mark.parametrize("factor", [1 / 255, 1 / 16, 10, 1000])
def test_forgotten_factor(factor):
    """On images whose edges, most of their pixels, are 0 on any scale."""
    X = np.zeros((400, 28, 28))
    X[:, 10:18, 10:18] = TABLES["digits"][:400].reshape(-1, 8, 8)
    X = X.reshape(400, -1)
    assert is_on_other_scale(X[:300] * factor, X[300:])
    assert is_on_other_scale((X[:300] * factor).astype(np.float32), X[300:].astype(np.uint8))
    assert not is_on_other_scale(X[:300].astype(np.float32), X[300:].astype(np.uint8))


def test_forgotten_mean_of_natural_images():
    """Which spread over their range: the mean is less than two standard deviations."""
    rng = np.random.RandomState(0)
    X = (rng.beta(1.5, 1.5, (1000, 1)) * 200 + 55 * rng.rand(1000, 300)).astype(np.uint8)
    for transformer in (MeanSubtractor(), StandardScaler(), FunctionTransformer(lambda X: X / 255)):
        assert is_on_other_scale(transformer.fit_transform(X[:900]), X[900:])


def test_forgotten_for_most_columns():
    X = StandardScaler().fit_transform(TABLES["breast cancer"])
    for n_columns, warns in ((0, False), (10, False), (25, True), (30, True)):
        X_val = np.hstack([TABLES["breast cancer"][:100, :n_columns], X[:100, n_columns:]])
        assert is_on_other_scale(X[100:], X_val) == warns


# ------------------------------------------------------------------------------------ honest sets


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("n_val", [1, 5, 20, 30, 80])
@pytest.mark.parametrize("n_train", [5, 20, 60, 1000])
def test_honest_splits(name, n_val, n_train):
    for X, X_val in splits(SCALED[name], n_val, 15):
        assert not is_on_other_scale(X[:n_train], X_val)


def factor(rng, shape, correlation=0.95):
    """Return normal values of which those of a row are correlated."""
    common, own = rng.randn(shape[0], 1), rng.randn(*shape)
    return np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own


DISTRIBUTIONS = {
    "normal": lambda rng, shape: rng.randn(*shape),
    "Cauchy": lambda rng, shape: rng.standard_cauchy(shape),
    "one Cauchy value in all columns": lambda rng, shape: rng.standard_cauchy((shape[0], 1)) * np.ones(shape),
    "lognormal": lambda rng, shape: np.exp(3 * rng.randn(*shape)),
    "Pareto": lambda rng, shape: rng.pareto(0.5, shape),
    "few outliers": lambda rng, shape: np.where(rng.rand(shape[0], 1) < 0.02, 1e3, 1) * rng.randn(*shape),
    "correlated": factor,
    "one-hot": lambda rng, shape: np.eye(shape[1])[rng.randint(0, shape[1], shape[0])],
    "rare one-hot": lambda rng, shape: np.eye(shape[1])[rng.geometric(0.1, shape[0]).clip(0, shape[1] - 1)],
    "sparse counts": lambda rng, shape: rng.poisson(0.05, shape),
    "sparse reals": lambda rng, shape: (rng.rand(*shape) < 0.02) * rng.rand(*shape),
    "constant": lambda rng, shape: np.full(shape, 7.0),
    "nearly constant": lambda rng, shape: np.where(rng.rand(*shape) < 0.005, 1e6 * rng.randn(*shape), 3.0),
    "uint8": lambda rng, shape: rng.randint(0, 256, shape).astype(np.uint8),
    "bool": lambda rng, shape: rng.rand(*shape) < 0.1,
    "huge": lambda rng, shape: 1e307 * rng.standard_cauchy(shape).clip(-15, 15),
}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
@pytest.mark.parametrize("n_features", [3, 40, 1500])
def test_honest_draws(distribution, n_features):
    for seed in range(5):
        X = distribution(np.random.RandomState(seed), (600, n_features))
        for n_val in (1, 10, 20, 100):
            for n_train in (20, 100, 500):
                with np.errstate(over="ignore", invalid="ignore"):
                    assert not is_on_other_scale(X[n_val : n_val + n_train], X[:n_val])


@pytest.mark.parametrize("n_features", [5, 50])
def test_drift_within_reason(n_features):
    """By one and a half standard deviations, or to four times the spread, in all features at once."""
    rng = np.random.RandomState(0)
    X, X_val = rng.randn(800, n_features), rng.randn(200, n_features)
    for shift in (0.5, 1, 1.5):
        assert not is_on_other_scale(X, X_val + shift)
    for scale in (0.25, 0.5, 2, 4):
        assert not is_on_other_scale(X, X_val * scale)
    trend = np.linspace(0, 3, 1000)[:, None] + rng.randn(1000, n_features)
    assert not is_on_other_scale(trend[:800], trend[800:])


def test_a_class_that_only_one_of_the_sets_has():
    for load in (load_wine, load_breast_cancer, load_digits):
        X, y = load(return_X_y=True)
        for label in np.unique(y):
            assert not is_on_other_scale(X[y != label], X[y == label])


def test_a_column_of_time():
    X = np.hstack([np.arange(500.0)[:, None], TABLES["breast cancer"][:500]])
    assert not is_on_other_scale(X[:400], X[400:])


# ------------------------------------------------------------------------------------- what is read


class Rows:
    """Counts what is read of it."""

    def __init__(self, values):
        self.values, self.shape, self.n_read = values, values.shape, 0

    def __getitem__(self, rows):
        self.n_read += len(rows)
        return self.values[rows]


def test_some_rows_are_read():
    X = np.random.RandomState(0).randn(5000, 8)
    first, second = Rows(X[:4000]), Rows(X[4000:] * 100)
    assert is_on_other_scale(first, second)
    assert first.n_read == second.n_read == _ROWS


def test_all_rows_of_few_and_columns_of_many():
    X = np.random.RandomState(0).randn(60, 3 * _COLUMNS)
    first, second = Rows(X[:40]), Rows(X[40:])
    assert not is_on_other_scale(first, second)
    assert (first.n_read, second.n_read) == (40, 20)


def test_sparse_sets():
    rng = np.random.RandomState(0)
    X = (rng.rand(500, 50) < 0.3) * rng.rand(500, 50)
    for make in (scipy.sparse.csr_array, scipy.sparse.csr_matrix):
        assert not is_on_other_scale(make(X[:400]), make(X[400:]))
        assert is_on_other_scale(make(X[:400]), make(20 * X[400:]))


# -------------------------------------------------------------------------------- the estimators


@each_of_all
def test_estimators_warn(cls):
    X, y = images(120, (1, 4, 4))
    for scaled in (X / 255.0, X.reshape(len(X), -1) / 255.0):
        small(cls).fit(scaled, y, X_val=scaled[:40], y_val=y[:40])
        with pytest.warns(UserWarning, match=r"^X_val is on another scale than X.*transform_input=\['X_val'\]") as said:
            small(cls).fit(scaled, y, X_val=X[:40], y_val=y[:40])
        assert [warning.filename for warning in said] == [__file__]


def test_the_set_that_a_pipeline_does_not_transform():
    """The accuracy that early stopping watches is then of something else."""
    X, y = load_breast_cancer(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    X, X_val, y, y_val = train_test_split(X, y, random_state=0)
    net = TwoLayerNet(early_stopping=True, random_state=0)
    with pytest.warns(UserWarning, match="X_val is on another scale than X"):
        make_pipeline(StandardScaler(), net).fit(X, y, twolayernet__X_val=X_val, twolayernet__y_val=y_val)
    with sklearn.config_context(enable_metadata_routing=True):
        net.set_fit_request(X_val=True, y_val=True)
        model = Pipeline([("scaler", StandardScaler()), ("net", net)], transform_input=["X_val"])
        model.fit(X, y, X_val=X_val, y_val=y_val)
        assert model.score(X_test, y_test) > 0.95
        search = GridSearchCV(model, {"net__hidden_dim": [20, 30]}, cv=2).fit(X, y, X_val=X_val, y_val=y_val)
        assert search.score(X_test, y_test) > 0.95


def test_a_part_set_aside_needs_no_look():
    X, y = images(120, (1, 4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(TwoLayerNet, early_stopping=True).fit(X, y)
