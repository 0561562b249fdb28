"""How training ends: why, with which epoch's weights, and what is said about it."""

import math
import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_circles
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.nets import FullyConnected
from sklearn_dl.schedules import ReduceOnPlateau
from sklearn_dl.solver import Solver, Watcher

from ._estimators import ESTIMATORS, RULES, all_classes, answers, blobs, each_estimator, each_hidden, each_of_all, small

NUM_EPOCHS = "Training ended at num_epochs="
BLIND = "The net predicts "
ONE_CLASS = f"{BLIND}one class for all training samples"
WORSE = "The loss on the training samples ended at "


def warned(call):
    """Return the texts of the ConvergenceWarnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert {warning.category for warning in caught} <= {ConvergenceWarning}
    assert not {warning.filename for warning in caught if "sklearn_dl" in warning.filename} - {__file__}
    return [str(warning.message) for warning in caught]


# -------------------------------------------------------------------------------- num_epochs, tol


@each_of_all
@pytest.mark.parametrize("num_epochs", [1, 3, 20])
def test_num_epochs_before_tol_is_warned_of(cls, num_epochs):
    X, y = blobs()
    net = small(cls, num_epochs=num_epochs, tol=0.0, learning_rate=1e-4)
    (message,) = warned(lambda: net.fit(X, y))
    assert message.startswith(f"{NUM_EPOCHS}{num_epochs} before the training loss had stopped improving")
    assert (net.stop_reason_, net.n_iter_) == ("num_epochs", num_epochs)
    # As MLPClassifier does.
    (message,) = warned(lambda: MLPClassifier(max_iter=num_epochs, tol=0.0, random_state=0).fit(X, y))
    assert "hasn't converged" in message


@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
def test_the_warning_names_what_was_watched(monitor):
    X, y = blobs()
    net = small(TwoLayerNet, tol=0.0, early_stopping=True, monitor=monitor)
    (message,) = warned(lambda: net.fit(X, y))
    assert f"before the validation {monitor} had stopped improving" in message


@each_of_all
@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"tol": None}, "num_epochs"),
        ({"tol": 100.0, "n_iter_no_change": 1}, "no_improvement"),
        ({"tol": 100.0, "n_iter_no_change": 1, "early_stopping": True}, "no_improvement"),
        ({"num_iters": 5, "tol": 1e-4}, "num_iters"),
        ({"lr_schedule": "cosine", "tol": 1e-4}, "num_epochs"),
        ({"lr_schedule": "one_cycle", "tol": 1e-4}, "num_epochs"),
    ],
    ids=str,
)
def test_an_end_that_was_asked_for_is_not_warned_of(cls, params, reason):
    X, y = blobs()
    net = small(cls, **{"num_epochs": 5, "learning_rate": 1e-3, **params})
    assert warned(lambda: net.fit(X, y)) == []
    assert net.stop_reason_ == reason


def test_tol_at_the_last_epoch_is_convergence():
    X, y = blobs()
    net = small(TwoLayerNet, tol=100.0, n_iter_no_change=2, num_epochs=50).fit(X, y)
    again = small(TwoLayerNet, tol=100.0, n_iter_no_change=2, num_epochs=net.n_iter_)
    assert warned(lambda: again.fit(X, y)) == []
    assert (again.n_iter_, again.stop_reason_) == (net.n_iter_, "no_improvement")


@each_of_all
def test_warm_starts_warn_of_their_own_end(cls):
    X, y = blobs()
    net = small(cls, tol=0.0, warm_start=True, learning_rate=1e-4)
    for _ in range(2):
        (message,) = warned(lambda: net.fit(X, y))
        assert message.startswith(f"{NUM_EPOCHS}3 ")
    assert net.n_iter_ == 6
    assert warned(lambda: net.partial_fit(X, y)) == []
    assert net.stop_reason_ is None


def test_a_callback_that_stops(monkeypatch):
    X, y = blobs()

    class Impatient(Watcher):
        def on_epoch_end(self, solver):
            return True

    net = FullyConnected([4], 16, 3, random_state=0)
    solver = Solver(net, {"X_train": X, "y_train": y}, watchers=[Impatient()], verbose=False)
    assert solver.stop_reason is None
    solver.train()
    assert (solver.stop_reason, solver.epoch, solver.best_epoch) == ("stopped", 1, None)


# --------------------------------------------------------------------------------- a loss that grew


@pytest.mark.parametrize("learning_rate", [10.0, 1e3, 1e6])
@pytest.mark.parametrize("update_rule", RULES)
@pytest.mark.parametrize("spread", [1.0, 3.0, 30.0])
@each_hidden
def test_a_net_that_has_learned_nothing_is_warned_of(cls, update_rule, learning_rate, spread):
    """Such rates often end all units. Whatever is not warned of is better than predicting the class frequencies."""
    X, y = blobs(90, spread=spread)
    net = small(cls, learning_rate=learning_rate, update_rule=update_rule, num_epochs=10)
    try:
        messages = warned(lambda: net.fit(X, y))
    except ValueError as error:
        messages = [str(error)]
    if messages:
        (message,) = messages
        assert message.startswith((WORSE, BLIND, "The loss became", "Scores became"))
        assert f"learning_rate={learning_rate:g}" in message or f"learning_rate {learning_rate}" in message
    else:
        assert len(set(net.predict(X))) > 1
        assert log_loss(y, net.predict_proba(X)) < net._state.initial_loss


def test_units_that_never_fire_are_warned_of():
    """The loss falls, from that of large first scores to that of the biases."""
    X, y = blobs(90, spread=3.0)
    net = small(ThreeLayerConvNet, learning_rate=10.0, num_epochs=20)
    (message,) = warned(lambda: net.fit(X, y))
    assert len(set(net.predict(X))) == 1
    assert message.startswith(ONE_CLASS)
    assert net.history_["loss"][-1] < net.loss_history_[0]


def unscaled(n_samples=150):
    """Return positive features far from zero, of which he's first weights make one class for all samples."""
    X, y = blobs(n_samples, spread=0.3)
    return 5 * np.abs(X) + 2, y


@pytest.mark.parametrize("update_rule", ["adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("seed", range(3))
@each_hidden
def test_one_class_from_beginning_to_end_is_warned_of(cls, seed, update_rule):
    X, y = unscaled()
    net = small(cls, learning_rate=10.0, num_epochs=15, update_rule=update_rule, random_state=seed)
    messages = warned(lambda: net.fit(X, y))
    assert messages or net.score(X, y) > 0.5
    assert all(message.startswith((WORSE, BLIND)) for message in messages)


def test_what_ends_where_it_began_is_warned_of():
    """One class for all before the first update is no reason to keep silent."""
    X, y = unscaled()
    found = []
    for seed in range(10):
        net = small(TwoLayerNet, learning_rate=10.0, num_epochs=15, random_state=seed)
        found += warned(lambda net=net: net.fit(X, y)) if dead_from_the_start(net, X, y) else []
    assert found
    assert all(message.startswith((WORSE, ONE_CLASS)) for message in found)


def dead_from_the_start(net, X, y):
    """Return whether the net gives one class before its first update, and after its last."""
    before = clone(net).set_params(learning_rate=0.0, num_epochs=1).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        after = clone(net).fit(X, y)
    return len(set(before.predict(X))) == len(set(after.predict(X))) == 1


@pytest.mark.parametrize("n_samples", [40, 1500])
def test_shares_are_those_of_the_samples_that_are_looked_at(n_samples):
    """Of more samples than accuracy is taken on, the shares of all are a little off."""
    X, y = blobs(n_samples, spread=3.0)
    y = np.where(y == 0, 0, 1)
    for seed in range(4):
        net = small(TwoLayerNet, learning_rate=100.0, num_epochs=10, lr_schedule="linear", random_state=seed)
        messages = warned(lambda net=net: net.fit(X, y))
        assert messages or len(set(net.predict(X))) > 1


@pytest.mark.parametrize(
    "params",
    [
        {"reg": 10.0, "lr_schedule": "linear"},
        {"reg": 100.0, "lr_schedule": "cosine"},
        {"reg": 10.0, "update_rule": "sgd", "learning_rate": 0.01},
    ],
    ids=str,
)
def test_a_large_penalty_is_named(params):
    X, y = blobs()
    y = np.where(y == 0, 0, 1)
    net = small(TwoLayerNet, num_epochs=300, **params)
    (message,) = warned(lambda: net.fit(X, y))
    assert set(net.predict(X)) == {1}
    assert f"reg={params['reg']:g} is too large. Lower it." in message


@pytest.mark.parametrize("cls", [Softmax, TwoLayerNet, FullyConnectedNet])
@pytest.mark.parametrize("num_epochs", [1, 2, 5])
@pytest.mark.parametrize("shape", [(100, 1), (40, 100), (300, 25)], ids=str)
def test_a_few_updates_on_noise_are_not_warned_of(cls, num_epochs, shape):
    """A net that is no better than the shares yet, or with nothing to learn, is no sign of too large a rate."""
    for seed in range(4):
        rng = np.random.RandomState(seed)
        X, y = rng.randn(*shape), rng.randint(0, 2, shape[0])
        net = cls(num_epochs=num_epochs, tol=None, random_state=seed)
        assert warned(lambda net=net, X=X, y=y: net.fit(X, y)) == []


def test_two_updates_on_noise_may_end_above_the_beginning():
    X, y = np.random.RandomState(0).rand(120, 32, 32, 2), np.arange(120) % 3
    net = ThreeLayerConvNet(filter_size=3, num_epochs=1, tol=None, random_state=0)
    assert warned(lambda: net.fit(X, y)) == []
    assert net._state.initial_loss < log_loss(y, net.predict_proba(X))


@pytest.mark.parametrize("update_rule", RULES)
def test_a_linear_net_on_circles_is_not_warned_of(update_rule):
    X, y = make_circles(100, random_state=0)
    net = small(Softmax, update_rule=update_rule, num_epochs=40)
    assert warned(lambda: net.fit(X, y)) == []
    assert net.score(X, y) < 0.6


@each_of_all
def test_one_class_is_no_fault_of_the_net(cls):
    X, _ = blobs()
    assert warned(lambda: small(cls).fit(X, np.zeros(len(X), int))) == []


@each_estimator
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"learning_rate": 1e-9},
        {"num_iters": 1},
        {"reg": 10.0},
        {"early_stopping": True},
        {"batch_size": 1, "learning_rate": 1e-5, "update_rule": "sgd"},
        {"class_weight": {0: 5}},
    ],
    ids=str,
)
def test_honest_trainings_are_not_warned_of(cls, seed, params):
    """Among them some whose minibatches' loss ends above that of the first by chance."""
    X, y = blobs(48, spread=4.0, seed=seed)
    assert warned(lambda: small(cls, random_state=seed, **params).fit(X, y)) == []


@pytest.mark.parametrize("seed", range(5))
def test_dropout_is_not_taken_for_growth(seed):
    X, y = blobs(48, seed=seed)
    net = small(TwoLayerNet, dropout_keep_ratio=0.2, learning_rate=1e-3, random_state=seed)
    assert warned(lambda: net.fit(X, y)) == []


# ------------------------------------------------------------------------ validation loss, best epoch


def overfit(cls, **params):
    """Return a net that overfits, its data, and the validation set."""
    X, y = blobs(60, spread=6.0)
    X_val, y_val = blobs(90, spread=6.0, seed=0)
    y_val = np.roll(y_val, 1)
    net = small(cls, num_epochs=30, learning_rate=0.01, **params)
    return net.fit(X, y, X_val=X_val, y_val=y_val), X_val, y_val


@each_estimator
@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
def test_the_weights_kept_are_those_of_the_best_epoch(cls, monitor):
    net, X_val, y_val = overfit(cls, monitor=monitor)
    losses, accuracies = [net.history_[name] for name in ("val_loss", "val_accuracy")]
    assert min(losses) < losses[-1]  # it did overfit
    loss, accuracy = log_loss(y_val, answers(net, X_val)), net.score(X_val, y_val)
    assert net.best_val_score_ == accuracy
    if net.best_epoch_:
        assert losses[net.best_epoch_ - 1] == pytest.approx(loss, rel=1e-5)
        assert accuracies[net.best_epoch_ - 1] == accuracy
    if monitor == "loss":
        assert loss <= min(losses) * (1 + 1e-5)
    else:
        assert accuracy == max(net.val_acc_history_)


@each_estimator
def test_the_loss_calls_for_an_earlier_end(cls):
    ends = [
        overfit(cls, monitor=monitor, early_stopping=True, tol=0.0, n_iter_no_change=3)[0]
        for monitor in ("loss", "accuracy")
    ]
    assert ends[0].stop_reason_ == "no_improvement"
    losses = ends[0].history_["val_loss"]
    assert len(losses) <= 5 + int(np.argmin(losses))


@each_estimator
def test_validation_loss_is_weighted_and_without_penalty(cls):
    X, y = blobs(60, spread=3.0)
    X_val, y_val = blobs(33, spread=3.0, seed=1)
    weight = 0.5 + np.arange(33) % 4
    net = small(cls, reg=0.1, num_epochs=1)
    net.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    expected = log_loss(y_val, answers(net, X_val), sample_weight=weight)
    if net.best_epoch_ == 1:
        assert net.history_["val_loss"] == [pytest.approx(expected, rel=1e-5)]
    else:
        assert net.history_["val_loss"][0] > 0


def test_without_a_validation_set():
    X, y = blobs()
    net = small(TwoLayerNet, monitor="loss").fit(X, y)
    assert (net.best_epoch_, net.best_val_score_) == (None, None)
    assert all(math.isnan(loss) for loss in net.history_["val_loss"])


@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
def test_plateaus_are_of_what_is_monitored(monitor):
    net, _, _ = overfit(FullyConnectedNet, monitor=monitor, lr_schedule="reduce_on_plateau")
    scores = np.array(net.history_[{"accuracy": "val_accuracy", "loss": "val_loss"}[monitor]])
    best = np.maximum.accumulate(scores) if monitor == "accuracy" else np.minimum.accumulate(scores)
    reduced = np.flatnonzero(np.diff(net.history_["learning_rate"]) < 0)
    assert len(reduced)
    # The epoch after four without a gain has a lower rate.
    assert abs(best[reduced[0]] - best[reduced[0] - 4]) <= 1e-4


class OwnLoss:
    """Something that is trained by its ``loss`` alone."""

    def __init__(self):
        self.params = {"W": np.zeros((16, 3)), "b": np.zeros(3)}

    def loss(self, X, y=None):
        scores = X @ self.params["W"] + self.params["b"]
        if y is None:
            return scores
        difference = (scores - np.eye(3)[y]) / len(X)
        return float((difference**2).sum()), {"W": X.T @ difference, "b": difference.sum(axis=0)}


def test_a_net_with_a_loss_of_its_own_has_no_validation_loss():
    X, y = blobs(dtype=np.float64)
    data = {"X_train": X, "y_train": y, "X_val": X, "y_val": y}
    solver = Solver(OwnLoss(), data, num_epochs=2, verbose=False, random_state=0)
    solver.train()
    assert np.isnan(solver.history["val_loss"]).all()
    assert math.isnan(solver.evaluate_training_samples().loss)
    with pytest.raises(ValueError, match="monitor='loss' needs a net with the library's loss, OwnLoss has one of its"):
        Solver(OwnLoss(), data, monitor="loss")


# ------------------------------------------------------------------------------- before the first update


@each_of_all
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_too_large_before_any_update_are_not_blamed_on_the_learning_rate(cls, dtype):
    X, y = blobs(dtype=dtype)
    X = X / np.abs(X).max() * np.finfo(dtype).max
    with pytest.raises(ValueError, match="before this training changed a weight: X holds nan or very large") as caught:
        small(cls, weight_scale=1e3).fit(X, y)
    assert "learning_rate" not in str(caught.value)
    assert "W1" in str(caught.value)


def test_errors_about_large_values_name_a_few_parameters():
    X, y = blobs()
    net = FullyConnectedNet(hidden_dims=(8,) * 16, normalization="batchnorm", num_epochs=1, random_state=0)
    with pytest.raises(ValueError, match=r"the largest magnitudes are X [\d.e+]+(, \w+ [\d.e+-]+){4}\)"):
        net.fit(X * np.float32(1e20), y)


@each_of_all
def test_partial_fit_blames_the_new_rows(cls):
    X, y = blobs()
    net = small(cls).partial_fit(X, y, **all_classes(cls, 0, 1, 2))
    with pytest.raises(ValueError, match="before this training changed a weight"):
        net.partial_fit(np.where(X > 0, np.float32(3e38), np.float32(-3e38)), y)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
@pytest.mark.parametrize("seed", range(3))
def test_a_regressor_without_a_living_unit_is_told_of_whatever_it_began_with(loss, seed):
    """First weights may be worse than a constant prediction: a loss below theirs shows nothing."""
    X, y = blobs()
    net = small(FullyConnectedRegressor, loss=loss, learning_rate=10.0, num_epochs=30, random_state=seed)
    [message] = warned(lambda: net.fit(X, y))
    assert net.score(X, y) <= 0
    assert "learning_rate=10 is too large for this data and net" in message
    assert not warned(lambda: small(FullyConnectedRegressor, loss=loss, num_epochs=30, random_state=seed).fit(X, y))


@each_of_all
def test_values_of_X_too_large_to_come_down_from_are_warned_of(cls):
    X, y = blobs(200)
    params = {"learning_rate": 1e-4, "num_epochs": 10, "weight_scale": "he"}
    [message] = warned(lambda: small(cls, **params).fit(1000 * X, y))
    assert re.search(r"worse than (their class frequencies|the mean .*) .* come down from .* Scale X", message)
    assert not warned(lambda: small(cls, **params).fit(X / X.std(), y))


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_of_a_constant_is_that_of_the_mean(loss, weighted):
    X, y = np.random.RandomState(0).uniform(0, 100, (200, 3)), np.random.RandomState(1).uniform(1, 3, (200, 2))
    weight = np.arange(200) % 3 if weighted else None
    net = small(FullyConnectedRegressor, loss=loss, learning_rate=1e-6, num_epochs=10, batch_size=20)
    [message] = warned(lambda: net.fit(X, y, sample_weight=weight))
    # Scores of zero are the mean: targets are less it and over their scale, or for counts over it.
    constant = small(FullyConnectedRegressor, loss=loss, hidden_dims=(), weight_scale=0.0, learning_rate=0.0)
    of_constant = constant.set_params(num_epochs=1, batch_size=200).fit(X, y, sample_weight=weight).loss_
    assert f"that of a constant prediction is {of_constant:.4g}. " in message


# -------------------------------------------------------------------------- plateaus of single updates


@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
@pytest.mark.parametrize("own_set", [False, True])
def test_plateaus_wait_where_an_epoch_is_a_single_update(monitor, own_set):
    """The four corners of XOR: accuracy on a few samples stands still while the first updates are made."""
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 15, float), np.array([0, 1, 1, 0] * 15)
    validation = {"X_val": X[:4], "y_val": y[:4]} if own_set else {}
    for seed in range(4):
        params = {"early_stopping": True, "lr_schedule": "reduce_on_plateau", "monitor": monitor, "random_state": seed}
        net = TwoLayerNet(**params).fit(X, y, **validation)
        assert net.score(X, y) == 1


@pytest.mark.parametrize("batch_size", [16, 48])
@pytest.mark.parametrize("validates", [False, True])
def test_how_often_a_schedule_is_told_the_score(batch_size, validates):
    X, y = blobs(48)
    told = []

    class Told(ReduceOnPlateau):
        def watch(self, state, score, of):
            told.append(score)
            super().watch(state, score, of)

    net = small(TwoLayerNet, num_epochs=30, batch_size=batch_size, lr_schedule=Told())
    net.fit(X, y, **({"X_val": X, "y_val": y} if validates else {}))
    if validates and batch_size == 48:
        assert told == net.history_["val_accuracy"][9::10]
    else:
        assert told == (net.history_["val_accuracy"] if validates else [-loss for loss in net.history_["loss"]])


@each_of_all
@pytest.mark.parametrize("value", [0, 1, 7])
@pytest.mark.parametrize("learning_rate", ["auto", 0.5])
def test_constant_X_is_called_that(cls, value, learning_rate):
    X, y = np.full((60, 16), float(value)), np.arange(60) % 3
    net = small(cls, learning_rate=learning_rate, num_epochs=10)
    what = "classes" if cls in ESTIMATORS else "targets"
    assert warned(lambda: net.fit(X, y)) == [
        f"X is constant: all training samples have the same values, and nothing tells their {what} apart."
    ]
    assert not warned(lambda: net.fit(X, np.ones(60)))
    X[0, 0] += 1
    assert "X is constant" not in "".join(warned(lambda: net.fit(X, y)))
