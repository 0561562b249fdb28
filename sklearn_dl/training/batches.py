"""Batches: the pieces that many rows are worked on in, where the order does not matter."""

import time


def batches(n_rows, size, tuner=None):
    """Yield the slices of successive batches.

    Parameters
    ----------
    n_rows : int
    size : int
        Rows of a batch; the last one may have fewer.
    tuner : ThreadTuner, default=None
        Notes how long the caller took for each batch.
    """
    for start in range(0, n_rows, size):
        began = time.perf_counter()
        stop = min(start + size, n_rows)
        yield slice(start, stop)
        if tuner is not None:
            tuner.note(began, stop - start)
