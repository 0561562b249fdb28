import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.inspection import (
    SweepDisplay,
    TrainingCurveDisplay,
    WeightsDisplay,
    weights_grid,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

X, y = load_digits(return_X_y=True)
X, y = X[:200] / 16, y[:200]
RNG = np.random.RandomState(0)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def softmax():
    return Softmax(num_epochs=2, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def search():
    grid = {"learning_rate": [0.1, 0.01], "reg": [0.0, 0.01], "batch_size": [50, 100]}
    return GridSearchCV(Softmax(num_epochs=1, random_state=0), grid, cv=2).fit(X, y)


def drawn(display):
    """Draw for real: errors in text and layout appear here only."""
    display.figure_.canvas.draw()
    assert display.figure_ is display.ax_.figure
    return display


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


IMAGES = np.zeros((2, 3, 4, 4))


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
    boxes = [text.get_window_extent() for text in display.text_]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
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
    assert display.ax_.get_xlabel() == "class"
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


# Finding the net --------------------------------------------------------------------------------


@pytest.mark.parametrize("display", [WeightsDisplay, TrainingCurveDisplay])
def test_net_in_pipelines_and_searches(display):
    def fit(estimator):
        return estimator.fit(X, y)

    net = FullyConnectedNet(hidden_dims=(5,), num_epochs=1, random_state=0)
    pipe = make_pipeline(StandardScaler(), net)
    grid = {"fullyconnectednet__reg": [0.0, 0.1]}
    for estimator in (
        fit(clone(net)),
        fit(clone(pipe)),
        fit(GridSearchCV(clone(pipe), grid, cv=2)),
        fit(make_pipeline(StandardScaler(), GridSearchCV(clone(net), {"reg": [0.0, 0.1]}, cv=2))),
    ):
        drawn(display.from_estimator(estimator))


@pytest.mark.parametrize("display", [WeightsDisplay, TrainingCurveDisplay])
@pytest.mark.parametrize(
    ("estimator", "error", "match"),
    [
        (Softmax(), NotFittedError, "Softmax is not fitted"),
        (make_pipeline(StandardScaler(), Softmax()), NotFittedError, "Softmax is not fitted"),
        (GridSearchCV(Softmax(), {}), NotFittedError, "GridSearchCV is not fitted"),
        (LogisticRegression().fit(X, y), TypeError, r"must be a fitted net.*LogisticRegression\("),
        (make_pipeline(FunctionTransformer()), TypeError, r"got FunctionTransformer\("),
        (make_pipeline(Softmax(), "passthrough"), TypeError, "got 'passthrough'"),
        (Softmax, TypeError, "got <class"),
        (None, TypeError, "got None"),
        ({"W1": IMAGES}, TypeError, r"got \{'W1'"),
        (IMAGES, TypeError, "got array"),
    ],
)
def test_no_net(display, estimator, error, match):
    with pytest.raises(error, match=match):
        display.from_estimator(estimator)


def test_search_without_refit_holds_no_net():
    search = GridSearchCV(Softmax(num_epochs=1), {"reg": [0, 1]}, cv=2, refit=False).fit(X, y)
    with pytest.raises(ValueError, match="GridSearchCV was run with refit=False"):
        WeightsDisplay.from_estimator(search)


# TrainingCurveDisplay ---------------------------------------------------------------------------


def test_training_curves_of_an_estimator():
    clf = TwoLayerNet(num_epochs=5, batch_size=50, random_state=0)
    clf.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
    display = drawn(TrainingCurveDisplay.from_estimator(clf))
    assert_array_equal(display.points_.get_xdata(), np.arange(1, 16))
    assert_array_equal(display.points_.get_ydata(), clf.loss_history_)
    train, val = display.accuracy_lines_
    assert_array_equal(train.get_xdata(), np.arange(6))
    assert_array_equal(train.get_ydata(), clf.train_acc_history_)
    assert_array_equal(val.get_ydata(), clf.val_acc_history_)
    assert [line.get_label() for line in (train, val)] == ["train", "validation"]
    assert display.accuracy_ax_.get_xlabel() == "epoch"
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("update", "loss")
    assert display.ax_ is not display.accuracy_ax_
    assert display.bounding_ax_ is None


@pytest.mark.parametrize(("n", "window"), [(9, 1), (9, 4), (9, 5), (9, 100), (1, 1), (400, 20)])
def test_smoothed_loss_is_the_mean_of_its_window(n, window):
    loss = RNG.rand(n) + 1
    loss[n // 2 :: 7] = np.nan
    loss[n // 3 :: 11] = np.inf
    display = drawn(TrainingCurveDisplay(loss).plot(smoothing=window))
    for i, value in enumerate(display.line_.get_ydata()):
        low = i - (window - 1) // 2
        part = loss[max(low, 0) : low + window]
        part = part[np.isfinite(part)]
        assert_allclose(value, part.mean() if part.size else np.nan, rtol=1e-12)
    assert np.isnan(display.points_.get_ydata()[~np.isfinite(loss)]).all()


def test_smoothing_is_a_twentieth_by_default():
    display = TrainingCurveDisplay(np.ones(1000)).plot()
    assert display.line_.get_label() == "mean of 50"
    assert display.ax_.get_legend() is not None
    assert TrainingCurveDisplay(np.ones(10)).plot().ax_.get_legend() is None


@pytest.mark.parametrize(
    ("loss", "scale"),
    [([780.0, 2.0], "log"), ([50.0, 2.0], "linear"), ([50.0, 0.0], "linear"), ([np.nan], "linear")],
)
def test_scale_of_the_loss(loss, scale):
    assert TrainingCurveDisplay(loss).plot().ax_.get_yscale() == scale


def test_loss_alone_needs_one_axes():
    figure, ax = plt.subplots()
    display = drawn(TrainingCurveDisplay([2.0, 1.0]).plot(ax))
    assert display.ax_ is ax
    assert display.accuracy_ax_ is display.bounding_ax_ is None
    assert display.accuracy_lines_ == []
    assert figure.axes == [ax]


def test_one_axes_is_divided_two_are_used():
    display = TrainingCurveDisplay([2.0, 1.0], val_accuracy=[0.1, 0.5], first_epoch=3)
    figure, ax = plt.subplots(figsize=(5, 3))
    drawn(display.plot(ax))
    assert display.bounding_ax_ is ax
    tight = [part.get_tightbbox() for part in (display.ax_, display.accuracy_ax_)]
    assert not tight[0].overlaps(tight[1])
    assert_array_equal(display.accuracy_lines_[0].get_xdata(), [3, 4])

    figure, axes = plt.subplots(2)
    drawn(display.plot(axes))
    assert (display.ax_, display.accuracy_ax_) == tuple(axes)
    assert display.bounding_ax_ is None
    assert display.figure_ is figure


def test_training_styles():
    display = TrainingCurveDisplay([2.0, 1.0], train_accuracy=np.linspace(0, 1, 50)).plot(
        points_kw={"color": "k"}, line_kw={"linewidth": 7}, accuracy_kw={"linestyle": ":"}
    )
    assert display.points_.get_color() == "k"
    assert display.line_.get_linewidth() == 7
    assert display.accuracy_lines_[0].get_linestyle() == ":"
    assert display.accuracy_lines_[0].get_marker() in (None, "None")


@pytest.mark.parametrize(
    ("arguments", "plot", "error", "match"),
    [
        ({"loss": []}, {}, ValueError, "loss must hold at least one update"),
        ({"loss": [[1.0]]}, {}, ValueError, r"loss must be 1-D, got shape \(1, 1\)"),
        ({"loss": 1.0}, {}, ValueError, r"loss must be 1-D, got shape \(\)"),
        ({"loss": None}, {}, ValueError, "loss must be 1-D"),
        ({"loss": "abc"}, {}, TypeError, "loss must be a list of numbers, got 'abc'"),
        ({"loss": [1, "x"]}, {}, TypeError, r"loss must be a list of numbers, got \[1, 'x'\]"),
        ({"loss": [[1], [1, 2]]}, {}, TypeError, "loss must be a list of numbers"),
        ({"train_accuracy": [[1]]}, {}, ValueError, "train_accuracy must be 1-D"),
        ({"val_accuracy": {1}}, {}, TypeError, "val_accuracy must be a list of numbers"),
        ({"first_epoch": 0.5}, {}, TypeError, "first_epoch"),
        ({}, {"smoothing": 0}, ValueError, "smoothing.*0"),
        ({}, {"smoothing": 2.5}, TypeError, "smoothing"),
        ({}, {"ax": 1}, TypeError, "ax must be a matplotlib Axes or None, got 1"),
        ({}, {"ax": [1, 2, 3]}, ValueError, "ax must be one Axes or two, got 3"),
        ({}, {"ax": [1, 2]}, TypeError, "ax must be a matplotlib Axes or None, got 1"),
    ],
)
def test_training_bad_arguments(arguments, plot, error, match):
    arguments = {"loss": [1.0], "train_accuracy": [0.5]} | arguments
    with pytest.raises(error, match=match):
        TrainingCurveDisplay(**arguments).plot(**plot)


# SweepDisplay -----------------------------------------------------------------------------------


def labels(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def test_sweep_shows_the_best_over_the_other_parameters(search):
    display = drawn(SweepDisplay.from_estimator(search, param_x="learning_rate", param_y="reg"))
    results = search.cv_results_
    for i, reg in enumerate([0.0, 0.01]):
        for j, rate in enumerate([0.01, 0.1]):  # sorted, the grid is not
            expected = max(
                score
                for params, score in zip(results["params"], results["mean_test_score"], strict=True)
                if params["reg"] == reg and params["learning_rate"] == rate
            )
            assert display.scores[i, j] == expected
            assert display.text_[i, j].get_text() == f"{expected:.3f}"
            assert display.text_[i, j].get_position() == (j, i)
    row, col = display.best
    assert display.x_values[col] == search.best_params_["learning_rate"]
    assert display.y_values[row] == search.best_params_["reg"]
    assert display.frame_.get_xy() == (col - 0.5, row - 0.5)
    assert display.ax_.get_title() == "best over batch_size"
    assert display.ax_.get_xlabel() == "learning_rate"
    assert labels(display.ax_.xaxis) == ["0.01", "0.1"]
    assert display.colorbar_.ax.get_ylabel() == "mean test score"


def test_sweep_given_one_parameter_finds_the_other():
    grid = {"reg": [0.0, 0.01], "batch_size": [50, 100], "learning_rate": [0.1]}
    search = GridSearchCV(Softmax(num_epochs=1), grid, cv=2, scoring="accuracy").fit(X, y)
    for arguments, expected in [
        ({}, ("batch_size", "reg")),
        ({"param_x": "reg"}, ("reg", "batch_size")),
        ({"param_y": "batch_size"}, ("reg", "batch_size")),
        ({"param_x": "reg", "param_y": "learning_rate"}, ("reg", "learning_rate")),
    ]:
        display = drawn(SweepDisplay.from_estimator(search, **arguments))
        assert (display.param_x, display.param_y) == expected
        assert display.score_name == "mean test accuracy"


def fake_search(params, scores, **results):
    """A search that has been run, without running it."""
    search = GridSearchCV(Softmax(), {})
    search.cv_results_ = {"params": params, "mean_test_score": np.asarray(scores), **results}
    return search


def test_sweep_values_of_any_type():
    arrays = [np.array([1, 2]), np.array([3, 4])]
    params = [
        {"net__y": y, "z__net__x": x}
        for x in (None, "he", np.float32(0.1), (100, 100), arrays[0], arrays[1], [1], np.nan, len)
        for y in (True, 1)
    ]
    display = drawn(SweepDisplay.from_estimator(fake_search(params, np.arange(len(params)))))
    assert labels(display.ax_.yaxis) == [
        "None", "he", "0.1", "(100, 100)", "array([1, 2])", "array([3, 4])", "[1]", "nan", "len",
    ]  # fmt: skip
    assert labels(display.ax_.xaxis) == ["True", "1"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("y", "x")
    assert_array_equal(display.scores, np.arange(len(params)).reshape(-1, 2))


def test_sweep_labels_stay_distinct():
    params = [{"a__c": x, "b__c": y} for x in (0.12341, 0.12342) for y in ("s" * 40, "s" * 41)]
    display = drawn(SweepDisplay.from_estimator(fake_search(params, range(4))))
    assert labels(display.ax_.xaxis) == ["0.12341", "0.12342"]
    assert labels(display.ax_.yaxis) == ["s" * 40, "s" * 41]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("a__c", "b__c")


def test_sweep_over_a_list_of_grids_and_failed_fits():
    params = [{"rule": "sgd", "rate": r} for r in (1, 2)] + [{"rule": "adam"}]
    search = fake_search(params, [0.5, np.nan, 0.7])
    display = drawn(SweepDisplay.from_estimator(search, param_x="rate"))
    assert labels(display.ax_.xaxis) == ["1", "2", "(default)"]
    assert labels(display.ax_.yaxis) == ["sgd", "adam"]
    assert_array_equal(display.scores, [[0.5, np.nan, np.nan], [np.nan, np.nan, 0.7]])
    assert display.text_[0, 1].get_text() == "\N{EN DASH}"
    assert display.best == (1, 2)


def test_sweep_of_a_halving_search_takes_the_last_round():
    params = [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 1}]
    search = fake_search(params, [0.9, 0.8, 0.7, 0.6], iter=np.array([0, 0, 0, 1]))
    display = SweepDisplay.from_estimator(search)
    assert_array_equal(display.scores, [[0.9, 0.6], [0.7, np.nan]])
    assert display.best == (0, 1)


def test_sweep_of_real_halving_and_random_searches():
    grid = {"reg": [0.0, 0.01], "learning_rate": [0.01, 0.1]}
    net = Softmax(num_epochs=1, random_state=0)
    for search in (
        HalvingGridSearchCV(net, grid, cv=2, random_state=0, factor=2),
        RandomizedSearchCV(net, grid, cv=2, random_state=0, n_iter=3),
    ):
        display = drawn(SweepDisplay.from_estimator(search.fit(X, y)))
        row, col = display.best
        assert display.x_values[col] == search.best_params_["learning_rate"]
        assert display.y_values[row] == search.best_params_["reg"]


def test_sweep_metric():
    params = [{"a": i, "b": j} for i in (0, 1) for j in (0, 1)]
    search = fake_search(params, range(4))
    search.cv_results_["mean_test_f1"] = np.arange(4)[::-1]
    display = SweepDisplay.from_estimator(search, metric="f1")
    assert display.score_name == "mean test f1"
    assert display.best == (0, 0)


def test_sweep_styles():
    _, ax = plt.subplots()
    display = SweepDisplay([[1, 2]], x_values=[1, 2], y_values=["a"], param_x="x", param_y="y")
    display.plot(ax, include_values=False, colorbar=False, cmap="gray", xticks_rotation=30)
    assert drawn(display).ax_ is ax
    assert display.text_ is display.colorbar_ is display.frame_ is None
    assert display.im_.get_cmap().name == "gray"
    assert {text.get_rotation() for text in ax.get_xticklabels()} == {30}
    display.plot(values_format=".1f", text_kw={"fontsize": 3}, im_kw={"vmin": -10})
    assert display.text_[0, 1].get_text() == "2.0"
    assert display.text_[0, 1].get_fontsize() == 3
    assert display.im_.get_clim()[0] == -10


def test_sweep_values_are_legible_on_their_cells():
    display = SweepDisplay([[0, 1]], x_values=[1, 2], y_values=["a"], param_x="x", param_y="y")
    display.plot(cmap="gray")
    assert [text.get_color() for text in display.text_[0]] == ["white", "black"]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({}, ValueError, r"param_x and param_y must be given.*\['batch_size', 'learning_rate', 'r"),
        ({"param_x": "reg"}, ValueError, "param_x and param_y must be given.*param_x='reg'"),
        ({"param_x": "alpha"}, ValueError, r"param_x must be one of \['batch.*, got 'alpha'"),
        ({"param_y": "alpha"}, ValueError, r"param_y must be one of \['batch.*, got 'alpha'"),
        ({"param_x": 3}, ValueError, "param_x must be one of .*, got 3"),
        ({"param_x": "reg", "param_y": "reg"}, ValueError, "must differ, got 'reg'"),
        ({"metric": "f1"}, ValueError, r"metric must be one of \['score'\], got 'f1'"),
        ({"metric": 1}, ValueError, r"metric must be one of \['score'\], got 1"),
        ({"param_x": "reg", "param_y": "batch_size", "ax": 1}, TypeError, "ax must be"),
    ],
)
def test_sweep_bad_arguments(search, arguments, error, match):
    with pytest.raises(error, match=match):
        SweepDisplay.from_estimator(search, **arguments)


@pytest.mark.parametrize(
    ("estimator", "error", "match"),
    [
        (GridSearchCV(Softmax(), {}), NotFittedError, "GridSearchCV is not fitted"),
        (Softmax(), TypeError, r"must be a fitted search such as GridSearchCV, got Softmax\("),
        (None, TypeError, "got None"),
        (fake_search([{"a": 1, "b": 2}], [np.nan]), ValueError, "all fits of the search have fail"),
        (fake_search([{"a": 1}, {"a": 2}], [1, 2]), ValueError, r"that vary are \['a'\]"),
        (fake_search([{"a": 1, "b": 1}], [1]), ValueError, r"that vary are \[\]"),
    ],
)
def test_no_search(estimator, error, match):
    with pytest.raises(error, match=match):
        SweepDisplay.from_estimator(estimator)


@pytest.mark.parametrize("scores", [[1, 2], [[1], [2]], [[1, 2, 3]], [[]]])
def test_sweep_shape_of_scores(scores):
    display = SweepDisplay(scores, x_values=[1, 2], y_values=["a"], param_x="x", param_y="y")
    with pytest.raises(ValueError, match=r"scores must have shape \(1, 2\).*got"):
        display.plot()


# matplotlib -------------------------------------------------------------------------------------


def test_matplotlib_is_imported_late():
    code = "import sys, sklearn_dl.inspection; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "display",
    [
        WeightsDisplay(IMAGES),
        TrainingCurveDisplay([1.0]),
        SweepDisplay([[1]], x_values=[1], y_values=[1], param_x="x", param_y="y"),
    ],
)
def test_missing_matplotlib_names_the_extra(monkeypatch, display):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    match = rf'{type(display).__name__}.plot requires .* pip install "sklearn_dl\[plot\]"'
    with pytest.raises(ImportError, match=match):
        display.plot()
