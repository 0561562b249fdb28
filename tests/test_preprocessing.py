import pickle
import tracemalloc

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks, get_tags

from sklearn_dl import preprocessing
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor, guess_image_shape

TABLES = [MeanSubtractor(), ImageReshaper(output_layout="rows")]
LAYOUTS = ["rows", "NCHW", "NHWC"]


# What parametrize_with_checks does, with a list: that of scikit-learn 1.6 hands pytest a generator,
# which pytest 9 deprecates.
CHECKS = [
    pytest.param(estimator, check, id=f"{estimator}-{check.func.__name__}")
    for estimator in [*TABLES, ImageReshaper(), ImageReshaper(output_layout="NHWC")]
    for estimator, check in estimator_checks.estimator_checks_generator(estimator)
]


@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# scikit-learn runs these on its own estimators, but they are not among those.
@pytest.mark.parametrize("estimator", TABLES, ids=str)
@pytest.mark.parametrize(
    "check",
    [
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_get_feature_names_out_error",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_set_output_transform_polars",
    ],
)
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
def test_more_scikit_learn_checks(estimator, check):
    getattr(estimator_checks, check)(type(estimator).__name__, estimator)


@pytest.fixture
def images(rng):
    return rng.randint(256, size=(20, 3, 4, 5)).astype(np.uint8)


def expected_mean(images, per, weights=None):
    mean = np.average(images.astype(np.float64), axis=0, weights=weights)
    return mean if per == "pixel" else mean.mean(axis=(1, 2), keepdims=True)


per = pytest.mark.parametrize("per", ["pixel", "channel"])
rows = pytest.mark.parametrize("rows", [True, False], ids=["rows", "images"])


# --- MeanSubtractor ----------------------------------------------------------------------------


@per
@rows
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.dtype(np.float32).newbyteorder(), np.float32),
        (np.longdouble, np.float64),
        (np.float16, np.float32),
        (np.uint8, np.float32),
        (np.int64, np.float32),
        (bool, np.float32),
    ],
)
def test_subtracts_the_mean(images, per, rows, given, kept):
    images = images.astype(given)
    mean = expected_mean(images, per)
    X = images.reshape(20, -1) if rows else images
    subtractor = MeanSubtractor(per=per, input_shape=(3, 4, 5))
    centred = subtractor.fit_transform(X)
    assert centred.dtype == np.dtype(kept)
    assert centred.shape == X.shape
    tol = {"rtol": 0, "atol": 1e-4 if kept == np.float32 else 1e-12}
    np.testing.assert_allclose(centred.reshape(images.shape), images - mean, **tol)
    np.testing.assert_allclose(subtractor.inverse_transform(centred), X.astype(kept), **tol)
    np.testing.assert_allclose(subtractor.mean_, mean.ravel(), rtol=1e-13)
    assert subtractor.mean_.dtype == np.float64
    assert subtractor.n_features_in_ == 60
    assert subtractor.n_samples_seen_ == 20
    assert subtractor.input_shape_ == (3, 4, 5)


def test_large_integers_keep_their_digits():
    X = np.array([[2**40], [2**40 + 2]])
    np.testing.assert_array_equal(MeanSubtractor().fit_transform(X), [[-1], [1]])


@per
def test_rows_and_images_are_the_same_data(images, per):
    of_images = MeanSubtractor(per=per).fit(images)
    of_rows = MeanSubtractor(per=per, input_shape=[3, 4, 5]).fit(images.reshape(20, 60))
    np.testing.assert_array_equal(of_images.mean_, of_rows.mean_)
    np.testing.assert_array_equal(
        of_images.transform(images.reshape(20, 60)), of_rows.transform(images).reshape(20, 60)
    )


@per
@rows
@pytest.mark.parametrize("weighted", [False, True])
def test_partial_fit_in_pieces_is_fit(images, per, rows, weighted, rng, monkeypatch):
    X = images.reshape(20, -1) if rows else images
    weights = rng.randint(1, 4, size=20) if weighted else None
    if weighted:
        weights[::3] = 0  # but not of the whole piece 7:8
    whole = MeanSubtractor(per=per, input_shape=(3, 4, 5)).fit(X, sample_weight=weights)
    repeated = X if weights is None else np.repeat(X, weights, axis=0)
    np.testing.assert_allclose(whole.mean_, clone(whole).fit(repeated).mean_, rtol=1e-13)

    monkeypatch.setattr(preprocessing, "_CHUNK_ELEMENTS", 3 * 60)
    pieces = clone(whole)
    for part in (slice(0, 7), slice(7, 8), slice(8, 20)):
        part_weights = None if weights is None else weights[part]
        assert pieces.partial_fit(X[part], None, part_weights) is pieces
    np.testing.assert_allclose(pieces.mean_, whole.mean_, rtol=1e-13)
    assert pieces.n_samples_seen_ == whole.n_samples_seen_ == (weights.sum() if weighted else 20)
    assert pieces.fit(X[:7]).n_samples_seen_ == 7


@pytest.mark.parametrize("exponent", [-1060, -600, 600, 1000])
def test_parts_of_weights_of_any_size_keep_their_proportions(exponent):
    X, weights = np.array([[1.0], [2.0], [6.0]]), np.ldexp([1.0, 2.0, 1.0], exponent)
    parts = MeanSubtractor()
    for x, weight in zip(X, weights, strict=True):
        parts.partial_fit([x], sample_weight=[weight])
    assert parts.mean_ == MeanSubtractor().fit(X, sample_weight=weights).mean_ == 2.75
    assert parts.n_samples_seen_ == weights.sum()


@pytest.mark.parametrize(("first", "second", "mean"), [(1e200, 1.0, 1e150), (1.0, 1e-200, 1e150), (1e-320, 1.0, 0.0)])
def test_a_part_of_next_to_no_weight_hardly_counts(first, second, mean):
    subtractor = MeanSubtractor().partial_fit([[1e150]], sample_weight=[first])
    subtractor.partial_fit([[0.0]], sample_weight=[second])
    assert subtractor.mean_ == mean


def test_weights_whose_sum_is_too_large_leave_the_mean():
    subtractor = MeanSubtractor().partial_fit([[1.0]], sample_weight=[1.7e308])
    with pytest.raises(ValueError, match="finite sum, with the weights of earlier calls"):
        subtractor.partial_fit([[3.0]], sample_weight=[1.7e308])
    assert (subtractor.mean_, subtractor.n_samples_seen_) == (1.0, 1.7e308)


def test_samples_of_no_weight_come_first(monkeypatch):
    monkeypatch.setattr(preprocessing, "_CHUNK_ELEMENTS", 1)
    X = np.array([[5.0], [1.0], [2.0]])
    assert MeanSubtractor().fit(X, sample_weight=[0, 1, 1]).mean_ == 1.5


def strange(X, how, tmp_path):
    if how == "fortran":
        X = np.asfortranarray(X)
    elif how == "strided":
        X = np.repeat(X, 2, axis=-1)[..., ::2]
    elif how == "memmap":
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    if how != "list":
        X.flags.writeable = False
    return X.tolist() if how == "list" else X


how = pytest.mark.parametrize("how", ["readonly", "fortran", "strided", "memmap", "list"])


@how
@rows
@per
@pytest.mark.parametrize("copy", [True, False])
def test_mean_subtractor_takes_any_memory(images, per, rows, how, copy, tmp_path):
    X = (images.reshape(20, -1) if rows else images).astype(np.float32)
    subtractor = MeanSubtractor(per=per, input_shape=(3, 4, 5), copy=copy)
    expected = clone(subtractor).fit_transform(X.copy())
    centred = subtractor.fit_transform(strange(X, how, tmp_path))
    assert type(centred) is np.ndarray
    np.testing.assert_allclose(centred, expected, rtol=1e-4, atol=1e-5)


def test_copy_false_works_in_place(images):
    X = images.astype(np.float32)
    subtractor = MeanSubtractor(copy=False).fit(X)
    original = X.copy()
    assert np.shares_memory(subtractor.transform(X), X)
    assert abs(X.mean(axis=0)).max() < 1e-4
    assert np.shares_memory(subtractor.inverse_transform(X), X)
    np.testing.assert_allclose(X, original, atol=1e-4)
    assert not np.shares_memory(subtractor.set_params(copy=True).transform(X), X)
    np.testing.assert_allclose(X, original, atol=1e-4)
    assert not np.shares_memory(subtractor.set_params(copy=False).transform(images), images)


def test_mean_is_found_without_a_float_copy():
    X = np.ones((10_000, 3072), np.uint8)
    tracemalloc.start()
    try:
        MeanSubtractor().fit(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes


# --- ImageReshaper -----------------------------------------------------------------------------


def in_layout(images, layout):
    if layout == "NHWC":
        return np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return images.reshape(len(images), -1) if layout == "rows" else images


@pytest.mark.parametrize("source", LAYOUTS)
@pytest.mark.parametrize("target", LAYOUTS)
@pytest.mark.parametrize("given", [np.uint8, np.float32, np.float64, np.int16, bool])
def test_changes_the_layout(images, source, target, given):
    images = images.astype(given)
    shape = (3, 4, 5) if source == "rows" else None
    reshaper = ImageReshaper(input_shape=shape, input_layout=source, output_layout=target)
    X = in_layout(images, source)
    changed = reshaper.fit_transform(X)
    np.testing.assert_array_equal(changed, in_layout(images, target), strict=True)
    assert changed.flags.c_contiguous
    assert np.shares_memory(changed, X) == ((source == "NHWC") == (target == "NHWC"))
    np.testing.assert_array_equal(reshaper.inverse_transform(changed), X, strict=True)
    assert reshaper.input_shape_ == (3, 4, 5)
    assert reshaper.n_features_in_ == 60
    assert list(reshaper.get_feature_names_out()) == [f"x{i}" for i in range(60)]


@how
@pytest.mark.parametrize("source", LAYOUTS)
@pytest.mark.parametrize("target", LAYOUTS)
def test_reshaper_takes_any_memory(images, source, target, how, tmp_path):
    reshaper = ImageReshaper(input_shape=(3, 4, 5), input_layout=source, output_layout=target)
    changed = reshaper.fit_transform(strange(in_layout(images, source), how, tmp_path))
    np.testing.assert_array_equal(changed, in_layout(images, target))
    assert changed.flags.c_contiguous
    assert type(changed) is np.ndarray


@pytest.mark.parametrize(
    ("n_features", "shape"),
    [
        (1, (1, 1, 1)),
        (2, (1, 1, 2)),
        (3, (3, 1, 1)),
        (4, (1, 2, 2)),
        (12, (3, 2, 2)),
        (13, (1, 1, 13)),
        (64, (1, 8, 8)),
        (783, (1, 1, 783)),
        (784, (1, 28, 28)),
        (np.int64(3072), (3, 32, 32)),
        (3 * (10**9 + 7) ** 2, (3, 10**9 + 7, 10**9 + 7)),
    ],
)
def test_guesses_the_shape_of_rows(n_features, shape):
    assert guess_image_shape(n_features) == shape
    assert {type(n) for n in guess_image_shape(n_features)} == {int}
    if n_features < 10_000:
        X = np.zeros((2, n_features))
        assert ImageReshaper().fit_transform(X).shape == (2, *shape)


def test_what_is_no_number_passes_through():
    X = np.array([[np.nan, np.inf, -np.inf, 1]])
    np.testing.assert_array_equal(ImageReshaper().fit_transform(X).ravel(), X.ravel())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_says_which_input_it_takes(layout):
    tags = get_tags(ImageReshaper(input_layout=layout)).input_tags
    assert tags.two_d_array == (layout == "rows")


# --- both --------------------------------------------------------------------------------------


class Subclass(MeanSubtractor):
    def transform(self, X):
        return super().transform(X) * 2


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("locally", [True, False])
@pytest.mark.parametrize("estimator", [*TABLES, Subclass()], ids=str)
def test_rows_become_tables_with_their_names(images, estimator, library, locally):
    frames = pytest.importorskip(library)
    X = frames.DataFrame({f"pixel{i}": row for i, row in enumerate(images.reshape(20, -1).T)})
    # The oracle is scikit-learn, because 1.6 does not see the names of polars 2.
    names = list(StandardScaler().fit(X).get_feature_names_out())
    assert library == "polars" or names == list(X.columns)
    plain = clone(estimator).fit_transform(X)
    estimator = clone(estimator)
    if locally:
        estimator.set_output(transform=library)
    with config_context(transform_output="default" if locally else library):
        for table in (estimator.fit_transform(X), estimator.transform(X)):
            assert type(table) is frames.DataFrame
            assert list(table.columns) == names
            np.testing.assert_array_equal(table.to_numpy(), plain)
    assert list(getattr(estimator, "feature_names_in_", names)) == names
    assert list(estimator.get_feature_names_out()) == names
    assert isinstance(estimator.inverse_transform(plain), np.ndarray)


@pytest.mark.parametrize("locally", [True, False])
@pytest.mark.parametrize(
    "estimator",
    [
        MeanSubtractor(),
        Subclass(),
        ImageReshaper(input_layout="NCHW"),
        ImageReshaper(input_layout="NHWC", output_layout="NHWC"),
    ],
    ids=str,
)
def test_images_stay_arrays(images, estimator, locally):
    plain = clone(estimator).fit_transform(images)
    if locally:
        estimator = clone(estimator).set_output(transform="pandas")
    with config_context(transform_output="default" if locally else "pandas"):
        for array in (estimator.fit_transform(images), estimator.transform(images)):
            assert type(array) is np.ndarray
            np.testing.assert_array_equal(array, plain)


def test_in_a_pipeline(images):
    photos = images.transpose(0, 2, 3, 1)
    pipeline = make_pipeline(
        ImageReshaper(input_layout="NHWC"),
        MeanSubtractor(per="channel"),
        ImageReshaper(input_layout="NCHW", output_layout="rows"),
        StandardScaler(with_mean=False),
    ).set_output(transform="pandas")
    table = pipeline.fit_transform(photos)
    assert table.shape == (20, 60)
    assert list(pipeline.get_feature_names_out()) == list(table.columns)
    restored = pipeline[:-1].inverse_transform(pipeline[:-1].transform(photos))
    np.testing.assert_allclose(restored, photos, atol=1e-4)


@pytest.mark.parametrize("estimator", [*TABLES, ImageReshaper(input_shape=(3, 4, 5))], ids=str)
def test_pickle_and_clone(images, estimator):
    X = images.reshape(20, -1)
    fitted = clone(estimator).fit(X)
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.transform(X), fitted.transform(X))
    assert copy.get_params() == fitted.get_params() == clone(fitted).get_params()
    with pytest.raises(NotFittedError):
        clone(fitted).inverse_transform(X)


X = np.zeros((4, 3, 4, 5))
ROWS = X.reshape(4, 60)


@pytest.mark.parametrize(
    ("estimator", "given", "kwargs", "error", "message"),
    [
        (MeanSubtractor(per="image"), ROWS, {}, ValueError, "per must be .*'pixel'.* got 'image'"),
        (MeanSubtractor(copy="no"), ROWS, {}, TypeError, "copy must be .* got 'no'"),
        (MeanSubtractor(input_shape=60), ROWS, {}, TypeError, "input_shape must be .* got 60"),
        (MeanSubtractor(input_shape=(4, 5)), ROWS, {}, ValueError, r"input_shape .*\(4, 5\)"),
        (MeanSubtractor(input_shape=(3, 4, 0)), ROWS, {}, ValueError, r"input_shape\[2\]"),
        (
            MeanSubtractor(input_shape=(3, 4, 4)),
            ROWS,
            {},
            ValueError,
            r"input_shape=\(3, 4, 4\) stands for 48 features, but X has 60",
        ),
        (
            MeanSubtractor(input_shape=(3, 5, 4)),
            X,
            {},
            ValueError,
            r"input_shape must be .* X, \(3, 4, 5\), got \(3, 5, 4\)",
        ),
        (
            MeanSubtractor(per="channel"),
            ROWS,
            {},
            ValueError,
            r"per='channel' needs .* set input_shape .* X of shape \(4, 60\)",
        ),
        (MeanSubtractor(), X[0], {}, ValueError, r"X must have the shape .* got \(3, 4, 5\)"),
        (MeanSubtractor(), X[:, :0], {}, ValueError, r"X must hold .* got shape \(4, 0, 4, 5\)"),
        (MeanSubtractor(), X[:0], {}, ValueError, "0 sample"),
        (MeanSubtractor(), X + np.nan, {}, ValueError, "X contains NaN"),
        (MeanSubtractor(), X + 1j, {}, ValueError, "Complex data not supported"),
        (MeanSubtractor(), [["a"]], {}, ValueError, "X must hold numbers, got dtype <U1"),
        (MeanSubtractor(), X, {"sample_weight": [1, 2]}, ValueError, "sample_weight.shape"),
        (MeanSubtractor(), X, {"sample_weight": [1, 1, 1, -1]}, ValueError, "(?i)negative"),
        (MeanSubtractor(), X, {"sample_weight": [0.0] * 4}, ValueError, "(?i)sample_?.?weight"),
        (MeanSubtractor(), X, {"sample_weight": [1e308] * 4}, ValueError, "finite sum.*1e\\+308"),
        (ImageReshaper(input_layout="row"), ROWS, {}, ValueError, "input_layout must .* 'row'"),
        (ImageReshaper(output_layout=None), ROWS, {}, ValueError, "output_layout must .* None"),
        (ImageReshaper(input_shape="CHW"), ROWS, {}, TypeError, "input_shape must .* 'CHW'"),
        (ImageReshaper(input_shape=(3, 4, 6)), ROWS, {}, ValueError, "72 features, but X has 60"),
        (
            ImageReshaper(input_layout="NHWC", input_shape=(3, 4, 5)),
            X,
            {},
            ValueError,
            r"input_shape must be .* X, \(5, 3, 4\), got \(3, 4, 5\)",
        ),
        (ImageReshaper(), X, {}, ValueError, r"X must have the shape \(n_samples, n_features\), "),
        (
            ImageReshaper(input_layout="NHWC"),
            ROWS,
            {},
            ValueError,
            r"X must have the shape \(n_samples, height, width, channels\), got \(4, 60\)",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_fit_names_what_is_wrong(estimator, given, kwargs, error, message):
    with pytest.raises(error, match=message):
        clone(estimator).fit(given, **kwargs)


@pytest.mark.parametrize("method", ["transform", "inverse_transform"])
@pytest.mark.parametrize(
    "estimator",
    [
        MeanSubtractor(),
        MeanSubtractor(per="channel"),
        ImageReshaper(input_layout="NCHW"),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((4, 3, 5, 4)), r"\(3, 5, 4\), but \w+ was fitted on .*\(3, 4, 5\)"),
        (np.zeros((4, 3, 4, 6)), r"X has 72 features, but \w+ is expecting 60 features as input"),
        (np.zeros(60), "Reshape your data"),
    ],
)
def test_other_images_than_those_fitted_are_named(estimator, method, given, message):
    with pytest.raises(ValueError, match=message):
        getattr(clone(estimator).fit(X), method)(given)


def test_partial_fit_names_another_number_of_features():
    with pytest.raises(ValueError, match="X has 59 features, but MeanSubtractor is expecting 60"):
        MeanSubtractor().fit(X).partial_fit(ROWS[:, 1:])


@pytest.mark.parametrize(("n_features", "error"), [(0, ValueError), (3.0, TypeError), (True, TypeError)])
def test_guess_names_what_is_wrong(n_features, error):
    with pytest.raises(error, match="n_features"):
        guess_image_shape(n_features)
