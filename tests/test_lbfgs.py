"""Training by L-BFGS: the optimum, how it ends, histories, watchers, and what it refuses."""

import os
import signal
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet, load
from sklearn_dl.nets import FullyConnected
from sklearn_dl.solver import Watcher
from sklearn_dl.training import _program, lbfgs

from ._estimators import assert_same, blobs, each_of_all, small
from ._recorded import assert_same as assert_same_values
from ._solvers import Linear, dataset, make

X, Y = load_iris(return_X_y=True)
X = scale(X)


def minimizing(cls=TwoLayerNet, **params):
    options = {"update_rule": "lbfgs", "reg": 0.01, "random_state": 0}
    return cls(**{**options, **({"hidden_dim": 8} if cls is TwoLayerNet else {}), **params})


def solving(net=None, data=None, **options):
    net = (
        FullyConnected([6], 8, 4, weight_scale="he", reg=0.01, dtype=np.float64, random_state=0) if net is None else net
    )
    data = dataset(n_val=0) if data is None else data
    return make(net, data, **{"update_rule": "lbfgs", "optim_config": None, "num_epochs": 100, **options})


def largest_gradient(net, X, y, sample_weight=None):
    _, grads = net.loss(X, y, sample_weight)
    return max(float(np.abs(grad).max()) for grad in grads.values())


# ------------------------------------------------------------------- the optimum


def test_softmax_finds_the_optimum_of_logistic_regression():
    weight = np.random.RandomState(0).randint(1, 4, len(Y))
    for sample_weight, class_weight in ((None, None), (weight, None), (weight, {0: 2.0, 1: 0.5, 2: 1.0})):
        total = len(Y) if sample_weight is None else weight.sum()
        if class_weight:
            total = (weight * np.array([2.0, 0.5, 1.0])[Y]).sum()
        reference = LogisticRegression(C=1 / (0.02 * total), class_weight=class_weight, tol=1e-10, max_iter=10_000)
        reference.fit(X, Y, sample_weight)
        model = minimizing(Softmax, tol=1e-9, class_weight=class_weight).fit(X, Y, sample_weight)
        assert model.stop_reason_ == "converged"
        np.testing.assert_allclose(model.predict_proba(X), reference.predict_proba(X), atol=1e-6)


def test_it_ends_where_no_element_of_the_gradient_is_above_tol():
    def linear():
        return FullyConnected([], 8, 4, weight_scale="he", reg=0.01, dtype=np.float64, random_state=0)

    for tol in (1e-1, 1e-3, 1e-7):
        solver = solving(linear(), tol=tol, num_epochs=1000)
        solver.train()
        assert solver.stop_reason == "converged"
        assert largest_gradient(solver.net, solver.train_samples.X, solver.train_samples.y) <= tol
        # The epoch before did not end it.
        before = solving(linear(), num_epochs=solver.epoch - 1)
        before.train()
        assert largest_gradient(before.net, before.train_samples.X, before.train_samples.y) > tol


def test_it_ends_where_the_loss_stays():
    """As at the kink of a relu, where the gradient is never small."""
    solver = solving(tol=1e-4, num_epochs=1000)
    solver.train()
    assert solver.stop_reason == "no_improvement"
    assert solver.epoch < 600
    assert largest_gradient(solver.net, solver.train_samples.X, solver.train_samples.y) > 1e-4


def test_the_way_is_mlpclassifiers():
    """From the same weights, with the same penalty, iteration by iteration."""
    first = MLPClassifier((8,), solver="sgd", learning_rate_init=1e-300, max_iter=1, random_state=0)
    mlp = MLPClassifier((8,), solver="lbfgs", alpha=0.5, max_iter=7, random_state=0)
    net = minimizing(reg=0.5 / len(Y), warm_start=True, num_epochs=1, tol=None).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        first.fit(X, Y)
        mlp.fit(X, Y)
    for i, (w, b) in enumerate(zip(first.coefs_, first.intercepts_, strict=True), 1):
        net.params_[f"W{i}"][...], net.params_[f"b{i}"][...] = w, b
    net.set_params(num_epochs=7).fit(X, Y)
    for i, (w, b) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True), 1):
        np.testing.assert_allclose(net.params_[f"W{i}"], w, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(net.params_[f"b{i}"], b, rtol=1e-6, atol=1e-9)
    assert net.loss_history_[-1] == pytest.approx(mlp.loss_, rel=1e-9)


@each_of_all
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_estimators_learn(cls, dtype):
    X, y = blobs(90, dtype=np.float64)
    model = small(cls, update_rule="lbfgs", num_epochs=60, dtype=dtype).fit(X, y)
    assert model.score(X, y) > 0.95
    assert model.loss_history_[-1] < 0.05 < model.loss_history_[0]


def test_weights_act_as_repetition():
    X, y = blobs(40, dtype=np.float64)
    weight = np.random.RandomState(0).randint(0, 4, 40)
    for batch_size in (100, 8):  # merged, and not
        options = {"tol": 1e-8, "batch_size": batch_size}
        weighted = minimizing(Softmax, **options).fit(X, y, weight)
        repeated = minimizing(Softmax, **options).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
        np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-6)


# ------------------------------------------------- batches of bounded size, recordings


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batches_add_up_to_the_whole(dtype, weighted, monkeypatch):
    data = dataset(61, 0)
    if weighted:
        data["sample_weight_train"] = np.random.RandomState(1).randint(0, 3, 61).astype(float)
    net = FullyConnected([6], 8, 4, weight_scale="he", reg=0.3, dtype=dtype, random_state=0)
    expected, grads = net.loss(data["X_train"], data["y_train"], data.get("sample_weight_train"))
    for bounds in ((1, 1000), (1, 20), (7, 7), (1, 1)):
        monkeypatch.setattr(lbfgs, "BATCH_BOUNDS", bounds)
        objective = lbfgs.Objective(solving(net, data))
        for _ in range(2):  # recorded, replayed
            loss, gradient = objective(objective.point())
            assert loss == pytest.approx(expected, rel=1e-6 if dtype == np.float32 else 1e-13)
            wanted = np.concatenate([grads[name].ravel() for name in objective._names])
            np.testing.assert_allclose(gradient, wanted, atol=1e-6 if dtype == np.float32 else 1e-14)


def test_a_net_with_a_loss_of_its_own_is_given_all_samples(monkeypatch):
    """It may divide by what it likes."""
    expected = outcome(solving(Linear(), num_epochs=5))
    monkeypatch.setattr(lbfgs, "BATCH_BOUNDS", (7, 7))
    assert_same_values(outcome(solving(Linear(), num_epochs=5)), expected)


def outcome(solver):
    solver.train()
    state = solver.state.to_archive(histories=list)
    del state["history"]["seconds"]
    return state


@pytest.mark.parametrize("hidden_dims", [[], [6], [7, 5]])
def test_recorded_and_not(hidden_dims, monkeypatch):
    def train():
        net = FullyConnected(hidden_dims, 8, 4, weight_scale="he", reg=0.01, random_state=0)
        return outcome(solving(net, num_epochs=12))

    recorded = train()
    monkeypatch.setattr(_program, "enabled", False)
    stepwise = train()
    for name in ("loss_history", "train_acc_history", "val_acc_history"):
        assert recorded[name] == stepwise[name]
    for name, value in recorded["params"].items():
        np.testing.assert_array_equal(value, stepwise["params"][name])


def test_a_net_with_a_loss_of_its_own():
    solver = solving(Linear(), tol=1e-4, num_epochs=1000)
    solver.train()
    assert solver.stop_reason == "converged"
    _, grads = solver.net.loss(solver.train_samples.X, solver.train_samples.y)
    assert max(np.abs(grad).max() for grad in grads.values()) <= 1e-4


# ------------------------------------------------------------------- the course of it


def test_an_iteration_is_an_epoch_and_an_update():
    solver = solving(data=dataset(), num_epochs=9)
    solver.train()
    assert solver.stop_reason == "num_epochs"
    assert solver.epoch == solver.num_updates == len(solver.history["loss"]) == 9
    assert len(solver.train_acc_history) == len(solver.val_acc_history) == 10
    assert solver.history["loss"] == solver.loss_history == sorted(solver.loss_history, reverse=True)
    assert solver.history["epoch"] == list(range(1, 10))
    assert np.isnan(solver.learning_rate_history).all()
    last = solving(num_epochs=9, data=dataset(n_val=0))
    last.train()
    loss, _ = last.net.loss(last.train_samples.X, last.train_samples.y)
    assert last.loss_history[-1] == pytest.approx(loss, rel=1e-12)


def test_num_iters():
    solver = solving(num_iters=5, tol=1e3)
    solver.train()
    assert (solver.stop_reason, solver.num_updates) == ("num_iters", 5)


def test_training_goes_on():
    solver = solving(num_epochs=4)
    solver.train()
    first = solver.loss_history[-1]
    solver.num_epochs = 8
    solver.train()
    assert solver.epoch == 8
    assert solver.loss_history[-1] < first
    model = minimizing(warm_start=True, num_epochs=4, tol=None).fit(X, Y)
    assert model.fit(X, Y).n_iter_ == 8
    assert len(model.loss_history_) == 8


def test_a_checkpoint_goes_on(tmp_path):
    """With the weights and histories; what L-BFGS knows of the curvature is learned again."""
    path = str(tmp_path / "run")
    whole = solving(num_epochs=6, checkpoint=path)
    whole.train()
    second = solving(num_epochs=10)
    second.resume(f"{path}_epoch_6.npz")
    second.train()
    whole.num_epochs = 10
    whole.train()
    assert second.loss_history == whole.loss_history
    assert second.epoch == 10
    with pytest.raises(ValueError, match=r"trained with .*update_rule 'lbfgs', not 'adam'"):
        solving(update_rule="adam").resume(f"{path}_epoch_6.npz")


def test_nothing_to_do_is_an_epoch_without_change():
    model = minimizing(warm_start=True, tol=1e-3).fit(X, Y)
    before = {name: value.copy() for name, value in model.params_.items()}
    n_iter = model.n_iter_
    model.fit(X, Y)
    assert (model.n_iter_, model.stop_reason_) == (n_iter + 1, "converged")
    assert model.loss_history_[-1] == pytest.approx(model.loss_history_[-2], rel=1e-12)
    for name, value in before.items():
        np.testing.assert_array_equal(model.params_[name], value)


def test_without_tol_it_ends_where_no_lower_loss_is_found():
    solver = solving(FullyConnected([], 8, 4, reg=0.1, dtype=np.float64, random_state=0), num_epochs=10_000)
    solver.train()
    assert solver.epoch < 1000
    assert solver.stop_reason in ("no_improvement", "converged")
    assert largest_gradient(solver.net, solver.train_samples.X, solver.train_samples.y) < 1e-6


def test_num_epochs_too_few():
    with pytest.warns(
        ConvergenceWarning, match=r"ended at num_epochs=3 before all elements of the gradient were below"
    ):
        minimizing(num_epochs=3).fit(X, Y)
    minimizing(num_epochs=3, tol=None).fit(X, Y)
    minimizing().fit(X, Y)  # 'auto' is enough


def test_early_stopping():
    solver = solving(data=dataset(), num_epochs=500, early_stopping=True, tol=1e-4, monitor="loss", n_iter_no_change=50)
    solver.train()
    assert solver.stop_reason == "no_improvement"
    assert solver.best_epoch < solver.epoch
    assert solver.history["val_loss"][solver.best_epoch - 1] == min(solver.history["val_loss"])
    model = minimizing(early_stopping=True, num_epochs=80, tol=None, hidden_dim=30).fit(X, Y)
    assert model.best_val_score_ == max(model.val_acc_history_)


class Notes(Watcher):
    def __init__(self, last=None):
        self.calls, self.last = [], last

    def on_train_begin(self, solver):
        self.calls.append("train")

    def on_epoch_begin(self, solver):
        self.calls.append("begin")

    def on_update(self, solver):
        self.calls.append("update")

    def on_epoch_end(self, solver):
        self.calls.append("end")
        return solver.epoch == self.last

    def on_train_end(self, solver):
        self.calls.append("done")


@pytest.mark.parametrize("tol", [1e-2, 1e9, None])
def test_watchers_are_told_of_each_iteration(tol):
    notes = Notes()
    solver = solving(tol=tol, num_epochs=6, watchers=[notes])
    solver.train()
    assert solver.epoch == {1e-2: 6, 1e9: 1, None: 6}[tol]
    assert notes.calls == ["train", *["begin", "update", "end"] * solver.epoch, "done"]


def test_a_watcher_ends_it():
    notes = Notes(last=3)
    solver = solving(watchers=[notes])
    solver.train()
    assert (solver.epoch, solver.stop_reason) == (3, "stopped")
    assert notes.calls.count("begin") == notes.calls.count("end") == 3


class Impatient(FullyConnected):
    """Stops training in its call of backprop of this number."""

    def __init__(self, last):
        super().__init__([6], 8, 4, weight_scale="he", reg=0.01, dtype=np.float64, random_state=0)
        self.calls, self.last = 0, last

    def backprop(self, *args, **kwargs):
        self.calls += 1
        if self.calls == self.last:
            self.solver.stop()
        return super().backprop(*args, **kwargs)


def stopped_in(call, data):
    """Return a solver that was stopped in a call of backprop, and what a watcher noted."""
    notes, net = Notes(), Impatient(call)
    net.solver = solver = solving(net, data, watchers=[notes])
    solver.train()
    assert (net.calls, solver.stop_reason) == (call, "stopped")
    return solver, notes


@pytest.mark.parametrize("batch", [60, 16])
@pytest.mark.parametrize("call", [8, 9, 10, 15])
def test_ending_amid_an_iteration_leaves_the_last_one(batch, call, monkeypatch):
    """And amid an evaluation: no batch of it follows."""
    monkeypatch.setattr(lbfgs, "BATCH_BOUNDS", (batch, batch))
    data = dataset(n_val=0)
    solver, notes = stopped_in(call, data)
    assert notes.calls == ["train", *["begin", "update", "end"] * solver.epoch, "done"]
    assert 0 < solver.epoch < call
    loss, _ = solver.net.loss(data["X_train"], data["y_train"])
    assert loss == pytest.approx(solver.loss_history[-1], rel=1e-12)


@pytest.mark.parametrize(("batch", "call"), [(60, 1), (16, 1), (16, 2), (16, 5)])
def test_ending_before_the_first_iteration_leaves_the_net_as_it_was(batch, call, monkeypatch):
    monkeypatch.setattr(lbfgs, "BATCH_BOUNDS", (batch, batch))
    solver, notes = stopped_in(call, dataset(n_val=0))
    assert notes.calls == ["train", "begin", "done"]
    assert (solver.epoch, solver.loss_history) == (0, [])
    before = Impatient(call)
    for name, value in before.params.items():
        np.testing.assert_array_equal(solver.net.params[name], value)
    solver.train()
    assert solver.epoch > 1


def test_a_watcher_ends_it_before_the_first_iteration():
    class AtOnce(Watcher):
        def on_epoch_begin(self, solver):
            solver.stop()

    solver = solving(watchers=[AtOnce()])
    solver.train()
    assert (solver.epoch, solver.stop_reason) == (0, "stopped")


def test_ctrl_c_ends_it(monkeypatch, hears_ctrl_c):
    class Interrupts(Watcher):
        def on_epoch_end(self, solver):
            if solver.epoch == 4:
                os.kill(os.getpid(), signal.SIGINT)

    from sklearn_dl import _base

    model = minimizing(tol=None)
    make_displays = _base.make_displays
    monkeypatch.setattr(_base, "make_displays", lambda *a, **k: [*make_displays(*a, **k), Interrupts()])
    with pytest.warns(UserWarning, match="Training was interrupted in epoch"):
        model.fit(X, Y)
    assert model.stop_reason_ == "interrupted"
    assert 4 <= model.n_iter_ <= 5
    assert model.predict(X).shape == Y.shape


@pytest.mark.parametrize("scale", [np.nan, 1e300])
def test_numbers_that_are_not_finite(scale):
    data = dataset()
    data["X_train"] = data["X_train"] * scale
    with pytest.raises(ValueError, match="before this training changed a weight"):
        solving(data=data).train()


# ------------------------------------------------------------------- in scikit-learn


def test_it_is_searched_saved_and_shown(tmp_path, capsys):
    grid = {"update_rule": ["lbfgs", "adam"], "learning_rate": [1e-3, 1e-2], "momentum": [None, 0.5]}
    search = GridSearchCV(minimizing(num_epochs=20, tol=None), grid, cv=2, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 8
    model = minimizing(num_epochs=20, tol=None, verbose=2).fit(X, Y)
    assert "loss" in capsys.readouterr().out
    model.save(tmp_path / "net")
    loaded = load(tmp_path / "net")
    assert_same(loaded, model)
    for net in (model, loaded):
        net.set_params(warm_start=True, verbose=0).fit(X, Y)
    assert_same(loaded, model)


def test_no_partial_fit():
    model = minimizing()
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as told:
        model.partial_fit(X, Y)
    assert "update_rule='lbfgs' takes all samples at once" in str(told.value.__cause__)
    assert hasattr(model.set_params(update_rule="adam"), "partial_fit")
    assert hasattr(model.set_params(update_rule=["adam"]), "partial_fit")  # what is wrong is told by the method


@pytest.mark.parametrize(
    ("cls", "params", "message"),
    [
        (TwoLayerNet, {"dropout_keep_ratio": 0.5}, r"which the loss is not with Dropout\(0\.5\)"),
        (TwoLayerNet, {"normalization": "batchnorm"}, r"which the loss is not with BatchNorm\(\)"),
        (ThreeLayerConvNet, {"augmentation": "flip", "input_shape": (1, 4, 4)}, "set augmentation=None"),
        (TwoLayerNet, {"lr_schedule": "cosine"}, "set lr_schedule=None"),
        (TwoLayerNet, {"clip_norm": 1.0}, "set clip_norm=None"),
        (TwoLayerNet, {"optim_config": {"momentum": 0.5}}, r"optim_config\['momentum'\] is no constant .* has none"),
    ],
)
def test_what_it_refuses(cls, params, message):
    rows, y = blobs()
    with pytest.raises(ValueError, match=message):
        minimizing(cls, **params).fit(rows, y)


def test_layer_normalization_is_fine():
    model = minimizing(FullyConnectedNet, hidden_dims=(8, 8), normalization="layernorm").fit(X, Y)
    assert model.score(X, Y) > 0.97


def test_the_last_line_says_that_it_has_converged(capsys):
    minimizing(num_epochs=500, tol=1e-2, verbose=2).fit(X, Y)
    assert capsys.readouterr().out.endswith(": no element of the gradient is larger than tol=0.01.\n")
