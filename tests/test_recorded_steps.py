"""Recorded updates leave the bits of the step-by-step run: weights, statistics, histories, generators."""

import copy
import pickle
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet, _ext, optim
from sklearn_dl.nets import FullyConnected, ThreeLayerConv
from sklearn_dl.nets.layers import Affine, BatchNorm, Dropout, ReLU
from sklearn_dl.solver import Solver, Watcher
from sklearn_dl.training import _program
from sklearn_dl.training.samples import permutation

from ._recorded import BATCH, NETS, ROWS, assert_same, dense, images, outcome, solver_of, trained


@pytest.fixture
def replays(monkeypatch):
    """Collect the number of updates of each replay."""
    counts = []
    end_replay = _program.RecordedSteps.end_replay

    def counted(self, rates, finite):
        counts.append(len(rates))
        end_replay(self, rates, finite)

    monkeypatch.setattr(_program.RecordedSteps, "end_replay", counted)
    return counts


def both_ways(monkeypatch, replays, train):
    """Return what `train` returns, recorded and step by step."""
    recorded = train()
    assert sum(replays) > 0
    del replays[:]
    monkeypatch.setattr(_program, "enabled", False)
    stepwise = train()
    assert not replays
    return recorded, stepwise


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("net", NETS)
def test_nets(net, weighted, monkeypatch, replays):
    def train():
        np.random.seed(0)
        return trained(NETS[net], weighted=weighted, update_rule="adam"), np.random.mtrand._rand

    assert_same(*both_ways(monkeypatch, replays, train))


@pytest.mark.parametrize("X_dtype", [np.uint8, np.int32, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("rule", ["sgd", "sgd_momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("net", ["linear", "deep"])
def test_rules(net, rule, X_dtype, monkeypatch, replays):
    rate = 1e-5 if X_dtype == np.uint8 else 1e-2
    options = {"update_rule": rule, "X_dtype": X_dtype, "optim_config": {"learning_rate": rate}}
    assert_same(*both_ways(monkeypatch, replays, lambda: trained(NETS[net], **options)))


SETTINGS = {
    "iterations": {"num_iters": 13},
    "unshuffled": {"shuffle": False},
    "decay": {"lr_decay": 0.9},
    "cosine": {"lr_schedule": "cosine"},
    "one cycle": {"lr_schedule": "one_cycle", "num_iters": 12},
    "plateau": {"lr_schedule": "reduce_on_plateau", "validated": True, "num_epochs": 8},
    "stopped early": {"validated": True, "early_stopping": True, "tol": 0.5, "n_iter_no_change": 1, "num_epochs": 20},
    "tolerance": {"tol": 0.5, "n_iter_no_change": 1, "num_epochs": 20},
    "one row left": {"batch_size": 36},
    "whole minibatches": {"rows": 32},
    "one minibatch": {"batch_size": 100},
    "clipping": {"clip_norm": 0.5},
    "clipping and momentum": {"clip_norm": 0.1, "update_rule": "nesterov"},
    "decay beside the loss": {"update_rule": "adamw", "clip_norm": 1.0, "weighted": True},
    "inverse scaling": {"lr_schedule": "inverse_scaling"},
    "constants": {"update_rule": "rmsprop", "optim_config": {"decay_rate": 0.9, "epsilon": 1e-6}},
}


@pytest.mark.filterwarnings("ignore:The last minibatch of each epoch is a single sample")
@pytest.mark.parametrize("setting", SETTINGS)
def test_settings(setting, monkeypatch, replays):
    options = {"update_rule": "adam", **SETTINGS[setting]}
    assert_same(*both_ways(monkeypatch, replays, lambda: trained(NETS["batchnorm"], **options)))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("net", ["FullyConnected", "ThreeLayerConv"])
@pytest.mark.parametrize("activation", ["relu", "silu", "tanh"])
def test_threads(net, activation, threads, monkeypatch, replays):
    def make():
        options = {"activation": activation, "weight_scale": "he", "random_state": 0}
        if net == "ThreeLayerConv":
            return ThreeLayerConv((2, 6, 6), 32, 5, 200, 4, **options)
        return FullyConnected([300, 200], 72, 4, **options)

    options = {"update_rule": "adam", "batch_size": 256, "rows": 1000, "num_epochs": 2}
    with threadpool_limits(threads, user_api="openmp"):
        recorded, stepwise = both_ways(monkeypatch, replays, lambda: trained(make, **options))
    assert_same(recorded, stepwise)


def test_printed_lines(monkeypatch, replays, capsys):
    def train():
        trained(NETS["deep"], verbose=True, print_every=3)
        return capsys.readouterr().out

    recorded, stepwise = both_ways(monkeypatch, replays, train)
    assert recorded == stepwise
    assert "(Iteration 13 / 15) loss:" in recorded


@pytest.mark.parametrize(
    "net",
    [
        Softmax(num_iters=50),
        TwoLayerNet(hidden_dim=9, weight_scale=0.1, num_iters=50),
        FullyConnectedNet(hidden_dims=(9, 8), normalization="batchnorm", dropout_keep_ratio=0.5, num_epochs=4),
        FullyConnectedNet(hidden_dims=(9,), normalization="layernorm", num_epochs=4, early_stopping=True),
        TwoLayerNet(hidden_dim=9, activation="gelu", num_epochs=4),
        ThreeLayerConvNet(num_filters=4, filter_size=3, hidden_dim=7, normalization="batchnorm", num_epochs=4),
    ],
    ids=lambda net: type(net).__name__,
)
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_estimators(net, weighted, monkeypatch, replays):
    X, y = images()
    weight = np.random.RandomState(5).rand(ROWS) if weighted else None

    def train():
        fitted = net.set_params(batch_size=BATCH, random_state=0, warm_start=False).fit(X, y, weight)
        results = [fitted.predict_proba(X), fitted.loss_curve_] if hasattr(fitted, "loss_curve_") else []
        fitted.set_params(warm_start=True).fit(X, y, weight)
        results.append(fitted.predict_proba(X))
        fitted.partial_fit(X[:20], y[:20])
        return [*results, fitted.predict_proba(X)]

    assert_same(*both_ways(monkeypatch, replays, train))


def test_resumed_training(monkeypatch, replays, tmp_path):
    def train():
        path = str(tmp_path / "run")
        whole = solver_of(NETS["dropout"](), update_rule="adam", checkpoint=path)
        whole.train()
        second = solver_of(NETS["dropout"](), update_rule="adam")
        second.resume(f"{path}_epoch_1.npz")
        second.train()
        assert_same(outcome(whole), outcome(second))
        return outcome(second)

    assert_same(*both_ways(monkeypatch, replays, train))


class Changes(Watcher):
    """Changes one thing after an epoch."""

    def __init__(self, change, epoch=1):
        self.change, self.epoch = change, epoch

    def on_epoch_end(self, solver):
        if solver.epoch == self.epoch:
            self.change(solver)


def _assign(solver):
    solver.net.params["W1"] = 2 * solver.net.params["W1"]


def _write(solver):
    solver.net.params["W1"][...] *= 2


def _double_scores(solver):
    layer = solver.net._steps[-1]
    forward = layer.forward
    layer.forward = lambda *args, **kwargs: 2 * forward(*args, **kwargs)


def _double_loss(solver):
    def doubled(*args, **kwargs):
        loss, grads = backprop(*args, **kwargs)
        return 2 * loss, grads

    backprop = solver.net.backprop
    solver.net.backprop = doubled


CHANGES = {
    "rule": lambda solver: setattr(solver, "update_rule", "sgd"),
    "forward": _double_scores,
    "backprop": _double_loss,
    "labels": lambda solver: solver.train_samples.y.__setitem__(slice(None), 0),
    "other labels": lambda solver: setattr(solver.train_samples, "y", np.zeros(ROWS, np.int64)),
    "assigned parameter": _assign,
    "written parameter": _write,
    "reg": lambda solver: setattr(solver.net, "reg", 0.5),
    "constant": lambda solver: solver.optim_configs["W1"].update(beta1=0.5),
    "state": lambda solver: solver.optim_configs["W1"].update(m=np.ones_like(solver.net.params["W1"])),
    "count": lambda solver: solver.optim_configs["W1"].update(t=1),
    "learning rate": lambda solver: solver.optim_config.update(learning_rate=0.5),
    "keep ratio": lambda solver: setattr(solver.net.layers[2], "keep_ratio", 0.9),
    "minibatch": lambda solver: setattr(solver, "batch_size", 5),
    "statistics": lambda solver: solver.net.layers[1].statistics.update(running_mean1=np.ones(10, np.float32)),
}


@pytest.mark.parametrize("epoch", [1, 2], ids=["after recording", "after replays"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_a_watcher_changes_counts(change, epoch, monkeypatch, replays):
    if change == "statistics":
        make = dense(Affine(10), BatchNorm(), ReLU())
    else:
        make = dense(Affine(10), ReLU(), Dropout(0.5), Affine(8), ReLU())
    changed, stepwise = both_ways(
        monkeypatch, replays, lambda: trained(make, update_rule="adam", watchers=[Changes(CHANGES[change], epoch)])
    )
    assert_same(changed, stepwise)
    unchanged = trained(make, update_rule="adam")
    with pytest.raises(AssertionError):
        assert_same(changed, unchanged)


@pytest.mark.skipif(not hasattr(np.random, "set_bit_generator"), reason="names of this NumPy")
def test_exchanged_global_generator(monkeypatch, replays):
    make = dense(Affine(10), ReLU(), Dropout(0.5), random_state=None)
    before = np.random.get_bit_generator()

    def train():
        np.random.set_bit_generator(np.random.MT19937(3))
        watchers = [Changes(lambda solver: np.random.set_bit_generator(np.random.PCG64(7)))]
        return trained(make, watchers=watchers)

    try:
        assert_same(*both_ways(monkeypatch, replays, train))
    finally:
        np.random.set_bit_generator(before)


# What a watcher writes into the arrays of the data, which steps take for indices.
WRONG = {
    "label": (ValueError, lambda solver: solver.train_samples.y.__setitem__(slice(None), 10**6)),
    "negative label": (ValueError, lambda solver: solver.train_samples.y.__setitem__(slice(None), -(10**6))),
    "one class more": (ValueError, lambda solver: solver.train_samples.y.__setitem__(-1, solver.net.num_classes)),
    "row": (IndexError, lambda solver: solver.train_samples.rows.__setitem__(slice(None), 10**9)),
    "negative row": (IndexError, lambda solver: solver.train_samples.rows.__setitem__(-1, -1)),
    "one row more": (IndexError, lambda solver: solver.train_samples.rows.__setitem__(-1, ROWS)),
}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("change", WRONG)
@pytest.mark.parametrize("net", ["linear", "deep", "many classes"])
def test_indices_that_became_wrong_are_an_error(net, change, weighted, monkeypatch, replays):
    kind, write = WRONG[change]

    def train():
        with pytest.raises(kind, match=r"must (be|hold)"):
            trained(NETS[net], weighted=weighted, shuffle=False, watchers=[Changes(write)])

    both_ways(monkeypatch, replays, train)


def test_labels_in_the_array_of_the_rows(monkeypatch, replays):
    X, y = images()

    def train():
        data = {"X_train": X.reshape(ROWS, -1), "y_train": y, "rows_train": y}
        solver = Solver(NETS["deep"](), data, batch_size=BATCH, num_epochs=2, shuffle=False, verbose=False)
        solver.train()
        return outcome(solver)

    assert_same(*both_ways(monkeypatch, replays, train))


def test_a_penalty_too_weak_for_half_of_it(monkeypatch, replays):
    """Half of the smallest number is zero, which times the nan of an overflowed state is nan all the same."""

    def train():
        net = dense(Affine(10), ReLU(), reg=5e-324)()
        net.params["W1"][...] = 1e30
        solver = solver_of(net, update_rule="adam")
        with pytest.raises(ValueError, match="became nan or infinite") as error:
            solver.train()
        return outcome(solver), str(error.value)

    assert_same(*both_ways(monkeypatch, replays, train))


class Copies(Watcher):
    """Copies the solver after the first epoch."""

    def __init__(self, copied):
        self.copied, self.copies = copied, []

    def on_epoch_end(self, solver):
        if solver.epoch == 1:
            self.copies.append(self.copied(solver))


def pickled(solver):
    return pickle.loads(pickle.dumps(solver))


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_copies_of_a_solver_that_trains(copied):
    watcher = Copies(copied)
    solver = solver_of(NETS["dropout"](), validated=True, watchers=[watcher])
    solver.train()
    solver.evaluate_training_samples()
    (first,), last = watcher.copies, copied(solver)
    assert last.evaluate_training_samples() == solver.evaluate_training_samples()
    assert first.epoch == 1
    first.train()
    assert_same(outcome(first), outcome(solver))


@pytest.mark.parametrize("watchers", [[], [Changes(lambda solver: solver.optim_config.update(learning_rate=1e30))]])
def test_diverging_loss(watchers, monkeypatch, replays):
    """The update of the first loss that is not finite is not made."""

    def train():
        rate = 1e-3 if watchers else 1e30
        solver = solver_of(NETS["deep"](), watchers=watchers, optim_config={"learning_rate": rate})
        with pytest.raises(ValueError, match="The loss became ") as error:
            solver.train()
        return outcome(solver), str(error.value)

    recorded, stepwise = both_ways(monkeypatch, replays, train)
    assert_same(recorded, stepwise)
    losses = recorded[0]["loss_history"]
    assert not np.isfinite(losses[-1])
    assert np.isfinite(losses[:-1]).all()


class Counts(Watcher):
    each_update = False

    def on_train_begin(self, solver):
        self.seen = []

    def on_update(self, solver):
        self.seen.append(solver.num_updates)


def test_a_watcher_may_look_less_often(replays):
    watcher = Counts()
    trained(NETS["deep"], watchers=[watcher], num_epochs=4)
    assert sum(replays) == 20 - 2  # all but the recorded ones, of 8 rows and of 5
    assert watcher.seen[-1] == 20
    assert watcher.seen == sorted(set(watcher.seen))


class EachUpdate(Watcher):
    def on_update(self, solver):
        pass


class Twice(Affine):
    """A layer of the user's own: arithmetic that no kernel does."""

    def forward(self, x, params, work, *, train, sample_weight):
        return super().forward(x, params, work, train=train, sample_weight=sample_weight) * np.float32(2)


class OwnNet(FullyConnected):
    def backprop(self, *args, **kwargs):
        return super().backprop(*args, **kwargs)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (NETS["deep"], {"watchers": [EachUpdate()]}),
        (NETS["conv"], {"augmentation": "flip"}),
        (dense(Twice(5), ReLU()), {}),
        (lambda: OwnNet([9], 72, 4, random_state=0), {}),
    ],
    ids=["watcher", "augmentation", "layer", "net"],
)
def test_what_is_python_runs_step_by_step(make, options, replays):
    trained(make, **options)
    assert not replays


def test_a_step_of_a_rule_in_the_place_of_the_librarys_is_called(monkeypatch, replays):
    calls, step = [], optim.in_place["adam"]

    def own(*args):
        calls.append(args)
        return step(*args)

    monkeypatch.setitem(optim.in_place, "adam", own)
    stored = trained(NETS["deep"], update_rule="adam")
    assert not replays
    assert len(calls) == len(stored["loss_history"]) * len(stored["params"])


class RandomState(np.random.RandomState):
    pass


def test_draws_of_another_generator_run_step_by_step(monkeypatch, replays):
    def train():
        return trained(dense(Affine(10), ReLU(), Dropout(0.5), random_state=RandomState(0)))

    result = train()
    assert not replays
    monkeypatch.setattr(_program, "enabled", False)
    assert_same(result, train())


def test_what_runs_is_recorded():
    net = NETS["dropout"]()
    solver = solver_of(net, update_rule="adam", weighted=True)
    program = _ext.Program()
    solver._step(np.arange(BATCH), program)
    forward = ["gather_rows", "gather_items", "gather_items", "affine_forward", "draw_mask", "scale_by_mask"]
    assert program.names[:6] == forward
    assert program.names[-6:] == ["adam"] * 6


def test_a_recording_is_of_its_thread_and_alone():
    with _ext.Program(), pytest.raises(RuntimeError, match="a recording is under way"), _ext.Program():
        pass
    program = _ext.Program()
    with program:
        pass
    assert program.names == []


def test_a_step_that_asks_whether_numbers_are_finite_is_not_recorded():
    program = _ext.Program()
    with program:
        _ext.all_finite(np.ones(3), 1)
    assert program.spoiled


def test_runs_that_share_generators_do_not_wait_for_each_other():
    generators = [np.random.MT19937(0), np.random.MT19937(1)]

    def program_of(generators):
        program, rows, scores = _ext.Program(), np.zeros(2, np.intp), np.zeros((2, 3))
        with program:
            for generator in generators:
                _ext.draw_mask(generator, 0.5, np.zeros(5, bool))
            _ext.gather_items(np.zeros(2, np.int64), rows, np.zeros(2, np.int64))
            _ext.softmax_loss(scores, np.zeros(2, np.int64), None, None)
        program.finish(rows)
        return program

    def run(program):
        for _ in range(3000):
            program.run(np.zeros(2, np.intp), np.zeros((1, 1)))

    programs = [program_of(generators), program_of(generators[::-1])]
    threads = [threading.Thread(target=run, args=(program,), daemon=True) for program in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 64, 65, 1000, 70000])
def test_permutations_are_those_of_numpy(n):
    rows = np.arange(n)[::-1].copy()
    ours, theirs = np.random.RandomState(n), np.random.RandomState(n)
    np.testing.assert_array_equal(permutation(rows, ours), theirs.permutation(rows))
    assert_same(ours, theirs)
    np.testing.assert_array_equal(rows, np.arange(n)[::-1])
    np.testing.assert_array_equal(permutation(rows, RandomState(n)), RandomState(n).permutation(rows))
