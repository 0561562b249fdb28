"""Training: updates, learning rates, random numbers, going on."""

import pickle
import threading

import numpy as np
import pytest

from sklearn_dl import optim
from sklearn_dl.nets import FullyConnected, ThreeLayerConv
from sklearn_dl.solver import Watcher

from ._solvers import RULES, assert_same, assert_same_training, copies, dataset, make


@pytest.mark.parametrize("rule", RULES)
def test_overfits_fifty_samples(rule, dtype):
    rng = np.random.RandomState(0)
    data = {"X_train": rng.randn(50, 20), "y_train": rng.randint(10, size=50)}
    net = FullyConnected([100], 20, 10, weight_scale="he", dtype=dtype, random_state=0)
    rates = {"sgd": 0.3, "sgd_momentum": 0.05, "nesterov": 0.05, "adagrad": 0.05, "rmsprop": 5e-3}
    solver = make(
        net,
        data,
        update_rule=rule,
        optim_config={"learning_rate": rates.get(rule, 1e-2)},
        batch_size=25,
        num_epochs=40,
    )
    solver.train()
    assert solver.train_acc_history[0] < 0.5
    assert solver.train_acc_history[-1] == 1
    assert solver.loss_history[-1] < 0.2 < solver.loss_history[0]


def test_overfits_images(dtype):
    rng = np.random.RandomState(0)
    data = {"X_train": rng.randn(50, 1, 8, 8), "y_train": rng.randint(10, size=50)}
    options = {"num_filters": 8, "filter_size": 3, "weight_scale": "he", "random_state": 0}
    net = ThreeLayerConv((1, 8, 8), normalization="batchnorm", dtype=dtype, **options)
    rule = {"update_rule": "adam", "optim_config": {"learning_rate": 3e-3}}
    solver = make(net, data, batch_size=25, num_epochs=30, **rule)
    solver.train()
    assert solver.train_acc_history[-1] == 1


@pytest.mark.parametrize("rule", RULES)
def test_a_step_is_the_update_rule(rule):
    constants = {
        "sgd_momentum": {"momentum": 0.7},
        "nesterov": {"momentum": 0.7},
        "rmsprop": {"decay_rate": 0.8},
        "adam": {"beta1": 0.8, "beta2": 0.9},
        "adamw": {"beta1": 0.8, "beta2": 0.9},
    }
    config = {"learning_rate": 0.02, **constants.get(rule, {})}
    net = FullyConnected([5], 8, 4, weight_scale="he", reg=0.3, dtype=np.float64, random_state=0)
    penalty, decay = (0.0, 0.3) if rule == "adamw" else (0.3, 0.0)
    data = dataset(16, 0)
    weights, losses = copies(net.params), []
    configs = {name: dict(config) for name in weights}
    reference = FullyConnected([5], 8, 4, reg=penalty, dtype=np.float64)
    for _ in range(4):
        reference.params.update(weights)
        loss, grads = reference.loss(data["X_train"], data["y_train"])
        losses.append(loss)
        for name, grad in grads.items():
            reg = decay if name in net.weight_names else 0.0
            weights[name], _ = getattr(optim, rule)(weights[name], grad, configs[name], reg=reg)
    solver = make(net, data, update_rule=rule, optim_config=config, num_epochs=4)
    assert solver.train() is None
    np.testing.assert_allclose(solver.loss_history, losses, rtol=1e-12)
    for name, value in weights.items():
        np.testing.assert_allclose(net.params[name], value, rtol=1e-9, atol=1e-12)


def test_the_net_trains_in_place():
    net = FullyConnected([16], 8, 4, random_state=0)
    held = dict(net.params)
    make(net).train()
    assert all(net.params[name] is held[name] for name in held)


@pytest.mark.parametrize("optim_config", [None, {}])
def test_default_learning_rate(optim_config):
    solver = make(optim_config=optim_config)
    solver.train()
    other = make(optim_config={"learning_rate": 1e-2})
    other.train()
    assert_same_training(solver, other)


def test_settings_of_the_caller_are_left_alone():
    config, data = {"learning_rate": 0.1}, dataset()
    before = copies(data)
    for value in data.values():
        value.setflags(write=False)
    make(data=data, update_rule="adam", optim_config=config).train()
    assert config == {"learning_rate": 0.1}
    assert_same(data, before)


def test_learning_rate_decays_after_each_epoch(monkeypatch):
    rates = []
    sgd = optim.in_place["sgd"]

    def watched(w, dw, config, reg):
        rates.append(config["learning_rate"])
        return sgd(w, dw, config, reg)

    solver = make(lr_decay=0.5, num_epochs=3)
    monkeypatch.setitem(optim.in_place, "sgd", watched)
    solver.train()
    per_epoch = 4 * len(solver.net.params)
    expected = np.repeat([0.1, 0.05, 0.025], per_epoch)
    np.testing.assert_allclose(rates, expected)


def test_train_goes_on():
    whole, parts = make(num_epochs=4, data=dataset(60, 0)), make(num_epochs=2, data=dataset(60, 0))
    whole.train()
    parts.train()
    parts.train()
    assert parts.epoch == 2
    parts.num_epochs = 4
    parts.train()
    assert_same_training(parts, whole)


@pytest.mark.parametrize(
    "net",
    [
        lambda: FullyConnected([16], 8, 4, dropout_keep_ratio=0.5, random_state=1),
        lambda: FullyConnected([16], 8, 4, normalization="batchnorm", random_state=1),
    ],
)
def test_same_seed_same_bits(net):
    solvers = [make(net(), random_state=seed) for seed in (5, 5, 6)]
    for solver in solvers:
        solver.train()
    assert_same_training(*solvers[:2])
    assert solvers[2].loss_history != solvers[0].loss_history


def test_random_state_none_is_the_global_generator():
    losses = []
    for _ in range(2):
        np.random.seed(3)
        solver = make(random_state=None)
        solver.train()
        losses.append(solver.loss_history)
    assert losses[0] == losses[1]


class TrainsAgain(Watcher):
    """Calls `train` while it is under way, in its own thread and in another one, of another solver, and on a copy."""

    def __init__(self, data):
        self.data, self.errors = data, []

    def on_train_begin(self, solver):
        self.train(solver)
        self.in_thread(solver)
        self.train(make(solver.net, self.data, num_epochs=1))
        copied = pickle.loads(pickle.dumps(solver))
        copied.watchers = ()
        copied.train()

    def train(self, solver):
        try:
            solver.train()
        except RuntimeError as error:
            self.errors.append(str(error))

    def in_thread(self, solver):
        thread = threading.Thread(target=self.train, args=(solver,))
        thread.start()
        thread.join()


def test_a_net_is_trained_by_one_call_at_a_time():
    net = FullyConnected([5], 4, 3, random_state=0)
    rng = np.random.RandomState(0)
    data = {"X_train": rng.randn(30, 4), "y_train": rng.randint(3, size=30)}
    watcher = TrainsAgain(data)
    solver = make(net, data, num_epochs=2, watchers=[watcher])
    solver.train()
    assert len(watcher.errors) == 3
    assert all(error.startswith("this FullyConnected is being trained already") for error in watcher.errors)
    solver.num_epochs = 3
    del watcher.errors[:]
    solver.watchers = ()
    solver.train()
    assert solver.epoch == 3
