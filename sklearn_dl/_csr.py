"""CSR: rows of a sparse matrix, as the nets and the solver take them in the place of an array (n, D)."""

import numpy as np
from scipy.sparse import csr_array, issparse

INDEX_TYPES = (np.dtype(np.int32), np.dtype(np.int64))


class CSR:
    """Rows of a matrix in compressed-row form, which stays as it is: what is selected are row numbers.

    It has of an array what nets, solver and estimators ask of X: ``shape``, ``dtype``, ``ndim``, ``len`` and
    ``X[rows]``, which copies no element.

    Parameters
    ----------
    data : ndarray of shape (stored,)
        The elements, row by row. Those of one row may stand in any order; of one column, they add up.
    indices : ndarray of int32 or int64 of shape (stored,)
        The column of each.
    indptr : ndarray of the dtype of indices
        Where each row of the matrix begins, and where the last one ends.
    rows : ndarray of intp of shape (n,)
        Numbers of the rows.
    n_columns : int
    """

    __slots__ = ("data", "indices", "indptr", "n_columns", "rows")

    ndim = 2

    def __init__(self, data, indices, indptr, rows, n_columns):
        self.data, self.indices, self.indptr = data, indices, indptr
        self.rows, self.n_columns = rows, n_columns

    @classmethod
    def of(cls, matrix, name="X"):
        """Return the rows of a sparse matrix or array of SciPy's, whatever its format.

        Raises
        ------
        TypeError
            If it does not hold real numbers.
        ValueError
            If it does not have two axes, or holds column numbers or row starts that are not in range.
        """
        check_sparse(matrix, name)
        matrix = matrix.tocsr()
        if matrix.dtype.kind not in "biuf":
            raise TypeError(f"{name} must hold numbers, got dtype {matrix.dtype}.")
        n, d = matrix.shape
        index = np.result_type(matrix.indices, matrix.indptr, np.int32)
        if index not in INDEX_TYPES:
            raise TypeError(f"{name} must have row starts and column numbers of int32 or int64, got {index}.")
        indices, indptr = (np.require(a, index, ["C", "A"]) for a in (matrix.indices, matrix.indptr))
        stored = int(indptr[-1])
        data = np.require(matrix.data[:stored], matrix.dtype.newbyteorder("="), ["C", "A"])
        return cls(data, indices[:stored], indptr, np.arange(n), d)

    @property
    def shape(self):
        """Number of rows, number of columns."""
        return len(self.rows), self.n_columns

    @property
    def dtype(self):
        """That of the elements."""
        return self.data.dtype

    @property
    def size(self):
        """Number of elements that the dense matrix has."""
        return len(self.rows) * self.n_columns

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, rows):
        return CSR(self.data, self.indices, self.indptr, self.rows[rows], self.n_columns)

    def astype(self, dtype):
        """Return the same rows with elements of another dtype; the same arrays where it is theirs."""
        return CSR(self.data.astype(dtype, copy=False), self.indices, self.indptr, self.rows, self.n_columns)

    def take(self, rows):
        """Return rows of the matrix by their numbers in it, whichever `self` has."""
        return CSR(self.data, self.indices, self.indptr, rows, self.n_columns)

    def compact(self):
        """Return these rows as all the rows of a matrix: of this one if they are, else of a copy."""
        n = len(self.rows)
        if n == len(self.indptr) - 1 and (self.rows == np.arange(n)).all():
            return self
        begin = self.indptr[self.rows]
        counts = self.indptr[self.rows + 1] - begin
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(self.indptr.dtype)
        places = np.repeat(begin - indptr[:-1], counts) + np.arange(indptr[-1])
        return CSR(self.data[places], self.indices[places], indptr, np.arange(n), self.n_columns)

    def to_scipy(self):
        """Return these rows as a ``scipy.sparse.csr_array``, their elements in the order that they have."""
        rows = self.compact()
        return csr_array((rows.data, rows.indices, rows.indptr), self.shape)

    def toarray(self):
        """Return the dense rows."""
        return self.to_scipy().toarray()


def as_rows(X, name="X"):
    """Return SciPy's sparse matrices and arrays as `CSR`, and anything else as it is."""
    return CSR.of(X, name) if issparse(X) else X


def as_given(X):
    """Return a `CSR` as code that is not this package's knows it, and anything else as it is."""
    return X.to_scipy() if type(X) is CSR else X


def check_sparse(matrix, name="X"):
    """Raise ValueError unless a sparse matrix is one: SciPy's own conversions trust what somebody has put into it.

    Of the formats CSR, CSC and COO; the others hold nothing that could be out of range.
    """
    if matrix.ndim != 2:
        raise ValueError(f"{name} must be a sparse matrix with two axes, got shape {matrix.shape}.")
    n, d = matrix.shape
    if matrix.format in ("csr", "csc"):
        across, along = ("rows", "columns") if matrix.format == "csr" else ("columns", "rows")
        n, d = (n, d) if matrix.format == "csr" else (d, n)
        indptr, stored = matrix.indptr, min(len(matrix.data), len(matrix.indices))
        if len(indptr) != n + 1 or indptr[0] != 0 or indptr[-1] > stored or (indptr[1:] < indptr[:-1]).any():
            raise ValueError(
                f"{name} is no valid {matrix.format.upper()} matrix: indptr must be {n + 1} numbers, one more than"
                f" there are {across}, that rise from 0 to at most {stored}, the number of elements."
            )
        _check_range(name, matrix.format, "indices", matrix.indices[: indptr[-1]], along, d)
    elif matrix.format == "coo":
        _check_range(name, "coo", "row", matrix.row, "rows", n)
        _check_range(name, "coo", "col", matrix.col, "columns", d)


def _check_range(name, kind, attribute, numbers, what, length):
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < length):
        raise ValueError(
            f"{name} is no valid {kind.upper()} matrix: {attribute} must be {what} from 0 to {length - 1}, got"
            f" {numbers.min()} to {numbers.max()}."
        )
