"""The share of its time for which code holds the GIL.

A second thread, in C, looks at random moments: it takes the GIL, notes how long that took, and gives it back. A GIL
that nobody holds is there within a microsecond; one that somebody holds, only after a wait. So the share of looks that
waited is the share of time for which it was held, whoever held it: bytecode, NumPy, SciPy, scikit-learn. Kernels and
calls that release it do not count. While the thread waits it cannot look, and the looks that it would have made count
as ones that waited. The share of an idle interpreter (the thread had lost its CPU) is subtracted. There must be a CPU
for each of the two threads.
"""

import ctypes
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

SOURCE = Path(__file__).with_name("_gil.c")
# Seconds between looks, on average; a look that takes longer than the other has waited.
GAP, WAITED = 100e-6, 2e-6
MOST_LOOKS = 1_000_000
IDLE_SECONDS = 1.0


class GilLooks:
    """Looks at the GIL while something runs.

    Raises
    ------
    NoCompiler
        If there is no C compiler.
    """

    def __init__(self):
        compiler = shutil.which("cc")
        if compiler is None:
            raise NoCompiler("there is no C compiler (cc)")
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder, "gil.so")
            undefined = ["-undefined", "dynamic_lookup"] if shutil.which("xcrun") else []
            subprocess.run([compiler, "-O2", "-shared", "-fPIC", SOURCE, "-o", library, *undefined, "-lm"], check=True)
            # With the GIL when called, which it gives back itself.
            self._look = ctypes.PyDLL(str(library)).sdl_look
        self._look.restype = ctypes.c_long
        self._look.argtypes = ctypes.c_void_p, ctypes.c_double, ctypes.c_void_p, ctypes.c_long
        self._waits = (ctypes.c_double * MOST_LOOKS)()

    def share(self, function, *args):
        """Return the share of a call's time for which a thread holds the GIL."""
        return max(0.0, self._waited(function, *args) - self._waited(time.sleep, IDLE_SECONDS))

    def _waited(self, function, *args):
        """Return the share of looks that waited, while a call ran."""
        done, count = ctypes.c_int(0), []

        def look():
            began = time.perf_counter()
            count.append(self._look(ctypes.addressof(done), GAP, ctypes.addressof(self._waits), MOST_LOOKS))
            count.append(time.perf_counter() - began)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            function(*args)
        finally:
            done.value = 1
            thread.join()
        looks, seconds = count
        waits = [wait for wait in self._waits[:looks] if wait > WAITED]
        missed = sum(waits) / ((seconds - sum(waits)) / looks)
        return (len(waits) + missed) / (looks + missed)


class NoCompiler(Exception):
    """The GIL cannot be looked at."""
