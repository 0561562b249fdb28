"""Samples set aside for early stopping: their share, strata, and what duplicates and weights count."""

import numpy as np
import pytest

from sklearn_dl import TwoLayerNet, _base
from sklearn_dl._holdout import set_aside_and_merge

from ._estimators import assert_same, blobs, each_estimator, each_of_all, small, weighing

CORNERS, XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])


@pytest.fixture
def data_of(monkeypatch):
    """Return a function that fits an estimator and returns what its solver was given."""

    def fit(estimator, *args, **kwargs):
        seen = []

        class Spy(_base.Solver):
            def __init__(self, net, data, **options):
                seen.append(data)
                super().__init__(net, data, **options)

        monkeypatch.setattr(_base, "Solver", Spy)
        estimator.fit(*args, **kwargs)
        return seen[0]

    return fit


def samples_of(data, part):
    """Return how many samples of each class a part of a small set holds."""
    weight, y = data[f"sample_weight_{part}"], data[f"y_{part}"]
    return np.bincount(y, np.ones(len(y)) if weight is None else weight)


@pytest.mark.parametrize("random_state", range(5))
@pytest.mark.parametrize("batch_size", [32, 60, 64])
def test_xor_of_duplicates_is_learned(random_state, batch_size):
    X, y = np.tile(CORNERS, (15, 1)), np.tile(XOR, 15)
    net = TwoLayerNet(
        early_stopping=True,
        num_epochs=500,
        learning_rate=0.02,
        n_iter_no_change=50,
        batch_size=batch_size,
        random_state=random_state,
    )
    assert net.fit(X, y).score(X, y) == 1.0


@each_estimator
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.4])
def test_the_share_and_the_strata_count_samples(cls, fraction, data_of):
    X, y = blobs(8, 2)
    times = np.array([1, 1, 2, 2, 3, 3, 8, 8])
    net = small(cls, early_stopping=True, validation_fraction=fraction, batch_size=64)
    for arguments in ((np.repeat(X, times, axis=0), np.repeat(y, times)), (X, y, times)):
        data = data_of(net, *arguments)
        train, val = samples_of(data, "train"), samples_of(data, "val")
        assert (train + val).tolist() == [14, 14]
        assert val.sum() == np.ceil(fraction * 28)
        assert abs(val[0] - val[1]) <= 1


def test_duplicates_can_be_on_both_sides(data_of):
    X, y = np.tile(CORNERS, (15, 1)), np.tile(XOR, 15)
    data = data_of(small(TwoLayerNet, early_stopping=True, validation_fraction=0.5, batch_size=64), X, y)
    for part in ("train", "val"):
        np.testing.assert_array_equal(data[f"X_{part}"], CORNERS)
        assert data[f"sample_weight_{part}"].sum() == 30


@each_of_all
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3, 1: 0.25}], ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_whole_weights_are_repetition_to_the_bit(cls, class_weight, dtype):
    rng = np.random.RandomState(0)
    X, y = rng.randint(0, 5, (20, 16)).astype(dtype), np.arange(20) % 3
    times = rng.randint(0, 4, 20)
    weighed = weighing(cls, class_weight)
    net = small(cls, early_stopping=True, validation_fraction=0.3, batch_size=128, **weighed)
    shuffled = rng.permutation(20)
    weighted = small(cls, **net.get_params()).fit(X[shuffled], y[shuffled], times[shuffled])
    repeated = small(cls, **net.get_params()).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    assert_same(weighted, repeated)


@pytest.mark.parametrize("scale", [0.1, 1 / 3, 0.5])
def test_fractional_weights_set_aside_rows(scale):
    """Each row is a sample, and its weight goes where it goes; all of them are somewhere."""
    rng = np.random.RandomState(0)
    X, y = np.repeat(rng.randn(10, 3), 2, axis=0), np.repeat(np.arange(10) % 2, 2)
    weight = scale * (1 + np.arange(20) % 3)
    data = set_aside_and_merge(X, y, weight, None, 0.3, np.random.RandomState(0))
    total = sum(np.bincount(data[f"y_{part}"], data[f"sample_weight_{part}"], minlength=2) for part in ("train", "val"))
    np.testing.assert_allclose(total, np.bincount(y, weight))


def test_equal_fractional_weights_are_no_weights():
    X, y = blobs(20)
    results = [
        set_aside_and_merge(X, y, weight, None, 0.3, np.random.RandomState(0)) for weight in (None, np.full(20, 0.7))
    ]
    for name, value in results[0].items():
        np.testing.assert_array_equal(value, results[1][name])


@pytest.mark.parametrize("times", [1, 30])
def test_none_left_counts_samples(times):
    """Thirty samples are enough for .9, also if all are the same."""
    X, y = np.zeros((times, 16)), np.zeros(times, int)
    net = small(TwoLayerNet, early_stopping=True, validation_fraction=0.9)
    if times == 1:
        with pytest.raises(ValueError, match=r"validation_fraction=0\.9 of n_samples=1 .* leaves none"):
            net.fit(X, y)
    else:
        assert net.fit(X, y).best_val_score_ == 1.0


def test_few_samples_of_a_class_are_not_stratified(data_of):
    X, y = blobs(12, 3)
    y[y == 2] = 1
    y[0] = 2
    data = data_of(small(TwoLayerNet, early_stopping=True, validation_fraction=0.25), X, y)
    assert samples_of(data, "train").sum() == 9
    assert samples_of(data, "val").sum() == 3
