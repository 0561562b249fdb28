"""The checks of scalar parameters: what passes comes back plain, what does not is named."""

import math
from fractions import Fraction

import numpy as np
import pytest

from sklearn_dl._checks import (
    check_bool,
    check_choice,
    check_dims,
    check_dtype,
    check_int,
    check_real,
    check_weight_scale,
)


@pytest.mark.parametrize(
    ("value", "limits"),
    [
        (1, {}),
        (0.0, {"low": 0}),
        (np.float32(0.5), {"low": 0, "high": 1}),
        (np.int8(1), {"low": 0, "high": 1, "boundaries": "right"}),
        (Fraction(1, 4), {"low": 0, "boundaries": "neither"}),
        (-1e300, {}),
    ],
)
def test_check_real_passes(value, limits):
    checked = check_real("reg", value, **limits)
    assert type(checked) is float
    assert checked == value


@pytest.mark.parametrize(
    ("value", "limits", "error", "message"),
    [
        ("1", {}, TypeError, "reg must be an instance of float"),
        (None, {}, TypeError, "reg must be an instance of float"),
        (1j, {}, TypeError, "reg must be an instance of float"),
        (np.ones(1), {}, TypeError, "reg must be an instance of float"),
        (True, {}, TypeError, "reg must be a number, got True"),
        (np.False_, {}, TypeError, "reg must be a number, got .*False"),
        (math.nan, {"low": 0, "high": 1}, ValueError, "reg must be a finite number, got nan"),
        (math.inf, {"low": 0}, ValueError, "reg must be a finite number, got inf"),
        (10**309, {"low": 0}, ValueError, "reg must be a finite number, got 1000"),
        (-1, {"low": 0}, ValueError, "reg == -1, must be >= 0"),
        (2, {"high": 1}, ValueError, "reg == 2, must be <= 1"),
        (0, {"low": 0, "boundaries": "neither"}, ValueError, "reg == 0, must be > 0"),
        (0, {"low": 0, "high": 1, "boundaries": "right"}, ValueError, "reg == 0, must be > 0"),
        # Within the range, but not as the double that is computed with.
        (1 - Fraction(1, 10**30), {"low": 0, "high": 1, "boundaries": "left"}, ValueError, r"reg == 1\.0, must be < 1"),
        (Fraction(1, 10**400), {"low": 0, "boundaries": "neither"}, ValueError, r"reg == 0\.0, must be > 0"),
    ],
)
def test_check_real_refuses(value, limits, error, message):
    with pytest.raises(error, match=message):
        check_real("reg", value, **limits)


@pytest.mark.parametrize("value", [1, 10**30, np.int64(7), np.uint8(1)])
def test_check_int_passes(value):
    checked = check_int("units", value, low=1)
    assert type(checked) is int
    assert checked == value


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "units == 0, must be >= 1"),
        (1.0, TypeError, "units must be an instance of int"),
        ("1", TypeError, "units must be an instance of int"),
        (None, TypeError, "units must be an instance of int"),
        (True, TypeError, "units must be an integer, got True"),
        (np.True_, TypeError, "units must be an integer, got .*True"),
    ],
)
def test_check_int_refuses(value, error, message):
    with pytest.raises(error, match=message):
        check_int("units", value, low=1)


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_check_bool_passes(value):
    assert check_bool("shuffle", value) is bool(value)


@pytest.mark.parametrize("value", [0, 1, None, "True", np.ones(1, bool)])
def test_check_bool_refuses(value):
    with pytest.raises(TypeError, match="shuffle must be True or False, got"):
        check_bool("shuffle", value)


@pytest.mark.parametrize("value", [None, "a", np.str_("b")])
def test_check_choice_passes(value):
    assert check_choice("kind", value, (None, "a", "b")) == value


@pytest.mark.parametrize("value", ["c", 0, False, ["a"], np.array(["a", "b"])])
def test_check_choice_refuses(value):
    with pytest.raises(ValueError, match="kind must be one of None, 'a', 'b', got"):
        check_choice("kind", value, (None, "a", "b"))


@pytest.mark.parametrize("value", [(3, 2), [3, 2], np.array([3, 2], np.uint8), iter([3, 2])])
@pytest.mark.parametrize("length", [None, 2])
def test_check_dims_passes(value, length):
    if not isinstance(value, (tuple, list, np.ndarray)):
        value = iter([3, 2])  # the one given is used up by the first test
    checked = check_dims("shape", value, length=length)
    assert checked == (3, 2)
    assert all(type(v) is int for v in checked)


@pytest.mark.parametrize("value", [[], (), np.array([], int)])
def test_check_dims_passes_an_empty_sequence(value):
    assert check_dims("hidden_dims", value) == ()


@pytest.mark.parametrize("value", [7, np.int64(7), np.uint8(7)])
def test_check_dims_passes_one_integer(value):
    checked = check_dims("hidden_dims", value)
    assert checked == (7,)
    assert type(checked[0]) is int


@pytest.mark.parametrize(
    ("value", "length", "error", "message"),
    [
        (0, None, ValueError, "shape == 0, must be >= 1"),
        (True, None, TypeError, "shape must be an integer or a sequence of integers, got True"),
        (3.0, None, TypeError, r"shape must be an integer or a sequence of integers, got 3\.0"),
        (3, 2, TypeError, "shape must be 2 integers, got 3"),
        ("33", None, TypeError, "shape must be an integer or a sequence of integers, got '33'"),
        (b"33", None, TypeError, "shape must be an integer or a sequence of integers, got b'33'"),
        (None, None, TypeError, "shape must be an integer or a sequence of integers, got None"),
        ((3,), 2, ValueError, r"shape must be 2 integers, got \(3,\)"),
        ((3, 0), None, ValueError, r"shape\[1\] == 0, must be >= 1"),
        ((3, 2.0), 2, TypeError, r"shape\[1\] must be an instance of"),
        ((True,), None, TypeError, r"shape\[0\] must be an integer, got True"),
        (np.ones((2, 2), int), 2, TypeError, r"shape\[0\] must be an instance of"),
    ],
)
def test_check_dims_refuses(value, length, error, message):
    with pytest.raises(error, match=message):
        check_dims("shape", value, length=length)


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_check_dtype_passes(name):
    for value in (name, getattr(np, name), np.dtype(name)):
        assert check_dtype("dtype", value) == np.dtype(name)
    assert check_dtype("dtype", float) == np.dtype(np.float64)


@pytest.mark.parametrize("value", [None, "auto", "float16", int, ">f4", "double!", {"a": 1}, 3])
def test_check_dtype_refuses(value):
    with pytest.raises(ValueError, match="dtype must be float32 or float64, got"):
        check_dtype("dtype", value)


@pytest.mark.parametrize("value", ["he", "xavier", 0, 1e-3])
def test_check_weight_scale_passes(value):
    assert check_weight_scale("weight_scale", value) == value


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("lecun", ValueError, "weight_scale must be a number of at least 0, 'he' or 'xavier', got 'lecun'"),
        (-1, ValueError, "weight_scale == -1, must be >= 0"),
        (None, ValueError, "weight_scale must be a number of at least 0, 'he' or 'xavier', got None"),
    ],
)
def test_check_weight_scale_refuses(value, error, message):
    with pytest.raises(error, match=message):
        check_weight_scale("weight_scale", value)
