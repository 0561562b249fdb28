"""Samples: rows of X with their targets and weights, of which minibatches are gathered."""

import numpy as np

from sklearn_dl._arrays import as_rows_in_pieces, checked_weights
from sklearn_dl._checks import check_int
from sklearn_dl._csr import CSR, as_rows
from sklearn_dl._ext import gather_items, gather_rows, shuffle_rows
from sklearn_dl._threads import n_threads


class Samples:
    """Rows of X with their targets and weights, of which some, in some order, can be gathered.

    X stays what the caller has (uint8 images, a memory map of float16): only a minibatch at a time is
    converted to the net's dtype. An X whose rows are not in one piece, or of another byte order, is
    copied in its own dtype. Of a sparse matrix the elements are converted at once, and a minibatch is
    the numbers of its rows.

    Parameters
    ----------
    X : ndarray of shape (n, …), or CSR
    y : ndarray of shape (n,) or (n, n_outputs)
        Classes if integers of the first shape; a minibatch of others is in the dtype, too.
    sample_weight : ndarray of shape (n,), default=None
    rows : ndarray of int, default=None
        The rows that count; all of them if None. Rows of weight zero never do: a minibatch of
        nothing else has no mean.
    dtype : dtype
        What a minibatch is converted to.
    """

    def __init__(self, X, y, sample_weight=None, rows=None, *, dtype):
        self.shape = X.shape[1:]
        self.X = X.compact().astype(dtype) if type(X) is CSR else as_rows_in_pieces(X)
        self.y = np.ascontiguousarray(y, dtype=np.int64 if y.ndim == 1 else dtype)
        self.sample_weight = sample_weight
        self.rows = np.arange(len(X)) if rows is None else rows
        self.dtype = dtype
        self.mean_weight = None
        if sample_weight is not None:
            self.rows = self.rows[sample_weight[self.rows] > 0]
            self.mean_weight = float(sample_weight[self.rows].mean())
        self._buffers = {}

    def __len__(self):
        return len(self.rows)

    def gather(self, rows):
        """Return X, y and weights of some rows, in buffers that the next call overwrites."""
        size = len(rows)
        if self.is_sparse:
            return self.X.take(rows), *self.gather_targets(rows)
        X = self._buffer("X", (size, self.X.shape[1]), self.dtype)
        gather_rows(self.X, rows, X, None, n_threads())
        return X if len(self.shape) == 1 else X.reshape(size, *self.shape), *self.gather_targets(rows)

    @property
    def is_sparse(self):
        """Whether a minibatch is a `CSR`."""
        return type(self.X) is CSR

    def gather_targets(self, rows):
        """Return y and weights of some rows, in buffers that the next call overwrites."""
        size = len(rows)
        y = self._buffer("y", (size, *self.y.shape[1:]), self.y.dtype)
        if y.ndim == 1:
            gather_items(self.y, rows, y)
        else:
            gather_rows(self.y, rows, y, None, n_threads())
        weight = None
        if self.sample_weight is not None:
            weight = self._buffer("weight", (size,), np.float64)
            gather_items(self.sample_weight, rows, weight)
        return y, weight

    def _buffer(self, name, shape, dtype):
        held = self._buffers.get(name)
        if held is None or len(held) < shape[0]:
            held = self._buffers[name] = np.empty(shape, dtype)
        return held if len(held) == shape[0] else held[: shape[0]]


def permutation(rows, random_state):
    """Return ``random_state.permutation(rows)``, the same draw, made without the GIL where it can be."""
    if type(random_state) is not np.random.RandomState or rows.dtype != np.intp:
        return random_state.permutation(rows)
    rows = np.array(rows, order="C")
    shuffle_rows(random_state._bit_generator, rows)
    return rows


def check_samples(X, X_name):
    """Return X as an array of numbers (n, …), or as `CSR` if it is sparse."""
    X = as_rows(X, X_name)
    X = X if type(X) is CSR else np.asarray(X)
    if X.ndim < 2 or X.dtype.kind not in "biuf":
        raise ValueError(f"{X_name} must be numbers of shape (n, …), got {X.dtype} of shape {X.shape}.")
    if X.size == 0:
        raise ValueError(f"{X_name} must hold at least one sample, got shape {X.shape}.")
    return X


def check_rows(name, rows, n_samples):
    """Return rows as an array of indices below n_samples."""
    rows = np.asarray(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or len(rows) == 0:
        raise ValueError(f"{name} must be a list of integers, got {rows.dtype} of shape {rows.shape}.")
    if rows.min() < 0 or rows.max() >= n_samples:
        raise ValueError(f"{name} must be rows from 0 to {n_samples - 1}, got {rows.min()} to {rows.max()}.")
    return np.ascontiguousarray(rows, dtype=np.intp)


def samples_of(data, part, trainee):
    """Return a part of a solver's data as `Samples`, checked.

    Parameters
    ----------
    data : dict
        As `Solver` takes it.
    part : {'train', 'val'}
    trainee : Trainee

    Raises
    ------
    TypeError, ValueError
        If something is missing, or does not fit the net.
    """
    names = f"X_{part}", f"y_{part}"
    for name in names:
        if data.get(name) is None:
            held = ", ".join(map(repr, data)) or "nothing"
            raise ValueError(f"data must hold {name!r}, it holds {held}.")
    X = check_samples(data[names[0]], f"data[{names[0]!r}]")
    if type(X) is CSR:
        trainee.check_takes_csr()
    y = trainee.head.check_targets(f"data[{names[1]!r}]", data[names[1]], len(X), trainee.n_scores)
    rows, weight = data.get(f"rows_{part}"), data.get(f"sample_weight_{part}")
    if rows is not None:
        rows = check_rows(f"data['rows_{part}']", rows, len(X))
    if weight is not None:
        weight = checked_weights(weight, len(X), f"data['sample_weight_{part}']", rows)
    return Samples(X, y, weight, rows, dtype=trainee.dtype)


def draw_rows(name, size, samples, random_state):
    """Return the rows that a score is taken on, all if size is None; `name` is the parameter's, for errors."""
    if size is not None:
        size = check_int(name, size, low=1)
    if samples is None or size is None or size >= len(samples):
        return None if samples is None else samples.rows
    # The rows that random_state.choice(samples.rows, size, replace=False) draws, without the GIL.
    return permutation(samples.rows, random_state)[:size].copy()


def check_images(samples, input_shape, augmentations):
    """Return the shape (C, H, W) of samples that are augmented, or raise ValueError if they are no such images."""
    if samples.is_sparse:
        raise ValueError("augmentation needs images as an array, got a sparse matrix: give X.toarray().")
    shape = next((shape for shape in (samples.shape, input_shape) if len(shape) == 3), None)
    if shape is None:
        raise ValueError(
            "augmentation needs images (n, C, H, W) in data['X_train'], or a net of such an input_shape, got"
            f" samples of shape {samples.shape}."
        )
    for augmentation in augmentations:
        augmentation.check_shape(shape)
    return shape
