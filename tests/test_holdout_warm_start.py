"""early_stopping with warm_start: samples keep their side from fit to fit."""

import copy
import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array

from sklearn_dl import FullyConnectedRegressor, Softmax, TwoLayerNet, _base, load
from sklearn_dl._csr import as_rows
from sklearn_dl._holdout import Sides, sample_keys

from ._estimators import EVERY, blobs, each_of_all, small


@pytest.fixture
def sides_of(monkeypatch):
    """Return a function that fits an estimator and returns the rows that it trained and validated on, as bytes."""

    def fit(estimator, X, y, sample_weight=None):
        seen = []

        class Spy(_base.Solver):
            def __init__(self, net, data, **options):
                seen.append(data)
                super().__init__(net, data, **options)

        with monkeypatch.context() as patch:
            patch.setattr(_base, "Solver", Spy)
            estimator.fit(X, y, sample_weight)
        return [rows_of(seen[0], part) for part in ("train", "val")]

    return fit


def rows_of(data, part):
    """Return the samples of a part, sorted; of a merged set, each as often as it counts."""
    X, rows, weight = data[f"X_{part}"], data.get(f"rows_{part}"), data.get(f"sample_weight_{part}")
    if not isinstance(X, np.ndarray):
        X = np.array(list(dense(X)))
    if rows is not None:
        return sorted(row.tobytes() for row in X[rows])
    times = np.ones(len(X), int) if weight is None else weight.astype(int)
    return sorted(row.tobytes() for row, count in zip(X, times, strict=True) for _ in range(count))


def dense(X):
    """Return the rows of a `CSR` as arrays."""
    for row in X.rows:
        values = np.zeros(X.n_columns, X.dtype)
        stored = slice(X.indptr[row], X.indptr[row + 1])
        np.add.at(values, X.indices[stored], X.data[stored])
        yield values


def stopping(cls, **params):
    return small(cls, **{"early_stopping": True, "validation_fraction": 0.3, "warm_start": True, **params})


KEEPING = {
    "itself": lambda net, folder: net,
    "pickle": lambda net, folder: pickle.loads(pickle.dumps(net)),
    "copy": lambda net, folder: copy.deepcopy(net),
    "file": lambda net, folder: (net.save(folder / "net"), load(folder / "net"))[1],
    "partial_fit": lambda net, folder: net.partial_fit(*blobs(60)),
}


@each_of_all
@pytest.mark.parametrize("batch_size", [16, 64], ids=["rows", "merged"])
@pytest.mark.parametrize("keep", KEEPING)
def test_the_same_rows_are_set_aside_again(cls, batch_size, keep, sides_of, tmp_path):
    X, y = blobs(60)
    net = stopping(cls, batch_size=batch_size)
    first = sides_of(net, X, y)
    net = KEEPING[keep](net, tmp_path)
    shuffled = np.random.RandomState(1).permutation(60)
    assert len(first[1]) == 18
    assert sides_of(net, X[shuffled], y[shuffled]) == first
    assert sides_of(net, X, y) == first


def test_sparse_rows_are_known_again(sides_of):
    X, y = blobs(60)
    X[X < 0.5] = 0
    net = stopping(Softmax)
    first = sides_of(net, csr_array(X), y)
    assert sides_of(net, csr_array(X[::-1].copy()), y[::-1]) == first


@pytest.mark.parametrize("batch_size", [16, 64])
def test_rows_are_known_again_however_their_zeros_are_stored(batch_size, sides_of):
    X, y = blobs(60)
    X[X < 0.5] = 0
    signed = np.where(X == 0, -0.0, X)
    net = stopping(Softmax, batch_size=batch_size)
    sides_of(net, X, y)
    known = net._state.held_out
    sides_of(net, signed, y)
    np.testing.assert_equal(net._state.held_out, known)

    matrix = csr_array(X)
    # Each row has its elements as two halves that add up, and a zero.
    rows = [slice(*matrix.indptr[i : i + 2]) for i in range(60)]
    values = np.concatenate([[*matrix.data[row] / 2, *matrix.data[row] / 2, 0.0] for row in rows])
    columns = np.concatenate([[*matrix.indices[row], *matrix.indices[row], 0] for row in rows])
    explicit = csr_array((values, columns, 2 * matrix.indptr + np.arange(61)), shape=X.shape)
    np.testing.assert_array_equal(explicit.toarray(), X)
    net = stopping(Softmax, batch_size=batch_size)
    sides_of(net, matrix, y)
    known = net._state.held_out
    sides_of(net, explicit, y)
    np.testing.assert_equal(net._state.held_out, known)


@pytest.mark.parametrize("batch_size", [16, 200])
def test_new_rows_are_drawn_and_known_ones_stay(batch_size, sides_of):
    X, y = blobs(150)
    net = stopping(TwoLayerNet, batch_size=batch_size, validation_fraction=0.2)
    trained, validated = set(), set()
    for start in range(0, 100, 10):  # a window that moves, the old part of which comes back at the end
        rows = slice(0, 150) if start == 90 else slice(start, start + 50)
        train, val = map(set, sides_of(net, X[rows], y[rows]))
        assert not train & validated
        assert not val & trained
        assert val
        trained, validated = trained | train, validated | val
    assert len(validated) == 30


@pytest.mark.parametrize("batch_size", [16, 200])
def test_of_equal_rows_as_many_are_set_aside_again(batch_size, sides_of):
    X, y = blobs(20)
    X, y = np.repeat(X, 4, axis=0), np.repeat(y, 4)
    net = stopping(TwoLayerNet, batch_size=batch_size)
    first = sides_of(net, X, y)
    assert set(first[0]) & set(first[1])  # some are on both sides
    assert sides_of(net, X[::-1], y[::-1]) == first


def test_weights_are_repetition(sides_of):
    X, y = blobs(30)
    times = np.arange(30) // 3 % 3
    net = stopping(TwoLayerNet, batch_size=128)
    first = sides_of(net, X, y, times)
    assert sides_of(net, np.repeat(X, times, axis=0), np.repeat(y, times)) == first


def test_random_labels_are_not_learned_from_the_validation_set():
    rng = np.random.RandomState(0)
    X, y = rng.randn(400, 20), rng.randint(10, size=400)
    net = TwoLayerNet(hidden_dim=200, num_epochs=60, early_stopping=True, warm_start=True, random_state=0, tol=None)
    fits = [(net.fit(X, y).train_acc_history_[-1], net.best_val_score_) for _ in range(4)]
    learned, scores = zip(*fits, strict=True)
    assert min(learned) > 0.9  # by heart
    assert max(scores) < 0.3  # a tenth is chance, of 40 samples; 0.7 if they change sides


def test_samples_that_were_all_trained_on_are_an_error():
    X, y = blobs(60)
    y = y.astype(float)
    net = stopping(FullyConnectedRegressor).fit(X, y)
    known = net._state.held_out
    trained = np.flatnonzero(np.isin(sample_keys(X, net._task.encode(y), range(60), net._net.dtype), known["trained"]))
    with pytest.raises(ValueError, match="needs samples that were not trained on in an earlier fit, and all 42 were"):
        net.fit(X[trained], y[trained])
    validated = np.setdiff1d(np.arange(60), trained)
    with pytest.raises(ValueError, match="leaves none to train on"):
        net.fit(X[validated], y[validated])
    assert net._state.held_out is known
    assert net.fit(X, y).n_iter_ == 6


def test_the_first_fit_is_as_without_warm_start():
    X, y = blobs(60)
    for cls in EVERY:
        first, other = stopping(cls).fit(X, y), stopping(cls, warm_start=False).fit(X, y)
        for name, value in first.params_.items():
            np.testing.assert_array_equal(value, other.params_[name])
        assert other._state.held_out == {}


def test_samples_are_known_by_all_that_they_hold():
    """By y, too, and by where the stored elements of a sparse row stand; not by dtype, byte order or their order."""
    X, y, rows = np.arange(12.0).reshape(3, 4) + 0.1, np.array([0, 1, 1]), np.arange(3)
    keys = sample_keys(X, y, rows, np.float32)
    assert len(set(keys)) == 3
    np.testing.assert_array_equal(sample_keys(X, 1 - y, rows, np.float32) == keys, False)
    for same in (X.astype(np.float32), X.astype(">f8"), np.asfortranarray(X)):
        np.testing.assert_array_equal(sample_keys(same, y, rows, np.float32), keys)
    np.testing.assert_array_equal(sample_keys(X, y, rows[::-1], np.float32), keys[::-1])

    def stored(values, columns, kind=np.int32):
        return as_rows(csr_array((values, np.array(columns, kind), np.array([0, 2], kind)), shape=(1, 6)), "X")

    def key(X):
        [found] = sample_keys(X, y, [0], np.float32)
        return found

    one = key(stored([1.5, 2.5], [1, 4]))
    assert key(stored([2.5, 1.5], [4, 1])) == key(stored([1.5, 2.5], [1, 4], np.int64)) == one
    assert one not in (key(stored([1.5, 2.5], [1, 5])), key(stored([2.5, 1.5], [1, 4])))


def test_of_equal_samples_each_is_on_a_side_or_new():
    sides = Sides({})
    trained, validated = (np.array(keys, np.uint64) for keys in ([7, 5, 5], [5]))
    sides.add(trained=trained, validated=validated)
    found = sides.of(np.array([5, 7, 5, 9, 5, 5, 7], np.uint64))
    assert [mask.tolist() for mask in found] == [
        [False, True, True, False, True, False, False],
        [True, False, False, False, False, False, False],
    ]


def test_what_is_known_of_samples_does_not_grow_with_the_fits():
    X, y = blobs(20)
    X, y = np.repeat(X, 3, axis=0), np.repeat(y, 3)
    net = stopping(TwoLayerNet)
    for _ in range(3):
        net.fit(X, y)
        assert {side: len(keys) for side, keys in net._state.held_out.items()} == {"trained": 42, "validated": 18}
