"""What the estimators accept: labels, data frames, arrays of any layout, images, weights."""

import re
import tracemalloc

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.utils.class_weight import compute_sample_weight

from sklearn_dl import FullyConnectedNet, Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.preprocessing import MeanSubtractor

from ._estimators import (
    ESTIMATORS,
    FRAMES,
    NAMES,
    answers,
    assert_same,
    batchnorm,
    blobs,
    each_estimator,
    each_hidden,
    each_library,
    each_of_all,
    images,
    small,
    weighing,
)

# -------------------------------------------------------------------------------------- labels

LABELS = {
    "gapped": np.array([3, 10, 400]),
    "negative": np.array([-7, -1, 2]),
    "uint8": np.array([0, 1, 255], dtype=np.uint8),
    "float": np.array([0.0, 1.0, 2.0]),
    "string": np.array(["ant", "beetle", "cat"]),
    "object": np.array(["ant", "beetle", "cat"], dtype=object),
    "bool": np.array([False, True]),
}


@each_estimator
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels(cls, labels):
    X, y = blobs(n_classes=len(labels))
    plain = small(cls, class_weight={0: 2.0}).fit(X, y)
    named = small(cls, class_weight={labels[0]: 2.0})
    order = np.random.RandomState(0).permutation(len(y))
    named.fit(X, labels[y], X_val=X[order], y_val=labels[y][order])
    np.testing.assert_array_equal(named.classes_, labels)
    assert named.classes_.dtype == labels.dtype
    assert named.loss_history_ == plain.loss_history_
    predicted = named.predict(X)
    assert predicted.dtype == labels.dtype
    assert named.score(X, labels[y]) == np.mean(predicted == labels[y])
    assert named.best_val_score_ >= named.val_acc_history_[0]


@each_estimator
@pytest.mark.parametrize(
    "container",
    [list, tuple, pd.Series, pd.Categorical, pl.Series, lambda y: pd.Series(y, dtype="string")],
    ids=["list", "tuple", "Series", "Categorical", "polars", "string dtype"],
)
def test_labels_in_containers(cls, container):
    X, y = blobs()
    labels = np.array(["ant", "beetle", "cat"])[y]
    wrapped = small(cls).fit(X, container(labels), X_val=X, y_val=container(labels))
    assert_same(wrapped, small(cls).fit(X, labels, X_val=X, y_val=labels))
    assert set(wrapped.predict(X)) <= set(labels)
    part = small(cls).partial_fit(X, container(labels), classes=container(np.unique(labels)))
    assert_same(part, small(cls).partial_fit(X, labels, classes=np.unique(labels)))


@each_estimator
def test_column_of_labels_is_raveled_with_a_warning(cls):
    X, y = blobs()
    with pytest.warns(UserWarning, match="column-vector y"):
        column = small(cls).fit(X, y[:, None])
    assert_same(column, small(cls).fit(X, y))


# ----------------------------------------------------------------------------------- data frames


@each_of_all
@each_library
def test_data_frames(cls, library):
    frame = FRAMES[library]
    X, y = blobs(dtype=np.float64)
    estimator = small(cls).fit(frame(X), y, X_val=frame(X), y_val=y)
    assert_same(estimator, small(cls).fit(X, y, X_val=X, y_val=y))
    np.testing.assert_array_equal(estimator.feature_names_in_, NAMES)
    expected = answers(small(cls).fit(X, y), X)
    np.testing.assert_array_equal(answers(estimator.fit(frame(X), y), frame(X)), expected)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        estimator.predict(X)
    reordered = frame(X)[NAMES[::-1]]
    for call in (
        lambda: estimator.predict(reordered),
        lambda: estimator.partial_fit(reordered, y),
        lambda: estimator.set_params(warm_start=True).fit(reordered, y),
    ):
        with pytest.raises(ValueError, match="feature names should match"):
            call()
    with pytest.raises(ValueError, match="X_val: The feature names should match"):
        estimator.set_params(warm_start=False).fit(frame(X), y, X_val=reordered, y_val=y)
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing"):
        estimator.predict(frame(X)[NAMES[1:]])


@each_of_all
def test_names_are_forgotten_with_the_fit_that_had_none(cls):
    X, y = blobs()
    estimator = small(cls).fit(FRAMES["pandas"](X), y).fit(X, y)
    assert not hasattr(estimator, "feature_names_in_")
    with pytest.warns(UserWarning, match="X has feature names"):
        estimator.predict(FRAMES["pandas"](X))


@each_of_all
def test_frame_without_string_names_and_of_mixed_columns(cls):
    X, y = blobs(dtype=np.float64)
    X[:, :8] = X[:, :8].round()
    frame = pd.DataFrame(X).astype(dict.fromkeys(range(8), np.int32))
    estimator = small(cls).fit(frame, y)
    assert not hasattr(estimator, "feature_names_in_")
    assert_same(estimator, small(cls).fit(X, y))


# ---------------------------------------------------------------------- arrays of any layout


def memory_map(X, tmp_path):
    joblib.dump(X, tmp_path / "X.joblib")
    return joblib.load(tmp_path / "X.joblib", mmap_mode="r")


def read_only(X, tmp_path):
    X = X.copy()
    X.flags.writeable = False
    return X


def unaligned(X):
    raw = np.empty(X.nbytes + 1, np.uint8)
    view = raw[1:].view(X.dtype).reshape(X.shape)
    view[...] = X
    return view


NUMBERS = (np.uint8, np.int16, np.float16, np.float32, np.float64)
LAYOUTS = {
    "read-only": (read_only, NUMBERS),
    "Fortran": (lambda X, _: np.asfortranarray(X), NUMBERS),
    "memory map": (memory_map, NUMBERS),
    "strided": (lambda X, _: np.repeat(X, 2, axis=1)[:, ::2], NUMBERS),
    "rows apart": (lambda X, _: np.hstack([np.repeat(X, 3, axis=0)] * 2)[::3, : X.shape[1]], NUMBERS),
    "reversed": (lambda X, _: X[::-1].copy()[::-1], NUMBERS),
    "unaligned": (lambda X, _: unaligned(X), NUMBERS[1:]),
    "byte order": (lambda X, _: X.astype(X.dtype.newbyteorder()), NUMBERS[1:]),
    "byte order of a map": (lambda X, path: memory_map(X.astype(X.dtype.newbyteorder()), path), NUMBERS[1:]),
    "object": (lambda X, _: X.astype(object), NUMBERS[-1:]),
    "list": (lambda X, _: X.tolist(), NUMBERS[-1:]),
}
layouts = [
    pytest.param(layout, dtype, id=f"{name}-{dtype.__name__}")
    for name, (layout, dtypes) in LAYOUTS.items()
    for dtype in dtypes
]


@each_of_all
@pytest.mark.parametrize(("layout", "X_dtype"), layouts)
@pytest.mark.parametrize("n_samples", [50, 12])  # several minibatches, and one
def test_layout_does_not_matter(cls, layout, X_dtype, n_samples, tmp_path):
    X, y = blobs(n_samples)
    X = (20 * X + 100).clip(0, 255).astype(X_dtype)
    other = layout(X, tmp_path)
    weight = read_only(np.arange(n_samples) % 3 + 1.0, None)
    expected = small(cls).fit(X, y, weight)
    estimator = small(cls).fit(other, read_only(y, None), weight, X_val=other, y_val=y)
    assert estimator.loss_history_ == expected.loss_history_
    assert estimator.fit(other, y, weight).params_["W1"].dtype == expected.params_["W1"].dtype
    np.testing.assert_array_equal(answers(estimator, other), answers(expected, X))


@each_of_all
def test_inputs_are_not_changed(cls, dtype):
    X, y = blobs(dtype=dtype)
    weight = np.arange(50) % 3 + 1.0
    before = X.copy(), y.copy(), weight.copy()
    estimator = small(cls, **weighing(cls, "balanced")).fit(X, y, weight, X_val=X, y_val=y)
    answers(estimator.partial_fit(X, y, sample_weight=weight), X)
    for now, then in zip((X, y, weight), before, strict=True):
        np.testing.assert_array_equal(now, then)


# ---------------------------------------------------------------------------------------- dtypes


REAL = [np.dtype(character) for character in "?bBhHiIlLefdg"]


def of_dtype(X, dtype):
    """Return X, some of whose values have no equal in float32, as numbers of a dtype: of integers, none below 0."""
    if dtype.kind == "f":
        return X.astype(dtype)
    return X > 0 if dtype.kind == "b" else (10 * X).clip(0).astype(dtype)


@each_of_all
@pytest.mark.parametrize("asked", ["auto", "float32", "float64"])
@pytest.mark.parametrize("X_dtype", REAL, ids=str)
def test_dtypes(cls, asked, X_dtype):
    """Computing in the asked dtype is what converting X first would do."""
    X, y = blobs(dtype=np.longdouble)
    X = of_dtype(X, X_dtype)
    expected = ("float64" if X_dtype == np.float64 else "float32") if asked == "auto" else asked
    converted = X.astype(expected)
    for params in ({}, {"batch_size": 64}, {"early_stopping": True}, {"early_stopping": True, "batch_size": 64}):
        estimator = small(cls, dtype=asked, **params).fit(X, y)
        assert {value.dtype for value in estimator.params_.values()} == {np.dtype(expected)}
        assert_same(estimator, small(cls, **params).fit(converted, y))
    np.testing.assert_array_equal(answers(estimator, X), answers(estimator, converted))
    if cls in ESTIMATORS:
        assert estimator.decision_function(X).dtype == expected
        assert estimator.decision_function(X.astype(np.float64)).dtype == expected  # the net's own
    assert estimator.score(X, y) == estimator.score(converted, y)
    validated = small(cls, dtype=asked).fit(X, y, X_val=X[::2], y_val=y[::2])
    assert_same(validated, small(cls).fit(converted, y, X_val=converted[::2], y_val=y[::2]))
    parts = [small(cls, dtype=expected).fit(data, y).partial_fit(data[::2], y[::2]) for data in (X, converted)]
    assert_same(*parts)


@pytest.mark.parametrize("X_dtype", [np.int8, np.uint16, np.float16])
@pytest.mark.parametrize("asked", ["float32", "float64"])
def test_dtypes_in_pipelines_and_by_lbfgs(X_dtype, asked):
    X, y = blobs(400)
    X = of_dtype(X, np.dtype(X_dtype))
    converted = X.astype(asked)
    subtracting = [
        make_pipeline(MeanSubtractor(), small(TwoLayerNet, dtype=asked)).fit(data, y).predict_proba(data)
        for data in (X, X.astype(np.float32))
    ]
    np.testing.assert_array_equal(*subtracting)
    minimizing = [small(Softmax, update_rule="lbfgs", dtype=asked).fit(data, y) for data in (X, converted)]
    assert_same(*minimizing)


@each_of_all
@pytest.mark.parametrize("first", [np.uint8, np.float16])
def test_a_sample_keeps_its_side_in_another_dtype(cls, first):
    """Rows of other dtypes are the same samples if the net is given the same numbers."""
    X, y = blobs(60)
    X = (10 * X).clip(0, 200).round().astype(first)
    nets = [small(cls, early_stopping=True, warm_start=True).fit(X, y) for _ in range(2)]
    for batch_size in (16, 64):  # many minibatches, and one
        for net in nets:
            net.set_params(batch_size=batch_size)
        assert_same(nets[0].fit(X, y), nets[1].fit(X.astype(np.float32), y))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("X_dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("layout", [np.asarray, np.asfortranarray, lambda X: X[::2]], ids=["C", "F", "apart"])
def test_one_value_that_is_not_finite(value, X_dtype, layout):
    X, y = np.ones((600, 1000), X_dtype), np.arange(600) % 2
    X[::2] = np.copysign(60_000, value)  # of float16, the sum is not finite
    X = layout(X)
    y = y[: len(X)]
    net = small(Softmax, num_epochs=1).fit(X, y)
    X[-1, -1] = value
    for call in (lambda: net.fit(X, y), lambda: net.predict(X), lambda: MeanSubtractor().fit(X)):
        with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
            call()


# --------------------------------------------------------------------------------- memory, uint8


def peak(function, *args, **kwargs):
    """Return the most bytes that Python and NumPy held during a call, beyond those before."""
    tracemalloc.start()
    try:
        function(*args, **kwargs)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def large():
    """Return 18 MB of uint8 images, which int8 holds, too: as float32, 74 MB."""
    X, y = images(6000, (3, 32, 32))
    return X // 2, y


@each_of_all
@pytest.mark.parametrize("kind", ["images", "rows", "memory map", "weighted", "early stopping"])
@pytest.mark.parametrize("X_dtype", [np.uint8, np.int8, np.float16])
def test_no_copy_of_the_whole_is_made(cls, X_dtype, kind, large, tmp_path):
    X, y = large
    X = X.astype(X_dtype)
    weight = None
    params = {"num_iters": 3, "batch_size": 64}
    if cls is ThreeLayerConvNet:
        params["num_filters"] = 2
    if kind == "rows":
        X = X.reshape(len(X), -1)
    elif kind == "memory map":
        X = memory_map(X, tmp_path)
    elif kind == "weighted":
        weight = np.arange(len(X)) % 3
    elif kind == "early stopping":
        params["early_stopping"] = True
    estimator = small(cls, **params)
    for train in (estimator.fit, estimator.partial_fit):
        assert peak(train, X, y, sample_weight=weight) < X.size
    assert peak(answers, estimator, X) < X.size


@each_of_all
def test_float64_is_never_copied_whole_to_float32(cls):
    X, y = blobs(40_000, dtype=np.float64)  # 5 MB
    estimator = small(cls, dtype="float32", num_iters=3)
    assert peak(estimator.fit, X, y) < X.nbytes / 2
    assert peak(answers, estimator, X) < X.nbytes / 2


@each_of_all
def test_training_does_not_allocate_with_its_length(cls):
    X, y = blobs(200)
    estimator = small(cls, num_epochs=4).fit(X, y)
    short = peak(estimator.fit, X, y)
    # the histories grow, some 40 bytes an update
    assert peak(estimator.set_params(num_epochs=34).fit, X, y) < short + 30 * 13 * 150


# ---------------------------------------------------------------------------------------- images


@each_of_all
@pytest.mark.parametrize("X_dtype", [np.uint8, np.float32, np.float64], ids=lambda t: t.__name__)
def test_images_and_their_rows_are_the_same(cls, X_dtype):
    X, y = images()
    X = X.astype(X_dtype)
    rows = X.reshape(len(X), -1)
    of_images = small(cls).fit(X, y, X_val=X, y_val=y)
    of_rows = small(cls).fit(rows, y, X_val=rows, y_val=y)
    assert_same(of_images, of_rows)
    assert of_images.n_features_in_ == of_rows.n_features_in_ == 48
    for estimator in (of_images, of_rows):
        np.testing.assert_array_equal(answers(estimator, X), answers(of_images, rows))
        assert estimator.score(X, y) == of_images.score(rows, y)
    assert_same(of_images.partial_fit(rows, y), of_rows.partial_fit(X, y))
    fortran = np.asfortranarray(X)
    np.testing.assert_array_equal(answers(of_images, fortran), answers(of_images, X))


@pytest.mark.parametrize(
    ("shape", "given", "learned"),
    [
        ((48,), None, (3, 4, 4)),
        ((16,), None, (1, 4, 4)),
        ((13,), None, (1, 1, 13)),
        ((1,), None, (1, 1, 1)),
        ((48,), (2, 4, 6), (2, 4, 6)),
        ((48,), [1, 48, 1], (1, 48, 1)),
        ((2, 3, 8), None, (2, 3, 8)),
        ((3, 4, 4), (3, 4, 4), (3, 4, 4)),
    ],
)
def test_input_shape(shape, given, learned):
    X, y = images(20, shape=shape if len(shape) == 3 else (1, 1, *shape))
    X = X.reshape(20, *shape)
    net = small(ThreeLayerConvNet, input_shape=given).fit(X, y)
    assert net.input_shape_ == learned
    assert net.input_shape is given
    as_images = small(ThreeLayerConvNet).fit(X.reshape(20, *learned), y)
    assert_same(net, as_images)
    assert as_images.predict(X.reshape(20, *learned).tolist()).shape == (20,)


def test_nested_lists_are_images():
    X, y = images(20, (2, 3, 4))
    net = small(ThreeLayerConvNet).fit(X.tolist(), y)
    assert net.input_shape_ == (2, 3, 4)
    assert_same(net, small(ThreeLayerConvNet).fit(X.astype(np.int64), y))


@pytest.mark.parametrize("wrong", [(4, 4, 3), (1, 6, 8)])
def test_images_of_another_shape(wrong):
    X, y = images()
    net = small(ThreeLayerConvNet).fit(X, y)
    other = X.reshape(len(X), *wrong)
    for call in (
        lambda: net.predict(other),
        lambda: net.predict(other.tolist()),
        lambda: net.partial_fit(other, y),
        lambda: net.fit(X, y, X_val=other, y_val=y),
    ):
        with pytest.raises(ValueError, match=re.escape(f"X holds images of shape {wrong}")):
            call()
    # rows of pixels carry no shape: any net but this one takes them
    assert small(TwoLayerNet).fit(X, y).predict(other).shape == (40,)


# --------------------------------------------------------------------------------------- weights

TIGHT = {np.float32: 1e-4, np.float64: 1e-8}

NETS = [
    (Softmax, {}),
    (TwoLayerNet, {}),
    (TwoLayerNet, {"normalization": "batchnorm"}),
    (TwoLayerNet, {"normalization": "layernorm"}),
    (FullyConnectedNet, {"normalization": "batchnorm", "reg": 0.01}),
    (ThreeLayerConvNet, {}),
    (ThreeLayerConvNet, {"normalization": "batchnorm"}),
    (ThreeLayerConvNet, {"normalization": "groupnorm"}),
]
each_net = pytest.mark.parametrize(
    ("cls", "params"),
    NETS,
    ids=[f"{cls.__name__}{'-'.join(['', *map(str, params.values())])}" for cls, params in NETS],
)


@each_net
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3, 1: 0.25}], ids=str)
@pytest.mark.parametrize("X_dtype", [np.uint8, np.float32, np.float64], ids=lambda t: t.__name__)
def test_weights_repeat_to_the_bit_in_one_minibatch(cls, params, class_weight, X_dtype):
    X, y = blobs(30)
    X = (20 * X + 100).clip(0, 255).astype(X_dtype)
    weight = np.random.RandomState(0).randint(0, 5, 30)
    order = np.random.RandomState(1).permutation(weight.sum())
    estimator = small(cls, batch_size=100, num_epochs=5, class_weight=class_weight, **params)
    estimator.set_params(tol=1e-4, n_iter_no_change=1)
    weighted = estimator.fit(X, y, weight)
    expected = weighted.predict_proba(X)
    repeated = small(cls).set_params(**estimator.get_params())
    repeated.fit(np.repeat(X, weight, axis=0)[order], np.repeat(y, weight)[order])
    assert_same(weighted, repeated)
    np.testing.assert_array_equal(expected, repeated.predict_proba(X))


@each_net
def test_weights_repeat_where_equal_rows_are_not_merged(cls, params):
    X, y = blobs(30, dtype=np.float64)
    weight = np.random.RandomState(0).randint(0, 5, 30)
    repeated = np.repeat(X, weight, axis=0)
    repeated += 1e-11 * np.random.RandomState(1).randn(*repeated.shape)
    estimator = small(cls, batch_size=100, num_epochs=5, update_rule="sgd", learning_rate=0.05, **params)
    losses = estimator.fit(X, y, weight).loss_history_
    found = estimator.predict_proba(X)
    np.testing.assert_allclose(estimator.fit(repeated, np.repeat(y, weight)).loss_history_, losses, rtol=1e-7)
    np.testing.assert_allclose(estimator.predict_proba(X), found, rtol=1e-6)


@each_net
def test_only_ratios_of_weights_count(cls, params, dtype):
    X, y = blobs(50, dtype=dtype)
    weight = np.arange(50) % 4 + 1
    of_ints = small(cls, **params).fit(X, y, weight)
    assert_same(of_ints, small(cls, **params).fit(X, y, weight * 4.0))
    assert_same(small(cls, **params).fit(X, y), small(cls, **params).fit(X, y, np.full(50, 0.3)))
    assert_same(small(cls, **params).fit(X, y), small(cls, **params).fit(X, y, 7))
    # not the parameters: adam makes steps of noise for a bias that batchnorm makes meaningless
    of_thirds = small(cls, **params).fit(X, y, weight / 3)
    np.testing.assert_allclose(of_thirds.loss_history_, of_ints.loss_history_, rtol=TIGHT[dtype])


@each_net
def test_weight_zero_is_absence_in_many_minibatches(cls, params, dtype):
    X, y = blobs(90, dtype=dtype)
    weight = (np.random.RandomState(0).rand(90) < 0.6).astype(float)
    X[weight == 0] = 1e4  # would show
    absent = small(cls, **params).fit(X[weight > 0], y[weight > 0])
    assert_same(small(cls, **params).fit(X, y, weight), absent)
    doubled = small(cls, **params).fit(X[weight > 0], y[weight > 0], y[weight > 0] + 1)
    assert_same(small(cls, **params).fit(X, y, weight * (y + 1)), doubled)


@each_estimator
@pytest.mark.parametrize("class_weight", [None, "balanced", {1: 4}], ids=str)
def test_weights_repeat_on_average_in_many_minibatches(cls, class_weight):
    """With a step so small that gradients add up, an update's mean step is that of repetition."""
    X, y = blobs(64, dtype=np.float64)
    weight = np.random.RandomState(0).randint(0, 4, 64)
    weight[weight.cumsum() > 96] = 0  # so that 96 repetitions are whole minibatches
    weight[np.argmax(weight == 0)] += 96 - weight.sum()
    weight *= 2
    params = {"update_rule": "sgd", "learning_rate": 1e-9, "num_epochs": 1, "batch_size": 1}
    start = small(cls, **{**params, "learning_rate": 0}).fit(X, y).params_
    weighted = small(cls, **params, class_weight=class_weight).fit(X, y, weight)
    repeated = small(cls, **params, class_weight=class_weight)
    repeated.fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert len(weighted.loss_history_) < len(repeated.loss_history_) == 192
    for name, value in start.items():
        steps = [(estimator.params_[name] - value) / len(estimator.loss_history_) for estimator in (weighted, repeated)]
        np.testing.assert_allclose(*steps, atol=1e-4 * np.abs(steps).max())


def test_weights_repeat_statistically():
    X, y = blobs(400, spread=3)
    weight = np.random.RandomState(0).randint(0, 4, 400)
    params = {"num_epochs": 60, "lr_decay": 0.95, "batch_size": 32, "reg": 0.01}
    weighted = small(Softmax, **params).fit(X, y, weight)
    repeated = small(Softmax, **params).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    ignored = small(Softmax, **params).fit(X, y)
    expected = repeated.predict_proba(X)
    close, far = (np.abs(e.predict_proba(X) - expected).mean() for e in (weighted, ignored))
    assert close < 0.01 < far


@each_estimator
def test_class_weight_is_a_sample_weight(cls):
    X, y = blobs(50, dtype=np.float64)
    y[:20] = 0
    labels = np.array(["ant", "bee", "cat"])[y]
    weight = np.arange(50) % 3 + 1.0
    for class_weight in ({"ant": 1.0, "bee": 0.0, "cat": 2.5}, {"cat": 2.5}, "balanced"):
        by_class = small(cls, class_weight=class_weight).fit(X, labels, weight)
        if class_weight == "balanced":
            repeats = np.repeat(labels, weight.astype(int))
            expected = dict(zip(repeats, compute_sample_weight("balanced", repeats), strict=True))
        else:
            expected = {"ant": 1.0, "bee": 1.0, "cat": 1.0, **class_weight}
        by_sample = small(cls).fit(X, labels, weight * [expected[label] for label in labels])
        assert_same(by_class, by_sample, rtol=1e-9, atol=1e-12)


@each_estimator
def test_class_weight_may_name_classes_that_are_not_there(cls):
    """As a cross-validation fold may lack one; see the bad input for a slip."""
    X, y = blobs()
    weights = {0: 1.0, 1: 2.0, 2: 3.0, 9: 5.0}
    with_more = small(cls, class_weight=weights).fit(X, y)
    assert_same(with_more, small(cls, class_weight={0: 1.0, 1: 2.0, 2: 3.0}).fit(X, y))


@each_hidden
def test_weights_count_in_batch_statistics(cls):
    X, y = blobs(30)
    weight = np.where(np.arange(30) < 15, 1.0, 5.0)
    estimator = small(cls, batch_size=30, learning_rate=0, num_epochs=1, **batchnorm(cls))
    weighted = estimator.fit(X, y, weight).running_stats_
    plain = small(cls, batch_size=30, learning_rate=0, num_epochs=1, **batchnorm(cls)).fit(X, y)
    for name, value in plain.running_stats_.items():
        assert not np.allclose(value, weighted[name], rtol=1e-3)


@each_estimator
def test_accuracies_are_weighted(cls):
    X, y = blobs(50, spread=3)
    weight = np.arange(50) % 4
    estimator = small(cls).fit(X, y, weight)
    assert estimator.train_acc_history_[-1] == pytest.approx(estimator.score(X, y, weight))
    assert estimator.score(X, y, weight) != estimator.score(X, y)


# -------------------------------------------------------------------------------- not finite


@pytest.mark.parametrize(("value", "said"), [(np.nan, "contains NaN"), (-np.inf, "contains infinity")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("as_images", [False, True])
def test_predict_finds_what_is_not_finite_in_any_batch(value, said, dtype, as_images):
    X = np.random.RandomState(0).rand(700, 1, 4, 4).astype(dtype)
    net = ThreeLayerConvNet(num_filters=2, hidden_dim=3, num_epochs=1, random_state=0).fit(X[:50], np.arange(50) % 3)
    for row in (0, 256, 699):
        bad = X.copy()
        bad[row, 0, 3, 3] = value
        with pytest.raises(ValueError, match=said):
            net.predict(bad if as_images else bad.reshape(700, -1))
