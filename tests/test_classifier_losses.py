"""The parameters `loss` and `label_smoothing` of the classifiers."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import sklearn_dl
from sklearn_dl import Softmax, TwoLayerNet
from sklearn_dl.losses import svm_loss

from ._estimators import blobs, each_estimator, small


def constant_score_loss(loss, shares):
    """Return the least loss of equal scores for all samples, by a search."""
    from scipy.optimize import minimize

    starts = [np.zeros(len(shares)), *np.eye(len(shares)), np.log(shares + 1e-9)]
    return min(minimize(loss, start, method="Nelder-Mead", options={"maxiter": 4000}).fun for start in starts)


@each_estimator
def test_hinge_is_the_multiclass_hinge_loss(cls):
    X, y = blobs(32, dtype=np.float64)
    start = small(cls, loss="hinge", num_iters=1, learning_rate=0.0, batch_size=32).fit(X, y)
    expected, _ = svm_loss(start.decision_function(X), y)
    np.testing.assert_allclose(start.loss_history_[0], expected, rtol=1e-9)
    assert start._net.head.name == "hinge"


@each_estimator
def test_hinge_learns(cls):
    X, y = blobs(120, spread=0.5)
    net = small(cls, loss="hinge", num_epochs=30, learning_rate=0.01).fit(X[:80], y[:80])
    assert net.score(X[80:], y[80:]) > 0.9
    assert net.decision_function(X).shape == (120, 3)
    np.testing.assert_array_equal(net.decision_function(X).argmax(axis=1), net.predict(X))


@each_estimator
def test_hinge_has_no_probabilities(cls):
    X, y = blobs()
    for net in (small(cls, loss="hinge"), small(cls, loss="hinge").fit(X, y)):
        for method in ("predict_proba", "predict_log_proba"):
            assert not hasattr(net, method)
            with pytest.raises(AttributeError) as caught:
                getattr(net, method)
            assert "loss='hinge' has no probabilities: set loss='softmax'" in str(caught.value.__cause__)
    trained = small(cls, loss="hinge").fit(X, y).set_params(loss="softmax")
    assert not hasattr(trained, "predict_proba")  # the scores are still those of a hinge loss
    assert hasattr(trained.fit(X, y), "predict_proba")


def test_linear_hinge_is_a_linear_svm():
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    ours = Softmax(loss="hinge", num_epochs=300, learning_rate=0.05, lr_schedule="cosine", tol=None, random_state=0)
    svm = LinearSVC(multi_class="crammer_singer", C=100, max_iter=100_000)
    assert ours.fit(X, y).score(X, y) >= svm.fit(X, y).score(X, y) - 0.02


def test_calibration_takes_hinge():
    X, y = blobs(120)
    model = CalibratedClassifierCV(small(TwoLayerNet, loss="hinge", num_epochs=20), cv=3).fit(X, y)
    assert model.predict_proba(X).shape == (120, 3)
    assert model.score(X, y) > 0.8


@each_estimator
def test_label_smoothing_is_its_formula(cls):
    X, y = blobs(32, dtype=np.float64)
    start = small(cls, label_smoothing=0.3, num_iters=1, learning_rate=0.0, batch_size=32).fit(X, y)
    scores = start.decision_function(X)
    targets = 0.7 * np.eye(3)[y] + 0.1
    expected = -(targets * log_softmax(scores, axis=1)).sum(axis=1).mean()
    np.testing.assert_allclose(start.loss_history_[0], expected, rtol=1e-9)


@each_estimator
def test_label_smoothing_keeps_probabilities_from_extremes(cls):
    X, y = blobs(60, spread=0.3)
    options = {"num_epochs": 200, "learning_rate": 0.01}
    plain, smooth = (small(cls, label_smoothing=share, **options).fit(X, y) for share in (0.0, 0.3))
    assert plain.predict_proba(X).max(axis=1).mean() > 0.95
    # 0.7 + 0.3 / 3
    np.testing.assert_allclose(smooth.predict_proba(X).max(axis=1).mean(), 0.8, atol=0.03)
    assert smooth.score(X, y) > 0.95
    np.testing.assert_allclose(smooth.predict_proba(X), softmax(smooth.decision_function(X), axis=1), rtol=1e-6)


@each_estimator
def test_hinge_and_label_smoothing_do_not_go_together(cls):
    with pytest.raises(ValueError, match=r"label_smoothing=0\.1 needs loss='softmax', got loss='hinge'"):
        small(cls, loss="hinge", label_smoothing=0.1).fit(*blobs())


@each_estimator
def test_what_may_change_when_training_goes_on(cls):
    X, y = blobs()
    net = small(cls, warm_start=True).fit(X, y)
    twin = pickle.loads(pickle.dumps(net))
    net.fit(X, y)
    twin.set_params(label_smoothing=0.4).fit(X, y)
    assert not np.array_equal(net.predict_proba(X), twin.predict_proba(X))
    with pytest.raises(ValueError, match="cannot change loss from 'softmax' to 'hinge'"):
        net.set_params(loss="hinge").fit(X, y)
    with pytest.raises(ValueError, match="cannot change loss from 'softmax' to 'hinge'"):
        net.partial_fit(X, y)


@each_estimator
def test_copies_of_hinge_nets(cls, tmp_path):
    X, y = blobs()
    net = small(cls, loss="hinge").fit(X, y)
    net.save(tmp_path / "net")
    for other in (pickle.loads(pickle.dumps(net)), sklearn_dl.load(tmp_path / "net")):
        np.testing.assert_array_equal(other.decision_function(X), net.decision_function(X))
        assert not hasattr(other, "predict_proba")
        assert other.partial_fit(X, y)._net.head.name == "hinge"


@each_estimator
def test_validation_and_early_stopping_with_hinge(cls):
    X, y = blobs(200)
    net = small(cls, loss="hinge", early_stopping=True, monitor="loss", num_epochs=20).fit(X, y)
    assert net.history_["val_loss"][net.best_epoch_ - 1] == min(net.history_["val_loss"])


# ------------------------------------------------------------------------------ warnings


@each_estimator
@pytest.mark.parametrize("params", [{"loss": "hinge"}, {"label_smoothing": 0.5}, {"label_smoothing": 0.9}])
def test_a_training_that_learns_does_not_warn(cls, params):
    X, y = blobs(90, spread=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = small(cls, **params, num_epochs=30, learning_rate=0.01).fit(X, y)
    assert net.score(X, y) > 0.6


@pytest.mark.parametrize("params", [{"loss": "hinge"}, {"label_smoothing": 0.3}])
def test_too_large_a_step_is_told(params):
    X, y = blobs(90)
    with pytest.warns(ConvergenceWarning, match="learning_rate=10000 is too large"):
        small(TwoLayerNet, **params, update_rule="sgd", learning_rate=1e4, num_epochs=10).fit(X / 10, y)


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.1, 0.7, 0.2], [0.25, 0.25, 0.25, 0.25], [0.45, 0.45, 0.05, 0.05]])
def test_the_best_constant_scores(shares):
    """No other scores that are the same for all samples have a smaller loss."""
    from sklearn_dl.nets.heads import HingeHead, SoftmaxHead

    shares = np.array(shares)
    y = np.repeat(np.arange(len(shares)), np.round(100 * shares).astype(int))
    for head in (SoftmaxHead(), SoftmaxHead(label_smoothing=0.3), HingeHead()):

        def loss(scores, head=head):
            return head.loss(np.tile(scores, (len(y), 1)), y, None, None)

        assert head.constant_loss(shares) == pytest.approx(constant_score_loss(loss, shares), rel=1e-3)
