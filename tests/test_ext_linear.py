"""The kernel of a linear classifier against the kernels that it replaces."""

import numpy as np
import pytest

from sklearn_dl import _ext

from ._kernels import DTYPES, draw, dtypes, z


def place(a, offset):
    """Copy an array to an address `offset` items past a multiple of 64 bytes."""
    room = np.empty(a.nbytes + 64 + offset * a.itemsize, np.uint8)
    start = -room.ctypes.data % 64 + offset * a.itemsize
    placed = room[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    placed[...] = a
    return placed


def linear_case(n, d, m, source, dtype, offset=0):
    """Return rows to gather, indices, labels and weights of a linear classifier."""
    rng = np.random.RandomState(0)
    X = place(rng.randint(0, 9, (n + 5, d)).astype(source), offset)
    w, b = draw(dtype, d, m, seed=1) / 50, draw(dtype, m, seed=2)
    return X, rng.randint(0, n + 5, n), rng.randint(0, m, n), w, b


# N, D, C, dtype: all of those that the instruction set takes.
LINEAR = [
    (n, d, m, dtype)
    for n, d, m in [(1, 128, 2), (25, 129, 3), (200, 1100, 5), (50, 3072, 10), (131, 2055, 11)]
    for dtype in DTYPES
    if _ext.linear_takes(z((d, m), dtype))
]


@pytest.mark.parametrize("source", [np.uint8, np.int32, np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("n", "d", "m", "dtype"), LINEAR)
@pytest.mark.parametrize("offset", [0, 1, 4])
def test_linear_softmax_is_what_its_parts_are(n, d, m, source, dtype, offset):
    X, indices, y, w, b = linear_case(n, d, m, source, dtype, offset)
    weight = np.random.RandomState(3).rand(n) + 0.1
    x, scores, dw, db = (np.empty(shape, dtype) for shape in [(n, d), (n, m), (d, m), m])
    _ext.gather_rows(X, indices, x, None, 1)
    for bias, weights, total in [(b, None, 0), (None, weight, 0), (b, weight, 7.5), (b, None, 3)]:
        _ext.affine_forward(x, w, bias, scores, False, 1)
        loss = _ext.softmax_loss(scores, y, weights, scores, total)
        _ext.affine_backward_dw(x, scores, dw, db, 1)
        for n_threads in (1, 2, 3, 5):
            got = [np.full_like(a, np.nan) for a in (scores, dw, db)]
            if bias is None:
                got[2] = None
            assert _ext.linear_softmax(X, indices, y, weights, w, bias, *got, n_threads, total) == loss
            for one, other in zip(got, (scores, dw, None if bias is None else db), strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("n", "d", "m", "dtype"), LINEAR[-2:])
@pytest.mark.parametrize(
    "apart", [lambda X: X[::2], lambda X: X[::-1], lambda X: X[:, 5:]], ids=["step", "back", "cut"]
)
def test_linear_softmax_of_rows_that_are_apart(n, d, m, dtype, apart):
    X, indices, y, w, b = linear_case(2 * n, d + 5, m, dtype, dtype)
    X, indices, y = apart(X), indices[:n] // 2, y[:n]
    w = np.ascontiguousarray(w[: X.shape[1]])
    results = []
    for source in (X, X.copy()):
        out = [np.empty(shape, dtype) for shape in [(n, m), w.shape, m]]
        results.append([_ext.linear_softmax(source, indices, y, None, w, b, *out, 2), *(a.tobytes() for a in out)])
    assert results[0] == results[1]


@dtypes
def test_linear_takes_few_classes(dtype):
    def takes(d, m):
        return _ext.linear_takes(np.zeros((d, m), dtype))

    assert not any(takes(3072, m) for m in (1, 17, 100))
    assert not takes(1, 3)
    if dtype == np.float32:
        assert takes(128, 3)
    y, w, dw, dscores = z(2, np.int64), z((9, 100), dtype), z((9, 100), dtype), z((2, 100), dtype)
    with pytest.raises(ValueError, match="linear_takes"):
        _ext.linear_softmax(z((2, 9)), y, y, None, w, None, dscores, dw, None, 1)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": z((4, 100), "f4")}, ValueError, "X must have length 128"),
        ({"X": z((4, 128), complex)}, TypeError, "X must hold real numbers"),
        ({"indices": np.array([0, 4, 1])}, IndexError, r"indices must be in \[0, 4\), got 4"),
        ({"indices": z(0, np.intp), "y": z(0, np.int64)}, ValueError, "indices must not be empty"),
        ({"y": np.array([0, 3, 1])}, ValueError, r"y must be in \[0, 3\), got 3"),
        ({"y": np.array([0, 1])}, ValueError, "y must have length 3"),
        ({"sample_weight": z(3)}, ValueError, "sample_weight must have a positive"),
        ({"b": z(2, "f4")}, ValueError, "b must have length 3"),
        ({"dscores": z((2, 3), "f4")}, ValueError, "dscores must have length 3"),
        ({"dw": z((128, 3))}, TypeError, "dw must be float32"),
        ({"n_threads": 0}, ValueError, "n_threads"),
        ({"total": -1.0}, ValueError, "total must be positive"),
        ({"total": float("nan")}, ValueError, "total must be positive"),
    ],
)
def test_linear_softmax_checks_before_it_writes(change, error, message):
    args = {"X": z((4, 128), "f4"), "indices": np.array([0, 3, 1]), "y": np.array([0, 2, 1]), "sample_weight": None}
    args |= {"w": z((128, 3), "f4"), "b": z(3, "f4"), "dscores": z((3, 3), "f4"), "dw": z((128, 3), "f4")}
    args |= {"db": z(3, "f4"), "n_threads": 1, "total": 0.0, **change}
    with pytest.raises(error, match=message):
        _ext.linear_softmax(*args.values())
    assert not any(args[name].any() for name in ("dscores", "dw", "db"))


def test_linear_softmax_refuses_overlap():
    X, indices, y, w, b = linear_case(8, 128, 3, np.float32, np.float32)
    dscores, dw, db = (np.zeros(shape, np.float32) for shape in [(8, 3), (128, 3), 3])
    for outputs in [(dscores, w, db), (dscores, dw, b), (dscores, dw, dscores.ravel()[:3]), (dscores, dw, dw[1])]:
        for a in outputs:
            a.flags.writeable = True
        with pytest.raises(ValueError, match="must not overlap"):
            _ext.linear_softmax(X, indices, y, None, w, b, *outputs, 1)
