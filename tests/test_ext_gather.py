"""Gathering rows, against NumPy's indexing."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import draw, dtypes, run

SOURCES = np.typecodes["AllInteger"] + "?" + np.typecodes["Float"]


def numbers(dtype, n, d):
    """Return numbers from one end of a dtype's range to the other, those next to 0 included, read-only."""
    rng = np.random.RandomState(0)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        X = (rng.randn(n, d) * 10.0 ** rng.randint(-6, 5, (n, d))).astype(dtype)
    else:
        X = rng.bytes(n * d * dtype.itemsize)
        X = np.frombuffer(X, f"u{dtype.itemsize}").reshape(n, d)
        X = X % 2 == 0 if dtype.kind == "b" else X.astype(dtype)
        if dtype.kind != "b":
            X[0, 0], X[-1, -1] = np.iinfo(dtype).min, np.iinfo(dtype).max
    X.flags.writeable = False
    return X


@dtypes
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("n", "d", "rows"), [(1, 1, 1), (9, 33, 0), (9, 33, 20), (50, 3072, 40)])
def test_gather_rows(n, d, rows, source, dtype):
    X = numbers(source, n, d)
    rng = np.random.RandomState(0)
    indices, mean = rng.randint(0, n, rows), draw(dtype, d)
    for m in (None, mean):
        (out,) = run(
            lambda out, t, m=m: _ext.gather_rows(X, indices, out[0], m, t),
            out=[((rows, d), dtype)],
        )
        expected = X[indices].astype(dtype)
        np.testing.assert_array_equal(out, expected if m is None else expected - m)


@dtypes
def test_gather_rows_of_every_half(dtype):
    X = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(1, -1)
    out = np.empty(X.shape, dtype)
    _ext.gather_rows(X, np.zeros(1, np.intp), out, None, 1)
    np.testing.assert_array_equal(out, X.astype(dtype))
    np.testing.assert_array_equal(np.signbit(out), np.signbit(X))


@dtypes
@pytest.mark.parametrize("source", "Behqfdg")
def test_gather_rows_that_are_apart(source, dtype):
    X = numbers(source, 40, 70)
    indices = np.random.RandomState(0).randint(0, 13, 30)
    for apart in (X[::3], X[::-1], X[:, 3:50], X[-1:0:-2, 3:], np.broadcast_to(X[0], (13, 70)), X[:, :1], X[:, ::70]):
        out = np.empty((30, apart.shape[1]), dtype)
        _ext.gather_rows(apart, indices, out, None, 2)
        np.testing.assert_array_equal(out, apart[indices].astype(dtype))


def test_rows_that_are_apart_overlap_where_they_reach():
    """Between the first and the last row nothing may be written, before and after it may."""
    room = np.arange(100.0).reshape(10, 10)
    for apart, inside, outside in ((room[2:8:2], room[3:5], room[8:]), (room[7:1:-2], room[4:6], room[:2])):
        with pytest.raises(ValueError, match="out must not overlap X"):
            _ext.gather_rows(apart, np.array([0, 1]), inside, None, 1)
        expected = apart[[2, 0]].copy()
        _ext.gather_rows(apart, np.array([2, 0]), outside, None, 1)
        np.testing.assert_array_equal(outside, expected)


@pytest.mark.parametrize("bad", [-1, 3, 2**40])
def test_gather_rows_checks_indices_before_it_writes(bad):
    out = np.zeros((2, 2))
    with pytest.raises(IndexError, match="indices"):
        _ext.gather_rows(np.ones((3, 2)), np.array([0, bad]), out, None, 1)
    assert not out.any()


@dtypes
def test_any_byte_of_a_bool_but_0_is_true(dtype):
    X = np.arange(256, dtype=np.uint8).view(bool).reshape(2, 128)
    out = np.empty(X.shape, dtype)
    _ext.gather_rows(X, np.arange(2), out, None, 1)
    np.testing.assert_array_equal(out, X.astype(dtype))


def test_empty_arrays_overlap_nothing():
    out = np.zeros((4, 3))
    _ext.gather_rows(out[2:2], np.empty(0, np.intp), np.empty((0, 3)), out[1], 1)
    _ext.check_apart((out, out[2:2]), ("out", "x"))
    _ext.check_apart((out[2:2], out), ("out", "x"))
    with pytest.raises(ValueError, match="out must not overlap x"):
        _ext.check_apart((out, out[2:3]), ("out", "x"))
