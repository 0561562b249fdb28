"""Ctrl-C during a fit."""

import copy
import signal
import threading

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import TwoLayerNet, _base
from sklearn_dl.solver import Watcher

from ._estimators import answers, assert_same, blobs, each_of_all, small

has_callbacks = hasattr(TwoLayerNet, "set_callbacks")


class Presser(Watcher):
    """Presses Ctrl-C at given updates; 0 is before the first."""

    def __init__(self, at):
        self.at = at

    def on_train_begin(self, solver):
        self.done = 0
        self.press()

    def on_update(self, solver):
        self.done += 1
        self.press()

    def press(self):
        for _ in range(self.at.count(self.done)):
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def press(monkeypatch, hears_ctrl_c):
    """Return a function that has Ctrl-C pressed at these updates of each fit."""
    return lambda *at: monkeypatch.setattr(_base, "make_displays", lambda *_, **__: [Presser(at)])


def interrupted(net, *data, **options):
    with pytest.warns(UserWarning, match=r"^Training was interrupted in epoch \d: the estimator has the weights"):
        return net.fit(*data, **options)


@each_of_all
@pytest.mark.parametrize("update", [1, 3, 4, 6])  # four updates an epoch
def test_weights_so_far_are_kept(cls, update, press):
    X, y = blobs()
    expected = small(cls, num_iters=update).fit(X, y)
    press(update)
    net = interrupted(small(cls), X, y)
    assert_same(net, expected)
    assert len(net.history_["loss"]) == net.n_iter_ == -(-update // 4)
    np.testing.assert_array_equal(answers(net, X), answers(expected, X))


def test_best_weights_so_far_are_kept(press):
    X, y = blobs(spread=3.0)
    options = {"X_val": X[:20], "y_val": y[:20]}
    expected = small(TwoLayerNet, num_iters=6, learning_rate=0.3).fit(X, y, **options)
    press(6)
    with pytest.warns(UserWarning, match="best weights so far"):
        net = small(TwoLayerNet, learning_rate=0.3).fit(X, y, **options)
    assert_same(net, expected)
    assert net.score(X[:20], y[:20]) == net.best_val_score_ == max(net.val_acc_history_)


def test_training_can_go_on(press):
    X, y = blobs(16)
    press(2)
    net = interrupted(small(TwoLayerNet, warm_start=True), X, y)
    press()
    assert_same(net.fit(X, y), small(TwoLayerNet, num_epochs=5).fit(X, y))


def test_warm_start_keeps_what_it_has(press):
    X, y = blobs()
    net = small(TwoLayerNet, warm_start=True).fit(X, y)
    press(4)
    assert interrupted(net, X, y).n_iter_ == 4


def as_it_was(net, *data, fit="fit", **options):
    before = copy.deepcopy(net)
    with pytest.raises(KeyboardInterrupt):
        getattr(net, fit)(*data, **options)
    if hasattr(before, "params_"):
        assert_same(net, before)
    else:
        with pytest.raises(NotFittedError):
            net.predict(data[0])


@pytest.mark.parametrize("at", [(0,), (2, 2)], ids=["before the first update", "twice"])
@pytest.mark.parametrize("state", ["fresh", "fitted", "warm"])
def test_nothing_trained_or_twice_is_an_error(at, state, press):
    X, y = blobs()
    net = small(TwoLayerNet, warm_start=state == "warm")
    if state != "fresh":
        net.fit(X, y)
    press(*at)
    as_it_was(net, X, y)


def test_partial_fit_is_interrupted(press):
    """The loop around it is what Ctrl-C means."""
    X, y = blobs()
    net = small(TwoLayerNet).fit(X, y)
    press(2)
    as_it_was(net, X, y, fit="partial_fit")


def test_pipeline_is_fitted(press):
    X, y = blobs()
    press(5)
    model = interrupted(make_pipeline(StandardScaler(), small(TwoLayerNet)), X, y)
    assert len(model[-1].loss_history_) == 5
    assert model.predict(X).shape == y.shape


@pytest.mark.skipif(not has_callbacks, reason="scikit-learn 1.9 is the first with callbacks")
@pytest.mark.parametrize("wrap", [clone, lambda net: make_pipeline(StandardScaler(), net)], ids=["net", "pipeline"])
def test_search_is_interrupted(wrap, press):
    X, y = blobs()
    press(5)
    search = GridSearchCV(wrap(small(TwoLayerNet)), {}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    assert not hasattr(search, "cv_results_")


def test_other_handlers_are_left_alone(press):
    X, y = blobs()
    press(2)
    pressed = []
    signal.signal(signal.SIGINT, lambda *_: pressed.append("own"))
    try:
        net = small(TwoLayerNet).fit(X, y)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert pressed == ["own"]
    assert net.n_iter_ == 3


def test_fit_in_another_thread(press):
    X, y = blobs()
    net = small(TwoLayerNet)
    thread = threading.Thread(target=net.fit, args=(X, y))
    thread.start()
    thread.join()
    assert net.n_iter_ == 3


def test_warning_as_error_loses_nothing(press):
    X, y = blobs()
    press(3)
    net = small(TwoLayerNet)
    with pytest.raises(UserWarning, match="interrupted"):  # pytest makes warnings errors
        net.fit(X, y)
    assert len(net.loss_history_) == 3
