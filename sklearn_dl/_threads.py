"""One place that decides how many threads a kernel gets.

The kernels take ``n_threads`` as an argument and know nothing global; every caller asks
`n_threads`. The answer is the smallest of

- OpenMP's own limit, which honours ``OMP_NUM_THREADS``, joblib's ``inner_max_num_threads`` (loky
  workers are started with it) and ``threadpoolctl.threadpool_limits``;
- the CPUs this process may use (affinity masks and container quotas);
- in a task of a Dask worker, its share of these, as the worker runs a task on each of its threads;
- 1 inside a worker thread of joblib's threading backend, where the outer loop already has the CPUs,
  and 1 in a forked child, where libgomp hangs if the parent has used it.

A fit asks once and holds the answer with `hold_threads`, so that the number cannot change between
its steps.
"""

import os
import sys
import threading
from contextlib import contextmanager

from joblib import cpu_count
from joblib.parallel import get_active_backend

from sklearn_dl._ext import max_threads


class _Held(threading.local):
    value = None


_held = _Held()
_forked = False
_cpus = None


def _mark_forked():
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)


def _in_joblib_thread():
    if threading.current_thread() is threading.main_thread():
        return False
    return get_active_backend()[0].nesting_level > 0


def _tasks_side_by_side():
    """Return how many tasks the Dask worker that runs this one runs at once; 1 outside of Dask."""
    distributed = sys.modules.get("distributed")
    if distributed is None or threading.current_thread() is threading.main_thread():
        return 1
    try:
        return distributed.get_worker().state.nthreads
    except ValueError:  # none here
        return 1


def _decide():
    global _cpus
    limit = max_threads()
    if limit == 1:
        return 1
    if _cpus is None:
        _cpus = cpu_count()
    return 1 if _in_joblib_thread() else max(1, min(limit, _cpus) // _tasks_side_by_side())


def n_threads():
    """Return the number of threads that a kernel called now, from this thread, should use."""
    if _forked:
        return 1  # whatever the parent may have held when it forked
    held = _held.value
    return _decide() if held is None else held


@contextmanager
def hold_threads():
    """Decide once; `n_threads` gives the same answer in this thread until the block ends."""
    before = _held.value
    _held.value = n_threads()
    try:
        yield _held.value
    finally:
        _held.value = before
