"""The affine layer's kernels for rows of a CSR matrix, against the products of the dense matrix."""

import numpy as np
import pytest
import scipy.sparse

from sklearn_dl import _ext

# Samples, inputs, outputs: below a vector, whole vectors, one column more, tiles of unequal width.
SIZES = [(1, 1, 1), (3, 7, 2), (5, 9, 3), (4, 30, 8), (7, 40, 17), (6, 20, 31), (2, 11, 100), (9, 50, 203)]


def csr(rng, n_rows, n_columns, dtype=np.float64, index=np.int32, density=0.3):
    """Return a CSR matrix whose elements are unsorted, with duplicates, explicit zeros and empty rows."""
    n = int(density * n_rows * n_columns) + 1
    rows = rng.choice(np.arange(0, n_rows, 2), n)
    columns = rng.randint(n_columns, size=n)
    values = rng.randn(n) * (rng.rand(n) < 0.8)
    order = np.argsort(rows, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))])
    arrays = values[order].astype(dtype), columns[order].astype(index), indptr.astype(index)
    X = scipy.sparse.csr_matrix((n_rows, n_columns), dtype=dtype)
    X.data, X.indices, X.indptr = arrays
    return X


def forward(X, rows, w, b, *, relu=False, threads=1):
    out = np.full((len(rows), w.shape[1]), np.nan, w.dtype)
    _ext.csr_affine_forward(X.data, X.indices, X.indptr, rows, w, b, out, relu, threads)
    return out


class Gradient:
    """dw and what goes from call to call with it."""

    def __init__(self, d, m, dtype):
        self.dw, self.db = np.full((d, m), np.nan, dtype), np.full(m, np.nan, dtype)
        self.touched, self.is_touched = np.zeros(d + 2, np.int64), np.ones(d, bool)
        self.touched[0] = -1

    def of(self, X, rows, dout, threads=1):
        _ext.csr_affine_backward_dw(
            X.data, X.indices, X.indptr, rows, dout, self.dw, self.db, self.touched, self.is_touched, threads
        )
        return self.dw, self.db


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize(("n", "d", "m"), SIZES)
def test_products_of_the_dense_matrix(rng, n, d, m, index, dtype, tol, threads):
    X = csr(rng, 2 * n, d, dtype, index)
    dense = X.toarray().astype(np.float64)
    w, b = rng.randn(d, m).astype(dtype), rng.randn(m).astype(dtype)
    gradient = Gradient(d, m, dtype)
    for _ in range(3):  # what one call leaves must not show in the next
        rows = rng.permutation(2 * n)[: rng.randint(1, 2 * n + 1)].astype(np.intp)
        for relu in (False, True):
            expected = dense[rows] @ w + b
            if relu:
                expected = np.maximum(expected, 0)
            np.testing.assert_allclose(forward(X, rows, w, b, relu=relu, threads=threads), expected, **tol)
        np.testing.assert_allclose(forward(X, rows, w, None, threads=threads), dense[rows] @ w, **tol)
        dout = rng.randn(len(rows), m).astype(dtype)
        dw, db = gradient.of(X, rows, dout, threads)
        np.testing.assert_allclose(dw, dense[rows].T @ dout, **tol)
        np.testing.assert_allclose(db, dout.sum(axis=0), **tol)
        columns = np.unique(X[rows].indices)
        np.testing.assert_array_equal(np.sort(gradient.touched[1 : 1 + gradient.touched[0]]), columns)
        np.testing.assert_array_equal(np.flatnonzero(gradient.is_touched), columns)


@pytest.mark.parametrize("m", [1, 5, 16, 33, 100, 130])
def test_same_bits_on_any_number_of_threads(rng, m, dtype):
    X = csr(rng, 300, 2_000, dtype, density=0.05)
    w, b, rows = rng.randn(2_000, m).astype(dtype), rng.randn(m).astype(dtype), np.arange(300)
    dout = rng.randn(300, m).astype(dtype)
    expected = forward(X, rows, w, b), *Gradient(2_000, m, dtype).of(X, rows, dout)
    for threads in (2, 3, 4):
        got = forward(X, rows, w, b, threads=threads), *Gradient(2_000, m, dtype).of(X, rows, dout, threads)
        for a, b_ in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b_)


def test_a_row_of_the_output_depends_on_its_row_alone(rng, dtype):
    X = csr(rng, 40, 60, dtype)
    w, b = rng.randn(60, 37).astype(dtype), rng.randn(37).astype(dtype)
    together = forward(X, np.arange(40), w, b)
    for i in range(40):
        np.testing.assert_array_equal(forward(X, np.array([i]), w, b)[0], together[i])


def test_other_rows_of_the_gradient_stay_unless_all_are_to_be_cleared(rng):
    """The kernel clears what it has written, and all of dw where it is told that it does not know it."""
    X, dout = csr(rng, 4, 6), rng.randn(1, 3)
    gradient = Gradient(6, 3, np.float64)
    gradient.of(X, np.array([0]), dout)
    untouched = np.setdiff1d(np.arange(6), X[[0]].indices)
    gradient.dw[untouched] = 7
    gradient.of(X, np.array([1]), dout)  # an empty row
    np.testing.assert_array_equal(gradient.dw[untouched], np.full((len(untouched), 3), 7.0))
    assert not np.delete(gradient.dw, untouched, axis=0).any()
    gradient.touched[0] = -1
    assert not gradient.of(X, np.array([1]), dout)[0].any()


WRONG = {
    "column": lambda X: X.indices.__setitem__(0, 6),
    "negative column": lambda X: X.indices.__setitem__(0, -1),
    "huge column": lambda X: X.indices.__setitem__(-1, np.iinfo(X.indices.dtype).max),
    "end": lambda X: X.indptr.__setitem__(-1, X.nnz + 1),
    "negative start": lambda X: X.indptr.__setitem__(0, -1),
    "falling starts": lambda X: X.indptr.__setitem__(2, -5),
}


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("wrong", WRONG)
def test_elements_out_of_range_are_never_read(rng, wrong, index):
    X = csr(rng, 6, 6, index=index)
    X = scipy.sparse.csr_matrix((X.data, X.indices, X.indptr), X.shape)
    WRONG[wrong](X)
    rows, w, out = np.arange(6), np.ones((6, 4)), np.full((6, 4), 7.0)
    gradient = Gradient(6, 4, np.float64)
    with pytest.raises(IndexError, match="indptr must rise from 0"):
        _ext.csr_affine_forward(X.data, X.indices, X.indptr, rows, w, None, out, False, 1)
    np.testing.assert_array_equal(out, np.full((6, 4), 7.0))
    with pytest.raises(IndexError, match="indices must be columns"):
        gradient.of(X, rows, np.ones((6, 4)))
    assert np.isnan(gradient.dw).all()
    assert gradient.touched[0] == -1


ARGUMENTS = {
    "data": (TypeError, lambda a: a["data"].astype(np.float32)),
    "indices": (TypeError, lambda a: a["indices"].astype(np.int16)),
    "indptr": (TypeError, lambda a: a["indptr"].astype(np.int64)),
    "rows": (IndexError, lambda a: np.array([6])),
    "b": (ValueError, lambda a: np.ones(3)),
    "out": (ValueError, lambda a: np.ones((5, 4))),
    "w": (ValueError, lambda a: np.ones((6, 4), order="F")),
    "n_threads": (ValueError, lambda a: 0),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_are_checked(rng, name):
    X = csr(rng, 6, 6)
    arguments = {"data": X.data, "indices": X.indices, "indptr": X.indptr, "rows": np.arange(6), "w": np.ones((6, 4))}
    arguments |= {"b": np.ones(4), "out": np.ones((6, 4)), "relu": False, "n_threads": 1}
    error, change = ARGUMENTS[name]
    with pytest.raises(error, match=r"indices must be in \[0, 6\)" if name == "rows" else name):
        _ext.csr_affine_forward(*{**arguments, name: change(arguments)}.values())


def test_the_gradient_must_not_overlap_its_inputs(rng):
    X, gradient = csr(rng, 6, 6), Gradient(6, 4, np.float64)
    with pytest.raises(ValueError, match="dw must not overlap dout"):
        gradient.of(X, np.arange(6), gradient.dw)
    gradient.touched = np.zeros(7, np.int64)
    with pytest.raises(ValueError, match="touched must have length 8"):
        gradient.of(X, np.arange(6), np.ones((6, 4)))
