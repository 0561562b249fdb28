"""Heads: loss, gradient and score of each, in nets that a Solver trains, recorded or step by step, and in files."""

import pickle

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from sklearn_dl import load, losses
from sklearn_dl.gradient_check import check_net
from sklearn_dl.nets import FullyConnected, Net, ThreeLayerConv
from sklearn_dl.nets.heads import HEADS, Head, HuberHead, LogisticHead, SoftmaxHead, SquaredErrorHead
from sklearn_dl.nets.layers import Affine, ReLU
from sklearn_dl.solver import Solver
from sklearn_dl.training import _program

from ._recorded import assert_same, outcome

LABELS = ("softmax", "hinge")
OBJECTS = {
    **{name: cls() for name, cls in HEADS.items()},
    "smoothed": SoftmaxHead(label_smoothing=0.2),
    "narrow huber": HuberHead(delta=0.25),
}
EACH_HEAD = pytest.mark.parametrize("head", OBJECTS.values(), ids=OBJECTS)


def targets(head, n, k, rng):
    if head.takes_labels:
        return rng.randint(k, size=n)
    if head.name == "logistic":
        return rng.randint(2, size=(n, k)).astype(np.float64)
    return rng.poisson(2.0, (n, k)).astype(np.float64)


def loss_function(head):
    """Return the function of `losses` that does what a head does."""
    name = {"softmax": "softmax_loss", "hinge": "svm_loss"}.get(head.name, head.name)
    function = getattr(losses, name, None) or getattr(losses, f"{name}_loss")
    return lambda x, y, **options: function(x, y, **head.arguments(), **options)


@EACH_HEAD
@pytest.mark.parametrize("weighted", [False, True])
def test_a_net_has_the_loss_of_its_head(head, weighted, rng):
    net = Net([Affine(6), ReLU(), Affine(3)], (4,), head=head, weight_scale="he", dtype=np.float64, random_state=0)
    X, y = rng.randn(9, 4), targets(head, 9, 3, rng)
    weight = rng.rand(9) if weighted else None
    loss, grads = net.loss(X, y, sample_weight=weight)
    expected, dscores = loss_function(head)(net.loss(X), y, sample_weight=weight)
    assert loss == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(grads["b2"], dscores.sum(axis=0), atol=1e-14)


@EACH_HEAD
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("depth", [0, 1])
def test_a_solver_trains_on_the_loss_of_the_head(head, depth, weighted, rng):
    """A linear net, too, which may take rows."""
    net = FullyConnected([6] * depth, 128, 3, head=head, reg=0.1, weight_scale="he", dtype=np.float64, random_state=0)
    X, y = rng.randn(9, 128), targets(head, 9, 3, rng)
    assert net.takes_rows == (depth == 0 and head == SoftmaxHead())
    weight = rng.rand(9) if weighted else None
    loss, grads = net.loss(X, y, sample_weight=weight)
    expected = {name: value - 0.1 * grads[name] for name, value in net.params.items()}
    data = {"X_train": X, "y_train": y, "sample_weight_train": weight}
    solver = Solver(net, data, num_epochs=1, optim_config={"learning_rate": 0.1}, verbose=False)
    solver.train()
    assert solver.loss_history == pytest.approx([loss], rel=1e-13)
    for name, value in expected.items():
        np.testing.assert_allclose(net.params[name], value, atol=1e-14)


@EACH_HEAD
def test_gradients_of_a_net(head, rng):
    net = Net([Affine(6), ReLU(), Affine(3)], (4,), head=head, weight_scale="he", dtype=np.float64, random_state=0)
    errors = check_net(net, rng.randn(9, 4), targets(head, 9, 3, rng))
    assert max(errors.values()) < 1e-6


@EACH_HEAD
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_are_those_of_scikit_learn(head, weighted, dtype, rng):
    net = FullyConnected([7], 5, 4, head=head, weight_scale="he", dtype=dtype, random_state=0)
    n = 300  # more than a batch of an evaluation
    X, y, weight = rng.randn(n, 5).astype(dtype), targets(head, n, 4, rng), rng.rand(n) if weighted else None
    data = {"X_train": X, "y_train": y, "X_val": X, "y_val": y, "sample_weight_val": weight}
    solver = Solver(net, data, num_epochs=1, batch_size=50, verbose=False, optim_config={"learning_rate": 0})
    solver.train()
    scores = net.loss(X).astype(np.float64)
    if head.takes_labels:
        expected = accuracy_score(y, scores.argmax(axis=1), sample_weight=weight)
    elif head.name == "logistic":
        expected = accuracy_score(y, scores > 0, sample_weight=weight)
    else:
        expected = r2_score(y, np.exp(scores) if head.name == "poisson" else scores, sample_weight=weight)
    assert solver.val_acc_history == pytest.approx([expected, expected], rel=1e-5 if dtype == np.float32 else 1e-12)
    assert solver.history[f"val_{head.score_name}"] == solver.val_acc_history[1:]
    loss = loss_function(head)(scores, y, sample_weight=weight)[0]
    assert solver.history["val_loss"] == pytest.approx([loss], rel=1e-5 if dtype == np.float32 else 1e-12)


@EACH_HEAD
@pytest.mark.parametrize("hidden", [(), (8,)])
@pytest.mark.parametrize("weighted", [False, True])
def test_recorded_training_has_the_bits_of_the_step_by_step_one(head, hidden, weighted, monkeypatch, rng):
    X, y = rng.randn(67, 6), targets(head, 67, 3, rng)
    weight = rng.rand(67) if weighted else None
    outcomes = []
    for enabled in (True, False):
        monkeypatch.setattr(_program, "enabled", enabled)
        net = FullyConnected(hidden, 6, 3, head=head, weight_scale="he", reg=1e-3, random_state=0)
        data = {"X_train": X, "y_train": y, "X_val": X[:20], "y_val": y[:20], "sample_weight_train": weight}
        solver = Solver(net, data, update_rule="adam", batch_size=16, num_epochs=12, verbose=False, random_state=1)
        solver.train()
        outcomes.append(outcome(solver))
    assert_same(*outcomes)


@pytest.mark.parametrize("name", [name for name in HEADS if name not in (*LABELS, "poisson")])
def test_each_head_learns(name, rng):
    X = rng.randn(400, 4)
    y = np.column_stack([X[:, 0] + X[:, 1], X[:, 2] - X[:, 3]])
    y = (y > 0).astype(float) if name == "logistic" else y
    net = FullyConnected([30], 4, 2, head=name, weight_scale="he", random_state=0)
    data = {"X_train": X[:300], "y_train": y[:300], "X_val": X[300:], "y_val": y[300:]}
    solver = Solver(net, data, update_rule="adam", num_epochs=30, batch_size=30, verbose=False, random_state=0)
    solver.train()
    assert solver.val_acc_history[0] < 0.5
    assert solver.best_val_acc > 0.85


def test_poisson_learns_rates(rng):
    X = rng.rand(600, 2)
    y = rng.poisson(np.exp(2 * X[:, 0]))
    net = FullyConnected([], 2, 1, head="poisson", random_state=0)
    options = {"update_rule": "adam", "num_epochs": 60, "batch_size": 20, "verbose": False, "random_state": 0}
    Solver(net, {"X_train": X, "y_train": y}, **options).train()
    assert net.params["W1"].ravel() == pytest.approx([2, 0], abs=0.2)


def test_the_best_epoch_by_r2_and_by_loss(rng):
    X, y = rng.randn(60, 3), rng.randn(60)
    data = {"X_train": X[:30], "y_train": y[:30], "X_val": X[30:], "y_val": y[30:]}
    for monitor, column, best in (
        (None, "val_r2", np.argmax),
        ("r2", "val_r2", np.argmax),
        ("loss", "val_loss", np.argmin),
    ):
        net = FullyConnected([20], 3, 1, head="squared_error", weight_scale="he", random_state=0)
        options = {"update_rule": "adam", "num_epochs": 15, "batch_size": 5, "verbose": False, "random_state": 0}
        solver = Solver(net, data, monitor=monitor, **options)
        solver.train()
        history = solver.history[column]
        if solver.best_epoch:
            assert solver.best_epoch == 1 + best(history)
        expected = r2_score(y[30:], net.loss(X[30:])[:, 0])
        assert solver.best_val_acc == pytest.approx(expected, rel=1e-5)


def test_an_output_of_equal_targets_counts_as_zero(rng):
    # 0.1 is not the rounded mean of twenty of them.
    for equal, weight in ((3.0, None), (0.1, None), (0.1, rng.rand(20)), (1e-160, None)):
        head, y = SquaredErrorHead(), np.column_stack([rng.randn(20), np.full(20, equal)])
        y[0, 1] *= 2 if equal == 1e-160 else 1  # as good as equal: the square of the difference is denormal
        tally = head.new_tally(2)
        head.begin_tally(tally, y, weight)
        assert tally[0] > tally[1] == 0
        assert head.score_terms(tally) == (0.5, -1.0, False)
        assert head.judge(y, y, weight, tally) == 0


def test_the_lines_of_verbose_name_the_score(rng, capsys):
    net = FullyConnected([], 3, 1, head="squared_error", random_state=0)
    X, y = rng.randn(20, 3), rng.randn(20)
    Solver(net, {"X_train": X, "y_train": y, "X_val": X, "y_val": y}, num_epochs=1).train()
    assert "train r2: " in capsys.readouterr().out


# ------------------------------------------------------------------ names, files, errors


def test_heads_by_name_and_as_objects():
    net = Net([Affine(3)], 4, head="huber", random_state=0)
    assert net.head == HuberHead() != HuberHead(delta=2.0)
    assert repr(net.head) == "HuberHead(delta=1.0)"
    assert len({HuberHead(), HuberHead(), HuberHead(2.0), LogisticHead()}) == 3
    net.head = "logistic"
    assert net.head == LogisticHead()
    assert Net([Affine(3)], 4, random_state=0).head == SoftmaxHead()
    assert ThreeLayerConv((1, 4, 4), 2, 3, 5, 3, head="hinge", random_state=0).head.name == "hinge"
    with pytest.raises(ValueError, match=r"head must be one of 'softmax', 'hinge'.*got 'mse'"):
        Net([Affine(3)], 4, head="mse")
    with pytest.raises(TypeError, match="or a Head, got 3"):
        net.head = 3
    assert net.head == LogisticHead()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SoftmaxHead(label_smoothing=1.0), "label_smoothing == 1"),
        (lambda: SoftmaxHead(label_smoothing=-0.1), "label_smoothing == -0.1"),
        (lambda: HuberHead(delta=0), "delta == 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@EACH_HEAD
def test_saved_and_pickled_nets_keep_their_head(head, tmp_path):
    net = FullyConnected([3], 4, 2, head=head, random_state=0)
    net.save(tmp_path / "net")
    for twin in (load(tmp_path / "net"), pickle.loads(pickle.dumps(net))):
        assert twin.head == head


def test_a_head_of_another_package_is_not_saved(tmp_path):
    class Own(SquaredErrorHead):
        pass

    net = FullyConnected([], 4, 2, head=Own(), random_state=0)
    with pytest.raises(TypeError, match="head is a Own, which is none of"):
        net.save(tmp_path / "net")


@pytest.mark.parametrize(
    ("head", "y", "message"),
    [
        ("squared_error", np.zeros(5), r"y must be numbers of shape \(5, 2\), got float64 of shape \(5,\)"),
        ("squared_error", np.array(["a"] * 10).reshape(5, 2), "y must be numbers of shape"),
        ("squared_error", np.full((5, 2), np.nan), "y must be finite"),
        ("poisson", np.full((5, 2), -1.0), "y must be at least 0 for the head 'poisson', got -1 to -1"),
        ("logistic", np.full((5, 2), 2), r"y must be in \[0, 1\] for the head 'logistic', got 2 to 2"),
        ("softmax", np.zeros((5, 2)), "y must be 5 integers"),
        ("hinge", np.full(5, 2), "y must hold integers from 0 to 1, got 2 to 2"),
    ],
)
def test_targets_that_do_not_fit(head, y, message):
    net = FullyConnected([], 3, 2, head=head, random_state=0)
    with pytest.raises(ValueError, match=message):
        net.loss(np.zeros((5, 3)), y)
    with pytest.raises(ValueError, match=message.replace("y must", r"data\['y_train'\] must")):
        Solver(net, {"X_train": np.zeros((5, 3)), "y_train": y})


def test_one_output_takes_a_vector(rng):
    net = FullyConnected([], 3, 1, head="squared_error", random_state=0)
    X, y = rng.randn(5, 3), rng.randn(5)
    assert net.loss(X, y)[0] == net.loss(X, y[:, None])[0]


def test_a_head_of_ones_own_trains_step_by_step(rng):
    class Cubic(Head):
        name, score_name, takes_labels = "cubic", "r2", False

        def check_targets(self, name, y, n_samples, n_scores):
            return np.reshape(y, (n_samples, 1))

        def loss(self, scores, targets, sample_weight, dscores, total_weight=0.0):
            off = np.abs(scores - targets)
            if dscores is not None:
                dscores[...] = 3 * off**2 * np.sign(scores - targets) / len(scores)
            return float((off**3).sum() / (total_weight or len(scores)))

        new_tally, begin_tally = SquaredErrorHead.new_tally, SquaredErrorHead.begin_tally
        judge, score_terms = SquaredErrorHead.judge, SquaredErrorHead.score_terms

    X = rng.randn(100, 2)
    net = FullyConnected([], 2, 1, head=Cubic(), random_state=0)
    options = {"update_rule": "adam", "num_epochs": 60, "batch_size": 20, "verbose": False, "random_state": 0}
    solver = Solver(net, {"X_train": X, "y_train": X[:, 0]}, **options)
    solver.train()
    assert solver.train_acc_history[-1] > 0.9
    assert solver.history["loss"][-1] < solver.history["loss"][0] / 2
