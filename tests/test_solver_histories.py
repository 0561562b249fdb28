"""Histories, and what is printed of them."""

import numpy as np
import pytest

from sklearn_dl.nets import FullyConnected

from ._solvers import HISTORIES, dataset, make


def test_histories():
    solver = make(num_epochs=3)
    assert [getattr(solver, name) for name in HISTORIES] == [[], [], []]
    solver.train()
    assert [len(getattr(solver, name)) for name in HISTORIES] == [3 * 4, 4, 4]
    assert all(type(v) is float for name in HISTORIES for v in getattr(solver, name))
    assert solver.best_val_acc == max(solver.val_acc_history)
    assert solver.epoch == 3


def test_no_epochs():
    solver = make(num_epochs=0)
    solver.train()
    assert solver.loss_history == []
    assert len(solver.val_acc_history) == 1


def test_loss_history_holds_the_penalty():
    net = FullyConnected([16], 8, 4, reg=0.5, random_state=0)
    data = dataset()
    expected, _ = net.loss(data["X_train"], data["y_train"])
    assert net.penalty() > 0
    solver = make(net, data, batch_size=60, num_epochs=1)
    solver.train()
    assert solver.loss_history == pytest.approx([expected])


def test_verbose(capsys):
    solver = make(verbose=True, print_every=3, num_epochs=2)
    solver.train()
    losses = [f"(Iteration {i} / {len(solver.loss_history)}) loss: {solver.loss_history[i - 1]:f}" for i in (1, 4, 7)]
    accuracies = [
        f"(Epoch {i} / 2) train acc: {train:f}; val_acc: {val:f}"
        for i, (train, val) in enumerate(zip(solver.train_acc_history, solver.val_acc_history, strict=True))
    ]
    assert capsys.readouterr().out.splitlines() == [
        accuracies[0],
        losses[0],
        losses[1],
        accuracies[1],
        losses[2],
        accuracies[2],
    ]


def test_print_every_zero_prints_epochs_only(capsys):
    make(verbose=True, print_every=0, num_epochs=1, data=dataset(60, 0)).train()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["(Epoch 0 / 1) train acc", "(Epoch 1 / 1) train acc"]
    assert "val" not in "".join(lines)


def test_silent_without_verbose(capsys):
    make().train()
    assert capsys.readouterr().out == ""


def test_history():
    solver = make(optim_config={"learning_rate": 0.2}, lr_decay=0.5)
    solver.train()
    assert solver.history["epoch"] == [1, 2, 3]
    batches = np.reshape(solver.loss_history, (3, 4))
    np.testing.assert_allclose(solver.history["loss"], np.average(batches, axis=1, weights=[16, 16, 16, 12]))
    assert solver.history["train_accuracy"] == solver.train_acc_history[1:]
    assert solver.history["val_accuracy"] == solver.val_acc_history[1:]
    assert solver.history["learning_rate"] == [0.2, 0.1, 0.05]
    assert all(seconds > 0 for seconds in solver.history["seconds"])
    without = make(data=dataset(n_val=0))
    without.train()
    assert np.isnan(without.history["val_accuracy"]).tolist() == [True] * 3
