"""Augmentation: what it does to images, in the solver, in the convolutional net."""

import copy
import gc
import pickle
import tracemalloc
from dataclasses import FrozenInstanceError, dataclass

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet, load
from sklearn_dl.augmentation import AUGMENTATIONS, Augmentation, Cutout, HorizontalFlip, RandomCrop, check_augmentation
from sklearn_dl.nets import FullyConnected, ThreeLayerConv
from sklearn_dl.persistence import read_archive, write_archive
from sklearn_dl.solver import Solver

from ._estimators import assert_same, images, small

ALL = [HorizontalFlip(), HorizontalFlip(p=0.2), RandomCrop(), RandomCrop(1), RandomCrop(2), Cutout(), Cutout(3)]
each_augmentation = pytest.mark.parametrize("augmentation", ALL, ids=str)
SHAPES = [(3, 9, 10), (1, 12, 9), (2, 1, 11), (1, 13, 1)]


def batch(n=200, shape=(2, 9, 10), dtype=np.float32):
    """Return images whose pixels are all different, and none zero."""
    X = np.arange(1, n * np.prod(shape) + 1, dtype=dtype)
    return X.reshape(n, *shape)


def augmented(augmentation, X, seed=0, work=None):
    X = X.copy()
    assert augmentation(X, np.random.RandomState(seed), work) is None
    return X


# ---------------------------------------------------------------------------- what is done to images


@each_augmentation
def test_what_are_no_images_is_refused(augmentation):
    rng = np.random.RandomState(0)
    with pytest.raises(ValueError, match=r"X must be images .* \(5, 9, 10\)\. .*X\[:, None\].*X\[None\]"):
        augmentation(np.ones((5, 9, 10)), rng)
    with pytest.raises(ValueError, match=r"X must be images .* \(5, 90\)\.$"):
        augmentation(np.ones((5, 90)), rng)
    with pytest.raises(TypeError, match="X must be a NumPy array of images, which is changed in place, got list"):
        augmentation(np.ones((1, 1, 9, 10)).tolist(), rng)


@pytest.mark.parametrize(("p", "low", "high"), [(0, 0, 0), (0.2, 0.1, 0.3), (0.5, 0.4, 0.6), (1, 1, 1)])
def test_flip(p, low, high):
    X = batch()
    out = augmented(HorizontalFlip(p), X)
    flipped = (out == X[..., ::-1]).all((1, 2, 3))
    kept = (out == X).all((1, 2, 3))
    assert (flipped ^ kept).all()
    assert low <= flipped.mean() <= high


@pytest.mark.parametrize("padding", [1, 2, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_crop(padding, shape):
    X = batch(400, shape)
    _, H, W = shape
    rows, columns = (padding if size > 1 else 0 for size in (H, W))
    framed = np.pad(X, [(0, 0), (0, 0), (rows, rows), (columns, columns)])
    seen = set()
    for out, source in zip(augmented(RandomCrop(padding), X), framed, strict=True):
        places = [
            (i, j)
            for i in range(2 * rows + 1)
            for j in range(2 * columns + 1)
            if np.array_equal(out, source[:, i : i + H, j : j + W])
        ]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) > 0.9 * (2 * rows + 1) * (2 * columns + 1)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_cutout(size, shape):
    X = batch(500, shape)
    _, H, W = shape
    seen = set()
    for out, image in zip(augmented(Cutout(size), X), X, strict=True):
        hole = (out == 0).all(0)
        assert np.array_equal(np.where(hole, 0, image), out)
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        # The square whose centre is a pixel, less what lies outside.
        centres = [
            (i, j)
            for i in range(H)
            for j in range(W)
            if rows[0] == max(0, i - size // 2)
            and rows[-1] + 1 == min(H, i - size // 2 + size)
            and columns[0] == max(0, j - size // 2)
            and columns[-1] + 1 == min(W, j - size // 2 + size)
        ]
        assert centres
        assert hole.sum() == len(rows) * len(columns)
        seen.add((rows[0], rows[-1], columns[0], columns[-1]))
    assert len(seen) > min(H * W, 40) // 4


@each_augmentation
def test_each_image_has_its_own_draw_from_the_random_state(augmentation, dtype):
    X = batch(dtype=dtype)
    first = augmented(augmentation, X, seed=1)
    np.testing.assert_array_equal(augmented(augmentation, X, seed=1), first)
    assert first.dtype == dtype
    assert not np.array_equal(augmented(augmentation, X, seed=2), first)
    same = np.repeat(X[:1], 50, axis=0)
    assert len(np.unique(augmented(augmentation, same), axis=0)) > 1
    rng = np.random.RandomState(0)
    twice = X.copy(), X.copy()
    for out in twice:
        augmentation(out, rng)
    assert not np.array_equal(*twice)


@each_augmentation
def test_buffers_do_not_show(augmentation):
    """Minibatches of another size, shape or dtype come between; the frame stays zero."""
    work = {}
    for n, shape, dtype in [(50, (2, 9, 10), "f4"), (7, (2, 9, 10), "f4"), (60, (2, 9, 10), "f4")] + [
        (5, (1, 10, 11), "f4"),
        (5, (1, 10, 11), "f8"),
    ]:
        X = batch(n, shape, dtype) / 3  # which float32 rounds
        for seed in range(3):
            with_work = augmented(augmentation, X, seed, work)
            np.testing.assert_array_equal(with_work, augmented(augmentation, X, seed))


@each_augmentation
def test_memory(augmentation):
    X, work, rng = batch(64, (3, 32, 32)), {}, np.random.RandomState(0)
    augmentation(X, rng, work)
    gc.collect()
    tracemalloc.start()
    try:
        augmentation(X, rng, work)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * X[0].nbytes


# --------------------------------------------------------------------------------- as plain values


@each_augmentation
def test_augmentations_are_values(augmentation, tmp_path):
    assert eval(repr(augmentation)) == augmentation
    write_archive(tmp_path / "archive", (augmentation, "flip"))
    stored = read_archive(tmp_path / "archive")[0]
    for twin in (copy.deepcopy(augmentation), pickle.loads(pickle.dumps(augmentation)), stored):
        assert twin == augmentation
        assert hash(twin) == hash(augmentation)
        assert type(twin) is type(augmentation)
    assert [other for other in ALL if other == augmentation] == [augmentation]
    with pytest.raises(FrozenInstanceError):
        augmentation.size = 3


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_names(name):
    default = AUGMENTATIONS[name]()
    for value in (name, default, [name], (default,)):
        assert check_augmentation("augmentation", value) == (default,)
    for value in (None, [], ()):
        assert check_augmentation("augmentation", value) == ()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: HorizontalFlip(1.5), ValueError, r"p of HorizontalFlip == 1\.5"),
        (lambda: HorizontalFlip("half"), TypeError, "p of HorizontalFlip .* str"),
        (lambda: RandomCrop(0), ValueError, "padding of RandomCrop == 0"),
        (lambda: RandomCrop(1.0), TypeError, "padding of RandomCrop .* float"),
        (lambda: Cutout(size=0), ValueError, "size of Cutout == 0"),
        (lambda: Cutout(size=True), TypeError, "size of Cutout .* True"),
    ],
)
def test_bad_settings(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("augmentation", "small_shape", "enough"),
    [
        (RandomCrop(4), (3, 8, 4), (3, 5, 5)),
        (RandomCrop(4), (1, 1, 4), (1, 1, 5)),
        (Cutout(4), (3, 4, 4), (3, 2, 5)),
        (Cutout(1), (3, 1, 1), (3, 1, 2)),
        (HorizontalFlip(), None, (1, 1, 1)),
    ],
)
def test_images_that_are_too_small(augmentation, small_shape, enough):
    """Nothing may be left of an image: that is refused, and only that."""
    augmentation.check_shape(enough)
    X = batch(300, enough)
    assert augmented(augmentation, X).any((1, 2, 3)).all()
    if small_shape is not None:
        with pytest.raises(ValueError, match=f"of {small_shape[1]} x {small_shape[2]} pixels"):
            augmentation.check_shape(small_shape)
        X = batch(300, small_shape)
        assert not augmented(augmentation, X).any((1, 2, 3)).all()


# ------------------------------------------------------------------------------------ in the solver


@pytest.fixture
def spy(monkeypatch):
    """Record the minibatches that are trained on, and those that are evaluated."""
    seen = {"trained": [], "evaluated": []}
    backprop, loss = ThreeLayerConv.backprop, ThreeLayerConv.loss

    def watched_backprop(self, X, *args, **kwargs):
        seen["trained"].append(X.reshape(-1, *self.input_shape).copy())
        return backprop(self, X, *args, **kwargs)

    def watched_loss(self, X, *args):
        seen["evaluated"].append(X.reshape(-1, *self.input_shape).copy())
        return loss(self, X, *args)

    monkeypatch.setattr(ThreeLayerConv, "backprop", watched_backprop)
    monkeypatch.setattr(ThreeLayerConv, "loss", watched_loss)
    return seen


def make(augmentation, X, y, **options):
    net = ThreeLayerConv(X.shape[1:], 4, 3, 8, 2, weight_scale="he", random_state=0)
    data = {"X_train": X[:30], "y_train": y[:30], "X_val": X[30:], "y_val": y[30:]}
    settings = {"optim_config": {"learning_rate": 1e-4}, "batch_size": 8, "num_epochs": 2, "verbose": False}
    return Solver(net, data, augmentation=augmentation, random_state=0, **{**settings, **options})


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("batch_size", [8, 30, 100])
def test_only_minibatches_are_augmented(spy, dtype, batch_size):
    X, y = images(shape=(3, 6, 6))
    X = np.maximum(X, 1).astype(dtype)  # so that holes show
    X.setflags(write=False)
    original = X.copy()
    make(Cutout(3), X, y, batch_size=batch_size).train()
    np.testing.assert_array_equal(X, original)
    # 30 training and 10 validation images, before training and after each epoch.
    evaluated = np.concatenate(spy["evaluated"])
    np.testing.assert_array_equal(evaluated, np.concatenate([X] * 3))
    trained = np.concatenate(spy["trained"])
    assert len(trained) == 60
    # One hole each: a minibatch is augmented once, from what the images are.
    holes = (trained == 0).all(1).sum((1, 2))
    assert holes.min() >= 4
    assert holes.max() == 9
    restored = np.where(trained == 0, 0, 1)
    for out, kept in zip(trained, restored, strict=True):
        assert (X[:30] * kept == out).all((1, 2, 3)).sum() == 1


def test_augmentations_are_applied_in_order(spy):
    X, y = images(shape=(3, 6, 6))
    solver = make([Cutout(3), "flip", RandomCrop(1)], X, y, batch_size=30, num_epochs=1, shuffle=False)
    rng = np.random.RandomState(0)
    expected = X[:30].astype(np.float32)
    for augmentation in (Cutout(3), HorizontalFlip(), RandomCrop(1)):
        augmentation(expected, rng)
    solver.train()
    np.testing.assert_array_equal(spy["trained"][0], expected)


@pytest.mark.parametrize("epoch", [1, 3])
def test_resumed_training_has_the_same_bits(epoch, tmp_path):
    X, y = images(shape=(3, 6, 6))

    def solver(**more):
        return make(("flip", RandomCrop(2), Cutout(2)), X, y, num_epochs=5, update_rule="adam", **more)

    whole = solver(checkpoint=tmp_path / "run", keep_checkpoints=None)
    whole.train()
    resumed = solver()
    resumed.resume(tmp_path / f"run_epoch_{epoch}.npz")
    resumed.train()
    assert resumed.loss_history == whole.loss_history
    for name, value in whole.net.params.items():
        np.testing.assert_array_equal(resumed.net.params[name], value)


def test_images_for_a_fully_connected_net():
    X, y = images()
    data = {"X_train": X / 255, "y_train": y}
    solvers = []
    for augmentation in (None, "flip"):
        net = FullyConnected([5], 48, 2, weight_scale="he", random_state=0)
        solver = Solver(net, data, num_epochs=2, verbose=False, random_state=0, augmentation=augmentation)
        solver.train()
        solvers.append(solver)
    assert solvers[0].loss_history != solvers[1].loss_history


def test_rows_that_are_no_images():
    data = {"X_train": np.ones((4, 48)), "y_train": np.arange(4) % 2}
    with pytest.raises(ValueError, match=r"augmentation needs images .* got samples of shape \(48,\)"):
        Solver(FullyConnected([5], 48, 2), data, augmentation="flip")


@dataclass(frozen=True)
class Noise(Augmentation):
    """Adds noise."""

    scale: float = 0.1

    def __call__(self, X, random_state, work=None):
        X += self.scale * random_state.randn(*X.shape)


def test_an_augmentation_of_ones_own(tmp_path):
    X, y = images()
    net = small(ThreeLayerConvNet, augmentation=Noise(), num_epochs=1).fit(X / 255, y)
    assert net.loss_history_ != small(ThreeLayerConvNet, num_epochs=1).fit(X / 255, y).loss_history_
    with pytest.raises(TypeError, match=r"parameter augmentation of ThreeLayerConvNet cannot be saved: Noise\("):
        net.save(tmp_path / "net")


# -------------------------------------------------------------------------- in the convolutional net

BOTH = ("flip", RandomCrop(padding=1))


@pytest.mark.parametrize("cls", [Softmax, TwoLayerNet, FullyConnectedNet])
def test_nets_on_rows_have_no_such_parameter(cls):
    assert "augmentation" not in cls().get_params()


@pytest.mark.parametrize("batch_size", [16, 64])
def test_same_random_state_same_bits(batch_size):
    X, y = images()
    first = small(ThreeLayerConvNet, augmentation=BOTH, batch_size=batch_size).fit(X / 255, y)
    assert_same(first, small(ThreeLayerConvNet, augmentation=BOTH, batch_size=batch_size).fit(X / 255, y))
    rows = small(ThreeLayerConvNet, augmentation=BOTH, batch_size=batch_size).fit((X / 255).reshape(40, -1), y)
    assert_same(first, rows)
    other = small(ThreeLayerConvNet, augmentation=BOTH, batch_size=batch_size, random_state=1).fit(X / 255, y)
    assert first.loss_history_ != other.loss_history_


def test_without_augmentation_nothing_changes():
    X, y = images()
    assert_same(
        small(ThreeLayerConvNet).fit(X / 255, y),
        small(ThreeLayerConvNet, augmentation=[]).fit(X / 255, y),
    )


def test_bytes_are_augmented_as_floats():
    X, y = images()
    original = X.copy()
    X.setflags(write=False)
    params = {"augmentation": BOTH, "weight_scale": 1e-3, "dtype": "float32"}
    of_bytes = small(ThreeLayerConvNet, **params).fit(X, y)
    assert_same(of_bytes, small(ThreeLayerConvNet, **params).fit(X.astype(np.float32), y))
    np.testing.assert_array_equal(X, original)


def test_predictions_are_of_the_images_as_they_are():
    X, y = images()
    net = small(ThreeLayerConvNet, augmentation=[HorizontalFlip(1), Cutout(2)]).fit(X / 255, y)
    np.testing.assert_array_equal(net.predict_proba(X / 255), net.predict_proba(X / 255))
    twin = copy.deepcopy(net).set_params(augmentation=None)
    np.testing.assert_array_equal(net.predict_proba(X / 255), twin.predict_proba(X / 255))
    assert net.train_acc_history_[-1] == net.score(X / 255, y)


@pytest.mark.parametrize(("augmentation", "change"), [("flip", "mirror"), (RandomCrop(2), "shift")])
@pytest.mark.parametrize("batch_size", [16, 100])
def test_what_augmentation_teaches(augmentation, change, batch_size):
    """A net that has seen a mark on the left only finds it on the right, too."""
    rng = np.random.RandomState(0)
    X, y = 0.3 * rng.randn(100, 1, 6, 6), np.arange(100) % 2
    X[y == 1, :, 2:4, 1] += 2
    X[y == 0, :, 2, 1:3] += 2
    changed = X[..., ::-1] if change == "mirror" else np.roll(X, 2, axis=-1)
    settings = {"num_epochs": 60 if batch_size == 16 else 200, "batch_size": batch_size, "learning_rate": 0.01}
    nets = [small(ThreeLayerConvNet, augmentation=a, **settings).fit(X, y) for a in (None, augmentation)]
    assert [net.score(X, y) > 0.95 for net in nets] == [True, True]
    plain, taught = (net.score(changed, y) for net in nets)
    assert taught > max(0.85, plain)


def test_weights_act_as_repetition_in_one_minibatch():
    X, y = images(12)
    weight = np.random.RandomState(0).randint(0, 4, 12)
    X = X / 255
    weighted = small(ThreeLayerConvNet, augmentation=BOTH).fit(X, y, weight)
    repeated = small(ThreeLayerConvNet, augmentation=BOTH, batch_size=100)
    assert_same(weighted, repeated.fit(np.repeat(X, weight, 0), np.repeat(y, weight)))


@pytest.mark.parametrize("augmentation", [None, "flip", BOTH, [Cutout(2)], RandomCrop(1)], ids=str)
def test_the_parameter_is_one_like_others(augmentation, tmp_path):
    X, y = images()
    net = small(ThreeLayerConvNet, augmentation=augmentation)
    assert net.get_params()["augmentation"] is augmentation
    assert clone(net).get_params() == net.get_params()
    net.fit(X / 255, y).save(tmp_path / "net")
    for twin in (load(tmp_path / "net"), pickle.loads(pickle.dumps(net))):
        assert twin.get_params() == net.get_params()
        assert_same(twin, net)
        # It goes on with the same draws.
        assert_same(twin.partial_fit(X / 255, y), copy.deepcopy(net).partial_fit(X / 255, y))
    assert augmentation is None or "augmentation" in net._repr_html_()


def test_searches_over_augmentations():
    X, y = images(60)
    grid = [None, "flip", BOTH, [Cutout(2)], RandomCrop(1)]
    net = small(ThreeLayerConvNet, num_epochs=10, learning_rate=0.01)
    search = GridSearchCV(net, {"augmentation": grid}, cv=2, n_jobs=2, error_score="raise").fit(X / 255 - 0.5, y)
    assert [params["augmentation"] for params in search.cv_results_["params"]] == grid
    assert search.best_score_ > 0.8
