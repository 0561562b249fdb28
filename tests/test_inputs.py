"""Array-likes of every sort, shapes that are not what they seem, and errors that name a column."""

import array
import collections
import contextlib
import datetime
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone

from sklearn_dl import Softmax, ThreeLayerConvNet, TwoLayerNet
from sklearn_dl.preprocessing import ImageReshaper, MeanSubtractor

from ._estimators import ESTIMATORS, assert_same, each_of_all, methods_of, small

try:
    import pyarrow
except ImportError:  # that of today refuses the oldest NumPy
    pyarrow = None

# ----------------------------------------------------------------------------------- array-likes


class Only:
    """Has `__array__` and nothing else."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


class Old(Only):
    """Has `__array__` as it was before NumPy 2."""

    def __array__(self, dtype=None):
        return np.asarray(self.values, dtype)


class Oldest(Only):
    def __array__(self):
        return self.values


class Dataset(Only):
    """As datasets of h5py and zarr: knows its shape, reads a slice or all of it, and has no methods of arrays."""

    def __init__(self, values):
        super().__init__(values)
        self.shape, self.ndim, self.dtype = values.shape, values.ndim, values.dtype
        self.reads = 0

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index]

    def __array__(self, dtype=None, copy=None):
        self.reads += 1
        return super().__array__(dtype)


class Labelled(Dataset):
    """As an array of xarray: `dims` beside what a dataset has, and its own kind of slices."""

    dims = ("sample", "c", "h", "w")

    def __getitem__(self, index):
        return Labelled(self.values[index])


class Interface:
    def __init__(self, values):
        self.__array_interface__ = values.__array_interface__
        self.values = values


class Sequence:
    """Has a length and items."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index]


class Strange(np.ndarray):
    """A subclass whose own ways must not count."""

    def reshape(self, *shape, **kwargs):
        raise AssertionError("was asked")

    __getitem__ = __array_ufunc__ = reshape


def flat_buffer(values):
    """Return numbers of the standard library: one axis only."""
    return array.array(values.dtype.char, values.ravel().tolist()) if values.ndim == 1 else memoryview(values)


def frozen(values):
    values = values.copy()
    values.flags.writeable = False
    return values


KINDS = {
    "lists": lambda a: a.tolist(),
    "tuple": lambda a: tuple(a.tolist()),
    "list of arrays": list,
    "deque": lambda a: collections.deque(a.tolist()),
    "sequence": Sequence,
    "__array__": Only,
    "__array__ of old": Old,
    "__array__ without arguments": Oldest,
    "__array_interface__": Interface,
    "dataset": Dataset,
    "slice of a dataset": lambda a: Dataset(np.concatenate([a, a]))[: len(a)],
    "labelled": Labelled,
    "memoryview": lambda a: memoryview(np.ascontiguousarray(a)),
    "array or memoryview": flat_buffer,
    "masked, without a mask": np.ma.array,
    "masked, nothing masked": lambda a: np.ma.array(a, mask=np.zeros(a.shape, bool)),
    "subclass": lambda a: a.view(Strange),
    "read-only": frozen,
    "Fortran": np.asfortranarray,
    "byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "bytes": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
four_axes = pytest.mark.parametrize("four_axes", [True, False], ids=["images", "rows"])


def data(four_axes):
    X = np.random.RandomState(0).rand(48, 2, 3, 3)
    return X if four_axes else X.reshape(48, -1)


Y = np.arange(48) % 3
WEIGHT = 1.0 + np.arange(48) % 2


@each_kind
@four_axes
@each_of_all
def test_every_sort_of_array_is_the_same(cls, kind, four_axes):
    """In every argument of every method."""
    X = data(four_axes)
    plain = small(cls).fit(X, Y, WEIGHT, X_val=X, y_val=Y, sample_weight_val=WEIGHT)
    other = small(cls).fit(kind(X), kind(Y), kind(WEIGHT), X_val=kind(X), y_val=kind(Y), sample_weight_val=kind(WEIGHT))
    assert_same(other, plain)
    for method in methods_of(cls):
        np.testing.assert_array_equal(getattr(other, method)(kind(X)), getattr(plain, method)(X))
    assert other.score(kind(X), kind(Y)) == plain.score(X, Y)
    assert other.score(kind(X), kind(Y), kind(WEIGHT)) == plain.score(X, Y, WEIGHT)
    classes = [np.unique(Y)] if cls in ESTIMATORS else []
    part = small(cls).partial_fit(*map(kind, (X, Y, *classes, WEIGHT)))
    assert_same(part, small(cls).partial_fit(X, Y, *classes, WEIGHT))


@each_kind
@four_axes
@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
@pytest.mark.parametrize(
    "transformer",
    [MeanSubtractor(), MeanSubtractor(per="channel", input_shape=(2, 3, 3)), ImageReshaper(input_shape=(2, 3, 3))],
    ids=str,
)
def test_every_sort_of_array_is_transformed_the_same(transformer, output, kind, four_axes):
    X = data(four_axes)
    transformer = clone(transformer).set_output(transform=output)
    weights = [{}]
    if isinstance(transformer, ImageReshaper):
        transformer.set_params(input_layout="NCHW" if four_axes else "rows", output_layout="NHWC")
    else:
        weights.append({"sample_weight": WEIGHT})
    for weight in weights:
        plain, other = clone(transformer), clone(transformer)
        transformed = plain.fit_transform(X, Y, **weight)
        of_kind = other.fit_transform(kind(X), kind(Y), **{name: kind(value) for name, value in weight.items()})
        assert type(of_kind) is type(transformed)
        np.testing.assert_allclose(of_kind, transformed, rtol=1e-12)
        np.testing.assert_array_equal(other.transform(kind(X)), of_kind)
        back = other.inverse_transform(kind(np.asarray(transformed)))
        np.testing.assert_allclose(back, X, rtol=1e-12)
        if weight:
            other.partial_fit(kind(X), kind(Y), kind(WEIGHT))


@four_axes
def test_a_dataset_is_read_once(four_axes):
    for call in (
        lambda X: small(ThreeLayerConvNet).fit(X, Y),
        lambda X: small(ThreeLayerConvNet).fit(data(four_axes), Y, X_val=X, y_val=Y),
        lambda X: small(ThreeLayerConvNet).partial_fit(X, Y, classes=[0, 1, 2]),
        small(ThreeLayerConvNet).fit(data(four_axes), Y).predict,
        lambda X: MeanSubtractor().fit(X),
        MeanSubtractor().fit(data(four_axes)).transform,
        lambda X: MeanSubtractor().fit(X),
        lambda X: ImageReshaper(input_layout="NCHW" if four_axes else "rows").fit(X),
    ):
        X = Dataset(data(four_axes))
        call(X)
        assert X.reads == 1


CONTAINERS = [pd.Series, pl.Series, pd.Categorical, pd.array] + ([pyarrow.array] if pyarrow else [])


@pytest.mark.parametrize("container", CONTAINERS)
def test_labels_of_other_libraries(container):
    X = data(False)
    labels = np.array(["a", "b", "c"])[Y]
    net = small(TwoLayerNet).fit(X, container(labels), X_val=X, y_val=container(labels))
    assert_same(net, small(TwoLayerNet).fit(X, labels, X_val=X, y_val=labels))
    assert net.score(X, container(labels)) == net.score(X, labels)


@each_of_all
@pytest.mark.parametrize("argument", ["X", "y", "sample_weight", "X_val", "y_val", "sample_weight_val"])
def test_masked_values_are_refused(cls, argument):
    arguments = {"X": data(True), "y": Y, "sample_weight": WEIGHT}
    arguments.update({f"{name}_val": value for name, value in arguments.items()})
    mask = np.zeros(arguments[argument].shape, bool)
    mask[3] = True
    arguments[argument] = np.ma.array(arguments[argument], mask=mask)
    net = small(cls).fit(data(True), Y)
    with pytest.raises(ValueError, match=rf"{argument}\b.* masked values \({mask.sum()} of {mask.size}\)"):
        small(cls).fit(**arguments)
    if argument == "X":
        with pytest.raises(ValueError, match="X has masked values"):
            net.predict(arguments["X"])
        with pytest.raises(ValueError, match="X has masked values"):
            MeanSubtractor().fit(arguments["X"])


class Foreign(Only):
    """As an array of a library that follows the array API standard: its dtypes are objects of its own."""

    def __init__(self, values):
        super().__init__(values)
        self.shape, self.ndim, self.dtype, self.device = values.shape, values.ndim, object(), "cpu"

    def __len__(self):
        return len(self.values)

    def __array_namespace__(self, *, api_version=None):
        raise AssertionError("was asked")


@contextlib.contextmanager
def array_api(monkeypatch, dispatch):
    """Let scikit-learn dispatch, where it and SciPy are not too old to."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError):
            stack.enter_context(sklearn.config_context(array_api_dispatch=dispatch))
        yield


def check_foreign(make, four_axes):
    X = data(four_axes).astype(np.float32)
    net = small(ThreeLayerConvNet).fit(
        make(X), make(Y), make(WEIGHT), X_val=make(X), y_val=make(Y), sample_weight_val=make(WEIGHT)
    )
    assert_same(net, small(ThreeLayerConvNet).fit(X, Y, WEIGHT, X_val=X, y_val=Y, sample_weight_val=WEIGHT))
    for method in ("predict", "predict_proba", "decision_function"):
        assert type(getattr(net, method)(make(X))) is np.ndarray
    assert net.score(make(X), make(Y), make(WEIGHT)) == net.score(X, Y, WEIGHT)
    net.partial_fit(make(X), make(Y), make(np.arange(3)), make(WEIGHT))
    layout = "NCHW" if four_axes else "rows"
    for transformer in (MeanSubtractor(), ImageReshaper(input_layout=layout, output_layout=layout)):
        transformed = transformer.fit_transform(make(X))
        assert type(transformed) is np.ndarray
        np.testing.assert_allclose(transformer.inverse_transform(make(transformed)), X, rtol=1e-5, atol=1e-6)


each_dispatch = pytest.mark.parametrize("dispatch", [False, True], ids=["", "array_api_dispatch"])


@four_axes
@each_dispatch
def test_arrays_of_other_libraries(four_axes, dispatch, monkeypatch):
    with array_api(monkeypatch, dispatch):
        check_foreign(Foreign, four_axes)


@four_axes
@each_dispatch
def test_tensors(four_axes, dispatch, torch, monkeypatch):
    with array_api(monkeypatch, dispatch):
        check_foreign(torch.asarray, four_axes)


# ---------------------------------------------------------------------------------------- shapes

LAST = [(32, 32, 3), (8, 8, 1), (28, 28, 1), (20, 30, 3), (16, 16, 4), (5, 9, 1), (480, 6, 3)]
FIRST = [(3, 8, 8), (1, 28, 28), (3, 32, 3), (1, 28, 1), (4, 5, 3), (28, 1, 28), (2, 3, 4), (512, 1, 1), (64, 4, 4)]


def of_shape(shape, n_samples=12):
    return np.random.RandomState(0).rand(n_samples, *shape).astype(np.float32), np.arange(n_samples) % 2


@pytest.mark.parametrize("shape", LAST, ids=str)
@pytest.mark.parametrize("kind", [np.asarray, lambda a: a.tolist(), Dataset], ids=["array", "lists", "dataset"])
@pytest.mark.parametrize(
    "make",
    [
        lambda **params: small(ThreeLayerConvNet, num_filters=1, hidden_dim=2, **params),
        lambda **params: MeanSubtractor(per="channel", **params),
        lambda **params: ImageReshaper(input_layout="NCHW", **params),
    ],
    ids=["ThreeLayerConvNet", "MeanSubtractor", "ImageReshaper"],
)
def test_channels_last_are_refused_unless_said(make, kind, shape):
    X, y = of_shape(shape)
    with pytest.raises(ValueError, match=rf"\(n_samples, {str(shape)[1:-1]}\) looks like .* channels last.*NHWC.* say"):
        make().fit(kind(X), y)
    with pytest.warns(UserWarning, match=rf"input_shape={re.escape(str(shape))} is \(C, H, W\)"):
        assert make(input_shape=shape).fit(kind(X), y).input_shape_ == shape
    first = X.transpose(0, 3, 1, 2)
    assert make().fit(kind(first), y).input_shape_ == first.shape[1:]
    with pytest.raises(ValueError, match=re.escape(str(shape))):
        make(input_shape=first.shape[1:]).fit(kind(X), y)


@pytest.mark.parametrize("shape", FIRST, ids=str)
def test_channels_first_are_taken(shape):
    X, y = of_shape(shape)
    for model in (
        small(ThreeLayerConvNet, num_filters=1, hidden_dim=2),
        MeanSubtractor(per="channel"),
        ImageReshaper(input_layout="NCHW"),
    ):
        assert model.fit(X, y).input_shape_ == shape


@pytest.mark.parametrize("shape", LAST, ids=str)
def test_layout_does_not_matter_to_others(shape):
    """To nets that see rows, and to a mean of each pixel."""
    X, y = of_shape(shape)
    for model in (small(Softmax), small(TwoLayerNet), MeanSubtractor()):
        model.fit(X, y)


def test_partial_fit_looks_at_the_layout_once():
    X, y = of_shape((8, 8, 1))
    net = small(ThreeLayerConvNet)
    with pytest.raises(ValueError, match="channels last"):
        net.partial_fit(X, y, classes=[0, 1])
    with pytest.warns(UserWarning, match="is .C, H, W"):
        net.set_params(input_shape=(8, 8, 1)).partial_fit(X, y, classes=[0, 1])
    net.partial_fit(X, y)
    net.set_params(input_shape=None).partial_fit(X, y).predict(X)


def test_later_images_with_their_channels_last():
    X, y = of_shape((3, 8, 8))
    last = X.transpose(0, 2, 3, 1)
    net, reshaper = small(ThreeLayerConvNet).fit(X, y), ImageReshaper(input_layout="NCHW").fit(X)
    subtractor = MeanSubtractor().fit(X)
    for call in (
        lambda: net.predict(last),
        lambda: net.partial_fit(last, y),
        lambda: net.fit(X, y, X_val=last, y_val=y),
        lambda: small(ThreeLayerConvNet, input_shape=(3, 8, 8)).fit(last, y),
        lambda: reshaper.transform(last),
        lambda: subtractor.transform(last),
    ):
        with pytest.raises(ValueError, match=r"\(8, 8, 3\).* channels seem to be last: X\.transpose\(0, 3, 1, 2\)"):
            call()


def test_images_without_an_axis():
    X, y = of_shape((8, 8))
    net = small(ThreeLayerConvNet).fit(X[:, None], y)
    for call in (
        lambda: small(ThreeLayerConvNet).fit(X, y),
        lambda: small(TwoLayerNet).fit(X.tolist(), y),
        lambda: net.predict(Dataset(X)),
        lambda: net.fit(X[:, None], y, X_val=X, y_val=y),
        lambda: MeanSubtractor().fit(X),
        lambda: ImageReshaper(input_layout="NCHW").fit(X),
    ):
        with pytest.raises(ValueError, match=r"\(12, 8, 8\)\. .*X\[:, None\].*X\[None\]"):
            call()


@pytest.mark.parametrize("n_features", [21, 30, 50, 784 - 1])
def test_tables_taken_for_rows_of_pixels(n_features):
    X, y = of_shape((n_features,), 100)
    net = small(ThreeLayerConvNet, num_epochs=1)
    with pytest.warns(
        UserWarning, match=f"{n_features} features are .* 1 x {n_features} .*say so: input_shape"
    ) as said:
        net.fit(X, y)
    # One epoch may not be enough, which is another warning.
    assert [warning.filename for warning in said if warning.category is UserWarning] == [__file__]
    with pytest.warns(UserWarning, match="input_shape"):
        small(ThreeLayerConvNet).partial_fit(pd.DataFrame(X), y, classes=[0, 1])


@pytest.mark.parametrize("n_features", [1, 13, 20, 25, 27, 75, 784])
def test_small_tables_and_squares_are_taken_in_silence(n_features):
    X, y = of_shape((n_features,), 100)
    small(ThreeLayerConvNet, num_epochs=1).fit(X, y).partial_fit(X, y)


def test_rows_said_to_be_images_are_taken_in_silence():
    X, y = of_shape((30,), 100)
    for shape in ((1, 1, 30), (1, 5, 6)):
        small(ThreeLayerConvNet, num_epochs=1, input_shape=shape).fit(X, y)
    small(ThreeLayerConvNet, num_epochs=1).fit(X[:, None, None], y)
    small(TwoLayerNet, num_epochs=1).fit(X, y)


# --------------------------------------------------------------------------------------- columns

NUMBERS = [0.5, 1.5, 2.5, 3.5]
WRONG = {
    "str": (["a", "b", "c", "d"], "'a'"),
    "numerals, and a word": (["1", "2", "x", "4"], "'x'"),
    "None": ([1.0, None, 2.0, 3.0], "(None|nan)"),
    "NaN": ([1.0, np.nan, 2.0, 3.0], "nan"),
    "infinity": ([1.0, np.inf, 2.0, 3.0], "inf"),
    "datetime": ([datetime.datetime(2020, 1, day) for day in (1, 2, 3, 4)], "(datetime|Timestamp).*2020"),
    "date": ([datetime.date(2020, 1, day) for day in (1, 2, 3, 4)], "(datetime|Timestamp).*2020"),
    "duration": ([datetime.timedelta(days=day) for day in (1, 2, 3, 4)], "(datetime.t|T)imedelta"),
    "list": ([[1, 2], [3, 4], [5, 6], [7, 8]], r"(\[1, 2\]|array)"),
}
FRAMES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "objects": lambda columns: pd.DataFrame(columns).astype(object).to_numpy(),
}
if pyarrow:
    FRAMES["pyarrow"] = pyarrow.table
each_frame = pytest.mark.parametrize("library", FRAMES)


def columns_of(library, values):
    """Return a frame with the values in its second column, and the name that this has."""
    name = 1 if library == "objects" else "second"
    return FRAMES[library]({"first": NUMBERS, "second": values, "third": NUMBERS}), name


@each_frame
@pytest.mark.parametrize(("values", "shown"), WRONG.values(), ids=WRONG)
def test_a_wrong_column_is_named(library, values, shown):
    frame, name = columns_of(library, values)
    good, _ = columns_of(library, NUMBERS)
    y = [0, 1, 0, 1]
    net, subtractor = small(Softmax).fit(good, y), MeanSubtractor().fit(good)
    for call in (
        lambda: small(Softmax).fit(frame, y),
        lambda: small(Softmax).partial_fit(frame, y, classes=[0, 1]),
        lambda: net.predict(frame),
        lambda: net.score(frame, y),
        lambda: MeanSubtractor().fit(frame),
        lambda: subtractor.transform(frame),
        lambda: subtractor.inverse_transform(frame),
    ):
        with pytest.raises((TypeError, ValueError), match=rf"(?s)column {name!r} of X holds {shown}.*not a finite"):
            call()
    with pytest.raises((TypeError, ValueError), match=rf"X_val: column {name!r} of X holds {shown}"):
        net.fit(good, y, X_val=frame, y_val=y)


def test_categories_that_are_no_numbers_are_named():
    frame = pd.DataFrame({"first": NUMBERS, "kind": pd.Categorical(["a", "b", "a", "b"])})
    with pytest.raises((TypeError, ValueError), match="column 'kind' of X holds 'a'"):
        small(Softmax).fit(frame, [0, 1, 0, 1])
    frame["kind"] = pd.Categorical([1, 2, 1, 2])
    small(Softmax).fit(frame, [0, 1, 0, 1])


def test_columns_of_one_name_and_of_no_name():
    frame = pd.DataFrame([[1.0, "a"], [2.0, "b"]], columns=[0, 0])
    with pytest.raises((TypeError, ValueError), match="column 0 of X holds 'a'"):
        small(Softmax).fit(frame, [0, 1])


def test_errors_that_are_not_about_a_column_stay():
    frame, _ = columns_of("pandas", NUMBERS)
    net = small(Softmax).fit(frame, [0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"^The feature names should match"):
        net.predict(frame[["third", "second", "first"]])
    with pytest.raises(ValueError, match=r"^Found input variables with inconsistent numbers of samples"):
        net.fit(frame, [0, 1])


@each_frame
def test_numbers_of_any_column_type(library):
    frame, _ = columns_of(library, [True, False, True, False])
    other = np.array([NUMBERS, [1, 0, 1, 0], NUMBERS]).T
    assert_same(small(Softmax).fit(frame, [0, 1, 0, 1]), small(Softmax).fit(other, [0, 1, 0, 1]))


def test_lazy_frames_are_to_be_computed():
    frame, _ = columns_of("polars", NUMBERS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TypeError, match=r"X is a LazyFrame, not computed yet: give X\.collect\(\)"):
            small(Softmax).fit(frame.lazy(), [0, 1, 0, 1])
