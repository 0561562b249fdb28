import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_dl import TwoLayerNet
from sklearn_dl.inspection import TrainingCurveDisplay

from . import _displays
from ._displays import X, drawn, plt, y

close_figures = _displays.close_figures
RNG = np.random.RandomState(0)


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
