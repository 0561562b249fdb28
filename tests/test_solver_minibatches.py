"""Which samples are in a minibatch, how many minibatches there are, and what the samples weigh."""

import itertools

import numpy as np
import pytest

from sklearn_dl.nets import FullyConnected

from ._solvers import copies, dataset, make


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
