"""What docs/coming_from/mlpclassifier.rst says, against scikit-learn's MLPClassifier itself: a test for each row.

To compare numbers, both nets begin with the same weights and see the same minibatches in the same order, in float64.
"""

import inspect
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from numpydoc.docscrape import ClassDoc
from scipy.special import expit
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

import sklearn_dl
from sklearn_dl import FullyConnectedNet, TwoLayerNet
from sklearn_dl.schedules import InverseScaling, ReduceOnPlateau

PAGE = Path(__file__).resolve().parent.parent / "docs" / "coming_from" / "mlpclassifier.rst"

# The nets are trained for a few epochs only.
not_converged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
pytestmark = not_converged

X, Y = load_iris(return_X_y=True)
X = scale(X)
HIDDEN = (6, 5)
takes_weights = "sample_weight" in inspect.signature(MLPClassifier.fit).parameters

# ------------------------------------------------------------------------------ the page and its tests

ROWS = {}


def row(text):
    """Say that a test proves the row of the page that begins with this text."""

    def note(test):
        ROWS.setdefault(text, []).append(test.__name__)
        return test

    return note


def tables():
    """Return the rows of the page's tables by the titles above them: pairs of cells."""
    sections = re.split(r"\n([^\n]+)\n-{3,}\n", PAGE.read_text(encoding="utf-8"))[1:]
    found = {}
    for title, text in zip(sections[::2], sections[1::2], strict=True):
        rows = re.findall(r"^   \* - (.*?)\n     - (.*?)(?=\n   \* - |\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
        found[title] = [tuple(" ".join(cell.split()) for cell in cells) for cells in rows][1:]
    return found


needs_page = pytest.mark.skipif(not PAGE.exists(), reason="the documentation's files are not part of an installation")


@needs_page
def test_each_row_has_a_test():
    firsts = [first for rows in tables().values() for first, _ in rows]
    assert len(firsts) == len(set(firsts)) > 35
    assert set(firsts) == set(ROWS)


@needs_page
@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Parameters", set(MLPClassifier().get_params())),
        ("What is learned", {attribute.name for attribute in ClassDoc(MLPClassifier)["Attributes"]}),
        ("Methods", {name for name in dir(MLPClassifier) if name[0] != "_"}),
    ],
)
def test_each_name_of_mlpclassifier_has_a_row(title, names):
    assert len(names) > 8
    cells = " ".join(first for first, _ in tables()[title])
    named = {re.match(r"\w+", literal).group() for literal in re.findall("``(.*?)``", cells)}
    weights = set() if takes_weights else {"set_fit_request"}
    assert named - weights - {"none"} == names


def test_documented_attributes_are_those_that_there_are():
    frame = pd.DataFrame(X, columns=list("abcd"))
    mlp = MLPClassifier(HIDDEN, max_iter=1).fit(frame, Y)
    learned = {name for name in dir(mlp) if name[-1] == "_" and name[0] != "_"}
    assert learned == {attribute.name for attribute in ClassDoc(MLPClassifier)["Attributes"]}


# ------------------------------------------------------------------------------ two nets side by side


@dataclass
class Course:
    """What both nets have learned, weights by layer and losses by epoch, and the nets."""

    mlp: MLPClassifier
    net: FullyConnectedNet

    def __post_init__(self):
        layers = range(1, len(HIDDEN) + 2)
        self.weights = [(self.net.params_[f"W{i}"], self.mlp.coefs_[i - 1]) for i in layers]
        self.weights += [(self.net.params_[f"b{i}"], self.mlp.intercepts_[i - 1]) for i in layers]
        self.losses = self.net.history_["loss"][1:], self.mlp.loss_curve_  # without the epoch before the same weights

    @property
    def difference(self):
        """The largest difference of two weights."""
        return max(float(np.abs(ours - theirs).max()) for ours, theirs in self.weights)

    def assert_same(self):
        assert self.difference < 1e-12
        np.testing.assert_allclose(*self.losses, rtol=1e-10)


def first_weights(y, **settings):
    """Return the weights that MLPClassifier draws."""
    mlp = MLPClassifier(HIDDEN, max_iter=1, learning_rate_init=1e-300, random_state=0, **settings).fit(X, y)
    return mlp.coefs_, mlp.intercepts_


def our_net(y, activation="relu", **settings):
    """Return our net with those weights, one epoch old, to go on from."""
    net = FullyConnectedNet(hidden_dims=HIDDEN, activation=activation, shuffle=False, warm_start=True, random_state=0)
    net.set_params(update_rule="sgd", learning_rate=0, num_epochs=1).fit(X, y)
    for i, (w, b) in enumerate(zip(*first_weights(y, activation=activation), strict=True), 1):
        net.params_[f"W{i}"][...] = w
        net.params_[f"b{i}"][...] = b
    options = {"update_rule": "adam", "learning_rate": 1e-3, "epsilon": 1e-20, "batch_size": 50, "num_epochs": 12}
    return net.set_params(**{**options, **settings})


def their_net(**settings):
    options = {"alpha": 0, "epsilon": 1e-20, "batch_size": 50, "max_iter": 12, "shuffle": False, "random_state": 0}
    return MLPClassifier(HIDDEN, **{**options, **settings})


def side_by_side(theirs, ours, **fit):
    """Train both with these settings; what neither says is adam, 12 epochs of three minibatches, no penalty."""
    return Course(their_net(**theirs).fit(X, Y, **fit), our_net(Y, **ours).fit(X, Y, **fit))


SGD = {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.05}
OUR_SGD = {"update_rule": "sgd_momentum", "learning_rate": 0.05}

# ------------------------------------------------------------------------------ parameters


@row("``hidden_layer_sizes=(100,)``")
def test_hidden_layers():
    assert MLPClassifier().hidden_layer_sizes == (100,)
    assert FullyConnectedNet().hidden_dims == (100, 100)
    assert TwoLayerNet().hidden_dim == 100
    net = FullyConnectedNet(hidden_dims=(7, 3), num_epochs=1, random_state=0).fit(X, Y)
    mlp = MLPClassifier((7, 3), max_iter=1).fit(X, Y)
    assert [net.params_[f"W{i}"].shape for i in (1, 2, 3)] == [w.shape for w in mlp.coefs_]
    for hidden in (5, (5,)):
        assert FullyConnectedNet(hidden_dims=hidden, num_epochs=1, random_state=0).fit(X, Y).params_["W2"].shape == (
            5,
            3,
        )
        assert MLPClassifier(hidden, max_iter=1).fit(X, Y).coefs_[1].shape == (5, 3)


@row("``activation='relu'``")
@pytest.mark.parametrize("activation", ["identity", "logistic", "relu", "tanh"])
def test_activations(activation):
    assert MLPClassifier().activation == FullyConnectedNet().activation == "relu"
    side_by_side({"activation": activation}, {"activation": activation}).assert_same()


@row("``solver='adam'``")
def test_adam():
    assert MLPClassifier().solver == FullyConnectedNet().update_rule == "adam"
    side_by_side({"solver": "adam"}, {"update_rule": "adam"}).assert_same()


@row("``solver='sgd'``")
def test_sgd():
    side_by_side(SGD, OUR_SGD).assert_same()
    side_by_side({**SGD, "momentum": 0}, {**OUR_SGD, "update_rule": "sgd"}).assert_same()


@row("``solver='lbfgs'``, ``max_fun``")
def test_lbfgs():
    # Ten iterations: then a unit of relu changes sides by rounding.
    theirs = their_net(solver="lbfgs", alpha=0.3, max_iter=10).fit(X, Y)
    ours = our_net(Y, update_rule="lbfgs", reg=0.3 / len(X), tol=1e-4, num_epochs=10).fit(X, Y)
    assert ours.n_iter_ - 1 == theirs.n_iter_ == 10  # without the epoch before the same weights
    for i, (w, b) in enumerate(zip(theirs.coefs_, theirs.intercepts_, strict=True), 1):
        np.testing.assert_allclose(ours.params_[f"W{i}"], w, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours.params_[f"b{i}"], b, rtol=1e-6, atol=1e-8)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-9)
    few = {"solver": "lbfgs", "max_fun": 3}
    assert their_net(**few).fit(X, Y).n_iter_ < their_net(solver="lbfgs").fit(X, Y).n_iter_
    assert "max_fun" not in FullyConnectedNet().get_params()
    for net in (their_net(solver="lbfgs"), FullyConnectedNet(update_rule="lbfgs")):
        assert not hasattr(net, "partial_fit")


@row("``momentum=0.9``")
def test_momentum():
    assert MLPClassifier().momentum == 0.9
    side_by_side(SGD, {**OUR_SGD, "momentum": None}).assert_same()
    side_by_side({**SGD, "momentum": 0.5}, {**OUR_SGD, "momentum": 0.5}).assert_same()


@row("``nesterovs_momentum=True``")
def test_nesterov():
    assert MLPClassifier().nesterovs_momentum is True
    nesterov = {"update_rule": "nesterov", "learning_rate": 0.05}
    side_by_side({**SGD, "nesterovs_momentum": True}, nesterov).assert_same()
    side_by_side({**SGD, "nesterovs_momentum": True, "momentum": 0.5}, {**nesterov, "momentum": 0.5}).assert_same()
    assert side_by_side({**SGD, "nesterovs_momentum": True}, OUR_SGD).difference > 1e-3


@row("``beta_1=0.9``, ``beta_2=0.999``")
def test_betas():
    assert (MLPClassifier().beta_1, MLPClassifier().beta_2) == (0.9, 0.999)
    side_by_side({"beta_1": 0.9, "beta_2": 0.999}, {"beta1": None, "beta2": None}).assert_same()
    side_by_side({"beta_1": 0.7, "beta_2": 0.8}, {"beta1": 0.7, "beta2": 0.8}).assert_same()


@row("``epsilon=1e-8``")
def test_epsilon_stands_at_another_place():
    assert MLPClassifier().epsilon == 1e-8
    default = side_by_side({}, {"epsilon": None})
    assert 0 < default.difference == side_by_side({}, {"epsilon": 1e-8}).difference
    assert side_by_side({"epsilon": 0.01}, {"epsilon": 0.01}).difference > 1e-4
    # Without a memory of squares there is no correction, and one place is as good as the other.
    forgetful = {"epsilon": 0.01}, {"epsilon": 0.01}
    side_by_side({**forgetful[0], "beta_2": 0}, {**forgetful[1], "beta2": 0}).assert_same()


@row("``epsilon=1e-8``")
@pytest.mark.parametrize("beta_2", [0.999, 0.9])
def test_epsilon_of_the_first_update(beta_2):
    one = {"batch_size": len(X)}
    theirs = {"epsilon": 0.01, "beta_2": beta_2, "max_iter": 1, **one}
    ours = {"epsilon": 0.01 / np.sqrt(1 - beta_2), "beta2": beta_2, "num_epochs": 1, **one}
    side_by_side(theirs, ours).assert_same()
    assert round(1 / np.sqrt(1 - 0.999)) == 32


@row("``alpha=1e-4``")
def test_alpha_is_divided_by_the_minibatch():
    assert MLPClassifier().alpha == 1e-4
    assert FullyConnectedNet().reg == 0
    side_by_side({"alpha": 0.5}, {"reg": 0.5 / 50}).assert_same()
    assert side_by_side({"alpha": 0.5}, {"reg": 0.5}).difference > 1e-3


@row("``batch_size='auto'``, up to 200")
def test_batch_size():
    assert MLPClassifier().batch_size == "auto"
    assert FullyConnectedNet().batch_size == 64
    many = np.vstack([X, X]), np.r_[Y, Y]
    mlp = MLPClassifier(HIDDEN, max_iter=1).fit(*many)
    assert mlp._optimizer.t == 2  # updates, of 200 and of 100 samples
    with pytest.warns(UserWarning, match="batch_size"):
        MLPClassifier(HIDDEN, max_iter=1, batch_size=1000).fit(X, Y)
    net = FullyConnectedNet(batch_size=1000, num_epochs=1, tol=None, random_state=0).fit(X, Y)
    assert len(net.loss_history_) == 1


@row("``learning_rate_init=1e-3``")
def test_first_learning_rate():
    assert MLPClassifier().learning_rate_init == 1e-3
    assert FullyConnectedNet().learning_rate == "auto"
    assert FullyConnectedNet(num_epochs=1, random_state=0).fit(X, Y).learning_rate_history_[0] == 2e-3
    side_by_side({"learning_rate_init": 0.02}, {"learning_rate": 0.02}).assert_same()


@row("``learning_rate='constant'``")
def test_constant_learning_rate():
    assert MLPClassifier().learning_rate == "constant"
    net = FullyConnectedNet(num_epochs=5, random_state=0)
    assert (net.lr_decay, net.lr_schedule) == (1, None)
    assert set(net.fit(X, Y).learning_rate_history_) == {2e-3}


def reductions(mlp, capsys):
    """Return the learning rates that MLPClassifier reduces to, by the epoch in which it says so."""
    capsys.readouterr()
    mlp.set_params(verbose=True).fit(X, Y)
    epoch, found = 0, {}
    for line in capsys.readouterr().out.splitlines():
        if match := re.match(r"Iteration (\d+)", line):
            epoch = int(match.group(1))
        if match := re.search(r"Setting learning rate to (\S+)", line):
            found[epoch] = float(match.group(1))
    return found


@row("``learning_rate='adaptive'``")
def test_adaptive_learning_rate_goes_on_to_another(capsys):
    assert ReduceOnPlateau().patience == 3
    adaptive = {**SGD, "learning_rate": "adaptive", "learning_rate_init": 0.001, "tol": 1, "max_iter": 40}
    theirs = reductions(their_net(**adaptive), capsys)
    assert theirs == {12: 2e-4, 23: 4e-5, 34: 8e-6}  # no epoch is better by 1 than the first
    schedule = ReduceOnPlateau(patience=10, min_gain=1)
    net = our_net(Y, **{**OUR_SGD, "learning_rate": 0.001, "lr_schedule": schedule, "tol": None, "num_epochs": 40})
    rates = net.fit(X, Y).history_["learning_rate"][1:]
    ours = {i: round(now, 7) for i, (before, now) in enumerate(itertools.pairwise(rates), 1) if now != before}
    assert ours == theirs
    side_by_side(
        adaptive, {**OUR_SGD, "learning_rate": 0.001, "lr_schedule": schedule, "tol": None, "num_epochs": 40}
    ).assert_same()


@row("``learning_rate='adaptive'``")
def test_adaptive_learning_rate_ends_training_when_it_is_small():
    adaptive = {**SGD, "learning_rate": "adaptive", "learning_rate_init": 1e-6, "tol": 1, "max_iter": 40}
    assert their_net(**adaptive).fit(X, Y).n_iter_ == 12
    schedule = ReduceOnPlateau(patience=10, min_gain=1)
    net = our_net(Y, **{**OUR_SGD, "learning_rate": 1e-6, "lr_schedule": schedule, "tol": None, "num_epochs": 40})
    assert net.fit(X, Y).n_iter_ == 41
    # With tol, training would end before the first reduction.
    assert our_net(Y, **OUR_SGD, lr_schedule=schedule, tol=1).set_params(num_epochs=40).fit(X, Y).n_iter_ == 13


@row("``learning_rate='adaptive'``")
def test_adaptive_learning_rate_is_for_sgd_only(capsys):
    assert reductions(their_net(learning_rate="adaptive", tol=1, max_iter=40), capsys) == {}
    schedule = ReduceOnPlateau(patience=10, min_gain=1)
    net = our_net(Y, update_rule="adam", lr_schedule=schedule, tol=None, num_epochs=40).fit(X, Y)
    assert len(set(net.history_["learning_rate"][1:])) == 4


@row("``learning_rate='invscaling'``, ``power_t=0.5``")
def test_inverse_scaling():
    assert MLPClassifier().power_t == InverseScaling().power == 0.5
    for power in (0.5, 0.2):
        schedule = InverseScaling(power, rate=50, every=3)  # minibatches of 50, three an epoch
        for nesterov, rule in ((False, "sgd_momentum"), (True, "nesterov")):
            theirs = {**SGD, "learning_rate": "invscaling", "power_t": power, "nesterovs_momentum": nesterov}
            side_by_side(theirs, {**OUR_SGD, "update_rule": rule, "lr_schedule": schedule}).assert_same()
    with pytest.raises(ValueError, match="lr_schedule"):
        FullyConnectedNet(lr_schedule="invscaling").fit(X, Y)
    rates = FullyConnectedNet(lr_decay=0.5, num_epochs=2, random_state=0).fit(X, Y).history_["learning_rate"]
    assert rates == [2e-3, 1e-3]


@row("``max_iter=200``")
def test_number_of_epochs():
    assert MLPClassifier().max_iter == 200
    assert FullyConnectedNet().num_epochs == "auto"
    assert FullyConnectedNet(random_state=0).fit(X, Y).n_iter_ == 100
    assert FullyConnectedNet(batch_size=150, learning_rate=1e-5, random_state=0).fit(X, Y).n_iter_ == 1000
    course = side_by_side({"max_iter": 4}, {"num_epochs": 4})
    assert course.mlp.n_iter_ == course.net.n_iter_ - 1 == 4
    course.assert_same()
    net = FullyConnectedNet(num_iters=7, random_state=0).fit(X, Y)
    assert len(net.loss_history_) == 7


@row("``tol=1e-4``")
@pytest.mark.parametrize("tol", [1e-2, 3e-3])
def test_tol_ends_training_in_the_same_epoch(tol):
    assert MLPClassifier().tol == FullyConnectedNet().tol == 1e-4
    long = {"tol": tol, "n_iter_no_change": 4}
    course = side_by_side({**SGD, **long, "max_iter": 300}, {**OUR_SGD, **long, "num_epochs": 300})
    assert 5 < course.mlp.n_iter_ == course.net.n_iter_ - 1 < 300
    course.assert_same()
    assert our_net(Y, **{**OUR_SGD, **long, "tol": None, "num_epochs": 300}).fit(X, Y).n_iter_ == 301


@row("``n_iter_no_change=10``")
@pytest.mark.parametrize("n", [1, 10])
def test_epochs_without_improvement(n):
    assert MLPClassifier().n_iter_no_change == 10
    assert FullyConnectedNet().n_iter_no_change == "auto"
    long = {"tol": 1, "n_iter_no_change": n}
    course = side_by_side({**long, "max_iter": 50}, {**long, "num_epochs": 50})
    assert course.mlp.n_iter_ == course.net.n_iter_ - 1 == n + 2


@row("``n_iter_no_change=10``")
@pytest.mark.parametrize(("batch_size", "n"), [(50, 10), (150, 50)])
def test_patience_by_default(batch_size, n):
    net = FullyConnectedNet(tol=10, batch_size=batch_size, random_state=0).fit(X, Y)
    assert net.n_iter_ == n + 2
    assert their_net(tol=10, max_iter=50, batch_size=batch_size).fit(X, Y).n_iter_ == 12


@row("``n_iter_no_change=10``")
def test_infinite_patience_is_spelled_otherwise():
    assert their_net(n_iter_no_change=np.inf, tol=1).fit(X, Y).n_iter_ == 12
    with pytest.raises(ValueError, match=r"n_iter_no_change must be finite, got inf: .* set tol=None"):
        FullyConnectedNet(n_iter_no_change=np.inf).fit(X, Y)
    assert our_net(Y, tol=None).fit(X, Y).n_iter_ == 13


@row("``early_stopping=False``")
def test_early_stopping_keeps_the_best_weights():
    assert MLPClassifier().early_stopping is FullyConnectedNet().early_stopping is False
    settings = {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 5, "random_state": 0}
    mlp = MLPClassifier(HIDDEN, learning_rate_init=0.02, max_iter=200, batch_size=30, **settings).fit(X, Y)
    net = FullyConnectedNet(hidden_dims=HIDDEN, learning_rate=0.02, num_epochs=200, batch_size=30, **settings).fit(X, Y)
    for model, scores, best in (
        (mlp, mlp.validation_scores_, mlp.best_validation_score_),
        (net, net.history_["val_accuracy"], net.best_val_score_),
    ):
        assert 5 < model.n_iter_ == len(scores) < 200
        assert max(scores) == best
        assert {round(30 * score, 6) for score in scores} <= set(range(31))  # a fifth of 150 samples
    given = FullyConnectedNet(hidden_dims=HIDDEN, early_stopping=True, num_epochs=3, random_state=0)
    assert given.fit(X, Y, X_val=X[::5], y_val=Y[::5]).best_val_score_ == given.score(X[::5], Y[::5])


@row("``early_stopping=False``")
def test_of_equally_good_epochs_the_last_is_kept():
    """With weights that hardly move, all epochs are equally good."""
    settings = {"early_stopping": True, "batch_size": 30, "random_state": 0}
    mlp = MLPClassifier(HIDDEN, learning_rate_init=1e-12, **settings).fit(X, Y)
    net = FullyConnectedNet(hidden_dims=HIDDEN, learning_rate=1e-12, **settings).fit(X, Y)
    assert mlp.n_iter_ == net.n_iter_ == net.best_epoch_ == 12
    assert len(set(mlp.validation_scores_)) == len(set(net.val_acc_history_)) == 1
    one = MLPClassifier(HIDDEN, learning_rate_init=1e-12, max_iter=1, **settings).fit(X, Y)
    assert all(np.array_equal(w, best) for w, best in zip(one.coefs_, mlp.coefs_, strict=True))


@row("``early_stopping=False``")
def test_epochs_of_one_update_are_waited_for():
    settings = {"early_stopping": True, "batch_size": 150, "random_state": 0}
    assert MLPClassifier(HIDDEN, learning_rate_init=1e-12, **{**settings, "batch_size": 135}).fit(X, Y).n_iter_ == 12
    assert FullyConnectedNet(hidden_dims=HIDDEN, learning_rate=1e-12, **settings).fit(X, Y).n_iter_ == 52


@row("``validation_fraction=0.1``")
def test_validation_fraction():
    assert MLPClassifier().validation_fraction == FullyConnectedNet().validation_fraction == 0.1
    with pytest.raises(ValueError, match="validation_fraction == 0"):
        FullyConnectedNet(validation_fraction=0).fit(X, Y)
    MLPClassifier(HIDDEN, validation_fraction=0, max_iter=1).fit(X, Y)
    single = np.arange(len(X)) == 7  # one sample of a class
    with pytest.raises(ValueError, match="least populated class"):
        MLPClassifier(HIDDEN, early_stopping=True, max_iter=1).fit(X, single)
    net = FullyConnectedNet(early_stopping=True, num_epochs=1, random_state=0).fit(X, single)
    assert net.best_val_score_ is not None


@row("``validation_fraction=0.1``")
@pytest.mark.parametrize(("y", "theirs"), [(Y > 0, True), (Y, False)], ids=["2 classes", "3 classes"])
def test_stratification(y, theirs, monkeypatch):
    stratified = []

    def split(*arrays, stratify=None, **options):
        stratified.append(stratify is not None)
        return train_test_split(*arrays, stratify=stratify, **options)

    for module in (sklearn.model_selection, sklearn.neural_network._multilayer_perceptron):
        monkeypatch.setattr(module, "train_test_split", split)
    MLPClassifier(HIDDEN, early_stopping=True, max_iter=1).fit(X, y)
    FullyConnectedNet(early_stopping=True, num_epochs=1, random_state=0).fit(X, y)
    assert stratified == [theirs, True]


@row("``shuffle=True``")
def test_shuffle():
    assert MLPClassifier().shuffle is FullyConnectedNet().shuffle is True
    side_by_side({"shuffle": False}, {"shuffle": False}).assert_same()
    assert side_by_side({"shuffle": False}, {"shuffle": True}).difference > 1e-4
    assert side_by_side({"shuffle": True}, {"shuffle": False}).difference > 1e-4


@row("``random_state=None``")
@pytest.mark.parametrize("make", [lambda: 3, lambda: np.random.RandomState(3)], ids=["int", "RandomState"])
def test_random_state(make):
    assert MLPClassifier().random_state is FullyConnectedNet().random_state is None
    mlps = [MLPClassifier(HIDDEN, max_iter=2, random_state=make()).fit(X, Y) for _ in range(2)]
    nets = [FullyConnectedNet(hidden_dims=HIDDEN, num_epochs=2, random_state=make()).fit(X, Y) for _ in range(2)]
    np.testing.assert_array_equal(mlps[0].coefs_[0], mlps[1].coefs_[0])
    np.testing.assert_array_equal(nets[0].params_["W1"], nets[1].params_["W1"])
    assert np.abs(mlps[0].coefs_[0] - nets[0].params_["W1"]).max() > 0.1


@row("``warm_start=False``")
@pytest.mark.parametrize("rule", ["adam", "sgd"])
def test_warm_start_keeps_the_update_rules_state(rule):
    assert MLPClassifier().warm_start is FullyConnectedNet().warm_start is False
    theirs, ours = ({}, {}) if rule == "adam" else (SGD, OUR_SGD)
    long = side_by_side({**theirs, "max_iter": 12}, {**ours, "num_epochs": 12})
    mlp = their_net(**theirs, max_iter=6, warm_start=True).fit(X, Y).fit(X, Y)
    net = our_net(Y, **ours, num_epochs=6).fit(X, Y).fit(X, Y)
    two = Course(mlp, net)
    np.testing.assert_array_equal(net.params_["W1"], long.net.params_["W1"])
    assert np.abs(mlp.coefs_[0] - long.mlp.coefs_[0]).max() > 1e-3
    assert two.difference > 1e-3
    for model in (mlp, net):
        with pytest.raises(ValueError, match=r"(?i)warm_start"):
            model.fit(X[Y > 0], Y[Y > 0])


@row("``verbose=False``")
@pytest.mark.parametrize("verbose", [0, False, 1, True])
def test_verbose(verbose, capsys):
    assert MLPClassifier().verbose is False
    assert FullyConnectedNet().verbose == 0
    MLPClassifier(HIDDEN, max_iter=4, verbose=bool(verbose)).fit(X, Y)
    theirs = capsys.readouterr().out.splitlines()
    FullyConnectedNet(hidden_dims=HIDDEN, num_epochs=4, tol=None, verbose=verbose, random_state=0).fit(X, Y)
    ours = capsys.readouterr().out.splitlines()
    assert len([line for line in theirs if "loss" in line]) == (4 if verbose else 0)
    assert len([line for line in ours if "loss" in line]) == (4 if verbose else 0)


@row("``verbose=False``")
def test_verbose_of_updates(capsys):
    FullyConnectedNet(num_epochs=4, batch_size=5, tol=None, verbose=2, random_state=0).fit(X, Y)
    assert len([line for line in capsys.readouterr().out.splitlines() if "Iteration" in line]) == 4 * 30 / 10


@row("none")
@needs_page
def test_parameters_that_mlpclassifier_has_not():
    rows = tables()["Parameters"]
    ours = set(FullyConnectedNet().get_params())
    named = set(re.findall(r"``(\w+)``", dict(rows)["none"]))
    assert named <= ours
    counterparts = {
        name for first, second in rows if first != "none" for name in re.findall(r"``(\w+)", first + second)
    }
    assert ours - counterparts <= named
    assert named & set(MLPClassifier().get_params()) == set()


# ------------------------------------------------------------------------------ what is learned


@row("``classes_``, ``n_features_in_``, ``feature_names_in_``")
def test_what_estimators_learn_of_their_data():
    frame, labels = pd.DataFrame(X, columns=list("abcd")), np.array(["x", "y", "z"])[Y]
    mlp = MLPClassifier(HIDDEN, max_iter=1).fit(frame, labels)
    net = FullyConnectedNet(num_epochs=1, random_state=0).fit(frame, labels)
    for name in ("classes_", "n_features_in_", "feature_names_in_"):
        np.testing.assert_array_equal(getattr(mlp, name), getattr(net, name))


@row("``coefs_[0]``, ``intercepts_[0]``")
def test_weights_by_layer():
    course = side_by_side({}, {})
    course.assert_same()
    np.testing.assert_allclose(course.net.predict_proba(X), course.mlp.predict_proba(X), atol=1e-12)
    for name, letter in (("coefs_", "W"), ("intercepts_", "b")):
        for i, (ours, theirs) in enumerate(zip(getattr(course.net, name), getattr(course.mlp, name), strict=True), 1):
            np.testing.assert_array_equal(ours, course.net.params_[f"{letter}{i}"])
            np.testing.assert_allclose(ours, theirs, atol=1e-12)
            with pytest.raises(ValueError, match="read-only"):
                ours[...] = 0
    normalized = FullyConnectedNet(normalization="batchnorm", num_epochs=1, random_state=0).fit(X, Y)
    assert not hasattr(normalized, "coefs_")
    assert not hasattr(normalized, "intercepts_")


@row("``n_layers_``, ``n_outputs_``, ``out_activation_``")
def test_output_layer():
    mlp = MLPClassifier(HIDDEN, max_iter=1)
    net = FullyConnectedNet(hidden_dims=HIDDEN, num_epochs=1, random_state=0)
    for model in (mlp.fit(X, Y), net.fit(X, Y)):
        assert (model.n_layers_, model.n_outputs_, model.out_activation_) == (len(HIDDEN) + 2, 3, "softmax")
    assert (mlp.fit(X, Y > 0).n_outputs_, mlp.out_activation_) == (1, "logistic")
    assert (net.fit(X, Y > 0).n_outputs_, net.out_activation_) == (2, "softmax")


@row("``loss_``, ``loss_curve_``")
def test_losses():
    course = side_by_side({"alpha": 0.5}, {"reg": 0.01})
    ours, theirs = course.net.loss_curve_[1:], course.mlp.loss_curve_
    assert len(theirs) == len(ours) == 12
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert course.net.loss_ == ours[-1] == pytest.approx(course.mlp.loss_)
    assert course.net.loss_curve_ == course.net.history_["loss"]
    assert len(course.net.loss_history_[3:]) == 36  # of three minibatches an epoch


@row("``best_loss_``")
def test_best_loss():
    course = side_by_side({**SGD, "learning_rate_init": 1}, {**OUR_SGD, "learning_rate": 1})
    ours, theirs = course.losses
    assert min(theirs) < theirs[-1]  # it goes up and down
    assert course.net.best_loss_ == min(ours) == pytest.approx(course.mlp.best_loss_)
    assert MLPClassifier(HIDDEN, early_stopping=True, max_iter=1).fit(X, Y).best_loss_ is None
    net = FullyConnectedNet(early_stopping=True, num_epochs=3, random_state=0).fit(X, Y)
    assert net.best_loss_ == min(net.loss_curve_)


@row("``validation_scores_``")
def test_validation_scores():
    mlp = MLPClassifier(HIDDEN, early_stopping=True, max_iter=3).fit(X, Y)
    net = FullyConnectedNet(early_stopping=True, num_epochs=3, random_state=0).fit(X, Y)
    assert len(mlp.validation_scores_) == len(net.validation_scores_) == len(net.val_acc_history_) - 1 == 3
    assert net.validation_scores_ == net.history_["val_accuracy"] == net.val_acc_history_[1:]
    assert MLPClassifier(HIDDEN, max_iter=1).fit(X, Y).validation_scores_ is None
    assert FullyConnectedNet(num_epochs=1, random_state=0).fit(X, Y).validation_scores_ is None
    given = FullyConnectedNet(num_epochs=3, random_state=0).fit(X, Y, X_val=X[::5], y_val=Y[::5])
    assert len(given.validation_scores_) == 3


@row("``best_validation_score_``")
@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
def test_best_validation_score(monitor):
    mlp = MLPClassifier(HIDDEN, early_stopping=True, max_iter=5).fit(X, Y)
    assert mlp.best_validation_score_ == max(mlp.validation_scores_)
    net = FullyConnectedNet(early_stopping=True, num_epochs=5, monitor=monitor, random_state=0).fit(X, Y)
    assert net.best_validation_score_ == net.best_val_score_ == net.val_acc_history_[net.best_epoch_]
    assert MLPClassifier(HIDDEN, max_iter=1).fit(X, Y).best_validation_score_ is None
    assert FullyConnectedNet(num_epochs=1, random_state=0).fit(X, Y).best_validation_score_ is None


@row("``n_iter_``")
def test_n_iter_counts_all_epochs():
    mlp = MLPClassifier(HIDDEN, max_iter=4, warm_start=True).fit(X, Y)
    net = FullyConnectedNet(num_epochs=4, warm_start=True, random_state=0).fit(X, Y)
    assert mlp.n_iter_ == net.n_iter_ == 4
    assert (mlp.fit(X, Y).n_iter_, net.fit(X, Y).n_iter_) == (4, 8)
    assert (mlp.partial_fit(X, Y).n_iter_, net.partial_fit(X, Y).n_iter_) == (1, 9)
    assert net.set_params(warm_start=False).fit(X, Y).n_iter_ == 4


@row("``t_``")
def test_samples_seen():
    mlp = MLPClassifier(HIDDEN, max_iter=4).fit(X, Y)
    net = FullyConnectedNet(num_epochs=4, random_state=0).fit(X, Y)
    assert mlp.t_ == net.n_iter_ * len(X) == 600


# ------------------------------------------------------------------------------ methods


@row("``fit(X, y, sample_weight)``")
def test_weights_of_samples():
    assert takes_weights == ([int(number) for number in sklearn.__version__.split(".")[:2]] >= [1, 7])
    parameters = inspect.signature(FullyConnectedNet.fit).parameters
    assert list(parameters)[:4] == ["self", "X", "y", "sample_weight"]
    assert {"X_val", "y_val", "sample_weight_val"} <= set(parameters)
    if takes_weights:
        one = {"batch_size": 150}
        course = side_by_side(one, one, sample_weight=1.0 + np.arange(150) % 3)
        course.assert_same()
        assert course.difference < 1e-12 < np.abs(course.mlp.coefs_[0] - side_by_side(one, one).mlp.coefs_[0]).max()


@row("``partial_fit(X, y)``")
def test_partial_fit():
    mlp, net = their_net(), our_net(Y)
    for _ in range(5):
        mlp.partial_fit(X, Y, classes=[0, 1, 2])
        net.partial_fit(X, Y, classes=[0, 1, 2])
    Course(mlp, net).assert_same()
    ours = list(inspect.signature(FullyConnectedNet.partial_fit).parameters)
    assert ours == ["self", "X", "y", "classes", "sample_weight"]
    if takes_weights:
        theirs = inspect.unwrap(MLPClassifier().partial_fit.__func__)
        assert list(inspect.signature(theirs).parameters) == ["self", "X", "y", "sample_weight", "classes"]
    with pytest.raises(ValueError, match="early_stopping"):
        MLPClassifier(HIDDEN, early_stopping=True).partial_fit(X, Y, classes=[0, 1, 2])
    stopping = FullyConnectedNet(early_stopping=True, random_state=0).partial_fit(X, Y, classes=[0, 1, 2])
    assert stopping.best_val_score_ is None


@row("``predict``, ``predict_proba``, ``predict_log_proba``, ``score``")
def test_predictions_are_the_same():
    course = side_by_side({}, {})
    mlp, net = course.mlp, course.net
    np.testing.assert_array_equal(net.predict(X), mlp.predict(X))
    np.testing.assert_allclose(net.predict_proba(X), mlp.predict_proba(X), atol=1e-12)
    np.testing.assert_allclose(net.predict_log_proba(X), mlp.predict_log_proba(X), atol=1e-10)
    assert net.score(X, Y) == mlp.score(X, Y)
    assert net.decision_function(X).shape == (150, 3)
    assert not hasattr(mlp, "decision_function")


OF_EVERY_ESTIMATOR = ("get_params", "set_params", "get_metadata_routing")
REQUESTS = ("set_fit_request", "set_partial_fit_request", "set_score_request")


@row(", ".join(f"``{name}``" for name in (*OF_EVERY_ESTIMATOR, *REQUESTS)))
def test_methods_of_every_estimator():
    assert all(callable(getattr(FullyConnectedNet(), name)) for name in OF_EVERY_ESTIMATOR)
    assert all(hasattr(FullyConnectedNet, name) and hasattr(MLPClassifier, name) for name in REQUESTS if takes_weights)
    net = FullyConnectedNet()
    assert net.set_params(reg=0.5) is net
    assert net.get_params()["reg"] == 0.5


# ------------------------------------------------------------------------------ what happens


@row("``max_iter`` ends training before ``tol``")
@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_both_warn_that_training_has_not_converged():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached"):
        MLPClassifier(HIDDEN, max_iter=3, random_state=0).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="num_epochs=3"):
        FullyConnectedNet(num_epochs=3, random_state=0).fit(X, Y)
    FullyConnectedNet(num_epochs=3, tol=None, random_state=0).fit(X, Y)
    FullyConnectedNet(num_epochs=3, lr_schedule="cosine", random_state=0).fit(X, Y)
    for model in (MLPClassifier(HIDDEN, tol=0.5), FullyConnectedNet(tol=0.5, random_state=0)):
        model.fit(X, Y)  # tol ends it


@row("The loss ends above where it began")
@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_a_loss_that_has_grown_is_told_here():
    large = {"early_stopping": True, "tol": 10, "n_iter_no_change": 1, "random_state": 0}
    mlp = MLPClassifier(HIDDEN, learning_rate_init=10, **large).fit(X, Y)
    assert mlp.loss_curve_[-1] > 2
    with pytest.warns(ConvergenceWarning, match="learning_rate=10"):
        FullyConnectedNet(hidden_dims=HIDDEN, learning_rate=10, **large).fit(X, Y)


@row("Weights are no longer finite")
def test_both_raise_at_weights_that_are_not_finite():
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="non-finite"):
        their_net(**{**SGD, "learning_rate_init": 1e200}).fit(X, Y)
    with pytest.raises(ValueError, match="learning_rate"):
        our_net(Y, **{**OUR_SGD, "learning_rate": 1e200}).fit(X, Y)


@row("X of float32, of integers")
@pytest.mark.parametrize(
    ("dtype", "ours", "theirs"),
    [
        (np.float64, np.float64, np.float64),
        (np.float32, np.float32, np.float32),
        (np.int64, np.float32, np.float64),
        (np.uint8, np.float32, np.float64),
    ],
)
def test_dtypes(dtype, ours, theirs):
    data = np.abs(10 * X).astype(dtype)
    assert MLPClassifier(HIDDEN, max_iter=1).fit(data, Y).coefs_[0].dtype == theirs
    net = FullyConnectedNet(num_epochs=1, random_state=0)
    assert net.fit(data, Y).params_["W1"].dtype == ours
    assert net.set_params(dtype="float64").fit(data, Y).params_["W1"].dtype == np.float64


@row("Two classes")
def test_two_classes():
    mlp = MLPClassifier(HIDDEN, max_iter=1).fit(X, Y > 0)
    net = FullyConnectedNet(hidden_dims=HIDDEN, num_epochs=1, random_state=0).fit(X, Y > 0)
    assert (mlp.coefs_[-1].shape, net.params_["W3"].shape) == ((5, 1), (5, 2))
    assert net.decision_function(X).shape == (150,)
    np.testing.assert_allclose(net.predict_proba(X)[:, 1], expit(net.decision_function(X)), rtol=1e-9)


@row("Sparse X")
def test_sparse_X():
    sparse = scipy.sparse.csr_array(X)
    assert MLPClassifier(HIDDEN, max_iter=1).fit(sparse, Y).predict(sparse).shape == Y.shape
    net = FullyConnectedNet(num_epochs=1, tol=None, random_state=0, dtype="float64")
    dense = net.fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(net.fit(sparse, Y).predict_proba(sparse), dense, rtol=1e-10)


@row("Multilabel y, MLPRegressor")
def test_what_there_is_not():
    several = np.c_[Y > 0, Y > 1].astype(int)
    MLPClassifier(HIDDEN, max_iter=1).fit(X, several)
    with pytest.raises(ValueError, match=r"(?i)multilabel|1d array"):
        FullyConnectedNet().fit(X, several)
    assert [name for name in sklearn_dl.__all__ if "Regressor" in name] == []
