import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_wine

from sklearn_dl import Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.inspection import WeightsDisplay, weights_grid
from sklearn_dl.nets import FullyConnected

from . import _displays
from ._displays import X, drawn, overlapping, plt, y

close_figures = _displays.close_figures
RNG = np.random.RandomState(0)
IMAGES = np.zeros((2, 3, 4, 4))


@pytest.fixture(scope="module")
def softmax():
    return Softmax(num_epochs=2, random_state=0).fit(X, y)


# weights_grid -----------------------------------------------------------------------------------


def test_grid_places_every_template():
    images = RNG.rand(5, 3, 2, 4)
    grid = weights_grid(images, padding=(2, 1), n_cols=3)
    assert grid.shape == (2 * (2 + 2) + 2, 3 * (4 + 1) + 1, 3)
    rest = grid.copy()
    for i, image in enumerate(images):
        top, left = 2 + i // 3 * 4, 1 + i % 3 * 5
        expected = (image - image.min()) / (image.max() - image.min())
        cell = rest[top : top + 2, left : left + 4]
        assert_allclose(cell, expected.transpose(1, 2, 0), rtol=1e-12)
        cell[...] = 1
    assert_array_equal(rest, 1)


def test_grid_other_channels_are_grey_pictures_of_one_range():
    images = np.arange(8.0).reshape(1, 4, 1, 2)
    grid = weights_grid(images, padding=0)
    assert_allclose(grid, np.arange(8).reshape(1, 8) / 7)
    assert weights_grid(np.concatenate([images, -images]), padding=0).shape == (2, 8)


def test_grid_constant_template_is_grey():
    assert_array_equal(weights_grid(np.full((1, 1, 2, 2), -3.0), padding=0), 0.5)


def test_grid_input_is_not_modified():
    images = RNG.rand(2, 1, 3, 3).astype(np.float32)
    before = images.copy()
    images.flags.writeable = False
    weights_grid(images)
    assert_array_equal(images, before)


@pytest.mark.parametrize(
    ("n", "shape"),
    [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (7, (2, 4)), (10, (2, 5)), (32, (4, 8)), (50, (5, 10))],
)
def test_grid_leaves_few_places_empty(n, shape):
    assert weights_grid(np.zeros((n, 1, 1, 1)), padding=0).shape == shape


# Channels last ----------------------------------------------------------------------------------

# Shapes that are (n, H, W, C): as (n, C, H, W) they would be many pictures of one or three columns.
LAST = [(10, 32, 32, 3), (32, 7, 7, 3), (4, 5, 6, 3), (10, 28, 28, 1), (1, 24, 32, 1), (2, 2, 2, 3), (9, 4, 2, 1)]
# Shapes that end in 3 or 1 as well, and are (n, C, H, W): square filters, one pixel high, or with 1 or 3 channels.
FIRST = [
    (32, 16, 3, 3), (32, 3, 3, 3), (5, 3, 32, 3), (5, 1, 8, 3), (5, 1, 8, 1), (5, 3, 8, 1), (7, 64, 1, 1), (7, 6, 1, 3),
    (5, 3, 32, 32), (5, 1, 28, 28), (5, 4, 4, 4), (5, 8, 2, 4), (5, 2, 3, 2), (5, 3, 1, 3),
]  # fmt: skip


def draw_display(images, **arguments):
    return WeightsDisplay(images, **arguments).plot().im_.get_array()


@pytest.mark.parametrize("draw", [weights_grid, draw_display])
@pytest.mark.parametrize("shape", LAST)
def test_channels_last_is_refused_and_says_what_to_do(draw, shape):
    name = "images" if draw is weights_grid else "weights"
    images = RNG.rand(*shape)
    with pytest.raises(ValueError, match=rf"{name} must have shape \(n, C, H, W\), and .* probably") as info:
        draw(images)
    assert str(shape) in str(info.value)
    assert f"{name}.transpose(0, 3, 1, 2)" in str(info.value)
    transposed = draw(images.transpose(0, 3, 1, 2), channel_axis=1)
    assert_array_equal(draw(images, channel_axis=-1), transposed)
    assert_array_equal(draw(images.transpose(0, 3, 1, 2)), transposed)
    draw(images, channel_axis=1)  # as asked for


@pytest.mark.parametrize("draw", [weights_grid, draw_display])
@pytest.mark.parametrize("shape", FIRST)
def test_channels_first_may_end_in_three_or_one(draw, shape):
    images = RNG.rand(*shape)
    expected = draw(images, channel_axis=1)
    assert_array_equal(draw(images), expected)
    assert_array_equal(draw(np.moveaxis(images, 1, -1), channel_axis=-1), expected)


def test_the_courses_call():
    net = FullyConnected([5], input_dim=32 * 32 * 3, random_state=0)
    # images flattened with their channels last, as (N, 32, 32, 3).reshape(N, -1) does
    templates = net.params["W1"].reshape(32, 32, 3, -1).transpose(3, 0, 1, 2)
    with pytest.raises(ValueError, match=r"\(5, 32, 32, 3\).*transpose\(0, 3, 1, 2\)"):
        weights_grid(templates, padding=3)
    grid = weights_grid(templates.transpose(0, 3, 1, 2), padding=3)
    first = templates[0].astype(np.float64)
    assert_allclose(grid[3:35, 3:35], (first - first.min()) / np.ptp(first))


@pytest.mark.parametrize("axis", [0, 2, 3, -2, 4])
def test_channel_axis_is_one_of_two(axis):
    with pytest.raises(ValueError, match=f"channel_axis must be 1, -1 or None, got {axis}"):
        weights_grid(IMAGES, channel_axis=axis)


def test_images_that_were_flattened_with_channels_last():
    images = RNG.rand(20, 6, 5, 3)
    rows = images.reshape(20, -1)
    clf = Softmax(num_epochs=2, random_state=0).fit(rows, np.arange(20) % 2)
    with pytest.raises(ValueError, match=r"image_shape must be \(C, H, W\), and \(6, 5, 3\) .* \(3, 6, 5\) .*axis=-1"):
        WeightsDisplay.from_estimator(clf, image_shape=(6, 5, 3))
    display = drawn(WeightsDisplay.from_estimator(clf, image_shape=(6, 5, 3), channel_axis=-1))
    expected = clf.params_["W1"].T.reshape(2, 6, 5, 3).transpose(0, 3, 1, 2)
    assert_array_equal(display.weights, expected)
    display = drawn(WeightsDisplay.from_estimator(clf, image_shape=(6, 5, 3), channel_axis=1))
    assert display.weights.shape == (2, 6, 5, 3)
    drawn(display.plot())


def test_guessed_image_with_channels_last():
    clf = Softmax(num_epochs=1, random_state=0).fit(RNG.rand(20, 4 * 4 * 3), np.arange(20) % 2)
    display = WeightsDisplay.from_estimator(clf, channel_axis=-1)
    assert_array_equal(display.weights, clf.params_["W1"].T.reshape(2, 4, 4, 3).transpose(0, 3, 1, 2))


def test_filters_of_a_net_are_channels_first_whatever_their_shape():
    images = RNG.rand(20, 5, 8, 8).astype(np.float32)
    clf = ThreeLayerConvNet(num_filters=4, filter_size=3, hidden_dim=5, num_epochs=1, random_state=0)
    clf.fit(images, np.arange(20) % 2)
    assert drawn(WeightsDisplay.from_estimator(clf)).weights.shape == (4, 5, 3, 3)
    with pytest.raises(ValueError, match="channel_axis must be None for convolution filters, got -1"):
        WeightsDisplay.from_estimator(clf, channel_axis=-1)


def test_grey_pictures_without_a_channel_axis_get_a_hint():
    with pytest.raises(ValueError, match=r"images must have 4 dimensions.*\(5, 8, 8\).*images\[:, None\]"):
        weights_grid(np.zeros((5, 8, 8)))


@pytest.mark.parametrize(
    ("images", "arguments", "error", "match"),
    [
        (IMAGES[0], {}, ValueError, r"images must have 4 dimensions.*\(3, 4, 4\)"),
        (
            IMAGES[:0],
            {},
            ValueError,
            r"images must .* none of them empty, got shape \(0, 3, 4, 4\)",
        ),
        (IMAGES + np.nan, {}, ValueError, "images must be finite"),
        (IMAGES + np.inf, {}, ValueError, "images must be finite"),
        (IMAGES.astype(str), {}, TypeError, "images must be an array of real numbers, got .*U"),
        (IMAGES * 1j, {}, TypeError, "images must be an array of real numbers, got .*complex"),
        (None, {}, TypeError, "images must be an array of real numbers, got .*object"),
        (IMAGES, {"padding": -1}, ValueError, "padding.*-1"),
        (IMAGES, {"padding": 1.5}, TypeError, "padding.*int"),
        (IMAGES, {"padding": (1, -2)}, ValueError, "padding.*-2"),
        (IMAGES, {"padding": (1, 2, 3)}, TypeError, "padding"),
        (IMAGES, {"n_cols": 0}, ValueError, "n_cols.*0"),
        (IMAGES, {"n_cols": True}, TypeError, "n_cols.*True"),
        (IMAGES, {"n_cols": "two"}, TypeError, "n_cols"),
    ],
)
def test_grid_bad_arguments(images, arguments, error, match):
    with pytest.raises(error, match=match):
        weights_grid(images, **arguments)


# WeightsDisplay ---------------------------------------------------------------------------------


def test_softmax_templates_bear_the_class_names(softmax):
    clf = clone(softmax).fit(X, np.array(list("abcdefghij"))[y])
    display = drawn(WeightsDisplay.from_estimator(clf))
    assert [text.get_text() for text in display.text_] == list("abcdefghij")
    assert_array_equal(display.weights, clf.params_["W1"].T.reshape(10, 1, 8, 8))
    assert overlapping(display.text_) == []
    assert all(text.get_fontsize() > 6 for text in display.text_)
    # each name is above its own picture
    template = display.im_.get_array()
    for text, weights in zip(display.text_, display.weights, strict=True):
        x, bottom = text.get_position()
        top, left = round(bottom + 0.5 + 0.15 * 3), round(x - 3.5)
        expected = (weights[0] - weights.min()) / np.ptp(weights)
        assert_allclose(template[top : top + 8, left : left + 8], expected, atol=1e-12)


def test_hidden_units_have_no_names():
    clf = TwoLayerNet(hidden_dim=12, num_epochs=1, random_state=0).fit(X, y)
    display = drawn(WeightsDisplay.from_estimator(clf, n_cols=6, padding=0))
    assert display.text_ == []
    assert display.im_.get_array().shape == (2 * 8, 6 * 8)
    display = drawn(WeightsDisplay.from_estimator(clf, layer=2))
    assert display.weights.shape == (12, 10)
    assert display.ax_.get_xlabel() == "output"
    assert display.ax_.get_ylabel() == "input of layer 2"
    # what hidden units see is no image unless the caller says so
    display = drawn(WeightsDisplay.from_estimator(clf, layer=2, image_shape=(3, 2, 2)))
    assert display.weights.shape == (10, 3, 2, 2)


def test_conv_filters():
    images = RNG.randint(0, 256, (20, 3, 8, 8)).astype(np.uint8)
    clf = ThreeLayerConvNet(num_filters=4, filter_size=3, hidden_dim=5, num_epochs=1)
    clf.set_params(random_state=0).fit(images, np.arange(20) % 2)
    display = drawn(WeightsDisplay.from_estimator(clf))
    assert_array_equal(display.weights, clf.params_["W1"])
    assert display.im_.get_array().shape == (2 * 4 + 1, 2 * 4 + 1, 3)
    assert drawn(WeightsDisplay.from_estimator(clf, layer=2)).weights.ndim == 2
    with pytest.raises(ValueError, match=r"image_shape must be None for conv.*\(3, 8, 8\)"):
        WeightsDisplay.from_estimator(clf, image_shape=(3, 8, 8))


@pytest.mark.parametrize(
    ("n_features", "image_shape", "expected"),
    [
        (64, None, (3, 1, 8, 8)),
        (48, None, (3, 3, 4, 4)),
        (64, False, (64, 3)),
        (64, (1, 4, 16), (3, 1, 4, 16)),
        (64, [4, 4, 4], (3, 4, 4, 4)),
        (60, None, (60, 3)),
        (4, None, (4, 3)),  # iris is no image
        (1, None, (1, 3)),
    ],
)
def test_which_weights_are_images(n_features, image_shape, expected):
    clf = Softmax(num_epochs=1, random_state=0).fit(RNG.rand(9, n_features), np.arange(9) % 3)
    display = drawn(WeightsDisplay.from_estimator(clf, image_shape=image_shape))
    assert display.weights.shape == expected


def test_heat_map_of_named_features():
    wine = load_wine(as_frame=True)
    names = pd.Categorical.from_codes(wine.target, ["Barolo", "Grignolino", "Barbera"])
    clf = Softmax(num_epochs=1, random_state=0).fit(wine.data / 100, np.asarray(names))
    display = drawn(WeightsDisplay.from_estimator(clf))
    ax = display.ax_
    assert [text.get_text() for text in ax.get_yticklabels()] == list(wine.data)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["Barbera", "Barolo", "Grignolino"]
    assert ax.get_ylabel() == "input feature"
    low, high = display.im_.get_clim()
    assert -low == high == np.abs(clf.params_["W1"]).max()
    assert display.colorbar_.ax.get_ylabel() == "weight"
    assert WeightsDisplay.from_estimator(clf, colorbar=False).colorbar_ is None


def test_heat_map_without_names_has_numbers():
    display = drawn(WeightsDisplay(np.zeros((200, 50)), feature_names=range(200)).plot())
    assert display.ax_.get_xlabel() == "unit of layer 1"
    assert len(display.ax_.get_yticks()) < 20
    assert display.im_.get_clim() == (-1, 1)


def test_long_names_are_turned_or_cut():
    names = [f"a very long class name {i}" for i in range(4)]
    display = drawn(WeightsDisplay(np.zeros((5, 4)), names=names).plot())
    assert {text.get_rotation() for text in display.ax_.get_xticklabels()} == {45}
    display = drawn(WeightsDisplay(np.zeros((4, 1, 8, 8)), names=names).plot())
    assert {text.get_text() for text in display.text_} == {"a very long..."}


CIFAR10 = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


@pytest.mark.parametrize("names", [CIFAR10, tuple(CIFAR10), np.array(CIFAR10), pd.Index(CIFAR10)], ids=type)
def test_given_names_of_classes(softmax, names):
    display = drawn(WeightsDisplay.from_estimator(softmax, names=names))
    assert [text.get_text() for text in display.text_] == CIFAR10
    assert overlapping(display.text_) == []
    display = drawn(WeightsDisplay.from_estimator(softmax, names=names, image_shape=False))
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == CIFAR10


def test_names_of_the_outputs_of_a_deeper_net():
    clf = TwoLayerNet(hidden_dim=10, num_epochs=1, random_state=0).fit(X, y)
    display = drawn(WeightsDisplay.from_estimator(clf, layer=2, names=CIFAR10))
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == CIFAR10
    # ten hidden units are not the ten classes
    with pytest.raises(ValueError, match=r"names must be None for layer 1, whose 10 units are hidden.* layer 2"):
        WeightsDisplay.from_estimator(clf, names=CIFAR10)


@pytest.mark.parametrize(
    ("names", "error", "match"),
    [
        (CIFAR10[:3], ValueError, "names must have 10 entries, got 3: one for each output"),
        ([*CIFAR10, "boat"], ValueError, "names must have 10 entries, got 11"),
        ([], ValueError, "names must have 10 entries, got 0"),
        ("abcdefghij", TypeError, "names must be a list of names, got 'abcdefghij'"),
        (dict(enumerate(CIFAR10)), TypeError, "names must be a list of names, got {0: 'plane'"),
        (set(CIFAR10), TypeError, "names must be a list of names, got {'"),
        (10, TypeError, "names must be a list of names, got 10"),
    ],
)
def test_names_that_do_not_fit_the_classes(softmax, names, error, match):
    with pytest.raises(error, match=match):
        WeightsDisplay.from_estimator(softmax, names=names)


def test_weights_on_given_axes_and_styles(softmax):
    figure, axes = plt.subplots(1, 2)
    display = WeightsDisplay.from_estimator(
        softmax, ax=axes[1], cmap="viridis", im_kw={"alpha": 0.5}, text_kw={"color": "red"}
    )
    assert drawn(display).ax_ is axes[1]
    assert display.figure_ is figure
    assert display.im_.get_cmap().name == "viridis"
    assert display.im_.get_alpha() == 0.5
    assert display.text_[0].get_color() == "red"


@pytest.mark.parametrize(
    ("weights", "arguments", "plot", "error", "match"),
    [
        (np.zeros(3), {}, {}, ValueError, r"weights must have 2 or 4 dimensions.*\(3,\)"),
        (np.zeros((0, 3)), {}, {}, ValueError, "weights must .* none of them empty"),
        (np.full((2, 3), np.nan), {}, {}, ValueError, "weights must be finite.*diverged"),
        ("W1", {}, {}, TypeError, "weights must be an array of real numbers"),
        (IMAGES, {"names": ["a"]}, {}, ValueError, "names must have 2 entries, got 1"),
        (IMAGES[0, 0], {"names": ["a"]}, {}, ValueError, "names must have 4 entries, got 1"),
        (IMAGES[0, 0], {"feature_names": ["a"]}, {}, ValueError, "feature_names must have 4"),
        (IMAGES, {}, {"ax": "axes"}, TypeError, "ax must be a matplotlib Axes.*'axes'"),
        (IMAGES[0, 0], {}, {"ax": [1, 2]}, TypeError, r"ax must be a matplotlib Axes.*\[1, 2\]"),
        (IMAGES, {}, {"n_cols": -1}, ValueError, "n_cols.*-1"),
        (IMAGES, {}, {"padding": "wide"}, TypeError, "padding"),
        (IMAGES, {}, {"cmap": "no such map"}, ValueError, "no such map"),
    ],
)
def test_weights_bad_arguments(weights, arguments, plot, error, match):
    with pytest.raises(error, match=match):
        WeightsDisplay(weights, **arguments).plot(**plot)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"layer": 0}, ValueError, "layer.*0"),
        ({"layer": 2}, ValueError, r"layer must be one of \[1\] for this Softmax, got 2"),
        ({"layer": "W1"}, TypeError, "layer"),
        ({"image_shape": (1, 8, 9)}, ValueError, r"image_shape must have 64 pixels.*\(1, 8, 9\)"),
        ({"image_shape": (8, 8)}, ValueError, r"image_shape must be 3 integers, got \(8, 8\)"),
        ({"image_shape": (1, -8, -8)}, ValueError, "image_shape.*-8"),
        ({"image_shape": (1, 8.0, 8)}, TypeError, "image_shape"),
        ({"image_shape": 64}, TypeError, "image_shape must be 3 integers, got 64"),
        ({"image_shape": True}, TypeError, "image_shape must be 3 integers, got True"),
    ],
)
def test_weights_from_estimator_bad_arguments(softmax, arguments, error, match):
    with pytest.raises(error, match=match):
        WeightsDisplay.from_estimator(softmax, **arguments)
