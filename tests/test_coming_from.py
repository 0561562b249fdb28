"""What docs/coming_from/mlpclassifier.rst says, against MLPClassifier and MLPRegressor themselves: a test for each row.

To compare numbers, both nets begin with the same weights and see the same minibatches in the same order, in float64.
"""

import ast
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
from scipy.special import expit, xlogy
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler, scale

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor
from sklearn_dl.schedules import InverseScaling, ReduceOnPlateau

PAGE = Path(__file__).resolve().parent.parent / "docs" / "coming_from" / "mlpclassifier.rst"

# The nets are trained for a few epochs only.
not_converged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
pytestmark = not_converged

X, Y = load_iris(return_X_y=True)
X = scale(X)
HIDDEN = (6, 5)
takes_weights = "sample_weight" in inspect.signature(MLPClassifier.fit).parameters
FROM_1_7 = "scikit-learn 1.7 is the first with weights and losses of its nets"

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
    firsts = [first for title, rows in tables().items() if title != "Defaults" for first, _ in rows]
    assert len(firsts) == len(set(firsts)) > 45
    assert set(firsts) == set(ROWS)


def names_of(title, cls):
    """Return the names of scikit-learn's class that a table is to have."""
    return {
        "Parameters": set(cls().get_params()),
        "Defaults": set(cls().get_params()),
        "What is learned": {attribute.name for attribute in ClassDoc(cls)["Attributes"]},
        "Methods": {name for name in dir(cls) if name[0] != "_"},
    }[title]


@needs_page
@pytest.mark.parametrize("title", ["Parameters", "Defaults", "What is learned", "Methods"])
def test_each_name_of_both_has_a_row(title):
    cells = " ".join(first for first, _ in tables()[title])
    named = {re.match(r"\w+", literal).group() for literal in re.findall("``(.*?)``", cells)}
    wanted = names_of(title, MLPClassifier) | names_of(title, MLPRegressor)
    later = set() if takes_weights else {"set_fit_request", "loss"}
    assert len(wanted) > 8
    assert named - later - {"none"} == wanted - later


@needs_page
def test_names_of_one_of_both_are_in_rows_that_say_so():
    for title, rows in tables().items():
        if title in ("Parameters", "Defaults", "Methods"):
            for first, _ in rows:
                for cls, other in ((MLPClassifier, MLPRegressor), (MLPRegressor, MLPClassifier)):
                    if first.endswith(f" of {cls.__name__}") and "early_stopping" not in first:
                        names = {re.match(r"\w+", literal).group() for literal in re.findall("``(.*?)``", first)}
                        assert names & names_of(title, other) == set()


def defaults_in(cell, classes):
    """Yield the parameters and values that a part of a cell states for some classes, and those that they have."""
    for part in cell.split("; "):
        stated = {name: ast.literal_eval(value) for name, value in re.findall(r"``(\w+)=(.*?)``", part)}
        for cls in [cls for cls in classes if part.endswith(f" of {cls.__name__}")] or classes:
            yield stated, {name: cls().get_params()[name] for name in stated}


@needs_page
def test_defaults_are_those_of_the_signatures():
    for theirs, ours in tables()["Defaults"]:
        if not takes_weights and "loss" in theirs:
            continue  # MLPRegressor has it from scikit-learn 1.7 on
        for stated, found in (
            *defaults_in(theirs, [MLPClassifier, MLPRegressor]),
            *defaults_in(ours, [FullyConnectedNet, FullyConnectedRegressor]),
        ):
            assert stated
            assert repr(stated) == repr(found)


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_documented_attributes_are_those_that_there_are(cls):
    frame = pd.DataFrame(X, columns=list("abcd"))
    mlp = cls(hidden_layer_sizes=HIDDEN, max_iter=1).fit(frame, Y)
    learned = {name for name in dir(mlp) if name[-1] == "_" and name[0] != "_"}
    assert learned == {attribute.name for attribute in ClassDoc(cls)["Attributes"]}


# ------------------------------------------------------------------------------ two nets side by side


COUNTS = np.random.RandomState(0).poisson(3, len(X))


@dataclass(frozen=True)
class Kind:
    """A kind of y, such that the regressors' scale of it is 1."""

    y: np.ndarray
    regressor: bool = False
    loss: str | None = None

    def mlp(self, **settings):
        loss = {} if self.loss is None else {"loss": self.loss}
        cls = MLPRegressor if self.regressor else MLPClassifier
        return cls(hidden_layer_sizes=HIDDEN, **loss, **settings)

    def net(self, **settings):
        loss = {} if self.loss is None else {"loss": self.loss}
        cls = FullyConnectedRegressor if self.regressor else FullyConnectedNet
        return cls(hidden_dims=HIDDEN, **loss, **settings)


KINDS = {
    "classes": Kind(Y),
    "several labels": Kind(np.c_[Y > 0, Y > 1, X[:, 0] > 0].astype(int)),
    "a quantity": Kind(scale(X[:, 0] * X[:, 1] + X[:, 2]), True),
    "several quantities": Kind(scale(np.c_[X[:, 0] * X[:, 1], np.abs(X[:, 2])]), True),
    "counts": Kind(COUNTS / COUNTS.mean(), True, "poisson"),
}
each_kind = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind, id=name, marks=pytest.mark.skipif(kind.loss == "poisson" and not takes_weights, reason=FROM_1_7)
        )
        for name, kind in KINDS.items()
    ],
)


@dataclass
class Course:
    """What both nets have learned, weights by layer and losses by epoch, and the nets."""

    mlp: MLPClassifier | MLPRegressor
    net: FullyConnectedNet | FullyConnectedRegressor

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


def first_weights(kind, **settings):
    """Return the weights that scikit-learn draws."""
    mlp = kind.mlp(max_iter=1, learning_rate_init=1e-300, random_state=0, **settings).fit(X, kind.y)
    return mlp.coefs_, mlp.intercepts_


def our_net(kind=KINDS["classes"], activation="relu", **settings):
    """Return our net with those weights, one epoch old, to go on from."""
    net = kind.net(activation=activation, shuffle=False, warm_start=True, random_state=0, reg=0, lr_schedule=None)
    net.set_params(batch_size=50)
    net.set_params(update_rule="sgd", learning_rate=0, num_epochs=1).fit(X, kind.y)
    for i, (w, b) in enumerate(zip(*first_weights(kind, activation=activation), strict=True), 1):
        net.params_[f"W{i}"][...] = w
        net.params_[f"b{i}"][...] = b
    options = {"update_rule": "adam", "learning_rate": 1e-3, "epsilon": 1e-20, "batch_size": 50, "num_epochs": 12}
    options |= {"tol": 1e-4, "n_iter_no_change": 10}
    return net.set_params(**{**options, **settings})


def their_net(kind=KINDS["classes"], **settings):
    options = {"alpha": 0, "epsilon": 1e-20, "batch_size": 50, "max_iter": 12, "shuffle": False, "random_state": 0}
    return kind.mlp(**{**options, **settings})


def side_by_side(theirs, ours, kind=KINDS["classes"], **fit):
    """Train both with these settings; what neither says is adam, 12 epochs of three minibatches, no penalty."""
    return Course(their_net(kind, **theirs).fit(X, kind.y, **fit), our_net(kind, **ours).fit(X, kind.y, **fit))


SGD = {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.05}
OUR_SGD = {"update_rule": "sgd_momentum", "learning_rate": 0.05}

# ------------------------------------------------------------------------------ parameters

SAME = {
    "activation": [({"activation": name}, {"activation": name}) for name in ("identity", "logistic", "relu", "tanh")],
    "solver='adam'": [({"beta_1": 0.7, "beta_2": 0.8}, {"beta1": 0.7, "beta2": 0.8})],
    "solver='sgd'": [(SGD, OUR_SGD), ({**SGD, "momentum": 0}, {**OUR_SGD, "update_rule": "sgd"})],
    "nesterovs_momentum": [({**SGD, "nesterovs_momentum": True}, {**OUR_SGD, "update_rule": "nesterov"})],
    "alpha": [({"alpha": 0.5}, {"reg": 0.5 / 50})],
    "batch_size": [({"batch_size": 40}, {"batch_size": 40})],
    "learning_rate_init": [({"learning_rate_init": 0.01}, {"learning_rate": 0.01})],
    "learning_rate='invscaling'": [
        ({**SGD, "learning_rate": "invscaling"}, {**OUR_SGD, "lr_schedule": InverseScaling(rate=50, every=3)})
    ],
    "tol": [
        (
            {**SGD, "tol": 1e-2, "n_iter_no_change": 4, "max_iter": 200},
            {**OUR_SGD, "tol": 1e-2, "n_iter_no_change": 4, "num_epochs": 200},
        )
    ],
    "warm_start": [({"max_iter": 3}, {"num_epochs": 3})],
}


@row("``activation``")
@row("``solver='adam'``")
@row("``solver='sgd'``")
@row("``nesterovs_momentum``")
@row("``alpha``")
@row("``batch_size``")
@row("``learning_rate_init``")
@row("``learning_rate='invscaling'``, ``power_t``")
@row("``tol``")
@row("``max_iter``")
@row("``loss='squared_error'`` of MLPRegressor")
@row("``loss='poisson'`` of MLPRegressor")
@each_kind
@pytest.mark.parametrize("name", SAME)
def test_the_same_weights_for_every_kind_of_y(kind, name):
    for theirs, ours in SAME[name]:
        if name == "tol" and kind.y.ndim == 2 and kind.regressor:
            # The losses are the sum of the outputs' here, their mean there.
            theirs = {**theirs, "tol": theirs["tol"] / kind.y.shape[1]}
        course = side_by_side(theirs, ours, kind)
        assert course.difference < 1e-11
        ours, theirs = (np.array(losses) for losses in course.losses)
        if kind.loss == "poisson":
            theirs = theirs - np.mean(xlogy(kind.y, kind.y) - kind.y)
        elif kind.regressor and kind.y.ndim == 2 and name != "alpha":
            theirs = theirs * kind.y.shape[1]
        if not (kind.regressor and kind.y.ndim == 2 and name == "alpha"):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@row("``loss='squared_error'`` of MLPRegressor")
def test_losses_beyond_those_of_mlpregressor():
    y = KINDS["a quantity"].y
    for loss in ("absolute_error", "huber"):
        net = FullyConnectedRegressor(loss=loss, num_epochs=3, tol=None, random_state=0).fit(X, y)
        assert net.loss_curve_[-1] < net.loss_curve_[0]
        with pytest.raises(ValueError, match=loss):
            MLPRegressor(**({"loss": loss} if takes_weights else {"solver": loss})).fit(X, y)


@row("``hidden_layer_sizes``")
def test_hidden_layers():
    net = FullyConnectedNet(hidden_dims=(7, 3), num_epochs=1, random_state=0).fit(X, Y)
    mlp = MLPClassifier((7, 3), max_iter=1).fit(X, Y)
    assert [net.params_[f"W{i}"].shape for i in (1, 2, 3)] == [w.shape for w in mlp.coefs_]
    for hidden in (5, (5,)):
        assert FullyConnectedNet(hidden_dims=hidden, num_epochs=1, random_state=0).fit(X, Y).params_["W2"].shape == (
            5,
            3,
        )
        assert MLPClassifier(hidden, max_iter=1).fit(X, Y).coefs_[1].shape == (5, 3)


@row("``activation``")
@pytest.mark.parametrize("activation", ["identity", "logistic", "relu", "tanh"])
def test_activations(activation):
    side_by_side({"activation": activation}, {"activation": activation}).assert_same()


@row("``solver='adam'``")
def test_adam():
    side_by_side({"solver": "adam"}, {"update_rule": "adam"}).assert_same()


@row("``solver='sgd'``")
def test_sgd():
    side_by_side(SGD, OUR_SGD).assert_same()
    side_by_side({**SGD, "momentum": 0}, {**OUR_SGD, "update_rule": "sgd"}).assert_same()


@row("``solver='lbfgs'``, ``max_fun``")
def test_lbfgs():
    # Ten iterations: then a unit of relu changes sides by rounding.
    theirs = their_net(solver="lbfgs", alpha=0.3, max_iter=10).fit(X, Y)
    ours = our_net(update_rule="lbfgs", reg=0.3 / len(X), tol=1e-4, num_epochs=10).fit(X, Y)
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


@row("``solver='lbfgs'``, ``max_fun``")
@each_kind
def test_lbfgs_for_every_kind_of_y(kind):
    # Of logistic units, which have no kinks. A few iterations: differences by rounding grow.
    settings = {"activation": "logistic"}
    theirs = their_net(kind, solver="lbfgs", alpha=0.3, max_iter=5, **settings).fit(X, kind.y)
    ours = our_net(kind, update_rule="lbfgs", reg=0.3 / len(X), num_epochs=5, **settings).fit(X, kind.y)
    assert ours.n_iter_ - 1 == theirs.n_iter_ == 5
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-6, atol=1e-6)


@row("``momentum``")
def test_momentum():
    side_by_side(SGD, {**OUR_SGD, "momentum": None}).assert_same()
    side_by_side({**SGD, "momentum": 0.5}, {**OUR_SGD, "momentum": 0.5}).assert_same()


@row("``nesterovs_momentum``")
def test_nesterov():
    nesterov = {"update_rule": "nesterov", "learning_rate": 0.05}
    side_by_side({**SGD, "nesterovs_momentum": True}, nesterov).assert_same()
    side_by_side({**SGD, "nesterovs_momentum": True, "momentum": 0.5}, {**nesterov, "momentum": 0.5}).assert_same()
    assert side_by_side({**SGD, "nesterovs_momentum": True}, OUR_SGD).difference > 1e-3


@row("``beta_1``, ``beta_2``")
def test_betas():
    side_by_side({"beta_1": 0.9, "beta_2": 0.999}, {"beta1": None, "beta2": None}).assert_same()
    side_by_side({"beta_1": 0.7, "beta_2": 0.8}, {"beta1": 0.7, "beta2": 0.8}).assert_same()


@row("``epsilon``")
def test_epsilon_stands_at_another_place():
    default = side_by_side({}, {"epsilon": None})
    assert 0 < default.difference == side_by_side({}, {"epsilon": 1e-8}).difference
    assert side_by_side({"epsilon": 0.01}, {"epsilon": 0.01}).difference > 1e-4
    # Without a memory of squares there is no correction, and one place is as good as the other.
    forgetful = {"epsilon": 0.01}, {"epsilon": 0.01}
    side_by_side({**forgetful[0], "beta_2": 0}, {**forgetful[1], "beta2": 0}).assert_same()


@row("``epsilon``")
@pytest.mark.parametrize("beta_2", [0.999, 0.9])
def test_epsilon_of_the_first_update(beta_2):
    one = {"batch_size": len(X)}
    theirs = {"epsilon": 0.01, "beta_2": beta_2, "max_iter": 1, **one}
    ours = {"epsilon": 0.01 / np.sqrt(1 - beta_2), "beta2": beta_2, "num_epochs": 1, **one}
    side_by_side(theirs, ours).assert_same()
    assert round(1 / np.sqrt(1 - 0.999)) == 32


@row("``alpha``")
def test_alpha_is_divided_by_the_minibatch():
    side_by_side({"alpha": 0.5}, {"reg": 0.5 / 50}).assert_same()
    assert side_by_side({"alpha": 0.5}, {"reg": 0.5}).difference > 1e-3


@row("``batch_size``")
def test_batch_size():
    many = np.vstack([X, X]), np.r_[Y, Y]
    mlp = MLPClassifier(HIDDEN, max_iter=1).fit(*many)
    assert mlp._optimizer.t == 2  # updates, of 200 and of 100 samples
    with pytest.warns(UserWarning, match="batch_size"):
        MLPClassifier(HIDDEN, max_iter=1, batch_size=1000).fit(X, Y)
    net = FullyConnectedNet(batch_size=1000, num_epochs=1, tol=None, random_state=0).fit(X, Y)
    assert len(net.loss_history_) == 1


@row("``learning_rate_init``")
def test_first_learning_rate():
    rates = {}
    for rule in ("adam", "sgd"):
        net = FullyConnectedNet(update_rule=rule, lr_schedule=None, num_iters=1, random_state=0).fit(X, Y)
        rates[rule] = net.learning_rate_history_[0]
    assert rates["adam"] < rates["sgd"]
    side_by_side({"learning_rate_init": 0.02}, {"learning_rate": 0.02}).assert_same()


@row("``learning_rate='constant'``")
def test_constant_learning_rate():
    net = FullyConnectedNet(lr_decay=1, lr_schedule=None, learning_rate=2e-3, num_epochs=5, random_state=0)
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
    net = our_net(**{**OUR_SGD, "learning_rate": 0.001, "lr_schedule": schedule, "tol": None, "num_epochs": 40})
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
    net = our_net(**{**OUR_SGD, "learning_rate": 1e-6, "lr_schedule": schedule, "tol": None, "num_epochs": 40})
    assert net.fit(X, Y).n_iter_ == 41
    # With tol, training would end before the first reduction.
    assert our_net(**OUR_SGD, lr_schedule=schedule, tol=1).set_params(num_epochs=40).fit(X, Y).n_iter_ == 13


@row("``learning_rate='adaptive'``")
def test_adaptive_learning_rate_is_for_sgd_only(capsys):
    assert reductions(their_net(learning_rate="adaptive", tol=1, max_iter=40), capsys) == {}
    schedule = ReduceOnPlateau(patience=10, min_gain=1)
    net = our_net(update_rule="adam", lr_schedule=schedule, tol=None, num_epochs=40).fit(X, Y)
    assert len(set(net.history_["learning_rate"][1:])) == 4


@row("``learning_rate='invscaling'``, ``power_t``")
def test_inverse_scaling():
    for power in (0.5, 0.2):
        schedule = InverseScaling(power, rate=50, every=3)  # minibatches of 50, three an epoch
        for nesterov, rule in ((False, "sgd_momentum"), (True, "nesterov")):
            theirs = {**SGD, "learning_rate": "invscaling", "power_t": power, "nesterovs_momentum": nesterov}
            side_by_side(theirs, {**OUR_SGD, "update_rule": rule, "lr_schedule": schedule}).assert_same()
    with pytest.raises(ValueError, match="lr_schedule"):
        FullyConnectedNet(lr_schedule="invscaling").fit(X, Y)
    net = FullyConnectedNet(lr_decay=0.5, lr_schedule=None, learning_rate=2e-3, num_epochs=2, random_state=0)
    assert net.fit(X, Y).history_["learning_rate"] == [2e-3, 1e-3]


@row("``max_iter``")
def test_number_of_epochs():
    waits = {"learning_rate": 0, "num_epochs": "auto", "tol": None, "lr_schedule": None, "random_state": 0}
    many, single = (FullyConnectedNet(**waits, batch_size=size).fit(X, Y).n_iter_ for size in (50, 150))
    assert 1 < many < single
    course = side_by_side({"max_iter": 4}, {"num_epochs": 4})
    assert course.mlp.n_iter_ == course.net.n_iter_ - 1 == 4
    course.assert_same()
    net = FullyConnectedNet(num_iters=7, random_state=0).fit(X, Y)
    assert len(net.loss_history_) == 7


@row("``tol``")
@pytest.mark.parametrize("tol", [1e-2, 3e-3])
def test_tol_ends_training_in_the_same_epoch(tol):
    long = {"tol": tol, "n_iter_no_change": 4}
    course = side_by_side({**SGD, **long, "max_iter": 300}, {**OUR_SGD, **long, "num_epochs": 300})
    assert 5 < course.mlp.n_iter_ == course.net.n_iter_ - 1 < 300
    course.assert_same()
    assert our_net(**{**OUR_SGD, **long, "tol": None, "num_epochs": 300}).fit(X, Y).n_iter_ == 301


@row("``n_iter_no_change``")
@pytest.mark.parametrize("n", [1, 10])
def test_epochs_without_improvement(n):
    long = {"tol": 1, "n_iter_no_change": n}
    course = side_by_side({**long, "max_iter": 50}, {**long, "num_epochs": 50})
    assert course.mlp.n_iter_ == course.net.n_iter_ - 1 == n + 2


@row("``n_iter_no_change``")
def test_patience_of_auto():
    waits = {"tol": 10, "n_iter_no_change": "auto", "num_epochs": 1000, "lr_schedule": None, "random_state": 0}
    many, single = (FullyConnectedNet(**waits, batch_size=size).fit(X, Y).n_iter_ for size in (50, 150))
    assert 1 < many < single < 1000


@row("``n_iter_no_change``")
def test_infinite_patience_is_spelled_otherwise():
    assert their_net(n_iter_no_change=np.inf, tol=1).fit(X, Y).n_iter_ == 12
    with pytest.raises(ValueError, match=r"n_iter_no_change must be finite, got inf: .* set tol=None"):
        FullyConnectedNet(n_iter_no_change=np.inf).fit(X, Y)
    assert our_net(tol=None).fit(X, Y).n_iter_ == 13


@row("``early_stopping``")
def test_early_stopping_keeps_the_best_weights():
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


@row("``early_stopping``")
def test_of_equally_good_epochs_the_last_is_kept():
    """With weights that hardly move, all epochs are equally good."""
    settings = {"early_stopping": True, "batch_size": 30, "n_iter_no_change": 10, "random_state": 0}
    mlp = MLPClassifier(HIDDEN, learning_rate_init=1e-12, **settings).fit(X, Y)
    net = FullyConnectedNet(hidden_dims=HIDDEN, learning_rate=1e-12, **settings).fit(X, Y)
    assert mlp.n_iter_ == net.n_iter_ == net.best_epoch_ == 12
    assert len(set(mlp.validation_scores_)) == len(set(net.val_acc_history_)) == 1
    one = MLPClassifier(HIDDEN, learning_rate_init=1e-12, max_iter=1, **settings).fit(X, Y)
    assert all(np.array_equal(w, best) for w, best in zip(one.coefs_, mlp.coefs_, strict=True))


@row("``early_stopping``")
def test_epochs_of_one_update_are_waited_for():
    settings = {"early_stopping": True, "n_iter_no_change": 10, "random_state": 0}
    mlp = MLPClassifier(HIDDEN, learning_rate_init=1e-12, batch_size=135, **settings).fit(X, Y)
    net = FullyConnectedNet(hidden_dims=HIDDEN, learning_rate=1e-12, num_epochs=200, batch_size=150, **settings)
    assert mlp.n_iter_ == 12 < net.fit(X, Y).n_iter_ < 200


@row("``early_stopping`` of MLPRegressor")
def test_what_stops_a_regressor_early():
    y = KINDS["a quantity"].y
    fit = {"X_val": X[::5], "y_val": y[::5]}
    settings = {
        "hidden_dims": HIDDEN,
        "early_stopping": True,
        "num_epochs": 60,
        "batch_size": 64,
        "learning_rate": 0.05,
        "random_state": 0,
    }
    assert FullyConnectedRegressor().monitor == "loss"
    by_r2, by_loss = (
        FullyConnectedRegressor(**settings, monitor=name, tol=None).fit(X, y, **fit) for name in ("r2", "loss")
    )
    assert by_r2.best_epoch_ == by_loss.best_epoch_ == 1 + np.argmax(by_r2.history_["val_r2"])
    absolute = FullyConnectedRegressor(**settings, loss="absolute_error", tol=None).fit(X, y, **fit)
    assert absolute.best_epoch_ == 1 + np.argmin(absolute.history_["val_loss"])
    assert absolute.best_epoch_ != 1 + np.argmax(absolute.history_["val_r2"])
    mlp = MLPRegressor(hidden_layer_sizes=HIDDEN, early_stopping=True, random_state=0).fit(X, y)
    assert mlp.best_validation_score_ == max(mlp.validation_scores_)
    two = X[:2], y[:2]
    if takes_weights:  # before scikit-learn 1.7 it goes by an R² that is nan
        with pytest.raises(ValueError, match="validation set is too small"):
            MLPRegressor(early_stopping=True).fit(*two)
    with pytest.raises(ValueError, match="at least 2 validation samples"):
        FullyConnectedRegressor(early_stopping=True, monitor="r2").fit(*two)
    assert FullyConnectedRegressor(early_stopping=True, num_epochs=1).fit(*two).best_epoch_ is not None


@row("``validation_fraction``")
def test_validation_fraction():
    with pytest.raises(ValueError, match="validation_fraction == 0"):
        FullyConnectedNet(validation_fraction=0).fit(X, Y)
    MLPClassifier(HIDDEN, validation_fraction=0, max_iter=1).fit(X, Y)
    single = np.arange(len(X)) == 7  # one sample of a class
    with pytest.raises(ValueError, match="least populated class"):
        MLPClassifier(HIDDEN, early_stopping=True, max_iter=1).fit(X, single)
    net = FullyConnectedNet(early_stopping=True, num_epochs=1, random_state=0).fit(X, single)
    assert net.best_val_score_ is not None


@row("``validation_fraction``")
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


@row("``shuffle``")
def test_shuffle():
    side_by_side({"shuffle": False}, {"shuffle": False}).assert_same()
    assert side_by_side({"shuffle": False}, {"shuffle": True}).difference > 1e-4
    assert side_by_side({"shuffle": True}, {"shuffle": False}).difference > 1e-4


@row("``random_state``")
@pytest.mark.parametrize("make", [lambda: 3, lambda: np.random.RandomState(3)], ids=["int", "RandomState"])
def test_random_state(make):
    mlps = [MLPClassifier(HIDDEN, max_iter=2, random_state=make()).fit(X, Y) for _ in range(2)]
    nets = [FullyConnectedNet(hidden_dims=HIDDEN, num_epochs=2, random_state=make()).fit(X, Y) for _ in range(2)]
    np.testing.assert_array_equal(mlps[0].coefs_[0], mlps[1].coefs_[0])
    np.testing.assert_array_equal(nets[0].params_["W1"], nets[1].params_["W1"])
    assert np.abs(mlps[0].coefs_[0] - nets[0].params_["W1"]).max() > 0.1


@row("``warm_start``")
@pytest.mark.parametrize("rule", ["adam", "sgd"])
def test_warm_start_keeps_the_update_rules_state(rule):
    theirs, ours = ({}, {}) if rule == "adam" else (SGD, OUR_SGD)
    long = side_by_side({**theirs, "max_iter": 12}, {**ours, "num_epochs": 12})
    mlp = their_net(**theirs, max_iter=6, warm_start=True).fit(X, Y).fit(X, Y)
    net = our_net(**ours, num_epochs=6).fit(X, Y).fit(X, Y)
    two = Course(mlp, net)
    np.testing.assert_array_equal(net.params_["W1"], long.net.params_["W1"])
    assert np.abs(mlp.coefs_[0] - long.mlp.coefs_[0]).max() > 1e-3
    assert two.difference > 1e-3
    for model in (mlp, net):
        with pytest.raises(ValueError, match=r"(?i)warm_start"):
            model.fit(X[Y > 0], Y[Y > 0])


@row("``verbose``")
@pytest.mark.parametrize("verbose", [0, False, 1, True])
def test_verbose(verbose, capsys):
    MLPClassifier(HIDDEN, max_iter=4, verbose=bool(verbose)).fit(X, Y)
    theirs = capsys.readouterr().out.splitlines()
    FullyConnectedNet(hidden_dims=HIDDEN, num_epochs=4, tol=None, verbose=verbose, random_state=0).fit(X, Y)
    ours = capsys.readouterr().out.splitlines()
    assert len([line for line in theirs if "loss" in line]) == (4 if verbose else 0)
    assert len([line for line in ours if "loss" in line]) == (4 if verbose else 0)


@row("``verbose``")
def test_verbose_of_updates(capsys):
    FullyConnectedNet(num_epochs=4, batch_size=5, tol=None, verbose=2, random_state=0).fit(X, Y)
    assert len([line for line in capsys.readouterr().out.splitlines() if "Iteration" in line]) == 4 * 30 / 10


@row("none")
@needs_page
def test_parameters_that_mlpclassifier_has_not():
    rows = tables()["Parameters"]
    ours = set(FullyConnectedNet().get_params()) | set(FullyConnectedRegressor().get_params())
    named = set(re.findall(r"``(\w+)``", dict(rows)["none"]))
    assert named <= ours
    counterparts = {
        name for first, second in rows if first != "none" for name in re.findall(r"``(\w+)", first + second)
    }
    assert ours - counterparts <= named
    assert named & set(MLPClassifier().get_params()) == set()
    of_classifier, of_regressor = dict(rows)["none"].split("; ")[1:]
    for text, cls, other in (
        (of_classifier, FullyConnectedNet, FullyConnectedRegressor),
        (of_regressor, FullyConnectedRegressor, FullyConnectedNet),
    ):
        own = set(cls().get_params()) - set(other().get_params())
        assert own <= set(re.findall(r"``(\w+)``", text)) <= own | {"loss"}


# ------------------------------------------------------------------------------ what is learned


@row("``n_features_in_``, ``feature_names_in_``")
def test_what_estimators_learn_of_their_data():
    frame, labels = pd.DataFrame(X, columns=list("abcd")), np.array(["x", "y", "z"])[Y]
    mlp = MLPClassifier(HIDDEN, max_iter=1).fit(frame, labels)
    net = FullyConnectedNet(num_epochs=1, random_state=0).fit(frame, labels)
    regressors = MLPRegressor(max_iter=1).fit(frame, X), FullyConnectedRegressor(num_epochs=1).fit(frame, X)
    for theirs, ours in ((mlp, net), regressors):
        for name in ("n_features_in_", "feature_names_in_"):
            np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name))


@row("``classes_``")
def test_classes():
    labels = np.array(["x", "y", "z"])[Y]
    for y in (labels, KINDS["several labels"].y):
        mlp = MLPClassifier(HIDDEN, max_iter=1).fit(X, y)
        net = FullyConnectedNet(num_epochs=1, random_state=0).fit(X, y)
        np.testing.assert_array_equal(mlp.classes_, net.classes_)
    for regressor in (MLPRegressor(max_iter=1), FullyConnectedRegressor(num_epochs=1)):
        assert not hasattr(regressor.fit(X, X[:, 0]), "classes_")


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


@row("``coefs_[0]``, ``intercepts_[0]``")
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_weights_of_a_regressor_are_in_units_of_y(loss):
    y = np.c_[100 + 7 * np.abs(X[:, 0]), 1e6 * np.abs(X[:, 1])]
    settings = {"activation": "tanh", "num_epochs": 3, "random_state": 0}
    net = FullyConnectedRegressor(hidden_dims=HIDDEN, loss=loss, **settings).fit(X, y)
    out = X
    for i, (w, b) in enumerate(zip(net.coefs_, net.intercepts_, strict=True)):
        out = (np.tanh(out) if i else out) @ w + b
    np.testing.assert_allclose(np.exp(out) if loss == "poisson" else out, net.predict(X), rtol=1e-9)
    np.testing.assert_array_equal(net.coefs_[1], net.params_["W2"])
    if loss == "squared_error":
        np.testing.assert_allclose(net.coefs_[-1], net.params_["W3"] * y.std(axis=0), rtol=1e-9)


@row("``n_layers_``, ``n_outputs_``, ``out_activation_``")
@each_kind
def test_output_layer_of_every_kind_of_y(kind):
    mlp, net = (model.fit(X, kind.y) for model in (kind.mlp(max_iter=1), kind.net(num_epochs=1, random_state=0)))
    for name in ("n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(mlp, name) == getattr(net, name)


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


@row("``loss_``, ``loss_curve_``")
@row("``tol``")
def test_losses_of_a_regressor_are_of_y_over_its_scale():
    kind, factor = KINDS["a quantity"], 1000
    one = our_net(kind).fit(X, kind.y)
    large = our_net(Kind(factor * kind.y, regressor=True)).fit(X, factor * kind.y)
    np.testing.assert_allclose(large.loss_curve_[1:4], one.loss_curve_[1:4], rtol=0.2)
    mlp = their_net(kind).fit(X, factor * kind.y)
    np.testing.assert_allclose(mlp.loss_curve_[0], factor**2 / 2, rtol=0.2)


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


@row("``validation_scores_``")
@row("``best_validation_score_``")
@row("``best_loss_``")
def test_histories_of_a_regressor():
    y = KINDS["a quantity"].y
    settings = {"hidden_dims": HIDDEN, "num_epochs": 5, "random_state": 0}
    net = FullyConnectedRegressor(**settings).fit(X, y, X_val=X[::5], y_val=y[::5])
    assert net.validation_scores_ == net.history_["val_r2"] == net.val_r2_history_[1:]
    assert net.best_validation_score_ == net.best_val_score_ == net.val_r2_history_[net.best_epoch_]
    assert net.best_val_score_ == pytest.approx(net.score(X[::5], y[::5]))
    assert net.best_loss_ == min(net.loss_curve_)
    mlp = MLPRegressor(hidden_layer_sizes=HIDDEN, early_stopping=True, max_iter=5, random_state=0).fit(X, y)
    assert len(mlp.validation_scores_) == 5
    assert mlp.best_loss_ is None
    net, mlp = FullyConnectedRegressor(**settings).fit(X, y), MLPRegressor(max_iter=5).fit(X, y)
    assert net.validation_scores_ is net.best_validation_score_ is mlp.validation_scores_ is None


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


@row("``fit(X, y, sample_weight)``")
@pytest.mark.skipif(not takes_weights, reason=FROM_1_7)
@each_kind
def test_weights_for_every_kind_of_y(kind):
    # Equal ones of each sort, so that the scale of y stays 1.
    y, weight = np.concatenate([kind.y, kind.y]), np.r_[np.full(150, 0.5), np.full(150, 2.0)]
    one = {"batch_size": 300}
    mlp = their_net(kind, **one).fit(np.vstack([X, X]), y, sample_weight=weight)
    net = our_net(kind, **one).fit(np.vstack([X, X]), y, sample_weight=weight)
    assert Course(mlp, net).difference < 1e-11


@row("``partial_fit(X, y)``")
@each_kind
def test_partial_fit_for_every_kind_of_y(kind):
    mlp, net = their_net(kind), our_net(kind)
    classes = {} if kind.regressor else {"classes": [0, 1, 2]}
    for _ in range(5):
        mlp.partial_fit(X, kind.y, **classes)
        net.partial_fit(X, kind.y, **classes)
    assert Course(mlp, net).difference < 1e-11


@row("``partial_fit(X, y)``")
def test_partial_fit_of_a_regressor():
    y = 10 + 5 * KINDS["a quantity"].y
    net = FullyConnectedRegressor(random_state=0).partial_fit(X, y).partial_fit(X, 10 * y)
    np.testing.assert_allclose([net.y_mean_, net.y_scale_], [[10], [5]])
    assert list(inspect.signature(FullyConnectedRegressor.partial_fit).parameters) == [
        "self",
        "X",
        "y",
        "sample_weight",
    ]
    with pytest.raises(ValueError, match="early_stopping"):
        MLPRegressor(early_stopping=True).partial_fit(X, y)
    assert FullyConnectedRegressor(early_stopping=True).partial_fit(X, y).best_val_score_ is None


@row("``partial_fit(X, y)``")
def test_partial_fit():
    mlp, net = their_net(), our_net()
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


@row("``predict``, ``score``")
@each_kind
def test_predictions_are_the_same(kind):
    course = side_by_side({}, {}, kind)
    mlp, net = course.mlp, course.net
    np.testing.assert_allclose(net.predict(X), mlp.predict(X), atol=1e-11)
    assert net.score(X, kind.y) == pytest.approx(mlp.score(X, kind.y), abs=1e-11)
    single = X.astype(np.float32)
    if kind.regressor:
        assert kind.mlp(max_iter=1).fit(single, kind.y).predict(single).dtype == np.float32
        assert net.fit(single, kind.y).predict(single).dtype == np.float64


@row("``predict_proba``, ``predict_log_proba`` of MLPClassifier")
@pytest.mark.parametrize("name", ["classes", "several labels"])
def test_probabilities_are_the_same(name):
    course = side_by_side({}, {}, KINDS[name])
    mlp, net = course.mlp, course.net
    np.testing.assert_allclose(net.predict_proba(X), mlp.predict_proba(X), atol=1e-12)
    np.testing.assert_allclose(net.predict_log_proba(X), mlp.predict_log_proba(X), atol=1e-10)
    assert net.decision_function(X).shape == (150, 3)
    assert not hasattr(mlp, "decision_function")
    hinge = FullyConnectedNet(loss="hinge", num_epochs=1, random_state=0).fit(X, Y)
    assert hinge.decision_function(X).shape == (150, 3)
    assert not hasattr(hinge, "predict_proba")
    assert not hasattr(hinge, "predict_log_proba")


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
        FullyConnectedNet(num_epochs=3, tol=1e-4, lr_schedule=None, random_state=0).fit(X, Y)
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
        our_net(**{**OUR_SGD, "learning_rate": 1e200}).fit(X, Y)


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


@row("Sparse X")
@each_kind
def test_sparse_X_of_every_kind_of_y(kind):
    sparse = scipy.sparse.csr_array(X)
    course = side_by_side({}, {}, kind)
    mlp, net = their_net(kind).fit(sparse, kind.y), our_net(kind).fit(sparse, kind.y)
    np.testing.assert_allclose(mlp.predict(sparse), course.mlp.predict(X), atol=1e-10)
    np.testing.assert_allclose(net.predict(sparse), course.net.predict(X), atol=1e-10)


@row("Several labels of a sample: y of indicators")
def test_several_labels():
    y = KINDS["several labels"].y
    sparse = scipy.sparse.csr_matrix(y)
    mlp, net = MLPClassifier(HIDDEN, max_iter=1), FullyConnectedNet(num_epochs=1, random_state=0)
    assert isinstance(mlp.fit(X, y).predict(X), np.ndarray)
    assert scipy.sparse.issparse(mlp.fit(X, sparse).predict(X))
    dense = net.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(net.fit(X, sparse).predict_proba(X), dense)
    assert isinstance(net.predict(X), np.ndarray)
    assert FullyConnectedNet(random_state=0).partial_fit(X, y).n_outputs_ == 3
    with pytest.raises(ValueError, match="classes"):
        MLPClassifier(HIDDEN).partial_fit(X, y)
    for settings in ({"class_weight": "balanced"}, {"loss": "hinge"}):
        with pytest.raises(ValueError, match=f"{next(iter(settings))}=.* needs one label for each sample"):
            FullyConnectedNet(**settings).fit(X, y)


@row("y in thousandths or in millions")
@pytest.mark.parametrize("factor", [1e-3, 1e6])
def test_units_of_y(factor):
    data, y = make_regression(200, 4, noise=1, random_state=0)
    y = 5 + y / y.std()
    net = FullyConnectedRegressor(hidden_dims=HIDDEN, learning_rate=0.01, num_epochs=60, tol=None, random_state=0)
    scores = [net.fit(data, units * y).score(data, units * y) for units in (1, factor)]
    assert scores[1] == pytest.approx(scores[0], abs=1e-3)
    assert scores[0] > 0.9
    mlp = MLPRegressor(hidden_layer_sizes=HIDDEN, learning_rate_init=0.01, max_iter=60, tol=0, random_state=0)
    assert mlp.fit(data, factor * y).score(data, factor * y) < 0.5
    wrapped = TransformedTargetRegressor(mlp, transformer=StandardScaler()).fit(data, factor * y)
    assert wrapped.score(data, factor * y) > 0.9


@row("y of shape (n, 1)")
def test_y_of_one_column():
    column = KINDS["a quantity"].y[:, None]
    with pytest.warns(DataConversionWarning):
        assert MLPRegressor(max_iter=1).fit(X, column).predict(X).shape == (150,)
    assert FullyConnectedRegressor(num_epochs=1, random_state=0).fit(X, column).predict(X).shape == (150, 1)
    for classifier in (MLPClassifier(max_iter=1), FullyConnectedNet(num_epochs=1, random_state=0)):
        with pytest.warns(DataConversionWarning):
            assert classifier.fit(X, Y[:, None]).predict(X).shape == (150,)
