"""What the tests of the kernels share: inputs, calls with one thread and with two, and tolerances."""

import numpy as np
import pytest

DTYPES = [np.float32, np.float64]

# Of the largest value that could have been summed up.
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-14}

z = np.zeros

dtypes = pytest.mark.parametrize("dtype", DTYPES)


def draw(dtype, *shape, seed=0):
    """Normal numbers in a read-only array."""
    a = np.asarray(np.random.RandomState(seed).randn(*shape), dtype)
    a.flags.writeable = False
    return a


def strided(a):
    """Return an array of the same values that is not contiguous."""
    return np.repeat(a, 2, axis=-1)[..., ::2]


def read_only(a):
    """Return a copy that cannot be written to."""
    a = a.copy()
    a.flags.writeable = False
    return a


def run(call, out):
    """Run ``call(buffers, n_threads)`` with one thread and with two; return the buffers.

    `out` describes them: (shape, dtype), then they hold nan or 99 before the call, or an array to
    copy, for state that is updated in place.
    """
    results = []
    for n_threads in (1, 2):
        buffers = []
        for spec in out:
            if isinstance(spec, np.ndarray):
                buffers.append(spec.copy())
            else:
                shape, dtype = spec
                fill = np.nan if np.dtype(dtype).kind == "f" else 99
                buffers.append(np.full(shape, fill, dtype))
        call(buffers, n_threads)
        results.append(buffers)
    for one, other in zip(results[0], results[-1], strict=True):
        assert one.tobytes() == other.tobytes(), "bits depend on the number of threads"
    return results[0]


def assert_close(actual, expected, dtype, scale=None):
    assert actual.dtype == dtype
    scale = np.abs(expected).max(initial=1) if scale is None else scale
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * scale)
