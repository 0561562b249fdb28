"""What `fit` and `predict` do to X, y and weights before the solver sees them: functions on arrays."""

import itertools
import math
import numbers
from contextlib import contextmanager

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, assert_all_finite, column_or_1d

from sklearn_dl._arrays import all_finite, as_rows_in_pieces, largest_magnitude
from sklearn_dl._csr import CSR, as_given, check_sparse
from sklearn_dl._warnings import warn_caller


@contextmanager
def named(name):
    """Let the errors of scikit-learn's checks, which speak of X and sample_weight, name the argument."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:  # the last of integers beyond the largest float
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {error}") from error


def is_frame(X):
    """Return whether X is a data frame or series, which scikit-learn's checks convert and take the names from."""
    return hasattr(type(X), "columns") or hasattr(type(X), "iloc")


def as_array(name, values):
    """Return any array-like as a NumPy array, in memory; data frames, sparse arrays and None as they are.

    Done before scikit-learn's checks, so that nothing is asked of `values` but what NumPy asks: datasets of h5py and
    zarr are read once, and arrays of other libraries are NumPy's from here on, whatever `array_api_dispatch` is.
    """
    if type(values) is np.ndarray or values is None or issparse(values):
        return values
    if is_frame(values):
        if hasattr(type(values), "collect"):  # of polars and others that compute later
            raise TypeError(f"{name} is a {type(values).__name__}, not computed yet: give {name}.collect().")
        return values
    if isinstance(values, np.matrix):  # scikit-learn refuses it
        return values
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} has masked values ({np.ma.count_masked(values)} of {values.size}): fill them in first."
        )
    with named(name):
        array = np.asarray(values)
    if array.ndim == 0:
        raise TypeError(f"{name} must be an array or a sequence, got {array.item()!r:.100}.")
    return array


def refuse_sparse(X):
    """Raise TypeError if X is sparse, or a data frame of nothing but sparse columns."""
    if issparse(X) or _is_sparse_frame(X):
        raise TypeError(
            "Sparse data was passed for X, but dense data is required: X.toarray(). In a pipeline, let the steps before"
            " give dense arrays: OneHotEncoder(sparse_output=False), ColumnTransformer(..., sparse_threshold=0). Sparse"
            " data as it is: Softmax, TwoLayerNet and FullyConnectedNet take it, StandardScaler(with_mean=False) scales"
            " it."
        )


def _is_sparse_frame(X):
    dtypes = getattr(X, "dtypes", None) if hasattr(type(X), "iloc") else None
    return np.ndim(dtypes) == 1 and len(dtypes) > 0 and all(str(dtype).startswith("Sparse[") for dtype in dtypes)


MISSING_AXIS = "Images of one channel lack an axis: X[:, None]. A single image is X[None]."


def flatten_images(X, *, takes_sparse=False):
    """Return images (n, C, H, W) as rows (n, C * H * W) and (C, H, W); anything else as an array and None.

    Sparse matrices, checked, stay what they are, unless they are refused.
    """
    if not takes_sparse:
        refuse_sparse(X)
    elif issparse(X):
        check_sparse(X)
        return X, None
    X = as_array("X", X)
    if getattr(X, "ndim", 2) < 3:
        return X, None
    if X.ndim != 4 or 0 in X.shape:
        raise ValueError(
            "X must be rows (n_samples, n_features) or images (n_samples, C, H, W) that are not empty, got shape"
            f" {tuple(X.shape)}.{f' {MISSING_AXIS}' if X.ndim == 3 else ''}"
        )
    return X.reshape(len(X), -1), tuple(X.shape[1:])


# Numbers of channels that an image has: grey, colour, colour and opacity.
_CHANNELS = (1, 3, 4)


def looks_channels_last(shape):
    """Return whether images of this shape, which is to be (C, H, W), look like (H, W, C).

    They do if the last axis is as long as channels are, and the first is longer. Two equal last axes stand for small
    images of many channels, such as feature maps of 512 x 4 x 4 or 512 x 1 x 1.
    """
    height, width, channels = shape
    return channels in _CHANNELS and height > max(_CHANNELS) and width != channels


def check_channels_first(shape):
    """Raise ValueError if images of this shape, which is to be (C, H, W), look like (H, W, C)."""
    if looks_channels_last(shape):
        height, width, channels = shape
        raise ValueError(
            f"X of shape (n_samples, {height}, {width}, {channels}) looks like images with their channels last, but"
            f" would be read as {height} channels of {width} x {channels} pixels. Put the channels first, with"
            f" X.transpose(0, 3, 1, 2) or ImageReshaper(input_layout='NHWC'); or, if they are first, say so:"
            f" input_shape={shape}."
        )


# No warning for a table of at most so many columns, or of fewer rows: scikit-learn's estimator checks fit such.
_FEW_COLUMNS, _FEW_ROWS = 20, 100


def check_unstated_images(image_shape, learned, n_samples):
    """Look at what is taken for images where no `input_shape` says what they are.

    Parameters
    ----------
    image_shape : tuple (C, H, W) or None
        The shape of X's images, None for rows.
    learned : tuple (C, H, W)
        What an image is taken for.
    n_samples : int

    Raises
    ------
    ValueError
        If `image_shape` looks like (H, W, C).

    Warns
    -----
    UserWarning
        If each row of a table is taken for one row of pixels.
    """
    if image_shape is not None:
        check_channels_first(image_shape)
    elif learned[:2] == (1, 1) and learned[2] > _FEW_COLUMNS and n_samples >= _FEW_ROWS:
        warn_caller(
            f"Rows of {learned[2]} features are taken for images of 1 x {learned[2]} pixels, as if neighbouring columns"
            f" belonged together. If they do, as in a series, say so: input_shape={learned}. For other tables, use"
            " FullyConnectedNet or TwoLayerNet."
        )


def warn_of_stated_images(input_shape):
    """Warn if an `input_shape`, which is to be (C, H, W), looks like (H, W, C)."""
    if looks_channels_last(input_shape):
        height, width, channels = input_shape
        warn_caller(
            f"input_shape={input_shape} is (C, H, W): {height} channels of {width} x {channels} pixels. If the images"
            f" have {height} x {width} pixels and {channels} channels, put the channels first:"
            f" input_shape={(channels, height, width)}, and X in the same order, by X.transpose(0, 3, 1, 2) of images"
            " (n, H, W, C) or by ImageReshaper(input_layout='NHWC')."
        )


def transposed_hint(shape, expected):
    """Return what to add to an error if images of `shape` are those `expected`, (C, H, W), with their channels last."""
    if None in (shape, expected) or (shape[2], *shape[:2]) != tuple(expected):
        return ""
    return " Their channels seem to be last: X.transpose(0, 3, 1, 2) puts them first."


def check_numbers(X):
    """Raise TypeError unless the array X holds real numbers."""
    if X.dtype.kind not in "biuf":
        raise TypeError(f"X must hold numbers, got dtype {X.dtype}.")


def are_finite_numbers(X):
    """Return whether X is an array of finite numbers, a few rows at a time.

    scikit-learn's check makes an array of bool as large as X where the sum of its values, as of float16, overflows.

    Raises
    ------
    ValueError
        If X is of long double and is not finite, which not every release of scikit-learn looks for.
    """
    if not (type(X) is np.ndarray and X.dtype.kind in "biuf"):
        return False
    finite = all_finite(X)
    if not finite and X.dtype.itemsize > 8:
        raise ValueError(f"Input X contains NaN or infinity, in {X.dtype}.")
    return finite


def as_native(X):
    """Return rows of numbers as the kernels read them, see `as_rows_in_pieces`; a sparse matrix as `CSR`."""
    if issparse(X):
        return CSR.of(X)
    check_numbers(X)
    if X.dtype.itemsize > 8:
        largest = largest_magnitude(X)
        if largest > np.finfo(np.float64).max:
            raise ValueError(f"X holds values too large for float64, up to {largest}, in {X.dtype}.")
    return as_rows_in_pieces(X)


@contextmanager
def naming_columns(X):
    """Let errors about the values of a data frame, or of an array of objects, name a column and its value."""
    try:
        _refuse_dtype("X", X)
        _refuse_times(X)
        yield
    except (TypeError, ValueError, OverflowError) as error:
        bad = next(_columns_without(_is_finite_real, X), None) or next(_columns_without(_is_no_text, X), None)
        if bad is None:
            raise
        name, value = bad
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"column {name!r} of X holds {value!r:.80}, not a finite number. {error}") from error


def _refuse_dtype(name, values):
    """Raise an error that names dtype and remedy for arrays and sparse matrices of what are no real numbers."""
    dtype = getattr(values, "dtype", None)
    kind = dtype.kind if isinstance(dtype, np.dtype) else "f"
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name} must hold real numbers, got dtype {dtype}.")
    if kind in "SU":
        raise ValueError(
            f"{name} must hold numbers, got dtype {dtype}: arrays of bytes/strings are not converted. If they are"
            f" numbers, {name}.astype(float) makes them."
        )
    if kind in "VmM":
        raise TypeError(f"{name} must hold numbers, got dtype {dtype}.")


def _refuse_times(X):
    """Raise TypeError if a polars frame holds dates or times, of which it would make numbers."""
    is_polars = hasattr(type(X), "columns") and hasattr(type(X), "dtypes") and not hasattr(type(X), "iloc")
    for dtype in X.dtypes if is_polars else ():
        if dtype.is_temporal():
            raise TypeError(f"X must hold numbers, got dtype {dtype}.")


def _columns_without(property_of, X):
    """Yield (name, value) for the first value of each column that does not have the property."""
    for name, column in _columns(X):
        values = np.asarray(column)
        lacking = (value for value in values if not property_of(value))
        for value in itertools.islice(lacking if values.dtype.kind not in "biu" else (), 1):
            yield name, value.item() if isinstance(value, np.generic) else value


def _columns(X):
    """Return pairs (name, column) of a data frame or an array of objects; none of anything else."""
    if hasattr(type(X), "iloc"):  # pandas
        return ((name, X.iloc[:, i]) for i, name in enumerate(getattr(X, "columns", ())))
    if hasattr(type(X), "column_names"):  # pyarrow
        return zip(X.column_names, X.columns, strict=True)
    if hasattr(type(X), "columns"):  # polars
        return ((name, X[:, i]) for i, name in enumerate(X.columns))
    if isinstance(X, np.ndarray) and X.dtype.kind == "O" and X.ndim == 2:
        return enumerate(X.T)
    return ()


def _is_finite_real(value):
    try:
        return not isinstance(value, complex) and math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def _is_no_text(value):
    return not isinstance(value, str)


# Of what a sample with several labels may consist.
_SETS = (list, tuple, set, frozenset, np.ndarray)
# Types that pandas has for a missing value.
_MISSING = ("NAType", "NaTType")


def read_labels(name, labels):
    """Return any array-like of labels as `as_array` does.

    Raises
    ------
    TypeError, ValueError
        If they are sets of labels, or objects that cannot be sorted: scikit-learn's errors do not say what to do.
    """
    try:
        labels = as_array(name, labels)
    except ValueError:  # rows of different lengths
        if isinstance(labels, (list, tuple)) and any(isinstance(label, _SETS) for label in labels):
            _refuse_sets(name, labels)
        raise
    kind = getattr(getattr(labels, "dtype", None), "kind", "")
    if kind in ("c", "V"):
        _refuse_dtype(name, labels)
    if kind == "S":  # which not every release of scikit-learn refuses
        raise TypeError(f"{name} must not hold bytes, got dtype {labels.dtype}: {name}.astype(str) makes text of them.")
    if np.ndim(labels) == 1 and not (type(labels) is np.ndarray and labels.dtype != object):
        objects = np.asarray(labels)
        if objects.dtype == object:
            _check_objects(name, objects, str(getattr(labels, "dtype", "")) == "object")
    return labels


def _refuse_sets(name, labels):
    raise ValueError(
        f"{name} holds a {type(labels[0]).__name__} of labels for each sample: make indicators of them, a column for"
        f" each label, with MultiLabelBinarizer().fit_transform({name})."
    )


def _check_objects(name, labels, given_as_objects):
    if any(isinstance(label, _SETS) for label in labels):
        _refuse_sets(name, labels)
    missing = [label for label in labels if _is_missing(label)]
    if missing:
        raise ValueError(f"{name} must have a label for each sample, got {missing[0]!r} for {len(missing)} of them.")
    texts = [isinstance(label, str) for label in labels]
    if any(texts) and not all(texts):
        text, other = labels[texts.index(True)], labels[texts.index(False)]
        raise TypeError(f"{name} must hold either strings or numbers, got {text!r} and {other!r}.")
    if given_as_objects and all(isinstance(label, numbers.Real) for label in labels):
        raise TypeError(
            f"Unknown label type: {name} holds numbers, but its dtype is object: convert it, as by {name}.astype(int)."
        )


def _is_missing(label):
    """Return whether a label is None, nan, or what pandas has for these."""
    return label is None or (isinstance(label, numbers.Real) and label != label) or type(label).__name__ in _MISSING


def check_labels(name, labels):
    """Return an array (n,) of labels, checked as scikit-learn checks y."""
    labels = read_labels(name, labels)
    with named(name):
        labels = column_or_1d(labels)
        assert_all_finite(labels)
        check_classification_targets(labels)
    return labels


def kind_of_labels(labels):
    """Return in words whether an array (n,) of at least one label holds text, dates or numbers."""
    if isinstance(labels[0], str):
        return "text"
    return "dates or times" if labels.dtype.kind in "mM" else "numbers"


def check_quantities(name, y):
    """Return an array (n,) or (n, n_outputs) of float64, checked as scikit-learn checks y."""
    y = read_quantities(name, y)
    with named(name):
        return check_array(y, dtype=np.float64, ensure_2d=False, input_name=name)


def read_quantities(name, y):
    """Return any array-like of quantities as `as_array` does, objects as float64.

    Raises
    ------
    TypeError, ValueError
        If they are no real numbers.
    """
    y = as_array(name, y)
    array = np.asarray(y) if is_frame(y) else y
    _refuse_dtype(name, array)
    if not (type(array) is np.ndarray and array.dtype == object):
        return y
    with named(name):
        return array.astype(np.float64)


# Sums of weights below this power of two, and their products with squares, are in the range of float64.
LARGEST_EXPONENT = 500


def exponent_out_of_range(number):
    """Return the power of two that a number and those like it are to be divided by, to be in range; 0 if they are."""
    exponent = int(np.frexp(number)[1])
    return exponent if abs(exponent) > LARGEST_EXPONENT else 0


def check_weights(name, sample_weight, X, *, only_relative=True):
    """Return weights of the rows of X in float64, checked.

    Parameters
    ----------
    name : str
    sample_weight : array-like of shape (n,), or a number
    X : ndarray of shape (n, …), or CSR
    only_relative : bool, default=True
        Whether only their ratios count: they may then be divided by a power of two, which changes no bit of a ratio.
    """
    if not isinstance(sample_weight, numbers.Number):
        sample_weight = as_array(name, sample_weight)
        _refuse_dtype(name, np.asarray(sample_weight) if is_frame(sample_weight) else sample_weight)
    with named(name):
        rows = np.broadcast_to(0.0, len(X))  # of X, which may be sparse, only the length counts
        weights = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    if not (np.isfinite(weights).all() and weights.any()):
        raise ValueError(f"{name} must hold finite numbers of at least 0, not all of them 0, got {weights}.")
    exponent = exponent_out_of_range(weights.max()) if only_relative else 0
    return np.ldexp(weights, -exponent) if exponent else weights


def merge_duplicates(X, y, sample_weight):
    """Return X, y, weights with equal (row, target) pairs merged into one of their total weight, sorted.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), or CSR
    y : ndarray of shape (n,) or (n, n_outputs)
    sample_weight : ndarray of float64 of shape (n,), or None

    Returns
    -------
    X, y : ndarray of shape (m, n_features), (m,) or (m, n_outputs)
    sample_weight : ndarray of shape (m,), or None where all weights are equal
    """
    first, group = canonical_order(X, y)
    return X[first], y[first], drop_uniform(np.bincount(group, weights=sample_weight))


def canonical_order(X, *columns):
    """Return which rows of (X, columns) there are, sorted, and which of these each row is.

    Parameters
    ----------
    X : ndarray of shape (n, n_features), or CSR
    *columns : ndarray of shape (n,) or (n, …)

    Returns
    -------
    first : ndarray of int of shape (m,)
        The first row of each group of equal rows.
    group : ndarray of int of shape (n,)
    """
    if type(X) is CSR:
        return _canonical_order_of_sparse(X, columns)
    keys = _bytes_of((X, *columns), len(X))
    keys = keys.view(np.dtype((np.void, keys.shape[1]))).ravel()
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return first, group


def _bytes_of(columns, n):
    """Return the bytes of the n rows that arrays have side by side, (n, bytes)."""
    return np.hstack([np.ascontiguousarray(column.reshape(n, -1)).view(np.uint8) for column in columns])


def _canonical_order_of_sparse(X, columns):
    """Return what `canonical_order` does of the dense rows, without making them.

    Where two rows, compared byte by byte, first differ, one may have an element and the other a zero, of which all
    bytes are zero: then the one with the element, which is in a lower column than the other's next one, is the larger.
    """
    matrix = as_given(X).copy()
    matrix.sum_duplicates()
    size = matrix.dtype.itemsize
    has_bits = matrix.data.view(np.uint8).reshape(-1, size).any(axis=1)
    elements = [(-column, value.tobytes()) for column, value in zip(matrix.indices.tolist(), matrix.data, strict=True)]
    ends = _bytes_of(columns, len(X))
    keys = []
    for i in range(len(X)):
        own = range(matrix.indptr[i], matrix.indptr[i + 1])
        keys.append((tuple(elements[k] for k in own if has_bits[k]), ends[i].tobytes()))
    order = sorted(range(len(X)), key=keys.__getitem__)
    first, group = [], np.empty(len(X), np.intp)
    for i in order:
        if not first or keys[i] != keys[first[-1]]:
            first.append(i)
        group[i] = len(first) - 1
    return np.array(first), group


def drop_uniform(sample_weight):
    """Return None in place of weights that are all the same."""
    return None if (sample_weight == sample_weight[0]).all() else np.asarray(sample_weight, float)
