"""What a net has to offer to the solver: parameters and a loss, rows, a backprop of its own."""

import numpy as np
import pytest

from sklearn_dl.nets import FullyConnected
from sklearn_dl.nets.heads import SoftmaxHead

from ._solvers import Linear, assert_same, assert_same_training, make


class HeadOfMinibatches(SoftmaxHead):
    recordable = True
    fuses_linear = False


@pytest.mark.parametrize("source", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_net_that_takes_rows_learns_what_it_would_from_minibatches(source, weighted, monkeypatch):
    rng = np.random.RandomState(0)
    data = {"X_train": rng.randint(0, 9, (70, 2, 8, 8)).astype(source), "y_train": rng.randint(3, size=70)}
    if weighted:
        data["sample_weight_train"] = rng.rand(70) + 0.1
    nets = [FullyConnected([], 128, 3, dtype=np.float32, random_state=0) for _ in range(2)]
    assert nets[0].takes_rows
    nets[1].head = HeadOfMinibatches()
    assert not nets[1].takes_rows
    calls = []
    monkeypatch.setattr(nets[0], "_linear_backprop", spied(nets[0]._linear_backprop, calls))
    solvers = [make(net, data, optim_config={"learning_rate": 1e-3}) for net in nets]
    for solver in solvers:
        solver.train()
    assert len(calls) == len(solvers[0].loss_history)
    assert_same_training(*solvers)


def spied(function, calls):
    def call(*args):
        calls.append(args)
        return function(*args)

    return call


def test_a_net_with_a_backprop_of_its_own_gets_minibatches():
    class Own(FullyConnected):
        def backprop(self, X, y, sample_weight=None, total_weight=None):
            assert len(X) == len(y)
            return super().backprop(X, y, sample_weight, total_weight)

    rng = np.random.RandomState(0)
    data = {"X_train": rng.randn(70, 128), "y_train": rng.randint(3, size=70)}
    solvers = [make(cls([], 128, 3, random_state=0), data) for cls in (Own, FullyConnected)]
    for solver in solvers:
        solver.train()
    assert [solver.net.takes_rows for solver in solvers] == [False, True]
    assert_same_training(*solvers)


def test_any_net_with_params_and_loss(tmp_path):
    solver = make(Linear(), update_rule="adam", checkpoint=tmp_path / "duck")
    solver.train()
    assert solver.val_acc_history[-1] > 0.6 > solver.val_acc_history[0]
    other = make(Linear(), update_rule="adam")
    other.resume(tmp_path / "duck_epoch_1.npz")
    other.train()
    assert_same_training(other, solver)


@pytest.mark.parametrize("rule", ["sgd", "adam", "adamw", "lbfgs"])
def test_any_net_with_params_loss_and_backprop(rule):
    """Without a penalty, unless it has `reg` and `weight_names`."""

    class Backpropagating(Linear):
        def backprop(self, X, y):
            return self.loss(X, y)

    class Penalized(Backpropagating):
        reg, weight_names = 0.3, ["W"]

    options = {"update_rule": rule, "optim_config": None if rule == "lbfgs" else {"learning_rate": 0.1}}
    plain, through_loss, penalized = solvers = [make(cls(), **options) for cls in (Backpropagating, Linear, Penalized)]
    net = FullyConnected([], 8, 4, reg=0.3, dtype=np.float64)
    net.params["W1"][...] = 0
    solvers.append(make(net, **options))
    for solver in solvers:
        solver.train()
    np.testing.assert_allclose(plain.loss_history, through_loss.loss_history, rtol=1e-12)
    np.testing.assert_allclose(plain.net.params["W"], through_loss.net.params["W"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(penalized.loss_history, solvers[-1].loss_history, rtol=1e-12)
    np.testing.assert_allclose(penalized.net.params["W"], net.params["W1"], rtol=1e-9, atol=1e-12)
    assert np.abs(net.params["W1"]).sum() < np.abs(plain.net.params["W"]).sum()


def test_a_net_without_backprop_computes_its_own_penalty():
    class Penalized(Linear):
        reg = 1e6

    nets = Linear(), Penalized()
    for net in nets:
        make(net).train()
    assert_same(nets[1].params, nets[0].params)
