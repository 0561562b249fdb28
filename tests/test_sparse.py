"""Sparse X: what is learned and predicted is what the dense X gives, without ever making it."""

import copy
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler

from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl._csr import CSR
from sklearn_dl._inputs import canonical_order
from sklearn_dl.gradient_check import check_net
from sklearn_dl.nets import FullyConnected, Net
from sklearn_dl.nets.layers import Affine, BatchNorm, Dropout, LayerNorm, ReLU
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor
from sklearn_dl.solver import Solver
from sklearn_dl.training import _program, diagnosis

from ._estimators import RULES, each_of_all, learned, small

TAKING = [Softmax, TwoLayerNet, FullyConnectedNet]
each_taking = pytest.mark.parametrize("cls", TAKING, ids=lambda cls: cls.__name__)


def counts(n=60, d=23, seed=0, dtype=np.float64, n_classes=3):
    """Return a dense X of mostly zeros with some rows of nothing else, which half tell y, and y."""
    rng = np.random.RandomState(seed)
    y = np.arange(n) % n_classes
    X = (rng.rand(n, d) < 0.15) * rng.randint(1, 9, (n, d))
    X[:, :n_classes] += np.eye(n_classes, dtype=int)[y] * (rng.rand(n, 1) < 0.8)
    X[::11] = 0
    return X.astype(dtype), y


def untidy(X, index=np.int32, form=sp.csr_matrix):
    """Return X as CSR with unsorted elements, an element in two parts and explicit zeros."""
    rng = np.random.RandomState(1)
    row, column = np.nonzero(X)
    value = X[row, column]
    split = np.arange(0, len(value), 3)  # x = (x - 1) + 1
    row = np.r_[row, row[split], rng.randint(X.shape[0], size=20)]
    column = np.r_[column, column[split], rng.randint(X.shape[1], size=20)]
    parts = np.ones(len(split), X.dtype)
    value = np.r_[value, parts, np.zeros(20, X.dtype)]
    value[split] -= parts
    order = rng.permutation(len(row))
    order = order[np.argsort(row[order], kind="stable")]
    indptr = np.r_[0, np.cumsum(np.bincount(row, minlength=len(X)))]
    matrix = form(X.shape, dtype=X.dtype)
    matrix.data, matrix.indices, matrix.indptr = value[order], column[order].astype(index), indptr.astype(index)
    np.testing.assert_array_equal(matrix.toarray(), X)
    return matrix


@pytest.mark.parametrize("rows", [[3, 1, 2, 0], [0, 0, 3, 3], [2], [0, 1, 2, 3], [3, 2, 1, 0, 2]])
def test_rows_in_any_order_are_those_rows(rows):
    X, _ = counts(4)
    taken = CSR.of(sp.csr_array(X))[np.array(rows)]
    for got in (taken, taken.compact(), taken.compact().compact()):
        np.testing.assert_array_equal(got.toarray(), X[rows])


def sparse_frame(X, columns=None):
    frame = pd.DataFrame.sparse.from_spmatrix(sp.csr_matrix(X), columns=columns)
    try:
        frame.sparse.to_coo()
    except ImportError as error:
        pytest.skip(f"this pandas needs a newer SciPy: {error}")
    return frame


FORMS = {
    "csr array": sp.csr_array,
    "csr matrix": sp.csr_matrix,
    "csc": sp.csc_matrix,
    "coo": sp.coo_array,
    "lil": sp.lil_matrix,
    "int64": lambda X: untidy(X, np.int64),
    "long long": lambda X: untidy(X, np.longlong),
    "untidy": untidy,
    "untidy array": lambda X: untidy(X, form=sp.csr_array),
    "frame": sparse_frame,
}


def assert_close(sparse, dense, tolerance=1e-10):
    sparse, dense = learned(sparse), learned(dense)
    assert sparse.keys() == dense.keys()
    for name in dense:
        np.testing.assert_allclose(sparse[name], dense[name], rtol=tolerance, atol=tolerance, err_msg=name)
        assert sparse[name].dtype == dense[name].dtype


# ------------------------------------------------------------------------------------- the dense X's results


@each_taking
@pytest.mark.parametrize("form", FORMS)
def test_every_form_learns_and_predicts_what_the_dense_one_does(cls, form):
    X, y = counts()
    given = FORMS[form](X)
    before = copy.deepcopy(given)
    weights = np.random.RandomState(0).rand(len(y))
    dense, sparse = (small(cls, dtype="float64").fit(data, y, weights) for data in (X, given))
    assert_close(sparse, dense)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        of_sparse, of_dense = getattr(sparse, method)(given), getattr(dense, method)(X)
        np.testing.assert_allclose(of_sparse, of_dense, rtol=1e-10, atol=1e-10)
    assert sparse.score(given, y, weights) == dense.score(X, y, weights)
    if form != "frame":
        for name in ("data", "indices", "indptr", "row", "col"):
            if hasattr(before, name):
                np.testing.assert_array_equal(getattr(given, name), getattr(before, name))


@each_taking
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int8, np.uint8, bool])
def test_every_dtype(cls, dtype):
    X, y = counts(dtype=dtype)
    dense, sparse = (small(cls).fit(data, y) for data in (X, sp.csr_array(X)))
    assert_close(sparse, dense, 1e-10 if dtype == np.float64 else 1e-4)


SETTINGS = {
    "early stopping": {"early_stopping": True, "num_epochs": 8},
    "one minibatch": {"batch_size": 200},
    "one minibatch with early stopping": {"batch_size": 200, "early_stopping": True, "validation_fraction": 0.3},
    "last minibatch of another size": {"batch_size": 7},
    "class weights": {"class_weight": "balanced"},
    "penalty": {"reg": 1e-2, "lr_decay": 0.9},
    "iterations": {"num_epochs": "auto", "num_iters": 11},
}


@each_taking
@pytest.mark.parametrize("setting", SETTINGS)
def test_settings(cls, setting):
    X, y = counts()
    dense, sparse = (small(cls, **SETTINGS[setting]).fit(data, y) for data in (X, untidy(X)))
    assert_close(sparse, dense)


@each_taking
@pytest.mark.parametrize("reg", [0.0, 1e-2])
@pytest.mark.parametrize("rule", RULES)
def test_update_rules(cls, rule, reg):
    X, y = counts(d=80)
    dense, sparse = (small(cls, update_rule=rule, reg=reg, num_epochs=8).fit(data, y) for data in (X, untidy(X)))
    assert_close(sparse, dense)


@pytest.mark.parametrize("options", [{"normalization": "batchnorm"}, {"normalization": "layernorm"}])
def test_normalization_and_dropout(options):
    X, y = counts()
    options = {**options, "dropout_keep_ratio": 0.6}
    dense, sparse = (small(FullyConnectedNet, **options).fit(data, y) for data in (X, untidy(X)))
    assert_close(sparse, dense)


@each_taking
def test_validation_set_of_the_other_kind(cls):
    X, y = counts(90)
    for train, val in (
        (X[:60], sp.csc_array(X[60:])),
        (sp.csr_array(X[:60]), X[60:]),
        (untidy(X)[:60], untidy(X)[60:]),
    ):
        net = small(cls).fit(train, y[:60], X_val=val, y_val=y[60:])
        assert_close(net, small(cls).fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:]))


@each_taking
def test_partial_fit_on_parts_dense_and_sparse_by_turns(cls):
    X, y = counts()
    parts = [slice(0, 20), slice(20, 40), slice(40, 60)]
    dense, sparse = small(cls), small(cls)
    for _ in range(3):
        for i, part in enumerate(parts):
            dense.partial_fit(X[part], y[part], classes=[0, 1, 2])
            sparse.partial_fit(X[part] if i == 1 else untidy(X[part]), y[part], classes=[0, 1, 2])
    assert_close(sparse, dense)


@each_taking
def test_warm_start_goes_on(cls):
    X, y = counts()
    dense, sparse = (small(cls, warm_start=True) for _ in range(2))
    for _ in range(2):
        dense.fit(X, y)
        sparse.fit(sp.csr_array(X), y)
    assert_close(sparse, dense)


@each_taking
def test_recorded_steps_leave_the_bits_of_the_step_by_step_run(cls, monkeypatch):
    X, y = counts(d=90)
    recorded = [small(cls, batch_size=8, early_stopping=stop).fit(untidy(X), y) for stop in (False, True)]
    monkeypatch.setattr(_program, "enabled", False)
    for net in recorded:
        stepwise = small(cls, batch_size=8, early_stopping=net.early_stopping).fit(untidy(X), y)
        for name, value in learned(net).items():
            np.testing.assert_array_equal(value, learned(stepwise)[name], err_msg=name)


@each_taking
def test_updates_are_recorded(cls, monkeypatch):
    made = []
    replay = _program.RecordedSteps._replay
    monkeypatch.setattr(_program.RecordedSteps, "_replay", lambda *args: made.append(1) or replay(*args))
    X, y = counts()
    small(cls, batch_size=8).fit(sp.csr_array(X), y)
    assert made


@each_taking
@pytest.mark.parametrize("value", [0, 3])
@pytest.mark.parametrize("form", ["csr array", "untidy"])
def test_constant_X_is_called_that(cls, form, value, monkeypatch):
    monkeypatch.setattr(diagnosis, "EVALUATION_BATCH", 7)
    X, y = np.zeros((60, 9)), np.arange(60) % 3
    X[:, 2:5] = value
    with pytest.warns(ConvergenceWarning, match="X is constant: all training samples have the same values"):
        small(cls, learning_rate=0.5, num_epochs=20).fit(FORMS[form](X), y)
    for row, column in ((0, 2), (6, 8), (59, 0)):
        other = X.copy()
        other[row, column] += 2**-20  # exact in the parts of `untidy`
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            small(cls, learning_rate=0.5, num_epochs=20).fit(FORMS[form](other), y)
        assert not [warning for warning in caught if "X is constant" in str(warning.message)]


# ------------------------------------------------------------------------------------- nets and solver


def test_gradients_of_a_net_on_sparse_X():
    X, y = counts(12, 9)
    layers = [Affine(7), BatchNorm(), ReLU(), Dropout(0.8, seed=1), Affine(5), LayerNorm(), ReLU(), Affine(3)]
    net = Net(layers, 9, reg=0.1, weight_scale="he", dtype=np.float64, random_state=0)
    check_net(net, untidy(X), y)
    np.testing.assert_allclose(net.loss(untidy(X)), net.loss(X), rtol=1e-12)
    loss, grads = net.loss(sp.csc_matrix(X), y)
    expected_loss, expected = net.loss(X, y)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    for name in grads:
        np.testing.assert_allclose(grads[name], expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("hidden", [[], [6]])
def test_gradients_of_sparse_and_dense_minibatches_by_turns(hidden, writes):
    """A sparse minibatch writes to some rows of the gradient alone: what others, or the caller, left must not show."""
    X, y = counts(40, 30)
    net = FullyConnected(hidden, 30, 3, weight_scale="he", dtype=np.float64, random_state=0)
    backprop = net.backprop if writes else net._backprop
    for i, start in enumerate(range(0, 40, 5)):
        part = slice(start, start + 5)
        batch = X[part] if i % 3 == 2 else CSR.of(sp.csr_array(X[part]))
        loss, grads = backprop(batch, y[part])
        expected_loss, expected = copy.deepcopy(net).backprop(X[part], y[part])
        assert loss == pytest.approx(expected_loss, rel=1e-12)
        for name in grads:
            np.testing.assert_allclose(grads[name], expected[name], rtol=1e-9, atol=1e-12)
            if writes:
                grads[name] += 1


class WithDecay(FullyConnected):
    """Writes to the gradients that it is given."""

    def backprop(self, *args, **kwargs):
        loss, grads = super().backprop(*args, **kwargs)
        for name in self.weight_names:
            grads[name] += 0.1 * self.params[name]
        return loss, grads


@pytest.mark.parametrize("rule", ["sgd", "adagrad", "adam"])
def test_a_backprop_that_writes_to_the_gradients(rule):
    X, y = counts(50)
    nets = []
    for data in (X, untidy(X)):
        nets.append(WithDecay([6], X.shape[1], 3, weight_scale="he", dtype=np.float64, random_state=0))
        options = {"update_rule": rule, "num_epochs": 3, "batch_size": 5, "verbose": False, "random_state": 0}
        Solver(nets[-1], {"X_train": data, "y_train": y}, **options).train()
    for name, expected in nets[0].params.items():
        np.testing.assert_allclose(nets[1].params[name], expected, rtol=1e-9, atol=1e-12)


def test_solver_takes_sparse_data_and_rows():
    X, y = counts(50)
    rows = np.arange(3, 50, 2)
    outcomes = []
    for data in (X, untidy(X)):
        net = FullyConnected([6], X.shape[1], 3, dtype=np.float64, random_state=0)
        parts = {"X_train": data, "y_train": y, "rows_train": rows, "X_val": data, "y_val": y, "rows_val": rows[::-1]}
        solver = Solver(net, parts, num_epochs=3, batch_size=5, verbose=False, random_state=0)
        solver.train()
        outcomes.append((solver.loss_history, solver.val_acc_history, [solver.check_accuracy(data, y)]))
    for sparse, dense in zip(*outcomes, strict=True):
        np.testing.assert_allclose(sparse, dense, rtol=1e-10)


class OwnLoss(FullyConnected):
    """A net whose loss, written by somebody else, is given SciPy's matrices."""

    seen: list

    def loss(self, X, y=None, sample_weight=None):
        self.seen.append(type(X))
        return super().loss(X, y, sample_weight)


def test_a_loss_of_somebody_else_is_given_a_matrix_of_scipy():
    X, y = counts(50)
    histories = []
    for data in (X, untidy(X)):
        net = OwnLoss([6], X.shape[1], 3, dtype=np.float64, random_state=0)
        net.seen = []
        solver = Solver(net, {"X_train": data, "y_train": y}, num_epochs=3, batch_size=8, verbose=False, random_state=0)
        solver.train()
        histories.append(solver.loss_history)
        assert set(net.seen) == {np.ndarray if data is X else sp.csr_array}
    np.testing.assert_allclose(*histories, rtol=1e-10)


@pytest.mark.parametrize("first", [Dropout(0.5), BatchNorm()], ids=repr)
def test_nets_with_another_first_layer_refuse(first):
    X, y = counts()
    net = Net([first, Affine(3)], X.shape[1], random_state=0)
    for call in (lambda: net.loss(sp.csr_array(X)), lambda: Solver(net, {"X_train": sp.csr_array(X), "y_train": y})):
        with pytest.raises(TypeError, match=r"first layer is Affine.*begins with (Dropout|BatchNorm).*toarray\(\)"):
            call()


def test_a_net_refuses_another_number_of_features_and_no_rows():
    X, _ = counts()
    net = FullyConnected([6], 22, 3, random_state=0)
    for bad in (sp.csr_array(X), sp.csr_array(X)[:0, :22]):
        with pytest.raises(ValueError, match=r"at least one sample of 22 features, got a sparse matrix"):
            net.loss(bad)


def test_augmentation_refuses():
    X, y = counts(d=16)
    net = Net([Affine(3)], (1, 4, 4), random_state=0)
    with pytest.raises(ValueError, match=r"augmentation needs images as an array, got a sparse matrix"):
        Solver(net, {"X_train": sp.csr_array(X), "y_train": y}, augmentation="flip")


# ------------------------------------------------------------------------------------- small sets, in canonical order


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, bool])
def test_canonical_order_of_the_dense_rows(dtype):
    rng = np.random.RandomState(0)
    X = (rng.rand(80, 6) < 0.3) * rng.randint(-2, 3, (80, 6))
    X, y, weights = X.astype(dtype), rng.randint(2, size=80), rng.randint(2, size=80) / 2
    for columns in ((y,), (y, weights)):
        expected, got = canonical_order(X, *columns), canonical_order(CSR.of(sp.csr_array(X)), *columns)
        np.testing.assert_array_equal(got[0], expected[0])
        np.testing.assert_array_equal(got[1], expected[1])


# ------------------------------------------------------------------------------------- bad matrices

MALFORMED = {
    "column": (sp.csr_matrix, lambda X: X.indices.__setitem__(3, 23), "columns from 0 to 22, got 0 to 23"),
    "negative column": (sp.csr_array, lambda X: X.indices.__setitem__(3, -1), "got -1 to"),
    "row of csc": (sp.csc_matrix, lambda X: X.indices.__setitem__(3, 60), "CSC.*rows from 0 to 59"),
    "end": (sp.csr_matrix, lambda X: X.indptr.__setitem__(-1, 10**6), "rise from 0 to at most"),
    "start": (sp.csr_matrix, lambda X: X.indptr.__setitem__(0, 1), "rise from 0"),
    "falling": (sp.csr_matrix, lambda X: X.indptr.__setitem__(5, 10**5), "rise from 0"),
    "one start less": (sp.csr_matrix, lambda X: setattr(X, "indptr", X.indptr[:-1]), "61 numbers, one more than"),
    "row of coo": (sp.coo_matrix, lambda X: X.row.__setitem__(2, 60), "row must be rows from 0 to 59"),
    "column of coo": (sp.coo_matrix, lambda X: X.col.__setitem__(2, -7), "col must be columns from 0 to 22"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_matrices(what):
    X, y = counts()
    form, spoil, message = MALFORMED[what]
    bad = form(X)
    spoil(bad)
    net = small(TwoLayerNet).fit(X, y)
    proba = net.predict_proba(X)
    core = FullyConnected([], X.shape[1], 3, random_state=0)
    for call in (
        lambda: net.fit(bad, y),
        lambda: net.partial_fit(bad, y),
        lambda: net.predict(bad),
        lambda: net.fit(X, y, X_val=bad, y_val=y),
        lambda: core.loss(bad),
        lambda: Solver(core, {"X_train": bad, "y_train": y}),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    np.testing.assert_array_equal(net.predict_proba(X), proba)


def test_a_matrix_that_is_spoiled_while_training_ends_in_an_error():
    X, y = counts()
    for spoil in ("indices", "indptr"):
        matrix = sp.csr_array(X)
        net = FullyConnected([6], X.shape[1], 3, dtype=np.float64, random_state=0)
        solver = Solver(net, {"X_train": matrix, "y_train": y}, num_epochs=2, batch_size=5, verbose=False)
        solver.train()
        getattr(solver.train_samples.X, spoil)[:] = 10**6
        solver.num_epochs = 4
        with pytest.raises(IndexError, match="indptr must rise from 0"):
            solver.train()


@each_taking
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [(np.nan, ValueError, "NaN"), (np.inf, ValueError, "infinity"), (1j, ValueError, "Complex data not supported")],
)
def test_values_that_are_no_finite_numbers(cls, value, error, message):
    X, y = counts()
    net = small(cls).fit(X, y)
    bad = sp.csr_array(X).astype(np.result_type(value, np.float64))
    bad.data[3] = value
    for call in (lambda: small(cls).fit(bad, y), lambda: net.predict(bad)):
        with pytest.raises(error, match=message):
            call()


@each_taking
def test_features_and_rows_must_fit(cls):
    X, y = counts()
    net = small(cls).fit(sp.csr_array(X), y)
    assert net.n_features_in_ == 23
    with pytest.raises(ValueError, match=r"X has 22 features, but .* expecting 23"):
        net.predict(sp.csr_array(X)[:, :22])
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[60, 59\]"):
        net.fit(sp.csr_array(X), y[:-1])
    with pytest.raises(ValueError, match="0 sample"):
        net.predict(sp.csr_array(X)[:0])
    with pytest.raises(ValueError, match=r"sample_weight.*\(59,\)"):
        net.fit(sp.csr_array(X), y, sample_weight=np.ones(59))


def test_values_too_large_are_named():
    X, y = counts()
    with pytest.raises(ValueError, match=r"because X is \(the largest magnitudes are X 9e\+200"):
        small(TwoLayerNet).fit(sp.csr_array(X * 1e200), y)


# ------------------------------------------------------------------------------------- those that want dense X


@pytest.mark.parametrize("form", ["csr array", "csc", "coo", "frame"])
def test_what_is_dense_says_what_to_do(form):
    X, y = np.eye(6), np.arange(6) % 2
    sparse = FORMS[form](X)
    net, subtractor = small(ThreeLayerConvNet).fit(X, y), MeanSubtractor().fit(X)
    for call in (
        lambda: small(ThreeLayerConvNet).fit(sparse, y),
        lambda: small(ThreeLayerConvNet).partial_fit(sparse, y, classes=[0, 1]),
        lambda: net.predict(sparse),
        lambda: net.fit(X, y, X_val=sparse, y_val=y),
        lambda: MeanSubtractor().fit(sparse),
        lambda: subtractor.transform(sparse),
        lambda: subtractor.inverse_transform(sparse),
        lambda: ImageReshaper().fit(sparse),
    ):
        with pytest.raises(TypeError, match=r"Sparse.*toarray\(\).*sparse_threshold=0.*TwoLayerNet.*with_mean=False"):
            call()


@each_of_all
def test_tags(cls):
    assert cls().__sklearn_tags__().input_tags.sparse is (cls is not ThreeLayerConvNet)


# ------------------------------------------------------------------------------------- in pipelines

WORDS = {0: "pitcher inning bat", 1: "orbit rocket moon", 2: "engine brake wheel"}


def texts(n=240, seed=0):
    """Return short texts of some words of their class among others."""
    rng = np.random.RandomState(seed)
    y = np.arange(n) % 3
    common = [f"word{i}" for i in range(100)]
    said = [[*rng.choice(WORDS[label].split(), 2, replace=False), *rng.choice(common, 5)] for label in y]
    return [" ".join(words) for words in said], y


@each_taking
@pytest.mark.parametrize("vectorizer", [TfidfVectorizer(), CountVectorizer(binary=True)])
def test_text_in_a_pipeline(cls, vectorizer):
    X, y = texts()
    model = make_pipeline(vectorizer, cls(random_state=0, batch_size=16, num_epochs=40, tol=None))
    assert model.fit(X[:180], y[:180]).score(X[180:], y[180:]) > 0.9


def test_text_in_a_search_and_cross_validation():
    X, y = texts()
    model = make_pipeline(TfidfVectorizer(), small(TwoLayerNet, num_epochs=20, learning_rate=0.01))
    search = GridSearchCV(model, {"twolayernet__hidden_dim": [4, 16], "tfidfvectorizer__binary": [False, True]}, cv=3)
    search.fit(X, y)
    assert search.best_score_ > 0.9
    assert (cross_val_predict(model, X, y, cv=3) == y).mean() > 0.9


@pytest.mark.parametrize("scaler", [StandardScaler(with_mean=False), MaxAbsScaler()])
def test_scaled_counts(scaler):
    X, y = counts(200)
    model = make_pipeline(scaler, small(TwoLayerNet))
    dense = copy.deepcopy(model).fit(X, y)
    np.testing.assert_allclose(model.fit(sp.csr_matrix(X), y).predict_proba(X), dense.predict_proba(X), rtol=1e-9)


def test_one_hot_encoded_frames():
    frame = pd.DataFrame({"number": range(60), "word": [f"word {i % 30}" for i in range(60)]})
    y = np.arange(60) % 2
    encoder = ColumnTransformer([("word", OneHotEncoder(), ["word"])], remainder="passthrough")
    assert sp.issparse(encoder.fit_transform(frame))
    make_pipeline(encoder, small(TwoLayerNet)).fit(frame, y)
    with pytest.raises(TypeError, match="sparse_threshold=0"):
        make_pipeline(encoder, small(ThreeLayerConvNet)).fit(frame, y)
    make_pipeline(encoder.set_params(sparse_threshold=0), small(TwoLayerNet)).fit(frame, y)


def test_names_of_a_sparse_frame_are_learned():
    X, y = counts()
    frame = sparse_frame(X, columns=[f"c{i}" for i in range(23)])
    net = small(TwoLayerNet).fit(frame, y)
    assert list(net.feature_names_in_[:2]) == ["c0", "c1"]
    with pytest.raises(ValueError, match="feature names"):
        net.predict(frame.rename(columns={"c0": "other"}))


def test_onnx_of_a_model_that_is_given_sparse_samples():
    onnxruntime = pytest.importorskip("onnxruntime")
    from sklearn_dl.onnx import to_onnx

    X, y = counts(dtype=np.float32)
    model = make_pipeline(MaxAbsScaler(), small(TwoLayerNet)).fit(sp.csr_matrix(X), y)
    session = onnxruntime.InferenceSession(to_onnx(model, sp.csr_matrix(X)).SerializeToString())
    np.testing.assert_array_equal(session.run(["label"], {"X": X})[0], model.predict(sp.csr_matrix(X)))


# ------------------------------------------------------------------------------------- memory


def test_memory_is_that_of_the_matrix_and_the_weights():
    n, d, hidden, words = 20_000, 20_000, 4, 20
    rng = np.random.RandomState(0)
    indices = rng.randint(d, size=n * words).astype(np.int32)
    X = sp.csr_matrix((rng.rand(n * words), indices, np.arange(0, n * words + 1, words)), (n, d))
    y = rng.randint(3, size=n)
    matrix, weights = X.data.nbytes + X.indices.nbytes, d * hidden * 8
    net = TwoLayerNet(hidden_dim=hidden, num_epochs=1, tol=None, random_state=0, early_stopping=True)
    tracemalloc.start()
    try:
        net.fit(X, y)
        net.predict_proba(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Gradient, two moments, the best weights so far, the first draw; rows, labels and probabilities.
    assert peak < matrix + 8 * weights + 200 * n
    assert peak < n * d * 8 / 100
