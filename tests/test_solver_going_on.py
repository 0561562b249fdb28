"""Solver.train called again: from the last weights, with histories of one length, whatever ended the last call."""

import pickle
import signal

import numpy as np
import pytest

from sklearn_dl.nets import FullyConnected
from sklearn_dl.solver import Watcher

from ._solvers import RULES, assert_same, assert_same_training, copies, make


def harmful(**options):
    """Return a solver whose best epoch is not its last: the steps are so large that accuracy goes up and down."""
    net = FullyConnected([16], 8, 4, normalization="batchnorm", weight_scale="he", random_state=0)
    return make(net, **{"optim_config": {"learning_rate": 3.0}, **options})


def lengths(solver):
    """Return the lengths of the histories of updates and of epochs, each of which must be one."""
    updates = {len(solver.loss_history), len(solver.learning_rate_history)}
    epochs = {solver.epoch, *map(len, solver.history.values())}
    scores = {len(solver.train_acc_history), len(solver.val_acc_history)}
    return updates, epochs, {n - 1 for n in scores}


@pytest.mark.parametrize("rule", RULES)
def test_parts_are_one_training_with_a_validation_set(rule):
    learning_rate = {"learning_rate": 3.0 if "sgd" in rule or rule == "nesterov" else 0.3}
    whole = harmful(num_epochs=7, update_rule=rule, optim_config=learning_rate)
    parts = harmful(num_epochs=7, update_rule=rule, optim_config=learning_rate)
    whole.train()
    met = set()
    for epochs in (2, 3, 5, 7):
        parts.num_epochs = epochs
        parts.train()
        met.add(parts.best_epoch == parts.epoch)
        assert_same(parts.net.params, parts.best_params)
        parts = pickle.loads(pickle.dumps(parts))
    assert False in met  # else this tests nothing
    assert_same_training(parts, whole)


class Remembers(Watcher):
    """Copies the weights that a training begins with."""

    def on_train_begin(self, solver):
        self.weights = copies(solver.net.params)


def test_weights_that_were_assigned_meanwhile_are_trained_on():
    watcher = Remembers()
    solver = harmful(num_epochs=4, watchers=[watcher])
    solver.train()
    assert solver.best_epoch < solver.epoch  # else this tests nothing
    solver.net.params["W1"] = np.ones_like(solver.net.params["W1"])
    expected = copies(solver.net.params)
    solver.num_epochs = 5
    solver.train()
    assert_same(watcher.weights, expected)


def test_weights_of_a_training_that_diverged_are_not_trained_on():
    solver = harmful(num_epochs=3)
    solver.train()
    solver.num_epochs, solver.optim_config["learning_rate"] = 6, 1e38
    with pytest.raises(ValueError, match="learning_rate"):
        solver.train()
    assert_same(solver.net.params, solver.best_params)
    solver.optim_config["learning_rate"] = 0.01
    solver.train()
    assert np.isfinite(solver.loss_history[-1])


class Fails(Watcher):
    """Raises an exception, or presses Ctrl-C so many times, after some update."""

    def __init__(self, update, error=None, presses=0):
        self.update, self.error, self.presses = update, error, presses

    def on_update(self, solver):
        if solver.num_updates == self.update:
            for _ in range(self.presses):
                signal.raise_signal(signal.SIGINT)
            if self.error:
                raise self.error


@pytest.mark.parametrize("update", [1, 4, 6])  # four updates an epoch
@pytest.mark.parametrize("presses", [1, 2])
def test_after_ctrl_c(update, presses, hears_ctrl_c):
    solver = harmful(num_epochs=4, watchers=[Fails(update, presses=presses)])
    with pytest.raises(KeyboardInterrupt):
        solver.train()
    assert all(len(found) == 1 for found in lengths(solver))
    assert len(solver.loss_history) == update
    if presses == 1:  # the epoch is recorded, as after `stop`
        assert (solver.stop_reason, solver.epoch) == ("interrupted", -(-update // 4))
        solver.watchers = ()
        stopped = harmful(num_epochs=4)
        stopped.watchers = [Stops(update)]
        stopped.train()
        stopped.watchers = ()
        for one in (solver, stopped):
            one.train()
        assert_same_training(solver, stopped)
    else:
        assert solver.epoch == (update - 1) // 4


class Stops(Watcher):
    def __init__(self, update):
        self.update = update

    def on_update(self, solver):
        if solver.num_updates == self.update:
            solver.stop()


PLACES = ["_record_losses", "_update", "_note_epochs", "_note_scores", "_keep_best", "_watch", "_evaluate"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("calls", [0, 1, 5])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_histories_have_one_length_wherever_an_exception_comes(place, when, calls, error, monkeypatch):
    solver = harmful(num_epochs=9, watchers=[Watcher()], tol=0.0)
    method, done = getattr(solver, place), []

    def raises(*args, **kwargs):
        if when == "after":
            result = method(*args, **kwargs)
        done.append(place)
        if len(done) == calls + 1:
            raise error
        return result if when == "after" else method(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(solver, place, raises)
        with pytest.raises(error):
            solver.train()
    updates, epochs, scores = lengths(solver)
    assert len(updates) == len(epochs) == len(scores) == 1
    assert scores in (epochs, {-1})
    solver.train()
    assert lengths(solver)[1:] == ({9}, {9})
    assert len(lengths(solver)[0]) == 1
