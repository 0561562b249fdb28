"""What the tests of the solver share: a small data set, solvers for it, and how trainings are compared."""

import numpy as np

from sklearn_dl.nets import FullyConnected
from sklearn_dl.solver import Solver

RULES = ("sgd", "sgd_momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")


def dataset(n_train=60, n_val=20, seed=0):
    """Four classes, each with a feature that is larger than the others."""
    rng = np.random.RandomState(seed)
    n = n_train + n_val
    y = rng.randint(4, size=n)
    X = rng.randn(n, 8)
    X[np.arange(n), y] += 2
    data = {"X_train": X[:n_train], "y_train": y[:n_train]}
    if n_val:
        data.update(X_val=X[n_train:], y_val=y[n_train:])
    return data


def make(net=None, data=None, **options):
    net = FullyConnected([16], 8, 4, weight_scale="he", random_state=0) if net is None else net
    data = dataset() if data is None else data
    settings = {
        "optim_config": {"learning_rate": 0.1},
        "batch_size": 16,
        "num_epochs": 3,
        "verbose": False,
        "random_state": 0,
    }
    return Solver(net, data, **{**settings, **options})


def copies(arrays):
    return {name: value.copy() for name, value in arrays.items()}


def assert_same(actual, desired):
    assert actual.keys() == desired.keys()
    for name, value in desired.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


HISTORIES = ("loss_history", "train_acc_history", "val_acc_history")


def assert_same_training(solver, other):
    for name in (*HISTORIES, "best_val_acc", "epoch"):
        assert getattr(solver, name) == getattr(other, name), name
    assert_same(*({**s.history, "seconds": len(s.history["seconds"])} for s in (solver, other)))
    assert_same(solver.net.params, other.net.params)
    assert_same(getattr(solver.net, "statistics", {}), getattr(other.net, "statistics", {}))
    assert_same(solver.best_params, other.best_params)


class Linear:
    """The least a net can be: params and loss."""

    def __init__(self, n_features=8, n_classes=4):
        self.params = {"W": np.zeros((n_features, n_classes)), "b": np.zeros(n_classes)}
        self.net = FullyConnected([], n_features, n_classes, dtype=np.float64)

    def loss(self, X, y=None):
        assert X.dtype == np.float64
        self.net.params.update(W1=self.params["W"], b1=self.params["b"])
        if y is None:
            return self.net.loss(X)
        loss, grads = self.net.loss(X, y)
        return loss, {"W": grads["W1"], "b": grads["b1"]}


def restless(monkeypatch, accuracies, *, written="score", **options):
    """Return a solver to whose validation accuracies, or other fields of an `Evaluation`, these values were written."""
    solver = make(**options)
    evaluate = solver._evaluate
    values = iter(accuracies)

    def scripted(samples, *args, **kwargs):
        evaluation = evaluate(samples, *args, **kwargs)
        return evaluation._replace(**{written: next(values)}) if samples is solver._val else evaluation

    monkeypatch.setattr(solver, "_evaluate", scripted)
    return solver
