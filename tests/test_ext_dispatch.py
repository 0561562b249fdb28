"""The instruction set, and how the kernels were built."""

import os
import signal
import subprocess
import sys

import pytest

from sklearn_dl import _ext


def import_with(isa):
    """Import the kernels in a fresh process with SKLEARN_DL_ISA set."""
    return subprocess.run(
        [sys.executable, "-c", "from sklearn_dl import _ext; print(_ext.isa)"],
        env={**os.environ, "SKLEARN_DL_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("isa", _ext.isas)
def test_isa_can_be_forced(isa):
    assert import_with(isa).stdout.strip() == isa


def test_unknown_isa():
    result = import_with("avx1024")
    assert result.returncode != 0
    assert "ImportError: SKLEARN_DL_ISA must be one of ['baseline'" in result.stderr


def test_information():
    assert _ext.isa in _ext.isas
    assert isinstance(_ext.openmp, bool)
    assert _ext.max_threads() >= 1


def test_bounds_checks_are_on_in_debug_builds_only():
    script = "from sklearn_dl._ext._kernels import check_index; check_index(1, 2); print('inside'); check_index(2, 2)"
    result = subprocess.run([sys.executable, "-uc", script], capture_output=True, text=True, check=False)
    assert result.stdout == "inside\n"
    if _ext.debug:
        assert result.returncode == -signal.SIGABRT
        assert "kernel assertion failed: i >= 0 && i < n" in result.stderr
    else:
        assert result.returncode == 0
