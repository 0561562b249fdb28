import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import TwoLayerNet
from sklearn_dl.inspection import TrainingCurveDisplay
from sklearn_dl.nets import FullyConnected
from sklearn_dl.solver import Solver, Watcher

from . import _displays
from ._displays import X, drawn, legend, plt, y

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


def test_a_huge_loss_does_not_spoil_those_after_it():
    loss = np.r_[3.0, 1e30, np.linspace(2, 1, 100)]
    smoothed = TrainingCurveDisplay(loss).plot(smoothing=5).line_.get_ydata()
    assert_allclose(smoothed[10], loss[8:13].mean())
    assert_allclose(smoothed[-1], loss[-3:].mean())


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


# Validation loss, kept epoch ----------------------------------------------------------------------


def test_validation_loss_beside_updates():
    display = TrainingCurveDisplay(np.linspace(2, 1, 30), val_loss=[3.0, 2.0, 1.5])
    drawn(display.plot())
    [line] = display.val_loss_lines_
    assert_array_equal(line.get_xdata(), [10, 20, 30])
    assert_array_equal(line.get_ydata(), [3.0, 2.0, 1.5])
    assert legend(display.ax_) == ["minibatch", "mean of 1", "validation"]
    assert display.accuracy_ax_ is None


def test_validation_loss_of_nothing_but_nan_is_left_out():
    nothing = [np.nan] * 3
    display = drawn(TrainingCurveDisplay([2.0, 1.0], val_loss=nothing, val_accuracy=nothing).plot())
    assert display.val_loss_lines_ == display.accuracy_lines_ == []
    assert display.ax_.get_legend() is display.accuracy_ax_ is None


@pytest.mark.parametrize("first_epoch", [0, 4])
@pytest.mark.parametrize("best", [0, 1, 3])
def test_kept_epoch_is_marked_on_the_validation_curves(first_epoch, best):
    display = TrainingCurveDisplay(
        np.linspace(2, 1, 30),
        train_accuracy=[0.1, 0.3, 0.5, 0.6],
        val_accuracy=[0.1, 0.2, 0.4, 0.3],
        val_loss=[3.0, 2.0, 1.5],
        first_epoch=first_epoch,
        best_epoch=first_epoch + best,
    )
    drawn(display.plot())
    marks = {mark.axes: mark.get_xydata().tolist() for mark in display.best_points_}
    expected = {display.accuracy_ax_: [[first_epoch + best, display.val_accuracy[best]]]}
    if best:  # before training there is an accuracy, and no loss
        expected[display.ax_] = [[best * 10, display.val_loss[best - 1]]]
    assert marks == expected
    assert legend(display.accuracy_ax_) == ["train", "validation", f"kept: epoch {first_epoch + best}"]


@pytest.mark.parametrize("n", [10, 10_000])
def test_marks_in_the_legend_are_of_legible_size(n):
    display = drawn(TrainingCurveDisplay(np.linspace(2, 1, n), val_loss=[3.0, 2.0], best_epoch=1).plot())
    points, _, _, kept = display.ax_.get_legend().legend_handles
    assert 5 < points.get_markersize() < 10
    assert kept.get_markersize() == display.best_points_[0].get_markersize()


def test_kept_epoch_of_a_run_without_accuracies():
    display = drawn(TrainingCurveDisplay([2.0, 1.5, 1.0], val_loss=[3.0, 2.0, 2.5], best_epoch=2).plot())
    assert [mark.get_xydata().tolist() for mark in display.best_points_] == [[[2.0, 2.0]]]


def test_no_mark_without_a_kept_epoch():
    for best_epoch in (None, 9):
        display = TrainingCurveDisplay([1.0], val_accuracy=[0.1, 0.5], best_epoch=best_epoch).plot()
        assert drawn(display).best_points_ == []


def test_losses_of_epochs():
    display = TrainingCurveDisplay(
        [3.0, 2.0, 1.0],
        val_loss=[4.0, 3.0, 2.0],
        val_accuracy=[0.2, 0.5, 0.4],
        first_epoch=1,
        best_epoch=2,
        step="epoch",
    )
    drawn(display.plot())
    for line in (display.line_, display.points_, *display.val_loss_lines_, *display.accuracy_lines_):
        assert_array_equal(line.get_xdata(), [1, 2, 3])
    assert display.ax_.get_xlabel() == "epoch"
    assert [mark.get_xydata().tolist() for mark in display.best_points_] == [[[2, 3.0]], [[2, 0.5]]]
    assert legend(display.ax_) == ["each epoch", "train", "validation", "kept: epoch 2"]


def test_net_with_a_validation_loss_and_a_kept_epoch(net):
    net.history_["val_loss"] = [loss + 0.1 for loss in net.history_["loss"]]
    net.best_epoch_ = 3
    display = drawn(TrainingCurveDisplay.from_estimator(net))
    assert_array_equal(display.val_loss_lines_[0].get_ydata(), net.history_["val_loss"])
    assert_array_equal(display.val_loss_lines_[0].get_xdata(), np.arange(1, 6) * 3)
    assert [mark.get_xdata()[0] for mark in display.best_points_] == [9, 3]


# Solvers ------------------------------------------------------------------------------------------

DATA = {"X_train": X[:150], "y_train": y[:150], "X_val": X[150:], "y_val": y[150:]}


def make_solver(**options):
    options = {"num_epochs": 4, "batch_size": 50, "verbose": False, "random_state": 0} | options
    data = {name: DATA[name] for name in ("X_train", "y_train")} if options.pop("alone", False) else DATA
    return Solver(FullyConnected([10], 64, 10, weight_scale="he", random_state=0), data, **options)


def check_curves(display, loss, train_accuracy, val_accuracy):
    assert_array_equal(display.points_.get_ydata(), loss)
    expected = [curve for curve in (train_accuracy, val_accuracy) if len(curve)]
    for line, curve in zip(display.accuracy_lines_, expected, strict=True):
        assert_array_equal(line.get_ydata(), curve)


@pytest.mark.parametrize("options", [{}, {"alone": True}, {"num_iters": 7}], ids=str)
@pytest.mark.parametrize("draw", [TrainingCurveDisplay.from_solver, TrainingCurveDisplay.from_estimator])
def test_training_curves_of_a_solver(draw, options):
    solver = make_solver(**options)
    solver.train()
    display = drawn(draw(solver))
    check_curves(display, solver.loss_history, solver.train_acc_history, solver.val_acc_history)
    _, axes = plt.subplots(1, 2)
    assert draw(solver, ax=axes, smoothing=2).ax_ is axes[0]


@pytest.mark.parametrize("given", ["ax_", "accuracy_ax_", "bounding_ax_"])
@pytest.mark.parametrize("divided", [True, False])
def test_axes_of_another_display(divided, given):
    curves = {"train_accuracy": [0.1, 0.5], "val_accuracy": [0.2, 0.6]}
    ax = plt.subplots()[1] if divided else None
    first = TrainingCurveDisplay([3, 2, 1], **curves).plot(ax)
    ax = getattr(first, given)
    second = drawn(TrainingCurveDisplay([4, 3, 2], **curves).plot(ax))
    assert (second.ax_ is first.ax_) == (ax is not None)
    if ax is None:  # not divided: there is no bounding one
        return
    assert second.accuracy_ax_ is first.accuracy_ax_
    assert second.bounding_ax_ is first.bounding_ax_
    assert len(first.figure_.axes) == (1 if divided else 2)
    assert not first.ax_.child_axes
    alone = drawn(TrainingCurveDisplay([4, 3]).plot(ax))
    assert (alone.ax_, alone.accuracy_ax_) == (first.ax_, None)


def test_axes_that_were_cleared_are_divided_again():
    _, ax = plt.subplots()
    first = TrainingCurveDisplay([3, 2], train_accuracy=[0.1, 0.5]).plot(ax)
    ax.clear()
    second = drawn(TrainingCurveDisplay([3, 2], train_accuracy=[0.1, 0.5]).plot(ax))
    assert second.ax_ is not first.ax_
    assert ax.child_axes == [second.ax_, second.accuracy_ax_]


def test_axes_with_something_on_them_are_not_divided():
    _, ax = plt.subplots()
    ax.plot([1, 2])
    with pytest.raises(ValueError, match=r"ax must be an empty Axes, .* or a pair of Axes"):
        TrainingCurveDisplay([3, 2], train_accuracy=[0.1, 0.5]).plot(ax)
    assert ax.axison
    assert drawn(TrainingCurveDisplay([3, 2]).plot(ax)).ax_ is ax


def test_solver_that_was_resumed(tmp_path):
    whole = make_solver(checkpoint=tmp_path / "run")
    whole.train()
    solver = make_solver()
    solver.resume(tmp_path / "run_epoch_2.npz")
    display = drawn(TrainingCurveDisplay.from_solver(solver))
    check_curves(display, whole.loss_history[:6], whole.train_acc_history[:3], whole.val_acc_history[:3])
    solver.train()
    display = drawn(TrainingCurveDisplay.from_solver(solver))
    check_curves(display, whole.loss_history, whole.train_acc_history, whole.val_acc_history)


def test_solver_under_way():
    displays = []

    class Draw(Watcher):
        def on_update(self, solver):
            if solver.num_updates in (1, 4):
                displays.append(TrainingCurveDisplay.from_solver(solver))

        def on_epoch_end(self, solver):
            displays.append(TrainingCurveDisplay.from_solver(solver))

    solver = make_solver(watchers=[Draw()], num_epochs=2)
    solver.train()
    for display, n_updates, n_epochs in zip(displays, (1, 3, 4, 6), (0, 1, 1, 2), strict=True):
        # What was drawn does not change when training goes on, nor does drawing it again.
        for again in (display, drawn(display.plot())):
            accuracies = solver.train_acc_history, solver.val_acc_history
            check_curves(again, solver.loss_history[:n_updates], *(curve[: n_epochs + 1] for curve in accuracies))


def test_solver_that_diverged():
    solver = make_solver(update_rule="sgd", optim_config={"learning_rate": 1e200}, num_epochs=20)
    with pytest.raises(ValueError, match="learning_rate"):
        solver.train()
    drawn(TrainingCurveDisplay.from_solver(solver))


@pytest.mark.parametrize("draw", [TrainingCurveDisplay.from_solver, TrainingCurveDisplay.from_estimator])
def test_solver_that_was_not_trained(draw):
    with pytest.raises(ValueError, match="holds no losses yet: call its train"):
        draw(make_solver())


@pytest.mark.parametrize("solver", [None, TwoLayerNet(), FullyConnected([10], 64, 10), {"loss_history": [1.0]}])
def test_no_solver(solver):
    with pytest.raises(TypeError, match=r"solver must be a Solver of sklearn_dl.solver, got "):
        TrainingCurveDisplay.from_solver(solver)


# Several runs -------------------------------------------------------------------------------------


@pytest.fixture
def net():
    clf = TwoLayerNet(num_epochs=5, batch_size=50, random_state=0)
    return clf.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])


@pytest.fixture
def solver():
    solver = make_solver()
    solver.train()
    return solver


def test_several_runs_in_one_picture(net, solver):
    pipeline = make_pipeline(StandardScaler(), TwoLayerNet(num_epochs=2, random_state=0)).fit(X, y)
    search = GridSearchCV(TwoLayerNet(num_epochs=3, random_state=0), {"reg": [0.0, 0.1]}, cv=2).fit(X, y)
    runs = {"net": net, 0.5: solver, "pipeline": pipeline, "search": search, "list": [3.0, 2.0, np.nan]}
    display = drawn(TrainingCurveDisplay.from_runs(runs, smoothing=1))
    assert legend(display.ax_)[:5] == ["net", "0.5", "pipeline", "search", "list"]
    losses = [
        net.loss_history_,
        solver.loss_history,
        pipeline[-1].loss_history_,
        search.best_estimator_.loss_history_,
        [3.0, 2.0, np.nan],
    ]
    for line, loss in zip(display.line_, losses, strict=True):
        assert_array_equal(line.get_xdata(), np.arange(1, len(loss) + 1))
        assert_allclose(line.get_ydata(), loss)
    assert len({line.get_color() for line in display.line_}) == 5
    accuracies = [
        net.train_acc_history_,
        net.val_acc_history_,
        solver.train_acc_history,
        solver.val_acc_history,
        pipeline[-1].train_acc_history_,
        search.best_estimator_.train_acc_history_,
    ]
    for line, curve in zip(display.accuracy_lines_, accuracies, strict=True):
        assert_array_equal(line.get_ydata(), curve)
    colors = [line.get_color() for line in display.accuracy_lines_]
    assert colors == [display.line_[i].get_color() for i in (0, 0, 1, 1, 2, 3)]
    assert [line.get_linestyle() for line in display.accuracy_lines_[:2]] == ["--", "-"]
    assert legend(display.accuracy_ax_)[:2] == ["validation", "train"]
    assert display.points_ is None


@pytest.mark.parametrize("make", [dict, pd.DataFrame])
def test_runs_of_histories(net, solver, make):
    runs = [make(net.history_), make(solver.history), net, solver]
    display = drawn(TrainingCurveDisplay.from_runs(runs, labels=["a", "b", "c", "d"]))
    assert display.ax_.get_xlabel() == "epoch"
    for line, history in zip(display.line_, [net.history_, solver.history] * 2, strict=True):
        assert_array_equal(line.get_xdata(), history["epoch"])
        assert_array_equal(line.get_ydata(), history["loss"])
    for line, history in zip(display.accuracy_lines_[1::2], [net.history_, solver.history] * 2, strict=True):
        assert_array_equal(line.get_xdata(), history["epoch"])
        assert_array_equal(line.get_ydata(), history["val_accuracy"])


def test_history_that_goes_on_later(net):
    history = {name: column[2:] for name, column in net.history_.items()}
    display = drawn(TrainingCurveDisplay.from_runs([history]))
    assert_array_equal(display.line_[0].get_xdata(), [3, 4, 5])
    assert_array_equal(display.accuracy_lines_[0].get_xdata(), [3, 4, 5])


def test_runs_over_epochs(net, solver):
    display = drawn(TrainingCurveDisplay.from_runs([net, solver], step="epoch"))
    assert legend(display.ax_)[:2] == ["run 1", "run 2"]
    assert_array_equal(display.line_[0].get_xdata(), np.arange(1, 6))
    assert_array_equal(display.line_[0].get_ydata(), net.history_["loss"])


def test_kept_epochs_and_validation_losses_of_runs(net, solver):
    net.history_["val_loss"] = [loss + 0.1 for loss in net.history_["loss"]]
    net.best_epoch_, solver.state.best_epoch = 3, 2
    solver.history.pop("val_loss", None)
    display = drawn(TrainingCurveDisplay.from_runs({"net": net, "solver": solver}))
    assert legend(display.ax_) == ["net", "solver", "validation", "train", "kept epoch"]
    assert legend(display.accuracy_ax_) == ["validation", "train", "kept epoch"]
    assert len(display.val_loss_lines_) == 1
    marks = [(mark.axes, mark.get_color(), mark.get_xdata()[0]) for mark in display.best_points_]
    colors = [line.get_color() for line in display.line_]
    assert marks == [
        (display.ax_, colors[0], 9),
        (display.accuracy_ax_, colors[0], 3),
        (display.accuracy_ax_, colors[1], 2),
    ]


def test_many_runs_have_their_legend_beside_the_curves(net):
    runs = {f"a learning rate with a name of some length, {i}": net for i in range(15)}
    display = drawn(TrainingCurveDisplay.from_runs(runs))
    [legend] = display.figure_.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert len(texts) == 15
    assert {len(text) for text in texts} == {30}
    box = legend.get_window_extent()
    assert not any(box.overlaps(ax.get_window_extent()) for ax in (display.ax_, display.accuracy_ax_))
    assert box.y1 - box.y0 < display.figure_.bbox.height
    assert len({tuple(line.get_color()) for line in display.line_}) == 15
    # on given axes, it is in them
    _, axes = plt.subplots(1, 2)
    assert TrainingCurveDisplay.from_runs(runs, ax=axes).ax_.get_legend() is not None


def test_several_runs_given_as_numbers():
    display = TrainingCurveDisplay(
        {"a": [2.0, 1.0], "b": [3.0]},
        val_accuracy={"b": [0.1, 0.5]},
        first_epoch={"b": 7},
        best_epoch={"b": 8},
    )
    drawn(display.plot())
    assert [line.get_ydata().tolist() for line in display.line_] == [[2.0, 1.0], [3.0]]
    [line] = display.accuracy_lines_
    assert_array_equal(line.get_xdata(), [7, 8])
    assert line.get_color() == display.line_[1].get_color()
    assert legend(display.accuracy_ax_) == ["kept epoch"]


def test_styles_of_several_runs(net):
    display = TrainingCurveDisplay.from_runs([net, net], line_kw={"linewidth": 7}, accuracy_kw={"linestyle": ":"})
    assert {line.get_linewidth() for line in drawn(display).line_} == {7}
    assert {line.get_linestyle() for line in display.accuracy_lines_} == {":"}


def fitted(**params):
    return TwoLayerNet(num_epochs=1, random_state=0, **params).fit(X, y)


@pytest.mark.parametrize(
    ("make", "arguments", "error", "match"),
    [
        (dict, {}, ValueError, "runs must hold at least one run, got none"),
        (list, {}, ValueError, "runs must hold at least one run, got none"),
        (fitted, {}, TypeError, r"runs must be a dict or a list, got TwoLayerNet\("),
        (lambda: [1.0, 2.0], {}, TypeError, r"runs\[0\] must be a fitted net, .* got 1.0"),
        (lambda: {"a": None}, {}, TypeError, r"runs\['a'\] must be a fitted net, .* got None"),
        (lambda: [{"val_loss": [1.0]}], {}, TypeError, r"runs\[0\] must be .*column 'loss'.* got \{'val_loss'"),
        (lambda: [{"loss": []}], {}, ValueError, r"runs\[0\] has no epoch yet"),
        (lambda: [[]], {}, ValueError, r"loss\['run 1'\] must hold at least one update"),
        (lambda: [[[1.0]]], {}, ValueError, r"runs\[0\] must be 1-D, got shape \(1, 1\)"),
        (lambda: [fitted(), TwoLayerNet()], {}, NotFittedError, r"runs\[1\] TwoLayerNet is not fitted yet"),
        (lambda: {3: make_solver()}, {}, ValueError, r"runs\[3\] holds no losses yet"),
        (lambda: [[1.0]], {"labels": ["a", "b"]}, ValueError, "labels must have 1 entries, got 2: one for each run"),
        (lambda: [[1.0]], {"labels": "a"}, TypeError, "labels must be a list of names, got 'a'"),
        (lambda: [[1.0], [2.0]], {"labels": [1, "1"]}, ValueError, r"labels must be distinct, got \['1', '1'\]"),
        (lambda: {1: [1.0], "1": [2.0]}, {}, ValueError, r"labels must be distinct, got \['1', '1'\]"),
        (lambda: {"a": [1.0]}, {"labels": ["b"]}, ValueError, "labels must be None where runs is a dict"),
        (lambda: [[1.0]], {"step": "minibatch"}, ValueError, "step must be one of 'update', 'epoch', got 'minibatch'"),
        (lambda: [[1.0]], {"step": "epoch"}, ValueError, r"step must be 'update' or None: runs\[0\] is a list"),
        (lambda: [{"loss": [1.0]}], {"step": "update"}, ValueError, r"step must be 'epoch' or None: runs\[0\] is a h"),
        (lambda: [{"loss": [1.0]}, [1.0]], {}, ValueError, r"step must be 'update' or None: runs\[1\] is a list"),
        (lambda: [[1.0]], {"smoothing": 0}, ValueError, "smoothing.*0"),
    ],
)
def test_bad_runs(make, arguments, error, match):
    with pytest.raises(error, match=match):
        TrainingCurveDisplay.from_runs(make(), **arguments)


def test_run_that_holds_several_nets():
    bagging = BaggingClassifier(TwoLayerNet(num_epochs=1), n_estimators=2, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"runs\[1\] BaggingClassifier holds 2 .*: pass one of runs\[1\].estimators_"):
        TrainingCurveDisplay.from_runs([bagging.estimators_[0], bagging])
    assert len(TrainingCurveDisplay.from_runs(bagging.estimators_).line_) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"loss": {}}, ValueError, "loss must hold at least one run"),
        ({"loss": {"a": []}}, ValueError, r"loss\['a'\] must hold at least one update, got none"),
        ({"loss": {"a": [[1]]}}, ValueError, r"loss\['a'\] must be 1-D"),
        ({"val_accuracy": [0.1]}, TypeError, r"val_accuracy must be a dict, as loss is, got \[0.1\]"),
        ({"val_loss": np.zeros(3)}, TypeError, "val_loss must be a dict, as loss is"),
        ({"first_epoch": 2}, TypeError, "first_epoch must be a dict, as loss is, got 2"),
        ({"best_epoch": 2}, TypeError, "best_epoch must be a dict, as loss is, got 2"),
        ({"best_epoch": {"a": 0.5}}, TypeError, r"best_epoch\['a'\]"),
        (
            {"train_accuracy": {"b": [0.1]}},
            ValueError,
            r"train_accuracy must have labels .* \['a'\], got 'b'",
        ),
        ({"step": "batch"}, ValueError, "step must be one of 'update', 'epoch', got 'batch'"),
        ({"loss": [1.0], "val_loss": "abc"}, TypeError, "val_loss must be a list of numbers, got 'abc'"),
        ({"loss": [1.0], "best_epoch": -1}, ValueError, "best_epoch.*-1"),
        ({"loss": [1.0], "val_loss": {"a": [1]}}, TypeError, "val_loss must be a list of numbers"),
    ],
)
def test_bad_numbers_of_several_runs(arguments, error, match):
    with pytest.raises(error, match=match):
        TrainingCurveDisplay(**{"loss": {"a": [1.0]}} | arguments).plot()
