"""The one place that decides on how many threads a kernel runs.

The kernels take ``n_threads`` as an argument and read no global state; every caller takes it from `n_threads`, which is
the smallest of

- OpenMP's own limit, which honours ``OMP_NUM_THREADS``, joblib's ``inner_max_num_threads`` (loky
  workers are started with it) and ``threadpoolctl.threadpool_limits``;
- the CPUs this process may use (affinity masks and container quotas);
- in a task of a Dask worker, its share of these, as the worker runs a task on each of its threads;
- 1 inside a worker thread of joblib's threading backend, where the outer loop already uses the CPUs,
  and 1 in a forked child, where libgomp hangs if the parent has used it.

A fit or a prediction decides once, in `hold_threads`; a `ThreadTuner` then tests from time to time whether fewer
threads are faster. Results are the same bits on any number of threads.
"""

import os
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
from joblib import cpu_count
from joblib.parallel import get_active_backend

from sklearn_dl._ext import max_threads

FIRST_TRIAL = 0.1  # seconds until `ThreadTuner` tries another number of threads
BETWEEN_TRIALS = 0.5  # and from then on, at least
TRIAL_SHARE = 50  # or so many times what the last trial took
TRIAL_STEPS = 3  # in a trial, at least
TRIAL_SECONDS = 0.01
WORTH_CHANGING = 0.9  # of the time taken before


class _Held(threading.local):
    value = None


_held = _Held()
_forked = False
_cpus = None


def _mark_forked():
    global _forked
    _forked = True


class _LockOfNumpy(threading.local):
    """The lock of NumPy's global generator, which is not to be held when the process forks.

    A fit in another thread holds it for milliseconds at a time, and in the child no thread would release it.
    """

    def acquire(self):
        self.lock = np.random.mtrand._rand._bit_generator.lock
        self.lock.acquire()

    def release(self):
        self.lock.release()


if hasattr(os, "register_at_fork"):
    _lock = _LockOfNumpy()
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
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
        return 1  # even if the parent held another number when it forked
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


class ThreadTuner:
    """Finds the fastest number of threads for a loop, up to `n_threads`, inside `hold_threads`.

    OpenMP's threads wait for each other in every kernel; if one of them has to wait for a CPU, all do. On two CPUs kept
    busy by two other programs, a step of 0.4 ms took 23 ms on two threads and 0.9 ms on one. So from time to time a few
    steps run on another number of threads: one, half or twice as many, all, in turn.
    """

    def __init__(self):
        self._most = self._threads = n_threads()
        self._trial = None  # the number on trial
        self._n_trials = 0
        self._next_trial = time.perf_counter() + FIRST_TRIAL
        self._use(self._threads)

    def _use(self, threads):
        """Set the number of threads, and begin to measure."""
        _held.value = threads
        self._steps = self._samples = 0
        self._seconds = 0.0

    def note(self, began, n_samples, n_steps=1):
        """Record steps that began at a `time.perf_counter`; set the number of threads for the next."""
        if self._most == 1:
            return
        now = time.perf_counter()
        self._steps += n_steps
        self._samples += n_samples
        self._seconds += now - began
        if self._steps < TRIAL_STEPS:
            return
        if self._trial is None:
            if now >= self._next_trial:
                self._begin_trial()
        elif self._seconds >= TRIAL_SECONDS:
            self._end_trial(now)

    def _begin_trial(self):
        others = {1, self._threads // 2, min(2 * self._threads, self._most), self._most} - {0, self._threads}
        self._trial = sorted(others)[self._n_trials % len(others)]
        self._n_trials += 1
        self._before = self._seconds / self._samples
        self._use(self._trial)

    def _end_trial(self, now):
        if self._seconds / self._samples < WORTH_CHANGING * self._before:
            self._threads = self._trial
        self._trial = None
        self._next_trial = now + max(BETWEEN_TRIALS, TRIAL_SHARE * self._seconds)
        self._use(self._threads)
