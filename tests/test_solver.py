"""The solver: epochs, minibatches, histories, best weights, checkpoints, stops."""

import gc
import itertools
import tracemalloc

import numpy as np
import pytest

from sklearn_dl import optim
from sklearn_dl.nets import FullyConnected, ThreeLayerConv
from sklearn_dl.persistence import write_archive
from sklearn_dl.solver import Solver, Watcher

RULES = ("sgd", "sgd_momentum", "adagrad", "rmsprop", "adam")


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


@pytest.fixture
def spy(monkeypatch):
    """Record the first feature of the rows of each minibatch that backprop sees."""
    seen = []
    backprop = FullyConnected.backprop

    def watched(self, X, y, *args, **kwargs):
        seen.append(X[:, 0].astype(int).tolist())
        return backprop(self, X, y, *args, **kwargs)

    monkeypatch.setattr(FullyConnected, "backprop", watched)
    return seen


def numbered(n=50, **options):
    """Return a solver whose samples carry their number."""
    X = np.zeros((n, 8))
    X[:, 0] = np.arange(n)
    data = {"X_train": X, "y_train": np.arange(n) % 4, **options.pop("data", {})}
    return make(data=data, optim_config={"learning_rate": 1e-6}, **options)


@pytest.mark.parametrize("source", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_net_that_takes_rows_learns_what_it_would_from_minibatches(source, weighted, monkeypatch):
    rng = np.random.RandomState(0)
    data = {"X_train": rng.randint(0, 9, (70, 2, 8, 8)).astype(source), "y_train": rng.randint(3, size=70)}
    if weighted:
        data["sample_weight_train"] = rng.rand(70) + 0.1
    nets = [FullyConnected([], 128, 3, dtype=np.float32, random_state=0) for _ in range(2)]
    assert nets[0].takes_rows
    nets[1].takes_rows = False
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


# ------------------------------------------------------------------- training


@pytest.mark.parametrize("rule", RULES)
def test_overfits_fifty_samples(rule, dtype):
    rng = np.random.RandomState(0)
    data = {"X_train": rng.randn(50, 20), "y_train": rng.randint(10, size=50)}
    net = FullyConnected([100], 20, 10, weight_scale="he", dtype=dtype, random_state=0)
    rates = {"sgd": 0.3, "sgd_momentum": 0.05, "adagrad": 0.05, "rmsprop": 5e-3, "adam": 1e-2}
    solver = make(
        net,
        data,
        update_rule=rule,
        optim_config={"learning_rate": rates[rule]},
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
        "rmsprop": {"decay_rate": 0.8},
        "adam": {"beta1": 0.8, "beta2": 0.9},
    }
    config = {"learning_rate": 0.02, **constants.get(rule, {})}
    net = FullyConnected([5], 8, 4, weight_scale="he", reg=0.3, dtype=np.float64, random_state=0)
    data = dataset(16, 0)
    weights, losses = copies(net.params), []
    configs = {name: dict(config) for name in weights}
    reference = FullyConnected([5], 8, 4, reg=0.3, dtype=np.float64)
    for _ in range(4):
        reference.params.update(weights)
        loss, grads = reference.loss(data["X_train"], data["y_train"])
        losses.append(loss)
        for name, grad in grads.items():
            weights[name], _ = getattr(optim, rule)(weights[name], grad, configs[name])
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


# --------------------------------------------------------- epochs, minibatches


def test_each_epoch_visits_each_sample_once_in_a_fresh_order(spy):
    solver = numbered(50, batch_size=16, num_epochs=3)
    solver.train()
    assert [len(rows) for rows in spy] == [16, 16, 16, 2] * 3
    epochs = [list(itertools.chain(*spy[i : i + 4])) for i in (0, 4, 8)]
    for rows in epochs:
        assert sorted(rows) == list(range(50))
    assert len({tuple(rows) for rows in epochs}) == 3


def test_without_shuffle_samples_keep_their_order(spy):
    numbered(50, batch_size=20, num_epochs=2, shuffle=False).train()
    assert list(itertools.chain(*spy)) == [*range(50)] * 2


@pytest.mark.parametrize("batch_size", [50, 1000])
def test_an_epoch_of_one_minibatch(batch_size, spy):
    numbered(50, batch_size=batch_size, num_epochs=2).train()
    assert spy == [list(range(50))] * 2


@pytest.mark.parametrize("rows", [[3, 9, 4, 40, 7], np.array([3, 9, 4, 40, 7], np.uint8)])
def test_only_rows_train(rows, spy):
    solver = numbered(50, batch_size=2, num_epochs=2, data={"rows_train": rows})
    solver.train()
    assert [len(batch) for batch in spy] == [2, 2, 1] * 2
    for epoch in (spy[:3], spy[3:]):
        assert sorted(itertools.chain(*epoch)) == [3, 4, 7, 9, 40]


@pytest.mark.parametrize(("num_iters", "epochs"), [(0, 0), (1, 1), (4, 1), (5, 2), (11, 3)])
def test_num_iters_is_exact(num_iters, epochs, spy):
    solver = numbered(50, batch_size=16, num_epochs=1, num_iters=num_iters)
    solver.train()
    assert len(spy) == len(solver.loss_history) == solver.num_updates == num_iters
    assert solver.epoch == epochs
    assert len(solver.train_acc_history) == epochs + 1


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


def test_train_goes_on():
    whole, parts = make(num_epochs=4, data=dataset(60, 0)), make(num_epochs=2, data=dataset(60, 0))
    whole.train()
    parts.train()
    parts.train()
    assert parts.epoch == 2
    parts.num_epochs = 4
    parts.train()
    assert_same_training(parts, whole)


# ------------------------------------------------------------ random numbers


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


# ---------------------------------------------------------------- best weights


def restless(monkeypatch, accuracies, **options):
    """Return a solver to whose validation accuracies these values were written."""
    solver = make(**options)
    evaluate = solver._evaluate
    values = iter(accuracies)

    def scripted(samples, *args, **kwargs):
        evaluation = evaluate(samples, *args, **kwargs)
        return evaluation._replace(accuracy=next(values)) if samples is solver._val else evaluation

    monkeypatch.setattr(solver, "_evaluate", scripted)
    return solver


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


# ------------------------------------------------------------------ accuracies


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


# --------------------------------------------------------------------- weights


def test_integer_weights_act_as_repetition_in_one_minibatch():
    data = dataset(12, 0)
    weight = np.array([1, 2, 0, 3] * 3)
    repeated = {name: np.repeat(value, weight, 0) for name, value in data.items()}
    nets = [FullyConnected([6], 8, 4, dtype=np.float64, random_state=0) for _ in range(2)]
    weighted = make(nets[0], {**data, "sample_weight_train": weight}, batch_size=100)
    plain = make(nets[1], repeated, batch_size=100)
    for solver in (weighted, plain):
        solver.train()
    np.testing.assert_allclose(weighted.loss_history, plain.loss_history, rtol=1e-12)
    np.testing.assert_allclose(weighted.train_acc_history, plain.train_acc_history)
    for name, value in nets[1].params.items():
        np.testing.assert_allclose(nets[0].params[name], value, rtol=1e-9, atol=1e-12)


def test_the_scale_of_the_weights_does_not_matter():
    weight = np.random.RandomState(0).rand(60)
    solvers = [make(data={**dataset(), "sample_weight_train": w}) for w in (weight, 1024 * weight)]
    for solver in solvers:
        solver.train()
    np.testing.assert_allclose(solvers[0].loss_history, solvers[1].loss_history, rtol=1e-5)


def test_minibatches_are_unbiased():
    """The steps of an epoch add up to that of the whole set, whatever batch a weight falls in."""
    data = dataset(40, 0)
    weight = np.random.RandomState(0).rand(40) * np.where(np.arange(40) < 20, 1, 10)
    options = {"optim_config": {"learning_rate": 1e-6}, "num_epochs": 1}
    nets = [FullyConnected([], 8, 4, dtype=np.float64, random_state=0) for _ in range(2)]
    start = copies(nets[0].params)
    data = {**data, "sample_weight_train": weight}
    make(nets[0], data, batch_size=8, **options).train()
    make(nets[1], data, batch_size=40, **options).train()
    for name, value in start.items():
        moved = [(net.params[name] - value) for net in nets]
        np.testing.assert_allclose(moved[0] / 5, moved[1], rtol=1e-3)


def test_samples_of_weight_zero_are_absent(spy):
    weight = np.zeros(50)
    weight[[3, 20, 30]] = 1
    data = {"sample_weight_train": weight, "X_val": np.zeros((9, 8)), "y_val": [0] * 9}
    data["sample_weight_val"] = [0] * 8 + [1]
    solver = numbered(50, data=data, batch_size=1, num_val_samples=1)
    solver.train()
    assert [sorted(itertools.chain(*spy[i : i + 3])) for i in (0, 3, 6)] == [[3, 20, 30]] * 3


# ---------------------------------------------------------------- duck typing


def test_any_net_with_params_and_loss(tmp_path):
    solver = make(Linear(), update_rule="adam", checkpoint=tmp_path / "duck")
    solver.train()
    assert solver.val_acc_history[-1] > 0.6 > solver.val_acc_history[0]
    other = make(Linear(), update_rule="adam")
    other.resume(tmp_path / "duck_epoch_1.npz")
    other.train()
    assert_same_training(other, solver)


def test_a_net_without_backprop_computes_its_own_penalty():
    class Penalized(Linear):
        reg = 1e6

    nets = Linear(), Penalized()
    for net in nets:
        make(net).train()
    assert_same(nets[1].params, nets[0].params)


# --------------------------------------------------------------- memory, dtypes


def peak_of(call):
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_bytes_are_converted_a_minibatch_at_a_time():
    X = np.random.RandomState(0).randint(256, size=(3000, 3, 16, 16)).astype(np.uint8)
    y = np.arange(3000) % 4
    net = FullyConnected([4], 768, 4, random_state=0)
    data = {"X_train": X, "y_train": y, "X_val": X, "y_val": y}

    def train():
        options = {"optim_config": {"learning_rate": 1e-6}, "num_train_samples": None}
        make(net, data, batch_size=50, num_epochs=2, **options).train()

    assert peak_of(train) < X.nbytes  # as float32 it would be four times that


@pytest.mark.parametrize("kind", ["memmap", "read-only", "fortran", "strided", "list"])
def test_storage_does_not_matter(kind, tmp_path):
    data = dataset()
    expected = make(data=data)
    expected.train()
    X = data["X_train"]
    if kind == "memmap":
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    elif kind == "read-only":
        X = X.copy()
        X.setflags(write=False)
    elif kind == "fortran":
        X = np.asfortranarray(X)
    elif kind == "strided":
        X = np.repeat(X, 2, axis=0)[::2]
    else:
        X = X.tolist()
    solver = make(data={**data, "X_train": X})
    solver.train()
    assert_same_training(solver, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float16, ">f4", bool])
def test_dtypes(dtype):
    data = dataset()
    for name in ("X_train", "X_val"):
        data[name] = np.abs(10 * data[name]).astype(dtype)
    exact = {**data, **{k: data[k].astype(np.float32) for k in ("X_train", "X_val")}}
    solver, expected = (make(data=d, optim_config={"learning_rate": 1e-3}) for d in (data, exact))
    for s in (solver, expected):
        s.train()
    assert_same_training(solver, expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_a_step_allocates_nothing(rule, weighted):
    rng = np.random.RandomState(0)
    data = {"X_train": rng.rand(256, 512), "y_train": rng.randint(4, size=256)}
    if weighted:
        data["sample_weight_train"] = rng.rand(256)
    net = FullyConnected([200], 512, 4, reg=0.1, normalization="batchnorm", random_state=0)
    solver = make(net, data, update_rule=rule, optim_config={"learning_rate": 1e-4})
    batches = np.arange(256).reshape(4, 64)

    def steps():
        for rows in batches:
            solver._step(rows)

    steps()
    # The smallest array of a step that has a row for each sample is 64 x 200 float32: 51 kB.
    assert peak_of(steps) < 12_000


# ----------------------------------------------------------------- checkpoints


@pytest.mark.parametrize(
    ("net_options", "options"),
    [({}, {"update_rule": rule}) for rule in RULES]
    + [
        ({"normalization": "batchnorm"}, {"lr_decay": 0.7, "num_val_samples": 11}),
        ({"dropout_keep_ratio": 0.5}, {"update_rule": "adam"}),
        ({"normalization": "layernorm", "reg": 0.1}, {"num_iters": 22}),
        ({"dtype": np.float64}, {"tol": 1e9, "n_iter_no_change": 3}),
        ({}, {"tol": 9.0, "early_stopping": True, "n_iter_no_change": 3, "batch_size": 1}),
    ],
)
@pytest.mark.parametrize("epoch", [1, 3])
def test_resumed_training_has_the_same_bits(net_options, options, epoch, tmp_path):
    def solver(**more):
        net = FullyConnected([16], 8, 4, weight_scale="he", random_state=1, **net_options)
        return make(net, num_epochs=6, **options, **more)

    whole = solver(checkpoint=tmp_path / "run")
    whole.train()
    last = whole.epoch
    assert epoch < last <= 6
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {f"run_epoch_{k}.npz" for k in range(1, last + 1)}
    resumed = solver()
    resumed.resume(tmp_path / f"run_epoch_{epoch}.npz")
    assert resumed.epoch == epoch
    resumed.train()
    assert_same_training(resumed, whole)


def test_resume_from_the_end_restores_the_best_weights(tmp_path, monkeypatch):
    def net():
        return FullyConnected([16], 8, 4, normalization="batchnorm", random_state=0)

    accuracies = [0.1, 0.9, 0.4, 0.3]
    whole = restless(monkeypatch, accuracies, net=net(), checkpoint=str(tmp_path / "run"))
    whole.train()
    resumed = make(net())
    resumed.resume(str(tmp_path / "run_epoch_3.npz"))
    resumed.train()
    assert_same_training(resumed, whole)


def checkpoint(path, **changes):
    """Write a checkpoint of a solver with these differences."""
    net = FullyConnected(changes.pop("hidden", [16]), 8, 4, dtype=changes.pop("dtype", "float32"))
    make(net, checkpoint=path / "c", num_epochs=1, **changes).train()
    return path / "c_epoch_1.npz"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": [16, 16]}, "another net.*W3"),
        ({"hidden": [17]}, r"another net.*\(8, 17\).*\(8, 16\)"),
        ({"dtype": "float64"}, "another net.*float64.*float32"),
        ({"update_rule": "adam"}, "update_rule 'adam', not 'sgd'"),
        ("tree", "no checkpoint of a Solver"),
        ("list", "no checkpoint of a Solver"),
        ("text", "not a file written by"),
    ],
)
def test_resume_refuses_what_does_not_fit(changes, message, tmp_path):
    path = tmp_path / "c_epoch_1.npz"
    if changes == "text":
        path.write_text("no archive")
    elif isinstance(changes, str):
        write_archive(path, {"params": {}} if changes == "tree" else [1, {}])
    else:
        checkpoint(tmp_path, **changes)
    solver = make()
    before = copies(solver.net.params)
    with pytest.raises(ValueError, match=message):
        solver.resume(path)
    assert_same(solver.net.params, before)
    assert (solver.epoch, solver.loss_history) == (0, [])
    with pytest.raises(FileNotFoundError):
        solver.resume(tmp_path / "nothing.npz")


# ----------------------------------------------------------------------- stops


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


# ------------------------------------------------------------------ divergence


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", ["sgd", "sgd_momentum"])
def test_divergence_is_an_error_that_names_the_learning_rate(rule, dtype):
    net = FullyConnected([16], 8, 4, weight_scale="he", dtype=dtype, random_state=0)
    solver = make(net, update_rule=rule, optim_config={"learning_rate": 1e30}, num_epochs=30)
    with pytest.raises(ValueError, match=r"learning_rate 1e\+30 is too large"):
        solver.train()


@pytest.mark.parametrize("normalization", [None, "batchnorm", "layernorm"])
def test_the_best_weights_survive_divergence(normalization):
    net = FullyConnected([16], 8, 4, normalization=normalization, reg=1e-3, random_state=0)
    solver = make(net, lr_decay=1e20, num_epochs=30, batch_size=4)
    with pytest.raises(ValueError, match=r"update \d+ \(epoch \d+\): learning_rate 0.1"):
        solver.train()
    assert all(np.isfinite(value).all() for value in net.params.values())
    assert all(np.isfinite(value).all() for value in net.statistics.values())
    assert_same(net.params, solver.best_params)
    data = dataset()
    assert solver.check_accuracy(data["X_val"], data["y_val"]) == solver.best_val_acc


def test_divergence_of_a_numpy_net_is_an_error_without_warnings():
    class NumPyLinear:
        def __init__(self):
            self.params = {"W": np.zeros((8, 4))}

        def loss(self, X, y=None):
            scores = X @ self.params["W"]
            if y is None:
                return scores
            error = scores - np.eye(4)[y]
            return (error**2).mean(), {"W": X.T @ error}

    with pytest.raises(ValueError, match=r"learning_rate 1e\+100 is too large"):
        make(NumPyLinear(), optim_config={"learning_rate": 1e100}).train()


def test_divergence_in_the_last_update_is_seen():
    # nan scores all mean class 0, which is right for these samples.
    data = {"X_train": np.ones((4, 8)), "y_train": [1] * 4, "X_val": np.ones((4, 8))}
    data["y_val"] = [0] * 4
    net = FullyConnected([], 8, 4, random_state=0)
    solver = make(net, data, optim_config={"learning_rate": 1e39}, num_epochs=1)
    with pytest.raises(ValueError, match="nan or infinite by update 1"):
        solver.train()
    assert len(solver.val_acc_history) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_in_the_data_is_an_error(value):
    data = dataset()
    data["X_train"][7, 3] = value
    with pytest.raises(ValueError, match="X holds nan or very large values"):
        make(data=data).train()


# ---------------------------------------------------------------------- output


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


# ------------------------------------------------------------------ bad inputs


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"update_rule": "adamw"}, ValueError, "update_rule must be.*'adam', got 'adamw'"),
        ({"update_rule": None}, ValueError, "update_rule must be.*got None"),
        ({"optim_config": [1]}, TypeError, r"optim_config must be a dict or None, got \[1\]"),
        ({"optim_config": {"beta1": 0.9}}, ValueError, r"\['beta1'\] is no constant.*'sgd'"),
        ({"optim_config": {"learning_rate": -1}}, ValueError, r"optim_config\['learning_rate'\] must be .*, got -1"),
        ({"optim_config": {"learning_rate": "a"}}, TypeError, r"optim_config\['learning_rate'\] must be .*'a'"),
        (
            {"update_rule": "sgd_momentum", "optim_config": {"momentum": 2}},
            ValueError,
            r"^optim_config\['momentum'\] must be in \[0, 1\], got 2",
        ),
        (
            {"update_rule": "adam", "optim_config": {"epsilon": 0}},
            ValueError,
            r"^optim_config\['epsilon'\] must be positive, got 0",
        ),
        ({"lr_decay": 0}, ValueError, "lr_decay == 0"),
        ({"lr_decay": np.inf}, ValueError, "lr_decay must be a finite.*inf"),
        ({"batch_size": 0}, ValueError, "batch_size == 0, must be >= 1"),
        ({"batch_size": 10.0}, TypeError, "batch_size must be an instance of"),
        ({"num_epochs": -1}, ValueError, "num_epochs == -1"),
        ({"num_iters": -1}, ValueError, "num_iters == -1"),
        ({"num_train_samples": 0}, ValueError, "num_train_samples == 0"),
        ({"num_val_samples": 1.5}, TypeError, "num_val_samples must be"),
        ({"checkpoint": 3}, TypeError, "str, bytes or os.PathLike"),
        ({"print_every": -1}, ValueError, "print_every == -1"),
        ({"shuffle": 1}, TypeError, "shuffle must be True or False, got 1"),
        ({"tol": -1}, ValueError, "tol == -1"),
        ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change == 0"),
        ({"early_stopping": "yes"}, TypeError, "early_stopping must be.*'yes'"),
        ({"random_state": "a"}, ValueError, "'a' cannot be used to seed"),
    ],
)
def test_bad_settings(options, error, message):
    with pytest.raises(error, match=message):
        make(**options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X_train": None}, "data must hold 'X_train'"),
        ({"y_train": None}, "data must hold 'y_train'"),
        ({"y_val": None}, "data must hold 'y_val'"),
        ({"X_train": np.zeros(60)}, r"data\['X_train'\] must be numbers.*\(60,\)"),
        ({"X_train": [["a"] * 8] * 60}, r"data\['X_train'\] must be numbers.*<U1"),
        ({"X_train": np.zeros((0, 8)), "y_train": []}, r"'X_train'\] must hold at least one"),
        ({"X_val": np.zeros((20, 0))}, r"'X_val'\] must hold at least one.*\(20, 0\)"),
        ({"y_train": np.zeros(59, int)}, r"data\['y_train'\] must be 60 integers.*\(59,\)"),
        ({"y_val": np.zeros(20)}, r"data\['y_val'\] must be 20 integers.*float64"),
        ({"sample_weight_train": [1.0]}, r"'sample_weight_train'\] must have shape.*\(1,\)"),
        ({"sample_weight_train": [-1.0] * 60}, "'sample_weight_train'.*not negative.*-1.0"),
        ({"sample_weight_val": [0] * 20}, r"'sample_weight_val'\].*not all zero"),
        ({"sample_weight_val": [np.nan] * 20}, r"'sample_weight_val'\] must be finite"),
        ({"rows_train": []}, r"data\['rows_train'\] must be a list of integers.*\(0,\)"),
        ({"rows_train": [0.5]}, r"data\['rows_train'\] must be a list of integers.*float"),
        ({"rows_train": [0, 60]}, r"data\['rows_train'\].*from 0 to 59, got 0 to 60"),
        ({"rows_val": [-1]}, r"data\['rows_val'\].*from 0 to 19, got -1 to -1"),
        (
            {"rows_train": [0], "sample_weight_train": [0] + [1] * 59},
            "'sample_weight_train'.*not all zero",
        ),
        ({"y_train": np.full(60, 4)}, r"data\['y_train'\] must.*from 0 to 3.*got 4 to 4"),
        ({"y_val": np.full(20, -1)}, r"data\['y_val'\] must.*from 0 to 3.*got -1 to -1"),
    ],
)
def test_bad_data(change, message):
    with pytest.raises(ValueError, match=message):
        make(data={**dataset(), **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X_train": np.zeros((60, 9))}, r"X must hold.*\(8,\).*\(60, 9\)"),
        ({"X_val": np.zeros((20, 4))}, r"X must hold.*\(8,\).*\(20, 4\)"),
    ],
)
def test_data_that_does_not_fit_the_net(change, message):
    solver = make(data={**dataset(), **change})
    with pytest.raises(ValueError, match=message):
        solver.train()


def test_bad_calls():
    with pytest.raises(TypeError, match="data must be a dict, got list"):
        make(data=[1])
    with pytest.raises(ValueError, match="early_stopping needs a validation set"):
        make(data=dataset(60, 0), early_stopping=True)
    with pytest.raises(ValueError, match=r"'sample_weight_train'.*needs a net with backprop"):
        make(Linear(), {**dataset(), "sample_weight_train": np.ones(60)})
    solver = make()
    with pytest.raises(ValueError, match=r"^y must be 2 integers, one for each row of X.*\(3,\)"):
        solver.check_accuracy(np.zeros((2, 8)), [0, 1, 2])
    with pytest.raises(ValueError, match=r"^X must be numbers.*\(8,\)"):
        solver.check_accuracy(np.zeros(8), [0])
    with pytest.raises(ValueError, match="batch_size == 0"):
        solver.check_accuracy(np.zeros((2, 8)), [0, 1], batch_size=0)
    with pytest.raises(ValueError, match="num_samples == 0"):
        solver.check_accuracy(np.zeros((2, 8)), [0, 1], num_samples=0)


# ------------------------------------------------------------------------------------- watchers


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
