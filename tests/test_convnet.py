"""What is the convolutional classifier's own: dropout after the hidden layer. The rest is in test_estimator_*.py."""

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_dl import ThreeLayerConvNet, load
from sklearn_dl.nets.layers import Dropout

from ._estimators import assert_differ, assert_same, images, small


def net(**params):
    return small(ThreeLayerConvNet, **params)


def test_dropout_follows_the_relu_of_the_hidden_layer():
    X, y = images()
    fitted = net(dropout_keep_ratio=0.6).fit(X, y)
    kinds = [type(layer).__name__ for layer in fitted._net.layers]
    assert kinds == ["Conv", "ReLU", "MaxPool", "Affine", "ReLU", "Dropout", "Affine"]
    assert fitted._net.layers[5] == Dropout(0.6)


def test_without_dropout_nothing_changes():
    X, y = images()
    plain, ones = net().fit(X, y), net(dropout_keep_ratio=1).fit(X, y)
    assert_same(plain, ones)
    assert not any(isinstance(layer, Dropout) for layer in plain._net.layers)
    assert_differ(plain, net(dropout_keep_ratio=0.6).fit(X, y), X)


@pytest.mark.parametrize("normalization", [None, "batchnorm", "groupnorm"])
def test_dropout_learns_and_predicts_without_chance(normalization):
    X, y = images(80)
    X = X / np.float32(255)
    params = {"normalization": normalization, "dropout_keep_ratio": 0.7, "num_filters": 8, "hidden_dim": 50}
    fitted = net(**params, num_epochs=30).fit(X, y)
    assert fitted.score(X, y) > 0.9
    np.testing.assert_array_equal(fitted.predict_proba(X), fitted.predict_proba(X))
    assert_same(fitted, clone(fitted).fit(X, y))


def test_saved_and_loaded_with_dropout(tmp_path):
    X, y = images()
    fitted = net(dropout_keep_ratio=0.6).fit(X, y)
    fitted.save(tmp_path / "net")
    twin = load(tmp_path / "net")
    assert twin.dropout_keep_ratio == 0.6
    np.testing.assert_array_equal(twin.predict_proba(X), fitted.predict_proba(X))
    assert_same(twin.partial_fit(X, y), fitted.partial_fit(X, y))


@pytest.mark.parametrize("value", [0, 1.5, "0.5", None])
def test_keep_ratios_that_are_none(value):
    X, y = images()
    with pytest.raises((TypeError, ValueError), match="dropout_keep_ratio"):
        net(dropout_keep_ratio=value).fit(X, y)


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("stated", [(8, 8, 3), (28, 28, 1), (9, 5, 4)])
def test_a_stated_shape_with_channels_last_is_taken_with_a_warning(stated, rows):
    X = np.random.RandomState(0).rand(20, *stated)
    X, y = X.reshape(20, -1) if rows else X, np.arange(20) % 2
    height, width, channels = stated
    clf = net(input_shape=stated, num_epochs=1)
    message = rf"{height} channels of {width} x {channels} pixels.*input_shape=\({channels}, {height}, {width}\)"
    with pytest.warns(UserWarning, match=message):
        clf.fit(X, y)
    assert clf.input_shape_ == stated
    clf.partial_fit(X, y).predict(X)  # said once


@pytest.mark.parametrize("stated", [(3, 8, 8), (1, 28, 28), (512, 4, 4), (4, 8, 3), (8, 8, 2), (6, 5, 5)])
def test_other_stated_shapes_are_taken_without_a_warning(stated):
    X = np.random.RandomState(0).rand(10, *stated)
    assert net(input_shape=stated, num_epochs=1).fit(X, np.arange(10) % 2).input_shape_ == stated
