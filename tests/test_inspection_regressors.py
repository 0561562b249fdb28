"""Displays of regressors, of several labels and of the hinge loss."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import FullyConnectedRegressor, TwoLayerNet
from sklearn_dl.inspection import SweepDisplay, TrainingCurveDisplay, WeightsDisplay
from sklearn_dl.nets import FullyConnected
from sklearn_dl.solver import Solver

from . import _displays
from ._displays import drawn, legend
from ._estimators import NAMES, blobs, quantities, small

close_figures = _displays.close_figures


@pytest.fixture
def regressor():
    X, y = quantities(80, n_outputs=2)
    return small(FullyConnectedRegressor).fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])


@pytest.fixture
def solver():
    X, y = quantities(80, n_outputs=2)
    net = FullyConnected([8], 16, 2, weight_scale="he", random_state=0, head="squared_error")
    data = {"X_train": X[:60], "y_train": y[:60] / [1, 1e3], "X_val": X[60:], "y_val": y[60:] / [1, 1e3]}
    solver = Solver(net, data, num_epochs=3, batch_size=16, verbose=False, random_state=0)
    solver.train()
    return solver


def check_curves(display, first, train, val):
    """Check the lines of one run, and that the axis says of what they are."""
    assert display.score_name == display.accuracy_ax_.get_ylabel() == "R²"
    for line, curve in zip(display.accuracy_lines_, (train, val), strict=True):
        assert_array_equal(line.get_xdata(), np.arange(first, first + len(curve)))
        assert_array_equal(line.get_ydata(), curve)


def test_curves_of_r2(regressor):
    X, y = quantities(80, n_outputs=2)
    search = GridSearchCV(make_pipeline(StandardScaler(), small(FullyConnectedRegressor)), {}, cv=2).fit(X, y)
    for estimator in (regressor, make_pipeline(StandardScaler(), small(FullyConnectedRegressor)).fit(X, y), search):
        display = drawn(TrainingCurveDisplay.from_estimator(estimator))
        assert display.accuracy_ax_.get_ylabel() == "R²"
    display = drawn(TrainingCurveDisplay.from_estimator(regressor))
    check_curves(display, 0, regressor.train_r2_history_, regressor.val_r2_history_)
    kept = f"kept: epoch {regressor.best_epoch_}"
    assert legend(display.accuracy_ax_) == ["train", "validation", kept]


def test_curves_of_r2_of_a_solver(solver):
    check_curves(drawn(TrainingCurveDisplay.from_solver(solver)), 0, solver.train_acc_history, solver.val_acc_history)


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame])
def test_curves_of_r2_of_runs(regressor, solver, make):
    runs = {"net": regressor, "solver": solver, "history": make(regressor.history_)}
    display = drawn(TrainingCurveDisplay.from_runs(runs))
    assert display.accuracy_ax_.get_ylabel() == "R²"
    assert len(display.accuracy_lines_) == 6
    for line, column in zip(display.accuracy_lines_[-2:], ("train_r2", "val_r2"), strict=True):
        assert_array_equal(line.get_ydata(), regressor.history_[column])
    drawn(TrainingCurveDisplay.from_runs({"net": regressor, "losses": [2.0, 1.0]}))


def test_runs_of_different_scores_are_refused(regressor):
    X, y = blobs()
    with pytest.raises(ValueError, match="runs must all have the same score, got R² and accuracy"):
        TrainingCurveDisplay.from_runs([regressor, small(TwoLayerNet).fit(X, y)])


def test_name_of_a_score_of_ones_own():
    display = drawn(TrainingCurveDisplay([2.0, 1.0], train_accuracy=[0.1, 0.4], score_name="F1").plot())
    assert display.accuracy_ax_.get_ylabel() == "F1"
    assert TrainingCurveDisplay([2.0]).score_name == "accuracy"


@pytest.mark.parametrize(
    "y",
    [
        quantities()[1],
        quantities(n_outputs=1)[1],
        quantities(n_outputs=3)[1],
    ],
    ids=["flat", "one column", "three columns"],
)
def test_weights_of_a_regressor(y):
    X = pd.DataFrame(quantities()[0], columns=NAMES)
    net = small(FullyConnectedRegressor, hidden_dims=()).fit(X, y)
    display = drawn(WeightsDisplay.from_estimator(net))  # 16 features: pictures of 4 x 4
    assert_array_equal(display.weights[:, 0].reshape(-1, 16).T, net.params_["W1"])
    assert display.text_ == []
    display = drawn(WeightsDisplay.from_estimator(net, image_shape=False))
    assert display.ax_.get_xlabel() == "unit of layer 1"
    names = [f"quantity {i}" for i in range(net.params_["b1"].size)]
    display = drawn(WeightsDisplay.from_estimator(net, image_shape=False, names=names))
    assert display.ax_.get_xlabel() == "output"
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == names
    with pytest.raises(ValueError, match="one for each output"):
        WeightsDisplay.from_estimator(net, names=[*names, "another"])


def test_weights_of_several_labels():
    X, y = blobs()
    net = small(TwoLayerNet).fit(X, np.eye(3, dtype=int)[y])
    display = drawn(WeightsDisplay.from_estimator(net, layer=2))
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("net", "scoring", "name"),
    [
        (small(FullyConnectedRegressor), None, "mean test score"),
        (small(FullyConnectedRegressor), "neg_mean_absolute_error", "mean test neg_mean_absolute_error"),
        (small(TwoLayerNet, loss="hinge"), None, "mean test score"),
    ],
)
def test_sweep(net, scoring, name):
    X, y = blobs()
    grid = {"learning_rate": [1e-3, 1e-2], "loss": [net.loss, "softmax" if net.loss == "hinge" else "huber"]}
    search = GridSearchCV(net, grid, cv=2, scoring=scoring).fit(X, y)
    display = drawn(SweepDisplay.from_estimator(search))
    assert display.colorbar_.ax.get_ylabel() == name
    assert_array_equal(np.sort(display.scores, axis=None), np.sort(search.cv_results_["mean_test_score"]))
