"""Schedules of the learning rate: their values, in the solver, in the estimators."""

import copy
import math
import pickle
from dataclasses import FrozenInstanceError, dataclass

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_dl import Softmax, TwoLayerNet, load, optim
from sklearn_dl.nets import FullyConnected
from sklearn_dl.persistence import read_archive, write_archive
from sklearn_dl.schedules import (
    SCHEDULES,
    Cosine,
    InverseScaling,
    Linear,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    check_schedule,
)
from sklearn_dl.solver import Solver
from sklearn_dl.training.evaluation import Evaluation

from ._estimators import ESTIMATORS, all_classes, assert_same, blobs, each_of_all, small

BY_LENGTH = [Cosine(), Cosine(warmup=0.2, final=0.1), Linear(warmup=0.3), OneCycle(), OneCycle(0.5, 0.1, 0.01)]
ALL = [
    *BY_LENGTH,
    InverseScaling(),
    InverseScaling(1.0, 0.1, 3),
    ReduceOnPlateau(),
    ReduceOnPlateau(factor=0.5, patience=0, min_gain=10.0, cooldown=1),
]
each_schedule = pytest.mark.parametrize("schedule", ALL, ids=str)


def multipliers(schedule, num_updates):
    return [schedule.multiplier(update, num_updates) for update in range(num_updates)]


# -------------------------------------------------------------------------------------- values


@pytest.mark.parametrize("num_updates", [1, 2, 7, 100])
def test_closed_forms(num_updates):
    T = num_updates
    cosine = [0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * t / T)) for t in range(T)]
    np.testing.assert_allclose(multipliers(Cosine(final=0.1), T), cosine, rtol=1e-12)
    np.testing.assert_allclose(multipliers(Linear(final=0.1), T), [1 - 0.9 * t / T for t in range(T)], rtol=1e-12)


@pytest.mark.parametrize("schedule", BY_LENGTH, ids=str)
@pytest.mark.parametrize("num_updates", [1, 2, 3, 5, 10, 101])
def test_one_rise_one_fall(schedule, num_updates):
    values = multipliers(schedule, num_updates)
    top = values.index(max(values))
    assert values[top] <= 1
    assert num_updates < 10 or values[top] > 0.95
    assert values[: top + 1] == sorted(values[: top + 1])
    assert values[top:] == sorted(values[top:], reverse=True)
    assert all(value > 0 for value in values)
    if num_updates > 10:  # and no jump
        assert np.abs(np.diff(values)).max() < 0.1
    # It stays at its end.
    ends = [schedule.multiplier(num_updates + more, num_updates) for more in (0, 1, 50)]
    assert num_updates == 1 or ends == pytest.approx([schedule.final] * 3)


def torch_rates(torch, make, num_updates):
    """Return the learning rates that a scheduler of PyTorch goes through, from 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(num_updates):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("final", [0.0, 0.2])
@pytest.mark.parametrize(("num_updates", "warm"), [(20, 0), (20, 5), (33, 11)])
def test_cosine_and_linear_are_pytorchs(torch, num_updates, warm, final):
    lr, left = torch.optim.lr_scheduler, num_updates - warm
    rise = torch_rates(torch, lambda o: lr.LinearLR(o, 1 / (warm + 1), total_iters=warm), warm) if warm else []
    cosine = torch_rates(torch, lambda o: lr.CosineAnnealingLR(o, left, eta_min=final), left)
    linear = torch_rates(torch, lambda o: lr.LinearLR(o, 1.0, final, total_iters=left), left)
    warmup = warm / num_updates
    np.testing.assert_allclose(multipliers(Cosine(warmup, final), num_updates), rise + cosine, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(multipliers(Linear(warmup, final), num_updates), rise + linear, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("rate", "every"), [(1.0, 1), (0.1, 1), (50.0, 3)])
def test_inverse_scaling_is_a_power(power, rate, every):
    schedule = InverseScaling(power, rate, every)
    expected = [(1 + rate * every * (t // every)) ** -power for t in range(20)]
    np.testing.assert_allclose(multipliers(schedule, 20), expected, rtol=1e-12)
    assert schedule.multiplier(7, 5) == schedule.multiplier(7, 100)  # it has no length
    assert InverseScaling(1e308, 1e308).multiplier(10**6, 1) == 0


@pytest.mark.parametrize("num_updates", [12, 17, 64])
@pytest.mark.parametrize(("warmup", "div", "final_div"), [(0.3, 25, 1e4), (0.5, 10, 20), (0.1, 4, 1)])
def test_one_cycle_is_pytorchs(torch, num_updates, warmup, div, final_div):
    def scheduler(optimizer):
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            1.0,
            num_updates,
            pct_start=warmup,
            div_factor=div,
            final_div_factor=final_div,
            cycle_momentum=False,
        )

    # Its last step would be one too many.
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    course, rates = scheduler(optimizer), []
    for update in range(num_updates):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if update < num_updates - 1:
            course.step()
    schedule = OneCycle(warmup, 1 / div, 1 / (div * final_div))
    np.testing.assert_allclose(multipliers(schedule, num_updates), rates, rtol=1e-9)
    if (warmup, div, final_div) == (0.3, 25, 1e4):
        assert schedule == OneCycle()


@pytest.mark.parametrize(
    "settings",
    [
        {"factor": 0.5, "patience": 0},
        {"factor": 0.2, "patience": 3},
        {"factor": 0.1, "patience": 1, "cooldown": 2, "min_gain": 0.05},
        {"factor": 0.5, "patience": 1, "min_multiplier": 0.3},
    ],
    ids=str,
)
def test_reduce_on_plateau_is_pytorchs(torch, settings):
    rng = np.random.RandomState(0)
    scores = np.minimum(np.arange(60) / 30, 0.8) + 0.1 * rng.rand(60)
    scores[40:] = 0.9
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        mode="max",
        factor=settings["factor"],
        patience=settings["patience"],
        threshold=settings.get("min_gain", 1e-4),
        threshold_mode="abs",
        cooldown=settings.get("cooldown", 0),
        min_lr=settings.get("min_multiplier", 0),
        eps=0,
    )
    schedule = ReduceOnPlateau(**settings)
    state, values, rates = schedule.begin(), [], []
    for score in scores.tolist():
        schedule.watch(state, score, "val accuracy")
        reference.step(score)
        values.append(schedule.multiplier(0, 0, state))
        rates.append(optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(values, rates, rtol=1e-12)
    assert 1 > len(set(rates)) / len(rates) > 1 / 60  # it did reduce


@pytest.mark.parametrize("settings", [{}, {"patience": 0}, {"patience": 1, "cooldown": 2}], ids=str)
def test_scores_ahead(settings):
    """The multiplier stays until so many scores came, and falls with the last of them if none was a gain."""
    schedule, gains = ReduceOnPlateau(min_gain=0.0, **settings), np.random.RandomState(0).rand(200) < 0.2
    state = schedule.begin()
    for i, gain in enumerate(gains):
        twin, multiplier = dict(state), state["multiplier"]
        ahead = schedule.scores_ahead(state)
        for left in reversed(range(ahead)):
            schedule.watch(twin, 0.0, "val accuracy")
            assert (twin["multiplier"] < multiplier) == (left == 0 and i > 0)
        schedule.watch(state, float(i + 1 if gain else 0), "val accuracy")


def test_scores_ahead_of_other_schedules():
    class Watching(ReduceOnPlateau):
        def watch(self, state, score, of):
            pass

    assert Cosine().scores_ahead({}) == math.inf
    assert Watching().scores_ahead(Watching().begin()) == 1


def test_scores_of_different_things_are_not_compared():
    schedule = ReduceOnPlateau(patience=0)
    state = schedule.begin()
    schedule.watch(state, 0.9, "val accuracy")
    schedule.watch(state, -2.0, "training loss")
    assert state["multiplier"] == 1
    schedule.watch(state, -2.0, "training loss")
    assert state["multiplier"] == 0.2


# ------------------------------------------------------------------------------ as plain values


@each_schedule
def test_schedules_are_values(schedule, tmp_path):
    assert eval(repr(schedule)) == schedule
    assert all(type(value) in (int, float) for value in vars(schedule).values())
    write_archive(tmp_path / "archive", {"schedule": [schedule, schedule]})
    stored = read_archive(tmp_path / "archive")["schedule"][1]
    for twin in (copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule)), clone(schedule, safe=False), stored):
        assert twin == schedule
        assert hash(twin) == hash(schedule)
        assert type(twin) is type(schedule)
    assert [other for other in ALL if other == schedule] == [schedule]
    with pytest.raises(FrozenInstanceError):
        schedule.final = 0.5


def test_numbers_become_pythons():
    schedule = Cosine(np.float32(0.5), 0)
    assert repr(schedule) == "Cosine(warmup=0.5, final=0.0)"


@pytest.mark.parametrize("name", SCHEDULES)
def test_names_are_schedules_with_their_defaults(name):
    assert check_schedule("lr_schedule", name) == SCHEDULES[name]()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Cosine(warmup=1), ValueError, "warmup of Cosine == 1, must be < 1"),
        (lambda: Cosine(final=-0.1), ValueError, r"final of Cosine == -0\.1"),
        (lambda: Linear(final="low"), TypeError, "final of Linear .* str"),
        (lambda: OneCycle(start=2), ValueError, "start of OneCycle == 2"),
        (lambda: OneCycle(warmup=math.nan), ValueError, "warmup of OneCycle .* nan"),
        (lambda: ReduceOnPlateau(factor=1.0), ValueError, r"factor of ReduceOnPlateau == 1\.0"),
        (lambda: ReduceOnPlateau(patience=2.5), TypeError, "patience of ReduceOnPlateau .* float"),
        (lambda: ReduceOnPlateau(cooldown=-1), ValueError, "cooldown of ReduceOnPlateau == -1"),
        (lambda: ReduceOnPlateau(min_gain=-1), ValueError, "min_gain of ReduceOnPlateau == -1"),
        (lambda: ReduceOnPlateau(min_multiplier=True), TypeError, "min_multiplier of ReduceOnPlateau .* True"),
    ],
)
def test_bad_settings(make, error, message):
    with pytest.raises(error, match=message):
        make()


# --------------------------------------------------------------------------------- in the solver


def dataset(n_train=60, n_val=20):
    X, y = blobs(n_train + n_val, dtype=np.float64)
    data = {"X_train": X[:n_train], "y_train": y[:n_train]}
    return {**data, "X_val": X[n_train:], "y_val": y[n_train:]} if n_val else data


def make(schedule, net=None, data=None, **options):
    net = FullyConnected([5], 16, 3, weight_scale="he", dtype=np.float64, random_state=0) if net is None else net
    settings = {"optim_config": {"learning_rate": 0.1}, "batch_size": 16, "num_epochs": 5, "verbose": False}
    settings.update(random_state=0, lr_schedule=schedule)
    return Solver(net, dataset() if data is None else data, **{**settings, **options})


@pytest.mark.parametrize("schedule", BY_LENGTH, ids=str)
@pytest.mark.parametrize(("length", "num_updates"), [({}, 20), ({"num_iters": 7}, 7), ({"num_iters": 22}, 22)])
@pytest.mark.parametrize("lr_decay", [1.0, 0.5])
def test_each_update_has_its_learning_rate(schedule, length, num_updates, lr_decay):
    solver = make(schedule, lr_decay=lr_decay, **length)
    assert solver.learning_rate == 0.1
    solver.train()
    # Four minibatches an epoch, which lr_decay goes by.
    rates = [0.1 * lr_decay ** (t // 4) * m for t, m in enumerate(multipliers(schedule, num_updates))]
    np.testing.assert_allclose(solver.learning_rate_history, rates, rtol=1e-12)
    assert len(solver.learning_rate_history) == len(solver.loss_history)
    assert solver.learning_rate == solver.learning_rate_history[-1]


@pytest.mark.parametrize("lr_decay", [1.0, 0.5])
def test_without_a_schedule(lr_decay):
    solver = make(None, lr_decay=lr_decay)
    solver.train()
    np.testing.assert_allclose(solver.learning_rate_history, np.repeat(0.1 * lr_decay ** np.arange(5), 4))


def test_updates_are_those_of_the_learning_rates():
    data = dataset(16, 0)
    solver = make("one_cycle", data=data, num_epochs=6, update_rule="sgd_momentum")
    net = FullyConnected([5], 16, 3, weight_scale="he", dtype=np.float64, random_state=0)
    configs = {name: {} for name in net.params}
    for t in range(6):
        _, grads = net.loss(data["X_train"], data["y_train"])
        for name, grad in grads.items():
            configs[name]["learning_rate"] = 0.1 * OneCycle().multiplier(t, 6)
            net.params[name], _ = optim.sgd_momentum(net.params[name], grad, configs[name])
    solver.train()
    for name, value in net.params.items():
        np.testing.assert_allclose(solver.net.params[name], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("validates", [True, False])
def test_what_reduce_on_plateau_watches(validates, monkeypatch):
    """The validation accuracy, which grows here; or the training loss, which does not."""
    accuracies = iter(np.linspace(0, 1, 7).tolist())

    def scripted(solver, samples, *args, **kwargs):
        return Evaluation(next(accuracies) if samples is solver._val else 0.5, loss=1.0, n_classes=1)

    monkeypatch.setattr(Solver, "_evaluate", scripted)
    data = dataset(60, 20 if validates else 0)
    schedule = ReduceOnPlateau(factor=0.5, patience=1)
    solver = make(schedule, data=data, num_epochs=6, optim_config={"learning_rate": 1e-12}, shuffle=False)
    solver.train()
    expected = [1] * 6 if validates else [1, 1, 1, 0.5, 0.5, 0.25]  # epochs 2 and 3 have no gain, then 4 and 5
    np.testing.assert_allclose(solver.learning_rate_history[::4], 1e-12 * np.array(expected))


@dataclass(frozen=True)
class Noting(Schedule):
    """Notes what it is told."""

    def begin(self):
        return {"scores": [], "of": []}

    def multiplier(self, update, num_updates, state):
        return 1.0

    def watch(self, state, score, of):
        state["scores"].append(score)
        state["of"].append(of)


@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
@pytest.mark.parametrize(("n_val", "batch_size", "every"), [(20, 60, 10), (20, 59, 1), (0, 60, 1), (0, 59, 1)])
def test_when_a_schedule_is_told_what(n_val, batch_size, every, monitor):
    """Of epochs of a single update, every tenth score on a validation set."""
    options = {"num_epochs": 25, "batch_size": batch_size, "monitor": monitor}
    solver = make(Noting(), data=dataset(60, n_val), **options)
    solver.train()
    history, told = solver.history, solver.state.schedule_state
    scores = history["val_accuracy"] if monitor == "accuracy" else [-loss for loss in history["val_loss"]]
    if n_val == 0:
        scores = [-loss for loss in history["loss"]]
    assert told["scores"] == scores[every - 1 :: every]
    assert set(told["of"]) == {f"val {monitor}" if n_val else "training loss"}


@each_schedule
@pytest.mark.parametrize("length", [{"num_epochs": 6}, {"num_iters": 22}], ids=str)
def test_resumed_training_has_the_same_bits(schedule, length, tmp_path):
    def solver(**more):
        return make(schedule, update_rule="adam", lr_decay=0.9, **length, **more)

    whole = solver(checkpoint=tmp_path / "run", keep_checkpoints=None)
    whole.train()
    for epoch in (1, 3, 5):
        resumed = solver()
        resumed.resume(tmp_path / f"run_epoch_{epoch}.npz")
        assert resumed.learning_rate == whole.learning_rate_history[4 * epoch - 1]
        resumed.train()
        assert resumed.learning_rate_history == whole.learning_rate_history
        assert resumed.loss_history == whole.loss_history
        for name, value in whole.net.params.items():
            np.testing.assert_array_equal(resumed.net.params[name], value)


def test_resume_refuses_another_schedule(tmp_path):
    make(Cosine(), checkpoint=tmp_path / "run", num_epochs=1).train()
    for other, name in ((Cosine(final=0.5), r"Cosine\(warmup=0\.0, final=0\.5\)"), (None, "None")):
        with pytest.raises(ValueError, match=rf"lr_schedule Cosine\(warmup=0\.0, final=0\.0\), not {name}"):
            make(other).resume(tmp_path / "run_epoch_1.npz")


@dataclass(frozen=True)
class Halfway(Schedule):
    """Halves the learning rate in the middle."""

    def multiplier(self, update, num_updates, state=None):
        return 1.0 if 2 * update < num_updates else 0.5


def test_a_schedule_of_ones_own(tmp_path):
    solver = make(Halfway(), num_epochs=2, checkpoint=tmp_path / "run")
    solver.train()
    assert solver.learning_rate_history == [0.1] * 4 + [0.05] * 4
    with pytest.raises(TypeError, match=r"parameter lr_schedule of TwoLayerNet cannot be saved: Halfway\(\)"):
        TwoLayerNet(lr_schedule=Halfway()).save(tmp_path / "net")


# ----------------------------------------------------------------------------- in the estimators


@each_of_all
@pytest.mark.parametrize("name", SCHEDULES)
def test_names_and_objects_train_alike(cls, name):
    X, y = blobs()
    estimators = [small(cls, lr_schedule=value).fit(X, y) for value in (name, SCHEDULES[name]())]
    assert_same(*estimators)
    assert estimators[0].learning_rate_history_ == estimators[1].learning_rate_history_
    assert len(estimators[0].learning_rate_history_) == len(estimators[0].loss_history_) == 12


@each_of_all
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_learns(cls, name):
    X, y = blobs(90)
    assert small(cls, lr_schedule=name, learning_rate=0.02, num_epochs=30).fit(X, y).score(X, y) > (
        0.95 if cls in ESTIMATORS else 0.9
    )


def test_auto_learning_rate_is_the_peak():
    X, y = blobs()
    net = small(TwoLayerNet, lr_schedule="cosine").fit(X, y)
    assert net.learning_rate_history_[0] == 2e-3


@each_of_all
def test_each_fit_starts_anew_by_updates(cls):
    X, y = blobs()
    estimator = small(cls, lr_schedule="one_cycle", learning_rate=0.01, warm_start=True).fit(X, y)
    first = list(estimator.learning_rate_history_)
    assert estimator.fit(X, y).learning_rate_history_ == 2 * first
    estimator.set_params(num_iters=5).fit(X, y)
    np.testing.assert_allclose(estimator.learning_rate_history_[24:], 0.01 * np.array(multipliers(OneCycle(), 5)))


def rates_of_epochs(estimator):
    """Return the learning rates of successive epochs of one update, as shares of the first."""
    rates = estimator.learning_rate_history_
    return [rate / rates[0] for rate in rates]


@each_of_all
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_reduce_on_plateau_goes_on(cls, method):
    X, y = blobs(16)  # one minibatch
    schedule = ReduceOnPlateau(factor=0.5, patience=1, min_gain=100.0)
    settings = {"lr_schedule": schedule, "num_epochs": 1, "warm_start": True}
    estimator = small(cls, **settings)
    for _ in range(6):
        getattr(estimator, method)(X, y, **({} if method == "fit" else all_classes(cls, 0, 1, 2)))
    assert rates_of_epochs(estimator) == [1, 1, 1, 0.5, 0.5, 0.25]
    # Another schedule starts from the full learning rate.
    estimator.set_params(lr_schedule=ReduceOnPlateau(factor=0.25)).partial_fit(X, y)
    assert rates_of_epochs(estimator)[-1] == 1
    # And a fit that does not go on, too.
    assert rates_of_epochs(estimator.set_params(warm_start=False).fit(X, y)) == [1]


@each_of_all
@pytest.mark.parametrize("length", [{"num_epochs": 2}, {"num_iters": 8}], ids=str)
def test_inverse_scaling_goes_on(cls, length):
    X, y = blobs()  # four minibatches
    schedule = InverseScaling(power=1, rate=0.5)
    estimator = small(cls, lr_schedule=schedule, learning_rate=0.01, warm_start=True, **length)
    estimator.fit(X, y).fit(X, y).partial_fit(X[:16], y[:16]).partial_fit(X, y)
    np.testing.assert_allclose(rates_of_epochs(estimator), multipliers(schedule, 8 + 8 + 1 + 4))
    assert rates_of_epochs(estimator.set_params(warm_start=False).fit(X, y)) == multipliers(schedule, 8)


@each_of_all
@pytest.mark.parametrize("length", [{"num_epochs": 4}, {"num_iters": 14, "num_epochs": 1}], ids=str)
def test_calls_of_partial_fit_are_the_epochs_of_one_schedule(cls, length, tmp_path):
    X, y = blobs()  # four minibatches
    whole = small(cls, lr_schedule="cosine", **length).fit(X, y)
    parts = small(cls, lr_schedule="cosine", **length)
    for call in range(4):
        parts.partial_fit(X, y, **all_classes(cls, 0, 1, 2))
        if call == 1:
            parts.save(tmp_path / "parts")
            twins = [pickle.loads(pickle.dumps(parts)), load(tmp_path / "parts")]
    rates = parts.learning_rate_history_
    assert rates[: len(whole.learning_rate_history_)] == whole.learning_rate_history_
    assert not any(rates[len(whole.learning_rate_history_) :])  # what the last call has more
    for twin in twins:
        twin.partial_fit(X, y).partial_fit(X, y)
        assert twin.learning_rate_history_ == rates
        assert_same(twin, parts)


@each_of_all
@pytest.mark.parametrize("length", [{"num_epochs": 2}, {"num_iters": 6, "num_epochs": 9}], ids=str)
def test_partial_fit_after_the_end(cls, length):
    X, y = blobs()
    estimator = small(cls, lr_schedule="linear", **length)
    estimator.partial_fit(X, y, **all_classes(cls, 0, 1, 2)).partial_fit(X, y)
    untouched = copy.deepcopy(estimator)
    name, value = next(iter(length.items()))
    with pytest.raises(ValueError, match=rf"lr_schedule='linear' has come to its end, that of {name}={value}: "):
        estimator.partial_fit(X, y)
    assert_same(estimator, untouched)
    estimator.set_params(**{name: 20}).partial_fit(X, y)
    assert estimator.learning_rate_history_[-1] > 0
    assert estimator.set_params(lr_schedule=None).partial_fit(X, y).n_iter_ == 4
    # What follows on a fit is a schedule of its own.
    estimator.set_params(lr_schedule="linear", **length).fit(X, y).partial_fit(X, y)
    rates = rates_of_epochs(estimator)
    fitted = 8 if "num_iters" not in length else 6
    assert rates[fitted] == rates[0] == 1
    assert rates[-1] < 1


def test_failed_fit_leaves_the_schedule_where_it_was(monkeypatch):
    X, y = blobs(16)
    net = small(TwoLayerNet, lr_schedule=ReduceOnPlateau(patience=0, min_gain=100.0), warm_start=True)
    net.fit(X, y)
    untouched = copy.deepcopy(net)
    end_epoch = Solver._end_epoch

    def interrupt(*args):
        end_epoch(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(Solver, "_end_epoch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y)
    monkeypatch.undo()
    net.fit(X, y)
    assert_same(net, untouched.fit(X, y))
    assert net.learning_rate_history_ == untouched.learning_rate_history_


@each_of_all
def test_early_stopping_ends_a_schedule_early(cls):
    X, y = blobs(60)
    estimator = small(cls, num_epochs=100, early_stopping=True, tol=1.0, n_iter_no_change=2, lr_schedule="cosine")
    estimator.fit(X, y)
    n_updates = len(estimator.loss_history_)
    assert n_updates < 100
    np.testing.assert_allclose(
        estimator.learning_rate_history_ / np.float64(estimator.learning_rate_history_[0]),
        multipliers(Cosine(), 100 * n_updates // estimator.n_iter_)[:n_updates],
    )


GRID = [None, "cosine", Cosine(warmup=0.2), OneCycle(start=0.5), ReduceOnPlateau(patience=1)]


def test_searches_over_schedules():
    X, y = blobs(90)
    pipeline = make_pipeline(StandardScaler(), small(Softmax, num_epochs=10))
    grid = {"softmax__lr_schedule": GRID, "softmax__learning_rate": [0.01, 0.05]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.8
    assert [params["softmax__lr_schedule"] for params in search.cv_results_["params"]] == GRID * 2
    randomized = RandomizedSearchCV(pipeline, grid, n_iter=3, cv=2, random_state=0, error_score="raise").fit(X, y)
    assert randomized.best_params_["softmax__lr_schedule"] in GRID


@each_of_all
@pytest.mark.parametrize("schedule", GRID, ids=str)
def test_the_parameter_is_one_like_others(cls, schedule, tmp_path):
    X, y = blobs()
    estimator = small(cls, lr_schedule=schedule)
    assert estimator.get_params()["lr_schedule"] is schedule
    assert clone(estimator).get_params() == estimator.get_params()
    assert schedule is None or "".join(repr(schedule).split()) in "".join(repr(estimator).split())
    estimator.fit(X, y)
    estimator.save(tmp_path / "net")
    for twin in (load(tmp_path / "net"), pickle.loads(pickle.dumps(estimator))):
        assert twin.get_params() == estimator.get_params()
        assert twin.learning_rate_history_ == estimator.learning_rate_history_
        assert_same(twin, estimator)
    assert schedule is None or "lr_schedule" in estimator._repr_html_()
