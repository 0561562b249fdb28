"""Accuracies, and the best weights."""

import numpy as np
import pytest

from sklearn_dl.nets import FullyConnected

from ._solvers import assert_same, copies, dataset, make, restless


@pytest.mark.parametrize("normalization", [None, "batchnorm"])
def test_the_best_weights_come_back(normalization, monkeypatch):
    def net():
        return FullyConnected([16], 8, 4, normalization=normalization, random_state=0)

    expected = make(net(), num_epochs=2, data=dataset(60, 0))
    expected.train()
    data = {**dataset(60, 0), "X_val": np.zeros((1, 8)), "y_val": [0]}
    solver = restless(monkeypatch, [0.1, 0.3, 0.8, 0.7, 0.2], net=net(), data=data, num_epochs=4)
    solver.train()
    assert solver.val_acc_history == [0.1, 0.3, 0.8, 0.7, 0.2]
    assert solver.best_val_acc == 0.8
    assert_same(solver.net.params, expected.net.params)
    assert_same(solver.net.statistics, expected.net.statistics)
    assert_same(solver.best_params, expected.net.params)
    # A record, not the net's own arrays.
    assert all(solver.best_params[k] is not v for k, v in solver.net.params.items())


TIE = 8e-7  # of two accuracies; twice as much is a difference


@pytest.mark.parametrize(
    ("accuracies", "best"),
    [
        ([0.5, 0.5, 0.4, 0.4], 1),
        ([0.5, 0.5 - TIE, 0.4, 0.4], 1),
        ([0.5, 0.5 - TIE, 0.5 - 2 * TIE, 0.4], 1),  # not the better of two neighbours, but of all
        ([0.5, 0.5 - TIE, 0.5 - 2 * TIE, 0.5], 3),
        ([0.5, 0.5 - 2 * TIE, 0.4, 0.4], 0),
    ],
)
def test_of_equal_accuracies_the_last_one_is_the_best(accuracies, best, monkeypatch):
    solver = restless(monkeypatch, accuracies, num_epochs=3)
    solver.train()
    assert (solver.best_epoch, solver.best_val_acc) == (best, 0.5)


@pytest.mark.parametrize(
    ("losses", "best"), [([0.5, 0.5, 0.7, 0.7], 1), ([0.5, 0.5 + 1e-9, 0.7, 0.7], 0), ([0.5, 0.4, 0.3, 0.3 + 1e-9], 2)]
)
def test_losses_are_equal_if_they_are(losses, best, monkeypatch):
    solver = restless(monkeypatch, losses, written="loss", num_epochs=3, monitor="loss")
    solver.train()
    assert solver.best_epoch == best
    assert solver.best_val_acc == solver.val_acc_history[best]


def test_the_weights_that_a_further_training_begins_with_may_stay_the_best(monkeypatch):
    first = make(num_epochs=1)
    first.train()
    before = copies(first.net.params)
    solver = restless(monkeypatch, [0.9, 0.1, 0.1], net=first.net, state=first.state, num_epochs=3)
    solver.train()
    assert (solver.epoch, solver.best_epoch, solver.best_val_acc) == (3, 1, 0.9)
    assert_same(solver.net.params, before)


def test_best_val_acc_is_that_of_the_net():
    solver = make(num_epochs=6)
    solver.train()
    data = dataset()
    assert solver.check_accuracy(data["X_val"], data["y_val"]) == solver.best_val_acc


@pytest.mark.parametrize("no_gain", ["no validation set", "no accuracy beat zero"])
def test_the_last_weights_stay(no_gain, monkeypatch):
    data = dataset(60, 0)
    expected = make(data=data)
    expected.train()
    if no_gain == "no accuracy beat zero":
        data.update(X_val=np.zeros((1, 8)), y_val=[0])
        solver = restless(monkeypatch, [0.0] * 4, data=data)
    else:
        solver = make(data=data)
        assert solver.val_acc_history == []
    solver.train()
    assert solver.best_val_acc == 0
    assert solver.best_params == {}
    assert_same(solver.net.params, expected.net.params)


def test_the_best_weights_come_back_from_an_interruption(monkeypatch):
    solver = make(num_epochs=10)
    run = solver._run_epoch

    def interrupted(tuner):
        if solver.epoch == 3:
            for value in solver.net.params.values():
                value[...] = 7
            raise KeyboardInterrupt
        run(tuner)

    monkeypatch.setattr(solver, "_run_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        solver.train()
    assert_same(solver.net.params, solver.best_params)
    assert len(solver.val_acc_history) == 4


def test_check_accuracy():
    data = dataset(300, 0)
    X, y = data["X_train"], data["y_train"]
    solver = make(data=data)
    solver.train()
    right = solver.net.loss(X).argmax(1) == y
    assert 0.25 < right.mean() < 1
    for batch_size in (1, 7, 300, 1000):
        assert solver.check_accuracy(X, y, batch_size=batch_size) == right.mean()
    assert solver.check_accuracy(X, y, num_samples=300) == right.mean()
    assert solver.check_accuracy(X, y, num_samples=10_000) == right.mean()
    some = {solver.check_accuracy(X, y, num_samples=20) for _ in range(10)}
    assert len(some) > 1
    assert all(round(accuracy * 20, 9).is_integer() for accuracy in some)
    assert solver.check_accuracy(X.tolist(), y.tolist()) == right.mean()


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize(("number", "expected"), [(5, 5), (None, 40), (40, 40), (1000, 40)])
def test_numbers_of_samples_that_accuracies_are_taken_on(part, number, expected, monkeypatch):
    seen = []
    loss = FullyConnected.loss

    def watched(self, X, y=None):
        seen.append(len(np.unique(X, axis=0)))
        return loss(self, X, y)

    monkeypatch.setattr(FullyConnected, "loss", watched)
    solver = make(data=dataset(40, 40), **{f"num_{part}_samples": number})
    solver.train()
    # Training rows first, then validation rows.
    assert seen[0 if part == "train" else 1 :: 2] == [expected] * 4


def test_rows_val_and_its_weights():
    data = dataset(40, 40)
    rows = np.array([30, 2, 3, 8, 9])
    weight = np.arange(40.0)
    solver = make(data={**data, "rows_val": rows, "sample_weight_val": weight}, num_epochs=0)
    solver.train()
    right = solver.net.loss(data["X_val"][rows]).argmax(1) == data["y_val"][rows]
    assert solver.val_acc_history == [pytest.approx(right @ weight[rows] / weight[rows].sum())]


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("num_epochs", [1, 3])
def test_the_evaluation_after_training_is_that_of_the_weights_that_stay(validated, num_epochs):
    solver = make(data=dataset(60, 20 if validated else 0), num_epochs=num_epochs)
    solver.train()
    assert solver.evaluate_trained() == solver.evaluate_training_samples()
    assert np.isfinite(solver.evaluate_trained().loss)
