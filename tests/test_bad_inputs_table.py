"""One table of bad input: what every estimator answers to it, a row each.

An answer is an error whose text names what was wrong, a warning, or that the input is taken for what it means. An
estimator that refuses is to the byte what it was. Bad values of single parameters are in test_bad_input.
"""

import datetime
import pickle
import warnings
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.utils.fixes import parse_version

from sklearn_dl import FullyConnectedNet, FullyConnectedRegressor, Softmax, ThreeLayerConvNet, TwoLayerNet

from ._estimators import EVERY, blobs, learned, methods_of, small

X, y = blobs(30)
DOUBLE = X.astype(np.float64)
ONES = np.ones(30)
IMAGES = X.reshape(30, 1, 4, 4)
WORDS = np.array(["ant", "bee", "cat"])[y]
NEWER_SKLEARN = parse_version(sklearn.__version__) >= parse_version("1.7")
DAYS = y.astype("M8[D]")
RAGGED = [[0], [1, 2], []] * 10


def changed(array, value, dtype=None):
    """Return a copy in which one element is another."""
    array = np.array(array, dtype)
    array[(3,) * array.ndim] = value  # somewhere inside
    return array


def frame(column):
    """Return X as a data frame in which one column is another."""
    table = pd.DataFrame(DOUBLE, columns=[f"c{i}" for i in range(16)])
    table["c3"] = column
    return table


class Generator:
    """Stands for a generator, of which each estimator gets a fresh one."""


@dataclass
class Refused:
    """An error, and what its text says."""

    text: str
    error: type = ValueError


@dataclass
class Warned:
    """A warning, and what it says; the input is then taken."""

    category: type
    text: str


@dataclass
class Taken:
    """The input is taken as these arguments are."""

    arguments: dict


@dataclass
class Fits:
    """The input is taken: it is none that has to be refused."""


def row(name, call, arguments, answer, *, regressor=None, convnet=None, softmax=None, params=None):
    """Return a row of the table: `answer` is that of all estimators but those that have one of their own."""
    others = {FullyConnectedRegressor: regressor, ThreeLayerConvNet: convnet, Softmax: softmax}
    return name, call, arguments, params or {}, {cls: others.get(cls) or answer for cls in EVERY}


AS_IT_IS = Taken({})
NO_SPARSE = Refused(r"Sparse data was passed for X, but dense data is required: X\.toarray\(\)", TypeError)
A_SEQUENCE = "must be an array or a sequence, got"
NUMBERS = "must hold numbers, got dtype"

# ------------------------------------------------------------------------------------------- X, of fit and of predict

OF_X = [
    ("None", None, Refused("Expected 2D array, got scalar array.*None")),
    ("a string", "table", Refused(rf"X {A_SEQUENCE} 'table'", TypeError)),
    ("a number", 3.0, Refused(rf"X {A_SEQUENCE} 3\.0", TypeError)),
    ("a dict", {"a": [1, 2]}, Refused(rf"X {A_SEQUENCE} {{'a'", TypeError)),
    ("a set", {1.0}, Refused(rf"X {A_SEQUENCE} {{1\.0}}", TypeError)),
    ("a generator", Generator, Refused(rf"X {A_SEQUENCE} <generator", TypeError)),
    ("an empty list", [], Refused(r"Expected 2D array, got 1D array")),
    ("ragged lists", [[1.0, 2.0], [3.0]], Refused("X: .*inhomogeneous")),
    ("0-D", np.array(1.0), Refused("Expected 2D array, got scalar array")),
    ("1-D", X[:, 0], Refused("Expected 2D array, got 1D array")),
    ("3-D", X.reshape(30, 4, 4), Refused(r"X must be rows .* or images .*, got shape \(30, 4, 4\)\. .* X\[:, None\]")),
    ("5-D", X.reshape(30, 1, 1, 4, 4), Refused(r"X must be rows .* or images .*, got shape \(30, 1, 1, 4, 4\)")),
    ("no rows", X[:0], Refused(r"0 sample\(s\) \(shape=\(0, 16\)\)")),
    ("no features", X[:, :0], Refused(r"0 feature\(s\) \(shape=\(30, 0\)\)")),
    ("no images", IMAGES[:0], Refused(r"X must be .* not empty, got shape \(0, 1, 4, 4\)")),
    ("images without channels", IMAGES[:, :0], Refused(r"X must be .* not empty, got shape \(30, 0, 4, 4\)")),
    ("nan", changed(X, np.nan), Refused("Input X contains NaN")),
    ("inf", changed(X, np.inf), Refused("Input X contains infinity")),
    ("-inf", changed(X, -np.inf), Refused("Input X contains infinity")),
    ("nan in images", changed(IMAGES[:, 0], np.nan)[:, None], Refused("X contains NaN")),
    (
        "beyond float64",
        changed(X, np.longdouble("1e400"), np.longdouble),
        Refused("X holds values too large for float64"),
    )
    if np.finfo(np.longdouble).max > np.finfo(np.float64).max
    else ("beyond float64", changed(X, np.inf), Refused("Input X contains infinity")),
    ("an int beyond float64", changed(X, 10**400, object), Refused("column 3 of X holds 1000.*too large to convert")),
    ("strings", X.astype(str), Refused(rf"X {NUMBERS} <U32: .* X\.astype\(float\)")),
    ("bytes", X.astype("S"), Refused(rf"X {NUMBERS} \|S32: .* X\.astype\(float\)")),
    ("a word", changed(X, "word", object), Refused("column 3 of X holds 'word', not a finite number")),
    ("an object None", changed(X, None, object), Refused("column 3 of X holds None, not a finite number")),
    ("a dict inside", changed(X, {}, object), Refused("column 3 of X holds {}, not a finite number", TypeError)),
    ("complex", X + 1j, Refused("Complex data not supported: X must hold real numbers, got dtype complex64")),
    ("an object complex", changed(X, 1j, object), Refused("column 3 of X holds 1j", TypeError)),
    ("dates", X.astype("M8[s]"), Refused(rf"X {NUMBERS} datetime64\[s\]", TypeError)),
    ("times", X.astype("m8[s]"), Refused(rf"X {NUMBERS} timedelta64\[s\]", TypeError)),
    (
        "an object date",
        changed(X, datetime.date(2020, 1, 1), object),
        Refused("column 3 of X holds datetime", TypeError),
    ),
    ("a structured array", np.zeros((30, 16), [("a", "f4")]), Refused(rf"X {NUMBERS} \[\('a', '<f4'\)\]", TypeError)),
    ("raw bytes", np.zeros((30, 16), "V4"), Refused(rf"X {NUMBERS} \|V4", TypeError)),
    ("masked values", np.ma.masked_greater(X, 1), Refused(r"X has masked values \(\d+ of 480\): fill them in first")),
    ("a matrix", X.view(np.matrix), Refused("np.matrix is not supported", TypeError)),
    ("a series", pd.Series(X[:, 0]), Refused("Expected a 2-dimensional container but got .*Series")),
    ("pandas NA", frame(pd.array([1, pd.NA] * 15, "Int64")), Refused("column 'c3' of X holds nan")),
    ("pandas text", frame(["a", "b"] * 15), Refused("column 'c3' of X holds 'a'", (TypeError, ValueError))),
    ("pandas categories", frame(pd.Categorical(["a", "b"] * 15)), Refused("column 'c3' of X holds 'a'", TypeError)),
    ("pandas dates", frame(pd.date_range("2020", periods=30)), Refused("column 'c3' of X holds datetime", TypeError)),
    (
        "polars null",
        pl.DataFrame({f"c{i}": [1.0, None] * 15 for i in range(16)}),
        Refused("column 'c0' of X holds nan"),
    ),
    (
        "polars text",
        pl.DataFrame({f"c{i}": ["a"] * 30 for i in range(16)}),
        Refused("column 'c0' of X .*'a'", TypeError),
    ),
    ("polars dates", pl.DataFrame({"c": [datetime.date(2020, 1, 1)] * 30}), Refused(rf"X {NUMBERS} Date", TypeError)),
    ("a lazy frame", pl.DataFrame({"c": [1.0] * 30}).lazy(), Refused(r"X is a LazyFrame.*X\.collect\(\)", TypeError)),
    ("sparse nan", sparse.csr_matrix(changed(X, np.nan)), Refused("Input X contains NaN"), NO_SPARSE),
    ("sparse complex", sparse.csr_matrix(X + 1j), Refused("Complex data not supported: X must"), NO_SPARSE),
    *(
        (
            "sparse 1-D",
            flat,
            Refused(r"X must be a sparse matrix with two axes, got shape \(16,\)"),
            NO_SPARSE,
        )
        for flat in [sparse.coo_array(X[0])]
        if flat.ndim == 1  # SciPy 1.13 is the first that has them
    ),
    ("sparse rows", sparse.csr_array(X), AS_IT_IS, NO_SPARSE),
    ("sparse columns", sparse.csc_matrix(X), AS_IT_IS, NO_SPARSE),
    ("sparse by keys", sparse.dok_matrix(X), AS_IT_IS, NO_SPARSE),
    ("lists", X.tolist(), Taken({"X": DOUBLE})),
    ("Fortran's order", np.asfortranarray(X), AS_IT_IS),
    ("another byte order", X.astype(">f4"), AS_IT_IS),
    ("bool", X > 0, Taken({"X": (X > 0).astype(np.float32)})),
    ("int8", (8 * X).astype(np.int8), Taken({"X": (8 * X).astype(np.int8).astype(np.float32)})),
    ("float16", X.astype(np.float16), Taken({"X": X.astype(np.float16).astype(np.float32)})),
    ("objects", X.astype(object), Taken({"X": DOUBLE})),
    ("a Decimal", changed(X, Decimal("1.5"), object), Taken({"X": changed(DOUBLE, 1.5)})),
    ("a mask of nothing", np.ma.array(X), AS_IT_IS),
    ("images", IMAGES, AS_IT_IS),
]
FEATURES = Refused("X has 15 features, but .* expecting 16")
TABLE = [
    *(
        row(f"X: {name}", call, {"X": value}, answer, convnet=convnet[0] if convnet else None)
        for call in ("fit", "predict")
        for name, value, answer, *convnet in OF_X
    ),
    row("X short", "fit", {"X": X[1:]}, Refused(r"inconsistent numbers of samples: \[29, 30\]")),
    row(
        "X of names of two kinds",
        "fit",
        {"X": pd.DataFrame(X, columns=[*range(15), "a"])},
        Refused("Feature names are only supported if all input features have string names", TypeError),
    ),
    row("X of other features", "predict", {"X": X[:, 1:]}, FEATURES),
    row("X of other images", "predict", {"X": IMAGES[:, :, 1:]}, Refused("X has 12 features, but .* expecting 16")),
    row(
        "X beyond the net's dtype",
        "predict",
        {"X": changed(DOUBLE, 1e300)},
        Refused("X holds values too large .* float32"),
    ),
    row(
        "X of the largest float64",
        "fit",
        {"X": DOUBLE * 1e307},
        Refused("became nan or infinite in float64 .* because X is .* Scale X; another"),
    ),
    row("X of names at last", "predict", {"X": frame(DOUBLE[:, 3])}, Warned(UserWarning, "X has feature names, but")),
    # --------------------------------------------------------------------------------------------------- y, of fit
    row("y None", "fit", {"y": None}, Refused("requires y to be passed, but the target y is None")),
    row("y a string", "fit", {"y": "abc"}, Refused(rf"y {A_SEQUENCE} 'abc'", TypeError)),
    row("y a number", "fit", {"y": 3}, Refused(rf"y {A_SEQUENCE} 3", TypeError)),
    row("y a dict", "fit", {"y": {0: 1}}, Refused(rf"y {A_SEQUENCE} {{0: 1}}", TypeError)),
    row("y a generator", "fit", {"y": Generator}, Refused(rf"y {A_SEQUENCE} <generator", TypeError)),
    row("y empty", "fit", {"y": []}, Refused(r"inconsistent numbers of samples|0 sample\(s\)")),
    row("y short", "fit", {"y": y[1:]}, Refused(r"inconsistent numbers of samples: \[30, 29\]")),
    row("y long", "fit", {"y": [*y, 1]}, Refused(r"inconsistent numbers of samples: \[30, 31\]")),
    row("y 3-D", "fit", {"y": y[:, None, None]}, Refused("Found array with dim 3")),
    row(
        "y of two columns",
        "fit",
        {"y": np.column_stack([y, y])},
        Refused(r"y must be indicators, 0 or 1, .* \(30, 2\)"),
        softmax=Refused(r"y must be labels of shape \(n_samples,\), got shape \(30, 2\)"),
        regressor=Fits(),
    ),
    row(
        "y a column",
        "fit",
        {"y": y[:, None]},
        Warned(DataConversionWarning, "A column-vector y was passed"),
        regressor=Fits(),
    ),
    row("y continuous", "fit", {"y": y + 0.5}, Refused("Unknown label type: continuous"), regressor=Fits()),
    row("y nan", "fit", {"y": changed(y, np.nan, float)}, Refused("Input y contains NaN")),
    row("y inf", "fit", {"y": changed(y, np.inf, float)}, Refused("Input y contains infinity")),
    row(
        "y with None",
        "fit",
        {"y": changed(y, None, object)},
        Refused("y must have a label for each sample, got None for 1 of them"),
        regressor=Refused("Input y contains NaN"),
    ),
    row(
        "y with nan among words",
        "fit",
        {"y": changed(WORDS, np.nan, object)},
        Refused("y must have a label for each sample, got nan for 1 of them"),
        regressor=Refused("y: could not convert string to float: 'ant'"),
    ),
    row(
        "y of words and numbers",
        "fit",
        {"y": changed(y, "ant", object)},
        Refused("y must hold either strings or numbers, got 'ant' and 0", TypeError),
        regressor=Refused("y: could not convert string to float: 'ant'"),
    ),
    row(
        "y of numbers as objects",
        "fit",
        {"y": y.astype(object)},
        Refused(r"y holds numbers, but its dtype is object: convert it, as by y\.astype", TypeError),
        regressor=AS_IT_IS,
    ),
    row("y of words", "fit", {"y": WORDS}, Fits(), regressor=Refused(rf"y {NUMBERS} <U3: .* y\.astype\(float\)")),
    row("y of numbers as text", "fit", {"y": y.astype(str)}, Fits(), regressor=Refused(rf"y {NUMBERS} <U21")),
    row(
        "y of bytes", "fit", {"y": y.astype("S")}, Refused("bytes", TypeError), regressor=Refused(rf"y {NUMBERS} \|S21")
    ),
    row("y of dates", "fit", {"y": DAYS}, Fits(), regressor=Refused(rf"y {NUMBERS} datetime64\[D\]", TypeError)),
    row(
        "y of times",
        "fit",
        {"y": y.astype("m8[D]")},
        Fits(),
        regressor=Refused(rf"y {NUMBERS} timedelta64\[D\]", TypeError),
    ),
    row(
        "y a series of dates",
        "fit",
        {"y": pd.Series(pd.date_range("2020", periods=3)).repeat(10)},
        Fits(),
        regressor=Refused(rf"y {NUMBERS} datetime64", TypeError),
    ),
    row("y complex", "fit", {"y": y + 1j}, Refused("Complex data not supported: y must hold real numbers")),
    row(
        "y structured",
        "fit",
        {"y": np.zeros(30, [("a", "i4")])},
        Refused(rf"y {NUMBERS} \[\('a', '<i4'\)\]", TypeError),
    ),
    row("y bool", "fit", {"y": y > 0}, Fits(), regressor=Taken({"y": (y > 0).astype(float)})),
    row("y of float labels", "fit", {"y": y.astype(float)}, AS_IT_IS),
    row("y of int8", "fit", {"y": y.astype(np.int8)}, AS_IT_IS),
    row("y of huge integers", "fit", {"y": y.astype(np.uint64) + 2**63}, Fits()),
    row(
        "y beyond float64",
        "fit",
        {"y": [10**400, 1, 2] * 10},
        Refused("y holds numbers, but its dtype is object", TypeError),
        regressor=Refused("y: int too large to convert to float"),
    ),
    row(
        "y of a span beyond float64",
        "fit",
        {"y": np.where(y == 0, 1e308, -1e308)},
        Refused("Unknown label type: continuous"),
        regressor=Refused(r"y must span less than float64 holds, got -1e\+308 to 1e\+308"),
    ),
    row(
        "y of lists",
        "fit",
        {"y": RAGGED},
        Refused("y holds a list of labels for each sample: .* MultiLabelBinarizer"),
        regressor=Refused("y: .*inhomogeneous"),
    ),
    row(
        "y of sets",
        "fit",
        {"y": [{0}, {1, 2}, set()] * 10},
        Refused("y holds a set of labels for each sample: .* MultiLabelBinarizer"),
        regressor=Refused("y: float.* not 'set'", TypeError),
    ),
    row("y masked", "fit", {"y": np.ma.masked_equal(y, 1)}, Refused(r"y has masked values \(10 of 30\): fill them in")),
    row(
        "y of pandas with NA",
        "fit",
        {"y": pd.Series([0, 1, pd.NA] * 10, dtype="Int64")},
        Refused("y|Input contains NaN"),
    ),
    row("y of pandas", "fit", {"y": pd.Series(y, dtype="Int64")}, AS_IT_IS),
    row(
        "y of categories with a gap",
        "fit",
        {"y": pd.Categorical(["a", "b", None] * 10)},
        Refused("y must have a label for each sample, got nan for 10"),
        regressor=Refused("y: could not convert string"),
    ),
    row("y of polars with null", "fit", {"y": pl.Series([0, 1, None] * 10)}, Refused("Input y contains NaN")),
    row(
        "y sparse",
        "fit",
        {"y": sparse.csr_matrix(np.eye(3)[y])},
        Fits(),
        softmax=Refused(r"y must be labels of shape \(n_samples,\), got shape \(30, 3\)"),
        regressor=Refused("y: Sparse data was passed", TypeError),
    ),
    row("y of one class", "fit", {"y": 0 * y}, Fits()),
    row(
        "y of a class for each sample",
        "fit",
        {"y": np.arange(30)},
        # Earlier releases of scikit-learn say nothing.
        Warned(UserWarning, "number of unique classes is greater than 50%") if NEWER_SKLEARN else Fits(),
        regressor=Fits(),
    ),
    row(
        "y of counts below zero",
        "fit",
        {"y": -1 - y},
        Fits(),
        regressor=Refused("y must be at least 0 for loss='poisson', got -3"),
        params={FullyConnectedRegressor: {"loss": "poisson"}},
    ),
    # --------------------------------------------------------------------------------------- weights of the samples
    *(
        row(f"{argument}: {name}", call, {argument: value}, answer)
        for call, argument in (
            ("fit", "sample_weight"),
            ("validated fit", "sample_weight_val"),
            ("score", "sample_weight"),
        )
        for name, value, answer in (
            ("negative", -ONES, Refused(f"{argument}: Negative values")),
            ("one negative", changed(ONES, -1), Refused(f"{argument}: Negative values")),
            ("nan", changed(ONES, np.nan), Refused(f"{argument}: .* contains NaN")),
            ("inf", changed(ONES, np.inf), Refused(f"{argument}: .* contains infinity")),
            ("all zero", 0 * ONES, Refused(f"{argument}.*(at least one non-zero|not all of them 0)")),
            ("short", ONES[1:], Refused(rf"{argument}: .*\(29,\), expected \(30,\)")),
            ("2-D", X, Refused(f"{argument}: .* must be 1D array")),
            ("empty", [], Refused(f"{argument}: .* 0 sample")),
            ("ragged", RAGGED, Refused(f"{argument}: .*inhomogeneous")),
            ("a word", "balanced", Refused(f"{argument} {A_SEQUENCE} 'balanced'", TypeError)),
            ("a dict", {0: 1}, Refused(f"{argument} {A_SEQUENCE} {{0: 1}}", TypeError)),
            ("text", ["1"] * 30, Refused(f"{argument} {NUMBERS} <U1")),
            ("with None", [None, 1] * 15, Refused(f"{argument}: .* contains NaN")),
            ("complex", ONES + 1j, Refused(f"Complex data not supported: {argument}")),
            ("dates", DAYS, Refused(rf"{argument} {NUMBERS} datetime64\[D\]", TypeError)),
            ("masked", np.ma.masked_equal(y, 1), Refused(rf"{argument} has masked values \(10 of 30\)")),
            ("sparse", sparse.csr_matrix(ONES), Refused(f"{argument}: Sparse data", TypeError)),
            ("one for all", 2.0, AS_IT_IS),
            ("bool", ONES > 0, AS_IT_IS),
        )
    ),
    row("weights of a sum beyond float64", "fit", {"sample_weight": 2.0**1023 * ONES}, AS_IT_IS),
    row("weights next to zero", "fit", {"sample_weight": 2.0**-1060 * ONES}, AS_IT_IS),
    # ---------------------------------------------------------------------------------------- the validation set
    row("no y_val", "validated fit", {"y_val": None}, Refused("y_val is None: X_val and y_val must be given together")),
    row("no X_val", "validated fit", {"X_val": None}, Refused("X_val is None: X_val and y_val must be given together")),
    row(
        "weights of no set",
        "fit",
        {"sample_weight_val": ONES},
        Refused("sample_weight_val was given without X_val and"),
    ),
    row("X_val nan", "validated fit", {"X_val": changed(X, np.nan)}, Refused("X_val: Input X contains NaN")),
    row("X_val of other features", "validated fit", {"X_val": X[:, 1:]}, Refused("X_val: X has 15 features, .* 16")),
    row("X_val empty", "validated fit", {"X_val": X[:0], "y_val": y[:0]}, Refused("X_val: .* 0 sample")),
    row("X_val 3-D", "validated fit", {"X_val": X.reshape(30, 4, 4)}, Refused(r"X_val: .* \(30, 4, 4\)")),
    row("X_val dates", "validated fit", {"X_val": X.astype("M8[s]")}, Refused("X_val: X must hold numbers", TypeError)),
    row(
        "X_val huge",
        "validated fit",
        {"X_val": DOUBLE * 1e200},
        Refused("X of the validation set .* very large values"),
    ),
    row(
        "X_val of another scale",
        "validated fit",
        {"X_val": 1000 * X},
        Warned(UserWarning, "X_val is on another scale than X"),
    ),
    row("y_val short", "validated fit", {"y_val": y[1:]}, Refused(r"y_val must have shape \(30,\), .* \(29,\)")),
    row(
        "y_val of an unseen label",
        "validated fit",
        {"y_val": y + 1},
        Refused(r"y_val has labels \[3\], .* \[0 1 2\]"),
        regressor=Fits(),
    ),
    row(
        "y_val of text",
        "validated fit",
        {"y_val": y.astype(str)},
        Refused(r"y_val has labels \['0' '1' '2'\], which are not in y: \[0 1 2\]"),
        regressor=Refused(rf"y_val {NUMBERS} <U21"),
    ),
    row("y_val nan", "validated fit", {"y_val": np.full(30, np.nan)}, Refused("y_val: Input.* contains NaN")),
    row(
        "y_val continuous",
        "validated fit",
        {"y_val": y + 0.5},
        Refused("y_val: Unknown label type: continuous"),
        regressor=Fits(),
    ),
    row(
        "y_val 2-D",
        "validated fit",
        {"y_val": np.column_stack([y, y])},
        Refused(r"y_val: .* \(30, 2\)"),
        regressor=Refused(r"y_val must have the shape \(n_samples,\) that y had in the first fit, got \(30, 2\)"),
    ),
    row(
        "y_val of dates",
        "validated fit",
        {"y_val": DAYS},
        Refused(r"y_val has labels \['1970-01-01'"),
        regressor=Refused(rf"y_val {NUMBERS} datetime64", TypeError),
    ),
    row(
        "y_val far from y",
        "validated fit",
        {"y_val": 1e200 * y},
        Refused(r"y_val has labels \[1\.e\+200 2\.e\+200\]|y_val: Unknown label type"),
        regressor=Refused("y_val is up to .* times the scale of y in the first fit"),
    ),
    # -------------------------------------------------------------------------------------------- partial_fit
    *(
        row(f"classes {name}", "first part", {"classes": value}, answer, regressor=NO_CLASSES)
        for NO_CLASSES in [Refused("unexpected keyword argument 'classes'|classes", TypeError)]
        for name, value, answer in (
            ("missing", None, Refused("classes must be given in the first call of partial_fit")),
            ("too few", [0, 1], Refused(r"y has labels \[2\], which are not among classes \[0 1\]")),
            ("none", [], Refused(r"y has labels \[0 1 2\], which are not among classes \[\]")),
            ("of text", ["a", "b"], Refused(r"y has labels \[0 1 2\], .* \['a' 'b'\]")),
            ("continuous", [0.5, 1.5], Refused("classes: Unknown label type: continuous")),
            ("a number", 3, Refused(rf"classes {A_SEQUENCE} 3", TypeError)),
            ("a string", "012", Refused(rf"classes {A_SEQUENCE} '012'", TypeError)),
            ("nested", [[0, 1], [2, 3]], Refused(r"classes: .* shape \(2, 2\)")),
            ("with nan", [0, 1, np.nan], Refused("classes: Input contains NaN")),
            ("with None", [0, "a", None], Refused("classes must have a label for each sample, got None for 1 of them")),
        )
    ),
    row("the first part nan", "first part", {"X": changed(X, np.nan)}, Refused("Input X contains NaN")),
    row("the first part without y", "first part", {"y": None}, Refused("requires y to be passed")),
    row("a part of other features", "next part", {"X": X[:, 1:]}, FEATURES),
    row("a part nan", "next part", {"X": changed(X, np.nan)}, Refused("Input X contains NaN")),
    row("a part of bad weights", "next part", {"sample_weight": -ONES}, Refused("sample_weight: Negative values")),
    row(
        "a part with a new label",
        "next part",
        {"y": y + 1},
        Refused(r"y has labels \[3\], .* classes \[0 1 2\]"),
        regressor=Fits(),
    ),
    row(
        "a part with labels of another type",
        "next part",
        {"y": y.astype(str)},
        Refused(r"y has labels \['0' '1' '2'\], .* classes \[0 1 2\]"),
        regressor=Refused(rf"y {NUMBERS} <U21"),
    ),
    row(
        "a part of several outputs",
        "next part",
        {"y": np.eye(3, dtype=int)[y]},
        Refused("y must be labels of shape .* as in the first call of partial_fit, got indicators"),
        softmax=Refused(r"y must be labels of shape \(n_samples,\), got shape \(30, 3\)"),
        regressor=Refused(r"y must have the shape \(n_samples,\) that y had in the first fit, got \(30, 3\)"),
    ),
    row(
        "a part with other classes",
        "next part",
        {"classes": [0, 1]},
        Refused(r"classes=\[0 1\] is not the same .* \[0 1 2\]"),
        regressor=Refused("classes", TypeError),
    ),
    row(
        "a part of another net",
        "next part",
        {},
        Refused("cannot change dtype from 'float32' to 'float64'"),
        params={cls: {"dtype": "float64"} for cls in EVERY},
    ),
    row(
        "a part by a rule of all samples",
        "next part",
        {},
        Refused("has no attribute 'partial_fit'", AttributeError),
        params={cls: {"update_rule": "lbfgs"} for cls in EVERY},
    ),
    # ----------------------------------------------------------------------------------------------------- score
    row("score without y", "score", {"y": None}, Refused("y")),
    row("score of a short y", "score", {"y": y[1:]}, Refused("inconsistent numbers of samples")),
    row("score of nan in y", "score", {"y": changed(y, np.nan, float)}, Refused("y: Input.* contains NaN")),
    row(
        "score of None in y",
        "score",
        {"y": changed(y, None, object)},
        Refused("y must have a label for each sample, got None"),
        regressor=Refused("y.* contains NaN"),
    ),
    row(
        "score of text",
        "score",
        {"y": y.astype(str)},
        Refused("Mix of label input types: y holds text, the classes that fit has seen are numbers"),
        regressor=Refused(f"y {NUMBERS}"),
    ),
    row(
        "score of words and numbers",
        "score",
        {"y": changed(y, "ant", object)},
        Refused("y must hold either strings or numbers", TypeError),
        regressor=Refused("y: could not convert string to float: 'ant'"),
    ),
    row(
        "score of dates",
        "score",
        {"y": DAYS},
        Refused("Mix of label input types: y holds dates or times"),
        regressor=Refused(f"y {NUMBERS}", TypeError),
    ),
    row("score of a generator", "score", {"y": Generator}, Refused(rf"y {A_SEQUENCE} <generator", TypeError)),
    row("score of huge quantities", "score", {"y": 1e300 * y}, Refused("y: Unknown label type"), regressor=Fits()),
    row("score of X nan", "score", {"X": changed(X, np.nan)}, Refused("Input X contains NaN")),
    # ----------------------------------------------------------------------------- parameters that do not fit the data
    row(
        "early stopping on one sample",
        "fit",
        {"X": X[:1], "y": y[:1]},
        Refused(r"validation_fraction=0\.1 .*n_samples=1 "),
        params={cls: {"early_stopping": True} for cls in EVERY},
    ),
    row(
        "early stopping on one sample of weight",
        "fit",
        {"sample_weight": np.arange(30) == 3},
        Refused(r"validation_fraction=0\.1 .*n_samples=1 "),
        params={cls: {"early_stopping": True} for cls in EVERY},
    ),
    row(
        "all set aside",
        "fit",
        {},
        Refused(r"validation_fraction=0\.99 .*n_samples=30 "),
        params={cls: {"early_stopping": True, "validation_fraction": 0.99} for cls in EVERY},
    ),
    row(
        "weights that no class has",
        "fit",
        {},
        Refused("class_weight={'ant': 2.0} has labels that are not among the classes"),
        regressor=Fits(),
        params={cls: {"class_weight": {"ant": 2.0}} for cls in EVERY if cls is not FullyConnectedRegressor},
    ),
    row(
        "weights of classes of a total beyond float64",
        "fit",
        {},
        Refused("class_weight={0: 1.7e\\+308} and the samples' weights must make a finite total"),
        regressor=AS_IT_IS,
        params={cls: {"class_weight": {0: 1.7e308}} for cls in EVERY if cls is not FullyConnectedRegressor},
    ),
    row(
        "minibatches of one and batch normalization",
        "fit",
        {},
        Refused(r"BatchNorm\(\) needs minibatches of at least 2 different samples, got batch_size=1 and n_samples=30"),
        softmax=Fits(),
        convnet=Fits(),
        params={cls: {"batch_size": 1} | ({} if cls is Softmax else {"normalization": "batchnorm"}) for cls in EVERY},
    ),
    row(
        "a last minibatch of one and batch normalization",
        "fit",
        {},
        Warned(UserWarning, "The last minibatch of each epoch is a single sample, of n_samples=30 at batch_size=29"),
        softmax=Fits(),
        convnet=Fits(),
        params={cls: {"batch_size": 29} | ({} if cls is Softmax else {"normalization": "batchnorm"}) for cls in EVERY},
    ),
    row(
        "weights beyond the dtype",
        "fit",
        {},
        Refused("the weights that it began with are very large .* Lower weight_scale"),
        params={cls: {"weight_scale": 1e300} for cls in EVERY},
    ),
    row(
        "epsilon beyond the dtype",
        "fit",
        {},
        Refused("epsilon must be at most 3.4.*e\\+38, the largest float32, got 1e\\+300"),
        params={cls: {"epsilon": 1e300} for cls in EVERY},
    ),
    row(
        "sizes as a dict",
        "fit",
        {},
        Fits(),
        regressor=Refused("hidden_dims must be an integer or a sequence of integers, got {}", TypeError),
        params={FullyConnectedRegressor: {"hidden_dims": {}}},
    ),
    row(
        "another y after a warm start",
        "fit",
        {"y": y > 0},
        Refused(r"With warm_start, y must hold the classes of the first fit, \[0 1 2\], got \[False  True\]"),
        regressor=Fits(),
        params={cls: {"warm_start": True} for cls in EVERY},
    ),
    row(
        "other features after a warm start",
        "fit",
        {"X": X[:, 1:]},
        FEATURES,
        params={cls: {"warm_start": True} for cls in EVERY},
    ),
    # -------------------------------------------------------------------------------------------- order of calls
    row("prediction before fit", "predict first", {}, Refused("is not fitted yet", NotFittedError)),
    row("score before fit", "score first", {}, Refused("is not fitted yet", NotFittedError)),
    row("conversion before fit", "to_onnx first", {}, Refused("is not fitted yet", NotFittedError)),
]


@cache
def fitted(cls):
    """Return a fitted estimator, pickled."""
    return pickle.dumps(small(cls).fit(X, y))


def call_of(cls, call, params):
    """Return an estimator, and a function of arguments by name that does what the table calls so."""
    is_new = call in ("first part", "predict first", "score first", "to_onnx first")
    estimator = (small(cls) if is_new else pickle.loads(fitted(cls))).set_params(**params.get(cls, {}))
    classes = {"classes": [0, 1, 2]} if is_classifier(estimator) else {}

    def predict(X=X):
        return [getattr(estimator, method)(X) for method in methods_of(cls)]

    functions = {
        "fit": lambda **arguments: estimator.fit(**{"X": X, "y": y, **arguments}),
        "validated fit": lambda **arguments: estimator.fit(X, y, **{"X_val": X, "y_val": y, **arguments}),
        "first part": lambda **arguments: estimator.partial_fit(**{"X": X, "y": y, **classes, **arguments}),
        "next part": lambda **arguments: estimator.partial_fit(**{"X": X, "y": y, **arguments}),
        "score": lambda **arguments: estimator.score(**{"X": X, "y": y, **arguments}),
        "predict": predict,
        "predict first": predict,
        "score first": lambda: estimator.score(X, y),
        "to_onnx first": lambda: estimator.to_onnx(),
    }
    return estimator, functions[call]


def made_of(result):
    """Return what a call gave in a form that compares: what was learned, predictions or a score."""
    return learned(result) if hasattr(result, "params_") else {"result": result}


def assert_same_outcome(first, second):
    first, second = made_of(first), made_of(second)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_equal(first[name], second[name], err_msg=name)


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize(
    ("call", "arguments", "params", "answers"), [pytest.param(*r[1:], id=f"{r[1]}-{r[0]}") for r in TABLE]
)
def test_every_bad_input_has_its_answer(cls, call, arguments, params, answers):
    answer = answers[cls]
    estimator, function = call_of(cls, call, params)
    arguments = {name: (i for i in y) if value is Generator else value for name, value in arguments.items()}
    if isinstance(answer, Refused):
        before = pickle.dumps(estimator)
        warnings.simplefilter("ignore")  # pytest puts the filters back
        with pytest.raises(answer.error, match="(?s)" + answer.text):
            function(**arguments)
        assert pickle.dumps(estimator) == before
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function(**arguments)
    # How well it learns of bad input is no matter here.
    found = [warning for warning in caught if warning.category is not ConvergenceWarning]
    if isinstance(answer, Warned):
        assert any(issubclass(w.category, answer.category) for w in found)
        with pytest.warns(answer.category, match=answer.text):
            call_of(cls, call, params)[1](**arguments)
        return
    assert not found
    if isinstance(answer, Taken):
        plain = call_of(cls, call, params)[1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            assert_same_outcome(result, plain(**answer.arguments))


def test_the_table_is_long_and_has_a_row_once():
    names = [(name, call) for name, call, *_ in TABLE]
    assert len(TABLE) >= 74
    assert len(set(names)) == len(names)
    assert {cls for row in TABLE for cls in row[4]} == set(EVERY) >= {TwoLayerNet, FullyConnectedNet}
    refused = [row for row in TABLE if any(isinstance(answer, Refused) for answer in row[4].values())]
    assert len(refused) >= 74
