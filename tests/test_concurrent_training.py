"""An estimator that is trained while other threads use it: they see the net as it was, or as it is after training."""

import copy
import os
import pickle
import threading
import time
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_dl import Softmax, TwoLayerNet, _base
from sklearn_dl.solver import Watcher

from ._estimators import ESTIMATORS, all_classes, answers, assert_same, batchnorm, blobs, each_of_all, methods_of, small

METHODS = ["fit", "warm fit", "partial_fit"]
each_method = pytest.mark.parametrize("method", METHODS)


class Pause(Watcher):
    """Stops a training after each of its first updates until it is told to go on."""

    def __init__(self, updates):
        self.updates = updates
        self.reached, self.may_go_on = threading.Semaphore(0), threading.Semaphore(0)

    def on_update(self, solver):
        if self.updates:
            self.updates -= 1
            self.reached.release()
            assert self.may_go_on.acquire(timeout=20)


@pytest.fixture
def paused(monkeypatch):
    """Return a function that runs a method of an estimator and yields after each of so many updates."""

    def run(estimator, method, X, y, updates):
        pause = Pause(updates)
        displays = iter([[pause]])  # of this training; others go on
        with monkeypatch.context() as patch, ThreadPoolExecutor(1) as pool:
            patch.setattr(_base, "make_displays", lambda *_, **__: next(displays, []))
            training = pool.submit(getattr(estimator, method.split()[-1]), X, y)
            for update in range(updates):
                while not pause.reached.acquire(timeout=0.1):
                    assert not training.done(), training.exception()
                try:
                    yield update
                finally:
                    pause.may_go_on.release()
            training.result(60)

    return run


def fitted(cls, method, **params):
    X, y = blobs()
    return small(cls, warm_start=method == "warm fit", **batchnorm(cls), **params).fit(X, y)


@each_of_all
@each_method
def test_what_others_see_during_a_training(cls, method, paused):
    """To the bit: predictions, weights, pickles and copies are those of the last training that has ended."""
    X, y = blobs()
    net, expected = fitted(cls, method), fitted(cls, method)
    before = {name: getattr(expected, name)(X) for name in methods_of(cls)}
    # The second training is on other classes where it may be.
    labels = (y + 10) % 12 if method == "fit" and cls in ESTIMATORS else y
    for _ in paused(net, method, X[::-1] * 3, labels, updates=4):
        for name, value in before.items():
            np.testing.assert_array_equal(getattr(net, name)(X), value)
        for twin in (pickle.loads(pickle.dumps(net)), copy.copy(net), copy.deepcopy(net)):
            assert_same(twin, expected)
            assert twin.history_["epoch"] == expected.history_["epoch"]
            assert len(twin.learning_rate_history_) == len(expected.loss_history_)
        assert net.n_iter_ == expected.n_iter_
    getattr(expected, method.split()[-1])(X[::-1] * 3, labels)
    assert_same(net, expected)
    assert not np.array_equal(answers(net, X), before[methods_of(cls)[-1]])


def test_a_copy_made_during_a_training_goes_on_as_one_made_before(paused):
    X, y = blobs()
    net = fitted(TwoLayerNet, "partial_fit", dropout_keep_ratio=0.5)
    before, copies = copy.deepcopy(net), []
    for _ in paused(net, "partial_fit", X, y, updates=4):
        copies.append(pickle.loads(pickle.dumps(net)))
    expected = before.partial_fit(X, y)
    assert_same(net, expected)
    for twin in copies:
        assert_same(twin.partial_fit(X, y), expected)


def test_predictions_of_a_busy_estimator_are_never_of_a_net_between():
    """Threads that predict at any moment: each answer is that of the net after some number of calls."""
    X, y = blobs(120)
    net = small(TwoLayerNet, learning_rate=0.05).partial_fit(X, y, classes=[0, 1, 2])
    twin, known, seen, ended = copy.deepcopy(net), set(), set(), threading.Event()

    def predict():
        while not ended.is_set():
            seen.add(net.predict_proba(X).tobytes())

    known.add(twin.predict_proba(X).tobytes())
    for _ in range(60):
        known.add(twin.partial_fit(X, y).predict_proba(X).tobytes())
    with ThreadPoolExecutor(2) as pool:
        predicting = [pool.submit(predict) for _ in range(2)]
        try:
            for _ in range(60):
                net.partial_fit(X, y)
            time.sleep(0.01)
        finally:
            ended.set()
        for one in predicting:
            one.result()
    assert seen <= known
    assert len(seen) > 1


def test_labels_and_scores_are_of_one_fit():
    """Fits on two classes and on three take turns; no answer mixes the scores of one with the labels of the other."""
    X, y = blobs(60)
    net, ended = small(Softmax, num_epochs=1).fit(X, y), threading.Event()

    def predict():
        while not ended.is_set():
            labels = set(net.predict(X).tolist())
            assert labels <= {0, 1, 2} or labels <= {"a", "b"}
            assert net.predict_proba(X).shape[1] in (2, 3)

    with ThreadPoolExecutor(2) as pool:
        predicting = [pool.submit(predict) for _ in range(2)]
        try:
            for _ in range(30):
                net.fit(X, np.array(["a", "b"])[y % 2])
                net.fit(X, y)
        finally:
            ended.set()
        for one in predicting:
            one.result()


# ----------------------------------------------------------------------------- two trainings at once


@each_of_all
@each_method
@pytest.mark.parametrize("second", ["fit", "partial_fit"])
def test_a_second_training_at_once_is_an_error(cls, method, second, paused):
    X, y = blobs()
    net, expected = fitted(cls, method), fitted(cls, method)
    for _ in paused(net, method, X, y, updates=4):
        with pytest.raises(RuntimeError, match=rf"this {cls.__name__} is being trained already.*train a clone"):
            getattr(net, second)(X, y)
        clone(net).fit(X, y)
    assert_same(net, getattr(expected, method.split()[-1])(X, y))
    assert_same(getattr(net, second)(X, y), getattr(expected, second)(X, y))


@each_method
def test_after_an_error_it_can_be_trained(method, monkeypatch):
    X, y = blobs()
    net, expected = fitted(TwoLayerNet, method), fitted(TwoLayerNet, method)
    call = getattr(net, method.split()[-1])
    for error in (KeyboardInterrupt, MemoryError):
        with monkeypatch.context() as patch:

            def fail(solver, train_loss, error=error):
                raise error

            patch.setattr(_base.Solver, "_end_epoch", fail)
            with pytest.raises(error):
                call(X, y)
    with pytest.raises(ValueError, match="NaN"):
        call(X * np.nan, y)
    call(X, y)
    assert_same(net, getattr(expected, method.split()[-1])(X, y))


def test_many_threads_that_train_one_estimator():
    """Those that are not refused are one after the other."""
    X, y = blobs(200)
    net = small(TwoLayerNet).partial_fit(X, y, classes=[0, 1, 2])
    expected, start = copy.deepcopy(net), threading.Barrier(4)

    def train():
        start.wait()
        done = 0
        for _ in range(20):
            try:
                net.partial_fit(X, y)
            except RuntimeError as error:
                assert "is being trained already" in str(error)  # noqa: PT017 - the others are trainings
            else:
                done += 1
        return done

    with ThreadPoolExecutor(4) as pool:
        done = sum(one.result() for one in [pool.submit(train) for _ in range(4)])
    for _ in range(done):
        expected.partial_fit(X, y)
    assert_same(net, expected)


@pytest.mark.skipif(not hasattr(TwoLayerNet, "set_callbacks"), reason="scikit-learn 1.9 is the first with callbacks")
def test_a_callback_sees_the_training_and_others_do_not():
    X, y = blobs()
    seen = []

    class Looks:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context):
            with pytest.raises(RuntimeError, match="is being trained already"):
                estimator.partial_fit(X, y)
            with pytest.raises(RuntimeError, match="is being trained already"):
                net.fit(X, y)
            seen.append((len(estimator.history_["epoch"]), net.n_iter_, np.array_equal(answers(net, X), before)))

    net = fitted(TwoLayerNet, "fit")
    before = answers(net, X)
    net.set_callbacks(Looks()).fit(X, y)
    assert seen == [(1, 3, True), (2, 3, True), (3, 3, True), (3, 3, True)]


def test_parameters_set_during_a_training_stay(paused):
    X, y = blobs()
    net = fitted(TwoLayerNet, "fit")
    for _ in paused(net, "fit", X, y, updates=2):
        net.set_params(reg=0.25)
    assert net.reg == 0.25
    assert net.n_iter_ == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_forked_during_a_training_can_train(paused):
    X, y = blobs()
    net, expected = fitted(Softmax, "partial_fit"), fitted(Softmax, "partial_fit")
    expected.partial_fit(X, y)
    for update in paused(net, "partial_fit", X, y, updates=2):
        if not update:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # polars, if another test has imported it, advises against forks
            child = os.fork()
        if child == 0:
            try:
                assert_same(net.partial_fit(X, y), expected)
                assert len(net.loss_history_) == len(expected.loss_history_)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


@each_of_all
def test_nothing_of_a_training_is_in_a_pickle_or_a_clone(cls):
    X, y = blobs()
    net = small(cls)
    before = vars(small(cls)).keys()
    net.partial_fit(X, y, **all_classes(cls, 0, 1, 2))
    assert vars(clone(net)).keys() == before
    assert vars(pickle.loads(pickle.dumps(net))).keys() == vars(net).keys()
