"""Whole epochs in compiled code leave the bits of the step-by-step run, and do not keep others waiting."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from scipy import sparse

from sklearn_dl import FullyConnectedNet, Softmax, _ext, solver
from sklearn_dl.nets import FullyConnected
from sklearn_dl.nets.heads import HEADS
from sklearn_dl.nets.layers import Affine, BatchNorm, ReLU
from sklearn_dl.schedules import ReduceOnPlateau
from sklearn_dl.solver import Solver, Watcher
from sklearn_dl.training import _epochs, _program

from ._recorded import NETS, ROWS, assert_same, dense, images, outcome, solver_of, trained


@pytest.fixture
def made(monkeypatch):
    """Collect the number of whole epochs that each run made; an epoch may take long, as it does on a busy machine."""
    counts = []
    run = _epochs.RecordedEpochs.run

    def counted(self, *args):
        whole = run(self, *args)
        counts.append(len(whole.ended))
        return whole

    monkeypatch.setattr(_epochs.RecordedEpochs, "run", counted)
    monkeypatch.setattr(_epochs, "CHUNK", 60.0)
    monkeypatch.setattr(solver, "CHUNK", 60.0)
    return counts


def three_ways(monkeypatch, made, train):
    """Return what `train` returns by whole epochs, after it was compared with recorded and unrecorded steps."""
    result = train()
    assert made
    for change in ((Solver, "_run_whole_epochs", lambda self, tuner: False), (_program, "enabled", False)):
        del made[:]
        with monkeypatch.context() as changed:
            changed.setattr(*change)
            assert_same(result, train())
        assert not made
    return result


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("validated", [False, True], ids=["", "validated"])
@pytest.mark.parametrize("net", NETS)
def test_nets(net, validated, weighted, monkeypatch, made):
    """The global generator, which some of them draw from, is left in the same state, too."""

    def train():
        np.random.seed(0)
        options = {"weighted": weighted, "validated": validated, "update_rule": "adam", "num_epochs": 5}
        return trained(NETS[net], **options), np.random.mtrand._rand

    three_ways(monkeypatch, made, train)


SETTINGS = {
    "one row left": {"batch_size": 36},
    "whole minibatches": {"rows": 32},
    "one minibatch": {"batch_size": 100},
    "one row a minibatch": {"batch_size": 1},
    "several batches of an evaluation": {"rows": 600, "batch_size": 64},
    "batches of an evaluation without a rest": {"rows": 512, "batch_size": 64},
    "unshuffled": {"shuffle": False},
    "decay": {"lr_decay": 0.9},
    "decay without bounds": {"lr_decay": 1e200, "optim_config": {"learning_rate": 0.0}},
    "cosine": {"lr_schedule": "cosine"},
    "one cycle by iterations": {"lr_schedule": "one_cycle", "num_iters": 23},
    "iterations that end an epoch": {"num_iters": 25},
    "few training samples": {"num_train_samples": 7},
    "few validation samples": {"validated": True, "num_val_samples": 5},
    "monitored loss": {"validated": True, "monitor": "loss"},
    "weighted and monitored loss": {"validated": True, "monitor": "loss", "weighted": True},
    "clipping": {"clip_norm": 0.1, "update_rule": "nesterov"},
    "decay beside the loss": {"update_rule": "adamw", "clip_norm": 1.0},
    "rmsprop": {"update_rule": "rmsprop"},
    "adagrad": {"update_rule": "adagrad"},
    "no penalty of momentum": {"update_rule": "sgd_momentum"},
    "uint8": {"X_dtype": np.uint8, "optim_config": {"learning_rate": 1e-5}},
    "float64 samples": {"X_dtype": np.float64},
}


@pytest.mark.filterwarnings("ignore:The last minibatch of each epoch is a single sample")
@pytest.mark.parametrize(
    ("setting", "net"),
    # Batch normalization refuses minibatches of one row.
    [
        (s, net)
        for s in SETTINGS
        for net in ("batchnorm", "dropout")
        if (s, net) != ("one row a minibatch", "batchnorm")
    ],
)
def test_settings(setting, net, monkeypatch, made):
    options = {"update_rule": "adam", "num_epochs": 6, **SETTINGS[setting]}
    three_ways(monkeypatch, made, lambda: trained(NETS[net], **options))


def solver_of_noise(**options):
    """Return a solver whose score on the validation set rises, falls and stays in turn."""
    rng = np.random.RandomState(0)
    X, y = rng.randn(90, 8).astype(np.float32), rng.randint(3, size=90)
    data = {"X_train": X[:60], "y_train": y[:60], "X_val": X[60:], "y_val": y[60:]}
    if options.pop("weighted_val", False):
        data["sample_weight_val"] = rng.rand(30)
    net = FullyConnected([7], 8, 3, weight_scale="he", random_state=0)
    return Solver(
        net,
        data,
        **{
            "optim_config": {"learning_rate": 0.2},
            "batch_size": 16,
            "num_epochs": 60,
            "verbose": False,
            "random_state": 1,
            **options,
        },
    )


PLATEAUS = {
    "defaults": ({}, {}),
    "at once": ({"patience": 0, "cooldown": 2}, {"monitor": "loss"}),
    "cooldown": ({"patience": 1, "cooldown": 3}, {}),
    "bounded": ({"patience": 2, "min_multiplier": 0.1}, {"early_stopping": True, "tol": 0.0, "n_iter_no_change": 30}),
    "single updates": ({"patience": 1}, {"batch_size": 60, "num_epochs": 95}),
}


@pytest.mark.parametrize("name", PLATEAUS)
def test_rates_that_depend_on_scores(name, monkeypatch, made):
    """As many epochs are made at once as cannot change the rate."""
    plateau, options = PLATEAUS[name]

    def train():
        ours = solver_of_noise(lr_schedule=ReduceOnPlateau(**plateau), **options)
        ours.train()
        return outcome(ours)

    state = three_ways(monkeypatch, made, train)
    assert len(set(state["learning_rate_history"])) > 1


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
@pytest.mark.parametrize("early_stopping", [False, True], ids=["to the end", "early stopping"])
def test_the_best_epoch_is_the_same(monitor, early_stopping, weighted, monkeypatch, made):
    stopping = {"early_stopping": True, "tol": 1e-4, "n_iter_no_change": 6} if early_stopping else {}

    def train():
        ours = solver_of_noise(monitor=monitor, weighted_val=weighted, **stopping)
        ours.train()
        return outcome(ours), ours.net.params, ours.stop_reason

    state, params, reason = three_ways(monkeypatch, made, train)
    assert reason == ("no_improvement" if early_stopping else "num_epochs")
    assert (state["epoch"] < 60) == early_stopping
    assert 1 < state["best_epoch"] < state["epoch"]
    assert_same(params, state["best_params"])


@pytest.mark.parametrize("by_loss", [False, True], ids=["score", "loss"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("head", HEADS)
def test_heads(head, weighted, by_loss, monkeypatch, made):
    """Each has a score of its own, of which the best epoch is."""
    rng = np.random.RandomState(0)
    X = rng.randn(90, 8)
    y = rng.randint(3, size=90) if HEADS[head]().takes_labels else rng.randint(2, size=(90, 3)).astype(np.float64)
    data = {"X_train": X[:60], "y_train": y[:60], "X_val": X[60:], "y_val": y[60:]}
    if weighted:
        data.update(sample_weight_train=rng.rand(60), sample_weight_val=rng.rand(30))

    def train():
        net = FullyConnected([7], 8, 3, head=head, weight_scale="he", random_state=0)
        options = {"monitor": "loss"} if by_loss else {}
        ours = Solver(net, data, update_rule="adam", num_epochs=40, verbose=False, random_state=1, **options)
        ours.train()
        return outcome(ours), ours.net.params

    state, params = three_ways(monkeypatch, made, train)
    assert state["best_epoch"] > 0
    assert_same(params, state["best_params"])


def test_no_tolerance_ends_training_late(monkeypatch, made):
    """Of the training loss: the epoch after which training is over is the last that is run."""

    def train():
        ours = solver_of_noise(tol=0.01, n_iter_no_change=4, num_epochs=200)
        ours.train()
        return outcome(ours), ours.stop_reason

    state, reason = three_ways(monkeypatch, made, train)
    assert reason == "no_improvement"
    assert 5 < state["epoch"] < 200


def test_training_that_goes_on(monkeypatch, made):
    def train():
        whole, parts = (solver_of(NETS["dropout"](), update_rule="adam", num_epochs=9) for _ in range(2))
        whole.train()
        for epochs in (4, 9):
            parts.num_epochs = epochs
            parts.train()
        assert_same(outcome(whole), outcome(parts))
        return outcome(parts)

    three_ways(monkeypatch, made, train)


@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_sparse_samples(rule, monkeypatch, made):
    rng = np.random.RandomState(0)
    X, y = sparse.random(50, 30, 0.2, "csr", random_state=rng, dtype=np.float64), rng.randint(3, size=50)

    def train():
        net = FullyConnectedNet(
            hidden_dims=(9,), batch_size=8, learning_rate=1e-2, num_epochs=6, tol=None, update_rule=rule, random_state=0
        )
        return net.fit(X, y).predict_proba(X), net.history_["loss"]

    three_ways(monkeypatch, made, train)


class RandomState(np.random.RandomState):
    pass


def test_the_shuffling_generator_is_left_as_numpy_leaves_it(made):
    trainer = solver_of(NETS["deep"](), num_epochs=6)
    trainer.train()
    assert sum(made) == 5
    other = np.random.RandomState(1)
    for _ in range(6):
        other.permutation(ROWS)
    assert_same(trainer.random_state, other)


# -------------------------------------------------------------------------------- what is not finite


@pytest.mark.parametrize("validated", [False, True], ids=["", "validated"])
@pytest.mark.parametrize("rule", ["sgd", "sgd_momentum", "adam", "rmsprop"])
@pytest.mark.parametrize("growth", [1e2, 1e8, 1e30])
def test_divergence_in_an_epoch(rule, growth, validated, monkeypatch, made):
    """A rate that grows from epoch to epoch: losses, weights or scores are no longer finite within one of them."""

    def train():
        net = dense(Affine(10), BatchNorm(), ReLU()) if growth == 1e8 else dense(Affine(10), ReLU())
        ours = solver_of(net(), update_rule=rule, validated=validated, lr_decay=growth, num_epochs=60)
        with pytest.raises(ValueError, match=r"became (nan|inf|-inf)") as error:
            ours.train()
        return outcome(ours), ours.net.params, str(error.value)

    three_ways(monkeypatch, made, train)


def test_scores_that_overflow_alone(monkeypatch, made):
    """Samples that only the evaluation sees."""

    def train():
        X, y = images()
        X_val = 1e38 * X[:9].reshape(9, -1)
        data = {"X_train": X.reshape(ROWS, -1), "y_train": y, "X_val": X_val, "y_val": y[:9]}
        options = {"batch_size": 8, "num_epochs": 30, "verbose": False, "random_state": 1, "lr_decay": 1.3}
        net = FullyConnected([], 72, 4, weight_scale=1e-3, random_state=0)
        ours = Solver(net, data, optim_config={"learning_rate": 1e-3}, **options)
        with pytest.raises(ValueError, match="Scores became nan or infinite") as error:
            ours.train()
        return outcome(ours), str(error.value)

    three_ways(monkeypatch, made, train)


# -------------------------------------------------------------------------------- who looks


class WithAWatchOfItsOwn(ReduceOnPlateau):
    def watch(self, state, score, of):
        state["multiplier"] *= 0.9


class Looks(Watcher):
    each_update = False

    def on_epoch_end(self, solver):
        pass


@pytest.mark.parametrize(
    "options",
    [
        {"watchers": [Looks()]},
        {"verbose": True},
        {"checkpoint": "run"},
        {"lr_schedule": WithAWatchOfItsOwn(), "validated": True},
        {"random_state": RandomState(1)},
        {"num_epochs": 2},
    ],
    ids=lambda options: next(iter(options)),
)
def test_epochs_that_somebody_looks_into_are_run_one_by_one(options, made, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    trained(NETS["deep"], **{"num_epochs": 5, **options})
    assert not made


@pytest.mark.parametrize("name", ["_end_epoch", "_epoch_rows", "_evaluate", "_run_epoch", "_keep_best", "_watch"])
def test_methods_of_ones_own_are_called(name, monkeypatch, made):
    calls = []
    method = getattr(Solver, name)

    def own(self, *args, **kwargs):
        calls.append(name)
        return method(self, *args, **kwargs)

    monkeypatch.setattr(Solver, name, own)
    trained(NETS["deep"], num_epochs=5, validated=True)
    assert not made
    assert len(calls) >= 5


def test_seconds_are_those_of_each_epoch(made):
    began = time.perf_counter()
    ours = solver_of(NETS["deep"](), num_epochs=20)
    ours.train()
    took = time.perf_counter() - began
    seconds = ours.history["seconds"]
    assert sum(made) == 19
    assert len(seconds) == 20
    assert min(seconds) > 0
    assert sum(seconds) <= took


# -------------------------------------------------------------------------------- others, meanwhile


def digits_like():
    rng = np.random.RandomState(0)
    return rng.randn(1797, 64), rng.randint(10, size=1797)


def test_ctrl_c_is_heard_at_once(monkeypatch, hears_ctrl_c):
    """Training by whole epochs comes back to Python every few dozen milliseconds."""
    runs = []
    run = _epochs.RecordedEpochs.run

    def counted(self, *args):
        began = time.perf_counter()
        whole = run(self, *args)
        runs.append(time.perf_counter() - began)
        return whole

    monkeypatch.setattr(_epochs.RecordedEpochs, "run", counted)
    X, y = digits_like()
    pressed = []

    def press():
        while len(runs) < 2:
            time.sleep(1e-3)
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    try:
        net = Softmax(num_iters=None, num_epochs=10**6, tol=None, random_state=0)
        thread.start()
        with pytest.warns(UserWarning, match="Training was interrupted in epoch"):
            net.fit(X, y)
        ended = time.perf_counter()
    finally:
        runs.extend([0, 0])
        thread.join()
    assert net.stop_reason_ == "interrupted"
    assert net.n_iter_ == len(net.history_["loss"]) == len(net.history_["seconds"])
    assert np.isfinite(net.predict_proba(X)).all()
    # A run ends after 40 ms and the epoch under way; the rest is for a busy machine.
    assert ended - pressed[0] < 0.3 + 3 * max(runs)


def test_epochs_have_a_limit_of_time():
    """However many there are to do, a run of them ends soon."""
    ours = solver_of(NETS["linear"](), num_epochs=2)
    steps = _program.RecordedSteps(ours)
    ours._recorded = steps
    ours._record_first_evaluation()
    from sklearn_dl._threads import ThreadTuner, hold_threads

    with hold_threads():  # where the tuner sets their number
        ours._run_epoch(ThreadTuner())
    evaluators = [(ours._evaluator(ours.train_samples, with_loss=False), ours.train_rows)]
    whole = steps.whole_epochs(evaluators)
    made = whole.run(np.full((10**6, ours._updates_per_epoch), 1e-3))
    assert 1 <= len(made.ended) < 10**6
    assert made.ended[-1] >= _epochs.CHUNK
    assert all(end < _epochs.CHUNK for end in made.ended[:-1])
    with pytest.raises(ValueError, match="there is no score to watch"):
        whole._epochs.run(np.full((3, ours._updates_per_epoch), 1e-3), 1, 0.0, 0.0, 1.0, 1, (0.0, 0.0, 1, 0, True))


def test_arguments_of_epochs_are_checked():
    rows = np.arange(4)
    with pytest.raises(ValueError, match="must have a program of updates"):
        _ext.Epochs(rows, None, [], [], [])
    program, y = _ext.Program(), np.zeros(4, np.int64)
    with program:
        _ext.gather_items(y, rows, y.copy())
        _ext.softmax_loss(np.zeros((4, 3)), y, None, None)
    program.finish(rows)
    with pytest.raises(ValueError, match="must leave the squares"):
        _ext.Epochs(rows, None, [(program, 1)], [], [])

    trainer = solver_of(NETS["deep"](), batch_size=4, rows=4)
    updates = _ext.Program()
    trainer._step(rows, updates)
    params = list(trainer.net.params.values())
    updates.finish(rows, params, np.zeros(len(params)), 0)
    training, evaluations = [(updates, 1)], [(program, rows, 1, True)]
    copies = [(value.copy(), value) for value in params]
    _ext.Epochs(rows, None, training, evaluations, [], (0, -1, 4, 1.0, 0.0, 0.0, True), copies)
    for number, weight in ((1, -1), (0, 1), (-1, -1), (0, -2)):
        with pytest.raises(ValueError, match="a score must be made of"):
            _ext.Epochs(rows, None, training, evaluations, [], (number, weight, 4, 1.0, 0.0, 0.0, True), copies)
    with pytest.raises(ValueError, match="to must have the shape of from"):
        _ext.Epochs(
            rows, None, training, evaluations, [], (0, -1, 4, 1.0, 0.0, 0.0, True), [(params[0][:1], params[0])]
        )
    with pytest.raises(ValueError, match="rows must hold 2 x 4"):
        _ext.Epochs(rows, None, [(updates, 2)], [], [])
