"""The share of its time for which code holds the GIL.

A second thread, in C, looks at random moments: it takes the GIL, notes how long that took, and gives it back. A GIL
that nobody holds is there within a microsecond; one that somebody holds, only after a wait. So the share of looks that
waited is the share of time for which it was held, whoever held it: bytecode, NumPy, SciPy, scikit-learn. Kernels and
calls that release it do not count. Looks are rare beside the waits, during which there is none. What the same looks
find beside a loop in C that never takes the GIL (they had lost their CPU) is subtracted. Each of the two threads must
have a CPU.
"""

import ctypes
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

SOURCE = Path(__file__).with_name("_gil.c")
# Seconds between looks, on average. A look that takes longer than the other has slept: one that has not takes up to 2
# microseconds, where its memory is no longer in the caches, and one that has at least 10.
GAP, WAITED = 5e-4, 5e-6
MOST_LOOKS = 100_000


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
            self._spin = ctypes.CDLL(str(library)).sdl_spin
        self._spin.restype, self._spin.argtypes = None, (ctypes.c_double,)
        self._look.restype = ctypes.c_long
        self._look.argtypes = ctypes.c_void_p, ctypes.c_double, ctypes.c_void_p, ctypes.c_long
        self._waits = (ctypes.c_double * MOST_LOOKS)()

    def share(self, function, seconds):
        """Return the share of its time for which a function, called with the seconds to take, holds the GIL."""
        return max(0.0, self._waited(function, seconds) - self._waited(self._spin, seconds))

    def _waited(self, function, seconds):
        """Return the share of looks that waited, while a call ran."""
        done, count = ctypes.c_int(0), []

        def look():
            count.append(self._look(ctypes.addressof(done), GAP, ctypes.addressof(self._waits), MOST_LOOKS))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            function(seconds)
        finally:
            done.value = 1
            thread.join()
        waits = self._waits[: count[0]]
        return sum(wait > WAITED for wait in waits) / len(waits)


class NoCompiler(Exception):
    """The GIL cannot be looked at."""
