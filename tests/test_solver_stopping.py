"""When the solver stops by itself."""

import pytest

from ._solvers import make, restless


@pytest.mark.parametrize("n_iter_no_change", [1, 3])
def test_tol_stops_when_the_loss_stays(n_iter_no_change):
    options = {"tol": 1e-4, "n_iter_no_change": n_iter_no_change, "num_epochs": 50}
    still = make(optim_config={"learning_rate": 0}, batch_size=60, **options)
    still.train()
    # As in MLPClassifier: the first epoch sets the mark, and more than so many must not beat it.
    assert still.epoch == n_iter_no_change + 2
    moving = make(num_epochs=8, tol=0, n_iter_no_change=n_iter_no_change, batch_size=60)
    moving.train()
    assert moving.epoch == 8


def test_no_stop_without_tol_or_with_num_iters():
    still = make(optim_config={"learning_rate": 0}, num_epochs=30)
    still.train()
    assert still.epoch == 30
    exact = make(optim_config={"learning_rate": 0}, tol=1, n_iter_no_change=1, num_iters=44)
    exact.train()
    assert exact.num_updates == 44


@pytest.mark.parametrize("num_iters", [None, 1000])
def test_early_stopping_watches_the_validation_accuracy(num_iters, monkeypatch):
    accuracies = [0.9, 0.2, 0.5, 0.5, 0.505, 0.51, 0.7, 0.7, 0.7, 0.7, 0.7]
    options = {"tol": 0.01, "n_iter_no_change": 2, "num_epochs": 50, "num_iters": num_iters}
    # 60 updates in an epoch, so that the least number of updates to wait for does not count.
    solver = restless(monkeypatch, accuracies, early_stopping=True, batch_size=1, **options)
    solver.train()
    # Epochs 3, 4 and 5 do not beat 0.5 by more than 0.01.
    assert solver.val_acc_history == accuracies[:6]


@pytest.mark.parametrize(("batch_size", "n_iter_no_change", "epochs"), [(60, 3, 50), (60, 70, 70), (16, 3, 3)])
def test_early_stopping_waits_for_fifty_epochs_of_one_update(batch_size, n_iter_no_change, epochs, monkeypatch):
    options = {"tol": 0.0, "n_iter_no_change": n_iter_no_change, "num_epochs": 100}
    solver = restless(monkeypatch, [0.5] * 101, early_stopping=True, batch_size=batch_size, **options)
    solver.train()
    assert solver.epoch == epochs + 2
