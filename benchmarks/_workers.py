"""Processes that hold the libraries.

Each library is timed in a process of its own, which does nothing while another one runs. In one
process their thread pools would spin against each other: OpenBLAS, two copies of OpenMP and XLA
each keep their idle threads busy for a while.
"""

import multiprocessing
import os
import time
import traceback
from contextlib import contextmanager
from pathlib import Path


class Absent(Exception):
    """A library is not installed."""


def _serve(connection):
    """Make objects and call their methods, as the other end of the connection asks."""
    objects = []
    while True:
        try:
            request, *args = connection.recv()
        except EOFError:
            return
        try:
            if request == "new":
                cls, arguments = args
                objects.append(cls(*arguments))
                answer = len(objects) - 1
            elif request == "time":
                index, method, arguments = args
                start = time.perf_counter()
                getattr(objects[index], method)(*arguments)
                answer = time.perf_counter() - start
            else:
                index, method, arguments = args
                answer = getattr(objects[index], method)(*arguments)
            connection.send(("done", answer))
        except ModuleNotFoundError as error:
            connection.send(("absent", f"{error.name} is not installed"))
        except Exception:
            connection.send(("failed", traceback.format_exc()))


class Worker:
    """A process whose numeric libraries are told to use `threads` threads."""

    def __init__(self, threads):
        self._connection, theirs = multiprocessing.Pipe()
        with _environment(_thread_variables(threads)):
            # Not a daemon: those may not have children, which the parameter sweeps need.
            self._process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
            self._process.start()
        theirs.close()

    def new(self, cls, *arguments):
        """Make an object in the process; raise Absent if its library is not installed."""
        return Remote(self, self.ask("new", cls, arguments))

    def ask(self, *request):
        """Send a request; return the answer."""
        self._connection.send(request)
        try:
            state, answer = self._connection.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(f"a worker ended with exit code {self._process.exitcode}") from None
        if state == "absent":
            raise Absent(answer)
        if state == "failed":
            raise RuntimeError(f"in a worker:\n{answer}")
        return answer

    def close(self):
        """End the process."""
        self._connection.close()
        self._process.join()


class Remote:
    """An object in a worker."""

    def __init__(self, worker, index):
        self._worker = worker
        self._index = index

    def call(self, method, *arguments):
        """Return what a method returns."""
        return self._worker.ask("call", self._index, method, arguments)

    def time(self, method, *arguments):
        """Return the seconds that a method takes, measured where it runs."""
        return self._worker.ask("time", self._index, method, arguments)


class Workers:
    """One worker per library, made when first asked for."""

    def __init__(self, threads):
        self.threads = threads
        self._workers = {}

    def of(self, library):
        """Return the worker of a library."""
        if library not in self._workers:
            self._workers[library] = Worker(self.threads)
        return self._workers[library]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self._workers.values():
            worker.close()


def _thread_variables(threads):
    eigen = "true" if threads > 1 else "false"
    return {
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "NPROC": str(threads),  # the size of XLA's thread pool
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={eigen}",
        "JAX_PLATFORMS": "cpu",
    }


@contextmanager
def _environment(variables):
    before = os.environ.copy()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def memory():
    """Return (bytes this process holds, the most since the last call); None without /proc."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not (status.exists() and reset.exists()):
        return None
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    reset.write_text("5")
    return tuple(1024 * int(fields[name].split()[0]) for name in ("VmRSS", "VmHWM"))
