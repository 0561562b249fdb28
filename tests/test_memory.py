"""The command that measures memory, in short, and that it finds what it is for.

The most that Python and NumPy hold during single calls is in test_estimator_inputs.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"

pytestmark = [
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are not part of an installation"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what a process has for itself is asked of Linux"),
]


def has_mallinfo2():
    import ctypes

    return hasattr(ctypes.CDLL(None), "mallinfo2")


needs_mallinfo2 = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and has_mallinfo2()), reason="mallinfo2 is glibc's, from 2.33 on"
)

CHANGED = """
import sys

sys.path.insert(0, {folder!r})
import memory
import numpy as np
import sklearn_dl

{change}
if __name__ == "__main__":
    sys.exit(memory.main())
"""


def run(tmp_path, *options, change=""):
    """Run the command, with something changed in it; return its exit status and what it printed."""
    script = tmp_path / "changed.py"
    script.write_text(CHANGED.format(folder=str(FOLDER), change=change))
    done = subprocess.run([sys.executable, script, *options], capture_output=True, text=True, timeout=300)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_a_fit_of_a_memory_map_has_little_memory_of_its_own(tmp_path):
    status, printed = run(tmp_path, "maps", "--scale", ".03", "--calls", "early_stopping")
    assert status == 0, printed
    assert re.findall(r"x 3,072 (\w+),", printed) == ["uint8", "int8", "float16"]
    found = [int(mb) for mb in re.findall(r"^  TwoLayerNet.fit, early_stopping +(\d+) ", printed, re.M)]
    assert len(found) == 3
    assert all(3 <= mb <= 50 for mb in found)  # net, minibatches, rows of predictions; of 46, 18 and 37 MB


def test_a_copy_is_found(tmp_path):
    change = """
memory.FILES = ((200_000, "int8"),)
memory.CALLS["copy"] = lambda X, y: memory.fit("Softmax", X.astype("f4"), y)
"""
    status, printed = run(tmp_path, "maps", "--scale", ".05", "--calls", "copy", change=change)
    assert status == 1
    assert "too much memory: copy on int8" in printed
    assert int(re.search(r"^  copy +(\d+) ", printed, re.M)[1]) > 10_000 * 3072 * 4 / 1e6


@needs_mallinfo2
def test_fits_and_predictions_leave_nothing(tmp_path):
    status, printed = run(tmp_path, "flat", "--scale", ".1")
    assert status == 0, printed
    assert len(re.findall(r"^  .*, (?:recorded|step by step|predictions of 4 threads) ", printed, re.M)) == 15


@needs_mallinfo2
def test_a_small_array_that_each_call_leaves_is_found(tmp_path):
    change = """
left, kinds = [], memory.kinds
memory.kinds = lambda: {"Softmax": kinds()["Softmax"]}

def leaving(method):
    def call(self, *args, **kwargs):
        left.append(np.ones(64))
        return method(self, *args, **kwargs)

    return call

for name in ("fit", "predict"):
    setattr(sklearn_dl.Softmax, name, leaving(getattr(sklearn_dl.Softmax, name)))
"""
    status, printed = run(tmp_path, "flat", "--scale", ".1", change=change)
    assert status == 1
    for kind in ("recorded", "step by step", "predictions of 4 threads"):
        assert f"Softmax, {kind}" in printed.partition("too much memory")[2]
