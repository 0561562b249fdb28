"""Watchers: what they are told, and how they stop training."""

import pytest

from sklearn_dl.solver import Watcher

from ._solvers import assert_same, assert_same_training, make


class Log(Watcher):
    """Keeps what it is told, with the updates so far; asks to stop where told to."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.seen = []

    def note(self, event, solver):
        self.seen.append((event, solver.num_updates))
        if self.seen[-1] == self.stop_at:
            solver.stop()

    def on_train_begin(self, solver):
        assert len(solver.train_acc_history) == solver.epoch + 1
        self.note("train begin", solver)

    def on_epoch_begin(self, solver):
        self.note("epoch begin", solver)

    def on_update(self, solver):
        self.note("update", solver)

    def on_epoch_end(self, solver):
        assert len(solver.history["epoch"]) == solver.epoch
        self.note("epoch end", solver)

    def close(self):
        self.seen.append("closed")

    def on_train_end(self, solver):
        self.note("train end", solver)


def epoch_events(*updates):
    first, last = updates[0] - 1, updates[-1]
    return [("epoch begin", first), *(("update", k) for k in updates), ("epoch end", last)]


def test_watchers_see_everything_and_change_nothing():
    logs = Log(), Log()
    solver = make(num_epochs=2, watchers=logs)
    solver.train()
    expected = [("train begin", 0), *epoch_events(1, 2, 3, 4), *epoch_events(5, 6, 7, 8), "closed", ("train end", 8)]
    assert [log.seen for log in logs] == [expected, expected]
    silent = make(num_epochs=2)
    silent.train()
    assert_same_training(solver, silent)


@pytest.mark.parametrize(
    ("stop_at", "updates"), [(("train begin", 0), 0), (("update", 3), 3), (("epoch end", 4), 4), (("update", 12), 12)]
)
def test_stop_and_go_on(stop_at, updates):
    log = Log(stop_at)
    solver = make(watchers=[log])
    solver.train()
    assert log.seen[-1] == ("train end", updates)
    other = make(num_iters=updates)
    other.train()
    assert_same_training(solver, other)
    log.stop_at = None
    solver.train()
    assert solver.epoch == 3


def test_true_answer_stops():
    class Once(Watcher):
        def on_epoch_end(self, solver):
            return solver.epoch == 2

    log = Log()  # told although an earlier watcher has asked to stop
    solver = make(watchers=[Once(), log])
    solver.train()
    assert solver.epoch == 2
    assert log.seen[-3:] == [("epoch end", 8), "closed", ("train end", 8)]


def test_an_error_of_a_watcher_is_an_error_of_training():
    class Failing(Watcher):
        def on_epoch_end(self, solver):
            raise OSError("disk full")

    log = Log()
    solver = make(watchers=[log, Failing()])
    with pytest.raises(OSError, match="disk full"):
        solver.train()
    assert log.seen[-2:] == [("epoch end", 4), "closed"]
    assert_same(solver.net.params, solver.best_params)


@pytest.mark.parametrize("watchers", [5, Watcher(), Watcher, [None], [Watcher]])
def test_watchers_must_be_watchers(watchers):
    with pytest.raises(TypeError, match="watchers must be a sequence of Watcher instances, got"):
        make(watchers=watchers)


@pytest.mark.parametrize(
    ("options", "before", "after"),
    [
        ({}, (3, 12), (2, 8)),
        ({"num_iters": 5}, (2, 5), (1, 1)),
        ({"num_iters": 4}, (1, 4), (0, 0)),
        ({"num_epochs": 1}, (1, 4), (0, 0)),
    ],
)
def test_remaining(options, before, after):
    solver = make(**options, watchers=[Log(("epoch end", 4))])
    assert solver.remaining() == before
    solver.train()
    assert solver.remaining() == after
