import os
import re
import signal

import numpy as np
import pytest

from sklearn_dl import _threads

# For values of order one; float32 sums over a few hundred elements lose about two digits.
TOLERANCES = {
    np.float32: {"rtol": 2e-4, "atol": 5e-5},
    np.float64: {"rtol": 1e-9, "atol": 1e-11},
}


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def tol(dtype):
    """Tolerances of np.testing.assert_allclose for arithmetic in this dtype."""
    return TOLERANCES[dtype]


@pytest.fixture
def rng():
    return np.random.RandomState(0)


@pytest.fixture
def hears_ctrl_c():
    """Have SIGINT raise KeyboardInterrupt, also in a job in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    left = signal.signal(signal.SIGINT, before)
    assert left is signal.default_int_handler


@pytest.fixture
def use_threads(monkeypatch):
    """Return a function that sets how many threads kernels use, however many CPUs there are."""
    return lambda n: monkeypatch.setattr(_threads._held, "value", n, raising=False)


@pytest.fixture(params=[1, 2], ids=["1thread", "2threads"])
def threads(request, use_threads):
    """Run the test with one thread, and with two."""
    use_threads(request.param)
    return request.param


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is the reference, and not installed")


# A test that is skipped unawares tests nothing: with SKLEARN_DL_ALLOWED_SKIPS (a regular expression) in the
# environment, a skip for any other reason is a failure.
ALLOWED_SKIPS = os.environ.get("SKLEARN_DL_ALLOWED_SKIPS")


def _refuse_skip(report):
    if ALLOWED_SKIPS is None or report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not re.search(ALLOWED_SKIPS, reason):
        report.outcome = "failed"
        report.longrepr = f"unexpected skip: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    _refuse_skip(report)
    return report
