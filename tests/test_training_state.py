"""TrainingState: going on costs the same however long the history is; copies and archives are whole."""

import copy
import pickle
import tracemalloc
from dataclasses import fields

import numpy as np
import pytest

from sklearn_dl import TwoLayerNet
from sklearn_dl._estimator_state import snapshot
from sklearn_dl.nets import FullyConnected
from sklearn_dl.persistence import read_archive
from sklearn_dl.solver import Solver
from sklearn_dl.training.state import TrainingState, copy_generator
from sklearn_dl.training.trainee import Trainee

from ._estimators import all_classes, assert_same, batchnorm, blobs, each_of_all, small
from ._recorded import assert_same as assert_same_values

LONG = 200_000


def lengthen(estimator, n=LONG):
    """Give a fitted estimator the histories of a long training."""
    state = estimator._state
    for values in (state.loss_history, state.learning_rate_history, state.train_acc_history):
        values.extend([0.5] * n)
    for column in state.history.values():
        column.extend([0.5] * n)
    return estimator


def allocated_in(call):
    """Return how many bytes a call had allocated at its peak."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@each_of_all
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_going_on_copies_no_history(cls, method):
    """A copy of any of the histories would take 8 bytes an entry."""
    X, y = blobs()
    net = lengthen(small(cls, num_epochs=1, warm_start=True).fit(X, y))
    getattr(net, method)(X, y)  # lists that were extended have no room to grow yet
    assert allocated_in(lambda: getattr(net, method)(X, y)) < LONG
    assert len(net.loss_history_) > LONG
    assert net.history_["epoch"] is net._state.history["epoch"]


@each_of_all
def test_a_failed_call_cuts_the_histories_back(cls):
    X, y = blobs()
    net = small(cls, **batchnorm(cls)).partial_fit(X, y, **all_classes(cls, 0, 1, 2))
    before, lists = copy.deepcopy(net), (net.loss_history_, net.history_["loss"])
    with pytest.raises(ValueError, match=r"became nan|is no longer finite|not finite"):
        net.set_params(learning_rate=1e300).partial_fit(X, y)
    net.set_params(learning_rate="auto")
    assert_same(net, before)
    assert {len(column) for column in net.history_.values()} == {1}
    assert net.loss_history_ is lists[0]
    assert net.history_["loss"] is lists[1]
    assert_same(net.partial_fit(X, y), before.partial_fit(X, y))


@each_of_all
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_shares_nothing_that_training_changes(cls, duplicate):
    X, y = blobs()
    net = small(cls, **batchnorm(cls)).partial_fit(X, y, **all_classes(cls, 0, 1, 2))
    twin, reference = duplicate(net), copy.deepcopy(net)
    net.partial_fit(X, y)
    assert_same(twin, reference)
    assert_same(twin.partial_fit(X, y), reference.partial_fit(X, y))


def trained():
    """Return a solver of whose state all fields have values of their own."""
    X, y = blobs(60, dtype=np.float64)
    data = {"X_train": X[:40], "y_train": y[:40], "X_val": X[40:], "y_val": y[40:]}
    net = FullyConnected([8], 16, 3, normalization="batchnorm", dropout_keep_ratio=0.8, random_state=0)
    settings = {"batch_size": 16, "update_rule": "adam", "lr_schedule": "reduce_on_plateau", "tol": 0.1}
    solver = Solver(net, data, num_epochs=3, random_state=np.random.RandomState(1), verbose=False, **settings)
    solver.train()
    solver.state.held_out = {"trained": np.arange(5, dtype=np.uint64), "validated": np.ones(2, np.uint64)}
    return solver


def trained_state():
    """Return the state of a training of which all fields have values of their own."""
    return trained().state


def disturb(value):
    """Return another value; one that can be changed in place, changed in place."""
    if isinstance(value, dict):
        for name in value:
            value[name] = disturb(value[name])
    elif isinstance(value, list):
        value.append(7.0)
    elif isinstance(value, np.ndarray):
        value += 1
    elif isinstance(value, np.random.RandomState):
        value.rand()
    elif value is None or isinstance(value, (str, tuple)):
        return "other"
    else:
        return value + 1
    return value


def succeed(state, net):
    """Return a successor of a state whose net this is, with generators of its own."""
    generators = [copy_generator(generator) for generator in (state.random_state, state.net_random_state)]
    twin = copy.deepcopy(net, {id(net.random_state): generators[1]})
    return state.successor(Trainee(twin), generators[0])


@pytest.mark.parametrize("field", [field.name for field in fields(TrainingState)])
def test_what_happens_to_a_successor_leaves_every_field(field):
    solver = trained()
    state = solver.state
    before, held = copy.deepcopy(state.to_archive()), getattr(state, field)
    after = succeed(state, solver.net)
    assert_same_values(after.to_archive(), before)
    setattr(after, field, disturb(getattr(after, field)))
    with pytest.raises(AssertionError):
        assert_same_values(after.to_archive(), before)
    assert_same_values(state.to_archive(), before)
    state.take_back()
    assert_same_values(state.to_archive(), before)
    assert getattr(state, field) is held


def test_a_successor_appends_to_the_same_lists():
    solver = trained()
    state = solver.state
    after = succeed(state, solver.net)
    assert after.loss_history is state.loss_history
    assert after.history["loss"] is state.history["loss"]
    after.loss_history.append(1.0)
    assert len(state.to_archive()["loss_history"]) == len(after.to_archive()["loss_history"]) - 1


@pytest.mark.parametrize(
    "make", [np.random.RandomState, lambda seed: np.random.RandomState(np.random.PCG64(seed))], ids=["MT19937", "PCG64"]
)
def test_a_copy_of_a_generator_draws_the_same(make):
    generator = make(3)
    generator.randn(5)  # an odd number: the other of a pair of normal numbers is kept
    copied = copy_generator(generator)
    drawn = generator.randn(3), generator.rand(700)
    assert_same_values([copied.randn(3), copied.rand(700)], list(drawn))


@pytest.mark.parametrize("histories", [list, np.array])
def test_an_archive_shares_nothing_but_generators(histories):
    state = trained_state()
    archive = state.to_archive(histories=histories)
    before = copy.deepcopy(archive)
    for field in fields(TrainingState):
        setattr(state, field.name, disturb(getattr(state, field.name)))
    for name in ("random_state", "net_random_state"):
        assert archive.pop(name) is getattr(state, name)
        del before[name]
    assert_same_values(archive, before)


def test_a_training_begins_with_what_the_rule_and_the_best_epoch_allow():
    """The state of the same rule stays, that of another goes; of the best epoch nothing stays."""
    state = trained_state()
    state.stop_score, state.epochs_without_gain, moment = 0.9, 2, state.optim_configs["W1"]["m"]
    state.begin("adam", {"learning_rate": 0.5, "beta1": 0.8}, validates=True)
    assert state.optim_configs["W1"]["m"] is moment
    assert (state.optim_configs["W1"]["beta1"], state.optim_configs["W1"]["t"]) == (0.8, 9)
    assert (state.stop_score, state.epochs_without_gain, state.stop_reason) == (-np.inf, 0, None)
    assert (state.best_epoch, state.best_val_acc, state.best_score) == (None, 0.0, -np.inf)
    assert state.best_params == state.best_statistics == {}
    state.begin("adamw", {"learning_rate": 0.5}, validates=False)
    assert set(map(str, state.optim_configs.values())) == {"{'learning_rate': 0.5}"}
    assert (state.update_rule, state.validated) == ("adamw", True)


def test_an_archive_has_every_field_and_restores_it():
    X, y = blobs(60, dtype=np.float64)
    data = {"X_train": X[:40], "y_train": y[:40], "X_val": X[40:], "y_val": y[40:]}

    def solver(num_epochs):
        net = FullyConnected([8], 16, 3, normalization="batchnorm", dropout_keep_ratio=0.8, random_state=0)
        options = {"batch_size": 16, "update_rule": "adam", "lr_schedule": "reduce_on_plateau", "verbose": False}
        return Solver(net, data, num_epochs=num_epochs, random_state=np.random.RandomState(1), **options)

    trained = solver(3)
    trained.train()
    archive = trained.state.to_archive()
    assert archive.keys() == {field.name for field in fields(TrainingState)}
    other = solver(6)
    other.state.restore(copy.deepcopy(archive))
    expected = solver(6)
    expected.state.restore(copy.deepcopy(archive))
    for one in (other, expected):
        one.train()
    assert other.loss_history == expected.loss_history
    assert len(other.loss_history) == 2 * len(archive["loss_history"])
    assert other.state.params is other.net.params


@pytest.mark.parametrize(
    "change",
    [
        lambda archive: archive.pop("epoch"),
        lambda archive: archive.update(more=1),
        lambda archive: archive["params"].pop("W1"),
        lambda archive: archive["params"].update(W1=np.zeros((2, 2))),
        lambda archive: archive["params"].update(W1=None),
        lambda archive: archive["statistics"].pop("running_mean1"),
        lambda archive: archive["statistics"].update(running_var1=np.ones(9, np.float32)),
    ],
)
def test_restore_refuses_another_archive_and_changes_nothing(change):
    net = FullyConnected([8], 16, 3, normalization="batchnorm", random_state=0)
    state = TrainingState.of_net(Trainee(net), np.random.RandomState(0))
    archive, before = state.to_archive(), state.to_archive()
    archive["params"]["b1"] += 1
    change(archive)
    with pytest.raises(ValueError, match=r"must be a dict with the keys|it is of another net"):
        state.restore(archive)
    for name, value in before["params"].items():
        np.testing.assert_array_equal(net.params[name], value)


def test_a_checkpoint_stores_histories_as_arrays(tmp_path):
    X, y = blobs(40)
    net = FullyConnected([4], 16, 3, random_state=0)
    solver = Solver(net, {"X_train": X, "y_train": y}, num_epochs=1, verbose=False, checkpoint=tmp_path / "c")
    solver.train()
    stored = read_archive(tmp_path / "c_epoch_1.npz")["state"]
    for name in ("loss_history", "learning_rate_history", "train_acc_history"):
        assert isinstance(stored[name], np.ndarray)
        assert stored[name].tolist() == getattr(solver, name)


def test_snapshots_for_callbacks_do_not_walk_the_histories(monkeypatch):
    """A deep copy visits each entry; a copied list does not."""
    X, y = blobs()
    net = lengthen(small(TwoLayerNet).fit(X, y))
    visited = []
    deepcopy = copy.deepcopy
    monkeypatch.setattr(copy, "deepcopy", lambda node, *rest: visited.append(node) or deepcopy(node, *rest))
    solver = type("Solver", (), {"write_best": lambda self, net: None})()
    attributes = snapshot(net, solver)
    assert attributes["loss_history_"] == net.loss_history_
    assert not any(isinstance(node, list) for node in visited)
