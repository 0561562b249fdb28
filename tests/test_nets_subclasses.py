"""Nets of users: subclasses of Net, and what they override."""

import pickle

import numpy as np
import pytest

from sklearn_dl import TwoLayerNet
from sklearn_dl.gradient_check import check_net
from sklearn_dl.nets import FullyConnected, Net
from sklearn_dl.nets.layers import Affine, BatchNorm, Conv, MaxPool, ReLU
from sklearn_dl.solver import Solver

from ._nets import assert_same, batch


class TwoBlocks(Net):
    """What a user writes: a net in ten lines."""

    def __init__(self, num_classes, **options):
        layers = []
        for filters in (4, 6):
            layers += [Conv(filters, 3), BatchNorm(), ReLU(), MaxPool()]
        super().__init__([*layers, Affine(num_classes)], (1, 8, 8), **options)


def test_custom_net():
    net = TwoBlocks(3, weight_scale="he", dtype=np.float64, random_state=0)
    names = ["W1", "b1", "gamma1", "beta1", "W2", "b2", "gamma2", "beta2", "W3", "b3"]
    assert list(net.params) == names
    assert net.params["W3"].shape == (6 * 2 * 2, 3)
    assert net.num_classes == 3
    X, y = batch(net)
    check_net(net, X, y, h=1e-6, tol=2e-6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).loss(X), net.loss(X))


class Doubled(Net):
    """Twice the loss."""

    def loss(self, X, y=None, sample_weight=None):
        if y is None:
            return super().loss(X)
        loss, grads = super().loss(X, y, sample_weight)
        return 2 * loss, {name: 2 * grad for name, grad in grads.items()}


class WithoutWeights(Net):
    """A squared error of the scores, without weights of samples."""

    def loss(self, X, y=None):
        if y is None:
            return super().loss(X)
        _, grads = super().loss(X, y)
        return float(len(X)), {name: np.sign(grad) for name, grad in grads.items()}


class WithLasso(Net):
    """The sum of the absolute values as the penalty."""

    def penalty(self, squares=None):
        return self.reg * sum(np.abs(self.params[name]).sum() for name in self.weight_names)

    def loss(self, X, y=None, sample_weight=None):
        if y is None:
            return super().loss(X)
        loss, grads = self.backprop(self._check_X(X), y, sample_weight)
        slopes = {name: self.reg * np.sign(self.params[name]) for name in self.weight_names}
        return loss + self.penalty(), {name: grad + slopes.get(name, 0) for name, grad in grads.items()}


class Tripled(Net):
    """Prepares its input, in the method that `loss` calls for this."""

    def _check_X(self, X):
        return 3 * super()._check_X(X)


class Halved(Net):
    """Another data loss."""

    def backprop(self, X, y, sample_weight=None, total_weight=None):
        loss, grads = super().backprop(X, y, sample_weight, total_weight)
        return loss / 2, {name: grad / 2 for name, grad in grads.items()}


class LassoOfHalved(WithLasso, Halved):
    """Overrides loss and penalty nearer than backprop."""


class HalvedOfDoubled(Halved, Doubled):
    """Overrides backprop nearer than loss."""


class DoubledOfHalved(Doubled, Halved):
    """Overrides loss nearer than backprop."""


class Shifted(Net):
    def _forward(self, X, work, *, train, sample_weight=None):
        return super()._forward(X + 1, work, train=train, sample_weight=sample_weight)


class PenaltyAlone(Net):
    penalty = WithLasso.penalty


class PenaltyBelowLoss(Doubled):
    penalty = WithLasso.penalty


STATED = ([Affine(6), ReLU(), Affine(3)], (4,))

LINEAR = ([Affine(3)], (128,))


def state(cls, stated, dtype=np.float64):
    return cls(*stated, reg=0.1, weight_scale="he", dtype=dtype, random_state=0)


class Stranger:
    """A net with parameters and a loss, and nothing that could be taken in the loss's place."""

    def __init__(self, net, loss=None):
        self.params, self.dtype = net.params, net.dtype
        self.loss = loss or net.loss


def train(net, weight=None, n_samples=40):
    """Train a little; return the losses."""
    rng = np.random.RandomState(3)
    shape = np.prod(net.input_shape) if hasattr(net, "input_shape") else len(net.params["W1"])
    data = {"X_train": rng.randn(n_samples, shape), "y_train": rng.randint(3, size=n_samples)}
    solver = Solver(
        net, {**data, "sample_weight_train": weight}, num_epochs=2, batch_size=10, verbose=False, random_state=0
    )
    solver.train()
    return solver.loss_history


THROUGH_LOSS = [Doubled, WithoutWeights, WithLasso, Tripled, LassoOfHalved, DoubledOfHalved]

THROUGH_BACKPROP = [Net, Halved, HalvedOfDoubled, Shifted]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stated", [STATED, LINEAR], ids=["deep", "linear"])
@pytest.mark.parametrize("cls", THROUGH_LOSS)
def test_an_overridden_loss_is_trained_on(cls, stated, dtype):
    net, twin, plain = state(cls, stated, dtype), state(cls, stated, dtype), state(Net, stated, dtype)
    assert not net.takes_rows
    assert train(net) == train(Stranger(twin))
    assert_same(net.params, twin.params)
    train(plain)
    assert not np.array_equal(net.params["W1"], plain.params["W1"])
    # What it learned went down its own gradient.
    if cls is not WithoutWeights:
        check_net(state(cls, stated), *batch(net), h=1e-6)


@pytest.mark.parametrize("stated", [STATED, LINEAR], ids=["deep", "linear"])
def test_a_loss_put_on_the_object_is_trained_on(stated):
    net, twin = state(Net, stated), state(Doubled, stated)
    loss = net.loss

    def doubled(X, y=None):
        if y is None:
            return loss(X)
        value, grads = loss(X, y)
        return 2 * value, {name: 2 * grad for name, grad in grads.items()}

    net.loss = doubled
    assert train(net) == train(twin)
    assert_same(net.params, twin.params)


@pytest.mark.parametrize("stated", [STATED, LINEAR], ids=["deep", "linear"])
@pytest.mark.parametrize("cls", THROUGH_BACKPROP)
def test_an_overridden_backprop_is_trained_on(cls, stated):
    net, twin = state(cls, stated), state(cls, stated)
    assert net.takes_rows == (cls is Net and stated is LINEAR)
    # To rounding: the penalty is added in another place.
    np.testing.assert_allclose(train(net), train(Stranger(twin, Net.loss.__get__(twin))), rtol=1e-10)
    assert_same(net.params, twin.params, rtol=1e-9)


@pytest.mark.parametrize("cls", [*THROUGH_LOSS, *THROUGH_BACKPROP])
def test_weights_of_samples_with_what_is_overridden(cls):
    weight = np.linspace(0.5, 2, 40)
    net = state(cls, STATED)
    if cls is WithoutWeights:
        message = r"'sample_weight_train'\] needs a net .* argument sample_weight of its loss: WithoutWeights has none"
        with pytest.raises(ValueError, match=message):
            train(net, weight)
        return
    losses = train(net, weight)
    unweighted = state(cls, STATED)
    assert losses != train(unweighted)
    assert not np.array_equal(net.params["W1"], unweighted.params["W1"])
    # Weights that are all the same change nothing.
    np.testing.assert_allclose(train(state(cls, STATED), np.full(40, 2.0)), train(state(cls, STATED)), rtol=1e-9)


@pytest.mark.parametrize("cls", [PenaltyAlone, PenaltyBelowLoss])
def test_a_penalty_whose_gradient_is_not_known_is_refused(cls):
    net = state(cls, STATED)
    X, y = batch(net)
    assert net.loss(X).shape == (6, 3)
    for call in (lambda: net.loss(X, y), lambda: train(net)):
        with pytest.raises(TypeError, match=f"^{cls.__name__} overrides penalty, but not loss: override loss as well"):
            call()


class Warm(FullyConnected):
    """Predicts other scores than those that it is trained on."""

    def scores(self, X, work=None):
        return super().scores(X, work) / 2


class WarmLoss(FullyConnected):
    def loss(self, X, y=None, sample_weight=None):
        return super().loss(X) / 2 if y is None else super().loss(X, y, sample_weight)


class WarmScoresOfLoss(WarmLoss):
    def scores(self, X, work=None):
        return super().scores(X, work) / 4


class WarmLossOfScores(Warm):
    def loss(self, X, y=None, sample_weight=None):
        return super().loss(X) / 4 if y is None else super().loss(X, y, sample_weight)


@pytest.mark.parametrize(
    ("net_class", "factor"),
    [(FullyConnected, 1), (Warm, 2), (WarmLoss, 2), (WarmScoresOfLoss, 4), (WarmLossOfScores, 8)],
)
def test_estimators_predict_what_is_overridden(net_class, factor):
    estimator = type("Mine", (TwoLayerNet,), {"_net_class": net_class})(hidden_dim=5, num_epochs=2, random_state=0)
    X, y = np.random.RandomState(0).randn(300, 4).astype(np.float32), np.arange(300) % 3
    estimator.fit(X, y)
    expected = Net._forward(estimator._net, X, estimator._net.workspace(), train=False) / factor
    np.testing.assert_array_equal(estimator.decision_function(X), expected)
    accuracy = estimator.train_acc_history_[-1]
    assert accuracy == pytest.approx(estimator.score(X, y))
