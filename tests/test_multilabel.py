"""Several labels for a sample: indicators y of shape (n_samples, n_labels)."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csc_matrix, csr_matrix
from scipy.special import expit
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler

import sklearn_dl
from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.losses import logistic_loss

from ._estimators import small

CLASSES = [TwoLayerNet, FullyConnectedNet, ThreeLayerConvNet]
each_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


def indicators(n=200, n_labels=3, seed=0):
    """Return rows of 16 features, that is of images (1, 4, 4), and indicators that depend on them."""
    rng = np.random.RandomState(seed)
    X = rng.randn(n, 16).astype(np.float32)
    return X, (X @ rng.randn(16, n_labels) > 0).astype(int)


@each_class
@pytest.mark.parametrize("n_labels", [2, 3, 7])
def test_learns_indicators(cls, n_labels):
    X, Y = indicators(600, n_labels)
    net = small(cls, num_epochs=60, learning_rate=0.01).fit(X[:400], Y[:400])
    predicted, probabilities = net.predict(X[400:]), net.predict_proba(X[400:])
    assert predicted.shape == probabilities.shape == (200, n_labels)
    assert predicted.dtype == np.int64
    assert probabilities.dtype == np.float64
    np.testing.assert_array_equal(predicted, probabilities > 0.5)
    assert roc_auc_score(Y[400:], probabilities) > 0.7
    assert net.score(X[400:], Y[400:]) == accuracy_score(Y[400:], predicted)
    scores = net.decision_function(X[400:])
    np.testing.assert_allclose(probabilities, expit(scores.astype(float)), rtol=1e-9)
    np.testing.assert_allclose(net.predict_log_proba(X[400:]), np.log(probabilities), rtol=1e-6, atol=1e-9)
    assert net.classes_.tolist() == list(range(n_labels))
    if cls is not ThreeLayerConvNet:
        assert (net.out_activation_, net.n_outputs_) == ("logistic", n_labels)


@each_class
def test_labels_are_independent_of_each_other(cls):
    """All, none and any of the labels are predicted, which a softmax could not."""
    X, Y = indicators(600)
    predicted = small(cls, num_epochs=60, learning_rate=0.01).fit(X, Y).predict(X)
    assert {*map(tuple, predicted.tolist())} >= {(0, 0, 0), (1, 1, 1), (1, 0, 0), (0, 1, 1)}


def test_the_loss_is_the_logistic_loss():
    X, Y = indicators(32)
    for smoothing in (0.0, 0.2):
        start = small(TwoLayerNet, batch_size=32, num_iters=1, learning_rate=0.0, label_smoothing=smoothing).fit(X, Y)
        scores = start.decision_function(X)
        expected, _ = logistic_loss(scores, (1 - smoothing) * Y + smoothing / 2)
        np.testing.assert_allclose(start.loss_history_[0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    "convert", [csr_matrix, csc_matrix, np.ndarray.tolist, lambda Y: Y.astype(bool), lambda Y: Y.astype(np.float32)]
)
def test_spellings_of_indicators(convert):
    X, Y = indicators(60)
    plain, other = small(TwoLayerNet).fit(X, Y), small(TwoLayerNet).fit(X, convert(Y))
    np.testing.assert_array_equal(plain.decision_function(X), other.decision_function(X))
    assert other.score(X, Y) == plain.score(X, Y)
    assert plain.score(X, convert(Y)) == plain.score(X, Y)


def test_sets_of_labels_by_a_binarizer():
    sets = [{"news"}, {"news", "sport"}, set(), {"sport"}] * 10
    X = np.array([[1, 0], [1, 1], [0, 0], [0, 1]] * 10, float)
    binarizer = MultiLabelBinarizer()
    net = small(TwoLayerNet, num_epochs=100, learning_rate=0.05).fit(X, binarizer.fit_transform(sets))
    assert [set(labels) for labels in binarizer.inverse_transform(net.predict(X))] == sets


@each_class
def test_one_column_is_labels(cls):
    X, Y = indicators(60)
    with pytest.warns(match="column-vector y was passed"):
        net = small(cls).fit(X, Y[:, :1])
    assert net.predict(X).shape == (60,)
    assert net.predict_proba(X).shape == (60, 2)


@each_class
@pytest.mark.parametrize(
    ("Y", "message"),
    [
        (
            np.arange(60).reshape(20, 3) % 4,
            r"y must be indicators, 0 or 1, .*, got multiclass-multioutput of shape \(20, 3\)\. Labels, one for each"
            r" sample, are of shape \(n_samples,\)\.$",
        ),
        (np.arange(60).reshape(20, 3) % 2 * 2 - 1, r"y must hold indicators, 0 or 1, got the values \[-1  1\]"),
        (np.full((20, 3), 0.5), "y must be indicators"),
        (np.full((20, 3), np.nan), "Input y contains NaN"),
        (np.ones((19, 3), int), "inconsistent numbers of samples"),
    ],
)
def test_bad_indicators(cls, Y, message):
    X, good = indicators(20)
    net = small(cls).fit(X, good)
    before = net.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y)
    np.testing.assert_array_equal(net.predict_proba(X), before)


def test_softmax_refuses_them():
    X, Y = indicators(20)
    with pytest.raises(ValueError, match=r"Softmax takes one label for each sample\. TwoLayerNet takes several"):
        Softmax().fit(X, Y)
    assert not Softmax().__sklearn_tags__().classifier_tags.multi_label


@each_class
def test_what_has_no_meaning_is_refused(cls):
    X, Y = indicators(20)
    with pytest.raises(ValueError, match="class_weight='balanced' needs one label for each sample"):
        small(cls, class_weight="balanced").fit(X, Y)
    with pytest.raises(ValueError, match="loss='hinge' needs one label for each sample"):
        small(cls, loss="hinge").fit(X, Y)
    assert cls().__sklearn_tags__().classifier_tags.multi_label
    for params in ({"loss": "hinge"}, {"class_weight": "balanced"}):
        assert not cls(**params).__sklearn_tags__().classifier_tags.multi_label


@each_class
def test_partial_fit(cls):
    X, Y = indicators(200)
    whole = small(cls, num_epochs=4, shuffle=False).fit(X, Y)
    for classes in (None, [0, 1, 2]):
        parts = small(cls, shuffle=False)
        for _ in range(4):
            parts.partial_fit(X, Y, classes=classes)
        np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))
    with pytest.raises(ValueError, match="classes must be the numbers of y's 3 columns"):
        small(cls).partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match="y has 2 labels, expected 3"):
        parts.partial_fit(X, Y[:, :2])
    with pytest.raises(ValueError, match=r"y must be indicators .* as in the first call"):
        parts.partial_fit(X, Y[:, 0])
    with pytest.raises(ValueError, match=r"y must be labels .* as in the first call"):
        small(cls).partial_fit(X, Y[:, 0], classes=[0, 1]).partial_fit(X, Y)


@each_class
def test_warm_start(cls):
    X, Y = indicators(60)
    net = small(cls, warm_start=True).fit(X, Y)
    assert net.fit(X, Y).n_iter_ == 6
    with pytest.raises(ValueError, match="With warm_start, y must hold the classes of the first fit"):
        net.fit(X, Y[:, 0])
    with pytest.raises(ValueError, match="With warm_start, y must hold the classes of the first fit"):
        net.fit(X, Y[:, :2])
    assert net.set_params(warm_start=False).fit(X, Y[:, 0]).predict(X).shape == (60,)
    assert net.fit(X, Y).predict(X).shape == (60, 3)


@each_class
def test_weights_are_repetitions(cls):
    X, Y = indicators(40)
    weight = np.arange(40) % 4
    weighted = small(cls, batch_size=200, num_epochs=30).fit(X, Y, sample_weight=weight)
    repeated = small(cls, batch_size=200, num_epochs=30).fit(np.repeat(X, weight, 0), np.repeat(Y, weight, 0))
    np.testing.assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))


@each_class
@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
def test_validation_sets(cls, monitor):
    X, Y = indicators(300)
    net = small(cls, early_stopping=True, monitor=monitor, num_epochs=20).fit(X, Y)
    assert net.best_validation_score_ == net.val_acc_history_[net.best_epoch_]
    given = small(cls, monitor="accuracy", num_epochs=20).fit(X[:200], Y[:200], X_val=X[200:], y_val=Y[200:])
    assert given.best_val_score_ == pytest.approx(given.score(X[200:], Y[200:]))
    with pytest.raises(ValueError, match="y_val has 2 labels, expected 3"):
        small(cls).fit(X, Y, X_val=X, y_val=Y[:, :2])
    with pytest.raises(ValueError, match=r"y_val must be indicators, .*, got binary of shape \(300,\)\.$"):
        small(cls).fit(X, Y, X_val=X, y_val=Y[:, 0])


@each_class
def test_copies(cls, tmp_path):
    X, Y = indicators(60)
    net = small(cls, normalization="batchnorm").fit(X, Y)
    net.save(tmp_path / "net")
    for other in (pickle.loads(pickle.dumps(net)), sklearn_dl.load(tmp_path / "net")):
        np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
        np.testing.assert_array_equal(other.predict(X), net.predict(X))
        other.partial_fit(X, Y)


def test_in_pipelines_searches_and_chains():
    X, Y = make_multilabel_classification(300, n_classes=3, random_state=0)
    net = small(TwoLayerNet, num_epochs=20, learning_rate=0.01)
    search = GridSearchCV(make_pipeline(StandardScaler(), net), {"twolayernet__hidden_dim": [4, 8]}, cv=3)
    assert search.fit(X, Y).best_score_ > 0.4
    for model in (ClassifierChain(net, random_state=0), MultiOutputClassifier(net)):
        fitted = make_pipeline(StandardScaler(), model).fit(X, Y)
        assert fitted.predict(X).shape == (300, 3)
        assert accuracy_score(Y, fitted.predict(X)) > 0.4
