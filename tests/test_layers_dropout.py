"""Dropout: where its random numbers come from, and what becomes of the values."""

import numpy as np
import pytest

from sklearn_dl.layers import dropout_backward, dropout_forward


def forward(x, **dropout_param):
    return dropout_forward(x, dropout_param)[0]


def test_draws_from_the_global_generator(dtype):
    x = np.ones((20, 30), dtype)
    np.random.seed(5)
    expected = (np.random.rand(20, 30) < 0.3) / 0.3
    after = np.random.rand()
    np.random.seed(5)
    np.testing.assert_allclose(forward(x, mode="train", p=0.3), expected, rtol=1e-6)
    assert np.random.rand() == after


def test_seed_repeats_the_mask_and_leaves_the_global_generator_alone():
    x = np.ones((20, 30))
    state = np.random.get_state()[2]
    first, second = (forward(x, mode="train", p=0.3, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first != 0, np.random.RandomState(5).rand(20, 30) < 0.3)
    assert np.random.get_state()[2] == state


def test_rng_is_drawn_from():
    x = np.ones((20, 30))
    rng = np.random.RandomState(5)
    first, second = (forward(x, mode="train", p=0.3, rng=rng) for _ in range(2))
    assert np.any(first != second)
    np.testing.assert_array_equal(first, forward(x, mode="train", p=0.3, seed=5))


@pytest.mark.parametrize("p", [0.25, 0.5, 0.9])
def test_values_are_dropped_or_divided_by_p(rng, p, dtype):
    x = rng.randn(200, 300).astype(dtype)
    out, cache = dropout_forward(x, {"mode": "train", "p": p, "seed": 0})
    kept = out != 0
    assert abs(kept.mean() - p) < 0.01
    np.testing.assert_allclose(out[kept], x[kept] / p, rtol=1e-6)
    dx = dropout_backward(np.ones_like(x), cache)
    np.testing.assert_allclose(dx, kept / p, rtol=1e-6)


@pytest.mark.parametrize("dropout_param", [{"mode": "test", "p": 0.3}, {"mode": "train", "p": 1}])
def test_identity_in_test_mode_and_when_all_is_kept(rng, dropout_param):
    x = rng.randn(3, 4)
    out, cache = dropout_forward(x, dropout_param)
    np.testing.assert_array_equal(out, x)
    assert not np.shares_memory(out, x)
    np.testing.assert_array_equal(dropout_backward(x, cache), x)
