import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform, randint
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_dl import Softmax, TwoLayerNet
from sklearn_dl.inspection import SweepDisplay
from sklearn_dl.nets.layers import Affine, BatchNorm, ReLU
from sklearn_dl.schedules import Cosine, Linear

from . import _displays
from ._displays import X, drawn, labels, overlapping, plt, y

close_figures = _displays.close_figures


@pytest.fixture(scope="module")
def search():
    grid = {"learning_rate": [0.1, 0.01], "reg": [0.0, 0.01], "batch_size": [50, 100]}
    return GridSearchCV(Softmax(num_epochs=1, random_state=0), grid, cv=2).fit(X, y)


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


# What searches keep besides scores and parameters ---------------------------------------------------


def expected_cells(search, names, scores):
    """Return the score of each cell, computed otherwise: the best of those in the last round that got to the cell."""
    results = search.cv_results_
    rounds = results.get("iter", np.zeros(len(scores)))
    rows = {}
    for params, score, i in zip(results["params"], scores, rounds, strict=True):
        if not np.isnan(score):
            rows.setdefault(tuple(params[name] for name in names), []).append((i, score))
    return {cell: max(row)[1] for cell, row in rows.items()}


def check_cells(display, search, scores=None):
    """Check each cell against the results, and the frame against the search's choice."""
    scores = search.cv_results_["mean_test_score"] if scores is None else scores
    cells = {
        (x, y): display.scores[i, j] for i, y in enumerate(display.y_values) for j, x in enumerate(display.x_values)
    }
    expected = expected_cells(search, (display.param_x, display.param_y), scores)
    assert {cell: score for cell, score in cells.items() if not np.isnan(score)} == expected
    row, col = display.best
    assert display.x_values[col] == search.best_params_[display.param_x]
    assert display.y_values[row] == search.best_params_[display.param_y]


HALVING = {
    "n_samples": ({}, ""),
    "num_epochs": ({"resource": "num_epochs", "min_resources": 1, "max_resources": 4, "factor": 2}, ""),
    "net__num_epochs": ({"resource": "net__num_epochs", "min_resources": 1, "max_resources": 4, "factor": 2}, "net__"),
    # sorts before, between and after the searched parameters
    "batch_size": ({"resource": "batch_size", "min_resources": 10, "max_resources": 40, "factor": 2}, ""),
    "hidden_dim": ({"resource": "hidden_dim", "min_resources": 2, "max_resources": 20}, ""),
    "n_iter_no_change": ({"resource": "n_iter_no_change", "min_resources": 1, "max_resources": 8}, ""),
}


@pytest.mark.filterwarnings("ignore:The total space of parameters")
@pytest.mark.parametrize("make", [HalvingGridSearchCV, HalvingRandomSearchCV])
@pytest.mark.parametrize("n_params", [2, 3])
@pytest.mark.parametrize("resource", HALVING)
def test_resource_of_a_halving_search_is_no_searched_parameter(make, n_params, resource):
    arguments, prefix = HALVING[resource]
    net = TwoLayerNet(hidden_dim=5, num_epochs=2, random_state=0)
    grid = {"learning_rate": [0.001, 0.01, 0.1], "reg": [0.0, 0.01], "momentum": [0.5, 0.9]}
    grid = {prefix + name: values for name, values in list(grid.items())[:n_params]}
    net = Pipeline([("scale", MinMaxScaler()), ("net", net)]) if prefix else net
    search = make(net, grid, cv=2, random_state=0, **arguments).fit(X, y)
    names = {"param_x": f"{prefix}learning_rate", "param_y": f"{prefix}reg"}
    if n_params == 3:
        with pytest.raises(ValueError, match="param_x and param_y must be given") as info:
            SweepDisplay.from_estimator(search)
        assert repr(resource) not in str(info.value)
        display = drawn(SweepDisplay.from_estimator(search, **names))
        assert display.ax_.get_title() == "best over momentum"
    else:
        display = drawn(SweepDisplay.from_estimator(search))
        assert (display.param_x, display.param_y) == tuple(names.values())
        assert display.ax_.get_title() == ""
    check_cells(display, search)


def test_resource_can_be_asked_for():
    arguments, _ = HALVING["num_epochs"]
    grid = {"learning_rate": [0.001, 0.01, 0.1], "reg": [0.0, 0.01]}
    search = HalvingGridSearchCV(TwoLayerNet(hidden_dim=5, random_state=0), grid, cv=2, random_state=0, **arguments)
    search.fit(X, y)
    display = drawn(SweepDisplay.from_estimator(search, param_x="num_epochs", param_y="learning_rate"))
    assert display.x_values == [1, 2, 4]
    assert display.ax_.get_title() == "best over reg"
    check_cells(display, search)


def test_halving_search_over_one_parameter_is_refused_for_what_it_is():
    arguments, _ = HALVING["num_epochs"]
    search = HalvingGridSearchCV(TwoLayerNet(hidden_dim=5), {"reg": [0.0, 0.1, 1.0]}, cv=2, **arguments).fit(X, y)
    with pytest.raises(ValueError, match=r"those that vary are \['reg'\]\. A map is of two"):
        SweepDisplay.from_estimator(search)


def failing(learning_rate=0.1, **params):
    """Return a net whose fits fail at some settings."""

    class Failing(Softmax):
        def fit(self, X, y):
            if self.reg == 0.1 and self.learning_rate > 0.05:
                raise RuntimeError("no fit")
            return super().fit(X, y)

    return Failing(learning_rate=learning_rate, num_epochs=1, random_state=0)


@pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.FitFailedWarning", "ignore:One or more of the t.* scores are non-finite"
)
@pytest.mark.parametrize("make", [GridSearchCV, HalvingGridSearchCV])
def test_failed_fits_leave_gaps(make):
    grid = {"learning_rate": [0.01, 0.1], "reg": [0.0, 0.1]}
    search = make(failing(), grid, cv=2, error_score=np.nan).fit(X, y)
    display = drawn(SweepDisplay.from_estimator(search))
    assert np.isnan(display.scores[1, 1])
    assert display.text_[1, 1].get_text() == "\N{EN DASH}"
    check_cells(display, search)
    # another parameter's best is taken over the fits that did not fail
    search = GridSearchCV(failing(), {**grid, "batch_size": [50, 100]}, cv=2, error_score=np.nan).fit(X, y)
    display = SweepDisplay.from_estimator(search, param_x="batch_size", param_y="learning_rate")
    assert np.isfinite(display.scores).all()
    check_cells(display, search)


def test_list_of_grids_with_other_parameters():
    net = TwoLayerNet(hidden_dim=5, num_epochs=1, random_state=0)
    grids = [
        {"update_rule": ["sgd_momentum"], "momentum": [0.9, 0.5]},
        {"update_rule": ["adam"]},
        {"update_rule": ["rmsprop"], "momentum": [0.5]},
    ]
    search = GridSearchCV(net, grids, cv=2).fit(X, y)
    display = drawn(SweepDisplay.from_estimator(search))
    assert labels(display.ax_.xaxis) == ["0.5", "0.9", "(default)"]
    assert labels(display.ax_.yaxis) == ["sgd_momentum", "adam", "rmsprop"]
    a, b, c, d = search.cv_results_["mean_test_score"]
    assert_array_equal(display.scores, [[b, a, np.nan], [np.nan, np.nan, c], [d, np.nan, np.nan]])


METRICS = ["accuracy", "neg_log_loss", "f1_macro"]


@pytest.mark.parametrize("refit", ["neg_log_loss", False, lambda results: 3])
@pytest.mark.parametrize("metric", [None, *METRICS])
def test_several_metrics(refit, metric):
    grid = {"learning_rate": [0.1, 0.01], "reg": [0.0, 0.01, 1.0]}
    search = GridSearchCV(Softmax(num_epochs=1, random_state=0), grid, cv=2, scoring=METRICS, refit=refit).fit(X, y)
    if metric is None and not isinstance(refit, str):
        with pytest.raises(ValueError, match=r"metric must be one of \['accuracy', 'f1_macro', 'neg_log.*got None"):
            SweepDisplay.from_estimator(search)
        return
    display = drawn(SweepDisplay.from_estimator(search, metric=metric))
    shown = metric or refit
    scores = search.cv_results_[f"mean_test_{shown}"]
    assert display.colorbar_.ax.get_ylabel() == f"mean test {shown}"
    if refit and (callable(refit) or shown == refit):
        check_cells(display, search, scores)
    else:
        assert display.scores[display.best] == np.nanmax(display.scores) == scores.max()


@pytest.mark.parametrize(
    ("refit", "metric", "best"),
    [("f1", "f1", (0, 0)), ("f1", "score", (1, 1)), (len, "f1", (0, 0)), (len, "score", (0, 0)), (False, "f1", (1, 0))],
)
def test_frame_where_metrics_disagree(refit, metric, best):
    params = [{"a": i, "b": j} for j in (0, 1) for i in (0, 1)]
    search = fake_search(params, [1, 2, 3, 4]).set_params(refit=refit)
    search.cv_results_["mean_test_f1"] = np.array([1, 1, 5, 1]) if refit is False else np.array([5, 1, 1, 1])
    search.multimetric_ = True
    if refit:
        search.best_index_ = 0
    assert SweepDisplay.from_estimator(search, metric=metric).best == best


def test_frame_is_the_searchs_choice_not_the_best_score():
    grid = {"learning_rate": [0.1, 0.01], "reg": [0.0, 0.01]}
    search = GridSearchCV(
        Softmax(num_epochs=1, random_state=0), grid, cv=2, refit=lambda results: results["mean_test_score"].argmin()
    )
    display = drawn(SweepDisplay.from_estimator(search.fit(X, y)))
    assert display.scores[display.best] == np.min(display.scores)
    check_cells(display, search)


def test_one_metric_of_a_list_need_not_be_named():
    grid = {"learning_rate": [0.1, 0.01], "reg": [0.0, 0.01]}
    search = GridSearchCV(Softmax(num_epochs=1, random_state=0), grid, cv=2, scoring=["f1_macro"], refit=False)
    assert SweepDisplay.from_estimator(search.fit(X, y)).score_name == "mean test f1_macro"


def test_results_of_another_form():
    search = fake_search([{"a": 1, "b": 2}], [1])
    del search.cv_results_["mean_test_score"]
    search.cv_results_["test_score"] = [1]
    with pytest.raises(ValueError, match=r"cv_results_ of estimator GridSearchCV must hold .*'params', 'test_score'"):
        SweepDisplay.from_estimator(search)


# Values of any type -----------------------------------------------------------------------------


class Opaque:
    """Can be neither compared, nor pickled, nor told apart by its repr."""

    def __init__(self):
        self.lock = threading.Lock()

    def __repr__(self):
        return "Opaque()"


# Distinct values, however alike they look.
VALUES = {
    "long arrays": [np.arange(5000), np.arange(5000) * (np.arange(5000) != 2500)],
    "lists": [[1, [2]], [1, [3]], [1, (2,)], (1, [2])],
    "layers": [[Affine(8), ReLU()], [Affine(9), ReLU()], [Affine(8), BatchNorm(), ReLU()]],
    "schedules": [None, Cosine(), Linear()],
    "estimators": [LogisticRegression(C=1), LogisticRegression(C=2), Softmax()],
    "large estimators": [
        GridSearchCV(Softmax(), {"reg": list(range(300)), "tol": [1]}),
        GridSearchCV(Softmax(), {"reg": [*range(150), -1, *range(151, 300)], "tol": [1]}),
    ],
    "strings": ["1", 1, "None", None, "True", True],
    "nothing": [None, np.nan, 0, False, ""],
    "numbers": [1.23456, 1.23457, 12_345, 1, 1e-300, float("inf")],
    "large numbers": [1_000_000, 1_000_001, 10**30, 2**70],
    "long strings": ["s" * 59, "s" * 60, "s" * 80 + "a", "s" * 80 + "b"],
    "functions": [len, max, lambda: 1, lambda: 2],
    "opaque": [Opaque(), Opaque()],
    "dicts": [{"a": [1]}, {"a": [2]}, {}],
    "steps": [StandardScaler(), MinMaxScaler(), "passthrough"],
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_each_value_has_a_row_and_a_label_of_its_own(values):
    params = [{"a": value, "b": b} for value in values for b in (1, 2)]
    scores = np.arange(len(params))
    drawn(SweepDisplay.from_estimator(fake_search(params, scores), param_x="a", param_y="b"))
    display = drawn(SweepDisplay.from_estimator(fake_search(params, scores), param_x="b", param_y="a"))
    texts = labels(display.ax_.yaxis)
    assert len(set(texts)) == len(values)
    assert [text for text in texts if len(text) > 60 or "\n" in text or "0x" in text] == []
    assert_array_equal(np.sort(display.scores[:, 0]), scores[::2])
    for value, score in zip(values, scores[::2], strict=True):
        row = next(i for i, held in enumerate(display.y_values) if held is value)
        assert display.scores[row, 0] == score


@pytest.mark.parametrize(
    "make",
    [
        lambda: [1, [2, 3]],
        lambda: np.arange(5000),
        lambda: [Affine(8), ReLU()],
        lambda: Cosine(),
        lambda: LogisticRegression(C=2),
        lambda: float("nan"),
        lambda: np.float64(0.1),
        lambda: {"a": [1]},
    ],
)
def test_equal_values_share_a_row(make):
    params = [{"a": a, "b": b} for b in (1, 2) for a in (make(), "other")]
    display = SweepDisplay.from_estimator(fake_search(params, range(4)), param_x="b", param_y="a")
    assert display.scores.shape == (2, 2)
    assert np.isfinite(display.scores).all()


def test_labels_of_layers_and_functions():
    layers, functions = ([Opaque(), ReLU()], [ReLU()]), (lambda: 1, lambda: 2, len)
    params = [{"a": a, "b": b} for a in layers for b in functions]
    display = drawn(SweepDisplay.from_estimator(fake_search(params, range(6)), param_x="b", param_y="a"))
    assert labels(display.ax_.xaxis) == ["<lambda> (1)", "<lambda> (2)", "len"]


def test_labels_of_numbers():
    values = [1e-6, 0.123456, 512, 1024.0, 10**6, -3]
    display = SweepDisplay(np.zeros((1, 6)), x_values=values, y_values=[1], param_x="x", param_y="y").plot()
    assert labels(drawn(display).ax_.xaxis) == ["1e-06", "0.123", "512", "1024", "1e+06", "-3"]


def test_numbers_are_sorted_and_the_default_is_last():
    params = [{"a": 3.0}, {}, {"a": 1}, {"a": 2}]
    params = [{**candidate, "b": b} for candidate in params for b in (np.int64(7), 5)]
    display = drawn(SweepDisplay.from_estimator(fake_search(params, range(8))))
    assert labels(display.ax_.xaxis) == ["1", "2", "3", "(default)"]
    assert display.y_values == [5, 7]


def test_search_over_objects():
    grid = {"lr_schedule": [None, "cosine", Linear()], "class_weight": [None, "balanced", {0: 2.0}]}
    search = GridSearchCV(Softmax(num_epochs=1, random_state=0), grid, cv=2).fit(X, y)
    display = drawn(SweepDisplay.from_estimator(search))
    assert labels(display.ax_.xaxis) == ["None", "balanced", "{0: 2.0}"]
    scores = search.cv_results_["mean_test_score"].reshape(3, 3)
    assert_array_equal(display.scores, scores.T)


# Points -----------------------------------------------------------------------------------------


def test_random_search_over_distributions_is_drawn_as_points():
    space = {"learning_rate": loguniform(1e-4, 1), "batch_size": randint(10, 1000)}
    search = RandomizedSearchCV(Softmax(num_epochs=1, random_state=0), space, n_iter=20, cv=2, random_state=0)
    display = drawn(SweepDisplay.from_estimator(search.fit(X, y)))
    results = search.cv_results_
    expected = {
        (params["batch_size"], params["learning_rate"]): score
        for params, score in zip(results["params"], results["mean_test_score"], strict=True)
    }
    points = dict(zip(map(tuple, display.im_.get_offsets()), display.im_.get_array(), strict=True))
    assert {tuple(map(float, point)) for point in points} == {tuple(map(float, point)) for point in expected}
    assert_allclose([points[point] for point in sorted(points)], [expected[point] for point in sorted(expected)])
    best = search.best_params_
    assert_array_equal(display.frame_.get_offsets(), [[best["batch_size"], best["learning_rate"]]])
    assert display.text_ is None
    assert (display.ax_.get_xscale(), display.ax_.get_yscale()) == ("linear", "log")
    assert display.colorbar_.ax.get_ylabel() == "mean test score"
    low, high = display.ax_.get_xlim()
    assert low < min(expected)[0] < max(expected)[0] < high


def test_points_over_names():
    space = {"learning_rate": loguniform(1e-4, 1), "update_rule": ["sgd", "adam", "rmsprop"]}
    search = RandomizedSearchCV(Softmax(num_epochs=1, random_state=0), space, n_iter=20, cv=2, random_state=0)
    display = drawn(SweepDisplay.from_estimator(search.fit(X, y)))
    assert sorted(labels(display.ax_.yaxis)) == ["adam", "rmsprop", "sgd"]
    best = search.best_params_
    place = display.y_values.index(best["update_rule"])
    assert_array_equal(display.frame_.get_offsets(), [[best["learning_rate"], place]])
    # first row on top, as in a map
    assert display.ax_.yaxis_inverted()


def test_points_styles():
    scores = np.full((20, 20), np.nan)
    np.fill_diagonal(scores, np.arange(20))
    display = SweepDisplay(scores, x_values=range(20), y_values=range(-10, 10), param_x="x", param_y="y", best=(3, 3))
    _, ax = plt.subplots()
    display.plot(ax, cmap="gray", colorbar=False, im_kw={"s": 5, "vmin": -10})
    assert drawn(display).ax_ is ax
    assert display.im_.get_cmap().name == "gray"
    assert display.im_.get_sizes() == [5]
    assert display.im_.get_clim()[0] == -10
    assert display.colorbar_ is None
    assert ax.get_xscale() == ax.get_yscale() == "linear"
    assert_array_equal(display.frame_.get_offsets(), [[3, -7]])


def test_small_random_searches_and_full_grids_stay_maps():
    space = {"learning_rate": loguniform(1e-4, 1), "batch_size": randint(10, 1000)}
    search = RandomizedSearchCV(Softmax(num_epochs=1, random_state=0), space, n_iter=8, cv=2, random_state=0)
    display = drawn(SweepDisplay.from_estimator(search.fit(X, y)))
    assert display.text_.shape == (8, 8)
    check_cells(display, search)
    assert overlapping(display.ax_.get_yticklabels()) == []
    full = SweepDisplay(np.zeros((3, 20)), x_values=range(20), y_values=range(3), param_x="x", param_y="y").plot()
    assert full.text_.shape == (3, 20)


# Optuna -----------------------------------------------------------------------------------------


# That OptunaSearchCV is experimental, and uses what is deprecated.
ignore_optuna = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture
def optuna_search():
    optuna = pytest.importorskip("optuna", reason="Optuna is an extra, and not installed")
    integration = pytest.importorskip("optuna_integration", reason="Optuna is an extra, and not installed")
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    distributions = optuna.distributions

    def make(estimator, n_trials, **options):
        space = {
            "learning_rate": distributions.CategoricalDistribution([0.01, 0.1]),
            "reg": distributions.CategoricalDistribution([0.0, 0.1]),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is experimental
            return integration.OptunaSearchCV(
                estimator, space, n_trials=n_trials, cv=2, random_state=0, verbose=0, **options
            )

    yield make
    optuna.logging.set_verbosity(before)


@ignore_optuna
def test_optuna_search(optuna_search):
    search = optuna_search(Softmax(num_epochs=1, random_state=0), 12)
    with pytest.raises(NotFittedError, match="OptunaSearchCV is not fitted yet"):
        SweepDisplay.from_estimator(search)
    display = drawn(SweepDisplay.from_estimator(search.fit(X, y)))
    for trial in search.trials_:
        row, col = display.y_values.index(trial.params["reg"]), display.x_values.index(trial.params["learning_rate"])
        assert display.scores[row, col] >= trial.value
    row, col = display.best
    assert {"learning_rate": display.x_values[col], "reg": display.y_values[row]} == search.best_params_
    assert display.scores[row, col] == search.best_score_


@ignore_optuna
def test_optuna_search_with_failed_trials(optuna_search):
    optuna = pytest.importorskip("optuna", reason="Optuna is an extra, and not installed")
    search = optuna_search(Softmax(num_epochs=1, random_state=0), 6, study=optuna.create_study(direction="maximize"))
    params = {"learning_rate": 0.1, "reg": 3.0}
    distributions = {name: optuna.distributions.CategoricalDistribution([value]) for name, value in params.items()}
    failed = optuna.trial.create_trial(
        state=optuna.trial.TrialState.FAIL,
        params=params,
        distributions={**distributions, "reg": optuna.distributions.FloatDistribution(0, 9)},
    )
    search.study.add_trial(failed)
    display = drawn(SweepDisplay.from_estimator(search.fit(X, y)))
    assert np.isnan(display.scores[display.y_values.index(3.0)]).all()
    assert display.scores[display.best] == search.best_score_


class TrialsOnly(LogisticRegression):
    """As little of an OptunaSearchCV as there has to be."""

    refit, estimator = True, None


def test_pruned_trials_count_only_where_none_was_completed():
    search = TrialsOnly()
    search.trials_ = [
        SimpleNamespace(params={"a": a, "b": b}, value=value, state=SimpleNamespace(name=state))
        for a, b, value, state in [
            (1, 1, 0.9, "PRUNED"),
            (1, 1, 0.5, "COMPLETE"),
            (2, 1, 0.4, "PRUNED"),
            (2, 2, 0.6, "COMPLETE"),
            (1, 2, None, "FAIL"),
        ]
    ]
    display = SweepDisplay.from_estimator(search)
    assert_array_equal(display.scores, [[0.5, 0.4], [np.nan, 0.6]])
    assert display.best == (1, 1)


@ignore_optuna
def test_optuna_search_with_pruned_trials(optuna_search):
    search = optuna_search(Softmax(learning_rate=0.1, random_state=0), 25, enable_pruning=True, max_iter=3).fit(X, y)
    complete = [trial for trial in search.trials_ if trial.state.name == "COMPLETE"]
    assert 0 < len(complete) < 25
    display = drawn(SweepDisplay.from_estimator(search))
    for trial in complete:
        row, col = display.y_values.index(trial.params["reg"]), display.x_values.index(trial.params["learning_rate"])
        values = [other.value for other in complete if other.params == trial.params]
        assert display.scores[row, col] == max(values)
